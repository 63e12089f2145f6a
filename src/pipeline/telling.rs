//! What is told of a call on its way, to whoever listens.

use tracing::Span;

use super::journey::Journey;
use crate::error::Error;
use crate::limit::OddHeader;
use crate::observer::Outcome;
use crate::trace::{Attempt, Caller};

impl<'a> Journey<'a> {
    /// Begins to tell of the call, where somebody listens. All of it happens in the span that this returns, until it `ends`.
    pub(crate) fn opens(&mut self) -> Option<Span> {
        if self.pipeline.teller.is_heard() {
            self.span = Some(self.pipeline.teller.call(self.call.operation));
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
    pub(super) fn caller(&self) -> Caller<'a> {
        Caller { teller: &self.pipeline.teller, operation: self.call.operation }
    }

    /// An attempt sets out; nothing where nobody listens.
    pub(super) fn attempts(&self) -> Option<Box<Attempt<'a>>> {
        self.span.as_ref()?;
        let (call, teller) = (self.call, &self.pipeline.teller);
        Some(Box::new(teller.attempt(call.operation, &call.method, self.url(), self.sent, self.since)))
    }

    /// A header about the limit makes no sense.
    pub(super) fn notices(&self, odd: OddHeader<'_>) {
        let value = self.pipeline.auth.cleaned(odd.value);
        self.pipeline.teller.odd_header(self.call.operation, odd.name, &value, odd.why);
    }

    fn closes(&mut self, outcome: Outcome<'_>) {
        if let Some(span) = self.span.take() {
            self.pipeline.teller.called(&span, self.call.operation, outcome, self.sent, self.begun);
        }
    }
}

impl Drop for Journey<'_> {
    fn drop(&mut self) {
        self.closes(Outcome::Cancelled);
    }
}
