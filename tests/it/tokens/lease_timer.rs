//! A token store that records how long its leases were held.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use servicebay::{Lease, StoreError, TokenKey, TokenStore};
use tokio::time::Instant;

use crate::forward_to_store::forward_to_store;

/// A store that records how long its leases were held.
#[derive(Clone, Debug)]
pub(super) struct LeaseTimer<S> {
    store: S,
    held: Arc<Mutex<Vec<Duration>>>,
}

/// A lease, and when it was acquired.
struct TimedLease {
    _lease: Lease,
    acquired: Instant,
    held: Arc<Mutex<Vec<Duration>>>,
}

impl Drop for TimedLease {
    fn drop(&mut self) {
        self.held.lock().unwrap().push(self.acquired.elapsed());
    }
}

impl<S> LeaseTimer<S> {
    pub(super) fn new(store: S) -> Self {
        Self { store, held: Arc::default() }
    }

    /// How long each lease was held that has been released.
    pub(super) fn held(&self) -> Vec<Duration> {
        self.held.lock().unwrap().clone()
    }

    pub(super) fn clear(&self) {
        self.held.lock().unwrap().clear();
    }
}

impl<S: TokenStore> TokenStore for LeaseTimer<S> {
    forward_to_store!(store: load, compare_and_swap, remove);

    async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
        let lease = self.store.lease(key).await?;
        Ok(Lease::new(TimedLease { _lease: lease, acquired: Instant::now(), held: Arc::clone(&self.held) }))
    }
}
