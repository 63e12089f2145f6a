//! Clients that are connected to a mock server.

use super::mock_server::MockServer;
use super::partner::Partner;
use crate::repairy::{Client, Credentials};
use crate::{ClientBuilder, Error};

impl MockServer {
    /// A client of the main partner.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`]. The server's own values cause none.
    pub fn client(&self) -> Result<Client, Error> {
        self.client_with(Partner::Main)
    }

    /// A client of a partner.
    ///
    /// # Errors
    ///
    /// Those of [`ClientBuilder::build`]. The server's own values cause none.
    pub fn client_with(&self, partner: Partner) -> Result<Client, Error> {
        self.client_builder(partner).build()
    }

    /// The builder of a client of a partner, to set more options on. For a server in memory the client uses no socket
    /// and runs on the server's clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use servicebay::testing::repairy::{MockServer, Partner};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// let server = MockServer::builder().in_memory();
    /// let client = server.client_builder(Partner::Main).with_operation_timeout(Duration::from_secs(3)).build()?;
    /// assert!(client.get_booking().id("670000000000000000000001").send().await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn client_builder(&self, partner: Partner) -> ClientBuilder<Client> {
        self.connect(Client::builder(self.credentials_of(partner)))
    }

    /// The credentials of the main partner, for a client that you build yourself.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.credentials_of(Partner::Main)
    }

    /// The credentials of a partner.
    #[must_use]
    pub fn credentials_of(&self, partner: Partner) -> Credentials {
        Credentials::app(partner.app_key(), partner.app_secret(), partner.id())
    }
}
