//! Token stores: what a client does with one that works, with one that fails, and with the tokens that it finds there.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, fs, future, mem};

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::json;
use servicebay::fentu::{Client, Credentials};
use servicebay::testing::fentu::MockServer;
use servicebay::{
    AuthStatus, CompareAndSwap, Error, FileStore, Lease, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore,
};
use tokio::time::{Instant, advance, sleep};

use crate::folder::Folder;

const APPLICATION: (&str, &str) = ("test-application", "test-application-secret");
const HOUR: Duration = Duration::from_secs(3600);
/// Long enough for every failed store operation to have been retried.
const AFTER_RETRIES: Duration = Duration::from_secs(120);

fn server() -> MockServer {
    MockServer::builder().in_memory()
}

/// Tokens that a user granted just now, as a program would pass them in.
fn granted(server: &MockServer) -> TokenSet {
    let pair = server.sign_in(["read:work-orders"]);
    let expires_at = server.now().checked_add(SignedDuration::from_hours(1)).unwrap();
    TokenSet::new(pair.access_token).with_refresh_token(pair.refresh_token).with_access_expires_at(expires_at)
}

/// The same tokens with the time at which they were granted, as after a login.
fn obtained_at(tokens: &TokenSet, at: Timestamp) -> TokenSet {
    let mut text = serde_json::to_value(tokens).unwrap();
    text["obtained_at"] = json!(at);
    serde_json::from_value(text).unwrap()
}

fn connect(server: &MockServer, credentials: Credentials, store: impl TokenStore) -> Client {
    server.client_builder_with(credentials).with_tenant("acme").with_token_store(store).build().unwrap()
}

fn client_with(server: &MockServer, tokens: &TokenSet, store: impl TokenStore) -> Client {
    connect(server, Credentials::oauth(APPLICATION.0, APPLICATION.1, tokens.clone()), store)
}

fn client_without_tokens(server: &MockServer, store: impl TokenStore) -> Client {
    connect(server, Credentials::oauth_stored(APPLICATION.0, APPLICATION.1), store)
}

async fn call(client: &Client) -> Result<(), Error> {
    client.get_work_order().id("wo-10001").send().await.map(drop)
}

fn have_same_access_token(one: &TokenSet, other: &TokenSet) -> bool {
    one.access_token().expose_secret() == other.access_token().expose_secret()
}

fn store_failure(status: &AuthStatus) -> &str {
    status.store_failure().unwrap_or_default()
}

/// How a store operation behaves.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Behavior {
    #[default]
    Works,
    /// Fails this many times, and then works.
    Fails(u32),
    Hangs,
    Panics,
}

/// A store whose operations can be made to fail.
#[derive(Clone, Default)]
struct TestStore {
    memory: MemoryStore,
    state: Arc<Mutex<TestStoreState>>,
}

#[derive(Default)]
struct TestStoreState {
    load: Behavior,
    swap: Behavior,
    lease: Behavior,
    loads: u32,
    swaps: u32,
    key: Option<TokenKey>,
}

impl TestStore {
    fn state(&self) -> std::sync::MutexGuard<'_, TestStoreState> {
        self.state.lock().unwrap()
    }

    /// Sets the behavior of all operations.
    fn set(&self, behavior: Behavior) {
        let mut state = self.state();
        (state.load, state.swap, state.lease) = (behavior, behavior, behavior);
    }

    /// The tokens in it, whatever its behavior.
    async fn stored(&self) -> Option<TokenSet> {
        let key = self.state().key.clone()?;
        self.memory.load(&key).await.unwrap()
    }

    async fn behave(&self, operation: impl FnOnce(&mut TestStoreState) -> &mut Behavior) -> Result<(), StoreError> {
        let current = {
            let mut state = self.state();
            let behavior = operation(&mut state);
            match *behavior {
                Behavior::Fails(0) => Behavior::Works,
                Behavior::Fails(times) => mem::replace(behavior, Behavior::Fails(times - 1)),
                other => other,
            }
        };
        match current {
            Behavior::Works => Ok(()),
            Behavior::Fails(_) => Err(StoreError::new("the disk is full; free some space")),
            Behavior::Hangs => future::pending().await,
            Behavior::Panics => panic!("the test store panics on purpose"),
        }
    }
}

impl fmt::Debug for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStore")
    }
}

impl TokenStore for TestStore {
    fn load(&self, key: &TokenKey) -> impl Future<Output = Result<Option<TokenSet>, StoreError>> + Send {
        Box::pin(async {
            self.state().key = Some(key.clone());
            self.state().loads += 1;
            self.behave(|state| &mut state.load).await?;
            self.memory.load(key).await
        })
    }

    fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> impl Future<Output = Result<CompareAndSwap, StoreError>> + Send {
        Box::pin(async move {
            self.state().swaps += 1;
            self.behave(|state| &mut state.swap).await?;
            self.memory.compare_and_swap(key, expected, tokens).await
        })
    }

    fn remove(&self, key: &TokenKey) -> impl Future<Output = Result<(), StoreError>> + Send {
        self.memory.remove(key)
    }

    fn lease(&self, key: &TokenKey) -> impl Future<Output = Result<Lease, StoreError>> + Send {
        Box::pin(async {
            self.behave(|state| &mut state.lease).await?;
            self.memory.lease(key).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_survive_a_restart_and_so_do_refreshed_ones() {
    let (server, folder) = (server(), Folder::new());
    let store = || FileStore::new(folder.path()).unwrap();
    let first = granted(&server);
    call(&client_with(&server, &first, store())).await.unwrap();
    assert!(have_same_access_token(&folder.tokens(), &first));

    let second = client_without_tokens(&server, store());
    call(&second).await.unwrap();
    assert!(server.token_requests().is_empty(), "{:?}", server.token_requests());

    advance(HOUR).await;
    call(&second).await.unwrap();
    assert_eq!(server.token_requests().len(), 1);
    assert!(!have_same_access_token(&folder.tokens(), &first));
    assert_eq!(folder.tokens().generation(), second.auth_status().generation());

    call(&client_without_tokens(&server, store())).await.unwrap();
    assert_eq!((server.token_requests().len(), server.counters().logins()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_cannot_be_stored_are_used_from_memory_and_stored_when_the_store_recovers() {
    let (server, store) = (server(), TestStore::default());
    let client = client_with(&server, &granted(&server), store.clone());
    call(&client).await.unwrap();
    assert_eq!(client.auth_status().store_failure(), None);

    store.state().swap = Behavior::Fails(3);
    advance(HOUR).await;
    call(&client).await.unwrap();
    let status = client.auth_status();
    assert!(store_failure(&status).contains("the disk is full; free some space"), "{status:?}");
    assert_eq!((status.generation(), store.stored().await.unwrap().generation()), (2, 1));

    sleep(AFTER_RETRIES).await;
    assert_eq!(store.stored().await.unwrap().generation(), 2);
    assert_eq!(client.auth_status().store_failure(), None);
    assert_eq!(store.state().swaps, 1 + 4, "the first tokens, three failures, and the second tokens");
    assert_eq!(server.token_requests().len(), 1);
    call(&client_without_tokens(&server, store)).await.unwrap();
    assert_eq!(server.token_requests().len(), 1);
}

#[test]
fn tokens_that_could_not_be_stored_before_their_runtime_ended_are_stored_from_the_next() {
    let paused = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let store = TestStore::default();
    let (server, client) = paused().block_on(async {
        let server = server();
        store.state().swap = Behavior::Fails(u32::MAX);
        let client = client_with(&server, &granted(&server), store.clone());
        call(&client).await.unwrap();
        (server, client)
    });
    paused().block_on(async {
        advance(HOUR).await;
        call(&client).await.unwrap();
        assert!(store.stored().await.is_none());
        store.state().swap = Behavior::Works;
        sleep(AFTER_RETRIES).await;
        assert_eq!(store.stored().await.unwrap().generation(), 2);
        assert_eq!(server.token_requests().len(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_store_operation_that_hangs_times_out_after_10_seconds() {
    let ten = Duration::from_secs(10);
    let (server, store) = (server(), TestStore::default());
    store.state().swap = Behavior::Hangs;
    let client = client_with(&server, &granted(&server), store.clone());
    let started = Instant::now();
    call(&client).await.unwrap();
    assert_eq!(started.elapsed(), ten);
    let status = client.auth_status();
    assert!(store_failure(&status).contains("no response within 10 s"), "{status:?}");
    store.state().swap = Behavior::Works;
    sleep(AFTER_RETRIES).await;
    assert_eq!(client.auth_status().store_failure(), None);

    store.state().load = Behavior::Hangs;
    let started = Instant::now();
    let empty = client_without_tokens(&server, store.clone());
    let error = call(&empty).await.unwrap_err();
    assert!(matches!(&error, Error::Store(_)) && error.to_string().contains("no response within 10 s"), "{error}");
    assert_eq!(started.elapsed(), ten);
    assert!(server.token_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_valid_token_is_sent_while_the_store_hangs_during_its_refresh() {
    let (server, store) = (server(), TestStore::default());
    let client = client_with(&server, &granted(&server), store.clone());
    call(&client).await.unwrap();
    store.set(Behavior::Hangs);
    advance(HOUR - Duration::from_secs(300)).await;
    let started = Instant::now();
    for _ in 0..100 {
        call(&client).await.unwrap();
    }
    assert_eq!(started.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_is_never_granted_ends_in_an_error_and_not_in_a_second_refresh() {
    let (server, store) = (server(), TestStore::default());
    let client = client_with(&server, &granted(&server), store.clone());
    call(&client).await.unwrap();
    let key = store.state().key.clone().unwrap();
    let holder = store.lease(&key).await.unwrap();
    advance(HOUR).await;
    let error = loop {
        match call(&client).await {
            Err(error @ Error::Store(_)) => break error,
            Err(Error::Timeout(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(
        error.to_string().contains("another client has been refreshing the tokens for more than 3 minutes"),
        "{error}"
    );
    assert!(server.token_requests().is_empty());
    drop(holder);
    sleep(AFTER_RETRIES).await;
    call(&client).await.unwrap();
    assert_eq!(server.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_lease_or_a_look_at_a_shared_store_no_refresh_token_is_presented() {
    for what in ["lease", "load"] {
        let (server, store) = (server(), TestStore::default());
        let client = client_with(&server, &granted(&server), store.clone());
        call(&client).await.unwrap();
        match what {
            "lease" => store.state().lease = Behavior::Fails(u32::MAX),
            _ => store.state().load = Behavior::Fails(u32::MAX),
        }
        advance(HOUR - Duration::from_secs(300)).await;
        call(&client).await.unwrap();
        advance(Duration::from_secs(300)).await;
        let error = call(&client).await.unwrap_err();
        assert!(matches!(error, Error::Store(_)) && error.is_retryable(), "{what}: {error:?}");
        assert!(error.to_string().contains("the disk is full; free some space"), "{what}: {error}");
        assert!(server.token_requests().is_empty(), "{what}");

        store.set(Behavior::Works);
        sleep(AFTER_RETRIES).await;
        call(&client).await.unwrap();
        assert_eq!((server.token_requests().len(), store.stored().await.unwrap().generation()), (1, 2), "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_an_error_if_there_are_no_other_tokens() {
    let (server, store) = (server(), TestStore::default());
    call(&client_with(&server, &granted(&server), store.clone())).await.unwrap();
    store.state().load = Behavior::Fails(u32::MAX);
    let client = client_without_tokens(&server, store.clone());
    let error = call(&client).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)) && !error.is_auth(), "{error:?}");
    assert!(error.to_string().contains("the disk is full; free some space"), "{error}");
    assert!(store_failure(&client.auth_status()).contains("the disk is full"));

    store.state().load = Behavior::Works;
    sleep(AFTER_RETRIES).await;
    call(&client).await.unwrap();
    assert_eq!(client.auth_status().store_failure(), None);
    assert!(server.token_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_store_counts_as_a_failure() {
    let (server, store) = (server(), TestStore::default());
    store.set(Behavior::Panics);
    let empty = client_without_tokens(&server, store.clone());
    for _ in 0..3 {
        assert!(matches!(call(&empty).await, Err(Error::Store(_))));
    }
    assert_eq!(store.state().loads, 1, "the first failure is returned to the calls right after it");

    let client = client_with(&server, &granted(&server), store.clone());
    call(&client).await.unwrap();
    assert!(store_failure(&client.auth_status()).contains("the store panicked"), "{:?}", client.auth_status());
    advance(HOUR).await;
    assert!(matches!(call(&client).await, Err(Error::Store(_))));
    assert!(server.token_requests().is_empty());

    store.set(Behavior::Works);
    sleep(AFTER_RETRIES).await;
    call(&client).await.unwrap();
    assert_eq!(store.stored().await.unwrap().generation(), 2);
    assert_eq!(client.auth_status().store_failure(), None);
    call(&empty).await.unwrap();
    assert_eq!(server.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_clients_on_one_store_refresh_once_and_the_second_reads_what_the_first_stored() {
    let folder = Folder::new();
    share(MemoryStore::new()).await;
    share(FileStore::new(folder.path()).unwrap()).await;
}

/// Two clients on this store through five refreshes.
async fn share(store: impl TokenStore + Clone) {
    let server = server();
    let one = client_with(&server, &granted(&server), store.clone());
    call(&one).await.unwrap();
    let other = client_without_tokens(&server, store.clone());
    for round in 1..=5 {
        advance(HOUR).await;
        let calls = (0..50).flat_map(|_| [call(&one), call(&other)]);
        for result in futures_util::future::join_all(calls).await {
            result.unwrap();
        }
        let counters = server.counters();
        assert_eq!((counters.refreshes(), counters.repeated_refreshes()), (round, 0), "{store:?}");
        let generations = [&one, &other].map(|client| client.auth_status().generation());
        assert_eq!(generations, [round + 1; 2], "{store:?}");
    }
}

#[test]
fn a_store_is_rejected_if_another_account_could_get_the_tokens_in_it() {
    let credentials = Credentials::oauth_stored(APPLICATION.0, APPLICATION.1);
    match Client::builder(credentials).with_token_store(MemoryStore::new()).build() {
        Err(Error::Config(error)) => {
            assert_eq!(error.field(), "token_store");
            assert!(error.to_string().contains(".with_tenant(..)"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_of_one_account_are_never_used_by_another() {
    let (server, folder) = (server(), Folder::new());
    let store = FileStore::new(folder.path()).unwrap();
    call(&client_with(&server, &granted(&server), store.clone())).await.unwrap();
    let credentials = || Credentials::oauth_stored(APPLICATION.0, APPLICATION.1);
    let globex = server.client_builder_with(credentials()).with_tenant("globex");
    let globex = globex.with_token_store(store.clone()).build().unwrap();
    let application = Credentials::oauth_stored("another-application", "secret");
    for other in [globex, connect(&server, application, store)] {
        assert!(matches!(call(&other).await, Err(Error::ReauthRequired(_))));
    }
    assert_eq!(server.counters().requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn tokens_passed_in_replace_the_stored_ones_if_they_were_granted_later() {
    let (server, store) = (server(), TestStore::default());
    let stored = obtained_at(&granted(&server), server.now());
    call(&client_with(&server, &stored, store.clone())).await.unwrap();
    advance(Duration::from_secs(60)).await;
    let passed_in = obtained_at(&granted(&server), server.now());
    call(&client_with(&server, &passed_in, store.clone())).await.unwrap();
    let stored_now = store.stored().await.unwrap();
    assert!(have_same_access_token(&stored_now, &passed_in));
    assert_eq!(stored_now.generation(), 2, "a client that uses the first tokens finds newer ones");
    assert!(server.token_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn older_tokens_passed_in_are_used_only_when_the_stored_ones_are_refused() {
    for has_time in [true, false] {
        let (server, store) = (server(), TestStore::default());
        let early = server.now();
        advance(Duration::from_secs(60)).await;
        let stored = obtained_at(&granted(&server), server.now());
        call(&client_with(&server, &stored, store.clone())).await.unwrap();
        server.revoke_all();
        let passed_in = granted(&server);
        let passed_in = if has_time { obtained_at(&passed_in, early) } else { passed_in };

        let client = client_with(&server, &passed_in, store.clone());
        call(&client).await.unwrap();
        let counters = server.counters();
        assert_eq!(
            (counters.unauthorized(), counters.refused_refreshes(), counters.refreshes()),
            (1, 1, 0),
            "{counters:?}"
        );
        assert!(
            have_same_access_token(&store.stored().await.unwrap(), &passed_in),
            "the tokens that work replace the refused ones"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn newer_stored_tokens_are_used_when_ours_are_refused_without_a_token_request() {
    let (server, folder) = (server(), Folder::new());
    let store = FileStore::new(folder.path()).unwrap();
    let ours = client_with(&server, &obtained_at(&granted(&server), server.now()), store.clone());
    call(&ours).await.unwrap();
    server.revoke_all();
    advance(Duration::from_secs(60)).await;
    call(&client_with(&server, &obtained_at(&granted(&server), server.now()), store)).await.unwrap();

    call(&ours).await.unwrap();
    let counters = server.counters();
    assert_eq!((counters.unauthorized(), server.token_requests().len()), (1, 0), "{counters:?}");
    assert_eq!(ours.auth_status().generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn other_stored_tokens_of_the_same_generation_are_used_when_ours_are_refused() {
    let (server, folder) = (server(), Folder::new());
    let store = FileStore::new(folder.path()).unwrap();
    let ours = client_with(&server, &granted(&server), store.clone());
    call(&ours).await.unwrap();
    // The user clears the folder and logs in again, as the error about a damaged file says.
    server.revoke_all();
    fs::remove_file(folder.token_file()).unwrap();
    call(&client_with(&server, &granted(&server), store)).await.unwrap();
    assert_eq!(folder.tokens().generation(), 1);

    call(&ours).await.unwrap();
    assert!(server.token_requests().is_empty(), "{:?}", server.token_requests());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_requires_a_login_recovers_when_another_process_logs_in() {
    let (server, folder) = (server(), Folder::new());
    let store = FileStore::new(folder.path()).unwrap();
    let ours = client_with(&server, &obtained_at(&granted(&server), server.now()), store.clone());
    call(&ours).await.unwrap();
    server.revoke_all();
    assert!(matches!(call(&ours).await, Err(Error::ReauthRequired(_))));
    let requests = server.token_requests().len();
    sleep(AFTER_RETRIES).await;
    assert!(matches!(call(&ours).await, Err(Error::ReauthRequired(_))));

    call(&client_with(&server, &obtained_at(&granted(&server), server.now()), store)).await.unwrap();
    sleep(AFTER_RETRIES).await;
    call(&ours).await.unwrap();
    assert_eq!(server.token_requests().len(), requests);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_was_removed_is_written_again_with_the_next_tokens() {
    let (server, folder) = (server(), Folder::new());
    let client = client_with(&server, &granted(&server), FileStore::new(folder.path()).unwrap());
    call(&client).await.unwrap();
    fs::remove_file(folder.token_file()).unwrap();
    call(&client).await.unwrap();
    let empty = client_without_tokens(&server, FileStore::new(folder.path()).unwrap());
    assert!(matches!(call(&empty).await, Err(Error::ReauthRequired(_))));
    assert!(server.token_requests().is_empty());

    advance(HOUR).await;
    call(&client).await.unwrap();
    assert_eq!((folder.tokens().generation(), server.token_requests().len()), (2, 1));
    assert_eq!(client.auth_status().store_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_damaged_file_names_it_and_a_client_with_tokens_keeps_working() {
    let (server, folder) = (server(), Folder::new());
    let tokens = granted(&server);
    call(&client_with(&server, &tokens, FileStore::new(folder.path()).unwrap())).await.unwrap();
    let path = folder.token_file();
    let damaged = fs::read_to_string(&path).unwrap().replace('}', "");
    fs::write(&path, &damaged).unwrap();

    let empty = client_without_tokens(&server, FileStore::new(folder.path()).unwrap());
    let error = call(&empty).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    assert!(shown.contains(&path.display().to_string()) && shown.contains("move it away"), "{shown}");
    assert!(!shown.contains(tokens.access_token().expose_secret()), "{shown}");

    let client = client_with(&server, &tokens, FileStore::new(folder.path()).unwrap());
    call(&client).await.unwrap();
    assert!(store_failure(&client.auth_status()).contains("move it away"));
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged);

    fs::rename(&path, folder.path().join("damaged")).unwrap();
    sleep(AFTER_RETRIES).await;
    assert_eq!(client.auth_status().store_failure(), None);
    assert!(have_same_access_token(&folder.tokens(), &tokens));
}

#[tokio::test(start_paused = true)]
async fn revoked_tokens_are_removed_from_the_file() {
    let (server, folder) = (server(), Folder::new());
    let client = client_with(&server, &granted(&server), FileStore::new(folder.path()).unwrap());
    call(&client).await.unwrap();
    let path = folder.token_file();
    client.revoke().await.unwrap();
    assert!(!path.exists());
    assert!(matches!(call(&client).await, Err(Error::ReauthRequired(_))));
}

/// The environment variable that makes a process open the default folder. It has no home folder if the value is empty.
#[cfg(target_os = "linux")]
const DEFAULT_FOLDER: &str = "SERVICEBAY_TEST_DEFAULT_FOLDER";

/// The test that a process runs whose home folder is another one. In a normal test run it does nothing.
#[cfg(target_os = "linux")]
#[test]
fn a_process_with_another_home_folder() {
    let Ok(home) = std::env::var(DEFAULT_FOLDER) else { return };
    match FileStore::in_default_folder("acme-sync") {
        Ok(store) => assert_eq!(format!("{store:?}"), format!("FileStore {{ folder: {home:?}, .. }}")),
        Err(error) => assert!(home.is_empty() && error.reason().contains("has no home folder; set HOME"), "{error}"),
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_default_folder_is_the_platform_s_and_without_a_home_folder_there_is_none() {
    use std::os::unix::fs::PermissionsExt as _;
    use std::os::unix::process::CommandExt as _;

    let (home, state) = (Folder::new(), Folder::new());
    let process = |expected: &str| {
        let test = concat!(module_path!(), "::a_process_with_another_home_folder");
        let mut command = std::process::Command::new(std::env::current_exe().unwrap());
        command.args([test.split_once("::").unwrap().1, "--exact"]).env(DEFAULT_FOLDER, expected);
        command.env_remove("HOME").env_remove("XDG_STATE_HOME");
        command
    };
    let succeeds = |command: &mut std::process::Command| {
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    let folder = home.path().join(".local/state/acme-sync/tokens");
    succeeds(process(folder.to_str().unwrap()).env("HOME", home.path()));
    assert_eq!(fs::metadata(&folder).unwrap().permissions().mode() & 0o777, 0o700);

    let folder = state.path().join("acme-sync/tokens");
    let mut command = process(folder.to_str().unwrap());
    succeeds(command.env("HOME", home.path()).env("XDG_STATE_HOME", state.path()));
    assert!(folder.is_dir());

    // Only root can start a process of a user without a home folder.
    if rustix::process::geteuid().is_root() {
        succeeds(process("").uid(54321).current_dir("/"));
    }
}
