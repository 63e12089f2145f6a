//! The stored responses of all clients that share a cache: bounded, least recently used first out, and forgotten when a write
//! may have outdated them. Pure: time comes in as a value.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::stored_response::StoredResponse;

/// How long after a write whose outcome is unknown it may still be applied, so that no response is stored.
pub(super) const UNKNOWN_WRITE: Duration = Duration::from_secs(60);

/// The responses, the reads in flight and the writes in flight.
#[derive(Debug)]
pub(super) struct CacheMemory {
    tenants: HashMap<Arc<str>, CachedTenant>,
    /// The responses by their last use. The first is the least recently used.
    by_use: BTreeMap<u64, (Arc<str>, Arc<str>)>,
    /// The number of the next use, read or write. Later ones have higher numbers.
    next: u64,
    used_bytes: usize,
    pub(super) max_bytes: usize,
    pub(super) max_entry_bytes: usize,
}

/// What is known of a tenant. Its clients share the writes, and no response.
#[derive(Debug, Default)]
struct CachedTenant {
    clients: usize,
    responses: HashMap<Arc<str>, MemorySlot>,
    reads: HashMap<u64, ReadInFlight>,
    writes: Vec<WriteRecord>,
}

#[derive(Debug)]
struct MemorySlot {
    response: Arc<StoredResponse>,
    resource: ResourceKind,
    last_use: u64,
    /// The read that brought it.
    read: u64,
    bytes: usize,
}

#[derive(Debug)]
struct ReadInFlight {
    resource: ResourceKind,
    client: u64,
    /// Whether what it returns may be older than a write.
    is_outdated: bool,
}

/// A write in flight, or one whose outcome is unknown.
#[derive(Debug)]
struct WriteRecord {
    number: u64,
    resource: ResourceKind,
    /// When it has certainly been applied or not; `None` while it is in flight.
    until: Option<Instant>,
}

/// The kind of objects that a path is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResourceKind {
    /// The first segment of the path below the base URL.
    name: Box<str>,
    /// Whether a write to another resource leaves it as it is.
    is_reference: bool,
}

impl ResourceKind {
    /// The resource of a path below the base URL, at a vendor with this reference data.
    pub(super) fn of(path: &str, reference_data: &[&str]) -> Self {
        let name = path.trim_start_matches('/').split('/').next().unwrap_or_default();
        Self { name: name.into(), is_reference: reference_data.contains(&name) }
    }

    /// Whether a write to `written` may change it.
    fn may_change_with(&self, written: &Self) -> bool {
        !self.is_reference || self.name == written.name
    }
}

impl CacheMemory {
    pub(super) fn new(max_bytes: usize, max_entry_bytes: usize) -> Self {
        let (tenants, by_use) = (HashMap::new(), BTreeMap::new());
        Self { tenants, by_use, next: 0, used_bytes: 0, max_bytes, max_entry_bytes }
    }

    /// Adds a client of a tenant, and returns its number.
    pub(super) fn add_client(&mut self, tenant: &Arc<str>) -> u64 {
        self.tenants.entry(Arc::clone(tenant)).or_default().clients += 1;
        self.next_number()
    }

    /// Removes a client of a tenant, whose keys begin with `owner`.
    pub(super) fn remove_client(&mut self, tenant: &str, client: u64, owner: &str) {
        self.forget_client(tenant, client, owner);
        if let Some(known) = self.tenants.get_mut(tenant) {
            known.clients -= 1;
            if known.clients == 0 {
                self.tenants.remove(tenant);
            }
        }
    }

    /// The response under a key. Counts as a use.
    pub(super) fn get(&mut self, tenant: &str, key: &str) -> Option<Arc<StoredResponse>> {
        let number = self.next_number();
        let slot = self.tenants.get_mut(tenant)?.responses.get_mut(key)?;
        if let Some(keys) = self.by_use.remove(&slot.last_use) {
            self.by_use.insert(number, keys);
        }
        slot.last_use = number;
        Some(Arc::clone(&slot.response))
    }

    /// Begins a read, and returns its number.
    pub(super) fn begin_read(&mut self, tenant: &str, client: u64, resource: &ResourceKind, now: Instant) -> u64 {
        let number = self.next_number();
        if let Some(tenant) = self.tenants.get_mut(tenant) {
            tenant.writes.retain(|write| !write.is_over(now));
            let is_outdated = tenant.writes.iter().any(|write| resource.may_change_with(&write.resource));
            tenant.reads.insert(number, ReadInFlight { resource: resource.clone(), client, is_outdated });
        }
        number
    }

    /// Whether no write since the beginning of a read may have outdated it.
    pub(super) fn is_current(&self, tenant: &str, read: u64) -> bool {
        let read = self.tenants.get(tenant).and_then(|tenant| tenant.reads.get(&read));
        read.is_some_and(|read| !read.is_outdated)
    }

    pub(super) fn end_read(&mut self, tenant: &str, read: u64) {
        if let Some(tenant) = self.tenants.get_mut(tenant) {
            tenant.reads.remove(&read);
        }
    }

    /// Whether a response with a body of this size may be within the bounds.
    pub(super) fn accepts(&self, body_bytes: usize) -> bool {
        body_bytes <= self.max_entry_bytes.min(self.max_bytes)
    }

    /// Stores the response of a read, unless it may be outdated, is too large, or a later read has brought another one.
    pub(super) fn store(&mut self, tenant: &Arc<str>, key: &Arc<str>, read: u64, response: Arc<StoredResponse>) {
        self.supersede(tenant, key, read);
        let bytes = response.size(key);
        if bytes > self.max_entry_bytes.min(self.max_bytes) {
            return;
        }
        let last_use = self.next_number();
        let Some(known) = self.tenants.get_mut(&**tenant) else { return };
        let Some(in_flight) = known.reads.get(&read).filter(|read| !read.is_outdated) else { return };
        if known.responses.contains_key(key) {
            return;
        }
        let slot = MemorySlot { response, resource: in_flight.resource.clone(), last_use, read, bytes };
        known.responses.insert(Arc::clone(key), slot);
        self.by_use.insert(last_use, (Arc::clone(tenant), Arc::clone(key)));
        self.used_bytes += bytes;
        self.evict();
    }

    /// Forgets the response under a key, unless a later read has brought it.
    pub(super) fn supersede(&mut self, tenant: &str, key: &str, read: u64) {
        let Some(known) = self.tenants.get_mut(tenant) else { return };
        if known.responses.get(key).is_some_and(|slot| slot.read < read)
            && let Some(slot) = known.responses.remove(key)
        {
            self.by_use.remove(&slot.last_use);
            self.used_bytes -= slot.bytes;
        }
    }

    /// Begins a write: forgets what it may change, and keeps the reads in flight from being stored. Returns its number.
    pub(super) fn begin_write(&mut self, tenant: &str, resource: &ResourceKind, now: Instant) -> u64 {
        let number = self.next_number();
        self.forget(tenant, |stored, _| stored.may_change_with(resource));
        if let Some(tenant) = self.tenants.get_mut(tenant) {
            tenant.writes.retain(|write| !write.is_over(now));
            tenant.writes.push(WriteRecord { number, resource: resource.clone(), until: None });
            for read in tenant.reads.values_mut() {
                read.is_outdated |= read.resource.may_change_with(resource);
            }
        }
        number
    }

    /// Ends a write, which has been applied or not. If that is unknown, it may still be applied.
    pub(super) fn end_write(&mut self, tenant: &str, write: u64, is_unknown: bool, now: Instant) {
        let Some(tenant) = self.tenants.get_mut(tenant) else { return };
        match is_unknown {
            true => {
                let records = tenant.writes.iter_mut().filter(|record| record.number == write);
                records.for_each(|record| record.until = Some(now + UNKNOWN_WRITE));
            }
            false => tenant.writes.retain(|record| record.number != write),
        }
    }

    /// Forgets the responses of a client, whose keys begin with `owner`, and keeps its reads in flight from being stored.
    pub(super) fn forget_client(&mut self, tenant: &str, client: u64, owner: &str) {
        self.forget(tenant, |_, key| key.starts_with(owner));
        if let Some(tenant) = self.tenants.get_mut(tenant) {
            tenant.reads.values_mut().filter(|read| read.client == client).for_each(|read| read.is_outdated = true);
        }
    }

    /// Forgets all responses, and keeps the reads in flight from being stored.
    pub(super) fn clear(&mut self) {
        for tenant in self.tenants.values_mut() {
            tenant.responses.clear();
            tenant.reads.values_mut().for_each(|read| read.is_outdated = true);
        }
        self.by_use.clear();
        self.used_bytes = 0;
    }

    /// Forgets the least recently used responses until the others are within the bound.
    pub(super) fn evict(&mut self) {
        while self.used_bytes > self.max_bytes
            && let Some((_, (tenant, key))) = self.by_use.pop_first()
        {
            let slot = self.tenants.get_mut(&tenant).and_then(|tenant| tenant.responses.remove(&key));
            self.used_bytes -= slot.map_or(0, |slot| slot.bytes);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.by_use.len()
    }

    pub(super) fn used_bytes(&self) -> usize {
        self.used_bytes
    }

    fn forget(&mut self, tenant: &str, is_forgotten: impl Fn(&ResourceKind, &str) -> bool) {
        let Self { tenants, by_use, used_bytes, .. } = self;
        let Some(tenant) = tenants.get_mut(tenant) else { return };
        tenant.responses.retain(|key, slot| {
            let is_kept = !is_forgotten(&slot.resource, key);
            if !is_kept {
                by_use.remove(&slot.last_use);
                *used_bytes -= slot.bytes;
            }
            is_kept
        });
    }

    fn next_number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

impl WriteRecord {
    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;
    use http::header::{CACHE_CONTROL, HeaderValue};
    use proptest::prelude::*;

    use super::super::freshness::Moment;
    use super::*;
    use crate::clock::Clock;

    const KIB: usize = 1024;

    /// A response whose body has this size.
    fn response(bytes: usize) -> Arc<StoredResponse> {
        let headers = HeaderMap::from_iter([(CACHE_CONTROL, HeaderValue::from_static("max-age=60"))]);
        Arc::new(StoredResponse::new(&headers, &vec![0; bytes], Moment::now(Clock::System)).unwrap())
    }

    fn now() -> Instant {
        Moment::now(Clock::System).instant()
    }

    fn resource(path: &str) -> ResourceKind {
        ResourceKind::of(path, &["statuses"])
    }

    /// A cache for this many responses of a KiB each, with one client of one tenant.
    fn memory(responses: usize) -> (CacheMemory, Arc<str>) {
        let mut memory = CacheMemory::new(responses * response(KIB).size("aa"), usize::MAX);
        let tenant = "acme".into();
        memory.add_client(&tenant);
        (memory, tenant)
    }

    /// Reads and stores a response of a KiB.
    fn store(memory: &mut CacheMemory, tenant: &Arc<str>, key: &str, path: &str) {
        let read = memory.begin_read(tenant, 1, &resource(path), now());
        memory.store(tenant, &key.into(), read, response(KIB));
        memory.end_read(tenant, read);
    }

    fn keys<'a>(memory: &CacheMemory, keys: &[&'a str]) -> Vec<&'a str> {
        keys.iter().copied().filter(|key| memory.tenants["acme"].responses.contains_key(*key)).collect()
    }

    #[test]
    fn the_least_recently_used_response_goes_first() {
        let (mut memory, tenant) = memory(3);
        for key in ["a1", "b1", "c1"] {
            store(&mut memory, &tenant, key, "orders");
        }
        assert!(memory.get(&tenant, "a1").is_some() && memory.get(&tenant, "x1").is_none());
        store(&mut memory, &tenant, "d1", "orders");
        assert_eq!(keys(&memory, &["a1", "b1", "c1", "d1"]), ["a1", "c1", "d1"]);
        assert_eq!((memory.len(), memory.used_bytes()), (3, memory.max_bytes));
    }

    #[test]
    fn a_response_beyond_either_bound_is_not_stored_and_evicts_nothing() {
        let (mut memory, tenant) = memory(2);
        store(&mut memory, &tenant, "a1", "orders");
        for (max_entry_bytes, bytes) in [(usize::MAX, 4 * KIB), (2 * KIB, 2 * KIB)] {
            memory.max_entry_bytes = max_entry_bytes;
            let read = memory.begin_read(&tenant, 1, &resource("orders"), now());
            memory.store(&tenant, &"b1".into(), read, response(bytes));
            assert_eq!(keys(&memory, &["a1", "b1"]), ["a1"], "{bytes}");
        }
    }

    #[test]
    fn a_response_that_is_replaced_by_one_that_is_too_large_is_gone() {
        let (mut memory, tenant) = memory(2);
        store(&mut memory, &tenant, "a1", "orders");
        let read = memory.begin_read(&tenant, 1, &resource("orders"), now());
        memory.store(&tenant, &"a1".into(), read, response(100 * KIB));
        assert_eq!((memory.len(), memory.used_bytes()), (0, 0));
    }

    #[test]
    fn the_response_of_an_earlier_read_never_replaces_that_of_a_later_one() {
        let (mut memory, tenant) = memory(9);
        let (key, orders) = (Arc::from("a1"), resource("orders"));
        let reads = [(), ()].map(|()| memory.begin_read(&tenant, 1, &orders, now()));
        memory.store(&tenant, &key, reads[1], response(2));
        memory.store(&tenant, &key, reads[0], response(1));
        assert_eq!(memory.get(&tenant, &key).unwrap().body().len(), 2);
    }

    #[test]
    fn a_write_forgets_all_but_the_reference_data_of_its_tenant() {
        let (mut memory, tenant) = memory(9);
        let other: Arc<str> = "other".into();
        memory.add_client(&other);
        store(&mut memory, &other, "o1", "orders/1");
        let paths = ["orders", "orders/1", "orders/1/lines", "customers/1", "statuses", "statuses/1"];
        let stored = ["a1", "b1", "c1", "d1", "e1", "f1"];
        for (written, left) in [("orders/1/lines/5", &["e1", "f1"][..]), ("statuses/1", &[])] {
            paths.iter().zip(stored).for_each(|(path, key)| store(&mut memory, &tenant, key, path));
            let write = memory.begin_write(&tenant, &resource(written), now());
            memory.end_write(&tenant, write, false, now());
            assert_eq!(keys(&memory, &stored), left, "{written}");
        }
        assert!(memory.get(&other, "o1").is_some());
    }

    #[test]
    fn what_a_read_returns_is_not_stored_if_a_write_was_in_flight_meanwhile() {
        let (mut memory, tenant) = memory(9);
        let (orders, statuses) = (resource("orders/1"), resource("statuses"));
        let before = memory.begin_read(&tenant, 1, &orders, now());
        let reference = memory.begin_read(&tenant, 1, &statuses, now());
        let write = memory.begin_write(&tenant, &orders, now());
        let during = memory.begin_read(&tenant, 1, &orders, now());
        memory.end_write(&tenant, write, false, now());
        let after = memory.begin_read(&tenant, 1, &orders, now());
        for (key, read) in [("a1", before), ("b1", during), ("c1", after), ("d1", reference)] {
            assert_eq!(memory.is_current(&tenant, read), ["c1", "d1"].contains(&key), "{key}");
            memory.store(&tenant, &key.into(), read, response(KIB));
            memory.end_read(&tenant, read);
        }
        assert_eq!(keys(&memory, &["a1", "b1", "c1", "d1"]), ["c1", "d1"]);
    }

    #[test]
    fn after_a_write_with_an_unknown_outcome_nothing_is_stored_for_a_minute() {
        let (mut memory, tenant) = memory(9);
        let (start, orders) = (now(), resource("orders"));
        let write = memory.begin_write(&tenant, &orders, start);
        memory.end_write(&tenant, write, true, start);
        let early = memory.begin_read(&tenant, 1, &orders, start + UNKNOWN_WRITE - Duration::from_nanos(1));
        let late = memory.begin_read(&tenant, 1, &orders, start + UNKNOWN_WRITE);
        assert!(!memory.is_current(&tenant, early) && memory.is_current(&tenant, late));
        assert!(memory.tenants["acme"].writes.is_empty(), "what is over takes no memory");
    }

    #[test]
    fn a_client_that_is_removed_leaves_nothing_behind() {
        let (mut memory, tenant) = memory(9);
        let client = memory.add_client(&tenant);
        store(&mut memory, &tenant, "2 a", "orders");
        store(&mut memory, &tenant, "1 a", "orders");
        memory.remove_client(&tenant, client, "2 ");
        assert_eq!(keys(&memory, &["1 a", "2 a"]), ["1 a"]);
        memory.remove_client(&tenant, 1, "1 ");
        assert!(memory.tenants.is_empty() && memory.by_use.is_empty());
        // A call that is still under way finds no tenant.
        let read = memory.begin_read(&tenant, 1, &resource("orders"), now());
        memory.store(&tenant, &"1 a".into(), read, response(KIB));
        assert_eq!((memory.len(), memory.used_bytes()), (0, 0));
    }

    proptest! {
        #[test]
        fn the_bookkeeping_agrees_whatever_happens(
            steps in proptest::collection::vec((0..8_u8, 0..2_usize, 0..6_u8, 0..4000_usize), 0..80),
        ) {
            let mut memory = CacheMemory::new(12 * KIB, 4 * KIB);
            let tenants: [Arc<str>; 2] = ["acme".into(), "other".into()];
            for tenant in &tenants {
                memory.add_client(tenant);
            }
            let (mut reads, mut writes) = (Vec::new(), Vec::new());
            for (step, tenant, key, bytes) in steps {
                let (tenant, path) = (&tenants[tenant], ["orders", "statuses"][usize::from(key % 2)]);
                let key: Arc<str> = format!("1 {key}").into();
                match step {
                    0 => reads.push((Arc::clone(tenant), memory.begin_read(tenant, 1, &resource(path), now()))),
                    1 | 2 => {
                        let read = memory.begin_read(tenant, 1, &resource(path), now());
                        memory.store(tenant, &key, read, response(bytes));
                        memory.end_read(tenant, read);
                    }
                    3 => {
                        memory.get(tenant, &key);
                    }
                    4 => writes.push((Arc::clone(tenant), memory.begin_write(tenant, &resource(path), now()))),
                    5 => writes.pop().into_iter().for_each(|(tenant, write)| {
                        memory.end_write(&tenant, write, bytes % 2 == 0, now());
                    }),
                    6 => reads.pop().into_iter().for_each(|(tenant, read)| {
                        memory.store(&tenant, &key, read, response(bytes));
                        memory.end_read(&tenant, read);
                    }),
                    _ => memory.forget_client(tenant, 1, if bytes < 2000 { "1 " } else { "1 3" }),
                }
                let slots: Vec<_> = memory.tenants.values().flat_map(|tenant| tenant.responses.values()).collect();
                prop_assert_eq!(slots.iter().map(|slot| slot.bytes).sum::<usize>(), memory.used_bytes);
                prop_assert!(memory.used_bytes <= memory.max_bytes);
                prop_assert!(slots.iter().all(|slot| slot.bytes <= memory.max_entry_bytes));
                prop_assert_eq!(slots.len(), memory.by_use.len());
                prop_assert!(slots.iter().all(|slot| memory.by_use.contains_key(&slot.last_use)));
            }
        }
    }
}
