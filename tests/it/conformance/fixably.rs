//! The case of Fixably: a token that a person created.

use std::fmt::Debug;

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryFutureExt as _, TryStreamExt as _};
use servicebay::fixably::types::{Order, OrderCreate};
use servicebay::fixably::{Client, Credentials};
use servicebay::testing::Fault;
use servicebay::testing::fixably::{MockServer, Token, TokenKind};
use servicebay::{ClientBuilder, Error, Response};

use super::{AuthCase, Paged, Scoped, Vendor, handles};

impl Vendor for MockServer {
    type Client = Client;
    type Record = Order;

    const READ: &str = "/orders/{id}";
    const WRITE: (&str, &str) = ("create_order", "/orders");
    const SCOPES: &[&str] = &["orders:view"];

    fn read(client: &Client) -> BoxFuture<'static, Result<Response<Order>, Error>> {
        Box::pin(client.get_order().id(20000010).send())
    }

    fn write(client: &Client) -> BoxFuture<'static, Result<(), Error>> {
        Box::pin(client.create_order().body(OrderCreate::new()).send().map_ok(|_| ()))
    }

    fn unknown_value() -> Fault {
        Fault::field("internalLocation", "ORBIT")
    }

    fn value_of(order: &Order) -> Option<String> {
        order.internal_location.as_ref().map(ToString::to_string)
    }

    handles!();
}

impl Paged for MockServer {
    const ITEMS: usize = 140;

    fn walk(client: &Client, size: u32) -> BoxStream<'static, Result<String, Error>> {
        let orders = client.list_orders().limit(size).items();
        orders.map_ok(|order| order.id().expect("every order has one").to_string()).boxed()
    }
}

/// The token of an OAuth2 client.
pub(super) struct Bearer(MockServer);

impl AuthCase for Bearer {
    type Vendor = MockServer;

    const LOGINS: usize = 0;
    const SECRETS: &[&str] = &["test-admin-all"];
    const REFRESHED_SECRETS: &[&str] = &[];

    fn new() -> Self {
        Self(MockServer::builder().without_rate_limit().in_memory())
    }

    fn server(&self) -> &MockServer {
        &self.0
    }

    fn credentials(&self) -> Box<dyn Debug> {
        Box::new(Credentials::bearer(self.0.token(TokenKind::AdminAll)))
    }

    fn builder(&self) -> ClientBuilder<Client> {
        self.0.client_builder(TokenKind::AdminAll)
    }
}

impl Scoped for Bearer {
    fn unprivileged(&self) -> ClientBuilder<Client> {
        self.0.add_token(Token::bearer("test-narrow").with_scopes(["customers:view"]));
        let builder = Client::builder(Credentials::bearer("test-narrow"));
        builder.with_base_url(self.0.base_url()).with_transport(self.0.clone())
    }
}
