//! The credentials of a Repairy client: a partner's app.

use http::HeaderMap;
use http::header::HeaderName;
use secrecy::SecretString;

use super::grant::AppGrant;
use crate::auth::{AuthConfig, AuthMethod, account, header_value, read_environment};
use crate::error::Error;

/// The header that identifies the partner on every request; documented
/// ([source](https://docs.partners.repairy.au/http-headers-878563m0)).
const PARTNER: HeaderName = HeaderName::from_static("x-partner-id");

/// How a client authenticates. `Debug` prints no secret, and secrets are sent to the client's base URL only.
///
/// # Example
///
/// ```
/// use servicebay::repairy::Credentials;
///
/// let credentials = Credentials::app("app key", "hush-hush", "partner id");
/// assert!(!format!("{credentials:?}").contains("hush"));
/// ```
#[derive(Clone, Debug)]
pub struct Credentials {
    app_key: String,
    app_secret: SecretString,
    partner_id: String,
}

impl Credentials {
    /// The credentials that a partner gets from Repairy's support
    /// ([source](https://docs.partners.repairy.au/authorization-878574m0)): the app key and the app secret, for the login, and
    /// the partner id, for every request.
    ///
    /// The client logs in on the first call. It refreshes the access token, which lives 48 hours, before it expires, because the
    /// vendor does not refresh an expired one; if it has expired, the client logs in again. With a
    /// [store](crate::ClientBuilder::with_token_store), a restarted program continues with the stored tokens.
    pub fn app(app_key: impl Into<String>, app_secret: impl Into<SecretString>, partner_id: impl Into<String>) -> Self {
        Self { app_key: app_key.into(), app_secret: app_secret.into(), partner_id: partner_id.into() }
    }

    /// [`app`](Self::app) with the environment variables `REPAIRY_APP_KEY`, `REPAIRY_APP_SECRET` and
    /// `REPAIRY_PARTNER_ID`.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] that names the variables that are missing, empty or not UTF-8.
    pub fn from_env() -> Result<Self, Error> {
        let values = read_environment(["REPAIRY_APP_KEY", "REPAIRY_APP_SECRET", "REPAIRY_PARTNER_ID"])?;
        let [app_key, app_secret, partner_id] = values;
        Ok(Self::app(app_key, app_secret, partner_id))
    }

    pub(super) fn into_auth_config(self) -> Result<AuthConfig, Error> {
        let partner = header_value("partner_id", &self.partner_id)?;
        let account = account(&[&self.partner_id, &self.app_key]);
        let grant = Box::new(AppGrant::new(self.app_key, self.app_secret)?);
        let headers = HeaderMap::from_iter([(PARTNER, partner)]);
        Ok(AuthConfig { method: AuthMethod::Granted { grant, tokens: None }, account, headers, client_name: None })
    }
}
