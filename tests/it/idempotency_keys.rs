//! Writes with an `Idempotency-Key`: one key for all attempts of a call, and repeated like a read.

use std::time::Duration;

use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use servicebay::testing::{Script, Step};
use servicebay::{Error, IdempotencyKey, Postponed, RawRequest};

use crate::support::{client, refused};

fn created() -> Step {
    Step::json(201, json!({"id": 7}))
}

fn payment(client: &servicebay::fixably::Client) -> RawRequest {
    client.request(Method::POST, "orders/1/payments").json(&json!({"amount": 20}))
}

/// The keys of the requests; `None` for a request without one.
fn keys(script: &Script) -> Vec<Option<String>> {
    let key = |request: &servicebay::testing::ScriptRequest| {
        Some(request.headers.get("idempotency-key")?.to_str().unwrap().to_owned())
    };
    script.requests().iter().map(key).collect()
}

fn same(key: &str, times: usize) -> Vec<Option<String>> {
    vec![Some(key.to_owned()); times]
}

#[tokio::test(start_paused = true)]
async fn a_write_without_a_key_is_not_repeated_and_one_with_a_key_is() {
    let (client, script) = client([Step::dropped(), Step::dropped(), created()]);
    let error = payment(&client).send::<Value>().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().idempotency_key(), None);
    payment(&client).idempotency_key("job-17").send::<Value>().await.unwrap();
    assert_eq!(keys(&script), [vec![None], same("job-17", 2)].concat());
}

#[tokio::test(start_paused = true)]
async fn a_header_of_that_name_alone_does_not_make_a_write_repeatable() {
    let (client, script) = client([Step::dropped()]);
    let error = payment(&client).header("Idempotency-Key", "job-17").send::<Value>().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert_eq!(keys(&script), same("job-17", 1));
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_outcome_stays_unknown_can_be_sent_again_with_its_key() {
    let (client, script) = client((0..3).map(|_| Step::dropped()).chain([created()]));
    let error = payment(&client).idempotency_key(IdempotencyKey::random()).send::<Value>().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert!(error.maybe_applied() && !error.is_retryable());
    let key = error.call_error().unwrap().idempotency_key().expect("the call had one").to_owned();
    payment(&client).idempotency_key(key.as_str()).send::<Value>().await.unwrap();
    assert_eq!(keys(&script), same(&key, 4));
}

#[tokio::test(start_paused = true)]
async fn a_postponed_write_keeps_its_key_and_is_repeated_like_one() {
    let (client, script) = client([refused("3600"), Step::dropped(), created()]);
    let Err(Error::RateLimited(limited)) = payment(&client).idempotency_key("job-17").send::<Value>().await else {
        panic!("the limit has room");
    };
    let job = serde_json::to_string(&limited.postpone()).unwrap();
    let postponed: Postponed = serde_json::from_str(&job).unwrap();
    tokio::time::sleep(Duration::from_secs(3601)).await;
    client.resume(&postponed).send::<Value>().await.unwrap();
    assert_eq!(keys(&script), same("job-17", 3));
}

#[tokio::test(start_paused = true)]
async fn a_postponed_write_of_an_earlier_version_has_no_key() {
    let (client, script) = client([refused("3600"), Step::dropped()]);
    let request = payment(&client).header("Idempotency-Key", "job-17");
    let Err(Error::RateLimited(limited)) = request.send::<Value>().await else { panic!("the limit has room") };
    let job = serde_json::to_string(&limited.postpone()).unwrap();
    assert!(!job.contains("keyed"), "{job}");
    tokio::time::sleep(Duration::from_secs(3601)).await;
    let error = client.resume(&serde_json::from_str(&job).unwrap()).send::<Value>().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert_eq!(keys(&script), same("job-17", 2));
}

#[tokio::test(start_paused = true)]
async fn a_key_that_cannot_be_sent_is_an_error_before_anything_is_sent() {
    let (client, script) = client([]);
    for (key, reason) in [("", "is empty"), (" ", "is empty"), ("a\nb", "characters"), ("schl\u{fc}ssel", "characters")]
    {
        match payment(&client).idempotency_key(key).send::<Value>().await {
            Err(Error::InvalidRequest(error)) => {
                assert_eq!(error.parameter().to_lowercase(), "header idempotency-key");
                assert!(error.reason().contains(reason), "{}", error.reason());
            }
            result => panic!("{key:?} {result:?}"),
        }
    }
    assert!(script.requests().is_empty());
}

/// How an attempt can fail without an effect on what comes next.
#[derive(Clone, Copy, Debug)]
enum FailedAttempt {
    Dropped,
    NotSent,
    Refused,
    Status(u16),
}

fn failure() -> impl Strategy<Value = FailedAttempt> {
    prop_oneof![
        Just(FailedAttempt::Dropped),
        Just(FailedAttempt::NotSent),
        Just(FailedAttempt::Refused),
        proptest::sample::select(vec![408, 500, 502, 503, 504, 520, 530]).prop_map(FailedAttempt::Status),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn every_attempt_of_any_call_has_its_key_and_its_body(failures in prop::collection::vec(failure(), 0..8), own: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let steps = failures.iter().map(|failure| match failure {
                FailedAttempt::Dropped => Step::dropped(),
                FailedAttempt::NotSent => Step::connect_error(),
                FailedAttempt::Refused => refused("2"),
                FailedAttempt::Status(status) => Step::status(*status),
            });
            let (client, script) = client(steps.chain([created().repeat()]));
            let key = if own { IdempotencyKey::from("job-17") } else { IdempotencyKey::random() };
            let outcome = payment(&client).idempotency_key(key.clone()).send::<Value>().await;

            let requests = script.requests();
            assert_eq!(keys(&script), same(key.as_str(), requests.len()));
            assert!(requests.iter().all(|request| request.body == requests[0].body));
            // A refusal of the limit costs no attempt, any other failure one of three.
            let failed = failures.iter().filter(|failure| !matches!(failure, FailedAttempt::Refused)).count();
            assert_eq!(outcome.is_ok(), failed < 3, "{outcome:?}");
        });
    }
}
