//! Exports all orders to a CSV file, and resumes the export if it was interrupted.
//!
//! ```sh
//! cargo run -p servicebay-demos --example export_orders
//! ```
//!
//! runs it against a mock server inside this program: it interrupts itself, resumes, and checks the file. With
//! `FIXABLY_TENANT` and `FIXABLY_TOKEN` set, it exports that tenant's orders to `orders.csv`, or to the file that you name:
//!
//! ```sh
//! cargo run -p servicebay-demos --example export_orders -- march.csv
//! ```
//!
//! Ctrl-C interrupts it, and the next run resumes. The file ends up complete and without duplicates even if the machine
//! loses power: a checkpoint beside the file holds the position in the list and the length of the file at that moment. A
//! run that resumes truncates the file to that length and fetches from that position.

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

/// The number of orders between two checkpoints.
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
        Outcome::Stopped(count) => println!("{}: {count} orders so far; run it again to resume", path.display()),
    }
    Ok(())
}

/// Exports from a mock server inside this program: interrupts itself, resumes, and checks the file.
async fn embedded() -> Result<()> {
    let server = MockServer::builder().with_rate_limit(5, Duration::from_secs(1)).start().await;
    let client = Client::builder(Credentials::bearer(server.token(TokenKind::AdminAll)));
    let client = client.with_base_url(server.base_url()).build()?;
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
        println!("interrupted after {count} orders; resuming with a new list");
    }
    if let Outcome::Stopped(count) = export(&client, 10, &path, stopped()).await? {
        println!("interrupted again after {count} orders, so the file is not checked");
        return Ok(());
    }

    let mut exported = csv::Reader::from_path(&path)?;
    let exported: Vec<String> = exported.records().map(|row| Ok(row?[0].to_owned())).collect::<Result<_>>()?;
    let listed: Vec<Order> = client.list_orders().limit(100).items().try_collect().await?;
    let listed: HashSet<String> = listed.iter().map(id).collect();
    let distinct: HashSet<String> = exported.iter().cloned().collect();
    assert_eq!(distinct.len(), exported.len(), "an order was exported twice");
    assert_eq!(distinct, listed, "orders are missing");
    println!("{}: checked, {} orders, each of them once", path.display(), exported.len());
    fs::remove_file(&path)?;
    fs::remove_file(beside(&path, "cursor"))?;
    Ok(())
}

enum Outcome {
    Complete(u64),
    Stopped(u64),
}

/// Exports the orders that are missing from the file, until `stop` resolves.
async fn export(client: &Client, page: u32, path: &Path, stop: impl Future<Output = ()>) -> Result<Outcome> {
    let expand = Expand::new().with("customer").with("device").with("status");
    let orders = client.list_orders().limit(page).expand(expand).items().prefetch(8);
    let checkpoint = match Checkpoint::read(path)? {
        Some(checkpoint) => checkpoint,
        None if path.try_exists()? => {
            let path = path.display();
            return Err(format!(
                "{path} exists and has no checkpoint beside it, so it is not from an export: name another file"
            )
            .into());
        }
        None => {
            // Written before the file, so a file without a checkpoint is never from an export.
            let checkpoint = Checkpoint { length: 0, cursor: orders.cursor() };
            checkpoint.write(path)?;
            checkpoint
        }
    };
    let mut csv = open_truncated(path, checkpoint.length)?;
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
            // The orders so far stay in the file, and the next run resumes with the page that failed.
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

/// Opens the file for appending, truncated to `length`; creates it if `length` is 0.
fn open_truncated(path: &Path, length: u64) -> Result<csv::Writer<File>> {
    let file = OpenOptions::new().append(true).create(length == 0).open(path)?;
    if file.metadata()?.len() < length {
        return Err("the file is shorter than its checkpoint records: delete both to start over".into());
    }
    file.set_len(length)?;
    Ok(csv::Writer::from_writer(file))
}

/// Syncs the rows to the disk, and then writes the checkpoint that relies on them.
fn save(path: &Path, csv: &mut csv::Writer<File>, cursor: Cursor) -> Result<()> {
    csv.flush()?;
    csv.get_ref().sync_data()?;
    let length = csv.get_ref().metadata()?.len();
    Checkpoint { length, cursor }.write(path)
}

/// The progress of an export.
#[derive(Serialize, Deserialize)]
struct Checkpoint {
    /// The length of the file, in bytes.
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

    /// Replaces the old checkpoint atomically.
    fn write(&self, path: &Path) -> Result<()> {
        let new = beside(path, "cursor.new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        File::open(&new)?.sync_data()?;
        fs::rename(new, beside(path, "cursor"))?;
        Ok(())
    }
}

/// The path with one more extension.
fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
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

/// Resolves when Ctrl-C is pressed.
async fn stopped() {
    if tokio::signal::ctrl_c().await.is_err() {
        // Ctrl-C cannot be caught here, so wait forever.
        std::future::pending::<()>().await;
    }
}
