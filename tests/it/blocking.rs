//! Calls without async code: what they return, where they are refused, and what is left behind when one is abandoned.
//!
//! The tests run in real time, because the runtime of blocking calls is the crate's own; none waits for time to pass.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;
use std::{env, fs, future, thread};

use futures_core::future::BoxFuture;
use http::{Method, Request, Response};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};
use servicebay::fixably::types::{NoteInput, NoteType, NotesCreate};
use servicebay::fixably::{Client, Credentials};
use servicebay::testing::{Environment, Step};
use servicebay::{
    Body, Conditional, Error, ListPage as _, ReconcileOutcome, Tenants, Transport, TransportError, WriteStatus,
};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, block_in_place};

use crate::source_code::{files_in, root};
use crate::support::{SECRET, client, order};

/// After this time a test fails, instead of waiting for what does not come.
const PATIENCE: Duration = Duration::from_secs(30);

fn id_of(client: &Client) -> Result<Option<i64>, Error> {
    client.get_order().id(1).send_blocking().map(|order| order.id().map(|id| id.get()))
}

/// The names of a message's parameter and its text, of a call that was refused.
#[track_caller]
fn refusal<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(error @ Error::InvalidRequest(_)) => error.to_string(),
        other => panic!("{other:?}"),
    }
}

const REFUSED: &str = "get_order was not sent: send_blocking: would block the thread of an async task: use `.send().await`, or \
                       move it into `tokio::task::spawn_blocking`";

#[test]
fn every_kind_of_call_has_a_form_without_async_code() {
    let (client, script) = client([order().repeat()]);
    assert_eq!(id_of(&client).unwrap(), Some(1));
    let raw = || client.request(Method::GET, "orders/1");
    assert_eq!(raw().send_blocking::<Value>().unwrap()["id"], 1);
    assert_eq!(raw().send_bytes_blocking().unwrap()[..], *br#"{"id":1}"#);
    assert!(matches!(raw().if_none_match("\"v1\"").send_blocking::<Value>(), Ok(Conditional::Modified(_))));
    assert!(matches!(raw().if_none_match("\"v1\"").send_bytes_blocking(), Ok(Conditional::Modified(_))));
    assert_eq!(script.requests().len(), 5);
    client.log_in_blocking().unwrap();
    assert_eq!(client.current_token_blocking().unwrap().expose_secret(), SECRET);
    client.settle_blocking().unwrap();
    let idle = client.clone();
    let idle = thread::spawn(move || idle.keep_alive_blocking());
    client.close_blocking().unwrap();
    assert!(matches!(idle.join(), Ok(Error::InvalidRequest(_))));
}

#[test]
fn a_lookup_of_a_lost_write_may_make_blocking_calls() {
    let (client, script) = client([Step::dropped(), order(), Step::json(201, json!([{"id": 7}]))]);
    let notes = NotesCreate::new([NoteInput::new(NoteType::Issue).text("Cracked")]);
    let write = client.create_order_notes().order_id(1).body(notes).reconcile(|_| {
        let found = client.get_order().id(1).send_blocking();
        future::ready(found.map(|_| WriteStatus::NotApplied))
    });
    assert!(matches!(write.send_blocking(), Ok(ReconcileOutcome::Response(_))));
    assert_eq!(script.requests().len(), 3);
}

#[test]
fn the_clients_of_tenants_are_made_and_closed_without_async_code() {
    let tenants =
        Tenants::builder(|_| future::ready(Ok::<_, Error>(Client::builder(Credentials::bearer(SECRET))))).build();
    let client = tenants.get_blocking("acme").unwrap();
    assert_eq!(client.base_url().as_str(), "https://acme.fixably.com/api/v3");
    tenants.close_blocking().unwrap();
}

/// A user lets a program without async code in, calls are made, and the user takes the permission back.
#[cfg(feature = "fentu")]
#[test]
fn a_user_logs_in_and_out_without_async_code() {
    use servicebay::fentu::{Application, Scope};
    use servicebay::testing::fentu::MockServer;

    let server = MockServer::builder().in_memory();
    let known = server.application();
    let application = Application::builder(known.client_id(), known.client_secret());
    let application = application.with_base_url(server.base_url()).with_transport(server.clone()).build().unwrap();
    let client = server.client_builder_with(application.stored_credentials()).build().unwrap();
    let redirected = || {
        let login = application.authorize("http://127.0.0.1:4000/callback", [Scope::Admin]).unwrap();
        let redirected = server.visit(login.url().as_str()).unwrap().to_string();
        (login, redirected)
    };
    let (login, url) = redirected();
    application.exchange_into_blocking(&login, &url, &client).unwrap();
    client.get_asset().id("asset-001").send_blocking().unwrap();
    let (login, url) = redirected();
    client.adopt_login_blocking(application.exchange_blocking(&login, &url).unwrap()).unwrap();
    client.revoke_blocking().unwrap();
    assert!(matches!(client.get_asset().id("asset-001").send_blocking(), Err(Error::ReauthRequired(_))));
}

#[cfg(feature = "fentu")]
#[test]
fn a_browser_returns_to_a_program_without_async_code() {
    use servicebay::fentu::{Application, Scope};
    use servicebay::testing::fentu::MockServer;

    let server = MockServer::builder().in_memory();
    let known = server.application();
    let application = Application::builder(known.client_id(), known.client_secret());
    let application = application.with_base_url(server.base_url()).with_transport(server.clone()).build().unwrap();
    let client = server.client_builder_with(application.stored_credentials()).build().unwrap();
    let browser = |login: &servicebay::fentu::LoopbackLogin| {
        let redirected = server.visit(login.url().as_str()).unwrap();
        let address = (redirected.host_str().unwrap().to_owned(), redirected.port().unwrap());
        let target = format!("{}?{}", redirected.path(), redirected.query().unwrap());
        thread::spawn(move || {
            let mut stream = std::net::TcpStream::connect(address).unwrap();
            write!(stream, "GET {target} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\r\n").unwrap();
            let mut page = String::new();
            stream.read_to_string(&mut page).unwrap();
            page
        })
    };
    let login = application.loopback_login_blocking([Scope::Admin]).unwrap();
    let page = browser(&login);
    login.tokens_into_blocking(&client).unwrap();
    assert!(page.join().unwrap().starts_with("HTTP/1.1 200"));
    client.get_asset().id("asset-001").send_blocking().unwrap();
    let login = application.loopback_login_blocking([Scope::Admin]).unwrap();
    let page = browser(&login);
    login.tokens_blocking().unwrap();
    assert!(page.join().unwrap().starts_with("HTTP/1.1 200"));
}

#[cfg(feature = "fisikal")]
#[test]
fn a_login_with_a_password_is_revoked_without_async_code() {
    use servicebay::fisikal::Credentials;
    use servicebay::testing::fisikal::{MockServer, Role};

    let server = MockServer::builder().in_memory();
    let (user, password) = server.login(Role::Manager);
    let credentials = Credentials::password(MockServer::CLIENT_ID, MockServer::CLIENT_SECRET, user, password);
    let client = server.client_builder(credentials).build().unwrap();
    client.log_in_blocking().unwrap();
    client.revoke_blocking().unwrap();
    assert!(matches!(client.current_token_blocking(), Err(Error::ReauthRequired(_))));
}

#[test]
fn an_async_task_is_refused_on_every_kind_of_runtime_and_goes_on() {
    async fn check() {
        let (client, script) = client([order().repeat()]);
        for _ in 0..3 {
            assert_eq!(refusal(id_of(&client)), REFUSED);
            // The refusal costs the task one turn, and nothing else.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(script.requests().len(), 0, "nothing was sent");
        client.get_order().id(1).send().await.unwrap();
    }
    let single = Builder::new_current_thread().enable_all().build().unwrap();
    single.block_on(check());
    single.block_on(async { tokio::spawn(check()).await.unwrap() });
    single.block_on(LocalSet::new().run_until(async { tokio::task::spawn_local(check()).await.unwrap() }));
    let multi = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    multi.block_on(check());
    multi.block_on(async { tokio::spawn(check()).await.unwrap() });
}

#[tokio::test]
async fn every_blocking_method_is_refused_in_an_async_task_and_names_the_async_one() {
    let (client, _script) = client([order().repeat()]);
    let raw = || client.request(Method::GET, "orders/1").named("read_anything");
    let notes = NotesCreate::new([NoteInput::new(NoteType::Issue).text("Cracked")]);
    let write = client.create_order_notes().order_id(1).body(notes);
    let write = write.reconcile(|_| future::ready(Ok(WriteStatus::Unknown)));
    let tenants =
        Tenants::builder(|_| future::ready(Ok::<_, Error>(Client::builder(Credentials::bearer(SECRET))))).build();
    for (operation, method, message) in [
        ("create_order_notes", "send", refusal(write.send_blocking())),
        ("read_anything", "send", refusal(raw().send_blocking::<Value>())),
        ("read_anything", "send_bytes", refusal(raw().send_bytes_blocking())),
        ("read_anything", "send", refusal(raw().if_none_match("\"v1\"").send_blocking::<Value>())),
        ("read_anything", "send_bytes", refusal(raw().if_none_match("\"v1\"").send_bytes_blocking())),
        ("log_in", "log_in", refusal(client.log_in_blocking())),
        ("current_token", "current_token", refusal(client.current_token_blocking())),
        ("settle", "settle", refusal(client.settle_blocking())),
        ("close", "close", refusal(client.close_blocking())),
        ("keep_alive", "keep_alive", refusal::<()>(Err(client.keep_alive_blocking()))),
        ("get", "get", refusal(tenants.get_blocking("acme"))),
        ("close", "close", refusal(tenants.close_blocking())),
    ] {
        let start = format!("{operation} was not sent: {method}_blocking: would block");
        assert!(message.starts_with(&start) && message.contains(&format!("`.{method}().await`")), "{message}");
    }
}

#[test]
fn a_thread_that_may_block_is_not_refused() {
    let (client, _script) = client([order().repeat()]);
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let moved = client.clone();
    assert_eq!(runtime.block_on(runtime.spawn_blocking(move || id_of(&moved))).unwrap().unwrap(), Some(1));
    let moved = client.clone();
    let in_place = async move { block_in_place(|| id_of(&moved)) };
    assert_eq!(runtime.block_on(async { tokio::spawn(in_place).await }).unwrap().unwrap(), Some(1));
    // A thread that only knows of a runtime.
    let _entered = runtime.enter();
    assert_eq!(id_of(&client).unwrap(), Some(1));
}

#[tokio::test]
async fn a_task_without_a_bound_is_not_recognized_and_its_call_succeeds() {
    let (client, _script) = client([order()]);
    let outcome = tokio::task::unconstrained(async { id_of(&client) }).await;
    assert_eq!(outcome.unwrap(), Some(1));
}

/// A list of `total` orders, twenty on a page.
fn orders(total: u32) -> Step {
    Step::with(move |request| {
        let query = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
        let offset =
            query.into_iter().find(|(name, _)| name == "offset").map_or(0, |(_, value)| value.parse().unwrap());
        let items: Vec<_> = (offset..total.min(offset + 20)).map(|id| json!({"id": id})).collect();
        Step::json(200, json!({"limit": 20, "offset": offset, "totalItems": total, "items": items}))
    })
    .repeat()
}

#[test]
fn an_iterator_returns_the_items_and_the_pages_that_the_stream_does() {
    for depth in [1, 8] {
        let (client, script) = client([orders(130)]);
        let list = || client.list_orders().limit(20);
        let ids: Vec<_> =
            list().items_blocking().prefetch(depth).map(|order| order.unwrap().id().unwrap().get()).collect();
        assert_eq!(ids, (0..130).collect::<Vec<_>>());
        let sizes = list().pages_blocking().prefetch(depth).map(|page| page.unwrap().items().len());
        assert_eq!(sizes.collect::<Vec<_>>(), [20, 20, 20, 20, 20, 20, 10]);
        assert_eq!(script.requests().len(), 14, "each page once");
    }
}

#[test]
fn an_iterator_resumes_at_a_cursor_and_knows_what_the_stream_knows() {
    let (client, _script) = client([orders(130)]);
    let mut first = client.list_orders().limit(20).items_blocking();
    assert_eq!(first.by_ref().take(50).filter(Result::is_ok).count(), 50);
    assert_eq!((first.yielded(), first.total(), first.changes().is_none()), (50, Some(130), true));
    let mut rest = client.list_orders().limit(20).items_blocking().resume(first.cursor());
    assert_eq!(rest.next().unwrap().unwrap().id(), Some(50.into()));
    assert_eq!((rest.by_ref().count(), rest.yielded(), rest.next().is_none()), (79, 130, true));
    let mut pages = client.list_orders().limit(20).pages_blocking();
    pages.next().unwrap().unwrap();
    assert_eq!((pages.yielded(), pages.total(), pages.changes().is_none()), (20, Some(130), true));
    let mut rest = client.list_orders().limit(20).pages_blocking().resume(pages.cursor());
    assert_eq!(rest.next().unwrap().unwrap().items()[0].id(), Some(20.into()));
    assert_eq!(format!("{rest:?}"), "BlockingPages(Pages { yielded: 40, ended: false, .. })");
}

#[test]
fn an_error_ends_an_iterator() {
    let (client, _script) = client([Step::status(404)]);
    let mut items = client.list_orders().items_blocking();
    assert!(matches!(items.next(), Some(Err(Error::NotFound(_)))));
    assert!(items.next().is_none());
}

#[tokio::test]
async fn an_iterator_is_refused_once_in_an_async_task_and_ends() {
    let (client, script) = client([orders(130)]);
    let mut items = client.list_orders().items_blocking();
    let message = "list_orders was not sent: items_blocking: would block the thread of an async task: use `.items()`, which is \
                   a stream, or move it into `tokio::task::spawn_blocking`";
    assert_eq!(refusal(items.next().unwrap()), message);
    assert!(items.next().is_none(), "a loop that skips errors ends");
    let mut pages = client.list_orders().pages_blocking();
    assert_eq!(refusal(pages.next().unwrap()), message.replace("items", "pages"));
    assert!(pages.next().is_none() && script.requests().is_empty());
}

/// A transport of lists whose pages behind the first never come, which counts the requests in flight.
#[derive(Clone, Debug, Default)]
struct StalledList {
    in_flight: Arc<AtomicU32>,
}

struct InFlight(Arc<AtomicU32>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Transport for StalledList {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let is_first = !request.uri().query().unwrap_or_default().contains("offset=");
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let in_flight = InFlight(Arc::clone(&self.in_flight));
        Box::pin(async move {
            let _in_flight = in_flight;
            if !is_first {
                future::pending::<()>().await;
            }
            let items: Vec<_> = (0..20).map(|id| json!({"id": id})).collect();
            let page = json!({"limit": 20, "offset": 0, "totalItems": 200, "items": items});
            Ok(Response::new(page.to_string().into()))
        })
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl Environment for StalledList {
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.in_flight) as usize
    }
}

#[test]
fn dropping_an_iterator_midway_cancels_the_pages_in_flight() {
    let list = StalledList::default();
    let builder = Client::builder(Credentials::bearer(SECRET)).with_tenant("acme").with_transport(list.clone());
    let client = builder.build().unwrap();
    let mut items = client.list_orders().limit(20).items_blocking().prefetch(4);
    items.next().unwrap().unwrap();
    assert_eq!(list.in_flight.load(Ordering::SeqCst), 4);
    drop(items);
    assert_eq!(list.in_flight.load(Ordering::SeqCst), 0);
}

#[test]
fn a_timer_ends_a_blocking_call() {
    let (client, _script) = client([order().delay(PATIENCE)]);
    let call = client.get_order().id(1).with_operation_timeout(Duration::from_millis(20));
    assert!(matches!(call.send_blocking(), Err(Error::Timeout(_))));
}

/// A transport that responds when two requests are there.
#[derive(Clone, Debug)]
struct Rendezvous(Arc<tokio::sync::Barrier>);

impl Transport for Rendezvous {
    fn send(&self, _: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let barrier = Arc::clone(&self.0);
        Box::pin(async move {
            barrier.wait().await;
            Ok(Response::new(r#"{"location": {"id": 1}}"#.into()))
        })
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl Environment for Rendezvous {
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

#[cfg(feature = "fisikal")]
#[test]
fn threads_call_at_the_same_time() {
    use servicebay::fisikal::{Client, Credentials};

    let transport = Rendezvous(Arc::new(tokio::sync::Barrier::new(2)));
    let builder = Client::builder(Credentials::bearer(SECRET)).with_tenant("acme");
    let client = builder.with_transport(transport).build().unwrap();
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| client.get_location().id(1).send_blocking().unwrap());
        }
    });
}

#[test]
fn a_thread_that_panics_during_a_call_leaves_the_client_and_the_limit_as_they_were() {
    let is_ordered = Arc::new(Mutex::new(true));
    let step = Step::with(move |_| {
        assert!(!std::mem::take(&mut *is_ordered.lock().unwrap_or_else(|error| error.into_inner())), "as ordered");
        Step::json(200, json!({"id": 1})).header("x-ratelimit-remaining", "1").header("x-ratelimit-reset", "60")
    });
    let (client, _script) = client([step.repeat()]);
    let calling = client.clone();
    assert!(thread::spawn(move || id_of(&calling)).join().is_err(), "the panic reaches the thread that called");
    // The panicking call was the probe, for which all others wait: had it kept its permit, this one would wait for ever.
    assert_eq!(id_of(&client).unwrap(), Some(1));
    assert_eq!(thread::spawn(move || id_of(&client)).join().unwrap().unwrap(), Some(1));
}

/// A server on threads of its own: passes on each request, and responds with an order unless `responds` is false.
fn serve(responds: bool) -> (String, Arc<AtomicU32>, mpsc::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base_url = format!("http://{}/api/v3", listener.local_addr().unwrap());
    let (connections, (arrived, arrivals)) = (Arc::new(AtomicU32::new(0)), mpsc::channel());
    let count = Arc::clone(&connections);
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let (mut stream, arrived) = (stream.unwrap(), arrived.clone());
            thread::spawn(move || {
                let (mut request, mut buffer) = (Vec::new(), [0; 4096]);
                while let Ok(length @ 1..) = stream.read(&mut buffer) {
                    request.extend_from_slice(&buffer[..length]);
                    if request.ends_with(b"\r\n\r\n") {
                        request.clear();
                        // The test may be over.
                        let _ = arrived.send(());
                        if responds {
                            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n{\"id\":1}");
                        }
                    }
                }
            });
        }
    });
    (base_url, connections, arrivals)
}

fn client_of(base_url: &str) -> Client {
    Client::builder(Credentials::bearer(SECRET)).with_base_url(base_url).build().unwrap()
}

#[test]
fn calls_of_all_threads_and_of_async_code_reuse_one_connection() {
    let (base_url, connections, _arrivals) = serve(true);
    let client = client_of(&base_url);
    assert_eq!(id_of(&client).unwrap(), Some(1));
    let calling = client.clone();
    assert_eq!(thread::spawn(move || id_of(&calling)).join().unwrap().unwrap(), Some(1));
    let runtime = Runtime::new().unwrap();
    runtime.block_on(client.get_order().id(1).send()).unwrap();
    drop(runtime);
    assert_eq!(id_of(&client).unwrap(), Some(1));
    assert_eq!(connections.load(Ordering::SeqCst), 1);
}

/// Set for the process that [`a_process_ends_while_a_blocking_call_is_in_flight`] starts.
const IN_FLIGHT: &str = "SERVICEBAY_TEST_CALL_IN_FLIGHT";

/// What that process runs: it returns as soon as its call has arrived at a server that does not respond.
#[test]
fn a_process_that_returns_while_a_call_is_in_flight() {
    if env::var_os(IN_FLIGHT).is_some() {
        let (base_url, _, arrivals) = serve(false);
        thread::spawn(move || id_of(&client_of(&base_url)));
        arrivals.recv_timeout(PATIENCE).unwrap();
    }
}

#[test]
fn a_process_ends_while_a_blocking_call_is_in_flight() {
    let mut command = Command::new(env::current_exe().unwrap());
    let name = "blocking::a_process_that_returns_while_a_call_is_in_flight";
    command.args(["--exact", name, "--nocapture"]).env(IN_FLIGHT, "1").stdout(Stdio::piped()).stderr(Stdio::piped());
    let process = command.spawn().unwrap();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(process.wait_with_output()));
    let output = end.recv_timeout(PATIENCE).expect("the process ends").unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}

/// Whoever adds an async method to what a program calls is reminded of its blocking form.
#[test]
fn every_async_method_outside_of_webhooks_and_stores_has_a_blocking_form() {
    let mut checked = 0;
    for path in files_in(&root().join("src")) {
        let (text, name) = (fs::read_to_string(&path).unwrap(), path.to_str().unwrap().to_owned());
        let is_excluded =
            ["src/testing", "src/transport", "src/webhook", "src/auth", "src/page/stream.rs", "generated.rs"];
        if is_excluded.iter().any(|excluded| name.contains(excluded)) {
            continue;
        }
        for method in text.split("pub async fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next()) {
            let (macros, blocking) = ("blocking_sends! {", format!("pub fn {method}_blocking"));
            assert!(
                text.contains(&blocking) || (name.ends_with("raw.rs") && text.contains(macros)),
                "{name}: {method}"
            );
            checked += 1;
        }
    }
    assert!(checked > 15, "{checked}");
}
