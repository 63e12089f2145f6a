//! The envelope of a record.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// `{"data": ..}`, around a record or a list that has no pages. Callers never see it.
///
/// A body without `data` is no answer, and fails: a record without a single field in its place would be silent loss.
#[derive(Debug, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
pub(crate) struct Data<T> {
    #[serde(deserialize_with = "content")]
    data: T,
}

impl<T> Data<T> {
    pub(crate) fn into_inner(self) -> T {
        self.data
    }
}

/// What is inside, as long as it has the shape that is due: an empty list is no record.
fn content<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    crate::lenient::value(deserializer)?.ok_or_else(|| D::Error::custom("another shape than is due here"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fentu::types::Task;

    #[test]
    fn a_body_without_data_is_no_record() {
        for body in ["{}", r#"{"data": null}"#, r#"{"data": []}"#, r#"{"data": "x"}"#, r#"{"id": "task-001"}"#, "[]"] {
            assert!(serde_json::from_str::<Data<Task>>(body).is_err(), "{body}");
        }
        let data: Data<Task> = serde_json::from_str(r#"{"meta": {}, "data": {"id": "task-001"}}"#).unwrap();
        assert_eq!(data.into_inner().id, Some("task-001".into()));
    }
}
