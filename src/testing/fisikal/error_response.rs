//! The bodies and headers of the vendor's error responses.

use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use serde_json::{Value, json};

use crate::testing::error_response::ErrorResponse;
use crate::testing::router::RouteError;

/// 422 for a field or parameter that is missing or invalid.
pub(super) fn invalid(on: &str) -> ErrorResponse {
    validation(vec![field_error(on, "invalid")])
}

/// 422 with a list of field errors.
pub(super) fn validation(errors: Vec<Value>) -> ErrorResponse {
    ErrorResponse::json(StatusCode::UNPROCESSABLE_ENTITY, json!({"errors": errors}))
}

/// An entry of `errors`: the field, and the kind of the problem.
pub(super) fn field_error(on: &str, kind: &str) -> Value {
    json!({"on": on, "type": kind})
}

/// 422 for a full class, for which the vendor gives no reason.
pub(super) fn full_class() -> ErrorResponse {
    validation(Vec::new())
}

/// 404 for a path or 405 for a method that no operation has. The vendor's body is unknown.
pub(super) fn no_route(reason: RouteError) -> ErrorResponse {
    ErrorResponse::no_route(reason, |status, message| {
        let error = if status == StatusCode::NOT_FOUND { "not_found" } else { "method_not_allowed" };
        ErrorResponse::json(status, json!({"error": error, "message": message}))
    })
}

/// 404 for an unknown id.
pub(super) fn not_found() -> ErrorResponse {
    ErrorResponse::json(StatusCode::NOT_FOUND, json!({"error": "not_found"}))
}

/// 401 for a missing, unknown, revoked or expired token. The body is empty, as Doorkeeper has it, which the vendor is
/// assumed to use.
pub(super) fn unauthorized() -> ErrorResponse {
    let error = ErrorResponse::empty(StatusCode::UNAUTHORIZED);
    with_challenge(error, "invalid_token", "The access token is invalid, expired or revoked.")
}

/// 403 for a token that does not permit the operation.
pub(super) fn forbidden() -> ErrorResponse {
    let error = ErrorResponse::empty(StatusCode::FORBIDDEN);
    with_challenge(error, "insufficient_scope", "The access token does not permit this operation.")
}

/// An error of the token endpoint.
pub(super) fn oauth(status: StatusCode, error: &str, description: &str) -> ErrorResponse {
    let body = json!({"error": error, "error_description": description});
    with_challenge(ErrorResponse::json(status, body), error, description)
}

fn with_challenge(response: ErrorResponse, error: &str, description: &str) -> ErrorResponse {
    let challenge = format!(r#"Bearer realm="Fisikal", error="{error}", error_description="{description}""#);
    response.with_header(WWW_AUTHENTICATE, &challenge)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_401_gives_its_reason_in_a_header_and_has_no_body() {
        let response = unauthorized().into_response();
        assert_eq!((response.status().as_u16(), response.body().len()), (401, 0));
        let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
    }

    #[test]
    fn a_field_error_has_the_shape_that_clients_read() {
        let response = validation(vec![field_error("email", "taken")]).into_response();
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body, json!({"errors": [{"on": "email", "type": "taken"}]}));
    }
}
