//! A list at each vendor that tests can change while it is read.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Request, Response};
use serde_json::{Value, json};
use servicebay::testing::{Script, Step};
use servicebay::{Body, Items, List, ListPage, Pages, Transport, TransportError, fentu, fisikal, fixably};
use tokio::time::{Instant, sleep};

/// How many items a page has.
pub(super) const PAGE_SIZE: u32 = 10;

/// A list operation of a vendor, and the wire format of its pages.
pub(super) trait ListVendor {
    type List: List<Item: Send>;

    /// The operation, and how many calls its client has in flight.
    fn operation(transport: impl Transport) -> (Self::List, Box<dyn Fn() -> u64 + Send>);
    fn items(list: Self::List) -> Items<Self::List>;
    fn pages(list: Self::List) -> Pages<Self::List>;
    fn id(item: &<Self::List as List>::Item) -> u64;
    /// Where the requested page starts, and how many items it may have.
    fn window(query: &HashMap<String, String>) -> (usize, usize);
    fn body(ids: &[u64], start: usize, total: usize) -> Value;
}

pub(super) struct FixablyByOffset;
pub(super) struct FixablyByPage;
pub(super) struct Fentu;
pub(super) struct Fisikal;

impl ListVendor for FixablyByOffset {
    type List = fixably::builder::ListQueues;

    fn operation(transport: impl Transport) -> (Self::List, Box<dyn Fn() -> u64 + Send>) {
        let client = fixably::Client::builder(fixably::Credentials::bearer("test")).with_tenant("acme");
        let client = client.with_attempt_timeout(Duration::from_secs(1)).with_transport(transport).build().unwrap();
        (client.list_queues().limit(PAGE_SIZE), Box::new(move || client.rate_limit().in_flight()))
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
        json!({"limit": PAGE_SIZE, "offset": start, "totalItems": total, "items": items})
    }
}

impl ListVendor for FixablyByPage {
    type List = fixably::builder::ListQueues;

    fn operation(transport: impl Transport) -> (Self::List, Box<dyn Fn() -> u64 + Send>) {
        let (list, in_flight) = FixablyByOffset::operation(transport);
        (list.page(1), in_flight)
    }

    fn items(list: Self::List) -> Items<Self::List> {
        list.items()
    }

    fn pages(list: Self::List) -> Pages<Self::List> {
        FixablyByOffset::pages(list)
    }

    fn id(item: &fixably::types::Queue) -> u64 {
        FixablyByOffset::id(item)
    }

    fn window(query: &HashMap<String, String>) -> (usize, usize) {
        let size = number(query, "limit").unwrap();
        ((number(query, "page").unwrap() - 1) * size, size)
    }

    fn body(ids: &[u64], start: usize, total: usize) -> Value {
        FixablyByOffset::body(ids, start, total)
    }
}

impl ListVendor for Fentu {
    type List = fentu::builder::ListCustomers;

    fn operation(transport: impl Transport) -> (Self::List, Box<dyn Fn() -> u64 + Send>) {
        let client = fentu::Client::builder(fentu::Credentials::api_key("test"));
        let client = client.with_attempt_timeout(Duration::from_secs(1)).with_transport(transport).build().unwrap();
        (client.list_customers().per_page(PAGE_SIZE), Box::new(move || client.rate_limit().in_flight()))
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
        let size = PAGE_SIZE as usize;
        let meta = json!({"current_page": start / size + 1, "total_pages": total.div_ceil(size), "total_count": total});
        json!({"data": data, "meta": meta})
    }
}

impl ListVendor for Fisikal {
    type List = fisikal::builder::ListLocations;

    fn operation(transport: impl Transport) -> (Self::List, Box<dyn Fn() -> u64 + Send>) {
        let client = fisikal::Client::builder(fisikal::Credentials::bearer("test")).with_tenant("acme");
        let client = client.with_attempt_timeout(Duration::from_secs(1)).with_transport(transport).build().unwrap();
        (client.list_locations().limit(PAGE_SIZE), Box::new(move || client.rate_limit().in_flight()))
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

/// The list on the server. Clones share it.
#[derive(Clone, Default)]
pub(super) struct TestList(Arc<Mutex<TestListState>>);

#[derive(Default)]
pub(super) struct TestListState {
    pub(super) ids: Vec<u64>,
    /// The changes, by the number of requests served before them.
    pub(super) changes: HashMap<usize, Change>,
    /// Where the requested pages started, and when the requests arrived.
    requests: Vec<(usize, Instant)>,
    /// The most items on the page that starts here.
    pub(super) short_pages: HashMap<usize, usize>,
    /// The page that starts here is not found.
    pub(super) missing: Option<usize>,
    /// What is left of the rate limit.
    pub(super) remaining: Option<u64>,
    /// The longest delay of a response, in milliseconds.
    pub(super) delay: u64,
    pub(super) seed: u64,
}

#[derive(Clone, Debug)]
pub(super) enum Change {
    /// Adds so many items at the start.
    Add(usize),
    Remove(Range<usize>),
}

impl TestList {
    pub(super) fn of(ids: Range<u64>) -> Self {
        let list = Self::default();
        list.state().ids.extend(ids);
        list
    }

    pub(super) fn state(&self) -> MutexGuard<'_, TestListState> {
        self.0.lock().unwrap()
    }

    pub(super) fn script<V: ListVendor>(&self) -> Script {
        let list = self.clone();
        Script::new([Step::with(move |request| list.respond::<V>(request)).repeat()])
    }

    /// The vendor's operation over this list.
    pub(super) fn operation<V: ListVendor>(&self) -> V::List {
        V::operation(self.script::<V>()).0
    }

    pub(super) fn respond<V: ListVendor>(&self, request: &Request<Bytes>) -> Step {
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
        let count = state.short_pages.get(&start).map_or(count, |short| count.min(*short));
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

    /// Where the requested pages started, in the order of the requests.
    pub(super) fn requested_starts(&self) -> Vec<usize> {
        self.state().requests.iter().map(|(start, _)| *start).collect()
    }
}

pub(super) async fn collect_ids<V: ListVendor>(items: Items<V::List>) -> Vec<u64> {
    items.map_ok(|item| V::id(&item)).try_collect().await.unwrap()
}

pub(super) fn ids_of_page<V: ListVendor>(page: servicebay::Response<<V::List as List>::Page>) -> Vec<u64> {
    page.into_inner().into_items().iter().map(V::id).collect()
}

/// A transport whose responses need to be polled twice, 20 ms apart.
#[derive(Debug)]
pub(super) struct TwoStepTransport<T>(pub(super) T);

impl<T: Transport> Transport for TwoStepTransport<T> {
    fn send(
        &self,
        request: Request<Body>,
    ) -> futures_core::future::BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let response = self.0.send(request);
        Box::pin(async move {
            sleep(Duration::from_millis(20)).await;
            sleep(Duration::from_millis(20)).await;
            response.await
        })
    }

    fn next(&self) -> Option<&dyn Transport> {
        Some(&self.0)
    }
}

/// Runs each test against every vendor and kind of position.
macro_rules! for_each_vendor {
    ($($name:ident)*) => {$(
        mod $name {
            use crate::paging::lists::{Fentu, Fisikal, FixablyByOffset, FixablyByPage};

            #[tokio::test(start_paused = true)]
            async fn fixably_by_offset() {
                super::$name::<FixablyByOffset>().await;
            }

            #[tokio::test(start_paused = true)]
            async fn fixably_by_page() {
                super::$name::<FixablyByPage>().await;
            }

            #[tokio::test(start_paused = true)]
            async fn fentu() {
                super::$name::<Fentu>().await;
            }

            #[tokio::test(start_paused = true)]
            async fn fisikal() {
                super::$name::<Fisikal>().await;
            }
        }
    )*};
}

pub(super) use for_each_vendor;
