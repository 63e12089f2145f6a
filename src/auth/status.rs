//! How long the credentials last.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// How long the credentials last: a snapshot for a health check.
///
/// # Example
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let tenant = servicebay::testing::fixably::MockServer::start().await;
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
    /// The state of a token that was made by hand.
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

    /// When the token that is sent expires; `None` when it does not, when nobody said, or when there is none yet.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// When the token expires that new ones are got with; `None` when there is none, or nobody said.
    pub fn refresh_expires_at(&self) -> Option<Timestamp> {
        self.refresh_expires_at
    }

    /// Whole days until [`expires_at`](Self::expires_at), rounded down; 0 once it has passed.
    pub fn days_left(&self) -> Option<u64> {
        self.time_left().map(|left| left.as_secs() / (24 * 3600))
    }

    /// Time until [`expires_at`](Self::expires_at); zero once it has passed.
    pub fn time_left(&self) -> Option<Duration> {
        let left = self.expires_at?.duration_since(self.as_of).max(SignedDuration::ZERO);
        Some(left.unsigned_abs())
    }

    /// Whether the token has expired. A client whose credentials renew themselves then gets a new one with the next
    /// call; for any other, calls fail without being sent.
    pub fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|expires_at| expires_at <= self.as_of)
    }

    /// Whether the client gets new tokens by itself.
    pub fn renews(&self) -> bool {
        self.renews
    }

    /// Counts the tokens that followed from one another; 0 for one that was made by hand or is not there yet.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the last new token came.
    pub fn last_refresh(&self) -> Option<Timestamp> {
        self.last_refresh
    }

    /// TokenErrorKind the last attempt at a new token failed; `None` once one has succeeded.
    pub fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// TokenErrorKind the newest tokens are kept in memory alone; `None` once they are stored.
    pub fn store_failure(&self) -> Option<&str> {
        self.store_failure.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_left_are_whole_days_and_end_at_zero() {
        let expires_at = Some("2026-03-08T11:00:00Z".parse().unwrap());
        let status = |as_of: &str| AuthStatus::of_static(expires_at, as_of.parse().unwrap());
        let early = status("2026-03-01T12:00:00Z");
        assert_eq!((early.days_left(), early.is_expired()), (Some(6), false));
        let late = status("2026-03-09T12:00:00Z");
        assert_eq!((late.days_left(), late.is_expired()), (Some(0), true));
    }
}
