//! Clients of a tenant.

use super::{MockServer, TokenKind};
use crate::fixably::{Client, Credentials};
use crate::{ClientBuilder, Error};

impl MockServer {
    /// A client of this tenant that may do everything.
    ///
    /// # Errors
    ///
    /// None that a test could cause; it is the builder's.
    pub fn client(&self) -> Result<Client, Error> {
        self.client_with(TokenKind::AdminAll)
    }

    /// A client of this tenant with one of the tokens that every tenant has.
    ///
    /// # Errors
    ///
    /// None that a test could cause; it is the builder's.
    pub fn client_with(&self, kind: TokenKind) -> Result<Client, Error> {
        self.client_builder(kind).build()
    }

    /// The builder of such a client, to set what your test is about. A tenant in memory is reached without a socket,
    /// and the client then runs on its clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use servicebay::testing::fixably::{MockServer, TokenKind};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// let tenant = MockServer::builder().in_memory();
    /// let client = tenant.client_builder(TokenKind::AdminAll).with_operation_timeout(Duration::from_secs(3)).build()?;
    /// assert!(client.get_order().id(20000010).send().await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn client_builder(&self, kind: TokenKind) -> ClientBuilder<Client> {
        let credentials = match kind {
            TokenKind::Legacy => Credentials::user_token(self.token(kind)),
            _ => Credentials::bearer(self.token(kind)),
        };
        let builder = Client::builder(credentials).with_base_url(self.base_url());
        if self.server().is_some() { builder } else { builder.with_transport(self.clone()) }
    }
}
