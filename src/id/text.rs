//! Typed ids that are text.

use std::borrow::Cow;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::lenient::{KeepsDigits, Scalar};
use crate::request::Param;

/// The id of a `T`. An `Id<WorkOrder>` cannot be passed as an `Id<Customer>`.
///
/// Ids are text, such as `wo-12345`, which this crate does not interpret; one that the vendor sends as a number becomes
/// text. Setters accept an id by reference as well.
///
/// # Example
///
/// ```
/// use servicebay::fentu::{Id, types::WorkOrder};
///
/// let id: Id<WorkOrder> = "wo-12345".into();
/// assert_eq!(id.as_str(), "wo-12345");
/// assert_eq!(id.to_string().parse(), Ok(id));
/// ```
pub struct Id<T> {
    id: Box<str>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The id with this text.
    pub fn new(id: impl Into<Box<str>>) -> Self {
        Self { id: id.into(), kind: PhantomData }
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.id
    }
}

// A derive would require `T: Clone`.
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        Self::new(self.id.clone())
    }
}

delegate_to_id!();

impl<T> FromStr for Id<T> {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.into())
    }
}

impl<T> From<&str> for Id<T> {
    fn from(id: &str) -> Self {
        Self::new(id)
    }
}

impl<T> From<String> for Id<T> {
    fn from(id: String) -> Self {
        Self::new(id)
    }
}

impl<T> From<&Self> for Id<T> {
    fn from(id: &Self) -> Self {
        id.clone()
    }
}

impl<T> Param for Id<T> {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        Ok(Cow::Borrowed(&self.id))
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.id)
    }
}

impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::required(deserializer)
    }
}

impl<T> Scalar for Id<T> {
    const KEEPS_DIGITS: KeepsDigits = KeepsDigits::UnlessFast;

    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }

    fn from_digits(digits: &str) -> Option<Self> {
        Some(digits.into())
    }

    fn from_float(number: f64) -> Option<Self> {
        String::from_float(number).map(Into::into)
    }

    fn from_integer(number: i128) -> Option<Self> {
        String::from_integer(number).map(Into::into)
    }

    fn from_flag(flag: bool) -> Option<Self> {
        String::from_flag(flag).map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Task;

    #[test]
    fn an_id_is_kept_as_the_vendor_sent_it() {
        for (json, id) in [(r#""task-001""#, "task-001"), (r#""TASK 1/2""#, "TASK 1/2"), ("17", "17"), ("1.10", "1.10")]
        {
            assert_eq!(serde_json::from_str::<Id<Task>>(json).unwrap().as_str(), id, "{json}");
        }
    }

    #[test]
    fn null_lists_and_objects_are_not_ids() {
        for json in ["null", "[]", "{}"] {
            assert!(serde_json::from_str::<Id<Task>>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn an_id_converts_from_a_reference() {
        let id: Id<Task> = "task-001".into();
        let again: Id<Task> = (&id).into();
        assert_eq!(again, id);
    }

    #[test]
    fn an_id_prints_as_its_text() {
        let id: Id<Task> = "68b7".parse().unwrap();
        assert_eq!((id.to_string().as_str(), format!("{id:?}").as_str()), ("68b7", "\"68b7\""));
        assert_eq!(format!("{id:>6}"), "  68b7");
    }
}
