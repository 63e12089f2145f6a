//! A page of a list, and where the next one starts.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use crate::lenient::PositionalList;
use crate::page::{ListPage, Position, Sealed, UnexpectedPage};
use crate::raw_list::RawPage;

/// One page of a list.
///
/// Unless the list was expanded, each item contains only its URL; `id()` reads the id from that.
/// The fields are [documented](https://docs.fixably.com).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "T: Deserialize<'de> + Default"))]
#[non_exhaustive]
pub struct Page<T> {
    /// The size of a page.
    #[serde(default, deserialize_with = "crate::lenient::number")]
    pub limit: Option<u32>,
    /// The number of items before this page.
    #[serde(default, deserialize_with = "crate::lenient::number")]
    pub offset: Option<u32>,
    /// The number of items on all pages.
    #[serde(default, deserialize_with = "crate::lenient::number")]
    pub total_items: Option<u64>,
    /// The items. A response without them is an error: read as an empty page, it would end the list early and unnoticed.
    #[serde(deserialize_with = "items")]
    pub items: Vec<T>,
}

impl<T> Page<T> {
    /// A page with these items, for your own tests. The other fields are public.
    pub fn new(items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().collect();
        Self { limit: None, offset: None, total_items: None, items }
    }
}

impl<T> Sealed for Page<T> {}

impl<T: Send + 'static> ListPage for Page<T> {
    type Item = T;

    /// The position after the `requested` one; `None` after the last page.
    ///
    /// A list that was requested by page continues by page, any other one by offset.
    fn after(&self, requested: Position) -> Result<Option<Position>, UnexpectedPage> {
        let count = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Ok(None);
        }
        let requested = match requested {
            Position::Page(page) => return Ok(self.after_page(page, count)),
            Position::Offset(offset) => offset,
            _ => 0,
        };
        if let Some(received) = self.offset.filter(|received| *received != requested) {
            let problem = format!("the vendor sent the page at offset {received} instead of {requested}");
            return Err(UnexpectedPage::skips_items(problem));
        }
        let Some(next) = requested.checked_add(count) else { return Ok(None) };
        let more = match self.total_items {
            Some(total) => u64::from(next) < total,
            None => self.limit.is_none_or(|limit| count >= limit),
        };
        Ok(more.then_some(Position::Offset(next)))
    }

    /// The position after the `requested` one, which is empty: the next page, or an offset further on by a page, as long as the total
    /// is not reached.
    fn after_empty(&self, requested: Position, received: Option<u64>, page_size: u64) -> Option<Position> {
        let total = self.total_items?;
        let size = self.limit.map_or(page_size, u64::from);
        if let Position::Page(page) = requested {
            let received = received.unwrap_or_else(|| u64::from(page).saturating_mul(size));
            return page.checked_add(1).filter(|_| received < total).map(Position::Page);
        }
        let offset = if let Position::Offset(offset) = requested { offset } else { 0 };
        let next = offset.checked_add(u32::try_from(size).ok().filter(|size| *size > 0)?)?;
        (u64::from(next) < total).then_some(Position::Offset(next))
    }

    /// The position of the `nth` page after the `requested` one, if all pages are as long as this one.
    fn ahead(&self, requested: Position, nth: u32) -> Option<Position> {
        let total = self.total_items?;
        let count = u32::try_from(self.items.len()).ok().filter(|count| *count > 0)?;
        let (before, position) = match requested {
            Position::Page(page) => {
                let page = page.checked_add(nth)?;
                (u64::from(page - 1) * u64::from(self.limit.unwrap_or(count).max(1)), Position::Page(page))
            }
            requested => {
                let offset = if let Position::Offset(offset) = requested { offset } else { 0 };
                let offset = offset.checked_add(count.checked_mul(nth)?)?;
                (u64::from(offset), Position::Offset(offset))
            }
        };
        (before < total).then_some(position)
    }

    /// The number of items on all pages.
    fn total(&self) -> Option<u64> {
        self.total_items
    }

    fn items(&self) -> &[T] {
        &self.items
    }

    fn items_mut(&mut self) -> &mut Vec<T> {
        &mut self.items
    }
}

impl<T: DeserializeOwned + Default + Send + 'static> RawPage for Page<T> {
    const PARAMETERS: &'static [&'static str] = &["offset", "page"];

    fn select(query: &mut Vec<(String, String)>, position: Position) -> Result<(), &'static str> {
        let (name, number) = match position {
            Position::Start => return Ok(()),
            Position::Offset(offset) => ("offset", offset),
            Position::Page(page) => ("page", page),
            Position::Window { .. } => return Err("is a window: this vendor's lists start at an offset or a page"),
        };
        query.push((name.to_owned(), number.to_string()));
        Ok(())
    }
}

impl<T> Page<T> {
    fn after_page(&self, page: u32, count: u32) -> Option<Position> {
        let next = page.checked_add(1)?;
        let size = self.limit.unwrap_or(count).max(1);
        let seen = u64::from(page.saturating_sub(1)) * u64::from(size) + u64::from(count);
        let more = match self.total_items {
            Some(total) if seen == total => false,
            // A short page that does not complete the total: the vendor's pages are smaller than it says. Only an empty
            // one is certainly the last.
            Some(total) => seen < total || count < size,
            None => count >= size,
        };
        more.then_some(Position::Page(next))
    }
}

/// Reads the items; null is an empty list, because the vendor sends blank values as null. An item that is not an object
/// becomes an empty one, so that offsets stay correct.
fn items<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<PositionalList<T>>::deserialize(deserializer).map(|items| items.unwrap_or_default().0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Position::{Offset, Start};

    fn page(limit: Option<u32>, total_items: Option<u64>, items: usize) -> Page<()> {
        Page { limit, offset: None, total_items, items: vec![(); items] }
    }

    impl Page<()> {
        fn next(&self, requested: Position) -> Option<Position> {
            self.after(requested).unwrap()
        }
    }

    #[test]
    fn a_page_at_another_offset_is_an_error() {
        let other = Page { offset: Some(0), ..page(Some(25), Some(60), 25) };
        assert!(other.after(Start).is_ok());
        let error = other.after(Offset(25)).unwrap_err();
        assert!(error.to_string().contains("sent the page at offset 0 instead of 25"), "{error}");
    }

    #[test]
    fn pages_smaller_than_the_limit_are_walked_until_an_empty_one() {
        let clamped = page(Some(100), Some(35), 10);
        for page in 1..=4 {
            assert_eq!(clamped.next(Position::Page(page)), Some(Position::Page(page + 1)));
        }
        assert_eq!(page(Some(100), Some(35), 0).next(Position::Page(5)), None);
    }

    #[test]
    fn a_walk_by_offset_continues_after_the_received_items_until_the_total() {
        let full = page(Some(25), Some(60), 25);
        assert_eq!(full.next(Start), Some(Offset(25)));
        assert_eq!(full.next(Offset(25)), Some(Offset(50)));
        assert_eq!(page(Some(25), Some(60), 10).next(Offset(50)), None);
    }

    #[test]
    fn after_a_short_page_the_walk_continues_with_the_next_item() {
        assert_eq!(page(Some(100), Some(60), 40).next(Start), Some(Offset(40)));
    }

    #[test]
    fn positions_ahead_assume_pages_of_the_same_size() {
        let full = page(Some(25), Some(110), 25);
        let ahead = |requested| (1..10).map_while(|nth| full.ahead(requested, nth)).collect::<Vec<_>>();
        assert_eq!(ahead(Start), [25, 50, 75, 100].map(Offset));
        assert_eq!(ahead(Offset(60)), [Offset(85)]);
        assert_eq!(ahead(Position::Page(1)), [2, 3, 4, 5].map(Position::Page));
        assert_eq!(
            page(Some(100), Some(35), 10).ahead(Start, 3),
            Some(Offset(30)),
            "pages are as long as the received one"
        );
        for unknown in [page(Some(25), None, 25), page(Some(25), Some(110), 0)] {
            assert_eq!(unknown.ahead(Start, 1), None);
        }
        for far in [Offset(u32::MAX - 5), Position::Page(u32::MAX)] {
            assert_eq!(page(Some(25), Some(u64::MAX), 25).ahead(far, 1), None);
        }
    }

    #[test]
    fn a_walk_by_page_continues_until_the_total() {
        let full = page(Some(25), Some(60), 25);
        assert_eq!(full.next(Position::Page(1)), Some(Position::Page(2)));
        assert_eq!(full.next(Position::Page(2)), Some(Position::Page(3)));
        assert_eq!(page(Some(25), Some(60), 10).next(Position::Page(3)), None);
    }

    #[test]
    fn without_a_total_a_short_page_is_the_last() {
        assert_eq!(page(Some(25), None, 25).next(Start), Some(Offset(25)));
        assert_eq!(page(Some(25), None, 24).next(Start), None);
        assert_eq!(page(None, None, 24).next(Start), Some(Offset(24)));
    }

    #[test]
    fn after_an_empty_page_the_list_goes_on_until_the_total() {
        let empty = page(Some(25), Some(110), 0);
        for (requested, received, next) in [
            (Start, 0, Some(Offset(25))),
            (Offset(50), 50, Some(Offset(75))),
            (Offset(84), 50, Some(Offset(109))),
            (Offset(85), 50, None),
            (Offset(u32::MAX), 50, None),
            (Position::Page(7), 109, Some(Position::Page(8))),
            (Position::Page(5), 110, None),
            (Position::Page(u32::MAX), 0, None),
        ] {
            assert_eq!(empty.next(requested), None);
            assert_eq!(empty.after_empty(requested, Some(received), 10), next, "{requested:?}");
        }
        assert_eq!(empty.after_empty(Position::Page(4), None, 10), Some(Position::Page(5)), "100 of 110 at most");
        assert_eq!(empty.after_empty(Position::Page(5), None, 10), None);
        assert_eq!(page(None, Some(110), 0).after_empty(Offset(50), Some(50), 10), Some(Offset(60)));
        assert_eq!(page(None, Some(110), 0).after_empty(Start, Some(0), 0), None, "no page had any size yet");
        assert_eq!(page(Some(25), None, 0).after_empty(Offset(50), Some(50), 25), None);
    }

    #[test]
    fn a_walk_ends_at_the_largest_offset_and_page() {
        assert_eq!(page(Some(25), Some(u64::MAX), 25).next(Offset(u32::MAX - 5)), None);
        assert_eq!(page(Some(25), Some(u64::MAX), 25).next(Position::Page(u32::MAX)), None);
    }

    #[test]
    fn a_body_without_items_is_an_error() {
        assert!(serde_json::from_str::<Page<()>>("{}").is_err());
        assert!(serde_json::from_str::<Page<()>>(r#"{"totalItems": 3}"#).is_err());
        assert!(serde_json::from_str::<Page<()>>(r#"{"totalItems": 3, "items": {}}"#).is_err());
        assert_eq!(serde_json::from_str::<Page<()>>(r#"{"items": null}"#).unwrap().items, []);
    }
}
