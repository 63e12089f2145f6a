//! Requests to endpoints that the crate does not model.

use http::Method;
use serde_json::{Value, json};
use servicebay::testing::Step;
use servicebay::{Conditional, Error, Multipart, Postponed};

use crate::support::{SECRET, client, refused};

const PDF: [u8; 6] = [0x25, 0x50, 0x44, 0x46, 0x00, 0xff];

#[tokio::test]
async fn a_body_is_sent_as_it_is_with_its_media_type() {
    let (client, script) = client((0..5).map(|_| Step::json(201, json!({"id": 1}))));
    let post = || client.request(Method::POST, "orders/1/attachments");
    post().bytes(PDF.to_vec(), "application/pdf").send::<Value>().await.unwrap();
    post().form([("a b", "c&d"), ("ü", "")]).send::<Value>().await.unwrap();
    let form = Multipart::new().text("title", "x").file("file", "a.pdf", "application/pdf", PDF.to_vec());
    post().multipart(form).send::<Value>().await.unwrap();
    post().json(&json!({"a": 1})).header("content-type", "application/merge-patch+json").send::<Value>().await.unwrap();
    post().bytes("", "text/plain").send::<Value>().await.unwrap();

    let requests = script.requests();
    let sent = |number: usize| (requests[number].headers["content-type"].to_str().unwrap(), &requests[number].body[..]);
    assert_eq!(sent(0), ("application/pdf", &PDF[..]));
    assert_eq!(sent(1), ("application/x-www-form-urlencoded", &b"a+b=c%26d&%C3%BC="[..]));
    let (content_type, body) = sent(2);
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    assert!(body.ends_with(format!("\r\n--{boundary}--\r\n").as_bytes()));
    assert!(body.windows(PDF.len()).any(|window| window == PDF));
    assert_eq!(sent(3), ("application/merge-patch+json", &br#"{"a":1}"#[..]));
    assert_eq!(sent(4), ("text/plain", &b""[..]));
}

#[tokio::test]
async fn a_media_type_that_cannot_be_sent_is_an_error() {
    let (client, script) = client([]);
    let error = client.request(Method::POST, "x").bytes("", "text/plain\r\nx: y").send::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("header content-type"), "{error}");
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn the_bytes_of_a_response_are_returned_whatever_they_are() {
    let (client, script) = client([Step::body(200, "application/pdf", PDF.to_vec()), Step::body(200, "text/csv", "")]);
    let request = || client.request(Method::GET, "orders/1/invoice");
    let response = request().send_bytes().await.unwrap();
    assert_eq!((&response[..], &response.headers()["content-type"]), (&PDF[..], &"application/pdf".parse().unwrap()));
    assert!(request().header("accept", "text/csv").send_bytes().await.unwrap().is_empty());
    let accepted: Vec<_> = script.requests().iter().map(|request| request.headers["accept"].clone()).collect();
    assert_eq!(accepted, ["*/*", "text/csv"]);
}

#[tokio::test]
async fn a_version_that_the_caller_has_is_not_sent_again() {
    let (client, script) = client([
        Step::json(200, json!({"id": 1})).header("etag", "W/\"1\""),
        Step::body(304, "text/plain", "").header("etag", "W/\"1\""),
        Step::json(200, json!({"id": 2})).header("etag", "\"2\""),
        Step::body(200, "application/pdf", PDF.to_vec()),
        Step::status(404),
        Step::body(304, "text/plain", ""),
    ]);
    let request = || client.request(Method::GET, "orders/1");
    let etag = request().send::<Value>().await.unwrap().etag().unwrap().to_owned();
    let Conditional::NotModified(response) = request().if_none_match(&etag).send::<Value>().await.unwrap() else {
        panic!("it has not changed");
    };
    assert_eq!((response.status().as_u16(), response.etag()), (304, Some("W/\"1\"")));
    let changed = request().if_none_match(&etag).send::<Value>().await.unwrap().modified().unwrap();
    assert_eq!((changed["id"].as_u64(), changed.etag()), (Some(2), Some("\"2\"")));
    assert_eq!(request().if_none_match("\"2\"").send_bytes().await.unwrap().modified().unwrap()[..], PDF);
    assert!(matches!(request().if_none_match("\"2\"").send::<Value>().await, Err(Error::NotFound(_))));
    // Without a condition of ours it is an error: there is nothing to return.
    assert!(matches!(request().send::<Value>().await, Err(Error::Api(_))));
    let sent: Vec<_> = script.requests().iter().map(|request| request.headers.get("if-none-match").cloned()).collect();
    assert_eq!(sent[0], None);
    assert_eq!(sent[1].as_ref().unwrap(), "W/\"1\"");
    let error = request().if_none_match("\"\r\n").send::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("header if-none-match"), "{error}");
}

#[tokio::test]
async fn a_name_stands_in_errors() {
    let (client, _) = client([Step::status(400), Step::status(400), Step::status(400)]);
    let named = |method| client.request(method, "orders/1/attachments").named("list_attachments").send::<Value>();
    let errors =
        [named(Method::GET).await, named(Method::GET).await, named(Method::POST).await].map(Result::unwrap_err);
    let operations: Vec<_> = errors.iter().map(|error| error.call_error().unwrap().operation()).collect();
    assert!(operations.iter().all(|operation| operation.id() == "list_attachments"));
    assert!(std::ptr::eq(operations[0], operations[1]), "a name is made once");
    assert_eq!((operations[0].is_idempotent(), operations[2].is_idempotent()), (true, false));
}

#[tokio::test]
async fn a_prepared_request_shows_everything_but_secrets() {
    let (client, script) = client([]);
    let request = client.request(Method::PUT, "orders/1/it's").query("q", "a b").header("x-api-key", "hush");
    let request = request.json(&json!({"text": "it's"})).prepare().unwrap();
    assert_eq!((request.method(), request.headers()["x-api-key"].to_str().unwrap()), (&Method::PUT, "hush"));
    assert_eq!(request.body(), r#"{"text":"it's"}"#);
    let printed = request.to_string();
    for part in [
        r"curl -X PUT 'https://acme.fixably.com/api/v3/orders/1/it'\''s?q=a%20b'",
        r#" -H "authorization: Bearer $TOKEN""#,
        " -H 'accept: application/json'",
        r#" -H "x-api-key: $X_API_KEY""#,
        " -H 'content-type: application/json'",
        r#" --data-raw '{"text":"it'\''s"}'"#,
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    for printed in [printed, format!("{request:?}")] {
        assert!(!printed.contains("hush") && !printed.contains(SECRET), "{printed}");
    }
    let binary = client.request(Method::POST, "x").bytes(PDF.to_vec(), "application/pdf").prepare().unwrap();
    assert!(binary.to_string().ends_with(" --data-binary @body"), "{binary}");
    assert!(matches!(client.request(Method::GET, "../x").prepare(), Err(Error::InvalidRequest(_))));
    assert!(script.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_postponed_request_keeps_its_bytes_and_headers() {
    let (client, script) = client([refused("3600"), Step::json(201, json!({"id": 1}))]);
    let request = client.request(Method::POST, "orders/1/attachments").bytes(PDF.to_vec(), "application/pdf");
    let request = request.header("idempotency-key", "hush");
    let Err(Error::RateLimited(limited)) = request.send::<Value>().await else { panic!("the limit is exhausted") };
    let postponed = limited.postpone();
    assert!(!format!("{postponed:?} {limited:?}").contains("hush"));
    let postponed: Postponed = serde_json::from_str(&serde_json::to_string(&postponed).unwrap()).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3601)).await;
    client.resume(&postponed).send::<Value>().await.unwrap();
    let sent = &script.requests()[1];
    assert_eq!((&sent.body[..], &sent.headers["content-type"]), (&PDF[..], &"application/pdf".parse().unwrap()));
    assert_eq!(sent.headers["idempotency-key"], "hush");
}
