//! Requests that got no connection in time, and requests that did.
//!
//! A test that waits for a timeout stops the clock once the request is where it should be, and advances it.

#[cfg(all(target_os = "linux", feature = "rustls"))]
use std::env;
#[cfg(all(target_os = "linux", feature = "rustls"))]
use std::process::Command;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use servicebay::{CallOptions, Error, RetryPolicy, fixably};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use super::{client, json as json_response, request, server};
use crate::support::SECRET;
#[cfg(feature = "fisikal")]
use crate::unknown_host::UnknownHost;

/// Longer than any step of a test, shorter than the time to connect.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Starts a call, with a body or without.
pub(super) fn start(client: &fixably::Client, method: &Method, has_body: bool) -> JoinHandle<Error> {
    let mut request = client.request(method.clone(), "orders/1/anything");
    if has_body {
        request = request.json(&json!({"note": "Cracked"}));
    }
    tokio::spawn(async move { request.send::<Value>().await.unwrap_err() })
}

/// Lets the timeout pass.
pub(super) async fn pass(duration: Duration) {
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
}

fn assert_not_sent(error: &Error, shown: &str) {
    assert!(matches!(error, Error::Connect(_)), "{shown}: {error:?}");
    assert!(error.is_retryable() && !error.maybe_applied(), "{shown}: {error:?}");
    assert!(error.to_string().contains("no connection was ready in time"), "{shown}: {error}");
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_request_without_a_connection_in_time_was_not_sent_whatever_its_method() {
    for (method, has_body) in [
        (Method::POST, true),
        (Method::POST, false),
        (Method::PATCH, true),
        (Method::DELETE, false),
        (Method::GET, false),
    ] {
        for options in [
            CallOptions::new().with_operation_timeout(TIMEOUT),
            CallOptions::new().with_attempt_timeout(TIMEOUT).with_retry(RetryPolicy::never()),
        ] {
            let shown = format!("{method} with a body: {has_body}, {options:?}");
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let client = client(&format!("https://{}/api/v3", listener.local_addr().unwrap())).with_options(options);
            let call = start(&client, &method, has_body);
            // The server never responds to the client's part of the handshake.
            let (_stalled, _) = listener.accept().await.unwrap();
            pass(TIMEOUT).await;
            assert_not_sent(&call.await.unwrap(), &shown);
        }
    }
}

#[cfg(feature = "fisikal")]
#[tokio::test]
async fn an_unknown_host_is_not_a_missing_network_and_the_error_names_the_tenant_of_the_vendor() {
    use servicebay::fisikal::{Client, Credentials};

    let retry = RetryPolicy::new().with_max_attempts(1);
    for (credentials, operation, end) in [
        (Credentials::bearer(SECRET), "get_location: ", "; the request was not sent (GET"),
        (Credentials::password("id", "secret", "user", "password"), "access_token: no token: ", " (POST"),
    ] {
        let builder = Client::builder(credentials).with_tenant("acmee").with_retry(retry.clone());
        let client = builder.with_transport(UnknownHost).build().unwrap();
        let error = client.get_location().id(1).send().await.unwrap_err();
        let Error::Connect(call) = &error else { panic!("{error:?}") };
        assert!(call.is_unknown_host());
        let text =
            "there is no host acmee.fisikal.com: check the tenant, which is the name before `.fisikal.com`, and DNS";
        let expected = format!("fisikal {operation}{text}{end}");
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    let builder = Client::builder(Credentials::bearer(SECRET)).with_base_url("https://proxy.example").with_retry(retry);
    let client = builder.with_transport(UnknownHost).build().unwrap();
    let error = client.get_location().id(1).send().await.unwrap_err();
    assert!(error.to_string().contains("there is no host proxy.example: check the base URL and DNS"), "{error}");
}

#[tokio::test]
async fn a_request_that_was_written_may_have_been_applied_with_a_body_or_without() {
    for has_body in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = client(&format!("http://{}/api/v3", listener.local_addr().unwrap()))
            .with_options(CallOptions::new().with_operation_timeout(TIMEOUT));
        let call = start(&client, &Method::POST, has_body);
        let (mut stream, _) = listener.accept().await.unwrap();
        request(&mut stream).await;
        pass(TIMEOUT).await;
        let error = call.await.unwrap();
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{has_body}: {error:?}");
        assert!(error.maybe_applied() && !error.is_retryable(), "{has_body}: {error:?}");
    }
}

/// Runs itself in a process without certificates.
#[cfg(all(target_os = "linux", feature = "rustls"))]
#[tokio::test]
async fn a_machine_without_certificates_calls_only_itself() {
    const MARKER: &str = "SERVICEBAY_TEST_WITHOUT_CERTIFICATES";
    if env::var_os(MARKER).is_none() {
        let test = format!("{}::a_machine_without_certificates_calls_only_itself", module_path!());
        let (_, test) = test.split_once("::").unwrap();
        let process = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(MARKER, "1")
            .env("SSL_CERT_FILE", "/dev/null")
            .env("SSL_CERT_DIR", "/dev/null")
            .output()
            .unwrap();
        let output =
            format!("{}{}", String::from_utf8_lossy(&process.stdout), String::from_utf8_lossy(&process.stderr));
        assert!(process.status.success() && output.contains("1 passed"), "{output}");
        return;
    }
    let (url, _seen) = server(vec![json_response(r#"{"id": 1}"#)]).await;
    client(&url).get_order().id(1).send().await.unwrap();
    let builder = fixably::Client::builder(fixably::Credentials::bearer(SECRET)).with_tenant("acme");
    let error = builder.build().unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error:?}");
    assert!(error.to_string().contains("no certificates of authorities"), "{error}");
    assert!(error.to_string().contains("SSL_CERT_FILE"), "{error}");
}
