//! One client for each of many tenants, made when it is first needed.

mod client_cache;
mod pending_client;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;

use self::client_cache::ClientCache;
use self::pending_client::{ConnectFn, TenantsInner};
use crate::auth::{DynTokenStore, MemoryStore, TokenStore};
use crate::builder::{ClientBuilder, HttpClientPool, SharedResources};
use crate::clock::Clock;
use crate::error::Error;
use crate::response_cache::ResponseCache;
use crate::transport::{HttpClientFactory, HttpConfig};

/// The default capacity: at a few kilobytes for each client, what a small machine can spare.
const CAPACITY: usize = 10_000;
/// The default idle time. Access tokens of most vendors expire after an hour, so an older client would have to refresh
/// anyway.
const IDLE_TIME: Duration = Duration::from_secs(3600);

/// The clients of many tenants of one vendor, for programs that serve them all. Cheap to clone; clones share the clients.
///
/// Each client is made when it is first requested, by a closure that returns the builder for a tenant's key, with
/// credentials from wherever you keep them. The closure runs once per tenant, however many callers request the client at
/// the same time, and again only after the client was dropped. A caller that gives up leaves the work to the others. If it
/// fails, all waiting callers get the error, and the next call tries again.
///
/// # Isolation
///
/// Tokens, credentials, rate limits and retries of one tenant never affect another. All tenants share one connection pool.
///
/// In the token store, a tenant's tokens are stored under its key, whatever name the builder sets; a client made without
/// `Tenants` finds them if its `with_tenant` is the key. If the builder sets no tenant, the key stands for it: in errors,
/// in the rate limiter of vendors whose tenants share one host, and in the host name of the others. Keys are
/// case-sensitive: `Acme` and `acme` are two tenants. Host names are not, so a key is used as a host name only if it is one
/// in lower case; for any other key, set the tenant in the builder.
///
/// # Eviction
///
/// A client is dropped after an hour without a request for it, or when there are more than 10,000 and it is the least
/// recently requested. [`TenantsBuilder`] sets both. A client stays as long as a clone of it exists, so that no tenant ever
/// has two clients, and as long as it has tokens that are not stored yet; such clients may exceed the capacity. Eviction
/// happens when a client is requested or [counted](Self::len); there is no background task.
///
/// Tokens outlive the client in the token store, which is one [`MemoryStore`] for all tenants unless you
/// set another. The next client of the tenant continues with them: of the tokens in the store and those that your closure
/// passes in, the client uses the newer ones. Tokens in a `MemoryStore` end with the process; to keep them, use a
/// [`FileStore`](crate::FileStore) or your own store.
///
/// # Example
///
/// ```
/// use servicebay::{Tenants, fixably};
///
/// # struct Vault;
/// # impl Vault { async fn token(&self, _: &str) -> Result<String, std::io::Error> { Ok("token".to_owned()) } }
/// # static VAULT: Vault = Vault;
/// async fn connect(key: String) -> Result<servicebay::ClientBuilder<fixably::Client>, std::io::Error> {
///     let token = VAULT.token(&key).await?;
///     Ok(fixably::Client::builder(fixably::Credentials::bearer(token)))
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// let tenants = Tenants::builder(connect).with_capacity(500).build();
/// let client = tenants.get("acme").await?;
/// assert_eq!(client.base_url().as_str(), "https://acme.fixably.com/api/v3");
/// # Ok(()) }
/// ```
pub struct Tenants<C>(Arc<TenantsInner<C>>);

impl<C: 'static> Tenants<C> {
    /// A builder for tenants whose clients are made by `connect`. It receives the key of the requested tenant and returns the
    /// builder of its client.
    ///
    /// An error of `connect`, of any type, becomes the source of a [`TenantError`](crate::TenantError). `connect` may request
    /// the clients of other tenants, but not the one that it is making: it would wait for itself, and with it all callers for
    /// that tenant, until the tenant is [removed](Self::remove).
    ///
    /// An HTTP configuration, a token store or a cache that the returned builder sets is used by that tenant alone.
    pub fn builder<M, E>(connect: impl Fn(String) -> M + Send + Sync + 'static) -> TenantsBuilder<C>
    where
        M: Future<Output = Result<ClientBuilder<C>, E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        TenantsBuilder::new(Box::new(move |key| {
            let connecting = connect(key);
            Box::pin(async { connecting.await.map_err(Into::into) })
        }))
    }

    /// The client of a tenant, made first if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Tenant`] if the closure failed or panicked, or if its builder could not be built. Nothing was sent.
    pub async fn get(&self, key: &str) -> Result<C, Error> {
        let (client, evicted) = {
            let mut state = self.0.state();
            let cached = state.cache.get(key, Clock::System.now()).cloned();
            let evicted = state.evict();
            (cached.ok_or_else(|| self.0.join_pending(&mut state, key)), evicted)
        };
        drop(evicted);
        let client = match client {
            Ok(client) => client,
            Err(pending) => pending.await?,
        };
        Ok(client.client())
    }

    /// Does what [`get`](Self::get) does, and blocks this thread until it is done. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn get_blocking(&self, key: &str) -> Result<C, Error> {
        crate::blocking::block_on("get", "get", self.get(key))
    }

    /// Forgets the client of a tenant, for example because its credentials changed, and returns whether there was one. The
    /// next request for the tenant makes a new client; clones of the old one stay usable.
    ///
    /// The tokens in the store stay, and the new client continues with them unless the closure passes in newer ones. To end
    /// the login as well, because the key will be another account's, call `revoke()` on the client first.
    pub fn remove(&self, key: &str) -> bool {
        let mut state = self.0.state();
        let was_pending = state.forget_pending(key);
        let removed = state.cache.remove(key);
        drop(state);
        was_pending || removed.is_some()
    }

    /// Ends the use of all clients: [closes](crate::fentu::Client::close) each, so that no tokens are under way when the process
    /// ends. Call it when the server has served its last request. It returns when the last client is closed, and closes all
    /// even if one fails.
    ///
    /// # Errors
    ///
    /// [`Error::Store`] of the first client that could not store its tokens.
    pub async fn close(&self) -> Result<(), Error> {
        let clients = self.0.state().cache.values();
        let closing = clients.iter().map(|client| client.inner.close()).collect::<FuturesUnordered<_>>();
        closing.fold(Ok(()), async |closed: Result<(), Error>, next| closed.and(next)).await
    }

    /// Does what [`close`](Self::close) does, and blocks this thread until it is done. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`close`](Self::close); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn close_blocking(&self) -> Result<(), Error> {
        crate::blocking::block_on("close", "close", self.close())
    }

    /// The number of clients, after evicting those that are due.
    pub fn len(&self) -> usize {
        let (count, evicted) = {
            let mut state = self.0.state();
            let evicted = state.evict();
            (state.cache.len(), evicted)
        };
        drop(evicted);
        count
    }

    /// Whether there are no clients, after evicting those that are due.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<C> Clone for Tenants<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Tenants<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clients = self.0.state().cache.len();
        f.debug_struct("Tenants").field("clients", &clients).finish_non_exhaustive()
    }
}

/// Builds [`Tenants`].
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use servicebay::{Error, FileStore, Tenants, repairy};
///
/// # let folder = std::env::temp_dir().join(format!("servicebay-tenants-{}", std::process::id()));
/// let tenants = Tenants::builder(|partner: String| async move {
///     let credentials = repairy::Credentials::app("app key", "app secret", partner);
///     Ok::<_, Error>(repairy::Client::builder(credentials).with_base_url("https://partner-api.example"))
/// })
/// .with_idle_time(Duration::from_secs(600))
/// .with_token_store(FileStore::new(&folder)?)
/// .build();
/// assert!(tenants.is_empty());
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "call `build` to get the tenants"]
pub struct TenantsBuilder<C> {
    connect: ConnectFn<C>,
    capacity: usize,
    idle_time: Duration,
    http_clients: Arc<HttpClientFactory>,
    store: Option<Arc<dyn DynTokenStore>>,
    cache: Option<ResponseCache>,
}

impl<C> TenantsBuilder<C> {
    fn new(connect: ConnectFn<C>) -> Self {
        let http_clients = HttpClientFactory::shared_default();
        Self { connect, capacity: CAPACITY, idle_time: IDLE_TIME, http_clients, store: None, cache: None }
    }

    /// The most clients that are kept while no clone of them exists. Default 10,000; 0 keeps none. A client takes a few
    /// kilobytes of memory.
    pub fn with_capacity(mut self, clients: usize) -> Self {
        self.capacity = clients;
        self
    }

    /// How long a client is kept after the last request for it, while no clone of it exists. Default one hour. Raise it if
    /// making a client is expensive, for example because your closure reads a slow vault.
    pub fn with_idle_time(mut self, time: Duration) -> Self {
        self.idle_time = time;
        self
    }

    /// How the HTTP clients of all tenants reach the vendor. Default [`HttpConfig::new`].
    ///
    /// All tenants share one HTTP client for calls, which is built for the first tenant, and one for token requests. There is
    /// another for tenants whose attempt timeout is too short for a connect timeout of 10 s. If an option is invalid,
    /// [`Tenants::get`] fails.
    pub fn with_http_config(mut self, config: HttpConfig) -> Self {
        self.http_clients = HttpClientFactory::new(config);
        self
    }

    /// The token store of all tenants. Default: in the memory of this process.
    pub fn with_token_store(mut self, store: impl TokenStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// A cache of the responses of all tenants, which share its memory and no response. Default none. A tenant that is evicted
    /// leaves nothing in it.
    pub fn with_cache(mut self, cache: ResponseCache) -> Self {
        self.cache = Some(cache);
        self
    }

    /// Makes the tenants. There are no clients yet, and nothing is sent.
    pub fn build(self) -> Tenants<C> {
        let shared = SharedResources {
            http_clients: HttpClientPool::new(self.http_clients),
            store: self.store.unwrap_or_else(|| Arc::new(MemoryStore::new())),
            cache: self.cache,
        };
        let cache = ClientCache::new(self.capacity, self.idle_time);
        Tenants(Arc::new(TenantsInner::new(self.connect, shared, cache)))
    }
}

impl<C> fmt::Debug for TenantsBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantsBuilder")
            .field("capacity", &self.capacity)
            .field("idle_time", &self.idle_time)
            .finish_non_exhaustive()
    }
}
