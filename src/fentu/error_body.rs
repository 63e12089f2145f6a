//! Reads the message, code, and field errors out of an error response.

use serde_json::Value;

use crate::vendor::VendorError;

/// Reads the body of an error response. The vendor's format could not be read, so this accepts the likely ones: an object
/// `error` with `code`, `message`, and `details`; the same without the wrapper; and OAuth's `error` with
/// `error_description`.
pub(super) fn read(body: &Value) -> VendorError {
    let inner = body.get("error").filter(|error| error.is_object()).unwrap_or(body);
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    let word = text(body, "error");
    let message = text(inner, "message").or_else(|| text(body, "error_description"));
    let field_error = |detail: &Value| Some((text(detail, "field")?, text(detail, "message").unwrap_or_default()));
    VendorError {
        code: text(inner, "code").or_else(|| word.clone().filter(|_| message.is_some())),
        message: message.or(word),
        fields: inner.get("details").and_then(Value::as_array).into_iter().flatten().filter_map(field_error).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parts(body: Value) -> (Option<String>, Option<String>, Vec<(String, String)>) {
        let VendorError { message, code, fields } = read(&body);
        (message, code, fields)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn the_assumed_error_format_is_read() {
        let details = json!([{"field": "name", "message": "is missing"}, {"field": "address"}, "odd"]);
        let body =
            json!({"error": {"code": "validation_error", "message": "Two fields are wrong", "details": details}});
        let fields = [("name", "is missing"), ("address", "")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(parts(body), (some("Two fields are wrong"), some("validation_error"), fields.into()));
    }

    #[test]
    fn other_error_formats_still_yield_a_message() {
        for (body, message, code) in [
            (json!({"message": "No", "code": "forbidden"}), some("No"), some("forbidden")),
            (json!({"error": "invalid_grant", "error_description": "Too old"}), some("Too old"), some("invalid_grant")),
            (json!({"error": "No"}), some("No"), None),
            (json!({"error": ["No"]}), None, None),
            (json!([]), None, None),
            (json!("No"), None, None),
        ] {
            assert_eq!(parts(body.clone()), (message, code, Vec::new()), "{body}");
        }
    }
}
