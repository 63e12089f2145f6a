//! The webhooks of a mock server.

use super::mock_server::MockServer;
use super::options::WEBHOOK_SECRET;
use super::outbox::PendingWebhook;
use super::server::RepairyServer;
use super::store::Kind;
use super::webhook_delivery::WebhookDelivery;
use crate::testing::clock::ServerTime;
use crate::webhook::HmacSha256;

impl MockServer {
    /// What webhooks are signed with by default: `test-webhook-secret`, which is not a real secret. Feature `webhooks`.
    #[must_use]
    pub fn webhook_secret(&self) -> &'static str {
        WEBHOOK_SECRET
    }

    /// A verifier that accepts the webhooks of this server. Feature `webhooks`.
    #[must_use]
    pub fn webhook_verifier(&self) -> HmacSha256 {
        self.server.with_vendor(|server, _| server.options.webhook_signature.clone())
    }

    /// The next webhook that calls have caused, oldest first, and signed now; `None` if all were taken. Feature `webhooks`.
    ///
    /// Creating a booking causes `bookingCreate`, an update or a change of status `bookingUpdated`, canceling
    /// `bookingCancelled` and completing `bookingCompleted`. The webhooks are those of all partners.
    ///
    /// ```
    /// use servicebay::repairy::types::BookingStatus;
    /// use servicebay::repairy::{BookingAction, BookingEvent};
    /// use servicebay::testing::repairy::MockServer;
    /// use servicebay::webhook::WebhookReceiver;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = MockServer::builder().in_memory();
    /// let clock = server.clone();
    /// let receiver = WebhookReceiver::<BookingEvent>::new(server.webhook_verifier()).with_clock(move || clock.now());
    ///
    /// let booking = "670000000000000000000001";
    /// server.client()?.update_booking_status().id(booking).status(BookingStatus::Cancelled).send().await?;
    ///
    /// let webhook = server.next_webhook().ok_or("no webhook")?;
    /// let (head, body) = webhook.request("/webhooks/repairy").into_parts();
    /// let delivery = receiver.receive(&head.headers, body).await?;
    /// assert_eq!(delivery.action, BookingAction::Cancelled);
    /// assert!(server.next_webhook().is_none());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn next_webhook(&self) -> Option<WebhookDelivery> {
        self.server.with_vendor(|server, time| {
            let pending = server.outbox.pending.pop_front()?;
            Some(sign(server, &pending, time))
        })
    }

    /// The webhooks that calls have caused and that were not taken with [`next_webhook`](Self::next_webhook), oldest first. They
    /// stay pending. Feature `webhooks`.
    #[must_use]
    pub fn pending_webhooks(&self) -> Vec<WebhookDelivery> {
        self.server.with_vendor(|server, time| {
            server.outbox.pending.iter().map(|pending| sign(server, pending, time)).collect()
        })
    }

    /// A webhook that no call has caused: any action, and the booking with this id as it is now, or null if there is none.
    /// Feature `webhooks`.
    pub fn webhook(&self, action: &str, booking: &str) -> WebhookDelivery {
        self.server.with_vendor(|server, time| {
            let booking = server.store.to_json(Kind::Booking, booking);
            let webhook = server.outbox.number(action, booking);
            sign(server, &webhook, time)
        })
    }
}

/// A webhook as it would be delivered now, by the clock that the server shows.
fn sign(server: &RepairyServer, webhook: &PendingWebhook, time: ServerTime) -> WebhookDelivery {
    let options = &server.options;
    WebhookDelivery::new(webhook, &options.webhook_content, options.webhook_signature.clone(), time.shown())
}
