//! The response to a cancellation.

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;

use super::generated::types::Occurrence;

/// The response to a cancellation: the occurrence as it is now, if the vendor sends it.
///
/// The one client that reads this response misspells the member that holds the occurrence, so its name is unknown. The
/// occurrence is taken from whichever member holds an object with an id. A response without one still means that the
/// cancellation succeeded.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancellation(Option<Occurrence>);

impl Cancellation {
    /// The occurrence as it is now.
    pub fn occurrence(&self) -> Option<&Occurrence> {
        self.0.as_ref()
    }
}

/// For your own tests.
impl From<Option<Occurrence>> for Cancellation {
    fn from(occurrence: Option<Occurrence>) -> Self {
        Self(occurrence)
    }
}

impl<'de> Deserialize<'de> for Cancellation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Value::deserialize(deserializer)?;
        let has_id = |value: &&Value| value.get("id").is_some();
        let members = body.as_object().into_iter().flat_map(|body| body.values());
        let found = Some(&body).filter(has_id).or_else(|| members.into_iter().find(has_id));
        Ok(Self(found.and_then(|occurrence| Occurrence::deserialize(occurrence).ok())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(body: &str) -> Option<i64> {
        let cancellation: Cancellation = serde_json::from_str(body).expect("a cancellation");
        cancellation.occurrence().and_then(|occurrence| occurrence.id).map(super::super::Id::get)
    }

    #[test]
    fn the_occurrence_is_found_under_any_name() {
        for body in [r#"{"occurrence": {"id": 5}}"#, r#"{"success": true, "occurence": {"id": 5}}"#, r#"{"id": 5}"#] {
            assert_eq!(id(body), Some(5), "{body}");
        }
    }

    #[test]
    fn a_response_without_an_occurrence_is_a_successful_cancellation() {
        for body in ["{}", "null", "[]", "true", r#"{"occurrence": null}"#] {
            assert_eq!(id(body), None, "{body}");
        }
    }
}
