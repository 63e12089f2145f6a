//! The server's state, and the order in which it checks a request.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::auth::Auth;
use super::error_response::{bad_request, error};
use super::handler::{Handler, HandlerResult};
use super::options::Options;
use super::outbox::Outbox;
use super::partner::Partner;
use super::routes::{Action, Endpoint, ROUTER};
use super::seed;
use super::store::Store;
use crate::testing::authorization::Authorization;
use crate::testing::clock::ServerTime;
use crate::testing::error_response::ErrorResponse;
use crate::testing::query::Query;
use crate::testing::request_log::RequestLog;
use crate::testing::response;
use crate::testing::router::{Route, RouteMatch};
use crate::testing::test_server::{RequestInfo, VendorServer};

/// The state of the server.
#[derive(Debug)]
pub(super) struct RepairyServer {
    base_url: String,
    pub(super) options: Options,
    pub(super) auth: Auth,
    pub(super) outbox: Outbox,
    pub(super) store: Store,
}

impl RepairyServer {
    /// Checks the partner, then the token, the path, and last the request itself.
    fn respond(&mut self, request: &Request<Bytes>, time: ServerTime, log: &mut RequestLog) -> HandlerResult {
        let partner = self.auth.partner(request.headers())?;
        match ROUTER.find(request.method(), request.uri().path()) {
            Ok(RouteMatch { route: Route { endpoint: Endpoint::Token(action), .. }, .. }) => {
                let body = action(&mut self.auth, partner, request, time.now, log)?;
                Ok((StatusCode::OK, body))
            }
            Ok(RouteMatch { route: Route { endpoint: Endpoint::WithToken { action, params }, .. }, ids }) => {
                self.auth.authenticate(partner, request.headers(), time.now)?;
                self.carry_out(*action, params, ids, partner, request, time)
            }
            Err(reason) => {
                // Only a client with a valid token learns that the path is unknown.
                self.auth.authenticate(partner, request.headers(), time.now)?;
                Err(ErrorResponse::no_route(reason, error))
            }
        }
    }

    /// The content of a GET as the partner sees it that it belongs to, without a fault or a count.
    pub(super) fn snapshot(&mut self, path: &str, time: ServerTime) -> Option<Bytes> {
        let request = Request::get(format!("/{}", path.trim_start_matches('/'))).body(Bytes::new()).ok()?;
        let found = ROUTER.find(request.method(), request.uri().path()).ok()?;
        let Endpoint::WithToken { action, params } = &found.route.endpoint else { return None };
        let content = [Partner::Main, Partner::Other]
            .into_iter()
            .find_map(|partner| self.carry_out(*action, params, found.ids.clone(), partner, &request, time).ok());
        Some(content?.1.to_string().into())
    }

    fn carry_out<'a>(
        &'a mut self,
        action: Action,
        params: &[&str],
        ids: Vec<&'a str>,
        partner: Partner,
        request: &'a Request<Bytes>,
        time: ServerTime,
    ) -> HandlerResult {
        let query = Query::parse_strict(request.uri().query(), params).map_err(bad_request)?;
        action(&mut Handler {
            options: &self.options,
            store: &mut self.store,
            outbox: &mut self.outbox,
            partner,
            now: time.shown(),
            ids,
            query,
            request,
        })
    }

    /// A successful response, in the envelope if there is one. Null content is sent as an empty body.
    fn success(&self, status: StatusCode, content: Value) -> Response<Bytes> {
        match &self.options.envelope {
            _ if content.is_null() => response::raw(status, "", ""),
            Some(name) => {
                let mut envelope = json!({"success": true});
                envelope[name.as_str()] = content;
                response::json(status, &envelope)
            }
            None => response::json(status, &content),
        }
    }
}

impl VendorServer for RepairyServer {
    type Options = Options;

    // The vendor publishes no base URL, so this one leads nowhere.
    const ORIGIN_IN_MEMORY: &'static str = "https://partners.repairy.invalid";

    fn new(origin: &str, options: Options, _now: Timestamp) -> Self {
        Self {
            base_url: origin.to_owned(),
            auth: Auth::new(&options),
            options,
            outbox: Outbox::default(),
            store: seed::store(),
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
        let found = ROUTER.find(request.method(), path);
        let operation = found.map(|found| found.route.operation).map_err(|reason| reason.message);
        RequestInfo { path, operation, token: Authorization::of(request.headers()).seen }
    }

    fn handle(&mut self, request: &Request<Bytes>, time: ServerTime, log: &mut RequestLog) -> Response<Bytes> {
        match self.respond(request, time, log) {
            Ok((status, content)) => self.success(status, content),
            Err(error) => error.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::{MockServer, Partner};
    use crate::testing::{Fault, TokenSeen};

    const BOOKING: &str = "/bookings/670000000000000000000001";

    fn get(server: &MockServer, headers: &[(&str, &str)], path: &str) -> u16 {
        server.request_with(headers, "GET", path, None).0.as_u16()
    }

    #[test]
    fn a_request_without_a_known_partner_is_refused_before_all_other_checks() {
        let server = MockServer::builder().in_memory();
        let bearer = format!("Bearer {}", server.issue_tokens(Partner::Main).access_token);
        let token = ("authorization", bearer.as_str());
        for path in [BOOKING, "/nowhere", "/auth/token"] {
            assert_eq!(get(&server, &[token], path), 403, "{path}");
            assert_eq!(get(&server, &[token, ("x-partner-id", "unknown")], path), 403, "{path}");
        }
        assert_eq!(get(&server, &[token, ("x-partner-id", "test-partner")], BOOKING), 200);
    }

    #[test]
    fn the_status_for_a_missing_partner_is_configurable() {
        let server = MockServer::builder().with_missing_partner_status(401).in_memory();
        assert_eq!(get(&server, &[], BOOKING), 401);
    }

    #[test]
    fn a_request_without_a_valid_token_does_not_learn_which_paths_exist() {
        let server = MockServer::builder().in_memory();
        for path in [BOOKING, "/nowhere"] {
            assert_eq!(get(&server, &[("x-partner-id", "test-partner")], path), 401, "{path}");
        }
        assert_eq!(server.counters().unauthorized(), 2);
    }

    #[test]
    fn a_token_is_valid_only_for_its_partner() {
        let server = MockServer::builder().in_memory();
        let access = server.issue_tokens(Partner::Main).access_token;
        let (status, body) = server.request_as(Partner::Other, &access, "GET", BOOKING, None);
        assert_eq!((status, &body["message"]), (403, &json!("The access token belongs to another partner.")));
    }

    #[test]
    fn a_booking_of_another_partner_is_refused() {
        let server = MockServer::builder().in_memory();
        let foreign = "/bookings/670000000000000000000002";
        assert_eq!(server.request("GET", foreign, None).0, 403);
        assert_eq!(server.request("PUT", foreign, Some(json!({"externalId": "x"}))).0, 403);
        assert_eq!(server.request("POST", &format!("{foreign}/cancelled"), None).0, 403);
        let access = server.issue_tokens(Partner::Other).access_token;
        assert_eq!(server.request_as(Partner::Other, &access, "GET", foreign, None).0, 200);
    }

    #[test]
    fn an_envelope_wraps_success_responses_but_not_errors() {
        let server = MockServer::builder().with_envelope("result").in_memory();
        let (_, body) = server.request("GET", BOOKING, None);
        assert_eq!((&body["success"], &body["result"]["code"]), (&json!(true), &json!("BK000001")));
        let (status, body) = server.request("GET", "/bookings/none", None);
        assert_eq!((status, body), (404, json!({"message": "There is nothing with this id."})));
    }

    #[test]
    fn a_recorded_request_has_its_operation_and_no_token() {
        let server = MockServer::builder().in_memory();
        server.request("GET", BOOKING, None);
        let headers = [("x-partner-id", "test-partner")];
        server.request_with(&headers, "POST", "/auth/token", Some(json!({"appKey": "hidden", "appSecret": "hidden"})));
        let requests = server.requests();
        let seen: Vec<_> = requests.iter().map(|request| (request.operation, request.token)).collect();
        assert_eq!(seen, [(Some("get_booking"), TokenSeen::Bearer), (Some("log_in"), TokenSeen::None)]);
        let debug = format!("{requests:?} {server:?}");
        assert!(!debug.contains("test-access") && !debug.contains("hidden"), "{debug}");
    }

    #[test]
    fn a_fault_applies_to_the_token_endpoint_too() {
        let server = MockServer::builder().in_memory();
        server.fault(Fault::status(503).on("POST", "/auth/token"));
        let headers = [("x-partner-id", "test-partner")];
        let (status, _) = server.request_with(&headers, "POST", "/auth/token", Some(Value::Null));
        assert_eq!((status.as_u16(), server.counters().refused_logins()), (503, 0));
    }
}
