//! One login of a user: builds the URL that the browser opens, and reads the one it is redirected to.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use url::Url;

use super::grant::EXCHANGE;
use crate::error::Error;

/// A login in progress: what to remember until the browser returns.
///
/// It can be serialized, so that a web application can keep it in the user's session. Treat it as a secret of that
/// session: anyone who has it could complete the login. `Debug` prints only the redirect URL.
#[derive(Clone)]
pub struct Authorization {
    state: SecretString,
    verifier: SecretString,
    redirect_uri: String,
    url: Url,
}

impl Authorization {
    /// A login at the vendor's `page` that returns to `redirect_uri`.
    pub(super) fn new(mut page: Url, client_id: &str, redirect_uri: String, scopes: &str) -> Self {
        let (state, verifier) = (random(), random());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose_secret()));
        page.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", client_id)
            .append_pair("redirect_uri", &redirect_uri)
            .append_pair("scope", scopes)
            .append_pair("state", state.expose_secret())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        Self { state, verifier, redirect_uri, url: page }
    }

    /// The URL to open in the user's browser.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The URL that the browser is redirected to.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    pub(super) fn verifier(&self) -> &SecretString {
        &self.verifier
    }

    /// The `state` that the redirect will carry: the key under which a web application can keep this login until the browser
    /// returns. It is as secret as the login: keep it out of logs.
    pub fn state(&self) -> &str {
        self.state.expose_secret()
    }

    /// Reads the URL that the browser was redirected to: the code, or the vendor's error.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the URL does not belong to this login.
    pub(super) fn read_callback(&self, redirected: &str) -> Result<Result<String, AuthorizationError>, Error> {
        let invalid = |parameter: &'static str, reason: &'static str| {
            Err(Error::invalid_request(EXCHANGE.id(), parameter, reason))
        };
        let query = match redirected.split_once('?') {
            Some((_, rest)) => rest.split('#').next().unwrap_or_default(),
            None => {
                return invalid("redirected", "has no query; pass the complete URL that the browser was redirected to");
            }
        };
        let mut params = CallbackParams::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut params.state,
                "code" => &mut params.code,
                "error" => &mut params.error,
                "error_description" => &mut params.description,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return invalid(
                    "redirected",
                    "repeats a parameter, so the vendor did not send it; nothing of it was used",
                );
            }
        }
        if !params.state.is_some_and(|state| state.as_bytes().ct_eq(self.state.expose_secret().as_bytes()).into()) {
            return invalid(
                "state",
                "does not match this login: the URL belongs to another login or was forged; nothing of it was used",
            );
        }
        match (params.error, params.code) {
            (Some(code), _) => Ok(Err(AuthorizationError { code, description: params.description })),
            (None, Some(code)) if !code.is_empty() => Ok(Ok(code)),
            (None, _) => invalid("code", "is missing from the URL that the browser was redirected to"),
        }
    }
}

/// The query parameters of the redirect, each of which may appear once.
#[derive(Default)]
struct CallbackParams {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

/// The error that the vendor sent in place of a code (RFC 6749, section 4.1.2.1).
#[derive(Debug)]
pub(super) struct AuthorizationError {
    pub(super) code: String,
    pub(super) description: Option<String>,
}

/// 256 bits from the operating system, which is what RFC 7636 asks of a verifier.
fn random() -> SecretString {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the operating system provides randomness, or TLS would fail too");
    URL_SAFE_NO_PAD.encode(bytes).into()
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authorization").field("redirect_uri", &self.redirect_uri).finish_non_exhaustive()
    }
}

impl Serialize for Authorization {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Authorization", 4)?;
        fields.serialize_field("state", self.state.expose_secret())?;
        fields.serialize_field("verifier", self.verifier.expose_secret())?;
        fields.serialize_field("redirect_uri", &self.redirect_uri)?;
        fields.serialize_field("url", self.url.as_str())?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Authorization {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// The serialized form, with plain text in place of secrets.
        #[derive(serde::Deserialize)]
        struct SavedAuthorization {
            state: String,
            verifier: String,
            redirect_uri: String,
            url: String,
        }
        let saved = SavedAuthorization::deserialize(deserializer)?;
        if saved.state.is_empty() {
            return Err(serde::de::Error::custom("the login has no state, so its redirect could not be verified"));
        }
        Ok(Self {
            state: saved.state.into(),
            verifier: saved.verifier.into(),
            redirect_uri: saved.redirect_uri,
            url: saved.url.parse().map_err(|_| serde::de::Error::custom("the URL of the login is not valid"))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn login() -> Authorization {
        let page = "https://api.fentu.io/oauth/authorize".parse().unwrap();
        Authorization::new(page, "my app", "http://127.0.0.1:4000/callback".to_owned(), "read:assets admin")
    }

    fn query(login: &Authorization) -> HashMap<String, String> {
        login.url().query_pairs().into_owned().collect()
    }

    #[test]
    fn the_url_requests_a_code_with_a_challenge_and_a_state() {
        let query = query(&login());
        let fixed = ["response_type", "client_id", "redirect_uri", "scope", "code_challenge_method"];
        let values = fixed.map(|name| query[name].as_str());
        assert_eq!(values, ["code", "my app", "http://127.0.0.1:4000/callback", "read:assets admin", "S256"]);
        assert_eq!((query["state"].len(), query["code_challenge"].len()), (43, 43));
    }

    #[test]
    fn the_challenge_is_the_hash_of_the_verifier() {
        // The example in RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let login = login();
        let own = URL_SAFE_NO_PAD.encode(Sha256::digest(login.verifier().expose_secret()));
        assert_eq!(query(&login)["code_challenge"], own);
        assert!(!login.url().as_str().contains(login.verifier().expose_secret()));
    }

    #[test]
    fn every_login_has_its_own_state_and_challenge() {
        let (one, other) = (query(&login()), query(&login()));
        assert_ne!(one["state"], other["state"]);
        assert_ne!(one["code_challenge"], other["code_challenge"]);
    }

    #[test]
    fn the_code_is_read_from_a_redirect_with_our_state() {
        let login = login();
        let state = query(&login)["state"].clone();
        let code = login.read_callback(&format!("/callback?code=a%2Bb&state={state}#fragment")).unwrap().unwrap();
        assert_eq!(code, "a+b");
        let error = login.read_callback(&format!("/callback?error=access_denied&state={state}")).unwrap().unwrap_err();
        assert_eq!(error.code, "access_denied");
    }

    #[test]
    fn a_redirect_that_does_not_belong_to_the_login_is_refused() {
        let login = login();
        let state = query(&login)["state"].clone();
        for (redirected, parameter) in [
            ("/callback?code=a&state=other".to_owned(), "state"),
            ("/callback?code=a".to_owned(), "state"),
            (format!("/callback?code=a&state={state}x"), "state"),
            (format!("/callback?code=a&state={}", &state[1..]), "state"),
            (format!("/callback?code=a&code=b&state={state}"), "redirected"),
            (format!("/callback?code=&state={state}"), "code"),
            (format!("/callback?state={state}"), "code"),
            ("/callback".to_owned(), "redirected"),
        ] {
            let Err(Error::InvalidRequest(error)) = login.read_callback(&redirected) else {
                panic!("{redirected} was accepted")
            };
            assert_eq!(error.parameter(), parameter, "{redirected}");
        }
    }

    #[test]
    fn a_login_can_be_serialized_and_its_debug_shows_no_secret() {
        let login = login();
        let text = serde_json::to_string(&login).unwrap();
        let read: Authorization = serde_json::from_str(&text).unwrap();
        assert_eq!(read.url(), login.url());
        let shown = format!("{login:?}");
        assert!(
            !shown.contains(login.verifier().expose_secret()) && !shown.contains(&query(&login)["state"]),
            "{shown}"
        );
        assert!(serde_json::from_str::<Authorization>(&text.replace(&query(&login)["state"], "")).is_err());
    }
}
