//! What is kept by key, in the order in which it was last asked for.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

/// So many in a row that are due and needed are passed over in one sweep, so that a sweep has an end when all are.
const PASSED_OVER: usize = 16;

#[derive(Debug)]
pub(super) struct Shelf<T> {
    kept: HashMap<Arc<str>, Kept<T>>,
    /// The keys, by turn. The first is the one that was asked for least recently.
    order: BTreeMap<u64, Arc<str>>,
    /// The next turn.
    next: u64,
    capacity: usize,
    idle: Duration,
}

#[derive(Debug)]
struct Kept<T> {
    item: T,
    turn: u64,
    asked_at: Instant,
}

impl<T> Shelf<T> {
    pub(super) fn new(capacity: usize, idle: Duration) -> Self {
        Self { kept: HashMap::new(), order: BTreeMap::new(), next: 0, capacity, idle }
    }

    /// What is kept under a key, which counts as asking for it.
    pub(super) fn get(&mut self, key: &str, now: Instant) -> Option<&T> {
        let kept = self.kept.get_mut(key)?;
        let key = self.order.remove(&kept.turn)?;
        (kept.turn, kept.asked_at) = (self.next, now);
        self.order.insert(self.next, key);
        self.next += 1;
        Some(&kept.item)
    }

    /// Keeps something under a key that there is nothing under.
    pub(super) fn put(&mut self, key: Arc<str>, item: T, now: Instant) {
        self.order.insert(self.next, Arc::clone(&key));
        self.kept.insert(key, Kept { item, turn: self.next, asked_at: now });
        self.next += 1;
    }

    pub(super) fn remove(&mut self, key: &str) -> Option<T> {
        let kept = self.kept.remove(key)?;
        self.order.remove(&kept.turn);
        Some(kept.item)
    }

    /// Takes out what is beyond the capacity, and what nobody has asked for in time. What is needed counts as asked
    /// for.
    pub(super) fn sweep(&mut self, now: Instant, is_needed: impl Fn(&T) -> bool) -> Vec<T> {
        let mut swept = Vec::new();
        let mut passed_over = 0;
        while passed_over < PASSED_OVER
            && let Some(key) = self.due(now)
        {
            if is_needed(&self.kept[&key].item) {
                self.get(&key, now);
                passed_over += 1;
            } else {
                swept.extend(self.remove(&key));
            }
        }
        swept
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// The key that was asked for least recently, if what is under it has to go.
    fn due(&self, now: Instant) -> Option<Arc<str>> {
        let key = self.order.values().next()?;
        let is_idle = now.saturating_duration_since(self.kept[key].asked_at) >= self.idle;
        (is_idle || self.kept.len() > self.capacity).then(|| Arc::clone(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// A shelf for three, with these names on it.
    fn shelf(names: &[&'static str], now: Instant) -> Shelf<&'static str> {
        let mut shelf = Shelf::new(3, MINUTE);
        for name in names {
            shelf.put((*name).into(), *name, now);
        }
        shelf
    }

    #[test]
    fn the_least_recently_asked_for_goes_first() {
        let now = Instant::now();
        let mut shelf = shelf(&["a", "b", "c"], now);
        assert_eq!(shelf.get("a", now), Some(&"a"));
        shelf.put("d".into(), "d", now);
        assert_eq!(shelf.sweep(now, |_| false), ["b"]);
        shelf.put("e".into(), "e", now);
        assert_eq!(shelf.sweep(now, |_| false), ["c"]);
        assert_eq!((shelf.len(), shelf.get("b", now)), (3, None));
    }

    #[test]
    fn what_nobody_asks_for_in_time_goes() {
        let now = Instant::now();
        let mut shelf = shelf(&["a", "b"], now);
        shelf.get("a", now + MINUTE / 2);
        assert!(shelf.sweep(now + MINUTE - Duration::from_nanos(1), |_| false).is_empty());
        assert_eq!(shelf.sweep(now + MINUTE, |_| false), ["b"]);
        assert_eq!(shelf.sweep(now + MINUTE * 3 / 2, |_| false), ["a"]);
        assert_eq!((shelf.len(), shelf.order.len()), (0, 0));
    }

    #[test]
    fn what_is_needed_stays_and_the_next_goes_instead() {
        let now = Instant::now();
        let mut shelf = shelf(&["a", "b", "c", "d", "e"], now);
        assert_eq!(shelf.sweep(now, |name| *name == "a"), ["b", "c"]);
        assert_eq!(shelf.sweep(now + 2 * MINUTE, |name| *name == "a"), ["d", "e"]);
        assert_eq!(shelf.sweep(now + 4 * MINUTE, |_| false), ["a"]);
    }

    #[test]
    fn a_sweep_ends_even_if_all_are_needed_and_goes_on_where_it_was() {
        let now = Instant::now();
        let mut shelf = Shelf::new(0, MINUTE);
        (0..40).for_each(|number: u32| shelf.put(number.to_string().into(), number, now));
        for _ in 0..3 {
            assert!(shelf.sweep(now, |_| true).is_empty());
        }
        assert_eq!((shelf.len(), shelf.next), (40, 40 + 3 * PASSED_OVER as u64));
        assert_eq!(shelf.sweep(now, |number| *number != 8), [8], "48 looks: the next is the eighth again");
    }

    #[test]
    fn what_is_removed_is_gone_and_its_key_is_free() {
        let now = Instant::now();
        let mut shelf = shelf(&["a"], now);
        assert_eq!((shelf.remove("a"), shelf.remove("a"), shelf.get("a", now)), (Some("a"), None, None));
        shelf.put("a".into(), "another", now);
        assert_eq!(shelf.get("a", now), Some(&"another"));
        assert_eq!(shelf.order.len(), 1);
    }
}
