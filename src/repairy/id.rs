//! Typed ids: the id of a booking is not accepted as the id of a car.

pub use crate::id::text::Id;

/// A workshop: the type parameter of [`Id<Workshop>`](Id). No operation reads a workshop.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Workshop {}
