//! Repairy: car workshops, their free times, bookings, quotes and service reminders.
//!
//! [Repairy](https://docs.partners.repairy.au) books cars into Australian workshops. A *partner*, which is you, asks
//! which times a *workshop* has free and which *services* its *catalog* offers, *books* one of them for a *customer*
//! and a *car*, and follows the booking's *status* until the work is done. A workshop can be asked for a *quote*
//! beforehand, and a customer be *reminded* by SMS when the next service is due. This module calls the Partner API, which has no
//! version in its paths.
//!
//! # First call
//!
//! ```
//! use jiff::civil::date;
//! use servicebay::repairy;
//! use servicebay::repairy::types::{BookingCreate, BookingStatus, CarInput, CustomerInput, ServiceInput};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
//! # let tenant = servicebay::testing::repairy::MockServer::start().await;
//! # let (credentials, base_url) = (tenant.credentials(), tenant.base_url());
//! # let workshop = repairy::Id::from("640000000000000000000001");
//! let client = repairy::Client::builder(credentials)
//!     .with_base_url(base_url) // handed out by Repairy with the credentials
//!     .build()?;
//!
//! let days = client.list_availabilities().workshop_id(&workshop).week(date(2026, 6, 1)).send().await?;
//! let Some(free) = days.iter().flat_map(|day| day.drop_off_times()).next() else { return Ok(()) };
//! let services = client.list_workshop_services().workshop_id(&workshop).send().await?;
//!
//! let booking = BookingCreate::new()
//!     .workshop_id(&workshop)
//!     .customer(CustomerInput::new().first_name("Ada").email("ada@example.com").phone("0400000009"))
//!     .car(CarInput::new().rego("ABC123").make("Toyota").model("Corolla"))
//!     .services(services.iter().take(1).map(ServiceInput::of))
//!     .drop_off_time(free);
//! let created = client.create_booking().body(booking).send().await?;
//! client.update_booking_status().id(&created.booking_id).status(BookingStatus::Confirmed).send().await?;
//! # Ok(()) }
//! ```
//!
//! # Ways in
//!
//! Repairy's support gives a partner three things: an app key, an app secret and a partner id, which
//! [`Credentials::app`] takes.
//!
//! | | lasts | the client |
//! | --- | --- | --- |
//! | login with key and secret | | logs in with the first call, and anew where a renewal is not possible |
//! | access token | 48 hours | renews it in the background, from 5 hours before its end |
//! | refresh token | 14 days | sends it with the access token, as a renewal needs both, the access token still valid |
//!
//! So the 14 days are of use only to who renews at least every two days; a client that is idle longer logs in anew, and one
//! that is [kept alive](Client::keep_alive) goes on. Every request carries the partner id in `X-Partner-ID`, those for
//! tokens included, and is refused without it. Whether a renewal gives a new refresh token is not documented: a new one
//! takes the old one's place, and otherwise the old one stays. There is no documented way to revoke a token.
//!
//! No production address is published: it comes with the credentials, and goes into
//! [`with_base_url`](crate::ClientBuilder::with_base_url). The one address on the vendor's pages is a mock that answers
//! with generated data.
//!
//! # Lists
//!
//! There is no paging. [`Client::list_workshop_services`] answers the whole catalog, and
//! [`Client::list_availabilities`] a range of at most 7 days, which [`week`](builder::ListAvailabilities::week) fills.
//! A range that is longer or the wrong way round is refused before it is sent. No operation lists workshops, bookings,
//! quotes or reminders: keep the ids.
//!
//! # Limits
//!
//! None is documented, on requests or otherwise. A 429 is waited out all the same; see
//! [`RateLimitPolicy`](crate::RateLimitPolicy).
//!
//! # Oddities
//!
//! * **A booking's status is changed through the path**, `POST /bookings/{id}/{status}`.
//!   [`Client::update_booking_status`] takes it as a [`BookingStatus`](types::BookingStatus) or as text, of which nothing
//!   can leave its part of the path.
//! * **A new booking says its services in one of two ways**, `services` or the older `servicePackageType`; both are
//!   fields of one [`BookingCreate`](types::BookingCreate).
//! * **A service of the catalog calls its id `_id`**; here it is `id`, and [`ServiceInput::of`](types::ServiceInput::of)
//!   makes of it what a booking sends.
//! * **Services come back completed**: those of the catalog with its title, category, icon, colour and upper price,
//!   custom ones as they were sent.
//! * **Whether an answer is wrapped is unknown.** The vendor promises one form for every success and does not show
//!   it. An answer in an envelope is read like one without.
//! * **What a change answers is unknown.** [`Echo`] holds the object where it comes back.
//!
//! # What is known, and how well
//!
//! Of most of the vendor's pages only the beginning could be read. Methods and paths are *documented*, but for the path of
//! `list_availabilities`; so are the fields of a car, of a booking's services, and the first ones of a booking and a
//! reminder. *Assumed* are the statuses of a booking, the names of a customer's fields and of all times, and whatever
//! else says so. Send a field under another name with `with_extra`, and read one out of
//! [`Response::payload`](crate::Response::payload). What nobody describes is not here: Partner Report and Call Lead,
//! which the vendor's menu names without a path, and the options of a status change. [`Client::request`] calls them.
//! Webhooks are the vendor's to send, and not part of a client.

mod availability;
mod credentials;
mod echo;
mod envelope;
#[allow(clippy::all, clippy::use_self, unreachable_pub, unused_qualifications, reason = "written by the generator")]
mod generated;
mod grant;
mod id;
mod refusal;
mod service;

pub use self::credentials::Credentials;
pub use self::echo::Echo;
pub use self::generated::{builder, operations, types};
pub use self::id::{Id, Workshop};
use crate::vendor::{LimitHeaders, Vendor};

static REPAIRY: Vendor = Vendor {
    name: "repairy",
    base_url: "",
    base_paths: &[],
    // None is documented; this is what the vendor's own webhooks call theirs.
    request_id_headers: &["x-request-id"],
    limit_headers: LimitHeaders::Unsure,
    explain: refusal::explain,
    content: Some(envelope::content),
};

crate::client::client! {
    REPAIRY,
    /// A client of one Repairy partner. Cheap to clone; clones share connections, credentials and the budget.
    ///
    /// Every operation is a method that returns a builder: set its parameters by name, then `send` it.
}
