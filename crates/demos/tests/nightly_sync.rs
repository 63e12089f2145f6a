//! The nightly copy of orders: complete and counted once, whenever its processes are killed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "a process that is killed lives in real time")]

#[path = "../../../tests/it/folder.rs"]
#[allow(dead_code, reason = "the folder can read stores in files too")]
mod folder;
#[path = "../examples/nightly_sync/sync.rs"]
mod sync;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use std::{env, process};

use jiff::{SignedDuration, Timestamp};
use servicebay::fixably::types::{Order, OrderUpdate};
use servicebay::fixably::{Client, Credentials};
use servicebay::testing::Fault;
use servicebay::testing::fixably::{MockServer, TokenKind};

use self::folder::Folder;
use self::sync::{Database, sync};

/// The base URL, the token and the database of a process that copies.
const ARGUMENTS: &str = "SERVICEBAY_NIGHTLY_SYNC";
const PAGE: u32 = 10;

fn database(folder: &Folder) -> PathBuf {
    folder.path().join("orders.sqlite3")
}

fn client(server: &MockServer) -> Client {
    let credentials = Credentials::bearer(server.token(TokenKind::AdminAll));
    Client::builder(credentials).with_base_url(server.base_url()).build().unwrap()
}

/// A mock server at a time when the last of its orders was changed long ago.
fn in_memory() -> MockServer {
    let night: Timestamp = "2027-01-01T02:00:00Z".parse().unwrap();
    MockServer::builder().without_rate_limit().with_clock(move || night).in_memory()
}

/// What each of the processes runs.
#[tokio::test]
async fn a_process_that_copies_until_it_is_done() {
    let Ok(arguments) = env::var(ARGUMENTS) else { return };
    let [base_url, token, path] = arguments.lines().collect::<Vec<_>>().try_into().unwrap();
    let client = Client::builder(Credentials::bearer(token)).with_base_url(base_url).build().unwrap();
    let mut database = Database::open(Path::new(path)).unwrap();
    sync(&client, &mut database, PAGE, Timestamp::now()).await.unwrap();
    // The process ends here, without what a test runner prints.
    process::exit(0);
}

fn start(server: &MockServer, path: &Path) -> Child {
    let arguments = format!("{}\n{}\n{}", server.base_url(), server.token(TokenKind::AdminAll), path.display());
    let mut process = Command::new(env::current_exe().unwrap());
    process.args(["a_process_that_copies_until_it_is_done", "--exact", "--nocapture"]).env(ARGUMENTS, arguments);
    process.stdout(Stdio::null()).spawn().unwrap()
}

/// How many pages the server was asked for.
fn pages(server: &MockServer) -> usize {
    server.requests().iter().filter(|request| request.operation == Some("list_orders")).count()
}

async fn listed(client: &Client) -> Vec<(i64, Order)> {
    let mut orders = Vec::new();
    let mut items = client.list_orders().limit(100).items();
    while let Some(order) = items.try_next().await.unwrap() {
        orders.push((order.id().unwrap().to_string().parse().unwrap(), order));
    }
    orders.sort_by_key(|(id, _)| *id);
    orders
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_whose_processes_are_killed_again_and_again_is_complete_and_counted_once() {
    const KILLS: usize = 6;
    let folder = Folder::new();
    let path = database(&folder);
    let server = MockServer::builder().with_order_count(400).without_rate_limit().start().await;
    server.fault(Fault::delay(Duration::from_millis(20)).on("GET", "/orders").always());
    let client = client(&server);
    let mut random = fastrand::Rng::with_seed(20);

    for kill in 0..KILLS {
        let mut process = start(&server, &path);
        let until = pages(&server) + random.usize(1..6);
        while pages(&server) < until {
            assert_eq!(process.try_wait().unwrap(), None, "the copy was done before kill {kill}");
            tokio::time::sleep(Duration::from_millis(random.u64(0..5))).await;
        }
        process.kill().unwrap();
        process.wait().unwrap();
        // Orders change meanwhile, some that were copied already and some that were not.
        let order = 20000010 + random.i64(0..400);
        client.update_order().id(order).body(OrderUpdate::new().status(451)).send().await.unwrap();
    }
    assert!(start(&server, &path).wait().unwrap().success());

    let requested = pages(&server);
    // A process that is killed loses the page that it was reading, and the page that it had read and not stored yet.
    assert!((40..=40 + 2 * KILLS).contains(&requested), "{requested} pages were requested for 40");
    let mut copy = Database::open(&path).unwrap();
    let progress = copy.progress.clone();
    assert!(progress.run.is_none() && progress.synced_until.is_some(), "{progress:?}");
    assert_eq!((progress.runs, progress.totals.received, progress.totals.changed), (1, 400, 400));
    // A process may be killed before it stores that it works on the run.
    assert!((2..=KILLS as u64 + 1).contains(&progress.totals.processes), "{progress:?}");
    assert_eq!((progress.totals.maybe_missed, progress.totals.maybe_repeated), (0, 0));
    assert_eq!(copy.orders().unwrap().len(), 400);

    // The next night brings what changed behind the place that the copy had reached.
    server.clear_faults();
    let counts = sync(&client, &mut copy, PAGE, Timestamp::now()).await.unwrap();
    assert!(counts.received >= counts.changed && counts.changed <= KILLS as u64, "{counts:?}");
    assert_eq!(copy.orders().unwrap(), listed(&client).await);
    assert_eq!(copy.progress.totals.received, 400 + counts.received);
}

#[tokio::test]
async fn a_night_brings_what_changed_since_the_last_one_with_an_overlap() {
    let folder = Folder::new();
    let server = in_memory();
    let client = server.client().unwrap();
    let mut copy = Database::open(&database(&folder)).unwrap();
    let first = server.now();
    let counts = sync(&client, &mut copy, PAGE, first).await.unwrap();
    assert_eq!((counts.received, counts.changed, counts.processes), (140, 140, 1));
    assert_eq!(copy.orders().unwrap(), listed(&client).await);

    server.skew(SignedDuration::from_hours(48));
    client.update_order().id(20000042).body(OrderUpdate::new().status(451)).send().await.unwrap();
    let second = first + SignedDuration::from_hours(48);
    let counts = sync(&client, &mut copy, PAGE, second).await.unwrap();
    assert_eq!((counts.received, counts.changed), (1, 1));
    let query = server.requests().last().unwrap().query.clone();
    let since = (first - SignedDuration::from_hours(1)).strftime("%Y-%m-%d").to_string();
    assert!(query.contains(&since), "{query} does not search from {since}");

    // The change of the second night comes again in the third, and is as it was.
    let third = first + SignedDuration::from_hours(72);
    let counts = sync(&client, &mut copy, PAGE, third).await.unwrap();
    assert_eq!((counts.received, counts.changed), (1, 0));
    assert_eq!((copy.progress.runs, copy.progress.totals.received, copy.progress.totals.changed), (3, 142, 141));
    assert_eq!(copy.progress.synced_until, Some(third));
}

#[tokio::test]
async fn a_run_that_may_have_missed_orders_is_repeated_by_the_next_one() {
    let folder = Folder::new();
    let server = in_memory();
    let client = server.client().unwrap();
    let mut copy = Database::open(&database(&folder)).unwrap();
    // The vendor counts more orders than it sends.
    server.fault(Fault::field("totalItems", 150).on("GET", "/orders").always());
    let counts = sync(&client, &mut copy, PAGE, server.now()).await.unwrap();
    assert_eq!((counts.received, counts.maybe_missed), (140, 10));
    assert_eq!((copy.progress.synced_until, copy.progress.runs), (None, 1));

    server.clear_faults();
    let counts = sync(&client, &mut copy, PAGE, server.now()).await.unwrap();
    assert_eq!((counts.received, counts.changed, counts.maybe_missed), (140, 0, 0));
    assert!(copy.progress.synced_until.is_some());
    assert_eq!(copy.progress.totals.maybe_missed, 10);
}

#[tokio::test]
async fn two_processes_do_not_work_on_one_copy() {
    let folder = Folder::new();
    let server = in_memory();
    let client = server.client().unwrap();
    let (mut one, mut other) =
        (Database::open(&database(&folder)).unwrap(), Database::open(&database(&folder)).unwrap());
    sync(&client, &mut one, PAGE, server.now()).await.unwrap();
    let error = sync(&client, &mut other, PAGE, server.now()).await.unwrap_err().to_string();
    assert_eq!(error, "another process works on this copy: let one of them do it");
    assert_eq!(Database::open(&database(&folder)).unwrap().progress, one.progress);
}
