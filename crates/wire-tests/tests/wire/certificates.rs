//! An authority of one test, the certificates that it signs, and clients that trust it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, Certificate, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
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

    /// Makes a client trust this authority and no other, and find [`HOST`] at this address.
    pub(crate) fn trusted(&self, address: SocketAddr, http: reqwest::ClientBuilder) -> reqwest::ClientBuilder {
        http.tls_certs_only([self.certificate()]).resolve(HOST, address)
    }

    pub(crate) fn certificate(&self) -> reqwest::Certificate {
        reqwest::Certificate::from_der(self.certificate.der()).unwrap()
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
