//! How the HTTP clients of this crate are built, and the ones that send token requests.

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

/// The longest time that opening a connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The configuration of every client of this process that has none of its own.
static DEFAULT: LazyLock<Arc<HttpConfig>> = LazyLock::new(|| Arc::new(HttpConfig::of(None)));

/// The user's closure.
type ConfigureFn = dyn Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync;

/// A configuration of HTTP clients. Whoever shares it shares the clients for token requests.
///
/// A connection is driven by the runtime on which it was opened. Token requests run on a runtime of their own, so they have
/// clients of their own, which are built when the first token is requested.
pub(crate) struct HttpConfig {
    configure: Option<Box<ConfigureFn>>,
    token_client: OnceLock<reqwest::Client>,
    /// The same without TLS, to this machine.
    plain_token_client: OnceLock<reqwest::Client>,
}

impl HttpConfig {
    /// The configuration with this closure of the user's.
    pub(crate) fn new(
        configure: impl Fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self::of(Some(Box::new(configure))))
    }

    /// The configuration of this crate.
    pub(crate) fn shared_default() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }

    fn of(configure: Option<Box<ConfigureFn>>) -> Self {
        Self { configure, token_client: OnceLock::new(), plain_token_client: OnceLock::new() }
    }

    /// Builds an HTTP client. What keeps tokens and writes safe comes last, so that no closure can undo it.
    pub(crate) fn build(&self, is_plain_http: bool, connect_timeout: Duration) -> reqwest::Result<reqwest::Client> {
        let mut client = reqwest::Client::builder();
        if let Some(configure) = &self.configure {
            client = configure(client);
        }
        if is_plain_http {
            // A proxy would receive the token unencrypted.
            client = client.no_proxy();
        }
        client
            .connect_timeout(connect_timeout)
            // A redirect could send the token to another host.
            .redirect(reqwest::redirect::Policy::none())
            // A hidden retry could book twice.
            .retry(reqwest::retry::never())
            .build()
    }

    /// The client for token requests. Only the runtime for token requests may use it.
    pub(crate) fn token_client(&self, is_plain_http: bool) -> reqwest::Result<&reqwest::Client> {
        let slot = if is_plain_http { &self.plain_token_client } else { &self.token_client };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = self.build(is_plain_http, CONNECT_TIMEOUT)?;
        Ok(slot.get_or_init(|| client))
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig").field("is_custom", &self.configure.is_some()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_client_for_token_requests_is_built_once_and_only_if_it_is_needed() {
        let built = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&built);
        let config = HttpConfig::new(move |client| {
            count.fetch_add(1, Ordering::Relaxed);
            client
        });
        config.build(false, CONNECT_TIMEOUT).unwrap();
        assert_eq!(built.load(Ordering::Relaxed), 1);
        for (is_plain_http, expected) in [(false, 2), (false, 2), (true, 3), (true, 3)] {
            config.token_client(is_plain_http).unwrap();
            assert_eq!(built.load(Ordering::Relaxed), expected);
        }
    }

    #[test]
    fn clients_without_a_configuration_of_their_own_share_one() {
        assert!(Arc::ptr_eq(&HttpConfig::shared_default(), &HttpConfig::shared_default()));
    }
}
