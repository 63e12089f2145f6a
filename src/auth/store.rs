//! Where tokens are kept, so that more than one process can live on one pair.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_core::future::BoxFuture;

use super::tokens::TokenSet;

/// Where tokens are kept.
///
/// A client stores every new pair before it uses it. Processes that share a store refresh once: one takes the
/// [lease](Self::lease), and the others find its pair when they get the lease in turn. The default is a
/// [`MemoryStore`]; a [`FileStore`](crate::FileStore) outlives the process.
///
/// Implement it for a database or a secret manager: `compare_and_swap` has to be atomic, and `lease` exclusive over
/// everybody who uses the store.
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// The pair under a key.
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>>;

    /// Stores `tokens` if the generation under the key is still `expected`, where 0 stands for nothing stored.
    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<Swap, StoreError>>;

    /// Removes the pair under a key, if there is one.
    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Waits for the sole right to renew the pair under a key. It ends when the lease is dropped, or when the process
    /// that holds it ends.
    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>>;
}

impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        (**self).load(key)
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<Swap, StoreError>> {
        (**self).compare_and_swap(key, expected, tokens)
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).remove(key)
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        (**self).lease(key)
    }
}

/// Names a pair of tokens in a store: the vendor, the tenant, and whose tokens they are. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey(String);

impl TokenKey {
    /// A key of any text.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What became of a [`compare_and_swap`](TokenStore::compare_and_swap).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Swap {
    /// Somebody else stored this pair first. Nothing was changed.
    Newer(TokenSet),
    /// The pair is stored.
    Stored,
}

/// The sole right to renew a pair, for as long as it is held.
pub struct Lease {
    _guard: Option<Box<dyn Send + Sync>>,
}

impl Lease {
    /// A lease that ends when `guard` is dropped.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self { _guard: Some(Box::new(guard)) }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}

/// A store that failed. Tokens are not lost by it: the client keeps them in memory and tries again.
#[derive(Debug)]
pub struct StoreError {
    reason: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// A failure, told in words that say what to do. Put no secret into them.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), source: None }
    }

    /// The cause of it.
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// What went wrong, and what to do.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token store: {}", self.reason)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// A store in the memory of the process: the default. Clones share it.
///
/// # Example
///
/// ```
/// use servicebay::{MemoryStore, Swap, TokenKey, TokenSet, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::StoreError> {
/// let store = MemoryStore::new();
/// let key = TokenKey::new("acme");
/// let swap = store.compare_and_swap(&key, 0, &TokenSet::new("first")).await?;
/// assert!(matches!(swap, Swap::Stored));
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
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        let tokens = self.slots().get(key).and_then(|slot| slot.tokens.clone());
        Box::pin(ready(Ok(tokens)))
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<Swap, StoreError>> {
        let mut slots = self.slots();
        let slot = slots.entry(key.clone()).or_default();
        let swap = match &slot.tokens {
            Some(stored) if stored.generation() != expected => Swap::Newer(stored.clone()),
            _ => {
                slot.tokens = Some(tokens.clone());
                Swap::Stored
            }
        };
        Box::pin(ready(Ok(swap)))
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        if let Some(slot) = self.slots().get_mut(key) {
            slot.tokens = None;
        }
        Box::pin(ready(Ok(())))
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let lease = Arc::clone(&self.slots().entry(key.clone()).or_default().lease);
        Box::pin(async move { Ok(Lease::new(lease.lock_owned().await)) })
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore").field("keys", &self.slots().len()).finish()
    }
}
