//! The envelope of a list.

use serde::{Deserialize, Deserializer, Serialize};

/// One page of a list.
///
/// Where the list was not expanded, each item holds its address and nothing else; its `id()` is read off that.
/// The fields are [documented](https://docs.fixably.com).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", bound(deserialize = "T: Deserialize<'de>"))]
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
    pub(super) fn after(&self, offset: Option<u32>, page: Option<u32>) -> Option<(Option<u32>, Option<u32>)> {
        let count = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        if count == 0 {
            return None;
        }
        // What was asked for counts, not what the answer claims: a wrong offset in it must not turn in circles.
        let size = self.limit.unwrap_or(count).max(1);
        let (next, seen) = match page {
            Some(page) => {
                let next = page.checked_add(1)?;
                ((None, Some(next)), u64::from(page) * u64::from(size))
            }
            None => {
                let next = offset.unwrap_or(0).checked_add(count)?;
                ((Some(next), None), u64::from(next))
            }
        };
        let more = match self.total_items {
            Some(total) => seen < total,
            None => count >= size,
        };
        more.then_some(next)
    }
}

/// The items; null where there are none, for the vendor sends blank values as null.
fn items<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(limit: Option<u32>, total_items: Option<u64>, items: usize) -> Collection<()> {
        Collection { limit, offset: None, total_items, items: vec![(); items] }
    }

    #[test]
    fn offsets_go_on_by_what_was_received_until_the_total() {
        let full = page(Some(25), Some(60), 25);
        assert_eq!(full.after(None, None), Some((Some(25), None)));
        assert_eq!(full.after(Some(25), None), Some((Some(50), None)));
        assert_eq!(page(Some(25), Some(60), 10).after(Some(50), None), None);
    }

    #[test]
    fn a_page_shorter_than_asked_for_skips_nothing() {
        assert_eq!(page(Some(100), Some(60), 40).after(None, None), Some((Some(40), None)));
    }

    #[test]
    fn pages_go_on_by_page_until_the_total() {
        let full = page(Some(25), Some(60), 25);
        assert_eq!(full.after(None, Some(1)), Some((None, Some(2))));
        assert_eq!(full.after(None, Some(2)), Some((None, Some(3))));
        assert_eq!(page(Some(25), Some(60), 10).after(None, Some(3)), None);
    }

    #[test]
    fn without_a_total_a_short_page_is_the_last() {
        assert_eq!(page(Some(25), None, 25).after(None, None), Some((Some(25), None)));
        assert_eq!(page(Some(25), None, 24).after(None, None), None);
        assert_eq!(page(None, None, 24).after(None, None), Some((Some(24), None)));
    }

    #[test]
    fn an_empty_page_is_the_last_whatever_the_total_claims() {
        assert_eq!(page(Some(25), Some(1_000_000), 0).after(Some(50), None), None);
    }

    #[test]
    fn a_walk_ends_before_the_numbers_do() {
        assert_eq!(page(Some(25), Some(u64::MAX), 25).after(Some(u32::MAX - 5), None), None);
        assert_eq!(page(Some(25), Some(u64::MAX), 25).after(None, Some(u32::MAX)), None);
    }

    #[test]
    fn a_body_without_items_is_no_list() {
        assert!(serde_json::from_str::<Collection<()>>("{}").is_err());
        assert!(serde_json::from_str::<Collection<()>>(r#"{"totalItems": 3}"#).is_err());
        assert!(serde_json::from_str::<Collection<()>>(r#"{"totalItems": 3, "items": {}}"#).is_err());
        assert_eq!(serde_json::from_str::<Collection<()>>(r#"{"items": null}"#).unwrap().items, []);
    }
}
