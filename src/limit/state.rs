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
            Phase::Paused { until, .. } if now < until => WaitDecision::GiveUp(until),
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
        self.room_at(request, self.queue.end(), now).unwrap_or(soon).max(now + Duration::from_millis(1))
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
        let changed = match completion {
            Completion::Responded { sent_at, headers, kind } => {
                self.on_response(reservation, sent_at, headers, kind, now)
            }
            Completion::Failed => {
                self.window.on_failure(reservation.sent);
                self.on_failed_call(reservation, now);
                false
            }
            Completion::NotSent => {
                self.window.end(reservation.sent);
                self.on_failed_call(reservation, now);
                false
            }
            Completion::Canceled => {
                self.window.on_failure(reservation.sent);
                self.repeat_probe(reservation);
                false
            }
            Completion::Unused => {
                self.window.end(reservation.sent);
                self.repeat_probe(reservation);
                false
            }
        };
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
        let changed = match says_nothing {
            true => {
                self.window.on_failure(reservation.sent);
                false
            }
            false => {
                let is_refused = kind == ResponseKind::Refused;
                self.window.on_response(&ReceivedResponse { sent: reservation.sent, sent_at, headers, is_refused }, now)
            }
        };
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
            self.pause = Duration::ZERO;
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
        if let Phase::Paused { until, .. } = self.phase
            && now < until
        {
            return Some(self.after_windows(until, request, ahead));
        }
        if self.phase != Phase::Open {
            return match self.phase {
                Phase::ProbeNext { from, .. } => from.filter(|from| now < *from),
                _ => None,
            };
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
            assert_eq!(state.paused_until(now), None);
            let probe = send(&mut state, ticket, now);
            state.complete(probe, accepted(reported(50, 60), now), now);
            assert!(state.try_acquire(request()).is_some());
        }
    }
}
