//! Validates request bodies: which fields they may contain, which values, and which are required.

use bytes::Bytes;
use http::Request;
use serde_json::{Map, Value};

use super::error_response::{FieldError, error, invalid};
use super::schema::{Field, FieldType, SERVICE};
use crate::testing::body;
use crate::testing::error_response::ErrorResponse;

/// A request body, and what is wrong with it.
#[derive(Debug)]
pub(super) struct CheckedBody<'a> {
    pub(super) fields: &'a Map<String, Value>,
    pub(super) errors: Vec<FieldError>,
}

/// The body as a JSON object.
pub(super) fn body(request: &Request<Bytes>) -> Result<Map<String, Value>, ErrorResponse> {
    body::json_object(request).map_err(|reason| error(reason.status(), reason.message()))
}

impl<'a> CheckedBody<'a> {
    /// Checks the fields of a body. Unknown fields are errors unless they are ignored.
    pub(super) fn new(fields: &'a Map<String, Value>, schema: &[Field], ignores_unknown: bool) -> Self {
        let mut body = Self { fields, errors: Vec::new() };
        body.check_object("", fields, schema, ignores_unknown);
        body
    }

    /// The object in a field without its null members; empty if there is none.
    pub(super) fn object(&self, name: &str) -> Map<String, Value> {
        let mut object = self.fields.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        object.retain(|_, value| !value.is_null());
        object
    }

    /// The text at a path such as `workshopId` or `customer.email`; `None` if it is blank.
    pub(super) fn text(&self, path: &str) -> Option<&'a str> {
        let mut names = path.split('.');
        let first = self.fields.get(names.next()?)?;
        let text = names.try_fold(first, |value, name| value.get(name))?.as_str()?;
        (!text.trim().is_empty()).then_some(text)
    }

    pub(super) fn services(&self) -> &'a [Value] {
        self.fields.get("services").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// Requires a text at one of these paths.
    pub(super) fn require_one_of(&mut self, paths: &[&str]) {
        if !paths.iter().any(|path| self.text(path).is_some()) {
            self.add_error(&paths.join(" or "), "is required");
        }
    }

    pub(super) fn add_error(&mut self, field: &str, message: &str) {
        self.errors.push(FieldError::new(field, message));
    }

    /// The body, or an error response if it has errors.
    pub(super) fn validated(self) -> Result<Self, ErrorResponse> {
        if self.errors.is_empty() { Ok(self) } else { Err(invalid(self.errors)) }
    }

    fn check_object(&mut self, prefix: &str, object: &Map<String, Value>, schema: &[Field], ignores_unknown: bool) {
        for (name, value) in object {
            let path = format!("{prefix}{name}");
            match schema.iter().find(|field| field.0 == name) {
                Some(_) if value.is_null() => {}
                Some(field) => self.check_value(&path, value, field.1, ignores_unknown),
                None if ignores_unknown => {}
                None => self.add_error(&path, "is unknown"),
            }
        }
    }

    fn check_value(&mut self, path: &str, value: &Value, field_type: FieldType, ignores_unknown: bool) {
        match (field_type, value) {
            (FieldType::Object(schema), Value::Object(object)) => {
                self.check_object(&format!("{path}."), object, schema, ignores_unknown);
            }
            (FieldType::Services, Value::Array(services)) => {
                for (index, service) in services.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.check_value(&path, service, FieldType::Object(SERVICE), ignores_unknown);
                }
            }
            _ => {
                let (valid, requirement) = field_type.check(value);
                if !valid {
                    self.add_error(path, requirement);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::BOOKING;
    use super::*;

    fn errors(body: &Value) -> Vec<String> {
        let body = CheckedBody::new(body.as_object().expect("an object"), BOOKING, false);
        body.errors.iter().map(|error| format!("{} {}", error.field, error.message)).collect()
    }

    #[test]
    fn an_invalid_value_is_reported_with_its_requirement() {
        for (body, error) in [
            (json!({"customer": {"email": "ada@example"}}), "customer.email must be an email address"),
            (json!({"customer": {"phone": "+61400000001"}}), "customer.phone must be ten digits that begin with 0"),
            (json!({"customer": "Ada"}), "customer must be an object"),
            (json!({"car": {"year": "2019"}}), "car.year must be an integer"),
            (json!({"car": {"color": "red"}}), "car.color is unknown"),
            (json!({"dropOffTime": "2026-06-01T09:00Z"}), "dropOffTime must be a time such as 2026-06-01T09:00"),
            (json!({"dropOffTime": "2026-06-01"}), "dropOffTime must be a time such as 2026-06-01T09:00"),
            (json!({"serviceCategory": "maintenance"}), "serviceCategory must be service, tyres, repair or others"),
            (json!({"services": {}}), "services must be a list"),
            (json!({"services": [{}, 7]}), "services[1] must be an object"),
            (json!({"services": [{"source": "catalog"}]}), "services[0].source is unknown"),
            (json!({"services": [{"cost": "150"}]}), "services[0].cost must be a number"),
            (json!({"skipNotification": 1}), "skipNotification must be true or false"),
            (json!({"status": "completed"}), "status is unknown"),
            (json!({"externalId": 7}), "externalId must be text"),
        ] {
            assert_eq!(errors(&body), [error], "{body}");
        }
    }

    #[test]
    fn valid_values_and_null_are_accepted() {
        let body = json!({
            "workshopId": "1", "customer": {"email": "ada@mail.example.com", "phone": "0400000001", "address": null},
            "car": null, "dropOffTime": "2026-06-01T09:00:00", "services": [{"title": "Brakes", "cost": 99.5}],
        });
        assert_eq!(errors(&body), Vec::<String>::new());
    }

    #[test]
    fn a_blank_text_counts_as_missing() {
        let fields = json!({"customer": {"email": "a@b.c", "phone": " "}});
        let mut body = CheckedBody::new(fields.as_object().expect("an object"), &[], true);
        assert_eq!((body.text("customer.email"), body.text("customer.phone")), (Some("a@b.c"), None));
        body.require_one_of(&["customer.phone", "customer.email"]);
        body.require_one_of(&["customer.phone", "workshopId"]);
        assert_eq!(body.errors, [FieldError::new("customer.phone or workshopId", "is required")]);
    }
}
