//! How a client treats the rate limit of its tenant.

use std::time::Duration;

use crate::priority::Priority;

/// How a client treats the tenant's rate limit.
///
/// All clients of a tenant in the process share one rate limiter. It needs no configuration: it reads the limit, the remaining
/// calls and the reset from the vendor's responses. Calls are sent immediately while the window has room, and wait for the reset
/// when it has none; waiting calls are sent in order of their [`Priority`]. If other integrations use the tenant too, the
/// limiter leaves them a margin as large as their observed usage. A vendor that sends no limit is called without waiting
/// until its first 429, and from then on at the rate that it is found to accept.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use servicebay::{Priority, RateLimitPolicy, fixably};
///
/// let export = fixably::Client::builder(fixably::Credentials::bearer("token-from-the-settings-page"))
///     .with_tenant("acme")
///     .with_priority(Priority::Bulk)
///     .with_rate_limit(
///         RateLimitPolicy::new()
///             // Half of every window is for the tenant's accounting system.
///             .with_bulk_reserve(0.5)
///             // Windows are at most an hour: a later reset is an error in the header.
///             .with_max_window(Duration::from_secs(3600)),
///     )
///     .build()?;
/// # Ok::<(), servicebay::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a policy has no effect until it is passed to a builder"]
#[non_exhaustive]
pub struct RateLimitPolicy {
    max_window: Duration,
    /// In thousandths of a window.
    bulk_reserve: u16,
}

impl RateLimitPolicy {
    /// The default: windows of at most 24 hours, of which bulk calls leave 20 % to others.
    pub fn new() -> Self {
        Self { max_window: Duration::from_secs(24 * 3600), bulk_reserve: 200 }
    }

    /// The longest window that the vendor can have. Default 24 h, at most a year. A reset further ahead is considered an error
    /// in the header: it is ignored, and calls back off instead.
    pub fn with_max_window(self, window: Duration) -> Self {
        // What is longer could not be added to a moment.
        Self { max_window: window.min(Duration::from_secs(365 * 24 * 3600)), ..self }
    }

    /// The share of every window that calls of [`Priority::Bulk`] leave to calls of a higher priority and to the tenant's other
    /// integrations. Default 0.2, from 0 to 0.9; values outside are clamped, and NaN becomes 0. Raise it if other integrations
    /// of the tenant run into the limit; set it to 0 if there are none.
    ///
    /// It has no effect if the vendor does not send the remaining calls. If it sends no limit, the calls that remained at the
    /// start of the window stand for it.
    pub fn with_bulk_reserve(self, share: f64) -> Self {
        Self { bulk_reserve: (share.clamp(0.0, 0.9) * 1000.0).round() as u16, ..self }
    }

    /// What a call of this priority leaves of every window to others, in thousandths.
    pub(super) fn reserve(&self, priority: Priority) -> u16 {
        if priority == Priority::Bulk { self.bulk_reserve } else { 0 }
    }

    pub(super) fn max_window(&self) -> Duration {
        self.max_window
    }
}

impl Default for RateLimitPolicy {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Duration = Duration::from_secs(24 * 3600);

    #[test]
    fn by_default_windows_last_a_day_at_most_and_bulk_calls_alone_leave_a_fifth() {
        let policy = RateLimitPolicy::default();
        assert_eq!(policy.max_window(), DAY);
        assert_eq!(Priority::ALL.map(|priority| policy.reserve(priority)), [0, 0, 200]);
    }

    #[test]
    fn what_is_set_is_clamped_to_a_year_and_to_nine_tenths_of_a_window() {
        for (window, max_window) in [(DAY / 2, DAY / 2), (DAY * 365, DAY * 365), (Duration::MAX, DAY * 365)] {
            let policy = RateLimitPolicy::new().with_max_window(window);
            assert_eq!((policy.max_window(), policy.reserve(Priority::Bulk)), (max_window, 200));
        }
        for (share, reserve) in
            [(-1.0, 0), (0.0, 0), (0.0004, 0), (0.0005, 1), (0.5, 500), (0.9, 900), (f64::INFINITY, 900), (f64::NAN, 0)]
        {
            let policy = RateLimitPolicy::new().with_bulk_reserve(share);
            assert_eq!((policy.max_window(), policy.reserve(Priority::Bulk)), (DAY, reserve), "{share}");
        }
    }
}
