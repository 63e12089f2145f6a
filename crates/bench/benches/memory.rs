//! Measures the memory of an idle tenant client: bytes on the heap for each of ten thousand clients, without the
//! connection pool that they share.
//!
//! The count is the bytes requested from the allocator, and includes everything that belongs to a tenant: its entry in
//! `Tenants`, its rate limiter, and its tokens in the store. The vendors are in memory; their tokens have 64 characters.
//!
//! * `cargo bench -p servicebay-bench --bench memory`: ten thousand tenants of each vendor;
//! * the same with `-- --test`: a hundred.

#![expect(clippy::print_stdout, reason = "the numbers are what this program is for")]

use std::env;
use std::pin::Pin;

use http::{Request, Response};
use serde_json::json;
use servicebay::testing::Environment;
use servicebay::{Body, Transport, TransportError};
use servicebay::{ClientBuilder, Error, Tenants, TenantsBuilder, TokenSet, fentu, fisikal, fixably, repairy};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// The most that an idle client may use, in bytes.
const TARGET: usize = 4096;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let tenants = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => 10_000,
        ["--test"] => 100,
        _ => return println!("memory: skipped, because it takes no such arguments: {arguments:?}"),
    };
    println!("bytes per idle client, for {tenants} clients; the target is {TARGET}");
    println!("{:<24} {:>12} {:>16}", "", "just built", "after one call");
    row(tenants, "fixably", Tenants::builder(fixably), async |client| client.get_order().id(1).send().await.map(drop));
    row(tenants, "fentu, API key", Tenants::builder(fentu_key), async |client| {
        client.get_work_order().id("1").send().await.map(drop)
    });
    row(tenants, "fentu, OAuth", Tenants::builder(fentu_oauth), async |client| {
        client.get_work_order().id("1").send().await.map(drop)
    });
    row(tenants, "repairy", Tenants::builder(repairy), async |client| {
        client.get_booking().id("1").send().await.map(drop)
    });
    row(tenants, "fisikal, password", Tenants::builder(fisikal), async |client| {
        client.get_location().id(1).send().await.map(drop)
    });
}

/// Builds the clients, makes one call with each, and prints the bytes per client after both.
fn row<C: 'static>(count: usize, name: &str, tenants: TenantsBuilder<C>, call: impl AsyncFn(C) -> Result<(), Error>) {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime starts");
    let region = Region::new(ALLOCATOR);
    let in_use = || {
        let stats = region.change();
        stats.bytes_allocated - stats.bytes_deallocated
    };
    let tenants = tenants.with_capacity(count + 1).build();
    let client = async |key: &str| tenants.get(key).await.expect("the client builds");
    let keys: Vec<String> = (0..count).map(|number| format!("tenant-{number}")).collect();

    // The first client pays for what all of them share, so it is not counted.
    runtime.block_on(async { call(client("first").await).await.expect("the vendor responds") });
    let before = in_use();
    runtime.block_on(async {
        for key in &keys {
            drop(client(key).await);
        }
    });
    let built = (in_use() - before) / count;
    runtime.block_on(async {
        for key in &keys {
            call(client(key).await).await.expect("the vendor responds");
        }
        // Let the last token refresh finish.
        tokio::task::yield_now().await;
    });
    let called = (in_use() - before) / count;

    assert_eq!(tenants.len(), count + 1);
    println!("{name:<24} {built:>12} {called:>16}");
    assert!(count < 10_000 || called <= TARGET, "more than the target");
}

async fn fixably(_: String) -> Result<ClientBuilder<fixably::Client>, Error> {
    Ok(fixably::Client::builder(fixably::Credentials::bearer(token())).with_transport(Vendor))
}

async fn fentu_key(_: String) -> Result<ClientBuilder<fentu::Client>, Error> {
    Ok(fentu::Client::builder(fentu::Credentials::api_key(token())).with_transport(Vendor))
}

async fn fentu_oauth(_: String) -> Result<ClientBuilder<fentu::Client>, Error> {
    let tokens = TokenSet::new(token()).with_refresh_token(token());
    Ok(fentu::Client::builder(fentu::Credentials::oauth("application", token(), tokens)).with_transport(Vendor))
}

async fn repairy(_: String) -> Result<ClientBuilder<repairy::Client>, Error> {
    let credentials = repairy::Credentials::app("app key", token(), "partner");
    Ok(repairy::Client::builder(credentials).with_base_url("https://partner-api.example/v1").with_transport(Vendor))
}

async fn fisikal(_: String) -> Result<ClientBuilder<fisikal::Client>, Error> {
    let credentials = fisikal::Credentials::password("application", token(), "api@club.example", token());
    Ok(fisikal::Client::builder(credentials).with_transport(Vendor))
}

fn token() -> String {
    "t".repeat(64)
}

/// Stands for every vendor: it issues tokens, accepts every request, and sends rate limit headers.
#[derive(Clone, Debug)]
struct Vendor;

impl Transport for Vendor {
    fn send(
        &self,
        _: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send + '_>> {
        let body = json!({
            "access_token": token(), "refresh_token": token(), "expires_in": 3600,
            "accessToken": token(), "refreshToken": token(), "expiresIn": 3600,
            "data": {}, "location": {},
        });
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("x-ratelimit-remaining", "100")
            .header("x-ratelimit-reset", "60");
        let response = response.body(Body::from(body.to_string())).expect("the response is valid");
        Box::pin(async { Ok(response) })
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl Environment for Vendor {
    fn identity(&self) -> usize {
        0
    }
}
