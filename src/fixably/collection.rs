//! The envelope of a list.

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Error;
use crate::lenient::PositionalList;
use crate::operation::Operation;
use crate::page::Position;

/// One page of a list.
///
/// Where the list was not expanded, each item holds its address and nothing else; its `id()` is read off that.
/// The fields are [documented](https://docs.fixably.com).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "T: Deserialize<'de> + Default"))]
#[non_exhaustive]
pub struct Collection<T> {
    /// The size of a page.
    #[serde(default, deserialize_with = "crate::lenient::number")]
    pub limit: Option<u32>,
    /// How many items come before this page.
    #[serde(default, deserialize_with = "crate::lenient::number")]
    pub offset: Option<u32>,
    /// How many items there are in all.
    #[serde(default, deserialize_with = "crate::lenient::number")]
    pub total_items: Option<u64>,
    /// The items. A body without them is no list, and fails: an empty list in its place would end a walk in silence.
    #[serde(deserialize_with = "items")]
    pub items: Vec<T>,
}

impl<T> Collection<T> {
    /// Where the page is that follows the one asked for there; nothing after the last.
    ///
    /// A list that was asked for by page goes on by page, every other one by offset.
    pub(super) fn after(&self, operation: &'static Operation, asked: Position) -> Result<Option<Position>, Error> {
        let count = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Ok(None);
        }
        let asked = match asked {
            Position::Page(page) => return Ok(self.after_page(page, count)),
            Position::Offset(offset) => offset,
            _ => 0,
        };
        if let Some(answered) = self.offset.filter(|answered| *answered != asked) {
            let reason =
                format!("the vendor answered from {answered} where {asked} was asked for; going on would lose items");
            return Err(Error::invalid_request(operation.id(), "offset", reason));
        }
        let Some(next) = asked.checked_add(count) else { return Ok(None) };
        let more = match self.total_items {
            Some(total) => u64::from(next) < total,
            None => self.limit.is_none_or(|limit| count >= limit),
        };
        Ok(more.then_some(Position::Offset(next)))
    }

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

    /// Where the `nth` page after the one asked for there will be, if all pages are like this one.
    pub(super) fn ahead(&self, asked: Position, nth: u32) -> Option<Position> {
        let total = self.total_items?;
        let count = u32::try_from(self.items.len()).ok().filter(|count| *count > 0)?;
        let (before, position) = match asked {
            Position::Page(page) => {
                let page = page.checked_add(nth)?;
                (u64::from(page - 1) * u64::from(self.limit.unwrap_or(count).max(1)), Position::Page(page))
            }
            asked => {
                let offset = if let Position::Offset(offset) = asked { offset } else { 0 };
                let offset = offset.checked_add(count.checked_mul(nth)?)?;
                (u64::from(offset), Position::Offset(offset))
            }
        };
        (before < total).then_some(position)
    }

    /// How many items there are in all.
    pub(super) fn total(&self) -> Option<u64> {
        self.total_items
    }
}

/// The items; null where there are none, for the vendor sends blank values as null. An item that is no object leaves
/// its place empty, so that offsets stay true.
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
    use Position::{Offset, Page, Start};

    static LIST: Operation = Operation::new("list_orders", http::Method::GET, "/orders");

    fn page(limit: Option<u32>, total_items: Option<u64>, items: usize) -> Collection<()> {
        Collection { limit, offset: None, total_items, items: vec![(); items] }
    }

    impl Collection<()> {
        fn next(&self, asked: Position) -> Option<Position> {
            self.after(&LIST, asked).unwrap()
        }
    }

    #[test]
    fn an_answer_from_another_offset_is_an_error_and_not_a_loss() {
        let other = Collection { offset: Some(0), ..page(Some(25), Some(60), 25) };
        assert!(other.after(&LIST, Start).is_ok());
        let error = other.after(&LIST, Offset(25)).unwrap_err();
        assert!(error.to_string().contains("answered from 0 where 25 was asked for"), "{error}");
    }

    #[test]
    fn pages_smaller_than_the_vendor_says_are_walked_until_an_empty_one() {
        let clamped = page(Some(100), Some(35), 10);
        for asked in 1..=4 {
            assert_eq!(clamped.next(Page(asked)), Some(Page(asked + 1)));
        }
        assert_eq!(page(Some(100), Some(35), 0).next(Page(5)), None);
    }

    #[test]
    fn offsets_go_on_by_what_was_received_until_the_total() {
        let full = page(Some(25), Some(60), 25);
        assert_eq!(full.next(Start), Some(Offset(25)));
        assert_eq!(full.next(Offset(25)), Some(Offset(50)));
        assert_eq!(page(Some(25), Some(60), 10).next(Offset(50)), None);
    }

    #[test]
    fn a_page_shorter_than_asked_for_skips_nothing() {
        assert_eq!(page(Some(100), Some(60), 40).next(Start), Some(Offset(40)));
    }

    #[test]
    fn pages_ahead_are_where_pages_like_this_one_put_them() {
        let full = page(Some(25), Some(110), 25);
        let ahead = |asked| (1..10).map_while(|nth| full.ahead(asked, nth)).collect::<Vec<_>>();
        assert_eq!(ahead(Start), [25, 50, 75, 100].map(Offset));
        assert_eq!(ahead(Offset(60)), [Offset(85)]);
        assert_eq!(ahead(Page(1)), [2, 3, 4, 5].map(Page));
        assert_eq!(page(Some(100), Some(35), 10).ahead(Start, 3), Some(Offset(30)), "clamped, so as many as came");
        for untold in [page(Some(25), None, 25), page(Some(25), Some(110), 0)] {
            assert_eq!(untold.ahead(Start, 1), None);
        }
        for far in [Offset(u32::MAX - 5), Page(u32::MAX)] {
            assert_eq!(page(Some(25), Some(u64::MAX), 25).ahead(far, 1), None);
        }
    }

    #[test]
    fn pages_go_on_by_page_until_the_total() {
        let full = page(Some(25), Some(60), 25);
        assert_eq!(full.next(Page(1)), Some(Page(2)));
        assert_eq!(full.next(Page(2)), Some(Page(3)));
        assert_eq!(page(Some(25), Some(60), 10).next(Page(3)), None);
    }

    #[test]
    fn without_a_total_a_short_page_is_the_last() {
        assert_eq!(page(Some(25), None, 25).next(Start), Some(Offset(25)));
        assert_eq!(page(Some(25), None, 24).next(Start), None);
        assert_eq!(page(None, None, 24).next(Start), Some(Offset(24)));
    }

    #[test]
    fn an_empty_page_is_the_last_whatever_the_total_claims() {
        assert_eq!(page(Some(25), Some(1_000_000), 0).next(Offset(50)), None);
    }

    #[test]
    fn a_walk_ends_before_the_numbers_do() {
        assert_eq!(page(Some(25), Some(u64::MAX), 25).next(Offset(u32::MAX - 5)), None);
        assert_eq!(page(Some(25), Some(u64::MAX), 25).next(Page(u32::MAX)), None);
    }

    #[test]
    fn a_body_without_items_is_no_list() {
        assert!(serde_json::from_str::<Collection<()>>("{}").is_err());
        assert!(serde_json::from_str::<Collection<()>>(r#"{"totalItems": 3}"#).is_err());
        assert!(serde_json::from_str::<Collection<()>>(r#"{"totalItems": 3, "items": {}}"#).is_err());
        assert_eq!(serde_json::from_str::<Collection<()>>(r#"{"items": null}"#).unwrap().items, []);
    }
}
