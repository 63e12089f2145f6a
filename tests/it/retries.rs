//! Retries: which attempts are repeated, which never are, and which error the caller gets.

use std::time::Duration;

use http::Method;
use serde_json::json;
use servicebay::fixably::types::{NoteInput, NoteType, NotesCreate, OrderCreate, OrderUpdate};
use servicebay::testing::{Script, Step};
use servicebay::{CallOptions, Error, RetryPolicy};
use tokio::time::Instant;

use crate::support::{builder, client, order, refused};

fn note() -> NotesCreate {
    NotesCreate::new([NoteInput::new(NoteType::Issue).text("Cracked")])
}

#[tokio::test(start_paused = true)]
async fn a_read_is_repeated_through_every_transient_failure() {
    for step in [
        Step::status(408),
        Step::status(500),
        Step::status(502),
        Step::status(503),
        Step::status(504),
        Step::status(520),
        Step::status(521),
        Step::status(522),
        Step::status(523),
        Step::status(524),
        Step::status(527),
        Step::status(530),
        Step::dropped(),
        Step::truncated(),
        Step::connect_error(),
        order().delay(Duration::from_secs(31)),
    ] {
        let shown = format!("{step:?}");
        let (client, script) = client([step.clone(), step, order()]);
        let order = client.get_order().id(1).send().await;
        assert!(order.is_ok(), "{shown}: {order:?}");
        assert_eq!(script.requests().len(), 3, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_third_failure_is_returned_to_the_caller() {
    let (client, script) = client([Step::status(503).repeat()]);
    let error = client.get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error:?}");
    assert!(error.is_retryable() && !error.maybe_applied());
    assert_eq!(error.call_error().unwrap().attempts(), 3);
    assert_eq!(script.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_post_that_may_have_arrived_is_never_repeated() {
    for (step, has_outcome) in [
        (Step::dropped(), false),
        (Step::truncated(), false),
        (Step::status(502), false),
        (Step::status(504), false),
        (Step::status(408), false),
        (Step::status(520), false),
        (Step::status(522), false),
        (Step::status(524), false),
        (Step::status(530), false),
        (Step::json(201, json!([])).delay(Duration::from_secs(31)), false),
        (Step::status(500), true),
        (Step::status(503), true),
    ] {
        let shown = format!("{step:?}");
        let (client, script) = client([step, Step::json(201, json!([]))]);
        let error = client.create_order_notes().order_id(1).body(note()).send().await.unwrap_err();
        assert_eq!(script.requests().len(), 1, "{shown}");
        assert!(error.maybe_applied() && !error.is_retryable(), "{shown}: {error:?}");
        match error {
            Error::OutcomeUnknown(_) => assert!(!has_outcome, "{shown}"),
            Error::Server(_) => assert!(has_outcome, "{shown}"),
            other => panic!("{shown}: {other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_was_not_sent_is_repeated() {
    let (client, script) = client([Step::connect_error(), Step::connect_error(), Step::json(201, json!([{"id": 7}]))]);
    let notes = client.create_order_notes().order_id(1).body(note()).send().await.unwrap();
    assert_eq!(notes[0].id(), Some(7.into()));
    let bodies: Vec<_> = script.requests().into_iter().map(|request| request.body).collect();
    assert!(bodies.iter().all(|body| *body == bodies[0] && !body.is_empty()), "every attempt carries the body");
}

#[tokio::test(start_paused = true)]
async fn a_post_that_cannot_be_sent_is_a_connect_error_and_was_not_applied() {
    let (client, _script) = client([Step::connect_error().repeat()]);
    let error = client.create_order().body(OrderCreate::new()).send().await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    assert!(!error.maybe_applied() && error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn an_idempotent_patch_is_repeated_and_its_error_is_maybe_applied() {
    let (client, script) = client([Step::dropped(), order()]);
    client.update_order().id(1).body(OrderUpdate::new().status(450)).send().await.unwrap();
    assert_eq!(script.requests().len(), 2);

    let (client, _script) = self::client([Step::dropped().repeat()]);
    let error = client.update_order().id(1).body(OrderUpdate::new().status(450)).send().await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    assert!(error.maybe_applied() && error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn rejections_and_decode_errors_are_not_repeated() {
    for step in [
        Step::status(400),
        Step::status(403),
        Step::status(404),
        Step::status(409),
        Step::status(422),
        Step::status(501),
        Step::body(200, "application/json", "{"),
    ] {
        let shown = format!("{step:?}");
        let (client, script) = client([step, order()]);
        assert!(client.get_order().id(1).send().await.is_err(), "{shown}");
        assert_eq!(script.requests().len(), 1, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_the_minimum_of_the_backoff() {
    let (client, script) = client([Step::status(503).header("retry-after", "7"), order()]);
    client.get_order().id(1).send().await.unwrap();
    let requests = script.requests();
    let waited = (requests[1].at - requests[0].at).as_secs_f64();
    assert!((7.0..7.1).contains(&waited), "{waited}");
}

#[tokio::test(start_paused = true)]
async fn backoff_stays_below_its_ceilings() {
    for _ in 0..50 {
        let (client, script) = client([Step::status(503), Step::status(503), order()]);
        client.get_order().id(1).send().await.unwrap();
        let requests = script.requests();
        let waits: Vec<f64> = requests.windows(2).map(|two| (two[1].at - two[0].at).as_secs_f64()).collect();
        assert!(waits[0] <= 0.502 && waits[1] <= 1.002, "{waits:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_max_wait_fails_at_once() {
    let (client, script) = client([Step::status(503).header("retry-after", "3600"), order()]);
    let started = Instant::now();
    let error = client.get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Server(_)), "{error:?}");
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3600)));
    assert_eq!((started.elapsed(), script.requests().len()), (Duration::ZERO, 1));
}

#[tokio::test(start_paused = true)]
async fn the_operation_timeout_ends_the_attempt_in_flight() {
    let (client, _script) = client([order().delay(Duration::from_secs(25)).repeat()]);
    let client = client.with_options(CallOptions::new().with_operation_timeout(Duration::from_secs(10)));
    let started = Instant::now();
    let error = client.get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert!((10.0..10.1).contains(&started.elapsed().as_secs_f64()), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_write_that_timed_out_has_an_unknown_outcome() {
    let (client, _script) = client([order().delay(Duration::from_secs(60))]);
    let client = client.with_options(CallOptions::new().with_attempt_timeout(Duration::from_secs(5)));
    let started = Instant::now();
    let error = client.create_order().body(OrderCreate::new()).send().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert!((5.0..5.1).contains(&started.elapsed().as_secs_f64()));
}

#[tokio::test(start_paused = true)]
async fn the_retry_budget_limits_the_load_on_a_vendor_that_is_down() {
    let script = Script::new([Step::status(500).repeat()]);
    let client = builder(&script).build().unwrap();
    for _ in 0..100 {
        client.get_order().id(1).send().await.unwrap_err();
    }
    // A budget of 500 pays for 100 retries at 5 each; from then on every call is sent once.
    assert_eq!(script.requests().len(), 100 + 100);
}

#[tokio::test(start_paused = true)]
async fn a_retry_policy_can_be_set_for_the_client_or_for_one_call() {
    let script = Script::new([Step::status(500).repeat()]);
    let client = builder(&script).with_retry(RetryPolicy::never()).build().unwrap();
    client.get_order().id(1).send().await.unwrap_err();
    assert_eq!(script.requests().len(), 1);
    let persistent = client.with_options(CallOptions::new().with_retry(RetryPolicy::new().with_max_attempts(5)));
    persistent.get_order().id(1).send().await.unwrap_err();
    assert_eq!(script.requests().len(), 1 + 5);
}

#[tokio::test(start_paused = true)]
async fn a_raw_request_is_repeated_if_its_method_is_idempotent_unless_set_otherwise() {
    for (method, idempotent, attempts) in [
        (Method::GET, None, 2),
        (Method::PUT, None, 2),
        (Method::DELETE, None, 2),
        (Method::POST, None, 1),
        (Method::PATCH, None, 1),
        (Method::POST, Some(true), 2),
        (Method::GET, Some(false), 1),
    ] {
        let (client, script) = client([Step::dropped(), order()]);
        let mut request = client.request(method.clone(), "orders/1/anything");
        if let Some(idempotent) = idempotent {
            request = request.idempotent(idempotent);
        }
        let _ = request.send::<serde_json::Value>().await;
        assert_eq!(script.requests().len(), attempts, "{method} {idempotent:?}");
        assert_eq!(script.requests()[0].method, method);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_stays_maybe_applied_after_an_attempt_that_may_have_applied_it() {
    for last in [Step::connect_error(), Step::status(404), Step::status(409), refused("10000")] {
        let shown = format!("{last:?}");
        let (client, _script) = client([Step::dropped(), last.repeat()]);
        let body = OrderUpdate::new().status(450);
        let error = client.update_order().id(1).body(body).send().await.unwrap_err();
        assert!(error.maybe_applied(), "{shown}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_delete_that_finds_its_object_gone_after_a_lost_response_may_have_deleted_it() {
    for (lost, gone) in [(Step::dropped(), 404), (Step::status(502), 410)] {
        let (client, script) = client([lost, Step::status(gone)]);
        let error = client.request(Method::DELETE, "orders/1/notes/7").send::<()>().await.unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{error:?}");
        assert!(error.maybe_applied() && error.call_error().unwrap().may_be_own_effect(), "{error:?}");
        assert!(error.to_string().contains("gone, perhaps because of an earlier attempt of this call"), "{error}");
        assert_eq!(script.requests().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_conflict_after_a_lost_response_may_be_with_the_own_write() {
    for (method, status) in [(Method::PUT, 409), (Method::PUT, 412), (Method::DELETE, 409)] {
        let (client, _script) = client([Step::dropped(), Step::status(status)]);
        let error = client.request(method.clone(), "orders/1").send::<()>().await.unwrap_err();
        assert!(matches!(error, Error::Conflict(_)), "{method} {status}: {error:?}");
        assert!(error.call_error().unwrap().may_be_own_effect(), "{method} {status}: {error:?}");
        assert!(error.to_string().contains("perhaps because of an earlier attempt of this call"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_own_effect_if_no_earlier_attempt_can_have_caused_it() {
    for (method, steps) in [
        (Method::DELETE, vec![Step::status(404)]),
        (Method::DELETE, vec![Step::connect_error(), Step::status(404)]),
        (Method::PUT, vec![Step::connect_error(), Step::status(409)]),
        // A write that was applied would not be missing its object.
        (Method::PUT, vec![Step::dropped(), Step::status(404)]),
        (Method::DELETE, vec![Step::dropped(), Step::status(403)]),
        (Method::GET, vec![Step::dropped(), Step::status(404)]),
    ] {
        let shown = format!("{method} {steps:?}");
        let (client, _script) = client(steps);
        let error = client.request(method, "orders/1").send::<()>().await.unwrap_err();
        assert!(!error.call_error().unwrap().may_be_own_effect(), "{shown}: {error:?}");
        assert!(!error.to_string().contains("perhaps"), "{shown}: {error}");
    }
}
