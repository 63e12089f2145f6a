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
