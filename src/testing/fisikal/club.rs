//! The order in which a tenant looks at a request.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::builder::Options;
use super::call::Call;
use super::door::{self, Caller, Door};
use super::params;
use super::people::{People, Role};
use super::refusal::Refusal;
use super::routes::{self, Access};
use super::schedule::Schedule;
use super::wares::Wares;
use crate::testing::clock::ServerTime as Time;
use crate::testing::request_log::RequestLog as Log;
use crate::testing::response as reply;
use crate::testing::test_server::{RequestInfo, VendorServer};

/// What a tenant holds.
#[derive(Debug)]
pub(in crate::testing) struct Club {
    base_url: String,
    pub(super) options: Options,
    pub(super) door: Door,
    pub(super) people: People,
    schedule: Schedule,
    wares: Wares,
}

impl Club {
    /// The person of a role, as a caller.
    pub(super) fn caller(&self, role: Role) -> Caller {
        Caller { user: self.people.id(role).expect("every role has a person"), role }
    }

    /// Address, token, role, and only then what the request is about.
    fn admit(&mut self, request: &Request<Bytes>, time: Time) -> Result<Response<Bytes>, Refusal> {
        let uri = request.uri();
        let found = routes::find(request.method(), uri.path()).ok_or_else(Refusal::not_found)?;
        let caller = self.door.admit(request.headers(), &self.people, time.now)?;
        match (found.route.access, caller.map(|caller| caller.role)) {
            (Access::Guest, _) | (_, Some(Role::Manager)) | (Access::Known, Some(_)) => {}
            (_, None) => return Err(Refusal::unauthorized()),
            (Access::Manager, Some(_)) => return Err(Refusal::forbidden()),
        }
        let params = params::read(uri.query().unwrap_or_default())?;
        let body = body(request)?;
        self.schedule.fill(time.now);
        let mut call = Call {
            base_url: &self.base_url,
            options: &self.options,
            people: &mut self.people,
            schedule: &mut self.schedule,
            wares: &mut self.wares,
            door: &mut self.door,
            caller,
            now: time.now,
            id: found.id,
            params,
            body,
        };
        (found.route.action)(&mut call).map(|answer| reply::json(StatusCode::OK, &answer))
    }
}

impl VendorServer for Club {
    type Options = Options;

    const ORIGIN_IN_MEMORY: &'static str = "https://demo.fisikal.com";

    fn new(origin: &str, options: Options, now: Timestamp) -> Self {
        Self {
            base_url: origin.to_owned(),
            door: Door::new(&options),
            options,
            people: People::seeded(),
            schedule: Schedule::new(now),
            wares: Wares::seeded(now),
        }
    }

    fn base_url(&self) -> String {
        self.base_url.clone()
    }

    fn request_info<'a>(&self, request: &'a Request<Bytes>) -> RequestInfo<'a> {
        let path = request.uri().path();
        let operation = routes::find(request.method(), path).map(|found| found.route.operation);
        RequestInfo { path, operation, token: door::seen(request.headers()) }
    }

    fn handle(&mut self, request: &Request<Bytes>, time: Time, log: &mut Log) -> Response<Bytes> {
        match (request.method(), request.uri().path()) {
            (&Method::POST, "/oauth/token") => self.door.token(request, &self.people, &self.options, time, log),
            (&Method::POST, "/oauth/revoke") => self.door.revoke(request, time.now, log),
            (&Method::POST, "/api/unified/sessions/auth") => {
                self.door.authenticate(request, &self.people, &self.options, time.now, log)
            }
            _ => self.admit(request, time).unwrap_or_else(Refusal::into_response),
        }
    }
}

/// The body as an object; empty where there is none.
fn body(request: &Request<Bytes>) -> Result<Map<String, Value>, Refusal> {
    match serde_json::from_slice(request.body()) {
        _ if request.body().is_empty() => Ok(Map::new()),
        Ok(Value::Object(body)) => Ok(body),
        Ok(Value::Null) => Ok(Map::new()),
        _ => Err(Refusal::with(StatusCode::BAD_REQUEST, serde_json::json!({"error": "bad_request"}))),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MockServer, Role};
    use super::*;

    fn status(tenant: &MockServer, path: &str, token: Option<(&str, String)>) -> u16 {
        let mut request = Request::get(path);
        if let Some((header, token)) = token {
            request = request.header(header, token);
        }
        tenant.handle(&request.body(Bytes::new()).expect("a request")).response.status().as_u16()
    }

    #[test]
    fn guests_see_places_and_packages_and_nothing_else() {
        let tenant = MockServer::builder().in_memory();
        for (path, expected) in [
            ("/api/unified/clubs/locations", 200),
            ("/api/unified/clubs/locations/1.json", 200),
            ("/api/unified/services/service_packages", 200),
            ("/api/unified/users/profile", 401),
            ("/api/unified/transactions/money", 401),
            ("/api/unified/nowhere", 404),
        ] {
            assert_eq!(status(&tenant, path, None), expected, "{path}");
        }
    }

    #[test]
    fn a_dead_token_is_refused_even_where_none_is_needed() {
        let tenant = MockServer::builder().in_memory();
        let path = "/api/unified/clubs/locations";
        for header in ["authorization", "x-fisikal-token"] {
            assert_eq!(status(&tenant, path, Some((header, "Bearer nobody".to_owned()))), 401, "{header}");
        }
        let access = tenant.access_token();
        assert_eq!(status(&tenant, path, Some(("authorization", format!("bearer {access}")))), 200);
        assert_eq!(status(&tenant, path, Some(("authorization", access.clone()))), 401, "without its scheme");
        tenant.revoke_all();
        assert_eq!(status(&tenant, path, Some(("authorization", format!("Bearer {access}")))), 401);
    }

    #[test]
    fn roles_are_kept_apart() {
        let tenant = MockServer::builder().in_memory();
        let path = "/api/unified/transactions/credits";
        for (role, expected) in [(Role::Manager, 200), (Role::Trainer, 403), (Role::Client, 403)] {
            assert_eq!(
                status(&tenant, path, Some(("x-fisikal-token", tenant.session_token(role)))),
                expected,
                "{role:?}"
            );
        }
    }

    #[test]
    fn requests_are_counted_by_how_they_identify_themselves() {
        let tenant = MockServer::builder().in_memory();
        status(&tenant, "/api/unified/clubs/locations", None);
        status(&tenant, "/api/unified/clubs/regions", Some(("x-fisikal-token", tenant.session_token(Role::Client))));
        status(
            &tenant,
            "/api/unified/clubs/regions",
            Some(("authorization", format!("Bearer {}", tenant.access_token()))),
        );
        let counters = tenant.counters();
        assert_eq!((counters.anonymous(), counters.session(), counters.bearer()), (1, 1, 1));
        assert_eq!(counters.operation("list_regions"), 2);
    }
}
