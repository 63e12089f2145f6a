//! What a configuration says about TLS: the library, the authorities that are trusted, and the client's own certificate.
//!
//! Exists only if the crate is built with a TLS library.

#[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
use secrecy::{ExposeSecret as _, SecretSlice};

use super::http_config::{ClientCertificate, HttpConfig, TlsBackend, invalid, refused_certificate, refused_root};
use super::http_error::innermost;
use super::pem::PemSection;
use crate::error::Error;

const HAS_RUSTLS: bool = cfg!(any(feature = "rustls", feature = "rustls-no-provider"));
const HAS_NATIVE: bool = cfg!(feature = "native-tls");

/// The settings of TLS, read and checked as far as that is possible without a client.
#[derive(Clone)]
pub(super) struct TlsSettings {
    backend: TlsBackend,
    roots: Vec<reqwest::Certificate>,
    only_own_roots: bool,
    identity: Option<reqwest::Identity>,
}

impl TlsSettings {
    pub(super) fn read(config: &HttpConfig) -> Result<Self, Error> {
        let backend = backend(config.tls_backend)?;
        let roots = roots(config)?;
        let identity =
            config.client_certificate.as_ref().map(|certificate| identity(certificate, backend)).transpose()?;
        Ok(Self { backend, roots, only_own_roots: config.only_own_roots, identity })
    }

    /// Adds the settings to a client.
    pub(super) fn add_to(self, client: reqwest::ClientBuilder, is_plain_http: bool) -> reqwest::ClientBuilder {
        // Chosen explicitly: left to itself, reqwest picks another one as soon as any crate of the program turns it on.
        let mut client = match self.backend {
            #[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
            TlsBackend::Rustls => client.tls_backend_rustls(),
            #[cfg(feature = "native-tls")]
            TlsBackend::Native => client.tls_backend_native(),
            #[cfg(not(all(any(feature = "rustls", feature = "rustls-no-provider"), feature = "native-tls")))]
            _ => client,
        };
        if let Some(identity) = self.identity {
            client = client.identity(identity);
        }
        // Plain http needs no certificates of the system, and containers often have none. Those of the user are read
        // nevertheless, so that an invalid one is noticed before the program runs against the vendor.
        if self.only_own_roots || is_plain_http {
            client.tls_certs_only(self.roots)
        } else {
            client.tls_certs_merge(self.roots)
        }
    }

    /// Which option no client can be built with, if that is known. `is_buildable` says whether one can be built with these
    /// settings instead.
    pub(super) fn culprit(&self, is_buildable: impl Fn(Self) -> bool) -> Option<&'static str> {
        if self.identity.is_some() && is_buildable(Self { identity: None, ..self.clone() }) {
            return Some(
                "with_client_certificate: the certificate cannot be used with this key: give the client's certificate first \
                 in the chain, and the private key that belongs to it",
            );
        }
        let is_root = !self.roots.is_empty() && is_buildable(Self { roots: Vec::new(), ..self.clone() });
        is_root.then_some(
            "with_root_certificates: a certificate cannot be used: give certificates of authorities in PEM format",
        )
    }
}

/// The library to use: the chosen one, or rustls if there is one.
fn backend(chosen: Option<TlsBackend>) -> Result<TlsBackend, Error> {
    let backend = chosen.unwrap_or(if HAS_RUSTLS { TlsBackend::Rustls } else { TlsBackend::Native });
    match backend {
        TlsBackend::Rustls if !HAS_RUSTLS => {
            Err(invalid("with_tls_backend: this program is built without rustls: turn on the feature `rustls`"))
        }
        TlsBackend::Native if !HAS_NATIVE => Err(invalid(
            "with_tls_backend: this program is built without the system's TLS: turn on the feature `native-tls`",
        )),
        // Without one, reqwest would panic.
        #[cfg(all(feature = "rustls-no-provider", not(feature = "rustls")))]
        TlsBackend::Rustls if rustls::crypto::CryptoProvider::get_default().is_none() => Err(invalid(
            "rustls has no crypto provider: install one when the program starts, for example with \
             `rustls::crypto::ring::default_provider().install_default()`, or turn on the feature `rustls`, which has one",
        )),
        backend => Ok(backend),
    }
}

/// The certificates of authorities.
fn roots(config: &HttpConfig) -> Result<Vec<reqwest::Certificate>, Error> {
    let read = |section: PemSection<'_>| match reqwest::Certificate::from_pem_bundle(section.text) {
        Ok(mut certificates) if certificates.len() == 1 => Ok(certificates.remove(0)),
        Ok(_) => Err(refused_root("a certificate cannot be read")),
        Err(error) => Err(refused_root(&format!("a certificate cannot be read ({})", innermost(&error)))),
    };
    config.root_certificates()?.into_iter().map(read).collect()
}

/// The client's certificate with its key, as the library reads them.
fn identity(certificate: &ClientCertificate, backend: TlsBackend) -> Result<reqwest::Identity, Error> {
    let (chain, key) = certificate.sections()?;
    let chain: Vec<_> = chain.iter().map(|section| section.text).collect();
    let identity = match backend {
        #[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
        TlsBackend::Rustls => {
            let both: SecretSlice<u8> = [&chain[..], &[key.text]].concat().join(&b'\n').into();
            reqwest::Identity::from_pem(both.expose_secret())
        }
        #[cfg(feature = "native-tls")]
        TlsBackend::Native if key.label != b"PRIVATE KEY" => {
            return Err(refused_certificate(
                "native-tls reads private keys in PKCS#8 only: convert it with `openssl pkcs8 -topk8 -nocrypt -in client.key`",
            ));
        }
        #[cfg(feature = "native-tls")]
        TlsBackend::Native => reqwest::Identity::from_pkcs8_pem(&chain.join(&b'\n'), key.text),
        #[cfg(not(all(any(feature = "rustls", feature = "rustls-no-provider"), feature = "native-tls")))]
        _ => return Err(refused_certificate("the TLS library is missing")),
    };
    identity.map_err(|error| {
        let cause = innermost(&error);
        refused_certificate(&format!(
            "the certificate or the private key cannot be read ({cause}): give both in PEM format"
        ))
    })
}
