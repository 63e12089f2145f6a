//! A login by a user: the authorization-code flow, and the redirect back to this machine.

use serde_json::{Value, json};
use servicebay::fentu::{Application, Authorization, Scope};
use servicebay::testing::Fault;
use servicebay::testing::fentu::Consent;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::sleep;
use url::Url;

use super::*;
use crate::support::print;

const REDIRECT_URI: &str = "http://127.0.0.1:4000/callback";

fn application(server: &fentu_testing::MockServer) -> Application {
    let known = server.application();
    let builder = Application::builder(known.client_id(), known.client_secret());
    builder.with_base_url(server.base_url()).with_transport(server.clone()).build().unwrap()
}

fn authorization(application: &Application) -> Authorization {
    application.authorize(REDIRECT_URI, [Scope::ReadWorkOrders]).unwrap()
}

/// Where the server redirects the browser to.
fn redirect_of(server: &fentu_testing::MockServer, login: &Authorization) -> Url {
    server.visit(login.url().as_str()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_client_works_with_the_tokens_that_a_code_was_exchanged_for() {
    let server = fentu_testing::MockServer::builder().with_pkce(fentu_testing::Pkce::Required).in_memory();
    let application = application(&server);
    let login = authorization(&application);
    let tokens = application.exchange(&login, redirect_of(&server, &login).as_str()).await.unwrap();
    let client = server.client_builder_with(application.credentials(tokens)).build().unwrap();
    for _ in 0..3 {
        task(&client).await.unwrap();
        sleep(HOUR).await;
    }
    assert_eq!((server.counters().logins(), server.counters().refused_refreshes()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_redirect_with_another_state_is_rejected_before_anything_is_sent() {
    let server = fentu_server(RefreshTokens::Rotated);
    let application = application(&server);
    let (login, other) = (authorization(&application), authorization(&application));
    let of_other_login = redirect_of(&server, &other);
    let without = format!("{REDIRECT_URI}?code=test-code-1");
    let before = server.counters().requests();
    for redirected in [of_other_login.as_str(), &without] {
        match application.exchange(&login, redirected).await {
            Err(Error::InvalidRequest(error)) => assert_eq!(error.parameter(), "state"),
            other => panic!("{redirected}: {other:?}"),
        }
    }
    assert_eq!(server.counters().requests(), before);
    application.exchange(&other, of_other_login.as_str()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_code_that_is_exchanged_twice_is_refused_and_revokes_its_tokens() {
    let server = fentu_server(RefreshTokens::Rotated);
    let application = application(&server);
    let login = authorization(&application);
    let redirected = redirect_of(&server, &login);
    let tokens = application.exchange(&login, redirected.as_str()).await.unwrap();
    let error = application.exchange(&login, redirected.as_str()).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().code(), Some("invalid_grant"));
    let client = server.client_builder_with(application.credentials(tokens)).build().unwrap();
    assert!(matches!(task(&client).await, Err(Error::ReauthRequired(_))));
}

#[tokio::test(start_paused = true)]
async fn a_code_is_not_sent_again_when_the_response_is_lost() {
    let server = fentu_server(RefreshTokens::Rotated);
    let application = application(&server);
    let login = authorization(&application);
    server.fault(Fault::lost_response().on("POST", "/oauth/token"));
    let error = application.exchange(&login, redirect_of(&server, &login).as_str()).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_user_who_denies_access_is_a_login_error() {
    let server = fentu_testing::MockServer::builder().with_consent(Consent::Refused).in_memory();
    let application = application(&server);
    let login = authorization(&application);
    let error = application.exchange(&login, redirect_of(&server, &login).as_str()).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().code(), Some("access_denied"));
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 0);
}

#[tokio::test(start_paused = true)]
async fn an_expired_code_requires_a_new_login() {
    let server = fentu_server(RefreshTokens::Rotated);
    let application = application(&server);
    let login = authorization(&application);
    let redirected = redirect_of(&server, &login);
    sleep(11 * 60 * SECOND).await;
    let error = application.exchange(&login, redirected.as_str()).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_application_secret_is_reported_by_the_exchange() {
    let server = fentu_server(RefreshTokens::Rotated);
    let wrong = Application::builder("test-application", "wr0ng");
    let wrong = wrong.with_base_url(server.base_url()).with_transport(server.clone()).build().unwrap();
    let login = authorization(&wrong);
    let error = wrong.exchange(&login, redirect_of(&server, &login).as_str()).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().code(), Some("invalid_client"));
    assert!(!format!("{error:?} {wrong:?}").contains("wr0ng"));
}

#[tokio::test(start_paused = true)]
async fn nothing_secret_of_a_login_is_printed() {
    let server = fentu_server(RefreshTokens::Rotated);
    let application = application(&server);
    let login = authorization(&application);
    let redirected = redirect_of(&server, &login);
    let stored: Value = serde_json::to_value(&login).unwrap();
    let secrets = ["state", "verifier"].map(|name| stored[name].as_str().unwrap().to_owned());
    let words = format!("{} {} test-code-1 test-application-secret", secrets[0], secrets[1]);
    let echo = json!({"error": "invalid_grant", "error_description": words});
    server.fault(Fault::body(400, echo.to_string()).on("POST", "/oauth/token"));
    let error = application.exchange(&login, redirected.as_str()).await.unwrap_err();
    let mut printed = format!("{login:?} {login:#?} {application:?}");
    print(&mut printed, &error);
    for secret in [&secrets[1], "test-code-1", "test-application-secret"] {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
}

// The redirect back to this machine, over real sockets and the system clock, without waits.

/// The response to these bytes, sent to the redirect address of a login.
async fn response_to(login: &Url, bytes: &[u8]) -> String {
    let mut stream = connect_to(login).await;
    stream.write_all(bytes).await.unwrap();
    let mut response = Vec::new();
    // A reset connection has sent its response all the same.
    let _ = stream.read_to_end(&mut response).await;
    String::from_utf8_lossy(&response).into_owned()
}

async fn connect_to(login: &Url) -> TcpStream {
    let address = redirect_uri(login);
    TcpStream::connect((address.host_str().unwrap(), address.port().unwrap())).await.unwrap()
}

/// The redirect address in the authorization URL of a login.
fn redirect_uri(login: &Url) -> Url {
    let (_, address) = login.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap();
    address.parse().unwrap()
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes()
}

/// The request of the browser to this machine.
fn browser_request(redirected: &Url) -> Vec<u8> {
    get(&format!("{}?{}", redirected.path(), redirected.query().unwrap()))
}

#[tokio::test]
async fn a_login_completes_whatever_other_requests_arrive() {
    let server = fentu_server(RefreshTokens::Rotated);
    let application = application(&server);
    let login = application.loopback_login([Scope::ReadWorkOrders]).await.unwrap();
    let url = login.url().clone();
    let tokens = tokio::spawn(login.tokens());

    let silent = connect_to(&url).await;
    let mut unfinished = connect_to(&url).await;
    unfinished.write_all(b"GET /callback?code=").await.unwrap();
    assert!(response_to(&url, &get("/favicon.ico")).await.starts_with("HTTP/1.1 404"));
    assert!(response_to(&url, &get("/callback/else?code=1")).await.starts_with("HTTP/1.1 404"));
    assert_eq!(response_to(&url, b"\x16\x03\x01\x02\x00\x01\xff\r\n\r\n").await, "");
    assert_eq!(response_to(&url, &b"x".repeat(20 * 1024)).await, "");
    for other in ["/callback", "/callback?code=1&state=other", "/callback?error=access_denied"] {
        let response = response_to(&url, &get(other)).await;
        assert!(response.starts_with("HTTP/1.1 400"), "{other}: {response}");
    }
    assert!(!tokens.is_finished(), "it waits for the right request");
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 0);

    let redirected = server.visit(url.as_str()).unwrap();
    let response = response_to(&url, &browser_request(&redirected)).await;
    assert!(response.starts_with("HTTP/1.1 200") && response.contains("You are logged in"), "{response}");
    let tokens = tokens.await.unwrap().unwrap();
    let client = server.client_builder_with(application.credentials(tokens)).build().unwrap();
    task(&client).await.unwrap();
    drop((silent, unfinished));
}

#[tokio::test]
async fn the_code_is_exchanged_once_if_the_browser_comes_back_twice() {
    let server = fentu_server(RefreshTokens::Rotated);
    let login = application(&server).loopback_login([Scope::ReadWorkOrders]).await.unwrap();
    let url = login.url().clone();
    let tokens = tokio::spawn(login.tokens());
    let request = browser_request(&server.visit(url.as_str()).unwrap());
    let (mut one, mut other) = (connect_to(&url).await, connect_to(&url).await);
    one.write_all(&request).await.unwrap();
    let _ = other.write_all(&request).await;
    tokens.await.unwrap().unwrap();
    let mut response = String::new();
    one.read_to_string(&mut response).await.unwrap();
    assert!(response.starts_with("HTTP/1.1 200"), "{response}");
    assert_eq!((server.counters().logins(), request_count(&server.requests(), "/oauth/token")), (1, 1));
}

#[tokio::test]
async fn a_denied_login_is_shown_in_the_browser_and_returned_to_the_program() {
    let server = fentu_testing::MockServer::builder().with_consent(Consent::Refused).in_memory();
    let login = application(&server).loopback_login([Scope::ReadWorkOrders]).await.unwrap();
    let url = login.url().clone();
    let tokens = tokio::spawn(login.tokens());
    let response = response_to(&url, &browser_request(&server.visit(url.as_str()).unwrap())).await;
    assert!(response.starts_with("HTTP/1.1 400") && response.contains("The login failed"), "{response}");
    let error = tokens.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_login_times_out_after_ten_minutes() {
    let server = fentu_server(RefreshTokens::Rotated);
    let login = application(&server).loopback_login([Scope::ReadWorkOrders]).await.unwrap();
    let started = tokio::time::Instant::now();
    let error = login.tokens().await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert!(error.to_string().contains("the browser did not return"), "{error}");
    assert_eq!(started.elapsed(), 600 * SECOND);
}
