//! One token refresh: lease, store, vendor, store, swap.

use std::sync::Arc;
use std::time::Duration;

use super::expiry::{Expiry, Stage};
use super::grant::Granted;
use super::persistence::unbroken;
use super::static_token;
use super::store::Lease;
use super::token_cache::{CachedToken, TokenCache};
use super::token_endpoint::Repeat;
use super::token_error::{TokenError, TokenErrorKind};
use super::token_set::TokenSet;

/// How many pairs one renewal tries: ours, the store's and the one that was handed in, and one that came meanwhile.
const PAIRS: u32 = 4;
/// How long another process may take for a renewal before ours gives up waiting: a refresh, three tries to log in, and the
/// pauses between them.
const LEASE: Duration = Duration::from_secs(150);

impl TokenCache {
    /// One renewal, from the lease to the swap.
    pub(super) async fn renew(self: &Arc<Self>) -> Result<Arc<CachedToken>, TokenError> {
        let _lease = self.lease().await?;
        let is_latched = self.state().latched.is_some();
        let found = if is_latched { self.look(TokenSet::differs).await } else { self.look(TokenSet::follows).await };
        if !found && let Some(trouble) = &self.state().latched {
            return Err(TokenError::clone(trouble));
        }
        let mut tried = 1;
        loop {
            if let Some(live) = self.take_up().await {
                return Ok(live);
            }
            let refused = match self.refresh().await {
                Some(Ok(granted)) => return self.publish(granted).await,
                Some(Err(trouble)) if !trouble.leaves_login() => return Err(trouble),
                Some(Err(trouble)) => Some(trouble),
                None => None,
            };
            let is_refused = refused.as_ref().is_some_and(|trouble| trouble.why == TokenErrorKind::Refused);
            // An end to a store that has another pair each time.
            if is_refused && tried < PAIRS && (self.look(TokenSet::differs).await || self.fall_back()) {
                tried += 1;
                continue;
            }
            let Some(login) = self.setting.grant.login() else {
                return Err(refused.unwrap_or_else(|| self.at_an_end()));
            };
            let login = login.with_secrets(self.secrets());
            let granted = self.setting.endpoint.grant(&*self.setting.grant, login, Repeat::Harmless).await?;
            return self.publish(self.successor(granted, None)).await;
        }
    }

    /// The sole right to renew. A store that cannot give it does not keep us from renewing; another process that holds
    /// it for too long does, for what it does with the refresh token nobody knows.
    pub(super) async fn lease(&self) -> Result<Option<Lease>, TokenError> {
        let clock = self.setting.endpoint.clock;
        let lease = unbroken(async { self.setting.store.lease(&self.setting.key).await });
        match clock.within(lease, clock.now() + LEASE).await {
            Some(Ok(lease)) => Ok(Some(lease)),
            Some(Err(error)) => {
                self.store_failed(&error);
                Ok(None)
            }
            None => Err(TokenError::new(
                TokenErrorKind::Store,
                "another process is renewing the tokens and does not finish",
                clock,
            )),
        }
    }

    /// Looks what the store holds, and takes it in place of ours where `is_better` says so; whether it did. A pair that
    /// follows ours is better at any time; one that merely differs is when ours was refused.
    pub(super) async fn look(&self, is_better: fn(&TokenSet, &TokenSet) -> bool) -> bool {
        let stored = self.load().await;
        let mut state = self.state();
        if let Some(stored) = &stored {
            state.stored = stored.generation();
        }
        match (&state.newest, stored) {
            (Some(newest), Some(stored)) if is_better(&stored, newest) && !state.is_refused(&stored) => {
                // Counted anew, after the store was emptied, another pair can have the number of ours: what is known of
                // that one says nothing about it.
                if stored.generation() == newest.generation() {
                    state.rejected = None;
                    self.live.store(None);
                }
                state.supersede(Some(stored));
                true
            }
            (Some(_), _) => false,
            (None, Some(stored)) => {
                // What the stored pair grew from is worth nothing any more. Else, handed in and stored: who was obtained
                // later is the newer, and the store where nobody knows.
                let handed_in = state.spare.take().filter(|tokens| !stored.grew_from(tokens));
                let (newest, spare) = match handed_in {
                    Some(tokens) if tokens.obtained_at() > stored.obtained_at() => {
                        (tokens.with_generation(stored.generation() + 1), Some(stored))
                    }
                    spare => (stored, spare),
                };
                (state.newest, state.spare) = (Some(newest), spare);
                true
            }
            (None, None) => {
                let handed_in = state.spare.take();
                state.newest = handed_in.map(|tokens| tokens.with_generation(state.stored + 1));
                state.newest.is_some()
            }
        }
    }

    /// Takes the spare pair in place of the newest, which was refused; whether there was one.
    fn fall_back(&self) -> bool {
        let mut state = self.state();
        let Some(spare) = state.spare.take() else { return false };
        let generation = state.newest.as_ref().map_or(0, TokenSet::generation).max(state.stored) + 1;
        state.supersede(Some(spare.with_generation(generation)));
        true
    }

    /// Takes up the newest pair, if it is alive and not in use already.
    async fn take_up(self: &Arc<Self>) -> Option<Arc<CachedToken>> {
        let (tokens, is_stored) = {
            let state = self.state();
            let newest = state.newest.clone()?;
            if state.rejected == Some(newest.generation()) {
                return None;
            }
            let is_stored = state.stored == newest.generation();
            (newest, is_stored)
        };
        if self.live.load().as_ref().is_some_and(|live| live.tokens.generation() == tokens.generation()) {
            return None;
        }
        let live = self.live(tokens.clone()).ok()?;
        if live.stage(self.setting.endpoint.clock.now()) == Stage::Expired {
            return None;
        }
        if is_stored {
            self.state().store_failure = None;
        } else {
            self.keep(&tokens).await;
        }
        Some(self.swap(live))
    }

    /// Asks the vendor to renew the newest pair, where there is one that can be.
    async fn refresh(&self) -> Option<Result<TokenSet, TokenError>> {
        let (newest, rejected) = {
            let state = self.state();
            (state.newest.clone()?, state.rejected)
        };
        let grant = &*self.setting.grant;
        // A login that failed after a refusal leaves the refused pair the newest.
        if self.state().is_refused(&newest) {
            return None;
        }
        // Whether the refresh token is over, the vendor knows best: our clock may have jumped. Only where there is
        // another way is a token that seems over not tried.
        let wall = self.setting.endpoint.clock.wall();
        if newest.refresh_expires_at().is_some_and(|expiry| expiry <= wall) && grant.login().is_some() {
            return None;
        }
        let access_lives = self.is_alive(&newest) && rejected != Some(newest.generation());
        let request = grant.refresh(&newest, access_lives)?.with_secrets(self.secrets());
        let granted = self.setting.endpoint.grant(grant, request, Repeat::Spends).await;
        // One that may have been replaced would end all that came of its login; who can log in does that instead.
        let is_spent =
            |why| why == TokenErrorKind::Refused || (why == TokenErrorKind::Unknown && grant.login().is_some());
        if granted.as_ref().is_err_and(|trouble| is_spent(trouble.why)) {
            self.state().refuse(newest.clone());
        }
        Some(granted.map(|granted| self.successor(granted, Some(&newest))))
    }

    /// Whether an access token is alive: by our own count where we saw it come, else by its date.
    fn is_alive(&self, tokens: &TokenSet) -> bool {
        let live = self.live.load();
        let clock = self.setting.endpoint.clock;
        match live.as_ref().filter(|live| live.tokens.generation() == tokens.generation()) {
            Some(live) => live.stage(clock.now()) != Stage::Expired,
            None => tokens.access_expires_at().is_none_or(|expiry| expiry > clock.wall()),
        }
    }

    /// Nothing to renew, and no way to log in.
    fn at_an_end(&self) -> TokenError {
        let clock = self.setting.endpoint.clock;
        let state = self.state();
        match &state.store_failure {
            Some(failure) if state.newest.is_none() => TokenError::new(TokenErrorKind::Store, failure.clone(), clock),
            _ => {
                let reason = match &state.newest {
                    None => "there are no tokens yet; a person has to log in",
                    Some(tokens) if tokens.refresh_token().is_none() => {
                        "the access token is over, and there is none to renew it with; a person has to log in again"
                    }
                    Some(_) => "the refresh token is over; a person has to log in again",
                };
                TokenError::new(TokenErrorKind::Refused, reason, clock)
            }
        }
    }

    /// Stores a pair that was granted, and then lets it be used.
    async fn publish(self: &Arc<Self>, tokens: TokenSet) -> Result<Arc<CachedToken>, TokenError> {
        let live = self.live(tokens.clone());
        if live.is_ok() || tokens.refresh_token().is_some() {
            // Whatever happens from here on, the pair is not lost to this process. What it follows is worth nothing now:
            // a refresh token that was replaced must not be presented again.
            {
                let mut state = self.state();
                state.supersede(Some(tokens.clone()));
                state.spare = None;
            }
            self.keep(&tokens).await;
        }
        Ok(self.swap(live?))
    }

    /// The pair that follows from what was granted; after a login nothing of an old pair is left.
    fn successor(&self, granted: Granted, before: Option<&TokenSet>) -> TokenSet {
        let now = self.setting.endpoint.clock.wall();
        let generation = {
            let state = self.state();
            state.newest.as_ref().map_or(0, TokenSet::generation).max(state.stored) + 1
        };
        granted.into_tokens(&*self.setting.grant, now, before).with_generation(generation)
    }

    fn live(&self, tokens: TokenSet) -> Result<CachedToken, TokenError> {
        let clock = self.setting.endpoint.clock;
        let (name, scheme) = self.setting.grant.header();
        let value = static_token::value(scheme, tokens.access_token()).map_err(|_| {
            let reason = "the token that the vendor granted holds a character that no header can";
            TokenError::new(TokenErrorKind::Unreadable, reason, clock)
        })?;
        let life = tokens.access_expires_at().map(|expiry| {
            let span = |from| Duration::try_from(expiry.duration_since(from)).unwrap_or_default();
            let left = span(clock.wall());
            let whole = tokens.obtained_at().map_or(left, span);
            // However the wall clock jumped since it was stored, no token lives longer than it did at first.
            let left = left.min(whole);
            Expiry::new(clock.now(), left, whole, fastrand::f64())
        });
        Ok(CachedToken { tokens, header: (name, value), life })
    }
}
