//! Exports all orders to a CSV file, and goes on where it was when it is stopped and run again.
//!
//! `cargo run -p servicebay-demos --example export_orders` runs it against a mock server inside this program: it stops itself half way, goes
//! on, and checks the file. With `FIXABLY_TENANT` and `FIXABLY_TOKEN` set, it exports that tenant's orders to `orders.csv`,
//! or to the file that is named: `cargo run -p servicebay-demos --example export_orders -- march.csv`. Ctrl-C stops it; the next run goes on.
//!
//! How the file ends up complete and without doubles, even when the machine loses power: beside it lies a checkpoint, which
//! says where in the list the export is and how long the file was then. A run that goes on cuts the file back to that
//! length, and fetches from that place.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::collections::HashSet;
use std::error::Error;
use std::fs::{self, File, OpenOptions};
use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;
use std::{env, process};

use futures_util::TryStreamExt;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use servicebay::Cursor;
use servicebay::fixably::types::Order;
use servicebay::fixably::{Client, Credentials, Expand};
use servicebay::testing::fixably::{MockServer, TokenKind};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Orders between two checkpoints.
const CHECKPOINT: u64 = 100;

#[tokio::main]
async fn main() -> Result<()> {
    let (Ok(name), Ok(token)) = (env::var("FIXABLY_TENANT"), env::var("FIXABLY_TOKEN")) else {
        return embedded().await;
    };
    let path = env::args_os().nth(1).map_or_else(|| PathBuf::from("orders.csv"), PathBuf::from);
    let client = Client::builder(Credentials::bearer(token)).with_tenant(name).build()?;
    match export(&client, 100, &path, stopped()).await? {
        Outcome::Complete(count) => println!("{}: complete, {count} orders", path.display()),
        Outcome::Stopped(count) => println!("{}: {count} orders so far; run it again to go on", path.display()),
    }
    Ok(())
}

/// Against a mock server inside this program: stopped half way, taken up again, and checked.
async fn embedded() -> Result<()> {
    let tenant = MockServer::builder().with_rate_limit(5, Duration::from_secs(1)).start().await;
    let client = Client::builder(Credentials::bearer(tenant.token(TokenKind::AdminAll)));
    let client = client.with_base_url(tenant.base_url()).build()?;
    let path = env::temp_dir().join(format!("servicebay-orders-{}.csv", process::id()));
    println!("A mock server of Fixably with 140 orders, five calls a second, and pages of ten.");
    println!("Set FIXABLY_TENANT and FIXABLY_TOKEN to export a real one's instead.");

    let clock = async {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(1500)) => {}
            () = stopped() => {}
        }
    };
    if let Outcome::Stopped(count) = export(&client, 10, &path, clock).await? {
        println!("stopped after {count} orders; going on in a new walk");
    }
    if let Outcome::Stopped(count) = export(&client, 10, &path, stopped()).await? {
        println!("stopped once more after {count} orders; so the file is not checked");
        return Ok(());
    }

    let mut exported = csv::Reader::from_path(&path)?;
    let exported: Vec<String> = exported.records().map(|row| Ok(row?[0].to_owned())).collect::<Result<_>>()?;
    let there: Vec<Order> = client.list_orders().limit(100).items().try_collect().await?;
    let there: HashSet<String> = there.iter().map(id).collect();
    let without_doubles: HashSet<String> = exported.iter().cloned().collect();
    assert_eq!(without_doubles.len(), exported.len(), "an order came twice");
    assert_eq!(without_doubles, there, "orders are missing");
    println!("{}: checked, {} orders, each of them once", path.display(), exported.len());
    fs::remove_file(&path)?;
    fs::remove_file(beside(&path, "cursor"))?;
    Ok(())
}

enum Outcome {
    Complete(u64),
    Stopped(u64),
}

/// Exports what is still missing from the file, until `stop` says so.
async fn export(client: &Client, page: u32, path: &Path, stop: impl Future<Output = ()>) -> Result<Outcome> {
    let expand = Expand::new().with("customer").with("device").with("status");
    let orders = client.list_orders().limit(page).expand(expand).items().prefetch(8);
    let checkpoint = match Checkpoint::read(path)? {
        Some(checkpoint) => checkpoint,
        None if path.try_exists()? => {
            let path = path.display();
            return Err(format!("{path} is there already, with no checkpoint beside it: name another file").into());
        }
        None => {
            // Before the file itself: so a file without a checkpoint is never ours.
            let checkpoint = Checkpoint { length: 0, cursor: orders.cursor() };
            checkpoint.write(path)?;
            checkpoint
        }
    };
    let mut csv = cut_back(path, checkpoint.length)?;
    if checkpoint.length == 0 {
        csv.write_record(["order", "created", "closed", "customer", "device", "status", "total", "to pay"])?;
    }
    let mut orders = orders.resume(checkpoint.cursor);

    let bar =
        ProgressBar::new(0).with_style(ProgressStyle::with_template("{bar:40} {pos}/{len} orders, {eta} to go{msg}")?);
    let mut stop = pin!(stop);
    let outcome = loop {
        let next = tokio::select! {
            biased;
            () = &mut stop => break Ok(Outcome::Stopped(orders.yielded())),
            next = orders.try_next() => next,
        };
        match next {
            Ok(Some(order)) => csv.write_record(row(&order))?,
            Ok(None) => break Ok(Outcome::Complete(orders.yielded())),
            // What was exported until here stays, and the next run goes on with what failed.
            Err(error) => break Err(error.into()),
        }
        bar.set_length(orders.total().unwrap_or_default());
        bar.set_position(orders.yielded());
        if let Some(remaining) = client.rate_limit().remaining() {
            bar.set_message(format!("; {remaining} calls left in the tenant's window"));
        }
        if orders.yielded().is_multiple_of(CHECKPOINT) {
            save(path, &mut csv, orders.cursor())?;
        }
    };
    bar.finish();
    save(path, &mut csv, orders.cursor())?;

    let changes = orders.changes();
    if !changes.is_none() {
        println!("the list changed meanwhile: {changes:?}");
    }
    outcome
}

/// The file at its end, cut back to so many bytes; a new one where that is none.
fn cut_back(path: &Path, length: u64) -> Result<csv::Writer<File>> {
    let file = OpenOptions::new().append(true).create(length == 0).open(path)?;
    if file.metadata()?.len() < length {
        return Err("the file is shorter than its checkpoint says: delete both to begin anew".into());
    }
    file.set_len(length)?;
    Ok(csv::Writer::from_writer(file))
}

/// First the rows are safe on the disk, then the checkpoint that counts on them.
fn save(path: &Path, csv: &mut csv::Writer<File>, cursor: Cursor) -> Result<()> {
    csv.flush()?;
    csv.get_ref().sync_data()?;
    let length = csv.get_ref().metadata()?.len();
    Checkpoint { length, cursor }.write(path)
}

/// How far an export is.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    /// How long the file was then.
    length: u64,
    cursor: Cursor,
}

impl Checkpoint {
    fn read(path: &Path) -> Result<Option<Self>> {
        match fs::read(beside(path, "cursor")) {
            Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// It takes the old one's place whole.
    fn write(&self, path: &Path) -> Result<()> {
        let new = beside(path, "cursor.new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        File::open(&new)?.sync_data()?;
        fs::rename(new, beside(path, "cursor"))?;
        Ok(())
    }
}

/// The file of the same name with one more ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn row(order: &Order) -> [String; 8] {
    let customer = order.customer.as_ref().and_then(|customer| customer.expanded());
    let customer = customer.and_then(|customer| customer.company.clone().or_else(|| customer.last_name.clone()));
    let device = order.device.as_ref().and_then(|device| device.expanded()).and_then(|device| device.name.clone());
    let status = order.status.as_ref().and_then(|status| status.expanded()).and_then(|status| status.name.clone());
    [
        id(order),
        order.created_at.as_ref().map(ToString::to_string).unwrap_or_default(),
        order.is_closed.map(|closed| closed.to_string()).unwrap_or_default(),
        customer.unwrap_or_default(),
        device.unwrap_or_default(),
        status.unwrap_or_default(),
        order.total.as_ref().map(ToString::to_string).unwrap_or_default(),
        order.total_remaining.as_ref().map(ToString::to_string).unwrap_or_default(),
    ]
}

fn id(order: &Order) -> String {
    order.id().map(|id| id.to_string()).unwrap_or_default()
}

/// Resolves when somebody presses Ctrl-C.
async fn stopped() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Nobody can: then nobody does.
        std::future::pending::<()>().await;
    }
}
