//! The span of one attempt, named and filled in as OpenTelemetry's conventions for HTTP clients demand.

use std::fmt;

use http::{Method, StatusCode};
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;
use url::Url;

use super::{CANCELED, Telemetry, record_error};
use crate::observer::EventKind;
use crate::operation::Operation;
use crate::transport::{HttpError, HttpResponse, status};

/// The span of an attempt. Dropping it before it is finished reports the attempt as canceled.
#[derive(Debug)]
pub(crate) struct AttemptSpan<'a> {
    telemetry: &'a Telemetry,
    operation: &'static Operation,
    attempt: u32,
    started: Instant,
    span: Span,
    /// What an observer is told of the request; `None` without one.
    observed: Option<(Method, Url)>,
    is_finished: bool,
}

impl Telemetry {
    /// Opens the span of an attempt, which is the `resends`th after the first.
    pub(crate) fn attempt_span(
        &self,
        operation: &'static Operation,
        method: &Method,
        url: &Url,
        resends: u32,
        started: Instant,
    ) -> AttemptSpan<'_> {
        let span = tracing::info_span!(
            "servicebay.attempt",
            otel.name = %SpanName(method, operation, url),
            otel.kind = "client",
            otel.status_code = Empty,
            vendor = self.vendor.name,
            tenant = self.tenant(),
            operation = operation.id(),
            http.request.method = standard_name(method).unwrap_or("_OTHER"),
            http.request.method_original = standard_name(method).is_none().then_some(method.as_str()),
            http.request.resend_count = (resends > 0).then_some(resends),
            http.response.status_code = Empty,
            server.address = url.host_str(),
            server.port = url.port_or_known_default(),
            url.full = url.as_str(),
            url.template = template(operation, url),
            "error.type" = Empty,
            request_id = Empty,
        );
        let observed = self.observer.is_some().then(|| (method.clone(), url.clone()));
        AttemptSpan { telemetry: self, operation, attempt: resends + 1, started, span, observed, is_finished: false }
    }
}

impl AttemptSpan<'_> {
    /// The span that the attempt runs in.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Reports the outcome of the attempt. `request_id` returns the vendor's id of the request, without any secret in it.
    pub(crate) fn finish(
        mut self,
        outcome: &Result<HttpResponse, HttpError>,
        request_id: impl FnOnce(&HttpResponse) -> Option<String>,
    ) {
        self.is_finished = true;
        let status = status(outcome);
        // OpenTelemetry: every 4xx and 5xx is an error of a client span.
        let error_type = match outcome {
            Ok(response) => {
                let is_error = response.status.is_client_error() || response.status.is_server_error();
                is_error.then_some(response.status.as_str())
            }
            Err(error) => Some(error.kind()),
        };
        if !self.span.is_disabled() {
            self.span.record("http.response.status_code", status.map(|status| status.as_u16()));
            if let Ok(response) = outcome {
                self.span.record("request_id", request_id(response));
            }
            if let Some(error_type) = error_type {
                record_error(&self.span, error_type);
            }
        }
        self.notify(status, error_type);
    }

    fn notify(&self, status: Option<StatusCode>, error_type: Option<&str>) {
        if let Some((method, url)) = &self.observed {
            let elapsed = self.telemetry.clock.now() - self.started;
            let kind = EventKind::Attempt { attempt: self.attempt, method, url, status, error_type, elapsed };
            self.telemetry.notify(Some(self.operation), kind);
        }
    }
}

impl Drop for AttemptSpan<'_> {
    fn drop(&mut self) {
        if !self.is_finished {
            record_error(&self.span, CANCELED);
            self.notify(None, Some(CANCELED));
        }
    }
}

/// The name that OpenTelemetry gives the span of an HTTP client: the method and, if there is one, the URL template.
struct SpanName<'a>(&'a Method, &'static Operation, &'a Url);

impl fmt::Display for SpanName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(method, operation, url) = self;
        f.write_str(standard_name(method).unwrap_or("HTTP"))?;
        match template(operation, url) {
            Some(template) => write!(f, " {template}"),
            None => Ok(()),
        }
    }
}

/// The name of a method of RFC 9110, or of PATCH. Any other method is arbitrary text, and must not name a span.
fn standard_name(method: &Method) -> Option<&str> {
    let names = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    names.contains(&method.as_str()).then(|| method.as_str())
}

/// The whole path of a URL with its parameters in braces; `None` for an endpoint that is not modeled.
fn template(operation: &Operation, url: &Url) -> Option<String> {
    // Parameters are escaped, so the operation's part of the path has as many slashes as its template.
    let depth = operation.path().matches('/').count();
    let (start, _) = url.path().rmatch_indices('/').nth(depth.checked_sub(1)?)?;
    (operation.path() != "/").then(|| format!("{}{}", &url.path()[..start], operation.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_the_whole_path_without_parameter_values() {
        static ORDER: Operation = Operation::new("get_order", Method::GET, "/orders/{id}");
        static LOGIN: Operation = Operation::new("login", Method::POST, "/oauth/token");
        static ANY: Operation = Operation::new("request", Method::GET, "/");
        for (operation, url, expected) in [
            (&ORDER, "https://a.example/api/v3/orders/7%2F8?x=/", Some("/api/v3/orders/{id}")),
            (&ORDER, "https://a.example/orders/7", Some("/orders/{id}")),
            (&LOGIN, "https://a.example/oauth/token", Some("/oauth/token")),
            (&ANY, "https://a.example/api/v3/orders/7", None),
        ] {
            assert_eq!(template(operation, &url.parse().unwrap()).as_deref(), expected, "{url}");
        }
    }

    #[test]
    fn a_method_that_is_not_standard_does_not_name_a_span() {
        static ANY: Operation = Operation::new("request", Method::POST, "/");
        let url = "https://a.example/x".parse().unwrap();
        let brew = Method::from_bytes(b"BREW").unwrap();
        assert_eq!(SpanName(&brew, &ANY, &url).to_string(), "HTTP");
        assert_eq!(SpanName(&Method::PATCH, &ANY, &url).to_string(), "PATCH");
    }
}
