//! The answer to a change, of which nobody knows what is in it.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;

/// What came back from a change: the object as it is now, or nothing that is known.
///
/// The vendor does not show what these calls answer. An answer with an `id` in it is taken to be the object; any other one,
/// an empty one included, is a success all the same, and its bytes are in [`Response::body`](crate::Response::body).
///
/// # Example
///
/// ```
/// use servicebay::repairy::{Echo, types::Booking};
///
/// let told: Echo<Booking> = serde_json::from_str(r#"{"id": "67a1", "code": "B-1"}"#)?;
/// assert_eq!(told.object().and_then(|booking| booking.code.as_deref()), Some("B-1"));
///
/// let silent: Echo<Booking> = serde_json::from_str(r#"{"success": true}"#)?;
/// assert_eq!(silent.object(), None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Echo<T>(Option<T>);

impl<T> Echo<T> {
    /// The object, where it came back.
    pub fn object(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The object, where it came back.
    pub fn into_object(self) -> Option<T> {
        self.0
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Echo<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let answer = Value::deserialize(deserializer)?;
        let is_object = answer.get("id").is_some();
        Ok(Self(if is_object { serde_json::from_value(answer).ok() } else { None }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::ServiceReminder;
    use super::*;

    #[test]
    fn no_answer_is_too_odd_for_a_success() {
        for json in ["null", "true", "\"ok\"", "[]", "[{\"id\": \"1\"}]", "{}", "{\"message\": \"done\"}", "7"] {
            let echo: Echo<ServiceReminder> = serde_json::from_str(json).unwrap();
            assert_eq!(echo.into_object(), None, "{json}");
        }
    }
}
