//! The errors that hold more than their [`CallError`].

use std::error::Error as StdError;
use std::fmt;
use std::ops::Deref;

use jiff::Timestamp;

use super::CallError;

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

impl fmt::Display for RateLimitedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; try again at {:.0}", self.call, self.resume_at)
    }
}

/// A response that could not be decoded, and where.
#[derive(Debug)]
pub struct DecodeError {
    pub(crate) call: CallError,
    pub(crate) path: Option<String>,
}

impl DecodeError {
    /// The value in the body that could not be decoded, as a JSON path such as `items[3].customer`; `None` if the body as a
    /// whole could not be decoded.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{} at {path}", self.call),
            None => self.call.fmt(f),
        }
    }
}

/// A request that the vendor found invalid, and which of its fields.
#[derive(Debug)]
pub struct ValidationError {
    pub(crate) call: CallError,
    pub(crate) fields: Vec<(String, String)>,
}

impl ValidationError {
    /// Pairs of a field and the vendor's message about it, as far as the vendor names fields. What it writes about the request
    /// as a whole is in [`message`](CallError::message) and [`code`](CallError::code).
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(field, message)| (field.as_str(), message.as_str()))
    }
}

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)?;
        for (field, message) in self.fields() {
            write!(f, "; {field}: {message}")?;
        }
        Ok(())
    }
}

macro_rules! deref_to_call_error {
    ($($kind:ty),*) => {$(
        impl Deref for $kind {
            type Target = CallError;

            fn deref(&self) -> &CallError {
                &self.call
            }
        }

        impl StdError for $kind {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                self.call.source()
            }
        }
    )*};
}

deref_to_call_error!(DecodeError, ValidationError, RateLimitedError);
