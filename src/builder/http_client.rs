//! The HTTP clients that calls are sent with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use crate::error::Error;
use crate::transport::{CONNECT_TIMEOUT, HAS_TLS, HttpClient, HttpClientFactory};

/// What one client needs of its HTTP client, besides the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct HttpClientNeeds {
    /// Without TLS, to this machine itself.
    is_plain_http: bool,
    connect_timeout: Duration,
}

impl HttpClientNeeds {
    /// What calls to this base URL need, if each attempt may take `attempt_timeout`.
    pub(super) fn new(base_url: &Url, attempt_timeout: Duration) -> Result<Self, Error> {
        let is_plain_http = base_url.scheme() == "http";
        if !HAS_TLS && !is_plain_http {
            return Err(Error::config("base_url", "needs TLS: turn on the feature `rustls` or `native-tls`"));
        }
        // A little less than an attempt may take, so that a connection that does not open differs from a response that does
        // not come.
        Ok(Self { is_plain_http, connect_timeout: CONNECT_TIMEOUT.min(attempt_timeout / 10 * 9) })
    }

    /// A new HTTP client.
    pub(super) fn build(self, factory: &Arc<HttpClientFactory>) -> Result<HttpClient, Error> {
        let client = factory.build(self.is_plain_http, self.connect_timeout)?;
        Ok(HttpClient::Reqwest { client, factory: Arc::clone(factory) })
    }
}

/// The HTTP clients of many tenants with one configuration. Each is built when it is first needed; there is only one unless
/// tenants differ in [`HttpClientNeeds`].
#[derive(Debug)]
pub(crate) struct HttpClientPool {
    factory: Arc<HttpClientFactory>,
    clients: Mutex<HashMap<HttpClientNeeds, HttpClient>>,
}

impl HttpClientPool {
    pub(crate) fn new(factory: Arc<HttpClientFactory>) -> Self {
        Self { factory, clients: Mutex::default() }
    }

    pub(super) fn get(&self, needs: HttpClientNeeds) -> Result<HttpClient, Error> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&needs) {
            return Ok(client.clone());
        }
        let client = needs.build(&self.factory)?;
        clients.insert(needs, client.clone());
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(base_url: &str, seconds: u64) -> HttpClientNeeds {
        HttpClientNeeds::new(&base_url.parse().unwrap(), Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn tenants_share_one_client_unless_they_need_another() {
        let pool = HttpClientPool::new(HttpClientFactory::shared_default());
        let built = || pool.clients.lock().unwrap().len();
        for tenant in ["https://acme.fixably.com/api/v3", "https://beta.fixably.com/api/v3"] {
            pool.get(needs(tenant, 30)).unwrap();
            pool.get(needs(tenant, 60)).unwrap();
        }
        assert_eq!(built(), 1);
        pool.get(needs("http://127.0.0.1:1234", 30)).unwrap();
        pool.get(needs("https://acme.fixably.com/api/v3", 1)).unwrap();
        assert_eq!(built(), 3);
    }
}
