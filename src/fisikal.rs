//! Fisikal: the schedule, bookings, packages and payments of fitness clubs.
//!
//! [Fisikal](https://www.fisikal.com) runs fitness clubs and studios: *services* are offered by *trainers* at *locations*;
//! the schedule holds *occurrences*, which are classes that *clients* join, and *appointments*, which are booked for a
//! free slot; *packages* are sold and pay for bookings with their *credits*. Every customer of the vendor has an
//! *instance* with a host of its own, usually `https://{tenant}.fisikal.com`, in which there may be several *clubs*. This
//! module calls its Unified API, below `/api/unified`.
//!
//! # First call
//!
//! ```
//! use futures_util::TryStreamExt;
//! use servicebay::fisikal::{self, Direction, types::ForClient};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
//! # let tenant = servicebay::testing::fisikal::MockServer::start().await;
//! # let (base_url, (username, password)) = (tenant.base_url(), tenant.login(servicebay::testing::fisikal::Role::Manager));
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
//!     Err(refused) => println!("not booked: {:?}", fisikal::errors(&refused)),
//! }
//! # Ok(()) }
//! ```
//!
//! # Ways in
//!
//! | | how | lasts |
//! | --- | --- | --- |
//! | [`Credentials::password`] | the id and secret of an *oAuth2 Application* and the e-mail address and password of a user with the role Manager, at `/oauth/token`; the way that the vendor documents | as the answer's `expires_in` says; renewed before, with a refresh token where one is given and else by a new login; [`Client::revoke`] ends it |
//! | [`Credentials::session`] | the e-mail address, password and roles of a user, at `/api/unified/sessions/auth`; what the vendor's widget used | not documented; the client logs in anew when its token is refused |
//! | [`Credentials::bearer`] | a token from `/oauth/token` that somebody else obtained | as whoever obtained it knows |
//! | [`Credentials::session_token`] | a token from a log-in, or the one that a [sign-up](Client::sign_up_client) answers, in `X-Fisikal-Token` | not documented; one client counts on 30 days |
//! | [`Credentials::guest`] | nothing: the widget lists locations and packages and signs clients up without a token | |
//!
//! The password and the secret are sent again for a login where there is no refresh token; a refusal is not repeated, so that
//! no account is locked by it. The application has an expiration time in a unit that is not documented.
//! Whether every operation takes both is not known. An integration needs the written permission of the club first, and
//! its user has to belong to the club of the application. Roles decide what a token may do: Manager, Trainer and Client.
//!
//! # Parameters
//!
//! The vendor documents the parameters of a call as one JSON object, with `unified_filters`, `unified_sorting` and `limit`
//! inside, for GET too. Here each has a setter of its own: `.hidden(false)`, `.sort_by_name(..)`, `.limit(50)`. They are
//! sent as the vendor's widget sends them, in one query parameter `json`. A filter that is not modelled goes through
//! [`Client::request`]: `.query("json", r#"{"unified_filters":{"hidden":false}}"#)`. What stands under a name of its own
//! in the vendor's bodies, `{"location": {..}}`, is taken out of it; [`Response::payload`](crate::Response::payload) has
//! the whole body.
//!
//! # Refusals
//!
//! The vendor says what is wrong in a list `errors`, and where a booking or a purchase is refused, that list may stand in an
//! answer with status 200. Both become [`Error::Validation`](crate::Error::Validation), and [`errors`] reads them with their
//! types and options. A card whose owner has to confirm a payment is such a refusal too: its
//! [`stripe_url`](types::ErrorItem::stripe_url) is the page for that.
//!
//! # Lists
//!
//! `.send()` fetches a list as a [`Page`], `.pages()` streams pages, and `.items()` streams the objects themselves, where the
//! vendor has pages: locations, occurrences, packages for sale, and both kinds of transactions. [`Limit`] says how many items
//! to skip and how many to send; which default and maximum the vendor has is not documented, so that without one it decides
//! alone. How lists are sorted is documented for locations and transactions only.
//!
//! # Limits
//!
//! No rate limit is documented and no client has met one. Should the vendor answer 429, the client waits as it does for
//! every vendor; see [`RateLimitPolicy`](crate::RateLimitPolicy).
//!
//! # Oddities
//!
//! * Durations come as hours and minutes that must not simply be added: [`Occurrence::duration`](types::Occurrence::duration).
//! * Prices are in the smallest unit of their currency, [`Money`](types::Money); transactions have decimal numbers.
//! * `is_joined` in a list can be stale.
//! * A [profile](types::Profile) is sent back whole. JsonObject that this crate does not model are kept for that.
//! * [`list_time_slots`](Client::list_time_slots) has a number in its path that nothing depends on; it is set to 1.
//!
//! # What is known, and how well
//!
//! The vendor's reference is part of every instance, at `https://{tenant}.fisikal.com/#/home/developers`, in a version for
//! each role; of two of them the openings could be read. Each operation, parameter and field says whether it is
//! *documented* by the vendor, *observed* in a client that works against it, among them the vendor's own widget, or
//! *assumed*. Locations and transactions are documented; nearly everything else is observed. What nobody names is not
//! here: attendance, access control, memberships, invoices, refunds, waiting lists, reports, webhooks and searches for clients
//! are left to [`Client::request`], whose paths are relative to the host: `api/unified/..`.

mod cancelled;
mod complaints;
mod credentials;
#[allow(clippy::all, clippy::use_self, unreachable_pub, unused_qualifications, reason = "written by the generator")]
mod generated;
mod grant;
mod joined;
mod limit;
mod page;
mod permissions;
mod recurrence;
mod schedule;
mod secret;
mod sex;

pub use self::cancelled::Cancelled;
pub use self::complaints::errors;
pub use self::credentials::Credentials;
pub use self::generated::{builder, operations, types};
pub use self::joined::Joined;
pub use self::limit::{Direction, Limit};
pub use self::page::{Listed, Page};
pub use self::permissions::FamilyPermissions;
pub use self::recurrence::Recurrence;
pub use self::secret::Secret;
pub use self::sex::Sex;
pub use crate::id::Id;
use crate::vendor::{LimitHeaders, Vendor};

static FISIKAL: Vendor = Vendor {
    name: "fisikal",
    base_url: "https://{tenant}.fisikal.com",
    base_paths: &[],
    // None is documented; this is what the framework that the vendor uses sends unless it is told otherwise.
    request_id_headers: &["x-request-id"],
    limit_headers: LimitHeaders::Unsure,
    explain: complaints::explain,
    content: None,
};

crate::client::client! {
    FISIKAL,
    /// A client of one Fisikal instance. Cheap to clone; clones share connections, credentials and the budget.
    ///
    /// Every operation is a method that returns a builder: set its parameters by name, then `send` it.
}

impl Client {
    /// Makes the tokens of an application worthless, at the vendor's, in the store and here: a logout. From then on calls
    /// fail with [`Error::ReauthRequired`](crate::Error::ReauthRequired).
    ///
    /// Whether the vendor has the endpoint `/oauth/revoke` is assumed: the server that it looks like has. A session has no
    /// documented end; its token is forgotten here and in the store.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) for a token that was handed in; otherwise as a token request can fail, and
    /// then the tokens are as good as before.
    pub async fn revoke(&self) -> Result<(), crate::Error> {
        self.inner.revoke().await
    }
}
