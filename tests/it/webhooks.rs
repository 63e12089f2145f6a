//! Webhooks of Repairy: what is accepted, what is refused and how, and what is reported. Below: claims, the extractor for axum,
//! and properties.

mod claims;
#[cfg(feature = "axum")]
mod extractor;
mod properties;

use std::error::Error as _;
use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use servicebay::repairy::types::{BookingCreate, BookingStatus, BookingUpdate, CarInput, CustomerInput};
use servicebay::repairy::{BookingAction, BookingEvent};
use servicebay::testing::repairy::{MockServer, WebhookDelivery};
use servicebay::webhook::{
    AcceptUnverified, Delivery, DeliveryStoreError, HmacSha256, SignatureEncoding, SignedMessage, Verifier,
    WebhookError, WebhookReceiver,
};

use crate::observability::Recorder;
use crate::support::{Log, SECRET};

const BOOKING: &str = "670000000000000000000001";

type Receiver = WebhookReceiver<BookingEvent>;

/// A mock server in memory, and a receiver that accepts its webhooks and reads its clock.
fn mock() -> (MockServer, Receiver) {
    let server = MockServer::builder().in_memory();
    let receiver = receiver(&server, server.webhook_verifier());
    (server, receiver)
}

fn receiver(server: &MockServer, verifier: impl Verifier) -> Receiver {
    let clock = server.clone();
    Receiver::new(verifier).with_clock(move || clock.now())
}

async fn receive(receiver: &Receiver, webhook: &WebhookDelivery) -> Result<Delivery<BookingEvent>, WebhookError> {
    send(receiver, webhook.request("/webhooks")).await
}

async fn send(receiver: &Receiver, request: Request<Bytes>) -> Result<Delivery<BookingEvent>, WebhookError> {
    let (head, body) = request.into_parts();
    receiver.receive(&head.headers, body).await
}

/// The kind and the status of the error that a webhook gets.
async fn refused(receiver: &Receiver, webhook: &WebhookDelivery) -> (&'static str, u16) {
    let error = receive(receiver, webhook).await.unwrap_err();
    (error.kind(), error.status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn the_four_actions_arrive_with_the_booking_as_calls_have_changed_it() {
    let (server, receiver) = mock();
    let client = server.client().unwrap();
    let new = BookingCreate::new()
        .workshop_id("640000000000000000000001")
        .external_id("PO-7")
        .customer(CustomerInput::new().first_name("Ada").email("ada@mail.example").phone("0400000009"))
        .car(CarInput::new().rego("XYZ987").make("Mazda"))
        .service_package_type("logbook");
    let id = client.create_booking().body(new).send().await.unwrap().booking_id.clone();
    client.update_booking().id(&id).body(BookingUpdate::new().external_id("PO-8")).send().await.unwrap();
    for status in [BookingStatus::Confirmed, BookingStatus::Completed] {
        client.update_booking_status().id(&id).status(status).send().await.unwrap();
    }
    client.update_booking_status().id(BOOKING).status(BookingStatus::Cancelled).send().await.unwrap();

    let mut seen = Vec::new();
    while let Some(webhook) = server.next_webhook() {
        let event = receive(&receiver, &webhook).await.unwrap().complete().await.unwrap();
        let booking = event.booking.unwrap();
        assert_eq!(booking.id, event.booking_id);
        let status = booking.status.unwrap();
        seen.push((event.action, event.booking_id.unwrap(), booking.external_id, status.to_string()));
    }
    let row = |action, id: &str, external: Option<&str>, status: &str| {
        (action, id.into(), external.map(str::to_owned), status.to_owned())
    };
    assert_eq!(
        seen,
        [
            row(BookingAction::Create, id.as_str(), Some("PO-7"), "pending"),
            row(BookingAction::Updated, id.as_str(), Some("PO-8"), "pending"),
            row(BookingAction::Updated, id.as_str(), Some("PO-8"), "confirmed"),
            row(BookingAction::Completed, id.as_str(), Some("PO-8"), "completed"),
            row(BookingAction::Cancelled, BOOKING, None, "cancelled"),
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_delivery_has_what_the_headers_say_and_the_raw_body() {
    let (server, receiver) = mock();
    let webhook = server.webhook("bookingUpdated", BOOKING).with_field("tenant", json!({"price": 1.10}));
    let (head, body) = webhook.request("/").into_parts();
    let delivery = receiver.receive(&head.headers, body.clone()).await.unwrap();
    assert_eq!((delivery.request_id(), delivery.webhook_id()), ("test-request-1", Some("test-request-1-1")));
    assert_eq!((delivery.version(), delivery.is_expected_version()), (Some("3"), true));
    assert_eq!(delivery.sent_at().as_second(), server.now().as_second());
    assert_eq!(delivery.timestamp, Some(server.now().as_second().to_string()));
    assert_eq!(delivery.body(), &body);
    assert_eq!((delivery.is_repaired(), delivery.skipped_count()), (false, 0));
    let raw: Value = delivery.payload().unwrap();
    assert_eq!(raw["tenant"]["price"], 1.1);
    assert_eq!(raw["data"]["car"]["vin"], "JTNKU3JE60J000000");
}

#[tokio::test(start_paused = true)]
async fn an_unknown_action_keeps_its_name_and_its_content() {
    let (server, receiver) = mock();
    let webhook = server.webhook("bookingRescheduled", BOOKING);
    let delivery = receive(&receiver, &webhook).await.unwrap();
    assert!(matches!(&delivery.action, BookingAction::Other(_)) && delivery.action == "bookingRescheduled");
    assert_eq!(delivery.booking, None);
    let content: Value = delivery.content_as().unwrap().unwrap();
    assert_eq!(&content, webhook.booking());
}

#[tokio::test(start_paused = true)]
async fn another_version_is_read_as_well_as_possible_and_reported() {
    let (server, receiver) = mock();
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let odd = json!({"id": BOOKING, "car": ["odd"], "status": "parked"});
    let webhook = server.webhook("bookingUpdated", BOOKING).with_field("data", odd);
    for (webhook, version) in [
        (webhook.clone().with_version("4"), Some("4")),
        (webhook.with_header("x-request-id", "other").without_header("x-webhook-version"), None),
    ] {
        // Not the content of the first one once more.
        let webhook = webhook.with_field("version", version.unwrap_or_default());
        let delivery = receive(&receiver, &webhook).await.unwrap();
        assert_eq!((delivery.version(), delivery.is_expected_version()), (version, false));
        assert_eq!(delivery.booking_id, Some(BOOKING.into()));
        assert_eq!(delivery.skipped_values()[0].field(), Some("Booking.car"));
        delivery.complete().await.unwrap();
    }
    drop(guard);
    let reported = recorder.named("servicebay.webhook_version");
    let versions: Vec<_> = reported.iter().map(|record| record.fields.get("version").map(String::as_str)).collect();
    assert_eq!(versions, [Some("4"), None]);
    assert!(reported.iter().all(|record| record.fields["expected"] == "3"), "{reported:?}");
}

#[tokio::test(start_paused = true)]
async fn every_error_has_its_status_and_says_what_to_do() {
    let (server, receiver) = mock();
    let webhook = || server.webhook("bookingUpdated", BOOKING);
    let signed_with = |timestamp: &str| {
        let body = webhook().request("/").into_body();
        let signature = server.webhook_verifier().sign(timestamp, &body);
        webhook().with_body(body).with_header("x-webhook-timestamp", timestamp).with_signature(signature)
    };
    let minutes = SignedDuration::from_mins;
    for (webhook, kind, status, advice) in [
        (webhook().with_bad_signature(), "bad_signature", 401, "check the secret"),
        (webhook().with_signature(""), "missing_header", 400, "x-webhook-signature"),
        (webhook().with_signature(b"\xe4"), "unreadable_header", 400, "x-webhook-signature"),
        (webhook().without_header("x-webhook-signature"), "missing_header", 400, "a proxy has removed the header"),
        (webhook().without_header("x-request-id"), "missing_header", 400, "x-request-id"),
        (webhook().with_header("x-request-id", ""), "missing_header", 400, "x-request-id"),
        (webhook().with_header("x-request-id", b"\xe4"), "unreadable_header", 400, "x-request-id"),
        (webhook().without_header("x-webhook-timestamp"), "missing_header", 400, "x-webhook-timestamp"),
        (signed_with("yesterday"), "unreadable_timestamp", 400, "Unix seconds"),
        (signed_with("1772366400000000"), "unreadable_timestamp", 400, "Unix seconds"),
        (signed_with("99999999999999999999"), "unreadable_timestamp", 400, "Unix seconds"),
        (webhook().with_age(minutes(6)), "too_old", 400, "300 s are allowed"),
        (webhook().with_age(minutes(-6)), "too_new", 400, "set this machine's clock"),
        (webhook().with_body("{\"action\": "), "not_json", 400, "line 1, column"),
        (webhook().with_body(""), "not_json", 400, "pass the body as it was received"),
        (webhook().with_body("[1]"), "not_an_event", 422, "compare it"),
        (webhook().with_body("{}"), "not_an_event", 422, "compare it"),
        (webhook().with_body(vec![b' '; 256 * 1024 + 1]), "body_too_large", 413, "262144 bytes"),
    ] {
        let error = receive(&receiver, &webhook).await.unwrap_err();
        assert_eq!((error.kind(), error.status().as_u16()), (kind, status), "{error:?}");
        assert!(error.to_string().contains(advice) && !error.to_string().contains('\n'), "{error}");
        assert!(error.source().is_none());
    }

    let delivery = receive(&receiver, &webhook()).await.unwrap();
    drop(delivery);
    let webhook = webhook();
    let delivery = receive(&receiver, &webhook).await.unwrap();
    assert_eq!(refused(&receiver, &webhook).await, ("in_progress", 503));
    delivery.complete().await.unwrap();
    assert_eq!(refused(&receiver, &webhook).await, ("duplicate", 200));
    assert_eq!(WebhookError::UnreadableBody.status(), 400);
    let store = WebhookError::Store(DeliveryStoreError::new("no room"));
    assert_eq!(
        (store.status().as_u16(), store.source().unwrap().to_string().as_str()),
        (503, "delivery store: no room")
    );
}

#[tokio::test(start_paused = true)]
async fn a_timestamp_is_accepted_up_to_the_window_in_both_directions() {
    let server = MockServer::builder().in_memory();
    let now = Timestamp::from_second(1_772_366_400).unwrap();
    let window = Duration::from_secs(90);
    let receiver = Receiver::new(server.webhook_verifier()).with_replay_window(window).with_clock(move || now);
    let sign = |seconds: i64| {
        let body = format!(r#"{{"action": "bookingUpdated", "bookingId": "{seconds}"}}"#);
        let (timestamp, id) = ((now.as_second() + seconds).to_string(), seconds.to_string());
        let signature = server.webhook_verifier().sign(&timestamp, body.as_bytes());
        let webhook = server.webhook("bookingUpdated", BOOKING).with_body(body).with_signature(signature);
        webhook.with_header("x-webhook-timestamp", timestamp).with_header("x-request-id", id)
    };
    for seconds in [-90, -1, 0, 1, 90] {
        drop(receive(&receiver, &sign(seconds)).await.unwrap());
    }
    let old = receive(&receiver, &sign(-91)).await.unwrap_err();
    assert!(matches!(old, WebhookError::TooOld { age, .. } if age.as_secs() == 91), "{old:?}");
    let new = receive(&receiver, &sign(91)).await.unwrap_err();
    assert!(matches!(new, WebhookError::TooNew { by, .. } if by.as_secs() == 91), "{new:?}");
    for seconds in [i64::MIN, i64::MAX, -377_705_023_201, 253_402_207_200] {
        let timestamp = seconds.to_string();
        let signature = server.webhook_verifier().sign(&timestamp, b"{}");
        let webhook = server.webhook("bookingUpdated", BOOKING).with_body("{}").with_signature(signature);
        let error = receive(&receiver, &webhook.with_header("x-webhook-timestamp", timestamp)).await.unwrap_err();
        let is_refused = matches!(
            error,
            WebhookError::TooOld { .. } | WebhookError::TooNew { .. } | WebhookError::UnreadableTimestamp { .. }
        );
        assert!(is_refused, "{seconds}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_replay_is_refused_once_its_timestamp_is_old_even_if_its_delivery_is_forgotten() {
    let (server, receiver) = mock();
    let receiver = receiver.with_retention(Duration::ZERO);
    let request = server.webhook("bookingUpdated", BOOKING).request("/");
    send(&receiver, request.clone()).await.unwrap().complete().await.unwrap();
    for _ in 0..10 {
        tokio::time::advance(Duration::from_secs(59)).await;
        let error = send(&receiver, request.clone()).await.unwrap_err();
        assert!(matches!(error, WebhookError::Duplicate | WebhookError::TooOld { .. }), "{error:?}");
    }
    tokio::time::advance(Duration::from_secs(60)).await;
    let error = send(&receiver, request).await.unwrap_err();
    assert!(matches!(error, WebhookError::TooOld { .. }), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn both_secrets_are_accepted_while_one_is_replaced_and_the_old_one_no_more_afterwards() {
    let server = MockServer::builder().in_memory();
    let old = server.webhook_secret();
    let during = receiver(&server, HmacSha256::new(["new", old]).unwrap());
    let after = receiver(&server, HmacSha256::new(["new"]).unwrap());
    let webhook = server.webhook("bookingUpdated", BOOKING);
    drop(receive(&during, &webhook).await.unwrap());
    assert_eq!(refused(&after, &webhook).await, ("bad_signature", 401));

    let server = MockServer::builder().with_webhook_signature(HmacSha256::new(["new"]).unwrap()).in_memory();
    let webhook = server.webhook("bookingUpdated", BOOKING);
    for receiver in [&during, &after] {
        drop(receive(receiver, &webhook).await.unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn every_part_of_the_recipe_counts() {
    let recipe = |secret| HmacSha256::new([secret]).unwrap();
    let recipes = [
        recipe("one"),
        recipe("two"),
        recipe("one").with_encoding(SignatureEncoding::Base64),
        recipe("one").with_encoding(SignatureEncoding::UpperHex),
        recipe("one").with_prefix("sha256="),
        recipe("one").with_separator(""),
        recipe("one").with_separator(":"),
    ];
    for (signed, recipe) in recipes.iter().enumerate() {
        let server = MockServer::builder().with_webhook_signature(recipe.clone()).in_memory();
        for (verified, recipe) in recipes.iter().enumerate() {
            let receiver = receiver(&server, recipe.clone());
            let accepted = receive(&receiver, &server.webhook("bookingUpdated", BOOKING)).await;
            assert_eq!(accepted.is_ok(), signed == verified, "{signed} {verified} {accepted:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_receiver_that_says_so_accepts_what_is_not_signed() {
    let (server, verified) = mock();
    let unverified = receiver(&server, AcceptUnverified);
    for webhook in [
        server.webhook("bookingUpdated", BOOKING).with_bad_signature(),
        server.webhook("bookingUpdated", BOOKING).without_header("x-webhook-signature"),
    ] {
        assert!(receive(&verified, &webhook).await.is_err());
        drop(receive(&unverified, &webhook).await.unwrap());
    }
    let late = server.webhook("bookingUpdated", BOOKING).with_age(SignedDuration::from_hours(1));
    assert_eq!(refused(&unverified, &late).await, ("too_old", 400), "everything else is checked");
}

/// A recipe of one's own, which uses every part of a message.
struct TimeAndLength;

impl Verifier for TimeAndLength {
    fn verify(&self, message: &SignedMessage<'_>) -> Result<(), WebhookError> {
        assert!(!format!("{message:?}").contains("Noor"));
        assert_eq!(message.headers()["x-webhook-timestamp"], message.timestamp());
        let fits = message.signature()? == format!("{}-{}", message.timestamp(), message.body().len());
        fits.then_some(()).ok_or(WebhookError::BadSignature)
    }
}

#[tokio::test(start_paused = true)]
async fn a_verifier_of_your_own_decides() {
    let server = MockServer::builder().in_memory();
    let chosen: Box<dyn Verifier> = Box::new(TimeAndLength);
    let receiver = receiver(&server, chosen);
    let webhook = server.webhook("bookingUpdated", BOOKING);
    let signature = format!("{}-{}", server.now().as_second(), webhook.request("/").body().len());
    assert_eq!(refused(&receiver, &webhook).await, ("bad_signature", 401));
    assert_eq!(refused(&receiver, &webhook.clone().with_signature("")).await, ("missing_header", 400));
    drop(receive(&receiver, &webhook.with_signature(signature)).await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn nothing_that_is_printed_or_logged_shows_a_secret_or_a_customer() {
    const CUSTOMER: &str = "Noor";
    let server = MockServer::builder().with_webhook_signature(HmacSha256::new([SECRET]).unwrap()).in_memory();
    let verifier = HmacSha256::new([SECRET, SECRET]).unwrap();
    let receiver = receiver(&server, verifier.clone());
    let log = Log::default();
    let guard = log.listen();
    let webhook = server.webhook("bookingUpdated", BOOKING);
    let signature = webhook.request("/").headers()["x-webhook-signature"].to_str().unwrap().to_owned();
    let broken = format!("{{\"action\": \"{SECRET}\", \"name\": \"{CUSTOMER}");
    let mut printed = format!("{verifier:?} {verifier:#?} {receiver:?} {receiver:#?} {webhook:?}");
    for webhook in [
        webhook.clone(),
        webhook.clone().with_header("x-webhook-version", "9".repeat(1000)),
        webhook.clone().with_bad_signature(),
        webhook.clone().with_age(SignedDuration::from_hours(1)),
        webhook.clone().with_body(broken),
        webhook.clone().with_body(format!("[\"{CUSTOMER}\"]")),
        webhook.clone().with_field("action", json!({"name": CUSTOMER})),
        webhook.clone().with_field("data", json!({"car": CUSTOMER, "customer": [CUSTOMER]})),
    ] {
        match receive(&receiver, &webhook).await {
            Ok(delivery) => {
                let event = delivery.event();
                write!(printed, "{delivery:?} {delivery:#?} {event:?} {:?}", delivery.skipped_values()).unwrap();
            }
            Err(error) => write!(printed, "{error} {error:?} {error:#?}").unwrap(),
        }
    }
    drop(guard);
    let log = log.text();
    for event in ["a webhook was refused", "a webhook has another version", "another shape"] {
        assert!(log.contains(event), "{event} is missing in\n{log}");
    }
    assert!(!log.contains(&"9".repeat(17)), "a header of any length is logged: {log}");
    for hidden in [SECRET, CUSTOMER, &signature] {
        assert!(!printed.contains(hidden) && !log.contains(hidden), "{hidden}: {printed}\n{log}");
    }
}

#[tokio::test(start_paused = true)]
async fn refused_and_repeated_webhooks_are_reported_with_their_status() {
    let (server, receiver) = mock();
    let recorder = Recorder::default();
    let guard = recorder.listen();
    let webhook = server.webhook("bookingUpdated", BOOKING);
    receive(&receiver, &webhook).await.unwrap().complete().await.unwrap();
    receive(&receiver, &webhook).await.unwrap_err();
    receive(&receiver, &webhook.with_bad_signature()).await.unwrap_err();
    drop(guard);
    for (name, level, kind, status) in [
        ("servicebay.webhook_duplicate", tracing::Level::DEBUG, "duplicate", "200"),
        ("servicebay.webhook_refused", tracing::Level::WARN, "bad_signature", "401"),
    ] {
        let records = recorder.named(name);
        let [record] = &records[..] else { panic!("{name}: {records:?}") };
        assert_eq!(record.level, level);
        assert_eq!(record.fields["vendor"], "repairy");
        assert_eq!(
            (record.fields["error.type"].as_str(), record.fields["http.response.status_code"].as_str()),
            (kind, status)
        );
    }
}

/// Headers with these values.
fn headers(values: &[(&'static str, &[u8])]) -> HeaderMap {
    let value = |value: &[u8]| http::HeaderValue::from_bytes(value).unwrap();
    values.iter().map(|(name, text)| (http::HeaderName::from_static(name), value(text))).collect()
}
