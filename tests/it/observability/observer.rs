//! Observers: what they are told, and what they cannot break.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;
use servicebay::testing::{Script, Step};
use servicebay::{CountingObserver, Event, EventKind, Observer, Outcome, RetryPolicy, Wait, repairy};
use tokio::time::{sleep, timeout};
use tracing::Subscriber;
use tracing::span::{Attributes, Id};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

use super::{booking, call, granted, pair};
use crate::support::{builder, order, refused};

/// Writes down what it is told, a line each.
#[derive(Default)]
struct Diary(Mutex<Vec<String>>);

impl Diary {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Observer for Diary {
    fn observe(&self, event: &Event<'_>) {
        let what = match event.kind {
            EventKind::Attempt { attempt, status, elapsed, .. } => format!("attempt {attempt}: {status:?} {elapsed:?}"),
            EventKind::Call { outcome, attempts, elapsed, .. } => {
                let outcome = match outcome {
                    Outcome::Failed(error) => error.kind(),
                    Outcome::Succeeded => "ok",
                    _ => "cancelled",
                };
                format!("call: {outcome} {attempts} {}", elapsed.as_secs())
            }
            EventKind::Refresh { failure, elapsed, .. } => format!("refresh: {failure:?} {elapsed:?}"),
            EventKind::Refused { retry_after, .. } => format!("refused: {retry_after:?}"),
            EventKind::Retry { attempt, status, .. } => format!("retry {attempt}: {status:?}"),
            EventKind::Wait { why, waited, .. } => format!("wait: {why} {}", waited.as_secs()),
            _ => "something new".to_owned(),
        };
        let operation = event.operation.map_or("-", |operation| operation.id());
        let line = format!("{} {} {operation} {what}", event.vendor, event.tenant.unwrap_or("-"));
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_is_told_all_that_happens_in_its_order_with_vendor_tenant_and_operation() {
    let diary = Arc::new(Diary::default());
    let script = Script::new([
        refused("30"),
        Step::status(503).delay(Duration::from_secs(2)),
        Step::status(404).delay(Duration::from_secs(3)),
    ]);
    // Without a pause that is drawn by lot, all times are known.
    let policy = RetryPolicy::new().with_max_delay(Duration::ZERO);
    let client = builder(&script).with_retry(policy).with_observer(Arc::clone(&diary)).build().unwrap();
    client.get_order().id(1).send().await.unwrap_err();
    let told = diary.lines();
    let expected = [
        "attempt 1: Some(429) 0ns",
        "refused: Some(30s)",
        "wait: limit 30",
        "attempt 2: Some(503) 2s",
        "retry 2: Some(503)",
        "wait: backoff 0",
        "attempt 3: Some(404) 3s",
        "call: not_found 3 35",
    ];
    assert_eq!(told, expected.map(|line| format!("fixably acme get_order {line}")));
}

#[tokio::test(start_paused = true)]
async fn one_tally_counts_what_many_clients_do() {
    let tally = CountingObserver::new();
    let tokens = AtomicU64::new(0);
    // Every second login fails once, after which it is sent again.
    let token = move |_: &_| match tokens.fetch_add(1, Ordering::Relaxed) {
        0 => Step::status(503),
        _ => pair(3600),
    };
    let garage = granted(token, booking).with_observer(tally.clone()).build().unwrap();
    call(&garage).await.unwrap();
    assert_eq!((tally.calls(), tally.attempts(), tally.retries(), tally.refreshes()), (1, 3, 1, 1));
    assert_eq!((tally.waits(Wait::Token), tally.waits(Wait::Limit)), (1, 0));
    assert_eq!(tally.waited(Wait::Token), tally.waited(Wait::Backoff));

    let script = Script::new([refused("30"), order(), Step::status(404)]);
    let shop = builder(&script).with_observer(tally.clone()).build().unwrap();
    shop.get_order().id(1).send().await.unwrap();
    shop.get_order().id(2).send().await.unwrap_err();
    assert_eq!((tally.calls(), tally.failed_calls(), tally.cancelled_calls()), (3, 1, 0));
    assert_eq!((tally.attempts(), tally.retries(), tally.refused()), (6, 1, 1));
    assert_eq!((tally.waits(Wait::Limit), tally.waited(Wait::Limit).as_secs()), (1, 30));
    assert_eq!(tally.failed_refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_in_the_background_is_told_though_no_call_waits_for_it() {
    let (tally, fails) = (CountingObserver::new(), Arc::new(AtomicBool::new(false)));
    let failing = Arc::clone(&fails);
    let token = move |_: &_| match failing.load(Ordering::Relaxed) {
        true => Step::json(500, json!({})),
        false => pair(1000),
    };
    let client = granted(token, booking).with_observer(tally.clone()).build().unwrap();
    for (refreshes, failed) in [(1, 0), (2, 0), (2, 1)] {
        fails.store(failed > 0, Ordering::Relaxed);
        call(&client).await.unwrap();
        // Long enough for the renewal and its tries, and into the last fifth of the token's life.
        sleep(Duration::from_secs(900)).await;
        assert_eq!((tally.refreshes(), tally.failed_refreshes()), (refreshes, failed));
    }
    assert_eq!((tally.calls(), tally.waits(Wait::Token)), (3, 1), "the first call alone waited");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_is_counted_as_cancelled() {
    let tally = CountingObserver::new();
    let script = Script::new([order().delay(Duration::from_secs(5))]);
    let client = builder(&script).with_observer(tally.clone()).build().unwrap();
    assert!(client.get_order().id(1).send().now_or_never().is_none());
    assert_eq!((tally.calls(), tally.cancelled_calls(), tally.failed_calls(), tally.attempts()), (1, 1, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_its_caller_gives_up_is_told_as_long_as_it_was() {
    let tally = CountingObserver::new();
    let client = builder(&Script::new([refused("60")])).with_observer(tally.clone()).build().unwrap();
    timeout(Duration::from_secs(10), client.get_order().id(1).send()).await.unwrap_err();
    assert_eq!((tally.waits(Wait::Limit), tally.waited(Wait::Limit).as_secs()), (1, 10));
    assert_eq!((tally.cancelled_calls(), client.rate_limit().waiting()), (1, 0));
}

/// Counts what it is told, and panics each time.
#[derive(Default)]
struct Broody(AtomicU64);

impl Observer for Broody {
    fn observe(&self, event: &Event<'_>) {
        self.0.fetch_add(1, Ordering::Relaxed);
        panic!("{:?} is too much", event.kind);
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_breaks_no_call_no_renewal_and_no_client() {
    let broody = Arc::new(Broody::default());
    let client = granted(|_| pair(100), booking).with_observer(Arc::clone(&broody)).build().unwrap();
    for _ in 0..3 {
        call(&client).await.unwrap();
        sleep(Duration::from_secs(85)).await;
    }
    drop(call(&client).boxed().now_or_never());
    call(&client).await.unwrap();
    assert_eq!((client.rate_limit().in_flight(), client.rate_limit().waiting()), (0, 0));
    assert!(client.auth_status().last_failure().is_none());
    let told = broody.0.load(Ordering::Relaxed);
    assert!(told >= 3 * 2 + 2, "it goes on being told: {told}");
}

/// Asks the client how it is, whatever it is told.
#[derive(Clone, Default)]
struct Curious(Arc<OnceLock<repairy::Client>>);

impl Curious {
    fn ask(&self) {
        if let Some(client) = self.0.get() {
            let _ = (client.auth_status(), client.rate_limit());
        }
    }
}

impl Observer for Curious {
    fn observe(&self, _: &Event<'_>) {
        self.ask();
    }
}

impl<S: Subscriber> Layer<S> for Curious {
    fn on_new_span(&self, _: &Attributes<'_>, _: &Id, _: Context<'_, S>) {
        self.ask();
    }

    fn on_follows_from(&self, _: &Id, _: &Id, _: Context<'_, S>) {
        self.ask();
    }

    fn on_event(&self, _: &tracing::Event<'_>, _: Context<'_, S>) {
        self.ask();
    }
}

#[tokio::test(start_paused = true)]
async fn an_observer_may_ask_the_client_how_it_is() {
    let curious = Curious::default();
    let refuses = |_: &_| Step::json(400, json!({}));
    let client = granted(refuses, booking).with_observer(curious.clone()).build().unwrap();
    curious.0.set(client.clone()).unwrap();
    call(&client).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_may_ask_the_client_how_it_is() {
    let curious = Curious::default();
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(curious.clone()));
    let client = granted(|_| pair(100), booking).build().unwrap();
    curious.0.set(client.clone()).unwrap();
    call(&client).await.unwrap();
    // Into the last fifth of the token's life, where a call begins a renewal and goes on.
    sleep(Duration::from_secs(88)).await;
    call(&client).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(client.auth_status().generation(), 2);
}
