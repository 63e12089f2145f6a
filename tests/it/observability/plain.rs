//! The log lines of calls as `tracing-subscriber` prints them without any setting, for the person who reads them at night.
//!
//! The lines are in `plain.log`. After a change, `SERVICEBAY_BLESS=1 cargo test --test it plain` writes them anew: read them then.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use serde_json::json;
use servicebay::testing::{Script, Step};
use servicebay::{Error, RetryPolicy, fixably};

use super::{call, login_client, tokens};
use crate::source_code::root;
use crate::support::Log;

const SECOND: Duration = Duration::from_secs(1);

/// A login, then a call that is rejected by the limit, by a broken server, by a broken connection and for its token, and succeeds.
async fn a_call_that_meets_everything() -> Result<(), Error> {
    let (logins, calls) = (AtomicU32::new(0), AtomicU32::new(0));
    let respond = move |_: &_| match calls.fetch_add(1, Ordering::Relaxed) {
        0 => Step::status(429).header("retry-after", "30"),
        1 => Step::status(503).delay(2 * SECOND),
        2 => Step::dropped(),
        3 => Step::status(401),
        _ => Step::json(200, json!({})).header("x-ratelimit-remaining", "9").header("x-ratelimit-reset", "soon"),
    };
    let log_in = move |_: &_| match logins.fetch_add(1, Ordering::Relaxed) {
        0 => tokens(172_800).delay(3 * SECOND),
        _ => tokens(3600),
    };
    let policy = RetryPolicy::new().with_max_attempts(4).with_max_delay(Duration::ZERO);
    call(&login_client(log_in, respond).with_retry(policy).build()?).await
}

/// A login with a password that the vendor refuses.
async fn a_refused_login() -> Result<(), Error> {
    let refused = json!({"error": "invalid_grant", "message": "The partner is unknown."});
    call(&login_client(move |_| Step::json(401, refused.clone()), |_| Step::status(500)).build()?).await
}

/// A list with an element that is no object, and with fewer items than it says.
async fn a_list_with_losses() -> Result<(), Error> {
    let page = json!({"limit": 3, "offset": 0, "totalItems": 3, "items": [{"id": 1}, "odd", {"id": 3}]});
    let script = Script::new([Step::json(200, page)]);
    let builder = fixably::Client::builder(fixably::Credentials::bearer("token")).with_tenant("acme");
    let client = builder.with_transport(script).build()?;
    client.list_queues().limit(3).items().try_collect::<Vec<_>>().await.map(drop)
}

/// Whether a line reports a wait below two seconds. How long these are, and whether there are any, is partly random.
fn is_short_wait(line: &str) -> bool {
    line.split_once(" waited_ms=").is_some_and(|(_, time)| time.parse::<u64>().unwrap() < 2000)
}

#[tokio::test(start_paused = true)]
async fn the_log_of_a_whole_call_can_be_read_without_any_setting() {
    let log = Log::default();
    let guard = log.listen_plainly();
    a_call_that_meets_everything().await.unwrap();
    a_refused_login().await.unwrap_err();
    a_list_with_losses().await.unwrap();
    drop(guard);
    let lines =
        log.text().lines().filter(|line| !is_short_wait(line)).fold(String::new(), |lines, line| lines + line + "\n");
    let path = root().join("tests/it/observability/plain.log");
    if std::env::var_os("SERVICEBAY_BLESS").is_some() {
        fs::write(&path, &lines).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(lines, expected, "SERVICEBAY_BLESS=1 writes the new lines: read them");
}
