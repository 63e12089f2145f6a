//! What a cancellation answers.

use serde::de::{Deserialize, Deserializer};
use serde_json::Value;

use super::types::Occurrence;

/// What a cancellation answers: the occurrence that was left, where the vendor sends it.
///
/// The one client that reads this answer misspells the name that the occurrence stands under, so the name is not
/// known. It is taken from whichever member holds an object with an id; and an answer without one is still a
/// cancellation that took place.
#[derive(Clone, Debug, PartialEq)]
pub struct Cancelled(Option<Occurrence>);

impl Cancelled {
    /// The occurrence as it is now.
    pub fn occurrence(&self) -> Option<&Occurrence> {
        self.0.as_ref()
    }
}

impl<'de> Deserialize<'de> for Cancelled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let answer = Value::deserialize(deserializer)?;
        let identified = |value: &&Value| value.get("id").is_some();
        let members = answer.as_object().into_iter().flat_map(|answer| answer.values());
        let found = Some(&answer).filter(identified).or_else(|| members.into_iter().find(identified));
        Ok(Self(found.and_then(|occurrence| Occurrence::deserialize(occurrence).ok())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(answer: &str) -> Option<i64> {
        let cancelled: Cancelled = serde_json::from_str(answer).expect("a cancellation");
        cancelled.occurrence().and_then(|occurrence| occurrence.id).map(super::super::Id::get)
    }

    #[test]
    fn the_occurrence_is_found_whatever_it_is_called() {
        for answer in [r#"{"occurrence": {"id": 5}}"#, r#"{"success": true, "occurence": {"id": 5}}"#, r#"{"id": 5}"#] {
            assert_eq!(id(answer), Some(5), "{answer}");
        }
    }

    #[test]
    fn an_answer_without_an_occurrence_is_a_cancellation_all_the_same() {
        for answer in ["{}", "null", "[]", "true", r#"{"occurrence": null}"#] {
            assert_eq!(id(answer), None, "{answer}");
        }
    }
}
