//! A pair of tokens and when they expire.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use subtle::ConstantTimeEq as _;

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
    lineage: Option<u64>,
    presented_at: Option<Timestamp>,
    revision: u64,
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
            lineage: None,
            presented_at: None,
            revision: 0,
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

    /// Sets when the vendor granted the tokens. Of two logins, a client prefers the one that was obtained later, so set it
    /// if you know it.
    pub fn with_obtained_at(self, moment: Timestamp) -> Self {
        self.with(|tokens| tokens.obtained_at = Some(moment))
    }

    pub(crate) fn with_generation(self, generation: u64) -> Self {
        self.with(|tokens| tokens.generation = generation)
    }

    /// The tokens as the first of their login, unless they already belong to one.
    pub(super) fn with_own_lineage(self) -> Self {
        if self.0.lineage.is_some() {
            return self;
        }
        let refresh = self.0.refresh.as_ref().map(|refresh| refresh.expose_secret());
        let lineage = fingerprint(&[self.0.access.expose_secret(), refresh.unwrap_or_default()]);
        self.with(|tokens| tokens.lineage = Some(lineage))
    }

    /// The tokens as successors of `before`, of the same login.
    pub(super) fn with_lineage_of(self, before: &Self) -> Self {
        self.with(|tokens| tokens.lineage = before.0.lineage)
    }

    /// The same tokens with or without the note that the refresh token is being presented.
    pub(super) fn with_presented_at(self, moment: Option<Timestamp>) -> Self {
        self.with(|tokens| tokens.presented_at = moment)
    }

    /// The same tokens as a new record of a store.
    pub(super) fn with_new_revision(self) -> Self {
        // Random, so that a record that was removed and written anew is not taken for the old one; positive as a signed
        // number, which is all that SQL databases have.
        self.with(|tokens| tokens.revision = fastrand::u64(1..=i64::MAX as u64))
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

    /// What of these tokens a response could repeat.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        self.0.refresh.iter().chain([&self.0.access]).cloned().collect()
    }

    /// Whether these are other tokens than `other`, whatever is recorded about them.
    pub(super) fn differs(&self, other: &Self) -> bool {
        let same = |one: &SecretString, other: &SecretString| -> bool {
            one.expose_secret().as_bytes().ct_eq(other.expose_secret().as_bytes()).into()
        };
        let same_refresh = match (&self.0.refresh, &other.0.refresh) {
            (Some(one), Some(other)) => same(one, other),
            (one, other) => one.is_none() && other.is_none(),
        };
        !(same(&self.0.access, &other.0.access) && same_refresh)
    }

    /// Identifies the login that these tokens come from; `None` if that is unknown.
    pub(super) fn lineage(&self) -> Option<u64> {
        self.0.lineage
    }

    /// Identifies the access token without showing it.
    pub(super) fn access_fingerprint(&self) -> u64 {
        fingerprint(&[self.0.access.expose_secret()])
    }

    /// Identifies the refresh token without showing it; `None` if there is none.
    pub(super) fn refresh_fingerprint(&self) -> Option<u64> {
        self.0.refresh.as_ref().map(|refresh| fingerprint(&[refresh.expose_secret()]))
    }

    /// Since when a client has been presenting the refresh token to the vendor, if it does not know the outcome yet. Set
    /// before the request is sent, and gone with the next tokens.
    pub fn presented_at(&self) -> Option<Timestamp> {
        self.0.presented_at
    }

    /// The version of the record in a [`TokenStore`](crate::TokenStore): another number with every write, from 1 to
    /// `i64::MAX`; 0 if the tokens were never stored. [`compare_and_swap`](crate::TokenStore::compare_and_swap) compares it.
    pub fn revision(&self) -> u64 {
        self.0.revision
    }

    /// When the vendor granted the tokens; `None` if that is unknown.
    pub fn obtained_at(&self) -> Option<Timestamp> {
        self.0.obtained_at
    }

    /// The number of refreshes and logins that led to these tokens.
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
            .field("presented_at", &self.0.presented_at)
            .field("generation", &self.0.generation)
            .finish()
    }
}

impl Serialize for TokenSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut set = serializer.serialize_struct("TokenSet", 9)?;
        set.serialize_field("generation", &self.0.generation)?;
        set.serialize_field("access_token", self.0.access.expose_secret())?;
        set.serialize_field("access_expires_at", &self.0.access_expires_at)?;
        set.serialize_field("refresh_token", &self.0.refresh.as_ref().map(|refresh| refresh.expose_secret()))?;
        set.serialize_field("refresh_expires_at", &self.0.refresh_expires_at)?;
        set.serialize_field("obtained_at", &self.0.obtained_at)?;
        set.serialize_field("lineage", &self.0.lineage)?;
        set.serialize_field("presented_at", &self.0.presented_at)?;
        set.serialize_field("revision", &self.0.revision)?;
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
            lineage: Option<u64>,
            #[serde(default)]
            presented_at: Option<Timestamp>,
            #[serde(default)]
            revision: u64,
        }
        let plain = Plain::deserialize(deserializer)?;
        Ok(Self(Arc::new(Tokens {
            access: plain.access_token.into(),
            refresh: plain.refresh_token.map(Into::into),
            access_expires_at: plain.access_expires_at,
            refresh_expires_at: plain.refresh_expires_at,
            obtained_at: plain.obtained_at,
            generation: plain.generation,
            lineage: plain.lineage,
            presented_at: plain.presented_at,
            revision: plain.revision,
        })))
    }
}

/// Tells tokens apart, the same in every process and version (FNV-1a).
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
            .with_own_lineage()
            .with_presented_at(Some("2026-03-01T11:00:00Z".parse().unwrap()))
            .with_new_revision()
    }

    #[test]
    fn tokens_keep_the_lineage_of_their_login_when_they_are_stored() {
        let login = TokenSet::new("a").with_refresh_token("r").with_own_lineage();
        let next = TokenSet::new("b").with_refresh_token("s").with_lineage_of(&login);
        let stored: TokenSet = serde_json::from_str(&serde_json::to_string(&next).unwrap()).unwrap();
        assert!(stored.lineage().is_some() && stored.lineage() == login.lineage());
        assert_eq!(stored.clone().with_own_lineage().lineage(), login.lineage(), "a lineage never changes");
        for other in [TokenSet::new("a"), TokenSet::new("ar"), full()] {
            assert_ne!(stored.lineage(), other.with_own_lineage().lineage());
        }
    }

    #[test]
    fn tokens_differ_by_either_token_and_by_nothing_else() {
        let tokens = TokenSet::new("a").with_refresh_token("r");
        assert!(!tokens.differs(&tokens.clone().with_generation(4).with_new_revision()));
        for other in
            [TokenSet::new("a"), TokenSet::new("b").with_refresh_token("r"), TokenSet::new("a").with_refresh_token("s")]
        {
            assert!(tokens.differs(&other) && other.differs(&tokens));
        }
    }

    #[test]
    fn a_revision_is_positive_as_a_signed_number_and_new_with_each_record() {
        let tokens = full();
        let other = tokens.clone().with_new_revision();
        assert_ne!(tokens.revision(), other.revision());
        assert!(i64::try_from(tokens.revision()).unwrap() > 0);
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
