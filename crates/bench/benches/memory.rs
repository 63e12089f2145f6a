//! What the client of a tenant takes in memory while nobody uses it: bytes on the heap for each of ten thousand, beside
//! the connection pool that all of them share.
//!
//! Counted is what is asked of the allocator, with all that belongs to a tenant: its place in `Tenants`, its budget,
//! and its tokens in the store. The vendors are in memory, and their tokens have 64 characters.
//!
//! * without arguments: ten thousand tenants of each vendor;
//! * `--test`: a hundred.

#![expect(clippy::print_stdout, reason = "the numbers are what this program is for")]

use std::env;
use std::pin::Pin;

use bytes::Bytes;
use http::{Request, Response};
use serde_json::json;
use servicebay::testing::{Transport, TransportError};
use servicebay::{ClientBuilder, Error, Tenants, TenantsBuilder, TokenSet, fentu, fisikal, fixably, repairy};
use tokio::runtime::Builder;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

/// What a client may take, in bytes.
const TARGET: usize = 4096;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let tenants = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => 10_000,
        ["--test"] => 100,
        _ => return println!("memory: skipped, for it takes no such arguments: {arguments:?}"),
    };
    println!("bytes for each of {tenants} idle clients; the target is {TARGET}");
    println!("{:<24} {:>12} {:>16}", "", "just made", "after one call");
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

/// Makes the clients, calls once with each, and prints what is left of both on the heap.
fn row<C: 'static>(count: usize, name: &str, tenants: TenantsBuilder<C>, call: impl AsyncFn(C) -> Result<(), Error>) {
    let runtime = Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime can be made");
    let profiler = dhat::Profiler::builder().testing().build();
    let taken = || dhat::HeapStats::get().curr_bytes;
    let tenants = tenants.with_capacity(count + 1).build();
    let client = async |key: &str| tenants.get(key).await.expect("it can be built");
    let keys: Vec<String> = (0..count).map(|number| format!("tenant-{number}")).collect();

    // What is made once, by the first, is nobody's.
    runtime.block_on(async { call(client("first").await).await.expect("the vendor answers") });
    let before = taken();
    runtime.block_on(async {
        for key in &keys {
            drop(client(key).await);
        }
    });
    let made = (taken() - before) / count;
    runtime.block_on(async {
        for key in &keys {
            call(client(key).await).await.expect("the vendor answers");
        }
        // The last task that fetched tokens ends.
        tokio::task::yield_now().await;
    });
    let called = (taken() - before) / count;

    assert_eq!(tenants.len(), count + 1);
    drop(profiler);
    println!("{name:<24} {made:>12} {called:>16}");
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

/// Any vendor: it gives tokens to everybody, says yes to everything, and tells of a limit.
#[derive(Clone, Debug)]
struct Vendor;

impl Transport for Vendor {
    fn send(&self, _: Request<Bytes>) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, TransportError>> + Send>> {
        let body = json!({
            "access_token": token(), "refresh_token": token(), "expires_in": 3600,
            "accessToken": token(), "refreshToken": token(), "expiresIn": 3600,
            "data": {}, "location": {},
        });
        let response = Response::builder()
            .header("content-type", "application/json")
            .header("x-ratelimit-remaining", "100")
            .header("x-ratelimit-reset", "60");
        let response = response.body(Bytes::from(body.to_string())).expect("it is one");
        Box::pin(async { Ok(response) })
    }

    fn identity(&self) -> usize {
        0
    }
}
