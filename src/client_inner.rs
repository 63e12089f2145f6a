//! A client's inside: what all clients of a tenant share, and one client's settings.

use std::fmt;
use std::sync::Arc;

use http::Method;
use url::Url;

use crate::auth::{AuthStatus, Endpoint, NoToken};
use crate::error::Error;
use crate::limit::RateLimit;
use crate::operation::Operation;
use crate::options::{CallOptions, Settings};
use crate::pipeline::{Call, Pipeline, RetryContext};

/// What errors name where no call was under way.
static KEEP_ALIVE: Operation = Operation::new("keep_alive", Method::POST, "/");
static REVOKE: Operation = Operation::new("revoke", Method::POST, "/");

/// A client's inside: what all clients of the tenant share, and this one's settings.
#[derive(Clone)]
pub(crate) struct ClientInner {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) settings: Arc<Settings>,
}

impl ClientInner {
    pub(crate) fn new(pipeline: Pipeline, settings: Settings) -> Self {
        Self { pipeline: Arc::new(pipeline), settings: Arc::new(settings) }
    }

    /// The same client with `options` laid over its settings.
    pub(crate) fn with_options(&self, options: CallOptions) -> Self {
        Self { pipeline: Arc::clone(&self.pipeline), settings: Arc::new(self.settings.overlaid(options)) }
    }

    /// Whether the client cannot be dropped with this handle, for others hold it, or would lose tokens that are on their
    /// way.
    pub(crate) fn is_needed(&self) -> bool {
        Arc::strong_count(&self.pipeline) > 1 || !self.pipeline.auth.is_settled()
    }

    pub(crate) fn auth_status(&self) -> AuthStatus {
        self.pipeline.auth.status(self.pipeline.clock.wall())
    }

    #[cfg(all(feature = "testing", feature = "repairy"))]
    pub(crate) fn has_token(&self) -> bool {
        self.pipeline.auth.is_ready()
    }

    /// Renews tokens in time even while nobody calls. Ends with the error that calls then get.
    pub(crate) async fn keep_alive(self) -> Error {
        let why = self.pipeline.auth.keep_alive(self.pipeline.clock).await;
        self.without_token(why, &KEEP_ALIVE)
    }

    /// Makes the tokens worthless.
    pub(crate) async fn revoke(&self) -> Result<(), Error> {
        match self.pipeline.auth.revoke().await {
            Some(outcome) => outcome.map_err(|trouble| self.without_token(NoToken::TokenError(trouble), &REVOKE)),
            None => {
                Err(Error::request(REVOKE.id(), "credentials", "were made by hand: revoke them where they were made"))
            }
        }
    }

    /// The token endpoints of the client's vendor.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let pipeline = &*self.pipeline;
        Endpoint {
            transport: pipeline.transport.clone(),
            clock: pipeline.clock,
            base: Arc::clone(&pipeline.base),
            headers: Arc::clone(&pipeline.headers),
            telemetry: pipeline.telemetry.clone(),
        }
    }

    /// The error of a token request that no call was waiting for.
    pub(crate) fn without_token(&self, why: NoToken, own: &'static Operation) -> Error {
        let operation = match &why {
            NoToken::TokenError(trouble) => trouble.operation.unwrap_or(own),
            _ => own,
        };
        let url = self.pipeline.base.url().clone();
        let call = Call { operation, idempotent: true, method: operation.method().clone(), url, body: None };
        RetryContext::begin(&self.pipeline, &call, &self.settings).without_token(why)
    }

    pub(crate) fn rate_limit(&self) -> RateLimit {
        self.pipeline.budget.snapshot(self.pipeline.clock)
    }

    /// How many calls the limit lets through at once.
    pub(crate) fn room(&self) -> Option<u64> {
        let ask = self.pipeline.rate_limit.ask(self.settings.priority);
        self.pipeline.budget.room(ask, self.pipeline.clock)
    }

    pub(crate) fn base_url(&self) -> &Url {
        self.pipeline.base.url()
    }

    /// What stands below the client's base in an address; nothing where it is not there.
    pub(crate) fn below_base<'a>(&self, url: &'a Url) -> Option<&'a str> {
        let base = &self.pipeline.base;
        base.rest(url.path()).filter(|_| base.given().origin() == url.origin())
    }
}

impl fmt::Debug for ClientInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientInner")
            .field("vendor", &self.pipeline.vendor.name)
            .field("tenant", &self.pipeline.tenant)
            .field("base_url", &self.pipeline.base.url().as_str())
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
