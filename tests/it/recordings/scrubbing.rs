//! What scrubbing keeps out of a recording.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};
use http::Request;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use proptest::prelude::*;
use serde_json::{Value, json};
use servicebay::testing::{Fault, Keep, Recorder, Step, fisikal as at_fisikal};
use servicebay::{Body, fisikal};

use super::{builder, get, recorded, recorder};
use crate::support::SECRET;

/// Values that must not appear in a recording, in any form.
const PLANTED: [&str; 30] = [
    "Jane Dœ",
    "jane.doe@mail.example",
    "+61 412 345 678",
    "0498765432",
    "61498765431",
    "Rue de l'Église 12",
    "2019-07-04",
    "1980-05-17T06:07:08Z",
    "DE89370400440532013000",
    "4111111111111111",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "sk_live_4eC39HqLyj5",
    "hunter2/\"quoted\"",
    "line\nbreak",
    "eyJhbGciOiJIUzI1NiJ9.e30.sig",
    "session=deadbeef",
    "acme-gmbh",
    "9876543.25",
    "-33.8688197",
    "IMEI 356938035643809",
    "C02XG0FDH7JY",
    "not a date: 2019-07-05",
    "customers/jane",
    "Привет",
    "🦀🦀",
    "<b>Jane</b>",
    "https://acme.example/u/jane?key=v4lue#frag",
    "data:text/plain;base64,SmFuZQ==",
    "Null Island",
    "Mr. Smith's \\ cat",
];

/// Every form in which a text could leak.
fn forms(text: &str) -> Vec<String> {
    let json = Value::from(text).to_string();
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let form: String = url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let mut forms = vec![
        text.to_owned(),
        json[1..json.len() - 1].to_owned(),
        escaped,
        form,
        utf8_percent_encode(text, NON_ALPHANUMERIC).to_string(),
    ];
    if text.len() > 4 {
        forms.extend([STANDARD.encode(text), STANDARD_NO_PAD.encode(text), URL_SAFE.encode(text)]);
    }
    forms
}

fn assert_absent(file: &str, texts: &[&str]) {
    for text in texts {
        for form in forms(text) {
            assert!(!file.contains(&form), "{text:?} as {form:?} in\n{file}");
        }
    }
}

/// Plants a text everywhere that a request and its response have room for one.
fn planted(text: &str) -> (Request<Body>, Step) {
    let encoded = utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let url = format!(
        "https://{}/api/v3/orders/{encoded}?q={encoded}&json={}&{encoded}=1",
        "acme-gmbh.fixably.com",
        utf8_percent_encode(&json!({"limit": [0, 25], "name": text}).to_string(), NON_ALPHANUMERIC)
    );
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    let body = json!({
        "name": text,
        "number": number,
        "list": [text, [text], {"deep": {"deeper": [text]}}],
        "by_key": {text: {"total": 1}},
        "encoded": STANDARD.encode(text),
        "escaped": Value::from(text).to_string(),
        "href": format!("https://acme-gmbh.fixably.com/api/v3/customers/{encoded}?q={encoded}"),
        "path": format!("/api/v3/customers/{encoded}"),
        "message": format!("The customer {text} is unknown."),
        "password": text,
        "status": "open",
    });
    let request = Request::post(url)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {}", STANDARD.encode(text)))
        .header("cookie", STANDARD.encode(text))
        .body(Body::from(body.to_string()))
        .unwrap();
    let step = Step::json(200, body)
        .header("set-cookie", text.replace('\n', " ").as_bytes())
        .header("x-request-id", text.replace('\n', " ").as_bytes())
        .header("etag", format!("\"{encoded}\""))
        .header("location", format!("/api/v3/orders/{encoded}"))
        .header("x-customer", encoded.as_bytes())
        .header("x-ratelimit-policy", format!("\"{encoded}\";q=100;w=60;pk=:{}:", STANDARD.encode(text)))
        .header("content-disposition", format!("attachment; filename=\"{encoded}\""))
        .header("www-authenticate", format!("Bearer realm=\"{encoded}\", error=\"invalid_token\""));
    (request, step)
}

#[tokio::test(start_paused = true)]
async fn nothing_personal_and_no_secret_is_in_a_recording_in_any_form() {
    let mut exchanges: Vec<_> = PLANTED.iter().map(|text| planted(text)).collect();
    for text in PLANTED {
        let form: String = url::form_urlencoded::Serializer::new(String::new()).append_pair("name", text).finish();
        let request = Request::post("https://acme-gmbh.fixably.com/api/v3/orders")
            .header("content-type", "application/x-www-form-urlencoded; charset=acme-gmbh")
            .body(Body::from(form))
            .unwrap();
        exchanges.push((request, Step::body(200, "text/html; name=acme-gmbh", format!("<p>{text}</p>"))));
        // Almost JSON, which the client would repair.
        let broken = format!("{{\"name\": \"{}\u{1}\"}}", text.replace(['\\', '"', '\n'], ""));
        exchanges.push((get("/api/v3/orders"), Step::body(500, "application/json", broken)));
    }
    let recording = recorded(Keep::default().with_members(["status"]), exchanges).await;
    let file = recording.to_json();
    assert_eq!(recording.len(), 90);
    assert_absent(&file, &PLANTED);
    for kept in ["\"status\": \"open\"", "\"deeper\"", "[0,25]", ";q=100;w=60;", "\"media_type\": \"text/html\""] {
        assert!(file.contains(kept), "{kept} is missing in\n{file}");
    }
}

#[tokio::test(start_paused = true)]
async fn no_credential_is_in_the_recording_of_a_client_that_logs_in() {
    let server = at_fisikal::MockServer::builder().with_refresh_tokens().in_memory();
    let (user, password) = server.login(at_fisikal::Role::Manager);
    let (id, secret) = (at_fisikal::MockServer::CLIENT_ID, at_fisikal::MockServer::CLIENT_SECRET);
    let keep = Keep::default().with_members(["access_token", "refresh_token", "username", "echo", "code"]);
    let recorder = Recorder::new(server.clone()).with_keep(keep);
    let client = server
        .client_builder(fisikal::Credentials::password(id, secret, &*user, &*password))
        .with_transport(recorder.clone())
        .build()
        .unwrap();
    // The vendor repeats what it was sent, in members that are kept.
    let echo =
        json!({"code": password, "echo": [format!("{user} {secret}"), "test-access-1-1", STANDARD.encode(&password)]});
    server.fault(Fault::body(200, echo.to_string()).on("GET", "/api/unified/locations/{id}"));
    let _ = client.get_location().id(1).send().await;
    assert_eq!(recorder.recording().len(), 2);
    let file = recorder.recording().to_json();
    assert_absent(&file, &[&user, &password, secret, "test-access-1-1", "test-refresh-1-1"]);
    assert!(file.contains("\"expires_in\": 3600") && file.contains("\"access_token\": \"s"), "{file}");
    assert!(!format!("{recorder:?} {recorder:#?}").contains("test-access"), "{recorder:?}");
}

#[tokio::test(start_paused = true)]
async fn the_token_of_a_client_is_not_in_its_recording_even_where_it_is_kept() {
    let keep = Keep::default().with_members(["developerMessage"]).with_headers(["x-echo"]).with_query(["echo"]);
    let step = Step::json(401, json!({"developerMessage": format!("{SECRET} is unknown")})).header("x-echo", SECRET);
    let recorder = recorder([step], keep);
    let client = builder().with_transport(recorder.clone()).build().unwrap();
    let request = client.request(http::Method::GET, "orders").query("echo", SECRET);
    request.send::<Value>().await.unwrap_err();
    assert_absent(&recorder.recording().to_json(), &[SECRET]);
}

#[tokio::test(start_paused = true)]
async fn equal_values_stay_equal_in_bodies_paths_and_queries() {
    let body = json!({
        "id": 20_000_010, "same": "20000010", "other": 20_000_011, "href": "https://acme.fixably.com/api/v3/orders/20000010",
        "created": "2026-03-02T10:00:00Z", "due": "2026-03-09", "total": 149.5, "is_open": true, "note": null, "empty": "",
    });
    let recording =
        recorded(Keep::default(), [(get("/api/v3/orders/20000010?q=20000010"), Step::json(200, body))]).await;
    let document: Value = serde_json::from_str(&recording.to_json()).unwrap();
    let exchange = &document["exchanges"][0];
    let body = &exchange["response"]["body"]["json"];
    let id = body["id"].as_u64().unwrap().to_string();
    assert!(id.len() == 8 && id != "20000010");
    assert_eq!(body["same"], json!(id));
    assert_ne!(body["other"], body["id"]);
    assert_eq!(body["href"], format!("https://host.invalid/api/v3/orders/{id}"));
    assert_eq!(exchange["request"], format!("GET /api/v3/orders/{{{id}}}?q={{{id}}}"));
    let day = |text: &Value| text.as_str().unwrap()[..10].parse::<jiff::civil::Date>().unwrap();
    assert_eq!(day(&body["created"]).until(day(&body["due"])).unwrap().get_days(), 7);
    assert!(body["total"].is_f64() && body["is_open"] == true && body["note"].is_null() && body["empty"] == "");
}

/// Any JSON, with texts that look like what vendors send.
fn any_json() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        "[a-zA-Z]{4,12}",
        "\\PC{4,20}",
        "[0-9]{5,14}",
        "[a-z]{4,8}@[a-z]{4,8}\\.example",
        "202[6-9]-0[1-9]-[0-2][1-9]",
        "/[a-z]{4,8}/[0-9]{5,8}",
        "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(prop_oneof!["[a-z]{1,3}", "[0-9]{5,12}", "[a-z]{5}@[a-z]{5}"], inner, 0..6)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

/// The texts of a value, names that are no identifiers too.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => found.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| texts(item, found)),
        Value::Object(members) => {
            for (name, member) in members {
                found.extend(
                    (!name.starts_with(|c: char| c.is_ascii_lowercase()) || name.contains('@')).then(|| name.clone()),
                );
                texts(member, found);
            }
        }
        _ => {}
    }
}

/// The form of a value: what scrubbing leaves.
fn form(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "text".to_owned(),
        Value::Array(items) => format!("{:?}", items.iter().map(form).collect::<Vec<_>>()),
        Value::Object(members) => {
            let mut members: Vec<_> = members.values().map(form).collect();
            members.sort();
            format!("{{{members:?}}}")
        }
    }
}

proptest! {
    #[test]
    fn no_text_of_a_value_is_in_its_recording_and_its_form_is(value in any_json()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        let recording = runtime.block_on(recorded(Keep::nothing(), [(get("/api/v3/orders"), Step::json(200, value.clone()))]));
        let document: Value = serde_json::from_str(&recording.to_json()).unwrap();
        let scrubbed = &document["exchanges"][0]["response"]["body"]["json"];
        prop_assert_eq!(form(scrubbed), form(&value));
        let (mut originals, printed) = (Vec::new(), scrubbed.to_string());
        texts(&value, &mut originals);
        for original in originals.iter().filter(|text| text.chars().count() >= 4) {
            let quoted = Value::from(original.as_str()).to_string();
            prop_assert!(!printed.contains(&quoted[1..quoted.len() - 1]), "{original:?} in {printed}");
        }
    }
}
