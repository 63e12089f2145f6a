//! The error of a call that the rate limit does not allow.

use std::fmt;

use jiff::Timestamp;

use super::call_error::{CallError, is_call_error};

/// An exhausted rate limit, and when to try again.
#[derive(Debug)]
pub struct RateLimitedError {
    pub(crate) call: CallError,
    pub(crate) resume_at: Timestamp,
    pub(crate) limit: Option<u64>,
    pub(crate) remaining: Option<u64>,
}

impl RateLimitedError {
    /// When the limit is expected to have room again: wall time, corrected by the vendor's clock if the vendor sent its
    /// time.
    pub fn resume_at(&self) -> Timestamp {
        self.resume_at
    }

    /// The number of requests in a window, if the vendor reports it.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// The number of requests that were left in the window at the last response, if the vendor reports it.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }
}

is_call_error!(RateLimitedError);

impl fmt::Display for RateLimitedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; try again at {:.0}", self.call, self.resume_at)
    }
}
