//! The state of a rate limiter: which calls may be sent, which wait, and in what order they continue.
//!
//! Pure: time comes in as a value, and decisions come out. Waiting happens in the [rate limiter](super::RateLimiter).
//!
//! Only the vendor's word closes the limiter: a window with nothing left, or a refusal. What is only a guess slows it to one
//! call at a time, and never to none.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::acquire_request::AcquireRequest;
use super::headers::RateLimitHeaders;
use super::pacing::Pacing;
use super::queue::{Queue, Standing};
use super::response_kind::ResponseKind;
use super::window::{ReceivedResponse, Sent, Window};
use crate::priority::Priority;
use crate::vendor::LimitHeaders;

/// How long the response to a probe may take before another call probes; doubled with each that does not come.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_PROBE_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after a probe that failed, doubled with each failure in a row.
const PROBE_PAUSE: Duration = Duration::from_millis(500);
const MAX_PROBE_PAUSE: Duration = Duration::from_secs(4);
/// After so many first probes without a response there is nothing to be learned from probing.
const FIRST_PROBES: u32 = 3;
/// The pause after a refusal without a usable reset, doubled with each refusal in a row.
const MIN_PAUSE: Duration = Duration::from_millis(500);
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// As far ahead as any forecast looks.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

#[derive(Debug)]
pub(super) struct LimiterState {
    phase: Phase,
    window: Window,
    queue: Queue,
    pacing: Pacing,
    /// Refusals in a row, and the number of pauses, which separates responses to calls before one from those after it.
    refusals: u32,
    epoch: u64,
    /// Counts probes, so that one that was replaced is not taken for its replacement.
    probes: u64,
    /// Probes in a row that failed, or did not get a response.
    failed_probes: u32,
    /// How long the last pause was; zero after a window that ended by itself.
    pause: Duration,
    /// Since when guesses alone have held calls back.
    guessing_since: Option<Instant>,
    /// When the driver will look again.
    driver: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    /// Calls are sent as the window and the pace allow.
    Open,
    /// The next call asks alone, from this moment on.
    ProbeNext { from: Option<Instant>, why: ProbeReason },
    /// It is on its way.
    Probing { since: Instant, why: ProbeReason },
    /// The vendor asked for a pause.
    Paused { until: Instant, word: VendorWord },
}

/// Why one call asks alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ProbeReason {
    /// The vendor is known to report its limit, and has reported nothing yet.
    First,
    /// The window is over, and was used up.
    NewWindow,
    /// A pause is over.
    Pause,
}

/// What the vendor said, if it asked for a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum VendorWord {
    /// It refused a call because of its limit.
    RateLimited,
    /// It is down, and said until when.
    Outage,
}

/// The right to send one request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Reservation {
    sent: Sent,
    epoch: u64,
    /// The number of the probe, if it is one.
    probe: Option<u64>,
    /// Its place in the order of arrival.
    pub(super) place: u64,
}

/// A place in the queue.
#[derive(Debug)]
pub(super) struct QueuePosition {
    pub(super) ticket: u64,
    pub(super) wake: Arc<Notify>,
}

/// What a waiter may do now.
#[derive(Debug)]
pub(super) enum WaitDecision {
    Send(Reservation),
    /// Nothing until it is woken, or until this moment.
    Wait(Instant),
    /// There will be no room before this moment, which is too late for it.
    GiveUp(Instant),
}

/// How a call that had a reservation ended.
#[derive(Clone, Copy, Debug)]
pub(super) enum Completion {
    /// The vendor responded to it.
    Responded { sent_at: Instant, headers: RateLimitHeaders, kind: ResponseKind },
    /// It may have arrived, and there is no response.
    Failed,
    /// It was sent and did not arrive.
    NotSent,
    /// Its caller is gone. It may have arrived.
    Canceled,
    /// Its caller did not send it.
    Unused,
}

impl LimiterState {
    /// The state before the first call to a vendor that is known to report its limit, or is not.
    pub(super) fn new(headers: LimitHeaders) -> Self {
        Self {
            phase: match headers {
                LimitHeaders::Sent => Phase::ProbeNext { from: None, why: ProbeReason::First },
                LimitHeaders::Unsure => Phase::Open,
            },
            window: Window::default(),
            queue: Queue::default(),
            pacing: Pacing::default(),
            refusals: 0,
            epoch: 0,
            probes: 0,
            failed_probes: 0,
            pause: Duration::ZERO,
            guessing_since: None,
            driver: None,
        }
    }

    pub(super) fn window(&self) -> &Window {
        &self.window
    }

    pub(super) fn waiting_at(&self, priority: Priority) -> usize {
        self.queue.len(priority.index())
    }

    /// Until when calls pause because the vendor said so, and what it said.
    pub(super) fn paused_until(&self, now: Instant) -> Option<(Instant, VendorWord)> {
        match self.phase {
            Phase::Paused { until, word } if until > now => Some((until, word)),
            _ => None,
        }
    }

    /// The rate that was learned from refusals, in calls a second.
    pub(super) fn learned_rate(&self) -> Option<f64> {
        self.pacing.learned_rate()
    }

    /// Reserves a slot at once if there is room: the common case, which reads no clock.
    pub(super) fn try_acquire(&mut self, request: AcquireRequest) -> Option<Reservation> {
        let is_free = self.phase == Phase::Open && self.pacing.is_free() && !self.queue.is_waiting();
        (is_free && self.window.room(request) > 0 && !self.window.has_external()).then(|| self.reserve(request, None))
    }

    /// Reserves a slot at once if there is room now, or else adds a waiter to the queue.
    ///
    /// # Errors
    ///
    /// The moment at which there will be room, if that is known and too late for the caller.
    pub(super) fn enqueue(
        &mut self,
        request: AcquireRequest,
        now: Instant,
    ) -> Result<Result<Reservation, QueuePosition>, Instant> {
        self.dispatch(now);
        if now >= request.send_before {
            return Err(self.room_at(request, self.queue.end(), now).unwrap_or(now));
        }
        if !self.queue.is_waiting() && self.is_open() && self.may_send(request, now) {
            return Ok(Ok(self.send(request, now)));
        }
        let ticket = request.place.unwrap_or_else(|| self.queue.end());
        let room_at = match self.phase {
            // What the probe finds decides. A caller that cannot wait for it has to come back.
            Phase::Probing { why: ProbeReason::NewWindow | ProbeReason::Pause, .. } if request.wait_until <= now => {
                Some(now + self.window.round_trip().max(PROBE_PAUSE))
            }
            _ => self.room_at(request, ticket, now),
        };
        if let Some(room_at) = room_at.filter(|room_at| request.is_too_late(*room_at)) {
            return Err(room_at);
        }
        let (ticket, wake) = self.queue.push(request, request.place);
        self.dispatch(now);
        Ok(Err(QueuePosition { ticket, wake }))
    }

    /// What a waiter may do now.
    pub(super) fn claim(&mut self, request: AcquireRequest, ticket: u64, now: Instant) -> WaitDecision {
        self.dispatch(now);
        let lane = request.lane();
        match self.queue.standing(lane, ticket) {
            // Only a waiter removes its own ticket, so it asks twice.
            None => return WaitDecision::GiveUp(now),
            Some(Standing::TooLate(moment)) if now < moment => {
                self.queue.remove(lane, ticket);
                return WaitDecision::GiveUp(moment);
            }
            Some(Standing::Offered { is_expected })
                if now < request.send_before && self.may_claim(request, is_expected, now) =>
            {
                self.queue.remove(lane, ticket);
                let request = AcquireRequest { place: Some(ticket), ..request };
                return WaitDecision::Send(if is_expected {
                    self.send_offered(request, now)
                } else {
                    self.send(request, now)
                });
            }
            Some(Standing::Offered { .. } | Standing::TooLate(_)) => self.queue.wait_again(lane, ticket),
            Some(Standing::Waiting) => {}
        }
        if now >= request.send_before || now >= request.wait_until {
            return self.end_wait(request, ticket, now);
        }
        WaitDecision::Wait(request.wait_until.min(request.send_before))
    }

    /// A waiter leaves the queue.
    pub(super) fn leave(&mut self, request: AcquireRequest, ticket: u64, now: Instant) {
        self.queue.remove(request.lane(), ticket);
        self.dispatch(now);
    }

    /// A waiter can wait no longer.
    fn end_wait(&mut self, request: AcquireRequest, ticket: u64, now: Instant) -> WaitDecision {
        self.queue.remove(request.lane(), ticket);
        let request = AcquireRequest { place: Some(ticket), ..request };
        let decision = match self.phase {
            _ if now >= request.send_before => WaitDecision::GiveUp(self.later(request, now)),
            Phase::Paused { until, .. } => WaitDecision::GiveUp(until),
            // It has waited for the reset, and the reset has come. What holds it back is our caution alone.
            Phase::ProbeNext { .. } | Phase::Probing { .. } if self.window.exhausted_until(request, now).is_none() => {
                WaitDecision::Send(self.send(request, now))
            }
            Phase::Open if self.pacing.is_ramp() && self.window.room_at(request, now) > 0 => {
                WaitDecision::Send(self.send(request, now))
            }
            _ => WaitDecision::GiveUp(self.later(request, now)),
        };
        self.dispatch(now);
        decision
    }

    /// When a caller that gives up now should come back.
    fn later(&self, request: AcquireRequest, now: Instant) -> Instant {
        let soon = now + self.window.round_trip().max(PROBE_PAUSE);
        self.room_at(request, self.queue.end(), now).unwrap_or(soon)
    }

    fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Whether one more such call may be sent, besides those that were offered a slot.
    fn may_send(&self, request: AcquireRequest, now: Instant) -> bool {
        self.has_room(request, self.queue.offers(), now) && self.pacing.is_ready(request, now)
    }

    /// Whether the window has room for a call besides `others`. Guesses alone let one call at a time pass.
    fn has_room(&self, request: AcquireRequest, others: u64, now: Instant) -> bool {
        self.window.slow_rate().is_some() && self.window.exhausted_until(request, now).is_none()
            || self.window.room_at(request, now) > others
            || (others == 0 && self.may_test_guess(request, now))
    }

    /// Whether a call may be sent to find out if guesses are right that say that there is no room.
    fn may_test_guess(&self, request: AcquireRequest, now: Instant) -> bool {
        self.window.is_held_back_by_guesses(request, now)
            && (self.window.in_flight() == 0 || self.guessing_since.is_some_and(|at| now >= at + PROBE_TIMEOUT))
    }

    /// Whether a waiter may claim a slot.
    fn may_claim(&self, request: AcquireRequest, is_expected: bool, now: Instant) -> bool {
        match self.phase {
            Phase::Paused { .. } | Phase::Probing { .. } => false,
            Phase::ProbeNext { from, .. } => {
                from.is_none_or(|from| from <= now) && (is_expected || self.queue.offers() == 0)
            }
            // It was offered the slot, so its own offer is not in its way, and the pace has counted it.
            Phase::Open if is_expected => self.has_room(request, 0, now),
            Phase::Open => self.may_send(request, now),
        }
    }

    /// Sends a call that the pace has not counted yet.
    fn send(&mut self, request: AcquireRequest, now: Instant) -> Reservation {
        self.pacing.take(request, now);
        self.send_offered(request, now)
    }

    fn send_offered(&mut self, request: AcquireRequest, now: Instant) -> Reservation {
        let tests_guess = self.is_open() && self.window.is_known() && self.window.room(request) == 0;
        self.guessing_since = tests_guess.then_some(now);
        let probe = match self.phase {
            Phase::ProbeNext { why, .. } | Phase::Probing { why, .. } => {
                self.phase = Phase::Probing { since: now, why };
                self.probes += 1;
                Some(self.probes)
            }
            Phase::Open | Phase::Paused { .. } => None,
        };
        self.reserve(request, probe)
    }

    fn reserve(&mut self, request: AcquireRequest, probe: Option<u64>) -> Reservation {
        let place = request.place.unwrap_or_else(|| self.queue.next_place());
        Reservation { sent: self.window.send(), epoch: self.epoch, probe, place }
    }

    /// Takes back a reservation.
    pub(super) fn complete(&mut self, reservation: Reservation, completion: Completion, now: Instant) {
        self.pass_time(now);
        let reset_at = self.window.reset_at();
        let mut changed = false;
        match completion {
            Completion::Responded { sent_at, headers, kind } => {
                changed = self.on_response(reservation, sent_at, headers, kind, now);
            }
            Completion::Failed => {
                self.window.on_failure(reservation.sent);
                self.on_failed_call(reservation, now);
            }
            Completion::NotSent => {
                self.window.end(reservation.sent);
                self.on_failed_call(reservation, now);
            }
            Completion::Canceled => {
                self.window.on_failure(reservation.sent);
                self.repeat_probe(reservation);
            }
            Completion::Unused => {
                self.window.end(reservation.sent);
                self.repeat_probe(reservation);
            }
        }
        self.update_pace(now);
        if self.queue.is_empty() {
            return;
        }
        if changed || reset_at != self.window.reset_at() {
            self.refuse_late(now);
        }
        self.dispatch(now);
    }

    fn on_response(
        &mut self,
        reservation: Reservation,
        sent_at: Instant,
        headers: RateLimitHeaders,
        kind: ResponseKind,
        now: Instant,
    ) -> bool {
        let has_failed = matches!(kind, ResponseKind::Unavailable | ResponseKind::Failed);
        let says_nothing = has_failed && headers.remaining.is_none();
        let mut changed = false;
        if says_nothing {
            self.window.on_failure(reservation.sent);
        } else {
            let response = ReceivedResponse {
                sent: reservation.sent,
                sent_at,
                headers,
                is_refused: kind == ResponseKind::Refused,
            };
            changed = self.window.on_response(&response, now);
        }
        match kind {
            ResponseKind::Refused => {
                self.on_refused(reservation, headers, now);
                return true;
            }
            ResponseKind::Unavailable | ResponseKind::Failed => {
                // Of any other failure it is how long to wait before this call is repeated, and says nothing of others.
                let wait = headers.retry_after.filter(|_| kind == ResponseKind::Unavailable);
                if let Some(wait) = wait.filter(|wait| *wait >= MIN_PAUSE) {
                    self.pause_for(wait, VendorWord::Outage, now);
                    return true;
                }
                if says_nothing {
                    self.on_failed_call(reservation, now);
                }
            }
            ResponseKind::Accepted => self.on_accepted(reservation, now),
        }
        // A response of a running window does for the probe's, unless the vendor has refused a call.
        let asks = matches!(self.phase, Phase::ProbeNext { why, .. } | Phase::Probing { why, .. } if why != ProbeReason::Pause);
        if asks && self.window.is_running(now) {
            self.open(now);
        }
        changed
    }

    fn on_accepted(&mut self, reservation: Reservation, now: Instant) {
        self.pacing.on_accepted(now);
        // A response to a call before a pause says nothing about now.
        if reservation.epoch == self.epoch {
            self.refusals = 0;
        }
        if matches!(self.phase, Phase::Probing { .. }) && reservation.probe.is_some() {
            self.open(now);
        }
    }

    /// The vendor refused a call because of its limit.
    fn on_refused(&mut self, reservation: Reservation, headers: RateLimitHeaders, now: Instant) {
        // Of the calls that were in flight together only the first refusal counts. The others may say better how long it
        // takes, as long as it takes; once it is over they concern what is past.
        let is_first = reservation.epoch == self.epoch;
        let paused = self.paused_until(now);
        if !is_first && paused.is_none() {
            return;
        }
        let pause = self.pause_after(headers, is_first, now);
        if is_first {
            self.window.distrust();
            if !self.window.is_known() {
                self.pacing.learn(self.window.in_flight(), now);
            }
            if self.window.slow_rate().is_some() {
                self.pacing.on_refused_while_slow();
            }
        }
        self.pause_for(pause, VendorWord::RateLimited, now);
    }

    /// What the vendor asks for, unless that is so short that it would be asked without pause. If it asks for nothing, the
    /// rest of the window if that is used up.
    fn pause_after(&mut self, headers: RateLimitHeaders, is_first: bool, now: Instant) -> Duration {
        self.refusals += u32::from(is_first);
        let rest = self.window.spent_until(now).map(|reset_at| reset_at - now);
        match headers.wait().or(rest) {
            Some(wait) if wait >= MIN_PAUSE => wait,
            _ => MIN_PAUSE.saturating_mul(1 << self.refusals.saturating_sub(1).min(16)).min(MAX_PAUSE),
        }
    }

    fn pause_for(&mut self, pause: Duration, word: VendorWord, now: Instant) {
        let until = match self.phase {
            Phase::Paused { until, .. } => until.max(now + pause),
            _ => {
                self.epoch += 1;
                now + pause
            }
        };
        self.pause = until.saturating_duration_since(now);
        self.phase = Phase::Paused { until, word };
        self.pacing.end_ramp();
        self.queue.revoke_offers();
    }

    /// Sends calls again. After a pause the waiters follow each at a moment of its own.
    fn open(&mut self, now: Instant) {
        self.phase = Phase::Open;
        self.failed_probes = 0;
        self.pacing.start_ramp(self.queue.count_waiting(), self.pause, now);
        self.pause = Duration::ZERO;
    }

    /// A call failed without limit headers.
    fn on_failed_call(&mut self, reservation: Reservation, now: Instant) {
        if self.window.is_assumed() {
            // Nothing has shown yet that the vendor's window has begun, or that the vendor is there.
            self.window.distrust();
            self.window.end_assumed(now);
        }
        if !self.is_probe_of(reservation) {
            return;
        }
        let Phase::Probing { why, .. } = self.phase else { return };
        self.failed_probes += 1;
        if why == ProbeReason::First && self.failed_probes >= FIRST_PROBES {
            self.open(now);
            return;
        }
        let pause = PROBE_PAUSE.saturating_mul(1 << (self.failed_probes - 1).min(8)).min(MAX_PROBE_PAUSE);
        // Nothing is known that a first call could do harm to.
        let from = (why != ProbeReason::First).then_some(now + pause);
        self.phase = Phase::ProbeNext { from, why };
    }

    /// A probe went without a response through its caller's fault: the next in line probes.
    fn repeat_probe(&mut self, reservation: Reservation) {
        if let (true, Phase::Probing { why, .. }) = (self.is_probe_of(reservation), self.phase) {
            self.phase = Phase::ProbeNext { from: None, why };
        }
    }

    fn is_probe_of(&self, reservation: Reservation) -> bool {
        reservation.probe == Some(self.probes)
    }

    /// Lets time pass: pauses, windows, probes and offers end.
    fn pass_time(&mut self, now: Instant) {
        if let Phase::Paused { until, .. } = self.phase
            && now >= until
        {
            self.phase = Phase::ProbeNext { from: None, why: ProbeReason::Pause };
        }
        if let Phase::Probing { since, why } = self.phase
            && now >= since + self.probe_timeout()
        {
            self.failed_probes += 1;
            self.phase = Phase::ProbeNext { from: None, why };
            if why == ProbeReason::First && self.failed_probes >= FIRST_PROBES {
                self.open(now);
            }
        }
        self.pacing.pass_time(now);
        self.window.pass_time(now);
        self.queue.expire_offers(now);
        self.update_pace(now);
    }

    fn probe_timeout(&self) -> Duration {
        let late = self.window.round_trip().saturating_mul(4);
        PROBE_TIMEOUT.saturating_mul(1 << self.failed_probes.min(3)).min(MAX_PROBE_TIMEOUT).max(late)
    }

    /// The pace follows what is known of the vendor's rate.
    fn update_pace(&mut self, now: Instant) {
        let waiting = self.queue.has_waiting().then_some(self.phase == Phase::Open);
        self.pacing.update(&self.window, waiting, now);
    }

    /// Offers slots to the waiters that may go now.
    pub(super) fn dispatch(&mut self, now: Instant) {
        self.pass_time(now);
        while self.queue.has_waiting() && self.offer_one(now) {}
    }

    fn offer_one(&mut self, now: Instant) -> bool {
        match self.phase {
            Phase::Paused { .. } | Phase::Probing { .. } => return false,
            Phase::ProbeNext { from, .. } => {
                let is_due = from.is_none_or(|from| from <= now) && self.queue.offers() == 0;
                let offered = if is_due { self.queue.offer(now, |_| true) } else { None };
                if let Some(request) = offered {
                    self.pacing.take(request, now);
                }
                return offered.is_some();
            }
            Phase::Open => {}
        }
        let mut queue = std::mem::take(&mut self.queue);
        let others = queue.offers();
        let offered =
            queue.offer(now, |request| self.has_room(request, others, now) && self.pacing.is_ready(request, now));
        self.queue = queue;
        if let Some(request) = offered {
            self.pacing.take(request, now);
            return true;
        }
        self.guessing_since.get_or_insert(now);
        // A window that is over and used up: one call asks what the next one holds.
        if self.window.is_over(now) && self.pacing.pace().is_none() && self.queue.offers() == 0 {
            self.phase = Phase::ProbeNext { from: None, why: ProbeReason::NewWindow };
            return true;
        }
        false
    }

    /// When something changes by itself; `None` if no call waits, or if only a response helps.
    pub(super) fn next_event(&self, now: Instant) -> Option<Instant> {
        if self.queue.is_empty() {
            return None;
        }
        let offers = self.queue.next_expiry();
        let waits = self.queue.has_waiting();
        let phase = match self.phase {
            _ if !waits => None,
            Phase::Paused { until, .. } => Some(until),
            Phase::Probing { since, .. } => Some(since + self.probe_timeout()),
            Phase::ProbeNext { from, .. } => from,
            Phase::Open => {
                let [pace, ramp] = self.pacing.events();
                let guess = self.guessing_since.filter(|_| self.window.exhausted_at(now).is_none());
                let guess = guess.map(|at| at + PROBE_TIMEOUT);
                let events = [pace, ramp, self.window.reset_at(), guess];
                events.into_iter().flatten().filter(|event| *event > now).min()
            }
        };
        [offers, phase].into_iter().flatten().filter(|event| *event > now).min()
    }

    /// How many such calls can be sent without waiting, if that is known.
    pub(super) fn room(&mut self, request: AcquireRequest, now: Instant) -> Option<u64> {
        self.pass_time(now);
        match self.phase {
            _ if self.queue.is_waiting() => Some(0),
            Phase::Open if self.pacing.pace().is_some() => Some(u64::from(self.may_send(request, now))),
            // A window that has begun since the last response is whole.
            Phase::Open if self.window.is_over(now) => self.window.share(request),
            Phase::Open => self.window.left(request).map(|_| self.window.room_at(request, now)),
            Phase::ProbeNext { why: ProbeReason::First, .. } => None,
            Phase::ProbeNext { .. } | Phase::Probing { .. } | Phase::Paused { .. } => Some(0),
        }
    }

    /// The earliest moment at which there is room for a caller with this ticket, if it is known and not now.
    fn room_at(&self, request: AcquireRequest, ticket: u64, now: Instant) -> Option<Instant> {
        self.room_after(request, self.queue.ahead(request.lane(), ticket), now)
    }

    fn room_after(&self, request: AcquireRequest, ahead: u64, now: Instant) -> Option<Instant> {
        match self.phase {
            Phase::Paused { until, .. } => return Some(self.after_windows(until, request, ahead)),
            Phase::ProbeNext { from, .. } => return from.filter(|from| now < *from),
            Phase::Probing { .. } => return None,
            Phase::Open => {}
        }
        if let Some(pace) = self.pacing.pace() {
            let exhausted = self.window.exhausted_until(request, now);
            return Some(pace.ready_after(request, ahead)).max(exhausted).filter(|moment| now < *moment);
        }
        let reset_at = self.window.reset_at().filter(|reset_at| now < *reset_at)?;
        let beyond = ahead.checked_sub(self.window.left(request)?)?;
        Some(self.after_windows(reset_at, request, beyond))
    }

    /// When there is room for a call that has so many before it, if the first window begins at `moment`.
    fn after_windows(&self, moment: Instant, request: AcquireRequest, ahead: u64) -> Instant {
        let windows = self.window.share(request).map_or(0, |share| ahead / share);
        let windows = u32::try_from(windows).unwrap_or(u32::MAX);
        moment + self.window.length().saturating_mul(windows).min(FAR)
    }

    /// Refuses waiters for which there will be room too late.
    fn refuse_late(&mut self, now: Instant) {
        let mut queue = std::mem::take(&mut self.queue);
        queue.refuse_late(|request, ahead| self.room_after(request, ahead, now));
        self.queue = queue;
    }

    /// Until when what is known of the tenant has to be kept even if no call is made: the vendor's window runs on.
    pub(super) fn matters_until(&self) -> Option<Instant> {
        let paused = match self.phase {
            Phase::Paused { until, .. } => Some(until),
            _ => None,
        };
        paused.max(self.window.reset_at()).max(self.pacing.remembered_until())
    }

    /// Forgets what holds calls back. The next call asks.
    pub(super) fn reopen(&mut self, now: Instant) {
        self.window.forget();
        self.pacing.forget();
        (self.refusals, self.failed_probes, self.pause) = (0, 0, Duration::ZERO);
        self.phase = Phase::ProbeNext { from: None, why: ProbeReason::First };
        self.epoch += 1;
        self.dispatch(now);
    }

    pub(super) fn is_queue_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether one call is asking, and the others wait for its response.
    pub(super) fn is_probing(&self) -> bool {
        matches!(self.phase, Phase::ProbeNext { .. } | Phase::Probing { .. }) && !self.queue.is_empty()
    }

    /// Lets every waiter look again.
    pub(super) fn wake_all(&self) {
        self.queue.wake_all();
    }

    /// When the driver looks again; `None` without a driver.
    pub(super) fn driver(&self) -> Option<Instant> {
        self.driver
    }

    pub(super) fn set_driver(&mut self, wakes_at: Option<Instant>) {
        self.driver = wakes_at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MINUTE: Duration = Duration::from_secs(60);

    fn request() -> AcquireRequest {
        AcquireRequest::test(Priority::Normal)
    }

    /// A request that can wait so long.
    fn hasty(now: Instant, wait: Duration) -> AcquireRequest {
        AcquireRequest { wait_until: now + wait, ..request() }
    }

    fn wait(seconds: u64) -> RateLimitHeaders {
        RateLimitHeaders { retry_after: Some(Duration::from_secs(seconds)), ..RateLimitHeaders::default() }
    }

    fn reported(remaining: u64, seconds: u64) -> RateLimitHeaders {
        let reset = Some(Duration::from_secs(seconds));
        RateLimitHeaders { limit: Some(100), remaining: Some(remaining), reset, ..RateLimitHeaders::default() }
    }

    fn responded(headers: RateLimitHeaders, kind: ResponseKind, now: Instant) -> Completion {
        Completion::Responded { sent_at: now, headers, kind }
    }

    fn accepted(headers: RateLimitHeaders, now: Instant) -> Completion {
        responded(headers, ResponseKind::Accepted, now)
    }

    fn refused(headers: RateLimitHeaders, now: Instant) -> Completion {
        responded(headers, ResponseKind::Refused, now)
    }

    fn queue(state: &mut LimiterState, request: AcquireRequest, now: Instant) -> QueuePosition {
        match state.enqueue(request, now) {
            Ok(Err(position)) => position,
            other => panic!("{other:?}"),
        }
    }

    fn send(state: &mut LimiterState, ticket: u64, now: Instant) -> Reservation {
        match state.claim(request(), ticket, now) {
            WaitDecision::Send(reservation) => reservation,
            other => panic!("{other:?}"),
        }
    }

    fn waits(state: &mut LimiterState, ticket: u64, now: Instant) -> bool {
        matches!(state.claim(request(), ticket, now), WaitDecision::Wait(_))
    }

    /// A limiter that a refusal has paused for ten seconds.
    fn paused() -> (LimiterState, Instant) {
        let now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        let reservation = state.try_acquire(request()).unwrap();
        state.complete(reservation, refused(wait(10), now), now);
        (state, now)
    }

    /// A limiter in a window of a minute with so much left.
    fn open(remaining: u64) -> (LimiterState, Instant) {
        let now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        let reservation = state.try_acquire(request()).unwrap();
        state.complete(reservation, accepted(reported(remaining, 60), now), now);
        (state, now)
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_pauses_all_callers_and_then_one_probes() {
        let (mut state, now) = paused();
        assert!(state.try_acquire(request()).is_none());
        assert_eq!(state.paused_until(now), Some((now + 10 * SECOND, VendorWord::RateLimited)));
        let tickets: Vec<u64> = (0..5).map(|_| queue(&mut state, request(), now).ticket).collect();
        assert_eq!(state.next_event(now), Some(now + 10 * SECOND));
        let end = now + 10 * SECOND;
        state.dispatch(end);
        let probe = send(&mut state, tickets[0], end);
        assert!(waits(&mut state, tickets[1], end));
        state.complete(probe, accepted(RateLimitHeaders::default(), end), end);
        assert!(state.try_acquire(request()).is_none(), "no caller overtakes the queue");
        let mut at = end;
        for ticket in &tickets[1..] {
            // Spread, and then at the rate that was learned from the refusal.
            at += SECOND / 2;
            send(&mut state, *ticket, at);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_cannot_wait_for_the_end_of_a_pause_is_told_when_that_is() {
        let (mut state, now) = paused();
        let end = now + 10 * SECOND;
        assert_eq!(state.enqueue(hasty(now, 9 * SECOND), now).unwrap_err(), end);
        let late = AcquireRequest { send_before: end, ..request() };
        assert_eq!(state.enqueue(late, now).unwrap_err(), end, "nothing is sent that has no time left");
        assert_eq!(state.waiting_at(Priority::Normal), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_whose_wait_ends_during_a_probe_is_sent_and_one_whose_time_is_over_is_not() {
        let (mut state, now) = paused();
        let end = now + 10 * SECOND;
        let probe = queue(&mut state, request(), now).ticket;
        let patient = hasty(now, 10 * SECOND);
        let waiting = queue(&mut state, patient, now).ticket;
        let late = AcquireRequest { send_before: end + SECOND, ..request() };
        let over = queue(&mut state, late, now).ticket;
        send(&mut state, probe, end);
        assert!(matches!(state.claim(patient, waiting, end), WaitDecision::Send(_)));
        let decision = state.claim(late, over, end + SECOND);
        assert!(matches!(decision, WaitDecision::GiveUp(at) if at > end + SECOND), "{decision:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_fails_is_followed_by_another_after_a_pause_that_doubles() {
        for completion in [
            Completion::NotSent,
            Completion::Failed,
            responded(RateLimitHeaders::default(), ResponseKind::Unavailable, Instant::now()),
        ] {
            let (mut state, now) = open(0);
            let mut at = now + MINUTE;
            for pause in [500, 1000, 2000, 4000, 4000] {
                let ticket = queue(&mut state, request(), at).ticket;
                let probe = send(&mut state, ticket, at);
                state.complete(probe, completion, at);
                let next = queue(&mut state, request(), at).ticket;
                assert!(waits(&mut state, next, at), "{completion:?}");
                assert_eq!(state.next_event(at), Some(at + Duration::from_millis(pause)), "{completion:?}");
                state.leave(request(), next, at);
                at += Duration::from_millis(pause);
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_whose_caller_goes_away_or_does_not_come_back_is_replaced() {
        let (mut state, now) = open(0);
        let end = now + MINUTE;
        let tickets: Vec<u64> = (0..3).map(|_| queue(&mut state, request(), now).ticket).collect();
        let first = send(&mut state, tickets[0], end);
        state.complete(first, Completion::Canceled, end);
        let second = send(&mut state, tickets[1], end);
        let late = end + PROBE_TIMEOUT;
        assert_eq!(state.next_event(end), Some(late));
        send(&mut state, tickets[2], late);
        state.complete(second, Completion::Canceled, late);
        assert!(state.enqueue(request(), late).is_ok_and(|queued| queued.is_err()), "the third is still asking");
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_without_a_reset_pause_for_longer_each_time() {
        let mut now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        let mut reservation = state.try_acquire(request()).unwrap();
        for seconds in [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0] {
            state.complete(reservation, refused(RateLimitHeaders::default(), now), now);
            let (until, _) = state.paused_until(now).unwrap();
            assert_eq!(until - now, Duration::from_secs_f64(seconds));
            let ticket = queue(&mut state, request(), now).ticket;
            now = until;
            reservation = send(&mut state, ticket, now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_are_refused_together_count_as_one_refusal() {
        let now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        let reservations: Vec<Reservation> = (0..50).map(|_| state.try_acquire(request()).unwrap()).collect();
        for reservation in reservations {
            state.complete(reservation, refused(RateLimitHeaders::default(), now), now);
        }
        assert_eq!(state.paused_until(now).unwrap().0, now + MIN_PAUSE);
        assert_eq!(state.window().in_flight(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn late_responses_to_calls_before_a_pause_neither_end_nor_repeat_it() {
        let now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        let calls = [(); 3].map(|()| state.try_acquire(request()).unwrap());
        state.complete(calls[0], refused(wait(10), now), now);
        state.complete(calls[1], accepted(RateLimitHeaders::default(), now), now);
        assert!(state.try_acquire(request()).is_none());
        let ticket = queue(&mut state, request(), now).ticket;
        let end = now + 10 * SECOND;
        let probe = send(&mut state, ticket, end);
        state.complete(probe, accepted(RateLimitHeaders::default(), end), end);
        state.complete(calls[2], refused(wait(10), now), end);
        assert_eq!(state.paused_until(end), None);
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_let_one_call_at_a_time_pass_and_the_vendors_word_lets_none() {
        let (mut state, now) = open(2);
        for _ in 0..2 {
            let call = state.try_acquire(request()).unwrap();
            state.complete(call, Completion::Failed, now);
        }
        assert!(state.try_acquire(request()).is_none());
        let Ok(Ok(call)) = state.enqueue(request(), now) else { panic!("nothing is in flight") };
        let second = queue(&mut state, request(), now).ticket;
        assert!(waits(&mut state, second, now), "one is in flight");
        state.complete(call, accepted(reported(0, 60), now), now);
        assert!(waits(&mut state, second, now), "the vendor says that nothing is left");
        assert_eq!(state.next_event(now), Some(now + MINUTE));
    }

    #[tokio::test(start_paused = true)]
    async fn bulk_calls_wait_at_their_reserve_and_others_do_not() {
        let (mut state, now) = open(21);
        let bulk = AcquireRequest { reserve: 200, ..AcquireRequest::test(Priority::Bulk) };
        let call = state.try_acquire(bulk).unwrap();
        state.complete(call, accepted(reported(20, 60), now), now);
        queue(&mut state, bulk, now);
        for _ in 0..20 {
            let ticket = queue(&mut state, request(), now).ticket;
            send(&mut state, ticket, now);
        }
        assert_eq!(state.waiting_at(Priority::Bulk), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn first_probes_that_fail_open_the_limiter_after_three() {
        let now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Sent);
        for _ in 0..FIRST_PROBES {
            assert!(state.try_acquire(request()).is_none());
            let ticket = queue(&mut state, request(), now).ticket;
            let probe = send(&mut state, ticket, now);
            state.complete(probe, Completion::Failed, now);
        }
        assert!(state.try_acquire(request()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn reopening_forgets_pauses_and_exhausted_windows() {
        for (mut state, now) in [paused(), open(0)] {
            let ticket = queue(&mut state, request(), now).ticket;
            state.reopen(now);
            assert_eq!((state.paused_until(now), state.matters_until()), (None, None));
            let probe = send(&mut state, ticket, now);
            state.complete(probe, accepted(reported(50, 60), now), now);
            assert!(state.try_acquire(request()).is_some());
        }
    }

    fn is_woken(position: &QueuePosition) -> bool {
        use futures_util::FutureExt as _;
        position.wake.notified().now_or_never().is_some()
    }

    fn gives_up(decision: &WaitDecision, at: Instant) -> bool {
        matches!(decision, WaitDecision::GiveUp(moment) if *moment == at)
    }

    /// A response to a call that is sent at `now` and takes no time, if one may be sent at once.
    fn exchange(state: &mut LimiterState, completion: Completion, now: Instant) {
        let Ok(Ok(reservation)) = state.enqueue(request(), now) else { panic!("it has to wait: {state:?}") };
        state.complete(reservation, completion, now);
    }

    /// A limiter whose windows of a minute and two calls are trusted to begin without asking, at the end of one of them.
    fn trusted() -> (LimiterState, Instant) {
        let mut now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        for _ in 0..3 {
            for remaining in [1, 0] {
                let headers = RateLimitHeaders { limit: Some(2), ..reported(remaining, 60) };
                let Ok(call) = state.enqueue(request(), now) else { panic!("{state:?}") };
                let call = call.unwrap_or_else(|position| send(&mut state, position.ticket, now));
                state.complete(call, accepted(headers, now), now);
            }
            now += MINUTE;
        }
        (state, now)
    }

    /// A limiter that has learned a rate of 66.5 calls a second from the refusal of one of ten calls, at the end of the pause.
    fn learned() -> (LimiterState, Instant) {
        let now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        for _ in 0..9 {
            exchange(&mut state, accepted(RateLimitHeaders::default(), now), now);
        }
        exchange(&mut state, refused(RateLimitHeaders::default(), now), now);
        (state, now + MIN_PAUSE)
    }

    /// A limiter in a window of a minute with so much left, with responses that take half a minute.
    fn slow(remaining: u64) -> (LimiterState, Instant) {
        let now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        let reservation = state.try_acquire(request()).unwrap();
        let headers = RateLimitHeaders { window: Some(MINUTE), ..reported(remaining, 60) };
        state.complete(
            reservation,
            Completion::Responded { sent_at: now, headers, kind: ResponseKind::Accepted },
            now + MINUTE / 2,
        );
        (state, now + MINUTE / 2)
    }

    fn interval(state: &LimiterState) -> Duration {
        let pace = state.pacing.pace().unwrap();
        pace.ready_after(request(), 1) - pace.ready_at(request())
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_comes_as_a_trusted_window_begins_is_sent_at_once() {
        let (mut state, reset) = trusted();
        assert!(state.try_acquire(request()).is_none());
        assert!(state.enqueue(request(), reset - Duration::from_millis(1)).unwrap().is_err());
        let (mut state, reset) = trusted();
        assert!(state.enqueue(request(), reset).unwrap().is_ok());
        assert!(state.try_acquire(request()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_or_a_refusal_at_the_turn_of_a_trusted_window_makes_the_next_call_ask() {
        for completion in [
            Completion::Failed,
            Completion::NotSent,
            responded(RateLimitHeaders::default(), ResponseKind::Unavailable, Instant::now()),
        ] {
            let (mut state, reset) = trusted();
            let call = state.reserve(request(), None);
            state.complete(call, completion, reset);
            let asking = queue(&mut state, request(), reset);
            let waiting = queue(&mut state, request(), reset);
            send(&mut state, asking.ticket, reset);
            assert!(waits(&mut state, waiting.ticket, reset), "{completion:?}");
        }
        let (mut state, reset) = trusted();
        let Ok(Ok(call)) = state.enqueue(request(), reset) else { panic!("{state:?}") };
        state.complete(call, refused(reported(0, 60), reset), reset);
        state.pass_time(reset + MINUTE);
        assert!(!state.window.is_assumed());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_queued_or_sent_without_time_left() {
        let (mut state, now) = open(50);
        let over = AcquireRequest { send_before: now, ..request() };
        assert!(state.enqueue(over, now).is_err());
        let (mut state, now) = open(1);
        let call = state.try_acquire(request()).unwrap();
        let late = AcquireRequest { send_before: now + SECOND, ..request() };
        let ticket = queue(&mut state, late, now).ticket;
        state.complete(call, Completion::Unused, now);
        let decision = state.claim(late, ticket, now + SECOND);
        assert!(matches!(decision, WaitDecision::GiveUp(_)), "{decision:?}");
        assert!(state.is_queue_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_that_cannot_wait_for_a_probe_comes_back_after_a_round_trip() {
        for (trip, later) in [(Duration::ZERO, PROBE_PAUSE), (2 * SECOND, 2 * SECOND)] {
            let (mut state, now) = open(5);
            let call = state.try_acquire(request()).unwrap();
            state.complete(call, accepted(reported(0, 60), now), now + trip);
            let end = now + MINUTE + trip;
            let probe = queue(&mut state, request(), end).ticket;
            let last = AcquireRequest { send_before: end + 3 * SECOND, ..request() };
            let waiting = queue(&mut state, last, end).ticket;
            send(&mut state, probe, end);
            assert_eq!(state.enqueue(hasty(end, Duration::ZERO), end).unwrap_err(), end + later, "{trip:?}");
            assert!(state.enqueue(hasty(end, Duration::from_millis(1)), end).unwrap().is_err());
            let over = end + 3 * SECOND;
            assert!(gives_up(&state.claim(last, waiting, over), over + later), "{trip:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_may_go_is_woken_and_waits_otherwise_until_its_time_is_over() {
        let (mut state, now) = open(0);
        let soon = hasty(now, 90 * SECOND);
        let end = now + MINUTE;
        let [first, second, third] = [(); 3].map(|()| queue(&mut state, soon, now));
        assert!(!is_woken(&first));
        let decision = state.claim(soon, first.ticket, now);
        assert!(matches!(decision, WaitDecision::Wait(until) if until == soon.wait_until), "{decision:?}");
        state.dispatch(end);
        assert!(is_woken(&first) && !is_woken(&second));
        state.leave(soon, first.ticket, end);
        assert!(is_woken(&second) && !is_woken(&third), "the one that was next has left");
        let probe = send(&mut state, second.ticket, end);
        state.complete(probe, accepted(reported(9, 60), end), end);
        assert!(is_woken(&third), "a window has begun");
        send(&mut state, third.ticket, end);

        let (mut state, now) = open(0);
        let probe = queue(&mut state, request(), now + MINUTE);
        assert!(is_woken(&probe), "it may go at once");
    }

    #[tokio::test(start_paused = true)]
    async fn all_for_whom_there_is_room_are_woken_at_once() {
        let (mut state, now) = open(0);
        let end = now + MINUTE;
        let waiting = [(); 5].map(|()| queue(&mut state, request(), now));
        let probe = send(&mut state, waiting[0].ticket, end);
        state.complete(probe, accepted(reported(3, 60), end), end);
        assert_eq!(waiting.map(|position| is_woken(&position)), [true, true, true, true, false]);
    }

    #[tokio::test(start_paused = true)]
    async fn an_offer_is_void_if_nothing_is_left_any_more() {
        let (mut state, now) = open(2);
        let [unsent, last] = [(); 2].map(|()| state.try_acquire(request()).unwrap());
        let waiting = queue(&mut state, request(), now);
        state.complete(unsent, Completion::NotSent, now);
        assert!(is_woken(&waiting));
        state.complete(last, accepted(reported(0, 60), now), now);
        assert!(waits(&mut state, waiting.ticket, now));
        assert_eq!(state.queue.offers(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn offers_end_with_a_pause() {
        let (mut state, now) = open(2);
        let [unsent, last] = [(); 2].map(|()| state.try_acquire(request()).unwrap());
        queue(&mut state, request(), now);
        state.complete(unsent, Completion::NotSent, now);
        assert_eq!(state.queue.offers(), 1);
        state.complete(last, refused(wait(5), now), now);
        assert_eq!(state.queue.offers(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_missed_its_offer_may_probe_when_it_comes_but_not_before_it_is_time() {
        let (mut state, now) = open(0);
        let end = now + MINUTE;
        let [late, prompt] = [(); 2].map(|()| queue(&mut state, request(), now).ticket);
        state.dispatch(end);
        assert_eq!(state.next_event(end), Some(end + SECOND), "its offer expires");
        let after = end + SECOND;
        let probe = send(&mut state, prompt, after);
        state.complete(probe, Completion::NotSent, after);
        assert!(waits(&mut state, late, after), "a probe has just failed");
        state.leave(request(), late, after);

        let (mut state, now) = open(0);
        let [late, prompt] = [(); 2].map(|()| queue(&mut state, request(), now).ticket);
        state.dispatch(end);
        let probe = send(&mut state, prompt, after);
        state.complete(probe, refused(wait(5), after), after);
        assert!(waits(&mut state, late, after), "the vendor asked for a pause");

        let (mut state, now) = open(0);
        let [late, _] = [(); 2].map(|()| queue(&mut state, request(), now).ticket);
        state.dispatch(end);
        state.dispatch(after);
        assert_eq!(state.queue.offers(), 0);
        send(&mut state, late, after + SECOND / 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_whose_wait_ends_in_the_ramp_is_sent_if_there_is_room_and_one_that_waits_for_the_rate_is_not() {
        for (in_flight, is_sent) in [(0, true), (60, false)] {
            let (mut state, now) = open(50);
            exchange(&mut state, refused(wait(10), now), now);
            let end = now + 10 * SECOND;
            let patient = hasty(end, SECOND / 100);
            let probe = queue(&mut state, request(), now).ticket;
            let [_, waiting] = [(); 2].map(|()| queue(&mut state, patient, now).ticket);
            let probe = send(&mut state, probe, end);
            state.complete(probe, accepted(reported(50, 60), end), end);
            assert!(state.pacing.is_ramp());
            for _ in 0..in_flight {
                state.window.send();
            }
            let decision = state.claim(patient, waiting, end + SECOND / 100);
            assert_eq!(matches!(decision, WaitDecision::Send(_)), is_sent, "{in_flight}: {decision:?}");
        }
        let (mut state, end) = learned();
        let probe = queue(&mut state, request(), end).ticket;
        let patient = hasty(end, SECOND / 100);
        let [first, second] = [(); 2].map(|()| queue(&mut state, patient, end).ticket);
        let probe = send(&mut state, probe, end);
        state.complete(probe, accepted(RateLimitHeaders::default(), end), end);
        state.pacing.end_ramp();
        let decisions = [first, second].map(|ticket| state.claim(patient, ticket, end + SECOND / 100));
        assert!(decisions.iter().all(|decision| matches!(decision, WaitDecision::GiveUp(_))), "{decisions:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_gives_up_makes_room_for_the_next() {
        let (mut state, now) = open(2);
        let [unsent, _other] = [(); 2].map(|()| state.try_acquire(request()).unwrap());
        let brief = AcquireRequest { send_before: now + SECOND, ..request() };
        let (first, second) = (queue(&mut state, brief, now), queue(&mut state, request(), now));
        state.complete(unsent, Completion::NotSent, now + SECOND / 2);
        assert!(is_woken(&first) && !is_woken(&second));
        assert!(matches!(state.claim(brief, first.ticket, now + SECOND), WaitDecision::GiveUp(_)));
        assert!(is_woken(&second));
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_hear_at_once_that_there_will_be_room_too_late_for_them() {
        let completions: [fn(Instant) -> Completion; 3] = [
            |now| refused(wait(70), now),
            |now| responded(wait(70), ResponseKind::Unavailable, now),
            |now| accepted(reported(0, 70), now),
        ];
        for completion in completions {
            let (mut state, now) = open(1);
            let call = state.try_acquire(request()).unwrap();
            let patient = hasty(now, 65 * SECOND);
            let waiting = queue(&mut state, patient, now);
            state.complete(call, completion(now), now);
            assert!(is_woken(&waiting), "{:?}", completion(now));
            assert!(gives_up(&state.claim(patient, waiting.ticket, now), now + 70 * SECOND), "{:?}", completion(now));
            assert!(state.is_queue_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_waiter_that_heard_of_it_only_when_that_moment_had_come_looks_again() {
        let (mut state, now) = open(1);
        let call = state.try_acquire(request()).unwrap();
        let patient = hasty(now, 65 * SECOND);
        let waiting = queue(&mut state, patient, now);
        state.complete(call, accepted(reported(0, 70), now), now);
        let decision =
            state.claim(AcquireRequest { wait_until: now + 80 * SECOND, ..patient }, waiting.ticket, now + 70 * SECOND);
        assert!(!matches!(decision, WaitDecision::GiveUp(_)), "{decision:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn guesses_hold_a_call_back_for_five_seconds_from_when_it_found_no_room() {
        let (mut state, now) = open(2);
        let [_in_flight, failed] = [(); 2].map(|()| state.try_acquire(request()).unwrap());
        state.complete(failed, Completion::Failed, now);
        let found = now + 4 * SECOND;
        let waiting = queue(&mut state, request(), found).ticket;
        let almost = found + PROBE_TIMEOUT - Duration::from_millis(1);
        assert!(waits(&mut state, waiting, almost));
        assert_eq!(state.next_event(almost), Some(found + PROBE_TIMEOUT));
        let testing = found + PROBE_TIMEOUT;
        send(&mut state, waiting, testing);

        let next = queue(&mut state, request(), testing + 3 * SECOND).ticket;
        assert!(waits(&mut state, next, testing + PROBE_TIMEOUT - SECOND), "another one tests the guess");
        send(&mut state, next, testing + PROBE_TIMEOUT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_had_room_tests_no_guess() {
        let (mut state, now) = open(2);
        let failed = state.try_acquire(request()).unwrap();
        let Ok(Ok(_in_flight)) = state.enqueue(request(), now) else { panic!("{state:?}") };
        state.complete(failed, Completion::Failed, now);
        assert_eq!(state.guessing_since, None);
        let waiting = queue(&mut state, request(), now + 4 * SECOND).ticket;
        assert!(waits(&mut state, waiting, now + PROBE_TIMEOUT));
        send(&mut state, waiting, now + 4 * SECOND + PROBE_TIMEOUT);
        assert_eq!(state.guessing_since, Some(now + 4 * SECOND + PROBE_TIMEOUT));

        // Without any window, nothing is guessed.
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        let Ok(Ok(_)) = state.enqueue(request(), now) else { panic!("{state:?}") };
        assert_eq!(state.guessing_since, None);
    }

    #[tokio::test(start_paused = true)]
    async fn every_call_that_ends_gives_its_place_back_and_counts_if_it_may_have_arrived() {
        for (completion, room) in [
            (Completion::NotSent, 10),
            (Completion::Unused, 10),
            (Completion::Failed, 9),
            (Completion::Canceled, 9),
            (responded(RateLimitHeaders::default(), ResponseKind::Unavailable, Instant::now()), 9),
            (accepted(RateLimitHeaders::default(), Instant::now()), 9),
        ] {
            let (mut state, _) = open(10);
            let call = state.try_acquire(request()).unwrap();
            state.complete(call, completion, Instant::now());
            assert_eq!((state.window.in_flight(), state.window.room(request())), (0, room), "{completion:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_not_sent_by_its_caller_is_left_to_the_next() {
        let (mut state, now) = open(0);
        let end = now + MINUTE;
        let [first, second] = [(); 2].map(|()| queue(&mut state, request(), now).ticket);
        let probe = send(&mut state, first, end);
        state.complete(probe, Completion::Unused, end);
        send(&mut state, second, end);
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_was_replaced_neither_repeats_nor_fails_the_one_in_its_place() {
        for completion in [Completion::Canceled, Completion::Unused, Completion::Failed, Completion::NotSent] {
            let (mut state, now) = open(0);
            let end = now + MINUTE;
            let [first, second, third] = [(); 3].map(|()| queue(&mut state, request(), now).ticket);
            let replaced = send(&mut state, first, end);
            let late = end + PROBE_TIMEOUT;
            send(&mut state, second, late);
            state.complete(replaced, completion, late);
            assert!(waits(&mut state, third, late + SECOND), "{completion:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn first_probes_without_a_response_open_the_limiter_after_three() {
        let now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Sent);
        let waiting = [(); 3].map(|()| queue(&mut state, request(), now).ticket);
        let mut at = now;
        for (ticket, timeout) in waiting.into_iter().zip([5, 10, 10]) {
            assert!(state.try_acquire(request()).is_none());
            send(&mut state, ticket, at);
            let last = queue(&mut state, request(), at);
            assert_eq!(state.next_event(at), Some(at + SECOND * timeout));
            at += SECOND * timeout;
            state.leave(request(), last.ticket, at - SECOND);
        }
        state.dispatch(at);
        assert!(state.try_acquire(request()).is_some());

        // Probes of other kinds go on.
        let (mut state, now) = open(0);
        let mut at = now + MINUTE;
        for timeout in [5, 10, 10, 10, 10] {
            let ticket = queue(&mut state, request(), at).ticket;
            send(&mut state, ticket, at);
            at += SECOND * timeout;
        }
        let [next, other] = [(); 2].map(|()| queue(&mut state, request(), at).ticket);
        send(&mut state, next, at);
        assert!(waits(&mut state, other, at));
    }

    #[tokio::test(start_paused = true)]
    async fn the_pause_after_a_failed_probe_is_short_again_once_one_has_succeeded() {
        let (mut state, now) = open(0);
        let mut at = now + MINUTE;
        for completion in [Completion::Failed, Completion::Failed, accepted(reported(0, 60), at)] {
            let ticket = queue(&mut state, request(), at).ticket;
            let probe = send(&mut state, ticket, at);
            let completion = match completion {
                Completion::Responded { headers, .. } => accepted(headers, at),
                other => other,
            };
            state.complete(probe, completion, at);
            at += SECOND;
        }
        at += MINUTE;
        let ticket = queue(&mut state, request(), at).ticket;
        let probe = send(&mut state, ticket, at);
        state.complete(probe, Completion::Failed, at);
        queue(&mut state, request(), at);
        assert_eq!(state.next_event(at), Some(at + PROBE_PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_response_of_a_running_window_does_for_the_probes_unless_the_vendor_has_refused_a_call() {
        for is_refused in [false, true] {
            let (mut state, now) = open(1);
            let [other, late] = [(); 2].map(|()| state.window.send());
            let [other, late] = [other, late].map(|sent| Reservation { sent, epoch: 0, probe: None, place: 0 });
            let end = now + MINUTE;
            state.complete(other, accepted(reported(0, 60), now), now);
            if is_refused {
                exchange_refusal(&mut state, now);
            }
            let [first, second] = [(); 2].map(|()| queue(&mut state, request(), end).ticket);
            send(&mut state, first, end);
            state.complete(late, accepted(reported(50, 60), end), end);
            assert_eq!(state.is_open(), !is_refused);
            assert_eq!(waits(&mut state, second, end), is_refused);
        }
    }

    /// A call that is refused until the end of its window.
    fn exchange_refusal(state: &mut LimiterState, now: Instant) {
        let reservation = state.reserve(request(), None);
        state.complete(reservation, refused(reported(0, 60), now), now);
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_probe_itself_ends_the_probing_without_limit_headers() {
        let now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        let [call, late] = [(); 2].map(|()| state.try_acquire(request()).unwrap());
        state.complete(call, refused(wait(10), now), now);
        let end = now + 10 * SECOND;
        let [first, second, third] = [(); 3].map(|()| queue(&mut state, request(), now).ticket);
        let replaced = send(&mut state, first, end);
        state.complete(late, accepted(RateLimitHeaders::default(), end), end);
        assert!(waits(&mut state, second, end), "a response to a call before the pause");

        let again = end + PROBE_TIMEOUT;
        let probe = send(&mut state, second, again);
        state.complete(probe, refused(wait(10), again), again);
        state.complete(replaced, accepted(RateLimitHeaders::default(), again), again);
        assert!(waits(&mut state, third, again), "a late response ends no pause");
        assert_eq!(state.paused_until(again), Some((again + 10 * SECOND, VendorWord::RateLimited)));
        assert_eq!(state.paused_until(again + 10 * SECOND), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_was_accepted_since_makes_the_next_pause_short_again() {
        for (is_late, pause) in [(false, MIN_PAUSE), (true, 2 * MIN_PAUSE)] {
            let now = Instant::now();
            let mut state = LimiterState::new(LimitHeaders::Unsure);
            let [call, late] = [(); 2].map(|()| state.try_acquire(request()).unwrap());
            state.complete(call, refused(RateLimitHeaders::default(), now), now);
            let end = now + MIN_PAUSE;
            let ticket = queue(&mut state, request(), end).ticket;
            let probe = send(&mut state, ticket, end);
            let accepted = accepted(RateLimitHeaders::default(), end);
            if is_late {
                state.complete(late, accepted, end);
                state.complete(probe, refused(RateLimitHeaders::default(), end), end);
            } else {
                state.complete(probe, accepted, end);
                let call = state.reserve(request(), None);
                state.complete(call, refused(RateLimitHeaders::default(), end), end);
            }
            assert_eq!(state.paused_until(end).unwrap().0, end + pause, "{is_late}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn of_refusals_that_come_together_the_longest_wait_counts() {
        let now = Instant::now();
        let mut state = LimiterState::new(LimitHeaders::Unsure);
        let calls = [(); 3].map(|()| state.try_acquire(request()).unwrap());
        for (call, (seconds, until)) in calls.into_iter().zip([(10, 10), (30, 30), (5, 30)]) {
            state.complete(call, refused(wait(seconds), now), now);
            assert_eq!(state.paused_until(now).unwrap().0, now + SECOND * until);
        }
        assert_eq!(state.pause, 30 * SECOND);
    }

    #[tokio::test(start_paused = true)]
    async fn half_a_second_is_the_shortest_wait_that_is_followed() {
        for (millis, refusal, outage) in [(500, MIN_PAUSE, Some(MIN_PAUSE)), (499, 2 * MIN_PAUSE, None)] {
            let wait =
                RateLimitHeaders { retry_after: Some(Duration::from_millis(millis)), ..RateLimitHeaders::default() };
            let now = Instant::now();
            let mut state = LimiterState::new(LimitHeaders::Unsure);
            exchange(&mut state, refused(RateLimitHeaders::default(), now), now);
            let end = now + MIN_PAUSE;
            let ticket = queue(&mut state, request(), end).ticket;
            let probe = send(&mut state, ticket, end);
            state.complete(probe, refused(wait, end), end);
            assert_eq!(state.paused_until(end).unwrap().0, end + refusal, "{millis}");

            let mut state = LimiterState::new(LimitHeaders::Unsure);
            exchange(&mut state, responded(wait, ResponseKind::Unavailable, now), now);
            let paused = outage.map(|pause| (now + pause, VendorWord::Outage));
            assert_eq!(state.paused_until(now), paused, "{millis}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waiters_follow_within_a_tenth_of_the_pause_and_only_after_one() {
        let (mut state, now) = open(50);
        exchange(&mut state, refused(wait(10), now), now);
        let end = now + 10 * SECOND;
        let waiting = [(); 5].map(|()| queue(&mut state, request(), now));
        let probe = send(&mut state, waiting[0].ticket, end);
        state.complete(probe, accepted(reported(48, 60), end), end);
        for (follower, position) in (0..).zip(&waiting[1..]) {
            let due = end + SECOND / 4 * follower;
            if follower > 0 {
                assert!(waits(&mut state, position.ticket, due - Duration::from_millis(10)), "{follower}");
                assert_eq!(state.next_event(due - Duration::from_millis(10)), Some(due));
            }
            send(&mut state, position.ticket, due);
        }
        assert!(state.try_acquire(request()).is_none());
        exchange(&mut state, accepted(reported(43, 60), end), end + SECOND);
        assert!(state.try_acquire(request()).is_some(), "the ramp is over");

        let reset = end + MINUTE;
        exchange_all(&mut state, end + 2 * SECOND);
        let waiting = [(); 3].map(|()| queue(&mut state, request(), end + 3 * SECOND));
        let probe = send(&mut state, waiting[0].ticket, reset);
        state.complete(probe, accepted(reported(50, 60), reset), reset);
        assert!(waiting[1..].iter().all(is_woken), "a window that ended by itself is followed at once");
    }

    /// Uses the window up.
    fn exchange_all(state: &mut LimiterState, now: Instant) {
        let reservation = state.reserve(request(), None);
        let headers = RateLimitHeaders { reset: None, ..reported(0, 0) };
        state.complete(reservation, accepted(headers, now), now);
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_ends_the_ramp_of_the_one_before() {
        let (mut state, now) = open(50);
        exchange(&mut state, refused(wait(10), now), now);
        let end = now + 10 * SECOND;
        let [first, second] = [(); 2].map(|()| queue(&mut state, request(), now));
        let probe = send(&mut state, first.ticket, end);
        state.complete(probe, accepted(reported(40, 60), end), end);
        let call = send(&mut state, second.ticket, end);
        assert!(state.pacing.is_ramp());
        state.complete(call, refused(RateLimitHeaders { retry_after: Some(MIN_PAUSE), ..wait(0) }, end), end);
        assert!(!state.pacing.is_ramp());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_are_sent_at_the_rate_that_was_learned_from_a_refusal() {
        let (mut state, end) = learned();
        let rate = state.learned_rate().unwrap();
        assert!((rate - 66.5).abs() < 0.001, "{rate}");
        let waiting = [(); 3].map(|()| queue(&mut state, request(), end));
        let probe = send(&mut state, waiting[0].ticket, end);
        state.complete(probe, accepted(RateLimitHeaders::default(), end), end);
        state.pacing.end_ramp();
        state.dispatch(end);
        assert!(!is_woken(&waiting[1]), "the probe counts too");
        let due = end + interval(&state);
        state.dispatch(due);
        assert!(is_woken(&waiting[1]) && !is_woken(&waiting[2]));
        send(&mut state, waiting[1].ticket, due);
        assert!(waits(&mut state, waiting[2].ticket, due));
        let due = due + interval(&state);
        send(&mut state, waiting[2].ticket, due);
        assert!(state.enqueue(request(), due).unwrap().is_err(), "a newcomer waits for the rate too");
        let due = due + SECOND;
        state.dispatch(due);
        assert!(state.learned_rate().unwrap() > rate, "calls have waited for the rate, so it rises");
    }

    #[tokio::test(start_paused = true)]
    async fn the_learned_rate_does_not_rise_in_a_pause_and_newcomers_take_part_in_the_pace() {
        let (mut state, end) = learned();
        let rate = state.learned_rate();
        let waiting = queue(&mut state, request(), end - MIN_PAUSE).ticket;
        state.dispatch(end);
        assert_eq!(state.learned_rate(), rate);
        let probe = send(&mut state, waiting, end);
        state.complete(probe, accepted(RateLimitHeaders::default(), end), end);
        let later = end + SECOND;
        assert!(state.enqueue(request(), later).unwrap().is_ok());
        assert!(state.enqueue(request(), later).unwrap().is_err(), "one at a time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_is_learned_only_without_windows_and_forgotten_with_the_first_one_or_after_half_an_hour() {
        let (mut state, now) = open(50);
        exchange(&mut state, refused(wait(10), now), now);
        assert_eq!(state.learned_rate(), None);

        let (mut state, end) = learned();
        assert_eq!(state.matters_until(), Some(end - MIN_PAUSE + 1800 * SECOND));
        let ticket = queue(&mut state, request(), end).ticket;
        let probe = send(&mut state, ticket, end);
        state.complete(probe, accepted(reported(50, 60), end), end);
        assert!(state.try_acquire(request()).is_some());
        assert_eq!(state.matters_until(), Some(end + MINUTE));

        let (mut state, end) = learned();
        let ticket = queue(&mut state, request(), end).ticket;
        let probe = send(&mut state, ticket, end);
        state.complete(probe, accepted(RateLimitHeaders::default(), end), end);
        assert!(state.try_acquire(request()).is_none());
        let forgotten = end - MIN_PAUSE + 1800 * SECOND;
        assert_eq!(state.room(request(), forgotten - SECOND), Some(1), "one at a time");
        assert_eq!(state.room(request(), forgotten), None);
        assert!([(); 2].iter().all(|()| state.enqueue(request(), forgotten).unwrap().is_ok()));
    }

    #[tokio::test(start_paused = true)]
    async fn if_responses_are_late_calls_go_by_rate_until_the_vendor_says_that_nothing_is_left() {
        let (mut state, now) = slow(1);
        let pace = interval(&state);
        assert!((pace.as_secs_f64() - 0.6 / 0.97).abs() < 0.001, "{pace:?}");
        for call in 0..3 {
            assert!(state.enqueue(request(), now + pace * call).unwrap().is_ok(), "{call}");
        }
        assert_eq!(state.room(request(), now + pace * 2), Some(0), "the next one has to wait for the rate");
        assert_eq!(state.room(request(), now + pace * 3), Some(1));

        let (mut state, now) = slow(0);
        assert!(state.enqueue(request(), now).unwrap().is_err(), "the vendor says that nothing is left");
        let patient = hasty(now, 20 * SECOND);
        assert_eq!(state.enqueue(patient, now).unwrap_err(), now + MINUTE, "until the reset");

        let (mut state, now) = slow(50);
        let Ok(Ok(call)) = state.enqueue(request(), now) else { panic!("{state:?}") };
        state.complete(call, refused(wait(1), now), now);
        assert!((interval(&state).as_secs_f64() - 0.6 / 0.97 / 0.95).abs() < 0.001, "{:?}", interval(&state));
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_that_stops_reporting_holds_no_call_back() {
        let (mut state, now) = open(30);
        for _ in 0..16 {
            exchange(&mut state, accepted(RateLimitHeaders::default(), now), now);
        }
        assert!([(); 40].iter().all(|()| state.try_acquire(request()).is_some()));
    }

    #[tokio::test(start_paused = true)]
    async fn the_room_is_what_can_be_sent_without_waiting() {
        let now = Instant::now();
        assert_eq!(LimiterState::new(LimitHeaders::Unsure).room(request(), now), None);
        assert_eq!(LimiterState::new(LimitHeaders::Sent).room(request(), now), None);
        let (mut state, now) = open(10);
        state.try_acquire(request()).unwrap();
        assert_eq!(state.room(request(), now), Some(9));
        assert_eq!(state.room(request(), now + MINUTE), Some(100), "the next window is whole");
        let (mut state, now) = paused();
        assert_eq!(state.room(request(), now), Some(0));
        assert_eq!(state.room(request(), now + 10 * SECOND), Some(0), "the next call asks alone");
        let (mut state, now) = open(1);
        state.try_acquire(request()).unwrap();
        queue(&mut state, request(), now);
        assert_eq!(state.room(request(), now + MINUTE), Some(0), "another one is first");
        let (mut state, reset) = trusted();
        assert_eq!(state.room(request(), reset), Some(2), "it has begun");
    }

    #[tokio::test(start_paused = true)]
    async fn the_forecast_counts_whole_windows_and_never_says_now() {
        let (mut state, now) = open(0);
        let at = |state: &LimiterState, ahead, now| state.room_after(request(), ahead, now);
        assert_eq!(at(&state, 0, now), Some(now + MINUTE));
        assert_eq!(at(&state, 99, now), Some(now + MINUTE));
        assert_eq!(at(&state, 100, now), Some(now + 2 * MINUTE));
        assert_eq!(at(&state, 350, now), Some(now + 4 * MINUTE));
        assert_eq!(at(&state, u64::MAX, now), Some(now + MINUTE + MINUTE * 60 * 24 * 365));
        assert_eq!(at(&state, 0, now + MINUTE), None, "the window is over");
        state.phase = Phase::ProbeNext { from: Some(now + SECOND), why: ProbeReason::Pause };
        assert_eq!((at(&state, 9, now), at(&state, 9, now + SECOND)), (Some(now + SECOND), None));
        state.phase = Phase::Probing { since: now, why: ProbeReason::Pause };
        assert_eq!(at(&state, 9, now), None);
        state.phase = Phase::Paused { until: now + 10 * SECOND, word: VendorWord::Outage };
        assert_eq!(at(&state, 250, now), Some(now + 10 * SECOND + 2 * MINUTE));

        let (state, now) = open(3);
        assert_eq!((at(&state, 2, now), at(&state, 3, now)), (None, Some(now + MINUTE)));

        let (mut state, end) = learned();
        state.phase = Phase::Open;
        let now = end - MIN_PAUSE;
        assert_eq!(at(&state, 0, now), None, "the rate allows a call now");
        let (one, two) = (at(&state, 1, now).unwrap(), at(&state, 2, now).unwrap());
        assert!(now < one && one < two);
        assert_eq!(at(&state, 1, one), None);
    }

    #[tokio::test(start_paused = true)]
    async fn the_driver_sleeps_until_the_next_thing_that_changes_by_itself() {
        let (mut state, now) = open(0);
        assert_eq!(state.next_event(now), None, "no call waits");
        let first = queue(&mut state, request(), now);
        assert_eq!(state.next_event(now), Some(now + MINUTE));
        let end = now + MINUTE;
        state.dispatch(end);
        assert_eq!(state.next_event(end), Some(end + SECOND), "the offer expires");
        send(&mut state, first.ticket, end);
        assert_eq!(state.next_event(end), None, "no call waits");
        queue(&mut state, request(), end);
        assert_eq!(state.next_event(end), Some(end + PROBE_TIMEOUT));

        let (mut state, now) = open(2);
        let [unsent, _other] = [(); 2].map(|()| state.try_acquire(request()).unwrap());
        (0..2).for_each(|_| drop(queue(&mut state, request(), now)));
        state.complete(unsent, Completion::NotSent, now);
        assert_eq!(state.next_event(now), Some(now + SECOND), "one is offered a slot, and the other one waits");
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_come_is_no_next_event() {
        let (mut state, now) = paused();
        queue(&mut state, request(), now);
        assert_eq!(state.next_event(now + 10 * SECOND), None);
        let (mut state, now) = open(0);
        queue(&mut state, request(), now);
        let reset = now + MINUTE;
        state.guessing_since = Some(reset - SECOND);
        assert_eq!(state.next_event(reset), Some(reset - SECOND + PROBE_TIMEOUT));
    }

    #[tokio::test(start_paused = true)]
    async fn the_driver_is_known_and_its_end_wakes_every_waiter() {
        let (mut state, now) = open(0);
        assert!(!state.is_probing(), "no call waits");
        let waiting = [(); 2].map(|()| queue(&mut state, request(), now));
        assert!(!state.is_probing(), "they wait for the window");
        state.set_driver(Some(now + MINUTE));
        assert_eq!(state.driver(), Some(now + MINUTE));
        state.set_driver(None);
        assert_eq!(state.driver(), None);
        state.wake_all();
        assert!(waiting.iter().all(is_woken));
        state.dispatch(now + MINUTE);
        assert!(state.is_probing());
        waiting.iter().for_each(|position| state.leave(request(), position.ticket, now + MINUTE));
        assert!(!state.is_probing(), "no call waits any more");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_of_a_tenant_matters_until_its_pause_and_its_window_are_over() {
        let now = Instant::now();
        assert_eq!(LimiterState::new(LimitHeaders::Sent).matters_until(), None);
        let (mut state, _) = open(50);
        assert_eq!(state.matters_until(), Some(now + MINUTE));
        exchange(&mut state, refused(wait(90), now), now);
        assert_eq!(state.matters_until(), Some(now + 90 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn reopening_forgets_how_often_calls_were_refused_and_probes_failed() {
        let (mut state, end) = learned();
        let ticket = queue(&mut state, request(), end).ticket;
        let probe = send(&mut state, ticket, end);
        state.complete(probe, Completion::Failed, end);
        let waiting = queue(&mut state, request(), end);
        assert!(state.is_probing());
        state.reopen(end);
        assert!(is_woken(&waiting));
        assert_eq!((state.refusals, state.failed_probes, state.pause), (0, 0, Duration::ZERO));
        assert_eq!(state.learned_rate(), None);
        let epoch = state.epoch;
        state.reopen(end);
        assert_eq!(state.epoch, epoch + 1, "what was sent before says nothing any more");
    }
}
