//! Where tokens are kept: what a client makes of a store that works, of one that does not, and of what it finds there.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fmt, fs, future, mem};

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use serde_json::json;
use servicebay::fentu::{Client, Credentials};
use servicebay::testing::TokenRequestKind;
use servicebay::testing::fentu::MockServer;
use servicebay::{
    AuthStatus, CompareAndSwap, Error, FileStore, Lease, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore,
};
use tokio::time::{Instant, advance, sleep};

use crate::folder::Folder;

const APPLICATION: (&str, &str) = ("test-application", "test-application-secret");
const HOUR: Duration = Duration::from_secs(3600);
/// Long enough for every store that failed to have been tried again.
const SOON: Duration = Duration::from_secs(120);

fn tenant() -> MockServer {
    MockServer::builder().in_memory()
}

/// Tokens that a user granted just now, as a program would hand them in.
fn granted(tenant: &MockServer) -> TokenSet {
    let pair = tenant.sign_in(["read:work-orders"]);
    let expires_at = tenant.now().checked_add(SignedDuration::from_hours(1)).unwrap();
    TokenSet::new(pair.access_token).with_refresh_token(pair.refresh_token).with_access_expires_at(expires_at)
}

/// The same, saying when they were obtained, as those of a login do.
fn obtained(tokens: &TokenSet, at: Timestamp) -> TokenSet {
    let mut text = serde_json::to_value(tokens).unwrap();
    text["obtained_at"] = json!(at);
    serde_json::from_value(text).unwrap()
}

fn connect(tenant: &MockServer, credentials: Credentials, store: impl TokenStore) -> Client {
    tenant.client_builder_with(credentials).with_tenant("acme").with_token_store(store).build().unwrap()
}

fn with(tenant: &MockServer, tokens: &TokenSet, store: impl TokenStore) -> Client {
    connect(tenant, Credentials::oauth(APPLICATION.0, APPLICATION.1, tokens.clone()), store)
}

fn without(tenant: &MockServer, store: impl TokenStore) -> Client {
    connect(tenant, Credentials::oauth_stored(APPLICATION.0, APPLICATION.1), store)
}

async fn call(client: &Client) -> Result<(), Error> {
    client.get_work_order().id("wo-10001").send().await.map(drop)
}

fn same(one: &TokenSet, other: &TokenSet) -> bool {
    one.access_token().expose_secret() == other.access_token().expose_secret()
}

fn store_failure(status: &AuthStatus) -> &str {
    status.store_failure().unwrap_or_default()
}

/// How a store answers.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Mood {
    #[default]
    Works,
    /// Fails this often, and then works.
    Fails(u32),
    Hangs,
    Panics,
}

/// A store that does as it is told.
#[derive(Clone, Default)]
struct Moody {
    memory: MemoryStore,
    moods: Arc<Mutex<Moods>>,
}

#[derive(Default)]
struct Moods {
    load: Mood,
    swap: Mood,
    lease: Mood,
    loads: u32,
    swaps: u32,
    key: Option<TokenKey>,
}

impl Moody {
    fn moods(&self) -> std::sync::MutexGuard<'_, Moods> {
        self.moods.lock().unwrap()
    }

    /// The mood for all that it does.
    fn set(&self, mood: Mood) {
        let mut moods = self.moods();
        (moods.load, moods.swap, moods.lease) = (mood, mood, mood);
    }

    /// The pair that it holds, whatever its mood.
    async fn held(&self) -> Option<TokenSet> {
        let key = self.moods().key.clone()?;
        self.memory.load(&key).await.unwrap()
    }

    async fn act(&self, mood: impl FnOnce(&mut Moods) -> &mut Mood) -> Result<(), StoreError> {
        let now = {
            let mut moods = self.moods();
            let mood = mood(&mut moods);
            match *mood {
                Mood::Fails(0) => Mood::Works,
                Mood::Fails(times) => mem::replace(mood, Mood::Fails(times - 1)),
                other => other,
            }
        };
        match now {
            Mood::Works => Ok(()),
            Mood::Fails(_) => Err(StoreError::new("the shelf is full; clear it")),
            Mood::Hangs => future::pending().await,
            Mood::Panics => panic!("a store of the test's own breaks down"),
        }
    }
}

impl fmt::Debug for Moody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Moody")
    }
}

impl TokenStore for Moody {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        Box::pin(async {
            self.moods().key = Some(key.clone());
            self.moods().loads += 1;
            self.act(|moods| &mut moods.load).await?;
            self.memory.load(key).await
        })
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>> {
        Box::pin(async move {
            self.moods().swaps += 1;
            self.act(|moods| &mut moods.swap).await?;
            self.memory.compare_and_swap(key, expected, tokens).await
        })
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.memory.remove(key)
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        Box::pin(async {
            self.act(|moods| &mut moods.lease).await?;
            self.memory.lease(key).await
        })
    }
}

#[tokio::test(start_paused = true)]
async fn tokens_survive_a_restart_and_so_does_a_refreshed_pair() {
    let (tenant, folder) = (tenant(), Folder::new());
    let store = || FileStore::new(folder.path()).unwrap();
    let first = granted(&tenant);
    call(&with(&tenant, &first, store())).await.unwrap();
    assert!(same(&folder.pair(), &first));

    let second = without(&tenant, store());
    call(&second).await.unwrap();
    assert!(tenant.token_requests().is_empty(), "{:?}", tenant.token_requests());

    advance(HOUR).await;
    call(&second).await.unwrap();
    assert_eq!(tenant.token_requests().len(), 1);
    assert!(!same(&folder.pair(), &first));
    assert_eq!(folder.pair().generation(), second.auth_status().generation());

    call(&without(&tenant, store())).await.unwrap();
    assert_eq!((tenant.token_requests().len(), tenant.counters().logins()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_cannot_be_stored_is_used_from_memory_and_stored_as_soon_as_it_can_be() {
    let (tenant, store) = (tenant(), Moody::default());
    let client = with(&tenant, &granted(&tenant), store.clone());
    call(&client).await.unwrap();
    assert_eq!(client.auth_status().store_failure(), None);

    store.moods().swap = Mood::Fails(3);
    advance(HOUR).await;
    call(&client).await.unwrap();
    let status = client.auth_status();
    assert!(store_failure(&status).contains("the shelf is full; clear it"), "{status:?}");
    assert_eq!((status.generation(), store.held().await.unwrap().generation()), (2, 1));

    sleep(SOON).await;
    assert_eq!(store.held().await.unwrap().generation(), 2);
    assert_eq!(client.auth_status().store_failure(), None);
    assert_eq!(store.moods().swaps, 1 + 4, "the first pair, three failures, and the second pair");
    assert_eq!(tenant.token_requests().len(), 1);
    call(&without(&tenant, store)).await.unwrap();
    assert_eq!(tenant.token_requests().len(), 1);
}

#[test]
fn a_pair_that_could_not_be_stored_before_its_runtime_ended_is_stored_from_the_next() {
    let paused = || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let store = Moody::default();
    let (tenant, client) = paused().block_on(async {
        let tenant = tenant();
        store.moods().swap = Mood::Fails(u32::MAX);
        let client = with(&tenant, &granted(&tenant), store.clone());
        call(&client).await.unwrap();
        (tenant, client)
    });
    paused().block_on(async {
        advance(HOUR).await;
        call(&client).await.unwrap();
        assert!(store.held().await.is_none());
        store.moods().swap = Mood::Works;
        sleep(SOON).await;
        assert_eq!(store.held().await.unwrap().generation(), 2);
        assert_eq!(tenant.token_requests().len(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_store_that_hangs_is_given_10_seconds() {
    let ten = Duration::from_secs(10);
    let (tenant, store) = (tenant(), Moody::default());
    store.moods().swap = Mood::Hangs;
    let client = with(&tenant, &granted(&tenant), store.clone());
    let begun = Instant::now();
    call(&client).await.unwrap();
    assert_eq!(begun.elapsed(), ten);
    let status = client.auth_status();
    assert!(store_failure(&status).contains("no answer within 10 s"), "{status:?}");
    store.moods().swap = Mood::Works;
    sleep(SOON).await;
    assert_eq!(client.auth_status().store_failure(), None);

    store.moods().load = Mood::Hangs;
    let begun = Instant::now();
    let empty = without(&tenant, store.clone());
    let error = call(&empty).await.unwrap_err();
    assert!(matches!(&error, Error::Store(_)) && error.to_string().contains("no answer within 10 s"), "{error}");
    assert_eq!(begun.elapsed(), ten);
    assert!(tenant.token_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_token_that_lives_is_sent_while_the_store_hangs_under_its_renewal() {
    let (tenant, store) = (tenant(), Moody::default());
    let client = with(&tenant, &granted(&tenant), store.clone());
    call(&client).await.unwrap();
    store.set(Mood::Hangs);
    advance(HOUR - Duration::from_secs(300)).await;
    let begun = Instant::now();
    for _ in 0..100 {
        call(&client).await.unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_never_comes_ends_in_an_error_and_not_in_a_second_refresh() {
    let (tenant, store) = (tenant(), Moody::default());
    let client = with(&tenant, &granted(&tenant), store.clone());
    call(&client).await.unwrap();
    let key = store.moods().key.clone().unwrap();
    let holder = store.lease(&key).await.unwrap();
    advance(HOUR).await;
    let error = loop {
        match call(&client).await {
            Err(error @ Error::Store(_)) => break error,
            Err(Error::Timeout(_)) => {}
            other => panic!("{other:?}"),
        }
    };
    assert!(error.to_string().contains("another process is renewing the tokens and does not finish"), "{error}");
    assert!(tenant.token_requests().is_empty());
    drop(holder);
    sleep(SOON).await;
    call(&client).await.unwrap();
    assert_eq!(tenant.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_gives_no_lease_does_not_keep_a_client_from_renewing() {
    let (tenant, store) = (tenant(), Moody::default());
    store.moods().lease = Mood::Fails(u32::MAX);
    let client = with(&tenant, &granted(&tenant), store.clone());
    call(&client).await.unwrap();
    advance(HOUR).await;
    call(&client).await.unwrap();
    assert_eq!((tenant.token_requests().len(), store.held().await.unwrap().generation()), (1, 2));
    assert_eq!(client.auth_status().store_failure(), None, "the pair is stored all the same");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_be_read_is_the_error_where_there_are_no_other_tokens() {
    let (tenant, store) = (tenant(), Moody::default());
    call(&with(&tenant, &granted(&tenant), store.clone())).await.unwrap();
    store.moods().load = Mood::Fails(u32::MAX);
    let client = without(&tenant, store.clone());
    let error = call(&client).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)) && !error.is_auth(), "{error:?}");
    assert!(error.to_string().contains("the shelf is full; clear it"), "{error}");
    assert!(store_failure(&client.auth_status()).contains("the shelf is full"));

    store.moods().load = Mood::Works;
    sleep(SOON).await;
    call(&client).await.unwrap();
    assert_eq!(client.auth_status().store_failure(), None);
    assert!(tenant.token_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_is_a_store_that_fails() {
    let (tenant, store) = (tenant(), Moody::default());
    store.set(Mood::Panics);
    let empty = without(&tenant, store.clone());
    for _ in 0..3 {
        assert!(matches!(call(&empty).await, Err(Error::Store(_))));
    }
    assert_eq!(store.moods().loads, 1, "the first failure answers the calls right after it");

    let client = with(&tenant, &granted(&tenant), store.clone());
    call(&client).await.unwrap();
    advance(HOUR).await;
    call(&client).await.unwrap();
    assert!(store_failure(&client.auth_status()).contains("it panicked"), "{:?}", client.auth_status());
    assert_eq!(tenant.token_requests().len(), 1);

    store.set(Mood::Works);
    sleep(SOON).await;
    assert_eq!(store.held().await.unwrap().generation(), 2);
    assert_eq!(client.auth_status().store_failure(), None);
    call(&empty).await.unwrap();
    assert_eq!(tenant.token_requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn two_clients_on_one_store_refresh_once_and_the_loser_reads_what_the_winner_stored() {
    let folder = Folder::new();
    let file = FileStore::new(folder.path()).unwrap();
    let stores: [Arc<dyn TokenStore>; 2] = [Arc::new(MemoryStore::new()), Arc::new(file)];
    for store in stores {
        let tenant = tenant();
        let one = with(&tenant, &granted(&tenant), Arc::clone(&store));
        call(&one).await.unwrap();
        let other = without(&tenant, Arc::clone(&store));
        for round in 1..=5 {
            advance(HOUR).await;
            let calls = (0..50).flat_map(|_| [call(&one), call(&other)]);
            for outcome in futures_util::future::join_all(calls).await {
                outcome.unwrap();
            }
            let seen = tenant.counters();
            assert_eq!((seen.refreshes(), seen.repeated_refreshes()), (round, 0), "{store:?}");
            let generations = [&one, &other].map(|client| client.auth_status().generation());
            assert_eq!(generations, [round + 1; 2], "{store:?}");
        }
    }
}

#[test]
fn a_store_is_not_taken_where_another_account_could_get_the_tokens_in_it() {
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
async fn tokens_of_one_account_are_not_given_to_another() {
    let (tenant, folder) = (tenant(), Folder::new());
    let store = FileStore::new(folder.path()).unwrap();
    call(&with(&tenant, &granted(&tenant), store.clone())).await.unwrap();
    let credentials = || Credentials::oauth_stored(APPLICATION.0, APPLICATION.1);
    let globex = tenant.client_builder_with(credentials()).with_tenant("globex");
    let globex = globex.with_token_store(store.clone()).build().unwrap();
    let application = Credentials::oauth_stored("another-application", "secret");
    for other in [globex, connect(&tenant, application, store)] {
        assert!(matches!(call(&other).await, Err(Error::ReauthRequired(_))));
    }
    assert_eq!(tenant.counters().requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_is_handed_in_and_was_obtained_later_than_the_stored_one_takes_its_place() {
    let (tenant, store) = (tenant(), Moody::default());
    let stored = obtained(&granted(&tenant), tenant.now());
    call(&with(&tenant, &stored, store.clone())).await.unwrap();
    advance(Duration::from_secs(60)).await;
    let handed_in = obtained(&granted(&tenant), tenant.now());
    call(&with(&tenant, &handed_in, store.clone())).await.unwrap();
    let held = store.held().await.unwrap();
    assert!(same(&held, &handed_in));
    assert_eq!(held.generation(), 2, "a client that uses the first pair finds one that follows it");
    assert!(tenant.token_requests().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_pair_that_is_handed_in_and_older_than_the_stored_one_waits_until_that_is_refused() {
    for says_when in [true, false] {
        let (tenant, store) = (tenant(), Moody::default());
        let early = tenant.now();
        advance(Duration::from_secs(60)).await;
        let stored = obtained(&granted(&tenant), tenant.now());
        call(&with(&tenant, &stored, store.clone())).await.unwrap();
        tenant.revoke_all();
        let handed_in = granted(&tenant);
        let handed_in = if says_when { obtained(&handed_in, early) } else { handed_in };

        let client = with(&tenant, &handed_in, store.clone());
        call(&client).await.unwrap();
        let seen = tenant.counters();
        assert_eq!((seen.unauthorized(), seen.refused_refreshes(), seen.refreshes()), (1, 1, 0), "{seen:?}");
        assert!(same(&store.held().await.unwrap(), &handed_in), "what works is stored in place of what was refused");
    }
}

#[tokio::test(start_paused = true)]
async fn a_newer_pair_in_the_store_is_taken_when_ours_is_refused_and_the_vendor_is_asked_for_nothing() {
    let (tenant, folder) = (tenant(), Folder::new());
    let store = FileStore::new(folder.path()).unwrap();
    let ours = with(&tenant, &obtained(&granted(&tenant), tenant.now()), store.clone());
    call(&ours).await.unwrap();
    tenant.revoke_all();
    advance(Duration::from_secs(60)).await;
    call(&with(&tenant, &obtained(&granted(&tenant), tenant.now()), store)).await.unwrap();

    call(&ours).await.unwrap();
    let seen = tenant.counters();
    assert_eq!((seen.unauthorized(), tenant.token_requests().len()), (1, 0), "{seen:?}");
    assert_eq!(ours.auth_status().generation(), 2);
}

#[tokio::test(start_paused = true)]
async fn another_pair_of_the_same_count_is_taken_when_ours_is_refused() {
    let (tenant, folder) = (tenant(), Folder::new());
    let store = FileStore::new(folder.path()).unwrap();
    let ours = with(&tenant, &granted(&tenant), store.clone());
    call(&ours).await.unwrap();
    // Somebody clears the folder and logs in anew, as the error of a damaged file tells them to.
    tenant.revoke_all();
    fs::remove_file(folder.pair_file()).unwrap();
    call(&with(&tenant, &granted(&tenant), store)).await.unwrap();
    assert_eq!(folder.pair().generation(), 1);

    call(&ours).await.unwrap();
    let requests = tenant.token_requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    assert!(requests[0].kind == TokenRequestKind::Refresh && !requests[0].accepted, "{requests:?}");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_was_told_to_log_in_again_goes_on_once_somebody_has() {
    let (tenant, folder) = (tenant(), Folder::new());
    let store = FileStore::new(folder.path()).unwrap();
    let ours = with(&tenant, &obtained(&granted(&tenant), tenant.now()), store.clone());
    call(&ours).await.unwrap();
    tenant.revoke_all();
    assert!(matches!(call(&ours).await, Err(Error::ReauthRequired(_))));
    let asked = tenant.token_requests().len();
    sleep(SOON).await;
    assert!(matches!(call(&ours).await, Err(Error::ReauthRequired(_))));

    call(&with(&tenant, &obtained(&granted(&tenant), tenant.now()), store)).await.unwrap();
    sleep(SOON).await;
    call(&ours).await.unwrap();
    assert_eq!(tenant.token_requests().len(), asked);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_somebody_removed_is_written_again_with_the_next_pair() {
    let (tenant, folder) = (tenant(), Folder::new());
    let client = with(&tenant, &granted(&tenant), FileStore::new(folder.path()).unwrap());
    call(&client).await.unwrap();
    fs::remove_file(folder.pair_file()).unwrap();
    call(&client).await.unwrap();
    let empty = without(&tenant, FileStore::new(folder.path()).unwrap());
    assert!(matches!(call(&empty).await, Err(Error::ReauthRequired(_))));
    assert!(tenant.token_requests().is_empty());

    advance(HOUR).await;
    call(&client).await.unwrap();
    assert_eq!((folder.pair().generation(), tenant.token_requests().len()), (2, 1));
    assert_eq!(client.auth_status().store_failure(), None);
}

#[tokio::test(start_paused = true)]
async fn a_damaged_file_is_told_by_its_name_and_keeps_nobody_with_tokens_from_calling() {
    let (tenant, folder) = (tenant(), Folder::new());
    let tokens = granted(&tenant);
    call(&with(&tenant, &tokens, FileStore::new(folder.path()).unwrap())).await.unwrap();
    let path = folder.pair_file();
    let damaged = fs::read_to_string(&path).unwrap().replace('}', "");
    fs::write(&path, &damaged).unwrap();

    let empty = without(&tenant, FileStore::new(folder.path()).unwrap());
    let error = call(&empty).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(matches!(error, Error::Store(_)), "{error:?}");
    assert!(shown.contains(&path.display().to_string()) && shown.contains("move it away"), "{shown}");
    assert!(!shown.contains(tokens.access_token().expose_secret()), "{shown}");

    let client = with(&tenant, &tokens, FileStore::new(folder.path()).unwrap());
    call(&client).await.unwrap();
    assert!(store_failure(&client.auth_status()).contains("move it away"));
    assert_eq!(fs::read_to_string(&path).unwrap(), damaged);

    fs::rename(&path, folder.path().join("damaged")).unwrap();
    sleep(SOON).await;
    assert_eq!(client.auth_status().store_failure(), None);
    assert!(same(&folder.pair(), &tokens));
}

#[tokio::test(start_paused = true)]
async fn revoked_tokens_are_gone_from_the_file_too() {
    let (tenant, folder) = (tenant(), Folder::new());
    let client = with(&tenant, &granted(&tenant), FileStore::new(folder.path()).unwrap());
    call(&client).await.unwrap();
    let path = folder.pair_file();
    client.revoke().await.unwrap();
    assert!(!path.exists());
    assert!(matches!(call(&client).await, Err(Error::ReauthRequired(_))));
}
