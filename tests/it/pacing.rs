//! The limit of a tenant with many who want it, on virtual time: rows L1 to L10 of the contract against vendors of every
//! kind.
//!
//! A seed decides everything: how large the window is and how its end is written, how long calls take, how many workers
//! there are, of which priority, how long they would wait and when they go away, what another integration spends, and how
//! the vendor lies. What must be true is held against every request when it arrives, and against every call when it ends.
//!
//! `SERVICEBAY_SEEDS=10000` runs that many seeds in place of a hundred, and `SERVICEBAY_SEED=17` that one again.

mod setup;
mod vendor;

use std::env;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use servicebay::{CallOptions, Error, Priority, fixably};
use tokio::time::Instant;

use self::setup::{Lie, Setup, Worker};
use self::vendor::{Sent, Vendor};
use crate::support::SECRET;

/// How many seeds are run where nobody says.
const SEEDS: u64 = 100;
const LANES: [Priority; 3] = [Priority::Interactive, Priority::Normal, Priority::Bulk];
/// Longer than any of this takes, and time costs nothing here.
const FOREVER: Duration = Duration::from_secs(100 * 24 * 3600);
/// The grain of tokio's clock, and then some.
const GRAIN: Duration = Duration::from_millis(5);

#[test]
fn a_tenant_with_many_who_want_it() {
    let number =
        |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number of seeds, or a seed"));
    let seeds = match number("SERVICEBAY_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("SERVICEBAY_SEEDS").unwrap_or(SEEDS),
    };
    for seed in seeds {
        let setup = Setup::of(seed);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(work_through(seed, Arc::new(setup)));
    }
}

/// How a call went, from its caller's side.
struct Told {
    id: i64,
    priority: Priority,
    begun: Instant,
    ended: Instant,
    max_wait: Duration,
    attempts: u32,
    /// Whether its caller went away.
    cancelled: bool,
}

async fn work_through(seed: u64, setup: Arc<Setup>) {
    let vendor = Vendor::open(Arc::clone(&setup), seed);
    let client = fixably::Client::builder(fixably::Credentials::bearer(SECRET))
        .with_tenant("acme")
        .with_transport(vendor.clone())
        .build()
        .unwrap();
    // Who may not wait does not wait for the first answer either. From there on the limit holds for everybody.
    client.get_order().id(0).send().await.unwrap();
    let foreign = tokio::spawn(vendor.clone().spend_as_others());
    let workers = setup.workers.iter().enumerate().map(|(index, worker)| run(index, worker, &client));
    let told = tokio::time::timeout(FOREVER, join_all(workers)).await;
    let told: Vec<Told> =
        told.unwrap_or_else(|_| panic!("seed {seed}: it does not end: {setup:?}")).into_iter().flatten().collect();
    foreign.abort();

    let left = client.rate_limit();
    assert_eq!((left.in_flight(), left.waiting()), (0, 0), "seed {seed}: {setup:?}");
    vendor.check(seed);
    for call in &told {
        no_wait_beyond_its_cap(seed, &setup, call);
    }
    let sent = vendor.sent();
    if setup.lie == Lie::None {
        no_lane_starves(seed, &setup, &vendor, &told, &sent);
        if !setup.has_others() && setup.is_patient() {
            first_come_first_served(seed, &told, &sent);
        }
    }
}

async fn run(index: usize, worker: &Worker, client: &fixably::Client) -> Vec<Told> {
    let options = CallOptions::new().with_priority(worker.priority).with_max_wait(worker.max_wait);
    let client = client.with_options(options);
    let mut told = Vec::new();
    tokio::time::sleep(worker.comes_after).await;
    for (number, goes_after) in worker.calls.iter().enumerate() {
        let id = i64::try_from(index * 10_000 + number).unwrap() + 1;
        let begun = Instant::now();
        let call = client.get_order().id(id).send();
        let outcome = tokio::time::timeout(goes_after.unwrap_or(FOREVER), call).await;
        let attempts = match &outcome {
            Ok(Ok(order)) => {
                assert_eq!(order.id(), Some(id.into()));
                1
            }
            Ok(Err(Error::RateLimited(limited))) => limited.attempts(),
            Ok(Err(other)) => panic!("{other:?}"),
            Err(_) => 1,
        };
        told.push(Told {
            id,
            priority: worker.priority,
            begun,
            ended: Instant::now(),
            max_wait: worker.max_wait,
            attempts,
            cancelled: outcome.is_err(),
        });
        tokio::time::sleep(worker.rests).await;
    }
    told
}

/// A call waits for the limit no longer than it may, and its attempts take no longer than the vendor does.
fn no_wait_beyond_its_cap(seed: u64, setup: &Setup, call: &Told) {
    let tried = setup.longest_way * 2 * (call.attempts + 1 + setup.most_refusals());
    let took = call.ended - call.begun;
    assert!(
        call.cancelled || took <= call.max_wait + tried + GRAIN,
        "seed {seed}: call {} took {took:?} and may wait {:?}: {setup:?}",
        call.id,
        call.max_wait,
    );
}

/// Every lane in which somebody waits through a whole window has its part of it.
fn no_lane_starves(seed: u64, setup: &Setup, vendor: &Vendor, told: &[Told], sent: &[Sent]) {
    for window in vendor.windows() {
        let arrived = sent.iter().filter(|call| call.window == Some(window.number)).count();
        if arrived < 32 {
            continue;
        }
        for priority in LANES {
            if priority == Priority::Bulk && setup.has_others() {
                // Others may spend all but the reserve, which is theirs.
                continue;
            }
            let waits = |call: &&Told| {
                let first = sent.iter().find(|sent| sent.id == call.id);
                call.priority == priority
                    && call.begun < window.begins
                    && call.ended > window.ends
                    && first.is_none_or(|first| first.at > window.ends)
            };
            let served = || {
                let ids = sent.iter().filter(|call| call.window == Some(window.number)).map(|call| call.id);
                ids.filter(|id| told.iter().any(|call| call.id == *id && call.priority == priority)).count()
            };
            if let Some(call) = told.iter().find(waits) {
                assert!(served() > 0, "seed {seed}: {priority:?} starves, with call {}: {setup:?}", call.id);
            }
        }
    }
}

/// Of two calls of one priority, the one that came first is sent first.
fn first_come_first_served(seed: u64, told: &[Told], sent: &[Sent]) {
    for priority in LANES {
        let mut order: Vec<(Instant, Instant)> = told
            .iter()
            .filter(|call| call.priority == priority)
            .filter_map(|call| Some((call.begun, sent.iter().find(|sent| sent.id == call.id)?.at)))
            .collect();
        order.sort_unstable();
        for pair in order.windows(2) {
            let [(one_begun, one_sent), (other_begun, other_sent)] = [pair[0], pair[1]];
            assert!(
                one_sent <= other_sent + GRAIN || other_begun < one_begun + GRAIN,
                "seed {seed}: a call of {priority:?} was overtaken by {:?}",
                one_sent - other_sent
            );
        }
    }
}
