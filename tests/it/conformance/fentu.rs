//! The cases of Fentu: an application that a user authorized, and an API key.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use servicebay::fentu::types::{Task, WorkOrderCreate};
use servicebay::fentu::{Client, Credentials};
use servicebay::testing::Fault;
use servicebay::testing::fentu::{ApiKey, KeyKind, MockServer, RefreshTokens, Tier, TokenPair};
use servicebay::{ClientBuilder, Error, Response};

use super::{AuthCase, Paged, Refreshable, Scoped, Vendor, handles};
use crate::support;

impl Vendor for MockServer {
    type Client = Client;
    type Record = Task;

    const READ: &str = "/tasks/{id}";
    const WRITE: (&str, &str) = ("create_work_order", "/work-orders");
    const SCOPES: &[&str] = &["read:work-orders"];

    fn read(client: &Client) -> BoxFuture<'static, Result<Response<Task>, Error>> {
        Box::pin(client.get_task().id("task-001").send())
    }

    fn write(client: &Client) -> BoxFuture<'static, Result<(), Error>> {
        let body = WorkOrderCreate::new("cust-001", "Odd smell");
        Box::pin(client.create_work_order().body(body).send().map_ok(|_| ()))
    }

    fn unknown_value() -> Fault {
        Fault::field("status", "ORBIT")
    }

    fn value_of(task: &Task) -> Option<String> {
        task.status.as_ref().map(ToString::to_string)
    }

    handles!(logins);
}

impl Paged for MockServer {
    const ITEMS: usize = 69;

    fn walk(client: &Client, size: u32) -> BoxStream<'static, Result<String, Error>> {
        let orders = client.list_work_orders().per_page(size).items();
        orders.map_ok(|order| order.id.expect("every work order has one").to_string()).boxed()
    }
}

/// An application that a user has just authorized.
pub(super) struct OAuth {
    server: MockServer,
    pair: TokenPair,
}

impl OAuth {
    fn credentials_for(&self, pair: &TokenPair) -> Credentials {
        let application = self.server.application();
        let tokens = support::token_set(pair, self.server.now());
        Credentials::oauth(application.client_id(), application.client_secret(), tokens)
    }

    fn builder_for(&self, pair: &TokenPair) -> ClientBuilder<Client> {
        self.server.client_builder_with(self.credentials_for(pair)).with_tenant("acme")
    }
}

impl AuthCase for OAuth {
    type Vendor = MockServer;

    const LOGINS: usize = 0;
    const SECRETS: &[&str] = &["test-access-1-1", "test-refresh-1-1", "test-application-secret"];
    const REFRESHED_SECRETS: &[&str] = &["test-access-1-2", "test-refresh-1-2"];

    fn new() -> Self {
        let builder = MockServer::builder().with_tier(Tier::Enterprise).with_refresh_tokens(RefreshTokens::Rotated);
        let server = builder.in_memory();
        Self { pair: server.sign_in(["admin"]), server }
    }

    fn server(&self) -> &MockServer {
        &self.server
    }

    fn credentials(&self) -> Box<dyn Debug> {
        Box::new(self.credentials_for(&self.pair))
    }

    fn builder(&self) -> ClientBuilder<Client> {
        self.builder_for(&self.pair)
    }
}

impl Refreshable for OAuth {
    const LIFETIME: Duration = Duration::from_secs(3600);
    const REFRESH_PATH: &str = "/oauth/token";
    const EXPIRED_PATH: &str = "/oauth/token";
}

impl Scoped for OAuth {
    fn unprivileged(&self) -> ClientBuilder<Client> {
        self.builder_for(&self.server.sign_in(["read:assets"]))
    }
}

/// An API key.
pub(super) struct Key(MockServer);

impl AuthCase for Key {
    type Vendor = MockServer;

    const LOGINS: usize = 0;
    const SECRETS: &[&str] = &["test-key-admin"];
    const REFRESHED_SECRETS: &[&str] = &[];

    fn new() -> Self {
        Self(MockServer::builder().with_tier(Tier::Enterprise).in_memory())
    }

    fn server(&self) -> &MockServer {
        &self.0
    }

    fn credentials(&self) -> Box<dyn Debug> {
        Box::new(Credentials::api_key(self.0.key(KeyKind::Admin)))
    }

    fn builder(&self) -> ClientBuilder<Client> {
        self.0.client_builder(KeyKind::Admin)
    }
}

impl Scoped for Key {
    fn unprivileged(&self) -> ClientBuilder<Client> {
        self.0.add_key(ApiKey::new("test-narrow").with_scopes(["read:assets"]));
        self.0.client_builder_with(Credentials::api_key("test-narrow"))
    }
}
