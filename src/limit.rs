//! The rate limiter that all callers of a tenant share.
//!
//! A vendor counts the calls of a whole tenant, from any program. So there is one limiter for each vendor and tenant in the
//! process, for all clients and clones: it learns from every response, sends calls while the vendor's window has room for
//! them, and holds them back when it has none instead of letting each earn its own 429.

mod headers;
mod registry;
mod reset;
mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use tokio::time::Instant;

pub(crate) use self::headers::{InvalidHeader, RateLimitHeaders, read_all};
pub(crate) use self::registry::Registry;
use self::state::{AcquireRequest, Completion, LimiterState, QueuePosition, Reservation, WaitDecision};
use crate::clock::Clock;
use crate::observer::Wait;
use crate::priority::Priority;
use crate::telemetry::CallScope;
use crate::transport::HttpResponse;
use crate::vendor::LimitHeaders;

/// How a client treats the tenant's rate limit.
///
/// All clients of a tenant in the process share one rate limiter. It needs no configuration: it reads the limit, the remaining
/// calls and the reset from the vendor's responses. Calls are sent immediately while the window has room, and wait for the reset
/// when it has none; waiting calls are sent in order of their [`Priority`]. If other integrations use the tenant too, the
/// limiter leaves them a margin as large as their observed usage. A vendor that sends no limit is called without waiting
/// until its first 429.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use servicebay::{Priority, RateLimitPolicy, fixably};
///
/// let export = fixably::Client::builder(fixably::Credentials::bearer("token-from-the-settings-page"))
///     .with_tenant("acme")
///     .with_priority(Priority::Bulk)
///     .with_rate_limit(
///         RateLimitPolicy::new()
///             // Half of every window is for the tenant's accounting system.
///             .with_bulk_reserve(0.5)
///             // Windows are at most an hour: a later reset is an error in the header.
///             .with_max_window(Duration::from_secs(3600)),
///     )
///     .build()?;
/// # Ok::<(), servicebay::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a policy has no effect until it is passed to a builder"]
#[non_exhaustive]
pub struct RateLimitPolicy {
    max_window: Duration,
    /// In thousandths of a window.
    bulk_reserve: u16,
}

impl RateLimitPolicy {
    /// The default: windows of at most 24 hours, of which bulk calls leave 20 % to others.
    pub fn new() -> Self {
        Self { max_window: Duration::from_secs(24 * 3600), bulk_reserve: 200 }
    }

    /// The longest window that the vendor can have. Default 24 h, at most a year. A reset further ahead is considered an error
    /// in the header: it is ignored, and calls back off instead.
    pub fn with_max_window(self, window: Duration) -> Self {
        // What is longer could not be added to a moment.
        Self { max_window: window.min(Duration::from_secs(365 * 24 * 3600)), ..self }
    }

    /// The share of every window that calls of [`Priority::Bulk`] leave to calls of a higher priority and to the tenant's other
    /// integrations. Default 0.2, from 0 to 0.9; values outside are clamped, and NaN becomes 0. Raise it if other integrations
    /// of the tenant run into the limit; set it to 0 if there are none.
    ///
    /// It has no effect if the vendor does not send the remaining calls. If it sends no limit, the calls that remained at the
    /// start of the window stand for it.
    pub fn with_bulk_reserve(self, share: f64) -> Self {
        Self { bulk_reserve: (share.clamp(0.0, 0.9) * 1000.0).round() as u16, ..self }
    }

    /// What a call of this priority asks of the gate.
    pub(crate) fn ask(&self, priority: Priority) -> AcquireRequest {
        let reserve = if priority == Priority::Bulk { self.bulk_reserve } else { 0 };
        AcquireRequest { priority, reserve }
    }
}

impl Default for RateLimitPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// A snapshot of a tenant's rate limit.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset_at: Option<Timestamp>,
    closed_until: Option<Timestamp>,
    in_flight: u64,
    waiting: [usize; Priority::ALL.len()],
    others_per_minute: u64,
}

impl RateLimit {
    /// What one answer says.
    pub(crate) fn told(signals: RateLimitHeaders, clock: Clock) -> Self {
        Self {
            limit: signals.limit,
            remaining: signals.remaining,
            reset_at: signals.reset.map(|ahead| clock.wall_in(ahead)),
            closed_until: None,
            in_flight: 0,
            waiting: [0; Priority::ALL.len()],
            others_per_minute: 0,
        }
    }

    /// The number of requests that a window allows, if the vendor sends it.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The number of requests left in the window, if the vendor sends it: the lowest value of any response in this window.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// When the window ends, if the vendor sends it. In the past after the window has ended.
    pub fn reset_at(&self) -> Option<Timestamp> {
        self.reset_at
    }

    /// Until when this process sends no calls to the tenant, because the vendor responded with a 429.
    pub fn closed_until(&self) -> Option<Timestamp> {
        self.closed_until
    }

    /// The number of this process's calls in flight.
    pub fn in_flight(&self) -> u64 {
        self.in_flight
    }

    /// The number of this process's calls that wait for the limit.
    pub fn waiting(&self) -> usize {
        self.waiting.iter().sum()
    }

    /// The number of this process's calls with this priority that wait for the limit.
    pub fn waiting_at(&self, priority: Priority) -> usize {
        self.waiting[priority.index()]
    }

    /// The calls per minute that other integrations and processes make to the tenant. An estimate: the remaining calls fall
    /// faster than this process's own calls explain. Calls that could also be this process's own are not counted.
    pub fn others_per_minute(&self) -> u64 {
        self.others_per_minute
    }
}

/// The budget of one tenant.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    gate: Mutex<LimiterState>,
}

impl RateLimiter {
    pub(crate) fn new(headers: LimitHeaders) -> Self {
        Self { gate: Mutex::new(LimiterState::new(headers)) }
    }

    /// Waits for the right to send one request, at most until `latest`.
    ///
    /// # Errors
    ///
    /// The moment at which there is room again, as soon as it is known to lie after `latest`.
    pub(crate) async fn acquire(
        &self,
        ask: AcquireRequest,
        clock: Clock,
        latest: Instant,
        scope: CallScope<'_>,
    ) -> Result<Permit<'_>, Instant> {
        let pass = self.gate().enter(ask);
        match pass {
            Some(pass) => Ok(self.permit(pass, clock)),
            None => scope.wait(Wait::Limit, self.wait(ask, clock, latest)).await,
        }
    }

    async fn wait(&self, ask: AcquireRequest, clock: Clock, latest: Instant) -> Result<Permit<'_>, Instant> {
        let place = {
            let (mut gate, now) = (self.gate(), clock.now());
            if let Some(pass) = gate.enter_at(ask, now) {
                return Ok(self.permit(pass, clock));
            }
            gate.queue(ask, now, latest)?
        };
        let waiting = QueueGuard { budget: self, place, clock };
        loop {
            let turn = self.gate().turn(waiting.place.ticket, clock.now());
            match turn {
                WaitDecision::Go(pass) => return Ok(self.permit(pass, clock)),
                WaitDecision::GiveUp(resume_at) => return Err(resume_at),
                WaitDecision::WaitUntil(moment) => {
                    // Woken or not, it looks again.
                    let _ = clock.within(waiting.place.wake.notified(), moment).await;
                }
            }
        }
    }

    /// How many calls can be sent now without waiting, as far as it is known; `None` where the vendor tells nothing.
    pub(crate) fn room(&self, ask: AcquireRequest, clock: Clock) -> Option<u64> {
        self.gate().room(ask, clock.now())
    }

    /// Whether what it knows still counts, even if nobody calls.
    fn matters(&self, now: Instant) -> bool {
        self.gate().matters_until().is_some_and(|until| now < until)
    }

    fn permit(&self, pass: Reservation, clock: Clock) -> Permit<'_> {
        Permit { budget: self, pass: Some(pass), sent_at: None, clock }
    }

    pub(crate) fn snapshot(&self, clock: Clock) -> RateLimit {
        let gate = self.gate();
        let window = gate.window();
        RateLimit {
            limit: window.limit(),
            remaining: window.remaining(),
            reset_at: window.reset_at().map(|moment| clock.wall_at(moment)),
            closed_until: gate.closed_until(clock.now()).map(|moment| clock.wall_at(moment)),
            in_flight: window.in_flight(),
            waiting: Priority::ALL.map(|priority| gate.waiting_at(priority)),
            others_per_minute: (window.others() * 60.0).round() as u64,
        }
    }

    fn gate(&self) -> MutexGuard<'_, LimiterState> {
        // The gate is left whole by every call, so a panic elsewhere does not spoil it.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to send one request. Dropped without an answer, it goes back.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    budget: &'a RateLimiter,
    pass: Option<Reservation>,
    /// When the request was sent, if it was.
    sent_at: Option<Instant>,
    clock: Clock,
}

impl Permit<'_> {
    /// The request is sent now.
    pub(crate) fn leaves(&mut self, now: Instant) {
        self.sent_at = Some(now);
    }

    /// Gives the permit back together with what the answer says, where there was one. What makes no sense in it is told.
    pub(crate) fn observe(
        mut self,
        answer: Option<&HttpResponse>,
        policy: &RateLimitPolicy,
        tell: &dyn Fn(InvalidHeader<'_>),
    ) -> RateLimitHeaders {
        let read =
            |answer: &HttpResponse| headers::read(&answer.headers, || self.clock.wall(), policy.max_window, tell);
        let signals = answer.map(read);
        let refused = answer.is_some_and(|answer| answer.status == StatusCode::TOO_MANY_REQUESTS);
        self.give_back(match (self.sent_at, signals) {
            (Some(sent_at), Some(signals)) if refused => Completion::Refused { sent_at, signals },
            (Some(sent_at), Some(signals)) => Completion::Accepted { sent_at, signals },
            _ => Completion::Failed,
        });
        signals.unwrap_or_default()
    }

    fn give_back(&mut self, report: Completion) {
        if let Some(pass) = self.pass.take() {
            self.budget.gate().report(pass, report, self.clock.now());
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.give_back(if self.sent_at.is_some() { Completion::Cancelled } else { Completion::Unused });
    }
}

/// A place in the queue, left when its caller goes away.
struct QueueGuard<'a> {
    budget: &'a RateLimiter,
    place: QueuePosition,
    clock: Clock,
}

impl Drop for QueueGuard<'_> {
    fn drop(&mut self) {
        self.budget.gate().leave(self.place.ticket, self.clock.now());
    }
}
