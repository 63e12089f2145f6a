//! The server's state, and the order in which it checks a request.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::auth::{self, Auth, Caller};
use super::error_response::{forbidden, no_route, unauthorized};
use super::handler::{Handler, HandlerResult};
use super::options::Options;
use super::params;
use super::people::Role;
use super::routes::{self, Access, Endpoint};
use super::store::Store;
use crate::testing::clock::ServerTime;
use crate::testing::error_response::ErrorResponse;
use crate::testing::request_log::RequestLog;
use crate::testing::response;
use crate::testing::router::RouteMatch;
use crate::testing::test_server::{RequestInfo, VendorServer};

/// The state of the server.
#[derive(Debug)]
pub(super) struct FisikalServer {
    /// The origin: the vendor's paths have no common prefix.
    base_url: String,
    pub(super) options: Options,
    pub(super) auth: Auth,
    pub(super) store: Store,
}

impl FisikalServer {
    /// The first person with this role, as a caller.
    pub(super) fn caller(&self, role: Role) -> Caller {
        Caller { user: self.store.people.id(role).expect("every role has a person"), role }
    }

    /// Checks the path, then the token and its role, and last the request itself.
    fn respond(&mut self, request: &Request<Bytes>, time: ServerTime) -> Result<Response<Bytes>, ErrorResponse> {
        let uri = request.uri();
        let found = routes::find(request.method(), uri.path()).map_err(no_route)?;
        let caller = self.auth.authenticate(request.headers(), &self.store.people, time.now)?;
        let endpoint = &found.route.endpoint;
        match (endpoint.access, caller.map(|caller| caller.role)) {
            (Access::Guest, _) | (_, Some(Role::Manager)) | (Access::User, Some(_)) => {}
            (_, None) => return Err(unauthorized()),
            (Access::Manager, Some(_)) => return Err(forbidden()),
        }
        self.carry_out(&found, caller, request, time).map(|body| response::json(StatusCode::OK, &body))
    }

    /// The body of a GET as the manager sees it, without a fault or a count.
    pub(super) fn snapshot(&mut self, path: &str, time: ServerTime) -> Option<Bytes> {
        let request = Request::get(format!("/{}", path.trim_start_matches('/'))).body(Bytes::new()).ok()?;
        let found = routes::find(request.method(), request.uri().path()).ok()?;
        let caller = self.caller(Role::Manager);
        Some(self.carry_out(&found, Some(caller), &request, time).ok()?.to_string().into())
    }

    fn carry_out(
        &mut self,
        found: &RouteMatch<'_, Endpoint>,
        caller: Option<Caller>,
        request: &Request<Bytes>,
        time: ServerTime,
    ) -> HandlerResult {
        let params = params::parse(request.uri().query().unwrap_or_default())?;
        let body = body(request)?;
        self.store.schedule.roll_forward(time.now);
        let mut handler = Handler {
            base_url: &self.base_url,
            options: &self.options,
            store: &mut self.store,
            auth: &mut self.auth,
            caller,
            now: time.now,
            id: found.numbers().first().copied().unwrap_or_default(),
            params,
            body,
        };
        (found.route.endpoint.action)(&mut handler)
    }
}

impl VendorServer for FisikalServer {
    type Options = Options;

    const ORIGIN_IN_MEMORY: &'static str = "https://demo.fisikal.com";

    fn new(origin: &str, options: Options, now: Timestamp) -> Self {
        Self { base_url: origin.to_owned(), auth: Auth::new(&options), options, store: Store::seeded(now) }
    }

    fn base_url(&self) -> String {
        self.base_url.clone()
    }

    fn operations() -> Vec<&'static str> {
        routes::operations().chain(TokenEndpoint::ALL.map(TokenEndpoint::operation)).collect()
    }

    fn request_info<'a>(&self, request: &'a Request<Bytes>) -> RequestInfo<'a> {
        let path = request.uri().path();
        let operation = match TokenEndpoint::of(request.method(), path) {
            Some(endpoint) => Ok(endpoint.operation()),
            None => {
                let found = routes::find(request.method(), path);
                found.map(|found| found.route.operation).map_err(|reason| reason.message)
            }
        };
        RequestInfo { path, operation, token: auth::token_seen(request.headers()) }
    }

    fn handle(&mut self, request: &Request<Bytes>, time: ServerTime, log: &mut RequestLog) -> Response<Bytes> {
        let people = &self.store.people;
        match TokenEndpoint::of(request.method(), request.uri().path()) {
            Some(TokenEndpoint::LogIn) => self.auth.session_login(request, people, &self.options, time.now, log),
            Some(TokenEndpoint::Revoke) => self.auth.revoke(request, time.now, log),
            Some(TokenEndpoint::Token) => self.auth.token(request, people, &self.options, time, log),
            None => self.respond(request, time).unwrap_or_else(ErrorResponse::into_response),
        }
    }
}

/// One of the endpoints that issue or revoke tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TokenEndpoint {
    LogIn,
    Revoke,
    Token,
}

impl TokenEndpoint {
    const ALL: [Self; 3] = [Self::LogIn, Self::Revoke, Self::Token];

    fn of(method: &Method, path: &str) -> Option<Self> {
        match path {
            _ if method != Method::POST => None,
            "/api/unified/sessions/auth" => Some(Self::LogIn),
            "/oauth/revoke" => Some(Self::Revoke),
            "/oauth/token" => Some(Self::Token),
            _ => None,
        }
    }

    /// The name in counters and logs.
    fn operation(self) -> &'static str {
        match self {
            Self::LogIn => "log_in",
            Self::Revoke => "revoke",
            Self::Token => "token",
        }
    }
}

/// The body as a JSON object. An absent body and `null` count as an empty object.
fn body(request: &Request<Bytes>) -> Result<Map<String, Value>, ErrorResponse> {
    match serde_json::from_slice(request.body()) {
        _ if request.body().is_empty() => Ok(Map::new()),
        Ok(Value::Object(body)) => Ok(body),
        Ok(Value::Null) => Ok(Map::new()),
        _ => Err(ErrorResponse::json(StatusCode::BAD_REQUEST, json!({"error": "bad_request"}))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MockServer, Role};

    fn status(server: &MockServer, path: &str, token: Option<(&str, &str)>) -> u16 {
        server.request_with(token.as_slice(), "GET", path, None).0.as_u16()
    }

    #[test]
    fn a_guest_may_list_locations_and_packages_only() {
        let server = MockServer::builder().in_memory();
        for (path, expected) in [
            ("/api/unified/clubs/locations", 200),
            ("/api/unified/clubs/locations/1.json", 200),
            ("/api/unified/services/service_packages", 200),
            ("/api/unified/users/profile", 401),
            ("/api/unified/transactions/money", 401),
            ("/api/unified/nowhere", 404),
        ] {
            assert_eq!(status(&server, path, None), expected, "{path}");
        }
    }

    #[test]
    fn an_invalid_token_is_refused_even_if_the_operation_needs_none() {
        let server = MockServer::builder().in_memory();
        let path = "/api/unified/clubs/locations";
        for header in ["authorization", "x-fisikal-token"] {
            assert_eq!(status(&server, path, Some((header, "Bearer unknown"))), 401, "{header}");
        }
        let access = server.access_token();
        assert_eq!(status(&server, path, Some(("authorization", &format!("bearer {access}")))), 200);
        assert_eq!(status(&server, path, Some(("authorization", &access))), 401, "without its scheme");
        server.revoke_all();
        assert_eq!(status(&server, path, Some(("authorization", &format!("Bearer {access}")))), 401);
    }

    #[test]
    fn only_a_manager_may_list_transactions() {
        let server = MockServer::builder().in_memory();
        let path = "/api/unified/transactions/credits";
        for (role, expected) in [(Role::Manager, 200), (Role::Trainer, 403), (Role::Client, 403)] {
            let token = server.session_token(role);
            assert_eq!(status(&server, path, Some(("x-fisikal-token", &token))), expected, "{role:?}");
        }
    }

    #[test]
    fn requests_are_counted_by_their_kind_of_token() {
        let server = MockServer::builder().in_memory();
        let path = "/api/unified/clubs/regions";
        status(&server, "/api/unified/clubs/locations", None);
        status(&server, path, Some(("x-fisikal-token", &server.session_token(Role::Client))));
        status(&server, path, Some(("authorization", &format!("Bearer {}", server.access_token()))));
        let counters = server.counters();
        assert_eq!((counters.anonymous(), counters.session(), counters.bearer()), (1, 1, 1));
        assert_eq!(counters.operation("list_regions"), 2);
    }
}
