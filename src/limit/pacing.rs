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
