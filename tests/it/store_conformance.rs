//! The conformance suite of token stores: the stores of the crate pass it, and every broken store fails it with its own
//! sentence.

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use std::{fmt, mem};

use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use servicebay::testing::token_store::{Violation, check};
use servicebay::{CompareAndSwap, FileStore, Lease, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore};
use tokio::sync::OwnedMutexGuard;
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

use crate::folder::Folder;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_memory_store_passes() {
    let store = MemoryStore::new();
    check(store.clone(), store).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_file_store_passes() {
    let folder = Folder::new();
    let opened = || FileStore::new(folder.path().join("tokens")).unwrap();
    check(opened(), opened()).await.unwrap();
    let clone = opened();
    check(clone.clone(), clone).await.unwrap();
}

#[cfg(feature = "keychain")]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_keychain_store_passes() {
    let folder = Folder::new();
    keyring_core::set_default_store(keyring_core::mock::Store::new().unwrap());
    let opened = || servicebay::KeychainStore::with_lock_folder("servicebay-test", folder.path()).unwrap();
    check(opened(), opened()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_may_be_left_over_from_a_check_that_failed() {
    let store = Broken::new(Fault::None);
    let key = TokenKey::new("servicebay-check/api.example.com/acme/oauth/app");
    store.compare_and_swap(&key, 0, &TokenSet::new("left over")).await.unwrap();
    check(store.clone(), store.clone()).await.unwrap();
    assert!(store.records().is_empty(), "and the check leaves nothing behind");
}

/// What a broken store does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    None,
    LoadFails,
    LoadHangs,
    ErrorQuotesTheRecord,
    DebugShowsTheRecords,
    HandlesDoNotShare,
    DropsField(&'static str),
    RoundsTimesToMilliseconds,
    RoundsTimesOfOneFieldToSeconds(&'static str),
    KeepsTimesAsSignedNanoseconds,
    KeepsNumbersAsFloats,
    TruncatesTokens(usize),
    TrimsTokens,
    KeepsOneByteLetters,
    FirstWriteRequiresZero,
    RequiresNoRecord,
    AlwaysStores,
    StoresOnZero,
    StoresAndReturnsConflict,
    ConflictReturnsTheNewTokens,
    ComparesGenerations,
    KeepsTheHigherGeneration,
    KeepsTheHigherRevision,
    ComparesNewRevision,
    DoesNotWriteTheSameTokens,
    IsNotAtomic,
    FirstWriteIsNotAtomic,
    ConfirmsLostWrites,
    LockOutlivesADroppedWrite,
    DroppedWriteLeavesHalf,
    RemoveFailsWithoutRecord,
    RemoveDoesNothing,
    RemoveRemembersTheRevision,
    RemoveTakesSimilarKeys,
    KeysIgnoreCase,
    KeysAreTrimmed,
    KeysAreAscii,
    KeysAreCutOff(usize),
    KeysReplaceSlashes,
    NoLease,
    LeaseExcludesOneHandle,
    LeaseFailsWhileHeld,
    LeaseIsForAllKeys,
    LeaseNeverEnds,
    LeaseIsLostAtOnce,
    LeaseIsLostLater,
    WriteEndsLease,
    RemoveEndsLease,
    WriteWaitsForLease,
    DroppedWaiterTakesTheLease,
    LeaseIsNotAtomic,
}

/// A store over a map of JSON, with a fault.
#[derive(Clone)]
struct Broken {
    fault: Fault,
    inner: Arc<Inner>,
    /// Whether this is the second handle.
    is_other: bool,
}

type LeaseMutex = Arc<tokio::sync::Mutex<()>>;

#[derive(Default)]
struct Inner {
    records: Mutex<BTreeMap<String, Value>>,
    removed: Mutex<BTreeSet<String>>,
    write: tokio::sync::Mutex<()>,
    is_writing: AtomicBool,
    leases: Mutex<BTreeMap<String, LeaseMutex>>,
    leased: Mutex<BTreeSet<String>>,
}

impl Broken {
    fn new(fault: Fault) -> Self {
        Self { fault, inner: Arc::default(), is_other: false }
    }

    fn other(&self) -> Self {
        let inner = if self.fault == Fault::HandlesDoNotShare { Arc::default() } else { Arc::clone(&self.inner) };
        Self { fault: self.fault, inner, is_other: true }
    }

    fn records(&self) -> MutexGuard<'_, BTreeMap<String, Value>> {
        self.inner.records.lock().unwrap()
    }

    fn name(&self, key: &TokenKey) -> String {
        let key = key.as_str();
        match self.fault {
            Fault::KeysIgnoreCase => key.to_lowercase(),
            Fault::KeysAreTrimmed => key.trim_end_matches([' ', '/']).to_owned(),
            Fault::KeysAreAscii => key.replace(|c: char| !c.is_ascii(), "?"),
            Fault::KeysAreCutOff(length) => key.chars().take(length).collect(),
            Fault::KeysReplaceSlashes => key.replace(['/', '\\'], "_"),
            _ => key.to_owned(),
        }
    }

    fn lease_of(&self, key: &TokenKey) -> LeaseMutex {
        let name = if self.fault == Fault::LeaseIsForAllKeys { String::new() } else { self.name(key) };
        let name = if self.fault == Fault::LeaseExcludesOneHandle { format!("{name}{}", self.is_other) } else { name };
        Arc::clone(self.inner.leases.lock().unwrap().entry(name).or_default())
    }

    /// What is stored in place of the tokens.
    fn write(&self, tokens: &TokenSet) -> Value {
        let mut value = serde_json::to_value(tokens).unwrap();
        let fields = value.as_object_mut().unwrap();
        const TIMES: [&str; 4] = ["access_expires_at", "refresh_expires_at", "obtained_at", "presented_at"];
        let mut round = |name: &str, unit: jiff::Unit| {
            if let Some(time) = fields[name].as_str().map(|time| time.parse::<jiff::Timestamp>().unwrap()) {
                let rounding = jiff::TimestampRound::new().smallest(unit).mode(jiff::RoundMode::Trunc);
                fields.insert(name.to_owned(), json!(time.round(rounding).unwrap()));
            }
        };
        match self.fault {
            Fault::DropsField(name) => {
                fields.insert(name.to_owned(), Value::Null);
            }
            Fault::RoundsTimesToMilliseconds => TIMES.into_iter().for_each(|name| round(name, jiff::Unit::Millisecond)),
            Fault::RoundsTimesOfOneFieldToSeconds(name) => round(name, jiff::Unit::Second),
            Fault::KeepsTimesAsSignedNanoseconds => {
                for name in TIMES {
                    if let Some(time) = fields[name].as_str().map(|time| time.parse::<jiff::Timestamp>().unwrap()) {
                        let nanoseconds = i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX);
                        let time = jiff::Timestamp::from_nanosecond(nanoseconds.into()).unwrap();
                        fields.insert(name.to_owned(), json!(time));
                    }
                }
            }
            Fault::KeepsNumbersAsFloats => {
                for number in fields.values_mut() {
                    if let Some(exact) = number.as_u64() {
                        *number = json!(exact as f64 as u64);
                    }
                }
            }
            Fault::TruncatesTokens(length) => change_tokens(fields, |token| token.chars().take(length).collect()),
            Fault::TrimsTokens => change_tokens(fields, |token| token.trim().to_owned()),
            Fault::KeepsOneByteLetters => {
                change_tokens(fields, |token| token.replace(|c: char| u32::from(c) > 0xff, "?"));
            }
            _ => {}
        }
        value
    }

    fn read(value: &Value) -> TokenSet {
        serde_json::from_value(value.clone()).unwrap()
    }

    fn swap(&self, name: &str, expected: u64, tokens: &TokenSet) -> CompareAndSwap {
        let is_removed = self.inner.removed.lock().unwrap().contains(name);
        let mut records = self.records();
        let stored = records.get(name).map(Self::read);
        let may_store = match &stored {
            None if self.fault == Fault::FirstWriteRequiresZero => expected == 0,
            None if self.fault == Fault::RemoveRemembersTheRevision && is_removed => expected == 0,
            None => true,
            Some(_) if self.fault == Fault::RequiresNoRecord => false,
            Some(_) if self.fault == Fault::AlwaysStores => true,
            Some(_) if self.fault == Fault::StoresOnZero && expected == 0 => true,
            Some(stored) => match self.fault {
                // The generation of a first write is not known to the check, so both count.
                Fault::ComparesGenerations => stored.generation() == expected || stored.revision() == expected,
                Fault::ComparesNewRevision => expected < tokens.revision() && stored.revision() <= expected,
                Fault::KeepsTheHigherGeneration => {
                    stored.revision() == expected && tokens.generation() >= stored.generation()
                }
                Fault::KeepsTheHigherRevision => stored.revision() == expected && tokens.revision() > stored.revision(),
                _ => stored.revision() == expected,
            },
        };
        if let Some(stored) = stored
            && !may_store
        {
            match self.fault {
                Fault::StoresAndReturnsConflict => drop(records.insert(name.to_owned(), self.write(tokens))),
                Fault::ConflictReturnsTheNewTokens => return CompareAndSwap::Conflict(tokens.clone()),
                _ => {}
            }
            return CompareAndSwap::Conflict(stored);
        }
        if !may_store {
            return CompareAndSwap::Conflict(tokens.clone());
        }
        let is_same =
            |value: &Value| Self::read(value).access_token().expose_secret() == tokens.access_token().expose_secret();
        if self.fault == Fault::DoesNotWriteTheSameTokens && records.get(name).is_some_and(is_same) {
            return CompareAndSwap::Stored;
        }
        records.insert(name.to_owned(), self.write(tokens));
        CompareAndSwap::Stored
    }
}

fn change_tokens(fields: &mut serde_json::Map<String, Value>, change: impl Fn(&str) -> String) {
    for name in ["access_token", "refresh_token"] {
        if let Some(token) = fields[name].as_str() {
            fields[name] = change(token).into();
        }
    }
}

impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fault {
            Fault::DebugShowsTheRecords => f.debug_struct("Broken").field("records", &self.records()).finish(),
            _ => f.debug_struct("Broken").finish_non_exhaustive(),
        }
    }
}

impl TokenStore for Broken {
    async fn load(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        let record = self.records().get(&self.name(key)).cloned();
        match (self.fault, &record) {
            (Fault::LoadFails, _) => return Err(StoreError::new("the disk is on fire; put it out")),
            (Fault::LoadHangs, _) => pending::<()>().await,
            (Fault::ErrorQuotesTheRecord, Some(record)) => {
                let cause = StoreError::new("cause").with_source(std::io::Error::other(record.to_string()));
                return Err(StoreError::new("not a record").with_source(cause));
            }
            _ => {}
        }
        Ok(record.as_ref().map(Self::read))
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> Result<CompareAndSwap, StoreError> {
        let name = self.name(key);
        match self.fault {
            Fault::WriteWaitsForLease => drop(self.lease_of(key).lock().await),
            Fault::WriteEndsLease => drop(self.inner.leases.lock().unwrap().remove(&name)),
            Fault::IsNotAtomic | Fault::FirstWriteIsNotAtomic => {
                let stored = self.records().get(&name).map(Self::read);
                yield_now().await;
                match stored {
                    None => drop(self.records().remove(&name)),
                    Some(stored) if self.fault == Fault::IsNotAtomic && stored.revision() == expected => {
                        self.records().insert(name.clone(), self.write(&stored));
                    }
                    Some(_) => {}
                }
            }
            Fault::ConfirmsLostWrites => {
                let stored = self.records().get(&name).map(Self::read);
                // A writer that comes between two others is told that it has succeeded.
                if let Some(stored) = stored
                    && stored.generation() > 4
                    && stored.generation() % 7 == 0
                    && stored.revision() == expected
                {
                    return Ok(CompareAndSwap::Stored);
                }
            }
            Fault::LockOutlivesADroppedWrite => {
                while self.inner.is_writing.swap(true, Ordering::SeqCst) {
                    sleep(Duration::from_millis(1)).await;
                }
                yield_now().await;
                self.inner.is_writing.store(false, Ordering::SeqCst);
            }
            Fault::DroppedWriteLeavesHalf => {
                let _write = self.inner.write.lock().await;
                let stored = self.records().get(&name).cloned();
                if let Some(half) = stored.filter(|stored| Self::read(stored).revision() == expected) {
                    let mut changed = half.clone();
                    changed["refresh_token"] = Value::Null;
                    self.records().insert(name.clone(), changed);
                    yield_now().await;
                    self.records().insert(name.clone(), half);
                }
                return Ok(self.swap(&name, expected, tokens));
            }
            _ => {}
        }
        Ok(self.swap(&name, expected, tokens))
    }

    async fn remove(&self, key: &TokenKey) -> Result<(), StoreError> {
        let name = self.name(key);
        match self.fault {
            Fault::RemoveDoesNothing => return Ok(()),
            Fault::RemoveEndsLease => drop(self.inner.leases.lock().unwrap().remove(&name)),
            Fault::RemoveTakesSimilarKeys => self.records().retain(|other, _| !other.starts_with(&name)),
            _ => {}
        }
        let removed = self.records().remove(&name);
        if removed.is_some() {
            self.inner.removed.lock().unwrap().insert(name);
        } else if self.fault == Fault::RemoveFailsWithoutRecord {
            return Err(StoreError::new("there is no such record"));
        }
        Ok(())
    }

    async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
        let mutex = self.lease_of(key);
        match self.fault {
            Fault::NoLease => return Ok(Lease::new(())),
            Fault::LeaseFailsWhileHeld => {
                let guard = mutex.try_lock_owned().map_err(|_| StoreError::new("another process holds the lease"))?;
                return Ok(Lease::new(guard));
            }
            Fault::LeaseIsNotAtomic => {
                let name = self.name(key);
                while self.inner.leased.lock().unwrap().contains(&name) {
                    sleep(Duration::from_millis(1)).await;
                }
                yield_now().await;
                self.inner.leased.lock().unwrap().insert(name.clone());
                return Ok(Lease::new(EndsLease(Arc::clone(&self.inner), name)));
            }
            Fault::DroppedWaiterTakesTheLease => {
                // The task goes on if the future that waits for it is dropped.
                let guard = tokio::spawn(async move { Forgotten(Some(mutex.lock_owned().await)) }).await.unwrap();
                return Ok(Lease::new(guard.into_guard()));
            }
            _ => {}
        }
        let guard = mutex.lock_owned().await;
        let granted = Instant::now();
        match self.fault {
            Fault::LeaseNeverEnds => mem::forget(guard),
            Fault::LeaseIsLostAtOnce => return Ok(Lease::new(guard).with_is_held(|| false)),
            Fault::LeaseIsLostLater => {
                return Ok(Lease::new(guard).with_is_held(move || granted.elapsed().is_zero()));
            }
            _ => return Ok(Lease::new(guard)),
        }
        Ok(Lease::new(()))
    }
}

/// Ends a lease that is an entry of a set.
struct EndsLease(Arc<Inner>, String);

impl Drop for EndsLease {
    fn drop(&mut self) {
        self.0.leased.lock().unwrap().remove(&self.1);
    }
}

/// A guard that is held for ever unless it is taken out.
struct Forgotten(Option<OwnedMutexGuard<()>>);

impl Forgotten {
    fn into_guard(mut self) -> OwnedMutexGuard<()> {
        self.0.take().unwrap()
    }
}

impl Drop for Forgotten {
    fn drop(&mut self) {
        mem::forget(self.0.take());
    }
}

/// Every fault, and what the violation says about it.
const FAULTS: &[(Fault, &str)] = &[
    (Fault::LoadFails, "`load` fails after `remove`: the disk is on fire; put it out"),
    (Fault::LoadHangs, "`load` does not return within 10 s after `remove`"),
    (Fault::ErrorQuotesTheRecord, "the error of `load` contains a token"),
    (Fault::DebugShowsTheRecords, "the `Debug` output of the store contains a token"),
    (Fault::HandlesDoNotShare, "`load` returns `None` for a record without optional fields, through another handle"),
    (Fault::DropsField("refresh_token"), "another `refresh_token` than the stored one for a record with all fields"),
    (Fault::DropsField("access_expires_at"), "another `access_expires_at` than the stored one for a record with all"),
    (Fault::DropsField("refresh_expires_at"), "another `refresh_expires_at` than the stored one for a record with all"),
    (Fault::DropsField("obtained_at"), "another `obtained_at` than the stored one for a record with all fields"),
    (Fault::DropsField("presented_at"), "another `presented_at` than the stored one for a record with all fields"),
    (Fault::DropsField("lineage"), "another `lineage` than the stored one for a record with all fields"),
    (Fault::RoundsTimesToMilliseconds, "another `access_expires_at` than the stored one for a record with all fields"),
    (
        Fault::RoundsTimesOfOneFieldToSeconds("presented_at"),
        "another `presented_at` than the stored one for a record with all fields",
    ),
    (Fault::KeepsTimesAsSignedNanoseconds, "for a record with the largest numbers and the latest times"),
    (Fault::KeepsNumbersAsFloats, "another `lineage` than the stored one for a record with all fields"),
    (Fault::TruncatesTokens(4096), "another `access_token` than the stored one for tokens of 64 KiB"),
    (Fault::TruncatesTokens(65535), "another `access_token` than the stored one for tokens of 64 KiB"),
    (Fault::TrimsTokens, "another `access_token` than the stored one for tokens with quotes, line breaks"),
    (Fault::KeepsOneByteLetters, "another `refresh_token` than the stored one for tokens with quotes, line breaks"),
    (Fault::FirstWriteRequiresZero, "returns `Conflict` when no record is stored and another revision than 0 is"),
    (Fault::RequiresNoRecord, "returns `Conflict` when the stored revision is expected"),
    (Fault::AlwaysStores, "returns `Stored` when a record is stored and revision 0 is expected; it must not store"),
    (Fault::StoresOnZero, "returns `Stored` when a record is stored and revision 0 is expected; it must not store"),
    (Fault::StoresAndReturnsConflict, "another `access_token` than the stored one after a conflict, which must change"),
    (Fault::ConflictReturnsTheNewTokens, "returns `Conflict` with another `access_token` than the stored one"),
    (Fault::ComparesGenerations, "returns `Stored` when another revision than the stored one is expected; it must not"),
    (Fault::KeepsTheHigherGeneration, "when the stored revision is expected and the new generation is lower"),
    (Fault::KeepsTheHigherRevision, "when the stored revision is expected and the new revision is lower"),
    (Fault::ComparesNewRevision, "returns `Stored` when another revision than the stored one is expected"),
    (Fault::DoesNotWriteTheSameTokens, "after a write when the stored revision is expected and only the revision is"),
    (Fault::IsNotAtomic, "concurrent writers that expect no record; exactly one may succeed"),
    (Fault::FirstWriteIsNotAtomic, "concurrent writers that expect no record; exactly one may succeed"),
    (Fault::ConfirmsLostWrites, "concurrent writes that `compare_and_swap` confirmed,"),
    (
        Fault::LockOutlivesADroppedWrite,
        "does not return within 10 s after the future of a `compare_and_swap` was dropped",
    ),
    (Fault::DroppedWriteLeavesHalf, "a record that no writer stored after the future of a `compare_and_swap` was"),
    (Fault::RemoveFailsWithoutRecord, "`remove` fails for a key that has no record"),
    (Fault::RemoveDoesNothing, "returns `Conflict` for a record with all fields"),
    (Fault::RemoveRemembersTheRevision, "when no record is stored and another revision than 0 is expected"),
    (Fault::RemoveTakesSimilarKeys, "after another key was removed, although a record is stored"),
    (Fault::KeysIgnoreCase, "oauth/App\"), when only other keys have records"),
    (Fault::KeysAreTrimmed, "oauth/app/\"), when only other keys have records"),
    (Fault::KeysAreAscii, "when only other keys have records"),
    (Fault::KeysAreCutOff(255), "when only other keys have records"),
    (Fault::KeysReplaceSlashes, "oauth_app\"), when only other keys have records"),
    (Fault::NoLease, "`lease` grants a second lease for the same key to another handle"),
    (Fault::LeaseExcludesOneHandle, "`lease` grants a second lease for the same key to another handle"),
    (Fault::LeaseFailsWhileHeld, "`lease` fails while another lease for the key is held, but must wait"),
    (Fault::LeaseIsForAllKeys, "while leases for other keys are held; leases must be independent"),
    (Fault::LeaseNeverEnds, "`lease` does not return within 10 s after the lease before it was dropped"),
    (Fault::LeaseIsLostAtOnce, "`Lease::is_held` returns `false` for a lease that was just granted"),
    (Fault::LeaseIsLostLater, "`Lease::is_held` returns `false` while the lease is held"),
    (Fault::WriteEndsLease, "`compare_and_swap` ends the lease for its key; they must be independent"),
    (Fault::RemoveEndsLease, "`remove` ends the lease for its key; they must be independent"),
    (Fault::WriteWaitsForLease, "`compare_and_swap` does not return within 10 s while a lease for the key is held"),
    (Fault::DroppedWaiterTakesTheLease, "`lease` does not return within 10 s after"),
    (Fault::LeaseIsNotAtomic, "`lease` grants a lease to two concurrent users; exactly one may hold it"),
];

async fn violation(fault: Fault) -> Option<Violation> {
    let store = Broken::new(fault);
    check(store.other(), store).await.err()
}

#[tokio::test(start_paused = true)]
async fn every_broken_store_fails_with_its_own_sentence() {
    let named: BTreeSet<_> = FAULTS.iter().map(|(fault, _)| fault).collect();
    assert_eq!(named.len(), FAULTS.len());
    assert_eq!(violation(Fault::None).await.map(|violation| violation.to_string()), None);
    let mut wrong = Vec::new();
    for (fault, expected) in FAULTS {
        match violation(*fault).await.map(|violation| violation.to_string()) {
            Some(sentence) if sentence.contains(expected) && !sentence.contains("s3cr3t") => {}
            other => wrong.push(format!("{fault:?}: {other:?}, expected {expected:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn a_violation_shows_its_sentence_in_debug_too_and_keeps_the_error_of_the_store() {
    let violation = violation(Fault::LoadFails).await.unwrap();
    let sentence = "the token store breaks its contract: `load` fails after `remove`: the disk is on fire; put it out";
    assert_eq!((violation.to_string().as_str(), format!("{violation:?}").as_str()), (sentence, sentence));
    let source = std::error::Error::source(&violation).unwrap();
    assert!(source.downcast_ref::<StoreError>().is_some(), "{source}");
}
