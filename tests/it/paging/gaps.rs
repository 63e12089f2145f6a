//! Pages that are empty although the vendor's own count says that more follow.

use servicebay::Cursor;

use super::lists::{ListVendor, PAGE_SIZE, TestList, for_each_vendor};

for_each_vendor! {
    an_empty_page_in_the_middle_does_not_end_the_list
    a_list_that_stays_empty_ends_and_counts_what_is_missing
}

/// Reads the list. Returns the ids, and how many items may be missing.
async fn read<V: ListVendor>(list: &TestList, depth: usize, stop: Option<usize>) -> (Vec<u64>, u64) {
    let mut items = V::items(list.operation::<V>()).prefetch(depth);
    let mut yielded = Vec::new();
    while let Some(item) = items.try_next().await.unwrap() {
        yielded.push(V::id(&item));
        if stop == Some(yielded.len()) {
            let stored = serde_json::to_string(&items.cursor()).unwrap();
            let cursor: Cursor = serde_json::from_str(&stored).unwrap();
            items = V::items(list.operation::<V>()).prefetch(depth).resume(cursor);
        }
    }
    (yielded, items.changes().maybe_missed())
}

async fn an_empty_page_in_the_middle_does_not_end_the_list<V: ListVendor>() {
    for depth in [1, 4] {
        for stop in [None, Some(5), Some(10), Some(15)] {
            let list = TestList::of(0..50);
            list.state().short_pages.extend([(10, 0), (30, 0)]);
            let (ids, missed) = read::<V>(&list, depth, stop).await;
            let expected: Vec<u64> = (0..10).chain(20..30).chain(40..50).collect();
            assert_eq!((ids, missed), (expected, 20), "{depth} {stop:?}: the total counts 20 items that never came");
        }
    }
}

async fn a_list_that_stays_empty_ends_and_counts_what_is_missing<V: ListVendor>() {
    for depth in [1, 4] {
        let list = TestList::of(0..1000);
        list.state().short_pages.extend((1..100).map(|page| (page * PAGE_SIZE as usize, 0)));
        let (ids, missed) = read::<V>(&list, depth, None).await;
        assert_eq!((ids.len(), missed), (10, 990), "{depth}");
        let requests = list.requested_starts().len();
        assert!((11..=14).contains(&requests), "{depth}: {requests} requests, ten of them after the first empty page");
    }
}
