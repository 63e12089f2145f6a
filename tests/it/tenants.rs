//! One client for each of many tenants: made once, dropped and made anew without losing tokens, and nothing of one
//! within another's reach.

mod town;

use std::collections::HashSet;
use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::{BoxFuture, join_all};
use secrecy::ExposeSecret as _;
use servicebay::testing::{Script, Step};
use servicebay::{
    CompareAndSwap, Error, FileStore, Lease, MemoryStore, StoreError, TenantError, Tenants, TenantsBuilder, TokenKey,
    TokenSet, TokenStore, fentu, fixably,
};
use tokio::time::{Instant, advance, sleep, timeout};

use self::town::{Fentu, Fisikal, Fixably, Repairy, Town, Vendor};
use crate::folder::Folder;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Tenants of a vendor in the town, and how often each was asked of the closure, which takes a second.
fn tenants<V: Vendor>(town: &Town) -> (TenantsBuilder<V::Client>, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (town, log) = (town.clone(), Arc::clone(&asked));
    let builder = Tenants::builder(move |key: String| {
        let town = town.clone();
        log.lock().unwrap().push(key.clone());
        async move {
            sleep(SECOND).await;
            Ok::<_, Error>(V::builder(&town, &key))
        }
    });
    (builder, asked)
}

fn count(asked: &Mutex<Vec<String>>) -> usize {
    asked.lock().unwrap().len()
}

/// Tenants whose closure fails as often as it is told, and then works.
fn failing(times: u32) -> (Tenants<fixably::Client>, Arc<AtomicU32>) {
    let asked = Arc::new(AtomicU32::new(0));
    let log = Arc::clone(&asked);
    let tenants = Tenants::builder(move |key: String| {
        let number = log.fetch_add(1, Ordering::Relaxed);
        async move {
            sleep(SECOND).await;
            match number < times {
                true => Err(io::Error::other("the vault is shut")),
                false => Ok(Fixably::builder(&Town::default(), &key)),
            }
        }
    });
    (tenants.build(), asked)
}

fn tenant_error(error: Error) -> Box<TenantError> {
    match error {
        Error::Tenant(error) => error,
        other => panic!("{other:?}"),
    }
}

/// A store that cannot store while it sulks.
#[derive(Clone, Debug, Default)]
struct Sulky {
    memory: MemoryStore,
    sulks: Arc<AtomicBool>,
}

impl TokenStore for Sulky {
    fn load<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        self.memory.load(key)
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>> {
        match self.sulks.load(Ordering::Relaxed) {
            true => Box::pin(async { Err(StoreError::new("not today")) }),
            false => self.memory.compare_and_swap(key, expected, tokens),
        }
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.memory.remove(key)
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.memory.lease(key)
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_made_once_however_many_ask() {
    let town = Town::default();
    let (builder, asked) = tenants::<Fixably>(&town);
    let tenants = builder.build();
    let begun = Instant::now();
    let asking = (0..1000).map(|_| tenants.get("acme"));
    for client in join_all(asking).await {
        Fixably::call(&client.unwrap(), "acme").await.unwrap();
    }
    assert_eq!((count(&asked), begun.elapsed().as_secs(), tenants.len()), (1, 1 + 20, 1));
    tenants.clone().get("acme").await.unwrap();
    tenants.get("beta").await.unwrap();
    assert_eq!((count(&asked), tenants.len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_leaves_the_making_to_the_others() {
    let (builder, asked) = tenants::<Fixably>(&Town::default());
    let tenants = builder.build();
    let first = {
        let tenants = tenants.clone();
        tokio::spawn(async move { tenants.get("acme").await.map(drop) })
    };
    sleep(SECOND / 2).await;
    let second = tenants.get("acme");
    let (begun, aborts) = (Instant::now(), async {
        sleep(SECOND / 4).await;
        first.abort();
    });
    let (second, ()) = tokio::join!(second, aborts);
    second.unwrap();
    assert_eq!((count(&asked), begun.elapsed()), (1, SECOND / 2), "it goes on where it was");
}

#[tokio::test(start_paused = true)]
async fn a_making_that_nobody_waits_for_any_more_is_dropped() {
    let (builder, asked) = tenants::<Fixably>(&Town::default());
    let tenants = builder.build();
    timeout(SECOND / 2, tenants.get("acme")).await.unwrap_err();
    sleep(HOUR).await;
    let begun = Instant::now();
    tenants.get("acme").await.unwrap();
    assert_eq!((count(&asked), begun.elapsed(), tenants.len()), (2, SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_all_who_waited_and_not_remembered() {
    let (tenants, asked) = failing(1);
    let asking = join_all((0..10).map(|_| tenants.get("acme"))).await;
    assert_eq!((asked.load(Ordering::Relaxed), tenants.len()), (1, 0));
    for failed in asking {
        let error = tenant_error(failed.unwrap_err());
        assert_eq!((error.tenant(), &*error.to_string()), ("acme", "could not build a client for tenant \"acme\""));
        let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.to_string(), "the vault is shut");
    }
    tenants.get("acme").await.unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_fails_and_is_asked_again() {
    let asked = Arc::new(AtomicU32::new(0));
    let log = Arc::clone(&asked);
    let tenants = Tenants::<fixably::Client>::builder(move |key: String| {
        assert!(log.fetch_add(1, Ordering::Relaxed) > 0, "a closure of the test's own breaks down");
        async move { Ok::<_, Error>(Fixably::builder(&Town::default(), &key)) }
    });
    let tenants = tenants.build();
    let error = tenant_error(tenants.get("acme").await.unwrap_err());
    assert_eq!(error.source().unwrap().to_string(), "the closure panicked");
    tenants.get("acme").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_builder_that_cannot_be_built_names_the_tenant_and_the_option() {
    let tenants = Tenants::builder(|_| async {
        Ok::<_, Error>(fixably::Client::builder(fixably::Credentials::bearer("token")).with_tenant("no/label"))
    });
    let error = tenant_error(tenants.build().get("acme").await.unwrap_err());
    let Some(Error::Config(config)) = error.source().unwrap().downcast_ref() else { panic!("{error:?}") };
    assert_eq!((error.tenant(), config.field()), ("acme", "tenant"));
}

#[tokio::test(start_paused = true)]
async fn a_client_goes_when_nobody_asks_for_it_or_when_there_are_too_many() {
    let (builder, asked) = tenants::<Fixably>(&Town::default());
    let tenants = builder.with_capacity(2).with_idle_time(10 * SECOND).build();
    for key in ["a", "b", "a", "c", "a"] {
        tenants.get(key).await.unwrap();
    }
    assert_eq!((asked.lock().unwrap().join(""), tenants.len()), ("abc".to_owned(), 2));
    tenants.get("b").await.unwrap();
    assert_eq!(count(&asked), 4);
    sleep(10 * SECOND).await;
    assert!(tenants.is_empty());
    tenants.get("a").await.unwrap();
    assert_eq!(count(&asked), 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_somebody_holds_stays_the_only_one_of_its_tenant() {
    let (builder, asked) = tenants::<Fixably>(&Town::default());
    let tenants = builder.with_capacity(0).build();
    let held = tenants.get("acme").await.unwrap();
    // A walk holds it as well as a clone does.
    let walk = held.list_orders().items();
    drop(held);
    for key in ["a", "b", "c"] {
        tenants.get(key).await.unwrap();
    }
    advance(10 * HOUR).await;
    assert_eq!(tenants.len(), 1);
    tenants.get("acme").await.unwrap();
    assert_eq!(count(&asked), 4);
    drop(walk);
    assert_eq!(tenants.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_was_removed_gets_a_client_made_anew() {
    let town = Town::default();
    let (builder, asked) = tenants::<Fentu>(&town);
    let tenants = builder.build();
    let old = tenants.get("acme").await.unwrap();
    town.end_access("acme");
    Fentu::call(&old, "acme").await.unwrap();
    assert!(tenants.remove("acme") && !tenants.remove("acme"));

    let new = tenants.get("acme").await.unwrap();
    Fentu::call(&new, "acme").await.unwrap();
    assert_eq!((count(&asked), town.house("acme").refreshes), (2, 1), "the tokens stayed");
    // Two clients of one login take turns, as two processes do.
    for _ in 0..3 {
        sleep(HOUR / 2).await;
        town.end_access("acme");
        let (old, new) = tokio::join!(Fentu::call(&old, "acme"), Fentu::call(&new, "acme"));
        old.and(new).unwrap();
    }
    assert_eq!((town.house("acme").refreshes, town.wrongs()), (4, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_removed_while_its_client_is_made_gets_another() {
    let (builder, asked) = tenants::<Fixably>(&Town::default());
    let tenants = builder.build();
    let removes = async {
        sleep(SECOND / 2).await;
        assert!(tenants.remove("acme"));
        tenants.get("acme").await.unwrap()
    };
    let (old, new) = tokio::join!(tenants.get("acme"), removes);
    drop((old.unwrap(), new));
    tenants.get("acme").await.unwrap();
    assert_eq!((count(&asked), tenants.len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_client_made_anew_goes_on_with_the_rotated_tokens_and_not_with_those_of_the_first_day() {
    let town = Town::default();
    let (builder, asked) = tenants::<Fentu>(&town);
    let tenants = builder.build();
    for made in 1..=5 {
        let client = tenants.get("acme").await.unwrap();
        Fentu::call(&client, "acme").await.unwrap();
        drop(client);
        advance(2 * HOUR).await;
        assert_eq!((count(&asked), tenants.len()), (made, 0));
        town.end_access("acme");
    }
    assert_eq!((town.house("acme").refreshes, town.wrongs()), (4, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn tokens_that_cannot_be_stored_keep_their_client() {
    let (town, store) = (Town::default(), Sulky::default());
    let (builder, asked) = tenants::<Fentu>(&town);
    let tenants = builder.with_capacity(0).with_token_store(store.clone()).build();
    store.sulks.store(true, Ordering::Relaxed);
    town.end_access("acme");
    Fentu::call(&tenants.get("acme").await.unwrap(), "acme").await.unwrap();
    sleep(10 * HOUR).await;
    assert_eq!(tenants.len(), 1);

    store.sulks.store(false, Ordering::Relaxed);
    sleep(2 * 60 * SECOND).await;
    assert_eq!(tenants.len(), 0);
    Fentu::call(&tenants.get("acme").await.unwrap(), "acme").await.unwrap();
    assert_eq!((count(&asked), town.house("acme").refreshes, town.wrongs()), (2, 2, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_renewal_under_way_keeps_its_client() {
    let town = Town::default();
    let (builder, _) = tenants::<Repairy>(&town);
    let tenants = builder.with_capacity(0).build();
    let client = tenants.get("acme").await.unwrap();
    timeout(Duration::from_millis(5), Repairy::call(&client, "acme")).await.unwrap_err();
    drop(client);
    assert_eq!(tenants.len(), 1, "the login is on its way");
    sleep(SECOND).await;
    assert_eq!(tenants.len(), 0);
    Repairy::call(&tenants.get("acme").await.unwrap(), "acme").await.unwrap();
    assert_eq!(town.house("acme").logins, 1);
}

#[tokio::test(start_paused = true)]
async fn keys_that_differ_in_case_alone_are_two_tenants() {
    let town = Town::default();
    let (builder, _) = tenants::<Fentu>(&town);
    let store = MemoryStore::new();
    let tenants = builder.with_token_store(store.clone()).build();
    let keys = ["acme", "Acme", "acme/oauth", "a", "a/b", "a%2Fb"];
    for _ in 0..2 {
        sleep(HOUR / 2).await;
        for key in keys {
            town.end_access(key);
            let client = tenants.get(key).await.unwrap();
            Fentu::call(&client, key).await.unwrap();
        }
    }
    let mut refreshes: Vec<u32> = keys.iter().map(|key| town.house(key).refreshes).collect();
    refreshes.dedup();
    assert_eq!((refreshes, town.wrongs()), (vec![2], Vec::new()), "each renewed its own, twice");
    let key = TokenKey::new("fentu/api.fentu.io/acme/oauth/application");
    let stored = store.load(&key).await.unwrap().unwrap();
    assert_eq!(stored.access_token().expose_secret(), "acme.access.3", "where a client without tenants finds it");
}

#[tokio::test(start_paused = true)]
async fn a_key_becomes_a_host_only_as_it_stands() {
    let tenants = Tenants::builder(|_| async {
        Ok::<_, Error>(fixably::Client::builder(fixably::Credentials::bearer("token")).with_transport(Town::default()))
    });
    let tenants = tenants.build();
    assert_eq!(tenants.get("acme").await.unwrap().base_url().as_str(), "https://acme.fixably.com/api/v3");
    for key in ["Acme", "acme.evil.example", "acme/..", "-acme", "", "acme\n"] {
        let error = tenant_error(tenants.get(key).await.unwrap_err());
        let reason = error.source().unwrap().to_string();
        assert!(reason.starts_with("configuration: tenant: is missing, and the key"), "{key:?}: {reason}");
        assert_eq!((error.tenant(), error.to_string().lines().count()), (key, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn two_keys_of_one_name_share_neither_tokens_nor_a_budget() {
    let town = Town::default();
    let (log, store) = (town.clone(), MemoryStore::new());
    let tenants = Tenants::builder(move |key: String| {
        let builder = Fentu::builder(&log, &key).with_tenant("acme");
        async { Ok::<_, Error>(builder) }
    });
    let tenants = tenants.with_token_store(store).build();
    for key in ["one", "two"] {
        town.end_access(key);
        Fentu::call(&tenants.get(key).await.unwrap(), key).await.unwrap();
    }
    town.close("one", HOUR);
    let refused = Fentu::call(&tenants.get("one").await.unwrap(), "one").await.unwrap_err();
    assert_eq!(refused.call_error().unwrap().tenant(), Some("acme"), "the name that it was given");
    Fentu::call(&tenants.get("two").await.unwrap(), "two").await.unwrap();
    assert_eq!(town.wrongs(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_client_made_anew_knows_that_the_limit_is_spent() {
    let town = Town::default();
    let (builder, asked) = tenants::<Fixably>(&town);
    let tenants = builder.with_capacity(0).build();
    town.close("acme", HOUR);
    for _ in 0..3 {
        let refused = Fixably::call(&tenants.get("acme").await.unwrap(), "acme").await.unwrap_err();
        assert!(matches!(refused, Error::RateLimited(_)), "{refused:?}");
        assert_eq!(tenants.len(), 0);
    }
    assert_eq!((count(&asked), town.house("acme").requests), (3, 1), "three clients, and one that asked the vendor");
    sleep(HOUR).await;
    Fixably::call(&tenants.get("acme").await.unwrap(), "acme").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_builder_brings_itself_is_that_tenants_alone() {
    let (own, shared) = (MemoryStore::new(), MemoryStore::new());
    let (town, given) = (Town::default(), own.clone());
    let tenants = Tenants::builder(move |key: String| {
        let builder = Repairy::builder(&town, &key);
        let builder = if key == "own" { builder.with_token_store(given.clone()) } else { builder };
        async { Ok::<_, Error>(builder) }
    });
    let tenants = tenants.with_token_store(shared.clone()).build();
    for key in ["own", "other"] {
        Repairy::call(&tenants.get(key).await.unwrap(), key).await.unwrap();
    }
    let name = |key: &str| TokenKey::new(format!("repairy/partner-api.example/{key}/{key}/app%20key"));
    assert!(own.load(&name("own")).await.unwrap().is_some() && own.load(&name("other")).await.unwrap().is_none());
    assert!(shared.load(&name("other")).await.unwrap().is_some() && shared.load(&name("own")).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn tokens_in_a_file_are_found_by_the_next_process() {
    let (town, folder) = (Town::default(), Folder::new());
    for _ in 0..2 {
        let (builder, _) = tenants::<Repairy>(&town);
        let tenants = builder.with_token_store(FileStore::new(folder.path()).unwrap()).build();
        for key in ["acme", "Acme"] {
            Repairy::call(&tenants.get(key).await.unwrap(), key).await.unwrap();
        }
    }
    assert_eq!((town.house("acme").logins, town.house("Acme").logins), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn no_debug_shows_a_key_or_a_token() {
    let (builder, _) = tenants::<Fixably>(&Town::default());
    let shown = format!("{builder:?}");
    assert_eq!(shown, "TenantsBuilder { capacity: 10000, idle: 3600s, .. }");
    let tenants = builder.build();
    tenants.get("acme").await.unwrap();
    assert_eq!(format!("{tenants:?}"), "Tenants { kept: 1, .. }");
}

#[tokio::test(start_paused = true)]
async fn tenants_can_be_used_from_every_task() {
    fn check<T: Clone + Send + Sync + 'static>(_: &T) {}
    let tenants = Tenants::builder(|_| async {
        let script = Script::new([Step::json(200, serde_json::json!({"id": 1}))]);
        Ok::<_, Error>(fentu::Client::builder(fentu::Credentials::api_key("key")).with_transport(script))
    });
    let tenants = tenants.build();
    check(&tenants);
    let other = tenants.clone();
    tokio::spawn(async move { other.get("acme").await.map(drop) }).await.unwrap().unwrap();
    assert_eq!(tenants.len(), 1);
}

mod isolation {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_fentu() {
        holds::<Fentu>(1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_fisikal() {
        holds::<Fisikal>(2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_fixably() {
        holds::<Fixably>(3).await;
    }

    #[tokio::test(start_paused = true)]
    async fn of_repairy() {
        holds::<Repairy>(4).await;
    }

    const TENANTS: usize = 300;
    const CAPACITY: usize = 25;
    const ROUNDS: usize = 50;
    const CALLS: usize = 70;

    /// Weeks of three hundred tenants over twenty-five places, in which some are shut out, some are over their limit,
    /// some lose their access tokens, vaults fail and callers give up. The town says whether anything of one reached
    /// another.
    async fn holds<V: Vendor>(seed: u64) {
        let (town, mut rng) = (Town::default(), Rng::with_seed(seed));
        let keys: Vec<String> = (0..TENANTS).map(|number| format!("t{number}")).collect();
        let luck = Arc::new(Mutex::new(rng.fork()));
        let street = town.clone();
        let tenants = Tenants::builder(move |key: String| {
            let (town, luck) = (street.clone(), Arc::clone(&luck));
            async move {
                let (delay, fails) = {
                    let mut luck = luck.lock().unwrap();
                    (Duration::from_millis(luck.u64(..50)), luck.u8(..20) == 0)
                };
                sleep(delay).await;
                if fails { Err(format!("the vault has no {key}")) } else { Ok(V::builder(&town, &key)) }
            }
        });
        let tenants = tenants.with_capacity(CAPACITY).with_idle_time(HOUR / 2).build();

        let (mut shut_out, mut seen) = (HashSet::new(), Seen::default());
        for round in 0..ROUNDS {
            let mut closed = HashSet::new();
            for _ in 0..20 {
                let key = rng.choice(&keys).unwrap();
                match rng.u8(..4) {
                    0 if V::GRANTS => town.end_access(key),
                    1 if shut_out.len() < round => {
                        town.shut_out(key);
                        shut_out.insert(key.clone());
                    }
                    2 => {
                        town.close(key, 900 * SECOND);
                        closed.insert(key.clone());
                    }
                    _ => drop(tenants.remove(key)),
                }
            }
            let calls = (0..CALLS).map(|_| {
                let (tenants, key) = (tenants.clone(), rng.choice(&keys).unwrap().clone());
                let patience = if rng.u8(..8) == 0 { Duration::from_millis(rng.u64(..100)) } else { HOUR };
                async move {
                    let begun = Instant::now();
                    let outcome = timeout(patience, async { V::call(&tenants.get(&key).await?, &key).await }).await;
                    (key, outcome.ok(), begun.elapsed())
                }
            });
            for (key, outcome, elapsed) in join_all(calls).await {
                seen.note(&key, outcome, elapsed, shut_out.contains(&key), closed.contains(&key));
            }
            // Time for the renewals whose callers gave up.
            sleep(10 * SECOND).await;
            assert!(tenants.len() <= CAPACITY, "{} in round {round}", tenants.len());
            sleep(Duration::from_secs(1000 + rng.u64(..3000))).await;
        }
        assert_eq!(town.wrongs(), Vec::<String>::new());
        seen.is_enough();
        for key in keys.iter().filter(|key| !shut_out.contains(*key)) {
            let house = town.house(key);
            assert!(house.logins <= V::logins(&house), "{key} lost tokens: {house:?}");
        }
    }

    /// What became of the calls.
    #[derive(Debug, Default)]
    struct Seen {
        answered: u32,
        given_up: u32,
        limited: u32,
        refused: u32,
        without_client: u32,
    }

    impl Seen {
        fn note(
            &mut self,
            key: &str,
            outcome: Option<Result<String, Error>>,
            elapsed: Duration,
            is_shut_out: bool,
            is_closed: bool,
        ) {
            let error = match outcome {
                None => return self.given_up += 1,
                Some(Ok(_)) => {
                    assert!(!is_shut_out && !is_closed, "{key}");
                    assert!(elapsed < 5 * SECOND, "{key} waited {elapsed:?} for somebody else");
                    return self.answered += 1;
                }
                Some(Err(error)) => error,
            };
            let whose = match &error {
                Error::Tenant(error) => Some(error.tenant()),
                other => other.call_error().unwrap().tenant(),
            };
            assert_eq!(whose, Some(key), "{error}");
            match &error {
                Error::RateLimited(_) if is_closed => self.limited += 1,
                Error::ReauthRequired(_) | Error::Unauthorized(_) if is_shut_out => self.refused += 1,
                Error::Tenant(_) => self.without_client += 1,
                _ => panic!("{key}: {error:?}"),
            }
        }

        /// Nothing is shown by a run in which nothing happened.
        fn is_enough(&self) {
            let Self { answered, given_up, limited, refused, without_client } = *self;
            assert!(answered > 2000, "{self:?}");
            assert!([given_up, limited, refused, without_client].iter().all(|count| *count > 20), "{self:?}");
        }
    }
}
