//! What a client proves itself with to Repairy.

use http::HeaderValue;
use http::header::{AUTHORIZATION, HeaderName};
use secrecy::{ExposeSecret, SecretString};

use crate::auth::Auth;
use crate::error::Error;

/// The header that names the partner on every request.
const PARTNER: HeaderName = HeaderName::from_static("x-partner-id");

/// The credentials of a partner. They are never printed, and are sent to the client's base URL alone.
#[derive(Clone, Debug)]
pub struct Credentials {
    token: SecretString,
    partner_id: String,
}

impl Credentials {
    /// An access token that somebody else obtained, with the partner's id. It ends after 48 hours and is not renewed.
    pub fn static_token(token: impl Into<SecretString>, partner_id: impl Into<String>) -> Self {
        Self { token: token.into(), partner_id: partner_id.into() }
    }

    pub(super) fn into_auth(self) -> Result<Auth, Error> {
        if self.token.expose_secret().is_empty() {
            return Err(Error::config("token", "is empty"));
        }
        if self.partner_id.is_empty() || self.partner_id.trim() != self.partner_id {
            return Err(Error::config("partner_id", "is empty, or begins or ends with white space"));
        }
        let partner = HeaderValue::from_str(&self.partner_id)
            .map_err(|_| Error::config("partner_id", "cannot be sent as a header"))?;
        let auth = Auth::fixed(AUTHORIZATION, Some("Bearer"), self.token, None)
            .map_err(|_| Error::config("token", "cannot be sent as a header"))?;
        Ok(auth.with_companion(PARTNER, partner))
    }
}
