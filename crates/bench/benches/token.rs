//! Measures what a token costs: reading a valid one, and refreshing one while ten thousand callers need it.
//!
//! Reading is measured in nanoseconds and allocations, with a client of a server on a socket, which reads the system's clocks as
//! a user's client does. A call reads two: the monotonic and the wall clock. The refreshes run on a paused clock against a mock server in memory
//! whose token endpoint takes one second to respond: counted are the token requests, and how long the callers waited.
//!
//! * `cargo bench -p servicebay-bench --bench token`: measures;
//! * the same with `-- --test`: fewer reads.

#![expect(clippy::print_stdout, reason = "the numbers are what this program is for")]

use std::env;
use std::hint::black_box;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use servicebay::repairy::Client;
use servicebay::testing::repairy::{MockServer, Partner};
use servicebay::testing::{Fault, TokenRequestKind, probe};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Builder;
use tokio::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

const CALLERS: usize = 10_000;
const BOOKING: &str = "670000000000000000000001";
const HOUR: Duration = Duration::from_secs(3600);
/// How long the token endpoint takes to respond.
const SLOW: Duration = Duration::from_secs(1);

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => measure(2_000_000),
        ["--test"] => measure(1_000),
        _ => println!("token: skipped, because it takes no such arguments: {arguments:?}"),
    }
}

fn measure(reads: u32) {
    reading(reads);
    let paused = || Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime starts");
    println!("{CALLERS} callers at once, a token endpoint that takes {} s", SLOW.as_secs());
    println!("{:<38} {:>14} {:>14} {:>14}", "", "token requests", "waited, median", "waited, most");
    paused().block_on(callers("at the start, without a token", None));
    paused().block_on(callers("in the last fifth of its lifetime", Some(44 * HOUR)));
    paused().block_on(callers("after it expired", Some(49 * HOUR)));
}

/// Reads a valid token: the median of many rounds, so that other load on the machine matters little.
fn reading(reads: u32) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    // A client of a server in memory would read a simulated wall clock, which costs more.
    let client = runtime.block_on(async {
        let tenant = MockServer::start().await;
        let client = client(&tenant);
        call(&client).await;
        client
    });
    let _guard = runtime.enter();
    let read = median(reads, || assert!(probe::take_token(black_box(&client)), "the token is valid"));
    let clocks = median(reads, || {
        black_box((Instant::now(), wall()));
    });

    let region = Region::new(ALLOCATOR);
    for _ in 0..1000 {
        assert!(probe::take_token(black_box(&client)), "the token is valid");
    }
    let allocated = region.change();
    let allocations = allocated.allocations + allocated.reallocations;
    println!(
        "reading a valid token: {read:.0} ns, {clocks:.0} ns of it to read the clocks; {allocations} allocations in 1000 reads"
    );
}

#[expect(clippy::disallowed_methods, reason = "reading the clock is what is measured")]
fn wall() -> SystemTime {
    SystemTime::now()
}

/// The median time of one turn, in nanoseconds.
#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn median(turns: u32, mut turn: impl FnMut()) -> f64 {
    let each = turns / 100;
    let mut rounds: Vec<f64> = (0..101)
        .map(|_| {
            let started = std::time::Instant::now();
            (0..each).for_each(|_| turn());
            started.elapsed().as_secs_f64() * 1e9 / f64::from(each)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[50]
}

/// Makes all calls at once, `age` after the token was issued.
async fn callers(when: &str, age: Option<Duration>) {
    let tenant = MockServer::builder().in_memory();
    let client = client(&tenant);
    if let Some(age) = age {
        call(&client).await;
        tokio::time::advance(age).await;
    }
    let before = tenant.token_requests().len();
    for path in ["/auth/token", "/auth/refresh"] {
        tenant.fault(Fault::delay(SLOW).on("POST", path).always());
    }
    let calls = (0..CALLERS).map(|_| async {
        let started = Instant::now();
        call(&client).await;
        started.elapsed().as_secs_f64()
    });
    let mut waits = join_all(calls).await;
    waits.sort_by(f64::total_cmp);
    tokio::time::sleep(2 * SLOW).await;
    let requests = tenant.token_requests().split_off(before);
    assert!(requests.iter().all(|request| request.accepted), "{requests:?}");
    assert!(requests.iter().all(|request| request.kind != TokenRequestKind::Revocation), "{requests:?}");
    println!("{when:<38} {:>14} {:>12.1} s {:>12.1} s", requests.len(), waits[CALLERS / 2], waits[CALLERS - 1]);
}

fn client(tenant: &MockServer) -> Client {
    tenant.client_builder(Partner::Main).build().expect("the client builds")
}

async fn call(client: &Client) {
    client.get_booking().id(BOOKING).send().await.expect("the server responds");
}
