//! How far the vendor's clock is ahead of ours, from the dates of its responses.
//!
//! A date is in whole seconds and as old as the response's travel time, so it is never later than the vendor's clock. The
//! latest of many is close to it. Reading a reset by this clock is never too early, and late by little.

use jiff::{SignedDuration, Timestamp};

/// After so many responses without a later date the estimate is made anew: clocks drift, and are set.
const RESPONSES: u32 = 64;
/// A clock that falls back by more than this was set.
const SET: SignedDuration = SignedDuration::from_secs(30);

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct VendorClock {
    /// How far it is ahead, at least.
    ahead: Option<SignedDuration>,
    /// The same in the responses since the estimate was made.
    since: Option<SignedDuration>,
    responses: u32,
}

impl VendorClock {
    /// The vendor's time now, as a response with this date says that arrives now.
    pub(super) fn now(&mut self, date: Timestamp, wall: Timestamp) -> Timestamp {
        let ahead = date.duration_since(wall);
        let known = self.ahead.filter(|known| ahead + SET > *known);
        self.since = known.and(self.since).max(Some(ahead));
        self.responses = if known.is_some() { self.responses + 1 } else { 0 };
        self.ahead = known.max(Some(ahead));
        if self.responses >= RESPONSES {
            *self = Self { ahead: self.since, since: None, responses: 0 };
        }
        self.ahead.and_then(|ahead| wall.checked_add(ahead).ok()).unwrap_or(date)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_767_225_600_000 + millis).expect("in range")
    }

    /// A date in whole seconds, of a clock that is ahead by so many milliseconds.
    fn date(wall: i64, ahead: i64, travel: i64) -> Timestamp {
        Timestamp::from_second(at(wall + ahead - travel).as_second()).expect("in range")
    }

    #[test]
    fn dates_in_whole_seconds_show_the_clock_exactly_and_never_too_late() {
        for ahead in [-86_400_000, -700, 0, 300, 86_400_000] {
            let mut clock = VendorClock::default();
            let mut now = at(0);
            for wall in (0..3000).step_by(70) {
                now = clock.now(date(wall, ahead, 30), at(wall));
                assert!(now <= at(wall + ahead), "too late by {}", now.duration_since(at(wall + ahead)));
            }
            let behind = at(2940 + ahead).duration_since(now).as_millis();
            assert!(behind <= 110, "{behind} ms behind");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_is_followed_at_once_or_after_some_responses() {
        for (jump, responses) in [(3_600_000, 1), (2_000, 129)] {
            let mut clock = VendorClock::default();
            clock.now(date(0, 0, 0), at(0));
            let mut now = at(0);
            for response in 0..responses {
                now = clock.now(date(response * 100, -jump, 0), at(response * 100));
            }
            assert!(now <= at(responses * 100 - jump), "a jump of {jump} ms");
        }
    }

    #[test]
    fn the_estimate_is_made_anew_after_two_times_64_responses_or_if_the_clock_was_set_back_by_half_a_minute() {
        for (behind, responses, is_followed) in
            [(1000, 127, false), (1000, 128, true), (29_999, 1, false), (30_000, 1, true)]
        {
            let mut clock = VendorClock::default();
            assert_eq!(clock.now(at(0), at(0)), at(0));
            let mut now = at(0);
            for _ in 0..responses {
                now = clock.now(at(-behind), at(0));
            }
            assert_eq!(now, at(if is_followed { -behind } else { 0 }), "{behind} {responses}");
        }
    }
}
