//! A snapshot of how long the credentials are valid.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How long the credentials are valid: a snapshot, for example for a health check.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = servicebay::testing::fixably::MockServer::start().await;
/// # let client = server.client()?;
/// let status = client.auth_status();
/// if status.is_expired() || status.days_left().is_some_and(|days| days < 14) {
///     println!("create a new token before {:?}", status.expires_at());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AuthStatus {
    pub(super) expires_at: Option<Timestamp>,
    pub(super) refresh_expires_at: Option<Timestamp>,
    pub(super) generation: u64,
    pub(super) last_refresh: Option<Timestamp>,
    pub(super) last_failure: Option<String>,
    pub(super) store_failure: Option<String>,
    pub(super) renews: bool,
    pub(super) as_of: Timestamp,
}

impl AuthStatus {
    /// The status of a fixed token.
    pub(super) fn of_static(expires_at: Option<Timestamp>, as_of: Timestamp) -> Self {
        Self {
            expires_at,
            refresh_expires_at: None,
            generation: 0,
            last_refresh: None,
            last_failure: None,
            store_failure: None,
            renews: false,
            as_of,
        }
    }

    /// When the current access token expires; `None` if it never does, if that is unknown, or if there is no token yet.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// When the refresh token expires; `None` if there is none, or if that is unknown.
    pub fn refresh_expires_at(&self) -> Option<Timestamp> {
        self.refresh_expires_at
    }

    /// The whole days until [`expires_at`](Self::expires_at), rounded down; 0 after it.
    pub fn days_left(&self) -> Option<u64> {
        self.time_left().map(|left| left.as_secs() / (24 * 3600))
    }

    /// The time until [`expires_at`](Self::expires_at); zero after it.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.expires_at?.duration_since(self.as_of).max(SignedDuration::ZERO);
        Some(left.unsigned_abs())
    }

    /// Whether the access token has expired. If the client [renews](Self::renews) tokens, the next call gets a new one; if
    /// not, calls fail without being sent.
    pub fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= self.as_of)
    }

    /// Whether the client gets new tokens on its own. False for a fixed token.
    pub fn renews(&self) -> bool {
        self.renews
    }

    /// The number of logins and refreshes that led to the current tokens; 0 for a fixed token, or before the first login.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the latest token was granted.
    pub fn last_refresh(&self) -> Option<Timestamp> {
        self.last_refresh
    }

    /// Why the latest refresh or login failed; `None` after one has succeeded.
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// Why the newest tokens could not be stored and are in memory only; `None` after they are stored.
    pub fn store_failure(&self) -> Option<&str> {
        self.store_failure.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_left_are_whole_days_and_stop_at_zero() {
        let expires_at = Some("2026-03-08T11:00:00Z".parse().unwrap());
        let status = |as_of: &str| AuthStatus::of_static(expires_at, as_of.parse().unwrap());
        let early = status("2026-03-01T12:00:00Z");
        assert_eq!((early.days_left(), early.is_expired()), (Some(6), false));
        let late = status("2026-03-09T12:00:00Z");
        assert_eq!((late.days_left(), late.is_expired()), (Some(0), true));
    }
}
