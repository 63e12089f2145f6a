//! Clients of the mock server.

use super::auth::TokenKind;
use super::mock_server::MockServer;
use crate::fixably::{Client, Credentials};
use crate::{ClientBuilder, Error};

impl MockServer {
    /// A client of this server with the token [`TokenKind::AdminAll`], which may do everything.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`]. The server's own values cause none.
    pub fn client(&self) -> Result<Client, Error> {
        self.client_with(TokenKind::AdminAll)
    }

    /// A client of this server with one of the tokens that every server accepts.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`]. The server's own values cause none.
    pub fn client_with(&self, kind: TokenKind) -> Result<Client, Error> {
        self.client_builder(kind).build()
    }

    /// The builder of such a client, to set the options that your test is about. The client of a server in memory uses
    /// no socket and follows the server's clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use servicebay::testing::fixably::{MockServer, TokenKind};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// let server = MockServer::builder().in_memory();
    /// let client = server.client_builder(TokenKind::AdminAll).with_operation_timeout(Duration::from_secs(3)).build()?;
    /// assert!(client.get_order().id(20000010).send().await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn client_builder(&self, kind: TokenKind) -> ClientBuilder<Client> {
        let credentials = match kind {
            TokenKind::Legacy => Credentials::user_token(self.token(kind)),
            _ => Credentials::bearer(self.token(kind)),
        };
        self.connect(Client::builder(credentials))
    }
}
