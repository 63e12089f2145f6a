//! Signals that a client was closed.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::{Either, select};
use tokio::sync::Notify;

/// Whether a client was closed.
#[derive(Debug, Default)]
pub(super) struct CloseSignal {
    is_closed: AtomicBool,
    changed: Notify,
}

impl CloseSignal {
    pub(super) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.changed.notify_waiters();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// The output of a future, or `None` as soon as the client is closed.
    pub(super) async fn unless_closed<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        // Before the look at the flag, so that no signal is missed.
        let changed = pin!(self.changed.notified());
        if self.is_closed() {
            return None;
        }
        match select(changed, pin!(future)).await {
            Either::Left(_) => None,
            Either::Right((output, _)) => Some(output),
        }
    }
}
