//! Ids that know what they identify.

use std::fmt;
use std::marker::PhantomData;
use std::num::ParseIntError;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::lenient::Numeric;
use crate::runtime::Param;

/// The id of a `T`: an `Id<Order>` is not taken where an `Id<Customer>` is due.
///
/// Fixably's ids are integers (observed); one that arrives as text is read all the same.
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
    /// An id.
    pub const fn new(id: i64) -> Self {
        Self { id, kind: PhantomData }
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.id
    }
}

// By hand, for a derive would ask the same of `T`.
impl<T> Clone for Id<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Id<T> {}

crate::id::like_its_id!(Id);

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

impl<T> Param for Id<T> {
    fn encode(&self) -> Result<std::borrow::Cow<'_, str>, String> {
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
        crate::lenient::required(deserializer).map(|Numeric(id): Numeric<i64>| Self::new(id))
    }
}

/// A reference in something that is written: `{"id": 450}`.
///
/// Made from an [`Id`] or a number, so that setters take either.
pub struct IdRef<T>(Id<T>);

impl<T> IdRef<T> {
    /// What is referred to.
    pub const fn id(self) -> Id<T> {
        self.0
    }
}

impl<T, I: Into<Id<T>>> From<I> for IdRef<T> {
    fn from(id: I) -> Self {
        Self(id.into())
    }
}

impl<T> Clone for IdRef<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for IdRef<T> {}

impl<T> PartialEq for IdRef<T> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<T> Eq for IdRef<T> {}

impl<T> fmt::Debug for IdRef<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T> Serialize for IdRef<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut reference = serializer.serialize_struct("IdRef", 1)?;
        reference.serialize_field("id", &self.0)?;
        reference.end()
    }
}
