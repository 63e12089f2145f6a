//! Tests of a write with an idempotency key, as the generator writes one. No operation of a vendor has one so far.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "the macros write the methods of a public builder, more than the tests call"
)]

use http::Method;
use serde_json::{Value, json};

use crate::client_inner::ClientInner;
use crate::error::Error;
use crate::fixably::{Client, Credentials};
use crate::operation::Operation;
use crate::operation_builder::{call_builder, write_operation};
use crate::request::Request;
use crate::testing::{Script, Step};
use crate::{Response, WriteStatus};

static CREATE_PAYMENT: Operation = Operation::new("create_payment", Method::POST, "/payments").with_idempotency_key();

/// What the generator writes for a write with `x-idempotency-key`.
#[derive(Clone, Debug)]
struct CreatePayment {
    client: ClientInner,
    body: Option<Value>,
}

impl CreatePayment {
    async fn send(self) -> Result<Response<Value>, Error> {
        let mut request = Request::new(&self.client, &CREATE_PAYMENT);
        request.json(self.body.as_ref());
        request.send(crate::decode::content).await
    }
}

call_builder! { CreatePayment(CREATE_PAYMENT) => Value }
write_operation! { CreatePayment => Value, keyed }

fn create_payment(steps: impl IntoIterator<Item = Step>) -> (CreatePayment, Script) {
    let script = Script::new(steps);
    let client = Client::builder(Credentials::bearer("test")).with_tenant("acme").with_transport(script.clone());
    let client = client.build().expect("the options are valid").inner().clone();
    (CreatePayment { client, body: Some(json!({"amount": 20})) }, script)
}

fn keys(script: &Script) -> Vec<String> {
    let requests = script.requests();
    let keys =
        requests.iter().map(|request| request.headers["idempotency-key"].to_str().expect("a key is ASCII").to_owned());
    keys.collect()
}

fn created() -> Step {
    Step::json(201, json!({"id": 7}))
}

#[tokio::test(start_paused = true)]
async fn all_attempts_of_a_call_have_one_key_and_every_call_has_its_own() {
    let (call, script) = create_payment([Step::dropped(), Step::status(502), created(), created()]);
    call.clone().send().await.unwrap();
    call.await.unwrap();
    let keys = keys(&script);
    assert_eq!((keys.len(), &keys[0], &keys[1]), (4, &keys[1], &keys[2]));
    assert_ne!(keys[2], keys[3]);
}

#[tokio::test(start_paused = true)]
async fn a_key_of_the_caller_is_sent_by_every_call_that_it_is_set_for() {
    let (call, script) = create_payment([created(), Step::status(503), created()]);
    call.clone().with_idempotency_key("invoice-17").send().await.unwrap();
    call.with_idempotency_key("invoice-17").send().await.unwrap();
    assert_eq!(keys(&script), ["invoice-17"; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_is_sent_again_after_a_lookup_keeps_its_key() {
    let (call, script) = create_payment((0..3).map(|_| Step::dropped()).chain([created()]));
    let mut lookups = 0;
    let outcome = call.reconcile(|unknown| {
        lookups += 1;
        assert_eq!(unknown.operation(), "create_payment");
        async { Ok(WriteStatus::NotApplied) }
    });
    assert_eq!(outcome.send().await.unwrap()["id"], 7);
    let keys = keys(&script);
    assert_eq!((lookups, keys.len()), (1, 4));
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}

#[tokio::test(start_paused = true)]
async fn an_error_of_a_keyed_call_has_the_key_that_makes_repeating_it_harmless() {
    let (call, script) = create_payment([Step::dropped().repeat()]);
    let error = call.send().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    // With another key it would be another write.
    assert!(error.maybe_applied() && !error.is_retryable());
    let keys = keys(&script);
    assert_eq!((keys.len(), error.call_error().unwrap().idempotency_key()), (3, Some(&*keys[0])));
    assert!(CREATE_PAYMENT.takes_idempotency_key() && !CREATE_PAYMENT.is_idempotent());
}

#[tokio::test(start_paused = true)]
async fn a_postponed_call_keeps_the_key_that_the_client_chose() {
    let refused = Step::status(429).header("retry-after", "3600");
    let (call, script) = create_payment([refused, Step::dropped(), created()]);
    let client = call.client.clone();
    let Err(Error::RateLimited(limited)) = call.send().await else { panic!("the limit has room") };
    let postponed = serde_json::from_str(&serde_json::to_string(&limited.postpone()).unwrap()).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3601)).await;
    let resumed = crate::RawRequest::resume(&client, "fixably", &postponed).send::<Value>().await.unwrap();
    assert_eq!(resumed["id"], 7);
    let keys = keys(&script);
    assert_eq!(keys.len(), 3);
    assert!(keys.iter().all(|key| *key == keys[0]), "{keys:?}");
}
