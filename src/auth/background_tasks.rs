//! Counts the tasks besides refreshes and saves that may bring or end tokens: code exchanges, new logins and revocations.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The tasks besides refreshes and saves that may bring or end tokens.
#[derive(Debug, Default)]
pub(super) struct BackgroundTasks {
    running: AtomicUsize,
    ended: Notify,
}

impl BackgroundTasks {
    pub(super) fn begin(&self) {
        self.running.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn end(&self) {
        self.running.fetch_sub(1, Ordering::AcqRel);
        self.ended.notify_waiters();
    }

    pub(super) fn are_done(&self) -> bool {
        self.running.load(Ordering::Acquire) == 0
    }

    /// The next end of a task; `None` if there is no task.
    pub(super) fn next_end(&self) -> Option<Notified<'_>> {
        // Before the look at the number, so that no end is missed.
        let ended = self.ended.notified();
        (!self.are_done()).then_some(ended)
    }
}
