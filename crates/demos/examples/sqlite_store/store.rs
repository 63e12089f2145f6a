//! Stores tokens in a SQLite database.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use servicebay::{CompareAndSwap, Lease, StoreError, TokenKey, TokenSet, TokenStore};
use tokio::task::spawn_blocking;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS tokens (
        key      TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        record   TEXT NOT NULL
    ) STRICT;
";

/// Stores tokens if the stored revision is the expected one, or if none are stored: one statement, so that it is atomic.
const SWAP: &str = "
    INSERT INTO tokens (key, revision, record) VALUES (?1, ?2, ?3)
    ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, record = excluded.record
    WHERE tokens.revision = ?4
";

/// A token store in a SQLite database. The processes of one machine can share it.
#[derive(Clone)]
pub(crate) struct SqliteStore {
    connection: Arc<Mutex<Connection>>,
    /// The database, under the one name that all its users agree on.
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the database, and creates it if it does not exist. It contains tokens, and the files that lock them are next to
    /// it, so keep it in a folder that only the user of your program can use.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || {
            let connection = Connection::open(path)?;
            // Another process may be writing.
            connection.busy_timeout(Duration::from_secs(5))?;
            // A write is on disk when it returns. The journal stays as it is by default: a change to WAL does not wait for other
            // users of a new database, whatever the timeout.
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        let connection = open().map_err(failed)?;
        let path = path.canonicalize().map_err(|error| {
            let reason = format!("the database {} has no absolute path; check its folder", path.display());
            StoreError::new(reason).with_source(error)
        })?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs blocking statements on a thread for them.
    async fn run<T: Send + 'static>(
        &self,
        statements: impl FnOnce(&Self) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let store = self.clone();
        let result = spawn_blocking(move || statements(&store)).await;
        result.map_err(|error| StoreError::new("the runtime ended during the operation").with_source(error))?
    }
}

fn failed(error: rusqlite::Error) -> StoreError {
    StoreError::new(format!("the database failed: {error}; check its file and its disk")).with_source(error)
}

/// Reads the record under a key.
fn record(connection: &Connection, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
    let query = "SELECT record FROM tokens WHERE key = ?1";
    let json: Option<String> =
        connection.query_row(query, [key.as_str()], |row| row.get(0)).optional().map_err(failed)?;
    // Without serde's error as the source: it can quote the record, and with it a token.
    let parse = |json: String| {
        serde_json::from_str(&json)
            .map_err(|_| StoreError::new(format!("the record of {key} is damaged; delete its row, and log in again")))
    };
    json.map(parse).transpose()
}

impl TokenStore for SqliteStore {
    async fn load(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        let key = key.clone();
        self.run(move |store| record(&store.connection(), &key)).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> Result<CompareAndSwap, StoreError> {
        let (key, revision) = (key.clone(), tokens.revision());
        let json =
            serde_json::to_string(tokens).map_err(|_| StoreError::new("the tokens cannot be written as JSON"))?;
        self.run(move |store| {
            let mut connection = store.connection();
            // A transaction only so that the record of a conflict is the one that the statement met.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
            // A revision fits into a signed number.
            let values = params![key.as_str(), revision as i64, json, expected as i64];
            if transaction.execute(SWAP, values).map_err(failed)? == 1 {
                transaction.commit().map_err(failed)?;
                return Ok(CompareAndSwap::Stored);
            }
            let stored = record(&transaction, &key)?;
            stored.map(CompareAndSwap::Conflict).ok_or_else(|| StoreError::new("the database changed by itself"))
        })
        .await
    }

    async fn remove(&self, key: &TokenKey) -> Result<(), StoreError> {
        let key = key.clone();
        let statement = "DELETE FROM tokens WHERE key = ?1";
        self.run(move |store| store.connection().execute(statement, [key.as_str()]).map(drop).map_err(failed)).await
    }

    /// A lock on a file next to the database, which the operating system releases when the process ends, however it ends. A
    /// row with an expiry does not end with the process, and must be extended while the lease exists.
    ///
    /// If your database has several machines as users, hold a lock of the database's own that ends with its connection, such as
    /// PostgreSQL's `pg_advisory_lock`, and say in [`Lease::with_is_held`] whether the connection is still open.
    async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
        Lease::file_lock(self.path.with_file_name(format!("{}.lock", key.file_name()))).await
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}
