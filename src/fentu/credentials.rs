//! What a client proves itself with to Fentu FSM.

use http::header::AUTHORIZATION;
use secrecy::{ExposeSecret, SecretString};

use crate::auth::Auth;
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
pub struct Credentials {
    key: SecretString,
}

impl Credentials {
    /// An API key, sent as `Authorization: Bearer`
    /// ([source](https://docs.fentufsm.com/api-reference/authentication)).
    ///
    /// It is made under *Administration > Integrations > API* with the rights that it needs, shown once, and lasts until
    /// somebody revokes it.
    pub fn api_key(key: impl Into<SecretString>) -> Self {
        Self { key: key.into() }
    }

    pub(super) fn into_auth(self) -> Result<Auth, Error> {
        let key = self.key.expose_secret();
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::config("api_key", "is empty, or holds a space, a line break or non-ASCII"));
        }
        Auth::fixed(AUTHORIZATION, Some("Bearer"), self.key, None)
            .map_err(|_| Error::config("api_key", "cannot be sent as a header"))
    }
}
