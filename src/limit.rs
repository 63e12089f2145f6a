//! The budget that everybody who calls a tenant shares.
//!
//! A vendor counts the calls of a whole tenant, whoever makes them. So there is one budget for each vendor and tenant in
//! the process, whichever clients and clones use it: it learns from every answer, and when the vendor refuses one call
//! it holds the others back instead of letting each earn its own refusal.

mod gate;
mod registry;
mod reset;
mod signals;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use tokio::time::Instant;

use self::gate::{Gate, Place, Report, Turn};
pub(crate) use self::registry::Registry;
pub(crate) use self::signals::Signals;
use crate::clock::Clock;
use crate::transport::Answer;

/// How a client behaves towards the tenant's rate limit.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use servicebay::RateLimitPolicy;
///
/// // A vendor whose windows are known to be short: a reset further ahead is a mistake of the header.
/// let policy = RateLimitPolicy::new().with_max_window(Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimitPolicy {
    max_window: Duration,
}

impl RateLimitPolicy {
    /// Resets up to a day ahead are believed.
    pub fn new() -> Self {
        Self { max_window: Duration::from_secs(24 * 3600) }
    }

    /// The longest window that the vendor can have, at most a year. Default 24 h. A reset further ahead is taken for a mistake: it is
    /// ignored, and backoff takes its place.
    pub fn with_max_window(self, window: Duration) -> Self {
        // What is longer could not be added to a moment.
        Self { max_window: window.min(Duration::from_secs(365 * 24 * 3600)) }
    }
}

impl Default for RateLimitPolicy {
    fn default() -> Self {
        Self::new()
    }
}

/// What is known of a tenant's rate limit: a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset_at: Option<Timestamp>,
    closed_until: Option<Timestamp>,
    in_flight: u32,
    waiting: usize,
}

impl RateLimit {
    /// What one answer says.
    pub(crate) fn told(signals: Signals, clock: Clock) -> Self {
        Self {
            limit: signals.limit,
            remaining: signals.remaining,
            reset_at: signals.reset.map(|ahead| clock.wall_in(ahead)),
            closed_until: None,
            in_flight: 0,
            waiting: 0,
        }
    }

    /// Requests in a window, where the vendor says.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Requests that were left in the window at the last answer, where the vendor says.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// When the window ends, where the vendor says; in the past once it has ended.
    pub fn reset_at(&self) -> Option<Timestamp> {
        self.reset_at
    }

    /// Until when this process sends the tenant nothing because the vendor refused a call.
    pub fn closed_until(&self) -> Option<Timestamp> {
        self.closed_until
    }

    /// Calls of this process that are on their way.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Calls of this process that wait for the limit.
    pub fn waiting(&self) -> usize {
        self.waiting
    }
}

/// The budget of one tenant.
#[derive(Debug)]
pub(crate) struct Budget {
    gate: Mutex<Gate>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self { gate: Mutex::new(Gate::new()) }
    }

    /// Waits for the right to send one request, at most until `latest`.
    ///
    /// # Errors
    ///
    /// The moment at which there is room again, as soon as it is known to lie after `latest`.
    pub(crate) async fn acquire(&self, clock: Clock, latest: Instant) -> Result<Permit<'_>, Instant> {
        if let Some(pass) = self.gate().enter() {
            return Ok(Permit { budget: self, pass: Some(pass), clock });
        }
        self.wait(clock, latest).await
    }

    async fn wait(&self, clock: Clock, latest: Instant) -> Result<Permit<'_>, Instant> {
        let place = self.gate().queue(clock.now(), latest)?;
        let waiting = Waiting { budget: self, place };
        loop {
            let turn = self.gate().turn(waiting.place.ticket, clock.now());
            match turn {
                Turn::Go(pass) => return Ok(Permit { budget: self, pass: Some(pass), clock }),
                Turn::GiveUp(resume_at) => return Err(resume_at),
                Turn::WaitUntil(moment) => {
                    // Woken or not, it looks again.
                    let _ = clock.within(waiting.place.wake.notified(), moment).await;
                }
            }
        }
    }

    /// How many calls can be sent now without waiting, as far as it is known; `None` where the vendor tells nothing.
    pub(crate) fn room(&self, clock: Clock) -> Option<u64> {
        let gate = self.gate();
        let now = clock.now();
        if gate.waiting() > 0 || gate.closed_until(now).is_some() {
            return Some(0);
        }
        let known = gate.known();
        let ended = known.reset_at.is_some_and(|reset| reset <= now);
        // A window that has begun since the last answer is whole.
        let left = if ended { known.limit.or(known.remaining) } else { known.remaining };
        left.map(|left| left.saturating_sub(gate.in_flight().into()))
    }

    pub(crate) fn snapshot(&self, clock: Clock) -> RateLimit {
        let gate = self.gate();
        let known = gate.known();
        RateLimit {
            limit: known.limit,
            remaining: known.remaining,
            reset_at: known.reset_at.map(|moment| clock.wall_at(moment)),
            closed_until: gate.closed_until(clock.now()).map(|moment| clock.wall_at(moment)),
            in_flight: gate.in_flight(),
            waiting: gate.waiting(),
        }
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        // The gate is left whole by every call, so a panic elsewhere does not spoil it.
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to send one request. Dropped without an answer, it goes back.
#[derive(Debug)]
pub(crate) struct Permit<'a> {
    budget: &'a Budget,
    pass: Option<gate::Pass>,
    clock: Clock,
}

impl Permit<'_> {
    /// Gives the permit back together with what the answer says, where there was one.
    pub(crate) fn observe(mut self, answer: Option<&Answer>, policy: &RateLimitPolicy) -> Signals {
        let Some(answer) = answer else {
            return Signals::default();
        };
        let signals = signals::read(&answer.headers, || self.clock.wall(), policy.max_window);
        self.give_back(match answer.status {
            StatusCode::TOO_MANY_REQUESTS => Report::Refused(signals),
            _ => Report::Accepted(signals),
        });
        signals
    }

    fn give_back(&mut self, report: Report) {
        if let Some(pass) = self.pass.take() {
            self.budget.gate().report(pass, report, self.clock.now());
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.give_back(Report::Unanswered);
    }
}

/// A place in the queue, left when its caller goes away.
struct Waiting<'a> {
    budget: &'a Budget,
    place: Place,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.budget.gate().leave(self.place.ticket);
    }
}
