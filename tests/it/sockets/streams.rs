//! Downloads and uploads over real sockets.

use bytes::Bytes;
use futures_util::stream;
use servicebay::Body;

use super::*;
use crate::folder::Folder;

#[tokio::test]
async fn a_download_goes_on_over_a_second_connection() {
    let cut = b"HTTP/1.1 200 OK\r\netag: \"v1\"\r\ncontent-length: 10\r\n\r\n0123".to_vec();
    let rest = response("206 Partial Content\r\netag: \"v1\"\r\ncontent-range: bytes 4-9/10", "456789");
    let (url, seen) = server(vec![cut, rest]).await;
    let folder = Folder::new();
    let path = folder.path().join("file.txt");
    let file = client(&url).request(Method::GET, "file").download().await.unwrap();
    assert_eq!(file.length(), Some(10));
    assert_eq!(file.save(&path).await.unwrap(), 10);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "0123456789");
    let seen = seen.await;
    assert!(seen[1].contains("range: bytes=4-\r\n") && seen[1].contains("if-range: \"v1\"\r\n"), "{seen:?}");
}

#[tokio::test]
async fn a_file_is_sent_with_its_length_and_again_if_the_server_failed() {
    let folder = Folder::new();
    let path = folder.path().join("file.txt");
    std::fs::write(&path, "content").unwrap();
    let (url, seen) = server(vec![response("503 Service Unavailable", ""), json("{}")]).await;
    let request = client(&url).request(Method::PUT, "file").file(&path, "text/plain");
    request.send::<serde_json::Value>().await.unwrap();
    for request in seen.await {
        assert!(request.contains("content-length: 7\r\n") && request.ends_with("\r\n\r\ncontent"), "{request}");
    }
}

#[tokio::test]
async fn a_stream_without_a_length_is_sent_in_chunks() {
    let (url, seen) = server(vec![json("{}")]).await;
    let pieces = stream::iter(["ab", "c"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece))));
    let request = client(&url).request(Method::POST, "import").body(Body::from_stream(pieces, None), "text/plain");
    request.send::<serde_json::Value>().await.unwrap();
    let seen = seen.await;
    assert!(seen[0].contains("transfer-encoding: chunked\r\n"), "{seen:?}");
}

#[tokio::test]
async fn a_stream_that_no_connection_has_read_is_not_used_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = fixably::Client::builder(fixably::Credentials::bearer(SECRET))
        .with_base_url(format!("http://{address}/api/v3"))
        .with_retry(RetryPolicy::new().with_max_attempts(2).with_min_delay(std::time::Duration::from_millis(1)))
        .build()
        .unwrap();
    let pieces = stream::iter(["abc"].map(|piece| Ok::<_, std::io::Error>(Bytes::from(piece))));
    let request = client.request(Method::POST, "import").body(Body::from_stream(pieces, Some(3)), "text/plain");
    let error = request.send::<serde_json::Value>().await.unwrap_err();
    let Error::Connect(call) = &error else { panic!("{error:?}") };
    assert_eq!((call.attempts(), call.maybe_applied()), (2, false), "it was sent again, because nothing had read it");
}

#[tokio::test]
async fn a_write_with_an_empty_file_or_stream_may_have_been_applied_once_it_was_sent() {
    let folder = Folder::new();
    let path = folder.path().join("empty");
    std::fs::write(&path, "").unwrap();
    for is_file in [true, false] {
        let (url, seen) = server(vec![Vec::new()]).await;
        let request = client(&url).request(Method::POST, "import");
        let nothing = stream::empty::<Result<Bytes, std::io::Error>>();
        let request = match is_file {
            true => request.file(&path, "text/plain"),
            false => request.body(Body::from_stream(nothing, Some(0)), "text/plain"),
        };
        let error = request.send::<serde_json::Value>().await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown(_)) && error.maybe_applied(), "{error:?}");
        let seen = seen.await;
        assert!(seen.len() == 1 && seen[0].contains("content-length: 0\r\n"), "{seen:?}");
    }
}

#[tokio::test]
async fn http_as_a_transport_sends_all_headers() {
    let (url, seen) = server(vec![json("{}")]).await;
    let builder = fixably::Client::builder(fixably::Credentials::bearer(SECRET)).with_base_url(&url);
    let client = builder.with_transport(servicebay::HttpTransport::new()).build().unwrap();
    client.request(Method::GET, "a").header("x-mark", "1").send::<serde_json::Value>().await.unwrap();
    let seen = seen.await;
    assert!(seen[0].contains(&format!("authorization: Bearer {SECRET}\r\n")), "{seen:?}");
    assert!(seen[0].contains("x-mark: 1\r\n") && seen[0].contains("accept-encoding: gzip"), "{seen:?}");
}
