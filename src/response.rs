//! The response to a call: the decoded value, with the status, headers and body that it came with.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::lenient::{ReadReport, SkippedValue};
use crate::limit::RateLimit;
use crate::observer::CacheUse;
use crate::pipeline::CallRecord;
use crate::transport::Body;
use crate::vendor::Vendor;

/// The response to a successful call. It dereferences to the decoded value.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = servicebay::testing::fixably::MockServer::start().await;
/// # let client = server.client()?;
/// let order = client.get_order().id(20000010).send().await?;
/// assert_eq!(order.status(), 200);
/// assert_eq!(order.id(), Some(20000010.into()));
/// // The raw body also holds the fields that this crate does not model:
/// let raw: serde_json::Value = order.payload().expect("the order was decoded from it");
/// assert_eq!(raw["id"], 20000010);
/// let order = order.into_inner();
/// # Ok(()) }
/// ```
pub struct Response<T> {
    value: T,
    metadata: ResponseMetadata,
}

/// A response without its decoded value.
pub(crate) struct ResponseMetadata {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// The body of a download, which has not been read.
    pub(crate) rest: Option<Box<Body>>,
    pub(crate) rate_limit: RateLimit,
    /// `None` if the response was made by hand.
    pub(crate) vendor: Option<&'static Vendor>,
    /// `None` if the response was made by hand.
    pub(crate) record: Option<CallRecord>,
    /// What was not as it should be in the body, if anything.
    pub(crate) report: Option<Box<ReadReport>>,
}

impl<T> Response<T> {
    /// A response with this value, the status 200, and neither headers nor a body: for your own tests, of code that takes a
    /// response.
    ///
    /// # Example
    ///
    /// ```
    /// use servicebay::Response;
    /// use servicebay::fixably::types::Order;
    ///
    /// let mut order = Order::default();
    /// order.reference = Some("A-17".to_owned());
    /// let response = Response::new(order);
    /// assert_eq!((response.status().as_u16(), response.reference.as_deref()), (200, Some("A-17")));
    /// ```
    pub fn new(value: T) -> Self {
        let metadata = ResponseMetadata {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: Bytes::new(),
            rest: None,
            rate_limit: RateLimit::default(),
            vendor: None,
            record: None,
            report: None,
        };
        Self { value, metadata }
    }

    /// Sets the status. For your own tests.
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.metadata.status = status;
        self
    }

    /// Sets the headers. For your own tests; [`rate_limit`](Self::rate_limit) does not follow from them, and
    /// [`request_id`](Self::request_id) is that of `X-Request-Id`.
    pub fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.metadata.headers = headers;
        self
    }

    /// Sets the body. For your own tests; the value does not follow from it.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.metadata.body = body.into();
        self
    }

    pub(crate) fn from_parts(value: T, metadata: ResponseMetadata) -> Self {
        Self { value, metadata }
    }

    /// The response without the value.
    pub(crate) fn metadata(&self) -> &ResponseMetadata {
        &self.metadata
    }

    /// Returns the decoded value.
    pub fn into_inner(self) -> T {
        self.value
    }

    pub(crate) fn into_parts(self) -> (T, ResponseMetadata) {
        (self.value, self.metadata)
    }

    /// The body of a download, once.
    pub(crate) fn take_rest(&mut self) -> Body {
        self.metadata.rest.take().map_or_else(Body::empty, |body| *body)
    }

    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The HTTP status: 2xx, or 304 if [the caller has the current version](crate::Conditional::NotModified).
    pub fn status(&self) -> StatusCode {
        self.metadata.status
    }

    /// The response headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.metadata.headers
    }

    /// The version of the object, as the server names it in the header `ETag`, with its quotation marks. For
    /// [`if_none_match`](crate::RawRequest::if_none_match).
    pub fn etag(&self) -> Option<&str> {
        self.metadata.headers.get(ETAG)?.to_str().ok()
    }

    /// The vendor's id of the request, if the response has one. Quote it to the vendor's support.
    pub fn request_id(&self) -> Option<&str> {
        let headers = &self.metadata.headers;
        match self.metadata.vendor {
            Some(vendor) => vendor.request_id(headers),
            None => headers.get("x-request-id")?.to_str().ok(),
        }
    }

    /// Whether the value comes from the [cache](crate::ResponseCache). The header `Age` says how many seconds ago the vendor sent or
    /// confirmed it.
    pub fn is_from_cache(&self) -> bool {
        self.cache_use().is_some()
    }

    /// How the [cache](crate::ResponseCache) served the call; `None` if the vendor sent the value.
    pub fn cache_use(&self) -> Option<CacheUse> {
        self.metadata.record?.cache_use
    }

    /// The state of the tenant's rate limit as this response reports it. A response from the cache for which nothing was sent
    /// reports nothing.
    pub fn rate_limit(&self) -> &RateLimit {
        &self.metadata.rate_limit
    }

    /// The body as it was received, including fields that this crate does not model.
    pub fn body(&self) -> &Bytes {
        &self.metadata.body
    }

    /// Whether the body was not valid JSON, and was repaired before it was decoded: numbers such as `NaN` became null, and bytes
    /// of another encoding the replacement character. [`body`](Self::body) has what was received.
    pub fn is_repaired(&self) -> bool {
        self.metadata.report.as_ref().is_some_and(|report| report.is_repaired)
    }

    /// How many values had another shape than expected and were left out: fields, and elements of lists. An element of a page
    /// leaves an empty item in its place.
    pub fn skipped_count(&self) -> u64 {
        self.metadata.report.as_ref().map_or(0, |report| report.skipped)
    }

    /// The first 16 of the values that were left out.
    ///
    /// # Example
    ///
    /// ```
    /// # use servicebay::testing::{Script, Step};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// # let script = Script::new([Step::body(200, "application/json", r#"{"id": 7, "reference": ["R", 1]}"#)]);
    /// # let credentials = servicebay::fixably::Credentials::bearer("test");
    /// # let builder = servicebay::fixably::Client::builder(credentials).with_tenant("acme");
    /// # let client = builder.with_transport(script).build()?;
    /// let order = client.get_order().id(7).send().await?;
    /// assert_eq!(order.skipped_count(), 1);
    /// for skipped in order.skipped_values() {
    ///     println!("order 7: {skipped}");
    ///     # assert_eq!((skipped.field(), skipped.found()), (Some("Order.reference"), "list"));
    /// }
    /// # Ok(()) }
    /// ```
    pub fn skipped_values(&self) -> &[SkippedValue] {
        self.metadata.report.as_ref().map_or(&[], |report| &report.described)
    }

    /// Decodes the body as another type, for fields that this crate does not model.
    ///
    /// # Errors
    ///
    /// Returns the error of `serde_json` if the body is not a `U`.
    pub fn payload<U: DeserializeOwned>(&self) -> Result<U, serde_json::Error> {
        serde_json::from_slice(&self.metadata.body)
    }
}

impl<T> Deref for Response<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: fmt::Debug> fmt::Debug for Response<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.metadata.status)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}
