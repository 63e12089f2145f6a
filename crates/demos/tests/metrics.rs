//! The metrics of the example `metrics`, on a paused clock: their names, units, buckets and attributes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

#[path = "../examples/metrics/otel.rs"]
mod otel;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use serde_json::json;
use servicebay::testing::{Script, Step};
use servicebay::{RetryPolicy, repairy};

use self::otel::{HTTP_BUCKETS, OtelObserver, report_remaining};

/// One time series as a line: its name and unit, its attributes by name, and its value or its count, sum and buckets.
fn lines(exporter: &InMemoryMetricExporter) -> Vec<String> {
    let attributes = |attributes: &mut dyn Iterator<Item = &KeyValue>| {
        let mut attributes: Vec<_> = attributes.map(|pair| format!("{}={}", pair.key, pair.value)).collect();
        attributes.sort();
        attributes.join(" ")
    };
    let finished = exporter.get_finished_metrics().unwrap();
    let mut lines = Vec::new();
    for metric in finished.iter().flat_map(|resource| resource.scope_metrics()).flat_map(|scope| scope.metrics()) {
        let name = format!("{} {}", metric.name(), metric.unit());
        assert!(!metric.description().is_empty(), "{name}");
        match metric.data() {
            AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                for point in histogram.data_points() {
                    let (count, sum) = (point.count(), point.sum());
                    lines.push(format!("{name} [{}] {count} in {sum:.1}", attributes(&mut point.attributes())));
                    let is_http = metric.name() == "http.client.request.duration";
                    assert!(!is_http || point.bounds().eq(HTTP_BUCKETS), "{:?}", point.bounds().collect::<Vec<_>>());
                }
            }
            AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                assert!(sum.is_monotonic());
                let points = sum.data_points();
                lines.extend(points.map(|p| format!("{name} [{}] {}", attributes(&mut p.attributes()), p.value())));
            }
            AggregatedMetrics::U64(MetricData::Gauge(gauge)) => {
                let points = gauge.data_points();
                lines.extend(points.map(|p| format!("{name} [{}] {}", attributes(&mut p.attributes()), p.value())));
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    lines.sort();
    lines
}

#[tokio::test(start_paused = true)]
async fn a_login_a_wait_a_retry_and_a_rejection_are_metrics_with_the_attributes_that_the_conventions_require() {
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    let meter = provider.meter("test");
    let tokens = json!({"accessToken": "access", "refreshToken": "refresh", "expiresIn": 172800});
    let script = Script::new([
        Step::json(200, tokens).delay(Duration::from_millis(300)),
        Step::status(429).header("retry-after", "30").delay(Duration::from_millis(100)),
        Step::status(503).delay(Duration::from_secs(2)),
        Step::dropped(),
        Step::json(200, json!({}))
            .header("x-ratelimit-remaining", "41")
            .header("x-ratelimit-reset", "60")
            .delay(Duration::from_millis(200)),
    ]);
    let client = repairy::Client::builder(repairy::Credentials::app("key", "secret", "partner"))
        .with_base_url("https://partner.example/api")
        .with_tenant("garage")
        // Without random delays, all times are known.
        .with_retry(RetryPolicy::new().with_max_delay(Duration::ZERO))
        .with_observer(OtelObserver::new(&meter))
        .with_transport(script)
        .build()
        .unwrap();
    let limits = client.clone();
    report_remaining(&meter, "repairy", move || limits.rate_limit());
    client.get_booking().id("670000000000000000000001").send().await.unwrap();
    provider.force_flush().unwrap();

    let lines = lines(&exporter);
    let request = |operation: &str, method: &str, rest: &str| {
        let (status, error) = rest.split_once(' ').unwrap_or((rest, ""));
        let error = if error.is_empty() { String::new() } else { format!("error.type={error} ") };
        let status = if status == "-" { String::new() } else { format!("http.response.status_code={status} ") };
        format!(
            "http.client.request.duration s [{error}http.request.method={method} {status}server.address=partner.example \
             server.port=443 servicebay.operation={operation} servicebay.vendor=repairy url.scheme=https]"
        )
    };
    let expected = [
        format!("{} 1 in 2.0", request("get_booking", "GET", "503 503")),
        format!("{} 1 in 0.1", request("get_booking", "GET", "429 429")),
        format!("{} 1 in 0.0", request("get_booking", "GET", "- broken")),
        format!("{} 1 in 0.2", request("get_booking", "GET", "200")),
        format!("{} 1 in 0.3", request("access_token", "POST", "200")),
        "servicebay.rate_limit.rejections {rejection} [servicebay.operation=get_booking servicebay.vendor=repairy] 1"
            .to_owned(),
        "servicebay.rate_limit.remaining {request} [servicebay.vendor=repairy] 41".to_owned(),
        "servicebay.retries {retry} [error.type=503 servicebay.operation=get_booking servicebay.vendor=repairy] 1"
            .to_owned(),
        "servicebay.retries {retry} [error.type=broken servicebay.operation=get_booking servicebay.vendor=repairy] 1"
            .to_owned(),
        "servicebay.token.refresh.duration s [servicebay.vendor=repairy] 1 in 0.3".to_owned(),
    ];
    for line in expected {
        assert!(lines.contains(&line), "{line} is not in {lines:#?}");
    }
}
