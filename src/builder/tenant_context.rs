//! What a client made by `Tenants` has in common with the others, and what identifies it.

use std::sync::Arc;

use super::http_client::HttpClientPool;
use crate::auth::DynTokenStore;
use crate::response_cache::ResponseCache;

/// What the clients of all tenants share, unless their builders set their own.
#[derive(Debug)]
pub(crate) struct SharedResources {
    pub(crate) http_clients: HttpClientPool,
    pub(crate) store: Arc<dyn DynTokenStore>,
    /// The memory of responses, of which no client gets another's.
    pub(crate) cache: Option<ResponseCache>,
}

/// Makes a client one of many.
#[derive(Debug)]
pub(crate) struct TenantContext {
    /// Identifies the tenant among all others.
    pub(crate) key: Arc<str>,
    pub(crate) shared: Arc<SharedResources>,
}
