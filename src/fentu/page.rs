//! One page of a list.

use serde::{Deserialize, Deserializer, Serialize};

use super::types::PageMeta;
use crate::error::Error;
use crate::lenient::PositionalList;
use crate::operation::Operation;
use crate::page::Position;

/// One page of a list.
///
/// The fields are shown in the vendor's samples, where `items` is called `data`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de> + Default"))]
#[non_exhaustive]
pub struct Page<T> {
    /// The records of this page, as a list shows them. A body without them is no list, and fails: an empty list in its
    /// place would end a walk in silence.
    #[serde(rename = "data", deserialize_with = "items")]
    pub items: Vec<T>,
    /// Which page this is, and how many there are. Every field may be absent.
    #[serde(default, deserialize_with = "meta")]
    pub meta: PageMeta,
}

impl<T> Page<T> {
    /// Where the page is that follows the one asked for there; nothing after the last.
    ///
    /// Where nobody says how many pages there are, the list ends at an empty one.
    pub(super) fn after(&self, operation: &'static Operation, asked: Position) -> Result<Option<Position>, Error> {
        if self.items.is_empty() {
            return Ok(None);
        }
        let asked = number(asked);
        if let Some(answered) = self.meta.current_page.filter(|answered| *answered != asked) {
            let reason = format!(
                "the vendor answered with page {answered} where {asked} was asked for; going on would lose items"
            );
            return Err(Error::request(operation.id(), "page", reason));
        }
        let more = self.meta.total_pages.is_none_or(|total| asked < total);
        Ok(asked.checked_add(1).filter(|_| more).map(Position::Page))
    }

    /// Where the `nth` page after the one asked for there will be.
    pub(super) fn ahead(&self, asked: Position, nth: u32) -> Option<Position> {
        let total = self.meta.total_pages.filter(|_| !self.items.is_empty())?;
        number(asked).checked_add(nth).filter(|page| *page <= total).map(Position::Page)
    }

    /// How many records there are in all.
    pub(super) fn total(&self) -> Option<u64> {
        self.meta.total_count
    }
}

fn number(position: Position) -> u32 {
    match position {
        Position::Page(page) => page,
        _ => 1,
    }
}

/// The records. One that is no object leaves its place empty, so that a page of them is not taken for the last.
fn items<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    PositionalList::deserialize(deserializer).map(|PositionalList(items)| items)
}

/// The meta object; empty where it is anything else.
fn meta<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PageMeta, D::Error> {
    crate::lenient::value(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::By;

    static LIST: Operation = Operation::new("list_work_orders", http::Method::GET, "/work-orders");

    fn page(items: usize, total: Option<u32>, current: Option<u32>) -> Page<()> {
        let meta = PageMeta { total_pages: total, current_page: current, ..PageMeta::default() };
        Page { items: vec![(); items], meta }
    }

    impl Page<()> {
        fn next(&self, asked: Option<u32>) -> Option<u32> {
            By::at(self.after(&LIST, asked.position()).unwrap()?)
        }
    }

    #[test]
    fn pages_go_on_until_the_last() {
        assert_eq!(page(25, Some(3), Some(1)).next(None), Some(2));
        assert_eq!(page(25, Some(3), Some(2)).next(Some(2)), Some(3));
        assert_eq!(page(25, Some(3), None).next(Some(2)), Some(3));
        assert_eq!(page(10, Some(3), Some(3)).next(Some(3)), None);
        assert_eq!(page(25, Some(3), Some(9)).next(Some(9)), None);
    }

    #[test]
    fn another_page_than_was_asked_for_is_an_error_and_not_a_loss() {
        for (total, answered) in [(Some(3), 1), (None, 1), (Some(3), 3)] {
            let error = page(25, total, Some(answered)).after(&LIST, Position::Page(2)).unwrap_err();
            let expected = format!("answered with page {answered} where 2 was asked for");
            assert!(error.to_string().contains(&expected), "{error}");
        }
    }

    #[test]
    fn an_empty_page_is_the_last_whatever_the_count_claims() {
        assert_eq!(page(0, Some(1_000_000), Some(3)).next(Some(3)), None);
        assert_eq!(page(0, Some(0), Some(1)).next(None), None);
        assert_eq!(page(0, Some(3), Some(3)).next(Some(9)), None);
    }

    #[test]
    fn without_a_count_a_walk_ends_at_an_empty_page() {
        assert_eq!(page(7, None, Some(4)).next(Some(4)), Some(5));
        assert_eq!(page(7, None, None).next(Some(5)), Some(6));
        assert_eq!(page(0, None, None).next(Some(6)), None);
    }

    #[test]
    fn a_walk_ends_before_the_numbers_do() {
        assert_eq!(page(7, None, None).next(Some(u32::MAX)), None);
    }

    #[test]
    fn an_odd_record_costs_its_place_and_not_the_page() {
        let read: Page<PageMeta> = serde_json::from_str(r#"{"data": [{"total_pages": 1}, null, [], 7]}"#).unwrap();
        assert_eq!((read.items.len(), read.items[0].total_pages), (4, Some(1)));
    }

    #[test]
    fn a_body_without_data_is_no_list() {
        for body in ["{}", r#"{"meta": {"total_count": 3}}"#, r#"{"data": {}}"#, r#"{"data": null}"#, "[]"] {
            assert!(serde_json::from_str::<Page<()>>(body).is_err(), "{body}");
        }
    }

    #[test]
    fn a_list_without_meta_or_with_an_odd_one_is_a_list_all_the_same() {
        for body in [r#"{"data": []}"#, r#"{"data": [], "meta": {"total_pages": "soon"}}"#] {
            assert_eq!(serde_json::from_str::<Page<()>>(body).unwrap().meta, PageMeta::default(), "{body}");
        }
        for odd in ["null", "[]", "7", "\"none\""] {
            let read = serde_json::from_str::<Page<()>>(&format!(r#"{{"data": [], "meta": {odd}}}"#));
            assert_eq!(read.unwrap().meta, PageMeta::default(), "{odd}");
        }
    }

    #[test]
    fn pages_ahead_are_those_that_the_count_promises() {
        let ahead = |page: Page<()>, asked| (1..9).map_while(|nth| page.ahead(asked, nth)).collect::<Vec<_>>();
        assert_eq!(ahead(page(25, Some(4), Some(1)), Position::Start), [2, 3, 4].map(Position::Page));
        assert_eq!(ahead(page(25, Some(4), None), Position::Page(3)), [Position::Page(4)]);
        for untold in [page(25, None, Some(1)), page(0, Some(4), Some(1))] {
            assert_eq!(ahead(untold, Position::Start), []);
        }
    }
}
