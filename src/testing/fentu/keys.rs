//! API keys and their scopes.

use std::collections::BTreeSet;
use std::fmt;

use super::options::Tier;

/// The scopes that the vendor documents.
pub(super) const SCOPES: [&str; 7] = [
    "admin",
    "read:assets",
    "read:customers",
    "read:work-orders",
    "write:assets",
    "write:customers",
    "write:work-orders",
];

/// The API keys that every mock server accepts.
///
/// ```
/// use servicebay::testing::fentu::{KeyKind, MockServer};
///
/// let server = MockServer::builder().in_memory();
/// assert_eq!(server.key(KeyKind::ReadOnly), "test-key-read-only");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// May do everything, with the scope `admin`: `test-key-admin`.
    Admin,
    /// May read everything and change nothing: `test-key-read-only`.
    ReadOnly,
    /// May read and write work orders, and nothing else: `test-key-work-orders`.
    WorkOrders,
    /// May write assets and not read them: `test-key-write-only`.
    WriteOnly,
}

impl KeyKind {
    const ALL: [Self; 4] = [Self::Admin, Self::ReadOnly, Self::WorkOrders, Self::WriteOnly];

    /// The value that a client sends.
    pub(super) fn value(self) -> &'static str {
        match self {
            Self::Admin => "test-key-admin",
            Self::ReadOnly => "test-key-read-only",
            Self::WorkOrders => "test-key-work-orders",
            Self::WriteOnly => "test-key-write-only",
        }
    }

    fn key(self) -> ApiKey {
        let scopes: &[&str] = match self {
            Self::Admin => &["admin"],
            Self::ReadOnly => &["read:assets", "read:customers", "read:work-orders"],
            Self::WorkOrders => &["read:work-orders", "write:work-orders"],
            Self::WriteOnly => &["write:assets"],
        };
        ApiKey::new(self.value()).with_scopes(scopes.iter().copied())
    }
}

/// An API key with your own settings, for [`MockServer::add_key`](super::MockServer::add_key). It is valid until it is
/// revoked.
///
/// It starts without scopes, so that a test names those that the integration needs. Those are the ones to select for
/// the real key.
///
/// ```
/// use servicebay::testing::fentu::{ApiKey, MockServer};
///
/// let server = MockServer::builder().in_memory();
/// server.add_key(ApiKey::new("test-sync").with_scopes(["read:work-orders", "read:customers"]));
/// ```
#[derive(Clone)]
#[must_use = "the mock server accepts a key only after `server.add_key(...)`"]
pub struct ApiKey {
    value: String,
    scopes: BTreeSet<String>,
    tier: Option<Tier>,
}

impl ApiKey {
    /// A key without scopes.
    pub fn new(value: impl Into<String>) -> Self {
        Self { value: value.into(), scopes: BTreeSet::new(), tier: None }
    }

    /// Grants these scopes and no others.
    ///
    /// # Panics
    ///
    /// If there is no such scope, because a key that allows nothing would let a test pass for the wrong reason.
    #[track_caller]
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        for scope in &self.scopes {
            assert!(
                SCOPES.contains(&scope.as_str()),
                "there is no scope `{scope}`; the scopes are {}",
                SCOPES.join(", ")
            );
        }
        self
    }

    /// How many requests the key may send in an hour. Default: the tier of the server.
    pub fn with_tier(mut self, tier: Tier) -> Self {
        self.tier = Some(tier);
        self
    }

    pub(super) fn scopes(&self) -> &BTreeSet<String> {
        &self.scopes
    }

    pub(super) fn tier(&self) -> Option<Tier> {
        self.tier
    }
}

/// Shows everything except the value, because a test may use a real one.
impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiKey").field("scopes", &self.scopes).field("tier", &self.tier).finish_non_exhaustive()
    }
}

/// The keys that the server accepts.
#[derive(Debug)]
pub(super) struct Keys(Vec<ApiKey>);

impl Keys {
    pub(super) fn seeded() -> Self {
        Self(KeyKind::ALL.into_iter().map(KeyKind::key).collect())
    }

    /// Adds a key, in place of one with the same value.
    pub(super) fn add(&mut self, key: ApiKey) {
        self.revoke(&key.value);
        self.0.push(key);
    }

    pub(super) fn revoke(&mut self, value: &str) {
        self.0.retain(|key| key.value != value);
    }

    pub(super) fn get(&self, value: &str) -> Option<&ApiKey> {
        self.0.iter().find(|key| key.value == value)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|key| key.value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_debug_output_does_not_show_the_key() {
        let shown = format!("{:?}", ApiKey::new("test-hidden-value"));
        assert!(!shown.contains("hidden"), "{shown}");
    }

    #[test]
    #[should_panic(expected = "there is no scope `read:tasks`")]
    fn a_key_cannot_have_an_unknown_scope() {
        let _ = ApiKey::new("test").with_scopes(["read:tasks"]);
    }

    #[test]
    fn a_key_replaces_the_one_with_the_same_value() {
        let mut keys = Keys::seeded();
        keys.add(ApiKey::new("test-key-admin"));
        assert!(keys.get("test-key-admin").is_some_and(|key| key.scopes().is_empty()));
        keys.revoke("test-key-admin");
        assert!(keys.get("test-key-admin").is_none());
    }
}
