//! Spans: one per call and one per attempt, as OpenTelemetry names them.

use std::time::Duration;

use futures_util::FutureExt as _;
use http::Method;
use servicebay::testing::Step;
use servicebay::{Error, fixably};

use super::{Record, Recorder, booking, call, login_client, tokens};
use crate::support::{client, order, refused};

/// The values of these fields in each attempt span.
fn attempts<const N: usize>(recorder: &Recorder, fields: [&str; N]) -> Vec<[Option<String>; N]> {
    let attempts = recorder.named("servicebay.attempt");
    attempts.iter().map(|attempt| fields.map(|field| attempt.field(field).map(str::to_owned))).collect()
}

fn only(recorder: &Recorder, name: &str) -> Record {
    let [record] = recorder.named(name).try_into().unwrap();
    record
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_a_client_span_by_the_conventions_of_opentelemetry() {
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let (client, _script) = client([order().header("x-request-id", "r-17")]);
    client.get_order().id(1).send().await.unwrap();
    drop(guard);
    let attempt = only(&recorder, "servicebay.attempt");
    let fields: Vec<_> = attempt.fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let expected = [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("operation", "get_order"),
        ("otel.kind", "client"),
        ("otel.name", "GET /api/v3/orders/{id}"),
        ("request_id", "r-17"),
        ("server.address", "acme.fixably.com"),
        ("server.port", "443"),
        ("tenant", "acme"),
        ("url.full", "https://acme.fixably.com/api/v3/orders/1"),
        ("url.template", "/api/v3/orders/{id}"),
        ("vendor", "fixably"),
    ];
    assert_eq!(fields, expected);
    assert_eq!(attempt.parent, Some("servicebay.call"));
}

#[tokio::test(start_paused = true)]
async fn a_retried_call_has_a_span_for_each_attempt_and_reports_its_outcome() {
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let (client, _script) = client([refused("30"), Step::status(503), order()]);
    client.get_order().id(1).send().await.unwrap();
    drop(guard);
    let fields = ["http.request.resend_count", "http.response.status_code", "error.type", "otel.status_code"];
    let rows = attempts(&recorder, fields).map_text();
    assert_eq!(rows, ["- 429 429 ERROR", "1 503 503 ERROR", "2 200 - -"]);
    let call = only(&recorder, "servicebay.call");
    let values = ["vendor", "tenant", "operation", "attempts", "error.type"].map(|field| call.field(field));
    assert_eq!(values, [Some("fixably"), Some("acme"), Some("get_order"), Some("3"), None]);
}

/// Formats rows as lines, with a dash for a missing value.
trait MapText {
    fn map_text(self) -> Vec<String>;
}

impl<const N: usize> MapText for Vec<[Option<String>; N]> {
    fn map_text(self) -> Vec<String> {
        let line = |row: [Option<String>; N]| row.map(|cell| cell.unwrap_or_else(|| "-".to_owned())).join(" ");
        self.into_iter().map(line).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_failed_call_reports_its_error_kind_and_its_attempt_the_cause() {
    for (step, attempt, kind) in [
        (Step::dropped(), "- broken ERROR", "outcome_unknown"),
        (Step::truncated(), "200 broken ERROR", "outcome_unknown"),
        (Step::json(200, "late").delay(Duration::from_secs(60)), "- timeout ERROR", "outcome_unknown"),
        (Step::status(404), "404 404 ERROR", "not_found"),
        (Step::status(500), "500 500 ERROR", "server"),
        // A redirect is not an error of the attempt, but of the call.
        (Step::status(302), "302 - -", "api"),
        (Step::body(200, "text/html", "<p>"), "200 - -", "decode"),
    ] {
        let recorder = Recorder::default();
        let guard = recorder.listen();
        let (client, _script) = client([step]);
        let error = client.request(Method::POST, "orders").send::<serde_json::Value>().await.unwrap_err();
        drop(guard);
        let rows = attempts(&recorder, ["http.response.status_code", "error.type", "otel.status_code"]).map_text();
        assert_eq!((rows, error.kind()), (vec![attempt.to_owned()], kind));
        let call = only(&recorder, "servicebay.call");
        assert_eq!((call.field("error.type"), call.field("otel.status_code")), (Some(kind), Some("ERROR")));
    }
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_is_not_modeled_has_no_template_and_is_named_by_its_method() {
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let (client, _script) = client([order(), order()]);
    for method in ["GET", "BREW"] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        client.request(method, "pots/1").send::<serde_json::Value>().await.unwrap();
    }
    drop(guard);
    let fields = ["otel.name", "http.request.method", "http.request.method_original", "url.template"];
    assert_eq!(attempts(&recorder, fields).map_text(), ["GET GET - -", "HTTP _OTHER BREW -"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_request_is_an_attempt_of_the_token_refresh_and_belongs_to_no_call() {
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let client = login_client(|_| tokens(3600).header("x-request-id", "acc3ss and r-18"), booking).build().unwrap();
    call(&client).await.unwrap();
    drop(guard);
    let [login, get] = recorder.named("servicebay.attempt").try_into().unwrap();
    assert_eq!(login.parent, Some("servicebay.token_refresh"));
    assert_eq!(login.field("otel.name"), Some("POST /api/auth/token"));
    assert_eq!((login.field("vendor"), login.field("tenant")), (Some("repairy"), Some("garage")));
    assert_eq!(get.parent, Some("servicebay.call"));
    let token_refresh = only(&recorder, "servicebay.token_refresh");
    assert_eq!((token_refresh.parent, token_refresh.field("error.type")), (None, None));
    let refresh = only(&recorder, "servicebay.refresh");
    assert_eq!((refresh.parent, refresh.field("generation")), (Some("servicebay.token_refresh"), Some("1")));
    let wait = only(&recorder, "servicebay.wait");
    assert_eq!((wait.field("reason"), wait.parent), (Some("token"), Some("servicebay.call")));
}

#[tokio::test(start_paused = true)]
async fn a_failed_token_refresh_reports_why() {
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let reject = |_: &_| Step::json(401, serde_json::json!({"message": "app secret is not known"}));
    call(&login_client(reject, booking).build().unwrap()).await.unwrap_err();
    drop(guard);
    assert_eq!(only(&recorder, "servicebay.token_refresh").field("error.type"), Some("refused"));
    let failure = only(&recorder, "servicebay.refresh_failure");
    assert_eq!((failure.field("error.type"), failure.field("failures")), (Some("refused"), Some("1")));
    let reason = failure.field("reason").unwrap();
    assert!(reason.contains("(401)") && reason.contains("is not known") && !reason.contains("app secret"), "{reason}");
    assert_eq!(only(&recorder, "servicebay.call").field("error.type"), Some("reauth_required"));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_reported_as_cancelled() {
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let (client, _script) = client([order().delay(Duration::from_secs(5))]);
    assert!(client.get_order().id(1).send().now_or_never().is_none());
    drop(guard);
    for name in ["servicebay.call", "servicebay.attempt"] {
        assert_eq!(only(&recorder, name).field("error.type"), Some("canceled"), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_wait_reports_its_reason_and_duration_and_what_is_ready_is_no_wait() {
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let (client, _script) = client([order(), Step::status(503), refused("30"), order()]);
    client.get_order().id(1).send().await.unwrap();
    assert!(recorder.named("servicebay.wait").is_empty());
    client.get_order().id(1).send().await.unwrap();
    drop(guard);
    let waits = recorder.named("servicebay.wait");
    let [backoff, limit] = waits.as_slice() else { panic!("{waits:?}") };
    assert_eq!((limit.field("reason"), backoff.field("reason")), (Some("limit"), Some("backoff")));
    let waited = |wait: &Record| wait.field("waited_ms").unwrap().parse::<u64>().unwrap();
    assert!((29_000..32_000).contains(&waited(limit)), "{limit:?}");
    let retry = only(&recorder, "servicebay.retry");
    let delay: u64 = retry.field("delay_ms").unwrap().parse().unwrap();
    assert!(waited(backoff).abs_diff(delay) <= 2, "{backoff:?} {retry:?}");
    assert_eq!((retry.field("attempt"), retry.field("status")), (Some("1"), Some("503")));
}

#[tokio::test(start_paused = true)]
async fn a_call_with_an_invalid_parameter_is_not_reported() {
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let (client, _script): (fixably::Client, _) = client([]);
    let error = client.get_order().send().await.unwrap_err();
    drop(guard);
    assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
    assert!(recorder.records().is_empty());
}
