//! The answer to a call, with everything that came with it.

use std::fmt;
use std::ops::Deref;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::de::DeserializeOwned;

use crate::limit::RateLimit;
use crate::vendor::Vendor;

/// The answer to a call. Reads like the value in it.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let tenant = servicebay::testing::fixably::MockServer::start().await;
/// # let client = tenant.client()?;
/// let order = client.get_order().id(20000010).send().await?;
/// assert_eq!(order.status(), 200);
/// assert_eq!(order.id(), Some(20000010.into()));
/// // A field that this crate does not model is not lost:
/// let raw: serde_json::Value = order.payload().expect("it was JSON a moment ago");
/// assert_eq!(raw["id"], 20000010);
/// let order = order.into_inner();
/// # Ok(()) }
/// ```
pub struct Response<T> {
    value: T,
    head: Head,
}

/// What surrounds the value of a response.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) rate_limit: RateLimit,
    pub(crate) vendor: &'static Vendor,
}

impl<T> Response<T> {
    pub(crate) fn new(value: T, head: Head) -> Self {
        Self { value, head }
    }

    /// The vendor that answered, by the name of its module.
    pub(crate) fn vendor(&self) -> &'static str {
        self.head.vendor.name
    }

    /// The value alone.
    pub fn into_inner(self) -> T {
        self.value
    }

    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.value
    }

    /// The HTTP status, always of the 2xx class.
    pub fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The answer's headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The vendor's id of the request, where it sends one: what its support asks for.
    pub fn request_id(&self) -> Option<&str> {
        self.head.vendor.request_id(&self.head.headers)
    }

    /// What this answer said of the tenant's rate limit.
    pub fn rate_limit(&self) -> &RateLimit {
        &self.head.rate_limit
    }

    /// The body as it came: fields that this crate does not model are in it.
    pub fn body(&self) -> &Bytes {
        &self.head.body
    }

    /// The body read as another type, for fields that this crate does not model.
    ///
    /// # Errors
    ///
    /// Fails as `serde_json` does where the body does not fit `U`.
    pub fn payload<U: DeserializeOwned>(&self) -> Result<U, serde_json::Error> {
        serde_json::from_slice(&self.head.body)
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
            .field("status", &self.head.status)
            .field("value", &self.value)
            .finish_non_exhaustive()
    }
}
