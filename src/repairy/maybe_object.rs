//! The response to a change, which may contain the changed object.

use serde::de::{Deserialize, DeserializeOwned, Deserializer};
use serde_json::Value;

/// The response to a change: the object as it is now, if the vendor sends it.
///
/// The vendor does not show these responses. A body with an `id` is read as the object. Any other body, an empty one
/// included, is a success without an object; its bytes are in [`Response::body`](crate::Response::body).
///
/// # Example
///
/// ```
/// use servicebay::repairy::{MaybeObject, types::Booking};
///
/// let response: MaybeObject<Booking> = serde_json::from_str(r#"{"id": "67a1", "code": "B-1"}"#)?;
/// assert_eq!(response.object().and_then(|booking| booking.code.as_deref()), Some("B-1"));
///
/// let response: MaybeObject<Booking> = serde_json::from_str(r#"{"success": true}"#)?;
/// assert_eq!(response.object(), None);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct MaybeObject<T>(Option<T>);

impl<T> MaybeObject<T> {
    /// The object, if the response contains it.
    pub fn object(&self) -> Option<&T> {
        self.0.as_ref()
    }

    /// The object, if the response contains it.
    pub fn into_object(self) -> Option<T> {
        self.0
    }
}

/// For your own tests, and for the lookup of [`reconcile`](crate::Reconcile).
impl<T> From<Option<T>> for MaybeObject<T> {
    fn from(object: Option<T>) -> Self {
        Self(object)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for MaybeObject<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let body = Value::deserialize(deserializer)?;
        let is_object = body.get("id").is_some();
        Ok(Self(if is_object { serde_json::from_value(body).ok() } else { None }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::generated::types::ServiceReminder;
    use super::*;

    #[test]
    fn any_json_is_a_success() {
        for json in ["null", "true", "\"ok\"", "[]", "[{\"id\": \"1\"}]", "{}", "{\"message\": \"done\"}", "7"] {
            let response: MaybeObject<ServiceReminder> = serde_json::from_str(json).unwrap();
            assert_eq!(response.into_object(), None, "{json}");
        }
    }
}
