//! The seam to the wire: one request out, one whole answer in.
//!
//! Nothing here decides. A transport says what happened, and above all whether a failed request can have arrived.

use std::error::Error as StdError;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method, StatusCode};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};
use url::Url;

/// A request as it goes out, once for every attempt.
#[derive(Debug)]
pub(crate) struct HttpRequest {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
}

/// A whole answer.
#[derive(Debug)]
pub(crate) struct HttpResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl HttpResponse {
    /// Whether the answer is a web page: what a proxy, a login form or a maintenance notice sends.
    pub(crate) fn is_html(&self) -> bool {
        let html = b"text/html";
        let kind = self.headers.get(CONTENT_TYPE).and_then(|value| value.as_bytes().get(..html.len()));
        kind.is_some_and(|kind| kind.eq_ignore_ascii_case(html))
    }
}

/// TokenErrorKind there is no whole answer.
#[derive(Debug)]
pub(crate) enum HttpError {
    /// The request never left.
    NotSent(Source),
    /// The request may have arrived; the connection broke, perhaps after the head of the answer.
    Broken(Option<StatusCode>, Source),
    /// The request may have arrived; no whole answer came in time.
    TimedOut,
    /// The answer is larger than the limit. Its head arrived, and says that the call succeeded.
    TooLarge(StatusCode),
}

impl HttpError {
    /// Its name, as traces have it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::NotSent(_) => "not_sent",
            Self::Broken(..) => "broken",
            Self::TimedOut => "timeout",
            Self::TooLarge(_) => "too_large",
        }
    }
}

pub(crate) type Source = Box<dyn StdError + Send + Sync>;

/// Where requests go.
#[derive(Clone, Debug)]
pub(crate) enum HttpClient {
    Reqwest(reqwest::Client),
    #[cfg(feature = "testing")]
    Custom(std::sync::Arc<dyn Transport>),
}

impl HttpClient {
    /// Sends a request and reads its answer, at most until `until` and at most `max_body` bytes of it; inside `span`, where
    /// somebody listens.
    pub(crate) async fn execute(
        &self,
        request: HttpRequest,
        until: Instant,
        max_body: usize,
        span: Option<&Span>,
    ) -> Result<HttpResponse, HttpError> {
        match (self, span) {
            (Self::Reqwest(client), None) => over_http(client, request, until, max_body).await,
            // Apart and in a box, so that a call of which nobody hears pays nothing for it.
            (Self::Reqwest(client), Some(span)) => {
                Box::pin(over_http(client, request, until, max_body)).instrument(span.clone()).await
            }
            #[cfg(feature = "testing")]
            (Self::Custom(wire), span) => {
                let exchange = timeout_at(until, in_memory::over_transport(wire.as_ref(), request, max_body));
                let exchange = exchange.instrument(span.cloned().unwrap_or_else(Span::none));
                exchange.await.unwrap_or(Err(HttpError::TimedOut))
            }
        }
    }
}

async fn over_http(
    client: &reqwest::Client,
    outgoing: HttpRequest,
    until: Instant,
    max_body: usize,
) -> Result<HttpResponse, HttpError> {
    let mut request = reqwest::Request::new(outgoing.method, outgoing.url);
    *request.headers_mut() = outgoing.headers;
    *request.body_mut() = outgoing.body.map(Into::into);
    let head = timeout_at(until, client.execute(request)).await.map_err(|_| HttpError::TimedOut)?;
    let mut response = head.map_err(lost)?;
    let status = response.status();
    let headers = std::mem::take(response.headers_mut());
    let mut body = BytesMut::new();
    match timeout_at(until, read(&mut response, &mut body, max_body)).await {
        Ok(Ok(body)) => Ok(HttpResponse { status, headers, body }),
        // A refusal is one by its status, however much of its reasons arrived.
        _ if !status.is_success() => Ok(HttpResponse { status, headers, body: body.freeze() }),
        Ok(Err(Unread::TooLarge)) => Err(HttpError::TooLarge(status)),
        Ok(Err(Unread::Broken(error))) => Err(HttpError::Broken(Some(status), Box::new(error.without_url()))),
        Err(_) => Err(HttpError::TimedOut),
    }
}

fn lost(error: reqwest::Error) -> HttpError {
    // A connection that failed to open, or a request that could not be formed, sent nothing. About everything else
    // nobody can be sure.
    let unsent = error.is_connect() || error.is_builder();
    let error = Box::new(error.without_url());
    if unsent { HttpError::NotSent(error) } else { HttpError::Broken(None, error) }
}

enum Unread {
    TooLarge,
    Broken(reqwest::Error),
}

/// The whole body. Most answers arrive in one piece, which is then taken as it is; the pieces of others are gathered in
/// `pieces`, where they stay if the rest does not come.
async fn read(response: &mut reqwest::Response, pieces: &mut BytesMut, max_body: usize) -> Result<Bytes, Unread> {
    let announced = response.content_length().unwrap_or_default();
    if announced > max_body as u64 {
        return Err(Unread::TooLarge);
    }
    let Some(first) = response.chunk().await.map_err(Unread::Broken)? else {
        return Ok(Bytes::new());
    };
    if first.len() > max_body {
        return Err(Unread::TooLarge);
    }
    let next = match response.chunk().await {
        Ok(None) => return Ok(first),
        next => next,
    };
    // Room for all of it at once where its length is known: growing by and by copies a large answer several times.
    pieces.reserve((announced as usize).max(first.len()));
    pieces.extend_from_slice(&first);
    let mut next = next.map_err(Unread::Broken)?;
    while let Some(piece) = next {
        if pieces.len() + piece.len() > max_body {
            return Err(Unread::TooLarge);
        }
        pieces.extend_from_slice(&piece);
        next = response.chunk().await.map_err(Unread::Broken)?;
    }
    Ok(pieces.split().freeze())
}

#[cfg(feature = "testing")]
pub use in_memory::{Transport, TransportError};

#[cfg(feature = "testing")]
mod in_memory {
    //! A server without sockets, for simulations on a paused clock.

    use std::fmt;
    use std::future::Future;
    use std::pin::Pin;

    use bytes::Bytes;
    use http::StatusCode;
    use jiff::Timestamp;

    use super::{HttpError, HttpRequest, HttpResponse};
    use crate::clock::WallClock;

    /// A vendor's server without sockets: requests in, answers out, on tokio's clock.
    ///
    /// A client built [over a wire](crate::ClientBuilder::with_transport) runs everything but the sockets, so that a test on a
    /// paused clock passes hours of waits in milliseconds.
    pub trait Transport: fmt::Debug + Send + Sync + 'static {
        /// Answers one request.
        fn send(
            &self,
            request: http::Request<Bytes>,
        ) -> Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, TransportError>> + Send>>;

        /// What tells this wire from others. Clients of one tenant share its budget only over the same wire.
        fn identity(&self) -> usize;

        /// The wall time at which a client built over the wire begins; from there on tokio's clock moves it.
        fn wall(&self) -> Timestamp {
            crate::clock::wall_now()
        }

        /// The wall clock of the clients built over the wire, where a simulation sets it; it counts in place of
        /// [`wall`](Self::wall). Default none.
        fn wall_clock(&self) -> Option<WallClock> {
            None
        }
    }

    /// How a wire fails instead of answering.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum TransportError {
        /// The connection broke after the request was sent: it may have arrived.
        Dropped,
        /// No connection: the request never left.
        NotSent,
        /// The answer's head arrived, and its body broke off.
        Truncated,
    }

    impl fmt::Display for TransportError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Dropped => "the connection was dropped",
                Self::NotSent => "no connection",
                Self::Truncated => "the body broke off",
            })
        }
    }

    impl std::error::Error for TransportError {}

    pub(super) async fn over_transport(
        wire: &dyn Transport,
        outgoing: HttpRequest,
        max_body: usize,
    ) -> Result<HttpResponse, HttpError> {
        let mut request = http::Request::new(outgoing.body.unwrap_or_default());
        *request.method_mut() = outgoing.method;
        *request.uri_mut() =
            outgoing.url.as_str().parse().map_err(|error: http::uri::InvalidUri| HttpError::NotSent(error.into()))?;
        *request.headers_mut() = outgoing.headers;
        let answer = wire.send(request).await.map_err(|failure| match failure {
            TransportError::NotSent => HttpError::NotSent(Box::new(failure)),
            TransportError::Dropped => HttpError::Broken(None, Box::new(failure)),
            TransportError::Truncated => HttpError::Broken(Some(StatusCode::OK), Box::new(failure)),
        })?;
        let (head, body) = answer.into_parts();
        if body.len() > max_body && head.status.is_success() {
            return Err(HttpError::TooLarge(head.status));
        }
        let body = body.slice(..body.len().min(max_body));
        Ok(HttpResponse { status: head.status, headers: head.headers, body })
    }
}
