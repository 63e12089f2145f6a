//! The gate of a budget: who may send now, who waits, and in which order they go.
//!
//! Pure: time comes in as a value, and what to do comes out. The waiting itself is the budget's.
//!
//! While the gate is open, calls pass without queueing. A 429 closes it for everybody until the reset. Then the first
//! in the queue probes alone. When the vendor takes the probe, each of the others gets a moment of its own within a
//! short spread, in the order in which they came; whoever comes meanwhile goes at the end of it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::signals::Signals;

/// How long the turn to probe may stay unused before the next in line takes it. A caller whose future is not polled
/// must not hold up the tenant, and neither must a probe whose answer does not come.
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
    /// Who waits, sorted by ticket.
    queue: VecDeque<Waiter>,
    next_ticket: u64,
    in_flight: u32,
    /// Refusals in a row.
    refusals: u32,
    /// Counts closures, so that answers to calls sent before one are told from those after it.
    era: u64,
    /// Counts probes, so that one that was replaced is told from its replacement.
    probes: u64,
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
    Spreading { ends: Instant },
}

#[derive(Debug)]
struct Waiter {
    ticket: u64,
    latest: Instant,
    /// Its moment in a spread.
    slot: Option<Instant>,
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
    /// The number of the probe, if it is one.
    probe: Option<u64>,
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
            probes: 0,
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

    /// Passes at once if the gate is open: the common case, which reads no clock.
    pub(super) fn enter(&mut self) -> Option<Pass> {
        (self.phase == Phase::Open).then(|| self.pass(None))
    }

    /// Queues up a caller that can wait until `latest`, unless there is no point.
    pub(super) fn queue(&mut self, now: Instant, latest: Instant) -> Result<Place, Instant> {
        match self.phase {
            Phase::Closed { until } if latest < until => return Err(until),
            Phase::Probing { .. } if latest <= now => return Err(now + PATIENCE),
            Phase::Spreading { ends } if latest <= now && now < ends => return Err(ends),
            _ => {}
        }
        let place = Place { ticket: self.next_ticket, wake: Arc::new(Notify::new()) };
        self.next_ticket += 1;
        self.queue.push_back(Waiter { ticket: place.ticket, latest, slot: None, wake: Arc::clone(&place.wake) });
        Ok(place)
    }

    /// What the holder of `ticket` may do now.
    pub(super) fn turn(&mut self, ticket: u64, now: Instant) -> Turn {
        let Ok(index) = self.place(ticket) else {
            // Only a holder removes its own ticket, so this is a second question after the answer.
            return Turn::GiveUp(now);
        };
        let Waiter { latest, slot, .. } = self.queue[index];
        let patience = if index == 0 { Duration::ZERO } else { PATIENCE };
        let due = match self.phase {
            Phase::Open => now,
            Phase::Closed { until } if latest < until => {
                self.leave(ticket);
                return Turn::GiveUp(until);
            }
            Phase::Closed { until } => (until + patience).min(latest),
            Phase::Probing { since } => since + PROBE_PATIENCE + patience,
            Phase::Spreading { ends } => slot.unwrap_or(ends),
        };
        if now >= due {
            self.queue.remove(index);
            return Turn::Go(self.admit(now));
        }
        if now >= latest && !matches!(self.phase, Phase::Closed { .. }) {
            // It has waited for the reset, and the reset has come: what is left is our own caution.
            self.queue.remove(index);
            return Turn::Go(self.pass(None));
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
    }

    /// Takes back a pass.
    pub(super) fn report(&mut self, pass: Pass, report: Report, now: Instant) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let probing = matches!(self.phase, Phase::Probing { .. });
        match report {
            Report::Accepted(signals) => {
                self.learn(signals, now);
                // An answer to a call sent before the gate closed says nothing about now.
                if pass.era == self.era {
                    self.refusals = 0;
                }
                if probing && pass.probe.is_some() {
                    self.spread(now);
                }
            }
            Report::Refused(signals) => {
                self.learn(signals, now);
                self.close(pass, signals, now);
            }
            Report::Unanswered => {
                if probing && pass.probe == Some(self.probes) {
                    // The next in line probes instead.
                    self.phase = Phase::Closed { until: now };
                    self.wake_all();
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
        let first = pass.era == self.era;
        if first {
            self.refusals += 1;
            self.era += 1;
        }
        let until = now + self.closure_for(signals);
        let until = self.closed_until(now).map_or(until, |closed| closed.max(until));
        self.closure = until - now;
        self.phase = Phase::Closed { until };
        if first {
            // Everybody waits for something else now, or for nothing any more.
            self.wake_all();
        }
    }

    /// What the vendor asks for, unless that is so short that taking it would be knocking without pause.
    fn closure_for(&self, signals: Signals) -> Duration {
        match signals.wait() {
            Some(wait) if wait >= MIN_CLOSURE => wait,
            _ => MIN_CLOSURE.saturating_mul(1 << self.refusals.saturating_sub(1).min(16)).min(MAX_CLOSURE),
        }
    }

    /// Gives each in the queue its moment.
    fn spread(&mut self, now: Instant) {
        let Ok(waiting @ 1..) = u32::try_from(self.queue.len()) else {
            self.phase = Phase::Open;
            return;
        };
        let span = (self.closure / SPREAD).min(MAX_SPREAD);
        for (waiter, index) in self.queue.iter_mut().zip(0_u32..) {
            waiter.slot = Some(now + span * index / waiting);
        }
        self.phase = Phase::Spreading { ends: now + span };
        self.wake_all();
    }

    /// Lets one go whose turn it is.
    fn admit(&mut self, now: Instant) -> Pass {
        match self.phase {
            Phase::Closed { .. } | Phase::Probing { .. } => {
                self.phase = Phase::Probing { since: now };
                self.probes += 1;
                self.pass(Some(self.probes))
            }
            Phase::Spreading { ends } if now >= ends => {
                self.phase = Phase::Open;
                self.pass(None)
            }
            Phase::Open | Phase::Spreading { .. } => self.pass(None),
        }
    }

    fn pass(&mut self, probe: Option<u64>) -> Pass {
        self.in_flight += 1;
        Pass { era: self.era, probe }
    }

    /// Where a ticket stands in the queue.
    fn place(&self, ticket: u64) -> Result<usize, usize> {
        self.queue.binary_search_by_key(&ticket, |waiter| waiter.ticket)
    }

    fn wake_first(&self) {
        if let Some(first) = self.queue.front() {
            first.wake.notify_one();
        }
    }

    fn wake_all(&self) {
        for waiter in &self.queue {
            waiter.wake.notify_one();
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
        assert!(probe.probe.is_some());
        assert!(matches!(gate.turn(places[1].ticket, reset), Turn::WaitUntil(at) if at > reset + SECOND));

        let answered = reset + SECOND / 10;
        gate.report(probe, Report::Accepted(Signals::default()), answered);
        for (place, quarters) in places[1..].iter().zip(0..) {
            let slot = answered + quarters * SECOND / 4;
            if quarters > 0 {
                assert!(matches!(gate.turn(place.ticket, answered), Turn::WaitUntil(at) if at == slot));
            }
            assert!(go(&mut gate, place, slot).probe.is_none());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_comes_during_the_spread_goes_at_its_end_and_opens_the_gate() {
        let now = Instant::now();
        let mut gate = closed(now);
        let probe = gate.queue(now, now + MINUTE).unwrap();
        let _asleep = gate.queue(now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        let pass = go(&mut gate, &probe, reset);
        gate.report(pass, Report::Accepted(Signals::default()), reset);
        assert!(gate.enter().is_none());
        let late = gate.queue(reset, now + MINUTE).unwrap();
        assert!(matches!(gate.turn(late.ticket, reset), Turn::WaitUntil(at) if at == reset + SECOND));
        go(&mut gate, &late, reset + SECOND);
        assert!(gate.enter().is_some(), "whoever sleeps in the queue does not keep it closed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_closure_that_has_passed_turns_nobody_away() {
        let now = Instant::now();
        let mut gate = closed(now);
        let begun = now + MINUTE;
        let place = gate.queue(begun + Duration::from_nanos(1), begun).unwrap();
        assert!(go(&mut gate, &place, begun + Duration::from_nanos(1)).probe.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_waited_for_the_reset_goes_when_its_time_is_up_and_does_not_fail() {
        let now = Instant::now();
        let mut gate = closed(now);
        let probe = gate.queue(now, now + MINUTE).unwrap();
        let hasty = gate.queue(now, now + 10 * SECOND).unwrap();
        let reset = now + 10 * SECOND;
        go(&mut gate, &probe, reset);
        assert!(go(&mut gate, &hasty, reset).probe.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_replaced_does_not_undo_its_replacement() {
        let now = Instant::now();
        let mut gate = closed(now);
        let places: Vec<Place> = (0..3).map(|_| gate.queue(now, now + 5 * MINUTE).unwrap()).collect();
        let reset = now + 10 * SECOND;
        let stale = go(&mut gate, &places[0], reset);
        let replaced = reset + PROBE_PATIENCE;
        go(&mut gate, &places[1], replaced);
        gate.report(stale, Report::Unanswered, replaced);
        assert!(matches!(gate.turn(places[2].ticket, replaced), Turn::WaitUntil(_)));
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
        assert!(go(&mut gate, &second, reset).probe.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_nobody_polls_does_not_hold_up_the_others() {
        let now = Instant::now();
        let mut gate = closed(now);
        let _asleep = gate.queue(now, now + MINUTE).unwrap();
        let awake = gate.queue(now, now + MINUTE).unwrap();
        let reset = now + 10 * SECOND;
        assert!(matches!(gate.turn(awake.ticket, reset), Turn::WaitUntil(at) if at == reset + PATIENCE));
        assert!(go(&mut gate, &awake, reset + PATIENCE).probe.is_some());
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
