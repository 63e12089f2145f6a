//! Loads and stores tokens. A store that fails never stops a client that has a token.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use super::store::{CompareAndSwap, StoreError};
use super::token_cache::TokenCache;
use super::token_set::TokenSet;

/// How long a store may take for one answer.
const ANSWER: Duration = Duration::from_secs(10);
/// How long the first and the longest pause are before storing is tried again.
const SAVE_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

impl TokenCache {
    /// The pair in the store, as far as it can be read.
    pub(super) async fn load(&self) -> Option<TokenSet> {
        match self.in_time(async { self.setting.store.load(&self.setting.key).await }).await {
            Ok(stored) => stored,
            Err(error) => {
                self.store_failed(&error);
                None
            }
        }
    }

    /// Stores a pair before it is used; where that fails, memory has to do until it succeeds.
    pub(super) async fn keep(self: &Arc<Self>, tokens: &TokenSet) {
        if !self.save(tokens).await {
            self.save_later();
        }
    }

    /// Removes the pair from the store.
    pub(super) async fn forget(&self) -> Result<(), StoreError> {
        self.in_time(async { self.setting.store.remove(&self.setting.key).await }).await
    }

    pub(super) fn store_failed(&self, error: &StoreError) {
        self.setting.endpoint.telemetry.store_failed(error.reason());
        self.state().store_failure = Some(error.to_string());
    }

    /// Stores a pair; whether nothing is left to store.
    async fn save(&self, tokens: &TokenSet) -> bool {
        let expected = self.state().stored;
        let swap = async { self.setting.store.compare_and_swap(&self.setting.key, expected, tokens).await };
        match self.in_time(swap).await {
            Ok(swap) => {
                let mut state = self.state();
                state.stored = match swap {
                    CompareAndSwap::Stored => tokens.generation(),
                    // Somebody renewed without the lease. What we hold is what we know to be alive.
                    CompareAndSwap::Conflict(other) => other.generation(),
                };
                let saved = tokens.generation() <= state.stored;
                if saved {
                    state.store_failure = None;
                }
                saved
            }
            Err(error) => {
                self.store_failed(&error);
                false
            }
        }
    }

    /// Tries to store the newest pair until it is stored, overtaken, or nobody is left who needs it.
    #[expect(
        clippy::disallowed_methods,
        reason = "a pair that only memory holds has to reach the store without a caller"
    )]
    fn save_later(self: &Arc<Self>) {
        let mut state = self.state();
        // One whose runtime ended under it is at work no more.
        if state.saving.as_ref().is_some_and(|saving| !saving.is_finished()) {
            return;
        }
        let (cache, clock) = (Arc::downgrade(self), self.setting.endpoint.clock);
        let saving = tokio::spawn(async move {
            let (mut pause, longest) = SAVE_AGAIN;
            loop {
                clock.sleep_until(clock.now() + pause).await;
                pause = (pause * 2).min(longest);
                let Some(cache) = Weak::upgrade(&cache) else { return };
                let newest = cache.state().newest.clone();
                let saved = match &newest {
                    Some(tokens) => cache.save(tokens).await,
                    None => true,
                };
                let mut state = cache.state();
                // One that came meanwhile, and could not be stored either, relies on this task.
                let is_newest =
                    state.newest.as_ref().map(TokenSet::generation) == newest.map(|tokens| tokens.generation());
                if saved && is_newest {
                    state.saving = None;
                    return;
                }
            }
        });
        state.saving = Some(saving.abort_handle());
    }

    /// A store's answer, or the error that there was none.
    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let clock = self.setting.endpoint.clock;
        let answer = clock.within(unbroken(asked), clock.now() + ANSWER).await;
        answer.unwrap_or_else(|| Err(StoreError::new(format!("no answer within {} s", ANSWER.as_secs()))))
    }
}

/// A store's answer, or the error that it panicked: somebody's store that breaks down is one more that fails, and must
/// not take a renewal with it whose tokens only memory holds yet.
pub(super) async fn unbroken<T>(asked: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let mut asked = pin!(asked);
    // The future is not polled again after a panic, and the store stands for itself.
    let answer = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| asked.as_mut().poll(context))) {
        Ok(answer) => answer,
        Err(_) => Poll::Ready(Err(StoreError::new("it panicked; what it printed says where"))),
    });
    answer.await
}
