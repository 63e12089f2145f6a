//! The credentials of a Fixably client: a token of the tenant.

use http::header::AUTHORIZATION;
use jiff::Timestamp;
use secrecy::SecretString;

use crate::auth::{AuthConfig, StaticToken, read_environment};
use crate::error::Error;

/// A token of a Fixably tenant. `Debug` does not print it, and it is sent to the client's base URL only.
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
    token_type: TokenType,
    token: SecretString,
    expires_at: Option<Timestamp>,
    client_name: Option<String>,
}

#[derive(Clone, Copy, Debug)]
enum TokenType {
    /// Of an OAuth2 client.
    Bearer,
    /// Of a user.
    User,
}

impl Credentials {
    /// The token of an OAuth2 client, sent as `Authorization: Bearer`. The vendor wants it for all new integrations
    /// ([source](https://kb.fixably.com/fixably-api/using-oauth2-clients-for-secure-api-access-to-your-tenant)).
    ///
    /// Create it under *System Settings > API > OAuth2 Clients*. The vendor shows it once, and it lasts a week, a month, a
    /// year, or without end. Set the expiration with [`with_expires_at`](Self::with_expires_at).
    pub fn bearer(token: impl Into<SecretString>) -> Self {
        Self { token_type: TokenType::Bearer, token: token.into(), expires_at: None, client_name: None }
    }

    /// A user's own token, sent in `Authorization` without a scheme. This is the legacy way: the token has the user's rights
    /// and never expires, and the vendor asks integrations to stop using it.
    pub fn user_token(token: impl Into<SecretString>) -> Self {
        Self { token_type: TokenType::User, token: token.into(), expires_at: None, client_name: None }
    }

    /// [`bearer`](Self::bearer) with the token in the environment variable `FIXABLY_TOKEN`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] that names the variables that are missing, empty or not UTF-8.
    pub fn from_env() -> Result<Self, Error> {
        read_environment(["FIXABLY_TOKEN"]).map(|[token]| Self::bearer(token))
    }

    /// Sets when the token expires. Default: never. After that, calls fail with [`Error::Unauthorized`] without being sent;
    /// until then the client's `auth_status()` reports how much time is left.
    pub fn with_expires_at(self, moment: Timestamp) -> Self {
        Self { expires_at: Some(moment), ..self }
    }

    /// Sets the name of the OAuth2 client, as the tenant's settings list it. Fixably's support asks for it, so it stands in
    /// [`Error::support_report`]. Default: none. It is not sent.
    pub fn with_client_name(self, name: impl Into<String>) -> Self {
        Self { client_name: Some(name.into()), ..self }
    }

    pub(super) fn into_auth_config(self) -> Result<AuthConfig, Error> {
        let scheme = match self.token_type {
            TokenType::Bearer => Some("Bearer"),
            TokenType::User => None,
        };
        let token = StaticToken::new("token", AUTHORIZATION, scheme, self.token, self.expires_at)?;
        Ok(AuthConfig { client_name: self.client_name.map(Into::into), ..AuthConfig::from(token) })
    }
}
