//! What a client made by `Tenants` has in common with the others, and what identifies it.

use std::sync::Arc;

use super::http_client::HttpClientPool;
use crate::auth::TokenStore;

/// What the clients of all tenants share, unless their builders set their own.
#[derive(Debug)]
pub(crate) struct SharedResources {
    /// The user's own HTTP client; if there is none, those of the pool are used.
    pub(crate) http_client: Option<reqwest::Client>,
    pub(crate) http_clients: HttpClientPool,
    pub(crate) store: Arc<dyn TokenStore>,
}

/// Makes a client one of many.
#[derive(Debug)]
pub(crate) struct TenantContext {
    /// Identifies the tenant among all others.
    pub(crate) key: Arc<str>,
    pub(crate) shared: Arc<SharedResources>,
}
