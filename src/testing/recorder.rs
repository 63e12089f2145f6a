//! Middleware that records the exchanges of a client.

use std::fmt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::header::CONTENT_TYPE;
use http::{Request, Response, response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::keep::{Keep, is_secret_name};
use super::recording::{BodyEnd, FailureKind, RecordedFailure, Recording, RecordingError};
use super::scrub::{RawBody, RawExchange, RawOutcome, RawResponse, scrub};
use crate::error::BoxError;
use crate::transport::{Body, Environment, RequestInfo, Transport, TransportError, decompressed};

/// Of a larger body, the length alone is recorded.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// Middleware that records every exchange between a client and a vendor, for tests to [replay](super::Replay).
///
/// The client notices nothing: requests, responses and failures pass unchanged. What is recorded stays in memory, with its
/// secrets, until [`save`](Self::save) or [`recording`](Self::recording) scrubs it, as [`Recording`] describes. Clones record
/// together; give one to the client, and keep another.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use servicebay::fixably::{Client, Credentials};
/// use servicebay::testing::{Keep, Recorder, Recording, Replay};
///
/// # use servicebay::testing::fixably::{MockServer, TokenKind};
/// # let server = MockServer::builder().in_memory();
/// # let token = server.token(TokenKind::AdminAll);
/// # let folder = std::env::temp_dir().join(format!("servicebay-recorder-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder)?;
/// # let path = folder.join("orders.json");
/// # let http = server.clone();
/// # /*
/// let http = servicebay::HttpTransport::new();
/// # */
/// // Once, with a real tenant:
/// let recorder = Recorder::new(http).with_keep(Keep::default().with_members(["internalLocation"]));
/// let client = Client::builder(Credentials::bearer(token)).with_tenant("acme").with_transport(recorder.clone()).build()?;
/// let order = client.get_order().id(20000010).send().await?;
/// recorder.save(&path)?;
///
/// // In a test, without the tenant:
/// let replay = Replay::new(Recording::load(&path)?);
/// let client = Client::builder(Credentials::bearer("any")).with_tenant("any").with_transport(replay.clone()).build()?;
/// let replayed = client.get_order().id(20000010).send().await?;
/// assert_eq!(replayed.internal_location, order.internal_location);
/// assert_ne!(replayed.id(), order.id());
/// assert!(replay.remaining().is_empty());
/// # std::fs::remove_dir_all(&folder)?;
/// # Ok(()) }
/// ```
pub struct Recorder<T> {
    next: Arc<T>,
    keep: Arc<Keep>,
    session: Arc<Mutex<Session>>,
}

#[derive(Default)]
struct Session {
    /// The wall time and the instant at which the first client was built.
    start: Option<(Timestamp, Instant)>,
    exchanges: Vec<RawExchange>,
}

impl<T: Transport> Recorder<T> {
    /// Records what is sent through `next`, and keeps what [`Keep::default`] says.
    pub fn new(next: T) -> Self {
        Self { next: Arc::new(next), keep: Arc::default(), session: Arc::default() }
    }

    /// What the recording keeps as it is. Default: [`Keep::default`]. Clones that were made before keep what they kept.
    #[must_use]
    pub fn with_keep(mut self, keep: Keep) -> Self {
        self.keep = Arc::new(keep);
        self
    }

    /// What was recorded so far, scrubbed.
    pub fn recording(&self) -> Recording {
        let (start, _) = self.start();
        scrub(&self.keep, start, &lock(&self.session).exchanges)
    }

    /// Writes what was recorded so far to a file, scrubbed. Replaces an older recording at once; a long session can be saved
    /// again and again, so that a crash loses little.
    ///
    /// # Errors
    ///
    /// As [`Recording::save`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), RecordingError> {
        self.recording().save(path)
    }

    /// The wall time of the clients and the instant at which the session started: now, if it has not.
    fn start(&self) -> (Timestamp, Instant) {
        let wall = || match self.next.environment() {
            Some(environment) => environment.wall_clock().map_or_else(|| environment.wall(), |clock| clock.now()),
            None => crate::clock::wall_now(),
        };
        *lock(&self.session).start.get_or_insert_with(|| (wall(), Instant::now()))
    }

    /// Adds a request. Returns its index.
    fn add(&self, request: &Request<Body>) -> usize {
        let (_, start) = self.start();
        let exchange = raw_exchange(request, start.elapsed());
        let exchanges = &mut lock(&self.session).exchanges;
        exchanges.push(exchange);
        exchanges.len() - 1
    }
}

impl<T: Transport> Transport for Recorder<T> {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            let index = self.add(&request);
            let sent_at = Instant::now();
            let result = self.next.send(request).await;
            let after = sent_at.elapsed();
            match result {
                Ok(response) => {
                    let (head, body) = response.into_parts();
                    let tap = Tap::new(&self.session, index, &head, after);
                    let body = match body.as_bytes().cloned() {
                        Some(bytes) => {
                            tap.whole(&bytes);
                            body
                        }
                        None => Body::wrap(TappedBody { body: Box::pin(body), tap }),
                    };
                    Ok(Response::from_parts(head, body))
                }
                Err(error) => {
                    let kind = match error.may_have_arrived() {
                        false => FailureKind::NotSent,
                        true if error.is_timeout() => FailureKind::TimedOut,
                        true => FailureKind::MayHaveArrived,
                    };
                    let failure = RecordedFailure::new(after, kind);
                    lock(&self.session).exchanges[index].outcome = RawOutcome::Failed(failure);
                    Err(error)
                }
            }
        })
    }

    fn next(&self) -> Option<&dyn Transport> {
        Some(self.next.as_ref())
    }

    /// A client asks for it when it is built. Replayed clients start at that time.
    fn environment(&self) -> Option<&dyn Environment> {
        self.start();
        self.next.environment()
    }
}

impl<T> Clone for Recorder<T> {
    fn clone(&self) -> Self {
        Self { next: Arc::clone(&self.next), keep: Arc::clone(&self.keep), session: Arc::clone(&self.session) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Recorder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let exchanges = lock(&self.session).exchanges.len();
        f.debug_struct("Recorder")
            .field("next", &self.next)
            .field("keep", &self.keep)
            .field("exchanges", &exchanges)
            .finish()
    }
}

fn lock(session: &Mutex<Session>) -> MutexGuard<'_, Session> {
    session.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is recorded of a request. The body of a token request is not, but what must never be kept is learned from it.
fn raw_exchange(request: &Request<Body>, at: Duration) -> RawExchange {
    let info = request.extensions().get::<RequestInfo>();
    let is_token_request = info.is_some_and(RequestInfo::is_token_request);
    let mut secrets = Vec::new();
    for (name, value) in request.headers() {
        if (value.is_sensitive() || is_secret_name(name.as_str()))
            && let Ok(value) = value.to_str()
        {
            // With and without its scheme.
            secrets.extend(value.split_once(' ').map(|(_, token)| token.to_owned()));
            secrets.push(value.to_owned());
        }
    }
    let media_type = request.headers().get(CONTENT_TYPE).cloned();
    let content = request.body().as_bytes().filter(|bytes| bytes.len() <= MAX_BODY);
    let mut body = None;
    if is_token_request {
        match content.map(|bytes| serde_json::from_slice(bytes)) {
            Some(Ok(json)) => credentials(&json, "", &mut secrets),
            _ => {
                let form = url::form_urlencoded::parse(content.map(Bytes::as_ref).unwrap_or_default());
                let form = form.filter(|(name, _)| !is_public(name));
                secrets.extend(form.map(|(_, value)| value.into_owned()));
            }
        }
    } else if request.body().length() != Some(0) {
        body =
            Some(RawBody { media_type, bytes: content.map(|bytes| bytes.to_vec()), length: request.body().length() });
    }
    RawExchange {
        at,
        operation: info.map_or("request", |info| info.operation().id()).to_owned(),
        is_token_request,
        method: request.method().clone(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().map(str::to_owned),
        body,
        secrets,
        outcome: RawOutcome::Pending,
    }
}

/// Whether a field of a token request says what is asked for, and not who asks.
fn is_public(name: &str) -> bool {
    matches!(name, "grant_type" | "redirect_uri" | "roles" | "scope")
}

/// Adds the texts of a token request but those that say what is asked for.
fn credentials(value: &Value, name: &str, found: &mut Vec<String>) {
    match value {
        Value::String(text) if !is_public(name) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| credentials(item, name, found)),
        Value::Object(members) => members.iter().for_each(|(name, member)| credentials(member, name, found)),
        _ => {}
    }
}

/// Where the body of a response is recorded.
struct Tap {
    session: Arc<Mutex<Session>>,
    index: usize,
    head_at: Instant,
}

impl Tap {
    /// Records the head of a response, whose body counts as abandoned until its end.
    fn new(session: &Arc<Mutex<Session>>, index: usize, head: &response::Parts, after: Duration) -> Self {
        let media_type = head.headers.get(CONTENT_TYPE).cloned();
        lock(session).exchanges[index].outcome = RawOutcome::Responded(RawResponse {
            after,
            status: head.status,
            headers: head.headers.clone(),
            body: RawBody { media_type, bytes: Some(Vec::new()), length: Some(0) },
            body_after: Duration::ZERO,
            end: BodyEnd::Abandoned,
        });
        Self { session: Arc::clone(session), index, head_at: Instant::now() }
    }

    fn change(&self, change: impl FnOnce(&mut RawResponse)) {
        if let RawOutcome::Responded(response) = &mut lock(&self.session).exchanges[self.index].outcome {
            change(response);
        }
    }

    fn whole(&self, bytes: &Bytes) {
        self.piece(bytes);
        self.end(BodyEnd::Complete);
    }

    fn piece(&self, piece: &[u8]) {
        self.change(|response| {
            let body = &mut response.body;
            body.length = body.length.map(|length| length + piece.len() as u64);
            match &mut body.bytes {
                Some(bytes) if bytes.len() + piece.len() <= MAX_BODY => bytes.extend_from_slice(piece),
                bytes => *bytes = None,
            }
        });
    }

    fn end(&self, end: BodyEnd) {
        self.change(|response| {
            response.end = end;
            response.body_after = self.head_at.elapsed();
            if let Some(bytes) = response.body.bytes.take() {
                response.body.bytes = decompressed(&response.headers, bytes, MAX_BODY);
            }
        });
    }
}

/// The body of a response, which is recorded while the client reads it.
struct TappedBody {
    body: Pin<Box<Body>>,
    tap: Tap,
}

impl HttpBody for TappedBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = ready!(self.body.as_mut().poll_frame(context));
        match &frame {
            Some(Ok(frame)) => self.tap.piece(frame.data_ref().map(Bytes::as_ref).unwrap_or_default()),
            Some(Err(_)) => self.tap.end(BodyEnd::Broken),
            None => self.tap.end(BodyEnd::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
