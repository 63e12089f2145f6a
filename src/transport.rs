//! Sends one HTTP request and reads the whole response.
//!
//! The transport decides nothing. It reports what happened, above all whether a failed request may have reached the vendor.

mod compression;
mod http_config;
mod http_error;
mod outgoing_body;
mod spawner;

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};
use url::Url;

use self::compression::{Decompressed, decompress, is_compressed};
pub(crate) use self::http_config::{CONNECT_TIMEOUT, HttpConfig, MAX_HEAD_BYTES, MAX_HEAD_FIELDS};
pub(crate) use self::http_error::{
    BodySize, HttpError, NoConnectionInTime, TooLarge, is_unknown_host, is_untrusted_certificate,
};
use self::outgoing_body::{OutgoingBody, SendProgress};
pub(crate) use self::spawner::Spawner;
#[cfg(feature = "blocking")]
pub(crate) use self::spawner::blocking_runtime;

/// The most that is kept of the body of an error response, in bytes: it is searched for secrets, which takes time.
const MAX_ERROR_BODY: usize = 1024 * 1024;

/// The most of a body that is read, of a response with this status.
fn max_body_of(status: StatusCode, max_body: usize) -> usize {
    if status.is_success() { max_body } else { max_body.min(MAX_ERROR_BODY) }
}

/// A body in the Debug of what holds it: its length alone, because a body may hold passwords and names customers.
pub(crate) struct BodyLength(usize);

impl BodyLength {
    pub(crate) fn of(body: &Bytes) -> Self {
        Self(body.len())
    }
}

impl fmt::Debug for BodyLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

/// The request of one attempt.
pub(crate) struct HttpRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("headers", &self.headers)
            .field("body", &self.body.as_ref().map(BodyLength::of))
            .finish()
    }
}

/// A response whose body has been read to its end.
pub(crate) struct HttpResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl fmt::Debug for HttpResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpResponse")
            .field("status", &self.status)
            .field("body", &BodyLength::of(&self.body))
            .finish_non_exhaustive()
    }
}

impl HttpRequest {
    /// Adds the headers that every request has, whoever made it.
    fn add_headers(&mut self) {
        self.headers.entry(ACCEPT_ENCODING).or_insert(compression::ACCEPTED);
        // Of a method that usually has a body, servers want to hear that there is none (RFC 9110, section 8.6).
        if self.body.is_none() && matches!(self.method, Method::PATCH | Method::POST | Method::PUT) {
            self.headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
    }
}

impl HttpResponse {
    /// Decompresses the body, up to `max_body` bytes.
    fn decompressed(mut self, max_body: usize) -> Result<Self, HttpError> {
        if !is_compressed(&self.headers) || self.body.is_empty() {
            return Ok(self);
        }
        let body = match decompress(&self.body, max_body_of(self.status, max_body)) {
            Decompressed::Whole(body) => body,
            // The status alone makes it an error response, however much of its body can be read.
            Decompressed::TooLarge(body) if !self.status.is_success() => body,
            Decompressed::Damaged(body) if !self.status.is_success() && !body.is_empty() => body,
            Decompressed::TooLarge(_) => {
                let size = BodySize::Compressed(self.body.len());
                return Err(HttpError::TooLarge(TooLarge::Body(self.status, size)));
            }
            // The body stays as it is: perhaps it was never compressed. What decodes it will find the encoding in the headers.
            Decompressed::Damaged(_) => return Ok(self),
        };
        self.body = body.into();
        for name in [CONTENT_ENCODING, CONTENT_LENGTH] {
            self.headers.remove(name);
        }
        Ok(self)
    }

    /// Whether the response is a web page, as proxies, login forms and maintenance notices send it.
    pub(crate) fn is_html(&self) -> bool {
        let html = b"text/html";
        let media_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().get(..html.len()));
        media_type.is_some_and(|media_type| media_type.eq_ignore_ascii_case(html))
    }
}

/// The status of a response, even if no more than its head arrived.
pub(crate) fn status(outcome: &Result<HttpResponse, HttpError>) -> Option<StatusCode> {
    match outcome {
        Ok(response) => Some(response.status),
        Err(error) => error.status(),
    }
}

/// The HTTP client that requests are sent with.
#[derive(Clone, Debug)]
pub(crate) enum HttpClient {
    /// Over HTTP, with a client that was built from this configuration.
    Reqwest { client: reqwest::Client, config: Arc<HttpConfig> },
    #[cfg(feature = "testing")]
    Custom(Arc<dyn Transport>),
}

impl HttpClient {
    /// Sends a request and reads its response: at most until `deadline`, at most `max_body` bytes of body, compressed or not,
    /// and inside `span` if there is one.
    pub(crate) async fn execute(
        &self,
        mut request: HttpRequest,
        deadline: Instant,
        max_body: usize,
        span: Option<&Span>,
    ) -> Result<HttpResponse, HttpError> {
        request.add_headers();
        let response = match (self, span) {
            (Self::Reqwest { client, .. }, None) => over_http(client, request, deadline, max_body).await,
            // In a box of its own, so that a call without a subscriber pays nothing for it.
            (Self::Reqwest { client, .. }, Some(span)) => {
                Box::pin(over_http(client, request, deadline, max_body)).instrument(span.clone()).await
            }
            #[cfg(feature = "testing")]
            (Self::Custom(transport), span) => {
                let exchange = timeout_at(deadline, in_memory::over_transport(transport.as_ref(), request, max_body));
                let exchange = exchange.instrument(span.cloned().unwrap_or_else(Span::none));
                exchange.await.unwrap_or(Err(HttpError::TimedOut))
            }
        };
        response?.decompressed(max_body)
    }
}

async fn over_http(
    client: &reqwest::Client,
    http_request: HttpRequest,
    deadline: Instant,
    max_body: usize,
) -> Result<HttpResponse, HttpError> {
    let mut request = reqwest::Request::new(http_request.method, http_request.url);
    *request.headers_mut() = http_request.headers;
    let progress = Arc::new(SendProgress::default());
    let body = OutgoingBody::new(http_request.body.unwrap_or_default(), Arc::clone(&progress));
    *request.body_mut() = Some(reqwest::Body::wrap(body));
    let mut response = match timeout_at(deadline, client.execute(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(HttpError::of_request(error, progress.cancel())),
        Err(_) => return Err(HttpError::of_deadline(progress.cancel())),
    };
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    match timeout_at(deadline, read_body(&mut response, &mut body, max_body_of(status, max_body))).await {
        Ok(Ok(body)) => Ok(HttpResponse { status, headers, body }),
        // The status alone makes it an error response, however much of its body arrived.
        _ if !status.is_success() => Ok(HttpResponse { status, headers, body: body.freeze() }),
        Ok(Err(BodyError::TooLarge(size))) => Err(HttpError::TooLarge(TooLarge::Body(status, size))),
        Ok(Err(BodyError::Broken(error))) => Err(HttpError::Broken(Some(status), Box::new(error.without_url()))),
        Err(_) => Err(HttpError::TimedOut),
    }
}

enum BodyError {
    TooLarge(BodySize),
    Broken(reqwest::Error),
}

/// Reads the whole body. Most bodies arrive as one chunk, which is returned without a copy. The chunks of others are
/// collected in `chunks`, where they stay if the rest does not arrive or is too large.
async fn read_body(
    response: &mut reqwest::Response,
    chunks: &mut BytesMut,
    max_body: usize,
) -> Result<Bytes, BodyError> {
    let announced = response.content_length().unwrap_or_default();
    if announced > max_body as u64 && response.status().is_success() {
        return Err(BodyError::TooLarge(BodySize::Announced(announced)));
    }
    let Some(first) = response.chunk().await.map_err(BodyError::Broken)? else {
        return Ok(Bytes::new());
    };
    if first.len() > max_body {
        chunks.extend_from_slice(&first[..max_body]);
        return Err(BodyError::TooLarge(BodySize::Unannounced));
    }
    let next = match response.chunk().await {
        Ok(None) => return Ok(first),
        next => next,
    };
    // Reserve the announced length at once: growing step by step copies a large body several times.
    chunks.reserve((announced as usize).min(max_body).max(first.len()));
    chunks.extend_from_slice(&first);
    let mut next = next.map_err(BodyError::Broken)?;
    while let Some(chunk) = next {
        let room = max_body - chunks.len();
        if chunk.len() > room {
            chunks.extend_from_slice(&chunk[..room]);
            return Err(BodyError::TooLarge(BodySize::Unannounced));
        }
        chunks.extend_from_slice(&chunk);
        next = response.chunk().await.map_err(BodyError::Broken)?;
    }
    Ok(chunks.split().freeze())
}

#[cfg(feature = "testing")]
pub use in_memory::{Transport, TransportError};

#[cfg(feature = "testing")]
mod in_memory {
    //! A transport without sockets, for simulations on a paused clock.

    use std::fmt;
    use std::future::Future;
    use std::pin::Pin;

    use bytes::Bytes;
    use http::StatusCode;
    use jiff::Timestamp;

    use super::{BodySize, HttpError, HttpRequest, HttpResponse, TooLarge, max_body_of};
    use crate::clock::WallClock;

    /// A vendor's server in memory: receives requests and returns responses without sockets, on tokio's clock.
    ///
    /// A client that is built [with a transport](crate::ClientBuilder::with_transport) runs everything but the sockets, so a
    /// test on a paused clock passes hours of waits in milliseconds.
    pub trait Transport: fmt::Debug + Send + Sync + 'static {
        /// Responds to one request.
        fn send(
            &self,
            request: http::Request<Bytes>,
        ) -> Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, TransportError>> + Send>>;

        /// A number that identifies the server behind this transport. Clients of one tenant share its rate limit only if
        /// their transports return the same number.
        fn identity(&self) -> usize;

        /// The wall time at which a client of this transport starts; from then on it advances with tokio's clock. Default: the
        /// system's time.
        fn wall(&self) -> Timestamp {
            crate::clock::wall_now()
        }

        /// The wall clock of the clients of this transport, for a simulation that sets it. Takes precedence over
        /// [`wall`](Self::wall). Default: none.
        fn wall_clock(&self) -> Option<WallClock> {
            None
        }

        /// Spawns a background task of a client: a refresh, or the storing of its tokens. Default: `tokio::spawn`.
        ///
        /// A simulated process keeps the tasks that it spawns, and aborts them when it ends:
        ///
        /// ```
        /// use std::future::Future;
        /// use std::pin::Pin;
        /// use std::sync::{Arc, Mutex};
        ///
        /// use servicebay::testing::{Transport, TransportError, fisikal};
        /// use tokio::task::AbortHandle;
        ///
        /// type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;
        ///
        /// #[derive(Clone, Debug)]
        /// struct Process {
        ///     server: fisikal::MockServer,
        ///     tasks: Arc<Mutex<Vec<AbortHandle>>>,
        /// }
        ///
        /// impl Transport for Process {
        ///     fn send(
        ///         &self,
        ///         request: http::Request<bytes::Bytes>,
        ///     ) -> BoxFuture<Result<http::Response<bytes::Bytes>, TransportError>> {
        ///         self.server.send(request)
        ///     }
        ///
        ///     fn identity(&self) -> usize {
        ///         self.server.identity()
        ///     }
        ///
        ///     fn spawn(&self, task: BoxFuture<()>) {
        ///         self.tasks.lock().unwrap().push(tokio::spawn(task).abort_handle());
        ///     }
        /// }
        ///
        /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
        /// use servicebay::fisikal::{Client, Credentials};
        ///
        /// let server = fisikal::MockServer::builder().in_memory();
        /// let (user, password) = server.login(fisikal::Role::Manager);
        /// let (id, secret) = (fisikal::MockServer::CLIENT_ID, fisikal::MockServer::CLIENT_SECRET);
        /// let process = Process { server: server.clone(), tasks: Arc::default() };
        /// let client = Client::builder(Credentials::password(id, secret, user, password))
        ///     .with_base_url(server.base_url())
        ///     .with_transport(process.clone())
        ///     .build()?;
        /// client.get_location().id(1).send().await?;
        /// assert_eq!(process.tasks.lock().unwrap().len(), 1); // the login
        /// # Ok(()) }
        /// ```
        #[expect(
            clippy::disallowed_methods,
            reason = "such a task goes on when the callers that waited for it are gone"
        )]
        fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
            tokio::spawn(task);
        }
    }

    /// A request that a [`Transport`] does not respond to.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum TransportError {
        /// The connection broke after the request was sent, which may have arrived.
        Dropped,
        /// No connection could be opened: the request was not sent.
        NotSent,
        /// The head of the response arrived, and its body broke off.
        Truncated,
    }

    impl fmt::Display for TransportError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Dropped => "connection dropped",
                Self::NotSent => "connection refused",
                Self::Truncated => "body truncated",
            })
        }
    }

    impl std::error::Error for TransportError {}

    pub(super) async fn over_transport(
        transport: &dyn Transport,
        http_request: HttpRequest,
        max_body: usize,
    ) -> Result<HttpResponse, HttpError> {
        let mut request = http::Request::new(http_request.body.unwrap_or_default());
        *request.method_mut() = http_request.method;
        *request.uri_mut() = http_request
            .url
            .as_str()
            .parse()
            .map_err(|error: http::uri::InvalidUri| HttpError::NotSent(error.into()))?;
        *request.headers_mut() = http_request.headers;
        let response = transport.send(request).await.map_err(|error| match error {
            TransportError::NotSent => HttpError::NotSent(Box::new(error)),
            TransportError::Dropped => HttpError::Broken(None, Box::new(error)),
            TransportError::Truncated => HttpError::Broken(Some(StatusCode::OK), Box::new(error)),
        })?;
        let (head, body) = response.into_parts();
        if body.len() > max_body && head.status.is_success() {
            let size = BodySize::Announced(body.len() as u64);
            return Err(HttpError::TooLarge(TooLarge::Body(head.status, size)));
        }
        let body = body.slice(..body.len().min(max_body_of(head.status, max_body)));
        Ok(HttpResponse { status: head.status, headers: head.headers, body })
    }
}
