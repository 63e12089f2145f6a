//! Calls that may have used up a part of the window, though no response confirmed it.

/// Calls that ended without limit headers, and that no response is known to include.
///
/// A response includes them if its call was sent after they ended. There are nearly always calls in flight that were sent
/// before, so newer ones wait until the older ones are settled: else they never would be.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed {
    settling: u64,
    /// The number of the first call that was sent after those ended.
    mark: u64,
    newer: u64,
}

impl Unconfirmed {
    pub(super) fn add(&mut self, next: u64) {
        self.add_all(1, next);
    }

    pub(super) fn add_all(&mut self, calls: u64, next: u64) {
        if self.settling == 0 || self.mark == next {
            self.settling += calls;
            self.mark = next;
        } else {
            self.newer += calls;
        }
    }

    /// The call with this number got a response, and `next` will be the next.
    pub(super) fn settle(&mut self, number: u64, next: u64) {
        if self.count() > 0 && number >= self.mark {
            *self = Self { settling: self.newer, mark: next, newer: 0 };
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.settling + self.newer
    }
}
