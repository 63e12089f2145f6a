//! Getting in, and staying in.

use std::time::Duration;

use futures_util::future::join_all;
use servicebay::testing::Fault;
use servicebay::{Error, MemoryStore, RetryPolicy};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Renewed, Vendor, WayIn, read};

const SECOND: Duration = Duration::from_secs(1);

fn generation<W: WayIn>(client: &super::Client<W>) -> u64 {
    W::Vendor::status(client).generation()
}

pub(super) async fn the_first_call_gets_in<W: WayIn>() {
    let way = W::new();
    let client = way.client();
    for _ in 0..3 {
        read::<W>(&client).await.unwrap();
    }
    assert_eq!(way.tenant().token_requests(), W::LOGINS);
    assert_eq!(way.tenant().counters().unauthorized(), 0);
}

pub(super) async fn ten_thousand_first_callers_make_one_login_at_most<W: WayIn>() {
    let way = W::new();
    let client = way.client();
    let answers = join_all((0..10_000).map(|_| read::<W>(&client))).await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
    assert_eq!(way.tenant().token_requests(), W::LOGINS);
}

pub(super) async fn a_token_is_renewed_in_its_last_fifth_and_callers_lose_no_time<W: Renewed>() {
    let way = W::new();
    let client = way.client();
    read::<W>(&client).await.unwrap();
    let end = Instant::now() + W::LIFE;
    sleep_until(end - W::LIFE / 4).await;
    read::<W>(&client).await.unwrap();
    sleep(SECOND).await;
    assert_eq!(way.tenant().token_requests(), W::LOGINS, "a quarter of its life is left, which is too early");

    sleep_until(end - 60 * SECOND).await;
    way.tenant().fault(Fault::delay(20 * SECOND).on("POST", W::RENEWAL));
    for _ in 0..100 {
        let begun = Instant::now();
        read::<W>(&client).await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "the old token still serves");
    }
    sleep(25 * SECOND).await;
    assert_eq!(way.tenant().token_requests(), W::LOGINS + 1);

    sleep_until(end + SECOND).await;
    let begun = Instant::now();
    read::<W>(&client).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO, "the new token is there");
    let counters = way.tenant().counters();
    assert_eq!((way.tenant().token_requests(), counters.unauthorized()), (W::LOGINS + 1, 0));
}

pub(super) async fn a_renewal_goes_on_when_all_its_callers_are_gone<W: Renewed>() {
    let (way, store) = (W::new(), MemoryStore::new());
    let client = way.builder().with_token_store(store.clone()).build().unwrap();
    read::<W>(&client).await.unwrap();
    let before = generation::<W>(&client);

    sleep(W::LIFE).await;
    way.tenant().fault(Fault::delay(10 * SECOND).on("POST", W::SUCCESSION));
    let callers = join_all((0..10).map(|_| read::<W>(&client)));
    assert!(timeout(5 * SECOND, callers).await.is_err(), "they wait for the new token");
    sleep(10 * SECOND).await;

    assert_eq!(way.tenant().token_requests(), W::LOGINS + 1);
    assert_eq!(generation::<W>(&client), before + 1);
    let begun = Instant::now();
    read::<W>(&client).await.unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO, "the new token is used");
    let other = way.builder().with_token_store(store).build().unwrap();
    read::<W>(&other).await.unwrap();
    assert_eq!(generation::<W>(&other), before + 1, "the new token is stored");
    let counters = way.tenant().counters();
    assert_eq!((way.tenant().token_requests(), counters.unauthorized()), (W::LOGINS + 1, 0));
}

pub(super) async fn a_renewal_ahead_of_the_end_outlives_the_call_that_began_it<W: Renewed>() {
    let way = W::new();
    let client = way.client();
    read::<W>(&client).await.unwrap();
    let before = generation::<W>(&client);

    sleep(W::LIFE - 60 * SECOND).await;
    way.tenant().fault(Fault::delay(10 * SECOND).on("POST", W::RENEWAL));
    way.tenant().fault(Fault::delay(30 * SECOND).on("GET", W::Vendor::READ));
    assert!(timeout(SECOND, read::<W>(&client)).await.is_err(), "the call takes longer");
    sleep(10 * SECOND).await;

    assert_eq!(way.tenant().token_requests(), W::LOGINS + 1);
    assert_eq!(generation::<W>(&client), before + 1);
    assert_eq!(way.tenant().counters().repeated_refreshes(), 0);
}

pub(super) async fn ten_thousand_callers_at_the_end_make_one_token_request<W: Renewed>() {
    let way = W::new();
    let client = way.client();
    read::<W>(&client).await.unwrap();
    sleep(W::LIFE).await;
    way.tenant().fault(Fault::delay(SECOND).on("POST", W::SUCCESSION));
    let begun = Instant::now();
    let answers = join_all((0..10_000).map(|_| read::<W>(&client))).await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
    assert_eq!(way.tenant().token_requests(), W::LOGINS + 1);
    assert_eq!(begun.elapsed().as_secs(), 1, "nobody waits longer than the token request takes");
}

pub(super) async fn a_401_is_repeated_once_with_a_new_token<W: WayIn>() {
    let way = W::new();
    // Not even a client that never retries is stopped by it.
    let client = way.builder().with_retry(RetryPolicy::never()).build().unwrap();
    read::<W>(&client).await.unwrap();
    way.tenant().end_access_tokens();
    read::<W>(&client).await.unwrap();
    let counters = way.tenant().counters();
    assert_eq!((counters.unauthorized(), way.tenant().token_requests()), (1, W::LOGINS + 1));
}

pub(super) async fn a_second_401_is_unauthorized<W: WayIn>() {
    let way = W::new();
    let client = way.client();
    read::<W>(&client).await.unwrap();
    way.tenant().fault(Fault::status(401).on("GET", W::Vendor::READ).times(2));
    match read::<W>(&client).await {
        Err(error @ Error::Unauthorized(_)) => {
            assert!(error.is_auth() && !error.is_retryable());
            assert_eq!(error.call_error().map(servicebay::CallError::attempts), Some(2));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(way.tenant().token_requests(), W::LOGINS + 1);
    read::<W>(&client).await.unwrap();
    assert_eq!(way.tenant().token_requests(), W::LOGINS + 1);
}

pub(super) async fn a_write_that_a_401_refused_is_sent_again<W: WayIn>() {
    let way = W::new();
    let client = way.client();
    read::<W>(&client).await.unwrap();
    way.tenant().end_access_tokens();
    W::Vendor::write(&client).await.unwrap();
    let counters = way.tenant().counters();
    assert_eq!((counters.unauthorized(), counters.operation(W::Vendor::WRITE.0)), (1, 2));
}

pub(super) async fn a_401_is_told_at_once_where_nothing_can_be_renewed<W: WayIn>() {
    let way = W::new();
    let client = way.client();
    way.tenant().fault(Fault::status(401).on("GET", W::Vendor::READ));
    match read::<W>(&client).await {
        Err(Error::Unauthorized(failure)) => assert_eq!(failure.attempts(), 1),
        other => panic!("{other:?}"),
    }
    assert_eq!(way.tenant().counters().requests(), 1);
    read::<W>(&client).await.unwrap();
}
