//! Tells what a client does: to whoever listens to `tracing`, and to the client's observer.
//!
//! Every span and event of the crate that knows its client is made here, in the words of
//! [`observability`](crate::observability). Where nobody listens a call pays for a few comparisons, and allocates nothing.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use url::Url;

use crate::clock::Clock;
use crate::observer::{Event, EventKind, Observer, Outcome, Wait};
use crate::operation::Operation;
use crate::transport::{HttpError, HttpResponse};
use crate::vendor::Vendor;

/// Tells what one client does.
#[derive(Clone)]
pub(crate) struct Telemetry {
    vendor: &'static Vendor,
    tenant: Option<Arc<str>>,
    observer: Option<Arc<dyn Observer>>,
    clock: Clock,
}

impl Telemetry {
    pub(crate) fn new(
        vendor: &'static Vendor,
        tenant: Option<Arc<str>>,
        observer: Option<Arc<dyn Observer>>,
        clock: Clock,
    ) -> Self {
        Self { vendor, tenant, observer, clock }
    }

    /// Whether anybody may want to hear of a call.
    pub(crate) fn is_heard(&self) -> bool {
        self.observer.is_some() || LevelFilter::current() >= LevelFilter::INFO
    }

    /// The span of a call.
    pub(crate) fn call(&self, operation: &'static Operation) -> Span {
        tracing::info_span!(
            "servicebay.call",
            otel.kind = "internal",
            otel.status_code = Empty,
            vendor = self.vendor.name,
            tenant = self.tenant(),
            operation = operation.id(),
            attempts = Empty,
            "error.type" = Empty,
        )
    }

    /// A call ended.
    pub(crate) fn called(
        &self,
        span: &Span,
        operation: &'static Operation,
        outcome: Outcome<'_>,
        attempts: u32,
        begun: Instant,
    ) {
        if !span.is_disabled() {
            span.record("attempts", attempts);
            match outcome {
                Outcome::Succeeded => {}
                Outcome::Failed(error) => failed(span, error.kind()),
                Outcome::Cancelled => failed(span, CANCELLED),
            }
        }
        if self.observer.is_some() {
            let elapsed = self.clock.now() - begun;
            self.tell(Some(operation), EventKind::Call { outcome, attempts, elapsed });
        }
    }

    /// Begins to tell of an attempt, the `resends`th after the first.
    pub(crate) fn attempt(
        &self,
        operation: &'static Operation,
        method: &Method,
        url: &Url,
        resends: u32,
        begun: Instant,
    ) -> AttemptSpan<'_> {
        let span = tracing::info_span!(
            "servicebay.attempt",
            otel.name = %Name(method, operation, url),
            otel.kind = "client",
            otel.status_code = Empty,
            vendor = self.vendor.name,
            tenant = self.tenant(),
            operation = operation.id(),
            http.request.method = known(method).unwrap_or("_OTHER"),
            http.request.method_original = known(method).is_none().then_some(method.as_str()),
            http.request.resend_count = (resends > 0).then_some(resends),
            http.response.status_code = Empty,
            server.address = url.host_str(),
            server.port = url.port_or_known_default(),
            url.full = url.as_str(),
            url.template = template(operation, url),
            "error.type" = Empty,
            request_id = Empty,
        );
        AttemptSpan { telemetry: self, operation, attempt: resends + 1, begun, span, is_over: false }
    }

    /// The span of a renewal, which belongs to no call: the one that set it off may be gone before it ends.
    pub(crate) fn renewal(&self) -> Span {
        let span = tracing::info_span!(
            parent: None,
            "servicebay.renewal",
            otel.kind = "internal",
            otel.status_code = Empty,
            vendor = self.vendor.name,
            tenant = self.tenant(),
            "error.type" = Empty,
        );
        span.follows_from(Span::current());
        span
    }

    /// A renewal brought the token of this generation.
    pub(crate) fn refreshed(&self, generation: u64, begun: Instant) {
        let elapsed = self.clock.now() - begun;
        tracing::info!(
            name: "servicebay.refresh",
            vendor = self.vendor.name,
            tenant = self.tenant(),
            generation,
            elapsed_ms = milliseconds(elapsed),
            "a new token"
        );
        self.tell(None, EventKind::Refresh { failure: None, elapsed });
    }

    /// A renewal brought no token, for the `failures`th time in a row.
    #[cold]
    pub(crate) fn not_refreshed(&self, why: &'static str, reason: &str, failures: u32, begun: Instant) {
        let elapsed = self.clock.now() - begun;
        failed(&Span::current(), why);
        tracing::warn!(
            name: "servicebay.refresh_failure",
            vendor = self.vendor.name,
            tenant = self.tenant(),
            why,
            reason,
            failures,
            elapsed_ms = milliseconds(elapsed),
            "no new token"
        );
        self.tell(None, EventKind::Refresh { failure: Some(reason), elapsed });
    }

    /// The store of the tokens failed.
    #[cold]
    pub(crate) fn store_failed(&self, reason: &str) {
        tracing::warn!(
            name: "servicebay.store_failure",
            vendor = self.vendor.name,
            tenant = self.tenant(),
            reason,
            "tokens are kept in memory"
        );
    }

    /// A wait ended, as it may for a caller that goes away.
    #[cold]
    pub(crate) fn waited(&self, operation: &'static Operation, why: Wait, begun: Instant) {
        let waited = self.clock.now() - begun;
        tracing::debug!(
            name: "servicebay.wait",
            vendor = self.vendor.name,
            tenant = self.tenant(),
            operation = operation.id(),
            why = why.as_str(),
            waited_ms = milliseconds(waited),
            "a wait ended"
        );
        self.tell(Some(operation), EventKind::Wait { why, waited });
    }

    /// The vendor refused an attempt for the limit.
    #[cold]
    pub(crate) fn refused(&self, operation: &'static Operation, attempt: u32, retry_after: Option<Duration>) {
        tracing::warn!(
            name: "servicebay.refusal",
            vendor = self.vendor.name,
            tenant = self.tenant(),
            operation = operation.id(),
            attempt,
            retry_after_ms = retry_after.map(milliseconds),
            "the vendor refused an attempt for the tenant's limit"
        );
        self.tell(Some(operation), EventKind::Refused { retry_after });
    }

    /// An attempt failed and is repeated after a pause.
    #[cold]
    pub(crate) fn retries(
        &self,
        operation: &'static Operation,
        attempt: u32,
        status: Option<StatusCode>,
        delay: Duration,
    ) {
        tracing::warn!(
            name: "servicebay.retry",
            vendor = self.vendor.name,
            tenant = self.tenant(),
            operation = operation.id(),
            attempt,
            status = status.map(|status| status.as_u16()),
            delay_ms = milliseconds(delay),
            "an attempt failed and is repeated"
        );
        self.tell(Some(operation), EventKind::Retry { attempt, status, delay });
    }

    /// The vendor did not know the token of an attempt.
    #[cold]
    pub(crate) fn rejected(&self, operation: &'static Operation, attempt: u32) {
        tracing::warn!(
            name: "servicebay.rejected_token",
            vendor = self.vendor.name,
            tenant = self.tenant(),
            operation = operation.id(),
            attempt,
            "the vendor does not know the token, and the attempt is repeated with a newer one"
        );
    }

    /// The vendor's first base did not know an address.
    #[cold]
    pub(crate) fn turned(&self, operation: &'static Operation, attempt: u32) {
        tracing::info!(
            name: "servicebay.other_base",
            vendor = self.vendor.name,
            tenant = self.tenant(),
            operation = operation.id(),
            attempt,
            "the vendor does not know the address, and the attempt is repeated at its other base"
        );
    }

    /// A header about the limit makes no sense.
    #[cold]
    pub(crate) fn odd_header(&self, operation: &'static Operation, header: &str, value: &str, why: &'static str) {
        tracing::warn!(
            name: "servicebay.odd_header",
            vendor = self.vendor.name,
            tenant = self.tenant(),
            operation = operation.id(),
            header,
            value,
            why,
            "a rate limit header makes no sense and is ignored"
        );
    }

    pub(crate) fn vendor(&self) -> &'static Vendor {
        self.vendor
    }

    fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    fn tell(&self, operation: Option<&'static Operation>, kind: EventKind<'_>) {
        let Some(observer) = &self.observer else { return };
        let event = Event { vendor: self.vendor.name, tenant: self.tenant(), operation, kind };
        // What an observer breaks in itself is its own to notice; nothing of ours is in its hands.
        if catch_unwind(AssertUnwindSafe(|| observer.observe(&event))).is_err() {
            tracing::error!(
                name: "servicebay.observer_panic",
                vendor = self.vendor.name,
                tenant = self.tenant(),
                operation = operation.map(Operation::id),
                "the observer panicked; the client goes on"
            );
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("is_observed", &self.observer.is_some()).finish_non_exhaustive()
    }
}

/// Whose waits are told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallScope<'a> {
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) operation: &'static Operation,
}

impl<'a> CallScope<'a> {
    /// Waits for something, and tells how long that was where it was not there at once.
    pub(crate) async fn waits<T>(self, why: Wait, awaited: impl Future<Output = T>) -> T {
        let mut waiting = WaitGuard { scope: self, why, begun: None };
        let mut awaited = pin!(awaited);
        let value = poll_fn(|context| {
            let polled = awaited.as_mut().poll(context);
            if polled.is_pending() {
                waiting.begun.get_or_insert_with(|| self.telemetry.clock.now());
            }
            polled
        });
        value.await
    }

    /// A wait that has begun, told when what this returns is dropped.
    pub(crate) fn began_to_wait(self, why: Wait, begun: Instant) -> WaitGuard<'a> {
        WaitGuard { scope: self, why, begun: Some(begun) }
    }
}

/// A wait, which is told when it ends: because it is over, or because its caller went away.
#[derive(Debug)]
pub(crate) struct WaitGuard<'a> {
    scope: CallScope<'a>,
    why: Wait,
    /// Nothing where it was no wait.
    begun: Option<Instant>,
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        if let Some(begun) = self.begun {
            self.scope.telemetry.waited(self.scope.operation, self.why, begun);
        }
    }
}

/// One attempt that is being told of. Dropped before it is over, its caller went away.
#[derive(Debug)]
pub(crate) struct AttemptSpan<'a> {
    telemetry: &'a Telemetry,
    operation: &'static Operation,
    attempt: u32,
    begun: Instant,
    span: Span,
    is_over: bool,
}

impl AttemptSpan<'_> {
    /// What the attempt happens in.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// The attempt is over. `request_id` is asked for the vendor's id of it, without any secret in it.
    pub(crate) fn ends(
        mut self,
        outcome: &Result<HttpResponse, HttpError>,
        request_id: impl FnOnce(&HttpResponse) -> Option<String>,
    ) {
        self.is_over = true;
        let status = status(outcome);
        if !self.span.is_disabled() {
            self.span.record("http.response.status_code", status.map(|status| status.as_u16()));
            match outcome {
                Ok(answer) => {
                    self.span.record("request_id", request_id(answer));
                    // A client has failed with every 4xx and 5xx, says OpenTelemetry.
                    if answer.status.is_client_error() || answer.status.is_server_error() {
                        failed(&self.span, answer.status.as_str());
                    }
                }
                Err(lost) => failed(&self.span, lost.kind()),
            }
        }
        self.tell(status);
    }

    fn tell(&self, status: Option<StatusCode>) {
        if self.telemetry.observer.is_some() {
            let elapsed = self.telemetry.clock.now() - self.begun;
            let kind = EventKind::Attempt { attempt: self.attempt, status, elapsed };
            self.telemetry.tell(Some(self.operation), kind);
        }
    }
}

impl Drop for AttemptSpan<'_> {
    fn drop(&mut self) {
        if !self.is_over {
            failed(&self.span, CANCELLED);
            self.tell(None);
        }
    }
}

/// The error type of what its caller did not wait for.
const CANCELLED: &str = "cancelled";

/// The status of an attempt's answer, of which perhaps no more arrived.
pub(crate) fn status(outcome: &Result<HttpResponse, HttpError>) -> Option<StatusCode> {
    match outcome {
        Ok(answer) => Some(answer.status),
        Err(HttpError::Broken(status, _)) => *status,
        Err(HttpError::TooLarge(status)) => Some(*status),
        Err(HttpError::NotSent(_) | HttpError::TimedOut) => None,
    }
}

/// Marks a span as failed, for this kind of reason.
fn failed(span: &Span, kind: &str) {
    span.record("error.type", kind).record("otel.status_code", "ERROR");
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What OpenTelemetry calls a span of an HTTP client: the method and, where there is one, the template of the address.
struct Name<'a>(&'a Method, &'static Operation, &'a Url);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(method, operation, url) = self;
        f.write_str(known(method).unwrap_or("HTTP"))?;
        match template(operation, url) {
            Some(template) => write!(f, " {template}"),
            None => Ok(()),
        }
    }
}

/// The name of a method, where OpenTelemetry knows it: those of RFC 9110, and PATCH. Others are anybody's text.
fn known(method: &Method) -> Option<&str> {
    let names = ["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"];
    names.contains(&method.as_str()).then(|| method.as_str())
}

/// The whole path of an address with its parameters in braces; nothing for an endpoint that is not modelled.
fn template(operation: &Operation, url: &Url) -> Option<String> {
    // Parameters are escaped, so the operation's part has as many slashes in the address as in its template.
    let depth = operation.path().matches('/').count();
    let (start, _) = url.path().rmatch_indices('/').nth(depth.checked_sub(1)?)?;
    (operation.path() != "/").then(|| format!("{}{}", &url.path()[..start], operation.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_a_whole_path_and_holds_no_parameter() {
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
    fn a_method_that_anybody_may_have_made_up_names_no_span() {
        static ANY: Operation = Operation::new("request", Method::POST, "/");
        let url = "https://a.example/x".parse().unwrap();
        let brew = Method::from_bytes(b"BREW").unwrap();
        assert_eq!(Name(&brew, &ANY, &url).to_string(), "HTTP");
        assert_eq!(Name(&Method::PATCH, &ANY, &url).to_string(), "PATCH");
    }
}
