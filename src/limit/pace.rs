//! Spaces calls evenly, at a rate that may change.

use std::time::Duration;

use tokio::time::Instant;

use super::acquire_request::AcquireRequest;

/// How much a pace may catch up at once: timers are late by some milliseconds.
const CATCH_UP: Duration = Duration::from_millis(5);
/// No pace is slower than a call in an hour.
const MIN_RATE: f64 = 1.0 / 3600.0;

/// When the next call may be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    interval: Duration,
    next_at: Instant,
    /// The same for calls that leave a reserve to others.
    next_reserved_at: Instant,
}

impl Pace {
    /// A pace of `rate` calls a second, from `now` on.
    pub(super) fn new(rate: f64, now: Instant) -> Self {
        Self { interval: interval(rate), next_at: now, next_reserved_at: now }
    }

    pub(super) fn set_rate(&mut self, rate: f64) {
        self.interval = interval(rate);
    }

    /// When such a call may be sent.
    pub(super) fn ready_at(&self, request: AcquireRequest) -> Instant {
        if request.reserve == 0 { self.next_at } else { self.next_at.max(self.next_reserved_at) }
    }

    /// When the next call of any kind may be sent.
    pub(super) fn next_at(&self) -> Instant {
        self.next_at
    }

    /// When a call may be sent that has so many before it.
    pub(super) fn ready_after(&self, request: AcquireRequest, ahead: u64) -> Instant {
        let ahead = u32::try_from(ahead).unwrap_or(u32::MAX);
        let far = Duration::from_secs(365 * 24 * 3600);
        self.ready_at(request) + self.interval_of(request).saturating_mul(ahead).min(far)
    }

    /// Counts a call that is sent now.
    pub(super) fn take(&mut self, request: AcquireRequest, now: Instant) {
        let from = |next_at: Instant| next_at.max(now.checked_sub(CATCH_UP).unwrap_or(now));
        self.next_at = from(self.next_at) + self.interval;
        if request.reserve > 0 {
            self.next_reserved_at = from(self.next_reserved_at) + self.interval_of(request);
        }
    }

    fn interval_of(&self, request: AcquireRequest) -> Duration {
        self.interval.mul_f64(1000.0 / f64::from(1000 - request.reserve.min(900)))
    }
}

fn interval(rate: f64) -> Duration {
    Duration::from_secs_f64(1.0 / rate.clamp(MIN_RATE, 1e6))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::priority::Priority;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn calls_are_spaced_evenly_and_a_break_is_not_made_up_for() {
        let now = Instant::now();
        let request = AcquireRequest::test(Priority::Normal);
        let mut pace = Pace::new(10.0, now);
        for call in 0..5_u32 {
            let due = now + SECOND / 10 * call;
            assert_eq!(pace.ready_at(request), due);
            pace.take(request, due);
        }
        assert_eq!(pace.ready_after(request, 3), now + SECOND / 10 * 8);
        pace.take(request, now + 10 * SECOND);
        assert!(pace.next_at() > now + 10 * SECOND + SECOND / 11, "{:?}", pace.next_at() - now);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_leave_a_reserve_are_spaced_further() {
        let now = Instant::now();
        let bulk = AcquireRequest { reserve: 500, ..AcquireRequest::test(Priority::Bulk) };
        let mut pace = Pace::new(10.0, now);
        pace.take(bulk, now);
        assert_eq!(pace.ready_at(bulk) - now, SECOND / 5);
        assert_eq!(pace.ready_at(AcquireRequest::test(Priority::Normal)) - now, SECOND / 10);
    }

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_is_late_by_some_milliseconds_is_made_up_for() {
        let start = Instant::now();
        let request = AcquireRequest::test(Priority::Normal);
        for (late, next) in [(0, 100), (4, 100), (5, 100), (6, 101), (90, 185)] {
            let mut pace = Pace::new(10.0, start);
            pace.take(request, start + Duration::from_millis(late));
            assert_eq!(pace.next_at() - start, Duration::from_millis(next), "{late} ms late");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reserve_spaces_only_the_calls_that_leave_it_and_only_up_to_nine_tenths() {
        let now = Instant::now();
        let bulk = |reserve| AcquireRequest { reserve, ..AcquireRequest::test(Priority::Bulk) };
        for (reserve, tenths) in [(0, 1), (500, 2), (900, 10), (1000, 10)] {
            let mut pace = Pace::new(10.0, now);
            assert_eq!(pace.ready_after(bulk(reserve), 2), now + SECOND / 10 * tenths * 2, "{reserve}");
            pace.take(bulk(reserve), now);
            assert_eq!(pace.ready_at(bulk(reserve)) - now, SECOND / 10 * tenths, "{reserve}");
            assert_eq!(pace.next_at() - now, SECOND / 10);
        }
        let mut pace = Pace::new(10.0, now);
        pace.take(bulk(500), now);
        pace.take(bulk(0), now);
        assert_eq!(pace.ready_at(bulk(500)) - now, SECOND / 5, "the others do not count twice");
        let mut pace = Pace::new(10.0, now);
        (0..3).for_each(|_| pace.take(bulk(0), now));
        assert_eq!(pace.ready_at(bulk(500)) - now, SECOND / 10 * 3, "it waits for the others too");
        pace.set_rate(20.0);
        pace.take(bulk(0), now + SECOND);
        assert_eq!(pace.next_at(), now + SECOND - CATCH_UP + SECOND / 20);
    }

    #[tokio::test(start_paused = true)]
    async fn no_rate_overflows() {
        let now = Instant::now();
        for rate in [0.0, -1.0, f64::INFINITY, 1e300] {
            assert!(Pace::new(rate, now).ready_after(AcquireRequest::test(Priority::Normal), u64::MAX) >= now);
        }
        let ready_at = Pace::new(0.0, now).ready_after(AcquireRequest::test(Priority::Normal), u64::MAX);
        assert_eq!(ready_at, now + SECOND * 3600 * 24 * 365, "as far ahead as any forecast looks");
    }
}
