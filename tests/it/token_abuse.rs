//! What must not upset the tokens: threads that meet at a renewal, stores that lie, servers and browsers that misbehave.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use http::Request;
use serde_json::json;
use servicebay::fentu::{self, Application, Scope};
use servicebay::repairy::{Client, Credentials};
use servicebay::testing::{Script, Step, probe};
use servicebay::{
    ClientBuilder, CompareAndSwap, Error, Lease, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::support::{Log, print};

const SECOND: Duration = Duration::from_secs(1);
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// A server that answers requests for tokens with `token`, and all else with `call`.
fn server(
    token: impl Fn(&Request<bytes::Bytes>) -> Step + Send + Sync + 'static,
    call: impl Fn(&Request<bytes::Bytes>) -> Step + Send + Sync + 'static,
) -> Script {
    let answer = move |request: &Request<bytes::Bytes>| match request.uri().path() {
        path if path.contains("/auth/") || path.contains("/oauth/") => token(request),
        _ => call(request),
    };
    Script::new([Step::with(answer).repeat()])
}

fn nothing(_: &Request<bytes::Bytes>) -> Step {
    Step::json(200, json!({}))
}

fn repairy(script: &Script) -> ClientBuilder<Client> {
    let credentials = Credentials::app("app key", "app secret", "partner");
    Client::builder(credentials).with_base_url("https://partner.example").with_transport(script.clone())
}

async fn call(client: &Client) -> Result<(), Error> {
    client.get_booking().id("670000000000000000000001").send().await.map(drop)
}

/// A pair that gives out numbers, so that no two are alike.
fn next_pair(life: u64) -> impl Fn(&Request<bytes::Bytes>) -> Step {
    let granted = AtomicU64::new(0);
    move |_| {
        let number = granted.fetch_add(1, Ordering::Relaxed);
        let tokens = json!({"accessToken": format!("acc3ss-{number}"), "refreshToken": format!("r3fresh-{number}")});
        let mut tokens = tokens.as_object().unwrap().clone();
        tokens.insert("expiresIn".to_owned(), life.into());
        Step::json(200, tokens)
    }
}

/// When tokens were asked for.
fn asked(script: &Script) -> Vec<Instant> {
    let requests = script.requests().into_iter();
    requests.filter(|request| request.uri.path().contains("auth")).map(|request| request.at).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn threads_that_find_a_token_old_while_the_next_one_lands_do_not_ask_for_another() {
    let script = server(next_pair(1), nothing);
    let client = repairy(&script).build().unwrap();
    call(&client).await.unwrap();
    let begun = Instant::now();
    // Ripe after 0.8 s and over after 0.9 s, three times in a row.
    let readers = (0..8).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            while begun.elapsed() < 3 * SECOND {
                for _ in 0..200 {
                    let _ = probe::take_token(&client);
                }
                if !probe::take_token(&client) {
                    call(&client).await.unwrap();
                }
                tokio::task::yield_now().await;
            }
        })
    });
    for reader in join_all(readers).await {
        reader.unwrap();
    }
    let asked = asked(&script);
    assert!(asked.len() >= 3, "{asked:?}");
    for two in asked.windows(2) {
        let pause = two[1] - two[0];
        assert!(pause > SECOND / 2, "the new token was renewed after {pause:?}");
    }
}

/// A store that holds a dead pair, and each time another one.
#[derive(Debug, Default)]
struct Fickle {
    loads: AtomicU64,
    store: MemoryStore,
}

impl TokenStore for Fickle {
    fn load<'a>(&'a self, _: &'a TokenKey) -> BoxFuture<'a, Result<Option<TokenSet>, StoreError>> {
        let number = self.loads.fetch_add(1, Ordering::Relaxed);
        let tokens = json!({
            "generation": number, "access_token": format!("a{number}"), "refresh_token": format!("r{number}"),
            "access_expires_at": LONG_AGO,
        });
        Box::pin(async move { Ok(Some(serde_json::from_value(tokens).unwrap())) })
    }

    fn compare_and_swap<'a>(
        &'a self,
        key: &'a TokenKey,
        expected: u64,
        tokens: &'a TokenSet,
    ) -> BoxFuture<'a, Result<CompareAndSwap, StoreError>> {
        self.store.compare_and_swap(key, expected, tokens)
    }

    fn remove<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.remove(key)
    }

    fn lease<'a>(&'a self, key: &'a TokenKey) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.store.lease(key)
    }
}

fn refuses(_: &Request<bytes::Bytes>) -> Step {
    Step::json(400, json!({"error": "invalid_grant"}))
}

fn fentu(script: &Script, credentials: fentu::Credentials) -> ClientBuilder<fentu::Client> {
    fentu::Client::builder(credentials).with_tenant("acme").with_transport(script.clone())
}

async fn orders(client: &fentu::Client) -> Result<(), Error> {
    client.list_work_orders().send().await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_store_that_has_another_dead_pair_each_time_causes_a_handful_of_token_requests() {
    let script = server(refuses, nothing);
    let stored = fentu::Credentials::oauth_stored("application", "secret");
    let client = fentu(&script, stored).with_token_store(Fickle::default()).build().unwrap();
    let error = orders(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert!(script.requests().len() <= 4, "{}", script.requests().len());
}

#[tokio::test(start_paused = true)]
async fn no_refresh_token_that_was_refused_is_sent_again() {
    let script = server(refuses, nothing);
    let store = MemoryStore::new();
    let stored = json!({
        "generation": 5, "access_token": "a", "refresh_token": "of-the-store",
        "access_expires_at": LONG_AGO, "obtained_at": LONG_AGO,
    });
    let stored: TokenSet = serde_json::from_value(stored).unwrap();
    let key = TokenKey::new("fentu/api.fentu.io/acme/oauth/application");
    store.compare_and_swap(&key, 0, &stored).await.unwrap();
    let handed_in =
        TokenSet::new("b").with_refresh_token("handed-in").with_access_expires_at(LONG_AGO.parse().unwrap());
    let credentials = fentu::Credentials::oauth("application", "secret", handed_in);
    let client = fentu(&script, credentials).with_token_store(store).build().unwrap();
    orders(&client).await.unwrap_err();
    let bodies = script.requests().into_iter().map(|request| String::from_utf8(request.body.to_vec()).unwrap());
    let sent: Vec<String> = bodies.map(|body| body.rsplit('=').next().unwrap().to_owned()).collect();
    assert_eq!(sent, ["of-the-store", "handed-in"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_renewed_while_the_call_was_under_way_is_struck_out_too() {
    let quotes = |request: &Request<bytes::Bytes>| {
        let token = request.headers()["authorization"].to_str().unwrap();
        Step::json(422, json!({"message": format!("odd header {token}"), "errors": [token]})).delay(3 * SECOND)
    };
    let script = server(next_pair(2), quotes);
    let client = repairy(&script).build().unwrap();
    let calls = (0..5_u32).map(|number| {
        let client = &client;
        async move {
            sleep(number * SECOND / 2).await;
            call(client).await.unwrap_err()
        }
    });
    let mut printed = String::new();
    for error in join_all(calls).await {
        assert!(matches!(error, Error::Validation(_)), "{error:?}");
        print(&mut printed, &error);
    }
    assert!(client.auth_status().generation() > 1, "it was renewed meanwhile");
    assert!(printed.contains("odd header") && !printed.contains("acc3ss"), "{printed}");
}

#[tokio::test(start_paused = true)]
async fn a_logout_whose_access_token_ends_with_the_refresh_token_has_succeeded() {
    let revoked = AtomicU64::new(0);
    let script = server(
        move |_| match revoked.fetch_add(1, Ordering::Relaxed) {
            0 => Step::json(200, json!({})),
            _ => Step::json(401, json!({"error": "invalid_token"})),
        },
        nothing,
    );
    let store = MemoryStore::new();
    let tokens = TokenSet::new("access").with_refresh_token("refresh");
    let credentials = fentu::Credentials::oauth("application", "secret", tokens);
    let client = fentu(&script, credentials).with_token_store(store).build().unwrap();
    client.revoke().await.unwrap();
    let error = orders(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(script.requests().len(), 2, "and no call");
}

#[tokio::test]
async fn a_browser_that_comes_back_twice_while_the_code_is_redeemed_spends_it_once() {
    let granted = json!({"access_token": "a", "refresh_token": "r", "expires_in": 3600});
    let script = server(move |_| Step::json(200, granted.clone()).delay(SECOND / 2), nothing);
    let application = Application::builder("application", "secret").with_transport(script.clone()).build().unwrap();
    let login = application.loopback_login([Scope::ReadAssets]).await.unwrap();
    let parameter = |name: &str| login.url().query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned();
    let back: url::Url = parameter("redirect_uri").parse().unwrap();
    let visit = format!("GET /callback?code=c0de&state={} HTTP/1.1\r\nHost: here\r\n\r\n", parameter("state"));
    let tokens = tokio::spawn(login.tokens());
    let pages = (0..3).map(|_| async {
        let mut browser = TcpStream::connect(("127.0.0.1", back.port().unwrap())).await.unwrap();
        browser.write_all(visit.as_bytes()).await.unwrap();
        let mut page = String::new();
        browser.read_to_string(&mut page).await.unwrap();
        page
    });
    for page in join_all(pages).await {
        assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    }
    assert!(tokens.await.unwrap().is_ok());
    assert_eq!(script.requests().len(), 1, "the code was redeemed once");
}

#[tokio::test(start_paused = true)]
async fn clients_of_one_store_share_no_tokens_between_ports_or_paths_of_one_host() {
    let store = MemoryStore::new();
    for (number, address) in
        ["https://gate.example", "https://gate.example:8443", "https://gate.example/club"].into_iter().enumerate()
    {
        let token = format!("of-{number}");
        let script = server(move |_| Step::json(200, json!({"accessToken": token})), nothing);
        let client = repairy(&script).with_base_url(address).with_token_store(store.clone()).build().unwrap();
        call(&client).await.unwrap();
        let sent = script.requests().pop().unwrap();
        assert_eq!(sent.headers["authorization"], format!("Bearer of-{number}"), "{address}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_firewall_before_the_token_endpoint_passes() {
    for status in [403, 410] {
        let answers = AtomicU64::new(0);
        let pair = next_pair(3600);
        let script = server(
            move |request| match answers.fetch_add(1, Ordering::Relaxed) {
                0 => Step::body(status, "text/plain", "error code: 1020"),
                _ => pair(request),
            },
            nothing,
        );
        let client = repairy(&script).build().unwrap();
        let error = call(&client).await.unwrap_err();
        assert!(matches!(error, Error::Decode(_)), "{error:?}");
        sleep(2 * SECOND).await;
        call(&client).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_is_asked_too_often_is_not_asked_again_at_once() {
    let script = server(|_| Step::json(429, json!({})), nothing);
    let client = repairy(&script).build().unwrap();
    for _ in 0..100 {
        call(&client).await.unwrap_err();
    }
    assert_eq!(asked(&script).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_vendor_that_says_much_is_quoted_in_one_line_by_the_status_and_in_events() {
    let script = server(|_| Step::json(400, json!({"message": "no\nway ".repeat(10_000)})), nothing);
    let client = repairy(&script).build().unwrap();
    let log = Log::default();
    let listening = log.listen();
    call(&client).await.unwrap_err();
    drop(listening);
    let status = client.auth_status();
    let failure = status.last_failure().unwrap();
    assert!(failure.contains("no way no way") && failure.len() < 500 && !failure.contains('\n'), "{failure}");
    assert!(log.text().lines().all(|line| line.len() < 1000), "{}", log.text());
}

/// Looks how the client is at every event, as somebody who writes metrics might.
struct Curious(Client);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for Curious {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let _ = self.0.auth_status();
    }
}

#[tokio::test(start_paused = true)]
async fn who_hears_of_a_failure_can_ask_the_client_how_it_is() {
    let script = server(refuses, nothing);
    let client = repairy(&script).build().unwrap();
    let curious = Curious(client.clone());
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(curious));
    call(&client).await.unwrap_err();
}
