//! Credentials: what is sent, and what is not sent once they have expired.

use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::{SignedDuration, Timestamp};
use servicebay::testing::{Environment as _, Script};
use servicebay::{Error, fixably};
use tokio::time::Instant;

use crate::support::{SECRET, builder, client, order, refused};

fn expiring(expires_at: Timestamp, script: &Script) -> fixably::Client {
    let credentials = fixably::Credentials::bearer("t").with_expires_at(expires_at);
    fixably::Client::builder(credentials).with_tenant("acme").with_transport(script.clone()).build().unwrap()
}

#[tokio::test]
async fn a_bearer_token_is_sent_with_its_scheme() {
    let (client, script) = client([order()]);
    client.get_order().id(1).send().await.unwrap();
    assert_eq!(script.requests()[0].headers["authorization"], format!("Bearer {SECRET}"));
}

#[tokio::test]
async fn a_user_token_is_sent_without_a_scheme() {
    let script = Script::new([order()]);
    let credentials = fixably::Credentials::user_token("pk_raw");
    let client =
        fixably::Client::builder(credentials).with_tenant("acme").with_transport(script.clone()).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    assert_eq!(script.requests()[0].headers["authorization"], "pk_raw");
}

#[tokio::test(start_paused = true)]
async fn a_call_with_an_expired_token_fails_without_being_sent() {
    let script = Script::new([]);
    let client = expiring("2020-01-31T00:00:00Z".parse().unwrap(), &script);
    match client.get_order().id(1).send().await {
        Err(Error::Unauthorized(call)) => {
            assert_eq!((call.attempts(), call.status()), (0, None));
            assert!(call.to_string().contains("expired at 2020-01-31T00:00:00Z; nothing was sent"), "{call}");
        }
        other => panic!("{other:?}"),
    }
    assert!(script.requests().is_empty());
    let status = client.auth_status();
    assert!(status.is_expired());
    assert_eq!(status.days_left(), Some(0));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_while_a_retry_waits_is_not_sent_again() {
    // The vendor asks for a delay of a minute, and the token expires in half a minute.
    let script = Script::new([refused("60")]);
    let expires_at = script.wall().checked_add(SignedDuration::from_secs(30)).unwrap();
    let client = expiring(expires_at, &script);
    match client.get_order().id(1).send().await {
        Err(Error::Unauthorized(call)) => {
            assert_eq!(call.attempts(), 1);
            assert!(call.to_string().contains("was not sent again"), "{call}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_days_left_count_down() {
    let script = Script::new([]);
    let expires_at = script.wall().checked_add(SignedDuration::from_hours(24 * 10 + 1)).unwrap();
    let client = expiring(expires_at, &script);
    assert_eq!(client.auth_status().days_left(), Some(10));
    tokio::time::advance(Duration::from_secs(24 * 3600 * 7)).await;
    assert_eq!(client.auth_status().days_left(), Some(3));
    assert_eq!(client.auth_status().expires_at(), Some(expires_at));
}

#[tokio::test]
async fn a_token_without_an_expiry_never_counts_down() {
    let (client, _script) = client([]);
    let status = client.auth_status();
    assert_eq!((status.expires_at(), status.days_left(), status.is_expired()), (None, None, false));
}

#[tokio::test]
async fn a_401_is_unauthorized_with_the_vendors_message_and_is_not_repeated() {
    let body = serde_json::json!({"status": 401, "developerMessage": "Token has been revoked"});
    let (client, script) = client([servicebay::testing::Step::json(401, body)]);
    match client.get_order().id(1).send().await {
        Err(error @ Error::Unauthorized(_)) => {
            assert!(error.is_auth() && !error.is_retryable());
            assert!(error.to_string().contains("Token has been revoked"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_with_an_expired_token_fails_without_waiting_for_the_limit() {
    let script = Script::new([refused("60"), order()]);
    let waiting = builder(&script).build().unwrap();
    let mut waiting = Box::pin(waiting.get_order().id(1).send());
    assert!((&mut waiting).now_or_never().is_none());
    let credentials = fixably::Credentials::bearer("t").with_expires_at(script.wall());
    let expired =
        fixably::Client::builder(credentials).with_tenant("acme").with_transport(script.clone()).build().unwrap();
    let started = Instant::now();
    assert!(matches!(expired.get_order().id(1).send().await, Err(Error::Unauthorized(_))));
    assert_eq!(started.elapsed(), Duration::ZERO);
}
