//! Token storage, shareable between processes.
//!
//! A store keeps one record for each key and knows nothing about tokens: the client decides what is written. The trait has
//! `async` methods; [`DynTokenStore`] makes it usable behind a pointer.

mod dyn_store;
mod memory;
mod token_key;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use self::dyn_store::DynTokenStore;
pub use self::memory::MemoryStore;
pub use self::token_key::TokenKey;
use super::lease::Lease;
use super::token_set::TokenSet;
use crate::error::StoreError;

/// Token storage.
///
/// A store holds one record for each [key](TokenKey): a [`TokenSet`], which it serializes and returns unchanged. The default is
/// a [`MemoryStore`]; a [`FileStore`](crate::FileStore) outlives the process. Implement the trait for a database or a secret
/// manager, and check it with [`testing::token_store::check`](crate::testing::token_store::check).
///
/// # What a client does with it
///
/// Clients that share a store refresh a login once: one holds the [lease](Self::lease) and refreshes, and the others load the
/// new tokens. Before a client presents a refresh token to the vendor, it stores the same tokens with
/// [`presented_at`](TokenSet::presented_at) set, so that no other client presents them too, even if the lease is lost. After
/// the response, it stores the new tokens, and then uses them.
///
/// Its methods run on the crate's own runtime; what they await must not depend on another runtime being driven. That runtime is
/// one thread for all clients of the process: a method that blocks its thread stops their token requests too, and the limit of
/// 10 s does not apply to it. Move blocking work, such as files or a synchronous database driver, to
/// `tokio::task::spawn_blocking`.
///
/// Every write is a [`compare_and_swap`](Self::compare_and_swap) on the [revision](TokenSet::revision) of the record. A client
/// gives a store 10 s for each operation, treats a panic as an error, and holds a lease for at most
/// [`MAX_LEASE`] unless it cannot store the new tokens. A revocation that takes longer gives the lease up and goes on.
///
/// # When it fails
///
/// Tokens that cannot be stored stay in memory, and the client stores them as soon as it can. If the store
/// [is shared](Self::is_shared), a client that cannot read it or lease it does not present a
/// refresh token: tokens that are valid serve on, and afterwards calls fail with a retryable
/// [`Error::Store`](crate::Error::Store), unless the credentials can log in.
///
/// # Example
///
/// A whole program: a store, two clients that share it, and the check of its contract. It calls a mock server, which the
/// feature `testing` adds.
///
/// ```
/// use std::collections::HashMap;
/// use std::fmt;
/// use std::path::PathBuf;
/// use std::sync::{Arc, Mutex};
///
/// use servicebay::testing::repairy::{MockServer, Partner};
/// use servicebay::testing::token_store;
/// use servicebay::{CompareAndSwap, Lease, StoreError, TokenKey, TokenSet, TokenStore};
///
/// /// Records as JSON, in memory.
/// struct JsonStore {
///     records: Mutex<HashMap<TokenKey, String>>,
///     /// A folder for locks, because a `HashMap` has none.
///     locks: PathBuf,
/// }
///
/// impl TokenStore for JsonStore {
///     async fn load(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
///         self.records.lock().unwrap().get(key).map(|json| read(json)).transpose()
///     }
///
///     async fn compare_and_swap(
///         &self,
///         key: &TokenKey,
///         expected: u64,
///         tokens: &TokenSet,
///     ) -> Result<CompareAndSwap, StoreError> {
///         let json = serde_json::to_string(tokens).map_err(|_| StoreError::new("the tokens cannot be written as JSON"))?;
///         let mut records = self.records.lock().unwrap();
///         if let Some(json) = records.get(key) {
///             let stored = read(json)?;
///             if stored.revision() != expected {
///                 return Ok(CompareAndSwap::Conflict(stored));
///             }
///         }
///         records.insert(key.clone(), json);
///         Ok(CompareAndSwap::Stored)
///     }
///
///     async fn remove(&self, key: &TokenKey) -> Result<(), StoreError> {
///         self.records.lock().unwrap().remove(key);
///         Ok(())
///     }
///
///     async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
///         Lease::file_lock(self.locks.join(format!("{}.lock", key.file_name()))).await
///     }
/// }
///
/// fn read(json: &str) -> Result<TokenSet, StoreError> {
///     // Without serde's error as the source: it can quote the record, and with it a token.
///     serde_json::from_str(json).map_err(|_| StoreError::new("the record is not valid JSON; remove it and log in again"))
/// }
///
/// /// Without the records, which contain tokens.
/// impl fmt::Debug for JsonStore {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.debug_struct("JsonStore").finish_non_exhaustive()
///     }
/// }
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let locks = std::env::temp_dir().join(format!("servicebay-json-store-{}", std::process::id()));
///     std::fs::create_dir_all(&locks)?;
///     let store = Arc::new(JsonStore { records: Mutex::default(), locks: locks.clone() });
///
///     // The first client logs in. The second one, such as after a restart, loads the tokens.
///     let server = MockServer::start().await;
///     for _ in 0..2 {
///         let client = server.client_builder(Partner::Main).with_token_store(Arc::clone(&store)).build()?;
///         client.get_booking().id("670000000000000000000001").send().await?;
///         client.close().await?;
///     }
///     assert_eq!(server.counters().logins(), 1);
///
///     // In a test of the store, with two handles to the same storage:
///     token_store::check(Arc::clone(&store), store).await?;
///     std::fs::remove_dir_all(locks)?;
///     Ok(())
/// }
/// ```
pub trait TokenStore: fmt::Debug + Send + Sync + 'static {
    /// Loads the record under a key; `None` if there is none.
    fn load(&self, key: &TokenKey) -> impl Future<Output = Result<Option<TokenSet>, StoreError>> + Send;

    /// Stores `tokens` if the [revision](TokenSet::revision) of the stored record is `expected`, or if no record is stored. Must be
    /// atomic among all users of the store, and durable when it returns.
    fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> impl Future<Output = Result<CompareAndSwap, StoreError>> + Send;

    /// Removes the record under a key, if there is one.
    fn remove(&self, key: &TokenKey) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Waits for the exclusive right to refresh the tokens under a key, among all users of the store. It must end when the
    /// [`Lease`] is dropped and when the process that holds it ends.
    ///
    /// The future may be dropped while it waits. A store without locks of its own can use [`Lease::file_lock`] if all its
    /// users are on one machine.
    fn lease(&self, key: &TokenKey) -> impl Future<Output = Result<Lease, StoreError>> + Send;

    /// Whether clients besides one may use the records, now or after a restart. Default `true`.
    ///
    /// Return `false` only if a record that cannot be read or written leads to no harm: the client then refreshes without
    /// the store.
    fn is_shared(&self) -> bool {
        true
    }
}

impl<S: TokenStore + ?Sized> TokenStore for Arc<S> {
    fn load(&self, key: &TokenKey) -> impl Future<Output = Result<Option<TokenSet>, StoreError>> + Send {
        (**self).load(key)
    }

    fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> impl Future<Output = Result<CompareAndSwap, StoreError>> + Send {
        (**self).compare_and_swap(key, expected, tokens)
    }

    fn remove(&self, key: &TokenKey) -> impl Future<Output = Result<(), StoreError>> + Send {
        (**self).remove(key)
    }

    fn lease(&self, key: &TokenKey) -> impl Future<Output = Result<Lease, StoreError>> + Send {
        (**self).lease(key)
    }

    fn is_shared(&self) -> bool {
        (**self).is_shared()
    }
}

/// The result of a [`compare_and_swap`](TokenStore::compare_and_swap).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CompareAndSwap {
    /// A record with another revision than expected is stored: this one. Nothing was changed.
    Conflict(TokenSet),
    /// The tokens were stored.
    Stored,
}

/// The longest time for which a client holds a lease while it can store tokens: 3 minutes.
///
/// A client that has refreshed tokens and cannot store them keeps the lease until it can, so that no other client presents the
/// refresh token that they replaced. A store whose leases expire extends them for as long as the [`Lease`] exists.
pub const MAX_LEASE: Duration = Duration::from_secs(180);
