//! Clients of a tenant.

use super::{MockServer, Partner};
use crate::repairy::{Client, Credentials};
use crate::{ClientBuilder, Error};

impl MockServer {
    /// A client of the partner that the seeded data belongs to.
    ///
    /// # Errors
    ///
    /// None that a test could cause; it is the builder's.
    pub fn client(&self) -> Result<Client, Error> {
        self.client_with(Partner::Main)
    }

    /// A client of one of the partners that every tenant knows.
    ///
    /// # Errors
    ///
    /// None that a test could cause; it is the builder's.
    pub fn client_with(&self, partner: Partner) -> Result<Client, Error> {
        self.client_builder(partner).build()
    }

    /// The builder of such a client, to set what your test is about. A tenant in memory is reached without a socket,
    /// and the client then runs on its clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use servicebay::testing::repairy::{Partner, MockServer};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// let tenant = MockServer::builder().in_memory();
    /// let client = tenant.client_builder(Partner::Main).with_operation_timeout(Duration::from_secs(3)).build()?;
    /// assert!(client.get_booking().id("670000000000000000000001").send().await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn client_builder(&self, partner: Partner) -> ClientBuilder<Client> {
        self.connect(Client::builder(self.credentials_of(partner)))
    }

    /// The credentials of the partner that the seeded data belongs to, for a client of your own making.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.credentials_of(Partner::Main)
    }

    /// The credentials of one of the partners that every tenant knows.
    #[must_use]
    pub fn credentials_of(&self, partner: Partner) -> Credentials {
        Credentials::app(partner.app_key(), partner.app_secret(), partner.id())
    }
}
