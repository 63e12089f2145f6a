//! Row A10: what happens after a refused refresh.

use servicebay::MemoryStore;
use servicebay::testing::Fault;
use tokio::time::{Instant, sleep};

use super::no_leases::NoLeases;
use super::scripted_store::ScriptedStore;
use super::*;

/// How Repairy refuses a refresh.
const REFUSED: &str = r#"{"message": "The refresh token is not valid."}"#;

#[tokio::test(start_paused = true)]
async fn repairy_logs_in_again_after_a_refused_refresh() {
    let (server, client) = repairy();
    booking(&client).await.unwrap();
    sleep(47 * HOUR).await;
    server.fault(Fault::body(401, REFUSED).on("POST", "/auth/refresh"));
    booking(&client).await.unwrap();
    sleep(SECOND).await;
    booking(&client).await.unwrap();
    assert_eq!((request_count(&server.requests(), "/auth/refresh"), server.counters().logins()), (1, 2));
    assert_eq!((server.counters().unauthorized(), client.auth_status().last_failure()), (1, None));
}

#[tokio::test(start_paused = true)]
async fn repairy_logs_in_again_without_a_refresh_when_its_tokens_have_expired() {
    for idle in [3 * DAY, 15 * DAY] {
        let (server, client) = repairy();
        booking(&client).await.unwrap();
        sleep(idle).await;
        booking(&client).await.unwrap();
        // A refresh needs an access token that is still valid.
        assert_eq!(
            (request_count(&server.requests(), "/auth/refresh"), server.counters().logins()),
            (0, 2),
            "{idle:?}"
        );
        assert_eq!(server.counters().unauthorized(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn fisikal_logs_in_again_after_a_refused_refresh() {
    let (server, client) = fisikal(|server| server.with_refresh_tokens());
    profile(&client).await.unwrap();
    server.revoke_all();
    profile(&client).await.unwrap();
    let counters = server.counters();
    assert_eq!((counters.refused_refreshes(), counters.logins()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn an_ended_session_is_replaced_by_a_new_login() {
    let server = fisikal_testing::MockServer::builder().in_memory();
    let (email, password) = server.login(Role::Manager);
    let credentials = fisikal::Credentials::session(email, password, ["manager"]);
    let client = server.client_builder(credentials).build().unwrap();
    profile(&client).await.unwrap();
    assert_eq!(client.auth_status().expires_at(), None, "its expiry is unknown");
    sleep(31 * DAY).await;
    profile(&client).await.unwrap();
    assert_eq!((server.counters().logins(), server.counters().unauthorized()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn fentu_requires_a_login_by_a_person_and_sends_nothing_more_however_many_calls_there_are() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    server.revoke_all();
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().code(), Some("invalid_grant"));
    assert!(error.is_auth() && !error.is_retryable() && !error.maybe_applied());
    let requests = server.counters().requests();
    for _ in 0..1000 {
        let started = Instant::now();
        let error = task(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        assert_eq!(started.elapsed(), Duration::ZERO);
        sleep(4 * SECOND).await;
    }
    assert_eq!(server.counters().requests(), requests, "nothing was sent");
    assert_eq!(server.counters().refused_refreshes(), 1);
    let failure = client.auth_status().last_failure().map(str::to_owned);
    assert!(failure.as_ref().is_some_and(|failure| failure.contains("not valid")), "{failure:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_fails_no_call_while_the_access_token_is_valid() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR - 60 * SECOND).await;
    let body = r#"{"error": "invalid_grant"}"#;
    server.fault(Fault::body(400, body).on("POST", "/oauth/token").always());
    for _ in 0..25 {
        let started = Instant::now();
        task(&client).await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO);
        sleep(SECOND).await;
    }
    assert!(client.auth_status().last_failure().is_some_and(|failure| failure.contains("invalid_grant")));
    for _ in 0..100 {
        sleep(10 * SECOND).await;
        assert!(matches!(task(&client).await, Err(Error::ReauthRequired(_))));
    }
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_access_token_refused_after_its_refresh_was_requires_a_login_by_a_person() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR - 10 * 60 * SECOND).await;
    let body = r#"{"error": "invalid_grant"}"#;
    server.fault(Fault::body(400, body).on("POST", "/oauth/token").always());
    while client.auth_status().last_failure().is_none() {
        task(&client).await.unwrap();
        sleep(SECOND).await;
    }
    server.end_access_tokens();
    for _ in 0..10 {
        let error = task(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    }
    assert_eq!((request_count(&server.requests(), "/oauth/token"), server.counters().unauthorized()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_has_expired_requires_a_login_by_a_person() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    sleep(31 * DAY).await;
    for _ in 0..10 {
        let error = task(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        assert!(error.to_string().contains("has expired"), "{error}");
    }
    assert_eq!(server.counters().refused_refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_refresh_token_the_login_ends_with_the_access_token() {
    let (server, _) = fentu();
    let pair = server.sign_in(["admin"]);
    let client = fentu_builder(&server, TokenSet::new(pair.access_token)).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 0);
}

#[tokio::test(start_paused = true)]
async fn tokens_of_unknown_age_are_used_until_they_are_refused() {
    let (server, _) = fentu();
    let pair = server.sign_in(["admin"]);
    let tokens = TokenSet::new(pair.access_token).with_refresh_token(pair.refresh_token);
    let client = fentu_builder(&server, tokens).build().unwrap();
    for _ in 0..3 {
        task(&client).await.unwrap();
        sleep(HOUR).await;
    }
    assert_eq!((server.counters().unauthorized(), server.counters().refused_refreshes()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn newer_tokens_in_the_store_are_found_within_half_a_minute_of_calls() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let client = |tokens| fentu_builder(&server, tokens).with_token_store(store.clone()).build().unwrap();
    let first = client(consent(&server));
    task(&first).await.unwrap();
    server.revoke_all();
    task(&first).await.unwrap_err();
    sleep(DAY).await;

    // A person logs in again in another process.
    let second = client(consent(&server));
    task(&second).await.unwrap();
    let started = Instant::now();
    while task(&first).await.is_err() {
        sleep(SECOND).await;
    }
    assert!(started.elapsed() <= 31 * SECOND, "{:?}", started.elapsed());
    sleep(HOUR).await;
    task(&first).await.unwrap();
    task(&second).await.unwrap();
    assert_eq!(server.counters().refreshes(), 1, "both use the same tokens");
}

#[tokio::test(start_paused = true)]
async fn a_process_uses_the_tokens_that_another_process_has_stored_meanwhile() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let client = |tokens| fentu_builder(&server, tokens).with_token_store(store.clone()).build().unwrap();
    let (first, second) = (client(consent(&server)), client(consent(&server)));
    task(&first).await.unwrap();
    task(&second).await.unwrap();
    for hour in 1..=4 {
        sleep(HOUR).await;
        let (first_to_refresh, other) = if hour % 2 == 0 { (&first, &second) } else { (&second, &first) };
        task(first_to_refresh).await.unwrap();
        task(other).await.unwrap();
    }
    let counters = server.counters();
    assert_eq!((counters.refreshes(), counters.refused_refreshes(), counters.unauthorized()), (4, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn tokens_passed_in_are_tried_when_the_stored_ones_are_refused() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let client = |tokens| fentu_builder(&server, tokens).with_token_store(store.clone()).build().unwrap();
    task(&client(consent(&server))).await.unwrap();
    server.revoke_all();
    // The program restarts with the tokens of a new login.
    let restarted = client(consent(&server));
    task(&restarted).await.unwrap();
    assert_eq!(server.counters().refused_refreshes(), 1);
    sleep(HOUR).await;
    task(&restarted).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn refused_tokens_are_not_sent_again() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&server);
    let start = || fentu_builder(&server, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let first = start();
    for _ in 0..3 {
        task(&first).await.unwrap();
        sleep(HOUR).await;
    }
    server.revoke_all();
    // It has refreshed the tokens passed in, so those are invalid.
    for _ in 0..10 {
        assert!(matches!(task(&first).await, Err(Error::ReauthRequired(_))));
        sleep(HOUR).await;
    }
    assert_eq!(server.counters().refused_refreshes(), 1);
    // After a restart it does not know that. It tries the stored tokens once, and not those they descend from.
    let restarted = start();
    for _ in 0..10 {
        assert!(matches!(task(&restarted).await, Err(Error::ReauthRequired(_))));
        sleep(HOUR).await;
    }
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 2 + 1 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_after_a_refused_refresh_does_not_bring_the_refused_tokens_back() {
    let (server, client) = repairy();
    booking(&client).await.unwrap();
    sleep(47 * HOUR).await;
    server.fault(Fault::body(401, REFUSED).on("POST", "/auth/refresh").always());
    server.fault(Fault::status(500).on("POST", "/auth/token").always());
    for _ in 0..5 {
        booking(&client).await.unwrap();
        sleep(60 * SECOND).await;
    }
    assert_eq!(request_count(&server.requests(), "/auth/refresh"), 1);
    server.clear_faults();
    sleep(300 * SECOND).await;
    booking(&client).await.unwrap();
    sleep(SECOND).await;
    assert_eq!((request_count(&server.requests(), "/auth/refresh"), server.counters().logins()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn another_login_in_the_store_ends_a_refusal_even_if_its_first_refresh_fails() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let client = |tokens| fentu_builder(&server, tokens).with_token_store(store.clone()).build().unwrap();
    let first = client(consent(&server));
    task(&first).await.unwrap();
    server.revoke_all();
    let error = task(&first).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    sleep(SECOND).await;
    let second = client(consent(&server));
    task(&second).await.unwrap();
    // Its access token expires before the first client looks.
    sleep(HOUR).await;
    server.fault(Fault::status(503).on("POST", "/oauth/token"));
    let error = task(&first).await.unwrap_err();
    assert!(error.is_retryable(), "{error:?}");
    sleep(60 * SECOND).await;
    task(&first).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_stored_during_a_refused_refresh_is_used_at_once() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), NoLeases::default());
    let client = || fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    let first = client();
    task(&first).await.unwrap();
    let second = client();
    server.revoke_all();
    server.fault(Fault::delay(3 * SECOND).on("POST", "/oauth/token"));
    let (called, adopted) = tokio::join!(task(&first), async {
        sleep(SECOND).await;
        second.adopt_login(consent(&server)).await
    });
    adopted.unwrap();
    called.unwrap();
    assert_eq!(server.counters().refused_refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_the_vendor_throttles_is_not_replaced_by_a_login() {
    let (server, client) = repairy();
    booking(&client).await.unwrap();
    sleep(47 * HOUR).await;
    server.fault(Fault::status(429).on("POST", "/auth/refresh").always());
    for _ in 0..20 {
        booking(&client).await.unwrap();
        sleep(SECOND).await;
    }
    assert_eq!((request_count(&server.requests(), "/auth/refresh"), server.counters().logins()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_refused_is_no_way_back_when_the_next_one_is_refused_too() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    for refused in 1..=2 {
        server.revoke_all();
        let error = task(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        assert_eq!(server.counters().refused_refreshes(), refused);
        sleep(HOUR).await;
        client.adopt_login(consent(&server)).await.unwrap();
        task(&client).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_login_ends_a_refusal_even_if_its_access_token_has_expired() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    server.revoke_all();
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    let tokens = consent(&server);
    sleep(HOUR).await;
    client.adopt_login(tokens).await.unwrap();
    task(&client).await.unwrap();
    assert_eq!((server.counters().refreshes(), server.counters().refused_refreshes()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_can_log_in_uses_no_login_of_another_client_instead() {
    let (server, store) =
        (fisikal_testing::MockServer::builder().with_refresh_tokens().in_memory(), ScriptedStore::default());
    let client = || server.client_builder(manager(&server)).with_token_store(store.clone()).build().unwrap();
    profile(&client()).await.unwrap();
    sleep(SECOND).await;
    // A client that cannot read the store logs in, and finds the other login when it writes.
    store.let_loads_fail(true);
    let second = client();
    profile(&second).await.unwrap();
    store.let_loads_fail(false);
    assert_eq!(server.counters().logins(), 2);

    sleep(HOUR).await;
    server.fault(Fault::lost_response().on("POST", "/oauth/token"));
    server.fault(Fault::status(500).on("POST", "/oauth/token").times(3));
    profile(&second).await.unwrap_err();
    sleep(60 * SECOND).await;
    profile(&second).await.unwrap();
    assert_eq!((server.counters().refreshes(), server.counters().logins()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_a_login_with_the_same_credentials_replaced_are_no_way_back_for_any_client() {
    let (server, store) =
        (fisikal_testing::MockServer::builder().with_refresh_tokens().in_memory(), MemoryStore::new());
    let client = || server.client_builder(manager(&server)).with_token_store(store.clone()).build().unwrap();
    let (first, second) = (client(), client());
    profile(&first).await.unwrap();
    profile(&second).await.unwrap();
    sleep(HOUR).await;
    server.fault(Fault::lost_response().on("POST", "/oauth/token"));
    profile(&first).await.unwrap();
    profile(&second).await.unwrap();
    server.revoke_all();
    profile(&second).await.unwrap();
    let counters = server.counters();
    assert_eq!((counters.refused_refreshes(), counters.repeated_refreshes(), counters.logins()), (1, 0, 3));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_a_refresh_by_another_client_replaced_are_no_way_back() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&server);
    let client = || fentu_builder(&server, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let (first, second) = (client(), client());
    for client in [&first, &second] {
        task(client).await.unwrap();
    }
    sleep(HOUR).await;
    for client in [&first, &second] {
        task(client).await.unwrap();
    }
    server.revoke_all();
    let error = task(&second).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!((server.counters().refreshes(), request_count(&server.requests(), "/oauth/token")), (1, 2));
}
