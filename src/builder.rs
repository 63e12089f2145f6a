//! The builder of every vendor's client.
//!
//! The setters store into a [`ClientConfig`], which checks everything and makes the client in named steps.

mod address;
mod client_config;
mod http_client;
mod tenant_context;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::client_config::ClientConfig;
pub(crate) use self::http_client::HttpClientPool;
pub(crate) use self::tenant_context::{SharedResources, TenantContext};
use crate::auth::{AuthConfig, TokenStore};
use crate::client_inner::ClientInner;
use crate::error::Error;
use crate::limit::RateLimitPolicy;
use crate::observer::Observer;
use crate::options::option_docs;
use crate::priority::Priority;
use crate::response_cache::ResponseCache;
use crate::retry::RetryPolicy;
use crate::transport::{HttpClientFactory, HttpConfig, Transport};
use crate::vendor::Vendor;

/// Builds a vendor's client.
///
/// Required are the credentials, and where to send calls: a tenant or a base URL. Every option has a default, and
/// [`build`](Self::build) checks them all without sending anything.
///
/// # Runtimes
///
/// Calls run on the runtime that awaits them, and so do their connections, which later calls of the client reuse. A program with
/// several runtimes makes a client for each, or drives all of them for as long as the client is used. Token requests run on a
/// runtime of this crate's own, and so do the connections of blocking calls (feature `blocking`), which async calls can use too.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use servicebay::fixably;
///
/// let client = fixably::Client::builder(fixably::Credentials::bearer("token-from-the-settings-page"))
///     .with_tenant("acme")
///     .with_user_agent("acme-sync/2.1")
///     .with_max_wait(Duration::from_secs(600))
///     .build()?;
/// assert_eq!(client.base_url().as_str(), "https://acme.fixably.com/api/v3");
/// # Ok::<(), servicebay::Error>(())
/// ```
#[must_use = "call `build` to get a client"]
pub struct ClientBuilder<C> {
    auth: Result<AuthConfig, Error>,
    config: ClientConfig,
    wrap: Arc<WrapFn<C>>,
}

/// Puts the vendor's own type around a client.
type WrapFn<C> = dyn Fn(ClientInner) -> C + Send + Sync;

impl<C> ClientBuilder<C> {
    pub(crate) fn new(
        vendor: &'static Vendor,
        auth: Result<AuthConfig, Error>,
        wrap: impl Fn(ClientInner) -> C + Send + Sync + 'static,
    ) -> Self {
        Self { auth, config: ClientConfig::new(vendor), wrap: Arc::new(wrap) }
    }

    /// The tenant: the first label of its host name, such as `acme` in `acme.fixably.com`. Letters, digits and inner
    /// hyphens, at most 63; upper case becomes lower case.
    ///
    /// For a vendor whose tenants share one host (Fentu, Repairy), it is a name of your choice for the account, which keeps
    /// its tokens and its rate limit apart from those of your other accounts.
    pub fn with_tenant(mut self, tenant: impl Into<String>) -> Self {
        self.config.tenant = Some(tenant.into());
        self
    }

    /// A name of your choice for the user whose login this client uses, such as the user's id in your database. Default none.
    /// Any text but an empty one; case counts.
    ///
    /// Set it if several users of one tenant let the same application in, each with rights of their own: credentials such as
    /// [Fentu's `oauth`](crate::fentu::Credentials::oauth) name the application and not the user. The name is part of the key
    /// under which the [store](Self::with_token_store) keeps the tokens, so no client ever finds those of another user. All
    /// users of a tenant share its rate limit; without a tenant, each has one of its own.
    ///
    /// Where the credentials name the user, as a password does, the tokens are apart without it.
    pub fn with_account(mut self, account: impl Into<String>) -> Self {
        self.config.account = Some(account.into());
        self
    }

    /// The address to call, instead of the vendor's own: a mock server, or your own proxy. It must use https, or http to
    /// this machine. Repairy publishes no address, so its clients need this option.
    pub fn with_base_url(mut self, base_url: impl Into<String>) -> Self {
        self.config.base_url = Some(base_url.into());
        self
    }

    #[doc = option_docs!(attempt_timeout)]
    pub fn with_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.config.options = self.config.options.with_attempt_timeout(timeout);
        self
    }

    #[doc = option_docs!(operation_timeout)]
    pub fn with_operation_timeout(mut self, timeout: Duration) -> Self {
        self.config.options = self.config.options.with_operation_timeout(timeout);
        self
    }

    #[doc = option_docs!(max_wait)]
    pub fn with_max_wait(mut self, wait: Duration) -> Self {
        self.config.options = self.config.options.with_max_wait(wait);
        self
    }

    #[doc = option_docs!(retry)]
    pub fn with_retry(mut self, policy: RetryPolicy) -> Self {
        self.config.options = self.config.options.with_retry(policy);
        self
    }

    #[doc = option_docs!(max_body)]
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.config.options = self.config.options.with_max_body(bytes);
        self
    }

    /// How the client treats the tenant's rate limit. Default [`RateLimitPolicy::new`].
    pub fn with_rate_limit(mut self, policy: RateLimitPolicy) -> Self {
        self.config.rate_limit = policy;
        self
    }

    #[doc = option_docs!(priority)]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.config.options = self.config.options.with_priority(priority);
        self
    }

    #[doc = option_docs!(header)]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        self.config.options = self.config.options.with_header(name, value);
        self
    }

    /// The name and version of your program, such as `acme-sync/2.1`. It precedes this crate's in the `User-Agent` header, so
    /// that the vendor can recognize your requests. Default: this crate's alone.
    pub fn with_user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.config.user_agent = Some(user_agent.into());
        self
    }

    /// How the HTTP clients of this crate reach the vendor: through a proxy, with other certificates, from another address.
    /// Default [`HttpConfig::new`].
    ///
    /// It holds for the HTTP client that sends calls, and for the one that sends token requests, which is built when the first
    /// token is requested: calls run on your runtime, and token requests on one of this crate's own. [`HttpConfig`] says what
    /// no option changes.
    ///
    /// # Errors
    ///
    /// [`build`](Self::build) fails with [`Error::Config`] if an option is invalid.
    ///
    /// # Example
    ///
    /// ```
    /// use servicebay::{HttpConfig, fixably};
    ///
    /// let client = fixably::Client::builder(fixably::Credentials::bearer("token"))
    ///     .with_tenant("acme")
    ///     .with_http_config(HttpConfig::new().with_proxy("http://proxy.example:3128").with_pool_max_idle(4))
    ///     .build()?;
    /// # Ok::<(), servicebay::Error>(())
    /// ```
    pub fn with_http_config(mut self, config: HttpConfig) -> Self {
        self.config.http_clients = Some(HttpClientFactory::new(config));
        self
    }

    /// Where the tokens that the vendor grants are stored. Default: in the client's memory. Give all clients of one account
    /// the same store, and processes on one machine a [`FileStore`](crate::FileStore). Fixed tokens are not stored.
    ///
    /// A store separates the tokens of different clients by vendor, host, tenant and account. If the vendor's tenants share
    /// one host, set the tenant as well, with [`with_tenant`](Self::with_tenant), and if several users of a tenant log in,
    /// [`with_account`](Self::with_account).
    pub fn with_token_store(mut self, store: impl TokenStore) -> Self {
        self.config.store = Some(Arc::new(store));
        self
    }

    /// A cache of responses in memory. Default none: every read is a request.
    ///
    /// Clones of a cache share its memory, so give one to any number of clients; no client gets a response of another.
    /// [`ResponseCache`] says what is stored and for how long.
    pub fn with_cache(mut self, cache: ResponseCache) -> Self {
        self.config.cache = Some(cache);
        self
    }

    /// Whether tokens are refreshed in the background while they are still valid. Default `true`.
    ///
    /// With `false`, a call that finds the token in its last fifth waits for the refresh instead; if that fails, the call uses
    /// the token that is still valid. Choose it for a command, a cron job or a serverless function, which may end at any time: a
    /// refresh in the background would be cut off after the vendor replaced the refresh token. Such a program also calls
    /// [`close`](crate::fentu::Client::close) before it ends, or [`settle`](crate::fentu::Client::settle) before it is frozen.
    pub fn with_background_refresh(mut self, refreshes: bool) -> Self {
        self.config.refreshes_early = refreshes;
        self
    }

    /// An observer of calls, attempts, waits, rate-limit responses, token refreshes and retries, for metrics. Default none.
    /// For `tracing` spans and events, see [`observability`](crate::observability).
    pub fn with_observer(mut self, observer: impl Observer) -> Self {
        self.config.observer = Some(Arc::new(observer));
        self
    }

    /// What sends requests, in place of HTTP: middleware, a gateway, a recording, a mock server in memory. See [`Transport`].
    /// [`with_http_config`](Self::with_http_config) does not concern it. Default: HTTP.
    pub fn with_transport(mut self, transport: impl Transport) -> Self {
        self.config.transport = Some(Arc::new(transport));
        self
    }

    /// Makes the client one of many, with what they share unless this builder sets its own.
    pub(crate) fn for_tenant(mut self, context: TenantContext) -> Self {
        let config = &mut self.config;
        config.store.get_or_insert_with(|| Arc::clone(&context.shared.store));
        config.cache = config.cache.take().or_else(|| context.shared.cache.clone());
        config.tenant_context = Some(context);
        self
    }

    /// Checks every option and makes the client. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names the option that is wrong and says what to set instead.
    pub fn build(self) -> Result<C, Error> {
        self.assemble().map(|handle| handle.client())
    }

    /// Does what [`build`](Self::build) does, without the vendor's own type.
    pub(crate) fn assemble(self) -> Result<ClientHandle<C>, Error> {
        let inner = self.config.assemble(self.auth?)?;
        Ok(ClientHandle { inner, wrap: self.wrap })
    }
}

impl<C> fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("vendor", &self.config.vendor.name)
            .field("tenant", &self.config.tenant)
            .field("options", &self.config.options)
            .finish_non_exhaustive()
    }
}

/// A client, and how to put the vendor's own type around it.
pub(crate) struct ClientHandle<C> {
    pub(crate) inner: ClientInner,
    wrap: Arc<WrapFn<C>>,
}

impl<C> ClientHandle<C> {
    pub(crate) fn client(&self) -> C {
        (self.wrap)(self.inner.clone())
    }
}

impl<C> Clone for ClientHandle<C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), wrap: Arc::clone(&self.wrap) }
    }
}
