//! An HTTP/2 server over TLS that treats its requests as a test says.

use std::collections::VecDeque;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{Request, Response, StatusCode};
use servicebay::{CallOptions, HttpConfig, fixably};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc, watch};
use tokio_rustls::server::TlsStream;

use crate::certificates::{Authority, Claims, HOST};
use crate::soon;

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Reply {
    /// Responds with an object.
    Ok,
    /// The same, once the test says so.
    OkLater(Arc<Notify>),
    /// Ends the stream with this code, after the whole request was read.
    Reset(Reason),
    /// Sends the head of a response, and ends the stream with this code instead of a body.
    HeadAndReset(Reason),
    /// Announces the end of the connection, and responds with an object once the test says so.
    GoAwayAndOkLater(Arc<Notify>),
    /// Closes the connection with this code, after the whole request was read.
    Close(Reason),
    /// Responds with 413 without reading the body.
    TooLarge,
    /// Leaves the connection open, and neither reads nor writes it any more.
    Silence,
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct RecordedRequest {
    /// The number of its connection, counted from 0.
    pub(crate) connection: usize,
    pub(crate) body: String,
}

/// What only the task of a connection can do.
enum Command {
    GoAway,
    Close(Reason),
    /// Goes silent, and reports this request once it is.
    Silence(RecordedRequest),
}

/// Treats its requests one after the other as the test says, whatever their connections. Later ones get an object.
pub(crate) struct Server {
    authority: Arc<Authority>,
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    replies: Mutex<VecDeque<Reply>>,
    received: watch::Sender<Vec<RecordedRequest>>,
    /// The number of TLS handshakes.
    handshakes: AtomicUsize,
    /// The number of connections over which HTTP/2 was then spoken.
    connections: AtomicUsize,
    max_streams: Option<u32>,
}

impl Server {
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::start_with(replies, None).await
    }

    /// A server that allows this number of streams at a time.
    pub(crate) async fn start_with(replies: impl IntoIterator<Item = Reply>, max_streams: Option<u32>) -> Self {
        let authority = Arc::new(Authority::new());
        let acceptor = authority.acceptor(Claims::VALID, &["h2"]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            replies: Mutex::new(replies.into_iter().collect()),
            received: watch::Sender::default(),
            handshakes: AtomicUsize::default(),
            connections: AtomicUsize::default(),
            max_streams,
        });
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, state) = (acceptor.clone(), Arc::clone(&accepting));
                // A client that is done closes its connection.
                tokio::spawn(async move {
                    let stream = acceptor.accept(stream).await.unwrap();
                    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                    state.handshakes.fetch_add(1, Ordering::Relaxed);
                    state.serve(stream).await.ok()
                });
            }
        });
        Self { authority, address, state }
    }

    /// A client that trusts this server, and knows nothing of HTTP/2 but what the handshake says.
    pub(crate) fn client(&self, options: CallOptions) -> fixably::Client {
        self.client_with(options, HttpConfig::new())
    }

    /// The same with these options of its HTTP client.
    pub(crate) fn client_with(&self, options: CallOptions, http: HttpConfig) -> fixably::Client {
        let base_url = format!("https://{HOST}:{}/api/v3", self.address.port());
        crate::client_with(&base_url, options, self.authority.trusted_by(http))
    }

    pub(crate) fn handshakes(&self) -> usize {
        self.state.handshakes.load(Ordering::Relaxed)
    }

    pub(crate) fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// The requests that have arrived.
    pub(crate) fn received(&self) -> Vec<RecordedRequest> {
        self.state.received.borrow().clone()
    }

    /// Waits for this number of requests.
    pub(crate) async fn wait_for(&self, requests: usize) {
        let mut received = self.state.received.subscribe();
        soon(received.wait_for(|received| received.len() >= requests)).await.unwrap();
    }
}

impl State {
    async fn serve(self: Arc<Self>, stream: TlsStream<TcpStream>) -> Result<(), h2::Error> {
        let mut builder = h2::server::Builder::new();
        if let Some(max_streams) = self.max_streams {
            builder.max_concurrent_streams(max_streams);
        }
        let mut connection = builder.handshake(stream).await?;
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let (commands, mut ordered) = mpsc::unbounded_channel();
        loop {
            tokio::select! {
                request = connection.accept() => {
                    let Some(request) = request else { return Ok(()) };
                    let (request, response) = request?;
                    let reply = self.replies.lock().unwrap().pop_front().unwrap_or(Reply::Ok);
                    tokio::spawn(Arc::clone(&self).reply(number, request, response, reply, commands.clone()));
                }
                Some(command) = ordered.recv() => match command {
                    Command::GoAway => connection.graceful_shutdown(),
                    Command::Close(code) => connection.abrupt_shutdown(code),
                    Command::Silence(request) => {
                        self.report(request);
                        pending().await
                    }
                },
            }
        }
    }

    fn report(&self, request: RecordedRequest) {
        self.received.send_modify(|received| received.push(request));
    }

    async fn reply(
        self: Arc<Self>,
        connection: usize,
        request: Request<RecvStream>,
        response: SendResponse<Bytes>,
        reply: Reply,
        commands: mpsc::UnboundedSender<Command>,
    ) {
        let mut body = request.into_body();
        let mut received = RecordedRequest { connection, body: String::new() };
        if matches!(reply, Reply::TooLarge) {
            self.report(received);
            return send(response, StatusCode::PAYLOAD_TOO_LARGE, None);
        }
        received.body = read(&mut body).await;
        if matches!(reply, Reply::Silence) {
            commands.send(Command::Silence(received)).unwrap();
            return pending().await;
        }
        self.report(received);
        self.finish(response, reply, &commands).await;
    }

    async fn finish(&self, mut response: SendResponse<Bytes>, reply: Reply, commands: &mpsc::UnboundedSender<Command>) {
        match reply {
            Reply::Ok => send_object(response),
            Reply::OkLater(released) => {
                released.notified().await;
                send_object(response);
            }
            Reply::Reset(code) => response.send_reset(code),
            Reply::HeadAndReset(code) => {
                let mut stream = response.send_response(Response::new(()), false).unwrap();
                // The head is a frame of its own only if it is written before the stream ends.
                crate::settle().await;
                stream.send_reset(code);
            }
            Reply::GoAwayAndOkLater(released) => {
                commands.send(Command::GoAway).unwrap();
                released.notified().await;
                send_object(response);
            }
            Reply::Close(code) => commands.send(Command::Close(code)).unwrap(),
            Reply::TooLarge | Reply::Silence => unreachable!("these end before"),
        }
    }
}

/// Reads a body to its end.
async fn read(body: &mut RecvStream) -> String {
    let mut content = Vec::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk.unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        content.extend_from_slice(&chunk);
    }
    String::from_utf8(content).unwrap()
}

fn send_object(response: SendResponse<Bytes>) {
    send(response, StatusCode::OK, Some(Bytes::from_static(br#"{"id": 1}"#)));
}

fn send(mut response: SendResponse<Bytes>, status: StatusCode, body: Option<Bytes>) {
    let mut head = Response::new(());
    *head.status_mut() = status;
    // The client may have given the request up.
    let Ok(mut stream) = response.send_response(head, body.is_none()) else { return };
    if let Some(body) = body {
        let _ = stream.send_data(body, true);
    }
}
