//! One token refresh: lease, store, vendor, store, swap.
//!
//! The order keeps a login safe: nothing is presented without the lease, a fresh look at the store and a note there; new tokens
//! are stored before they are used; and tokens that were presented with an unknown outcome are left alone as long as there is
//! another way.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

use super::background::catch_panic;
use super::cached_token::CachedToken;
use super::expiry::{Arrival, Stage};
use super::grant::Granted;
use super::lease::Lease;
use super::persistence::{Noted, catch_store_panic};
use super::spend::{Alternatives, MayPresent, SpendOutcome, UNKNOWN_WAIT};
use super::static_token;
use super::token_cache::TokenCache;
use super::token_endpoint::Repeat;
use super::token_error::{TokenError, TokenErrorKind};
use super::token_set::TokenSet;
use crate::error::StoreError;

/// How many token sets from the store one refresh tries, besides the fallbacks: the first, and those that other clients store
/// meanwhile.
const ROUNDS: u32 = 4;
/// How long to wait for a lease that another client holds: as long as it may hold it.
const LEASE_WAIT: Duration = super::store::MAX_LEASE;
/// How long after it was acquired a lease covers a new token request. With a note of 10 s, the longest token request of 93 s, and
/// three writes of 10 s, a lease is held for less than [`MAX_LEASE`](super::store::MAX_LEASE).
const LEASE_COVERS: Duration = Duration::from_secs(40);
const LEASE_LOST: &str = "the lease was lost before the refresh token was presented";
/// How often the store is read while another client may bring new tokens.
const POLL: Duration = Duration::from_secs(1);

/// The permission to present refresh tokens, or the reason why there is none.
#[derive(Debug)]
pub(super) struct SpendPermission {
    lease: Option<Lease>,
    since: Instant,
    denied: Option<TokenError>,
    /// Ends after the lease.
    _turn: OwnedMutexGuard<()>,
}

/// The outcome of trying to refresh the newest tokens.
#[derive(Debug)]
enum RefreshStep {
    Granted(TokenSet),
    /// Other tokens are the newest now.
    Changed,
    /// The vendor refused them for good.
    Refused(TokenError),
    /// Nothing was granted. A login may help unless the vendor cannot be reached.
    Failed(TokenError),
    /// There is nothing to present.
    Impossible,
}

impl TokenCache {
    /// Gets a new token in place of `old`, from the lease to the swap.
    pub(super) async fn refresh(
        self: &Arc<Self>,
        old: Option<&Arc<CachedToken>>,
    ) -> Result<Arc<CachedToken>, TokenError> {
        let mut permission = self.acquire_permission().await;
        // After a panic too, the lease is retained if tokens are still to be stored.
        let result = catch_panic(self.refresh_with(&mut permission, old)).await;
        self.release(permission);
        result.unwrap_or_else(|| Err(self.panicked()))
    }

    async fn refresh_with(
        self: &Arc<Self>,
        permission: &mut SpendPermission,
        old: Option<&Arc<CachedToken>>,
    ) -> Result<Arc<CachedToken>, TokenError> {
        let is_changed = match self.reload().await {
            Ok(is_changed) => is_changed,
            Err(error) => {
                permission
                    .deny(self.store_error("the token store cannot be read", &error), self.setting.store.is_shared());
                false
            }
        };
        // While this refresh waited for the lease, the client may have adopted a login.
        if !is_changed && let Some(current) = self.fresh_instead_of(old) {
            return Ok(current);
        }
        if let Some(current) = self.adopt().await {
            return Ok(current);
        }
        let can_log_in = self.setting.grant.can_log_in();
        if !is_changed && let Some(error) = self.state().refresh.permanent_error(self.now(), can_log_in) {
            return Err(TokenError::clone(error));
        }
        let mut failure = None;
        let mut rounds = 1;
        loop {
            if rounds > ROUNDS {
                let reason = "other clients change the tokens in the store all the time";
                failure.get_or_insert_with(|| self.error(TokenErrorKind::Store, reason));
                break;
            }
            if let Some(current) = self.adopt().await {
                return Ok(current);
            }
            match self.present_newest(permission).await {
                RefreshStep::Granted(tokens) => return self.publish(tokens).await,
                RefreshStep::Changed => rounds += 1,
                RefreshStep::Refused(error) => {
                    failure = Some(error);
                    match self.reload().await {
                        Ok(true) => rounds += 1,
                        _ if self.has_fallback() => self.fall_back(),
                        _ => break,
                    }
                }
                // The vendor cannot be reached, or wants to be left alone.
                RefreshStep::Failed(error) if error.kind.had_no_effect() => return Err(error),
                RefreshStep::Failed(error) => {
                    failure = Some(error);
                    break;
                }
                // With a login of its own, the client needs no fallback.
                RefreshStep::Impossible if !can_log_in && self.has_fallback() => self.fall_back(),
                RefreshStep::Impossible => break,
            }
        }
        match self.setting.grant.login() {
            Some(login) => {
                if !self.state().record.is_saving() {
                    permission.release_if_long_held(self.now());
                }
                let login = login.with_secrets(self.secrets());
                let granted = self.setting.endpoint.grant(&*self.setting.grant, login, Repeat::Harmless).await?;
                let tokens = self.granted(granted, None);
                self.publish(tokens).await
            }
            None => Err(failure.or_else(|| permission.denied.take()).unwrap_or_else(|| self.no_way_left())),
        }
    }

    /// The refresh panicked: a grant, a transport or an observer is broken.
    pub(super) fn panicked(&self) -> TokenError {
        self.error(TokenErrorKind::Failed, "the token refresh panicked; the panic message says where")
    }

    /// The current token if it has replaced `old` and is not due for a refresh.
    fn fresh_instead_of(&self, old: Option<&Arc<CachedToken>>) -> Option<Arc<CachedToken>> {
        let current = self.current.load_full()?;
        let is_new = old.is_none_or(|old| !Arc::ptr_eq(old, &current));
        (is_new && self.stage(&current) == Stage::Fresh).then_some(current)
    }

    /// Waits for the lease, unless this client still has it.
    pub(super) async fn acquire_permission(&self) -> SpendPermission {
        let clock = self.setting.endpoint.clock;
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let retained = self.state().retained_lease.take();
        if let Some(lease) = retained.filter(Lease::is_held) {
            return SpendPermission { lease: Some(lease), since: clock.now(), denied: None, _turn: turn };
        }
        let lease = catch_store_panic(async { self.setting.store.lease(&self.setting.key).await });
        let lease = clock.within(lease, clock.now() + LEASE_WAIT).await;
        let mut permission = SpendPermission { lease: None, since: clock.now(), denied: None, _turn: turn };
        match lease {
            Some(Ok(lease)) => permission.lease = Some(lease),
            Some(Err(error)) => {
                self.store_failed(&error);
                permission
                    .deny(self.store_error("the lease cannot be acquired", &error), self.setting.store.is_shared());
            }
            None => {
                let reason = "another client has been refreshing the tokens for more than 3 minutes, and holds their \
                              lease; if none is running, release it in the token store";
                permission.denied = Some(self.error(TokenErrorKind::Store, reason));
            }
        }
        permission
    }

    /// Releases the lease, unless tokens are still to be stored: until then, no other client may present what they replaced.
    pub(super) fn release(&self, mut permission: SpendPermission) {
        let mut state = self.state();
        if state.record.is_saving() && permission.lease.is_some() {
            state.retained_lease = permission.lease.take();
        }
        // Without the lock: a store's code runs when its lease is dropped.
        drop(state);
        drop(permission);
    }

    /// Presents the newest tokens to the vendor, if they may be presented.
    async fn present_newest(self: &Arc<Self>, permission: &SpendPermission) -> RefreshStep {
        let grant = &*self.setting.grant;
        let Some(newest) = self.state().history.newest().cloned() else { return RefreshStep::Impossible };
        let can_log_in = grant.can_log_in();
        // Whether a refresh token has expired, the vendor knows best: our clock may have jumped. It is tried unless there is
        // another way.
        let wall = self.setting.endpoint.clock.wall();
        if can_log_in && newest.refresh_expires_at().is_some_and(|expiry| expiry <= wall) {
            return RefreshStep::Impossible;
        }
        let access_is_valid = self.is_access_usable(&newest);
        let Some(request) = grant.refresh(&newest, access_is_valid) else { return RefreshStep::Impossible };
        self.learn_presentation(&newest, permission);
        let alternatives = Alternatives { access_is_valid, can_log_in };
        let may_present = self.state().spends.may_present(&newest, alternatives, self.now());
        match may_present {
            MayPresent::Yes => {}
            MayPresent::No => return RefreshStep::Impossible,
            MayPresent::NotYet => return RefreshStep::Failed(self.unknown_outcome()),
            MayPresent::After(moment) => return self.await_other_client(moment).await,
        }
        if let Some(denied) = permission.denied_at(self.now(), self.setting.endpoint.clock) {
            return RefreshStep::Failed(denied);
        }
        match self.note_presentation(&newest).await {
            Ok(Noted::Stored) => {}
            Ok(Noted::Conflict) => return RefreshStep::Changed,
            // Without a note, another client that gets the lease presents the same token.
            Err(error) if permission.can_be_lost() && (access_is_valid || can_log_in) => {
                let mut error =
                    self.store_error("the note that the refresh token is presented cannot be written", &error);
                if access_is_valid {
                    error.kind = TokenErrorKind::Postponed;
                }
                self.undo_presentation().await;
                return RefreshStep::Failed(error);
            }
            // A store that cannot be written stops no client. Until it has stored the new tokens, the client keeps the
            // lease, so that no other one presents what they replaced.
            Err(_) => {}
        }
        if permission.is_lost() {
            self.undo_presentation().await;
            return RefreshStep::Failed(self.error(TokenErrorKind::Store, LEASE_LOST));
        }
        {
            let mut state = self.state();
            let noted = state.history.newest().filter(|noted| !noted.differs(&newest)).unwrap_or(&newest).clone();
            state.spends.present(&noted, self.now());
        }
        let request = request.with_secrets(self.secrets());
        let granted = self.setting.endpoint.grant(grant, request, Repeat::Spends).await;
        let outcome = match &granted {
            Ok(_) => SpendOutcome::Granted,
            Err(error) => SpendOutcome::of_error(error.kind),
        };
        self.state().spends.conclude(&newest, outcome);
        match (granted, outcome) {
            (Ok(granted), _) => RefreshStep::Granted(self.granted(granted, Some(&newest))),
            (Err(error), SpendOutcome::Refused) => RefreshStep::Refused(error),
            (Err(error), SpendOutcome::NoEffect) => {
                self.undo_presentation().await;
                RefreshStep::Failed(error)
            }
            (Err(error), _) => {
                // The note, if it could not be written before.
                self.persist().await;
                RefreshStep::Failed(error)
            }
        }
    }

    /// Waits until another client has stored new tokens, at most until `moment`.
    async fn await_other_client(&self, moment: Instant) -> RefreshStep {
        let clock = self.setting.endpoint.clock;
        while self.now() < moment {
            clock.sleep_until(moment.min(self.now() + POLL)).await;
            if matches!(self.reload().await, Ok(true)) {
                break;
            }
        }
        RefreshStep::Changed
    }

    /// Learns from the record of the newest tokens whether another client has presented them, or this one before it was
    /// restarted.
    fn learn_presentation(&self, newest: &TokenSet, permission: &SpendPermission) {
        let clock = self.setting.endpoint.clock;
        let ago = match newest.presented_at() {
            None => Duration::ZERO,
            Some(_) if permission.is_last_holder_done() => UNKNOWN_WAIT,
            // By the wall clock, which may be wrong.
            Some(moment) => Duration::try_from(clock.wall().duration_since(moment)).unwrap_or_default(),
        };
        let now = clock.now();
        self.state().spends.learn(newest, now.checked_sub(ago.min(UNKNOWN_WAIT)).unwrap_or(now));
    }

    /// Whether there are tokens of another login that were not refused.
    fn has_fallback(&self) -> bool {
        let state = self.state();
        state.history.fallbacks().iter().any(|fallback| !state.spends.is_refused(fallback))
    }

    /// Takes a fallback in place of the newest tokens, which were refused.
    fn fall_back(&self) {
        let mut state = self.state();
        let state = &mut *state;
        state.history.fall_back(|fallback| !state.spends.is_refused(fallback));
    }

    /// Puts the newest tokens in place if they are valid and not in place already, and stores them before.
    async fn adopt(self: &Arc<Self>) -> Option<Arc<CachedToken>> {
        self.adoptable()?;
        self.persist().await;
        // Meanwhile, the store may have brought other tokens.
        self.adopt_newest()
    }

    /// Puts the newest tokens in place if they are valid and not in place already.
    pub(super) fn adopt_newest(&self) -> Option<Arc<CachedToken>> {
        let (tokens, header) = self.adoptable()?;
        Some(self.put_in_place(&tokens, header))
    }

    /// Looks whether another client has stored better tokens, at most once in a second, and puts them in place; returns
    /// whether there were any.
    pub(super) async fn adopt_better(self: &Arc<Self>) -> bool {
        let may_reload = self.state().refresh.may_reload(self.now());
        may_reload && self.reload().await.is_ok() && self.adopt().await.is_some()
    }

    /// The newest tokens with their header, if they are valid and not in place already.
    fn adoptable(&self) -> Option<(TokenSet, (HeaderName, HeaderValue))> {
        let newest = {
            let state = self.state();
            state.history.newest().filter(|newest| !state.history.is_rejected(newest)).cloned()?
        };
        if self.current.load().as_ref().is_some_and(|current| !current.tokens.differs(&newest)) {
            return None;
        }
        let header = self.header(&newest).ok()?;
        self.is_valid_by_date(&newest).then_some((newest, header))
    }

    /// Whether an access token can still be sent: by our own count if it is in place, else by its date.
    fn is_access_usable(&self, tokens: &TokenSet) -> bool {
        if self.state().history.is_rejected(tokens) {
            return false;
        }
        if let Some(current) = self.current.load().as_ref().filter(|current| !current.tokens.differs(tokens)) {
            return self.stage(current) != Stage::Expired;
        }
        self.is_valid_by_date(tokens)
    }

    /// Whether an access token that is not in place can still be sent.
    fn is_valid_by_date(&self, tokens: &TokenSet) -> bool {
        // First, because time goes on: a token that expires right now must have expired.
        let expiry = self.expiry(tokens, 0.0);
        let clock = self.setting.endpoint.clock;
        expiry.is_none_or(|expiry| expiry.stage(clock.now(), clock.wall().into()) != Stage::Expired)
    }

    /// Stores tokens that were granted, and then puts them in place.
    async fn publish(self: &Arc<Self>, tokens: TokenSet) -> Result<Arc<CachedToken>, TokenError> {
        let header = self.header(&tokens);
        if header.is_ok() || tokens.refresh_token().is_some() {
            // From here on they are not lost to this process.
            self.state().history.replace(tokens.clone());
            self.persist().await;
        }
        let header = header?;
        // The store may have brought tokens of a later login, which are the newest then.
        if let Some(current) = self.adopt_newest() {
            return Ok(current);
        }
        Ok(self.put_in_place(&tokens, header))
    }

    /// The tokens that were granted: after a refresh, those that follow `before`.
    ///
    /// A login by the credentials follows the newest tokens too: it replaces them for all clients with these credentials, and
    /// no clock has to tell which is later.
    fn granted(&self, granted: Granted, before: Option<&TokenSet>) -> TokenSet {
        let clock = self.setting.endpoint.clock;
        let (now, wall) = (clock.now(), clock.wall());
        let tokens = granted.into_tokens(&*self.setting.grant, wall, before);
        let mut state = self.state();
        state.arrival = Some(Arrival::new(&tokens, now, wall));
        let generation = state.history.generation().max(state.record.generation()) + 1;
        let follows = before.or_else(|| state.history.newest()).filter(|follows| follows.lineage().is_some());
        let tokens = match follows {
            Some(follows) => tokens.with_lineage_of(follows),
            None => tokens,
        };
        tokens.with_generation(generation)
    }

    fn header(&self, tokens: &TokenSet) -> Result<(HeaderName, HeaderValue), TokenError> {
        let (name, scheme) = self.setting.grant.header();
        let value = static_token::value(scheme, tokens.access_token()).map_err(|_| {
            let reason = "the vendor granted a token with a character that no header can contain";
            self.error(TokenErrorKind::Unreadable, reason)
        })?;
        Ok((name, value))
    }

    /// The refresh token was presented with an unknown outcome, and the access token still serves.
    fn unknown_outcome(&self) -> TokenError {
        let reason = "the outcome of the last refresh is unknown; the access token serves until it expires, and only then \
                      is the refresh token presented again";
        self.error(TokenErrorKind::Postponed, reason)
    }

    pub(super) fn store_error(&self, what: &str, error: &StoreError) -> TokenError {
        let reason = format!("{what}: {}", self.cleaned(error.reason()));
        self.error(TokenErrorKind::Store, reason)
    }

    /// There is nothing to refresh, and no way to log in.
    fn no_way_left(&self) -> TokenError {
        let state = self.state();
        let (kind, reason): (_, Cow<'static, str>) = match (state.history.newest(), state.record.failure()) {
            (None, Some(failure)) => (TokenErrorKind::Store, failure.to_owned().into()),
            (None, None) => (TokenErrorKind::Refused, "there are no tokens yet; a person has to log in".into()),
            (Some(tokens), _) if tokens.refresh_token().is_none() => (
                TokenErrorKind::Refused,
                "the access token has expired, and there is no refresh token; a person has to log in again".into(),
            ),
            (Some(_), _) => {
                (TokenErrorKind::Refused, "the vendor refused the refresh token; a person has to log in again".into())
            }
        };
        self.error(kind, reason)
    }
}

impl SpendPermission {
    /// Denies the permission, if the store is shared: what another client does is not known then.
    fn deny(&mut self, error: TokenError, is_shared: bool) {
        if is_shared {
            self.denied.get_or_insert(error);
        }
    }

    /// Why nothing may be presented now.
    fn denied_at(&self, now: Instant, clock: crate::clock::Clock) -> Option<TokenError> {
        if self.denied.is_some() {
            return self.denied.clone();
        }
        let is_covered = self.lease.is_none() || now < self.since + LEASE_COVERS;
        let reason = match self.is_lost() {
            true => LEASE_LOST,
            false => "the lease has been held for too long to begin another token request",
        };
        (self.is_lost() || !is_covered).then(|| TokenError::new(TokenErrorKind::Store, reason, clock))
    }

    /// Whether no earlier holder of the lease can still present anything or bring new tokens.
    fn is_last_holder_done(&self) -> bool {
        self.lease.is_some() && !self.can_be_lost()
    }

    /// Whether another client can get the lease before it is released.
    fn can_be_lost(&self) -> bool {
        self.lease.as_ref().is_some_and(Lease::can_be_lost)
    }

    fn is_lost(&self) -> bool {
        self.lease.as_ref().is_some_and(|lease| !lease.is_held())
    }

    /// Gives up a lease that could otherwise be held for longer than [`MAX_LEASE`](super::store::MAX_LEASE). For a login,
    /// which needs none, and a revocation, whose first request is the one that needs it.
    pub(super) fn release_if_long_held(&mut self, now: Instant) {
        if now >= self.since + LEASE_COVERS {
            self.lease = None;
        }
    }
}
