//! Bad responses: each leads to a clear error or to none, and loses no data.

use serde_json::{Value, json};
use servicebay::fixably::types::{NoteType, Order};
use servicebay::testing::Step;
use servicebay::{Error, Response};

use crate::support::{SECRET, client};

async fn read(step: Step) -> Result<Response<Order>, Error> {
    let (client, _script) = client([step.repeat()]);
    client.get_order().id(1).send().await
}

async fn decode_error(step: Step) -> Box<servicebay::DecodeError> {
    match read(step).await {
        Err(Error::Decode(decode)) => decode,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_unknown_enum_value_is_kept() {
    let order = read(Step::json(200, json!({"id": 1, "internalLocation": "ON_THE_MOON"}))).await.unwrap();
    let location = order.internal_location.as_ref().unwrap();
    assert_eq!(location.as_str(), "ON_THE_MOON");
    assert_eq!(serde_json::to_value(location).unwrap(), "ON_THE_MOON");
}

#[tokio::test(start_paused = true)]
async fn an_extra_field_stays_in_the_raw_body() {
    let order = read(Step::json(200, json!({"id": 1, "warrantyClaim": {"no": "W-1"}}))).await.unwrap();
    let raw: Value = order.payload().unwrap();
    assert_eq!(raw["warrantyClaim"]["no"], "W-1");
}

#[tokio::test(start_paused = true)]
async fn a_null_is_no_value_in_any_field() {
    let fields = serde_json::to_value(read(Step::json(200, full_order())).await.unwrap().into_inner()).unwrap();
    let names: Vec<String> = fields.as_object().unwrap().keys().cloned().collect();
    assert!(names.len() > 15, "{names:?}");
    for name in names {
        let mut invalid = full_order();
        invalid[&name] = Value::Null;
        let order = read(Step::json(200, invalid)).await;
        assert!(order.is_ok(), "{name}: {order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_value_costs_at_most_its_own_field() {
    for invalid in [
        json!("text"),
        json!(7),
        json!(-1.5),
        json!(true),
        json!([]),
        json!([1, "two"]),
        json!({}),
        json!({"a": {"b": []}}),
    ] {
        let full = full_order();
        for name in full.as_object().unwrap().keys() {
            let mut body = full.clone();
            body[name] = invalid.clone();
            let order = read(Step::json(200, body)).await;
            let order = order.unwrap_or_else(|error| panic!("{name} = {invalid}: {error}"));
            if name != "reference" {
                assert_eq!(order.reference.as_deref(), Some("R-1"), "{name} = {invalid}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_date_in_another_format_keeps_its_text() {
    let order = read(Step::json(200, json!({"id": 1, "createdAt": "24.12.2025 18:00"}))).await.unwrap();
    let created = order.created_at.as_ref().unwrap();
    assert_eq!((created.known(), created.to_string()), (None, "24.12.2025 18:00".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_number_in_a_string_is_read() {
    let order = read(Step::json(200, json!({"id": "20000010", "total": "129.90", "isClosed": "false"}))).await.unwrap();
    assert_eq!(order.id(), Some(20000010.into()));
    assert_eq!(order.total.as_ref().unwrap().as_str(), "129.90");
    assert_eq!(order.is_closed, Some(false));
}

#[tokio::test(start_paused = true)]
async fn a_string_that_arrives_as_a_number_is_read() {
    let order = read(Step::json(200, json!({"id": 1, "reference": 4711}))).await.unwrap();
    assert_eq!(order.reference.as_deref(), Some("4711"));
}

#[tokio::test(start_paused = true)]
async fn an_empty_200_is_a_decode_error() {
    let decode = decode_error(Step::status(200)).await;
    assert!(decode.to_string().contains("no body"), "{decode}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_200_is_null_if_the_response_may_be_anything() {
    let (client, _script) = client([Step::status(200)]);
    let response = client.request(http::Method::GET, "orders/1/anything").send::<Value>().await.unwrap();
    assert_eq!(*response, Value::Null);
}

#[tokio::test(start_paused = true)]
async fn html_instead_of_json_is_a_decode_error_that_keeps_the_page() {
    let page = "<!DOCTYPE html><title>Sign in</title>";
    let decode = decode_error(Step::body(200, "text/html; charset=utf-8", page)).await;
    assert!(decode.to_string().contains("web page"), "{decode}");
    assert_eq!(decode.body(), page);
    assert_eq!(decode.path(), None);
}

#[tokio::test(start_paused = true)]
async fn a_truncated_body_is_a_decode_error() {
    let decode = decode_error(Step::body(200, "application/json", r#"{"id": 1, "reference": "R-"#)).await;
    assert!(decode.to_string().contains("truncated"), "{decode}");
}

#[tokio::test(start_paused = true)]
async fn json_of_an_unexpected_shape_is_a_decode_error() {
    for body in ["7", "\"order\"", "true"] {
        let decode = decode_error(Step::body(200, "application/json", body)).await;
        assert!(decode.to_string().contains("unexpected shape"), "{decode}");
    }
    let decode = decode_error(Step::body(200, "application/json", "{} {}")).await;
    assert!(decode.to_string().contains("continues after its JSON"), "{decode}");
}

#[tokio::test(start_paused = true)]
async fn a_list_without_items_is_a_decode_error_and_not_an_empty_list() {
    for body in [json!({}), json!({"status": 200, "developerMessage": "maintenance"}), json!({"items": "none"})] {
        let (client, _script) = client([Step::json(200, body.clone())]);
        let page = client.list_orders().send().await;
        assert!(matches!(page, Err(Error::Decode(_))), "{body}: {page:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_not_an_object_costs_only_that_item() {
    let items = json!({"totalItems": 4, "items": [{"id": 1}, "two", null, {"id": 4}]});
    let (client, _script) = client([Step::json(200, items)]);
    let page = client.list_orders().send().await.unwrap();
    let ids: Vec<_> = page.items.iter().map(|order| order.id().map(|id| id.get())).collect();
    assert_eq!(ids, [Some(1), None, None, Some(4)]);
}

#[tokio::test(start_paused = true)]
async fn a_decode_error_names_the_path_of_the_value() {
    let (client, _script) = client([Step::json(200, json!({"totalItems": 1, "items": {"id": 1}}))]);
    match client.list_orders().send().await {
        Err(Error::Decode(decode)) => assert_eq!(decode.path(), Some("items")),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_20_mb_body_is_rejected_and_the_error_names_the_limit() {
    let big = format!("{{\"id\": 1, \"reference\": \"{}\"}}", "x".repeat(20_000_000));
    let decode = decode_error(Step::body(200, "application/json", big)).await;
    assert!(decode.to_string().contains("larger than 16777216 bytes"), "{decode}");
    assert!(decode.to_string().contains("with_max_body"), "{decode}");
}

#[tokio::test(start_paused = true)]
async fn the_first_mebibyte_of_a_large_error_response_is_kept() {
    let (client, _script) = client([Step::body(404, "text/plain", "x".repeat(3_000_000))]);
    let error = client.get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().body().len(), 1024 * 1024);
}

#[tokio::test(start_paused = true)]
async fn a_header_with_bytes_outside_ascii_does_no_harm() {
    let invalid = Step::json(200, json!({"id": 1}))
        .header("x-request-id", b"r\xfc\xff")
        .header("x-ratelimit-remaining", b"\xe9")
        .header("date", b"\xff\xfe")
        .header("content-type", b"application/json; \xff");
    let order = read(invalid).await.unwrap();
    assert_eq!(order.request_id(), None);
    assert_eq!(order.rate_limit().remaining(), None);
    assert_eq!(order.headers()["x-request-id"].as_bytes(), b"r\xfc\xff");
}

#[tokio::test(start_paused = true)]
async fn unknown_kinds_of_notes_survive_a_list() {
    let notes = json!({"totalItems": 2, "items": [{"id": 1, "type": "DIAGNOSIS"}, {"id": 2, "type": "SOMETHING_NEW"}]});
    let (client, _script) = client([Step::json(200, notes)]);
    let page = client.list_order_notes().order_id(1).send().await.unwrap();
    let kinds: Vec<_> = page.items.iter().filter_map(|note| note.kind.clone()).collect();
    assert_eq!(kinds, [NoteType::Diagnosis, NoteType::from("SOMETHING_NEW")]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_the_vendor_repeats_is_redacted_in_the_error() {
    let body = json!({"developerMessage": format!("bad token {SECRET}")});
    let error = read(Step::json(401, body).header("x-request-id", SECRET)).await.unwrap_err();
    let body = String::from_utf8_lossy(error.call_error().unwrap().body()).into_owned();
    for text in [error.to_string(), format!("{error:?}"), error.support_report(), body] {
        assert!(!text.contains(SECRET), "{text}");
        assert!(text.contains("[redacted]") || text.contains("CallError"), "{text}");
    }
}

/// An order with a valid value in every field.
fn full_order() -> Value {
    let link = |path: &str| json!({"href": format!("https://acme.fixably.com/api/v3/{path}")});
    json!({
        "id": 20000010,
        "href": "https://acme.fixably.com/api/v3/orders/20000010",
        "createdAt": "2026-03-01T12:00:00Z",
        "updatedAt": "2026-03-02T12:00:00Z",
        "isClosed": false,
        "isDraft": false,
        "reference": "R-1",
        "internalLocation": "STORE",
        "total": 129.9,
        "totalRemaining": 0,
        "contact": {"fullName": "Jill", "phoneNumber": "1", "emailAddress": "j@example.com", "company": null},
        "customer": {"id": 7, "href": "https://acme.fixably.com/api/v3/customers/7", "company": "Acme"},
        "orderedBy": link("customers/8"),
        "handledBy": link("users/9"),
        "device": link("devices/1"),
        "location": link("locations/1"),
        "store": link("stores/1"),
        "queue": link("queues/1"),
        "status": link("statuses/450"),
        "lines": {"limit": 25, "offset": 0, "totalItems": 1, "items": [{"id": 1, "price": "9.90", "quantity": 1}]},
        "notes": link("orders/20000010/notes"),
        "tasks": link("orders/20000010/tasks")
    })
}

#[tokio::test(start_paused = true)]
async fn a_list_instead_of_an_object_is_a_decode_error() {
    for body in [json!([]), json!([5]), json!([{"id": 1}])] {
        let (client, _script) = client([Step::json(200, body.clone())]);
        let order = client.get_order().id(1).send().await;
        assert!(matches!(order, Err(Error::Decode(_))), "{body}: {order:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_invalid_value_never_fails_a_page() {
    for invalid in [
        r#"{"id": 2, "reference": "cut \ud83d"}"#,
        r#"{"id": 2, "total": 1e999}"#,
        r#"{"id": 2, "id": 2}"#,
        r#"{"id": 2, "customer": {"id": 1, "id": 2}}"#,
        "null",
    ] {
        let body = format!(r#"{{"totalItems": 3, "items": [{{"id": 1}}, {invalid}, {{"id": 3}}]}}"#);
        let (client, _script) = client([Step::body(200, "application/json", body)]);
        let page = client.list_orders().send().await;
        assert!(page.is_ok(), "{invalid}: {page:?}");
    }
}
