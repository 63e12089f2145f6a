//! A program sees the same of a vendor and of its recording: results, errors, limits and times, at every vendor.

use std::fmt::Debug;
use std::future::Future;
use std::io::Write as _;
use std::mem::discriminant;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};
use http::{Method, Request};
use jiff::Timestamp;
use jiff::civil::date;
use serde_json::{Value, json};
use servicebay::repairy::types as repairy_types;
use servicebay::testing::{Fault, Keep, Recorder, Recording, Replay, ResetFormat, Step};
use servicebay::testing::{fentu as at_fentu, fisikal as at_fisikal, fixably as at_fixably, repairy as at_repairy};
use servicebay::{Body, Error, HttpTransport, Response, Transport, TransportError, fentu, fisikal, fixably};
use tokio::time::{Instant, sleep};

use super::{builder, client, get, played, recorded, recorder};
use crate::folder::Folder;
use crate::support::token_set;

/// A transport of any type.
#[derive(Clone, Debug)]
struct AnyTransport(Arc<dyn Transport>);

impl Transport for AnyTransport {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        self.0.send(request)
    }

    fn next(&self) -> Option<&dyn Transport> {
        Some(self.0.as_ref())
    }
}

/// What a program sees, without the values that scrubbing replaces.
struct Trace {
    start: Instant,
    lines: Vec<String>,
}

impl Trace {
    fn new() -> Self {
        Self { start: Instant::now(), lines: Vec::new() }
    }

    fn add(&mut self, what: impl Debug) {
        self.lines.push(format!("{} ms: {what:?}", self.start.elapsed().as_millis()));
    }

    fn result<T>(&mut self, what: &str, result: &Result<Response<T>, Error>) {
        match result {
            Ok(response) => {
                let limit = response.rate_limit();
                self.add((what, response.status(), limit.limit(), limit.remaining(), limit.reset_at().is_some()));
            }
            Err(error) => {
                let call = error.call_error();
                self.add((what, discriminant(error), call.map(|call| (call.status(), call.attempts()))));
            }
        }
    }

    /// The items of a list: their number, and how many of them are distinct.
    fn items<T: ToString>(&mut self, what: &str, ids: &[T]) {
        let mut distinct: Vec<_> = ids.iter().map(ToString::to_string).collect();
        distinct.sort();
        distinct.dedup();
        self.add((what, ids.len(), distinct.len()));
    }
}

/// Runs a program against a server and against the recording of that run. Returns what it saw both times. The program gets its
/// transport, and the wall time.
async fn twice<F: Future<Output = Trace>>(
    server: impl Transport,
    program: impl Fn(AnyTransport, Timestamp) -> F,
) -> Vec<String> {
    let folder = Folder::new();
    let path = folder.path().join("session.json");
    let recorder = Recorder::new(server);
    let now = recorder.environment().expect("a simulation").wall();
    // The same jitter both times.
    fastrand::seed(1);
    let live = program(AnyTransport(Arc::new(recorder.clone())), now).await.lines;
    recorder.save(&path).unwrap();
    let replay = Replay::new(Recording::load(&path).unwrap());
    fastrand::seed(1);
    let replayed = program(AnyTransport(Arc::new(replay.clone())), replay.started_at()).await.lines;
    assert_eq!(replayed, live);
    assert_eq!(replay.remaining(), Vec::<String>::new());
    live
}

fn has(lines: &[String], parts: &[&str]) {
    for part in parts {
        assert!(lines.iter().any(|line| line.contains(part)), "{part} is missing in {lines:#?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_with_fixably_plays_as_it_was() {
    let server = at_fixably::MockServer::builder().with_reset_format(ResetFormat::EpochSeconds).in_memory();
    server.exhaust_rate_limit();
    server.fault(Fault::status(503).on("GET", "/orders/{id}"));
    server.fault(Fault::lost_response().on("POST", "/orders"));
    server.fault(Fault::status(429).with_header("retry-after", "7").on("GET", "/customers"));
    let lines = twice(server.clone(), |transport, _| async {
        let mut trace = Trace::new();
        let builder = server.client_builder(at_fixably::TokenKind::AdminAll);
        let client = builder.with_transport(transport).build().unwrap();
        let orders = client.list_orders().limit(50).items();
        let ids: Vec<_> = orders.map_ok(|order| order.id().unwrap()).try_collect().await.unwrap();
        trace.items("orders", &ids);
        let order = client.get_order().id(ids[7]).send().await;
        trace.result("an order of the list", &order);
        trace.add(order.unwrap().id() == Some(ids[7]));
        trace.result("an order by its number", &client.get_order().id(20_000_011).send().await);
        let update = fixably::types::OrderUpdate::new().status(457);
        trace.result("a write", &client.update_order().id(ids[7]).body(update).send().await);
        trace.result("no order", &client.get_order().id(1).send().await);
        let create = client.create_order().body(fixably::types::OrderCreate::new()).send().await;
        trace.result("a lost response", &create);
        trace.result("customers", &client.list_customers().limit(3).send().await);
        sleep(Duration::from_secs(3600)).await;
        trace.result("the order later", &client.get_order().id(ids[7]).send().await);
        trace
    })
    .await;
    has(&lines, &["\"orders\", 140, 140", "\"no order\", Discriminant", "Some(404), 1", "true"]);
}

#[tokio::test(start_paused = true)]
async fn a_session_with_fentu_plays_as_it_was_with_its_refreshes() {
    let server = at_fentu::MockServer::builder()
        .with_tier(at_fentu::Tier::Enterprise)
        .with_refresh_tokens(at_fentu::RefreshTokens::Rotated)
        .in_memory();
    let pair = server.sign_in(["admin"]);
    server.fault(Fault::status(429).with_header("retry-after", "7").on("GET", "/tasks/{id}"));
    server.fault(Fault::lost_response().on("POST", "/work-orders"));
    let lines = twice(server.clone(), |transport, now| {
        let application = server.application();
        let tokens = token_set(&pair, now);
        let credentials = fentu::Credentials::oauth(application.client_id(), application.client_secret(), tokens);
        let builder = server.client_builder_with(credentials).with_tenant("acme").with_transport(transport);
        async move {
            let mut trace = Trace::new();
            let client = builder.build().unwrap();
            let orders = client.list_work_orders().per_page(20).items();
            let ids: Vec<_> = orders.map_ok(|order| order.id.unwrap()).try_collect().await.unwrap();
            trace.items("orders", &ids);
            trace.result("a task", &client.get_task().id("task-001").send().await);
            sleep(Duration::from_secs(2 * 3600)).await;
            trace.result("an order with a new token", &client.get_work_order().id(&ids[3]).send().await);
            trace.result("no order", &client.get_work_order().id("wo-none").send().await);
            let create = fentu::types::WorkOrderCreate::new("cust-001", "Odd smell");
            trace.result("a lost response", &client.create_work_order().body(create).send().await);
            sleep(Duration::from_secs(2 * 3600)).await;
            trace.result("a task with a newer token", &client.get_task().id("task-001").send().await);
            trace
        }
    })
    .await;
    has(&lines, &["\"orders\", 69, 69", "Some(404), 1", "7000 ms"]);
    assert!(server.token_requests().len() >= 2, "{:?}", server.token_requests());
}

#[tokio::test(start_paused = true)]
async fn a_session_with_fisikal_plays_as_it_was_with_its_login() {
    let server = at_fisikal::MockServer::builder().with_refresh_tokens().in_memory();
    server.fault(Fault::status(429).with_header("retry-after", "7").on("GET", "/api/unified/users/profile"));
    server.fault(Fault::truncated().on("POST", "/api/unified/users/clients"));
    let lines = twice(server.clone(), |transport, _| {
        let (user, password) = server.login(at_fisikal::Role::Manager);
        let (id, secret) = (at_fisikal::MockServer::CLIENT_ID, at_fisikal::MockServer::CLIENT_SECRET);
        let credentials = fisikal::Credentials::password(id, secret, user, password);
        let builder = server.client_builder(credentials).with_transport(transport);
        async move {
            let mut trace = Trace::new();
            let client = builder.build().unwrap();
            let transactions = client.list_money_transactions().limit(25).items();
            let ids: Vec<_> = transactions.map_ok(|item| item.id.unwrap()).try_collect().await.unwrap();
            trace.items("transactions", &ids);
            trace.result("a profile", &client.get_profile().send().await);
            trace.result("no location", &client.get_location().id(987_654).send().await);
            let create = fisikal::types::ClientCreate::new().name("Ada").email("ada@mail.example").password("horse");
            trace.result("a lost response", &client.create_client().body(create).send().await);
            sleep(Duration::from_secs(2 * 3600)).await;
            trace.result("a profile with a new token", &client.get_profile().send().await);
            trace
        }
    })
    .await;
    has(&lines, &["\"transactions\", 60, 60", "7000 ms"]);
    assert!(server.token_requests().len() >= 2, "{:?}", server.token_requests());
}

#[tokio::test(start_paused = true)]
async fn a_session_with_repairy_plays_as_it_was_with_its_logins() {
    let server = at_repairy::MockServer::builder().in_memory();
    server.fault(Fault::status(429).with_header("retry-after", "7").on("GET", "/bookings/{id}"));
    server.fault(Fault::lost_response().on("POST", "/bookings"));
    let lines = twice(server.clone(), |transport, _| {
        let builder = server.client_builder(at_repairy::Partner::Main).with_transport(transport);
        async move {
            let mut trace = Trace::new();
            let client = builder.build().unwrap();
            let booking = || client.get_booking().id("670000000000000000000001").send();
            trace.result("a booking", &booking().await);
            trace.result("no booking", &client.get_booking().id("67000000000000000000ffff").send().await);
            let create = repairy_types::BookingCreate::new()
                .workshop_id("640000000000000000000001")
                .customer(
                    repairy_types::CustomerInput::new().first_name("Ada").email("a@b.example").phone("0400000009"),
                )
                .car(repairy_types::CarInput::new().rego("XYZ987").make("Mazda").model("3").year(2021))
                .drop_off_time(date(2026, 6, 2).at(9, 0, 0, 0));
            trace.result("a lost response", &client.create_booking().body(create).send().await);
            sleep(Duration::from_secs(47 * 3600)).await;
            trace.result("a booking with a refreshed token", &booking().await);
            sleep(Duration::from_secs(30 * 24 * 3600)).await;
            trace.result("a booking after a login", &booking().await);
            trace
        }
    })
    .await;
    has(&lines, &["Some(404), 1", "7000 ms"]);
    assert!(server.token_requests().len() >= 3, "{:?}", server.token_requests());
}

#[tokio::test(start_paused = true)]
async fn failures_and_delays_play_as_they_were() {
    let steps = || {
        [
            Step::connect_error().delay(Duration::from_secs(2)),
            Step::dropped().delay(Duration::from_secs(3)),
            Step::truncated(),
            Step::json(200, json!({"id": 1})).delay(Duration::from_secs(4)),
            // The client gives up before.
            Step::status(200).delay(Duration::from_secs(500)),
            Step::body(200, "text/html", "<p>Login</p>"),
            Step::body(200, "application/json", "{"),
            Step::status(304),
        ]
    };
    let program = |transport: AnyTransport| async {
        let mut trace = Trace::new();
        let client = builder()
            .with_attempt_timeout(Duration::from_secs(20))
            .with_retry(servicebay::RetryPolicy::new().with_max_attempts(5))
            .with_transport(transport)
            .build()
            .unwrap();
        trace.result("an order at last", &client.get_order().id(1).send().await);
        let once = || client.get_order().id(2).with_retry(servicebay::RetryPolicy::never());
        for what in ["timeout", "a web page", "no JSON", "not modified"] {
            trace.result(what, &once().send().await);
        }
        trace.lines
    };
    // The backoff is random, so the times are compared without it.
    let untimed = |lines: Vec<String>| -> Vec<String> {
        lines.into_iter().map(|line| line.split_once(": ").unwrap().1.to_owned()).collect()
    };
    let recorder = recorder(steps(), Keep::default());
    let start = Instant::now();
    // The same jitter both times.
    fastrand::seed(1);
    let live = program(AnyTransport(Arc::new(recorder.clone()))).await;
    let live_time = start.elapsed();
    let replay = Replay::new(recorder.recording());
    let start = Instant::now();
    let replayed = program(AnyTransport(Arc::new(replay.clone()))).await;
    assert_eq!(untimed(replayed), untimed(live));
    assert!(replay.remaining().is_empty(), "{:?}", replay.remaining());
    for time in [live_time, start.elapsed()] {
        assert!((29..60).contains(&time.as_secs()), "{time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_compressed_body_is_recorded_as_what_it_contains() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(br#"{"id": 20000010, "note": "Jane"}"#).unwrap();
    let step = Step::body(200, "application/json", encoder.finish().unwrap()).header("content-encoding", "gzip");
    let recorder = recorder([step], Keep::default());
    let order = client(recorder.clone()).get_order().id(20_000_010).send().await.unwrap();
    assert_eq!(order.id().unwrap().get(), 20_000_010);
    let replayed = client(Replay::new(recorder.recording())).get_order().id(20_000_010).send().await.unwrap();
    assert_eq!(replayed.id().unwrap().to_string().len(), 8);
}

#[tokio::test]
async fn a_session_over_sockets_is_recorded() {
    let server = at_fixably::MockServer::start().await;
    let recorder = Recorder::new(HttpTransport::new());
    let live = server.client_builder(at_fixably::TokenKind::AdminAll).with_transport(recorder.clone()).build().unwrap();
    let orders: Vec<_> = live.list_orders().limit(70).items().try_collect().await.unwrap();
    let replay = Replay::new(recorder.recording());
    let replayed: Vec<_> = client(replay.clone()).list_orders().limit(70).items().try_collect().await.unwrap();
    assert_eq!((orders.len(), replayed.len(), replay.remaining().len()), (140, 140, 0));
}

#[tokio::test(start_paused = true)]
async fn ids_find_their_own_responses_in_any_order() {
    let order = |id: u64| (get(&format!("/api/v3/orders/{id}")), Step::json(200, json!({"id": id})));
    let list = (get("/api/v3/orders"), Step::json(200, json!([20_000_011, 20_000_010, 20_000_012])));
    let recording = recorded(Keep::default(), [list, order(20_000_010), order(20_000_011), order(20_000_012)]).await;

    // By the ids of the recording, in the order of the list.
    let replay = Replay::new(recording.clone());
    let ids = played(&replay, get("/api/v3/orders")).await;
    for id in ids.as_array().unwrap() {
        assert_eq!(played(&replay, get(&format!("/api/v3/orders/{id}"))).await, json!({"id": id}));
    }
    // By ids of the program, in the order of the recording; each stands for one.
    let replay = Replay::new(recording);
    let (first, second) = (get("/api/v3/orders/555555"), get("/api/v3/orders/777777"));
    assert_eq!(played(&replay, first).await["id"], ids[1]);
    assert_eq!(played(&replay, second).await["id"], ids[0]);
    let again = AssertUnwindSafe(played(&replay, get("/api/v3/orders/555555"))).catch_unwind().await;
    assert!(again.is_err());
}

#[tokio::test(start_paused = true)]
async fn kept_parameters_must_be_equal_and_replaced_ones_need_not() {
    let page = |offset: u32| {
        let path = format!("/api/v3/orders?q=Jane&offset={offset}&expand=lines");
        (get(&path), Step::json(200, json!({"offset": offset})))
    };
    let recording = recorded(Keep::default().with_query(["expand"]), [page(0), page(25), page(50)]).await;
    let replay = Replay::new(recording);
    for offset in [50, 0] {
        let path = format!("/api/v3/orders?expand=lines&offset={offset}&q=John");
        assert_eq!(played(&replay, get(&path)).await["offset"], offset);
    }
    for path in ["/api/v3/orders?q=Jane&offset=25&expand=notes", "/api/v3/orders?offset=25&expand=lines"] {
        assert!(AssertUnwindSafe(played(&replay, get(path))).catch_unwind().await.is_err(), "{path}");
    }
    assert_eq!(replay.remaining().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_request_without_a_response_is_named_with_the_nearest_recorded_ones() {
    let order = (get("/api/v3/orders/20000010"), Step::json(200, json!({"id": 20_000_010})));
    let customers = (get("/api/v3/customers?limit=5"), Step::json(200, json!({"items": []})));
    let replay = Replay::new(recorded(Keep::default(), [order, customers]).await);
    played(&replay, get("/api/v3/orders/20000010")).await;
    let client = client(replay.clone());
    let request = AssertUnwindSafe(client.request(Method::PUT, "orders/20000010").send::<Value>());
    let panic = request.catch_unwind().await.expect_err("a panic");
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(
        message.starts_with("the recording has no response left for PUT /api/v3/orders/20000010; the nearest"),
        "{message}"
    );
    let lines: Vec<_> = message.lines().skip(1).collect();
    assert!(lines[0].contains("GET /api/v3/orders/{") && lines[0].ends_with("} (played)"), "{message}");
    assert_eq!(lines[1].trim(), "request: GET /api/v3/customers?limit=5");
    assert_eq!(replay.remaining(), ["request: GET /api/v3/customers?limit=5"]);
}
