//! The handle to a mock server.

use serde_json::Value;

use super::outbox::SentMessage;
use super::partner::Partner;
use super::server::RepairyServer;
use super::store::Kind;
use crate::testing::mock_server::{mock_server, snapshot_method, token_methods};

/// The tokens that a mock server issued. They are not real secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenPair {
    /// The access token, which is valid for 48 hours.
    pub access_token: String,
    /// The refresh token, which is valid for 14 days. A refresh needs both tokens.
    pub refresh_token: String,
}

mock_server! {
    RepairyServer,
    /// A mock server of Repairy as its partners see it, on a socket or in memory.
    ///
    /// Clones are handles to the same server. The [module](crate::testing::repairy) describes its behavior and its
    /// data.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::repairy::Client;
    /// use servicebay::repairy::types::BookingStatus;
    /// use servicebay::testing::repairy::{Message, MockServer};
    ///
    /// let server = MockServer::start().await;
    ///
    /// // Run your code with the server's base URL and credentials:
    /// let client = Client::builder(server.credentials()).with_base_url(server.base_url()).build()?;
    /// let booking = "670000000000000000000001";
    /// client.update_booking_status().id(booking).status(BookingStatus::Cancelled).send().await?;
    ///
    /// // Then check the outcome:
    /// assert_eq!(server.booking(booking)["status"], "cancelled");
    /// assert_eq!(server.sent_messages()[0].message, Message::Webhook("bookingCancelled"));
    /// # Ok(())
    /// # }
    /// ```
}

snapshot_method! {
    /// What belongs to one partner is shown as to that partner, without the envelope of a response.
    ///
    /// ```
    /// use servicebay::testing::repairy::MockServer;
    ///
    /// let server = MockServer::builder().in_memory();
    /// assert_eq!(server.snapshot("bookings/670000000000000000000001")["status"], "pending");
    /// ```
}
token_methods!(auth.issuer);

impl MockServer {
    /// Issues tokens to this partner, as a login does. It does not count as a request.
    #[must_use]
    pub fn issue_tokens(&self, partner: Partner) -> TokenPair {
        let tokens = self.server.with_vendor(|server, time| server.auth.issue(partner, time.now));
        TokenPair { access_token: tokens.access, refresh_token: tokens.refresh }
    }

    /// Whether an access token is valid now.
    #[must_use]
    pub fn is_valid(&self, access_token: &str) -> bool {
        self.server.with_vendor(|server, time| server.auth.issuer.validate(access_token, time.now).is_some())
    }

    /// The booking of any partner with this id, with its car and its customer; null if there is none. It does not count
    /// as a request.
    #[must_use]
    pub fn booking(&self, id: &str) -> Value {
        self.server.with_vendor(|server, _| server.store.to_json(Kind::Booking, id))
    }

    /// All bookings of all partners with their cars and customers, oldest first: the initial ones, then those that calls
    /// created. It does not count as a request.
    ///
    /// ```
    /// use servicebay::testing::repairy::MockServer;
    ///
    /// let server = MockServer::builder().in_memory();
    /// let dates: Vec<_> = server.bookings().iter().map(|booking| booking["dropOffTime"].clone()).collect();
    /// assert_eq!(dates.len(), 2);
    /// ```
    #[must_use]
    pub fn bookings(&self) -> Vec<Value> {
        self.records(Kind::Booking)
    }

    /// All quotes of all partners, oldest first. A server has none at the start. It does not count as a request.
    #[must_use]
    pub fn quotes(&self) -> Vec<Value> {
        self.records(Kind::Quote)
    }

    /// All service reminders of all partners with their cars, oldest first: the initial one, then those that calls created. It
    /// does not count as a request.
    #[must_use]
    pub fn reminders(&self) -> Vec<Value> {
        self.records(Kind::Reminder)
    }

    /// All customers of all partners, oldest first: the initial ones, then those that calls created. It does not count as a
    /// request.
    #[must_use]
    pub fn customers(&self) -> Vec<Value> {
        self.records(Kind::Customer)
    }

    /// All cars of all partners, oldest first: the initial ones, then those that calls created. It does not count as a
    /// request.
    #[must_use]
    pub fn cars(&self) -> Vec<Value> {
        self.records(Kind::Car)
    }

    fn records(&self, kind: Kind) -> Vec<Value> {
        self.server.with_vendor(|server, _| server.store.list(kind))
    }

    /// The messages that the vendor would have sent to customers, workshops and webhooks, oldest first.
    #[must_use]
    pub fn sent_messages(&self) -> Vec<SentMessage> {
        self.server.with_vendor(|server, _| server.outbox.messages.clone())
    }

    /// Records that a booking was made with the code of a reminder. How a request names the code is unknown, so no call
    /// does this.
    ///
    /// # Panics
    ///
    /// If the reminder or the booking does not exist.
    #[track_caller]
    pub fn rebook(&self, reminder: &str, booking: &str) {
        let recorded = self.server.with_vendor(|server, _| {
            server.store.get(Kind::Booking, booking)?;
            let reminder = server.store.get_mut(Kind::Reminder, reminder)?;
            reminder.values.insert("newBookingId".to_owned(), booking.into());
            Some(())
        });
        recorded.expect("the reminder and the booking must exist");
    }
}

#[cfg(test)]
impl MockServer {
    /// Sends one request of the main partner with a new access token.
    pub(super) fn request(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.request_as(Partner::Main, &self.issue_tokens(Partner::Main).access_token, method, path, body)
    }

    /// Sends one request of a partner with this access token.
    pub(super) fn request_as(
        &self,
        partner: Partner,
        access_token: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (u16, Value) {
        let bearer = format!("Bearer {access_token}");
        let headers = [("x-partner-id", partner.id()), ("authorization", bearer.as_str())];
        let (status, body) = self.request_with(&headers, method, path, body);
        (status.as_u16(), body)
    }
}
