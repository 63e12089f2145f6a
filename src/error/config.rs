//! The errors that are found before anything is sent.

use std::borrow::Cow;
use std::fmt;

use super::Error;

/// An invalid option of a client.
#[derive(Debug)]
pub struct ConfigError {
    field: &'static str,
    reason: Cow<'static, str>,
}

impl ConfigError {
    /// The invalid option, as the builder names it: `tenant`, `base_url`, `token`.
    pub fn field(&self) -> &'static str {
        self.field
    }

    /// What is wrong with it, and what to do.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "configuration: {}: {}", self.field, self.reason)
    }
}

impl std::error::Error for ConfigError {}

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
    pub(crate) fn config(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Config(Box::new(ConfigError { field, reason: reason.into() }))
    }

    #[cold]
    pub(crate) fn invalid_request(
        operation: &'static str,
        parameter: impl Into<Cow<'static, str>>,
        reason: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::InvalidRequest(Box::new(RequestError { operation, parameter: parameter.into(), reason: reason.into() }))
    }
}
