//! A refused request: its status, the body in the vendor's form, and extra headers.
//!
//! The vendors' modules `error_response` fill in the body, because each vendor has its own form.

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::Value;

use super::response;

/// A response that refuses a request.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ErrorResponse {
    pub(crate) status: StatusCode,
    /// `None` for an empty body.
    pub(crate) body: Option<Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl ErrorResponse {
    pub(crate) fn json(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body), headers: Vec::new() }
    }

    pub(crate) fn empty(status: StatusCode) -> Self {
        Self { status, body: None, headers: Vec::new() }
    }

    /// Adds a header.
    ///
    /// # Panics
    ///
    /// If the value has a control character. Headers are built from texts of the mock server alone.
    #[track_caller]
    pub(crate) fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        let value = HeaderValue::from_str(value).expect("the header of an error response is plain text");
        self.headers.push((name, value));
        self
    }

    /// The text of a member of the body; empty if there is none.
    #[cfg(test)]
    pub(crate) fn text(&self, member: &str) -> &str {
        self.body.as_ref().and_then(|body| body[member].as_str()).unwrap_or_default()
    }

    pub(crate) fn into_response(self) -> Response<Bytes> {
        let mut response = match &self.body {
            Some(body) => response::json(self.status, body),
            None => response::raw(self.status, "", ""),
        };
        response.headers_mut().extend(self.headers);
        response
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ALLOW, CONTENT_TYPE};
    use serde_json::json;

    use super::*;

    #[test]
    fn a_json_error_has_its_status_body_and_headers() {
        let error = ErrorResponse::json(StatusCode::METHOD_NOT_ALLOWED, json!({"message": "no"}));
        let response = error.with_header(ALLOW, "GET, PUT").into_response();
        assert_eq!((response.status().as_u16(), response.body().as_ref()), (405, br#"{"message":"no"}"#.as_slice()));
        assert_eq!(
            (&response.headers()[CONTENT_TYPE], &response.headers()[ALLOW]),
            (&"application/json".parse().unwrap(), &"GET, PUT".parse().unwrap())
        );
    }

    #[test]
    fn an_empty_error_has_no_content_type() {
        let response = ErrorResponse::empty(StatusCode::UNAUTHORIZED).into_response();
        assert!(response.body().is_empty() && response.headers().is_empty(), "{response:?}");
    }
}
