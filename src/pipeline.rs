//! Read first: the one loop that every call goes through.
//!
//! Each policy is called from here and knows nothing of the others: the budget says when to send, the credentials say
//! as whom, the transport sends, the budget learns, and the retry rules say what the outcome means.

mod call_failure;
mod instrument;
mod retry_context;

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

pub(crate) use self::retry_context::RetryContext;
use crate::auth::Auth;
use crate::base::Base;
use crate::clock::Clock;
use crate::error::Error;
use crate::limit::{RateLimitHeaders, RateLimitPolicy, RateLimiter};
use crate::operation::Operation;
use crate::options::Settings;
use crate::retry::{self, AttemptOutcome, RetryBudget, RetryDecision};
use crate::telemetry::{AttemptSpan, Telemetry};
use crate::transport::{HttpClient, HttpError, HttpRequest, HttpResponse};
use crate::vendor::Vendor;

/// What the clients of one tenant share.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) vendor: &'static Vendor,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) base: Arc<Base>,
    /// Name and version of the program, as the vendor sees it.
    pub(crate) user_agent: Arc<str>,
    /// What every request carries.
    pub(crate) headers: Arc<[(HeaderName, HeaderValue)]>,
    pub(crate) auth: Auth,
    pub(crate) budget: Arc<RateLimiter>,
    pub(crate) rate_limit: RateLimitPolicy,
    pub(crate) retries: RetryBudget,
    pub(crate) transport: HttpClient,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
}

/// A call: what is to be sent, and what is known about it beforehand.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) operation: &'static Operation,
    pub(crate) idempotent: bool,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<Bytes>,
}

impl Call {
    /// Whether the call changes anything at the vendor's.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

impl Pipeline {
    /// Sends a call until its outcome stands. A success comes with what its headers say about the limit.
    pub(crate) async fn run(
        &self,
        context: &mut RetryContext<'_>,
        settings: &Settings,
    ) -> Result<(HttpResponse, RateLimitHeaders), Error> {
        loop {
            // The token first: who waits for one must not hold a place at the vendor's meanwhile.
            let pass = self.auth.token(self.clock, context.latest(), context.caller()).await;
            let mut pass = pass.map_err(|why| context.without_token(why))?;
            let ask = self.rate_limit.ask(settings.priority);
            let acquired = self.budget.acquire(ask, self.clock, context.latest(), context.caller()).await;
            let mut permit = acquired.map_err(|resume_at| context.rate_limited(resume_at))?;
            if !self.auth.is_good(&pass, self.clock) {
                // It died in the queue.
                continue;
            }
            permit.leaves(context.start_attempt());

            let attempt = self.authorised(context, pass.header.take());
            let told = context.attempts();
            let span = told.as_deref().map(AttemptSpan::span);
            let outcome = self.transport.execute(attempt, context.until(), settings.max_body, span).await;
            let signals = permit.observe(outcome.as_ref().ok(), &self.rate_limit, &|odd| context.notices(odd));
            context.record_attempt(&outcome, told);

            match retry::decide(&settings.retry, context.attempt(), (&outcome).into()) {
                RetryDecision::Done if context.switch_base_url(&outcome) => {}
                RetryDecision::Done => return context.finish(outcome, signals),
                RetryDecision::Reauthorise if self.auth.invalidate(&pass) => context.reauthorises(),
                RetryDecision::Reauthorise => return Err(context.into_error(outcome, &signals)),
                RetryDecision::AwaitLimit => context.was_refused(outcome, signals),
                RetryDecision::Retry { cost } => {
                    let delay = context.backoff(fastrand::f64(), &signals);
                    if !context.can_wait(delay) || !self.retries.withdraw(cost) {
                        return Err(context.into_error(outcome, &signals));
                    }
                    context.back_off(delay, &outcome).await;
                }
                RetryDecision::Fail => return Err(context.into_error(outcome, &signals)),
            }
        }
    }

    /// The request of one attempt, with the token as it is now.
    fn authorised(&self, context: &RetryContext<'_>, token: Option<(HeaderName, HeaderValue)>) -> HttpRequest {
        let call = context.call();
        // Made anew with room for all: a copy of a map has none to spare, and grows with the first header put in.
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 2);
        if let Some((name, value)) = token {
            headers.insert(name, value);
        }
        for (name, value) in &*self.headers {
            headers.insert(name, value.clone());
        }
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        HttpRequest { method: call.method.clone(), url: context.url().clone(), headers, body: call.body.clone() }
    }
}

impl From<&Result<HttpResponse, HttpError>> for AttemptOutcome {
    fn from(outcome: &Result<HttpResponse, HttpError>) -> Self {
        match outcome {
            Ok(answer) => Self::Answered(answer.status),
            Err(HttpError::NotSent(_)) => Self::NotSent,
            Err(HttpError::Broken(..)) => Self::Broken,
            Err(HttpError::TimedOut) => Self::TimedOut,
            Err(HttpError::TooLarge(_)) => Self::TooLarge,
        }
    }
}
