//! Properties of authentication: first call, refresh, 401.

use std::time::Duration;

use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use servicebay::testing::Fault;
use servicebay::{Error, MemoryStore, RetryPolicy};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{AuthCase, Refreshable, Vendor, read};

const SECOND: Duration = Duration::from_secs(1);

fn generation<C: AuthCase>(client: &super::Client<C>) -> u64 {
    C::Vendor::status(client).generation()
}

pub(super) async fn the_first_call_authenticates<C: AuthCase>() {
    let case = C::new();
    let client = case.client();
    for _ in 0..3 {
        read::<C>(&client).await.unwrap();
    }
    assert_eq!(case.server().token_requests(), C::LOGINS);
    assert_eq!(case.server().counters().unauthorized(), 0);
}

pub(super) async fn a_login_before_the_first_call_is_the_only_one<C: AuthCase>() {
    let case = C::new();
    let client = case.client();
    for _ in 0..2 {
        let status = C::Vendor::log_in(&client).await.unwrap();
        assert_eq!(status.generation(), generation::<C>(&client));
        assert_eq!(case.server().token_requests(), C::LOGINS);
    }
    read::<C>(&client).await.unwrap();
    assert_eq!(case.server().token_requests(), C::LOGINS);
}

pub(super) async fn the_current_token_costs_one_login_and_has_no_scheme<C: AuthCase>() {
    let case = C::new();
    let client = case.client();
    let token = C::Vendor::current_token(&client).await.unwrap();
    assert_eq!(case.server().token_requests(), C::LOGINS);
    read::<C>(&client).await.unwrap();
    let again = C::Vendor::current_token(&client).await.unwrap();
    assert_eq!(case.server().token_requests(), C::LOGINS);
    assert_eq!(token.expose_secret(), again.expose_secret());
    assert!(!token.expose_secret().is_empty() && !token.expose_secret().contains(' '));
}

pub(super) async fn a_login_without_a_connection_fails_as_a_call_does<C: AuthCase>() {
    let case = C::new();
    let client = case.client();
    case.server().fault(Fault::status(503).always());
    match C::Vendor::log_in(&client).await {
        Ok(_) => assert_eq!(C::LOGINS, 0, "there was nothing to ask for"),
        Err(error) => {
            assert!(matches!(error, Error::Server(_)), "{error:?}");
            assert_eq!(error.call_error().unwrap().status().unwrap(), 503);
        }
    }
}

pub(super) async fn ten_thousand_first_callers_make_at_most_one_login<C: AuthCase>() {
    let case = C::new();
    let client = case.client();
    let responses = join_all((0..10_000).map(|_| read::<C>(&client))).await;
    assert!(responses.iter().all(Result::is_ok), "{:?}", responses.iter().find(|response| response.is_err()));
    assert_eq!(case.server().token_requests(), C::LOGINS);
}

pub(super) async fn a_token_is_refreshed_in_its_last_fifth_without_delaying_callers<C: Refreshable>() {
    let case = C::new();
    let client = case.client();
    read::<C>(&client).await.unwrap();
    let end = Instant::now() + C::LIFETIME;
    sleep_until(end - C::LIFETIME / 4).await;
    read::<C>(&client).await.unwrap();
    sleep(SECOND).await;
    assert_eq!(case.server().token_requests(), C::LOGINS, "a quarter of its lifetime is left, which is too early");

    sleep_until(end - 60 * SECOND).await;
    case.server().fault(Fault::delay(20 * SECOND).on("POST", C::REFRESH_PATH));
    for _ in 0..100 {
        let started = Instant::now();
        read::<C>(&client).await.unwrap();
        assert_eq!(started.elapsed(), Duration::ZERO, "the old token is still used");
    }
    sleep(25 * SECOND).await;
    assert_eq!(case.server().token_requests(), C::LOGINS + 1);

    sleep_until(end + SECOND).await;
    let started = Instant::now();
    read::<C>(&client).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO, "the new token is ready");
    let counters = case.server().counters();
    assert_eq!((case.server().token_requests(), counters.unauthorized()), (C::LOGINS + 1, 0));
}

pub(super) async fn a_refresh_completes_after_all_its_callers_are_canceled<C: Refreshable>() {
    let (case, store) = (C::new(), MemoryStore::new());
    let client = case.builder().with_token_store(store.clone()).build().unwrap();
    read::<C>(&client).await.unwrap();
    let before = generation::<C>(&client);

    sleep(C::LIFETIME).await;
    case.server().fault(Fault::delay(10 * SECOND).on("POST", C::EXPIRED_PATH));
    let callers = join_all((0..10).map(|_| read::<C>(&client)));
    assert!(timeout(5 * SECOND, callers).await.is_err(), "they wait for the new token");
    sleep(10 * SECOND).await;

    assert_eq!(case.server().token_requests(), C::LOGINS + 1);
    assert_eq!(generation::<C>(&client), before + 1);
    let started = Instant::now();
    read::<C>(&client).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO, "the new token is used");
    let other = case.builder().with_token_store(store).build().unwrap();
    read::<C>(&other).await.unwrap();
    assert_eq!(generation::<C>(&other), before + 1, "the new token is stored");
    let counters = case.server().counters();
    assert_eq!((case.server().token_requests(), counters.unauthorized()), (C::LOGINS + 1, 0));
}

pub(super) async fn an_early_refresh_completes_after_the_call_that_started_it_is_canceled<C: Refreshable>() {
    let case = C::new();
    let client = case.client();
    read::<C>(&client).await.unwrap();
    let before = generation::<C>(&client);

    sleep(C::LIFETIME - 60 * SECOND).await;
    case.server().fault(Fault::delay(10 * SECOND).on("POST", C::REFRESH_PATH));
    case.server().fault(Fault::delay(30 * SECOND).on("GET", C::Vendor::READ));
    assert!(timeout(SECOND, read::<C>(&client)).await.is_err(), "the call takes longer");
    sleep(10 * SECOND).await;

    assert_eq!(case.server().token_requests(), C::LOGINS + 1);
    assert_eq!(generation::<C>(&client), before + 1);
    assert_eq!(case.server().counters().repeated_refreshes(), 0);
}

pub(super) async fn ten_thousand_callers_at_expiry_make_one_token_request<C: Refreshable>() {
    let case = C::new();
    let client = case.client();
    read::<C>(&client).await.unwrap();
    sleep(C::LIFETIME).await;
    case.server().fault(Fault::delay(SECOND).on("POST", C::EXPIRED_PATH));
    let started = Instant::now();
    let responses = join_all((0..10_000).map(|_| read::<C>(&client))).await;
    assert!(responses.iter().all(Result::is_ok), "{:?}", responses.iter().find(|response| response.is_err()));
    assert_eq!(case.server().token_requests(), C::LOGINS + 1);
    assert_eq!(started.elapsed().as_secs(), 1, "no caller waits longer than the token request takes");
}

pub(super) async fn a_401_is_retried_once_with_a_new_token<C: AuthCase>() {
    let case = C::new();
    // This holds even for a client that never retries.
    let client = case.builder().with_retry(RetryPolicy::never()).build().unwrap();
    read::<C>(&client).await.unwrap();
    case.server().end_access_tokens();
    read::<C>(&client).await.unwrap();
    let counters = case.server().counters();
    assert_eq!((counters.unauthorized(), case.server().token_requests()), (1, C::LOGINS + 1));
}

pub(super) async fn a_second_401_is_unauthorized<C: AuthCase>() {
    let case = C::new();
    let client = case.client();
    read::<C>(&client).await.unwrap();
    case.server().fault(Fault::status(401).on("GET", C::Vendor::READ).times(2));
    match read::<C>(&client).await {
        Err(error @ Error::Unauthorized(_)) => {
            assert!(error.is_auth() && !error.is_retryable());
            assert_eq!(error.call_error().map(servicebay::CallError::attempts), Some(2));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(case.server().token_requests(), C::LOGINS + 1);
    read::<C>(&client).await.unwrap();
    assert_eq!(case.server().token_requests(), C::LOGINS + 1);
}

pub(super) async fn a_write_refused_with_401_is_sent_again<C: AuthCase>() {
    let case = C::new();
    let client = case.client();
    read::<C>(&client).await.unwrap();
    case.server().end_access_tokens();
    C::Vendor::write(&client).await.unwrap();
    let counters = case.server().counters();
    assert_eq!((counters.unauthorized(), counters.operation(C::Vendor::WRITE.0)), (1, 2));
}

pub(super) async fn a_401_for_a_static_token_fails_immediately<C: AuthCase>() {
    let case = C::new();
    let client = case.client();
    case.server().fault(Fault::status(401).on("GET", C::Vendor::READ));
    match read::<C>(&client).await {
        Err(Error::Unauthorized(failure)) => assert_eq!(failure.attempts(), 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(case.server().counters().requests(), 1);
    read::<C>(&client).await.unwrap();
}
