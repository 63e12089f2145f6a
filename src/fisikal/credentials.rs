//! What a client proves itself with to Fisikal.

use http::header::{AUTHORIZATION, HeaderName};
use secrecy::{ExposeSecret, SecretString};

use crate::auth::Auth;
use crate::error::Error;

/// The header of a session token.
const SESSION: HeaderName = HeaderName::from_static("x-fisikal-token");

/// A token of a Fisikal instance. It is never printed, and is sent to the client's base URL alone.
///
/// # Example
///
/// ```
/// use servicebay::fisikal::Credentials;
///
/// let credentials = Credentials::session_token("from a sign-up");
/// assert!(!format!("{credentials:?}").contains("sign-up"));
/// ```
#[derive(Clone, Debug)]
pub struct Credentials {
    kind: Kind,
    token: SecretString,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Bearer,
    Session,
}

impl Credentials {
    /// A token from `/oauth/token`, sent as `Authorization: Bearer`.
    pub fn bearer(token: impl Into<SecretString>) -> Self {
        Self { kind: Kind::Bearer, token: token.into() }
    }

    /// A token from a log-in or a [sign-up](super::Client::sign_up_client), sent in `X-Fisikal-Token`.
    pub fn session_token(token: impl Into<SecretString>) -> Self {
        Self { kind: Kind::Session, token: token.into() }
    }

    pub(super) fn into_auth(self) -> Result<Auth, Error> {
        let token = self.token.expose_secret();
        if token.is_empty() {
            return Err(Error::config("token", "is empty"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::config(
                "token",
                "holds a character that no token has: a space, a line break, or non-ASCII",
            ));
        }
        let (header, scheme) = match self.kind {
            Kind::Bearer => (AUTHORIZATION, Some("Bearer")),
            Kind::Session => (SESSION, None),
        };
        Auth::fixed(header, scheme, self.token, None).map_err(|_| Error::config("token", "cannot be sent as a header"))
    }
}
