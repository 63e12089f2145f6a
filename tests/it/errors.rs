//! Errors: which response leads to which variant, and what each carries.

use secrecy::ExposeSecret as _;
use serde_json::json;
use servicebay::testing::{Script, Step};
use servicebay::{Error, fixably};

use crate::support::{SECRET, client};

async fn failing(step: Step) -> Error {
    let (client, _script) = client([step.repeat()]);
    client.get_order().id(20000010).expand("customer").send().await.unwrap_err()
}

fn kind(error: &Error) -> &'static str {
    match error {
        Error::Api(_) => "api",
        Error::Config(_) => "config",
        Error::Conflict(_) => "conflict",
        Error::Connect(_) => "connect",
        Error::Decode(_) => "decode",
        Error::Forbidden(_) => "forbidden",
        Error::Validation(_) => "validation",
        Error::NotFound(_) => "not found",
        Error::OutcomeUnknown(_) => "outcome unknown",
        Error::RateLimited(_) => "rate limited",
        Error::InvalidRequest(_) => "invalid request",
        Error::Server(_) => "server",
        Error::Timeout(_) => "timeout",
        Error::Unauthorized(_) => "unauthorized",
        _ => "other",
    }
}

#[tokio::test(start_paused = true)]
async fn every_status_maps_to_its_variant() {
    for (status, expected) in [
        (301, "api"),
        (302, "api"),
        (304, "api"),
        (307, "api"),
        (400, "validation"),
        (401, "unauthorized"),
        (402, "api"),
        (403, "forbidden"),
        (404, "not found"),
        (405, "api"),
        (408, "timeout"),
        (409, "conflict"),
        (410, "not found"),
        (412, "conflict"),
        (415, "api"),
        (422, "validation"),
        (429, "rate limited"),
        (451, "api"),
        (500, "server"),
        (501, "server"),
        (502, "server"),
        (503, "server"),
        (504, "server"),
        (520, "server"),
        (522, "server"),
        (524, "server"),
        (530, "server"),
        (599, "server"),
    ] {
        let error = failing(Step::status(status)).await;
        assert_eq!(kind(&error), expected, "{status}: {error:?}");
        assert_eq!(error.call_error().unwrap().status().unwrap(), status);
        assert!(!error.maybe_applied(), "a read changes nothing: {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_carries_the_details_of_its_call() {
    let body = json!({"status": 404, "developerMessage": "Order not found", "moreInfo": {"ticket": 7}});
    let error = failing(Step::json(404, body).header("x-request-id", "req-9")).await;
    let call = error.call_error().unwrap();
    assert_eq!((call.vendor(), call.tenant()), ("fixably", Some("acme")));
    assert_eq!((call.operation().id(), call.method().as_str()), ("get_order", "GET"));
    assert_eq!(call.url().as_str(), "https://acme.fixably.com/api/v3/orders/20000010?expand=customer");
    assert_eq!(call.request_id(), Some("req-9"));
    assert_eq!((call.attempts(), call.message()), (1, Some("Order not found")));
    let payload: serde_json::Value = error.payload().unwrap();
    assert_eq!(payload["moreInfo"]["ticket"], 7);
}

#[tokio::test(start_paused = true)]
async fn the_display_is_one_line_with_the_vendors_message() {
    let error =
        failing(Step::json(404, json!({"developerMessage": "No\nsuch\torder"})).header("x-request-id", "r1")).await;
    assert_eq!(
        error.to_string(),
        "fixably get_order: 404, no such object, or these credentials may not see it: check the id and the tenant: \
         \"No such order\" \
         (GET /api/v3/orders/20000010 of acme, request id r1)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_long_message_is_cut_in_the_display_and_kept_in_the_error() {
    let long = "x".repeat(100_000);
    let error = failing(Step::json(400, json!({"developerMessage": long}))).await;
    assert!(error.to_string().len() < 600, "{}", error.to_string().len());
    assert_eq!(error.call_error().unwrap().message().unwrap().len(), 100_000);
}

#[tokio::test(start_paused = true)]
async fn the_display_does_not_repeat_the_source() {
    let error = failing(Step::dropped()).await;
    let source = std::error::Error::source(&error).expect("the cause").to_string();
    assert!(!error.to_string().contains(&source), "{error} / {source}");
}

#[tokio::test(start_paused = true)]
async fn a_403_names_the_missing_scope() {
    let (client, _script) = client([Step::json(403, json!({"developerMessage": "Forbidden"}))]);
    let update = fixably::types::OrderUpdate::new().status(450);
    match client.update_order().id(1).body(update).send().await {
        Err(error @ Error::Forbidden(_)) => {
            assert!(error.is_auth() && !error.is_retryable());
            assert_eq!(error.call_error().unwrap().operation().required_scopes(), ["orders:update"]);
            assert!(error.to_string().contains("orders:update"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_support_report_contains_what_support_asks_for() {
    let error = failing(Step::json(500, json!({"developerMessage": "Oops"})).header("x-request-id", "r1")).await;
    let report = error.support_report();
    for part in [
        "acme",
        "servicebay/",
        "GET https://acme.fixably.com/api/v3/orders/20000010?expand=customer",
        "500",
        "r1",
        "Oops",
        "3 in",
    ] {
        assert!(report.contains(part), "{part} is missing in\n{report}");
    }
    assert!(!report.contains(SECRET), "{report}");
    let time = report.lines().find_map(|line| line.strip_prefix("time")).expect("a time").trim();
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{time}");
}

#[tokio::test]
async fn a_support_report_names_the_client_of_the_vendors_settings() {
    let script = Script::new([Step::status(404)]);
    let credentials = fixably::Credentials::bearer(SECRET).with_client_name("Night sync\nattempts   0");
    let client = fixably::Client::builder(credentials).with_tenant("acme").with_transport(script).build().unwrap();
    let report = client.get_order().id(1).await.unwrap_err().support_report();
    assert!(report.contains("\nAPI client Night sync attempts   0\n"), "{report}");
    assert!(!report.contains(SECRET), "{report}");
}

#[tokio::test]
async fn the_current_token_is_the_one_that_calls_send() {
    for (credentials, scheme) in
        [(fixably::Credentials::bearer(SECRET), "Bearer "), (fixably::Credentials::user_token(SECRET), "")]
    {
        let script = Script::new([crate::support::order()]);
        let builder = fixably::Client::builder(credentials).with_tenant("acme").with_transport(script.clone());
        let client = builder.build().unwrap();
        assert_eq!(client.current_token().await.unwrap().expose_secret(), SECRET);
        client.get_order().id(1).await.unwrap();
        assert_eq!(script.requests()[0].headers["authorization"], format!("{scheme}{SECRET}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_not_followed_and_the_error_names_its_target() {
    let step = Step::status(302).header("location", "https://evil.example/login?token=abc");
    let error = failing(step).await;
    assert!(matches!(error, Error::Api(_)), "{error:?}");
    assert!(error.to_string().contains("https://evil.example/login,"), "{error}");
    assert!(!error.to_string().contains("token=abc"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_304_is_not_modified_and_not_redirected() {
    let error = failing(Step::status(304)).await;
    assert!(error.to_string().contains("304, not modified since the version that the request names"), "{error}");
    assert!(!error.to_string().contains("redirect"), "{error}");
    assert!(!error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn a_redirected_write_may_have_been_applied() {
    let (client, _script) = client([Step::status(303)]);
    let error = client.create_order().body(fixably::types::OrderCreate::new()).send().await.unwrap_err();
    assert!(error.maybe_applied(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_response_cannot_be_decoded_was_maybe_applied() {
    let (client, _script) = client([Step::body(201, "text/html", "<html>")]);
    let error = client.create_order().body(fixably::types::OrderCreate::new()).send().await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.maybe_applied() && !error.is_retryable());
}
