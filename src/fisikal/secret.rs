//! Text inside a body that must not be printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use subtle::ConstantTimeEq as _;

/// A password, a token or a PIN inside a body: sent as it is, and never printed.
///
/// Serialising it writes it out, for that is how it is sent. So does a body's `serde_json::to_string`.
///
/// # Example
///
/// ```
/// use servicebay::fisikal::Secret;
///
/// let password: Secret = "correct horse".into();
/// assert_eq!(format!("{password:?}"), "[redacted]");
/// assert_eq!(password.expose(), "correct horse");
/// ```
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<SecretString> for Secret {
    fn from(text: SecretString) -> Self {
        Self(text)
    }
}

impl From<Secret> for SecretString {
    fn from(secret: Secret) -> Self {
        secret.0
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::required(deserializer).map(|text: String| text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::{SignUp, User};
    use super::*;

    #[test]
    fn what_holds_a_secret_can_be_printed_without_it() {
        let sent = SignUp::new().email("ada@example.com").password("hush-hush");
        let received: User =
            serde_json::from_str(r#"{"id": 1, "auth_token": "hush-hush", "access_pin": 4711}"#).unwrap();
        assert_eq!(received.access_pin.as_ref().map(Secret::expose), Some("4711"));
        for printed in [format!("{sent:?}"), format!("{received:?}")] {
            assert!(printed.contains("[redacted]"), "{printed}");
            assert!(!printed.contains("hush") && !printed.contains("4711"), "{printed}");
        }
    }

    #[test]
    fn what_holds_a_secret_is_sent_with_it() {
        let sent = serde_json::to_value(SignUp::new().password("hush-hush")).unwrap();
        assert_eq!(sent["password"], "hush-hush");
    }
}
