//! The reqwest clients that this crate builds itself.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use url::Url;

use crate::error::Error;

/// The longest time that opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The settings in which this crate's HTTP clients differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct HttpClientConfig {
    /// Without TLS, to this machine itself.
    is_plain_http: bool,
    connect_timeout: Duration,
}

impl HttpClientConfig {
    /// What calls to this base URL need, if each attempt may take `attempt_timeout`.
    pub(super) fn new(base_url: &Url, attempt_timeout: Duration) -> Result<Self, Error> {
        let is_plain_http = base_url.scheme() == "http";
        if cfg!(not(any(feature = "rustls", feature = "native-tls"))) && !is_plain_http {
            return Err(Error::config("base_url", "needs TLS: turn on the feature `rustls` or `native-tls`"));
        }
        // A little less than an attempt may take, so that a connection that does not open differs from a response that does
        // not come.
        Ok(Self { is_plain_http, connect_timeout: CONNECT_TIMEOUT.min(attempt_timeout / 10 * 9) })
    }

    pub(super) fn build(self) -> Result<reqwest::Client, Error> {
        let mut client = reqwest::Client::builder();
        if self.is_plain_http {
            // A proxy from the environment would receive the token unencrypted.
            client = client.no_proxy();
        }
        client
            .connect_timeout(self.connect_timeout)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .build()
            .map_err(|error| Error::config("http_client", format!("cannot be built: {error}")))
    }
}

/// The HTTP clients of many tenants. Each is built when it is first needed; there is only one unless tenants differ in
/// [`HttpClientConfig`].
#[derive(Debug, Default)]
pub(crate) struct HttpClientPool(Mutex<HashMap<HttpClientConfig, reqwest::Client>>);

impl HttpClientPool {
    pub(super) fn get(&self, config: HttpClientConfig) -> Result<reqwest::Client, Error> {
        let mut clients = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&config) {
            return Ok(client.clone());
        }
        let client = config.build()?;
        clients.insert(config, client.clone());
        Ok(client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(base_url: &str, seconds: u64) -> HttpClientConfig {
        HttpClientConfig::new(&base_url.parse().unwrap(), Duration::from_secs(seconds)).unwrap()
    }

    #[test]
    fn tenants_share_one_client_unless_they_need_another_config() {
        let pool = HttpClientPool::default();
        let built = || pool.0.lock().unwrap().len();
        for tenant in ["https://acme.fixably.com/api/v3", "https://beta.fixably.com/api/v3"] {
            pool.get(config(tenant, 30)).unwrap();
            pool.get(config(tenant, 60)).unwrap();
        }
        assert_eq!(built(), 1);
        pool.get(config("http://127.0.0.1:1234", 30)).unwrap();
        pool.get(config("https://acme.fixably.com/api/v3", 1)).unwrap();
        assert_eq!(built(), 3);
    }
}
