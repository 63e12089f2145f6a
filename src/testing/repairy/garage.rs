//! The order in which a tenant looks at a request.

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::json;

use super::builder::Options;
use super::call::{Answer, Call};
use super::outbox::Sent;
use super::partners::Door;
use super::refusal::Refusal;
use super::routes::{self, Action};
use super::seed;
use super::store::Store;
use crate::testing::authorization::Authorization;
use crate::testing::clock::ServerTime as Time;
use crate::testing::request_log::RequestLog as Log;
use crate::testing::response as reply;
use crate::testing::test_server::{RequestInfo, VendorServer};

/// All that a tenant knows.
#[derive(Debug)]
pub(in crate::testing) struct Garage {
    base_url: String,
    options: Options,
    pub(super) door: Door,
    pub(super) outbox: Vec<Sent>,
    pub(super) store: Store,
}

impl Garage {
    /// Partner, tokens, address, and only then what the request is about.
    fn answer(&mut self, request: &Request<Bytes>, time: Time, log: &mut Log) -> Result<Answer, Refusal> {
        let partner = self.door.partner(request.headers())?;
        let action = match routes::find(request.method(), request.uri().path()) {
            Ok(Action::LogIn) => return Ok((StatusCode::OK, self.door.log_in(partner, request, time.now, log)?)),
            Ok(Action::Refresh) => return Ok((StatusCode::OK, self.door.refresh(partner, request, time.now, log)?)),
            found => {
                self.door.admit(partner, request.headers(), time.now)?;
                found?
            }
        };
        let now = time.shown();
        let mut call = Call { options: &self.options, store: &mut self.store, outbox: &mut self.outbox, partner, now };
        call.carry_out(action, request)
    }

    /// An answer as it goes out: perhaps in an envelope, perhaps without a body.
    fn wrapped(&self, (status, content): Answer) -> Response<Bytes> {
        match &self.options.envelope {
            _ if content.is_null() => reply::raw(status, "", ""),
            Some(name) => {
                let mut envelope = json!({"success": true});
                envelope[name.as_str()] = content;
                reply::json(status, &envelope)
            }
            None => reply::json(status, &content),
        }
    }
}

impl VendorServer for Garage {
    type Options = Options;

    const ORIGIN_IN_MEMORY: &'static str = "https://partners.repairy.invalid";

    fn new(origin: &str, options: Options, _: jiff::Timestamp) -> Self {
        Self {
            base_url: origin.to_owned(),
            door: Door::new(&options),
            outbox: Vec::new(),
            store: seed::store(),
            options,
        }
    }

    fn base_url(&self) -> String {
        self.base_url.clone()
    }

    fn request_info<'a>(&self, request: &'a Request<Bytes>) -> RequestInfo<'a> {
        let path = request.uri().path();
        let operation = routes::find(request.method(), path).ok().map(Action::operation);
        RequestInfo { path, operation, token: Authorization::of(request.headers()).seen }
    }

    fn handle(&mut self, request: &Request<Bytes>, time: Time, log: &mut Log) -> Response<Bytes> {
        match self.answer(request, time, log) {
            Ok(answer) => self.wrapped(answer),
            Err(refusal) => refusal.into_response(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::{MockServer, Partner};
    use super::*;
    use crate::testing::{Fault, TokenSeen};

    const BOOKING: &str = "/bookings/670000000000000000000001";

    fn get(tenant: &MockServer, headers: &[(&str, &str)], path: &str) -> u16 {
        tenant.request_with(headers, "GET", path, None).0.as_u16()
    }

    #[test]
    fn who_does_not_say_who_it_is_hears_nothing_else() {
        let tenant = MockServer::builder().in_memory();
        let bearer = format!("Bearer {}", tenant.issue_tokens(Partner::Main).access_token);
        let token = ("authorization", bearer.as_str());
        for path in [BOOKING, "/nowhere", "/auth/token"] {
            assert_eq!(get(&tenant, &[token], path), 403, "{path}");
            assert_eq!(get(&tenant, &[token, ("x-partner-id", "nobody")], path), 403, "{path}");
        }
        assert_eq!(get(&tenant, &[token, ("x-partner-id", "test-partner")], BOOKING), 200);
    }

    #[test]
    fn the_status_for_a_missing_partner_can_be_chosen() {
        let tenant = MockServer::builder().with_missing_partner_status(401).in_memory();
        assert_eq!(get(&tenant, &[], BOOKING), 401);
    }

    #[test]
    fn who_has_no_valid_token_does_not_hear_what_is_there() {
        let tenant = MockServer::builder().in_memory();
        for path in [BOOKING, "/nowhere"] {
            assert_eq!(get(&tenant, &[("x-partner-id", "test-partner")], path), 401, "{path}");
        }
        assert_eq!(tenant.counters().unauthorized(), 2);
    }

    #[test]
    fn a_token_is_good_for_its_own_partner_alone() {
        let tenant = MockServer::builder().in_memory();
        let access = tenant.issue_tokens(Partner::Main).access_token;
        let (status, answer) = tenant.ask_of(Partner::Other, &access, "GET", BOOKING, None);
        assert_eq!((status, &answer["message"]), (403, &json!("The access token is another partner's.")));
    }

    #[test]
    fn another_partners_booking_is_refused() {
        let tenant = MockServer::builder().in_memory();
        let foreign = "/bookings/670000000000000000000002";
        assert_eq!(tenant.ask("GET", foreign, None).0, 403);
        assert_eq!(tenant.ask("PUT", foreign, Some(json!({"externalId": "x"}))).0, 403);
        assert_eq!(tenant.ask("POST", &format!("{foreign}/cancelled"), None).0, 403);
        let access = tenant.issue_tokens(Partner::Other).access_token;
        assert_eq!(tenant.ask_of(Partner::Other, &access, "GET", foreign, None).0, 200);
    }

    #[test]
    fn a_success_can_be_wrapped_and_a_refusal_never_is() {
        let tenant = MockServer::builder().with_envelope("result").in_memory();
        let (_, answer) = tenant.ask("GET", BOOKING, None);
        assert_eq!((&answer["success"], &answer["result"]["code"]), (&json!(true), &json!("BK000001")));
        let (status, answer) = tenant.ask("GET", "/bookings/none", None);
        assert_eq!((status, answer), (404, json!({"message": "There is nothing with this id."})));
    }

    #[test]
    fn requests_are_remembered_with_their_operation_and_without_their_token() {
        let tenant = MockServer::builder().in_memory();
        tenant.ask("GET", BOOKING, None);
        let headers = [("x-partner-id", "test-partner")];
        tenant.request_with(&headers, "POST", "/auth/token", Some(json!({"appKey": "hidden", "appSecret": "hidden"})));
        let received = tenant.requests();
        let seen: Vec<_> = received.iter().map(|request| (request.operation, request.token)).collect();
        assert_eq!(seen, [(Some("get_booking"), TokenSeen::Bearer), (Some("log_in"), TokenSeen::None)]);
        let shown = format!("{received:?} {tenant:?}");
        assert!(!shown.contains("test-access") && !shown.contains("hidden"), "{shown}");
    }

    #[test]
    fn a_fault_strikes_the_token_endpoint_too() {
        let tenant = MockServer::builder().in_memory();
        tenant.fault(Fault::status(503).on("POST", "/auth/token"));
        let headers = [("x-partner-id", "test-partner")];
        let (status, _) = tenant.request_with(&headers, "POST", "/auth/token", Some(Value::Null));
        assert_eq!((status.as_u16(), tenant.counters().refused_logins()), (503, 0));
    }
}
