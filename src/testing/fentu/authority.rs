//! Where tokens come from: the page that asks the user, and the endpoints that give out, renew and revoke.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderValue, LOCATION};
use http::{Method, Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest, Sha256};
use url::Url;

use super::application::Application;
use super::keys::SCOPES;
use super::{Consent, Pkce, RefreshTokens};
use crate::testing::authorization::Authorization;
use crate::testing::clock::shifted;
use crate::testing::counters::Log;
use crate::testing::desk::Time;
use crate::testing::grants::{Grants, Lifetimes, Origin, Pair, Stale};
use crate::testing::{TokenRequest, TokenRequestKind, body, reply};

/// Documented.
pub(super) const LIFETIMES: Lifetimes =
    Lifetimes { access: SignedDuration::from_hours(1), refresh: SignedDuration::from_hours(30 * 24) };
/// How long a code may wait to be exchanged: the most that OAuth advises, for the vendor says nothing.
const CODE_LIFETIME: SignedDuration = SignedDuration::from_mins(10);

/// What can be chosen about it.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) consent: Consent,
    pub(super) lifetimes: Lifetimes,
    pub(super) pkce: Pkce,
    pub(super) refresh_tokens: RefreshTokens,
}

/// All that it knows.
#[derive(Debug)]
pub(super) struct Authority {
    applications: Vec<Arc<Application>>,
    codes: Vec<Code>,
    pub(super) grants: Grants,
    rules: Rules,
}

/// A code on its way from the browser to the application.
#[derive(Debug)]
struct Code {
    client_id: String,
    redirect_uri: String,
    scopes: BTreeSet<String>,
    challenge: Option<String>,
    expires_at: Timestamp,
    state: CodeState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodeState {
    /// Exchanged for this family of tokens.
    Exchanged(u32),
    Fresh,
    /// Refused once, and for ever from then on.
    Spoiled,
}

/// An OAuth error: its word, and a sentence for people.
type Refused = (&'static str, &'static str);

impl Authority {
    pub(super) fn new(rules: Rules) -> Self {
        let rotates = rules.refresh_tokens == RefreshTokens::Rotated;
        Self {
            applications: vec![Arc::new(Application::seeded())],
            codes: Vec::new(),
            grants: Grants::new(rules.lifetimes, rotates),
            rules,
        }
    }

    /// Makes an application known, in place of one with the same name.
    pub(super) fn add(&mut self, application: Application) {
        self.applications.retain(|known| known.client_id() != application.client_id());
        self.applications.push(Arc::new(application));
    }

    /// The operation that a path means, where it is one of these.
    pub(super) fn operation(path: &str) -> Option<&'static str> {
        match path {
            "/oauth/authorize" => Some("authorize"),
            "/oauth/revoke" => Some("revoke"),
            "/oauth/token" => Some("token"),
            _ => None,
        }
    }

    pub(super) fn handle(
        &mut self,
        operation: &str,
        request: &Request<Bytes>,
        time: Time,
        log: &mut Log,
    ) -> Response<Bytes> {
        match (operation, request.method()) {
            ("authorize", &Method::GET) => self.authorize(request, time.now),
            ("revoke", &Method::POST) => self.revoke(request, time.now, log),
            ("token", &Method::POST) => self.token(request, time.now, log),
            _ => refused(StatusCode::METHOD_NOT_ALLOWED, ("invalid_request", "This path does not take this method.")),
        }
    }

    /// Asks the user. Whoever sends a browser here under a name or to an address that nobody registered is told so on the
    /// page, and never by a redirect: it could lead anywhere.
    fn authorize(&mut self, request: &Request<Bytes>, now: Timestamp) -> Response<Bytes> {
        let query = request.uri().query().unwrap_or_default();
        let fields: Vec<_> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let field = |name| field(&fields, name);
        let Some(application) = field("client_id").and_then(|id| self.application(id)) else {
            return page(StatusCode::BAD_REQUEST, "Nobody registered this application.");
        };
        let redirect = field("redirect_uri").filter(|uri| application.may_redirect_to(uri));
        let Some((redirect_uri, redirect)) = redirect.and_then(|uri| Some((uri, Url::parse(uri).ok()?))) else {
            return page(StatusCode::BAD_REQUEST, "Nobody registered this redirect address.");
        };

        let asked = field("scope").unwrap_or_default().split(' ').filter(|scope| !scope.is_empty());
        let mut scopes: BTreeSet<_> = asked.map(str::to_owned).collect();
        if scopes.is_empty() {
            scopes = SCOPES.iter().copied().filter(|scope| *scope != "admin").map(str::to_owned).collect();
        }
        let challenge = self.challenge(field("code_challenge"), field("code_challenge_method"));
        let outcome = if field("response_type") != Some("code") {
            Err("unsupported_response_type")
        } else if !scopes.iter().all(|scope| SCOPES.contains(&scope.as_str())) {
            Err("invalid_scope")
        } else {
            challenge
        };
        let decision = match (self.rules.consent, field("decision")) {
            (Consent::Given, _) | (Consent::Asked, Some("allow")) => Some(true),
            (Consent::Refused, _) | (Consent::Asked, Some(_)) => Some(false),
            (Consent::Asked, None) => None,
        };
        let answer = match (outcome, decision) {
            (Err(error), _) => ("error", error.to_owned()),
            (Ok(_), None) => return question(application.client_id(), &scopes, query),
            (Ok(_), Some(false)) => ("error", "access_denied".to_owned()),
            (Ok(challenge), Some(true)) => {
                let (client_id, redirect_uri) = (application.client_id().to_owned(), redirect_uri.to_owned());
                let expires_at = shifted(now, CODE_LIFETIME);
                let state = CodeState::Fresh;
                self.codes.push(Code { client_id, redirect_uri, scopes, challenge, expires_at, state });
                ("code", format!("test-code-{}", self.codes.len()))
            }
        };
        back(redirect, answer, field("state"))
    }

    /// The challenge of a request to authorize, as far as this tenant looks at it.
    fn challenge(&self, challenge: Option<&str>, method: Option<&str>) -> Result<Option<String>, &'static str> {
        match (self.rules.pkce, challenge) {
            (Pkce::Ignored, _) | (Pkce::Checked, None) => Ok(None),
            (Pkce::Checked | Pkce::Required, Some(challenge)) if method == Some("S256") && challenge.len() == 43 => {
                Ok(Some(challenge.to_owned()))
            }
            (Pkce::Checked, Some(_)) | (Pkce::Required, _) => Err("invalid_request"),
        }
    }

    /// Gives out the first tokens for a code, or the next for a refresh token.
    fn token(&mut self, request: &Request<Bytes>, now: Timestamp, log: &mut Log) -> Response<Bytes> {
        let Some(fields) = body::form(request) else {
            return refused(StatusCode::BAD_REQUEST, ("invalid_request", "The body has to be a form."));
        };
        let field = |name| field(&fields, name);
        let kind = match field("grant_type") {
            Some("authorization_code") => TokenRequestKind::Login,
            Some("refresh_token") => TokenRequestKind::Refresh,
            Some(_) => {
                return refused(StatusCode::BAD_REQUEST, ("unsupported_grant_type", "This grant is not offered."));
            }
            None => return refused(StatusCode::BAD_REQUEST, ("invalid_request", "`grant_type` is missing.")),
        };
        // The vendor shows both in the body. A header in their place is not known to be read.
        let application = field("client_id").and_then(|id| self.application(id));
        let proven = application.filter(|known| field("client_secret") == Some(known.client_secret()));
        let (origin, outcome) = match (proven, kind) {
            (None, _) => (None, Err((StatusCode::UNAUTHORIZED, ("invalid_client", "Client and secret do not fit.")))),
            (Some(application), TokenRequestKind::Refresh) => self.refresh(&application, field("refresh_token"), now),
            (Some(application), _) => {
                let outcome = self.exchange(&application, &fields, now);
                (outcome.as_ref().ok().map(|pair| pair.origin), outcome)
            }
        };
        log.add_token_request(TokenRequest::new(now, kind, origin, outcome.is_ok()));
        match outcome {
            Ok(pair) => self.given(&pair, kind),
            Err((status, error)) => refused(status, error),
        }
    }

    fn exchange(
        &mut self,
        application: &Application,
        fields: &[(String, String)],
        now: Timestamp,
    ) -> Result<Pair, (StatusCode, Refused)> {
        let field = |name| field(fields, name);
        let wrong = |what| Err((StatusCode::BAD_REQUEST, ("invalid_grant", what)));
        let number = field("code").and_then(|code| code.strip_prefix("test-code-")?.parse::<usize>().ok());
        let Some(code) = number.and_then(|number| self.codes.get_mut(number.checked_sub(1)?)) else {
            return wrong("There is no such code.");
        };
        if code.client_id != application.client_id() {
            return wrong("The code is another application's.");
        }
        match code.state {
            CodeState::Fresh => {}
            // A code that comes twice was stolen, and so were the tokens that it gave.
            CodeState::Exchanged(family) => {
                self.grants.end(family);
                return wrong("The code was used before; what it gave is revoked.");
            }
            CodeState::Spoiled => return wrong("The code was used before."),
        }
        code.state = CodeState::Spoiled;
        if code.expires_at <= now {
            return wrong("The code has expired.");
        }
        if field("redirect_uri") != Some(code.redirect_uri.as_str()) {
            return wrong("The redirect address is not the one that was asked from.");
        }
        let verifier = field("code_verifier");
        if self.rules.pkce != Pkce::Ignored && verifier.map(s256) != code.challenge {
            return wrong("The verifier does not fit the challenge.");
        }
        let pair = self.grants.log_in(application.client_id(), code.scopes.clone(), now);
        code.state = CodeState::Exchanged(pair.origin.family);
        Ok(pair)
    }

    fn refresh(
        &mut self,
        application: &Application,
        token: Option<&str>,
        now: Timestamp,
    ) -> (Option<Origin>, Result<Pair, (StatusCode, Refused)>) {
        let Some(token) = token else {
            let error = ("invalid_request", "`refresh_token` is missing.");
            return (None, Err((StatusCode::BAD_REQUEST, error)));
        };
        let (origin, outcome) = self.grants.refresh(application.client_id(), token, now);
        let outcome = outcome.map_err(|stale| {
            let what = match stale {
                Stale::Expired => "The refresh token has expired.",
                Stale::Reused => "The refresh token was used before; all that came of its login is revoked.",
                Stale::Unknown => "The refresh token is not valid.",
            };
            (StatusCode::BAD_REQUEST, ("invalid_grant", what))
        });
        (origin, outcome)
    }

    /// Nobody has seen the vendor's form of it; this is the one of OAuth.
    fn given(&self, pair: &Pair, kind: TokenRequestKind) -> Response<Bytes> {
        let scopes: Vec<_> = pair.scopes.iter().map(String::as_str).collect();
        let mut tokens = json!({
            "access_token": pair.access,
            "token_type": "Bearer",
            "expires_in": self.grants.lifetimes().access.as_secs(),
            "scope": scopes.join(" "),
        });
        if kind == TokenRequestKind::Login || self.rules.refresh_tokens != RefreshTokens::LeftOut {
            tokens["refresh_token"] = pair.refresh.clone().into();
        }
        uncached(reply::json(StatusCode::OK, &tokens))
    }

    /// Ends the token in the form, or else the one in the header. A token that nobody knows is as good as revoked. API keys
    /// stay: nothing says that they can be revoked here.
    fn revoke(&mut self, request: &Request<Bytes>, now: Timestamp, log: &mut Log) -> Response<Bytes> {
        let fields = body::form(request).unwrap_or_default();
        let header = Authorization::of(request.headers()).value;
        let token = field(&fields, "token").unwrap_or(header);
        if token.is_empty() {
            return refused(StatusCode::BAD_REQUEST, ("invalid_request", "There is no token to revoke."));
        }
        let origin = self.grants.revoke(token);
        log.add_token_request(TokenRequest::new(now, TokenRequestKind::Revocation, origin, origin.is_some()));
        uncached(reply::raw(StatusCode::OK, "", ""))
    }

    pub(super) fn application(&self, client_id: &str) -> Option<Arc<Application>> {
        self.applications.iter().find(|known| known.client_id() == client_id).map(Arc::clone)
    }
}

/// The value of a field that is there once; one that is there twice is as good as missing.
fn field<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = fields.iter().filter(|(other, _)| other == name).map(|(_, value)| value.as_str());
    values.next().filter(|value| values.next().is_none() && !value.is_empty())
}

/// The challenge that a verifier proves.
fn s256(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier))
}

/// The way back to the application.
fn back(mut redirect: Url, (name, value): (&str, String), state: Option<&str>) -> Response<Bytes> {
    redirect.query_pairs_mut().append_pair(name, &value).extend_pairs(state.map(|state| ("state", state)));
    let mut response = reply::raw(StatusCode::FOUND, "", "");
    if let Ok(location) = HeaderValue::from_str(redirect.as_str()) {
        response.headers_mut().insert(LOCATION, location);
    }
    uncached(response)
}

fn question(client_id: &str, scopes: &BTreeSet<String>, query: &str) -> Response<Bytes> {
    let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
    // What comes from the address is escaped there, but for what HTML takes for its own.
    let query = query.replace('&', "&amp;").replace(['"', '<', '>', '\''], "");
    let client_id = client_id.replace(['&', '<', '>'], "");
    let link = |decision, word| format!("<a href=\"?{query}&amp;decision={decision}\">{word}</a>");
    let (allow, deny) = (link("allow", "Allow"), link("deny", "Deny"));
    page(StatusCode::OK, &format!("{client_id} asks for: {}. {allow} {deny}", scopes.join(", ")))
}

fn page(status: StatusCode, text: &str) -> Response<Bytes> {
    let html = format!("<!doctype html><html><head><title>Fentu</title></head><body><p>{text}</p></body></html>");
    uncached(reply::raw(status, "text/html; charset=utf-8", html))
}

/// Nobody has seen the vendor's form of it; this is the one of OAuth.
fn refused(status: StatusCode, (error, description): Refused) -> Response<Bytes> {
    uncached(reply::json(status, &json!({"error": error, "error_description": description})))
}

fn uncached(mut response: Response<Bytes>) -> Response<Bytes> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use serde_json::Value;

    use super::super::{MockServer, MockServerBuilder};
    use super::*;
    use crate::testing::Fault;
    use crate::testing::reply::Ending;

    const CALLBACK: &str = "http://127.0.0.1:49152/callback";
    // RFC 7636, appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    const CLIENT: [(&str, &str); 2] = [("client_id", "test-application"), ("client_secret", "test-application-secret")];

    fn form(fields: &[(&str, &str)]) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
    }

    fn asked(tenant: &MockServer, more: &[(&str, &str)]) -> String {
        let fields = [("response_type", "code"), ("client_id", "test-application"), ("redirect_uri", CALLBACK)];
        let fields = fields.iter().filter(|(name, _)| !more.iter().any(|(other, _)| other == name));
        let fields: Vec<_> = fields.chain(more).copied().collect();
        format!("{}?{}", tenant.authorize_url(), form(&fields))
    }

    /// What the application is sent.
    fn sent(tenant: &MockServer, more: &[(&str, &str)]) -> HashMap<String, String> {
        let to = tenant.visit(&asked(tenant, more)).expect("a redirect");
        assert!(to.as_str().starts_with(CALLBACK), "{to}");
        to.query_pairs().into_owned().collect()
    }

    fn post(tenant: &MockServer, path: &str, fields: &[(&str, &str)]) -> (u16, Value) {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Bytes::from(form(fields)))
            .expect("a request");
        let response = tenant.reply(&request).response;
        (response.status().as_u16(), serde_json::from_slice(response.body()).unwrap_or_default())
    }

    fn token(tenant: &MockServer, fields: &[(&str, &str)]) -> (u16, Value) {
        post(tenant, "/oauth/token", &[&CLIENT, fields].concat())
    }

    fn exchanged(tenant: &MockServer, code: &str, more: &[(&str, &str)]) -> (u16, Value) {
        let fields = [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
        token(tenant, &[&fields, more].concat())
    }

    fn refreshed(tenant: &MockServer, refresh: &str) -> (u16, Value) {
        token(tenant, &[("grant_type", "refresh_token"), ("refresh_token", refresh)])
    }

    fn opens(tenant: &MockServer, access: &str) -> bool {
        tenant.ask_as(&format!("Bearer {access}"), "GET", "/customers/cust-001", None).0 == 200
    }

    fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
        tokens[name].as_str().unwrap_or_default()
    }

    fn rotating() -> MockServerBuilder {
        MockServer::builder().with_refresh_tokens(RefreshTokens::Rotated)
    }

    #[test]
    fn a_field_that_comes_twice_is_none() {
        let fields = [("a", "1"), ("b", "1"), ("b", "2"), ("c", "")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(["a", "b", "c", "d"].map(|name| field(&fields, name)), [Some("1"), None, None, None]);
    }

    #[test]
    fn consent_leads_back_with_a_code_that_becomes_tokens() {
        let tenant = MockServer::builder().in_memory();
        let challenge = [("code_challenge", CHALLENGE), ("code_challenge_method", "S256")];
        let more = [("scope", "read:customers write:customers"), ("state", "x y&z")];
        let back = sent(&tenant, &[more, challenge].concat());
        assert_eq!(back["state"], "x y&z");
        let (status, tokens) = exchanged(&tenant, &back["code"], &[("code_verifier", VERIFIER)]);
        assert_eq!((status, &tokens["expires_in"], text(&tokens, "token_type")), (200, &json!(3600), "Bearer"));
        assert_eq!(text(&tokens, "scope"), "read:customers write:customers");
        assert!(opens(&tenant, text(&tokens, "access_token")));
        assert!(!text(&tokens, "refresh_token").is_empty());
        assert_eq!(tenant.counters().logins(), 1);
    }

    #[test]
    fn a_verifier_that_does_not_fit_spoils_the_code() {
        let tenant = MockServer::builder().in_memory();
        let back = sent(&tenant, &[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]);
        for (verifier, status) in [("another", 400), (VERIFIER, 400)] {
            assert_eq!(exchanged(&tenant, &back["code"], &[("code_verifier", verifier)]).0, status, "{verifier}");
        }
        let back = sent(&tenant, &[("code_challenge", CHALLENGE), ("code_challenge_method", "S256")]);
        assert_eq!(exchanged(&tenant, &back["code"], &[]).0, 400, "no verifier at all");
        let back = sent(&tenant, &[]);
        assert_eq!(exchanged(&tenant, &back["code"], &[("code_verifier", VERIFIER)]).0, 400, "none was announced");
    }

    #[test]
    fn pkce_can_be_wanted_or_unknown() {
        let plain = [("code_challenge", VERIFIER), ("code_challenge_method", "plain")];
        let required = MockServer::builder().with_pkce(Pkce::Required).in_memory();
        let ignored = MockServer::builder().with_pkce(Pkce::Ignored).in_memory();
        assert_eq!(sent(&required, &[])["error"], "invalid_request");
        assert_eq!(sent(&required, &plain)["error"], "invalid_request");
        assert_eq!(sent(&MockServer::builder().in_memory(), &plain)["error"], "invalid_request");
        let back = sent(&ignored, &plain);
        assert_eq!(exchanged(&ignored, &back["code"], &[]).0, 200);
    }

    #[test]
    fn a_code_used_twice_ends_what_it_gave() {
        let tenant = MockServer::builder().in_memory();
        let code = sent(&tenant, &[])["code"].clone();
        let (_, tokens) = exchanged(&tenant, &code, &[]);
        let (status, refused) = exchanged(&tenant, &code, &[]);
        assert_eq!((status, text(&refused, "error")), (400, "invalid_grant"));
        assert!(!opens(&tenant, text(&tokens, "access_token")));
        assert_eq!(refreshed(&tenant, text(&tokens, "refresh_token")).0, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_code_waits_ten_minutes() {
        let tenant = MockServer::builder().in_memory();
        let codes = [sent(&tenant, &[])["code"].clone(), sent(&tenant, &[])["code"].clone()];
        tokio::time::advance(Duration::from_secs(599)).await;
        assert_eq!(exchanged(&tenant, &codes[0], &[]).0, 200);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(exchanged(&tenant, &codes[1], &[]).0, 400);
    }

    #[test]
    fn a_code_is_one_applications_at_one_address() {
        let tenant = MockServer::builder().in_memory();
        tenant.add_application(Application::new("test-other", "test-secret").with_redirect_uri("http://127.0.0.1/"));
        let code = sent(&tenant, &[])["code"].clone();
        let other = [("client_id", "test-other"), ("client_secret", "test-secret")];
        let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
        assert_eq!(post(&tenant, "/oauth/token", &[other.as_slice(), &fields].concat()).0, 400);
        let elsewhere = "http://127.0.0.1:49153/callback";
        let fields = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", elsewhere)];
        assert_eq!(token(&tenant, &fields).0, 400);
    }

    #[test]
    fn whoever_is_not_registered_is_told_on_the_page_and_sent_nowhere() {
        let tenant = MockServer::builder().in_memory();
        for wrong in [("client_id", "test-nobody"), ("redirect_uri", "https://evil.example/")] {
            let request = Request::get(asked(&tenant, &[wrong])).body(Bytes::new()).expect("a request");
            let response = tenant.reply(&request).response;
            assert_eq!((response.status().as_u16(), response.headers().get(LOCATION)), (400, None), "{wrong:?}");
        }
    }

    #[test]
    fn what_else_is_wrong_is_sent_to_the_application_with_its_state() {
        let tenant = MockServer::builder().in_memory();
        for (wrong, error) in
            [(("response_type", "token"), "unsupported_response_type"), (("scope", "read:tasks"), "invalid_scope")]
        {
            let back = sent(&tenant, &[wrong, ("state", "s")]);
            assert_eq!((back["error"].as_str(), back["state"].as_str()), (error, "s"));
        }
        let refusing = MockServer::builder().with_consent(Consent::Refused).in_memory();
        assert_eq!(sent(&refusing, &[])["error"], "access_denied");
    }

    #[test]
    fn a_user_who_is_asked_may_say_yes_or_no() {
        let tenant = MockServer::builder().with_consent(Consent::Asked).in_memory();
        let get = |url: String| tenant.reply(&Request::get(url).body(Bytes::new()).expect("a request")).response;
        let page = get(asked(&tenant, &[("scope", "read:assets")]));
        let html = String::from_utf8_lossy(page.body());
        assert!(page.status() == 200 && html.contains("read:assets") && html.contains("decision=deny"), "{html}");
        assert_eq!(sent(&tenant, &[("decision", "deny")])["error"], "access_denied");
        assert_eq!(sent(&tenant, &[])["code"], "test-code-1");
    }

    #[test]
    fn a_token_request_is_a_form_with_client_and_secret_in_it() {
        let tenant = MockServer::builder().in_memory();
        let json = Request::post("/oauth/token").header("content-type", "application/json").body(Bytes::from("{}"));
        assert_eq!(tenant.reply(&json.expect("a request")).response.status(), 400);
        for (fields, status, error) in [
            ([("grant_type", "refresh_token")].as_slice(), 401, "invalid_client"),
            (&[("grant_type", "refresh_token"), CLIENT[0], ("client_secret", "wrong")], 401, "invalid_client"),
            (&[("grant_type", "refresh_token"), CLIENT[0], CLIENT[1]], 400, "invalid_request"),
            (&[("grant_type", "password"), CLIENT[0], CLIENT[1]], 400, "unsupported_grant_type"),
            (&CLIENT, 400, "invalid_request"),
        ] {
            let (found, refused) = post(&tenant, "/oauth/token", fields);
            assert_eq!((found, text(&refused, "error")), (status, error), "{fields:?}");
        }
        let get = Request::get("/oauth/token").body(Bytes::new()).expect("a request");
        assert_eq!(tenant.reply(&get).response.status(), 405);
    }

    #[test]
    fn refresh_tokens_stay_or_rotate() {
        for (choice, in_answer) in [
            (RefreshTokens::LeftOut, None),
            (RefreshTokens::Repeated, Some("test-refresh-1-1")),
            (RefreshTokens::Rotated, Some("test-refresh-1-2")),
        ] {
            let tenant = MockServer::builder().with_refresh_tokens(choice).in_memory();
            let first = tenant.sign_in(["admin"]);
            let (status, second) = refreshed(&tenant, &first.refresh_token);
            assert_eq!((status, second["refresh_token"].as_str()), (200, in_answer), "{choice:?}");
            assert!(opens(&tenant, text(&second, "access_token")) && opens(&tenant, &first.access_token));
        }
    }

    #[test]
    fn a_refresh_token_used_twice_ends_its_login_and_is_noticed() {
        let tenant = rotating().in_memory();
        let first = tenant.sign_in(["admin"]);
        let (_, second) = refreshed(&tenant, &first.refresh_token);
        let (status, refused) = refreshed(&tenant, &first.refresh_token);
        assert_eq!((status, text(&refused, "error")), (400, "invalid_grant"));
        assert!(!opens(&tenant, text(&second, "access_token")));
        let counters = tenant.counters();
        assert_eq!((counters.refreshes(), counters.refused_refreshes(), counters.repeated_refreshes()), (1, 1, 1));
        let generations: Vec<_> = tenant.token_requests().iter().map(|request| request.generation).collect();
        assert_eq!(generations, [Some(1), Some(1)]);
    }

    #[test]
    fn a_refresh_whose_answer_is_lost_has_rotated_the_token() {
        let tenant = rotating().in_memory();
        let first = tenant.sign_in(["admin"]);
        tenant.fault(Fault::lost_response().on("POST", "/oauth/token"));
        let fields = [("grant_type", "refresh_token"), ("refresh_token", &first.refresh_token)];
        let request = Request::post("/oauth/token").header("content-type", "application/x-www-form-urlencoded");
        let request = request.body(Bytes::from(form(&[CLIENT, fields].concat()))).expect("a request");
        assert_eq!(tenant.reply(&request).ending, Ending::Dropped);
        assert_eq!(tenant.counters().refreshes(), 1);
        assert_eq!(refreshed(&tenant, &first.refresh_token).0, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_end_by_the_tenants_clock() {
        let tenant = MockServer::builder().in_memory();
        let tokens = tenant.sign_in(["admin"]);
        tokio::time::advance(Duration::from_secs(3599)).await;
        assert!(opens(&tenant, &tokens.access_token));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!opens(&tenant, &tokens.access_token));
        assert_eq!(refreshed(&tenant, &tokens.refresh_token).0, 200);
        tokio::time::advance(Duration::from_secs(30 * 24 * 3600)).await;
        assert_eq!(text(&refreshed(&tenant, &tokens.refresh_token).1, "error"), "invalid_grant");
    }

    #[test]
    fn a_revoked_token_is_gone_and_an_unknown_one_is_as_good() {
        let tenant = MockServer::builder().in_memory();
        let (one, two) = (tenant.sign_in(["admin"]), tenant.sign_in(["admin"]));
        assert_eq!(post(&tenant, "/oauth/revoke", &[("token", &one.refresh_token)]).0, 200);
        assert!(!opens(&tenant, &one.access_token));
        let header = format!("Bearer {}", two.access_token);
        let by_header = Request::post("/oauth/revoke").header("authorization", header).body(Bytes::new());
        assert_eq!(tenant.reply(&by_header.expect("a request")).response.status(), 200);
        assert!(!opens(&tenant, &two.access_token));
        assert_eq!(refreshed(&tenant, &two.refresh_token).0, 200);
        assert_eq!(post(&tenant, "/oauth/revoke", &[("token", "nobody's")]).0, 200);
        assert_eq!(post(&tenant, "/oauth/revoke", &[]).0, 400);
        assert_eq!(tenant.counters().revocations(), 2);
    }

    #[test]
    fn an_api_key_is_not_revoked_like_a_token() {
        let tenant = MockServer::builder().in_memory();
        assert_eq!(post(&tenant, "/oauth/revoke", &[("token", "test-key-admin")]).0, 200);
        assert!(opens(&tenant, "test-key-admin"));
    }

    #[test]
    fn tokens_can_be_ended_from_the_tenants_side() {
        let tenant = MockServer::builder().in_memory();
        let tokens = tenant.sign_in(["admin"]);
        tenant.end_access_tokens();
        assert!(!opens(&tenant, &tokens.access_token));
        assert_eq!(refreshed(&tenant, &tokens.refresh_token).0, 200);
        tenant.revoke_all();
        assert_eq!(refreshed(&tenant, &tokens.refresh_token).0, 400);
    }
}
