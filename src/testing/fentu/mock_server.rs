//! The handle to the mock server: keys, OAuth, the rate limits, and the server's data.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::Request;
use http::header::LOCATION;
use url::Url;

use super::application::Application;
use super::auth::Identity;
use super::keys::{ApiKey, KeyKind};
use super::server::FentuServer;
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
    /// code or an error. If the page asks the user, the user allows. `None` if there is no redirect.
    ///
    /// ```
    /// use servicebay::testing::fentu::MockServer;
    ///
    /// let server = MockServer::builder().in_memory();
    /// let url = format!(
    ///     "{}?response_type=code&client_id=test-application&redirect_uri=http://127.0.0.1:49152/callback&state=xyz",
    ///     server.authorize_url(),
    /// );
    /// let redirect = server.visit(&url).expect("a redirect");
    /// assert_eq!(redirect.as_str(), "http://127.0.0.1:49152/callback?code=test-code-1&state=xyz");
    /// ```
    #[must_use]
    pub fn visit(&self, authorize_url: &str) -> Option<Url> {
        let get = |url: &str| Some(self.handle(&Request::get(url).body(Bytes::new()).ok()?).response);
        let mut response = get(authorize_url)?;
        if response.status() == 200 {
            response = get(&format!("{authorize_url}&decision=allow"))?;
        }
        response.headers().get(LOCATION)?.to_str().ok()?.parse().ok()
    }

    /// How many requests the current window of a key still accepts, or `None` without a rate limit.
    #[must_use]
    pub fn remaining(&self, kind: KeyKind) -> Option<u32> {
        let identity = Identity::Key(self.key(kind));
        self.server.with_vendor(|vendor, time| vendor.remaining(&identity, time.now))
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
        body: Option<serde_json::Value>,
    ) -> (http::StatusCode, serde_json::Value) {
        self.request_with(&[("authorization", authorization)], method, path, body)
    }
}
