//! The handle to the mock server: keys, OAuth, the rate limits, and the server's data.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::header::LOCATION;
use http::{Request, StatusCode};
use serde_json::Value;
use url::Url;

use super::application::Application;
use super::auth::Identity;
use super::consent;
use super::keys::{ApiKey, KeyKind};
use super::schema::Kind;
use super::server::FentuServer;
use super::visit_error::VisitError;
use crate::testing::mock_server::{mock_server, rate_limit_methods, snapshot_method, token_methods};

mock_server! {
    FentuServer,
    /// A stateful mock server of one organization at Fentu FSM, on a socket or in memory.
    ///
    /// Clones are handles to the same server. The [module](crate::testing::fentu) describes its behavior and its data.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::fentu::types::WorkOrderUpdate;
    /// use servicebay::fentu::{Client, Credentials};
    /// use servicebay::testing::fentu::{KeyKind, MockServer};
    ///
    /// let server = MockServer::start().await;
    ///
    /// // Your code, with a base URL and a key:
    /// let credentials = Credentials::api_key(server.key(KeyKind::WorkOrders));
    /// let client = Client::builder(credentials).with_base_url(server.base_url()).build()?;
    /// client.update_work_order().id("wo-10003").body(WorkOrderUpdate::new().status("assigned")).send().await?;
    ///
    /// // What it changed on the server:
    /// assert_eq!(server.snapshot("work-orders/wo-10003")["data"]["status"], "assigned");
    /// assert_eq!(server.counters().operation("update_work_order"), 1);
    /// # Ok(())
    /// # }
    /// ```
}

rate_limit_methods!();
snapshot_method!();
token_methods!(auth.oauth.issuer);

/// The tokens that an application gets when a user consents.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TokenPair {
    /// The token for requests, valid for an hour.
    pub access_token: String,
    /// The token for the next pair, valid for 30 days.
    pub refresh_token: String,
}

impl MockServer {
    /// The value of a key that every server accepts. It is not a secret.
    #[must_use]
    pub fn key(&self, kind: KeyKind) -> String {
        kind.value().to_owned()
    }

    /// Adds a key, in place of a key with the same value.
    pub fn add_key(&self, key: ApiKey) {
        self.server.state().vendor.auth.keys.add(key);
    }

    /// Revokes a key that every server accepts. Requests with it get 401 from now on.
    pub fn revoke(&self, kind: KeyKind) {
        self.revoke_key(kind.value());
    }

    /// Revokes a key by its value. Requests with it get 401 from now on.
    pub fn revoke_key(&self, value: &str) {
        self.server.state().vendor.auth.keys.revoke(value);
    }

    /// The application that every server accepts.
    pub fn application(&self) -> Application {
        Application::seeded()
    }

    /// Adds an application, in place of one with the same client id.
    pub fn add_application(&self, application: Application) {
        self.server.state().vendor.auth.oauth.applications.add(application);
    }

    /// The URL of the authorization page, to which applications send their users. It is beside the API, not below it.
    #[must_use]
    pub fn authorize_url(&self) -> String {
        format!("{}/oauth/authorize", self.base_url().trim_end_matches("/v1"))
    }

    /// Issues tokens with these scopes to the [application that every server accepts](Self::application), as if a user
    /// had consented some time ago. It counts as no request and no login.
    ///
    /// ```
    /// use servicebay::testing::fentu::MockServer;
    ///
    /// let server = MockServer::builder().in_memory();
    /// let tokens = server.sign_in(["read:work-orders"]);
    /// assert_ne!(tokens.access_token, tokens.refresh_token);
    /// ```
    #[must_use]
    pub fn sign_in<S: Into<String>>(&self, scopes: impl IntoIterator<Item = S>) -> TokenPair {
        let scopes: BTreeSet<_> = scopes.into_iter().map(Into::into).collect();
        let issued = self.server.with_vendor(|vendor, time| {
            vendor.auth.oauth.issuer.log_in(Application::seeded().client_id(), scopes, time.now)
        });
        TokenPair { access_token: issued.access, refresh_token: issued.refresh }
    }

    /// Opens an authorization URL as a browser does, and returns where it is redirected to: the application, with a
    /// code or an error. If the page asks the user, the user allows.
    ///
    /// # Errors
    ///
    /// [`VisitError`] with the status and the text of the page, if there is no redirect.
    ///
    /// ```
    /// use servicebay::testing::fentu::MockServer;
    ///
    /// let server = MockServer::builder().in_memory();
    /// let url = |client_id| format!(
    ///     "{}?response_type=code&client_id={client_id}&redirect_uri=http://127.0.0.1:49152/callback&state=xyz",
    ///     server.authorize_url(),
    /// );
    /// let redirect = server.visit(&url("test-application")).expect("a redirect");
    /// assert_eq!(redirect.as_str(), "http://127.0.0.1:49152/callback?code=test-code-1&state=xyz");
    ///
    /// let error = server.visit(&url("another-application")).expect_err("no redirect");
    /// assert_eq!(
    ///     error.to_string(),
    ///     "the authorization page responded with 400 Bad Request instead of a redirect: \
    ///      This application is not registered.",
    /// );
    /// ```
    pub fn visit(&self, authorize_url: &str) -> Result<Url, VisitError> {
        let get = |url: &str| {
            let url: Url = url.parse().map_err(|reason: url::ParseError| VisitError::InvalidUrl(reason.to_string()))?;
            let request = Request::get(url.as_str()).body(Bytes::new());
            let request = request.map_err(|reason| VisitError::InvalidUrl(reason.to_string()))?;
            Ok(self.handle(&request).response)
        };
        let mut response = get(authorize_url)?;
        if response.status() == StatusCode::OK {
            response = get(&format!("{authorize_url}&decision=allow"))?;
        }
        let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok()?.parse().ok());
        location.ok_or_else(|| VisitError::NoRedirect {
            status: response.status(),
            message: consent::text(&String::from_utf8_lossy(response.body())),
        })
    }

    /// How many requests the current window of a key still accepts, or `None` without a rate limit.
    #[must_use]
    pub fn remaining(&self, kind: KeyKind) -> Option<u32> {
        let identity = Identity::Key(self.key(kind));
        self.server.with_vendor(|vendor, time| vendor.remaining(&identity, time.now))
    }

    /// All work orders that are not in the trash, in full, sorted by id: the initial ones, then those that calls created. It
    /// counts as no request.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::fentu::types::WorkOrderCreate;
    /// use servicebay::testing::fentu::MockServer;
    ///
    /// let server = MockServer::start().await;
    /// let before = server.work_orders().len();
    /// let body = WorkOrderCreate::new("cust-001", "The boiler leaks.");
    /// server.client()?.create_work_order().body(body).send().await?;
    ///
    /// assert_eq!(server.work_orders().len(), before + 1);
    /// assert_eq!(server.work_orders()[before]["description"], "The boiler leaks.");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn work_orders(&self) -> Vec<Value> {
        self.records(Kind::WorkOrder)
    }

    /// All customers that are not in the trash, in full, sorted by id: the initial ones, then those that calls created. It
    /// counts as no request.
    #[must_use]
    pub fn customers(&self) -> Vec<Value> {
        self.records(Kind::Customer)
    }

    /// All assets that are not in the trash, in full, sorted by id: the initial ones, then those that calls created. It counts
    /// as no request.
    #[must_use]
    pub fn assets(&self) -> Vec<Value> {
        self.records(Kind::Asset)
    }

    /// All tasks that are not in the trash, in full, sorted by id. It counts as no request.
    #[must_use]
    pub fn tasks(&self) -> Vec<Value> {
        self.records(Kind::Task)
    }

    fn records(&self, kind: Kind) -> Vec<Value> {
        self.server.with_vendor(|vendor, _| vendor.records(kind))
    }

    /// Whether a work order, a customer, a task or an asset is in the trash.
    #[must_use]
    pub fn is_trashed(&self, id: &str) -> bool {
        self.server.state().vendor.store.is_trashed(id)
    }
}

#[cfg(test)]
impl MockServer {
    /// Sends one request with this `Authorization` header. Returns the status and the JSON body.
    pub(super) fn request_as(
        &self,
        authorization: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (StatusCode, Value) {
        self.request_with(&[("authorization", authorization)], method, path, body)
    }
}
