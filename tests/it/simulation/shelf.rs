//! The token store as one process sees it: a shared one, a little slow, and closed to who has been killed.

use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex};

use futures_core::future::BoxFuture;
use servicebay::{CompareAndSwap, Lease, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore};

use super::site::{Site, Who};

/// The store as one process sees it.
#[derive(Clone)]
pub(super) struct Shelf {
    who: Who,
    site: Arc<Site>,
    store: MemoryStore,
    /// The lease that the process holds: it ends with the process, as the lock on a file does.
    held: Arc<Mutex<Option<Lease>>>,
}

/// What a client holds for a lease.
struct Held(Arc<Mutex<Option<Lease>>>);

impl Drop for Held {
    fn drop(&mut self) {
        self.0.lock().unwrap().take();
    }
}

impl Shelf {
    pub(super) fn new(who: Who, site: &Arc<Site>) -> Self {
        Self { who, site: Arc::clone(site), store: site.store.clone(), held: Arc::default() }
    }

    /// Gives back what a killed process held.
    pub(super) fn release(&self) {
        self.held.lock().unwrap().take();
    }

    async fn arrive(&self) {
        let pause = self.site.store_pause();
        tokio::time::sleep(pause).await;
        self.stop_if_killed().await;
    }

    async fn stop_if_killed(&self) {
        if self.site.ledger().is_killed(self.who) {
            pending::<()>().await;
        }
    }
}

impl TokenStore for Shelf {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        Box::pin(async move {
            self.arrive().await;
            let loaded = self.store.load(key).await;
            self.site.learn_key(key);
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
            self.site.learn_key(key);
            self.site.ledger().stores(self.who, tokens, &swap);
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
            if self.site.ledger().is_killed(self.who) {
                drop(lease);
                self.stop_if_killed().await;
                unreachable!("a killed process stops");
            }
            *self.held.lock().unwrap() = Some(lease);
            Ok(Lease::new(Held(Arc::clone(&self.held))))
        })
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf").field("who", &self.who).finish_non_exhaustive()
    }
}
