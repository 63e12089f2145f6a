//! Rows A4, A5, and A7 to A9: one renewal for everybody, what it leaves, and what happens when it fails.

use futures_util::future::join_all;
use servicebay::MemoryStore;
use servicebay::testing::Fault;
use tokio::time::{Instant, sleep, sleep_until};

use super::*;

// A4

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_share_one_refusal() {
    let tenant = fisikal_testing::MockServer::builder().in_memory();
    let wrong = fisikal::Credentials::password("test-application", "test-application-secret", "nobody", "wrong");
    let client = tenant.client_builder(wrong).build().unwrap();
    let answers = join_all((0..1000).map(|_| profile(&client))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::ReauthRequired(_)))), "{:?}", answers[0]);
    assert_eq!((tenant.counters().refused_logins(), tenant.counters().requests()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_share_one_failure() {
    let (tenant, client) = fisikal(|tenant| tenant);
    tenant.fault(Fault::status(500).on("POST", "/oauth/token").always());
    let answers = join_all((0..1000).map(|_| profile(&client))).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::Server(_)))), "{:?}", answers[0]);
    assert_eq!(tenant.counters().requests(), 3, "one token request, in three attempts");
    let begun = Instant::now();
    profile(&client).await.unwrap_err();
    assert_eq!(
        (tenant.counters().requests(), begun.elapsed()),
        (3, Duration::ZERO),
        "it answers those right after too"
    );
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_store_make_one_token_request() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&tenant);
    let client = |_| fentu_builder(&tenant, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let clients: Vec<_> = (0..10).map(client).collect();
    for hours in 1..=3 {
        sleep(HOUR).await;
        let answers = join_all(clients.iter().map(task)).await;
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
        assert_eq!(tenant.counters().refreshes(), hours);
    }
    assert_eq!((tenant.counters().refused_refreshes(), tenant.counters().unauthorized()), (0, 0));
}

// A5

#[tokio::test(start_paused = true)]
async fn a_renewal_outlives_the_client_that_began_it() {
    let (tenant, store) = (fentu_tenant(RefreshTokens::Rotated), MemoryStore::new());
    let tokens = consent(&tenant);
    let client = || fentu_builder(&tenant, tokens.clone()).with_token_store(store.clone()).build().unwrap();
    let first = client();
    task(&first).await.unwrap();
    sleep(HOUR - 60 * SECOND).await;
    tenant.fault(Fault::delay(10 * SECOND).on("POST", "/oauth/token"));
    task(&first).await.unwrap();
    drop(first);
    sleep(20 * SECOND).await;
    assert_eq!(tenant.counters().refreshes(), 1);
    let second = client();
    task(&second).await.unwrap();
    assert_eq!((second.auth_status().generation(), tenant.counters().refreshes()), (2, 1));
}

// A7

/// The ends of the refresh token, at first and after five renewals.
async fn ends(refresh_tokens: RefreshTokens) -> [jiff::Timestamp; 2] {
    let (tenant, client) = fentu_with(refresh_tokens);
    task(&client).await.unwrap();
    let end = || client.auth_status().refresh_expires_at().unwrap();
    let first = end();
    for _ in 0..5 {
        sleep(HOUR).await;
        task(&client).await.unwrap();
    }
    assert_eq!((tenant.counters().refreshes(), tenant.counters().refused_refreshes()), (5, 0));
    [first, end()]
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_an_answer_leaves_out_stays_with_its_end() {
    let [first, last] = ends(RefreshTokens::LeftOut).await;
    assert_eq!(first, last);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_an_answer_repeats_stays_with_its_end() {
    let [first, last] = ends(RefreshTokens::Repeated).await;
    assert_eq!(first, last);
}

#[tokio::test(start_paused = true)]
async fn a_rotated_refresh_token_replaces_the_old_one_and_its_end() {
    let [first, last] = ends(RefreshTokens::Rotated).await;
    assert_eq!(last.duration_since(first).as_hours(), 5);
}

// A8

#[tokio::test(start_paused = true)]
async fn a_401_that_comes_late_does_not_renew_what_has_been_renewed_since() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    tenant.fault(Fault::status(401).delayed(20 * SECOND).on("GET", "/tasks/{id}"));
    let late = tokio::spawn(task(&client));
    sleep(SECOND).await;
    tenant.end_access_tokens();
    task(&client).await.unwrap();
    assert_eq!(tenant.counters().refreshes(), 1);
    late.await.unwrap().unwrap();
    assert_eq!((tenant.counters().refreshes(), tenant.counters().unauthorized()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_thousand_callers_refused_at_once_cause_one_renewal() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    tenant.end_access_tokens();
    let answers = join_all((0..1000).map(|_| task(&client))).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(tenant.counters().refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_refuses_every_token_is_not_asked_for_one_with_every_call() {
    let (tenant, client) = fisikal(|tenant| tenant.with_refresh_tokens());
    tenant.fault(Fault::status(401).on("GET", "/api/unified/users/profile").always());
    let mut waited = Duration::ZERO;
    for _ in 0..100 {
        let begun = Instant::now();
        let error = profile(&client).await.unwrap_err();
        assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
        waited += begun.elapsed();
        sleep(6 * SECOND).await;
    }
    let requests = tenant.token_requests().len();
    assert!((3..=7).contains(&requests), "{requests} in ten minutes");
    assert_eq!(waited, Duration::ZERO);
    tenant.clear_faults();
    profile(&client).await.unwrap();
}

// A9

/// The pauses between bursts of requests, in seconds.
fn pauses(requests: &[servicebay::testing::RecordedRequest], path: &str) -> Vec<i64> {
    let moments = requests.iter().filter(|request| request.path == path).map(|request| request.at);
    let moments: Vec<_> = moments.collect();
    let gaps = moments.windows(2).map(|two| two[1].duration_since(two[0]).as_secs());
    // The attempts of one renewal are at most a second apart.
    gaps.filter(|gap| *gap > 5).collect()
}

#[tokio::test(start_paused = true)]
async fn nobody_notices_an_identity_server_that_fails_for_an_hour_while_the_token_lives() {
    let (tenant, client) = repairy();
    booking(&client).await.unwrap();
    sleep(44 * HOUR + HOUR / 3).await;
    tenant.fault(Fault::status(500).on("POST", "/auth/refresh").always());
    let outage = Instant::now();
    while outage.elapsed() < HOUR {
        let begun = Instant::now();
        booking(&client).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO);
        sleep(SECOND).await;
    }
    let pauses = pauses(&tenant.requests(), "/auth/refresh");
    assert!(pauses.len() >= 11, "{pauses:?}");
    for (pause, expected) in pauses.iter().zip([30, 60, 120, 240].into_iter().chain(std::iter::repeat(300))) {
        assert!((expected..expected + 4).contains(pause), "{pauses:?}");
    }
    let failure = client.auth_status().last_failure().map(str::to_owned);
    assert!(failure.as_ref().is_some_and(|failure| failure.contains("500")), "{failure:?}");

    tenant.clear_faults();
    sleep_until(outage + HOUR + 305 * SECOND).await;
    booking(&client).await.unwrap();
    sleep(SECOND).await;
    assert_eq!((tenant.counters().refreshes(), tenant.counters().logins()), (1, 1));
    assert_eq!(client.auth_status().last_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn once_no_token_lives_callers_are_told_and_go_on_when_the_identity_server_is_back() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    for fault in [Fault::status(500), Fault::dropped()] {
        tenant.fault(fault.on("POST", "/oauth/token").always());
        let error = task(&client).await.unwrap_err();
        assert!(matches!(error, Error::Server(_) | Error::Connect(_)), "{error:?}");
        assert!(error.is_retryable(), "{error:?}");
        tenant.clear_faults();
        sleep(30 * SECOND).await;
        task(&client).await.unwrap();
        sleep(HOUR).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_answer_is_lost_is_followed_by_a_login_where_there_is_one() {
    let (tenant, client) = fisikal(|tenant| tenant.with_refresh_tokens());
    profile(&client).await.unwrap();
    sleep(HOUR).await;
    tenant.fault(Fault::lost_response().on("POST", "/oauth/token"));
    profile(&client).await.unwrap();
    let counters = tenant.counters();
    assert_eq!((counters.refreshes(), counters.logins(), counters.repeated_refreshes()), (1, 2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_rotation_whose_answer_is_lost_costs_no_living_token_where_the_login_fails_too() {
    let (tenant, client) = fisikal(|tenant| tenant.with_refresh_tokens());
    profile(&client).await.unwrap();
    sleep(50 * SECOND * 60).await;
    tenant.fault(Fault::lost_response().on("POST", "/oauth/token"));
    tenant.fault(Fault::status(500).on("POST", "/oauth/token").times(3));
    for _ in 0..5 {
        // A refresh token that is presented twice would end the access token too.
        profile(&client).await.unwrap();
        sleep(60 * SECOND).await;
    }
    let counters = tenant.counters();
    assert_eq!((counters.refreshes(), counters.logins(), counters.repeated_refreshes()), (1, 2, 0));
    assert_eq!(counters.unauthorized(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_asks_to_be_left_alone_is() {
    let (tenant, client) = fisikal(|tenant| tenant);
    tenant.fault(Fault::status(429).with_header("retry-after", "600").on("POST", "/oauth/token"));
    let error = profile(&client).await.unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error:?}");
    assert_eq!(error.retry_after(), Some(600 * SECOND));
    sleep(590 * SECOND).await;
    profile(&client).await.unwrap_err();
    assert_eq!(tenant.counters().requests(), 1);
    sleep(15 * SECOND).await;
    profile(&client).await.unwrap();
}
