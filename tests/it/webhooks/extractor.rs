//! The extractor for axum.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::body::Body;
use axum::extract::{FromRef, FromRequest as _, Request};
use axum::handler::Handler as _;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use bytes::Bytes;
use futures_util::stream;
use servicebay::repairy::BookingEvent;
use servicebay::testing::repairy::WebhookDelivery;
use servicebay::webhook::{Delivery, WebhookError};

use super::{BOOKING, Receiver, mock};

/// The state of a server that has more than the receiver.
#[derive(Clone)]
struct Backend {
    receiver: Receiver,
    handled: Arc<AtomicU32>,
}

impl FromRef<Backend> for Receiver {
    fn from_ref(backend: &Backend) -> Self {
        backend.receiver.clone()
    }
}

async fn booking_changed(
    axum::extract::State(backend): axum::extract::State<Backend>,
    delivery: Delivery<BookingEvent>,
) -> StatusCode {
    backend.handled.fetch_add(1, Ordering::Relaxed);
    match delivery.complete().await {
        Ok(_) => StatusCode::NO_CONTENT,
        Err(error) => error.status(),
    }
}

fn request(webhook: &WebhookDelivery, body: impl FnOnce(Bytes) -> Body) -> Request {
    webhook.request("/webhooks").map(body)
}

/// A body that arrives in pieces and does not announce its length.
fn chunked(body: Bytes) -> Body {
    let chunks: Vec<_> = body.chunks(7).map(|chunk| Ok::<_, Infallible>(Bytes::copy_from_slice(chunk))).collect();
    Body::from_stream(stream::iter(chunks))
}

#[tokio::test(start_paused = true)]
async fn a_handler_gets_the_delivery_and_every_other_request_gets_the_status_of_its_error() {
    let (server, receiver) = mock();
    let backend = Backend { receiver, handled: Arc::default() };
    let webhook = server.webhook("bookingUpdated", BOOKING);
    for (webhook, status) in [
        (webhook.clone().with_bad_signature(), 401),
        (webhook.clone().without_header("x-request-id"), 400),
        (webhook.clone().with_body("[]"), 422),
        (webhook.clone(), 204),
        (webhook, 200),
    ] {
        let response = booking_changed.call(request(&webhook, chunked), backend.clone()).await;
        assert_eq!(response.status(), status);
        let body = Bytes::from_request(Request::new(response.into_body()), &()).await.unwrap();
        assert!(body.is_empty(), "nothing is explained to strangers: {body:?}");
    }
    assert_eq!(backend.handled.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_is_read_up_to_the_limit_and_no_further() {
    let (server, receiver) = mock();
    let webhook = server.webhook("bookingUpdated", BOOKING);
    let length = webhook.request("/").body().len();
    for body in [Body::from, chunked] {
        let exact = receiver.clone().with_max_body(length);
        drop(Delivery::from_request(request(&webhook, body), &exact).await.unwrap());
        let short = receiver.clone().with_max_body(length - 1);
        let error = Delivery::from_request(request(&webhook, body), &short).await.unwrap_err();
        assert!(matches!(error, WebhookError::BodyTooLarge { limit } if limit == length - 1), "{error:?}");
    }
    let endless = Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from_static(&[b' '; 1024]))));
    let error = Delivery::from_request(request(&webhook, |_| endless), &receiver).await.unwrap_err();
    assert_eq!((error.kind(), error.into_response().status().as_u16()), ("body_too_large", 413));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_is_refused_and_can_be_sent_again() {
    let (server, receiver) = mock();
    let webhook = server.webhook("bookingUpdated", BOOKING);
    let broken = |body: Bytes| {
        let chunks = [Ok(body.slice(..20)), Err(io::Error::from(io::ErrorKind::ConnectionReset))];
        Body::from_stream(stream::iter(chunks))
    };
    let error = Delivery::from_request(request(&webhook, broken), &receiver).await.unwrap_err();
    assert!(matches!(error, WebhookError::UnreadableBody), "{error:?}");
    drop(Delivery::from_request(request(&webhook, Body::from), &receiver).await.unwrap());
}
