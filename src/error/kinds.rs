//! What a kind of error carries beyond its [`CallError`].

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;

use jiff::Timestamp;

use super::{CallError, Postponed};

/// A spent rate limit: when to come back.
#[derive(Debug)]
pub struct RateLimitedError {
    pub(crate) failure: CallError,
    pub(crate) resume_at: Timestamp,
    pub(crate) limit: Option<u64>,
    pub(crate) remaining: Option<u64>,
}

impl RateLimitedError {
    /// When the limit is expected to have room again. Wall time, corrected by the vendor's clock where it told its
    /// time.
    pub fn resume_at(&self) -> Timestamp {
        self.resume_at
    }

    /// The call as a value that a job queue can store, and resume when there is room.
    pub fn postpone(&self) -> Postponed {
        Postponed::of(self)
    }

    /// Requests in a window, where the vendor says.
    pub fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Requests left in the window at the last answer, where the vendor says.
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }
}

impl fmt::Display for RateLimitedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; room again at {:.0}", self.failure, self.resume_at)
    }
}

/// An answer that could not be read: where, and why.
#[derive(Debug)]
pub struct DecodeError {
    pub(crate) failure: CallError,
    pub(crate) path: Option<String>,
}

impl DecodeError {
    /// The place in the body, as a JSON path such as `items[3].customer`; `None` when the body is not JSON at all.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{} at {path}", self.failure),
            None => self.failure.fmt(f),
        }
    }
}

/// A request that the vendor found wrong: which fields.
#[derive(Debug)]
pub struct ValidationError {
    pub(crate) failure: CallError,
    pub(crate) fields: Vec<(String, String)>,
}

impl ValidationError {
    /// Field and complaint, where the vendor names them. What it says of the whole request is in
    /// [`message`](CallError::message) and [`code`](CallError::code).
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(field, complaint)| (field.as_str(), complaint.as_str()))
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.failure.fmt(f)?;
        for (field, complaint) in self.fields() {
            write!(f, "; {field}: {complaint}")?;
        }
        Ok(())
    }
}

macro_rules! carries_a_call_error {
    ($($kind:ty),*) => {$(
        impl Deref for $kind {
            type Target = CallError;

            fn deref(&self) -> &CallError {
                &self.failure
            }
        }

        impl StdError for $kind {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                self.failure.source()
            }
        }
    )*};
}

carries_a_call_error!(DecodeError, ValidationError, RateLimitedError);
