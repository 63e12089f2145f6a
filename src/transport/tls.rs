//! What a configuration says about TLS: the library, the authorities that are trusted, and the client's own certificate.
//!
//! Exists only if the crate is built with a TLS library.

use secrecy::{ExposeSecret as _, SecretSlice};

use super::http_config::{ClientCertificate, HttpConfig, TlsBackend, invalid};
use super::http_error::innermost;
use super::pem::{self, PemSection};
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
        let mut roots = Vec::new();
        for file in &config.roots {
            roots.extend(certificates(file)?);
        }
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

/// The certificates of a file.
fn certificates(file: &[u8]) -> Result<Vec<reqwest::Certificate>, Error> {
    let refused = |reason: &str| {
        invalid(format!(
            "with_root_certificates: {reason}: give certificates in PEM format, with a line `-----BEGIN CERTIFICATE-----` each"
        ))
    };
    let sections = pem::sections(file);
    let certificates: Vec<_> = sections.iter().filter(|section| section.is_certificate()).collect();
    if certificates.is_empty() {
        return Err(refused("there is no certificate in the text"));
    }
    let read = |section: &&PemSection<'_>| match reqwest::Certificate::from_pem_bundle(section.text) {
        Ok(mut certificates) if certificates.len() == 1 => Ok(certificates.remove(0)),
        Ok(_) => Err(refused("a certificate cannot be read")),
        Err(error) => Err(refused(&format!("a certificate cannot be read ({})", innermost(&error)))),
    };
    certificates.iter().map(read).collect()
}

/// The client's certificate with its key, as the library reads them.
fn identity(certificate: &ClientCertificate, backend: TlsBackend) -> Result<reqwest::Identity, Error> {
    let refused = |reason: &str| invalid(format!("with_client_certificate: {reason}"));
    let (chain, key) = (pem::sections(&certificate.chain), pem::sections(certificate.key.expose_secret()));
    let chain: Vec<_> = chain.iter().filter(|section| section.is_certificate()).map(|section| section.text).collect();
    if chain.is_empty() {
        return Err(refused(
            "there is no certificate in the chain: give it in PEM format, with a line `-----BEGIN CERTIFICATE-----` each",
        ));
    }
    let keys: Vec<_> = key.iter().filter(|section| section.is_private_key()).collect();
    let key = match keys[..] {
        [key] => key,
        [] => {
            return Err(refused(
                "there is no private key: give it in PEM format, with a line such as `-----BEGIN PRIVATE KEY-----`",
            ));
        }
        _ => return Err(refused("there is more than one private key: give the one of the client's certificate alone")),
    };
    if key.is_encrypted() {
        return Err(refused(
            "the private key is encrypted with a password: decrypt it, for example with `openssl pkey -in client.key -out \
             decrypted.key`",
        ));
    }
    let identity = match backend {
        #[cfg(any(feature = "rustls", feature = "rustls-no-provider"))]
        TlsBackend::Rustls => {
            let both: SecretSlice<u8> = [&chain[..], &[key.text]].concat().join(&b'\n').into();
            reqwest::Identity::from_pem(both.expose_secret())
        }
        #[cfg(feature = "native-tls")]
        TlsBackend::Native if key.label != b"PRIVATE KEY" => {
            return Err(refused(
                "native-tls reads private keys in PKCS#8 only: convert it with `openssl pkcs8 -topk8 -nocrypt -in client.key`",
            ));
        }
        #[cfg(feature = "native-tls")]
        TlsBackend::Native => reqwest::Identity::from_pkcs8_pem(&chain.join(&b'\n'), key.text),
        #[cfg(not(all(any(feature = "rustls", feature = "rustls-no-provider"), feature = "native-tls")))]
        _ => return Err(refused("the TLS library is missing")),
    };
    identity.map_err(|error| {
        let cause = innermost(&error);
        refused(&format!("the certificate or the private key cannot be read ({cause}): give both in PEM format"))
    })
}
