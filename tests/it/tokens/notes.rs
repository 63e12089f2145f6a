//! The note in the store that a refresh token is about to be presented: when it is written, heard and taken back.

use serde_json::json;
use servicebay::MemoryStore;
use servicebay::testing::Fault;
use tokio::time::{Instant, sleep};

use super::scripted_store::{ScriptedStore, Write, with_fields};
use super::*;
use crate::hooked_store::{HookedStore, StoreOperation};

/// A server, and a client whose access token is stored and has this long to live.
async fn client_with_stored_tokens(left: Duration) -> (fentu_testing::MockServer, ScriptedStore, fentu::Client) {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), ScriptedStore::default());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store.clone()).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR - left).await;
    (server, store, client)
}

#[tokio::test(start_paused = true)]
async fn a_note_that_could_not_be_written_is_written_later_although_the_store_was_read_meanwhile() {
    let (server, store, client) = client_with_stored_tokens(Duration::ZERO).await;
    store.let_other_writes_fail(true);
    server.fault(Fault::lost_response().on("POST", "/oauth/token"));
    let presented_at = server.now();
    task(&client).await.unwrap_err();
    // The client waits for a late outcome, and reads the store each second. It tries to write after 1, 3, 7 and 15 s.
    sleep(8 * SECOND).await;
    let waiting = tokio::spawn(task(&client));
    sleep(2 * SECOND).await;
    assert_eq!(store.record().await.unwrap().presented_at(), None);
    store.let_other_writes_fail(false);
    sleep(6 * SECOND).await;
    assert_eq!(store.record().await.unwrap().presented_at(), Some(presented_at));
    assert!(!waiting.is_finished());
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 1);
}

#[tokio::test(start_paused = true)]
async fn a_note_that_the_store_wrote_twice_delays_no_refresh() {
    let (server, store, client) = client_with_stored_tokens(Duration::ZERO).await;
    store.next_writes([Write::Repeated]);
    let started = Instant::now();
    task(&client).await.unwrap();
    assert_eq!((started.elapsed(), server.counters().refreshes()), (Duration::ZERO, 1));
    assert_eq!(store.record().await.unwrap().generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_without_effect_leaves_no_note_in_the_store() {
    let (server, store, client) = client_with_stored_tokens(Duration::ZERO).await;
    server.fault(Fault::status(429).on("POST", "/oauth/token"));
    let presented_at = server.now();
    task(&client).await.unwrap_err();
    let notes: Vec<_> = store.written().iter().map(TokenSet::presented_at).collect();
    assert_eq!(notes, [None, Some(presented_at), None]);
    assert_eq!(store.record().await.unwrap().presented_at(), None);
    assert_eq!(server.counters().refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_note_that_could_not_be_taken_back_stops_no_later_refresh() {
    let (server, store, client) = client_with_stored_tokens(600 * SECOND).await;
    store.let_leases_last();
    store.next_writes([Write::Succeeds]);
    store.let_other_writes_fail(true);
    server.fault(Fault::status(429).on("POST", "/oauth/token"));
    for _ in 0..108 {
        task(&client).await.unwrap();
        sleep(5 * SECOND).await;
    }
    let requests = server.requests();
    assert_eq!((request_count(&requests, "/oauth/token"), server.counters().refreshes()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_is_stored_right_before_the_note_is_used_and_nothing_is_presented() {
    let (server, store, client) = client_with_stored_tokens(Duration::ZERO).await;
    let login = consent(&server).with_obtained_at(server.now());
    store.next_writes([Write::Overtaken(Box::new(|_| login))]);
    task(&client).await.unwrap();
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_client_whose_note_comes_second_waits_for_the_other_client() {
    let (server, store, client) = client_with_stored_tokens(Duration::ZERO).await;
    let note = json!({"presented_at": server.now(), "revision": 1});
    store.next_writes([Write::Overtaken(Box::new(move |record| with_fields(&record, &note)))]);
    let started = Instant::now();
    task(&client).await.unwrap();
    // The other client has ended, and no outcome can arrive any more.
    assert_eq!((started.elapsed(), server.counters().refreshes()), (30 * SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_lost_while_the_note_is_written_presents_nothing_and_leaves_no_note() {
    let (server, store, client) = client_with_stored_tokens(Duration::ZERO).await;
    store.next_writes([Write::OutlastsLease]);
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    assert!(error.to_string().contains("the lease was lost before the refresh token was presented"), "{error}");
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 0);
    let notes: Vec<_> = store.written().iter().map(|tokens| tokens.presented_at().is_some()).collect();
    assert_eq!(notes, [false, true, false]);
    assert_eq!(store.record().await.unwrap().presented_at(), None);

    sleep(30 * SECOND).await;
    task(&client).await.unwrap();
    assert_eq!(server.counters().refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_whose_outcome_is_unknown_rests_for_30_seconds_even_if_no_other_client_can_have_it() {
    let (server, store) = (fentu_server(RefreshTokens::Rotated), MemoryStore::new());
    let client = fentu_builder(&server, consent(&server)).with_token_store(store).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR).await;
    server.fault(Fault::status(503).on("POST", "/oauth/token"));
    task(&client).await.unwrap_err();
    sleep(5 * SECOND).await;
    let started = Instant::now();
    task(&client).await.unwrap();
    assert_eq!((started.elapsed(), server.counters().refreshes()), (25 * SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_was_postponed_for_the_valid_token_takes_place_as_soon_as_that_has_expired() {
    let server = fentu_server(RefreshTokens::Repeated);
    let client = fentu_builder(&server, consent(&server)).build().unwrap();
    task(&client).await.unwrap();
    sleep(HOUR - 300 * SECOND).await;
    server.fault(Fault::lost_response().on("POST", "/oauth/token"));
    task(&client).await.unwrap();
    // Half a second before the access token counts as expired, a refresh in the background presents nothing.
    sleep(269_500 * SECOND / 1000).await;
    task(&client).await.unwrap();
    sleep(SECOND / 2).await;
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 1);
    assert!(client.auth_status().last_failure().unwrap().contains("the access token serves until it expires"));
    task(&client).await.unwrap();
    assert_eq!((request_count(&server.requests(), "/oauth/token"), server.counters().refreshes()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_has_been_held_for_40_seconds_covers_no_other_token_request() {
    let server = fentu_server(RefreshTokens::Rotated);
    let store = HookedStore::slow(9 * SECOND, &[StoreOperation::Load, StoreOperation::Write]);
    let client = fentu_builder(&server, consent(&server)).with_token_store(store).build().unwrap();
    task(&client).await.unwrap();
    client.adopt_login(consent(&server)).await.unwrap();
    sleep(HOUR).await;
    // A load, a note and the refusal take 47 s, after which the first login remains.
    let refusal = Fault::body(400, r#"{"error": "invalid_grant"}"#).delayed(29 * SECOND);
    server.fault(refusal.on("POST", "/oauth/token"));
    let error = task(&client).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    assert!(error.to_string().contains("held for too long to begin another token request"), "{error}");
    assert_eq!(request_count(&server.requests(), "/oauth/token"), 1);

    sleep(30 * SECOND).await;
    task(&client).await.unwrap();
    assert_eq!((request_count(&server.requests(), "/oauth/token"), server.counters().refreshes()), (2, 1));
}
