//! Finds duplicates and gaps: compares each page with the items yielded before it. Pure: a page comes in as keys and a
//! total.

use std::collections::{HashSet, VecDeque};

use super::cursor::{Cursor, MAX_KEYS};
use super::position::Position;
use crate::list_changes::ListChanges;

/// How many yielded items are remembered: ten of the largest pages that a vendor sends.
const MAX_RECENT: usize = 1000;
/// How many times in a row the paginator goes back without finding a new item. Without a limit, two servers that disagree
/// about the total would make it go back forever.
const MAX_FRUITLESS_BACKTRACKS: u32 = 8;

/// What has been yielded, and what the next page is expected to repeat of it.
#[derive(Debug, Default)]
pub(super) struct Deduplicator {
    recent: RecentKeys,
    /// How many items were yielded.
    yielded: u64,
    /// How many items of the list were received, up to the end of the page before. Those before the start count, and those that came
    /// again do not. `None` if it is not known.
    received: Option<u64>,
    /// The total that the previous page reported.
    total: Option<u64>,
    /// How many items the next page starts before the first item that is due. Those are expected again.
    overlap: u64,
    /// How many items at the start of the next page were yielded. Identifies items without ids.
    yielded_of_page: u64,
    /// How many items at the start of the next page were yielded, and have no key in the cursor.
    yielded_without_key: u64,
    /// The keys of the previous page.
    previous_page: Vec<Option<u64>>,
    largest_page: u64,
    /// How many duplicates came in a row.
    consecutive_duplicates: usize,
    /// How many times the paginator went back since the last new item.
    fruitless_backtracks: u32,
    changes: ListChanges,
    /// What was noticed on the page that was checked last.
    latest_changes: ListChanges,
    /// How many items the vendor counts and never sent, once the list has ended.
    missed_at_end: u64,
}

/// What to do with a page.
#[derive(Debug, PartialEq)]
pub(super) enum PageDecision {
    /// Yield the items that are not marked as duplicates.
    Accept(Vec<bool>),
    /// Items may lie between the previous page and this one: fetch this position instead.
    GoBack(Position),
    /// It repeats the previous page, at a position where it cannot.
    SamePageAgain,
    /// More duplicates came in a row than are remembered, so that one of them came a third time.
    NoNewItems,
}

impl Deduplicator {
    /// A deduplicator of a list that is read from this position on.
    pub(super) fn starting_at(position: Position) -> Self {
        Self { received: position.items_before(), ..Self::default() }
    }

    /// A deduplicator that continues from a cursor.
    pub(super) fn resumed(cursor: &Cursor) -> Self {
        let Cursor { yielded, taken, total, received, changes, ref keys, .. } = *cursor;
        let mut recent = RecentKeys::default();
        keys.iter().for_each(|key| recent.insert(*key));
        // A full cursor may have left out the first items of a long page.
        let yielded_without_key = if keys.len() < MAX_KEYS { 0 } else { taken.saturating_sub(MAX_KEYS as u64) };
        Self {
            recent,
            yielded,
            received,
            total,
            overlap: taken,
            yielded_of_page: taken,
            yielded_without_key,
            changes,
            ..Self::default()
        }
    }

    /// Decides what to do with the page at `position`, which has these keys and reports this total.
    pub(super) fn check_page(&mut self, position: Position, keys: &[Option<u64>], total: Option<u64>) -> PageDecision {
        let known: Vec<bool> = keys.iter().map(|key| key.is_some_and(|key| self.recent.contains(key))).collect();
        // A page that repeats an item that was yielded follows it without a gap.
        let is_contiguous = known.contains(&true) || position.is_first();
        let change = self.total.zip(total).filter(|(before, now)| before != now);
        let largest_page = self.largest_page.max(keys.len() as u64);

        let mut noticed = ListChanges::default();
        if let Some((before, now)) = change {
            let removed = before.saturating_sub(now);
            if removed > self.overlap && !is_contiguous {
                let earlier = self.earlier_position(position, removed, largest_page, keys);
                if let Some((earlier, by)) = earlier.filter(|_| self.fruitless_backtracks < MAX_FRUITLESS_BACKTRACKS) {
                    self.fruitless_backtracks += 1;
                    self.consecutive_duplicates = 0;
                    self.overlap += by;
                    (self.yielded_of_page, self.yielded_without_key) = (0, 0);
                    self.changes.add(ListChanges { backtracks: 1, ..ListChanges::default() });
                    return PageDecision::GoBack(earlier);
                }
                noticed.maybe_missed = removed - self.overlap;
            }
            let forgotten = self.yielded.saturating_sub(self.recent.len());
            noticed.maybe_repeated = now.saturating_sub(before).saturating_sub(self.recent.len()).min(forgotten);
            // The page may start with other items than it did. Yielding some twice is better than losing them.
            noticed.maybe_repeated = noticed.maybe_repeated.max(self.yielded_without_key);
            self.yielded_without_key = 0;
            (noticed.total_before, noticed.total_now) = (Some(before), Some(now));
        } else if self.overlap == 0
            && !keys.is_empty()
            && keys == self.previous_page
            && known.iter().all(|known| *known)
        {
            return PageDecision::SamePageAgain;
        }

        if known.contains(&false) {
            (self.consecutive_duplicates, self.fruitless_backtracks) = (0, 0);
        } else {
            self.consecutive_duplicates += known.len();
        }
        if self.consecutive_duplicates > MAX_RECENT {
            return PageDecision::NoNewItems;
        }
        let duplicates = known.iter().zip(keys).zip(0..).map(|((known, key), index)| {
            *known || index < self.yielded_without_key || (key.is_none() && index < self.yielded_of_page)
        });
        let duplicates = duplicates.collect();
        let overlap = usize::try_from(self.overlap).unwrap_or(usize::MAX);
        noticed.repeated = known.iter().skip(overlap).filter(|known| **known).count() as u64;
        // What the page starts before has been counted.
        self.received =
            self.received.map(|received| received.saturating_add(keys.len() as u64).saturating_sub(self.overlap));
        self.changes.add(noticed);
        self.latest_changes = noticed;
        self.total = total.or(self.total);
        (self.overlap, self.yielded_of_page, self.yielded_without_key) = (0, 0, 0);
        self.previous_page = keys.to_vec();
        self.largest_page = largest_page;
        PageDecision::Accept(duplicates)
    }

    /// Where to go back to after so many items were removed, and how many items that is.
    fn earlier_position(
        &self,
        position: Position,
        removed: u64,
        page_size: u64,
        keys: &[Option<u64>],
    ) -> Option<(Position, u64)> {
        // Without ids, duplicates cannot be recognized.
        if keys.iter().any(Option::is_none) {
            return None;
        }
        // Twice as far as the total requires, so that a list that keeps shrinking does not require it twice per page. Never
        // further than is remembered, because that would yield items again.
        let remembered = self.recent.len().saturating_sub(self.overlap);
        position.back(removed.saturating_mul(2).saturating_sub(self.overlap), page_size, remembered)
    }

    pub(super) fn record_yielded(&mut self, key: Option<u64>) {
        self.yielded = self.yielded.saturating_add(1);
        if let Some(key) = key {
            self.recent.insert(key);
        }
    }

    /// Counts the items that the vendor counts and never sent. Called after the last page.
    pub(super) fn end(&mut self) {
        self.missed_at_end =
            self.total.zip(self.received).map_or(0, |(total, received)| total.saturating_sub(received));
        self.latest_changes.add(self.lost_at_end());
    }

    /// What was noticed on the page that was checked last.
    pub(super) fn latest_changes(&self) -> ListChanges {
        self.latest_changes
    }

    pub(super) fn yielded(&self) -> u64 {
        self.yielded
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    pub(super) fn received(&self) -> Option<u64> {
        self.received
    }

    pub(super) fn largest_page(&self) -> u64 {
        self.largest_page
    }

    pub(super) fn overlap(&self) -> u64 {
        self.overlap
    }

    pub(super) fn changes(&self) -> ListChanges {
        let mut changes = self.changes;
        changes.add(self.lost_at_end());
        changes
    }

    fn lost_at_end(&self) -> ListChanges {
        ListChanges { maybe_missed: self.missed_at_end, ..ListChanges::default() }
    }

    /// The changes up to an item of the page that was checked last, behind which come so many duplicates. A stream that resumes
    /// there checks the rest of the page again.
    pub(super) fn changes_before(&self, duplicates: u64) -> ListChanges {
        let mut changes = self.changes;
        changes.repeated = changes.repeated.saturating_sub(duplicates.min(self.latest_changes.repeated));
        changes
    }

    /// The keys of the latest items, at most `count`, oldest first.
    pub(super) fn latest_keys(&self, count: usize) -> Vec<u64> {
        let keys = &self.recent.by_age;
        keys.range(keys.len().saturating_sub(count)..).copied().collect()
    }
}

/// The keys of the items that were yielded last.
#[derive(Debug, Default)]
struct RecentKeys {
    /// Oldest first.
    by_age: VecDeque<u64>,
    keys: HashSet<u64>,
}

impl RecentKeys {
    fn insert(&mut self, key: u64) {
        if self.keys.insert(key) {
            self.by_age.push_back(key);
        }
        if self.by_age.len() > MAX_RECENT
            && let Some(oldest) = self.by_age.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    fn contains(&self, key: u64) -> bool {
        self.keys.contains(&key)
    }

    fn len(&self) -> u64 {
        self.by_age.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::position::Position::Offset;
    use super::*;

    /// A page of these items.
    fn keys(items: impl IntoIterator<Item = u64>) -> Vec<Option<u64>> {
        items.into_iter().map(Some).collect()
    }

    /// Accepts a page of so many items, none of them a duplicate.
    fn all_new(count: usize) -> PageDecision {
        PageDecision::Accept(vec![false; count])
    }

    fn duplicates(decision: PageDecision) -> Vec<bool> {
        match decision {
            PageDecision::Accept(duplicates) => duplicates,
            other => panic!("not accepted: {other:?}"),
        }
    }

    fn first_new(decision: PageDecision) -> Option<usize> {
        duplicates(decision).iter().position(|is_duplicate| !is_duplicate)
    }

    /// A deduplicator that continues after so many items, the last of which have these keys.
    fn resumed(yielded: u64, taken: u64, total: u64, keys: impl IntoIterator<Item = u64>) -> Deduplicator {
        Deduplicator::resumed(&Cursor {
            total: Some(total),
            received: Some(yielded),
            ..cursor(yielded, taken, keys.into_iter().collect())
        })
    }

    fn cursor(yielded: u64, taken: u64, keys: Vec<u64>) -> Cursor {
        Cursor {
            operation: "list_orders".to_owned(),
            fingerprint: 7,
            position: Some(Offset(0)),
            taken,
            yielded,
            total: None,
            received: None,
            changes: ListChanges::default(),
            keys,
        }
    }

    /// A number of a forged cursor: any, and often one at an end of its range.
    fn forged() -> impl Strategy<Value = u64> {
        prop_oneof![any::<u64>(), 0..300_u64, (0..300_u64).prop_map(|below| u64::MAX - below)]
    }

    proptest! {
        #[test]
        fn a_cursor_with_forged_numbers_breaks_nothing(
            (taken, yielded, missed, repeated) in (forged(), forged(), forged(), forged()),
            received in proptest::option::of(forged()),
            totals in proptest::collection::vec(proptest::option::of(forged()), 4),
            keys in proptest::collection::vec(0..60_u64, 0..300),
            positions in proptest::collection::vec((0..4_u8, any::<u32>(), any::<i64>(), any::<i64>()), 3),
            has_ids: bool,
        ) {
            let changes = ListChanges {
                repeated,
                backtracks: missed,
                maybe_missed: missed,
                maybe_repeated: repeated,
                ..ListChanges::default()
            };
            let cursor = Cursor { total: totals[0], received, changes, ..cursor(yielded, taken, keys) };
            let mut deduplicator = Deduplicator::resumed(&cursor);
            for ((kind, number, start, count), total) in positions.into_iter().zip(&totals[1..]) {
                let position = match kind {
                    0 => Position::Start,
                    1 => Offset(number),
                    2 => Position::Page(number),
                    _ => Position::Window { start, count },
                };
                let page: Vec<_> = (0..25_u64).map(|key| has_ids.then_some(key + u64::from(number % 40))).collect();
                if let PageDecision::Accept(duplicates) = deduplicator.check_page(position, &page, *total) {
                    prop_assert_eq!(duplicates.len(), page.len());
                    for (key, is_duplicate) in page.iter().zip(duplicates) {
                        if !is_duplicate {
                            deduplicator.record_yielded(*key);
                        }
                    }
                }
            }
            deduplicator.end();
            prop_assert!(deduplicator.changes().maybe_missed() >= missed);
            prop_assert!(deduplicator.yielded() >= yielded);
            prop_assert!(deduplicator.latest_keys(MAX_KEYS).len() <= MAX_KEYS);
        }
    }

    /// A deduplicator after items 0 to 49 of 100 were yielded, in pages of 25.
    fn midway() -> Deduplicator {
        let mut deduplicator = Deduplicator::starting_at(Position::Start);
        for page in [0, 25] {
            let position = if page == 0 { Position::Start } else { Offset(25) };
            assert_eq!(deduplicator.check_page(position, &keys(page..page + 25), Some(100)), all_new(25));
            (page..page + 25).for_each(|key| deduplicator.record_yielded(Some(key)));
        }
        deduplicator
    }

    #[test]
    fn an_unchanged_list_has_no_duplicates_and_no_changes() {
        let mut deduplicator = midway();
        assert_eq!(deduplicator.check_page(Offset(50), &keys(50..75), Some(100)), all_new(25));
        assert!(deduplicator.changes().is_none());
    }

    #[test]
    fn items_that_come_again_because_others_were_added_before_them_are_duplicates() {
        let mut deduplicator = midway();
        let duplicates = duplicates(deduplicator.check_page(Offset(50), &keys(48..73), Some(102)));
        assert_eq!(duplicates.iter().filter(|is_duplicate| **is_duplicate).count(), 2);
        assert!(duplicates[0] && duplicates[1] && !duplicates[2]);
        let changes = deduplicator.changes();
        assert_eq!((changes.total_before(), changes.total_now(), changes.repeated()), (Some(100), Some(102), 2));
        assert_eq!((changes.maybe_missed(), changes.maybe_repeated()), (0, 0));
    }

    #[test]
    fn when_the_total_falls_it_goes_back_and_marks_what_was_yielded() {
        let mut deduplicator = midway();
        // Items 0 to 2 were removed: what was at 50 is at 47.
        assert_eq!(deduplicator.check_page(Offset(50), &keys(53..78), Some(97)), PageDecision::GoBack(Offset(44)));
        assert_eq!(first_new(deduplicator.check_page(Offset(44), &keys(47..72), Some(97))), Some(3));
        let changes = deduplicator.changes();
        assert_eq!((changes.backtracks(), changes.repeated(), changes.maybe_missed()), (1, 0, 0));
    }

    #[test]
    fn a_list_whose_items_are_removed_once_yielded_is_read_to_its_end() {
        let mut deduplicator = midway();
        // All of the 50 are gone.
        assert_eq!(deduplicator.check_page(Offset(50), &[], Some(50)), PageDecision::GoBack(Offset(0)));
        assert_eq!(deduplicator.check_page(Offset(0), &keys(50..75), Some(50)), all_new(25));
        assert_eq!(deduplicator.changes().maybe_missed(), 0);
    }

    #[test]
    fn a_list_that_shrinks_again_meanwhile_is_gone_back_in_once_more() {
        let mut deduplicator = midway();
        assert_eq!(deduplicator.check_page(Offset(50), &keys(53..78), Some(97)), PageDecision::GoBack(Offset(44)));
        assert_eq!(deduplicator.check_page(Offset(44), &keys(64..80), Some(80)), PageDecision::GoBack(Offset(10)));
        assert_eq!(deduplicator.check_page(Offset(10), &keys(50..75), Some(80)), all_new(25));
        assert_eq!((deduplicator.changes().backtracks(), deduplicator.received()), (2, Some(35)));
    }

    #[test]
    fn nothing_is_missing_if_the_list_shrinks_again_after_it_went_back_to_the_start() {
        let mut deduplicator = midway();
        assert_eq!(deduplicator.check_page(Offset(50), &[], Some(50)), PageDecision::GoBack(Offset(0)));
        assert_eq!(deduplicator.check_page(Offset(0), &keys(80..100), Some(20)), all_new(20));
        assert_eq!(deduplicator.changes().maybe_missed(), 0);
    }

    #[test]
    fn it_goes_back_by_pages_as_long_as_the_longest_so_far() {
        let mut deduplicator = midway();
        let decision = deduplicator.check_page(Position::Page(3), &keys(53..56), Some(97));
        assert_eq!(decision, PageDecision::GoBack(Position::Page(2)));
        assert_eq!(first_new(deduplicator.check_page(Position::Page(2), &keys(28..53), Some(97))), Some(22));
    }

    #[test]
    fn it_does_not_go_back_if_only_items_were_removed_that_the_page_starts_before() {
        let mut resumed = resumed(37, 12, 100, 0..37);
        assert_eq!(resumed.check_page(Offset(25), &keys(37..62), Some(88)), all_new(25));
        assert_eq!((resumed.changes().backtracks(), resumed.changes().maybe_missed()), (0, 0));
    }

    #[test]
    fn items_without_ids_on_an_earlier_page_are_not_skipped_by_the_count_of_a_later_one() {
        let mut resumed = resumed(37, 12, 100, 0..37);
        assert_eq!(resumed.check_page(Offset(25), &keys(60..85), Some(77)), PageDecision::GoBack(Offset(0)));
        let mut page = keys(37..62);
        page[2] = None;
        assert_eq!(resumed.check_page(Offset(0), &page, Some(77)), all_new(25));
    }

    #[test]
    fn items_that_it_cannot_go_back_for_are_reported_as_maybe_missed() {
        let mut resumed = resumed(500, 0, 1000, [497, 498, 499]);
        assert_eq!(resumed.check_page(Offset(500), &keys(600..625), Some(900)), PageDecision::GoBack(Offset(497)));
        assert_eq!(resumed.check_page(Offset(497), &keys(597..622), Some(900)), all_new(25));
        assert_eq!(resumed.changes().maybe_missed(), 97);

        let mut without_ids = Deduplicator::default();
        assert_eq!(without_ids.check_page(Position::Start, &[None; 25], Some(100)), all_new(25));
        (0..25).for_each(|_| without_ids.record_yielded(None));
        assert_eq!(without_ids.check_page(Offset(25), &[None; 25], Some(98)), all_new(25));
        assert_eq!(without_ids.changes().maybe_missed(), 2);
    }

    #[test]
    fn it_does_not_go_back_from_a_page_with_an_item_that_could_not_be_recognized() {
        let mut deduplicator = midway();
        let mut page = keys(53..78);
        page[7] = None;
        assert_eq!(deduplicator.check_page(Offset(50), &page, Some(97)), all_new(25));
        assert_eq!(deduplicator.changes().maybe_missed(), 3);
    }

    #[test]
    fn the_changes_before_an_item_leave_out_the_repeated_items_behind_it() {
        let mut deduplicator = midway();
        duplicates(deduplicator.check_page(Offset(50), &keys((50..73).chain(48..50)), Some(102)));
        assert_eq!([0, 1, 2].map(|behind| deduplicator.changes_before(behind).repeated()), [2, 1, 0]);
        (50..73).for_each(|key| deduplicator.record_yielded(Some(key)));

        // What a page repeats because it starts earlier is not counted, so it is not left out either.
        assert_eq!(deduplicator.check_page(Offset(75), &keys(78..103), Some(99)), PageDecision::GoBack(Offset(69)));
        assert_eq!(first_new(deduplicator.check_page(Offset(69), &keys(70..95), Some(99))), Some(3));
        assert_eq!(deduplicator.changes_before(3).repeated(), 2);
    }

    #[test]
    fn a_page_that_repeats_a_yielded_item_has_no_gap_before_it_whatever_the_total() {
        let mut deduplicator = midway();
        duplicates(deduplicator.check_page(Offset(50), &keys(49..74), Some(90)));
        assert_eq!((deduplicator.changes().backtracks(), deduplicator.changes().maybe_missed()), (0, 0));
    }

    #[test]
    fn more_added_items_than_it_remembers_are_reported_as_maybe_repeated() {
        let mut deduplicator = resumed(500, 0, 1000, [497, 498, 499]);
        assert_eq!(deduplicator.check_page(Offset(500), &keys(400..425), Some(1100)), all_new(25));
        assert_eq!(deduplicator.changes().maybe_repeated(), 97);
    }

    #[test]
    fn the_same_page_twice_is_a_vendor_that_does_not_paginate_unless_the_total_changed() {
        let mut deduplicator = midway();
        assert_eq!(deduplicator.check_page(Offset(50), &keys(25..50), Some(100)), PageDecision::SamePageAgain);
        duplicates(midway().check_page(Offset(50), &keys(25..50), Some(125)));
    }

    #[test]
    fn more_consecutive_duplicates_than_it_remembers_mean_a_list_without_end() {
        let mut deduplicator = midway();
        let mut check_nth = |nth: u64| {
            let first = nth % 2 * 25;
            deduplicator.check_page(Offset(50 + 25 * nth as u32), &keys(first..first + 25), None)
        };
        assert!((0..40).all(|nth| matches!(check_nth(nth), PageDecision::Accept(_))));
        assert_eq!(check_nth(40), PageDecision::NoNewItems);
    }

    /// Checks so many pages that alternate between items 0 to 24 and 25 to 49, all of which were yielded.
    fn check_duplicates(deduplicator: &mut Deduplicator, pages: u64) {
        for nth in 0..pages {
            let first = nth % 2 * 25;
            let known = duplicates(deduplicator.check_page(Offset(500), &keys(first..first + 25), None));
            assert!(known.iter().all(|is_duplicate| *is_duplicate));
        }
    }

    #[test]
    fn a_new_item_starts_the_count_of_consecutive_duplicates_anew() {
        let mut deduplicator = midway();
        check_duplicates(&mut deduplicator, 40);
        assert_eq!(deduplicator.check_page(Offset(500), &keys(60..61), None), all_new(1));
        check_duplicates(&mut deduplicator, 40);
    }

    #[test]
    fn going_back_starts_the_count_of_consecutive_duplicates_anew() {
        let mut deduplicator = midway();
        check_duplicates(&mut deduplicator, 40);
        assert_eq!(deduplicator.check_page(Offset(500), &keys(60..85), Some(90)), PageDecision::GoBack(Offset(480)));
        duplicates(deduplicator.check_page(Offset(480), &keys(0..25), Some(90)));
    }

    #[test]
    fn pages_without_ids_are_alike_and_no_sign_of_a_vendor_that_does_not_paginate() {
        let mut deduplicator = Deduplicator::starting_at(Position::Start);
        for page in 0..4 {
            let position = if page == 0 { Position::Start } else { Offset(25 * page) };
            assert_eq!(deduplicator.check_page(position, &[None; 25], Some(100)), all_new(25));
            (0..25).for_each(|_| deduplicator.record_yielded(None));
        }
        assert!(deduplicator.changes().is_none());
    }

    #[test]
    fn a_page_without_a_total_leaves_the_total_as_it_was() {
        let mut deduplicator = midway();
        assert_eq!(deduplicator.check_page(Offset(50), &keys(50..75), None), all_new(25));
        assert_eq!(deduplicator.total(), Some(100));
        duplicates(deduplicator.check_page(Offset(75), &keys(74..99), Some(101)));
        assert_eq!(deduplicator.changes().total_before(), Some(100));
    }

    #[test]
    fn servers_that_disagree_about_the_total_make_it_go_back_a_few_times_only() {
        let mut deduplicator = midway();
        for _ in 0..MAX_FRUITLESS_BACKTRACKS {
            assert_eq!(deduplicator.check_page(Offset(50), &keys(50..75), Some(95)), PageDecision::GoBack(Offset(40)));
            duplicates(deduplicator.check_page(Offset(40), &keys(40..50), Some(100)));
        }
        assert_eq!(deduplicator.check_page(Offset(50), &keys(50..75), Some(95)), all_new(25));
        assert_eq!(deduplicator.changes().maybe_missed(), 5);
    }

    #[test]
    fn a_page_that_was_yielded_in_part_resumes_by_id_or_else_by_count() {
        let mut with_ids = resumed(37, 12, 100, 25..37);
        assert_eq!(first_new(with_ids.check_page(Offset(25), &keys(25..50), Some(100))), Some(12));
        let mut without_ids = resumed(37, 12, 100, []);
        assert_eq!(first_new(without_ids.check_page(Offset(25), &[None; 25], Some(100))), Some(12));
        for deduplicator in [with_ids, without_ids] {
            assert!(deduplicator.changes().is_none());
        }
    }

    #[test]
    fn what_a_cursor_says_of_its_page_does_not_concern_the_next_page() {
        let mut without_ids = resumed(37, 12, 100, []);
        assert_eq!(first_new(without_ids.check_page(Offset(25), &[None; 25], Some(100))), Some(12));
        assert_eq!(without_ids.check_page(Offset(50), &[None; 25], Some(100)), all_new(25));

        let mut with_all_keys = resumed(300, 300, 1000, 0..50);
        duplicates(with_all_keys.check_page(Position::Start, &keys(0..300), Some(1005)));
        assert_eq!(with_all_keys.changes().maybe_repeated(), 0, "a cursor with fewer keys than fit has them all");
    }

    #[test]
    fn a_page_longer_than_a_cursor_resumes_by_count_where_the_cursor_has_no_keys() {
        let resumed = || resumed(900, 900, 1000, 700..900);
        let mut unchanged = resumed();
        assert_eq!(first_new(unchanged.check_page(Position::Start, &keys(0..1000), Some(1000))), Some(900));
        assert!(unchanged.changes().is_none());

        let mut grown = resumed();
        let page = keys((2000..2005).chain(0..995));
        let duplicates = duplicates(grown.check_page(Position::Start, &page, Some(1005)));
        let first_duplicate = duplicates.iter().position(|is_duplicate| *is_duplicate);
        assert_eq!(first_duplicate, Some(705), "added items are not skipped with the others");
        assert_eq!(grown.changes().maybe_repeated(), 700);
    }

    #[test]
    fn at_the_end_the_items_that_the_total_counts_and_no_page_had_are_reported() {
        let read = |start, pages: &[(Position, Vec<Option<u64>>)], total| {
            let mut deduplicator = Deduplicator::starting_at(start);
            for (position, keys) in pages {
                duplicates(deduplicator.check_page(*position, keys, Some(total)));
                keys.iter().for_each(|key| deduplicator.record_yielded(*key));
            }
            deduplicator.end();
            assert_eq!(deduplicator.latest_changes().maybe_missed(), deduplicator.changes().maybe_missed());
            deduplicator.changes().maybe_missed()
        };
        let from_start = [(Position::Start, keys(0..25)), (Offset(25), vec![]), (Offset(50), keys(50..60))];
        assert_eq!(read(Position::Start, &from_start, 60), 25);
        assert_eq!(read(Position::Start, &from_start, 35), 0);
        assert_eq!(read(Position::Start, &from_start, 30), 0, "a total that is too low");
        let rest = [(Offset(30), keys(30..55))];
        assert_eq!((read(Offset(30), &rest, 55), read(Offset(30), &rest, 60)), (0, 5));
        let unknown = [(Position::Page(3), keys(50..60))];
        assert_eq!(read(Position::Page(3), &unknown, 100), 0, "how many items come before page 3 is not known");
    }

    #[test]
    fn items_that_came_again_were_received_once() {
        let mut deduplicator = midway();
        assert_eq!(deduplicator.check_page(Offset(50), &keys(53..78), Some(97)), PageDecision::GoBack(Offset(44)));
        duplicates(deduplicator.check_page(Offset(44), &keys(47..72), Some(97)));
        assert_eq!(deduplicator.received, Some(69));
        let mut deduplicator = resumed(37, 12, 100, 25..37);
        duplicates(deduplicator.check_page(Offset(25), &keys(25..50), Some(100)));
        assert_eq!(deduplicator.received, Some(50));
    }

    #[test]
    fn only_the_latest_thousand_items_are_remembered() {
        let mut recent = RecentKeys::default();
        (0..5000).for_each(|key| recent.insert(key));
        assert_eq!((recent.len(), recent.keys.len()), (1000, 1000));
        recent.insert(4999);
        assert!(recent.contains(4000) && !recent.contains(3999));
    }
}
