//! The clock of a mock server, and the arithmetic and formats of its times.

use std::fmt;
use std::sync::Arc;

use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Where a mock server reads the time: by default the wall clock at its start plus the time that tokio's clock has run
/// since, so that a server in memory follows a paused clock.
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

/// The time at which a request is handled, and the skew of the clock that the server shows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerTime {
    /// The true time: rate-limit windows and token expiry follow it.
    pub(crate) now: Timestamp,
    pub(crate) skew: SignedDuration,
}

impl ServerTime {
    /// The time in headers and bodies.
    pub(crate) fn shown(self) -> Timestamp {
        shifted(self.now, self.skew)
    }
}

/// A time moved by a duration, clamped to the range of a timestamp.
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

/// A time in the date format of HTTP; empty for a year that the format cannot express.
pub(crate) fn http_date(time: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
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
    fn a_shift_out_of_range_is_clamped() {
        assert_eq!(shifted(Timestamp::UNIX_EPOCH, SignedDuration::MAX), Timestamp::MAX);
        assert_eq!(shifted(Timestamp::UNIX_EPOCH, SignedDuration::MIN), Timestamp::MIN);
    }

    #[test]
    fn a_time_is_rounded_down_and_up_to_whole_seconds() {
        for (time, before, after) in [(1_500, 1, 2), (1_000, 1, 1), (-500, -1, 0), (0, 0, 0)] {
            let time = Timestamp::from_millisecond(time).expect("in range");
            assert_eq!(whole_second(time).as_second(), before, "{time}");
            assert_eq!(rounded_up(time).as_second(), after, "{time}");
        }
    }
}
