//! The end of a client: waits until no tokens are under way.

use std::sync::Arc;
use std::time::Duration;

use super::token_cache::TokenCache;
use super::token_error::TokenError;
use super::token_set::TokenSet;
use crate::error::StoreError;

/// How often storing is tried before the client gives up, and the pauses between.
const SAVES: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// A task in the background, until this is dropped: with the task, or with its runtime.
#[derive(Debug)]
pub(crate) struct BackgroundTask(Arc<TokenCache>);

impl Drop for BackgroundTask {
    fn drop(&mut self) {
        self.0.tasks.end();
    }
}

impl TokenCache {
    /// Waits for the refresh and other tasks under way, and stores tokens that are in memory only. Fails if they cannot be stored.
    pub(crate) async fn settle(self: &Arc<Self>) -> Result<(), TokenError> {
        let clock = self.setting.endpoint.clock;
        let mut saves = 0;
        loop {
            self.wait_until_idle().await;
            if self.holds_nothing_alone() {
                return Ok(());
            }
            let cache = Arc::clone(self);
            let saved = self.setting.endpoint.transport.run(async move { cache.save().await }).await;
            match saved.unwrap_or_else(|| Err(StoreError::new("the runtime of the save was shut down"))) {
                Ok(()) => {}
                Err(_) if saves + 1 < SAVES => clock.sleep_until(clock.now() + PAUSE).await,
                Err(error) => {
                    return Err(self.store_error("the newest tokens are in memory only", &error));
                }
            }
            saves += 1;
        }
    }

    /// Waits until no refresh and no other task that may bring or end tokens is under way.
    async fn wait_until_idle(&self) {
        loop {
            if let Some(mut refresh) = self.refresh_in_progress() {
                // An error means that its task has ended without an outcome.
                let _ = refresh.wait_for(Option::is_some).await;
            } else if let Some(ended) = self.tasks.next_end() {
                ended.await;
            } else {
                return;
            }
        }
    }

    /// Runs a future to its end in the background, as [`TokenTransport::run`](super::TokenTransport::run) does.
    /// [`settle`](Self::settle) waits for it.
    pub(crate) async fn run_task<T: Send + 'static>(
        self: &Arc<Self>,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let task = self.begin_task();
        let running = async move {
            let output = future.await;
            drop(task);
            output
        };
        self.setting.endpoint.transport.run(running).await
    }

    /// Begins a task that may bring or end tokens, until the guard is dropped.
    pub(crate) fn begin_task(self: &Arc<Self>) -> BackgroundTask {
        self.tasks.begin();
        BackgroundTask(Arc::clone(self))
    }

    /// Whether no refresh and no other task is under way and no tokens are in memory only.
    fn holds_nothing_alone(&self) -> bool {
        let state = self.state();
        let is_stored = state.history.newest().is_none_or(|newest| state.record.holds(newest));
        let is_idle = state.refresh.in_progress().is_none() && self.tasks.are_done();
        is_idle && (is_stored || !state.record.is_saving())
    }

    /// Begins no refresh any more that no call waits for, and [settles](Self::settle).
    pub(crate) async fn close(self: &Arc<Self>) -> Result<(), TokenError> {
        self.mark_closed();
        self.settle().await
    }

    /// Takes over the tokens of a login that a person has just completed, and stores them.
    pub(crate) async fn adopt_login(self: &Arc<Self>, tokens: TokenSet) -> Result<(), TokenError> {
        let permission = self.acquire_permission().await;
        // If the store cannot be read, the conflict is resolved when the tokens are written.
        let _ = self.reload().await;
        let tokens = match tokens.obtained_at() {
            Some(_) => tokens,
            None => tokens.with_obtained_at(self.setting.endpoint.clock.wall()),
        };
        self.state().take_login(tokens.with_own_lineage());
        let saved = self.save().await.inspect_err(|_| self.save_later());
        self.release(permission);
        self.adopt_newest();
        saved.map_err(|error| self.store_error("the tokens of the new login are in memory only", &error))
    }
}
