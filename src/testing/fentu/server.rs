//! The server's state, and the order in which it checks a request.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use super::auth::{Auth, Identity, Principal};
use super::error_response::error;
use super::handler::Handler;
use super::oauth;
use super::options::{BasePath, Options};
use super::routes::{self, Endpoint, Evidence};
use super::schema::Kind;
use super::seed;
use super::store::Store;
use super::view::View;
use crate::testing::authorization::Authorization;
use crate::testing::clock::ServerTime;
use crate::testing::error_response::ErrorResponse;
use crate::testing::rate_limit::FixedWindow;
use crate::testing::request_log::RequestLog;
use crate::testing::router::{RouteError, RouteMatch};
use crate::testing::test_server::{RequestInfo, VendorServer};

/// The state of the server.
#[derive(Debug)]
pub(super) struct FentuServer {
    origin: String,
    options: Options,
    pub(super) auth: Auth,
    /// One window for each identity that has sent a request.
    rate_limits: BTreeMap<Identity, FixedWindow>,
    pub(super) store: Store,
}

impl FentuServer {
    /// Counts requests against the windows of every key and every login.
    pub(super) fn add_external_requests(&mut self, requests: u32, now: Timestamp) {
        for identity in self.auth.identities() {
            if let Some(window) = self.rate_limit(&identity) {
                window.take(requests, now);
            }
        }
    }

    /// How many requests an identity has left; `None` without a rate limit.
    pub(super) fn remaining(&self, identity: &Identity, now: Timestamp) -> Option<u32> {
        let (size, _) = self.limit(identity)?;
        Some(self.rate_limits.get(identity).map_or(size, |window| window.remaining(now)))
    }

    /// The body of a GET below the base URL with permission to see everything, without a rate limit, a fault or a
    /// count.
    pub(super) fn snapshot(&mut self, path: &str, time: ServerTime) -> Option<Bytes> {
        let path = format!("/{}", path.trim_start_matches('/'));
        let request = Request::get(&path).body(Bytes::new()).ok()?;
        let found = routes::find(request.method(), request.uri().path()).ok()?;
        Some(self.handler(time).handle(&found, &request).ok()?.into_body())
    }

    /// The records of a kind in full, without those in the trash, sorted by id.
    pub(super) fn records(&self, kind: Kind) -> Vec<Value> {
        let view = View { store: &self.store };
        self.store.all(kind).map(|record| view.full(kind, record)).collect()
    }

    /// Checks the rate limit, then the path, the scope, and last the request itself.
    fn respond(
        &mut self,
        principal: &Principal,
        request: &Request<Bytes>,
        time: ServerTime,
    ) -> Result<Response<Bytes>, ErrorResponse> {
        if let Some(window) = self.rate_limit(&principal.identity)
            && window.take(1, time.now) == 0
        {
            return Err(error(StatusCode::TOO_MANY_REQUESTS, "The rate limit of this hour is exceeded."));
        }
        let found = self.find(request).map_err(|reason| ErrorResponse::no_route(reason, error))?;
        let endpoint = &found.route.endpoint;
        if !principal.allows(endpoint.scope) {
            return Err(error(StatusCode::FORBIDDEN, "The token lacks the scope for this."));
        }
        if self.options.only_documented && endpoint.evidence == Evidence::Named {
            let message = "The vendor's documentation does not show this request.";
            return Err(error(StatusCode::NOT_IMPLEMENTED, message));
        }
        self.handler(time).handle(&found, request)
    }

    /// The size and the length of an identity's window.
    fn limit(&self, identity: &Identity) -> Option<(u32, Duration)> {
        self.auth.tier(identity).map_or(self.options.rate_limit, |tier| tier.rate_limit())
    }

    fn rate_limit(&mut self, identity: &Identity) -> Option<&mut FixedWindow> {
        let (size, length) = self.limit(identity)?;
        Some(self.rate_limits.entry(identity.clone()).or_insert_with(|| FixedWindow::new(size, length)))
    }

    fn handler(&mut self, time: ServerTime) -> Handler<'_> {
        let ignores_unknown_fields = self.options.ignores_unknown_fields;
        Handler { store: &mut self.store, ignores_unknown_fields, now: time.shown() }
    }

    fn find<'a>(&self, request: &'a Request<Bytes>) -> Result<RouteMatch<'a, Endpoint>, RouteError> {
        let (method, path) = (request.method(), request.uri().path());
        let path = self.relative_path(path).ok_or_else(|| RouteError::outside(method, path, self.base_paths()[0]))?;
        routes::find(method, path)
    }

    /// The path below the base path, if the server has that base path.
    fn relative_path<'a>(&self, path: &'a str) -> Option<&'a str> {
        self.base_paths().iter().find_map(|base| path.strip_prefix(base))
    }

    fn base_paths(&self) -> &'static [&'static str] {
        match self.options.base_path {
            BasePath::ApiV1 => &["/api/v1"],
            BasePath::Both => &["/v1", "/api/v1"],
            BasePath::V1 => &["/v1"],
        }
    }
}

impl VendorServer for FentuServer {
    type Options = Options;

    const ORIGIN_IN_MEMORY: &'static str = "https://demo.fentu.example";

    fn new(origin: &str, options: Options, _: Timestamp) -> Self {
        Self {
            origin: origin.to_owned(),
            auth: Auth::new(options.oauth.clone()),
            rate_limits: BTreeMap::new(),
            store: seed::store(),
            options,
        }
    }

    fn base_url(&self) -> String {
        format!("{}/v1", self.origin)
    }

    fn operations() -> Vec<&'static str> {
        routes::operations().chain(oauth::Endpoint::ALL.map(oauth::Endpoint::operation)).collect()
    }

    fn request_info<'a>(&self, request: &'a Request<Bytes>) -> RequestInfo<'a> {
        let path = request.uri().path();
        let operation = match oauth::Endpoint::of(path) {
            Some(endpoint) => Ok(endpoint.operation()),
            None => self.find(request).map(|found| found.route.operation).map_err(|reason| reason.message),
        };
        RequestInfo {
            path: self.relative_path(path).unwrap_or(path),
            operation,
            token: Authorization::of(request.headers()).seen,
        }
    }

    fn handle(&mut self, request: &Request<Bytes>, time: ServerTime, log: &mut RequestLog) -> Response<Bytes> {
        if let Some(endpoint) = oauth::Endpoint::of(request.uri().path()) {
            return self.auth.oauth.handle(endpoint, request, time.now, log);
        }
        let principal = match self.auth.authenticate(request.headers(), time.now) {
            Ok(principal) => principal,
            Err(error) => return error.into_response(),
        };
        let response = self.respond(&principal, request, time);
        let mut response = response.unwrap_or_else(ErrorResponse::into_response);
        if let Some(window) = self.rate_limits.get(&principal.identity) {
            self.options.rate_limit_headers.add_to(&mut response, window, time);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::builder::MockServerBuilder;
    use super::super::keys::{ApiKey, KeyKind};
    use super::super::mock_server::MockServer;
    use super::super::options::Tier;
    use super::*;
    use crate::testing::{Fault, ResetFormat};

    const ADMIN: &str = "Bearer test-key-admin";

    fn builder() -> MockServerBuilder {
        // A clock that stands still, at a whole second: 2026-06-01T12:00:00Z.
        MockServer::builder().with_clock(|| Timestamp::from_second(1_780_315_200).expect("in range"))
    }

    fn send(server: &MockServer, token: &str, method: &str, path: &str) -> Response<Bytes> {
        let request = Request::builder().method(method).uri(path);
        let request = if token.is_empty() { request } else { request.header("authorization", token) };
        server.handle(&request.body(Bytes::new()).expect("a request")).response
    }

    fn status(server: &MockServer, token: &str, method: &str, path: &str) -> u16 {
        send(server, token, method, path).status().as_u16()
    }

    #[test]
    fn an_unknown_token_gets_401_whatever_the_path() {
        let server = builder().in_memory();
        for token in ["", "Bearer unknown", "test-key-admin", "Bearer", "Basic test-key-admin"] {
            assert_eq!(status(&server, token, "GET", "/v1/nowhere"), 401, "{token}");
        }
        assert_eq!(server.remaining(KeyKind::Admin), Some(1_000), "a 401 counts against no rate limit");
        server.revoke(KeyKind::Admin);
        assert_eq!(status(&server, ADMIN, "GET", "/v1/assets"), 401);
    }

    #[test]
    fn scopes_are_checked_before_the_record() {
        let server = builder().in_memory();
        for (kind, method, path, code) in [
            (KeyKind::ReadOnly, "GET", "/v1/assets/asset-001", 200),
            (KeyKind::ReadOnly, "DELETE", "/v1/assets/nothing", 403),
            (KeyKind::WriteOnly, "GET", "/v1/assets/asset-001", 403),
            (KeyKind::WriteOnly, "DELETE", "/v1/assets/asset-001", 204),
            (KeyKind::WorkOrders, "GET", "/v1/tasks/task-001", 200),
            (KeyKind::WorkOrders, "GET", "/v1/customers", 403),
            (KeyKind::WorkOrders, "GET", "/v1/nowhere", 404),
        ] {
            let token = format!("Bearer {}", server.key(kind));
            assert_eq!(status(&server, &token, method, path), code, "{kind:?} {method} {path}");
        }
    }

    #[test]
    fn both_base_paths_work_unless_one_is_chosen() {
        for (path, v1, api_v1) in [(BasePath::Both, 200, 200), (BasePath::V1, 200, 404), (BasePath::ApiV1, 404, 200)] {
            let server = builder().with_base_path(path).in_memory();
            assert_eq!(status(&server, ADMIN, "GET", "/v1/assets"), v1, "{path:?}");
            assert_eq!(status(&server, ADMIN, "GET", "/api/v1/assets"), api_v1, "{path:?}");
            assert_eq!(status(&server, ADMIN, "GET", "/v2/assets"), 404, "{path:?}");
        }
    }

    #[test]
    fn undocumented_operations_can_be_refused() {
        let server = builder().with_documented_operations_only().in_memory();
        assert_eq!(status(&server, ADMIN, "GET", "/v1/assets/asset-001"), 200);
        assert_eq!(status(&server, ADMIN, "GET", "/v1/assets/asset-001/warranty"), 501);
        assert_eq!(status(&server, ADMIN, "DELETE", "/v1/assets/asset-001"), 501);
    }

    #[test]
    fn each_key_and_each_login_has_its_own_rate_limit() {
        let server = builder().with_rate_limit(2, Duration::from_secs(60)).in_memory();
        let logins = [server.sign_in(["admin"]), server.sign_in(["admin"])];
        let tokens = [ADMIN.to_owned(), "Bearer test-key-read-only".to_owned()];
        let logins = logins.map(|tokens| format!("Bearer {}", tokens.access_token));
        for token in tokens.iter().chain(&logins) {
            let statuses = [(); 3].map(|()| status(&server, token, "GET", "/v1/assets"));
            assert_eq!(statuses, [200, 200, 429], "{token}");
        }
        assert_eq!(server.counters().refused(), 4);
    }

    #[test]
    fn a_tier_sets_the_requests_of_an_hour() {
        let server = builder().with_tier(Tier::Professional).in_memory();
        server.add_key(ApiKey::new("test-small").with_scopes(["admin"]).with_tier(Tier::Standard));
        server.add_key(ApiKey::new("test-large").with_scopes(["admin"]).with_tier(Tier::Enterprise));
        let headers = |token| send(&server, token, "GET", "/v1/assets").headers().clone();
        for (token, limit) in [(ADMIN, Some("10000")), ("Bearer test-small", Some("1000")), ("Bearer test-large", None)]
        {
            let headers = headers(token);
            let sent = headers.get("x-ratelimit-limit").map(|value| value.to_str().expect("text"));
            assert_eq!(sent, limit, "{token}");
            assert_eq!(headers.contains_key("x-ratelimit-reset"), limit.is_some(), "{token}");
        }
    }

    #[test]
    fn the_format_of_the_reset_can_be_chosen() {
        let formats = [
            (ResetFormat::EpochSeconds, "1780318800"),
            (ResetFormat::DeltaSeconds, "3600"),
            (ResetFormat::Iso8601, "2026-06-01T13:00:00Z"),
        ];
        for (format, text) in formats {
            let server = builder().with_reset_format(format).in_memory();
            server.exhaust_rate_limit();
            let response = send(&server, ADMIN, "GET", "/v1/assets");
            assert_eq!(
                (response.status().as_u16(), &response.headers()["x-ratelimit-reset"]),
                (429, &text.parse().unwrap())
            );
        }
    }

    #[test]
    fn token_requests_count_against_no_rate_limit() {
        let server = builder().with_rate_limit(0, Duration::from_secs(60)).in_memory();
        assert_eq!(status(&server, "", "POST", "/oauth/revoke"), 400);
        assert_eq!(status(&server, "", "GET", "/oauth/authorize"), 400);
        assert_eq!(server.counters().operation("revoke"), 1);
    }

    #[test]
    fn a_fault_matches_its_path_under_both_base_paths() {
        let server = builder().in_memory();
        server.fault(Fault::status(503).on("GET", "/work-orders/{id}/tasks").times(2));
        for base in ["/v1", "/api/v1"] {
            assert_eq!(status(&server, ADMIN, "GET", &format!("{base}/work-orders/wo-10001/tasks")), 503);
        }
    }

    #[test]
    fn an_error_has_a_code_a_message_and_the_fields() {
        let server = builder().in_memory();
        let (status, body) = server.request_as(ADMIN, "POST", "/customers", Some(json!({"name": 7, "color": "blue"})));
        assert_eq!((status.as_u16(), &body["error"]["code"]), (422, &json!("validation_error")));
        let fields: Vec<_> = body["error"]["details"].as_array().expect("details").iter().collect();
        let mut fields: Vec<_> = fields.iter().map(|detail| detail["field"].as_str().unwrap_or_default()).collect();
        // In whatever order: that depends on a feature of serde_json.
        fields.sort_unstable();
        assert_eq!(fields, ["address", "color", "name"]);
    }
}
