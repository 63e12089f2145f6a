//! Sends one HTTP request and reads the whole response.
//!
//! The transport decides nothing. It reports what happened, above all whether a failed request may have reached the vendor.

mod body;
mod compression;
#[cfg(feature = "testing")]
mod environment;
mod http_client_factory;
mod http_config;
mod http_error;
mod http_transport;
mod outgoing_body;
mod pem;
mod request_body;
mod request_info;
mod spawner;
#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
mod tls;
mod transport_error;

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use http::uri::InvalidUri;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};
use url::Url;

pub use self::body::Body;
use self::body::ReadError;
use self::compression::{Decompressed, decompress, is_compressed};
#[cfg(feature = "testing")]
pub use self::environment::Environment;
pub(crate) use self::http_client_factory::{
    CONNECT_TIMEOUT, HAS_TLS, HttpClientFactory, MAX_HEAD_BYTES, MAX_HEAD_FIELDS,
};
pub use self::http_config::{HttpConfig, TlsBackend};
pub(crate) use self::http_error::{
    BodySize, HttpError, NoConnectionInTime, TooLarge, is_unknown_host, is_untrusted_certificate,
};
pub use self::http_transport::HttpTransport;
use self::outgoing_body::{OutgoingBody, SendProgress};
pub(crate) use self::request_body::{FilePiece, Piece, RequestBody};
pub use self::request_info::RequestInfo;
pub(crate) use self::spawner::Spawner;
#[cfg(feature = "blocking")]
pub(crate) use self::spawner::blocking_runtime;
pub use self::transport_error::TransportError;
use crate::operation::Operation;

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
    pub(crate) body: Option<RequestBody>,
    pub(crate) operation: &'static Operation,
    pub(crate) is_token_request: bool,
    /// Whether the body of a success is left to the caller to read.
    pub(crate) is_download: bool,
}

impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRequest")
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("headers", &self.headers)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

/// A response whose body has been read to its end, unless it is the success of a download.
pub(crate) struct HttpResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body of a download, which the caller reads.
    pub(crate) rest: Option<Box<Body>>,
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
        // Of a file that is compressed on the way, neither the length nor a part could be told.
        let encoding = if self.is_download { HeaderValue::from_static("identity") } else { compression::ACCEPTED };
        self.headers.entry(ACCEPT_ENCODING).or_insert(encoding);
        // Of a method that usually has a body, servers want to hear that there is none (RFC 9110, section 8.6).
        if self.body.as_ref().is_none_or(|body| body.length() == Some(0))
            && matches!(self.method, Method::PATCH | Method::POST | Method::PUT)
        {
            self.headers.entry(CONTENT_LENGTH).or_insert(HeaderValue::from_static("0"));
        }
    }
}

impl HttpResponse {
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body, rest: None }
    }

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

/// Sends requests: over HTTP, or in whatever way a user's program or a test does it.
///
/// A client sends each attempt of a call, and each request for a token, with [`send`](Self::send). By default that is HTTP with
/// [`HttpTransport`]. A transport of your own stands before it as middleware, or replaces it: a gateway, a recording, a server in
/// memory. Set it with [`with_transport`](crate::ClientBuilder::with_transport).
///
/// Calls run on their callers' runtimes, and requests for tokens on one of this crate, so connections that a transport keeps have to
/// work on both.
///
/// A transport sends one request once. It must not repeat it, follow redirects, or change the credentials: the client does what
/// is needed. Requests carry the token in a header; what logs requests must leave out the headers that are
/// [sensitive](http::HeaderValue::is_sensitive), and the bodies of [token requests](crate::RequestInfo::is_token_request).
///
/// # Example
///
/// Middleware that names the user of the program in each request:
///
/// ```
/// use std::future::Future;
/// use std::pin::Pin;
///
/// use http::{HeaderValue, Request, Response};
/// use servicebay::{Body, Transport, TransportError};
///
/// #[derive(Debug)]
/// struct Audit<T> {
///     user: HeaderValue,
///     next: T,
/// }
///
/// impl<T: Transport> Transport for Audit<T> {
///     fn send(
///         &self,
///         mut request: Request<Body>,
///     ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send + '_>> {
///         request.headers_mut().insert("x-acting-user", self.user.clone());
///         self.next.send(request)
///     }
///
///     fn next(&self) -> Option<&dyn Transport> {
///         Some(&self.next)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # use servicebay::testing::{Script, Step};
/// # let script = Script::new([Step::json(200, serde_json::json!({"id": 1}))]);
/// # let http = script.clone();
/// # /*
/// let http = servicebay::HttpTransport::new();
/// # */
/// let credentials = servicebay::fixably::Credentials::bearer("token");
/// let client = servicebay::fixably::Client::builder(credentials)
///     .with_tenant("acme")
///     .with_transport(Audit { user: HeaderValue::from_static("jane"), next: http })
///     .build()?;
/// client.get_order().id(1).send().await?;
/// # assert_eq!(script.requests()[0].headers["x-acting-user"], "jane");
/// # Ok(()) }
/// ```
pub trait Transport: fmt::Debug + Send + Sync + 'static {
    /// Sends one request, and returns the head of its response and a body that may still be arriving.
    ///
    /// The client drops the future when the attempt's time is over; the request counts as one that may have arrived then.
    fn send(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send + '_>>;

    /// The transport that this one passes requests on to, if it is middleware. Default: none.
    fn next(&self) -> Option<&dyn Transport> {
        None
    }

    /// The world of a simulation that the client is to live in. Default: that of the [next](Self::next) transport.
    #[cfg(feature = "testing")]
    #[cfg_attr(docsrs, doc(cfg(feature = "testing")))]
    fn environment(&self) -> Option<&dyn Environment> {
        self.next().and_then(|next| next.environment())
    }
}

/// The content of a body that arrived with these headers: at most `max_body` bytes. `None` if it is compressed and damaged, or
/// longer.
#[cfg(feature = "testing")]
pub(crate) fn decompressed(headers: &HeaderMap, body: Vec<u8>, max_body: usize) -> Option<Vec<u8>> {
    if !is_compressed(headers) {
        return Some(body);
    }
    match decompress(&body, max_body) {
        Decompressed::Whole(content) => Some(content),
        Decompressed::TooLarge(_) | Decompressed::Damaged(_) => None,
    }
}

/// What requests are sent with.
#[derive(Clone, Debug)]
pub(crate) enum HttpClient {
    /// Over HTTP, with a client that was built from this configuration.
    Reqwest {
        client: reqwest::Client,
        factory: Arc<HttpClientFactory>,
    },
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
            (Self::Custom(transport), span) => {
                let exchange = Box::pin(over_transport(transport.as_ref(), request, deadline, max_body));
                exchange.instrument(span.cloned().unwrap_or_else(Span::none)).await
            }
        };
        response?.decompressed(max_body)
    }
}

async fn over_http(
    client: &reqwest::Client,
    request: HttpRequest,
    deadline: Instant,
    max_body: usize,
) -> Result<HttpResponse, HttpError> {
    let HttpRequest { method, url, headers, body, is_download, .. } = request;
    let body = body.as_ref().map(RequestBody::open).unwrap_or_default();
    let mut response = send_over_http(client, method, url, headers, body, deadline).await?;
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    if is_download && status.is_success() {
        return Ok(HttpResponse { status, headers, body: Bytes::new(), rest: Some(Box::new(body_of(response))) });
    }
    let mut chunks = BytesMut::new();
    let body = timeout_at(deadline, read_body(&mut response, &mut chunks, max_body_of(status, max_body))).await;
    received(status, headers, body, chunks)
}

/// A response whose body was read, or as much of it as arrived in `chunks`.
fn received(
    status: StatusCode,
    headers: HeaderMap,
    body: Result<Result<Bytes, ReadError>, Elapsed>,
    chunks: BytesMut,
) -> Result<HttpResponse, HttpError> {
    match body {
        Ok(Ok(body)) => Ok(HttpResponse::new(status, headers, body)),
        // The status alone makes it an error response, however much of its body arrived.
        _ if !status.is_success() => Ok(HttpResponse::new(status, headers, chunks.freeze())),
        Ok(Err(ReadError::TooLarge(size))) => Err(HttpError::TooLarge(TooLarge::Body(status, size))),
        Ok(Err(ReadError::Broken(error))) => Err(HttpError::Broken(Some(status), error)),
        Err(_) => Err(HttpError::TimedOut),
    }
}

/// Sends a request, and returns the head of its response.
async fn send_over_http(
    client: &reqwest::Client,
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Body,
    deadline: Instant,
) -> Result<reqwest::Response, HttpError> {
    let mut request = reqwest::Request::new(method, url);
    *request.headers_mut() = headers;
    let progress = Arc::new(SendProgress::default());
    *request.body_mut() = Some(reqwest::Body::wrap(OutgoingBody::new(body, Arc::clone(&progress))));
    match timeout_at(deadline, client.execute(request)).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(HttpError::of_request(error, progress.cancel())),
        Err(_) => Err(HttpError::of_deadline(progress.cancel())),
    }
}

/// The body of a response that has not been read.
fn body_of(response: reqwest::Response) -> Body {
    Body::wrap(reqwest::Body::from(response))
}

async fn over_transport(
    transport: &dyn Transport,
    http_request: HttpRequest,
    deadline: Instant,
    max_body: usize,
) -> Result<HttpResponse, HttpError> {
    let HttpRequest { operation, is_token_request, is_download, .. } = http_request;
    let mut request = Request::new(http_request.body.as_ref().map(RequestBody::open).unwrap_or_default());
    *request.method_mut() = http_request.method;
    let uri = http_request.url.as_str().parse();
    *request.uri_mut() = uri.map_err(|error: InvalidUri| HttpError::NotSent(error.into()))?;
    *request.headers_mut() = http_request.headers;
    request.extensions_mut().insert(RequestInfo::new(operation, deadline, is_token_request));
    let response = timeout_at(deadline, transport.send(request)).await.unwrap_or(Err(TransportError::timed_out()));
    let (head, mut body) = response.map_err(TransportError::into_http_error)?.into_parts();
    let http::response::Parts { status, headers, .. } = head;
    if is_download && status.is_success() {
        return Ok(HttpResponse { status, headers, body: Bytes::new(), rest: Some(Box::new(body)) });
    }
    let mut chunks = BytesMut::new();
    let body = timeout_at(deadline, body.read_into(&mut chunks, max_body_of(status, max_body))).await;
    received(status, headers, body, chunks)
}

fn broken(error: reqwest::Error) -> ReadError {
    ReadError::Broken(Box::new(error.without_url()))
}

/// Reads the whole body. Most bodies arrive as one chunk, which is returned without a copy. The chunks of others are
/// collected in `chunks`, where they stay if the rest does not arrive or is too large.
async fn read_body(
    response: &mut reqwest::Response,
    chunks: &mut BytesMut,
    max_body: usize,
) -> Result<Bytes, ReadError> {
    let announced = response.content_length().unwrap_or_default();
    if announced > max_body as u64 && response.status().is_success() {
        return Err(ReadError::TooLarge(BodySize::Announced(announced)));
    }
    let Some(first) = response.chunk().await.map_err(broken)? else {
        return Ok(Bytes::new());
    };
    if first.len() > max_body {
        chunks.extend_from_slice(&first[..max_body]);
        return Err(ReadError::TooLarge(BodySize::Unannounced));
    }
    let next = match response.chunk().await {
        Ok(None) => return Ok(first),
        next => next,
    };
    // Reserve the announced length at once: growing step by step copies a large body several times.
    chunks.reserve((announced as usize).min(max_body).max(first.len()));
    chunks.extend_from_slice(&first);
    let mut next = next.map_err(broken)?;
    while let Some(chunk) = next {
        let room = max_body - chunks.len();
        if chunk.len() > room {
            chunks.extend_from_slice(&chunk[..room]);
            return Err(ReadError::TooLarge(BodySize::Unannounced));
        }
        chunks.extend_from_slice(&chunk);
        next = response.chunk().await.map_err(broken)?;
    }
    Ok(chunks.split().freeze())
}
