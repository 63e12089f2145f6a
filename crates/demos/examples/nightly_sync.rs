//! Copies the orders that changed since the last night into a SQLite database, and resumes after it was killed.
//!
//! ```sh
//! cargo run -p servicebay-demos --example nightly_sync
//! ```
//!
//! runs three nights against a mock server inside this program, and is cut off in the middle of the first. With
//! `FIXABLY_TENANT` and `FIXABLY_TOKEN` set, it brings `orders.sqlite3`, or the file that you name, up to date with that tenant's
//! orders: run it from cron.
//!
//! ```sh
//! cargo run -p servicebay-demos --example nightly_sync -- copy.sqlite3
//! ```
//!
//! `nightly_sync/sync.rs` has the part to copy: a search that overlaps the last run, a place in the list that is stored in the
//! transaction of the orders before it, bulk priority, and the sums of what lists that change repeated or may have lost.

#![expect(clippy::print_stdout, reason = "an example prints")]
#![expect(clippy::disallowed_methods, reason = "an example lives in real time")]

#[path = "nightly_sync/sync.rs"]
mod sync;

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, process};

use jiff::{SignedDuration, Timestamp};
use servicebay::fixably::types::OrderUpdate;
use servicebay::fixably::{Client, Credentials};
use servicebay::testing::Fault;
use servicebay::testing::fixably::{MockServer, TokenKind};

use self::sync::{Counts, Database, Result, sync};

#[tokio::main]
async fn main() -> Result<()> {
    let (Ok(name), Ok(token)) = (env::var("FIXABLY_TENANT"), env::var("FIXABLY_TOKEN")) else {
        return embedded().await;
    };
    let path = env::args_os().nth(1).map_or_else(|| PathBuf::from("orders.sqlite3"), PathBuf::from);
    let client = Client::builder(Credentials::bearer(token)).with_tenant(name).build()?;
    let mut database = Database::open(&path)?;
    let counts = sync(&client, &mut database, 100, Timestamp::now()).await?;
    print("this run", counts);
    print(&format!("all {} runs", database.progress.runs), database.progress.totals);
    Ok(())
}

/// Three nights against a mock server inside this program.
async fn embedded() -> Result<()> {
    let path = env::temp_dir().join(format!("servicebay-nightly-{}.sqlite3", process::id()));
    let outcome = three_nights(&path).await;
    fs::remove_file(&path)?;
    outcome
}

async fn three_nights(path: &Path) -> Result<()> {
    let server = MockServer::builder().without_rate_limit().start().await;
    let client = Client::builder(Credentials::bearer(server.token(TokenKind::AdminAll)));
    let client = client.with_base_url(server.base_url()).build()?;
    println!("A mock server of Fixably with 140 orders, in pages of ten.");
    println!("Set FIXABLY_TENANT and FIXABLY_TOKEN to copy a real one's instead.");

    server.fault(Fault::delay(Duration::from_millis(50)).on("GET", "/orders").always());
    let mut database = Database::open(path)?;
    let cut_off = tokio::time::timeout(Duration::from_millis(400), sync(&client, &mut database, 10, Timestamp::now()));
    assert!(cut_off.await.is_err(), "the first night is over before it is cut off");
    drop(database);
    server.clear_faults();

    let mut database = Database::open(path)?;
    println!("cut off with {} orders stored; the next process goes on", database.orders()?.len());
    print("first night", sync(&client, &mut database, 10, Timestamp::now()).await?);
    assert_eq!(database.orders()?.len(), 140);

    server.skew(SignedDuration::from_hours(24));
    for order in [20000010, 20000042, 20000117] {
        client.update_order().id(order).body(OrderUpdate::new().status(451)).send().await?;
    }
    let tomorrow = Timestamp::now() + SignedDuration::from_hours(24);
    let counts = sync(&client, &mut database, 10, tomorrow).await?;
    print("second night", counts);
    assert_eq!(counts.changed, 3);

    server.skew(SignedDuration::from_hours(48));
    let counts = sync(&client, &mut database, 10, tomorrow + SignedDuration::from_hours(24)).await?;
    print("third night", counts);
    assert_eq!(counts.changed, 0);
    print("all nights", database.progress.totals);
    Ok(())
}

fn print(what: &str, counts: Counts) {
    println!(
        "{what}: {} orders came, {} of them new or changed; {} came again, {} may be missing, {} may have come twice; {} \
         processes worked on it",
        counts.received, counts.changed, counts.repeated, counts.maybe_missed, counts.maybe_repeated, counts.processes
    );
}
