//! Token requests over real sockets, while the runtimes of their callers end or stand still.
//!
//! No test waits for time to pass: the server responds to a token request when the test tells it to.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use jiff::Timestamp;
use servicebay::fentu::{Application, Client, Credentials, Scope};
use servicebay::{CompareAndSwap, Error, MemoryStore, StoreError, TokenKey, TokenSet, TokenStore};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::forward_to_store::forward_to_store;

const APPLICATION: (&str, &str) = ("application", "application-secret");

/// After this time a test fails, instead of waiting for what does not come.
const PATIENCE: Duration = Duration::from_secs(20);

/// Fentu on threads of its own. Connections stay open, and each token request waits for the test.
struct TokenServer {
    base_url: String,
    token_requests: Arc<AtomicU32>,
    arrivals: UnboundedReceiver<String>,
    responses: mpsc::Sender<()>,
}

impl TokenServer {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let token_requests = Arc::new(AtomicU32::new(0));
        let (arrived, arrivals) = unbounded_channel();
        let (responses, respond) = mpsc::channel::<()>();
        let (count, respond) = (Arc::clone(&token_requests), Arc::new(Mutex::new(respond)));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (count, respond, arrived) = (Arc::clone(&count), Arc::clone(&respond), arrived.clone());
                thread::spawn(move || {
                    let mut stream = stream.unwrap();
                    while let Some(request) = read(&mut stream) {
                        let is_token_request = request.starts_with("POST /oauth/");
                        if is_token_request {
                            count.fetch_add(1, Ordering::SeqCst);
                            // The test may be over.
                            let _ = arrived.send(request.clone());
                            let _ = respond.lock().unwrap().recv();
                        }
                        let _ = stream.write_all(response(&request).as_bytes());
                    }
                });
            }
        });
        Self { base_url, token_requests, arrivals, responses }
    }

    /// The next token request.
    async fn arrival(&mut self) -> String {
        timeout(PATIENCE, self.arrivals.recv()).await.expect("a token request arrives").unwrap()
    }

    /// Responds to one token request, now or when it arrives.
    fn respond(&self) {
        self.responses.send(()).unwrap();
    }

    fn token_requests(&self) -> u32 {
        self.token_requests.load(Ordering::SeqCst)
    }

    /// A client with a valid access token.
    fn client(&self, store: impl TokenStore) -> Client {
        let tokens = TokenSet::new("valid").with_refresh_token("old-refresh");
        self.client_with(Credentials::oauth(APPLICATION.0, APPLICATION.1, tokens), store)
    }

    /// A client that has to refresh its tokens before its first call.
    fn expired_client(&self, store: impl TokenStore) -> Client {
        let tokens = TokenSet::new("expired").with_refresh_token("old-refresh");
        let tokens = tokens.with_access_expires_at(Timestamp::UNIX_EPOCH);
        self.client_with(Credentials::oauth(APPLICATION.0, APPLICATION.1, tokens), store)
    }

    fn client_with(&self, credentials: Credentials, store: impl TokenStore) -> Client {
        let builder = Client::builder(credentials).with_tenant("acme").with_base_url(&self.base_url);
        builder.with_token_store(store).build().unwrap()
    }

    fn application(&self) -> Application {
        Application::builder(APPLICATION.0, APPLICATION.1).with_base_url(&self.base_url).build().unwrap()
    }
}

/// Reads a request: its head, and the body that it announces.
fn read(stream: &mut TcpStream) -> Option<String> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn response(request: &str) -> String {
    let is_authorized = ["authorization: bearer valid\r\n", "authorization: bearer new-access\r\n"];
    let (status, body) = if request.starts_with("POST /oauth/token") {
        ("200 OK", r#"{"access_token": "new-access", "refresh_token": "new-refresh", "expires_in": 3600}"#)
    } else if request.starts_with("POST /oauth/revoke") {
        ("200 OK", "{}")
    } else if is_authorized.iter().any(|header| request.to_ascii_lowercase().contains(header)) {
        ("200 OK", r#"{"data": {"id": "task-1"}}"#)
    } else {
        ("401 Unauthorized", "{}")
    };
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}")
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Starts a future and drops it when the server has received its token request, which it returns.
async fn until_arrival<T: std::fmt::Debug>(server: &mut TokenServer, future: impl Future<Output = T>) -> String {
    match select(std::pin::pin!(future), std::pin::pin!(server.arrival())).await {
        Either::Left((output, _)) => panic!("it ended before the server responded: {output:?}"),
        Either::Right((request, _)) => request,
    }
}

async fn call(client: &Client) -> Result<(), Error> {
    client.get_task().id("task-1").send().await.map(drop)
}

/// The refresh token in a store.
async fn stored(store: &MemoryStore, server: &TokenServer) -> Option<String> {
    use secrecy::ExposeSecret as _;

    let host = server.base_url.trim_start_matches("http://").trim_end_matches("/v1");
    let key = TokenKey::new(format!("fentu/{host}/acme/oauth/application"));
    let tokens = store.load(&key).await.unwrap()?;
    tokens.refresh_token().map(|token| token.expose_secret().to_owned())
}

#[test]
fn a_refresh_serves_a_second_thread_while_the_runtime_of_its_caller_stands_still() {
    let (mut server, store) = (TokenServer::start(), MemoryStore::new());
    let client = server.expired_client(store.clone());
    let still = runtime();
    let refresh = still.block_on(until_arrival(&mut server, call(&client)));
    assert!(refresh.contains("refresh_token=old-refresh"), "{refresh}");
    // From here on, no one drives `still`.
    thread::scope(|scope| {
        let other = scope.spawn(|| {
            runtime().block_on(async {
                // The call joins the refresh that is under way, and only then the server responds.
                tokio::join!(call(&client), async { server.respond() }).0
            })
        });
        other.join().unwrap().unwrap();
    });
    assert_eq!(server.token_requests(), 1);
    assert_eq!(runtime().block_on(stored(&store, &server)).as_deref(), Some("new-refresh"));
    drop(still);
}

#[test]
fn a_refresh_completes_and_is_stored_after_the_runtime_of_its_caller_was_dropped() {
    let (mut server, store) = (TokenServer::start(), MemoryStore::new());
    let client = server.expired_client(store.clone());
    let dropped = runtime();
    dropped.block_on(until_arrival(&mut server, call(&client)));
    drop(dropped);
    server.respond();
    runtime().block_on(async {
        client.settle().await.unwrap();
        assert_eq!(stored(&store, &server).await.as_deref(), Some("new-refresh"));
        call(&client).await.unwrap();
    });
    assert_eq!(server.token_requests(), 1);
}

#[test]
fn a_token_request_uses_no_connection_of_a_runtime_that_stands_still() {
    let mut server = TokenServer::start();
    let client = server.client(MemoryStore::new());
    let still = runtime();
    // The connection of this call stays open, and only `still` drives it.
    still.block_on(call(&client)).unwrap();
    server.respond();
    server.respond();
    runtime().block_on(client.revoke()).unwrap();
    let revoked = runtime().block_on(server.arrival());
    assert!(revoked.contains("token=old-refresh"), "{revoked}");
    drop(still);
}

#[test]
fn a_revocation_ends_both_tokens_after_its_caller_is_gone() {
    let (mut server, store) = (TokenServer::start(), MemoryStore::new());
    let client = server.client(store);
    let dropped = runtime();
    dropped.block_on(until_arrival(&mut server, client.revoke()));
    drop(dropped);
    let mut close = Box::pin(client.close());
    assert!(close.as_mut().now_or_never().is_none(), "close waits for the revocation");
    server.respond();
    let second = runtime().block_on(server.arrival());
    assert!(second.contains("token=valid"), "{second}");
    assert!(close.as_mut().now_or_never().is_none(), "close waits for the second request");
    server.respond();
    runtime().block_on(async {
        timeout(PATIENCE, close).await.expect("close returns").unwrap();
        let error = call(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    });
    assert_eq!(server.token_requests(), 2);
}

/// A store that reports every write.
#[derive(Clone, Debug)]
struct ReportingStore(MemoryStore, tokio::sync::mpsc::UnboundedSender<()>);

impl TokenStore for ReportingStore {
    forward_to_store!(0: load, remove, lease);

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> Result<CompareAndSwap, StoreError> {
        let swapped = self.0.compare_and_swap(key, expected, tokens).await;
        self.1.send(()).unwrap();
        swapped
    }
}

#[test]
fn a_code_exchange_completes_and_is_stored_after_its_caller_is_gone() {
    let mut server = TokenServer::start();
    let (report, mut reports) = unbounded_channel();
    let store = ReportingStore(MemoryStore::new(), report);
    let application = server.application();
    let client = server.client_with(application.stored_credentials(), store.clone());
    let login = application.authorize("http://127.0.0.1:4000/callback", [Scope::ReadWorkOrders]).unwrap();
    let state = login.url().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let redirected = format!("/callback?code=the-code&state={state}");

    let dropped = runtime();
    let exchange =
        dropped.block_on(until_arrival(&mut server, application.exchange_into(&login, &redirected, &client)));
    assert!(exchange.contains("code=the-code"), "{exchange}");
    drop(dropped);
    let mut settle = Box::pin(client.settle());
    assert!(settle.as_mut().now_or_never().is_none(), "settle waits for the exchange");
    server.respond();
    runtime().block_on(async {
        timeout(PATIENCE, settle).await.expect("settle returns").unwrap();
        reports.try_recv().expect("the tokens are stored");
        assert_eq!(stored(&store.0, &server).await.as_deref(), Some("new-refresh"));
        call(&client).await.unwrap();
        let other = server.client_with(application.stored_credentials(), store.0.clone());
        call(&other).await.unwrap();
    });
    assert_eq!(server.token_requests(), 1);
}

#[test]
fn a_login_is_exchanged_only_for_a_client_of_its_application_and_address() {
    let (server, elsewhere) = (TokenServer::start(), TokenServer::start());
    let application = server.application();
    let login = application.authorize("http://127.0.0.1:4000/callback", [Scope::ReadWorkOrders]).unwrap();
    let state = login.url().query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let redirected = format!("/callback?code=the-code&state={state}");
    let of_a_key = Client::builder(Credentials::api_key("key")).with_base_url(&server.base_url).build().unwrap();
    let other = server.client_with(Credentials::oauth_stored("another", "secret"), MemoryStore::new());
    let at_another_address = elsewhere.client_with(application.stored_credentials(), MemoryStore::new());
    runtime().block_on(async {
        for (client, expected) in [
            (of_a_key, "was built with a key"),
            (other, "was built for another application"),
            (at_another_address, "sends its calls to another address"),
        ] {
            let error = application.exchange_into(&login, &redirected, &client).await.unwrap_err();
            assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
            assert!(error.to_string().contains(expected), "{error}");
        }
    });
    assert_eq!((server.token_requests(), elsewhere.token_requests()), (0, 0));
}
