//! The spans and events of a call.

use tracing::Span;

use super::retry_context::RetryContext;
use crate::error::Error;
use crate::limit::InvalidHeader;
use crate::observer::CallOutcome;
use crate::telemetry::{AttemptSpan, CallScope};

impl<'a> RetryContext<'a> {
    /// Opens the span of the call, if there is an observer or a subscriber. The call runs inside it.
    pub(crate) fn open_span(&mut self) -> Option<Span> {
        if self.pipeline.telemetry.is_enabled() {
            self.span = Some(self.pipeline.telemetry.call_span(self.call.operation));
        }
        self.span.clone()
    }

    /// Reports that the call succeeded. Its response was decoded, so it may be stored.
    pub(crate) fn succeed(&mut self) {
        self.store_in_cache();
        self.close_span(CallOutcome::Succeeded);
    }

    /// Reports that the call failed, and returns the error.
    #[cold]
    pub(crate) fn fail(&mut self, error: Error) -> Error {
        self.close_span(CallOutcome::Failed(&error));
        error
    }

    /// The scope in which policies report the waits of this call.
    pub(crate) fn scope(&self) -> CallScope<'a> {
        CallScope { telemetry: &self.pipeline.telemetry, operation: self.call.operation }
    }

    /// Opens the span of the attempt that is about to start, if the call has one.
    pub(super) fn attempt_span(&self) -> Option<Box<AttemptSpan<'a>>> {
        self.span.as_ref()?;
        let (call, telemetry) = (self.call, &self.pipeline.telemetry);
        let span =
            telemetry.attempt_span(call.operation, &call.method, self.url(), self.attempts, self.phase_started_at);
        Some(Box::new(span))
    }

    /// Reports a rate limit header that cannot be used.
    pub(super) fn invalid_header(&self, header: InvalidHeader<'_>) {
        let value = self.pipeline.auth.cleaned(header.value);
        self.pipeline.telemetry.invalid_header(self.call.operation, header.name, &value, header.why);
    }

    fn close_span(&mut self, outcome: CallOutcome<'_>) {
        if let Some(span) = self.span.take() {
            self.pipeline.telemetry.call_ended(&span, self.call.operation, outcome, self.attempts, self.started_at);
        }
    }
}

impl Drop for RetryContext<'_> {
    fn drop(&mut self) {
        self.close_span(CallOutcome::Canceled);
    }
}
