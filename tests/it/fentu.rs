//! What is specific to Fentu: two base paths, wrapped records, ids as text, and a list that is not paged.

mod logins;

use std::time::Duration;

use futures_util::TryStreamExt as _;
use http::Method;
use jiff::Timestamp;
use jiff::civil::date;
use serde_json::{Value, json};
use servicebay::Error;
use servicebay::fentu::types::{AssetCreate, Task, WorkOrder, WorkOrderCreate, WorkOrderUpdate};
use servicebay::fentu::{Client, Credentials, Id};
use servicebay::testing::fentu::{BasePath, KeyKind, MockServer};
use servicebay::testing::{Fault, ResetFormat, Script, Step};

fn server() -> MockServer {
    MockServer::builder().in_memory()
}

fn scripted(steps: impl IntoIterator<Item = Step>) -> (Client, Script) {
    let script = Script::new(steps);
    let client = Client::builder(Credentials::api_key("test-key")).with_transport(script.clone()).build().unwrap();
    (client, script)
}

fn paths(script: &Script) -> Vec<String> {
    script.requests().iter().map(|request| request.uri.path().to_owned()).collect()
}

fn task(id: &str) -> Step {
    Step::json(200, json!({"data": {"id": id}}))
}

#[test]
fn a_client_without_a_tenant_starts_at_the_vendors_base_url() {
    let client = Client::builder(Credentials::api_key("test-key")).build().unwrap();
    assert_eq!(client.base_url().as_str(), "https://api.fentu.io/v1");
}

#[test]
fn an_invalid_key_is_refused_and_not_shown() {
    for key in ["", "two wrds", "s3cr3t\n", "s3crét"] {
        let Err(Error::Config(error)) = Client::builder(Credentials::api_key(key)).build() else {
            panic!("{key:?} was accepted")
        };
        assert_eq!(error.field(), "api_key", "{key:?}");
        assert!(key.is_empty() || !error.to_string().contains(key), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn concurrent_calls_all_find_the_right_base_path() {
    let script = Script::new([Step::with(|request| match request.uri().path().strip_prefix("/api/v1/tasks/") {
        Some(id) => task(id).delay(Duration::from_millis(10)),
        None => Step::status(404).delay(Duration::from_millis(20)),
    })
    .repeat()]);
    let client = Client::builder(Credentials::api_key("test-key")).with_transport(script.clone()).build().unwrap();
    let calls = (0..20).map(|number| {
        let client = client.clone();
        async move {
            tokio::time::sleep(Duration::from_millis(number * 2)).await;
            client.get_task().id("task-1").send().await
        }
    });
    let responses = futures_util::future::join_all(calls).await;
    assert!(responses.iter().all(Result::is_ok), "{:?}", responses.iter().find(|response| response.is_err()));
}

/// A script that plays `before`, then responds at the second base path only.
fn at_the_second_base_path(before: impl IntoIterator<Item = Step>) -> Script {
    let step = Step::with(|request| match request.uri().path().strip_prefix("/api/v1") {
        Some("/customers") => {
            let meta = json!({"current_page": 1, "total_pages": 1, "total_count": 3});
            Step::json(200, json!({"data": [{"id": "a"}, {"id": "b"}, {"id": "c"}], "meta": meta}))
        }
        Some(_) => task("task-1"),
        None => Step::status(404),
    });
    Script::new(before.into_iter().chain([step.repeat()]))
}

#[tokio::test(start_paused = true)]
async fn a_cursor_is_valid_for_both_base_paths() {
    for tenant in [None, Some("acme")] {
        let script = at_the_second_base_path([]);
        let client = || {
            let builder = Client::builder(Credentials::api_key("test-key")).with_transport(script.clone());
            tenant.into_iter().fold(builder, |builder, tenant| builder.with_tenant(tenant)).build().unwrap()
        };
        let mut customers = client().list_customers().items();
        customers.try_next().await.unwrap();
        // A program that has just started knows only the base path that it was given.
        let resumed = client().list_customers().items().resume(customers.cursor());
        assert_eq!(resumed.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_postponed_call_is_sent_to_the_base_path_that_is_known_by_then() {
    let script = at_the_second_base_path([Step::status(429).header("retry-after", "3600")]);
    let client = Client::builder(Credentials::api_key("test-key")).with_transport(script.clone()).build().unwrap();
    let Err(Error::RateLimited(limited)) = client.get_task().id("task-1").send().await else {
        panic!("not rate limited")
    };
    tokio::time::sleep(Duration::from_secs(3600)).await;
    client.get_task().id("task-2").send().await.unwrap();
    client.resume(&limited.postpone()).send::<Value>().await.unwrap();
    assert_eq!(paths(&script).last().unwrap(), "/api/v1/tasks/task-1");
}

#[tokio::test]
async fn the_base_path_that_the_vendor_responds_at_is_found_and_kept() {
    for (base, requests) in [(BasePath::V1, 3), (BasePath::ApiV1, 4), (BasePath::Both, 3)] {
        let server = MockServer::builder().with_base_path(base).in_memory();
        let client = server.client().unwrap();
        for _ in 0..3 {
            client.get_task().id("task-001").send().await.unwrap();
        }
        assert_eq!(server.counters().requests(), requests, "{base:?}");
        assert_eq!(client.base_url().path(), if base == BasePath::ApiV1 { "/api/v1" } else { "/v1" });
    }
}

#[tokio::test]
async fn a_404_at_both_base_paths_is_not_found() {
    let (client, script) = scripted([Step::status(404).repeat()]);
    let error = client.get_task().id("task-1").send().await.unwrap_err();
    let Error::NotFound(failure) = &error else { panic!("{error:?}") };
    assert_eq!((failure.url().path(), failure.attempts()), ("/v1/tasks/task-1", 2));
    assert_eq!(paths(&script), ["/v1/tasks/task-1", "/api/v1/tasks/task-1"]);
}

#[tokio::test]
async fn after_a_success_a_missing_record_costs_one_request() {
    let (client, script) = scripted([task("task-1"), Step::status(404)]);
    client.get_task().id("task-1").send().await.unwrap();
    assert!(matches!(client.get_task().id("task-2").send().await, Err(Error::NotFound(_))));
    assert_eq!(paths(&script), ["/v1/tasks/task-1", "/v1/tasks/task-2"]);
}

#[tokio::test(start_paused = true)]
async fn other_failures_do_not_try_the_other_base_path() {
    for status in [401, 403, 409, 422] {
        let (client, script) = scripted([Step::status(status)]);
        client.get_task().id("task-1").send().await.unwrap_err();
        assert_eq!(paths(&script).len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_write_is_applied_once_at_either_base_path() {
    let server = MockServer::builder().with_base_path(BasePath::ApiV1).in_memory();
    let body = WorkOrderCreate::new("cust-002", "Odd smell");
    let order = server.client().unwrap().create_work_order().body(body).send().await.unwrap();
    assert_eq!(order.id, Some("wo-10071".into()));
    assert_eq!(server.snapshot("work-orders/wo-10072"), Value::Null);
}

#[tokio::test]
async fn raw_requests_find_the_base_path_too() {
    let server = MockServer::builder().with_base_path(BasePath::ApiV1).in_memory();
    let list =
        server.client().unwrap().request(Method::GET, "assets").query("per_page", 2).send::<Value>().await.unwrap();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn items_fetches_every_page_once() {
    let server = server();
    let client = server.client().unwrap();
    for (size, requests) in [(None, 3), (Some(100), 1), (Some(23), 3), (Some(69), 1)] {
        let before = server.counters().requests();
        let mut list = client.list_work_orders();
        if let Some(size) = size {
            list = list.per_page(size);
        }
        let mut ids: Vec<_> = list.items().map_ok(|order| order.id.unwrap()).try_collect().await.unwrap();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), server.counters().requests() - before), (69, requests), "{size:?}");
    }
}

#[tokio::test]
async fn every_page_is_requested_with_the_filters() {
    let server = server();
    let pages: Vec<_> =
        server.client().unwrap().list_assets().status("active").per_page(5).pages().try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [5, 5, 2]);
    assert_eq!(pages[0].meta.total_count, Some(12));
    let queries: Vec<_> = server.requests().iter().map(|request| request.query.clone()).collect();
    assert_eq!(
        queries,
        ["per_page=5&status=active", "page=2&per_page=5&status=active", "page=3&per_page=5&status=active"]
    );
}

#[tokio::test]
async fn a_page_after_the_end_is_empty_and_the_last() {
    let client = server().client().unwrap();
    let pages: Vec<_> = client.list_customers().page(40).pages().try_collect().await.unwrap();
    assert_eq!((pages.len(), pages[0].items.len()), (1, 0));
}

#[tokio::test]
async fn a_page_without_data_ends_the_walk_with_an_error() {
    let first = json!({"data": [{"id": "wo-1"}], "meta": {"current_page": 1, "total_pages": 3, "total_count": 3}});
    let (client, _script) = scripted([Step::json(200, first), Step::json(200, json!({"meta": {"total_count": 3}}))]);
    let mut items = client.list_work_orders().items();
    assert!(items.next().await.is_some_and(|item| item.is_ok()));
    assert!(matches!(items.next().await, Some(Err(Error::Decode(_)))));
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn a_page_that_was_not_requested_ends_the_walk_with_an_error() {
    let first = json!({"data": [{"id": "wo-1"}], "meta": {"current_page": 1, "total_pages": 3, "total_count": 3}});
    let (client, script) = scripted([Step::json(200, first).repeat()]);
    let mut items = client.list_work_orders().items();
    assert!(items.next().await.is_some_and(|item| item.is_ok()));
    let Some(Err(error @ Error::Decode(_))) = items.next().await else { panic!("the walk continued") };
    assert!(error.to_string().contains("page 1 instead of 2"), "{error}");
    assert!(items.next().await.is_none());
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test]
async fn a_record_is_unwrapped_and_the_whole_body_kept() {
    let (client, _script) = scripted([Step::json(200, json!({"data": {"id": "task-1", "color": "blue"}, "meta": {}}))]);
    let task = client.get_task().id("task-1").send().await.unwrap();
    assert_eq!(task.id, Some("task-1".into()));
    assert_eq!(task.payload::<Value>().unwrap()["data"]["color"], "blue");
    let task: Task = task.into_inner();
    assert_eq!(task.name, None);
}

#[tokio::test]
async fn an_empty_wrapper_is_an_error() {
    for body in [json!({}), json!({"data": []}), json!([]), json!({"id": "task-1"})] {
        let (client, _script) = scripted([Step::json(200, body.clone())]);
        let error = client.get_task().id("task-1").send().await.unwrap_err();
        assert!(matches!(error, Error::Decode(_)), "{body}: {error:?}");
    }
    let (client, _script) = scripted([Step::json(200, json!({"data": null}))]);
    let error = client.get_task().id("task-1").send().await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
}

#[tokio::test]
async fn an_invalid_value_costs_only_its_own_field() {
    let body = json!({"data": {
        "id": 12345, "status": "paused", "priority": 2, "scheduled_date": "next week", "estimated_duration": "120",
        "technician": [], "tasks": [{"id": "task-1", "duration": "a while"}, 7], "customer": {"id": "cust-1", "address": {}},
    }});
    let (client, _script) = scripted([Step::json(200, body)]);
    let order = client.get_work_order().id("wo-1").send().await.unwrap();
    assert_eq!((order.id.clone(), order.estimated_duration), (Some("12345".into()), Some(120)));
    assert_eq!(order.status, Some("paused".into()));
    assert_eq!(order.scheduled_date, Some("next week".into()));
    assert_eq!((order.technician.is_none(), order.tasks.len(), order.tasks[0].duration), (true, 1, None));
    assert!(order.customer.as_ref().is_some_and(|customer| customer.id.is_some() && customer.address.is_none()));
}

#[tokio::test]
async fn an_id_stays_one_segment_of_its_path() {
    let (client, script) = scripted([task("x"), task("x")]);
    client.get_task().id("../customers/1?x=1#y").send().await.unwrap();
    client.get_task().id("täsk 1").send().await.unwrap();
    assert_eq!(paths(&script), ["/v1/tasks/..%2Fcustomers%2F1%3Fx=1%23y", "/v1/tasks/t%C3%A4sk%201"]);
    for id in ["", ".", ".."] {
        let error = client.get_task().id(id).send().await.unwrap_err();
        assert!(matches!(error, Error::InvalidRequest(_)), "{id:?}: {error:?}");
    }
}

#[tokio::test]
async fn an_id_from_a_response_is_accepted_by_setters() {
    let client = server().client().unwrap();
    let order = client.get_work_order().id("wo-10001").send().await.unwrap();
    let id: &Id<WorkOrder> = order.id.as_ref().unwrap();
    let tasks = client.list_work_order_tasks().work_order_id(id).send().await.unwrap();
    assert_eq!(
        tasks.iter().map(|task| task.id.clone()).collect::<Vec<_>>(),
        [Some("task-001".into()), Some("task-002".into())]
    );
}

#[tokio::test]
async fn numbers_and_dates_out_of_bounds_are_refused_before_sending() {
    let (client, script) = scripted([]);
    for error in [
        client.list_work_orders().per_page(0).send().await.unwrap_err(),
        client.list_work_orders().per_page(101).send().await.unwrap_err(),
        client.list_work_orders().page(0).send().await.unwrap_err(),
        client.list_work_orders().from_date("02.03.2026").send().await.unwrap_err(),
        client.list_customers().created_after("").send().await.unwrap_err(),
        client.get_work_order().send().await.unwrap_err(),
        client.create_work_order().send().await.unwrap_err(),
    ] {
        assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
    }
    assert_eq!(script.requests().len(), 0);
}

#[tokio::test]
async fn dates_and_times_are_sent_in_the_vendors_format() {
    let server = server();
    let client = server.client().unwrap();
    let day = date(2026, 3, 7);
    let planned = client.list_work_orders().from_date(day).to_date(day).send().await.unwrap();
    assert!(!planned.items.is_empty());
    assert_eq!(server.requests()[0].query, "from_date=2026-03-07&to_date=2026-03-07");
    let time: Timestamp = "2026-08-01T09:00:00Z".parse().unwrap();
    let body = WorkOrderUpdate::new().scheduled_date(time);
    let order = client.update_work_order().id("wo-10003").body(body).send().await.unwrap();
    assert_eq!(order.scheduled_date, Some(time.into()));
}

#[tokio::test]
async fn a_delete_succeeds_with_any_response_body() {
    for step in [Step::status(204), Step::json(200, json!({"message": "moved"})), Step::body(200, "text/html", "<p>")] {
        let (client, _script) = scripted([step]);
        client.delete_asset().id("asset-1").send().await.unwrap();
    }
}

#[tokio::test]
async fn an_error_shows_the_vendors_code_and_fields() {
    let server = server();
    let client = server.client().unwrap();
    let body = AssetCreate::new("Unit", "cust-001").serial_number("SN-2023-001234");
    let error = client.create_asset().body(body).send().await.unwrap_err();
    let Error::Conflict(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.code(), Some("conflict"));

    let error = client.create_work_order().body(WorkOrderCreate::new("cust-999", "x")).send().await.unwrap_err();
    let Error::Validation(invalid) = &error else { panic!("{error:?}") };
    let fields: Vec<_> = invalid.fields().map(|(field, _)| field).collect();
    assert_eq!(fields, ["customer_id"]);

    let error = server.client_with(KeyKind::ReadOnly).unwrap().delete_asset().id("asset-001").send().await.unwrap_err();
    let Error::Forbidden(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.operation().required_scopes(), ["write:assets"]);
}

#[tokio::test(start_paused = true)]
async fn the_reset_is_read_in_every_format() {
    for format in [ResetFormat::EpochSeconds, ResetFormat::Iso8601, ResetFormat::DeltaSeconds] {
        let server = MockServer::builder().with_reset_format(format.clone()).in_memory();
        let client = server.client_builder(KeyKind::Admin).with_max_wait(Duration::from_secs(7200)).build().unwrap();
        client.get_task().id("task-001").send().await.unwrap();
        server.exhaust_rate_limit();
        let before = server.now();
        client.get_task().id("task-001").send().await.unwrap();
        let waited = server.now().duration_since(before).as_mins();
        assert!((59..=61).contains(&waited), "{format:?}: {waited} min");
        assert!(server.counters().refused() <= 1, "{format:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_with_a_lost_response_is_repeated_only_if_that_is_harmless() {
    let server = server();
    let client = server.client().unwrap();
    server.fault(Fault::lost_response());
    let created = client.create_work_order().body(WorkOrderCreate::new("cust-001", "x")).send().await;
    assert!(matches!(created, Err(Error::OutcomeUnknown(_))), "{created:?}");
    server.fault(Fault::lost_response());
    let updated = client.update_work_order().id("wo-10001").body(WorkOrderUpdate::new().priority("low")).send().await;
    assert!(updated.is_ok(), "{updated:?}");
    assert_eq!(
        (server.counters().operation("create_work_order"), server.counters().operation("update_work_order")),
        (1, 2)
    );
}
