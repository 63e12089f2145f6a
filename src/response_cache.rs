//! A cache of responses in memory: which calls it serves, what it stores, and when it forgets.
//!
//! The pipeline asks a client's [`CacheHandle`] before it sends a read, reports every attempt to it, and stores what was decoded.
//! What HTTP says about caching is in pure files: `directives` and `freshness` (how long), `cacheable_request` (for which
//! requests), `stored_response` (what, and how it is confirmed). `memory` holds the responses of all clients within bounds.

mod cache_handle;
mod cacheable_request;
mod directives;
mod freshness;
mod memory;
mod stored_response;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) use self::cache_handle::{CacheHandle, CachePart, CacheRead};
use self::memory::CacheMemory;
pub(crate) use self::stored_response::StoredResponse;

/// The default bound of the memory of all responses, in bytes.
const MAX_BYTES: usize = 32 * 1024 * 1024;
/// The default bound of the memory of one response, in bytes.
const MAX_ENTRY_BYTES: usize = 1024 * 1024;

/// Keeps responses in memory for as long as the vendor allows, so that a repeated read costs none of the rate limit. Off unless it
/// is passed to [`ClientBuilder::with_cache`](crate::ClientBuilder::with_cache) or
/// [`TenantsBuilder::with_cache`](crate::TenantsBuilder::with_cache).
///
/// # What is stored
///
/// The responses to GET requests with status 200 that could be decoded, if the vendor says for how long they hold
/// (`Cache-Control: max-age`, or `Expires` with `Date`) or names their version (`ETag`, `Last-Modified`), and does not forbid it
/// (`no-store`). Nothing is guessed: without such headers, nothing is stored.
///
/// While a response is fresh, calls get it at once: without a token, without a permit of the rate limit, without a request.
/// After that, the vendor is asked whether it still holds (`If-None-Match`, `If-Modified-Since`), and a 304 returns the stored
/// value. That costs a request and saves the body. If the vendor fails or cannot be reached, a call gets a stale response for as long as the vendor
/// allows that (`stale-if-error`). [`Response::cache_use`](crate::Response::cache_use) says which of these it was.
///
/// A response that is fresh for no time and has no version is not stored, whatever `stale-if-error` says. `send` and `send_bytes`
/// accept other media types, so each stores its own response. Equal calls at the same time are a request each, as long as none of
/// them has a response.
///
/// Streams of pages and items take no part: each of their pages is requested, so that the changes they notice are real. A single
/// page, sent with `send`, may come from the cache.
///
/// # Who shares what
///
/// Clones share the memory and its bounds, so one cache serves any number of clients. No response is shared: each client that was
/// built, with its clones, has its own, and forgets them if a person logs in anew, if the tokens are revoked, or after a
/// 401 that is final. Of one client, requests share a response if their URLs are the same and all headers that you set, whether
/// `Vary` names them or not. Headers that only trace a call (`traceparent`, `x-request-id` and their kind) do not count.
///
/// # Writes
///
/// A call that is not a GET, HEAD or OPTIONS makes all clients of its tenant that use the cache forget what it may have changed, as
/// soon as it is sent: everything but the reference data that only changes itself, which is Fixably's `locations`, `queues`,
/// `statuses`, `stores` and `users`. A booking changes availabilities, and a task its work order, so the path of a write does not
/// say what it changes. Reads in flight at the time are not stored. If the outcome of the write is unknown, nothing is stored for a
/// minute.
///
/// What other programs write is noticed when the response is no longer fresh. To ask the vendor in any case, set the header
/// `Cache-Control: no-cache` for the call, as a `lookup` of [`reconcile`](crate::Reconcile) should.
///
/// # Example
///
/// ```
/// # use servicebay::testing::{Script, Step};
/// use servicebay::{ResponseCache, fixably};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let statuses = Step::json(200, serde_json::json!({"id": 7})).header("cache-control", "max-age=600");
/// # let script = Script::new([statuses.clone(), statuses]);
/// let client = fixably::Client::builder(fixably::Credentials::bearer("token-from-the-settings-page"))
///     .with_tenant("acme")
///     .with_cache(ResponseCache::new().with_max_bytes(8 * 1024 * 1024))
///     # .with_transport(script.clone())
///     .build()?;
///
/// let first = client.get_status().id(7).send().await?;
/// let second = client.get_status().id(7).send().await?;
/// assert!(!first.is_from_cache() && second.is_from_cache());
///
/// let asked = client.get_status().id(7).header("Cache-Control", "no-cache").send().await?;
/// assert!(!asked.is_from_cache());
/// # assert_eq!(script.requests().len(), 2);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ResponseCache(Arc<Mutex<CacheMemory>>);

impl ResponseCache {
    /// An empty cache of at most 32 MiB, and of responses of at most 1 MiB each.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(CacheMemory::new(MAX_BYTES, MAX_ENTRY_BYTES))))
    }

    /// The most memory that all responses take, in bytes: bodies, headers, URLs and about 512 bytes for each response. Default
    /// 32 MiB; any number is valid, and 0 stores nothing. The least recently used response goes first. It holds for all clones.
    #[must_use]
    pub fn with_max_bytes(self, bytes: usize) -> Self {
        let mut memory = self.memory();
        memory.max_bytes = bytes;
        memory.evict();
        drop(memory);
        self
    }

    /// The most memory that one response may take to be stored, in bytes, counted as in
    /// [`with_max_bytes`](Self::with_max_bytes). Default 1 MiB; any number is valid. It holds for all clones, and for what is stored
    /// from now on.
    #[must_use]
    pub fn with_max_entry_bytes(self, bytes: usize) -> Self {
        self.memory().max_entry_bytes = bytes;
        self
    }

    /// Forgets all responses, of all clients.
    pub fn clear(&self) {
        self.memory().clear();
    }

    /// The number of stored responses, of all clients.
    pub fn len(&self) -> usize {
        self.memory().len()
    }

    /// Whether no response is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that the stored responses take, in bytes, as [`with_max_bytes`](Self::with_max_bytes) counts it.
    pub fn used_bytes(&self) -> usize {
        self.memory().used_bytes()
    }

    fn memory(&self) -> MutexGuard<'_, CacheMemory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for ResponseCache {
    fn default() -> Self {
        Self::new()
    }
}

/// No URLs and no headers: they may name customers.
impl fmt::Debug for ResponseCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let memory = self.memory();
        f.debug_struct("ResponseCache")
            .field("len", &memory.len())
            .field("used_bytes", &memory.used_bytes())
            .field("max_bytes", &memory.max_bytes)
            .finish_non_exhaustive()
    }
}
