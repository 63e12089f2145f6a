//! How long the vendor's windows are, which few vendors say.

use std::time::Duration;

use tokio::time::Instant;

/// How many turns of a window are remembered.
const TURNS: usize = 4;

/// Resets are whole seconds, rounded up.
const ROUNDING: Duration = Duration::from_secs(1);

/// After so many reports without a jump of the reset, windows slide, and the longest time to a reset is their length.
const REPORTS: u32 = 16;

/// What is known of the length of a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct WindowLength {
    /// As the vendor's policy says.
    policy: Option<Duration>,
    /// The latest reset that was reported.
    reset_at: Option<Instant>,
    /// How many were reported.
    reports: u32,
    /// The last times at which the reset moved on to another window.
    turns: [Option<ResetChange>; TURNS],
    /// The longest time to a reset that was reported since the last of them.
    longest: Option<Duration>,
}

/// The reset moved on to another window.
#[derive(Clone, Copy, Debug)]
struct ResetChange {
    /// How far.
    apart: Duration,
    /// The longest time to a reset that was reported in the window before.
    longest: Duration,
}

impl WindowLength {
    /// A response reported its reset. It may lie before the response's arrival, while `ahead` is the time that was left.
    pub(super) fn on_reset(&mut self, reset_at: Instant, ahead: Duration) {
        self.longest = self.longest.max(Some(ahead));
        self.reports = self.reports.saturating_add(1);
        let apart = self.reset_at.map_or(Duration::ZERO, |last| reset_at.saturating_duration_since(last));
        self.reset_at = self.reset_at.max(Some(reset_at));
        // A reset that moves on by less belongs to the same window, or to one that slides.
        let longest = self.longest().unwrap_or_default();
        if !apart.is_zero() && apart >= longest / 2 {
            self.turns.rotate_right(1);
            self.turns[0] = Some(ResetChange { apart, longest: self.longest.unwrap_or_default() });
            self.longest = Some(ahead);
        }
    }

    /// The longest time to a reset that was reported in the last windows: at most the length of one, but for its rounding.
    fn longest(&self) -> Option<Duration> {
        let before = self.turns.iter().flatten().map(|turn| turn.longest);
        before.chain(self.longest).max()
    }

    pub(super) fn on_policy(&mut self, window: Option<Duration>) {
        self.policy = window.filter(|window| !window.is_zero()).or(self.policy);
    }

    /// The length, if it is known: as the policy says, or else the second shortest time between two resets. Longer ones may
    /// contain windows without calls, and the shortest may come from a reset that was rounded. One that is shorter than a time
    /// to a reset comes from a bucket that is refilled, and is no length.
    pub(super) fn get(&self) -> Option<Duration> {
        let longest = self.longest();
        let mut turns = self.turns.map(|turn| turn.map(|turn| turn.apart));
        turns.sort_unstable();
        let mut turns = turns.into_iter().flatten().filter(|apart| Some(*apart + ROUNDING) >= longest);
        let (shortest, second) = (turns.next(), turns.next());
        let sliding = longest.filter(|_| self.reports >= REPORTS);
        self.policy.or(second).or(shortest).or(sliding)
    }

    /// The length, or else the longest time to a reset that was reported.
    pub(super) fn get_or_longest(&self) -> Option<Duration> {
        self.get().or_else(|| self.longest())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn length(reports: impl IntoIterator<Item = (u64, u64)>) -> WindowLength {
        let now = Instant::now();
        let mut length = WindowLength::default();
        for (at, left) in reports {
            length.on_reset(now + SECOND * u32::try_from(at + left).unwrap(), SECOND * u32::try_from(left).unwrap());
        }
        length
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_between_two_resets_is_the_length() {
        assert_eq!(length([(0, 60), (10, 50)]).get(), None);
        assert_eq!(length([(0, 60), (10, 50)]).get_or_longest(), Some(60 * SECOND));
        assert_eq!(length([(50, 10), (60, 60)]).get(), Some(60 * SECOND));
        assert_eq!(length([(0, 60), (180, 60), (240, 60), (300, 60)]).get(), Some(60 * SECOND), "after a break");
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_that_moves_on_with_each_call_is_of_a_window_that_slides() {
        assert_eq!(length((0..100).map(|at| (at, 60))).get(), Some(60 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn the_resets_of_a_bucket_that_fills_up_are_no_windows() {
        let filled = |from: u64| (0..20).map(move |call| (from, 1 + call * 3));
        assert_eq!(length(filled(0)).get(), Some(58 * SECOND));
        assert_eq!(length(filled(0).chain(filled(60)).chain(filled(120))).get(), Some(58 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_that_shortens_its_windows_is_followed() {
        let windows = |from: u64, length: u64| (0..6).map(move |window| (from + window * length, length));
        assert_eq!(length(windows(0, 60).chain(windows(360, 40))).get(), Some(40 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn the_vendors_policy_counts_more_than_what_is_seen() {
        let mut length = length([(0, 60), (60, 60)]);
        length.on_policy(Some(30 * SECOND));
        length.on_policy(None);
        length.on_policy(Some(Duration::ZERO));
        assert_eq!(length.get(), Some(30 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reset_that_moves_on_by_half_of_the_longest_time_to_one_belongs_to_another_window() {
        assert_eq!(length([(0, 60), (30, 59)]).get(), None);
        assert_eq!(length([(0, 60), (30, 60)]).get(), None, "it is too short for a length");
        assert_eq!(length([(0, 10), (4, 10)]).get(), None);
        assert_eq!(length([(0, 1), (1, 1)]).get(), Some(SECOND));
        assert_eq!(length([(0, 2), (1, 2)]).get(), Some(SECOND), "half of it exactly");
        let wandering = [(50, 10), (60, 60), (61, 60), (62, 60), (63, 60), (64, 60)];
        assert_eq!(length(wandering).get(), Some(60 * SECOND), "resets that wander by a second hide no turn");
        assert_eq!(length([(0, 10), (0, 10)]).get(), None, "the same one");
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_shortest_of_the_last_four_times_counts() {
        let resets = |apart: &[u64]| {
            let mut at = 0;
            let mut reports = vec![(0, 10)];
            for apart in apart {
                at += apart;
                reports.push((at, 10));
            }
            length(reports)
        };
        assert_eq!(resets(&[11]).get(), Some(11 * SECOND));
        assert_eq!(resets(&[11, 10]).get(), Some(11 * SECOND), "the shortest may be rounded");
        assert_eq!(resets(&[30, 10, 12, 20]).get(), Some(12 * SECOND));
        assert_eq!(resets(&[10, 11, 20, 22, 24, 26]).get(), Some(22 * SECOND), "older ones are forgotten");
        assert_eq!(resets(&[9, 20]).get(), Some(20 * SECOND), "a second less than a time to a reset is rounding");
        assert_eq!(resets(&[8, 20]).get(), Some(20 * SECOND), "two seconds less is a bucket");
        assert_eq!(resets(&[9]).get(), Some(9 * SECOND));
        assert_eq!(resets(&[8]).get(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_slides_once_sixteen_reports_show_no_turn() {
        for (reports, is_known) in [(15, false), (16, true)] {
            let length = length((0..reports).map(|at| (at, 60 - at % 3)));
            assert_eq!(length.get(), is_known.then_some(60 * SECOND), "{reports}");
            assert_eq!(length.get_or_longest(), Some(60 * SECOND));
        }
    }
}
