//! The extractor for axum: a handler takes a delivery as its argument.

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRef, FromRequest, Request};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;

use super::delivery::Delivery;
use super::error::WebhookError;
use super::event::WebhookEvent;
use super::receiver::WebhookReceiver;

/// Extracts a delivery in a handler of axum (feature `axum`). The state is the receiver, or contains it with `FromRef`.
///
/// It reads the body up to [`with_max_body`](WebhookReceiver::with_max_body), whatever axum's own limit is. A request that is
/// not accepted gets the [status](WebhookError::status) of its error and no body; to respond otherwise, take
/// `Result<Delivery<E>, WebhookError>`. How long a sender may take is up to your server's timeouts.
///
/// # Example
///
/// ```
/// use axum::http::StatusCode;
/// use servicebay::repairy::BookingEvent;
/// use servicebay::webhook::{Delivery, WebhookReceiver};
///
/// async fn booking_changed(delivery: Delivery<BookingEvent>) -> StatusCode {
///     println!("{}: {:?}", delivery.action, delivery.booking_id);
///     match delivery.complete().await {
///         Ok(_) => StatusCode::NO_CONTENT,
///         Err(error) => error.status(),
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// # let server = servicebay::testing::repairy::MockServer::builder().in_memory();
/// let receiver = WebhookReceiver::<BookingEvent>::new(server.webhook_verifier());
/// let router: axum::Router = axum::Router::new()
///     .route("/webhooks/repairy", axum::routing::post(booking_changed))
///     .with_state(receiver.clone());
/// # let request = server.webhook("bookingUpdated", "670000000000000000000001").request("/webhooks/repairy");
/// # let handler = axum::handler::Handler::call(booking_changed, request.map(Into::into), receiver);
/// # assert_eq!(handler.await.status(), 204);
/// # }
/// ```
impl<E, S> FromRequest<S> for Delivery<E>
where
    E: WebhookEvent,
    S: Send + Sync,
    WebhookReceiver<E>: FromRef<S>,
{
    type Rejection = WebhookError;

    async fn from_request(request: Request, state: &S) -> Result<Self, WebhookError> {
        let receiver = WebhookReceiver::from_ref(state);
        let (parts, body) = request.into_parts();
        match read(body, receiver.max_body()).await {
            Ok(body) => receiver.receive(&parts.headers, body).await,
            Err(error) => Err(receiver.refuse(error)),
        }
    }
}

/// The whole body, if it is not too large.
async fn read(body: Body, limit: usize) -> Result<Bytes, WebhookError> {
    let too_large = WebhookError::BodyTooLarge { limit };
    // A body that announces its length is refused before it is read.
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large);
    }
    let (mut stream, mut read) = (body.into_data_stream(), BytesMut::new());
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| WebhookError::UnreadableBody)?;
        if chunk.len() > limit - read.len() {
            return Err(too_large);
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read.freeze())
}

impl IntoResponse for WebhookError {
    /// The status without a body: the reason is for you, and goes to `tracing`.
    fn into_response(self) -> Response {
        self.status().into_response()
    }
}
