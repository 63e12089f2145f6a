//! The order in which a tenant looks at a request.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;

use super::authority::Authority;
use super::builder::{BasePath, Options};
use super::call::Call;
use super::keys::Keys;
use super::refusal::Refusal;
use super::routes::{self, Found, Known};
use super::seed;
use super::store::Store;
use crate::testing::TokenSeen;
use crate::testing::authorization::Authorization;
use crate::testing::counters::Log;
use crate::testing::desk::{House, Place, Time};
use crate::testing::limit::Bucket;

/// All that a tenant knows.
#[derive(Debug)]
pub(super) struct Office {
    host: String,
    options: Options,
    pub(super) authority: Authority,
    /// One for each key and each login that was seen.
    buckets: BTreeMap<Holder, Bucket>,
    pub(super) keys: Keys,
    pub(super) store: Store,
}

/// Whose requests are counted together. The vendor does not say: a key's, or those that came of one login.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder {
    Key(String),
    Login(u32),
}

/// Who asks, and for what at the most.
struct Caller {
    holder: Holder,
    scopes: BTreeSet<String>,
}

impl Caller {
    fn allows(&self, scope: &str) -> bool {
        self.scopes.contains("admin") || self.scopes.contains(scope)
    }
}

impl Office {
    /// `host` is scheme and authority, without a path.
    pub(super) fn new(host: &str, options: Options) -> Self {
        Self {
            host: host.to_owned(),
            authority: Authority::new(options.rules.clone()),
            buckets: BTreeMap::new(),
            keys: Keys::seeded(),
            store: seed::store(),
            options,
        }
    }

    /// What a caller who may do everything would see at a path below the base URL, without a limit, a fault or a count.
    pub(super) fn snapshot(&mut self, path: &str, time: Time) -> Option<Bytes> {
        let path = format!("/{}", path.trim_start_matches('/'));
        let request = Request::get(&path).body(Bytes::new()).ok()?;
        let found = routes::find(request.method(), request.uri().path()).ok()?;
        Some(self.call(time).carry_out(&found, &request).ok()?.into_body())
    }

    /// What is left for a holder; `None` without a limit.
    pub(super) fn remaining(&self, holder: &Holder, now: Timestamp) -> Option<u32> {
        let (size, _) = self.limit(holder)?;
        Some(self.buckets.get(holder).map_or(size, |bucket| bucket.remaining(now)))
    }

    /// Counts requests against the windows of everybody who may come in.
    pub(super) fn use_up(&mut self, requests: u32, now: Timestamp) {
        let keys = self.keys.values().map(|value| Holder::Key(value.to_owned()));
        let logins = self.authority.grants.families().map(Holder::Login);
        let holders: Vec<_> = keys.chain(logins).collect();
        for holder in holders {
            if let Some(bucket) = self.bucket(&holder) {
                bucket.take(requests, now);
            }
        }
    }

    /// Who asks, whether they have used up their requests, what for, whether they may, and only then what it is about.
    fn answer(
        &mut self,
        request: &Request<Bytes>,
        time: Time,
        counted: &mut Option<Holder>,
    ) -> Result<Response<Bytes>, Refusal> {
        let caller = self.admit(Authorization::of(request.headers()), time.now)?;
        *counted = Some(caller.holder.clone());
        if let Some(bucket) = self.bucket(&caller.holder)
            && bucket.take(1, time.now) == 0
        {
            return Err(Refusal::new(StatusCode::TOO_MANY_REQUESTS, "The requests of this hour are used up."));
        }
        let found = self.find(request)?;
        if !caller.allows(found.route.scope) {
            return Err(Refusal::new(StatusCode::FORBIDDEN, "The token lacks the permission for this."));
        }
        if self.options.only_documented && found.route.known == Known::ByName {
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, "No page of the vendor shows this request."));
        }
        self.call(time).carry_out(&found, request)
    }

    fn admit(&self, authorization: Authorization<'_>, now: Timestamp) -> Result<Caller, Refusal> {
        match authorization.seen {
            TokenSeen::Bearer => {}
            TokenSeen::None => return Err(Refusal::unauthorized("The token is missing.")),
            TokenSeen::Legacy | TokenSeen::Session => {
                return Err(Refusal::unauthorized("The token has to come as Bearer."));
            }
        }
        let value = authorization.value;
        if let Some(key) = self.keys.get(value) {
            return Ok(Caller { holder: Holder::Key(value.to_owned()), scopes: key.scopes().clone() });
        }
        match self.authority.grants.admit(value, now) {
            Some((origin, scopes)) => Ok(Caller { holder: Holder::Login(origin.family), scopes: scopes.clone() }),
            None => Err(Refusal::unauthorized("The token is not valid.")),
        }
    }

    fn limit(&self, holder: &Holder) -> Option<(u32, std::time::Duration)> {
        let own = match holder {
            Holder::Key(value) => self.keys.get(value).and_then(|key| key.tier()),
            Holder::Login(_) => None,
        };
        own.map_or(self.options.rate_limit, |tier| tier.limit())
    }

    fn bucket(&mut self, holder: &Holder) -> Option<&mut Bucket> {
        let (size, window) = self.limit(holder)?;
        Some(self.buckets.entry(holder.clone()).or_insert_with(|| Bucket::new(size, window)))
    }

    fn call(&mut self, time: Time) -> Call<'_> {
        let ignores_unknown_fields = self.options.ignores_unknown_fields;
        Call { store: &mut self.store, ignores_unknown_fields, now: time.shown() }
    }

    fn find<'a>(&self, request: &'a Request<Bytes>) -> Result<Found<'a>, Refusal> {
        let path = self.below_base(request.uri().path()).ok_or_else(Refusal::not_found)?;
        routes::find(request.method(), path)
    }

    /// The path below the base URL, if the tenant answers at that base.
    fn below_base<'a>(&self, path: &'a str) -> Option<&'a str> {
        let bases: &[&str] = match self.options.base_path {
            BasePath::ApiV1 => &["/api/v1"],
            BasePath::Both => &["/v1", "/api/v1"],
            BasePath::V1 => &["/v1"],
        };
        bases.iter().find_map(|base| path.strip_prefix(base))
    }
}

impl House for Office {
    fn base_url(&self) -> String {
        format!("{}/v1", self.host)
    }

    fn place<'a>(&self, request: &'a Request<Bytes>) -> Place<'a> {
        let path = request.uri().path();
        let operation = self.find(request).ok().map(|found| found.route.operation);
        Place {
            path: self.below_base(path).unwrap_or(path),
            operation: operation.or_else(|| Authority::operation(path)),
            token: Authorization::of(request.headers()).seen,
        }
    }

    fn handle(&mut self, request: &Request<Bytes>, time: Time, log: &mut Log) -> Response<Bytes> {
        if let Some(operation) = Authority::operation(request.uri().path()) {
            return self.authority.handle(operation, request, time, log);
        }
        let mut counted = None;
        let mut response = self.answer(request, time, &mut counted).unwrap_or_else(Refusal::into_response);
        if let Some(bucket) = counted.and_then(|holder| self.buckets.get(&holder)) {
            self.options.limit_headers.add_to(&mut response, bucket, time);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::super::{ApiKey, KeyKind, MockServer, MockServerBuilder, Tier};
    use super::*;
    use crate::testing::{Fault, ResetFormat};

    const ADMIN: &str = "Bearer test-key-admin";

    fn builder() -> MockServerBuilder {
        // A clock that stands still, at a whole second: 2026-06-01T12:00:00Z.
        MockServer::builder().with_clock(|| Timestamp::from_second(1_780_315_200).expect("in range"))
    }

    fn send(tenant: &MockServer, token: &str, method: &str, path: &str) -> Response<Bytes> {
        let request = Request::builder().method(method).uri(path);
        let request = if token.is_empty() { request } else { request.header("authorization", token) };
        tenant.reply(&request.body(Bytes::new()).expect("a request")).response
    }

    fn status(tenant: &MockServer, token: &str, method: &str, path: &str) -> u16 {
        send(tenant, token, method, path).status().as_u16()
    }

    #[test]
    fn who_nobody_knows_hears_nothing_else() {
        let tenant = builder().in_memory();
        for token in ["", "Bearer nobody", "test-key-admin", "Bearer", "Basic test-key-admin"] {
            assert_eq!(status(&tenant, token, "GET", "/v1/nowhere"), 401, "{token}");
        }
        assert_eq!(tenant.remaining(KeyKind::Admin), Some(1_000), "who is not let in is not counted");
        tenant.revoke(KeyKind::Admin);
        assert_eq!(status(&tenant, ADMIN, "GET", "/v1/assets"), 401);
    }

    #[test]
    fn scopes_are_looked_at_before_what_a_request_is_about() {
        let tenant = builder().in_memory();
        for (kind, method, path, code) in [
            (KeyKind::ReadOnly, "GET", "/v1/assets/asset-001", 200),
            (KeyKind::ReadOnly, "DELETE", "/v1/assets/nothing", 403),
            (KeyKind::WriteOnly, "GET", "/v1/assets/asset-001", 403),
            (KeyKind::WriteOnly, "DELETE", "/v1/assets/asset-001", 204),
            (KeyKind::WorkOrders, "GET", "/v1/tasks/task-001", 200),
            (KeyKind::WorkOrders, "GET", "/v1/customers", 403),
            (KeyKind::WorkOrders, "GET", "/v1/nowhere", 404),
        ] {
            let token = format!("Bearer {}", tenant.key(kind));
            assert_eq!(status(&tenant, &token, method, path), code, "{kind:?} {method} {path}");
        }
    }

    #[test]
    fn both_bases_are_answered_unless_one_is_chosen() {
        for (path, v1, api_v1) in [(BasePath::Both, 200, 200), (BasePath::V1, 200, 404), (BasePath::ApiV1, 404, 200)] {
            let tenant = builder().with_base_path(path).in_memory();
            assert_eq!(status(&tenant, ADMIN, "GET", "/v1/assets"), v1, "{path:?}");
            assert_eq!(status(&tenant, ADMIN, "GET", "/api/v1/assets"), api_v1, "{path:?}");
            assert_eq!(status(&tenant, ADMIN, "GET", "/v2/assets"), 404, "{path:?}");
        }
    }

    #[test]
    fn what_rests_on_a_guess_can_be_left_out() {
        let tenant = builder().with_documented_operations_only().in_memory();
        assert_eq!(status(&tenant, ADMIN, "GET", "/v1/assets/asset-001"), 200);
        assert_eq!(status(&tenant, ADMIN, "GET", "/v1/assets/asset-001/warranty"), 501);
        assert_eq!(status(&tenant, ADMIN, "DELETE", "/v1/assets/asset-001"), 501);
    }

    #[test]
    fn each_key_and_each_login_has_its_own_requests() {
        let tenant = builder().with_rate_limit(2, Duration::from_secs(60)).in_memory();
        let logins = [tenant.sign_in(["admin"]), tenant.sign_in(["admin"])];
        let tokens = [ADMIN.to_owned(), "Bearer test-key-read-only".to_owned()];
        let logins = logins.map(|tokens| format!("Bearer {}", tokens.access_token));
        for token in tokens.iter().chain(&logins) {
            let statuses = [(); 3].map(|()| status(&tenant, token, "GET", "/v1/assets"));
            assert_eq!(statuses, [200, 200, 429], "{token}");
        }
        assert_eq!(tenant.counters().refused(), 4);
    }

    #[test]
    fn a_tier_is_so_many_requests_an_hour() {
        let tenant = builder().with_tier(Tier::Professional).in_memory();
        tenant.add_key(ApiKey::new("test-small").with_scopes(["admin"]).with_tier(Tier::Standard));
        tenant.add_key(ApiKey::new("test-large").with_scopes(["admin"]).with_tier(Tier::Enterprise));
        let headers = |token| send(&tenant, token, "GET", "/v1/assets").headers().clone();
        for (token, limit) in [(ADMIN, Some("10000")), ("Bearer test-small", Some("1000")), ("Bearer test-large", None)]
        {
            let headers = headers(token);
            let told = headers.get("x-ratelimit-limit").map(|value| value.to_str().expect("text"));
            assert_eq!(told, limit, "{token}");
            assert_eq!(headers.contains_key("x-ratelimit-reset"), limit.is_some(), "{token}");
        }
    }

    #[test]
    fn the_reset_comes_in_the_form_that_was_chosen() {
        let choices = [
            (ResetFormat::EpochSeconds, "1780318800"),
            (ResetFormat::DeltaSeconds, "3600"),
            (ResetFormat::Iso8601, "2026-06-01T13:00:00Z"),
        ];
        for (format, text) in choices {
            let tenant = builder().with_reset_format(format).in_memory();
            tenant.exhaust_rate_limit();
            let response = send(&tenant, ADMIN, "GET", "/v1/assets");
            assert_eq!(
                (response.status().as_u16(), &response.headers()["x-ratelimit-reset"]),
                (429, &text.parse().unwrap())
            );
        }
    }

    #[test]
    fn requests_for_tokens_are_not_counted_against_anybody() {
        let tenant = builder().with_rate_limit(0, Duration::from_secs(60)).in_memory();
        assert_eq!(status(&tenant, "", "POST", "/oauth/revoke"), 400);
        assert_eq!(status(&tenant, "", "GET", "/oauth/authorize"), 400);
        assert_eq!(tenant.counters().operation("revoke"), 1);
    }

    #[test]
    fn a_fault_finds_its_request_under_either_base() {
        let tenant = builder().in_memory();
        tenant.fault(Fault::status(503).on("GET", "/work-orders/{id}/tasks").times(2));
        for base in ["/v1", "/api/v1"] {
            assert_eq!(status(&tenant, ADMIN, "GET", &format!("{base}/work-orders/wo-10001/tasks")), 503);
        }
    }

    #[test]
    fn a_refusal_has_a_word_a_sentence_and_the_fields() {
        let tenant = builder().in_memory();
        let (status, body) = tenant.ask_as(ADMIN, "POST", "/customers", Some(json!({"name": 7, "colour": "blue"})));
        assert_eq!((status.as_u16(), &body["error"]["code"]), (422, &json!("validation_error")));
        let fields: Vec<_> = body["error"]["details"].as_array().expect("details").iter().collect();
        let fields: Vec<_> = fields.iter().map(|detail| detail["field"].as_str().unwrap_or_default()).collect();
        assert_eq!(fields, ["colour", "name", "address"]);
    }
}
