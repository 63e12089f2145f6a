//! Copies the orders that changed since the last run into a SQLite database.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use serde::{Deserialize, Serialize};
use servicebay::fixably::types::Order;
use servicebay::fixably::{Client, Query};
use servicebay::{Cursor, Priority};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// How far a run reaches back behind the start of the last one. It covers clocks that differ, and orders that the vendor shows
/// late in its search; what has not changed costs a comparison.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);
/// How long the night may wait for the tenant's rate limit in total.
const NIGHT: Duration = Duration::from_secs(6 * 3600);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id   INTEGER PRIMARY KEY,
        body TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS progress (
        id       INTEGER PRIMARY KEY CHECK (id = 1),
        revision INTEGER NOT NULL,
        state    TEXT NOT NULL
    ) STRICT;
";

/// Stores an order, unless it is stored as it is.
const STORE_ORDER: &str = "
    INSERT INTO orders (id, body) VALUES (?1, ?2)
    ON CONFLICT (id) DO UPDATE SET body = excluded.body WHERE orders.body <> excluded.body
";

/// Stores the progress, if no other process has stored some since it was read.
const STORE_PROGRESS: &str = "
    INSERT INTO progress (id, revision, state) VALUES (1, 1, ?1)
    ON CONFLICT (id) DO UPDATE SET revision = revision + 1, state = excluded.state WHERE revision = ?2
";

/// The copy, with the progress of the run that makes it. Both change in one transaction, so they always agree.
pub(crate) struct Database {
    connection: Connection,
    revision: i64,
    pub(crate) progress: Progress,
}

/// How far the copy is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// Every change before this time is in the copy.
    pub(crate) synced_until: Option<Timestamp>,
    /// The run that has begun and not ended.
    pub(crate) run: Option<Run>,
    /// All runs that have ended.
    pub(crate) totals: Counts,
    pub(crate) runs: u64,
}

/// A run, which several processes may have worked on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Run {
    /// Where the search begins; `None` is everything.
    since: Option<Timestamp>,
    pub(crate) started_at: Timestamp,
    /// The place in the list behind what is stored; `None` before the first page.
    cursor: Option<Cursor>,
    pub(crate) counts: Counts,
}

/// What runs did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// The processes that worked on them: one more than the interruptions of each.
    pub(crate) processes: u64,
    /// The orders that came, and those of them that were new or had changed.
    pub(crate) received: u64,
    pub(crate) changed: u64,
    /// What happened to the list while it was read: orders that came again and were skipped, orders that may be missing, and orders
    /// that may have come twice.
    pub(crate) repeated: u64,
    pub(crate) maybe_missed: u64,
    pub(crate) maybe_repeated: u64,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.processes += other.processes;
        self.received += other.received;
        self.changed += other.changed;
        self.repeated += other.repeated;
        self.maybe_missed += other.maybe_missed;
        self.maybe_repeated += other.maybe_repeated;
    }
}

impl Database {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let connection = Connection::open(path)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        // A transaction is on the disk when it returns.
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        let row = connection.query_row("SELECT revision, state FROM progress", [], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?))
        });
        let (revision, progress) = match row.optional()? {
            Some((revision, state)) => (revision, serde_json::from_str(&state)?),
            None => (0, Progress::default()),
        };
        Ok(Self { connection, revision, progress })
    }

    /// Stores orders together with the progress, and counts those that were new or had changed.
    fn store(&mut self, orders: &[Order]) -> Result<()> {
        let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let mut changed = 0;
        for order in orders {
            let Some(id) = order.id() else { continue };
            changed += transaction.execute(STORE_ORDER, params![id.to_string(), serde_json::to_string(order)?])?;
        }
        if let Some(run) = &mut self.progress.run {
            run.counts.changed += changed as u64;
        }
        let state = serde_json::to_string(&self.progress)?;
        if transaction.execute(STORE_PROGRESS, params![state, self.revision])? == 0 {
            return Err("another process works on this copy: let one of them do it".into());
        }
        transaction.commit()?;
        self.revision += 1;
        Ok(())
    }

    /// The stored orders by their ids.
    pub(crate) fn orders(&self) -> Result<Vec<(i64, Order)>> {
        let mut rows = self.connection.prepare("SELECT id, body FROM orders ORDER BY id")?;
        let rows = rows.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?;
        rows.map(|row| row.map_err(Into::into).and_then(|(id, body)| Ok((id, serde_json::from_str(&body)?)))).collect()
    }
}

/// Brings the copy up to date: begins a run, or resumes the one that was interrupted. Returns what the whole run did.
///
/// Every page is stored together with the place behind it, so a process that is killed loses one page at most, and no order is
/// counted twice.
pub(crate) async fn sync(client: &Client, database: &mut Database, page_size: u32, now: Timestamp) -> Result<Counts> {
    let synced_until = database.progress.synced_until;
    let since = synced_until.map(|until| until.checked_sub(OVERLAP)).transpose()?;
    let new = || Run { since, started_at: now, cursor: None, counts: Counts::default() };
    let run = database.progress.run.get_or_insert_with(new);
    run.counts.processes += 1;

    // A run that is resumed asks for the same list, so its cursor fits.
    let mut list = client.list_orders().limit(page_size).expand("items");
    if let Some(since) = run.since {
        list = list.q(Query::field("updatedAt").since(since));
    }
    // People at the counter go first, and the night may wait long for them.
    let mut pages = list.with_priority(Priority::Bulk).with_max_wait(NIGHT).pages();
    if let Some(cursor) = run.cursor.clone() {
        pages = pages.resume(cursor);
    }
    // Not two runs at once: the other one finds that its revision is gone.
    database.store(&[])?;

    while let Some(page) = pages.try_next().await? {
        let run = database.progress.run.as_mut().ok_or("the run has ended")?;
        let (cursor, changes) = (pages.cursor(), pages.changes());
        run.counts.received += page.items.len() as u64;
        run.counts.repeated = changes.repeated();
        run.counts.maybe_missed = changes.maybe_missed();
        run.counts.maybe_repeated = changes.maybe_repeated();
        run.cursor = Some(cursor);
        database.store(&page.items)?;
    }

    let mut run = database.progress.run.take().ok_or("the run has ended")?;
    // What the end of the list shows: orders that the vendor counts and never sent.
    run.counts.maybe_missed = pages.changes().maybe_missed();
    database.progress.totals.add(run.counts);
    database.progress.runs += 1;
    if run.counts.maybe_missed == 0 {
        database.progress.synced_until = Some(run.started_at);
    }
    // Otherwise the next run searches from the same time again, and finds what this one missed.
    database.store(&[])?;
    Ok(run.counts)
}
