//! No secret in anything that can be printed.

use std::fmt::Write as _;

use serde_json::json;
use servicebay::testing::Fault;
use servicebay::{Error, MemoryStore};

use super::{Vendor, WayIn, read};
use crate::observability::Recorder;
use crate::support::print;

/// An answer of the vendor that repeats what it should not, wherever vendors put their words.
fn echo(status: u16, secrets: &[&str]) -> Fault {
    let words = secrets.join(" ");
    let body = json!({
        "error": words, "error_description": words, "message": words, "developerMessage": words, "echo": secrets,
        "errors": [{"on": words, "type": words}],
    });
    Fault::body(status, body.to_string()).with_header("x-request-id", secrets[0])
}

/// Everything that a client shows of itself and of its calls, while the vendor repeats what it was sent.
async fn everything_printed<W: WayIn>() -> String {
    let mut printed = String::new();
    for status in [400, 401, 403, 404, 409, 418, 500] {
        let way = W::new();
        let client = way.builder().with_token_store(MemoryStore::new()).build().unwrap();
        read::<W>(&client).await.unwrap();
        // What the second attempt brings is what the vendor repeats.
        let sent = if status == 401 && !W::RENEWED.is_empty() { W::RENEWED } else { W::SECRETS };
        if status == 401 {
            way.tenant().fault(echo(status, W::SECRETS).on("GET", W::Vendor::READ));
        }
        way.tenant().fault(echo(status, sent).on("GET", W::Vendor::READ).always());
        print(&mut printed, &read::<W>(&client).await.unwrap_err());
        let (status, credentials) = (W::Vendor::status(&client), way.credentials());
        writeln!(printed, "{client:?} {client:#?} {status:?} {credentials:?} {credentials:#?}").unwrap();
        writeln!(printed, "{:?}", way.builder()).unwrap();
    }
    printed
}

fn assert_silent<W: WayIn>(printed: &str) {
    for secret in W::SECRETS.iter().chain(W::RENEWED) {
        let line = printed.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}

pub(super) async fn nothing_that_is_printed_shows_a_secret<W: WayIn>() {
    let printed = everything_printed::<W>().await;
    assert!(printed.contains("[redacted]"), "the vendor's words are told: {printed}");
    assert_silent::<W>(&printed);
}

pub(super) async fn no_span_and_no_event_shows_a_secret<W: WayIn>() {
    let recorder = Recorder::default();
    let listening = recorder.listen();
    everything_printed::<W>().await;
    let way = W::new();
    let client = way.client();
    read::<W>(&client).await.unwrap();
    way.tenant().fault(echo(503, W::SECRETS).on("GET", W::Vendor::READ).times(2));
    way.tenant().fault(echo(429, W::SECRETS).with_header("retry-after", W::SECRETS[0]).on("GET", W::Vendor::READ));
    read::<W>(&client).await.unwrap();
    drop(listening);
    for (name, field) in
        [("servicebay.attempt", "request_id"), ("servicebay.invalid_header", "value"), ("servicebay.retry", "delay_ms")]
    {
        let told = recorder.named(name);
        assert!(told.iter().any(|record| record.field(field).is_some()), "{name} says no {field}: {told:?}");
    }
    assert_silent::<W>(&recorder.text());
}

pub(super) async fn a_token_endpoint_that_repeats_what_it_was_sent_gives_nothing_away<W: WayIn>() {
    let (recorder, mut printed) = (Recorder::default(), String::new());
    let listening = recorder.listen();
    for status in [400, 401, 500] {
        let way = W::new();
        let client = way.client();
        read::<W>(&client).await.unwrap();
        way.tenant().end_access_tokens();
        for path in ["/oauth/token", "/auth/token", "/auth/refresh", "/api/unified/sessions/auth"] {
            way.tenant().fault(echo(status, W::SECRETS).on("POST", path).always());
        }
        let error = read::<W>(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_) | Error::Server(_)), "{error:?}");
        print(&mut printed, &error);
        writeln!(printed, "{client:?} {:?}", W::Vendor::status(&client)).unwrap();
    }
    drop(listening);
    assert!(printed.contains("[redacted]"), "the vendor's words are told: {printed}");
    assert_silent::<W>(&printed);
    assert!(!recorder.named("servicebay.refresh_failure").is_empty());
    assert_silent::<W>(&recorder.text());
}
