//! A simulation of many callers of one rate-limited tenant, on virtual time: rows L1 to L10 of the contract, against vendors
//! of every kind.
//!
//! A seed determines everything: the size of the window and the format of its reset, how long calls take, how many workers
//! there are, their priorities, how long they wait and when they give up, the usage of another integration, and what is wrong
//! with the remaining calls that the vendor sends. The invariants are checked for every request when it arrives and for every
//! call when it ends.
//!
//! `SERVICEBAY_SEEDS=10000` runs that many seeds instead of a hundred, and `SERVICEBAY_SEED=17` runs that one again.

mod scenario;
mod simulated_vendor;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use servicebay::{CallOptions, Error, Priority, fixably};
use tokio::time::Instant;

use self::scenario::{RemainingFault, Scenario, Worker};
use self::simulated_vendor::{SentRequest, SimulatedVendor};
use crate::support::SECRET;

/// The default number of seeds.
const SEEDS: u64 = 100;
const PRIORITIES: [Priority; 3] = [Priority::Interactive, Priority::Normal, Priority::Bulk];
/// Longer than any simulation takes. Virtual time costs nothing.
const FOREVER: Duration = Duration::from_secs(100 * 24 * 3600);
/// A little more than the resolution of tokio's timers.
const TIMER_TOLERANCE: Duration = Duration::from_millis(5);

#[test]
fn many_callers_share_the_rate_limit_of_one_tenant() {
    let number =
        |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number of seeds, or a seed"));
    let seeds = match number("SERVICEBAY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SERVICEBAY_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let scenario = Scenario::of(seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(simulate(seed, Arc::new(scenario)));
    }
}

/// A call, as its caller saw it.
struct CallRecord {
    id: i64,
    priority: Priority,
    started: Instant,
    ended: Instant,
    max_wait: Duration,
    attempts: u32,
    /// Whether its caller gave up.
    canceled: bool,
}

async fn simulate(seed: u64, scenario: Arc<Scenario>) {
    let vendor = SimulatedVendor::new(Arc::clone(&scenario), seed);
    let client = fixably::Client::builder(fixably::Credentials::bearer(SECRET))
        .with_tenant("acme")
        .with_transport(vendor.clone())
        .build()
        .unwrap();
    // Before the first response, a call that may not wait is sent anyway. After it, the limit holds for every call.
    client.get_order().id(0).send().await.unwrap();
    let external = tokio::spawn(vendor.clone().make_external_calls());
    let workers = scenario.workers.iter().enumerate().map(|(index, worker)| run(index, worker, &client));
    let calls = tokio::time::timeout(FOREVER, join_all(workers)).await;
    let calls: Vec<CallRecord> = calls
        .unwrap_or_else(|_| panic!("seed {seed}: a call never ends: {scenario:?}"))
        .into_iter()
        .flatten()
        .collect();
    external.abort();

    let rest = client.rate_limit();
    assert_eq!((rest.in_flight(), rest.waiting()), (0, 0), "seed {seed}: {scenario:?}");
    vendor.check(seed);
    for call in &calls {
        assert_waited_at_most_max_wait(seed, &scenario, call);
    }
    let sent = vendor.sent();
    if scenario.fault == RemainingFault::None {
        assert_no_priority_starves(seed, &scenario, &vendor, &calls, &sent);
        if !scenario.has_external() && scenario.is_patient() {
            assert_first_come_first_served(seed, &calls, &sent);
        }
    }
}

async fn run(index: usize, worker: &Worker, client: &fixably::Client) -> Vec<CallRecord> {
    let options = CallOptions::new().with_priority(worker.priority).with_max_wait(worker.max_wait);
    let client = client.with_options(options);
    let mut calls = Vec::new();
    tokio::time::sleep(worker.starts_after).await;
    for (number, gives_up_after) in worker.calls.iter().enumerate() {
        let id = i64::try_from(index * 10_000 + number).unwrap() + 1;
        let started = Instant::now();
        let call = client.get_order().id(id).send();
        let result = tokio::time::timeout(gives_up_after.unwrap_or(FOREVER), call).await;
        let attempts = match &result {
            Ok(Ok(order)) => {
                assert_eq!(order.id(), Some(id.into()));
                1
            }
            Ok(Err(Error::RateLimited(limited))) => limited.attempts(),
            Ok(Err(other)) => panic!("{other:?}"),
            Err(_) => 1,
        };
        calls.push(CallRecord {
            id,
            priority: worker.priority,
            started,
            ended: Instant::now(),
            max_wait: worker.max_wait,
            attempts,
            canceled: result.is_err(),
        });
        tokio::time::sleep(worker.pause).await;
    }
    calls
}

/// A call waits for the limit no longer than its `max_wait`, and its attempts take no longer than the vendor takes.
fn assert_waited_at_most_max_wait(seed: u64, scenario: &Scenario, call: &CallRecord) {
    let attempts = scenario.max_travel * 2 * (call.attempts + 1 + scenario.max_429s());
    let elapsed = call.ended - call.started;
    assert!(
        call.canceled || elapsed <= call.max_wait + attempts + TIMER_TOLERANCE,
        "seed {seed}: call {} took {elapsed:?} and may wait {:?}: {scenario:?}",
        call.id,
        call.max_wait,
    );
}

/// If a call of a priority waits through a whole window, other calls of that priority were sent in it.
fn assert_no_priority_starves(
    seed: u64,
    scenario: &Scenario,
    vendor: &SimulatedVendor,
    calls: &[CallRecord],
    sent: &[SentRequest],
) {
    for window in vendor.windows() {
        let arrived = sent.iter().filter(|call| call.window == Some(window.number)).count();
        if arrived < 32 {
            continue;
        }
        for priority in PRIORITIES {
            if priority == Priority::Bulk && scenario.has_external() {
                // External usage may leave nothing but the reserve, which bulk calls must not use.
                continue;
            }
            let waits = |call: &&CallRecord| {
                let first = sent.iter().find(|sent| sent.id == call.id);
                call.priority == priority
                    && call.started < window.begins
                    && call.ended > window.ends
                    && first.is_none_or(|first| first.at > window.ends)
            };
            let served = || {
                let ids = sent.iter().filter(|call| call.window == Some(window.number)).map(|call| call.id);
                ids.filter(|id| calls.iter().any(|call| call.id == *id && call.priority == priority)).count()
            };
            if let Some(call) = calls.iter().find(waits) {
                assert!(served() > 0, "seed {seed}: {priority:?} starves, with call {}: {scenario:?}", call.id);
            }
        }
    }
}

/// Of two calls with the same priority, the earlier one is sent first.
fn assert_first_come_first_served(seed: u64, calls: &[CallRecord], sent: &[SentRequest]) {
    for priority in PRIORITIES {
        let mut order: Vec<(Instant, Instant)> = calls
            .iter()
            .filter(|call| call.priority == priority)
            .filter_map(|call| Some((call.started, sent.iter().find(|sent| sent.id == call.id)?.at)))
            .collect();
        order.sort_unstable();
        for pair in order.windows(2) {
            let [(one_begun, one_sent), (other_begun, other_sent)] = [pair[0], pair[1]];
            assert!(
                one_sent <= other_sent + TIMER_TOLERANCE || other_begun < one_begun + TIMER_TOLERANCE,
                "seed {seed}: a call of {priority:?} was overtaken by {:?}",
                one_sent - other_sent
            );
        }
    }
}
