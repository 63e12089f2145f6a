//! Clients of a tenant.

use super::{MockServer, Role};
use crate::fisikal::{Client, Credentials};
use crate::{ClientBuilder, Error};

impl MockServer {
    /// A client of this tenant with the access token of a manager, which may do everything.
    ///
    /// # Errors
    ///
    /// None that a test could cause; it is the builder's.
    pub fn client(&self) -> Result<Client, Error> {
        self.client_builder(Credentials::bearer(self.access_token())).build()
    }

    /// A client of this tenant with the session token of a person of this role.
    ///
    /// # Errors
    ///
    /// None that a test could cause; it is the builder's.
    pub fn client_as(&self, role: Role) -> Result<Client, Error> {
        self.client_builder(Credentials::session_token(self.session_token(role))).build()
    }

    /// The builder of a client with these credentials, to set what your test is about. A tenant in memory is reached
    /// without a socket, and the client then runs on its clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use servicebay::fisikal::Credentials;
    /// use servicebay::testing::fisikal::MockServer;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// let tenant = MockServer::builder().in_memory();
    /// let credentials = Credentials::bearer(tenant.access_token());
    /// let client = tenant.client_builder(credentials).with_operation_timeout(Duration::from_secs(3)).build()?;
    /// assert!(client.get_location().id(1).send().await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn client_builder(&self, credentials: Credentials) -> ClientBuilder<Client> {
        self.connect(Client::builder(credentials))
    }
}
