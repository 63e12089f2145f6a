//! Looks up the outcome of a write whose response was lost.

use std::fmt;
use std::future::Future;
use std::ops::Deref;

use bytes::Bytes;
use http::Method;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use crate::error::{CallError, Error};
use crate::page::Sealed;
use crate::response::Response;

/// How often a write is sent in total, if each lookup finds that it was not applied.
const MAX_ATTEMPTS: u32 = 3;

/// A write that is not idempotent. The builders of such operations implement it; use their `reconcile`.
pub trait Write: Sealed + Clone + Send + 'static {
    /// The value of the response.
    type Output: Send + 'static;

    /// The operation that writes.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    fn operation(&self) -> &'static crate::Operation;

    /// Sends the call.
    fn write(self) -> impl Future<Output = Result<Response<Self::Output>, Error>> + Send;
}

/// A write that looks up its outcome if the response was lost. Made by `reconcile` of an operation that is not idempotent.
///
/// If the outcome of an attempt is unknown, because the response was lost or a gateway timed out, it calls your closure. The
/// closure looks the object up by something that you sent along, such as your own reference. Depending on what it returns, the
/// write is done, is sent again (three times at most in total), or fails.
///
/// An object that was found has the type that `send` of the operation returns. What is found often has another one: of a booking
/// that was listed, `BookingCreated::new(id)` makes what `create_booking` returns.
///
/// # Example
///
/// ```
/// use servicebay::repairy::types::BookingCreate;
/// use servicebay::{WriteStatus, ReconcileOutcome};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # use servicebay::repairy::types::{CarInput, CustomerInput, ServiceCategory, ServiceInput};
/// # let server = servicebay::testing::repairy::MockServer::start().await;
/// # let client = server.client()?;
/// # server.fault(servicebay::testing::Fault::lost_response().on("POST", "/bookings"));
/// # let booking = BookingCreate::new()
/// #     .workshop_id("640000000000000000000001")
/// #     .customer(CustomerInput::new().first_name("Ada").email("ada@example.com").phone("0400000009"))
/// #     .car(CarInput::new().rego("ABC123").make("Toyota").model("Corolla"))
/// #     .services([ServiceInput::custom("Brakes", ServiceCategory::Repair)])
/// #     .drop_off_time(jiff::civil::date(2026, 6, 2).at(9, 0, 0, 0));
/// let created = client.create_booking().body(booking).reconcile(|unknown| async move {
///     println!("outcome of {} at {} unknown", unknown.operation(), unknown.started_at());
///     // Look the booking up here: in your own records, or with another call.
///     Ok(WriteStatus::Unknown)
/// });
/// match created.send().await {
///     Ok(ReconcileOutcome::Response(response)) => println!("booked: {}", response.booking_id),
///     Ok(ReconcileOutcome::Found(booking)) => println!("it was booked after all: {}", booking.booking_id),
///     Ok(_) => {}
///     Err(error) => assert!(error.maybe_applied()),
/// }
/// # Ok(()) }
/// ```
#[must_use = "a write does nothing until `send` is called"]
pub struct Reconcile<W, F> {
    write: W,
    lookup: F,
}

/// What the lookup of a write's outcome found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteStatus<T> {
    /// The write was applied: this is the object.
    Applied(T),
    /// The write was not applied, and will not be any more: the call is sent again.
    NotApplied,
    /// The lookup cannot decide: the call fails with its original error.
    Unknown,
}

/// A write that was applied.
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "short-lived: callers take it apart at once")]
pub enum ReconcileOutcome<T> {
    /// The vendor responded.
    Response(Response<T>),
    /// The response was lost, and the lookup found this object.
    Found(T),
}

impl<T> ReconcileOutcome<T> {
    /// Returns the value of the response, or the object that was found.
    pub fn into_inner(self) -> T {
        match self {
            Self::Response(response) => response.into_inner(),
            Self::Found(object) => object,
        }
    }
}

impl<T> Deref for ReconcileOutcome<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Response(response) => response,
            Self::Found(object) => object,
        }
    }
}

/// A write whose outcome is unknown, with what is known to look it up by.
#[derive(Clone)]
#[non_exhaustive]
pub struct UnknownOutcome {
    operation: &'static str,
    method: Method,
    request_body: Bytes,
    started_at: Timestamp,
    failed_at: Timestamp,
}

impl UnknownOutcome {
    fn new(call: &CallError) -> Self {
        Self {
            operation: call.operation().id(),
            method: call.method().clone(),
            request_body: call.request_body().clone(),
            started_at: call.started_at(),
            failed_at: call.failed_at(),
        }
    }

    /// The name of the operation.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The request body.
    pub fn request_body(&self) -> &Bytes {
        &self.request_body
    }

    /// Decodes the request body.
    ///
    /// # Errors
    ///
    /// Returns the error of `serde_json` if the body is not a `T`.
    pub fn request_body_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.request_body)
    }

    /// When the call started. An object that it created is not older.
    pub fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// When the call failed.
    pub fn failed_at(&self) -> Timestamp {
        self.failed_at
    }
}

impl fmt::Debug for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnknownOutcome")
            .field("operation", &self.operation)
            .field("method", &self.method)
            .field("request_body", &format_args!("{} bytes", self.request_body.len()))
            .field("started_at", &format_args!("{}", self.started_at))
            .field("failed_at", &format_args!("{}", self.failed_at))
            .finish()
    }
}

impl<W, F, L> Reconcile<W, F>
where
    W: Write,
    F: FnMut(UnknownOutcome) -> L,
    L: Future<Output = Result<WriteStatus<W::Output>, Error>>,
{
    pub(crate) fn new(write: W, lookup: F) -> Self {
        Self { write, lookup }
    }

    /// Sends the call, and looks up its outcome if it is unknown.
    ///
    /// # Errors
    ///
    /// Returns the error of the call if the lookup cannot decide. If the lookup fails, its error is the source.
    pub async fn send(mut self) -> Result<ReconcileOutcome<W::Output>, Error> {
        let mut attempts = 0;
        loop {
            let error = match self.write.clone().write().await {
                Ok(response) => return Ok(ReconcileOutcome::Response(response)),
                Err(error) => error,
            };
            attempts += 1;
            let unknown = match error.call_error() {
                Some(call) if call.maybe_applied() => UnknownOutcome::new(call),
                _ => return Err(error),
            };
            match (self.lookup)(unknown).await {
                Ok(WriteStatus::Applied(object)) => return Ok(ReconcileOutcome::Found(object)),
                Ok(WriteStatus::NotApplied) if attempts < MAX_ATTEMPTS => {}
                Ok(WriteStatus::NotApplied | WriteStatus::Unknown) => return Err(error),
                // A failed lookup leaves the outcome unknown.
                Err(lookup) => return Err(error.with_lookup_error(lookup)),
            }
        }
    }

    /// Does what [`send`](Self::send) does, and blocks this thread until the call has ended. A lookup that has no `await` either
    /// returns [`std::future::ready`], and may make blocking calls. Not in async code: see [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn send_blocking(self) -> Result<ReconcileOutcome<W::Output>, Error> {
        crate::blocking::block_on(self.write.operation().id(), "send", self.send())
    }
}

impl<W: fmt::Debug, F> fmt::Debug for Reconcile<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconcile").field("write", &self.write).finish_non_exhaustive()
    }
}
