//! The position of a page in its list.

use serde::{Deserialize, Serialize};

/// The position of a page in its list, in the vendor's terms.
///
/// A stream keeps the kind of position that it started with: offset, page number or window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Position {
    /// The vendor's default: the start of the list.
    Start,
    /// After this many items.
    Offset(u32),
    /// The page with this number, starting at 1.
    Page(u32),
    /// A number of items after a number of others.
    Window {
        /// How many items come before the window.
        start: i64,
        /// The most items that the page has.
        count: i64,
    },
}

impl Position {
    /// Whether no item comes before it.
    pub(super) fn is_first(self) -> bool {
        matches!(self, Self::Start | Self::Offset(0) | Self::Page(1) | Self::Window { start: 0, .. })
    }

    /// How many items come before it; `None` if that depends on the size of the pages.
    pub(super) fn items_before(self) -> Option<u64> {
        match self {
            Self::Start | Self::Page(1) => Some(0),
            Self::Offset(offset) => Some(offset.into()),
            Self::Page(_) => None,
            Self::Window { start, .. } => u64::try_from(start).ok(),
        }
    }

    /// The position about `items` items before this one, and the exact number: never more than `most`. `size` is the
    /// number of items on a page. `None` if there is no such position.
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
                // Whole pages: enough for `items`, or as many as `most` allows.
                let size = size.max(1);
                let pages = by.div_ceil(size).min(most / size).min(u64::from(page.saturating_sub(1)));
                (Self::Page(page - u32::try_from(pages).unwrap_or(0)), pages * size)
            }
        };
        (by > 0).then_some((position, by))
    }
}

/// The parameters of a list operation that select a page.
pub(crate) trait PageParams {
    /// The position that they select.
    fn position(self) -> Position;

    /// The parameters that select `position`; none if this kind of list does not have it.
    fn from_position(position: Position) -> Self;
}

/// By page number.
impl PageParams for Option<u32> {
    fn position(self) -> Position {
        self.map_or(Position::Start, Position::Page)
    }

    fn from_position(position: Position) -> Self {
        match position {
            Position::Page(page) => Some(page),
            _ => None,
        }
    }
}

/// By offset or by page number.
impl PageParams for (Option<u32>, Option<u32>) {
    fn position(self) -> Position {
        match self {
            (_, Some(page)) => Position::Page(page),
            (Some(offset), None) => Position::Offset(offset),
            (None, None) => Position::Start,
        }
    }

    fn from_position(position: Position) -> Self {
        match position {
            Position::Offset(offset) => (Some(offset), None),
            position => (None, PageParams::from_position(position)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_convert_to_a_position_and_back() {
        for params in [(None, None), (Some(0), None), (Some(50), None), (None, Some(3))] {
            assert_eq!(<(Option<u32>, Option<u32>)>::from_position(params.position()), params);
        }
        for params in [None, Some(1), Some(7)] {
            assert_eq!(Option::<u32>::from_position(params.position()), params);
        }
    }

    #[test]
    fn the_items_before_a_position_are_known_unless_pages_are_counted() {
        for (position, before) in [
            (Position::Start, Some(0)),
            (Position::Offset(30), Some(30)),
            (Position::Page(1), Some(0)),
            (Position::Page(2), None),
            (Position::Window { start: 30, count: 10 }, Some(30)),
        ] {
            assert_eq!(position.items_before(), before, "{position:?}");
        }
    }

    #[test]
    fn going_back_stops_at_the_start_of_the_list_and_at_the_most_allowed() {
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
    fn no_position_is_too_far_out_to_go_back_from() {
        for number in [0, 1, u32::MAX] {
            for start in [i64::MIN, -1, 0, i64::MAX] {
                for position in
                    [Position::Offset(number), Position::Page(number), Position::Window { start, count: i64::MIN }]
                {
                    for (items, size, most) in [(1, 0, 1), (u64::MAX, u64::MAX, u64::MAX), (u64::MAX, 1, u64::MAX)] {
                        let back = position.back(items, size, most);
                        assert!(back.is_none_or(|(_, by)| (1..=most).contains(&by)), "{position:?}: {back:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_position_serializes_as_its_kind_and_its_numbers() {
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
