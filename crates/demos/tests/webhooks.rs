//! The backend of the example `webhooks`, from the vendor's request to the copy of the booking: on a paused clock, without
//! sockets.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "a test spawns what it awaits")]

#[path = "../examples/webhooks/backend.rs"]
mod backend;

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use jiff::SignedDuration;
use jiff::civil::date;
use servicebay::Error;
use servicebay::repairy::BookingEvent;
use servicebay::repairy::types::{BookingCreate, BookingStatus, CarInput, CustomerInput};
use servicebay::testing::Fault;
use servicebay::testing::repairy::{MockServer, WebhookDelivery};
use servicebay::webhook::WebhookReceiver;
use tokio::time::Instant;
use tower::ServiceExt as _;

use self::backend::{Backend, PATIENCE, QUEUE, Worker};

const BOOKING: &str = "670000000000000000000001";

fn start() -> (MockServer, Backend, Worker, Router) {
    let server = MockServer::builder().in_memory();
    let clock = server.clone();
    let receiver = WebhookReceiver::<BookingEvent>::new(server.webhook_verifier()).with_clock(move || clock.now());
    let (backend, worker) = Backend::new(server.client().unwrap(), receiver);
    let router = backend.router();
    (server, backend, worker, router)
}

/// Delivers a webhook, and returns the status of the response and how long it took.
async fn deliver(router: &Router, webhook: &WebhookDelivery) -> (u16, Duration) {
    let sent = Instant::now();
    let request = webhook.request("/webhooks/repairy").map(Body::from);
    let response = router.clone().oneshot(request).await.unwrap();
    (response.status().as_u16(), sent.elapsed())
}

fn new_booking() -> BookingCreate {
    BookingCreate::new()
        .workshop_id("640000000000000000000001")
        .customer(CustomerInput::new().first_name("Ada").email("ada@mail.example").phone("0400000009"))
        .car(CarInput::new().rego("XYZ987").make("Mazda"))
        .service_package_type("logbook")
        .drop_off_time(date(2026, 6, 2).at(9, 0, 0, 0))
}

#[tokio::test(start_paused = true)]
async fn a_webhook_is_acknowledged_at_once_and_handled_afterwards_however_slow_the_vendor_is() {
    let (server, backend, worker, router) = start();
    tokio::spawn(worker.run());
    server.fault(Fault::delay(Duration::from_secs(20)).on("GET", format!("/bookings/{BOOKING}")));
    let (status, time) = deliver(&router, &server.webhook("bookingUpdated", BOOKING)).await;
    assert_eq!(status, 200);
    assert!(time < Duration::from_secs(1), "{time:?}");
    let mut bookings = backend.bookings();
    assert!(bookings.borrow().is_empty());
    let begun = Instant::now();
    let copy = bookings.wait_for(|all| !all.is_empty()).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(19));
    assert_eq!(copy.values().next().unwrap().code.as_deref(), Some("BK000001"));
}

#[tokio::test(start_paused = true)]
async fn a_booking_whose_response_was_lost_is_found_by_its_webhook_and_booked_once() {
    let (server, backend, worker, router) = start();
    tokio::spawn(worker.run());
    server.fault(Fault::lost_response().on("POST", "/bookings"));
    let booked = tokio::spawn({
        let backend = backend.clone();
        async move { backend.book("PO-7", new_booking()).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!booked.is_finished());
    // Another booking's webhook is not taken for this one's.
    assert_eq!(deliver(&router, &server.webhook("bookingUpdated", BOOKING)).await.0, 200);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(!booked.is_finished());

    let webhook = server.next_webhook().unwrap();
    assert_eq!(deliver(&router, &webhook).await.0, 200);
    let id = booked.await.unwrap().unwrap();
    assert_eq!(server.booking(id.as_str())["externalId"], "PO-7");
    assert_eq!(server.counters().operation("create_booking"), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_webhook_the_outcome_stays_unknown_and_nothing_is_booked_twice() {
    let (server, backend, worker, _router) = start();
    tokio::spawn(worker.run());
    server.fault(Fault::lost_response().on("POST", "/bookings"));
    let begun = Instant::now();
    let error = backend.book("PO-7", new_booking()).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    assert!(begun.elapsed() >= PATIENCE);
    assert_eq!(server.counters().operation("create_booking"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_webhook_that_is_delivered_again_is_acknowledged_and_not_handled_again() {
    let (server, backend, worker, router) = start();
    tokio::spawn(worker.run());
    let webhook = server.webhook("bookingUpdated", BOOKING);
    assert_eq!(deliver(&router, &webhook).await.0, 200);
    backend.bookings().wait_for(|all| !all.is_empty()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(deliver(&router, &webhook.again(SignedDuration::from_secs(1))).await.0, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.counters().operation("get_booking"), 1);
}

#[tokio::test(start_paused = true)]
async fn webhooks_in_the_wrong_order_leave_the_booking_as_it_is() {
    let (server, backend, worker, router) = start();
    tokio::spawn(worker.run());
    let client = server.client().unwrap();
    for status in [BookingStatus::Confirmed, BookingStatus::Completed] {
        client.update_booking_status().id(BOOKING).status(status).send().await.unwrap();
    }
    let (confirmed, completed) = (server.next_webhook().unwrap(), server.next_webhook().unwrap());
    for webhook in [completed, confirmed] {
        assert_eq!(deliver(&router, &webhook).await.0, 200);
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let bookings = backend.bookings();
    let status = bookings.borrow().values().next().unwrap().status.clone();
    assert_eq!(status, Some(BookingStatus::Completed));
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_vendor_delays_a_webhook_and_a_longer_one_leaves_it_to_be_delivered_again() {
    let (server, backend, worker, router) = start();
    tokio::spawn(worker.run());
    let path = format!("/bookings/{BOOKING}");
    server.fault(Fault::status(500).on("GET", &path).times(5));
    assert_eq!(deliver(&router, &server.webhook("bookingUpdated", BOOKING)).await.0, 200);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!((backend.bookings().borrow().len(), server.pending_faults()), (1, 0));

    server.fault(Fault::status(500).on("GET", &path).always());
    let webhook = server.webhook("bookingUpdated", BOOKING);
    assert_eq!(deliver(&router, &webhook).await.0, 200);
    assert_eq!(deliver(&router, &webhook).await.0, 503, "it is being handled");
    tokio::time::sleep(Duration::from_secs(240)).await;
    server.clear_faults();
    let handled = server.counters().operation("get_booking");
    assert_eq!(deliver(&router, &webhook).await.0, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.counters().operation("get_booking"), handled + 1);
}

#[tokio::test(start_paused = true)]
async fn a_full_queue_asks_the_vendor_to_try_again() {
    let (server, backend, worker, router) = start();
    for _ in 0..QUEUE {
        assert_eq!(deliver(&router, &server.webhook("bookingUpdated", BOOKING)).await.0, 200);
    }
    let webhook = server.webhook("bookingUpdated", BOOKING);
    assert_eq!(deliver(&router, &webhook).await.0, 503);
    tokio::spawn(worker.run());
    backend.bookings().wait_for(|all| !all.is_empty()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(deliver(&router, &webhook.again(SignedDuration::from_secs(60))).await.0, 200);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.counters().operation("get_booking"), QUEUE as u64 + 1);
}

#[tokio::test(start_paused = true)]
async fn a_forged_webhook_and_one_of_a_booking_of_someone_else_change_nothing() {
    let (server, backend, worker, router) = start();
    tokio::spawn(worker.run());
    let webhook = server.webhook("bookingUpdated", BOOKING);
    assert_eq!(deliver(&router, &webhook.clone().with_bad_signature()).await.0, 401);
    for booking in ["670000000000000000000002", "unknown"] {
        let webhook = server.webhook("bookingUpdated", BOOKING).with_field("data", serde_json::json!({"id": booking}));
        assert_eq!(deliver(&router, &webhook).await.0, 200);
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(backend.bookings().borrow().is_empty());
    assert_eq!(server.counters().operation("get_booking"), 2);
}
