//! The transport over real sockets of this machine, for what a script cannot do.
//!
//! No test waits for time to pass: the servers respond at once, misbehave at once, or close.

mod connecting;
mod http2;
mod http_config;
mod streams;

use std::future::Future;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::Method;
use servicebay::{Error, RetryPolicy, fixably};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::SECRET;

/// A server that reads one request per connection, responds with these bytes, and closes. Returns its base URL, and the
/// requests once all responses have been sent.
async fn server(responses: Vec<Vec<u8>>) -> (String, impl Future<Output = Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut read = Vec::new();
        for response in responses {
            let (mut stream, _) = listener.accept().await.unwrap();
            read.push(request(&mut stream).await);
            // The client may have closed the connection because the response is too large.
            let _ = stream.write_all(&response).await;
            let _ = stream.shutdown().await;
        }
        read
    });
    (url, async { serving.await.unwrap() })
}

/// Reads the head of a request and the body that it announces.
async fn request(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= announced.unwrap_or(0) {
                return text;
            }
        }
        if stream.read_buf(&mut bytes).await.unwrap() == 0 {
            return String::from_utf8_lossy(&bytes).into_owned();
        }
    }
}

fn response(head: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {head}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n", body.as_ref().len()).into_bytes();
    bytes.extend_from_slice(body.as_ref());
    bytes
}

fn json(body: &str) -> Vec<u8> {
    response("200 OK\r\ncontent-type: application/json", body)
}

fn client(url: &str) -> fixably::Client {
    fixably::Client::builder(fixably::Credentials::bearer(SECRET))
        .with_base_url(url)
        .with_retry(
            RetryPolicy::new().with_min_delay(std::time::Duration::ZERO).with_max_delay(std::time::Duration::ZERO),
        )
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_call_is_sent_and_its_response_received() {
    let (url, seen) = server(vec![json(r#"{"id": 20000010}"#)]).await;
    let order = client(&url).get_order().id(20000010).send().await.unwrap();
    assert_eq!(order.id(), Some(20000010.into()));
    let seen = seen.await;
    assert!(seen[0].starts_with("GET /api/v3/orders/20000010 HTTP/1.1\r\n"), "{seen:?}");
    assert!(seen[0].contains(&format!("authorization: Bearer {SECRET}\r\n")), "{seen:?}");
}

#[tokio::test]
async fn a_truncated_body_is_requested_again_if_the_call_is_idempotent() {
    let cut = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"id\": 1".to_vec();
    let (url, seen) = server(vec![cut, json(r#"{"id": 1}"#)]).await;
    client(&url).get_order().id(1).send().await.unwrap();
    assert_eq!(seen.await.len(), 2);
}

#[tokio::test]
async fn a_write_with_a_truncated_response_has_an_unknown_outcome_and_is_sent_once() {
    let cut = b"HTTP/1.1 201 Created\r\ncontent-length: 1000\r\n\r\n{\"id\": 1".to_vec();
    let (url, seen) = server(vec![cut]).await;
    let error = client(&url).create_order().body(fixably::types::OrderCreate::new()).send().await.unwrap_err();
    match &error {
        Error::OutcomeUnknown(call) => assert_eq!(call.status().map(|status| status.as_u16()), Some(201)),
        other => panic!("{other:?}"),
    }
    assert!(error.maybe_applied());
    assert_eq!(seen.await.len(), 1);
}

#[tokio::test]
async fn a_connection_closed_without_a_response_leaves_the_outcome_of_a_write_unknown() {
    let (url, seen) = server(vec![Vec::new()]).await;
    let error = client(&url).create_order().body(fixably::types::OrderCreate::new()).send().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert_eq!(seen.await.len(), 1);
}

#[tokio::test]
async fn a_port_without_a_listener_is_a_connect_error_and_a_write_was_not_applied() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = client(&url).create_order().body(fixably::types::OrderCreate::new()).send().await.unwrap_err();
    match &error {
        Error::Connect(call) => assert_eq!(call.attempts(), 3),
        other => panic!("{other:?}"),
    }
    assert!(!error.maybe_applied());
    assert!(!error.to_string().contains("127.0.0.1"), "the URL is not repeated by the source: {error}");
}

#[tokio::test]
async fn a_redirect_to_another_host_does_not_send_the_token_there() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let target = format!("http://{}/steal", other.local_addr().unwrap());
    for status in ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let redirect = response(&format!("{status}\r\nlocation: {target}"), "");
        let (url, _seen) = server(vec![redirect]).await;
        let error = client(&url).get_order().id(1).send().await.unwrap_err();
        assert!(matches!(error, Error::Api(_)), "{error:?}");
        assert!(error.to_string().contains("/steal"), "{error}");
    }
    let connection = other.accept();
    assert!(connection.is_err(), "{connection:?}");
}

#[cfg(feature = "fentu")]
#[tokio::test]
async fn a_redirect_of_a_token_endpoint_does_not_send_the_refresh_token_there() {
    use servicebay::{TokenSet, fentu};

    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    other.set_nonblocking(true).unwrap();
    let target = format!("http://{}/steal", other.local_addr().unwrap());
    for status in ["307 Temporary Redirect", "308 Permanent Redirect"] {
        let (url, seen) = server(vec![response(&format!("{status}\r\nlocation: {target}"), "")]).await;
        let expired = TokenSet::new("expired")
            .with_refresh_token("r3fresh-token")
            .with_access_expires_at("2026-01-01T00:00Z".parse().unwrap());
        let client = fentu::Client::builder(fentu::Credentials::oauth("application", "secret", expired))
            .with_base_url(url)
            .build()
            .unwrap();
        let error = client.get_task().id("task-1").send().await.unwrap_err();
        assert!(error.to_string().contains("redirects, which is not followed"), "{error}");
        assert!(seen.await[0].contains("refresh_token=r3fresh-token"));
    }
    let connection = other.accept();
    assert!(connection.is_err(), "{connection:?}");
}

#[tokio::test]
async fn a_20_mb_body_is_rejected_by_its_announced_length() {
    let (url, _seen) = server(vec![json(&"x".repeat(20_000_000))]).await;
    let error = client(&url).get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    let expected = "larger than 16777216 bytes (it has 20000000), and none of its body is kept";
    assert!(error.to_string().contains(expected), "{error}");
}

#[tokio::test]
async fn a_body_without_an_announced_length_is_rejected_once_it_is_too_large() {
    let mut endless = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-type: application/json\r\n\r\n\"".to_vec();
    endless.resize(20_000_000, b'x');
    let (url, _seen) = server(vec![endless]).await;
    let error = client(&url).get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("larger than 16777216 bytes (it does not say how large it is)"), "{error}");
}

/// A response with this content, compressed.
fn gzip(status: &str, content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    response(
        &format!("{status}\r\ncontent-type: application/json\r\ncontent-encoding: gzip"),
        encoder.finish().unwrap(),
    )
}

#[tokio::test]
async fn a_compressed_response_is_asked_for_and_read() {
    let content = br#"{"id": 20000010, "reference": "R-1"}"#;
    let (url, seen) = server(vec![gzip("200 OK", content)]).await;
    let order = client(&url).get_order().id(20000010).send().await.unwrap();
    assert_eq!(order.reference.as_deref(), Some("R-1"));
    assert_eq!(&order.body()[..], content);
    assert!(!order.headers().contains_key("content-encoding"), "{:?}", order.headers());
    assert!(seen.await[0].contains("accept-encoding: gzip\r\n"));
}

#[tokio::test]
async fn an_error_response_may_be_compressed() {
    let (url, _seen) = server(vec![gzip("404 Not Found", br#"{"developerMessage": "No such order"}"#)]).await;
    let error = client(&url).get_order().id(1).send().await.unwrap_err();
    assert_eq!(error.call_error().unwrap().message(), Some("No such order"), "{error:?}");
}

#[tokio::test]
async fn a_compression_bomb_is_too_large() {
    let bomb = gzip("200 OK", &vec![b' '; 100_000_000]);
    assert!(bomb.len() < 200_000, "{}", bomb.len());
    let (url, seen) = server(vec![bomb]).await;
    let error = client(&url).get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("larger than 16777216 bytes (it arrived as"), "{error}");
    assert_eq!(seen.await.len(), 1);
}

#[tokio::test]
async fn the_first_mebibyte_of_an_error_response_is_kept_however_large_it_is() {
    let large = vec![b'x'; 3 * 1024 * 1024];
    let mut unannounced = b"HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n".to_vec();
    unannounced.extend_from_slice(&large);
    let small = vec![b'x'; 1024 * 1024];
    for (response, case) in [
        (response("404 Not Found", &large), "announced"),
        (unannounced, "unannounced"),
        (gzip("404 Not Found", &large), "compressed"),
        (response("404 Not Found", &small), "just small enough"),
    ] {
        let (url, seen) = server(vec![response]).await;
        let error = client(&url).get_order().id(1).send().await.unwrap_err();
        assert!(matches!(error, Error::NotFound(_)), "{case}: {error:?}");
        assert_eq!(error.call_error().unwrap().body().len(), 1024 * 1024, "{case}");
        assert_eq!(seen.await.len(), 1);
    }
}

#[tokio::test]
async fn a_damaged_compressed_response_is_an_error_that_says_so() {
    let damaged = response("200 OK\r\ncontent-encoding: gzip", b"\x1f\x8b\x08 damaged");
    let (url, seen) = server(vec![damaged]).await;
    let error = client(&url).get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("encoded as gzip, which cannot be read"), "{error}");
    assert_eq!(seen.await.len(), 1);
}

#[tokio::test]
async fn a_write_without_a_body_says_that_it_has_none() {
    for (method, expected) in [
        (Method::POST, true),
        (Method::PUT, true),
        (Method::PATCH, true),
        (Method::GET, false),
        (Method::DELETE, false),
    ] {
        let (url, seen) = server(vec![json("{}")]).await;
        client(&url).request(method.clone(), "orders/1/close").send::<serde_json::Value>().await.unwrap();
        let request = seen.await.remove(0);
        assert_eq!(request.contains("content-length: 0\r\n"), expected, "{method}: {request}");
        assert!(!request.contains("transfer-encoding"), "{method}: {request}");
    }
}

#[tokio::test]
async fn a_body_is_sent_with_its_length() {
    let (url, seen) = server(vec![json(r#"{"id": 1}"#)]).await;
    let body = fixably::types::OrderUpdate::new().status(450);
    client(&url).update_order().id(1).body(body).send().await.unwrap();
    let request = seen.await.remove(0);
    assert!(request.contains("content-length: 21\r\n") && request.ends_with(r#"{"status":{"id":450}}"#), "{request}");
    assert!(!request.contains("transfer-encoding"), "{request}");
}

/// A response with this many header fields.
fn with_fields(fields: usize) -> Vec<u8> {
    // Three of them are in every response.
    let more: String = (3..fields).map(|field| format!("\r\nx-field-{field}: value")).collect();
    response(&format!("200 OK\r\ncontent-type: application/json{more}"), r#"{"id": 1}"#)
}

#[tokio::test]
async fn a_response_may_have_two_hundred_header_fields() {
    for fields in [150, 250] {
        let (url, seen) = server(vec![with_fields(fields)]).await;
        let order = client(&url).get_order().id(1).send().await.unwrap();
        assert_eq!(order.headers().len(), fields);
        assert_eq!(seen.await.len(), 1);
    }
}

#[tokio::test]
async fn an_http1_head_beyond_the_bounds_is_an_error_that_says_so_after_one_attempt() {
    let (url, seen) = server(vec![with_fields(300)]).await;
    let error = client(&url).get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("more header fields than this client reads (256, or 256 KiB)"), "{error}");
    assert_eq!(seen.await.len(), 1);

    let (url, seen) = server(vec![with_fields(300)]).await;
    let error = client(&url).create_order().body(fixably::types::OrderCreate::new()).send().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert_eq!(seen.await.len(), 1);
}

#[tokio::test]
async fn a_chunked_body_is_put_together() {
    let mut chunked = b"HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    for chunk in [r#"{"id""#, r#": 20000"#, r#"010, "reference": "#, r#""R-1"}"#] {
        chunked.extend_from_slice(format!("{:x}\r\n{chunk}\r\n", chunk.len()).as_bytes());
    }
    chunked.extend_from_slice(b"0\r\n\r\n");
    let (url, _seen) = server(vec![chunked]).await;
    let order = client(&url).get_order().id(1).send().await.unwrap();
    assert_eq!((order.id(), order.reference.as_deref()), (Some(20000010.into()), Some("R-1")));
}

#[tokio::test]
async fn headers_outside_ascii_are_kept_as_bytes() {
    let mut response =
        b"HTTP/1.1 200 OK\r\nconnection: close\r\nx-request-id: r\xfc\xff\r\nx-ratelimit-reset: \xe9\r\n".to_vec();
    response.extend_from_slice(b"content-length: 9\r\n\r\n{\"id\": 1}");
    let (url, _seen) = server(vec![response]).await;
    let order = client(&url).get_order().id(1).send().await.unwrap();
    assert_eq!(order.headers()["x-request-id"].as_bytes(), b"r\xfc\xff");
}

#[tokio::test]
async fn a_response_that_is_not_http_is_an_error_and_not_a_panic() {
    for nonsense in [&b"220 smtp ready\r\n"[..], b"\x16\x03\x01\x02\x00", b"HTTP/9.9 2000 OK\r\n\r\n", b"\0\0\0\0"] {
        let (url, _seen) = server(vec![nonsense.to_vec(); 3]).await;
        let error = client(&url).get_order().id(1).send().await.unwrap_err();
        assert!(matches!(error, Error::Connect(_)), "{error:?}");
    }
}

#[tokio::test]
async fn an_error_response_with_a_truncated_body_keeps_its_status() {
    for (status, expected) in [(400, "400"), (403, "403"), (404, "404"), (409, "409"), (422, "422")] {
        let cut =
            format!("HTTP/1.1 {status} No\r\ncontent-length: 1000\r\n\r\n{{\"developerMessage\": \"n").into_bytes();
        let (url, seen) = server(vec![cut]).await;
        let error = client(&url).create_order().body(fixably::types::OrderCreate::new()).send().await.unwrap_err();
        let actual = error.call_error().and_then(|call| call.status()).map(|status| status.as_str().to_owned());
        assert_eq!(actual.as_deref(), Some(expected), "{error:?}");
        assert!(!error.maybe_applied(), "{error:?}");
        assert_eq!(seen.await.len(), 1);
    }
}

#[tokio::test]
async fn a_429_with_a_truncated_body_still_pauses_the_tenant() {
    let cut = b"HTTP/1.1 429 No\r\nretry-after: 3600\r\ncontent-length: 1000\r\n\r\n{".to_vec();
    let (url, seen) = server(vec![cut]).await;
    let client = client(&url);
    for _ in 0..2 {
        let error = client.create_order().body(fixably::types::OrderCreate::new()).send().await.unwrap_err();
        assert!(matches!(error, Error::RateLimited(_)), "{error:?}");
    }
    assert_eq!(seen.await.len(), 1, "the second call was not sent");
}
