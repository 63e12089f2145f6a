//! Clients that are connected to a mock server.

use super::mock_server::MockServer;
use super::people::Role;
use crate::fisikal::{Client, Credentials};
use crate::{ClientBuilder, Error};

impl MockServer {
    /// A client with the access token of a manager, which may call every operation.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`]. The server's own values cause none.
    pub fn client(&self) -> Result<Client, Error> {
        self.client_builder(Credentials::bearer(self.access_token())).build()
    }

    /// A client with the session token of the person with this role.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`]. The server's own values cause none.
    pub fn client_as(&self, role: Role) -> Result<Client, Error> {
        self.client_builder(Credentials::session_token(self.session_token(role))).build()
    }

    /// The builder of a client with these credentials, to set more options on. For a server in memory the client uses
    /// no socket and runs on the server's clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use servicebay::fisikal::Credentials;
    /// use servicebay::testing::fisikal::MockServer;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// let server = MockServer::builder().in_memory();
    /// let credentials = Credentials::bearer(server.access_token());
    /// let client = server.client_builder(credentials).with_operation_timeout(Duration::from_secs(3)).build()?;
    /// assert!(client.get_location().id(1).send().await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn client_builder(&self, credentials: Credentials) -> ClientBuilder<Client> {
        self.connect(Client::builder(credentials))
    }
}
