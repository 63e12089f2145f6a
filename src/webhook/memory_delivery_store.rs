//! The store of deliveries in memory.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::delivery_key::{ClaimId, DeliveryKey};
use super::delivery_store::{ClaimOutcome, DeliveryStore};
use super::store_error::DeliveryStoreError;
use crate::clock::Clock;

/// How many keys are remembered by default: two for each delivery.
const CAPACITY: usize = 65_536;
/// The longest time that a key is remembered: far enough, and within what every platform's clock can add.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// A store of deliveries in the memory of the process, which is the default. Clones share it.
///
/// It holds up to 65,536 keys, two for each delivery. When it is full, it forgets the handled delivery whose retention ends
/// first; if all keys are claimed, new deliveries are refused with 503. A delivery that it has forgotten can be replayed while
/// its timestamp is inside the replay window, so choose a capacity above twice the deliveries of ten minutes.
///
/// # Example
///
/// ```
/// use servicebay::webhook::MemoryDeliveryStore;
///
/// let store = MemoryDeliveryStore::with_capacity(1_000_000);
/// assert_eq!(store.len(), 0);
/// ```
#[derive(Clone)]
pub struct MemoryDeliveryStore {
    keys: Arc<Mutex<Keys>>,
}

impl MemoryDeliveryStore {
    /// An empty store for 65,536 keys.
    #[must_use]
    pub fn new() -> Self {
        Self::with_capacity(CAPACITY)
    }

    /// An empty store for this many keys, at least two. A delivery takes two.
    #[must_use]
    pub fn with_capacity(keys: usize) -> Self {
        let keys =
            Keys { capacity: keys.max(2), states: HashMap::new(), claimed: BTreeSet::new(), handled: BTreeSet::new() };
        Self { keys: Arc::new(Mutex::new(keys)) }
    }

    /// How many keys it holds, those included whose time is over and that it has not removed yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.keys().states.len()
    }

    /// Whether it holds no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn keys(&self) -> MutexGuard<'_, Keys> {
        // Every change is complete before anything can panic.
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryDeliveryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryDeliveryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDeliveryStore").field("keys", &self.len()).finish_non_exhaustive()
    }
}

impl DeliveryStore for MemoryDeliveryStore {
    async fn claim(
        &self,
        key: &DeliveryKey,
        claim: &ClaimId,
        lease: Duration,
    ) -> Result<ClaimOutcome, DeliveryStoreError> {
        let now = Clock::System.now();
        let mut keys = self.keys();
        keys.remove_expired(now);
        match keys.states.get(key) {
            Some(State { claim: Some(_), .. }) => return Ok(ClaimOutcome::InProgress),
            Some(State { claim: None, .. }) => return Ok(ClaimOutcome::Handled),
            None => {}
        }
        if !keys.make_room() {
            return Err(full());
        }
        keys.insert(*key, State { claim: Some(*claim), until: now + lease.min(LONGEST) });
        Ok(ClaimOutcome::Claimed)
    }

    async fn complete(&self, key: &DeliveryKey, retention: Duration) -> Result<(), DeliveryStoreError> {
        let now = Clock::System.now();
        let mut keys = self.keys();
        keys.remove_expired(now);
        keys.remove(key);
        if !keys.make_room() {
            return Err(full());
        }
        keys.insert(*key, State { claim: None, until: now + retention.min(LONGEST) });
        Ok(())
    }

    async fn release(&self, key: &DeliveryKey, claim: &ClaimId) -> Result<(), DeliveryStoreError> {
        self.abandon(key, claim);
        Ok(())
    }

    fn abandon(&self, key: &DeliveryKey, claim: &ClaimId) {
        let mut keys = self.keys();
        if keys.states.get(key).is_some_and(|state| state.claim == Some(*claim)) {
            keys.remove(key);
        }
    }
}

#[cold]
fn full() -> DeliveryStoreError {
    DeliveryStoreError::new("as many deliveries are being handled as it has room for; raise its capacity")
}

struct Keys {
    capacity: usize,
    states: HashMap<DeliveryKey, State>,
    /// The claimed keys, by the end of their lease.
    claimed: BTreeSet<(Instant, DeliveryKey)>,
    /// The handled keys, by the end of their retention.
    handled: BTreeSet<(Instant, DeliveryKey)>,
}

#[derive(Clone, Copy)]
struct State {
    /// Who handles the delivery; `None` if it was handled.
    claim: Option<ClaimId>,
    until: Instant,
}

impl Keys {
    fn insert(&mut self, key: DeliveryKey, state: State) {
        self.states.insert(key, state);
        self.order(state).insert((state.until, key));
    }

    fn remove(&mut self, key: &DeliveryKey) {
        if let Some(state) = self.states.remove(key) {
            self.order(state).remove(&(state.until, *key));
        }
    }

    fn order(&mut self, state: State) -> &mut BTreeSet<(Instant, DeliveryKey)> {
        if state.claim.is_some() { &mut self.claimed } else { &mut self.handled }
    }

    fn remove_expired(&mut self, now: Instant) {
        for order in [&mut self.claimed, &mut self.handled] {
            while let Some((_, key)) = order.first().copied().filter(|(until, _)| *until <= now) {
                order.pop_first();
                self.states.remove(&key);
            }
        }
    }

    /// Forgets the handled key whose retention ends first, if there is no room for another. Returns whether there is.
    fn make_room(&mut self) -> bool {
        while self.states.len() >= self.capacity {
            let Some((_, key)) = self.handled.pop_first() else { return false };
            self.states.remove(&key);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn key(number: usize) -> DeliveryKey {
        DeliveryKey::of_id("vendor", &number.to_string())
    }

    async fn claim(store: &MemoryDeliveryStore, number: usize) -> (ClaimOutcome, ClaimId) {
        let id = ClaimId::random();
        (store.claim(&key(number), &id, MINUTE).await.unwrap(), id)
    }

    #[tokio::test(start_paused = true)]
    async fn a_claim_ends_with_its_lease_and_cannot_free_the_next_one() {
        let store = MemoryDeliveryStore::new();
        let (outcome, late) = claim(&store, 1).await;
        assert_eq!(outcome, ClaimOutcome::Claimed);
        tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
        assert_eq!(claim(&store, 1).await.0, ClaimOutcome::InProgress);
        tokio::time::advance(Duration::from_millis(1)).await;
        let (outcome, next) = claim(&store, 1).await;
        assert_eq!(outcome, ClaimOutcome::Claimed);

        store.release(&key(1), &late).await.unwrap();
        assert_eq!(claim(&store, 1).await.0, ClaimOutcome::InProgress);
        store.abandon(&key(1), &next);
        assert_eq!(claim(&store, 1).await.0, ClaimOutcome::Claimed);
    }

    #[tokio::test(start_paused = true)]
    async fn a_handled_delivery_is_remembered_for_its_retention_and_cannot_be_released() {
        let store = MemoryDeliveryStore::new();
        let (_, id) = claim(&store, 1).await;
        store.complete(&key(1), 3 * MINUTE).await.unwrap();
        store.release(&key(1), &id).await.unwrap();
        tokio::time::advance(2 * MINUTE).await;
        assert_eq!(claim(&store, 1).await.0, ClaimOutcome::Handled);
        tokio::time::advance(MINUTE).await;
        assert_eq!(claim(&store, 1).await.0, ClaimOutcome::Claimed);
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_durations_do_no_harm() {
        let store = MemoryDeliveryStore::new();
        store.claim(&key(1), &ClaimId::random(), Duration::MAX).await.unwrap();
        store.complete(&key(1), Duration::MAX).await.unwrap();
        assert_eq!(claim(&store, 1).await.0, ClaimOutcome::Handled);
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_store_forgets_the_oldest_handled_delivery_and_never_one_that_is_being_handled() {
        let store = MemoryDeliveryStore::with_capacity(3);
        for number in 0..3 {
            claim(&store, number).await;
        }
        let full = store.claim(&key(3), &ClaimId::random(), MINUTE).await.unwrap_err();
        assert!(full.to_string().contains("raise its capacity"), "{full}");
        for number in [1, 0] {
            store.complete(&key(number), MINUTE).await.unwrap();
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        assert_eq!(claim(&store, 3).await.0, ClaimOutcome::Claimed);
        assert_eq!(
            (claim(&store, 0).await.0, claim(&store, 2).await.0),
            (ClaimOutcome::Handled, ClaimOutcome::InProgress)
        );
        assert_eq!(store.len(), 3);
        assert_eq!(claim(&store, 1).await.0, ClaimOutcome::Claimed, "it was forgotten");
        assert_eq!(store.len(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn the_store_stays_within_its_capacity_and_its_orders_agree_with_its_states() {
        let store = MemoryDeliveryStore::with_capacity(50);
        for round in 0..2_000 {
            let number = round * 7 % 301;
            let id = ClaimId::random();
            let claimed = store.claim(&key(number), &id, MINUTE).await;
            match (claimed, round % 3) {
                (Ok(ClaimOutcome::Claimed), 0) => store.abandon(&key(number), &id),
                (Ok(ClaimOutcome::Claimed), 1) => store.complete(&key(number), 2 * MINUTE).await.unwrap(),
                _ => {}
            }
            tokio::time::advance(Duration::from_secs(round as u64 % 5)).await;
            let keys = store.keys();
            assert!(keys.states.len() <= 50);
            assert_eq!(keys.claimed.len() + keys.handled.len(), keys.states.len());
        }
        assert!(!store.is_empty());
    }
}
