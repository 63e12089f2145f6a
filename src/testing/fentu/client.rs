//! Clients of the mock server.

use super::keys::KeyKind;
use super::mock_server::MockServer;
use crate::fentu::{Client, Credentials};
use crate::{ClientBuilder, Error};

impl MockServer {
    /// A client of this server with the key [`KeyKind::Admin`], which may do everything.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`]. The server's own values cause none.
    pub fn client(&self) -> Result<Client, Error> {
        self.client_with(KeyKind::Admin)
    }

    /// A client of this server with one of the keys that every server accepts.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`]. The server's own values cause none.
    pub fn client_with(&self, kind: KeyKind) -> Result<Client, Error> {
        self.client_builder(kind).build()
    }

    /// The builder of such a client, to set the options that your test is about.
    pub fn client_builder(&self, kind: KeyKind) -> ClientBuilder<Client> {
        self.client_builder_with(Credentials::api_key(self.key(kind)))
    }

    /// The builder of a client with any credentials. The client of a server in memory uses no socket and follows the
    /// server's clock.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use servicebay::fentu::Credentials;
    /// use servicebay::testing::fentu::{ApiKey, MockServer};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// let server = MockServer::builder().in_memory();
    /// server.add_key(ApiKey::new("test-dashboard").with_scopes(["read:work-orders"]));
    /// let credentials = Credentials::api_key("test-dashboard");
    /// let client = server.client_builder_with(credentials).with_operation_timeout(Duration::from_secs(3)).build()?;
    /// assert!(client.list_work_orders().send().await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn client_builder_with(&self, credentials: Credentials) -> ClientBuilder<Client> {
        self.connect(Client::builder(credentials))
    }
}
