//! Validates request bodies: which fields they may contain, which values, and which are required.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::error_response::{FieldError, error, invalid};
use super::schema::{ADDRESS, Field, FieldType, Kind};
use super::store::Store;
use crate::testing::error_response::ErrorResponse;
use crate::testing::query::date;

/// What a body is for: a new record, or the record with this id.
#[derive(Clone, Copy, Debug)]
pub(super) enum Write<'a> {
    Create,
    Update(&'a str),
}

/// Validates bodies against the stored records.
#[derive(Clone, Copy)]
pub(super) struct Validator<'a> {
    pub(super) ignores_unknown_fields: bool,
    pub(super) store: &'a Store,
}

impl Validator<'_> {
    /// The values to store for a body, or the errors of all fields.
    pub(super) fn values(
        &self,
        kind: Kind,
        write: Write<'_>,
        body: &Map<String, Value>,
    ) -> Result<Map<String, Value>, ErrorResponse> {
        let mut errors = Vec::new();
        let mut add = |field: &str, message: String| errors.push(FieldError { field: field.to_owned(), message });
        for (name, value) in body {
            match kind.fields().iter().find(|field| field.name == name) {
                Some(field) if value.is_null() && field.required => add(name, "is required".to_owned()),
                Some(_) if value.is_null() => add(name, "must not be null".to_owned()),
                Some(field) => {
                    if let Err(message) = self.check(field, value) {
                        add(name, message);
                    }
                }
                None if !self.ignores_unknown_fields => add(name, "is not a writable field".to_owned()),
                None => {}
            }
        }
        if let Write::Create = write {
            for field in kind.fields().iter().filter(|field| field.required && !body.contains_key(field.name)) {
                add(field.name, "is required".to_owned());
            }
        }
        if !errors.is_empty() {
            return Err(invalid(errors));
        }
        self.check_serial_number(kind, write, body)?;
        let known = |(name, _): &(&String, &Value)| kind.fields().iter().any(|field| field.name == *name);
        Ok(body.iter().filter(known).map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Checks that no other asset has the serial number.
    fn check_serial_number(
        &self,
        kind: Kind,
        write: Write<'_>,
        body: &Map<String, Value>,
    ) -> Result<(), ErrorResponse> {
        let Some(serial) = body.get("serial_number").and_then(Value::as_str).filter(|_| kind == Kind::Asset) else {
            return Ok(());
        };
        let own = match write {
            Write::Create => None,
            Write::Update(id) => Some(id),
        };
        match self.store.of(kind, "serial_number", serial).any(|asset| Some(asset.id.as_str()) != own) {
            true => Err(error(StatusCode::CONFLICT, "Another asset has this serial number.")),
            false => Ok(()),
        }
    }

    fn check(&self, field: &Field, value: &Value) -> Result<(), String> {
        let text = value.as_str();
        let (is_valid, expected) = match field.field_type {
            FieldType::Address => {
                let known = |(name, value): (&String, &Value)| {
                    if ADDRESS.contains(&name.as_str()) { value.is_string() } else { self.ignores_unknown_fields }
                };
                (value.as_object().is_some_and(|address| address.iter().all(known)), "an address".to_owned())
            }
            FieldType::Count(from) => {
                // A larger number than `u64` has is a float here.
                let count = value.as_f64().filter(|count| !value.is_f64() || *count > u64::MAX as f64);
                (count.is_some_and(|count| count >= from as f64), format!("an integer of at least {from}"))
            }
            FieldType::Date => (text.is_some_and(|text| date(text).is_some()), "a date such as 2026-03-02".to_owned()),
            FieldType::One(kind) => {
                let exists = text.is_some_and(|id| self.store.get(kind, id).is_some());
                (exists, "the id of a record that exists".to_owned())
            }
            FieldType::OneOf(values) => (text.is_some_and(|text| values.contains(&text)), values.join(", ")),
            FieldType::Text => (text.is_some_and(|text| !field.required || !text.is_empty()), "text".to_owned()),
            FieldType::Time => {
                let known = |text: &str| text.ends_with('Z') && text.parse::<Timestamp>().is_ok();
                (text.is_some_and(known), "a time such as 2026-03-02T08:00:00Z".to_owned())
            }
        };
        if is_valid { Ok(()) } else { Err(format!("must be {expected}")) }
    }
}
