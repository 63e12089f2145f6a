//! One call on its way: its attempts, its waits, and how long both may still take.
//!
//! The contract on waiting is kept here. Waits for a token, for the limit and between attempts together stay within
//! `max_wait`, everything stays within the deadline, and a wait that cannot end in time is not begun.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;
use tracing::Span;
use url::Url;

use super::{Call, Pipeline};
use crate::error::Error;
use crate::limit::RateLimitHeaders;
use crate::observer::Wait;
use crate::options::Settings;
use crate::retry::Attempt;
use crate::telemetry::{AttemptSpan, status};
use crate::transport::{HttpError, HttpResponse};

/// A span that is as good as for ever, and can still be added to an instant.
const FOREVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// One call on its way.
#[derive(Debug)]
pub(crate) struct RetryContext<'a> {
    pub(super) pipeline: &'a Pipeline,
    pub(super) call: &'a Call,
    pub(super) settings: &'a Settings,
    pub(super) begun: Instant,
    /// How often the request was sent.
    pub(super) sent: u32,
    /// Attempts that count against the policy: those that the vendor refused for its limit do not.
    counted: u32,
    /// Whether the call has been repeated with a newer token.
    reauthorised: bool,
    /// Whether an attempt may have been carried out, whatever the later ones said.
    pub(super) unsettled: bool,
    /// Spent on waiting.
    waited: Duration,
    /// Since when the call waits, or has been under way.
    pub(super) since: Instant,
    /// The last answer of the vendor that said "too many".
    pub(super) refusal: Option<(HttpResponse, RateLimitHeaders)>,
    /// Where the call goes instead, after the vendor's first base did not know it.
    elsewhere: Option<Box<Url>>,
    /// The span of the call, while it is being told of.
    pub(super) span: Option<Span>,
}

impl<'a> RetryContext<'a> {
    pub(crate) fn begin(pipeline: &'a Pipeline, call: &'a Call, settings: &'a Settings) -> Self {
        let begun = pipeline.clock.now();
        Self {
            pipeline,
            call,
            settings,
            begun,
            sent: 0,
            counted: 0,
            reauthorised: false,
            unsettled: false,
            waited: Duration::ZERO,
            since: begun,
            refusal: None,
            elsewhere: None,
            span: None,
        }
    }

    pub(super) fn call(&self) -> &'a Call {
        self.call
    }

    /// The attempt that has just ended, as the retry rules see it.
    pub(super) fn attempt(&self) -> Attempt {
        Attempt { number: self.counted, idempotent: self.call.idempotent, reauthorised: self.reauthorised }
    }

    /// Where the next attempt goes.
    pub(super) fn url(&self) -> &Url {
        self.elsewhere.as_deref().unwrap_or(&self.call.url)
    }

    /// Whether the call goes on at the vendor's other base. It does once, after a 404, which had no effect, and as long as
    /// nobody knows which of the two holds. Where the other says the same, it is the object that does not exist.
    pub(super) fn switch_base_url(&mut self, outcome: &Result<HttpResponse, HttpError>) -> bool {
        let unknown = outcome.as_ref().is_ok_and(|answer| answer.status == StatusCode::NOT_FOUND);
        if unknown {
            let turned = self.elsewhere.take().is_some();
            let other = if turned { None } else { self.pipeline.base.elsewhere(&self.call.url) };
            self.elsewhere = other.map(Box::new);
        }
        let turns = unknown && self.elsewhere.is_some();
        if turns {
            self.pipeline.telemetry.turned(self.call.operation, self.sent);
        }
        turns
    }

    /// Until when the call may wait for a token and for the limit.
    pub(super) fn latest(&self) -> Instant {
        let allowed = self.settings.max_wait.saturating_sub(self.waited).min(FOREVER);
        (self.since + allowed).min(self.deadline())
    }

    /// The waits for a token and for the limit are over; an attempt begins now, which is returned.
    pub(super) fn start_attempt(&mut self) -> Instant {
        let now = self.pipeline.clock.now();
        self.waited += now - self.since;
        self.since = now;
        now
    }

    /// Until when the attempt may take.
    pub(super) fn until(&self) -> Instant {
        (self.since + self.settings.attempt_timeout.min(FOREVER)).min(self.deadline())
    }

    /// The attempt is over.
    pub(super) fn record_attempt(
        &mut self,
        outcome: &Result<HttpResponse, HttpError>,
        told: Option<Box<AttemptSpan<'_>>>,
    ) {
        if let Some(told) = told {
            told.ends(outcome, |answer| self.request_id(answer));
        }
        self.unsettled |= self.call.writes() && may_be_carried_out(outcome);
        self.sent += 1;
        self.counted += 1;
        self.since = self.pipeline.clock.now();
    }

    /// The vendor did not know the token: the call is repeated with a newer one, outside the count.
    pub(super) fn reauthorises(&mut self) {
        self.counted -= 1;
        self.reauthorised = true;
        self.pipeline.telemetry.rejected(self.call.operation, self.sent);
    }

    /// The vendor refused the attempt for its limit: that costs waiting, not attempts.
    pub(super) fn was_refused(&mut self, outcome: Result<HttpResponse, HttpError>, signals: RateLimitHeaders) {
        self.counted -= 1;
        self.pipeline.telemetry.refused(self.call.operation, self.sent, signals.wait());
        if let Ok(answer) = outcome {
            self.refusal = Some((answer, signals));
        }
    }

    /// The wait before the next attempt: with jitter, and no shorter than the vendor asks.
    pub(super) fn backoff(&self, jitter: f64, signals: &RateLimitHeaders) -> Duration {
        let own = self.settings.retry.delay(self.counted.saturating_sub(1), jitter);
        own.max(signals.retry_after.unwrap_or_default())
    }

    /// Whether a wait would end within what the call may wait.
    pub(super) fn can_wait(&self, delay: Duration) -> bool {
        self.waited.saturating_add(delay) <= self.settings.max_wait && self.since + delay < self.deadline()
    }

    /// Waits before the next attempt.
    pub(super) async fn back_off(&mut self, delay: Duration, outcome: &Result<HttpResponse, HttpError>) {
        let clock = self.pipeline.clock;
        self.pipeline.telemetry.retries(self.call.operation, self.sent, status(outcome), delay);
        let waiting = self.caller().began_to_wait(Wait::Backoff, self.since);
        clock.sleep_until(self.since + delay).await;
        drop(waiting);
        self.waited += delay;
        self.since = clock.now();
    }

    /// The answer stands: a success, or the error that its status means.
    pub(super) fn finish(
        &self,
        outcome: Result<HttpResponse, HttpError>,
        signals: RateLimitHeaders,
    ) -> Result<(HttpResponse, RateLimitHeaders), Error> {
        match outcome {
            Ok(answer) if answer.status.is_success() => {
                self.pipeline.retries.deposit();
                self.pipeline.base.understood(self.url());
                Ok((answer, signals))
            }
            _ => Err(self.into_error(outcome, &signals)),
        }
    }

    fn deadline(&self) -> Instant {
        self.begun + self.settings.operation_timeout.unwrap_or(FOREVER).min(FOREVER)
    }
}

/// Whether a write that ended so may have been carried out.
fn may_be_carried_out(outcome: &Result<HttpResponse, HttpError>) -> bool {
    match outcome {
        Ok(answer) => {
            // What a redirect stands for nobody knows: it is how a web form says that it took the data.
            let status = answer.status;
            status.is_server_error() || status.is_redirection() || status == StatusCode::REQUEST_TIMEOUT
        }
        Err(HttpError::NotSent(_)) => false,
        Err(HttpError::Broken(..) | HttpError::TimedOut | HttpError::TooLarge(_)) => true,
    }
}
