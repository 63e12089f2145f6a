//! The body of a write: what it may say, and what has to be in it.

use bytes::Bytes;
use http::Request;
use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::builder::Options;
use super::refusal::Refusal;
use super::schema::{Field, Kind, Resource, Write};
use super::store::{ROOT, Record, Store};
use crate::testing::body;

/// Checks bodies against what is stored.
#[derive(Clone, Copy)]
pub(super) struct Draft<'a> {
    pub(super) options: &'a Options,
    pub(super) store: &'a Store,
}

/// Reads a body, which has to be a JSON object and to say so.
pub(super) fn read(request: &Request<Bytes>) -> Result<Map<String, Value>, Refusal> {
    body::json_object(request).map_err(|problem| Refusal::new(problem.status(), problem.message()))
}

impl<'a> Draft<'a> {
    /// The values to store for a body that creates (`Write::OnCreate`) or updates (`Write::OnUpdate`) an object.
    pub(super) fn values(
        &self,
        resource: Resource,
        write: Write,
        body: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Refusal> {
        let mut values = Map::new();
        for (name, value) in body {
            match resource.field(name) {
                Some(field) if field.write == write || field.write == Write::Always => {
                    values.insert(name.clone(), self.value(field, value)?);
                }
                Some(_) => return Err(self.invalid(format!("`{name}` cannot be written."))),
                None if matches!(name.as_str(), "id" | "href" | "createdAt" | "tags") => {
                    return Err(self.invalid(format!("`{name}` cannot be written.")));
                }
                // Nobody outside the vendor knows what an update of a line or a task may say.
                None if matches!(resource, Resource::Line | Resource::Task) || self.options.ignores_unknown_fields => {}
                None => return Err(self.invalid(format!("There is no field `{name}`."))),
            }
        }
        Ok(values)
    }

    /// The values of the notes in a body, each with its author, whose default is `author`.
    pub(super) fn notes(&self, notes: &Value, author: i64) -> Result<Vec<Map<String, Value>>, Refusal> {
        let Value::Array(notes) = notes else {
            return Err(self.invalid("`notes` has to be an array."));
        };
        let note = |note: &Value| {
            let Value::Object(body) = note else { return Err(self.invalid("A note has to be an object.")) };
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

    /// A customer needs a phone number or an e-mail address, a device a name and a serial number or an IMEI. `values`
    /// are those after the write.
    pub(super) fn complete(&self, resource: Resource, values: &Map<String, Value>) -> Result<(), Refusal> {
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
    pub(super) fn invoice(&self, order: &Record, body: &Map<String, Value>) -> Result<(), Refusal> {
        const ADDRESS: Kind = Kind::Embedded(&["name", "address1", "zip", "city", "state", "country"]);
        for (name, value) in body {
            match name.as_str() {
                "address" => drop(self.fits(name, ADDRESS, value)?),
                "contactName" | "reference" => drop(self.fits(name, Kind::Text, value)?),
                "lines" => {
                    let lines = value.as_array().ok_or_else(|| self.invalid("`lines` has to be an array."))?;
                    for line in lines {
                        let line = self.reference(name, line)?;
                        if self.store.get(Resource::Line, order.id, line).is_none() {
                            return Err(self.invalid(format!("The order has no line {line}.")));
                        }
                    }
                }
                // The one client that writes invoices puts the order's customer here; so which record it means is open.
                "user" => drop(self.reference(name, value)?),
                _ if self.options.ignores_unknown_fields => {}
                _ => return Err(self.invalid(format!("There is no field `{name}`."))),
            }
        }
        Ok(())
    }

    pub(super) fn invalid(&self, message: impl Into<String>) -> Refusal {
        Refusal::new(self.options.validation_status, message)
    }

    fn require(&self, values: &Map<String, Value>, name: &str) -> Result<(), Refusal> {
        if blank(values, name) { Err(self.invalid(format!("`{name}` is required."))) } else { Ok(()) }
    }

    fn value(&self, field: &Field, value: &Value) -> Result<Value, Refusal> {
        if value.is_null() { Ok(Value::Null) } else { self.fits(field.name, field.kind, value) }
    }

    /// A value as it is stored, if it is of a kind.
    fn fits(&self, name: &str, kind: Kind, value: &Value) -> Result<Value, Refusal> {
        let wanted = match (kind, value) {
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
                    let known = texts.contains(&inner.as_str()) || self.options.ignores_unknown_fields;
                    if !known || !(value.is_null() || value.is_string()) {
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
        Err(self.invalid(format!("`{name}` has to be {wanted}.")))
    }

    fn reference(&self, name: &str, value: &Value) -> Result<i64, Refusal> {
        match value.as_object() {
            Some(object) if object.len() == 1 => object.get("id").and_then(Value::as_i64),
            _ => None,
        }
        .ok_or_else(|| self.invalid(format!("`{name}` has to be a reference such as `{{\"id\": 1}}`.")))
    }

    fn existing(&self, name: &str, resource: Resource, id: i64) -> Result<Value, Refusal> {
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

    use super::super::MockServer;

    fn refused(method: &str, path: &str, body: Value) -> (u16, String) {
        let (status, answer) = MockServer::builder().in_memory().ask(method, path, Some(body));
        (status.as_u16(), answer["developerMessage"].as_str().unwrap_or_default().to_owned())
    }

    #[test]
    fn what_the_vendor_sets_itself_is_refused_by_name() {
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
    fn a_value_that_does_not_fit_is_refused_with_what_would() {
        for (path, body, message) in [
            (
                "/orders",
                json!({"internalLocation": "ORBIT"}),
                "`internalLocation` has to be one of CUSTOMER, DEALER_SHOP, IN_TRANSIT, SERVICE, STORE.",
            ),
            ("/orders", json!({"isDraft": "yes"}), "`isDraft` has to be true or false."),
            ("/orders", json!({"reference": 7}), "`reference` has to be text."),
            ("/orders", json!({"customer": 1}), "`customer` has to be a reference such as `{\"id\": 1}`."),
            (
                "/orders",
                json!({"customer": {"id": 1, "href": "x"}}),
                "`customer` has to be a reference such as `{\"id\": 1}`.",
            ),
            ("/orders", json!({"customer": {"id": 999}}), "`customer` refers to a record that does not exist."),
            ("/orders", json!({"contact": {"phone": "1"}}), "`contact` has no text `phone`."),
            ("/orders", json!({"lines": []}), "`lines` cannot be written."),
            ("/orders", json!({"colour": "blue"}), "There is no field `colour`."),
            ("/orders", json!({"notes": {}}), "`notes` has to be an array."),
            ("/orders", json!({"notes": [{"type": "ISSUE"}]}), "`text` is required."),
            ("/orders/20000010/notes", json!({"notes": [{"text": "x"}]}), "`type` is required."),
            (
                "/orders/20000010/notes",
                json!({"notes": [{"type": "GOSSIP", "text": "x"}]}),
                "`type` has to be one of DIAGNOSIS, INTERNAL, ISSUE, RESOLUTION.",
            ),
            (
                "/orders/20000010/notes",
                json!({"notes": [{"type": "ISSUE", "text": "x", "createdBy": {"id": 107_460}}]}),
                "`createdBy` has to be the integer id of a user.",
            ),
            ("/customers", json!({"firstName": "Jill", "phone": " "}), "A customer needs `phone` or `email`."),
            ("/devices", json!({"serialNumber": "X1"}), "`name` is required."),
            ("/devices", json!({"name": "Phone"}), "A device needs `serialNumber` or `imeiNumber1`."),
            (
                "/devices",
                json!({"name": "Phone", "serialNumber": "X1", "purchaseDate": "02.03.2026"}),
                "`purchaseDate` has to be a date such as `2026-03-02`.",
            ),
            ("/orders/20000010/invoice", json!({"lines": [{"id": 999}]}), "The order has no line 999."),
        ] {
            assert_eq!(refused("POST", path, body.clone()), (400, message.to_owned()), "{path} {body}");
        }
    }

    #[test]
    fn the_status_of_an_invalid_body_can_be_chosen() {
        let tenant = MockServer::builder().with_validation_status(422).in_memory();
        let (status, body) = tenant.ask("POST", "/customers", Some(json!({})));
        assert_eq!((status.as_u16(), &body["status"]), (422, &json!(422)));
    }

    #[test]
    fn unknown_fields_can_be_let_through_and_the_vendors_own_still_cannot() {
        let tenant = MockServer::builder().with_unknown_fields_ignored().in_memory();
        let (status, order) = tenant.ask("POST", "/orders", Some(json!({"colour": "blue"})));
        assert_eq!(status, 201);
        assert_eq!(order.get("colour"), None);
        assert_eq!(tenant.ask("POST", "/orders", Some(json!({"id": 1}))).0, 400);
    }
}
