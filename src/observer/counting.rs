//! An observer that counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{Event, EventKind, Observer, Outcome, Wait};

/// An [`Observer`] that counts what clients do, from its making on. Clones share the counts: one tally can be set for many
/// clients, and read while they work.
///
/// # Example
///
/// ```
/// use servicebay::{CountingObserver, Wait};
/// # use servicebay::testing::fixably::{MockServer, TokenKind};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let tenant = MockServer::start().await;
/// let tally = CountingObserver::new();
/// let client = tenant.client_builder(TokenKind::AdminAll).with_observer(tally.clone()).build()?;
/// client.get_order().id(20000010).send().await?;
/// assert_eq!((tally.calls(), tally.failed_calls(), tally.attempts()), (1, 0, 1));
/// println!("waited for the limit: {} times, {:?}", tally.waits(Wait::Limit), tally.waited(Wait::Limit));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct CountingObserver {
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    calls: AtomicU64,
    failed_calls: AtomicU64,
    cancelled_calls: AtomicU64,
    attempts: AtomicU64,
    retries: AtomicU64,
    refused: AtomicU64,
    refreshes: AtomicU64,
    failed_refreshes: AtomicU64,
    backoffs: Waits,
    limits: Waits,
    tokens: Waits,
}

/// How many waits there were, and how long together.
#[derive(Debug, Default)]
struct Waits {
    count: AtomicU64,
    nanoseconds: AtomicU64,
}

impl CountingObserver {
    /// A tally with every count at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Calls that ended: well, with an error, or because they were dropped.
    pub fn calls(&self) -> u64 {
        self.counts.calls.load(Ordering::Relaxed)
    }

    /// Calls that ended with an error.
    pub fn failed_calls(&self) -> u64 {
        self.counts.failed_calls.load(Ordering::Relaxed)
    }

    /// Calls whose future was dropped before they ended.
    pub fn cancelled_calls(&self) -> u64 {
        self.counts.cancelled_calls.load(Ordering::Relaxed)
    }

    /// Requests that were sent, those for tokens included.
    pub fn attempts(&self) -> u64 {
        self.counts.attempts.load(Ordering::Relaxed)
    }

    /// Attempts that failed and were repeated after a pause. Those that the vendor refused for the limit are not among them.
    pub fn retries(&self) -> u64 {
        self.counts.retries.load(Ordering::Relaxed)
    }

    /// Attempts that the vendor refused for the tenant's limit (429).
    pub fn refused(&self) -> u64 {
        self.counts.refused.load(Ordering::Relaxed)
    }

    /// Renewals of tokens that brought a new one.
    pub fn refreshes(&self) -> u64 {
        self.counts.refreshes.load(Ordering::Relaxed)
    }

    /// Renewals of tokens that brought none.
    pub fn failed_refreshes(&self) -> u64 {
        self.counts.failed_refreshes.load(Ordering::Relaxed)
    }

    /// Waits of this kind that ended.
    pub fn waits(&self, why: Wait) -> u64 {
        self.counts.of(why).count.load(Ordering::Relaxed)
    }

    /// How long the waits of this kind were together, over all calls. Full at 584 years.
    pub fn waited(&self, why: Wait) -> Duration {
        Duration::from_nanos(self.counts.of(why).nanoseconds.load(Ordering::Relaxed))
    }
}

impl Observer for CountingObserver {
    fn observe(&self, event: &Event<'_>) {
        let counts = &*self.counts;
        let count = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        match event.kind {
            EventKind::Attempt { .. } => count(&counts.attempts),
            EventKind::Call { outcome, .. } => {
                match outcome {
                    Outcome::Cancelled => count(&counts.cancelled_calls),
                    Outcome::Failed(_) => count(&counts.failed_calls),
                    Outcome::Succeeded => 0,
                };
                count(&counts.calls)
            }
            EventKind::Refresh { failure: None, .. } => count(&counts.refreshes),
            EventKind::Refresh { failure: Some(_), .. } => count(&counts.failed_refreshes),
            EventKind::Refused { .. } => count(&counts.refused),
            EventKind::Retry { .. } => count(&counts.retries),
            EventKind::Wait { why, waited } => {
                let waits = counts.of(why);
                let waited = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
                waits.nanoseconds.fetch_add(waited, Ordering::Relaxed);
                count(&waits.count)
            }
        };
    }
}

impl Counts {
    fn of(&self, why: Wait) -> &Waits {
        match why {
            Wait::Backoff => &self.backoffs,
            Wait::Limit => &self.limits,
            Wait::Token => &self.tokens,
        }
    }
}
