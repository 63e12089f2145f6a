//! Reads the message out of an error response.

use serde_json::Value;

use crate::vendor::VendorError;

/// Reads the body of an error response, in the form that clients have observed: `{"status": 404, "developerMessage": ".."}`.
pub(super) fn read(body: &Value) -> VendorError {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    VendorError { message: text("developerMessage").or_else(|| text("message")), code: None, fields: Vec::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_message_is_read_from_either_field() {
        for (body, message) in [
            (json!({"status": 404, "developerMessage": "No such order"}), Some("No such order")),
            (json!({"message": "No such order"}), Some("No such order")),
            (json!({"developerMessage": {"text": "No such order"}}), None),
            (json!({"status": {"id": 1}}), None),
            (json!(["No such order"]), None),
        ] {
            assert_eq!(read(&body).message.as_deref(), message, "{body}");
        }
    }
}
