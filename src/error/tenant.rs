//! The error of a tenant whose client could not be built.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

use super::Error;

/// A tenant whose client could not be built. It can be cloned, because every caller that waits for the client gets it.
///
/// Its [source](StdError::source) is the error of the closure that returns the tenant's builder, which can be downcast to its
/// own type, or the [`Error`] of building the client.
#[derive(Clone, Debug)]
pub struct TenantError {
    tenant: Arc<str>,
    source: Arc<dyn StdError + Send + Sync>,
}

impl TenantError {
    pub(crate) fn new(tenant: Arc<str>, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { tenant, source: source.into().into() }
    }

    /// The key of the tenant.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }
}

impl fmt::Display for TenantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "could not build a client for tenant {:?}", self.tenant)
    }
}

impl StdError for TenantError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.source)
    }
}

impl From<TenantError> for Error {
    fn from(error: TenantError) -> Self {
        Self::Tenant(Box::new(error))
    }
}
