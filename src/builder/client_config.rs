//! The options of a client, and the steps that turn them into one.

use std::sync::Arc;

use http::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use percent_encoding::utf8_percent_encode;
use url::Url;

use super::address;
use super::http_client::HttpClientNeeds;
use super::tenant_context::TenantContext;
use crate::auth::{
    Auth, AuthConfig, AuthMethod, DynTokenStore, Endpoint, MemoryStore, PART, Setting, TokenCache, TokenKey,
    TokenTransport,
};
use crate::base_url::BaseUrl;
use crate::client_inner::ClientInner;
use crate::clock::Clock;
#[cfg(feature = "testing")]
use crate::clock::WallClock;
use crate::error::Error;
use crate::limit::{RateLimitPolicy, RateLimiter, Registry};
use crate::observer::Observer;
use crate::options::{CallOptions, ResolvedOptions};
use crate::pipeline::Pipeline;
use crate::response_cache::{CacheHandle, ResponseCache};
use crate::retry::RetryBudget;
use crate::telemetry::Telemetry;
use crate::transport::{HttpClient, HttpClientFactory, Spawner, Transport};
use crate::vendor::Vendor;

const OWN_USER_AGENT: &str = concat!("servicebay/", env!("CARGO_PKG_VERSION"));

/// Everything that can be set for a client, except its credentials.
pub(super) struct ClientConfig {
    pub(super) vendor: &'static Vendor,
    pub(super) tenant: Option<String>,
    pub(super) account: Option<String>,
    pub(super) base_url: Option<String>,
    pub(super) options: CallOptions,
    pub(super) rate_limit: RateLimitPolicy,
    pub(super) user_agent: Option<String>,
    pub(super) http_clients: Option<Arc<HttpClientFactory>>,
    pub(super) refreshes_early: bool,
    pub(super) store: Option<Arc<dyn DynTokenStore>>,
    pub(super) cache: Option<ResponseCache>,
    pub(super) tenant_context: Option<TenantContext>,
    pub(super) observer: Option<Arc<dyn Observer>>,
    pub(super) transport: Option<Arc<dyn Transport>>,
}

impl ClientConfig {
    pub(super) fn new(vendor: &'static Vendor) -> Self {
        Self {
            vendor,
            tenant: None,
            account: None,
            base_url: None,
            options: CallOptions::new(),
            rate_limit: RateLimitPolicy::new(),
            user_agent: None,
            http_clients: None,
            refreshes_early: true,
            store: None,
            cache: None,
            tenant_context: None,
            observer: None,
            transport: None,
        }
    }

    /// Checks every option and makes the client.
    pub(super) fn assemble(self, plan: AuthConfig) -> Result<ClientInner, Error> {
        let AuthConfig { method, account, headers: auth_headers, client_name } = plan;
        let tenant = self.tenant_label()?;
        let base_url = self.base_url(tenant.as_deref())?;
        let owner = self.owner(tenant.as_deref());
        let user = self.user()?;
        let settings = ResolvedOptions::default().overridden_by(self.options.clone());
        let user_agent = self.user_agent();
        let headers = headers(&user_agent, auth_headers)?;
        if let Some(invalid) = settings.headers.as_ref().and_then(|added| added.error(&headers)) {
            return Err(Error::config("header", format!("{} {}", invalid.name, invalid.reason)));
        }
        let (transport, clock) = self.transport(&base_url, &settings)?;
        let response_cache = self.response_cache(&base_url, owner.as_deref(), clock);
        let limiter_id = self.limiter_id(&base_url, owner.as_deref(), user.as_deref(), &account);
        let name: Option<Arc<str>> = tenant.as_deref().or_else(|| self.tenant_key()).map(Into::into);
        let base = Arc::new(BaseUrl::new(base_url, self.vendor.base_paths));
        let telemetry = Telemetry::new(self.vendor, name.clone(), self.observer.clone(), clock);
        let endpoint = Endpoint {
            transport: TokenTransport::of(&transport),
            clock,
            base: Arc::clone(&base),
            headers: Arc::clone(&headers),
            telemetry: telemetry.clone(),
        };
        let key = token_key(self.vendor, &base, owner.as_deref(), &account, user.as_deref());
        let is_named = owner.is_some() || user.is_some();
        let auth = self.auth(method, key, is_named, endpoint)?;
        let limiter = self.rate_limiter(limiter_id, clock);

        let pipeline = Pipeline {
            vendor: self.vendor,
            tenant: name,
            base_url: base,
            user_agent,
            client_name,
            headers,
            auth,
            rate_limiter: limiter,
            rate_limit_policy: self.rate_limit,
            retry_budget: RetryBudget::new(),
            response_cache,
            transport,
            clock,
            telemetry,
        };
        Ok(ClientInner::new(pipeline, settings))
    }

    /// The tenant's name as it appears in its host name. For one of many tenants of a vendor with a host for each, the key
    /// stands for a missing name.
    fn tenant_label(&self) -> Result<Option<String>, Error> {
        match (&self.tenant, self.tenant_key()) {
            (Some(tenant), _) => address::tenant_label(tenant, self.vendor).map(Some),
            (None, Some(key)) if self.vendor.has_tenant_hosts() && self.base_url.is_none() => {
                address::tenant_label_of_key(key, self.vendor).map(Some)
            }
            (None, _) => Ok(None),
        }
    }

    /// The address that calls go to: the one that was set, or else the vendor's own.
    fn base_url(&self, tenant: Option<&str>) -> Result<Url, Error> {
        let vendor = self.vendor;
        if let Some(base_url) = &self.base_url {
            return address::base_url(base_url, vendor);
        }
        match tenant {
            _ if vendor.base_url.is_empty() => Err(Error::config(
                "base_url",
                format!(
                    "is missing: {} hands out the address with your credentials; set it with .with_base_url(..)",
                    vendor.name
                ),
            )),
            None if vendor.has_tenant_hosts() => {
                let address = vendor.base_url.replace("{tenant}", "acme");
                let reason = format!(
                    "is missing: set it with .with_tenant(\"acme\") if your address is `{address}`, or set the whole \
                     address with .with_base_url(..)"
                );
                Err(Error::config("tenant", reason))
            }
            tenant => address::base_url(&vendor.base_url.replace("{tenant}", tenant.unwrap_or_default()), vendor),
        }
    }

    /// Identifies the tenant in names of tokens and rate limiters, escaped. For one of many tenants it is the key, which
    /// no other tenant has; names may repeat.
    fn owner(&self, tenant: Option<&str>) -> Option<String> {
        self.tenant_key().or(tenant).map(|owner| utf8_percent_encode(owner, PART).to_string())
    }

    fn tenant_key(&self) -> Option<&str> {
        self.tenant_context.as_ref().map(|context| &*context.key)
    }

    /// The name of the user's program in front of this crate's.
    fn user_agent(&self) -> Arc<str> {
        match &self.user_agent {
            Some(program) => format!("{program} {OWN_USER_AGENT}").into(),
            None => OWN_USER_AGENT.into(),
        }
    }

    /// The user's name for the account, escaped.
    fn user(&self) -> Result<Option<String>, Error> {
        match self.account.as_deref() {
            Some("") => {
                Err(Error::config("account", "is empty: give a name of your choice for the user who logged in"))
            }
            account => Ok(account.map(|account| utf8_percent_encode(account, PART).to_string())),
        }
    }

    /// How requests are sent, and the clock that belongs to it: the user's transport and the clock of its simulation, an HTTP
    /// client with a configuration of its own, the one that many tenants share, or a new one.
    fn transport(&self, base_url: &Url, settings: &ResolvedOptions) -> Result<(HttpClient, Clock), Error> {
        if let Some(transport) = &self.transport {
            if self.http_clients.is_some() {
                let reason = "does not concern a transport of your own: configure that, or pass `HttpTransport::with_config` to it";
                return Err(Error::config("http_config", reason));
            }
            #[cfg(feature = "testing")]
            let clock = transport.environment().map_or(Clock::System, |environment| {
                Clock::Anchored(environment.wall_clock().unwrap_or_else(|| WallClock::steady(environment.wall())))
            });
            #[cfg(not(feature = "testing"))]
            let clock = Clock::System;
            return Ok((HttpClient::Custom(Arc::clone(transport)), clock));
        }
        let needs = HttpClientNeeds::new(base_url, settings.attempt_timeout)?;
        let client = match (&self.http_clients, &self.tenant_context) {
            (Some(factory), _) => needs.build(factory)?,
            (None, Some(context)) => context.shared.http_clients.get(needs)?,
            (None, None) => needs.build(&HttpClientFactory::shared_default())?,
        };
        Ok((client, Clock::System))
    }

    /// Identifies the tenant's rate limiter: by the address if every tenant has its own host, and by its name and its
    /// credentials if not. The users of a tenant share its limit; without a tenant, each may belong to another one.
    fn limiter_id(&self, base_url: &Url, owner: Option<&str>, user: Option<&str>, account: &str) -> String {
        match (owner, user) {
            _ if self.vendor.has_tenant_hosts() => base_url.to_string(),
            (None, Some(user)) => format!("{base_url} for  as {account} of {user}"),
            (owner, _) => format!("{base_url} for {} as {account}", owner.unwrap_or_default()),
        }
    }

    /// The part of the client in the cache. The writes of all clients of the tenant outdate its responses; without a tenant, each
    /// client may belong to any.
    fn response_cache(&self, base_url: &Url, owner: Option<&str>, clock: Clock) -> Option<CacheHandle> {
        let tenant = match owner {
            Some(owner) if !self.vendor.has_tenant_hosts() => format!("{base_url} for {owner}"),
            _ => base_url.to_string(),
        };
        Some(CacheHandle::new(self.cache.clone()?, tenant.into(), self.vendor.reference_data, clock))
    }

    /// The rate limiter of the tenant, which all its clients in the process share.
    fn rate_limiter(&self, id: String, clock: Clock) -> Arc<RateLimiter> {
        #[cfg(feature = "testing")]
        let (id, spawner) = match &self.transport {
            // The identity of a simulated server is unique only as long as it lives, so the limiter holds it.
            Some(transport) => match (transport.environment(), Spawner::of(transport)) {
                (Some(environment), Some(spawner)) => (format!("{id} over {}", environment.identity()), spawner),
                _ => (id, Spawner::Limits),
            },
            None => (id, Spawner::Limits),
        };
        #[cfg(not(feature = "testing"))]
        let spawner = Spawner::Limits;
        Registry::global().limiter(self.vendor, id, spawner, clock)
    }

    /// Authentication: a fixed token, or a cache of tokens that the vendor grants.
    fn auth(&self, method: AuthMethod, key: TokenKey, is_named: bool, endpoint: Endpoint) -> Result<Auth, Error> {
        let (grant, tokens) = match method {
            AuthMethod::StaticToken(token) => return Ok(Auth::StaticToken(token)),
            AuthMethod::Granted { grant, tokens } => (grant, tokens),
        };
        if self.store.is_some() && !is_named && !self.vendor.has_tenant_hosts() && grant.login().is_none() {
            return Err(Error::config(
                "token_store",
                "holds the tokens of many accounts: name this one with .with_tenant(..), and the user with \
                 .with_account(..) if several users of a tenant log in, so that it gets only its own",
            ));
        }
        let store = self.store.clone().unwrap_or_else(|| Arc::new(MemoryStore::new()));
        Ok(Auth::Granted(Arc::new(TokenCache::new(
            Setting { grant, store, key, endpoint, refreshes_early: self.refreshes_early },
            tokens,
        ))))
    }
}

/// The headers that every request carries. As a list they take a tenth of the memory of a map, and each request makes its
/// own map anyway.
fn headers(user_agent: &str, auth_headers: HeaderMap) -> Result<Arc<[(HeaderName, HeaderValue)]>, Error> {
    let user_agent = HeaderValue::from_str(user_agent)
        .map_err(|_| Error::config("user_agent", "must contain only visible ASCII characters and spaces"))?;
    let mut headers = HeaderMap::with_capacity(4);
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(USER_AGENT, user_agent);
    headers.extend(auth_headers);
    Ok(headers.iter().map(|(name, value)| (name.clone(), value.clone())).collect())
}

/// The name under which tokens are stored. No other account's tokens may be found under it.
fn token_key(vendor: &Vendor, base: &BaseUrl, owner: Option<&str>, account: &str, user: Option<&str>) -> TokenKey {
    // With port and path, because one host may serve more than one vendor or tenant.
    let root = base.root();
    let location = format!("{}{}", root.authority(), root.path().trim_end_matches('/'));
    let location = utf8_percent_encode(&location, PART);
    let mut key = match owner {
        Some(owner) => format!("{}/{location}/{owner}/{account}", vendor.name),
        None => format!("{}/{location}/{account}", vendor.name),
    };
    if let Some(user) = user {
        // Spaces in all other parts are escaped, so no key without a user looks like this.
        key.push_str(" of ");
        key.push_str(user);
    }
    TokenKey::new(key)
}
