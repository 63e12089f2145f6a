//! Checks that a token store keeps the contract of [`TokenStore`].
//!
//! Run it against a store of your own, with two handles to the same storage, as two processes would have:
//!
//! ```
//! use servicebay::MemoryStore;
//! use servicebay::testing::token_store;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), token_store::Violation> {
//! let store = MemoryStore::new();
//! token_store::check(store.clone(), store).await?;
//! # Ok(())
//! # }
//! ```

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::{CompareAndSwap, Lease, StoreError, TokenKey, TokenSet, TokenStore};

/// The longest time for an operation that has nothing to wait for: as long as a client waits.
const MAX_WAIT: Duration = Duration::from_secs(10);
/// How long a lease that is held must keep others waiting to count as exclusive.
const EXCLUSION: Duration = Duration::from_millis(200);
/// How many writers, or holders of a lease, run at once.
const RIVALS: u64 = 8;
/// How often each of them writes.
const WRITES: u64 = 4;
/// A part of every token, by which it is found in a text that must not contain one.
const SECRET: &str = "s3cr3t";
/// The key of most checks.
const KEY: &str = "servicebay-check/api.example.com/acme/oauth/app";

/// Checks that a store keeps the contract of [`TokenStore`], with two handles to the same storage.
///
/// It writes to keys that begin with `servicebay-check/`, removes them first and last, and touches no other key. It takes a
/// few seconds of real time. Run it on a multi-threaded runtime, `#[tokio::test(flavor = "multi_thread")]`, so that
/// writers overlap.
///
/// | it checks | with |
/// | --- | --- |
/// | `load` | every field of a record, times to the nanosecond, tokens of 64 KiB and of any characters |
/// | `compare_and_swap` | the revision alone decides; a conflict returns the stored record and changes nothing; of concurrent writers exactly one succeeds; a dropped future leaves a whole record and no lock |
/// | `remove` | with and without a record |
/// | keys | similar and unusual ones are independent |
/// | `lease` | is exclusive for its key, ends when it is dropped, is independent of writes; a dropped future leaves no place in the queue |
/// | `Debug` | contains no token |
///
/// It cannot check that a record survives a power failure, that a lease ends with the process that holds it, or that
/// errors contain no token.
///
/// # Errors
///
/// The first [`Violation`], which says what the store does and what it must do.
///
/// # Example
///
/// ```
/// use servicebay::FileStore;
/// use servicebay::testing::token_store;
///
/// #[tokio::main]
/// async fn main() -> Result<(), Box<dyn std::error::Error>> {
///     let folder = std::env::temp_dir().join(format!("tokens-{}", std::process::id()));
///     token_store::check(FileStore::new(&folder)?, FileStore::new(&folder)?).await?;
///     std::fs::remove_dir_all(folder)?;
///     Ok(())
/// }
/// ```
pub async fn check<S: TokenStore>(one: S, other: S) -> Result<(), Violation> {
    let (one, other) = (Handle(Arc::new(one)), Handle(Arc::new(other)));
    clear(&one, "a key that has no record").await?;
    check_empty(&one, &other).await?;
    check_round_trip(&one, &other).await?;
    check_first_write(&one).await?;
    check_conflicts(&one, &other).await?;
    check_revision_decides(&one, &other).await?;
    check_remove(&one, &other).await?;
    check_keys(&one, &other).await?;
    check_concurrent_writers(&one, &other).await?;
    check_dropped_write(&one, &other).await?;
    check_lease(&one, &other).await?;
    check_lease_and_record(&one, &other).await?;
    check_leases_of_keys(&one, &other).await?;
    check_concurrent_leases(&one, &other).await?;
    check_dropped_lease(&one, &other).await?;
    check_debug(&one).await?;
    clear(&other, "a key").await
}

/// What a token store does against the contract of [`TokenStore`]. It contains no token.
pub struct Violation {
    sentence: String,
    source: Option<StoreError>,
}

impl Violation {
    fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), source: None }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the token store breaks its contract: {}", self.sentence)
    }
}

/// As `Display`, so that `unwrap` in a test shows the sentence.
impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl StdError for Violation {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// One of the two handles to the store. Each operation says when it takes place, for the violation if it fails.
struct Handle<S>(Arc<S>);

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<S: TokenStore> Handle<S> {
    async fn load(&self, key: &TokenKey, when: &str) -> Result<Option<TokenSet>, Violation> {
        in_time("load", when, self.0.load(key)).await
    }

    async fn swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
        when: &str,
    ) -> Result<CompareAndSwap, Violation> {
        in_time("compare_and_swap", when, self.0.compare_and_swap(key, expected, tokens)).await
    }

    /// A swap that must succeed.
    async fn store(&self, key: &TokenKey, expected: u64, tokens: &TokenSet, when: &str) -> Result<(), Violation> {
        match self.swap(key, expected, tokens, when).await? {
            CompareAndSwap::Stored => Ok(()),
            CompareAndSwap::Conflict(_) => {
                Err(Violation::new(format!("`compare_and_swap` returns `Conflict` {when}; it must store the tokens")))
            }
        }
    }

    async fn remove(&self, key: &TokenKey, when: &str) -> Result<(), Violation> {
        in_time("remove", when, self.0.remove(key)).await
    }

    async fn lease(&self, key: &TokenKey, when: &str) -> Result<Lease, Violation> {
        let lease = in_time("lease", when, self.0.lease(key)).await?;
        if lease.is_held() {
            return Ok(lease);
        }
        Err(Violation::new(format!("`Lease::is_held` returns `false` for a lease that was just granted {when}")))
    }

    /// Whether a lease is kept waiting.
    async fn must_wait(&self, key: &TokenKey) -> Result<bool, Violation> {
        match timeout(EXCLUSION, self.0.lease(key)).await {
            Err(_) => Ok(true),
            Ok(Ok(_)) => Ok(false),
            Ok(Err(error)) => Err(failed("lease", "while another lease for the key is held, but must wait", error)),
        }
    }

    /// Checks that this record is stored under the key.
    async fn must_hold(&self, key: &TokenKey, expected: &TokenSet, when: &str) -> Result<(), Violation> {
        let Some(found) = self.load(key, when).await? else {
            return Err(Violation::new(format!("`load` returns `None` {when}, although a record is stored")));
        };
        match difference(expected, &found) {
            None => Ok(()),
            Some(field) => Err(Violation::new(format!("`load` returns another `{field}` than the stored one {when}"))),
        }
    }

    async fn must_be_empty(&self, key: &TokenKey, when: &str) -> Result<(), Violation> {
        match self.load(key, when).await? {
            None => Ok(()),
            Some(_) => Err(Violation::new(format!("`load` returns a record {when}; it must return `None`"))),
        }
    }
}

/// The result of an operation that must succeed within [`MAX_WAIT`].
async fn in_time<T>(
    operation: &str,
    when: &str,
    future: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, Violation> {
    match timeout(MAX_WAIT, future).await {
        Ok(result) => result.map_err(|error| failed(operation, when, error)),
        Err(_) => Err(Violation::new(format!("`{operation}` does not return within {} s {when}", MAX_WAIT.as_secs()))),
    }
}

fn failed(operation: &str, when: &str, error: StoreError) -> Violation {
    let mut shown = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(cause) = source {
        shown.push_str(&format!(" {cause} {cause:?}"));
        source = cause.source();
    }
    if shown.contains(SECRET) {
        return Violation::new(format!(
            "the error of `{operation}` contains a token, which it returns {when}; leave out what may quote the record"
        ));
    }
    Violation { sentence: format!("`{operation}` fails {when}: {}", error.reason()), source: Some(error) }
}

/// The name of a field in which two records differ.
fn difference(one: &TokenSet, other: &TokenSet) -> Option<String> {
    let [one, other] = [one, other].map(|tokens| serde_json::to_value(tokens).unwrap_or_default());
    let names = one.as_object().into_iter().flat_map(|fields| fields.keys());
    // The first by name: the order of the fields depends on the features of serde_json.
    names.filter(|name| one[*name] != other[*name]).min().cloned()
}

fn key() -> TokenKey {
    TokenKey::new(KEY)
}

/// Keys that a store could confuse with each other, or fail to keep at all.
fn keys() -> Vec<TokenKey> {
    let long = "x".repeat(300);
    let odd = [
        KEY,
        "servicebay-check/api.example.com/acme/oauth/App",
        "servicebay-check/api.example.com/acme/oauth/app/",
        "servicebay-check/api.example.com/acme/oauth/ap",
        "servicebay-check/api.example.com/acme/oauth_app",
        "servicebay-check/api.example.com/acme%2Foauth/app",
        "servicebay-check/../api.example.com/acme/oauth/app",
        "servicebay-check\\api.example.com\\acme\\oauth\\app",
        "servicebay-check/%",
        "servicebay-check/_",
        "servicebay-check/*",
        "servicebay-check/'; --",
        "servicebay-check/\"{}\"",
        "servicebay-check/a b",
        "servicebay-check/a b ",
        // One letter, and the same as two code points.
        "servicebay-check/\u{e9}",
        "servicebay-check/e\u{301}",
        "servicebay-check/\u{1f511}",
    ];
    let long = ["", "1", "2"].map(|ending| format!("servicebay-check/{long}{ending}"));
    odd.into_iter().map(str::to_owned).chain(long).map(TokenKey::new).collect()
}

/// A record with this name in its tokens.
fn record(name: &str, generation: u64, revision: u64) -> TokenSet {
    from_json(json!({
        "access_token": format!("{SECRET}-access-{name}"),
        "refresh_token": format!("{SECRET}-refresh-{name}"),
        "generation": generation,
        "revision": revision,
    }))
}

fn from_json(mut fields: Value) -> TokenSet {
    for name in ["access_expires_at", "refresh_token", "refresh_expires_at", "obtained_at"] {
        fields.as_object_mut().expect("the fields of a record").entry(name).or_insert(Value::Null);
    }
    serde_json::from_value(fields).expect("a complete record")
}

/// Records, each with what is special about it.
fn records() -> Vec<(&'static str, TokenSet)> {
    let long = SECRET.repeat(64 * 1024 / SECRET.len() + 1);
    vec![
        ("for a record without optional fields", {
            from_json(json!({"access_token": format!("{SECRET}-access"), "generation": 1, "revision": 1}))
        }),
        ("for a record with all fields", {
            from_json(json!({
                "access_token": format!("{SECRET}-access"),
                "access_expires_at": "2026-03-01T12:00:00.123456789Z",
                "refresh_token": format!("{SECRET}-refresh"),
                "refresh_expires_at": "2026-03-14T12:00:00.987654321Z",
                "obtained_at": "2026-02-28T23:59:59.999999999Z",
                "presented_at": "2026-03-01T11:00:00.000000001Z",
                "generation": 7,
                "lineage": 0x7edc_ba98_7654_3211_u64,
                "revision": 0x1234_5678_9abc_def1_u64,
            }))
        }),
        ("for a record with the largest numbers and the latest times", {
            from_json(json!({
                "access_token": format!("{SECRET}-access"),
                "access_expires_at": Timestamp::MAX,
                "refresh_token": format!("{SECRET}-refresh"),
                "refresh_expires_at": Timestamp::MAX,
                "obtained_at": Timestamp::MAX,
                "presented_at": Timestamp::MAX,
                "generation": i64::MAX,
                "lineage": u64::MAX,
                "revision": i64::MAX,
            }))
        }),
        ("for tokens with quotes, line breaks, and letters outside of ASCII", {
            from_json(json!({
                "access_token": format!("{SECRET} \"'`\\/%${{}}<>&;--\t\r\n "),
                "refresh_token": format!("{SECRET} \u{e4}\u{2028}\u{4e2d}\u{1f511}e\u{301}"),
                "generation": 1,
                "revision": 3,
            }))
        }),
        ("for tokens of 64 KiB", {
            from_json(json!({
                "access_token": format!("{long}-access"),
                "refresh_token": format!("{long}-refresh"),
                "generation": 1,
                "revision": 4,
            }))
        }),
    ]
}

async fn clear<S: TokenStore>(store: &Handle<S>, what: &str) -> Result<(), Violation> {
    for key in keys() {
        store.remove(&key, &format!("for {what}, {key:?}")).await?;
    }
    Ok(())
}

async fn check_empty<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    one.must_be_empty(&key(), "after `remove`").await?;
    other.must_be_empty(&key(), "after `remove` by another handle").await
}

async fn check_round_trip<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let key = key();
    for (when, tokens) in records() {
        one.remove(&key, "for a key with a record").await?;
        one.store(&key, 0, &tokens, when).await?;
        one.must_hold(&key, &tokens, when).await?;
        other.must_hold(&key, &tokens, &format!("{when}, through another handle")).await?;
    }
    one.remove(&key, "for a key with a record").await
}

/// If no record is stored, tokens are stored whatever was expected.
async fn check_first_write<S: TokenStore>(one: &Handle<S>) -> Result<(), Violation> {
    for expected in [0, 1, 41, i64::MAX as u64] {
        let when = if expected == 0 {
            "when no record is stored and revision 0 is expected"
        } else {
            "when no record is stored and another revision than 0 is expected"
        };
        one.store(&key(), expected, &record("first", 1, 42), when).await?;
        one.must_hold(&key(), &record("first", 1, 42), when).await?;
        one.remove(&key(), "for a key with a record").await?;
    }
    Ok(())
}

/// A conflict returns the stored record, and changes nothing.
async fn check_conflicts<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let (key, stored) = (key(), record("stored", 5, 1000));
    one.store(&key, 0, &stored, "when no record is stored").await?;
    for unexpected in [0, 1, 5, 999, 1001, i64::MAX as u64] {
        let when = if unexpected == 0 {
            "when a record is stored and revision 0 is expected"
        } else {
            "when another revision than the stored one is expected"
        };
        match other.swap(&key, unexpected, &record("refused", 6, 2000), when).await? {
            CompareAndSwap::Stored => {
                return Err(Violation::new(format!("`compare_and_swap` returns `Stored` {when}; it must not store")));
            }
            CompareAndSwap::Conflict(found) => {
                if let Some(field) = difference(&stored, &found) {
                    return Err(Violation::new(format!(
                        "`compare_and_swap` returns `Conflict` with another `{field}` than the stored one"
                    )));
                }
            }
        }
        one.must_hold(&key, &stored, "after a conflict, which must change nothing,").await?;
    }
    one.remove(&key, "for a key with a record").await
}

/// The revision of the stored record decides, and no other field of either record.
async fn check_revision_decides<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let key = key();
    let mut stored = record("0", 5, 1000);
    one.store(&key, 0, &stored, "when no record is stored").await?;
    for (tokens, when) in [
        (record("1", 6, 2000), "when the stored revision is expected"),
        (record("2", 6, 3000), "when the stored revision is expected and the generation stays the same"),
        (record("3", 1, 4000), "when the stored revision is expected and the new generation is lower"),
        (record("4", 2, 10), "when the stored revision is expected and the new revision is lower"),
        (record("4", 2, 11), "when the stored revision is expected and only the revision is new"),
    ] {
        other.store(&key, stored.revision(), &tokens, when).await?;
        one.must_hold(&key, &tokens, &format!("after a write {when}")).await?;
        if let CompareAndSwap::Stored = one
            .swap(&key, stored.revision(), &record("late", 9, 5000), "when the expected revision was replaced")
            .await?
        {
            return Err(Violation::new(
                "`compare_and_swap` returns `Stored` when the expected revision was replaced, by a record whose \
                 generation need not be another one; it must compare the revision",
            ));
        }
        stored = tokens;
    }
    one.remove(&key, "for a key with a record").await
}

async fn check_remove<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let (key, tokens) = (key(), record("removed", 1, 42));
    one.store(&key, 0, &tokens, "when no record is stored").await?;
    other.remove(&key, "for a key with a record").await?;
    one.must_be_empty(&key, "after `remove` by another handle").await?;
    other.must_be_empty(&key, "after `remove`").await?;
    one.remove(&key, "for a key whose record was removed").await?;
    one.store(&key, 42, &record("next", 2, 43), "after `remove`, whatever revision is expected,").await?;
    one.remove(&key, "for a key with a record").await
}

/// Records under similar keys are independent.
async fn check_keys<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let keys = keys();
    let records: Vec<_> = (1..).take(keys.len()).map(|number| record(&number.to_string(), number, number)).collect();
    for (key, tokens) in keys.iter().zip(&records) {
        one.must_be_empty(key, &format!("for {key:?}, when only other keys have records")).await?;
        one.store(key, 0, tokens, &format!("for {key:?}, when only other keys have records")).await?;
    }
    for (key, tokens) in keys.iter().zip(&records) {
        other.must_hold(key, tokens, &format!("for {key:?}, after other keys were written")).await?;
    }
    for (index, key) in keys.iter().enumerate() {
        other.remove(key, &format!("for {key:?}")).await?;
        one.must_be_empty(key, &format!("for {key:?}, after `remove`")).await?;
        if let Some((next, tokens)) = keys.get(index + 1).zip(records.get(index + 1)) {
            one.must_hold(next, tokens, &format!("for {next:?}, after another key was removed")).await?;
        }
    }
    Ok(())
}

/// Of writers that expect the same revision, one succeeds; and no write is lost.
async fn check_concurrent_writers<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let (key, when) = (key(), "while others write");
    let mut expected = 0;
    // The first round is without a record, where a store may use another statement.
    for round in 0..WRITES {
        let mut writers = JoinSet::new();
        for (number, store) in (1..=RIVALS).zip([one, other].into_iter().cycle()) {
            let (store, key) = (store.clone(), key.clone());
            let tokens = record(&format!("{round}-{number}"), round + 1, 100 * (round + 1) + number);
            writers.spawn(async move {
                let swap = store.swap(&key, expected, &tokens, when).await?;
                Ok(matches!(swap, CompareAndSwap::Stored).then_some(tokens))
            });
        }
        let results = writers.join_all().await.into_iter().collect::<Result<Vec<_>, Violation>>()?;
        let stored: Vec<_> = results.into_iter().flatten().collect();
        let [winner] = &stored[..] else {
            let what = if expected == 0 { "no record" } else { "the same revision" };
            return Err(Violation::new(format!(
                "`compare_and_swap` returns `Stored` to {} of {RIVALS} concurrent writers that expect {what}; exactly one \
                 may succeed",
                stored.len()
            )));
        };
        one.must_hold(&key, winner, "after concurrent writes, of which one succeeded,").await?;
        expected = winner.revision();
    }
    one.remove(&key, "for a key with a record").await?;

    one.store(&key, 0, &record("0", 1, 1), "when no record is stored").await?;
    let mut writers = JoinSet::new();
    for store in [one, other].into_iter().cycle().take(RIVALS as usize) {
        let (store, key) = (store.clone(), key.clone());
        writers.spawn(async move {
            for _ in 0..WRITES {
                increment(&store, &key, when).await?;
            }
            Ok(())
        });
    }
    writers.join_all().await.into_iter().collect::<Result<(), Violation>>()?;
    let found = one.load(&key, "after concurrent writes").await?.map_or(0, |tokens| tokens.generation());
    if found != 1 + RIVALS * WRITES {
        return Err(Violation::new(format!(
            "of {} concurrent writes that `compare_and_swap` confirmed, {} are lost",
            RIVALS * WRITES,
            (1 + RIVALS * WRITES).saturating_sub(found)
        )));
    }
    one.remove(&key, "for a key with a record").await
}

/// Adds one to the generation of the stored record.
async fn increment<S: TokenStore>(store: &Handle<S>, key: &TokenKey, when: &str) -> Result<(), Violation> {
    let gone = || Violation::new(format!("`load` returns `None` {when}, although a record is stored"));
    let mut current = store.load(key, when).await?.ok_or_else(gone)?;
    // Every conflict means that another writer succeeded.
    for _ in 0..=RIVALS * WRITES {
        let generation = current.generation() + 1;
        let next = record(&generation.to_string(), generation, fastrand::u64(1..=i64::MAX as u64));
        match store.swap(key, current.revision(), &next, when).await? {
            CompareAndSwap::Stored => return Ok(()),
            CompareAndSwap::Conflict(stored) => current = stored,
        }
    }
    Err(Violation::new(
        "`compare_and_swap` returns `Conflict` again and again, although the revision that the last conflict returned is \
         expected",
    ))
}

/// A write whose future is dropped takes place or not, and leaves no lock.
async fn check_dropped_write<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let (key, when) = (key(), "after the future of a `compare_and_swap` was dropped");
    let old = record("old", 1, 1);
    one.store(&key, 0, &old, "when no record is stored").await?;
    for (revision, micros) in (2..).zip([0, 0, 50, 200, 500, 1000, 2000]) {
        let new = record("new", revision, revision);
        let current = one.load(&key, when).await?.map_or(0, |tokens| tokens.revision());
        let _ = timeout(Duration::from_micros(micros), one.0.compare_and_swap(&key, current, &new)).await;
        let Some(found) = other.load(&key, when).await? else {
            return Err(Violation::new(format!("`load` returns `None` {when}, although a record is stored")));
        };
        let mut known = (2..=revision).map(|number| record("new", number, number)).chain([old.clone()]);
        if known.all(|tokens| difference(&tokens, &found).is_some()) {
            return Err(Violation::new(format!("`load` returns a record that no writer stored {when}")));
        }
    }
    increment(other, &key, when).await?;
    // A dropped write may still take place, even after `remove`.
    one.remove(&key, when).await?;
    sleep(EXCLUSION).await;
    one.remove(&key, when).await
}

/// A lease excludes all others until it is dropped.
async fn check_lease<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let key = key();
    let lease = one.lease(&key, "when no lease is held").await?;
    for (store, who) in [(other, "another handle"), (one, "the same handle")] {
        if !store.must_wait(&key).await? {
            return Err(Violation::new(format!(
                "`lease` grants a second lease for the same key to {who}; it must wait until the first is dropped"
            )));
        }
    }
    if !lease.is_held() {
        return Err(Violation::new("`Lease::is_held` returns `false` while the lease is held"));
    }
    drop(lease);
    let lease = other.lease(&key, "after the lease before it was dropped").await?;
    let (waited, ()) = tokio::join!(one.lease(&key, "after the lease that it waited for was dropped"), async {
        sleep(EXCLUSION).await;
        drop(lease);
    });
    drop(waited?);
    Ok(())
}

/// A lease and the record of its key are independent.
async fn check_lease_and_record<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let (key, when) = (key(), "while a lease for the key is held");
    let lease = one.lease(&key, "when no record is stored").await?;
    for store in [one, other] {
        store.load(&key, when).await?;
        store.store(&key, 0, &record("first", 1, 1), when).await?;
        store.store(&key, 1, &record("next", 2, 2), when).await?;
        if !other.must_wait(&key).await? {
            return Err(Violation::new("`compare_and_swap` ends the lease for its key; they must be independent"));
        }
        store.remove(&key, when).await?;
        if !other.must_wait(&key).await? {
            return Err(Violation::new("`remove` ends the lease for its key; they must be independent"));
        }
    }
    one.store(&key, 0, &record("kept", 1, 1), when).await?;
    drop(lease);
    one.must_hold(&key, &record("kept", 1, 1), "after a lease for the key was dropped").await?;
    one.remove(&key, "for a key with a record").await
}

/// Leases for different keys are independent.
async fn check_leases_of_keys<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let mut leases = Vec::new();
    for (number, key) in keys().into_iter().enumerate() {
        let store = if number % 2 == 0 { one } else { other };
        let when = format!("for {key:?}, while leases for other keys are held; leases must be independent");
        leases.push(store.lease(&key, &when).await?);
    }
    Ok(())
}

/// At most one of many concurrent users holds the lease.
async fn check_concurrent_leases<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let holders = Arc::new(AtomicU32::new(0));
    let mut users = JoinSet::new();
    for store in [one, other].into_iter().cycle().take(RIVALS as usize) {
        let (store, holders) = (store.clone(), Arc::clone(&holders));
        users.spawn(async move {
            let lease = store.lease(&key(), "while others wait for it and each holds it for 2 ms").await?;
            let is_alone = holders.fetch_add(1, Ordering::SeqCst) == 0;
            sleep(Duration::from_millis(2)).await;
            holders.fetch_sub(1, Ordering::SeqCst);
            drop(lease);
            match is_alone {
                true => Ok(()),
                false => Err(Violation::new("`lease` grants a lease to two concurrent users; exactly one may hold it")),
            }
        });
    }
    users.join_all().await.into_iter().collect()
}

/// A future that waits for a lease may be dropped.
async fn check_dropped_lease<S: TokenStore>(one: &Handle<S>, other: &Handle<S>) -> Result<(), Violation> {
    let key = key();
    let lease = one.lease(&key, "when no lease is held").await?;
    for store in [one, other] {
        store.must_wait(&key).await?;
    }
    drop(lease);
    let when = "after a future that waited for it was dropped, which must not hold the lease or a place in a queue";
    let lease = other.lease(&key, when).await?;
    drop(lease);
    one.lease(&key, when).await.map(drop)
}

/// The `Debug` output of a store contains no token.
async fn check_debug<S: TokenStore>(one: &Handle<S>) -> Result<(), Violation> {
    one.store(&key(), 0, &record("shown", 1, 1), "when no record is stored").await?;
    let swap = one.swap(&key(), 7, &record("shown", 1, 2), "when another revision is expected").await?;
    let shown = format!("{:?} {:#?} {swap:?}", one.0, one.0);
    if shown.contains(SECRET) {
        return Err(Violation::new("the `Debug` output of the store contains a token; leave the records out of it"));
    }
    one.remove(&key(), "for a key with a record").await
}
