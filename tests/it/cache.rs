//! The cache of responses: what is served without a request, what is confirmed, and what makes the cache forget.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;

use futures_util::future::join_all;
use http::{Method, Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use servicebay::testing::{Environment, Script, ScriptRequest, Step, WallClock};
use servicebay::{
    Body, CacheUse, CallOptions, Conditional, CountingObserver, Error, RateLimit, ResponseCache, Tenants, Transport,
    TransportError, WriteStatus, fixably,
};
use tokio::time::{Instant, advance, sleep, timeout};

use crate::support::{Log, SECRET, builder};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// A client with a cache, over a script.
fn cached(steps: impl IntoIterator<Item = Step>) -> (fixably::Client, Script) {
    let script = Script::new(steps);
    (builder(&script).with_cache(ResponseCache::new()).build().unwrap(), script)
}

/// A response with a number that is fresh for a minute.
fn fresh(id: u32) -> Step {
    Step::json(200, json!({"id": id})).header("cache-control", "max-age=60")
}

/// A response with a number and a version, which has to be confirmed each time.
fn versioned(id: u32) -> Step {
    Step::json(200, json!({"id": id})).header("etag", format!("\"{id}\""))
}

fn not_modified() -> Step {
    Step::body(304, "text/plain", "")
}

/// The number in the response to a GET, and how the cache served it.
async fn get(client: &fixably::Client, path: &str) -> (u64, Option<CacheUse>) {
    let response = client.request(Method::GET, path).send::<Value>().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.is_from_cache(), response.cache_use().is_some());
    (response["id"].as_u64().unwrap(), response.cache_use())
}

async fn post(client: &fixably::Client, path: &str) -> Result<(), Error> {
    client.request(Method::POST, path).send_bytes().await.map(drop)
}

fn header<'a>(request: &'a ScriptRequest, name: &str) -> Option<&'a str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

const FRESH: Option<CacheUse> = Some(CacheUse::Fresh);
const CONFIRMED: Option<CacheUse> = Some(CacheUse::Confirmed);
const STALE: Option<CacheUse> = Some(CacheUse::StaleIfError);

#[tokio::test(start_paused = true)]
async fn without_a_cache_every_read_is_a_request() {
    let script = Script::new([fresh(1), fresh(2)]);
    let client = builder(&script).build().unwrap();
    assert_eq!((get(&client, "orders/1").await, get(&client, "orders/1").await), ((1, None), (2, None)));
}

#[tokio::test(start_paused = true)]
async fn a_fresh_response_costs_no_request_no_permit_and_no_wait() {
    let limited = fresh(1).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "3600");
    let (client, script) = cached([limited.header("x-request-id", "r-1")]);
    let first = client.get_order().id(1).send().await.unwrap();
    assert_eq!((first.rate_limit().remaining(), first.is_from_cache()), (Some(0), false));
    let before = client.rate_limit();
    advance(30 * SECOND).await;

    // The limit has no room for an hour, and the call may not wait.
    let start = Instant::now();
    let second = client.get_order().id(1).with_max_wait(Duration::ZERO).send().await.unwrap();
    assert_eq!((second.id(), second.cache_use()), (first.id(), FRESH));
    assert_eq!((script.requests().len(), start.elapsed()), (1, Duration::ZERO));
    assert_eq!(second.headers()["age"], "30");
    assert_eq!(second.request_id(), Some("r-1"));
    // Its headers are about an earlier time: neither the caller nor the limiter gets news from them.
    let nothing = (None, None, None);
    let told = |limit: &RateLimit| (limit.limit(), limit.remaining(), limit.reset_at());
    assert_eq!(told(second.rate_limit()), nothing);
    assert!(second.headers().keys().all(|name| !name.as_str().starts_with("x-ratelimit")));
    assert_eq!(client.rate_limit(), before);
}

#[tokio::test(start_paused = true)]
async fn a_fresh_response_needs_no_token() {
    let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let world = World::new(Script::new([fresh(1)]), start);
    let credentials = fixably::Credentials::bearer(SECRET).with_expires_at(start + SignedDuration::from_secs(30));
    let client = fixably::Client::builder(credentials).with_tenant("acme").with_transport(world);
    let client = client.with_cache(ResponseCache::new()).build().unwrap();
    get(&client, "orders/1").await;
    advance(40 * SECOND).await;
    assert_eq!(get(&client, "orders/1").await, (1, FRESH));
    advance(20 * SECOND).await;
    let expired = client.request(Method::GET, "orders/1").send::<Value>().await;
    assert!(matches!(expired, Err(Error::Unauthorized(_))), "{expired:?}");
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_no_longer_fresh_is_confirmed_or_replaced() {
    let script = [
        versioned(1).header("cache-control", "max-age=60").header("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT"),
        // It confirms, and grants two minutes more. What it says about the body is not about the stored one.
        not_modified().header("cache-control", "max-age=120").header("content-length", "0").header("x-new", "1"),
        versioned(2),
        Step::json(404, json!({})),
        versioned(3),
    ];
    let (client, script) = cached(script);
    assert_eq!(get(&client, "orders/1").await, (1, None));
    advance(MINUTE).await;
    let confirmed = client.request(Method::GET, "orders/1").send::<Value>().await.unwrap();
    assert_eq!(
        (confirmed["id"].as_u64(), confirmed.status().as_u16(), confirmed.cache_use()),
        (Some(1), 200, CONFIRMED)
    );
    assert_eq!((confirmed.headers()["x-new"].as_bytes(), confirmed.etag()), (&b"1"[..], Some("\"1\"")));
    assert_eq!(confirmed.headers()["content-type"], "application/json");
    advance(2 * MINUTE - SECOND).await;
    assert_eq!(get(&client, "orders/1").await, (1, FRESH));
    advance(SECOND).await;
    assert_eq!(get(&client, "orders/1").await, (2, None));

    // What is gone is forgotten, so the next request has no condition.
    let gone = client.request(Method::GET, "orders/1").send::<Value>().await;
    assert!(matches!(gone, Err(Error::NotFound(_))), "{gone:?}");
    assert_eq!(get(&client, "orders/1").await, (3, None));
    let requests = script.requests();
    let conditions: Vec<_> = requests.iter().map(|request| header(request, "if-none-match")).collect();
    assert_eq!(conditions, [None, Some("\"1\""), Some("\"1\""), Some("\"2\""), None]);
    assert_eq!(header(&requests[1], "if-modified-since"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_is_news_for_the_rate_limit() {
    let (client, _) = cached([versioned(1), not_modified().header("x-ratelimit-remaining", "41")]);
    get(&client, "orders/1").await;
    let confirmed = client.request(Method::GET, "orders/1").send::<Value>().await.unwrap();
    assert_eq!(confirmed.rate_limit().remaining(), Some(41));
    assert_eq!(client.rate_limit().remaining(), Some(41));
}

#[tokio::test(start_paused = true)]
async fn a_weak_version_is_confirmed_like_a_strong_one() {
    let weak = |etag: &str| Step::json(200, json!({"id": 1})).header("etag", etag);
    let (client, script) = cached([weak("W/\"1\""), not_modified().header("etag", "\"1\""), not_modified()]);
    for expected in [None, CONFIRMED, CONFIRMED] {
        assert_eq!(get(&client, "orders/1").await, (1, expected));
    }
    assert_eq!(header(&script.requests()[1], "if-none-match"), Some("W/\"1\""));
}

#[tokio::test(start_paused = true)]
async fn a_304_that_names_another_version_is_not_believed() {
    let (client, script) = cached([versioned(1), not_modified().header("etag", "\"2\""), versioned(2)]);
    get(&client, "orders/1").await;
    assert_eq!(get(&client, "orders/1").await, (2, None));
    assert_eq!(header(&script.requests()[2], "if-none-match"), None);
}

#[tokio::test(start_paused = true)]
async fn a_304_to_a_request_without_a_condition_is_an_error_and_is_not_stored() {
    let (client, _) = cached([not_modified().header("cache-control", "max-age=60"), fresh(1)]);
    let error = client.request(Method::GET, "orders/1").send::<Value>().await.unwrap_err();
    assert!(matches!(error, Error::Api(_)), "{error:?}");
    assert_eq!(get(&client, "orders/1").await, (1, None));
}

#[tokio::test(start_paused = true)]
async fn garbage_headers_make_nothing_fresh_and_break_nothing() {
    let long = "9".repeat(300);
    for (name, value) in [
        ("cache-control", &b"max-age=\xff"[..]),
        ("cache-control", b"\xff\xfe,,=;\"max-age=60"),
        ("cache-control", b"max-age=60, no-store"),
        ("cache-control", b"max-age=-1"),
        ("cache-control", b"max-age=60\", x"),
        ("age", long.as_bytes()),
        ("etag", b"*"),
        ("etag", b"\"1\", \"2\""),
        ("last-modified", b"\xff"),
        ("expires", b"Thu, 01 Jan 99999 00:00:00 GMT"),
        ("vary", b"*"),
    ] {
        let step = |id| {
            let step = Step::json(200, json!({"id": id})).header(name, value);
            let is_age_or_vary = matches!(name, "age" | "vary");
            if is_age_or_vary { step.header("cache-control", "max-age=60") } else { step }
        };
        let (client, script) = cached([step(1), step(2)]);
        get(&client, "orders/1").await;
        assert_eq!(get(&client, "orders/1").await, (2, None), "{name}: {value:?}");
        assert_eq!(header(&script.requests()[1], "if-none-match"), None, "{name}: {value:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_old_on_arrival_or_took_long_is_fresh_for_less() {
    let (client, _) = cached([fresh(1).header("age", "40").delay(15 * SECOND), fresh(2)]);
    get(&client, "orders/1").await;
    advance(4 * SECOND).await;
    let stored = client.request(Method::GET, "orders/1").send::<Value>().await.unwrap();
    assert_eq!((stored.cache_use(), &stored.headers()["age"]), (FRESH, &"59".parse().unwrap()));
    advance(SECOND).await;
    assert_eq!(get(&client, "orders/1").await, (2, None));
}

/// A script with a wall clock that can be set.
#[derive(Clone, Debug)]
struct World {
    script: Script,
    clock: WallClock,
}

impl World {
    fn new(script: Script, start: Timestamp) -> Self {
        Self { script, clock: WallClock::starting_at(start) }
    }
}

impl Transport for World {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        self.script.send(request)
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl Environment for World {
    fn identity(&self) -> usize {
        self.script.identity()
    }

    fn wall_clock(&self) -> Option<WallClock> {
        Some(self.clock)
    }
}

#[tokio::test(start_paused = true)]
async fn setting_the_wall_clock_makes_no_response_fresh_for_longer() {
    let dated = |id: u32| {
        let step = Step::json(200, json!({"id": id})).header("date", "Thu, 01 Jan 2026 12:00:00 GMT");
        step.header("expires", "Thu, 01 Jan 2026 12:01:00 GMT")
    };
    for jump in [SignedDuration::from_hours(-48), SignedDuration::ZERO, SignedDuration::from_hours(48)] {
        let world = World::new(Script::new([dated(1), dated(2), dated(3)]), "2026-01-01T12:00:00Z".parse().unwrap());
        let client = fixably::Client::builder(fixably::Credentials::bearer(SECRET)).with_tenant("acme");
        let client = client.with_transport(world.clone()).with_cache(ResponseCache::new()).build().unwrap();
        // The clock is wrong from the beginning, or is set in between.
        world.clock.jump(jump);
        get(&client, "orders/1").await;
        advance(MINUTE - SECOND).await;
        assert_eq!(get(&client, "orders/1").await, (1, FRESH), "{jump}");
        world.clock.jump(-jump);
        advance(SECOND).await;
        assert_eq!(get(&client, "orders/1").await, (2, None), "{jump}");
        world.clock.jump(jump.abs());
        let expected = if jump.is_zero() { (2, FRESH) } else { (3, None) };
        assert_eq!(get(&client, "orders/1").await, expected, "the machine may have slept: {jump}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_outdates_its_path_the_paths_above_and_below_and_what_they_are_about() {
    for (method, path) in [
        (Method::POST, "orders"),
        (Method::PUT, "orders/1"),
        (Method::PATCH, "orders/1/lines/5"),
        (Method::DELETE, "orders/1"),
        (Method::from_bytes(b"PURGE").unwrap(), "orders/1"),
    ] {
        let (client, script) = cached([fresh(1).repeat()]);
        let paths = ["orders", "orders/1", "orders/1/lines", "orders/1/lines/5", "customers/3"];
        for path in paths.iter().chain(&["statuses", "orders/1"]) {
            get(&client, path).await;
        }
        assert_eq!(script.requests().len(), 6);
        client.request(method.clone(), path).send::<Value>().await.unwrap();
        for path in paths {
            assert_eq!(get(&client, path).await.1, None, "{path} after {method} {path}");
        }
        assert_eq!(get(&client, "statuses").await.1, FRESH, "reference data changes with itself only");
        client.request(method, "statuses/1").send::<Value>().await.unwrap();
        assert_eq!(get(&client, "statuses").await.1, None);
    }
}

#[tokio::test(start_paused = true)]
async fn reads_are_no_writes_and_a_write_that_was_never_sent_outdates_nothing() {
    let (client, script) = cached([fresh(1), Step::status(200), Step::status(200)]);
    get(&client, "orders/1").await;
    for method in [Method::HEAD, Method::OPTIONS] {
        client.request(method, "orders/1").send_bytes().await.unwrap();
    }
    let invalid = client.request(Method::POST, "orders").header("content-length", "1").send_bytes().await;
    assert!(matches!(invalid, Err(Error::InvalidRequest(_))), "{invalid:?}");
    assert_eq!(get(&client, "orders/1").await, (1, FRESH));
    assert_eq!(script.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_read_that_was_in_flight_when_a_write_began_is_not_stored() {
    let slow = fresh(1).delay(10 * SECOND);
    let (client, _) = cached([slow, Step::status(204).delay(SECOND), fresh(2), fresh(3)]);
    let reading = tokio::spawn({
        let client = client.clone();
        async move { get(&client, "orders/1").await }
    });
    sleep(SECOND).await;
    post(&client, "orders/1/close").await.unwrap();
    assert_eq!(reading.await.unwrap(), (1, None), "the caller gets what the vendor sent");
    assert_eq!(get(&client, "orders/1").await, (2, None));
    assert_eq!(get(&client, "orders/1").await, (2, FRESH));
}

#[tokio::test(start_paused = true)]
async fn a_read_during_a_write_is_not_stored() {
    let (client, _) = cached([Step::status(204).delay(10 * SECOND), fresh(1), fresh(2)]);
    let writing = tokio::spawn({
        let client = client.clone();
        async move { post(&client, "orders").await }
    });
    sleep(SECOND).await;
    assert_eq!(get(&client, "orders").await, (1, None));
    writing.await.unwrap().unwrap();
    assert_eq!(get(&client, "orders").await, (2, None));
    assert_eq!(get(&client, "orders").await, (2, FRESH));
}

#[tokio::test(start_paused = true)]
async fn after_a_write_whose_response_was_lost_nothing_is_stored_for_a_minute() {
    let (client, script) = cached([fresh(1), Step::dropped(), fresh(2).repeat()]);
    get(&client, "orders/1").await;
    let lost = post(&client, "orders").await;
    assert!(matches!(lost, Err(Error::OutcomeUnknown(_))), "{lost:?}");
    for _ in 0..2 {
        assert_eq!(get(&client, "orders/1").await, (2, None), "the vendor may still apply the write");
    }
    advance(MINUTE).await;
    assert_eq!(get(&client, "orders/1").await, (2, None));
    assert_eq!(get(&client, "orders/1").await, (2, FRESH));
    assert_eq!(script.requests().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_write_whose_caller_gave_up_counts_as_one_with_an_unknown_outcome() {
    let (client, _) = cached([fresh(1), Step::status(204).delay(10 * SECOND), fresh(2), fresh(3)]);
    get(&client, "orders/1").await;
    assert!(timeout(SECOND, post(&client, "orders")).await.is_err());
    assert_eq!(get(&client, "orders/1").await, (2, None));
    assert_eq!(get(&client, "orders/1").await, (3, None));
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_refused_ends_with_its_response() {
    let (client, _) = cached([Step::json(422, json!({})), fresh(1)]);
    assert!(matches!(post(&client, "orders").await, Err(Error::Validation(_))));
    assert_eq!(get(&client, "orders").await, (1, None));
    assert_eq!(get(&client, "orders").await, (1, FRESH));
}

#[tokio::test(start_paused = true)]
async fn a_lookup_of_an_unknown_write_gets_nothing_out_of_the_cache() {
    let order = Step::json(201, json!({"id": 9}));
    let (client, script) = cached([fresh(1), Step::dropped(), fresh(2), order]);
    get(&client, "customers/3/orders").await;
    let reconciled = client.create_order().body(fixably::types::OrderCreate::new()).reconcile(|_| async {
        assert_eq!(get(&client, "customers/3/orders").await, (2, None));
        Ok(WriteStatus::NotApplied)
    });
    reconciled.send().await.unwrap();
    assert_eq!(script.requests().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn while_the_vendor_is_down_a_stale_response_is_returned_for_as_long_as_it_allowed() {
    let tolerant = || fresh(1).header("cache-control", "stale-if-error=600");
    for failure in [Step::status(503), Step::status(500), Step::dropped(), Step::connect_error()] {
        let (client, script) = cached([tolerant(), failure.clone().repeat()]);
        get(&client, "orders/1").await;
        advance(MINUTE).await;
        assert_eq!(get(&client, "orders/1").await, (1, STALE), "{failure:?}");
        assert_eq!(script.requests().len(), 4, "after the retries: {failure:?}");
        advance(11 * MINUTE).await;
        let error = client.request(Method::GET, "orders/1").send::<Value>().await;
        assert!(error.is_err(), "{failure:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stale_response_replaces_no_refusal_and_none_after_a_write_or_against_the_vendors_word() {
    let tolerant = |more: &str| fresh(1).header("cache-control", format!("stale-if-error=600{more}"));
    let down = || Step::status(503).repeat();
    // Refused.
    let (client, _) = cached([tolerant(""), Step::json(403, json!({})), down()]);
    get(&client, "orders/1").await;
    advance(MINUTE).await;
    let forbidden = client.request(Method::GET, "orders/1").send::<Value>().await;
    assert!(matches!(forbidden, Err(Error::Forbidden(_))), "{forbidden:?}");
    let down_later = client.request(Method::GET, "orders/1").send::<Value>().await;
    assert!(matches!(down_later, Err(Error::Server(_))), "what was refused does not come back: {down_later:?}");
    // The vendor insists on being asked.
    let (client, _) = cached([tolerant(", must-revalidate"), down()]);
    get(&client, "orders/1").await;
    advance(MINUTE).await;
    assert!(client.request(Method::GET, "orders/1").send::<Value>().await.is_err());
    // A write outdated it while the vendor was asked.
    let (client, _) = cached([tolerant(""), Step::status(503).delay(2 * SECOND), Step::status(204), down()]);
    get(&client, "orders/1").await;
    advance(MINUTE).await;
    let once = CallOptions::new().with_retry(servicebay::RetryPolicy::new().with_max_attempts(1));
    let reading = tokio::spawn({
        let client = client.with_options(once);
        async move { client.request(Method::GET, "orders/1").send::<Value>().await.map(drop) }
    });
    sleep(SECOND).await;
    post(&client, "orders/1/close").await.unwrap();
    assert!(reading.await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn errors_and_what_cannot_be_decoded_are_not_stored() {
    let control = |step: Step| step.header("cache-control", "max-age=60");
    let garbage = control(Step::body(200, "application/json", "<html>"));
    let steps =
        [control(Step::json(404, json!({}))), control(Step::json(400, json!({}))), garbage, control(Step::status(204))];
    let (client, script) = cached(steps.into_iter().chain([fresh(1)]));
    for _ in 0..3 {
        client.get_order().id(1).send().await.unwrap_err();
    }
    client.request(Method::GET, "orders/1").send_bytes().await.unwrap();
    assert_eq!(get(&client, "orders/1").await, (1, None));
    assert_eq!(script.requests().len(), 5);
}

#[cfg(feature = "fisikal")]
#[tokio::test(start_paused = true)]
async fn an_error_inside_a_success_is_not_stored() {
    let refused = Step::json(200, json!({"errors": ["no"]})).header("cache-control", "max-age=60");
    let script = Script::new([refused.clone(), refused]);
    let client =
        servicebay::fisikal::Client::builder(servicebay::fisikal::Credentials::bearer("t")).with_tenant("acme");
    let client = client.with_transport(script.clone()).with_cache(ResponseCache::new()).build().unwrap();
    for _ in 0..2 {
        client.get_location().id(1).send().await.unwrap_err();
    }
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn requests_with_other_headers_share_nothing_whether_vary_names_them_or_not() {
    for vary in ["accept, x-user", ""] {
        let step = Step::with(|request| {
            let user = request.headers().get("x-user").map_or("0", |user| user.to_str().unwrap());
            fresh(user.parse().unwrap())
        });
        let (client, script) = cached([step.header("vary", vary).repeat()]);
        let get = async |user: &str, trace: &str| {
            let request = client.request(Method::GET, "me").header("x-user", user).header("traceparent", trace);
            let response = request.send::<Value>().await.unwrap();
            (response["id"].as_u64().unwrap(), response.cache_use())
        };
        assert_eq!((get("1", "a").await, get("2", "b").await), ((1, None), (2, None)), "{vary}");
        assert_eq!((get("1", "c").await, get("2", "d").await), ((1, FRESH), (2, FRESH)), "{vary}");
        let other_type = client.request(Method::GET, "me").header("x-user", "1").send_bytes().await.unwrap();
        assert!(!other_type.is_from_cache(), "it accepts any type");
        assert_eq!(script.requests().len(), 3);
    }
    let (client, script) = cached([fresh(1).header("vary", "X-Request-Id").repeat()]);
    get(&client, "me").await;
    get(&client, "me").await;
    assert_eq!(script.requests().len(), 2, "the key does not have what the response depends on");
}

#[tokio::test(start_paused = true)]
async fn a_caller_bypasses_the_cache_with_a_header_or_a_condition_of_its_own() {
    let (client, script) = cached([fresh(1), fresh(2), not_modified(), fresh(3), fresh(4)]);
    let request = || client.request(Method::GET, "orders/1");
    get(&client, "orders/1").await;
    let asked = request().header("Cache-Control", "no-cache").send::<Value>().await.unwrap();
    assert_eq!((asked["id"].as_u64(), asked.cache_use()), (Some(2), None));
    assert_eq!(get(&client, "orders/1").await, (2, FRESH), "what was asked for is stored");
    let conditional = request().if_none_match("\"7\"").send::<Value>().await.unwrap();
    assert!(matches!(conditional, Conditional::NotModified(_)), "{conditional:?}");
    let unstored = request().header("cache-control", "no-store").send::<Value>().await.unwrap();
    assert_eq!(unstored["id"], 3);
    assert_eq!(get(&client, "orders/1").await, (2, FRESH));
    advance(10 * SECOND).await;
    let young = |age: &str| request().header("cache-control", format!("max-age={age}")).send::<Value>();
    assert_eq!(young("11").await.unwrap()["id"], 2);
    assert_eq!(young("10").await.unwrap()["id"], 4);
    assert_eq!(header(&script.requests()[1], "if-none-match"), None);
    assert_eq!(header(&script.requests()[2], "if-none-match"), Some("\"7\""));
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_cache_share_its_memory_and_no_response() {
    let cache = ResponseCache::new();
    let client = |token: &str, tenant: &str, id: u32| {
        let script = Script::new([fresh(id).repeat()]);
        let credentials = fixably::Credentials::bearer(token);
        let client = fixably::Client::builder(credentials).with_tenant(tenant).with_cache(cache.clone());
        (client.with_transport(script.clone()).build().unwrap(), script)
    };
    // Two users of one tenant, a user of another, and a second client of the first user.
    let clients =
        [client("ann", "acme", 1), client("bob", "acme", 2), client("ann", "other", 3), client("ann", "acme", 4)];
    for expected in [None, FRESH] {
        for ((client, _), id) in clients.iter().zip(1..) {
            assert_eq!(get(client, "orders/1").await, (id, expected));
        }
    }
    assert_eq!(cache.len(), 4);
    // A write of one user outdates what the others of the tenant have.
    post(&clients[1].0, "orders").await.unwrap();
    assert_eq!(cache.len(), 1);
    assert_eq!(get(&clients[2].0, "orders/1").await, (3, FRESH));
    drop(clients);
    assert!(cache.is_empty() && cache.used_bytes() == 0, "{cache:?}");
}

#[tokio::test(start_paused = true)]
async fn tenants_share_the_memory_of_a_cache_and_no_response() {
    let cache = ResponseCache::new();
    let sent = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&sent);
    let tenants = Tenants::builder(move |key: String| {
        let log = Arc::clone(&log);
        let id = key.len() as u32;
        let step = Step::with(move |_| {
            log.lock().unwrap().push(id);
            fresh(id)
        });
        // Both reach the same host, as tenants behind one proxy do.
        let client = fixably::Client::builder(fixably::Credentials::bearer("token"));
        let client = client.with_base_url("https://proxy.example/api").with_transport(Script::new([step.repeat()]));
        async move { Ok::<_, Error>(client) }
    });
    let tenants = tenants.with_cache(cache.clone()).build();
    for expected in [None, FRESH] {
        assert_eq!(get(&tenants.get("a").await.unwrap(), "orders/1").await, (1, expected));
        assert_eq!(get(&tenants.get("bb").await.unwrap(), "orders/1").await, (2, expected));
    }
    assert_eq!(*sent.lock().unwrap(), [1, 2]);
    tenants.remove("a");
    assert_eq!(cache.len(), 1, "a tenant that is removed leaves nothing");
    assert_eq!(get(&tenants.get("a").await.unwrap(), "orders/1").await, (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_the_vendor_refuses_leaves_nothing_in_the_cache() {
    let (client, script) = cached([fresh(1), Step::json(401, json!({})), fresh(2)]);
    get(&client, "orders/1").await;
    let refused = client.request(Method::GET, "orders/2").send::<Value>().await;
    assert!(matches!(refused, Err(Error::Unauthorized(_))), "{refused:?}");
    assert_eq!(get(&client, "orders/1").await, (2, None));
    assert_eq!(script.requests().len(), 3);
}

#[cfg(feature = "fentu")]
mod logins {
    use servicebay::{MemoryStore, TokenSet, fentu};

    use super::*;

    /// A vendor that knows the user by the token, refuses tokens of `ann` once it is told to, and grants her a new one.
    fn vendor() -> (Script, Arc<Mutex<Option<&'static str>>>) {
        let refused = Arc::new(Mutex::new(None));
        let refuses = Arc::clone(&refused);
        let respond = Step::with(move |request| {
            if request.uri().path().starts_with("/oauth/") {
                let token = json!({"access_token": "ann-2", "refresh_token": "r-2", "expires_in": 3600});
                return Step::json(200, token).delay(2 * SECOND);
            }
            let token = request.headers()["authorization"].to_str().unwrap().replace("Bearer ", "");
            match *refuses.lock().unwrap() == Some(token.as_str()) {
                true => Step::json(401, json!({})),
                false => Step::json(200, json!({"id": token.len()})).header("cache-control", "max-age=86400"),
            }
        });
        (Script::new([respond.repeat()]), refused)
    }

    fn client(script: &Script, store: &MemoryStore, tokens: TokenSet) -> fentu::Client {
        let builder = fentu::Client::builder(fentu::Credentials::oauth("app", "secret", tokens)).with_tenant("acme");
        let builder = builder.with_token_store(store.clone()).with_transport(script.clone());
        builder.with_cache(ResponseCache::new()).build().unwrap()
    }

    fn ann() -> TokenSet {
        TokenSet::new("ann-1").with_refresh_token("r-1")
    }

    fn robert() -> TokenSet {
        TokenSet::new("robert-1").with_refresh_token("q-1")
    }

    const ANN: u64 = "ann-1".len() as u64;
    const ROBERT: u64 = "robert-1".len() as u64;

    async fn get(client: &fentu::Client, path: &str) -> (u64, Option<CacheUse>) {
        let response = client.request(Method::GET, path).send::<Value>().await.unwrap();
        (response["id"].as_u64().unwrap(), response.cache_use())
    }

    #[tokio::test(start_paused = true)]
    async fn a_refresh_of_the_same_login_leaves_the_cache_as_it_is() {
        let (script, refused) = vendor();
        let client = client(&script, &MemoryStore::new(), ann());
        assert_eq!(get(&client, "me").await, (ANN, None));
        *refused.lock().unwrap() = Some("ann-1");
        assert_eq!(get(&client, "customers").await, (ANN, None), "with the new token");
        assert_eq!(get(&client, "me").await, (ANN, FRESH));
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_of_another_person_finds_nothing_in_the_cache() {
        let (script, _) = vendor();
        let client = client(&script, &MemoryStore::new(), ann());
        assert_eq!(get(&client, "me").await, (ANN, None));
        client.adopt_login(robert()).await.unwrap();
        assert_eq!(get(&client, "me").await, (ROBERT, None));
        assert_eq!(get(&client, "me").await, (ROBERT, FRESH));
    }

    #[tokio::test(start_paused = true)]
    async fn a_login_that_another_client_has_stored_empties_the_cache_once_it_is_used() {
        let (script, refused) = vendor();
        let store = MemoryStore::new();
        let clients = [(), ()].map(|()| client(&script, &store, ann()));
        assert_eq!(get(&clients[0], "me").await, (ANN, None));
        clients[1].adopt_login(robert()).await.unwrap();
        assert_eq!(get(&clients[0], "me").await, (ANN, FRESH), "this client still uses the login of before");
        *refused.lock().unwrap() = Some("ann-1");
        assert_eq!(get(&clients[0], "customers").await, (ROBERT, None));
        assert_eq!(get(&clients[0], "me").await, (ROBERT, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_began_before_another_login_is_not_stored() {
        let respond = |request: &Request<Bytes>| {
            let token = request.headers()["authorization"].to_str().unwrap().replace("Bearer ", "");
            let step = Step::json(200, json!({"id": token.len()})).header("cache-control", "max-age=600");
            if token == "ann-1" { step.delay(10 * SECOND) } else { step }
        };
        let script = Script::new([Step::with(respond).repeat()]);
        let client = client(&script, &MemoryStore::new(), ann());
        let reading = tokio::spawn({
            let client = client.clone();
            async move { get(&client, "me").await }
        });
        sleep(SECOND).await;
        client.adopt_login(robert()).await.unwrap();
        assert_eq!(reading.await.unwrap(), (ANN, None));
        assert_eq!(get(&client, "me").await, (ROBERT, None));
    }

    #[tokio::test(start_paused = true)]
    async fn a_revocation_empties_the_cache_even_if_its_caller_gave_up() {
        for patience in [MINUTE, SECOND] {
            let (script, _) = vendor();
            let client = client(&script, &MemoryStore::new(), ann());
            assert_eq!(get(&client, "me").await, (ANN, None));
            assert_eq!(timeout(patience, client.revoke()).await.is_ok(), patience == MINUTE);
            sleep(MINUTE).await;
            let error = client.request(Method::GET, "me").send::<Value>().await.unwrap_err();
            assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        }
    }
}

#[cfg(feature = "repairy")]
#[tokio::test(start_paused = true)]
async fn credentials_that_log_in_themselves_keep_their_cache_across_logins() {
    use servicebay::repairy;

    let logins = Arc::new(Mutex::new(0));
    let log = Arc::clone(&logins);
    let respond = Step::with(move |request| match request.uri().path() {
        path if path.ends_with("/auth/refresh") => Step::json(401, json!({})),
        path if path.contains("/auth/") => {
            *log.lock().unwrap() += 1;
            let token = format!("acc3ss-{}", log.lock().unwrap());
            Step::json(200, json!({"accessToken": token, "refreshToken": "r3fresh", "expiresIn": 60}))
        }
        _ => Step::json(200, json!({"id": 1})).header("cache-control", "max-age=600"),
    });
    let client = repairy::Client::builder(repairy::Credentials::app("app key", "app secret", "partner"));
    let client = client.with_base_url("https://partner.example/api").with_tenant("garage");
    let client =
        client.with_transport(Script::new([respond.repeat()])).with_cache(ResponseCache::new()).build().unwrap();
    let get = async |path: &str| client.request(Method::GET, path).send::<Value>().await.unwrap().cache_use();
    assert_eq!(get("quotes").await, None);
    advance(61 * SECOND).await;
    assert_eq!(get("bookings").await, None);
    assert_eq!((get("quotes").await, *logins.lock().unwrap()), (FRESH, 2));
}

#[tokio::test(start_paused = true)]
async fn the_least_recently_used_response_goes_when_the_memory_is_full() {
    let cache = ResponseCache::new().with_max_bytes(40_000);
    let body = json!({"id": 1, "text": "x".repeat(10_000)});
    let script = Script::new([Step::json(200, body).header("cache-control", "max-age=60").repeat()]);
    let client = builder(&script).with_cache(cache.clone()).build().unwrap();
    for path in ["a", "b", "c", "a", "d"] {
        get(&client, path).await;
        assert!(cache.used_bytes() <= 40_000, "{cache:?}");
    }
    assert_eq!(cache.len(), 3);
    assert_eq!((get(&client, "a").await.1, get(&client, "b").await.1), (FRESH, None));
    // A lower bound holds at once, and nothing beyond the bound of one response is stored.
    let cache = cache.with_max_bytes(15_000);
    assert_eq!(cache.len(), 1);
    let cache = cache.with_max_entry_bytes(9000);
    cache.clear();
    get(&client, "a").await;
    assert!(cache.is_empty());
    assert_eq!(ResponseCache::default().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stored_body_that_is_larger_than_a_call_may_read_is_none_for_it() {
    let (client, script) = cached([fresh(1), fresh(2)]);
    get(&client, "orders/1").await;
    let small = client.request(Method::GET, "orders/1").with_max_body(3).send::<Value>().await;
    assert!(matches!(small, Err(Error::Decode(_))), "{small:?}");
    assert_eq!(get(&client, "orders/1").await, (1, FRESH));
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn concurrent_reads_are_correct_and_the_one_that_began_last_is_kept() {
    let (client, _) = cached([fresh(1).delay(10 * SECOND), fresh(2).delay(5 * SECOND), fresh(3).delay(SECOND)]);
    let reads = join_all((0..3).map(|_| get(&client, "orders/1"))).await;
    assert_eq!(reads, [(1, None), (2, None), (3, None)]);
    assert_eq!(get(&client, "orders/1").await, (3, FRESH));
}

#[tokio::test(start_paused = true)]
async fn a_read_whose_caller_gave_up_stores_nothing_and_holds_nothing() {
    let cache = ResponseCache::new();
    let script = Script::new([versioned(1), not_modified().delay(10 * SECOND), not_modified()]);
    let client = builder(&script).with_cache(cache.clone()).build().unwrap();
    get(&client, "orders/1").await;
    assert!(timeout(SECOND, get(&client, "orders/1")).await.is_err());
    assert_eq!(get(&client, "orders/1").await, (1, CONFIRMED));
    drop(client);
    assert!(cache.is_empty());
}

#[tokio::test(start_paused = true)]
async fn streams_of_pages_and_items_take_no_part() {
    let list = |ids: &[i32]| {
        let items: Vec<_> = ids.iter().map(|id| json!({"id": id})).collect();
        let body = json!({"totalItems": ids.len(), "offset": 0, "limit": 25, "items": items});
        Step::json(200, body).header("cache-control", "max-age=60")
    };
    let (client, script) = cached([list(&[1, 2]), list(&[1, 2, 3]), list(&[1, 2, 3]), list(&[9])]);
    let one_page = async || client.list_customers().send().await.unwrap();
    assert!(!one_page().await.is_from_cache());
    assert!(one_page().await.is_from_cache());
    let mut items = client.list_customers().items();
    let mut count = 0;
    while items.try_next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 3, "the stream asked the vendor");
    let raw = client.request(Method::GET, "customers").query("expand", "items");
    let mut items = raw.list::<fixably::Page<Value>>().unwrap().items();
    while items.try_next().await.unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, 6, "a raw list did too");
    assert_eq!(one_page().await.items.len(), 2, "and stored nothing");
    assert_eq!(script.requests().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn the_use_of_the_cache_is_reported() {
    let log = Log::default();
    let _listening = log.listen();
    let counts = CountingObserver::new();
    let tolerant = versioned(1).header("cache-control", "max-age=60, stale-if-error=600");
    let script = Script::new([tolerant, not_modified(), Step::status(503).repeat()]);
    let client = builder(&script).with_cache(ResponseCache::new()).with_observer(counts.clone()).build().unwrap();
    let mut uses = Vec::new();
    for wait in [0, 1, 60, 60] {
        advance(wait * SECOND).await;
        uses.push(get(&client, "orders/1").await.1);
    }
    assert_eq!(uses, [None, FRESH, CONFIRMED, STALE]);
    for cache_use in uses.into_iter().flatten() {
        assert_eq!(counts.cached_responses(cache_use), 1, "{cache_use}");
        assert!(log.text().contains(&format!("cache_use=\"{cache_use}\"")), "{cache_use}: {}", log.text());
    }
    assert_eq!((counts.calls(), counts.attempts()), (4, 5));
}

#[tokio::test(start_paused = true)]
async fn no_secret_of_a_caller_appears_in_what_can_be_printed_of_a_cache() {
    let cache = ResponseCache::new();
    let script = Script::new([fresh(1)]);
    let client = builder(&script).with_cache(cache.clone()).build().unwrap();
    let request = client.request(Method::GET, "orders/1").header("x-key", "hush-hush").query("name", "Ann");
    request.send::<Value>().await.unwrap();
    assert_eq!(cache.len(), 1);
    let printed = format!("{cache:?} {cache:#?} {client:?}");
    assert!(!printed.contains("hush") && !printed.contains("Ann") && !printed.contains(SECRET), "{printed}");
}

#[tokio::test(start_paused = true)]
async fn a_status_other_than_200_is_not_stored() {
    for status in [201, 203, 204, 206] {
        let step = |status| Step::json(status, json!({"id": 1})).header("cache-control", "max-age=60");
        let (client, script) = cached([step(status), fresh(2)]);
        let first = client.request(Method::GET, "orders/1").send_bytes().await.unwrap();
        assert_eq!(first.status(), StatusCode::from_u16(status).unwrap());
        client.request(Method::GET, "orders/1").send_bytes().await.unwrap();
        assert_eq!(script.requests().len(), 2, "{status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_download_is_neither_stored_nor_served_from_the_cache() {
    let fresh = |id: u32| Step::json(200, json!({"id": id})).header("cache-control", "max-age=60");
    let script = Script::new([fresh(1), fresh(2), fresh(3)]);
    let client = builder(&script).with_cache(ResponseCache::new()).build().unwrap();
    let download = async || {
        let mut download = client.request(Method::GET, "orders/1").download().await.unwrap();
        download.chunk().await.unwrap().unwrap()
    };
    assert_eq!(download().await, r#"{"id":1}"#);
    assert_eq!(get(&client, "orders/1").await.0, 2);
    assert_eq!(download().await, r#"{"id":3}"#);
    assert_eq!(get(&client, "orders/1").await, (2, FRESH));
}
