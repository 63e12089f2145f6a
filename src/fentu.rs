//! Fentu FSM: work orders, the machines that they are about, and the customers whose machines they are.
//!
//! [Fentu FSM](https://docs.fentufsm.com) plans field service: a *customer* has sites, which the vendor calls *objects*;
//! there stand its machines, the *assets*, each an installed piece of a *product*. A *work order* sends a *technician* to
//! one of them; its steps are *tasks*, with checklists, parts and photos. All organisations share one host,
//! `https://api.fentu.io`: the key or token says whose data it is. This module calls its REST API, version 1.
//!
//! # First call
//!
//! ```
//! use futures_util::TryStreamExt;
//! use servicebay::fentu::{self, types::WorkOrderStatus};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
//! # let tenant = servicebay::testing::fentu::MockServer::start().await;
//! # let (key, base_url) = (tenant.key(servicebay::testing::fentu::KeyKind::Admin), tenant.base_url());
//! let client = fentu::Client::builder(fentu::Credentials::api_key(key))
//! #   .with_base_url(base_url)
//!     .build()?; // https://api.fentu.io/v1
//!
//! let order = client.get_work_order().id("wo-10001").send().await?;
//! println!("{:?}: {:?}", order.work_order_number, order.description);
//!
//! let mut waiting = client.list_work_orders().status(WorkOrderStatus::Open).items();
//! while let Some(order) = waiting.try_next().await? {
//!     println!("{:?} on {:?}", order.work_order_number, order.scheduled_date);
//! }
//! # Ok(()) }
//! ```
//!
//! # Ways in
//!
//! | | how | lasts |
//! | --- | --- | --- |
//! | [`Credentials::oauth`] | an application that is registered with the vendor, and that a user lets in with the browser: [`Application`] does that | an hour, renewed by itself for 30 days after the last renewal; [`Client::revoke`] ends it |
//! | [`Credentials::oauth_stored`] | the same, with the tokens that the client's store holds | the same |
//! | [`Credentials::api_key`] | a key for programs of your own, made under *Administration > Integrations > API* with the rights that it needs, and shown once | until somebody revokes it |
//!
//! Where applications are registered, the address of the login page, and whether a renewal gives a new refresh token are not
//! documented. The page is taken to be `/oauth/authorize`, beside the documented `/oauth/token` and `/oauth/revoke`; a
//! refresh token that comes back as it was, or not at all, is kept, and a new one takes its place.
//!
//! The vendor names seven scopes: `read:` and `write:` of `work-orders`, `customers` and `assets`, and `admin` for
//! everything. Reading does not come with writing. None is named for tasks or for deleting; here tasks are taken to go with
//! their work orders, and deleting with writing. A [`Forbidden`](crate::Error::Forbidden) names the scope that was missing.
//!
//! # Lists
//!
//! [`Client::list_work_orders`], [`Client::list_customers`] and [`Client::list_assets`] take `page` (from 1) and `per_page`
//! (1 to 100, default 25) with one filter for each field. `.send()` fetches one [`Page`], `.pages()` streams pages, and
//! `.items()` streams the records as a list shows them; `get_` has the rest. No order is stated and none can be asked for,
//! so a record that is created during a walk may shift another onto the next page, to be met twice. Nothing filters by
//! the time of a change: changes are found by reading again. The tasks of a work order come all at once.
//!
//! # Limits
//!
//! 1,000 requests an hour in the Standard tier, 10,000 in Professional, none in Enterprise. Above it the vendor answers 429
//! and asks to wait until `X-RateLimit-Reset`, whose form is not documented; epoch, seconds and dates are read. Whether a
//! key, a user or the organisation is counted is not documented either. The client waits until the reset, for all callers
//! of the process together; see [`RateLimitPolicy`](crate::RateLimitPolicy).
//!
//! # Oddities, and what becomes of them
//!
//! | the vendor | this module |
//! | --- | --- |
//! | calls `/v1` in every sample and `/api/v1` in every request line above it | begins at `/v1`; where that says 404 before anything was understood there, asks once at `/api/v1`, and stays where it was understood |
//! | wraps a record in `data`, and a list in `data` and `meta` | hands over the record, and a [`Page`] |
//! | writes ids as text with a prefix | [`Id<WorkOrder>`](Id) is not taken for an [`Id<Task>`](Id); the text is never looked into |
//! | has an address as an object in a customer, and as one line elsewhere | [`types::Address`] there, text elsewhere |
//! | says `duration` in the list of tasks and `actual_duration` in a task | the same: [`types::TaskSummary`], [`types::Task`] |
//! | calls a point in time `scheduled_date` | it is read and written as one |
//! | filters assets by `location_id`, which no record has | takes the id of an [`Object`](types::Object), which it most likely is |
//! | sends a work order that is `open`, which means that nobody is assigned, together with a technician | neither is made up from the other |
//!
//! # What is known, and how well
//!
//! The vendor's pages could be read in part. Reading records is *documented*, by its words or its samples. Writing is known
//! by name: that work orders, customers and assets can be created and changed, work orders and assets moved to the trash,
//! and an asset's parts, service history and warranty asked for. Methods, paths and bodies of these are *assumed*, and each
//! says so; a field that the vendor wants and this crate does not model goes in by `with_extra`, and an answer that nobody
//! has seen comes as JSON. What is not named is not here: deleting a customer, writing tasks, contacts, branches,
//! technicians, products, parts, photos, invoices and webhooks are left to [`Client::request`].

mod application;
mod authorization;
mod credentials;
#[allow(clippy::all, clippy::use_self, unreachable_pub, unused_qualifications, reason = "written by the generator")]
mod generated;
mod grant;
mod id;
mod loopback;
mod page;
mod scope;

use serde_json::Value;

pub use self::application::Application;
pub use self::authorization::Authorization;
pub use self::credentials::Credentials;
pub use self::generated::{builder, operations, types};
pub use self::id::{Id, Part};
pub use self::loopback::LoopbackLogin;
pub use self::page::Page;
pub use self::scope::Scope;
use crate::vendor::{Explanation, LimitHeaders, Vendor};

static FENTU: Vendor = Vendor {
    name: "fentu",
    base_url: "https://api.fentu.io/v1",
    base_paths: &["/v1", "/api/v1"],
    // None is documented; this is what most gateways call it.
    request_id_headers: &["x-request-id"],
    // Documented is the reset alone, and an unlimited plan has none.
    limit_headers: LimitHeaders::Unsure,
    explain,
    content: None,
};

crate::client::client! {
    FENTU,
    /// A client of one organisation at Fentu FSM. Cheap to clone; clones share connections, credentials and the budget.
    ///
    /// Every operation is a method that returns a builder: set its parameters by name, then `send` it.
}

impl Client {
    /// Makes the tokens of an application worthless, at the vendor's, in the store and here: a logout. From then on calls
    /// fail with [`Error::ReauthRequired`](crate::Error::ReauthRequired).
    ///
    /// That there is such an endpoint is documented, what it takes is the standard's (RFC 7009)
    /// ([source](https://docs.fentufsm.com/api-reference/authentication)). The refresh token is revoked first, then the
    /// access token.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`](crate::Error::InvalidRequest) for an API key, which is revoked where it was made; otherwise as a token
    /// request can fail, and then the tokens are as good as before.
    pub async fn revoke(&self) -> Result<(), crate::Error> {
        self.inner.revoke().await
    }
}

/// Reads a refusal. The vendor has a format for it that could not be read: looked for are an `error` that is an object
/// (`code`, `message`, `details`), the same without the wrapper, and OAuth's `error` with `error_description`.
fn explain(body: &Value) -> Explanation {
    let inner = body.get("error").filter(|error| error.is_object()).unwrap_or(body);
    let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(str::to_owned);
    let word = text(body, "error");
    let message = text(inner, "message").or_else(|| text(body, "error_description"));
    let complaint = |detail: &Value| Some((text(detail, "field")?, text(detail, "message").unwrap_or_default()));
    Explanation {
        code: text(inner, "code").or_else(|| word.clone().filter(|_| message.is_some())),
        message: message.or(word),
        fields: inner.get("details").and_then(Value::as_array).into_iter().flatten().filter_map(complaint).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn explained(body: Value) -> (Option<String>, Option<String>, Vec<(String, String)>) {
        let Explanation { message, code, fields } = explain(&body);
        (message, code, fields)
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn a_refusal_is_read_in_the_shape_that_is_assumed() {
        let details = json!([{"field": "name", "message": "is missing"}, {"field": "address"}, "odd"]);
        let body =
            json!({"error": {"code": "validation_error", "message": "Two fields are wrong", "details": details}});
        let fields = [("name", "is missing"), ("address", "")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(explained(body), (some("Two fields are wrong"), some("validation_error"), fields.into()));
    }

    #[test]
    fn a_refusal_in_another_shape_still_says_something() {
        for (body, message, code) in [
            (json!({"message": "No", "code": "forbidden"}), some("No"), some("forbidden")),
            (json!({"error": "invalid_grant", "error_description": "Too old"}), some("Too old"), some("invalid_grant")),
            (json!({"error": "No"}), some("No"), None),
            (json!({"error": ["No"]}), None, None),
            (json!([]), None, None),
            (json!("No"), None, None),
        ] {
            assert_eq!(explained(body.clone()), (message, code, Vec::new()), "{body}");
        }
    }
}
