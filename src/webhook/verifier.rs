//! How a receiver knows that a delivery is the vendor's.

use std::fmt;

use http::HeaderMap;

use super::error::WebhookError;

/// Checks the signature of a delivery.
///
/// [`HmacSha256`](super::HmacSha256) is the usual one. Write your own for another recipe. It must hold three things:
///
/// * The signature covers the raw body **and** the [timestamp](SignedMessage::timestamp). If it leaves the timestamp out, a
///   stranger who has seen a delivery can send it again with a new one at any time.
/// * It compares in constant time, with the `subtle` crate or with what a crypto library offers.
/// * Its errors and its `Debug` show no secret.
///
/// # Example
///
/// A vendor that signs the body first and then the time:
///
/// ```
/// use servicebay::webhook::{HmacSha256, SignedMessage, Verifier, WebhookError};
///
/// struct BodyFirst(Vec<u8>);
///
/// # fn hmac(_: &[u8], _: &[&[u8]]) -> String { "expected".to_owned() }
/// # fn equal_in_constant_time(one: &[u8], other: &[u8]) -> bool { one == other }
/// impl Verifier for BodyFirst {
///     fn verify(&self, message: &SignedMessage<'_>) -> Result<(), WebhookError> {
///         let expected = hmac(&self.0, &[message.body(), message.timestamp().as_bytes()]);
///         match equal_in_constant_time(expected.as_bytes(), message.signature()?.as_bytes()) {
///             true => Ok(()),
///             false => Err(WebhookError::BadSignature),
///         }
///     }
/// }
/// # use servicebay::repairy::BookingEvent;
/// # use servicebay::webhook::WebhookReceiver;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = servicebay::testing::repairy::MockServer::builder().in_memory();
/// # let receiver = WebhookReceiver::<BookingEvent>::new(BodyFirst(b"secret".to_vec()));
/// # let webhook = server.webhook("bookingUpdated", "670000000000000000000001");
/// # let (parts, body) = webhook.clone().with_signature("expected").request("/").into_parts();
/// # receiver.receive(&parts.headers, body).await?;
/// # let (parts, body) = webhook.request("/").into_parts();
/// # assert!(matches!(receiver.receive(&parts.headers, body).await, Err(WebhookError::BadSignature)));
/// # Ok(()) }
/// ```
pub trait Verifier: Send + Sync + 'static {
    /// Checks that the signature belongs to the timestamp and the body.
    ///
    /// # Errors
    ///
    /// [`WebhookError::BadSignature`] if it does not, and what [`SignedMessage::signature`] returns if there is none.
    fn verify(&self, message: &SignedMessage<'_>) -> Result<(), WebhookError>;
}

/// So that a program can choose its verifier when it runs.
impl<V: Verifier + ?Sized> Verifier for Box<V> {
    fn verify(&self, message: &SignedMessage<'_>) -> Result<(), WebhookError> {
        (**self).verify(message)
    }
}

/// A delivery before it is trusted: what a [`Verifier`] checks.
///
/// Only what the signature covers is the vendor's. At Repairy, the ids and the version in the headers are not part of what is
/// documented to be signed.
#[derive(Clone, Copy)]
pub struct SignedMessage<'a> {
    pub(super) headers: &'a HeaderMap,
    pub(super) signature_header: &'static str,
    pub(super) timestamp: &'a str,
    pub(super) body: &'a [u8],
}

impl<'a> SignedMessage<'a> {
    /// The signature as it was sent; of Repairy, the header `x-webhook-signature` (documented).
    ///
    /// # Errors
    ///
    /// [`WebhookError::MissingHeader`] or [`WebhookError::UnreadableHeader`] if there is none. Pass it on with `?`.
    pub fn signature(&self) -> Result<&'a str, WebhookError> {
        header(self.headers, self.signature_header)
    }

    /// The timestamp as it was sent; of Repairy, the header `x-webhook-timestamp` (documented), in seconds since 1970.
    #[must_use]
    pub fn timestamp(&self) -> &'a str {
        self.timestamp
    }

    /// The body as it was received.
    #[must_use]
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// All headers, for a recipe that needs others.
    #[must_use]
    pub fn headers(&self) -> &'a HeaderMap {
        self.headers
    }
}

impl fmt::Debug for SignedMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedMessage")
            .field("timestamp", &self.timestamp)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .finish_non_exhaustive()
    }
}

/// The text of a header that is needed.
pub(super) fn header<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a str, WebhookError> {
    let value = headers.get(name).filter(|value| !value.is_empty()).ok_or(WebhookError::MissingHeader { name })?;
    value.to_str().map_err(|_| WebhookError::UnreadableHeader { name })
}
