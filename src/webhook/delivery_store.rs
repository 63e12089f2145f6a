//! Where deliveries are remembered, so that none is handled twice.

use std::future::Future;
use std::time::Duration;

use futures_core::future::BoxFuture;

use super::delivery_key::{ClaimId, DeliveryKey};
use super::store_error::DeliveryStoreError;

/// Remembers which deliveries are being handled and which have been.
///
/// [`MemoryDeliveryStore`](super::MemoryDeliveryStore) is for one process. If several processes receive webhooks of one vendor,
/// let them share a database through this trait. A receiver makes two keys of each delivery: of its id, and of what was signed.
///
/// A key is free, claimed until its lease ends, or handled until its retention ends. [`claim`](Self::claim) must be atomic: of
/// two processes that claim a key at once, one gets it. With Redis, `claim` is `SET key claim NX PX lease`, and `complete` is
/// `SET key done PX retention`.
///
/// # Example
///
/// A store that counts what it is asked, and leaves the rest to the one in memory:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
/// use std::time::Duration;
///
/// use servicebay::webhook::{
///     ClaimId, ClaimOutcome, DeliveryKey, DeliveryStore, DeliveryStoreError, MemoryDeliveryStore,
/// };
///
/// #[derive(Default)]
/// struct CountingStore {
///     memory: MemoryDeliveryStore,
///     repeated: AtomicU64,
/// }
///
/// impl DeliveryStore for CountingStore {
///     async fn claim(
///         &self,
///         key: &DeliveryKey,
///         claim: &ClaimId,
///         lease: Duration,
///     ) -> Result<ClaimOutcome, DeliveryStoreError> {
///         let outcome = self.memory.claim(key, claim, lease).await?;
///         if outcome == ClaimOutcome::Handled {
///             self.repeated.fetch_add(1, Ordering::Relaxed);
///         }
///         Ok(outcome)
///     }
///
///     async fn complete(&self, key: &DeliveryKey, retention: Duration) -> Result<(), DeliveryStoreError> {
///         self.memory.complete(key, retention).await
///     }
///
///     async fn release(&self, key: &DeliveryKey, claim: &ClaimId) -> Result<(), DeliveryStoreError> {
///         self.memory.release(key, claim).await
///     }
///
///     fn abandon(&self, key: &DeliveryKey, claim: &ClaimId) {
///         self.memory.abandon(key, claim);
///     }
/// }
/// # use servicebay::repairy::BookingEvent;
/// # use servicebay::webhook::{WebhookError, WebhookReceiver};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = servicebay::testing::repairy::MockServer::builder().in_memory();
/// # let webhook = server.webhook("bookingUpdated", "670000000000000000000001");
/// # let verifier = server.webhook_verifier();
/// let receiver = WebhookReceiver::<BookingEvent>::new(verifier).with_delivery_store(CountingStore::default());
/// # for _ in 0..2 {
/// #     let (parts, body) = webhook.request("/").into_parts();
/// #     match receiver.receive(&parts.headers, body).await {
/// #         Ok(delivery) => drop(delivery.complete().await?),
/// #         Err(error) => assert!(matches!(error, WebhookError::Duplicate)),
/// #     };
/// # }
/// # Ok(()) }
/// ```
pub trait DeliveryStore: Send + Sync + 'static {
    /// Claims a key, unless it is claimed or handled. After `lease`, the claim ends by itself.
    ///
    /// # Errors
    ///
    /// If it is unknown whether the key is free. The delivery is refused with 503 then.
    fn claim(
        &self,
        key: &DeliveryKey,
        claim: &ClaimId,
        lease: Duration,
    ) -> impl Future<Output = Result<ClaimOutcome, DeliveryStoreError>> + Send;

    /// Records that the delivery was handled, whoever holds the key by now. After `retention`, the key may be forgotten.
    ///
    /// # Errors
    ///
    /// If this could not be recorded. Then the delivery may be handled again once the claim has ended.
    fn complete(
        &self,
        key: &DeliveryKey,
        retention: Duration,
    ) -> impl Future<Output = Result<(), DeliveryStoreError>> + Send;

    /// Frees a key that this claim still holds. A key of another claim, or one that was handled, stays as it is.
    ///
    /// # Errors
    ///
    /// If the key could not be freed. It becomes free when the lease ends.
    fn release(
        &self,
        key: &DeliveryKey,
        claim: &ClaimId,
    ) -> impl Future<Output = Result<(), DeliveryStoreError>> + Send;

    /// The same as [`release`](Self::release), if it can be done at once: called when a delivery is dropped, also by a panic.
    /// It must not block. By default it does nothing, and the key becomes free when the lease ends.
    fn abandon(&self, key: &DeliveryKey, claim: &ClaimId) {
        _ = (key, claim);
    }
}

/// What a claim found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClaimOutcome {
    /// The key was free, and is claimed now.
    Claimed,
    /// The delivery has been handled.
    Handled,
    /// Another claim holds the key.
    InProgress,
}

/// [`DeliveryStore`] with boxed futures, so that it can be a trait object.
pub(super) trait DynDeliveryStore: Send + Sync {
    fn claim<'a>(
        &'a self,
        key: &'a DeliveryKey,
        claim: &'a ClaimId,
        lease: Duration,
    ) -> BoxFuture<'a, Result<ClaimOutcome, DeliveryStoreError>>;
    fn complete<'a>(
        &'a self,
        key: &'a DeliveryKey,
        retention: Duration,
    ) -> BoxFuture<'a, Result<(), DeliveryStoreError>>;
    fn release<'a>(&'a self, key: &'a DeliveryKey, claim: &'a ClaimId)
    -> BoxFuture<'a, Result<(), DeliveryStoreError>>;
    fn abandon(&self, key: &DeliveryKey, claim: &ClaimId);
}

impl<S: DeliveryStore> DynDeliveryStore for S {
    fn claim<'a>(
        &'a self,
        key: &'a DeliveryKey,
        claim: &'a ClaimId,
        lease: Duration,
    ) -> BoxFuture<'a, Result<ClaimOutcome, DeliveryStoreError>> {
        Box::pin(DeliveryStore::claim(self, key, claim, lease))
    }

    fn complete<'a>(
        &'a self,
        key: &'a DeliveryKey,
        retention: Duration,
    ) -> BoxFuture<'a, Result<(), DeliveryStoreError>> {
        Box::pin(DeliveryStore::complete(self, key, retention))
    }

    fn release<'a>(
        &'a self,
        key: &'a DeliveryKey,
        claim: &'a ClaimId,
    ) -> BoxFuture<'a, Result<(), DeliveryStoreError>> {
        Box::pin(DeliveryStore::release(self, key, claim))
    }

    fn abandon(&self, key: &DeliveryKey, claim: &ClaimId) {
        DeliveryStore::abandon(self, key, claim);
    }
}
