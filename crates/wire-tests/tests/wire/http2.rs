//! HTTP/2 over TLS, with a server that refuses, resets, closes and goes silent.

use std::sync::Arc;
use std::time::Duration;

use h2::Reason;
use http::{Method, StatusCode};
use servicebay::{CallOptions, Error, HttpConfig, RetryPolicy, fixably};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::http2_server::{RecordedRequest, Reply, Server};
use crate::{assert_not_sent, assert_outcome_unknown, call, end, pass, settle, start, whole_text};

/// Longer than any step of a test.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than any silence that a test has to notice.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long a connection with a request under way may be silent until it is asked for a sign of life, and how long it then
/// has, each with a second more.
const PING_INTERVAL: Duration = Duration::from_secs(21);
const PING_TIMEOUT: Duration = Duration::from_secs(11);
/// How long an idle connection is kept, and a second more.
const MAX_IDLE: Duration = Duration::from_secs(21);

fn attempt_timeout(timeout: Duration) -> CallOptions {
    CallOptions::new().with_attempt_timeout(timeout)
}

/// How often a request with this note arrived.
fn arrivals(received: &[RecordedRequest], note: &str) -> usize {
    received.iter().filter(|request| request.body.contains(note)).count()
}

#[tokio::test]
async fn calls_at_a_time_share_one_connection_even_if_each_had_begun_to_open_one_and_each_arrives_once() {
    let server = Server::start([]).await;
    let client = server.client(CallOptions::new());
    // Until a response has told the limit, calls wait for each other.
    call(&client, Method::POST, "alone").await.unwrap();
    pass(MAX_IDLE).await;
    for round in ["first", "second"] {
        let calls: Vec<_> = (0..20).map(|_| start(&client, Method::POST, round)).collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap(), Some(1));
        }
        assert_eq!(arrivals(&server.received(), round), 20);
    }
    assert!(server.handshakes() > 10, "{}", server.handshakes());
    let received = server.received();
    let shared = received.last().unwrap().connection;
    assert!(received[21..].iter().all(|request| request.connection == shared), "{received:?}");
}

#[tokio::test]
async fn a_refused_stream_is_repeated_once_whatever_the_method() {
    for method in [Method::POST, Method::PATCH, Method::PUT, Method::GET] {
        let server = Server::start([Reply::Reset(Reason::REFUSED_STREAM)]).await;
        let result = call(&server.client(CallOptions::new()), method.clone(), "once").await;
        assert!(result.is_ok(), "{method}: {result:?}");
        assert_eq!(server.received().len(), 2, "{method}");
    }
}

#[tokio::test]
async fn a_stream_that_is_always_refused_is_given_up_and_was_not_sent() {
    let always = vec![Reply::Reset(Reason::REFUSED_STREAM); 100];
    for method in [Method::POST, Method::GET] {
        let server = Server::start(always.clone()).await;
        let result = call(&server.client(CallOptions::new()), method.clone(), "never").await;
        assert_not_sent(result, method.as_str());
        assert_eq!(server.received().len(), 3, "{method}");
    }
}

#[tokio::test]
async fn what_ends_after_the_request_was_read_is_repeated_if_it_is_a_get_and_not_if_it_is_a_post() {
    for reply in [
        Reply::Reset(Reason::INTERNAL_ERROR),
        Reply::Reset(Reason::CANCEL),
        Reply::Reset(Reason::NO_ERROR),
        Reply::Reset(Reason::ENHANCE_YOUR_CALM),
        Reply::Close(Reason::NO_ERROR),
        Reply::Close(Reason::INTERNAL_ERROR),
        Reply::HeadAndReset(Reason::INTERNAL_ERROR),
        // After the head of a response it is no longer true that nothing was processed.
        Reply::HeadAndReset(Reason::REFUSED_STREAM),
    ] {
        let shown = format!("{reply:?}");
        let server = Server::start([reply.clone()]).await;
        let result = call(&server.client(CallOptions::new()), Method::GET, "read").await;
        assert!(result.is_ok(), "{shown}: {result:?}");
        assert_eq!(server.received().len(), 2, "{shown}");

        let server = Server::start([reply]).await;
        let result = call(&server.client(CallOptions::new()), Method::POST, "write").await;
        let error = assert_outcome_unknown(result, &shown);
        let status = error.call_error().unwrap().status();
        assert_eq!(status, shown.starts_with("HeadAndReset").then_some(StatusCode::OK), "{shown}");
        settle().await;
        assert_eq!(server.received().len(), 1, "{shown}");
    }
}

#[tokio::test]
async fn a_call_under_way_outlives_the_announced_end_of_its_connection_and_later_ones_use_another() {
    let released = Arc::new(Notify::new());
    let server = Server::start([Reply::Ok, Reply::GoAwayAndOkLater(Arc::clone(&released))]).await;
    let client = server.client(CallOptions::new());
    // Until a response has told the limit, calls wait for each other.
    call(&client, Method::POST, "first").await.unwrap();
    let under_way = start(&client, Method::POST, "under way");
    server.wait_for(2).await;
    // The end is announced, and the client has heard of it.
    settle().await;
    call(&client, Method::POST, "later").await.unwrap();
    released.notify_one();
    end(under_way).await.unwrap();
    let received = server.received();
    let connections: Vec<_> = received.iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1], "{received:?}");
    assert_eq!((arrivals(&received, "under way"), arrivals(&received, "later")), (1, 1));
}

/// A connection with one stream, which a call occupies until it is released.
struct Occupied {
    server: Server,
    client: fixably::Client,
    occupying: JoinHandle<Result<Option<u64>, Error>>,
    released: Arc<Notify>,
}

impl Occupied {
    async fn start() -> Self {
        let released = Arc::new(Notify::new());
        let server = Server::start_with([Reply::Ok, Reply::OkLater(Arc::clone(&released))], Some(1)).await;
        let client = server.client(attempt_timeout(PATIENCE));
        // The first call has the connection learn how many streams there may be.
        call(&client, Method::POST, "the first").await.unwrap();
        let occupying = start(&client, Method::POST, "occupying");
        server.wait_for(2).await;
        Self { server, client, occupying, released }
    }
}

#[tokio::test]
async fn a_post_whose_attempt_ends_while_it_waits_for_a_stream_was_not_sent() {
    let Occupied { server, client, occupying, released } = Occupied::start().await;
    let hasty = client.with_options(attempt_timeout(TIMEOUT).with_retry(RetryPolicy::never()));
    let waiting = start(&hasty, Method::POST, "waiting");
    pass(TIMEOUT + Duration::from_secs(1)).await;
    let error = assert_not_sent(end(waiting).await, "waiting");
    assert!(error.to_string().contains("no connection was ready in time"), "{error}");
    released.notify_one();
    end(occupying).await.unwrap();
    // The stream is free again, and the call that was given up does not take it.
    call(&client, Method::POST, "the last").await.unwrap();
    assert_eq!(arrivals(&server.received(), "waiting"), 0, "{:?}", server.received());
}

#[tokio::test]
async fn a_post_that_waited_too_long_for_a_stream_is_sent_in_a_later_attempt_and_once() {
    let Occupied { server, client, occupying, released } = Occupied::start().await;
    let waiting = start(&client.with_options(attempt_timeout(TIMEOUT)), Method::POST, "waiting");
    pass(TIMEOUT + Duration::from_secs(1)).await;
    assert!(!waiting.is_finished());
    released.notify_one();
    end(occupying).await.unwrap();
    end(waiting).await.unwrap();
    assert_eq!(arrivals(&server.received(), "waiting"), 1, "{:?}", server.received());
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_connection_that_went_silent_is_given_up_and_a_read_is_repeated_on_another() {
    let server = Server::start([Reply::Ok, Reply::Silence]).await;
    let client = server.client(attempt_timeout(PATIENCE));
    call(&client, Method::GET, "the first").await.unwrap();
    let read = start(&client, Method::GET, "read");
    server.wait_for(2).await;
    pass(PING_INTERVAL).await;
    assert!(!read.is_finished());
    pass(PING_TIMEOUT).await;
    end(read).await.unwrap();
    let connections: Vec<_> = server.received().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 1]);
}

#[tokio::test]
async fn a_silent_connection_is_given_up_after_the_ping_interval_and_timeout_that_were_set() {
    const SECOND: Duration = Duration::from_secs(1);
    let http = HttpConfig::new().with_http2_ping_interval(SECOND * 3).with_http2_ping_timeout(SECOND * 2);
    let server = Server::start([Reply::Ok, Reply::Silence]).await;
    let client = server.client_with(attempt_timeout(PATIENCE), http);
    call(&client, Method::GET, "the first").await.unwrap();
    let read = start(&client, Method::GET, "read");
    server.wait_for(2).await;
    pass(SECOND * 4).await;
    assert!(!read.is_finished());
    pass(SECOND * 3).await;
    end(read).await.unwrap();
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_write_on_a_connection_that_went_silent_has_an_unknown_outcome_and_the_next_call_uses_another() {
    let server = Server::start([Reply::Ok, Reply::Silence]).await;
    let client = server.client(attempt_timeout(PATIENCE));
    call(&client, Method::GET, "the first").await.unwrap();
    let write = start(&client, Method::POST, "write");
    server.wait_for(2).await;
    pass(PING_INTERVAL).await;
    pass(PING_TIMEOUT).await;
    let error = assert_outcome_unknown(end(write).await, "write");
    assert!(whole_text(&error).contains("keep-alive timed out"), "{}", whole_text(&error));
    call(&client, Method::POST, "the next").await.unwrap();
    assert_eq!(arrivals(&server.received(), "write"), 1);
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_with_a_slow_response_is_not_given_up_as_long_as_it_gives_signs_of_life() {
    let released = Arc::new(Notify::new());
    let server = Server::start([Reply::OkLater(Arc::clone(&released))]).await;
    let client = server.client(attempt_timeout(PATIENCE));
    let slow = start(&client, Method::POST, "slow");
    server.wait_for(1).await;
    for _ in 0..4 {
        pass(PING_INTERVAL).await;
        pass(PING_TIMEOUT).await;
    }
    released.notify_one();
    end(slow).await.unwrap();
    assert_eq!(server.received().len(), 1);
}

/// Calls that end before the connection is asked for a sign of life must not keep a silent one in use.
#[tokio::test]
async fn short_calls_do_not_keep_a_silent_connection_alive() {
    let server = Server::start([Reply::Ok, Reply::Silence]).await;
    let client = server.client(attempt_timeout(TIMEOUT).with_retry(RetryPolicy::never()));
    call(&client, Method::GET, "the first").await.unwrap();
    let mut silent_for = Duration::ZERO;
    while silent_for < PING_INTERVAL + PING_TIMEOUT {
        let short = start(&client, Method::GET, "short");
        pass(TIMEOUT).await;
        silent_for += TIMEOUT;
        if silent_for < PING_INTERVAL {
            let error = end(short).await.unwrap_err();
            assert!(matches!(error, Error::Timeout(_)), "{silent_for:?}: {error:?}");
        }
    }
    call(&client, Method::GET, "the last").await.unwrap();
    let last = server.received().pop().unwrap();
    assert!(last.body.contains("the last") && last.connection == 1, "{last:?}");
}

#[tokio::test]
async fn an_early_refusal_counts_although_the_server_does_not_read_the_request() {
    let server = Server::start([Reply::TooLarge]).await;
    let large = "x".repeat(8_000_000);
    let error = call(&server.client(CallOptions::new()), Method::POST, &large).await.unwrap_err();
    assert!(matches!(error, Error::Api(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().status(), Some(StatusCode::PAYLOAD_TOO_LARGE));
    assert!(!error.maybe_applied(), "{error:?}");
    assert_eq!(server.received().len(), 1);
}
