//! The state of a rate limiter: which calls may be sent, which wait, and in what order they continue.
//!
//! Pure: time comes in as a value, and decisions come out. The waiting itself happens in the rate limiter.
//!
//! While the vendor's window has room, calls pass without queueing. When it is exhausted they wait for the reset; then one call
//! probes, and the others follow as its response allows. A 429 pauses all calls. After it one call probes as well, and the
//! others get send times spread over a short interval; calls that arrive meanwhile are sent at its end.

mod external_usage;
mod forecast;
mod in_flight;
mod queue;
mod unconfirmed;
mod window;
#[cfg(test)]
mod world;

use std::time::Duration;

use tokio::time::Instant;

pub(super) use self::queue::QueuePosition;
use self::queue::{PATIENCE, Queue, Standing};
use self::window::{Heard, Observation, Sent, Window};
use super::headers::RateLimitHeaders;
use crate::priority::Priority;
use crate::vendor::LimitHeaders;

/// How long the answer to a probe may take before another probes: it may never come.
const PROBE_PATIENCE: Duration = Duration::from_secs(5);
/// After so many first probes without an answer there is nothing to be learnt from probing.
const FIRST_PROBES: u32 = 3;
/// After a refusal without a usable reset: doubled with each refusal in a row.
const MIN_CLOSURE: Duration = Duration::from_millis(500);
const MAX_CLOSURE: Duration = Duration::from_secs(60);
/// The queue follows a successful probe within this part of the closure, at most a second.
const SPREAD: u32 = 10;
const MAX_SPREAD: Duration = Duration::from_secs(1);
/// A reset that turns out to be earlier by this much lets those who wait set their clocks anew.
const EARLIER: Duration = Duration::from_millis(5);

#[derive(Debug)]
pub(super) struct LimiterState {
    phase: Phase,
    window: Window,
    lanes: Queue,
    /// Refusals in a row.
    refusals: u32,
    /// Counts closures, so that answers to calls sent before one are told from those after it.
    era: u64,
    /// Counts probes, so that one that was replaced is told from its replacement.
    probes: u64,
    /// First probes that had no answer.
    silent: u32,
    /// How long the gate was last closed for a refusal; nothing after a window that ended by itself.
    closure: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// The vendor is known to tell its limit, and has told nothing yet.
    Unknown,
    /// There may be room; the window tells.
    Open,
    /// The window is over and was spent.
    Over,
    /// The vendor refused a call.
    Closed { until: Instant },
    /// One call is on its way to ask.
    Probing { since: Instant },
    /// Those who waited go one by one.
    Spreading { ends: Instant },
}

/// What a caller asks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AcquireRequest {
    pub(super) priority: Priority,
    /// What it leaves of every window to others, in thousandths.
    pub(super) reserve: u16,
}

impl AcquireRequest {
    fn lane(self) -> usize {
        self.priority.index()
    }
}

/// The right to send one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reservation {
    sent: Sent,
    era: u64,
    /// The number of the probe, if it is one.
    probe: Option<u64>,
}

/// What a caller may do now.
#[derive(Debug)]
pub(super) enum WaitDecision {
    /// Send.
    Go(Reservation),
    /// Nothing until then, or until woken.
    WaitUntil(Instant),
    /// There will be no room before then, which is later than the caller can wait.
    GiveUp(Instant),
}

/// How a call that had a pass ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Completion {
    /// The vendor took it.
    Accepted { sent_at: Instant, signals: RateLimitHeaders },
    /// The vendor refused it with 429.
    Refused { sent_at: Instant, signals: RateLimitHeaders },
    /// No answer came.
    Failed,
    /// Nobody waits for the answer any more.
    Cancelled,
    /// It was not sent.
    Unused,
}

impl LimiterState {
    /// A gate before the first call to a vendor that is known to tell its limit, or is not.
    pub(super) fn new(headers: LimitHeaders) -> Self {
        Self {
            phase: match headers {
                LimitHeaders::Sent => Phase::Unknown,
                LimitHeaders::Unsure => Phase::Open,
            },
            window: Window::default(),
            lanes: Queue::default(),
            refusals: 0,
            era: 0,
            probes: 0,
            silent: 0,
            closure: Duration::ZERO,
        }
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    /// How many wait at one priority.
    pub(super) fn waiting_at(&self, priority: Priority) -> usize {
        self.lanes.len(priority.index())
    }

    /// Until when the gate is closed because the vendor refused a call.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        match self.phase {
            Phase::Closed { until } if until > now => Some(until),
            _ => None,
        }
    }

    /// Passes at once if there is room: the common case, which reads no clock.
    pub(super) fn enter(&mut self, ask: AcquireRequest) -> Option<Reservation> {
        let room = self.phase == Phase::Open && self.window.room(ask) > self.lanes.expected();
        (room && !self.window.has_others()).then(|| self.pass(None))
    }

    /// Passes at once if there is room now: what time has changed counts too.
    pub(super) fn enter_at(&mut self, ask: AcquireRequest, now: Instant) -> Option<Reservation> {
        self.window.pass_time(now);
        let room = self.phase == Phase::Open && self.window.room_at(ask, now) > self.lanes.expected();
        room.then(|| self.pass(None))
    }

    /// Queues up a caller that can wait until `latest`, unless there is no point.
    pub(super) fn queue(
        &mut self,
        ask: AcquireRequest,
        now: Instant,
        latest: Instant,
    ) -> Result<QueuePosition, Instant> {
        let ahead = self.lanes.ahead(ask.lane());
        let soonest = match self.phase {
            // Nothing is known yet that would turn anybody away.
            Phase::Probing { .. } if latest <= now && self.window.limit().is_some() => Some(now + PATIENCE),
            Phase::Spreading { ends } if latest <= now && now < ends => Some(ends),
            _ => self.room_for(ask, ahead + self.lanes.expected(), now),
        };
        match soonest.filter(|soonest| latest < *soonest) {
            Some(soonest) => Err(soonest),
            None => Ok(self.lanes.push(ask, latest)),
        }
    }

    /// What the holder of `ticket` may do now.
    pub(super) fn turn(&mut self, ticket: u64, now: Instant) -> WaitDecision {
        self.dispatch(now, Some(ticket));
        if self.lanes.standing(ticket).is_some_and(|standing| self.is_outdated(standing, now)) {
            self.lanes.requeue(ticket);
            self.dispatch(now, Some(ticket));
        }
        match self.lanes.standing(ticket) {
            Some(Standing::Called { at, latest, .. }) if now < at.min(latest) => {
                WaitDecision::WaitUntil(at.min(latest))
            }
            Some(Standing::Called { .. } | Standing::Overslept(_)) => {
                self.lanes.go(ticket);
                WaitDecision::Go(self.admit(now))
            }
            Some(Standing::Waiting { latest }) if now < latest => {
                WaitDecision::WaitUntil(self.next_look(now).min(latest))
            }
            Some(Standing::TooLate(moment)) if now < moment => {
                self.leave(ticket, now);
                WaitDecision::GiveUp(moment)
            }
            Some(Standing::Waiting { .. } | Standing::TooLate(_)) => self.end_of_patience(ticket, now),
            // Only a holder removes its own ticket, so this is a second question after the answer.
            None => WaitDecision::GiveUp(now),
        }
    }

    /// Whether the room for which one was called has gone since.
    fn is_outdated(&self, standing: Standing, now: Instant) -> bool {
        let open = matches!(self.phase, Phase::Open | Phase::Spreading { .. });
        match standing {
            // What it leaves to others it left when it was called; they may have taken it since.
            Standing::Called { ask, .. } => open && self.window.room_at(AcquireRequest { reserve: 0, ..ask }, now) == 0,
            Standing::Overslept(ask) => !open || self.window.room_at(ask, now) <= self.lanes.expected(),
            Standing::Waiting { .. } | Standing::TooLate(_) => false,
        }
    }

    /// Takes the holder of `ticket` out of the queue; harmless when it has left.
    pub(super) fn leave(&mut self, ticket: u64, now: Instant) {
        if self.lanes.standing(ticket).is_some() {
            self.lanes.remove(ticket);
            self.dispatch(now, None);
        }
    }

    /// Takes back a pass.
    pub(super) fn report(&mut self, pass: Reservation, report: Completion, now: Instant) {
        let reset_at = self.window.reset_at();
        let probing = matches!(self.phase, Phase::Probing { .. });
        let mut changed = false;
        match report {
            Completion::Accepted { sent_at, signals } => {
                changed = self.window.hear(Heard { sent: pass.sent, sent_at, signals }, Observation::Taken, now);
                // An answer to a call sent before the gate closed says nothing about now.
                if pass.era == self.era {
                    self.refusals = 0;
                }
                if probing && pass.probe.is_some() {
                    self.spread(now);
                }
            }
            Completion::Refused { sent_at, signals } => {
                changed = self.window.hear(Heard { sent: pass.sent, sent_at, signals }, Observation::Refused, now);
                changed |= self.close(pass, signals, now);
            }
            Completion::Failed | Completion::Cancelled => self.window.miss(pass.sent, now),
            Completion::Unused => self.window.end(pass.sent),
        }
        if probing && pass.probe == Some(self.probes) {
            match report {
                Completion::Failed => self.give_up_probe(now),
                // The next in line probes instead.
                Completion::Cancelled | Completion::Unused => self.probe_anew(now),
                Completion::Accepted { .. } | Completion::Refused { .. } => {}
            }
        }
        self.open_with_the_window(now);
        if !self.lanes.is_waiting() {
            return;
        }
        if changed {
            self.judge(now);
        }
        self.dispatch(now, None);
        // Who waits looks at the moment that it was told. It has to hear of another.
        let moved = match (reset_at, self.window.reset_at()) {
            (Some(before), Some(after)) => after > before || after + EARLIER < before,
            (before, after) => before != after,
        };
        if moved || (changed && probing) || matches!(report, Completion::Refused { .. }) {
            self.lanes.wake_all();
        }
    }

    /// Closes the gate after a refusal. Says whether that is news.
    fn close(&mut self, pass: Reservation, signals: RateLimitHeaders, now: Instant) -> bool {
        // Of the calls that were under way together only the first refusal counts. The others may say better how long
        // it takes, as long as it takes; once it is over they speak of what is past.
        let first = pass.era == self.era;
        let closed = self.closed_until(now);
        if first {
            self.refusals += 1;
            self.era += 1;
        } else if closed.is_none() {
            return false;
        }
        let until = now + self.closure_for(signals, now);
        let until = closed.map_or(until, |closed| closed.max(until));
        self.closure = until - now;
        self.phase = Phase::Closed { until };
        self.lanes.call_off();
        true
    }

    /// What the vendor asks for, unless that is so short that taking it would be knocking without pause. Where it asks for
    /// nothing, the rest of the window if that is spent.
    fn closure_for(&self, signals: RateLimitHeaders, now: Instant) -> Duration {
        let rest = self.window.spent_until(now).map(|reset_at| reset_at - now);
        match signals.wait().or(rest) {
            Some(wait) if wait >= MIN_CLOSURE => wait,
            _ => MIN_CLOSURE.saturating_mul(1 << self.refusals.saturating_sub(1).min(16)).min(MAX_CLOSURE),
        }
    }

    /// The probe was taken: the others follow, after a refusal each at a moment of its own.
    fn spread(&mut self, now: Instant) {
        self.phase = Phase::Open;
        let span = (self.closure / SPREAD).min(MAX_SPREAD);
        if span.is_zero() || !self.lanes.is_waiting() {
            return;
        }
        self.phase = Phase::Spreading { ends: now + span };
        let (window, lanes) = (&self.window, &mut self.lanes);
        let going = lanes.fitting(|ask, before| window.room_at(ask, now) > before);
        for index in 0..going {
            lanes.call(now + span * index / going, |_| true);
        }
    }

    /// Calls those who may go now, or somebody to probe. The one that asks, if one does, is `here` for certain.
    fn dispatch(&mut self, now: Instant, here: Option<u64>) {
        self.lanes.expire(now);
        self.window.pass_time(now);
        match self.phase {
            Phase::Probing { since } if now >= since + PROBE_PATIENCE => self.give_up_probe(now),
            Phase::Spreading { ends } if now >= ends => self.phase = Phase::Open,
            _ => {}
        }
        if !self.lanes.is_waiting() {
            return;
        }
        match self.phase {
            Phase::Unknown | Phase::Over => self.call_probe(now, here),
            Phase::Closed { until } if now >= until => self.call_probe(now, here),
            Phase::Closed { .. } | Phase::Probing { .. } => {}
            Phase::Spreading { ends } => self.call(ends, now, here),
            Phase::Open => {
                self.call(now, now, here);
                if self.lanes.is_waiting() && self.window.is_over(now) {
                    self.closure = Duration::ZERO;
                    self.phase = Phase::Over;
                    self.call_probe(now, here);
                }
            }
        }
    }

    /// Calls as many as there is room for.
    fn call(&mut self, at: Instant, now: Instant, here: Option<u64>) {
        let window = &self.window;
        if let Some(here) = here {
            let expected = self.lanes.expected();
            self.lanes.call_instead(here, at, |ask| window.room_at(ask, now) > expected);
        }
        loop {
            let expected = self.lanes.expected();
            // Where they seem to be asleep, one is called to see whether they are, and the room is left to who comes.
            let enough = self.lanes.are_dozing() && expected > 0;
            if enough || !self.lanes.call(at, |ask| window.room_at(ask, now) > expected) {
                break;
            }
        }
    }

    fn call_probe(&mut self, now: Instant, here: Option<u64>) {
        if self.lanes.expected() > 0 || !self.window.may_probe(0) {
            return;
        }
        if let Some(here) = here {
            self.lanes.call_instead(here, now, |_| true);
        }
        if self.lanes.expected() == 0 {
            self.lanes.call(now, |_| true);
        }
    }

    /// The probe has no answer: the next in line probes instead. Where nothing was ever heard, and goes on not to be,
    /// probing only adds to what callers suffer from a vendor that is down.
    fn give_up_probe(&mut self, now: Instant) {
        self.probe_anew(now);
        if self.era == 0 && self.window.reset_at().is_none() {
            self.silent += 1;
            if self.silent >= FIRST_PROBES {
                self.phase = Phase::Open;
            }
        }
    }

    /// Back to where the probe came from.
    fn probe_anew(&mut self, now: Instant) {
        self.phase = match self.window.reset_at() {
            _ if !self.closure.is_zero() => Phase::Closed { until: now },
            Some(_) => Phase::Over,
            None => Phase::Unknown,
        };
    }

    /// Any answer that tells of the new window does for the probe's, unless the vendor has refused a call.
    fn open_with_the_window(&mut self, now: Instant) {
        let asking = matches!(self.phase, Phase::Unknown | Phase::Over | Phase::Probing { .. });
        if asking && self.closure.is_zero() && self.window.is_running(now) {
            self.phase = Phase::Open;
        }
    }

    /// Lets one go whose turn it is.
    fn admit(&mut self, now: Instant) -> Reservation {
        match self.phase {
            Phase::Unknown | Phase::Over | Phase::Closed { .. } | Phase::Probing { .. } => {
                self.phase = Phase::Probing { since: now };
                self.probes += 1;
                self.pass(Some(self.probes))
            }
            Phase::Open | Phase::Spreading { .. } => self.pass(None),
        }
    }

    fn pass(&mut self, probe: Option<u64>) -> Reservation {
        Reservation { sent: self.window.send(), era: self.era, probe }
    }

    /// One that was not called can wait no longer.
    fn end_of_patience(&mut self, ticket: u64, now: Instant) -> WaitDecision {
        self.lanes.remove(ticket);
        match self.phase {
            Phase::Closed { until } if now < until => WaitDecision::GiveUp(until),
            Phase::Open | Phase::Spreading { .. } => WaitDecision::GiveUp(self.next_look(now)),
            // It has waited for the reset, and the reset has come: what is left is our own caution.
            _ if self.window.may_probe(self.lanes.expected()) => WaitDecision::Go(self.pass(None)),
            _ => WaitDecision::GiveUp(self.next_look(now)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    fn wait(seconds: u64) -> RateLimitHeaders {
        RateLimitHeaders { retry_after: Some(Duration::from_secs(seconds)), ..RateLimitHeaders::default() }
    }

    const NORMAL: AcquireRequest = AcquireRequest { priority: Priority::Normal, reserve: 0 };

    fn accepted(signals: RateLimitHeaders, now: Instant) -> Completion {
        Completion::Accepted { sent_at: now, signals }
    }

    fn refused(signals: RateLimitHeaders, now: Instant) -> Completion {
        Completion::Refused { sent_at: now, signals }
    }

    /// A gate that a refusal has closed for ten seconds.
    fn closed(now: Instant) -> LimiterState {
        let mut gate = LimiterState::new(LimitHeaders::Unsure);
        let pass = gate.enter(NORMAL).unwrap();
        gate.report(pass, refused(wait(10), now), now);
        gate
    }

    fn go(gate: &mut LimiterState, place: &QueuePosition, now: Instant) -> Reservation {
        match gate.turn(place.ticket, now) {
            WaitDecision::Go(pass) => pass,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_gate_lets_everybody_pass() {
        let mut gate = LimiterState::new(LimitHeaders::Unsure);
        assert!((0..1000).all(|_| gate.enter(NORMAL).is_some()));
        assert_eq!(gate.window().in_flight(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_closes_the_gate_for_everybody_until_the_reset() {
        let now = Instant::now();
        let mut gate = closed(now);
        assert!(gate.enter(NORMAL).is_none());
        assert_eq!(gate.closed_until(now), Some(now + 10 * SECOND));
        let place = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        assert!(matches!(gate.turn(place.ticket, now), WaitDecision::WaitUntil(at) if at == now + 10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_wait_for_the_reset_is_told_at_once_when_it_comes() {
        let now = Instant::now();
        let mut gate = closed(now);
        assert_eq!(gate.queue(NORMAL, now, now + 9 * SECOND).unwrap_err(), now + 10 * SECOND);
        assert_eq!(gate.waiting_at(Priority::Normal), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_reset_one_probes_and_the_rest_follow_in_order_and_spread() {
        let now = Instant::now();
        let mut gate = closed(now);
        let places: Vec<QueuePosition> = (0..5).map(|_| gate.queue(NORMAL, now, now + MINUTE).unwrap()).collect();
        let reset = now + 10 * SECOND;

        let probe = go(&mut gate, &places[0], reset);
        assert!(probe.probe.is_some());
        assert!(matches!(gate.turn(places[1].ticket, reset), WaitDecision::WaitUntil(_)));

        let answered = reset + SECOND / 10;
        gate.report(probe, accepted(RateLimitHeaders::default(), answered), answered);
        for (place, quarters) in places[1..].iter().zip(0..) {
            let slot = answered + quarters * SECOND / 4;
            if quarters > 0 {
                assert!(matches!(gate.turn(place.ticket, answered), WaitDecision::WaitUntil(at) if at == slot));
            }
            assert!(go(&mut gate, place, slot).probe.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_during_the_spread_goes_at_its_end_and_opens_the_gate() {
        let now = Instant::now();
        let mut gate = closed(now);
        let probe = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let _asleep = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        let pass = go(&mut gate, &probe, reset);
        gate.report(pass, accepted(RateLimitHeaders::default(), reset), reset);
        assert!(gate.enter(NORMAL).is_none());
        let late = gate.queue(NORMAL, reset, now + MINUTE).unwrap();
        assert!(matches!(gate.turn(late.ticket, reset), WaitDecision::WaitUntil(at) if at == reset + SECOND));
        go(&mut gate, &late, reset + SECOND);
        assert!(gate.enter(NORMAL).is_some(), "whoever sleeps in the queue does not keep it closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closure_that_has_passed_turns_nobody_away() {
        let now = Instant::now();
        let mut gate = closed(now);
        let begun = now + MINUTE;
        let place = gate.queue(NORMAL, begun + Duration::from_nanos(1), begun).unwrap();
        assert!(go(&mut gate, &place, begun + Duration::from_nanos(1)).probe.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_for_the_reset_goes_when_its_time_is_up_and_does_not_fail() {
        let now = Instant::now();
        let mut gate = closed(now);
        let probe = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let hasty = gate.queue(NORMAL, now, now + 10 * SECOND).unwrap();
        let reset = now + 10 * SECOND;
        go(&mut gate, &probe, reset);
        assert!(go(&mut gate, &hasty, reset).probe.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_replaced_does_not_undo_its_replacement() {
        let now = Instant::now();
        let mut gate = closed(now);
        let places: Vec<QueuePosition> = (0..3).map(|_| gate.queue(NORMAL, now, now + 5 * MINUTE).unwrap()).collect();
        let reset = now + 10 * SECOND;
        let stale = go(&mut gate, &places[0], reset);
        let replaced = reset + PROBE_PATIENCE;
        go(&mut gate, &places[1], replaced);
        gate.report(stale, Completion::Cancelled, replaced);
        assert!(matches!(gate.turn(places[2].ticket, replaced), WaitDecision::WaitUntil(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_overtakes_the_queue() {
        let now = Instant::now();
        let mut gate = closed(now);
        let first = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let second = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        assert!(gate.enter(NORMAL).is_none());
        assert!(matches!(gate.turn(second.ticket, reset), WaitDecision::WaitUntil(_)));
        go(&mut gate, &first, reset);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_probe_closes_the_gate_again_and_tells_those_who_cannot_wait() {
        let now = Instant::now();
        let mut gate = closed(now);
        let probe = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let hasty = gate.queue(NORMAL, now, now + 15 * SECOND).unwrap();
        let patient = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        let pass = go(&mut gate, &probe, reset);
        gate.report(pass, refused(wait(10), reset), reset);
        assert!(matches!(gate.turn(hasty.ticket, reset), WaitDecision::GiveUp(at) if at == reset + 10 * SECOND));
        assert!(matches!(gate.turn(patient.ticket, reset), WaitDecision::WaitUntil(at) if at == reset + 10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_is_followed_by_the_next_in_line() {
        let now = Instant::now();
        let mut gate = closed(now);
        let first = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let second = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        let pass = go(&mut gate, &first, reset);
        gate.report(pass, Completion::Cancelled, reset);
        assert!(go(&mut gate, &second, reset).probe.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_nobody_polls_does_not_hold_up_the_others() {
        let now = Instant::now();
        let mut gate = closed(now);
        let _asleep = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let awake = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        assert!(matches!(gate.turn(awake.ticket, reset), WaitDecision::WaitUntil(at) if at == reset + PATIENCE));
        assert!(go(&mut gate, &awake, reset + PATIENCE).probe.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_whose_answer_does_not_come_is_replaced() {
        let now = Instant::now();
        let mut gate = closed(now);
        let first = gate.queue(NORMAL, now, now + 5 * MINUTE).unwrap();
        let second = gate.queue(NORMAL, now, now + 5 * MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        go(&mut gate, &first, reset);
        go(&mut gate, &second, reset + PROBE_PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_for_a_closed_gate_or_for_a_probe_does_not_look_at_every_turn_of_a_window_of_no_time() {
        let (mut gate, now) = open(0);
        let probe = gate.queue(NORMAL, now, now + 5 * MINUTE).unwrap();
        let place = gate.queue(NORMAL, now, now + 5 * MINUTE).unwrap();
        let at = now + MINUTE;
        let pass = go(&mut gate, &probe, at);
        assert!(matches!(gate.turn(place.ticket, at), WaitDecision::WaitUntil(look) if look == at + PATIENCE));
        gate.report(pass, refused(told(0, 0), at), at);
        let until = gate.closed_until(at).unwrap();
        let later = at + MIN_CLOSURE / 2;
        assert!(matches!(gate.turn(place.ticket, later), WaitDecision::WaitUntil(look) if look == until));
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_without_a_reset_close_for_longer_each_time() {
        let mut now = Instant::now();
        let mut gate = LimiterState::new(LimitHeaders::Unsure);
        let mut pass = gate.enter(NORMAL).unwrap();
        for seconds in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            gate.report(pass, refused(RateLimitHeaders::default(), now), now);
            assert_eq!(gate.closed_until(now).unwrap() - now, Duration::from_secs_f64(seconds));
            let place = gate.queue(NORMAL, now, now + 5 * MINUTE).unwrap();
            now = gate.closed_until(now).unwrap();
            pass = go(&mut gate, &place, now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_refused_together_count_as_one_refusal() {
        let now = Instant::now();
        let mut gate = LimiterState::new(LimitHeaders::Unsure);
        let passes: Vec<Reservation> = (0..50).map(|_| gate.enter(NORMAL).unwrap()).collect();
        for pass in passes {
            gate.report(pass, refused(RateLimitHeaders::default(), now), now);
        }
        assert_eq!(gate.closed_until(now), Some(now + MIN_CLOSURE));
        assert_eq!(gate.window().in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_from_before_the_closure_does_not_open_the_gate() {
        let now = Instant::now();
        let mut gate = LimiterState::new(LimitHeaders::Unsure);
        let early = gate.enter(NORMAL).unwrap();
        let late = gate.enter(NORMAL).unwrap();
        gate.report(late, refused(wait(10), now), now);
        gate.report(early, accepted(RateLimitHeaders::default(), now), now);
        assert!(gate.enter(NORMAL).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_teaches_and_silence_forgets_nothing() {
        let now = Instant::now();
        let mut gate = LimiterState::new(LimitHeaders::Unsure);
        let told = RateLimitHeaders { limit: Some(100), remaining: Some(9), reset: Some(SECOND), retry_after: None };
        for signals in [told, RateLimitHeaders::default()] {
            let pass = gate.enter(NORMAL).unwrap();
            gate.report(pass, accepted(signals, now), now);
        }
        let known = gate.window();
        assert_eq!((known.limit(), known.remaining(), known.reset_at()), (Some(100), Some(9), Some(now + SECOND)));
    }

    fn told(remaining: u64, seconds: u64) -> RateLimitHeaders {
        let reset = Some(Duration::from_secs(seconds));
        RateLimitHeaders { limit: Some(100), remaining: Some(remaining), reset, retry_after: None }
    }

    /// A gate before a window of a minute with so much left.
    fn open(remaining: u64) -> (LimiterState, Instant) {
        let now = Instant::now();
        let mut gate = LimiterState::new(LimitHeaders::Unsure);
        let pass = gate.enter(NORMAL).unwrap();
        gate.report(pass, accepted(told(remaining, 60), now), now);
        (gate, now)
    }

    #[tokio::test(start_paused = true)]
    async fn where_the_limit_is_told_the_first_call_probes_and_the_others_wait_for_its_answer() {
        let now = Instant::now();
        let mut gate = LimiterState::new(LimitHeaders::Sent);
        assert!(gate.enter(NORMAL).is_none());
        let places: Vec<QueuePosition> = (0..4).map(|_| gate.queue(NORMAL, now, now + MINUTE).unwrap()).collect();
        let probe = go(&mut gate, &places[0], now);
        assert!(matches!(gate.turn(places[1].ticket, now), WaitDecision::WaitUntil(_)));
        gate.report(probe, accepted(told(2, 60), now), now);
        go(&mut gate, &places[1], now);
        go(&mut gate, &places[2], now);
        assert!(matches!(gate.turn(places[3].ticket, now), WaitDecision::WaitUntil(_)), "two were left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_first_answer_that_says_nothing_lets_everybody_pass() {
        let now = Instant::now();
        let mut gate = LimiterState::new(LimitHeaders::Sent);
        let places: Vec<QueuePosition> = (0..4).map(|_| gate.queue(NORMAL, now, now + MINUTE).unwrap()).collect();
        let probe = go(&mut gate, &places[0], now);
        gate.report(probe, accepted(RateLimitHeaders::default(), now), now);
        for place in &places[1..] {
            go(&mut gate, place, now);
        }
        assert!(gate.enter(NORMAL).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn first_probes_that_fail_open_the_gate_after_a_few() {
        let now = Instant::now();
        let mut gate = LimiterState::new(LimitHeaders::Sent);
        let places: Vec<QueuePosition> = (0..5).map(|_| gate.queue(NORMAL, now, now + MINUTE).unwrap()).collect();
        for place in &places[..3] {
            let probe = go(&mut gate, place, now);
            assert!(matches!(gate.turn(places[4].ticket, now), WaitDecision::WaitUntil(_)));
            gate.report(probe, Completion::Failed, now);
        }
        go(&mut gate, &places[3], now);
        go(&mut gate, &places[4], now);
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_wait_at_all_is_not_turned_away_for_a_first_probe() {
        let now = Instant::now();
        let mut gate = LimiterState::new(LimitHeaders::Sent);
        for _ in 0..2 {
            let place = gate.queue(NORMAL, now, now).unwrap();
            go(&mut gate, &place, now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_end_of_the_window_callers_wait_for_the_reset() {
        let (mut gate, now) = open(2);
        let passes = [gate.enter(NORMAL).unwrap(), gate.enter(NORMAL).unwrap()];
        assert!(gate.enter(NORMAL).is_none());
        let place = gate.queue(NORMAL, now, now + 2 * MINUTE).unwrap();
        for (pass, remaining) in passes.into_iter().zip([1, 0]) {
            assert!(matches!(gate.turn(place.ticket, now), WaitDecision::WaitUntil(_)));
            gate.report(pass, accepted(told(remaining, 60), now), now);
        }
        assert!(matches!(gate.turn(place.ticket, now), WaitDecision::WaitUntil(at) if at == now + MINUTE));
        assert!(go(&mut gate, &place, now + MINUTE).probe.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_without_a_word_closes_a_spent_window_until_its_reset_and_another_for_a_moment() {
        for (left, until) in [(1, MINUTE), (2, MIN_CLOSURE)] {
            let (mut gate, now) = open(left);
            let pass = gate.enter(NORMAL).unwrap();
            gate.report(pass, refused(RateLimitHeaders::default(), now), now);
            assert_eq!(gate.closed_until(now), Some(now + until), "{left} were left");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_window_that_was_spent_one_probes_and_the_rest_follow_at_once() {
        let (mut gate, now) = open(0);
        let places: Vec<QueuePosition> = (0..20).map(|_| gate.queue(NORMAL, now, now + 2 * MINUTE).unwrap()).collect();
        let reset = now + MINUTE;
        let probe = go(&mut gate, &places[0], reset);
        assert!(matches!(gate.turn(places[1].ticket, reset), WaitDecision::WaitUntil(_)));
        gate.report(probe, accepted(told(99, 60), reset), reset);
        for place in &places[1..] {
            go(&mut gate, place, reset);
        }
        assert!(gate.enter(NORMAL).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_wait_for_the_reset_is_told_at_once_and_so_is_who_would_be_too_late_after_it() {
        let (mut gate, now) = open(0);
        let asked = gate.queue(NORMAL, now, now + MINUTE - SECOND);
        assert_eq!(asked.unwrap_err(), now + MINUTE);
        let places: Vec<QueuePosition> = (0..100).map(|_| gate.queue(NORMAL, now, now + MINUTE).unwrap()).collect();
        let asked = gate.queue(NORMAL, now, now + MINUTE + SECOND);
        assert_eq!(asked.unwrap_err(), now + 2 * MINUTE, "a window takes a hundred");
        drop(places);
        assert!(gate.queue(NORMAL, now, now + 2 * MINUTE).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn those_for_whom_a_new_window_holds_less_than_they_hoped_are_told_when_it_begins() {
        let (mut gate, now) = open(0);
        let places: Vec<QueuePosition> =
            (0..10).map(|_| gate.queue(NORMAL, now, now + MINUTE + SECOND).unwrap()).collect();
        let reset = now + MINUTE;
        let probe = go(&mut gate, &places[0], reset);
        gate.report(probe, accepted(told(3, 60), reset), reset);
        for place in &places[1..4] {
            go(&mut gate, place, reset);
        }
        assert!(matches!(gate.turn(places[4].ticket, reset), WaitDecision::GiveUp(at) if at == reset + MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn bulk_waits_at_its_reserve_and_others_do_not() {
        let (mut gate, now) = open(21);
        let bulk = AcquireRequest { priority: Priority::Bulk, reserve: 200 };
        let pass = gate.enter(bulk).unwrap();
        gate.report(pass, accepted(told(20, 60), now), now);
        assert!(gate.enter(bulk).is_none());
        let place = gate.queue(bulk, now, now + 2 * MINUTE).unwrap();
        assert!(matches!(gate.turn(place.ticket, now), WaitDecision::WaitUntil(at) if at == now + MINUTE));
        assert!((0..20).all(|_| gate.enter(NORMAL).is_some()), "the reserve is there for these");
        assert_eq!(gate.waiting_at(Priority::Bulk), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn bulk_that_was_called_goes_though_a_hurried_call_has_taken_what_it_left() {
        let (mut gate, now) = open(0);
        let bulk = AcquireRequest { priority: Priority::Bulk, reserve: 200 };
        let place = gate.queue(bulk, now, now + 2 * MINUTE).unwrap();
        let reset = now + MINUTE;
        let probe = go(&mut gate, &place, reset);
        let place = gate.queue(bulk, reset, reset + 2 * MINUTE).unwrap();
        gate.report(probe, accepted(told(21, 60), reset), reset);
        assert_eq!((0..20).filter(|_| gate.enter(NORMAL).is_some()).count(), 20, "one place is its own");
        assert!(gate.enter(NORMAL).is_none());
        go(&mut gate, &place, reset);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_nobody_polls_any_more_do_not_keep_their_places_for_ever() {
        let (mut gate, now) = open(3);
        let asleep = [(); 3].map(|()| gate.enter(NORMAL).unwrap());
        for (window, room) in [(1, 0), (2, 0), (3, 2)] {
            let at = now + window * MINUTE;
            let place = gate.queue(NORMAL, at, at + MINUTE).unwrap();
            let probe = go(&mut gate, &place, at);
            gate.report(probe, accepted(told(2, 60), at), at);
            assert_eq!(gate.room(NORMAL, at), Some(room), "window {window}");
        }
        for pass in asleep {
            gate.report(pass, Completion::Cancelled, now + 4 * MINUTE);
        }
        assert_eq!(gate.window().in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn room_that_comes_back_goes_to_those_who_wait_and_nobody_overtakes_them() {
        let (mut gate, now) = open(2);
        let passes = [gate.enter(NORMAL).unwrap(), gate.enter(NORMAL).unwrap()];
        let first = gate.queue(NORMAL, now, now + 2 * MINUTE).unwrap();
        gate.report(passes[0], Completion::Unused, now);
        assert!(gate.enter(NORMAL).is_none() && gate.enter_at(NORMAL, now).is_none());
        go(&mut gate, &first, now);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_called_and_left_makes_way_for_the_next() {
        let (mut gate, now) = open(1);
        let pass = gate.enter(NORMAL).unwrap();
        let first = gate.queue(NORMAL, now, now + 2 * MINUTE).unwrap();
        let second = gate.queue(NORMAL, now, now + 2 * MINUTE).unwrap();
        gate.report(pass, Completion::Unused, now);
        assert!(matches!(gate.turn(second.ticket, now), WaitDecision::WaitUntil(at) if at <= now + PATIENCE));
        gate.leave(first.ticket, now);
        go(&mut gate, &second, now);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_was_called_and_sleeps_loses_its_place_after_a_second_and_takes_it_again_later() {
        let (mut gate, now) = open(1);
        let pass = gate.enter(NORMAL).unwrap();
        let asleep = gate.queue(NORMAL, now, now + 2 * MINUTE).unwrap();
        let awake = gate.queue(NORMAL, now, now + 2 * MINUTE).unwrap();
        gate.report(pass, Completion::Unused, now);
        go(&mut gate, &awake, now + PATIENCE);
        assert!(matches!(gate.turn(asleep.ticket, now + PATIENCE), WaitDecision::WaitUntil(_)));
        go(&mut gate, &asleep, now + MINUTE);
    }

    #[tokio::test(start_paused = true)]
    async fn many_that_sleep_cost_the_others_one_second_and_not_one_each() {
        let (mut gate, now) = open(0);
        let _asleep: Vec<QueuePosition> = (0..50).map(|_| gate.queue(NORMAL, now, now + 5 * MINUTE).unwrap()).collect();
        let awake = gate.queue(NORMAL, now, now + 5 * MINUTE).unwrap();
        let reset = now + MINUTE;
        assert!(matches!(gate.turn(awake.ticket, reset), WaitDecision::WaitUntil(at) if at == reset + PATIENCE));
        assert!(go(&mut gate, &awake, reset + PATIENCE).probe.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn beside_many_that_sleep_the_others_fill_a_window_without_a_second_for_each() {
        let (mut gate, now) = open(0);
        let _asleep: Vec<QueuePosition> = (0..50).map(|_| gate.queue(NORMAL, now, now + 5 * MINUTE).unwrap()).collect();
        let awake: Vec<QueuePosition> = (0..10).map(|_| gate.queue(NORMAL, now, now + 5 * MINUTE).unwrap()).collect();
        let at = now + MINUTE;
        assert!(matches!(gate.turn(awake[0].ticket, at), WaitDecision::WaitUntil(_)));
        let at = at + PATIENCE;
        let probe = go(&mut gate, &awake[0], at);
        gate.report(probe, accepted(told(20, 60), at), at);
        for place in &awake[1..] {
            go(&mut gate, place, at);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_calls_off_those_that_were_called() {
        let (mut gate, now) = open(2);
        let passes = [gate.enter(NORMAL).unwrap(), gate.enter(NORMAL).unwrap()];
        let place = gate.queue(NORMAL, now, now + 2 * MINUTE).unwrap();
        gate.report(passes[0], Completion::Unused, now);
        gate.report(passes[1], refused(wait(10), now), now);
        assert!(matches!(gate.turn(place.ticket, now), WaitDecision::WaitUntil(at) if at == now + 10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_of_a_call_from_before_the_closure_does_not_close_the_gate_again() {
        let now = Instant::now();
        let mut gate = LimiterState::new(LimitHeaders::Unsure);
        let passes = [gate.enter(NORMAL).unwrap(), gate.enter(NORMAL).unwrap()];
        gate.report(passes[0], refused(wait(10), now), now);
        let place = gate.queue(NORMAL, now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        let probe = go(&mut gate, &place, reset);
        gate.report(probe, accepted(RateLimitHeaders::default(), reset), reset);
        gate.report(passes[1], refused(wait(10), now), reset);
        assert!(gate.enter(NORMAL).is_some());
    }
}
