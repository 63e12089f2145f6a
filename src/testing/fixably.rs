//! A Fixably tenant for tests.
//!
//! [`Tenant`] answers the 33 operations that Fixably's pages or its working clients name, under `/api/v3`, from a small
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
//! Where the vendor's pages say nothing, the tenant chooses, and [`TenantBuilder`] lets you choose otherwise. Some choices are
//! fixed: lists are in ascending order of ids; several terms of `q` all have to match; text matches whole and in any case,
//! and free text inside; a change of an order, its lines, notes or tasks moves its `updatedAt`; a change of status leaves
//! its queue and `isClosed` alone; a customer's `children` are seen through `expand` or one by one, and their list's own
//! link leads nowhere.

mod builder;
mod call;
mod client;
mod desk;
mod draft;
mod expand;
mod filter;
mod params;
mod refusal;
mod routes;
mod schema;
mod seed;
mod store;
mod tokens;
mod view;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use wiremock::MockServer;

pub use self::builder::{Amounts, ExcludedField, TenantBuilder};
use self::desk::Desk;
pub use self::tokens::{Token, TokenKind};
use super::reply::Reply;
use super::serve::Answer;
use super::{Counters, Fault, Received, Wire, WireFailure};

/// A stateful stand-in for one tenant of Fixably, on real sockets or in memory.
///
/// Clones are handles to the same tenant. The [module](self) tells how it behaves and what data it has.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), servicebay::Error> {
/// use servicebay::fixably::types::OrderUpdate;
/// use servicebay::fixably::{Client, Credentials};
/// use servicebay::testing::fixably::{Tenant, TokenKind};
///
/// let tenant = Tenant::start().await;
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
#[derive(Clone)]
pub struct Tenant {
    desk: Arc<Desk>,
    server: Option<Arc<MockServer>>,
}

impl Tenant {
    /// Starts a tenant with all defaults on a port of its own on the loopback interface. It stops when its last clone is
    /// dropped.
    ///
    /// # Panics
    ///
    /// If no port can be had.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// Chooses how the tenant behaves before it starts.
    pub fn builder() -> TenantBuilder {
        TenantBuilder::new()
    }

    /// Where the API begins: scheme, host, port and `/api/v3`, without a slash at the end.
    #[must_use]
    pub fn base_url(&self) -> &str {
        &self.desk.base_url
    }

    /// The value of a token that every tenant has. It is not a secret and not made like one.
    #[must_use]
    pub fn token(&self, kind: TokenKind) -> String {
        kind.value()
    }

    /// Makes a token known, in place of one with the same value.
    pub fn add_token(&self, token: Token) {
        self.desk.state().tokens.add(token);
    }

    /// Revokes a token that every tenant has: from now on it gets 401.
    pub fn revoke(&self, kind: TokenKind) {
        self.revoke_token(&kind.value());
    }

    /// Revokes any token by its value: from now on it gets 401.
    pub fn revoke_token(&self, value: &str) {
        self.desk.state().tokens.revoke(value);
    }

    /// Orders a fault. It waits for a request that it fits, behind the faults ordered before it.
    pub fn fault(&self, fault: Fault) {
        self.desk.state().faults.order(fault);
    }

    /// Takes back all faults that have not struck.
    pub fn clear_faults(&self) {
        self.desk.state().faults.clear();
    }

    /// How many ordered faults have not struck as often as they may. Zero at the end of a test means that the test has
    /// met everything it asked for.
    #[must_use]
    pub fn pending_faults(&self) -> usize {
        self.desk.state().faults.len()
    }

    /// Uses up what is left of the current window, as if by other integrations of the same tenant: the next request gets
    /// 429 until the window ends.
    pub fn use_up_limit(&self) {
        self.foreign_traffic(u32::MAX);
    }

    /// Counts requests of other integrations against the current window, as many as fit. They are not in the
    /// [counters](Self::counters).
    pub fn foreign_traffic(&self, requests: u32) {
        let now = self.desk.now();
        if let Some(bucket) = &mut self.desk.state().bucket {
            bucket.take(requests, now);
        }
    }

    /// How many requests the current window still takes, or `None` without a limit.
    #[must_use]
    pub fn remaining(&self) -> Option<u32> {
        let now = self.desk.now();
        self.desk.state().bucket.as_ref().map(|bucket| bucket.remaining(now))
    }

    /// Sets the tenant's clock off by this much from now on: the `Date` header, the reset of the limit, and the times of
    /// what is written. Windows and the expiry of tokens keep to the true time.
    pub fn skew(&self, by: SignedDuration) {
        self.desk.state().skew = by;
    }

    /// The true time of the tenant, without its skew.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.desk.now()
    }

    /// The sums of what the tenant has seen.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.desk.state().log.counters().clone()
    }

    /// The latest requests that the tenant has seen, oldest first, at most 10,000 of them.
    #[must_use]
    pub fn requests(&self) -> Vec<Received> {
        self.desk.state().log.latest().cloned().collect()
    }

    /// An order as it is now, with its lines, notes and tasks expanded, or null if there is none with this id. It counts as
    /// no request.
    #[must_use]
    pub fn order(&self, id: i64) -> Value {
        self.peek(&format!("orders/{id}?expand=lines(items),notes(items),tasks(items)"))
    }

    /// What a GET of this path, relative to the base URL, would answer to a token that may see everything, or null if it
    /// would be refused. It counts as no request and meets no fault.
    ///
    /// ```
    /// use servicebay::testing::fixably::Tenant;
    ///
    /// let tenant = Tenant::builder().in_memory();
    /// let child = tenant.peek("customers/1/children/2");
    /// assert_eq!(child["firstName"], "Jill");
    /// ```
    #[must_use]
    pub fn peek(&self, path: &str) -> Value {
        let body = self.desk.peek(&Token::internal(), path);
        body.and_then(|body| serde_json::from_slice(&body).ok()).unwrap_or_default()
    }

    /// The server that the tenant answers on, to mount your own mocks; `None` for a tenant in memory.
    ///
    /// Yours are asked first, whatever their priority below 255, and the tenant answers the rest. Do not
    /// [reset](MockServer::reset) the server: that would take the tenant off it too.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use http::Method;
    /// use servicebay::testing::fixably::Tenant;
    /// use wiremock::matchers::path;
    /// use wiremock::{Mock, ResponseTemplate};
    ///
    /// let tenant = Tenant::start().await;
    /// let server = tenant.server().expect("a started tenant has a server");
    /// let report = ResponseTemplate::new(200).set_body_string(r#"{"repairs": 12}"#);
    /// Mock::given(path("/api/v3/reports/today")).respond_with(report).mount(server).await;
    ///
    /// let report = tenant.client()?.request(Method::GET, "reports/today").send::<serde_json::Value>().await?;
    /// assert_eq!(report["repairs"], 12);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn server(&self) -> Option<&MockServer> {
        self.server.as_deref()
    }

    fn new(desk: Arc<Desk>, server: Option<MockServer>) -> Self {
        Self { desk, server: server.map(Arc::new) }
    }

    /// Answers one request without any wire.
    fn reply(&self, request: &Request<Bytes>) -> Reply {
        self.desk.answer(request)
    }
}

impl Wire for Tenant {
    fn answer(&self, request: Request<Bytes>) -> BoxFuture<'static, Result<Response<Bytes>, WireFailure>> {
        let tenant = self.clone();
        Box::pin(async move { tenant.reply(&request).deliver().await })
    }

    fn identity(&self) -> usize {
        Arc::as_ptr(&self.desk).addr()
    }

    fn wall(&self) -> Timestamp {
        self.now()
    }
}

impl fmt::Debug for Tenant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenant").field("base_url", &self.base_url()).finish_non_exhaustive()
    }
}

#[cfg(test)]
impl Tenant {
    /// One request with the token that may do everything: its status and its JSON body.
    fn ask(&self, method: &str, path: &str, body: Option<Value>) -> (http::StatusCode, Value) {
        self.ask_as("Bearer test-admin-all", method, path, body)
    }

    fn ask_as(&self, token: &str, method: &str, path: &str, body: Option<Value>) -> (http::StatusCode, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", desk::API))
            .header("authorization", token)
            .header("content-type", "application/json")
            .body(body.map(|body| Bytes::from(body.to_string())).unwrap_or_default())
            .expect("a request");
        let response = self.reply(&request).response;
        (response.status(), serde_json::from_slice(response.body()).expect("a JSON body"))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn get(tenant: &Tenant, path: &str) -> reqwest::Result<reqwest::Response> {
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
        let tenant = Tenant::start().await;
        let response = get(&tenant, "/orders/20000010?expand=lines(items)").await.expect("an answer");
        let order: Value = serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON");
        let line = order["lines"]["items"][0]["href"].as_str().expect("a link");
        let path = line.strip_prefix(tenant.base_url()).expect("a link of this tenant");
        assert_eq!(get(&tenant, path).await.expect("an answer").status(), 200);
    }

    #[tokio::test]
    async fn all_faults_reach_a_caller_over_sockets() {
        let tenant = Tenant::start().await;
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
        let tenant = Tenant::builder().in_memory();
        tenant.fault(Fault::delay(Duration::from_secs(86_400)));
        let start = tokio::time::Instant::now();
        let response = Wire::answer(&tenant, Request::new(Bytes::new())).await.expect("an answer");
        assert_eq!((response.status().as_u16(), start.elapsed().as_secs()), (401, 86_400));
    }

    #[test]
    fn a_peek_is_not_seen_by_the_counters() {
        let tenant = Tenant::builder().in_memory();
        assert_eq!(tenant.order(20_000_010)["id"], 20_000_010);
        assert_eq!(tenant.order(1), Value::Null);
        assert_eq!(tenant.counters(), Counters::default());
    }

    #[test]
    fn the_debug_form_of_a_tenant_has_no_token() {
        let shown = format!("{:?}", Tenant::builder().in_memory());
        assert!(!shown.contains("test-"), "{shown}");
    }
}
