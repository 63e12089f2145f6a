//! Lists that change while they are read.

use futures_util::TryStreamExt;
use proptest::prelude::*;
use serde_json::json;
use servicebay::ListChanges;
use servicebay::testing::{Script, Step};

use super::lists::{
    Change, Fentu, Fisikal, FixablyByOffset, FixablyByPage, ListVendor, TestList, for_each_vendor, ids_of_page,
};
use crate::support::Log;

for_each_vendor! {
    items_added_meanwhile_repeat_nothing
    items_removed_meanwhile_skip_nothing
    a_list_whose_items_are_removed_once_yielded_is_read_whole
    pages_leave_out_items_that_were_already_yielded
}

async fn items_added_meanwhile_repeat_nothing<V: ListVendor>() {
    for depth in [1, 4] {
        let list = TestList::of(0..100);
        list.state().changes.extend([(2, Change::Add(3)), (6, Change::Add(12))]);
        let mut items = V::items(list.operation::<V>()).prefetch(depth);
        let mut yielded = Vec::new();
        while let Some(item) = items.try_next().await.unwrap() {
            yielded.push(V::id(&item));
        }
        assert_eq!(yielded, (0..100).collect::<Vec<_>>(), "{depth}");
        let changes = items.changes();
        assert_eq!((changes.total_before(), changes.total_now(), changes.repeated()), (Some(100), Some(115), 15));
        assert_eq!((changes.maybe_missed(), changes.maybe_repeated()), (0, 0));
    }
}

async fn items_removed_meanwhile_skip_nothing<V: ListVendor>() {
    for depth in [1, 4] {
        let log = Log::default();
        let listening = log.listen();
        let list = TestList::of(0..100);
        list.state().changes.extend([(2, Change::Remove(0..3)), (7, Change::Remove(10..12))]);
        let mut items = V::items(list.operation::<V>()).prefetch(depth);
        let mut yielded = Vec::new();
        while let Some(item) = items.try_next().await.unwrap() {
            yielded.push(V::id(&item));
        }
        drop(listening);
        assert_eq!(yielded, (0..100).collect::<Vec<_>>(), "{depth}: they were removed after they were yielded");
        let changes = items.changes();
        assert_eq!((changes.total_before(), changes.total_now(), changes.maybe_missed()), (Some(100), Some(95), 0));
        assert!(changes.backtracks() > 0, "{changes:?}");
        assert!(log.text().contains("the list changed while it was read"), "{}", log.text());
    }
}

async fn a_list_whose_items_are_removed_once_yielded_is_read_whole<V: ListVendor>() {
    for depth in [1, 4] {
        let list = TestList::of(0..100);
        let mut items = V::items(list.operation::<V>()).prefetch(depth);
        let mut yielded = Vec::new();
        while let Some(item) = items.try_next().await.unwrap() {
            yielded.push(V::id(&item));
            list.state().ids.retain(|id| *id != V::id(&item));
        }
        assert_eq!(yielded, (0..100).collect::<Vec<_>>(), "{depth}");
        assert_eq!(items.changes().maybe_missed(), 0);
    }
}

async fn pages_leave_out_items_that_were_already_yielded<V: ListVendor>() {
    let list = TestList::of(0..100);
    list.state().changes.extend([(2, Change::Add(12))]);
    let pages: Vec<_> = V::pages(list.operation::<V>()).map_ok(ids_of_page::<V>).try_collect().await.unwrap();
    assert!(pages.iter().all(|page| !page.is_empty()));
    assert_eq!(pages.concat(), (0..100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_vendor_that_sends_the_same_page_forever_ends_the_stream_with_an_error() {
    let page = json!({"limit": 2, "totalItems": 6, "items": [{"id": 1}, {"id": 2}]});
    let list = FixablyByOffset::operation(Script::new([Step::json(200, page).repeat()])).0;
    let items: Result<Vec<_>, _> = list.items().try_collect().await;
    assert!(items.unwrap_err().to_string().contains("the previous page again"));
}

/// Reads the list, with a new stream that resumes after `stop` items.
async fn read<V: ListVendor>(list: &TestList, depth: usize, stop: Option<usize>) -> (Vec<u64>, ListChanges) {
    let mut items = V::items(list.operation::<V>()).prefetch(depth);
    let mut yielded = Vec::new();
    while let Some(item) = items.try_next().await.unwrap() {
        yielded.push(V::id(&item));
        if stop == Some(yielded.len()) {
            items = V::items(list.operation::<V>()).prefetch(depth).resume(items.cursor());
        }
    }
    (yielded, items.changes())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn an_item_that_is_there_throughout_is_yielded_once_whatever_is_added_or_removed(
        total in 0_u64..150,
        grows: bool,
        changes in prop::collection::hash_map(0_usize..20, (0_usize..100, 1_usize..15), 0..6),
        vendor in 0..4,
        depth in 1_usize..6,
        seed: u64,
        stop in prop::option::of(0_usize..150),
    ) {
        let list = TestList::of(0..total);
        let changes = changes.into_iter().map(|(when, (start, count))| {
            (when, if grows { Change::Add(count) } else { Change::Remove(start..start + count) })
        });
        list.state().changes.extend(changes);
        (list.state().delay, list.state().seed) = (100, seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let (yielded, changes) = runtime.block_on(async {
            match vendor {
                0 => read::<FixablyByOffset>(&list, depth, stop).await,
                1 => read::<FixablyByPage>(&list, depth, stop).await,
                2 => read::<Fentu>(&list, depth, stop).await,
                _ => read::<Fisikal>(&list, depth, stop).await,
            }
        });
        prop_assert_eq!((changes.maybe_missed(), changes.maybe_repeated()), (0, 0));
        let mut distinct = yielded.clone();
        distinct.sort_unstable();
        distinct.dedup();
        prop_assert_eq!(distinct.len(), yielded.len(), "{:?}", yielded);
        let remaining = list.state().ids.clone();
        for id in remaining.into_iter().filter(|id| *id < total) {
            prop_assert!(distinct.contains(&id), "{} is missing from {:?}", id, yielded);
        }
    }
}
