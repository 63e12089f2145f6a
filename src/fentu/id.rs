//! Ids that know what they identify.

pub use crate::id::text::Id;

/// A part of the catalogue, as far as ids go: [`Id<Part>`](Id). The API has no operation for parts.
#[derive(Debug)]
#[non_exhaustive]
pub enum Part {}
