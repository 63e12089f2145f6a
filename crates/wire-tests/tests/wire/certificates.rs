//! An authority of one test, the certificates that it signs, and clients that trust it.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use servicebay::HttpConfig;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, WebPkiClientVerifier};
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

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
    /// When it is valid, in years from now.
    pub(crate) years_from_now: i32,
}

impl Claims {
    pub(crate) const VALID: Self = Self { host: HOST, years_from_now: 0 };

    fn params(self) -> CertificateParams {
        let mut params = CertificateParams::new([self.host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "A server of a test");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Some systems accept no certificate that is valid for more than 825 days.
        let year = this_year() + self.years_from_now;
        params.not_before = rcgen::date_time_ymd(year - 1, 1, 1);
        params.not_after = rcgen::date_time_ymd(year + 1, 1, 31);
        params
    }
}

/// The year, which may be wrong for a day before and after it begins.
fn this_year() -> i32 {
    const SECONDS_OF_A_YEAR: u64 = 31_556_952;
    let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() / SECONDS_OF_A_YEAR;
    1970 + i32::try_from(since_1970).unwrap()
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

    /// Makes a client trust this authority and no other, and find [`HOST`] on this machine.
    pub(crate) fn trusted_by(&self, http: HttpConfig) -> HttpConfig {
        http.with_only_root_certificates(self.pem()).with_host_addresses(HOST, [Ipv4Addr::LOCALHOST])
    }

    pub(crate) fn pem(&self) -> String {
        self.certificate.pem()
    }

    /// A certificate for a client, and its private key, in PEM format.
    pub(crate) fn client_certificate(&self) -> (String, String) {
        let mut params = Claims::VALID.params();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    /// The TLS of a server that lets only clients in that have a certificate of this authority.
    pub(crate) fn acceptor_for_clients(&self) -> TlsAcceptor {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.der().clone()).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate = Claims::VALID.params().signed_by(&key, &self.issuer).unwrap();
        acceptor(&certificate, &key, &[], verifier)
    }

    /// The TLS of a server with a certificate of this authority, which speaks these protocols.
    pub(crate) fn acceptor(&self, claims: Claims, protocols: &[&str]) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let certificate = claims.params().signed_by(&key, &self.issuer).unwrap();
        acceptor(&certificate, &key, protocols, Arc::new(NoClientAuth))
    }
}

/// The TLS of a server whose certificate no authority signed.
pub(crate) fn self_signed(claims: Claims) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let certificate = claims.params().self_signed(&key).unwrap();
    acceptor(&certificate, &key, &[], Arc::new(NoClientAuth))
}

fn acceptor(
    certificate: &Certificate,
    key: &KeyPair,
    protocols: &[&str],
    clients: Arc<dyn ClientCertVerifier>,
) -> TlsAcceptor {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients)
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}
