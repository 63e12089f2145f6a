//! The token store of the simulation: shared by all processes, slow, and failing in the ways that a test chooses.

use std::fmt;
use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use fastrand::Rng;
use futures_util::FutureExt as _;
use servicebay::{CompareAndSwap, Lease, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore};
use tokio::time::{Instant, sleep};

use super::host::{Host, ProcessId};

/// Longer than any client waits for a store.
const HANG: Duration = Duration::from_secs(3600);
/// A write that gets lost is lost within this time.
const LOSS_DELAY: Duration = Duration::from_secs(600);

/// An operation of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreOperation {
    Load,
    Write,
    Lease,
}

/// What goes wrong in the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreFault {
    /// The operation fails and changes nothing.
    Fails,
    /// A write is carried out, and fails nevertheless.
    FailsAfterWrite,
    /// There is no response.
    Hangs,
    /// A write is carried out, and there is no response.
    HangsAfterWrite,
    /// A write is carried out twice, as by a driver that repeats it, and the second one conflicts with the first.
    ConflictsWithItself,
    /// A lease is lost when it is given: another process gets it too.
    LosesLease,
    /// A write is acknowledged and lost within minutes: the store has the record from before again.
    LosesWrite,
}

/// A time in which operations of the store go wrong.
#[derive(Clone, Copy, Debug)]
pub(super) struct StorePhase {
    pub(super) from: Instant,
    pub(super) until: Instant,
    pub(super) operation: StoreOperation,
    pub(super) fault: StoreFault,
    /// The share of operations that go wrong.
    pub(super) share: f64,
}

impl StorePhase {
    /// Whether the store goes wrong in a time span.
    pub(super) fn overlaps(&self, from: Instant, until: Instant) -> bool {
        let aftereffect = if self.fault == StoreFault::LosesWrite { LOSS_DELAY } else { Duration::ZERO };
        self.from <= until && from <= self.until + aftereffect
    }
}

/// The store that all processes share.
#[derive(Debug, Default)]
pub(super) struct SharedStore {
    store: MemoryStore,
    key: OnceLock<TokenKey>,
    phases: Mutex<Vec<StorePhase>>,
    /// How many operations have gone wrong. A write that gets lost counts when it is lost.
    faults: AtomicU64,
    loss: Mutex<Option<Loss>>,
}

/// A write that will be lost.
#[derive(Debug)]
struct Loss {
    at: Instant,
    written: TokenSet,
    before: Option<TokenSet>,
}

impl SharedStore {
    /// What is stored.
    pub(super) fn stored(&self) -> Option<TokenSet> {
        let load = self.store.load(self.key.get()?).now_or_never();
        load.expect("a store in memory responds immediately").expect("a store in memory never fails")
    }

    pub(super) fn add_phase(&self, phase: StorePhase) {
        self.phases.lock().unwrap().push(phase);
    }

    /// Whether operations went wrong in a time span.
    pub(super) fn had_fault(&self, from: Instant, until: Instant) -> bool {
        self.phases.lock().unwrap().iter().any(|phase| phase.overlaps(from, until))
    }

    /// Whether leases can be lost.
    fn loses_leases(&self) -> bool {
        self.phases.lock().unwrap().iter().any(|phase| phase.fault == StoreFault::LosesLease)
    }

    /// How many operations have gone wrong.
    pub(super) fn faults(&self) -> u64 {
        self.faults.load(Ordering::Relaxed)
    }

    /// Removes what is stored, as deleting the file does.
    pub(super) fn clear(&self) {
        self.replace(None);
    }

    fn fault(&self, operation: StoreOperation, rng: &mut Rng) -> Option<StoreFault> {
        let now = Instant::now();
        let phases = self.phases.lock().unwrap();
        let is_now = |phase: &&StorePhase| phase.operation == operation && phase.from <= now && now < phase.until;
        phases.iter().filter(is_now).find(|phase| rng.f64() < phase.share).map(|phase| phase.fault)
    }

    fn replace(&self, tokens: Option<TokenSet>) {
        let Some(key) = self.key.get() else { return };
        let removed = self.store.remove(key).now_or_never();
        removed.expect("a store in memory responds immediately").expect("a store in memory never fails");
        if let Some(tokens) = tokens {
            let swap = self.store.compare_and_swap(key, 0, &tokens).now_or_never();
            let swap = swap.expect("a store in memory responds immediately").expect("a store in memory never fails");
            assert!(matches!(swap, CompareAndSwap::Stored), "{swap:?}");
        }
    }

    /// Loses the write whose time has come; whether it did.
    pub(super) fn lose_due_write(&self) -> bool {
        let mut loss = self.loss.lock().unwrap();
        let Some(due) = loss.take_if(|loss| loss.at <= Instant::now()) else { return false };
        drop(loss);
        let is_current = self.stored().is_some_and(|stored| stored.revision() == due.written.revision());
        if is_current {
            self.faults.fetch_add(1, Ordering::Relaxed);
            self.replace(due.before);
        }
        is_current
    }
}

/// The store of one process.
#[derive(Clone)]
pub(super) struct TestStore {
    process: ProcessId,
    host: Arc<Host>,
    /// The lease that the process holds. It ends with the process, as the lock on a file does.
    held: Arc<Mutex<Option<Lease>>>,
}

/// Releases the lease of the process when the client drops it.
struct LeaseGuard(Arc<Mutex<Option<Lease>>>);

impl Drop for LeaseGuard {
    fn drop(&mut self) {
        self.0.lock().unwrap().take();
    }
}

impl TestStore {
    pub(super) fn new(process: ProcessId, host: &Arc<Host>) -> Self {
        Self { process, host: Arc::clone(host), held: Arc::default() }
    }

    /// Releases the lease of a killed process.
    pub(super) fn release(&self) {
        self.held.lock().unwrap().take();
    }

    /// Starts an operation: takes some time, and fails or hangs if the phase says so. Returns the fault of a write that is
    /// carried out.
    async fn start(&self, operation: StoreOperation, key: &TokenKey) -> Result<Option<StoreFault>, StoreError> {
        let pause = self.host.store_pause();
        sleep(pause).await;
        self.stop_if_killed().await;
        self.host.store.key.get_or_init(|| key.clone());
        self.host.lose_due_write();
        let fault = self.host.with_rng(|rng| self.host.store.fault(operation, rng));
        if let Some(fault) = fault {
            if fault != StoreFault::LosesWrite {
                self.host.store.faults.fetch_add(1, Ordering::Relaxed);
            }
            self.host.invariants().note(format_args!("process {}: {operation:?} {fault:?}", self.process));
        }
        let is_write = operation == StoreOperation::Write;
        match fault {
            Some(StoreFault::Hangs) => {
                sleep(HANG).await;
                Err(failure())
            }
            Some(StoreFault::HangsAfterWrite) if !is_write => {
                sleep(HANG).await;
                Err(failure())
            }
            Some(StoreFault::Fails) => Err(failure()),
            Some(StoreFault::LosesLease) => Ok(fault),
            Some(_) if !is_write => Err(failure()),
            fault => Ok(fault),
        }
    }

    async fn stop_if_killed(&self) {
        if self.host.invariants().is_killed(self.process) {
            pending::<()>().await;
        }
    }

    async fn swap(&self, key: &TokenKey, expected: u64, tokens: &TokenSet) -> Result<CompareAndSwap, StoreError> {
        let fault = self.start(StoreOperation::Write, key).await?;
        let before = self.host.store.stored();
        let swap = self.host.store.store.compare_and_swap(key, expected, tokens).await?;
        self.host.invariants().record_stored(self.process, tokens, &swap);
        if !matches!(swap, CompareAndSwap::Stored) {
            return Ok(swap);
        }
        match fault {
            None => Ok(swap),
            Some(StoreFault::ConflictsWithItself) => Ok(CompareAndSwap::Conflict(tokens.clone())),
            Some(StoreFault::HangsAfterWrite) => {
                sleep(HANG).await;
                Err(failure())
            }
            Some(StoreFault::LosesWrite) => {
                let at = Instant::now() + self.host.with_rng(|rng| LOSS_DELAY.mul_f64(rng.f64()));
                *self.host.store.loss.lock().unwrap() = Some(Loss { at, written: tokens.clone(), before });
                Ok(swap)
            }
            Some(_) => Err(failure()),
        }
    }
}

impl TokenStore for TestStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        self.start(StoreOperation::Load, key).await?;
        let loaded = self.host.store.store.load(key).await?;
        self.host.invariants().record_loaded(self.process, loaded.as_ref());
        Ok(loaded)
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> Result<CompareAndSwap, StoreError> {
        self.swap(key, expected, tokens).await
    }

    async fn remove(&self, key: &TokenKey) -> Result<(), StoreError> {
        self.host.store.store.remove(key).await
    }

    async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
        // A store whose leases can be lost says so, and does not always notice it.
        let lease = |guard| match self.host.store.loses_leases() {
            true => Lease::new(guard).with_is_held(|| true),
            false => Lease::new(guard),
        };
        if self.start(StoreOperation::Lease, key).await? == Some(StoreFault::LosesLease) {
            return Ok(lease(LeaseGuard(Arc::default())));
        }
        let held = self.host.store.store.lease(key).await?;
        if self.host.invariants().is_killed(self.process) {
            drop(held);
            self.stop_if_killed().await;
            unreachable!("a killed process stops");
        }
        *self.held.lock().unwrap() = Some(held);
        Ok(lease(LeaseGuard(Arc::clone(&self.held))))
    }
}

fn failure() -> StoreError {
    StoreError::new("the store of the simulation fails now")
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestStore").field("process", &self.process).finish_non_exhaustive()
    }
}
