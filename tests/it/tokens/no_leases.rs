//! A token store whose leases exclude no client, and can be lost.

use servicebay::{CompareAndSwap, Lease, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore};

/// A store in memory whose leases exclude no client.
#[derive(Clone, Debug, Default)]
pub(crate) struct NoLeases(pub(crate) MemoryStore);

impl TokenStore for NoLeases {
    fn load(&self, key: &TokenKey) -> impl Future<Output = Result<Option<TokenSet>, StoreError>> + Send {
        self.0.load(key)
    }

    fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> impl Future<Output = Result<CompareAndSwap, StoreError>> + Send {
        self.0.compare_and_swap(key, expected, tokens)
    }

    fn remove(&self, key: &TokenKey) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.0.remove(key)
    }

    async fn lease(&self, _: &TokenKey) -> Result<Lease, StoreError> {
        Ok(Lease::new(()).with_is_held(|| true))
    }
}
