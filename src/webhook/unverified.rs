//! The verifier that verifies nothing.

use super::error::WebhookError;
use super::verifier::{SignedMessage, Verifier};

/// **Accepts deliveries without checking who sent them.** Anyone who knows the URL can send events.
///
/// For the time before the vendor has told you its recipe, and for receivers that something else protects, such as a proxy
/// with mutual TLS. If you use it, believe nothing in an event but that something may have changed: fetch the object through the
/// API. Anyone can also fill the [store](super::DeliveryStore) of deliveries, so that the vendor's are refused.
///
/// # Example
///
/// ```
/// use servicebay::repairy::BookingEvent;
/// use servicebay::webhook::{AcceptUnverified, WebhookReceiver};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = servicebay::testing::repairy::MockServer::builder().in_memory();
/// # let webhook = server.webhook("bookingUpdated", "670000000000000000000001").with_bad_signature();
/// # let (parts, body) = webhook.request("/").into_parts();
/// let receiver = WebhookReceiver::<BookingEvent>::new(AcceptUnverified);
/// let delivery = receiver.receive(&parts.headers, body).await?;
/// // What the event says may be forged, so ask the vendor.
/// let booking = delivery.booking_id.clone().ok_or("an event without a booking")?;
/// let booking = server.client()?.get_booking().id(booking).send().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to configure")]
pub struct AcceptUnverified;

impl Verifier for AcceptUnverified {
    fn verify(&self, _: &SignedMessage<'_>) -> Result<(), WebhookError> {
        Ok(())
    }
}
