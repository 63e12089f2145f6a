//! Refreshes the tokens of an idle client.

use std::sync::Arc;
use std::time::Duration;

use super::expiry::{self, TwoClocks};
use super::refresh_state::Success;
use super::token_cache::{RefreshPurpose, TokenCache};
use super::token_error::{TokenError, TokenErrorKind};
use super::token_set::TokenSet;

/// When the refresh token of these tokens expires and when to refresh it, on both clocks: neither a wall clock that is set
/// nor a machine that sleeps puts the refresh off.
struct RefreshDue {
    tokens: TokenSet,
    expires_at: TwoClocks,
    due: TwoClocks,
}

impl TokenCache {
    /// Refreshes in time even if there are no calls. Ends with the reason when the credentials yield no token any more, or with
    /// `None` when the client is closed.
    pub(crate) async fn keep_alive(self: Arc<Self>) -> Option<Arc<TokenError>> {
        self.closed.unless_closed(self.refresh_in_time()).await
    }

    async fn refresh_in_time(self: &Arc<Self>) -> Arc<TokenError> {
        let clock = self.setting.endpoint.clock;
        let mut last_due = None;
        loop {
            let old = self.current.load_full();
            match self.due(&mut last_due) {
                Some(due) if due.is_past(clock.now(), clock.system_time()) => {}
                // Checked now and then: another process may refresh, and the machine may sleep.
                due => {
                    let check = clock.now() + expiry::CHECK_INTERVAL;
                    clock.sleep_until(due.map_or(check, |due| due.at.min(check))).await;
                    continue;
                }
            }
            let started = clock.now();
            match self.refreshed(old.as_ref(), started + expiry::CHECK_INTERVAL, RefreshPurpose::KeepAlive).await {
                Some(Err(error)) if error.kind == TokenErrorKind::Refused => return error,
                // A refresh that leaves the expiry where it was must not be repeated at once.
                Some(Ok(_)) => clock.sleep_until(clock.now() + expiry::MIN_REFRESH_INTERVAL).await,
                Some(Err(_)) | None => {
                    let pause = expiry::pause(self.state().refresh.failures());
                    clock.sleep_until(clock.now().max(started) + pause).await;
                }
            }
        }
    }

    /// When to refresh so that nothing expires that is needed later; `None` if nothing can.
    fn due(&self, last_due: &mut Option<RefreshDue>) -> Option<TwoClocks> {
        let clock = self.setting.endpoint.clock;
        let now = Success { at: clock.now(), wall: clock.wall() };
        let at_once = TwoClocks::new(now.at, now.wall, Duration::ZERO);
        let (newest, last_success) = {
            let state = self.state();
            let Some(newest) = state.history.newest().cloned() else { return Some(at_once) };
            (newest, state.refresh.last_success())
        };
        let current = self.current.load();
        if newest.refresh_expires_at().is_none() || self.setting.grant.needs_valid_access() {
            return match current.as_ref() {
                Some(current) => current.expiry.map(|expiry| expiry.refresh_at),
                None => Some(at_once),
            };
        }
        let is_current = current.as_ref().is_some_and(|current| !current.tokens.differs(&newest));
        let since = last_success.filter(|_| is_current).unwrap_or(now);
        if last_due.as_ref().is_none_or(|last_due| last_due.tokens.differs(&newest)) {
            *last_due = Some(RefreshDue::new(newest, last_due.take(), since));
        }
        last_due.as_ref().map(|last_due| last_due.due)
    }
}

impl RefreshDue {
    /// Counts the lifetime of a refresh token once, from when its tokens were put in place. What the wall clock shows later may
    /// be wrong, and counting from a later time would put the refresh off.
    fn new(tokens: TokenSet, before: Option<Self>, since: Success) -> Self {
        let is_same = |before: &Self| before.tokens.refresh_fingerprint() == tokens.refresh_fingerprint();
        if let Some(before) = before.filter(is_same) {
            // The refresh token stayed, and so does its expiry. If the vendor prolongs it all the same, refreshes go on after
            // that time.
            let left = before.expires_at.at.saturating_duration_since(since.at);
            let due = TwoClocks::new(since.at, since.wall, (left - left / 5).max(expiry::CHECK_INTERVAL));
            return Self { expires_at: before.expires_at, due, tokens };
        }
        let span = |from| {
            let until = tokens.refresh_expires_at()?;
            Duration::try_from(until.duration_since(from)).ok()
        };
        let left = span(since.wall).unwrap_or_default();
        let (left, due) = match tokens.obtained_at().map(span) {
            // The vendor accepted it when it seemed to have expired: the wall clock is wrong.
            Some(None) => (Duration::ZERO, expiry::CHECK_INTERVAL),
            Some(Some(whole)) => (left.min(whole), left.min(whole).saturating_sub(whole / 5)),
            None => (left, left - left / 5),
        };
        let ahead = |span| TwoClocks::new(since.at, since.wall, span);
        Self { expires_at: ahead(left), due: ahead(due), tokens }
    }
}
