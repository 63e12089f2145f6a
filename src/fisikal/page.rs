//! A page of a list, and where the next one starts. Each list names its items differently.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, Deserialize, DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};

use super::generated::types;
use super::page_limit::PageLimit;
use crate::lenient::PositionalList;
use crate::page::{ListPage, Position, Sealed, UnexpectedPage};
use crate::raw_list::RawPage;

/// A type that the vendor sends in lists. Implement it for items of a [`RawList`](crate::RawList).
///
/// ```
/// #[derive(Default, serde::Deserialize)]
/// #[serde(default)]
/// struct Announcement {
///     title: String,
/// }
///
/// impl servicebay::fisikal::ListItem for Announcement {
///     const ROOT: &'static str = "announcements";
/// }
/// ```
pub trait ListItem {
    /// The name of the member that holds the items.
    const ROOT: &'static str;
}

macro_rules! list_items {
    ($($item:ident: $root:literal,)*) => {$(
        impl ListItem for types::$item {
            const ROOT: &'static str = $root;
        }
    )*};
}

list_items! {
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

/// One page of a list, or all of a list that is not paged.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Page<T> {
    /// The number of items on all pages; `None` if the vendor does not send it. Documented for locations and money
    /// transactions.
    pub count: Option<u64>,
    /// The items. A response without them is an error: read as an empty page, it would end the list early and unnoticed.
    pub items: Vec<T>,
}

impl<T> Page<T> {
    /// A page with these items, for your own tests. The other fields are public.
    pub fn new(items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().collect();
        Self { count: None, items }
    }
}

impl<T> Sealed for Page<T> {}

impl<T: Send + 'static> ListPage for Page<T> {
    type Item = T;

    /// The position after the `requested` one; `None` after the last page.
    ///
    /// Without a limit the vendor chooses the size of the page, and the following pages have that size.
    ///
    /// Responses do not repeat the requested range. If the vendor ignored it, the only sign is a page with more items than
    /// can follow its start.
    fn after(&self, requested: Position) -> Result<Option<Position>, UnexpectedPage> {
        let received = self.received();
        if received == 0 {
            return Ok(None);
        }
        let (start, expected) = self.range(requested);
        let Some(seen) = start.checked_add(received) else { return Ok(None) };
        let total = self.count.map(|count| i64::try_from(count).unwrap_or(i64::MAX));
        if start > 0 && (received > expected || total.is_some_and(|total| seen > total)) {
            let problem = format!(
                "the vendor sent {received} items, but at most {} can follow the first {start}",
                total.map_or(expected, |total| expected.min((total - start).max(0))),
            );
            return Err(UnexpectedPage::skips_items(problem));
        }
        let more = total.map_or(received >= expected, |total| seen < total);
        Ok(more.then_some(Position::Window { start: seen, count: expected }))
    }

    /// The next window, as long as it starts before the count.
    fn after_empty(&self, requested: Position, _: Option<u64>, _: u64) -> Option<Position> {
        let Position::Window { start, count } = requested else { return None };
        let start = start.checked_add(count)?;
        let more = count > 0 && u64::try_from(start).ok()? < self.count?;
        more.then_some(Position::Window { start, count })
    }

    /// The position of the `nth` page after the `requested` one, if all pages are as long as this one.
    fn ahead(&self, requested: Position, nth: u32) -> Option<Position> {
        let total = self.count?;
        let received = Some(self.received()).filter(|received| *received > 0)?;
        let (start, count) = self.range(requested);
        let start = start.checked_add(received.checked_mul(nth.into())?)?;
        u64::try_from(start).is_ok_and(|start| start < total).then_some(Position::Window { start, count })
    }

    /// The number of items on all pages.
    fn total(&self) -> Option<u64> {
        self.count
    }

    fn items(&self) -> &[T] {
        &self.items
    }

    fn items_mut(&mut self) -> &mut Vec<T> {
        &mut self.items
    }
}

impl<T: DeserializeOwned + Default + ListItem + Send + 'static> RawPage for Page<T> {
    const PARAMETERS: &'static [&'static str] = &[];

    /// The range is a member of the JSON object that holds all parameters of a list.
    fn select(query: &mut Vec<(String, String)>, position: Position) -> Result<(), &'static str> {
        let limit = match position {
            Position::Start => return Ok(()),
            Position::Window { start, count } => PageLimit::new(count).after(start),
            _ => return Err("is an offset or a page: this vendor's lists are read in windows"),
        };
        let limit = serde_json::to_value(limit).map_err(|_| "has an empty or negative window")?;
        let index = query.iter().position(|(name, _)| name == "json");
        let mut members = match index.map(|index| serde_json::from_str(&query[index].1)) {
            None => serde_json::Map::new(),
            Some(Ok(members)) => members,
            Some(Err(_)) => return Err("cannot be added to the parameter `json`, which is no JSON object"),
        };
        members.insert("limit".to_owned(), limit);
        let json = serde_json::Value::Object(members).to_string();
        match index {
            Some(index) => query[index].1 = json,
            None => query.push(("json".to_owned(), json)),
        }
        Ok(())
    }
}

impl<T> Page<T> {
    fn received(&self) -> i64 {
        i64::try_from(self.items.len()).unwrap_or(i64::MAX)
    }

    /// The start and the size of the requested range.
    fn range(&self, requested: Position) -> (i64, i64) {
        match requested {
            Position::Window { start, count } => (start, count),
            _ => (0, self.received()),
        }
    }
}

impl<'de, T: Deserialize<'de> + Default + ListItem> Deserialize<'de> for Page<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PageVisitor(PhantomData))
    }
}

struct PageVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + Default + ListItem> Visitor<'de> for PageVisitor<T> {
    type Value = Page<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with the list `{}`", T::ROOT)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut count, mut items) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            if name == T::ROOT {
                // Any member can be null, an empty list too.
                items = Some(map.next_value::<Option<PositionalList<T>>>()?.unwrap_or_default().0);
            } else if name == "count" {
                count = map.next_value::<TotalCount>()?.0;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let items = items.ok_or_else(|| de::Error::missing_field(T::ROOT))?;
        Ok(Page { count, items })
    }
}

struct TotalCount(Option<u64>);

impl<'de> Deserialize<'de> for TotalCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::number(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::page_limit::PageLimit;
    use super::*;
    use crate::page::PageParams;

    impl Page<()> {
        fn next(&self, limit: Option<PageLimit>) -> Option<PageLimit> {
            PageParams::from_position(self.after(limit.position()).unwrap()?)
        }
    }

    fn page(count: Option<u64>, items: usize) -> Page<()> {
        Page { count, items: vec![(); items] }
    }

    #[test]
    fn a_walk_continues_after_the_received_items_until_the_total() {
        let next = page(Some(60), 25).next(Some(PageLimit::new(25)));
        assert_eq!(next, Some(PageLimit::new(25).after(25)));
        assert_eq!(page(Some(60), 10).next(Some(PageLimit::new(25).after(50))), None);
    }

    #[test]
    fn without_a_limit_the_walk_continues_in_pages_of_the_received_size() {
        assert_eq!(page(Some(60), 20).next(None), Some(PageLimit::new(20).after(20)));
        assert_eq!(page(Some(60), 60).next(None), None);
    }

    #[test]
    fn more_items_than_can_follow_the_start_are_an_error() {
        let limit = PageLimit::new(25);
        for (count, items, after) in [(Some(60), 60, 25), (Some(60), 25, 50), (None, 26, 25)] {
            let error = page(count, items).after(Some(limit.after(after)).position()).expect_err("another range");
            assert!(error.to_string().contains("would skip items"), "{error}");
        }
        assert_eq!(page(Some(60), 60).next(Some(limit)), None, "the whole list in one page is complete");
    }

    #[test]
    fn positions_ahead_assume_pages_of_the_same_size() {
        let ahead = |page: Page<()>, limit: Option<PageLimit>| {
            (1..9).map_while(|nth| page.ahead(limit.position(), nth)).collect::<Vec<_>>()
        };
        let window = |start, count| Position::Window { start, count };
        assert_eq!(ahead(page(Some(60), 25), Some(PageLimit::new(25))), [window(25, 25), window(50, 25)]);
        assert_eq!(ahead(page(Some(60), 20), None), [window(20, 20), window(40, 20)]);
        assert_eq!(ahead(page(Some(50), 10), Some(PageLimit::new(25).after(25))), [window(35, 25), window(45, 25)]);
        for unknown in [page(None, 25), page(Some(60), 0)] {
            assert_eq!(ahead(unknown, Some(PageLimit::new(25))), []);
        }
        assert_eq!(ahead(page(Some(u64::MAX), 25), Some(PageLimit::new(25).after(i64::MAX - 5))), []);
    }

    #[test]
    fn an_invalid_item_becomes_an_empty_one() {
        let page = regions(r#"{"regions": [{"id": 1}, null, 7, {"id": 4}]}"#).unwrap();
        assert_eq!(
            page.items.iter().map(|region| region.id).collect::<Vec<_>>(),
            [Some(1.into()), None, None, Some(4.into())]
        );
    }

    #[test]
    fn after_a_short_page_the_walk_continues_with_the_next_item() {
        let next = page(Some(60), 40).next(Some(PageLimit::new(100)));
        assert_eq!(next, Some(PageLimit::new(100).after(40)));
    }

    #[test]
    fn without_a_total_a_short_page_is_the_last() {
        assert_eq!(page(None, 25).next(Some(PageLimit::new(25))), Some(PageLimit::new(25).after(25)));
        assert_eq!(page(None, 24).next(Some(PageLimit::new(25))), None);
    }

    #[test]
    fn after_an_empty_page_the_list_goes_on_with_the_next_window_before_the_count() {
        let window = |start| Position::Window { start, count: 25 };
        let after = |count, requested| page(count, 0).after_empty(requested, Some(50), 25);
        assert_eq!(after(Some(76), window(50)), Some(window(75)));
        for (count, requested) in [
            (Some(75), window(50)),
            (None, window(50)),
            (Some(u64::MAX), window(i64::MAX - 5)),
            (Some(75), Position::Window { start: 0, count: 0 }),
            (Some(75), Position::Start),
        ] {
            assert_eq!(after(count, requested), None, "{requested:?} of {count:?}");
            assert_eq!(page(count, 0).after(requested), Ok(None));
        }
    }

    #[test]
    fn a_walk_ends_at_the_largest_offset() {
        assert_eq!(page(Some(u64::MAX), 25).next(Some(PageLimit::new(25).after(i64::MAX - 5))), None);
    }

    proptest! {
        #[test]
        fn any_split_into_pages_yields_every_item_once(total in 0_usize..200, size in 1_i64..50, has_total: bool) {
            let mut limit = Some(PageLimit::new(size));
            let mut seen = 0;
            for _ in 0..300 {
                let Some(requested) = limit else { break };
                prop_assert_eq!(requested.start(), seen);
                let received = (i64::try_from(total).unwrap() - seen).clamp(0, requested.count());
                seen += received;
                let page = page(has_total.then_some(total as u64), usize::try_from(received).unwrap());
                limit = page.next(Some(requested));
            }
            prop_assert_eq!(limit, None);
            prop_assert_eq!(seen, i64::try_from(total).unwrap());
        }
    }

    fn regions(body: &str) -> Result<Page<types::Region>, String> {
        serde_json::from_str(body).map_err(|error| error.to_string())
    }

    #[test]
    fn items_are_read_from_the_member_named_after_them() {
        let page = regions(r#"{"count": "2", "regions": [{"id": 1}, {"id": "2"}], "more": {}}"#).unwrap();
        assert_eq!(page.count, Some(2));
        let ids: Vec<_> = page.items.iter().map(|region| region.id).collect();
        assert_eq!(ids, [Some(1.into()), Some(2.into())]);
    }

    #[test]
    fn an_invalid_total_is_none() {
        for count in ["null", "\"many\"", "-1", "{}", "[]"] {
            let page = regions(&format!(r#"{{"count": {count}, "regions": []}}"#)).unwrap();
            assert_eq!((page.count, page.items.len()), (None, 0), "{count}");
        }
    }

    #[test]
    fn a_body_without_items_is_an_error() {
        for body in ["{}", r#"{"count": 3}"#, r#"{"count": 3, "regions": {}}"#, r#"{"locations": []}"#, "[]", "null"] {
            assert!(regions(body).is_err(), "{body}");
        }
        assert_eq!(regions(r#"{"regions": null}"#).unwrap().items, []);
    }
}
