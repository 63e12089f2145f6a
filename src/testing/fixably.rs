//! A Fixably tenant for tests.
//!
//! [`MockServer`] answers the 33 operations that Fixably's pages or its working clients name, under `/api/v3`, from a small
//! repair shop's worth of data. It is as strict as the vendor is known or likely to be, so that what passes here is
//! worth trying there:
//!
//! * **tokens**: `Authorization: Bearer` for OAuth2 client tokens with scopes, expiry, Customer access level and excluded
//!   fields; the raw header for legacy `pk_` tokens, which have none of these. 401 for who is not known, 403 for a scope
//!   that is missing, whose name the answer keeps to itself.
//! * **the limit**: one budget for all tokens, by default 100 requests in 60 s; 429 beyond it; `X-RateLimit-Limit`,
//!   `-Remaining` and `-Reset` on every answer to a valid or invalid token.
//! * **lists**: `limit` from 1 to 100, `offset` or `page`, links for items until `expand=items` makes them objects.
//! * **`expand`**: `customer,lines(items(product))`, checked against the relations of each object.
//! * **`q`**: free text, fields, dates, ranges, dotted paths and lists of ids, checked against the fields of each object.
//! * **bodies**: required fields, enum values, references that exist; and no `id`, `href`, `createdAt` or `tags`.
//!
//! Everything else is refused: an unknown path, parameter, relation or field gets 404 or 400 and a `developerMessage`
//! that says which. There are no webhooks, deletions, stock, price lists, reports or files, because nothing public says
//! how they work.
//!
//! # What is there
//!
//! Every tenant starts with the same data. Times lie between March and May 2026.
//!
//! | | |
//! | --- | --- |
//! | orders | 140, from 20000010 upwards, about half of them closed |
//! | 20000010 | has everything: customer 1, device 1, store 1, location 1, queue 1, status 450, lines 1 (with product 1) and 2 (without), notes 1 to 4 of all types, task 1 |
//! | 20000011 | has no customer, store, device or status |
//! | 20000012 | is a draft |
//! | 20000013 | is closed and paid |
//! | 20000014 | has 30 lines, more than an expanded list shows |
//! | 20000015 | does not know whether it is closed or a draft: both are null |
//! | customers | 1 is a company with the children 2 and 3, 4 has a phone number only, 5 to 8 are people |
//! | devices | 1 to 6, of which 3 has an IMEI and no serial number |
//! | queues, statuses | queues 1 to 4; statuses 450 ("In queue") to 460, one of each known type |
//! | users | 107460 and 107461 |
//! | locations, stores, products | 1 to 3, 1 and 2, 1 to 6 |
//!
//! # Choices
//!
//! Where the vendor's pages say nothing, the tenant chooses, and [`MockServerBuilder`] lets you choose otherwise. Some choices are
//! fixed: lists are in ascending order of ids; several terms of `q` all have to match; text matches whole and in any case,
//! and free text inside; a change of an order, its lines, notes or tasks moves its `updatedAt`; a change of status leaves
//! its queue and `isClosed` alone; a customer's `children` are seen through `expand` or one by one, and their list's own
//! link leads nowhere.

mod builder;
mod call;
mod client;
mod draft;
mod expand;
mod filter;
mod params;
mod refusal;
mod routes;
mod schema;
mod seed;
mod shop;
mod store;
mod tokens;
mod view;

use serde_json::Value;

pub use self::builder::{Amounts, ExcludedField, MockServerBuilder};
use self::shop::Shop;
pub use self::tokens::{Token, TokenKind};
use super::desk::Time;

super::mock_server::mock_server! {
    Shop,
    /// A stateful stand-in for one tenant of Fixably, on real sockets or in memory.
    ///
    /// Clones are handles to the same tenant. The [module](self) tells how it behaves and what data it has.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::fixably::types::OrderUpdate;
    /// use servicebay::fixably::{Client, Credentials};
    /// use servicebay::testing::fixably::{MockServer, TokenKind};
    ///
    /// let tenant = MockServer::start().await;
    ///
    /// // Whatever your code does with a base URL and a token:
    /// let credentials = Credentials::bearer(tenant.token(TokenKind::AdminAll));
    /// let client = Client::builder(credentials).with_base_url(tenant.base_url()).build()?;
    /// client.update_order().id(20000010).body(OrderUpdate::new().status(457)).send().await?;
    ///
    /// // What became of it:
    /// let order = tenant.order(20000010);
    /// assert_eq!(order["status"]["href"], format!("{}/statuses/457", tenant.base_url()));
    /// assert_eq!(tenant.counters().operation("update_order"), 1);
    /// # Ok(())
    /// # }
    /// ```
}

impl MockServer {
    /// The value of a token that every tenant has. It is not a secret and not made like one.
    #[must_use]
    pub fn token(&self, kind: TokenKind) -> String {
        kind.value()
    }

    /// Makes a token known, in place of one with the same value.
    pub fn add_token(&self, token: Token) {
        self.desk.state().house.tokens.add(token);
    }

    /// Revokes a token that every tenant has: from now on it gets 401.
    pub fn revoke(&self, kind: TokenKind) {
        self.revoke_token(&kind.value());
    }

    /// Revokes any token by its value: from now on it gets 401.
    pub fn revoke_token(&self, value: &str) {
        self.desk.state().house.tokens.revoke(value);
    }

    /// Uses up what is left of the current window, as if by other integrations of the same tenant: the next request gets
    /// 429 until the window ends.
    pub fn exhaust_rate_limit(&self) {
        self.add_external_requests(u32::MAX);
    }

    /// Counts requests of other integrations against the current window, as many as fit. They are not in the
    /// [counters](Self::counters).
    pub fn add_external_requests(&self, requests: u32) {
        let now = self.now();
        if let Some(bucket) = &mut self.desk.state().house.bucket {
            bucket.take(requests, now);
        }
    }

    /// How many requests the current window still takes, or `None` without a limit.
    #[must_use]
    pub fn remaining(&self) -> Option<u32> {
        let now = self.now();
        self.desk.state().house.bucket.as_ref().map(|bucket| bucket.remaining(now))
    }

    /// An order as it is now, with its lines, notes and tasks expanded, or null if there is none with this id. It counts as
    /// no request.
    #[must_use]
    pub fn order(&self, id: i64) -> Value {
        self.snapshot(&format!("orders/{id}?expand=lines(items),notes(items),tasks(items)"))
    }

    /// What a GET of this path, relative to the base URL, would answer to a token that may see everything, or null if it
    /// would be refused. It counts as no request and meets no fault.
    ///
    /// ```
    /// use servicebay::testing::fixably::MockServer;
    ///
    /// let tenant = MockServer::builder().in_memory();
    /// let child = tenant.snapshot("customers/1/children/2");
    /// assert_eq!(child["firstName"], "Jill");
    /// ```
    #[must_use]
    pub fn snapshot(&self, path: &str) -> Value {
        let mut state = self.desk.state();
        let time = Time { now: self.now(), skew: state.skew };
        let body = state.house.snapshot(&Token::internal(), path, time);
        body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
impl MockServer {
    /// One request with the token that may do everything: its status and its JSON body.
    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (http::StatusCode, Value) {
        self.ask_as("Bearer test-admin-all", method, path, body)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use http::Request;

    use super::*;
    use crate::testing::{Counters, Fault, Transport};

    async fn get(tenant: &MockServer, path: &str) -> reqwest::Result<reqwest::Response> {
        let url = format!("{}{path}", tenant.base_url());
        reqwest::Client::builder()
            .no_proxy()
            .build()?
            .get(url)
            .bearer_auth(tenant.token(TokenKind::AdminAll))
            .send()
            .await
    }

    #[tokio::test]
    async fn links_lead_back_to_the_tenant_that_gave_them() {
        let tenant = MockServer::start().await;
        let response = get(&tenant, "/orders/20000010?expand=lines(items)").await.expect("an answer");
        let order: Value = serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON");
        let line = order["lines"]["items"][0]["href"].as_str().expect("a link");
        let path = line.strip_prefix(tenant.base_url()).expect("a link of this tenant");
        assert_eq!(get(&tenant, path).await.expect("an answer").status(), 200);
    }

    #[tokio::test]
    async fn all_faults_reach_a_caller_over_sockets() {
        let tenant = MockServer::start().await;
        tenant.fault(Fault::dropped());
        tenant.fault(Fault::lost_response());
        for _ in 0..2 {
            assert!(get(&tenant, "/queues").await.is_err());
        }
        tenant.fault(Fault::truncated());
        let response = get(&tenant, "/queues").await.expect("a beginning");
        assert_eq!(response.status(), 200);
        assert!(response.bytes().await.is_err());

        tenant.fault(Fault::oversized(100_000));
        let body = get(&tenant, "/queues").await.expect("an answer").bytes().await.expect("a body");
        assert_eq!(body.len(), 100_000);
        tenant.fault(Fault::empty());
        let response = get(&tenant, "/queues").await.expect("an answer");
        assert_eq!((response.status().as_u16(), response.content_length()), (200, Some(0)));
        tenant.fault(Fault::header("x-note", b"caf\xe9"));
        let response = get(&tenant, "/queues").await.expect("an answer");
        assert_eq!(response.headers()["x-note"].as_bytes(), b"caf\xe9");
        tenant.fault(Fault::delay(Duration::from_nanos(1)));
        assert_eq!(get(&tenant, "/queues").await.expect("an answer").status(), 200);
        assert_eq!((tenant.pending_faults(), tenant.counters().faults()), (0, 7));
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenant_in_memory_is_a_wire_with_paused_delays() {
        let tenant = MockServer::builder().in_memory();
        tenant.fault(Fault::delay(Duration::from_secs(86_400)));
        let start = tokio::time::Instant::now();
        let response = Transport::send(&tenant, Request::new(Bytes::new())).await.expect("an answer");
        assert_eq!((response.status().as_u16(), start.elapsed().as_secs()), (401, 86_400));
    }

    #[test]
    fn a_peek_is_not_seen_by_the_counters() {
        let tenant = MockServer::builder().in_memory();
        assert_eq!(tenant.order(20_000_010)["id"], 20_000_010);
        assert_eq!(tenant.order(1), Value::Null);
        assert_eq!(tenant.counters(), Counters::default());
    }

    #[test]
    fn the_debug_form_of_a_tenant_has_no_token() {
        let shown = format!("{:?}", MockServer::builder().in_memory());
        assert!(!shown.contains("test-"), "{shown}");
    }
}
