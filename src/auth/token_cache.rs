//! The tokens of one client: read without a lock, refreshed by one task for all callers.
//!
//! A reader loads the current token from a pointer that is replaced atomically. When the token is due for a refresh, the first
//! reader spawns one task, which no caller can cancel: it asks the vendor, stores the new pair, and only then replaces the
//! pointer. Callers wait for the task only if no valid token is left.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::header::{HeaderName, HeaderValue};
use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::Instrument as _;

use super::expiry::{self, Expiry, Stage};
use super::grant::Grant;
use super::status::AuthStatus;
use super::store::{TokenKey, TokenStore};
use super::token_endpoint::Endpoint;
use super::token_error::{TokenError, TokenErrorKind};
use super::token_set::TokenSet;
use super::{AuthHeader, NoToken};

/// How often a client without credentials that work looks whether somebody has stored better ones.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// How many refused pairs are remembered: as many as one renewal tries.
const REFUSED: usize = 4;

/// The tokens of one client.
#[derive(Debug)]
pub(crate) struct TokenCache {
    pub(super) setting: Setting,
    pub(super) live: ArcSwapOption<CachedToken>,
    state: Mutex<State>,
}

/// What a cache works with.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) grant: Box<dyn Grant>,
    pub(crate) store: Arc<dyn TokenStore>,
    pub(crate) key: TokenKey,
    pub(crate) endpoint: Endpoint,
}

/// A token as it is sent.
#[derive(Debug)]
pub(super) struct CachedToken {
    pub(super) tokens: TokenSet,
    pub(super) header: (HeaderName, HeaderValue),
    /// `None` where nobody knows when it ends.
    pub(super) life: Option<Expiry>,
}

#[derive(Debug, Default)]
pub(super) struct State {
    flight: Option<watch::Receiver<RefreshResult>>,
    /// The newest pair, dead or alive: what the next renewal begins with.
    pub(super) newest: Option<TokenSet>,
    /// The pair before it: answers to calls that went out with it still come in, and may quote it.
    previous: Option<TokenSet>,
    /// A pair that was handed in, or found in the store, and is not the newest: tried when that one is refused.
    pub(super) spare: Option<TokenSet>,
    /// The latest pairs whose renewal the vendor refused, or may have granted unheard: they are not presented again.
    refused: VecDeque<TokenSet>,
    /// The generation that the vendor refused with 401, though its time was not over.
    pub(super) rejected: Option<u64>,
    /// How many generations in a row were so refused, and when the last was.
    rejections: (u32, Option<Instant>),
    /// The generation in the store.
    pub(super) stored: u64,
    pub(super) failures: u32,
    not_before: Option<Instant>,
    /// No token is to be had until the credentials change.
    pub(super) latched: Option<Arc<TokenError>>,
    /// When the living token was put in place, on both clocks.
    pub(super) last_refresh: Option<(Instant, Timestamp)>,
    last_failure: Option<Arc<TokenError>>,
    pub(super) store_failure: Option<String>,
    /// The task that is trying to store the newest pair.
    pub(super) saving: Option<AbortHandle>,
}

/// How a flight ended; `None` while it is under way.
type RefreshResult = Option<Result<Arc<CachedToken>, Arc<TokenError>>>;

/// Where the next token comes from.
enum RefreshTicket {
    /// It came while the caller was on its way here.
    Arrived(Arc<CachedToken>),
    Flight(watch::Receiver<RefreshResult>),
}

impl TokenCache {
    pub(crate) fn new(setting: Setting, handed_in: Option<TokenSet>) -> Self {
        let state = State { spare: handed_in.map(TokenSet::with_own_origin), ..State::default() };
        Self { setting, live: ArcSwapOption::empty(), state: Mutex::new(state) }
    }

    /// The living token, if there is one.
    pub(crate) fn ready(self: &Arc<Self>) -> Option<AuthHeader> {
        let live = self.live.load();
        let live = live.as_ref()?;
        match live.stage(self.now()) {
            Stage::Fresh => {}
            Stage::Stale => self.renew_ahead(live),
            Stage::Expired => return None,
        }
        Some(live.pass())
    }

    /// The next token, as soon as it is there.
    pub(crate) async fn next(self: &Arc<Self>, latest: Instant) -> Result<AuthHeader, NoToken> {
        match self.landing(None, latest).await {
            // Even a token that is over at birth serves those who waited for it.
            Some(Ok(live)) => Ok(live.pass()),
            Some(Err(trouble)) => Err(NoToken::TokenError(trouble)),
            None => Err(NoToken::TooLate),
        }
    }

    /// Whether the token of this generation is the one to send, and alive.
    pub(crate) fn is_good(&self, generation: u64) -> bool {
        let live = self.live.load();
        live.as_ref()
            .is_some_and(|live| live.tokens.generation() == generation && live.stage(self.now()) != Stage::Expired)
    }

    /// Whether a call that the vendor refused with 401 is worth repeating, with a token newer than `generation`.
    pub(crate) fn rejected(&self, generation: u64) -> bool {
        let mut state = self.state();
        let current = self.live.load().as_ref().is_some_and(|live| live.tokens.generation() == generation);
        // A late 401 says nothing about the pair that has come since.
        if current {
            if !state.may_reject(self.now()) {
                return false;
            }
            state.rejected = Some(generation);
            self.live.store(None);
        }
        true
    }

    /// Waits for the flight under way, or for one that begins; `None` when it takes too long. Who comes for a token and finds
    /// one that lives needs no flight, unless it is the `old` one.
    pub(super) async fn landing(
        self: &Arc<Self>,
        old: Option<&Arc<CachedToken>>,
        latest: Instant,
    ) -> Option<Result<Arc<CachedToken>, Arc<TokenError>>> {
        for _ in 0..2 {
            let mut flight = match self.board(old) {
                Ok(RefreshTicket::Flight(flight)) => flight,
                Ok(RefreshTicket::Arrived(live)) => return Some(Ok(live)),
                Err(trouble) => return Some(Err(trouble)),
            };
            let landed = self.setting.endpoint.clock.within(flight.wait_for(Option::is_some), latest).await?;
            if let Ok(landing) = landed {
                return landing.clone();
            }
            // The flight's runtime ended under it; the next one starts on ours.
        }
        let reason = "the renewal ended without an outcome";
        Some(Err(Arc::new(TokenError::new(TokenErrorKind::Store, reason, self.setting.endpoint.clock))))
    }

    /// Starts a renewal while the old token still serves, if it is time for one.
    fn renew_ahead(self: &Arc<Self>, old: &Arc<CachedToken>) {
        let mut state = self.state();
        let too_soon = state.not_before.is_some_and(|moment| self.now() < moment);
        // Since the old one was read, a flight may have landed: the new one is not to be renewed at once.
        let is_current = self.live.load().as_ref().is_some_and(|live| Arc::ptr_eq(live, old));
        if is_current && !too_soon && state.latched.is_none() && !state.is_flying() {
            let (landing, _) = state.take_off();
            drop(state);
            self.fly(landing);
        }
    }

    /// Joins the flight under way, or starts one.
    fn board(self: &Arc<Self>, old: Option<&Arc<CachedToken>>) -> Result<RefreshTicket, Arc<TokenError>> {
        let mut state = self.state();
        if let Some(flight) = state.flight.as_ref().filter(|_| state.is_flying()) {
            return Ok(RefreshTicket::Flight(flight.clone()));
        }
        // The flight that the caller came for may have landed before the lock was had.
        let is_old = |live: &Arc<CachedToken>| old.is_some_and(|old| Arc::ptr_eq(live, old));
        if let Some(live) =
            self.live.load_full().filter(|live| !is_old(live) && live.stage(self.now()) != Stage::Expired)
        {
            return Ok(RefreshTicket::Arrived(live));
        }
        if let Some(trouble) = &state.last_failure
            && self.now() < trouble.holds_until
        {
            return Err(Arc::clone(trouble));
        }
        let (landing, flight) = state.take_off();
        drop(state);
        self.fly(landing);
        Ok(RefreshTicket::Flight(flight))
    }

    /// Renews the tokens in a task. Its span is made here, so nobody holds the state: whoever listens may ask this
    /// client how it is.
    #[expect(clippy::disallowed_methods, reason = "a renewal goes on when the callers that waited for it are gone")]
    fn fly(self: &Arc<Self>, landing: watch::Sender<RefreshResult>) {
        let cache = Arc::clone(self);
        let (begun, span) = (self.now(), self.setting.endpoint.telemetry.refresh_span());
        let flying = async move {
            let outcome = cache.renew().await.map_err(|trouble| cache.note(trouble, begun));
            if let Ok(live) = &outcome {
                cache.setting.endpoint.telemetry.refreshed(live.tokens.generation(), begun);
            }
            landing.send_replace(Some(outcome));
            // Unless another has begun since: who comes now finds what this one brought.
            cache.state().flight.take_if(|flight| flight.borrow().is_some());
        };
        tokio::spawn(flying.instrument(span));
    }

    /// Takes note of a renewal that failed.
    fn note(&self, mut trouble: TokenError, begun: Instant) -> Arc<TokenError> {
        let now = self.now();
        let mut state = self.state();
        state.failures += 1;
        let rest = trouble.rest.unwrap_or_default();
        state.not_before = Some(now + expiry::pause(state.failures).max(rest));
        trouble.holds_until = now + expiry::hold(state.failures).max(rest);
        if trouble.why == TokenErrorKind::Refused {
            trouble.holds_until = now + LOOK_AGAIN;
        }
        let trouble = Arc::new(trouble);
        if trouble.why == TokenErrorKind::Refused {
            // A token that lives serves to its end all the same.
            state.latched = Some(Arc::clone(&trouble));
        }
        state.last_failure = Some(Arc::clone(&trouble));
        let failures = state.failures;
        // Before the event: whoever listens may ask this client how it is.
        drop(state);
        self.setting.endpoint.telemetry.refresh_failed(trouble.why.as_str(), &trouble.to_string(), failures, begun);
        trouble
    }

    /// Puts a token in place for everybody.
    pub(super) fn swap(&self, live: CachedToken) -> Arc<CachedToken> {
        let live = Arc::new(live);
        let mut state = self.state();
        state.failures = 0;
        state.not_before = None;
        state.last_failure = None;
        state.latched = None;
        state.last_refresh = Some((self.now(), self.setting.endpoint.clock.wall()));
        self.live.store(Some(Arc::clone(&live)));
        drop(state);
        live
    }

    /// Whether no pair is on its way, to here or to the store.
    pub(crate) fn is_settled(&self) -> bool {
        let state = self.state();
        state.saving.is_none() && !state.is_flying()
    }

    pub(crate) fn status(&self, wall: Timestamp) -> AuthStatus {
        let state = self.state();
        let newest = state.newest.as_ref().or(state.spare.as_ref());
        AuthStatus {
            expires_at: newest.and_then(TokenSet::access_expires_at),
            refresh_expires_at: newest.and_then(TokenSet::refresh_expires_at),
            generation: newest.map_or(0, TokenSet::generation),
            last_refresh: state.last_refresh.map(|(_, wall)| wall),
            last_failure: state.last_failure.as_ref().map(|trouble| trouble.to_string()),
            store_failure: state.store_failure.clone(),
            renews: true,
            as_of: wall,
        }
    }

    /// What a vendor could repeat, and nobody should read.
    pub(crate) fn secrets(&self) -> Vec<SecretString> {
        let state = self.state();
        let tokens = state.newest.iter().chain(&state.previous).chain(&state.spare);
        let tokens = tokens.flat_map(|tokens| std::iter::once(tokens.access_token()).chain(tokens.refresh_token()));
        tokens.chain(self.setting.grant.secrets()).cloned().collect()
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> Instant {
        self.setting.endpoint.clock.now()
    }
}

impl State {
    /// Puts a pair in the place of the newest.
    pub(super) fn supersede(&mut self, newest: Option<TokenSet>) {
        let old = std::mem::replace(&mut self.newest, newest);
        self.previous = old.or_else(|| self.previous.take());
    }

    /// Begins a flight, for whoever holds its landing to fly.
    fn take_off(&mut self) -> (watch::Sender<RefreshResult>, watch::Receiver<RefreshResult>) {
        let (landing, flight) = watch::channel(None);
        self.flight = Some(flight.clone());
        (landing, flight)
    }

    fn is_flying(&self) -> bool {
        // A flight whose task is gone without having landed is none.
        self.flight.as_ref().is_some_and(|flight| flight.borrow().is_none() && flight.has_changed().is_ok())
    }

    /// Whether this very pair is not to be presented again.
    pub(super) fn is_refused(&self, tokens: &TokenSet) -> bool {
        self.refused.iter().any(|refused| !refused.differs(tokens))
    }

    /// Notes that a pair is not to be presented again.
    pub(super) fn refuse(&mut self, tokens: TokenSet) {
        if self.refused.len() == REFUSED {
            self.refused.pop_front();
        }
        self.refused.push_back(tokens);
    }

    /// Whether a 401 may cost another token now. A vendor that refuses every token would else be asked for one with
    /// every call: the first refusal counts at once, the next ones as far apart as failed renewals.
    fn may_reject(&mut self, now: Instant) -> bool {
        let (so_far, last) = self.rejections;
        let since = last.map(|last| now.saturating_duration_since(last));
        let (counts, in_a_row) = match since {
            None => (true, 1),
            Some(since) if since >= expiry::FORGOTTEN => (true, 1),
            Some(since) => (since >= expiry::pause(so_far), so_far + 1),
        };
        if counts {
            self.rejections = (in_a_row, Some(now));
        }
        counts
    }
}

impl CachedToken {
    pub(super) fn stage(&self, now: Instant) -> Stage {
        self.life.map_or(Stage::Fresh, |life| life.stage(now))
    }

    fn pass(&self) -> AuthHeader {
        AuthHeader { header: Some(self.header.clone()), generation: self.tokens.generation() }
    }
}
