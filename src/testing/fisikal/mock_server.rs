//! The handle to a mock server.

use std::collections::BTreeSet;

use serde_json::Value;

use super::auth;
use super::people::Role;
use super::server::FisikalServer;
use crate::testing::mock_server::{mock_server, snapshot_method, token_methods};

mock_server! {
    FisikalServer,
    /// A mock server of one instance of Fisikal, on a socket or in memory.
    ///
    /// Clones are handles to the same server. The [module](crate::testing::fisikal) describes its behavior and its
    /// data.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::fisikal::types::ForClient;
    /// use servicebay::testing::fisikal::{MockServer, Role};
    ///
    /// let server = MockServer::start().await;
    ///
    /// // Run your code with a client of the server:
    /// let client = server.client_as(Role::Client)?;
    /// let class = client.join_occurrence().id(5).body(ForClient::new(2001)).send().await?;
    /// assert_eq!(class.is_joined, Some(true));
    ///
    /// // Then check the requests that the server received:
    /// assert_eq!(server.counters().operation("join_occurrence"), 1);
    /// # Ok(())
    /// # }
    /// ```
}

snapshot_method! {
    /// Everything includes what only the manager may see.
    ///
    /// ```
    /// use servicebay::testing::fisikal::MockServer;
    ///
    /// let server = MockServer::builder().in_memory();
    /// assert_eq!(server.snapshot("api/unified/clubs/locations/1")["location"]["name"], "Harbour");
    /// ```
}
token_methods!(auth.issuer);

impl MockServer {
    /// The id of the OAuth application of every mock server.
    pub const CLIENT_ID: &str = auth::CLIENT_ID;
    /// The secret of that application, which is not a real secret.
    pub const CLIENT_SECRET: &str = auth::CLIENT_SECRET;

    /// The email address and the password of the person with this role.
    #[must_use]
    pub fn login(&self, role: Role) -> (String, String) {
        self.server.with_vendor(|server, _| {
            let (email, password) = server.store.people.login(role).expect("every role has a person");
            (email.to_owned(), password.to_owned())
        })
    }

    /// All clients of the club with their profiles, by ascending id: the initial ones, then those that calls added. A
    /// password is not part of a profile. It counts as no request.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::fisikal::types::ForClient;
    /// use servicebay::testing::fisikal::MockServer;
    ///
    /// let server = MockServer::start().await;
    /// server.client()?.join_occurrence().id(5).body(ForClient::new(2001)).send().await?;
    ///
    /// assert_eq!(server.clients()[0]["id"], 2001);
    /// assert_eq!(server.bookings()[0]["occurrence_id"], 5);
    /// assert_eq!(server.bookings()[0]["client_id"], 2001);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn clients(&self) -> Vec<Value> {
        self.server.with_vendor(|server, time| server.store.people.clients(time.now))
    }

    /// All bookings of classes, by class and client: each with its `occurrence_id`, `client_id` and `occurs_at`. A server has
    /// none at the start. It counts as no request.
    #[must_use]
    pub fn bookings(&self) -> Vec<Value> {
        self.server.with_vendor(|server, _| server.store.schedule.bookings())
    }

    /// All appointments, oldest first: each with its `id`, `trainer_id`, `client_ids`, `starts_at` and `ends_at`. A server has
    /// none at the start. It counts as no request.
    #[must_use]
    pub fn appointments(&self) -> Vec<Value> {
        self.server.with_vendor(|server, _| server.store.schedule.appointments())
    }

    /// All orders of packages, oldest first: each with its `id`, `buyer_id`, `amount` in pence, `paid`, and `purchases` with a
    /// `service_package_id` and the `client_id` that gets it. A server has none at the start. It counts as no request.
    #[must_use]
    pub fn orders(&self) -> Vec<Value> {
        self.server.with_vendor(|server, _| server.store.purchases.orders())
    }

    /// Issues an access token to the manager, as `/oauth/token` does. It counts neither as a request nor as a login.
    #[must_use]
    pub fn access_token(&self) -> String {
        self.server.with_vendor(|server, time| {
            let caller = server.caller(Role::Manager);
            server.auth.log_in(caller, BTreeSet::new(), time.now).access
        })
    }

    /// Issues a session token to the person with this role, as a login does. It counts neither as a request nor as a
    /// login.
    #[must_use]
    pub fn session_token(&self, role: Role) -> String {
        self.server.with_vendor(|server, time| {
            let caller = server.caller(role);
            server.auth.start_session(caller, time.now).access
        })
    }
}

#[cfg(test)]
impl MockServer {
    /// Sends one request with the session token of this role to a path below `/api/unified`.
    pub(super) fn request_as(&self, role: Role, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
        let token = self.session_token(role);
        let headers = [("x-fisikal-token", token.as_str())];
        let (status, body) = self.request_with(&headers, method, &format!("/api/unified{path}"), body);
        (status.as_u16(), body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_reaches_a_mock_server_over_a_socket_and_in_memory() {
        for server in [MockServer::start().await, MockServer::builder().in_memory()] {
            let page = server.client().unwrap().list_locations().send().await.unwrap();
            assert_eq!(page.count, Some(7));
        }
    }

    #[test]
    fn the_debug_output_of_a_mock_server_contains_no_token() {
        let server = MockServer::builder().in_memory();
        let token = server.access_token();
        assert!(!format!("{server:?}").contains(&token));
    }
}
