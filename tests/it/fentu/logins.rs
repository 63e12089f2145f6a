//! Logins by users: of several users of one application and tenant, and through one of several clients.

use std::time::Duration;

use servicebay::fentu::{Application, Client, Scope};
use servicebay::testing::fentu::MockServer;
use servicebay::{Error, FileStore, MemoryStore, TokenSet, TokenStore};
use tokio::time::{sleep, timeout};

use crate::folder::Folder;
use crate::hooked_store::{HookedStore, StoreOperation};

const SECOND: Duration = Duration::from_secs(1);

fn application(server: &MockServer) -> Application {
    let known = server.application();
    let builder = Application::builder(known.client_id(), known.client_secret());
    builder.with_base_url(server.base_url()).with_transport(server.clone()).build().unwrap()
}

/// A client of the tenant `acme` for this user, without tokens of its own.
fn client(server: &MockServer, user: Option<&str>, store: impl TokenStore) -> Client {
    let builder = server.client_builder_with(application(server).stored_credentials());
    let builder = builder.with_tenant("acme").with_token_store(store);
    user.into_iter().fold(builder, |builder, user| builder.with_account(user)).build().unwrap()
}

/// A user lets the application in, through this client.
async fn log_in(server: &MockServer, client: &Client, scopes: impl IntoIterator<Item = Scope>) {
    let application = application(server);
    let login = application.authorize("http://127.0.0.1:4000/callback", scopes).unwrap();
    let redirected = server.visit(login.url().as_str()).unwrap();
    application.exchange_into(&login, redirected.as_str(), client).await.unwrap();
}

async fn read_order(client: &Client) -> Result<(), Error> {
    client.get_work_order().id("wo-10001").send().await.map(drop)
}

async fn read_asset(client: &Client) -> Result<(), Error> {
    client.get_asset().id("asset-001").send().await.map(drop)
}

/// Two users of one tenant log in, one with fewer rights. Then both clients are made again, as in the next process.
async fn check_two_users(store: impl TokenStore + Clone) {
    let server = MockServer::builder().in_memory();
    let [ann, bob] = ["ann", "bob"].map(|user| client(&server, Some(user), store.clone()));
    log_in(&server, &ann, [Scope::Admin]).await;
    let error = read_asset(&bob).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "bob has not logged in: {error:?}");
    log_in(&server, &bob, [Scope::ReadAssets]).await;
    let again = ["ann", "bob"].map(|user| client(&server, Some(user), store.clone()));
    for [ann, bob] in [[ann, bob], again] {
        // Each refreshes its own tokens, several times.
        for _ in 0..3 {
            sleep(2 * 3600 * SECOND).await;
            for client in [&ann, &bob] {
                read_asset(client).await.unwrap();
            }
            read_order(&ann).await.unwrap();
            let error = read_order(&bob).await.unwrap_err();
            assert!(matches!(error, Error::Forbidden(_)), "bob used the rights of another user: {error:?}");
        }
    }
    assert_eq!(server.counters().refused_refreshes(), 0);
}

#[tokio::test(start_paused = true)]
async fn two_users_of_one_application_and_tenant_never_use_each_others_tokens() {
    check_two_users(MemoryStore::new()).await;
    let folder = Folder::new();
    check_two_users(FileStore::new(folder.path()).unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn the_users_of_a_tenant_share_its_rate_limit() {
    let server = MockServer::builder().in_memory();
    let [ann, bob] = ["ann", "bob"].map(|user| client(&server, Some(user), MemoryStore::new()));
    log_in(&server, &ann, [Scope::Admin]).await;
    assert_eq!(bob.rate_limit().remaining(), None);
    read_order(&ann).await.unwrap();
    assert_eq!(bob.rate_limit().remaining(), Some(999));

    // Without a tenant, the users may belong to two.
    let [cid, dan] = ["cid", "dan"].map(|user| {
        let builder = server.client_builder_with(application(&server).stored_credentials());
        builder.with_account(user).build().unwrap()
    });
    log_in(&server, &cid, [Scope::Admin]).await;
    read_order(&cid).await.unwrap();
    assert_eq!((cid.rate_limit().remaining(), dan.rate_limit().remaining()), (Some(999), None));
}

#[tokio::test(start_paused = true)]
async fn a_login_through_one_client_heals_another_whose_login_was_refused() {
    let (server, store) = (MockServer::builder().in_memory(), MemoryStore::new());
    let [one, other] = [(); 2].map(|()| client(&server, None, store.clone()));
    for client in [&one, &other] {
        assert!(matches!(read_order(client).await, Err(Error::ReauthRequired(_))));
    }
    // The login, and then again after the user has withdrawn it.
    for _ in 0..5 {
        log_in(&server, &other, [Scope::Admin]).await;
        sleep(SECOND).await;
        for client in [&other, &one] {
            read_order(client).await.unwrap();
        }
        server.revoke_all();
        for client in [&one, &other] {
            let error = read_order(client).await.unwrap_err();
            assert!(matches!(error, Error::ReauthRequired(_) | Error::Unauthorized(_)), "{error:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_login_in_place_of_a_living_one_serves_the_other_client_within_a_second() {
    let (server, store) = (MockServer::builder().in_memory(), MemoryStore::new());
    let [one, other] = [(); 2].map(|()| client(&server, None, store.clone()));
    log_in(&server, &other, [Scope::Admin]).await;
    read_order(&one).await.unwrap();
    // Again and again, sooner than a rejected token costs a refresh.
    for _ in 0..5 {
        server.revoke_all();
        log_in(&server, &other, [Scope::Admin]).await;
        sleep(SECOND).await;
        for client in [&one, &other] {
            read_order(client).await.unwrap();
        }
    }
    assert_eq!(server.counters().refused_refreshes(), 0, "no client presented what was revoked");
}

#[tokio::test(start_paused = true)]
async fn after_a_log_out_a_login_through_one_client_heals_the_other() {
    let (server, store) = (MockServer::builder().in_memory(), MemoryStore::new());
    let [one, other] = [(); 2].map(|()| client(&server, None, store.clone()));
    log_in(&server, &other, [Scope::Admin]).await;
    for client in [&one, &other] {
        read_order(client).await.unwrap();
    }
    one.revoke().await.unwrap();
    for client in [&one, &other] {
        read_order(client).await.unwrap_err();
    }
    log_in(&server, &other, [Scope::Admin]).await;
    read_order(&other).await.unwrap();
    sleep(SECOND).await;
    read_order(&one).await.unwrap();
}

/// A store that takes a second for every write.
fn slow_store() -> HookedStore {
    HookedStore::slow(SECOND, &[StoreOperation::Write])
}

#[tokio::test(start_paused = true)]
async fn a_call_during_a_login_waits_for_it_and_spends_nothing() {
    let server = MockServer::builder().in_memory();
    let client = client(&server, None, slow_store());
    let call = async {
        // While the tokens are being stored.
        sleep(SECOND / 2).await;
        read_order(&client).await
    };
    tokio::join!(log_in(&server, &client, [Scope::Admin]), call).1.unwrap();
    read_order(&client).await.unwrap();
    assert_eq!(server.token_requests().len(), 1, "the exchange alone");
}

#[tokio::test(start_paused = true)]
async fn a_login_is_stored_even_if_its_caller_gives_up() {
    let (server, store) = (MockServer::builder().in_memory(), slow_store());
    let [one, other] = [(); 2].map(|()| client(&server, None, store.clone()));
    timeout(SECOND / 2, log_in(&server, &one, [Scope::Admin])).await.unwrap_err();
    sleep(SECOND).await;
    read_order(&other).await.unwrap();
    assert_eq!(server.token_requests().len(), 1, "the exchange alone");
}

#[tokio::test(start_paused = true)]
async fn a_login_that_was_exchanged_elsewhere_is_stored_when_a_client_adopts_it() {
    let (server, store) = (MockServer::builder().in_memory(), MemoryStore::new());
    let [one, other] = [(); 2].map(|()| client(&server, None, store.clone()));
    let application = application(&server);
    let login = application.authorize("http://127.0.0.1:4000/callback", [Scope::Admin]).unwrap();
    let redirected = server.visit(login.url().as_str()).unwrap();
    let tokens = application.exchange(&login, redirected.as_str()).await.unwrap();
    assert!(matches!(read_order(&other).await, Err(Error::ReauthRequired(_))), "nothing was stored");
    one.adopt_login(tokens).await.unwrap();
    sleep(SECOND).await;
    read_order(&other).await.unwrap();

    let with_a_key = server.client().unwrap();
    let tokens = TokenSet::new("access");
    assert!(matches!(with_a_key.adopt_login(tokens).await, Err(Error::InvalidRequest(_))));
}
