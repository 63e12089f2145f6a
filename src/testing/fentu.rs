//! A Fentu FSM tenant for tests.
//!
//! [`MockServer`] answers the 20 operations that Fentu's pages name, under `/v1` and `/api/v1`, from a small maintenance firm's
//! worth of data, and the endpoints that give out, renew and revoke tokens:
//!
//! * **keys**: `Authorization: Bearer` with an API key and its scopes. 401 for who is not known, 403 for a scope that is
//!   missing; `admin` suffices for everything, and writing does not come with reading.
//! * **OAuth**: `GET /oauth/authorize` asks the user and leads back with a code that works once and for 10 minutes;
//!   `POST /oauth/token` takes a form with `client_id` and `client_secret` and gives tokens for a code (checking the redirect
//!   address and PKCE) or for a refresh token; `POST /oauth/revoke` ends a token. Access tokens live 1 h and refresh tokens
//!   30 days, on the tenant's clock. A code used twice ends the tokens that it gave; so does a refresh token, where they
//!   [rotate](RefreshTokens::Rotated).
//! * **the limit**: each key and each login has 1,000 requests an hour; 429 beyond it; `X-RateLimit-Limit`, `-Remaining` and
//!   `-Reset` on every answer to somebody who is known. Requests for tokens are not counted.
//! * **lists**: `page` from 1 and `per_page` up to 100, with `data` and `meta`; the filters that the vendor documents.
//! * **bodies**: required fields, values, references that exist, serial numbers that nobody else has.
//!
//! A refusal has the body `{"error": {"code": .., "message": .., "details": [{"field": .., "message": ..}]}}`, one for tokens
//! `{"error": .., "error_description": ..}`. The vendor's own could not be read.
//!
//! # What is there
//!
//! Every tenant starts with the same data. Work was planned between March and July 2026.
//!
//! | | |
//! | --- | --- |
//! | work orders | 70, `wo-10001` to `wo-10070`, of all seven statuses; the last is in the trash |
//! | `wo-10001` | is `in_progress`, for `cust-001`, with technician, contact and `asset-001`; its tasks are `task-001`, done, with checklist, parts and photos, and `task-002`, pending, without technician |
//! | `wo-10002` | is a draft, without schedule, contact or technician |
//! | `wo-10003` | is `open` and has a technician all the same |
//! | customers | 30, `cust-001` "Acme Corporation" to `cust-030`, which is in the trash; two branches |
//! | assets | 60, `asset-001` to `asset-060`, of all five statuses; the last is in the trash; `asset-001` has parts and is under warranty until the end of 2099, `asset-002` out of it |
//! | tasks | two to five for each work order |
//! | also named | technicians `tech-001` to `tech-004`, branches `branch-001` and `branch-002`, objects `obj-001` to `obj-030`, products `prod-001` to `prod-004`, parts `part-001` to `part-004`, checklist `checklist-001`, contacts `contact-001` to `contact-031` |
//! | an application | `test-application` with `test-application-secret`, for redirects to this machine |
//!
//! # Choices
//!
//! Where the vendor's pages say nothing, the tenant chooses, and [`MockServerBuilder`] lets you choose otherwise. Some choices
//! are fixed: lists are newest first; parameters that nobody knows are ignored; dates compare with `scheduled_date`, both
//! ends included; a search finds any part of a name or customer number, in any case; an update by PUT or PATCH leaves alone
//! what it does not name, and a null takes a value away; a record in the trash is 404, and still named by others.

mod application;
mod authority;
mod builder;
mod call;
mod client;
mod draft;
mod keys;
mod office;
mod params;
mod refusal;
mod routes;
mod schema;
mod seed;
mod store;
mod view;

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Request;
use http::header::LOCATION;
use serde_json::Value;
use url::Url;

pub use self::application::Application;
pub use self::builder::{BasePath, Consent, MockServerBuilder, Pkce, RefreshTokens, Tier};
pub use self::keys::{ApiKey, KeyKind};
use self::office::{Holder, Office};
use super::desk::Time;
use super::serve::Answer as _;

super::mock_server::mock_server! {
    Office,
    /// A stateful stand-in for one organisation at Fentu FSM, on real sockets or in memory.
    ///
    /// Clones are handles to the same tenant. The [module](self) tells how it behaves and what data it has.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::fentu::types::WorkOrderUpdate;
    /// use servicebay::fentu::{Client, Credentials};
    /// use servicebay::testing::fentu::{KeyKind, MockServer};
    ///
    /// let tenant = MockServer::start().await;
    ///
    /// // Whatever your code does with a base URL and a key:
    /// let credentials = Credentials::api_key(tenant.key(KeyKind::WorkOrders));
    /// let client = Client::builder(credentials).with_base_url(tenant.base_url()).build()?;
    /// client.update_work_order().id("wo-10003").body(WorkOrderUpdate::new().status("assigned")).send().await?;
    ///
    /// // What became of it:
    /// assert_eq!(tenant.snapshot("work-orders/wo-10003")["data"]["status"], "assigned");
    /// assert_eq!(tenant.counters().operation("update_work_order"), 1);
    /// # Ok(())
    /// # }
    /// ```
}

/// The tokens that a user's consent has given, as an application keeps them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenPair {
    /// What opens the API, for an hour.
    pub access_token: String,
    /// What gives the next pair, for 30 days.
    pub refresh_token: String,
}

super::mock_server::logins!(authority.grants);

impl MockServer {
    /// The value of a key that every tenant has. It is not a secret and not made like one.
    #[must_use]
    pub fn key(&self, kind: KeyKind) -> String {
        kind.value().to_owned()
    }

    /// Makes a key known, in place of one with the same value.
    pub fn add_key(&self, key: ApiKey) {
        self.desk.state().house.keys.add(key);
    }

    /// Revokes a key that every tenant has: from now on it gets 401.
    pub fn revoke(&self, kind: KeyKind) {
        self.revoke_key(kind.value());
    }

    /// Revokes any key by its value: from now on it gets 401.
    pub fn revoke_key(&self, value: &str) {
        self.desk.state().house.keys.revoke(value);
    }

    /// The application that every tenant knows.
    pub fn application(&self) -> Application {
        Application::seeded()
    }

    /// Makes an application known, in place of one with the same name.
    pub fn add_application(&self, application: Application) {
        self.desk.state().house.authority.add(application);
    }

    /// Where applications send their users: below the host, beside the API.
    #[must_use]
    pub fn authorize_url(&self) -> String {
        format!("{}/oauth/authorize", self.base_url().trim_end_matches("/v1"))
    }

    /// Tokens for the [application that every tenant knows](Self::application), with these scopes, as if a user had agreed
    /// some time ago. Counted as no request and no login.
    ///
    /// ```
    /// use servicebay::testing::fentu::MockServer;
    ///
    /// let tenant = MockServer::builder().in_memory();
    /// let tokens = tenant.sign_in(["read:work-orders"]);
    /// assert_ne!(tokens.access_token, tokens.refresh_token);
    /// ```
    #[must_use]
    pub fn sign_in<S: Into<String>>(&self, scopes: impl IntoIterator<Item = S>) -> TokenPair {
        let scopes: BTreeSet<_> = scopes.into_iter().map(Into::into).collect();
        let now = self.now();
        let pair = self.desk.state().house.authority.grants.log_in("test-application", scopes, now);
        TokenPair { access_token: pair.access, refresh_token: pair.refresh }
    }

    /// Sends a browser to an authorize address, and tells where it is sent on to: to the application, with a code or an
    /// error. A question on the way is answered with yes. `None` where it is sent nowhere.
    ///
    /// ```
    /// use servicebay::testing::fentu::MockServer;
    ///
    /// let tenant = MockServer::builder().in_memory();
    /// let asked = format!(
    ///     "{}?response_type=code&client_id=test-application&redirect_uri=http://127.0.0.1:49152/callback&state=xyz",
    ///     tenant.authorize_url(),
    /// );
    /// let sent_to = tenant.visit(&asked).expect("a redirect");
    /// assert_eq!(sent_to.as_str(), "http://127.0.0.1:49152/callback?code=test-code-1&state=xyz");
    /// ```
    #[must_use]
    pub fn visit(&self, authorize_url: &str) -> Option<Url> {
        let get = |url: &str| {
            let request = Request::get(url).body(Bytes::new()).ok()?;
            Some(self.desk.answer(&request).response)
        };
        let mut response = get(authorize_url)?;
        if response.status() == 200 {
            response = get(&format!("{authorize_url}&decision=allow"))?;
        }
        response.headers().get(LOCATION)?.to_str().ok()?.parse().ok()
    }

    /// Uses up what is left of everybody's current window: the next request gets 429 until the window ends.
    pub fn exhaust_rate_limit(&self) {
        self.add_external_requests(u32::MAX);
    }

    /// Counts requests against everybody's current window, as many as fit. They are not in the [counters](Self::counters).
    pub fn add_external_requests(&self, requests: u32) {
        let now = self.now();
        self.desk.state().house.use_up(requests, now);
    }

    /// How many requests the current window of a key still takes, or `None` without a limit.
    #[must_use]
    pub fn remaining(&self, kind: KeyKind) -> Option<u32> {
        let now = self.now();
        self.desk.state().house.remaining(&Holder::Key(self.key(kind)), now)
    }

    /// What a GET of this path, relative to the base URL, would answer to a caller who may see everything, or null if it
    /// would be refused. It counts as no request and meets no fault.
    #[must_use]
    pub fn snapshot(&self, path: &str) -> Value {
        let now = self.now();
        let mut state = self.desk.state();
        let time = Time { now, skew: state.skew };
        let body = state.house.snapshot(path, time);
        body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default()
    }

    /// Whether a work order or an asset is in the trash.
    #[must_use]
    pub fn is_trashed(&self, id: &str) -> bool {
        let state = self.desk.state();
        [schema::Kind::Asset, schema::Kind::Customer, schema::Kind::Task, schema::Kind::WorkOrder]
            .iter()
            .any(|kind| state.house.store.is_trashed(*kind, id))
    }
}
