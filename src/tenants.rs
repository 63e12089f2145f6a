//! One client for each of many tenants, made on demand.

mod builder;
mod shelf;

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use futures_util::future::{Shared as SharedFuture, WeakShared};

pub use self::builder::TenantsBuilder;
use self::shelf::Shelf;
use crate::builder::{Assembled, ClientBuilder, Shared, Tenancy};
use crate::clock::Clock;
use crate::error::{Error, TenantError};

/// The clients of many tenants of one vendor, for programs that serve them all: each is made when it is first asked
/// for, and they share one connection pool. Cheap to clone; clones are the same.
///
/// A closure of yours makes the builder of a tenant's client from the tenant's key, with credentials from wherever you
/// keep them. It runs once for each tenant, however many ask at the same time, and again only after the client was
/// dropped. Whoever gives up waiting leaves the making to the others; where it fails, all who waited get the error, and
/// who asks next has it tried anew.
///
/// # What one tenant has for itself
///
/// Tokens, credentials, limits and retries of one tenant never touch another's. Tokens lie under the tenant's key in
/// the store, whatever name the builder gives; a client that was made without `Tenants` finds them there if its
/// `with_tenant` is the key. Where the builder names no tenant, its key stands for it: in errors, in the budget of
/// vendors whose tenants share one host, and in the host of the others. Keys are compared exactly: `Acme` and `acme`
/// are two tenants. Host names are not, so that a key which is no host name as it stands, all in lower case, is not
/// made one: name the tenant in the builder.
///
/// # What is kept, and for how long
///
/// A client is dropped when nobody has asked for it for an hour, or when there are more than 10,000 and it was asked
/// for least recently; [`TenantsBuilder`] sets both. It stays as long as anybody holds a clone of it, so that there are
/// never two clients of one tenant, and as long as tokens of it are not stored yet. Clients that are in use thus come
/// on top of the capacity. What is due is dropped when a client is asked for or [counted](Self::len); no task runs for
/// it.
///
/// Tokens outlive the client: they are in the store, which is one [`MemoryStore`](crate::MemoryStore) for all tenants
/// unless you set another, and the client that is made next goes on with them. Of the tokens that your closure hands in
/// and those in the store, those obtained later are used, as with any client. What a tenant's tokens take in memory,
/// some hundred bytes, stays. A process that ends takes them with it: give one that runs again a
/// [`FileStore`](crate::FileStore), or one of your own.
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
pub struct Tenants<C>(Arc<Inside<C>>);

struct Inside<C> {
    connect: Connect<C>,
    shared: Arc<Shared>,
    state: Mutex<State<C>>,
}

type Connect<C> = Box<dyn Fn(String) -> BoxFuture<'static, Result<ClientBuilder<C>, Reason>> + Send + Sync>;
type Reason = Box<dyn StdError + Send + Sync>;

struct State<C> {
    shelf: Shelf<Assembled<C>>,
    /// Clients that are being made. Those who wait own the future that makes one, so that it ends with the last of
    /// them.
    flights: HashMap<Arc<str>, (u64, WeakShared<Made<C>>)>,
    /// The number of the next flight.
    next: u64,
}

type Made<C> = BoxFuture<'static, Result<Assembled<C>, TenantError>>;

impl<C: 'static> Tenants<C> {
    /// Begins a set of clients that `connect` makes the builders for. It is given the key that a client was asked for
    /// by; its error, of any type, becomes the source of a [`TenantError`]. It may ask for the clients of other tenants,
    /// and never for the one that it is making: it would wait for itself, and so would all who ask for that tenant until
    /// it is [removed](Self::remove).
    ///
    /// What the builder sets itself counts: an HTTP client or a token store of its own is that tenant's alone.
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

    /// The client of a tenant, made if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Tenant`]: the closure failed or panicked, or its builder cannot be built. Nothing was sent.
    pub async fn get(&self, key: &str) -> Result<C, Error> {
        let (found, dropped) = {
            let mut state = self.0.state();
            let found = state.shelf.get(key, Clock::System.now()).cloned();
            let dropped = state.sweep();
            (found.ok_or_else(|| self.flight(&mut state, key)), dropped)
        };
        // Outside the lock: a client takes with it what the user gave it.
        drop(dropped);
        let assembled = match found {
            Ok(assembled) => assembled,
            Err(flight) => flight.await?,
        };
        Ok(assembled.client())
    }

    /// Forgets a tenant's client, because its credentials were changed or it is served no more; whether there was one.
    /// Who asks next gets a client made anew. Clones of the old one go on as they are.
    ///
    /// The tokens in the store stay, and the new client goes on with them unless your closure hands in tokens that were
    /// obtained later. Where the login itself is to end, because the key is somebody else's now, `revoke()` the client
    /// first.
    pub fn remove(&self, key: &str) -> bool {
        let mut state = self.0.state();
        let is_made = state.flights.remove(key).is_some();
        let removed = state.shelf.remove(key);
        drop(state);
        is_made || removed.is_some()
    }

    /// How many clients are kept now, after dropping those that are due.
    pub fn len(&self) -> usize {
        let (kept, dropped) = {
            let mut state = self.0.state();
            let dropped = state.sweep();
            (state.shelf.len(), dropped)
        };
        drop(dropped);
        kept
    }

    /// Whether no client is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The making of a client that is under way, or a new one.
    fn flight(&self, state: &mut State<C>, key: &str) -> SharedFuture<Made<C>> {
        let under_way = state.flights.get(key).and_then(|(_, flight)| flight.upgrade());
        under_way.unwrap_or_else(|| {
            let flight = Flight { tenants: Arc::clone(&self.0), key: key.into(), number: state.next };
            state.next += 1;
            let (key, number) = (Arc::clone(&flight.key), flight.number);
            let made = async move { flight.land(flight.make().await) }.boxed().shared();
            let watched = made.downgrade().expect("nobody has polled it");
            state.flights.insert(key, (number, watched));
            made
        })
    }
}

impl<C> Inside<C> {
    fn state(&self) -> MutexGuard<'_, State<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> State<C> {
    /// Takes out the clients that are due.
    fn sweep(&mut self) -> Vec<Assembled<C>> {
        self.shelf.sweep(Clock::System.now(), |assembled| assembled.inner.is_needed())
    }

    fn is_under_way(&self, key: &str, number: u64) -> bool {
        self.flights.get(key).is_some_and(|(other, _)| *other == number)
    }
}

/// The making of one client.
struct Flight<C> {
    tenants: Arc<Inside<C>>,
    key: Arc<str>,
    number: u64,
}

impl<C> Flight<C> {
    async fn make(&self) -> Result<Assembled<C>, TenantError> {
        let failed = |reason: Reason| TenantError::new(Arc::clone(&self.key), reason);
        // What panics must not leave those who wait with a future that panics for ever.
        let connecting = AssertUnwindSafe(async { (self.tenants.connect)((*self.key).to_owned()).await });
        let connected = connecting.catch_unwind().await;
        let builder = connected.unwrap_or_else(|_| Err("the closure panicked".into())).map_err(failed)?;
        let tenancy = Tenancy { key: Arc::clone(&self.key), shared: Arc::clone(&self.tenants.shared) };
        builder.among(tenancy).assemble().map_err(|error| failed(error.into()))
    }

    /// Puts the client where the next who ask find it, unless the tenant was removed meanwhile.
    fn land(&self, made: Result<Assembled<C>, TenantError>) -> Result<Assembled<C>, TenantError> {
        let mut state = self.tenants.state();
        let mut dropped = Vec::new();
        if let Ok(assembled) = &made
            && state.is_under_way(&self.key, self.number)
        {
            state.shelf.put(Arc::clone(&self.key), assembled.clone(), Clock::System.now());
            dropped = state.sweep();
        }
        drop(state);
        drop(dropped);
        made
    }
}

impl<C> Drop for Flight<C> {
    /// It landed, or nobody is left who waits for it.
    fn drop(&mut self) {
        let mut state = self.tenants.state();
        if state.is_under_way(&self.key, self.number) {
            state.flights.remove(&self.key);
        }
    }
}

impl<C> Clone for Tenants<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> fmt::Debug for Tenants<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kept = self.0.state().shelf.len();
        f.debug_struct("Tenants").field("kept", &kept).finish_non_exhaustive()
    }
}
