//! Validates request bodies: which fields they may contain, which values, and which are required.

use bytes::Bytes;
use http::Request;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::error_response::error;
use super::options::Options;
use super::schema::{ADDRESS, Field, Kind, Resource, Write};
use super::store::{ROOT, Record, Store};
use crate::testing::body;
use crate::testing::error_response::ErrorResponse;

/// Validates bodies against the options and the stored objects.
#[derive(Clone, Copy)]
pub(super) struct Validator<'a> {
    pub(super) options: &'a Options,
    pub(super) store: &'a Store,
}

/// The body as a JSON object.
pub(super) fn body(request: &Request<Bytes>) -> Result<Map<String, Value>, ErrorResponse> {
    body::json_object(request).map_err(|reason| error(reason.status(), reason.message()))
}

impl<'a> Validator<'a> {
    /// The values to store for a body that creates (`Write::OnCreate`) or updates (`Write::OnUpdate`) an object.
    pub(super) fn values(
        &self,
        resource: Resource,
        write: Write,
        body: &Map<String, Value>,
    ) -> Result<Map<String, Value>, ErrorResponse> {
        let mut values = Map::new();
        for (name, value) in body {
            match resource.field(name) {
                Some(field) if field.write == write || field.write == Write::Always => {
                    values.insert(name.clone(), self.value(resource, field, value)?);
                }
                Some(_) => return Err(self.invalid(format!("`{name}` cannot be written."))),
                None if matches!(name.as_str(), "id" | "href" | "createdAt" | "tags") => {
                    return Err(self.invalid(format!("`{name}` cannot be written.")));
                }
                // The fields of an update of a line or a task are not documented.
                None if matches!(resource, Resource::Line | Resource::Task) || self.options.ignores_unknown_fields => {}
                None => return Err(self.invalid(format!("There is no field `{name}`."))),
            }
        }
        Ok(values)
    }

    /// The values of the notes in a body, each with its author. The default author is `author`.
    pub(super) fn notes(&self, notes: &Value, author: i64) -> Result<Vec<Map<String, Value>>, ErrorResponse> {
        let Value::Array(notes) = notes else {
            return Err(self.invalid("`notes` must be an array."));
        };
        let note = |note: &Value| {
            let Value::Object(body) = note else { return Err(self.invalid("A note must be an object.")) };
            let mut values = self.values(Resource::Note, Write::OnCreate, body)?;
            self.require(&values, "type")?;
            self.require(&values, "text")?;
            let by = values.entry("createdBy").or_insert(Value::Null);
            if by.is_null() {
                *by = author.into();
            }
            Ok(values)
        };
        notes.iter().map(note).collect()
    }

    /// Checks the required fields. A customer needs a phone number or an email address, a device needs a name and a
    /// serial number or an IMEI. `values` are the values after the write.
    pub(super) fn check_required(&self, resource: Resource, values: &Map<String, Value>) -> Result<(), ErrorResponse> {
        match resource {
            Resource::Customer if blank(values, "phone") && blank(values, "email") => {
                Err(self.invalid("A customer needs `phone` or `email`."))
            }
            Resource::Device if blank(values, "serialNumber") && blank(values, "imeiNumber1") => {
                Err(self.invalid("A device needs `serialNumber` or `imeiNumber1`."))
            }
            Resource::Device => self.require(values, "name"),
            _ => Ok(()),
        }
    }

    /// Checks the body of an invoice for an order.
    pub(super) fn check_invoice(&self, order: &Record, body: &Map<String, Value>) -> Result<(), ErrorResponse> {
        for (name, value) in body {
            match name.as_str() {
                "address" => drop(self.check(name, ADDRESS, value)?),
                "contactName" | "reference" => drop(self.check(name, Kind::Text, value)?),
                "lines" => {
                    let lines = value.as_array().ok_or_else(|| self.invalid("`lines` must be an array."))?;
                    for line in lines {
                        let line = self.reference(name, line)?;
                        if self.store.get(Resource::Line, order.id, line).is_none() {
                            return Err(self.invalid(format!("The order has no line {line}.")));
                        }
                    }
                }
                // The only known client that creates invoices sends the customer of the order, so the kind of record is
                // open.
                "user" => drop(self.reference(name, value)?),
                _ if self.options.ignores_unknown_fields => {}
                _ => return Err(self.invalid(format!("There is no field `{name}`."))),
            }
        }
        Ok(())
    }

    pub(super) fn invalid(&self, message: impl Into<String>) -> ErrorResponse {
        error(self.options.validation_status, message)
    }

    fn require(&self, values: &Map<String, Value>, name: &str) -> Result<(), ErrorResponse> {
        if blank(values, name) { Err(self.invalid(format!("`{name}` is required."))) } else { Ok(()) }
    }

    /// A value as it is stored. Only a customer's fields may be null, which removes a value.
    fn value(&self, resource: Resource, field: &Field, value: &Value) -> Result<Value, ErrorResponse> {
        match value {
            Value::Null if resource == Resource::Customer => Ok(Value::Null),
            value => self.check(field.name, field.kind, value),
        }
    }

    /// A value as it is stored, if it has the right type.
    fn check(&self, name: &str, kind: Kind, value: &Value) -> Result<Value, ErrorResponse> {
        let expected = match (kind, value) {
            (Kind::Amount | Kind::Number, Value::Number(_)) => return Ok(value.clone()),
            (Kind::Amount | Kind::Number, Value::String(text)) if text.parse::<f64>().is_ok_and(f64::is_finite) => {
                return Ok(json!(text.parse::<f64>().unwrap_or_default()));
            }
            (Kind::Amount | Kind::Number, _) => "a number".to_owned(),
            (Kind::Author, Value::Number(id)) if id.is_i64() => {
                return self.existing(name, Resource::User, id.as_i64().unwrap_or_default());
            }
            (Kind::Author, _) => "the integer id of a user".to_owned(),
            (Kind::Date, Value::String(text)) if text.len() == 10 && text.parse::<Date>().is_ok() => {
                return Ok(value.clone());
            }
            (Kind::Date, _) => "a date such as `2026-03-02`".to_owned(),
            (Kind::Embedded(texts), Value::Object(object)) => {
                for (inner, value) in object {
                    let is_text = texts.contains(&inner.as_str()) && (value.is_null() || value.is_string());
                    let is_ignored = !texts.contains(&inner.as_str()) && self.options.ignores_unknown_fields;
                    if !is_text && !is_ignored {
                        return Err(self.invalid(format!("`{name}` has no text `{inner}`.")));
                    }
                }
                return Ok(value.clone());
            }
            (Kind::Embedded(_), _) => "an object".to_owned(),
            (Kind::Flag, Value::Bool(_)) | (Kind::Text, Value::String(_)) => return Ok(value.clone()),
            (Kind::Flag, _) => "true or false".to_owned(),
            (Kind::One(resource), _) => return self.existing(name, resource, self.reference(name, value)?),
            (Kind::OneOf(known), Value::String(text)) if known.contains(&text.as_str()) => return Ok(value.clone()),
            (Kind::OneOf(known), _) => format!("one of {}", known.join(", ")),
            _ => "text".to_owned(),
        };
        Err(self.invalid(format!("`{name}` must be {expected}.")))
    }

    fn reference(&self, name: &str, value: &Value) -> Result<i64, ErrorResponse> {
        match value.as_object() {
            Some(object) if object.len() == 1 || self.options.ignores_unknown_fields => {
                object.get("id").and_then(Value::as_i64)
            }
            _ => None,
        }
        .ok_or_else(|| self.invalid(format!("`{name}` must be a reference such as `{{\"id\": 1}}`.")))
    }

    fn existing(&self, name: &str, resource: Resource, id: i64) -> Result<Value, ErrorResponse> {
        match self.store.get(resource, ROOT, id) {
            Some(_) => Ok(id.into()),
            None => Err(self.invalid(format!("`{name}` refers to a record that does not exist."))),
        }
    }
}

fn blank(values: &Map<String, Value>, name: &str) -> bool {
    values.get(name).is_none_or(|value| value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::mock_server::MockServer;

    fn refused(method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, response) = MockServer::builder().in_memory().request(method, path, Some(body));
        (status.as_u16(), response["developerMessage"].as_str().unwrap_or_default().to_owned())
    }

    #[test]
    fn fields_that_the_vendor_sets_are_refused_by_name() {
        for field in ["id", "href", "createdAt", "tags"] {
            for (method, path) in [
                ("POST", "/orders"),
                ("PATCH", "/orders/20000010"),
                ("POST", "/customers"),
                ("PUT", "/customers/1"),
                ("POST", "/devices"),
            ] {
                let (status, message) = refused(method, path, json!({field: null}));
                assert_eq!((status, message), (400, format!("`{field}` cannot be written.")), "{method} {path}");
            }
        }
    }

    #[test]
    fn an_invalid_value_is_refused_with_the_expected_type() {
        for (path, body, message) in [
            (
                "/orders",
                json!({"internalLocation": "ORBIT"}),
                "`internalLocation` must be one of CUSTOMER, DEALER_SHOP, IN_TRANSIT, SERVICE, STORE.",
            ),
            ("/orders", json!({"isDraft": "yes"}), "`isDraft` must be true or false."),
            ("/orders", json!({"reference": 7}), "`reference` must be text."),
            ("/orders", json!({"customer": 1}), "`customer` must be a reference such as `{\"id\": 1}`."),
            (
                "/orders",
                json!({"customer": {"id": 1, "href": "x"}}),
                "`customer` must be a reference such as `{\"id\": 1}`.",
            ),
            ("/orders", json!({"customer": {"id": 999}}), "`customer` refers to a record that does not exist."),
            ("/orders", json!({"contact": {"phone": "1"}}), "`contact` has no text `phone`."),
            ("/orders", json!({"lines": []}), "`lines` cannot be written."),
            ("/orders", json!({"color": "blue"}), "There is no field `color`."),
            ("/orders", json!({"notes": {}}), "`notes` must be an array."),
            ("/orders", json!({"notes": [{"type": "ISSUE"}]}), "`text` is required."),
            ("/orders/20000010/notes", json!({"notes": [{"text": "x"}]}), "`type` is required."),
            (
                "/orders/20000010/notes",
                json!({"notes": [{"type": "GOSSIP", "text": "x"}]}),
                "`type` must be one of DIAGNOSIS, INTERNAL, ISSUE, RESOLUTION.",
            ),
            (
                "/orders/20000010/notes",
                json!({"notes": [{"type": "ISSUE", "text": "x", "createdBy": {"id": 107_460}}]}),
                "`createdBy` must be the integer id of a user.",
            ),
            ("/customers", json!({"firstName": "Jill", "phone": " "}), "A customer needs `phone` or `email`."),
            ("/devices", json!({"serialNumber": "X1"}), "`name` is required."),
            ("/devices", json!({"name": "Phone"}), "A device needs `serialNumber` or `imeiNumber1`."),
            (
                "/devices",
                json!({"name": "Phone", "serialNumber": "X1", "purchaseDate": "02.03.2026"}),
                "`purchaseDate` must be a date such as `2026-03-02`.",
            ),
            ("/orders/20000010/invoice", json!({"lines": [{"id": 999}]}), "The order has no line 999."),
        ] {
            assert_eq!(refused("POST", path, body.clone()), (400, message.to_owned()), "{path} {body}");
        }
    }

    #[test]
    fn the_status_of_an_invalid_body_can_be_chosen() {
        let server = MockServer::builder().with_validation_status(422).in_memory();
        let (status, body) = server.request("POST", "/customers", Some(json!({})));
        assert_eq!((status.as_u16(), &body["status"]), (422, &json!(422)));
    }

    #[test]
    fn unknown_fields_can_be_ignored_but_not_the_vendors_own() {
        let server = MockServer::builder().with_unknown_fields_ignored().in_memory();
        let (status, order) = server.request("POST", "/orders", Some(json!({"color": "blue"})));
        assert_eq!(status, 201);
        assert_eq!(order.get("color"), None);
        assert_eq!(server.request("POST", "/orders", Some(json!({"id": 1}))).0, 400);
    }
}
