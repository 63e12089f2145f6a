//! `revoke()`: a logout.

use servicebay::MemoryStore;
use servicebay::testing::Fault;
use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn revoked_tokens_are_worthless_at_fentu_in_the_store_and_here() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&tenant);
    let client = || fentu_builder(&tenant, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let first = client();
    task(&first).await.unwrap();
    first.revoke().await.unwrap();
    assert_eq!(tenant.counters().revocations(), 1, "with the refresh token the access token ends");

    let requests = tenant.counters().requests();
    for _ in 0..100 {
        let error = task(&first).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        sleep(60 * SECOND).await;
    }
    assert_eq!(tenant.counters().requests(), requests, "nothing was sent");

    // Nothing is in the store, and who still has the tokens has nothing.
    let error = task(&client()).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!((tenant.counters().refreshes(), tenant.counters().refused_refreshes()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_never_used_can_be_revoked() {
    let (tenant, client) = fentu();
    client.revoke().await.unwrap();
    assert_eq!(tenant.counters().revocations(), 1);
    assert!(matches!(task(&client).await, Err(Error::ReauthRequired(_))));
}

#[tokio::test(start_paused = true)]
async fn revoked_tokens_are_worthless_at_fisikal_and_no_login_follows() {
    let (tenant, client) = fisikal(|tenant| tenant.with_refresh_tokens());
    profile(&client).await.unwrap();
    client.revoke().await.unwrap();
    assert!(tenant.counters().revocations() >= 1);
    for _ in 0..100 {
        let error = profile(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        assert!(error.to_string().contains("revoked by this client"), "{error}");
        sleep(60 * SECOND).await;
    }
    assert_eq!((tenant.counters().logins(), tenant.counters().refused_refreshes()), (1, 0));
    // A new client logs in as ever.
    profile(&tenant.client_builder(manager(&tenant)).build().unwrap()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_fails_leaves_the_tokens_as_good_as_before() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    tenant.fault(Fault::status(503).on("POST", "/oauth/revoke").always());
    let error = client.revoke().await.unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error:?}");
    task(&client).await.unwrap();
    tenant.clear_faults();
    client.revoke().await.unwrap();
    assert!(matches!(task(&client).await, Err(Error::ReauthRequired(_))));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_a_person_made_is_revoked_where_it_was_made() {
    let office = fentu_testing::MockServer::builder().in_memory();
    let club = fisikal_testing::MockServer::builder().in_memory();
    for outcome in [office.client().unwrap().revoke().await, club.client().unwrap().revoke().await] {
        let error = outcome.unwrap_err();
        let Error::InvalidRequest(request) = &error else { panic!("{error:?}") };
        assert_eq!(request.parameter(), "credentials");
    }
    assert_eq!(office.counters().requests() + club.counters().requests(), 0);
}
