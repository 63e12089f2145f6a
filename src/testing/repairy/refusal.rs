//! An answer that says no.

use bytes::Bytes;
use http::header::{ALLOW, HeaderValue};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::testing::response as reply;

/// Why a request is refused.
///
/// The vendor promises details that identify the problem and no more is known of its answer, so its shape is the
/// plainest one: a `message`, and `errors` with what is wrong with single fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    message: String,
    errors: Vec<Complaint>,
    allow: Option<&'static str>,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) field: String,
    pub(super) message: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), errors: Vec::new(), allow: None }
    }

    /// A request that says something wrong.
    pub(super) fn invalid(errors: Vec<Complaint>) -> Self {
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, "The request is not valid.") }
    }

    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is nothing with this id.")
    }

    pub(super) fn method_not_allowed(allow: &'static str) -> Self {
        let refusal = Self::new(StatusCode::METHOD_NOT_ALLOWED, "This path does not take this method.");
        Self { allow: Some(allow), ..refusal }
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let mut body = json!({"message": self.message});
        if !self.errors.is_empty() {
            let errors = self.errors.into_iter().map(|error| json!({"field": error.field, "message": error.message}));
            body["errors"] = errors.collect::<Vec<Value>>().into();
        }
        let mut response = reply::json(self.status, &body);
        if let Some(allow) = self.allow {
            response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}
