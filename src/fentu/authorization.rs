//! One login of a user, from the address that the browser opens to the one that it comes back to.

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

/// A login that a user was sent to: what has to be remembered until the browser comes back.
///
/// It serialises, for a web application that keeps it in the user's session. It is a secret of that session: whoever has
/// it could finish the login. Its `Debug` shows none of it.
#[derive(Clone)]
pub struct Authorization {
    state: SecretString,
    verifier: SecretString,
    redirect_uri: String,
    url: Url,
}

impl Authorization {
    /// A login at `page`, which is the vendor's, that comes back to `redirect_uri`.
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

    /// The address to open in the user's browser.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Where the browser comes back to.
    pub fn redirect_uri(&self) -> &str {
        &self.redirect_uri
    }

    pub(super) fn verifier(&self) -> &SecretString {
        &self.verifier
    }

    /// Reads what the browser came back with: the code, or the vendor's refusal.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] for an answer that is not to this login.
    pub(super) fn answer(&self, redirected: &str) -> Result<Result<String, Refusal>, Error> {
        let refused = |parameter: &'static str, reason: &'static str| {
            Err(Error::invalid_request(EXCHANGE.id(), parameter, reason))
        };
        let query = match redirected.split_once('?') {
            Some((_, rest)) => rest.split('#').next().unwrap_or_default(),
            None => return refused("redirected", "has no query: give the whole address that the browser came back to"),
        };
        let mut once = Once::default();
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut once.state,
                "code" => &mut once.code,
                "error" => &mut once.error,
                "error_description" => &mut once.description,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return refused("redirected", "says the same thing twice, as no answer of the vendor does");
            }
        }
        if !once.state.is_some_and(|state| state.as_bytes().ct_eq(self.state.expose_secret().as_bytes()).into()) {
            return refused(
                "state",
                "is not the one of this login: the answer belongs to another, or somebody else sent it; nothing of it was used",
            );
        }
        match (once.error, once.code) {
            (Some(code), _) => Ok(Err(Refusal { code, description: once.description })),
            (None, Some(code)) if !code.is_empty() => Ok(Ok(code)),
            (None, _) => refused("code", "is missing from the address that the browser came back to"),
        }
    }
}

/// What the browser brought along.
#[derive(Default)]
struct Once {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

/// What the vendor says instead of giving a code.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: String,
    pub(super) description: Option<String>,
}

/// 256 bits from the operating system: what RFC 7636 asks of a verifier, and plenty for a state.
fn random() -> SecretString {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("an operating system that has no randomness cannot do TLS either");
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
        /// The same with texts in place of secrets, for the moment of reading.
        #[derive(serde::Deserialize)]
        struct Plain {
            state: String,
            verifier: String,
            redirect_uri: String,
            url: String,
        }
        let plain = Plain::deserialize(deserializer)?;
        if plain.state.is_empty() {
            return Err(serde::de::Error::custom("a login without a state could be anybody's"));
        }
        Ok(Self {
            state: plain.state.into(),
            verifier: plain.verifier.into(),
            redirect_uri: plain.redirect_uri,
            url: plain.url.parse().map_err(|_| serde::de::Error::custom("the address of the login is none"))?,
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
    fn the_address_asks_for_a_code_with_a_challenge_and_a_state() {
        let query = query(&login());
        let fixed = ["response_type", "client_id", "redirect_uri", "scope", "code_challenge_method"];
        let values = fixed.map(|name| query[name].as_str());
        assert_eq!(values, ["code", "my app", "http://127.0.0.1:4000/callback", "read:assets admin", "S256"]);
        assert_eq!((query["state"].len(), query["code_challenge"].len()), (43, 43));
    }

    #[test]
    fn the_challenge_is_the_hash_of_the_verifier() {
        // The example of RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert_eq!(URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let login = login();
        let own = URL_SAFE_NO_PAD.encode(Sha256::digest(login.verifier().expose_secret()));
        assert_eq!(query(&login)["code_challenge"], own);
        assert!(!login.url().as_str().contains(login.verifier().expose_secret()));
    }

    #[test]
    fn no_two_logins_are_alike() {
        let (one, other) = (query(&login()), query(&login()));
        assert_ne!(one["state"], other["state"]);
        assert_ne!(one["code_challenge"], other["code_challenge"]);
    }

    #[test]
    fn the_code_is_taken_from_an_answer_with_our_state() {
        let login = login();
        let state = query(&login)["state"].clone();
        let code = login.answer(&format!("/callback?code=a%2Bb&state={state}#fragment")).unwrap().unwrap();
        assert_eq!(code, "a+b");
        let refusal = login.answer(&format!("/callback?error=access_denied&state={state}")).unwrap().unwrap_err();
        assert_eq!(refusal.code, "access_denied");
    }

    #[test]
    fn an_answer_that_is_not_ours_is_refused() {
        let login = login();
        let state = query(&login)["state"].clone();
        for (answer, parameter) in [
            ("/callback?code=a&state=other".to_owned(), "state"),
            ("/callback?code=a".to_owned(), "state"),
            (format!("/callback?code=a&state={state}x"), "state"),
            (format!("/callback?code=a&state={}", &state[1..]), "state"),
            (format!("/callback?code=a&code=b&state={state}"), "redirected"),
            (format!("/callback?code=&state={state}"), "code"),
            (format!("/callback?state={state}"), "code"),
            ("/callback".to_owned(), "redirected"),
        ] {
            let Err(Error::InvalidRequest(error)) = login.answer(&answer) else { panic!("{answer} was taken") };
            assert_eq!(error.parameter(), parameter, "{answer}");
        }
    }

    #[test]
    fn a_login_survives_a_session_and_shows_nothing() {
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
