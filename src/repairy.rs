//! Repairy: car workshops, their free times, bookings, quotes, and service reminders.
//!
//! [Repairy](https://docs.partners.repairy.au) books cars into Australian workshops. You are a *partner*: you ask a
//! *workshop* for its free times and for the *services* in its *catalog*, *book* one of them for a *customer* and a *car*,
//! and follow the booking's *status* until the work is done. You can also request a *quote* from a workshop, and send a
//! customer a *reminder* by SMS when the next service is due. This module calls the Partner API, whose paths have no
//! version.
//!
//! # Credentials
//!
//! Repairy's support gives a partner an app key, an app secret, and a partner id. [`Credentials::app`] takes all three.
//!
//! | | lifetime | the client |
//! | --- | --- | --- |
//! | login with key and secret | | logs in on the first call, and again if a refresh is not possible |
//! | access token | 48 hours | refreshes it in the background, starting 5 hours before it expires |
//! | refresh token | 14 days | sends it together with the access token, which has to be valid still |
//!
//! A refresh therefore needs a client that makes a call at least every two days. A client that was idle for longer logs in
//! again; one that is [kept alive](Client::keep_alive) goes on refreshing. Every request, token requests included, carries
//! the partner id in `X-Partner-ID` and is refused without it. Whether a refresh returns a new refresh token is not
//! documented: a new one replaces the old one, otherwise the old one stays in use. The vendor documents no way to revoke a
//! token.
//!
//! The vendor does not publish the production URL. It comes with the credentials; pass it to
//! [`with_base_url`](crate::ClientBuilder::with_base_url). The one URL on the vendor's pages is a mock that responds with
//! generated data.
//!
//! # First call
//!
//! ```
//! use jiff::civil::date;
//! use servicebay::repairy;
//! use servicebay::repairy::types::{BookingCreate, BookingStatus, CarInput, CustomerInput, ServiceInput};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
//! # let server = servicebay::testing::repairy::MockServer::start().await;
//! # let (credentials, base_url) = (server.credentials(), server.base_url());
//! # let workshop = repairy::Id::from("640000000000000000000001");
//! let client = repairy::Client::builder(credentials)
//!     .with_base_url(base_url) // from Repairy, with the credentials
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
//! # Rate limit
//!
//! None is documented. If the vendor responds with 429, the client waits as it does for every vendor; see
//! [`RateLimitPolicy`](crate::RateLimitPolicy).
//!
//! # Lists
//!
//! Nothing is paged. [`Client::list_workshop_services`] returns the complete catalog, and [`Client::list_availabilities`] a
//! range of at most 7 days, which [`week`](builder::ListAvailabilities::week) sets. A range that is longer, or whose end is
//! before its start, is refused before it is sent. No operation lists workshops, bookings, quotes, or reminders: store the
//! ids.
//!
//! # Quirks
//!
//! * **A booking's status is changed through the path**, `POST /bookings/{id}/{status}`.
//!   [`Client::update_booking_status`] takes it as a [`BookingStatus`](types::BookingStatus) or as text; the text is
//!   encoded so that it cannot reach another path.
//! * **A new booking names its services in one of two ways**, `services` or the older `servicePackageType`.
//!   [`BookingCreate`](types::BookingCreate) has both fields.
//! * **A service in the catalog calls its id `_id`.** The field here is `id`, and
//!   [`ServiceInput::of`](types::ServiceInput::of) turns a catalog item into what a booking sends.
//! * **Responses return services completed**: catalog services with their title, category, icon, color, and upper price,
//!   custom ones as they were sent.
//! * **Whether responses are wrapped is unknown.** The vendor promises one format for all successful responses and does not
//!   show it. A response is read the same way with and without a wrapper.
//! * **What a change returns is unknown.** [`MaybeObject`] contains the object if the response does.
//!
//! # Lost responses
//!
//! A write whose response is lost is sent again if that is harmless: a PUT, a DELETE. Any other
//! fails with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown), because the vendor documents no idempotency keys. Its
//! `reconcile` asks you what became of it:
//!
//! | write | can be looked up by |
//! | --- | --- |
//! | [`Client::update_booking_status`] | [`Client::get_booking`]: its `status` |
//! | [`Client::create_booking`] | no operation, as nothing lists bookings. The webhook of the new booking has your `external_id`, if you send one |
//! | [`Client::create_quote`] | no operation that is known: ask the workshop |
//! | [`Client::create_service_reminder`] | no operation without its id. A second reminder to the same customer is a nuisance, not a booking |
//!
//! A request may still be under way when its response is lost: wait before you look.
//!
//! ```
//! use std::time::Duration;
//! use servicebay::WriteStatus;
//! use servicebay::repairy::{Id, MaybeObject, types::{Booking, BookingStatus}};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), servicebay::Error> {
//! # let server = servicebay::testing::repairy::MockServer::builder().in_memory();
//! # server.fault(servicebay::testing::Fault::lost_response().on("POST", "/bookings/{id}/{status}"));
//! # let client = server.client()?;
//! let id: Id<Booking> = "670000000000000000000001".into();
//! let confirm = client.update_booking_status().id(&id).status(BookingStatus::Confirmed);
//! let booking = confirm.reconcile(|_| {
//!     let (client, id) = (client.clone(), id.clone());
//!     async move {
//!         tokio::time::sleep(Duration::from_secs(60)).await;
//!         let booking = client.get_booking().id(id).send().await?.into_inner();
//!         Ok(match booking.status {
//!             Some(BookingStatus::Confirmed) => WriteStatus::Applied(MaybeObject::from(Some(booking))),
//!             // Another call may have moved it on meanwhile.
//!             Some(BookingStatus::Pending) => WriteStatus::NotApplied,
//!             _ => WriteStatus::Unknown,
//!         })
//!     }
//! });
//! let booking = booking.send().await?;
//! println!("booking {:?}", booking.object().and_then(|booking| booking.code.clone()));
//! # assert_eq!(server.requests().iter().filter(|request| request.operation == Some("update_booking_status")).count(), 1);
//! # assert_eq!(booking.object().and_then(|booking| booking.status.clone()), Some(BookingStatus::Confirmed));
//! # Ok(()) }
//! ```
//!
//! # What is known
//!
//! Of most of the vendor's pages only the beginning could be read. *Documented* are the methods and the paths (except the
//! path of `list_availabilities`), the fields of a car and of a booking's services, and the first fields of a booking and of
//! a reminder. *Assumed* are the statuses of a booking, the names of a customer's fields and of all times, and everything
//! that is marked so in its docs. To send a field under another name, use `with_extra`; to read one, use
//! [`Response::payload`](crate::Response::payload). What no page describes is not here: for Partner Report and Call Lead,
//! which the vendor's menu names without a path, and for the options of a status change, use [`Client::request`].
//!
//! # Webhooks
//!
//! The vendor sends one when a booking is created, changed, canceled or completed, to a URL that you register with it for
//! each action. With the feature `webhooks`, a [`WebhookReceiver`](crate::webhook::WebhookReceiver) checks such a request and
//! reads it as a [`BookingEvent`]. A receiver has to respond within 10 seconds (documented). The recipe of the signature is not
//! public; see [`webhook`](crate::webhook).

mod availability;
mod credentials;
mod envelope;
mod error_body;
#[allow(clippy::all, clippy::use_self, unreachable_pub, unused_qualifications, reason = "written by the generator")]
mod generated;
mod grant;
mod id;
mod maybe_object;
mod service;
mod vendor;
#[cfg(feature = "webhooks")]
mod webhook;

pub use self::credentials::Credentials;
pub use self::generated::{builder, operations, types};
pub use self::id::{Id, Workshop};
pub use self::maybe_object::MaybeObject;
use self::vendor::VENDOR;
#[cfg(feature = "webhooks")]
#[cfg_attr(docsrs, doc(cfg(feature = "webhooks")))]
pub use self::webhook::{BookingAction, BookingEvent};

crate::client::client! {
    VENDOR,
    /// A client for one Repairy partner. Cheap to clone: clones share connections, credentials, and the rate limiter.
    ///
    /// Every operation is a method that returns a builder: set its parameters by name, then call `send`.
}
