//! Makes a client: defaults, checks, assembly.

mod address;
mod pool;
mod tenancy;

#[cfg(feature = "testing")]
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, HeaderMap, HeaderValue, USER_AGENT};
use percent_encoding::utf8_percent_encode;

use self::pool::Kind;
pub(crate) use self::pool::Pool;
pub(crate) use self::tenancy::{Shared, Tenancy};
use crate::auth::{
    Auth, AuthConfig, AuthMethod, Endpoint, MemoryStore, PART, Setting, TokenCache, TokenKey, TokenStore,
};
use crate::base_url::BaseUrl;
use crate::client_inner::ClientInner;
use crate::clock::Clock;
use crate::error::Error;
use crate::limit::{RateLimitPolicy, Registry};
use crate::observer::Observer;
use crate::options::{CallOptions, ResolvedOptions};
use crate::pipeline::Pipeline;
use crate::priority::Priority;
use crate::retry::{RetryBudget, RetryPolicy};
use crate::telemetry::Telemetry;
use crate::transport::HttpClient;
use crate::vendor::Vendor;

const OWN_AGENT: &str = concat!("servicebay/", env!("CARGO_PKG_VERSION"));

/// Makes a vendor's client.
///
/// Nothing is mandatory but the credentials and where to call: a tenant or a base URL. Everything is checked in
/// [`build`](Self::build), which sends nothing.
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
#[must_use = "a client is made by `build`"]
pub struct ClientBuilder<C> {
    vendor: &'static Vendor,
    plan: Result<AuthConfig, Error>,
    wrap: Arc<dyn Fn(ClientInner) -> C + Send + Sync>,
    tenant: Option<String>,
    base_url: Option<String>,
    options: CallOptions,
    rate_limit: RateLimitPolicy,
    user_agent: Option<String>,
    http: Option<reqwest::Client>,
    store: Option<Arc<dyn TokenStore>>,
    tenancy: Option<Tenancy>,
    observer: Option<Arc<dyn Observer>>,
    #[cfg(feature = "testing")]
    wire: Option<Arc<dyn crate::transport::Transport>>,
}

impl<C> ClientBuilder<C> {
    pub(crate) fn new(
        vendor: &'static Vendor,
        plan: Result<AuthConfig, Error>,
        wrap: impl Fn(ClientInner) -> C + Send + Sync + 'static,
    ) -> Self {
        Self {
            vendor,
            plan,
            wrap: Arc::new(wrap),
            tenant: None,
            base_url: None,
            options: CallOptions::new(),
            rate_limit: RateLimitPolicy::new(),
            user_agent: None,
            http: None,
            store: None,
            tenancy: None,
            observer: None,
            #[cfg(feature = "testing")]
            wire: None,
        }
    }

    /// The tenant: the first part of its host name, such as `acme` of `acme.fixably.com`. Letters, digits and inner
    /// hyphens; upper case is lowered.
    pub fn with_tenant(self, tenant: impl Into<String>) -> Self {
        Self { tenant: Some(tenant.into()), ..self }
    }

    /// Where to call, instead of the address that follows from the tenant: a mock server, or a proxy of your own.
    /// https, or http to this machine.
    pub fn with_base_url(self, base_url: impl Into<String>) -> Self {
        Self { base_url: Some(base_url.into()), ..self }
    }

    /// The time one attempt may take, answer included. Default 30 s, of which connecting may take 10 s.
    pub fn with_attempt_timeout(self, timeout: Duration) -> Self {
        Self { options: self.options.with_attempt_timeout(timeout), ..self }
    }

    /// The time a whole call may take: waits, attempts and all. Default none.
    pub fn with_operation_timeout(self, deadline: Duration) -> Self {
        Self { options: self.options.with_operation_timeout(deadline), ..self }
    }

    /// The time a call may spend waiting: for a token, for the tenant's limit and between attempts together. Default
    /// 120 s; raise it to hours for a batch job. With zero a call is told at once, even that it has to wait for a login;
    /// that goes on, and a later call has its token.
    pub fn with_max_wait(self, wait: Duration) -> Self {
        Self { options: self.options.with_max_wait(wait), ..self }
    }

    /// When a call is repeated. Default [`RetryPolicy::new`].
    pub fn with_retry(self, policy: RetryPolicy) -> Self {
        Self { options: self.options.with_retry(policy), ..self }
    }

    /// The largest answer that is read, in bytes. Default 16 MiB; a larger one is [`Error::Decode`](crate::Error).
    pub fn with_max_body(self, bytes: usize) -> Self {
        Self { options: self.options.with_max_body(bytes), ..self }
    }

    /// How the client behaves towards the tenant's rate limit. Default [`RateLimitPolicy::new`].
    pub fn with_rate_limit(self, policy: RateLimitPolicy) -> Self {
        Self { rate_limit: policy, ..self }
    }

    /// How much the client's calls hurry where they wait for the tenant's limit. Default [`Priority::Normal`].
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { options: self.options.with_priority(priority), ..self }
    }

    /// The name and version of your program, which the vendor's logs then show before this crate's.
    pub fn with_user_agent(self, user_agent: impl Into<String>) -> Self {
        Self { user_agent: Some(user_agent.into()), ..self }
    }

    /// An HTTP client of your own: for a proxy, a certificate authority of your own, or one connection pool for many
    /// clients.
    ///
    /// Build it with `redirect(reqwest::redirect::Policy::none())` and `retry(reqwest::retry::never())`, as this
    /// crate does for its own: redirects could carry the token elsewhere, and hidden retries could book twice. Its
    /// connect timeout is yours to set.
    pub fn with_http_client(self, client: reqwest::Client) -> Self {
        Self { http: Some(client), ..self }
    }

    /// Where tokens that a vendor grants are kept. Default: in the memory of the client. Give clients of one account the
    /// same store, and processes on one machine a [`FileStore`](crate::FileStore); tokens made by hand need none.
    ///
    /// A store holds the tokens of many clients apart by the vendor, its host, the tenant and the account. Where a
    /// vendor's tenants share one host, name the tenant too, with [`with_tenant`](Self::with_tenant).
    pub fn with_token_store(self, store: impl TokenStore) -> Self {
        Self { store: Some(Arc::new(store)), ..self }
    }

    /// Who is told of calls, attempts, waits, refusals, refreshes and retries as they happen: for metrics. Default nobody.
    /// What is told to `tracing` stands in [`observability`](crate::observability).
    pub fn with_observer(self, observer: impl Observer) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// A vendor without sockets, for simulations on a paused clock.
    #[cfg(feature = "testing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    pub fn with_transport(self, wire: impl crate::transport::Transport) -> Self {
        Self { wire: Some(Arc::new(wire)), ..self }
    }

    /// A client among those of many tenants.
    pub(crate) fn among(self, tenancy: Tenancy) -> Self {
        let http = self.http.or_else(|| tenancy.shared.http.clone());
        let store = self.store.or_else(|| Some(Arc::clone(&tenancy.shared.store)));
        Self { http, store, tenancy: Some(tenancy), ..self }
    }

    /// Checks everything and makes the client. Sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] names the option that cannot work, and what would.
    pub fn build(self) -> Result<C, Error> {
        self.assemble().map(|assembled| assembled.client())
    }

    /// Does what [`build`](Self::build) does, up to the vendor's own type around it.
    pub(crate) fn assemble(self) -> Result<Assembled<C>, Error> {
        let AuthConfig { method, account, headers: extra } = self.plan?;
        let key = self.tenancy.as_ref().map(|tenancy| &*tenancy.key);
        let tenant = match (self.tenant, key) {
            (Some(tenant), _) => Some(address::label(tenant)?),
            (None, Some(key)) if self.vendor.has_tenant_hosts() && self.base_url.is_none() => {
                Some(address::label_of_key(key)?)
            }
            (None, _) => None,
        };
        // One of many is known by its key, which is nobody else's; its name may be.
        let whose = key.or(tenant.as_deref()).map(|whose| utf8_percent_encode(whose, PART).to_string());
        let base_url = match (&self.base_url, &tenant) {
            (Some(base_url), _) => address::base(base_url)?,
            (None, _) if self.vendor.base_url.is_empty() => {
                return Err(Error::config(
                    "base_url",
                    "is missing: the vendor hands it out with the credentials; set it with .with_base_url(..)",
                ));
            }
            (None, Some(tenant)) => address::base(&self.vendor.base_url.replace("{tenant}", tenant))?,
            (None, None) if self.vendor.has_tenant_hosts() => {
                return Err(Error::config(
                    "tenant",
                    "is missing: name the tenant with .with_tenant(..), or a base URL",
                ));
            }
            (None, None) => address::base(self.vendor.base_url)?,
        };

        let settings = ResolvedOptions::default().overridden_by(self.options);
        let user_agent: Arc<str> = match self.user_agent {
            Some(own) => format!("{own} {OWN_AGENT}").into(),
            None => OWN_AGENT.into(),
        };
        let mut headers = HeaderMap::with_capacity(4);
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let agent = HeaderValue::from_str(&user_agent)
            .map_err(|_| Error::config("user_agent", "can hold visible ASCII characters and spaces only"))?;
        headers.insert(USER_AGENT, agent);

        headers.extend(extra);
        // As a list, a tenth of the size; each request makes a map of its own anyway.
        let headers: Arc<[_]> = headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect();

        // Where each tenant has a host of its own the address names it; elsewhere its name and its credentials do.
        let address = match self.vendor.has_tenant_hosts() {
            true => base_url.to_string(),
            false => format!("{base_url} for {} as {account}", whose.as_deref().unwrap_or_default()),
        };
        let http = || match (self.http, &self.tenancy) {
            (Some(own), _) => Ok(own),
            (None, Some(tenancy)) => tenancy.shared.pool.client(Kind::of(&base_url, settings.attempt_timeout)?),
            (None, None) => Kind::of(&base_url, settings.attempt_timeout)?.client(),
        };
        #[cfg(feature = "testing")]
        let (transport, clock, address, owner) = match self.wire {
            Some(wire) => {
                let clock = wire.wall_clock().map_or_else(|| Clock::anchored(wire.wall()), Clock::Anchored);
                let address = format!("{address} over {}", wire.identity());
                let owner: Box<dyn Any + Send + Sync> = Box::new(Arc::clone(&wire));
                (HttpClient::Custom(wire), clock, address, Some(owner))
            }
            None => (HttpClient::Reqwest(http()?), Clock::System, address, None),
        };
        #[cfg(not(feature = "testing"))]
        let (transport, clock, owner) = (HttpClient::Reqwest(http()?), Clock::System, None);

        let base = Arc::new(BaseUrl::new(base_url, self.vendor.base_paths));
        let name: Option<Arc<str>> = tenant.as_deref().or(key).map(Into::into);
        let telemetry = Telemetry::new(self.vendor, name.clone(), self.observer, clock);
        let auth = match method {
            AuthMethod::StaticToken(fixed) => Auth::StaticToken(fixed),
            AuthMethod::Granted { grant, tokens } => {
                let endpoint = Endpoint {
                    transport: transport.clone(),
                    clock,
                    base: Arc::clone(&base),
                    headers: Arc::clone(&headers),
                    telemetry: telemetry.clone(),
                };
                let key = token_key(self.vendor, &base, whose.as_deref(), &account);
                if self.store.is_some() && whose.is_none() && !self.vendor.has_tenant_hosts() && grant.login().is_none()
                {
                    return Err(Error::config(
                        "token_store",
                        "keeps the tokens of many accounts: name this one with .with_tenant(..), so that no other gets them",
                    ));
                }
                let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::new()));
                Auth::Granted(Arc::new(TokenCache::new(Setting { grant, store, key, endpoint }, tokens)))
            }
        };

        let pipeline = Pipeline {
            vendor: self.vendor,
            tenant: name,
            base_url: base,
            user_agent,
            headers,
            auth,
            rate_limiter: Registry::global().budget(self.vendor, address, owner, clock),
            rate_limit_policy: self.rate_limit,
            retry_budget: RetryBudget::new(),
            transport,
            clock,
            telemetry,
        };
        Ok(Assembled { inner: ClientInner::new(pipeline, settings), wrap: self.wrap })
    }
}

/// All of a client but its vendor's own type.
pub(crate) struct Assembled<C> {
    pub(crate) inner: ClientInner,
    wrap: Arc<dyn Fn(ClientInner) -> C + Send + Sync>,
}

impl<C> Assembled<C> {
    pub(crate) fn client(&self) -> C {
        (self.wrap)(self.inner.clone())
    }
}

impl<C> Clone for Assembled<C> {
    fn clone(&self) -> Self {
        Self { inner: self.inner.clone(), wrap: Arc::clone(&self.wrap) }
    }
}

impl<C> fmt::Debug for ClientBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("vendor", &self.vendor.name)
            .field("tenant", &self.tenant)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The name that tokens are stored under: nobody else's may be found there. `whose` is a part already.
fn token_key(vendor: &Vendor, base: &BaseUrl, whose: Option<&str>, account: &str) -> TokenKey {
    // With port and path: behind one host there may be more than one vendor's, or more than one club's.
    let root = base.root();
    let place = format!("{}{}", root.authority(), root.path().trim_end_matches('/'));
    let place = utf8_percent_encode(&place, PART);
    TokenKey::new(match whose {
        Some(whose) => format!("{}/{place}/{whose}/{account}", vendor.name),
        None => format!("{}/{place}/{account}", vendor.name),
    })
}
