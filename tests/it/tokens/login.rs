//! A user lets an application in: the code flow, and its way back to this machine.

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

const BACK: &str = "http://127.0.0.1:4000/callback";

fn application(tenant: &fentu_testing::MockServer) -> Application {
    let known = tenant.application();
    let builder = Application::builder(known.client_id(), known.client_secret());
    builder.with_base_url(tenant.base_url()).with_transport(tenant.clone()).build().unwrap()
}

fn begun(application: &Application) -> Authorization {
    application.authorize(BACK, [Scope::ReadWorkOrders]).unwrap()
}

/// Where the tenant sends the browser.
fn visited(tenant: &fentu_testing::MockServer, login: &Authorization) -> Url {
    tenant.visit(login.url().as_str()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_code_gives_tokens_that_a_client_lives_on() {
    let tenant = fentu_testing::MockServer::builder().with_pkce(fentu_testing::Pkce::Required).in_memory();
    let application = application(&tenant);
    let login = begun(&application);
    let tokens = application.exchange(&login, visited(&tenant, &login).as_str()).await.unwrap();
    let client = tenant.client_builder_with(application.credentials(tokens)).build().unwrap();
    for _ in 0..3 {
        task(&client).await.unwrap();
        sleep(HOUR).await;
    }
    assert_eq!((tenant.counters().logins(), tenant.counters().refused_refreshes()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_another_state_is_refused_before_anything_is_sent() {
    let tenant = fentu_tenant(RefreshTokens::Rotated);
    let application = application(&tenant);
    let (login, other) = (begun(&application), begun(&application));
    let foreign = visited(&tenant, &other);
    let without = format!("{BACK}?code=test-code-1");
    let before = tenant.counters().requests();
    for redirected in [foreign.as_str(), &without] {
        match application.exchange(&login, redirected).await {
            Err(Error::InvalidRequest(error)) => assert_eq!(error.parameter(), "state"),
            other => panic!("{redirected}: {other:?}"),
        }
    }
    assert_eq!(tenant.counters().requests(), before);
    application.exchange(&other, foreign.as_str()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_code_that_comes_twice_is_refused_and_ends_what_it_gave() {
    let tenant = fentu_tenant(RefreshTokens::Rotated);
    let application = application(&tenant);
    let login = begun(&application);
    let redirected = visited(&tenant, &login);
    let tokens = application.exchange(&login, redirected.as_str()).await.unwrap();
    let error = application.exchange(&login, redirected.as_str()).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().code(), Some("invalid_grant"));
    let client = tenant.client_builder_with(application.credentials(tokens)).build().unwrap();
    assert!(matches!(task(&client).await, Err(Error::ReauthRequired(_))));
}

#[tokio::test(start_paused = true)]
async fn a_code_whose_answer_is_lost_is_not_sent_again() {
    let tenant = fentu_tenant(RefreshTokens::Rotated);
    let application = application(&tenant);
    let login = begun(&application);
    tenant.fault(Fault::lost_response().on("POST", "/oauth/token"));
    let error = application.exchange(&login, visited(&tenant, &login).as_str()).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    assert_eq!(asked(&tenant.requests(), "/oauth/token"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_user_who_refuses_is_told_as_such() {
    let tenant = fentu_testing::MockServer::builder().with_consent(Consent::Refused).in_memory();
    let application = application(&tenant);
    let login = begun(&application);
    let error = application.exchange(&login, visited(&tenant, &login).as_str()).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().code(), Some("access_denied"));
    assert_eq!(asked(&tenant.requests(), "/oauth/token"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_code_that_is_too_old_takes_a_new_login() {
    let tenant = fentu_tenant(RefreshTokens::Rotated);
    let application = application(&tenant);
    let login = begun(&application);
    let redirected = visited(&tenant, &login);
    sleep(11 * 60 * SECOND).await;
    let error = application.exchange(&login, redirected.as_str()).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_of_an_application_is_told_at_the_exchange() {
    let tenant = fentu_tenant(RefreshTokens::Rotated);
    let wrong = Application::builder("test-application", "wr0ng");
    let wrong = wrong.with_base_url(tenant.base_url()).with_transport(tenant.clone()).build().unwrap();
    let login = begun(&wrong);
    let error = wrong.exchange(&login, visited(&tenant, &login).as_str()).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().code(), Some("invalid_client"));
    assert!(!format!("{error:?} {wrong:?}").contains("wr0ng"));
}

#[tokio::test(start_paused = true)]
async fn nothing_of_a_login_is_printed() {
    let tenant = fentu_tenant(RefreshTokens::Rotated);
    let application = application(&tenant);
    let login = begun(&application);
    let redirected = visited(&tenant, &login);
    let kept: Value = serde_json::to_value(&login).unwrap();
    let secrets = ["state", "verifier"].map(|name| kept[name].as_str().unwrap().to_owned());
    let words = format!("{} {} test-code-1 test-application-secret", secrets[0], secrets[1]);
    let echo = json!({"error": "invalid_grant", "error_description": words});
    tenant.fault(Fault::body(400, echo.to_string()).on("POST", "/oauth/token"));
    let error = application.exchange(&login, redirected.as_str()).await.unwrap_err();
    let mut printed = format!("{login:?} {login:#?} {application:?}");
    print(&mut printed, &error);
    for secret in [&secrets[1], "test-code-1", "test-application-secret"] {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
}

// The way back to this machine, over real sockets: on the clock of the system, and without a wait.

/// What a connection to the address of a login is answered to these bytes.
async fn said(login: &Url, bytes: &[u8]) -> String {
    let mut stream = connected(login).await;
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    // A connection that is cut instead of closed has said all the same.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}

async fn connected(login: &Url) -> TcpStream {
    let back = back(login);
    TcpStream::connect((back.host_str().unwrap(), back.port().unwrap())).await.unwrap()
}

/// The redirect address in the address of a login.
fn back(login: &Url) -> Url {
    let (_, back) = login.query_pairs().find(|(name, _)| name == "redirect_uri").unwrap();
    back.parse().unwrap()
}

fn get(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes()
}

/// What the browser asks this machine for.
fn target(redirected: &Url) -> Vec<u8> {
    get(&format!("{}?{}", redirected.path(), redirected.query().unwrap()))
}

#[tokio::test]
async fn a_login_comes_back_to_this_machine_whatever_else_knocks() {
    let tenant = fentu_tenant(RefreshTokens::Rotated);
    let application = application(&tenant);
    let login = application.loopback_login([Scope::ReadWorkOrders]).await.unwrap();
    let url = login.url().clone();
    let tokens = tokio::spawn(login.tokens());

    let silent = connected(&url).await;
    let mut unfinished = connected(&url).await;
    unfinished.write_all(b"GET /callback?code=").await.unwrap();
    assert!(said(&url, &get("/favicon.ico")).await.starts_with("HTTP/1.1 404"));
    assert!(said(&url, &get("/callback/else?code=1")).await.starts_with("HTTP/1.1 404"));
    assert_eq!(said(&url, b"\x16\x03\x01\x02\x00\x01\xff\r\n\r\n").await, "");
    assert_eq!(said(&url, &b"x".repeat(20 * 1024)).await, "");
    for foreign in ["/callback", "/callback?code=1&state=other", "/callback?error=access_denied"] {
        let answer = said(&url, &get(foreign)).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{foreign}: {answer}");
    }
    assert!(!tokens.is_finished(), "it waits for the right one");
    assert_eq!(asked(&tenant.requests(), "/oauth/token"), 0);

    let redirected = tenant.visit(url.as_str()).unwrap();
    let answer = said(&url, &target(&redirected)).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("You are logged in"), "{answer}");
    let tokens = tokens.await.unwrap().unwrap();
    let client = tenant.client_builder_with(application.credentials(tokens)).build().unwrap();
    task(&client).await.unwrap();
    drop((silent, unfinished));
}

#[tokio::test]
async fn a_browser_that_comes_back_twice_is_served_once() {
    let tenant = fentu_tenant(RefreshTokens::Rotated);
    let login = application(&tenant).loopback_login([Scope::ReadWorkOrders]).await.unwrap();
    let url = login.url().clone();
    let tokens = tokio::spawn(login.tokens());
    let back = target(&tenant.visit(url.as_str()).unwrap());
    let (mut one, mut other) = (connected(&url).await, connected(&url).await);
    one.write_all(&back).await.unwrap();
    let _ = other.write_all(&back).await;
    tokens.await.unwrap().unwrap();
    let mut answer = String::new();
    one.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!((tenant.counters().logins(), asked(&tenant.requests(), "/oauth/token")), (1, 1));
}

#[tokio::test]
async fn a_user_who_refuses_sees_that_and_the_program_too() {
    let tenant = fentu_testing::MockServer::builder().with_consent(Consent::Refused).in_memory();
    let login = application(&tenant).loopback_login([Scope::ReadWorkOrders]).await.unwrap();
    let url = login.url().clone();
    let tokens = tokio::spawn(login.tokens());
    let answer = said(&url, &target(&tenant.visit(url.as_str()).unwrap())).await;
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("The login failed"), "{answer}");
    let error = tokens.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_browser_that_never_comes_back_is_waited_for_ten_minutes() {
    let tenant = fentu_tenant(RefreshTokens::Rotated);
    let login = application(&tenant).loopback_login([Scope::ReadWorkOrders]).await.unwrap();
    let begun = tokio::time::Instant::now();
    let error = login.tokens().await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert_eq!(begun.elapsed(), 600 * SECOND);
}
