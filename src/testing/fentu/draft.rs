//! The body of a write: what it may say, and what has to be in it.

use http::StatusCode;
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::params::day;
use super::refusal::Refusal;
use super::schema::{ADDRESS, Field, Holds, Kind};
use super::store::Store;

/// What a body writes over: nothing, or a record.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over<'a> {
    Nothing,
    Record(&'a str),
}

/// Checks bodies against what is stored.
#[derive(Clone, Copy)]
pub(super) struct Draft<'a> {
    pub(super) ignores_unknown_fields: bool,
    pub(super) store: &'a Store,
}

impl Draft<'_> {
    /// The values to store for a body. Every complaint is made at once.
    pub(super) fn values(
        &self,
        kind: Kind,
        over: Over<'_>,
        body: &Map<String, Value>,
    ) -> Result<Map<String, Value>, Refusal> {
        let mut complaints = Vec::new();
        let mut complain = |field: &str, what: String| complaints.push((field.to_owned(), what));
        for (name, value) in body {
            match kind.fields().iter().find(|field| field.name == name) {
                Some(field) if value.is_null() && field.required => complain(name, "is required".to_owned()),
                Some(field) if !value.is_null() => {
                    if let Err(what) = self.fits(field, value) {
                        complain(name, what);
                    }
                }
                None if !self.ignores_unknown_fields => complain(name, "is no field that can be written".to_owned()),
                _ => {}
            }
        }
        if let Over::Nothing = over {
            for field in kind.fields().iter().filter(|field| field.required && !body.contains_key(field.name)) {
                complain(field.name, "is required".to_owned());
            }
        }
        if !complaints.is_empty() {
            return Err(Refusal::invalid(complaints));
        }
        self.is_unique(kind, over, body)?;
        let known = |(name, _): &(&String, &Value)| kind.fields().iter().any(|field| field.name == *name);
        Ok(body.iter().filter(known).map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// A serial number is one asset's alone.
    fn is_unique(&self, kind: Kind, over: Over<'_>, body: &Map<String, Value>) -> Result<(), Refusal> {
        let Some(serial) = body.get("serial_number").and_then(Value::as_str).filter(|_| kind == Kind::Asset) else {
            return Ok(());
        };
        let own = match over {
            Over::Nothing => None,
            Over::Record(id) => Some(id),
        };
        match self.store.of(kind, "serial_number", serial).any(|asset| Some(asset.id.as_str()) != own) {
            true => Err(Refusal::new(StatusCode::CONFLICT, "Another asset has this serial number.")),
            false => Ok(()),
        }
    }

    fn fits(&self, field: &Field, value: &Value) -> Result<(), String> {
        let text = value.as_str();
        let (fits, wanted) = match field.holds {
            Holds::Address => {
                let known = |(name, value): (&String, &Value)| ADDRESS.contains(&name.as_str()) && value.is_string();
                (value.as_object().is_some_and(|address| address.iter().all(known)), "an address".to_owned())
            }
            Holds::Count(from) => (value.as_u64().is_some_and(|n| n >= from), format!("a whole number from {from}")),
            Holds::Day => (text.is_some_and(|text| day(text).is_some()), "a date such as 2026-03-02".to_owned()),
            Holds::One(kind) => {
                let exists = text.is_some_and(|id| self.store.get(kind, id).is_some());
                (exists, "the id of a record that exists".to_owned())
            }
            Holds::OneOf(values) => (text.is_some_and(|text| values.contains(&text)), values.join(", ")),
            Holds::Text => (text.is_some_and(|text| !field.required || !text.is_empty()), "a text".to_owned()),
            Holds::Time => {
                let known = |text: &str| text.ends_with('Z') && text.parse::<Timestamp>().is_ok();
                (text.is_some_and(known), "a time such as 2026-03-02T08:00:00Z".to_owned())
            }
        };
        if fits { Ok(()) } else { Err(format!("has to be {wanted}")) }
    }
}
