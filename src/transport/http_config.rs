//! The settings of the HTTP clients that a user can change: proxy, certificates, addresses, connections.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use http::Uri;
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use url::{Host, Url};

use super::pem::{self, PemSection};
use crate::clock::FOREVER;
use crate::error::Error;

/// What the operating systems accept for the idle time of TCP keep-alive, in seconds.
const TCP_KEEP_ALIVE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(32_767)];
/// The shortest interval of HTTP/2 pings and time for their response.
const MIN_PING: Duration = Duration::from_secs(1);

/// How the HTTP clients of this crate reach the vendor: proxy, certificates, addresses, connections.
///
/// An option that is not set keeps its default. Clients are built with it by
/// [`ClientBuilder::with_http_config`](crate::ClientBuilder::with_http_config) or
/// [`TenantsBuilder::with_http_config`](crate::TenantsBuilder::with_http_config); it holds for calls and for token requests.
///
/// # What no option changes
///
/// * Redirects are not followed, because one could send a token to another host.
/// * Nothing is retried below the [retry policy](crate::RetryPolicy), because a hidden retry could book twice.
/// * The server's certificate is always checked, except over plain http, which works to this machine only.
/// * Plain http uses no proxy and no [other addresses](Self::with_host_addresses), which would read the token, and no
///   certificates.
/// * Responses are decompressed within [`with_max_body`](crate::ClientBuilder::with_max_body).
///
/// The number of open connections has no bound: over HTTP/1 there are as many as calls at a time.
///
/// # Errors
///
/// The setters accept everything. [`ClientBuilder::build`](crate::ClientBuilder::build) checks the options and fails with
/// [`Error::Config`] for the field `http_config`, which names the setter. Neither the error nor `Debug` shows a password of a
/// proxy or a private key.
///
/// # Example
///
/// ```
/// use servicebay::{HttpConfig, fixably};
///
/// let http = HttpConfig::new()
///     .with_proxy("http://user:password@proxy.example:3128")
///     .with_proxy_bypass(["internal.example", "10.0.0.0/8"]);
/// let client = fixably::Client::builder(fixably::Credentials::bearer("token"))
///     .with_tenant("acme")
///     .with_http_config(http)
///     .build()?;
/// # Ok::<(), servicebay::Error>(())
/// ```
#[derive(Clone, Default)]
#[must_use = "a configuration has no effect until it is passed to `with_http_config`"]
#[non_exhaustive]
pub struct HttpConfig {
    pub(super) proxy: ProxyChoice,
    pub(super) proxy_bypass: Vec<String>,
    /// Files in PEM format, each with one certificate or several.
    pub(super) roots: Vec<Arc<[u8]>>,
    pub(super) only_own_roots: bool,
    pub(super) client_certificate: Option<ClientCertificate>,
    pub(super) tls_backend: Option<TlsBackend>,
    pub(super) local_address: Option<IpAddr>,
    pub(super) host_addresses: Vec<(String, Vec<IpAddr>)>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) pool_idle_timeout: Option<Duration>,
    pub(super) pool_max_idle: Option<usize>,
    pub(super) tcp_keep_alive: Option<Duration>,
    pub(super) http_versions: HttpVersions,
    pub(super) http2_ping_interval: Option<Duration>,
    pub(super) http2_ping_timeout: Option<Duration>,
}

/// The library that does TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsBackend {
    /// rustls, with the feature `rustls` or `rustls-no-provider`.
    ///
    /// With `rustls-no-provider` alone it has no cryptography of its own. The program then installs a crypto provider before it
    /// builds a client, even one for plain http, for example with
    /// `rustls::crypto::ring::default_provider().install_default()`; without one, `build` fails.
    Rustls,
    /// The library of the operating system (OpenSSL on Linux), with the feature `native-tls`.
    Native,
}

/// Which proxy connections go through.
#[derive(Clone, Default)]
pub(super) enum ProxyChoice {
    /// The one that the environment or the system's settings name.
    #[default]
    System,
    Disabled,
    Url(SecretString),
}

/// The versions of HTTP that are spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum HttpVersions {
    #[default]
    Negotiated,
    Http1,
    Http2,
}

/// A certificate chain and its private key, both in PEM format.
#[derive(Clone)]
pub(super) struct ClientCertificate {
    pub(super) chain: Arc<[u8]>,
    pub(super) key: Arc<SecretSlice<u8>>,
}

impl HttpConfig {
    /// A configuration with the default of every option.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends all requests through this proxy, and ignores the proxy of the environment and of the system.
    ///
    /// `url` is the address of an HTTP proxy, with `http` or `https` for the connection to the proxy itself, and a name and a
    /// password if the proxy asks for them: `http://user:password@proxy.example:3128`. Escape special characters in both, such
    /// as `@` as `%40`. The port is 80 or 443 if the URL has none. SOCKS proxies are refused.
    ///
    /// The proxy opens a tunnel (`CONNECT`), so TLS runs between this machine and the vendor, and the proxy reads no token. The
    /// proxy resolves the vendor's host name.
    pub fn with_proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Url(url.into().into());
        self
    }

    /// Hosts that are reached without the proxy of [`with_proxy`](Self::with_proxy), in place of those that were set before.
    /// Default: none.
    ///
    /// Each is a host name, which stands for its subdomains too (`example.com`), an IP address, or a network (`10.0.0.0/8`).
    /// For the proxy of the environment, set the variable `NO_PROXY`.
    pub fn with_proxy_bypass(mut self, hosts: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.proxy_bypass = hosts.into_iter().map(Into::into).collect();
        self
    }

    /// Uses the proxy that the environment names. This is the default; it undoes [`with_proxy`](Self::with_proxy) and
    /// [`without_proxy`](Self::without_proxy).
    ///
    /// The variables are `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in upper or lower case, read when a client is built. If
    /// they are not set and the feature `system-proxy` is on, the settings of macOS or Windows count. What is not a valid
    /// address there means no proxy. In a CGI program, which a caller could make use a proxy of its own, there is none.
    pub fn with_system_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::System;
        self
    }

    /// Uses no proxy, whatever the environment and the system say.
    pub fn without_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::Disabled;
        self
    }

    /// Trusts these authorities beside those of the system: for a proxy that decrypts TLS, or a private vendor. Each call adds
    /// to those before.
    ///
    /// `pem` has one certificate or several in PEM format, with a line `-----BEGIN CERTIFICATE-----` each. On Android, rustls
    /// cannot add to the system's authorities; use [`with_only_root_certificates`](Self::with_only_root_certificates).
    pub fn with_root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.roots.push(pem.as_ref().into());
        self
    }

    /// Trusts these authorities, and those of [`with_root_certificates`](Self::with_root_certificates), and none of the
    /// system. `pem` is as there.
    pub fn with_only_root_certificates(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.only_own_roots = true;
        self.with_root_certificates(pem)
    }

    /// Shows this certificate to servers that ask for one (mutual TLS). Default: none.
    ///
    /// `chain_pem` has the client's certificate first, and then the authorities between it and the root. `key_pem` has its
    /// private key, not encrypted. Both are in PEM format, and may be the same file. rustls reads keys in PKCS#8, PKCS#1 and
    /// SEC1; the back end `native-tls` reads PKCS#8 (`-----BEGIN PRIVATE KEY-----`).
    ///
    /// # Example
    ///
    /// ```no_run
    /// use servicebay::HttpConfig;
    ///
    /// let http = HttpConfig::new()
    ///     .with_client_certificate(std::fs::read("client.pem")?, std::fs::read("client.key")?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn with_client_certificate(mut self, chain_pem: impl AsRef<[u8]>, key_pem: impl AsRef<[u8]>) -> Self {
        let key = Arc::new(key_pem.as_ref().to_vec().into());
        self.client_certificate = Some(ClientCertificate { chain: chain_pem.as_ref().into(), key });
        self
    }

    /// The library that does TLS, if the program is built with both. Default: rustls if a feature for it is on.
    pub fn with_tls_backend(mut self, backend: TlsBackend) -> Self {
        self.tls_backend = Some(backend);
        self
    }

    /// Opens connections from this address, for machines with several of which the vendor knows one. Default: the system
    /// chooses.
    ///
    /// Only addresses of the same family are connected to: with an IPv4 address, the vendor's IPv4 addresses.
    pub fn with_local_address(mut self, address: impl Into<IpAddr>) -> Self {
        self.local_address = Some(address.into());
        self
    }

    /// Connects to these addresses for a host name instead of resolving it, in place of those that were set for it before. The
    /// port is that of the URL. Default: the system resolves all names.
    ///
    /// For a pinned host, or a test. TLS still checks the host name. A host that is reached through a proxy is resolved by the
    /// proxy.
    ///
    /// # Example
    ///
    /// ```
    /// use std::net::Ipv4Addr;
    /// use servicebay::HttpConfig;
    ///
    /// let http = HttpConfig::new()
    ///     .with_host_addresses("acme.fixably.com", [Ipv4Addr::new(192, 0, 2, 1), Ipv4Addr::new(192, 0, 2, 2)]);
    /// ```
    pub fn with_host_addresses(
        mut self,
        host: impl Into<String>,
        addresses: impl IntoIterator<Item = impl Into<IpAddr>>,
    ) -> Self {
        let host = host.into().to_ascii_lowercase();
        self.host_addresses.retain(|(other, _)| *other != host);
        self.host_addresses.push((host, addresses.into_iter().map(Into::into).collect()));
        self
    }

    /// The longest time that opening a connection may take, TLS and the proxy included. Default 10 s, which is also the most:
    /// a longer one counts as 10 s. It must be longer than zero.
    ///
    /// If nine tenths of the client's [attempt timeout](crate::ClientBuilder::with_attempt_timeout) are less, these count.
    pub fn with_connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// How long an idle connection is kept for the next call. Default 20 s. Any duration is valid; zero keeps none.
    ///
    /// It must be shorter than the load balancers on the way keep one, or a call meets a connection that is just being closed:
    /// a write then fails with [`Error::OutcomeUnknown`]. Common ones keep it for 60 s, some for 30 s.
    pub fn with_pool_idle_timeout(mut self, timeout: Duration) -> Self {
        self.pool_idle_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// The most idle connections to one host that are kept. Default 128. Any number is valid; 0 keeps none.
    pub fn with_pool_max_idle(mut self, connections: usize) -> Self {
        self.pool_max_idle = Some(connections);
        self
    }

    /// How long a connection is silent until the operating system asks the other end for a sign of life (TCP keep-alive). If
    /// none comes within a minute, it gives the connection up. Default 15 s. From 1 s to 32,767 s; fractions of a second do
    /// not count.
    pub fn with_tcp_keep_alive(mut self, idle_time: Duration) -> Self {
        self.tcp_keep_alive = Some(idle_time);
        self
    }

    /// Speaks HTTP/1.1 only. Default: the server chooses during the TLS handshake, and plain http is HTTP/1.1. Undoes
    /// [`with_http2_prior_knowledge`](Self::with_http2_prior_knowledge).
    pub fn with_http1_only(mut self) -> Self {
        self.http_versions = HttpVersions::Http1;
        self
    }

    /// Speaks HTTP/2 only, without asking the server whether it does: over plain http too. Undoes
    /// [`with_http1_only`](Self::with_http1_only).
    pub fn with_http2_prior_knowledge(mut self) -> Self {
        self.http_versions = HttpVersions::Http2;
        self
    }

    /// How long an HTTP/2 connection with a request under way is silent until it is asked for a sign of life. Default 20 s, at
    /// least 1 s.
    ///
    /// A network that drops packets silently would otherwise let every request on the connection time out.
    pub fn with_http2_ping_interval(mut self, interval: Duration) -> Self {
        self.http2_ping_interval = Some(interval.min(FOREVER));
        self
    }

    /// How long the sign of life may take until an HTTP/2 connection is given up. Default 10 s, at least 1 s.
    pub fn with_http2_ping_timeout(mut self, timeout: Duration) -> Self {
        self.http2_ping_timeout = Some(timeout.min(FOREVER));
        self
    }

    /// Checks what needs no HTTP client and no TLS library to be checked.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.proxy_url()?;
        self.root_certificates()?;
        if let Some(certificate) = &self.client_certificate {
            certificate.sections()?;
        }
        if !self.proxy_bypass.is_empty() && matches!(self.proxy, ProxyChoice::System) {
            return Err(invalid(
                "with_proxy_bypass needs with_proxy: for the proxy of the environment, set the variable NO_PROXY",
            ));
        }
        for host in &self.proxy_bypass {
            check_bypass(host)?;
        }
        for (host, addresses) in &self.host_addresses {
            if !is_host_name(host) {
                return Err(invalid(format!(
                    "with_host_addresses: {host:?} is not a host name: give it without scheme and port, such as \
                     `acme.fixably.com`"
                )));
            }
            if addresses.is_empty() {
                return Err(invalid(format!("with_host_addresses: {host} has no address: give at least one")));
            }
        }
        if self.connect_timeout.is_some_and(|timeout| timeout.is_zero()) {
            return Err(invalid("with_connect_timeout: no connection opens in no time: give a longer timeout"));
        }
        if let Some(idle_time) = self.tcp_keep_alive
            && !(TCP_KEEP_ALIVE[0]..=TCP_KEEP_ALIVE[1]).contains(&idle_time)
        {
            return Err(invalid(format!("with_tcp_keep_alive: {idle_time:?} is out of bounds: give 1 s to 32,767 s")));
        }
        for (setter, value) in [
            ("with_http2_ping_interval", self.http2_ping_interval),
            ("with_http2_ping_timeout", self.http2_ping_timeout),
        ] {
            if let Some(value) = value.filter(|value| *value < MIN_PING) {
                return Err(invalid(format!("{setter}: {value:?} is too short: give at least 1 s")));
            }
        }
        Ok(())
    }

    /// The certificates of authorities.
    pub(super) fn root_certificates(&self) -> Result<Vec<PemSection<'_>>, Error> {
        let mut certificates = Vec::new();
        for file in &self.roots {
            let found = certificates.len();
            certificates.extend(pem::sections(file).into_iter().filter(PemSection::is_certificate));
            if certificates.len() == found {
                return Err(refused_root("there is no certificate in the text"));
            }
        }
        Ok(certificates)
    }

    pub(super) fn is_proxy_disabled(&self) -> bool {
        matches!(self.proxy, ProxyChoice::Disabled)
    }

    /// The proxy in `Debug`: its address without the name and the password.
    fn shown_proxy(&self) -> String {
        match (&self.proxy, self.proxy_url()) {
            (ProxyChoice::System, _) => "System".to_owned(),
            (ProxyChoice::Disabled, _) => "Disabled".to_owned(),
            (ProxyChoice::Url(_), Ok(Some(url))) => url.origin().ascii_serialization(),
            // Any part of what cannot be read may be the password.
            (ProxyChoice::Url(_), _) => "invalid".to_owned(),
        }
    }

    /// The address of the proxy, if one was set. No error quotes it, because it may hold a password.
    pub(super) fn proxy_url(&self) -> Result<Option<Url>, Error> {
        const EXPECTED: &str = "give an address such as `http://proxy.example:3128`, or \
                                `http://user:password@proxy.example:3128` with special characters escaped (`@` as `%40`)";
        let ProxyChoice::Url(text) = &self.proxy else { return Ok(None) };
        let refused = |reason: &str| invalid(format!("with_proxy: the URL of the proxy {reason}: {EXPECTED}"));
        let url = Url::parse(text.expose_secret()).map_err(|error| refused(&format!("is not valid ({error})")))?;
        match url.scheme() {
            "http" | "https" => {}
            "socks4" | "socks4a" | "socks5" | "socks5h" => {
                return Err(refused("is that of a SOCKS proxy, which this crate does not support"));
            }
            _ => return Err(refused("does not begin with `http://` or `https://`")),
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(refused("has more than an address, or a password with a character that is not escaped"));
        }
        // The HTTP client ignores an address that it cannot read, and would connect without the proxy.
        let is_readable = url.as_str().parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(|host| !host.is_empty()));
        if !is_readable {
            return Err(refused("has characters that no address has"));
        }
        Ok(Some(url))
    }
}

impl ClientCertificate {
    /// The certificates of the chain, and the private key.
    pub(super) fn sections(&self) -> Result<(Vec<PemSection<'_>>, PemSection<'_>), Error> {
        let mut chain = pem::sections(&self.chain);
        chain.retain(PemSection::is_certificate);
        if chain.is_empty() {
            return Err(refused_certificate(
                "there is no certificate in the chain: give it in PEM format, with a line `-----BEGIN CERTIFICATE-----` each",
            ));
        }
        let mut keys = pem::sections(self.key.expose_secret());
        keys.retain(PemSection::is_private_key);
        let key = match keys[..] {
            [key] => key,
            [] => {
                return Err(refused_certificate(
                    "there is no private key: give it in PEM format, with a line such as `-----BEGIN PRIVATE KEY-----`",
                ));
            }
            _ => {
                return Err(refused_certificate(
                    "there is more than one private key: give the one of the client's certificate alone",
                ));
            }
        };
        if key.is_encrypted() {
            return Err(refused_certificate(
                "the private key is encrypted with a password: decrypt it, for example with `openssl pkey -in client.key \
                 -out decrypted.key`",
            ));
        }
        Ok((chain, key))
    }
}

/// The error of a certificate of an authority.
pub(super) fn refused_root(reason: &str) -> Error {
    invalid(format!(
        "with_root_certificates: {reason}: give certificates in PEM format, with a line `-----BEGIN CERTIFICATE-----` each"
    ))
}

/// The error of the client's certificate or its key.
pub(super) fn refused_certificate(reason: &str) -> Error {
    invalid(format!("with_client_certificate: {reason}"))
}

/// The error of an invalid option. The reason begins with the setter.
pub(super) fn invalid(reason: impl Into<String>) -> Error {
    Error::config("http_config", reason.into())
}

/// Checks a host that bypasses the proxy. The HTTP client takes every text that it does not understand for the name of a
/// host that no request goes to, and would use the proxy.
fn check_bypass(host: &str) -> Result<(), Error> {
    let is_network = || {
        let (address, length) = host.split_once('/')?;
        let bits = if address.parse::<Ipv4Addr>().is_ok() {
            32
        } else {
            address.parse::<Ipv6Addr>().ok()?;
            128
        };
        Some(length.parse::<u8>().is_ok_and(|length| length <= bits))
    };
    let name = host.strip_prefix('.').unwrap_or(host);
    if host.parse::<IpAddr>().is_ok() || is_network() == Some(true) || is_host_name(name) {
        return Ok(());
    }
    let reason = match host {
        "*" => "means no proxy: call without_proxy instead of with_proxy",
        _ => {
            "is no host: give a name without scheme, port and wildcard (`example.com` stands for its subdomains too), an IP \
             address, or a network such as `10.0.0.0/8`"
        }
    };
    Err(invalid(format!("with_proxy_bypass: {host:?} {reason}")))
}

/// Whether a text is the name of a host, as it stands in a URL. An IP address is none.
fn is_host_name(text: &str) -> bool {
    let is_written_as_in_urls = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    is_written_as_in_urls && matches!(Host::parse(text), Ok(Host::Domain(_)))
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpConfig")
            .field("proxy", &format_args!("{}", self.shown_proxy()))
            .field("proxy_bypass", &self.proxy_bypass)
            .field("root_certificates", &self.roots.len())
            .field("only_root_certificates", &self.only_own_roots)
            .field("client_certificate", &self.client_certificate.is_some())
            .field("tls_backend", &self.tls_backend)
            .field("local_address", &self.local_address)
            .field("host_addresses", &self.host_addresses)
            .field("connect_timeout", &self.connect_timeout)
            .field("pool_idle_timeout", &self.pool_idle_timeout)
            .field("pool_max_idle", &self.pool_max_idle)
            .field("tcp_keep_alive", &self.tcp_keep_alive)
            .field("http_versions", &self.http_versions)
            .field("http2_ping_interval", &self.http2_ping_interval)
            .field("http2_ping_timeout", &self.http2_ping_timeout)
            .finish()
    }
}
