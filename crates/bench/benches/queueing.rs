//! Measures what it costs to queue callers at a closed rate limit, and to let them go when it opens.
//!
//! The mock server is in memory and the clock is paused, so waiting takes no time, and a call is the client's work and the
//! server's. All callers of a round come at once, and meet one of three limits. The cost of a caller should not depend on how
//! many there are:
//!
//! * *a used-up window*: the last round has left nothing. All callers go when it resets;
//! * *a refusal*: the first caller gets a 429 with `Retry-After`. The others follow it one by one when the pause is over;
//! * *a small window*: 100 calls in a window, so that the others wait again and again. Its cost grows with the number of windows
//!   too.
//!
//! For comparison, the same callers meet *no limit*, and are not queued. A caller counts once: its cost is the time that all of
//! them took, over their number. Queueing ends when every caller waits; letting go ends when every caller has its response, so
//! it contains the calls themselves.
//!
//! * `cargo bench -p servicebay-bench --bench queueing`: measures times, and counts instructions if valgrind is installed;
//! * the same with `-- --test`: a few callers;
//! * the same with `-- <limit> <callers> <rounds>`: makes the calls and exits, for a profiler of your choice.

#![expect(clippy::print_stdout, reason = "the numbers are what this program is for")]

mod callgrind;
mod quantile;

use std::error::Error;
use std::future::poll_fn;
use std::pin::pin;
use std::process::ExitCode;
use std::task::Poll;
use std::time::{Duration, Instant};
use std::{env, fmt};

use futures_util::future::join_all;
use servicebay::fixably::Client;
use servicebay::testing::Fault;
use servicebay::testing::fixably::{MockServer, TokenKind};
use tokio::runtime::Builder;
use tokio::task::unconstrained;

use self::quantile::{quantile, sorted};

/// The callers of a round.
const CALLERS: [u32; 3] = [100, 1_000, 10_000];
/// The calls that are timed for each of these, and the calls whose instructions are counted, if a round does not have more.
const TIMED: u32 = 50_000;
const COUNTED: u32 = 2_000;

const ORDER: i64 = 20000010;
const WINDOW: Duration = Duration::from_secs(60);
const SMALL: u32 = 100;
/// More calls than any run makes.
const UNLIMITED: u32 = 1 << 30;
const LONG: Duration = Duration::from_secs(30 * 24 * 3600);

/// What the callers meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    None,
    UsedUpWindow,
    Refused,
    SmallWindow,
}

impl Limit {
    const ALL: [(&str, Self); 4] = [
        ("none", Self::None),
        ("used-up-window", Self::UsedUpWindow),
        ("refusal", Self::Refused),
        ("small-window", Self::SmallWindow),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, limit)| *limit)
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::None => "no limit",
            Self::UsedUpWindow => "a used-up window",
            Self::Refused => "a refusal",
            Self::SmallWindow => "a small window",
        })
    }
}

/// How long the callers of a round took.
#[derive(Clone, Copy, Debug)]
struct Round {
    /// Until all of them waited, or had their responses if there was nothing to wait for.
    queue: Duration,
    /// From then until all had their responses.
    release: Duration,
}

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => {
            times();
            instructions()?;
        }
        ["--test"] => Limit::ALL.iter().for_each(|(_, limit)| drop(run(*limit, 2 * SMALL, 1))),
        [name, callers, rounds] => {
            let limit = Limit::named(name).ok_or("give none, used-up-window, refusal or small-window")?;
            drop(run(limit, callers.parse()?, rounds.parse()?));
        }
        _ => println!("queueing: skipped, because it takes no such arguments: {arguments:?}"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints the nanoseconds of a caller: the medians of the rounds.
fn times() {
    println!("nanoseconds of a caller, for so many callers at once");
    head();
    for (_, limit) in Limit::ALL {
        let rounds = CALLERS.map(|callers| (callers, run(limit, callers, TIMED / callers)));
        let medians = |of: fn(&Round) -> Duration| {
            let median = |rounds: &[Round]| quantile(&sorted(rounds.iter().map(|round| of(round).as_secs_f64())), 0.5);
            rounds.each_ref().map(|(callers, rounds)| median(rounds) * 1e9 / f64::from(*callers))
        };
        match limit {
            Limit::None => row("no limit: the call alone", medians(|round| round.queue)),
            limit => {
                row(&format!("{limit}: to queue"), medians(|round| round.queue));
                row(&format!("{limit}: to let go, and call"), medians(|round| round.release));
            }
        }
    }
}

/// Prints the instructions of a caller: those that the rounds add to a run without rounds.
fn instructions() -> Result<(), Box<dyn Error>> {
    if !callgrind::is_installed() {
        println!("instructions: skipped, because valgrind is not installed");
        return Ok(());
    }
    println!("instructions of a caller, for so many callers at once");
    head();
    for (name, limit) in Limit::ALL {
        let mut costs = [0.0; CALLERS.len()];
        for (cost, callers) in costs.iter_mut().zip(CALLERS) {
            let rounds = (COUNTED / callers).max(1);
            let count =
                |rounds: u32| callgrind::count("queueing", &[name.to_owned(), callers.to_string(), rounds.to_string()]);
            *cost = (count(rounds)? - count(0)?) / f64::from(rounds * callers);
        }
        row(&format!("{limit}: the call, and its wait"), costs);
    }
    Ok(())
}

fn head() {
    let [few, some, many] = CALLERS;
    println!("{:<40} {few:>10} {some:>10} {many:>10} {:>12}", "", format!("{many} / {few}"));
}

fn row(name: &str, costs: [f64; CALLERS.len()]) {
    let [few, some, many] = costs;
    println!("{name:<40} {few:>10.0} {some:>10.0} {many:>10.0} {:>12.2}", many / few);
}

/// Lets so many callers come at once, in each of the rounds.
fn run(limit: Limit, callers: u32, rounds: u32) -> Vec<Round> {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime starts");
    runtime.block_on(async {
        let allowed = match limit {
            Limit::None | Limit::Refused => UNLIMITED,
            Limit::UsedUpWindow => callers,
            Limit::SmallWindow => SMALL,
        };
        let server = MockServer::builder().with_order_count(6).with_rate_limit(allowed, WINDOW).in_memory();
        let client = server.client_builder(TokenKind::AdminAll).with_max_wait(LONG).build().expect("the client builds");
        // The first response reports the limit. Whatever has an end is used up before the callers come.
        let before = if allowed == UNLIMITED { 1 } else { allowed };
        for _ in 0..before {
            call(&client).await;
        }
        let mut times = Vec::new();
        for _ in 0..rounds {
            if limit == Limit::Refused {
                server.fault(Fault::status(429).with_header("retry-after", "60"));
            }
            times.push(round(&client, callers, limit != Limit::None).await);
        }
        let expected = if limit == Limit::Refused { u64::from(rounds) } else { 0 };
        assert_eq!(server.counters().faults(), expected, "each refusal was one of ours");
        assert_eq!(server.counters().refused() - expected, 0, "no caller was sent too early");
        times
    })
}

/// All callers come at once. With `is_closed` they have to wait.
async fn round(client: &Client, callers: u32, is_closed: bool) -> Round {
    let mut calls = pin!(join_all((0..callers).map(|_| call(client))));
    let started = now();
    // Without the budget that tokio gives a task, which would poll those beyond it twice.
    let is_pending = unconstrained(poll_fn(|context| Poll::Ready(calls.as_mut().poll(context).is_pending()))).await;
    let queue = started.elapsed();
    assert_eq!(is_pending, is_closed, "the callers wait if the limit is closed");
    if is_pending {
        unconstrained(calls).await;
    }
    Round { queue, release: started.elapsed() - queue }
}

async fn call(client: &Client) {
    client.get_order().id(ORDER).send().await.expect("the server responds");
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> Instant {
    Instant::now()
}
