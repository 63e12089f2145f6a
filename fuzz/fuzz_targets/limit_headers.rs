//! Paces calls after any headers: no panic, and every wait is bounded.
//!
//! The input is a list of heads of responses, with an empty line between two.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use servicebay::fixably::{Client, Credentials};
use servicebay::testing::{Script, Step, Environment as _};
use servicebay::{Error, RateLimit};
use servicebay_fuzz::{response, run};
use tokio::time::Instant;

/// The default of `with_max_wait`, with room for timers, which tokio rounds up to a millisecond each.
const MAX_WAIT: Duration = Duration::from_millis(120_000 + 50);
/// The default of `with_max_window`, with room for the time that passes and for the spread of callers.
const MAX_WINDOW: i64 = 24 * 3600 + 300;
const MAX_RESPONSES: usize = 4;

fuzz_target!(|heads: &[u8]| {
    let mut responses = Vec::new();
    let mut rest = heads;
    while responses.len() < MAX_RESPONSES && !rest.is_empty() {
        let end = rest.windows(2).position(|window| window == b"\n\n").unwrap_or(rest.len());
        responses.extend(response(&rest[..end]));
        rest = rest.get(end + 2..).unwrap_or_default();
    }
    if responses.is_empty() {
        return;
    }
    let calls = responses.len() + 1;
    let success = Step::body(200, "application/json", r#"{"id": 1}"#).repeat();
    run(pace(Script::new(responses.into_iter().chain([success])), calls));
});

async fn pace(script: Script, calls: usize) {
    let client = Client::builder(Credentials::bearer("token"))
        .with_tenant("acme")
        .with_transport(script.clone())
        .build()
        .expect("the settings are valid");
    let check = |limit: &RateLimit| {
        for moment in [limit.reset_at(), limit.closed_until()].into_iter().flatten() {
            let ahead = moment.duration_since(script.wall()).as_secs();
            assert!(ahead <= MAX_WINDOW, "{ahead} s: {limit:?}");
        }
    };
    for _ in 0..calls {
        let started_at = Instant::now();
        let called = client.get_order().id(1).send().await;
        let elapsed = started_at.elapsed();
        assert!(elapsed <= MAX_WAIT, "{elapsed:?}: {called:?}");
        match &called {
            Ok(response) => check(response.rate_limit()),
            Err(error) => {
                let ahead = error.retry_after().unwrap_or_default().as_secs();
                assert!(ahead <= MAX_WINDOW as u64, "{ahead} s: {error:?}");
                if let Error::RateLimited(error) = error {
                    let ahead = error.resume_at().duration_since(script.wall()).as_secs();
                    assert!(ahead <= MAX_WINDOW, "{ahead} s: {error:?}");
                }
            }
        }
        check(&client.rate_limit());
        assert_eq!((client.rate_limit().in_flight(), client.rate_limit().waiting()), (0, 0));
    }
}
