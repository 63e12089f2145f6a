//! Reads the vendor's `errors`, from error responses and from responses with status 200.

use serde_json::Value;

use super::generated::types::ErrorItem;
use crate::error::Error;
use crate::vendor::VendorError;

/// The vendor's `errors` for a call that failed, with their types and options.
///
/// The vendor sends them in error responses and in responses with status 200; both become [`Error::Validation`]. Empty for
/// every other error.
///
/// # Example
///
/// ```
/// use servicebay::fisikal::{self, types::{ErrorType, ForClient}};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = servicebay::testing::fisikal::MockServer::start().await;
/// # let client = server.client()?;
/// // Client 2003 has no credits.
/// let outcome = client.join_occurrence().id(5).body(ForClient::new(2003)).send().await;
///
/// let errors = fisikal::errors(&outcome.expect_err("no credits"));
/// assert_eq!(errors[0].kind, Some(ErrorType::NotEnoughCredits));
/// # Ok(()) }
/// ```
pub fn errors(error: &Error) -> Vec<ErrorItem> {
    match error.payload::<Value>() {
        Ok(body) => items(&body).filter_map(|item| serde_json::from_value(item.clone()).ok()).collect(),
        Err(_) => Vec::new(),
    }
}

impl ErrorItem {
    /// The page where the card's owner confirms the payment, if that is what the vendor requires.
    pub fn stripe_url(&self) -> Option<&str> {
        self.options.as_ref()?.get("stripe_url")?.as_str()
    }
}

/// Reads the body of an error response: a list `errors` at the top level or inside the wrapped object, or a code and a text
/// as OAuth has them.
pub(super) fn read(body: &Value) -> VendorError {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let kind = |item: &Value| item.get("type").and_then(Value::as_str).map(str::to_owned);
    let mut error_body = VendorError {
        message: text("error_description").or_else(|| text("exception")).or_else(|| text("message")),
        code: text("error"),
        fields: Vec::new(),
    };
    for item in items(body) {
        // An entry without a type is an error too.
        let kind = kind(item).unwrap_or_else(|| "unknown".to_owned());
        match item.get("on").and_then(Value::as_str) {
            Some(field) => error_body.fields.push((field.to_owned(), kind.clone())),
            None => {
                error_body.message.get_or_insert_with(|| kind.clone());
            }
        }
        error_body.code.get_or_insert(kind);
    }
    error_body
}

/// The entries of `errors`, at the top level of a body and inside its members.
fn items(body: &Value) -> impl Iterator<Item = &Value> {
    let inside = body.as_object().into_iter().flat_map(|body| body.values());
    let lists = std::iter::once(body).chain(inside).filter_map(|part| part.get("errors")?.as_array());
    lists.flatten().filter(|item| item.is_object())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_are_found_at_the_top_level_and_inside() {
        for body in [
            json!({"errors": [{"on": "email", "type": "taken"}]}),
            json!({"occurrence": {"id": 1, "errors": [{"on": "email", "type": "taken"}]}}),
        ] {
            let error_body = read(&body);
            assert_eq!(error_body.fields, [("email".to_owned(), "taken".to_owned())], "{body}");
            assert_eq!(error_body.code.as_deref(), Some("taken"), "{body}");
        }
    }

    #[test]
    fn an_error_without_a_field_becomes_the_message() {
        let error_body = read(&json!({"occurrence": {"errors": [{"on": null, "type": "not_enough_credits"}]}}));
        assert_eq!(error_body.message.as_deref(), Some("not_enough_credits"));
        assert_eq!(error_body.code.as_deref(), Some("not_enough_credits"));
        assert!(error_body.fields.is_empty());
    }

    #[test]
    fn a_body_without_errors_has_no_error() {
        for body in [
            json!({"occurrence": {"id": 1, "errors": []}}),
            json!({"errors": null}),
            json!({"errors": "none"}),
            json!([]),
            json!(null),
            json!({"errors": [null]}),
        ] {
            let error_body = read(&body);
            assert!(error_body.code.is_none() && error_body.fields.is_empty(), "{body}: {error_body:?}");
        }
    }

    #[test]
    fn an_error_of_the_token_endpoint_is_read() {
        let error_body = read(&json!({"error": "invalid_grant", "error_description": "The grant is invalid."}));
        assert_eq!(error_body.code.as_deref(), Some("invalid_grant"));
        assert_eq!(error_body.message.as_deref(), Some("The grant is invalid."));
    }
}
