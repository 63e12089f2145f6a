//! Fixably as a whole: a client against a tenant that behaves like the vendor's.

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

fn tenant() -> (MockServer, fixably::Client) {
    let tenant = MockServer::builder().in_memory();
    let client = tenant.client().unwrap();
    (tenant, client)
}

#[tokio::test(start_paused = true)]
async fn an_order_can_be_made_filled_and_moved_on() {
    let (tenant, client) = tenant();
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
    assert_eq!(tenant.counters().requests(), 6);
}

#[tokio::test(start_paused = true)]
async fn both_styles_of_paging_walk_the_same_orders() {
    let (_tenant, client) = tenant();
    let by_offset: Vec<_> = client.list_orders().limit(100).items().try_collect().await.unwrap();
    let by_page: Vec<_> = client.list_orders().limit(30).page(1).items().try_collect().await.unwrap();
    assert!(by_offset.len() > 100, "{}", by_offset.len());
    assert_eq!(by_offset, by_page);
}

#[tokio::test(start_paused = true)]
async fn a_typed_search_finds_what_its_fields_say() {
    let (_tenant, client) = tenant();
    let query = Query::field("isClosed").is(false).and(Query::field("status.id").one_of([450, 451]));
    let orders: Vec<_> = client.list_orders().q(query).items().try_collect().await.unwrap();
    assert!(!orders.is_empty());
    for order in orders {
        assert_eq!(order.is_closed, Some(false));
        assert!(matches!(order.status.unwrap().id().unwrap().get(), 450 | 451));
    }
}

#[tokio::test(start_paused = true)]
async fn each_kind_of_token_may_what_it_may() {
    let (tenant, _) = tenant();
    let read = async |kind| tenant.client_with(kind).unwrap().get_order().id(20000010).send().await;
    for kind in [TokenKind::AdminAll, TokenKind::AdminViewOnly, TokenKind::ExcludedFields, TokenKind::Legacy] {
        assert!(read(kind).await.is_ok(), "{kind:?}");
    }
    assert!(matches!(read(TokenKind::Expired).await, Err(Error::Unauthorized(_))));
    tenant.revoke(TokenKind::AdminAll);
    assert!(matches!(read(TokenKind::AdminAll).await, Err(Error::Unauthorized(_))));
    assert_eq!((tenant.counters().legacy(), tenant.counters().unauthorized()), (1, 2));
}

#[tokio::test(start_paused = true)]
async fn a_hidden_field_is_no_value() {
    let (tenant, _) = tenant();
    let client = tenant.client_with(TokenKind::ExcludedFields).unwrap();
    let order = client.get_order().id(20000010).send().await.unwrap();
    assert_eq!((order.total_remaining.is_none(), order.total.is_some()), (true, true));
}

#[tokio::test(start_paused = true)]
async fn a_refused_body_names_what_is_wrong_with_it() {
    let (_tenant, client) = tenant();
    let nobody = client.create_customer().body(CustomerWrite::new().first_name("Ada")).send().await;
    let read_only = OrderCreate::new().with_extra("createdAt", "2026-01-01T00:00:00Z");
    let read_only = client.create_order().body(read_only).send().await;
    for refused in [nobody.map(|_| ()), read_only.map(|_| ())] {
        match refused {
            Err(Error::Validation(invalid)) => assert!(invalid.message().is_some_and(|message| message.len() > 10)),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_form_of_the_reset_is_waited_for_on_a_skewed_clock_too() {
    for format in [
        ResetFormat::EpochSeconds,
        ResetFormat::EpochMillis,
        ResetFormat::DeltaSeconds,
        ResetFormat::HttpDate,
        ResetFormat::Iso8601,
    ] {
        let shown = format!("{format:?}");
        let tenant =
            MockServer::builder().with_rate_limit(10, Duration::from_secs(60)).with_reset_format(format).in_memory();
        tenant.skew(jiff::SignedDuration::from_hours(-30));
        let client = tenant.client().unwrap();
        let answers = join_all((0..15).map(|_| client.get_order().id(20000010).send())).await;
        let failed: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().err()).collect();
        assert!(failed.is_empty(), "{shown}: {failed:?}");
        assert_eq!(tenant.counters().refused(), 0, "{shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_vendors_worst_hour_costs_no_order() {
    let tenant = MockServer::builder().in_memory();
    let patient = RetryPolicy::new().with_max_attempts(6);
    let client = tenant.client_builder(TokenKind::AdminAll).with_retry(patient).build().unwrap();
    for fault in [
        Fault::status(503).times(2),
        Fault::dropped(),
        Fault::truncated(),
        Fault::html(),
        Fault::field("internalLocation", json!("ON_THE_MOON")),
        Fault::extra_field("new", json!({"a": 1})),
        Fault::header("x-ratelimit-reset", "banana"),
    ] {
        tenant.fault(fault);
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
    assert_eq!((read, tenant.pending_faults()), (7, 0));
}

#[tokio::test(start_paused = true)]
async fn a_note_whose_answer_is_lost_is_written_once_and_said_to_be_unknown() {
    let (tenant, client) = tenant();
    let before = tenant.order(20000010)["notes"]["totalItems"].clone();
    tenant.fault(Fault::lost_response());
    let note = NotesCreate::new([NoteInput::new(NoteType::Internal).text("Once")]);
    let error = client.create_order_notes().order_id(20000010).body(note).send().await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    let after = tenant.order(20000010)["notes"]["totalItems"].clone();
    assert_eq!(after.as_i64().unwrap() - before.as_i64().unwrap(), 1);
}
