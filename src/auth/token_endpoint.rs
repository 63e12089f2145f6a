//! The token endpoints of a vendor: sends one request and interprets its response.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use serde_json::Value;

use super::grant::{Body, Grant, Granted, Place, TokenRequest};
use super::redaction::Redaction;
use super::token_error::{TokenError, TokenErrorKind};
use crate::base_url::BaseUrl;
use crate::clock::Clock;
use crate::observer::Wait;
use crate::retry::RetryPolicy;
use crate::telemetry::Telemetry;
use crate::transport::{HttpClient, HttpError, HttpRequest, HttpResponse, status};

/// How long one token request may take.
const REQUEST: Duration = Duration::from_secs(30);
/// The largest answer of a token endpoint.
const LARGEST_ANSWER: usize = 1024 * 1024;
/// How often a token request that certainly had no effect is sent.
const ATTEMPTS: u32 = 3;
/// The longest that a token endpoint is left alone because it asks for it.
const LONGEST_REST: u64 = 3600;

/// Where tokens are asked for, and with what.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) transport: HttpClient,
    pub(crate) clock: Clock,
    pub(crate) base: Arc<BaseUrl>,
    /// What every token request carries.
    pub(crate) headers: Arc<[(HeaderName, HeaderValue)]>,
    pub(crate) telemetry: Telemetry,
}

/// Whether a request may be sent again when nobody knows what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Sending it again is harmless.
    Harmless,
    /// It spends something that works once.
    Spends,
}

impl Endpoint {
    /// Asks for tokens.
    pub(crate) async fn grant(
        &self,
        grant: &dyn Grant,
        request: TokenRequest,
        repeat: Repeat,
    ) -> Result<Granted, TokenError> {
        let operation = request.operation;
        let answer = self.ask(grant, request, repeat).await?;
        self.read(grant, &answer).map_err(|trouble| trouble.of(operation))
    }

    /// Sends a token request, again where that is sure to do no harm, and answers with a success.
    pub(super) async fn ask(
        &self,
        grant: &dyn Grant,
        request: TokenRequest,
        repeat: Repeat,
    ) -> Result<HttpResponse, TokenError> {
        let operation = request.operation;
        let mut attempt = 0;
        loop {
            let begun = self.clock.now();
            let outgoing = self.outgoing(&request);
            let told = self.telemetry.attempt_span(operation, &outgoing.method, &outgoing.url, attempt, begun);
            let outcome = self.transport.execute(outgoing, begun + REQUEST, LARGEST_ANSWER, Some(told.span())).await;
            told.finish(&outcome, |answer| self.request_id(grant, &request, answer));
            attempt += 1;
            let status = status(&outcome);
            let trouble = match outcome {
                Ok(answer) if answer.status.is_success() => return Ok(answer),
                Ok(answer) => self.refused(grant, &request, &answer),
                Err(lost) => self.lost(&lost),
            };
            let again = match trouble.why {
                TokenErrorKind::Unreached => true,
                TokenErrorKind::Unknown => repeat == Repeat::Harmless,
                // Asked to stay away, it stays away, for however long that is.
                TokenErrorKind::Failed => {
                    trouble.rest.is_none() && trouble.status != Some(StatusCode::TOO_MANY_REQUESTS)
                }
                TokenErrorKind::Refused | TokenErrorKind::Store | TokenErrorKind::Unreadable => false,
            };
            if !again || attempt >= ATTEMPTS {
                return Err(trouble.of(operation));
            }
            let delay = RetryPolicy::new().delay(attempt - 1, fastrand::f64());
            self.telemetry.retrying(operation, attempt, status, delay);
            let begun = self.clock.now();
            self.clock.sleep_until(begun + delay).await;
            self.telemetry.waited(operation, Wait::Backoff, begun);
        }
    }

    /// The vendor's id of a token request, without any secret in it.
    fn request_id(&self, grant: &dyn Grant, request: &TokenRequest, answer: &HttpResponse) -> Option<String> {
        let id = self.telemetry.vendor().request_id(&answer.headers)?;
        Some(redaction(grant, request).text(id).unwrap_or_else(|| id.to_owned()))
    }

    fn outgoing(&self, request: &TokenRequest) -> HttpRequest {
        let mut url = match request.place {
            Place::Base => self.base.current().clone(),
            Place::Root => self.base.root(),
        };
        let path = format!("{}{}", url.path().trim_end_matches('/'), request.operation.path());
        url.set_path(&path);
        let mut headers: HeaderMap = self.headers.iter().chain(&request.headers).cloned().collect();
        let (kind, body) = match &request.body {
            Body::Json(value) => ("application/json", value.to_string()),
            Body::Form(fields) => {
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                ("application/x-www-form-urlencoded", form)
            }
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        HttpRequest { method: request.operation.method().clone(), url, headers, body: Some(body.into()) }
    }

    fn read(&self, grant: &dyn Grant, answer: &HttpResponse) -> Result<Granted, TokenError> {
        let unreadable = |reason: Cow<'static, str>| {
            TokenError::new(TokenErrorKind::Unreadable, reason, self.clock).with_status(answer.status)
        };
        if answer.is_html() {
            return Err(unreadable("the token endpoint answered with a web page; check the base URL".into()));
        }
        let body = serde_json::from_slice(&answer.body).map_err(|_| match answer.body.is_empty() {
            true => unreadable("the token endpoint answered with nothing".into()),
            false => unreadable("the token endpoint did not answer with JSON".into()),
        })?;
        grant.read(&body).map_err(unreadable)
    }

    /// What a refusal or a failure of the token endpoint means. Its body may repeat what was sent, so only the words
    /// that are meant for people are taken from it.
    fn refused(&self, grant: &dyn Grant, request: &TokenRequest, answer: &HttpResponse) -> TokenError {
        let body = serde_json::from_slice::<Value>(&answer.body).ok();
        let (why, reason) = match answer.status.as_u16() {
            300..=399 => {
                (TokenErrorKind::Unreadable, "the token endpoint redirects, which is not followed; check the base URL")
            }
            _ if answer.is_html() => {
                (TokenErrorKind::Unreadable, "the token endpoint answered with a web page; check the base URL")
            }
            404 if body.is_none() => (TokenErrorKind::Unreadable, "there is no token endpoint; check the base URL"),
            // Vendors give their reasons in JSON; a firewall, a proxy or a load balancer before them does not.
            403 | 410 if body.is_none() => {
                (TokenErrorKind::Unreadable, "something before the token endpoint refuses the request")
            }
            400 | 401 | 403 | 404 | 410 | 422 => (TokenErrorKind::Refused, "the vendor refuses these credentials"),
            408 | 502 | 504 => (TokenErrorKind::Unknown, "something on the way to the token endpoint gave up"),
            429 => (TokenErrorKind::Failed, "the token endpoint is asked too often"),
            _ => (TokenErrorKind::Failed, "the token endpoint failed"),
        };
        let mut trouble = TokenError::new(why, reason, self.clock).with_status(answer.status);
        trouble.rest = rest(&answer.headers);
        if let Some(body) = body {
            let redaction = redaction(grant, request);
            let clean = |text: String| redaction.text(&text).unwrap_or(text);
            let (message, code) = grant.read_error(&body);
            (trouble.message, trouble.code) = (message.map(clean), code.map(clean));
        }
        trouble
    }

    fn lost(&self, lost: &HttpError) -> TokenError {
        let (why, reason) = match lost {
            HttpError::NotSent(_) => (TokenErrorKind::Unreached, "no connection to the token endpoint"),
            HttpError::Broken(..) => (TokenErrorKind::Unknown, "the connection to the token endpoint broke"),
            HttpError::TimedOut => (TokenErrorKind::Unknown, "the token endpoint did not answer in time"),
            HttpError::TooLarge(_) => (TokenErrorKind::Unreadable, "the token endpoint's answer is too large"),
        };
        TokenError::new(why, reason, self.clock)
    }
}

/// What strikes out the secrets that a token request holds.
fn redaction(grant: &dyn Grant, request: &TokenRequest) -> Redaction {
    Redaction::of(grant.secrets().into_iter().chain(&request.secrets))
}

/// How long a token endpoint asks to be left alone, in seconds: the one form that OAuth servers send.
fn rest(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds.min(LONGEST_REST)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rest_is_read_in_seconds_and_ends_after_an_hour_at_most() {
        let rest = |value: &'static str| rest(&HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]));
        assert_eq!(rest("17"), Some(Duration::from_secs(17)));
        assert_eq!(rest("99999999999"), Some(Duration::from_secs(3600)));
        for odd in ["", "-1", "soon", "99999999999999999999999"] {
            assert_eq!(rest(odd), None, "{odd}");
        }
    }
}
