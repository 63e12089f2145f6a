//! What a caller asks of the rate limiter.

#[cfg(test)]
use std::time::Duration;

use tokio::time::Instant;

use crate::priority::Priority;

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct AcquireRequest {
    pub(super) priority: Priority,
    /// What it leaves of every window to others, in thousandths.
    pub(super) reserve: u16,
    /// Until when it can wait. What may be sent at that moment still is.
    pub(super) wait_until: Instant,
    /// When it has to be over: nothing is sent from then on.
    pub(super) send_before: Instant,
    /// Its place in the order of arrival, if it has had one before.
    pub(super) place: Option<u64>,
}

impl AcquireRequest {
    /// A request that can wait for a day.
    #[cfg(test)]
    pub(super) fn test(priority: Priority) -> Self {
        let end = Instant::now() + Duration::from_secs(24 * 3600);
        Self { priority, reserve: 0, wait_until: end, send_before: end, place: None }
    }

    pub(super) fn lane(self) -> usize {
        self.priority.index()
    }

    /// Whether it cannot wait until this moment.
    pub(super) fn is_too_late(self, moment: Instant) -> bool {
        moment > self.wait_until || moment >= self.send_before
    }
}
