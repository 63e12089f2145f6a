//! The inside of every vendor's client: what its clones share, and the options of this one.

use std::fmt;
use std::sync::Arc;

use http::Method;
use url::Url;

use crate::auth::{AuthStatus, Endpoint, NoToken};
use crate::error::Error;
use crate::limit::RateLimit;
use crate::operation::Operation;
use crate::options::{CallOptions, ResolvedOptions};
use crate::pipeline::{Call, Pipeline, RetryContext};

// The operations that errors name if no call was involved.
static KEEP_ALIVE: Operation = Operation::new("keep_alive", Method::POST, "/");
static REVOKE: Operation = Operation::new("revoke", Method::POST, "/");

/// The inside of a client. A clone costs two reference counts.
#[derive(Clone)]
pub(crate) struct ClientInner {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) options: Arc<ResolvedOptions>,
}

impl ClientInner {
    pub(crate) fn new(pipeline: Pipeline, options: ResolvedOptions) -> Self {
        Self { pipeline: Arc::new(pipeline), options: Arc::new(options) }
    }

    /// The same client with other options.
    pub(crate) fn with_options(&self, options: CallOptions) -> Self {
        Self { pipeline: Arc::clone(&self.pipeline), options: Arc::new(self.options.overridden_by(options)) }
    }

    pub(crate) fn base_url(&self) -> &Url {
        self.pipeline.base_url.current()
    }

    /// The path of a URL relative to the client's base URL; `None` if the URL is not below it.
    pub(crate) fn relative_path<'a>(&self, url: &'a Url) -> Option<&'a str> {
        let base_url = &self.pipeline.base_url;
        base_url.relative_path(url.path()).filter(|_| base_url.configured().origin() == url.origin())
    }

    pub(crate) fn rate_limit(&self) -> RateLimit {
        self.pipeline.rate_limiter.snapshot(self.pipeline.clock)
    }

    /// How many calls the rate limit allows at once; `None` if that is not known.
    pub(crate) fn room(&self) -> Option<u64> {
        let ask = self.pipeline.rate_limit_policy.ask(self.options.priority);
        self.pipeline.rate_limiter.room(ask, self.pipeline.clock)
    }

    pub(crate) fn auth_status(&self) -> AuthStatus {
        self.pipeline.auth.status(self.pipeline.clock.wall())
    }

    #[cfg(all(feature = "testing", feature = "repairy"))]
    pub(crate) fn has_token(&self) -> bool {
        self.pipeline.auth.is_ready()
    }

    /// Whether dropping this handle would end the client's use or lose a token refresh: other handles exist, or tokens are
    /// being refreshed or stored.
    pub(crate) fn is_needed(&self) -> bool {
        Arc::strong_count(&self.pipeline) > 1 || !self.pipeline.auth.is_settled()
    }

    /// Keeps the tokens fresh without calls. Returns the error that calls get once that is no longer possible.
    pub(crate) async fn keep_alive(self) -> Error {
        let error = self.pipeline.auth.keep_alive(self.pipeline.clock).await;
        self.token_error(error, &KEEP_ALIVE)
    }

    /// Revokes the tokens.
    pub(crate) async fn revoke(&self) -> Result<(), Error> {
        match self.pipeline.auth.revoke().await {
            Some(outcome) => outcome.map_err(|error| self.token_error(NoToken::TokenError(error), &REVOKE)),
            None => {
                let reason = "were created by hand: revoke them where they were created";
                Err(Error::invalid_request(REVOKE.id(), "credentials", reason))
            }
        }
    }

    /// The error of a token request that belongs to no call; `operation` names it unless the request has its own.
    pub(crate) fn token_error(&self, error: NoToken, operation: &'static Operation) -> Error {
        let operation = match &error {
            NoToken::TokenError(error) => error.operation.unwrap_or(operation),
            _ => operation,
        };
        let url = self.pipeline.base_url.current().clone();
        let call = Call { operation, idempotent: true, method: operation.method().clone(), url, body: None };
        RetryContext::new(&self.pipeline, &call, &self.options).token_error(error)
    }

    /// The token endpoints of the vendor.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let pipeline = &*self.pipeline;
        Endpoint {
            transport: pipeline.transport.clone(),
            clock: pipeline.clock,
            base: Arc::clone(&pipeline.base_url),
            headers: Arc::clone(&pipeline.headers),
            telemetry: pipeline.telemetry.clone(),
        }
    }
}

impl fmt::Debug for ClientInner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientInner")
            .field("vendor", &self.pipeline.vendor.name)
            .field("tenant", &self.pipeline.tenant)
            .field("base_url", &self.pipeline.base_url.current().as_str())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}
