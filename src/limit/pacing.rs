//! How fast calls go where the vendor's reports cannot say which may: after a pause, if responses are too late to go by, and if
//! the vendor reports no limit.

use std::time::Duration;

use tokio::time::Instant;

use super::acquire_request::AcquireRequest;
use super::learned_rate::LearnedRate;
use super::pace::Pace;
use super::window::Window;

/// The waiters follow a successful probe within this part of the pause, at most a second.
const RAMP: u32 = 10;
const MAX_RAMP: Duration = Duration::from_secs(1);
/// The part of a vendor's rate that is used if responses are too late to go by.
const SLOW_SHARE: f64 = 0.97;
/// What a refusal leaves of that part, how little it may become, and what each accepted call gives back.
const SLOW_DECREASE: f64 = 0.95;
const SLOW_MIN: f64 = 0.3;
const SLOW_RECOVERY: f64 = 0.0005;
/// A break of this length ends a burst of calls, and the least time that a burst counts as.
const BREAK: Duration = Duration::from_secs(2);
const BURST: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Pacing {
    /// The pace of the waiters after a pause, until its end.
    ramp: Option<(Pace, Instant)>,
    /// The pace at which calls are spaced, if the vendor's reports are too late or do not exist.
    pace: Option<Pace>,
    learned: Option<LearnedRate>,
    /// The part of the vendor's rate that is used if its responses are late.
    slow_share: f64,
    /// Since when calls wait, and whether it is for the pace alone.
    waiting_since: Option<(Instant, bool)>,
    /// The calls that were accepted in the current burst of calls.
    burst: Burst,
}

/// Calls that were accepted without a longer break.
#[derive(Clone, Copy, Debug, Default)]
struct Burst {
    accepted: u64,
    span: Option<(Instant, Instant)>,
}

impl Default for Pacing {
    fn default() -> Self {
        Self {
            ramp: None,
            pace: None,
            learned: None,
            slow_share: SLOW_SHARE,
            waiting_since: None,
            burst: Burst::default(),
        }
    }
}

impl Pacing {
    /// Whether calls go as they come.
    pub(super) fn is_free(&self) -> bool {
        self.pace.is_none() && self.ramp.is_none()
    }

    /// Whether the waiters follow a probe.
    pub(super) fn is_ramp(&self) -> bool {
        self.ramp.is_some()
    }

    /// The pace, if the vendor's reports do not say which calls may go.
    pub(super) fn pace(&self) -> Option<&Pace> {
        self.pace.as_ref()
    }

    /// The rate that was learned from refusals, in calls a second.
    pub(super) fn learned_rate(&self) -> Option<f64> {
        self.learned.map(|learned| learned.rate())
    }

    /// Until when the learned rate counts even if no call is made.
    pub(super) fn remembered_until(&self) -> Option<Instant> {
        self.learned.map(|learned| learned.remembered_until())
    }

    /// Whether such a call may go now.
    pub(super) fn is_ready(&self, request: AcquireRequest, now: Instant) -> bool {
        self.paces().all(|pace| pace.ready_at(request) <= now)
    }

    /// Counts a call that goes now.
    pub(super) fn take(&mut self, request: AcquireRequest, now: Instant) {
        let ramp = self.ramp.iter_mut().map(|(pace, _)| pace);
        ramp.chain(&mut self.pace).for_each(|pace| pace.take(request, now));
    }

    /// When the next call may go, and when the ramp ends.
    pub(super) fn events(&self) -> [Option<Instant>; 2] {
        [self.paces().map(Pace::next_at).max(), self.ramp.map(|(_, ends)| ends)]
    }

    fn paces(&self) -> impl Iterator<Item = &Pace> {
        self.ramp.iter().map(|(pace, _)| pace).chain(&self.pace)
    }

    /// The vendor accepted a call.
    pub(super) fn on_accepted(&mut self, now: Instant) {
        self.burst.on_accepted(now);
        if let Some(learned) = &mut self.learned {
            learned.on_accepted();
        }
        self.slow_share = (self.slow_share + SLOW_RECOVERY).min(SLOW_SHARE);
    }

    /// The vendor refused a call, and reports no limit from which the rate would follow.
    pub(super) fn learn(&mut self, in_flight: u64, now: Instant) {
        match &mut self.learned {
            Some(learned) => learned.on_refused(now),
            None => self.learned = Some(LearnedRate::new(self.burst.rate(in_flight + 1, now), now)),
        }
    }

    /// The vendor refused a call although calls were spaced at its rate.
    pub(super) fn on_refused_while_slow(&mut self) {
        self.slow_share = (self.slow_share * SLOW_DECREASE).max(SLOW_MIN);
    }

    /// Lets so many waiters follow a probe after a pause of this length.
    pub(super) fn start_ramp(&mut self, waiting: u64, pause: Duration, now: Instant) {
        let span = (pause / RAMP).min(MAX_RAMP);
        if !span.is_zero() && waiting > 0 {
            self.ramp = Some((Pace::new(waiting as f64 / span.as_secs_f64(), now), now + span));
        }
    }

    pub(super) fn end_ramp(&mut self) {
        self.ramp = None;
    }

    pub(super) fn pass_time(&mut self, now: Instant) {
        self.ramp.take_if(|(_, ends)| now >= *ends);
    }

    /// Follows what is known of the vendor's rate. `waiting` says whether calls wait, and whether it is for the pace alone.
    pub(super) fn update(&mut self, window: &Window, waiting: Option<bool>, now: Instant) {
        if self.learned.is_some_and(|learned| learned.is_forgotten(now)) || window.is_known() {
            self.learned = None;
        }
        if let Some(learned) = &mut self.learned {
            if let Some((since, is_paced)) = self.waiting_since {
                learned.on_waited(now.saturating_duration_since(since), is_paced);
            }
            self.waiting_since = waiting.map(|is_paced| (now, is_paced));
        }
        let rate = match window.slow_rate() {
            Some(rate) => Some(rate * self.slow_share),
            None => self.learned_rate(),
        };
        match (rate, &mut self.pace) {
            (Some(rate), Some(pace)) => pace.set_rate(rate),
            (Some(rate), None) => self.pace = Some(Pace::new(rate, now)),
            (None, _) => self.pace = None,
        }
    }

    /// Forgets what holds calls back.
    pub(super) fn forget(&mut self) {
        *self = Self { waiting_since: self.waiting_since, burst: self.burst, ..Self::default() };
    }
}

impl Burst {
    fn on_accepted(&mut self, now: Instant) {
        let since = self.span.filter(|(_, last)| now < *last + BREAK).map(|(since, _)| since);
        self.accepted = since.map_or(0, |_| self.accepted) + 1;
        self.span = Some((since.unwrap_or(now), now));
    }

    /// Calls a second, with those in flight.
    fn rate(&self, in_flight: u64, now: Instant) -> f64 {
        let span = self.span.filter(|(_, last)| now < *last + BREAK);
        let (accepted, time) = span.map_or((0, Duration::ZERO), |(since, _)| (self.accepted, now - since));
        (accepted + in_flight) as f64 / time.max(BURST).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::super::headers::RateLimitHeaders;
    use super::super::learned_rate::tests::close_to;
    use super::super::window::ReceivedResponse;
    use super::*;
    use crate::priority::Priority;

    const SECOND: Duration = Duration::from_secs(1);
    const MS: Duration = Duration::from_millis(1);

    fn request() -> AcquireRequest {
        AcquireRequest::test(Priority::Normal)
    }

    /// Pacing at a rate that was learned when the vendor refused the last of 100 calls of a tenth of a second.
    fn learned() -> (Pacing, Instant) {
        let now = Instant::now();
        let mut pacing = Pacing::default();
        (0..99).for_each(|_| pacing.on_accepted(now));
        pacing.learn(0, now);
        pacing.update(&Window::default(), None, now);
        (pacing, now)
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_follow_within_a_tenth_of_the_pause_and_a_second_at_most() {
        let now = Instant::now();
        for (pause, waiting, span) in [(2 * SECOND, 5, 200 * MS), (10 * SECOND, 4, SECOND), (30 * SECOND, 5, SECOND)] {
            let mut pacing = Pacing::default();
            pacing.start_ramp(waiting, pause, now);
            assert!(pacing.is_ramp() && !pacing.is_free());
            assert_eq!(pacing.events(), [Some(now), Some(now + span)]);
            let mut due = now;
            for _ in 0..waiting {
                assert!(pacing.is_ready(request(), due));
                pacing.take(request(), due);
                assert!(!pacing.is_ready(request(), due));
                due += span / u32::try_from(waiting).unwrap();
                assert_eq!(pacing.events()[0], Some(due));
            }
            pacing.pass_time(now + span - MS);
            assert!(pacing.is_ramp());
            pacing.pass_time(now + span);
            assert!(pacing.is_free());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn no_ramp_follows_if_there_was_no_pause_or_no_call_waits() {
        for (waiting, pause) in [(5, Duration::ZERO), (0, 10 * SECOND)] {
            let mut pacing = Pacing::default();
            pacing.start_ramp(waiting, pause, Instant::now());
            assert!(pacing.is_free(), "{waiting} {pause:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_has_to_be_due_by_the_ramp_and_by_the_pace() {
        let (mut pacing, now) = learned();
        assert!(!pacing.is_free() && !pacing.is_ramp());
        pacing.start_ramp(10, 10 * SECOND, now);
        pacing.take(request(), now);
        let (pace, ramp) = (now + SECOND / 665, now + SECOND / 10);
        assert!(!pacing.is_ready(request(), pace + MS) && pacing.is_ready(request(), ramp));
        assert_eq!(pacing.events(), [Some(ramp), Some(now + SECOND)]);
        pacing.end_ramp();
        assert!(pacing.is_ready(request(), pace + MS), "the pace alone");
        pacing.take(request(), pace + MS);
        assert!(!pacing.is_ready(request(), pace + MS));
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_rate_is_that_of_the_burst_that_was_refused() {
        let now = Instant::now();
        for (gaps, in_flight, rate) in [
            // What comes at once counts as a tenth of a second.
            (&[0, 0, 0][..], 0, 40.0),
            (&[0, 50, 50], 0, 40.0),
            (&[0, 100, 100], 4, 40.0),
            // A break of two seconds begins another burst.
            (&[0, 1999], 0, 3.0 / 1.999),
            (&[0, 2000], 0, 20.0),
            (&[0, 0, 0, 2000, 1000], 1, 4.0),
            (&[], 3, 40.0),
        ] {
            let (mut pacing, mut at) = (Pacing::default(), now);
            for gap in gaps {
                at += MS * *gap;
                pacing.on_accepted(at);
            }
            pacing.learn(in_flight, at);
            let learned = pacing.learned_rate().unwrap();
            assert!(close_to(learned, rate * 0.7 * 0.95), "{gaps:?}: {learned}");
        }
        let mut pacing = Pacing::default();
        (0..9).for_each(|_| pacing.on_accepted(now));
        pacing.learn(0, now + BREAK);
        assert!(close_to(pacing.learned_rate().unwrap(), 10.0 * 0.7 * 0.95), "the burst was over");
    }

    #[tokio::test(start_paused = true)]
    async fn each_refusal_at_a_slow_vendors_rate_takes_a_twentieth_and_accepted_calls_give_it_back() {
        let mut pacing = Pacing::default();
        pacing.on_refused_while_slow();
        assert!(close_to(pacing.slow_share, 0.97 * 0.95));
        let mut calls = 0;
        while pacing.slow_share < SLOW_SHARE {
            pacing.on_accepted(Instant::now());
            calls += 1;
        }
        assert!((97..=98).contains(&calls) && pacing.slow_share == SLOW_SHARE, "{calls} {}", pacing.slow_share);
        (0..100).for_each(|_| pacing.on_refused_while_slow());
        assert_eq!(pacing.slow_share, SLOW_MIN);
    }

    #[tokio::test(start_paused = true)]
    async fn the_learned_rate_rises_with_the_time_that_calls_wait_for_it() {
        let window = Window::default();
        for (waiting, rises) in [(None, false), (Some(false), false), (Some(true), true)] {
            let (mut pacing, now) = learned();
            let rate = pacing.learned_rate().unwrap();
            pacing.update(&window, waiting, now);
            assert_eq!(pacing.learned_rate(), Some(rate));
            pacing.update(&window, None, now + SECOND);
            assert_eq!(pacing.learned_rate() > Some(rate), rises, "{waiting:?}");
            let risen = pacing.learned_rate();
            pacing.update(&window, waiting, now + 9 * SECOND);
            assert_eq!(pacing.learned_rate(), risen, "no call waited");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_learned_rate_is_forgotten_with_the_first_window_and_after_half_an_hour() {
        let (mut pacing, now) = learned();
        let until = now + 1800 * SECOND;
        assert_eq!(pacing.remembered_until(), Some(until));
        pacing.update(&Window::default(), None, until - MS);
        assert!(pacing.pace().is_some());
        pacing.update(&Window::default(), None, until);
        assert!(pacing.is_free() && pacing.learned_rate().is_none());

        let (mut pacing, now) = learned();
        let mut window = Window::default();
        let headers = RateLimitHeaders { remaining: Some(5), reset: Some(SECOND), ..RateLimitHeaders::default() };
        let sent = window.send();
        window.on_response(&ReceivedResponse { sent, sent_at: now, headers, is_refused: false }, now);
        pacing.update(&window, None, now);
        assert!(pacing.is_free() && pacing.learned_rate().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_holds_calls_back_is_forgotten_and_what_was_seen_of_the_burst_is_not() {
        let (mut pacing, now) = learned();
        pacing.start_ramp(5, SECOND, now);
        pacing.on_refused_while_slow();
        pacing.forget();
        assert!(pacing.is_free());
        assert_eq!((pacing.learned_rate(), pacing.slow_share), (None, SLOW_SHARE));
        pacing.learn(0, now);
        assert!(close_to(pacing.learned_rate().unwrap(), 1000.0 * 0.7 * 0.95));
    }
}
