//! The bodies and headers of the vendor's error responses.
//!
//! The vendor promises details that identify the problem and documents nothing more, so the body has the plainest
//! shape: a `message`, and `errors` with one entry for each invalid field.

use http::StatusCode;
use serde_json::{Value, json};

use crate::testing::error_response::ErrorResponse;

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldError {
    pub(super) field: String,
    pub(super) message: String,
}

impl FieldError {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

pub(super) fn error(status: StatusCode, message: impl Into<String>) -> ErrorResponse {
    ErrorResponse::json(status, json!({"message": message.into()}))
}

/// 400 with the invalid fields.
pub(super) fn invalid(errors: Vec<FieldError>) -> ErrorResponse {
    let errors = errors.into_iter().map(|error| json!({"field": error.field, "message": error.message}));
    let errors = Value::from_iter(errors);
    ErrorResponse::json(StatusCode::BAD_REQUEST, json!({"message": "The request is not valid.", "errors": errors}))
}

pub(super) fn bad_request(message: impl Into<String>) -> ErrorResponse {
    error(StatusCode::BAD_REQUEST, message)
}

pub(super) fn unauthorized(message: &str) -> ErrorResponse {
    error(StatusCode::UNAUTHORIZED, message)
}

pub(super) fn forbidden(message: &str) -> ErrorResponse {
    error(StatusCode::FORBIDDEN, message)
}

pub(super) fn conflict(message: impl Into<String>) -> ErrorResponse {
    error(StatusCode::CONFLICT, message)
}

pub(super) fn not_found() -> ErrorResponse {
    error(StatusCode::NOT_FOUND, "There is nothing with this id.")
}
