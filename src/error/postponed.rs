//! A rate-limited call as a value that can be stored and resumed.

use std::fmt;

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;

use super::RateLimitedError;

/// A call that was not sent because the tenant's rate limit was exhausted, as a value that a job queue can store: the request,
/// and when the limit is expected to have room. A client's `resume` turns it back into a request.
///
/// It serializes with the request body, which may name customers, and with the headers that you added to the call; `Debug` omits
/// both. It holds no credentials of the client: the one that resumes it uses its own. A body that is a file or a stream is not
/// stored: such a call cannot be resumed, only made anew.
///
/// # Example
///
/// ```
/// use servicebay::{Error, Postponed};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use std::time::Duration;
/// # use servicebay::testing::fixably::{MockServer, TokenKind};
/// # let server = MockServer::builder().with_rate_limit(1, Duration::from_secs(3600)).in_memory();
/// # let client = server.client_builder(TokenKind::AdminAll).build()?;
/// # client.get_order().id(20000010).send().await?;
/// let Err(Error::RateLimited(limited)) = client.get_order().id(20000010).send().await else { panic!("the limit has room") };
/// let job = serde_json::to_string(&limited.postpone())?; // store it in the queue, due at `resume_at`
///
/// // Later, perhaps in another process:
/// let postponed: Postponed = serde_json::from_str(&job)?;
/// # tokio::time::sleep(Duration::from_secs(3601)).await;
/// let order = client.resume(&postponed).send::<serde_json::Value>().await?;
/// assert_eq!(order["id"], 20000010);
/// # Ok(()) }
/// ```
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Postponed {
    vendor: String,
    operation: String,
    #[serde(with = "method")]
    method: Method,
    url: Url,
    body: Option<PostponedBody>,
    /// The headers that the caller added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    headers: Vec<(String, String)>,
    idempotent: bool,
    /// Whether there was a body that cannot be stored: a file or a stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    is_body_lost: bool,
    /// Whether one of the headers is an `Idempotency-Key` by which the vendor recognizes a repeated request.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    keyed: bool,
    resume_at: Timestamp,
}

/// A request body: text as text, anything else as numbers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum PostponedBody {
    Text(String),
    Bytes(Vec<u8>),
}

impl PostponedBody {
    fn of(body: &Bytes) -> Self {
        match std::str::from_utf8(body) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes(body.to_vec()),
        }
    }
}

impl RateLimitedError {
    /// Returns the call as a value that a job queue can store and a client's `resume` sends when the limit has room.
    pub fn postpone(&self) -> Postponed {
        let request_body = self.request_body();
        let headers = self.request_headers.iter().flat_map(|headers| headers.iter());
        Postponed {
            vendor: self.vendor().to_owned(),
            operation: self.operation().id().to_owned(),
            method: self.method().clone(),
            url: self.url().clone(),
            body: (!request_body.is_empty()).then(|| PostponedBody::of(request_body)),
            headers: headers.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            idempotent: self.is_idempotent(),
            is_body_lost: self.is_body_lost,
            keyed: self.is_keyed,
            resume_at: self.resume_at(),
        }
    }
}

impl Postponed {
    /// The vendor, by the name of its module, such as `fixably`.
    pub fn vendor(&self) -> &str {
        &self.vendor
    }

    /// The operation of the call.
    pub fn operation(&self) -> &str {
        &self.operation
    }

    /// The HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The whole URL, with its query.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// When the limit is expected to have room.
    pub fn resume_at(&self) -> Timestamp {
        self.resume_at
    }

    pub(crate) fn body(&self) -> Option<Bytes> {
        self.body.as_ref().map(|body| match body {
            PostponedBody::Text(text) => Bytes::copy_from_slice(text.as_bytes()),
            PostponedBody::Bytes(bytes) => Bytes::copy_from_slice(bytes),
        })
    }

    pub(crate) fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    pub(crate) fn is_body_lost(&self) -> bool {
        self.is_body_lost
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    pub(crate) fn is_keyed(&self) -> bool {
        self.keyed
    }
}

impl fmt::Debug for Postponed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postponed")
            .field("vendor", &self.vendor)
            .field("operation", &self.operation)
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("resume_at", &format_args!("{}", self.resume_at))
            .finish_non_exhaustive()
    }
}

/// Serializes a method as its name.
mod method {
    use http::Method;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(method: &Method, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(method.as_str())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Method, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(|_| D::Error::custom("not an HTTP method"))
    }
}
