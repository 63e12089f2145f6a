//! Row A13: tokens are sent to the client's own vendor only.

use std::fmt::Write as _;

use serde_json::json;
use servicebay::fentu::Application;
use servicebay::testing::{Fault, Script, Step};

use super::*;
use crate::support::print;

#[tokio::test]
async fn a_redirect_of_the_token_endpoint_sends_no_password_and_no_secret_elsewhere() {
    let (server, elsewhere) = tokio::join!(
        fisikal_testing::MockServer::start(),
        fisikal_testing::MockServer::builder().with_refresh_tokens().start()
    );
    let other_url = format!("{}/oauth/token", elsewhere.base_url());
    server.fault(Fault::redirect(&other_url).on("POST", "/oauth/token").always());
    let client = server.client_builder(manager(&server)).build().unwrap();
    let error = profile(&client).await.unwrap_err();
    assert!(matches!(error, Error::Api(_)), "{error:?}");
    assert!(error.to_string().contains("redirects, which is not followed"), "{error}");
    assert_eq!((server.counters().requests(), elsewhere.counters().requests()), (1, 0));
}

#[tokio::test]
async fn a_redirected_call_sends_no_token_elsewhere() {
    let (server, elsewhere) = tokio::join!(repairy_testing::MockServer::start(), repairy_testing::MockServer::start());
    let other_url = format!("{}/bookings/1", elsewhere.base_url());
    server.fault(Fault::redirect(&other_url).on("GET", "/bookings/{id}"));
    let error = booking(&server.client().unwrap()).await.unwrap_err();
    assert_eq!(error.call_error().unwrap().status().unwrap().as_u16(), 307);
    assert_eq!(elsewhere.counters().requests(), 0);
}

#[test]
fn credentials_of_every_kind_are_sent_over_plain_http_to_this_machine_only() {
    let base = "http://vendor.example";
    let tokens = TokenSet::new("a").with_refresh_token("r");
    let errors = [
        fentu::Client::builder(fentu::Credentials::oauth("id", "secret", tokens)).with_base_url(base).build().err(),
        fisikal::Client::builder(fisikal::Credentials::password("id", "secret", "user", "password"))
            .with_base_url(base)
            .build()
            .err(),
        repairy::Client::builder(repairy::Credentials::app("key", "secret", "partner"))
            .with_base_url(base)
            .build()
            .err(),
        Application::builder("id", "secret").with_base_url(base).build().err(),
    ];
    for error in errors {
        let Some(Error::Config(error)) = error else { panic!("{error:?}") };
        assert_eq!(error.field(), "base_url");
    }
    let loopback = Application::builder("id", "secret").with_base_url("http://127.0.0.1:1/v1").build();
    assert!(loopback.is_ok(), "{loopback:?}");
}

// What the vendor's responses contain does not reach errors, whatever their shape.

/// Secrets that the client holds, and one that only the response contains.
const SECRETS: [&str; 7] = [
    "app-s3cret/x==",
    "passw0rd+\"ü",
    "old-acc3ss/x==",
    "old-r3fresh/x==",
    "c0de/to-spend==",
    "new-acc3ss/x==",
    "new-r3fresh/x==",
];

/// The forms of a text in which a vendor may repeat it.
fn forms(secret: &str) -> Vec<String> {
    let json = serde_json::to_string(secret).unwrap();
    let json = json[1..json.len() - 1].to_owned();
    let unicode = secret.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let percent = secret.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let html = secret.chars().map(|c| format!("&#{};", u32::from(c))).collect();
    vec![json.replace('/', "\\/"), json, unicode, percent, html]
}

/// Bodies that repeat a secret: text, object, array, nested, cut off, and as a web page.
fn echoes(secret: &str) -> Vec<(&'static str, String)> {
    let mut echoes = vec![("text/plain", secret.to_owned())];
    for form in forms(secret) {
        for body in [
            format!(r#""{form}""#),
            format!(r#"{{"data": "{form}"}}"#),
            format!(r#"{{"{form}": 1}}"#),
            format!(r#"["{form}", 7]"#),
            format!(r#"{{"a": {{"b": [{{"token": "{form}"}}]}}}}"#),
            format!(r#"{{"access_token": ["{form}"], "accessToken": {{"x": "{form}"}}}}"#),
            format!(r#"{{"identity": "{form}"}}"#),
            format!(r#"{{"data": "{form}", "#),
            format!(r#"{{"data": "{form}"#),
        ] {
            echoes.push(("application/json", body));
        }
        echoes.push(("text/html", format!("<p>{form}</p>")));
    }
    echoes
}

/// Error bodies whose words repeat a secret.
fn quoting_errors(secret: &str) -> Vec<String> {
    let mut bodies = Vec::new();
    for form in forms(secret) {
        bodies.extend([
            format!(r#"{{"error": "invalid_grant", "error_description": "bad {form}", "access_token": ["{form}"]}}"#),
            format!(r#"{{"error": "{form}", "token": "{form}"}}"#),
            format!(r#"{{"error": {{"code": "{form}", "message": "bad {form}"}}, "token": "{form}"}}"#),
            format!(r#"{{"message": "bad {form}", "code": "{form}", "tokens": ["{form}"]}}"#),
            format!(r#"{{"errors": [{{"on": "{form}", "type": "{form}"}}], "token": "{form}"}}"#),
        ]);
    }
    bodies
}

/// Everything that can be printed after the token endpoint of each vendor responded like this.
async fn printed_after(step: Step) -> String {
    let script = Script::new([step.header("x-request-id", "req-1").repeat()]);
    let mut printed = String::new();
    let [secret, password, access, refresh, code, ..] = SECRETS;
    let tokens = TokenSet::new(access)
        .with_refresh_token(refresh)
        .with_access_expires_at("2020-01-01T00:00:00Z".parse().unwrap());
    let fentu = fentu::Client::builder(fentu::Credentials::oauth("application", secret, tokens));
    let fentu = fentu.with_tenant("acme").with_transport(script.clone()).build().unwrap();
    let user = fisikal::Credentials::password("application", secret, "user", password);
    let user = fisikal::Client::builder(user).with_tenant("club").with_transport(script.clone()).build().unwrap();
    let session = fisikal::Credentials::session("user@club.example", password, ["manager"]);
    let session = fisikal::Client::builder(session).with_tenant("club").with_transport(script.clone()).build().unwrap();
    let app = repairy::Client::builder(repairy::Credentials::app("app-key", secret, "partner"));
    let app = app.with_base_url("https://partner.example").with_transport(script.clone()).build().unwrap();
    let errors = [task(&fentu).await, profile(&user).await, profile(&session).await, booking(&app).await];
    for error in errors.into_iter().filter_map(Result::err) {
        print(&mut printed, &error);
    }
    writeln!(printed, "{fentu:?} {user:?} {session:?} {app:?}").unwrap();
    for status in [fentu.auth_status(), user.auth_status(), session.auth_status(), app.auth_status()] {
        writeln!(printed, "{status:?}").unwrap();
    }

    let application = Application::builder("application", secret).with_transport(script.clone()).build().unwrap();
    let login = application.authorize("http://127.0.0.1:4000/callback", ["read:assets"]).unwrap();
    let (_, state) = login.url().query_pairs().find(|(name, _)| name == "state").unwrap();
    let code = url::form_urlencoded::byte_serialize(code.as_bytes()).collect::<String>();
    if let Err(error) = application.exchange(&login, &format!("/callback?code={code}&state={state}")).await {
        print(&mut printed, &error);
    }
    let secret = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect::<String>();
    let denied = format!("/callback?error={secret}&error_description={secret}&state={state}");
    print(&mut printed, &application.exchange(&login, &denied).await.unwrap_err());
    printed
}

/// The secret in a text, in any form that it could be repeated in.
fn leak(printed: &str) -> Option<&'static str> {
    SECRETS.into_iter().find(|secret| {
        let debug = format!("{secret:?}");
        let forms = forms(secret).into_iter().chain([(*secret).to_owned(), debug[1..debug.len() - 1].to_owned()]);
        forms.into_iter().any(|form| printed.contains(&form))
    })
}

#[tokio::test(start_paused = true)]
async fn no_successful_token_response_reaches_an_error_whatever_its_shape() {
    for secret in SECRETS {
        for (content_type, body) in echoes(secret) {
            let printed = printed_after(Step::body(200, content_type, body.clone())).await;
            assert!(printed.contains("CallError"), "{body}: {printed}");
            assert_eq!(leak(&printed), None, "{body}: {printed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_refusal_of_a_token_endpoint_reaches_an_error_with_a_secret() {
    // The vendor may quote what was sent: all but the tokens that it grants only now.
    for secret in &SECRETS[..5] {
        let errors = quoting_errors(secret).into_iter().map(|body| ("application/json", body));
        for (content_type, body) in errors.chain(echoes(secret)) {
            for status in [400, 401, 403, 500] {
                let printed = printed_after(Step::body(status, content_type, body.clone())).await;
                assert_eq!(leak(&printed), None, "{status} {body}: {printed}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_beside_the_words_of_an_error_do_not_reach_it() {
    for secret in SECRETS {
        for body in quoting_errors(secret) {
            let printed = printed_after(Step::body(200, "application/json", body.clone())).await;
            assert_eq!(leak(&printed), None, "{body}: {printed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_call_that_cannot_be_decoded_quotes_the_token() {
    let token = SECRETS[2];
    for (content_type, body) in echoes(token) {
        let script = Script::new([Step::body(200, content_type, body.clone()).repeat()]);
        let client = fentu::Client::builder(fentu::Credentials::api_key(token)).with_transport(script).build().unwrap();
        let raw = client.request(http::Method::GET, "x").send::<u8>().await.unwrap_err();
        let mut printed = String::new();
        print(&mut printed, &raw);
        if let Err(error) = task(&client).await {
            print(&mut printed, &error);
        }
        assert!(matches!(raw, Error::Decode(_)), "{body}: {raw:?}");
        assert_eq!(leak(&printed), None, "{body}: {printed}");
    }
}

#[test]
fn no_debug_of_a_request_shows_its_body() {
    let client = fentu::Client::builder(fentu::Credentials::api_key("key")).with_transport(Script::default());
    let client = client.build().unwrap();
    let request = client.request(http::Method::POST, "users").json(&json!({"password": "hush-hush"}));
    let printed = format!("{request:?} {request:#?}");
    assert!(printed.contains("bytes") && !printed.contains("hush"), "{printed}");
}
