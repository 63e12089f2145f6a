//! How many clients are kept, for how long, and what they share.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Connect, Inside, Shelf, State, Tenants};
use crate::auth::{MemoryStore, TokenStore};
use crate::builder::{Pool, Shared};

/// How many clients are kept if nobody says: at some kilobytes each, what a small machine has to spare.
const CAPACITY: usize = 10_000;
/// After how long without anybody asking for it a client goes: as long as an access token lives at most vendors, so
/// that one that comes back finds little to go on with.
const IDLE: Duration = Duration::from_secs(3600);

/// Makes [`Tenants`].
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use servicebay::{Error, FileStore, Tenants, repairy};
///
/// # let folder = std::env::temp_dir().join(format!("servicebay-tenants-{}", std::process::id()));
/// let tenants = Tenants::builder(|partner: String| async move {
///     let credentials = repairy::Credentials::app("app key", "app secret", partner);
///     Ok::<_, Error>(repairy::Client::builder(credentials).with_base_url("https://partner-api.example"))
/// })
/// .with_idle_time(Duration::from_secs(600))
/// .with_token_store(FileStore::new(&folder)?)
/// .build();
/// assert!(tenants.is_empty());
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "tenants begin with `build`"]
pub struct TenantsBuilder<C> {
    connect: Connect<C>,
    capacity: usize,
    idle: Duration,
    http: Option<reqwest::Client>,
    store: Option<Arc<dyn TokenStore>>,
}

impl<C> TenantsBuilder<C> {
    pub(super) fn new(connect: Connect<C>) -> Self {
        Self { connect, capacity: CAPACITY, idle: IDLE, http: None, store: None }
    }

    /// How many clients are kept, besides those that somebody holds. Default 10,000; with 0 none is. Set it by the
    /// memory that you have: the README tells what a client takes.
    pub fn with_capacity(self, clients: usize) -> Self {
        Self { capacity: clients, ..self }
    }

    /// How long a client is kept after it was last asked for, besides one that somebody holds. Default one hour. Raise
    /// it where making a client is dear, because your closure asks a slow vault.
    pub fn with_idle_time(self, time: Duration) -> Self {
        Self { idle: time, ..self }
    }

    /// An HTTP client of your own for all tenants, made as for
    /// [`ClientBuilder::with_http_client`](crate::ClientBuilder::with_http_client). Default: one that is made with the
    /// first client, and one more for tenants whose timeout is too short for its connect timeout of 10 s.
    pub fn with_http_client(self, client: reqwest::Client) -> Self {
        Self { http: Some(client), ..self }
    }

    /// Where the tokens of all tenants are kept. Default: in the memory of this process.
    pub fn with_token_store(self, store: impl TokenStore) -> Self {
        Self { store: Some(Arc::new(store)), ..self }
    }

    /// Makes the set, which is empty.
    pub fn build(self) -> Tenants<C> {
        let store = self.store.unwrap_or_else(|| Arc::new(MemoryStore::new()));
        let shared = Arc::new(Shared { http: self.http, pool: Pool::default(), store });
        let shelf = Shelf::new(self.capacity, self.idle);
        let state = Mutex::new(State { shelf, flights: HashMap::new(), next: 0 });
        Tenants(Arc::new(Inside { connect: self.connect, shared, state }))
    }
}

impl<C> fmt::Debug for TenantsBuilder<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantsBuilder")
            .field("capacity", &self.capacity)
            .field("idle", &self.idle)
            .finish_non_exhaustive()
    }
}
