//! The token requests of a vendor, and how to read their responses. Pure: the token cache sends them.

use std::fmt;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::refusal::{ErrorWords, VendorRefusals};
use super::token_set::TokenSet;
use crate::operation::Operation;

/// A lifetime shorter than this has passed before the token can be used.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);
/// A lifetime longer than this is a mistake, or means "forever".
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How a vendor issues tokens.
pub(crate) trait Grant: fmt::Debug + Send + Sync + 'static {
    /// The registered application whose logins this grant uses, if there is one.
    fn client_id(&self) -> Option<&str> {
        None
    }

    /// Whether the credentials can log in. If not, only a person can.
    fn can_log_in(&self) -> bool;

    /// The request that logs in; `None` unless the credentials [can](Self::can_log_in).
    fn login(&self) -> Option<TokenRequest>;

    /// The request that refreshes these tokens; `None` if they cannot be refreshed. `access_is_valid`: whether the access token
    /// is still valid, which some vendors require.
    fn refresh(&self, tokens: &TokenSet, access_is_valid: bool) -> Option<TokenRequest>;

    /// The requests that revoke these tokens; empty if the vendor has none.
    fn revoke(&self, tokens: &TokenSet) -> Vec<TokenRequest> {
        let _ = tokens;
        Vec::new()
    }

    /// Reads the body of a success. The error says what is missing, and quotes nothing.
    fn read(&self, body: &Value) -> Result<Granted, &'static str>;

    /// Reads the body of an error: by default as in RFC 6749, section 5.2.
    fn read_error(&self, body: &Value) -> ErrorWords {
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        ErrorWords { message: text("error_description"), code: text("error"), is_vendor_shape: false }
    }

    /// How the vendor refuses credentials, besides the codes of RFC 6749.
    fn refusals(&self) -> VendorRefusals;

    /// The header that an access token is sent in, and its scheme.
    fn header(&self) -> (HeaderName, Option<&'static str>);

    /// The secrets besides the tokens that a response could quote.
    fn secrets(&self) -> Vec<&SecretString>;

    /// Whether a refresh requires a valid access token.
    fn needs_valid_access(&self) -> bool {
        false
    }

    /// The lifetimes of tokens if the vendor's response has none.
    fn lives(&self) -> Lives;
}

/// The documented lifetimes of tokens.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lives {
    pub(crate) access: Option<Duration>,
    pub(crate) refresh: Option<Duration>,
}

/// A request to a token endpoint. Never printed whole: its body and headers hold secrets.
pub(crate) struct TokenRequest {
    pub(crate) operation: &'static Operation,
    pub(crate) place: Place,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body: TokenBody,
    /// What an error response could repeat besides the grant's own secrets.
    pub(crate) secrets: Vec<SecretString>,
}

/// The URL that an operation's path is relative to.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// The client's base URL.
    Base,
    /// The root of its host.
    Root,
}

/// A body in one of the two formats that token endpoints accept.
pub(crate) enum TokenBody {
    Form(Vec<(&'static str, String)>),
    Json(Value),
}

impl TokenRequest {
    pub(crate) fn new(operation: &'static Operation, place: Place, body: TokenBody) -> Self {
        Self { operation, place, headers: Vec::new(), body, secrets: Vec::new() }
    }

    /// Adds what an error response could repeat.
    pub(crate) fn with_secrets(mut self, secrets: Vec<SecretString>) -> Self {
        self.secrets.extend(secrets);
        self
    }
}

impl fmt::Debug for TokenRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenRequest").field("operation", &self.operation.id()).finish_non_exhaustive()
    }
}

/// What a vendor granted.
#[derive(Debug)]
pub(crate) struct Granted {
    pub(crate) access: SecretString,
    pub(crate) refresh: Option<SecretString>,
    pub(crate) access_life: Option<Duration>,
    pub(crate) refresh_life: Option<Duration>,
}

impl Granted {
    /// Reads the response of RFC 6749, section 5.1.
    pub(crate) fn oauth(body: &Value) -> Result<Self, &'static str> {
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let access = text("access_token").ok_or("the response has no access_token")?;
        Ok(Self {
            access: access.into(),
            refresh: text("refresh_token").map(Into::into),
            access_life: body.get("expires_in").and_then(life),
            refresh_life: body
                .get("refresh_expires_in")
                .or_else(|| body.get("refresh_token_expires_in"))
                .and_then(life),
        })
    }
}

impl Granted {
    /// The tokens that were granted `now`. After a refresh, `before` supplies what the response leaves out.
    pub(crate) fn into_tokens(self, grant: &dyn Grant, now: Timestamp, before: Option<&TokenSet>) -> TokenSet {
        let lives = grant.lives();
        let after = |life: Option<Duration>| {
            life.and_then(|life| SignedDuration::try_from(life).ok()).and_then(|life| now.checked_add(life).ok())
        };
        let mut tokens = TokenSet::new(self.access).with_obtained_at(now);
        if let Some(moment) = after(self.access_life.or(lives.access)) {
            tokens = tokens.with_access_expires_at(moment);
        }
        let old = before.and_then(TokenSet::refresh_token);
        let same = |new: &SecretString| {
            old.is_some_and(|old| old.expose_secret().as_bytes().ct_eq(new.expose_secret().as_bytes()).into())
        };
        let (refresh, ends) = match self.refresh {
            Some(new) if self.refresh_life.is_some() || !same(&new) => {
                (Some(new), after(self.refresh_life.or(lives.refresh)))
            }
            // No new refresh token: the old one stays, and so does its expiry.
            _ => (old.cloned(), before.and_then(TokenSet::refresh_expires_at)),
        };
        if let Some(refresh) = refresh {
            tokens = tokens.with_refresh_token(refresh);
        }
        if let Some(moment) = ends {
            tokens = tokens.with_refresh_expires_at(moment);
        }
        match before {
            Some(before) => tokens.with_lineage_of(before),
            None => tokens.with_own_lineage(),
        }
    }
}

/// A lifetime in seconds, as a number or as text. One of less than a second or more than ten years is ignored: then the
/// documented one counts.
pub(crate) fn life(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let life = Duration::try_from_secs_f64(seconds).ok()?;
    let plausible = life >= SHORTEST_LIFE && life <= LONGEST_LIFE;
    if !plausible {
        tracing::warn!(name: "servicebay.invalid_token_lifetime", seconds, "a token endpoint returned an implausible lifetime, which is ignored");
    }
    plausible.then_some(life)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_life_is_read_from_a_number_or_from_text() {
        assert_eq!(life(&json!(3600)), Some(Duration::from_secs(3600)));
        assert_eq!(life(&json!("3600")), Some(Duration::from_secs(3600)));
    }

    #[test]
    fn an_implausible_life_says_nothing() {
        for odd in [json!(0), json!(-1), json!(1e12), json!("soon"), json!(null), json!([1]), json!("NaN"), json!("-5")]
        {
            assert_eq!(life(&odd), None, "{odd}");
        }
    }

    #[test]
    fn a_response_without_a_refresh_token_has_none() {
        let granted = Granted::oauth(&json!({"access_token": "a", "refresh_token": ""})).unwrap();
        assert!(granted.refresh.is_none() && granted.access_life.is_none());
        assert!(Granted::oauth(&json!({"token": "a"})).is_err());
        assert!(Granted::oauth(&json!({"access_token": ""})).is_err());
    }
}
