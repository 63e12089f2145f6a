//! What all mock servers have: faults by the name of an operation, refusals that name the path, and lists of what they hold.

use std::panic::{AssertUnwindSafe, catch_unwind};

use http::Method;
use serde_json::{Value, json};
use servicebay::Error;
use servicebay::testing::fentu::VisitError;
use servicebay::testing::{Fault, RecordedRequest, fentu, fisikal, fixably, repairy};

/// The message of the panic.
fn panic_of(action: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(action)).expect_err("a panic");
    payload.downcast_ref::<String>().expect("a message").clone()
}

#[test]
fn a_fault_on_an_unknown_operation_panics_at_once_and_lists_similar_ones() {
    let misspelled = |name: &str| Fault::lost_response().on_operation(name);
    let fixably = fixably::MockServer::builder().in_memory();
    let fentu = fentu::MockServer::builder().in_memory();
    let fisikal = fisikal::MockServer::builder().in_memory();
    let repairy = repairy::MockServer::builder().in_memory();
    for (message, near) in [
        (panic_of(|| fixably.fault(misspelled("create_orders"))), "`create_order`"),
        (panic_of(|| fentu.fault(misspelled("updateWorkOrder"))), "`update_work_order`"),
        (panic_of(|| fisikal.fault(misspelled("join_ocurrence"))), "`join_occurrence`"),
        (panic_of(|| repairy.fault(misspelled("login"))), "`log_in`"),
    ] {
        assert!(message.contains("has no operation") && message.contains(near), "{message}");
    }
    // The server is as usable as before.
    assert_eq!((repairy.pending_faults(), fixably.pending_faults()), (0, 0));
}

#[test]
fn every_operation_of_a_client_can_have_a_fault() {
    macro_rules! check {
        ($($vendor:ident),+) => {$(
            let server = $vendor::MockServer::builder().in_memory();
            for operation in servicebay::$vendor::operations::ALL {
                server.fault(Fault::dropped().on_operation(operation.id()));
            }
            assert_eq!(server.pending_faults(), servicebay::$vendor::operations::ALL.len());
        )+};
    }
    check!(fentu, fisikal, fixably, repairy);
}

#[tokio::test]
async fn a_fault_on_an_operation_leaves_the_others_alone() {
    let server = fixably::MockServer::builder().in_memory();
    let client = server.client().unwrap();
    server.fault(Fault::status(400).on_operation("get_order_line"));
    client.get_order().id(20000010).send().await.unwrap();
    client.list_order_lines().order_id(20000010).send().await.unwrap();
    let refused = client.get_order_line().order_id(20000010).id(1).send().await;
    assert!(matches!(refused, Err(Error::Validation(_))), "{refused:?}");
    assert_eq!(server.pending_faults(), 0);
}

#[tokio::test]
async fn requests_for_tokens_are_operations_with_faults_and_counts() {
    let repairy = repairy::MockServer::builder().in_memory();
    repairy.fault(Fault::status(401).on_operation("log_in"));
    let login = repairy.client().unwrap().get_booking().id("670000000000000000000001").send().await;
    assert!(login.is_err(), "{login:?}");
    assert_eq!((repairy.pending_faults(), repairy.counters().operation("log_in")), (0, 1));

    let fisikal = fisikal::MockServer::builder().in_memory();
    fisikal.fault(Fault::status(401).on_operation("token"));
    let (user, password) = fisikal.login(fisikal::Role::Manager);
    let (id, secret) = (fisikal::MockServer::CLIENT_ID, fisikal::MockServer::CLIENT_SECRET);
    let credentials = servicebay::fisikal::Credentials::password(id, secret, user, password);
    let login = fisikal.client_builder(credentials).build().unwrap().get_profile().send().await;
    assert!(login.is_err(), "{login:?}");
    assert_eq!((fisikal.pending_faults(), fisikal.counters().operation("token")), (0, 1));
}

#[tokio::test]
async fn an_unknown_path_is_refused_and_named_in_the_response_and_in_the_log() {
    fn check<T: std::fmt::Debug>(
        outcome: Result<T, Error>,
        log: &[RecordedRequest],
        (unknown, expected): (u64, u64),
        similar: &str,
    ) {
        let Err(Error::NotFound(error)) = &outcome else { panic!("{outcome:?}") };
        let last = log.last().unwrap();
        let problem = last.problem.as_deref().unwrap();
        assert!(problem.starts_with("There is no operation `GET "), "{problem}");
        assert!(problem.contains(similar), "{problem}");
        assert_eq!((error.message(), last.operation, unknown), (Some(problem), None, expected));
    }
    macro_rules! request {
        ($vendor:ident, $path:literal, $similar:literal, $unknown:literal) => {
            let server = $vendor::MockServer::builder().in_memory();
            let outcome = server.client().unwrap().request(Method::GET, $path).send::<Value>().await;
            check(outcome, &server.requests(), (server.counters().unknown(), $unknown), $similar);
        };
    }
    request!(fixably, "order/20000010", "`GET /orders/{id}`", 1);
    request!(fixably, "orders/first", "an id in `GET /orders/{id}` has to be a number", 1);
    request!(fentu, "workorders", "`GET /work-orders`", 2); // at both addresses
    request!(fisikal, "api/unified/clubs/location", "`GET /api/unified/clubs/locations`", 1);
    request!(repairy, "booking/1", "`GET /bookings/{id}`", 1);
}

#[tokio::test]
async fn a_method_that_a_path_does_not_have_is_refused_with_those_that_it_has() {
    let server = fisikal::MockServer::builder().in_memory();
    let path = "api/unified/schedule/occurrences/5/join";
    let refused = server.client().unwrap().request(Method::POST, path).json(&json!({})).send::<Value>().await;
    let error = refused.unwrap_err();
    let message = format!("There is no operation `POST /{path}`: this path supports PUT.");
    assert!(error.to_string().contains(&message), "{error}");
    assert_eq!(server.requests().last().unwrap().status, 405);
    assert_eq!(server.requests().last().unwrap().problem.as_deref(), Some(message.as_str()));
}

#[tokio::test]
async fn a_request_outside_of_the_api_is_refused_with_the_place_where_it_begins() {
    let server = fixably::MockServer::start().await;
    let url = server.base_url().replace("/api/v3", "/orders");
    let request = reqwest::Client::builder().no_proxy().build().unwrap().get(url);
    let response = request.bearer_auth(server.token(fixably::TokenKind::AdminAll)).send().await.unwrap();
    assert_eq!(response.status(), 404);
    let problem = server.requests()[0].problem.clone().unwrap();
    assert_eq!(problem, "There is no operation `GET /orders`: the API begins at `/api/v3`.");
}

#[tokio::test]
async fn what_calls_wrote_at_fixably_is_in_the_lists() {
    use servicebay::fixably::types::{
        CustomerWrite, DeviceCreate, InvoiceCreate, NoteInput, NoteType, NotesCreate, OrderCreate,
    };

    let server = fixably::MockServer::builder().in_memory();
    let client = server.client().unwrap();
    let counts = [server.orders().len(), server.customers().len(), server.devices().len(), server.invoices().len()];
    assert_eq!(counts, [140, 8, 6, 0]);

    let order = client.create_order().body(OrderCreate::new().reference("WEB-7")).send().await.unwrap();
    let id = order.id().unwrap();
    let note = NoteInput::new(NoteType::Issue).text("The display is cracked.");
    client.create_order_notes().order_id(id).body(NotesCreate::new([note])).send().await.unwrap();
    client.create_customer().body(CustomerWrite::new().phone("0400000009")).send().await.unwrap();
    client.create_device().body(DeviceCreate::new("Phone").serial_number("SN-9")).send().await.unwrap();
    client.create_order_invoice().order_id(id).body(InvoiceCreate::new().reference("WEB-7")).send().await.unwrap();

    let orders = server.orders();
    let order = orders.last().unwrap();
    assert_eq!((orders.len(), &order["reference"]), (141, &json!("WEB-7")));
    assert_eq!(order["notes"]["items"][0]["text"], "The display is cracked.");
    assert_eq!(server.customers().last().unwrap()["phone"], "0400000009");
    assert_eq!(server.devices().last().unwrap()["serialNumber"], "SN-9");
    assert_eq!(server.invoices(), [json!({"id": 1, "order": order["id"], "reference": "WEB-7"})]);
}

#[tokio::test]
async fn what_calls_wrote_at_fentu_is_in_the_lists() {
    use servicebay::fentu::types::{Address, AssetCreate, CustomerCreate, WorkOrderCreate};

    let server = fentu::MockServer::builder().in_memory();
    let client = server.client().unwrap();
    let before = (server.work_orders().len(), server.customers().len(), server.assets().len());
    assert_eq!(before, (69, 29, 59));
    assert!(server.tasks().len() > 100);

    client.create_work_order().body(WorkOrderCreate::new("cust-001", "It leaks.")).send().await.unwrap();
    client.create_customer().body(CustomerCreate::new("New Corp", Address::new())).send().await.unwrap();
    client.create_asset().body(AssetCreate::new("Boiler", "cust-001")).send().await.unwrap();
    client.delete_asset().id("asset-001").send().await.unwrap();

    assert_eq!(server.work_orders().last().unwrap()["description"], "It leaks.");
    assert_eq!(server.customers().last().unwrap()["name"], "New Corp");
    let assets = server.assets();
    assert_eq!((assets.len(), &assets.last().unwrap()["name"]), (59, &json!("Boiler")));
    assert!(assets.iter().all(|asset| asset["id"] != "asset-001"));
}

#[tokio::test]
async fn what_calls_wrote_at_fisikal_is_in_the_lists_and_in_a_snapshot() {
    use servicebay::fisikal::types::{ForClient, ProductType, PurchaseCreate, PurchaseItem, SignUp};

    let server = fisikal::MockServer::builder().in_memory();
    let client = server.client().unwrap();
    assert_eq!((server.clients().len(), server.bookings(), server.orders()), (3, vec![], vec![]));

    let body = SignUp::new().name("Dee Lind").email("dee@mail.example").password("long-enough");
    client.sign_up_client().body(body).send().await.unwrap();
    client.join_occurrence().id(5).body(ForClient::new(2001)).send().await.unwrap();
    let items = [PurchaseItem::new(101, ProductType::ServicePackage, 1)];
    client.create_purchase().body(PurchaseCreate::new(items).client_id(2003)).send().await.unwrap();

    let clients = server.clients();
    let new = clients.last().unwrap();
    assert_eq!((clients.len(), &new["email"], new.get("password")), (4, &json!("dee@mail.example"), None));
    let bookings = server.bookings();
    assert_eq!(
        (bookings.len(), &bookings[0]["occurrence_id"], &bookings[0]["client_id"]),
        (1, &json!(5), &json!(2001))
    );
    let order = json!({
        "id": 9001, "buyer_id": 1001, "amount": 4900, "paid": false,
        "purchases": [{"service_package_id": 1, "client_id": 2003}],
    });
    assert_eq!(server.orders(), [order]);
    assert_eq!(server.appointments(), [] as [Value; 0]);
    let clients = server.snapshot("api/unified/users/clients/2001");
    assert_eq!(clients["client"]["email"], "client@club.example");
    assert_eq!(server.snapshot("api/unified/nowhere"), Value::Null);
    assert_eq!(server.counters().operation("get_client"), 0, "a snapshot is no request");
}

#[tokio::test]
async fn what_calls_wrote_at_repairy_is_in_the_lists_and_in_a_snapshot() {
    use jiff::civil::date;
    use servicebay::repairy::types::{BookingCreate, CarInput, CustomerInput, ServiceCategory, ServiceInput};

    let server = repairy::MockServer::builder().in_memory();
    let counts = [server.bookings(), server.quotes(), server.reminders(), server.customers(), server.cars()];
    let counts = counts.map(|records| records.len());
    assert_eq!((counts[0], counts[1], counts[2]), (2, 0, 1));

    let body = BookingCreate::new()
        .workshop_id("640000000000000000000001")
        .customer(CustomerInput::new().first_name("Ada").email("ada@mail.example").phone("0400000009"))
        .car(CarInput::new().rego("XYZ987"))
        .drop_off_time(date(2026, 6, 2).at(9, 0, 0, 0))
        .services([ServiceInput::custom("Brakes", ServiceCategory::Repair).cost(149.5)]);
    let created = server.client().unwrap().create_booking().body(body).send().await.unwrap();

    let bookings = server.bookings();
    let booking = bookings.last().unwrap();
    assert_eq!((bookings.len(), &booking["car"]["rego"]), (3, &json!("XYZ987")));
    assert_eq!(server.customers().last().unwrap()["phone"], "0400000009");
    assert_eq!(server.cars().len(), counts[4] + 1);
    assert_eq!(server.snapshot(&format!("bookings/{}", created.booking_id)), *booking);
    assert_eq!(server.snapshot("bookings/1"), Value::Null);
    assert_eq!(server.counters().operation("get_booking"), 0, "a snapshot is no request");
}

#[test]
fn a_visit_without_a_redirect_says_why() {
    let server = fentu::MockServer::builder().in_memory();
    let page = server.authorize_url();
    let query = "response_type=code&client_id=test-application&redirect_uri=http://127.0.0.1:1/callback";
    for (url, expected) in [
        ("no url".to_owned(), "the authorization URL is invalid: relative URL without a base"),
        (
            format!("{page}?{query}&client_id=again"),
            "the authorization page responded with 400 Bad Request instead of a redirect: This application is not registered.",
        ),
        (
            format!("{page}?{}", query.replace("127.0.0.1", "evil.example")),
            "the authorization page responded with 400 Bad Request instead of a redirect: This redirect URI is not registered.",
        ),
    ] {
        assert_eq!(server.visit(&url).unwrap_err().to_string(), expected);
    }
    // The path of the API, not that of the page.
    let elsewhere = server.visit(&format!("{}/oauth/authorize?{query}", server.base_url()));
    assert!(matches!(elsewhere, Err(VisitError::NoRedirect { status, .. }) if status == 401), "{elsewhere:?}");

    server.fault(Fault::status(503).on_operation("authorize"));
    let failed = server.visit(&format!("{page}?{query}")).unwrap_err().to_string();
    assert!(failed.contains("503") && failed.contains("A fault was injected"), "{failed}");
    // A refusal of the application's request is a redirect.
    let refused = server.visit(&format!("{page}?{query}&scope=everything")).unwrap();
    assert_eq!(refused.query(), Some("error=invalid_scope"));
}
