//! The refresh under way, and the outcome of the last ones.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::Instant;

use super::cached_token::CachedToken;
use super::expiry;
use super::token_error::{TokenError, TokenErrorKind};

/// How often a client whose credentials are refused reads the store, because another client may have stored better ones.
const RELOAD: Duration = Duration::from_secs(1);
/// How often a client that can log in asks again although its credentials were refused for good.
const PROBE: Duration = Duration::from_secs(3600);

/// The outcome of a refresh; `None` while it is under way.
pub(super) type RefreshResult = Option<Result<Arc<CachedToken>, Arc<TokenError>>>;

#[derive(Debug, Default)]
pub(super) struct RefreshState {
    in_progress: Option<watch::Receiver<RefreshResult>>,
    /// How many refreshes failed in a row.
    failures: u32,
    /// When the next refresh may begin while the tokens are valid.
    not_before: Option<Instant>,
    last_failure: Option<Arc<TokenError>>,
    permanent_error: Option<PermanentError>,
    last_success: Option<Success>,
    last_reload: Option<Instant>,
}

/// The credentials were refused, and when.
#[derive(Debug)]
struct PermanentError {
    error: Arc<TokenError>,
    /// When the vendor was asked last; `None` if it is not to be asked again.
    since: Option<Instant>,
}

/// When the current token was put in place, on both clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Success {
    pub(super) at: Instant,
    pub(super) wall: Timestamp,
}

impl RefreshState {
    /// Begins a refresh. The sender publishes its outcome.
    pub(super) fn begin(&mut self) -> (watch::Sender<RefreshResult>, watch::Receiver<RefreshResult>) {
        let (sender, receiver) = watch::channel(None);
        self.in_progress = Some(receiver.clone());
        (sender, receiver)
    }

    /// The refresh under way. One whose task ended without an outcome is none.
    pub(super) fn in_progress(&self) -> Option<&watch::Receiver<RefreshResult>> {
        self.in_progress.as_ref().filter(|refresh| refresh.borrow().is_none() && refresh.has_changed().is_ok())
    }

    /// Forgets a refresh that has published its outcome, unless another one has begun since.
    pub(super) fn end(&mut self) {
        self.in_progress.take_if(|refresh| refresh.borrow().is_some());
    }

    /// Whether a refresh may begin while the tokens are still valid.
    pub(super) fn may_begin_early(&self, now: Instant) -> bool {
        self.in_progress().is_none()
            && self.permanent_error.is_none()
            && self.not_before.is_none_or(|not_before| not_before <= now)
    }

    /// The error for callers that come so soon after a failure that another token request makes no sense.
    pub(super) fn recent_failure(&self, now: Instant) -> Option<&Arc<TokenError>> {
        self.last_failure.as_ref().filter(|error| now < error.holds_until)
    }

    /// The refusal that stands, unless it is time to ask the vendor again.
    pub(super) fn permanent_error(&self, now: Instant, can_log_in: bool) -> Option<&Arc<TokenError>> {
        let permanent = self.permanent_error.as_ref()?;
        let is_probe_due = can_log_in && permanent.since.is_some_and(|since| now >= since + PROBE);
        (!is_probe_due).then_some(&permanent.error)
    }

    /// Whether the store may be read now although no refresh is due; counts as a read if so.
    pub(super) fn may_reload(&mut self, now: Instant) -> bool {
        let may_reload = self.last_reload.is_none_or(|last| now >= last + RELOAD);
        if may_reload {
            self.last_reload = Some(now);
        }
        may_reload
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    pub(super) fn last_failure(&self) -> Option<&TokenError> {
        self.last_failure.as_deref()
    }

    pub(super) fn last_success(&self) -> Option<Success> {
        self.last_success
    }

    /// Notes a refresh that failed, and returns its error for all who wait.
    pub(super) fn fail(&mut self, mut error: TokenError, now: Instant) -> Arc<TokenError> {
        self.failures += 1;
        let rest = error.retry_after.unwrap_or_default();
        self.not_before = Some(now + expiry::pause(self.failures).max(rest));
        let is_permanent = error.kind == TokenErrorKind::Refused;
        let hold = if is_permanent { RELOAD } else { expiry::hold(self.failures).max(rest) };
        error.holds_until = error.holds_until.max(now + hold);
        let error = Arc::new(error);
        if is_permanent {
            let since = match &self.permanent_error {
                // The same refusal, found again without asking the vendor.
                Some(permanent) if permanent.since.is_none_or(|since| now < since + PROBE) => permanent.since,
                _ => Some(now),
            };
            self.permanent_error = Some(PermanentError { error: Arc::clone(&error), since });
        }
        self.last_failure = Some(Arc::clone(&error));
        error
    }

    /// Notes that a token was put in place.
    pub(super) fn succeed(&mut self, success: Success) {
        self.accept();
        self.last_success = Some(success);
    }

    /// Forgets failures and refusals of other credentials.
    pub(super) fn accept(&mut self) {
        self.failures = 0;
        self.not_before = None;
        self.last_failure = None;
        self.permanent_error = None;
    }

    /// Refuses all callers from now on, until other tokens are found. The vendor is not asked again.
    pub(super) fn refuse(&mut self, error: Arc<TokenError>) {
        self.permanent_error = Some(PermanentError { error, since: None });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    const SECOND: Duration = Duration::from_secs(1);
    const MOMENT: Duration = Duration::from_nanos(1);

    fn error(kind: TokenErrorKind) -> TokenError {
        TokenError::new(kind, "no token", Clock::System)
    }

    /// A state after a failure of this kind, and when it failed.
    fn failed(kind: TokenErrorKind) -> (RefreshState, Instant) {
        let mut state = RefreshState::default();
        let error = error(kind);
        let now = error.holds_until;
        state.fail(error, now);
        (state, now)
    }

    fn success(at: Instant) -> Success {
        Success { at, wall: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn failures_in_a_row_put_early_refreshes_off_ever_longer_until_one_succeeds() {
        let (mut state, now) = failed(TokenErrorKind::Failed);
        for (seconds, failures) in [(30, 1), (60, 2), (120, 3)] {
            assert_eq!(state.failures(), failures);
            assert!(!state.may_begin_early(now + seconds * SECOND - MOMENT));
            assert!(state.may_begin_early(now + seconds * SECOND));
            state.fail(error(TokenErrorKind::Failed), now);
        }
        state.succeed(success(now));
        assert!(state.may_begin_early(now) && state.last_failure().is_none());
        assert_eq!((state.failures(), state.last_success().map(|success| success.at)), (0, Some(now)));
        state.fail(error(TokenErrorKind::Failed), now);
        assert!(state.may_begin_early(now + 30 * SECOND), "the count begins anew");
    }

    #[test]
    fn a_failure_is_the_error_of_callers_that_come_within_a_second() {
        let (state, now) = failed(TokenErrorKind::Failed);
        assert!(state.recent_failure(now + SECOND - MOMENT).is_some());
        assert!(state.recent_failure(now + SECOND).is_none());
    }

    #[test]
    fn an_endpoint_that_asks_for_a_pause_gets_it() {
        let mut state = RefreshState::default();
        let mut error = error(TokenErrorKind::Failed);
        error.retry_after = Some(600 * SECOND);
        let now = error.holds_until;
        state.fail(error, now);
        let end = now + 600 * SECOND;
        assert!(state.recent_failure(end - MOMENT).is_some() && state.recent_failure(end).is_none());
        assert!(!state.may_begin_early(end - MOMENT) && state.may_begin_early(end));
    }

    #[test]
    fn a_refusal_stands_and_only_credentials_that_can_log_in_are_tried_again_after_an_hour() {
        let (mut state, now) = failed(TokenErrorKind::Refused);
        assert!(!state.may_begin_early(now + 100 * PROBE));
        assert!(state.permanent_error(now + 100 * PROBE, false).is_some());
        assert!(state.permanent_error(now + PROBE - MOMENT, true).is_some());
        // A look into the store that finds the same refusal does not put the next request off.
        state.fail(error(TokenErrorKind::Refused), now + PROBE / 2);
        assert!(state.permanent_error(now + PROBE, true).is_none());
        // The vendor was asked, and refused again.
        state.fail(error(TokenErrorKind::Refused), now + PROBE);
        assert!(state.permanent_error(now + 2 * PROBE - MOMENT, true).is_some());
        assert!(state.permanent_error(now + 2 * PROBE, true).is_none());
        state.accept();
        assert!(state.permanent_error(now, false).is_none() && state.may_begin_early(now));
    }

    #[test]
    fn a_refusal_is_looked_at_again_after_a_second_however_many_there_were() {
        let (mut state, now) = failed(TokenErrorKind::Refused);
        for _ in 0..10 {
            state.fail(error(TokenErrorKind::Refused), now);
        }
        let held = state.last_failure().unwrap().holds_until;
        assert!(state.recent_failure(held).is_none() && held < now + 2 * SECOND);
    }

    #[test]
    fn after_a_revocation_the_vendor_is_never_asked_again() {
        let mut state = RefreshState::default();
        let error = Arc::new(error(TokenErrorKind::Refused));
        let now = error.holds_until;
        state.refuse(error);
        for can_log_in in [false, true] {
            assert!(state.permanent_error(now + 100 * PROBE, can_log_in).is_some());
        }
    }

    #[test]
    fn the_store_is_read_once_in_a_second() {
        let (mut state, now) = (RefreshState::default(), Instant::now());
        assert!(state.may_reload(now) && !state.may_reload(now) && !state.may_reload(now + SECOND - MOMENT));
        assert!(state.may_reload(now + SECOND) && !state.may_reload(now + SECOND));
    }

    #[test]
    fn a_refresh_whose_task_ended_without_an_outcome_is_not_in_progress() {
        let mut state = RefreshState::default();
        let (sender, _) = state.begin();
        assert!(state.in_progress().is_some() && !state.may_begin_early(Instant::now()));
        drop(sender);
        assert!(state.in_progress().is_none() && state.may_begin_early(Instant::now()));
    }

    #[test]
    fn the_end_of_a_refresh_does_not_forget_the_next_one() {
        let mut state = RefreshState::default();
        let outcome = || Some(Err(Arc::new(error(TokenErrorKind::Failed))));
        let (first, _) = state.begin();
        first.send_replace(outcome());
        assert!(state.in_progress().is_none());
        let (second, _) = state.begin();
        state.end();
        assert!(state.in_progress().is_some());
        second.send_replace(outcome());
        state.end();
        assert!(state.in_progress.is_none());
    }
}
