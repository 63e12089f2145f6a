//! Reads request bodies: JSON objects and forms. Makes bodies that end early.

use bytes::Bytes;
use futures_util::stream;
use http::header::CONTENT_TYPE;
use http::{Request, StatusCode};
use serde_json::{Map, Value};

use crate::transport::{Body, TransportError};

/// The request as a server has it that has read all of it.
pub(crate) async fn received(request: Request<Body>) -> Result<Request<Bytes>, TransportError> {
    let (head, body) = request.into_parts();
    Ok(Request::from_parts(head, body.collect(usize::MAX).await?))
}

/// A body that breaks off before its end.
pub(crate) fn truncated(arrived: Bytes) -> Body {
    let pieces = [Ok(arrived), Err("body truncated")];
    Body::from_stream(stream::iter(pieces), None)
}

/// Why a body is not a JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    /// `Content-Type` is not `application/json`.
    ContentType,
    NotJson,
    /// It is JSON, but not an object.
    NotObject,
}

impl BodyError {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::ContentType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::NotJson | Self::NotObject => StatusCode::BAD_REQUEST,
        }
    }

    pub(crate) fn message(self) -> &'static str {
        match self {
            Self::ContentType => "The body must be `application/json`.",
            Self::NotJson => "The body is not JSON.",
            Self::NotObject => "The body must be a JSON object.",
        }
    }
}

/// The body as a JSON object, if `Content-Type` says so.
pub(crate) fn json_object(request: &Request<Bytes>) -> Result<Map<String, Value>, BodyError> {
    if !has_content_type(request, "application/json") {
        return Err(BodyError::ContentType);
    }
    match serde_json::from_slice(request.body()) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(BodyError::NotObject),
        Err(_) => Err(BodyError::NotJson),
    }
}

/// The body as a form, or `None` if `Content-Type` says otherwise.
pub(crate) fn form(request: &Request<Bytes>) -> Option<Form> {
    has_content_type(request, "application/x-www-form-urlencoded").then(|| Form::parse(request.body()))
}

/// The fields of a form, in their order. A query string has the same syntax.
#[derive(Debug, Default)]
pub(crate) struct Form {
    pub(crate) fields: Vec<(String, String)>,
}

impl Form {
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self { fields: url::form_urlencoded::parse(text).into_owned().collect() }
    }

    /// The value of a field that occurs once and is not empty. A field that occurs twice counts as missing, as OAuth
    /// requires.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut values = self.fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
        values.next().filter(|value| values.next().is_none() && !value.is_empty())
    }
}

fn has_content_type(request: &Request<Bytes>, media_type: &str) -> bool {
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
    fn a_json_body_needs_its_content_type() {
        for (content_type, body, outcome) in [
            ("application/json; charset=utf-8", "{}", Ok(Map::new())),
            ("text/plain", "{}", Err(BodyError::ContentType)),
            ("application/json", "[]", Err(BodyError::NotObject)),
            ("application/json", "", Err(BodyError::NotJson)),
        ] {
            assert_eq!(json_object(&request(content_type, body)), outcome, "{content_type} {body}");
        }
    }

    #[test]
    fn a_form_is_decoded_and_needs_its_content_type() {
        let form = |content_type| form(&request(content_type, "a=1&b=x%20%2B+y"));
        let fields = form("application/x-www-form-urlencoded").expect("a form").fields;
        assert_eq!(fields, [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "x + y".to_owned())]);
        assert!(form("application/json").is_none());
    }

    #[test]
    fn a_repeated_or_empty_field_counts_as_missing() {
        let form = Form::parse(b"a=1&b=&c=1&c=2");
        assert_eq!(["a", "b", "c", "d"].map(|name| form.get(name)), [Some("1"), None, None, None]);
    }
}
