//! When to refresh a token: pure arithmetic on its lifetime.

use std::time::Duration;

use tokio::time::Instant;

/// A token with less than this left is not sent any more; a token of a shorter life keeps a tenth of it.
const HARD: Duration = Duration::from_secs(30);
/// Renewal begins at most this long before the end.
const SOFT: Duration = Duration::from_secs(5 * 3600);

/// How often a client that is kept alive looks at its tokens, though nothing is due.
pub(super) const LOOK: Duration = Duration::from_secs(3600);
/// The least between two renewals that nobody asked for.
pub(super) const BREATH: Duration = Duration::from_secs(10);
/// How long a refused token is remembered.
pub(super) const FORGOTTEN: Duration = Duration::from_secs(600);

/// The moments in the life of a token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expiry {
    /// From here on it is renewed in the background.
    pub(super) soft: Instant,
    /// From here on callers wait for the new one.
    pub(super) hard: Instant,
}

/// What a token is good for now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stage {
    /// Good, and nothing to do.
    Fresh,
    /// Good, and it is time to renew it.
    Stale,
    /// Not to be sent.
    Expired,
}

impl Expiry {
    /// The life of a token that has `left` of its `whole` life to live: all of it where it was just granted, less where it
    /// was found in a store. `luck`, from 0 to 1, spreads the processes that share a tenant.
    pub(super) fn new(now: Instant, left: Duration, whole: Duration, luck: f64) -> Self {
        let soft = (whole / 5).min(SOFT).mul_f64(1.0 - luck.clamp(0.0, 1.0) / 4.0);
        let hard = HARD.min(whole / 10);
        Self { soft: now + left.saturating_sub(soft), hard: now + left.saturating_sub(hard) }
    }

    pub(super) fn stage(&self, now: Instant) -> Stage {
        if now < self.soft {
            Stage::Fresh
        } else if now < self.hard {
            Stage::Stale
        } else {
            Stage::Expired
        }
    }
}

/// The pause after `failures` renewals in a row that failed while the token lives: 30 s, doubling to 5 min.
pub(super) fn pause(failures: u32) -> Duration {
    doubling(Duration::from_secs(30), failures, Duration::from_secs(300))
}

/// How long a failure answers the callers that come after it, where no token lives: a burst of callers makes one token
/// request, not one each. 1 s, doubling to 30 s.
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

    #[tokio::test(start_paused = true)]
    async fn a_token_of_48_hours_is_renewed_in_its_last_five() {
        let now = Instant::now();
        let life = Expiry::new(now, 48 * HOUR, 48 * HOUR, 0.0);
        assert_eq!(life.soft - now, 43 * HOUR);
        assert_eq!(life.hard - now, 48 * HOUR - Duration::from_secs(30));
        assert_eq!(life.stage(now + 42 * HOUR), Stage::Fresh);
        assert_eq!(life.stage(now + 43 * HOUR), Stage::Stale);
        assert_eq!(life.stage(now + 48 * HOUR), Stage::Expired);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_of_an_hour_is_renewed_in_its_last_fifth() {
        let now = Instant::now();
        assert_eq!(Expiry::new(now, HOUR, HOUR, 0.0).soft - now, 48 * HOUR / 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_of_a_minute_keeps_a_tenth_as_its_buffer() {
        let now = Instant::now();
        let life = Expiry::new(now, 60 * SECOND, 60 * SECOND, 0.0);
        assert_eq!((life.soft - now, life.hard - now), (Duration::from_secs(48), Duration::from_secs(54)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_found_in_its_last_fifth_is_ripe_and_keeps_its_whole_buffer() {
        let now = Instant::now();
        let life = Expiry::new(now, 10 * 60 * SECOND, HOUR, 0.0);
        assert_eq!((life.stage(now), life.hard - now), (Stage::Stale, 570 * SECOND));
        assert_eq!(Expiry::new(now, 29 * SECOND, HOUR, 0.0).stage(now), Stage::Expired);
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
        fn a_token_ripens_before_it_is_over_and_never_before_its_last_fifth(seconds in 0_u64..10_000_000, spent in 0.0_f64..=1.0, luck in 0.0_f64..=1.0) {
            let now = Instant::now();
            let whole = Duration::from_secs(seconds);
            let left = whole.mul_f64(spent);
            let life = Expiry::new(now, left, whole, luck);
            prop_assert!(life.soft <= life.hard && life.hard <= now + left);
            prop_assert!(life.soft + whole / 5 >= now + left);
        }
    }
}
