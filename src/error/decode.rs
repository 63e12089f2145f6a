//! The error of a response that cannot be decoded, or does not fit the request.

use std::fmt;

use super::call_error::{CallError, is_call_error};

/// A response that could not be decoded, and where; or a page of a list that is not the one that was requested.
#[derive(Debug)]
pub struct DecodeError {
    pub(crate) call: CallError,
    pub(crate) path: Option<String>,
}

impl DecodeError {
    /// The value in the body that could not be decoded, as a JSON path such as `items[3].customer`; `None` if the body as a
    /// whole could not be decoded, or does not fit the request.
    pub fn path(&self) -> Option<&str> {
        self.path.as_deref()
    }
}

is_call_error!(DecodeError);

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.path {
            Some(path) => write!(f, "{} at {path}", self.call),
            None => self.call.fmt(f),
        }
    }
}
