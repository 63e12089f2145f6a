//! Loads and stores tokens. Tokens that cannot be stored are kept in memory, and stored as soon as that is possible.

use std::future::Future;
use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::background::{self, catch_panic};
use super::store::CompareAndSwap;
use super::token_cache::{CacheState, TokenCache};
use super::token_set::TokenSet;
use crate::error::StoreError;

/// How long one operation of a store may take.
const OPERATION: Duration = Duration::from_secs(10);
/// The first and the longest pause before storing is tried again.
const SAVE_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// How many conflicts in a row one save resolves.
const CONFLICTS: u32 = 3;

/// The result of noting that a refresh token is about to be presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noted {
    Stored,
    /// Another client changed the record. Nothing may be presented before it is looked at.
    Conflict,
}

impl TokenCache {
    /// Loads the record and takes it over if it is to be preferred; returns whether other tokens are the newest now.
    pub(super) async fn reload(&self) -> Result<bool, StoreError> {
        let _writing = self.writing.lock().await;
        let load = async { self.setting.store.load(&self.setting.key).await };
        let stored = self.in_time(load).await.inspect_err(|error| self.store_failed(error))?;
        let is_changed = self.take_over(stored);
        let mut state = self.state();
        if !state.record.is_saving() {
            state.record.succeed();
        }
        Ok(is_changed)
    }

    /// Takes over a record that was read.
    fn take_over(&self, stored: Option<TokenSet>) -> bool {
        let mut state = self.state();
        let state = &mut *state;
        let is_changed = stored.as_ref().is_some_and(|stored| {
            let is_refused = |tokens: &TokenSet| state.spends.is_refused(tokens);
            let is_changed = state.history.merge(&state.record.without_own_note(stored.clone()), is_refused);
            state.history.update_newest(|newest| state.record.with_unwritten_note(newest));
            is_changed
        });
        if is_changed {
            // What was refused were other tokens.
            state.refresh.accept();
        }
        state.record.set(stored);
        is_changed
    }

    /// Notes in the store that the newest tokens are about to be presented.
    pub(super) async fn note_presentation(&self, tokens: &TokenSet) -> Result<Noted, StoreError> {
        let _writing = self.writing.lock().await;
        let wall = self.setting.endpoint.clock.wall();
        let noted = tokens.clone().with_presented_at(Some(wall)).with_new_revision();
        self.state().record.begin_note(noted.clone());
        match self.swap(&noted).await {
            Ok(CompareAndSwap::Stored) => {
                let mut state = self.state();
                state.record.write(noted.clone());
                state.history.record(noted);
                Ok(Noted::Stored)
            }
            Ok(CompareAndSwap::Conflict(stored)) => {
                // A store that repeated the write met its own record.
                let is_own = stored.revision() == noted.revision();
                self.take_over(Some(stored));
                Ok(if is_own { Noted::Stored } else { Noted::Conflict })
            }
            Err(error) => {
                // If the outcome is unknown, it is written as soon as that is possible.
                let mut state = self.state();
                let state = &mut *state;
                state.record.set_unwritten_note();
                state.history.update_newest(|newest| state.record.with_unwritten_note(newest));
                Err(error)
            }
        }
    }

    /// Takes back the note of a presentation that had no effect.
    pub(super) async fn undo_presentation(self: &Arc<Self>) {
        {
            let mut state = self.state();
            state.record.undo_note();
            state.history.update_newest(|newest| newest.with_presented_at(None));
        }
        self.persist().await;
    }

    /// Stores the newest tokens. If that fails, a task tries again.
    pub(super) async fn persist(self: &Arc<Self>) {
        if self.save().await.is_err() {
            self.save_later();
        }
    }

    /// Stores the newest tokens, unless the store holds them. If it holds tokens that are to be preferred, these become the
    /// newest.
    pub(super) async fn save(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        for _ in 0..CONFLICTS {
            let tokens = {
                let mut state = self.state();
                let Some(newest) = state.history.newest().cloned() else { return Ok(()) };
                if state.record.holds(&newest) {
                    state.record.succeed();
                    return Ok(());
                }
                newest.with_new_revision()
            };
            match self.swap(&tokens).await? {
                CompareAndSwap::Stored => {
                    let mut state = self.state();
                    state.record.write(tokens.clone());
                    state.record.succeed();
                    state.history.record(tokens);
                    return Ok(());
                }
                CompareAndSwap::Conflict(stored) => drop(self.take_over(Some(stored))),
            }
        }
        let error = StoreError::new("other clients change the record all the time; is the store's revision compared?");
        self.store_failed(&error);
        Err(error)
    }

    /// Writes a record in place of the one that is known.
    async fn swap(&self, tokens: &TokenSet) -> Result<CompareAndSwap, StoreError> {
        let expected = self.state().record.revision();
        let swap = async { self.setting.store.compare_and_swap(&self.setting.key, expected, tokens).await };
        self.in_time(swap).await.inspect_err(|error| self.store_failed(error))
    }

    /// Removes the record.
    pub(super) async fn remove(&self) -> Result<(), StoreError> {
        let _writing = self.writing.lock().await;
        self.in_time(async { self.setting.store.remove(&self.setting.key).await }).await?;
        self.state().record.set(None);
        Ok(())
    }

    pub(super) fn store_failed(&self, error: &StoreError) {
        let reason = self.cleaned(error.reason());
        self.setting.endpoint.telemetry.store_failed(&reason);
        self.state().record.fail(format!("token store: {reason}"));
    }

    /// Stores the newest tokens in the background, and tries again until they are stored or worthless. Meanwhile the task
    /// keeps the cache alive: the tokens may exist nowhere else.
    pub(super) fn save_later(self: &Arc<Self>) {
        let Some(mut saving) = Saving::begin(self) else { return };
        let clock = self.setting.endpoint.clock;
        background::spawn(&self.setting.endpoint.transport, async move {
            let (mut pause, longest) = SAVE_AGAIN;
            loop {
                clock.sleep_until(clock.now() + pause).await;
                pause = (pause * 2).min(longest);
                let is_saved = saving.cache.save().await.is_ok();
                // Other tokens may have come meanwhile, and rely on this task.
                let has_ended = saving.end();
                if is_saved || has_ended {
                    saving.cache.adopt_newest();
                }
                if has_ended {
                    return;
                }
            }
        });
    }

    /// The result of a store operation, or the error that there was none in time.
    pub(super) async fn in_time<T>(
        &self,
        operation: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let clock = self.setting.endpoint.clock;
        let result = clock.within(catch_store_panic(operation), clock.now() + OPERATION).await;
        result.unwrap_or_else(|| Err(StoreError::new(format!("no response within {} s", OPERATION.as_secs()))))
    }
}

/// Tokens are being stored in the background, until this ends: with the task, or with its runtime, which drops it.
struct Saving {
    cache: Arc<TokenCache>,
    has_ended: bool,
}

impl Saving {
    /// `None` if a task is at it already.
    fn begin(cache: &Arc<TokenCache>) -> Option<Self> {
        let mut state = cache.state();
        if state.record.is_saving() {
            return None;
        }
        state.record.set_saving(true);
        Some(Self { cache: Arc::clone(cache), has_ended: false })
    }

    /// Ends unless there is something left to store that can still be used or refreshed; returns whether it has ended.
    fn end(&mut self) -> bool {
        let wall = self.cache.setting.endpoint.clock.wall();
        let is_needed = |newest: &TokenSet| match newest.refresh_token() {
            Some(_) => newest.refresh_expires_at().is_none_or(|expiry| expiry > wall),
            None => newest.access_expires_at().is_none_or(|expiry| expiry > wall),
        };
        let state = self.cache.state();
        if state.history.newest().is_some_and(|newest| !state.record.holds(newest) && is_needed(newest)) {
            return false;
        }
        // Under the same lock: tokens that come from now on begin another task.
        self.has_ended = true;
        stop(state);
        true
    }
}

impl Drop for Saving {
    fn drop(&mut self) {
        if !self.has_ended {
            stop(self.cache.state());
        }
    }
}

/// Takes note that no task is storing tokens any more, and releases the lease that was retained for it.
fn stop(mut state: MutexGuard<'_, CacheState>) {
    state.record.set_saving(false);
    let lease = state.retained_lease.take();
    // A store's code runs when its lease is dropped.
    drop(state);
    drop(lease);
}

/// The result of a store operation, or the error that it panicked: a store that panics has failed, and must not take a
/// refresh with it whose tokens are in memory only.
pub(super) async fn catch_store_panic<T>(
    operation: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let panicked = || Err(StoreError::new("the store panicked; the panic message says where"));
    catch_panic(operation).await.unwrap_or_else(panicked)
}
