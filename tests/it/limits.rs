//! The tenant's limit: rows L1 to L10 of the contract, one by one. All of them together, with many who call, are in
//! `pacing.rs`.

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt as _, StreamExt as _, stream};
use jiff::{SignedDuration, Timestamp};
use servicebay::testing::fixably::{MockServer, TokenKind};
use servicebay::testing::{Fault, Script, Step, Transport as _};
use servicebay::{CallOptions, Error, Priority, RateLimitPolicy, fentu, fixably};
use tokio::time::Instant;

use crate::support::{builder, client, order, refused};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A tenant whose window takes so many calls a minute.
fn tenant(limit: u32) -> (MockServer, fixably::Client) {
    let tenant = MockServer::builder().with_rate_limit(limit, MINUTE).in_memory();
    let client = tenant.client().unwrap();
    (tenant, client)
}

/// An order, with what is left of a window of 100 calls.
fn left(remaining: u64, reset: &str) -> Step {
    order()
        .header("x-ratelimit-limit", "100")
        .header("x-ratelimit-remaining", remaining.to_string())
        .header("x-ratelimit-reset", reset)
}

/// The ids of the orders that were asked for, in the order in which they were.
fn asked_for(script: &Script) -> Vec<String> {
    script.requests().iter().map(|request| request.uri.path().rsplit('/').next().unwrap().to_owned()).collect()
}

/// Seconds from the first request to each.
fn arrivals(script: &Script) -> Vec<f64> {
    let requests = script.requests();
    requests.iter().map(|request| (request.at - requests[0].at).as_secs_f64()).collect()
}

// L1

#[tokio::test(start_paused = true)]
async fn clients_of_one_tenant_share_one_budget() {
    let script = Script::new([refused("10"), order(), order().repeat()]);
    let one = builder(&script).build().unwrap();
    let other = builder(&script).with_attempt_timeout(SECOND).build().unwrap();
    let begun = Instant::now();
    let (first, _) = tokio::join!(one.get_order().id(1).send(), async {
        tokio::time::sleep(SECOND).await;
        other.get_order().id(2).send().await.unwrap();
    });
    first.unwrap();
    assert!(begun.elapsed() >= 10 * SECOND, "{:?}", begun.elapsed());
    assert_eq!(script.requests().len(), 3, "only the first call was refused");
}

#[tokio::test(start_paused = true)]
async fn another_tenant_is_not_held_back() {
    let script = Script::new([refused("60"), order().repeat()]);
    let acme = builder(&script).with_max_wait(Duration::ZERO).build().unwrap();
    let beta = builder(&script).with_tenant("beta").build().unwrap();
    assert!(acme.get_order().id(1).send().await.is_err());
    let begun = Instant::now();
    beta.get_order().id(1).send().await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

// L2

#[tokio::test(start_paused = true)]
async fn every_answer_teaches_good_or_bad() {
    let told = |step: Step, remaining: &str| {
        step.header("x-ratelimit-limit", "100")
            .header("x-ratelimit-remaining", remaining)
            .header("x-ratelimit-reset", "30")
    };
    let (client, script) = client([told(order(), "42"), told(Step::status(404), "41")]);
    let order = client.get_order().id(1).send().await.unwrap();
    assert_eq!((order.rate_limit().limit(), order.rate_limit().remaining()), (Some(100), Some(42)));
    let expected = script.wall().checked_add(SignedDuration::from_secs(30)).unwrap();
    let told = order.rate_limit().reset_at().unwrap();
    assert!(told.duration_since(expected).abs() < SignedDuration::from_secs(5), "{told} {expected}");

    client.get_order().id(2).send().await.unwrap_err();
    assert_eq!(client.rate_limit().remaining(), Some(41));
}

// L3

#[tokio::test(start_paused = true)]
async fn the_first_call_asks_what_is_left_and_the_others_wait_for_its_answer() {
    let script = Script::new([left(3, "60").delay(SECOND), left(0, "60").delay(SECOND).repeat()]);
    let client = builder(&script).build().unwrap();
    let calls = join_all((0..4).map(|id| client.get_order().id(id).send()));
    assert!(calls.await.iter().all(Result::is_ok));
    assert_eq!(arrivals(&script), [0.0, 1.0, 1.0, 1.0]);
}

#[tokio::test(start_paused = true)]
async fn a_first_answer_that_says_nothing_of_a_limit_holds_nobody_any_more() {
    let script = Script::new([order().delay(SECOND).repeat()]);
    let client = builder(&script).build().unwrap();
    for round in [2, 1] {
        let begun = Instant::now();
        join_all((0..500).map(|id| client.get_order().id(id).send())).await;
        assert_eq!(begun.elapsed(), round * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_is_not_known_to_tell_its_limit_is_not_asked_first() {
    let script = Script::new([Step::json(200, serde_json::json!({"data": {}})).delay(SECOND).repeat()]);
    let client =
        fentu::Client::builder(fentu::Credentials::api_key("key")).with_transport(script.clone()).build().unwrap();
    join_all((0..500).map(|_| client.request(http::Method::GET, "customers").send::<serde_json::Value>())).await;
    assert!(arrivals(&script).iter().all(|at| *at == 0.0));
}

#[tokio::test(start_paused = true)]
async fn who_may_not_wait_is_not_turned_away_before_anything_is_known() {
    let script = Script::new([left(9, "60").delay(SECOND).repeat()]);
    let client = builder(&script).with_max_wait(Duration::ZERO).build().unwrap();
    let answers = join_all((0..5).map(|id| client.get_order().id(id).send())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
}

#[tokio::test(start_paused = true)]
async fn a_first_call_that_fails_hands_over_to_the_next() {
    let script = Script::new([Step::connect_error(), left(9, "60").delay(SECOND).repeat()]);
    let client = builder(&script).build().unwrap();
    let answers = join_all((0..5).map(|id| client.get_order().id(id).send())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    let at = arrivals(&script);
    assert!(at[1] < 0.1 && at[2..].iter().all(|at| *at >= 1.0), "{at:?}");
}

// L4

#[tokio::test(start_paused = true)]
async fn a_process_alone_on_its_tenant_uses_all_of_every_window_and_sees_no_429() {
    let (tenant, client) = tenant(10);
    let client = client.with_options(CallOptions::new().with_max_wait(DAY));
    let begun = Instant::now();
    let answers = join_all((0..95).map(|_| client.get_order().id(20000010).send())).await;
    assert!(answers.iter().all(Result::is_ok));
    let elapsed = begun.elapsed().as_secs();
    assert!((9 * 59..=9 * 60).contains(&elapsed), "{elapsed}");
    assert_eq!((tenant.counters().refused(), tenant.counters().requests()), (0, 95));
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_count_against_what_is_left() {
    let script = Script::new([left(2, "60"), left(1, "60").delay(10 * SECOND), left(0, "60").delay(SECOND).repeat()]);
    let client = builder(&script).with_max_wait(DAY).build().unwrap();
    client.get_order().id(0).send().await.unwrap();
    join_all((0..3).map(|id| client.get_order().id(id).send())).await;
    let at = arrivals(&script);
    assert!(at[2] < 0.1 && (59.9..60.1).contains(&at[3]), "two were left, and the third waits: {at:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_window_that_was_spent_the_others_follow_the_first_at_once() {
    let (tenant, client) = tenant(20);
    join_all((0..20).map(|_| client.get_order().id(20000010).send())).await;
    tenant.fault(Fault::delay(SECOND).on("GET", "/orders/{id}").always());
    let begun = Instant::now();
    join_all((0..20).map(|_| client.get_order().id(20000010).send())).await;
    let took = begun.elapsed().as_secs_f64();
    assert!(took <= 62.1, "the reset, and two round trips: {took}");
    assert_eq!(tenant.counters().refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_call_leaves_no_trace_on_a_budget_that_was_not_spent() {
    let script = Script::new([left(50, "60"), refused("5"), left(40, "60").repeat()]);
    let client = builder(&script).build().unwrap();
    for id in 0..3 {
        client.get_order().id(id).send().await.unwrap();
    }
    let begun = Instant::now();
    join_all((0..30).map(|id| client.get_order().id(id).send())).await;
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
}

// L5

#[tokio::test(start_paused = true)]
async fn a_429_holds_everybody_until_the_reset_then_one_probes_and_the_rest_follow_spread() {
    let slow = |request: &http::Request<bytes::Bytes>| {
        assert_eq!(request.method(), "GET");
        order().delay(SECOND / 4)
    };
    let script = Script::new([refused("10"), Step::with(slow).repeat()]);
    let client = builder(&script).build().unwrap();
    let first = tokio::spawn(client.get_order().id(0).send());
    tokio::time::sleep(SECOND).await;
    let calls = (1..=20).map(|id| client.get_order().id(id).send());
    let answers = join_all(calls).await;
    first.await.unwrap().unwrap();
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");

    let at = arrivals(&script);
    assert_eq!(at.len(), 22, "nobody but the first was refused");
    assert!((10.0..10.1).contains(&at[1]), "the probe goes at the reset: {at:?}");
    assert!(at[2] >= at[1] + 0.25, "nobody goes before the probe is answered: {at:?}");
    assert!(at[21] - at[2] > 0.5 && at[21] - at[2] <= 1.1, "the rest is spread over a second: {at:?}");
    let path = |index: usize| script.requests()[index].uri.path().to_owned();
    assert_eq!(path(1), "/api/v3/orders/0", "first come, first served");
}

#[tokio::test(start_paused = true)]
async fn a_refused_probe_holds_everybody_again() {
    let script = Script::new([refused("10"), refused("20"), order().repeat()]);
    let client = builder(&script).build().unwrap();
    let answers = join_all((0..10).map(|id| {
        let client = client.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(u64::try_from(id).unwrap_or(0))).await;
            client.get_order().id(id).send().await
        }
    }));
    assert!(answers.await.iter().all(Result::is_ok));
    let at = arrivals(&script);
    assert!((9.9..10.1).contains(&at[1]) && at[2] >= 30.0, "{at:?}");
    assert_eq!(at.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_429_of_a_write_is_waited_out_too_for_the_vendor_did_not_take_it() {
    let (client, script) = client([refused("5"), Step::json(201, serde_json::json!({"id": 9}))]);
    let body = fixably::types::OrderCreate::new().reference("R-1");
    let created = client.create_order().body(body).send().await.unwrap();
    assert_eq!(created.id(), Some(9.into()));
    assert_eq!(arrivals(&script).len(), 2);
}

#[tokio::test(start_paused = true)]
async fn limit_waits_cost_no_attempts() {
    let mut steps = vec![refused("5"); 10];
    steps.push(order());
    let (client, script) = client(steps);
    client.get_order().id(1).send().await.unwrap();
    assert_eq!(script.requests().len(), 11);
}

// L6

#[tokio::test(start_paused = true)]
async fn every_form_of_the_reset_waits_until_the_same_moment() {
    let forms: [fn(Timestamp) -> String; 6] = [
        |reset| reset.as_second().to_string(),
        |reset| reset.as_millisecond().to_string(),
        |_| "30".to_owned(),
        |reset| reset.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string(),
        |reset| reset.to_string(),
        |reset| format!("{}.000", reset.as_second()),
    ];
    for form in forms {
        let (client, script) = client([
            Step::with(move |_| {
                // The vendor's clock is a day ahead of ours, and says so.
                let date: Timestamp = "2031-05-06T07:08:09Z".parse().unwrap();
                let reset = date.checked_add(SignedDuration::from_secs(30)).unwrap();
                refused(&form(reset)).header("date", date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string())
            }),
            order(),
        ]);
        client.get_order().id(1).send().await.unwrap();
        let at = arrivals(&script);
        assert!((30.0..30.1).contains(&at[1]), "{at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_nonsense_reset_is_backed_off_from_and_never_slept_out() {
    for reset in ["banana", "-1", "99999999999999", "3313526400", "", "0", "946684800", "\u{fc}\u{fc}"] {
        let (client, script) = client([refused(reset), refused(reset), order()]);
        client.get_order().id(1).send().await.unwrap();
        let at = arrivals(&script);
        assert!(at[2] < 3.0, "{reset}: {at:?}");
        assert!(at[1] >= 0.5 && at[2] - at[1] >= 0.99, "it backs off all the same: {reset}: {at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_reset_beyond_the_vendors_window_is_taken_for_a_mistake() {
    let script = Script::new([refused("7200"), order()]);
    let policy = RateLimitPolicy::new().with_max_window(Duration::from_secs(3600));
    let client = builder(&script).with_rate_limit(policy).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    assert!(arrivals(&script)[1] < 1.0);
}

#[tokio::test(start_paused = true)]
async fn retry_after_wins_over_the_reset_and_ietf_headers_stand_in_for_it() {
    let (client, script) = client([refused("60").header("retry-after", "3"), order()]);
    client.get_order().id(1).send().await.unwrap();
    assert!((3.0..3.1).contains(&arrivals(&script)[1]));

    let (client, script) = self::client([Step::status(429).header("ratelimit", "\"default\";r=0;t=7"), order()]);
    client.get_order().id(1).send().await.unwrap();
    assert!((7.0..7.1).contains(&arrivals(&script)[1]));
}

// L7

#[tokio::test(start_paused = true)]
async fn who_waits_goes_in_order_of_priority_and_then_of_coming() {
    let script = Script::new([left(0, "60"), left(50, "60").repeat()]);
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
    let told = async {
        tokio::time::sleep(SECOND).await;
        [Priority::Interactive, Priority::Normal, Priority::Bulk].map(|lane| client.rate_limit().waiting_at(lane))
    };
    let (answers, told) = tokio::join!(join_all(waiting), told);
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(told, [2, 2, 2]);
    // All five after the probe go at once; which of them the runtime polls first is its own affair.
    assert_eq!(asked_for(&script)[..2], ["0", "4"], "the highest asks for the others");
}

#[tokio::test(start_paused = true)]
async fn a_window_too_small_for_all_is_for_the_higher_priority() {
    let (tenant, client) = tenant(10);
    let bulk = client.with_options(CallOptions::new().with_priority(Priority::Bulk).with_max_wait(DAY));
    let counter = client.with_options(CallOptions::new().with_priority(Priority::Interactive));
    let export = tokio::spawn(async move { join_all((0..40).map(|_| bulk.get_order().id(20000010).send())).await });
    tokio::time::sleep(SECOND).await;
    let begun = Instant::now();
    let answers = join_all((0..10).map(|_| counter.get_order().id(20000011).send())).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(begun.elapsed() <= 2 * MINUTE, "thirty were before them: {:?}", begun.elapsed());
    assert!(export.await.unwrap().iter().all(Result::is_ok), "and nobody starves");
    assert_eq!(tenant.counters().refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn every_eighth_of_those_who_waited_is_of_the_lowest_priority() {
    let script = Script::new([left(0, "60"), left(16, "60"), left(0, "60").delay(SECOND).repeat()]);
    let policy = RateLimitPolicy::new().with_bulk_reserve(0.0);
    let client = builder(&script).with_rate_limit(policy).with_max_wait(70 * SECOND).build().unwrap();
    client.get_order().id(0).send().await.unwrap();
    let calls = (1..=60).map(|id| {
        let priority = if id > 50 { Priority::Bulk } else { Priority::Interactive };
        let client = client.with_options(CallOptions::new().with_priority(priority));
        async move { client.get_order().id(id).send().await }
    });
    join_all(calls).await;
    let bulk = asked_for(&script).iter().filter(|id| id.parse::<i64>().unwrap() > 50).count();
    assert_eq!((script.requests().len(), bulk), (18, 2));
}

#[tokio::test(start_paused = true)]
async fn bulk_leaves_a_fifth_of_the_window_to_others_or_what_the_policy_says() {
    for (policy, reserve) in [
        (RateLimitPolicy::new(), 20),
        (RateLimitPolicy::new().with_bulk_reserve(0.5), 50),
        (RateLimitPolicy::new().with_bulk_reserve(-1.0), 0),
        (RateLimitPolicy::new().with_bulk_reserve(f64::NAN), 0),
        (RateLimitPolicy::new().with_bulk_reserve(7.0), 90),
    ] {
        let (tenant, _) = tenant(100);
        let client = tenant
            .client_builder(TokenKind::AdminAll)
            .with_rate_limit(policy)
            .with_priority(Priority::Bulk)
            .build()
            .unwrap();
        let calls = (0..150).map(|_| client.get_order().id(20000010).send());
        let _ = tokio::time::timeout(SECOND, join_all(calls)).await;
        assert_eq!(tenant.remaining(), Some(reserve));
        let normal = client.with_options(CallOptions::new().with_priority(Priority::Normal));
        assert_eq!(normal.get_order().id(20000010).send().await.is_ok(), reserve > 0 || tenant.remaining() > Some(0));
    }
}

// L8

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_max_wait_fails_at_once_and_says_when_to_come_back() {
    let script = Script::new([refused("300")]);
    let client = builder(&script).build().unwrap();
    let begun = Instant::now();
    let limited = match client.get_order().id(1).send().await {
        Err(Error::RateLimited(limited)) => limited,
        other => panic!("{other:?}"),
    };
    assert_eq!(begun.elapsed(), Duration::ZERO, "nothing was slept");
    assert_eq!((limited.remaining(), limited.attempts()), (Some(0), 1));
    assert_eq!(limited.message(), Some("Too many requests"));
    let ahead = limited.resume_at().duration_since(script.wall());
    assert!((298..=302).contains(&ahead.as_secs()), "{ahead}");

    // The next caller is told without asking the vendor.
    match client.get_order().id(2).send().await {
        Err(Error::RateLimited(next)) => assert_eq!((next.attempts(), next.status()), (0, None)),
        other => panic!("{other:?}"),
    }
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn so_many_wait_as_can_be_served_and_the_others_are_told_at_once_when_to_come_back() {
    let (tenant, client) = tenant(10);
    let begun = Instant::now();
    let answers = join_all((0..45).map(|_| async {
        let answer = client.get_order().id(20000010).send().await;
        (answer, begun.elapsed())
    }));
    let (served, told): (Vec<_>, Vec<_>) = answers.await.into_iter().partition(|(answer, _)| answer.is_ok());
    assert!((20..=30).contains(&served.len()), "three windows at most begin within two minutes: {}", served.len());
    for (answer, elapsed) in &told {
        assert!(*elapsed < SECOND, "it waited {elapsed:?} and failed");
        match answer {
            Err(Error::RateLimited(limited)) => assert!(limited.resume_at() > tenant.now(), "{limited:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_beyond_the_deadline_fails_at_once() {
    let (client, _script) = client([refused("60")]);
    let client = client.with_options(CallOptions::new().with_operation_timeout(10 * SECOND));
    let begun = Instant::now();
    assert!(matches!(client.get_order().id(1).send().await, Err(Error::RateLimited(_))));
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn limit_waits_and_backoff_share_one_allowance() {
    // 80 s are waited for the limit; the next 50 s do not fit into 120 s any more.
    let (client, script) = client([refused("80"), refused("50")]);
    let begun = Instant::now();
    assert!(matches!(client.get_order().id(1).send().await, Err(Error::RateLimited(_))));
    assert!((80.0..81.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    assert_eq!(script.requests().len(), 2);

    let (client, script) = self::client([refused("100"), Step::status(503).header("retry-after", "30")]);
    let begun = Instant::now();
    assert!(matches!(client.get_order().id(1).send().await, Err(Error::Server(_))));
    assert!((100.0..101.0).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_probe_that_is_refused_for_too_long_is_told_at_once() {
    let script = Script::new([refused("10"), refused("1000")]);
    let client = builder(&script).build().unwrap();
    let begun = Instant::now();
    let answers = join_all((0..5).map(|id| {
        let client = client.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(u64::try_from(id).unwrap_or(0))).await;
            client.get_order().id(id).send().await
        }
    }));
    let answers = answers.await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Error::RateLimited(_)))), "{answers:?}");
    assert!((9.9..10.1).contains(&begun.elapsed().as_secs_f64()), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_max_wait_of_hours_waits_for_hours() {
    let script = Script::new([refused("7200"), order()]);
    let client = builder(&script).with_max_wait(Duration::from_secs(3 * 3600)).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    assert!((7200.0..7201.0).contains(&arrivals(&script)[1]));
}

#[tokio::test(start_paused = true)]
async fn durations_without_end_are_taken_as_such() {
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
async fn a_cancelled_caller_gives_its_permit_back() {
    let (client, _script) = client([order().delay(60 * SECOND), order()]);
    let call = client.get_order().id(1).send();
    assert!(tokio::time::timeout(SECOND, call).await.is_err());
    assert_eq!(client.rate_limit().in_flight(), 0);
    client.get_order().id(2).send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_probe_hands_over_to_the_next_in_line() {
    let steps = [refused("10"), order().delay(60 * SECOND), order().repeat()];
    let script = Script::new(steps);
    let client = builder(&script).build().unwrap();
    let probe = tokio::spawn(client.get_order().id(0).send());
    tokio::time::sleep(SECOND).await;
    let next = tokio::spawn(client.get_order().id(1).send());
    tokio::time::sleep(10 * SECOND).await;
    assert_eq!(script.requests().len(), 2, "the probe is under way");
    probe.abort();
    next.await.unwrap().unwrap();
    assert_eq!(script.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn cancelled_waiters_leave_the_queue() {
    let script = Script::new([refused("10"), order().repeat()]);
    let client = builder(&script).build().unwrap();
    let waiters: Vec<_> = (0..50).map(|id| tokio::spawn(client.get_order().id(id).send())).collect();
    // All fifty are refused or queued within the first second; the vendor sees the first, which closes the gate.
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
async fn a_cancelled_waiter_makes_way_for_the_next() {
    let (tenant, client) = tenant(10);
    let client = client.with_options(CallOptions::new().with_max_wait(DAY));
    join_all((0..10).map(|_| client.get_order().id(20000010).send())).await;
    let waiters: Vec<_> = (0..30).map(|_| tokio::spawn(client.get_order().id(20000010).send())).collect();
    tokio::time::sleep(SECOND).await;
    for waiter in &waiters[..20] {
        waiter.abort();
    }
    let begun = Instant::now();
    for waiter in waiters.into_iter().skip(20) {
        waiter.await.unwrap().unwrap();
    }
    assert!(begun.elapsed() <= MINUTE, "{:?}", begun.elapsed());
    assert_eq!(tenant.counters().refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_nobody_polls_does_not_take_the_window_from_the_others() {
    let (tenant, client) = tenant(10);
    let client = client.with_options(CallOptions::new().with_max_wait(DAY));
    join_all((0..10).map(|_| client.get_order().id(20000010).send())).await;
    let mut asleep: Vec<_> = (0..10).map(|_| Box::pin(client.get_order().id(20000010).send())).collect();
    assert!(asleep.iter_mut().all(|call| call.now_or_never().is_none()));
    let begun = Instant::now();
    let answers = join_all((0..9).map(|_| client.get_order().id(20000010).send())).await;
    assert!(answers.iter().all(Result::is_ok));
    assert!(begun.elapsed() <= MINUTE + 3 * SECOND, "{:?}", begun.elapsed());
    assert!(join_all(asleep).await.iter().all(Result::is_ok));
    assert_eq!(tenant.counters().refused(), 0);
}

#[tokio::test(start_paused = true)]
async fn workers_are_back_at_full_speed_once_the_spread_is_over() {
    let script = Script::new([refused("10"), order().delay(SECOND / 50).repeat()]);
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
    let begun = Instant::now();
    join_all(workers).await;
    // 10 s closed, 1 s spread, 100 calls of 20 ms each.
    assert!(begun.elapsed() < 15 * SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_nobody_polls_costs_the_others_a_second_once() {
    let script = Script::new([refused("10"), order().delay(SECOND / 10).repeat()]);
    let client = builder(&script).build().unwrap();
    let mut asleep = Box::pin(client.get_order().id(0).send());
    assert!((&mut asleep).now_or_never().is_none());
    let begun = Instant::now();
    let answers = join_all((1..=20).map(|id| client.get_order().id(id).send())).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert!(begun.elapsed() < 14 * SECOND, "{:?}", begun.elapsed());
    asleep.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_of_buffered_calls_does_not_slow_the_tenant() {
    let script = Script::new([refused("10"), order().delay(SECOND / 20).repeat()]);
    let client = builder(&script).build().unwrap();
    let calls = stream::iter(0..64).map(|id| client.get_order().id(id).send()).buffer_unordered(8);
    let slow = calls.for_each(|_| tokio::time::sleep(30 * SECOND));
    let others = async {
        tokio::time::sleep(20 * SECOND).await;
        let begun = Instant::now();
        for _ in 0..20 {
            client.get_order().id(7).send().await.unwrap();
        }
        begun.elapsed()
    };
    tokio::select! {
        () = slow => unreachable!("it takes half an hour"),
        elapsed = others => assert!(elapsed < 5 * SECOND, "{elapsed:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_who_waits_for_the_reset_fails_for_the_time_the_probe_takes() {
    let script = Script::new([refused("119.9"), order().delay(SECOND).repeat()]);
    let client = builder(&script).build().unwrap();
    let answers = join_all((0..10).map(|id| client.get_order().id(id).send())).await;
    let begun = Instant::now();
    for answer in answers {
        assert!(answer.is_ok(), "waited {:?} and failed: {answer:?}", begun.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_window_without_end_is_taken_as_such() {
    let script = Script::new([Step::status(429).header("ratelimit", "\"a\";r=0;t=18446744073709551615"), order()]);
    let policy = RateLimitPolicy::new().with_max_window(Duration::MAX);
    let client = builder(&script).with_rate_limit(policy).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    assert!(arrivals(&script)[1] < 1.0, "no vendor has a window of more than a year");
}

// L10

#[tokio::test(start_paused = true)]
async fn what_others_spend_is_seen_and_left_to_them() {
    let (tenant, client) = tenant(120);
    tenant.fault(Fault::delay(SECOND / 5).on("GET", "/orders/{id}").always());
    let others = async {
        loop {
            tokio::time::sleep(SECOND).await;
            tenant.add_external_requests(1);
        }
    };
    let client = client.with_options(CallOptions::new().with_max_wait(DAY));
    let workers = join_all((0..8).map(|_| async {
        for _ in 0..60 {
            client.get_order().id(20000010).send().await.unwrap();
        }
    }));
    tokio::select! {
        () = others => unreachable!("they go on"),
        _ = workers => {}
    }
    let refused = tenant.counters().refused();
    assert!(refused <= 3, "{refused} of {}", tenant.counters().requests());
    let seen = client.rate_limit().others_per_minute();
    assert!((20..=120).contains(&seen), "there are sixty: {seen}");
}
