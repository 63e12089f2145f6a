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
