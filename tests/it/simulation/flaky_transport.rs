//! The transport of one process: slow, recorded, and failing when the process ends, when the machine sleeps, or when the
//! token endpoint has an outage.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{Request, Response};
use jiff::fmt::rfc2822::DateTimeParser;
use serde_json::Value;
use servicebay::testing::{Counters, Environment, WallClock};
use servicebay::{Body, Transport, TransportError};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep};

use super::host::{Host, OutageKind, ProcessId, TOKEN_TRAVEL};
use super::invariants::{GrantKind, TokenCall, TokenOutcome, USER};

/// The transport of one process.
#[derive(Clone)]
pub(super) struct FlakyTransport {
    process: ProcessId,
    host: Arc<Host>,
    /// The background tasks of the clients of the process.
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
}

impl FlakyTransport {
    pub(super) fn new(process: ProcessId, host: &Arc<Host>) -> Self {
        Self { process, host: Arc::clone(host), tasks: Arc::default() }
    }

    /// The runtime of the process ends, and all background tasks with it.
    pub(super) fn end_runtime(&self) {
        self.tasks.lock().unwrap().drain(..).for_each(|task| task.abort());
    }

    async fn deliver(self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.stop_if_killed().await;
        match TokenCall::of(&request) {
            Some(token_call) => self.request_tokens(token_call, request).await,
            None => self.call(request).await,
        }
    }

    /// Sends a call to the API, which has no outages.
    async fn call(self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let access = bearer(&request).to_owned();
        self.host.invariants().record_sent_call(self.process, &access);
        self.travel(self.host.api_travel()).await;
        let response = handle(&self.host, request).await?;
        self.host.invariants().record_response(self.process, &access, response.status());
        self.travel(self.host.api_travel()).await;
        if response.status() == 401 {
            self.host.invariants().record_401(self.process, &access);
        }
        Ok(response)
    }

    /// Sends a token request.
    async fn request_tokens(
        self,
        token_call: TokenCall,
        request: Request<Bytes>,
    ) -> Result<Response<Bytes>, TransportError> {
        let stored = self.host.stored();
        let number = self.host.invariants().record_token_request(self.process, token_call, stored.as_ref());
        let mut in_flight = InFlight { transport: &self, number, is_complete: false };

        // A request that has been sent goes on without its process.
        let slept = self.host.slept();
        let exchange = tokio::spawn(exchange(Arc::clone(&self.host), self.process, number, request));
        let (mut response, outage) = exchange.await.expect("an exchange does not panic");
        self.travel(self.host.token_travel()).await;
        if self.host.slept() > slept {
            // No connection outlives a sleep of the machine.
            response = Err(TransportError::broken("no connection outlives a sleep"));
        }

        in_flight.is_complete = true;
        let granted = response.as_ref().ok().and_then(tokens);
        let outcome = match (&response, granted) {
            (Err(error), _) if !error.may_have_arrived() => TokenOutcome::NotSent,
            (Err(_), _) => TokenOutcome::Unknown,
            (Ok(_), Some((access, refresh))) => TokenOutcome::Granted { access, refresh },
            (Ok(response), None) if response.status() == 429 => TokenOutcome::Throttled,
            (Ok(response), None) if outage.is_none() && response.status().is_client_error() => TokenOutcome::Refused,
            // A gateway that gave up does not know the outcome.
            (Ok(response), None) if matches!(response.status().as_u16(), 502 | 504) => TokenOutcome::Unknown,
            (Ok(_), None) => TokenOutcome::Failed,
        };
        if outcome == TokenOutcome::Throttled
            && let Some(time) = response.as_ref().ok().and_then(|response| self.retry_after(response))
        {
            // It may have been counted since the response was sent.
            let until = Instant::now() + time.saturating_sub(TOKEN_TRAVEL + Duration::from_secs(1));
            self.host.invariants().record_throttled(self.process, until);
        }
        self.host.invariants().record_outcome(number, outcome);
        response
    }

    /// How long a response asks to wait.
    fn retry_after(&self, response: &Response<Bytes>) -> Option<Duration> {
        let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let end = DateTimeParser::new().parse_timestamp(text).ok()?;
        Duration::try_from(end.duration_since(self.host.server.now())).ok()
    }

    async fn travel(&self, time: Duration) {
        sleep(time).await;
        self.stop_if_killed().await;
    }

    /// A killed process makes no progress.
    async fn stop_if_killed(&self) {
        if self.host.invariants().is_killed(self.process) {
            pending::<()>().await;
        }
    }
}

impl Transport for FlakyTransport {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, body.collect(usize::MAX).await?);
            self.clone().deliver(request).await.map(|response| response.map(Body::from))
        })
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl Environment for FlakyTransport {
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.host).addr()
    }

    fn wall_clock(&self) -> Option<WallClock> {
        Some(self.host.clock)
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let mut tasks = self.tasks.lock().unwrap();
        tasks.retain(|task| !task.is_finished());
        tasks.push(tokio::spawn(task).abort_handle());
    }
}

/// Prints no more than the process: the clients' own output is checked for secrets, and the invariants hold them.
impl fmt::Debug for FlakyTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FlakyTransport").field("process", &self.process).finish_non_exhaustive()
    }
}

/// Sends a token request to the server. Returns the response, and the outage that it met.
async fn exchange(
    host: Arc<Host>,
    process: ProcessId,
    number: usize,
    request: Request<Bytes>,
) -> (Result<Response<Bytes>, TransportError>, Option<OutageKind>) {
    sleep(host.token_travel()).await;
    // A person tries again until it works.
    let outage = host.current_outage().filter(|_| process != USER);
    match outage {
        // Longer than any client waits.
        Some(OutageKind::NoResponse) => sleep(Duration::from_secs(3600)).await,
        Some(OutageKind::NotSent) => return (Err(TransportError::not_sent("connection refused")), outage),
        _ => {}
    }
    if let Some(kind) = outage {
        host.server.fault(host.fault(kind));
    }
    let before = host.server.counters();
    let response = handle(&host, request);
    let response = if outage == Some(OutageKind::SilentAfter) {
        // The server handles the request when the response is first awaited.
        let mut response = Box::pin(response);
        assert!((&mut response).now_or_never().is_none(), "the response is late");
        record(&host, number, &before, None);
        return (response.await, outage);
    } else {
        response.await
    };
    if outage.is_none_or(OutageKind::is_carried_out) {
        record(&host, number, &before, response.as_ref().ok().and_then(tokens).as_ref());
    }
    (response, outage)
}

/// Has the server handle a request.
async fn handle(host: &Host, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
    let (head, body) = host.server.transport().send(request.map(Body::from)).await?.into_parts();
    Ok(Response::from_parts(head, body.collect(usize::MAX).await?))
}

/// Records what the server decided on a request.
fn record(host: &Host, number: usize, before: &Counters, granted: Option<&(String, Option<String>)>) {
    let after = host.server.counters();
    let accepted = after.refreshes() + after.logins() > before.refreshes() + before.logins();
    host.invariants().record_decision(number, accepted, granted);
}

/// A token request in flight, which must not be dropped before its timeout.
struct InFlight<'a> {
    transport: &'a FlakyTransport,
    number: usize,
    is_complete: bool,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        if !self.is_complete {
            self.transport.host.invariants().record_dropped_request(self.number);
        }
    }
}

impl TokenCall {
    /// Parses a token request; `None` for a call to the API.
    fn of(request: &Request<Bytes>) -> Option<Self> {
        let path = request.uri().path();
        let refresh = |token: Option<String>| Self {
            kind: GrantKind::Refresh,
            refresh: token,
            access: Some(bearer(request).to_owned()).filter(|access| !access.is_empty()),
        };
        let login = Self { kind: GrantKind::Login, refresh: None, access: None };
        if path.ends_with("/auth/token") {
            return Some(login);
        }
        if path.ends_with("/auth/refresh") {
            let body: Value = serde_json::from_slice(request.body()).unwrap();
            return Some(refresh(body["refreshToken"].as_str().map(str::to_owned)));
        }
        if !path.ends_with("/oauth/token") {
            return None;
        }
        let mut fields = url::form_urlencoded::parse(request.body());
        let token = fields.find(|(name, _)| name == "refresh_token").map(|(_, token)| token.into_owned());
        Some(if token.is_some() { refresh(token) } else { login })
    }
}

fn bearer<B>(request: &Request<B>) -> &str {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    header.and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default()
}

/// The tokens in the response of a token endpoint, whatever its label.
fn tokens(response: &Response<Bytes>) -> Option<(String, Option<String>)> {
    let body = response.body();
    let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
    let body: Value = serde_json::from_slice(body).ok()?;
    let text = |names: [&str; 2]| names.iter().find_map(|name| body[*name].as_str()).map(str::to_owned);
    Some((text(["access_token", "accessToken"])?, text(["refresh_token", "refreshToken"])))
}
