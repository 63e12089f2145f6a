//! The OAuth endpoints: they authorize applications, and issue, refresh and revoke tokens.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::json;

use super::application::{Application, Applications};
use super::codes::{CodeError, Codes, Redemption};
use super::consent::{self, Outcome};
use super::error_response::oauth;
use super::options::{OAuthOptions, Pkce, RefreshTokens};
use crate::testing::authorization::Authorization;
use crate::testing::body::{self, Form};
use crate::testing::error_response::ErrorResponse;
use crate::testing::request_log::RequestLog;
use crate::testing::response;
use crate::testing::token_issuer::{IssuedTokens, RefreshError, TokenIssuer, TokenOrigin};
use crate::testing::token_log::{TokenRequest, TokenRequestKind};

/// The applications, the authorization codes and the tokens.
#[derive(Debug)]
pub(super) struct OAuth {
    pub(super) applications: Applications,
    codes: Codes,
    pub(super) issuer: TokenIssuer,
    options: OAuthOptions,
}

/// One of the OAuth endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint {
    Authorize,
    Revoke,
    Token,
}

impl Endpoint {
    pub(super) const ALL: [Self; 3] = [Self::Authorize, Self::Revoke, Self::Token];

    /// The endpoint of a path.
    pub(super) fn of(path: &str) -> Option<Self> {
        match path {
            "/oauth/authorize" => Some(Self::Authorize),
            "/oauth/revoke" => Some(Self::Revoke),
            "/oauth/token" => Some(Self::Token),
            _ => None,
        }
    }

    /// The name in counters and logs.
    pub(super) fn operation(self) -> &'static str {
        match self {
            Self::Authorize => "authorize",
            Self::Revoke => "revoke",
            Self::Token => "token",
        }
    }
}

impl OAuth {
    pub(super) fn new(options: OAuthOptions) -> Self {
        let rotates = options.refresh_tokens == RefreshTokens::Rotated;
        Self {
            applications: Applications::seeded(),
            codes: Codes::default(),
            issuer: TokenIssuer::new(options.token_lifetimes, rotates),
            options,
        }
    }

    pub(super) fn handle(
        &mut self,
        endpoint: Endpoint,
        request: &Request<Bytes>,
        now: Timestamp,
        log: &mut RequestLog,
    ) -> Response<Bytes> {
        let outcome = match (endpoint, request.method()) {
            (Endpoint::Authorize, &Method::GET) => Ok(self.authorize(request, now)),
            (Endpoint::Revoke, &Method::POST) => self.revoke(request, now, log),
            (Endpoint::Token, &Method::POST) => self.token(request, now, log),
            _ => {
                let message = "This path does not support this method.";
                Err(oauth(StatusCode::METHOD_NOT_ALLOWED, "invalid_request", message))
            }
        };
        outcome.unwrap_or_else(ErrorResponse::into_response)
    }

    fn authorize(&mut self, request: &Request<Bytes>, now: Timestamp) -> Response<Bytes> {
        let query = request.uri().query().unwrap_or_default();
        match consent::ask(query, &self.applications, &self.options) {
            Outcome::Approved(redirect, approval) => redirect.with("code", &self.codes.issue(approval, now)),
            Outcome::Page(page) => page,
            Outcome::Refused(redirect, error) => redirect.with("error", error),
        }
    }

    /// Issues the first tokens for a code, or the next for a refresh token.
    fn token(
        &mut self,
        request: &Request<Bytes>,
        now: Timestamp,
        log: &mut RequestLog,
    ) -> Result<Response<Bytes>, ErrorResponse> {
        let form = body::form(request).ok_or_else(|| invalid_request("The body must be a form."))?;
        let kind = match form.get("grant_type") {
            Some("authorization_code") => TokenRequestKind::Login,
            Some("refresh_token") => TokenRequestKind::Refresh,
            Some(_) => {
                let message = "This grant type is not supported.";
                return Err(oauth(StatusCode::BAD_REQUEST, "unsupported_grant_type", message));
            }
            None => return Err(invalid_request("`grant_type` is missing.")),
        };
        // The vendor shows both in the body. Whether it reads a header instead is unknown.
        let application = form.get("client_id").and_then(|id| self.applications.get(id));
        let application = application.filter(|known| form.get("client_secret") == Some(known.client_secret())).cloned();
        let (origin, outcome) = match (application, kind) {
            (None, _) => {
                let message = "`client_id` and `client_secret` do not match.";
                (None, Err(oauth(StatusCode::UNAUTHORIZED, "invalid_client", message)))
            }
            (Some(application), TokenRequestKind::Refresh) => self.refresh(&application, &form, now),
            (Some(application), _) => {
                let outcome = self.exchange(&application, &form, now);
                (outcome.as_ref().ok().map(|tokens| tokens.origin), outcome)
            }
        };
        log.add_token_request(TokenRequest::new(now, kind, origin, outcome.is_ok()));
        Ok(self.token_response(&outcome?, kind))
    }

    fn exchange(
        &mut self,
        application: &Application,
        form: &Form,
        now: Timestamp,
    ) -> Result<IssuedTokens, ErrorResponse> {
        let code = form.get("code");
        let redemption = Redemption {
            client_id: application.client_id(),
            redirect_uri: form.get("redirect_uri"),
            verifier: form.get("code_verifier"),
            checks_verifier: self.options.pkce != Pkce::Ignored,
        };
        let approval = self.codes.redeem(code, redemption, now).map_err(|error| match error {
            CodeError::Invalid(reason) => invalid_grant(reason),
            CodeError::Reused(family) => {
                self.issuer.revoke_family(family);
                invalid_grant("The code was used before; its tokens are revoked.")
            }
        })?;
        let tokens = self.issuer.log_in(application.client_id(), approval.scopes, now);
        self.codes.set_redeemed(code, tokens.origin.family);
        Ok(tokens)
    }

    fn refresh(
        &mut self,
        application: &Application,
        form: &Form,
        now: Timestamp,
    ) -> (Option<TokenOrigin>, Result<IssuedTokens, ErrorResponse>) {
        let Some(token) = form.get("refresh_token") else {
            return (None, Err(invalid_request("`refresh_token` is missing.")));
        };
        let (origin, outcome) = self.issuer.refresh(application.client_id(), token, now);
        let outcome = outcome.map_err(|error| {
            invalid_grant(match error {
                RefreshError::Expired => "The refresh token has expired.",
                RefreshError::Reused => "The refresh token was used before; all tokens of its login are revoked.",
                RefreshError::Unknown => "The refresh token is not valid.",
            })
        });
        (origin, outcome)
    }

    /// A response with tokens. The vendor's format is unknown; this is the one of RFC 6749.
    fn token_response(&self, issued: &IssuedTokens, kind: TokenRequestKind) -> Response<Bytes> {
        let scopes: Vec<_> = issued.scopes.iter().map(String::as_str).collect();
        let mut tokens = json!({
            "access_token": issued.access,
            "token_type": "Bearer",
            "expires_in": self.issuer.lifetimes().access.as_secs(),
            "scope": scopes.join(" "),
        });
        if kind == TokenRequestKind::Login || self.options.refresh_tokens != RefreshTokens::LeftOut {
            tokens["refresh_token"] = issued.refresh.clone().into();
        }
        uncached(response::json(StatusCode::OK, &tokens))
    }

    /// Revokes the token in the form, or else the one in the header. An unknown token succeeds too, as RFC 7009 has it.
    /// API keys stay valid, because nothing shows that they can be revoked here.
    fn revoke(
        &mut self,
        request: &Request<Bytes>,
        now: Timestamp,
        log: &mut RequestLog,
    ) -> Result<Response<Bytes>, ErrorResponse> {
        let form = body::form(request).unwrap_or_default();
        let token = form.get("token").unwrap_or_else(|| Authorization::of(request.headers()).value);
        if token.is_empty() {
            return Err(invalid_request("There is no token to revoke."));
        }
        let origin = self.issuer.revoke(token);
        log.add_token_request(TokenRequest::new(now, TokenRequestKind::Revocation, origin, origin.is_some()));
        Ok(uncached(response::raw(StatusCode::OK, "", "")))
    }
}

fn invalid_grant(description: &str) -> ErrorResponse {
    oauth(StatusCode::BAD_REQUEST, "invalid_grant", description)
}

fn invalid_request(description: &str) -> ErrorResponse {
    oauth(StatusCode::BAD_REQUEST, "invalid_request", description)
}

fn uncached(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use http::header::LOCATION;
    use serde_json::Value;

    use super::super::builder::MockServerBuilder;
    use super::super::mock_server::MockServer;
    use super::super::options::Consent;
    use super::*;
    use crate::testing::Fault;
    use crate::testing::response::Delivery;

    const CALLBACK: &str = "http://127.0.0.1:49152/callback";
    // RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const CLIENT: [(&str, &str); 2] = [("client_id", "test-application"), ("client_secret", "test-application-secret")];

    fn form(fields: &[(&str, &str)]) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    }

    fn authorize_url(server: &MockServer, more: &[(&str, &str)]) -> String {
        let fields = [("response_type", "code"), ("client_id", "test-application"), ("redirect_uri", CALLBACK)];
        let fields = fields.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let fields: Vec<_> = fields.chain(more).copied().collect();
        format!("{}?{}", server.authorize_url(), form(&fields))
    }

    /// The parameters that the application gets.
    fn authorized(server: &MockServer, more: &[(&str, &str)]) -> HashMap<String, String> {
        let redirect = server.visit(&authorize_url(server, more)).expect("a redirect");
        assert!(redirect.as_str().starts_with(CALLBACK), "{redirect}");
        redirect.query_pairs().into_owned().collect()
    }

    fn post(server: &MockServer, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form(fields)))
            .expect("a request");
        let response = server.handle(&request).response;
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
    }

    fn token(server: &MockServer, fields: &[(&str, &str)]) -> (u16, Value) {
        post(server, "/oauth/token", &[&CLIENT, fields].concat())
    }

    fn exchanged(server: &MockServer, code: &str, more: &[(&str, &str)]) -> (u16, Value) {
        let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        token(server, &[&fields, more].concat())
    }

    fn refreshed(server: &MockServer, refresh: &str) -> (u16, Value) {
        token(server, &[("grant_type", "refresh_token"), ("refresh_token", refresh)])
    }

    fn is_accepted(server: &MockServer, access: &str) -> bool {
        server.request_as(&format!("Bearer {access}"), "GET", "/customers/cust-001", None).0 == 200
    }

    fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
        tokens[name].as_str().unwrap_or_default()
    }

    fn rotating() -> MockServerBuilder {
        MockServer::builder().with_refresh_tokens(RefreshTokens::Rotated)
    }

    #[test]
    fn consent_yields_a_code_that_is_exchanged_for_tokens() {
        let server = MockServer::builder().in_memory();
        let challenge = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
        let more = [("scope", "read:customers write:customers"), ("state", "x y&z")];
        let back = authorized(&server, &[more, challenge].concat());
        assert_eq!(back["state"], "x y&z");
        let (status, tokens) = exchanged(&server, &back["code"], &[("code_verifier", VERIFIER)]);
        assert_eq!((status, &tokens["expires_in"], text(&tokens, "token_type")), (200, &json!(3600), "Bearer"));
        assert_eq!(text(&tokens, "scope"), "read:customers write:customers");
        assert!(is_accepted(&server, text(&tokens, "access_token")));
        assert!(!text(&tokens, "refresh_token").is_empty());
        assert_eq!(server.counters().logins(), 1);
    }

    #[test]
    fn a_wrong_verifier_invalidates_the_code() {
        let server = MockServer::builder().in_memory();
        let back = authorized(&server, &[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]);
        for (verifier, status) in [("another", 400), (VERIFIER, 400)] {
            assert_eq!(exchanged(&server, &back["code"], &[("code_verifier", verifier)]).0, status, "{verifier}");
        }
        let back = authorized(&server, &[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]);
        assert_eq!(exchanged(&server, &back["code"], &[]).0, 400, "no verifier at all");
        let back = authorized(&server, &[]);
        assert_eq!(exchanged(&server, &back["code"], &[("code_verifier", VERIFIER)]).0, 400, "there was no challenge");
    }

    #[test]
    fn pkce_can_be_required_or_ignored() {
        let plain = [("code_challenge", VERIFIER), ("code_challenge_method", "plain")];
        let required = MockServer::builder().with_pkce(Pkce::Required).in_memory();
        let ignored = MockServer::builder().with_pkce(Pkce::Ignored).in_memory();
        assert_eq!(authorized(&required, &[])["error"], "invalid_request");
        assert_eq!(authorized(&required, &plain)["error"], "invalid_request");
        assert_eq!(authorized(&MockServer::builder().in_memory(), &plain)["error"], "invalid_request");
        let back = authorized(&ignored, &plain);
        assert_eq!(exchanged(&ignored, &back["code"], &[]).0, 200);
    }

    #[test]
    fn a_code_used_twice_revokes_its_tokens() {
        let server = MockServer::builder().in_memory();
        let code = authorized(&server, &[])["code"].clone();
        let (_, tokens) = exchanged(&server, &code, &[]);
        let (status, refused) = exchanged(&server, &code, &[]);
        assert_eq!((status, text(&refused, "error")), (400, "invalid_grant"));
        assert!(!is_accepted(&server, text(&tokens, "access_token")));
        assert_eq!(refreshed(&server, text(&tokens, "refresh_token")).0, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_is_valid_for_ten_minutes() {
        let server = MockServer::builder().in_memory();
        let codes = [authorized(&server, &[])["code"].clone(), authorized(&server, &[])["code"].clone()];
        tokio::time::advance(Duration::from_secs(599)).await;
        assert_eq!(exchanged(&server, &codes[0], &[]).0, 200);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(exchanged(&server, &codes[1], &[]).0, 400);
    }

    #[test]
    fn a_code_belongs_to_one_application_and_one_redirect_uri() {
        let server = MockServer::builder().in_memory();
        server.add_application(Application::new("test-other", "test-secret").with_redirect_uri("http://127.0.0.1/"));
        let code = authorized(&server, &[])["code"].clone();
        let other = [("client_id", "test-other"), ("client_secret", "test-secret")];
        let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
        assert_eq!(post(&server, "/oauth/token", &[other.as_slice(), &fields].concat()).0, 400);
        let elsewhere = "http://127.0.0.1:49153/callback";
        let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", elsewhere)];
        assert_eq!(token(&server, &fields).0, 400);
    }

    #[test]
    fn an_unregistered_application_or_redirect_uri_gets_a_page_and_no_redirect() {
        let server = MockServer::builder().in_memory();
        for wrong in [("client_id", "test-unknown"), ("redirect_uri", "https://evil.example/")] {
            let request = Request::get(authorize_url(&server, &[wrong])).body(Bytes::new()).expect("a request");
            let response = server.handle(&request).response;
            assert_eq!((response.status().as_u16(), response.headers().get(LOCATION)), (400, None), "{wrong:?}");
        }
    }

    #[test]
    fn other_errors_are_sent_to_the_application_with_its_state() {
        let server = MockServer::builder().in_memory();
        for (wrong, error) in
            [(("response_type", "token"), "unsupported_response_type"), (("scope", "read:tasks"), "invalid_scope")]
        {
            let back = authorized(&server, &[wrong, ("state", "s")]);
            assert_eq!((back["error"].as_str(), back["state"].as_str()), (error, "s"));
        }
        let refusing = MockServer::builder().with_consent(Consent::Refused).in_memory();
        assert_eq!(authorized(&refusing, &[])["error"], "access_denied");
    }

    #[test]
    fn a_user_who_is_asked_can_allow_or_deny() {
        let server = MockServer::builder().with_consent(Consent::Asked).in_memory();
        let get = |url: String| server.handle(&Request::get(url).body(Bytes::new()).expect("a request")).response;
        let page = get(authorize_url(&server, &[("scope", "read:assets")]));
        let html = String::from_utf8_lossy(page.body());
        assert!(page.status() == 200 && html.contains("read:assets") && html.contains("decision=deny"), "{html}");
        assert_eq!(authorized(&server, &[("decision", "deny")])["error"], "access_denied");
        assert_eq!(authorized(&server, &[])["code"], "test-code-1");
    }

    #[test]
    fn a_token_request_is_a_form_with_client_id_and_secret() {
        let server = MockServer::builder().in_memory();
        let json = Request::post("/oauth/token").header("content-type", "application/json").body(Bytes::from("{}"));
        assert_eq!(server.handle(&json.expect("a request")).response.status(), 400);
        for (fields, status, error) in [
            ([("grant_type", "refresh_token")].as_slice(), 401, "invalid_client"),
            (&[("grant_type", "refresh_token"), CLIENT[0], ("client_secret", "wrong")], 401, "invalid_client"),
            (&[("grant_type", "refresh_token"), CLIENT[0], CLIENT[1]], 400, "invalid_request"),
            (&[("grant_type", "password"), CLIENT[0], CLIENT[1]], 400, "unsupported_grant_type"),
            (&CLIENT, 400, "invalid_request"),
        ] {
            let (found, refused) = post(&server, "/oauth/token", fields);
            assert_eq!((found, text(&refused, "error")), (status, error), "{fields:?}");
        }
        let get = Request::get("/oauth/token").body(Bytes::new()).expect("a request");
        assert_eq!(server.handle(&get).response.status(), 405);
    }

    #[test]
    fn refresh_tokens_stay_or_rotate() {
        for (choice, in_response) in [
            (RefreshTokens::LeftOut, None),
            (RefreshTokens::Repeated, Some("test-refresh-1-1")),
            (RefreshTokens::Rotated, Some("test-refresh-1-2")),
        ] {
            let server = MockServer::builder().with_refresh_tokens(choice).in_memory();
            let first = server.sign_in(["admin"]);
            let (status, second) = refreshed(&server, &first.refresh_token);
            assert_eq!((status, second["refresh_token"].as_str()), (200, in_response), "{choice:?}");
            assert!(is_accepted(&server, text(&second, "access_token")) && is_accepted(&server, &first.access_token));
        }
    }

    #[test]
    fn a_refresh_token_used_twice_revokes_its_login_and_is_counted() {
        let server = rotating().in_memory();
        let first = server.sign_in(["admin"]);
        let (_, second) = refreshed(&server, &first.refresh_token);
        let (status, refused) = refreshed(&server, &first.refresh_token);
        assert_eq!((status, text(&refused, "error")), (400, "invalid_grant"));
        assert!(!is_accepted(&server, text(&second, "access_token")));
        let counters = server.counters();
        assert_eq!((counters.refreshes(), counters.refused_refreshes(), counters.repeated_refreshes()), (1, 1, 1));
        let generations: Vec<_> = server.token_requests().iter().map(|request| request.generation).collect();
        assert_eq!(generations, [Some(1), Some(1)]);
    }

    #[test]
    fn a_refresh_with_a_lost_response_has_rotated_the_token() {
        let server = rotating().in_memory();
        let first = server.sign_in(["admin"]);
        server.fault(Fault::lost_response().on("POST", "/oauth/token"));
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &first.refresh_token)];
        let request = Request::post("/oauth/token").header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Bytes::from(form(&[CLIENT, fields].concat()))).expect("a request");
        assert_eq!(server.handle(&request).delivery, Delivery::Dropped);
        assert_eq!(server.counters().refreshes(), 1);
        assert_eq!(refreshed(&server, &first.refresh_token).0, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_expire_on_the_clock_of_the_server() {
        let server = MockServer::builder().in_memory();
        let tokens = server.sign_in(["admin"]);
        tokio::time::advance(Duration::from_secs(3599)).await;
        assert!(is_accepted(&server, &tokens.access_token));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!is_accepted(&server, &tokens.access_token));
        assert_eq!(refreshed(&server, &tokens.refresh_token).0, 200);
        tokio::time::advance(Duration::from_secs(30 * 24 * 3600)).await;
        assert_eq!(text(&refreshed(&server, &tokens.refresh_token).1, "error"), "invalid_grant");
    }

    #[test]
    fn revoking_ends_a_token_and_succeeds_for_an_unknown_one() {
        let server = MockServer::builder().in_memory();
        let (one, two) = (server.sign_in(["admin"]), server.sign_in(["admin"]));
        assert_eq!(post(&server, "/oauth/revoke", &[("token", &one.refresh_token)]).0, 200);
        assert!(!is_accepted(&server, &one.access_token));
        let header = format!("Bearer {}", two.access_token);
        let by_header = Request::post("/oauth/revoke").header("authorization", header).body(Bytes::new());
        assert_eq!(server.handle(&by_header.expect("a request")).response.status(), 200);
        assert!(!is_accepted(&server, &two.access_token));
        assert_eq!(refreshed(&server, &two.refresh_token).0, 200);
        assert_eq!(post(&server, "/oauth/revoke", &[("token", "unknown")]).0, 200);
        assert_eq!(post(&server, "/oauth/revoke", &[]).0, 400);
        assert_eq!(server.counters().revocations(), 2);
    }

    #[test]
    fn an_api_key_cannot_be_revoked_like_a_token() {
        let server = MockServer::builder().in_memory();
        assert_eq!(post(&server, "/oauth/revoke", &[("token", "test-key-admin")]).0, 200);
        assert!(is_accepted(&server, "test-key-admin"));
    }

    #[test]
    fn a_test_can_revoke_tokens() {
        let server = MockServer::builder().in_memory();
        let tokens = server.sign_in(["admin"]);
        server.end_access_tokens();
        assert!(!is_accepted(&server, &tokens.access_token));
        assert_eq!(refreshed(&server, &tokens.refresh_token).0, 200);
        server.revoke_all();
        assert_eq!(refreshed(&server, &tokens.refresh_token).0, 400);
    }
}
