//! What a token endpoint may answer that it should not.

use jiff::SignedDuration;
use serde_json::{Value, json};
use servicebay::testing::Fault;
use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_takes_a_person_and_is_sent_once() {
    let repairy = repairy_testing::MockServer::builder().in_memory();
    let app = repairy::Credentials::app("test-app-key", "wr0ng", "test-partner");
    let partner =
        repairy::Client::builder(app).with_base_url(repairy.base_url()).with_transport(repairy.clone()).build();
    let fisikal = fisikal_testing::MockServer::builder().in_memory();
    let user = fisikal::Credentials::password("test-application", "wr0ng", "manager@club.example", "manager-password");
    let club = fisikal.client_builder(user).build().unwrap();
    let fentu = fentu_tenant(RefreshTokens::Rotated);
    let application = fentu::Credentials::oauth("test-application", "wr0ng", consent(&fentu));
    let office = fentu.client_builder_with(application).build().unwrap();
    let partner = partner.unwrap();
    task(&office).await.unwrap();
    sleep(HOUR).await;
    for _ in 0..10 {
        for error in [booking(&partner).await, profile(&club).await, task(&office).await] {
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
async fn an_answer_that_holds_no_token_is_told_for_what_it_is_and_asked_for_again_later() {
    for (fault, words) in [
        (Fault::html(), "web page"),
        (Fault::status(500), "token endpoint failed"),
        (Fault::status(503).with_header("content-type", "text/html"), "web page"),
        (Fault::empty(), "answered with nothing"),
        (Fault::body(200, "{"), "did not answer with JSON"),
        (Fault::body(200, "{}"), "no access_token"),
        (Fault::body(200, "[]"), "no access_token"),
        (Fault::field("access_token", ""), "no access_token"),
        (Fault::field("access_token", 7), "no access_token"),
        (Fault::oversized(2 * 1024 * 1024), "too large"),
    ] {
        let (tenant, client) = fisikal(|tenant| tenant);
        tenant.fault(fault.on("POST", "/oauth/token").times(3));
        let error = profile(&client).await.unwrap_err();
        assert!(matches!(error, Error::Decode(_) | Error::Server(_)), "{words}: {error:?}");
        assert!(error.to_string().contains(words), "{words}: {error}");
        tenant.clear_faults();
        sleep(30 * SECOND).await;
        profile(&client).await.unwrap_or_else(|error| panic!("{words}: {error}"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_web_page_in_place_of_a_refresh_costs_no_login_of_a_person() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    tenant.fault(Fault::html().on("POST", "/oauth/token"));
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    sleep(30 * SECOND).await;
    task(&client).await.unwrap();
}

fn odd_lives() -> [(Value, Option<i64>); 8] {
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
async fn a_life_that_cannot_be_is_ignored_where_none_is_documented() {
    for (life, told) in odd_lives() {
        let (tenant, client) = fisikal(|tenant| tenant);
        tenant.fault(Fault::field("expires_in", life.clone()).on("POST", "/oauth/token"));
        for _ in 0..10 {
            profile(&client).await.unwrap();
        }
        let left = client.auth_status().time_left().map(|left| left.as_secs() as i64);
        assert_eq!(left, told, "{life}");
        assert_eq!(tenant.counters().logins(), 1, "{life}");
        // Whatever it is, the end is survived.
        sleep(HOUR).await;
        profile(&client).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_that_cannot_be_gives_way_to_the_documented_one() {
    for (life, told) in odd_lives() {
        let (tenant, client) = fentu();
        task(&client).await.unwrap();
        sleep(HOUR).await;
        tenant.fault(Fault::field("expires_in", life.clone()).on("POST", "/oauth/token"));
        for _ in 0..10 {
            task(&client).await.unwrap();
        }
        let left = client.auth_status().time_left().map(|left| left.as_secs() as i64);
        assert_eq!(left, Some(told.unwrap_or(3600)), "{life}");
        assert_eq!(tenant.counters().refreshes(), 1, "{life}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_without_a_life_is_taken_like_one_that_cannot_be() {
    let (tenant, client) = fisikal(|tenant| tenant);
    let answer = json!({"access_token": tenant.access_token(), "token_type": "Bearer"});
    tenant.fault(Fault::body(200, answer.to_string()).on("POST", "/oauth/token"));
    profile(&client).await.unwrap();
    assert_eq!(client.auth_status().expires_at(), None);
    sleep(HOUR).await;
    profile(&client).await.unwrap();
    assert_eq!(tenant.counters().unauthorized(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_token_with_a_line_break_is_refused_unseen_and_the_rotated_refresh_token_is_kept() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    tenant.fault(Fault::field("access_token", "hush\r\nx-evil: 1").on("POST", "/oauth/token"));
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hush"), "{error:?}");
    sleep(30 * SECOND).await;
    task(&client).await.unwrap();
    let counters = tenant.counters();
    assert_eq!((counters.refreshes(), counters.refused_refreshes(), counters.repeated_refreshes()), (2, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_lives_for_centuries_is_not_counted_on() {
    let (tenant, client) = repairy();
    tenant.fault(Fault::extra_field("expiresIn", 1).on("POST", "/auth/token"));
    booking(&client).await.unwrap();
    let end = client.auth_status().expires_at().unwrap();
    assert_eq!(end.duration_since(tenant.now()), SignedDuration::from_hours(48), "as documented");
}
