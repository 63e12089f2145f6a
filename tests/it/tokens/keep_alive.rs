//! Row A11: the status of tokens, and keeping them alive while the client is idle.

use futures_util::FutureExt as _;
use jiff::SignedDuration;
use servicebay::fixably;
use servicebay::testing::{Environment as _, Fault, Script};
use tokio::time::{Instant, sleep};

use super::*;

#[tokio::test(start_paused = true)]
async fn the_status_has_expiries_generation_and_the_last_refresh() {
    let (server, client) = fentu();
    let started = server.now();
    let after = |hours| started.checked_add(SignedDuration::from_hours(hours)).unwrap();
    let status = client.auth_status();
    assert_eq!((status.generation(), status.last_refresh(), status.renews()), (1, None, true));
    assert_eq!((status.expires_at(), status.refresh_expires_at()), (Some(after(1)), Some(after(720))));

    task(&client).await.unwrap();
    assert_eq!(client.auth_status().generation(), 1);
    sleep(HOUR).await;
    assert!(client.auth_status().is_expired());
    task(&client).await.unwrap();
    let status = client.auth_status();
    assert_eq!((status.generation(), status.is_expired()), (2, false));
    assert_eq!(status.last_refresh(), Some(after(1)));
    assert_eq!((status.expires_at(), status.refresh_expires_at()), (Some(after(2)), Some(after(721))));
    assert_eq!((status.last_failure(), status.store_failure()), (None, None));
    assert_eq!(status.time_left(), Some(HOUR));
}

#[tokio::test(start_paused = true)]
async fn the_status_has_the_last_failure_until_a_refresh_succeeds() {
    let (server, client) = repairy();
    assert_eq!((client.auth_status().expires_at(), client.auth_status().generation()), (None, 0));
    server.fault(Fault::status(503).on("POST", "/auth/token").times(3));
    booking(&client).await.unwrap_err();
    let failure = client.auth_status().last_failure().map(str::to_owned);
    assert!(failure.as_ref().is_some_and(|failure| failure.contains("503")), "{failure:?}");
    sleep(30 * SECOND).await;
    booking(&client).await.unwrap();
    assert_eq!((client.auth_status().last_failure(), client.auth_status().days_left()), (None, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn sixty_idle_days_at_repairy_need_no_second_login() {
    let (server, client) = repairy();
    let keep_alive = tokio::spawn(client.keep_alive());
    sleep(60 * DAY).await;
    assert!(!keep_alive.is_finished());
    booking(&client).await.unwrap();
    let counters = server.counters();
    assert_eq!((counters.logins(), counters.refused_refreshes(), counters.unauthorized()), (1, 0, 0));
    // Every 43 to 48 hours.
    assert!((30..=34).contains(&counters.refreshes()), "{}", counters.refreshes());
}

#[tokio::test(start_paused = true)]
async fn sixty_idle_days_at_fentu_need_no_login_by_a_person_if_refresh_tokens_rotate() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    let keep_alive = tokio::spawn(client.keep_alive());
    sleep(60 * DAY).await;
    assert!(!keep_alive.is_finished());
    task(&client).await.unwrap();
    let counters = server.counters();
    assert_eq!((counters.refused_refreshes(), counters.unauthorized()), (0, 0));
    assert!(counters.refreshes() < 10, "{}: an idle client needs no more", counters.refreshes());
}

#[tokio::test(start_paused = true)]
async fn keep_alive_ends_with_an_error_and_few_requests_if_the_refresh_token_cannot_be_extended() {
    let (server, client) = fentu_with(RefreshTokens::Repeated);
    task(&client).await.unwrap();
    let keep_alive = tokio::spawn(client.keep_alive());
    sleep(31 * DAY).await;
    let error = keep_alive.now_or_never().expect("it has ended").unwrap();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert!(server.token_requests().len() < 50, "{}", server.token_requests().len());
}

#[tokio::test(start_paused = true)]
async fn keep_alive_ends_with_an_error_when_the_login_is_revoked() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    let keep_alive = tokio::spawn(client.keep_alive());
    sleep(DAY).await;
    server.revoke_all();
    sleep(30 * DAY).await;
    let error = keep_alive.now_or_never().expect("it has ended").unwrap();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(server.counters().refused_refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn keep_alive_survives_a_day_of_a_failing_token_endpoint() {
    let (server, client) = repairy();
    let keep_alive = tokio::spawn(client.keep_alive());
    sleep(42 * HOUR).await;
    for path in ["/auth/refresh", "/auth/token"] {
        server.fault(Fault::status(500).on("POST", path).always());
    }
    sleep(DAY).await;
    server.clear_faults();
    sleep(HOUR).await;
    assert!(!keep_alive.is_finished());
    booking(&client).await.unwrap();
    assert_eq!((server.counters().logins(), server.counters().unauthorized()), (2, 0));
    // After the first failures, a login in three attempts every 5 minutes.
    let logins = request_count(&server.requests(), "/auth/token");
    assert!((700..1000).contains(&logins), "{logins}");
}

#[tokio::test(start_paused = true)]
async fn keep_alive_of_a_fixed_token_ends_when_the_token_expires() {
    let script = Script::new([]);
    let expires_at = script.wall().checked_add(SignedDuration::from_hours(240)).unwrap();
    let credentials = fixably::Credentials::bearer("t").with_expires_at(expires_at);
    let client = fixably::Client::builder(credentials).with_tenant("acme").with_transport(script).build().unwrap();
    let keep_alive = tokio::spawn(client.keep_alive());
    sleep(10 * DAY - SECOND).await;
    assert!(!keep_alive.is_finished());
    sleep(2 * SECOND).await;
    let error = keep_alive.now_or_never().expect("it has ended").unwrap();
    assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn keep_alive_ends_when_a_clone_of_the_client_is_closed_and_says_so() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    let fixed = fixably::Client::builder(fixably::Credentials::bearer("t")).with_tenant("acme");
    let fixed = fixed.with_transport(Script::new([])).build().unwrap();
    let running = [tokio::spawn(client.keep_alive()), tokio::spawn(fixed.keep_alive())];
    sleep(DAY / 48).await;
    client.clone().close().await.unwrap();
    fixed.clone().close().await.unwrap();
    let closed = Instant::now();
    let [first, second] = running;
    // A closed client does not begin either.
    let errors = [first.await.unwrap(), second.await.unwrap(), client.keep_alive().await, fixed.keep_alive().await];
    for error in errors {
        let Error::InvalidRequest(request) = &error else { panic!("{error:?}") };
        assert_eq!(request.parameter(), "client");
        assert!(error.to_string().contains("was closed"), "{error}");
    }
    assert_eq!(closed.elapsed(), Duration::ZERO);
    sleep(60 * DAY).await;
    assert_eq!(server.counters().refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn keep_alive_of_tokens_that_expire_at_once_logs_in_every_ten_seconds() {
    let (server, client) = fisikal(|server| server);
    server.fault(Fault::field("expires_in", 1).on("POST", "/oauth/token").always());
    let keep_alive = tokio::spawn(client.keep_alive());
    sleep(HOUR).await;
    assert!(!keep_alive.is_finished());
    assert_eq!(server.counters().logins(), 360);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_outlives_its_expiry_is_refreshed_once_an_hour_from_then_on() {
    let server = fentu_testing::MockServer::builder().with_refresh_tokens(RefreshTokens::Repeated);
    let server = server.with_token_lifetimes(HOUR, 60 * DAY).in_memory();
    let client = fentu_builder(&server, consent(&server)).build().unwrap();
    task(&client).await.unwrap();
    let keep_alive = tokio::spawn(client.keep_alive());
    // The client takes it to expire after 30 days.
    sleep(30 * DAY).await;
    let before = server.counters().refreshes();
    sleep(DAY).await;
    assert!(!keep_alive.is_finished());
    let refreshes = server.counters().refreshes() - before;
    assert!((22..=25).contains(&refreshes), "{refreshes}");
}
