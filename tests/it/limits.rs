//! The tenant's rate limit: rows L1 to L15 of the contract, one by one. `pacing.rs` tests all of them together, with many
//! callers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use servicebay::testing::fixably::{MockServer, TokenKind};
use servicebay::testing::{Environment, Fault, Script, Step};
use servicebay::{Body, Transport, TransportError};
use servicebay::{CallOptions, Error, HoldBack, Priority, RateLimitPolicy, RetryPolicy, fentu, fixably};
use tokio::time::Instant;

use crate::support::{builder, client, order, refused};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A server with a rate limit of this many calls a minute.
fn server(limit: u32) -> (MockServer, fixably::Client) {
    let server = MockServer::builder().with_rate_limit(limit, MINUTE).in_memory();
    let client = server.client().unwrap();
    (server, client)
}

/// An order, with the headers of a window of 100 calls.
fn order_with_remaining(remaining: u64, reset: &str) -> Step {
    order()
        .header("x-ratelimit-limit", "100")
        .header("x-ratelimit-remaining", remaining.to_string())
        .header("x-ratelimit-reset", reset)
}

/// The ids of the requested orders, in the order of the requests.
fn requested_ids(script: &Script) -> Vec<String> {
    script.requests().iter().map(|request| request.uri.path().rsplit('/').next().unwrap().to_owned()).collect()
}

/// The seconds from the first request to each.
fn arrivals(script: &Script) -> Vec<f64> {
    let requests = script.requests();
    requests.iter().map(|request| (request.at - requests[0].at).as_secs_f64()).collect()
}

// L1

#[tokio::test(start_paused = true)]
async fn clients_of_one_tenant_share_one_rate_limiter() {
    let script = Script::new([refused("10"), order(), order().repeat()]);
    let one = builder(&script).build().unwrap();
    let other = builder(&script).with_attempt_timeout(SECOND).build().unwrap();
    let started = Instant::now();
    let (first, _) = tokio::join!(one.get_order().id(1).send(), async {
        tokio::time::sleep(SECOND).await;
        other.get_order().id(2).send().await.unwrap();
    });
    first.unwrap();
    assert!(started.elapsed() >= 10 * SECOND, "{:?}", started.elapsed());
    assert_eq!(script.requests().len(), 3, "only the first call got a 429");
}

#[tokio::test(start_paused = true)]
async fn another_tenant_is_not_paused() {
    let script = Script::new([refused("60"), order().repeat()]);
    let acme = builder(&script).with_max_wait(Duration::ZERO).build().unwrap();
    let beta = builder(&script).with_tenant("beta").build().unwrap();
    assert!(acme.get_order().id(1).send().await.is_err());
    let started = Instant::now();
    beta.get_order().id(1).send().await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
}

// L2

#[tokio::test(start_paused = true)]
async fn the_limiter_learns_from_every_response_success_or_error() {
    let with_headers = |step: Step, remaining: &str| {
        step.header("x-ratelimit-limit", "100")
            .header("x-ratelimit-remaining", remaining)
            .header("x-ratelimit-reset", "30")
    };
    let (client, script) = client([with_headers(order(), "42"), with_headers(Step::status(404), "41")]);
    let order = client.get_order().id(1).send().await.unwrap();
    assert_eq!((order.rate_limit().limit(), order.rate_limit().remaining()), (Some(100), Some(42)));
    let expected = script.wall().checked_add(SignedDuration::from_secs(30)).unwrap();
    let reset_at = order.rate_limit().reset_at().unwrap();
    assert!(reset_at.duration_since(expected).abs() < SignedDuration::from_secs(5), "{reset_at} {expected}");

    client.get_order().id(2).send().await.unwrap_err();
    assert_eq!(client.rate_limit().remaining(), Some(41));
}

// L3

#[tokio::test(start_paused = true)]
async fn the_first_call_probes_and_the_others_wait_for_its_response() {
    let script = Script::new([
        order_with_remaining(3, "60").delay(SECOND),
        order_with_remaining(0, "60").delay(SECOND).repeat(),
    ]);
    let client = builder(&script).build().unwrap();
    let calls = join_all((0..4).map(|id| client.get_order().id(id).send()));
    assert!(calls.await.iter().all(Result::is_ok));
    assert_eq!(arrivals(&script), [0.0, 1.0, 1.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn after_a_first_response_without_a_limit_no_call_waits() {
    let script = Script::new([order().delay(SECOND).repeat()]);
    let client = builder(&script).build().unwrap();
    for round in [2, 1] {
        let started = Instant::now();
        join_all((0..500).map(|id| client.get_order().id(id).send())).await;
        assert_eq!(started.elapsed(), round * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_without_documented_limit_headers_is_not_probed() {
    let script = Script::new([Step::json(200, serde_json::json!({"data": {}})).delay(SECOND).repeat()]);
    let client =
        fentu::Client::builder(fentu::Credentials::api_key("key")).with_transport(script.clone()).build().unwrap();
    join_all((0..500).map(|_| client.request(http::Method::GET, "customers").send::<serde_json::Value>())).await;
    assert!(arrivals(&script).iter().all(|at| *at == 0.0));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_not_wait_is_sent_while_the_limit_is_unknown() {
    let script = Script::new([order_with_remaining(9, "60").delay(SECOND).repeat()]);
    let client = builder(&script).with_max_wait(Duration::ZERO).build().unwrap();
    let results = join_all((0..5).map(|id| client.get_order().id(id).send())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
}

#[tokio::test(start_paused = true)]
async fn when_the_first_call_fails_the_next_one_probes() {
    let script = Script::new([Step::connect_error(), order_with_remaining(9, "60").delay(SECOND).repeat()]);
    let client = builder(&script).build().unwrap();
    let results = join_all((0..5).map(|id| client.get_order().id(id).send())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let at = arrivals(&script);
    assert!(at[1] < 0.1 && at[2..].iter().all(|at| *at >= 1.0), "{at:?}");
}

// L4

#[tokio::test(start_paused = true)]
async fn a_process_alone_on_its_tenant_uses_every_window_up_and_gets_no_429() {
    let (server, client) = server(10);
    let client = client.with_options(CallOptions::new().with_max_wait(DAY));
    let started = Instant::now();
    let results = join_all((0..95).map(|_| client.get_order().id(20000010).send())).await;
    assert!(results.iter().all(Result::is_ok));
    let elapsed = started.elapsed().as_secs();
    assert!((9 * 59..=9 * 60).contains(&elapsed), "{elapsed}");
    assert_eq!((server.counters().refused(), server.counters().requests()), (0, 95));
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_count_against_the_remaining_calls() {
    let script = Script::new([
        order_with_remaining(2, "60"),
        order_with_remaining(1, "60").delay(10 * SECOND),
        order_with_remaining(0, "60").delay(SECOND).repeat(),
    ]);
    let client = builder(&script).with_max_wait(DAY).build().unwrap();
    client.get_order().id(0).send().await.unwrap();
    join_all((0..3).map(|id| client.get_order().id(id).send())).await;
    let at = arrivals(&script);
    assert!(at[2] < 0.1 && (59.9..60.1).contains(&at[3]), "two calls remained, and the third waits: {at:?}");
}

#[tokio::test(start_paused = true)]
async fn after_an_exhausted_window_the_others_follow_the_probe_immediately() {
    let (server, client) = server(20);
    join_all((0..20).map(|_| client.get_order().id(20000010).send())).await;
    server.fault(Fault::delay(SECOND).on("GET", "/orders/{id}").always());
    let started = Instant::now();
    join_all((0..20).map(|_| client.get_order().id(20000010).send())).await;
    let elapsed = started.elapsed().as_secs_f64();
    assert!(elapsed <= 62.1, "the reset, and two round trips: {elapsed}");
    assert_eq!(server.counters().refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_429_has_no_lasting_effect_on_a_window_that_is_not_exhausted() {
    let script = Script::new([order_with_remaining(50, "60"), refused("5"), order_with_remaining(40, "60").repeat()]);
    let client = builder(&script).build().unwrap();
    for id in 0..3 {
        client.get_order().id(id).send().await.unwrap();
    }
    let started = Instant::now();
    join_all((0..30).map(|id| client.get_order().id(id).send())).await;
    assert!(started.elapsed() < SECOND, "{:?}", started.elapsed());
}

// L5

#[tokio::test(start_paused = true)]
async fn a_429_pauses_every_caller_until_the_reset_then_one_probes_and_the_others_follow_spread_out() {
    let slow = |request: &http::Request<bytes::Bytes>| {
        assert_eq!(request.method(), "GET");
        order_with_remaining(50, "60").delay(SECOND / 4)
    };
    let script = Script::new([refused("10"), Step::with(slow).repeat()]);
    let client = builder(&script).build().unwrap();
    let first = tokio::spawn(client.get_order().id(0).send());
    tokio::time::sleep(SECOND).await;
    let calls = (1..=20).map(|id| client.get_order().id(id).send());
    let results = join_all(calls).await;
    first.await.unwrap().unwrap();
    assert!(results.iter().all(Result::is_ok), "{results:?}");

    let at = arrivals(&script);
    assert_eq!(at.len(), 22, "only the first call got a 429");
    assert!((10.0..10.1).contains(&at[1]), "the probe is sent at the reset: {at:?}");
    assert!(at[2] >= at[1] + 0.25, "no call is sent before the probe has its response: {at:?}");
    assert!(at[21] - at[2] > 0.5 && at[21] - at[2] <= 1.1, "the others are spread over a second: {at:?}");
    let path = |index: usize| script.requests()[index].uri.path().to_owned();
    assert_eq!(path(1), "/api/v3/orders/0", "first come, first served");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_gets_a_429_pauses_every_caller_again() {
    let script = Script::new([refused("10"), refused("20"), order().repeat()]);
    let client = builder(&script).build().unwrap();
    let results = join_all((0..10).map(|id| {
        let client = client.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(u64::try_from(id).unwrap_or(0))).await;
            client.get_order().id(id).send().await
        }
    }));
    assert!(results.await.iter().all(Result::is_ok));
    let at = arrivals(&script);
    assert!((9.9..10.1).contains(&at[1]) && at[2] >= 30.0, "{at:?}");
    assert_eq!(at.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_gets_a_429_is_sent_again_because_it_was_not_applied() {
    let (client, script) = client([refused("5"), Step::json(201, serde_json::json!({"id": 9}))]);
    let body = fixably::types::OrderCreate::new().reference("R-1");
    let created = client.create_order().body(body).send().await.unwrap();
    assert_eq!(created.id(), Some(9.into()));
    assert_eq!(arrivals(&script).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_limit_uses_no_attempts() {
    let mut steps = vec![refused("5"); 10];
    steps.push(order());
    let (client, script) = client(steps);
    client.get_order().id(1).send().await.unwrap();
    assert_eq!(script.requests().len(), 11);
}

// L6

#[tokio::test(start_paused = true)]
async fn every_format_of_the_reset_header_waits_until_the_same_time() {
    let formats: [fn(Timestamp) -> String; 6] = [
        |reset| reset.as_second().to_string(),
        |reset| reset.as_millisecond().to_string(),
        |_| "30".to_owned(),
        |reset| reset.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        |reset| reset.to_string(),
        |reset| format!("{}.000", reset.as_second()),
    ];
    for format in formats {
        let (client, script) = client([
            Step::with(move |_| {
                // The vendor's clock is far ahead of ours, as its `Date` header shows.
                let date: Timestamp = "2031-05-06T07:08:09Z".parse().unwrap();
                let reset = date.checked_add(SignedDuration::from_secs(30)).unwrap();
                refused(&format(reset)).header("date", date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
            }),
            order(),
        ]);
        client.get_order().id(1).send().await.unwrap();
        let at = arrivals(&script);
        assert!((30.0..30.1).contains(&at[1]), "{at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_reset_leads_to_backoff_and_never_to_a_long_sleep() {
    for reset in ["banana", "-1", "99999999999999", "3313526400", "", "0", "946684800", "\u{fc}\u{fc}"] {
        let (client, script) = client([refused(reset), refused(reset), order()]);
        client.get_order().id(1).send().await.unwrap();
        let at = arrivals(&script);
        assert!(at[2] < 3.0, "{reset}: {at:?}");
        assert!(at[1] >= 0.5 && at[2] - at[1] >= 0.99, "it backs off anyway: {reset}: {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_beyond_the_longest_window_is_ignored() {
    let script = Script::new([refused("7200"), order()]);
    let policy = RateLimitPolicy::new().with_max_window(Duration::from_secs(3600));
    let client = builder(&script).with_rate_limit(policy).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    assert!(arrivals(&script)[1] < 1.0);
}

#[tokio::test(start_paused = true)]
async fn a_reset_is_believed_up_to_a_day_ahead_or_up_to_a_year_if_the_policy_allows_it() {
    const HOUR: u64 = 3600;
    let longest = RateLimitPolicy::new().with_max_window(Duration::MAX);
    for (policy, ahead, is_believed) in [
        (RateLimitPolicy::new(), 23 * HOUR, true),
        (RateLimitPolicy::new(), 25 * HOUR, false),
        (longest.clone(), 364 * 24 * HOUR, true),
        (longest, 366 * 24 * HOUR, false),
    ] {
        let refusal = Step::status(429).header("ratelimit", format!("\"a\";r=0;t={ahead}"));
        let script = Script::new([refusal, order()]);
        let client = builder(&script).with_rate_limit(policy).build().unwrap();
        let result = client.get_order().id(1).send().await;
        assert_eq!(result.is_err(), is_believed, "{ahead}: {result:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_takes_precedence_and_ietf_headers_are_read_too() {
    let (client, script) = client([refused("60").header("retry-after", "3"), order()]);
    client.get_order().id(1).send().await.unwrap();
    assert!((3.0..3.1).contains(&arrivals(&script)[1]));

    let (client, script) = self::client([Step::status(429).header("ratelimit", "\"default\";r=0;t=7"), order()]);
    client.get_order().id(1).send().await.unwrap();
    assert!((7.0..7.1).contains(&arrivals(&script)[1]));
}

// L7

#[tokio::test(start_paused = true)]
async fn waiters_are_sent_in_order_of_priority_and_then_of_arrival() {
    let script = Script::new([order_with_remaining(0, "60"), order_with_remaining(50, "60").repeat()]);
    let client = builder(&script).build().unwrap();
    client.get_order().id(0).send().await.unwrap();
    let call = |id: i64, priority| {
        let client = client.with_options(CallOptions::new().with_priority(priority));
        async move { client.get_order().id(id).send().await }
    };
    let waiting = [
        call(1, Priority::Bulk),
        call(2, Priority::Normal),
        call(3, Priority::Bulk),
        call(4, Priority::Interactive),
        call(5, Priority::Normal),
        call(6, Priority::Interactive),
    ];
    let waiting_by_priority = async {
        tokio::time::sleep(SECOND).await;
        [Priority::Interactive, Priority::Normal, Priority::Bulk].map(|lane| client.rate_limit().waiting_at(lane))
    };
    let (results, waiting_by_priority) = tokio::join!(join_all(waiting), waiting_by_priority);
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(waiting_by_priority, [2, 2, 2]);
    // The five after the probe are sent at the same time, in whatever order the runtime polls them.
    assert_eq!(requested_ids(&script)[..2], ["0", "4"], "the highest priority probes");
}

#[tokio::test(start_paused = true)]
async fn a_window_too_small_for_all_callers_serves_the_higher_priority() {
    let (server, client) = server(10);
    let bulk = client.with_options(CallOptions::new().with_priority(Priority::Bulk).with_max_wait(DAY));
    let interactive = client.with_options(CallOptions::new().with_priority(Priority::Interactive));
    let export = tokio::spawn(async move { join_all((0..40).map(|_| bulk.get_order().id(20000010).send())).await });
    tokio::time::sleep(SECOND).await;
    let started = Instant::now();
    let results = join_all((0..10).map(|_| interactive.get_order().id(20000011).send())).await;
    assert!(results.iter().all(Result::is_ok));
    assert!(started.elapsed() <= 2 * MINUTE, "thirty bulk calls waited before them: {:?}", started.elapsed());
    assert!(export.await.unwrap().iter().all(Result::is_ok), "no priority starves");
    assert_eq!(server.counters().refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_eighth_waiter_that_is_sent_has_the_lowest_priority() {
    let script = Script::new([
        order_with_remaining(0, "60"),
        order_with_remaining(16, "60"),
        order_with_remaining(0, "60").delay(SECOND).repeat(),
    ]);
    let policy = RateLimitPolicy::new().with_bulk_reserve(0.0);
    let client = builder(&script).with_rate_limit(policy).with_max_wait(70 * SECOND).build().unwrap();
    client.get_order().id(0).send().await.unwrap();
    let calls = (1..=60).map(|id| {
        let priority = if id > 50 { Priority::Bulk } else { Priority::Interactive };
        let client = client.with_options(CallOptions::new().with_priority(priority));
        async move { client.get_order().id(id).send().await }
    });
    join_all(calls).await;
    let bulk = requested_ids(&script).iter().filter(|id| id.parse::<i64>().unwrap() > 50).count();
    assert_eq!((script.requests().len(), bulk), (18, 2));
}

#[tokio::test(start_paused = true)]
async fn bulk_calls_leave_a_fifth_of_the_window_to_others_or_what_the_policy_sets() {
    for (policy, reserve) in [
        (RateLimitPolicy::new(), 20),
        (RateLimitPolicy::new().with_bulk_reserve(0.5), 50),
        (RateLimitPolicy::new().with_bulk_reserve(-1.0), 0),
        (RateLimitPolicy::new().with_bulk_reserve(f64::NAN), 0),
        (RateLimitPolicy::new().with_bulk_reserve(7.0), 90),
    ] {
        let (server, _) = server(100);
        let client = server
            .client_builder(TokenKind::AdminAll)
            .with_rate_limit(policy)
            .with_priority(Priority::Bulk)
            .build()
            .unwrap();
        let calls = (0..150).map(|_| client.get_order().id(20000010).send());
        let _ = tokio::time::timeout(SECOND, join_all(calls)).await;
        assert_eq!(server.remaining(), Some(reserve));
        let normal = client.with_options(CallOptions::new().with_priority(Priority::Normal));
        assert_eq!(normal.get_order().id(20000010).send().await.is_ok(), reserve > 0 || server.remaining() > Some(0));
    }
}

// L8

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_max_wait_fails_immediately_and_says_when_to_retry() {
    let script = Script::new([refused("300")]);
    let client = builder(&script).build().unwrap();
    let started = Instant::now();
    let limited = match client.get_order().id(1).send().await {
        Err(Error::RateLimited(limited)) => limited,
        other => panic!("{other:?}"),
    };
    assert_eq!(started.elapsed(), Duration::ZERO, "it does not sleep first");
    assert_eq!((limited.remaining(), limited.attempts()), (Some(0), 1));
    assert_eq!(limited.message(), Some("Too many requests"));
    let ahead = limited.resume_at().duration_since(script.wall());
    assert!((298..=302).contains(&ahead.as_secs()), "{ahead}");

    // The next call fails without being sent.
    match client.get_order().id(2).send().await {
        Err(Error::RateLimited(next)) => assert_eq!((next.attempts(), next.status()), (0, None)),
        other => panic!("{other:?}"),
    }
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn only_callers_that_can_be_served_wait_and_the_others_fail_immediately_with_the_time_to_retry() {
    let (server, client) = server(10);
    let started = Instant::now();
    let results = join_all((0..45).map(|_| async {
        let result = client.get_order().id(20000010).send().await;
        (result, started.elapsed())
    }));
    let (served, failed): (Vec<_>, Vec<_>) = results.await.into_iter().partition(|(result, _)| result.is_ok());
    assert!((20..=30).contains(&served.len()), "at most three windows start within two minutes: {}", served.len());
    for (result, elapsed) in &failed {
        assert!(*elapsed < SECOND, "it waited {elapsed:?} and failed");
        match result {
            Err(Error::RateLimited(limited)) => assert!(limited.resume_at() > server.now(), "{limited:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_operation_timeout_fails_immediately() {
    let (client, _script) = client([refused("60")]);
    let client = client.with_options(CallOptions::new().with_operation_timeout(10 * SECOND));
    let started = Instant::now();
    assert!(matches!(client.get_order().id(1).send().await, Err(Error::RateLimited(_))));
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn limit_waits_and_backoff_share_one_max_wait() {
    // 80 s are spent waiting for the limit; another 50 s do not fit into 120 s.
    let (client, script) = client([refused("80"), refused("50")]);
    let started = Instant::now();
    assert!(matches!(client.get_order().id(1).send().await, Err(Error::RateLimited(_))));
    assert!((80.0..81.0).contains(&started.elapsed().as_secs_f64()), "{:?}", started.elapsed());
    assert_eq!(script.requests().len(), 2);

    let (client, script) = self::client([refused("100"), Step::status(503).header("retry-after", "30")]);
    let started = Instant::now();
    assert!(matches!(client.get_order().id(1).send().await, Err(Error::Server(_))));
    assert!((100.0..101.0).contains(&started.elapsed().as_secs_f64()), "{:?}", started.elapsed());
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn callers_waiting_for_a_probe_fail_immediately_when_its_429_lasts_too_long() {
    let script = Script::new([refused("10"), refused("1000")]);
    let client = builder(&script).build().unwrap();
    let started = Instant::now();
    let results = join_all((0..5).map(|id| {
        let client = client.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(u64::try_from(id).unwrap_or(0))).await;
            client.get_order().id(id).send().await
        }
    }));
    let results = results.await;
    assert!(results.iter().all(|result| matches!(result, Err(Error::RateLimited(_)))), "{results:?}");
    assert!((9.9..10.1).contains(&started.elapsed().as_secs_f64()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_max_wait_of_hours_waits_for_hours() {
    let script = Script::new([refused("7200"), order()]);
    let client = builder(&script).with_max_wait(Duration::from_secs(3 * 3600)).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    assert!((7200.0..7201.0).contains(&arrivals(&script)[1]));
}

#[tokio::test(start_paused = true)]
async fn maximal_durations_do_not_overflow() {
    let script = Script::new([refused("60"), order()]);
    let client = builder(&script)
        .with_max_wait(Duration::MAX)
        .with_operation_timeout(Duration::MAX)
        .with_attempt_timeout(Duration::MAX)
        .build()
        .unwrap();
    client.get_order().id(1).send().await.unwrap();
}

// L9

#[tokio::test(start_paused = true)]
async fn a_canceled_call_releases_its_reservation() {
    let (client, _script) = client([order().delay(60 * SECOND), order()]);
    let call = client.get_order().id(1).send();
    assert!(tokio::time::timeout(SECOND, call).await.is_err());
    assert_eq!(client.rate_limit().in_flight(), 0);
    client.get_order().id(2).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_may_have_arrived_uses_up_the_window_and_one_that_was_not_sent_does_not() {
    for (step, left) in [
        (Step::dropped(), 1),
        (order().delay(20 * SECOND), 1),
        (Step::connect_error(), 2),
        (order().header("age", "600"), 2),
    ] {
        let shown = format!("{step:?}");
        let later = order_with_remaining(2, "60").delay(SECOND).repeat();
        let script = Script::new([order_with_remaining(2, "60"), step, later]);
        let client = builder(&script).with_retry(RetryPolicy::never()).with_max_wait(DAY).build().unwrap();
        client.get_order().id(1).send().await.unwrap();
        // Canceled after a second, if there is no response by then.
        let _ = tokio::time::timeout(SECOND, client.get_order().id(2).send()).await;
        let calls = [3, 4].map(|id| tokio::spawn(client.get_order().id(id).send()));
        tokio::time::sleep(SECOND / 2).await;
        assert_eq!(client.rate_limit().in_flight(), left, "{shown}");
        for call in calls {
            call.await.unwrap().unwrap();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn when_a_probe_is_canceled_the_next_waiter_probes() {
    let steps = [refused("10"), order().delay(60 * SECOND), order().repeat()];
    let script = Script::new(steps);
    let client = builder(&script).build().unwrap();
    let probe = tokio::spawn(client.get_order().id(0).send());
    tokio::time::sleep(SECOND).await;
    let next = tokio::spawn(client.get_order().id(1).send());
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(script.requests().len(), 2, "the probe is in flight");
    probe.abort();
    next.await.unwrap().unwrap();
    assert_eq!(script.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn canceled_waiters_leave_the_queue() {
    let script = Script::new([refused("10"), order().repeat()]);
    let client = builder(&script).build().unwrap();
    let waiters: Vec<_> = (0..50).map(|id| tokio::spawn(client.get_order().id(id).send())).collect();
    // Within the first second the vendor responds to the first with a 429, which pauses the others.
    tokio::time::sleep(SECOND).await;
    for waiter in &waiters[..49] {
        waiter.abort();
    }
    for waiter in waiters.into_iter().skip(49) {
        waiter.await.unwrap().unwrap();
    }
    assert_eq!((client.rate_limit().waiting(), client.rate_limit().in_flight()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_canceled_waiter_makes_room_for_the_next() {
    let (server, client) = server(10);
    let client = client.with_options(CallOptions::new().with_max_wait(DAY));
    join_all((0..10).map(|_| client.get_order().id(20000010).send())).await;
    let waiters: Vec<_> = (0..30).map(|_| tokio::spawn(client.get_order().id(20000010).send())).collect();
    tokio::time::sleep(SECOND).await;
    for waiter in &waiters[..20] {
        waiter.abort();
    }
    let started = Instant::now();
    for waiter in waiters.into_iter().skip(20) {
        waiter.await.unwrap().unwrap();
    }
    assert!(started.elapsed() <= MINUTE, "{:?}", started.elapsed());
    assert_eq!(server.counters().refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_canceled_waiter_makes_room_for_one_that_is_not_polled_and_that_delays_the_others_by_one_second() {
    let script = Script::new([order_with_remaining(1, "60"), order_with_remaining(0, "48"), order().repeat()]);
    let bulk = |reserve| {
        let policy = RateLimitPolicy::new().with_bulk_reserve(reserve);
        builder(&script).with_max_wait(DAY).with_priority(Priority::Bulk).with_rate_limit(policy).build().unwrap()
    };
    let (considerate, other) = (bulk(0.9), bulk(0.0));
    other.get_order().id(0).send().await.unwrap();
    let first = tokio::spawn(considerate.get_order().id(1).send());
    tokio::time::sleep(SECOND).await;
    let mut unpolled = Box::pin(other.get_order().id(2).send());
    assert!((&mut unpolled).now_or_never().is_none());
    let last = tokio::spawn(other.get_order().id(3).send());
    tokio::time::sleep(9 * SECOND).await;
    assert_eq!(other.rate_limit().waiting(), 3, "the first one in the queue leaves the call that is left to others");
    first.abort();
    last.await.unwrap().unwrap();
    let at = arrivals(&script);
    assert!((10.9..11.1).contains(&at[1]), "{at:?}");
    unpolled.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn waiters_that_are_not_polled_do_not_use_up_the_window() {
    let (server, client) = server(10);
    let client = client.with_options(CallOptions::new().with_max_wait(DAY));
    join_all((0..10).map(|_| client.get_order().id(20000010).send())).await;
    let mut unpolled: Vec<_> = (0..10).map(|_| Box::pin(client.get_order().id(20000010).send())).collect();
    assert!(unpolled.iter_mut().all(|call| call.now_or_never().is_none()));
    let started = Instant::now();
    let results = join_all((0..9).map(|_| client.get_order().id(20000010).send())).await;
    assert!(results.iter().all(Result::is_ok));
    assert!(started.elapsed() <= MINUTE + 3 * SECOND, "{:?}", started.elapsed());
    assert!(join_all(unpolled).await.iter().all(Result::is_ok));
    assert_eq!(server.counters().refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn workers_are_back_at_full_speed_after_the_spread() {
    let script = Script::new([refused("10"), order_with_remaining(5000, "60").delay(SECOND / 50).repeat()]);
    let client = builder(&script).build().unwrap();
    let workers = (0..8_u64).map(|worker| {
        let client = client.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(worker)).await;
            for _ in 0..100 {
                client.get_order().id(1).send().await.unwrap();
            }
        }
    });
    let started = Instant::now();
    join_all(workers).await;
    // 10 s paused, 1 s spread, 100 calls of 20 ms each.
    assert!(started.elapsed() < 15 * SECOND, "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_not_polled_delays_the_others_by_one_second_once() {
    let script = Script::new([refused("10"), order().delay(SECOND / 10).repeat()]);
    let client = builder(&script).build().unwrap();
    let mut unpolled = Box::pin(client.get_order().id(0).send());
    assert!((&mut unpolled).now_or_never().is_none());
    let started = Instant::now();
    let results = join_all((1..=20).map(|id| client.get_order().id(id).send())).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert!(started.elapsed() < 14 * SECOND, "{:?}", started.elapsed());
    unpolled.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_of_buffered_calls_does_not_slow_other_callers() {
    let script = Script::new([refused("10"), order().delay(SECOND / 20).repeat()]);
    let client = builder(&script).build().unwrap();
    let calls = stream::iter(0..64).map(|id| client.get_order().id(id).send()).buffer_unordered(8);
    let slow = calls.for_each(|_| tokio::time::sleep(30 * SECOND));
    let others = async {
        tokio::time::sleep(20 * SECOND).await;
        let started = Instant::now();
        for _ in 0..20 {
            client.get_order().id(7).send().await.unwrap();
        }
        started.elapsed()
    };
    tokio::select! {
        () = slow => unreachable!("it takes half an hour"),
        elapsed = others => assert!(elapsed < 5 * SECOND, "{elapsed:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn no_waiter_fails_after_the_reset_because_the_probe_takes_time() {
    let script = Script::new([refused("119.9"), order().delay(SECOND).repeat()]);
    let client = builder(&script).build().unwrap();
    let results = join_all((0..10).map(|id| client.get_order().id(id).send())).await;
    let started = Instant::now();
    for result in results {
        assert!(result.is_ok(), "waited {:?} and failed: {result:?}", started.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_longer_than_a_year_is_ignored() {
    let script = Script::new([Step::status(429).header("ratelimit", "\"a\";r=0;t=18446744073709551615"), order()]);
    let policy = RateLimitPolicy::new().with_max_window(Duration::MAX);
    let client = builder(&script).with_rate_limit(policy).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    assert!(arrivals(&script)[1] < 1.0, "no window lasts longer than a year");
}

// L10

#[tokio::test(start_paused = true)]
async fn the_usage_of_others_is_detected_and_left_to_them() {
    let (server, client) = server(120);
    server.fault(Fault::delay(SECOND / 5).on("GET", "/orders/{id}").always());
    let others = async {
        loop {
            tokio::time::sleep(SECOND).await;
            server.add_external_requests(1);
        }
    };
    let client = client.with_options(CallOptions::new().with_max_wait(DAY));
    let workers = join_all((0..8).map(|_| async {
        for _ in 0..60 {
            client.get_order().id(20000010).send().await.unwrap();
        }
    }));
    tokio::select! {
        // In this order at every poll, so that each run is the same.
        biased;
        _ = workers => {}
        () = others => unreachable!("it never ends"),
    }
    let refused = server.counters().refused();
    assert!(refused <= 3, "{refused} of {}", server.counters().requests());
    let external = client.rate_limit().others_per_minute();
    assert!((20..=120).contains(&external), "there are sixty: {external}");
}

#[tokio::test(start_paused = true)]
async fn the_usage_of_others_is_shown_in_calls_a_minute() {
    // In seven seconds 10 calls are 85.7 a minute, and 2 are 17.1.
    for (calls, per_minute) in [(10, 86), (2, 17)] {
        let (client, _script) = client([order_with_remaining(90, "60"), order_with_remaining(89 - calls, "53")]);
        client.get_order().id(1).send().await.unwrap();
        tokio::time::sleep(7 * SECOND).await;
        client.get_order().id(1).send().await.unwrap();
        assert_eq!(client.rate_limit().others_per_minute(), per_minute);
    }
}

// L11

/// A vendor of 50 calls a minute that cannot be reached, or fails, from one second to another.
fn vendor_with_outage(from: f64, to: f64, outage: fn() -> Step) -> Script {
    let started = Instant::now();
    let windows = Mutex::new(std::collections::HashMap::<u64, u64>::new());
    let respond = move || {
        let now = started.elapsed().as_secs_f64();
        if (from..to).contains(&now) {
            return outage();
        }
        let mut windows = windows.lock().unwrap();
        let used = windows.entry((now / 60.0) as u64).or_default();
        let reset = (60.0 - now % 60.0).ceil();
        if *used == 50 {
            return refused(&reset.to_string());
        }
        *used += 1;
        order()
            .header("x-ratelimit-limit", "50")
            .header("x-ratelimit-remaining", (50 - *used).to_string())
            .header("x-ratelimit-reset", reset.to_string())
    };
    Script::new([Step::with(move |_| respond().delay(SECOND / 20)).repeat()])
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_calls_flow_again_within_seconds() {
    let outages: [fn() -> Step; 3] = [Step::connect_error, Step::dropped, || Step::status(503)];
    for outage in outages {
        // Over the end of a window, and in the middle of one.
        for (from, to) in [(59.0, 61.0), (30.0, 31.1)] {
            let script = vendor_with_outage(from, to, outage);
            let client = builder(&script).with_max_wait(DAY).build().unwrap();
            let workers = join_all((0..10).map(|worker| {
                let client = client.clone();
                async move {
                    tokio::time::sleep(SECOND * worker / 10).await;
                    let mut last = Duration::ZERO;
                    let started = Instant::now();
                    while started.elapsed() < Duration::from_secs_f64(to + 6.0) {
                        if client.get_order().id(1).send().await.is_ok() {
                            last = started.elapsed();
                        }
                        tokio::time::sleep(3 * SECOND).await;
                    }
                    last.as_secs_f64() > to - 1.0
                }
            }));
            let served = workers.await.into_iter().filter(|served| *served).count();
            assert!(served >= 5, "{served} of 10 after an outage until {to}");
            assert_eq!(client.rate_limit().closed_until(), None);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn responses_without_headers_slow_callers_down_and_do_not_lock_them_out() {
    let script = Script::new([order_with_remaining(8, "3600"), order().delay(SECOND / 10).repeat()]);
    let client = builder(&script).with_max_wait(Duration::ZERO).build().unwrap();
    for id in 0..30 {
        client.get_order().id(id).send().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_is_not_polled_does_not_turn_away_callers_that_cannot_wait() {
    let steps = [order_with_remaining(0, "60"), order().delay(DAY), order_with_remaining(9, "60")];
    let script = Script::new(steps);
    let client = builder(&script).with_max_wait(Duration::ZERO).with_attempt_timeout(2 * DAY).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    client.get_order().id(2).send().await.unwrap_err();
    tokio::time::advance(MINUTE).await;
    let mut parked = Box::pin(client.get_order().id(3).send());
    assert!((&mut parked).now_or_never().is_none());
    tokio::time::advance(10 * SECOND).await;
    client.get_order().id(4).send().await.unwrap();
    assert_eq!(requested_ids(&script), ["1", "3", "4"]);
}

#[tokio::test(start_paused = true)]
async fn a_503_that_says_until_when_pauses_all_callers() {
    let script = Script::new([Step::status(503).header("retry-after", "20"), order().repeat()]);
    let client = builder(&script).build().unwrap();
    let (first, second) = tokio::join!(client.get_order().id(1).send(), async {
        tokio::time::sleep(SECOND).await;
        assert!(matches!(client.rate_limit().held_back(), Some(HoldBack::Outage { .. })));
        client.get_order().id(2).send().await
    });
    first.unwrap();
    second.unwrap();
    let at = arrivals(&script);
    assert!(at[1] >= 20.0, "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_says_what_held_the_call_back() {
    // The vendor is silent: nothing is known to be exhausted.
    let script = Script::new([order().delay(30 * SECOND).repeat()]);
    let client = builder(&script).with_operation_timeout(SECOND / 2).build().unwrap();
    let results = join_all((0..3).map(|id| client.get_order().id(id).send())).await;
    let errors: Vec<_> = results.into_iter().map(Result::unwrap_err).collect();
    assert!(matches!(errors[0], Error::Timeout(_)), "{:?}", errors[0]);
    for error in &errors[1..] {
        assert!(matches!(error, Error::RateLimited(_)), "{error:?}");
        assert!(error.to_string().contains("another call is asking the vendor"), "{error}");
    }

    let script = Script::new([Step::status(503).header("retry-after", "20"), order().repeat()]);
    let client = builder(&script).with_max_wait(SECOND).build().unwrap();
    client.get_order().id(1).send().await.unwrap_err();
    let error = client.get_order().id(2).send().await.unwrap_err();
    assert!(error.to_string().contains("the vendor is down for longer"), "{error}");

    let script = Script::new([refused("20"), order().repeat()]);
    let client = builder(&script).with_max_wait(SECOND).build().unwrap();
    let error = client.get_order().id(1).send().await.unwrap_err();
    assert!(error.to_string().contains("the tenant's rate limit is exhausted"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn another_failure_that_says_when_to_repeat_the_call_pauses_no_other() {
    for status in [408, 500, 501, 502, 504, 524] {
        let script = Script::new([Step::status(status).header("retry-after", "20"), order().repeat()]);
        let client = builder(&script).with_retry(RetryPolicy::never()).build().unwrap();
        client.get_order().id(1).send().await.unwrap_err();
        let started = Instant::now();
        client.get_order().id(2).send().await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_can_be_reopened_by_hand_and_says_what_holds_calls_back() {
    let script = Script::new([refused("43200"), order().repeat()]);
    let client = builder(&script).build().unwrap();
    client.get_order().id(1).send().await.unwrap_err();
    let Some(HoldBack::RateLimited { until, .. }) = client.rate_limit().held_back() else {
        panic!("{:?}", client.rate_limit())
    };
    assert!(until.duration_since(script.wall()).as_secs() > 43_000);
    client.get_order().id(2).send().await.unwrap_err();
    client.reopen_rate_limit();
    assert_eq!(client.rate_limit().held_back(), None);
    client.get_order().id(3).send().await.unwrap();
    assert_eq!(requested_ids(&script), ["1", "3"]);
}

// L12

#[tokio::test(start_paused = true)]
async fn reopening_the_limit_sends_the_calls_that_wait_for_it() {
    let script = Script::new([refused("43200"), order().repeat()]);
    let client = builder(&script).with_max_wait(DAY).build().unwrap();
    let waiting = tokio::spawn(client.get_order().id(1).send());
    tokio::time::sleep(MINUTE).await;
    assert_eq!((script.requests().len(), client.rate_limit().waiting()), (1, 1));
    client.reopen_rate_limit();
    waiting.await.unwrap().unwrap();
    let at = arrivals(&script);
    assert!(at[1] < 62.0, "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn after_the_limit_is_reopened_a_waiter_that_is_not_polled_delays_the_others_by_one_second() {
    let script = Script::new([refused("43200"), order().repeat()]);
    let client = builder(&script).with_max_wait(DAY).build().unwrap();
    let mut unpolled = Box::pin(client.get_order().id(0).send());
    assert!((&mut unpolled).now_or_never().is_none());
    let waiting = tokio::spawn(client.get_order().id(1).send());
    tokio::time::sleep(MINUTE).await;
    client.reopen_rate_limit();
    waiting.await.unwrap().unwrap();
    let at = arrivals(&script);
    assert!((60.5..62.0).contains(&at[1]), "{at:?}");
    unpolled.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_snapshot_has_what_the_vendor_reported_and_what_is_in_flight() {
    let script = Script::new([
        order_with_remaining(0, "60"),
        order_with_remaining(80, "60").delay(SECOND),
        order_with_remaining(79, "60").delay(SECOND),
    ]);
    let client = builder(&script).with_max_wait(DAY).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    let exhausted = client.rate_limit();
    assert_eq!((exhausted.limit(), exhausted.remaining(), exhausted.in_flight()), (Some(100), Some(0), 0));
    let reset_at = exhausted.reset_at().unwrap();
    assert!((59..=60).contains(&reset_at.duration_since(script.wall()).as_secs()), "{reset_at}");
    match exhausted.held_back() {
        Some(HoldBack::Exhausted { until, .. }) => assert_eq!(until, reset_at),
        other => panic!("{other:?}"),
    }

    let calls = [2, 3].map(|id| tokio::spawn(client.get_order().id(id).send()));
    tokio::time::sleep(MINUTE + SECOND / 2).await;
    let probing = client.rate_limit();
    assert_eq!((probing.held_back(), probing.in_flight(), probing.waiting()), (Some(HoldBack::Probing), 1, 1));
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let open = client.rate_limit();
    assert_eq!((open.held_back(), open.remaining(), open.in_flight()), (None, Some(79), 0));
}

/// A transport whose background tasks run on a runtime of the caller, which may end.
#[derive(Clone, Debug)]
struct OnOtherRuntime {
    script: Script,
    tasks: Arc<Mutex<Vec<tokio::task::AbortHandle>>>,
    /// How many tasks it drops before they run, as a runtime does that shuts down.
    dropped: Arc<AtomicUsize>,
}

impl Transport for OnOtherRuntime {
    fn send(
        &self,
        request: http::Request<Body>,
    ) -> futures_core::future::BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        self.script.send(request)
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl Environment for OnOtherRuntime {
    fn identity(&self) -> usize {
        self.script.identity()
    }

    fn spawn(&self, task: futures_core::future::BoxFuture<'static, ()>) {
        if self.dropped.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            return;
        }
        self.tasks.lock().unwrap().push(tokio::spawn(task).abort_handle());
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_wait_are_sent_on_time_although_the_task_that_wakes_them_ends_with_its_runtime() {
    let script = Script::new([refused("10"), order().repeat()]);
    let transport = OnOtherRuntime { script: script.clone(), tasks: Arc::default(), dropped: Arc::default() };
    let client = builder(&script).with_transport(transport.clone()).build().unwrap();
    let waiting = [1, 2].map(|id| tokio::spawn(client.get_order().id(id).send()));
    tokio::time::sleep(5 * SECOND).await;
    let tasks = std::mem::take(&mut *transport.tasks.lock().unwrap());
    assert!(!tasks.is_empty());
    tasks.iter().for_each(tokio::task::AbortHandle::abort);
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    assert!(arrivals(&script).iter().all(|at| *at < 12.0), "{:?}", arrivals(&script));
    tokio::time::sleep(SECOND).await;
    let tasks = transport.tasks.lock().unwrap();
    assert_eq!(tasks.len(), 1, "one task for all calls that wait");
    assert!(tasks[0].is_finished(), "no call waits any more");
}

#[tokio::test(start_paused = true)]
async fn a_task_that_is_dropped_before_it_runs_locks_no_caller_out() {
    let script = Script::new([refused("10"), order().repeat()]);
    let dropped = Arc::new(AtomicUsize::new(3));
    let transport = OnOtherRuntime { script: script.clone(), tasks: Arc::default(), dropped: Arc::clone(&dropped) };
    let client = builder(&script).with_transport(transport.clone()).build().unwrap();
    let waiting = [1, 2].map(|id| tokio::spawn(client.get_order().id(id).send()));
    for call in waiting {
        call.await.unwrap().unwrap();
    }
    assert!(arrivals(&script).iter().all(|at| *at < 11.0), "{:?}", arrivals(&script));
    assert_eq!((dropped.load(Ordering::Relaxed), transport.tasks.lock().unwrap().len()), (0, 1));
    assert_eq!((client.rate_limit().in_flight(), client.rate_limit().waiting()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_learned_rate_is_shown_rounded_up() {
    let script = Script::new([order(), order(), order(), Step::status(429)]);
    let client = builder(&script).with_max_wait(Duration::ZERO).build().unwrap();
    for pause in [450, 450, 0] {
        client.get_order().id(1).send().await.unwrap();
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    client.get_order().id(1).send().await.unwrap_err();
    tokio::time::sleep(SECOND).await;
    match client.rate_limit().held_back() {
        // Four calls in 0.9 s, of which a refusal leaves 70 %, and the first rate is 5 % below that: 177.3 a minute.
        Some(HoldBack::LearnedRate { per_minute, .. }) => assert_eq!(per_minute, 178),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_that_ended_while_the_response_traveled_is_over_and_one_that_ended_long_before_is_an_invalid_header() {
    for (seconds, is_believed) in [(5, true), (-5, false)] {
        let used_up = move |_: &http::Request<bytes::Bytes>| {
            let reset = Script::new([]).wall().as_second() + seconds;
            order_with_remaining(0, &reset.to_string()).delay(20 * SECOND)
        };
        let script = Script::new([Step::with(used_up), order_with_remaining(9, "60")]);
        let client = builder(&script).with_max_wait(Duration::ZERO).build().unwrap();
        client.get_order().id(1).send().await.unwrap();
        let now = script.wall().checked_add(SignedDuration::from_secs(20)).unwrap();
        let reset_at = client.rate_limit().reset_at();
        assert_eq!(reset_at.is_some(), is_believed, "{seconds}");
        assert!(reset_at.is_none_or(|reset| reset.duration_since(now).abs() < SignedDuration::from_secs(2)));
        client.get_order().id(2).send().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_reports_nothing_is_called_at_the_rate_that_it_accepts() {
    let used = Mutex::new(std::collections::HashMap::<u64, u64>::new());
    let started = Instant::now();
    let script = Script::new([Step::with(move |_| {
        let mut used = used.lock().unwrap();
        let used = used.entry(started.elapsed().as_secs()).or_default();
        *used += 1;
        if *used > 10 { Step::status(429) } else { order() }.delay(SECOND / 20)
    })
    .repeat()]);
    let client = builder(&script).with_max_wait(DAY).build().unwrap();
    let accepted = std::sync::atomic::AtomicU64::new(0);
    let workers = join_all((0..64).map(|_| async {
        loop {
            client.get_order().id(1).send().await.unwrap();
            if started.elapsed() > 60 * SECOND {
                accepted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }));
    assert!(tokio::time::timeout(180 * SECOND, workers).await.is_err());
    let sent = arrivals(&script).iter().filter(|at| **at > 60.0).count() as u64;
    let accepted = accepted.into_inner();
    assert!(accepted >= 1080 && sent - accepted <= sent / 20, "{accepted} of 1200 accepted, {sent} sent");
    assert!(matches!(client.rate_limit().held_back(), Some(HoldBack::LearnedRate { .. })), "{:?}", client.rate_limit());
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_refused_calls_for_a_while_whatever_their_rate_is_called_freely_within_a_minute() {
    let started = Instant::now();
    let requests = std::sync::atomic::AtomicU64::new(0);
    let script = Script::new([Step::with(move |_| {
        let is_second = requests.fetch_add(1, Ordering::Relaxed) % 2 == 1;
        let is_refused = is_second && started.elapsed() < 180 * SECOND;
        if is_refused { Step::status(429) } else { order() }.delay(SECOND / 50)
    })
    .repeat()]);
    let client = builder(&script).with_max_wait(DAY).build().unwrap();
    let workers = join_all((0..20).map(|_| async {
        while started.elapsed() < 240 * SECOND {
            client.get_order().id(1).send().await.unwrap();
        }
    }));
    workers.await;
    let served = arrivals(&script).iter().filter(|at| (230.0..240.0).contains(*at)).count();
    assert!(served > 1000, "{served} calls in ten seconds, a minute after the vendor has recovered");
}

// L14

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_keeps_its_place_in_the_queue() {
    let script = Script::new([refused("10"), refused("10"), order().repeat()]);
    let client = builder(&script).build().unwrap();
    let calls = (0..4).map(|id| {
        let client = client.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(id)).await;
            client.get_order().id(i64::try_from(id).unwrap()).send().await.unwrap();
        }
    });
    join_all(calls).await;
    assert_eq!(requested_ids(&script)[..4], ["0", "0", "0", "1"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_that_has_no_time_left() {
    let script = Script::new([refused("10"), order().delay(SECOND).repeat()]);
    let client = builder(&script).build().unwrap();
    client.get_order().id(1).send().now_or_never();
    let timely = client.with_options(CallOptions::new().with_operation_timeout(Duration::from_millis(10_400)));
    let probe = client.get_order().id(1).send();
    let late = join_all((0..5).map(|_| timely.request(http::Method::POST, "orders").send::<serde_json::Value>()));
    let (probe, late) = tokio::join!(probe, late);
    probe.unwrap();
    for result in late {
        assert!(matches!(result, Err(Error::RateLimited(_))), "{result:?}");
    }
    assert!(script.requests().iter().all(|request| request.method == http::Method::GET));
}

#[tokio::test(start_paused = true)]
async fn a_call_whose_token_expires_in_the_queue_gives_its_place_back_unsent() {
    for window in [order_with_remaining(0, "10"), refused("10")] {
        let script = Script::new([window, order_with_remaining(1, "60").repeat()]);
        let client = builder(&script).with_max_wait(DAY).build().unwrap();
        let expires_at = script.wall().checked_add(SignedDuration::from_secs(5)).unwrap();
        let credentials = fixably::Credentials::bearer("t").with_expires_at(expires_at);
        let expiring = fixably::Client::builder(credentials).with_tenant("acme").with_transport(script.clone());
        let expiring = expiring.build().unwrap();
        client.with_options(CallOptions::new().with_max_wait(Duration::ZERO)).get_order().id(0).send().await.ok();
        let first = tokio::spawn(expiring.get_order().id(1).send());
        tokio::time::sleep(SECOND).await;
        let others = [2, 3].map(|id| tokio::spawn(client.get_order().id(id).send()));
        tokio::time::sleep(SECOND).await;
        assert_eq!(client.rate_limit().waiting(), 3);
        match first.await.unwrap() {
            Err(Error::Unauthorized(call)) => assert_eq!(call.attempts(), 0),
            other => panic!("{other:?}"),
        }
        for call in others {
            call.await.unwrap().unwrap();
        }
        assert_eq!(requested_ids(&script), ["0", "2", "3"]);
        let at = arrivals(&script);
        assert!(at[1] < 10.1 && at[2] < 11.1, "the next one asks at once: {at:?}");
        assert_eq!(client.rate_limit().in_flight(), 0);
    }
}

// L15

#[tokio::test(start_paused = true)]
async fn a_403_that_says_when_to_come_back_means_slow_down() {
    for slow_down in [
        Step::status(403).header("retry-after", "5"),
        Step::status(403).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "5"),
    ] {
        let (client, script) = client([slow_down, order()]);
        client.get_order().id(1).send().await.unwrap();
        assert!((5.0..5.1).contains(&arrivals(&script)[1]));
    }
    let (client, _script) = client([Step::status(403)]);
    assert!(matches!(client.get_order().id(1).send().await, Err(Error::Forbidden(_))));
}

#[tokio::test(start_paused = true)]
async fn a_cached_response_teaches_nothing() {
    let script = Script::new([order_with_remaining(0, "60").header("age", "600"), order().repeat()]);
    let client = builder(&script).build().unwrap();
    let started = Instant::now();
    for id in 1..=3 {
        client.get_order().id(id).send().await.unwrap();
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(client.rate_limit().remaining(), None);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_a_cache_repeats_is_waited_out() {
    let cached = || Step::status(429).header("age", "5").header("retry-after", "10");
    let script = Script::new([cached(), cached(), order()]);
    let client = builder(&script).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    let at = arrivals(&script);
    assert!(at[1] >= 10.0 && at[2] >= 20.0, "{at:?}");
}

#[tokio::test(start_paused = true)]
async fn numbers_beyond_all_bounds_are_no_reason_to_panic() {
    let huge = u64::MAX.to_string();
    for (name, value) in [
        ("ratelimit-policy", format!("\"a\";q=100;w={huge}")),
        ("ratelimit-policy", format!("\"a\";q={huge};w=60")),
        ("x-ratelimit-remaining", huge.clone()),
        ("x-ratelimit-limit", huge.clone()),
    ] {
        let step = || order().header("ratelimit", "\"a\";r=5;t=30").header(name, value.clone());
        let script = Script::new([step().header("x-ratelimit-reset", "30"), step(), step().repeat()]);
        let client = builder(&script).build().unwrap();
        for id in 0..3 {
            client.get_order().id(id).send().await.unwrap();
            tokio::time::advance(MINUTE).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_without_any_time_is_not_sent_even_if_there_is_room() {
    let (client, script) = client([order()]);
    client.get_order().id(1).send().await.unwrap();
    let client = client.with_options(CallOptions::new().with_operation_timeout(Duration::ZERO));
    client.get_order().id(2).send().await.unwrap_err();
    assert_eq!(requested_ids(&script), ["1"]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_not_polled_any_more_and_calls_that_were_dropped_lock_no_caller_out() {
    let script = Script::new([order_with_remaining(9, "3600"), order_with_remaining(5, "3600").delay(DAY).repeat()]);
    let client = builder(&script).with_attempt_timeout(2 * DAY).build().unwrap();
    client.get_order().id(0).send().await.unwrap();
    let mut unpolled = Box::pin(client.get_order().id(1).send());
    assert!((&mut unpolled).now_or_never().is_none());
    for id in 2..10 {
        assert!(client.get_order().id(id).send().now_or_never().is_none());
    }
    let next = client.get_order().id(10).send();
    assert!(tokio::time::timeout(20 * SECOND, next).await.is_err(), "it is sent, and takes a day");
    assert_eq!(requested_ids(&script).last().map(String::as_str), Some("10"));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_refused_again_and_again_makes_way_for_others() {
    let script = Script::new([Step::with(|request| match request.uri().path().ends_with("/1") {
        true => Step::status(429).header("retry-after", "1"),
        false => order(),
    })
    .repeat()]);
    let client = builder(&script).build().unwrap();
    let refused = client.get_order().id(1).send();
    let others = async {
        tokio::time::sleep(SECOND / 10).await;
        let started = Instant::now();
        join_all((2..10).map(|id| client.get_order().id(id).send())).await;
        started.elapsed()
    };
    tokio::select! {
        result = refused => panic!("{result:?}"),
        elapsed = others => assert!(elapsed < 10 * SECOND, "{elapsed:?}"),
    }
}
