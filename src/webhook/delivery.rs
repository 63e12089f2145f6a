//! A webhook that was accepted: the event, with what came with it and the claim on its id.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::claims::Claims;
use super::error::WebhookError;
use crate::lenient::{ReadReport, SkippedValue};

/// A webhook that was accepted. It dereferences to the event.
///
/// It holds a claim on the delivery's id. [`complete`](Self::complete) it when the event is handled, or when it is safe in a
/// queue of your own. If it is dropped instead, the same delivery is accepted again. Until then it can be moved anywhere, into
/// a task too, but not for longer than [`with_claim_timeout`](super::WebhookReceiver::with_claim_timeout).
///
/// `Debug` prints neither the event nor the body, which may name customers.
///
/// # Example
///
/// ```
/// # use servicebay::repairy::BookingEvent;
/// # use servicebay::webhook::{WebhookError, WebhookReceiver};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = servicebay::testing::repairy::MockServer::builder().in_memory();
/// # let receiver = WebhookReceiver::<BookingEvent>::new(server.webhook_verifier());
/// # let webhook = server.webhook("bookingUpdated", "670000000000000000000001");
/// # let (parts, body) = webhook.request("/").into_parts();
/// let delivery = receiver.receive(&parts.headers, body.clone()).await?;
/// println!("{} of {:?}, sent at {}", delivery.action, delivery.booking_id, delivery.sent_at());
/// // The raw body also holds what this crate does not model:
/// let raw: serde_json::Value = delivery.payload()?;
/// assert_eq!(raw["action"], "bookingUpdated");
///
/// drop(delivery); // handling failed
/// let again = receiver.receive(&parts.headers, body.clone()).await?;
/// again.complete().await?;
/// let error = receiver.receive(&parts.headers, body).await.unwrap_err();
/// assert!(matches!(error, WebhookError::Duplicate));
/// # Ok(()) }
/// ```
#[must_use = "a delivery that is dropped counts as not handled"]
pub struct Delivery<E> {
    pub(super) event: E,
    pub(super) claims: Claims,
    pub(super) retention: Duration,
    pub(super) metadata: DeliveryMetadata,
}

/// What came with an event.
pub(super) struct DeliveryMetadata {
    pub(super) request_id: String,
    pub(super) webhook_id: Option<String>,
    pub(super) version: Option<String>,
    pub(super) is_expected_version: bool,
    pub(super) sent_at: Timestamp,
    pub(super) body: Bytes,
    pub(super) report: ReadReport,
}

impl<E> Delivery<E> {
    /// Records that the delivery was handled, and returns the event. From now on, the same delivery is
    /// [`WebhookError::Duplicate`].
    ///
    /// # Errors
    ///
    /// [`WebhookError::Store`] if the store cannot record it. The event was handled all the same; the same delivery is accepted
    /// again once the claim has timed out.
    pub async fn complete(self) -> Result<E, WebhookError> {
        self.claims.complete(self.retention).await.map_err(WebhookError::Store)?;
        Ok(self.event)
    }

    /// Gives the claim up, so that the same delivery is accepted again. Dropping the delivery does the same with a store that
    /// can do it at once, as the one in memory; a store over a network needs this method, or waits for the claim to time out.
    ///
    /// # Errors
    ///
    /// [`WebhookError::Store`] if the store fails. The same delivery is accepted again once the claim has timed out.
    pub async fn release(self) -> Result<(), WebhookError> {
        self.claims.release().await.map_err(WebhookError::Store)
    }

    /// The event.
    pub fn event(&self) -> &E {
        &self.event
    }

    /// The vendor's id of the delivery. Quote it to the vendor's support. At Repairy, `x-request-id`: documented as the unique id
    /// of the delivery; that further attempts repeat it is inferred.
    pub fn request_id(&self) -> &str {
        &self.metadata.request_id
    }

    /// The vendor's id of this attempt to deliver, if it was sent. At Repairy, `x-webhook-id`; documented.
    pub fn webhook_id(&self) -> Option<&str> {
        self.metadata.webhook_id.as_deref()
    }

    /// The version of the format, if it was sent. At Repairy, `x-webhook-version`; documented, currently 3.
    pub fn version(&self) -> Option<&str> {
        self.metadata.version.as_deref()
    }

    /// Whether the version is the one that this crate was written for. Another version, or none, is read as well as possible,
    /// and reported with the event `servicebay.webhook_version`.
    pub fn is_expected_version(&self) -> bool {
        self.metadata.is_expected_version
    }

    /// When the vendor sent it, by the signed header. At Repairy, `x-webhook-timestamp`; documented.
    pub fn sent_at(&self) -> Timestamp {
        self.metadata.sent_at
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

    /// Whether the body was not valid JSON, and was repaired before it was read. [`body`](Self::body) has what was received.
    pub fn is_repaired(&self) -> bool {
        self.metadata.report.is_repaired
    }

    /// How many values had another shape than expected and were left out.
    pub fn skipped_count(&self) -> u64 {
        self.metadata.report.skipped
    }

    /// The first 16 of the values that were left out.
    pub fn skipped_values(&self) -> &[SkippedValue] {
        &self.metadata.report.described
    }
}

impl<E> Deref for Delivery<E> {
    type Target = E;

    fn deref(&self) -> &E {
        &self.event
    }
}

impl<E> fmt::Debug for Delivery<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("request_id", &self.metadata.request_id)
            .field("webhook_id", &self.metadata.webhook_id)
            .field("version", &self.metadata.version)
            .field("sent_at", &format_args!("{}", self.metadata.sent_at))
            .field("body", &format_args!("{} bytes", self.metadata.body.len()))
            .finish_non_exhaustive()
    }
}
