//! Answers that say no.

use bytes::Bytes;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::{Value, json};

use crate::testing::response as reply;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// Nothing for an empty body.
    body: Option<Value>,
    challenge: Option<String>,
}

impl Refusal {
    /// A complaint about one field, in the vendor's form.
    pub(super) fn invalid(on: &str, kind: &str) -> Self {
        Self::complaints(vec![json!({"on": on, "type": kind})])
    }

    pub(super) fn complaints(errors: Vec<Value>) -> Self {
        Self::with(StatusCode::UNPROCESSABLE_ENTITY, json!({"errors": errors}))
    }

    pub(super) fn with(status: StatusCode, body: Value) -> Self {
        Self { status, body: Some(body), challenge: None }
    }

    /// A refusal that gives no reason, as of a class that is full.
    pub(super) fn silent() -> Self {
        Self { status: StatusCode::UNPROCESSABLE_ENTITY, body: None, challenge: None }
    }

    /// There is nothing at this address, or nothing with this number.
    pub(super) fn not_found() -> Self {
        Self::with(StatusCode::NOT_FOUND, json!({"error": "not_found"}))
    }

    /// A token that is missing, unknown, revoked or expired. The body is empty, as with the library that the vendor is
    /// taken to use.
    pub(super) fn unauthorized() -> Self {
        let text = "This token is not valid, or is no more.";
        Self { status: StatusCode::UNAUTHORIZED, body: None, challenge: Some(challenge("invalid_token", text)) }
    }

    /// A token that may not do this.
    pub(super) fn forbidden() -> Self {
        let text = "This token may not do that.";
        Self { status: StatusCode::FORBIDDEN, body: None, challenge: Some(challenge("insufficient_scope", text)) }
    }

    /// A refusal of the token endpoint.
    pub(super) fn oauth(status: StatusCode, error: &str, description: &str) -> Self {
        let body = json!({"error": error, "error_description": description});
        Self { status, body: Some(body), challenge: Some(challenge(error, description)) }
    }

    pub(super) fn into_response(self) -> Response<Bytes> {
        let mut response = match &self.body {
            Some(body) => reply::json(self.status, body),
            None => reply::raw(self.status, "", ""),
        };
        if let Some(challenge) = self.challenge.and_then(|challenge| HeaderValue::try_from(challenge).ok()) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

fn challenge(error: &str, description: &str) -> String {
    format!(r#"Bearer realm="Fisikal", error="{error}", error_description="{description}""#)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_token_hears_why_in_a_header_alone() {
        let response = Refusal::unauthorized().into_response();
        assert_eq!((response.status().as_u16(), response.body().len()), (401, 0));
        let challenge = response.headers()[WWW_AUTHENTICATE].to_str().unwrap();
        assert!(challenge.contains(r#"error="invalid_token""#), "{challenge}");
    }

    #[test]
    fn a_complaint_has_the_form_that_clients_read() {
        let response = Refusal::invalid("email", "taken").into_response();
        let body: Value = serde_json::from_slice(response.body()).unwrap();
        assert_eq!(body, json!({"errors": [{"on": "email", "type": "taken"}]}));
    }
}
