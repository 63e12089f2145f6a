//! Cursors: taken at any moment, resumed in another process, and rejected by any other list.

use futures_util::{StreamExt, TryStreamExt};
use servicebay::{Cursor, Error, fixably};

use super::lists::{Change, Fisikal, FixablyByOffset, ListVendor, PAGE_SIZE, TestList, collect_ids, for_each_vendor};
use crate::support::builder;

for_each_vendor! {
    a_cursor_taken_at_any_moment_resumes_with_the_very_next_item
    a_cursor_of_pages_resumes_with_the_next_page
    a_list_that_changed_since_the_cursor_was_taken_is_resumed_without_loss
    changes_are_summed_over_all_streams_that_resumed_the_list
    an_item_that_moved_is_counted_once_however_often_its_page_is_resumed
    a_cursor_does_not_grow_with_the_list
}

async fn a_cursor_taken_at_any_moment_resumes_with_the_very_next_item<V: ListVendor>() {
    let list = TestList::of(0..55);
    let mut items = V::items(list.operation::<V>()).prefetch(3);
    for taken in 0..=55 {
        let cursor = items.cursor();
        let json = serde_json::to_string(&cursor).unwrap();
        let stored: Cursor = serde_json::from_str(&json).unwrap();
        assert_eq!(stored, cursor);
        assert_eq!((stored.yielded(), stored.is_finished()), (taken, taken == 55), "{json}");
        assert!(json.len() < 4096 && !json.contains("test"), "{json}");

        let resumed = V::items(list.operation::<V>()).resume(stored.clone());
        assert_eq!(resumed.cursor(), stored, "resumed, and stored again before the first item");
        let mut resumed = resumed.prefetch(2);
        let mut rest = Vec::new();
        while let Some(item) = resumed.try_next().await.unwrap() {
            rest.push(V::id(&item));
        }
        assert_eq!(rest, (taken..55).collect::<Vec<_>>());
        assert!(resumed.changes().is_none(), "{taken}: {:?}", resumed.changes());
        let total = if taken == 0 { Some(55) } else { resumed.total() };
        assert_eq!((resumed.cursor().yielded(), resumed.total()), (55, total));
        assert_eq!(items.try_next().await.unwrap().map(|item| V::id(&item)), (taken < 55).then_some(taken));
    }
}

async fn a_cursor_of_pages_resumes_with_the_next_page<V: ListVendor>() {
    let list = TestList::of(0..55);
    let mut pages = V::pages(list.operation::<V>()).prefetch(3);
    for page in 0..=6 {
        let rest: Vec<_> = V::pages(list.operation::<V>()).resume(pages.cursor()).try_collect().await.unwrap();
        assert_eq!(rest.len(), 6 - page);
        pages.try_next().await.unwrap();
    }
    assert!(pages.changes().is_none());
}

async fn a_list_that_changed_since_the_cursor_was_taken_is_resumed_without_loss<V: ListVendor>() {
    for change in [Change::Add(1), Change::Add(20), Change::Remove(0..1), Change::Remove(0..30), Change::Remove(20..47)]
    {
        for taken in [20, 43, 47] {
            let list = TestList::of(0..100);
            let mut items = V::items(list.operation::<V>());
            for _ in 0..taken {
                items.try_next().await.unwrap();
            }
            let cursor = items.cursor();
            drop(items);
            let served = list.requested_starts().len();
            list.state().changes.insert(served, change.clone());
            let rest = collect_ids::<V>(V::items(list.operation::<V>()).resume(cursor).prefetch(4)).await;
            let removed = if let Change::Remove(range) = &change { range.clone() } else { 0..0 };
            let expected: Vec<_> =
                (taken..100).filter(|id| !removed.contains(&usize::try_from(*id).unwrap())).collect();
            assert_eq!(rest, expected, "{change:?} after {taken}");
        }
    }
}

/// However often the stream is stored and resumed, the sums are those of a stream that read the list in one go.
async fn changes_are_summed_over_all_streams_that_resumed_the_list<V: ListVendor>() {
    for every in [1, 3, 7, 10, 1000] {
        let list = TestList::of(0..60);
        let mut items = V::items(list.operation::<V>());
        let mut yielded = 0;
        while items.try_next().await.unwrap().is_some() {
            yielded += 1;
            if yielded == 15 || yielded == 32 {
                let fresh = 1000 + yielded..1003 + yielded;
                list.state().ids.splice(0..0, fresh);
            }
            if yielded % every == 0 {
                let stored = serde_json::to_string(&items.cursor()).unwrap();
                let cursor: Cursor = serde_json::from_str(&stored).unwrap();
                assert_eq!(cursor.changes().repeated(), items.cursor().changes().repeated());
                items = V::items(list.operation::<V>()).resume(cursor);
            }
        }
        let changes = items.changes();
        assert_eq!((changes.total_before(), changes.total_now()), (Some(60), Some(66)), "{every}");
        assert_eq!((changes.repeated(), changes.maybe_missed(), yielded), (6, 0, 60), "{every}");
        assert_eq!(items.cursor().changes(), changes, "{every}");
    }
}

async fn an_item_that_moved_is_counted_once_however_often_its_page_is_resumed<V: ListVendor>() {
    for stops in [&[][..], &[12], &[12, 14, 17]] {
        let list = TestList::of(0..20);
        let mut items = V::items(list.operation::<V>());
        for yielded in 1..=19 {
            items.try_next().await.unwrap().unwrap();
            if yielded == 10 {
                // The last item of the list is one that was yielded, and another is missing without a trace.
                let moved = list.state().ids.remove(5);
                list.state().ids.push(moved);
            }
            if stops.contains(&yielded) {
                items = V::items(list.operation::<V>()).resume(items.cursor());
            }
        }
        assert!(items.cursor().is_finished(), "what is left of the page will not be yielded");
        assert!(items.try_next().await.unwrap().is_none());
        assert_eq!((items.changes().repeated(), items.yielded()), (1, 19), "{stops:?}");
    }
}

async fn a_cursor_does_not_grow_with_the_list<V: ListVendor>() {
    let list = TestList::of(0..1000);
    let mut items = V::items(list.operation::<V>());
    for _ in 0..995 {
        items.try_next().await.unwrap().unwrap();
    }
    let stored: serde_json::Value = serde_json::to_value(items.cursor()).unwrap();
    assert_eq!(stored["keys"].as_array().unwrap().len(), 200);
    assert!(stored.to_string().len() < 4096, "{stored}");
}

#[tokio::test]
async fn a_cursor_is_rejected_by_any_other_list() {
    let list = TestList::of(0..50);
    let operation = list.operation::<FixablyByOffset>();
    let mut items = operation.clone().items();
    items.try_next().await.unwrap();
    let cursor = items.cursor();
    let script = list.script::<FixablyByOffset>();
    let client = builder(&script).build().unwrap();
    let other_tenant = fixably::Client::builder(fixably::Credentials::bearer("test")).with_tenant("other");
    let other_tenant = other_tenant.with_transport(script.clone()).build().unwrap();

    let errors = [
        client.list_stores().limit(PAGE_SIZE).items().resume(cursor.clone()).try_next().await.err(),
        operation.clone().q("name:Bench").items().resume(cursor.clone()).try_next().await.err(),
        operation.clone().limit(PAGE_SIZE + 1).items().resume(cursor.clone()).try_next().await.err(),
        operation.clone().pages().resume(cursor.clone()).try_next().await.err(),
        other_tenant.list_queues().limit(PAGE_SIZE).items().resume(cursor.clone()).try_next().await.err(),
        items.resume(cursor.clone()).skip(9).next().await.unwrap().err(),
    ];
    for error in errors {
        let Some(Error::InvalidRequest(error)) = error else { panic!("{error:?}") };
        assert_eq!(error.parameter(), "cursor");
    }
    assert_eq!(script.requests().len(), 0);

    let mut rejected = client.list_stores().items().resume(cursor.clone());
    let error = rejected.try_next().await.unwrap_err().to_string();
    assert!(error.contains("belongs to list_queues"), "{error}");
    assert_eq!((rejected.yielded(), rejected.total()), (0, None), "nothing of it is taken over");

    // Where the list starts is not part of its identity.
    let first = operation.offset(30).items().resume(cursor).try_next().await.unwrap().unwrap();
    assert_eq!(FixablyByOffset::id(&first), 1);
}

#[tokio::test]
async fn a_rejected_cursor_sends_nothing_and_ends_the_stream() {
    let list = TestList::of(0..50);
    let cursor = list.operation::<FixablyByOffset>().items().cursor();
    let mut items = list.operation::<FixablyByOffset>().q("name:Bench").items().resume(cursor);
    assert!(items.next().await.unwrap().is_err());
    assert!(items.next().await.is_none());
    assert_eq!(list.requested_starts().len(), 0);
}

#[tokio::test]
async fn a_finished_stream_yields_nothing_more_and_sends_nothing() {
    let list = TestList::of(0..25);
    let mut items = list.operation::<FixablyByOffset>().items();
    while items.try_next().await.unwrap().is_some() {}
    let cursor = items.cursor();
    assert!(cursor.is_finished());
    let sent = list.requested_starts().len();
    assert!(list.operation::<FixablyByOffset>().items().resume(cursor).next().await.is_none());
    assert_eq!(list.requested_starts().len(), sent);
}

#[tokio::test]
async fn a_cursor_within_a_page_longer_than_it_remembers_repeats_no_item() {
    let list = TestList::of(0..2000);
    let operation = || list.operation::<Fisikal>().limit(1000);
    for stop in [150, 300, 900, 1500] {
        let mut items = operation().items();
        for _ in 0..stop {
            items.try_next().await.unwrap();
        }
        let resumed = operation().items().resume(items.cursor());
        assert_eq!(collect_ids::<Fisikal>(resumed).await, (stop..2000).collect::<Vec<_>>());
    }
}
