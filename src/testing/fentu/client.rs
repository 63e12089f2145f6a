//! Clients of a tenant.

use super::{KeyKind, MockServer};
use crate::fentu::{Client, Credentials};
use crate::{ClientBuilder, Error};

impl MockServer {
    /// A client of this tenant that may do everything.
    ///
    /// # Errors
    ///
    /// None that a test could cause; it is the builder's.
    pub fn client(&self) -> Result<Client, Error> {
        self.client_with(KeyKind::Admin)
    }

    /// A client of this tenant with one of the keys that every tenant has.
    ///
    /// # Errors
    ///
    /// None that a test could cause; it is the builder's.
    pub fn client_with(&self, kind: KeyKind) -> Result<Client, Error> {
        self.client_builder(kind).build()
    }

    /// The builder of such a client, to set what your test is about.
    pub fn client_builder(&self, kind: KeyKind) -> ClientBuilder<Client> {
        self.client_builder_with(Credentials::api_key(self.key(kind)))
    }

    /// The builder of a client with any credentials. A tenant in memory is reached without a socket, and the client then
    /// runs on its clock.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use servicebay::fentu::Credentials;
    /// use servicebay::testing::fentu::{ApiKey, MockServer};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// let tenant = MockServer::builder().in_memory();
    /// tenant.add_key(ApiKey::new("test-dashboard").with_scopes(["read:work-orders"]));
    /// let credentials = Credentials::api_key("test-dashboard");
    /// let client = tenant.client_builder_with(credentials).with_operation_timeout(Duration::from_secs(3)).build()?;
    /// assert!(client.list_work_orders().send().await.is_ok());
    /// # Ok(()) }
    /// ```
    pub fn client_builder_with(&self, credentials: Credentials) -> ClientBuilder<Client> {
        let builder = Client::builder(credentials).with_base_url(self.base_url());
        if self.server().is_some() { builder } else { builder.with_transport(self.clone()) }
    }
}
