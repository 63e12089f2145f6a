//! What a request carries, in the forms that vendors take.

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use serde_json::{Map, Value};

/// Why a body is no JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoObject {
    /// It does not say that it is JSON.
    MediaType,
    NoJson,
    /// It is JSON of another kind.
    Other,
}

impl NoObject {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NoJson | Self::Other => StatusCode::BAD_REQUEST,
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::MediaType => "The body has to be `application/json`.",
            Self::NoJson => "The body is not JSON.",
            Self::Other => "The body has to be a JSON object.",
        }
    }
}

/// A JSON object that says it is one.
pub(crate) fn json_object(request: &Request<Bytes>) -> Result<Map<String, Value>, NoObject> {
    if !is(request, "application/json") {
        return Err(NoObject::MediaType);
    }
    match serde_json::from_slice(request.body()) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(NoObject::Other),
        Err(_) => Err(NoObject::NoJson),
    }
}

/// The fields of a form that says it is one, in their order.
pub(crate) fn form(request: &Request<Bytes>) -> Option<Vec<(String, String)>> {
    is(request, "application/x-www-form-urlencoded")
        .then(|| url::form_urlencoded::parse(request.body()).into_owned().collect())
}

fn is(request: &Request<Bytes>, media_type: &str) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    content_type.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(content_type: &str, body: &'static str) -> Request<Bytes> {
        let request = Request::post("/x").header(CONTENT_TYPE, content_type);
        request.body(Bytes::from_static(body.as_bytes())).expect("a request")
    }

    #[test]
    fn a_json_object_says_what_it_is() {
        for (content_type, body, outcome) in [
            ("application/json; charset=utf-8", "{}", Ok(Map::new())),
            ("text/plain", "{}", Err(NoObject::MediaType)),
            ("application/json", "[]", Err(NoObject::Other)),
            ("application/json", "", Err(NoObject::NoJson)),
        ] {
            assert_eq!(json_object(&request(content_type, body)), outcome, "{content_type} {body}");
        }
    }

    #[test]
    fn a_form_is_decoded_and_says_what_it_is() {
        let fields = form(&request("application/x-www-form-urlencoded", "a=1&b=x%20%2B+y")).expect("a form");
        assert_eq!(fields, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x + y".to_owned())]);
        assert_eq!(form(&request("application/json", "a=1")), None);
    }
}
