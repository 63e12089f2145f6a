//! No secret appears in anything that can be printed.

use std::fmt::Write as _;

use serde_json::json;
use servicebay::testing::Fault;
use servicebay::{Error, MemoryStore};

use super::{AuthCase, Vendor, read};
use crate::observability::Recorder;
use crate::support::print;

/// A response that contains these secrets everywhere that vendors put text.
fn echo(status: u16, secrets: &[&str]) -> Fault {
    let words = secrets.join(" ");
    let body = json!({
        "error": words, "error_description": words, "message": words, "developerMessage": words, "echo": secrets,
        "errors": [{"on": words, "type": words}],
    });
    Fault::body(status, body.to_string()).with_header("x-request-id", secrets[0])
}

/// Everything printable about a client and its calls, while the vendor echoes what it was sent.
async fn everything_printed<C: AuthCase>() -> String {
    let mut printed = String::new();
    for status in [400, 401, 403, 404, 409, 418, 500] {
        let case = C::new();
        let client = case.builder().with_token_store(MemoryStore::new()).build().unwrap();
        read::<C>(&client).await.unwrap();
        // The vendor echoes what the second attempt sent.
        let sent = if status == 401 && !C::REFRESHED_SECRETS.is_empty() { C::REFRESHED_SECRETS } else { C::SECRETS };
        if status == 401 {
            case.server().fault(echo(status, C::SECRETS).on("GET", C::Vendor::READ));
        }
        case.server().fault(echo(status, sent).on("GET", C::Vendor::READ).always());
        print(&mut printed, &read::<C>(&client).await.unwrap_err());
        let (status, credentials) = (C::Vendor::status(&client), case.credentials());
        writeln!(printed, "{client:?} {client:#?} {status:?} {credentials:?} {credentials:#?}").unwrap();
        writeln!(printed, "{:?}", case.builder()).unwrap();
    }
    printed
}

fn assert_silent<C: AuthCase>(printed: &str) {
    for secret in C::SECRETS.iter().chain(C::REFRESHED_SECRETS) {
        let line = printed.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

pub(super) async fn no_printed_value_shows_a_secret<C: AuthCase>() {
    let printed = everything_printed::<C>().await;
    assert!(printed.contains("[redacted]"), "the vendor's message is kept: {printed}");
    assert_silent::<C>(&printed);
}

pub(super) async fn no_span_and_no_event_shows_a_secret<C: AuthCase>() {
    let recorder = Recorder::default();
    let listening = recorder.listen();
    everything_printed::<C>().await;
    let case = C::new();
    let client = case.client();
    read::<C>(&client).await.unwrap();
    case.server().fault(echo(503, C::SECRETS).on("GET", C::Vendor::READ).times(2));
    case.server().fault(echo(429, C::SECRETS).with_header("retry-after", C::SECRETS[0]).on("GET", C::Vendor::READ));
    read::<C>(&client).await.unwrap();
    drop(listening);
    for (name, field) in
        [("servicebay.attempt", "request_id"), ("servicebay.invalid_header", "value"), ("servicebay.retry", "delay_ms")]
    {
        let events = recorder.named(name);
        assert!(events.iter().any(|record| record.field(field).is_some()), "{name} has no {field}: {events:?}");
    }
    assert_silent::<C>(&recorder.text());
}

pub(super) async fn a_token_endpoint_that_echoes_secrets_leaks_none<C: AuthCase>() {
    let (recorder, mut printed) = (Recorder::default(), String::new());
    let listening = recorder.listen();
    for status in [400, 401, 500] {
        let case = C::new();
        let client = case.client();
        read::<C>(&client).await.unwrap();
        case.server().end_access_tokens();
        for path in ["/oauth/token", "/auth/token", "/auth/refresh", "/api/unified/sessions/auth"] {
            case.server().fault(echo(status, C::SECRETS).on("POST", path).always());
        }
        let error = read::<C>(&client).await.unwrap_err();
        assert!(matches!(error, Error::Api(_) | Error::ReauthRequired(_) | Error::Server(_)), "{error:?}");
        print(&mut printed, &error);
        writeln!(printed, "{client:?} {:?}", C::Vendor::status(&client)).unwrap();
    }
    drop(listening);
    assert!(printed.contains("[redacted]"), "the vendor's message is kept: {printed}");
    assert_silent::<C>(&printed);
    assert!(!recorder.named("servicebay.refresh_failure").is_empty());
    assert_silent::<C>(&recorder.text());
}
