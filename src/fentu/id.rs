//! Typed ids: the id of a customer is not accepted as the id of an asset.

pub use crate::id::text::Id;

/// A part in the catalog: the type parameter of [`Id<Part>`](Id). The API has no operation for parts.
#[derive(Debug)]
#[non_exhaustive]
pub enum Part {}
