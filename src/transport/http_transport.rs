//! HTTP as a transport that other transports can pass requests on to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Request, Response};
use tokio::time::Instant;

use super::http_client_factory::{CONNECT_TIMEOUT, HAS_TLS, HttpClientFactory};
use super::{Body, HttpConfig, RequestInfo, Transport, TransportError, body_of, send_over_http};
use crate::error::Error;

/// How long a request may wait for its response that names no deadline.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// Sends requests over HTTP, as clients without a transport of their own do. For [middleware](Transport) to pass requests on to.
///
/// Clones share their connections. Connections are opened when they are needed. A request without [`RequestInfo`] waits for its
/// response for 30 s at most; the body of a response has no bound here, because the client sets it.
///
/// ```
/// let http = servicebay::HttpTransport::new();
/// # let _ = http;
/// ```
#[derive(Clone)]
pub struct HttpTransport(Arc<Clients>);

/// The HTTP clients for calls, which are built when they are needed. The factory has those for token requests, whose
/// connections belong to another runtime.
struct Clients {
    factory: Arc<HttpClientFactory>,
    client: OnceLock<reqwest::Client>,
    /// The same without TLS, to this machine.
    plain_client: OnceLock<reqwest::Client>,
}

impl HttpTransport {
    /// HTTP as this crate configures it.
    pub fn new() -> Self {
        Self::of(HttpClientFactory::shared_default())
    }

    /// HTTP with this configuration.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if an option is invalid.
    pub fn with_config(config: HttpConfig) -> Result<Self, Error> {
        let transport = Self::of(HttpClientFactory::new(config));
        transport.0.client(!HAS_TLS, false)?;
        Ok(transport)
    }

    fn of(factory: Arc<HttpClientFactory>) -> Self {
        Self(Arc::new(Clients { factory, client: OnceLock::new(), plain_client: OnceLock::new() }))
    }
}

impl Clients {
    fn client(&self, is_plain_http: bool, is_token_request: bool) -> Result<&reqwest::Client, Error> {
        if is_token_request {
            return self.factory.token_client(is_plain_http);
        }
        let slot = if is_plain_http { &self.plain_client } else { &self.client };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = self.factory.build(is_plain_http, CONNECT_TIMEOUT)?;
        Ok(slot.get_or_init(|| client))
    }
}

impl Default for HttpTransport {
    fn default() -> Self {
        Self::new()
    }
}

impl Transport for HttpTransport {
    fn send(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send + '_>> {
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let url: url::Url = head.uri.to_string().parse().map_err(TransportError::not_sent)?;
            let info = head.extensions.get::<RequestInfo>();
            let is_token_request = info.is_some_and(RequestInfo::is_token_request);
            let deadline = info.map_or_else(|| Instant::now() + DEFAULT_TIMEOUT, RequestInfo::deadline);
            let client = self.0.client(url.scheme() == "http", is_token_request).map_err(TransportError::not_sent)?;
            let sent = send_over_http(client, head.method, url, head.headers, body, deadline).await;
            let mut received = sent.map_err(TransportError::of)?;
            let mut response = Response::new(Body::empty());
            *response.status_mut() = received.status();
            *response.version_mut() = received.version();
            *response.headers_mut() = std::mem::take(received.headers_mut());
            *response.body_mut() = body_of(received);
            Ok(response)
        })
    }
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HttpTransport").field(&self.0.factory).finish()
    }
}
