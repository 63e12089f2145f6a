//! Reports what a client does: to `tracing`, and to the client's observer.
//!
//! Every span and event that names its client is created here, as [`observability`](crate::observability) documents them.
//! Without a subscriber and without an observer a call pays for a few comparisons and allocates nothing.

mod attempt_span;
mod call_scope;
mod events;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tokio::time::Instant;
use tracing::Span;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;

pub(crate) use self::attempt_span::AttemptSpan;
pub(crate) use self::call_scope::CallScope;
use crate::clock::Clock;
use crate::observer::{CallOutcome, Event, EventKind, Observer};
use crate::operation::Operation;
use crate::vendor::Vendor;

/// The `error.type` of a call or an attempt whose future was dropped.
const CANCELLED: &str = "cancelled";

/// Reports what one client does.
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

    /// Whether an observer or a subscriber may want to see calls.
    pub(crate) fn is_enabled(&self) -> bool {
        self.observer.is_some() || LevelFilter::current() >= LevelFilter::INFO
    }

    pub(crate) fn vendor(&self) -> &'static Vendor {
        self.vendor
    }

    /// Opens the span of a call.
    pub(crate) fn call_span(&self, operation: &'static Operation) -> Span {
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

    /// Reports the end of a call, which has been sent `attempts` times.
    pub(crate) fn call_ended(
        &self,
        span: &Span,
        operation: &'static Operation,
        outcome: CallOutcome<'_>,
        attempts: u32,
        started: Instant,
    ) {
        if !span.is_disabled() {
            span.record("attempts", attempts);
            match outcome {
                CallOutcome::Succeeded => {}
                CallOutcome::Failed(error) => record_error(span, error.kind()),
                CallOutcome::Cancelled => record_error(span, CANCELLED),
            }
        }
        if self.observer.is_some() {
            let elapsed = self.clock.now() - started;
            self.notify(Some(operation), EventKind::Call { outcome, attempts, elapsed });
        }
    }

    /// Opens the span of a token refresh. It is no child of a call: the call that started it may be gone before it ends.
    pub(crate) fn refresh_span(&self) -> Span {
        let span = tracing::info_span!(
            parent: None,
            "servicebay.token_refresh",
            otel.kind = "internal",
            otel.status_code = Empty,
            vendor = self.vendor.name,
            tenant = self.tenant(),
            "error.type" = Empty,
        );
        span.follows_from(Span::current());
        span
    }

    fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    fn notify(&self, operation: Option<&'static Operation>, kind: EventKind<'_>) {
        let Some(observer) = &self.observer else { return };
        let event = Event { vendor: self.vendor.name, tenant: self.tenant(), operation, kind };
        // The observer holds no state of the client, so a panic in it leaves the client intact.
        if catch_unwind(AssertUnwindSafe(|| observer.observe(&event))).is_err() {
            self.observer_panicked(operation);
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Telemetry").field("is_observed", &self.observer.is_some()).finish_non_exhaustive()
    }
}

/// Marks a span as failed.
fn record_error(span: &Span, error_type: &str) {
    span.record("error.type", error_type).record("otel.status_code", "ERROR");
}
