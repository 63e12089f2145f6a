//! The exclusive right to refresh tokens.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::file_lock::{self, FileLock};
use crate::error::StoreError;

/// The exclusive right to refresh the tokens under a key, until it is dropped or lost.
pub struct Lease {
    _guard: Box<dyn Send + Sync>,
    is_held: Option<Box<dyn Fn() -> bool + Send + Sync>>,
    can_be_lost: bool,
}

impl Lease {
    /// A lease that ends when `guard` is dropped. Release it in `drop` itself if you can: the process may end right
    /// afterwards, and then a task that would release it does not run.
    pub fn new(guard: impl Send + Sync + 'static) -> Self {
        Self { _guard: Box::new(guard), is_held: None, can_be_lost: false }
    }

    /// Sets how to find out whether the lease is still held, for a store whose leases can be lost: they expire, or the
    /// connection that holds them breaks. A client asks right before it presents a refresh token, and does not present it
    /// if the lease is lost. Must return immediately.
    ///
    /// Without it, a client that acquires a lease takes it for certain that the last holder has dropped its own or has ended.
    pub fn with_is_held(self, is_held: impl Fn() -> bool + Send + Sync + 'static) -> Self {
        Self { is_held: Some(Box::new(is_held)), can_be_lost: true, ..self }
    }

    /// A lease among the processes of one machine, for a store that has no locks of its own: an exclusive lock on the file at
    /// `path`, which is created if it does not exist. The lock ends with the lease, and with the process.
    ///
    /// Waits until the lock is free. Give each key a file of its own; [`TokenKey::file_name`](crate::TokenKey::file_name) names it.
    /// Choose a folder that only this program's user can write to: another user could hold the lock for ever. If the file is
    /// removed, the lease is lost. On a file system without locks, the lease excludes the users in this process only, and
    /// a warning is logged once.
    ///
    /// # Errors
    ///
    /// [`StoreError`] if the file cannot be opened or locked.
    pub async fn file_lock(path: impl Into<PathBuf>) -> Result<Self, StoreError> {
        file_lock::lock(path.into()).await.map(Self::of_lock)
    }

    /// A lease that ends with a lock.
    pub(super) fn of_lock(lock: FileLock) -> Self {
        let lock = Arc::new(lock);
        let can_be_lost = !lock.excludes_processes();
        let lease = Self::new(Arc::clone(&lock)).with_is_held(move || lock.is_current());
        // A lock whose file was removed is a mistake that the holder notices. Otherwise it ends only when its holder is done.
        Self { can_be_lost, ..lease }
    }

    /// Whether it can end before it is dropped. If not, whoever acquires the next one knows that the last holder is done.
    pub(super) fn can_be_lost(&self) -> bool {
        self.can_be_lost
    }

    /// Whether the lease is still held, as far as the store knows.
    pub fn is_held(&self) -> bool {
        self.is_held.as_ref().is_none_or(|is_held| is_held())
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").finish_non_exhaustive()
    }
}
