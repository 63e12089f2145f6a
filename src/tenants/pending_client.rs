//! Makes each client once, however many callers wait for it.
//!
//! The callers share one future and no task is spawned, so that the work is canceled when the last of them gives up.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_core::future::BoxFuture;
use futures_util::FutureExt as _;
use futures_util::future::{Shared, WeakShared};

use super::client_cache::ClientCache;
use crate::builder::{ClientBuilder, ClientHandle, SharedResources, TenantContext};
use crate::clock::Clock;
use crate::error::{BoxError, TenantError};

/// The user's closure, which makes the builder of a tenant's client.
pub(super) type ConnectFn<C> =
    Box<dyn Fn(String) -> BoxFuture<'static, Result<ClientBuilder<C>, BoxError>> + Send + Sync>;
type ClientResult<C> = Result<ClientHandle<C>, TenantError>;
type ClientFuture<C> = BoxFuture<'static, ClientResult<C>>;

/// What all clones of a [`Tenants`](crate::Tenants) share.
pub(super) struct TenantsInner<C> {
    connect: ConnectFn<C>,
    shared: Arc<SharedResources>,
    state: Mutex<TenantsState<C>>,
}

pub(super) struct TenantsState<C> {
    pub(super) cache: ClientCache<ClientHandle<C>>,
    /// The clients that are being made. The waiting callers own the future.
    pending: HashMap<Arc<str>, (u64, WeakShared<ClientFuture<C>>)>,
    next_id: u64,
}

impl<C> TenantsInner<C> {
    pub(super) fn new(connect: ConnectFn<C>, shared: SharedResources, cache: ClientCache<ClientHandle<C>>) -> Self {
        let state = TenantsState { cache, pending: HashMap::new(), next_id: 0 };
        Self { connect, shared: Arc::new(shared), state: Mutex::new(state) }
    }

    pub(super) fn state(&self) -> MutexGuard<'_, TenantsState<C>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the future that makes a tenant's client, or starts one.
    pub(super) fn join_pending(
        self: &Arc<Self>,
        state: &mut TenantsState<C>,
        key: &str,
    ) -> impl Future<Output = ClientResult<C>> + Send + use<C>
    where
        C: 'static,
    {
        state.pending_client(key).unwrap_or_else(|| {
            let pending = PendingClient { tenants: Arc::clone(self), key: key.into(), id: state.next_id };
            state.next_id += 1;
            let (key, id) = (Arc::clone(&pending.key), pending.id);
            let client = async move { pending.finish(pending.connect().await) }.boxed().shared();
            let observed = client.downgrade().expect("a future that was never polled has not completed");
            state.pending.insert(key, (id, observed));
            client
        })
    }
}

impl<C> TenantsState<C> {
    /// Removes and returns the clients that are idle or beyond the capacity. Drop them without holding the lock: a client
    /// may drop values of the user's.
    pub(super) fn evict(&mut self) -> Vec<ClientHandle<C>> {
        self.cache.evict(Clock::System.now(), |client| client.inner.is_needed())
    }

    /// Forgets the client that is being made for a tenant; returns whether there was one.
    pub(super) fn forget_pending(&mut self, key: &str) -> bool {
        self.pending.remove(key).is_some()
    }

    fn pending_client(&self, key: &str) -> Option<Shared<ClientFuture<C>>> {
        self.pending.get(key).and_then(|(_, client)| client.upgrade())
    }

    fn is_pending(&self, key: &str, id: u64) -> bool {
        self.pending.get(key).is_some_and(|(other, _)| *other == id)
    }
}

/// A client that is being made.
struct PendingClient<C> {
    tenants: Arc<TenantsInner<C>>,
    key: Arc<str>,
    id: u64,
}

impl<C> PendingClient<C> {
    /// Calls the user's closure and builds the client.
    async fn connect(&self) -> ClientResult<C> {
        let failed = |reason: BoxError| TenantError::new(Arc::clone(&self.key), reason);
        // Without this, a panic of the closure would leave the waiters with a future that panics forever.
        let connecting = AssertUnwindSafe(async { (self.tenants.connect)((*self.key).to_owned()).await });
        let connected = connecting.catch_unwind().await;
        let builder = connected.unwrap_or_else(|_| Err("the closure panicked".into())).map_err(failed)?;
        let context = TenantContext { key: Arc::clone(&self.key), shared: Arc::clone(&self.tenants.shared) };
        builder.for_tenant(context).assemble().map_err(|error| failed(error.into()))
    }

    /// Puts the client into the cache, unless the tenant was removed meanwhile.
    fn finish(&self, result: ClientResult<C>) -> ClientResult<C> {
        let mut evicted = Vec::new();
        let mut state = self.tenants.state();
        if let Ok(client) = &result
            && state.is_pending(&self.key, self.id)
        {
            state.cache.insert(Arc::clone(&self.key), client.clone(), Clock::System.now());
            evicted = state.evict();
        }
        drop(state);
        drop(evicted);
        result
    }
}

impl<C> Drop for PendingClient<C> {
    /// It has finished, or no caller waits for it any more.
    fn drop(&mut self) {
        let mut state = self.tenants.state();
        if state.is_pending(&self.key, self.id) {
            state.forget_pending(&self.key);
        }
    }
}
