//! Measures how much of a tenant's rate limit many eager callers use, and how many 429 responses they get, compared with
//! reqwest-retry and with a rate limiter that is told the rate.
//!
//! The tenant is a server on a socket that allows 100 calls in every window of 2 s. 64 callers make their calls, each the
//! next one as soon as its last one returns. In the first table the tenant reports its limit; in the others it reports
//! nothing, or `Retry-After` with a 429, and calls take a twentieth or half of a window. There servicebay has to learn the
//! rate. The clients of a table run beside each other, as do all tables without limit headers, each client with a tenant
//! of its own. All start when a window does.
//!
//! `reqwest-retry` runs twice: with its default waits, from one second up, and with waits that fit this tenant, from a
//! tenth of a second to a whole window, which only a caller who knows the limit can choose. Both runs retry a call until
//! it succeeds; with three retries, as in the crate's own example, calls would fail. `governor` spaces the calls of bare
//! reqwest evenly at the tenant's true rate: the ideal for a tenant that reports nothing, because it knows the answer.
//!
//! * *time*: until the last call has succeeded, or the end of the measurement;
//! * *of the best*: the time that as many calls take if nothing but the limit takes time, over the time that they took. At
//!   best the last calls go out when the last window begins;
//! * *used*, *refused*: the share of the limit that the accepted calls used, and the share of the requests that got a 429,
//!   in the steady state: in whole windows, after those in which a client may learn, and before the last call begins;
//! * *requests*, *429s*, *failed*: over the whole time.
//!
//! * `cargo bench -p servicebay-bench --bench pacing`: measures, in some four minutes;
//! * the same with `-- --test`: a few calls against a smaller limit.

#![expect(clippy::print_stdout, reason = "the numbers are what this program is for")]

#[path = "pacing/client.rs"]
mod client;
mod connection;
#[path = "pacing/tenant.rs"]
mod tenant;

use std::env;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::runtime::Builder;

use self::client::{Client, Kind};
use self::tenant::{Reports, Tenant, Terms};

/// The calls to make.
#[derive(Clone, Copy)]
struct Load {
    callers: u32,
    calls: u32,
    /// The windows before the steady state.
    learning: u64,
    /// The end of the measurement, even if calls are left.
    most: Duration,
}

/// What one client achieved.
struct Outcome {
    time: Duration,
    is_complete: bool,
    succeeded: u32,
    failed: u32,
    requests: u32,
    refused: u32,
    /// The share of the limit that was used, and the share of the requests that were refused.
    steady: Option<(f64, f64)>,
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let (limit, window, reported, unreported) = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => (
            100,
            Duration::from_secs(2),
            Load { callers: 64, calls: 1000, learning: 1, most: Duration::from_secs(75) },
            Load { callers: 64, calls: 5000, learning: 30, most: Duration::from_secs(150) },
        ),
        ["--test"] => {
            let load = Load { callers: 8, calls: 15, learning: 1, most: Duration::from_millis(700) };
            (10, Duration::from_millis(200), Load { most: Duration::from_millis(400), ..load }, load)
        }
        _ => return println!("pacing: skipped, because it takes no such arguments: {arguments:?}"),
    };
    let terms = |reports, part: u32| Terms { limit, window, latency: window * part / 20, reports };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let outcomes = runtime.block_on(async {
        let first = terms(Reports::Limit, 0);
        let mut outcomes = compare(&[first], reported).await;
        table(first, reported, &outcomes);
        let others =
            [(Reports::Nothing, 1), (Reports::Nothing, 10), (Reports::RetryAfter, 1), (Reports::RetryAfter, 10)];
        let others = others.map(|(reports, part)| terms(reports, part));
        let found = compare(&others, unreported).await;
        for (terms, found) in others.into_iter().zip(found.chunks(Kind::ALL.len())) {
            table(terms, unreported, found);
        }
        outcomes.extend(found);
        outcomes
    });
    assert!(outcomes.iter().all(|outcome| outcome.succeeded > 0 && outcome.failed == 0), "every client retries");
}

/// Lets every kind of client make the calls to a tenant of each kind, all beside each other.
async fn compare(terms: &[Terms], load: Load) -> Vec<Outcome> {
    let pairs = terms.iter().flat_map(|terms| Kind::ALL.map(|kind| (*terms, kind)));
    let pairs: Vec<(Tenant, Client)> = pairs
        .map(|(terms, kind)| {
            let tenant = Tenant::start(terms).expect("a loopback port is free");
            let client = Client::new(kind, &tenant);
            (tenant, client)
        })
        .collect();
    // All windows have the same length, and so begin together.
    tokio::time::sleep(pairs[0].0.until_next_window()).await;
    join_all(pairs.iter().map(|(tenant, client)| measure(tenant, client, load))).await
}

async fn measure(tenant: &Tenant, client: &Client, load: Load) -> Outcome {
    let (started, first_window) = (now(), tenant.window());
    let (left, succeeded, failed) = (AtomicU32::new(load.calls), AtomicU32::new(0), AtomicU32::new(0));
    let last_window = OnceLock::new();
    let callers = (0..load.callers).map(|_| async {
        let next = || left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        while let Ok(left) = next() {
            if left == 1 {
                last_window.get_or_init(|| tenant.window());
            }
            let count = if client.call().await { &succeeded } else { &failed };
            count.fetch_add(1, Ordering::Relaxed);
        }
    });
    let is_complete = tokio::time::timeout(load.most, join_all(callers)).await.is_ok();
    let time = started.elapsed();

    let last_window = last_window.into_inner().unwrap_or_else(|| tenant.window());
    let counts = tenant.counts();
    let sum = |windows: Range<u64>| {
        let counts = counts.range(windows).map(|(_, count)| count);
        counts.fold((0, 0), |(accepted, refused), count| (accepted + count.accepted, refused + count.refused))
    };
    let steady = first_window + load.learning..last_window;
    let steady = (!steady.is_empty()).then(|| {
        let (windows, (accepted, refused)) = ((steady.end - steady.start) as f64, sum(steady));
        let (accepted, refused) = (f64::from(accepted), f64::from(refused));
        (accepted / windows / f64::from(tenant.terms().limit), refused / (accepted + refused).max(1.0))
    });
    let (accepted, refused) = sum(0..u64::MAX);
    Outcome {
        time,
        is_complete,
        succeeded: succeeded.into_inner(),
        failed: failed.into_inner(),
        requests: accepted + refused,
        refused,
        steady,
    }
}

fn table(terms: Terms, load: Load, outcomes: &[Outcome]) {
    let Terms { limit, window, latency, reports } = terms;
    let reports = match reports {
        Reports::Limit => "reports its limit",
        Reports::RetryAfter => "reports `Retry-After` alone",
        Reports::Nothing => "reports nothing",
    };
    println!(
        "{} callers, {} calls that take {latency:?}, {limit} in {window:?}, the tenant {reports}; at best {:?}; \
         steady from window {} on",
        load.callers,
        load.calls,
        best(terms, load.calls),
        load.learning + 1
    );
    println!(
        "{:<36} {:>10} {:>12} {:>8} {:>8} {:>9} {:>6} {:>7}",
        "", "time", "of the best", "used", "refused", "requests", "429s", "failed"
    );
    for (kind, outcome) in Kind::ALL.into_iter().zip(outcomes) {
        let time = outcome.time.as_secs_f64();
        let (sign, of_the_best) =
            (if outcome.is_complete { "" } else { "> " }, best(terms, outcome.succeeded).as_secs_f64() / time);
        let percent =
            |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0));
        println!(
            "{:<36} {:>10} {:>12} {:>8} {:>8} {:>9} {:>6} {:>7}",
            kind.name(),
            format!("{sign}{time:.2} s"),
            percent(Some(of_the_best)),
            percent(outcome.steady.map(|(used, _)| used)),
            percent(outcome.steady.map(|(_, refused)| refused)),
            outcome.requests,
            outcome.refused,
            outcome.failed,
        );
    }
}

/// How long the calls take if nothing but the limit takes time.
fn best(terms: Terms, calls: u32) -> Duration {
    terms.window * (calls.saturating_sub(1) / terms.limit)
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> Instant {
    Instant::now()
}
