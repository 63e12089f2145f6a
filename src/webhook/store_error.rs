//! The error of a store of deliveries.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;

/// A failure of a [`DeliveryStore`](super::DeliveryStore).
///
/// # Example
///
/// ```
/// use servicebay::webhook::DeliveryStoreError;
///
/// let error = DeliveryStoreError::new("the database does not respond; check its address");
/// assert_eq!(error.to_string(), "delivery store: the database does not respond; check its address");
/// ```
#[derive(Debug)]
pub struct DeliveryStoreError {
    reason: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl DeliveryStoreError {
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

impl fmt::Display for DeliveryStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "delivery store: {}", self.reason)
    }
}

impl StdError for DeliveryStoreError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
