//! Windows on lists, and how lists are sorted.

use serde::ser::{Error, Serialize, SerializeStruct, Serializer};

use crate::page::{PageParams, Position};

/// A window on a list: how many items to skip, and how many to send.
///
/// The vendor wants both or neither, so that a number alone is a window from the beginning. Which default and maximum
/// it has is not known.
///
/// # Example
///
/// ```
/// use servicebay::fisikal::Limit;
///
/// assert_eq!(Limit::from(50), Limit::new(50).after(0));
/// assert_eq!(serde_json::to_string(&Limit::new(50).after(100)).unwrap(), r#"{"start":100,"count":50}"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    start: i64,
    count: i64,
}

impl Limit {
    /// The first so many items. At least 1.
    pub const fn new(count: i64) -> Self {
        Self { start: 0, count }
    }

    /// The same number of items after skipping so many. At least 0.
    pub const fn after(self, start: i64) -> Self {
        Self { start, ..self }
    }

    /// How many items are skipped.
    pub const fn start(self) -> i64 {
        self.start
    }

    /// How many items are sent at the most.
    pub const fn count(self) -> i64 {
        self.count
    }
}

impl From<i64> for Limit {
    fn from(count: i64) -> Self {
        Self::new(count)
    }
}

impl From<i32> for Limit {
    fn from(count: i32) -> Self {
        Self::new(count.into())
    }
}

impl From<u32> for Limit {
    fn from(count: u32) -> Self {
        Self::new(count.into())
    }
}

impl PageParams for Option<Limit> {
    fn position(self) -> Position {
        self.map_or(Position::Start, |Limit { start, count }| Position::Window { start, count })
    }

    fn from_position(position: Position) -> Self {
        match position {
            Position::Window { start, count } => Some(Limit { start, count }),
            _ => None,
        }
    }
}

impl Serialize for Limit {
    /// Fails on a window that is none: the call is refused before it is sent.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.count < 1 || self.start < 0 {
            return Err(S::Error::custom(format_args!(
                "is {} items after {}; it takes at least 1 item, after at least 0",
                self.count, self.start
            )));
        }
        let mut limit = serializer.serialize_struct("Limit", 2)?;
        limit.serialize_field("start", &self.start)?;
        limit.serialize_field("count", &self.count)?;
        limit.end()
    }
}

/// How a list is sorted by a field. The vendor writes a truth value for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there are two directions")]
pub enum Direction {
    /// The smallest, earliest or first in the alphabet comes first.
    Ascending,
    /// The largest, latest or last in the alphabet comes first.
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
    fn a_number_alone_is_a_window_from_the_beginning() {
        for limit in [Limit::from(20_i32), Limit::from(20_u32), Limit::from(20_i64)] {
            assert_eq!((limit.start(), limit.count()), (0, 20));
            assert_eq!(serde_json::to_string(&limit).unwrap(), r#"{"start":0,"count":20}"#);
        }
    }

    #[test]
    fn a_window_that_is_none_is_refused_and_says_why() {
        for limit in [Limit::new(0), Limit::new(-1), Limit::new(1).after(-1)] {
            let error = serde_json::to_string(&limit).expect_err("no window").to_string();
            assert!(error.contains("it takes at least 1 item"), "{error}");
        }
    }

    #[test]
    fn ascending_is_true() {
        assert_eq!(serde_json::to_string(&[Direction::Ascending, Direction::Descending]).unwrap(), "[true,false]");
    }
}
