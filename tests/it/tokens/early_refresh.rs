//! Rows A1 to A3: when a token is read, renewed, and waited for.

use futures_util::FutureExt as _;
use servicebay::testing::Fault;
use tokio::time::{Instant, sleep, sleep_until};

use super::*;

// A1

#[tokio::test(start_paused = true)]
async fn a_valid_token_is_read_without_awaiting() {
    let (_tenant, client) = fentu();
    task(&client).await.unwrap();
    // The vendor in memory answers at once, so that any wait would be the token's.
    assert!(task(&client).now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_valid_token_is_read_without_awaiting_while_the_next_one_is_asked_for() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR - 60 * SECOND).await;
    tenant.fault(Fault::delay(10 * SECOND).on("POST", "/oauth/token"));
    task(&client).await.unwrap();
    sleep(SECOND).await;
    assert_eq!(asked(&tenant.requests(), "/oauth/token"), 1, "the renewal is under way");
    assert!(task(&client).now_or_never().is_some());
}

// A2

/// Renewals of fifty clients at these moments of their tokens' life, where each makes a call.
async fn renewals<C: Send + Sync>(
    clients: Vec<C>,
    call: impl Fn(&C) -> BoxFuture<'static, Result<(), Error>> + Send,
    renewed: impl Fn() -> u64 + Send,
    moments: [Duration; 3],
) -> [u64; 3] {
    let begun = Instant::now();
    let mut seen = [0; 3];
    for (moment, seen) in moments.into_iter().zip(&mut seen) {
        sleep_until(begun + moment).await;
        for client in &clients {
            call(client).await.unwrap();
        }
        sleep(SECOND).await;
        *seen = renewed();
    }
    seen
}

#[tokio::test(start_paused = true)]
async fn a_token_of_48_hours_is_renewed_from_5_hours_before_its_end_each_process_at_its_own_moment() {
    let tenant = repairy_testing::MockServer::builder().in_memory();
    let clients: Vec<_> = (0..50).map(|_| tenant.client().unwrap()).collect();
    for client in &clients {
        booking(client).await.unwrap();
    }
    let moments = [43 * HOUR - 60 * SECOND, 43 * HOUR + HOUR * 5 / 8, 44 * HOUR + HOUR / 4];
    let [before, midway, after] = renewals(clients, booking, || tenant.counters().refreshes(), moments).await;
    assert_eq!((before, after), (0, 50));
    assert!((1..50).contains(&midway), "{midway}: they are spread");
}

#[tokio::test(start_paused = true)]
async fn a_token_of_an_hour_is_renewed_in_its_last_12_minutes_each_process_at_its_own_moment() {
    let tenant = fentu_tenant(RefreshTokens::Rotated);
    let client = |_| fentu_builder(&tenant, consent(&tenant)).build().unwrap();
    let clients: Vec<_> = (0..50).map(client).collect();
    for client in &clients {
        task(client).await.unwrap();
    }
    let moments = [HOUR / 60 * 48 - 5 * SECOND, HOUR / 60 * 49 + 30 * SECOND, HOUR / 60 * 51 + SECOND];
    let [before, midway, after] = renewals(clients, task, || tenant.counters().refreshes(), moments).await;
    assert_eq!((before, after), (0, 50));
    assert!((1..50).contains(&midway), "{midway}: they are spread");
}

// A3

#[tokio::test(start_paused = true)]
async fn callers_wait_for_the_next_token_in_the_last_half_minute_and_not_before() {
    for (left, waits) in [(31 * SECOND, Duration::ZERO), (29 * SECOND, 10 * SECOND)] {
        let (tenant, client) = fentu();
        task(&client).await.unwrap();
        sleep(HOUR - left).await;
        tenant.fault(Fault::delay(10 * SECOND).on("POST", "/oauth/token"));
        let begun = Instant::now();
        task(&client).await.unwrap();
        assert_eq!(begun.elapsed(), waits, "{left:?} before the end");
        assert_eq!(tenant.counters().unauthorized(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_of_a_minute_is_waited_for_in_the_last_tenth_of_its_life() {
    for (age, waits) in [(53 * SECOND, Duration::ZERO), (55 * SECOND, 3 * SECOND)] {
        let (tenant, client) = fisikal(|tenant| tenant.with_access_lifetime(60 * SECOND));
        profile(&client).await.unwrap();
        sleep(age).await;
        tenant.fault(Fault::delay(3 * SECOND).on("POST", "/oauth/token"));
        let begun = Instant::now();
        profile(&client).await.unwrap();
        assert_eq!(begun.elapsed(), waits, "{age:?} old");
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_over_at_birth_serves_those_who_waited_for_it() {
    let (tenant, client) = fisikal(|tenant| tenant.with_access_lifetime(SECOND));
    for _ in 0..3 {
        profile(&client).await.unwrap();
        sleep(2 * SECOND).await;
    }
    assert_eq!((tenant.counters().logins(), tenant.counters().unauthorized()), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_cannot_wait_for_the_token_is_told_so_in_time() {
    let (tenant, _) = fentu();
    let client = fentu_builder(&tenant, consent(&tenant)).with_max_wait(5 * SECOND).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    tenant.fault(Fault::delay(10 * SECOND).on("POST", "/oauth/token"));
    let begun = Instant::now();
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert_eq!(begun.elapsed(), 5 * SECOND);
    sleep(6 * SECOND).await;
    task(&client).await.unwrap();
    assert_eq!(tenant.counters().refreshes(), 1, "the renewal went on");
}

#[tokio::test(start_paused = true)]
async fn waits_for_a_token_for_the_limit_and_between_attempts_share_one_allowance() {
    // Of 120 s the login takes 25 and the limit 60; then 40 s more do not fit, and 30 do.
    for (hint, fits) in [("40", false), ("30", true)] {
        let (tenant, client) = fisikal(|tenant| tenant);
        tenant.fault(Fault::delay(25 * SECOND).on("POST", "/oauth/token"));
        tenant.fault(
            Fault::status(429).with_header("retry-after", "60").on("GET", "/api/unified/users/profile").times(1),
        );
        tenant.fault(
            Fault::status(503).with_header("retry-after", hint).on("GET", "/api/unified/users/profile").times(1),
        );
        let begun = Instant::now();
        let answer = profile(&client).await;
        assert_eq!(answer.is_ok(), fits, "{answer:?}");
        let waited = begun.elapsed();
        let expected = if fits { 115 } else { 85 } * SECOND;
        assert!((expected..expected + SECOND).contains(&waited), "{hint}: {waited:?}");
    }
}
