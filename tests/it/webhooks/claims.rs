//! A delivery is handled once, and one whose handling failed can be delivered again.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::SignedDuration;
use servicebay::webhook::{
    ClaimId, ClaimOutcome, DeliveryKey, DeliveryStore, DeliveryStoreError, MemoryDeliveryStore, WebhookError,
};

use super::{BOOKING, mock, receive, receiver, refused, send};

const SECOND: SignedDuration = SignedDuration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn a_delivery_that_was_handled_is_a_duplicate_in_every_later_attempt_of_the_vendor() {
    let (server, receiver) = mock();
    let webhook = server.webhook("bookingUpdated", BOOKING);
    receive(&receiver, &webhook).await.unwrap().complete().await.unwrap();
    let mut age = SignedDuration::ZERO;
    for hours in [0, 1, 22] {
        tokio::time::advance(Duration::from_secs(hours * 3600)).await;
        age += SignedDuration::from_secs(3600 * i64::try_from(hours).unwrap());
        // Signed anew for each attempt.
        assert_eq!(refused(&receiver, &webhook.clone().again(age + SECOND)).await, ("duplicate", 200), "{age}");
    }
    tokio::time::advance(Duration::from_secs(3600)).await;
    let forgotten = webhook.again(SignedDuration::from_hours(24));
    drop(receive(&receiver, &forgotten).await.unwrap());
    let other = server.webhook("bookingUpdated", BOOKING);
    drop(receive(&receiver, &other).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_delivery_whose_handling_failed_can_be_delivered_again() {
    let (server, receiver) = mock();
    let webhook = server.webhook("bookingUpdated", BOOKING);

    let delivery = receive(&receiver, &webhook).await.unwrap();
    assert_eq!(refused(&receiver, &webhook.clone().again(SECOND)).await, ("in_progress", 503));
    drop(delivery);
    let delivery = receive(&receiver, &webhook.clone().again(SECOND)).await.unwrap();
    delivery.release().await.unwrap();

    let handled = AssertUnwindSafe(async {
        let _delivery = receive(&receiver, &webhook).await.unwrap();
        panic!("the handler panics");
    });
    handled.catch_unwind().await.unwrap_err();
    receive(&receiver, &webhook).await.unwrap().complete().await.unwrap();
    assert_eq!(refused(&receiver, &webhook.again(SECOND)).await, ("duplicate", 200));
}

#[tokio::test(start_paused = true)]
async fn a_refused_delivery_claims_nothing() {
    let (server, receiver) = mock();
    let webhook = server.webhook("bookingUpdated", BOOKING);
    for refused in [webhook.clone().with_bad_signature(), webhook.clone().with_body("no event")] {
        receive(&receiver, &refused).await.unwrap_err();
    }
    drop(receive(&receiver, &webhook).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_replay_under_another_id_is_a_duplicate_and_leaves_that_id_free() {
    let (server, receiver) = mock();
    let (webhook, next) = (server.webhook("bookingUpdated", BOOKING), server.webhook("bookingCancelled", BOOKING));
    // No vendor signs the id, so whoever has seen the request can send it with another one.
    let replay = webhook.clone().with_header("x-request-id", next.request_id());
    let delivery = receive(&receiver, &webhook).await.unwrap();
    assert_eq!(refused(&receiver, &replay).await, ("in_progress", 503));
    delivery.complete().await.unwrap();
    assert_eq!(refused(&receiver, &replay).await, ("duplicate", 200));
    receive(&receiver, &next).await.unwrap().complete().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_attempt_whose_id_is_taken_leaves_its_content_free() {
    let (server, receiver) = mock();
    let (webhook, other) = (server.webhook("bookingUpdated", BOOKING), server.webhook("bookingCancelled", BOOKING));
    let delivery = receive(&receiver, &webhook).await.unwrap();
    let same_id = other.clone().with_header("x-request-id", webhook.request_id());
    assert_eq!(refused(&receiver, &same_id).await, ("in_progress", 503));
    drop(receive(&receiver, &other).await.unwrap());
    drop(delivery);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_times_out_lets_the_next_attempt_in_and_a_late_completion_counts() {
    let (server, receiver) = mock();
    let receiver = receiver.with_claim_timeout(Duration::from_secs(60));
    let webhook = server.webhook("bookingUpdated", BOOKING);
    let slow = receive(&receiver, &webhook).await.unwrap();
    tokio::time::advance(Duration::from_secs(59)).await;
    assert_eq!(refused(&receiver, &webhook).await, ("in_progress", 503));
    tokio::time::advance(Duration::from_secs(1)).await;
    let second = receive(&receiver, &webhook).await.unwrap();
    slow.complete().await.unwrap();
    // The second one gives up, but the first one has handled it.
    drop(second);
    assert_eq!(refused(&receiver, &webhook).await, ("duplicate", 200));
}

#[tokio::test(start_paused = true)]
async fn a_late_delivery_that_is_dropped_does_not_free_the_claim_of_the_next_one() {
    let (server, receiver) = mock();
    let receiver = receiver.with_claim_timeout(Duration::from_secs(60));
    let webhook = server.webhook("bookingUpdated", BOOKING);
    let slow = receive(&receiver, &webhook).await.unwrap();
    tokio::time::advance(Duration::from_secs(60)).await;
    let second = receive(&receiver, &webhook).await.unwrap();
    drop(slow);
    assert_eq!(refused(&receiver, &webhook).await, ("in_progress", 503));
    drop(second);
    drop(receive(&receiver, &webhook).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn of_many_simultaneous_attempts_one_is_handled() {
    let (server, receiver) = mock();
    let request = server.webhook("bookingUpdated", BOOKING).request("/");
    let handled = Arc::new(AtomicU32::new(0));
    let mut attempts = Vec::new();
    for _ in 0..200 {
        let (receiver, request, handled) = (receiver.clone(), request.clone(), Arc::clone(&handled));
        attempts.push(tokio::spawn(async move {
            match send(&receiver, request).await {
                Ok(delivery) => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    handled.fetch_add(1, Ordering::Relaxed);
                    delivery.complete().await.unwrap();
                }
                Err(error) => assert!(matches!(error, WebhookError::InProgress | WebhookError::Duplicate)),
            }
        }));
    }
    for attempt in attempts {
        attempt.await.unwrap();
    }
    assert_eq!(handled.load(Ordering::Relaxed), 1);
}

/// What a [`TestStore`] does with a call.
#[derive(Clone, Copy, PartialEq)]
enum Behavior {
    Works,
    Fails,
    Hangs,
}

/// A store over a network: it takes time, cannot abandon, and fails or hangs at will. Clones are the connections of several
/// processes.
#[derive(Clone)]
struct TestStore {
    memory: MemoryDeliveryStore,
    behavior: Arc<std::sync::Mutex<Behavior>>,
    claims: Arc<AtomicU32>,
}

impl TestStore {
    fn new() -> Self {
        let behavior = Arc::new(std::sync::Mutex::new(Behavior::Works));
        Self { memory: MemoryDeliveryStore::new(), behavior, claims: Arc::new(AtomicU32::new(0)) }
    }

    fn set(&self, behavior: Behavior) {
        *self.behavior.lock().unwrap() = behavior;
    }

    async fn reach(&self) -> Result<(), DeliveryStoreError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let behavior = *self.behavior.lock().unwrap();
        match behavior {
            Behavior::Works => Ok(()),
            Behavior::Fails => {
                Err(DeliveryStoreError::new("the database does not respond").with_source(std::io::Error::other("down")))
            }
            Behavior::Hangs => std::future::pending().await,
        }
    }
}

impl DeliveryStore for TestStore {
    async fn claim(
        &self,
        key: &DeliveryKey,
        claim: &ClaimId,
        lease: Duration,
    ) -> Result<ClaimOutcome, DeliveryStoreError> {
        self.claims.fetch_add(1, Ordering::Relaxed);
        let outcome = self.memory.claim(key, claim, lease).await;
        self.reach().await?;
        outcome
    }

    async fn complete(&self, key: &DeliveryKey, retention: Duration) -> Result<(), DeliveryStoreError> {
        self.reach().await?;
        self.memory.complete(key, retention).await
    }

    async fn release(&self, key: &DeliveryKey, claim: &ClaimId) -> Result<(), DeliveryStoreError> {
        self.reach().await?;
        self.memory.release(key, claim).await
    }
}

#[tokio::test(start_paused = true)]
async fn processes_that_share_a_store_handle_a_delivery_once() {
    let (server, _) = mock();
    let store = TestStore::new();
    let process = || receiver(&server, server.webhook_verifier()).with_delivery_store(store.clone());
    let (one, other) = (process(), process());
    let webhook = server.webhook("bookingUpdated", BOOKING);
    let (first, second) = tokio::join!(receive(&one, &webhook), receive(&other, &webhook));
    let (delivery, error) = match (first, second) {
        (Ok(delivery), Err(error)) | (Err(error), Ok(delivery)) => (delivery, error),
        both => panic!("{both:?}"),
    };
    assert!(matches!(error, WebhookError::InProgress), "{error:?}");
    delivery.release().await.unwrap();
    receive(&other, &webhook).await.unwrap().complete().await.unwrap();
    assert_eq!(refused(&one, &webhook).await, ("duplicate", 200));
    assert!(store.claims.load(Ordering::Relaxed) >= 5);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_abandon_frees_a_dropped_delivery_when_its_claim_times_out() {
    let (server, _) = mock();
    let receiver = receiver(&server, server.webhook_verifier()).with_delivery_store(TestStore::new());
    let receiver = receiver.with_claim_timeout(Duration::from_secs(30));
    let webhook = server.webhook("bookingUpdated", BOOKING);
    drop(receive(&receiver, &webhook).await.unwrap());
    assert_eq!(refused(&receiver, &webhook).await, ("in_progress", 503));
    tokio::time::advance(Duration::from_secs(30)).await;
    drop(receive(&receiver, &webhook).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_refuses_deliveries_with_503_and_none_is_lost() {
    let (server, _) = mock();
    let store = TestStore::new();
    let receiver = receiver(&server, server.webhook_verifier()).with_delivery_store(store.clone());
    let receiver = receiver.with_claim_timeout(Duration::from_secs(30));
    let webhook = server.webhook("bookingUpdated", BOOKING);
    store.set(Behavior::Fails);
    assert_eq!(refused(&receiver, &webhook).await, ("store", 503));

    // The claim may have been recorded; it ends by itself.
    store.set(Behavior::Works);
    tokio::time::advance(Duration::from_secs(30)).await;
    let delivery = receive(&receiver, &webhook).await.unwrap();
    store.set(Behavior::Fails);
    let error = delivery.complete().await.unwrap_err();
    assert!(matches!(&error, WebhookError::Store(error) if error.reason().contains("database")), "{error:?}");

    // It was handled, but not recorded: it is refused until the claim ends, and accepted again then.
    store.set(Behavior::Works);
    assert_eq!(refused(&receiver, &webhook).await, ("in_progress", 503));
    tokio::time::advance(Duration::from_secs(30)).await;
    receive(&receiver, &webhook).await.unwrap().complete().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_canceled_while_it_claims_holds_nothing() {
    let (server, _) = mock();
    let memory = MemoryDeliveryStore::new();
    let store = TestStore { memory: memory.clone(), ..TestStore::new() };
    let receiver = receiver(&server, server.webhook_verifier()).with_delivery_store(CanAbandon(store.clone()));
    let webhook = server.webhook("bookingUpdated", BOOKING);
    store.set(Behavior::Hangs);
    let timeout = tokio::time::timeout(Duration::from_secs(5), receive(&receiver, &webhook)).await;
    assert!(timeout.is_err());
    assert!(memory.is_empty(), "{memory:?}");
    store.set(Behavior::Works);
    drop(receive(&receiver, &webhook).await.unwrap());
    assert!(memory.is_empty(), "{memory:?}");
}

/// A [`TestStore`] that frees the keys of a dropped delivery.
struct CanAbandon(TestStore);

impl DeliveryStore for CanAbandon {
    async fn claim(
        &self,
        key: &DeliveryKey,
        claim: &ClaimId,
        lease: Duration,
    ) -> Result<ClaimOutcome, DeliveryStoreError> {
        self.0.claim(key, claim, lease).await
    }

    async fn complete(&self, key: &DeliveryKey, retention: Duration) -> Result<(), DeliveryStoreError> {
        self.0.complete(key, retention).await
    }

    async fn release(&self, key: &DeliveryKey, claim: &ClaimId) -> Result<(), DeliveryStoreError> {
        self.0.release(key, claim).await
    }

    fn abandon(&self, key: &DeliveryKey, claim: &ClaimId) {
        self.0.memory.abandon(key, claim);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_store_refuses_new_deliveries_and_says_so() {
    let (server, receiver) = mock();
    let receiver = receiver.with_delivery_store(MemoryDeliveryStore::with_capacity(2));
    let (first, second) = (server.webhook("bookingCreate", BOOKING), server.webhook("bookingUpdated", BOOKING));
    let delivery = receive(&receiver, &first).await.unwrap();
    let error = receive(&receiver, &second).await.unwrap_err();
    assert!(matches!(&error, WebhookError::Store(error) if error.reason().contains("raise its capacity")), "{error:?}");
    delivery.complete().await.unwrap();
    receive(&receiver, &second).await.unwrap().complete().await.unwrap();
}
