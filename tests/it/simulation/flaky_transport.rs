//! The transport of one process: slow, recorded, and failing when the process is killed or the token endpoint has an
//! outage.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{Request, Response};
use serde_json::Value;
use servicebay::testing::{Transport, TransportError, WallClock};
use tokio::time::sleep;

use super::host::{Host, OutageKind, ProcessId};
use super::invariants::{GrantKind, TokenCall, TokenOutcome};

/// The transport of one process.
#[derive(Clone, Debug)]
pub(super) struct FlakyTransport {
    process: ProcessId,
    host: Arc<Host>,
}

impl FlakyTransport {
    pub(super) fn new(process: ProcessId, host: &Arc<Host>) -> Self {
        Self { process, host: Arc::clone(host) }
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
        let response = self.host.server.transport().send(request).await?;
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

        self.travel(self.host.token_travel()).await;
        let outage = self.host.current_outage();
        if outage == Some(OutageKind::NoResponse) {
            // Longer than any client waits.
            sleep(Duration::from_secs(3600)).await;
        }
        if let Some(kind) = outage {
            self.host.server.fault(self.host.fault(kind));
        }
        let before = self.host.server.counters();
        let response = self.host.server.transport().send(request).await;
        let after = self.host.server.counters();
        let accepted = after.refreshes() + after.logins() > before.refreshes() + before.logins();
        let granted = response.as_ref().ok().and_then(tokens);
        if outage.is_none() || outage == Some(OutageKind::LostResponse) {
            self.host.invariants().record_decision(number, accepted, granted.as_ref());
        }
        self.travel(self.host.token_travel()).await;

        in_flight.is_complete = true;
        let outcome = match (&response, granted) {
            (Err(_), _) => TokenOutcome::Unknown,
            (Ok(_), Some((access, refresh))) => TokenOutcome::Granted { access, refresh },
            (Ok(response), None) if outage.is_none() && response.status().is_client_error() => TokenOutcome::Refused,
            // A gateway that gave up does not know the outcome.
            (Ok(response), None) if matches!(response.status().as_u16(), 502 | 504) => TokenOutcome::Unknown,
            (Ok(_), None) => TokenOutcome::Failed,
        };
        self.host.invariants().record_outcome(number, outcome);
        response
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
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'static, Result<Response<Bytes>, TransportError>> {
        Box::pin(self.clone().deliver(request))
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.host).addr()
    }

    fn wall_clock(&self) -> Option<WallClock> {
        Some(self.host.clock)
    }
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

/// The tokens in the response of a token endpoint.
fn tokens(response: &Response<Bytes>) -> Option<(String, Option<String>)> {
    let body: Value = serde_json::from_slice(response.body()).ok()?;
    let text = |names: [&str; 2]| names.iter().find_map(|name| body[*name].as_str()).map(str::to_owned);
    Some((text(["access_token", "accessToken"])?, text(["refresh_token", "refreshToken"])))
}
