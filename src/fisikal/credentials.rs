//! The credentials of a Fisikal client: an application, a user, or a token.

use std::borrow::Cow;

use http::HeaderMap;
use http::header::{AUTHORIZATION, HeaderName};
use secrecy::SecretString;

use super::grant::{PasswordGrant, SESSION_TOKEN, SessionGrant};
use crate::auth::{AuthConfig, AuthMethod, Grant, StaticToken, account, read_environment};
use crate::error::Error;

/// How a client authenticates. `Debug` prints no secret, and secrets are sent to the client's base URL only.
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
pub struct Credentials(LoginMethod);

#[derive(Clone, Debug)]
enum LoginMethod {
    Bearer(SecretString),
    Guest,
    Password { client_id: String, client_secret: SecretString, username: String, password: SecretString },
    Session { email: String, password: SecretString, roles: Vec<String> },
    SessionToken(SecretString),
}

impl Credentials {
    /// The documented way for integrations: the id and secret of an *oAuth2 Application*, with a user who has the role
    /// Manager and whose e-mail address is the username. The client logs in at `/oauth/token` on the first call. It refreshes
    /// the token before it expires: with the refresh token if the vendor sends one, else by logging in again.
    pub fn password(
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
        username: impl Into<String>,
        password: impl Into<SecretString>,
    ) -> Self {
        Self(LoginMethod::Password {
            client_id: client_id.into(),
            client_secret: client_secret.into(),
            username: username.into(),
            password: password.into(),
        })
    }

    /// [`password`](Self::password) with the environment variables `FISIKAL_CLIENT_ID`, `FISIKAL_CLIENT_SECRET`, `FISIKAL_USERNAME`
    /// and `FISIKAL_PASSWORD`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] that names the variables that are missing, empty or not UTF-8.
    pub fn from_env() -> Result<Self, Error> {
        let names = ["FISIKAL_CLIENT_ID", "FISIKAL_CLIENT_SECRET", "FISIKAL_USERNAME", "FISIKAL_PASSWORD"];
        let [client_id, client_secret, username, password] = read_environment(names)?;
        Ok(Self::password(client_id, client_secret, username, password))
    }

    /// A login at `/api/unified/sessions/auth`, whose token is sent in `X-Fisikal-Token`. The vendor's page about it shows
    /// `["manager"]` for the roles. The lifetime of the token is not documented: the client logs in again when the vendor
    /// refuses it.
    pub fn session(
        email: impl Into<String>,
        password: impl Into<SecretString>,
        roles: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let roles = roles.into_iter().map(Into::into).collect();
        Self(LoginMethod::Session { email: email.into(), password: password.into(), roles })
    }

    /// A token from `/oauth/token` that another program obtained, sent as `Authorization: Bearer`. It is never refreshed.
    pub fn bearer(token: impl Into<SecretString>) -> Self {
        Self(LoginMethod::Bearer(token.into()))
    }

    /// A token from a login or a [sign-up](super::Client::sign_up_client), sent in `X-Fisikal-Token`. It is never refreshed.
    pub fn session_token(token: impl Into<SecretString>) -> Self {
        Self(LoginMethod::SessionToken(token.into()))
    }

    /// No token. The vendor's widget lists locations and packages and signs clients up without one; which operations allow
    /// that is not documented.
    pub fn guest() -> Self {
        Self(LoginMethod::Guest)
    }

    pub(super) fn into_auth_config(self) -> Result<AuthConfig, Error> {
        match self.0 {
            LoginMethod::Bearer(token) => static_token(AUTHORIZATION, Some("Bearer"), token),
            LoginMethod::SessionToken(token) => static_token(SESSION_TOKEN, None, token),
            LoginMethod::Guest => Ok(AuthConfig::from(StaticToken::none())),
            LoginMethod::Password { client_id, client_secret, username, password } => {
                let account = account(&["oauth", &client_id, &username]);
                Ok(granted(PasswordGrant::new(client_id, client_secret, username, password)?, account))
            }
            LoginMethod::Session { email, password, roles } => {
                let account = account(&["session", &roles.join("+"), &email]);
                Ok(granted(SessionGrant::new(email, password, roles)?, account))
            }
        }
    }
}

fn granted(grant: impl Grant, account: Cow<'static, str>) -> AuthConfig {
    let method = AuthMethod::Granted { grant: Box::new(grant), tokens: None };
    AuthConfig { method, account, headers: HeaderMap::new(), client_name: None }
}

fn static_token(header: HeaderName, scheme: Option<&str>, token: SecretString) -> Result<AuthConfig, Error> {
    StaticToken::new("token", header, scheme, token, None).map(AuthConfig::from)
}
