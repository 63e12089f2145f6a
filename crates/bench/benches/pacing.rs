//! Measures how much of a tenant's rate limit many eager callers use, and how many 429 responses they get, compared with
//! reqwest-retry.
//!
//! The tenant is the crate's own mock server, on sockets: 100 calls in every window of 2 s. 64 callers make 1,000 calls,
//! each the next one as soon as its last one returns. At best that takes 18 s: the last calls go out when the tenth window
//! begins. Each client has a mock server of its own and starts when a window does.
//!
//! `reqwest-retry` runs twice: with its default waits, from one second up, and with waits that fit this tenant, from a
//! tenth of a second to a whole window, which only a caller who knows the limit can choose. Both runs retry a call until
//! it succeeds; with three retries, as in the crate's own example, calls would fail.
//!
//! * `cargo bench -p servicebay-bench --bench pacing`: measures;
//! * the same with `-- --test`: a few calls against a smaller limit.

#![expect(clippy::print_stdout, reason = "the numbers are what this program is for")]

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use servicebay::fixably;
use servicebay::testing::fixably::{MockServer, TokenKind};
use tokio::runtime::Builder;

const ORDER: i64 = 20000010;

/// The calls to make and the limit that they meet.
#[derive(Clone, Copy)]
struct Load {
    callers: u32,
    calls: u32,
    limit: u32,
    window: Duration,
}

impl Load {
    /// How long the calls take if nothing but the limit takes time.
    fn ideal(self) -> Duration {
        self.window * ((self.calls - 1) / self.limit)
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let load = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Load { callers: 64, calls: 1000, limit: 100, window: Duration::from_secs(2) },
        ["--test"] => Load { callers: 8, calls: 15, limit: 10, window: Duration::from_secs(1) },
        _ => return println!("pacing: skipped, because it takes no such arguments: {arguments:?}"),
    };
    let Load { callers, calls, limit, window } = load;
    println!(
        "{callers} callers, {calls} calls, {limit} in {} s; at best {} s",
        window.as_secs(),
        load.ideal().as_secs()
    );
    println!("{:<34} {:>8} {:>11} {:>9} {:>6} {:>7}", "", "time", "of the best", "requests", "429s", "failed");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(async {
        measure("servicebay", load, servicebay).await;
        measure("reqwest-retry, by default", load, |server| retrying(server, ExponentialBackoff::builder())).await;
        let fitting = || ExponentialBackoff::builder().retry_bounds(Duration::from_millis(100), window);
        measure("reqwest-retry, fitted to the tenant", load, |server| retrying(server, fitting())).await;
    });
}

/// A client of one of the two kinds.
enum Client {
    Servicebay(fixably::Client),
    Retrying { client: ClientWithMiddleware, url: String, token: String },
}

fn servicebay(server: &MockServer) -> Client {
    Client::Servicebay(server.client().expect("the client builds"))
}

fn retrying(server: &MockServer, policy: reqwest_retry::policies::ExponentialBackoffBuilder) -> Client {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .expect("the client builds");
    let retries = RetryTransientMiddleware::new_with_policy(policy.build_with_max_retries(u32::MAX));
    Client::Retrying {
        client: ClientBuilder::new(client).with(retries).build(),
        url: format!("{}/orders/{ORDER}", server.base_url()),
        token: server.token(TokenKind::AdminAll),
    }
}

impl Client {
    /// Makes one call and returns whether it succeeded.
    async fn call(&self) -> bool {
        match self {
            Self::Servicebay(client) => client.get_order().id(ORDER).send().await.is_ok(),
            Self::Retrying { client, url, token } => match client.get(url).bearer_auth(token).send().await {
                Ok(response) => response.status().is_success() && response.bytes().await.is_ok(),
                Err(_) => false,
            },
        }
    }
}

async fn measure(name: &str, load: Load, client: impl FnOnce(&MockServer) -> Client) {
    let server = MockServer::builder().with_rate_limit(load.limit, load.window).start().await;
    let client = Arc::new(client(&server));
    // Windows end on a whole second, so a run that starts later would have a shorter first window.
    tokio::time::sleep(until_next_second(server.now())).await;

    let (started, left, failed) = (now(), AtomicU32::new(load.calls), AtomicU32::new(0));
    let callers = (0..load.callers).map(|_| async {
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            if !client.call().await {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    join_all(callers).await;
    let time = started.elapsed();

    println!(
        "{name:<34} {:>6.2} s {:>9.1} % {:>9} {:>6} {:>7}",
        time.as_secs_f64(),
        load.ideal().as_secs_f64() / time.as_secs_f64() * 100.0,
        server.counters().requests(),
        server.counters().refused(),
        failed.into_inner(),
    );
}

fn until_next_second(now: Timestamp) -> Duration {
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).expect("the time is after 1970");
    Duration::from_secs(1) - Duration::from_nanos(nanoseconds.into())
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
