//! The token store of one process: shared with the others, slow, and closed when the process is killed.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use servicebay::{CompareAndSwap, Lease, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore};

use super::host::{Host, ProcessId};

/// The store of one process.
#[derive(Clone)]
pub(super) struct TestStore {
    process: ProcessId,
    host: Arc<Host>,
    store: MemoryStore,
    /// The lease that the process holds. It ends with the process, as the lock on a file does.
    held: Arc<Mutex<Option<Lease>>>,
}

/// Releases the lease of the process when the client drops it.
struct LeaseGuard(Arc<Mutex<Option<Lease>>>);

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        self.0.lock().unwrap().take();
    }
}

impl TestStore {
    pub(super) fn new(process: ProcessId, host: &Arc<Host>) -> Self {
        Self { process, host: Arc::clone(host), store: host.store.clone(), held: Arc::default() }
    }

    /// Releases the lease of a killed process.
    pub(super) fn release(&self) {
        self.held.lock().unwrap().take();
    }

    async fn arrive(&self) {
        let pause = self.host.store_pause();
        tokio::time::sleep(pause).await;
        self.stop_if_killed().await;
    }

    async fn stop_if_killed(&self) {
        if self.host.invariants().is_killed(self.process) {
            pending::<()>().await;
        }
    }
}

impl TokenStore for TestStore {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        Box::pin(async move {
            self.arrive().await;
            let loaded = self.store.load(key).await;
            self.host.set_key(key);
            loaded
        })
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>> {
        Box::pin(async move {
            self.arrive().await;
            let swap = self.store.compare_and_swap(key, expected, tokens).await?;
            self.host.set_key(key);
            self.host.invariants().record_stored(self.process, tokens, &swap);
            Ok(swap)
        })
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.remove(key)
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async move {
            self.arrive().await;
            let lease = self.store.lease(key).await?;
            if self.host.invariants().is_killed(self.process) {
                drop(lease);
                self.stop_if_killed().await;
                unreachable!("a killed process stops");
            }
            *self.held.lock().unwrap() = Some(lease);
            Ok(Lease::new(LeaseGuard(Arc::clone(&self.held))))
        })
    }
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestStore").field("process", &self.process).finish_non_exhaustive()
    }
}
