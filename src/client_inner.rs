//! The inside of every vendor's client: what its clones share, and the options of this one.

use std::fmt;
use std::sync::Arc;

use http::Method;
use secrecy::SecretString;
use url::Url;

use crate::auth::{AuthHeader, AuthStatus, Endpoint, NoToken, TokenTransport};
#[cfg(feature = "fentu")]
use crate::auth::{BackgroundTask, TokenSet};
use crate::error::Error;
use crate::limit::RateLimit;
use crate::operation::Operation;
use crate::options::{CallOptions, ResolvedOptions};
use crate::pipeline::{Call, Pipeline, RetryContext};

// The operations that errors name if no call was involved.
static LOG_IN: Operation = Operation::new("log_in", Method::POST, "/");
static CURRENT_TOKEN: Operation = Operation::new("current_token", Method::POST, "/");
static KEEP_ALIVE: Operation = Operation::new("keep_alive", Method::POST, "/");
static SETTLE: Operation = Operation::new("settle", Method::POST, "/");
static CLOSE: Operation = Operation::new("close", Method::POST, "/");
static ADOPT_LOGIN: Operation = Operation::new("adopt_login", Method::POST, "/");
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

    /// The options of the calls of this handle alone.
    pub(crate) fn options_mut(&mut self) -> &mut ResolvedOptions {
        Arc::make_mut(&mut self.options)
    }

    /// Makes the calls of this handle take no part in the cache. Without one, nothing changes and nothing is allocated.
    pub(crate) fn bypass_cache(&mut self) {
        if self.pipeline.response_cache.is_some() {
            self.options_mut().bypasses_cache = true;
        }
    }

    /// Forgets the responses in the cache that belong to this client.
    fn clear_cache(&self) {
        if let Some(cache) = &self.pipeline.response_cache {
            cache.clear();
        }
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
        let pipeline = &self.pipeline;
        pipeline.rate_limiter.room(&pipeline.rate_limit_policy, self.options.priority, pipeline.clock)
    }

    /// Forgets what holds calls back.
    pub(crate) fn reopen_rate_limit(&self) {
        self.pipeline.rate_limiter.reopen(self.pipeline.clock);
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

    /// Keeps the tokens fresh without calls. Returns the error that calls get once that is no longer possible, or one that says
    /// that the client was closed.
    pub(crate) async fn keep_alive(self) -> Error {
        match self.pipeline.auth.keep_alive(self.pipeline.clock).await {
            Some(error) => self.token_error(error, &KEEP_ALIVE),
            None => {
                let reason = "was closed, so its tokens are refreshed only if a call needs it: end `keep_alive` before `close`, \
                              or ignore this error";
                Error::invalid_request(KEEP_ALIVE.id(), "client", reason)
            }
        }
    }

    /// Gets a valid token now, unless there is one.
    pub(crate) async fn log_in(&self) -> Result<AuthStatus, Error> {
        self.token(&LOG_IN).await?;
        Ok(self.auth_status())
    }

    /// A valid token, without the scheme.
    pub(crate) async fn current_token(&self) -> Result<SecretString, Error> {
        let header = self.token(&CURRENT_TOKEN).await?;
        self.pipeline.auth.token_in(&header).ok_or_else(|| {
            Error::invalid_request(CURRENT_TOKEN.id(), "credentials", "have no token: requests carry none")
        })
    }

    async fn token(&self, operation: &'static Operation) -> Result<AuthHeader, Error> {
        let (pipeline, call) = (&*self.pipeline, Self::call_without_request(operation, self.base_url()));
        let context = RetryContext::new(pipeline, &call, &self.options);
        let token = pipeline.auth.token(pipeline.clock, context.wait_deadline(), context.scope()).await;
        token.map_err(|error| self.token_error(error, operation))
    }

    /// Waits until no tokens are under way.
    pub(crate) async fn settle(&self) -> Result<(), Error> {
        let settled = self.pipeline.auth.settle().await;
        settled.map_err(|error| self.token_error(NoToken::TokenError(Arc::new(error)), &SETTLE))
    }

    /// Begins no refresh in the background any more, and settles.
    pub(crate) async fn close(&self) -> Result<(), Error> {
        let closed = self.pipeline.auth.close().await;
        closed.map_err(|error| self.token_error(NoToken::TokenError(Arc::new(error)), &CLOSE))
    }

    /// Refuses a login of an application that is not this client's.
    #[cfg(feature = "fentu")]
    pub(crate) fn check_login(&self, client_id: &str, page: &Url) -> Result<(), Error> {
        let reason = match self.pipeline.auth.client_id() {
            None => "was built with a key, which no login replaces: build it with `Credentials::oauth_stored`",
            Some(own) if own != client_id => "was built for another application: build it with this one's credentials",
            Some(_) if self.base_url().origin() != page.origin() => {
                "sends its calls to another address than the application its token requests: give both the same base URL"
            }
            Some(_) => return Ok(()),
        };
        Err(Error::invalid_request(ADOPT_LOGIN.id(), "client", reason))
    }

    /// Begins a task in the background that may bring new tokens, which [`settle`](Self::settle) waits for.
    #[cfg(feature = "fentu")]
    pub(crate) fn begin_task(&self) -> Option<BackgroundTask> {
        self.pipeline.auth.begin_task()
    }

    /// Takes over the tokens of a new login.
    #[cfg(feature = "fentu")]
    pub(crate) async fn adopt_login(&self, tokens: TokenSet) -> Result<(), Error> {
        let adopted = self.pipeline.auth.adopt_login(tokens).await;
        self.clear_cache();
        match adopted {
            Some(adopted) => {
                adopted.map_err(|error| self.token_error(NoToken::TokenError(Arc::new(error)), &ADOPT_LOGIN))
            }
            None => {
                let reason = "were created by hand, so this client cannot take over the tokens of a login: build it with \
                              `Credentials::oauth_stored`";
                Err(Error::invalid_request(ADOPT_LOGIN.id(), "credentials", reason))
            }
        }
    }

    /// Revokes the tokens.
    pub(crate) async fn revoke(&self) -> Result<(), Error> {
        let revoked = self.pipeline.auth.revoke().await;
        self.clear_cache();
        match revoked {
            Some(outcome) => outcome.map_err(|error| self.token_error(NoToken::TokenError(error), &REVOKE)),
            None => {
                let reason = "were created by hand: revoke them where they were created";
                Err(Error::invalid_request(REVOKE.id(), "credentials", reason))
            }
        }
    }

    /// The error of a token request that belongs to no call; `operation` names it unless the request has its own.
    pub(crate) fn token_error(&self, error: NoToken, operation: &'static Operation) -> Error {
        let request = match &error {
            NoToken::TokenError(error) => error.request.as_ref(),
            _ => None,
        };
        let operation = request.map_or(operation, |request| request.operation);
        let url = request.map_or_else(|| self.pipeline.base_url.current(), |request| &request.url);
        let call = Self::call_without_request(operation, url);
        RetryContext::new(&self.pipeline, &call, &self.options).token_error(error)
    }

    /// What errors name if no call is involved.
    fn call_without_request(operation: &'static Operation, url: &Url) -> Call {
        let method = operation.method().clone();
        Call {
            operation,
            idempotent: true,
            is_keyed: false,
            is_conditional: false,
            method,
            url: url.clone(),
            body: None,
            is_download: false,
        }
    }

    /// The token endpoints of the vendor.
    pub(crate) fn endpoint(&self) -> Endpoint {
        let pipeline = &*self.pipeline;
        Endpoint {
            transport: TokenTransport::of(&pipeline.transport),
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
