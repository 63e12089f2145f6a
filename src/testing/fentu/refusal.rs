//! An answer that says no.

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::testing::reply;

/// Why a request is refused. The vendor has a format for it that could not be read; this one is a guess at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) message: String,
    /// Field and complaint.
    pub(super) details: Vec<(String, String)>,
    allow: Option<String>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), details: Vec::new(), allow: None }
    }

    pub(super) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such resource.")
    }

    pub(super) fn method_not_allowed(allow: String) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "This path does not take this method.");
        Self { allow: Some(allow), ..refusal }
    }

    /// A body that is JSON and says something wrong.
    pub(super) fn invalid(details: Vec<(String, String)>) -> Self {
        Self { details, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "The body is not valid.") }
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let code = match self.status.as_u16() {
            400 => "bad_request",
            401 => "unauthorized",
            403 => "forbidden",
            404 => "not_found",
            405 => "method_not_allowed",
            409 => "conflict",
            422 => "validation_error",
            429 => "rate_limited",
            501 => "not_implemented",
            _ => "internal_error",
        };
        let mut error = json!({"code": code, "message": self.message});
        if !self.details.is_empty() {
            let details = self.details.into_iter().map(|(field, message)| json!({"field": field, "message": message}));
            error["details"] = Value::Array(details.collect());
        }
        let mut response = reply::json(self.status, &json!({"error": error}));
        if let Some(Ok(allow)) = self.allow.as_deref().map(HeaderValue::from_str) {
            response.headers_mut().insert(ALLOW, allow);
        }
        response
    }
}
