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
        if number >= self.mark {
            *self = Self { settling: self.newer, mark: next, newer: 0 };
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.settling + self.newer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_settled_by_one_that_was_sent_after_they_ended() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.add(5);
        unconfirmed.add(5);
        unconfirmed.settle(4, 6);
        assert_eq!(unconfirmed.count(), 2, "it was sent before they ended");
        unconfirmed.settle(5, 6);
        assert_eq!(unconfirmed.count(), 0);
        unconfirmed.add(8);
        unconfirmed.settle(7, 9);
        assert_eq!(unconfirmed.count(), 1);
    }

    #[test]
    fn newer_ones_are_settled_after_the_older_ones() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.add(5);
        unconfirmed.add_all(3, 6);
        assert_eq!(unconfirmed.count(), 4);
        unconfirmed.settle(5, 8);
        assert_eq!(unconfirmed.count(), 3);
        unconfirmed.settle(7, 9);
        assert_eq!(unconfirmed.count(), 3, "one that is sent from now on settles them");
        unconfirmed.settle(8, 9);
        assert_eq!(unconfirmed.count(), 0);
    }
}
