//! What is specific to Repairy: the partner id on every request, ranges of days, the status in the path, responses that
//! may be wrapped or empty, and invalid input.

use http::Method;
use jiff::civil::date;
use serde_json::{Value, json};
use servicebay::repairy::types::{
    Booking, BookingCreate, BookingStatus, BookingUpdate, CarInput, CustomerInput, ServiceCategory, ServiceInput,
    ServiceReminderCreate, ServiceSource,
};
use servicebay::repairy::{Client, Credentials, Id};
use servicebay::testing::repairy::{MockServer, MockServerBuilder, Partner};
use servicebay::testing::{Fault, Script, ScriptRequest, Step};
use servicebay::{Error, Response};

use crate::support::SECRET;

const WORKSHOP: &str = "640000000000000000000001";
const BOOKING: &str = "670000000000000000000001";

/// The response to a login.
fn login() -> Step {
    Step::json(200, json!({"accessToken": SECRET, "refreshToken": "test-refresh"}))
}

/// A client whose responses are scripted: first the login's, then these.
fn scripted(steps: impl IntoIterator<Item = Step>) -> (Client, Script) {
    let script = Script::new([login()].into_iter().chain(steps));
    let client =
        Client::builder(app("acme-autos")).with_base_url("https://partners.example/api").with_transport(script.clone());
    (client.build().unwrap(), script)
}

fn mock(choose: impl FnOnce(MockServerBuilder) -> MockServerBuilder) -> (MockServer, Client) {
    let server = choose(MockServer::builder()).in_memory();
    let client = server.client().unwrap();
    (server, client)
}

fn app(partner: &str) -> Credentials {
    Credentials::app("test-key", "test-secret", partner)
}

/// The requests of a script except token requests.
fn calls(script: &Script) -> Vec<ScriptRequest> {
    script.requests().into_iter().filter(|request| !request.uri.path().contains("/auth/")).collect()
}

/// The parameter and the message of a call that was not sent.
fn unsent<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, String) {
    match result {
        Err(Error::InvalidRequest(error)) => (error.parameter().to_owned(), error.to_string()),
        other => panic!("{other:?}"),
    }
}

fn new_booking() -> BookingCreate {
    BookingCreate::new()
        .workshop_id(WORKSHOP)
        .customer(CustomerInput::new().first_name("Ada").email("ada@mail.example").phone("0400000009"))
        .car(CarInput::new().rego("XYZ987").make("Mazda").model("3").year(2021))
        .drop_off_time(date(2026, 6, 2).at(9, 0, 0, 0))
        .services([ServiceInput::custom("Custom Brake Service", ServiceCategory::Repair).cost(149.5)])
}

#[tokio::test]
async fn every_request_has_the_partner_id_and_the_token() {
    let (client, script) = scripted([Step::json(200, json!({"id": "1"})), Step::json(200, json!({}))]);
    client.get_booking().id("1").send().await.unwrap();
    client.request(Method::GET, "reports").send::<Value>().await.unwrap();
    for request in script.requests() {
        assert_eq!(request.headers["x-partner-id"], "acme-autos");
        let bearer = request.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let is_login = request.uri.path() == "/api/auth/token";
        assert_eq!(bearer, (!is_login).then(|| format!("Bearer {SECRET}")), "{}", request.uri);
    }
    assert_eq!(calls(&script)[0].uri.to_string(), "https://partners.example/api/bookings/1");
}

#[test]
fn without_a_base_url_the_client_is_not_built() {
    for builder in [Client::builder(app("p")), Client::builder(app("p")).with_tenant("acme")] {
        let Err(Error::Config(error)) = builder.build() else { panic!("built without a base URL") };
        assert_eq!(error.field(), "base_url");
        assert!(error.reason().contains(".with_base_url("), "{error}");
    }
}

#[test]
fn invalid_credentials_are_refused_by_name() {
    for (key, secret, partner, field) in [
        ("", "s", "p", "app_key"),
        ("k", "", "p", "app_secret"),
        ("k", "secret\n", "p", "app_secret"),
        ("k", "s", "", "partner_id"),
        ("k", "s", "p\n", "partner_id"),
        ("k", "s", "a\u{7f}b", "partner_id"),
    ] {
        let builder = Client::builder(Credentials::app(key, secret, partner)).with_base_url("https://a.example");
        match builder.build() {
            Err(Error::Config(error)) => assert_eq!(error.field(), field, "{key:?} {secret:?} {partner:?}"),
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_range_of_days_is_checked_before_sending() {
    let (client, script) = scripted([]);
    let call = || client.list_availabilities().workshop_id(WORKSHOP);
    let first = date(2026, 6, 1);
    for (call, parameter, reason) in [
        (call().end_date(first), "startDate", ".start_date(..)"),
        (call().start_date(first), "endDate", ".end_date(..)"),
        (call().start_date(first).end_date(date(2026, 5, 31)), "endDate", "before 2026-06-01"),
        (call().start_date(first).end_date(date(2026, 6, 9)), "endDate", "8 days after"),
        (call().start_date("1 June").end_date(first), "startDate", "not an ISO 8601 date"),
        (client.list_availabilities().day(first), "workshop_id", ".workshop_id(..)"),
    ] {
        let (named, message) = unsent(call.send().await);
        assert_eq!(named, parameter, "{message}");
        assert!(message.contains(reason), "{message}");
    }
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn a_week_is_seven_days_and_one_day_more_is_sent() {
    let (client, script) = scripted([Step::json(200, json!([])), Step::json(200, json!([]))]);
    let call = || client.list_availabilities().workshop_id(WORKSHOP);
    call().week(date(2026, 6, 1)).catalog_id("68b7").service_category("repair").send().await.unwrap();
    call().start_date("2026-06-01").end_date(date(2026, 6, 8)).send().await.unwrap();
    let sent: Vec<_> = calls(&script).iter().map(|request| request.uri.query().unwrap().to_owned()).collect();
    assert_eq!(
        sent,
        [
            "startDate=2026-06-01&endDate=2026-06-07&serviceCategory=repair&catalogId=68b7",
            "startDate=2026-06-01&endDate=2026-06-08",
        ]
    );
}

#[tokio::test]
async fn a_status_stays_one_segment_of_its_path() {
    let (client, script) = scripted([Step::status(200).repeat()]);
    let moved = |status: &str| client.update_booking_status().id("1").status(status);
    moved("../2/cancelled?x=y#z").send().await.unwrap();
    assert_eq!(calls(&script)[0].uri.path(), "/api/bookings/1/..%2F2%2Fcancelled%3Fx=y%23z");
    assert_eq!(calls(&script)[0].uri.query(), None);
    for status in ["", ".", ".."] {
        assert_eq!(unsent(moved(status).send().await).0, "status");
    }
    assert_eq!(unsent(client.update_booking_status().id("1").send().await).0, "status");
    assert_eq!(unsent(client.update_booking_status().id("..").status("completed").send().await).0, "id");
}

#[tokio::test]
async fn a_body_is_sent_under_the_vendors_names() {
    let (client, script) = scripted([Step::json(201, json!({"bookingId": "1"})), Step::status(201)]);
    let body = new_booking().skip_notification(true).with_extra("notes", "Call first");
    client.create_booking().body(body).send().await.unwrap();
    let reminder = ServiceReminderCreate::new(WORKSHOP).customer_phone("0400000001");
    client.create_service_reminder().body(reminder).send().await.unwrap();
    let bodies: Vec<Value> =
        calls(&script).iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect();
    assert_eq!(
        bodies[0],
        json!({
            "workshopId": WORKSHOP,
            "customer": {"firstName": "Ada", "email": "ada@mail.example", "phone": "0400000009"},
            "car": {"rego": "XYZ987", "year": 2021, "make": "Mazda", "model": "3"},
            "dropOffTime": "2026-06-02T09:00:00",
            "services": [{"title": "Custom Brake Service", "category": "repair", "cost": 149.5}],
            "skipNotification": true,
            "notes": "Call first",
        })
    );
    assert_eq!(bodies[1], json!({"workshopId": WORKSHOP, "customerPhone": "0400000001"}));
}

#[tokio::test]
async fn a_catalog_service_can_be_booked_and_is_returned_completed() {
    let (_server, client) = mock(|builder| builder);
    let services = client.list_workshop_services().workshop_id(WORKSHOP).send().await.unwrap();
    let logbook = services.iter().find(|item| item.catalog_code.as_deref() == Some("logbook")).unwrap();
    let body = new_booking().services([ServiceInput::of(logbook).cost(170)]);
    let created = client.create_booking().body(body).send().await.unwrap();
    assert_eq!(created.service_category, Some(ServiceCategory::Service));
    let stored = &created.services[0];
    assert_eq!((stored.cost.as_ref().unwrap().as_str(), stored.max_cost.as_ref().unwrap().as_str()), ("170", "200"));
    assert_eq!(stored.source, Some(ServiceSource::Catalog));

    let booking = client.get_booking().id(&created.booking_id).send().await.unwrap();
    assert_eq!(booking.id.as_ref(), Some(&created.booking_id));
    assert_eq!(booking.drop_off_time, Some(date(2026, 6, 2).at(9, 0, 0, 0).into()));
}

#[tokio::test]
async fn a_booked_time_is_no_longer_free() {
    let (_server, client) = mock(|builder| builder);
    let day = date(2026, 6, 2);
    let free = async || {
        let days = client.list_availabilities().workshop_id(WORKSHOP).day(day).send().await.unwrap();
        days[0].drop_off_times().collect::<Vec<_>>()
    };
    let before = free().await;
    client.create_booking().body(new_booking().drop_off_time(before[0])).send().await.unwrap();
    assert_eq!(free().await, before[1..]);
    match client.create_booking().body(new_booking().drop_off_time(before[0])).send().await {
        Err(Error::Conflict(failure)) => assert_eq!(failure.message(), Some("The slot is taken.")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn invalid_json_inside_a_wrapper_is_repaired() {
    let quirks = [
        &b"{\"data\": {\"id\": \"67a1\", \"code\": \"B\xff\"}}"[..],
        br#"{"data": {"id": "67a1", "code": "B\ud83d"}}"#,
    ];
    for body in quirks {
        let (client, _script) = scripted([Step::body(200, "application/json", body.to_vec())]);
        let booking = client.get_booking().id("67a1").send().await.unwrap();
        assert_eq!((booking.id.clone(), booking.code.as_deref()), (Some("67a1".into()), Some("B\u{fffd}")));
    }
    for body in ["{\"data\": {\"id\": ", "{\"data\": {\"id\": \"67a1\"}} {}", "<html>", ""] {
        let (client, _script) = scripted([Step::body(200, "application/json", body)]);
        let error = client.get_booking().id("67a1").send().await.unwrap_err();
        assert!(matches!(error, Error::Decode(_)), "{body}: {error:?}");
    }
}

#[tokio::test]
async fn a_response_is_unwrapped_under_any_name() {
    for name in ["data", "result", "payload"] {
        let (_server, client) = mock(|builder| builder.with_envelope(name));
        let booking = client.get_booking().id(BOOKING).send().await.unwrap();
        assert_eq!(booking.code.as_deref(), Some("BK000001"), "{name}");
        let services = client.list_workshop_services().workshop_id(WORKSHOP).send().await.unwrap();
        assert_eq!(services.len(), 5, "{name}");
        let created = client.create_booking().body(new_booking()).send().await.unwrap();
        let moved = client.update_booking_status().id(&created.booking_id).status("confirmed").send().await.unwrap();
        assert_eq!(moved.object().and_then(|booking| booking.status.clone()), Some(BookingStatus::Confirmed));
        // A raw request gets the response as it was sent.
        let raw = client.request(Method::GET, &format!("bookings/{BOOKING}")).send::<Value>().await.unwrap();
        assert_eq!(raw[name]["code"], "BK000001");
    }
}

#[tokio::test]
async fn a_change_with_an_empty_response_is_a_success() {
    let (server, client) = mock(|builder| builder.with_empty_change_responses());
    let moved = client.update_booking_status().id(BOOKING).status(BookingStatus::Confirmed).send().await.unwrap();
    assert_eq!((moved.object(), moved.body().len()), (None, 0));
    let changed =
        client.update_booking().id(BOOKING).body(BookingUpdate::new().external_id("PO-7")).send().await.unwrap();
    assert_eq!(changed.into_inner().into_object(), None);
    assert_eq!(server.booking(BOOKING)["externalId"], "PO-7");
}

#[tokio::test]
async fn a_new_booking_without_an_id_in_the_response_may_exist() {
    for body in [json!({}), json!({"success": true}), json!([])] {
        let (client, _script) = scripted([Step::json(201, body.clone())]);
        match client.create_booking().body(new_booking()).send().await {
            Err(error @ Error::Decode(_)) => assert!(error.maybe_applied(), "{body}"),
            other => panic!("{body}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_response_without_a_list_is_a_decode_error() {
    for body in [json!({}), json!({"message": "maintenance"}), json!("none"), json!({"first": [], "second": []})] {
        let (client, _script) = scripted([Step::json(200, body.clone())]);
        let services = client.list_workshop_services().workshop_id("1").send().await;
        assert!(matches!(services, Err(Error::Decode(_))), "{body}: {services:?}");
    }
}

#[tokio::test]
async fn errors_have_the_vendors_message() {
    let (_server, client) = mock(|builder| builder);
    match client.get_booking().id("670000000000000000000002").send().await {
        Err(Error::Forbidden(failure)) => assert_eq!(failure.message(), Some("This belongs to another partner.")),
        other => panic!("{other:?}"),
    }
    assert!(matches!(client.get_booking().id("none").send().await, Err(Error::NotFound(_))));
    let finished = client.update_booking_status().id(BOOKING).status(BookingStatus::Completed).send().await;
    assert!(matches!(finished, Err(Error::Conflict(_))), "{finished:?}");
    let wrong = new_booking().customer(CustomerInput::new().email("no-address").phone("1"));
    match client.create_booking().body(wrong).send().await {
        Err(Error::Validation(invalid)) => {
            let fields: Vec<_> = invalid.fields().map(|(field, _)| field).collect();
            assert_eq!(fields, ["customer.email", "customer.phone"]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_partner_sees_only_its_own_bookings() {
    let (server, _) = mock(|builder| builder);
    let other = server.client_with(Partner::Other).unwrap();
    assert!(other.get_booking().id("670000000000000000000002").send().await.is_ok());
    assert!(matches!(other.get_booking().id(BOOKING).send().await, Err(Error::Forbidden(_))));
}

#[tokio::test(start_paused = true)]
async fn bookings_and_status_changes_with_lost_responses_are_not_repeated() {
    let (server, client) = mock(|builder| builder);
    server.fault(Fault::lost_response().on("POST", "/bookings"));
    let booked = client.create_booking().body(new_booking()).send().await;
    assert!(matches!(booked, Err(Error::OutcomeUnknown(_))), "{booked:?}");
    server.fault(Fault::lost_response().on("POST", "/bookings/{id}/{status}"));
    let moved = client.update_booking_status().id(BOOKING).status(BookingStatus::Confirmed).send().await;
    assert!(matches!(moved, Err(Error::OutcomeUnknown(_))), "{moved:?}");
    let counters = server.counters();
    assert_eq!((counters.operation("create_booking"), counters.operation("update_booking_status")), (1, 1));
    assert_eq!(server.booking(BOOKING)["status"], "confirmed");
}

#[tokio::test(start_paused = true)]
async fn an_update_with_a_lost_response_is_repeated() {
    let (server, client) = mock(|builder| builder);
    server.fault(Fault::lost_response().on("PUT", "/bookings/{id}"));
    client.update_booking().id(BOOKING).body(BookingUpdate::new().external_id("PO-7")).send().await.unwrap();
    assert_eq!(server.counters().operation("update_booking"), 2);
}

#[tokio::test]
async fn unknown_values_are_kept() {
    let (server, client) = mock(|builder| builder);
    server.fault(Fault::field("status", "on_hold").on("GET", "/bookings/{id}"));
    let booking = client.get_booking().id(BOOKING).send().await.unwrap();
    assert_eq!(booking.status, Some("on_hold".into()));
    server.fault(Fault::field("serviceCategory", "wash").on("GET", "/bookings/{id}"));
    let booking = client.get_booking().id(BOOKING).send().await.unwrap();
    assert_eq!(booking.service_category.as_ref().map(ServiceCategory::as_str), Some("wash"));
    server.fault(Fault::field("dropOffTime", "1 June, nine").on("GET", "/bookings/{id}"));
    let booking = client.get_booking().id(BOOKING).send().await.unwrap();
    assert_eq!(booking.drop_off_time.as_ref().map(ToString::to_string).as_deref(), Some("1 June, nine"));
    server.fault(Fault::field("cost", "150.00").on("GET", "/bookings/{id}"));
    let booking = client.get_booking().id(BOOKING).send().await.unwrap();
    assert_eq!(booking.services[0].cost.as_ref().unwrap().as_str(), "150.00");
    server.fault(Fault::extra_field("warranty", json!({"until": 2030})));
    let booking = client.get_booking().id(BOOKING).send().await.unwrap();
    assert_eq!(booking.payload::<Value>().unwrap()["warranty"]["until"], 2030);
}

#[tokio::test]
async fn an_invalid_value_costs_only_its_own_field() {
    let (server, client) = mock(|builder| builder);
    let names: Vec<String> = server.booking(BOOKING).as_object().unwrap().keys().cloned().collect();
    for invalid in [json!(null), json!(7), json!(true), json!([]), json!([1, "two"]), json!({"a": {"b": []}})] {
        // The id shows that the response is not wrapped, so it stays.
        for name in names.iter().filter(|name| *name != "id") {
            server.fault(Fault::field(name, invalid.clone()));
            let booking: Response<Booking> = client.get_booking().id(BOOKING).send().await.unwrap();
            assert_eq!(booking.id, Some(Id::from(BOOKING)), "{name} = {invalid}");
            if name != "code" {
                assert_eq!(booking.code.as_deref(), Some("BK000001"), "{name} = {invalid}");
            }
        }
    }
}

#[tokio::test]
async fn no_printed_value_shows_the_token() {
    let refusal = || Step::json(401, json!({"message": format!("{SECRET} has expired")}));
    let (client, _script) = scripted([refusal(), login(), refusal()]);
    let error = client.get_booking().id("1").send().await.unwrap_err();
    assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
    let credentials = Credentials::app("key", SECRET, "acme-autos");
    let printed = format!(
        "{error} {error:?} {} {client:?} {credentials:?} {:?}",
        error.support_report(),
        client.update_booking_status().id("1").status("completed")
    );
    assert!(printed.contains("has expired") && !printed.contains(SECRET), "{printed}");
}

#[tokio::test]
async fn the_client_works_over_sockets_too() {
    let server = MockServer::start().await;
    let client = Client::builder(server.credentials()).with_base_url(server.base_url()).build().unwrap();
    let moved = client.update_booking_status().id(BOOKING).status(BookingStatus::Cancelled).send().await.unwrap();
    assert_eq!(moved.object().and_then(|booking| booking.status.clone()), Some(BookingStatus::Cancelled));
    assert_eq!(server.counters().bearer(), 1);
}
