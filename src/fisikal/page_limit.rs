//! The range of items that a list call requests.

use serde::ser::{Error, Serialize, SerializeStruct, Serializer};

use crate::page::{PageParams, Position};

/// The range of items that a list call requests: how many to skip, and how many to send.
///
/// The vendor requires both numbers or neither, so a number alone starts at the first item. The vendor's default and
/// maximum are unknown.
///
/// # Example
///
/// ```
/// use servicebay::fisikal::PageLimit;
///
/// assert_eq!(PageLimit::from(50), PageLimit::new(50).after(0));
/// assert_eq!(serde_json::to_string(&PageLimit::new(50).after(100)).unwrap(), r#"{"start":100,"count":50}"#);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLimit {
    start: i64,
    count: i64,
}

impl PageLimit {
    /// The first `count` items. At least 1.
    pub const fn new(count: i64) -> Self {
        Self { start: 0, count }
    }

    /// The same number of items, after skipping `start` items. At least 0.
    pub const fn after(self, start: i64) -> Self {
        Self { start, ..self }
    }

    /// The number of items to skip.
    pub const fn start(self) -> i64 {
        self.start
    }

    /// The largest number of items to send.
    pub const fn count(self) -> i64 {
        self.count
    }
}

impl From<i64> for PageLimit {
    fn from(count: i64) -> Self {
        Self::new(count)
    }
}

impl From<i32> for PageLimit {
    fn from(count: i32) -> Self {
        Self::new(count.into())
    }
}

impl From<u32> for PageLimit {
    fn from(count: u32) -> Self {
        Self::new(count.into())
    }
}

impl PageParams for Option<PageLimit> {
    fn position(self) -> Position {
        self.map_or(Position::Start, |PageLimit { start, count }| Position::Window { start, count })
    }

    fn from_position(position: Position) -> Self {
        match position {
            Position::Window { start, count } => Some(PageLimit { start, count }),
            _ => None,
        }
    }
}

impl Serialize for PageLimit {
    /// Fails on an empty or negative range, so the call is not sent.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.count < 1 || self.start < 0 {
            return Err(S::Error::custom(format_args!(
                "requests {} items after skipping {}; request at least 1, and skip at least 0",
                self.count, self.start
            )));
        }
        let mut limit = serializer.serialize_struct("PageLimit", 2)?;
        limit.serialize_field("start", &self.start)?;
        limit.serialize_field("count", &self.count)?;
        limit.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_alone_starts_at_the_first_item() {
        for limit in [PageLimit::from(20_i32), PageLimit::from(20_u32), PageLimit::from(20_i64)] {
            assert_eq!((limit.start(), limit.count()), (0, 20));
            assert_eq!(serde_json::to_string(&limit).unwrap(), r#"{"start":0,"count":20}"#);
        }
    }

    #[test]
    fn an_empty_or_negative_range_is_refused_with_the_bounds() {
        for limit in [PageLimit::new(0), PageLimit::new(-1), PageLimit::new(1).after(-1)] {
            let error = serde_json::to_string(&limit).expect_err("an invalid range").to_string();
            assert!(error.contains("request at least 1"), "{error}");
        }
    }
}
