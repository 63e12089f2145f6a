//! `revoke()`, which logs out.

use servicebay::testing::Fault;
use servicebay::{MAX_LEASE, MemoryStore};
use tokio::time::{Instant, sleep};

use super::lease_timer::LeaseTimer;
use super::*;

#[tokio::test(start_paused = true)]
async fn revoked_tokens_are_invalid_at_fentu_in_the_store_and_in_the_client() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&server);
    let client = || fentu_builder(&server, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let first = client();
    task(&first).await.unwrap();
    first.revoke().await.unwrap();
    assert_eq!(server.counters().revocations(), 1, "revoking the refresh token revokes the access token");

    let requests = server.counters().requests();
    for _ in 0..100 {
        let error = task(&first).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        sleep(60 * SECOND).await;
    }
    assert_eq!(server.counters().requests(), requests, "nothing was sent");

    // The store is empty, and the tokens passed in are invalid.
    let error = task(&client()).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!((server.counters().refreshes(), server.counters().refused_refreshes()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_never_used_can_be_revoked() {
    let (server, client) = fentu();
    client.revoke().await.unwrap();
    assert_eq!(server.counters().revocations(), 1);
    assert!(matches!(task(&client).await, Err(Error::ReauthRequired(_))));
}

#[tokio::test(start_paused = true)]
async fn revoked_tokens_are_invalid_at_fisikal_and_no_login_follows() {
    let (server, client) = fisikal(|server| server.with_refresh_tokens());
    profile(&client).await.unwrap();
    client.revoke().await.unwrap();
    assert!(server.counters().revocations() >= 1);
    for _ in 0..100 {
        let error = profile(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        assert!(error.to_string().contains("revoked by this client"), "{error}");
        sleep(60 * SECOND).await;
    }
    assert_eq!((server.counters().logins(), server.counters().refused_refreshes()), (1, 0));
    // A new client logs in.
    profile(&server.client_builder(manager(&server)).build().unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_fails_leaves_the_tokens_valid() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    server.fault(Fault::status(503).on("POST", "/oauth/revoke").always());
    let error = client.revoke().await.unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error:?}");
    task(&client).await.unwrap();
    server.clear_faults();
    client.revoke().await.unwrap();
    assert!(matches!(task(&client).await, Err(Error::ReauthRequired(_))));
}

#[tokio::test(start_paused = true)]
async fn a_fixed_token_cannot_be_revoked_by_the_client() {
    let fentu = fentu_testing::MockServer::builder().in_memory();
    let fisikal = fisikal_testing::MockServer::builder().in_memory();
    for result in [fentu.client().unwrap().revoke().await, fisikal.client().unwrap().revoke().await] {
        let error = result.unwrap_err();
        let Error::InvalidRequest(request) = &error else { panic!("{error:?}") };
        assert_eq!(request.parameter(), "credentials");
    }
    assert_eq!(fentu.counters().requests() + fisikal.counters().requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_slow_revocation_of_five_logins_gives_the_lease_up_in_time_and_ends_them_all() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), LeaseTimer::new(MemoryStore::new()));
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    for _ in 0..4 {
        client.adopt_login(consent(&server)).await.unwrap();
        sleep(SECOND).await;
    }
    store.clear();
    server.fault(Fault::delay(29 * SECOND).on("POST", "/oauth/revoke").always());
    let started = Instant::now();
    client.revoke().await.unwrap();
    assert!(started.elapsed() > MAX_LEASE, "{:?}", started.elapsed());
    // The first request is under way for as long as it takes, and the next ones need no lease.
    assert_eq!(store.held(), [58 * SECOND]);
    assert_eq!(server.counters().revocations(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_another_client_has_stored_since_is_revoked_too() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let client = || fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    let (first, second) = (client(), client());
    task(&first).await.unwrap();
    second.adopt_login(consent(&server)).await.unwrap();
    task(&second).await.unwrap();
    first.revoke().await.unwrap();
    let error = task(&second).await.unwrap_err();
    assert!(error.is_auth(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_the_vendor_refuses_is_an_error_and_the_tokens_stay() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    let refusal = Fault::body(401, r#"{"error": "invalid_token"}"#);
    server.fault(refusal.on("POST", "/oauth/revoke"));
    let error = client.revoke().await.unwrap_err();
    assert!(error.is_auth(), "{error:?}");
    assert_eq!((server.counters().revocations(), request_count(&server.requests(), "/oauth/revoke")), (0, 1));
    task(&client).await.unwrap();
    let counters = server.counters();
    assert_eq!((counters.unauthorized(), counters.refreshes()), (1, 0), "the only 401 is that of the revocation");
}

#[tokio::test(start_paused = true)]
async fn an_earlier_login_that_the_vendor_has_forgotten_does_not_stop_a_revocation() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    client.adopt_login(consent(&server)).await.unwrap();
    // After both tokens of the later login.
    let refusal = Fault::body(401, r#"{"error": "invalid_token"}"#).after(2).times(2);
    server.fault(refusal.on("POST", "/oauth/revoke"));
    client.revoke().await.unwrap();
    assert_eq!((server.counters().revocations(), request_count(&server.requests(), "/oauth/revoke")), (1, 4));
    let stored = fentu::Credentials::oauth_stored("test-application", "test-application-secret");
    let next = server.client_builder_with(stored).with_tenant("acme").with_token_store(store).build().unwrap();
    let error = task(&next).await.unwrap_err();
    assert!(error.to_string().contains("there are no tokens yet"), "{error}");
}
