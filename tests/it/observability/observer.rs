//! Observers: what they receive, and what they cannot break.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::{FutureExt as _, TryStreamExt as _};
use http::StatusCode;
use serde_json::json;
use servicebay::testing::{Script, Step};
use servicebay::{CallOutcome, CountingObserver, Event, EventKind, Observer, RetryPolicy, Wait, repairy};
use tokio::time::{sleep, timeout};
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::{booking, call, login_client, tokens};
use crate::support::{builder, order, refused};

/// Records each event as a line.
#[derive(Default)]
struct LineObserver(Mutex<Vec<String>>);

impl LineObserver {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for LineObserver {
    fn observe(&self, event: &Event<'_>) {
        let what = match event.kind {
            EventKind::Attempt { attempt, method, url, status, error_type, elapsed, .. } => {
                assert_eq!(error_type, status.filter(|status| !status.is_success()).as_ref().map(StatusCode::as_str));
                assert!(["GET", "POST"].contains(&method.as_str()) && url.scheme() == "https", "{method} {url}");
                format!("attempt {attempt}: {status:?} {elapsed:?}")
            }
            EventKind::Call { outcome, attempts, elapsed, .. } => {
                let outcome = match outcome {
                    CallOutcome::Failed(error) => error.kind(),
                    CallOutcome::Succeeded => "ok",
                    _ => "canceled",
                };
                format!("call: {outcome} {attempts} {}", elapsed.as_secs())
            }
            EventKind::RepairedBody { bytes, .. } => format!("repaired: {bytes} bytes"),
            EventKind::SkippedValues { count, values, .. } => format!("skipped {count}: {}", values[0]),
            EventKind::Refresh { failure, error_type, elapsed, .. } => {
                assert_eq!(failure.is_some(), error_type.is_some());
                format!("refresh: {failure:?} {elapsed:?}")
            }
            EventKind::RateLimited { retry_after, .. } => format!("rate limited: {retry_after:?}"),
            EventKind::Retry { attempt, status, .. } => format!("retry {attempt}: {status:?}"),
            EventKind::Wait { reason, waited, .. } => format!("wait: {reason} {}", waited.as_secs()),
            _ => "an unknown event".to_owned(),
        };
        let operation = event.operation.map_or("-", |operation| operation.id());
        let line = format!("{} {} {operation} {what}", event.vendor, event.tenant.unwrap_or("-"));
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_receives_all_events_in_order_with_vendor_tenant_and_operation() {
    let lines = Arc::new(LineObserver::default());
    let script = Script::new([
        refused("30"),
        Step::status(503).delay(Duration::from_secs(2)),
        Step::status(404).delay(Duration::from_secs(3)),
    ]);
    // Without random delays, all times are known.
    let policy = RetryPolicy::new().with_max_delay(Duration::ZERO);
    let client = builder(&script).with_retry(policy).with_observer(Arc::clone(&lines)).build().unwrap();
    client.get_order().id(1).send().await.unwrap_err();
    let reported = lines.lines();
    let expected = [
        "attempt 1: Some(429) 0ns",
        "rate limited: Some(30s)",
        "wait: limit 30",
        "attempt 2: Some(503) 2s",
        "retry 2: Some(503)",
        "wait: backoff 0",
        // The attempt after a 429 is a probe, and after a probe that failed the next one waits half a second.
        "wait: limit 0",
        "attempt 3: Some(404) 3s",
        "call: not_found 3 35",
    ];
    assert_eq!(reported, expected.map(|line| format!("fixably acme get_order {line}")));
}

#[tokio::test(start_paused = true)]
async fn one_counting_observer_counts_for_many_clients() {
    let counts = CountingObserver::new();
    let logins = AtomicU64::new(0);
    // The first login request fails, and is sent again.
    let token = move |_: &_| match logins.fetch_add(1, Ordering::Relaxed) {
        0 => Step::status(503),
        _ => tokens(3600),
    };
    let first = login_client(token, booking).with_observer(counts.clone()).build().unwrap();
    call(&first).await.unwrap();
    assert_eq!((counts.calls(), counts.attempts(), counts.retries(), counts.refreshes()), (1, 3, 1, 1));
    assert_eq!((counts.waits(Wait::Token), counts.waits(Wait::Limit)), (1, 0));
    assert_eq!(counts.waited(Wait::Token), counts.waited(Wait::Backoff));

    let script = Script::new([
        refused("30"),
        order().header("x-ratelimit-remaining", "50").header("x-ratelimit-reset", "60"),
        Step::status(404),
    ]);
    let second = builder(&script).with_observer(counts.clone()).build().unwrap();
    second.get_order().id(1).send().await.unwrap();
    second.get_order().id(2).send().await.unwrap_err();
    assert_eq!((counts.calls(), counts.failed_calls(), counts.canceled_calls()), (3, 1, 0));
    assert_eq!((counts.attempts(), counts.retries(), counts.rate_limited()), (6, 1, 1));
    assert_eq!((counts.waits(Wait::Limit), counts.waited(Wait::Limit).as_secs()), (1, 30));
    assert_eq!(counts.failed_refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_was_left_out_of_a_response_is_reported_to_the_observer_and_by_the_response() {
    let (counts, lines) = (CountingObserver::new(), Arc::new(LineObserver::default()));
    let body = r#"{"id": 1, "reference": [1], "lines": {"totalItems": 3, "items": [{"id": 1}, 7, {"price": {}}]}}"#;
    let nan = r#"{"id": 1, "total": NaN, "isClosed": "maybe"}"#;
    let steps = [body, nan, r#"{"id": 1}"#].map(|body| Step::body(200, "application/json", body));
    let script = Script::new(steps);
    let client = builder(&script).with_observer(counts.clone()).build().unwrap();

    // A value that this thread skipped outside of a call does not count.
    serde_json::from_str::<servicebay::fixably::types::Order>(r#"{"reference": []}"#).unwrap();
    let order = client.get_order().id(1).send().await.unwrap();
    assert_eq!((order.skipped_count(), order.is_repaired()), (3, false));
    let skipped: Vec<_> = order.skipped_values().iter().map(|value| (value.field(), value.found())).collect();
    assert_eq!(skipped, [(Some("Order.reference"), "list"), (None, "number"), (Some("OrderLine.price"), "object")]);
    assert_eq!((counts.skipped_values(), counts.repaired_bodies()), (3, 0));

    let order = client.get_order().id(1).send().await.unwrap();
    assert_eq!((order.skipped_count(), order.is_repaired()), (1, true));
    assert_eq!((counts.skipped_values(), counts.repaired_bodies()), (4, 1));

    let order = client.get_order().id(1).send().await.unwrap();
    assert_eq!((order.skipped_count(), order.skipped_values().len(), order.is_repaired()), (0, 0, false));
    assert_eq!((counts.skipped_values(), counts.repaired_bodies()), (4, 1));

    let script = Script::new([Step::body(200, "application/json", nan)]);
    let client = builder(&script).with_observer(Arc::clone(&lines)).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    let reported = lines.lines();
    assert_eq!(reported[1], format!("fixably acme get_order repaired: {} bytes", nan.len()));
    assert!(
        reported[2].starts_with("fixably acme get_order skipped 1: Order.isClosed: text in place of"),
        "{reported:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn values_are_counted_however_many_and_the_first_sixteen_described() {
    let lines = vec![json!({"price": []}); 100];
    let (client, _script) = crate::support::client([Step::json(200, json!({"id": 1, "lines": {"items": lines}}))]);
    let order = client.get_order().id(1).send().await.unwrap();
    assert_eq!((order.skipped_count(), order.skipped_values().len()), (100, 16));
}

#[tokio::test(start_paused = true)]
async fn a_list_that_changed_or_ended_early_is_reported_to_the_observer() {
    let counts = CountingObserver::new();
    let page = |offset, total, ids: &[u32]| {
        let items: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
        Step::json(200, json!({"limit": 2, "offset": offset, "totalItems": total, "items": items}))
    };
    let script = Script::new([page(0, 3, &[1, 2]), page(2, 4, &[2, 3])]);
    let client = builder(&script).with_observer(counts.clone()).build().unwrap();
    let mut items = client.list_queues().limit(2).items();
    while items.try_next().await.unwrap().is_some() {}
    assert_eq!((counts.list_changes(), counts.maybe_missed_items()), (1, 0));

    let steps = [page(0, 9, &[1, 2])].into_iter().chain((1..5).map(|nth| page(2 * nth, 9, &[])));
    let client = builder(&Script::new(steps)).with_observer(counts.clone()).build().unwrap();
    let pages: Vec<_> = client.list_queues().limit(2).pages().try_collect().await.unwrap();
    assert_eq!(pages.len(), 5);
    assert_eq!((counts.list_changes(), counts.maybe_missed_items()), (2, 7));
}

#[tokio::test(start_paused = true)]
async fn a_background_refresh_is_reported_although_no_call_waits_for_it() {
    let (counts, is_failing) = (CountingObserver::new(), Arc::new(AtomicBool::new(false)));
    let failing = Arc::clone(&is_failing);
    let token = move |_: &_| match failing.load(Ordering::Relaxed) {
        true => Step::json(500, json!({})),
        false => tokens(1000),
    };
    let client = login_client(token, booking).with_observer(counts.clone()).build().unwrap();
    for (refreshes, failed) in [(1, 0), (2, 0), (2, 1)] {
        is_failing.store(failed > 0, Ordering::Relaxed);
        call(&client).await.unwrap();
        // Long enough for the refresh with its retries, and into the last fifth of the token's lifetime.
        sleep(Duration::from_secs(900)).await;
        assert_eq!((counts.refreshes(), counts.failed_refreshes()), (refreshes, failed));
    }
    assert_eq!((counts.calls(), counts.waits(Wait::Token)), (3, 1), "only the first call waited");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_counted_as_cancelled() {
    let counts = CountingObserver::new();
    let script = Script::new([order().delay(Duration::from_secs(5))]);
    let client = builder(&script).with_observer(counts.clone()).build().unwrap();
    assert!(client.get_order().id(1).send().now_or_never().is_none());
    assert_eq!((counts.calls(), counts.canceled_calls(), counts.failed_calls(), counts.attempts()), (1, 1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_its_caller_gives_up_is_reported_with_its_duration() {
    let counts = CountingObserver::new();
    let client = builder(&Script::new([refused("60")])).with_observer(counts.clone()).build().unwrap();
    timeout(Duration::from_secs(10), client.get_order().id(1).send()).await.unwrap_err();
    assert_eq!((counts.waits(Wait::Limit), counts.waited(Wait::Limit).as_secs()), (1, 10));
    assert_eq!((counts.canceled_calls(), client.rate_limit().waiting()), (1, 0));
}

/// Counts events, and panics at each.
#[derive(Default)]
struct PanickingObserver(AtomicU64);

impl Observer for PanickingObserver {
    fn observe(&self, event: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("an observer panics at {:?}", event.kind);
    }
}

#[tokio::test(start_paused = true)]
async fn a_panicking_observer_breaks_no_call_no_refresh_and_no_client() {
    let observer = Arc::new(PanickingObserver::default());
    let client = login_client(|_| tokens(100), booking).with_observer(Arc::clone(&observer)).build().unwrap();
    for _ in 0..3 {
        call(&client).await.unwrap();
        sleep(Duration::from_secs(85)).await;
    }
    drop(call(&client).boxed().now_or_never());
    call(&client).await.unwrap();
    assert_eq!((client.rate_limit().in_flight(), client.rate_limit().waiting()), (0, 0));
    assert!(client.auth_status().last_failure().is_none());
    let events = observer.0.load(Ordering::Relaxed);
    assert!(events >= 3 * 2 + 2, "it keeps receiving events: {events}");
}

/// Reads the client's state at every event.
#[derive(Clone, Default)]
struct StateReader(Arc<OnceLock<repairy::Client>>);

impl StateReader {
    fn read_state(&self) {
        if let Some(client) = self.0.get() {
            let _ = (client.auth_status(), client.rate_limit());
        }
    }
}

impl Observer for StateReader {
    fn observe(&self, _: &Event<'_>) {
        self.read_state();
    }
}

impl<S: Subscriber> Layer<S> for StateReader {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.read_state();
    }

    fn on_follows_from(&self, _: &Id, _: &Id, _: Context<'_, S>) {
        self.read_state();
    }

    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        self.read_state();
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_may_read_the_clients_state() {
    let reader = StateReader::default();
    let reject = |_: &_| Step::json(400, json!({}));
    let client = login_client(reject, booking).with_observer(reader.clone()).build().unwrap();
    reader.0.set(client.clone()).unwrap();
    call(&client).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_may_read_the_clients_state() {
    let reader = StateReader::default();
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(reader.clone()));
    let client = login_client(|_| tokens(100), booking).build().unwrap();
    reader.0.set(client.clone()).unwrap();
    call(&client).await.unwrap();
    // In the last fifth of the token's lifetime, a call starts a refresh and goes on.
    sleep(Duration::from_secs(88)).await;
    call(&client).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(client.auth_status().generation(), 2);
}
