//! Responses of a token endpoint that it should not send.

use jiff::SignedDuration;
use serde_json::{Value, json};
use servicebay::testing::Fault;
use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_requires_a_person_and_is_sent_once() {
    let repairy = repairy_testing::MockServer::builder().in_memory();
    let app = repairy::Credentials::app("test-app-key", "wr0ng", "test-partner");
    let repairy_client =
        repairy::Client::builder(app).with_base_url(repairy.base_url()).with_transport(repairy.clone()).build();
    let fisikal = fisikal_testing::MockServer::builder().in_memory();
    let user = fisikal::Credentials::password("test-application", "wr0ng", "manager@club.example", "manager-password");
    let fisikal_client = fisikal.client_builder(user).build().unwrap();
    let fentu = fentu_server(RefreshTokens::Rotated);
    let application = fentu::Credentials::oauth("test-application", "wr0ng", consent(&fentu));
    let fentu_client = fentu.client_builder_with(application).build().unwrap();
    let repairy_client = repairy_client.unwrap();
    task(&fentu_client).await.unwrap();
    sleep(HOUR).await;
    for _ in 0..10 {
        for error in [booking(&repairy_client).await, profile(&fisikal_client).await, task(&fentu_client).await] {
            let error = error.unwrap_err();
            assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
            assert!(error.call_error().unwrap().message().is_some(), "the vendor's words: {error:?}");
            assert!(!error.to_string().contains("wr0ng"), "{error}");
        }
        sleep(60 * SECOND).await;
    }
    let refused = [repairy.counters().refused_logins(), fisikal.counters().refused_logins()];
    assert_eq!((refused, fentu.counters().refused_refreshes()), ([1, 1], 1));
}

#[tokio::test(start_paused = true)]
async fn a_response_without_a_token_is_a_precise_error_and_requested_again_later() {
    for (fault, words) in [
        (Fault::html(), "web page"),
        (Fault::status(500), "/oauth/token failed"),
        (Fault::status(503).with_header("content-type", "text/html"), "web page"),
        (Fault::empty(), "empty body"),
        (Fault::body(200, "{"), "is not JSON"),
        (Fault::body(200, "{}"), "no access_token"),
        (Fault::body(200, "[]"), "no access_token"),
        (Fault::field("access_token", ""), "no access_token"),
        (Fault::field("access_token", 7), "no access_token"),
        (Fault::oversized(2 * 1024 * 1024), "larger than 1048576 bytes"),
    ] {
        let (server, client) = fisikal(|server| server);
        server.fault(fault.on("POST", "/oauth/token").times(3));
        let error = profile(&client).await.unwrap_err();
        assert!(matches!(error, Error::Decode(_) | Error::Server(_)), "{words}: {error:?}");
        assert!(error.to_string().contains(words), "{words}: {error}");
        server.clear_faults();
        sleep(30 * SECOND).await;
        profile(&client).await.unwrap_or_else(|error| panic!("{words}: {error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_web_page_in_response_to_a_refresh_does_not_require_a_login_by_a_person() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    server.fault(Fault::html().on("POST", "/oauth/token"));
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    sleep(30 * SECOND).await;
    task(&client).await.unwrap();
}

fn lifetimes() -> [(Value, Option<i64>); 8] {
    [
        (json!(0), None),
        (json!(-1), None),
        (json!(null), None),
        (json!(1e12), None),
        (json!("soon"), None),
        (json!("3600"), Some(3600)),
        (json!(7200), Some(7200)),
        (json!(90.5), Some(90)),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_invalid_lifetime_is_ignored_if_none_is_documented() {
    for (lifetime, expected) in lifetimes() {
        let (server, client) = fisikal(|server| server);
        server.fault(Fault::field("expires_in", lifetime.clone()).on("POST", "/oauth/token"));
        for _ in 0..10 {
            profile(&client).await.unwrap();
        }
        let left = client.auth_status().time_left().map(|left| left.as_secs() as i64);
        assert_eq!(left, expected, "{lifetime}");
        assert_eq!(server.counters().logins(), 1, "{lifetime}");
        // It recovers from the expiry, whatever the lifetime.
        sleep(HOUR).await;
        profile(&client).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn an_invalid_lifetime_is_replaced_by_the_documented_one() {
    for (lifetime, expected) in lifetimes() {
        let (server, client) = fentu();
        task(&client).await.unwrap();
        sleep(HOUR).await;
        server.fault(Fault::field("expires_in", lifetime.clone()).on("POST", "/oauth/token"));
        for _ in 0..10 {
            task(&client).await.unwrap();
        }
        let left = client.auth_status().time_left().map(|left| left.as_secs() as i64);
        assert_eq!(left, Some(expected.unwrap_or(3600)), "{lifetime}");
        assert_eq!(server.counters().refreshes(), 1, "{lifetime}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_missing_lifetime_is_treated_like_an_invalid_one() {
    let (server, client) = fisikal(|server| server);
    let body = json!({"access_token": server.access_token(), "token_type": "Bearer"});
    server.fault(Fault::body(200, body.to_string()).on("POST", "/oauth/token"));
    profile(&client).await.unwrap();
    assert_eq!(client.auth_status().expires_at(), None);
    sleep(HOUR).await;
    profile(&client).await.unwrap();
    assert_eq!(server.counters().unauthorized(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_with_a_line_break_is_rejected_without_being_shown_and_the_rotated_refresh_token_is_kept() {
    let (server, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    server.fault(Fault::field("access_token", "hush\r\nx-evil: 1").on("POST", "/oauth/token"));
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
    sleep(30 * SECOND).await;
    task(&client).await.unwrap();
    let counters = server.counters();
    assert_eq!((counters.refreshes(), counters.refused_refreshes(), counters.repeated_refreshes()), (2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_lifetime_of_centuries_is_replaced_by_the_documented_one() {
    let (server, client) = repairy();
    server.fault(Fault::extra_field("expiresIn", 1).on("POST", "/auth/token"));
    booking(&client).await.unwrap();
    let expires_at = client.auth_status().expires_at().unwrap();
    assert_eq!(expires_at.duration_since(server.now()), SignedDuration::from_hours(48), "as documented");
}
