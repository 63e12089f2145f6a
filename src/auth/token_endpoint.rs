//! The token endpoints of a vendor: sends one request and interprets its response.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use serde_json::Value;
use url::Url;

use super::background::TokenTransport;
use super::grant::{Grant, Granted, Place, TokenBody, TokenRequest};
use super::redaction::Redaction;
use super::refusal;
use super::throttle::Throttle;
use super::token_error::{SentRequest, TokenError, TokenErrorKind};
use crate::base_url::BaseUrl;
use crate::clock::Clock;
use crate::error::one_line;
use crate::json_repair;
use crate::limit;
use crate::observer::Wait;
use crate::retry::RetryPolicy;
use crate::telemetry::Telemetry;
use crate::transport::{HttpError, HttpRequest, HttpResponse, is_unknown_host, is_untrusted_certificate, status};

/// How long one token request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
/// The largest response of a token endpoint, in bytes.
const MAX_BODY: usize = 1024 * 1024;
/// How often a token request is sent if that does no harm.
const MAX_ATTEMPTS: u32 = 3;
/// The longest that a failing endpoint is left alone because it asks for it.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(3600);

/// Where tokens are requested, and with what.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    pub(crate) transport: TokenTransport,
    pub(crate) clock: Clock,
    pub(crate) base: Arc<BaseUrl>,
    /// The headers of every token request.
    pub(crate) headers: Arc<[(HeaderName, HeaderValue)]>,
    pub(crate) telemetry: Telemetry,
}

/// Whether a request may be sent again when it is unknown what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Sending it again is harmless.
    Harmless,
    /// It spends something that works once.
    Spends,
}

impl Endpoint {
    /// Requests tokens.
    pub(crate) async fn grant(
        &self,
        grant: &dyn Grant,
        request: TokenRequest,
        repeat: Repeat,
    ) -> Result<Granted, TokenError> {
        let (response, sent) = self.send(grant, &request, repeat).await?;
        self.read(grant, &response).map_err(|mut error| {
            error.request_id = self.request_id(&redaction(grant, &request), &response);
            error.of(sent)
        })
    }

    /// Sends a token request, and returns the response if it is a success.
    pub(super) async fn ask(
        &self,
        grant: &dyn Grant,
        request: TokenRequest,
        repeat: Repeat,
    ) -> Result<HttpResponse, TokenError> {
        self.send(grant, &request, repeat).await.map(|(response, _)| response)
    }

    /// The error of a login that the user or the vendor refused in the browser, before there was a token request.
    #[cfg(feature = "fentu")]
    pub(crate) fn denied_login(
        &self,
        grant: &dyn Grant,
        request: &TokenRequest,
        code: &str,
        description: Option<&str>,
    ) -> TokenError {
        let redaction = redaction(grant, request);
        let (kind, reason) = match refusal::is_denial(code) {
            true => (TokenErrorKind::Refused, "the user or the vendor refused the login"),
            false => (TokenErrorKind::Failed, "the vendor failed during the login; start it again"),
        };
        let mut error = TokenError::new(kind, reason, self.clock);
        error.code = Some(one_line(&redaction.clean(code)));
        error.message = description.map(|description| redaction.clean(description));
        error.of(SentRequest { operation: request.operation, url: self.url(request), attempts: 0 })
    }

    /// Sends a token request, again if that is sure to do no harm.
    async fn send(
        &self,
        grant: &dyn Grant,
        request: &TokenRequest,
        repeat: Repeat,
    ) -> Result<(HttpResponse, SentRequest), TokenError> {
        let operation = request.operation;
        let redaction = redaction(grant, request);
        let mut sent = SentRequest { operation, url: self.url(request), attempts: 0 };
        let throttle = Throttle::of(&sent.url, &self.transport, &self.base);
        loop {
            let started = self.clock.now();
            if let Some(resume_at) = throttle.resume_at(started, fastrand::f64()) {
                let reason = format!("the token endpoint {} is asked too often; nothing was sent", sent.url);
                let error = TokenError::new(TokenErrorKind::Throttled, reason, self.clock);
                return Err(error.resuming_at(resume_at, started).of(sent));
            }
            let http_request = self.http_request(request, &sent.url);
            let span = self.telemetry.attempt_span(operation, &http_request.method, &sent.url, sent.attempts, started);
            let deadline = started + REQUEST_TIMEOUT;
            let outcome = self.transport.execute(http_request, deadline, MAX_BODY, Some(span.span())).await;
            let request_id = outcome.as_ref().ok().and_then(|response| self.request_id(&redaction, response));
            span.finish(&outcome, |_| request_id.clone());
            sent.attempts += 1;
            let (status, http_error) = (status(&outcome), outcome.as_ref().err().map(HttpError::kind));
            let mut error = match outcome {
                Ok(response) if !self.is_error(grant, &response) => return Ok((response, sent)),
                Ok(response) => self.error_response(grant, &redaction, &response, &sent.url),
                Err(error) => self.no_response(&redaction, &error, &sent.url),
            };
            error.request_id = request_id;
            if error.kind == TokenErrorKind::Throttled {
                let now = self.clock.now();
                let resume_at = throttle.pause(now, error.retry_after, fastrand::f64());
                self.telemetry.rate_limited(operation, sent.attempts, error.retry_after);
                return Err(error.resuming_at(resume_at, now).of(sent));
            }
            if !is_repeated(&error, repeat) || sent.attempts >= MAX_ATTEMPTS {
                return Err(error.of(sent));
            }
            let delay = RetryPolicy::new().delay(sent.attempts - 1, fastrand::f64());
            self.telemetry.retrying(operation, sent.attempts, status, http_error, delay);
            let started = self.clock.now();
            self.clock.sleep_until(started + delay).await;
            self.telemetry.waited(operation, Wait::Backoff, started);
        }
    }

    /// The vendor's id of a token request, without secrets.
    fn request_id(&self, redaction: &Redaction, response: &HttpResponse) -> Option<String> {
        self.telemetry.vendor().request_id(&response.headers).map(|id| redaction.clean(id))
    }

    fn url(&self, request: &TokenRequest) -> Url {
        let mut url = match request.place {
            Place::Base => self.base.current().clone(),
            Place::Root => self.base.root(),
        };
        let path = format!("{}{}", url.path().trim_end_matches('/'), request.operation.path());
        url.set_path(&path);
        url
    }

    fn http_request(&self, request: &TokenRequest, url: &Url) -> HttpRequest {
        let mut headers: HeaderMap = self.headers.iter().chain(&request.headers).cloned().collect();
        let (content_type, body) = match &request.body {
            TokenBody::Json(value) => ("application/json", value.to_string()),
            TokenBody::Form(fields) => {
                let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
                ("application/x-www-form-urlencoded", form)
            }
        };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        HttpRequest {
            method: request.operation.method().clone(),
            url: url.clone(),
            headers,
            body: Some(Bytes::from(body).into()),
            operation: request.operation,
            is_token_request: true,
            is_download: false,
        }
    }

    /// Whether a response reports an error: by its status, or in the body of a success that holds no token.
    fn is_error(&self, grant: &dyn Grant, response: &HttpResponse) -> bool {
        if !response.status.is_success() {
            return true;
        }
        let Some(body) = json_repair::parse(&response.body) else { return false };
        let says = |name: &str| body.get(name).is_some_and(says_something);
        (says("error") || says("errors")) && grant.read(&body).is_err()
    }

    /// Reads the tokens of a success by its shape: some servers label JSON as a web page, or prepend a byte order mark.
    fn read(&self, grant: &dyn Grant, response: &HttpResponse) -> Result<Granted, TokenError> {
        let unreadable = |reason: &'static str| {
            TokenError::new(TokenErrorKind::Unreadable, reason, self.clock).with_status(response.status)
        };
        let body = json_repair::parse(&response.body).ok_or_else(|| {
            unreadable(if response.body.trim_ascii().is_empty() {
                "the token endpoint responded with an empty body"
            } else if response.is_html() {
                "the token endpoint responded with a web page; check the base URL"
            } else {
                "the response of the token endpoint is not JSON"
            })
        })?;
        grant.read(&body).map_err(unreadable)
    }

    /// What an error response means. Its body may repeat what was sent, so only the words that are meant for people and
    /// the code are taken from it.
    fn error_response(
        &self,
        grant: &dyn Grant,
        redaction: &Redaction,
        response: &HttpResponse,
        url: &Url,
    ) -> TokenError {
        let body = json_repair::parse(&response.body);
        let words = body.as_ref().map(|body| grant.read_error(body)).unwrap_or_default();
        let code = words.code.clone().or_else(|| body.as_ref().and_then(error_code));
        let code = code.or_else(|| challenge_error(&response.headers));
        // A success that reports an error counts as the 400 that it should have been.
        let status = if response.status.is_success() { 400 } else { response.status.as_u16() };
        let kind = refusal::classify(status, code.as_deref(), words.is_vendor_shape, grant.refusals());
        let reason = reason(kind, status, response, body.is_some(), url);
        let mut error = TokenError::new(kind, reason, self.clock).with_status(response.status);
        let limits = limit::read_all(&response.headers, self.clock);
        // The end of a window says when to return after a 429. After a failure it says nothing.
        let wait = if kind == TokenErrorKind::Throttled { limits.wait() } else { limits.retry_after };
        error.retry_after = wait.map(|wait| wait.min(MAX_RETRY_AFTER));
        // Such a body may hold tokens of its own, beside the words.
        let mut redaction = redaction.clone();
        if let Some(body) = &body {
            add_tokens(&mut redaction, body);
        }
        let message = words.message.filter(|message| code.as_ref() != Some(message));
        error.message = message.map(|message| redaction.clean(&message));
        error.code = code.map(|code| one_line(&redaction.clean(&code)));
        error
    }

    fn no_response(&self, redaction: &Redaction, error: &HttpError, url: &Url) -> TokenError {
        let (kind, reason, source) = match error {
            HttpError::NotSent(source) => {
                let reason = if is_untrusted_certificate(&**source) {
                    format!(
                        "the certificate of the token endpoint {url} is not trusted, for the cause in the error's source: \
                         check the base URL, the proxy and the clock, or add the authority with \
                         HttpConfig::with_root_certificates"
                    )
                } else if is_unknown_host(&**source) {
                    self.telemetry.vendor().unknown_host(url)
                } else {
                    format!("no connection to the token endpoint {url}: check DNS, proxy and TLS")
                };
                (TokenErrorKind::NotSent, reason, Some(source))
            }
            HttpError::Broken(_, source) => {
                let reason =
                    format!("the connection to the token endpoint {url} broke before the whole response arrived");
                (TokenErrorKind::Unknown, reason, Some(source))
            }
            HttpError::TimedOut => {
                let seconds = REQUEST_TIMEOUT.as_secs();
                (TokenErrorKind::Unknown, format!("the token endpoint {url} did not respond within {seconds} s"), None)
            }
            HttpError::TooLarge(_) => {
                let reason = format!("the response of the token endpoint {url} is larger than {MAX_BODY} bytes");
                (TokenErrorKind::Unreadable, reason, None)
            }
        };
        let mut token_error = TokenError::new(kind, reason, self.clock);
        token_error.source = source.map(|source| redaction.error(&**source));
        match error.status() {
            Some(status) => token_error.with_status(status),
            None => token_error,
        }
    }
}

/// Whether a failed request is sent again. What spends something is repeated only if it was not sent. What an endpoint, or
/// something before it, refuses is not asked for again at once: repeated logins may lock an account.
fn is_repeated(error: &TokenError, repeat: Repeat) -> bool {
    let is_harmless = repeat == Repeat::Harmless && error.retry_after.is_none();
    match error.kind {
        TokenErrorKind::NotSent => true,
        TokenErrorKind::Unknown => is_harmless,
        TokenErrorKind::Failed => is_harmless && error.status.is_some_and(|status| status.is_server_error()),
        TokenErrorKind::Refused
        | TokenErrorKind::Store
        | TokenErrorKind::Throttled
        | TokenErrorKind::Unreadable
        | TokenErrorKind::Postponed => false,
    }
}

/// What an error response means, and what to do about it.
fn reason(kind: TokenErrorKind, status: u16, response: &HttpResponse, is_json: bool, url: &Url) -> String {
    match (kind, status) {
        (TokenErrorKind::Refused, _) => "the vendor refuses these credentials".to_owned(),
        (TokenErrorKind::Throttled, _) => format!("the token endpoint {url} is asked too often"),
        (TokenErrorKind::Unknown, _) => format!("a gateway before the token endpoint {url} gave up"),
        (_, 300..=399) => format!("the token endpoint {url} redirects, which is not followed; check the base URL"),
        (_, 404) => format!("there is no token endpoint at {url}; check the tenant and the base URL"),
        (_, 500..) if response.is_html() => {
            format!("the token endpoint {url}, or a proxy before it, failed and responded with a web page")
        }
        (_, 500..) => format!("the token endpoint {url} failed"),
        _ if !is_json && response.is_html() => format!(
            "something before the token endpoint refused the request with a web page; check the base URL {url}, and for a \
             proxy or firewall"
        ),
        (_, 401 | 403 | 410) => {
            format!(
                "something before the token endpoint refused the request; check for a proxy or firewall before {url}"
            )
        }
        _ => format!("the token endpoint {url} did not accept the request"),
    }
}

/// Whether a value in a field for errors reports one.
fn says_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(is_error) => *is_error,
        Value::Number(_) => true,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// The code of RFC 6749, which any vendor's token endpoint may use. What has spaces is a message.
fn error_code(body: &Value) -> Option<String> {
    let code = body.get("error")?.as_str()?;
    (!code.is_empty() && !code.contains(char::is_whitespace)).then(|| code.to_owned())
}

/// The error code in a `WWW-Authenticate` header (RFC 6750, section 3).
fn challenge_error(headers: &HeaderMap) -> Option<String> {
    let challenge = headers.get(WWW_AUTHENTICATE)?.to_str().ok()?;
    let (before, rest) = challenge.split_once("error=\"")?;
    let is_parameter = before.ends_with([' ', ',']);
    let (code, _) = rest.split_once('"').filter(|_| is_parameter)?;
    Some(code.to_owned())
}

/// What redacts the secrets that a token request holds.
fn redaction(grant: &dyn Grant, request: &TokenRequest) -> Redaction {
    Redaction::of(grant.secrets().into_iter().chain(&request.secrets))
}

/// Redacts the tokens that a body holds too: the texts in fields that are named after one, and all inside them.
fn add_tokens(redaction: &mut Redaction, body: &Value) {
    fn add(redaction: &mut Redaction, value: &Value, is_token: bool) {
        match value {
            Value::String(text) if is_token => redaction.add(text),
            Value::Array(items) => items.iter().for_each(|item| add(redaction, item, is_token)),
            Value::Object(fields) => {
                for (name, field) in fields {
                    let is_named =
                        ["token", "secret", "password"].iter().any(|word| name.to_lowercase().contains(word));
                    add(redaction, field, is_token || (is_named && name != "token_type"));
                }
            }
            _ => {}
        }
    }
    add(redaction, body, false);
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::json;

    use super::*;

    fn error(kind: TokenErrorKind, status: Option<u16>) -> TokenError {
        let mut error = TokenError::new(kind, "", Clock::System);
        error.status = status.map(|status| StatusCode::from_u16(status).unwrap());
        error
    }

    #[test]
    fn what_spends_something_is_repeated_only_if_it_was_not_sent() {
        use TokenErrorKind::{Failed, NotSent, Refused, Store, Throttled, Unknown, Unreadable};
        for (kind, status, harmless, spends) in [
            (NotSent, None, true, true),
            (Unknown, None, true, false),
            (Unknown, Some(502), true, false),
            (Failed, Some(500), true, false),
            (Failed, Some(503), true, false),
            (Failed, Some(403), false, false),
            (Failed, Some(200), false, false),
            (Throttled, Some(429), false, false),
            (Refused, Some(400), false, false),
            (Unreadable, Some(200), false, false),
            (Store, None, false, false),
        ] {
            let error = error(kind, status);
            let repeated = [Repeat::Harmless, Repeat::Spends].map(|repeat| is_repeated(&error, repeat));
            assert_eq!(repeated, [harmless, spends], "{error:?}");
        }
    }

    #[test]
    fn an_endpoint_that_asks_to_wait_is_not_asked_again_at_once() {
        for kind in [TokenErrorKind::Failed, TokenErrorKind::Unknown] {
            let mut error = error(kind, Some(503));
            error.retry_after = Some(Duration::from_secs(5));
            assert!(!is_repeated(&error, Repeat::Harmless));
        }
    }

    #[test]
    fn the_code_of_rfc_6749_is_read_and_a_message_is_none() {
        assert_eq!(error_code(&json!({"error": "invalid_grant"})).as_deref(), Some("invalid_grant"));
        for body in [json!({"error": "No slot left"}), json!({"error": ""}), json!({"error": {"code": 1}}), json!([])] {
            assert_eq!(error_code(&body), None, "{body}");
        }
    }

    #[test]
    fn the_code_of_a_challenge_is_read() {
        for (challenge, code) in [
            (r#"Bearer realm="Fisikal", error="invalid_token", error_description="x""#, Some("invalid_token")),
            (r#"Bearer error="invalid_token""#, Some("invalid_token")),
            (r#"Bearer realm="error=""#, None),
            (r#"Bearer error="invalid_token"#, None),
            ("Bearer", None),
        ] {
            let headers = HeaderMap::from_iter([(WWW_AUTHENTICATE, HeaderValue::from_static(challenge))]);
            assert_eq!(challenge_error(&headers).as_deref(), code, "{challenge}");
        }
    }

    #[test]
    fn the_tokens_of_a_body_are_redacted_from_its_words() {
        let mut redaction = Redaction::of([]);
        let body =
            json!({"data": {"accessToken": "acc3ss"}, "tokens": ["r3fresh"], "token_type": "Bearer", "n": "plain"});
        add_tokens(&mut redaction, &body);
        assert_eq!(redaction.clean("acc3ss r3fresh Bearer plain"), "[redacted] [redacted] Bearer plain");
    }
}
