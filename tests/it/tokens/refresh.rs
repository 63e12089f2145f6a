//! Rows A4, A5, and A7 to A9: one refresh for all callers, its result, and its failures.

use futures_util::future::join_all;
use servicebay::MemoryStore;
use servicebay::testing::Fault;
use tokio::time::{Instant, sleep, sleep_until};

use super::no_leases::NoLeases;
use super::*;

// A4

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_share_one_refused_login() {
    let server = fisikal_testing::MockServer::builder().in_memory();
    let wrong = fisikal::Credentials::password("test-application", "test-application-secret", "unknown", "wrong");
    let client = server.client_builder(wrong).build().unwrap();
    let results = join_all((0..1000).map(|_| profile(&client))).await;
    assert!(results.iter().all(|response| matches!(response, Err(Error::ReauthRequired(_)))), "{:?}", results[0]);
    assert_eq!((server.counters().refused_logins(), server.counters().requests()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_share_one_failed_login() {
    let (server, client) = fisikal(|server| server);
    server.fault(Fault::status(500).on("POST", "/oauth/token").always());
    let results = join_all((0..1000).map(|_| profile(&client))).await;
    assert!(results.iter().all(|response| matches!(response, Err(Error::Server(_)))), "{:?}", results[0]);
    assert_eq!(server.counters().requests(), 3, "one token request, in three attempts");
    let started = Instant::now();
    profile(&client).await.unwrap_err();
    assert_eq!(
        (server.counters().requests(), started.elapsed()),
        (3, Duration::ZERO),
        "calls right after it get the same failure"
    );
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_store_make_one_token_request() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&server);
    let client = |_| fentu_builder(&server, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let clients: Vec<_> = (0..10).map(client).collect();
    for hours in 1..=3 {
        sleep(HOUR).await;
        let results = join_all(clients.iter().map(task)).await;
        assert!(results.iter().all(Result::is_ok), "{results:?}");
        assert_eq!(server.counters().refreshes(), hours);
    }
    assert_eq!((server.counters().refused_refreshes(), server.counters().unauthorized()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_for_the_refresh_of_another_one_only_until_its_tokens_are_stored() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), NoLeases::default());
    let tokens = consent(&server);
    let client = || fentu_builder(&server, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let (first, second) = (client(), client());
    task(&first).await.unwrap();
    task(&second).await.unwrap();
    sleep(HOUR).await;
    server.fault(Fault::delay(5 * SECOND).on("POST", "/oauth/token"));
    let started = Instant::now();
    let (called, waited) = tokio::join!(task(&first), async {
        sleep(SECOND).await;
        task(&second).await
    });
    called.unwrap();
    waited.unwrap();
    assert!(started.elapsed() <= 7 * SECOND, "{:?}", started.elapsed());
    assert_eq!((server.counters().refreshes(), server.counters().repeated_refreshes()), (1, 0));
}

// A5

#[tokio::test(start_paused = true)]
async fn a_refresh_outlives_the_client_that_started_it() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&server);
    let client = || fentu_builder(&server, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let first = client();
    task(&first).await.unwrap();
    sleep(HOUR - 60 * SECOND).await;
    server.fault(Fault::delay(10 * SECOND).on("POST", "/oauth/token"));
    task(&first).await.unwrap();
    drop(first);
    sleep(20 * SECOND).await;
    assert_eq!(server.counters().refreshes(), 1);
    let second = client();
    task(&second).await.unwrap();
    assert_eq!((second.auth_status().generation(), server.counters().refreshes()), (2, 1));
}

// A7

/// When the refresh token expires, at first and after five refreshes.
async fn refresh_expiries(refresh_tokens: RefreshTokens) -> [jiff::Timestamp; 2] {
    let (server, client) = fentu_with(refresh_tokens);
    task(&client).await.unwrap();
    let expires_at = || client.auth_status().refresh_expires_at().unwrap();
    let first = expires_at();
    for _ in 0..5 {
        sleep(HOUR).await;
        task(&client).await.unwrap();
    }
    assert_eq!((server.counters().refreshes(), server.counters().refused_refreshes()), (5, 0));
    [first, expires_at()]
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_refresh_token_keeps_the_old_one_and_its_expiry() {
    let [first, last] = refresh_expiries(RefreshTokens::LeftOut).await;
    assert_eq!(first, last);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_repeats_the_refresh_token_keeps_its_expiry() {
    let [first, last] = refresh_expiries(RefreshTokens::Repeated).await;
    assert_eq!(first, last);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_refresh_token_replaces_the_old_one_and_its_expiry() {
    let [first, last] = refresh_expiries(RefreshTokens::Rotated).await;
    assert_eq!(last.duration_since(first).as_hours(), 5);
}

// A8

#[tokio::test(start_paused = true)]
async fn a_late_401_does_not_refresh_a_token_that_was_refreshed_since() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    server.fault(Fault::status(401).delayed(20 * SECOND).on("GET", "/tasks/{id}"));
    let late = tokio::spawn(task(&client));
    sleep(SECOND).await;
    server.end_access_tokens();
    task(&client).await.unwrap();
    assert_eq!(server.counters().refreshes(), 1);
    late.await.unwrap().unwrap();
    assert_eq!((server.counters().refreshes(), server.counters().unauthorized()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_queued_is_sent_with_the_token_that_came_meanwhile() {
    let server = fentu_testing::MockServer::builder().with_rate_limit(1, 10 * SECOND).in_memory();
    let client = fentu_builder(&server, consent(&server)).build().unwrap();
    task(&client).await.unwrap();
    let queued = tokio::spawn(task(&client));
    sleep(SECOND).await;
    assert_eq!(server.counters().requests(), 1, "the second call waits for the rate limit");
    server.end_access_tokens();
    client.adopt_login(consent(&server)).await.unwrap();
    queued.await.unwrap().unwrap();
    assert_eq!((server.counters().unauthorized(), server.counters().refreshes()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_simultaneous_401s_cause_one_refresh() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    server.end_access_tokens();
    let results = join_all((0..1000).map(|_| task(&client))).await;
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(server.counters().refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_refuses_every_token_does_not_get_a_token_request_per_call() {
    let (server, client) = fisikal(|server| server.with_refresh_tokens());
    server.fault(Fault::status(401).on("GET", "/api/unified/users/profile").always());
    let mut waited = Duration::ZERO;
    for _ in 0..100 {
        let started = Instant::now();
        let error = profile(&client).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
        waited += started.elapsed();
        sleep(6 * SECOND).await;
    }
    let requests = server.token_requests().len();
    assert!((3..=7).contains(&requests), "{requests} in ten minutes");
    assert_eq!(waited, Duration::ZERO);
    server.clear_faults();
    profile(&client).await.unwrap();
}

// A9

/// The pauses between bursts of requests, in seconds.
fn pauses(requests: &[servicebay::testing::RecordedRequest], path: &str) -> Vec<i64> {
    let times = requests.iter().filter(|request| request.path == path).map(|request| request.at);
    let times: Vec<_> = times.collect();
    let gaps = times.windows(2).map(|two| two[1].duration_since(two[0]).as_secs());
    // The attempts of one refresh are at most a second apart.
    gaps.filter(|gap| *gap > 5).collect()
}

#[tokio::test(start_paused = true)]
async fn no_call_notices_a_token_endpoint_that_fails_for_an_hour_while_the_token_is_valid() {
    let (server, client) = repairy();
    booking(&client).await.unwrap();
    sleep(44 * HOUR + HOUR / 3).await;
    for path in ["/auth/refresh", "/auth/token"] {
        server.fault(Fault::status(500).on("POST", path).always());
    }
    let outage = Instant::now();
    while outage.elapsed() < HOUR {
        let started = Instant::now();
        booking(&client).await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO);
        sleep(SECOND).await;
    }
    assert_eq!(request_count(&server.requests(), "/auth/refresh"), 1, "its outcome is unknown");
    let mut pauses = pauses(&server.requests(), "/auth/token");
    // Each refresh sends up to three logins within seconds.
    pauses.retain(|pause| *pause > 10);
    assert!(pauses.len() >= 11, "{pauses:?}");
    pauses.remove(0);
    for (pause, expected) in pauses.iter().zip([30, 60, 120, 240].into_iter().chain(std::iter::repeat(300))) {
        assert!((expected - 4..expected + 4).contains(pause), "{pauses:?}");
    }
    let failure = client.auth_status().last_failure().map(str::to_owned);
    assert!(failure.as_ref().is_some_and(|failure| failure.contains("500")), "{failure:?}");

    server.clear_faults();
    sleep_until(outage + HOUR + 305 * SECOND).await;
    booking(&client).await.unwrap();
    sleep(SECOND).await;
    assert_eq!((server.counters().refreshes(), server.counters().logins()), (0, 2));
    assert_eq!(client.auth_status().last_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn without_a_valid_token_calls_fail_until_the_token_endpoint_recovers() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    for fault in [Fault::status(500), Fault::dropped()] {
        server.fault(fault.on("POST", "/oauth/token").always());
        let error = task(&client).await.unwrap_err();
        assert!(matches!(error, Error::Server(_) | Error::Connect(_)), "{error:?}");
        assert!(error.is_retryable(), "{error:?}");
        server.clear_faults();
        sleep(30 * SECOND).await;
        task(&client).await.unwrap();
        sleep(HOUR).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_response_is_lost_is_followed_by_a_login_if_credentials_allow() {
    let (server, client) = fisikal(|server| server.with_refresh_tokens());
    profile(&client).await.unwrap();
    sleep(HOUR).await;
    server.fault(Fault::lost_response().on("POST", "/oauth/token"));
    profile(&client).await.unwrap();
    let counters = server.counters();
    assert_eq!((counters.refreshes(), counters.logins(), counters.repeated_refreshes()), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_response_is_lost_costs_no_valid_token_even_if_the_login_fails_too() {
    let (server, client) = fisikal(|server| server.with_refresh_tokens());
    profile(&client).await.unwrap();
    sleep(50 * SECOND * 60).await;
    server.fault(Fault::lost_response().on("POST", "/oauth/token"));
    server.fault(Fault::status(500).on("POST", "/oauth/token").times(3));
    for _ in 0..5 {
        // Sending a refresh token twice would revoke the access token too.
        profile(&client).await.unwrap();
        sleep(60 * SECOND).await;
    }
    let counters = server.counters();
    assert_eq!((counters.refreshes(), counters.logins(), counters.repeated_refreshes()), (1, 2, 0));
    assert_eq!(counters.unauthorized(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_retry_after_of_a_token_endpoint_is_respected() {
    let (server, client) = fisikal(|server| server);
    server.fault(Fault::status(429).with_header("retry-after", "600").on("POST", "/oauth/token"));
    let error = profile(&client).await.unwrap_err();
    assert!(matches!(error, Error::RateLimited(_)), "{error:?}");
    let wait = error.retry_after().unwrap();
    assert!((600 * SECOND..=630 * SECOND).contains(&wait), "{wait:?}");
    sleep(590 * SECOND).await;
    profile(&client).await.unwrap_err();
    assert_eq!(server.counters().requests(), 1);
    sleep(45 * SECOND).await;
    profile(&client).await.unwrap();
}
