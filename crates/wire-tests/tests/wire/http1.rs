//! What servers of HTTP/1.1 need: they read requests, and write bytes that a test chooses.

use std::future::Future;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::soon;

/// A listener on a free port, and the base URL of a server behind it.
pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
    (listener, url)
}

/// The next connection to a listener.
pub(crate) async fn accept(listener: &TcpListener) -> TcpStream {
    let (stream, _) = soon(listener.accept()).await.unwrap();
    stream
}

/// A server that reads one request per connection, writes these bytes, and closes. Returns its base URL, and the number of
/// requests once all responses have been written.
pub(crate) async fn serve_each(responses: Vec<Vec<u8>>) -> (String, impl Future<Output = usize>) {
    let (listener, url) = listen().await;
    let serving = tokio::spawn(async move {
        let expected = responses.len();
        for response in responses {
            let (mut stream, _) = listener.accept().await.unwrap();
            read_request(&mut stream).await.unwrap();
            stream.write_all(&response).await.unwrap();
            stream.shutdown().await.unwrap();
        }
        expected
    });
    (url, async { serving.await.unwrap() })
}

/// Reads the head of a request and the body that it announces. `None` if the client closes the connection instead.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let announced =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= announced.unwrap_or(0) {
                return Some(text.into_owned());
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) if bytes.is_empty() => return None,
            Ok(0) | Err(_) => panic!("the request breaks off: {:?}", String::from_utf8_lossy(&bytes)),
            Ok(_) => {}
        }
    }
}

/// Reads one request and responds to it.
pub(crate) async fn respond(stream: &mut TcpStream, response: impl AsRef<[u8]>) {
    read_request(stream).await.expect("the client sends a request");
    stream.write_all(response.as_ref()).await.unwrap();
}

/// A response after which the connection stays open, with these fields in its head besides the length.
pub(crate) fn response(status_and_fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status_and_fields}\r\ncontent-length: {}\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

/// A response with an object that has this id.
pub(crate) fn object(id: u64) -> Vec<u8> {
    response("200 OK\r\ncontent-type: application/json", format!("{{\"id\": {id}}}"))
}
