//! The sort direction of a list.

use serde::ser::{Serialize, Serializer};

/// The sort direction of a list by one field. The vendor represents it as a boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two directions")]
pub enum Direction {
    /// Smallest, earliest, or alphabetically first item first.
    Ascending,
    /// Largest, latest, or alphabetically last item first.
    Descending,
}

impl Serialize for Direction {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self == Self::Ascending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ascending_is_true() {
        assert_eq!(serde_json::to_string(&[Direction::Ascending, Direction::Descending]).unwrap(), "[true,false]");
    }
}
