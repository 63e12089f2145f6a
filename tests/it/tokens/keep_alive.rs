//! Row A11: what a client tells of its tokens, and how it keeps them alive while nobody calls.

use futures_util::FutureExt as _;
use jiff::SignedDuration;
use servicebay::fixably;
use servicebay::testing::{Fault, Script, Transport as _};
use tokio::time::sleep;

use super::*;

#[tokio::test(start_paused = true)]
async fn the_status_tells_ends_generation_and_the_last_renewal() {
    let (tenant, client) = fentu();
    let begun = tenant.now();
    let after = |hours| begun.checked_add(SignedDuration::from_hours(hours)).unwrap();
    let status = client.auth_status();
    assert_eq!((status.generation(), status.last_refresh(), status.renews()), (0, None, true));
    assert_eq!((status.expires_at(), status.refresh_expires_at()), (Some(after(1)), Some(after(720))));

    task(&client).await.unwrap();
    assert_eq!(client.auth_status().generation(), 1);
    sleep(HOUR).await;
    assert!(client.auth_status().is_expired());
    task(&client).await.unwrap();
    let status = client.auth_status();
    assert_eq!((status.generation(), status.is_expired()), (2, false));
    assert_eq!(status.last_refresh(), Some(after(1)));
    assert_eq!((status.expires_at(), status.refresh_expires_at()), (Some(after(2)), Some(after(721))));
    assert_eq!((status.last_failure(), status.store_failure()), (None, None));
    assert_eq!(status.time_left(), Some(HOUR));
}

#[tokio::test(start_paused = true)]
async fn the_status_tells_the_last_failure_until_a_renewal_succeeds() {
    let (tenant, client) = repairy();
    assert_eq!((client.auth_status().expires_at(), client.auth_status().generation()), (None, 0));
    tenant.fault(Fault::status(503).on("POST", "/auth/token").times(3));
    booking(&client).await.unwrap_err();
    let failure = client.auth_status().last_failure().map(str::to_owned);
    assert!(failure.as_ref().is_some_and(|failure| failure.contains("503")), "{failure:?}");
    sleep(30 * SECOND).await;
    booking(&client).await.unwrap();
    assert_eq!((client.auth_status().last_failure(), client.auth_status().days_left()), (None, Some(2)));
}

#[tokio::test(start_paused = true)]
async fn sixty_idle_days_at_repairy_take_no_second_login() {
    let (tenant, client) = repairy();
    let keeping = tokio::spawn(client.keep_alive());
    sleep(60 * DAY).await;
    assert!(!keeping.is_finished());
    booking(&client).await.unwrap();
    let counters = tenant.counters();
    assert_eq!((counters.logins(), counters.refused_refreshes(), counters.unauthorized()), (1, 0, 0));
    // 48 hours less up to 5.
    assert!((30..=34).contains(&counters.refreshes()), "{}", counters.refreshes());
}

#[tokio::test(start_paused = true)]
async fn sixty_idle_days_at_fentu_take_no_person_where_refresh_tokens_rotate() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    let keeping = tokio::spawn(client.keep_alive());
    sleep(60 * DAY).await;
    assert!(!keeping.is_finished());
    task(&client).await.unwrap();
    let counters = tenant.counters();
    assert_eq!((counters.refused_refreshes(), counters.unauthorized()), (0, 0));
    assert!(counters.refreshes() < 10, "{}: idle tokens need no more", counters.refreshes());
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_cannot_be_prolonged_ends_with_an_error_and_few_requests() {
    let (tenant, client) = fentu_with(RefreshTokens::Repeated);
    task(&client).await.unwrap();
    let keeping = tokio::spawn(client.keep_alive());
    sleep(31 * DAY).await;
    let error = keeping.now_or_never().expect("it has ended").unwrap();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert!(tenant.token_requests().len() < 50, "{}", tenant.token_requests().len());
}

#[tokio::test(start_paused = true)]
async fn keeping_alive_ends_with_the_error_when_the_login_is_revoked() {
    let (tenant, client) = fentu();
    task(&client).await.unwrap();
    let keeping = tokio::spawn(client.keep_alive());
    sleep(DAY).await;
    tenant.revoke_all();
    sleep(30 * DAY).await;
    let error = keeping.now_or_never().expect("it has ended").unwrap();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(tenant.counters().refused_refreshes(), 1);
}

#[tokio::test(start_paused = true)]
async fn keeping_alive_goes_on_over_an_identity_server_that_fails_for_a_day() {
    let (tenant, client) = repairy();
    let keeping = tokio::spawn(client.keep_alive());
    sleep(42 * HOUR).await;
    for path in ["/auth/refresh", "/auth/token"] {
        tenant.fault(Fault::status(500).on("POST", path).always());
    }
    sleep(DAY).await;
    tenant.clear_faults();
    sleep(HOUR).await;
    assert!(!keeping.is_finished());
    booking(&client).await.unwrap();
    assert_eq!((tenant.counters().logins(), tenant.counters().unauthorized()), (2, 0));
}

#[tokio::test(start_paused = true)]
async fn a_token_that_a_person_made_is_kept_until_it_expires() {
    let script = Script::new([]);
    let expires_at = script.wall().checked_add(SignedDuration::from_hours(240)).unwrap();
    let credentials = fixably::Credentials::bearer("t").with_expires_at(expires_at);
    let client = fixably::Client::builder(credentials).with_tenant("acme").with_transport(script).build().unwrap();
    let keeping = tokio::spawn(client.keep_alive());
    sleep(10 * DAY - SECOND).await;
    assert!(!keeping.is_finished());
    sleep(2 * SECOND).await;
    let error = keeping.now_or_never().expect("it has ended").unwrap();
    assert!(matches!(error, Error::Unauthorized(_)), "{error:?}");
}
