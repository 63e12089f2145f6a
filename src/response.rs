//! The response to a call: the decoded value, with the status, headers and body that it came with.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::limit::RateLimit;
use crate::pipeline::CallRecord;
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
    pub(crate) rate_limit: RateLimit,
    pub(crate) vendor: &'static Vendor,
    pub(crate) record: CallRecord,
}

impl<T> Response<T> {
    pub(crate) fn new(value: T, metadata: ResponseMetadata) -> Self {
        Self { value, metadata }
    }

    /// The vendor, by the name of its module.
    pub(crate) fn vendor(&self) -> &'static str {
        self.metadata.vendor.name
    }

    /// The response without the value.
    pub(crate) fn metadata(&self) -> &ResponseMetadata {
        &self.metadata
    }

    /// Returns the decoded value.
    pub fn into_inner(self) -> T {
        self.value
    }

    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The HTTP status, which is always 2xx.
    pub fn status(&self) -> StatusCode {
        self.metadata.status
    }

    /// The response headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.metadata.headers
    }

    /// The vendor's id of the request, if the response has one. Quote it to the vendor's support.
    pub fn request_id(&self) -> Option<&str> {
        self.metadata.vendor.request_id(&self.metadata.headers)
    }

    /// The state of the tenant's rate limit as this response reports it.
    pub fn rate_limit(&self) -> &RateLimit {
        &self.metadata.rate_limit
    }

    /// The body as it was received, including fields that this crate does not model.
    pub fn body(&self) -> &Bytes {
        &self.metadata.body
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
