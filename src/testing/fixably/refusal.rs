//! An answer that says no.

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue};
use http::{Response, StatusCode};
use serde_json::json;

use crate::testing::reply;

/// Why a request is refused. The body has the two fields that clients of the vendor have seen, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    allow: Option<&'static str>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), allow: None }
    }

    /// A request that no route of any method could take as it is.
    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such record.")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "This path does not take this method.");
        Self { allow: Some(allow), ..refusal }
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let body = json!({"status": self.status.as_u16(), "developerMessage": self.message});
        let mut response = reply::json(self.status, &body);
        if let Some(allow) = self.allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_refusal_has_the_two_fields_that_are_known_and_no_other() {
        let response = Refusal::not_found().into_response();
        let body: Value = serde_json::from_slice(response.body()).expect("JSON");
        assert_eq!(body, json!({"status": 404, "developerMessage": "There is no such record."}));
        assert_eq!(response.headers()["content-type"], "application/json");
    }

    #[test]
    fn a_wrong_method_is_told_the_right_one() {
        let response = Refusal::method_not_allowed("GET").into_response();
        assert_eq!((response.status().as_u16(), &response.headers()[ALLOW]), (405, &HeaderValue::from_static("GET")));
    }
}
