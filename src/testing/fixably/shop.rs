//! The order in which a tenant looks at a request.

use bytes::Bytes;
use http::{Request, Response, StatusCode};

use super::builder::Options;
use super::call::Call;
use super::refusal::Refusal;
use super::routes::{self, Found};
use super::seed;
use super::store::Store;
use super::tokens::{Token, Tokens};
use crate::testing::authorization::Authorization;
use crate::testing::counters::Log;
use crate::testing::desk::{House, Place, Time};
use crate::testing::limit::Bucket;

/// Where the API begins under a tenant's host.
pub(super) const API: &str = "/api/v3";

/// All that a tenant knows.
#[derive(Debug)]
pub(super) struct Shop {
    base_url: String,
    options: Options,
    pub(super) bucket: Option<Bucket>,
    store: Store,
    pub(super) tokens: Tokens,
}

impl Shop {
    /// `host` is scheme and authority, without a path.
    pub(super) fn new(host: &str, options: Options) -> Self {
        Self {
            base_url: format!("{host}{API}"),
            bucket: options.rate_limit.map(|(size, window)| Bucket::new(size, window)),
            store: seed::store(options.orders),
            tokens: Tokens::seeded(),
            options,
        }
    }

    /// What a token would see at a path, without a limit, a fault or a count.
    pub(super) fn snapshot(&mut self, token: &Token, path: &str, time: Time) -> Option<Bytes> {
        let request = Request::get(format!("{API}/{}", path.trim_start_matches('/'))).body(Bytes::new()).ok()?;
        let found = find(&request).ok()?;
        let response = self.call(token, time).carry_out(&found, &request);
        Some(response.ok()?.into_body())
    }

    /// Token, limit, address, scope, and only then what the request is about.
    fn answer(&mut self, request: &Request<Bytes>, time: Time) -> Result<Response<Bytes>, Refusal> {
        let token = self.tokens.admit(request.headers(), time.now)?;
        if let Some(bucket) = &mut self.bucket
            && bucket.take(1, time.now) == 0
        {
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "The tenant has used up its requests."));
        }
        let found = find(request)?;
        if !token.allows(found.route.scope) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "The token may not do this."));
        }
        self.call(&token, time).carry_out(&found, request)
    }

    fn call<'a>(&'a mut self, token: &'a Token, time: Time) -> Call<'a> {
        Call { base_url: &self.base_url, options: &self.options, store: &mut self.store, token, now: time.shown() }
    }
}

impl House for Shop {
    fn base_url(&self) -> String {
        self.base_url.clone()
    }

    fn place<'a>(&self, request: &'a Request<Bytes>) -> Place<'a> {
        let path = request.uri().path();
        Place {
            path: path.strip_prefix(API).unwrap_or(path),
            operation: find(request).ok().map(|found| found.route.operation),
            token: Authorization::of(request.headers()).seen,
        }
    }

    fn handle(&mut self, request: &Request<Bytes>, time: Time, _: &mut Log) -> Response<Bytes> {
        let mut response = self.answer(request, time).unwrap_or_else(Refusal::into_response);
        // Every answer of the vendor is taken to carry them, refused or not.
        if let Some(bucket) = &self.bucket {
            self.options.limit_headers.add_to(&mut response, bucket, time);
        }
        response
    }
}

fn find(request: &Request<Bytes>) -> Result<Found, Refusal> {
    let path = request.uri().path().strip_prefix(API).ok_or_else(Refusal::not_found)?;
    routes::find(request.method(), path)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{SignedDuration, Timestamp};
    use serde_json::json;

    use super::super::{MockServer, MockServerBuilder, TokenKind};
    use super::*;
    use crate::testing::reply::{Ending, Reply};
    use crate::testing::{Fault, ResetFormat, TokenSeen};

    const ADMIN: &str = "Bearer test-admin-all";

    fn builder() -> MockServerBuilder {
        // A clock that stands still, at a whole second: 2026-06-01T12:00:00Z.
        MockServer::builder().with_clock(|| Timestamp::from_second(1_780_315_200).expect("in range"))
    }

    fn send(tenant: &MockServer, token: &str, method: &str, path: &str) -> Reply {
        let request = Request::builder().method(method).uri(format!("{API}{path}"));
        let request = if token.is_empty() { request } else { request.header("authorization", token) };
        tenant.reply(&request.body(Bytes::new()).expect("a request"))
    }

    fn status(tenant: &MockServer, token: &str, method: &str, path: &str) -> u16 {
        send(tenant, token, method, path).response.status().as_u16()
    }

    #[test]
    fn who_nobody_knows_hears_nothing_else() {
        let tenant = builder().in_memory();
        for token in ["", "Bearer nobody", "Bearer test-expired", "test-admin-all"] {
            assert_eq!(status(&tenant, token, "GET", "/nowhere"), 401, "{token}");
        }
        let counters = tenant.counters();
        assert_eq!((counters.unauthorized(), counters.anonymous(), counters.legacy(), counters.bearer()), (4, 1, 1, 2));
        assert_eq!(tenant.remaining(), Some(100), "what is not let in is not counted");
    }

    #[test]
    fn a_revoked_token_is_not_valid_any_more() {
        let tenant = builder().in_memory();
        assert_eq!(status(&tenant, ADMIN, "GET", "/orders"), 200);
        tenant.revoke(TokenKind::AdminAll);
        assert_eq!(status(&tenant, ADMIN, "GET", "/orders"), 401);
    }

    #[test]
    fn a_missing_scope_is_forbidden_and_not_named() {
        let tenant = builder().in_memory();
        let reply = send(&tenant, "Bearer test-admin-view-only", "POST", "/orders");
        let body: serde_json::Value = serde_json::from_slice(reply.response.body()).expect("JSON");
        assert_eq!(body, json!({"status": 403, "developerMessage": "The token may not do this."}));
        assert_eq!(tenant.counters().forbidden(), 1);
    }

    #[test]
    fn a_legacy_token_may_do_everything() {
        let tenant = builder().in_memory();
        let token = tenant.token(TokenKind::Legacy);
        assert_eq!(status(&tenant, &token, "GET", "/users/107460"), 200);
        assert_eq!(tenant.ask_as(&token, "POST", "/orders", Some(json!({}))).0, 201);
    }

    #[test]
    fn the_limit_is_one_for_all_tokens() {
        let tenant = builder().with_rate_limit(3, Duration::from_secs(60)).in_memory();
        let tokens = [ADMIN, "Bearer test-customer", &tenant.token(TokenKind::Legacy), ADMIN];
        let statuses = tokens.map(|token| status(&tenant, token, "GET", "/orders/20000010"));
        assert_eq!(statuses, [200, 200, 200, 429]);
        assert_eq!(tenant.counters().refused(), 1);
    }

    #[test]
    fn every_answer_tells_what_is_left_and_until_when() {
        let tenant = builder().with_rate_limit(2, Duration::from_secs(60)).in_memory();
        for (path, code, remaining) in [("/orders", 200, "1"), ("/nowhere", 404, "0"), ("/orders", 429, "0")] {
            let response = send(&tenant, ADMIN, "GET", path).response;
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
    fn limit_headers_come_in_the_form_that_was_chosen() {
        let tenant = builder()
            .with_rate_limit(0, Duration::from_secs(60))
            .with_reset_format(ResetFormat::Raw("banana".into()))
            .with_retry_after(ResetFormat::DeltaSeconds)
            .without_limit_header()
            .in_memory();
        let response = send(&tenant, ADMIN, "GET", "/orders").response;
        assert_eq!(response.headers()["x-ratelimit-reset"], "banana");
        assert_eq!(response.headers()["retry-after"], "60");
        assert!(!response.headers().contains_key("x-ratelimit-limit"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_window_ends_on_the_paused_clock() {
        let tenant = MockServer::builder().in_memory();
        tenant.exhaust_rate_limit();
        assert_eq!(status(&tenant, ADMIN, "GET", "/orders"), 429);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(status(&tenant, ADMIN, "GET", "/orders"), 200);
    }

    #[test]
    fn others_eat_from_the_same_budget() {
        let tenant = builder().in_memory();
        tenant.add_external_requests(60);
        let response = send(&tenant, ADMIN, "GET", "/orders").response;
        assert_eq!(response.headers()["x-ratelimit-remaining"], "39");
        assert_eq!(tenant.counters().requests(), 1);
    }

    #[test]
    fn a_skewed_tenant_shows_another_time_and_keeps_its_windows() {
        let tenant = builder().in_memory();
        tenant.skew(SignedDuration::from_hours(-2));
        let response = send(&tenant, ADMIN, "GET", "/orders").response;
        assert_eq!(response.headers()["date"], "Mon, 01 Jun 2026 10:00:00 GMT");
        assert_eq!(response.headers()["x-ratelimit-reset"], "1780308060");
    }

    #[test]
    fn a_tenant_without_a_limit_has_no_such_headers() {
        let tenant = builder().without_rate_limit().in_memory();
        let response = send(&tenant, ADMIN, "GET", "/orders").response;
        assert!(!response.headers().contains_key("x-ratelimit-remaining"), "{:?}", response.headers());
        assert_eq!(tenant.remaining(), None);
    }

    #[test]
    fn a_fault_instead_of_the_answer_changes_nothing() {
        let tenant = builder().in_memory();
        tenant.fault(Fault::dropped().on("PATCH", "/orders/{id}"));
        let reply = patch(&tenant);
        assert_eq!(reply.ending, Ending::Dropped);
        assert!(tenant.order(20_000_010)["status"]["href"].as_str().is_some_and(|href| href.ends_with("/450")));
    }

    #[test]
    fn a_lost_response_has_changed_the_state() {
        let tenant = builder().in_memory();
        tenant.fault(Fault::lost_response());
        let reply = patch(&tenant);
        assert_eq!(reply.ending, Ending::Dropped);
        assert!(tenant.order(20_000_010)["status"]["href"].as_str().is_some_and(|href| href.ends_with("/457")));
        assert_eq!(tenant.counters().faults(), 1);
    }

    fn patch(tenant: &MockServer) -> Reply {
        let request = Request::patch(format!("{API}/orders/20000010"))
            .header("authorization", ADMIN)
            .header("content-type", "application/json; charset=utf-8")
            .body(Bytes::from_static(br#"{"status":{"id":457}}"#));
        tenant.reply(&request.expect("a request"))
    }

    #[test]
    fn a_body_has_to_be_json_and_to_say_so() {
        let tenant = builder().in_memory();
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
            let reply = tenant.reply(&request.expect("a request"));
            assert_eq!(reply.response.status(), code, "{content_type} {body}");
        }
    }

    #[test]
    fn requests_are_remembered_without_their_tokens() {
        let tenant = builder().in_memory();
        status(&tenant, ADMIN, "GET", "/orders?limit=5");
        let [received] = &tenant.requests()[..] else { panic!("{:?}", tenant.requests()) };
        assert_eq!((received.path.as_str(), received.query.as_str()), ("/api/v3/orders", "limit=5"));
        assert_eq!((received.operation, received.token), (Some("list_orders"), TokenSeen::Bearer));
        assert!(!format!("{received:?}").contains("test-admin"), "{received:?}");
    }

    #[test]
    fn a_parameter_that_an_operation_does_not_have_is_refused() {
        let tenant = builder().in_memory();
        for path in
            ["/orders?sort=id", "/orders/20000010?limit=5", "/orders?offset=0&page=1", "/orders?expand=customer"]
        {
            assert_eq!(status(&tenant, ADMIN, "GET", path), 400, "{path}");
        }
        assert_eq!(status(&tenant, ADMIN, "POST", "/orders?expand=customer"), 400);
    }

    #[test]
    fn nothing_lives_outside_the_third_version() {
        let tenant = builder().in_memory();
        let request = Request::get("/api/v2/orders").header("authorization", ADMIN).body(Bytes::new());
        assert_eq!(tenant.reply(&request.expect("a request")).response.status(), 404);
    }
}
