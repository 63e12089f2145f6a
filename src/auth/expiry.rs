//! When to refresh a token: pure arithmetic on its lifetime.

use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use super::token_set::TokenSet;

/// A token with less than this left is not sent any more; a token with a shorter lifetime keeps a tenth of it.
const EXPIRY_BUFFER: Duration = Duration::from_secs(30);
/// A refresh begins at most this long before the end.
const MAX_EARLY_REFRESH: Duration = Duration::from_secs(5 * 3600);

/// How often a client that is kept alive checks its tokens although nothing is due.
pub(super) const CHECK_INTERVAL: Duration = Duration::from_secs(3600);
/// The shortest time between two refreshes that no caller asked for.
pub(super) const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(10);
/// How long a rejected access token is remembered.
pub(super) const REJECTION_MEMORY: Duration = Duration::from_secs(600);

/// The times in the life of an access token, on both clocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expiry {
    /// From here on it is refreshed in the background.
    pub(super) refresh_at: TwoClocks,
    /// From here on callers wait for the new one.
    pub(super) expires_at: TwoClocks,
}

/// A time on the monotonic clock and on the wall clock. The monotonic clock stands still while a machine sleeps, and the wall
/// clock can be set; so whichever of them comes first counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TwoClocks {
    pub(super) at: Instant,
    pub(super) wall: SystemTime,
}

/// When this client was granted tokens, on both clocks. Storing them takes time, in which the wall clock can be set.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    /// The fingerprint of the access token.
    access: u64,
    pub(super) at: Instant,
    pub(super) wall: Timestamp,
}

impl Arrival {
    pub(super) fn new(tokens: &TokenSet, at: Instant, wall: Timestamp) -> Self {
        Self { access: tokens.access_fingerprint(), at, wall }
    }

    pub(super) fn is_of(&self, tokens: &TokenSet) -> bool {
        self.access == tokens.access_fingerprint()
    }
}

/// What a token is good for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// Valid, and nothing to do.
    Fresh,
    /// Valid, and it is time to refresh it.
    Stale,
    /// Expired by the wall clock alone, which may be wrong: it serves if a refresh fails.
    Doubtful,
    /// Not to be sent.
    Expired,
}

impl TwoClocks {
    pub(super) fn new(now: Instant, wall: Timestamp, ahead: Duration) -> Self {
        let later = SignedDuration::try_from(ahead).ok().and_then(|ahead| wall.checked_add(ahead).ok());
        Self { at: now + ahead, wall: later.unwrap_or(Timestamp::MAX).into() }
    }

    pub(super) fn is_past(self, now: Instant, wall: SystemTime) -> bool {
        self.at <= now || self.wall <= wall
    }
}

impl Expiry {
    /// The expiry of a token that was granted, or found in a store, at this time; `None` if it is not known. `jitter`, from 0
    /// to 1, spreads the processes that share a tenant.
    pub(super) fn of(tokens: &TokenSet, now: Instant, wall: Timestamp, jitter: f64) -> Option<Self> {
        let expires_at = tokens.access_expires_at()?;
        let span = |from| Duration::try_from(expires_at.duration_since(from)).unwrap_or_default();
        let left = span(wall);
        let whole = tokens.obtained_at().map_or(left, span);
        // However the wall clock was set since the tokens were stored, no token lives longer than it did at first.
        Some(Self::new(now, wall, left.min(whole), whole, jitter))
    }

    /// The expiry of a token that has `left` of its `whole` lifetime: all of it if it was just granted, less if it was found in
    /// a store.
    fn new(now: Instant, wall: Timestamp, left: Duration, whole: Duration, jitter: f64) -> Self {
        let early = (whole / 5).min(MAX_EARLY_REFRESH).mul_f64(1.0 - jitter.clamp(0.0, 1.0) / 4.0);
        let buffer = EXPIRY_BUFFER.min(whole / 10);
        Self {
            refresh_at: TwoClocks::new(now, wall, left.saturating_sub(early)),
            expires_at: TwoClocks::new(now, wall, left.saturating_sub(buffer)),
        }
    }

    pub(super) fn stage(&self, now: Instant, wall: SystemTime) -> Stage {
        if now >= self.expires_at.at {
            Stage::Expired
        } else if wall >= self.expires_at.wall {
            Stage::Doubtful
        } else if self.refresh_at.is_past(now, wall) {
            Stage::Stale
        } else {
            Stage::Fresh
        }
    }
}

/// The pause after `failures` refreshes in a row that failed while the token was valid: 30 s, doubling to 5 min.
pub(super) fn pause(failures: u32) -> Duration {
    doubling(Duration::from_secs(30), failures, Duration::from_secs(300))
}

/// How long a failure is returned to callers that come after it if there is no valid token, so that a burst of callers makes
/// one token request and not one each: 1 s, doubling to 30 s.
pub(super) fn hold(failures: u32) -> Duration {
    doubling(Duration::from_secs(1), failures, Duration::from_secs(30))
}

fn doubling(first: Duration, failures: u32, longest: Duration) -> Duration {
    first.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(longest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(3600);

    const WALL: Timestamp = Timestamp::UNIX_EPOCH;

    fn expiry(left: Duration, whole: Duration) -> (Instant, Expiry) {
        let now = Instant::now();
        (now, Expiry::new(now, WALL, left, whole, 0.0))
    }

    fn stage_at(expiry: &Expiry, now: Instant, wall: Timestamp) -> Stage {
        expiry.stage(now, wall.into())
    }

    fn wall(after: Duration) -> Timestamp {
        WALL + SignedDuration::try_from(after).unwrap()
    }

    #[test]
    fn a_token_of_48_hours_is_refreshed_in_its_last_five() {
        let (now, expiry) = expiry(48 * HOUR, 48 * HOUR);
        assert_eq!(expiry.refresh_at.at - now, 43 * HOUR);
        assert_eq!(expiry.expires_at.at - now, 48 * HOUR - Duration::from_secs(30));
        for (hours, stage) in [(42, Stage::Fresh), (43, Stage::Stale), (48, Stage::Expired)] {
            assert_eq!(stage_at(&expiry, now + hours * HOUR, wall(hours * HOUR)), stage);
        }
    }

    #[test]
    fn a_token_of_an_hour_is_refreshed_in_its_last_fifth() {
        let (now, expiry) = expiry(HOUR, HOUR);
        assert_eq!(expiry.refresh_at.at - now, 48 * HOUR / 60);
    }

    #[test]
    fn a_token_of_a_minute_keeps_a_tenth_as_its_buffer() {
        let (now, expiry) = expiry(60 * SECOND, 60 * SECOND);
        assert_eq!((expiry.refresh_at.at - now, expiry.expires_at.at - now), (48 * SECOND, 54 * SECOND));
    }

    #[test]
    fn a_token_that_is_found_in_its_last_fifth_is_stale_and_keeps_its_whole_buffer() {
        let (now, life) = expiry(10 * 60 * SECOND, HOUR);
        assert_eq!((stage_at(&life, now, WALL), life.expires_at.at - now), (Stage::Stale, 570 * SECOND));
        let (now, life) = expiry(29 * SECOND, HOUR);
        assert_eq!(stage_at(&life, now, WALL), Stage::Expired);
    }

    #[test]
    fn a_machine_that_slept_finds_its_token_stale_or_doubtful_although_the_monotonic_clock_stood_still() {
        let (now, expiry) = expiry(HOUR, HOUR);
        for (slept, stage) in [(47 * 60, Stage::Fresh), (48 * 60, Stage::Stale), (3570, Stage::Doubtful)] {
            assert_eq!(stage_at(&expiry, now, wall(slept * SECOND)), stage);
        }
    }

    #[test]
    fn a_wall_clock_that_was_set_back_puts_nothing_off() {
        let (now, expiry) = expiry(HOUR, HOUR);
        let earlier = WALL - SignedDuration::from_hours(1000);
        assert_eq!(stage_at(&expiry, now + 48 * 60 * SECOND, earlier), Stage::Stale);
        assert_eq!(stage_at(&expiry, now + HOUR, earlier), Stage::Expired);
    }

    #[test]
    fn a_wall_clock_that_was_set_back_gives_stored_tokens_no_longer_life() {
        let granted = wall(100 * HOUR);
        let tokens = TokenSet::new("a").with_obtained_at(granted).with_access_expires_at(wall(101 * HOUR));
        let now = Instant::now();
        let expiry = Expiry::of(&tokens, now, wall(90 * HOUR), 0.0).unwrap();
        assert_eq!(expiry.expires_at.at - now, HOUR - 30 * SECOND);
    }

    #[test]
    fn failures_are_spaced_from_30_seconds_to_5_minutes() {
        let pauses: Vec<u64> = (1..=6).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(pauses, [30, 60, 120, 240, 300, 300]);
        assert_eq!(pause(u32::MAX).as_secs(), 300);
    }

    #[test]
    fn a_failure_answers_later_callers_from_a_second_to_half_a_minute() {
        let holds: Vec<u64> = (1..=7).map(|failures| hold(failures).as_secs()).collect();
        assert_eq!(holds, [1, 2, 4, 8, 16, 30, 30]);
    }

    proptest! {
        #[test]
        fn a_token_becomes_stale_before_it_expires_and_never_before_its_last_fifth(seconds in 0_u64..10_000_000, spent in 0.0_f64..=1.0, jitter in 0.0_f64..=1.0) {
            let now = Instant::now();
            let whole = Duration::from_secs(seconds);
            let left = whole.mul_f64(spent);
            let expiry = Expiry::new(now, WALL, left, whole, jitter);
            let (refresh_at, expires_at) = (expiry.refresh_at.at, expiry.expires_at.at);
            prop_assert!(refresh_at <= expires_at && expires_at <= now + left);
            prop_assert!(refresh_at + whole / 5 >= now + left);
        }
    }
}
