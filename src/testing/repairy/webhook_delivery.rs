//! A webhook as the vendor would deliver it.

use std::fmt;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::outbox::PendingWebhook;
use crate::testing::clock::shifted;
use crate::webhook::HmacSha256;

/// A webhook that a [`MockServer`](super::MockServer) delivers (feature `webhooks`): as it should be, or with a fault.
///
/// The headers and the fields `id`, `action` and `timestamp` are documented; the name of the member with the booking and the
/// signature are assumed, and options of the server.
///
/// ```
/// use jiff::SignedDuration;
/// use servicebay::repairy::BookingEvent;
/// use servicebay::testing::repairy::MockServer;
/// use servicebay::webhook::{WebhookError, WebhookReceiver};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = MockServer::builder().in_memory();
/// let clock = server.clone();
/// let receiver = WebhookReceiver::<BookingEvent>::new(server.webhook_verifier()).with_clock(move || clock.now());
///
/// let webhook = server.webhook("bookingUpdated", "670000000000000000000001");
/// let late = webhook.clone().with_age(SignedDuration::from_mins(6));
/// let (head, body) = late.request("/webhooks/repairy").into_parts();
/// let error = receiver.receive(&head.headers, body).await.unwrap_err();
/// assert!(matches!(error, WebhookError::TooOld { .. }));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a webhook is delivered by handing its `request` to a handler"]
pub struct WebhookDelivery {
    number: u32,
    attempt: u32,
    content_name: String,
    body: Value,
    sent_at: Timestamp,
    version: String,
    hmac: HmacSha256,
    signature: Signature,
    /// Replaces the body, if it is set.
    raw_body: Option<Bytes>,
    /// Headers that are set last, or removed.
    headers: Vec<(HeaderName, Option<HeaderValue>)>,
}

#[derive(Clone)]
enum Signature {
    Bad,
    Good,
    Other(HeaderValue),
}

impl WebhookDelivery {
    pub(super) fn new(webhook: &PendingWebhook, content: &str, hmac: HmacSha256, sent_at: Timestamp) -> Self {
        let mut body = json!({"id": format!("{:024}", webhook.number), "action": webhook.action});
        body[content] = webhook.booking.clone();
        Self {
            number: webhook.number,
            attempt: 1,
            content_name: content.to_owned(),
            body,
            sent_at,
            version: "3".to_owned(),
            hmac,
            signature: Signature::Good,
            raw_body: None,
            headers: Vec::new(),
        }
    }

    /// The action, such as `bookingCreate`.
    #[must_use]
    pub fn action(&self) -> &str {
        self.body["action"].as_str().unwrap_or_default()
    }

    /// The booking in the body; null if there is none.
    #[must_use]
    pub fn booking(&self) -> &Value {
        &self.body[&self.content_name]
    }

    /// The id of the delivery, which [`again`](Self::again) keeps: `x-request-id`.
    #[must_use]
    pub fn request_id(&self) -> String {
        format!("test-request-{}", self.number)
    }

    /// Another attempt to deliver the same webhook, this much later: with the same `x-request-id` and the same event, and with a
    /// new `x-webhook-id`, timestamp and signature. That the vendor repeats the request id is inferred.
    pub fn again(mut self, after: SignedDuration) -> Self {
        self.attempt += 1;
        self.sent_at = shifted(self.sent_at, after);
        self
    }

    /// Delivers it late: it was signed this long before. A negative age is in the future.
    pub fn with_age(mut self, age: SignedDuration) -> Self {
        self.sent_at = shifted(self.sent_at, -age);
        self
    }

    /// Signs it with another secret than that of the server.
    pub fn with_bad_signature(mut self) -> Self {
        self.signature = Signature::Bad;
        self
    }

    /// Sends this signature.
    ///
    /// # Panics
    ///
    /// If it is not the value of a header.
    #[track_caller]
    pub fn with_signature(mut self, signature: impl AsRef<[u8]>) -> Self {
        let signature = HeaderValue::from_bytes(signature.as_ref());
        self.signature = Signature::Other(signature.expect("a signature must be a header value"));
        self
    }

    /// Sends it in this version of the format. Default `3`, which is documented.
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Adds a field to the body, or replaces one.
    pub fn with_field(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.body[name] = value.into();
        self
    }

    /// Sends this body, signed like any other.
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.raw_body = Some(body.into());
        self
    }

    /// Sets a header, whatever it would be otherwise.
    ///
    /// # Panics
    ///
    /// If it is not a header.
    #[track_caller]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = HeaderValue::from_bytes(value.as_ref()).expect("not the value of a header");
        self.headers.push((header_name(name), Some(value)));
        self
    }

    /// Leaves a header out.
    ///
    /// # Panics
    ///
    /// If it is not a header.
    #[track_caller]
    pub fn without_header(mut self, name: &str) -> Self {
        self.headers.push((header_name(name), None));
        self
    }

    /// The request, to hand to a handler, or to send. Its method is POST; the vendor lets you choose PUT and PATCH as well.
    ///
    /// # Panics
    ///
    /// If `uri` is none, or a header that was set cannot be.
    #[track_caller]
    #[must_use]
    pub fn request(&self, uri: &str) -> Request<Bytes> {
        let timestamp = self.sent_at.as_second().to_string();
        let body = self.raw_body.clone().unwrap_or_else(|| {
            let mut body = self.body.clone();
            body["timestamp"] = self.sent_at.as_second().into();
            body.to_string().into()
        });
        let text = |value: String| HeaderValue::try_from(value).expect("not the value of a header");
        let signature = match &self.signature {
            Signature::Bad => {
                let other = HmacSha256::new(["another secret"]).expect("the secret is not empty");
                text(other.sign(&timestamp, &body))
            }
            Signature::Good => text(self.hmac.sign(&timestamp, &body)),
            Signature::Other(signature) => signature.clone(),
        };
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri.parse::<Uri>().expect("not a URI");
        let headers = request.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert("x-request-id", text(self.request_id()));
        headers.insert("x-webhook-id", text(format!("{}-{}", self.request_id(), self.attempt)));
        headers.insert("x-webhook-signature", signature);
        headers.insert("x-webhook-timestamp", text(timestamp));
        headers.insert("x-webhook-version", text(self.version.clone()));
        for (name, value) in &self.headers {
            match value {
                Some(value) => drop(headers.insert(name, value.clone())),
                None => drop(headers.remove(name)),
            }
        }
        request
    }
}

#[track_caller]
fn header_name(name: &str) -> HeaderName {
    HeaderName::from_bytes(name.as_bytes()).expect("not the name of a header")
}

impl fmt::Debug for WebhookDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebhookDelivery")
            .field("action", &self.action())
            .field("request_id", &self.request_id())
            .field("attempt", &self.attempt)
            .field("sent_at", &format_args!("{}", self.sent_at))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::MockServer;
    use super::*;

    const BOOKING: &str = "670000000000000000000001";

    #[test]
    fn a_webhook_has_the_headers_and_fields_that_are_documented() {
        let server = MockServer::builder().in_memory();
        let request = server.webhook("bookingUpdated", BOOKING).request("/webhooks");
        let now = server.now().as_second().to_string();
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/webhooks"));
        for (name, value) in [
            ("content-type", "application/json"),
            ("x-request-id", "test-request-1"),
            ("x-webhook-id", "test-request-1-1"),
            ("x-webhook-timestamp", &now),
            ("x-webhook-version", "3"),
            ("x-webhook-signature", &server.webhook_verifier().sign(&now, request.body())),
        ] {
            assert_eq!(request.headers()[name], value, "{name}");
        }
        let body: Value = serde_json::from_slice(request.body()).expect("JSON");
        assert_eq!((&body["action"], &body["data"]), (&json!("bookingUpdated"), &server.booking(BOOKING)));
        assert_eq!(
            (&body["id"], &body["timestamp"]),
            (&json!("000000000000000000000001"), &json!(server.now().as_second()))
        );
    }

    #[test]
    fn a_call_causes_a_webhook_with_the_booking_as_it_was_then() {
        let server = MockServer::builder().in_memory();
        for status in ["confirmed", "completed"] {
            server.request("POST", &format!("/bookings/{BOOKING}/{status}"), None);
        }
        let status = |webhook: &WebhookDelivery| (webhook.action().to_owned(), webhook.booking()["status"].clone());
        let expected = [("bookingUpdated", "confirmed"), ("bookingCompleted", "completed")];
        let expected = expected.map(|(action, status)| (action.to_owned(), json!(status)));
        assert_eq!(server.pending_webhooks().iter().map(status).collect::<Vec<_>>(), expected);
        assert_eq!(server.next_webhook().as_ref().map(status), Some(expected[0].clone()));
        assert_eq!(server.pending_webhooks().len(), 1);
        assert_eq!(server.next_webhook().as_ref().map(status), Some(expected[1].clone()));
        assert!(server.next_webhook().is_none());
    }

    #[test]
    fn another_attempt_keeps_the_id_of_the_delivery_and_of_the_event() {
        let server = MockServer::builder().in_memory();
        let webhook = server.webhook("bookingCreate", BOOKING);
        let (first, second) = (webhook.request("/"), webhook.again(SignedDuration::from_secs(60)).request("/"));
        assert_eq!(first.headers()["x-request-id"], second.headers()["x-request-id"]);
        for header in ["x-webhook-id", "x-webhook-timestamp", "x-webhook-signature"] {
            assert_ne!(first.headers()[header], second.headers()[header], "{header}");
        }
        let id =
            |request: &Request<Bytes>| serde_json::from_slice::<Value>(request.body()).expect("JSON")["id"].clone();
        assert_eq!(id(&first), id(&second));
    }

    #[test]
    fn a_webhook_can_be_sent_with_any_fault_and_its_debug_names_no_customer() {
        let server = MockServer::builder().with_webhook_content("booking").in_memory();
        server.skew(SignedDuration::from_secs(10));
        let webhook = server.webhook("bookingCreate", BOOKING).with_version("4").with_field("extra", 1);
        let webhook = webhook.without_header("x-webhook-id").with_header("x-request-id", "other").with_signature("odd");
        let request = webhook.clone().with_age(SignedDuration::from_secs(70)).request("https://receiver.example/hook");
        let headers = request.headers();
        assert_eq!((headers.get("x-webhook-id"), &headers["x-request-id"]), (None, &HeaderValue::from_static("other")));
        assert_eq!(
            (&headers["x-webhook-version"], &headers["x-webhook-signature"]),
            (&HeaderValue::from_static("4"), &HeaderValue::from_static("odd"))
        );
        assert_eq!(headers["x-webhook-timestamp"], (server.now().as_second() - 60).to_string());
        let body: Value = serde_json::from_slice(request.body()).expect("JSON");
        assert_eq!((&body["extra"], &body["booking"]["id"]), (&json!(1), &json!(BOOKING)));
        assert_eq!(webhook.clone().with_body("x").request("/").body(), "x");
        assert_ne!(webhook.clone().with_bad_signature().request("/").headers()["x-webhook-signature"], "odd");
        let debug = format!("{webhook:?} {server:?}");
        assert!(debug.contains("bookingCreate") && !debug.contains("Noor"), "{debug}");
    }
}
