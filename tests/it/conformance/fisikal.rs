//! The cases of Fisikal: an application with a user's password, and a user's session.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use serde_json::json;
use servicebay::fisikal::types::{ClientCreate, Profile};
use servicebay::fisikal::{Client, Credentials};
use servicebay::testing::Fault;
use servicebay::testing::fisikal::{MockServer, Role};
use servicebay::{ClientBuilder, Error, Response};

use super::{AuthCase, Paged, Refreshable, Vendor, handles};

impl Vendor for MockServer {
    type Client = Client;
    type Record = Profile;

    const READ: &str = "/api/unified/users/profile";
    const WRITE: (&str, &str) = ("create_client", "/api/unified/users/clients");
    // The vendor has roles in place of scopes.
    const SCOPES: &[&str] = &[];

    fn read(client: &Client) -> BoxFuture<'static, Result<Response<Profile>, Error>> {
        Box::pin(client.get_profile().send())
    }

    fn write(client: &Client) -> BoxFuture<'static, Result<(), Error>> {
        let body = ClientCreate::new().name("Ada").email("ada@mail.example").password("correct horse");
        Box::pin(client.create_client().body(body).send().map_ok(|_| ()))
    }

    /// The only enum of a profile is in its errors.
    fn unknown_value() -> Fault {
        Fault::extra_field("errors", json!([{"on": "dob", "type": "ORBIT"}]))
    }

    fn value_of(profile: &Profile) -> Option<String> {
        profile.errors.first()?.kind.as_ref().map(ToString::to_string)
    }

    handles!(logins);
}

impl Paged for MockServer {
    const ITEMS: usize = 60;

    fn walk(client: &Client, size: u32) -> BoxStream<'static, Result<String, Error>> {
        let transactions = client.list_money_transactions().limit(size).items();
        transactions.map_ok(|item| item.id.expect("every transaction has one").to_string()).boxed()
    }
}

/// An application with the password of a manager, and refresh tokens.
pub(super) struct Password(MockServer);

impl Password {
    fn credentials_of_manager(&self) -> Credentials {
        let (user, password) = self.0.login(Role::Manager);
        Credentials::password(MockServer::CLIENT_ID, MockServer::CLIENT_SECRET, user, password)
    }
}

impl AuthCase for Password {
    type Vendor = MockServer;

    const LOGINS: usize = 1;
    const SECRETS: &[&str] = &["test-access-1-1", "test-refresh-1-1", "test-application-secret", "manager-password"];
    const REFRESHED_SECRETS: &[&str] = &["test-access-1-2", "test-refresh-1-2"];

    fn new() -> Self {
        Self(MockServer::builder().with_refresh_tokens().in_memory())
    }

    fn server(&self) -> &MockServer {
        &self.0
    }

    fn credentials(&self) -> Box<dyn Debug> {
        Box::new(self.credentials_of_manager())
    }

    fn builder(&self) -> ClientBuilder<Client> {
        self.0.client_builder(self.credentials_of_manager())
    }
}

impl Refreshable for Password {
    const LIFETIME: Duration = Duration::from_secs(3600);
    const REFRESH_PATH: &str = "/oauth/token";
    const EXPIRED_PATH: &str = "/oauth/token";
}

/// A manager's session, whose lifetime is unknown.
pub(super) struct Session(MockServer);

impl Session {
    fn credentials_of_manager(&self) -> Credentials {
        let (email, password) = self.0.login(Role::Manager);
        Credentials::session(email, password, ["manager"])
    }
}

impl AuthCase for Session {
    type Vendor = MockServer;

    const LOGINS: usize = 1;
    const SECRETS: &[&str] = &["test-access-1-1", "manager-password"];
    const REFRESHED_SECRETS: &[&str] = &["test-access-2-1"];

    fn new() -> Self {
        Self(MockServer::builder().in_memory())
    }

    fn server(&self) -> &MockServer {
        &self.0
    }

    fn credentials(&self) -> Box<dyn Debug> {
        Box::new(self.credentials_of_manager())
    }

    fn builder(&self) -> ClientBuilder<Client> {
        self.0.client_builder(self.credentials_of_manager())
    }
}
