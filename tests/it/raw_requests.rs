//! Requests to endpoints that the crate does not model.

use http::Method;
use serde_json::{Value, json};
use servicebay::testing::{Script, Step};
use servicebay::{Conditional, Error, Multipart, Postponed, fixably};

use crate::support::{SECRET, client, refused};

const PDF: [u8; 6] = [0x25, 0x50, 0x44, 0x46, 0x00, 0xff];

#[tokio::test]
async fn a_body_is_sent_as_it_is_with_its_media_type() {
    let (client, script) = client((0..5).map(|_| Step::json(201, json!({"id": 1}))));
    let post = || client.request(Method::POST, "orders/1/attachments");
    post().bytes(PDF.to_vec(), "application/pdf").send::<Value>().await.unwrap();
    post().form([("a b", "c&d"), ("ü", "")]).send::<Value>().await.unwrap();
    let form = Multipart::new().text("title", "x").file("file", "a.pdf", "application/pdf", PDF.to_vec());
    post().multipart(form).send::<Value>().await.unwrap();
    post().json(&json!({"a": 1})).header("content-type", "application/merge-patch+json").send::<Value>().await.unwrap();
    post().bytes("", "text/plain").send::<Value>().await.unwrap();

    let requests = script.requests();
    let sent = |number: usize| (requests[number].headers["content-type"].to_str().unwrap(), &requests[number].body[..]);
    assert_eq!(sent(0), ("application/pdf", &PDF[..]));
    assert_eq!(sent(1), ("application/x-www-form-urlencoded", &b"a+b=c%26d&%C3%BC="[..]));
    let (content_type, body) = sent(2);
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").unwrap();
    assert!(body.ends_with(format!("\r\n--{boundary}--\r\n").as_bytes()));
    assert!(body.windows(PDF.len()).any(|window| window == PDF));
    assert_eq!(sent(3), ("application/merge-patch+json", &br#"{"a":1}"#[..]));
    assert_eq!(sent(4), ("text/plain", &b""[..]));
}

#[tokio::test]
async fn a_media_type_that_cannot_be_sent_is_an_error() {
    let (client, script) = client([]);
    let error = client.request(Method::POST, "x").bytes("", "text/plain\r\nx: y").send::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("header content-type"), "{error}");
    assert!(script.requests().is_empty());
}

#[tokio::test]
async fn the_bytes_of_a_response_are_returned_whatever_they_are() {
    let (client, script) = client([Step::body(200, "application/pdf", PDF.to_vec()), Step::body(200, "text/csv", "")]);
    let request = || client.request(Method::GET, "orders/1/invoice");
    let response = request().send_bytes().await.unwrap();
    assert_eq!((&response[..], &response.headers()["content-type"]), (&PDF[..], &"application/pdf".parse().unwrap()));
    assert!(request().header("accept", "text/csv").send_bytes().await.unwrap().is_empty());
    let accepted: Vec<_> = script.requests().iter().map(|request| request.headers["accept"].clone()).collect();
    assert_eq!(accepted, ["*/*", "text/csv"]);
}

#[tokio::test]
async fn a_version_that_the_caller_has_is_not_sent_again() {
    let (client, script) = client([
        Step::json(200, json!({"id": 1})).header("etag", "W/\"1\""),
        Step::body(304, "text/plain", "").header("etag", "W/\"1\""),
        Step::json(200, json!({"id": 2})).header("etag", "\"2\""),
        Step::body(200, "application/pdf", PDF.to_vec()),
        Step::status(404),
        Step::body(304, "text/plain", ""),
    ]);
    let request = || client.request(Method::GET, "orders/1");
    let etag = request().send::<Value>().await.unwrap().etag().unwrap().to_owned();
    let Conditional::NotModified(response) = request().if_none_match(&etag).send::<Value>().await.unwrap() else {
        panic!("it has not changed");
    };
    assert_eq!((response.status().as_u16(), response.etag()), (304, Some("W/\"1\"")));
    let changed = request().if_none_match(&etag).send::<Value>().await.unwrap().modified().unwrap();
    assert_eq!((changed["id"].as_u64(), changed.etag()), (Some(2), Some("\"2\"")));
    assert_eq!(request().if_none_match("\"2\"").send_bytes().await.unwrap().modified().unwrap()[..], PDF);
    assert!(matches!(request().if_none_match("\"2\"").send::<Value>().await, Err(Error::NotFound(_))));
    // Without a condition of ours it is an error: there is nothing to return.
    assert!(matches!(request().send::<Value>().await, Err(Error::Api(_))));
    let sent: Vec<_> = script.requests().iter().map(|request| request.headers.get("if-none-match").cloned()).collect();
    assert_eq!(sent[0], None);
    assert_eq!(sent[1].as_ref().unwrap(), "W/\"1\"");
    let error = request().if_none_match("\"\r\n").send::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("header if-none-match"), "{error}");
}

#[tokio::test]
async fn a_name_stands_in_errors() {
    let (client, _) = client([Step::status(400), Step::status(400), Step::status(400)]);
    let named = |method| client.request(method, "orders/1/attachments").named("list_attachments").send::<Value>();
    let errors =
        [named(Method::GET).await, named(Method::GET).await, named(Method::POST).await].map(Result::unwrap_err);
    let operations: Vec<_> = errors.iter().map(|error| error.call_error().unwrap().operation()).collect();
    assert!(operations.iter().all(|operation| operation.id() == "list_attachments"));
    assert!(std::ptr::eq(operations[0], operations[1]), "a name is made once");
    assert_eq!((operations[0].is_idempotent(), operations[2].is_idempotent()), (true, false));
}

#[tokio::test]
async fn a_prepared_request_shows_everything_but_secrets() {
    let (client, script) = client([]);
    let request = client.request(Method::PUT, "orders/1/it's").query("q", "a b").header("x-api-key", "hush");
    let request = request.json(&json!({"text": "it's"})).prepare().unwrap();
    assert_eq!((request.method(), request.headers()["x-api-key"].to_str().unwrap()), (&Method::PUT, "hush"));
    assert_eq!(request.body(), r#"{"text":"it's"}"#);
    let printed = request.to_string();
    for part in [
        r"curl -g -X PUT 'https://acme.fixably.com/api/v3/orders/1/it'\''s?q=a%20b'",
        r#" -H "authorization: Bearer $TOKEN""#,
        " -H 'accept: application/json'",
        r#" -H "x-api-key: $X_API_KEY""#,
        " -H 'content-type: application/json'",
        r#" --data-raw '{"text":"it'\''s"}'"#,
    ] {
        assert!(printed.contains(part), "{part} in {printed}");
    }
    for printed in [printed, format!("{request:?}")] {
        assert!(!printed.contains("hush") && !printed.contains(SECRET), "{printed}");
    }
    let binary = client.request(Method::POST, "x").bytes(PDF.to_vec(), "application/pdf").prepare().unwrap();
    assert!(binary.to_string().ends_with(" --data-binary @body"), "{binary}");
    assert!(matches!(client.request(Method::GET, "../x").prepare(), Err(Error::InvalidRequest(_))));
    assert!(script.requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_postponed_request_keeps_its_bytes_and_headers() {
    let (client, script) = client([refused("3600"), Step::json(201, json!({"id": 1}))]);
    let request = client.request(Method::POST, "orders/1/attachments").bytes(PDF.to_vec(), "application/pdf");
    let request = request.header("idempotency-key", "hush");
    let Err(Error::RateLimited(limited)) = request.send::<Value>().await else { panic!("the limit is exhausted") };
    let postponed = limited.postpone();
    assert!(!format!("{postponed:?} {limited:?}").contains("hush"));
    let postponed: Postponed = serde_json::from_str(&serde_json::to_string(&postponed).unwrap()).unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(3601)).await;
    client.resume(&postponed).send::<Value>().await.unwrap();
    let sent = &script.requests()[1];
    assert_eq!((&sent.body[..], &sent.headers["content-type"]), (&PDF[..], &"application/pdf".parse().unwrap()));
    assert_eq!(sent.headers["idempotency-key"], "hush");
}

/// An item of a list, as a user models it.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Named {
    id: Option<u64>,
}

#[cfg(feature = "fisikal")]
impl servicebay::fisikal::ListItem for Named {
    const ROOT: &'static str = "announcements";
}

#[tokio::test(start_paused = true)]
async fn a_list_that_is_not_modeled_is_paged_as_the_vendor_pages_its_others() {
    let server = servicebay::testing::fixably::MockServer::builder().in_memory();
    let client = server.client_builder(servicebay::testing::fixably::TokenKind::AdminAll).build().unwrap();
    let request = || client.request(Method::GET, "orders").query("expand", "items").query("limit", 7);
    let list = || request().list::<fixably::Page<Named>>().unwrap().keyed_by(|order| order.id);
    let modeled: Vec<u64> = {
        let mut orders = client.list_orders().limit(7).items();
        let mut ids = Vec::new();
        while let Some(order) = orders.try_next().await.unwrap() {
            ids.push(order.id().unwrap().to_string().parse().unwrap());
        }
        ids
    };
    for depth in [1, 4] {
        let mut orders = list().items().prefetch(depth);
        let mut ids = Vec::new();
        while let Some(order) = orders.try_next().await.unwrap() {
            ids.extend(order.id);
        }
        assert_eq!(ids, modeled);
    }
    // It goes on from a cursor, which belongs to this list alone.
    let mut orders = list().items();
    orders.try_next().await.unwrap().unwrap();
    let cursor = orders.cursor();
    let mut rest = list().items().resume(cursor.clone());
    assert_eq!(rest.try_next().await.unwrap().unwrap().id, Some(modeled[1]));
    let other = client.request(Method::GET, "customers").list::<fixably::Page<Named>>().unwrap();
    assert!(other.items().resume(cursor.clone()).try_next().await.is_err());
    // By page, from the second on.
    let mut pages = list().starting_at(servicebay::Position::Page(2)).pages();
    let second = pages.try_next().await.unwrap().unwrap();
    assert_eq!(second.items[0].id, Some(modeled[7]));
    // What the list sets itself.
    for name in ["offset", "page"] {
        let error = request().query(name, 1).list::<fixably::Page<Named>>().unwrap_err();
        assert!(error.to_string().contains("is set by the list"), "{error}");
    }
    let window = servicebay::Position::Window { start: 0, count: 5 };
    assert!(list().starting_at(window).items().try_next().await.is_err());
}

#[cfg(feature = "fisikal")]
#[tokio::test(start_paused = true)]
async fn a_window_is_added_to_the_parameters_of_a_list() {
    use servicebay::fisikal;

    let page =
        |ids: &[u64]| json!({"count": 3, "announcements": ids.iter().map(|id| json!({"id": id})).collect::<Vec<_>>()});
    let script = Script::new([Step::json(200, page(&[1, 2])), Step::json(200, page(&[3]))]);
    let client = fisikal::Client::builder(fisikal::Credentials::bearer(SECRET))
        .with_tenant("acme")
        .with_transport(script.clone());
    let client = client.build().unwrap();
    let request = client.request(Method::GET, "announcements").query("json", json!({"unified_filters": {"id": 1}}));
    let mut items = request.list::<fisikal::Page<Named>>().unwrap().items();
    let mut ids = Vec::new();
    while let Some(item) = items.try_next().await.unwrap() {
        ids.extend(item.id);
    }
    assert_eq!(ids, [1, 2, 3]);
    let second = script.requests()[1].uri.to_string();
    let (_, query) = second.split_once('?').unwrap();
    let (_, json) = url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "json").unwrap();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json, json!({"unified_filters": {"id": 1}, "limit": {"start": 2, "count": 2}}));
}
