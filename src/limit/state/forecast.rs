//! When there will be room in a window, and for which waiters.

use std::time::Duration;

use tokio::time::Instant;

use super::queue::PATIENCE;
use super::{AcquireRequest, LimiterState, PROBE_PATIENCE, Phase};

/// As far ahead as anybody is told of.
const FAR: Duration = Duration::from_secs(365 * 24 * 3600);

impl LimiterState {
    /// How many such calls can go without waiting, where that is known.
    pub(in crate::limit) fn room(&self, ask: AcquireRequest, now: Instant) -> Option<u64> {
        match self.phase {
            _ if self.lanes.is_waiting() => Some(0),
            // A window that has begun since the last answer is whole.
            Phase::Open if self.window.is_over(now) => self.window.share(ask),
            Phase::Open => self.window.left(ask).map(|_| self.window.room_at(ask, now)),
            Phase::Unknown => None,
            Phase::Over | Phase::Closed { .. } | Phase::Probing { .. } | Phase::Spreading { .. } => Some(0),
        }
    }

    /// The earliest moment at which there is room for one that has so many before it, where that is known and not now.
    pub(super) fn room_for(&self, ask: AcquireRequest, ahead: u64, now: Instant) -> Option<Instant> {
        let (moment, left) = match self.phase {
            Phase::Closed { until } if now < until => (until, 0),
            Phase::Open | Phase::Spreading { .. } => {
                (self.window.reset_at().filter(|reset_at| now < *reset_at)?, self.window.left(ask)?)
            }
            _ => return None,
        };
        let beyond = ahead.checked_sub(left)?;
        let windows = self.window.share(ask).map_or(0, |share| beyond / share);
        let windows = u32::try_from(windows).unwrap_or(u32::MAX);
        Some(moment + self.window.length().saturating_mul(windows).min(FAR))
    }

    /// Looks anew for whom of those who wait it will be too late.
    pub(super) fn judge(&mut self, now: Instant) {
        let mut lanes = std::mem::take(&mut self.lanes);
        let expected = lanes.expected();
        lanes.judge(|ask, ahead| self.room_for(ask, ahead + expected, now));
        self.lanes = lanes;
    }

    /// Until when what is known of the tenant has to be kept even if nobody calls: the vendor's window runs on.
    pub(in crate::limit) fn matters_until(&self) -> Option<Instant> {
        let closed = match self.phase {
            Phase::Closed { until } => Some(until),
            _ => None,
        };
        closed.max(self.window.reset_at())
    }

    /// When one that waits has to look again, if nobody wakes it before.
    pub(super) fn next_look(&self, now: Instant) -> Instant {
        let (phase, window) = match self.phase {
            // Nothing opens it before, and whoever waits is told of another moment.
            Phase::Closed { until } if now < until => return until,
            // The answer decides; what the window does meanwhile means nothing.
            Phase::Probing { since } => (Some(since + PROBE_PATIENCE), None),
            Phase::Spreading { ends } => (Some(ends), self.window.turns_at()),
            Phase::Unknown | Phase::Open | Phase::Over | Phase::Closed { .. } => (None, self.window.turns_at()),
        };
        // As long as an answer can call somebody, somebody has to see whether it comes.
        let watch = (self.window.in_flight() > 0).then(|| now + PATIENCE);
        let moments = [phase, window, self.lanes.expires(), watch];
        moments.into_iter().flatten().filter(|moment| *moment > now).min().unwrap_or(now + PATIENCE)
    }
}
