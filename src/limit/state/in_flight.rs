//! The calls in flight.

use std::time::Duration;

use tokio::time::Instant;

/// No call takes longer than this in earnest: it is what an attempt may take, unless its client says otherwise.
const LONG: Duration = Duration::from_secs(30);

/// Calls that are under way and held against what remains.
///
/// A call moves only while somebody polls it. One that nobody polls any more would hold its place for ever, though the
/// vendor counted it in a window that is long over. So a call is let go once it has been under way for longer than a call
/// takes, and for a whole window.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// Those of this span of time, and those of the one before.
    spans: [u64; 2],
    /// The number of this span.
    span: u64,
    since: Option<Instant>,
}

impl InFlight {
    /// One more is under way. Returns the number of its span.
    pub(super) fn begin(&mut self) -> u64 {
        self.spans[0] += 1;
        self.span
    }

    /// One of this span has ended; harmless when it was let go.
    pub(super) fn end(&mut self, span: u64) {
        let age = usize::try_from(self.span - span).unwrap_or(usize::MAX);
        if let Some(count) = self.spans.get_mut(age) {
            *count -= 1;
        }
    }

    /// Lets those go that have been under way for too long, where a window is so long.
    pub(super) fn pass_time(&mut self, window: Duration, now: Instant) {
        let since = *self.since.get_or_insert(now);
        if now >= since + LONG.max(window) {
            self.spans = [0, self.spans[0]];
            self.span += 1;
            self.since = Some(now);
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.spans[0] + self.spans[1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn a_call_is_held_against_what_remains_for_a_window_at_least_and_for_two_at_most() {
        let now = Instant::now();
        let mut underway = InFlight::default();
        underway.pass_time(MINUTE, now);
        let first = underway.begin();
        underway.pass_time(MINUTE, now + MINUTE);
        let second = underway.begin();
        underway.pass_time(MINUTE, now + MINUTE * 3 / 2);
        assert_eq!(underway.count(), 2);
        underway.pass_time(MINUTE, now + MINUTE * 2);
        assert_eq!(underway.count(), 1);
        underway.end(first);
        underway.end(second);
        assert_eq!(underway.count(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_after_a_long_rest_and_one_in_a_short_window_have_their_time() {
        let now = Instant::now();
        let mut underway = InFlight::default();
        underway.pass_time(Duration::ZERO, now);
        underway.begin();
        for seconds in [3600, 3601, 3629] {
            underway.pass_time(Duration::from_secs(1), now + Duration::from_secs(seconds));
            assert_eq!(underway.count(), 1);
        }
    }
}
