//! Tokens under abuse: threads that race at a refresh, stores with wrong contents, servers and browsers that misbehave.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use http::Request;
use serde_json::json;
use servicebay::fentu::{self, Application, Scope};
use servicebay::repairy::{Client, Credentials};
use servicebay::testing::{Environment as _, Script, Step, probe};
use servicebay::{ClientBuilder, Error, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::forward_to_store::forward_to_store;
use crate::support::{Log, print};
use crate::tokens::no_leases::NoLeases;

const SECOND: Duration = Duration::from_secs(1);
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// A server that responds to token requests with `token`, and to all others with `call`.
fn server(
    token: impl Fn(&Request<bytes::Bytes>) -> Step + Send + Sync + 'static,
    call: impl Fn(&Request<bytes::Bytes>) -> Step + Send + Sync + 'static,
) -> Script {
    let respond = move |request: &Request<bytes::Bytes>| match request.uri().path() {
        path if path.contains("/auth/") || path.contains("/oauth/") => token(request),
        _ => call(request),
    };
    Script::new([Step::with(respond).repeat()])
}

fn empty(_: &Request<bytes::Bytes>) -> Step {
    Step::json(200, json!({}))
}

fn repairy(script: &Script) -> ClientBuilder<Client> {
    let credentials = Credentials::app("app key", "app secret", "partner");
    Client::builder(credentials).with_base_url("https://partner.example").with_transport(script.clone())
}

async fn call(client: &Client) -> Result<(), Error> {
    client.get_booking().id("670000000000000000000001").send().await.map(drop)
}

/// Grants numbered tokens, so that no two are the same.
fn numbered_tokens(lifetime: u64) -> impl Fn(&Request<bytes::Bytes>) -> Step {
    let granted = AtomicU64::new(0);
    move |_| {
        let number = granted.fetch_add(1, Ordering::Relaxed);
        let tokens = json!({"accessToken": format!("acc3ss-{number}"), "refreshToken": format!("r3fresh-{number}")});
        let mut tokens = tokens.as_object().unwrap().clone();
        tokens.insert("expiresIn".to_owned(), lifetime.into());
        Step::json(200, tokens)
    }
}

/// When tokens were requested.
fn token_requests(script: &Script) -> Vec<Instant> {
    let requests = script.requests().into_iter();
    requests.filter(|request| request.uri.path().contains("auth")).map(|request| request.at).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 8)]
async fn threads_that_see_a_stale_token_while_the_next_one_arrives_do_not_request_another() {
    let script = server(numbered_tokens(1), empty);
    let client = repairy(&script).build().unwrap();
    call(&client).await.unwrap();
    let started = Instant::now();
    // Stale after 0.8 s and expired after 0.9 s, three times in a row.
    let readers = (0..8).map(|_| {
        let client = client.clone();
        tokio::spawn(async move {
            while started.elapsed() < 3 * SECOND {
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
    let requests = token_requests(&script);
    assert!(requests.len() >= 3, "{requests:?}");
    for two in requests.windows(2) {
        let pause = two[1] - two[0];
        assert!(pause > SECOND / 2, "the new token was refreshed after {pause:?}");
    }
}

/// A store that returns different expired tokens on every load.
#[derive(Debug, Default)]
struct InconsistentStore {
    loads: AtomicU64,
    store: MemoryStore,
}

impl TokenStore for InconsistentStore {
    forward_to_store!(store: compare_and_swap, remove, lease);

    async fn load(&self, _: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        let number = self.loads.fetch_add(1, Ordering::Relaxed);
        let tokens = json!({
            "generation": number, "access_token": format!("a{number}"), "refresh_token": format!("r{number}"),
            "access_expires_at": LONG_AGO,
        });
        Ok(Some(serde_json::from_value(tokens).unwrap()))
    }
}

fn refuse(_: &Request<bytes::Bytes>) -> Step {
    Step::json(400, json!({"error": "invalid_grant"}))
}

fn fentu(script: &Script, credentials: fentu::Credentials) -> ClientBuilder<fentu::Client> {
    fentu::Client::builder(credentials).with_tenant("acme").with_transport(script.clone())
}

async fn orders(client: &fentu::Client) -> Result<(), Error> {
    client.list_work_orders().send().await.map(drop)
}

#[tokio::test(start_paused = true)]
async fn a_store_with_other_expired_tokens_on_every_load_causes_few_token_requests() {
    let script = server(refuse, empty);
    let stored = fentu::Credentials::oauth_stored("application", "secret");
    let client = fentu(&script, stored).with_token_store(InconsistentStore::default()).build().unwrap();
    let error = orders(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert!(script.requests().len() <= 4, "{}", script.requests().len());
}

#[tokio::test(start_paused = true)]
async fn a_refused_refresh_token_is_not_sent_again() {
    let script = server(refuse, empty);
    let store = MemoryStore::new();
    let stored = json!({
        "generation": 5, "access_token": "a", "refresh_token": "from-the-store",
        "access_expires_at": LONG_AGO, "obtained_at": LONG_AGO,
    });
    let stored: TokenSet = serde_json::from_value(stored).unwrap();
    let key = TokenKey::new("fentu/api.fentu.io/acme/oauth/application");
    store.compare_and_swap(&key, 0, &stored).await.unwrap();
    let passed_in =
        TokenSet::new("b").with_refresh_token("passed-in").with_access_expires_at(LONG_AGO.parse().unwrap());
    let credentials = fentu::Credentials::oauth("application", "secret", passed_in);
    let client = fentu(&script, credentials).with_token_store(store).build().unwrap();
    orders(&client).await.unwrap_err();
    let bodies = script.requests().into_iter().map(|request| String::from_utf8(request.body.to_vec()).unwrap());
    let sent: Vec<String> = bodies.map(|body| body.rsplit('=').next().unwrap().to_owned()).collect();
    assert_eq!(sent, ["from-the-store", "passed-in"]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_was_refreshed_during_the_call_is_redacted_too() {
    let quote_token = |request: &Request<bytes::Bytes>| {
        let token = request.headers()["authorization"].to_str().unwrap();
        Step::json(422, json!({"message": format!("odd header {token}"), "errors": [token]})).delay(3 * SECOND)
    };
    let script = server(numbered_tokens(2), quote_token);
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
    assert!(client.auth_status().generation() > 1, "it was refreshed meanwhile");
    assert!(printed.contains("odd header") && !printed.contains("acc3ss"), "{printed}");
}

#[tokio::test(start_paused = true)]
async fn a_revocation_that_also_revokes_the_access_token_succeeds() {
    let revoked = AtomicU64::new(0);
    let script = server(
        move |_| match revoked.fetch_add(1, Ordering::Relaxed) {
            0 => Step::json(200, json!({})),
            _ => Step::json(401, json!({"error": "invalid_token"})),
        },
        empty,
    );
    let store = MemoryStore::new();
    let tokens = TokenSet::new("access").with_refresh_token("refresh");
    let credentials = fentu::Credentials::oauth("application", "secret", tokens);
    let client = fentu(&script, credentials).with_token_store(store).build().unwrap();
    client.revoke().await.unwrap();
    let error = orders(&client).await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    assert_eq!(script.requests().len(), 2, "and the call was not sent");
}

#[tokio::test]
async fn a_code_is_redeemed_once_even_if_the_browser_comes_back_three_times() {
    let granted = json!({"access_token": "a", "refresh_token": "r", "expires_in": 3600});
    let script = server(move |_| Step::json(200, granted.clone()).delay(SECOND / 2), empty);
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

#[tokio::test]
async fn a_login_completes_however_many_connections_send_nothing() {
    let script = server(|_| Step::json(200, json!({"access_token": "a", "refresh_token": "r"})), empty);
    let application = Application::builder("application", "secret").with_transport(script.clone()).build().unwrap();
    let login = application.loopback_login([Scope::ReadAssets]).await.unwrap();
    let parameter = |name: &str| login.url().query_pairs().find(|(known, _)| known == name).unwrap().1.into_owned();
    let back: url::Url = parameter("redirect_uri").parse().unwrap();
    let visit = format!("GET /callback?code=c0de&state={} HTTP/1.1\r\nHost: here\r\n\r\n", parameter("state"));
    let tokens = tokio::spawn(login.tokens());
    let connect = || TcpStream::connect(("127.0.0.1", back.port().unwrap()));
    let mut silent = Vec::new();
    for _ in 0..200 {
        silent.push(connect().await.unwrap());
    }
    // The oldest are closed, so that no number of them uses up the files of the process.
    let closed = join_all(silent[..200 - 16].iter_mut().map(|stream| async {
        let closed = tokio::time::timeout(5 * SECOND, stream.read_to_end(&mut Vec::new())).await;
        closed.is_ok()
    }));
    assert!(closed.await.into_iter().all(|closed| closed));
    for stream in &silent[200 - 16..] {
        assert!(stream.try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
    let mut browser = connect().await.unwrap();
    browser.write_all(visit.as_bytes()).await.unwrap();
    let mut page = String::new();
    browser.read_to_string(&mut page).await.unwrap();
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    tokens.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_store_separates_tokens_by_port_and_path_of_a_host() {
    let store = MemoryStore::new();
    for (number, address) in
        ["https://login.example", "https://login.example:8443", "https://login.example/club"].into_iter().enumerate()
    {
        let token = format!("token-{number}");
        let script = server(move |_| Step::json(200, json!({"accessToken": token})), empty);
        let client = repairy(&script).with_base_url(address).with_token_store(store.clone()).build().unwrap();
        call(&client).await.unwrap();
        let sent = script.requests().pop().unwrap();
        assert_eq!(sent.headers["authorization"], format!("Bearer token-{number}"), "{address}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_a_firewall_in_front_of_the_token_endpoint_is_temporary() {
    for status in [403, 410] {
        let responses = AtomicU64::new(0);
        let grant = numbered_tokens(3600);
        let script = server(
            move |request| match responses.fetch_add(1, Ordering::Relaxed) {
                0 => Step::body(status, "text/plain", "error code: 1020"),
                _ => grant(request),
            },
            empty,
        );
        let client = repairy(&script).build().unwrap();
        let error = call(&client).await.unwrap_err();
        assert!(matches!(error, Error::Api(_)), "{error:?}");
        sleep(2 * SECOND).await;
        call(&client).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_token_endpoint_that_responds_with_429_is_not_asked_again_immediately() {
    let script = server(|_| Step::json(429, json!({})), empty);
    let client = repairy(&script).build().unwrap();
    for _ in 0..100 {
        call(&client).await.unwrap_err();
    }
    assert_eq!(token_requests(&script).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_long_message_of_the_vendor_is_shortened_to_one_line_in_the_status_and_in_events() {
    let script = server(|_| Step::json(400, json!({"message": "no\nway ".repeat(10_000)})), empty);
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

/// Reads the client's status at every event, as a metrics layer might.
struct StatusReader(Client);

impl<S: tracing::Subscriber> tracing_subscriber::Layer<S> for StatusReader {
    fn on_event(&self, _: &tracing::Event<'_>, _: tracing_subscriber::layer::Context<'_, S>) {
        let _ = self.0.auth_status();
    }
}

#[tokio::test(start_paused = true)]
async fn a_tracing_layer_can_read_the_status_during_a_failure_event() {
    let script = server(refuse, empty);
    let client = repairy(&script).build().unwrap();
    let reader = StatusReader(client.clone());
    let _listening = tracing::subscriber::set_default(tracing_subscriber::registry().with(reader));
    call(&client).await.unwrap_err();
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_panics_is_a_failed_one_and_is_followed_by_a_pause() {
    let requests = std::sync::Arc::new(AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&requests);
    let panic = move |_: &Request<bytes::Bytes>| {
        counted.fetch_add(1, Ordering::Relaxed);
        panic!("the transport is broken")
    };
    let script = server(panic, empty);
    let client = repairy(&script).build().unwrap();
    for _ in 0..60 {
        let error = call(&client).await.unwrap_err();
        assert!(error.to_string().contains("the token refresh panicked"), "{error}");
        assert!(error.is_retryable(), "{error:?}");
        sleep(SECOND).await;
    }
    // At 0, 1, 3, 7, 15, 31 s.
    assert_eq!(requests.load(Ordering::Relaxed), 6);
    assert!(client.auth_status().last_failure().is_some_and(|failure| failure.contains("panicked")));
    client.close().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_refresh_in_the_background_that_panics_is_followed_by_a_pause_and_the_old_token_serves() {
    let requests = std::sync::Arc::new(AtomicU64::new(0));
    let counted = std::sync::Arc::clone(&requests);
    let token = move |_: &Request<bytes::Bytes>| match counted.fetch_add(1, Ordering::Relaxed) {
        0 => Step::json(200, json!({"accessToken": "a", "expiresIn": 3600})),
        _ => panic!("the transport is broken"),
    };
    let script = server(token, empty);
    let client = repairy(&script).build().unwrap();
    call(&client).await.unwrap();
    sleep(52 * 60 * SECOND).await;
    for _ in 0..60 {
        call(&client).await.unwrap();
        sleep(SECOND).await;
    }
    assert_eq!(requests.load(Ordering::Relaxed), 3, "the login, and two refreshes that are 30 s apart");
}

/// How long a call waits if the store says that another process began to present the refresh token 10 s ago.
async fn wait_after_a_note(memory: &MemoryStore, store: impl TokenStore) -> Duration {
    let grant = |_: &Request<bytes::Bytes>| {
        Step::json(200, json!({"access_token": "b", "refresh_token": "s", "expires_in": 3600}))
    };
    let script = server(grant, empty);
    let noted = json!({
        "generation": 5, "access_token": "a", "refresh_token": "r", "access_expires_at": LONG_AGO,
        "obtained_at": LONG_AGO, "revision": 17, "presented_at": script.wall() - jiff::SignedDuration::from_secs(10),
    });
    let key = TokenKey::new("fentu/api.fentu.io/acme/oauth/application");
    memory.compare_and_swap(&key, 0, &serde_json::from_value(noted).unwrap()).await.unwrap();
    let stored = fentu::Credentials::oauth_stored("application", "secret");
    let client = fentu(&script, stored).with_token_store(store).build().unwrap();
    let started = Instant::now();
    // The response is no list, but the call was sent.
    let error = orders(&client).await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert_eq!(client.auth_status().generation(), 6);
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_that_a_dead_process_presented_is_presented_again_when_nothing_can_arrive_any_more() {
    let memory = MemoryStore::new();
    let waited = wait_after_a_note(&memory, memory.clone()).await;
    assert_eq!(waited, Duration::ZERO, "a lease that cannot be lost says that the process has ended");
    let store = NoLeases::default();
    let waited = wait_after_a_note(&store.0, store.clone()).await;
    assert!((19 * SECOND..=21 * SECOND).contains(&waited), "30 s after it was presented: {waited:?}");
}
