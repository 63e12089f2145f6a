//! The only place that reads time or sleeps.
//!
//! Waits run on tokio's clock, which a test can pause. Wall time is needed where a vendor or a person names a date: a
//! token's expiry, a reset as an epoch. In a simulation it follows the paused clock.

use std::future::Future;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The system's own clock.
    System,
    /// Wall time that advances with tokio's clock from a fixed moment.
    #[cfg(feature = "testing")]
    Anchored { wall: Timestamp, at: Instant },
}

impl Clock {
    #[cfg(feature = "testing")]
    pub(crate) fn anchored(wall: Timestamp) -> Self {
        Self::Anchored { wall, at: Instant::now() }
    }

    /// Monotonic time: what waits and timeouts are measured on.
    pub(crate) fn now(self) -> Instant {
        Instant::now()
    }

    /// Wall time: what vendors, people and stores speak.
    pub(crate) fn wall(self) -> Timestamp {
        match self {
            Self::System => wall_now(),
            #[cfg(feature = "testing")]
            Self::Anchored { wall, at } => after(wall, at.elapsed()),
        }
    }

    /// The wall time at a moment of the monotonic clock.
    pub(crate) fn wall_at(self, moment: Instant) -> Timestamp {
        let now = self.now();
        let wall = self.wall();
        match moment.checked_duration_since(now) {
            Some(ahead) => after(wall, ahead),
            None => wall
                .checked_sub(SignedDuration::try_from(now - moment).unwrap_or(SignedDuration::MAX))
                .unwrap_or(Timestamp::MIN),
        }
    }

    /// The wall time `ahead` of now.
    pub(crate) fn wall_in(self, ahead: Duration) -> Timestamp {
        after(self.wall(), ahead)
    }

    /// Waits for `event`, at most until `moment`.
    pub(crate) async fn within<T>(self, event: impl Future<Output = T>, moment: Instant) -> Option<T> {
        tokio::time::timeout_at(moment, event).await.ok()
    }

    pub(crate) fn sleep_until(self, moment: Instant) -> impl Future<Output = ()> + Send {
        tokio::time::sleep_until(moment)
    }
}

/// The system's wall time.
#[expect(clippy::disallowed_methods, reason = "the one place that reads it")]
pub(crate) fn wall_now() -> Timestamp {
    Timestamp::now()
}

fn after(wall: Timestamp, elapsed: Duration) -> Timestamp {
    SignedDuration::try_from(elapsed).ok().and_then(|elapsed| wall.checked_add(elapsed).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn anchored_wall_time_advances_with_the_paused_clock() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::anchored(start);
        clock.sleep_until(clock.now() + Duration::from_secs(3600)).await;
        assert_eq!(clock.wall().to_string(), "2026-01-01T01:00:00Z");
    }

    #[tokio::test(start_paused = true)]
    async fn a_moment_ahead_or_behind_maps_to_its_wall_time() {
        let clock = Clock::anchored("2026-01-01T00:00:00Z".parse().unwrap());
        let begin = clock.now();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(clock.wall_at(begin).to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(clock.wall_at(begin + Duration::from_secs(60)).to_string(), "2026-01-01T00:01:00Z");
    }
}
