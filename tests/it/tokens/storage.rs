//! Row A6: a pair is stored before it is used, and a store that fails stops nobody.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use servicebay::testing::Fault;
use servicebay::{CompareAndSwap, Lease, MemoryStore, StoreError, TokenKey, TokenStore};
use tokio::time::{Instant, sleep};

use super::*;

/// A store that fails, or hangs, the next few times that it is asked.
#[derive(Clone, Debug, Default)]
struct Shaky {
    store: MemoryStore,
    loads: Arc<AtomicU32>,
    saves: Arc<AtomicU32>,
    leases: Arc<AtomicU32>,
    hangs: bool,
}

impl Shaky {
    fn ask<'a, T: Send + 'a>(
        &'a self,
        failures: &'a AtomicU32,
        asked: BoxFuture<'a, Result<T, StoreError>>,
    ) -> BoxFuture<'a, Result<T, StoreError>> {
        let fails = failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        match (fails, self.hangs) {
            (false, _) => asked,
            (true, true) => Box::pin(pending()),
            (true, false) => Box::pin(async { Err(StoreError::new("the disk is full")) }),
        }
    }
}

impl TokenStore for Shaky {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        self.ask(&self.loads, self.store.load(key))
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>> {
        if self.saves.load(Ordering::Relaxed) > 0 {
            return self.ask(&self.saves, Box::pin(pending()));
        }
        self.store.compare_and_swap(key, expected, tokens)
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.remove(key)
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.ask(&self.leases, self.store.lease(key))
    }
}

#[tokio::test(start_paused = true)]
async fn a_pair_is_stored_before_it_is_used() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&tenant);
    let client = || fentu_builder(&tenant, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let first = client();
    sleep(HOUR).await;
    // The call itself never ends; what it went out with is in the store all the same.
    tenant.fault(Fault::delay(DAY).on("GET", "/tasks/{id}"));
    let call = tokio::spawn(task(&first));
    sleep(SECOND).await;
    call.abort();
    task(&client()).await.unwrap();
    assert_eq!(tenant.counters().refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_cannot_be_stored_is_used_from_memory_and_stored_later() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), Shaky::default());
    let tokens = consent(&tenant);
    let client = || fentu_builder(&tenant, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let first = client();
    task(&first).await.unwrap();
    assert_eq!(first.auth_status().store_failure(), None);

    sleep(HOUR).await;
    store.saves.store(4, Ordering::Relaxed);
    let begun = Instant::now();
    task(&first).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    let failure = first.auth_status().store_failure().map(str::to_owned);
    assert!(failure.as_ref().is_some_and(|failure| failure.contains("the disk is full")), "{failure:?}");

    // 1 s, 2 s, 4 s, 8 s.
    sleep(16 * SECOND).await;
    assert_eq!(first.auth_status().store_failure(), None);
    let second = client();
    task(&second).await.unwrap();
    assert_eq!((second.auth_status().generation(), tenant.counters().refreshes()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn of_pairs_that_could_not_be_stored_the_last_one_is_stored_in_the_end() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), Shaky::default());
    let client = fentu_builder(&tenant, consent(&tenant)).with_token_store(store.clone()).build().unwrap();
    store.saves.store(200, Ordering::Relaxed);
    for _ in 0..3 {
        task(&client).await.unwrap();
        sleep(HOUR).await;
    }
    task(&client).await.unwrap();
    store.saves.store(0, Ordering::Relaxed);
    sleep(61 * SECOND).await;
    assert_eq!(client.auth_status().store_failure(), None);
    let other = fentu_builder(&tenant, consent(&tenant)).with_token_store(store).build().unwrap();
    task(&other).await.unwrap();
    assert_eq!((client.auth_status().generation(), other.auth_status().generation()), (4, 4));
    assert_eq!(tenant.counters().refused_refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_work_at_all_does_not_keep_a_client_from_logging_in() {
    let store = Shaky::default();
    for failures in [&store.loads, &store.saves, &store.leases] {
        failures.store(u32::MAX, Ordering::Relaxed);
    }
    let tenant = repairy_testing::MockServer::builder().in_memory();
    let client = tenant.client_builder(repairy_testing::Partner::Main).with_token_store(store).build().unwrap();
    booking(&client).await.unwrap();
    sleep(4 * DAY).await;
    booking(&client).await.unwrap();
    assert!(client.auth_status().store_failure().is_some());
    assert_eq!((tenant.counters().logins(), tenant.counters().unauthorized()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_does_not_answer_costs_ten_seconds_each_time_and_no_more() {
    let store = Shaky { hangs: true, ..Shaky::default() };
    store.saves.store(u32::MAX, Ordering::Relaxed);
    let tenant = repairy_testing::MockServer::builder().in_memory();
    let client = tenant.client_builder(repairy_testing::Partner::Main).with_token_store(store).build().unwrap();
    let begun = Instant::now();
    booking(&client).await.unwrap();
    assert_eq!(begun.elapsed(), 10 * SECOND);
    let begun = Instant::now();
    booking(&client).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn tokens_that_are_only_in_a_store_that_cannot_be_read_are_a_store_error_until_it_can() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), Shaky::default());
    let first = fentu_builder(&tenant, consent(&tenant)).with_token_store(store.clone()).build().unwrap();
    task(&first).await.unwrap();

    store.loads.store(1, Ordering::Relaxed);
    let stored = fentu::Credentials::oauth_stored("test-application", "test-application-secret");
    let builder = tenant.client_builder_with(stored).with_tenant("acme");
    let client = builder.with_token_store(store).build().unwrap();
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    assert!(error.to_string().contains("the disk is full"), "{error}");
    sleep(30 * SECOND).await;
    task(&client).await.unwrap();
    assert_eq!(asked(&tenant.requests(), "/oauth/token"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_store_is_empty_asks_for_a_login_and_finds_it_when_it_comes() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
    let stored = fentu::Credentials::oauth_stored("test-application", "test-application-secret");
    let builder = tenant.client_builder_with(stored).with_tenant("acme");
    let client = builder.with_token_store(store.clone()).build().unwrap();
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");

    let other = fentu_builder(&tenant, consent(&tenant)).with_token_store(store).build().unwrap();
    task(&other).await.unwrap();
    sleep(30 * SECOND).await;
    task(&client).await.unwrap();
}
