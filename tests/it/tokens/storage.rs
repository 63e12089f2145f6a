//! Row A6: tokens are stored before they are used, and a store that fails stops no call.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use servicebay::testing::Fault;
use servicebay::{CompareAndSwap, Lease, MemoryStore, StoreError, TokenKey, TokenStore};
use tokio::time::{Instant, sleep};

use super::*;

/// A store whose next few operations of each kind fail or hang.
#[derive(Clone, Debug, Default)]
struct FlakyStore {
    store: MemoryStore,
    loads: Arc<AtomicU32>,
    saves: Arc<AtomicU32>,
    leases: Arc<AtomicU32>,
    hangs: bool,
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
        self.run(&self.saves, self.store.compare_and_swap(key, expected, tokens))
    }

    fn remove(&self, key: &TokenKey) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.store.remove(key)
    }

    fn lease(&self, key: &TokenKey) -> impl Future<Output = Result<Lease, StoreError>> + Send {
        self.run(&self.leases, self.store.lease(key))
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
