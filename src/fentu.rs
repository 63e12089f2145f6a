//! Fentu FSM: work orders, the machines they are about, and the customers who own the machines.
//!
//! [Fentu FSM](https://docs.fentufsm.com) plans field service. A *customer* has sites, which the vendor calls *objects*.
//! The machines at a site are *assets*: an asset is one installed piece of a *product*. A *work order* sends a
//! *technician* to an asset; its steps are *tasks*, with checklists, parts, and photos. All organizations share one host,
//! `https://api.fentu.io`, and the key or token decides whose data a call sees. This module calls the REST API, version 1.
//!
//! # Credentials
//!
//! | | what it is | lifetime |
//! | --- | --- | --- |
//! | [`Credentials::oauth`] | an application registered with the vendor, which a user authorizes in a browser; [`Application`] runs that login | access token 1 hour, refresh token 30 days; the client refreshes both until [`Client::revoke`] ends them |
//! | [`Credentials::oauth_stored`] | the same, with the tokens in the client's store | the same |
//! | [`Credentials::api_key`] | a key for your own programs, created under *Administration > Integrations > API* with the rights it needs, and shown once | until it is revoked |
//!
//! Not documented are the place where applications are registered, the URL of the login page, and whether a refresh
//! returns a new refresh token. This module assumes that the page is `/oauth/authorize`, beside the documented
//! `/oauth/token` and `/oauth/revoke`. A new refresh token replaces the old one; if a refresh returns none, or the same
//! one, the old one stays in use.
//!
//! The vendor documents seven scopes: `read:` and `write:` for each of `work-orders`, `customers`, and `assets`, and
//! `admin` for everything. A write scope does not include reading. No scope is documented for tasks or for deleting; this
//! module assumes that tasks need the work-order scopes and that deleting needs the write scope.
//! [`Error::Forbidden`](crate::Error::Forbidden) names the missing scope.
//!
//! # First call
//!
//! ```
//! use servicebay::fentu::{self, types::WorkOrderStatus};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
//! # let server = servicebay::testing::fentu::MockServer::start().await;
//! # let (key, base_url) = (server.key(servicebay::testing::fentu::KeyKind::Admin), server.base_url());
//! let client = fentu::Client::builder(fentu::Credentials::api_key(key))
//! #   .with_base_url(base_url)
//!     .build()?; // https://api.fentu.io/v1
//!
//! let order = client.get_work_order().id("wo-10001").send().await?;
//! println!("{:?}: {:?}", order.work_order_number, order.description);
//!
//! let mut open = client.list_work_orders().status(WorkOrderStatus::Open).items();
//! while let Some(order) = open.try_next().await? {
//!     println!("{:?} on {:?}", order.work_order_number, order.scheduled_date);
//! }
//! # Ok(()) }
//! ```
//!
//! # Rate limit
//!
//! 1,000 requests an hour on the Standard plan, 10,000 on Professional, unlimited on Enterprise. Above the limit the
//! vendor responds with 429 and asks callers to wait until `X-RateLimit-Reset`. The format of that header is not
//! documented, so the client reads epoch times, seconds, and dates. Whether the vendor counts per key, per user, or per
//! organization is not documented either. The client waits until the reset, for all callers in the process together; see
//! [`RateLimitPolicy`](crate::RateLimitPolicy).
//!
//! # Lists
//!
//! [`Client::list_work_orders`], [`Client::list_customers`], and [`Client::list_assets`] take `page` (from 1), `per_page`
//! (1 to 100, default 25), and one filter per field. `.send()` fetches one [`Page`], `.pages()` streams pages, and
//! `.items()` streams records in the short form that lists have; the `get_` operations return every field. The tasks of a
//! work order are not paged.
//!
//! The vendor does not state how lists are sorted and accepts no sort parameter, so a record created while the list is read can
//! shift another one onto the next page, where it appears again. No filter uses the time of a change: to find
//! changes, read the list again.
//!
//! # Quirks
//!
//! | the vendor | this module |
//! | --- | --- |
//! | calls `/v1` in every sample and `/api/v1` in every request line above it | starts at `/v1`; on a 404 before any call has succeeded there, tries `/api/v1` once, and keeps the path that works |
//! | wraps a record in `data`, and a list in `data` and `meta` | returns the record, and a [`Page`] |
//! | writes ids as text with a prefix | treats the text as opaque; [`Id<WorkOrder>`](Id) and [`Id<Task>`](Id) are different types |
//! | sends an address as an object in a customer, and as one line elsewhere | has [`types::Address`] there, text elsewhere |
//! | uses `duration` in the list of tasks and `actual_duration` in a task | keeps both: [`types::TaskSummary`], [`types::Task`] |
//! | sends a point in time as `scheduled_date` | reads and writes it as a timestamp |
//! | filters assets by `location_id`, a field of no record | takes the id of an [`Object`](types::Object), its most likely meaning |
//! | sends a work order that is `open` (not assigned) together with a technician | reads both as they are |
//!
//! # Lost responses
//!
//! A write whose response is lost is sent again if that is harmless: a PUT, a DELETE. Any other
//! fails with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown), because the vendor documents no idempotency keys. Its
//! `reconcile` asks you what became of it:
//!
//! | write | can be looked up by |
//! | --- | --- |
//! | [`Client::create_asset`] | [`Client::list_assets`] with its `serial_number`, which is unique |
//! | [`Client::create_customer`] | [`Client::list_customers`] with `created_after` and `search`: the one with your `name` |
//! | [`Client::create_work_order`] | [`Client::list_work_orders`] with `customer_id`: created since the call started, and with your `description` in [`Client::get_work_order`] |
//! | [`Client::add_asset_part`] | [`Client::list_asset_parts`]: the part and its quantity |
//!
//! A request may still be under way when its response is lost: wait before you look. A second asset with the same serial number is
//! refused, so it can be sent again without harm:
//!
//! ```
//! use std::time::Duration;
//! use servicebay::WriteStatus;
//! use servicebay::fentu::types::AssetCreate;
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), servicebay::Error> {
//! # let server = servicebay::testing::fentu::MockServer::builder().in_memory();
//! # server.fault(servicebay::testing::Fault::lost_response().on("POST", "/assets"));
//! # let client = server.client()?;
//! let body = AssetCreate::new("Rooftop unit 9", "cust-001").serial_number("RU-2026-0009");
//! let asset = client.create_asset().body(body).reconcile(|_| {
//!     let client = client.clone();
//!     async move {
//!         tokio::time::sleep(Duration::from_secs(60)).await;
//!         let found = client.list_assets().serial_number("RU-2026-0009").send().await?;
//!         match found.items.first().and_then(|asset| asset.id.clone()) {
//!             Some(id) => Ok(WriteStatus::Applied(client.get_asset().id(id).send().await?.into_inner())),
//!             None => Ok(WriteStatus::NotApplied),
//!         }
//!     }
//! });
//! let asset = asset.send().await?;
//! println!("asset {:?}", asset.id);
//! # assert_eq!(server.requests().iter().filter(|request| request.method == "POST").count(), 1);
//! # assert_eq!(asset.serial_number.as_deref(), Some("RU-2026-0009"));
//! # Ok(()) }
//! ```
//!
//! # What is known
//!
//! Only parts of the vendor's pages could be read. Reading records is *documented*, in words or in samples. Of writing,
//! only the names are known: work orders, customers, and assets can be created and changed; work orders and assets can be
//! moved to the trash; an asset's parts, service history, and warranty can be requested. The methods, paths, and bodies of
//! these calls are *assumed*, and marked so in their docs. To send a field that this crate does not model, use
//! `with_extra`; a response whose fields are unknown comes back as JSON. Calls that the vendor does not name are not
//! here: for deleting a customer, writing tasks, contacts, branches, technicians, products, parts, photos, invoices, and
//! webhooks use [`Client::request`].

mod application;
mod authorization;
mod code_flow;
mod credentials;
mod error_body;
#[allow(clippy::all, clippy::use_self, unreachable_pub, unused_qualifications, reason = "written by the generator")]
mod generated;
mod grant;
mod id;
mod loopback;
mod page;
mod scope;
mod vendor;

pub use self::application::Application;
pub use self::authorization::Authorization;
pub use self::credentials::Credentials;
pub use self::generated::{builder, operations, types};
pub use self::id::{Id, Part};
pub use self::loopback::LoopbackLogin;
pub use self::page::Page;
pub use self::scope::Scope;
use self::vendor::VENDOR;

crate::client::client! {
    VENDOR,
    /// A client for one organization at Fentu FSM. Cheap to clone: clones share connections, credentials, and the rate
    /// limiter.
    ///
    /// Every operation is a method that returns a builder: set its parameters by name, then call `send`.
}

impl Client {
    /// Takes over the tokens of a login that was completed elsewhere, stores them at once, and uses them from then on: tokens
    /// from [`Application::exchange`], or from a vault of yours.
    ///
    /// They replace the client's tokens, whenever either were obtained; those become a fallback if they are of another login. Every
    /// other client of the account on the same [store](crate::ClientBuilder::with_token_store) goes on with the new login too,
    /// within a second if its own was refused or revoked. Dropping the future does not stop it.
    ///
    /// It takes as long as the token store does, which is 10 s at most for each operation. While another client is refreshing
    /// its tokens, it also waits for that client's lease, 3 minutes at most. So it returns within 5 minutes.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) for an API key. [`Error::Store`](crate::Error::Store) if the tokens
    /// could not be stored: the client uses them from memory and goes on trying to store them.
    pub async fn adopt_login(&self, tokens: crate::TokenSet) -> Result<(), crate::Error> {
        self.inner.adopt_login(tokens).await
    }

    /// Does what [`adopt_login`](Self::adopt_login) does, and blocks this thread until it is done. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`adopt_login`](Self::adopt_login); [`Error::InvalidRequest`](crate::Error::InvalidRequest) in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn adopt_login_blocking(&self, tokens: crate::TokenSet) -> Result<(), crate::Error> {
        crate::blocking::block_on("adopt_login", "adopt_login", self.adopt_login(tokens))
    }

    /// Logs the application out: revokes its tokens at the vendor and removes them from the store and from this client.
    /// After that, calls fail with [`Error::ReauthRequired`](crate::Error::ReauthRequired).
    ///
    /// The endpoint is documented, its parameters are those of RFC 7009
    /// ([source](https://docs.fentufsm.com/api-reference/authentication)). The refresh token is revoked first, then the
    /// access token.
    ///
    /// It waits for a refresh by another client, 3 minutes at most. Then each request takes 93 s at most with its retries: two for
    /// the login, and two for each of up to four earlier logins that the client remembers. So it returns within 20 minutes, and
    /// usually within a second. Dropping the future does not stop it.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) for an API key: revoke it on the page where it was created.
    /// Otherwise the errors of a token request; the tokens are still valid then.
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
