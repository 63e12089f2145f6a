//! The claims that one delivery holds.

use std::sync::Arc;
use std::time::Duration;

use super::delivery_key::{ClaimId, DeliveryKey};
use super::delivery_store::{ClaimOutcome, DynDeliveryStore};
use super::error::WebhookError;
use super::store_error::DeliveryStoreError;

/// The keys of one delivery, claimed until they are completed or released. Dropping it abandons them.
pub(super) struct Claims {
    store: Arc<dyn DynDeliveryStore>,
    id: ClaimId,
    keys: Vec<DeliveryKey>,
}

impl Claims {
    /// Claims all keys, or none.
    pub(super) async fn claim(
        store: &Arc<dyn DynDeliveryStore>,
        keys: [DeliveryKey; 2],
        lease: Duration,
    ) -> Result<Self, WebhookError> {
        let mut claims = Self { store: Arc::clone(store), id: ClaimId::random(), keys: Vec::with_capacity(keys.len()) };
        for key in keys {
            // Before the store is asked, because it may claim a key for a caller that is canceled and never learns of it.
            claims.keys.push(key);
            let refused = match store.claim(&key, &claims.id, lease).await {
                Ok(ClaimOutcome::Claimed) => continue,
                Ok(ClaimOutcome::Handled) => WebhookError::Duplicate,
                Ok(ClaimOutcome::InProgress) => WebhookError::InProgress,
                Err(error) => WebhookError::Store(error),
            };
            // If the store fails here too, the claims end with their lease.
            _ = claims.release().await;
            return Err(refused);
        }
        Ok(claims)
    }

    /// Records that the delivery was handled. From the first moment on, nothing frees the keys but the end of their lease: the
    /// delivery was handled, whether or not the store can record it.
    pub(super) async fn complete(mut self, retention: Duration) -> Result<(), DeliveryStoreError> {
        let mut outcome = Ok(());
        for key in std::mem::take(&mut self.keys) {
            outcome = outcome.and(self.store.complete(&key, retention).await);
        }
        outcome
    }

    /// Frees the keys.
    pub(super) async fn release(mut self) -> Result<(), DeliveryStoreError> {
        let mut outcome = Ok(());
        while let Some(key) = self.keys.last().copied() {
            outcome = outcome.and(self.store.release(&key, &self.id).await);
            self.keys.pop();
        }
        outcome
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        for key in &self.keys {
            self.store.abandon(key, &self.id);
        }
    }
}
