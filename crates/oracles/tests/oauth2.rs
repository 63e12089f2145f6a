//! Compares our OAuth 2.0 requests with those that the `oauth2` crate makes of the same inputs.
//!
//! Every parameter must have the same name and the same bytes; only their order is free. The inputs hold characters that
//! a URL or a form escapes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::cell::RefCell;
use std::convert::Infallible;

use oauth2::basic::BasicClient;
use oauth2::http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap};
use oauth2::http::{Method, Response};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, Scope, TokenUrl,
};
use secrecy::ExposeSecret as _;
use servicebay::fentu::{self, Authorization};
use servicebay::testing::fentu::{Application, MockServer, Pkce};

const CLIENT_ID: &str = "Räder & Söhne: counter 1";
const CLIENT_SECRET: &str = "p+q/r=%s&t?u~v*w";
const REDIRECT_URI: &str = "https://portal.example/fentu?from=login%20page&next=/orders+all";
const SCOPES: [&str; 2] = ["read:work-orders", "write:work-orders"];

type Oracle = BasicClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>;

/// The same application in the `oauth2` crate.
fn oracle(login: &Authorization) -> Oracle {
    let endpoint = |path: &str| {
        let mut url = login.url().clone();
        url.set_query(None);
        url.set_path(path);
        url.to_string()
    };
    BasicClient::new(ClientId::new(CLIENT_ID.to_owned()))
        .set_client_secret(ClientSecret::new(CLIENT_SECRET.to_owned()))
        .set_auth_type(AuthType::RequestBody)
        .set_auth_uri(AuthUrl::new(endpoint("/oauth/authorize")).unwrap())
        .set_token_uri(TokenUrl::new(endpoint("/oauth/token")).unwrap())
        .set_redirect_uri(RedirectUrl::new(REDIRECT_URI.to_owned()).unwrap())
}

/// A mock server that requires PKCE, our application on it, and a login that has begun.
async fn login() -> (MockServer, fentu::Application, Authorization) {
    let server = MockServer::builder().with_pkce(Pkce::Required).start().await;
    server.add_application(Application::new(CLIENT_ID, CLIENT_SECRET).with_redirect_uri(REDIRECT_URI));
    let builder = fentu::Application::builder(CLIENT_ID, CLIENT_SECRET);
    let application = builder.with_base_url(server.base_url()).build().unwrap();
    let login = application.authorize(REDIRECT_URI, SCOPES).unwrap();
    (server, application, login)
}

/// What only this login knows: its `state` or its `verifier`, as a web application keeps them in the user's session.
fn kept(login: &Authorization, field: &str) -> String {
    serde_json::to_value(login).unwrap()[field].as_str().unwrap().to_owned()
}

/// The parameters of a query or a form, still encoded, in an order of their own.
fn parameters(encoded: &str) -> Vec<&str> {
    let mut parameters: Vec<_> = encoded.split('&').collect();
    parameters.sort_unstable();
    parameters
}

/// A token request, as far as both clients have to agree.
#[derive(Debug, PartialEq)]
struct TokenRequest {
    method: Method,
    url: String,
    content_type: String,
    accept: String,
    form: Vec<String>,
}

impl TokenRequest {
    fn new(method: &Method, url: String, headers: &HeaderMap, body: &[u8]) -> Self {
        assert!(!headers.contains_key(AUTHORIZATION), "the secret is in the form");
        let header = |name| headers[name].to_str().unwrap().to_owned();
        let form = parameters(str::from_utf8(body).unwrap()).into_iter().map(ToOwned::to_owned).collect();
        Self { method: method.clone(), url, content_type: header(CONTENT_TYPE), accept: header(ACCEPT), form }
    }

    /// The latest token request that the mock server received.
    async fn received_by(server: &MockServer) -> Self {
        let requests = server.server().unwrap().received_requests().await.unwrap();
        let request = requests.iter().rfind(|request| request.url.path() == "/oauth/token").unwrap();
        // The URL that wiremock records has a host of its own.
        let url = format!("http://{}{}", request.headers[HOST].to_str().unwrap(), request.url.path());
        Self::new(&request.method, url, &request.headers, &request.body)
    }

    /// The request that the `oauth2` crate hands to its HTTP client.
    fn of_oracle<E>(send: impl FnOnce(&dyn Fn(HttpRequest) -> Result<HttpResponse, Infallible>) -> E) -> Self {
        let sent = RefCell::new(None);
        send(&|request| {
            sent.replace(Some(request));
            Ok(Response::new(br#"{"access_token": "a", "token_type": "bearer"}"#.to_vec()))
        });
        let request = sent.into_inner().unwrap();
        Self::new(request.method(), request.uri().to_string(), request.headers(), request.body())
    }
}

#[tokio::test]
async fn the_authorize_url_is_the_one_of_the_oauth2_crate() {
    let (_server, _application, login) = login().await;
    let verifier = PkceCodeVerifier::new(kept(&login, "verifier"));
    let state = kept(&login, "state");
    let (expected, _) = oracle(&login)
        .authorize_url(|| CsrfToken::new(state))
        .add_scopes(SCOPES.map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
        .url();
    assert_eq!(parameters(login.url().query().unwrap()), parameters(expected.query().unwrap()));
    let (mut ours, mut theirs) = (login.url().clone(), expected);
    ours.set_query(None);
    theirs.set_query(None);
    assert_eq!(ours, theirs);
}

#[tokio::test]
async fn the_code_exchange_sends_what_the_oauth2_crate_sends() {
    let (server, application, login) = login().await;
    let redirected = server.visit(login.url().as_str()).unwrap();
    let (_, code) = redirected.query_pairs().find(|(name, _)| name == "code").unwrap();
    application.exchange(&login, redirected.as_str()).await.unwrap();
    let expected = TokenRequest::of_oracle(|http| {
        oracle(&login)
            .exchange_code(AuthorizationCode::new(code.into_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(kept(&login, "verifier")))
            .request(&http)
            .unwrap()
    });
    assert_eq!(TokenRequest::received_by(&server).await, expected);
}

#[tokio::test]
async fn the_refresh_sends_what_the_oauth2_crate_sends() {
    let (server, application, login) = login().await;
    let redirected = server.visit(login.url().as_str()).unwrap();
    let tokens = application.exchange(&login, redirected.as_str()).await.unwrap();
    let exchange = TokenRequest::received_by(&server).await;
    let refresh_token = tokens.refresh_token().unwrap().expose_secret().to_owned();
    let client = fentu::Client::builder(application.credentials(tokens)).with_base_url(server.base_url());
    server.end_access_tokens();
    client.build().unwrap().list_work_orders().send().await.unwrap();
    let refresh = TokenRequest::received_by(&server).await;
    assert_ne!(refresh, exchange, "nothing was refreshed");
    let expected = TokenRequest::of_oracle(|http| {
        oracle(&login).exchange_refresh_token(&RefreshToken::new(refresh_token)).request(&http).unwrap()
    });
    assert_eq!(refresh, expected);
}
