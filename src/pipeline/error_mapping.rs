//! Maps every way in which a call can end to its typed error.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::StatusCode;
use http::header::LOCATION;
use serde_json::Value;
use tokio::time::Instant;
use url::Url;

use super::retry_context::RetryContext;
use crate::auth::{NoToken, TokenError, TokenErrorKind};
use crate::error::{BoxError, CallError, DecodeError, Error, RateLimitedError, ValidationError};
use crate::limit::{HoldBack, RateLimitHeaders};
use crate::transport::{
    BodySize, HttpError, HttpResponse, MAX_HEAD_BYTES, MAX_HEAD_FIELDS, NoConnectionInTime, RequestBody, TooLarge,
    is_unknown_host, is_untrusted_certificate,
};
use crate::vendor::VendorError;

/// Why a call failed whose stream a connection had begun to read when the vendor's limit refused it.
const STREAM_REFUSED: &str =
    "the vendor's rate limit rejected the call, and its stream cannot be sent again: make the call anew";
/// Why a call failed that waited for another one to learn the rate limit.
const ASKING: &str =
    "another call is asking the vendor what its rate limit allows, and takes longer than this call may wait";

impl RetryContext<'_> {
    /// The rate limit is exhausted for longer than the call may wait.
    #[cold]
    pub(super) fn rate_limited_error(&mut self, resume_at: Instant) -> Error {
        let snapshot = self.pipeline.rate_limiter.snapshot(self.pipeline.clock);
        let is_unknown = snapshot.remaining().is_none() && self.rate_limited.is_none();
        let mut call = self.call_error(match snapshot.held_back() {
            _ if !self.call.can_be_sent() => STREAM_REFUSED,
            Some(HoldBack::Outage { .. }) => "the vendor is down for longer than the call may wait, as it said itself",
            Some(HoldBack::Probing) => ASKING,
            // The call that was asking has just given up.
            None if is_unknown => ASKING,
            Some(HoldBack::LearnedRate { .. }) => {
                "at the rate that the vendor is found to accept, the call would have to wait for longer than it may"
            }
            _ => "the tenant's rate limit is exhausted for longer than the call may wait",
        });
        if let Some((response, limits)) = self.rate_limited.take() {
            call.retry_after = limits.wait();
            self.add_error_body(&mut call, &response);
        }
        Error::RateLimited(Box::new(RateLimitedError {
            call,
            resume_at: self.pipeline.clock.wall_at(resume_at),
            limit: snapshot.limit(),
            remaining: snapshot.remaining(),
        }))
    }

    /// There is no token to send.
    #[cold]
    pub(crate) fn token_error(&self, error: NoToken) -> Error {
        match error {
            NoToken::Expired(expired_at) => {
                let effect = if self.attempts == 0 { "nothing was sent" } else { "the call was not sent again" };
                let reason = format!("the token expired at {expired_at:.0}; {effect}: create a new token");
                Error::Unauthorized(Box::new(self.call_error(reason)))
            }
            NoToken::TooLate => {
                let reason = "the token request takes longer than the call may wait: try again, or raise with_max_wait";
                Error::Timeout(Box::new(self.call_error(reason)))
            }
            NoToken::TokenError(error) => self.failed_token_request(&error),
        }
    }

    /// The outcome of the last attempt is final, and no success.
    #[cold]
    pub(super) fn attempt_error(&self, outcome: Result<HttpResponse, HttpError>, limits: &RateLimitHeaders) -> Error {
        match outcome {
            Ok(response) => self.error_response(&response, limits),
            Err(error) => self.no_response(error),
        }
    }

    /// A success whose body reports errors, if this one does.
    pub(crate) fn error_in_success(&self, response: &HttpResponse) -> Option<Error> {
        let mut call = self.call_error("the vendor rejected the request, in the body of a 2xx response");
        let fields = self.add_error_body(&mut call, response);
        let is_error = call.code.is_some() || !fields.is_empty();
        is_error.then(|| Error::Validation(Box::new(ValidationError { call, fields })))
    }

    /// A success whose object is null: a read found nothing. `None` for a write, which has been applied.
    #[cold]
    pub(crate) fn null_object(&self, response: &HttpResponse) -> Option<Error> {
        if self.call.is_write() {
            return None;
        }
        let mut call = self.call_error(NO_SUCH_OBJECT);
        self.add_response(&mut call, response);
        Some(Error::NotFound(Box::new(call)))
    }

    /// A success that cannot be decoded.
    #[cold]
    pub(crate) fn decode_error(
        &self,
        response: &HttpResponse,
        reason: impl Into<Cow<'static, str>>,
        path: Option<String>,
        source: Option<BoxError>,
    ) -> Error {
        let mut call = self.useless_success(response, reason);
        call.source = source.map(|source| self.cleaned(&*source));
        let path = path.map(|path| self.pipeline.auth.cleaned(&path));
        Error::Decode(Box::new(DecodeError { call, path }))
    }

    /// A value of the vendor's headers as a message shows it: without secrets, and not longer than a message should be.
    pub(crate) fn shown(&self, value: &str) -> String {
        self.pipeline.auth.cleaned(value).chars().take(MAX_SHOWN).collect()
    }

    /// A success that was decoded, and found not to fit the request after the call had ended.
    #[cold]
    pub(crate) fn unexpected_response(&self, response: &HttpResponse, reason: impl Into<Cow<'static, str>>) -> Error {
        let mut call = self.useless_success(response, reason);
        call.elapsed = self.phase_started_at - self.started_at;
        call.failed_at = self.pipeline.clock.wall_at(self.phase_started_at);
        Error::Decode(Box::new(DecodeError { call, path: None }))
    }

    /// The body of a success broke off while the caller read it.
    #[cold]
    pub(crate) fn broken_body(&self, error: HttpError) -> Error {
        self.no_response(error)
    }

    /// A file of this machine could not be written.
    #[cold]
    pub(crate) fn failed_file(&self, path: &Path, error: io::Error) -> Error {
        let mut call =
            self.call_error(format!("{} cannot be written: check the folder and its permissions", path.display()));
        call.source = Some(Box::new(error));
        Error::File(Box::new(call))
    }

    /// The vendor's id of the request, with secrets redacted.
    pub(super) fn request_id(&self, response: &HttpResponse) -> Option<String> {
        self.pipeline.vendor.request_id(&response.headers).map(|id| self.pipeline.auth.cleaned(id))
    }

    /// The error of a call for which there is no token, or of a token request that belongs to no call.
    fn failed_token_request(&self, error: &TokenError) -> Error {
        let clock = self.pipeline.clock;
        let reason = match error.kind {
            // A store is the user's own, and may say anything.
            TokenErrorKind::Store => Cow::Owned(self.pipeline.auth.cleaned(&error.reason)),
            _ => Cow::Borrowed(&*error.reason),
        };
        let mut call = self.call_error(format!("no token: {reason}"));
        call.status = error.status;
        call.request_id.clone_from(&error.request_id);
        call.message.clone_from(&error.message);
        call.code.clone_from(&error.code);
        // Callers that come later get the same error, and less of the wait is left.
        call.retry_after = error.resume_at.map(|at| at.saturating_duration_since(clock.now())).or(error.retry_after);
        call.is_unknown_host = error.source.as_ref().is_some_and(|source| is_unknown_host(source));
        call.source = error.source.clone().map(|source| Box::new(source) as BoxError);
        call.is_transient = !error.kind.is_permanent();
        if error.kind == TokenErrorKind::Throttled {
            // It names the call, which can be postponed.
            let resume_at = error.resume_at.unwrap_or_else(|| clock.now());
            let resume_at = clock.wall_at(resume_at);
            return Error::RateLimited(Box::new(RateLimitedError { call, resume_at, limit: None, remaining: None }));
        }
        if let Some(request) = &error.request
            && self.attempts == 0
        {
            // Nothing of the call was sent, so the error is that of the token request.
            call.operation = request.operation;
            call.method = request.operation.method().clone();
            call.url = request.url.clone();
            call.attempts = request.attempts;
            call.request_body = Bytes::new();
        }
        match (error.kind, error.status) {
            (TokenErrorKind::Refused, _) => Error::ReauthRequired(Box::new(call)),
            (TokenErrorKind::Store, _) => Error::Store(Box::new(call)),
            (TokenErrorKind::Unreadable, _) => Error::Decode(Box::new(DecodeError { call, path: None })),
            (_, Some(status)) if status.is_server_error() => Error::Server(Box::new(call)),
            (TokenErrorKind::Failed, _) => Error::Api(Box::new(call)),
            _ => Error::Connect(Box::new(call)),
        }
    }

    fn error_response(&self, response: &HttpResponse, limits: &RateLimitHeaders) -> Error {
        let status = response.status;
        let mut call = self.call_error(reason(response, |text| self.pipeline.auth.cleaned(text)));
        call.retry_after = limits.retry_after;
        let fields = self.add_error_body(&mut call, response);
        if status == StatusCode::NOT_FOUND {
            // If both base URLs responded with 404, the error names the one that was configured.
            call.url = self.call.url.clone();
        }
        if call.may_be_own_effect() {
            call.reason = match status.as_u16() {
                404 | 410 => "the object is gone, perhaps because of an earlier attempt of this call, whose outcome is unknown",
                _ => {
                    "the call conflicts with the state of the object, perhaps because of an earlier attempt of this call, \
                     whose outcome is unknown: read the object again, and compare"
                }
            }
            .into();
        }
        if status == StatusCode::UNAUTHORIZED && !self.call.can_be_sent() {
            call.reason =
                "the vendor rejected the token, and the stream of the call cannot be sent again: make the call anew"
                    .into();
        }
        if status == StatusCode::FORBIDDEN {
            let scopes = self.call.operation.required_scopes();
            if !scopes.is_empty() {
                call.reason = format!("the token lacks a scope: grant {}", scopes.join(" and ")).into();
            }
        }
        match status.as_u16() {
            401 => Error::Unauthorized(Box::new(call)),
            403 => Error::Forbidden(Box::new(call)),
            404 | 410 => Error::NotFound(Box::new(call)),
            409 | 412 => Error::Conflict(Box::new(call)),
            400 | 422 => Error::Validation(Box::new(ValidationError { call, fields })),
            // A gateway without a response, or a server without the whole request, cannot say what became of a write.
            408 | 502 | 504 | 520..=524 | 527 | 530 if !self.call.idempotent => Error::OutcomeUnknown(Box::new(call)),
            408 => Error::Timeout(Box::new(call)),
            500..=599 => Error::Server(Box::new(call)),
            _ => Error::Api(Box::new(call)),
        }
    }

    fn no_response(&self, error: HttpError) -> Error {
        let is_outcome_unknown = self.call.is_write() && !self.call.idempotent;
        match error {
            HttpError::NotSent(source) if is_unknown_host(&*source) => {
                let reason = format!("{}; the request was not sent", self.pipeline.vendor.unknown_host(self.url()));
                let mut call = self.call_error(reason);
                call.is_unknown_host = true;
                call.source = Some(self.cleaned(&*source));
                Error::Connect(Box::new(call))
            }
            HttpError::NotSent(source) => {
                let mut call = self.call_error(if source.is::<NoConnectionInTime>() {
                    "no connection was ready in time; the request was not sent: raise with_attempt_timeout or \
                     with_operation_timeout, or check DNS, proxy and TLS"
                } else if is_untrusted_certificate(&*source) {
                    "the server's certificate is not trusted, for the cause in the error's source; the request was not sent: \
                     check the base URL, the proxy and the clock, or add the authority with \
                     HttpConfig::with_root_certificates"
                } else {
                    "could not connect; the request was not sent: check DNS, proxy and TLS"
                });
                call.source = Some(self.cleaned(&*source));
                Error::Connect(Box::new(call))
            }
            HttpError::Broken(status, source) => {
                let mut call = self.call_error("the connection broke before the whole response arrived");
                call.status = status;
                call.source = Some(self.cleaned(&*source));
                if is_outcome_unknown { Error::OutcomeUnknown(Box::new(call)) } else { Error::Connect(Box::new(call)) }
            }
            HttpError::TimedOut => {
                let reason = "no response in time: raise with_attempt_timeout or with_operation_timeout";
                let call = Box::new(self.call_error(reason));
                if is_outcome_unknown { Error::OutcomeUnknown(call) } else { Error::Timeout(call) }
            }
            HttpError::TooLarge(TooLarge::Head) => {
                let call = self.call_error(format!(
                    "the response has more header fields than this client reads ({MAX_HEAD_FIELDS}, or {} KiB): have the \
                     vendor, or a proxy before it, send fewer",
                    MAX_HEAD_BYTES / 1024
                ));
                // The status is unknown too.
                if is_outcome_unknown {
                    return Error::OutcomeUnknown(Box::new(call));
                }
                Error::Decode(Box::new(DecodeError { call, path: None }))
            }
            HttpError::TooLarge(TooLarge::Body(status, size)) => {
                let size: Cow<'_, str> = match size {
                    BodySize::Announced(bytes) => format!("it has {bytes}").into(),
                    BodySize::Unannounced => "it does not say how large it is".into(),
                    BodySize::Compressed(bytes) => format!("it arrived as {bytes} compressed ones").into(),
                };
                let mut call = self.call_error(format!(
                    "the response is larger than {} bytes ({size}), and none of its body is kept: request less, or raise \
                     with_max_body",
                    self.options.max_body
                ));
                call.status = Some(status);
                Error::Decode(Box::new(DecodeError { call, path: None }))
            }
        }
    }

    /// An error of another crate as a source, without secrets.
    fn cleaned(&self, source: &(dyn StdError + Send + Sync + 'static)) -> BoxError {
        Box::new(self.pipeline.auth.cleaned_error(source))
    }

    /// An error of this call without a response.
    fn call_error(&self, reason: impl Into<Cow<'static, str>>) -> CallError {
        let pipeline = self.pipeline;
        CallError {
            vendor: pipeline.vendor.name,
            tenant: pipeline.tenant.clone(),
            operation: self.call.operation,
            method: self.call.method.clone(),
            url: self.url().clone(),
            request_body: self.call.body.as_ref().and_then(RequestBody::as_bytes).cloned().unwrap_or_default(),
            is_body_lost: self.call.body.as_ref().is_some_and(|body| body.as_bytes().is_none()),
            request_headers: self.options.headers.clone(),
            user_agent: Arc::clone(&pipeline.user_agent),
            client_name: pipeline.client_name.clone(),
            status: None,
            request_id: None,
            attempts: self.attempts,
            elapsed: pipeline.clock.now() - self.started_at,
            failed_at: pipeline.clock.wall(),
            reason: reason.into(),
            message: None,
            code: None,
            retry_after: None,
            body: Bytes::new(),
            maybe_applied: self.maybe_applied,
            idempotent: self.call.idempotent,
            is_keyed: self.call.is_keyed,
            is_transient: false,
            is_unknown_host: false,
            source: None,
        }
    }

    /// An error of a success that the caller cannot have.
    fn useless_success(&self, response: &HttpResponse, reason: impl Into<Cow<'static, str>>) -> CallError {
        let mut call = self.call_error(reason);
        self.add_response(&mut call, response);
        call.maybe_applied = self.call.is_write();
        call
    }

    /// Adds the response: its status, request id and body, with secrets redacted. Returns the body if it is JSON.
    fn add_response(&self, call: &mut CallError, response: &HttpResponse) -> Option<Value> {
        call.status = Some(response.status);
        call.request_id = self.request_id(response);
        let (body, value) = self.pipeline.auth.cleaned_body(&response.body);
        call.body = body;
        value
    }

    /// Adds the response and the vendor's message in it. Returns the fields that the vendor names.
    fn add_error_body(&self, call: &mut CallError, response: &HttpResponse) -> Vec<(String, String)> {
        let Some(body) = self.add_response(call, response) else {
            return Vec::new();
        };
        let VendorError { message, code, fields } = (self.pipeline.vendor.read_error)(&body);
        call.message = message;
        call.code = code;
        fields
    }
}

/// The most characters of a header that a message shows.
const MAX_SHOWN: usize = 200;
const NO_SUCH_OBJECT: &str = "no such object, or these credentials may not see it: check the id and the tenant";

/// What an error status means and what to do about it.
fn reason(response: &HttpResponse, cleaned: impl Fn(&str) -> String) -> Cow<'static, str> {
    match response.status.as_u16() {
        304 => "not modified since the version that the request names: use your copy, or send no condition".into(),
        300..=399 => match response.headers.get(LOCATION).and_then(|value| value.to_str().ok()) {
            Some(location) => {
                // Before the query is cut off too: a part of a secret would not be found.
                let location = cleaned(&without_query(&cleaned(location)));
                format!("redirected to {location}, which is not followed: check the base URL").into()
            }
            None => "redirected, which is not followed: check the base URL".into(),
        },
        400 | 422 => "the vendor found the request invalid".into(),
        401 => "the vendor rejected the token: check the credentials".into(),
        403 => "the credentials are valid, but lack a permission".into(),
        404 | 410 => NO_SUCH_OBJECT.into(),
        408 => "the vendor did not receive the whole request in time".into(),
        409 | 412 => "the call conflicts with the state of the object: read it again, and decide anew".into(),
        500..=599 if response.is_html() => "the vendor, or a proxy before it, failed and responded with HTML".into(),
        500..=599 => "the vendor failed to process the call".into(),
        _ => "the vendor rejected the call".into(),
    }
}

/// A redirect's target without its query, which may hold secrets.
fn without_query(location: &str) -> String {
    match Url::parse(location) {
        Ok(url) => format!("{}{}", url.origin().ascii_serialization(), url.path()),
        Err(_) => location.split(['?', '#']).next().unwrap_or_default().chars().take(MAX_SHOWN).collect(),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    #[test]
    fn no_part_of_a_secret_is_left_where_a_redirect_is_cut_off() {
        let secret = "Hush?Hush+token==";
        for location in [format!("/login/{secret}"), format!("/{}{secret}", "x".repeat(190))] {
            let headers = HeaderMap::from_iter([(LOCATION, HeaderValue::from_str(&location).unwrap())]);
            let response = HttpResponse::new(StatusCode::FOUND, headers, Bytes::new());
            let reason = reason(&response, |text| text.replace(secret, "[redacted]"));
            assert!(reason.starts_with("redirected to /") && !reason.contains("Hush"), "{reason}");
        }
    }
}
