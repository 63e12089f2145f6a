//! What a client proves itself with to Fisikal.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use secrecy::{ExposeSecret, SecretString};

use super::grant::{PasswordGrant, SessionGrant};
use crate::auth::{AuthConfig, AuthMethod, Grant, StaticToken, account};
use crate::error::Error;

/// The header of a session token.
pub(super) const SESSION: HeaderName = HeaderName::from_static("x-fisikal-token");

/// What a client proves itself with. It is never printed, and is sent to the client's base URL alone.
///
/// # Example
///
/// ```
/// use servicebay::fisikal::Credentials;
///
/// let credentials = Credentials::password("client id", "client secret", "api@club.example", "pass phrase");
/// assert!(!format!("{credentials:?}").contains("phrase"));
/// ```
#[derive(Clone, Debug)]
pub struct Credentials(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Bearer(SecretString),
    Guest,
    Password { client_id: String, client_secret: SecretString, username: String, password: SecretString },
    Session { email: String, password: SecretString, roles: Vec<String> },
    SessionToken(SecretString),
}

impl Credentials {
    /// The way that the vendor documents for integrations: an *oAuth2 Application*, which has the client id and secret, and a
    /// user with the role Manager, whose e-mail address is the username. The client logs in at `/oauth/token` with the
    /// first call; it renews the token before it expires, with the refresh token where the vendor gives one and by a
    /// new login where it does not.
    pub fn password(
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Self {
        Self(Kind::Password {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            username: username.into(),
            password: password.into(),
        })
    }

    /// A log-in at `/api/unified/sessions/auth`, whose token goes out in `X-Fisikal-Token`. The vendor's page on it shows
    /// `["manager"]` for the roles. Nobody says how long the token lives: the client logs in anew when it is refused.
    pub fn session(
        email: impl Into<String>,
        password: impl Into<SecretString>,
        roles: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let roles = roles.into_iter().map(Into::into).collect();
        Self(Kind::Session { email: email.into(), password: password.into(), roles })
    }

    /// A token from `/oauth/token` that somebody else obtained, sent as `Authorization: Bearer`. It is not renewed.
    pub fn bearer(token: impl Into<SecretString>) -> Self {
        Self(Kind::Bearer(token.into()))
    }

    /// A token from a log-in or a [sign-up](super::Client::sign_up_client) that somebody else made, sent in
    /// `X-Fisikal-Token`. It is not renewed.
    pub fn session_token(token: impl Into<SecretString>) -> Self {
        Self(Kind::SessionToken(token.into()))
    }

    /// Nothing. The vendor's widget lists locations and packages and signs clients up without a token; which operations
    /// allow that is not documented.
    pub fn guest() -> Self {
        Self(Kind::Guest)
    }

    pub(super) fn into_auth_config(self) -> Result<AuthConfig, Error> {
        match self.0 {
            Kind::Bearer(token) => fixed(AUTHORIZATION, Some("Bearer"), token),
            Kind::SessionToken(token) => fixed(SESSION, None, token),
            Kind::Guest => Ok(AuthConfig::from(StaticToken::none())),
            Kind::Password { client_id, client_secret, username, password } => {
                let account = account(&["oauth", &client_id, &username]);
                Ok(granted(PasswordGrant::new(client_id, client_secret, username, password)?, account))
            }
            Kind::Session { email, password, roles } => {
                let account = account(&["session", &roles.join("+"), &email]);
                Ok(granted(SessionGrant::new(email, password, roles)?, account))
            }
        }
    }
}

fn granted(grant: impl Grant, account: Cow<'static, str>) -> AuthConfig {
    let method = AuthMethod::Granted { grant: Box::new(grant), tokens: None };
    AuthConfig { method, account, headers: HeaderMap::new() }
}

fn fixed(header: HeaderName, scheme: Option<&str>, token: SecretString) -> Result<AuthConfig, Error> {
    if token.expose_secret().is_empty() {
        return Err(Error::config("token", "is empty"));
    }
    if !token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::config("token", "holds a character that no token has: a space, a line break, or non-ASCII"));
    }
    let fixed = StaticToken::new(header, scheme, token, None);
    fixed.map(AuthConfig::from).map_err(|_| Error::config("token", "cannot be sent as a header"))
}
