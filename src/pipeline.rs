//! Read first: the one loop that every call goes through.
//!
//! The loop calls every policy itself: authentication supplies the token, the rate limiter grants the permit, the transport
//! sends the request, the limiter reads the response's headers, and the retry policy decides what comes next. No policy
//! decides for another. Guards and questions change nothing; effects stand in the arms of the match. If there is a cache of
//! responses, it is asked first.

mod cached_call;
mod error_mapping;
mod instrument;
mod retry_context;

use std::fmt;
use std::sync::Arc;

use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

pub(crate) use self::retry_context::{CallRecord, RetryContext};
use crate::auth::Auth;
use crate::base_url::BaseUrl;
use crate::call_headers::CallHeaders;
use crate::clock::Clock;
use crate::error::Error;
use crate::limit::{RateLimitHeaders, RateLimitPolicy, RateLimiter, ResponseKind};
use crate::operation::Operation;
use crate::response_cache::CacheHandle;
use crate::retry::{self, AttemptOutcome, RetryBudget, RetryDecision};
use crate::telemetry::{AttemptSpan, Telemetry};
use crate::transport::{HttpClient, HttpError, HttpRequest, HttpResponse, RequestBody};
use crate::vendor::Vendor;

/// What a client and its clones share.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) vendor: &'static Vendor,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) base_url: Arc<BaseUrl>,
    /// The name and version of the program, as the vendor sees them.
    pub(crate) user_agent: Arc<str>,
    /// The name under which the vendor lists the credentials, for support reports.
    pub(crate) client_name: Option<Arc<str>>,
    /// The headers of every request.
    pub(crate) headers: Arc<[(HeaderName, HeaderValue)]>,
    pub(crate) auth: Auth,
    pub(crate) rate_limiter: Arc<RateLimiter>,
    pub(crate) rate_limit_policy: RateLimitPolicy,
    pub(crate) retry_budget: RetryBudget,
    /// The part of the client in a cache of responses, if it has one.
    pub(crate) response_cache: Option<CacheHandle>,
    pub(crate) transport: HttpClient,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
}

/// A call: the request to send, and what is known about it in advance.
pub(crate) struct Call {
    pub(crate) operation: &'static Operation,
    pub(crate) idempotent: bool,
    /// Whether each attempt has the same `Idempotency-Key`, by which the vendor recognizes a repeated one.
    pub(crate) is_keyed: bool,
    /// Whether 304 is a success, because the request names the version that the caller has.
    pub(crate) is_conditional: bool,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<RequestBody>,
    /// Whether the body of the response is left to the caller to read.
    pub(crate) is_download: bool,
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("operation", &self.operation.id())
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

impl Call {
    /// Whether the call may change anything at the vendor.
    pub(crate) fn is_write(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    /// Whether the body has files, which may have changed since they were chosen.
    pub(crate) fn has_files(&self) -> bool {
        matches!(self.body, Some(RequestBody::Pieces(_)))
    }

    /// Whether the call can be sent once more: a stream is gone once a connection has begun to read it.
    pub(crate) fn can_be_sent(&self) -> bool {
        self.body.as_ref().is_none_or(RequestBody::can_be_sent)
    }
}

impl Pipeline {
    /// Sends a call until its outcome is final, unless the cache has a fresh response. Returns a success together with its rate
    /// limit headers.
    pub(crate) async fn run<'a>(
        &'a self,
        context: &mut RetryContext<'a>,
    ) -> Result<(HttpResponse, RateLimitHeaders), Error> {
        let options = context.options();
        if let Some(cache) = &self.response_cache
            && let Some(stored) = context.open_cache(cache)
        {
            return Ok(stored);
        }
        loop {
            // The token comes first: a call that waits for a token must not occupy a slot of the rate limit.
            let token = self.auth.token(self.clock, context.wait_deadline(), context.scope()).await;
            let mut token = token.map_err(|error| context.token_error(error))?;
            let (policy, priority) = (&self.rate_limit_policy, options.priority);
            let permit =
                self.rate_limiter.acquire(policy, priority, context.limit_wait(), self.clock, context.scope()).await;
            let mut permit = permit.map_err(|resume_at| context.rate_limited_error(resume_at))?;
            context.keep_place(permit.place());
            if !self.auth.is_good(&token, self.clock) {
                // The token expired while the call was queued.
                continue;
            }
            if let Some(error) = context.file_error().await {
                return Err(error);
            }
            permit.start(context.start_attempt());

            let request = self.http_request(context, token.header.take());
            let attempt = context.attempt_span();
            let span = attempt.as_deref().map(AttemptSpan::span);
            let outcome = self.transport.execute(request, context.attempt_deadline(), options.max_body, span).await;
            let limits = permit.observe(outcome.as_ref(), policy, &|header| context.invalid_header(header));
            context.record_attempt(&outcome, attempt);

            match retry::decide(&options.retry, context.retry_state(), attempt_outcome(&outcome, &limits)) {
                RetryDecision::Done => match context.alternative_url(&outcome) {
                    Some(url) => context.switch_base_url(url),
                    None if context.is_contradiction(&outcome) => context.forget_cached(),
                    None => return context.finish(outcome, limits),
                },
                RetryDecision::AwaitLimit => {
                    let resume_at = self.clock.now() + limits.wait().unwrap_or_default();
                    context.await_limit(outcome, limits);
                    if !context.call().can_be_sent() {
                        return Err(context.rate_limited_error(resume_at));
                    }
                }
                RetryDecision::Reauthorize => match self.auth.invalidate(&token, context.wait_deadline()).await {
                    true if context.call().can_be_sent() => context.reauthorize(),
                    _ => return context.fail_attempt(outcome, limits),
                },
                RetryDecision::Retry { cost } => match context.schedule_retry(cost, &limits) {
                    Some(delay) => context.back_off(delay, &outcome).await,
                    None => return context.fail_attempt(outcome, limits),
                },
                RetryDecision::Fail => return context.fail_attempt(outcome, limits),
            }
        }
    }

    /// The request of one attempt, with the current token.
    fn http_request(&self, context: &RetryContext<'_>, token: Option<(HeaderName, HeaderValue)>) -> HttpRequest {
        let call = context.call();
        let mut headers = self.request_headers(context.options().headers.as_deref(), call.body.is_some());
        context.add_validators(&mut headers);
        // Last, so that no header of the caller can replace it.
        if let Some((name, value)) = token {
            headers.insert(name, value);
        }
        HttpRequest {
            method: call.method.clone(),
            url: context.url().clone(),
            headers,
            body: call.body.clone(),
            operation: call.operation,
            is_token_request: false,
            is_download: call.is_download,
        }
    }

    /// The headers of a request besides the token. `added` are those of the caller.
    pub(crate) fn request_headers(&self, added: Option<&CallHeaders>, has_body: bool) -> HeaderMap {
        // A new map with room for all headers: a clone has no spare capacity, and would grow at the first insertion.
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 2 + added.map_or(0, CallHeaders::len));
        for (name, value) in &*self.headers {
            headers.insert(name, value.clone());
        }
        if let Some(added) = added {
            added.add_to(&mut headers);
        }
        if has_body {
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        }
        headers
    }
}

/// The outcome of an attempt, as far as retries depend on it.
fn attempt_outcome(outcome: &Result<HttpResponse, HttpError>, limits: &RateLimitHeaders) -> AttemptOutcome {
    match outcome {
        Ok(response) => match ResponseKind::of(response.status, limits) {
            ResponseKind::Refused => AttemptOutcome::RateLimited,
            ResponseKind::Accepted | ResponseKind::Unavailable | ResponseKind::Failed => {
                AttemptOutcome::Response(response.status)
            }
        },
        Err(HttpError::NotSent(_)) => AttemptOutcome::NotSent,
        Err(HttpError::Broken(..)) => AttemptOutcome::Broken,
        Err(HttpError::TimedOut) => AttemptOutcome::TimedOut,
        Err(HttpError::TooLarge(_)) => AttemptOutcome::TooLarge,
    }
}
