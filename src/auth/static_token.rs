//! A static token, which a person created.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::LazyLock;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue, InvalidHeaderValue};
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use super::close_signal::CloseSignal;
use super::credential_checks::check_token;
use super::expiry::CHECK_INTERVAL;
use crate::clock::Clock;
use crate::error::Error;

/// A token that a person created, in the header that it is sent in.
#[derive(Debug)]
pub(crate) struct StaticToken {
    header: Option<(HeaderName, HeaderValue)>,
    token: SecretString,
    expires_at: Option<Timestamp>,
    pub(super) closed: CloseSignal,
}

impl StaticToken {
    /// A token that is sent as it is in `header`, after `scheme` if there is one. An error names it `field`.
    pub(crate) fn new(
        field: &'static str,
        header: HeaderName,
        scheme: Option<&str>,
        token: SecretString,
        expires_at: Option<Timestamp>,
    ) -> Result<Self, Error> {
        check_token(field, &token, scheme)?;
        let value = value(scheme, &token).expect("visible ASCII fits into a header");
        Ok(Self { header: Some((header, value)), token, expires_at, closed: CloseSignal::default() })
    }

    /// No token, for requests without authentication.
    pub(crate) fn none() -> Self {
        Self { header: None, token: SecretString::default(), expires_at: None, closed: CloseSignal::default() }
    }

    /// The header for one attempt.
    ///
    /// # Errors
    ///
    /// The time at which the token expired: it is not sent, because the vendor would reject it.
    pub(super) fn header(
        &self,
        wall: impl FnOnce() -> Timestamp,
    ) -> Result<Option<(HeaderName, HeaderValue)>, Timestamp> {
        match self.expires_at {
            Some(expires_at) if expires_at <= wall() => Err(expires_at),
            _ => Ok(self.header.clone()),
        }
    }

    /// The header that the token is sent in, and the scheme before it.
    pub(super) fn header_name(&self) -> Option<(HeaderName, Option<&'static str>)> {
        let (name, value) = self.header.as_ref()?;
        let is_bearer = value.as_bytes().starts_with(b"Bearer ");
        Some((name.clone(), is_bearer.then_some("Bearer")))
    }

    /// Whether the token has not expired.
    pub(super) fn is_alive(&self, wall: impl FnOnce() -> Timestamp) -> bool {
        self.expires_at.is_none_or(|expires_at| wall() < expires_at)
    }

    pub(super) fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// Waits until the token has expired, and returns when it did.
    pub(super) async fn end(&self, clock: Clock) -> Timestamp {
        loop {
            let left = self.expires_at.map(|expires_at| expires_at.duration_since(clock.wall()));
            match (self.expires_at, left.map(Duration::try_from)) {
                (Some(expires_at), Some(Err(_))) => return expires_at,
                (Some(expires_at), Some(Ok(left))) if left.is_zero() => return expires_at,
                // Checked now and then, because the clock may be set.
                (_, Some(Ok(left))) => clock.sleep_until(clock.now() + left.min(CHECK_INTERVAL)).await,
                _ => std::future::pending().await,
            }
        }
    }

    /// Tells tokens apart within this process, without revealing anything about them.
    pub(super) fn fingerprint(&self) -> String {
        static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);
        format!("{:016x}", HASHER.hash_one(self.token.expose_secret()))
    }

    pub(super) fn token(&self) -> &SecretString {
        &self.token
    }
}

/// A token as the value of a header, marked as sensitive: HTTP/2 does not index it, and no `Debug` prints it.
pub(super) fn value(scheme: Option<&str>, token: &SecretString) -> Result<HeaderValue, InvalidHeaderValue> {
    let token = token.expose_secret();
    let mut value = match scheme {
        Some(scheme) => HeaderValue::try_from(format!("{scheme} {token}"))?,
        None => HeaderValue::from_str(token)?,
    };
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use http::header::AUTHORIZATION;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn static_token(expires_at: Option<Timestamp>) -> StaticToken {
        StaticToken::new("token", AUTHORIZATION, Some("Bearer"), "hush-hush".into(), expires_at).unwrap()
    }

    #[test]
    fn a_valid_token_is_sent_and_an_expired_one_is_not() {
        let expiry = at("2026-03-01T12:00:00Z");
        let token = static_token(Some(expiry));
        let (name, value) = token.header(|| at("2026-03-01T11:59:59Z")).unwrap().unwrap();
        assert_eq!((name, value.to_str().unwrap()), (AUTHORIZATION, "Bearer hush-hush"));
        assert_eq!(token.header(|| expiry), Err(expiry));
    }

    #[test]
    fn a_token_without_an_expiry_needs_no_clock() {
        assert!(static_token(None).header(|| panic!("the clock was read")).is_ok());
    }

    #[test]
    fn nothing_prints_the_token() {
        let printed = format!("{:?}", static_token(None));
        assert!(!printed.contains("hush"), "{printed}");
    }

    #[test]
    fn a_token_that_cannot_be_a_header_is_refused() {
        assert!(StaticToken::new("token", AUTHORIZATION, None, "two\nlines".into(), None).is_err());
    }
}
