//! Prefetching: order, cancellation, the rate limit, and pages that are not where they were expected.

use std::time::Duration;

use futures_util::TryStreamExt;
use servicebay::testing::fixably::{MockServer, TokenKind};
use servicebay::testing::{Script, Step};
use servicebay::{CallOptions, Error, Priority, fixably};
use tokio::time::{Instant, sleep};

use super::lists::{
    Fisikal, FixablyByOffset, ListVendor, TestList, TwoStepTransport, collect_ids, for_each_vendor, ids_of_page,
};

for_each_vendor! {
    pages_come_in_order_however_late_each_arrives
    an_error_ends_the_stream_after_the_items_before_it_and_nothing_more_is_sent
    dropping_a_stream_cancels_the_requests_in_flight
    when_the_rate_limit_is_nearly_exhausted_pages_are_fetched_one_by_one
    without_prefetch_no_page_is_fetched_before_it_is_needed
    a_slow_caller_loses_no_page
    sixty_four_pages_are_in_flight_at_most_whatever_the_caller_asks_for
}

async fn pages_come_in_order_however_late_each_arrives<V: ListVendor>() {
    for (depth, seed) in [2, 3, 8, 50].into_iter().zip(0..) {
        let list = TestList::of(0..205);
        (list.state().delay, list.state().seed) = (500, seed);
        let yielded = collect_ids::<V>(V::items(list.operation::<V>()).prefetch(depth)).await;
        assert_eq!(yielded, (0..205).collect::<Vec<_>>(), "{depth}");
        let starts: Vec<_> = (0..205).step_by(10).collect();
        assert_eq!(list.requested_starts(), starts, "each page once, and in order");
    }
}

async fn an_error_ends_the_stream_after_the_items_before_it_and_nothing_more_is_sent<V: ListVendor>() {
    let list = TestList::of(0..200);
    list.state().missing = Some(50);
    let mut items = V::items(list.operation::<V>()).prefetch(4);
    for id in 0..50 {
        assert_eq!(V::id(&items.try_next().await.unwrap().unwrap()), id);
    }
    let sent = list.requested_starts();
    assert!(matches!(items.next().await, Some(Err(Error::NotFound(_)))));
    assert!(items.next().await.is_none());
    sleep(Duration::from_secs(3600)).await;
    assert_eq!(list.requested_starts(), sent);
    assert_eq!(
        sent.last(),
        Some(&50),
        "the failure is known before its page is next, and no page behind it is fetched"
    );

    // Once the cause is gone, a resumed stream continues where this one ended.
    list.state().missing = None;
    let rest = collect_ids::<V>(V::items(list.operation::<V>()).prefetch(4).resume(items.cursor())).await;
    assert_eq!(rest, (50..200).collect::<Vec<_>>());
}

async fn dropping_a_stream_cancels_the_requests_in_flight<V: ListVendor>() {
    let list = TestList::of(0..200);
    let (operation, in_flight) = V::operation(list.script::<V>());
    let mut items = V::items(operation).prefetch(8);
    items.try_next().await.unwrap();
    assert_eq!((in_flight(), list.requested_starts().len()), (0, 9), "they complete immediately");
    list.state().delay = 1000;
    for _ in 0..10 {
        items.try_next().await.unwrap();
    }
    assert_eq!(in_flight(), 1);
    drop(items);
    assert_eq!(in_flight(), 0);
}

async fn when_the_rate_limit_is_nearly_exhausted_pages_are_fetched_one_by_one<V: ListVendor>() {
    let list = TestList::of(0..200);
    list.state().remaining = Some(9);
    let mut items = V::items(list.operation::<V>()).prefetch(5);
    // Of nine calls, eight are left after the first page, and prefetching uses half of what is left.
    for (taken, sent) in [(1, 5), (10, 7), (10, 8), (10, 8), (10, 8), (20, 8), (20, 9)] {
        for _ in 0..taken {
            items.try_next().await.unwrap();
        }
        assert_eq!(list.requested_starts().len(), sent);
    }
    // From here on one at a time, and only when it is needed.
    for _ in 0..9 {
        items.try_next().await.unwrap();
    }
    assert_eq!(list.requested_starts().len(), 9);
    let rest: Vec<_> = items.try_collect().await.unwrap();
    assert_eq!((rest.len(), list.requested_starts().len()), (200 - 90, 20));
}

async fn without_prefetch_no_page_is_fetched_before_it_is_needed<V: ListVendor>() {
    for depth in [0, 1] {
        let list = TestList::of(0..50);
        let mut items = V::items(list.operation::<V>()).prefetch(depth);
        for taken in 1..=50 {
            items.try_next().await.unwrap();
            assert_eq!(list.requested_starts().len(), usize::div_ceil(taken, 10));
        }
    }
}

async fn a_slow_caller_loses_no_page<V: ListVendor>() {
    let list = TestList::of(0..200);
    let (operation, _) = V::operation(TwoStepTransport(list.script::<V>()));
    let mut pages = V::pages(operation).prefetch(8);
    let mut yielded = Vec::new();
    // Longer than the attempt timeout every time, so that prefetches run out of time and of attempts.
    while let Some(page) = pages.try_next().await.unwrap() {
        yielded.extend(ids_of_page::<V>(page));
        sleep(Duration::from_secs(60)).await;
    }
    assert_eq!(yielded, (0..200).collect::<Vec<_>>());
}

async fn sixty_four_pages_are_in_flight_at_most_whatever_the_caller_asks_for<V: ListVendor>() {
    for (depth, ahead) in [(0, 0), (1, 0), (40, 40), (64, 64), (1000, 64)] {
        let list = TestList::of(0..1000);
        V::items(list.operation::<V>()).prefetch(depth).try_next().await.unwrap().unwrap();
        assert_eq!(list.requested_starts().len(), 1 + ahead, "{depth}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bulk_caller_prefetches_within_what_it_leaves_to_others() {
    for (priority, ahead) in [(Priority::Normal, 12), (Priority::Bulk, 2)] {
        let list = TestList::of(0..1000);
        // 24 of 100 calls are left after the first page, of which a bulk caller leaves 20 to others.
        list.state().remaining = Some(25);
        let options = CallOptions::new().with_priority(priority);
        let client = fixably::Client::builder(fixably::Credentials::bearer("test")).with_tenant("acme");
        let client = client.with_transport(list.script::<FixablyByOffset>()).build().unwrap().with_options(options);
        let mut items = client.list_queues().limit(10).items().prefetch(64);
        items.try_next().await.unwrap().unwrap();
        assert_eq!(list.requested_starts().len(), 1 + ahead, "{priority:?}");
    }
}

async fn read_short_pages<V: ListVendor>() {
    for depth in [1, 2, 8] {
        let list = TestList::of(0..200);
        list.state().short_pages.extend([(20, 3), (23, 1), (54, 9), (63, 5), (108, 2)]);
        let yielded = collect_ids::<V>(V::items(list.operation::<V>()).prefetch(depth)).await;
        assert_eq!(yielded, (0..200).collect::<Vec<_>>());
        // 25 pages are needed; few are fetched from a wrong position.
        let requests = list.requested_starts();
        assert!(requests.len() < 25 + 5 * depth, "{depth}: {requests:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_shorter_than_the_others_loses_and_repeats_no_item() {
    read_short_pages::<FixablyByOffset>().await;
    read_short_pages::<Fisikal>().await;
}

#[tokio::test(start_paused = true)]
async fn pages_of_a_vendor_that_clamps_the_page_size_are_prefetched_from_the_right_positions() {
    let list = TestList::of(0..100);
    list.state().short_pages.extend((0..100).map(|start| (start, 4)));
    let items = list.operation::<FixablyByOffset>().items().prefetch(8);
    assert_eq!(collect_ids::<FixablyByOffset>(items).await, (0..100).collect::<Vec<_>>());
    assert_eq!(list.requested_starts(), (0..100).step_by(4).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn two_hundred_pages_take_an_eighth_of_the_time_with_eight_in_flight() {
    let list = TestList::of(0..2000);
    let slow = Step::with(move |request| list.respond::<FixablyByOffset>(request).delay(Duration::from_millis(50)));
    let operation = FixablyByOffset::operation(Script::new([slow.repeat()])).0;
    let started = Instant::now();
    assert_eq!(collect_ids::<FixablyByOffset>(operation.items().prefetch(8)).await.len(), 2000);
    // The first page alone, then 199 by eight.
    assert_eq!(started.elapsed().as_millis(), 50 + 199_u128.div_ceil(8) * 50);
}

#[tokio::test(start_paused = true)]
async fn prefetching_does_not_slow_a_caller_that_makes_a_call_for_each_item() {
    // 70 pages and 140 calls, 30 a minute.
    let mut times = Vec::new();
    for depth in [1, 8, 64] {
        let server = MockServer::builder().with_rate_limit(30, Duration::from_secs(60)).in_memory();
        let credentials = fixably::Credentials::bearer(server.token(TokenKind::AdminAll));
        let client = fixably::Client::builder(credentials).with_base_url(server.base_url());
        let client = client.with_transport(TwoStepTransport(server.clone())).build().unwrap();
        let started = Instant::now();
        let mut orders = client.list_orders().limit(2).items().prefetch(depth);
        while let Some(order) = orders.try_next().await.unwrap() {
            client.get_order().id(order.id().unwrap()).send().await.unwrap();
        }
        let (requests, refused) = (server.counters().requests(), server.counters().refused());
        times.push((started.elapsed().as_secs(), requests - refused));
        // Pages that are not polled may have used up the window. One call at a time finds out.
        assert!(refused <= 2, "{refused}");
    }
    let [(without_prefetch, _), ..] = times[..] else { unreachable!("three depths") };
    for (seconds, requests) in times {
        assert!(seconds <= without_prefetch + 60, "{seconds} s, and {without_prefetch} s page by page");
        assert_eq!(requests, 210, "nothing is fetched twice");
    }
}
