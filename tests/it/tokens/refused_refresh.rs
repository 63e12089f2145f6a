//! Row A10: what a refused refresh leads to.

use servicebay::MemoryStore;
use servicebay::testing::Fault;
use tokio::time::{Instant, sleep};

use super::*;

#[tokio::test(start_paused = true)]
async fn repairy_logs_in_anew_after_a_refused_refresh() {
    let (tenant, client) = repairy();
    booking(&client).await.unwrap();
    sleep(47 * HOUR).await;
    tenant.fault(Fault::status(401).on("POST", "/auth/refresh"));
    booking(&client).await.unwrap();
    sleep(SECOND).await;
    booking(&client).await.unwrap();
    assert_eq!((asked(&tenant.requests(), "/auth/refresh"), tenant.counters().logins()), (1, 2));
    assert_eq!((tenant.counters().unauthorized(), client.auth_status().last_failure()), (1, None));
}

#[tokio::test(start_paused = true)]
async fn repairy_logs_in_anew_without_a_refresh_when_its_tokens_are_past_their_days() {
    for idle in [3 * DAY, 15 * DAY] {
        let (tenant, client) = repairy();
        booking(&client).await.unwrap();
        sleep(idle).await;
        booking(&client).await.unwrap();
        // A refresh takes an access token that lives.
        assert_eq!((asked(&tenant.requests(), "/auth/refresh"), tenant.counters().logins()), (0, 2), "{idle:?}");
        assert_eq!(tenant.counters().unauthorized(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn fisikal_logs_in_anew_after_a_refused_refresh() {
    let (tenant, client) = fisikal(|tenant| tenant.with_refresh_tokens());
    profile(&client).await.unwrap();
    tenant.revoke_all();
    profile(&client).await.unwrap();
    let counters = tenant.counters();
    assert_eq!((counters.refused_refreshes(), counters.logins()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_was_ended_is_begun_anew() {
    let tenant = fisikal_testing::MockServer::builder().in_memory();
    let (email, password) = tenant.login(Role::Manager);
    let credentials = fisikal::Credentials::session(email, password, ["manager"]);
    let client = tenant.client_builder(credentials).build().unwrap();
    profile(&client).await.unwrap();
    assert_eq!(client.auth_status().expires_at(), None, "nobody says when it ends");
    sleep(31 * DAY).await;
    profile(&client).await.unwrap();
    assert_eq!((tenant.counters().logins(), tenant.counters().unauthorized()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn fentu_asks_for_a_person_and_not_again_however_many_calls_there_are() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    tenant.revoke_all();
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().code(), Some("invalid_grant"));
    assert!(error.is_auth() && !error.is_retryable() && !error.maybe_applied());
    let requests = tenant.counters().requests();
    for _ in 0..1000 {
        let begun = Instant::now();
        let error = task(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sleep(4 * SECOND).await;
    }
    assert_eq!(tenant.counters().requests(), requests, "nothing was sent");
    assert_eq!(tenant.counters().refused_refreshes(), 1);
    let failure = client.auth_status().last_failure().map(str::to_owned);
    assert!(failure.as_ref().is_some_and(|failure| failure.contains("not valid")), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_hurts_nobody_while_the_access_token_lives() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR - 60 * SECOND).await;
    let refusal = r#"{"error": "invalid_grant"}"#;
    tenant.fault(Fault::body(400, refusal).on("POST", "/oauth/token").always());
    for _ in 0..25 {
        let begun = Instant::now();
        task(&client).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sleep(SECOND).await;
    }
    assert!(client.auth_status().last_failure().is_some_and(|failure| failure.contains("invalid_grant")));
    for _ in 0..100 {
        sleep(10 * SECOND).await;
        assert!(matches!(task(&client).await, Err(Error::ReauthRequired(_))));
    }
    assert_eq!(asked(&tenant.requests(), "/oauth/token"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_access_token_that_is_refused_after_its_refresh_was_takes_a_person() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR - 10 * 60 * SECOND).await;
    let refusal = r#"{"error": "invalid_grant"}"#;
    tenant.fault(Fault::body(400, refusal).on("POST", "/oauth/token").always());
    while client.auth_status().last_failure().is_none() {
        task(&client).await.unwrap();
        sleep(SECOND).await;
    }
    tenant.end_access_tokens();
    for _ in 0..10 {
        let error = task(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    }
    assert_eq!((asked(&tenant.requests(), "/oauth/token"), tenant.counters().unauthorized()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_past_its_30_days_takes_a_person() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    sleep(31 * DAY).await;
    for _ in 0..10 {
        let error = task(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        assert!(error.to_string().contains("has expired"), "{error}");
    }
    assert_eq!(tenant.counters().refused_refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_without_a_refresh_token_end_with_the_access_token() {
    let (tenant, _) = fentu();
    let pair = tenant.sign_in(["admin"]);
    let client = fentu_builder(&tenant, TokenSet::new(pair.access_token)).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(asked(&tenant.requests(), "/oauth/token"), 0);
}

#[tokio::test(start_paused = true)]
async fn tokens_of_which_nobody_says_how_old_they_are_serve_until_they_are_refused() {
    let (tenant, _) = fentu();
    let pair = tenant.sign_in(["admin"]);
    let tokens = TokenSet::new(pair.access_token).with_refresh_token(pair.refresh_token);
    let client = fentu_builder(&tenant, tokens).build().unwrap();
    for _ in 0..3 {
        task(&client).await.unwrap();
        sleep(HOUR).await;
    }
    assert_eq!((tenant.counters().unauthorized(), tenant.counters().refused_refreshes()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn better_tokens_in_the_store_are_found_within_half_a_minute_of_calls() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
    let client = |tokens| fentu_builder(&tenant, tokens).with_token_store(store.clone()).build().unwrap();
    let first = client(consent(&tenant));
    task(&first).await.unwrap();
    tenant.revoke_all();
    task(&first).await.unwrap_err();
    sleep(DAY).await;

    // A person logs in again in another process.
    let second = client(consent(&tenant));
    task(&second).await.unwrap();
    let begun = Instant::now();
    while task(&first).await.is_err() {
        sleep(SECOND).await;
    }
    assert!(begun.elapsed() <= 31 * SECOND, "{:?}", begun.elapsed());
    sleep(HOUR).await;
    task(&first).await.unwrap();
    task(&second).await.unwrap();
    assert_eq!(tenant.counters().refreshes(), 1, "both live on one pair");
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_takes_what_another_process_has_stored_meanwhile() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
    let client = |tokens| fentu_builder(&tenant, tokens).with_token_store(store.clone()).build().unwrap();
    let (first, second) = (client(consent(&tenant)), client(consent(&tenant)));
    task(&first).await.unwrap();
    task(&second).await.unwrap();
    for hour in 1..=4 {
        sleep(HOUR).await;
        let (ahead, behind) = if hour % 2 == 0 { (&first, &second) } else { (&second, &first) };
        task(ahead).await.unwrap();
        task(behind).await.unwrap();
    }
    let counters = tenant.counters();
    assert_eq!((counters.refreshes(), counters.refused_refreshes(), counters.unauthorized()), (4, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_were_handed_in_are_tried_when_those_in_the_store_are_refused() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
    let client = |tokens| fentu_builder(&tenant, tokens).with_token_store(store.clone()).build().unwrap();
    task(&client(consent(&tenant))).await.unwrap();
    tenant.revoke_all();
    // The program is started again, with the tokens of a new login.
    let restarted = client(consent(&tenant));
    task(&restarted).await.unwrap();
    assert_eq!(tenant.counters().refused_refreshes(), 1);
    sleep(HOUR).await;
    task(&restarted).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_vendor_refused_is_not_presented_again() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&tenant);
    let start = || fentu_builder(&tenant, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let first = start();
    for _ in 0..3 {
        task(&first).await.unwrap();
        sleep(HOUR).await;
    }
    tenant.revoke_all();
    // It has renewed what it was handed in, so that this is worth nothing any more.
    for _ in 0..10 {
        assert!(matches!(task(&first).await, Err(Error::ReauthRequired(_))));
        sleep(HOUR).await;
    }
    assert_eq!(tenant.counters().refused_refreshes(), 1);
    // Started again it cannot know that, and tries what is stored once; not what that came of.
    let restarted = start();
    for _ in 0..10 {
        assert!(matches!(task(&restarted).await, Err(Error::ReauthRequired(_))));
        sleep(HOUR).await;
    }
    assert_eq!(asked(&tenant.requests(), "/oauth/token"), 2 + 1 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_after_a_refusal_does_not_bring_the_refused_pair_back() {
    let (tenant, client) = repairy();
    booking(&client).await.unwrap();
    sleep(47 * HOUR).await;
    tenant.fault(Fault::status(401).on("POST", "/auth/refresh").always());
    tenant.fault(Fault::status(500).on("POST", "/auth/token").always());
    for _ in 0..5 {
        booking(&client).await.unwrap();
        sleep(60 * SECOND).await;
    }
    assert_eq!(asked(&tenant.requests(), "/auth/refresh"), 1);
    tenant.clear_faults();
    sleep(300 * SECOND).await;
    booking(&client).await.unwrap();
    sleep(SECOND).await;
    assert_eq!((asked(&tenant.requests(), "/auth/refresh"), tenant.counters().logins()), (1, 2));
}
