//! The rate limiter that all callers of a tenant share.
//!
//! A vendor counts the calls of a whole tenant, from any program. So there is one limiter for each vendor and tenant in the
//! process, for all clients and clones: it learns from every response, sends calls while the vendor's window has room for
//! them, and holds them back when it has none instead of letting each earn its own 429.
//!
//! Calls are sent at once if there is room. If not, they wait in a queue, and one [driver](RateLimiter::drive) for all of them
//! lets time pass: a task that runs while a call waits, on no caller's runtime.

mod acquire_request;
mod external_usage;
mod header_reader;
mod headers;
mod invalid_header;
mod learned_rate;
mod pace;
mod pacing;
mod policy;
mod queue;
mod registry;
mod reset;
mod response_kind;
mod snapshot;
mod state;
mod structured_headers;
mod unconfirmed;
mod vendor_clock;
mod window;
mod window_length;
#[cfg(test)]
mod world;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use self::acquire_request::AcquireRequest;
pub(crate) use self::headers::{RateLimitHeaders, read_all};
pub(crate) use self::invalid_header::InvalidHeader;
pub use self::policy::RateLimitPolicy;
pub(crate) use self::registry::Registry;
pub(crate) use self::response_kind::ResponseKind;
pub use self::snapshot::{HoldBack, RateLimit};
use self::state::{Completion, LimiterState, QueuePosition, Reservation, VendorWord, WaitDecision};
use self::vendor_clock::VendorClock;
use crate::clock::Clock;
use crate::observer::Wait;
use crate::priority::Priority;
use crate::telemetry::CallScope;
use crate::transport::{HttpError, HttpResponse, Spawner};
use crate::vendor::LimitHeaders;

/// How long the driver sleeps if only a response helps.
const FAR: Duration = Duration::from_secs(3600);

/// The rate limiter of one tenant.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    state: Mutex<LimiterState>,
    vendor_clock: Mutex<VendorClock>,
    /// Wakes the driver when something is due earlier than it thinks.
    driver: Notify,
    spawner: Spawner,
}

/// Until when a call can wait for the rate limit, and where it stands in the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LimitWait {
    /// Until when it can wait. What may be sent at that moment still is.
    pub(crate) until: Instant,
    /// When the call has to be over: nothing is sent from then on.
    pub(crate) send_before: Instant,
    /// Whether it has to be over already.
    pub(crate) is_over: bool,
    /// The place that it had before, if it has waited before.
    pub(crate) place: Option<u64>,
}

impl RateLimiter {
    pub(crate) fn new(headers: LimitHeaders, spawner: Spawner) -> Self {
        Self {
            state: Mutex::new(LimiterState::new(headers)),
            vendor_clock: Mutex::default(),
            driver: Notify::new(),
            spawner,
        }
    }

    /// Waits for the right to send one request.
    ///
    /// # Errors
    ///
    /// The moment at which there is room again, as soon as it is known to be too late.
    pub(crate) async fn acquire<'a>(
        self: &'a Arc<Self>,
        policy: &RateLimitPolicy,
        priority: Priority,
        wait: LimitWait,
        clock: Clock,
        scope: CallScope<'_>,
    ) -> Result<Permit<'a>, Instant> {
        let LimitWait { until: wait_until, send_before, place, .. } = wait;
        let request = AcquireRequest { priority, reserve: policy.reserve(priority), wait_until, send_before, place };
        let reservation = if wait.is_over { None } else { self.state().try_acquire(request) };
        match reservation {
            Some(reservation) => Ok(self.permit(reservation, clock)),
            None => scope.wait(Wait::Limit, self.wait(request, clock)).await,
        }
    }

    async fn wait(self: &Arc<Self>, request: AcquireRequest, clock: Clock) -> Result<Permit<'_>, Instant> {
        let queued = {
            let (mut state, now) = (self.state(), clock.now());
            let queued = state.enqueue(request, now);
            self.drive(state, now, clock);
            queued?
        };
        let position = match queued {
            Ok(reservation) => return Ok(self.permit(reservation, clock)),
            Err(position) => position,
        };
        let waiting = QueueGuard { limiter: self, request, position, clock };
        loop {
            let decision = {
                let (mut state, now) = (self.state(), clock.now());
                let decision = state.claim(request, waiting.position.ticket, now);
                self.drive(state, now, clock);
                decision
            };
            match decision {
                WaitDecision::Send(reservation) => return Ok(self.permit(reservation, clock)),
                WaitDecision::GiveUp(resume_at) => return Err(resume_at),
                WaitDecision::Wait(until) => {
                    // Woken or not, it looks again.
                    let _ = clock.within(waiting.position.wake.notified(), until).await;
                }
            }
        }
    }

    /// Makes sure that the driver looks again when something is due.
    fn drive(self: &Arc<Self>, mut state: MutexGuard<'_, LimiterState>, now: Instant, clock: Clock) {
        if state.is_queue_empty() {
            return;
        }
        let next = state.next_event(now).unwrap_or(now + FAR);
        match state.driver() {
            Some(wakes_at) if wakes_at <= next => {}
            Some(_) => self.driver.notify_one(),
            None => {
                state.set_driver(Some(next));
                // Not under the lock: a task that cannot be spawned is dropped at once.
                drop(state);
                self.spawner.spawn(Driver { limiter: Arc::clone(self), has_ended: false }.run(clock));
            }
        }
    }

    /// How many calls can be sent now without waiting, as far as it is known; `None` if the vendor reports nothing.
    pub(crate) fn room(&self, policy: &RateLimitPolicy, priority: Priority, clock: Clock) -> Option<u64> {
        let now = clock.now();
        let reserve = policy.reserve(priority);
        let request = AcquireRequest { priority, reserve, wait_until: now, send_before: now + FAR, place: None };
        self.state().room(request, now)
    }

    /// Forgets what holds calls back.
    pub(crate) fn reopen(self: &Arc<Self>, clock: Clock) {
        let (mut state, now) = (self.state(), clock.now());
        state.reopen(now);
        self.drive(state, now, clock);
    }

    /// Whether what it knows still counts, even if no client is left.
    fn matters(&self, now: Instant) -> bool {
        self.state().matters_until().is_some_and(|until| now < until)
    }

    fn permit(self: &Arc<Self>, reservation: Reservation, clock: Clock) -> Permit<'_> {
        Permit { limiter: self, place: reservation.place, reservation: Some(reservation), sent_at: None, clock }
    }

    pub(crate) fn snapshot(&self, clock: Clock) -> RateLimit {
        let (state, now) = (self.state(), clock.now());
        let window = state.window();
        RateLimit {
            limit: window.limit(),
            remaining: window.remaining(),
            reset_at: window.reset_at().map(|moment| clock.wall_at(moment)),
            held_back: self.held_back(&state, now, clock),
            in_flight: window.in_flight(),
            waiting: Priority::ALL.map(|priority| state.waiting_at(priority)),
            others_per_minute: (window.external() * 60.0).round() as u64,
        }
    }

    fn held_back(&self, state: &LimiterState, now: Instant, clock: Clock) -> Option<HoldBack> {
        match state.paused_until(now) {
            Some((until, VendorWord::RateLimited)) => {
                return Some(HoldBack::RateLimited { until: clock.wall_at(until) });
            }
            Some((until, VendorWord::Outage)) => return Some(HoldBack::Outage { until: clock.wall_at(until) }),
            None => {}
        }
        if let Some(until) = state.window().exhausted_at(now) {
            return Some(HoldBack::Exhausted { until: clock.wall_at(until) });
        }
        let learned =
            state.learned_rate().map(|rate| HoldBack::LearnedRate { per_minute: (rate * 60.0).ceil() as u64 });
        state.is_probing().then_some(HoldBack::Probing).or(learned)
    }

    fn state(&self) -> MutexGuard<'_, LimiterState> {
        // Every call leaves the state whole, so a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets time pass for all who wait; ends when no call waits any more.
struct Driver {
    limiter: Arc<RateLimiter>,
    has_ended: bool,
}

impl Driver {
    async fn run(mut self, clock: Clock) {
        let limiter = Arc::clone(&self.limiter);
        loop {
            let next = {
                let (mut state, now) = (limiter.state(), clock.now());
                state.dispatch(now);
                if state.is_queue_empty() {
                    // Under the lock: a call that comes now starts another driver.
                    state.set_driver(None);
                    self.has_ended = true;
                    return;
                }
                let next = state.next_event(now).unwrap_or(now + FAR);
                state.set_driver(Some(next));
                next
            };
            let _ = clock.within(limiter.driver.notified(), next).await;
        }
    }
}

impl Drop for Driver {
    /// The task may end with its runtime. Then one of the waiters starts another.
    fn drop(&mut self) {
        if !self.has_ended {
            let mut state = self.limiter.state();
            state.set_driver(None);
            state.wake_all();
        }
    }
}

/// The right to send one request. Dropped without a response, it goes back.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    limiter: &'a Arc<RateLimiter>,
    reservation: Option<Reservation>,
    place: u64,
    /// When the request was sent, if it was.
    sent_at: Option<Instant>,
    clock: Clock,
}

impl Permit<'_> {
    /// The place of the call in the queue, which it keeps if it has to wait again.
    pub(crate) fn place(&self) -> u64 {
        self.place
    }

    /// The request is sent now.
    pub(crate) fn start(&mut self, now: Instant) {
        self.sent_at = Some(now);
    }

    /// Gives the permit back together with what the response says, if there is one. Headers that make no sense are reported.
    pub(crate) fn observe(
        mut self,
        outcome: Result<&HttpResponse, &HttpError>,
        policy: &RateLimitPolicy,
        report: &dyn Fn(InvalidHeader<'_>),
    ) -> RateLimitHeaders {
        let (sent_at, now) = (self.sent_at.unwrap_or_else(|| self.clock.now()), self.clock.now());
        let response = match outcome {
            Ok(response) => response,
            Err(error) => {
                let not_sent = matches!(error, HttpError::NotSent(_));
                self.give_back(if not_sent { Completion::NotSent } else { Completion::Failed }, now);
                return RateLimitHeaders::default();
            }
        };
        let vendor_now = |date| {
            let wall = self.clock.wall();
            match date {
                Some(date) => self.limiter.vendor_clock.lock().unwrap_or_else(PoisonError::into_inner).now(date, wall),
                None => wall,
            }
        };
        let headers = headers::read(&response.headers, vendor_now, now - sent_at, policy.max_window(), report);
        let kind = ResponseKind::of(response.status, &headers);
        self.give_back(
            match headers.is_cached && kind == ResponseKind::Accepted {
                // The vendor did not see the call.
                true => Completion::Unused,
                false => Completion::Responded { sent_at, headers, kind },
            },
            now,
        );
        headers
    }

    fn give_back(&mut self, completion: Completion, now: Instant) {
        if let Some(reservation) = self.reservation.take() {
            let mut state = self.limiter.state();
            state.complete(reservation, completion, now);
            self.limiter.drive(state, now, self.clock);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.reservation.is_some() {
            let completion = if self.sent_at.is_some() { Completion::Canceled } else { Completion::Unused };
            self.give_back(completion, self.clock.now());
        }
    }
}

/// A place in the queue, which its caller leaves when it goes away.
struct QueueGuard<'a> {
    limiter: &'a Arc<RateLimiter>,
    request: AcquireRequest,
    position: QueuePosition,
    clock: Clock,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        let (mut state, now) = (self.limiter.state(), self.clock.now());
        state.leave(self.request, self.position.ticket, now);
        self.limiter.drive(state, now, self.clock);
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::*;

    /// A limiter whose vendor has reported how many calls remain in a window of a minute.
    fn limiter(remaining: u32) -> Arc<RateLimiter> {
        let limiter = Arc::new(RateLimiter::new(LimitHeaders::Unsure, Spawner::Limits));
        let mut permit = acquire(&limiter);
        permit.start(Instant::now());
        let headers = [("x-ratelimit-remaining", HeaderValue::from(remaining)), ("x-ratelimit-reset", 60.into())];
        let headers = headers.map(|(name, value)| (http::HeaderName::from_static(name), value));
        let response = HttpResponse::new(StatusCode::OK, HeaderMap::from_iter(headers), bytes::Bytes::new());
        permit.observe(Ok(&response), &RateLimitPolicy::new(), &|_| {});
        limiter
    }

    fn acquire(limiter: &Arc<RateLimiter>) -> Permit<'_> {
        let queued = limiter.state().enqueue(AcquireRequest::test(Priority::Normal), Instant::now());
        limiter.permit(queued.unwrap().unwrap(), Clock::System)
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_that_is_dropped_uses_a_call_up_only_if_its_request_was_sent() {
        for (is_sent, left) in [(false, 3), (true, 2)] {
            let limiter = limiter(3);
            let room = || limiter.room(&RateLimitPolicy::new(), Priority::Normal, Clock::System);
            assert_eq!(room(), Some(3));
            let mut permit = acquire(&limiter);
            assert_eq!((room(), limiter.snapshot(Clock::System).in_flight()), (Some(2), 1));
            if is_sent {
                permit.start(Instant::now());
            }
            drop(permit);
            assert_eq!((room(), limiter.snapshot(Clock::System).in_flight()), (Some(left), 0));
        }
    }
}
