//! The token store in memory.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{CompareAndSwap, TokenKey, TokenStore};
use crate::auth::lease::Lease;
use crate::auth::token_set::TokenSet;
use crate::error::StoreError;

/// A token store in the memory of the process, which is the default. Clones share it.
///
/// # Example
///
/// ```
/// use servicebay::{CompareAndSwap, MemoryStore, TokenKey, TokenSet, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::StoreError> {
/// let store = MemoryStore::new();
/// let key = TokenKey::new("acme");
/// let swap = store.compare_and_swap(&key, 0, &TokenSet::new("first")).await?;
/// assert!(matches!(swap, CompareAndSwap::Stored));
/// assert!(store.load(&key).await?.is_some());
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore(Arc<Mutex<HashMap<TokenKey, Slot>>>);

#[derive(Default)]
struct Slot {
    tokens: Option<TokenSet>,
    lease: Arc<tokio::sync::Mutex<()>>,
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<TokenKey, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenStore for MemoryStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        Ok(self.slots().get(key).and_then(|slot| slot.tokens.clone()))
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> Result<CompareAndSwap, StoreError> {
        let mut slots = self.slots();
        let slot = slots.entry(key.clone()).or_default();
        match &slot.tokens {
            Some(stored) if stored.revision() != expected => Ok(CompareAndSwap::Conflict(stored.clone())),
            _ => {
                slot.tokens = Some(tokens.clone());
                Ok(CompareAndSwap::Stored)
            }
        }
    }

    async fn remove(&self, key: &TokenKey) -> Result<(), StoreError> {
        if let Some(slot) = self.slots().get_mut(key) {
            slot.tokens = None;
        }
        Ok(())
    }

    async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
        let lease = Arc::clone(&self.slots().entry(key.clone()).or_default().lease);
        Ok(Lease::new(lease.lock_owned().await))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("keys", &self.slots().len()).finish()
    }
}
