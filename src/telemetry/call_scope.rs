//! The call that a wait belongs to, and the wait's report.

use std::future::{Future, poll_fn};
use std::pin::pin;

use tokio::time::Instant;

use super::Telemetry;
use crate::observer::Wait;
use crate::operation::Operation;

/// The call on whose behalf a policy waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallScope<'a> {
    pub(crate) telemetry: &'a Telemetry,
    pub(crate) operation: &'static Operation,
}

impl<'a> CallScope<'a> {
    /// Awaits a future, and reports the wait unless the future was ready at once.
    pub(crate) async fn wait<T>(self, reason: Wait, future: impl Future<Output = T>) -> T {
        let mut guard = WaitGuard { scope: self, reason, started: None };
        let mut future = pin!(future);
        let value = poll_fn(|context| {
            let polled = future.as_mut().poll(context);
            if polled.is_pending() {
                guard.started.get_or_insert_with(|| self.telemetry.clock.now());
            }
            polled
        });
        value.await
    }

    /// A wait that started at `started`, and is reported when the guard is dropped.
    pub(crate) fn wait_since(self, reason: Wait, started: Instant) -> WaitGuard<'a> {
        WaitGuard { scope: self, reason, started: Some(started) }
    }
}

/// A wait. It is reported when the guard is dropped: at its end, or because the caller was dropped.
#[derive(Debug)]
pub(crate) struct WaitGuard<'a> {
    scope: CallScope<'a>,
    reason: Wait,
    /// `None` as long as nothing had to be waited for.
    started: Option<Instant>,
}

impl Drop for WaitGuard<'_> {
    fn drop(&mut self) {
        if let Some(started) = self.started {
            self.scope.telemetry.waited(self.scope.operation, self.reason, started);
        }
    }
}
