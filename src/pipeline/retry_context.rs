//! The state of one call across its attempts: how often it was sent, how long it waited, and what both may still take.
//!
//! Enforces the bounds on waiting. The waits for a token, for the rate limit and between attempts stay within
//! `max_wait` together; everything stays within the operation timeout; a wait that cannot end in time is not started.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;
use tracing::Span;
use url::Url;

use super::{Call, Pipeline};
use crate::clock::FOREVER;
use crate::error::Error;
use crate::limit::{LimitWait, RateLimitHeaders};
use crate::observer::{CacheUse, Wait};
use crate::options::ResolvedOptions;
use crate::response_cache::CachePart;
use crate::retry::RetryState;
use crate::telemetry::AttemptSpan;
use crate::transport::{HttpError, HttpResponse, status};

/// After so many refusals a call goes to the end of the queue: its endpoint may have a limit of its own.
const PLACE_KEPT: u32 = 2;

/// The state of one call.
#[derive(Debug)]
pub(crate) struct RetryContext<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) call: &'a Call,
    pub(super) options: &'a ResolvedOptions,
    pub(super) started_at: Instant,
    /// How often the request was sent.
    pub(super) attempts: u32,
    /// The attempts that count against the retry policy: not those that ended with 429 or an outdated token.
    counted_attempts: u32,
    /// Whether the call has been repeated with a newer token.
    reauthorized: bool,
    /// Whether any attempt so far may have been applied, whatever later ones returned.
    pub(super) maybe_applied: bool,
    /// The time spent waiting, without the wait that is going on.
    waited: Duration,
    /// When the current wait or the current attempt started.
    pub(super) phase_started_at: Instant,
    /// The place of the call in the queue of the rate limiter, which it keeps across attempts.
    place: Option<u64>,
    /// How often it was refused. A call that is refused again and again makes way for others.
    refusals: u32,
    /// The last response with 429.
    pub(super) rate_limited: Option<(HttpResponse, RateLimitHeaders)>,
    /// The URL at the vendor's alternative base URL, once the call has switched to it.
    alternative_url: Option<Box<Url>>,
    /// The span of the call, until its outcome has been reported.
    pub(super) span: Option<Span>,
    /// The part of the cache in this call, if it has one.
    pub(super) cache: Option<Box<CachePart<'a>>>,
    /// How the cache has served the call.
    pub(super) cache_use: Option<CacheUse>,
}

/// How often a call was sent, and when: what the error of a response needs that is found not to fit after the call has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallRecord {
    attempts: u32,
    started_at: Instant,
    ended_at: Instant,
    pub(crate) cache_use: Option<CacheUse>,
}

impl CallRecord {
    pub(crate) fn started_at(&self) -> Instant {
        self.started_at
    }
}

impl<'a> RetryContext<'a> {
    pub(crate) fn new(pipeline: &'a Pipeline, call: &'a Call, options: &'a ResolvedOptions) -> Self {
        let now = pipeline.clock.now();
        Self {
            pipeline,
            call,
            options,
            started_at: now,
            attempts: 0,
            counted_attempts: 0,
            reauthorized: false,
            maybe_applied: false,
            waited: Duration::ZERO,
            phase_started_at: now,
            place: None,
            refusals: 0,
            rate_limited: None,
            alternative_url: None,
            span: None,
            cache: None,
            cache_use: None,
        }
    }

    /// The context of a call that has ended, with its record unless the response was made by hand.
    pub(crate) fn of_ended(
        pipeline: &'a Pipeline,
        call: &'a Call,
        options: &'a ResolvedOptions,
        record: Option<CallRecord>,
    ) -> Self {
        let mut context = Self::new(pipeline, call, options);
        if let Some(record) = record {
            context.attempts = record.attempts;
            (context.started_at, context.phase_started_at) = (record.started_at, record.ended_at);
            // It ended with a success.
            context.maybe_applied = call.is_write();
        }
        context
    }

    /// The record of the call after its last attempt.
    pub(crate) fn record(&self) -> CallRecord {
        let (started_at, ended_at) = (self.started_at, self.phase_started_at);
        CallRecord { attempts: self.attempts, started_at, ended_at, cache_use: self.cache_use }
    }

    pub(crate) fn pipeline(&self) -> &'a Pipeline {
        self.pipeline
    }

    pub(crate) fn call(&self) -> &'a Call {
        self.call
    }

    pub(super) fn options(&self) -> &'a ResolvedOptions {
        self.options
    }

    /// The URL of the next attempt.
    pub(super) fn url(&self) -> &Url {
        self.alternative_url.as_deref().unwrap_or(&self.call.url)
    }

    /// The state that the retry policy decides on.
    pub(super) fn retry_state(&self) -> RetryState {
        RetryState {
            attempts: self.counted_attempts,
            idempotent: self.call.idempotent || self.call.is_keyed,
            reauthorized: self.reauthorized,
            can_be_sent: self.call.can_be_sent(),
        }
    }

    /// Until when the call may wait for a token and for the rate limit.
    pub(crate) fn wait_deadline(&self) -> Instant {
        let allowed = self.options.max_wait.saturating_sub(self.waited).min(FOREVER);
        (self.phase_started_at + allowed).min(self.operation_deadline())
    }

    /// Until when the call may wait for the rate limit. Nothing is sent that has no time left.
    pub(super) fn limit_wait(&self) -> LimitWait {
        let send_before = self.operation_deadline();
        let is_over = self.phase_started_at >= send_before;
        LimitWait { until: self.wait_deadline(), send_before, is_over, place: self.place }
    }

    /// Keeps the place in the queue of the rate limiter for the next attempt.
    pub(super) fn keep_place(&mut self, place: u64) {
        self.place = Some(place);
    }

    /// Until when the attempt may take.
    pub(super) fn attempt_deadline(&self) -> Instant {
        (self.phase_started_at + self.options.attempt_timeout.min(FOREVER)).min(self.operation_deadline())
    }

    /// Ends the waits for a token and for the rate limit, and starts an attempt. Returns its start.
    pub(super) fn start_attempt(&mut self) -> Instant {
        let now = self.pipeline.clock.now();
        self.waited += now - self.phase_started_at;
        self.phase_started_at = now;
        if let Some(cache) = &mut self.cache {
            cache.start_attempt();
        }
        now
    }

    /// The error of a call whose files have changed before it is first sent. Later it is the attempt that fails.
    pub(super) async fn file_error(&self) -> Option<Error> {
        if !self.call.has_files() || self.attempts > 0 {
            return None;
        }
        let problem = Box::pin(self.call.body.as_ref()?.problem()).await?;
        Some(Error::invalid_request(self.call.operation.id(), "file", problem))
    }

    /// Records the end of an attempt.
    pub(super) fn record_attempt(
        &mut self,
        outcome: &Result<HttpResponse, HttpError>,
        span: Option<Box<AttemptSpan<'_>>>,
    ) {
        if let Some(span) = span {
            span.finish(outcome, |response| self.request_id(response));
        }
        self.maybe_applied |= self.call.is_write() && may_have_been_applied(outcome);
        if let Some(cache) = &mut self.cache {
            cache.end_attempt(self.maybe_applied);
        }
        self.attempts += 1;
        self.counted_attempts += 1;
        self.phase_started_at = self.pipeline.clock.now();
    }

    /// The URL to try next if the vendor responded with 404 and has an alternative base URL that this call has not tried.
    /// If that responds with 404 too, it is the object that does not exist.
    pub(super) fn alternative_url(&self, outcome: &Result<HttpResponse, HttpError>) -> Option<Url> {
        let is_not_found = outcome.as_ref().is_ok_and(|response| response.status == StatusCode::NOT_FOUND);
        if !is_not_found || self.alternative_url.is_some() || !self.call.can_be_sent() {
            return None;
        }
        self.pipeline.base_url.alternative_of(&self.call.url)
    }

    /// Repeats the call at the vendor's alternative base URL.
    pub(super) fn switch_base_url(&mut self, url: Url) {
        self.alternative_url = Some(Box::new(url));
        // What is stored is found by the URL at which the call began. A write goes on as it is.
        self.cache.take_if(|cache| matches!(**cache, CachePart::Read(_)));
        self.pipeline.telemetry.switched_base_url(self.call.operation, self.attempts);
    }

    /// Repeats the call with a newer token, which costs no attempt.
    pub(super) fn reauthorize(&mut self) {
        self.counted_attempts -= 1;
        self.reauthorized = true;
        self.pipeline.telemetry.reauthorizing(self.call.operation, self.attempts);
    }

    /// Repeats the call when the rate limit allows, which costs waiting time but no attempt.
    pub(super) fn await_limit(&mut self, outcome: Result<HttpResponse, HttpError>, limits: RateLimitHeaders) {
        self.counted_attempts -= 1;
        self.refusals += 1;
        if self.refusals > PLACE_KEPT {
            self.place = None;
        }
        self.pipeline.telemetry.rate_limited(self.call.operation, self.attempts, limits.wait());
        if let Ok(response) = outcome {
            self.rate_limited = Some((response, limits));
        }
    }

    /// Pays for a retry out of the budget, and returns the delay before it. `None` if the call may not wait that long, or if
    /// the budget is empty.
    pub(super) fn schedule_retry(&self, cost: u32, limits: &RateLimitHeaders) -> Option<Duration> {
        let jittered = self.options.retry.delay(self.counted_attempts.saturating_sub(1), fastrand::f64());
        let delay = jittered.max(limits.retry_after.unwrap_or_default());
        if !self.can_wait(delay) {
            return None;
        }
        self.pipeline.retry_budget.withdraw(cost).then_some(delay)
    }

    /// Waits before the next attempt.
    pub(super) async fn back_off(&mut self, delay: Duration, outcome: &Result<HttpResponse, HttpError>) {
        let clock = self.pipeline.clock;
        let http_error = outcome.as_ref().err().map(HttpError::kind);
        self.pipeline.telemetry.retrying(self.call.operation, self.attempts, status(outcome), http_error, delay);
        let guard = self.scope().wait_since(Wait::Backoff, self.phase_started_at);
        clock.sleep_until(self.phase_started_at + delay).await;
        drop(guard);
        self.waited += delay;
        self.phase_started_at = clock.now();
    }

    /// Returns the response of the last attempt if it is a success, or else its error.
    pub(super) fn finish(
        &mut self,
        outcome: Result<HttpResponse, HttpError>,
        limits: RateLimitHeaders,
    ) -> Result<(HttpResponse, RateLimitHeaders), Error> {
        let is_success = |status: StatusCode| {
            status.is_success() || (status == StatusCode::NOT_MODIFIED && self.call.is_conditional)
        };
        match outcome {
            Ok(response) if is_success(response.status) || self.is_confirmation(&response) => {
                self.pipeline.retry_budget.deposit();
                self.pipeline.base_url.confirm(self.url());
                Ok((self.cached_success(response), limits))
            }
            _ => self.fail_attempt(outcome, limits),
        }
    }

    /// Whether a delay ends within `max_wait` and the operation timeout.
    fn can_wait(&self, delay: Duration) -> bool {
        self.waited.saturating_add(delay) <= self.options.max_wait
            && self.phase_started_at + delay < self.operation_deadline()
    }

    fn operation_deadline(&self) -> Instant {
        self.options.operation_deadline(self.started_at)
    }
}

/// Whether a write with this outcome may have been applied.
fn may_have_been_applied(outcome: &Result<HttpResponse, HttpError>) -> bool {
    match outcome {
        Ok(response) => {
            // A redirect may mean anything: web forms respond with one after they have stored the data.
            let status = response.status;
            status.is_server_error() || status.is_redirection() || status == StatusCode::REQUEST_TIMEOUT
        }
        Err(HttpError::NotSent(_)) => false,
        Err(HttpError::Broken(..) | HttpError::TimedOut | HttpError::TooLarge(_)) => true,
    }
}
