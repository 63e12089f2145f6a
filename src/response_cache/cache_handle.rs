//! The part of one client in a cache, and the part of the cache in one call.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::HeaderMap;
use url::Url;

use super::ResponseCache;
use super::cacheable_request::CacheableRequest;
use super::freshness::Moment;
use super::memory::ResourceKind;
use super::stored_response::StoredResponse;
use crate::call_headers::CallHeaders;
use crate::clock::Clock;

/// The part of one client in a cache.
#[derive(Debug)]
pub(crate) struct CacheHandle {
    cache: ResponseCache,
    /// Identifies the tenant whose writes outdate the responses.
    tenant: Arc<str>,
    /// Identifies the client, whose responses no other one gets.
    client: u64,
    /// The beginning of all keys of the client.
    owner: Box<str>,
    reference_data: &'static [&'static str],
    clock: Clock,
    /// The number of the login whose responses are stored.
    login: AtomicU64,
}

impl CacheHandle {
    pub(crate) fn new(
        cache: ResponseCache,
        tenant: Arc<str>,
        reference_data: &'static [&'static str],
        clock: Clock,
    ) -> Self {
        let client = cache.memory().add_client(&tenant);
        let owner = format!("{client}.").into();
        Self { cache, tenant, client, owner, reference_data, clock, login: AtomicU64::new(0) }
    }

    /// The part that the cache has in a GET while this login is in use; `None` if it has none. `path` is that of the URL below
    /// the base URL.
    pub(crate) fn read(
        &self,
        login: u64,
        url: &Url,
        path: &str,
        headers: Option<&CallHeaders>,
    ) -> Option<CacheRead<'_>> {
        if self.login.fetch_max(login, Ordering::AcqRel) < login {
            self.clear();
        }
        // With the login in the key, a call that began before another login neither finds nor leaves anything of the new one.
        let request = CacheableRequest::new(&format!("{}{login} ", self.owner), url, headers)?;
        let resource = ResourceKind::of(path, self.reference_data);
        Some(CacheRead { handle: self, request, resource, stale: None, in_flight: None, fetched: None })
    }

    /// The part that the cache has in a write.
    pub(crate) fn write(&self, path: &str) -> CacheWrite<'_> {
        let resource = ResourceKind::of(path, self.reference_data);
        CacheWrite { handle: self, resource, number: None, is_unknown: false }
    }

    /// Forgets the responses of this client.
    pub(crate) fn clear(&self) {
        self.cache.memory().forget_client(&self.tenant, self.client, &self.owner);
    }
}

impl Drop for CacheHandle {
    fn drop(&mut self) {
        self.cache.memory().remove_client(&self.tenant, self.client, &self.owner);
    }
}

/// The part of the cache in one call.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "it is kept in a box, as a whole")]
pub(crate) enum CachePart<'a> {
    Read(CacheRead<'a>),
    Write(CacheWrite<'a>),
}

impl<'a> CachePart<'a> {
    pub(crate) fn as_read(&self) -> Option<&CacheRead<'a>> {
        match self {
            Self::Read(read) => Some(read),
            Self::Write(_) => None,
        }
    }

    pub(crate) fn as_read_mut(&mut self) -> Option<&mut CacheRead<'a>> {
        match self {
            Self::Read(read) => Some(read),
            Self::Write(_) => None,
        }
    }

    /// An attempt is about to be sent.
    pub(crate) fn start_attempt(&mut self) {
        match self {
            Self::Read(read) => read.start_attempt(),
            Self::Write(write) => write.start_attempt(),
        }
    }

    /// An attempt has ended. `maybe_applied`: whether one of them may have been applied, and may still be.
    pub(crate) fn end_attempt(&mut self, maybe_applied: bool) {
        if let Self::Write(write) = self {
            write.is_unknown = maybe_applied;
        }
    }
}

/// A read that a stored response may serve, or whose response may be stored.
pub(crate) struct CacheRead<'a> {
    handle: &'a CacheHandle,
    request: CacheableRequest,
    resource: ResourceKind,
    /// The stored response, if it is not fresh.
    stale: Option<Arc<StoredResponse>>,
    /// The attempt in flight, and when it was sent.
    in_flight: Option<(u64, Moment)>,
    /// What is stored if it can be decoded.
    fetched: Option<StoredResponse>,
}

impl CacheRead<'_> {
    /// Looks for a response with a body of at most this size. Returns a fresh one with its headers, and keeps a stale one.
    pub(crate) fn look_up(&mut self, max_body: usize) -> Option<(HeaderMap, Arc<StoredResponse>)> {
        if !self.request.reads {
            return None;
        }
        let stored = self.handle.cache.memory().get(&self.handle.tenant, &self.request.key);
        let stored = stored.filter(|stored| stored.body().len() <= max_body)?;
        let now = self.now();
        if stored.is_fresh(now, &self.request.wishes) {
            return Some((stored.headers(now), stored));
        }
        self.stale = Some(stored);
        None
    }

    fn start_attempt(&mut self) {
        let now = self.now();
        let mut memory = self.handle.cache.memory();
        if let Some((earlier, _)) = self.in_flight.take() {
            memory.end_read(&self.handle.tenant, earlier);
        }
        let number = memory.begin_read(&self.handle.tenant, self.handle.client, &self.resource, now.instant());
        self.in_flight = Some((number, now));
    }

    /// The stored response that the request asks the vendor to confirm.
    pub(crate) fn unconfirmed(&self) -> Option<&StoredResponse> {
        self.stale.as_deref().filter(|stale| stale.is_confirmable())
    }

    /// The vendor has confirmed the stored response. Returns it with the headers that it has now.
    pub(crate) fn confirm(&mut self, confirmation: &HeaderMap) -> Option<(HeaderMap, Bytes)> {
        let (stale, (_, requested)) = (self.stale.take()?, self.in_flight?);
        let headers = stale.updated_headers(confirmation, self.now());
        self.supersede();
        self.fetched = stale.confirmed(&headers, confirmation, requested);
        Some((headers, stale.body().clone()))
    }

    /// The vendor has sent another response, with status 200.
    pub(crate) fn fetch(&mut self, headers: &HeaderMap, body: &Bytes) {
        let is_small = self.handle.cache.memory().accepts(body.len());
        self.supersede();
        if let Some((_, requested)) = self.in_flight
            && is_small
        {
            self.fetched = StoredResponse::new(headers, body, requested);
        }
    }

    /// The stored response does not hold any more.
    pub(crate) fn supersede(&mut self) {
        self.stale = None;
        if let Some((number, _)) = self.in_flight {
            self.handle.cache.memory().supersede(&self.handle.tenant, &self.request.key, number);
        }
    }

    /// The stored response with its headers, if it may replace an error.
    pub(crate) fn in_place_of_error(&self) -> Option<(HeaderMap, &StoredResponse)> {
        let (now, stale, (number, _)) = (self.now(), self.stale.as_deref()?, self.in_flight?);
        // A write meanwhile has outdated it.
        let is_current = self.handle.cache.memory().is_current(&self.handle.tenant, number);
        (is_current && stale.may_replace_error(now)).then(|| (stale.headers(now), stale))
    }

    /// Stores what was fetched or confirmed. Called when it has been decoded.
    pub(crate) fn store(&mut self) {
        if let (Some(fetched), Some((number, _))) = (self.fetched.take(), self.in_flight) {
            let mut memory = self.handle.cache.memory();
            memory.store(&self.handle.tenant, &self.request.key, number, Arc::new(fetched));
        }
    }

    fn now(&self) -> Moment {
        Moment::now(self.handle.clock)
    }
}

impl Drop for CacheRead<'_> {
    fn drop(&mut self) {
        if let Some((number, _)) = self.in_flight {
            self.handle.cache.memory().end_read(&self.handle.tenant, number);
        }
    }
}

/// No key: it may hold a secret of the caller's.
impl fmt::Debug for CacheRead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheRead").field("stale", &self.stale).field("fetched", &self.fetched).finish_non_exhaustive()
    }
}

/// A write, which outdates responses from the moment it is sent.
#[derive(Debug)]
pub(crate) struct CacheWrite<'a> {
    handle: &'a CacheHandle,
    resource: ResourceKind,
    /// Its number, once it has been sent.
    number: Option<u64>,
    /// Whether it may still be applied.
    is_unknown: bool,
}

impl CacheWrite<'_> {
    fn start_attempt(&mut self) {
        if self.number.is_none() {
            let now = self.handle.clock.now();
            self.number = Some(self.handle.cache.memory().begin_write(&self.handle.tenant, &self.resource, now));
        }
        self.is_unknown = true;
    }
}

impl Drop for CacheWrite<'_> {
    /// The call has ended, or its caller has given up.
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let now = self.handle.clock.now();
            self.handle.cache.memory().end_write(&self.handle.tenant, number, self.is_unknown, now);
        }
    }
}
