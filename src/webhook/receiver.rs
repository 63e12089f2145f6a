//! The receiver: checks a request and returns the event in it.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use jiff::{SignedDuration, Timestamp};

use super::claims::Claims;
use super::delivery::{Delivery, DeliveryMetadata};
use super::delivery_key::DeliveryKey;
use super::delivery_store::{DeliveryStore, DynDeliveryStore};
use super::error::WebhookError;
use super::event::{self, WebhookEvent};
use super::memory_delivery_store::MemoryDeliveryStore;
use super::verifier::{SignedMessage, Verifier, header};
use crate::clock::Clock;
use crate::lenient::ReadReport;

const REPLAY_WINDOW: Duration = Duration::from_secs(5 * 60);
const MAX_BODY: usize = 256 * 1024;
const CLAIM_TIMEOUT: Duration = Duration::from_secs(5 * 60);
const RETENTION: Duration = Duration::from_secs(24 * 3600);

/// Receives the webhooks of a vendor. Cheap to clone: clones share what they remember of deliveries.
///
/// The [module](super) describes what it checks. It does not open a port: pass it the requests of your web server, or use the
/// extractor for axum.
///
/// # Example
///
/// ```
/// use std::time::Duration;
///
/// use servicebay::repairy::BookingEvent;
/// use servicebay::webhook::{HmacSha256, MemoryDeliveryStore, WebhookReceiver};
///
/// # fn main() -> Result<(), servicebay::Error> {
/// let receiver = WebhookReceiver::<BookingEvent>::new(HmacSha256::new(["secret"])?)
///     .with_replay_window(Duration::from_secs(60))
///     .with_delivery_store(MemoryDeliveryStore::with_capacity(1_000_000));
/// assert!(!format!("{receiver:?}").contains("secret\""));
/// # Ok(()) }
/// ```
pub struct WebhookReceiver<E> {
    verifier: Arc<dyn Verifier>,
    store: Arc<dyn DynDeliveryStore>,
    now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    replay_window: Duration,
    max_body: usize,
    claim_timeout: Duration,
    retention: Duration,
    event: PhantomData<fn() -> E>,
}

impl<E: WebhookEvent> WebhookReceiver<E> {
    /// A receiver that accepts what this verifier accepts: [`HmacSha256`](super::HmacSha256), one of your own, or, to accept
    /// everything, [`AcceptUnverified`](super::AcceptUnverified).
    pub fn new(verifier: impl Verifier) -> Self {
        Self {
            verifier: Arc::new(verifier),
            store: Arc::new(MemoryDeliveryStore::new()),
            now: Arc::new(|| Clock::System.wall()),
            replay_window: REPLAY_WINDOW,
            max_body: MAX_BODY,
            claim_timeout: CLAIM_TIMEOUT,
            retention: RETENTION,
            event: PhantomData,
        }
    }

    /// How far the timestamp of a delivery may be in the past or in the future. Default 5 minutes, both included.
    ///
    /// The time that a delivery takes and the difference of the two clocks have to fit into it.
    #[must_use]
    pub fn with_replay_window(mut self, window: Duration) -> Self {
        self.replay_window = window;
        self
    }

    /// The largest body in bytes. Default 256 KiB, some hundred times the size of a booking.
    #[must_use]
    pub fn with_max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes;
        self
    }

    /// Where deliveries are remembered. Default: in the memory of this process. Processes that receive webhooks of one vendor
    /// need a store that they share.
    #[must_use]
    pub fn with_delivery_store(mut self, store: impl DeliveryStore) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// How long a delivery may take to be handled. Default 5 minutes. After that, the same delivery is accepted again, because
    /// the process that held it may have ended.
    #[must_use]
    pub fn with_claim_timeout(mut self, timeout: Duration) -> Self {
        self.claim_timeout = timeout;
        self
    }

    /// How long a handled delivery is remembered. Default 24 hours; for how long Repairy tries again is unknown. At least the
    /// time in which its timestamp could be replayed, twice the replay window.
    #[must_use]
    pub fn with_retention(mut self, retention: Duration) -> Self {
        self.retention = retention;
        self
    }

    /// Where the receiver reads the time. Default: the system's clock. For tests: with a mock server in memory,
    /// `with_clock(move || server.now())` follows tokio's paused clock.
    #[must_use]
    pub fn with_clock(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.now = Arc::new(now);
        self
    }

    /// The largest body in bytes.
    pub fn max_body(&self) -> usize {
        self.max_body
    }

    /// Checks and reads a request.
    ///
    /// The body has to be the bytes as they were received: the signature covers them. The future may be dropped at any time; what
    /// it has claimed by then is free again.
    ///
    /// # Errors
    ///
    /// A [`WebhookError`] for every request that must not be handled, with the [status](WebhookError::status) to respond with.
    /// It is reported to `tracing` as well, as `servicebay.webhook_refused` or `servicebay.webhook_duplicate`.
    pub async fn receive(&self, headers: &HeaderMap, body: Bytes) -> Result<Delivery<E>, WebhookError> {
        match self.claim(headers, body).await {
            Ok(delivery) => Ok(delivery),
            Err(error) => Err(self.refuse(error)),
        }
    }

    async fn claim(&self, headers: &HeaderMap, body: Bytes) -> Result<Delivery<E>, WebhookError> {
        let (event, keys, metadata) = self.check(headers, body)?;
        let claims = Claims::claim(&self.store, keys, self.claim_timeout).await?;
        Ok(Delivery { event, claims, retention: self.retention.max(self.replay_window.saturating_mul(2)), metadata })
    }

    /// Everything that needs no store.
    fn check(&self, headers: &HeaderMap, body: Bytes) -> Result<(E, [DeliveryKey; 2], DeliveryMetadata), WebhookError> {
        let format = &E::FORMAT;
        if body.len() > self.max_body {
            return Err(WebhookError::BodyTooLarge { limit: self.max_body });
        }
        let request_id = header(headers, format.request_id)?;
        let timestamp = header(headers, format.timestamp)?;
        // Before the timestamp is read, so that all that follows is about requests of the vendor.
        self.verifier.verify(&SignedMessage { headers, signature_header: format.signature, timestamp, body: &body })?;
        let seconds = timestamp.parse().ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
        let sent_at = seconds.ok_or(WebhookError::UnreadableTimestamp { name: format.timestamp })?;
        self.check_age(sent_at)?;

        let version = header(headers, format.version_header).ok();
        if version != Some(format.version) {
            report_version(format.vendor, version, format.version);
        }
        ReadReport::take();
        let event = event::read::<E>(&body)?;
        // The content first: a replay under an id of another delivery must not touch that id.
        let keys =
            [DeliveryKey::of_content(format.vendor, timestamp, &body), DeliveryKey::of_id(format.vendor, request_id)];
        let metadata = DeliveryMetadata {
            request_id: request_id.to_owned(),
            webhook_id: header(headers, format.webhook_id).ok().map(str::to_owned),
            version: version.map(str::to_owned),
            is_expected_version: version == Some(format.version),
            sent_at,
            body,
            report: ReadReport::take(),
        };
        Ok((event, keys, metadata))
    }

    fn check_age(&self, sent_at: Timestamp) -> Result<(), WebhookError> {
        let age = (self.now)().duration_since(sent_at);
        let window = self.replay_window;
        if age <= SignedDuration::ZERO {
            let by = age.unsigned_abs();
            return if by > window { Err(WebhookError::TooNew { by, window }) } else { Ok(()) };
        }
        let age = age.unsigned_abs();
        if age > window { Err(WebhookError::TooOld { age, window }) } else { Ok(()) }
    }

    /// Reports a request that is not accepted.
    pub(super) fn refuse(&self, error: WebhookError) -> WebhookError {
        let (vendor, status) = (E::FORMAT.vendor, error.status().as_u16());
        match error {
            WebhookError::Duplicate | WebhookError::InProgress => tracing::debug!(
                name: "servicebay.webhook_duplicate",
                vendor,
                error.type = error.kind(),
                http.response.status_code = status,
                "a webhook was delivered again"
            ),
            _ => tracing::warn!(
                name: "servicebay.webhook_refused",
                vendor,
                error.type = error.kind(),
                http.response.status_code = status,
                reason = %error,
                "a webhook was refused"
            ),
        }
        error
    }
}

#[cold]
fn report_version(vendor: &'static str, version: Option<&str>, expected: &'static str) {
    // Headers are not signed, and may be of any length.
    let version = version.map(|version| version.get(..16).unwrap_or(version));
    tracing::warn!(
        name: "servicebay.webhook_version",
        vendor,
        version,
        expected,
        "a webhook has another version than this crate was written for"
    );
}

// A derive would require `E: Clone`.
impl<E> Clone for WebhookReceiver<E> {
    fn clone(&self) -> Self {
        Self {
            verifier: Arc::clone(&self.verifier),
            store: Arc::clone(&self.store),
            now: Arc::clone(&self.now),
            event: PhantomData,
            ..*self
        }
    }
}

impl<E> fmt::Debug for WebhookReceiver<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookReceiver")
            .field("replay_window", &self.replay_window)
            .field("max_body", &self.max_body)
            .field("claim_timeout", &self.claim_timeout)
            .field("retention", &self.retention)
            .finish_non_exhaustive()
    }
}
