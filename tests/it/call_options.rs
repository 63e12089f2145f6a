//! The options and headers of one call.

use std::time::Duration;

use futures_util::StreamExt;
use http::Method;
use serde_json::{Value, json};
use servicebay::testing::fixably::{MockServer, TokenKind};
use servicebay::testing::{Fault, Script, Step};
use servicebay::{CallOptions, Error, Priority, RetryPolicy};
use tokio::time::Instant;

use crate::support::{builder, client, order};

const SECOND: Duration = Duration::from_secs(1);

fn slow_server() -> MockServer {
    let server = MockServer::builder().in_memory();
    server.fault(Fault::delay(5 * SECOND).always());
    server
}

#[tokio::test(start_paused = true)]
async fn an_option_of_one_call_leaves_the_client_as_it_was() {
    let server = slow_server();
    let client = server.client_builder(TokenKind::AdminAll).build().unwrap();
    let started = Instant::now();
    let call = client.get_order().id(20000010);
    let error = call.clone().with_operation_timeout(2 * SECOND).send().await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert_eq!(started.elapsed(), 2 * SECOND);
    call.send().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn every_option_can_be_set_for_one_call() {
    let server = slow_server();
    let client = server.client_builder(TokenKind::AdminAll).build().unwrap();
    let call = || client.get_order().id(20000010);
    let started = Instant::now();
    call().with_attempt_timeout(SECOND).with_retry(RetryPolicy::never()).send().await.unwrap_err();
    assert_eq!(started.elapsed(), SECOND);
    let error = call().with_max_body(10).send().await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");

    server.exhaust_rate_limit();
    let error = call().with_max_wait(Duration::ZERO).with_priority(Priority::Bulk).send().await.unwrap_err();
    assert!(matches!(error, Error::RateLimited(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_of_high_priority_overtakes_others_of_its_client() {
    let server = MockServer::builder().with_rate_limit(2, 60 * SECOND).in_memory();
    let client = server.client_builder(TokenKind::AdminAll).build().unwrap();
    client.get_order().id(20000010).send().await.unwrap();
    server.exhaust_rate_limit();
    let started = Instant::now();
    let ended = |priority| {
        let call = client.get_order().id(20000010).with_priority(priority);
        async move {
            call.send().await.unwrap();
            started.elapsed()
        }
    };
    let normal: Vec<_> = (0..2).map(|_| tokio::spawn(ended(Priority::Normal))).collect();
    tokio::time::sleep(SECOND).await;
    let interactive = ended(Priority::Interactive).await;
    let mut normal: Vec<_> = futures_util::future::join_all(normal).await.into_iter().map(Result::unwrap).collect();
    normal.sort();
    assert!(interactive < normal[1], "{interactive:?}, {normal:?}");
}

#[tokio::test]
async fn a_header_is_sent_with_its_call_alone_and_with_every_page_of_a_list() {
    let page =
        |offset| Step::json(200, json!({"limit": 1, "offset": offset, "totalItems": 2, "items": [{"id": offset + 1}]}));
    let (client, script) = client([order(), order(), page(0), page(1), order()]);
    client
        .get_order()
        .id(1)
        .header("X-Request-Source", "night")
        .header("accept", "application/vnd.x+json")
        .await
        .unwrap();
    client.get_order().id(1).await.unwrap();
    let mut orders = client.list_orders().limit(1).header("x-request-source", "list").items();
    while orders.try_next().await.unwrap().is_some() {}
    let named = client.with_options(CallOptions::new().with_header("x-request-source", "all").with_header("x-a", "1"));
    named.get_order().id(1).header("X-REQUEST-SOURCE", "one").await.unwrap();

    let requests = script.requests();
    let sources: Vec<_> = requests.iter().map(|request| request.headers.get("x-request-source")).collect();
    let sources: Vec<_> = sources.iter().map(|source| source.map(|source| source.to_str().unwrap())).collect();
    assert_eq!(sources, [Some("night"), None, Some("list"), Some("list"), Some("one")]);
    assert_eq!(requests[0].headers["accept"], "application/vnd.x+json");
    assert_eq!(requests[1].headers["accept"], "application/json");
    assert_eq!(requests[4].headers["x-a"], "1");
    assert!(requests.iter().all(|request| request.headers.get_all("authorization").iter().count() == 1));
}

#[tokio::test]
async fn a_header_that_cannot_be_sent_is_an_error_before_anything_is_sent_and_shows_no_value() {
    let (client, script) = client([]);
    for (name, value) in [("Authorization", "Bearer hush"), ("x", "hush\r\ny: z"), ("a b", "hush"), ("host", "hush")] {
        let errors = [
            client.get_order().id(1).header(name, value).await.unwrap_err(),
            client.request(Method::GET, "orders/1").header(name, value).send::<Value>().await.unwrap_err(),
            client.with_options(CallOptions::new().with_header(name, value)).get_order().id(1).await.unwrap_err(),
            client.list_orders().header(name, value).items().next().await.unwrap().unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
            let printed = format!("{error} {error:?} {}", error.support_report());
            assert!(printed.contains(&format!("header {name}")) && !printed.contains("hush"), "{printed}");
        }
        let call = client.get_order().id(1).header("x-key", "hush");
        assert!(!format!("{call:?} {:?}", client.request(Method::GET, "x").header("x-key", "hush")).contains("hush"));
    }
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn a_header_of_all_calls_is_checked_when_the_client_is_built() {
    let script = Script::new([order()]);
    let client = builder(&script).with_header("x-source", "erp").build().unwrap();
    client.get_order().id(1).await.unwrap();
    assert_eq!(script.requests()[0].headers["x-source"], "erp");
    let error = builder(&script).with_header("authorization", "hush").build().unwrap_err();
    assert!(error.to_string().starts_with("configuration: header: authorization is set by the client"), "{error}");
}

#[cfg(feature = "repairy")]
#[tokio::test]
async fn a_header_of_the_credentials_of_a_vendor_cannot_be_set() {
    let server = servicebay::testing::repairy::MockServer::builder().in_memory();
    let client = server.client_builder(servicebay::testing::repairy::Partner::Main).build().unwrap();
    let error = client.get_booking().id("x").header("X-Partner-ID", "other").await.unwrap_err();
    assert!(error.to_string().contains("set by the client"), "{error}");
}

#[cfg(feature = "fisikal")]
#[tokio::test]
async fn a_token_in_a_header_of_the_vendor_replaces_one_of_the_callers() {
    let script =
        Script::new([Step::json(200, json!({"data": {"authentication_token": "own"}})), Step::json(200, json!({}))]);
    let credentials = servicebay::fisikal::Credentials::session("a@b.example", "password", ["client"]);
    let builder = servicebay::fisikal::Client::builder(credentials).with_tenant("acme").with_transport(script.clone());
    let request = builder.build().unwrap().request(Method::GET, "x").header("X-Fisikal-Token", "other");
    let result = request.send::<Value>().await;
    let sent = script.requests();
    let last = sent.last().unwrap();
    let tokens: Vec<_> = last.headers.get_all("x-fisikal-token").iter().collect();
    assert!(!tokens.contains(&&http::HeaderValue::from_static("other")), "{result:?} {tokens:?}");
}

#[tokio::test]
async fn streams_need_no_trait_to_be_read() {
    let page =
        |offset, items: Value| Step::json(200, json!({"limit": 2, "offset": offset, "totalItems": 3, "items": items}));
    let (client, _) = client([page(0, json!([{"id": 1}, {"id": 2}])), page(2, json!([{"id": 3}])), Step::status(400)]);
    let mut pages = client.list_orders().limit(2).pages();
    assert_eq!(pages.try_next().await.unwrap().unwrap().items.len(), 2);
    assert_eq!(pages.next().await.unwrap().unwrap().items.len(), 1);
    assert!(pages.try_next().await.unwrap().is_none() && StreamExt::next(&mut pages).await.is_none());
    let mut items = client.list_orders().items();
    assert!(items.try_next().await.is_err());
    assert!(items.try_next().await.unwrap().is_none());
}
