//! Builds the HTTP clients of this crate, and keeps the ones that send token requests.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, OnceLock};
use std::time::Duration;

use super::http_config::{HttpConfig, HttpVersions, invalid};
use super::http_error::innermost;
#[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
use super::tls::TlsSettings;
use crate::error::Error;

/// Whether the crate is built with a TLS library.
pub(crate) const HAS_TLS: bool = cfg!(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"));

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

/// What every client of this process has that is built without a configuration of its own.
static DEFAULT: LazyLock<Arc<HttpClientFactory>> = LazyLock::new(|| HttpClientFactory::new(HttpConfig::new()));

/// Builds HTTP clients of one configuration. Clients that share it also share the HTTP clients for token requests.
///
/// A connection is driven by the runtime on which it was opened. Token requests run on a runtime of their own, so they have
/// clients of their own, which are built when the first token is requested.
pub(crate) struct HttpClientFactory {
    config: HttpConfig,
    token_client: OnceLock<reqwest::Client>,
    /// The same without TLS, to this machine.
    plain_token_client: OnceLock<reqwest::Client>,
}

impl HttpClientFactory {
    pub(crate) fn new(config: HttpConfig) -> Arc<Self> {
        Arc::new(Self { config, token_client: OnceLock::new(), plain_token_client: OnceLock::new() })
    }

    /// The one with the default of every option.
    pub(crate) fn shared_default() -> Arc<Self> {
        Arc::clone(&DEFAULT)
    }

    /// Builds an HTTP client.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if an option is invalid.
    pub(crate) fn build(&self, is_plain_http: bool, connect_timeout: Duration) -> Result<reqwest::Client, Error> {
        self.config.check()?;
        let proxy = self.proxy()?;
        let client = || self.client(proxy.clone(), is_plain_http, connect_timeout);
        #[cfg(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"))]
        {
            let tls = TlsSettings::read(&self.config)?;
            let build = |tls: TlsSettings| keep_safe(tls.add_to(client(), is_plain_http), is_plain_http).build();
            build(tls.clone())
                .map_err(|error| tls.culprit(|other| build(other).is_ok()).map_or_else(|| unbuildable(&error), invalid))
        }
        #[cfg(not(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls")))]
        keep_safe(client(), is_plain_http).build().map_err(|error| unbuildable(&error))
    }

    /// The proxy that was set, if one was.
    fn proxy(&self) -> Result<Option<reqwest::Proxy>, Error> {
        let Some(url) = self.config.proxy_url()? else { return Ok(None) };
        let bypass = reqwest::NoProxy::from_string(&self.config.proxy_bypass.join(","));
        let proxy = reqwest::Proxy::all(url).map_err(|error| unbuildable(&error))?;
        Ok(Some(proxy.no_proxy(bypass)))
    }

    /// The builder of a client with all options but those of TLS.
    fn client(
        &self,
        proxy: Option<reqwest::Proxy>,
        is_plain_http: bool,
        connect_timeout: Duration,
    ) -> reqwest::ClientBuilder {
        let config = &self.config;
        let connect_timeout = config.connect_timeout.map_or(connect_timeout, |timeout| timeout.min(connect_timeout));
        let mut client = reqwest::Client::builder()
            .connect_timeout(connect_timeout)
            .http2_keep_alive_interval(config.http2_ping_interval.unwrap_or(PING_INTERVAL))
            .http2_keep_alive_timeout(config.http2_ping_timeout.unwrap_or(PING_TIMEOUT))
            .pool_idle_timeout(config.pool_idle_timeout.unwrap_or(MAX_IDLE))
            .pool_max_idle_per_host(config.pool_max_idle.unwrap_or(MAX_IDLE_CONNECTIONS))
            .local_address(config.local_address);
        if let Some(idle_time) = config.tcp_keep_alive {
            client = client.tcp_keepalive(idle_time);
        }
        client = match config.http_versions {
            HttpVersions::Negotiated => client,
            HttpVersions::Http1 => client.http1_only(),
            HttpVersions::Http2 => client.http2_prior_knowledge(),
        };
        // Plain http is for this machine only: another address for `localhost` would receive the token unencrypted.
        for (host, addresses) in config.host_addresses.iter().filter(|_| !is_plain_http) {
            // Port 0 stands for that of the URL.
            let addresses: Vec<_> = addresses.iter().map(|address| SocketAddr::new(*address, 0)).collect();
            client = client.resolve_to_addrs(host, &addresses);
        }
        match proxy {
            Some(proxy) => client.proxy(proxy),
            None if config.is_proxy_disabled() => client.no_proxy(),
            None => client,
        }
    }

    /// The client for token requests. Only the runtime for token requests may use it.
    pub(crate) fn token_client(&self, is_plain_http: bool) -> Result<&reqwest::Client, Error> {
        let slot = if is_plain_http { &self.plain_token_client } else { &self.token_client };
        if let Some(client) = slot.get() {
            return Ok(client);
        }
        let client = self.build(is_plain_http, CONNECT_TIMEOUT)?;
        Ok(slot.get_or_init(|| client))
    }
}

/// Sets what keeps tokens and writes safe. It comes last, so that no option undoes it.
fn keep_safe(client: reqwest::ClientBuilder, is_plain_http: bool) -> reqwest::ClientBuilder {
    // A proxy would receive the token unencrypted.
    let client = if is_plain_http { client.no_proxy() } else { client };
    client
        .http1_max_headers(MAX_HEAD_FIELDS)
        .http2_max_header_list_size(MAX_HEAD_BYTES)
        // Responses are decompressed within the bound on their size, whatever reqwest was built with.
        .no_brotli()
        .no_deflate()
        .no_gzip()
        .no_zstd()
        // A redirect could send the token to another host.
        .redirect(reqwest::redirect::Policy::none())
        // A hidden retry could book twice.
        .retry(reqwest::retry::never())
}

/// Why an HTTP client cannot be built, and what to do about it.
fn unbuildable(error: &reqwest::Error) -> Error {
    let cause = innermost(error);
    if cause.contains("No CA certificates") {
        return invalid(
            "this machine has no certificates of authorities, so that https cannot be verified: install them (package \
             `ca-certificates`), name a file in the environment variable SSL_CERT_FILE, or add them with \
             `with_only_root_certificates`",
        );
    }
    invalid(format!("the HTTP client cannot be built: {cause}"))
}

impl fmt::Debug for HttpClientFactory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClientFactory").field("config", &self.config).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_for_token_requests_is_built_once_and_only_if_it_is_needed() {
        let factory = HttpClientFactory::new(HttpConfig::new());
        factory.build(false, CONNECT_TIMEOUT).unwrap();
        assert!(factory.token_client.get().is_none() && factory.plain_token_client.get().is_none());
        let address = |is_plain_http| std::ptr::from_ref(factory.token_client(is_plain_http).unwrap());
        let secure = address(false);
        assert!(factory.token_client.get().is_some() && factory.plain_token_client.get().is_none());
        let plain = address(true);
        assert_eq!((address(false), address(true)), (secure, plain));
        assert_ne!(secure, plain);
    }

    #[test]
    fn clients_without_a_configuration_of_their_own_share_one() {
        assert!(Arc::ptr_eq(&HttpClientFactory::shared_default(), &HttpClientFactory::shared_default()));
    }
}
