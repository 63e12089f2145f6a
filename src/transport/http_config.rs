//! How the HTTP clients of this crate are built, and the ones that send token requests.

use std::fmt;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

/// The longest time that opening a connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The most header fields that a response over HTTP/1 may have. Responses of gateways have dozens. Each takes some ten
/// instructions of every response, whether it is there or not.
pub(crate) const MAX_HEAD_FIELDS: usize = 256;
/// The most bytes that the header fields of a response over HTTP/2 may have, each counted with 32 bytes more (RFC 9113,
/// section 6.5.2).
pub(crate) const MAX_HEAD_BYTES: u32 = 256 * 1024;

/// How long an idle connection is kept: less than common load balancers keep it (60 s, some 30 s), so that no request meets
/// a connection that is just being closed.
const MAX_IDLE: Duration = Duration::from_secs(20);
/// The most idle connections to one host that are kept.
const MAX_IDLE_CONNECTIONS: usize = 128;
/// How often an HTTP/2 connection with a request under way is asked for a sign of life, and how long it has to give one. A
/// network that drops packets silently would otherwise let every request time out.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

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
        let mut client = reqwest::Client::builder()
            .http1_max_headers(MAX_HEAD_FIELDS)
            .http2_max_header_list_size(MAX_HEAD_BYTES)
            .http2_keep_alive_interval(PING_INTERVAL)
            .http2_keep_alive_timeout(PING_TIMEOUT)
            .pool_idle_timeout(MAX_IDLE)
            .pool_max_idle_per_host(MAX_IDLE_CONNECTIONS);
        // Chosen explicitly: left to itself, reqwest picks another one as soon as any crate of the program turns it on.
        #[cfg(feature = "rustls")]
        {
            client = client.tls_backend_rustls();
        }
        #[cfg(all(feature = "native-tls", not(feature = "rustls")))]
        {
            client = client.tls_backend_native();
        }
        if let Some(configure) = &self.configure {
            client = configure(client);
        }
        if is_plain_http {
            // A proxy would receive the token unencrypted.
            client = client.no_proxy();
            // Without TLS no certificate is needed, and containers often have none.
            #[cfg(any(feature = "rustls", feature = "native-tls"))]
            {
                client = client.tls_certs_only([]);
            }
        }
        client
            // Responses are decompressed within the bound on their size, whatever reqwest was built with.
            .no_brotli()
            .no_deflate()
            .no_gzip()
            .no_zstd()
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

    /// rustls alone refuses to check certificates without the names in them.
    #[cfg(feature = "rustls")]
    #[test]
    fn rustls_is_used_if_both_back_ends_are_compiled_unless_the_user_chooses() {
        let build = |configure: fn(reqwest::ClientBuilder) -> reqwest::ClientBuilder| {
            HttpConfig::new(move |http| configure(http).tls_danger_accept_invalid_hostnames(true))
                .build(false, CONNECT_TIMEOUT)
        };
        assert!(build(|http| http).is_err());
        #[cfg(feature = "native-tls")]
        build(reqwest::ClientBuilder::tls_backend_native).unwrap();
    }

    #[test]
    fn clients_without_a_configuration_of_their_own_share_one() {
        assert!(Arc::ptr_eq(&HttpConfig::shared_default(), &HttpConfig::shared_default()));
    }
}
