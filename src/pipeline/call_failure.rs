//! What a failed call becomes: the typed error for every way in which a call can end.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::retry_context::RetryContext;
use crate::auth::{NoToken, TokenError, TokenErrorKind};
use crate::error::{CallError, CallErrorParts, DecodeError, Error, RateLimitedError, ValidationError};
use crate::limit::RateLimitHeaders;
use crate::transport::{HttpError, HttpResponse};
use crate::vendor::Explanation;

impl RetryContext<'_> {
    /// The tenant's limit is spent for longer than the call can wait.
    #[cold]
    pub(super) fn rate_limited(&mut self, resume_at: Instant) -> Error {
        let known = self.pipeline.budget.snapshot(self.pipeline.clock);
        let mut parts = self.parts("the tenant's rate limit is spent and the call may not wait for it");
        if let Some((answer, signals)) = self.refusal.take() {
            parts.retry_after = signals.wait();
            self.explain(&mut parts, &answer);
        }
        Error::RateLimited(Box::new(RateLimitedError {
            failure: CallError::new(parts),
            resume_at: self.pipeline.clock.wall_at(resume_at),
            limit: known.limit(),
            remaining: known.remaining(),
        }))
    }

    /// There is no token to send.
    #[cold]
    pub(crate) fn without_token(&self, why: NoToken) -> Error {
        match why {
            NoToken::Expired(expired_at) => {
                let reason = format!("the token expired at {expired_at:.0}; nothing was sent, make a new token");
                Error::Unauthorized(Box::new(CallError::new(self.parts(reason))))
            }
            NoToken::TooLate => {
                let reason = "no new token in time; it is still being asked for";
                Error::Timeout(Box::new(CallError::new(self.parts(reason))))
            }
            NoToken::TokenError(trouble) => self.troubled(&trouble),
        }
    }

    fn troubled(&self, trouble: &TokenError) -> Error {
        let mut parts = self.parts(format!("no token: {}", trouble.reason));
        parts.status = trouble.status;
        parts.message.clone_from(&trouble.message);
        parts.code.clone_from(&trouble.code);
        parts.retry_after = trouble.rest;
        let failure = CallError::new(parts);
        match trouble.why {
            TokenErrorKind::Failed => Error::Server(Box::new(failure)),
            TokenErrorKind::Refused => Error::ReauthRequired(Box::new(failure)),
            TokenErrorKind::Store => Error::Store(Box::new(failure)),
            TokenErrorKind::Unknown | TokenErrorKind::Unreached => Error::Connect(Box::new(failure)),
            TokenErrorKind::Unreadable => Error::Decode(Box::new(DecodeError { failure, path: None })),
        }
    }

    /// The attempt failed for good.
    #[cold]
    pub(super) fn into_error(&self, outcome: Result<HttpResponse, HttpError>, signals: &RateLimitHeaders) -> Error {
        match outcome {
            Ok(answer) => self.refused(&answer, signals),
            Err(lost) => self.lost(lost),
        }
    }

    /// An answer of the vendor that cannot be read as what it should be.
    #[cold]
    pub(crate) fn unreadable(
        &self,
        answer: &HttpResponse,
        reason: impl Into<Cow<'static, str>>,
        path: Option<String>,
        source: Option<Box<dyn StdError + Send + Sync>>,
    ) -> Error {
        let mut parts = self.parts(reason);
        self.keep(&mut parts, answer);
        parts.maybe_applied = self.call.writes();
        parts.source = source;
        Error::Decode(Box::new(DecodeError { failure: CallError::new(parts), path }))
    }

    /// The refusal that a success holds, where the vendor complains in it.
    pub(crate) fn refusal_inside(&self, answer: &HttpResponse) -> Option<Error> {
        let mut parts = self.parts("the vendor refuses the call, inside an answer that is a success by its status");
        let fields = self.explain(&mut parts, answer);
        let refused = parts.code.is_some() || !fields.is_empty();
        refused.then(|| Error::Validation(Box::new(ValidationError { failure: CallError::new(parts), fields })))
    }

    /// A success that says there is nothing where an object was asked for; nothing for a write, which was carried out.
    #[cold]
    pub(crate) fn absent(&self, answer: &HttpResponse) -> Option<Error> {
        if self.call.writes() {
            return None;
        }
        let mut parts = self.parts("there is no such object, or these credentials may not see it");
        self.keep(&mut parts, answer);
        Some(Error::NotFound(Box::new(CallError::new(parts))))
    }

    fn refused(&self, answer: &HttpResponse, signals: &RateLimitHeaders) -> Error {
        let status = answer.status;
        let mut parts = self.parts(self.pipeline.auth.cleaned(&reason(answer)));
        parts.retry_after = signals.retry_after;
        let fields = self.explain(&mut parts, answer);
        if status == StatusCode::FORBIDDEN {
            let scopes = self.call.operation.required_scopes();
            if !scopes.is_empty() {
                parts.reason = format!("the token lacks the right, which should be {}", scopes.join(" and ")).into();
            }
        }
        let failure = CallError::new(parts);
        match status.as_u16() {
            401 => Error::Unauthorized(Box::new(failure)),
            403 => Error::Forbidden(Box::new(failure)),
            404 | 410 => Error::NotFound(Box::new(failure)),
            409 | 412 => Error::Conflict(Box::new(failure)),
            400 | 422 => Error::Validation(Box::new(ValidationError { failure, fields })),
            // A gateway that got no answer, or a server that got no whole request, cannot tell what became of a write.
            408 | 502 | 504 if !self.call.idempotent => Error::OutcomeUnknown(Box::new(failure)),
            408 => Error::Timeout(Box::new(failure)),
            500..=599 => Error::Server(Box::new(failure)),
            _ => Error::Api(Box::new(failure)),
        }
    }

    fn lost(&self, lost: HttpError) -> Error {
        let unknown = self.call.writes() && !self.call.idempotent;
        match lost {
            HttpError::NotSent(source) => {
                let mut parts = self.parts("no connection; the request never left");
                parts.source = Some(source);
                Error::Connect(Box::new(CallError::new(parts)))
            }
            HttpError::Broken(status, source) => {
                let mut parts = self.parts("the connection broke before the answer was whole");
                parts.status = status;
                parts.source = Some(source);
                let failure = Box::new(CallError::new(parts));
                if unknown { Error::OutcomeUnknown(failure) } else { Error::Connect(failure) }
            }
            HttpError::TimedOut => {
                let failure = Box::new(CallError::new(self.parts("no answer in time")));
                if unknown { Error::OutcomeUnknown(failure) } else { Error::Timeout(failure) }
            }
            HttpError::TooLarge(status) => {
                let mut parts = self.parts(format!(
                    "the answer is larger than {} bytes; ask for less, or raise with_max_body",
                    self.settings.max_body
                ));
                parts.status = Some(status);
                Error::Decode(Box::new(DecodeError { failure: CallError::new(parts), path: None }))
            }
        }
    }

    fn parts(&self, reason: impl Into<Cow<'static, str>>) -> CallErrorParts {
        let pipeline = self.pipeline;
        CallErrorParts {
            vendor: pipeline.vendor.name,
            tenant: pipeline.tenant.clone(),
            operation: self.call.operation,
            method: self.call.method.clone(),
            url: self.url().clone(),
            request_body: self.call.body.clone().unwrap_or_default(),
            client: Arc::clone(&pipeline.user_agent),
            status: None,
            request_id: None,
            attempts: self.sent,
            elapsed: pipeline.clock.now() - self.begun,
            failed_at: pipeline.clock.wall(),
            reason: reason.into(),
            message: None,
            code: None,
            retry_after: None,
            body: Bytes::new(),
            maybe_applied: self.unsettled,
            idempotent: self.call.idempotent,
            source: None,
        }
    }

    /// Notes what came: status, request id, and the body without our own token in it. Returns the body where it is JSON.
    fn keep(&self, parts: &mut CallErrorParts, answer: &HttpResponse) -> Option<Value> {
        parts.status = Some(answer.status);
        parts.request_id = self.request_id(answer);
        let (body, value) = self.pipeline.auth.cleaned_body(&answer.body);
        parts.body = body;
        value
    }

    /// The vendor's id of the request, without our own token in it.
    pub(super) fn request_id(&self, answer: &HttpResponse) -> Option<String> {
        self.pipeline.vendor.request_id(&answer.headers).map(|id| self.pipeline.auth.cleaned(id))
    }

    /// Notes what came and what the vendor says in it. Returns the fields that it complains about.
    fn explain(&self, parts: &mut CallErrorParts, answer: &HttpResponse) -> Vec<(String, String)> {
        let Some(body) = self.keep(parts, answer) else {
            return Vec::new();
        };
        let Explanation { message, code, fields } = (self.pipeline.vendor.explain)(&body);
        parts.message = message;
        parts.code = code;
        fields
    }
}

/// What a status means, in our words.
fn reason(answer: &HttpResponse) -> Cow<'static, str> {
    match answer.status.as_u16() {
        300..=399 => match answer.headers.get(LOCATION).and_then(|value| value.to_str().ok()) {
            Some(location) => {
                format!("redirected to {}, which is not followed; check the base URL", address(location)).into()
            }
            None => "redirected, which is not followed; check the base URL".into(),
        },
        400 | 422 => "the vendor finds the request wrong".into(),
        401 => "the credentials are not valid".into(),
        403 => "the credentials are good, but not for this".into(),
        404 | 410 => "there is no such object, or these credentials may not see it".into(),
        408 => "the vendor did not get the whole request in time".into(),
        409 | 412 => "the call collides with the state of the object".into(),
        500..=599 if answer.is_html() => "the vendor, or something before it, failed and answered with HTML".into(),
        500..=599 => "the vendor failed".into(),
        _ => "the vendor refused the call".into(),
    }
}

/// A redirect's target without its query, which may hold anything.
fn address(location: &str) -> String {
    match Url::parse(location) {
        Ok(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Err(_) => location.split(['?', '#']).next().unwrap_or_default().chars().take(200).collect(),
    }
}
