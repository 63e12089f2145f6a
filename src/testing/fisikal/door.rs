//! The ways in: the token endpoint with its refresh and revocation, and the log-in of the session way.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, PRAGMA};
use http::{Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::builder::Options;
use super::people::{People, Person, Role};
use super::refusal::Refusal;
use crate::testing::authorization::Authorization;
use crate::testing::clock::ServerTime as Time;
use crate::testing::request_log::RequestLog as Log;
use crate::testing::token_issuer::{
    IssuedTokens as Pair, RefreshError as Stale, TokenIssuer as Grants, TokenLifetimes as Lifetimes,
    TokenOrigin as Origin,
};
use crate::testing::{TokenRequest, TokenRequestKind, TokenSeen, body, response as reply};

/// The header of session tokens.
const HEADER: HeaderName = HeaderName::from_static("x-fisikal-token");

/// The OAuth2 application that every tenant has. Neither value is a secret.
pub(super) const CLIENT_ID: &str = "test-application";
pub(super) const CLIENT_SECRET: &str = "test-application-secret";

/// The scopes of the application: the roles, in lower case as the log-in has them.
const SCOPES: [&str; 3] = ["manager", "trainer", "client"];
/// What marks a session among the logins; no application has it.
const SESSION: &str = "session";

/// Who calls, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) user: i64,
    pub(super) role: Role,
}

impl Caller {
    pub(super) fn of(person: &Person) -> Self {
        Self { user: person.id, role: person.role }
    }
}

/// Who may come in, and with which tokens: those of `/oauth/token`, and those of log-ins and sign-ups.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) grants: Grants,
    sessions: Lifetimes,
}

impl Door {
    pub(super) fn new(options: &Options) -> Self {
        let lifetimes = Lifetimes { access: options.access_lifetime, refresh: options.refresh_lifetime };
        let sessions = Lifetimes { access: options.session_lifetime, refresh: SignedDuration::ZERO };
        Self { grants: Grants::new(lifetimes, true), sessions }
    }

    /// The caller of a request: nobody where it has no token.
    pub(super) fn admit(
        &self,
        headers: &HeaderMap,
        people: &People,
        now: Timestamp,
    ) -> Result<Option<Caller>, Refusal> {
        let Authorization { seen, value } = Authorization::of(headers);
        let (token, in_session) = match (seen, headers.get(HEADER)) {
            (TokenSeen::None, None) => return Ok(None),
            (TokenSeen::Bearer, None) => (value, false),
            (TokenSeen::None, Some(token)) => (token.to_str().unwrap_or_default(), true),
            // Which of two would count is not known.
            _ => return Err(Refusal::unauthorized()),
        };
        let admitted = self.grants.validate(token, now).filter(|(_, scopes)| scopes.contains(SESSION) == in_session);
        let owner = admitted.and_then(|(origin, _)| self.grants.owner(origin.family)?.parse().ok());
        let person = owner.and_then(|id| people.get(id));
        person.map(|person| Some(Caller::of(person))).ok_or_else(Refusal::unauthorized)
    }

    /// The tokens of a login of this user.
    pub(super) fn log_in(&mut self, caller: Caller, scopes: BTreeSet<String>, now: Timestamp) -> Pair {
        self.grants.log_in(&caller.user.to_string(), scopes, now)
    }

    /// The token of a session of this user.
    pub(super) fn begin_session(&mut self, caller: Caller, now: Timestamp) -> Pair {
        self.grants.log_in_for(self.sessions, &caller.user.to_string(), [SESSION.to_owned()].into(), now)
    }

    /// `POST /oauth/token`
    pub(super) fn token(
        &mut self,
        request: &Request<Bytes>,
        people: &People,
        options: &Options,
        time: Time,
        log: &mut Log,
    ) -> Response<Bytes> {
        let form = Form::read(request);
        let grant = form.get("grant_type");
        let kind = if grant == Some("refresh_token") { TokenRequestKind::Refresh } else { TokenRequestKind::Login };
        let (origin, outcome) = match grant {
            _ if !form.knows_the_application() => {
                let text = "The application is not known, or proved itself with another secret.";
                (None, Err(Refusal::oauth(StatusCode::UNAUTHORIZED, "invalid_client", text)))
            }
            Some("password") => {
                let outcome = self.accept(&form, people, options, time);
                (outcome.as_ref().ok().map(|pair| pair.origin), outcome)
            }
            Some("refresh_token") if options.refresh_tokens => self.refresh(&form, options, time),
            Some(_) => {
                let text = "This server does not know the grant type.";
                (None, Err(refused(options, "unsupported_grant_type", text)))
            }
            None => (None, Err(refused(options, "invalid_request", "The request lacks grant_type."))),
        };
        log.add_token_request(TokenRequest::new(time.now, kind, origin, outcome.is_ok()));
        let response = match outcome {
            Ok(pair) => reply::json(StatusCode::OK, &tokens(&pair, options, time)),
            Err(refusal) => refusal.into_response(),
        };
        uncached(response)
    }

    fn accept(&mut self, form: &Form, people: &People, options: &Options, time: Time) -> Result<Pair, Refusal> {
        let (Some(username), Some(password)) = (form.get("username"), form.get("password")) else {
            return Err(refused(options, "invalid_request", "The request lacks username or password."));
        };
        let scopes = form.get("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
        let scopes: BTreeSet<_> = scopes.map(str::to_owned).collect();
        if !scopes.iter().all(|scope| SCOPES.contains(&scope.as_str())) {
            return Err(refused(options, "invalid_scope", "The application does not have this scope."));
        }
        // The vendor has integrations call as a manager.
        let user = people.with_login(username, password).filter(|person| person.role == Role::Manager);
        let Some(user) = user else {
            return Err(refused(options, "invalid_grant", "The user is not known, or has another password."));
        };
        Ok(self.log_in(Caller::of(user), scopes, time.now))
    }

    fn refresh(&mut self, form: &Form, options: &Options, time: Time) -> (Option<Origin>, Result<Pair, Refusal>) {
        let Some(refresh) = form.get("refresh_token") else {
            return (None, Err(refused(options, "invalid_request", "The request lacks refresh_token.")));
        };
        let known = self.grants.origin_of(refresh);
        let owner = known.and_then(|origin| self.grants.owner(origin.family)).unwrap_or_default().to_owned();
        let (origin, outcome) = self.grants.refresh(&owner, refresh, time.now);
        if let Ok(pair) = &outcome
            && options.old_access_dies
        {
            self.grants.revoke_older(pair.origin);
        }
        let outcome = outcome.map_err(|stale| {
            let why = match stale {
                Stale::Expired => "The refresh token has expired.",
                Stale::Reused => "The refresh token was used before; all that came of it is revoked.",
                Stale::Unknown => "The refresh token is not known, or was revoked.",
            };
            refused(options, "invalid_grant", why)
        });
        (origin, outcome)
    }

    /// `POST /oauth/revoke`: either token of a pair ends both, and all that came of their login.
    pub(super) fn revoke(&mut self, request: &Request<Bytes>, now: Timestamp, log: &mut Log) -> Response<Bytes> {
        let form = Form::read(request);
        let known = form.knows_the_application();
        let origin = form.get("token").filter(|_| known).and_then(|token| self.grants.revoke(token));
        if let Some(origin) = origin {
            self.grants.revoke_family(origin.family);
        }
        log.add_token_request(TokenRequest::new(now, TokenRequestKind::Revocation, origin, origin.is_some()));
        if known {
            reply::json(StatusCode::OK, &json!({}))
        } else {
            let text = "The application does not own the token.";
            Refusal::oauth(StatusCode::FORBIDDEN, "unauthorized_client", text).into_response()
        }
    }

    /// `POST /api/unified/sessions/auth`
    pub(super) fn authenticate(
        &mut self,
        request: &Request<Bytes>,
        people: &People,
        options: &Options,
        now: Timestamp,
        log: &mut Log,
    ) -> Response<Bytes> {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let egym = body.pointer("/egym/token").and_then(Value::as_str);
        let user = match egym {
            Some(token) => people.with_egym_token(token),
            None => people.with_login(text("email"), text("password")),
        };
        let roles = body.get("roles").and_then(Value::as_array);
        let in_role = |role: Role| {
            egym.is_some() || roles.is_some_and(|roles| roles.iter().any(|asked| asked.as_str() == Some(role.name())))
        };
        let Some(user) = user.filter(|user| in_role(user.role)) else {
            log.add_token_request(TokenRequest::new(now, TokenRequestKind::Login, None, false));
            let status = if egym.is_some() { StatusCode::NOT_FOUND } else { options.login_refusal_status };
            return Refusal::with(status, json!({"errors": [{"on": null, "type": "invalid"}]})).into_response();
        };
        let pair = self.begin_session(Caller::of(user), now);
        log.add_token_request(TokenRequest::new(now, TokenRequestKind::Login, Some(pair.origin), true));
        let shown = people.session_user(user);
        let identity = json!({
            "id": user.id, "uid": user.email, "token": format!("test-identity-{}", user.id), "fisikal_token": pair.access,
        });
        let answer = json!({"user": shown, "club": people.club(), "users": [shown], "identity": identity});
        reply::json(StatusCode::OK, &answer)
    }
}

/// How a request identifies itself, valid or not.
pub(super) fn seen(headers: &HeaderMap) -> TokenSeen {
    match Authorization::of(headers).seen {
        TokenSeen::None if headers.contains_key(HEADER) => TokenSeen::Session,
        seen => seen,
    }
}

/// The answer with a token. What is blank is left out.
fn tokens(pair: &Pair, options: &Options, time: Time) -> Value {
    let mut body = json!({
        "access_token": pair.access,
        "token_type": "Bearer",
        "expires_in": options.access_lifetime.as_secs(),
        "created_at": time.shown().as_second(),
    });
    if options.refresh_tokens {
        body["refresh_token"] = pair.refresh.clone().into();
    }
    if !pair.scopes.is_empty() {
        body["scope"] = pair.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ").into();
    }
    body
}

/// A refusal whose status depends on how old the vendor's library is.
fn refused(options: &Options, error: &str, description: &str) -> Refusal {
    Refusal::oauth(options.grant_refusal_status, error, description)
}

fn uncached(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    response
}

/// The fields of a token request, which may come as a form or as JSON, with the application in it or in the header.
struct Form(Map<String, Value>);

impl Form {
    fn read(request: &Request<Bytes>) -> Self {
        let mut fields = match body::form(request) {
            Some(form) => form.fields.into_iter().map(|(name, value)| (name, value.into())).collect(),
            None => body::json_object(request).unwrap_or_default(),
        };
        let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let basic = header.and_then(|header| STANDARD.decode(header.strip_prefix("Basic ")?).ok());
        let basic = basic.and_then(|pair| String::from_utf8(pair).ok());
        if let Some((id, secret)) = basic.as_deref().and_then(|pair| pair.split_once(':')) {
            fields.insert("client_id".to_owned(), id.into());
            fields.insert("client_secret".to_owned(), secret.into());
        }
        Self(fields)
    }

    /// A field that is there as text and not blank.
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str().filter(|value| !value.is_empty())
    }

    fn knows_the_application(&self) -> bool {
        self.get("client_id") == Some(CLIENT_ID) && self.get("client_secret") == Some(CLIENT_SECRET)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MockServer, MockServerBuilder, Role};
    use super::*;

    const LOGIN: &str = "grant_type=password&client_id=test-application&client_secret=test-application-secret\
                         &username=manager%40club.example&password=manager-password";

    fn builder() -> MockServerBuilder {
        MockServer::builder().with_clock(|| Timestamp::from_second(1_780_315_200).expect("in range"))
    }

    fn post(tenant: &MockServer, path: &str, body: &str) -> (Response<Bytes>, Value) {
        let kind = if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let request = Request::post(path).header("content-type", kind).body(Bytes::from(body.to_owned()));
        let response = tenant.handle(&request.expect("a request")).response;
        let body = serde_json::from_slice(response.body()).unwrap_or_default();
        (response, body)
    }

    fn token(tenant: &MockServer, body: &str) -> (u16, Value) {
        let (response, body) = post(tenant, "/oauth/token", body);
        (response.status().as_u16(), body)
    }

    fn get(tenant: &MockServer, header: &str, token: &str) -> u16 {
        let request = Request::get("/api/unified/users/profile").header(header, token).body(Bytes::new());
        tenant.handle(&request.expect("a request")).response.status().as_u16()
    }

    fn refresh(tenant: &MockServer, token_: &Value) -> (u16, Value) {
        let token_ = token_.as_str().expect("a refresh token");
        token(
            tenant,
            &format!(
                "grant_type=refresh_token&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}&refresh_token={token_}"
            ),
        )
    }

    #[test]
    fn a_login_answers_a_token_that_works() {
        let tenant = builder().in_memory();
        let (response, body) = post(&tenant, "/oauth/token", LOGIN);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
        assert_eq!(body["created_at"], 1_780_315_200);
        assert!(body.get("refresh_token").is_none() && body.get("scope").is_none(), "{body}");
        let access = body["access_token"].as_str().expect("a token");
        assert_eq!(get(&tenant, "authorization", &format!("Bearer {access}")), 200);
        assert_eq!(tenant.counters().logins(), 1);
    }

    #[test]
    fn json_and_the_basic_header_are_taken_too() {
        let tenant = builder().in_memory();
        let json = json!({
            "grant_type": "password", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "username": "manager@club.example", "password": "manager-password", "scope": "manager",
        });
        let (status, body) = token(&tenant, &json.to_string());
        assert_eq!((status, &body["scope"]), (200, &json!("manager")));

        let basic = "Basic dGVzdC1hcHBsaWNhdGlvbjp0ZXN0LWFwcGxpY2F0aW9uLXNlY3JldA==";
        let request = Request::post("/oauth/token")
            .header("authorization", basic)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from("grant_type=password&username=manager%40club.example&password=manager-password"));
        assert_eq!(tenant.handle(&request.expect("a request")).response.status(), 200);
    }

    #[test]
    fn every_way_to_get_a_login_wrong_has_its_word() {
        for (body, status, error) in [
            (LOGIN.replace("application-secret", "wrong"), 401, "invalid_client"),
            ("grant_type=password".to_owned(), 401, "invalid_client"),
            (LOGIN.replace("manager-password", "wrong"), 400, "invalid_grant"),
            (LOGIN.replace("manager%40", "nobody%40"), 400, "invalid_grant"),
            (LOGIN.replace("&password=manager-password", ""), 400, "invalid_request"),
            (LOGIN.replace("grant_type=password&", ""), 400, "invalid_request"),
            (LOGIN.replace("grant_type=password", "grant_type=implicit"), 400, "unsupported_grant_type"),
            (LOGIN.replace("grant_type=password", "grant_type=refresh_token"), 400, "unsupported_grant_type"),
            (format!("{LOGIN}&scope=root"), 400, "invalid_scope"),
        ] {
            let tenant = builder().in_memory();
            let (response, answer) = post(&tenant, "/oauth/token", &body);
            assert_eq!((response.status().as_u16(), &answer["error"]), (status, &json!(error)), "{body}");
            let challenge = response.headers()["www-authenticate"].to_str().expect("text");
            assert!(challenge.contains(error), "{challenge}");
            let counters = tenant.counters();
            let refused = counters.refused_logins() + counters.refused_refreshes();
            assert_eq!((counters.logins(), refused), (0, 1), "{body}");
        }
    }

    #[test]
    fn an_older_server_answers_401_where_a_newer_one_answers_400() {
        let tenant = builder().with_grant_refusal_status(401).in_memory();
        assert_eq!(token(&tenant, &LOGIN.replace("manager-password", "wrong")).0, 401);
    }

    #[test]
    fn a_refresh_token_rotates_and_its_second_use_revokes_the_family() {
        let tenant = builder().with_refresh_tokens().in_memory();
        let (_, first) = token(&tenant, LOGIN);
        let (status, second) = refresh(&tenant, &first["refresh_token"]);
        assert_eq!(status, 200);
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        let second_access = format!("Bearer {}", second["access_token"].as_str().expect("a token"));
        assert_eq!(get(&tenant, "authorization", &second_access), 200);

        let (status, refused) = refresh(&tenant, &first["refresh_token"]);
        assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")));
        assert_eq!(get(&tenant, "authorization", &second_access), 401);
        assert_eq!(refresh(&tenant, &second["refresh_token"]).0, 400);
        let counters = tenant.counters();
        let refreshes = (counters.refreshes(), counters.refused_refreshes(), counters.repeated_refreshes());
        assert_eq!((counters.logins(), refreshes), (1, (1, 2, 1)));
        let generations: Vec<_> = tenant.token_requests().iter().map(|request| request.generation).collect();
        assert_eq!(generations, [Some(1), Some(1), Some(1), None]);
    }

    #[test]
    fn a_lost_answer_has_rotated_the_token_all_the_same() {
        let tenant = builder().with_refresh_tokens().in_memory();
        let (_, first) = token(&tenant, LOGIN);
        tenant.fault(crate::testing::Fault::lost_response().on("POST", "/oauth/token"));
        refresh(&tenant, &first["refresh_token"]);
        assert_eq!(tenant.counters().refreshes(), 1);
        assert_eq!(refresh(&tenant, &first["refresh_token"]).0, 400, "a client that asks again has lost its family");
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_end_on_the_tenants_own_clock() {
        let tenant = MockServer::builder().with_access_lifetime(std::time::Duration::from_secs(60)).in_memory();
        let access = format!("Bearer {}", tenant.access_token());
        tokio::time::advance(std::time::Duration::from_secs(59)).await;
        assert_eq!(get(&tenant, "authorization", &access), 200);
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(get(&tenant, "authorization", &access), 401);
    }

    #[test]
    fn revoking_answers_the_same_for_tokens_known_and_unknown() {
        let tenant = builder().with_refresh_tokens().in_memory();
        let (_, pair) = token(&tenant, LOGIN);
        let access = pair["access_token"].as_str().expect("a token");
        let application = format!("client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}");
        for token in ["nobody's", access] {
            let (response, body) = post(&tenant, "/oauth/revoke", &format!("{application}&token={token}"));
            assert_eq!((response.status().as_u16(), body), (200, json!({})));
        }
        assert_eq!(get(&tenant, "authorization", &format!("Bearer {access}")), 401);
        assert_eq!(refresh(&tenant, &pair["refresh_token"]).0, 400);
        let (response, body) = post(&tenant, "/oauth/revoke", "token=x");
        assert_eq!((response.status().as_u16(), &body["error"]), (403, &json!("unauthorized_client")));
        assert_eq!(tenant.counters().revocations(), 1, "the one that ended something");
    }

    #[test]
    fn a_log_in_answers_a_session_token_that_works_in_its_own_header_alone() {
        let tenant = builder().in_memory();
        let (email, password) = tenant.login(Role::Client);
        let body = json!({"email": email, "password": password, "roles": ["client"]});
        let (response, body) = post(&tenant, "/api/unified/sessions/auth", &body.to_string());
        assert_eq!(response.status(), 200, "{body}");
        assert_eq!(body["user"]["id"], 2001);
        let token = body["identity"]["fisikal_token"].as_str().expect("a token");
        assert_eq!(get(&tenant, "x-fisikal-token", token), 200);
        assert_eq!(get(&tenant, "authorization", &format!("Bearer {token}")), 401);
    }

    #[test]
    fn a_log_in_with_a_wrong_password_or_another_role_is_refused() {
        for (body, status) in [
            (json!({"email": "manager@club.example", "password": "wrong", "roles": ["manager"]}), 401),
            (json!({"email": "manager@club.example", "password": "manager-password", "roles": ["client"]}), 401),
            (json!({"email": "manager@club.example", "password": "manager-password"}), 401),
            (json!({"egym": {"token": "nobody's"}}), 404),
            (json!({"egym": {"token": "test-egym-2001"}}), 200),
        ] {
            let tenant = builder().in_memory();
            let (response, _) = post(&tenant, "/api/unified/sessions/auth", &body.to_string());
            assert_eq!(response.status(), status, "{body}");
            let counters = tenant.counters();
            assert_eq!(counters.logins() + counters.refused_logins(), 1);
        }
    }

    #[test]
    fn an_old_access_token_can_die_with_its_refresh_token() {
        for (builder, status) in [(builder(), 200), (builder().with_old_tokens_revoked(), 401)] {
            let tenant = builder.with_refresh_tokens().in_memory();
            let (_, first) = token(&tenant, LOGIN);
            assert_eq!(refresh(&tenant, &first["refresh_token"]).0, 200);
            let access = format!("Bearer {}", first["access_token"].as_str().expect("a token"));
            assert_eq!(get(&tenant, "authorization", &access), status);
        }
    }
}
