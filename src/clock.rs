//! The clock: the only place that reads the time or sleeps.
//!
//! Waits run on tokio's monotonic clock, which a test can pause. Wall time serves what vendors and people state as a date: the
//! expiry of a token, the reset of a rate limit. In a simulation it follows the paused clock.

use std::future::Future;
#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime};

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// A duration that is practically infinite, and can still be added to an instant.
pub(crate) const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

#[derive(Clone, Copy, Debug)]
pub(crate) enum Clock {
    /// The system's clock.
    System,
    /// A wall clock that advances with tokio's clock.
    #[cfg(feature = "testing")]
    Anchored(WallClock),
}

/// A wall clock for simulations. It starts at a fixed time, advances with tokio's clock, and can be set forward and back like
/// the clock of a machine. Copies share its state.
///
/// # Example
///
/// ```
/// use jiff::{SignedDuration, Timestamp};
/// use servicebay::testing::WallClock;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let clock = WallClock::starting_at(Timestamp::UNIX_EPOCH);
/// clock.jump(SignedDuration::from_hours(-2));
/// tokio::time::advance(std::time::Duration::from_secs(60)).await;
/// assert_eq!(clock.now().to_string(), "1969-12-31T22:01:00Z");
/// # }
/// ```
#[cfg(feature = "testing")]
#[derive(Clone, Copy, Debug)]
pub struct WallClock {
    start: Timestamp,
    at: Instant,
    /// The sum of the jumps, in milliseconds.
    jumps: &'static AtomicI64,
}

#[cfg(feature = "testing")]
impl WallClock {
    /// A clock that shows `start` now. Its state is never freed: make few of them.
    #[must_use]
    pub fn starting_at(start: Timestamp) -> Self {
        Self { jumps: Box::leak(Box::default()), ..Self::steady(start) }
    }

    /// A clock that never jumps.
    pub(crate) fn steady(start: Timestamp) -> Self {
        static NONE: AtomicI64 = AtomicI64::new(0);
        Self { start, at: Instant::now(), jumps: &NONE }
    }

    /// Sets the clock forward, or back if the duration is negative. Tokio's clock does not change.
    pub fn jump(&self, by: SignedDuration) {
        self.jumps.fetch_add(i64::try_from(by.as_millis()).unwrap_or_default(), Ordering::Relaxed);
    }

    /// The time that the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let wall = after(self.start, self.at.elapsed());
        let jumps = SignedDuration::from_millis(self.jumps.load(Ordering::Relaxed));
        let end = if jumps.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
        wall.checked_add(jumps).unwrap_or(end)
    }
}

impl Clock {
    /// Monotonic time, for waits and timeouts.
    pub(crate) fn now(self) -> Instant {
        Instant::now()
    }

    /// Wall time, for vendors, people and token stores.
    pub(crate) fn wall(self) -> Timestamp {
        match self {
            Self::System => wall_now(),
            #[cfg(feature = "testing")]
            Self::Anchored(clock) => clock.now(),
        }
    }

    /// Wall time as the system counts it, for the comparison that every call makes: it costs less than a [`Timestamp`].
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
    pub(crate) fn system_time(self) -> SystemTime {
        match self {
            Self::System => SystemTime::now(),
            #[cfg(feature = "testing")]
            Self::Anchored(clock) => clock.now().into(),
        }
    }

    /// The wall time at an instant of the monotonic clock.
    pub(crate) fn wall_at(self, instant: Instant) -> Timestamp {
        let now = self.now();
        let wall = self.wall();
        match instant.checked_duration_since(now) {
            Some(ahead) => after(wall, ahead),
            None => wall
                .checked_sub(SignedDuration::try_from(now - instant).unwrap_or(SignedDuration::MAX))
                .unwrap_or(Timestamp::MIN),
        }
    }

    /// The wall time after `ahead` has passed.
    pub(crate) fn wall_in(self, ahead: Duration) -> Timestamp {
        after(self.wall(), ahead)
    }

    /// Awaits a future, at most until `deadline`. `None` if it takes longer.
    pub(crate) async fn within<T>(self, future: impl Future<Output = T>, deadline: Instant) -> Option<T> {
        tokio::time::timeout_at(deadline, future).await.ok()
    }

    pub(crate) fn sleep_until(self, deadline: Instant) -> impl Future<Output = ()> + Send {
        tokio::time::sleep_until(deadline)
    }
}

/// The system's wall time.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the time")]
pub(crate) fn wall_now() -> Timestamp {
    Timestamp::now()
}

fn after(wall: Timestamp, elapsed: Duration) -> Timestamp {
    SignedDuration::try_from(elapsed).ok().and_then(|elapsed| wall.checked_add(elapsed).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anchored(wall: Timestamp) -> Clock {
        Clock::Anchored(WallClock::steady(wall))
    }

    #[tokio::test(start_paused = true)]
    async fn anchored_wall_time_advances_with_the_paused_clock() {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = anchored(start);
        clock.sleep_until(clock.now() + Duration::from_secs(3600)).await;
        assert_eq!(clock.wall().to_string(), "2026-01-01T01:00:00Z");
        assert_eq!(clock.system_time(), clock.wall().into());
    }

    #[tokio::test(start_paused = true)]
    async fn a_wall_clock_jumps_forward_and_back_and_the_monotonic_clock_does_not() {
        let wall = WallClock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let (clock, other) = (Clock::Anchored(wall), anchored(wall.now()));
        let begin = clock.now();
        wall.jump(SignedDuration::from_hours(24));
        assert_eq!(clock.wall().to_string(), "2026-01-02T00:00:00Z");
        wall.jump(SignedDuration::from_hours(-25));
        assert_eq!(clock.wall().to_string(), "2025-12-31T23:00:00Z");
        assert_eq!(other.wall().to_string(), "2026-01-01T00:00:00Z", "another clock does not jump");
        assert_eq!(clock.now(), begin);
    }

    #[tokio::test(start_paused = true)]
    async fn a_future_or_past_instant_maps_to_its_wall_time() {
        let clock = anchored("2026-01-01T00:00:00Z".parse().unwrap());
        let begin = clock.now();
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(clock.wall_at(begin).to_string(), "2026-01-01T00:00:00Z");
        assert_eq!(clock.wall_at(begin + Duration::from_secs(60)).to_string(), "2026-01-01T00:01:00Z");
    }
}
