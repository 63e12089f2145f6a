//! Pagination: streams of pages and of items.
//!
//! The basics are here, at one vendor. Prefetching, cursors and lists that change are in the modules, at every vendor that
//! has pages.

#[cfg(all(feature = "fentu", feature = "fisikal"))]
mod changes;
#[cfg(all(feature = "fentu", feature = "fisikal"))]
mod gaps;
#[cfg(all(feature = "fentu", feature = "fisikal"))]
mod lists;
#[cfg(all(feature = "fentu", feature = "fisikal"))]
mod prefetch;
#[cfg(all(feature = "fentu", feature = "fisikal"))]
mod resume;
#[cfg(all(feature = "fentu", feature = "fisikal"))]
mod unexpected;

use std::collections::HashMap;

use futures_util::TryStreamExt;
use serde_json::json;
use servicebay::testing::{Script, Step};
use servicebay::{Error, ListPage as _};

use crate::support::builder;

/// A list of `total` orders, which returns any page.
fn orders(total: u32) -> Step {
    Step::with(move |request| {
        let query: HashMap<String, String> =
            url::form_urlencoded::parse(request.uri().query().unwrap_or("").as_bytes()).into_owned().collect();
        let number = |name: &str| query.get(name).and_then(|value| value.parse::<u32>().ok());
        let limit = number("limit").unwrap_or(25);
        let offset = number("page").map_or_else(|| number("offset").unwrap_or(0), |page| (page - 1) * limit);
        let is_expanded = query.contains_key("expand");
        let item = |n: u32| {
            let href = format!("https://acme.fixably.com/api/v3/orders/{n}");
            if is_expanded { json!({"id": n, "href": href}) } else { json!({"href": href}) }
        };
        let items: Vec<_> = (offset..total.min(offset.saturating_add(limit))).map(item).collect();
        Step::json(200, json!({"limit": limit, "offset": offset, "totalItems": total, "items": items}))
    })
    .repeat()
}

fn client(steps: impl IntoIterator<Item = Step>) -> (servicebay::fixably::Client, Script) {
    let script = Script::new(steps);
    (builder(&script).build().unwrap(), script)
}

fn queries(script: &Script) -> Vec<String> {
    script.requests().iter().map(|request| request.uri.query().unwrap_or("").to_owned()).collect()
}

#[tokio::test]
async fn items_yields_the_whole_list_once() {
    for total in [0, 1, 24, 25, 26, 50, 130] {
        let (client, script) = client([orders(total)]);
        let orders: Vec<_> = client.list_orders().items().try_collect().await.unwrap();
        let ids: Vec<i64> = orders.iter().filter_map(|order| order.id().map(|id| id.get())).collect();
        assert_eq!(ids, (0..i64::from(total)).collect::<Vec<_>>());
        assert_eq!(script.requests().len(), total.div_ceil(25).max(1) as usize, "{total}");
    }
}

#[tokio::test]
async fn an_empty_list_is_one_page_without_items() {
    let (client, script) = client([orders(0)]);
    let pages: Vec<_> = client.list_orders().pages().try_collect().await.unwrap();
    let counts: Vec<_> = pages.into_iter().map(|page| page.into_inner().into_items().len()).collect();
    assert_eq!((counts, script.requests().len()), (vec![0], 1));
}

#[tokio::test]
async fn items_are_expanded_unless_the_caller_sets_an_expansion() {
    let (client, script) = client([orders(1)]);
    let orders: Vec<_> = client.list_orders().items().try_collect().await.unwrap();
    assert!(orders[0].id.is_some());
    let orders: Vec<_> = client.list_orders().expand("items(status)").items().try_collect().await.unwrap();
    assert_eq!(orders.len(), 1);
    assert_eq!(queries(&script), ["expand=items", "expand=items(status)"]);
}

#[tokio::test]
async fn an_item_that_is_not_expanded_has_its_id() {
    let (client, _script) = client([orders(2)]);
    let page = client.list_orders().send().await.unwrap();
    assert_eq!(page.total_items, Some(2));
    let ids: Vec<_> = page.items.iter().map(|order| (order.id.is_some(), order.id())).collect();
    assert_eq!(ids, [(false, Some(0.into())), (false, Some(1.into()))]);
}

#[tokio::test]
async fn a_list_requested_by_offset_continues_by_offset() {
    let (client, script) = client([orders(130)]);
    let pages: Vec<_> = client.list_orders().limit(50).offset(20).pages().try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [50, 50, 10]);
    assert_eq!(queries(&script), ["limit=50&offset=20", "limit=50&offset=70", "limit=50&offset=120"]);
}

#[tokio::test]
async fn a_list_requested_by_page_continues_by_page() {
    let (client, script) = client([orders(130)]);
    let pages: Vec<_> = client.list_orders().limit(50).page(1).pages().try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [50, 50, 30]);
    assert_eq!(queries(&script), ["limit=50&page=1", "limit=50&page=2", "limit=50&page=3"]);
}

#[tokio::test]
async fn every_page_is_requested_with_the_search() {
    let (client, script) = client([orders(60)]);
    let _: Vec<_> = client.list_orders().q("isClosed:false").pages().try_collect().await.unwrap();
    assert!(queries(&script).iter().all(|query| query.contains("q=isClosed:false")), "{:?}", queries(&script));
}

#[tokio::test]
async fn no_page_is_fetched_before_it_is_needed() {
    let (client, script) = client([orders(130)]);
    let mut items = client.list_orders().items();
    assert_eq!(script.requests().len(), 0);
    for _ in 0..25 {
        items.try_next().await.unwrap();
    }
    assert_eq!(script.requests().len(), 1);
    items.try_next().await.unwrap();
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_ends_the_stream_after_the_items_before_it() {
    let first = json!({"limit": 2, "offset": 0, "totalItems": 4, "items": [{"id": 1}, {"id": 2}]});
    let (client, _script) = client([Step::json(200, first), Step::status(404)]);
    let mut items = client.list_orders().limit(2).items();
    assert_eq!(items.next().await.unwrap().unwrap().id(), Some(1.into()));
    assert_eq!(items.next().await.unwrap().unwrap().id(), Some(2.into()));
    assert!(matches!(items.next().await, Some(Err(Error::NotFound(_)))));
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn a_total_that_is_too_high_does_not_make_the_stream_endless() {
    let page = |offset: u64, items: usize| {
        Step::json(
            200,
            json!({"limit": 2, "offset": offset, "totalItems": 1_000_000, "items": vec![json!({"id": offset}); items]}),
        )
    };
    let empty = (2..15).map(|nth| page(2 * nth, 0));
    let (client, script) = client([page(0, 2), page(2, 2)].into_iter().chain(empty));
    let mut items = client.list_orders().limit(2).items();
    let mut count = 0;
    while items.try_next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!((count, script.requests().len()), (4, 13), "it goes on behind ten empty pages");
    assert_eq!(items.changes().maybe_missed(), 999_996);
}

#[tokio::test]
async fn pages_smaller_than_requested_lose_nothing() {
    // The client requests 100 items, and the vendor sends 10.
    let clamped = Step::with(|request| {
        let query = request.uri().query().unwrap_or("").to_owned();
        let offset: u64 =
            query.split("offset=").nth(1).and_then(|rest| rest.split('&').next()?.parse().ok()).unwrap_or(0);
        let items: Vec<_> = (offset..(offset + 10).min(35)).map(|n| json!({"id": n})).collect();
        Step::json(200, json!({"limit": 10, "offset": offset, "totalItems": 35, "items": items}))
    });
    let (client, script) = client([clamped.repeat()]);
    let ids: Vec<_> = client.list_orders().limit(100).items().map_ok(|order| order.id()).try_collect().await.unwrap();
    assert_eq!(ids, (0..35_i64).map(|n| Some(n.into())).collect::<Vec<_>>());
    assert_eq!(script.requests().len(), 4);
}

#[tokio::test]
async fn a_stream_can_move_to_another_task() {
    let (client, _script) = client([orders(60)]);
    let items = client.list_orders().items();
    drop(client);
    let count = tokio::spawn(items.try_fold(0, |count, _| async move { Ok(count + 1) })).await.unwrap().unwrap();
    assert_eq!(count, 60);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_ignores_the_offset_ends_the_stream_with_an_error() {
    let first = json!({"limit": 2, "offset": 0, "totalItems": 6, "items": [{"id": 1}, {"id": 2}]});
    let (client, _script) = client([Step::json(200, first).repeat()]);
    let items: Result<Vec<_>, _> = client.list_orders().limit(2).items().try_collect().await;
    assert!(items.is_err(), "orders 1 and 2 three times, 3 to 6 never: {items:?}");
}
