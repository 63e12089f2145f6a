//! What a client proves itself with to Fixably.

use http::header::AUTHORIZATION;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::auth::{AuthConfig, StaticToken};
use crate::error::Error;

/// A token of a Fixably tenant. It is never printed, and is sent to the client's base URL alone.
///
/// # Example
///
/// ```
/// use servicebay::fixably::Credentials;
///
/// let credentials = Credentials::bearer("from the settings page").with_expires_at("2027-01-31T00:00:00Z".parse().unwrap());
/// assert!(!format!("{credentials:?}").contains("settings"));
/// ```
#[derive(Clone, Debug)]
pub struct Credentials {
    kind: Kind,
    token: SecretString,
    expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bearer,
    User,
}

impl Credentials {
    /// The token of an OAuth2 client, sent as `Authorization: Bearer`. What the vendor wants for all new integrations
    /// ([source](https://kb.fixably.com/fixably-api/using-oauth2-clients-for-secure-api-access-to-your-tenant)).
    ///
    /// It is made under *System Settings > API > OAuth2 Clients*, shown once, and lasts a week, a month, a year or for
    /// ever. Say until when with [`with_expires_at`](Self::with_expires_at).
    pub fn bearer(token: impl Into<SecretString>) -> Self {
        Self { kind: Kind::Bearer, token: token.into(), expires_at: None }
    }

    /// A user's own token, sent as it is in `Authorization`. The legacy way: it may do whatever the user may, never
    /// expires, and the vendor asks to move away from it.
    pub fn user_token(token: impl Into<SecretString>) -> Self {
        Self { kind: Kind::User, token: token.into(), expires_at: None }
    }

    /// When the token expires. From then on calls fail with [`Error::Unauthorized`] without being sent, and until then
    /// `auth_status()` of the client tells the days left.
    pub fn with_expires_at(self, moment: Timestamp) -> Self {
        Self { expires_at: Some(moment), ..self }
    }

    pub(super) fn into_auth_config(self) -> Result<AuthConfig, Error> {
        let token = self.token.expose_secret();
        if token.is_empty() {
            return Err(Error::config("token", "is empty"));
        }
        if token.trim() != token {
            return Err(Error::config(
                "token",
                "begins or ends with white space; was a line break read along with it?",
            ));
        }
        if matches!(self.kind, Kind::Bearer) && has_scheme(token) {
            return Err(Error::config("token", "already begins with Bearer; give the token alone"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::config(
                "token",
                "holds a character that no token has: a space, a line break, or non-ASCII",
            ));
        }
        let scheme = match self.kind {
            Kind::Bearer => Some("Bearer"),
            Kind::User => None,
        };
        StaticToken::new(AUTHORIZATION, scheme, self.token, self.expires_at)
            .map(AuthConfig::from)
            .map_err(|_| Error::config("token", "cannot be sent as a header"))
    }
}

fn has_scheme(token: &str) -> bool {
    token.get(..6).is_some_and(|start| start.eq_ignore_ascii_case("bearer")) && token.as_bytes().get(6) == Some(&b' ')
}
