//! The gate of a budget: who may send now, who waits, and in which order they go.
//!
//! Pure: time comes in as a value, and what to do comes out. The waiting itself is the budget's.
//!
//! While the gate is open, calls pass without queueing. A 429 closes it for everybody until the reset. Then the first
//! in the queue probes alone; when the vendor takes the probe, the others follow one by one, spread over a moment.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::signals::Signals;

/// How long a turn may stay unused before the next in line takes it. A caller whose future is not polled, or a probe
/// whose answer does not come, must not hold up the tenant.
const PATIENCE: Duration = Duration::from_secs(1);
const PROBE_PATIENCE: Duration = Duration::from_secs(30);
/// After a refusal without a usable reset: doubled with each refusal in a row.
const MIN_CLOSURE: Duration = Duration::from_millis(500);
const MAX_CLOSURE: Duration = Duration::from_secs(60);
/// The queue follows a successful probe within this part of the closure, at most a second.
const SPREAD: u32 = 10;
const MAX_SPREAD: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Gate {
    phase: Phase,
    queue: VecDeque<Waiter>,
    next_ticket: u64,
    in_flight: u32,
    refusals: u32,
    /// Counts closures, so that answers to calls sent before one are told from those after it.
    era: u64,
    /// How long the gate was last closed.
    closure: Duration,
    known: Known,
}

/// What the vendor last said. Nothing is assumed to hold after `reset_at`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) limit: Option<u64>,
    pub(super) remaining: Option<u64>,
    pub(super) reset_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Open,
    Closed { until: Instant },
    Probing { since: Instant },
    Draining { next: Instant, gap: Duration },
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    latest: Instant,
    wake: Arc<Notify>,
}

/// A place in the queue.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) ticket: u64,
    pub(super) wake: Arc<Notify>,
}

/// The right to send one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pass {
    era: u64,
    probe: bool,
}

/// What a caller may do now.
#[derive(Debug)]
pub(super) enum Turn {
    /// Send.
    Go(Pass),
    /// Nothing until then, or until woken.
    WaitUntil(Instant),
    /// There will be no room before then, which is later than the caller can wait.
    GiveUp(Instant),
}

/// How a call that had a pass ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Report {
    /// The vendor took it.
    Accepted(Signals),
    /// The vendor refused it with 429.
    Refused(Signals),
    /// Nobody knows: cancelled, or no answer.
    Unanswered,
}

impl Gate {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Open,
            queue: VecDeque::new(),
            next_ticket: 0,
            in_flight: 0,
            refusals: 0,
            era: 0,
            closure: Duration::ZERO,
            known: Known::default(),
        }
    }

    pub(super) fn known(&self) -> Known {
        self.known
    }

    pub(super) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Until when the gate is closed.
    pub(super) fn closed_until(&self, now: Instant) -> Option<Instant> {
        match self.phase {
            Phase::Closed { until } if until > now => Some(until),
            _ => None,
        }
    }

    /// Passes at once if the gate is open: the common case.
    pub(super) fn enter(&mut self) -> Option<Pass> {
        (self.phase == Phase::Open && self.queue.is_empty()).then(|| self.pass(false))
    }

    /// Queues up a caller that can wait until `latest`, unless there is no point.
    pub(super) fn queue(&mut self, now: Instant, latest: Instant) -> Result<Place, Instant> {
        let expected = self.expected(now);
        if latest < expected {
            return Err(expected);
        }
        let place = Place { ticket: self.next_ticket, wake: Arc::new(Notify::new()) };
        self.next_ticket += 1;
        self.queue.push_back(Waiter { ticket: place.ticket, latest, wake: Arc::clone(&place.wake) });
        Ok(place)
    }

    /// What the holder of `ticket` may do now.
    pub(super) fn turn(&mut self, ticket: u64, now: Instant) -> Turn {
        let Ok(index) = self.place(ticket) else {
            // Only a holder removes its own ticket, so this is a second question after the answer.
            return Turn::GiveUp(now);
        };
        let latest = self.queue[index].latest;
        let due = match self.phase {
            Phase::Open => now,
            Phase::Closed { until } => until,
            Phase::Probing { since } => since + PROBE_PATIENCE,
            Phase::Draining { next, .. } => next,
        };
        if let Phase::Closed { until } = self.phase
            && latest < until
        {
            self.leave(ticket);
            return Turn::GiveUp(until);
        }
        let due = if index == 0 { due } else { due + PATIENCE };
        if now >= due {
            self.queue.remove(index);
            return Turn::Go(self.admit(now));
        }
        if now >= latest {
            self.leave(ticket);
            // How long a probe takes nobody knows.
            let probing = matches!(self.phase, Phase::Probing { .. });
            return Turn::GiveUp(if probing { now + PATIENCE } else { due });
        }
        Turn::WaitUntil(due.min(latest))
    }

    /// Takes the holder of `ticket` out of the queue; harmless when it has left.
    pub(super) fn leave(&mut self, ticket: u64) {
        let Ok(index) = self.place(ticket) else { return };
        self.queue.remove(index);
        if index == 0 {
            self.wake_first();
        }
        self.settle();
    }

    /// Takes back a pass.
    pub(super) fn report(&mut self, pass: Pass, report: Report, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match report {
            Report::Accepted(signals) => {
                self.learn(signals, now);
                // An answer to a call sent before the gate closed says nothing about now.
                if pass.era == self.era {
                    self.refusals = 0;
                }
                if pass.probe && matches!(self.phase, Phase::Probing { .. }) {
                    self.drain(now);
                }
            }
            Report::Refused(signals) => {
                self.learn(signals, now);
                self.close(pass, signals, now);
            }
            Report::Unanswered => {
                if pass.probe && matches!(self.phase, Phase::Probing { .. }) {
                    // The next in line probes instead.
                    self.phase = Phase::Closed { until: now };
                    self.wake_first();
                }
            }
        }
    }

    fn learn(&mut self, signals: Signals, now: Instant) {
        self.known.limit = signals.limit.or(self.known.limit);
        self.known.remaining = signals.remaining.or(self.known.remaining);
        if let Some(reset) = signals.reset {
            self.known.reset_at = Some(now + reset);
        }
    }

    fn close(&mut self, pass: Pass, signals: Signals, now: Instant) {
        // Of the calls that were under way together only the first refusal counts.
        if pass.era == self.era {
            self.refusals += 1;
            self.era += 1;
        }
        let until = now + self.closure_for(signals);
        let until = self.closed_until(now).map_or(until, |closed| closed.max(until));
        self.closure = until - now;
        self.phase = Phase::Closed { until };
        for waiter in self.queue.iter().filter(|waiter| waiter.latest < until) {
            waiter.wake.notify_one();
        }
        self.wake_first();
    }

    /// What the vendor asks for, unless that is so short that taking it would be knocking without pause.
    fn closure_for(&self, signals: Signals) -> Duration {
        match signals.wait() {
            Some(wait) if wait >= MIN_CLOSURE => wait,
            _ => MIN_CLOSURE.saturating_mul(1 << self.refusals.saturating_sub(1).min(16)).min(MAX_CLOSURE),
        }
    }

    fn drain(&mut self, now: Instant) {
        let waiting = u32::try_from(self.queue.len()).unwrap_or(u32::MAX).max(1);
        let gap = (self.closure / SPREAD).min(MAX_SPREAD) / waiting;
        self.phase = Phase::Draining { next: now, gap };
        self.settle();
        self.wake_first();
    }

    /// Lets one out of the queue.
    fn admit(&mut self, now: Instant) -> Pass {
        let probe = match self.phase {
            Phase::Open => false,
            Phase::Closed { .. } | Phase::Probing { .. } => {
                self.phase = Phase::Probing { since: now };
                true
            }
            Phase::Draining { gap, .. } => {
                self.phase = Phase::Draining { next: now + gap, gap };
                false
            }
        };
        self.settle();
        self.wake_first();
        self.pass(probe)
    }

    /// An empty queue ends the draining; a closure that has passed stays until somebody probes.
    fn settle(&mut self) {
        if self.queue.is_empty() && matches!(self.phase, Phase::Draining { .. }) {
            self.phase = Phase::Open;
        }
    }

    fn pass(&mut self, probe: bool) -> Pass {
        self.in_flight += 1;
        Pass { era: self.era, probe }
    }

    /// Where a ticket stands in the queue, which is sorted by them.
    fn place(&self, ticket: u64) -> Result<usize, usize> {
        self.queue.binary_search_by_key(&ticket, |waiter| waiter.ticket)
    }

    fn wake_first(&self) {
        if let Some(first) = self.queue.front() {
            first.wake.notify_one();
        }
    }

    /// When somebody who queues up now can expect to go, as far as that is known.
    fn expected(&self, now: Instant) -> Instant {
        match self.phase {
            Phase::Open | Phase::Probing { .. } => now,
            Phase::Closed { until } => until.max(now),
            Phase::Draining { next, gap } => {
                next.max(now) + gap.saturating_mul(u32::try_from(self.queue.len()).unwrap_or(u32::MAX))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    fn wait(seconds: u64) -> Signals {
        Signals { retry_after: Some(Duration::from_secs(seconds)), ..Signals::default() }
    }

    /// A gate that a refusal has closed for ten seconds.
    fn closed(now: Instant) -> Gate {
        let mut gate = Gate::new();
        let pass = gate.enter().unwrap();
        gate.report(pass, Report::Refused(wait(10)), now);
        gate
    }

    fn go(gate: &mut Gate, place: &Place, now: Instant) -> Pass {
        match gate.turn(place.ticket, now) {
            Turn::Go(pass) => pass,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_open_gate_lets_everybody_pass() {
        let mut gate = Gate::new();
        assert!((0..1000).all(|_| gate.enter().is_some()));
        assert_eq!(gate.in_flight(), 1000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_closes_the_gate_for_everybody_until_the_reset() {
        let now = Instant::now();
        let mut gate = closed(now);
        assert!(gate.enter().is_none());
        assert_eq!(gate.closed_until(now), Some(now + 10 * SECOND));
        let place = gate.queue(now, now + MINUTE).unwrap();
        assert!(matches!(gate.turn(place.ticket, now), Turn::WaitUntil(at) if at == now + 10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn who_cannot_wait_for_the_reset_is_told_at_once_when_it_comes() {
        let now = Instant::now();
        let mut gate = closed(now);
        assert_eq!(gate.queue(now, now + 9 * SECOND).unwrap_err(), now + 10 * SECOND);
        assert_eq!(gate.waiting(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_reset_one_probes_and_the_rest_follow_in_order_and_spread() {
        let now = Instant::now();
        let mut gate = closed(now);
        let places: Vec<Place> = (0..5).map(|_| gate.queue(now, now + MINUTE).unwrap()).collect();
        let reset = now + 10 * SECOND;

        let probe = go(&mut gate, &places[0], reset);
        assert!(probe.probe);
        assert!(matches!(gate.turn(places[1].ticket, reset), Turn::WaitUntil(at) if at > reset + SECOND));

        let answered = reset + SECOND / 10;
        gate.report(probe, Report::Accepted(Signals::default()), answered);
        let mut at = answered;
        for place in &places[1..] {
            let pass = go(&mut gate, place, at);
            assert!(!pass.probe);
            if let Turn::WaitUntil(next) = gate.turn(places[4].ticket, at) {
                assert!(next > at, "the next goes later");
            }
            at += SECOND / 4;
        }
        assert!(gate.enter().is_some(), "an empty queue opens the gate");
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_overtakes_the_queue() {
        let now = Instant::now();
        let mut gate = closed(now);
        let first = gate.queue(now, now + MINUTE).unwrap();
        let second = gate.queue(now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        assert!(gate.enter().is_none());
        assert!(matches!(gate.turn(second.ticket, reset), Turn::WaitUntil(_)));
        go(&mut gate, &first, reset);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_probe_closes_the_gate_again_and_tells_those_who_cannot_wait() {
        let now = Instant::now();
        let mut gate = closed(now);
        let probe = gate.queue(now, now + MINUTE).unwrap();
        let hasty = gate.queue(now, now + 15 * SECOND).unwrap();
        let patient = gate.queue(now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        let pass = go(&mut gate, &probe, reset);
        gate.report(pass, Report::Refused(wait(10)), reset);
        assert!(matches!(gate.turn(hasty.ticket, reset), Turn::GiveUp(at) if at == reset + 10 * SECOND));
        assert!(matches!(gate.turn(patient.ticket, reset), Turn::WaitUntil(at) if at == reset + 10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn a_cancelled_probe_is_followed_by_the_next_in_line() {
        let now = Instant::now();
        let mut gate = closed(now);
        let first = gate.queue(now, now + MINUTE).unwrap();
        let second = gate.queue(now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        let pass = go(&mut gate, &first, reset);
        gate.report(pass, Report::Unanswered, reset);
        assert!(go(&mut gate, &second, reset).probe);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_nobody_polls_does_not_hold_up_the_others() {
        let now = Instant::now();
        let mut gate = closed(now);
        let _asleep = gate.queue(now, now + MINUTE).unwrap();
        let awake = gate.queue(now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        assert!(matches!(gate.turn(awake.ticket, reset), Turn::WaitUntil(at) if at == reset + PATIENCE));
        assert!(go(&mut gate, &awake, reset + PATIENCE).probe);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_whose_answer_does_not_come_is_replaced() {
        let now = Instant::now();
        let mut gate = closed(now);
        let first = gate.queue(now, now + 5 * MINUTE).unwrap();
        let second = gate.queue(now, now + 5 * MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        go(&mut gate, &first, reset);
        go(&mut gate, &second, reset + PROBE_PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_without_a_reset_close_for_longer_each_time() {
        let mut now = Instant::now();
        let mut gate = Gate::new();
        let mut pass = gate.enter().unwrap();
        for seconds in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            gate.report(pass, Report::Refused(Signals::default()), now);
            assert_eq!(gate.closed_until(now).unwrap() - now, Duration::from_secs_f64(seconds));
            let place = gate.queue(now, now + 5 * MINUTE).unwrap();
            now = gate.closed_until(now).unwrap();
            pass = go(&mut gate, &place, now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_refused_together_count_as_one_refusal() {
        let now = Instant::now();
        let mut gate = Gate::new();
        let passes: Vec<Pass> = (0..50).map(|_| gate.enter().unwrap()).collect();
        for pass in passes {
            gate.report(pass, Report::Refused(Signals::default()), now);
        }
        assert_eq!(gate.closed_until(now), Some(now + MIN_CLOSURE));
        assert_eq!(gate.in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_late_answer_from_before_the_closure_does_not_open_the_gate() {
        let now = Instant::now();
        let mut gate = Gate::new();
        let early = gate.enter().unwrap();
        let refused = gate.enter().unwrap();
        gate.report(refused, Report::Refused(wait(10)), now);
        gate.report(early, Report::Accepted(Signals::default()), now);
        assert!(gate.enter().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_teaches_and_silence_forgets_nothing() {
        let now = Instant::now();
        let mut gate = Gate::new();
        let told = Signals { limit: Some(100), remaining: Some(9), reset: Some(SECOND), retry_after: None };
        for signals in [told, Signals::default()] {
            let pass = gate.enter().unwrap();
            gate.report(pass, Report::Accepted(signals), now);
        }
        let known = gate.known();
        assert_eq!((known.limit, known.remaining, known.reset_at), (Some(100), Some(9), Some(now + SECOND)));
    }
}
