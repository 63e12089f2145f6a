//! An authority of one test, the certificates that it signs, and clients that trust it.

use std::net::SocketAddr;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

/// The host that clients call. It needs no DNS.
pub(crate) const HOST: &str = "vendor.example";

pub(crate) struct Authority {
    certificate: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// What a server's certificate says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claims {
    pub(crate) host: &'static str,
    /// The first and the last year in which it is valid.
    pub(crate) years: (i32, i32),
}

impl Claims {
    pub(crate) const VALID: Self = Self { host: HOST, years: (2000, 2200) };

    fn params(self) -> CertificateParams {
        let mut params = CertificateParams::new([self.host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "A server of a test");
        params.not_before = rcgen::date_time_ymd(self.years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(self.years.1, 12, 31);
        params
    }
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params.distinguished_name.push(DnType::CommonName, "The authority of a test");
        let key = KeyPair::generate().unwrap();
        Self { certificate: params.self_signed(&key).unwrap(), issuer: Issuer::new(params, key) }
    }

    /// Makes a client trust this authority and no other, and find [`HOST`] at this address.
    pub(crate) fn trusted(&self, address: SocketAddr, http: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        let certificate = reqwest::Certificate::from_der(self.certificate.der()).unwrap();
        http.tls_certs_only([certificate]).resolve(HOST, address)
    }

    /// The TLS of a server with a certificate of this authority, which speaks these protocols.
    pub(crate) fn acceptor(&self, claims: Claims, protocols: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = claims.params().signed_by(&key, &self.issuer).unwrap();
        acceptor(&certificate, &key, protocols)
    }
}

/// The TLS of a server whose certificate no authority signed.
pub(crate) fn self_signed(claims: Claims) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = claims.params().self_signed(&key).unwrap();
    acceptor(&certificate, &key, &[])
}

fn acceptor(certificate: &Certificate, key: &KeyPair, protocols: &[&str]) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}
