//! Reads the message, code, and field errors out of an error response.

use serde_json::Value;

use crate::vendor::VendorError;

/// Reads the body of an error response. The vendor promises details that identify the problem, but their format could not be
/// read. This accepts what most APIs send: `message` and `code`, possibly inside `error`, and a list `errors`.
pub(super) fn read(body: &Value) -> VendorError {
    let error = body.get("error").unwrap_or(&Value::Null);
    let text = |name: &str| [body, error].into_iter().find_map(|part| scalar(part.get(name)?));
    let errors = body.get("errors").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let fields: Vec<_> = errors.iter().filter_map(field_error).collect();
    let message = text("message").or_else(|| scalar(error));
    let message = message.or_else(|| fields.first().map(|(_, error)| error.clone()));
    VendorError { message, code: text("code"), fields }
}

/// The field, empty if it is not named, and what is wrong with it.
fn field_error(value: &Value) -> Option<(String, String)> {
    let text = |name: &str| value.get(name).and_then(scalar);
    match scalar(value) {
        Some(message) => Some((String::new(), message)),
        None => Some((text("field").or_else(|| text("path")).unwrap_or_default(), text("message")?)),
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_common_error_formats_are_read() {
        for (body, message, code) in [
            (json!({"message": "No slot left", "code": "SLOT_TAKEN"}), Some("No slot left"), Some("SLOT_TAKEN")),
            (json!({"error": {"message": "No slot left", "code": 17}}), Some("No slot left"), Some("17")),
            (json!({"error": "No slot left"}), Some("No slot left"), None),
            (json!({"errors": ["No slot left"]}), Some("No slot left"), None),
            (json!({"error": true, "errors": {}}), None, None),
            (json!(["No slot left"]), None, None),
        ] {
            let read = read(&body);
            assert_eq!((read.message.as_deref(), read.code.as_deref()), (message, code), "{body}");
        }
    }

    #[test]
    fn field_errors_name_their_field() {
        let body = json!({"message": "Invalid", "errors": [{"field": "email", "message": "no address"}, "odd", {}, 7]});
        let named = [("email", "no address"), ("", "odd"), ("", "7")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(read(&body).fields, named);
    }
}
