//! Connections between two calls: when the client gives them up, and what happens if the server does.

use std::time::Duration;

use http::Method;
use servicebay::fixably;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::http1::{accept, listen, object, read_request, respond, response};
use crate::{assert_outcome_unknown, call, client, end, pass, settle, soon, start};

/// How long an idle connection is kept.
const MAX_IDLE: Duration = Duration::from_secs(20);
const SECOND: Duration = Duration::from_secs(1);

/// A client with one connection, which is idle after a first call, and the server's end of it.
async fn idle_connection(method: Method) -> (fixably::Client, TcpListener, TcpStream) {
    let (listener, url) = listen().await;
    let client = client(&url);
    let first = start(&client, method, "first");
    let mut stream = accept(&listener).await;
    respond(&mut stream, object(1)).await;
    end(first).await.unwrap();
    (client, listener, stream)
}

#[tokio::test]
async fn an_idle_connection_is_used_again_for_20_seconds_and_then_closed() {
    let (client, listener, mut stream) = idle_connection(Method::POST).await;
    pass(MAX_IDLE - SECOND).await;
    let second = start(&client, Method::POST, "second");
    respond(&mut stream, object(2)).await;
    assert_eq!(end(second).await.unwrap(), Some(2));

    pass(MAX_IDLE + SECOND).await;
    let third = start(&client, Method::POST, "third");
    let mut other = accept(&listener).await;
    respond(&mut other, object(3)).await;
    assert_eq!(end(third).await.unwrap(), Some(3));
    assert_eq!(soon(stream.read(&mut [0])).await.unwrap(), 0, "the client closes the first connection");
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_another_call() {
    let (_client, _listener, mut stream) = idle_connection(Method::GET).await;
    pass(MAX_IDLE + SECOND).await;
    assert_eq!(soon(stream.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_call_after_the_server_has_closed_the_idle_connection_uses_another_and_arrives_once() {
    for method in [Method::GET, Method::POST] {
        let (client, listener, stream) = idle_connection(method.clone()).await;
        drop(stream);
        // The client hears of it.
        settle().await;
        let second = start(&client, method.clone(), "second");
        let mut stream = accept(&listener).await;
        respond(&mut stream, object(2)).await;
        assert_eq!(end(second).await.unwrap(), Some(2), "{method}");
    }
}

/// The client writes its request to a connection that the server has just closed: it cannot know whether it was read.
#[tokio::test]
async fn a_request_that_meets_the_end_of_its_connection_is_repeated_if_it_is_a_get_and_not_if_it_is_a_post() {
    for method in [Method::GET, Method::POST] {
        let (client, listener, mut stream) = idle_connection(method.clone()).await;
        let second = start(&client, method.clone(), "second");
        read_request(&mut stream).await.unwrap();
        drop(stream);
        if method == Method::GET {
            let mut stream = accept(&listener).await;
            respond(&mut stream, object(2)).await;
            assert_eq!(end(second).await.unwrap(), Some(2));
        } else {
            assert_outcome_unknown(end(second).await, "a connection that ends");
        }
    }
}

/// Proxies send a 408 on idle connections before they close them.
#[tokio::test]
async fn what_a_server_sends_on_an_idle_connection_is_no_response_to_the_next_call() {
    for unsolicited in [response("408 Request Timeout\r\nconnection: close", ""), object(666), b"garbage".to_vec()] {
        let (client, listener, mut stream) = idle_connection(Method::POST).await;
        stream.write_all(&unsolicited).await.unwrap();
        settle().await;
        let second = start(&client, Method::POST, "second");
        let mut stream = accept(&listener).await;
        respond(&mut stream, object(2)).await;
        assert_eq!(end(second).await.unwrap(), Some(2));
    }
}

#[tokio::test]
async fn what_follows_a_response_is_no_response_to_the_next_call() {
    let chunked = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
                    9\r\n{\"id\": 1}\r\n0\r\n\r\n";
    for whole in [chunked.to_vec(), object(1)] {
        for trailing in [object(666), b"garbage".to_vec(), b"\r\n\r\n".to_vec()] {
            let (listener, url) = listen().await;
            let client = client(&url);
            let bytes = [&whole[..], &trailing].concat();
            let server = tokio::spawn(async move {
                let mut stream = accept(&listener).await;
                respond(&mut stream, bytes).await;
                let mut other = accept(&listener).await;
                respond(&mut other, object(2)).await;
            });
            // Nothing lies between the calls that would let the client notice.
            assert_eq!(call(&client, Method::POST, "first").await.unwrap(), Some(1));
            assert_eq!(call(&client, Method::POST, "second").await.unwrap(), Some(2));
            server.await.unwrap();
        }
    }
}
