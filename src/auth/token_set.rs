//! A pair of tokens and when they expire.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeStruct, Serializer};

/// An access token, the refresh token that was granted with it, and when they expire.
///
/// A [`TokenStore`](crate::TokenStore) stores it. Its `Debug` output contains no token. Its serialized form does, so that a
/// store can read it back: encrypt it or restrict access to it.
///
/// # Example
///
/// ```
/// use servicebay::TokenSet;
///
/// let tokens = TokenSet::new("access").with_refresh_token("refresh");
/// assert!(!format!("{tokens:?}").contains("refresh\""));
/// ```
#[derive(Clone)]
pub struct TokenSet(Arc<Tokens>);

/// What all copies of a set share: there are some of each, in a cache and in its store.
#[derive(Clone)]
struct Tokens {
    access: SecretString,
    refresh: Option<SecretString>,
    access_expires_at: Option<Timestamp>,
    refresh_expires_at: Option<Timestamp>,
    obtained_at: Option<Timestamp>,
    generation: u64,
    /// The fingerprint of the pair that was handed in, and that this one grew from.
    origin: Option<u64>,
}

impl TokenSet {
    /// An access token without a refresh token and without an expiry.
    pub fn new(access: impl Into<SecretString>) -> Self {
        Self(Arc::new(Tokens {
            access: access.into(),
            refresh: None,
            access_expires_at: None,
            refresh_expires_at: None,
            obtained_at: None,
            generation: 0,
            origin: None,
        }))
    }

    fn with(mut self, change: impl FnOnce(&mut Tokens)) -> Self {
        change(Arc::make_mut(&mut self.0));
        self
    }

    /// Sets the refresh token.
    pub fn with_refresh_token(self, refresh: impl Into<SecretString>) -> Self {
        self.with(|tokens| tokens.refresh = Some(refresh.into()))
    }

    /// Sets when the access token expires.
    pub fn with_access_expires_at(self, moment: Timestamp) -> Self {
        self.with(|tokens| tokens.access_expires_at = Some(moment))
    }

    /// Sets when the refresh token expires.
    pub fn with_refresh_expires_at(self, moment: Timestamp) -> Self {
        self.with(|tokens| tokens.refresh_expires_at = Some(moment))
    }

    pub(crate) fn with_generation(self, generation: u64) -> Self {
        self.with(|tokens| tokens.generation = generation)
    }

    pub(crate) fn with_obtained_at(self, moment: Timestamp) -> Self {
        self.with(|tokens| tokens.obtained_at = Some(moment))
    }

    /// The same as the first of those that will grow from it.
    pub(super) fn with_own_origin(self) -> Self {
        let refresh = self.0.refresh.as_ref().map(|refresh| refresh.expose_secret());
        let origin = fingerprint(&[self.0.access.expose_secret(), refresh.unwrap_or_default()]);
        self.with(|tokens| tokens.origin = Some(origin))
    }

    pub(super) fn with_origin_of(self, before: Option<&Self>) -> Self {
        self.with(|tokens| tokens.origin = before.and_then(|before| before.0.origin))
    }

    /// Whether this pair came of that one, which was handed in. No clock is asked, for it may have been set since.
    pub(super) fn grew_from(&self, handed_in: &Self) -> bool {
        self.0.origin.is_some() && self.0.origin == handed_in.0.origin
    }

    /// The access token.
    pub fn access_token(&self) -> &SecretString {
        &self.0.access
    }

    /// The refresh token, if there is one.
    pub fn refresh_token(&self) -> Option<&SecretString> {
        self.0.refresh.as_ref()
    }

    /// When the access token expires; `None` if that is unknown.
    pub fn access_expires_at(&self) -> Option<Timestamp> {
        self.0.access_expires_at
    }

    /// When the refresh token expires; `None` if that is unknown.
    pub fn refresh_expires_at(&self) -> Option<Timestamp> {
        self.0.refresh_expires_at
    }

    /// Whether this pair came after another.
    pub(super) fn follows(&self, other: &Self) -> bool {
        self.0.generation > other.0.generation
    }

    /// Whether this pair is not that other.
    pub(super) fn differs(&self, other: &Self) -> bool {
        let text = |secret: &SecretString| secret.expose_secret().to_owned();
        let parts = |tokens: &Self| (text(&tokens.0.access), tokens.0.refresh.as_ref().map(text));
        parts(self) != parts(other)
    }

    /// When the vendor granted the tokens; `None` if they were passed to the credentials.
    pub fn obtained_at(&self) -> Option<Timestamp> {
        self.0.obtained_at
    }

    /// The number of refreshes and logins that led to these tokens. [`compare_and_swap`](crate::TokenStore::compare_and_swap)
    /// compares it.
    pub fn generation(&self) -> u64 {
        self.0.generation
    }
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("access", &"[redacted]")
            .field("refresh", &self.0.refresh.as_ref().map(|_| "[redacted]"))
            .field("access_expires_at", &self.0.access_expires_at)
            .field("refresh_expires_at", &self.0.refresh_expires_at)
            .field("obtained_at", &self.0.obtained_at)
            .field("generation", &self.0.generation)
            .finish()
    }
}

impl Serialize for TokenSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut set = serializer.serialize_struct("TokenSet", 7)?;
        set.serialize_field("generation", &self.0.generation)?;
        set.serialize_field("access_token", self.0.access.expose_secret())?;
        set.serialize_field("access_expires_at", &self.0.access_expires_at)?;
        set.serialize_field("refresh_token", &self.0.refresh.as_ref().map(|refresh| refresh.expose_secret()))?;
        set.serialize_field("refresh_expires_at", &self.0.refresh_expires_at)?;
        set.serialize_field("obtained_at", &self.0.obtained_at)?;
        set.serialize_field("origin", &self.0.origin)?;
        set.end()
    }
}

impl<'de> Deserialize<'de> for TokenSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// The same with texts in place of secrets, for the moment of reading.
        #[derive(serde::Deserialize)]
        struct Plain {
            generation: u64,
            access_token: String,
            access_expires_at: Option<Timestamp>,
            refresh_token: Option<String>,
            refresh_expires_at: Option<Timestamp>,
            obtained_at: Option<Timestamp>,
            #[serde(default)]
            origin: Option<u64>,
        }
        let plain = Plain::deserialize(deserializer)?;
        Ok(Self(Arc::new(Tokens {
            access: plain.access_token.into(),
            refresh: plain.refresh_token.map(Into::into),
            access_expires_at: plain.access_expires_at,
            refresh_expires_at: plain.refresh_expires_at,
            obtained_at: plain.obtained_at,
            generation: plain.generation,
            origin: plain.origin,
        })))
    }
}

/// Tells pairs apart, the same in every process and version (FNV-1a).
fn fingerprint(texts: &[&str]) -> u64 {
    let bytes = texts.iter().flat_map(|text| text.bytes().chain([0]));
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> TokenSet {
        TokenSet::new("acc3ss")
            .with_refresh_token("r3fresh")
            .with_access_expires_at("2026-03-01T12:00:00Z".parse().unwrap())
            .with_refresh_expires_at("2026-03-14T12:00:00Z".parse().unwrap())
            .with_obtained_at("2026-02-28T12:00:00Z".parse().unwrap())
            .with_generation(7)
            .with_own_origin()
    }

    #[test]
    fn what_grew_from_a_pair_is_known_after_it_was_stored() {
        let handed_in = TokenSet::new("a").with_refresh_token("r").with_own_origin();
        let next = TokenSet::new("b").with_refresh_token("s").with_origin_of(Some(&handed_in));
        let stored: TokenSet = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
        assert!(stored.grew_from(&handed_in) && handed_in.grew_from(&handed_in));
        for other in [TokenSet::new("a").with_own_origin(), TokenSet::new("ar").with_own_origin(), full()] {
            assert!(!stored.grew_from(&other));
        }
        assert!(!TokenSet::new("c").with_origin_of(None).grew_from(&TokenSet::new("d")), "nothing is known of either");
    }

    #[test]
    fn a_set_that_was_stored_before_origins_were_is_read() {
        let mut text: serde_json::Value = serde_json::to_value(full()).unwrap();
        text.as_object_mut().unwrap().remove("origin");
        let read: TokenSet = serde_json::from_value(text).unwrap();
        assert!(!read.grew_from(&full()));
    }

    #[test]
    fn no_debug_shows_a_token() {
        let shown = format!("{:?} {:#?}", full(), full());
        assert!(!shown.contains("acc3ss") && !shown.contains("r3fresh"), "{shown}");
    }

    #[test]
    fn a_set_survives_being_stored() {
        let text = serde_json::to_string(&full()).unwrap();
        let read: TokenSet = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
        assert_eq!((read.access_token().expose_secret(), read.generation()), ("acc3ss", 7));
    }
}
