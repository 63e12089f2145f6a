//! A token store in a SQLite database, for programs that have one anyway.
//!
//! ```sh
//! cargo run -p servicebay-demos --example sqlite_store
//! ```
//!
//! [`SqliteStore`] is complete: copy its file, `sqlite_store/store.rs`, and adapt the statements to your database. The program
//! checks it with the suite that comes with `servicebay`, and then starts processes that share a login through it. Everything
//! runs against a mock server, with a database in the folder for temporary files.

#![expect(clippy::print_stdout, reason = "an example prints")]

#[path = "sqlite_store/store.rs"]
mod store;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

use servicebay::TokenSet;
use servicebay::fentu::{Client, Credentials};
use servicebay::testing::fentu::{MockServer, RefreshTokens};
use servicebay::testing::token_store;

use self::store::SqliteStore;

/// The application that the mock server knows.
const ID: &str = "test-application";
const SECRET: &str = "test-application-secret";
/// How often the access token ends, and how many processes use the login then.
const ROUNDS: u64 = 5;
const PROCESSES: usize = 4;

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
