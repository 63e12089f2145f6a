//! A least-recently-used cache of clients by key, with a capacity and an idle time. Pure: time comes in as a value.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// One eviction skips at most this many clients that are in use, so that it ends even if all of them are.
const MAX_SKIPPED: usize = 16;

#[derive(Debug)]
pub(super) struct ClientCache<T> {
    entries: HashMap<Arc<str>, CacheEntry<T>>,
    /// The keys by their last use. The first is the least recently used.
    by_use: BTreeMap<u64, Arc<str>>,
    /// The number of the next use.
    next_use: u64,
    capacity: usize,
    idle_time: Duration,
}

#[derive(Debug)]
struct CacheEntry<T> {
    client: T,
    last_use: u64,
    used_at: Instant,
}

impl<T> ClientCache<T> {
    pub(super) fn new(capacity: usize, idle_time: Duration) -> Self {
        Self { entries: HashMap::new(), by_use: BTreeMap::new(), next_use: 0, capacity, idle_time }
    }

    /// The client under a key. Counts as a use.
    pub(super) fn get(&mut self, key: &str, now: Instant) -> Option<&T> {
        let entry = self.entries.get_mut(key)?;
        let key = self.by_use.remove(&entry.last_use)?;
        (entry.last_use, entry.used_at) = (self.next_use, now);
        self.by_use.insert(self.next_use, key);
        self.next_use += 1;
        Some(&entry.client)
    }

    /// Inserts a client under a key that has none.
    pub(super) fn insert(&mut self, key: Arc<str>, client: T, now: Instant) {
        self.by_use.insert(self.next_use, Arc::clone(&key));
        self.entries.insert(key, CacheEntry { client, last_use: self.next_use, used_at: now });
        self.next_use += 1;
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<T> {
        let entry = self.entries.remove(key)?;
        self.by_use.remove(&entry.last_use);
        Some(entry.client)
    }

    /// Removes and returns the clients that are idle or beyond the capacity. One that is in use stays, and counts as used
    /// now.
    pub(super) fn evict(&mut self, now: Instant, is_in_use: impl Fn(&T) -> bool) -> Vec<T> {
        let mut evicted = Vec::new();
        let mut skipped = 0;
        while skipped < MAX_SKIPPED
            && let Some(key) = self.first_due(now)
        {
            if is_in_use(&self.entries[&key].client) {
                self.get(&key, now);
                skipped += 1;
            } else {
                evicted.extend(self.remove(&key));
            }
        }
        evicted
    }

    /// All clients.
    pub(super) fn values(&self) -> Vec<T>
    where
        T: Clone,
    {
        self.entries.values().map(|entry| entry.client.clone()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The least recently used key, if it is to be evicted.
    fn first_due(&self, now: Instant) -> Option<Arc<str>> {
        let key = self.by_use.values().next()?;
        let is_idle = now.saturating_duration_since(self.entries[key].used_at) >= self.idle_time;
        (is_idle || self.entries.len() > self.capacity).then(|| Arc::clone(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A cache for three, with these clients in it.
    fn cache(names: &[&'static str], now: Instant) -> ClientCache<&'static str> {
        let mut cache = ClientCache::new(3, MINUTE);
        for name in names {
            cache.insert((*name).into(), *name, now);
        }
        cache
    }

    #[test]
    fn the_least_recently_used_client_is_evicted_first() {
        let now = Instant::now();
        let mut cache = cache(&["a", "b", "c"], now);
        assert_eq!(cache.get("a", now), Some(&"a"));
        cache.insert("d".into(), "d", now);
        assert_eq!(cache.evict(now, |_| false), ["b"]);
        cache.insert("e".into(), "e", now);
        assert_eq!(cache.evict(now, |_| false), ["c"]);
        assert_eq!((cache.len(), cache.get("b", now)), (3, None));
    }

    #[test]
    fn an_idle_client_is_evicted() {
        let now = Instant::now();
        let mut cache = cache(&["a", "b"], now);
        cache.get("a", now + MINUTE / 2);
        assert!(cache.evict(now + MINUTE - Duration::from_nanos(1), |_| false).is_empty());
        assert_eq!(cache.evict(now + MINUTE, |_| false), ["b"]);
        assert_eq!(cache.evict(now + MINUTE * 3 / 2, |_| false), ["a"]);
        assert_eq!((cache.len(), cache.by_use.len()), (0, 0));
    }

    #[test]
    fn a_client_in_use_stays_and_the_next_is_evicted_instead() {
        let now = Instant::now();
        let mut cache = cache(&["a", "b", "c", "d", "e"], now);
        assert_eq!(cache.evict(now, |name| *name == "a"), ["b", "c"]);
        assert_eq!(cache.evict(now + 2 * MINUTE, |name| *name == "a"), ["d", "e"]);
        assert_eq!(cache.evict(now + 4 * MINUTE, |_| false), ["a"]);
    }

    #[test]
    fn an_eviction_ends_even_if_all_clients_are_in_use_and_the_next_continues_there() {
        let now = Instant::now();
        let mut cache = ClientCache::new(0, MINUTE);
        (0..40).for_each(|number: u32| cache.insert(number.to_string().into(), number, now));
        for _ in 0..3 {
            assert!(cache.evict(now, |_| true).is_empty());
        }
        assert_eq!((cache.len(), cache.next_use), (40, 40 + 3 * MAX_SKIPPED as u64));
        assert_eq!(cache.evict(now, |number| *number != 8), [8], "after 48 checks, the eighth is next again");
    }

    #[test]
    fn a_removed_client_is_gone_and_its_key_is_free() {
        let now = Instant::now();
        let mut cache = cache(&["a"], now);
        assert_eq!((cache.remove("a"), cache.remove("a"), cache.get("a", now)), (Some("a"), None, None));
        cache.insert("a".into(), "another", now);
        assert_eq!(cache.get("a", now), Some(&"another"));
        assert_eq!(cache.by_use.len(), 1);
    }
}
