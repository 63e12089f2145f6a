//! What a client proves itself with to Fentu FSM.

use http::HeaderMap;
use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};

use super::grant::CodeGrant;
use crate::auth::{AuthConfig, AuthMethod, StaticToken, TokenSet, account};
use crate::error::Error;

/// What a client proves itself with. It is never printed, and is sent to the client's base URL alone.
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
pub struct Credentials(Kind);

#[derive(Clone, Debug)]
enum Kind {
    Key(SecretString),
    Application { client_id: String, client_secret: SecretString, tokens: Option<Box<TokenSet>> },
}

impl Credentials {
    /// An API key, sent as `Authorization: Bearer`
    /// ([source](https://docs.fentufsm.com/api-reference/authentication)).
    ///
    /// It is made under *Administration > Integrations > API* with the rights that it needs, shown once, and lasts until
    /// somebody revokes it.
    pub fn api_key(key: impl Into<SecretString>) -> Self {
        Self(Kind::Key(key.into()))
    }

    /// A registered application with the tokens that a user granted it, from [`Application`](super::Application) or from
    /// where you keep them. The client renews the access token, which lives an hour, with the refresh token, which lives
    /// 30 days ([source](https://docs.fentufsm.com/api-reference/authentication)).
    ///
    /// Where the client has a [store](crate::ClientBuilder::with_token_store), whichever tokens were obtained later are
    /// used, and of tokens that do not say when they were obtained those in the store.
    pub fn oauth(client_id: impl Into<String>, client_secret: impl Into<SecretString>, tokens: TokenSet) -> Self {
        Self::application(client_id, client_secret, Some(Box::new(tokens)))
    }

    /// A registered application whose tokens are in the client's [store](crate::ClientBuilder::with_token_store). While it
    /// holds none, calls fail with [`Error::ReauthRequired`]: a user has to log in first.
    pub fn oauth_stored(client_id: impl Into<String>, client_secret: impl Into<SecretString>) -> Self {
        Self::application(client_id, client_secret, None)
    }

    fn application(
        client_id: impl Into<String>,
        client_secret: impl Into<SecretString>,
        tokens: Option<Box<TokenSet>>,
    ) -> Self {
        Self(Kind::Application { client_id: client_id.into(), client_secret: client_secret.into(), tokens })
    }

    pub(super) fn into_auth_config(self) -> Result<AuthConfig, Error> {
        match self.0 {
            Kind::Key(key) => {
                if key.expose_secret().is_empty() || !is_plain(&key) {
                    return Err(Error::config("api_key", "is empty, or holds a space, a line break or non-ASCII"));
                }
                let fixed = StaticToken::new(AUTHORIZATION, Some("Bearer"), key, None);
                fixed.map(AuthConfig::from).map_err(|_| Error::config("api_key", "cannot be sent as a header"))
            }
            Kind::Application { client_id, client_secret, tokens } => {
                let account = account(&["oauth", &client_id]);
                let grant = Box::new(CodeGrant::new(client_id, client_secret)?);
                if tokens.as_ref().is_some_and(|tokens| !is_plain(tokens.access_token())) {
                    return Err(Error::config(
                        "tokens",
                        "hold an access token with a space, a line break or non-ASCII",
                    ));
                }
                let method = AuthMethod::Granted { grant, tokens: tokens.map(|tokens| *tokens) };
                Ok(AuthConfig { method, account, headers: HeaderMap::new() })
            }
        }
    }
}

/// Whether a token can be sent in a header.
fn is_plain(token: &SecretString) -> bool {
    token.expose_secret().bytes().all(|byte| byte.is_ascii_graphic())
}
