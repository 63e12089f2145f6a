//! Real processes share a folder of tokens. They are killed, stopped and ended again and again during a refresh.

mod scenarios;
mod shared_login;

use std::fs;
use std::path::Path;

use servicebay::{FileStore, TokenSet};

use self::scenarios::Scenario;
use self::shared_login::SharedStore;

impl SharedStore for FileStore {
    fn open(folder: &Path) -> Self {
        Self::new(folder).unwrap()
    }

    fn tokens(folder: &Path) -> Option<TokenSet> {
        // In this order: a record that becomes current in between is read twice instead of never. One that was being written
        // when its process was killed need not be whole.
        let beside = file(folder, ".new").and_then(|text| serde_json::from_slice(&text).ok());
        let current = file(folder, ".json").map(|text| serde_json::from_slice(&text).unwrap());
        let records = [current, beside].into_iter().flatten();
        let records =
            records.map(|record: serde_json::Value| serde_json::from_value(record["tokens"].clone()).unwrap());
        records.max_by_key(TokenSet::generation)
    }
}

/// The content of the file of the tokens with this ending, if there is one. A lease that expires is a record of its own.
fn file(folder: &Path, ending: &str) -> Option<Vec<u8>> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let name = names.into_iter().find(|name| name.ends_with(ending) && !name.starts_with("lease"))?;
    // It may have become the current one meanwhile.
    fs::read(folder.join(name)).ok()
}

/// What each of the processes runs.
#[tokio::test]
async fn a_process_that_calls_until_it_ends() {
    shared_login::call_until_told_to_end::<FileStore>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_that_expire_keep_the_contract_too() {
    scenarios::leases_expire::<FileStore>().await;
}

#[tokio::test]
async fn a_process_killed_during_a_refresh_leaves_working_tokens_sixty_times() {
    let scenario = Scenario { processes: 2, rounds: 60, seed: 3 };
    scenarios::kill_during_a_refresh::<FileStore>(scenario).await;
}

#[tokio::test]
async fn a_process_killed_before_its_refresh_is_handled_or_after_its_tokens_are_stored_loses_no_tokens() {
    let scenario = Scenario { processes: 4, rounds: 24, seed: 4 };
    scenarios::kill_before_a_refresh_is_handled_or_after_it_is_stored::<FileStore>(scenario).await;
}

#[tokio::test]
async fn processes_that_close_their_clients_at_any_moment_lose_no_tokens() {
    let scenario = Scenario { processes: 4, rounds: 15, seed: 5 };
    scenarios::close_at_any_moment::<FileStore>(scenario).await;
}

#[tokio::test]
async fn a_process_stopped_during_its_refresh_for_longer_than_others_wait_loses_no_tokens() {
    let scenario = Scenario { processes: 4, rounds: 6, seed: 6 };
    scenarios::stop_for_longer_than_others_wait::<FileStore>(scenario).await;
}

#[tokio::test]
async fn a_process_that_is_stopped_beyond_its_lease_does_not_present_what_another_has_presented() {
    let scenario = Scenario { processes: 2, rounds: 6, seed: 7 };
    scenarios::stop_beyond_the_lease::<FileStore>(scenario).await;
}

#[tokio::test]
async fn of_two_processes_that_are_killed_stopped_and_ended_none_presents_a_token_twice_if_its_outcome_can_be_known() {
    let scenario = Scenario { processes: 2, rounds: 16, seed: 8 };
    scenarios::kill_stop_and_end::<FileStore>(scenario).await;
}

#[tokio::test]
async fn of_four_processes_that_are_killed_stopped_and_ended_none_presents_a_token_twice_if_its_outcome_can_be_known() {
    let scenario = Scenario { processes: 4, rounds: 16, seed: 9 };
    scenarios::kill_stop_and_end::<FileStore>(scenario).await;
}
