//! What was noticed of a list that changed during a walk.

use crate::operation::Operation;

/// What a walk noticed of changes to the list that it walks.
///
/// A vendor's pages are windows on a list that others go on changing. What is added before the place that the walk has
/// come to moves items behind it, so that they come again; what is removed moves items before it, so that they would be
/// skipped. The walk tells from the total, and from the ids of the items that it handed out last, and acts:
///
/// * **Items that come again are left out**, as far as it remembers: the last 1,000, and 200 in a
///   [`Cursor`](crate::Cursor), which also knows how many of its page were taken. [`repeated`](Self::repeated) counts
///   them.
/// * **When the total falls it goes back** by as much and more, and leaves out what it has handed out already, so that
///   nothing is skipped. [`backtracks`](Self::backtracks) counts that. Where it cannot go back far enough, or items have no
///   ids, [`maybe_missed`](Self::maybe_missed) says how many may be missing: walk the list anew if they matter.
/// * **When more is added than it remembers**, [`maybe_repeated`](Self::maybe_repeated) says how many items may come twice.
///
/// Each time there is an event too, `servicebay.list_changed`, or `servicebay.list_loss` where items may be missing or come twice. Not noticed is what leaves no trace on a page: as many items
/// removed as added between one page and the next, where none of them is on either. Lists that are sorted by id or by
/// when things were made drift least; one that is sorted by what users change has no order that a walk could keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListChanges {
    pub(super) total_before: Option<u64>,
    pub(super) total_now: Option<u64>,
    pub(super) repeated: u64,
    pub(super) backtracks: u64,
    pub(super) maybe_missed: u64,
    pub(super) maybe_repeated: u64,
}

impl ListChanges {
    /// Tells what was noticed on one page, if anything.
    pub(super) fn tell(self, vendor: &'static str, operation: &'static Operation) {
        let Self { total_before, total_now, repeated, maybe_missed, maybe_repeated, .. } = self;
        let operation = operation.id();
        if maybe_missed + maybe_repeated > 0 {
            tracing::warn!(
                name: "servicebay.list_loss",
                vendor, operation, total_before, total_now, repeated, maybe_missed, maybe_repeated,
                "a list changed by more than its walk can account for"
            );
        } else if !self.is_none() {
            tracing::info!(
                name: "servicebay.list_changed",
                vendor, operation, total_before, total_now, repeated,
                "a list changed during its walk; nothing is missing or doubled, as far as it tells"
            );
        }
    }

    /// Whether nothing was noticed.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The total before it first changed; `None` while it has not.
    pub fn total_before(&self) -> Option<u64> {
        self.total_before
    }

    /// The total after it last changed; `None` while it has not.
    pub fn total_now(&self) -> Option<u64> {
        self.total_now
    }

    /// How many items came again and were left out.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// How many times the walk went back for what would have been skipped.
    pub fn backtracks(&self) -> u64 {
        self.backtracks
    }

    /// How many items may be missing, at the most that the totals account for. Zero: none, as far as they tell.
    pub fn maybe_missed(&self) -> u64 {
        self.maybe_missed
    }

    /// How many items may have come twice. Zero: none, as far as the totals tell.
    pub fn maybe_repeated(&self) -> u64 {
        self.maybe_repeated
    }
}
