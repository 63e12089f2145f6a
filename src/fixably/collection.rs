//! The envelope of a list.

use serde::{Deserialize, Deserializer, Serialize};

use crate::error::Error;
use crate::lenient::Places;
use crate::operation::Operation;

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
    /// The offset, or the page, of the page that follows one asked for with these; nothing after the last.
    ///
    /// A list that was asked for by page goes on by page, every other one by offset.
    pub(super) fn after(
        &self,
        operation: &'static Operation,
        offset: Option<u32>,
        page: Option<u32>,
    ) -> Result<Option<Position>, Error> {
        let count = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return Ok(None);
        }
        if let Some(page) = page {
            return Ok(self.after_page(page, count));
        }
        let asked = offset.unwrap_or(0);
        if let Some(answered) = self.offset.filter(|answered| *answered != asked) {
            let reason =
                format!("the vendor answered from {answered} where {asked} was asked for; going on would lose items");
            return Err(Error::request(operation.id(), "offset", reason));
        }
        let Some(next) = asked.checked_add(count) else { return Ok(None) };
        let more = match self.total_items {
            Some(total) => u64::from(next) < total,
            None => self.limit.is_none_or(|limit| count >= limit),
        };
        Ok(more.then_some((Some(next), None)))
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
        more.then_some((None, Some(next)))
    }
}

/// An offset, or a page.
type Position = (Option<u32>, Option<u32>);

/// The items; null where there are none, for the vendor sends blank values as null. An item that is no object leaves
/// its place empty, so that offsets stay true.
fn items<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<Places<T>>::deserialize(deserializer).map(|items| items.unwrap_or_default().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    static LIST: Operation = Operation::new("list_orders", http::Method::GET, "/orders");

    fn page(limit: Option<u32>, total_items: Option<u64>, items: usize) -> Collection<()> {
        Collection { limit, offset: None, total_items, items: vec![(); items] }
    }

    impl Collection<()> {
        fn next(&self, offset: Option<u32>, page: Option<u32>) -> Option<Position> {
            self.after(&LIST, offset, page).unwrap()
        }
    }

    #[test]
    fn an_answer_from_another_offset_is_an_error_and_not_a_loss() {
        let other = Collection { offset: Some(0), ..page(Some(25), Some(60), 25) };
        assert!(other.after(&LIST, None, None).is_ok());
        let error = other.after(&LIST, Some(25), None).unwrap_err();
        assert!(error.to_string().contains("answered from 0 where 25 was asked for"), "{error}");
    }

    #[test]
    fn pages_smaller_than_the_vendor_says_are_walked_until_an_empty_one() {
        let clamped = page(Some(100), Some(35), 10);
        for asked in 1..=4 {
            assert_eq!(clamped.next(None, Some(asked)), Some((None, Some(asked + 1))));
        }
        assert_eq!(page(Some(100), Some(35), 0).next(None, Some(5)), None);
    }

    #[test]
    fn offsets_go_on_by_what_was_received_until_the_total() {
        let full = page(Some(25), Some(60), 25);
        assert_eq!(full.next(None, None), Some((Some(25), None)));
        assert_eq!(full.next(Some(25), None), Some((Some(50), None)));
        assert_eq!(page(Some(25), Some(60), 10).next(Some(50), None), None);
    }

    #[test]
    fn a_page_shorter_than_asked_for_skips_nothing() {
        assert_eq!(page(Some(100), Some(60), 40).next(None, None), Some((Some(40), None)));
    }

    #[test]
    fn pages_go_on_by_page_until_the_total() {
        let full = page(Some(25), Some(60), 25);
        assert_eq!(full.next(None, Some(1)), Some((None, Some(2))));
        assert_eq!(full.next(None, Some(2)), Some((None, Some(3))));
        assert_eq!(page(Some(25), Some(60), 10).next(None, Some(3)), None);
    }

    #[test]
    fn without_a_total_a_short_page_is_the_last() {
        assert_eq!(page(Some(25), None, 25).next(None, None), Some((Some(25), None)));
        assert_eq!(page(Some(25), None, 24).next(None, None), None);
        assert_eq!(page(None, None, 24).next(None, None), Some((Some(24), None)));
    }

    #[test]
    fn an_empty_page_is_the_last_whatever_the_total_claims() {
        assert_eq!(page(Some(25), Some(1_000_000), 0).next(Some(50), None), None);
    }

    #[test]
    fn a_walk_ends_before_the_numbers_do() {
        assert_eq!(page(Some(25), Some(u64::MAX), 25).next(Some(u32::MAX - 5), None), None);
        assert_eq!(page(Some(25), Some(u64::MAX), 25).next(None, Some(u32::MAX)), None);
    }

    #[test]
    fn a_body_without_items_is_no_list() {
        assert!(serde_json::from_str::<Collection<()>>("{}").is_err());
        assert!(serde_json::from_str::<Collection<()>>(r#"{"totalItems": 3}"#).is_err());
        assert!(serde_json::from_str::<Collection<()>>(r#"{"totalItems": 3, "items": {}}"#).is_err());
        assert_eq!(serde_json::from_str::<Collection<()>>(r#"{"items": null}"#).unwrap().items, []);
    }
}
