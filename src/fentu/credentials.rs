//! The credentials of a Fentu client: an API key, or a registered application with a user's tokens.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::SecretString;

use super::grant::CodeGrant;
use crate::auth::{AuthConfig, AuthMethod, StaticToken, TokenSet, account, check_token, read_environment};
use crate::error::Error;

/// How a client authenticates. `Debug` prints no secret, and secrets are sent to the client's base URL only.
///
/// # Example
///
/// ```
/// use servicebay::fentu::Credentials;
///
/// let credentials = Credentials::api_key("from the settings page");
/// assert!(!format!("{credentials:?}").contains("settings"));
/// ```
#[derive(Clone, Debug)]
pub struct Credentials(Access);

#[derive(Clone, Debug)]
enum Access {
    ApiKey(SecretString),
    Application { client_id: String, client_secret: SecretString, tokens: Option<Box<TokenSet>> },
}

impl Credentials {
    /// An API key, sent as `Authorization: Bearer`
    /// ([source](https://docs.fentufsm.com/api-reference/authentication)).
    ///
    /// Create it under *Administration > Integrations > API* with the rights that it needs. The vendor shows it once, and
    /// it is valid until it is revoked.
    pub fn api_key(key: impl Into<SecretString>) -> Self {
        Self(Access::ApiKey(key.into()))
    }

    /// [`api_key`](Self::api_key) with the key in the environment variable `FENTU_API_KEY`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] that names the variables that are missing, empty or not UTF-8.
    pub fn from_env() -> Result<Self, Error> {
        read_environment(["FENTU_API_KEY"]).map(|[key]| Self::api_key(key))
    }

    /// A registered application with the tokens that a user granted it: from [`Application`](super::Application), or from
    /// wherever you keep them. The client refreshes the access token, which lives 1 hour, with the refresh token, which
    /// lives 30 days ([source](https://docs.fentufsm.com/api-reference/authentication)).
    ///
    /// If the client has a [store](crate::ClientBuilder::with_token_store) that holds tokens too, it uses the ones that
    /// were obtained later; if that is not recorded, it uses the stored ones.
    ///
    /// # Several users of one tenant
    ///
    /// These credentials do not say which user granted the tokens, and the vendor does not either. If two users of one tenant
    /// let the application in, give each client the user's name with
    /// [`with_account`](crate::ClientBuilder::with_account): otherwise both share one record in the store, and the later login
    /// replaces the other, with the rights of its user.
    pub fn oauth(client_id: impl Into<String>, client_secret: impl Into<SecretString>, tokens: TokenSet) -> Self {
        Self::application(client_id, client_secret, Some(Box::new(tokens)))
    }

    /// A registered application whose tokens are in the client's [store](crate::ClientBuilder::with_token_store). While
    /// the store is empty, calls fail with [`Error::ReauthRequired`]: a user has to log in first, through
    /// [`Application::exchange_into`](super::Application::exchange_into). If several users of one tenant log in, name each with
    /// [`with_account`](crate::ClientBuilder::with_account), as described at [`oauth`](Self::oauth).
    pub fn oauth_stored(client_id: impl Into<String>, client_secret: impl Into<SecretString>) -> Self {
        Self::application(client_id, client_secret, None)
    }

    fn application(
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
        tokens: Option<Box<TokenSet>>,
    ) -> Self {
        Self(Access::Application { client_id: client_id.into(), client_secret: client_secret.into(), tokens })
    }

    pub(super) fn into_auth_config(self) -> Result<AuthConfig, Error> {
        match self.0 {
            Access::ApiKey(key) => {
                StaticToken::new("api_key", AUTHORIZATION, Some("Bearer"), key, None).map(AuthConfig::from)
            }
            Access::Application { client_id, client_secret, tokens } => {
                let account = account(&["oauth", &client_id]);
                let grant = Box::new(CodeGrant::new(client_id, client_secret)?);
                if let Some(tokens) = &tokens {
                    check_token("access_token", tokens.access_token(), Some("Bearer"))?;
                }
                let method = AuthMethod::Granted { grant, tokens: tokens.map(|tokens| *tokens) };
                Ok(AuthConfig { method, account, headers: HeaderMap::new(), client_name: None })
            }
        }
    }
}
