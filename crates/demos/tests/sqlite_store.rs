//! Real processes share tokens through the SQLite store of the examples. They are killed, stopped and ended again and again
//! during a refresh, as those that share files are in the tests of `servicebay`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "a test spawns what it awaits, and its processes live in real time")]

#[path = "../../../tests/it/folder.rs"]
#[allow(dead_code, reason = "the folder can read stores in files too")]
mod folder;
#[path = "../../../tests/it/forward_to_store.rs"]
mod forward_to_store;
#[path = "../../../tests/it/crash/scenarios.rs"]
mod scenarios;
#[path = "../../../tests/it/crash/shared_login.rs"]
mod shared_login;
#[path = "../examples/sqlite_store/store.rs"]
mod store;

use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};
use servicebay::TokenSet;
use servicebay::testing::token_store;

use self::folder::Folder;
use self::scenarios::Scenario;
use self::shared_login::SharedStore;
use self::store::SqliteStore;

fn database(folder: &Path) -> PathBuf {
    folder.join("tokens.sqlite3")
}

impl SharedStore for SqliteStore {
    fn open(folder: &Path) -> Self {
        Self::open(&database(folder)).unwrap()
    }

    fn tokens(folder: &Path) -> Option<TokenSet> {
        let connection = Connection::open(database(folder)).unwrap();
        connection.busy_timeout(Duration::from_secs(2)).unwrap();
        let check: String = match connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)) {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => return None,
            check => check.unwrap(),
        };
        assert_eq!(check, "ok");
        // A lease that expires is a record of its own.
        let tokens = "SELECT record FROM tokens WHERE key NOT LIKE 'lease of%'";
        let record: String = connection.query_row(tokens, [], |row| row.get(0)).unwrap();
        Some(serde_json::from_str(&record).unwrap())
    }
}

/// What each of the processes runs.
#[tokio::test]
async fn a_process_that_calls_until_it_ends() {
    shared_login::call_until_told_to_end::<SqliteStore>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract() {
    let folder = Folder::new();
    let open = || <SqliteStore as SharedStore>::open(folder.path());
    token_store::check(open(), open()).await.unwrap();
}

#[test]
fn a_database_that_is_created_by_several_users_at_once_is_created_once() {
    for _ in 0..20 {
        let folder = Folder::new();
        let (path, barrier) = (database(folder.path()), Barrier::new(4));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    barrier.wait();
                    SqliteStore::open(&path).unwrap();
                });
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_that_expire_keep_the_contract_too() {
    scenarios::leases_expire::<SqliteStore>().await;
}

#[tokio::test]
async fn a_process_killed_during_a_refresh_leaves_working_tokens_thirty_times() {
    let scenario = Scenario { processes: 2, rounds: 30, seed: 13 };
    scenarios::kill_during_a_refresh::<SqliteStore>(scenario).await;
}

#[tokio::test]
async fn a_process_killed_before_its_refresh_is_handled_or_after_its_tokens_are_stored_loses_no_tokens() {
    let scenario = Scenario { processes: 4, rounds: 12, seed: 14 };
    scenarios::kill_before_a_refresh_is_handled_or_after_it_is_stored::<SqliteStore>(scenario).await;
}

#[tokio::test]
async fn processes_that_close_their_clients_at_any_moment_lose_no_tokens() {
    let scenario = Scenario { processes: 4, rounds: 12, seed: 15 };
    scenarios::close_at_any_moment::<SqliteStore>(scenario).await;
}

#[tokio::test]
async fn a_process_stopped_during_its_refresh_for_longer_than_others_wait_loses_no_tokens() {
    let scenario = Scenario { processes: 4, rounds: 4, seed: 16 };
    scenarios::stop_for_longer_than_others_wait::<SqliteStore>(scenario).await;
}

#[tokio::test]
async fn a_process_that_is_stopped_beyond_its_lease_does_not_present_what_another_has_presented() {
    let scenario = Scenario { processes: 2, rounds: 6, seed: 17 };
    scenarios::stop_beyond_the_lease::<SqliteStore>(scenario).await;
}

#[tokio::test]
async fn of_two_processes_that_are_killed_stopped_and_ended_none_presents_a_token_twice_if_its_outcome_can_be_known() {
    let scenario = Scenario { processes: 2, rounds: 10, seed: 18 };
    scenarios::kill_stop_and_end::<SqliteStore>(scenario).await;
}

#[tokio::test]
async fn of_four_processes_that_are_killed_stopped_and_ended_none_presents_a_token_twice_if_its_outcome_can_be_known() {
    let scenario = Scenario { processes: 4, rounds: 10, seed: 19 };
    scenarios::kill_stop_and_end::<SqliteStore>(scenario).await;
}
