//! Compares what our cache does with what the `http-cache-semantics` crate decides for the same headers at the same age.
//!
//! Left out is what we decide otherwise on purpose, as `docs/design/cache.md` explains: heuristics, `immutable`, and what the crate
//! panics at.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use std::time::{Duration, SystemTime};

use http_cache_semantics::{BeforeRequest, CacheOptions, CachePolicy};
use servicebay::testing::{Script, Step};
use servicebay::{CacheUse, ResponseCache, fixably};
use tokio::time::advance;

const ACCEPT: &str = "application/json";

/// What a cache does with a second request.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    /// Sends it as if nothing were stored.
    Fetch,
    /// Asks whether the stored response holds, with these validators.
    Confirm { etag: Option<String>, last_modified: Option<String> },
    /// Returns the stored response.
    Return,
}

impl Action {
    fn of_request(headers: &http::HeaderMap) -> Self {
        let value = |name| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        match (value("if-none-match"), value("if-modified-since")) {
            (None, None) => Self::Fetch,
            (etag, last_modified) => Self::Confirm { etag, last_modified },
        }
    }
}

/// What the oracle does `later` than it received a response with these headers.
fn oracle(headers: &[(&str, &str)], later: Duration) -> Action {
    let request =
        http::Request::get("https://acme.fixably.com/api/v3/orders/1").header("accept", ACCEPT).body(()).unwrap();
    let mut response = http::Response::new(());
    for (name, value) in headers {
        response.headers_mut().append(http::HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let received = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let options = CacheOptions { shared: false, cache_heuristic: 0.0, ..CacheOptions::default() };
    let policy = CachePolicy::new_options(&request, &response, received, options);
    if !policy.is_storable() {
        return Action::Fetch;
    }
    match policy.before_request(&request, received + later) {
        BeforeRequest::Fresh(_) => Action::Return,
        BeforeRequest::Stale { matches: false, .. } => Action::Fetch,
        BeforeRequest::Stale { request, .. } => Action::of_request(&request.headers),
    }
}

/// What we do.
async fn ours(headers: &[(&str, &str)], later: Duration) -> Action {
    let body = serde_json::json!({"id": 1});
    let response = headers.iter().fold(Step::json(200, body.clone()), |step, (name, value)| step.header(name, value));
    let script = Script::new([response, Step::json(200, body)]);
    let client = fixably::Client::builder(fixably::Credentials::bearer("test")).with_tenant("acme");
    let client = client.with_transport(script.clone()).with_cache(ResponseCache::new()).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    advance(later).await;
    let second = client.get_order().id(1).send().await.unwrap();
    match second.cache_use() {
        Some(CacheUse::Fresh) => Action::Return,
        None => Action::of_request(&script.requests()[1].headers),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_is_returned_confirmed_or_fetched_as_the_oracle_decides() {
    let controls = [
        None,
        Some("max-age=60"),
        Some("private, max-age=60"),
        Some("max-age=0, must-revalidate"),
        Some("public, s-maxage=5, max-age=60"),
        Some("no-cache, max-age=60"),
        Some("no-store"),
        Some("max-age=60, max-age=60"),
        Some("max-age=soon"),
        Some("stale-while-revalidate=600, max-age=60"),
        Some("max-age=\"60\""),
    ];
    let validators = [
        &[][..],
        &[("etag", "\"1\"")],
        &[("etag", "W/\"1\"")],
        &[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")],
        &[("etag", "\"1\""), ("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")],
    ];
    let dated = ("date", "Tue, 06 Jan 2026 12:00:00 GMT");
    let times = [
        &[][..],
        &[("age", "20")],
        &[("age", "garbage")],
        &[dated, ("expires", "Tue, 06 Jan 2026 12:01:00 GMT")],
        &[dated, ("expires", "Tue, 06 Jan 2026 11:00:00 GMT")],
        &[dated, ("expires", "0")],
        &[dated, ("expires", "Tue, 06 Jan 2026 12:01:00 GMT"), ("age", "59")],
        &[("pragma", "no-cache")],
    ];
    let varies = [&[][..], &[("vary", "accept")], &[("vary", "*")]];
    let mut compared = 0;
    for control in controls {
        for validators in validators {
            for times in times {
                for vary in varies {
                    let control = control.map(|control| ("cache-control", control));
                    let headers: Vec<_> = control.into_iter().chain([validators, times, vary].concat()).collect();
                    for seconds in [0, 1, 39, 40, 59, 60, 3600] {
                        let later = Duration::from_secs(seconds);
                        let (ours, oracle) = (ours(&headers, later).await, oracle(&headers, later));
                        assert_eq!(ours, oracle, "after {later:?}: {headers:?}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert_eq!(compared, 11 * 5 * 8 * 3 * 7);
}
