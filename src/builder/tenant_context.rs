//! What makes a client one of many.

use std::sync::Arc;

use super::Pool;
use crate::auth::TokenStore;

/// What the clients of many tenants share, where their builders do not bring their own.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The user's own HTTP client; else those of the pool.
    pub(crate) http: Option<reqwest::Client>,
    pub(crate) pool: Pool,
    pub(crate) store: Arc<dyn TokenStore>,
}

/// A client's place among those of many tenants.
#[derive(Debug)]
pub(crate) struct Tenancy {
    /// Tells the tenant from all others.
    pub(crate) key: Arc<str>,
    pub(crate) shared: Arc<Shared>,
}
