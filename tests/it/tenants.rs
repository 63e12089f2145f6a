//! `Tenants`: each client is made once, dropped and made again without losing tokens, and isolated from the others.

mod mock_vendors;

use std::collections::HashSet;
use std::error::Error as _;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrand::Rng;
use futures_util::future::join_all;
use secrecy::ExposeSecret as _;
use servicebay::fentu::Application;
use servicebay::testing::fentu::MockServer;
use servicebay::testing::{Script, Step};
use servicebay::{
    Error, FileStore, MemoryStore, TenantError, Tenants, TenantsBuilder, TokenKey, TokenStore, fentu, fixably,
};
use tokio::time::{Instant, advance, sleep, timeout};

use self::mock_vendors::{Fentu, Fisikal, Fixably, MockVendors, Repairy, Vendor};
use crate::folder::Folder;
use crate::hooked_store::HookedStore;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);

/// Tenants of one of the vendors, and the keys that the closure was called with. The closure takes a second.
fn tenants<V: Vendor>(vendors: &MockVendors) -> (TenantsBuilder<V::Client>, Arc<Mutex<Vec<String>>>) {
    let connects = Arc::new(Mutex::new(Vec::new()));
    let (vendors, log) = (vendors.clone(), Arc::clone(&connects));
    let builder = Tenants::builder(move |key: String| {
        let vendors = vendors.clone();
        log.lock().unwrap().push(key.clone());
        async move {
            sleep(SECOND).await;
            Ok::<_, Error>(V::builder(&vendors, &key))
        }
    });
    (builder, connects)
}

fn count(connects: &Mutex<Vec<String>>) -> usize {
    connects.lock().unwrap().len()
}

/// Tenants whose closure fails this many times, and then succeeds.
fn failing(times: u32) -> (Tenants<fixably::Client>, Arc<AtomicU32>) {
    let connects = Arc::new(AtomicU32::new(0));
    let log = Arc::clone(&connects);
    let tenants = Tenants::builder(move |key: String| {
        let number = log.fetch_add(1, Ordering::Relaxed);
        async move {
            sleep(SECOND).await;
            match number < times {
                true => Err(io::Error::other("the vault is down")),
                false => Ok(Fixably::builder(&MockVendors::default(), &key)),
            }
        }
    });
    (tenants.build(), connects)
}

fn tenant_error(error: Error) -> Box<TenantError> {
    match error {
        Error::Tenant(error) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_is_made_once_however_many_callers_request_it() {
    let vendors = MockVendors::default();
    let (builder, connects) = tenants::<Fixably>(&vendors);
    let tenants = builder.build();
    let started = Instant::now();
    let requests = (0..1000).map(|_| tenants.get("acme"));
    for client in join_all(requests).await {
        Fixably::call(&client.unwrap(), "acme").await.unwrap();
    }
    assert_eq!((count(&connects), started.elapsed().as_secs(), tenants.len()), (1, 1 + 20, 1));
    tenants.clone().get("acme").await.unwrap();
    tenants.get("beta").await.unwrap();
    assert_eq!((count(&connects), tenants.len()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_gives_up_leaves_the_work_to_the_others() {
    let (builder, connects) = tenants::<Fixably>(&MockVendors::default());
    let tenants = builder.build();
    let first = {
        let tenants = tenants.clone();
        tokio::spawn(async move { tenants.get("acme").await.map(drop) })
    };
    sleep(SECOND / 2).await;
    let second = tenants.get("acme");
    let (started, aborts) = (Instant::now(), async {
        sleep(SECOND / 4).await;
        first.abort();
    });
    let (second, ()) = tokio::join!(second, aborts);
    second.unwrap();
    assert_eq!((count(&connects), started.elapsed()), (1, SECOND / 2), "the work continues where it was");
}

#[tokio::test(start_paused = true)]
async fn the_work_is_canceled_when_the_last_caller_gives_up() {
    let (builder, connects) = tenants::<Fixably>(&MockVendors::default());
    let tenants = builder.build();
    timeout(SECOND / 2, tenants.get("acme")).await.unwrap_err();
    sleep(HOUR).await;
    let started = Instant::now();
    tenants.get("acme").await.unwrap();
    assert_eq!((count(&connects), started.elapsed(), tenants.len()), (2, SECOND, 1));
}

#[tokio::test(start_paused = true)]
async fn every_waiting_caller_gets_the_failure_and_the_next_one_tries_again() {
    let (tenants, connects) = failing(1);
    let asking = join_all((0..10).map(|_| tenants.get("acme"))).await;
    assert_eq!((connects.load(Ordering::Relaxed), tenants.len()), (1, 0));
    for failed in asking {
        let error = tenant_error(failed.unwrap_err());
        assert_eq!((error.tenant(), &*error.to_string()), ("acme", "could not build a client for tenant \"acme\""));
        let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.to_string(), "the vault is down");
    }
    tenants.get("acme").await.unwrap();
    assert_eq!(connects.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_closure_that_panics_counts_as_a_failure_and_is_called_again() {
    let connects = Arc::new(AtomicU32::new(0));
    let log = Arc::clone(&connects);
    let tenants = Tenants::<fixably::Client>::builder(move |key: String| {
        assert!(log.fetch_add(1, Ordering::Relaxed) > 0, "the first call of the closure panics on purpose");
        async move { Ok::<_, Error>(Fixably::builder(&MockVendors::default(), &key)) }
    });
    let tenants = tenants.build();
    let error = tenant_error(tenants.get("acme").await.unwrap_err());
    assert_eq!(error.source().unwrap().to_string(), "the closure panicked");
    tenants.get("acme").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_error_of_a_builder_that_cannot_be_built_names_the_tenant_and_the_option() {
    let tenants = Tenants::builder(|_| async {
        Ok::<_, Error>(fixably::Client::builder(fixably::Credentials::bearer("token")).with_tenant("no/label"))
    });
    let error = tenant_error(tenants.build().get("acme").await.unwrap_err());
    let Some(Error::Config(config)) = error.source().unwrap().downcast_ref() else { panic!("{error:?}") };
    assert_eq!((error.tenant(), config.field()), ("acme", "tenant"));
}

#[tokio::test(start_paused = true)]
async fn a_client_is_dropped_when_it_is_idle_or_when_there_are_too_many() {
    let (builder, connects) = tenants::<Fixably>(&MockVendors::default());
    let tenants = builder.with_capacity(2).with_idle_time(10 * SECOND).build();
    for key in ["a", "b", "a", "c", "a"] {
        tenants.get(key).await.unwrap();
    }
    assert_eq!((connects.lock().unwrap().join(""), tenants.len()), ("abc".to_owned(), 2));
    tenants.get("b").await.unwrap();
    assert_eq!(count(&connects), 4);
    sleep(10 * SECOND).await;
    assert!(tenants.is_empty());
    tenants.get("a").await.unwrap();
    assert_eq!(count(&connects), 5);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_is_in_use_stays_the_only_one_of_its_tenant() {
    let (builder, connects) = tenants::<Fixably>(&MockVendors::default());
    let tenants = builder.with_capacity(0).build();
    let held = tenants.get("acme").await.unwrap();
    // A stream holds it as a clone does.
    let stream = held.list_orders().items();
    drop(held);
    for key in ["a", "b", "c"] {
        tenants.get(key).await.unwrap();
    }
    advance(10 * HOUR).await;
    assert_eq!(tenants.len(), 1);
    tenants.get("acme").await.unwrap();
    assert_eq!(count(&connects), 4);
    drop(stream);
    assert_eq!(tenants.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_removed_tenant_gets_a_new_client_that_continues_with_its_tokens() {
    let vendors = MockVendors::default();
    let (builder, connects) = tenants::<Fentu>(&vendors);
    let tenants = builder.build();
    let old = tenants.get("acme").await.unwrap();
    vendors.expire_access_token("acme");
    Fentu::call(&old, "acme").await.unwrap();
    assert!(tenants.remove("acme") && !tenants.remove("acme"));

    let new = tenants.get("acme").await.unwrap();
    Fentu::call(&new, "acme").await.unwrap();
    assert_eq!((count(&connects), vendors.account("acme").refreshes), (2, 1), "the tokens were kept");
    // Two clients of one login refresh in turns, as two processes do.
    for _ in 0..3 {
        sleep(HOUR / 2).await;
        vendors.expire_access_token("acme");
        let (old, new) = tokio::join!(Fentu::call(&old, "acme"), Fentu::call(&new, "acme"));
        old.and(new).unwrap();
    }
    assert_eq!((vendors.account("acme").refreshes, vendors.violations()), (4, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_tenant_that_is_removed_while_its_client_is_being_made_gets_another_one() {
    let (builder, connects) = tenants::<Fixably>(&MockVendors::default());
    let tenants = builder.build();
    let removes = async {
        sleep(SECOND / 2).await;
        assert!(tenants.remove("acme"));
        tenants.get("acme").await.unwrap()
    };
    let (old, new) = tokio::join!(tenants.get("acme"), removes);
    drop((old.unwrap(), new));
    tenants.get("acme").await.unwrap();
    assert_eq!((count(&connects), tenants.len()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_new_client_continues_with_the_rotated_tokens_and_not_with_the_first_ones() {
    let vendors = MockVendors::default();
    let (builder, connects) = tenants::<Fentu>(&vendors);
    let tenants = builder.build();
    for made in 1..=5 {
        let client = tenants.get("acme").await.unwrap();
        Fentu::call(&client, "acme").await.unwrap();
        drop(client);
        advance(2 * HOUR).await;
        assert_eq!((count(&connects), tenants.len()), (made, 0));
        vendors.expire_access_token("acme");
    }
    assert_eq!((vendors.account("acme").refreshes, vendors.violations()), (4, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_client_stays_while_its_tokens_cannot_be_stored() {
    let (vendors, failures) = (MockVendors::default(), Arc::default());
    let store = HookedStore::with_failing_writes(&failures);
    let (builder, connects) = tenants::<Fentu>(&vendors);
    let tenants = builder.with_capacity(0).with_token_store(store.clone()).build();
    failures.store(u32::MAX, Ordering::Relaxed);
    vendors.expire_access_token("acme");
    Fentu::call(&tenants.get("acme").await.unwrap(), "acme").await.unwrap();
    sleep(10 * HOUR).await;
    assert_eq!(tenants.len(), 1);

    failures.store(0, Ordering::Relaxed);
    sleep(2 * 60 * SECOND).await;
    assert_eq!(tenants.len(), 0);
    Fentu::call(&tenants.get("acme").await.unwrap(), "acme").await.unwrap();
    assert_eq!((count(&connects), vendors.account("acme").refreshes, vendors.violations()), (2, 2, Vec::new()));
}

#[tokio::test(start_paused = true)]
async fn a_client_stays_while_a_login_is_in_progress() {
    let vendors = MockVendors::default();
    let (builder, _) = tenants::<Repairy>(&vendors);
    let tenants = builder.with_capacity(0).build();
    let client = tenants.get("acme").await.unwrap();
    timeout(Duration::from_millis(5), Repairy::call(&client, "acme")).await.unwrap_err();
    drop(client);
    assert_eq!(tenants.len(), 1, "the login is in progress");
    sleep(SECOND).await;
    assert_eq!(tenants.len(), 0);
    Repairy::call(&tenants.get("acme").await.unwrap(), "acme").await.unwrap();
    assert_eq!(vendors.account("acme").logins, 1);
}

#[tokio::test(start_paused = true)]
async fn keys_that_differ_only_in_case_or_escaping_are_different_tenants() {
    let vendors = MockVendors::default();
    let (builder, _) = tenants::<Fentu>(&vendors);
    let store = MemoryStore::new();
    let tenants = builder.with_token_store(store.clone()).build();
    let keys = ["acme", "Acme", "acme/oauth", "a", "a/b", "a%2Fb"];
    for _ in 0..2 {
        sleep(HOUR / 2).await;
        for key in keys {
            vendors.expire_access_token(key);
            let client = tenants.get(key).await.unwrap();
            Fentu::call(&client, key).await.unwrap();
        }
    }
    let mut refreshes: Vec<u32> = keys.iter().map(|key| vendors.account(key).refreshes).collect();
    refreshes.dedup();
    assert_eq!((refreshes, vendors.violations()), (vec![2], Vec::new()), "each refreshed its own tokens, twice");
    let key = TokenKey::new("fentu/api.fentu.io/acme/oauth/application");
    let stored = store.load(&key).await.unwrap().unwrap();
    assert_eq!(
        stored.access_token().expose_secret(),
        "acme.access.3",
        "where a client made without `Tenants` finds it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_key_becomes_a_host_name_only_if_it_is_one_in_lower_case() {
    let tenants = Tenants::builder(|_| async {
        Ok::<_, Error>(
            fixably::Client::builder(fixably::Credentials::bearer("token")).with_transport(MockVendors::default()),
        )
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
async fn two_keys_with_one_name_share_neither_tokens_nor_a_rate_limit() {
    let vendors = MockVendors::default();
    let (log, store) = (vendors.clone(), MemoryStore::new());
    let tenants = Tenants::builder(move |key: String| {
        let builder = Fentu::builder(&log, &key).with_tenant("acme");
        async { Ok::<_, Error>(builder) }
    });
    let tenants = tenants.with_token_store(store).build();
    for key in ["one", "two"] {
        vendors.expire_access_token(key);
        Fentu::call(&tenants.get(key).await.unwrap(), key).await.unwrap();
    }
    vendors.rate_limit("one", HOUR);
    let refused = Fentu::call(&tenants.get("one").await.unwrap(), "one").await.unwrap_err();
    assert_eq!(refused.call_error().unwrap().tenant(), Some("acme"), "the name that the builder set");
    Fentu::call(&tenants.get("two").await.unwrap(), "two").await.unwrap();
    assert_eq!(vendors.violations(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_new_client_knows_that_the_rate_limit_is_exhausted() {
    let vendors = MockVendors::default();
    let (builder, connects) = tenants::<Fixably>(&vendors);
    let tenants = builder.with_capacity(0).build();
    vendors.rate_limit("acme", HOUR);
    for _ in 0..3 {
        let refused = Fixably::call(&tenants.get("acme").await.unwrap(), "acme").await.unwrap_err();
        assert!(matches!(refused, Error::RateLimited(_)), "{refused:?}");
        assert_eq!(tenants.len(), 0);
    }
    assert_eq!((count(&connects), vendors.account("acme").requests), (3, 1), "three clients, and one request");
    sleep(HOUR).await;
    Fixably::call(&tenants.get("acme").await.unwrap(), "acme").await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_that_a_builder_sets_is_used_by_that_tenant_alone() {
    let (own, shared) = (MemoryStore::new(), MemoryStore::new());
    let (vendors, given) = (MockVendors::default(), own.clone());
    let tenants = Tenants::builder(move |key: String| {
        let builder = Repairy::builder(&vendors, &key);
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

/// Tenants whose clients use what is in the store, and log in when a user does.
fn web_backend(server: &MockServer, store: &MemoryStore) -> (Application, Tenants<fentu::Client>) {
    let known = server.application();
    let application = Application::builder(known.client_id(), known.client_secret());
    let application = application.with_base_url(server.base_url()).with_transport(server.clone()).build().unwrap();
    let (server, credentials) = (server.clone(), application.stored_credentials());
    let tenants = Tenants::builder(move |_| {
        let builder = server.client_builder_with(credentials.clone());
        async { Ok::<_, Error>(builder) }
    });
    (application, tenants.with_token_store(store.clone()).build())
}

#[tokio::test(start_paused = true)]
async fn a_login_through_one_process_heals_the_client_that_another_process_keeps() {
    let (server, store) = (MockServer::builder().in_memory(), MemoryStore::new());
    let [(application, logs_in), (_, serves)] = [(); 2].map(|()| web_backend(&server, &store));
    let call = async |tenants: &Tenants<fentu::Client>| {
        let client = tenants.get("acme").await.unwrap();
        client.get_work_order().id("wo-10001").send().await.map(drop)
    };
    for _ in 0..3 {
        for tenants in [&serves, &logs_in] {
            let error = call(tenants).await.unwrap_err();
            assert!(matches!(error, Error::ReauthRequired(_) | Error::Unauthorized(_)), "{error:?}");
        }
        let login = application.authorize("http://127.0.0.1:4000/callback", [fentu::Scope::ReadWorkOrders]).unwrap();
        let redirected = server.visit(login.url().as_str()).unwrap();
        let client = logs_in.get("acme").await.unwrap();
        application.exchange_into(&login, redirected.as_str(), &client).await.unwrap();
        sleep(SECOND).await;
        for tenants in [&serves, &logs_in] {
            call(tenants).await.unwrap();
        }
        server.revoke_all();
    }
}

#[tokio::test(start_paused = true)]
async fn closing_waits_for_the_tokens_of_every_tenant_and_reports_those_that_cannot_be_stored() {
    let (vendors, failures) = (MockVendors::default(), Arc::default());
    let store = HookedStore::with_failing_writes(&failures);
    let (builder, _) = tenants::<Repairy>(&vendors);
    let tenants = builder.with_token_store(store.clone()).build();
    for key in ["a", "b", "c"] {
        let client = tenants.get(key).await.unwrap();
        timeout(Duration::from_millis(5), Repairy::call(&client, key)).await.unwrap_err();
    }
    tenants.close().await.unwrap();
    for key in ["a", "b", "c"] {
        let key = TokenKey::new(format!("repairy/partner-api.example/{key}/{key}/app%20key"));
        assert!(store.load(&key).await.unwrap().is_some(), "{key}");
    }

    failures.store(u32::MAX, Ordering::Relaxed);
    let client = tenants.get("d").await.unwrap();
    Repairy::call(&client, "d").await.unwrap();
    let error = tenants.close().await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_next_process_finds_tokens_in_a_file() {
    let (vendors, folder) = (MockVendors::default(), Folder::new());
    for _ in 0..2 {
        let (builder, _) = tenants::<Repairy>(&vendors);
        let tenants = builder.with_token_store(FileStore::new(folder.path()).unwrap()).build();
        for key in ["acme", "Acme"] {
            Repairy::call(&tenants.get(key).await.unwrap(), key).await.unwrap();
        }
    }
    assert_eq!((vendors.account("acme").logins, vendors.account("Acme").logins), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn debug_output_shows_no_key_and_no_token() {
    let (builder, _) = tenants::<Fixably>(&MockVendors::default());
    let shown = format!("{builder:?}");
    assert_eq!(shown, "TenantsBuilder { capacity: 10000, idle_time: 3600s, .. }");
    let tenants = builder.build();
    tenants.get("acme").await.unwrap();
    assert_eq!(format!("{tenants:?}"), "Tenants { clients: 1, .. }");
}

#[tokio::test(start_paused = true)]
async fn tenants_can_be_used_from_any_task() {
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
    async fn at_fentu() {
        tenants_stay_isolated::<Fentu>(1).await;
    }

    #[tokio::test(start_paused = true)]
    async fn at_fisikal() {
        tenants_stay_isolated::<Fisikal>(2).await;
    }

    #[tokio::test(start_paused = true)]
    async fn at_fixably() {
        tenants_stay_isolated::<Fixably>(3).await;
    }

    #[tokio::test(start_paused = true)]
    async fn at_repairy() {
        tenants_stay_isolated::<Repairy>(4).await;
    }

    const TENANTS: usize = 300;
    const CAPACITY: usize = 25;
    const ROUNDS: usize = 50;
    const CALLS: usize = 70;

    /// Weeks of three hundred tenants with a capacity of twenty-five clients. Some tenants are revoked, some exceed their
    /// rate limit, some lose their access tokens, vaults fail and callers give up. The mock records every request that
    /// uses another tenant's tokens.
    async fn tenants_stay_isolated<V: Vendor>(seed: u64) {
        let (vendors, mut rng) = (MockVendors::default(), Rng::with_seed(seed));
        let keys: Vec<String> = (0..TENANTS).map(|number| format!("t{number}")).collect();
        let rng_of_closure = Arc::new(Mutex::new(rng.fork()));
        let shared = vendors.clone();
        let tenants = Tenants::builder(move |key: String| {
            let (vendors, rng_of_closure) = (shared.clone(), Arc::clone(&rng_of_closure));
            async move {
                let (delay, fails) = {
                    let mut rng_of_closure = rng_of_closure.lock().unwrap();
                    (Duration::from_millis(rng_of_closure.u64(..50)), rng_of_closure.u8(..20) == 0)
                };
                sleep(delay).await;
                if fails { Err(format!("the vault has no {key}")) } else { Ok(V::builder(&vendors, &key)) }
            }
        });
        let tenants = tenants.with_capacity(CAPACITY).with_idle_time(HOUR / 2).build();

        let (mut revoked, mut outcomes) = (HashSet::new(), CallOutcomes::default());
        for round in 0..ROUNDS {
            let mut rate_limited = HashSet::new();
            for _ in 0..20 {
                let key = rng.choice(&keys).unwrap();
                match rng.u8(..4) {
                    0 if V::GRANTS => vendors.expire_access_token(key),
                    1 if revoked.len() < round => {
                        vendors.revoke_account(key);
                        revoked.insert(key.clone());
                    }
                    2 => {
                        vendors.rate_limit(key, 900 * SECOND);
                        rate_limited.insert(key.clone());
                    }
                    _ => drop(tenants.remove(key)),
                }
            }
            let calls = (0..CALLS).map(|_| {
                let (tenants, key) = (tenants.clone(), rng.choice(&keys).unwrap().clone());
                let patience = if rng.u8(..8) == 0 { Duration::from_millis(rng.u64(..100)) } else { HOUR };
                async move {
                    let started = Instant::now();
                    let outcome = timeout(patience, async { V::call(&tenants.get(&key).await?, &key).await }).await;
                    (key, outcome.ok(), started.elapsed())
                }
            });
            for (key, outcome, elapsed) in join_all(calls).await {
                outcomes.record(&key, outcome, elapsed, revoked.contains(&key), rate_limited.contains(&key));
            }
            // Time for the refreshes tenant callers gave up.
            sleep(10 * SECOND).await;
            assert!(tenants.len() <= CAPACITY, "{} in round {round}", tenants.len());
            sleep(Duration::from_secs(1000 + rng.u64(..3000))).await;
        }
        assert_eq!(vendors.violations(), Vec::<String>::new());
        outcomes.assert_eventful();
        for key in keys.iter().filter(|key| !revoked.contains(*key)) {
            let account = vendors.account(key);
            assert!(account.logins <= V::max_logins(&account), "{key} lost tokens: {account:?}");
        }
    }

    /// How the calls ended.
    #[derive(Debug, Default)]
    struct CallOutcomes {
        succeeded: u32,
        given_up: u32,
        over_limit: u32,
        rejected: u32,
        without_client: u32,
    }

    impl CallOutcomes {
        fn record(
            &mut self,
            key: &str,
            outcome: Option<Result<String, Error>>,
            elapsed: Duration,
            is_revoked: bool,
            is_rate_limited: bool,
        ) {
            let error = match outcome {
                None => return self.given_up += 1,
                Some(Ok(_)) => {
                    assert!(!is_revoked && !is_rate_limited, "{key}");
                    assert!(elapsed < 5 * SECOND, "{key} waited {elapsed:?} for another tenant");
                    return self.succeeded += 1;
                }
                Some(Err(error)) => error,
            };
            let tenant = match &error {
                Error::Tenant(error) => Some(error.tenant()),
                other => other.call_error().unwrap().tenant(),
            };
            assert_eq!(tenant, Some(key), "{error}");
            match &error {
                Error::RateLimited(_) if is_rate_limited => self.over_limit += 1,
                Error::ReauthRequired(_) | Error::Unauthorized(_) if is_revoked => self.rejected += 1,
                Error::Tenant(_) => self.without_client += 1,
                _ => panic!("{key}: {error:?}"),
            }
        }

        /// A run in which nothing happened proves nothing.
        fn assert_eventful(&self) {
            let Self { succeeded, given_up, over_limit, rejected, without_client } = *self;
            assert!(succeeded > 2000, "{self:?}");
            assert!([given_up, over_limit, rejected, without_client].iter().all(|count| *count > 20), "{self:?}");
        }
    }
}
