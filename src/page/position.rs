//! Where a page of a list is.

use serde::{Deserialize, Serialize};

/// Where a page of a list is, in the words of the vendor.
///
/// A list goes on in the words in which it was begun: by offset, by page, or by window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Position {
    /// Where the vendor begins when it is asked for nothing else.
    Start,
    /// After so many items.
    Offset(u32),
    /// The page with this number, from 1.
    Page(u32),
    /// So many items, after so many others.
    Window {
        /// How many items come before.
        start: i64,
        /// How many items the page has at the most.
        count: i64,
    },
}

impl Position {
    /// Whether nothing comes before.
    pub(super) fn is_first(self) -> bool {
        matches!(self, Self::Start | Self::Offset(0) | Self::Page(1) | Self::Window { start: 0, .. })
    }

    /// The position that is about `items` before this one in a list whose pages hold `size`, and how many it is: never
    /// more than `most`. `None` where there is no such place.
    pub(super) fn back(self, items: u64, size: u64, most: u64) -> Option<(Self, u64)> {
        let by = items.min(most);
        let (position, by) = match self {
            Self::Start => return None,
            Self::Offset(offset) => {
                let by = u32::try_from(by).unwrap_or(u32::MAX).min(offset);
                (Self::Offset(offset - by), by.into())
            }
            Self::Window { start, count } => {
                let by = i64::try_from(by).unwrap_or(i64::MAX).min(start);
                (Self::Window { start: start - by, count }, u64::try_from(by).unwrap_or(0))
            }
            Self::Page(page) => {
                // Whole pages: enough of them, or as many as `most` allows.
                let size = size.max(1);
                let pages = by.div_ceil(size).min(most / size).min(u64::from(page.saturating_sub(1)));
                (Self::Page(page - u32::try_from(pages).unwrap_or(0)), pages * size)
            }
        };
        (by > 0).then_some((position, by))
    }
}

/// The parameters that a list is paged by.
pub(crate) trait By {
    /// Where they lead.
    fn position(self) -> Position;

    /// Those that lead there; none where a list of this kind has no such place.
    fn at(position: Position) -> Self;
}

/// By page.
impl By for Option<u32> {
    fn position(self) -> Position {
        self.map_or(Position::Start, Position::Page)
    }

    fn at(position: Position) -> Self {
        match position {
            Position::Page(page) => Some(page),
            _ => None,
        }
    }
}

/// By offset, or by page.
impl By for (Option<u32>, Option<u32>) {
    fn position(self) -> Position {
        match self {
            (_, Some(page)) => Position::Page(page),
            (Some(offset), None) => Position::Offset(offset),
            (None, None) => Position::Start,
        }
    }

    fn at(position: Position) -> Self {
        match position {
            Position::Offset(offset) => (Some(offset), None),
            position => (None, By::at(position)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_lead_where_they_say_and_back() {
        for by in [(None, None), (Some(0), None), (Some(50), None), (None, Some(3))] {
            assert_eq!(<(Option<u32>, Option<u32>) as By>::at(by.position()), by);
        }
        for by in [None, Some(1), Some(7)] {
            assert_eq!(<Option<u32> as By>::at(by.position()), by);
        }
    }

    #[test]
    fn stepping_back_ends_at_the_beginning_of_the_list_and_of_what_is_known() {
        let window = |start| Position::Window { start, count: 25 };
        for (from, items, most, expected) in [
            (Position::Offset(100), 3, 50, Some((Position::Offset(97), 3))),
            (Position::Offset(100), 80, 50, Some((Position::Offset(50), 50))),
            (Position::Offset(10), 80, 50, Some((Position::Offset(0), 10))),
            (Position::Offset(0), 1, 50, None),
            (Position::Offset(100), 1, 0, None),
            (window(100), 3, 50, Some((window(97), 3))),
            (window(0), 3, 50, None),
            (Position::Page(5), 3, 50, Some((Position::Page(4), 25))),
            (Position::Page(5), 26, 50, Some((Position::Page(3), 50))),
            (Position::Page(5), 60, 50, Some((Position::Page(3), 50))),
            (Position::Page(5), 3, 24, None),
            (Position::Page(1), 3, 50, None),
            (Position::Start, 3, 50, None),
        ] {
            assert_eq!(from.back(items, 25, most), expected, "{items} before {from:?}, of {most}");
        }
    }

    #[test]
    fn a_position_is_written_in_a_word_and_its_numbers() {
        for (position, json) in [
            (Position::Start, r#""start""#),
            (Position::Offset(50), r#"{"offset":50}"#),
            (Position::Page(3), r#"{"page":3}"#),
            (Position::Window { start: 0, count: 20 }, r#"{"window":{"start":0,"count":20}}"#),
        ] {
            assert_eq!(serde_json::to_string(&position).unwrap(), json);
            assert_eq!(serde_json::from_str::<Position>(json).unwrap(), position);
        }
    }
}
