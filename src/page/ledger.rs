//! What a walk has handed out, and what a page means after that. Pure: pages come in as keys and totals.

use std::collections::{HashSet, VecDeque};

use super::Position;
use super::changes::ListChanges;
use super::cursor::KEYS;

/// How many items are remembered: ten of the largest pages that a vendor has.
const REMEMBERED: usize = 1000;
/// How often a walk goes back without coming to anything new: two servers that disagree about the total would have it go
/// to and fro for ever.
const STEPS: u32 = 8;

/// What has been handed out.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    seen: Seen,
    /// How many items were handed out.
    yielded: u64,
    /// The total that the page before told.
    total: Option<u64>,
    /// How many items before the place that is due the next page begins: those are expected to come again.
    overlap: u64,
    /// How many at the beginning of the next page were handed out; needed for items without ids.
    counted: u64,
    /// How many at the beginning of the next page were handed out, and not written down in the cursor.
    unwritten: u64,
    /// The keys of the page before, and how many items the largest page had.
    page: Vec<Option<u64>>,
    size: u64,
    /// How many items in a row came again.
    again: usize,
    /// How often the walk went back since there was anything new.
    steps: u32,
    changes: ListChanges,
    /// What was noticed on the page that was judged last.
    news: ListChanges,
}

/// What to do with a page.
#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    /// Hand it out, but for the items so marked; empty where there are none.
    Take(Vec<bool>),
    /// Items may lie between this page and the one before: fetch from there instead.
    GoBack(Position),
    /// It is the page before once more, at a place where that cannot be.
    Again,
    /// More items came again in a row than are remembered: one of them came a third time.
    Endless,
}

impl Ledger {
    /// A ledger that goes on where another one was put down.
    pub(super) fn resumed(yielded: u64, taken: u64, total: Option<u64>, keys: &[u64]) -> Self {
        let mut seen = Seen::default();
        keys.iter().for_each(|key| seen.add(*key));
        // A cursor has no more keys, and a page may have more items.
        let unwritten = if keys.len() < KEYS { 0 } else { taken.saturating_sub(KEYS as u64) };
        Self { seen, yielded, total, overlap: taken, counted: taken, unwritten, ..Self::default() }
    }

    /// Judges the page at `position`.
    pub(super) fn judge(&mut self, position: Position, keys: &[Option<u64>], total: Option<u64>) -> Verdict {
        let known: Vec<bool> = keys.iter().map(|key| key.is_some_and(|key| self.seen.has(key))).collect();
        let joined = known.contains(&true) || position.is_first();
        let change = self.total.zip(total).filter(|(before, now)| before != now);
        let size = self.size.max(keys.len() as u64);

        let mut noticed = ListChanges::default();
        if let Some((before, now)) = change {
            let fallen = before.saturating_sub(now);
            if fallen > self.overlap && !joined {
                if let Some((back, by)) = self.back(position, fallen, size, keys).filter(|_| self.steps < STEPS) {
                    self.steps += 1;
                    self.again = 0;
                    self.overlap += by;
                    (self.counted, self.unwritten) = (0, 0);
                    self.changes.backtracks += 1;
                    return Verdict::GoBack(back);
                }
                noticed.maybe_missed = fallen - self.overlap;
            }
            let forgotten = self.yielded.saturating_sub(self.seen.len());
            noticed.maybe_repeated = now.saturating_sub(before).saturating_sub(self.seen.len()).min(forgotten);
            // Those at the beginning of the page need not be the same any more: rather twice than not at all.
            noticed.maybe_repeated = noticed.maybe_repeated.max(self.unwritten);
            self.unwritten = 0;
            (noticed.total_before, noticed.total_now) = (Some(before), Some(now));
        } else if self.overlap == 0 && !keys.is_empty() && keys == self.page && known.iter().all(|known| *known) {
            return Verdict::Again;
        }

        if known.contains(&false) {
            (self.again, self.steps) = (0, 0);
        } else {
            self.again += known.len();
        }
        if self.again > REMEMBERED {
            return Verdict::Endless;
        }
        let left_out: Vec<bool> = known
            .iter()
            .zip(keys)
            .zip(0..)
            .map(|((known, key), place)| *known || place < self.unwritten || (key.is_none() && place < self.counted))
            .collect();
        let overlap = usize::try_from(self.overlap).unwrap_or(usize::MAX);
        noticed.repeated = known.iter().skip(overlap).filter(|known| **known).count() as u64;
        self.note(noticed);
        self.total = total.or(self.total);
        (self.overlap, self.counted, self.unwritten) = (0, 0, 0);
        self.page = keys.to_vec();
        self.size = size;
        Verdict::Take(if left_out.contains(&true) { left_out } else { Vec::new() })
    }

    /// Where to go back to when the total fell by so much, and how far that is.
    fn back(&self, position: Position, fallen: u64, size: u64, keys: &[Option<u64>]) -> Option<(Position, u64)> {
        // What comes again could not be told from what does not.
        if keys.iter().any(Option::is_none) {
            return None;
        }
        // Twice as far as the total asks for: a list that goes on falling is not to be gone back in at every page twice.
        // And never further than is remembered, for that would hand items out again.
        let most = self.seen.len().saturating_sub(self.overlap);
        position.back(fallen.saturating_mul(2).saturating_sub(self.overlap), size, most)
    }

    /// Writes down that an item was handed out.
    pub(super) fn hand_out(&mut self, key: Option<u64>) {
        self.yielded += 1;
        if let Some(key) = key {
            self.seen.add(key);
        }
    }

    fn note(&mut self, noticed: ListChanges) {
        self.changes.total_before = self.changes.total_before.or(noticed.total_before);
        self.changes.total_now = noticed.total_now.or(self.changes.total_now);
        self.changes.repeated += noticed.repeated;
        self.changes.maybe_missed += noticed.maybe_missed;
        self.changes.maybe_repeated += noticed.maybe_repeated;
        self.news = noticed;
    }

    /// What was noticed on the page that was judged last.
    pub(super) fn news(&self) -> ListChanges {
        self.news
    }

    pub(super) fn yielded(&self) -> u64 {
        self.yielded
    }

    pub(super) fn total(&self) -> Option<u64> {
        self.total
    }

    pub(super) fn overlap(&self) -> u64 {
        self.overlap
    }

    pub(super) fn changes(&self) -> ListChanges {
        self.changes
    }

    /// The latest `most` keys, oldest first.
    pub(super) fn latest(&self, most: usize) -> Vec<u64> {
        let keys = &self.seen.order;
        keys.range(keys.len().saturating_sub(most)..).copied().collect()
    }
}

/// The keys of the items that were handed out last.
#[derive(Debug, Default)]
struct Seen {
    /// Oldest first.
    order: VecDeque<u64>,
    keys: HashSet<u64>,
}

impl Seen {
    fn add(&mut self, key: u64) {
        if self.keys.insert(key) {
            self.order.push_back(key);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
    }

    fn has(&self, key: u64) -> bool {
        self.keys.contains(&key)
    }

    fn len(&self) -> u64 {
        self.order.len() as u64
    }
}

#[cfg(test)]
mod tests {
    use super::Position::Offset;
    use super::*;

    /// The page of these items.
    fn keys(items: impl IntoIterator<Item = u64>) -> Vec<Option<u64>> {
        items.into_iter().map(Some).collect()
    }

    /// A ledger after items 0 to 49 of 100 were handed out, in pages of 25.
    fn midway() -> Ledger {
        let mut ledger = Ledger::default();
        for page in [0, 25] {
            let position = if page == 0 { Position::Start } else { Offset(25) };
            assert_eq!(ledger.judge(position, &keys(page..page + 25), Some(100)), Verdict::Take(vec![]));
            (page..page + 25).for_each(|key| ledger.hand_out(Some(key)));
        }
        ledger
    }

    #[test]
    fn a_list_that_stays_as_it_is_drifts_nowhere() {
        let mut ledger = midway();
        assert_eq!(ledger.judge(Offset(50), &keys(50..75), Some(100)), Verdict::Take(vec![]));
        assert!(ledger.changes().is_none());
    }

    #[test]
    fn what_comes_again_because_something_was_added_before_it_is_left_out() {
        let mut ledger = midway();
        let Verdict::Take(left_out) = ledger.judge(Offset(50), &keys(48..73), Some(102)) else { panic!("no take") };
        assert_eq!(left_out.iter().filter(|left| **left).count(), 2);
        assert!(left_out[0] && left_out[1] && !left_out[2]);
        let drift = ledger.changes();
        assert_eq!((drift.total_before(), drift.total_now(), drift.repeated()), (Some(100), Some(102), 2));
        assert_eq!((drift.maybe_missed(), drift.maybe_repeated()), (0, 0));
    }

    #[test]
    fn when_the_total_falls_the_walk_goes_back_and_leaves_out_what_it_knows() {
        let mut ledger = midway();
        // Items 0 to 2 are gone: what was at 50 is at 47.
        assert_eq!(ledger.judge(Offset(50), &keys(53..78), Some(97)), Verdict::GoBack(Offset(44)));
        let Verdict::Take(left_out) = ledger.judge(Offset(44), &keys(47..72), Some(97)) else { panic!("no take") };
        assert_eq!(left_out.iter().position(|left| !left), Some(3));
        let drift = ledger.changes();
        assert_eq!((drift.backtracks(), drift.repeated(), drift.maybe_missed()), (1, 0, 0));
    }

    #[test]
    fn a_list_whose_items_go_as_they_are_handed_out_is_walked_to_its_end() {
        let mut ledger = midway();
        // All of the 50 are gone; the page before the change is not asked for again.
        assert_eq!(ledger.judge(Offset(50), &[], Some(50)), Verdict::GoBack(Offset(0)));
        assert_eq!(ledger.judge(Offset(0), &keys(50..75), Some(50)), Verdict::Take(vec![]));
        assert_eq!(ledger.changes().maybe_missed(), 0);
    }

    #[test]
    fn a_list_that_falls_again_during_the_step_back_is_gone_back_in_once_more() {
        let mut ledger = midway();
        assert_eq!(ledger.judge(Offset(50), &keys(53..78), Some(97)), Verdict::GoBack(Offset(44)));
        assert_eq!(ledger.judge(Offset(44), &keys(64..80), Some(80)), Verdict::GoBack(Offset(10)));
        assert_eq!(ledger.judge(Offset(10), &keys(50..75), Some(80)), Verdict::Take(vec![]));
        assert_eq!(ledger.changes().backtracks(), 2);
    }

    #[test]
    fn what_cannot_be_gone_back_for_is_told() {
        let mut ledger = Ledger::resumed(500, 0, Some(1000), &[497, 498, 499]);
        assert_eq!(ledger.judge(Offset(500), &keys(600..625), Some(900)), Verdict::GoBack(Offset(497)));
        assert_eq!(ledger.judge(Offset(497), &keys(597..622), Some(900)), Verdict::Take(vec![]));
        assert_eq!(ledger.changes().maybe_missed(), 97);

        let mut nameless = Ledger::default();
        assert_eq!(nameless.judge(Position::Start, &[None; 25], Some(100)), Verdict::Take(vec![]));
        (0..25).for_each(|_| nameless.hand_out(None));
        assert_eq!(nameless.judge(Offset(25), &[None; 25], Some(98)), Verdict::Take(vec![]));
        assert_eq!(nameless.changes().maybe_missed(), 2);
    }

    #[test]
    fn a_page_that_joins_what_was_handed_out_skips_nothing_whatever_the_total_does() {
        let mut ledger = midway();
        assert!(matches!(ledger.judge(Offset(50), &keys(49..74), Some(90)), Verdict::Take(_)));
        assert_eq!((ledger.changes().backtracks(), ledger.changes().maybe_missed()), (0, 0));
    }

    #[test]
    fn more_added_than_is_remembered_is_told() {
        let mut ledger = Ledger::resumed(500, 0, Some(1000), &[497, 498, 499]);
        assert_eq!(ledger.judge(Offset(500), &keys(400..425), Some(1100)), Verdict::Take(vec![]));
        assert_eq!(ledger.changes().maybe_repeated(), 97);
    }

    #[test]
    fn a_page_that_comes_twice_is_no_drift_but_a_vendor_that_does_not_page() {
        let mut ledger = midway();
        assert_eq!(ledger.judge(Offset(50), &keys(25..50), Some(100)), Verdict::Again);
        let mut grown = midway();
        assert!(matches!(grown.judge(Offset(50), &keys(25..50), Some(125)), Verdict::Take(_)));
    }

    #[test]
    fn more_that_comes_again_in_a_row_than_is_remembered_never_ends() {
        let mut ledger = midway();
        let mut judge = |place: u64| {
            let first = place % 2 * 25;
            ledger.judge(Offset(50 + 25 * place as u32), &keys(first..first + 25), None)
        };
        assert!((0..40).all(|place| matches!(judge(place), Verdict::Take(_))));
        assert_eq!(judge(40), Verdict::Endless);
    }

    #[test]
    fn servers_that_disagree_about_the_total_are_gone_back_for_a_few_times_only() {
        let mut ledger = midway();
        for _ in 0..STEPS {
            assert_eq!(ledger.judge(Offset(50), &keys(50..75), Some(95)), Verdict::GoBack(Offset(40)));
            assert!(matches!(ledger.judge(Offset(40), &keys(40..50), Some(100)), Verdict::Take(_)));
        }
        assert_eq!(ledger.judge(Offset(50), &keys(50..75), Some(95)), Verdict::Take(vec![]));
        assert_eq!(ledger.changes().maybe_missed(), 5);
    }

    #[test]
    fn a_page_that_was_taken_in_part_goes_on_behind_it_by_id_or_else_by_count() {
        let mut named = Ledger::resumed(37, 12, Some(100), &keys(25..37).into_iter().flatten().collect::<Vec<_>>());
        let Verdict::Take(left_out) = named.judge(Offset(25), &keys(25..50), Some(100)) else { panic!("no take") };
        assert_eq!(left_out.iter().position(|left| !left), Some(12));
        let mut nameless = Ledger::resumed(37, 12, Some(100), &[]);
        let Verdict::Take(left_out) = nameless.judge(Offset(25), &[None; 25], Some(100)) else { panic!("no take") };
        assert_eq!(left_out.iter().position(|left| !left), Some(12));
        for ledger in [named, nameless] {
            assert!(ledger.changes().is_none());
        }
    }

    #[test]
    fn of_a_page_that_is_longer_than_a_cursor_the_beginning_goes_by_count() {
        let cursor = || Ledger::resumed(900, 900, Some(1000), &(700..900).collect::<Vec<_>>());
        let mut same = cursor();
        let Verdict::Take(left_out) = same.judge(Position::Start, &keys(0..1000), Some(1000)) else {
            panic!("no take")
        };
        assert_eq!(left_out.iter().position(|left| !left), Some(900));
        assert!(same.changes().is_none());

        let mut grown = cursor();
        let page = keys((2000..2005).chain(0..995));
        let Verdict::Take(left_out) = grown.judge(Position::Start, &page, Some(1005)) else { panic!("no take") };
        assert_eq!(left_out.iter().position(|left| *left), Some(705), "what was added is not left out with the rest");
        assert_eq!(grown.changes().maybe_repeated(), 700);
    }

    #[test]
    fn only_so_much_is_remembered() {
        let mut seen = Seen::default();
        (0..5000).for_each(|key| seen.add(key));
        assert_eq!((seen.len(), seen.keys.len()), (1000, 1000));
        assert!(seen.has(4000) && !seen.has(3999));
    }
}
