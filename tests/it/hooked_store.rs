//! A token store in memory with a hook, which delays operations or makes them fail.

use std::fmt;
use std::future::{Future, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use servicebay::{CompareAndSwap, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore};
use tokio::time::sleep;

use crate::forward_to_store::forward_to_store;

/// An operation that the hook is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreOperation {
    Load,
    Write,
}

type Hook = dyn Fn(StoreOperation) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync;

/// A store in memory that runs a hook before it loads or writes. Clones share it.
#[derive(Clone)]
pub(crate) struct HookedStore {
    memory: MemoryStore,
    hook: Arc<Hook>,
}

impl HookedStore {
    /// A store whose operation fails if the hook does.
    pub(crate) fn new<F>(hook: impl Fn(StoreOperation) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        Self { memory: MemoryStore::new(), hook: Arc::new(move |operation| Box::pin(hook(operation))) }
    }

    /// A store whose writes fail as long as there are `failures` left.
    pub(crate) fn with_failing_writes(failures: &Arc<AtomicU32>) -> Self {
        let failures = Arc::clone(failures);
        let one_less = |left: u32| left.checked_sub(1);
        Self::new(move |operation| {
            let fails = operation == StoreOperation::Write
                && failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok();
            ready(if fails { Err(StoreError::new("the disk is full")) } else { Ok(()) })
        })
    }

    /// A store that takes this long for each of these operations.
    pub(crate) fn slow(pause: Duration, operations: &'static [StoreOperation]) -> Self {
        Self::new(move |operation| async move {
            if operations.contains(&operation) {
                sleep(pause).await;
            }
            Ok(())
        })
    }
}

impl TokenStore for HookedStore {
    forward_to_store!(memory: remove, lease);

    async fn load(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        (self.hook)(StoreOperation::Load).await?;
        self.memory.load(key).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> Result<CompareAndSwap, StoreError> {
        (self.hook)(StoreOperation::Write).await?;
        self.memory.compare_and_swap(key, expected, tokens).await
    }
}

impl fmt::Debug for HookedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HookedStore")
    }
}
