//! Maps what a client does to OpenTelemetry metrics.
//!
//! | metric | instrument | unit | attributes |
//! | --- | --- | --- | --- |
//! | `http.client.request.duration` | histogram | s | `http.request.method` `server.address` `server.port` `url.scheme` `http.response.status_code` `error.type` |
//! | `servicebay.call.duration` | histogram | s | `servicebay.outcome` |
//! | `servicebay.wait.duration` | histogram | s | `servicebay.wait.reason` |
//! | `servicebay.retries` | counter | {retry} | `error.type` |
//! | `servicebay.rate_limit.rejections` | counter | {rejection} | |
//! | `servicebay.rate_limit.remaining` | gauge | {request} | |
//! | `servicebay.token.refresh.duration` | histogram | s | `error.type` |
//!
//! The first follows the semantic conventions for HTTP clients, and all have `servicebay.vendor` and, if it is known,
//! `servicebay.operation`. The tenant is no attribute: with thousands of tenants there would be as many time series of each metric.
//! A program with few may add it.

use http::{Method, StatusCode};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};
use servicebay::{CallOutcome, Event, EventKind, Observer, RateLimit};

/// The buckets that the conventions recommend for `http.client.request.duration`, in seconds.
pub(crate) const HTTP_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];
/// The buckets of calls and waits, which take as long as rate limits last.
const WAIT_BUCKETS: [f64; 12] = [0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 600.0, 3600.0];

/// Records metrics. One observer serves all clients of a program.
#[derive(Clone, Debug)]
pub(crate) struct OtelObserver {
    requests: Histogram<f64>,
    calls: Histogram<f64>,
    waits: Histogram<f64>,
    refreshes: Histogram<f64>,
    retries: Counter<u64>,
    rejections: Counter<u64>,
}

impl OtelObserver {
    pub(crate) fn new(meter: &Meter) -> Self {
        let histogram = |name, description, buckets: &[f64]| {
            let histogram = meter.f64_histogram(name).with_unit("s").with_description(description);
            histogram.with_boundaries(buckets.to_vec()).build()
        };
        let counter =
            |name, unit, description| meter.u64_counter(name).with_unit(unit).with_description(description).build();
        Self {
            requests: histogram("http.client.request.duration", "Duration of HTTP client requests.", &HTTP_BUCKETS),
            calls: histogram("servicebay.call.duration", "Duration of calls, with waits and retries.", &WAIT_BUCKETS),
            waits: histogram("servicebay.wait.duration", "Time that calls waited before a request.", &WAIT_BUCKETS),
            refreshes: histogram("servicebay.token.refresh.duration", "Duration of token refreshes.", &WAIT_BUCKETS),
            retries: counter("servicebay.retries", "{retry}", "Failed requests that were sent again."),
            rejections: counter("servicebay.rate_limit.rejections", "{rejection}", "Requests that the limit rejected."),
        }
    }
}

impl Observer for OtelObserver {
    fn observe(&self, event: &Event<'_>) {
        let mut attributes = vec![KeyValue::new("servicebay.vendor", event.vendor)];
        attributes.extend(event.operation.map(|operation| KeyValue::new("servicebay.operation", operation.id())));
        match event.kind {
            EventKind::Attempt { method, url, status, error_type, elapsed, .. } => {
                attributes.push(KeyValue::new("http.request.method", method_name(method)));
                attributes.push(KeyValue::new("url.scheme", url.scheme().to_owned()));
                attributes.extend(url.host_str().map(|host| KeyValue::new("server.address", host.to_owned())));
                let port = url.port_or_known_default();
                attributes.extend(port.map(|port| KeyValue::new("server.port", i64::from(port))));
                attributes.extend(status.map(status_code));
                attributes.extend(error_type.map(|error| KeyValue::new("error.type", error.to_owned())));
                self.requests.record(elapsed.as_secs_f64(), &attributes);
            }
            EventKind::Call { outcome, elapsed, .. } => {
                let outcome = match outcome {
                    CallOutcome::Succeeded => "success",
                    CallOutcome::Failed(error) => error.kind(),
                    _ => "canceled",
                };
                attributes.push(KeyValue::new("servicebay.outcome", outcome));
                self.calls.record(elapsed.as_secs_f64(), &attributes);
            }
            EventKind::Wait { reason, waited, .. } => {
                attributes.push(KeyValue::new("servicebay.wait.reason", reason.as_str()));
                self.waits.record(waited.as_secs_f64(), &attributes);
            }
            EventKind::Retry { error_type, .. } => {
                attributes.push(KeyValue::new("error.type", error_type.to_owned()));
                self.retries.add(1, &attributes);
            }
            EventKind::RateLimited { .. } => self.rejections.add(1, &attributes),
            EventKind::Refresh { error_type, elapsed, .. } => {
                attributes.extend(error_type.map(|error| KeyValue::new("error.type", error)));
                self.refreshes.record(elapsed.as_secs_f64(), &attributes);
            }
            _ => {}
        }
    }
}

/// Reports what remains of a tenant's limit each time that metrics are collected. `rate_limit` is the method of the client.
pub(crate) fn report_remaining(
    meter: &Meter,
    vendor: &'static str,
    rate_limit: impl Fn() -> RateLimit + Send + Sync + 'static,
) {
    let gauge = meter.u64_observable_gauge("servicebay.rate_limit.remaining").with_unit("{request}");
    let gauge = gauge.with_description("Requests that are left in the window of the rate limit.");
    let gauge = gauge.with_callback(move |gauge| {
        if let Some(remaining) = rate_limit().remaining() {
            gauge.observe(remaining, &[KeyValue::new("servicebay.vendor", vendor)]);
        }
    });
    // The meter keeps the callback.
    gauge.build();
}

fn status_code(status: StatusCode) -> KeyValue {
    KeyValue::new("http.response.status_code", i64::from(status.as_u16()))
}

/// The conventions know the methods of RFC 9110 and PATCH; any other text would be a time series of its own.
fn method_name(method: &Method) -> String {
    let known = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    if known.contains(&method.as_str()) { method.to_string() } else { "_OTHER".to_owned() }
}
