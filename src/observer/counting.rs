//! An observer that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{CacheUse, CallOutcome, Event, EventKind, Observer, Wait};

/// An [`Observer`] that counts what clients do. Clones share their counters, so one observer can serve many clients and be read
/// while they work.
///
/// # Example
///
/// ```
/// use servicebay::{CountingObserver, Wait};
/// # use servicebay::testing::fixably::{MockServer, TokenKind};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = MockServer::start().await;
/// let counts = CountingObserver::new();
/// let client = server.client_builder(TokenKind::AdminAll).with_observer(counts.clone()).build()?;
/// client.get_order().id(20000010).send().await?;
/// assert_eq!((counts.calls(), counts.failed_calls(), counts.attempts()), (1, 0, 1));
/// println!("waited for the limit: {} times, {:?}", counts.waits(Wait::Limit), counts.waited(Wait::Limit));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct CountingObserver {
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct Counters {
    calls: AtomicU64,
    failed_calls: AtomicU64,
    canceled_calls: AtomicU64,
    attempts: AtomicU64,
    confirmed_responses: AtomicU64,
    fresh_responses: AtomicU64,
    stale_responses: AtomicU64,
    retries: AtomicU64,
    rate_limited: AtomicU64,
    refreshes: AtomicU64,
    failed_refreshes: AtomicU64,
    repaired_bodies: AtomicU64,
    skipped_values: AtomicU64,
    list_changes: AtomicU64,
    maybe_missed_items: AtomicU64,
    backoff: WaitCounter,
    limit: WaitCounter,
    token: WaitCounter,
}

/// The number of waits, and their total length.
#[derive(Debug, Default)]
struct WaitCounter {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl CountingObserver {
    /// An observer with all counts at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls that ended: successful, failed and canceled ones.
    pub fn calls(&self) -> u64 {
        self.counters.calls.load(Ordering::Relaxed)
    }

    /// Calls that returned an error.
    pub fn failed_calls(&self) -> u64 {
        self.counters.failed_calls.load(Ordering::Relaxed)
    }

    /// Calls whose future was dropped before they ended.
    pub fn canceled_calls(&self) -> u64 {
        self.counters.canceled_calls.load(Ordering::Relaxed)
    }

    /// Requests that were sent, including token requests.
    pub fn attempts(&self) -> u64 {
        self.counters.attempts.load(Ordering::Relaxed)
    }

    /// Calls that a stored response served in this way.
    pub fn cached_responses(&self, cache_use: CacheUse) -> u64 {
        self.counters.cached_responses(cache_use).load(Ordering::Relaxed)
    }

    /// Attempts that failed and were repeated after a delay. Attempts that the rate limit rejected are not included.
    pub fn retries(&self) -> u64 {
        self.counters.retries.load(Ordering::Relaxed)
    }

    /// Attempts that the vendor's rate limit rejected (429).
    pub fn rate_limited(&self) -> u64 {
        self.counters.rate_limited.load(Ordering::Relaxed)
    }

    /// Token refreshes that produced a new token.
    pub fn refreshes(&self) -> u64 {
        self.counters.refreshes.load(Ordering::Relaxed)
    }

    /// Token refreshes that failed.
    pub fn failed_refreshes(&self) -> u64 {
        self.counters.failed_refreshes.load(Ordering::Relaxed)
    }

    /// Response bodies that were not valid JSON and were repaired.
    pub fn repaired_bodies(&self) -> u64 {
        self.counters.repaired_bodies.load(Ordering::Relaxed)
    }

    /// Values of responses, fields and elements of lists, that had another shape than expected and were left out.
    pub fn skipped_values(&self) -> u64 {
        self.counters.skipped_values.load(Ordering::Relaxed)
    }

    /// Pages that showed that their list had changed, or that the vendor sent fewer items than it counts.
    pub fn list_changes(&self) -> u64 {
        self.counters.list_changes.load(Ordering::Relaxed)
    }

    /// The most items that may be missing from lists that were read, according to their totals.
    pub fn maybe_missed_items(&self) -> u64 {
        self.counters.maybe_missed_items.load(Ordering::Relaxed)
    }

    /// Waits for this reason that ended.
    pub fn waits(&self, reason: Wait) -> u64 {
        self.counters.wait(reason).count.load(Ordering::Relaxed)
    }

    /// The total time that calls waited for this reason. It wraps around after 584 years.
    pub fn waited(&self, reason: Wait) -> Duration {
        Duration::from_nanos(self.counters.wait(reason).nanoseconds.load(Ordering::Relaxed))
    }
}

impl Observer for CountingObserver {
    fn observe(&self, event: &Event<'_>) {
        let counters = &*self.counters;
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match event.kind {
            EventKind::Attempt { .. } => count(&counters.attempts),
            EventKind::CachedResponse { cache_use } => count(counters.cached_responses(cache_use)),
            EventKind::Call { outcome, .. } => {
                match outcome {
                    CallOutcome::Canceled => count(&counters.canceled_calls),
                    CallOutcome::Failed(_) => count(&counters.failed_calls),
                    CallOutcome::Succeeded => 0,
                };
                count(&counters.calls)
            }
            EventKind::ListChanged { changes } => {
                counters.maybe_missed_items.fetch_add(changes.maybe_missed(), Ordering::Relaxed);
                count(&counters.list_changes)
            }
            EventKind::RateLimited { .. } => count(&counters.rate_limited),
            EventKind::Refresh { failure: None, .. } => count(&counters.refreshes),
            EventKind::Refresh { failure: Some(_), .. } => count(&counters.failed_refreshes),
            EventKind::RepairedBody { .. } => count(&counters.repaired_bodies),
            EventKind::SkippedValues { count, .. } => counters.skipped_values.fetch_add(count, Ordering::Relaxed),
            EventKind::Retry { .. } => count(&counters.retries),
            EventKind::Wait { reason, waited } => {
                let wait = counters.wait(reason);
                let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
                wait.nanoseconds.fetch_add(waited, Ordering::Relaxed);
                count(&wait.count)
            }
        };
    }
}

impl Counters {
    fn cached_responses(&self, cache_use: CacheUse) -> &AtomicU64 {
        match cache_use {
            CacheUse::Confirmed => &self.confirmed_responses,
            CacheUse::Fresh => &self.fresh_responses,
            CacheUse::StaleIfError => &self.stale_responses,
        }
    }

    fn wait(&self, reason: Wait) -> &WaitCounter {
        match reason {
            Wait::Backoff => &self.backoff,
            Wait::Limit => &self.limit,
            Wait::Token => &self.token,
        }
    }
}
