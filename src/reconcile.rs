//! Finds out what became of a write whose outcome nobody knows.

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

/// How often a write is sent in all, where looking says each time that it was not carried out.
const ATTEMPTS: u32 = 3;

/// An operation that must not be repeated blindly. Implemented by the builders of such operations, whose `reconcile` is the
/// way to use it.
pub trait Write: Sealed + Clone + Send + 'static {
    /// What the vendor answers with.
    type Output: Send + 'static;

    /// Sends the call as it is.
    fn write(self) -> impl Future<Output = Result<Response<Self::Output>, Error>> + Send;
}

/// A write that looks before it gives up: made by `reconcile` of an operation that must not be repeated.
///
/// Where the outcome is not known, because the answer was lost or a gateway gave up, it asks your closure, which looks the
/// object up by something that you sent along, such as your own reference. What it finds decides: the object is there, or
/// the call is sent again, three times at most in all.
///
/// # Example
///
/// ```
/// use servicebay::repairy::types::{Booking, BookingCreate};
/// use servicebay::{WriteStatus, ReconcileOutcome};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # use servicebay::repairy::types::{CarInput, CustomerInput, ServiceCategory, ServiceInput};
/// # let tenant = servicebay::testing::repairy::MockServer::start().await;
/// # let client = tenant.client()?;
/// # tenant.fault(servicebay::testing::Fault::lost_response().on("POST", "/bookings"));
/// # let booking = BookingCreate::new()
/// #     .workshop_id("640000000000000000000001")
/// #     .customer(CustomerInput::new().first_name("Ada").email("ada@example.com").phone("0400000009"))
/// #     .car(CarInput::new().rego("ABC123").make("Toyota").model("Corolla"))
/// #     .services([ServiceInput::custom("Brakes", ServiceCategory::Repair)])
/// #     .drop_off_time(jiff::civil::date(2026, 6, 2).at(9, 0, 0, 0));
/// let created = client.create_booking().body(booking).reconcile(|unsettled| async move {
///     println!("{} went out at {} and nobody knows", unsettled.operation(), unsettled.started_at());
///     // Here you look for it: in your own records, or at the vendor's.
///     Ok(WriteStatus::Unknown)
/// });
/// match created.send().await {
///     Ok(ReconcileOutcome::Response(answer)) => println!("booked: {}", answer.booking_id),
///     Ok(ReconcileOutcome::Found(found)) => println!("it was booked after all: {}", found.booking_id),
///     Ok(_) => {}
///     Err(error) => assert!(error.maybe_applied()),
/// }
/// # Ok(()) }
/// ```
#[must_use = "a write is sent by `send`"]
pub struct Reconcile<W, F> {
    write: W,
    look: F,
}

/// What looking for the object says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteStatus<T> {
    /// It is there: the write was carried out.
    Applied(T),
    /// It is not there, and will not appear any more: the call is sent again.
    NotApplied,
    /// Nobody can tell: the call fails with the error that it ended with.
    Unknown,
}

/// A write that stands.
#[derive(Debug)]
#[non_exhaustive]
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is taken apart at once")]
pub enum ReconcileOutcome<T> {
    /// The vendor answered.
    Response(Response<T>),
    /// The answer was lost, and this was found.
    Found(T),
}

impl<T> ReconcileOutcome<T> {
    /// What the vendor answered with, or what was found.
    pub fn into_inner(self) -> T {
        match self {
            Self::Response(answer) => answer.into_inner(),
            Self::Found(found) => found,
        }
    }
}

impl<T> Deref for ReconcileOutcome<T> {
    type Target = T;

    fn deref(&self) -> &T {
        match self {
            Self::Response(answer) => answer,
            Self::Found(found) => found,
        }
    }
}

/// A write whose outcome nobody knows: what there is to find it by.
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
    fn of(failure: &CallError) -> Self {
        Self {
            operation: failure.operation().id(),
            method: failure.method().clone(),
            request_body: failure.request_body().clone(),
            started_at: failure.started_at(),
            failed_at: failure.failed_at(),
        }
    }

    /// The operation that was called.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The body that was sent.
    pub fn request_body(&self) -> &Bytes {
        &self.request_body
    }

    /// The body that was sent, as a type that has its fields.
    ///
    /// # Errors
    ///
    /// As `serde_json` fails, where it is another type.
    pub fn request_body_as<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.request_body)
    }

    /// When the call began: what it made is not older.
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
    pub(crate) fn new(write: W, look: F) -> Self {
        Self { write, look }
    }

    /// Sends the call, and looks where its outcome is not known.
    ///
    /// # Errors
    ///
    /// The error that the call ended with, where looking does not settle it. Where looking fails, that error is its source.
    pub async fn send(mut self) -> Result<ReconcileOutcome<W::Output>, Error> {
        let mut sent = 0;
        loop {
            let error = match self.write.clone().write().await {
                Ok(answer) => return Ok(ReconcileOutcome::Response(answer)),
                Err(error) => error,
            };
            sent += 1;
            let unsettled = match error.call_error() {
                Some(failure) if failure.maybe_applied() => UnknownOutcome::of(failure),
                _ => return Err(error),
            };
            match (self.look)(unsettled).await {
                Ok(WriteStatus::Applied(found)) => return Ok(ReconcileOutcome::Found(found)),
                Ok(WriteStatus::NotApplied) if sent < ATTEMPTS => {}
                Ok(WriteStatus::NotApplied | WriteStatus::Unknown) => return Err(error),
                // Whether the write was carried out is what has to be known, and it still is not.
                Err(look) => return Err(error.after_looking(look)),
            }
        }
    }
}

impl<W: fmt::Debug, F> fmt::Debug for Reconcile<W, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reconcile").field("write", &self.write).finish_non_exhaustive()
    }
}
