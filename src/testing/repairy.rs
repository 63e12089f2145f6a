//! A Repairy tenant for tests.
//!
//! [`MockServer`] answers the nine operations whose address is documented or, for the free times, assumed, and the two calls
//! that give tokens, from two workshops' worth of data. It is as strict as the vendor is known or likely to be, so
//! that what passes here is worth trying there:
//!
//! * **partners**: no request is looked at before `X-Partner-ID` names a partner; 403 otherwise. A token of one partner is
//!   refused with the id of another, and so is another's booking.
//! * **tokens**: `POST /auth/token` takes `appKey` and `appSecret` and gives an access token for 48 hours and a refresh token for 14
//!   days, by the tenant's own clock. `POST /auth/refresh` takes the access token, *still valid*, in `Authorization`,
//!   and the refresh token that came with it as `refreshToken` in the body. 401 for everything that is not valid.
//! * **rotation**: a refresh gives a new pair. An old refresh token that comes back revokes all tokens of its login.
//! * **free times**: at most 7 days, both ends counted; slots that are booked are gone, and so are those of a day on which no
//!   more bookings are taken.
//! * **bookings**: the older form and the one with services, which are completed from the catalog; the email address and
//!   phone number checked; the same phone number is the same customer, the same plate the same car.
//! * **statuses**: by a table of moves; 409 for any other.
//! * **quotes and reminders**: what they need has to be there; SMS, notifications and webhooks are [remembered](MockServer::sent)
//!   and not sent.
//!
//! Everything else is refused: an unknown path, parameter or field gets 404 or 400 and a `message` that says which. There
//! is no limit on requests, no Partner Report and no Call Lead, because nothing public says how they work.
//!
//! # What is there
//!
//! Every tenant starts with the same data.
//!
//! | | |
//! | --- | --- |
//! | workshop `640000000000000000000001` | five services over all categories, one of its own making among them |
//! | workshop `640000000000000000000002` | no catalog: the older form of bookings |
//! | hours | Monday to Friday 8 to 17 o'clock with five slots, Saturday 8 to 12 with two, Sunday closed |
//! | services | `68b7bf3f6210580c57363a94` (`logbook`, 150 to 200) and `507f1f77bcf86cd799439011` (`roadworthy`, 150) are the vendor's examples |
//! | customer `650000000000000000000001` | phone 0400000001, with car `660000000000000000000001` |
//! | booking `670000000000000000000001` | pending, on 2026-06-01 at 9:00 |
//! | booking `670000000000000000000002` | of [`Partner::Other`], at the second workshop |
//! | reminder `690000000000000000000001` | of that customer, not yet used |
//!
//! # Choices
//!
//! Where the vendor's pages say nothing, the tenant chooses, and [`MockServerBuilder`] lets you choose otherwise. Some choices are
//! fixed: a refresh leaves the old access token its 48 hours; a field that an update leaves out keeps its value; a
//! customer is found by phone number within one partner; a cancelled booking gives its slot back.

mod builder;
mod calendar;
mod call;
mod catalog;
mod client;
mod form;
mod garage;
mod outbox;
mod partners;
mod refusal;
mod routes;
mod rules;
mod seed;
mod store;

use serde_json::Value;

pub use self::builder::{MockServerBuilder, UnknownPhone};
use self::garage::Garage;
pub use self::outbox::{Dispatch, Sent};
pub use self::partners::{Partner, RefreshTokens};
use self::store::Kind;
use super::token_issuer::IssuedTokens as Pair;

/// A pair of tokens that a tenant gave out. They are no secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenPair {
    /// What opens the API, for 48 hours.
    pub access_token: String,
    /// What gives the next pair together with it, for 14 days.
    pub refresh_token: String,
}

super::mock_server::mock_server! {
    Garage,
    /// A stateful stand-in for Repairy as its partners see it, on real sockets or in memory.
    ///
    /// Clones are handles to the same tenant. The [module](self) tells how it behaves and what data it has.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::repairy::Client;
    /// use servicebay::repairy::types::BookingStatus;
    /// use servicebay::testing::repairy::{Dispatch, MockServer};
    ///
    /// let tenant = MockServer::start().await;
    ///
    /// // Whatever your code does with a base URL and credentials:
    /// let client = Client::builder(tenant.credentials()).with_base_url(tenant.base_url()).build()?;
    /// let booking = "670000000000000000000001";
    /// client.update_booking_status().id(booking).status(BookingStatus::Cancelled).send().await?;
    ///
    /// // What became of it:
    /// assert_eq!(tenant.booking(booking)["status"], "cancelled");
    /// assert_eq!(tenant.sent()[0].what, Dispatch::Webhook("bookingCancelled"));
    /// # Ok(())
    /// # }
    /// ```
}

super::mock_server::token_methods!(door.grants);

impl MockServer {
    /// A pair of tokens as a login of this partner would get it. It counts as no request.
    #[must_use]
    pub fn issue_tokens(&self, partner: Partner) -> TokenPair {
        let now = self.now();
        let Pair { access, refresh, .. } = self.server.state().vendor.door.issue(partner, now);
        TokenPair { access_token: access, refresh_token: refresh }
    }

    /// Whether an access token gets anybody in.
    #[must_use]
    pub fn is_valid(&self, access_token: &str) -> bool {
        let now = self.now();
        self.server.state().vendor.door.grants.validate(access_token, now).is_some()
    }

    /// A booking as it is now, with its car and customer, whosever it is; null if there is none with this id. It counts as
    /// no request.
    #[must_use]
    pub fn booking(&self, id: &str) -> Value {
        self.server.state().vendor.store.shown(Kind::Booking, id)
    }

    /// What the tenant would have sent to customers, workshops and webhooks, oldest first.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.server.state().vendor.outbox.clone()
    }

    /// Notes that a booking was made with a reminder's code. How a booking says so is unknown, so no call does it.
    ///
    /// # Panics
    ///
    /// If there is no such reminder or booking.
    #[track_caller]
    pub fn rebook(&self, reminder: &str, booking: &str) {
        let mut state = self.server.state();
        let store = &mut state.vendor.store;
        let known = store.get(Kind::Booking, booking).is_some();
        let reminder = store.get_mut(Kind::Reminder, reminder).filter(|_| known);
        let reminder = reminder.expect("the reminder and the booking have to exist");
        reminder.values.insert("newBookingId".to_owned(), booking.into());
    }
}

#[cfg(test)]
impl MockServer {
    /// One request of the partner that the data belongs to: its status and its JSON body.
    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        self.ask_of(Partner::Main, &self.issue_tokens(Partner::Main).access_token, method, path, body)
    }

    fn ask_of(&self, partner: Partner, access: &str, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let bearer = format!("Bearer {access}");
        let headers = [("x-partner-id", partner.id()), ("authorization", bearer.as_str())];
        let (status, body) = self.request_with(&headers, method, path, body);
        (status.as_u16(), body)
    }
}
