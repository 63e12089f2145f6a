//! Ids that know what they identify.

pub use crate::id::text::Id;

/// A workshop, as far as its [`Id`] is concerned: no operation reads one.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Workshop {}
