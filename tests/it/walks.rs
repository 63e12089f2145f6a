//! Walks over lists: fetched ahead, taken up again, and while the list changes. At every vendor that has pages.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use http::{Request, Response};
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};
use servicebay::testing::fixably::{MockServer, TokenKind};
use servicebay::testing::{Script, Step, Transport, TransportError};
use servicebay::{Cursor, Error, Items, List, ListChanges, Pages, fentu, fisikal, fixably};
use tokio::time::{Instant, sleep};

use crate::support::{Log, builder};

/// How many items a page has here.
const SIZE: u32 = 10;

/// A vendor, and a list of its own.
trait Vendor {
    type List: List<Page: Send, Item: Send>;

    fn list(wire: impl Transport) -> (Self::List, Box<dyn Fn() -> u64 + Send>);
    fn items(list: Self::List) -> Items<Self::List>;
    fn pages(list: Self::List) -> Pages<Self::List>;
    fn id(item: &<Self::List as List>::Item) -> u64;
    /// Where a request begins, and how many items it wants.
    fn window(query: &HashMap<String, String>) -> (usize, usize);
    fn body(ids: &[u64], start: usize, total: usize) -> Value;
}

struct ByOffset;
struct ByPage;
struct Fentu;
struct Fisikal;

impl Vendor for ByOffset {
    type List = fixably::builder::ListQueues;

    fn list(wire: impl Transport) -> (Self::List, Box<dyn Fn() -> u64 + Send>) {
        let client = fixably::Client::builder(fixably::Credentials::bearer("test")).with_tenant("acme");
        let client = client.with_attempt_timeout(Duration::from_secs(1)).with_transport(wire).build().unwrap();
        (client.list_queues().limit(SIZE), Box::new(move || client.rate_limit().in_flight()))
    }

    fn items(list: Self::List) -> Items<Self::List> {
        list.items()
    }

    fn pages(list: Self::List) -> Pages<Self::List> {
        list.expand("items").pages()
    }

    fn id(item: &fixably::types::Queue) -> u64 {
        u64::try_from(item.id().unwrap().get()).unwrap()
    }

    fn window(query: &HashMap<String, String>) -> (usize, usize) {
        (number(query, "offset").unwrap_or(0), number(query, "limit").unwrap())
    }

    fn body(ids: &[u64], start: usize, total: usize) -> Value {
        let items: Vec<_> = ids.iter().map(|id| json!({"id": id, "name": "Bench"})).collect();
        json!({"limit": SIZE, "offset": start, "totalItems": total, "items": items})
    }
}

impl Vendor for ByPage {
    type List = fixably::builder::ListQueues;

    fn list(wire: impl Transport) -> (Self::List, Box<dyn Fn() -> u64 + Send>) {
        let (list, in_flight) = ByOffset::list(wire);
        (list.page(1), in_flight)
    }

    fn items(list: Self::List) -> Items<Self::List> {
        list.items()
    }

    fn pages(list: Self::List) -> Pages<Self::List> {
        ByOffset::pages(list)
    }

    fn id(item: &fixably::types::Queue) -> u64 {
        ByOffset::id(item)
    }

    fn window(query: &HashMap<String, String>) -> (usize, usize) {
        let size = number(query, "limit").unwrap();
        ((number(query, "page").unwrap() - 1) * size, size)
    }

    fn body(ids: &[u64], start: usize, total: usize) -> Value {
        ByOffset::body(ids, start, total)
    }
}

impl Vendor for Fentu {
    type List = fentu::builder::ListCustomers;

    fn list(wire: impl Transport) -> (Self::List, Box<dyn Fn() -> u64 + Send>) {
        let client = fentu::Client::builder(fentu::Credentials::api_key("test"));
        let client = client.with_attempt_timeout(Duration::from_secs(1)).with_transport(wire).build().unwrap();
        (client.list_customers().per_page(SIZE), Box::new(move || client.rate_limit().in_flight()))
    }

    fn items(list: Self::List) -> Items<Self::List> {
        list.items()
    }

    fn pages(list: Self::List) -> Pages<Self::List> {
        list.pages()
    }

    fn id(item: &fentu::types::CustomerSummary) -> u64 {
        item.id.as_ref().unwrap().as_str()["cust-".len()..].parse().unwrap()
    }

    fn window(query: &HashMap<String, String>) -> (usize, usize) {
        let size = number(query, "per_page").unwrap();
        ((number(query, "page").unwrap_or(1) - 1) * size, size)
    }

    fn body(ids: &[u64], start: usize, total: usize) -> Value {
        let data: Vec<_> = ids.iter().map(|id| json!({"id": format!("cust-{id}")})).collect();
        let size = SIZE as usize;
        let meta = json!({"current_page": start / size + 1, "total_pages": total.div_ceil(size), "total_count": total});
        json!({"data": data, "meta": meta})
    }
}

impl Vendor for Fisikal {
    type List = fisikal::builder::ListLocations;

    fn list(wire: impl Transport) -> (Self::List, Box<dyn Fn() -> u64 + Send>) {
        let client = fisikal::Client::builder(fisikal::Credentials::bearer("test")).with_tenant("acme");
        let client = client.with_attempt_timeout(Duration::from_secs(1)).with_transport(wire).build().unwrap();
        (client.list_locations().limit(SIZE), Box::new(move || client.rate_limit().in_flight()))
    }

    fn items(list: Self::List) -> Items<Self::List> {
        list.items()
    }

    fn pages(list: Self::List) -> Pages<Self::List> {
        list.pages()
    }

    fn id(item: &fisikal::types::Location) -> u64 {
        u64::try_from(item.id.unwrap().get()).unwrap()
    }

    fn window(query: &HashMap<String, String>) -> (usize, usize) {
        let limit: Value = serde_json::from_str(&query["json"]).unwrap();
        let number = |name: &str| usize::try_from(limit["limit"][name].as_u64().unwrap()).unwrap();
        (number("start"), number("count"))
    }

    fn body(ids: &[u64], _start: usize, total: usize) -> Value {
        let locations: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
        json!({"locations": locations, "count": total})
    }
}

fn number(query: &HashMap<String, String>, name: &str) -> Option<usize> {
    query.get(name).map(|value| value.parse().unwrap())
}

/// A list at the vendor's, which a test changes as it goes.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    ids: Vec<u64>,
    /// What happens before so many requests have been answered.
    changes: HashMap<usize, Change>,
    /// Where requests began, and when they came.
    requests: Vec<(usize, Instant)>,
    /// At most so many items on the page that begins there.
    short: HashMap<usize, usize>,
    /// Pages that begin there are not found.
    missing: Option<usize>,
    /// What is left of the limit.
    remaining: Option<u64>,
    /// Up to so many milliseconds for an answer.
    delay: u64,
    seed: u64,
}

#[derive(Clone, Debug)]
enum Change {
    Add(usize),
    Remove(Range<usize>),
}

impl Shelf {
    fn of(ids: Range<u64>) -> Self {
        let shelf = Self::default();
        shelf.state().ids.extend(ids);
        shelf
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn script<V: Vendor>(&self) -> Script {
        let shelf = self.clone();
        Script::new([Step::with(move |request| shelf.answer::<V>(request)).repeat()])
    }

    fn list<V: Vendor>(&self) -> V::List {
        V::list(self.script::<V>()).0
    }

    fn answer<V: Vendor>(&self, request: &Request<Bytes>) -> Step {
        let query = url::form_urlencoded::parse(request.uri().query().unwrap_or("").as_bytes()).into_owned().collect();
        let mut state = self.state();
        let served = state.requests.len();
        match state.changes.remove(&served) {
            Some(Change::Add(count)) => {
                let fresh = 1_000_000 + served as u64 * 1000;
                state.ids.splice(0..0, fresh..fresh + count as u64);
            }
            Some(Change::Remove(range)) => {
                let end = range.end.min(state.ids.len());
                state.ids.drain(range.start.min(end)..end);
            }
            None => {}
        }
        let (start, count) = V::window(&query);
        state.requests.push((start, Instant::now()));
        if state.missing == Some(start) {
            return Step::status(404);
        }
        let count = state.short.get(&start).map_or(count, |short| count.min(*short));
        let total = state.ids.len();
        let page = state.ids.get(start..total.min(start + count)).unwrap_or_default();
        let mut step = Step::json(200, V::body(page, start, total));
        if state.delay > 0 {
            let mut random = fastrand::Rng::with_seed(state.seed.wrapping_add(served as u64));
            step = step.delay(Duration::from_millis(random.u64(0..state.delay)));
        }
        if let Some(remaining) = &mut state.remaining {
            *remaining = remaining.saturating_sub(1);
            step = step.header("x-ratelimit-limit", "100").header("x-ratelimit-remaining", remaining.to_string());
            step = step.header("x-ratelimit-reset", "60");
        }
        step
    }

    fn starts(&self) -> Vec<usize> {
        self.state().requests.iter().map(|(start, _)| *start).collect()
    }
}

async fn ids<V: Vendor>(items: Items<V::List>) -> Vec<u64> {
    items.map_ok(|item| V::id(&item)).try_collect().await.unwrap()
}

/// Each test at each vendor.
macro_rules! everywhere {
    ($($name:ident)*) => {$(
        mod $name {
            #[tokio::test(start_paused = true)]
            async fn by_offset() {
                super::$name::<super::ByOffset>().await;
            }

            #[tokio::test(start_paused = true)]
            async fn by_page() {
                super::$name::<super::ByPage>().await;
            }

            #[tokio::test(start_paused = true)]
            async fn fentu() {
                super::$name::<super::Fentu>().await;
            }

            #[tokio::test(start_paused = true)]
            async fn fisikal() {
                super::$name::<super::Fisikal>().await;
            }
        }
    )*};
}

everywhere! {
    pages_keep_their_order_however_late_each_comes
    an_error_ends_the_walk_after_the_items_before_it_and_nothing_more_is_sent
    dropping_a_walk_cancels_what_is_under_way
    where_the_limit_is_nearly_spent_a_walk_goes_page_by_page
    without_prefetch_nothing_is_fetched_before_it_is_asked_for
    a_cursor_of_any_moment_goes_on_with_the_very_next_item
    a_cursor_of_pages_goes_on_with_the_next_page
    items_that_are_added_during_a_walk_double_nothing
    items_that_are_removed_during_a_walk_skip_nothing
    a_list_whose_items_go_as_they_are_handed_out_is_walked_whole
    a_list_that_changed_while_a_cursor_lay_about_is_gone_on_with_all_the_same
    pages_leave_out_what_came_before
    who_takes_long_over_each_page_loses_none
}

async fn pages_keep_their_order_however_late_each_comes<V: Vendor>() {
    for (depth, seed) in [2, 3, 8, 50].into_iter().zip(0..) {
        let shelf = Shelf::of(0..205);
        (shelf.state().delay, shelf.state().seed) = (500, seed);
        let seen = ids::<V>(V::items(shelf.list::<V>()).prefetch(depth)).await;
        assert_eq!(seen, (0..205).collect::<Vec<_>>(), "{depth}");
        assert_eq!(shelf.starts(), (0..205).step_by(10).collect::<Vec<_>>(), "each page once, and in order");
    }
}

async fn an_error_ends_the_walk_after_the_items_before_it_and_nothing_more_is_sent<V: Vendor>() {
    let shelf = Shelf::of(0..200);
    shelf.state().missing = Some(50);
    let mut items = V::items(shelf.list::<V>()).prefetch(4);
    for id in 0..50 {
        assert_eq!(V::id(&items.try_next().await.unwrap().unwrap()), id);
    }
    let sent = shelf.starts();
    assert!(matches!(items.next().await, Some(Err(Error::NotFound(_)))));
    assert!(items.next().await.is_none());
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(shelf.starts(), sent);
    assert_eq!(sent.last(), Some(&50), "the failure is known before its turn, and nothing is fetched behind it");

    // Once the cause is gone, the walk goes on where it stopped.
    shelf.state().missing = None;
    let rest = ids::<V>(V::items(shelf.list::<V>()).prefetch(4).resume(items.cursor())).await;
    assert_eq!(rest, (50..200).collect::<Vec<_>>());
}

async fn dropping_a_walk_cancels_what_is_under_way<V: Vendor>() {
    let shelf = Shelf::of(0..200);
    let (list, in_flight) = V::list(shelf.script::<V>());
    let mut items = V::items(list).prefetch(8);
    items.try_next().await.unwrap();
    assert_eq!((in_flight(), shelf.starts().len()), (0, 9), "answered at once");
    shelf.state().delay = 1000;
    for _ in 0..10 {
        items.try_next().await.unwrap();
    }
    assert_eq!(in_flight(), 1);
    drop(items);
    assert_eq!(in_flight(), 0);
}

async fn where_the_limit_is_nearly_spent_a_walk_goes_page_by_page<V: Vendor>() {
    let shelf = Shelf::of(0..200);
    shelf.state().remaining = Some(9);
    let mut items = V::items(shelf.list::<V>()).prefetch(5);
    // Of nine calls eight are left after the first page, and half of what is left goes ahead.
    for (taken, sent) in [(1, 5), (10, 7), (10, 8), (10, 8), (10, 8), (20, 8), (20, 9)] {
        for _ in 0..taken {
            items.try_next().await.unwrap();
        }
        assert_eq!(shelf.starts().len(), sent);
    }
    // From here on one at a time, and only when it is asked for.
    for _ in 0..9 {
        items.try_next().await.unwrap();
    }
    assert_eq!(shelf.starts().len(), 9);
    let rest: Vec<_> = items.try_collect().await.unwrap();
    assert_eq!((rest.len(), shelf.starts().len()), (200 - 90, 20));
}

async fn without_prefetch_nothing_is_fetched_before_it_is_asked_for<V: Vendor>() {
    for depth in [0, 1] {
        let shelf = Shelf::of(0..50);
        let mut items = V::items(shelf.list::<V>()).prefetch(depth);
        for taken in 1..=50 {
            items.try_next().await.unwrap();
            assert_eq!(shelf.starts().len(), usize::div_ceil(taken, 10));
        }
    }
}

async fn a_cursor_of_any_moment_goes_on_with_the_very_next_item<V: Vendor>() {
    let shelf = Shelf::of(0..55);
    let mut items = V::items(shelf.list::<V>()).prefetch(3);
    for taken in 0..=55 {
        let cursor = items.cursor();
        let text = serde_json::to_string(&cursor).unwrap();
        let read: Cursor = serde_json::from_str(&text).unwrap();
        assert_eq!(read, cursor);
        assert_eq!((read.yielded(), read.is_finished()), (taken, taken == 55), "{text}");
        assert!(text.len() < 4096 && !text.contains("test"), "{text}");

        let again = V::items(shelf.list::<V>()).resume(read.clone());
        assert_eq!(again.cursor(), read, "resumed, and stored again before it began");
        let mut again = again.prefetch(2);
        let mut rest = Vec::new();
        while let Some(item) = again.try_next().await.unwrap() {
            rest.push(V::id(&item));
        }
        assert_eq!(rest, (taken..55).collect::<Vec<_>>());
        assert!(again.changes().is_none(), "{taken}: {:?}", again.changes());
        assert_eq!((again.cursor().yielded(), again.total()), (55, if taken == 0 { Some(55) } else { again.total() }));
        assert_eq!(items.try_next().await.unwrap().map(|item| V::id(&item)), (taken < 55).then_some(taken));
    }
}

async fn a_cursor_of_pages_goes_on_with_the_next_page<V: Vendor>() {
    let shelf = Shelf::of(0..55);
    let mut pages = V::pages(shelf.list::<V>()).prefetch(3);
    for page in 0..=6 {
        let rest: Vec<_> = V::pages(shelf.list::<V>()).resume(pages.cursor()).try_collect().await.unwrap();
        assert_eq!(rest.len(), 6 - page);
        pages.try_next().await.unwrap();
    }
    assert!(pages.changes().is_none());
}

async fn items_that_are_added_during_a_walk_double_nothing<V: Vendor>() {
    for depth in [1, 4] {
        let shelf = Shelf::of(0..100);
        shelf.state().changes.extend([(2, Change::Add(3)), (6, Change::Add(12))]);
        let mut items = V::items(shelf.list::<V>()).prefetch(depth);
        let mut seen = Vec::new();
        while let Some(item) = items.try_next().await.unwrap() {
            seen.push(V::id(&item));
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>(), "{depth}");
        let drift = items.changes();
        assert_eq!((drift.total_before(), drift.total_now(), drift.repeated()), (Some(100), Some(115), 15));
        assert_eq!((drift.maybe_missed(), drift.maybe_repeated()), (0, 0));
    }
}

async fn items_that_are_removed_during_a_walk_skip_nothing<V: Vendor>() {
    for depth in [1, 4] {
        let log = Log::default();
        let listening = log.listen();
        let shelf = Shelf::of(0..100);
        shelf.state().changes.extend([(2, Change::Remove(0..3)), (7, Change::Remove(10..12))]);
        let mut items = V::items(shelf.list::<V>()).prefetch(depth);
        let mut seen = Vec::new();
        while let Some(item) = items.try_next().await.unwrap() {
            seen.push(V::id(&item));
        }
        drop(listening);
        assert_eq!(seen, (0..100).collect::<Vec<_>>(), "{depth}: they went after they were handed out");
        let drift = items.changes();
        assert_eq!((drift.total_before(), drift.total_now(), drift.maybe_missed()), (Some(100), Some(95), 0));
        assert!(drift.backtracks() > 0, "{drift:?}");
        assert!(log.text().contains("a list changed during its walk"), "{}", log.text());
    }
}

async fn a_list_whose_items_go_as_they_are_handed_out_is_walked_whole<V: Vendor>() {
    for depth in [1, 4] {
        let shelf = Shelf::of(0..100);
        let mut items = V::items(shelf.list::<V>()).prefetch(depth);
        let mut seen = Vec::new();
        while let Some(item) = items.try_next().await.unwrap() {
            seen.push(V::id(&item));
            shelf.state().ids.retain(|id| *id != V::id(&item));
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>(), "{depth}");
        assert_eq!(items.changes().maybe_missed(), 0);
    }
}

async fn a_list_that_changed_while_a_cursor_lay_about_is_gone_on_with_all_the_same<V: Vendor>() {
    for change in [Change::Add(1), Change::Add(20), Change::Remove(0..1), Change::Remove(0..30), Change::Remove(20..47)]
    {
        for taken in [20, 43, 47] {
            let shelf = Shelf::of(0..100);
            let mut items = V::items(shelf.list::<V>());
            for _ in 0..taken {
                items.try_next().await.unwrap();
            }
            let cursor = items.cursor();
            drop(items);
            let served = shelf.starts().len();
            shelf.state().changes.insert(served, change.clone());
            let rest = ids::<V>(V::items(shelf.list::<V>()).resume(cursor).prefetch(4)).await;
            let gone = if let Change::Remove(range) = &change { range.clone() } else { 0..0 };
            let due: Vec<_> = (taken..100).filter(|id| !gone.contains(&usize::try_from(*id).unwrap())).collect();
            assert_eq!(rest, due, "{change:?} after {taken}");
        }
    }
}

async fn pages_leave_out_what_came_before<V: Vendor>() {
    let shelf = Shelf::of(0..100);
    shelf.state().changes.extend([(2, Change::Add(12))]);
    let pages = V::pages(shelf.list::<V>());
    let pages: Vec<_> = pages.map_ok(|page| V::List::into_items(page.into_inner())).try_collect().await.unwrap();
    assert!(pages.iter().all(|page| !page.is_empty()));
    assert_eq!(pages.concat_ids::<V>(), (0..100).collect::<Vec<_>>());
}

trait ConcatIds<I> {
    fn concat_ids<V: Vendor<List: List<Item = I>>>(&self) -> Vec<u64>;
}

impl<I> ConcatIds<I> for Vec<Vec<I>> {
    fn concat_ids<V: Vendor<List: List<Item = I>>>(&self) -> Vec<u64> {
        self.iter().flatten().map(V::id).collect()
    }
}

/// A wire whose answers come in two parts, so that they need somebody who waits for them.
#[derive(Debug)]
struct InParts<W>(W);

impl<W: Transport> Transport for InParts<W> {
    fn send(
        &self,
        request: Request<Bytes>,
    ) -> futures_core::future::BoxFuture<'static, Result<Response<Bytes>, TransportError>> {
        let answer = self.0.send(request);
        Box::pin(async move {
            sleep(Duration::from_millis(20)).await;
            sleep(Duration::from_millis(20)).await;
            answer.await
        })
    }

    fn identity(&self) -> usize {
        self.0.identity()
    }

    fn wall(&self) -> Timestamp {
        self.0.wall()
    }
}

async fn who_takes_long_over_each_page_loses_none<V: Vendor>() {
    let shelf = Shelf::of(0..200);
    let (list, _) = V::list(InParts(shelf.script::<V>()));
    let mut pages = V::pages(list).prefetch(8);
    let mut seen = Vec::new();
    // Longer than an attempt may take, every time: what is fetched ahead runs out of time and attempts.
    while let Some(page) = pages.try_next().await.unwrap() {
        seen.push(V::List::into_items(page.into_inner()));
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(seen.concat_ids::<V>(), (0..200).collect::<Vec<_>>());
}

async fn short_pages<V: Vendor>() {
    for depth in [1, 2, 8] {
        let shelf = Shelf::of(0..200);
        shelf.state().short.extend([(20, 3), (23, 1), (54, 9), (63, 5), (108, 2)]);
        assert_eq!(ids::<V>(V::items(shelf.list::<V>()).prefetch(depth)).await, (0..200).collect::<Vec<_>>());
        let mut starts = shelf.starts();
        starts.sort_unstable();
        starts.dedup();
        // 25 pages have to be fetched; of those that were fetched from the wrong place there are few.
        assert!(shelf.starts().len() < 25 + 5 * depth, "{depth}: {:?}", shelf.starts());
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_shorter_than_the_others_loses_nothing_and_doubles_nothing() {
    short_pages::<ByOffset>().await;
    short_pages::<Fisikal>().await;
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_clamps_the_size_of_pages_is_walked_ahead_all_the_same() {
    let shelf = Shelf::of(0..100);
    shelf.state().short.extend((0..100).map(|start| (start, 4)));
    assert_eq!(ids::<ByOffset>(shelf.list::<ByOffset>().items().prefetch(8)).await, (0..100).collect::<Vec<_>>());
    assert_eq!(shelf.starts(), (0..100).step_by(4).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn two_hundred_pages_take_an_eighth_of_the_time_with_eight_under_way() {
    let shelf = Shelf::of(0..2000);
    let script = shelf.script::<ByOffset>();
    let late = Step::with(move |request| shelf.answer::<ByOffset>(request).delay(Duration::from_millis(50)));
    drop(script);
    let list = ByOffset::list(Script::new([late.repeat()])).0;
    let begun = Instant::now();
    assert_eq!(ids::<ByOffset>(list.items().prefetch(8)).await.len(), 2000);
    // The first page alone, then 199 by eight.
    assert_eq!(begun.elapsed().as_millis(), 50 + 199_u128.div_ceil(8) * 50);
}

#[tokio::test]
async fn a_cursor_is_refused_by_another_list() {
    let shelf = Shelf::of(0..50);
    let list = shelf.list::<ByOffset>();
    let mut items = list.clone().items();
    items.try_next().await.unwrap();
    let cursor = items.cursor();
    let script = shelf.script::<ByOffset>();
    let client = builder(&script).build().unwrap();
    let elsewhere = fixably::Client::builder(fixably::Credentials::bearer("test")).with_tenant("other");
    let elsewhere = elsewhere.with_transport(script.clone()).build().unwrap();

    let refusals = [
        client.list_stores().limit(SIZE).items().resume(cursor.clone()).try_next().await.err(),
        list.clone().q("name:Bench").items().resume(cursor.clone()).try_next().await.err(),
        list.clone().limit(SIZE + 1).items().resume(cursor.clone()).try_next().await.err(),
        list.clone().pages().resume(cursor.clone()).try_next().await.err(),
        elsewhere.list_queues().limit(SIZE).items().resume(cursor.clone()).try_next().await.err(),
        items.resume(cursor.clone()).skip(9).next().await.unwrap().err(),
    ];
    for refusal in refusals {
        let Some(Error::InvalidRequest(error)) = refusal else { panic!("{refusal:?}") };
        assert_eq!(error.parameter(), "cursor");
    }
    assert_eq!(script.requests().len(), 0);

    // Where it begins is not part of what is asked for.
    let elsewhere_in_it = list.offset(30).items().resume(cursor).try_next().await.unwrap().unwrap();
    assert_eq!(ByOffset::id(&elsewhere_in_it), 1);
}

#[tokio::test]
async fn a_refused_cursor_sends_nothing_and_ends_the_walk() {
    let shelf = Shelf::of(0..50);
    let cursor = shelf.list::<ByOffset>().items().cursor();
    let mut items = shelf.list::<ByOffset>().q("name:Bench").items().resume(cursor);
    assert!(items.next().await.unwrap().is_err());
    assert!(items.next().await.is_none());
    assert_eq!(shelf.starts().len(), 0);
}

#[tokio::test]
async fn a_finished_walk_gives_nothing_more_and_sends_nothing() {
    let shelf = Shelf::of(0..25);
    let mut items = shelf.list::<ByOffset>().items();
    while items.try_next().await.unwrap().is_some() {}
    let cursor = items.cursor();
    assert!(cursor.is_finished());
    let sent = shelf.starts().len();
    assert!(shelf.list::<ByOffset>().items().resume(cursor).next().await.is_none());
    assert_eq!(shelf.starts().len(), sent);
}

#[tokio::test]
async fn a_cursor_within_a_page_longer_than_it_remembers_doubles_nothing() {
    let shelf = Shelf::of(0..2000);
    let list = || shelf.list::<Fisikal>().limit(1000);
    for stop in [150, 300, 900, 1500] {
        let mut items = list().items();
        for _ in 0..stop {
            items.try_next().await.unwrap();
        }
        assert_eq!(ids::<Fisikal>(list().items().resume(items.cursor())).await, (stop..2000).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn a_vendor_that_sends_the_same_page_for_ever_ends_the_walk_with_an_error() {
    let page = json!({"limit": 2, "totalItems": 6, "items": [{"id": 1}, {"id": 2}]});
    let list = ByOffset::list(Script::new([Step::json(200, page).repeat()])).0;
    let walk: Result<Vec<_>, _> = list.items().try_collect().await;
    assert!(walk.unwrap_err().to_string().contains("the page before once more"));
}

/// The items of a walk that is put down and taken up again after so many.
async fn walk<V: Vendor>(shelf: &Shelf, depth: usize, stop: Option<usize>) -> (Vec<u64>, ListChanges) {
    let mut items = V::items(shelf.list::<V>()).prefetch(depth);
    let mut yielded = Vec::new();
    while let Some(item) = items.try_next().await.unwrap() {
        yielded.push(V::id(&item));
        if stop == Some(yielded.len()) {
            items = V::items(shelf.list::<V>()).prefetch(depth).resume(items.cursor());
        }
    }
    (yielded, items.changes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_there_from_beginning_to_end_is_handed_out_once_whatever_else_comes_or_goes(
        total in 0_u64..150,
        grows: bool,
        changes in prop::collection::hash_map(0_usize..20, (0_usize..100, 1_usize..15), 0..6),
        vendor in 0..4,
        depth in 1_usize..6,
        seed: u64,
        stop in prop::option::of(0_usize..150),
    ) {
        let shelf = Shelf::of(0..total);
        let changes = changes.into_iter().map(|(when, (place, count))| {
            (when, if grows { Change::Add(count) } else { Change::Remove(place..place + count) })
        });
        shelf.state().changes.extend(changes);
        (shelf.state().delay, shelf.state().seed) = (100, seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (yielded, drift) = runtime.block_on(async {
            match vendor {
                0 => walk::<ByOffset>(&shelf, depth, stop).await,
                1 => walk::<ByPage>(&shelf, depth, stop).await,
                2 => walk::<Fentu>(&shelf, depth, stop).await,
                _ => walk::<Fisikal>(&shelf, depth, stop).await,
            }
        });
        prop_assert_eq!((drift.maybe_missed(), drift.maybe_repeated()), (0, 0));
        let mut once = yielded.clone();
        once.sort_unstable();
        once.dedup();
        prop_assert_eq!(once.len(), yielded.len(), "{:?}", yielded);
        let left = shelf.state().ids.clone();
        for id in left.into_iter().filter(|id| *id < total) {
            prop_assert!(once.contains(&id), "{} is missing from {:?}", id, yielded);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_calls_for_each_item_is_not_slowed_by_what_is_fetched_ahead() {
    // 70 pages and 140 calls, 30 a minute.
    let mut times = Vec::new();
    for depth in [1, 8, 64] {
        let tenant = MockServer::builder().with_rate_limit(30, Duration::from_secs(60)).in_memory();
        let credentials = fixably::Credentials::bearer(tenant.token(TokenKind::AdminAll));
        let client = fixably::Client::builder(credentials).with_base_url(tenant.base_url());
        let client = client.with_transport(InParts(tenant.clone())).build().unwrap();
        let begun = Instant::now();
        let mut orders = client.list_orders().limit(2).items().prefetch(depth);
        while let Some(order) = orders.try_next().await.unwrap() {
            client.get_order().id(order.id().unwrap()).send().await.unwrap();
        }
        times.push((begun.elapsed().as_secs(), tenant.counters().requests()));
    }
    let [(alone, _), ..] = times[..] else { unreachable!("three depths") };
    for (seconds, requests) in times {
        assert!(seconds <= alone + 60, "{seconds} s, and {alone} s page by page");
        assert_eq!(requests, 210, "nothing is fetched twice");
    }
}
