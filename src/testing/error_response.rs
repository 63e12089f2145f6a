//! A refused request: its status, the body in the vendor's form, and extra headers.
//!
//! The vendors' modules `error_response` fill in the body, because each vendor has its own form.

use bytes::Bytes;
use http::header::{ALLOW, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde_json::Value;

use super::response;
use super::router::RouteError;

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

    /// The error for a request without a route: 404, or 405 if the path has operations with other methods. `error` is the
    /// vendor's form of a status and a message.
    pub(crate) fn no_route(reason: RouteError, error: impl FnOnce(StatusCode, String) -> Self) -> Self {
        if reason.allowed.is_empty() {
            return error(StatusCode::NOT_FOUND, reason.message);
        }
        error(StatusCode::METHOD_NOT_ALLOWED, reason.message).with_header(ALLOW, &reason.allowed.join(", "))
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
    use http::header::CONTENT_TYPE;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_wrong_method_gets_the_allowed_ones() {
        let form = |status, message| ErrorResponse::json(status, json!({"message": message}));
        let reason = |allowed| RouteError { allowed, message: "There is no such operation.".to_owned() };
        let response = ErrorResponse::no_route(reason(vec!["GET", "PUT"]), form).into_response();
        let header = |name| response.headers()[name].to_str().expect("text");
        assert_eq!(
            (response.status().as_u16(), header(ALLOW), header(CONTENT_TYPE)),
            (405, "GET, PUT", "application/json")
        );
        assert_eq!(response.body(), r#"{"message":"There is no such operation."}"#);
        assert_eq!(ErrorResponse::no_route(reason(Vec::new()), form).status, 404);
    }

    #[test]
    fn an_empty_error_has_no_content_type() {
        let response = ErrorResponse::empty(StatusCode::UNAUTHORIZED).into_response();
        assert!(response.body().is_empty() && response.headers().is_empty(), "{response:?}");
    }
}
