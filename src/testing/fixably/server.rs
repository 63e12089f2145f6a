//! The server's state, and the order in which it checks a request.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use super::auth::{Token, Tokens};
use super::error_response::{error, forbidden};
use super::handler::Handler;
use super::options::Options;
use super::routes::{Endpoint, ROUTER};
use super::schema::Resource;
use super::seed;
use super::store::Store;
use crate::testing::authorization::Authorization;
use crate::testing::clock::ServerTime;
use crate::testing::error_response::ErrorResponse;
use crate::testing::rate_limit::FixedWindow;
use crate::testing::request_log::RequestLog;
use crate::testing::router::{RouteError, RouteMatch};
use crate::testing::test_server::{RequestInfo, VendorServer};

/// The prefix of the API's paths.
const API: &str = "/api/v3";

/// The state of the server.
#[derive(Debug)]
pub(super) struct FixablyServer {
    base_url: String,
    options: Options,
    rate_limit: Option<FixedWindow>,
    store: Store,
    pub(super) tokens: Tokens,
}

impl FixablyServer {
    pub(super) fn add_external_requests(&mut self, requests: u32, now: Timestamp) {
        if let Some(window) = &mut self.rate_limit {
            window.take(requests, now);
        }
    }

    pub(super) fn remaining(&self, now: Timestamp) -> Option<u32> {
        self.rate_limit.as_ref().map(|window| window.remaining(now))
    }

    /// The body of a GET with permission to see everything, without a rate limit, a fault or a count.
    pub(super) fn snapshot(&mut self, path: &str, time: ServerTime) -> Option<Bytes> {
        let request = Request::get(format!("{API}/{}", path.trim_start_matches('/'))).body(Bytes::new()).ok()?;
        let found = find(&request).ok()?;
        let response = self.handler(&Token::internal(), time).handle(&found, &request);
        Some(response.ok()?.into_body())
    }

    /// The objects of one kind below a parent, as an administrator sees them, by ascending id. An order has its lines, notes
    /// and tasks.
    pub(super) fn objects(&mut self, resource: Resource, parent: i64, time: ServerTime) -> Vec<Value> {
        self.handler(&Token::internal(), time).objects(resource, parent)
    }

    pub(super) fn invoices(&self) -> &[Value] {
        self.store.invoices()
    }

    /// Checks the token, then the rate limit, the path, the scope, and last the request itself.
    fn respond(&mut self, request: &Request<Bytes>, time: ServerTime) -> Result<Response<Bytes>, ErrorResponse> {
        let token = self.tokens.authenticate(request.headers(), time.now)?;
        if let Some(window) = &mut self.rate_limit
            && window.take(1, time.now) == 0
        {
            return Err(error(StatusCode::TOO_MANY_REQUESTS, "The rate limit of the tenant is exceeded."));
        }
        let found = find(request).map_err(|reason| ErrorResponse::no_route(reason, error))?;
        if !token.allows(found.route.endpoint.scope) {
            return Err(forbidden());
        }
        self.handler(&token, time).handle(&found, request)
    }

    fn handler<'a>(&'a mut self, token: &'a Token, time: ServerTime) -> Handler<'a> {
        Handler { base_url: &self.base_url, options: &self.options, store: &mut self.store, token, now: time.shown() }
    }
}

impl VendorServer for FixablyServer {
    type Options = Options;

    const ORIGIN_IN_MEMORY: &'static str = "https://demo.fixably.com";

    fn new(origin: &str, options: Options, _: Timestamp) -> Self {
        Self {
            base_url: format!("{origin}{API}"),
            rate_limit: options.rate_limit.map(|(size, window)| FixedWindow::new(size, window)),
            store: seed::store(options.orders),
            tokens: Tokens::seeded(),
            options,
        }
    }

    fn base_url(&self) -> String {
        self.base_url.clone()
    }

    fn operations() -> Vec<&'static str> {
        ROUTER.operations().collect()
    }

    fn request_info<'a>(&self, request: &'a Request<Bytes>) -> RequestInfo<'a> {
        let path = request.uri().path();
        RequestInfo {
            path: path.strip_prefix(API).unwrap_or(path),
            operation: find(request).map(|found| found.route.operation).map_err(|reason| reason.message),
            token: Authorization::of(request.headers()).seen,
        }
    }

    fn handle(&mut self, request: &Request<Bytes>, time: ServerTime, _: &mut RequestLog) -> Response<Bytes> {
        let mut response = self.respond(request, time).unwrap_or_else(ErrorResponse::into_response);
        // The vendor is assumed to send these headers with every response, errors included.
        if let Some(window) = &self.rate_limit {
            self.options.rate_limit_headers.add_to(&mut response, window, time);
        }
        response
    }
}

fn find(request: &Request<Bytes>) -> Result<RouteMatch<'_, Endpoint>, RouteError> {
    let (method, path) = (request.method(), request.uri().path());
    let path = path.strip_prefix(API).ok_or_else(|| RouteError::outside(method, path, API))?;
    ROUTER.find(method, path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::super::auth::TokenKind;
    use super::super::builder::MockServerBuilder;
    use super::super::mock_server::MockServer;
    use super::*;
    use crate::testing::response::{Delivery, MockResponse};
    use crate::testing::{Fault, ResetFormat, TokenSeen};

    const ADMIN: &str = "Bearer test-admin-all";

    fn builder() -> MockServerBuilder {
        // A clock that stands still, at a whole second: 2026-06-01T12:00:00Z.
        MockServer::builder().with_clock(|| Timestamp::from_second(1_780_315_200).expect("in range"))
    }

    fn send(server: &MockServer, token: &str, method: &str, path: &str) -> MockResponse {
        let request = Request::builder().method(method).uri(format!("{API}{path}"));
        let request = if token.is_empty() { request } else { request.header("authorization", token) };
        server.handle(&request.body(Bytes::new()).expect("a request"))
    }

    fn status(server: &MockServer, token: &str, method: &str, path: &str) -> u16 {
        send(server, token, method, path).response.status().as_u16()
    }

    #[test]
    fn an_unknown_token_gets_401_whatever_the_path() {
        let server = builder().in_memory();
        for token in ["", "Bearer unknown", "Bearer test-expired", "test-admin-all"] {
            assert_eq!(status(&server, token, "GET", "/nowhere"), 401, "{token}");
        }
        let counters = server.counters();
        assert_eq!((counters.unauthorized(), counters.anonymous(), counters.legacy(), counters.bearer()), (4, 1, 1, 2));
        assert_eq!(server.remaining(), Some(100), "a 401 counts against no rate limit");
    }

    #[test]
    fn a_revoked_token_gets_401() {
        let server = builder().in_memory();
        assert_eq!(status(&server, ADMIN, "GET", "/orders"), 200);
        server.revoke(TokenKind::AdminAll);
        assert_eq!(status(&server, ADMIN, "GET", "/orders"), 401);
    }

    #[test]
    fn a_missing_scope_gets_403_and_is_not_named() {
        let server = builder().in_memory();
        let response = send(&server, "Bearer test-admin-view-only", "POST", "/orders");
        let body: Value = serde_json::from_slice(response.response.body()).expect("JSON");
        assert_eq!(body, json!({"status": 403, "developerMessage": "The token does not allow this."}));
        assert_eq!(server.counters().forbidden(), 1);
    }

    #[test]
    fn a_legacy_token_may_do_everything() {
        let server = builder().in_memory();
        let token = server.token(TokenKind::Legacy);
        assert_eq!(status(&server, &token, "GET", "/users/107460"), 200);
        assert_eq!(server.request_as(&token, "POST", "/orders", Some(json!({}))).0, 201);
    }

    #[test]
    fn all_tokens_share_one_rate_limit() {
        let server = builder().with_rate_limit(3, Duration::from_secs(60)).in_memory();
        let tokens = [ADMIN, "Bearer test-customer", &server.token(TokenKind::Legacy), ADMIN];
        let statuses = tokens.map(|token| status(&server, token, "GET", "/orders/20000010"));
        assert_eq!(statuses, [200, 200, 200, 429]);
        assert_eq!(server.counters().refused(), 1);
    }

    #[test]
    fn every_response_has_the_rate_limit_headers() {
        let server = builder().with_rate_limit(2, Duration::from_secs(60)).in_memory();
        for (path, code, remaining) in [("/orders", 200, "1"), ("/nowhere", 404, "0"), ("/orders", 429, "0")] {
            let response = send(&server, ADMIN, "GET", path).response;
            assert_eq!(response.status(), code);
            let headers = response.headers();
            assert_eq!(headers["x-ratelimit-limit"], "2", "{headers:?}");
            assert_eq!(headers["x-ratelimit-remaining"], remaining, "{headers:?}");
            assert_eq!(headers["x-ratelimit-reset"], "1780315260", "{headers:?}");
            assert_eq!(headers["date"], "Mon, 01 Jun 2026 12:00:00 GMT", "{headers:?}");
            assert!(!headers.contains_key("retry-after"), "{headers:?}");
        }
    }

    #[test]
    fn the_formats_of_the_rate_limit_headers_can_be_chosen() {
        let server = builder()
            .with_rate_limit(0, Duration::from_secs(60))
            .with_reset_format(ResetFormat::Raw("banana".into()))
            .with_retry_after(ResetFormat::DeltaSeconds)
            .without_limit_header()
            .in_memory();
        let response = send(&server, ADMIN, "GET", "/orders").response;
        assert_eq!(response.headers()["x-ratelimit-reset"], "banana");
        assert_eq!(response.headers()["retry-after"], "60");
        assert!(!response.headers().contains_key("x-ratelimit-limit"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_resets_on_the_paused_clock() {
        let server = MockServer::builder().in_memory();
        server.exhaust_rate_limit();
        assert_eq!(status(&server, ADMIN, "GET", "/orders"), 429);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(status(&server, ADMIN, "GET", "/orders"), 200);
    }

    #[test]
    fn external_requests_count_against_the_rate_limit() {
        let server = builder().in_memory();
        server.add_external_requests(60);
        let response = send(&server, ADMIN, "GET", "/orders").response;
        assert_eq!(response.headers()["x-ratelimit-remaining"], "39");
        assert_eq!(server.counters().requests(), 1);
    }

    #[test]
    fn a_skewed_clock_changes_the_shown_times_and_not_the_windows() {
        let server = builder().in_memory();
        server.skew(SignedDuration::from_hours(-2));
        let response = send(&server, ADMIN, "GET", "/orders").response;
        assert_eq!(response.headers()["date"], "Mon, 01 Jun 2026 10:00:00 GMT");
        assert_eq!(response.headers()["x-ratelimit-reset"], "1780308060");
    }

    #[test]
    fn without_a_rate_limit_there_are_no_rate_limit_headers() {
        let server = builder().without_rate_limit().in_memory();
        let response = send(&server, ADMIN, "GET", "/orders").response;
        assert!(!response.headers().contains_key("x-ratelimit-remaining"), "{:?}", response.headers());
        assert_eq!(server.remaining(), None);
    }

    #[test]
    fn a_dropped_request_changes_nothing() {
        let server = builder().in_memory();
        server.fault(Fault::dropped().on("PATCH", "/orders/{id}"));
        let response = patch(&server);
        assert_eq!(response.delivery, Delivery::Dropped);
        assert!(server.order(20_000_010)["status"]["href"].as_str().is_some_and(|href| href.ends_with("/450")));
    }

    #[test]
    fn a_lost_response_has_changed_the_state() {
        let server = builder().in_memory();
        server.fault(Fault::lost_response());
        let response = patch(&server);
        assert_eq!(response.delivery, Delivery::Dropped);
        assert!(server.order(20_000_010)["status"]["href"].as_str().is_some_and(|href| href.ends_with("/457")));
        assert_eq!(server.counters().faults(), 1);
    }

    fn patch(server: &MockServer) -> MockResponse {
        let request = Request::patch(format!("{API}/orders/20000010"))
            .header("authorization", ADMIN)
            .header("content-type", "application/json; charset=utf-8")
            .body(Bytes::from_static(br#"{"status":{"id":457}}"#));
        server.handle(&request.expect("a request"))
    }

    #[test]
    fn a_body_must_be_a_json_object_with_its_content_type() {
        let server = builder().in_memory();
        for (content_type, body, code) in [
            ("", "{}", 415),
            ("text/plain", "{}", 415),
            ("application/json", "", 400),
            ("application/json", "{", 400),
            ("application/json", "[]", 400),
            ("application/json", "{}", 201),
        ] {
            let request = Request::post(format!("{API}/orders"))
                .header("authorization", ADMIN)
                .header("content-type", content_type)
                .body(Bytes::from_static(body.as_bytes()));
            let response = server.handle(&request.expect("a request"));
            assert_eq!(response.response.status(), code, "{content_type} {body}");
        }
    }

    #[test]
    fn requests_are_recorded_without_their_tokens() {
        let server = builder().in_memory();
        status(&server, ADMIN, "GET", "/orders?limit=5");
        let [recorded] = &server.requests()[..] else { panic!("{:?}", server.requests()) };
        assert_eq!((recorded.path.as_str(), recorded.query.as_str()), ("/api/v3/orders", "limit=5"));
        assert_eq!((recorded.operation, recorded.token), (Some("list_orders"), TokenSeen::Bearer));
        assert!(!format!("{recorded:?}").contains("test-admin"), "{recorded:?}");
    }

    #[test]
    fn a_parameter_that_the_operation_does_not_have_is_refused() {
        let server = builder().in_memory();
        for path in
            ["/orders?sort=id", "/orders/20000010?limit=5", "/orders?offset=0&page=1", "/orders?expand=customer"]
        {
            assert_eq!(status(&server, ADMIN, "GET", path), 400, "{path}");
        }
        assert_eq!(status(&server, ADMIN, "POST", "/orders?expand=customer"), 400);
    }

    #[test]
    fn other_api_versions_are_not_found() {
        let server = builder().in_memory();
        let request = Request::get("/api/v2/orders").header("authorization", ADMIN).body(Bytes::new());
        assert_eq!(server.handle(&request.expect("a request")).response.status(), 404);
    }
}
