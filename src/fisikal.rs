//! Fisikal: the schedule, bookings, packages, and payments of fitness clubs.
//!
//! [Fisikal](https://www.fisikal.com) runs fitness clubs and studios. *Trainers* offer *services* at *locations*. The
//! schedule holds *occurrences*, which are classes that *clients* join, and *appointments*, which clients book in a free
//! slot. Clients buy *packages*, whose *credits* pay for bookings. Each of the vendor's customers has an *instance* on a
//! host of its own, usually `https://{tenant}.fisikal.com`; one instance can hold several *clubs*. This module calls the
//! Unified API, below `/api/unified`.
//!
//! # Credentials
//!
//! | | what it is | lifetime |
//! | --- | --- | --- |
//! | [`Credentials::password`] | the id and secret of an *oAuth2 Application*, with the e-mail address and password of a user who has the role Manager, at `/oauth/token`; the documented way | `expires_in` of the token response; refreshed before it expires, with a refresh token if there is one, else by logging in again; [`Client::revoke`] ends it |
//! | [`Credentials::session`] | the e-mail address, password, and roles of a user, at `/api/unified/sessions/auth`; the vendor's widget used it | not documented; the client logs in again when the token is refused |
//! | [`Credentials::bearer`] | a token from `/oauth/token` that another program obtained | not known to the client |
//! | [`Credentials::session_token`] | a token from a login or a [sign-up](Client::sign_up_client), sent in `X-Fisikal-Token` | not documented; one client assumes 30 days |
//! | [`Credentials::guest`] | no token: the widget lists locations and packages and signs clients up without one | |
//!
//! Without a refresh token, the client logs in again and sends the password and the secret again. It does not repeat a
//! login that was refused, so it cannot lock the account. The application has an expiration time, whose unit is not
//! documented. An integration needs the club's written permission, and its user has to belong to the application's club.
//! Roles (Manager, Trainer, Client) decide what a token may do. Whether every operation accepts both kinds of token is
//! unknown.
//!
//! # First call
//!
//! ```
//! use servicebay::fisikal::{self, Direction, types::ForClient};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
//! # let server = servicebay::testing::fisikal::MockServer::start().await;
//! # let (base_url, (username, password)) = (server.base_url(), server.login(servicebay::testing::fisikal::Role::Manager));
//! # let (id, secret) = ("test-application", "test-application-secret");
//! let client = fisikal::Client::builder(fisikal::Credentials::password(id, secret, username, password))
//!     .with_tenant("acme") // https://acme.fisikal.com
//! #   .with_base_url(base_url)
//!     .build()?;
//!
//! let mut sites = client.list_locations().hidden(false).sort_by_name(Direction::Ascending).items();
//! while let Some(site) = sites.try_next().await? {
//!     println!("{:?} in {:?}", site.name, site.parent_name);
//! }
//!
//! match client.join_occurrence().id(5).body(ForClient::new(2001)).send().await {
//!     Ok(class) => println!("booked; {:?} places are left", class.free_places()),
//!     Err(error) => println!("not booked: {:?}", fisikal::errors(&error)),
//! }
//! # Ok(()) }
//! ```
//!
//! # Rate limit
//!
//! None is documented, and no known client has met one. If the vendor responds with 429, the client waits as it does for
//! every vendor; see [`RateLimitPolicy`](crate::RateLimitPolicy).
//!
//! # Lists
//!
//! `.send()` fetches a list as a [`Page`]. `.pages()` streams pages and `.items()` streams the objects of the lists that
//! the vendor pages: locations, occurrences, packages for sale, and both kinds of transactions. [`PageLimit`] sets how many
//! items to skip and how many to send. The default and the maximum are not documented; without a limit, the vendor decides
//! the size of a page. Sorting is documented for locations and transactions only.
//!
//! # Parameters
//!
//! The vendor documents the parameters of a call as one JSON object with `unified_filters`, `unified_sorting`, and `limit`
//! inside, for GET too. Here each parameter has a setter of its own: `.hidden(false)`, `.sort_by_name(..)`, `.limit(50)`.
//! They are sent as the vendor's widget sends them, in one query parameter `json`. For a filter that is not modeled, use
//! [`Client::request`]: `.query("json", r#"{"unified_filters":{"hidden":false}}"#)`. The vendor wraps an object in its
//! name, `{"location": {..}}`; operations return the object, and [`Response::payload`](crate::Response::payload) reads the
//! complete body.
//!
//! # Errors
//!
//! The vendor lists what is wrong under `errors`. If it refuses a booking or a purchase, that list can be in a response
//! with status 200. Both become [`Error::Validation`](crate::Error::Validation), and [`errors`] reads the entries with
//! their types and options. A payment that the card's owner has to confirm is such an error too: its
//! [`stripe_url`](types::ErrorItem::stripe_url) is the page for the confirmation.
//!
//! # Quirks
//!
//! * Durations come as hours and minutes that cannot simply be added: use
//!   [`Occurrence::duration`](types::Occurrence::duration).
//! * Prices are in the smallest unit of their currency, [`Money`](types::Money); transactions have decimal numbers.
//! * `is_joined` can be stale in a list.
//! * A [profile](types::Profile) has to be sent back whole, so fields that this crate does not model are kept.
//! * The path of [`list_time_slots`](Client::list_time_slots) contains a number with no known meaning; it is always 1.
//!
//! # Lost responses
//!
//! A write whose response is lost is sent again if that is harmless: a PUT, a DELETE. Any other
//! fails with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown), because the vendor documents no idempotency keys. Its
//! `reconcile` asks you what became of it:
//!
//! | write | can be looked up by |
//! | --- | --- |
//! | [`Client::create_client`], [`Client::sign_up_client`] | sending it again: an e-mail address that is taken is refused, and yours is taken if the first attempt was applied |
//! | [`Client::create_appointment`] | sending it again: a slot that is taken is refused (assumed). Or [`Client::list_occurrences`] of the client at that time |
//! | [`Client::create_purchase`] | [`Client::list_money_transactions`] since the call started, if staff records the payment. An order that is not paid shows nowhere |
//! | [`Client::checkout_stripe`], [`Client::confirm_stripe`], [`Client::checkout_cash`] | [`Client::list_client_service_packages`]: what was bought is there. That an order that is paid already is refused is assumed |
//!
//! A write that is refused the second time is not looked up but sent again, and the refusal is the result:
//!
//! ```
//! use servicebay::WriteStatus;
//! use servicebay::fisikal::{self, types::{ClientCreate, ErrorType}};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), servicebay::Error> {
//! # let server = servicebay::testing::fisikal::MockServer::builder().in_memory();
//! # server.fault(servicebay::testing::Fault::lost_response().on("POST", "/api/unified/users/clients"));
//! # let client = server.client()?;
//! let body = ClientCreate::new().name("Ada Byrne").email("ada@example.com").password("correct horse");
//! let mut is_unknown = false;
//! let created = client.create_client().body(body).reconcile(|_| {
//!     is_unknown = true;
//!     async { Ok(WriteStatus::NotApplied) }
//! });
//! match created.send().await {
//!     Ok(user) => println!("created as {:?}", user.id),
//!     Err(error) => {
//!         let taken = fisikal::errors(&error).iter().any(|problem| problem.kind == Some(ErrorType::Taken));
//!         if !(taken && is_unknown) {
//!             return Err(error);
//!         }
//!         println!("created by the attempt whose response was lost, or registered before");
//!     }
//! }
//! # assert!(is_unknown);
//! # assert_eq!(server.requests().iter().filter(|request| request.operation == Some("create_client")).count(), 2);
//! # Ok(()) }
//! ```
//!
//! # What is known
//!
//! Every instance serves the vendor's reference, at `https://{tenant}.fisikal.com/#/home/developers`, in one version per
//! role; only the beginnings of two of them could be read. The docs of each operation, parameter, and field state whether
//! the vendor *documents* it, it was *observed* in a working client (some are the vendor's own widgets), or it is
//! *assumed*. Locations and transactions are documented; nearly everything else is observed. What no source names is not
//! here: for attendance, access control, memberships, invoices, refunds, waiting lists, reports, webhooks, and searching
//! clients use [`Client::request`], with paths relative to the host: `api/unified/..`.

mod cancellation;
mod credentials;
mod direction;
mod error_body;
mod family_permissions;
#[allow(clippy::all, clippy::use_self, unreachable_pub, unused_qualifications, reason = "written by the generator")]
mod generated;
mod grant;
mod id;
mod id_list;
mod page;
mod page_limit;
mod recurrence;
mod schedule;
mod secret_text;
mod sex;
mod vendor;

pub use self::cancellation::Cancellation;
pub use self::credentials::Credentials;
pub use self::direction::Direction;
pub use self::error_body::errors;
pub use self::family_permissions::FamilyPermissions;
pub use self::generated::{builder, operations, types};
pub use self::id::Id;
pub use self::id_list::IdList;
pub use self::page::{ListItem, Page};
pub use self::page_limit::PageLimit;
pub use self::recurrence::Recurrence;
pub use self::secret_text::SecretText;
pub use self::sex::Sex;
use self::vendor::VENDOR;

crate::client::client! {
    VENDOR,
    /// A client for one Fisikal instance. Cheap to clone: clones share connections, credentials, and the rate limiter.
    ///
    /// Every operation is a method that returns a builder: set its parameters by name, then call `send`.
}

impl Client {
    /// Logs the application out: revokes its tokens at the vendor and removes them from the store and from this client.
    /// After that, calls fail with [`Error::ReauthRequired`](crate::Error::ReauthRequired).
    ///
    /// The endpoint `/oauth/revoke` is assumed, because the vendor's server looks like one that has it. A session has no
    /// documented logout; its token is only removed from this client and the store.
    ///
    /// It waits for a refresh by another client, 3 minutes at most. Then each request takes 93 s at most with its retries: two for
    /// the login, and two for each of up to four earlier logins that the client remembers. So it returns within 20 minutes, and
    /// usually within a second. Dropping the future does not stop it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) for a token that was passed in. Otherwise the errors of a
    /// token request; the tokens are still valid then.
    pub async fn revoke(&self) -> Result<(), crate::Error> {
        self.inner.revoke().await
    }

    /// Does what [`revoke`](Self::revoke) does, and blocks this thread until it is done. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`revoke`](Self::revoke); [`Error::InvalidRequest`](crate::Error::InvalidRequest) in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn revoke_blocking(&self) -> Result<(), crate::Error> {
        crate::blocking::block_on("revoke", "revoke", self.revoke())
    }
}
