//! The handle to the mock server: tokens, the rate limit, and the server's data.

use serde_json::Value;

use super::auth::{Token, TokenKind};
use super::schema::Resource;
use super::server::FixablyServer;
use super::store::ROOT;
use crate::testing::mock_server::{mock_server, rate_limit_methods, snapshot_method};

mock_server! {
    FixablyServer,
    /// A stateful mock server of one Fixably tenant, on a socket or in memory.
    ///
    /// Clones are handles to the same server. The [module](crate::testing::fixably) describes its behavior and its
    /// data.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::fixably::types::OrderUpdate;
    /// use servicebay::fixably::{Client, Credentials};
    /// use servicebay::testing::fixably::{MockServer, TokenKind};
    ///
    /// let server = MockServer::start().await;
    ///
    /// // Your code, with a base URL and a token:
    /// let credentials = Credentials::bearer(server.token(TokenKind::AdminAll));
    /// let client = Client::builder(credentials).with_base_url(server.base_url()).build()?;
    /// client.update_order().id(20000010).body(OrderUpdate::new().status(457)).send().await?;
    ///
    /// // What it changed on the server:
    /// let order = server.order(20000010);
    /// assert_eq!(order["status"]["href"], format!("{}/statuses/457", server.base_url()));
    /// assert_eq!(server.counters().operation("update_order"), 1);
    /// # Ok(())
    /// # }
    /// ```
}

rate_limit_methods!();
snapshot_method! {
    ///
    /// ```
    /// use servicebay::testing::fixably::MockServer;
    ///
    /// let server = MockServer::builder().in_memory();
    /// let child = server.snapshot("customers/1/children/2");
    /// assert_eq!(child["firstName"], "Jill");
    /// ```
}

impl MockServer {
    /// The value of a token that every server accepts. It is not a secret.
    #[must_use]
    pub fn token(&self, kind: TokenKind) -> String {
        kind.value()
    }

    /// Adds a token, in place of a token with the same value.
    pub fn add_token(&self, token: Token) {
        self.server.state().vendor.tokens.add(token);
    }

    /// Revokes a token that every server accepts. Requests with it get 401 from now on.
    pub fn revoke(&self, kind: TokenKind) {
        self.revoke_token(&kind.value());
    }

    /// Revokes a token by its value. Requests with it get 401 from now on.
    pub fn revoke_token(&self, value: &str) {
        self.server.state().vendor.tokens.revoke(value);
    }

    /// How many requests the current window still accepts, or `None` without a rate limit.
    #[must_use]
    pub fn remaining(&self) -> Option<u32> {
        self.server.with_vendor(|vendor, time| vendor.remaining(time.now))
    }

    /// The current state of an order, with its lines, notes and tasks expanded; null if the id is unknown. It counts as
    /// no request.
    #[must_use]
    pub fn order(&self, id: i64) -> Value {
        self.snapshot(&format!("orders/{id}?expand=lines(items),notes(items),tasks(items)"))
    }

    /// All orders with their lines, notes and tasks, by ascending id: the initial ones, then those that calls created. It
    /// counts as no request.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::fixably::types::OrderCreate;
    /// use servicebay::testing::fixably::MockServer;
    ///
    /// let server = MockServer::start().await;
    /// let before = server.orders().len();
    /// server.client()?.create_order().body(OrderCreate::new().reference("WEB-7")).send().await?;
    ///
    /// assert_eq!(server.orders().len(), before + 1);
    /// assert_eq!(server.orders()[before]["reference"], "WEB-7");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn orders(&self) -> Vec<Value> {
        self.objects(Resource::Order)
    }

    /// All customers, by ascending id: the initial ones, then those that calls created. It counts as no request.
    #[must_use]
    pub fn customers(&self) -> Vec<Value> {
        self.objects(Resource::Customer)
    }

    /// All devices, by ascending id: the initial ones, then those that calls created. It counts as no request.
    #[must_use]
    pub fn devices(&self) -> Vec<Value> {
        self.objects(Resource::Device)
    }

    /// All invoices, oldest first. Each has its `id`, the number of its `order`, and the fields of the request that created
    /// it; how the vendor shows an invoice is unknown. It counts as no request.
    #[must_use]
    pub fn invoices(&self) -> Vec<Value> {
        self.server.with_vendor(|vendor, _| vendor.invoices().to_vec())
    }

    fn objects(&self, resource: Resource) -> Vec<Value> {
        self.server.with_vendor(|vendor, time| vendor.objects(resource, ROOT, time))
    }
}

#[cfg(test)]
impl MockServer {
    /// Sends one request with the token that may do everything. Returns the status and the JSON body.
    pub(super) fn request(&self, method: &str, path: &str, body: Option<Value>) -> (http::StatusCode, Value) {
        self.request_as("Bearer test-admin-all", method, path, body)
    }

    /// Sends one request with this `Authorization` header. Returns the status and the JSON body.
    pub(super) fn request_as(
        &self,
        authorization: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> (http::StatusCode, Value) {
        self.request_with(&[("authorization", authorization)], method, path, body)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Request;

    use super::*;
    use crate::testing::{Counters, Fault};
    use crate::transport::{Body, Transport as _};

    async fn get(server: &MockServer, path: &str) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}{path}", server.base_url());
        reqwest::Client::builder()
            .no_proxy()
            .build()?
            .get(url)
            .bearer_auth(server.token(TokenKind::AdminAll))
            .send()
            .await
    }

    #[tokio::test]
    async fn links_lead_back_to_the_server_that_sent_them() {
        let server = MockServer::start().await;
        let response = get(&server, "/orders/20000010?expand=lines(items)").await.expect("a response");
        let order: Value = serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON");
        let line = order["lines"]["items"][0]["href"].as_str().expect("a link");
        let path = line.strip_prefix(server.base_url()).expect("a link of this server");
        assert_eq!(get(&server, path).await.expect("a response").status(), 200);
    }

    #[tokio::test]
    async fn all_faults_reach_a_client_over_sockets() {
        let server = MockServer::start().await;
        server.fault(Fault::dropped());
        server.fault(Fault::lost_response());
        for _ in 0..2 {
            assert!(get(&server, "/queues").await.is_err());
        }
        server.fault(Fault::truncated());
        let response = get(&server, "/queues").await.expect("the head of a response");
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err());

        server.fault(Fault::oversized(100_000));
        let body = get(&server, "/queues").await.expect("a response").bytes().await.expect("a body");
        assert_eq!(body.len(), 100_000);
        server.fault(Fault::empty());
        let response = get(&server, "/queues").await.expect("a response");
        assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(0)));
        server.fault(Fault::header("x-note", b"caf\xe9"));
        let response = get(&server, "/queues").await.expect("a response");
        assert_eq!(response.headers()["x-note"].as_bytes(), b"caf\xe9");
        server.fault(Fault::delay(Duration::from_nanos(1)));
        assert_eq!(get(&server, "/queues").await.expect("a response").status(), 200);
        assert_eq!((server.pending_faults(), server.counters().faults()), (0, 7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_in_memory_is_a_transport_with_paused_delays() {
        let server = MockServer::builder().in_memory();
        server.fault(Fault::delay(Duration::from_secs(86_400)));
        let start = tokio::time::Instant::now();
        let response = server.send(Request::new(Body::empty())).await.expect("a response");
        assert_eq!((response.status().as_u16(), start.elapsed().as_secs()), (401, 86_400));
    }

    #[test]
    fn a_snapshot_is_not_counted() {
        let server = MockServer::builder().in_memory();
        assert_eq!(server.order(20_000_010)["id"], 20_000_010);
        assert_eq!(server.order(1), Value::Null);
        assert_eq!(server.counters(), Counters::default());
    }

    #[test]
    fn the_debug_output_has_no_token() {
        let shown = format!("{:?}", MockServer::builder().in_memory());
        assert!(!shown.contains("test-"), "{shown}");
    }
}
