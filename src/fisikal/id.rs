//! Typed ids: the id of a location is not accepted as the id of a client.

pub use crate::id::Id;
