//! Fixably: repair orders, customers, devices, and everything attached to them.
//!
//! [Fixably](https://www.fixably.com) runs repair shops. A customer hands in a device, and the shop creates an *order*. The
//! order moves through *queues* and *statuses* and collects *lines* (parts and services), *tasks*, and *notes*. Every shop
//! is a *tenant* with its own host, `https://{tenant}.fixably.com`, and its own tokens. This module calls the REST API,
//! version 3.
//!
//! # Credentials
//!
//! | | what it is | lifetime |
//! | --- | --- | --- |
//! | [`Credentials::bearer`] | the token of an OAuth2 client, created under *System Settings > API > OAuth2 Clients*; has the scopes it was granted | a week, a month, a year, or unlimited |
//! | [`Credentials::user_token`] | a user's own token, for integrations that already have one; has the user's rights | unlimited |
//!
//! Neither can be refreshed over the API: no token endpoint is documented. Set the expiration with
//! [`Credentials::with_expires_at`]. [`Client::auth_status`] then reports the days that are left, and a call with an
//! expired token fails before it is sent.
//!
//! # First call
//!
//! ```
//! use servicebay::fixably::{self, Expand, Query};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
//! # let server = servicebay::testing::fixably::MockServer::start().await;
//! # let (token, base_url) = (server.token(servicebay::testing::fixably::TokenKind::AdminAll), server.base_url());
//! let client = fixably::Client::builder(fixably::Credentials::bearer(token))
//!     .with_tenant("acme") // https://acme.fixably.com/api/v3
//! #   .with_base_url(base_url)
//!     .build()?;
//!
//! let order = client
//!     .get_order()
//!     .id(20000010)
//!     .expand(Expand::new().with("customer").with_many("lines", Expand::new().with("product")))
//!     .send()
//!     .await?;
//! println!("{:?} for {:?}", order.reference, order.customer.as_ref().and_then(|customer| customer.expanded()));
//!
//! let mut open = client.list_orders().q(Query::field("isClosed").is(false)).items();
//! while let Some(order) = open.try_next().await? {
//!     println!("{:?} since {:?}", order.id(), order.created_at);
//! }
//! # Ok(()) }
//! ```
//!
//! # Rate limit
//!
//! The vendor counts the requests of a whole tenant, over all its tokens. Above the limit it responds with 429,
//! `X-RateLimit-Remaining`, and `X-RateLimit-Reset`. Not documented are the size of the limit and the format of the reset,
//! so the client reads both an epoch time and a number of seconds. The first call of a client learns what is left, while
//! the others wait for its response. After that, all callers in the process share what is left and wait for the reset. See
//! [`RateLimitPolicy`](crate::RateLimitPolicy).
//!
//! # Lists
//!
//! [`Client::list_orders`] and the other lists take `limit` (1 to 100, default 25) with `offset` or `page`, a search
//! [`q`](Query), and [`expand`](Expand). `.send()` fetches one page as a [`Page`], `.pages()` streams pages, and
//! `.items()` streams the objects themselves.
//!
//! # Relations
//!
//! The objects that an order refers to arrive as links, [`Ref`] or [`Many`], unless [`Expand`] requests them. A link has an
//! id too: `order.customer`, of type `Ref<Customer>`, returns the `Id<Customer>` that `get_customer` takes.
//!
//! # Lost responses
//!
//! A write whose response is lost is sent again if that is harmless: a PUT, a DELETE, and the PATCH that sets the status of an order.
//! Any other fails with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown), because the vendor documents no idempotency keys.
//! Its `reconcile` asks you what became of it:
//!
//! | write | can be looked up by |
//! | --- | --- |
//! | [`Client::create_order`] | [`Client::list_orders`] with the `createdAt` of the call: the order with your `reference` |
//! | [`Client::create_order_notes`] | [`Client::list_order_notes`]: the notes with your `text`, created since the call started |
//! | [`Client::update_order_line`], [`Client::update_order_task`] | [`Client::get_order_line`], [`Client::get_order_task`]: the fields that you sent |
//! | [`Client::create_customer`] | [`Client::list_customers`] with `firstName` or `company`: the one with your `email` or `phone` |
//! | [`Client::create_device`] | [`Client::list_devices`] with `serialNumber` |
//! | [`Client::create_order_invoice`] | no operation that is known: ask a person to look |
//!
//! A request may still be under way when its response is lost. Wait before you look, and return
//! [`WriteStatus::NotApplied`](crate::WriteStatus::NotApplied) only if a second order does less harm than none:
//!
//! ```
//! use std::time::Duration;
//! use servicebay::WriteStatus;
//! use servicebay::fixably::{Query, types::OrderCreate};
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), servicebay::Error> {
//! # let server = servicebay::testing::fixably::MockServer::builder().in_memory();
//! # server.fault(servicebay::testing::Fault::lost_response().on("POST", "/orders"));
//! # let client = server.client()?;
//! let create = client.create_order().body(OrderCreate::new().reference("web-1042"));
//! let order = create.reconcile(|unknown| {
//!     let client = client.clone();
//!     async move {
//!         tokio::time::sleep(Duration::from_secs(60)).await;
//!         let recent = Query::field("createdAt").since(unknown.started_at());
//!         let mut orders = client.list_orders().q(recent).items();
//!         while let Some(order) = orders.try_next().await? {
//!             if order.reference.as_deref() == Some("web-1042") {
//!                 return Ok(WriteStatus::Applied(order));
//!             }
//!         }
//!         Ok(WriteStatus::NotApplied)
//!     }
//! });
//! let order = order.send().await?;
//! println!("order {:?}", order.id());
//! # assert_eq!(server.requests().iter().filter(|request| request.method == "POST").count(), 1);
//! # assert!(order.id().is_some());
//! # Ok(()) }
//! ```
//!
//! # What is known
//!
//! The vendor's complete reference could not be read. The docs of each operation, parameter, and field state whether the
//! vendor *documents* it, it was *observed* in a working client, or it is *assumed*. All names of scopes are assumed; that
//! ids are integers is observed. What no source names is not here: for webhooks, stock, price lists, files, reports, and
//! deletions use [`Client::request`].

mod credentials;
mod error_body;
mod expand;
#[allow(clippy::all, clippy::use_self, unreachable_pub, unused_qualifications, reason = "written by the generator")]
mod generated;
mod id;
mod order;
mod page;
mod query;
mod relation;
mod vendor;

pub use self::credentials::Credentials;
pub use self::expand::Expand;
pub use self::generated::{builder, operations, types};
pub use self::id::{Id, IdRef};
pub use self::page::Page;
pub use self::query::{Day, Field, Query};
pub use self::relation::{Many, Ref, Resource};
use self::vendor::VENDOR;

crate::client::client! {
    VENDOR,
    /// A client for one Fixably tenant. Cheap to clone: clones share connections, credentials, and the rate limiter.
    ///
    /// Every operation is a method that returns a builder: set its parameters by name, then call `send`.
}
