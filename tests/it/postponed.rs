//! Postponed calls: what a job queue stores of them, and that they are sent unchanged.

use std::time::Duration;

use serde_json::{Value, json};
use servicebay::fixably::types::OrderUpdate;
use servicebay::fixably::{Client, Credentials};
use servicebay::testing::{Script, Step};
use servicebay::{Error, Postponed};

use crate::support::SECRET;

const HOUR: Duration = Duration::from_secs(3600);

fn client(script: &Script, tenant: &str) -> Client {
    Client::builder(Credentials::bearer(SECRET)).with_tenant(tenant).with_transport(script.clone()).build().unwrap()
}

fn rate_limited() -> Step {
    Step::json(429, json!({"message": "Too many requests"})).header("retry-after", "3600")
}

fn postpone<T: std::fmt::Debug>(result: Result<T, Error>) -> Postponed {
    match result {
        Err(Error::RateLimited(limited)) => limited.postpone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_postponed_call_is_sent_unchanged_after_the_reset() {
    let script = Script::new([rate_limited(), Step::json(200, json!({"id": 1})).repeat()]);
    let client = client(&script, "acme");
    let body = OrderUpdate::new().status(451);
    let postponed = postpone(client.update_order().id(20000010).body(body).send().await);
    assert_eq!(
        (postponed.vendor(), postponed.operation(), postponed.method().as_str()),
        ("fixably", "update_order", "PATCH")
    );

    let job = serde_json::to_string(&postponed).unwrap();
    assert!(!job.contains(SECRET), "{job}");
    let read: Postponed = serde_json::from_str(&job).unwrap();
    assert_eq!(read, postponed);
    tokio::time::sleep(HOUR).await;
    client.resume(&read).send::<Value>().await.unwrap();

    let requests = script.requests();
    let [first, second] = [&requests[0], &requests[1]];
    assert_eq!((&first.method, &first.uri, &first.body), (&second.method, &second.uri, &second.body));
    assert!(!second.body.is_empty());
}

#[tokio::test(start_paused = true)]
async fn the_query_of_a_postponed_call_is_not_encoded_twice() {
    let script = Script::new([rate_limited(), Step::json(200, json!({"items": []}))]);
    let client = client(&script, "acme");
    let postponed = postpone(client.list_orders().q("customer.name:a b&c,isClosed:false").limit(5).send().await);
    tokio::time::sleep(HOUR).await;
    client.resume(&postponed).send::<Value>().await.unwrap();
    assert_eq!(script.requests()[0].uri, script.requests()[1].uri);
}

#[tokio::test(start_paused = true)]
async fn a_postponed_call_of_another_tenant_is_rejected_and_not_sent() {
    let script = Script::new([rate_limited()]);
    let postponed = postpone(client(&script, "acme").get_order().id(1).send().await);
    let other = Script::new([]);
    match client(&other, "beta").resume(&postponed).send::<Value>().await {
        Err(Error::InvalidRequest(error)) => assert_eq!(error.parameter(), "postponed"),
        result => panic!("{result:?}"),
    }
    assert!(other.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn debug_does_not_show_the_body() {
    let script = Script::new([rate_limited()]);
    let update = OrderUpdate::new().with_extra("reference", "Ada Lovelace");
    let postponed = postpone(client(&script, "acme").update_order().id(1).body(update).send().await);
    let shown = format!("{postponed:?}");
    assert!(shown.contains("update_order") && !shown.contains("Lovelace"), "{shown}");
}
