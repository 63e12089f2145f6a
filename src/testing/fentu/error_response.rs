//! Error responses: those of the API and those of the OAuth endpoints.
//!
//! The vendor documents an error format that could not be read. The one of the API is a guess, the other is that of
//! OAuth.

use http::StatusCode;
use http::header::CACHE_CONTROL;
use serde_json::{Value, json};

use crate::testing::error_response::ErrorResponse;

/// An invalid field of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FieldError {
    pub(super) field: String,
    pub(super) message: String,
}

pub(super) fn error(status: StatusCode, message: impl Into<String>) -> ErrorResponse {
    let code = match status.as_u16() {
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
    ErrorResponse::json(status, json!({"error": {"code": code, "message": message.into()}}))
}

pub(super) fn bad_request(message: impl Into<String>) -> ErrorResponse {
    error(StatusCode::BAD_REQUEST, message)
}

/// A JSON body with invalid fields.
pub(super) fn invalid(errors: Vec<FieldError>) -> ErrorResponse {
    let mut response = error(StatusCode::UNPROCESSABLE_ENTITY, "The body is not valid.");
    let details = errors.into_iter().map(|error| json!({"field": error.field, "message": error.message}));
    if let Some(body) = &mut response.body {
        body["error"]["details"] = Value::Array(details.collect());
    }
    response
}

pub(super) fn not_found() -> ErrorResponse {
    error(StatusCode::NOT_FOUND, "There is no such resource.")
}

/// An error of an OAuth endpoint. The vendor's format is unknown; this is the one of RFC 6749.
pub(super) fn oauth(status: StatusCode, code: &str, description: &str) -> ErrorResponse {
    let body = json!({"error": code, "error_description": description});
    ErrorResponse::json(status, body).with_header(CACHE_CONTROL, "no-store")
}

pub(super) fn unauthorized(message: impl Into<String>) -> ErrorResponse {
    error(StatusCode::UNAUTHORIZED, message)
}
