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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_may_be_sent_as_the_wait_ends_still_is_and_nothing_is_sent_once_the_time_is_over() {
        let (now, second) = (Instant::now(), Duration::from_secs(1));
        let request = |wait: u32, time: u32| AcquireRequest {
            wait_until: now + second * wait,
            send_before: now + second * time,
            ..AcquireRequest::test(Priority::Normal)
        };
        for (wait, time, is_too_late) in [(2, 9, false), (1, 9, true), (9, 2, true), (9, 3, false)] {
            assert_eq!(request(wait, time).is_too_late(now + second * 2), is_too_late, "{wait} {time}");
        }
    }
}
