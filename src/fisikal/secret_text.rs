//! Text in a body that is never printed.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use subtle::ConstantTimeEq as _;

/// A password, a token, or a PIN in a body. `Debug` prints `[redacted]`.
///
/// Serializing it writes the text itself, because that is how it is sent. So does `serde_json::to_string` of a body.
///
/// # Example
///
/// ```
/// use servicebay::fisikal::SecretText;
///
/// let password: SecretText = "correct horse".into();
/// assert_eq!(format!("{password:?}"), "[redacted]");
/// assert_eq!(password.expose(), "correct horse");
/// ```
#[derive(Clone)]
pub struct SecretText(SecretString);

impl SecretText {
    /// The secret text.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

impl PartialEq for SecretText {
    fn eq(&self, other: &Self) -> bool {
        self.expose().as_bytes().ct_eq(other.expose().as_bytes()).into()
    }
}

impl From<&str> for SecretText {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for SecretText {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<SecretString> for SecretText {
    fn from(text: SecretString) -> Self {
        Self(text)
    }
}

impl From<SecretText> for SecretString {
    fn from(secret: SecretText) -> Self {
        secret.0
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::required(deserializer).map(|text: String| text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::super::generated::types::{SignUp, User};
    use super::*;

    #[test]
    fn debug_of_a_body_shows_no_secret() {
        let sent = SignUp::new().email("ada@example.com").password("hush-hush");
        let received: User =
            serde_json::from_str(r#"{"id": 1, "auth_token": "hush-hush", "access_pin": 4711}"#).unwrap();
        assert_eq!(received.access_pin.as_ref().map(SecretText::expose), Some("4711"));
        for printed in [format!("{sent:?}"), format!("{received:?}")] {
            assert!(printed.contains("[redacted]"), "{printed}");
            assert!(!printed.contains("hush") && !printed.contains("4711"), "{printed}");
        }
    }

    #[test]
    fn a_secret_is_sent_as_it_is() {
        let sent = serde_json::to_value(SignUp::new().password("hush-hush")).unwrap();
        assert_eq!(sent["password"], "hush-hush");
    }
}
