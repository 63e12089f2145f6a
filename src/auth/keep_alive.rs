//! Refreshes the tokens of an idle client.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq as _;
use tokio::time::Instant;

use super::expiry;
use super::token_cache::TokenCache;
use super::token_error::{TokenError, TokenErrorKind};
use super::token_set::TokenSet;

/// A refresh token on the monotonic clock: however the wall clock is set while the client runs, the token is renewed in
/// time, and no more often.
struct Kept {
    tokens: TokenSet,
    /// When the refresh token ends.
    ends: Instant,
    /// When to renew it.
    due: Instant,
}

impl TokenCache {
    /// Renews in time even while nobody calls. Ends with the reason when the credentials give no token any more.
    pub(crate) async fn keep_alive(self: Arc<Self>) -> Arc<TokenError> {
        let clock = self.setting.endpoint.clock;
        let mut kept = None;
        loop {
            let old = self.live.load_full();
            match self.due(&mut kept) {
                Some(due) if due <= self.now() => {}
                // Looked at anew now and then: another process may renew.
                due => {
                    let look = self.now() + expiry::LOOK;
                    clock.sleep_until(due.map_or(look, |due| due.min(look))).await;
                    continue;
                }
            }
            let begun = self.now();
            let landing = self.landing(old.as_ref(), begun + expiry::LOOK).await;
            match landing {
                Some(Err(trouble)) if trouble.why == TokenErrorKind::Refused => return trouble,
                // A renewal that leaves the end where it was must not be repeated at once.
                Some(Ok(_)) => clock.sleep_until(self.now() + expiry::BREATH).await,
                Some(Err(_)) | None => {
                    let pause = expiry::pause(self.state().failures);
                    clock.sleep_until(self.now().max(begun) + pause).await;
                }
            }
        }
    }

    /// When the pair has to be renewed so that none of it lapses; `None` when nothing of it can.
    fn due(&self, kept: &mut Option<Kept>) -> Option<Instant> {
        let (newest, last_refresh) = {
            let state = self.state();
            let Some(newest) = state.newest.clone() else { return Some(self.now()) };
            (newest, state.last_refresh)
        };
        let live = self.live.load();
        if newest.refresh_expires_at().is_none() || self.setting.grant.needs_living_access() {
            return match live.as_ref() {
                Some(live) => live.life.map(|life| life.soft),
                None => Some(self.now()),
            };
        }
        let is_live = live.as_ref().is_some_and(|live| live.tokens.generation() == newest.generation());
        let since =
            last_refresh.filter(|_| is_live).unwrap_or_else(|| (self.now(), self.setting.endpoint.clock.wall()));
        if kept.as_ref().is_none_or(|kept| kept.tokens.generation() != newest.generation()) {
            *kept = Some(Kept::new(newest, kept.take(), since));
        }
        kept.as_ref().map(|kept| kept.due)
    }
}

impl Kept {
    /// Counts the life of a refresh token from when the pair was put in place, and not again: what wall time says later may
    /// be wrong, and to count from a later moment would put the renewal off.
    fn new(tokens: TokenSet, before: Option<Self>, (since, wall): (Instant, Timestamp)) -> Self {
        let stayed = |before: &Self| match (before.tokens.refresh_token(), tokens.refresh_token()) {
            (Some(old), Some(new)) => old.expose_secret().as_bytes().ct_eq(new.expose_secret().as_bytes()).into(),
            (old, new) => old.is_none() && new.is_none(),
        };
        if let Some(before) = before.filter(stayed) {
            // It stayed, and so did its end. Where the vendor prolongs it all the same, renewals go on after that end.
            let left = before.ends.saturating_duration_since(since);
            return Self { ends: before.ends, due: since + (left - left / 5).max(expiry::LOOK), tokens };
        }
        let span = |from| {
            let until = tokens.refresh_expires_at()?;
            Duration::try_from(until.duration_since(from)).ok()
        };
        let left = span(wall).unwrap_or_default();
        let (left, due) = match tokens.obtained_at().map(span) {
            // The vendor renewed it when its days seemed over: what wall time says of them is wrong.
            Some(None) => (Duration::ZERO, expiry::LOOK),
            Some(Some(whole)) => (left.min(whole), left.min(whole).saturating_sub(whole / 5)),
            None => (left, left - left / 5),
        };
        Self { ends: since + left, due: since + due, tokens }
    }
}
