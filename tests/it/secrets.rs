//! Secrets (contract A13): nothing that can be printed contains one, and only the tenant's host receives one.

use std::fmt::Write as _;

use serde_json::json;
use servicebay::fixably;
use servicebay::testing::Step;

use crate::support::{Log, SECRET, builder, client, order, print, refused};

#[tokio::test(start_paused = true)]
async fn nothing_that_can_be_printed_contains_the_token() {
    let echo = json!({"developerMessage": format!("{SECRET} is not valid"), "echo": SECRET});
    let mut printed = String::new();
    for step in [
        Step::json(401, echo.clone()).header("x-request-id", SECRET),
        Step::json(403, echo.clone()),
        Step::json(500, echo.clone()),
        Step::status(302).header("location", format!("https://evil.example/?{SECRET}")),
        Step::body(200, "text/html", format!("<p>{SECRET}</p>")),
        Step::body(200, "application/json", "?").header("content-encoding", SECRET),
        Step::dropped(),
        refused("1000"),
    ] {
        let (client, script) = client([step.repeat()]);
        let error = client.get_order().id(1).send().await.unwrap_err();
        print(&mut printed, &error);
        writeln!(printed, "{client:?} {client:#?} {:?} {:?}", client.auth_status(), client.rate_limit()).unwrap();
        writeln!(printed, "{:?} {:?}", client.list_orders(), client.list_orders().items()).unwrap();
        writeln!(printed, "{:?} {:?}", client.request(http::Method::GET, "x"), builder(&script)).unwrap();
    }
    for credentials in [fixably::Credentials::bearer(SECRET), fixably::Credentials::user_token(SECRET)] {
        writeln!(printed, "{credentials:?} {credentials:#?}").unwrap();
    }
    assert!(printed.len() > 5000);
    let line = printed.lines().find(|line| line.contains(SECRET));
    assert_eq!(line, None);
}

#[tokio::test(start_paused = true)]
async fn no_event_contains_the_token() {
    let log = Log::default();
    let guard = log.listen();
    let echo = json!({"developerMessage": SECRET, "total": {"odd": SECRET}, "id": 1});
    let (client, _script) = client([
        refused("banana").header("retry-after", "soon"),
        Step::json(503, echo.clone()),
        Step::dropped(),
        Step::json(200, echo),
    ]);
    client.get_order().id(1).send().await.unwrap();
    drop(guard);
    let log = log.text();
    for event in ["invalid rate limit header", "will be repeated", "another shape"] {
        assert!(log.contains(event), "{event} is missing in\n{log}");
    }
    assert!(!log.contains(SECRET), "{log}");
}

#[tokio::test]
async fn the_token_is_marked_sensitive_so_that_http2_does_not_index_it() {
    let (client, script) = client([order()]);
    client.get_order().id(1).send().await.unwrap();
    assert!(script.requests()[0].headers["authorization"].is_sensitive());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_is_repeated_in_escaped_form_or_in_a_url_is_redacted() {
    let escaped = SECRET.replace('/', "\\/");
    let unicode = SECRET.replace('=', "\\u003d");
    for step in [
        Step::body(401, "application/json", format!("{{\"developerMessage\": \"bad {escaped}\"}}")),
        Step::body(401, "application/json", format!("{{\"developerMessage\": \"bad {unicode}\"}}")),
        Step::status(302).header("location", format!("https://evil.example/{SECRET}")),
        Step::status(302).header("location", format!("/login/{SECRET}")),
    ] {
        let (client, _script) = client([step]);
        let error = client.get_order().id(1).send().await.unwrap_err();
        let printed = format!("{error} {error:?} {}", error.support_report());
        assert!(!printed.contains(SECRET) && !printed.contains(&escaped), "{printed}");
    }
}
