//! Requests: what is sent, and what is rejected before anything is sent.

use http::Method;
use serde_json::{Value, json};
use servicebay::Error;
use servicebay::fixably::types::{CustomerWrite, NoteInput, NoteType, NotesCreate, OrderCreate};
use servicebay::fixably::{Expand, Query};
use servicebay::testing::Step;

use crate::support::{client, order};

fn empty() -> Step {
    Step::json(200, json!({"limit": 25, "offset": 0, "totalItems": 0, "items": []}))
}

/// The parameter and the message of a call that was not sent.
fn unsent<T: std::fmt::Debug>(result: Result<T, Error>) -> (String, String) {
    match result {
        Err(Error::InvalidRequest(error)) => (error.parameter().to_owned(), error.to_string()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_request_has_the_headers_of_every_request() {
    let (client, script) = client([order()]);
    client.get_order().id(1).send().await.unwrap();
    let request = &script.requests()[0];
    assert_eq!(
        (request.method.as_str(), request.uri.to_string().as_str()),
        ("GET", "https://acme.fixably.com/api/v3/orders/1")
    );
    assert_eq!(request.headers["accept"], "application/json");
    assert!(request.headers["user-agent"].to_str().unwrap().starts_with("servicebay/"));
    assert!(!request.headers.contains_key("api-version") && !request.headers.contains_key("content-type"));
}

#[tokio::test]
async fn limits_out_of_bounds_are_rejected_before_anything_is_sent() {
    let (client, script) = client([]);
    for limit in [0, 101, u32::MAX] {
        let (parameter, message) = unsent(client.list_orders().limit(limit).send().await);
        assert_eq!(parameter, "limit");
        assert!(message.contains("1 to 100"), "{message}");
    }
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn limits_within_bounds_are_sent() {
    let (client, script) = client([empty(), empty()]);
    for limit in [1, 100] {
        client.list_orders().limit(limit).send().await.unwrap();
    }
    assert_eq!(script.requests()[1].uri.query(), Some("limit=100"));
}

#[tokio::test]
async fn an_offset_together_with_a_page_is_rejected_before_anything_is_sent() {
    let (client, script) = client([]);
    let (_, message) = unsent(client.list_orders().offset(10).page(2).send().await);
    assert!(message.contains("cannot be combined"), "{message}");
    let (parameter, _) = unsent(client.list_orders().page(0).send().await);
    assert_eq!(parameter, "page");
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn a_missing_id_or_body_is_rejected_by_name() {
    let (client, _script) = client([]);
    let (parameter, message) = unsent(client.get_order().send().await);
    assert_eq!(parameter, "id");
    assert!(message.contains(".id(..)"), "{message}");
    let (parameter, _) = unsent(client.get_order_line().id(1).send().await);
    assert_eq!(parameter, "order_id");
    let (parameter, message) = unsent(client.create_order().send().await);
    assert_eq!(parameter, "body");
    assert!(message.contains(".body(..)"), "{message}");
}

#[tokio::test]
async fn path_parameters_can_be_set_in_any_order() {
    let (client, script) = client([order(), order()]);
    client.get_order_line().id(5).order_id(20000010).send().await.unwrap();
    client.get_customer_child().customer_id(1).id(2).send().await.unwrap();
    assert_eq!(script.requests()[0].uri.path(), "/api/v3/orders/20000010/lines/5");
    assert_eq!(script.requests()[1].uri.path(), "/api/v3/customers/1/children/2");
}

#[tokio::test]
async fn typed_searches_and_expansions_are_sent_escaped() {
    let (client, script) = client([empty()]);
    let since: jiff::Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
    let query = Query::field("isClosed").is(false).and(Query::field("updatedAt").since(since));
    let expand = Expand::new().with("customer").with_many("lines", Expand::new().with("product"));
    client.list_orders().q(query).expand(expand).send().await.unwrap();
    let url = url::Url::parse(&script.requests()[0].uri.to_string()).unwrap();
    let parameters: Vec<_> = url.query_pairs().map(|(name, value)| format!("{name}={value}")).collect();
    assert!(parameters.contains(&"q=isClosed:false,updatedAt:[2026-03-01,]".to_owned()), "{parameters:?}");
    assert!(parameters.contains(&"expand=items(customer,lines(items(product)))".to_owned()), "{parameters:?}");
    assert_eq!(parameters.len(), 2);
}

#[tokio::test]
async fn raw_searches_and_expansions_are_sent_as_they_are() {
    let (client, script) = client([empty()]);
    let raw = "status.id:(450,454)!,jill & co";
    client.list_orders().q(raw).expand("items(status)").send().await.unwrap();
    let url = url::Url::parse(&script.requests()[0].uri.to_string()).unwrap();
    let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    assert_eq!((value("q").as_deref(), value("expand").as_deref()), (Some(raw), Some("items(status)")));
}

#[tokio::test]
async fn an_invalid_search_is_rejected_before_anything_is_sent() {
    let (client, script) = client([]);
    let (parameter, _) = unsent(client.list_customers().q(Query::field("company").is("Acme, Inc.")).send().await);
    assert_eq!(parameter, "q");
    let (parameter, _) = unsent(client.list_customers().expand(Expand::new().with("a,b")).send().await);
    assert_eq!(parameter, "expand");
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn a_body_contains_what_was_set_and_nothing_else() {
    let (client, script) = client([order(), Step::json(201, json!([])), order()]);
    let create = OrderCreate::new().reference("R-1").customer(7).is_draft(true);
    client.create_order().body(create).send().await.unwrap();
    let notes = NotesCreate::new([NoteInput::new(NoteType::Issue).text("Cracked").created_by(107460)]);
    client.create_order_notes().order_id(1).body(notes).send().await.unwrap();
    let customer = CustomerWrite::new().phone("1").with_extra("company", Value::Null);
    client.update_customer().id(1).body(customer).send().await.unwrap();

    let requests = script.requests();
    let body = |index: usize| serde_json::from_slice::<Value>(&requests[index].body).unwrap();
    assert_eq!(body(0), json!({"reference": "R-1", "customer": {"id": 7}, "isDraft": true}));
    assert_eq!(body(1), json!({"notes": [{"type": "ISSUE", "text": "Cracked", "createdBy": 107460}]}));
    assert_eq!(body(2), json!({"phone": "1", "company": null}));
    assert_eq!(requests[0].headers["content-type"], "application/json");
}

#[tokio::test]
async fn the_id_in_a_link_can_be_passed_to_the_next_call() {
    let linked = json!({"id": 1, "customer": {"href": "https://acme.fixably.com/api/v3/customers/77"}});
    let (client, script) = client([Step::json(200, linked), Step::json(200, json!({"id": 77}))]);
    let order = client.get_order().id(1).send().await.unwrap();
    let customer = order.customer.as_ref().and_then(|customer| customer.id()).unwrap();
    client.get_customer().id(customer).send().await.unwrap();
    assert_eq!(script.requests()[1].uri.path(), "/api/v3/customers/77");
}

#[tokio::test]
async fn a_raw_request_stays_below_the_base_url() {
    let (client, script) = client([order()]);
    let request = client.request(Method::GET, "/orders/1/anything").query("a b", "c&d").query("n", 5);
    request.send::<Value>().await.unwrap();
    assert_eq!(
        script.requests()[0].uri.to_string(),
        "https://acme.fixably.com/api/v3/orders/1/anything?a%20b=c%26d&n=5"
    );
    for path in ["https://evil.com/x", "//evil.com/x", "../../x", ""] {
        let (parameter, _) = unsent(client.request(Method::GET, path).send::<Value>().await);
        assert_eq!(parameter, "path", "{path}");
    }
    assert_eq!(script.requests().len(), 1);
}

#[tokio::test]
async fn futures_and_builders_can_be_sent_to_other_tasks() {
    let (client, _script) = client([order()]);
    let call = client.get_order().id(1);
    drop(client);
    let order = tokio::spawn(call.send()).await.unwrap().unwrap();
    assert_eq!(order.id(), Some(1.into()));
}
