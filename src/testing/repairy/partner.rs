//! The partners of the vendor that have access to a mock server.

/// One of the two partners of every mock server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Partner {
    /// Owns all seeded data but one booking: `test-partner`.
    Main,
    /// Owns the booking `670000000000000000000002`: `test-other-partner`.
    Other,
}

impl Partner {
    pub(super) const ALL: [Self; 2] = [Self::Main, Self::Other];

    /// The value of `X-Partner-ID`.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Main => "test-partner",
            Self::Other => "test-other-partner",
        }
    }

    /// The app key.
    #[must_use]
    pub fn app_key(self) -> &'static str {
        match self {
            Self::Main => "test-app-key",
            Self::Other => "test-other-app-key",
        }
    }

    /// The app secret, which is not a real secret.
    #[must_use]
    pub fn app_secret(self) -> &'static str {
        match self {
            Self::Main => "test-app-secret",
            Self::Other => "test-other-app-secret",
        }
    }
}
