//! Token storage, shareable between processes.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_core::future::BoxFuture;

use super::token_set::TokenSet;

/// Token storage.
///
/// A client stores new tokens before it uses them. Processes that share a store refresh once: one holds the
/// [lease](Self::lease) and refreshes, and the others load its tokens when they get the lease. The default is a
/// [`MemoryStore`]; a [`FileStore`](crate::FileStore) outlives the process.
///
/// Implement it for a database or a secret manager. `compare_and_swap` must be atomic, and `lease` must be exclusive among
/// all users of the store.
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// Loads the tokens under a key; `None` if there are none.
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>>;

    /// Stores `tokens` if the generation of the stored tokens is `expected`; 0 means that none are stored. If the stored tokens
    /// were removed meanwhile, `tokens` are stored whatever was expected.
    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>>;

    /// Removes the tokens under a key, if there are any.
    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Waits for the exclusive right to refresh the tokens under a key. It ends when the lease is dropped, or when the process
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
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>> {
        (**self).compare_and_swap(key, expected, tokens)
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        (**self).remove(key)
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        (**self).lease(key)
    }
}

/// Identifies tokens in a store: vendor, host, tenant and account. Contains no secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TokenKey(String);

impl TokenKey {
    /// A key with this text.
    pub fn new(key: impl Into<String>) -> Self {
        Self(key.into())
    }

    /// The text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The result of a [`compare_and_swap`](TokenStore::compare_and_swap).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CompareAndSwap {
    /// Other tokens than expected are stored: these. Nothing was changed.
    Conflict(TokenSet),
    /// The tokens were stored.
    Stored,
}

/// The exclusive right to refresh the tokens under a key, until it is dropped.
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

/// A failure of a token store. No tokens are lost: the client keeps them in memory and tries to store them again.
#[derive(Debug)]
pub struct StoreError {
    reason: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error with a message that says what failed and what to do. It must not contain secrets.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), source: None }
    }

    /// Sets the underlying error.
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// What failed, and what to do about it.
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
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        let tokens = self.slots().get(key).and_then(|slot| slot.tokens.clone());
        Box::pin(ready(Ok(tokens)))
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>> {
        let mut slots = self.slots();
        let slot = slots.entry(key.clone()).or_default();
        let swap = match &slot.tokens {
            Some(stored) if stored.generation() != expected => CompareAndSwap::Conflict(stored.clone()),
            _ => {
                slot.tokens = Some(tokens.clone());
                CompareAndSwap::Stored
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use secrecy::ExposeSecret as _;
    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;
    use crate::FileStore;
    use crate::auth::folder::Folder;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Every store, as two handles to the same.
    fn stores(folder: &Folder) -> [[Arc<dyn TokenStore>; 2]; 3] {
        let memory = MemoryStore::new();
        let one = FileStore::new(folder.path().join("one")).unwrap();
        let opened = || FileStore::new(folder.path().join("opened")).unwrap();
        [
            [Arc::new(memory.clone()), Arc::new(memory)],
            [Arc::new(one.clone()), Arc::new(one)],
            [Arc::new(opened()), Arc::new(opened())],
        ]
    }

    fn key() -> TokenKey {
        TokenKey::new("fentu/api.fentu.io/acme/oauth/app")
    }

    fn pair(access: &str, generation: u64) -> TokenSet {
        TokenSet::new(access).with_refresh_token("r3fresh").with_generation(generation)
    }

    async fn access(store: &dyn TokenStore, key: &TokenKey) -> Option<String> {
        let tokens = store.load(key).await.unwrap()?;
        Some(tokens.access_token().expose_secret().to_owned())
    }

    #[tokio::test]
    async fn a_store_holds_nothing_at_first_and_then_what_was_stored_last() {
        for [store, again] in stores(&Folder::new()) {
            assert_eq!(access(&*store, &key()).await, None, "{store:?}");
            assert!(matches!(store.compare_and_swap(&key(), 0, &pair("a", 1)).await, Ok(CompareAndSwap::Stored)));
            assert!(matches!(again.compare_and_swap(&key(), 1, &pair("b", 2)).await, Ok(CompareAndSwap::Stored)));
            assert_eq!(access(&*store, &key()).await.as_deref(), Some("b"), "{store:?}");
            assert_eq!(access(&*again, &key()).await.as_deref(), Some("b"), "{store:?}");
        }
    }

    #[tokio::test]
    async fn a_pair_comes_back_with_all_that_it_was_stored_with() {
        let full = pair("a", 7)
            .with_access_expires_at("2026-03-01T12:00:00.123456789Z".parse().unwrap())
            .with_refresh_expires_at("2026-03-14T12:00:00Z".parse().unwrap())
            .with_obtained_at("2026-02-28T12:00:00Z".parse().unwrap());
        for tokens in [full, TokenSet::new("\"quoted\" \u{e4}\n")] {
            for [store, again] in stores(&Folder::new()) {
                store.compare_and_swap(&key(), 0, &tokens).await.unwrap();
                let found = again.load(&key()).await.unwrap().unwrap();
                assert!(!found.differs(&tokens));
                assert_eq!(format!("{found:?}"), format!("{tokens:?}"));
            }
        }
    }

    #[tokio::test]
    async fn a_pair_is_stored_only_in_place_of_the_generation_that_was_expected() {
        for [store, _] in stores(&Folder::new()) {
            store.compare_and_swap(&key(), 0, &pair("a", 5)).await.unwrap();
            for unexpected in [0, 4, 6, u64::MAX] {
                match store.compare_and_swap(&key(), unexpected, &pair("b", 6)).await.unwrap() {
                    CompareAndSwap::Conflict(stored) => {
                        assert_eq!(stored.access_token().expose_secret(), "a", "{store:?}")
                    }
                    swap => panic!("{swap:?} for {unexpected} in {store:?}"),
                }
            }
            assert_eq!(access(&*store, &key()).await.as_deref(), Some("a"), "{store:?}");
            // What follows need not be a higher generation: a login may have begun anew.
            assert!(matches!(store.compare_and_swap(&key(), 5, &pair("b", 1)).await, Ok(CompareAndSwap::Stored)));
            assert_eq!(access(&*store, &key()).await.as_deref(), Some("b"), "{store:?}");
        }
    }

    #[tokio::test]
    async fn a_removed_pair_is_gone_and_another_can_follow_whatever_was_expected() {
        for [store, again] in stores(&Folder::new()) {
            store.remove(&key()).await.unwrap();
            store.compare_and_swap(&key(), 0, &pair("a", 1)).await.unwrap();
            again.remove(&key()).await.unwrap();
            again.remove(&key()).await.unwrap();
            assert_eq!(access(&*store, &key()).await, None, "{store:?}");
            assert!(matches!(store.compare_and_swap(&key(), 1, &pair("b", 2)).await, Ok(CompareAndSwap::Stored)));
            assert_eq!(access(&*again, &key()).await.as_deref(), Some("b"), "{store:?}");
        }
    }

    #[tokio::test]
    async fn two_keys_have_nothing_to_do_with_each_other() {
        let others = ["", "fentu/api.fentu.io/acme/oauth/App", "fentu/api.fentu.io/acme/oauth/app/"].map(TokenKey::new);
        for [store, _] in stores(&Folder::new()) {
            let _lease = store.lease(&key()).await.unwrap();
            store.compare_and_swap(&key(), 0, &pair("own", 1)).await.unwrap();
            for other in &others {
                assert_eq!(access(&*store, other).await, None, "{other} in {store:?}");
                assert!(timeout(MINUTE, store.lease(other)).await.is_ok(), "{other} in {store:?}");
                store.compare_and_swap(other, 0, &pair(other.as_str(), 1)).await.unwrap();
            }
            store.remove(&others[1]).await.unwrap();
            assert_eq!(access(&*store, &others[0]).await.as_deref(), Some(""), "{store:?}");
            assert_eq!(access(&*store, &key()).await.as_deref(), Some("own"), "{store:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_keeps_everybody_else_waiting_until_it_is_dropped() {
        for [store, again] in stores(&Folder::new()) {
            let lease = store.lease(&key()).await.unwrap();
            assert!(timeout(MINUTE, again.lease(&key())).await.is_err(), "{store:?}");
            assert!(timeout(MINUTE, store.lease(&key())).await.is_err(), "{store:?}");
            // It is the right to renew alone: reading, storing and removing need none.
            store.compare_and_swap(&key(), 0, &pair("a", 1)).await.unwrap();
            assert_eq!(access(&*again, &key()).await.as_deref(), Some("a"), "{store:?}");
            again.remove(&key()).await.unwrap();
            let key = key();
            let (waited, ()) = tokio::join!(again.lease(&key), async {
                tokio::time::sleep(MINUTE).await;
                drop(lease);
            });
            assert!(timeout(MINUTE, store.lease(&key)).await.is_err(), "{store:?}");
            drop(waited.unwrap());
            assert!(timeout(MINUTE, store.lease(&key)).await.is_ok(), "{store:?}");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn of_many_that_store_at_once_one_does() {
        for [store, again] in stores(&Folder::new()) {
            for generation in 0..3 {
                let mut rivals = JoinSet::new();
                for (rival, handle) in [&store, &again].into_iter().cycle().take(16).enumerate() {
                    let store = Arc::clone(handle);
                    rivals.spawn(async move {
                        let tokens = pair(&format!("{generation} of {rival}"), generation + 1);
                        let swap = store.compare_and_swap(&key(), generation, &tokens).await.unwrap();
                        matches!(swap, CompareAndSwap::Stored).then_some(tokens)
                    });
                }
                let stored: Vec<_> = rivals.join_all().await.into_iter().flatten().collect();
                assert_eq!(stored.len(), 1, "{store:?}");
                let access = access(&*store, &key()).await.unwrap();
                assert_eq!(access, stored[0].access_token().expose_secret(), "{store:?}");
            }
        }
    }

    #[test]
    fn an_error_of_a_store_says_what_it_was_told_and_keeps_its_cause() {
        let error = StoreError::new("no room; make some").with_source(std::io::Error::other("28"));
        assert_eq!(error.to_string(), "token store: no room; make some");
        assert_eq!((error.reason(), error.source().unwrap().to_string()), ("no room; make some", "28".to_owned()));
    }

    #[tokio::test]
    async fn no_debug_of_a_store_shows_a_token_or_a_lease() {
        let store = MemoryStore::new();
        store.compare_and_swap(&key(), 0, &pair("acc3ss", 1)).await.unwrap();
        let shown = format!("{store:?} {:?}", store.lease(&key()).await);
        assert_eq!(shown, "MemoryStore { keys: 1 } Ok(Lease { .. })");
    }
}
