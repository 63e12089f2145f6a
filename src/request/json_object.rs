//! A JSON object in the query string, filled in member by member.

use serde::Serialize;
use serde_json::{Map, Value};

/// The members of a JSON object that stands in the query, each at its place in it.
#[derive(Debug, Default)]
pub(crate) struct JsonObject {
    pub(super) values: Map<String, Value>,
    /// The first member that cannot be written, and why.
    pub(super) problem: Option<(&'static str, String)>,
}

impl JsonObject {
    /// Adds a member; nothing where there is no value.
    pub(crate) fn put(&mut self, place: &[&'static str], value: Option<&impl Serialize>) {
        let (Some(value), [outer @ .., name]) = (value, place) else { return };
        match serde_json::to_value(value) {
            Ok(value) => {
                let mut values = &mut self.values;
                for name in outer {
                    let inner = values.entry(*name).or_insert_with(|| Value::Object(Map::new()));
                    let Value::Object(inner) = inner else { return };
                    values = inner;
                }
                values.insert((*name).to_owned(), value);
            }
            Err(error) => {
                self.problem.get_or_insert_with(|| (name, error.to_string()));
            }
        }
    }
}
