//! Row A6: tokens are stored before they are used, and a store that fails stops no call.

use std::future::pending;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::json;
use servicebay::testing::Fault;
use servicebay::{CompareAndSwap, Lease, MemoryStore, StoreError, TokenKey, TokenStore};
use tokio::time::{Instant, sleep};

use super::lease_timer::LeaseTimer;
use super::scripted_store::{ScriptedStore, Write, with_fields};
use super::*;
use crate::hooked_store::{HookedStore, StoreOperation};

/// A store whose next few operations of each kind fail or hang.
#[derive(Clone, Debug, Default)]
struct FlakyStore {
    store: MemoryStore,
    loads: Arc<AtomicU32>,
    saves: Arc<AtomicU32>,
    leases: Arc<AtomicU32>,
    hangs: bool,
    /// Whether no other client uses it.
    is_private: bool,
    /// What was to be written, whether or not that failed.
    written: Arc<Mutex<Vec<TokenSet>>>,
}

impl FlakyStore {
    async fn run<T>(
        &self,
        failures: &AtomicU32,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let fails = failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        match (fails, self.hangs) {
            (false, _) => operation.await,
            (true, true) => pending().await,
            (true, false) => Err(StoreError::new("the disk is full")),
        }
    }
}

impl TokenStore for FlakyStore {
    fn load(&self, key: &TokenKey) -> impl Future<Output = Result<Option<TokenSet>, StoreError>> + Send {
        self.run(&self.loads, self.store.load(key))
    }

    fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> impl Future<Output = Result<CompareAndSwap, StoreError>> + Send {
        self.written.lock().unwrap().push(tokens.clone());
        self.run(&self.saves, self.store.compare_and_swap(key, expected, tokens))
    }

    fn remove(&self, key: &TokenKey) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.store.remove(key)
    }

    fn lease(&self, key: &TokenKey) -> impl Future<Output = Result<Lease, StoreError>> + Send {
        self.run(&self.leases, self.store.lease(key))
    }

    fn is_shared(&self) -> bool {
        !self.is_private
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_are_stored_before_they_are_used() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&server);
    let client = || fentu_builder(&server, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let first = client();
    sleep(HOUR).await;
    // The call itself never ends, but its token is already in the store.
    server.fault(Fault::delay(DAY).on("GET", "/tasks/{id}"));
    let call = tokio::spawn(task(&first));
    sleep(SECOND).await;
    call.abort();
    task(&client()).await.unwrap();
    assert_eq!(server.counters().refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_cannot_be_stored_are_used_from_memory_and_stored_later() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), FlakyStore::default());
    let tokens = consent(&server);
    let client = || fentu_builder(&server, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let first = client();
    task(&first).await.unwrap();
    assert_eq!(first.auth_status().store_failure(), None);

    sleep(HOUR).await;
    store.saves.store(4, Ordering::Relaxed);
    let started = Instant::now();
    task(&first).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    let failure = first.auth_status().store_failure().map(str::to_owned);
    assert!(failure.as_ref().is_some_and(|failure| failure.contains("the disk is full")), "{failure:?}");

    // It tries again after 1 s, 2 s, 4 s and 8 s.
    sleep(16 * SECOND).await;
    assert_eq!(first.auth_status().store_failure(), None);
    let second = client();
    task(&second).await.unwrap();
    assert_eq!((second.auth_status().generation(), server.counters().refreshes()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn of_tokens_that_could_not_be_stored_the_latest_are_stored_in_the_end() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), FlakyStore::default());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    store.saves.store(200, Ordering::Relaxed);
    for _ in 0..3 {
        task(&client).await.unwrap();
        sleep(HOUR).await;
    }
    task(&client).await.unwrap();
    store.saves.store(0, Ordering::Relaxed);
    sleep(61 * SECOND).await;
    assert_eq!(client.auth_status().store_failure(), None);
    let other = fentu_builder(&server, consent(&server)).with_token_store(store).build().unwrap();
    task(&other).await.unwrap();
    assert_eq!((client.auth_status().generation(), other.auth_status().generation()), (4, 4));
    assert_eq!(server.counters().refused_refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_always_fails_does_not_keep_a_client_from_logging_in() {
    let store = FlakyStore::default();
    for failures in [&store.loads, &store.saves, &store.leases] {
        failures.store(u32::MAX, Ordering::Relaxed);
    }
    let server = repairy_testing::MockServer::builder().in_memory();
    let client = server.client_builder(repairy_testing::Partner::Main).with_token_store(store).build().unwrap();
    booking(&client).await.unwrap();
    sleep(4 * DAY).await;
    booking(&client).await.unwrap();
    assert!(client.auth_status().store_failure().is_some());
    assert_eq!((server.counters().logins(), server.counters().unauthorized()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_store_operation_that_hangs_costs_ten_seconds_and_no_more() {
    let store = FlakyStore { hangs: true, ..FlakyStore::default() };
    store.saves.store(u32::MAX, Ordering::Relaxed);
    let server = repairy_testing::MockServer::builder().in_memory();
    let client = server.client_builder(repairy_testing::Partner::Main).with_token_store(store).build().unwrap();
    let started = Instant::now();
    booking(&client).await.unwrap();
    assert_eq!(started.elapsed(), 10 * SECOND);
    let started = Instant::now();
    booking(&client).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_only_in_a_store_that_cannot_be_read_are_a_store_error_until_it_can_be_read() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), FlakyStore::default());
    let first = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&first).await.unwrap();

    store.loads.store(1, Ordering::Relaxed);
    let stored = fentu::Credentials::oauth_stored("test-application", "test-application-secret");
    let builder = server.client_builder_with(stored).with_tenant("acme");
    let client = builder.with_token_store(store).build().unwrap();
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    sleep(30 * SECOND).await;
    task(&client).await.unwrap();
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_with_an_empty_store_requires_a_login_and_finds_its_tokens_later() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let stored = fentu::Credentials::oauth_stored("test-application", "test-application-secret");
    let builder = server.client_builder_with(stored).with_tenant("acme");
    let client = builder.with_token_store(store.clone()).build().unwrap();
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");

    let other = fentu_builder(&server, consent(&server)).with_token_store(store).build().unwrap();
    task(&other).await.unwrap();
    sleep(30 * SECOND).await;
    task(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refresh_writes_a_note_and_then_the_tokens_each_with_a_revision_of_its_own() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), FlakyStore::default());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    let before = server.now();
    task(&client).await.unwrap();
    let written = store.written.lock().unwrap().clone();
    let notes: Vec<_> = written.iter().map(TokenSet::presented_at).collect();
    assert_eq!(notes, [None, Some(before), None]);
    assert_eq!(written.iter().map(TokenSet::generation).collect::<Vec<_>>(), [1, 1, 2]);
    let mut revisions: Vec<_> = written.iter().map(TokenSet::revision).collect();
    revisions.sort_unstable();
    revisions.dedup();
    assert!(revisions.len() == 3 && revisions[0] > 0, "{revisions:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_always_fails_is_asked_ever_more_rarely_and_not_at_all_for_expired_tokens() {
    let store = FlakyStore::default();
    store.saves.store(u32::MAX, Ordering::Relaxed);
    let (server, client) = {
        let server = fisikal_testing::MockServer::builder().in_memory();
        let client = server.client_builder(manager(&server)).with_token_store(store.clone()).build().unwrap();
        (server, client)
    };
    profile(&client).await.unwrap();
    let writes = || store.written.lock().unwrap().len();
    sleep(600 * SECOND).await;
    // After 1, 3, 7, 15, 31 and 63 s, and then once a minute.
    assert!((14..=17).contains(&writes()), "{}", writes());
    let expires_at = client.auth_status().expires_at().unwrap();
    let left = Duration::try_from(expires_at.duration_since(server.now())).unwrap();
    sleep(left + 120 * SECOND).await;
    let before = writes();
    sleep(DAY).await;
    assert_eq!(writes(), before, "no caller can use them any more");
    client.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_look_into_the_store_does_not_hide_that_tokens_are_in_memory_only() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), FlakyStore::default());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    store.saves.store(u32::MAX, Ordering::Relaxed);
    server.end_access_tokens();
    task(&client).await.unwrap();
    // A second rejection, so soon that the client only looks into the store.
    server.end_access_tokens();
    task(&client).await.unwrap_err();
    assert!(client.auth_status().store_failure().is_some_and(|failure| failure.contains("the disk is full")));
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_tokens_are_in_memory_only_refreshes_them_again_under_the_same_lease() {
    let (server, memory) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&server);
    let store = || FlakyStore { store: memory.clone(), ..FlakyStore::default() };
    let (own, other) = (store(), store());
    let client = |store: &FlakyStore| {
        let builder = fentu_builder(&server, tokens.clone()).with_token_store(store.clone());
        builder.build().unwrap()
    };
    let (first, second) = (client(&own), client(&other));
    task(&first).await.unwrap();
    task(&second).await.unwrap();
    sleep(HOUR).await;
    own.saves.store(u32::MAX, Ordering::Relaxed);
    task(&first).await.unwrap();
    // The second client waits for the lease: the record does not say that its refresh token was replaced.
    let waiting = tokio::spawn(task(&second));
    sleep(SECOND).await;
    server.end_access_tokens();
    task(&first).await.unwrap();
    assert!(!waiting.is_finished());
    own.saves.store(0, Ordering::Relaxed);
    waiting.await.unwrap().unwrap();
    let counters = server.counters();
    assert_eq!((counters.refreshes(), counters.repeated_refreshes(), counters.refused_refreshes()), (2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_slow_login_after_a_slow_refresh_gives_the_lease_up() {
    let (server, _) = fisikal(|server| server.with_refresh_tokens());
    let store = LeaseTimer::new(HookedStore::slow(9 * SECOND, &[StoreOperation::Load, StoreOperation::Write]));
    let client = server.client_builder(manager(&server)).with_token_store(store.clone()).build().unwrap();
    profile(&client).await.unwrap();
    sleep(client.auth_status().time_left().unwrap()).await;
    store.clear();
    // A load, a note, the refresh and a login that takes two attempts.
    server.fault(Fault::status(500).delayed(29 * SECOND).on("POST", "/oauth/token").times(2));
    profile(&client).await.unwrap();
    let held = store.held();
    assert!(held.len() == 1 && held[0] < 60 * SECOND, "{held:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_token_serves_no_call_before_it_is_stored() {
    let server = fentu_server(RefreshTokens::Rotated);
    let store = HookedStore::slow(5 * SECOND, &[StoreOperation::Write]);
    let client = fentu_builder(&server, consent(&server)).with_token_store(store).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    let started = Instant::now();
    let first = tokio::spawn(task(&client));
    // The note is written, and the vendor has granted the tokens.
    sleep(7 * SECOND).await;
    assert_eq!(server.counters().refreshes(), 1);
    task(&client).await.unwrap();
    assert_eq!(started.elapsed(), 10 * SECOND);
    first.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_no_other_client_uses_stops_no_refresh_when_it_cannot_be_read_or_leased() {
    for is_private in [true, false] {
        let server = fentu_server(RefreshTokens::Rotated);
        let store = FlakyStore { is_private, ..FlakyStore::default() };
        let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
        task(&client).await.unwrap();
        sleep(HOUR).await;
        store.loads.store(u32::MAX, Ordering::Relaxed);
        store.leases.store(u32::MAX, Ordering::Relaxed);
        let called = task(&client).await;
        assert_eq!(called.is_ok(), is_private, "{called:?}");
        assert_eq!(server.counters().refreshes(), u64::from(is_private));
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_the_vendor_rejects_read_the_store_once_in_a_second() {
    let (server, loads) = (fentu_server(RefreshTokens::Rotated), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&loads);
    let store = HookedStore::new(move |operation| {
        counted.fetch_add(u32::from(operation == StoreOperation::Load), Ordering::Relaxed);
        std::future::ready(Ok(()))
    });
    let client = fentu_builder(&server, consent(&server)).with_token_store(store).build().unwrap();
    task(&client).await.unwrap();
    server.fault(Fault::status(401).on("GET", "/tasks/{id}").always());
    task(&client).await.unwrap_err();
    let before = loads.load(Ordering::Relaxed);
    for _ in 0..50 {
        task(&client).await.unwrap_err();
    }
    assert!(loads.load(Ordering::Relaxed) <= before + 1, "{before} and then {loads:?}");
}

#[tokio::test(start_paused = true)]
async fn a_login_is_stored_although_another_client_changes_the_record_twice_meanwhile() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), ScriptedStore::default());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    let overtaken =
        |revision: u64| Write::Overtaken(Box::new(move |record| with_fields(&record, &json!({"revision": revision}))));
    store.next_writes([overtaken(1), overtaken(2)]);
    sleep(SECOND).await;
    client.adopt_login(consent(&server)).await.unwrap();
    assert_eq!((store.record().await.unwrap().generation(), client.auth_status().generation()), (2, 2));
    assert_eq!(client.auth_status().store_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_later_login_that_a_save_in_the_background_meets_serves_calls_at_once() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), ScriptedStore::default());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    store.next_writes([Write::Succeeds, Write::Fails]);
    task(&client).await.unwrap();
    let in_memory = store.written().pop().unwrap();
    sleep(SECOND / 2).await;
    let login = consent(&server).with_obtained_at(server.now());
    store.change(|_| login).await;
    sleep(SECOND).await;

    // From here on, only the later login is valid.
    fentu_builder(&server, in_memory).build().unwrap().revoke().await.unwrap();
    task(&client).await.unwrap();
    assert_eq!((server.counters().unauthorized(), server.counters().refreshes()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_slow_login_keeps_the_lease_while_something_is_still_to_be_stored() {
    let (server, _) = fisikal(|server| server.with_refresh_tokens());
    let fails = Arc::new(AtomicBool::new(false));
    let writes_fail = Arc::clone(&fails);
    let store = LeaseTimer::new(HookedStore::new(move |operation| {
        let fails = operation == StoreOperation::Write && writes_fail.load(Ordering::Relaxed);
        async move {
            sleep(9 * SECOND).await;
            if fails { Err(StoreError::new("the disk is full")) } else { Ok(()) }
        }
    }));
    let client = server.client_builder(manager(&server)).with_token_store(store.clone()).build().unwrap();
    profile(&client).await.unwrap();
    sleep(client.auth_status().time_left().unwrap()).await;
    store.clear();
    fails.store(true, Ordering::Relaxed);
    // A load, a note, the refresh, the note again, and a login that takes two attempts.
    server.fault(Fault::status(500).delayed(29 * SECOND).on("POST", "/oauth/token").times(2));
    profile(&client).await.unwrap();
    assert_eq!(store.held(), []);
    fails.store(false, Ordering::Relaxed);
    sleep(120 * SECOND).await;
    assert_eq!((store.held().len(), client.auth_status().store_failure()), (1, None));
}
