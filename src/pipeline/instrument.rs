//! What is told of a call on its way, to whoever listens.

use tracing::Span;

use super::retry_context::RetryContext;
use crate::error::Error;
use crate::limit::InvalidHeader;
use crate::observer::Outcome;
use crate::telemetry::{AttemptSpan, CallScope};

impl<'a> RetryContext<'a> {
    /// Begins to tell of the call, where somebody listens. All of it happens in the span that this returns, until it `ends`.
    pub(crate) fn opens(&mut self) -> Option<Span> {
        if self.pipeline.telemetry.is_heard() {
            self.span = Some(self.pipeline.telemetry.call(self.call.operation));
        }
        self.span.clone()
    }

    /// The call succeeded.
    pub(crate) fn ends(&mut self) {
        self.closes(Outcome::Succeeded);
    }

    /// The call ended with this error, which is handed back.
    #[cold]
    pub(crate) fn ends_with(&mut self, error: Error) -> Error {
        self.closes(Outcome::Failed(&error));
        error
    }

    /// Who waits, where it has to wait.
    pub(super) fn caller(&self) -> CallScope<'a> {
        CallScope { telemetry: &self.pipeline.telemetry, operation: self.call.operation }
    }

    /// An attempt sets out; nothing where nobody listens.
    pub(super) fn attempts(&self) -> Option<Box<AttemptSpan<'a>>> {
        self.span.as_ref()?;
        let (call, telemetry) = (self.call, &self.pipeline.telemetry);
        Some(Box::new(telemetry.attempt(call.operation, &call.method, self.url(), self.sent, self.since)))
    }

    /// A header about the limit makes no sense.
    pub(super) fn notices(&self, odd: InvalidHeader<'_>) {
        let value = self.pipeline.auth.cleaned(odd.value);
        self.pipeline.telemetry.odd_header(self.call.operation, odd.name, &value, odd.why);
    }

    fn closes(&mut self, outcome: Outcome<'_>) {
        if let Some(span) = self.span.take() {
            self.pipeline.telemetry.called(&span, self.call.operation, outcome, self.sent, self.begun);
        }
    }
}

impl Drop for RetryContext<'_> {
    fn drop(&mut self) {
        self.closes(Outcome::Cancelled);
    }
}
