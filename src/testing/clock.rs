//! The time a tenant lives in.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells a tenant the time: the wall clock at its start plus what tokio's clock has run since, so that a tenant in
/// memory follows paused time.
#[derive(Clone)]
pub(crate) struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub(crate) fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub(crate) fn starting_now() -> Self {
        let wall = crate::clock::wall_now();
        let start = Instant::now();
        Self::new(move || shifted(wall, SignedDuration::try_from(start.elapsed()).unwrap_or(SignedDuration::MAX)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Clock").field(&self.now()).finish()
    }
}

/// A time moved by a duration, held inside what a timestamp can express.
pub(crate) fn shifted(time: Timestamp, by: SignedDuration) -> Timestamp {
    let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
    time.checked_add(by).unwrap_or(end)
}

/// The last whole second at or before a time.
pub(crate) fn whole_second(time: Timestamp) -> Timestamp {
    let second = if time.subsec_nanosecond() < 0 { time.as_second() - 1 } else { time.as_second() };
    Timestamp::from_second(second).unwrap_or(time)
}

/// The first whole second at or after a time.
pub(crate) fn rounded_up(time: Timestamp) -> Timestamp {
    let second = whole_second(time);
    if second == time { time } else { shifted(second, SignedDuration::from_secs(1)) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_follows_paused_time() {
        let clock = Clock::starting_now();
        let before = clock.now();

        tokio::time::advance(Duration::from_secs(86_400)).await;

        assert_eq!(clock.now().duration_since(before), SignedDuration::from_hours(24));
    }

    #[test]
    fn a_shift_beyond_the_calendar_stops_at_its_end() {
        assert_eq!(shifted(Timestamp::UNIX_EPOCH, SignedDuration::MAX), Timestamp::MAX);
        assert_eq!(shifted(Timestamp::UNIX_EPOCH, SignedDuration::MIN), Timestamp::MIN);
    }

    #[test]
    fn whole_seconds_enclose_the_time_between_them() {
        for (time, before, after) in [(1_500, 1, 2), (1_000, 1, 1), (-500, -1, 0), (0, 0, 0)] {
            let time = Timestamp::from_millisecond(time).expect("in range");
            assert_eq!(whole_second(time).as_second(), before, "{time}");
            assert_eq!(rounded_up(time).as_second(), after, "{time}");
        }
    }
}
