//! The error of a token store.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// A failure of a token store. No tokens are lost: the client keeps them in memory and tries to store them again.
#[derive(Debug)]
pub struct StoreError {
    reason: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl StoreError {
    /// An error with a message that says what failed and what to do. It must not contain secrets.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into(), source: None }
    }

    /// Sets the underlying error.
    pub fn with_source(self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { source: Some(source.into()), ..self }
    }

    /// What failed, and what to do about it.
    pub fn reason(&self) -> &str {
        &self.reason
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "token store: {}", self.reason)
    }
}

impl StdError for StoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_a_store_shows_its_reason_and_keeps_its_cause() {
        let error = StoreError::new("no room; make some").with_source(std::io::Error::other("28"));
        assert_eq!(error.to_string(), "token store: no room; make some");
        assert_eq!((error.reason(), error.source().unwrap().to_string()), ("no room; make some", "28".to_owned()));
    }
}
