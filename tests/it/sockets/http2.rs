//! HTTP/2, with a server that sends the frames that a test chooses.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use serde_json::Value;
use servicebay::{CallOptions, Error, HttpConfig, RetryPolicy, fixably};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

use super::connecting::{pass, start};
use crate::support::SECRET;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

const ACK: u8 = 1;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const REFUSED_STREAM: u32 = 7;
const CANCEL: u32 = 8;
const ENHANCE_YOUR_CALM: u32 = 11;

/// `:status: 200`, as HPACK encodes it.
const STATUS_200: u8 = 0x88;

/// What the server does with a request once it is complete.
#[derive(Clone, Copy, Debug)]
enum Reply {
    /// Responds with 200 and an object, and with this many header fields of this size.
    Ok { fields: usize, size: usize },
    /// Ends the stream with this code.
    Reset(u32),
    /// Says that it processed the streams up to this one, with this code, and closes the connection.
    GoAway { last_stream: u32, code: u32 },
    /// Never responds.
    Silence,
}

const OK: Reply = Reply::Ok { fields: 0, size: 0 };

/// A server that handles its requests one after the other as the test says, whatever their connections.
struct Server {
    url: String,
    state: Arc<State>,
}

struct State {
    replies: Mutex<VecDeque<Reply>>,
    /// The number of complete requests, or of heads if bodies are ignored.
    requests: Mutex<usize>,
    arrived: Notify,
    max_streams: Option<u32>,
    /// Whether it replies to the head of a request, and ignores the body.
    ignores_bodies: bool,
}

impl Server {
    async fn start(replies: impl IntoIterator<Item = Reply>, max_streams: Option<u32>) -> Self {
        Self::start_with(replies, max_streams, false).await
    }

    async fn start_with(
        replies: impl IntoIterator<Item = Reply>,
        max_streams: Option<u32>,
        ignores_bodies: bool,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
        let state = Arc::new(State {
            replies: Mutex::new(replies.into_iter().collect()),
            requests: Mutex::default(),
            arrived: Notify::new(),
            max_streams,
            ignores_bodies,
        });
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&accepting);
                stream.set_nodelay(true).unwrap();
                // A client that is done closes its connection.
                tokio::spawn(async move { state.serve(stream).await.ok() });
            }
        });
        Self { url, state }
    }

    fn client(&self) -> fixably::Client {
        let no_delay = RetryPolicy::new().with_min_delay(Duration::ZERO).with_max_delay(Duration::ZERO);
        fixably::Client::builder(fixably::Credentials::bearer(SECRET))
            .with_base_url(&self.url)
            .with_http_config(HttpConfig::new().with_http2_prior_knowledge())
            .with_retry(no_delay)
            .build()
            .unwrap()
    }

    fn requests(&self) -> usize {
        *self.state.requests.lock().unwrap()
    }
}

impl State {
    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut preface = [0; 24];
        stream.read_exact(&mut preface).await?;
        let max_streams = self.max_streams.map(|max| [&[0, 3], &max.to_be_bytes()[..]].concat());
        write(&mut stream, SETTINGS, 0, 0, &max_streams.unwrap_or_default()).await?;
        loop {
            let mut head = [0; 9];
            stream.read_exact(&mut head).await?;
            let [a, b, c, kind, flags, id @ ..] = head;
            let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
            stream.read_exact(&mut payload).await?;
            let is_due = if self.ignores_bodies { kind == HEADERS } else { flags & END_STREAM != 0 };
            match kind {
                SETTINGS if flags & ACK == 0 => write(&mut stream, SETTINGS, ACK, 0, &[]).await?,
                PING if flags & ACK == 0 => write(&mut stream, PING, ACK, 0, &payload).await?,
                DATA | HEADERS if is_due => {
                    *self.requests.lock().unwrap() += 1;
                    self.arrived.notify_one();
                    let reply = self.replies.lock().unwrap().pop_front().unwrap_or(Reply::Silence);
                    respond(&mut stream, u32::from_be_bytes(id), reply).await?;
                    if matches!(reply, Reply::GoAway { .. }) {
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
    }
}

async fn respond(stream: &mut TcpStream, id: u32, reply: Reply) -> std::io::Result<()> {
    match reply {
        Reply::Ok { fields, size } => {
            let mut block = vec![STATUS_200];
            for field in 0..fields {
                block.extend(literal(&format!("x-{field}"), &"v".repeat(size)));
            }
            let mut parts = block.chunks(16_384).peekable();
            let mut kind = HEADERS;
            while let Some(part) = parts.next() {
                let flags = if parts.peek().is_none() { END_HEADERS } else { 0 };
                write(stream, kind, flags, id, part).await?;
                kind = CONTINUATION;
            }
            write(stream, DATA, END_STREAM, id, br#"{"id": 1}"#).await
        }
        Reply::Reset(code) => write(stream, RST_STREAM, 0, id, &code.to_be_bytes()).await,
        Reply::GoAway { last_stream, code } => {
            write(stream, GOAWAY, 0, 0, &[last_stream.to_be_bytes(), code.to_be_bytes()].concat()).await
        }
        Reply::Silence => Ok(()),
    }
}

async fn write(stream: &mut TcpStream, kind: u8, flags: u8, id: u32, payload: &[u8]) -> std::io::Result<()> {
    let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(id.to_be_bytes());
    frame.extend(payload);
    stream.write_all(&frame).await
}

/// A header field as HPACK encodes it, without an index.
fn literal(name: &str, value: &str) -> Vec<u8> {
    let mut field = vec![0];
    for text in [name, value] {
        // An integer with a prefix of seven bits.
        match text.len() {
            length @ ..127 => field.push(length as u8),
            length => {
                field.push(127);
                let mut rest = length - 127;
                while rest >= 128 {
                    field.push((rest % 128) as u8 | 128);
                    rest /= 128;
                }
                field.push(rest as u8);
            }
        }
        field.extend(text.as_bytes());
    }
    field
}

async fn call(client: &fixably::Client, method: Method) -> Result<(), Error> {
    let request = client.request(method, "orders/1/anything").json(&serde_json::json!({"note": "Cracked"}));
    request.send::<Value>().await.map(|_| ())
}

#[tokio::test]
async fn a_stream_that_the_server_did_not_process_is_repeated_whatever_the_method() {
    for reply in [
        Reply::Reset(REFUSED_STREAM),
        Reply::GoAway { last_stream: 0, code: NO_ERROR },
        Reply::GoAway { last_stream: 0, code: ENHANCE_YOUR_CALM },
    ] {
        for method in [Method::POST, Method::PATCH, Method::PUT] {
            let server = Server::start([reply, reply, OK], None).await;
            let result = call(&server.client(), method.clone()).await;
            assert!(result.is_ok(), "{method} {reply:?}: {result:?}");
            assert_eq!(server.requests(), 3, "{method} {reply:?}");
        }
        let server = Server::start([reply; 3], None).await;
        let error = call(&server.client(), Method::POST).await.unwrap_err();
        assert!(matches!(error, Error::Connect(_)), "{reply:?}: {error:?}");
        assert!(error.is_retryable() && !error.maybe_applied(), "{reply:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_stream_that_the_server_may_have_processed_has_an_unknown_outcome() {
    for reply in [
        Reply::Reset(CANCEL),
        Reply::Reset(INTERNAL_ERROR),
        // The client's first stream has the id 1.
        Reply::GoAway { last_stream: 1, code: NO_ERROR },
        Reply::GoAway { last_stream: 1, code: INTERNAL_ERROR },
        Reply::GoAway { last_stream: i32::MAX as u32, code: ENHANCE_YOUR_CALM },
    ] {
        let server = Server::start([reply, OK], None).await;
        let error = call(&server.client(), Method::POST).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{reply:?}: {error:?}");
        assert_eq!(server.requests(), 1, "{reply:?}");
    }
}

/// The head leaves before the connection asks for the body. With several threads the server may end the stream or the
/// connection in between, in some of so many calls.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_stream_that_ends_before_the_body_was_sent_may_have_been_processed() {
    let go_away = Reply::GoAway { last_stream: i32::MAX as u32, code: NO_ERROR };
    for (reply, calls) in [(Reply::Reset(CANCEL), 3000), (go_away, 400)] {
        let server = Server::start_with(std::iter::repeat_n(reply, calls * 2), None, true).await;
        let client = server.client();
        for _ in 0..calls / 4 {
            for call in [(); 4].map(|()| start(&client, &Method::POST, true)) {
                call.await.unwrap();
            }
        }
        let requests = server.requests();
        assert!(requests > 0 && requests <= calls, "{reply:?}: {requests}");
    }
}

#[tokio::test]
async fn the_end_of_a_connection_is_judged_for_each_of_its_streams() {
    // The streams of the client are 1, 3 and 5.
    let server = Server::start([OK, Reply::Silence, Reply::GoAway { last_stream: 3, code: NO_ERROR }, OK], None).await;
    let client = server.client();
    call(&client, Method::POST).await.unwrap();
    let processed = start(&client, &Method::POST, true);
    while server.requests() < 2 {
        server.state.arrived.notified().await;
    }
    let unprocessed = call(&client, Method::POST).await;
    assert!(unprocessed.is_ok(), "{unprocessed:?}");
    let error = processed.await.unwrap();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert_eq!(server.requests(), 4);
}

#[tokio::test]
async fn requests_that_wait_for_a_stream_were_not_sent() {
    const TIMEOUT: Duration = Duration::from_secs(5);
    let server = Server::start([OK, Reply::Silence], Some(1)).await;
    let client = server.client();
    // The first call has the connection learn how many streams there may be.
    call(&client, Method::POST).await.unwrap();
    let patient = client.with_options(CallOptions::new().with_operation_timeout(TIMEOUT * 2));
    let occupying = start(&patient, &Method::POST, true);
    server.state.arrived.notified().await;
    while server.requests() < 2 {
        server.state.arrived.notified().await;
    }
    let hasty = client.with_options(CallOptions::new().with_operation_timeout(TIMEOUT));
    let waiting = [(Method::POST, true), (Method::POST, true), (Method::POST, false), (Method::GET, false)]
        .map(|(method, has_body)| start(&hasty, &method, has_body));
    // Let each get as far as it can.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    pass(TIMEOUT).await;
    for call in waiting {
        let error = call.await.unwrap();
        assert!(matches!(error, Error::Connect(_)), "{error:?}");
        assert!(!error.maybe_applied(), "{error:?}");
    }
    pass(TIMEOUT).await;
    let error = occupying.await.unwrap();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    // The stream is free again, and none of those that waited takes it.
    call_until_served(&server, &client).await;
}

async fn call_until_served(server: &Server, client: &fixably::Client) {
    server.state.replies.lock().unwrap().push_back(OK);
    call(client, Method::POST).await.unwrap();
    assert_eq!(server.requests(), 3);
}

#[tokio::test]
async fn a_request_on_a_stream_may_have_been_applied_with_a_body_or_without() {
    const TIMEOUT: Duration = Duration::from_secs(5);
    for has_body in [true, false] {
        let server = Server::start([Reply::Silence], None).await;
        let client = server.client().with_options(CallOptions::new().with_operation_timeout(TIMEOUT));
        let call = start(&client, &Method::POST, has_body);
        server.state.arrived.notified().await;
        pass(TIMEOUT).await;
        let error = call.await.unwrap();
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{has_body}: {error:?}");
    }
}

#[tokio::test]
async fn an_http2_response_may_have_a_thousand_header_fields() {
    for fields in [150, 1000] {
        let server = Server::start([Reply::Ok { fields, size: 10 }], None).await;
        let order = server.client().get_order().id(1).send().await.unwrap();
        assert_eq!(order.headers().len(), fields);
    }
}

#[tokio::test]
async fn an_http2_head_beyond_the_bounds_is_an_error_that_says_so_after_one_attempt() {
    let server = Server::start([Reply::Ok { fields: 70, size: 4000 }; 3], None).await;
    let error = server.client().get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("more header fields than this client reads"), "{error}");
    assert_eq!(server.requests(), 1);
}
