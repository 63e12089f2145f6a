//! Fixably end to end: a client against a mock server that behaves like the vendor's.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::future::join_all;
use serde_json::json;
use servicebay::fixably::types::{
    CustomerWrite, DeviceCreate, InternalLocation, NoteInput, NoteType, NotesCreate, OrderCreate, OrderUpdate,
};
use servicebay::fixably::{Expand, Query};
use servicebay::testing::fixably::{MockServer, TokenKind};
use servicebay::testing::{Fault, ResetFormat};
use servicebay::{Error, RetryPolicy, fixably};

fn server() -> (MockServer, fixably::Client) {
    let server = MockServer::builder().in_memory();
    let client = server.client().unwrap();
    (server, client)
}

#[tokio::test(start_paused = true)]
async fn an_order_can_be_created_filled_and_moved_to_another_status() {
    let (server, client) = server();
    let customer = client.create_customer().body(CustomerWrite::new().first_name("Ada").phone("+358 1")).send().await;
    let customer = customer.unwrap().id().unwrap();
    let device = DeviceCreate::new("iPhone 14").serial_number("SN-9");
    let device = client.create_device().body(device).send().await.unwrap().id().unwrap();
    let order = OrderCreate::new()
        .reference("R-77")
        .customer(customer)
        .device(device)
        .internal_location(InternalLocation::Service)
        .notes([NoteInput::new(NoteType::Issue).text("Does not charge")]);
    let order = client.create_order().body(order).send().await.unwrap().id().unwrap();
    let note = NotesCreate::new([NoteInput::new(NoteType::Diagnosis).text("Port is worn")]);
    client.create_order_notes().order_id(order).body(note).send().await.unwrap();
    client.update_order().id(order).body(OrderUpdate::new().status(451)).send().await.unwrap();

    let expand = Expand::new().with("customer").with("status").with_many("notes", Expand::new());
    let order = client.get_order().id(order).expand(expand).send().await.unwrap();
    assert_eq!(order.reference.as_deref(), Some("R-77"));
    assert_eq!(order.customer.as_ref().unwrap().expanded().unwrap().first_name.as_deref(), Some("Ada"));
    assert_eq!(order.status.as_ref().unwrap().id(), Some(451.into()));
    assert_eq!(order.internal_location, Some(InternalLocation::Service));
    let kinds: Vec<_> = order.notes.as_ref().unwrap().items().iter().map(|note| note.kind.clone().unwrap()).collect();
    assert_eq!(kinds, [NoteType::Issue, NoteType::Diagnosis]);
    assert_eq!(server.counters().requests(), 6);
}

#[tokio::test(start_paused = true)]
async fn both_styles_of_paging_return_the_same_orders() {
    let (_server, client) = server();
    let by_offset: Vec<_> = client.list_orders().limit(100).items().try_collect().await.unwrap();
    let by_page: Vec<_> = client.list_orders().limit(30).page(1).items().try_collect().await.unwrap();
    assert!(by_offset.len() > 100, "{}", by_offset.len());
    assert_eq!(by_offset, by_page);
}

#[tokio::test(start_paused = true)]
async fn a_typed_search_finds_matching_orders() {
    let (_server, client) = server();
    let query = Query::field("isClosed").is(false).and(Query::field("status.id").one_of([450, 451]));
    let orders: Vec<_> = client.list_orders().q(query).items().try_collect().await.unwrap();
    assert!(!orders.is_empty());
    for order in orders {
        assert_eq!(order.is_closed, Some(false));
        assert!(matches!(order.status.unwrap().id().unwrap().get(), 450 | 451));
    }
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_token_has_its_own_rights() {
    let (server, _) = server();
    let read = async |kind| server.client_with(kind).unwrap().get_order().id(20000010).send().await;
    for kind in [TokenKind::AdminAll, TokenKind::AdminViewOnly, TokenKind::ExcludedFields, TokenKind::Legacy] {
        assert!(read(kind).await.is_ok(), "{kind:?}");
    }
    assert!(matches!(read(TokenKind::Expired).await, Err(Error::Unauthorized(_))));
    server.revoke(TokenKind::AdminAll);
    assert!(matches!(read(TokenKind::AdminAll).await, Err(Error::Unauthorized(_))));
    assert_eq!((server.counters().legacy(), server.counters().unauthorized()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hidden_field_is_none() {
    let (server, _) = server();
    let client = server.client_with(TokenKind::ExcludedFields).unwrap();
    let order = client.get_order().id(20000010).send().await.unwrap();
    assert_eq!((order.total_remaining.is_none(), order.total.is_some()), (true, true));
}

#[tokio::test(start_paused = true)]
async fn an_invalid_body_is_refused_with_a_message() {
    let (_server, client) = server();
    let unreachable = client.create_customer().body(CustomerWrite::new().first_name("Ada")).send().await;
    let read_only = OrderCreate::new().with_extra("createdAt", "2026-01-01T00:00:00Z");
    let read_only = client.create_order().body(read_only).send().await;
    for refused in [unreachable.map(|_| ()), read_only.map(|_| ())] {
        match refused {
            Err(Error::Validation(invalid)) => assert!(invalid.message().is_some_and(|message| message.len() > 10)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_format_of_the_reset_is_waited_for_with_a_skewed_clock() {
    for format in [
        ResetFormat::EpochSeconds,
        ResetFormat::EpochMillis,
        ResetFormat::DeltaSeconds,
        ResetFormat::HttpDate,
        ResetFormat::Iso8601,
    ] {
        let format_name = format!("{format:?}");
        let server =
            MockServer::builder().with_rate_limit(10, Duration::from_secs(60)).with_reset_format(format).in_memory();
        server.skew(jiff::SignedDuration::from_hours(-30));
        let client = server.client().unwrap();
        let responses = join_all((0..15).map(|_| client.get_order().id(20000010).send())).await;
        let failed: Vec<_> = responses.iter().filter_map(|response| response.as_ref().err()).collect();
        assert!(failed.is_empty(), "{format_name}: {failed:?}");
        assert_eq!(server.counters().refused(), 0, "{format_name}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_order_is_read_through_a_series_of_faults() {
    let server = MockServer::builder().in_memory();
    let patient = RetryPolicy::new().with_max_attempts(6);
    let client = server.client_builder(TokenKind::AdminAll).with_retry(patient).build().unwrap();
    for fault in [
        Fault::status(503).times(2),
        Fault::dropped(),
        Fault::truncated(),
        Fault::html(),
        Fault::field("internalLocation", json!("ON_THE_MOON")),
        Fault::extra_field("new", json!({"a": 1})),
        Fault::header("x-ratelimit-reset", "banana"),
    ] {
        server.fault(fault);
    }
    let mut read = 0;
    for _ in 0..8 {
        match client.get_order().id(20000010).send().await {
            Ok(order) => {
                assert_eq!(order.id(), Some(20000010.into()));
                read += 1;
            }
            Err(Error::Decode(decode)) => assert!(decode.to_string().contains("web page"), "{decode}"),
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!((read, server.pending_faults()), (7, 0));
}

#[tokio::test(start_paused = true)]
async fn a_note_with_a_lost_response_is_written_once_and_its_outcome_is_unknown() {
    let (server, client) = server();
    let before = server.order(20000010)["notes"]["totalItems"].clone();
    server.fault(Fault::lost_response());
    let note = NotesCreate::new([NoteInput::new(NoteType::Internal).text("Once")]);
    let error = client.create_order_notes().order_id(20000010).body(note).send().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    let after = server.order(20000010)["notes"]["totalItems"].clone();
    assert_eq!(after.as_i64().unwrap() - before.as_i64().unwrap(), 1);
}
