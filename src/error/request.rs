//! The error of a call with an invalid parameter, which is found before anything is sent.

use std::borrow::Cow;
use std::fmt;

use super::Error;

/// A call with an invalid parameter.
#[derive(Debug)]
pub struct RequestError {
    operation: &'static str,
    parameter: Cow<'static, str>,
    reason: Cow<'static, str>,
}

impl RequestError {
    /// The operation of the call.
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The invalid parameter.
    pub fn parameter(&self) -> &str {
        &self.parameter
    }

    /// What is wrong with it, and what to do.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was not sent: {}: {}", self.operation, self.parameter, self.reason)
    }
}

impl std::error::Error for RequestError {}

impl Error {
    #[cold]
    pub(crate) fn invalid_request(
        operation: &'static str,
        parameter: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::InvalidRequest(Box::new(RequestError { operation, parameter: parameter.into(), reason: reason.into() }))
    }
}
