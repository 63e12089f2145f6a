//! A snapshot of a tenant's rate limit.

use jiff::Timestamp;

use super::headers::RateLimitHeaders;
use crate::clock::Clock;
use crate::priority::Priority;

/// A snapshot of a tenant's rate limit.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
    pub(super) reset_at: Option<Timestamp>,
    pub(super) held_back: Option<HoldBack>,
    pub(super) in_flight: u64,
    pub(super) waiting: [usize; Priority::ALL.len()],
    pub(super) others_per_minute: u64,
}

/// What holds the calls of this process to a tenant back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HoldBack {
    /// The vendor refused a call because of its limit, and wants none until then.
    #[non_exhaustive]
    RateLimited {
        /// When the next call is sent.
        until: Timestamp,
    },
    /// The vendor is down, and said until when (503 with `Retry-After`).
    #[non_exhaustive]
    Outage {
        /// When the next call is sent.
        until: Timestamp,
    },
    /// The vendor reported that nothing is left of the window.
    #[non_exhaustive]
    Exhausted {
        /// When the window ends.
        until: Timestamp,
    },
    /// The vendor does not report its limit, and has refused calls: they are sent at the rate that it is found to accept.
    #[non_exhaustive]
    LearnedRate {
        /// Calls per minute, rounded up.
        per_minute: u64,
    },
    /// One call is asking what the vendor allows, and the others wait for its response.
    Probing,
}

impl RateLimit {
    /// What one response says.
    pub(crate) fn of_response(headers: RateLimitHeaders, clock: Clock) -> Self {
        Self {
            limit: headers.limit,
            remaining: headers.remaining,
            reset_at: headers.reset.map(|ahead| clock.wall_in(ahead)),
            held_back: None,
            in_flight: 0,
            waiting: [0; Priority::ALL.len()],
            others_per_minute: 0,
        }
    }

    /// The number of requests that a window allows, if the vendor sends it.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The number of requests left in the window, if the vendor sends it: the lowest value of any response in this window.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// When the window ends, if the vendor sends it. In the past after the window has ended.
    pub fn reset_at(&self) -> Option<Timestamp> {
        self.reset_at
    }

    /// Until when this process sends no calls to the tenant, because the vendor asked for a pause: with a 429, or with a 503
    /// that says when to come back.
    pub fn closed_until(&self) -> Option<Timestamp> {
        match self.held_back {
            Some(HoldBack::RateLimited { until } | HoldBack::Outage { until }) => Some(until),
            _ => None,
        }
    }

    /// What holds calls back at the moment, and until when; `None` if calls are sent as they come.
    ///
    /// If the vendor asked for a longer pause than you believe, or the limit was raised meanwhile, `reopen_rate_limit()` of the
    /// client forgets it.
    pub fn held_back(&self) -> Option<HoldBack> {
        self.held_back
    }

    /// The number of this process's calls in flight.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The number of this process's calls that wait for the limit.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().sum()
    }

    /// The number of this process's calls with this priority that wait for the limit.
    pub fn waiting_at(&self, priority: Priority) -> usize {
        self.waiting[priority.index()]
    }

    /// The calls per minute that other integrations and processes make to the tenant. An estimate: the remaining calls fall
    /// faster than this process's own calls explain. Calls that could also be this process's own are not counted.
    pub fn others_per_minute(&self) -> u64 {
        self.others_per_minute
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_response_says_what_the_vendor_reports_and_nothing_about_this_process() {
        let headers = RateLimitHeaders { limit: Some(100), remaining: Some(7), ..RateLimitHeaders::default() };
        let snapshot = RateLimit::of_response(headers, Clock::System);
        assert_eq!((snapshot.limit(), snapshot.remaining(), snapshot.reset_at()), (Some(100), Some(7), None));
        assert_eq!((snapshot.held_back(), snapshot.in_flight(), snapshot.others_per_minute()), (None, 0, 0));
        assert_eq!((snapshot.waiting(), Priority::ALL.map(|priority| snapshot.waiting_at(priority))), (0, [0; 3]));
    }

    #[test]
    fn only_what_the_vendor_asked_for_closes_the_limit() {
        let until = Clock::System.wall_in(Duration::from_secs(60));
        for (held_back, closed_until) in [
            (Some(HoldBack::RateLimited { until }), Some(until)),
            (Some(HoldBack::Outage { until }), Some(until)),
            (Some(HoldBack::Exhausted { until }), None),
            (Some(HoldBack::LearnedRate { per_minute: 60 }), None),
            (Some(HoldBack::Probing), None),
            (None, None),
        ] {
            let none = RateLimit::of_response(RateLimitHeaders::default(), Clock::System);
            assert_eq!(RateLimit { held_back, ..none }.closed_until(), closed_until, "{held_back:?}");
        }
    }
}
