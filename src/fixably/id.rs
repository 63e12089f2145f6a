//! Typed ids, and the references that request bodies contain.

use std::fmt;

use serde::ser::{Serialize, SerializeStruct, Serializer};

pub use crate::id::Id;

/// A reference in a request body: `{"id": 450}`.
///
/// It converts from an [`Id`] and from a number, so setters take either.
pub struct IdRef<T>(Id<T>);

impl<T> IdRef<T> {
    /// The id of the object that it refers to.
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
