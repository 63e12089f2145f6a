//! A token store in memory whose operations go as a test says.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use servicebay::{CompareAndSwap, Lease, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore};

/// What happens to a write.
pub(super) enum Write {
    Succeeds,
    Fails,
    /// It succeeds and is made once more, as after a response that was lost on its way.
    Repeated,
    /// Another client changes the record first.
    Overtaken(Box<dyn FnOnce(TokenSet) -> TokenSet + Send>),
    /// It succeeds and takes so long that the lease expires.
    OutlastsLease,
}

/// A store in memory whose operations go as a test says, and whose leases can be lost. Clones share it.
#[derive(Clone, Default)]
pub(super) struct ScriptedStore {
    memory: MemoryStore,
    script: Arc<Mutex<StoreScript>>,
}

#[derive(Default)]
struct StoreScript {
    /// The key that clients use.
    key: Option<TokenKey>,
    next_writes: VecDeque<Write>,
    other_writes_fail: bool,
    loads_fail: bool,
    removals_fail: bool,
    /// What was to be written, whether or not that failed.
    written: Vec<TokenSet>,
    /// Whether the lease that was acquired last is held.
    is_held: Arc<AtomicBool>,
    /// Whether leases last until they are released.
    has_lasting_leases: bool,
}

impl ScriptedStore {
    /// Decides what happens to the next writes.
    pub(super) fn next_writes(&self, writes: impl IntoIterator<Item = Write>) {
        self.script().next_writes = writes.into_iter().collect();
    }

    /// From now on, no lease can be lost.
    pub(super) fn let_leases_last(&self) {
        self.script().has_lasting_leases = true;
    }

    /// Sets whether the writes after the [next ones](Self::next_writes) fail.
    pub(super) fn let_other_writes_fail(&self, fail: bool) {
        self.script().other_writes_fail = fail;
    }

    pub(super) fn let_loads_fail(&self, fail: bool) {
        self.script().loads_fail = fail;
    }

    pub(super) fn let_removals_fail(&self, fail: bool) {
        self.script().removals_fail = fail;
    }

    /// What was to be written, whether or not that failed.
    pub(super) fn written(&self) -> Vec<TokenSet> {
        self.script().written.clone()
    }

    /// The record.
    pub(super) async fn record(&self) -> Option<TokenSet> {
        let key = self.script().key.clone()?;
        self.memory.load(&key).await.unwrap()
    }

    /// Changes the record as another client does.
    pub(super) async fn change(&self, change: impl FnOnce(TokenSet) -> TokenSet) {
        let key = self.script().key.clone().unwrap();
        let record = self.memory.load(&key).await.unwrap().unwrap();
        let revision = record.revision();
        let swapped = self.memory.compare_and_swap(&key, revision, &change(record)).await.unwrap();
        assert!(matches!(swapped, CompareAndSwap::Stored));
    }

    fn script(&self) -> MutexGuard<'_, StoreScript> {
        self.script.lock().unwrap()
    }
}

/// Tokens with other values of these fields of their serialized form.
pub(super) fn with_fields(tokens: &TokenSet, fields: &Value) -> TokenSet {
    let mut serialized = serde_json::to_value(tokens).unwrap();
    serialized.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    serde_json::from_value(serialized).unwrap()
}

fn result(fails: bool) -> Result<(), StoreError> {
    if fails { Err(StoreError::new("the disk is full")) } else { Ok(()) }
}

impl TokenStore for ScriptedStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        result(self.script().loads_fail)?;
        self.memory.load(key).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> Result<CompareAndSwap, StoreError> {
        let write = {
            let mut script = self.script();
            script.key = Some(key.clone());
            script.written.push(tokens.clone());
            let other = if script.other_writes_fail { Write::Fails } else { Write::Succeeds };
            script.next_writes.pop_front().unwrap_or(other)
        };
        match write {
            Write::Succeeds => {}
            Write::Fails => result(true)?,
            Write::Repeated => drop(self.memory.compare_and_swap(key, expected, tokens).await?),
            Write::Overtaken(change) => self.change(change).await,
            Write::OutlastsLease => self.script().is_held.store(false, Ordering::Relaxed),
        }
        self.memory.compare_and_swap(key, expected, tokens).await
    }

    async fn remove(&self, key: &TokenKey) -> Result<(), StoreError> {
        result(self.script().removals_fail)?;
        self.memory.remove(key).await
    }

    async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
        let lease = self.memory.lease(key).await?;
        if self.script().has_lasting_leases {
            return Ok(lease);
        }
        let is_held = Arc::new(AtomicBool::new(true));
        self.script().is_held = Arc::clone(&is_held);
        Ok(Lease::new(lease).with_is_held(move || is_held.load(Ordering::Relaxed)))
    }
}

impl fmt::Debug for ScriptedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScriptedStore")
    }
}
