//! What the readers of one body share: whether text fields read numbers digit by digit, and what was not as it should be.
//!
//! It is kept for the thread, because serde offers no way to hand it from field to field, and a body is read without a pause.

use std::cell::{Cell, RefCell};
use std::mem;

use super::skipped_value::SkippedValue;

/// The most skipped values that are described. Those beyond are only counted.
const MAX_DESCRIBED: usize = 16;

thread_local! {
    static IS_FAST: Cell<bool> = const { Cell::new(false) };
    static HAS_LOST_DIGITS: Cell<bool> = const { Cell::new(false) };
    static REPORT: RefCell<ReadReport> = const { RefCell::new(ReadReport::new()) };
}

/// What was not as it should be in a body that could be read.
#[derive(Debug)]
pub(crate) struct ReadReport {
    /// How many values had another shape than expected and were left out.
    pub(crate) skipped: u64,
    /// How many of them were elements of lists.
    pub(crate) skipped_elements: u64,
    /// The first of them.
    pub(crate) described: Vec<SkippedValue>,
    /// Whether the body was not JSON until it was repaired.
    pub(crate) is_repaired: bool,
}

impl ReadReport {
    pub(crate) const fn new() -> Self {
        Self { skipped: 0, skipped_elements: 0, described: Vec::new(), is_repaired: false }
    }

    /// The report on what this thread has read since the last call.
    pub(crate) fn take() -> Self {
        REPORT.with_borrow_mut(|report| mem::replace(report, Self::new()))
    }

    /// Whether everything was as it should be.
    pub(crate) fn is_clean(&self) -> bool {
        self.skipped == 0 && !self.is_repaired
    }
}

/// A fast pass over a body, until it is dropped.
///
/// A field of text rarely holds a number, and looking for one costs time in each. So the first pass takes what the JSON parser
/// makes of a number. If that has lost digits, the body is read again without a fast pass.
pub(crate) struct FastPass(());

impl FastPass {
    pub(crate) fn begin() -> Self {
        IS_FAST.set(true);
        HAS_LOST_DIGITS.set(false);
        Self(())
    }

    /// Whether the parser made a float of a number whose digits count.
    pub(crate) fn has_lost_digits(&self) -> bool {
        HAS_LOST_DIGITS.get()
    }
}

impl Drop for FastPass {
    fn drop(&mut self) {
        IS_FAST.set(false);
    }
}

#[inline]
pub(super) fn is_fast() -> bool {
    IS_FAST.get()
}

/// Reports that a float was made of a number whose digits count.
#[cold]
pub(crate) fn report_lost_digits() {
    HAS_LOST_DIGITS.set(true);
}

/// Reports that a value was left out.
#[cold]
pub(super) fn report_skipped(value: SkippedValue) {
    REPORT.with_borrow_mut(|report| {
        report.skipped += 1;
        report.skipped_elements += u64::from(value.field.is_none());
        if report.described.len() < MAX_DESCRIBED {
            report.described.push(value);
        }
    });
}

/// Reports that a body was repaired, and forgets what was reported about the body before the repair.
#[cold]
pub(crate) fn report_repaired() {
    REPORT.set(ReadReport { is_repaired: true, ..ReadReport::new() });
}
