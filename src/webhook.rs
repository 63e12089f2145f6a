//! Receives webhooks: requests that a vendor sends when something has happened.
//!
//! A [`WebhookReceiver`] takes the headers and the raw body of a request, from any web server, and returns a [`Delivery`] or
//! a [`WebhookError`] with the status to respond with. It checks, in this order:
//!
//! | check | default | option |
//! | --- | --- | --- |
//! | the size of the body | at most 256 KiB | [`with_max_body`](WebhookReceiver::with_max_body) |
//! | the headers that it needs | | |
//! | the signature, over the timestamp and the raw body | none: you pass a [`Verifier`] | [`new`](WebhookReceiver::new) |
//! | the age of the timestamp | at most 5 minutes, into the past and into the future | [`with_replay_window`](WebhookReceiver::with_replay_window) |
//! | whether the body can be read | leniently, as all responses are | |
//! | whether it was delivered before | in the memory of the process, for 24 hours | [`with_delivery_store`](WebhookReceiver::with_delivery_store) |
//!
//! # Vendors
//!
//! | vendor | event | headers and actions | signature |
//! | --- | --- | --- | --- |
//! | Repairy | [`BookingEvent`](crate::repairy::BookingEvent) | documented | exists; its recipe is **not public** |
//!
//! For a vendor whose recipe you know, write a [`Verifier`]. [`HmacSha256`] has the usual one, with options; that Repairy uses
//! it is **assumed**. Compare it with the vendor's page on securing webhooks before you rely on it.
//!
//! # Example
//!
//! ```
//! use servicebay::repairy::{BookingAction, BookingEvent};
//! use servicebay::webhook::{HmacSha256, WebhookError, WebhookReceiver};
//!
//! # async fn handle(_: &BookingEvent) -> Result<(), std::io::Error> { Ok(()) }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = servicebay::testing::repairy::MockServer::builder().in_memory();
//! # let (secret, webhook) = (server.webhook_secret(), server.webhook("bookingCancelled", "670000000000000000000001"));
//! # let (parts, body) = webhook.request("/webhooks/repairy").into_parts();
//! # let headers = parts.headers;
//! // Once, at the start of the program:
//! let receiver = WebhookReceiver::<BookingEvent>::new(HmacSha256::new([secret])?);
//!
//! // For each request:
//! let delivery = match receiver.receive(&headers, body).await {
//!     Ok(delivery) => delivery,
//!     Err(error) => {
//!         let status = error.status(); // respond with this: 200 for a duplicate
//! #       panic!("{status} {error}");
//!     }
//! };
//! assert_eq!(delivery.action, BookingAction::Cancelled);
//! handle(&delivery).await?; // if this fails, the delivery is dropped, and the vendor can send it again
//! delivery.complete().await?;
//! // Respond with 200.
//! # Ok(()) }
//! ```
//!
//! With the feature `axum`, a handler takes a [`Delivery`] as its argument.
//!
//! # Once, and not lost
//!
//! A [`Delivery`] holds a claim on its id. While it exists, a second delivery of the same id gets
//! [`WebhookError::InProgress`] (503); after [`complete`](Delivery::complete), [`WebhookError::Duplicate`] (200). A delivery
//! that is dropped instead, by an early return or a panic, gives up its claim, so that the vendor's next attempt is accepted.
//! A process that ends gives it up when the claim times out.
//!
//! There are two ways to use that:
//!
//! * **Handle, then respond**, as above, if handling takes less than the vendor's timeout (Repairy: 10 seconds). A failure
//!   becomes an error status, and the vendor may try again; whether Repairy does is unknown.
//! * **Respond, then handle**, as Repairy asks. Move the delivery into a task or a queue of your own and respond at once. The
//!   vendor will not send it again, so what fails afterwards is yours to repeat: fetch the object again, for the event says
//!   that it changed. `crates/demos/examples/webhooks.rs` does this.
//!
//! Either way, a process can end between handling and `complete`. So handling must be idempotent.

mod claims;
mod delivery;
mod delivery_key;
mod delivery_store;
mod error;
mod event;
#[cfg(feature = "axum")]
mod extractor;
mod format;
mod hmac_sha256;
mod memory_delivery_store;
mod receiver;
mod store_error;
mod unverified;
mod verifier;

pub use self::delivery::Delivery;
pub use self::delivery_key::{ClaimId, DeliveryKey};
pub use self::delivery_store::{ClaimOutcome, DeliveryStore};
pub use self::error::WebhookError;
pub use self::event::WebhookEvent;
pub(crate) use self::event::{ReadEvent, read};
pub(crate) use self::format::WebhookFormat;
pub use self::hmac_sha256::{HmacSha256, SignatureEncoding};
pub use self::memory_delivery_store::MemoryDeliveryStore;
pub use self::receiver::WebhookReceiver;
pub use self::store_error::DeliveryStoreError;
pub use self::unverified::AcceptUnverified;
pub use self::verifier::{SignedMessage, Verifier};
