//! The tokens of one client: read without a lock, refreshed by one task for all callers.
//!
//! A reader loads the current token from a pointer that is replaced atomically. When the token is due for a refresh, the first
//! reader starts one [in the background](super::background), which needs no caller: it asks the vendor, stores the new tokens,
//! and only then replaces the pointer. Callers wait for it only if no valid token is left.
//!
//! The state has four parts behind one lock: the tokens ([`TokenHistory`]), what may be presented ([`SpendLedger`]), the refresh
//! under way ([`RefreshState`]) and the record in the store ([`StoreRecord`]).

use std::borrow::Cow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use http::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::background;
use super::background_tasks::BackgroundTasks;
use super::cached_token::CachedToken;
use super::close_signal::CloseSignal;
use super::expiry::{Arrival, Expiry, Stage};
use super::grant::Grant;
use super::history::TokenHistory;
use super::lease::Lease;
use super::record::StoreRecord;
use super::redaction::Redaction;
use super::refresh_state::{RefreshResult, RefreshState, Success};
use super::spend::SpendLedger;
use super::status::AuthStatus;
use super::store::{DynTokenStore, TokenKey};
use super::token_endpoint::Endpoint;
use super::token_error::{TokenError, TokenErrorKind};
use super::token_set::TokenSet;
use super::{AuthHeader, NoToken};

/// The tokens of one client.
#[derive(Debug)]
pub(crate) struct TokenCache {
    pub(super) setting: Setting,
    pub(super) current: ArcSwapOption<CachedToken>,
    /// The number of the login in use. Raised after the first token of another login was put in place, and after a
    /// revocation.
    login: AtomicU64,
    state: Mutex<CacheState>,
    /// Held while the store is read or written, so that operations do not overtake each other. Only futures that run in the
    /// background hold it: no caller can stop them.
    pub(super) writing: tokio::sync::Mutex<()>,
    /// Held by whoever has the lease, or waits for it, so that this client never waits for itself.
    pub(super) turn: Arc<tokio::sync::Mutex<()>>,
    /// Set under the lock of the state, so that no refresh begins early or to keep the client alive afterwards.
    pub(super) closed: CloseSignal,
    pub(super) tasks: BackgroundTasks,
}

/// What a cache works with.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) grant: Box<dyn Grant>,
    pub(crate) store: Arc<dyn DynTokenStore>,
    pub(crate) key: TokenKey,
    pub(crate) endpoint: Endpoint,
    /// Whether a refresh may begin while a valid token serves. If not, a stale token makes callers wait.
    pub(crate) refreshes_early: bool,
}

#[derive(Debug, Default)]
pub(super) struct CacheState {
    pub(super) history: TokenHistory,
    pub(super) spends: SpendLedger,
    pub(super) refresh: RefreshState,
    pub(super) record: StoreRecord,
    /// The lease, while tokens that another client must not miss are in memory only.
    pub(super) retained_lease: Option<Lease>,
    /// When the vendor last granted tokens to this client.
    pub(super) arrival: Option<Arrival>,
    /// The number of the last token that was put in place.
    epoch: u64,
    /// The lineage of the last token that was put in place.
    lineage: Option<Option<u64>>,
}

/// What a new token is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefreshPurpose {
    Call,
    /// The lifetime of the refresh token. A closed client begins no refresh for it.
    KeepAlive,
}

/// Where the next token comes from.
enum TokenSource {
    /// It arrived while the caller was on its way here.
    Current(Arc<CachedToken>),
    Refresh(watch::Receiver<RefreshResult>),
}

impl TokenCache {
    pub(crate) fn new(setting: Setting, tokens: Option<TokenSet>) -> Self {
        let state = CacheState { history: TokenHistory::new(tokens), ..CacheState::default() };
        Self {
            setting,
            current: ArcSwapOption::empty(),
            login: AtomicU64::new(0),
            state: Mutex::new(state),
            writing: tokio::sync::Mutex::default(),
            turn: Arc::default(),
            closed: CloseSignal::default(),
            tasks: BackgroundTasks::default(),
        }
    }

    /// The valid token, if there is one.
    pub(crate) fn ready(self: &Arc<Self>) -> Option<AuthHeader> {
        let current = self.current.load();
        let current = current.as_ref()?;
        match self.stage(current) {
            Stage::Fresh => {}
            Stage::Stale if self.setting.refreshes_early => self.refresh_early(current),
            Stage::Stale | Stage::Doubtful | Stage::Expired => return None,
        }
        Some(current.auth_header(false))
    }

    /// The next token, as soon as there is one.
    pub(crate) async fn next(self: &Arc<Self>, latest: Instant) -> Result<AuthHeader, NoToken> {
        let error = match self.refreshed(None, latest, RefreshPurpose::Call).await {
            // Even a token that has expired at once serves those who waited for it.
            Some(Ok(current)) => return Ok(current.auth_header(true)),
            Some(Err(error)) => NoToken::TokenError(error),
            None => NoToken::TooLate,
        };
        self.not_expired().map(|current| current.auth_header(true)).ok_or(error)
    }

    /// Whether the token is the current one, and valid.
    pub(crate) fn is_good(&self, epoch: u64) -> bool {
        let current = self.current.load();
        current.as_ref().is_some_and(|current| {
            current.epoch == epoch && !matches!(self.stage(current), Stage::Doubtful | Stage::Expired)
        })
    }

    /// Takes note of a 401; returns whether the call is worth repeating with another token.
    pub(crate) async fn invalidate(self: &Arc<Self>, epoch: u64, latest: Instant) -> bool {
        {
            let mut state = self.state();
            // A late 401 says nothing about the token that has been put in place since, or is about to be.
            let Some(current) = self.current.load_full().filter(|current| current.epoch == epoch) else { return true };
            if state.history.count_rejection(self.now()) {
                state.history.reject(&current.tokens);
                self.current.store(None);
                return true;
            }
        }
        // Too soon for another token request, but another process may have stored better tokens.
        let cache = Arc::clone(self);
        let adopted = self.setting.endpoint.transport.run(async move { cache.adopt_better().await });
        self.setting.endpoint.clock.within(adopted, latest).await.flatten().unwrap_or(false)
    }

    /// The current token if it has not expired by the monotonic clock: what serves if a refresh fails.
    pub(super) fn not_expired(&self) -> Option<Arc<CachedToken>> {
        self.current.load_full().filter(|current| self.stage(current) != Stage::Expired)
    }

    /// Whether the reason for a failure still exists: a refresh that was postponed for the valid token is due when that has
    /// expired.
    fn still_holds(&self, error: &TokenError) -> bool {
        error.kind != TokenErrorKind::Postponed || self.not_expired().is_some()
    }

    /// Waits for the refresh under way, or for one that begins; `None` if it takes too long. Returns the current token if it
    /// is valid, unless it is the `old` one.
    pub(super) async fn refreshed(
        self: &Arc<Self>,
        old: Option<&Arc<CachedToken>>,
        latest: Instant,
        purpose: RefreshPurpose,
    ) -> Option<Result<Arc<CachedToken>, Arc<TokenError>>> {
        for is_last in [false, true] {
            let mut refresh = match self.source(old, purpose) {
                Ok(TokenSource::Refresh(refresh)) => refresh,
                Ok(TokenSource::Current(current)) => return Some(Ok(current)),
                Err(error) => return Some(Err(error)),
            };
            let waited = self.setting.endpoint.clock.within(refresh.wait_for(Option::is_some), latest).await?;
            // If the task ended with its runtime, the next one starts on ours.
            let Ok(result) = waited.map(|result| result.clone()) else { continue };
            match &result {
                Some(Err(error)) if !is_last && !self.still_holds(error) => {}
                _ => return result,
            }
        }
        let reason = "the token refresh ended without an outcome: its runtime was shut down";
        Some(Err(Arc::new(self.error(TokenErrorKind::Failed, reason))))
    }

    /// Starts a refresh while the old token is still valid, if it is time for one.
    fn refresh_early(self: &Arc<Self>, old: &Arc<CachedToken>) {
        let mut state = self.state();
        // A refresh may have completed since the old token was read; the new one is not due.
        let is_current = self.current.load().as_ref().is_some_and(|current| Arc::ptr_eq(current, old));
        if is_current && !self.closed.is_closed() && state.refresh.may_begin_early(self.now()) {
            let (result, _) = state.refresh.begin();
            drop(state);
            self.spawn_refresh(result, Some(Arc::clone(old)));
        }
    }

    /// Joins the refresh under way, or starts one.
    fn source(
        self: &Arc<Self>,
        old: Option<&Arc<CachedToken>>,
        purpose: RefreshPurpose,
    ) -> Result<TokenSource, Arc<TokenError>> {
        let mut state = self.state();
        if let Some(refresh) = state.refresh.in_progress() {
            return Ok(TokenSource::Refresh(refresh.clone()));
        }
        // The refresh that the caller came for may have completed before it got the lock.
        let is_old = |current: &Arc<CachedToken>| old.is_some_and(|old| Arc::ptr_eq(current, old));
        let is_valid = |current: &Arc<CachedToken>| match self.stage(current) {
            Stage::Fresh => true,
            // Without background refreshes, callers wait for the refresh of a stale token, but not after it has failed.
            Stage::Stale => self.setting.refreshes_early || !state.refresh.may_begin_early(self.now()),
            Stage::Doubtful | Stage::Expired => false,
        };
        if let Some(current) = self.current.load_full().filter(|current| !is_old(current) && is_valid(current)) {
            return Ok(TokenSource::Current(current));
        }
        if let Some(error) = state.refresh.recent_failure(self.now()).filter(|error| self.still_holds(error)) {
            return Err(Arc::clone(error));
        }
        if purpose == RefreshPurpose::KeepAlive && self.closed.is_closed() {
            return Err(Arc::new(self.error(TokenErrorKind::Failed, "the client was closed")));
        }
        let (result, refresh) = state.refresh.begin();
        let old = self.current.load_full();
        drop(state);
        self.spawn_refresh(result, old);
        Ok(TokenSource::Refresh(refresh))
    }

    /// Refreshes the tokens in a task, in place of the `old` current token.
    ///
    /// Its span is made here, without the lock: an observer may ask this client for its status.
    fn spawn_refresh(self: &Arc<Self>, sender: watch::Sender<RefreshResult>, old: Option<Arc<CachedToken>>) {
        let cache = Arc::clone(self);
        let (started, span) = (self.now(), self.setting.endpoint.telemetry.refresh_span());
        let refreshing = async move {
            // A panic counts as a failure too, so that the next caller does not start another refresh at once.
            let refreshed = Box::pin(background::catch_panic(cache.refresh(old.as_ref()))).await;
            let result = match refreshed.unwrap_or_else(|| Err(cache.panicked())) {
                Ok(current) => {
                    cache.setting.endpoint.telemetry.refreshed(current.tokens.generation(), started);
                    Ok(current)
                }
                Err(error) => Err(cache.record_failure(error, started)),
            };
            sender.send_replace(Some(result));
            cache.state().refresh.end();
        };
        background::spawn(&self.setting.endpoint.transport, refreshing.instrument(span));
    }

    /// Takes note of a refresh that failed.
    fn record_failure(&self, error: TokenError, started: Instant) -> Arc<TokenError> {
        let mut state = self.state();
        let error = state.refresh.fail(error, self.now());
        let failures = state.refresh.failures();
        // Without the lock: an observer may ask this client for its status.
        drop(state);
        let telemetry = &self.setting.endpoint.telemetry;
        telemetry.refresh_failed(error.kind.as_str(), &error.to_string(), failures, started);
        error
    }

    /// Puts a token in place for all callers.
    pub(super) fn put_in_place(&self, tokens: &TokenSet, header: (HeaderName, HeaderValue)) -> Arc<CachedToken> {
        let clock = self.setting.endpoint.clock;
        let (now, wall) = (clock.now(), clock.wall());
        let expiry = self.expiry(tokens, fastrand::f64());
        let mut state = self.state();
        // Another task may have put newer tokens in place meanwhile.
        if state.history.newest().is_some_and(|newest| newest.differs(tokens))
            && let Some(current) = self.current.load_full()
        {
            return current;
        }
        state.epoch += 1;
        let current = Arc::new(CachedToken { tokens: tokens.clone(), header, expiry, epoch: state.epoch });
        state.refresh.succeed(Success { at: now, wall });
        self.current.store(Some(Arc::clone(&current)));
        let before = state.lineage.replace(tokens.lineage());
        let is_other = before.is_some_and(|before| before.is_none() || before != tokens.lineage());
        // Credentials that log in themselves always log in the same user.
        if is_other && !self.setting.grant.can_log_in() {
            self.end_login();
        }
        drop(state);
        current
    }

    /// The expiry of an access token, by the clocks as they were when it was granted if this client asked for it.
    pub(super) fn expiry(&self, tokens: &TokenSet, jitter: f64) -> Option<Expiry> {
        let clock = self.setting.endpoint.clock;
        let arrival = self.state().arrival.filter(|arrival| arrival.is_of(tokens));
        let (now, wall) = arrival.map_or_else(|| (clock.now(), clock.wall()), |arrival| (arrival.at, arrival.wall));
        Expiry::of(tokens, now, wall, jitter)
    }

    /// The number of the login in use.
    pub(crate) fn login(&self) -> u64 {
        self.login.load(Ordering::Acquire)
    }

    /// Raises the number of the login. Called after its token has been replaced or removed.
    pub(super) fn end_login(&self) {
        self.login.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether no tokens are under way, to the client or to the store.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.state();
        !state.record.is_saving() && state.refresh.in_progress().is_none() && self.tasks.are_done()
    }

    /// The refresh under way, if there is one.
    pub(super) fn refresh_in_progress(&self) -> Option<watch::Receiver<RefreshResult>> {
        self.state().refresh.in_progress().cloned()
    }

    /// Begins no refresh any more that no call waits for.
    pub(super) fn mark_closed(&self) {
        let _state = self.state();
        self.closed.close();
    }

    pub(crate) fn status(&self, wall: Timestamp) -> AuthStatus {
        let state = self.state();
        let newest = state.history.newest();
        AuthStatus {
            expires_at: newest.and_then(TokenSet::access_expires_at),
            refresh_expires_at: newest.and_then(TokenSet::refresh_expires_at),
            generation: state.history.generation(),
            last_refresh: state.refresh.last_success().map(|success| success.wall),
            last_failure: state.refresh.last_failure().map(ToString::to_string),
            store_failure: state.record.failure().map(str::to_owned),
            renews: true,
            as_of: wall,
        }
    }

    /// The secrets that a response could quote.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        let state = self.state();
        let tokens = state.history.all().flat_map(TokenSet::secrets);
        tokens.chain(self.setting.grant.secrets().into_iter().cloned()).collect()
    }

    /// A foreign text without our secrets.
    pub(super) fn cleaned(&self, text: &str) -> String {
        Redaction::of(&self.secrets()).clean(text)
    }

    /// Why there is no token, now.
    pub(super) fn error(&self, kind: TokenErrorKind, reason: impl Into<Cow<'static, str>>) -> TokenError {
        TokenError::new(kind, reason, self.setting.endpoint.clock)
    }

    pub(super) fn state(&self) -> MutexGuard<'_, CacheState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Instant {
        self.setting.endpoint.clock.now()
    }

    pub(super) fn stage(&self, current: &CachedToken) -> Stage {
        let clock = self.setting.endpoint.clock;
        current.expiry.map_or(Stage::Fresh, |expiry| expiry.stage(clock.now(), clock.system_time()))
    }
}

impl CacheState {
    /// Puts the tokens of a new login in place of the newest, whose login becomes the fallback.
    pub(super) fn take_login(&mut self, tokens: TokenSet) {
        let generation = self.history.generation().max(self.record.generation()) + 1;
        self.history.switch_to(tokens.with_generation(generation));
        self.refresh.accept();
    }
}
