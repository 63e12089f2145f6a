//! Row A16: the end of a client loses no tokens.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::FutureExt as _;
use serde_json::json;
use servicebay::MemoryStore;
use servicebay::testing::Fault;
use tokio::time::{Instant, advance, sleep};

use super::scripted_store::{ScriptedStore, with_fields};
use super::*;
use crate::hooked_store::{HookedStore, StoreOperation};

#[tokio::test(start_paused = true)]
async fn close_waits_for_the_refresh_under_way_until_its_tokens_are_stored() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let client = || fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    let first = client();
    task(&first).await.unwrap();
    advance(HOUR - 300 * SECOND).await;
    server.fault(Fault::delay(3 * SECOND).on("POST", "/oauth/token"));
    // This call uses the old token and starts a refresh in the background.
    task(&first).await.unwrap();
    let started = Instant::now();
    first.close().await.unwrap();
    assert!(started.elapsed() >= 3 * SECOND, "{:?}", started.elapsed());
    assert_eq!((server.counters().refreshes(), first.auth_status().generation()), (1, 2));

    // What the next process finds is what the refresh brought.
    advance(HOUR / 2).await;
    let stored = fentu::Credentials::oauth_stored("test-application", "test-application-secret");
    let next = server.client_builder_with(stored).with_tenant("acme").with_token_store(store.clone());
    task(&next.build().unwrap()).await.unwrap();
    assert_eq!((server.counters().refreshes(), server.counters().repeated_refreshes()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_closed_client_starts_no_refresh_in_the_background_and_still_calls() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    client.close().await.unwrap();
    advance(HOUR - 300 * SECOND).await;
    task(&client).await.unwrap();
    sleep(10 * SECOND).await;
    assert_eq!(server.counters().refreshes(), 0);
    advance(HOUR).await;
    task(&client).await.unwrap();
    assert_eq!(server.counters().refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn settle_stores_tokens_that_are_in_memory_only() {
    let (server, failures) = (fentu_server(RefreshTokens::Rotated), Arc::default());
    let store = HookedStore::with_failing_writes(&failures);
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    advance(HOUR).await;
    failures.store(2, Ordering::Relaxed);
    task(&client).await.unwrap();
    assert!(client.auth_status().store_failure().is_some());
    let started = Instant::now();
    client.settle().await.unwrap();
    assert_eq!((started.elapsed(), client.auth_status().store_failure()), (Duration::ZERO, None));
}

#[tokio::test(start_paused = true)]
async fn close_gives_up_on_a_store_that_fails_and_says_what_is_lost() {
    let (server, failures) = (fentu_server(RefreshTokens::Rotated), Arc::default());
    let store = HookedStore::with_failing_writes(&failures);
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    advance(HOUR).await;
    failures.store(u32::MAX, Ordering::Relaxed);
    task(&client).await.unwrap();
    let error = client.close().await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    let text = error.to_string();
    assert!(text.contains("in memory only") && text.contains("the disk is full"), "{text}");
    // The task goes on as long as the process does.
    failures.store(0, Ordering::Relaxed);
    sleep(61 * SECOND).await;
    client.close().await.unwrap();
    assert_eq!(client.auth_status().store_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_idle_or_has_a_fixed_token_settles_at_once() {
    let (server, client) = fentu();
    client.settle().await.unwrap();
    task(&client).await.unwrap();
    let started = Instant::now();
    client.settle().await.unwrap();
    server.client().unwrap().close().await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn without_background_refreshes_a_call_waits_for_the_refresh_of_a_stale_token() {
    let server = fentu_server(RefreshTokens::Rotated);
    let client = fentu_builder(&server, consent(&server)).with_background_refresh(false).build().unwrap();
    task(&client).await.unwrap();
    advance(HOUR - 300 * SECOND).await;
    server.fault(Fault::delay(3 * SECOND).on("POST", "/oauth/token"));
    let started = Instant::now();
    task(&client).await.unwrap();
    assert_eq!((started.elapsed(), server.counters().refreshes()), (3 * SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn without_background_refreshes_a_stale_token_serves_if_its_refresh_fails() {
    let server = fentu_server(RefreshTokens::Rotated);
    let client = fentu_builder(&server, consent(&server)).with_background_refresh(false).build().unwrap();
    task(&client).await.unwrap();
    advance(HOUR - 300 * SECOND).await;
    server.fault(Fault::status(503).on("POST", "/oauth/token").always());
    for _ in 0..10 {
        task(&client).await.unwrap();
        sleep(SECOND).await;
    }
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 1, "its outcome is unknown");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_refused_for_good_is_tried_again_once_an_hour() {
    let server = fisikal_testing::MockServer::builder().in_memory();
    let wrong = fisikal::Credentials::password("test-application", "test-application-secret", "unknown", "wrong");
    let client = server.client_builder(wrong).build().unwrap();
    for _ in 0..150 {
        let error = profile(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        sleep(60 * SECOND).await;
    }
    assert_eq!(server.counters().refused_logins(), 3, "at once, after an hour and after two");
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_while_it_is_stored_serves_the_calls_that_waited_for_it() {
    let server = fisikal_testing::MockServer::builder().in_memory();
    server.fault(Fault::field("expires_in", 1).on("POST", "/oauth/token").always());
    let store = HookedStore::slow(SECOND, &[StoreOperation::Load, StoreOperation::Write]);
    let client = server.client_builder(manager(&server)).with_token_store(store).build().unwrap();
    for result in futures_util::future::join_all((0..100).map(|_| profile(&client))).await {
        result.unwrap();
    }
    assert_eq!(server.counters().logins(), 1);
    profile(&client).await.unwrap();
    assert_eq!(server.counters().logins(), 2);
}

#[tokio::test(start_paused = true)]
async fn revoked_tokens_are_not_written_back_by_a_save_under_way() {
    let (server, failures) = (fentu_server(RefreshTokens::Rotated), Arc::default());
    let store = HookedStore::with_failing_writes(&failures);
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    advance(HOUR).await;
    failures.store(2, Ordering::Relaxed);
    task(&client).await.unwrap();
    assert!(client.auth_status().store_failure().is_some(), "the new tokens are in memory only");
    client.revoke().await.unwrap();
    sleep(120 * SECOND).await;

    let stored = fentu::Credentials::oauth_stored("test-application", "test-application-secret");
    let next = server.client_builder_with(stored).with_tenant("acme").with_token_store(store).build().unwrap();
    let error = task(&next).await.unwrap_err();
    assert!(error.to_string().contains("there are no tokens yet"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_revocation_ends_the_login_of_the_fallback_too() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let first = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&first).await.unwrap();
    sleep(SECOND).await;
    let second = fentu_builder(&server, consent(&server)).with_token_store(store).build().unwrap();
    task(&second).await.unwrap();
    second.revoke().await.unwrap();
    for client in [&first, &second] {
        let error = task(client).await.unwrap_err();
        assert!(error.is_auth(), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn without_background_refreshes_a_failed_refresh_is_followed_by_a_pause_of_half_a_minute() {
    let server = repairy_testing::MockServer::builder().in_memory();
    let builder = server.client_builder(repairy_testing::Partner::Main).with_background_refresh(false);
    let client = builder.build().unwrap();
    booking(&client).await.unwrap();
    sleep(45 * HOUR).await;
    for path in ["/auth/refresh", "/auth/token"] {
        server.fault(Fault::status(403).on("POST", path).always());
    }
    for _ in 0..25 {
        booking(&client).await.unwrap();
        sleep(SECOND).await;
    }
    assert_eq!(request_count(&server.requests(), "/auth/token"), 2, "the first login, and one try");
}

#[test]
fn a_call_that_waits_for_a_refresh_whose_runtime_ends_starts_another_one() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (server, client) = fisikal(|server| server);
    server.fault(Fault::delay(DAY).on("POST", "/oauth/token"));
    let first = runtime();
    first.block_on(async {
        assert!(profile(&client).now_or_never().is_none());
        tokio::task::yield_now().await;
    });
    runtime().block_on(async {
        let mut waiting = profile(&client);
        assert!(waiting.as_mut().now_or_never().is_none());
        std::thread::spawn(move || drop(first)).join().unwrap();
        server.clear_faults();
        waiting.await.unwrap();
    });
}

#[tokio::test(start_paused = true)]
async fn a_login_after_a_removal_that_failed_is_above_the_record_even_if_that_cannot_be_read() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), ScriptedStore::default());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    advance(HOUR).await;
    task(&client).await.unwrap();
    store.let_removals_fail(true);
    let error = client.revoke().await.unwrap_err();
    assert!(error.to_string().contains("the revoked tokens cannot be removed"), "{error}");
    assert_eq!(store.record().await.unwrap().generation(), 2);
    store.let_loads_fail(true);
    client.adopt_login(consent(&server)).await.unwrap();
    assert_eq!(store.record().await.unwrap().generation(), 3);
}

#[tokio::test(start_paused = true)]
async fn settle_waits_for_a_revocation_under_way() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    server.fault(Fault::delay(3 * SECOND).on("POST", "/oauth/revoke"));
    let started = Instant::now();
    let (revoked, settled) = tokio::join!(client.revoke(), async {
        sleep(SECOND).await;
        let settled = client.settle().await;
        settled.map(|()| started.elapsed())
    });
    revoked.unwrap();
    assert_eq!(settled.unwrap(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn settle_tries_three_times_to_store_tokens_a_second_apart() {
    for (failures, is_settled) in [(2, true), (3, false)] {
        let (server, fails) = (fentu_server(RefreshTokens::Rotated), Arc::default());
        let store = HookedStore::with_failing_writes(&fails);
        let client = fentu_builder(&server, consent(&server)).with_token_store(store).build().unwrap();
        task(&client).await.unwrap();
        advance(HOUR).await;
        fails.store(u32::MAX, Ordering::Relaxed);
        task(&client).await.unwrap();
        // Long after, so that no try in the background comes between.
        sleep(70 * SECOND).await;
        fails.store(failures, Ordering::Relaxed);
        let started = Instant::now();
        assert_eq!((client.settle().await.is_ok(), started.elapsed()), (is_settled, 2 * SECOND), "{failures}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_never_used_settles_without_a_write() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), ScriptedStore::default());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    client.close().await.unwrap();
    assert!(store.written().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_new_login_counts_whatever_the_clock_of_another_client_says() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), ScriptedStore::default());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    let ahead = consent(&server).with_obtained_at(server.now() + HOUR);
    store.change(|_| with_fields(&ahead, &json!({"revision": 1}))).await;
    client.adopt_login(consent(&server)).await.unwrap();
    // The user has just logged in, although another client's clock says an hour from now.
    assert_eq!(store.record().await.unwrap().obtained_at(), Some(server.now()));
    task(&client).await.unwrap();
    assert_eq!(store.record().await.unwrap().obtained_at(), Some(server.now()));
}

#[tokio::test(start_paused = true)]
async fn a_new_login_that_could_not_be_stored_is_used_from_memory_and_stored_later() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), ScriptedStore::default());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    server.end_access_tokens();
    store.let_other_writes_fail(true);
    let error = client.adopt_login(consent(&server)).await.unwrap_err();
    assert!(error.to_string().contains("the tokens of the new login are in memory only"), "{error}");
    task(&client).await.unwrap();
    assert_eq!((server.counters().unauthorized(), server.counters().refreshes()), (0, 0));
    assert_eq!(store.record().await.unwrap().generation(), 1);
    store.let_other_writes_fail(false);
    sleep(2 * SECOND).await;
    assert_eq!(store.record().await.unwrap().generation(), 2);
}
