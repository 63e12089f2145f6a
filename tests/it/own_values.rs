//! Values of the vendors' types that a user's crate makes for its own tests and lookups.

use http::{HeaderMap, StatusCode};
use servicebay::fixably::types::{Customer, Order, OrderLine};
use servicebay::fixably::{Many, Ref};
use servicebay::repairy::MaybeObject;
use servicebay::repairy::types::{Booking, BookingCreated};
use servicebay::testing::{Fault, repairy};
use servicebay::{Error, ReconcileOutcome, Response, StoreError, WriteStatus, fentu, fisikal, fixably};

#[test]
fn an_order_with_relations_can_be_made_and_is_written_as_it_would_be_read() {
    let mut customer = Customer::default();
    customer.id = Some(7.into());
    customer.company = Some("Acme".to_owned());
    let mut line = OrderLine::default();
    line.quantity = Some(2.0);
    line.price = Some(12.into());
    let mut order = Order::default();
    order.id = Some(20000010.into());
    order.customer = Some(customer.into());
    order.lines = Some(fixably::Page::new([line]).into());
    order.queue = Some(Ref::link("https://acme.fixably.com/api/v3/queues/3"));
    order.notes = Some(Many::link("https://acme.fixably.com/api/v3/orders/20000010/notes"));

    assert_eq!(order.customer.as_ref().unwrap().expanded().unwrap().company.as_deref(), Some("Acme"));
    assert_eq!(order.queue.as_ref().unwrap().id(), Some(3.into()));
    assert!(order.lines.as_ref().unwrap().is_complete() && !order.notes.as_ref().unwrap().is_complete());
    let read: Order = serde_json::from_str(&serde_json::to_string(&order).unwrap()).unwrap();
    assert_eq!(read, order);
}

#[test]
fn a_page_of_every_vendor_with_lists_can_be_made() {
    let mut page = fixably::Page::new([Order::default()]);
    page.total_items = Some(40);
    assert_eq!((page.items.len(), page.total_items, page.limit), (1, Some(40), None));
    let mut page = fentu::Page::new([fentu::types::WorkOrder::default()]);
    page.meta.total_count = Some(40);
    assert_eq!((page.items.len(), page.meta.total_pages), (1, None));
    let page = fisikal::Page::new([fisikal::types::Occurrence::default()]);
    assert_eq!((page.items.len(), page.count), (1, None));
}

#[test]
fn a_response_can_be_made_with_what_a_test_is_about() {
    let response = Response::new(Booking::default());
    assert_eq!((response.status(), response.body().len(), response.request_id()), (StatusCode::OK, 0, None));
    assert_eq!((response.rate_limit().remaining(), response.skipped_count()), (None, 0));

    let mut headers = HeaderMap::new();
    headers.insert("x-request-id", "r-1".parse().unwrap());
    headers.insert("etag", "\"2\"".parse().unwrap());
    let response = Response::new(fixably::Page::new([Order::default()]));
    let response = response.with_status(StatusCode::CREATED).with_headers(headers).with_body(r#"{"items": []}"#);
    assert_eq!((response.status().as_u16(), response.request_id(), response.etag()), (201, Some("r-1"), Some("\"2\"")));
    assert_eq!(response.payload::<serde_json::Value>().unwrap()["items"], serde_json::json!([]));
    assert_eq!(response.into_inner().items.len(), 1);
}

#[tokio::test]
async fn a_lookup_returns_a_booking_that_it_made() {
    let server = repairy::MockServer::builder().in_memory();
    let client = server.client().unwrap();
    server.fault(Fault::lost_response().on("POST", "/bookings/{id}/{status}"));
    let id = "670000000000000000000001";
    let call = client.update_booking_status().id(id).status("confirmed");
    let outcome = call.reconcile(|_| {
        let mut booking = Booking::default();
        booking.id = Some(id.into());
        async { Ok(WriteStatus::Applied(MaybeObject::from(Some(booking)))) }
    });
    match outcome.send().await.unwrap() {
        ReconcileOutcome::Found(found) => assert_eq!(found.object().unwrap().id, Some(id.into())),
        outcome => panic!("{outcome:?}"),
    }

    let mut created = BookingCreated::new("67a1");
    created.services.clear();
    assert_eq!(created.booking_id, "67a1".into());
}

#[test]
fn an_error_of_a_store_that_a_program_uses_itself_is_an_error_of_the_crate() {
    fn load() -> Result<(), StoreError> {
        Err(StoreError::new("the keychain is locked; unlock it"))
    }

    fn start() -> Result<(), Error> {
        load()?;
        Ok(())
    }

    match start() {
        Err(error @ Error::TokenStore(_)) => {
            assert_eq!(error.to_string(), "token store: the keychain is locked; unlock it");
            assert!(error.call_error().is_none(), "{error:?}");
        }
        result => panic!("{result:?}"),
    }
}
