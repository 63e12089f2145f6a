//! Rows A1 to A3: when a token is used, refreshed, and waited for.

use futures_util::FutureExt as _;
use servicebay::testing::Fault;
use tokio::time::{Instant, sleep, sleep_until};

use super::*;

// A1

#[tokio::test(start_paused = true)]
async fn a_valid_token_is_read_without_awaiting() {
    let (_server, client) = fentu();
    task(&client).await.unwrap();
    // The server is in memory and responds immediately, so that any wait would be for the token.
    assert!(task(&client).now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_valid_token_is_read_without_awaiting_while_it_is_refreshed() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR - 60 * SECOND).await;
    server.fault(Fault::delay(10 * SECOND).on("POST", "/oauth/token"));
    task(&client).await.unwrap();
    sleep(SECOND).await;
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 1, "the refresh is in progress");
    assert!(task(&client).now_or_never().is_some());
}

// A2

/// The number of refreshes after these ages of the tokens of fifty clients, each of which makes a call at each age.
async fn refreshes_at<C: Send + Sync>(
    clients: Vec<C>,
    call: impl Fn(&C) -> BoxFuture<'static, Result<(), Error>> + Send,
    count: impl Fn() -> u64 + Send,
    ages: [Duration; 3],
) -> [u64; 3] {
    let started = Instant::now();
    let mut counts = [0; 3];
    for (age, refreshes) in ages.into_iter().zip(&mut counts) {
        sleep_until(started + age).await;
        for client in &clients {
            call(client).await.unwrap();
        }
        sleep(SECOND).await;
        *refreshes = count();
    }
    counts
}

#[tokio::test(start_paused = true)]
async fn a_token_of_48_hours_is_refreshed_in_its_last_5_hours_by_each_process_at_another_time() {
    let server = repairy_testing::MockServer::builder().in_memory();
    let clients: Vec<_> = (0..50).map(|_| server.client().unwrap()).collect();
    for client in &clients {
        booking(client).await.unwrap();
    }
    let ages = [43 * HOUR - 60 * SECOND, 43 * HOUR + HOUR * 5 / 8, 44 * HOUR + HOUR / 4];
    let [before, midway, after] = refreshes_at(clients, booking, || server.counters().refreshes(), ages).await;
    assert_eq!((before, after), (0, 50));
    assert!((1..50).contains(&midway), "{midway}: they are spread");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_an_hour_is_refreshed_in_its_last_12_minutes_by_each_process_at_another_time() {
    let server = fentu_server(RefreshTokens::Rotated);
    let client = |_| fentu_builder(&server, consent(&server)).build().unwrap();
    let clients: Vec<_> = (0..50).map(client).collect();
    for client in &clients {
        task(client).await.unwrap();
    }
    let ages = [HOUR / 60 * 48 - 5 * SECOND, HOUR / 60 * 49 + 30 * SECOND, HOUR / 60 * 51 + SECOND];
    let [before, midway, after] = refreshes_at(clients, task, || server.counters().refreshes(), ages).await;
    assert_eq!((before, after), (0, 50));
    assert!((1..50).contains(&midway), "{midway}: they are spread");
}

// A3

#[tokio::test(start_paused = true)]
async fn callers_wait_for_a_refresh_in_the_last_half_minute_and_not_before() {
    for (left, waits) in [(31 * SECOND, Duration::ZERO), (29 * SECOND, 10 * SECOND)] {
        let (server, client) = fentu();
        task(&client).await.unwrap();
        sleep(HOUR - left).await;
        server.fault(Fault::delay(10 * SECOND).on("POST", "/oauth/token"));
        let started = Instant::now();
        task(&client).await.unwrap();
        assert_eq!(started.elapsed(), waits, "{left:?} before it expires");
        assert_eq!(server.counters().unauthorized(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn callers_wait_for_a_refresh_in_the_last_tenth_of_a_short_lifetime() {
    for (age, waits) in [(53 * SECOND, Duration::ZERO), (55 * SECOND, 3 * SECOND)] {
        let (server, client) = fisikal(|server| server.with_access_lifetime(60 * SECOND));
        profile(&client).await.unwrap();
        sleep(age).await;
        server.fault(Fault::delay(3 * SECOND).on("POST", "/oauth/token"));
        let started = Instant::now();
        profile(&client).await.unwrap();
        assert_eq!(started.elapsed(), waits, "{age:?} old");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_on_arrival_is_still_used_by_the_callers_that_waited_for_it() {
    let (server, client) = fisikal(|server| server.with_access_lifetime(SECOND));
    for _ in 0..3 {
        profile(&client).await.unwrap();
        sleep(2 * SECOND).await;
    }
    assert_eq!((server.counters().logins(), server.counters().unauthorized()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_fails_when_its_max_wait_is_over_before_the_refresh() {
    let (server, _) = fentu();
    let client = fentu_builder(&server, consent(&server)).with_max_wait(5 * SECOND).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    server.fault(Fault::delay(10 * SECOND).on("POST", "/oauth/token"));
    let started = Instant::now();
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert_eq!(started.elapsed(), 5 * SECOND);
    sleep(6 * SECOND).await;
    task(&client).await.unwrap();
    assert_eq!(server.counters().refreshes(), 1, "the refresh completed anyway");
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_token_for_the_limit_and_between_attempts_share_one_max_wait() {
    // Of 120 s, the login takes 25 and the rate limit 60. Another 40 s do not fit, and 30 s do.
    for (hint, fits) in [("40", false), ("30", true)] {
        let (server, client) = fisikal(|server| server);
        server.fault(Fault::delay(25 * SECOND).on("POST", "/oauth/token"));
        server.fault(
            Fault::status(429).with_header("retry-after", "60").on("GET", "/api/unified/users/profile").times(1),
        );
        server.fault(
            Fault::status(503).with_header("retry-after", hint).on("GET", "/api/unified/users/profile").times(1),
        );
        let started = Instant::now();
        let result = profile(&client).await;
        assert_eq!(result.is_ok(), fits, "{result:?}");
        let waited = started.elapsed();
        let expected = if fits { 115 } else { 85 } * SECOND;
        assert!((expected..expected + SECOND).contains(&waited), "{hint}: {waited:?}");
    }
}
