//! Signatures with HMAC-SHA256 over the timestamp and the raw body.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

use super::error::WebhookError;
use super::verifier::{SignedMessage, Verifier};
use crate::error::Error;

/// Verifies HMAC-SHA256 over the timestamp, a separator and the raw body.
///
/// This is the usual recipe of vendors that send a timestamp. That Repairy uses it is **assumed**: its pages say that there is
/// a signature and that the timestamp takes part in it, and the page with the recipe could not be read. So every part can be
/// set:
///
/// | part | default | option |
/// | --- | --- | --- |
/// | encoding | lower-case hexadecimal | [`with_encoding`](Self::with_encoding) |
/// | text before the signature | none | [`with_prefix`](Self::with_prefix) |
/// | text between timestamp and body | `.` | [`with_separator`](Self::with_separator) |
///
/// For another recipe, write a [`Verifier`]. The comparison takes the same time wherever the texts differ, and exactly one text
/// is accepted for each secret. `Debug` prints no secret.
///
/// # Example
///
/// A secret that is being replaced, and signatures such as `sha256=NZW4…`:
///
/// ```
/// use servicebay::webhook::{HmacSha256, SignatureEncoding};
///
/// # fn main() -> Result<(), servicebay::Error> {
/// let verifier = HmacSha256::new(["new secret", "old secret"])?
///     .with_encoding(SignatureEncoding::Base64)
///     .with_prefix("sha256=");
/// assert!(verifier.sign("1772366400", b"{}").starts_with("sha256="));
/// assert!(!format!("{verifier:?}").contains("secret\""));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct HmacSha256 {
    secrets: Vec<SecretString>,
    encoding: SignatureEncoding,
    prefix: String,
    separator: String,
}

/// How a signature is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignatureEncoding {
    /// Base64 with padding: 44 characters.
    Base64,
    /// Hexadecimal in lower case: 64 characters. The default.
    #[default]
    Hex,
    /// Hexadecimal in upper case: 64 characters.
    UpperHex,
}

impl HmacSha256 {
    /// A verifier that accepts what was signed with any of these secrets. Pass one, or the new and the old one while a secret
    /// is being replaced.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] if there is no secret, or one of them is empty: everyone can sign with an empty secret.
    pub fn new<S: Into<SecretString>>(secrets: impl IntoIterator<Item = S>) -> Result<Self, Error> {
        let secrets: Vec<SecretString> = secrets.into_iter().map(Into::into).collect();
        if secrets.is_empty() {
            return Err(Error::config("webhook_secret", "there is none: pass the secret of the webhook"));
        }
        if secrets.iter().any(|secret| secret.expose_secret().trim().is_empty()) {
            return Err(Error::config(
                "webhook_secret",
                "is empty, so everyone could sign: pass the secret of the webhook",
            ));
        }
        Ok(Self { secrets, encoding: SignatureEncoding::default(), prefix: String::new(), separator: ".".to_owned() })
    }

    /// How signatures are written. Default [`SignatureEncoding::Hex`]; assumed.
    #[must_use]
    pub fn with_encoding(mut self, encoding: SignatureEncoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// What stands before a signature in its header, such as `sha256=`. Default: nothing; assumed.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// What stands between the timestamp and the body in what is signed. Default `.`; assumed. Empty if they follow each
    /// other.
    #[must_use]
    pub fn with_separator(mut self, separator: impl Into<String>) -> Self {
        self.separator = separator.into();
        self
    }

    /// The signature of a timestamp and a body with the first secret, as the vendor would send it. For tests; a mock server
    /// signs its deliveries with it.
    #[must_use]
    pub fn sign(&self, timestamp: &str, body: &[u8]) -> String {
        let secret = self.secrets.first().expect("`new` accepts no empty list");
        self.signature(secret, timestamp, body)
    }

    fn signature(&self, secret: &SecretString, timestamp: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes())
            .expect("HMAC accepts a key of any length");
        for part in [timestamp.as_bytes(), self.separator.as_bytes(), body] {
            mac.update(part);
        }
        let mac = mac.finalize().into_bytes();
        let encoded: String = match self.encoding {
            SignatureEncoding::Base64 => STANDARD.encode(mac),
            SignatureEncoding::Hex => mac.iter().map(|byte| format!("{byte:02x}")).collect(),
            SignatureEncoding::UpperHex => mac.iter().map(|byte| format!("{byte:02X}")).collect(),
        };
        format!("{}{encoded}", self.prefix)
    }
}

impl Verifier for HmacSha256 {
    fn verify(&self, message: &SignedMessage<'_>) -> Result<(), WebhookError> {
        let received = message.signature()?.as_bytes();
        // The texts are compared and not the bytes that they stand for, so that a signature has one form only. All secrets are
        // tried, so that the time does not show which one fits.
        let fits = self.secrets.iter().fold(Choice::from(0), |fits, secret| {
            let expected = self.signature(secret, message.timestamp(), message.body());
            fits | expected.as_bytes().ct_eq(received)
        });
        if bool::from(fits) { Ok(()) } else { Err(WebhookError::BadSignature) }
    }
}

impl fmt::Debug for HmacSha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HmacSha256")
            .field("secrets", &self.secrets.len())
            .field("encoding", &self.encoding)
            .field("prefix", &self.prefix)
            .field("separator", &self.separator)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Test case 2 of RFC 4231: the key `Jefe`, and a text of which the first half stands for the timestamp here.
    #[test]
    fn signatures_are_those_of_rfc_4231() {
        let verifier = HmacSha256::new(["Jefe"]).unwrap().with_separator("");
        let sign = |verifier: &HmacSha256| verifier.sign("what do ya want ", b"for nothing?");
        let hex = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(sign(&verifier), hex);
        let upper = verifier.clone().with_encoding(SignatureEncoding::UpperHex).with_prefix("v1=");
        assert_eq!(sign(&upper), format!("v1={}", hex.to_uppercase()));
        let base64 = verifier.with_encoding(SignatureEncoding::Base64);
        assert_eq!(sign(&base64), "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM=");
    }

    #[test]
    fn the_separator_is_part_of_what_is_signed() {
        let verifier = HmacSha256::new(["secret"]).unwrap();
        let plain = verifier.clone().with_separator("");
        assert_eq!(verifier.sign("17", b"{}"), plain.sign("17.", b"{}"));
        assert_ne!(verifier.sign("17", b"{}"), plain.sign("17", b"{}"));
    }

    #[test]
    fn a_missing_or_empty_secret_is_refused() {
        for secrets in [vec![], vec![""], vec!["good", " \n"]] {
            let error = HmacSha256::new(secrets).unwrap_err();
            assert!(matches!(&error, Error::Config(error) if error.field() == "webhook_secret"), "{error:?}");
        }
    }
}
