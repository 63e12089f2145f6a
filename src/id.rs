//! Typed ids: integers here, and text in [`text`].

use std::borrow::Cow;
use std::marker::PhantomData;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::lenient::{Numeric, Scalar};
use crate::request::Param;

/// Implements comparison, hashing and formatting of the `Id<T>` in scope through its `id`. A derive would require them of
/// `T` as well.
macro_rules! delegate_to_id {
    () => {
        impl<T> PartialEq for Id<T> {
            fn eq(&self, other: &Self) -> bool {
                self.id == other.id
            }
        }

        impl<T> Eq for Id<T> {}

        impl<T> PartialOrd for Id<T> {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl<T> Ord for Id<T> {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.id.cmp(&other.id)
            }
        }

        impl<T> std::hash::Hash for Id<T> {
            fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
                self.id.hash(state);
            }
        }

        impl<T> std::fmt::Debug for Id<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&self.id, f)
            }
        }

        impl<T> std::fmt::Display for Id<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(&self.id, f)
            }
        }
    };
}

pub(crate) mod text;

/// The id of a `T`. An `Id<Order>` cannot be passed as an `Id<Customer>`.
///
/// Ids are integers; one that the vendor sends as text is parsed.
///
/// # Example
///
/// ```
/// use servicebay::fixably::{Id, types::Order};
///
/// let id: Id<Order> = 20000010.into();
/// assert_eq!(id.get(), 20000010);
/// assert_eq!("20000010".parse(), Ok(id));
/// ```
pub struct Id<T> {
    id: i64,
    kind: PhantomData<fn() -> T>,
}

impl<T> Id<T> {
    /// The id with this number.
    pub const fn new(id: i64) -> Self {
        Self { id, kind: PhantomData }
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.id
    }
}

// A derive would require `T: Clone`.
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

delegate_to_id!();

impl<T> FromStr for Id<T> {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        text.parse().map(Self::new)
    }
}

impl<T> From<i64> for Id<T> {
    fn from(id: i64) -> Self {
        Self::new(id)
    }
}

impl<T> From<i32> for Id<T> {
    fn from(id: i32) -> Self {
        Self::new(id.into())
    }
}

impl<T> From<u32> for Id<T> {
    fn from(id: u32) -> Self {
        Self::new(id.into())
    }
}

/// No vendor has ids beyond `i64::MAX`. A number beyond it becomes `i64::MAX`, which no object has.
impl<T> From<u64> for Id<T> {
    fn from(id: u64) -> Self {
        Self::new(id.try_into().unwrap_or(i64::MAX))
    }
}

impl<T> Param for Id<T> {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        Ok(self.id.to_string().into())
    }
}

impl<T> Serialize for Id<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.id)
    }
}

impl<'de, T> Deserialize<'de> for Id<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::required(deserializer)
    }
}

impl<T> Scalar for Id<T> {
    fn from_text(text: &str) -> Option<Self> {
        Numeric::from_text(text).map(|Numeric(id)| Self::new(id))
    }

    fn from_float(number: f64) -> Option<Self> {
        Numeric::from_float(number).map(|Numeric(id)| Self::new(id))
    }

    fn from_integer(number: i128) -> Option<Self> {
        Numeric::from_integer(number).map(|Numeric(id)| Self::new(id))
    }

    fn from_flag(_: bool) -> Option<Self> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn an_id_can_be_made_of_every_integer_that_vendors_send() {
        let ids: [Id<()>; 4] = [7_i64.into(), 7_i32.into(), 7_u32.into(), 7_u64.into()];
        assert!(ids.iter().all(|id| *id == Id::from(7)));
        assert_eq!(Id::<()>::from(u64::MAX), Id::from(i64::MAX));
    }
}
