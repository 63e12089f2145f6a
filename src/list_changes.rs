//! The changes to a list that its stream noticed.

/// The changes to a list that [`Items`](crate::Items) or [`Pages`](crate::Pages) noticed while reading it.
///
/// A page is a window on a list that other users keep changing. Items added before the window shift those behind them into
/// the next page, where they come again; items removed before it shift the next items out of the pages still to come, so
/// that they would be missed. The stream notices both from the total that the vendor sends and from the ids of the items
/// that it yielded:
///
/// * **It skips items that come again**, if they are among the last 1,000 that it yielded, or the last 200 before a
///   [`Cursor`](crate::Cursor). [`repeated`](Self::repeated) counts them.
/// * **It goes back when the total falls**, further than the total requires, and skips what it already yielded, so that nothing
///   is missed. [`backtracks`](Self::backtracks) counts that. If it cannot go back far enough, or items have no ids,
///   [`maybe_missed`](Self::maybe_missed) is the number of items that may be missing: list again if they matter.
/// * **If more items are added than it remembers**, [`maybe_repeated`](Self::maybe_repeated) is the number of items that may
///   have been yielded twice.
///
/// * **If the vendor sends empty pages although its own count says that more items follow**, the stream goes on behind them, past
///   ten of them in a row at most. At the end, [`maybe_missed`](Self::maybe_missed) includes the items that the vendor counted
///   and never sent.
///
/// Each change is also an event: `servicebay.list_changed`, or `servicebay.list_loss` if items may be missing or repeated. The
/// client's observer gets [`EventKind::ListChanged`](crate::EventKind::ListChanged). A stream that [resumes](crate::Items::resume)
/// at a [`Cursor`](crate::Cursor) continues the sums of the streams before it.
///
/// A change that leaves no trace cannot be noticed: as many items removed as added between two pages, none of them on either
/// page. Lists sorted by id or creation time are the most stable; a list sorted by a field that users edit has no stable
/// order to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ListChanges {
    pub(crate) total_before: Option<u64>,
    pub(crate) total_now: Option<u64>,
    pub(crate) repeated: u64,
    pub(crate) backtracks: u64,
    pub(crate) maybe_missed: u64,
    pub(crate) maybe_repeated: u64,
}

impl ListChanges {
    /// Adds what was noticed later. No sum overflows, whatever a vendor counts or a cursor holds.
    pub(crate) fn add(&mut self, later: Self) {
        self.total_before = self.total_before.or(later.total_before);
        self.total_now = later.total_now.or(self.total_now);
        self.repeated = self.repeated.saturating_add(later.repeated);
        self.backtracks = self.backtracks.saturating_add(later.backtracks);
        self.maybe_missed = self.maybe_missed.saturating_add(later.maybe_missed);
        self.maybe_repeated = self.maybe_repeated.saturating_add(later.maybe_repeated);
    }

    /// Whether the stream noticed no change.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// The total before the first change; `None` if it has not changed.
    pub fn total_before(&self) -> Option<u64> {
        self.total_before
    }

    /// The total after the latest change; `None` if it has not changed.
    pub fn total_now(&self) -> Option<u64> {
        self.total_now
    }

    /// How many items came again and were skipped.
    pub fn repeated(&self) -> u64 {
        self.repeated
    }

    /// How many times the stream went back for items that it would have missed.
    pub fn backtracks(&self) -> u64 {
        self.backtracks
    }

    /// The most items that may be missing, according to the totals. Zero means none: if the vendor sends no total, zero as well.
    pub fn maybe_missed(&self) -> u64 {
        self.maybe_missed
    }

    /// The most items that may have been yielded twice, according to the totals. Zero means none.
    pub fn maybe_repeated(&self) -> u64 {
        self.maybe_repeated
    }
}
