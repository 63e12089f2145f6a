//! How much of a tenant's limit many eager callers use, and how many refusals they earn, beside reqwest-retry at the same
//! tenant.
//!
//! The tenant is the crate's own, on sockets: 100 calls in every window of 2 s. 64 callers make 1,000 calls, each the next
//! as soon as its last is answered. At best that takes 18 s: the tenth window has to begin, and then all is done at once.
//! Each client has a tenant of its own and begins with a window.
//!
//! `reqwest-retry` runs twice. Once with waits as they are by default, from a second upwards; once with waits that fit
//! this tenant, from a tenth of a second to a whole window, as nobody can choose them who does not know the limit.
//! In both it may repeat a call for as long as it takes; as its own example has it, three times, it gives up calls.
//!
//! * without arguments: measures;
//! * `--test`: a few calls at a smaller tenant.

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

/// What is measured.
#[derive(Clone, Copy)]
struct Load {
    callers: u32,
    calls: u32,
    limit: u32,
    window: Duration,
}

impl Load {
    /// The time that the calls take if only the limit costs time.
    fn ideal(self) -> Duration {
        self.window * ((self.calls - 1) / self.limit)
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let load = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Load { callers: 64, calls: 1000, limit: 100, window: Duration::from_secs(2) },
        ["--test"] => Load { callers: 8, calls: 15, limit: 10, window: Duration::from_secs(1) },
        _ => return println!("pacing: skipped, for it takes no such arguments: {arguments:?}"),
    };
    let Load { callers, calls, limit, window } = load;
    println!(
        "{callers} callers, {calls} calls, {limit} in {} s; at best {} s",
        window.as_secs(),
        load.ideal().as_secs()
    );
    println!("{:<34} {:>8} {:>11} {:>9} {:>6} {:>7}", "", "time", "of the best", "requests", "429s", "failed");
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
    runtime.block_on(async {
        measure("servicebay", load, servicebay).await;
        measure("reqwest-retry, as it comes", load, |tenant| retrying(tenant, ExponentialBackoff::builder())).await;
        let fitting = || ExponentialBackoff::builder().retry_bounds(Duration::from_millis(100), window);
        measure("reqwest-retry, fitted to the tenant", load, |tenant| retrying(tenant, fitting())).await;
    });
}

/// Somebody who calls.
enum Client {
    Servicebay(fixably::Client),
    Retrying { client: ClientWithMiddleware, url: String, token: String },
}

fn servicebay(tenant: &MockServer) -> Client {
    Client::Servicebay(tenant.client().expect("a tenant's client can be built"))
}

fn retrying(tenant: &MockServer, policy: reqwest_retry::policies::ExponentialBackoffBuilder) -> Client {
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .build()
        .expect("a client with these settings can be made");
    let retries = RetryTransientMiddleware::new_with_policy(policy.build_with_max_retries(u32::MAX));
    Client::Retrying {
        client: ClientBuilder::new(client).with(retries).build(),
        url: format!("{}/orders/{ORDER}", tenant.base_url()),
        token: tenant.token(TokenKind::AdminAll),
    }
}

impl Client {
    /// Makes one call and says whether it succeeded.
    async fn call(&self) -> bool {
        match self {
            Self::Servicebay(client) => client.get_order().id(ORDER).send().await.is_ok(),
            Self::Retrying { client, url, token } => match client.get(url).bearer_auth(token).send().await {
                Ok(answer) => answer.status().is_success() && answer.bytes().await.is_ok(),
                Err(_) => false,
            },
        }
    }
}

async fn measure(name: &str, load: Load, client: impl FnOnce(&MockServer) -> Client) {
    let tenant = MockServer::builder().with_rate_limit(load.limit, load.window).start().await;
    let client = Arc::new(client(&tenant));
    // Windows end on a whole second. A run that begins within one has less of the first than of the others.
    tokio::time::sleep(to_the_next_second(tenant.now())).await;

    let (begun, left, failed) = (now(), AtomicU32::new(load.calls), AtomicU32::new(0));
    let callers = (0..load.callers).map(|_| async {
        while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            if !client.call().await {
                failed.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    join_all(callers).await;
    let time = begun.elapsed();

    println!(
        "{name:<34} {:>6.2} s {:>9.1} % {:>9} {:>6} {:>7}",
        time.as_secs_f64(),
        load.ideal().as_secs_f64() / time.as_secs_f64() * 100.0,
        tenant.counters().requests(),
        tenant.counters().refused(),
        failed.into_inner(),
    );
}

fn to_the_next_second(now: Timestamp) -> Duration {
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).expect("the time is after 1970");
    Duration::from_secs(1) - Duration::from_nanos(nanoseconds.into())
}

#[expect(clippy::disallowed_methods, reason = "real time is what is measured")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}
