//! What is Fentu's own: two bases, envelopes, ids as text, and a list without pages.

use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use http::Method;
use jiff::Timestamp;
use jiff::civil::date;
use serde_json::{Value, json};
use servicebay::fentu::types::{AssetCreate, Task, WorkOrder, WorkOrderCreate, WorkOrderStatus, WorkOrderUpdate};
use servicebay::fentu::{Client, Credentials, Id};
use servicebay::testing::fentu::{BasePath, KeyKind, MockServer};
use servicebay::testing::{Fault, ResetFormat, Script, Step};
use servicebay::{Error, Open};

fn tenant() -> MockServer {
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
fn a_client_needs_no_tenant_and_begins_at_the_vendors_own_address() {
    let client = Client::builder(Credentials::api_key("test-key")).build().unwrap();
    assert_eq!(client.base_url().as_str(), "https://api.fentu.io/v1");
}

#[test]
fn a_key_that_cannot_be_one_is_refused_without_being_shown() {
    for key in ["", "two wrds", "s3cr3t\n", "s3crét"] {
        let Err(Error::Config(error)) = Client::builder(Credentials::api_key(key)).build() else {
            panic!("{key:?} was taken")
        };
        assert_eq!(error.field(), "api_key", "{key:?}");
        assert!(key.is_empty() || !error.to_string().contains(key), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_begin_together_all_find_the_base_that_holds() {
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
    let answers = futures_util::future::join_all(calls).await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
}

/// Steps of a vendor at its second base, behind those before them.
fn at_the_second_base(before: impl IntoIterator<Item = Step>) -> Script {
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
async fn a_cursor_fits_whichever_base_is_known_to_hold() {
    for tenant in [None, Some("acme")] {
        let script = at_the_second_base([]);
        let client = || {
            let builder = Client::builder(Credentials::api_key("test-key")).with_transport(script.clone());
            tenant.into_iter().fold(builder, |builder, tenant| builder.with_tenant(tenant)).build().unwrap()
        };
        let mut customers = client().list_customers().items();
        customers.try_next().await.unwrap();
        // A program that has just begun knows only the base that it was given.
        let resumed = client().list_customers().items().resume(customers.cursor());
        assert_eq!(resumed.try_collect::<Vec<_>>().await.unwrap().len(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_put_off_is_sent_to_whichever_base_holds_by_then() {
    let script = at_the_second_base([Step::status(429).header("retry-after", "3600")]);
    let client = Client::builder(Credentials::api_key("test-key")).with_transport(script.clone()).build().unwrap();
    let Err(Error::RateLimited(limited)) = client.get_task().id("task-1").send().await else { panic!("taken") };
    tokio::time::sleep(Duration::from_secs(3600)).await;
    client.get_task().id("task-2").send().await.unwrap();
    client.resume(&limited.postpone()).send::<Value>().await.unwrap();
    assert_eq!(paths(&script).last().unwrap(), "/api/v1/tasks/task-1");
}

#[tokio::test]
async fn whichever_base_the_vendor_answers_at_is_found_and_kept() {
    for (base, requests) in [(BasePath::V1, 3), (BasePath::ApiV1, 4), (BasePath::Both, 3)] {
        let tenant = MockServer::builder().with_base_path(base).in_memory();
        let client = tenant.client().unwrap();
        for _ in 0..3 {
            client.get_task().id("task-001").send().await.unwrap();
        }
        assert_eq!(tenant.counters().requests(), requests, "{base:?}");
        assert_eq!(client.base_url().path(), if base == BasePath::ApiV1 { "/api/v1" } else { "/v1" });
    }
}

#[tokio::test]
async fn a_record_that_is_at_neither_base_does_not_exist() {
    let (client, script) = scripted([Step::status(404).repeat()]);
    let error = client.get_task().id("task-1").send().await.unwrap_err();
    let Error::NotFound(failure) = &error else { panic!("{error:?}") };
    assert_eq!((failure.url().path(), failure.attempts()), ("/v1/tasks/task-1", 2));
    assert_eq!(paths(&script), ["/v1/tasks/task-1", "/api/v1/tasks/task-1"]);
}

#[tokio::test]
async fn once_a_base_was_understood_a_missing_record_costs_one_request() {
    let (client, script) = scripted([task("task-1"), Step::status(404)]);
    client.get_task().id("task-1").send().await.unwrap();
    assert!(matches!(client.get_task().id("task-2").send().await, Err(Error::NotFound(_))));
    assert_eq!(paths(&script), ["/v1/tasks/task-1", "/v1/tasks/task-2"]);
}

#[tokio::test(start_paused = true)]
async fn the_other_base_is_not_a_way_round_a_failure() {
    for status in [401, 403, 409, 422] {
        let (client, script) = scripted([Step::status(status)]);
        client.get_task().id("task-1").send().await.unwrap_err();
        assert_eq!(paths(&script).len(), 1, "{status}");
    }
}

#[tokio::test]
async fn a_write_is_made_once_wherever_it_is_understood() {
    let tenant = MockServer::builder().with_base_path(BasePath::ApiV1).in_memory();
    let body = WorkOrderCreate::new("cust-002", "Odd smell");
    let order = tenant.client().unwrap().create_work_order().body(body).send().await.unwrap();
    assert_eq!(order.id, Some("wo-10071".into()));
    assert_eq!(tenant.snapshot("work-orders/wo-10072"), Value::Null);
}

#[tokio::test]
async fn requests_that_are_not_modelled_find_the_base_too() {
    let tenant = MockServer::builder().with_base_path(BasePath::ApiV1).in_memory();
    let list =
        tenant.client().unwrap().request(Method::GET, "assets").query("per_page", 2).send::<Value>().await.unwrap();
    assert_eq!(list["data"].as_array().map(Vec::len), Some(2));
}

#[tokio::test]
async fn items_walk_every_page_once() {
    let tenant = tenant();
    let client = tenant.client().unwrap();
    for (size, requests) in [(None, 3), (Some(100), 1), (Some(23), 3), (Some(69), 1)] {
        let before = tenant.counters().requests();
        let mut list = client.list_work_orders();
        if let Some(size) = size {
            list = list.per_page(size);
        }
        let mut ids: Vec<_> = list.items().map_ok(|order| order.id.unwrap()).try_collect().await.unwrap();
        ids.sort();
        ids.dedup();
        assert_eq!((ids.len(), tenant.counters().requests() - before), (69, requests), "{size:?}");
    }
}

#[tokio::test]
async fn the_filters_go_with_every_page() {
    let tenant = tenant();
    let pages: Vec<_> =
        tenant.client().unwrap().list_assets().status("active").per_page(5).pages().try_collect().await.unwrap();
    assert_eq!(pages.iter().map(|page| page.items.len()).collect::<Vec<_>>(), [5, 5, 2]);
    assert_eq!(pages[0].meta.total_count, Some(12));
    let queries: Vec<_> = tenant.requests().iter().map(|request| request.query.clone()).collect();
    assert_eq!(
        queries,
        ["per_page=5&status=active", "page=2&per_page=5&status=active", "page=3&per_page=5&status=active"]
    );
}

#[tokio::test]
async fn a_page_past_the_end_is_empty_and_the_last() {
    let client = tenant().client().unwrap();
    let pages: Vec<_> = client.list_customers().page(40).pages().try_collect().await.unwrap();
    assert_eq!((pages.len(), pages[0].items.len()), (1, 0));
}

#[tokio::test]
async fn a_list_whose_data_is_missing_ends_the_walk_with_an_error() {
    let first = json!({"data": [{"id": "wo-1"}], "meta": {"current_page": 1, "total_pages": 3, "total_count": 3}});
    let (client, _script) = scripted([Step::json(200, first), Step::json(200, json!({"meta": {"total_count": 3}}))]);
    let mut items = client.list_work_orders().items();
    assert!(items.next().await.is_some_and(|item| item.is_ok()));
    assert!(matches!(items.next().await, Some(Err(Error::Decode(_)))));
    assert!(items.next().await.is_none());
}

#[tokio::test]
async fn a_walk_that_is_answered_with_another_page_ends_with_an_error() {
    let first = json!({"data": [{"id": "wo-1"}], "meta": {"current_page": 1, "total_pages": 3, "total_count": 3}});
    let (client, script) = scripted([Step::json(200, first).repeat()]);
    let mut items = client.list_work_orders().items();
    assert!(items.next().await.is_some_and(|item| item.is_ok()));
    let Some(Err(error)) = items.next().await else { panic!("the walk went on") };
    assert!(error.to_string().contains("page 1 instead of 2"), "{error}");
    assert!(items.next().await.is_none());
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test]
async fn an_envelope_is_opened_and_its_body_kept() {
    let (client, _script) =
        scripted([Step::json(200, json!({"data": {"id": "task-1", "colour": "blue"}, "meta": {}}))]);
    let task = client.get_task().id("task-1").send().await.unwrap();
    assert_eq!(task.id, Some("task-1".into()));
    assert_eq!(task.payload::<Value>().unwrap()["data"]["colour"], "blue");
    let task: Task = task.into_inner();
    assert_eq!(task.name, None);
}

#[tokio::test]
async fn an_envelope_with_nothing_in_it_is_no_record() {
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
async fn one_odd_value_costs_one_field() {
    let odd = json!({"data": {
        "id": 12345, "status": "paused", "priority": 2, "scheduled_date": "next week", "estimated_duration": "120",
        "technician": [], "tasks": [{"id": "task-1", "duration": "a while"}, 7], "customer": {"id": "cust-1", "address": {}},
    }});
    let (client, _script) = scripted([Step::json(200, odd)]);
    let order = client.get_work_order().id("wo-1").send().await.unwrap();
    assert_eq!((order.id.clone(), order.estimated_duration), (Some("12345".into()), Some(120)));
    assert_eq!(order.status, Some(WorkOrderStatus::Other("paused".to_owned())));
    assert_eq!(order.scheduled_date, Some(Open::Other("next week".to_owned())));
    assert_eq!((order.technician.is_none(), order.tasks.len(), order.tasks[0].duration), (true, 1, None));
    assert!(order.customer.as_ref().is_some_and(|customer| customer.id.is_some() && customer.address.is_none()));
}

#[tokio::test]
async fn an_id_stays_one_part_of_its_path() {
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
async fn an_id_that_was_read_is_taken_where_it_belongs() {
    let client = tenant().client().unwrap();
    let order = client.get_work_order().id("wo-10001").send().await.unwrap();
    let id: &Id<WorkOrder> = order.id.as_ref().unwrap();
    let tasks = client.list_work_order_tasks().work_order_id(id).send().await.unwrap();
    assert_eq!(
        tasks.iter().map(|task| task.id.clone()).collect::<Vec<_>>(),
        [Some("task-001".into()), Some("task-002".into())]
    );
}

#[tokio::test]
async fn numbers_and_dates_out_of_bounds_are_refused_before_they_are_sent() {
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
async fn dates_and_times_are_sent_as_the_vendor_writes_them() {
    let tenant = tenant();
    let client = tenant.client().unwrap();
    let day = date(2026, 3, 7);
    let planned = client.list_work_orders().from_date(day).to_date(day).send().await.unwrap();
    assert!(!planned.items.is_empty());
    assert_eq!(tenant.requests()[0].query, "from_date=2026-03-07&to_date=2026-03-07");
    let time: Timestamp = "2026-08-01T09:00:00Z".parse().unwrap();
    let body = WorkOrderUpdate::new().scheduled_date(time);
    let order = client.update_work_order().id("wo-10003").body(body).send().await.unwrap();
    assert_eq!(order.scheduled_date, Some(time.into()));
}

#[tokio::test]
async fn a_delete_is_a_success_whatever_it_answers() {
    for step in [Step::status(204), Step::json(200, json!({"message": "moved"})), Step::body(200, "text/html", "<p>")] {
        let (client, _script) = scripted([step]);
        client.delete_asset().id("asset-1").send().await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_says_what_the_vendor_says() {
    let tenant = tenant();
    let client = tenant.client().unwrap();
    let body = AssetCreate::new("Unit", "cust-001").serial_number("SN-2023-001234");
    let error = client.create_asset().body(body).send().await.unwrap_err();
    let Error::Conflict(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.code(), Some("conflict"));

    let error = client.create_work_order().body(WorkOrderCreate::new("cust-999", "x")).send().await.unwrap_err();
    let Error::Validation(invalid) = &error else { panic!("{error:?}") };
    let fields: Vec<_> = invalid.fields().map(|(field, _)| field).collect();
    assert_eq!(fields, ["customer_id"]);

    let error = tenant.client_with(KeyKind::ReadOnly).unwrap().delete_asset().id("asset-001").send().await.unwrap_err();
    let Error::Forbidden(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.operation().required_scopes(), ["write:assets"]);
}

#[tokio::test(start_paused = true)]
async fn the_reset_is_understood_in_every_form_it_may_have() {
    for format in [ResetFormat::EpochSeconds, ResetFormat::Iso8601, ResetFormat::DeltaSeconds] {
        let tenant = MockServer::builder().with_reset_format(format.clone()).in_memory();
        let client = tenant.client_builder(KeyKind::Admin).with_max_wait(Duration::from_secs(7200)).build().unwrap();
        client.get_task().id("task-001").send().await.unwrap();
        tenant.exhaust_rate_limit();
        let before = tenant.now();
        client.get_task().id("task-001").send().await.unwrap();
        let waited = tenant.now().duration_since(before).as_mins();
        assert!((59..=61).contains(&waited), "{format:?}: {waited} min");
        assert!(tenant.counters().refused() <= 1, "{format:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_answer_is_lost_is_repeated_only_where_that_is_harmless() {
    let tenant = tenant();
    let client = tenant.client().unwrap();
    tenant.fault(Fault::lost_response());
    let created = client.create_work_order().body(WorkOrderCreate::new("cust-001", "x")).send().await;
    assert!(matches!(created, Err(Error::OutcomeUnknown(_))), "{created:?}");
    tenant.fault(Fault::lost_response());
    let updated = client.update_work_order().id("wo-10001").body(WorkOrderUpdate::new().priority("low")).send().await;
    assert!(updated.is_ok(), "{updated:?}");
    assert_eq!(
        (tenant.counters().operation("create_work_order"), tenant.counters().operation("update_work_order")),
        (1, 2)
    );
}
