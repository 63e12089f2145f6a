//! A page of a list, and where the next one starts.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::generated::types::PageMeta;
use crate::lenient::PositionalList;
use crate::page::{ListPage, Position, Sealed, UnexpectedPage};
use crate::raw_list::RawPage;

/// One page of a list.
///
/// The vendor's samples show these fields, with `items` under the name `data`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de> + Default"))]
#[non_exhaustive]
pub struct Page<T> {
    /// The records on this page, in the short form that lists have. A response without them is an error: read as an empty
    /// page, it would end the list early and unnoticed.
    #[serde(rename = "data", deserialize_with = "items")]
    pub items: Vec<T>,
    /// The number of this page, and how many there are. Every field can be missing.
    #[serde(default, deserialize_with = "meta")]
    pub meta: PageMeta,
}

impl<T> Page<T> {
    /// A page with these items, for your own tests. The other fields are public.
    pub fn new(items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().collect();
        Self { items, meta: PageMeta::default() }
    }
}

impl<T> Sealed for Page<T> {}

impl<T: Send + 'static> ListPage for Page<T> {
    type Item = T;

    /// The position after the `requested` one; `None` after the last page.
    ///
    /// If the vendor sends no number of pages, the list ends at an empty page.
    fn after(&self, requested: Position) -> Result<Option<Position>, UnexpectedPage> {
        if self.items.is_empty() {
            return Ok(None);
        }
        let requested = page_number(requested);
        if let Some(received) = self.meta.current_page.filter(|received| *received != requested) {
            let problem = format!("the vendor sent page {received} instead of {requested}");
            return Err(UnexpectedPage::skips_items(problem));
        }
        let more = self.meta.total_pages.is_none_or(|total| requested < total);
        Ok(requested.checked_add(1).filter(|_| more).map(Position::Page))
    }

    /// The next page, as long as the vendor counts more pages; if it counts none, as long as it counts more records.
    fn after_empty(&self, requested: Position, received: Option<u64>, _: u64) -> Option<Position> {
        let requested = page_number(requested);
        let more = match self.meta.total_pages {
            Some(pages) => requested < pages,
            None => received.zip(self.meta.total_count).is_some_and(|(received, total)| received < total),
        };
        requested.checked_add(1).filter(|_| more).map(Position::Page)
    }

    /// The position of the `nth` page after the `requested` one, if the total includes it.
    fn ahead(&self, requested: Position, nth: u32) -> Option<Position> {
        let total = self.meta.total_pages.filter(|_| !self.items.is_empty())?;
        page_number(requested).checked_add(nth).filter(|page| *page <= total).map(Position::Page)
    }

    /// The number of records on all pages.
    fn total(&self) -> Option<u64> {
        self.meta.total_count
    }

    fn items(&self) -> &[T] {
        &self.items
    }

    fn items_mut(&mut self) -> &mut Vec<T> {
        &mut self.items
    }
}

impl<T: DeserializeOwned + Default + Send + 'static> RawPage for Page<T> {
    const PARAMETERS: &'static [&'static str] = &["page"];

    fn select(query: &mut Vec<(String, String)>, position: Position) -> Result<(), &'static str> {
        match position {
            Position::Start => {}
            Position::Page(page) => query.push(("page".to_owned(), page.to_string())),
            _ => return Err("is an offset or a window: this vendor's lists start at a page"),
        }
        Ok(())
    }
}

fn page_number(position: Position) -> u32 {
    match position {
        Position::Page(page) => page,
        _ => 1,
    }
}

/// Reads the records. One that is not an object becomes an empty record, so that the page keeps its length.
fn items<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    PositionalList::deserialize(deserializer).map(|PositionalList(items)| items)
}

/// Reads the meta object; anything else reads as an empty one.
fn meta<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PageMeta, D::Error> {
    crate::lenient::value(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::PageParams;

    fn page(items: usize, total: Option<u32>, current: Option<u32>) -> Page<()> {
        let meta = PageMeta { total_pages: total, current_page: current, ..PageMeta::default() };
        Page { items: vec![(); items], meta }
    }

    impl Page<()> {
        fn next(&self, requested: Option<u32>) -> Option<u32> {
            PageParams::from_position(self.after(requested.position()).unwrap()?)
        }
    }

    #[test]
    fn a_walk_ends_after_the_last_page() {
        assert_eq!(page(25, Some(3), Some(1)).next(None), Some(2));
        assert_eq!(page(25, Some(3), Some(2)).next(Some(2)), Some(3));
        assert_eq!(page(25, Some(3), None).next(Some(2)), Some(3));
        assert_eq!(page(10, Some(3), Some(3)).next(Some(3)), None);
        assert_eq!(page(25, Some(3), Some(9)).next(Some(9)), None);
    }

    #[test]
    fn a_page_that_was_not_requested_is_an_error() {
        for (total, received) in [(Some(3), 1), (None, 1), (Some(3), 3)] {
            let error = page(25, total, Some(received)).after(Position::Page(2)).unwrap_err();
            let expected = format!("sent page {received} instead of 2");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }

    #[test]
    fn after_an_empty_page_the_list_goes_on_as_long_as_the_vendor_counts_more() {
        let after = |pages, requested| page(0, pages, None).after_empty(requested, Some(50), 25);
        assert_eq!(after(Some(3), Position::Page(2)), Some(Position::Page(3)));
        assert_eq!(after(Some(3), Position::Start), Some(Position::Page(2)));
        for (pages, requested) in [(Some(3), 3), (Some(3), 9), (Some(0), 1), (None, 2), (Some(u32::MAX), u32::MAX)] {
            assert_eq!(after(pages, Position::Page(requested)), None, "{requested} of {pages:?}");
            assert_eq!(page(0, pages, None).next(Some(requested)), None);
        }
        let counted = Page::<()> { meta: PageMeta { total_count: Some(60), ..PageMeta::default() }, items: Vec::new() };
        let after = |received| counted.after_empty(Position::Page(2), received, 25);
        assert_eq!([after(Some(59)), after(Some(60)), after(None)], [Some(Position::Page(3)), None, None]);
    }

    #[test]
    fn without_a_total_a_walk_ends_at_an_empty_page() {
        assert_eq!(page(7, None, Some(4)).next(Some(4)), Some(5));
        assert_eq!(page(7, None, None).next(Some(5)), Some(6));
        assert_eq!(page(0, None, None).next(Some(6)), None);
    }

    #[test]
    fn a_walk_ends_at_the_largest_page_number() {
        assert_eq!(page(7, None, None).next(Some(u32::MAX)), None);
    }

    #[test]
    fn an_invalid_record_becomes_an_empty_one() {
        let read: Page<PageMeta> = serde_json::from_str(r#"{"data": [{"total_pages": 1}, null, [], 7]}"#).unwrap();
        assert_eq!((read.items.len(), read.items[0].total_pages), (4, Some(1)));
    }

    #[test]
    fn a_body_without_data_is_an_error() {
        for body in ["{}", r#"{"meta": {"total_count": 3}}"#, r#"{"data": {}}"#, r#"{"data": null}"#, "[]"] {
            assert!(serde_json::from_str::<Page<()>>(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_list_with_missing_or_invalid_meta_is_read() {
        for body in [r#"{"data": []}"#, r#"{"data": [], "meta": {"total_pages": "soon"}}"#] {
            assert_eq!(serde_json::from_str::<Page<()>>(body).unwrap().meta, PageMeta::default(), "{body}");
        }
        for odd in ["null", "[]", "7", "\"none\""] {
            let read = serde_json::from_str::<Page<()>>(&format!(r#"{{"data": [], "meta": {odd}}}"#));
            assert_eq!(read.unwrap().meta, PageMeta::default(), "{odd}");
        }
    }

    #[test]
    fn positions_ahead_end_with_the_total() {
        let ahead = |page: Page<()>, requested| (1..9).map_while(|nth| page.ahead(requested, nth)).collect::<Vec<_>>();
        assert_eq!(ahead(page(25, Some(4), Some(1)), Position::Start), [2, 3, 4].map(Position::Page));
        assert_eq!(ahead(page(25, Some(4), None), Position::Page(3)), [Position::Page(4)]);
        for unknown in [page(25, None, Some(1)), page(0, Some(4), Some(1))] {
            assert_eq!(ahead(unknown, Position::Start), []);
        }
    }
}
