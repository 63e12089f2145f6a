//! What the client proves itself with.
//!
//! Every attempt asks here for its header, so that a retry never goes out with a token that died while it waited.
//! Tokens that a person makes and hands over are static; they share the seam with those that a grant renews.

mod redaction;

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue, InvalidHeaderValue};
use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use self::redaction::Redaction;

/// A token that somebody made by hand, in the header that carries it.
#[derive(Debug)]
pub(crate) struct Auth {
    header: HeaderName,
    value: HeaderValue,
    token: SecretString,
    expires_at: Option<Timestamp>,
    /// What goes with the token on every request, such as the number of whom it was given to.
    companions: HeaderMap,
}

impl Auth {
    /// A token sent as it is in `header`, after `scheme` where there is one.
    pub(crate) fn fixed(
        header: HeaderName,
        scheme: Option<&str>,
        token: SecretString,
        expires_at: Option<Timestamp>,
    ) -> Result<Self, InvalidHeaderValue> {
        let secret = token.expose_secret();
        let mut value = match scheme {
            Some(scheme) => HeaderValue::try_from(format!("{scheme} {secret}"))?,
            None => HeaderValue::from_str(secret)?,
        };
        // Kept out of HTTP/2's header compression and of every Debug.
        value.set_sensitive(true);
        Ok(Self { header, value, token, expires_at, companions: HeaderMap::new() })
    }

    /// Sends one more header with every request.
    pub(crate) fn with_companion(mut self, header: HeaderName, value: HeaderValue) -> Self {
        self.companions.insert(header, value);
        self
    }

    pub(crate) fn companions(&self) -> &HeaderMap {
        &self.companions
    }

    /// Whether the token is alive.
    ///
    /// # Errors
    ///
    /// The moment at which it expired: it is not sent, for the answer is known.
    pub(crate) fn check(&self, wall: impl FnOnce() -> Timestamp) -> Result<(), Timestamp> {
        match self.expires_at {
            Some(expires_at) if expires_at <= wall() => Err(expires_at),
            _ => Ok(()),
        }
    }

    /// The header for one attempt, checked anew.
    pub(crate) fn header(&self, wall: impl FnOnce() -> Timestamp) -> Result<(HeaderName, HeaderValue), Timestamp> {
        self.check(wall)?;
        Ok((self.header.clone(), self.value.clone()))
    }

    pub(crate) fn status(&self, wall: Timestamp) -> AuthStatus {
        AuthStatus { expires_at: self.expires_at, as_of: wall }
    }

    /// A text of the vendor's without the token in it.
    pub(crate) fn cleaned(&self, text: &str) -> String {
        Redaction::of(&self.token).text(text).unwrap_or_else(|| text.to_owned())
    }

    /// A body without the token in it, and what it says where it is JSON.
    pub(crate) fn cleaned_body(&self, body: &Bytes) -> (Bytes, Option<Value>) {
        Redaction::of(&self.token).body(body)
    }
}

/// How long the credentials last: a snapshot for a health check.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let tenant = servicebay::testing::fixably::Tenant::start().await;
/// # let client = tenant.client()?;
/// let status = client.auth_status();
/// if status.is_expired() || status.days_left().is_some_and(|days| days < 14) {
///     println!("make a new token before {:?}", status.expires_at());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthStatus {
    expires_at: Option<Timestamp>,
    as_of: Timestamp,
}

impl AuthStatus {
    /// When the credentials expire; `None` when they do not, or when nobody said.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Whole days until then, rounded down; 0 once they have expired, `None` when they do not expire.
    pub fn days_left(&self) -> Option<u64> {
        self.time_left().map(|left| left.as_secs() / (24 * 3600))
    }

    /// Time until then; zero once they have expired, `None` when they do not expire.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.expires_at?.duration_since(self.as_of).max(SignedDuration::ZERO);
        Some(left.unsigned_abs())
    }

    /// Whether the credentials have expired. Calls then fail without being sent.
    pub fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= self.as_of)
    }
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn auth(expires_at: Option<Timestamp>) -> Auth {
        Auth::fixed(AUTHORIZATION, Some("Bearer"), "hush-hush".into(), expires_at).unwrap()
    }

    #[test]
    fn a_living_token_is_sent_and_an_expired_one_is_not() {
        let expiry = at("2026-03-01T12:00:00Z");
        let auth = auth(Some(expiry));
        let (name, value) = auth.header(|| at("2026-03-01T11:59:59Z")).unwrap();
        assert_eq!((name, value.to_str().unwrap()), (AUTHORIZATION, "Bearer hush-hush"));
        assert_eq!(auth.header(|| expiry), Err(expiry));
    }

    #[test]
    fn a_token_without_an_expiry_needs_no_clock() {
        assert!(auth(None).header(|| panic!("the clock was read")).is_ok());
    }

    #[test]
    fn days_left_are_whole_days_and_end_at_zero() {
        let auth = auth(Some(at("2026-03-08T11:00:00Z")));
        let status = auth.status(at("2026-03-01T12:00:00Z"));
        assert_eq!((status.days_left(), status.is_expired()), (Some(6), false));
        let status = auth.status(at("2026-03-09T12:00:00Z"));
        assert_eq!((status.days_left(), status.is_expired()), (Some(0), true));
    }

    #[test]
    fn nothing_prints_the_token() {
        let printed = format!("{:?}", auth(None));
        assert!(!printed.contains("hush"), "{printed}");
    }

    #[test]
    fn a_token_that_cannot_be_a_header_is_refused() {
        assert!(Auth::fixed(AUTHORIZATION, None, "two\nlines".into(), None).is_err());
    }
}
