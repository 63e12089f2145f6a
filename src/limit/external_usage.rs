//! What other integrations and processes use of the tenant's rate limit.
//!
//! No vendor reports it. It shows in the remaining calls, which fall faster than our own calls explain.

use std::time::Duration;

use tokio::time::Instant;

/// The shortest time that a rate is taken over: what is used at once is not used for ever.
const MOMENT: Duration = Duration::from_millis(100);

/// How fast others use the limit.
#[derive(Debug, Default)]
pub(super) struct ExternalUsage {
    /// Calls a second in the windows before this one: what was seen in each counts half of what is known after it.
    before: f64,
    /// Calls of this window that were not ours, for certain.
    seen: u64,
    /// Since when, and until when, they were counted.
    span: Option<(Instant, Instant)>,
}

impl ExternalUsage {
    /// A new window began at `now`.
    pub(super) fn turn(&mut self, now: Instant) {
        if let Some((since, until)) = self.span {
            let seen = self.seen as f64 / (until - since).max(MOMENT).as_secs_f64();
            self.before = (self.before + seen) / 2.0;
        }
        self.seen = 0;
        self.span = Some((now, now));
    }

    /// So many calls of this window are not ours; says whether that is news.
    pub(super) fn see(&mut self, unexplained: u64, now: Instant) -> bool {
        if let Some((_, until)) = &mut self.span {
            *until = now;
        }
        let more = unexplained > self.seen;
        self.seen = self.seen.max(unexplained);
        more
    }

    /// Calls a second.
    pub(super) fn rate(&self) -> f64 {
        // Until there is something to see, what was before goes on.
        let seen = self
            .span
            .filter(|_| self.seen > 0)
            .map_or(0.0, |(since, until)| self.seen as f64 / (until - since).max(MOMENT).as_secs_f64());
        seen.max(self.before)
    }

    /// When it was last known how much others had used.
    fn last_report(&self) -> Option<Instant> {
        self.span.map(|(_, until)| until)
    }

    /// What they are likely to use in `time`: what they do on average, and on top of it two standard deviations of
    /// what comes at random.
    pub(super) fn within(&self, time: Duration) -> u64 {
        let expected = self.rate() * time.as_secs_f64();
        (expected + 2.0 * expected.sqrt()) as u64
    }

    /// What they are likely to have used since the last response.
    pub(super) fn since_report(&self, now: Instant) -> u64 {
        let silent = self.last_report().map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        (self.rate() * silent.as_secs_f64()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn without_other_users_there_is_no_margin() {
        let now = Instant::now();
        let mut usage = ExternalUsage::default();
        usage.turn(now);
        assert!(!usage.see(0, now + SECOND));
        assert_eq!((usage.rate(), usage.within(SECOND), usage.since_report(now + 9 * SECOND)), (0.0, 0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn what_others_use_becomes_a_rate_and_a_margin() {
        let now = Instant::now();
        let mut usage = ExternalUsage::default();
        usage.turn(now);
        assert!(usage.see(20, now + 2 * SECOND));
        assert_eq!(usage.rate(), 10.0);
        assert_eq!(usage.within(SECOND / 10), 3, "one is expected, and two deviations of it are added");
        assert_eq!(usage.since_report(now + 5 * SECOND), 30);
        assert!(!usage.see(12, now + 2 * SECOND), "what an older response says is no news");
    }

    #[tokio::test(start_paused = true)]
    async fn the_rate_outlives_the_window_and_fades_with_those_that_follow() {
        let now = Instant::now();
        let mut usage = ExternalUsage::default();
        usage.turn(now);
        usage.see(20, now + 2 * SECOND);
        for window in 1..=3 {
            usage.turn(now + 2 * SECOND * window);
            usage.see(0, now + 2 * SECOND * window + SECOND);
        }
        assert_eq!(usage.rate(), 1.25);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_used_at_once_counts_as_used_in_a_tenth_of_a_second() {
        let now = Instant::now();
        let mut usage = ExternalUsage::default();
        assert!(usage.see(3, now), "no window is known to have begun");
        assert_eq!((usage.rate(), usage.since_report(now + SECOND)), (0.0, 0));
        usage.turn(now);
        assert!(usage.see(5, now));
        assert_eq!(usage.rate(), 50.0);
        assert!(!usage.see(5, now + SECOND), "it was known");
        assert_eq!((usage.rate(), usage.since_report(now + 3 * SECOND)), (5.0, 10));
        usage.turn(now + 2 * SECOND);
        assert_eq!((usage.rate(), usage.since_report(now + 3 * SECOND)), (2.5, 2), "half of what is known from now on");
        usage.see(1, now + 3 * SECOND);
        assert_eq!(usage.rate(), 2.5, "what was before goes on until more is seen");
        usage.turn(now + 3 * SECOND);
        assert_eq!(usage.rate(), 1.75);
    }
}
