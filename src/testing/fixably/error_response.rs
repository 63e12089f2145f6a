//! Error responses in the vendor's form: the two fields that its clients have seen, and no others.

use http::StatusCode;
use serde_json::json;

use crate::testing::error_response::ErrorResponse;

pub(super) fn error(status: StatusCode, message: impl Into<String>) -> ErrorResponse {
    ErrorResponse::json(status, json!({"status": status.as_u16(), "developerMessage": message.into()}))
}

pub(super) fn bad_request(message: impl Into<String>) -> ErrorResponse {
    error(StatusCode::BAD_REQUEST, message)
}

pub(super) fn forbidden() -> ErrorResponse {
    error(StatusCode::FORBIDDEN, "The token does not allow this.")
}

pub(super) fn not_found() -> ErrorResponse {
    error(StatusCode::NOT_FOUND, "There is no such record.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_has_the_two_fields_that_are_known_and_no_others() {
        let response = not_found().into_response();
        let body: serde_json::Value = serde_json::from_slice(response.body()).expect("JSON");
        assert_eq!(body, json!({"status": 404, "developerMessage": "There is no such record."}));
        assert_eq!(response.headers()["content-type"], "application/json");
    }
}
