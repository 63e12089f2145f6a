//! The events of a client. All have the same first fields: the vendor, the tenant and, if there is one, the operation.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;
use tracing::{Level, Span};

use super::{Telemetry, record_error};
use crate::lenient::ReadReport;
use crate::list_changes::ListChanges;
use crate::observer::{CacheUse, EventKind, Wait};
use crate::operation::Operation;

/// Emits an event of the client. In braces stand the fields that only this event has.
macro_rules! event {
    ($level:ident, $name:literal, $message:literal, $telemetry:expr, $(operation = $operation:expr,)? { $($field:tt)* }) => {
        tracing::event!(
            name: $name,
            // Not the path of this module, which means nothing to a reader of the log.
            target: "servicebay",
            Level::$level,
            vendor = $telemetry.vendor.name,
            tenant = $telemetry.tenant(),
            $(operation = $operation,)?
            $($field)*
            $message
        )
    };
}

impl Telemetry {
    /// A wait ended, or its caller was dropped.
    #[cold]
    pub(crate) fn waited(&self, operation: &'static Operation, reason: Wait, started: Instant) {
        let waited = self.clock.now() - started;
        event!(DEBUG, "servicebay.wait", "the call waited", self, operation = operation.id(), {
            reason = reason.as_str(),
            waited_ms = milliseconds(waited),
        });
        self.notify(Some(operation), EventKind::Wait { reason, waited });
    }

    /// A call returns a stored response.
    #[cold]
    pub(crate) fn used_cached(&self, operation: &'static Operation, cache_use: CacheUse) {
        let id = operation.id();
        event!(DEBUG, "servicebay.cached_response", "a call returned a stored response", self, operation = id, {
            cache_use = cache_use.as_str(),
        });
        self.notify(Some(operation), EventKind::CachedResponse { cache_use });
    }

    /// An attempt failed, and will be repeated after `delay`. `http_error` is the kind of its [`HttpError`], if there was one.
    ///
    /// [`HttpError`]: crate::transport::HttpError
    #[cold]
    pub(crate) fn retrying(
        &self,
        operation: &'static Operation,
        attempt: u32,
        status: Option<StatusCode>,
        http_error: Option<&'static str>,
        delay: Duration,
    ) {
        let error_type = http_error.or_else(|| status.as_ref().map(StatusCode::as_str)).unwrap_or("unknown");
        event!(WARN, "servicebay.retry", "an attempt failed and will be repeated after a delay", self, operation = operation.id(), {
            attempt,
            "error.type" = error_type,
            status = status.map(|status| status.as_u16()),
            delay_ms = milliseconds(delay),
        });
        self.notify(Some(operation), EventKind::Retry { attempt, status, error_type, delay });
    }

    /// The vendor's rate limit rejected an attempt.
    #[cold]
    pub(crate) fn rate_limited(&self, operation: &'static Operation, attempt: u32, retry_after: Option<Duration>) {
        let id = operation.id();
        event!(WARN, "servicebay.rate_limited", "the vendor's rate limit rejected an attempt", self, operation = id, {
            attempt,
            retry_after_ms = retry_after.map(milliseconds),
        });
        self.notify(Some(operation), EventKind::RateLimited { retry_after });
    }

    /// The vendor rejected the token of an attempt, which will be repeated with a newer one.
    #[cold]
    pub(crate) fn reauthorizing(&self, operation: &'static Operation, attempt: u32) {
        event!(WARN, "servicebay.reauthorize", "the vendor rejected the token; the attempt will be repeated with a new one", self, operation = operation.id(), {
            attempt,
        });
    }

    /// The vendor responded with 404 at one base URL, and the attempt will be repeated at the other.
    #[cold]
    pub(crate) fn switched_base_url(&self, operation: &'static Operation, attempt: u32) {
        let id = operation.id();
        event!(INFO, "servicebay.switched_base_url", "trying the alternative base URL", self, operation = id, {
            attempt,
        });
    }

    /// A rate limit header makes no sense.
    #[cold]
    pub(crate) fn invalid_header(
        &self,
        operation: &'static Operation,
        header: &str,
        value: &str,
        problem: &'static str,
    ) {
        let id = operation.id();
        event!(WARN, "servicebay.invalid_header", "ignored an invalid rate limit header", self, operation = id, {
            header,
            value,
            problem,
        });
    }

    /// A successful response could be read, but not all in it was as it should be. Each value that was left out has an event of its
    /// own already.
    #[cold]
    pub(crate) fn read_leniently(&self, operation: &'static Operation, report: &ReadReport, bytes: usize) {
        if report.is_repaired {
            let id = operation.id();
            event!(WARN, "servicebay.repaired_body", "repaired a body that was not valid JSON", self, operation = id, {
                bytes,
            });
            self.notify(Some(operation), EventKind::RepairedBody { bytes });
        }
        if report.skipped_elements > 0 {
            let id = operation.id();
            event!(WARN, "servicebay.skipped_elements", "elements of a list could not be read and are missing from it", self, operation = id, {
                elements = report.skipped_elements,
            });
        }
        if report.skipped > 0 {
            let kind = EventKind::SkippedValues { count: report.skipped, values: &report.described };
            self.notify(Some(operation), kind);
        }
    }

    /// A page showed that its list changed, or that items are missing.
    #[cold]
    pub(crate) fn list_changed(&self, operation: &'static Operation, changes: ListChanges) {
        let id = operation.id();
        let (total_before, total_now, repeated) = (changes.total_before(), changes.total_now(), changes.repeated());
        let (maybe_missed, maybe_repeated) = (changes.maybe_missed(), changes.maybe_repeated());
        if maybe_missed + maybe_repeated > 0 {
            event!(WARN, "servicebay.list_loss", "items of a list may be missing or repeated", self, operation = id, {
                total_before,
                total_now,
                repeated,
                maybe_missed,
                maybe_repeated,
            });
        } else {
            event!(INFO, "servicebay.list_changed", "the list changed while it was read; no item is missing or repeated", self, operation = id, {
                total_before,
                total_now,
                repeated,
            });
        }
        self.notify(Some(operation), EventKind::ListChanged { changes });
    }

    /// A refresh produced the token of this generation.
    pub(crate) fn refreshed(&self, generation: u64, started: Instant) {
        let elapsed = self.clock.now() - started;
        event!(INFO, "servicebay.refresh", "a new token is in use", self, {
            generation,
            elapsed_ms = milliseconds(elapsed),
        });
        self.notify(None, EventKind::Refresh { failure: None, error_type: None, elapsed });
    }

    /// A refresh produced no token, `failures` times in a row by now.
    #[cold]
    pub(crate) fn refresh_failed(&self, error_type: &'static str, reason: &str, failures: u32, started: Instant) {
        let elapsed = self.clock.now() - started;
        record_error(&Span::current(), error_type);
        event!(WARN, "servicebay.refresh_failure", "could not get a new token", self, {
            "error.type" = error_type,
            reason,
            failures,
            elapsed_ms = milliseconds(elapsed),
        });
        self.notify(None, EventKind::Refresh { failure: Some(reason), error_type: Some(error_type), elapsed });
    }

    /// The token store failed.
    #[cold]
    pub(crate) fn store_failed(&self, reason: &str) {
        event!(WARN, "servicebay.store_failure", "the token store failed; memory holds the tokens", self, {
            reason,
        });
    }

    /// The client's observer panicked.
    #[cold]
    pub(super) fn observer_panicked(&self, operation: Option<&'static Operation>) {
        let id = operation.map(Operation::id);
        event!(
            ERROR,
            "servicebay.observer_panic",
            "the observer panicked; the client goes on",
            self,
            operation = id,
            {}
        );
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
