//! Fixably: repair orders, customers, devices and what belongs to them.
//!
//! [Fixably](https://www.fixably.com) runs repair shops: a customer hands in a device, which becomes an *order*; the
//! order moves through *queues* and *statuses* while parts are put on its *lines*, work on its *tasks*, and what was
//! found into its *notes*. Every shop, a *tenant*, has its own host, `https://{tenant}.fixably.com`, and its own
//! tokens. This module calls its REST API, version 3.
//!
//! # First call
//!
//! ```
//! use futures_util::TryStreamExt;
//! use servicebay::fixably::{self, Expand, Query};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
//! # let tenant = servicebay::testing::fixably::MockServer::start().await;
//! # let (token, base_url) = (tenant.token(servicebay::testing::fixably::TokenKind::AdminAll), tenant.base_url());
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
//! # Ways in
//!
//! | | how | lasts |
//! | --- | --- | --- |
//! | [`Credentials::bearer`] | an OAuth2 client's token, made under *System Settings > API > OAuth2 Clients*; holds the scopes that were granted | a week, a month, a year, or for ever |
//! | [`Credentials::user_token`] | a user's own token, for integrations that already have one; may do what the user may | for ever |
//!
//! Neither can be renewed over the API: no token endpoint is documented. Tell the client when the token expires, and
//! [`Client::auth_status`] tells how many days are left; a call with an expired token fails before it is sent.
//!
//! # Relations
//!
//! What an order refers to arrives as a link, a [`Ref`] or [`Many`], unless [`Expand`] asked for it. A link still knows
//! its id: `order.customer` of type `Ref<Customer>` gives an `Id<Customer>`, which `get_customer` takes.
//!
//! # Lists
//!
//! [`Client::list_orders`] and its like take `limit` (1 to 100, default 25) with `offset` or `page`, a search
//! [`q`](Query), and [`expand`](Expand). `.send()` fetches one page as a [`Collection`], `.pages()` streams pages, and
//! `.items()` streams the objects themselves.
//!
//! # Limits
//!
//! The vendor counts requests for a whole tenant, over all its tokens, and answers 429 above the limit with
//! `X-RateLimit-Remaining` and `X-RateLimit-Reset`. How many requests make the limit, and whether the reset is an epoch
//! or a number of seconds, is not documented; both are read. The first call of a client asks what is left, and the others
//! wait for its answer; then all callers of the process together spend what is there and wait for the reset. See [`RateLimitPolicy`](crate::RateLimitPolicy).
//!
//! # What is known, and how well
//!
//! The vendor's complete reference could not be read. Each operation, parameter and field says whether it is
//! *documented* by the vendor, *observed* in a client that works against it, or *assumed*. Names of scopes are assumed
//! throughout, and that ids are integers is observed. What nobody names is not here: webhooks, stock, price lists, files,
//! reports and deletions are left to [`Client::request`].

mod collection;
mod credentials;
mod expand;
#[allow(clippy::all, clippy::use_self, unreachable_pub, unused_qualifications, reason = "written by the generator")]
mod generated;
mod id;
mod query;
mod relation;

use serde_json::Value;

pub use self::collection::Collection;
pub use self::credentials::Credentials;
pub use self::expand::Expand;
pub use self::generated::{builder, operations, types};
pub use self::id::{Id, IdRef};
pub use self::query::{Day, Field, Query};
pub use self::relation::{Many, Ref, Resource};
use crate::vendor::{Explanation, LimitHeaders, Vendor};

static FIXABLY: Vendor = Vendor {
    name: "fixably",
    base_url: "https://{tenant}.fixably.com/api/v3",
    base_paths: &[],
    // None is documented; this is what most gateways call it.
    request_id_headers: &["x-request-id"],
    limit_headers: LimitHeaders::Sent,
    explain,
    content: None,
};

crate::client::client! {
    FIXABLY,
    /// A client of one Fixably tenant. Cheap to clone; clones share connections, credentials and the budget.
    ///
    /// Every operation is a method that returns a builder: set its parameters by name, then `send` it.
}

/// Reads a refusal: `{"status": 404, "developerMessage": ".."}`, as far as clients have seen it.
fn explain(body: &Value) -> Explanation {
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    Explanation { message: text("developerMessage").or_else(|| text("message")), code: None, fields: Vec::new() }
}
