//! A mock server of Repairy, for tests.
//!
//! [`MockServer`] implements the nine operations whose paths the vendor documents or, for the free slots, that are
//! assumed, and the two that issue tokens, with the data of two workshops. It is as strict as the vendor is known or
//! likely to be, so that a test that passes here means something:
//!
//! * **partners**: the first check of a request is `X-Partner-ID`, which must name a partner; otherwise it gets 403. So
//!   do a token and a booking of another partner.
//! * **tokens**: `POST /auth/token` takes `appKey` and `appSecret`, and issues an access token for 48 hours and a
//!   refresh token for 14 days, on the server's own clock. `POST /auth/refresh` takes the access token in
//!   `Authorization`, which must *still be valid*, and the refresh token of the same login as `refreshToken` in the
//!   body. Invalid tokens get 401.
//! * **rotation**: a refresh issues new tokens. A reused refresh token revokes all tokens of its login.
//! * **free slots**: a request covers at most 7 days, both ends included. Slots with a booking are left out, and so are
//!   those of a day whose limit is reached.
//! * **bookings**: both the older form and the form with services are accepted. Services are completed from the
//!   catalog, and the email address and the phone number are checked. The same phone number is the same customer, the
//!   same plate the same car.
//! * **statuses**: a status changes only by a permitted transition; otherwise the request gets 409.
//! * **quotes and reminders**: their required fields are checked. SMS, notifications and webhooks are
//!   [recorded](MockServer::sent_messages) and not sent.
//! * **webhooks**: with the feature `webhooks`, those of a call are [pending](MockServer::next_webhook) until the test
//!   delivers them: in time, late, twice, with a bad signature, or in another version.
//!
//! Everything else is refused: an unknown path gets 404, an unknown parameter or field 400, with a `message` that names
//! it. There is no rate limit, no Partner Report and no Call Lead, because their documentation is not public.
//!
//! # Data
//!
//! Every mock server starts with the same data.
//!
//! | | |
//! | --- | --- |
//! | workshop `640000000000000000000001` | five services of all categories, one of which the workshop defined itself |
//! | workshop `640000000000000000000002` | no catalog: accepts the older form of bookings |
//! | hours | Monday to Friday from 8:00 to 17:00 with five slots, Saturday from 8:00 to 12:00 with two, closed on Sunday |
//! | services | `68b7bf3f6210580c57363a94` (`logbook`, 150 to 200) and `507f1f77bcf86cd799439011` (`roadworthy`, 150) are in the vendor's examples |
//! | customer `650000000000000000000001` | phone 0400000001, with car `660000000000000000000001` |
//! | booking `670000000000000000000001` | pending, on 2026-06-01 at 9:00 |
//! | booking `670000000000000000000002` | belongs to [`Partner::Other`], at the second workshop |
//! | reminder `690000000000000000000001` | for that customer, not yet used |
//!
//! # Assumptions
//!
//! [`MockServerBuilder`] sets most of what the vendor's pages leave open. These assumptions are fixed: the old access
//! token stays valid for its 48 hours after a refresh; a field that an update leaves out keeps its value; a phone
//! number identifies a customer within one partner; a canceled booking frees its slot; a webhook has the booking as it was
//! after the change.

mod auth;
mod builder;
mod calendar;
mod catalog;
mod client;
mod error_response;
mod handler;
mod mock_server;
mod options;
mod outbox;
mod partner;
mod routes;
mod rules;
mod schema;
mod seed;
mod server;
mod store;
mod validator;
#[cfg(feature = "webhooks")]
mod webhook;
#[cfg(feature = "webhooks")]
mod webhook_delivery;

pub use self::builder::MockServerBuilder;
pub use self::mock_server::{MockServer, TokenPair};
pub use self::options::{RefreshTokens, UnknownPhone};
pub use self::outbox::{Message, SentMessage};
pub use self::partner::Partner;
#[cfg(feature = "webhooks")]
#[cfg_attr(docsrs, doc(cfg(feature = "webhooks")))]
pub use self::webhook_delivery::WebhookDelivery;
