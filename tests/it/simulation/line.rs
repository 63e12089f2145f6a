//! The wire of one process: slow, watched, and cut where the process is killed or the identity server fails.

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

use super::ledger::{Asked, Ending, Kind};
use super::site::{Site, Trouble, Who};

/// The wire of one process.
#[derive(Clone, Debug)]
pub(super) struct Line {
    who: Who,
    site: Arc<Site>,
}

impl Line {
    pub(super) fn new(who: Who, site: &Arc<Site>) -> Self {
        Self { who, site: Arc::clone(site) }
    }

    async fn carry(self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        self.stop_if_killed().await;
        match Asked::of(&request) {
            Some(asked) => self.ask(asked, request).await,
            None => self.call(request).await,
        }
    }

    /// A call of the API: it meets no outage, and a token that is good or not.
    async fn call(self, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let access = bearer(&request).to_owned();
        self.site.ledger().sends(self.who, &access);
        self.travel(self.site.api_travel()).await;
        let answer = self.site.tenant.wire().send(request).await?;
        self.site.ledger().arrives(self.who, &access, answer.status());
        self.travel(self.site.api_travel()).await;
        if answer.status() == 401 {
            self.site.ledger().hears_401(self.who, &access);
        }
        Ok(answer)
    }

    /// A request for tokens.
    async fn ask(self, asked: Asked, request: Request<Bytes>) -> Result<Response<Bytes>, TransportError> {
        let stored = self.site.stored();
        let number = self.site.ledger().asks(self.who, asked, stored.as_ref());
        let mut under_way = UnderWay { line: &self, number, is_over: false };

        self.travel(self.site.token_travel()).await;
        let trouble = self.site.trouble();
        if trouble == Some(Trouble::Silence) {
            // Longer than a client waits.
            sleep(Duration::from_secs(3600)).await;
        }
        if let Some(trouble) = trouble {
            self.site.tenant.fault(self.site.fault(trouble));
        }
        let before = self.site.tenant.counters();
        let answer = self.site.tenant.wire().send(request).await;
        let after = self.site.tenant.counters();
        let accepted = after.refreshes() + after.logins() > before.refreshes() + before.logins();
        let given = answer.as_ref().ok().and_then(tokens);
        if trouble.is_none() || trouble == Some(Trouble::Lost) {
            self.site.ledger().tenant_decides(number, accepted, given.as_ref());
        }
        self.travel(self.site.token_travel()).await;

        under_way.is_over = true;
        let ending = match (&answer, given) {
            (Err(_), _) => Ending::Unknown,
            (Ok(_), Some((access, refresh))) => Ending::Granted { access, refresh },
            (Ok(answer), None) if trouble.is_none() && answer.status().is_client_error() => Ending::Refused,
            // A gateway that gave up does not know.
            (Ok(answer), None) if matches!(answer.status().as_u16(), 502 | 504) => Ending::Unknown,
            (Ok(_), None) => Ending::Failed,
        };
        self.site.ledger().hears(number, ending);
        answer
    }

    async fn travel(&self, time: Duration) {
        sleep(time).await;
        self.stop_if_killed().await;
    }

    /// Nothing of a killed process goes on.
    async fn stop_if_killed(&self) {
        if self.site.ledger().is_killed(self.who) {
            pending::<()>().await;
        }
    }
}

impl Transport for Line {
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'static, Result<Response<Bytes>, TransportError>> {
        Box::pin(self.clone().carry(request))
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.site).addr()
    }

    fn wall_clock(&self) -> Option<WallClock> {
        Some(self.site.clock)
    }
}

/// A token request on its way, which nobody may give up before its time.
struct UnderWay<'a> {
    line: &'a Line,
    number: usize,
    is_over: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            self.line.site.ledger().abandons(self.number);
        }
    }
}

impl Asked {
    /// What a request asks the token endpoint for; `None` for a call of the API.
    fn of(request: &Request<Bytes>) -> Option<Self> {
        let path = request.uri().path();
        let refresh = |token: Option<String>| Self {
            kind: Kind::Refresh,
            refresh: token,
            access: Some(bearer(request).to_owned()).filter(|access| !access.is_empty()),
        };
        let login = Self { kind: Kind::Login, refresh: None, access: None };
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

/// The pair in an answer of a token endpoint.
fn tokens(answer: &Response<Bytes>) -> Option<(String, Option<String>)> {
    let body: Value = serde_json::from_slice(answer.body()).ok()?;
    let text = |names: [&str; 2]| names.iter().find_map(|name| body[*name].as_str()).map(str::to_owned);
    Some((text(["access_token", "accessToken"])?, text(["refresh_token", "refreshToken"])))
}
