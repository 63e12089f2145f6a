//! Lists, whose items stand under another name in each.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::types;
use crate::error::Error;
use crate::lenient::PositionalList;
use crate::operation::Operation;
use crate::page::Position;

/// A type that comes in lists, and the name that the vendor gives to its list.
pub trait Listed: crate::page::Sealed {
    /// The member of the answer that holds the items.
    const ROOT: &'static str;
}

macro_rules! listed {
    ($($item:ident: $root:literal,)*) => {$(
        impl crate::page::Sealed for types::$item {}

        impl Listed for types::$item {
            const ROOT: &'static str = $root;
        }
    )*};
}

listed! {
    ActivityCategory: "activity_categories",
    AppSection: "sections",
    ClientServicePackage: "client_service_packages",
    Country: "countries",
    CreditTransaction: "data",
    LinkedClient: "clients",
    Location: "locations",
    MoneyTransaction: "data",
    Occurrence: "occurrences",
    Region: "regions",
    Service: "services",
    ServicePackage: "service_packages",
    TimeSlot: "time_slots",
    Trainer: "trainers",
    TrainerActivity: "trainer_activities",
}

/// One page of a list, or all of a list that has no pages.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page<T> {
    /// How many items there are in all. Documented for locations and money transactions; where the vendor does not send
    /// it there is none.
    pub count: Option<u64>,
    /// The items. A body without them is no list, and fails: an empty list in its place would end a walk in silence.
    pub items: Vec<T>,
}

impl<T> Page<T> {
    /// The window that follows the one that was asked for; nothing after the last.
    ///
    /// Without a window the vendor chooses the size of the page, and the walk goes on in pages of what it sent.
    ///
    /// The vendor does not repeat the window. That it left the window out of account shows only in more items than there
    /// can be from its start on.
    pub(super) fn after(&self, operation: &'static Operation, asked: Position) -> Result<Option<Position>, Error> {
        let received = self.received();
        if received == 0 {
            return Ok(None);
        }
        let (start, due) = self.window(asked);
        let Some(seen) = start.checked_add(received) else { return Ok(None) };
        let total = self.count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        if start > 0 && (received > due || total.is_some_and(|total| seen > total)) {
            let reason = format!(
                "the vendor answered with {received} items where at most {} come after {start}; going on would lose items",
                total.map_or(due, |total| due.min((total - start).max(0))),
            );
            return Err(Error::request(operation.id(), "limit", reason));
        }
        let more = total.map_or(received >= due, |total| seen < total);
        Ok(more.then_some(Position::Window { start: seen, count: due }))
    }

    /// Where the `nth` page after the one asked for there will be, if all pages are like this one.
    pub(super) fn ahead(&self, asked: Position, nth: u32) -> Option<Position> {
        let total = self.count?;
        let received = Some(self.received()).filter(|received| *received > 0)?;
        let (start, count) = self.window(asked);
        let start = start.checked_add(received.checked_mul(nth.into())?)?;
        u64::try_from(start).is_ok_and(|start| start < total).then_some(Position::Window { start, count })
    }

    /// How many items there are in all.
    pub(super) fn total(&self) -> Option<u64> {
        self.count
    }

    fn received(&self) -> i64 {
        i64::try_from(self.items.len()).unwrap_or(i64::MAX)
    }

    /// Start and size of the window that was asked for.
    fn window(&self, asked: Position) -> (i64, i64) {
        match asked {
            Position::Window { start, count } => (start, count),
            _ => (0, self.received()),
        }
    }
}

impl<'de, T: Deserialize<'de> + Default + Listed> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(List(PhantomData))
    }
}

struct List<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default + Listed> Visitor<'de> for List<T> {
    type Value = Page<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the list `{}`", T::ROOT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut count, mut items) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            if name == T::ROOT {
                // Null where there are none: every member of the vendor's may be null.
                items = Some(map.next_value::<Option<PositionalList<T>>>()?.unwrap_or_default().0);
            } else if name == "count" {
                count = map.next_value::<Count>()?.0;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let items = items.ok_or_else(|| de::Error::missing_field(T::ROOT))?;
        Ok(Page { count, items })
    }
}

struct Count(Option<u64>);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::number(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Limit;
    use super::*;
    use crate::page::By;

    static LIST: Operation = Operation::new("list_locations", http::Method::GET, "/clubs/locations");

    impl Page<()> {
        fn next(&self, limit: Option<Limit>) -> Option<Limit> {
            By::at(self.after(&LIST, limit.position()).unwrap()?)
        }
    }

    fn page(count: Option<u64>, items: usize) -> Page<()> {
        Page { count, items: vec![(); items] }
    }

    #[test]
    fn windows_go_on_by_what_was_received_until_the_total() {
        let next = page(Some(60), 25).next(Some(Limit::new(25)));
        assert_eq!(next, Some(Limit::new(25).after(25)));
        assert_eq!(page(Some(60), 10).next(Some(Limit::new(25).after(50))), None);
    }

    #[test]
    fn without_a_window_the_walk_goes_on_in_pages_of_what_was_sent() {
        assert_eq!(page(Some(60), 20).next(None), Some(Limit::new(20).after(20)));
        assert_eq!(page(Some(60), 60).next(None), None);
    }

    #[test]
    fn more_items_than_there_can_be_after_the_start_are_an_error_and_not_a_loss() {
        let window = Limit::new(25);
        for (count, items, after) in [(Some(60), 60, 25), (Some(60), 25, 50), (None, 26, 25)] {
            let error =
                page(count, items).after(&LIST, Some(window.after(after)).position()).expect_err("another window");
            assert!(error.to_string().contains("going on would lose items"), "{error}");
        }
        assert_eq!(page(Some(60), 60).next(Some(window)), None, "all of it at once loses nothing");
    }

    #[test]
    fn windows_ahead_are_where_pages_like_this_one_put_them() {
        let ahead = |page: Page<()>, limit: Option<Limit>| {
            (1..9).map_while(|nth| page.ahead(limit.position(), nth)).collect::<Vec<_>>()
        };
        let window = |start, count| Position::Window { start, count };
        assert_eq!(ahead(page(Some(60), 25), Some(Limit::new(25))), [window(25, 25), window(50, 25)]);
        assert_eq!(ahead(page(Some(60), 20), None), [window(20, 20), window(40, 20)]);
        assert_eq!(ahead(page(Some(50), 10), Some(Limit::new(25).after(25))), [window(35, 25), window(45, 25)]);
        for untold in [page(None, 25), page(Some(60), 0)] {
            assert_eq!(ahead(untold, Some(Limit::new(25))), []);
        }
        assert_eq!(ahead(page(Some(u64::MAX), 25), Some(Limit::new(25).after(i64::MAX - 5))), []);
    }

    #[test]
    fn an_item_that_is_no_object_leaves_its_place_empty() {
        let page = regions(r#"{"regions": [{"id": 1}, null, 7, {"id": 4}]}"#).unwrap();
        assert_eq!(
            page.items.iter().map(|region| region.id).collect::<Vec<_>>(),
            [Some(1.into()), None, None, Some(4.into())]
        );
    }

    #[test]
    fn a_page_shorter_than_asked_for_skips_nothing() {
        let next = page(Some(60), 40).next(Some(Limit::new(100)));
        assert_eq!(next, Some(Limit::new(100).after(40)));
    }

    #[test]
    fn without_a_total_a_short_page_is_the_last() {
        assert_eq!(page(None, 25).next(Some(Limit::new(25))), Some(Limit::new(25).after(25)));
        assert_eq!(page(None, 24).next(Some(Limit::new(25))), None);
    }

    #[test]
    fn an_empty_page_is_the_last_whatever_the_total_claims() {
        assert_eq!(page(Some(1_000_000), 0).next(Some(Limit::new(25).after(50))), None);
    }

    #[test]
    fn a_walk_ends_before_the_numbers_do() {
        assert_eq!(page(Some(u64::MAX), 25).next(Some(Limit::new(25).after(i64::MAX - 5))), None);
    }

    proptest! {
        #[test]
        fn any_split_into_pages_yields_every_item_once(total in 0_usize..200, size in 1_i64..50, told: bool) {
            let mut limit = Some(Limit::new(size));
            let mut seen = 0;
            for _ in 0..300 {
                let Some(window) = limit else { break };
                prop_assert_eq!(window.start(), seen);
                let received = (i64::try_from(total).unwrap() - seen).clamp(0, window.count());
                seen += received;
                let page = page(told.then_some(total as u64), usize::try_from(received).unwrap());
                limit = page.next(Some(window));
            }
            prop_assert_eq!(limit, None);
            prop_assert_eq!(seen, i64::try_from(total).unwrap());
        }
    }

    fn regions(body: &str) -> Result<Page<types::Region>, String> {
        serde_json::from_str(body).map_err(|error| error.to_string())
    }

    #[test]
    fn items_stand_under_the_name_of_their_kind() {
        let page = regions(r#"{"count": "2", "regions": [{"id": 1}, {"id": "2"}], "more": {}}"#).unwrap();
        assert_eq!(page.count, Some(2));
        let ids: Vec<_> = page.items.iter().map(|region| region.id).collect();
        assert_eq!(ids, [Some(1.into()), Some(2.into())]);
    }

    #[test]
    fn an_odd_total_costs_nothing_but_itself() {
        for count in ["null", "\"many\"", "-1", "{}", "[]"] {
            let page = regions(&format!(r#"{{"count": {count}, "regions": []}}"#)).unwrap();
            assert_eq!((page.count, page.items.len()), (None, 0), "{count}");
        }
    }

    #[test]
    fn a_body_without_items_is_no_list() {
        for body in ["{}", r#"{"count": 3}"#, r#"{"count": 3, "regions": {}}"#, r#"{"locations": []}"#, "[]", "null"] {
            assert!(regions(body).is_err(), "{body}");
        }
        assert_eq!(regions(r#"{"regions": null}"#).unwrap().items, []);
    }
}
