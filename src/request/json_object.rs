//! A query parameter that is a JSON object, filled in member by member.

use serde::Serialize;
use serde_json::{Map, Value};

/// A JSON object that is being filled in.
#[derive(Debug, Default)]
pub(crate) struct JsonObject {
    pub(super) members: Map<String, Value>,
    /// The first member that could not be written, and why.
    pub(super) error: Option<(&'static str, String)>,
}

impl JsonObject {
    /// Adds a member at a path of nested objects, if it has a value.
    pub(crate) fn put(&mut self, path: &[&'static str], value: Option<&impl Serialize>) {
        let (Some(value), [parents @ .., name]) = (value, path) else { return };
        match serde_json::to_value(value) {
            Ok(value) => {
                let mut members = &mut self.members;
                for parent in parents {
                    let object = members.entry(*parent).or_insert_with(|| Value::Object(Map::new()));
                    let Value::Object(object) = object else { return };
                    members = object;
                }
                members.insert((*name).to_owned(), value);
            }
            Err(error) => {
                self.error.get_or_insert_with(|| (name, error.to_string()));
            }
        }
    }
}
