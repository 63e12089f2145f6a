//! The token requests of a vendor, and how to read their responses. Pure: the token cache sends them.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use subtle::ConstantTimeEq as _;

use super::token_set::TokenSet;
use crate::operation::Operation;

/// A life shorter than this is over before it can be used.
const SHORTEST_LIFE: Duration = Duration::from_secs(1);
/// A life longer than this is no life but a mistake, or "for ever".
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// How a vendor gives out tokens.
pub(crate) trait Grant: fmt::Debug + Send + Sync + 'static {
    /// The request that logs in anew; `None` where only a person can.
    fn login(&self) -> Option<TokenRequest>;

    /// The request that renews these tokens; `None` where they cannot be renewed. `access_lives` tells whether the
    /// access token is still good, which some vendors ask for.
    fn refresh(&self, tokens: &TokenSet, access_lives: bool) -> Option<TokenRequest>;

    /// The requests that make these tokens worthless; empty where the vendor has none.
    fn revoke(&self, tokens: &TokenSet) -> Vec<TokenRequest> {
        let _ = tokens;
        Vec::new()
    }

    /// Reads a successful answer.
    fn read(&self, body: &Value) -> Result<Granted, Cow<'static, str>>;

    /// What a refusal says to people, and its code: by default as in RFC 6749, section 5.2.
    fn read_error(&self, body: &Value) -> (Option<String>, Option<String>) {
        let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
        (text("error_description"), text("error"))
    }

    /// The header that an access token goes out in.
    fn header(&self) -> (HeaderName, Option<&'static str>);

    /// What a vendor could repeat besides the tokens, and nobody should read.
    fn secrets(&self) -> Vec<&SecretString>;

    /// Whether a renewal takes an access token that is still alive.
    fn needs_living_access(&self) -> bool {
        false
    }

    /// How long tokens live where the vendor's answer does not say.
    fn lives(&self) -> Lives;
}

/// How long tokens live where nobody says.
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
    pub(crate) body: Body,
    /// What a refusal could repeat besides the grant's own secrets.
    pub(crate) secrets: Vec<SecretString>,
}

/// Below what an operation's path stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// The client's base URL.
    Base,
    /// The root of its host.
    Root,
}

/// A body in one of the two ways that token endpoints take.
pub(crate) enum Body {
    Form(Vec<(&'static str, String)>),
    Json(Value),
}

impl TokenRequest {
    pub(crate) fn new(operation: &'static Operation, place: Place, body: Body) -> Self {
        Self { operation, place, headers: Vec::new(), body, secrets: Vec::new() }
    }

    /// Names what a refusal could repeat.
    pub(crate) fn with_secrets(self, secrets: Vec<SecretString>) -> Self {
        Self { secrets, ..self }
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
    /// Reads the answer of RFC 6749, section 5.1.
    pub(crate) fn oauth(body: &Value) -> Result<Self, Cow<'static, str>> {
        let text = |name: &str| body.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let access = text("access_token").ok_or("the answer holds no access_token")?;
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
    /// The pair that was granted, `now`; with `before`, what a renewal left as it was.
    pub(crate) fn into_tokens(self, grant: &dyn Grant, now: Timestamp, before: Option<&TokenSet>) -> TokenSet {
        let lives = grant.lives();
        let after = |life: Option<Duration>| {
            life.and_then(|life| SignedDuration::try_from(life).ok()).and_then(|life| now.checked_add(life).ok())
        };
        let mut tokens = TokenSet::new(self.access).with_obtained_at(now).with_origin_of(before);
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
            // No new refresh token: the old one stays, and so does its end.
            _ => (old.cloned(), before.and_then(TokenSet::refresh_expires_at)),
        };
        if let Some(refresh) = refresh {
            tokens = tokens.with_refresh_token(refresh);
        }
        if let Some(moment) = ends {
            tokens = tokens.with_refresh_expires_at(moment);
        }
        tokens
    }
}

/// A life in seconds, as a number or as text. One that is over before it began, or longer than ten years, says nothing:
/// then what the vendor documents counts.
pub(crate) fn life(value: &Value) -> Option<Duration> {
    let seconds = match value {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => text.trim().parse().ok()?,
        _ => return None,
    };
    let life = Duration::try_from_secs_f64(seconds).ok()?;
    let plausible = life >= SHORTEST_LIFE && life <= LONGEST_LIFE;
    if !plausible {
        tracing::warn!(name: "servicebay.invalid_token_lifetime", seconds, "a token endpoint names an implausible life, which is ignored");
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
    fn an_answer_without_a_refresh_token_has_none() {
        let granted = Granted::oauth(&json!({"access_token": "a", "refresh_token": ""})).unwrap();
        assert!(granted.refresh.is_none() && granted.access_life.is_none());
        assert!(Granted::oauth(&json!({"token": "a"})).is_err());
        assert!(Granted::oauth(&json!({"access_token": ""})).is_err());
    }
}
