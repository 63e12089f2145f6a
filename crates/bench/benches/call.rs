//! Measures the time of a call, compared with bare reqwest, progenitor's client and reqwest-retry making the same call.
//!
//! Criterion measures each client alone. Its times show how one client changes over months, but on a busy machine they
//! vary by more than the clients differ. So a second measurement compares the clients: each makes a short block of calls
//! in turn, every round gives a ratio, and the result is the median of many rounds. The row `reqwest again` shows how far
//! from 1 two identical clients end up.
//!
//! Not measured: TLS, HTTP/2, and everything that a network adds. No call waits, is retried or is refused: this is the
//! cost of a call that succeeds.
//!
//! * `cargo bench -p servicebay-bench --bench call`: measures;
//! * the same with `-- --test`: one call by each client;
//! * the same with any other argument: criterion alone, which reads the argument.

#![expect(clippy::print_stdout, reason = "the ratios are what this program is for")]

mod connection;
mod peers;
mod quantile;

use std::env;
use std::time::Duration;

use criterion::{Criterion, Throughput};
use tokio::runtime::{Builder, Runtime};

use self::peers::{Client, PAGE, Peer, Server, Workload};
use self::quantile::{quantile, sorted};

/// The rounds of the paired measurement, and about how long a client's block of calls takes.
const ROUNDS: usize = 2000;
const BLOCK: Duration = Duration::from_millis(2);

fn main() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    let mut criterion = Criterion::default().configure_from_args();
    for workload in Workload::ALL {
        alone(&mut criterion, &runtime, workload);
    }
    criterion.final_summary();

    // Criterion reads the same arguments and does not return them.
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => paired(&runtime),
        ["--test"] => smoke(&runtime),
        // A filter, a baseline or a profile: criterion alone.
        _ => {}
    }
}

/// Measures each client alone, with criterion.
fn alone(criterion: &mut Criterion, runtime: &Runtime, workload: Workload) {
    let server = Server::start(workload).expect("a loopback port is free");
    let mut group = criterion.benchmark_group(format!("call/{workload}"));
    group.throughput(Throughput::Elements(match workload {
        Workload::GetOrder => 1,
        Workload::ListOrders => PAGE.into(),
    }));
    for peer in Peer::ALL {
        let client = Client::new(peer, &server.base_url());
        group.bench_function(peer.to_string(), |bencher| bencher.to_async(runtime).iter(|| client.call(workload)));
    }
    group.finish();
}

/// Measures the clients in turn, and prints the medians of their ratios.
fn paired(runtime: &Runtime) {
    println!("paired: medians of {ROUNDS} rounds, each client in blocks of about {} ms", BLOCK.as_millis());
    println!("{:<12} {:<14} {:>12} {:>10} {:>17}", "workload", "client", "per call", "/ reqwest", "middle half");
    for workload in Workload::ALL {
        let lanes = Lanes::new(runtime, workload);
        let calls = lanes.calls_in_a_block();
        let rounds: Vec<[f64; 5]> = (0..ROUNDS).map(|_| lanes.round(calls)).collect();
        for (lane, name) in Lanes::NAMES.iter().enumerate() {
            let seconds = sorted(rounds.iter().map(|round| round[lane]));
            let ratios = sorted(rounds.iter().map(|round| round[lane] / round[0]));
            println!(
                "{workload:<12} {name:<14} {:>9.1} µs {:>10.3} {:>8.3}-{:.3}",
                quantile(&seconds, 0.5) / f64::from(calls) * 1e6,
                quantile(&ratios, 0.5),
                quantile(&ratios, 0.25),
                quantile(&ratios, 0.75),
            );
        }
    }
}

/// The paired measurement with one call in each block, without its output.
fn smoke(runtime: &Runtime) {
    for workload in Workload::ALL {
        Lanes::new(runtime, workload).round(1);
    }
}

/// The clients of the paired measurement, with open connections.
struct Lanes<'a> {
    runtime: &'a Runtime,
    workload: Workload,
    clients: [Client; 5],
}

impl<'a> Lanes<'a> {
    const NAMES: [&'static str; 5] = ["reqwest", "servicebay", "progenitor", "reqwest-retry", "reqwest again"];

    fn new(runtime: &'a Runtime, workload: Workload) -> Self {
        let server = Server::start(workload).expect("a loopback port is free");
        let [reqwest, servicebay, progenitor, retrying] = Peer::ALL;
        let peers = [reqwest, servicebay, progenitor, retrying, reqwest];
        let clients = peers.map(|peer| Client::new(peer, &server.base_url()));
        let lanes = Self { runtime, workload, clients };
        lanes.round(1);
        lanes
    }

    fn calls_in_a_block(&self) -> u32 {
        let calls = 50;
        let seconds = self.block(0, calls);
        let fitting = BLOCK.as_secs_f64() / (seconds / f64::from(calls));
        (fitting as u32).max(1)
    }

    /// Runs a block of calls with each client and returns the seconds that each took. The order is random, so that no
    /// periodic load meets the same client every time.
    fn round(&self, calls: u32) -> [f64; 5] {
        let mut order = [0, 1, 2, 3, 4];
        fastrand::shuffle(&mut order);
        let mut seconds = [0.0; 5];
        for lane in order {
            seconds[lane] = self.block(lane, calls);
        }
        seconds
    }

    #[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
    fn block(&self, lane: usize, calls: u32) -> f64 {
        self.runtime.block_on(async {
            let started = std::time::Instant::now();
            for _ in 0..calls {
                self.clients[lane].call(self.workload).await;
            }
            started.elapsed().as_secs_f64()
        })
    }
}
