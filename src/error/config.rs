//! The error of an invalid option of a client.

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

impl Error {
    #[cold]
    pub(crate) fn config(field: &'static str, reason: impl Into<Cow<'static, str>>) -> Self {
        Self::Config(Box::new(ConfigError { field, reason: reason.into() }))
    }
}
