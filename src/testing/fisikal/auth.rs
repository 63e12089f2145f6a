//! Authentication: the token endpoint with refreshes and revocation, the session login, and the check of tokens.

use std::collections::BTreeSet;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderMap, HeaderName, HeaderValue, PRAGMA};
use http::{Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::error_response::{oauth, unauthorized};
use super::options::Options;
use super::people::{People, Person, Role};
use super::token_form::TokenForm;
use crate::testing::authorization::{Authorization, TokenSeen};
use crate::testing::clock::ServerTime;
use crate::testing::error_response::ErrorResponse;
use crate::testing::request_log::RequestLog;
use crate::testing::response;
use crate::testing::token_issuer::{IssuedTokens, RefreshError, TokenIssuer, TokenLifetimes, TokenOrigin};
use crate::testing::token_log::{TokenRequest, TokenRequestKind};

/// The header of session tokens.
const SESSION_HEADER: HeaderName = HeaderName::from_static("x-fisikal-token");

/// The OAuth application of every mock server. Neither value is a secret.
pub(super) const CLIENT_ID: &str = "test-application";
pub(super) const CLIENT_SECRET: &str = "test-application-secret";

/// The scopes of the application: the roles, as the login writes them.
const SCOPES: [&str; 3] = ["manager", "trainer", "client"];
/// Marks the tokens of a session. No application has this scope.
const SESSION_SCOPE: &str = "session";

/// The person that a token belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) user: i64,
    pub(super) role: Role,
}

impl Caller {
    fn of(person: &Person) -> Self {
        Self { user: person.id, role: person.role }
    }
}

/// Issues and checks the tokens of applications and of sessions.
#[derive(Debug)]
pub(super) struct Auth {
    pub(super) issuer: TokenIssuer,
    session_lifetimes: TokenLifetimes,
}

impl Auth {
    pub(super) fn new(options: &Options) -> Self {
        let lifetimes = TokenLifetimes { access: options.access_lifetime, refresh: options.refresh_lifetime };
        let session_lifetimes = TokenLifetimes { access: options.session_lifetime, refresh: SignedDuration::ZERO };
        Self { issuer: TokenIssuer::new(lifetimes, true), session_lifetimes }
    }

    /// The caller of a request; `None` if the request has no token.
    pub(super) fn authenticate(
        &self,
        headers: &HeaderMap,
        people: &People,
        now: Timestamp,
    ) -> Result<Option<Caller>, ErrorResponse> {
        let Authorization { seen, value } = Authorization::of(headers);
        let (token, is_session) = match (seen, headers.get(SESSION_HEADER)) {
            (TokenSeen::None, None) => return Ok(None),
            (TokenSeen::Bearer, None) => (value, false),
            (TokenSeen::None, Some(token)) => (token.to_str().unwrap_or_default(), true),
            // Which of two tokens the vendor would use is unknown.
            _ => return Err(unauthorized()),
        };
        let valid = self.issuer.validate(token, now).filter(|(_, scopes)| scopes.contains(SESSION_SCOPE) == is_session);
        let owner = valid.and_then(|(origin, _)| self.issuer.owner(origin.family)?.parse().ok());
        let person = owner.and_then(|id| people.get(id));
        person.map(|person| Some(Caller::of(person))).ok_or_else(unauthorized)
    }

    /// Issues the tokens of an application to a user.
    pub(super) fn log_in(&mut self, caller: Caller, scopes: BTreeSet<String>, now: Timestamp) -> IssuedTokens {
        self.issuer.log_in(&caller.user.to_string(), scopes, now)
    }

    /// Issues a session token to a user.
    pub(super) fn start_session(&mut self, caller: Caller, now: Timestamp) -> IssuedTokens {
        let scopes = [SESSION_SCOPE.to_owned()].into();
        self.issuer.log_in_for(self.session_lifetimes, &caller.user.to_string(), scopes, now)
    }

    /// `POST /oauth/token`
    pub(super) fn token(
        &mut self,
        request: &Request<Bytes>,
        people: &People,
        options: &Options,
        time: ServerTime,
        log: &mut RequestLog,
    ) -> Response<Bytes> {
        let form = TokenForm::parse(request);
        let grant_type = form.get("grant_type");
        let kind =
            if grant_type == Some("refresh_token") { TokenRequestKind::Refresh } else { TokenRequestKind::Login };
        let (origin, outcome) = match grant_type {
            _ if !has_client_credentials(&form) => {
                let text = "The client is unknown, or the client secret is wrong.";
                (None, Err(oauth(StatusCode::UNAUTHORIZED, "invalid_client", text)))
            }
            Some("password") => {
                let outcome = self.password_grant(&form, people, options, time.now);
                (outcome.as_ref().ok().map(|tokens| tokens.origin), outcome)
            }
            Some("refresh_token") if options.refresh_tokens => self.refresh_grant(&form, options, time.now),
            Some(_) => {
                let text = "The server does not support this grant type.";
                (None, Err(grant_error(options, "unsupported_grant_type", text)))
            }
            None => (None, Err(grant_error(options, "invalid_request", "The parameter grant_type is missing."))),
        };
        log.add_token_request(TokenRequest::new(time.now, kind, origin, outcome.is_ok()));
        let mut response = match outcome {
            Ok(tokens) => response::json(StatusCode::OK, &token_body(&tokens, options, time)),
            Err(error) => error.into_response(),
        };
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
        response
    }

    fn password_grant(
        &mut self,
        form: &TokenForm,
        people: &People,
        options: &Options,
        now: Timestamp,
    ) -> Result<IssuedTokens, ErrorResponse> {
        let (Some(username), Some(password)) = (form.get("username"), form.get("password")) else {
            let text = "The parameter username or password is missing.";
            return Err(grant_error(options, "invalid_request", text));
        };
        let scopes = form.get("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
        let scopes: BTreeSet<_> = scopes.map(str::to_owned).collect();
        if !scopes.iter().all(|scope| SCOPES.contains(&scope.as_str())) {
            return Err(grant_error(options, "invalid_scope", "The application does not have this scope."));
        }
        // The vendor has integrations log in as a manager.
        let user = people.with_login(username, password).filter(|person| person.role == Role::Manager);
        let Some(user) = user else {
            return Err(grant_error(options, "invalid_grant", "The user is unknown, or the password is wrong."));
        };
        Ok(self.log_in(Caller::of(user), scopes, now))
    }

    fn refresh_grant(
        &mut self,
        form: &TokenForm,
        options: &Options,
        now: Timestamp,
    ) -> (Option<TokenOrigin>, Result<IssuedTokens, ErrorResponse>) {
        let Some(refresh_token) = form.get("refresh_token") else {
            return (None, Err(grant_error(options, "invalid_request", "The parameter refresh_token is missing.")));
        };
        let origin = self.issuer.origin_of(refresh_token);
        let owner = origin.and_then(|origin| self.issuer.owner(origin.family)).unwrap_or_default().to_owned();
        let (origin, outcome) = self.issuer.refresh(&owner, refresh_token, now);
        if let Ok(tokens) = &outcome
            && options.revokes_old_tokens
        {
            self.issuer.revoke_older(tokens.origin);
        }
        let outcome = outcome.map_err(|error| {
            let text = match error {
                RefreshError::Expired => "The refresh token has expired.",
                RefreshError::Reused => "The refresh token was used before. All tokens of its login are revoked.",
                RefreshError::Unknown => "The refresh token is unknown or revoked.",
            };
            grant_error(options, "invalid_grant", text)
        });
        (origin, outcome)
    }

    /// `POST /oauth/revoke`: either token of a pair ends both, and all other tokens of their login.
    pub(super) fn revoke(&mut self, request: &Request<Bytes>, now: Timestamp, log: &mut RequestLog) -> Response<Bytes> {
        let form = TokenForm::parse(request);
        let permitted = has_client_credentials(&form);
        let origin = form.get("token").filter(|_| permitted).and_then(|token| self.issuer.revoke(token));
        if let Some(origin) = origin {
            self.issuer.revoke_family(origin.family);
        }
        log.add_token_request(TokenRequest::new(now, TokenRequestKind::Revocation, origin, origin.is_some()));
        if permitted {
            response::json(StatusCode::OK, &json!({}))
        } else {
            let text = "The token does not belong to the client.";
            oauth(StatusCode::FORBIDDEN, "unauthorized_client", text).into_response()
        }
    }

    /// `POST /api/unified/sessions/auth`
    pub(super) fn session_login(
        &mut self,
        request: &Request<Bytes>,
        people: &People,
        options: &Options,
        now: Timestamp,
        log: &mut RequestLog,
    ) -> Response<Bytes> {
        let body: Value = serde_json::from_slice(request.body()).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        let egym_token = body.pointer("/egym/token").and_then(Value::as_str);
        let user = match egym_token {
            Some(token) => people.with_egym_token(token),
            None => people.with_login(text("email"), text("password")),
        };
        let roles = body.get("roles").and_then(Value::as_array);
        let has_role =
            |role: Role| roles.is_some_and(|roles| roles.iter().any(|asked| asked.as_str() == Some(role.name())));
        let Some(user) = user.filter(|user| egym_token.is_some() || has_role(user.role)) else {
            log.add_token_request(TokenRequest::new(now, TokenRequestKind::Login, None, false));
            let status = if egym_token.is_some() { StatusCode::NOT_FOUND } else { options.login_error_status };
            return response::json(status, &json!({"errors": [{"on": null, "type": "invalid"}]}));
        };
        let tokens = self.start_session(Caller::of(user), now);
        log.add_token_request(TokenRequest::new(now, TokenRequestKind::Login, Some(tokens.origin), true));
        let session_user = people.session_user(user);
        let identity = json!({
            "id": user.id, "uid": user.email, "token": format!("test-identity-{}", user.id),
            "fisikal_token": tokens.access,
        });
        let body = json!({"user": session_user, "club": people.club(), "users": [session_user], "identity": identity});
        response::json(StatusCode::OK, &body)
    }
}

/// How a request identifies its caller, whether the token is valid or not.
pub(super) fn token_seen(headers: &HeaderMap) -> TokenSeen {
    match Authorization::of(headers).seen {
        TokenSeen::None if headers.contains_key(SESSION_HEADER) => TokenSeen::Session,
        seen => seen,
    }
}

fn has_client_credentials(form: &TokenForm) -> bool {
    form.get("client_id") == Some(CLIENT_ID) && form.get("client_secret") == Some(CLIENT_SECRET)
}

/// The body of a token response. Blank members are left out.
fn token_body(tokens: &IssuedTokens, options: &Options, time: ServerTime) -> Value {
    let mut body = json!({
        "access_token": tokens.access,
        "token_type": "Bearer",
        "expires_in": options.access_lifetime.as_secs(),
        "created_at": time.shown().as_second(),
    });
    if options.refresh_tokens {
        body["refresh_token"] = tokens.refresh.clone().into();
    }
    if !tokens.scopes.is_empty() {
        body["scope"] = tokens.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ").into();
    }
    body
}

/// An error whose status depends on the version of the vendor's OAuth library.
fn grant_error(options: &Options, error: &str, description: &str) -> ErrorResponse {
    oauth(options.grant_error_status, error, description)
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

    fn post(server: &MockServer, path: &str, body: &str) -> (Response<Bytes>, Value) {
        let content_type = if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded" };
        let request = Request::post(path).header("content-type", content_type).body(Bytes::from(body.to_owned()));
        let response = server.handle(&request.expect("a request")).response;
        let body = serde_json::from_slice(response.body()).unwrap_or_default();
        (response, body)
    }

    fn token(server: &MockServer, body: &str) -> (u16, Value) {
        let (response, body) = post(server, "/oauth/token", body);
        (response.status().as_u16(), body)
    }

    fn get(server: &MockServer, header: &str, token: &str) -> u16 {
        let request = Request::get("/api/unified/users/profile").header(header, token).body(Bytes::new());
        server.handle(&request.expect("a request")).response.status().as_u16()
    }

    fn refresh(server: &MockServer, tokens: &Value) -> (u16, Value) {
        let refresh_token = tokens["refresh_token"].as_str().expect("a refresh token");
        let client = format!("client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}");
        token(server, &format!("grant_type=refresh_token&{client}&refresh_token={refresh_token}"))
    }

    #[test]
    fn the_password_grant_issues_a_valid_token() {
        let server = builder().in_memory();
        let (response, body) = post(&server, "/oauth/token", LOGIN);
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("Bearer"), &json!(3600)));
        assert_eq!(body["created_at"], 1_780_315_200);
        assert!(body.get("refresh_token").is_none() && body.get("scope").is_none(), "{body}");
        let access = body["access_token"].as_str().expect("a token");
        assert_eq!(get(&server, "authorization", &format!("Bearer {access}")), 200);
        assert_eq!(server.counters().logins(), 1);
    }

    #[test]
    fn a_json_body_and_the_basic_header_are_accepted() {
        let server = builder().in_memory();
        let json = json!({
            "grant_type": "password", "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET,
            "username": "manager@club.example", "password": "manager-password", "scope": "manager",
        });
        let (status, body) = token(&server, &json.to_string());
        assert_eq!((status, &body["scope"]), (200, &json!("manager")));

        let basic = "Basic dGVzdC1hcHBsaWNhdGlvbjp0ZXN0LWFwcGxpY2F0aW9uLXNlY3JldA==";
        let request = Request::post("/oauth/token")
            .header("authorization", basic)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from("grant_type=password&username=manager%40club.example&password=manager-password"));
        assert_eq!(server.handle(&request.expect("a request")).response.status(), 200);
    }

    #[test]
    fn every_invalid_token_request_has_its_error_code() {
        for (body, status, error) in [
            (LOGIN.replace("application-secret", "wrong"), 401, "invalid_client"),
            ("grant_type=password".to_owned(), 401, "invalid_client"),
            (LOGIN.replace("manager-password", "wrong"), 400, "invalid_grant"),
            (LOGIN.replace("manager%40", "unknown%40"), 400, "invalid_grant"),
            (LOGIN.replace("&password=manager-password", ""), 400, "invalid_request"),
            (LOGIN.replace("grant_type=password&", ""), 400, "invalid_request"),
            (LOGIN.replace("grant_type=password", "grant_type=implicit"), 400, "unsupported_grant_type"),
            (LOGIN.replace("grant_type=password", "grant_type=refresh_token"), 400, "unsupported_grant_type"),
            (format!("{LOGIN}&scope=root"), 400, "invalid_scope"),
        ] {
            let server = builder().in_memory();
            let (response, error_body) = post(&server, "/oauth/token", &body);
            assert_eq!((response.status().as_u16(), &error_body["error"]), (status, &json!(error)), "{body}");
            let challenge = response.headers()["www-authenticate"].to_str().expect("text");
            assert!(challenge.contains(error), "{challenge}");
            let counters = server.counters();
            let refused = counters.refused_logins() + counters.refused_refreshes();
            assert_eq!((counters.logins(), refused), (0, 1), "{body}");
        }
    }

    #[test]
    fn the_status_of_a_grant_error_is_configurable() {
        let server = builder().with_grant_error_status(401).in_memory();
        assert_eq!(token(&server, &LOGIN.replace("manager-password", "wrong")).0, 401);
    }

    #[test]
    fn a_refresh_token_rotates_and_its_reuse_revokes_all_tokens_of_the_login() {
        let server = builder().with_refresh_tokens().in_memory();
        let (_, first) = token(&server, LOGIN);
        let (status, second) = refresh(&server, &first);
        assert_eq!(status, 200);
        assert_ne!(first["refresh_token"], second["refresh_token"]);
        let second_access = format!("Bearer {}", second["access_token"].as_str().expect("a token"));
        assert_eq!(get(&server, "authorization", &second_access), 200);

        let (status, refused) = refresh(&server, &first);
        assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")));
        assert_eq!(get(&server, "authorization", &second_access), 401);
        assert_eq!(refresh(&server, &second).0, 400);
        let counters = server.counters();
        let refreshes = (counters.refreshes(), counters.refused_refreshes(), counters.repeated_refreshes());
        assert_eq!((counters.logins(), refreshes), (1, (1, 2, 1)));
        let generations: Vec<_> = server.token_requests().iter().map(|request| request.generation).collect();
        assert_eq!(generations, [Some(1), Some(1), Some(1), None]);
    }

    #[test]
    fn a_lost_response_has_rotated_the_token() {
        let server = builder().with_refresh_tokens().in_memory();
        let (_, first) = token(&server, LOGIN);
        server.fault(crate::testing::Fault::lost_response().on("POST", "/oauth/token"));
        refresh(&server, &first);
        assert_eq!(server.counters().refreshes(), 1);
        assert_eq!(refresh(&server, &first).0, 400, "the retry reuses the old refresh token");
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_expire_on_the_clock_of_the_server() {
        let server = MockServer::builder().with_access_lifetime(std::time::Duration::from_secs(60)).in_memory();
        let access = format!("Bearer {}", server.access_token());
        tokio::time::advance(std::time::Duration::from_secs(59)).await;
        assert_eq!(get(&server, "authorization", &access), 200);
        tokio::time::advance(std::time::Duration::from_secs(1)).await;
        assert_eq!(get(&server, "authorization", &access), 401);
    }

    #[test]
    fn a_revocation_has_the_same_response_for_known_and_unknown_tokens() {
        let server = builder().with_refresh_tokens().in_memory();
        let (_, pair) = token(&server, LOGIN);
        let access = pair["access_token"].as_str().expect("a token");
        let application = format!("client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}");
        for token in ["unknown", access] {
            let (response, body) = post(&server, "/oauth/revoke", &format!("{application}&token={token}"));
            assert_eq!((response.status().as_u16(), body), (200, json!({})));
        }
        assert_eq!(get(&server, "authorization", &format!("Bearer {access}")), 401);
        assert_eq!(refresh(&server, &pair).0, 400);
        let (response, body) = post(&server, "/oauth/revoke", "token=x");
        assert_eq!((response.status().as_u16(), &body["error"]), (403, &json!("unauthorized_client")));
        assert_eq!(server.counters().revocations(), 1, "only one of them ended a token");
    }

    #[test]
    fn a_session_login_issues_a_token_for_the_session_header_only() {
        let server = builder().in_memory();
        let (email, password) = server.login(Role::Client);
        let body = json!({"email": email, "password": password, "roles": ["client"]});
        let (response, body) = post(&server, "/api/unified/sessions/auth", &body.to_string());
        assert_eq!(response.status(), 200, "{body}");
        assert_eq!(body["user"]["id"], 2001);
        let token = body["identity"]["fisikal_token"].as_str().expect("a token");
        assert_eq!(get(&server, "x-fisikal-token", token), 200);
        assert_eq!(get(&server, "authorization", &format!("Bearer {token}")), 401);
    }

    #[test]
    fn a_session_login_with_a_wrong_password_or_role_is_refused() {
        for (body, status) in [
            (json!({"email": "manager@club.example", "password": "wrong", "roles": ["manager"]}), 401),
            (json!({"email": "manager@club.example", "password": "manager-password", "roles": ["client"]}), 401),
            (json!({"email": "manager@club.example", "password": "manager-password"}), 401),
            (json!({"egym": {"token": "unknown"}}), 404),
            (json!({"egym": {"token": "test-egym-2001"}}), 200),
        ] {
            let server = builder().in_memory();
            let (response, _) = post(&server, "/api/unified/sessions/auth", &body.to_string());
            assert_eq!(response.status(), status, "{body}");
            let counters = server.counters();
            assert_eq!(counters.logins() + counters.refused_logins(), 1);
        }
    }

    #[test]
    fn a_refresh_can_revoke_the_old_access_token() {
        for (builder, status) in [(builder(), 200), (builder().with_old_tokens_revoked(), 401)] {
            let server = builder.with_refresh_tokens().in_memory();
            let (_, first) = token(&server, LOGIN);
            assert_eq!(refresh(&server, &first).0, 200);
            let access = format!("Bearer {}", first["access_token"].as_str().expect("a token"));
            assert_eq!(get(&server, "authorization", &access), status);
        }
    }
}
