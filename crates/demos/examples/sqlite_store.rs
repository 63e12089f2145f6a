//! A token store in a SQLite database, for programs that have one anyway.
//!
//! ```sh
//! cargo run -p servicebay-demos --example sqlite_store
//! ```
//!
//! `SqliteStore` is complete: copy it, and adapt the statements to your database. The program checks it with the suite that
//! comes with `servicebay`, and then starts processes that share a login through it. Everything runs against a mock server,
//! with a database in the folder for temporary files.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example prints, and a lease in a database ends by the clock of the machine"
)]

use std::error::Error;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use std::{env, fmt, fs, process};

use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};
use servicebay::fentu::{Client, Credentials};
use servicebay::testing::fentu::{MockServer, RefreshTokens};
use servicebay::testing::token_store;
use servicebay::{CompareAndSwap, Lease, MAX_LEASE, StoreError, TokenKey, TokenSet, TokenStore};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS tokens (
        key      TEXT PRIMARY KEY,
        revision INTEGER NOT NULL,
        record   TEXT NOT NULL
    ) STRICT;
    CREATE TABLE IF NOT EXISTS leases (
        key        TEXT PRIMARY KEY,
        owner      INTEGER NOT NULL,
        expires_at REAL NOT NULL
    ) STRICT;
";

/// Stores tokens if the stored revision is the expected one, or if none are stored: one statement, so that it is atomic.
const SWAP: &str = "
    INSERT INTO tokens (key, revision, record) VALUES (?1, ?2, ?3)
    ON CONFLICT (key) DO UPDATE SET revision = excluded.revision, record = excluded.record
    WHERE tokens.revision = ?4
";

/// Takes the lease of a key if no one holds it, or if its holder did not give it back in time.
const ACQUIRE: &str = "
    INSERT INTO leases (key, owner, expires_at) VALUES (?1, ?2, unixepoch('subsec') + ?3)
    ON CONFLICT (key) DO UPDATE SET owner = excluded.owner, expires_at = excluded.expires_at
    WHERE leases.expires_at <= unixepoch('subsec')
";

/// The application that the mock server knows.
const ID: &str = "test-application";
const SECRET: &str = "test-application-secret";
/// How often the access token ends, and how many processes use the login then.
const ROUNDS: u64 = 5;
const PROCESSES: usize = 4;
/// How often a lease that another client holds is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(50);

/// A token store in a SQLite database. The processes of one machine can share it.
#[derive(Clone)]
struct SqliteStore(Arc<Mutex<Connection>>);

impl SqliteStore {
    /// Opens the database, and creates it if it does not exist. It contains tokens, so keep it in a folder that only the
    /// user of your program can read.
    fn open(path: &Path) -> Result<Self, StoreError> {
        let open = || {
            let connection = Connection::open(path)?;
            // Another process may be writing.
            connection.busy_timeout(Duration::from_secs(5))?;
            // Readers do not wait for writers, and a write is on disk when it returns.
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.execute_batch(SCHEMA)?;
            Ok(connection)
        };
        open().map(|connection| Self(Arc::new(Mutex::new(connection)))).map_err(failed)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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

    async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
        loop {
            let key = key.clone();
            // Before the statement, so that this client takes the lease for expired first.
            let expires_at = SystemTime::now() + MAX_LEASE;
            let lease = self.run(move |store| HeldLease::acquire(store, key)).await?;
            if let Some(lease) = lease {
                // A client that was suspended for longer does not present a refresh token any more.
                return Ok(Lease::new(lease).with_is_held(move || SystemTime::now() < expires_at));
            }
            sleep(TRY_AGAIN).await;
        }
    }
}

impl fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

/// A row in the table of leases, which is deleted when this is dropped. If the process is killed, the lease expires.
struct HeldLease {
    store: SqliteStore,
    key: TokenKey,
    owner: i64,
}

impl HeldLease {
    /// Runs to its end even if the future that waits for it is dropped; then the lease is dropped at once.
    fn acquire(store: &SqliteStore, key: TokenKey) -> Result<Option<Self>, StoreError> {
        let owner = (RandomState::new().build_hasher().finish() >> 1) as i64;
        let values = params![key.as_str(), owner, MAX_LEASE.as_secs_f64()];
        let rows = store.connection().execute(ACQUIRE, values).map_err(failed)?;
        Ok((rows == 1).then(|| Self { store: store.clone(), key, owner }))
    }
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        // Here and not in the background, where it might not run before the process ends. If it fails, the lease expires.
        let statement = "DELETE FROM leases WHERE key = ?1 AND owner = ?2";
        let _ = self.store.connection().execute(statement, params![self.key.as_str(), self.owner]);
    }
}

/// A folder that only its owner can use, removed when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> std::io::Result<Self> {
        let path = env::temp_dir().join(format!("servicebay-sqlite-store-{}", process::id()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    if let [_, base_url, database] = &env::args().collect::<Vec<_>>()[..] {
        return use_login(base_url, Path::new(database)).await;
    }
    let folder = Folder::new()?;
    let database = folder.0.join("tokens.sqlite3");
    let open = || SqliteStore::open(&database);

    token_store::check(open()?, open()?).await?;
    println!("The store keeps the contract of token stores.");

    let server = MockServer::builder().with_refresh_tokens(RefreshTokens::Rotated).start().await;
    let pair = server.sign_in(["read:work-orders"]);
    let tokens = TokenSet::new(pair.access_token).with_refresh_token(pair.refresh_token);
    let client = client(server.base_url(), Credentials::oauth(ID, SECRET, tokens), open()?)?;
    client.get_work_order().id("wo-10001").send().await?;
    println!("The first process reads a work order, and stores its login in the database.");

    for _ in 0..ROUNDS {
        server.end_access_tokens();
        let mut processes = Vec::new();
        for _ in 0..PROCESSES {
            let mut process = Command::new(env::current_exe()?);
            processes.push(process.arg(server.base_url()).arg(&database).spawn()?);
        }
        for mut process in processes {
            if !process.wait()?.success() {
                return Err("a process could not use the login".into());
            }
        }
    }
    let counters = server.counters();
    println!(
        "{ROUNDS} times the access token ends, and {PROCESSES} processes use the login at once: {} refreshes, and no \
         refresh token was presented twice.",
        counters.refreshes()
    );
    assert_eq!((counters.refreshes(), counters.repeated_refreshes(), counters.refused_refreshes()), (ROUNDS, 0, 0));
    Ok(())
}

/// What each of the other processes does: it has no tokens but those in the database.
async fn use_login(base_url: &str, database: &Path) -> Result<(), Box<dyn Error>> {
    let client = client(base_url, Credentials::oauth_stored(ID, SECRET), SqliteStore::open(database)?)?;
    for order in ["wo-10001", "wo-10002", "wo-10003"] {
        client.get_work_order().id(order).send().await?;
    }
    client.close().await?;
    Ok(())
}

fn client(base_url: &str, credentials: Credentials, store: SqliteStore) -> Result<Client, servicebay::Error> {
    Client::builder(credentials).with_base_url(base_url).with_tenant("acme").with_token_store(store).build()
}
