//! Real processes share a folder of tokens. They are killed, stopped and ended again and again during a refresh.
//!
//! The processes run this test binary with [one of its tests](a_process_that_calls_until_it_ends). The mock server
//! distinguishes them by their `User-Agent`. They are killed, stopped and ended at random, seeded times.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use servicebay::fentu::{Client, Credentials};
use servicebay::testing::Fault;
use servicebay::testing::fentu::{MockServer, MockServerBuilder, RefreshTokens, Tier};
use servicebay::{CompareAndSwap, Error, FileStore, Lease, StoreError, TokenKey, TokenSet, TokenStore};
use tokio::runtime::Handle;
use tokio::time::sleep;
use wiremock::{Match, Mock, Request, ResponseTemplate};

use crate::folder::Folder;

/// The environment variable with the arguments of a process, one per line: the server's address, the folder, the store and
/// the name of the process.
const ARGUMENTS: &str = "SERVICEBAY_TEST_CRASH_PROCESS";
/// What a process reads from its input to close its client and to return.
const CLOSE: &str = "close\n";
/// What a process reads from its input to return without closing its client.
const RETURN: &str = "return\n";
/// How long a lease lasts that expires.
const SHORT_LEASE: Duration = Duration::from_millis(500);
/// How long a token request takes.
const TOKEN_LATENCY: Duration = Duration::from_millis(40);
/// The longest time between a token response and the stored tokens.
const STORE_TIME: Duration = Duration::from_millis(12);
/// The longest wait for anything. Nothing takes close to this.
const MAX_WAIT: Duration = Duration::from_secs(60);

fn client(base_url: &str, store: impl TokenStore, name: &str, credentials: Credentials) -> Client {
    Client::builder(credentials)
        .with_base_url(base_url)
        .with_tenant("acme")
        .with_token_store(store)
        .with_user_agent(name)
        .build()
        .unwrap()
}

fn stored() -> Credentials {
    Credentials::oauth_stored("test-application", "test-application-secret")
}

/// Logs in, as a person does, and stores the tokens.
async fn log_in(server: &MockServer, folder: &Folder) {
    let pair = server.sign_in(["read:work-orders"]);
    let tokens =
        TokenSet::new(pair.access_token).with_refresh_token(pair.refresh_token).with_obtained_at(Timestamp::now());
    let credentials = Credentials::oauth("test-application", "test-application-secret", tokens);
    let store = FileStore::new(folder.path()).unwrap();
    let login = client(server.base_url(), store, "login", credentials);
    login.get_work_order().id("wo-10001").send().await.unwrap();
    login.close().await.unwrap();
}

/// The store that the processes share.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shared {
    Files,
    /// Files, with leases that expire while their holder is stopped.
    ExpiringLeases,
}

/// The test that each of the processes runs. In a normal test run, without arguments, it does nothing.
#[tokio::test]
async fn a_process_that_calls_until_it_ends() {
    let Ok(arguments) = env::var(ARGUMENTS) else { return };
    let [base_url, folder, store, name] = arguments.lines().collect::<Vec<_>>().try_into().unwrap();
    let (is_over, closes) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let input = (Arc::clone(&is_over), Arc::clone(&closes));
    thread::spawn(move || {
        let mut line = String::new();
        let _ = io::stdin().lock().read_line(&mut line);
        if line.is_empty() {
            // The test that started this process has ended, in whatever way.
            process::exit(0);
        }
        input.1.store(line == CLOSE, Ordering::SeqCst);
        input.0.store(true, Ordering::SeqCst);
    });
    let files = FileStore::new(folder).unwrap();
    let client = match store {
        "ExpiringLeases" => client(base_url, ExpiringLeases(files), name, stored()),
        _ => client(base_url, files, name, stored()),
    };
    while !is_over.load(Ordering::SeqCst) {
        match client.get_work_order().id("wo-10001").send().await {
            Ok(_) => {}
            // The tests expire tokens faster than any vendor, so that the client backs off, and they make token requests
            // fail.
            Err(Error::Server(_) | Error::Unauthorized(_)) => {}
            // A process that was killed between the vendor's response and the disk took the login with it, and one that is
            // stopped keeps the others waiting.
            Err(Error::ReauthRequired(_) | Error::Store(_) | Error::Timeout(_)) => {}
            Err(error) => panic!("{error} {error:?}"),
        }
        sleep(Duration::from_millis(4)).await;
    }
    if closes.load(Ordering::SeqCst) {
        client.close().await.unwrap();
    }
}

/// A store in files whose leases expire, as those of a database do: a lease is a record beside the tokens.
#[derive(Clone, Debug)]
struct ExpiringLeases(FileStore);

impl TokenStore for ExpiringLeases {
    async fn load(&self, key: &TokenKey) -> Result<Option<TokenSet>, StoreError> {
        self.0.load(key).await
    }

    async fn compare_and_swap(
        &self,
        key: &TokenKey,
        expected: u64,
        tokens: &TokenSet,
    ) -> Result<CompareAndSwap, StoreError> {
        self.0.compare_and_swap(key, expected, tokens).await
    }

    async fn remove(&self, key: &TokenKey) -> Result<(), StoreError> {
        self.0.remove(key).await
    }

    async fn lease(&self, key: &TokenKey) -> Result<Lease, StoreError> {
        let key = TokenKey::new(format!("lease of {key}"));
        loop {
            let current = self.0.load(&key).await?;
            let now = Timestamp::now();
            let expires_at = now.checked_add(SHORT_LEASE).unwrap();
            if current.as_ref().and_then(TokenSet::access_expires_at).is_none_or(|expiry| expiry <= now) {
                let lease = lease_record(Some(expires_at));
                let expected = current.as_ref().map_or(0, TokenSet::revision);
                if let CompareAndSwap::Stored = self.0.compare_and_swap(&key, expected, &lease).await? {
                    let held = HeldLease { store: self.0.clone(), key, revision: lease.revision() };
                    return Ok(Lease::new(held).with_is_held(move || Timestamp::now() < expires_at));
                }
            }
            sleep(Duration::from_millis(5)).await;
        }
    }
}

/// A record that stands for a lease; without an expiry it is free.
fn lease_record(expires_at: Option<Timestamp>) -> TokenSet {
    let fields = serde_json::json!({
        "access_token": "lease",
        "access_expires_at": expires_at.unwrap_or(Timestamp::UNIX_EPOCH),
        "refresh_token": null,
        "refresh_expires_at": null,
        "obtained_at": null,
        "generation": 1,
        "revision": fastrand::u64(1..=i64::MAX as u64),
    });
    serde_json::from_value(fields).unwrap()
}

struct HeldLease {
    store: FileStore,
    key: TokenKey,
    revision: u64,
}

impl Drop for HeldLease {
    fn drop(&mut self) {
        let (store, key, revision) = (self.store.clone(), self.key.clone(), self.revision);
        if let Ok(runtime) = Handle::try_current() {
            // A conflict means that it has expired and another process holds it. An error means that it will expire.
            runtime.spawn(async move { drop(store.compare_and_swap(&key, revision, &lease_record(None)).await) });
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn leases_that_expire_keep_the_contract_too() {
    let folder = Folder::new();
    let open = || ExpiringLeases(FileStore::new(folder.path()).unwrap());
    // The contract allows leases that expire after the longest time for which a client holds one. These expire earlier, so
    // only the part of the contract that is used here is checked.
    let (one, other) = (open(), open());
    let key = TokenKey::new("acme");
    let lease = one.lease(&key).await.unwrap();
    assert!(lease.is_held());
    let started = Instant::now();
    let next = other.lease(&key).await.unwrap();
    assert!(started.elapsed() >= SHORT_LEASE / 2 && !lease.is_held() && next.is_held());
    drop(lease);
    let started = Instant::now();
    drop(next);
    drop(one.lease(&key).await.unwrap());
    assert!(started.elapsed() < SHORT_LEASE, "a lease that was dropped is free at once");
}

/// A token request that arrived.
#[derive(Clone, Debug)]
struct Arrival {
    process: String,
    at: Instant,
    /// The refresh token that it presents.
    refresh_token: String,
}

/// Records token requests, and leaves the response to the mock server.
struct TokenRequestRecorder(Sender<Arrival>);

impl Match for TokenRequestRecorder {
    fn matches(&self, request: &Request) -> bool {
        if request.url.path() == "/oauth/token" {
            let agent = request.headers["user-agent"].to_str().unwrap();
            let process = agent.split(' ').next().unwrap().to_owned();
            let mut fields = url::form_urlencoded::parse(&request.body);
            let refresh_token = fields.find(|(name, _)| name == "refresh_token").unwrap().1.into_owned();
            // The receiver is gone after the test.
            let _ = self.0.send(Arrival { process, at: Instant::now(), refresh_token });
        }
        false
    }
}

/// A mock server, a folder with tokens, and the processes that share them.
struct SharedFolder {
    server: MockServer,
    folder: Folder,
    arrivals: Receiver<Arrival>,
    recorded: Vec<Arrival>,
    running: Vec<(String, Child)>,
    started: usize,
    store: Shared,
    /// The processes that ended without closing their client, and when.
    killed: BTreeMap<String, Instant>,
    /// What was done to which process, and when.
    actions: Mutex<Vec<(Instant, String)>>,
}

impl SharedFolder {
    /// A server whose tokens this many processes share.
    async fn new(server: MockServerBuilder, processes: usize, store: Shared) -> Self {
        let server = server.with_tier(Tier::Enterprise).start().await;
        let (sender, arrivals) = channel();
        let recorder =
            Mock::given(TokenRequestRecorder(sender)).respond_with(ResponseTemplate::new(500)).with_priority(1);
        server.server().unwrap().register(recorder).await;

        let mut shared = Self {
            server,
            folder: Folder::new(),
            arrivals,
            recorded: Vec::new(),
            running: Vec::new(),
            started: 0,
            store,
            killed: BTreeMap::new(),
            actions: Mutex::default(),
        };
        log_in(&shared.server, &shared.folder).await;
        for _ in 0..processes {
            shared.start();
        }
        shared
    }

    fn start(&mut self) {
        self.started += 1;
        let name = format!("process-{}", self.started);
        let test = concat!(module_path!(), "::a_process_that_calls_until_it_ends");
        let (_, test) = test.split_once("::").unwrap();
        let folder = self.folder.path().to_str().unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ARGUMENTS, format!("{}\n{folder}\n{:?}\n{name}", self.server.base_url(), self.store))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.running.push((name, child));
    }

    /// Waits until a running process makes a token request, and returns the latest one.
    fn next_token_request(&mut self) -> Arrival {
        loop {
            let first = self.recorded.len();
            match self.arrivals.recv_timeout(MAX_WAIT) {
                Ok(arrival) => self.recorded.push(arrival),
                Err(error) => self.fail(&format!("no process requests tokens: {error}")),
            }
            self.record_arrivals();
            let latest = self.recorded[first..].iter().rev().find(|arrival| self.is_running(&arrival.process));
            if let Some(latest) = latest {
                return latest.clone();
            }
        }
    }

    fn record_arrivals(&mut self) {
        self.recorded.extend(self.arrivals.try_iter());
    }

    fn is_running(&self, name: &str) -> bool {
        self.running.iter().any(|(running, _)| running == name)
    }

    /// Takes a process out of the running ones.
    fn take(&mut self, name: &str) -> Child {
        let index = self.running.iter().position(|(running, _)| running == name).unwrap();
        self.running.remove(index).1
    }

    fn log(&self, action: String) {
        self.actions.lock().unwrap().push((Instant::now(), action));
    }

    fn random_process(&self, random: &mut fastrand::Rng) -> String {
        self.running[random.usize(..self.running.len())].0.clone()
    }

    /// Lets a process end by itself, and waits until it has.
    fn end(&mut self, name: &str, how: &str) {
        self.log(format!("{name} is told to {}", how.trim()));
        let mut child = self.take(name);
        if how == RETURN {
            self.killed.insert(name.to_owned(), Instant::now());
        }
        child.stdin.as_mut().unwrap().write_all(how.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        self.log(format!("{name} has ended"));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Replaces the running processes by new ones. A process whose tokens are refused again and again, as in these tests,
    /// makes its next token request later each time.
    fn replace_processes(&mut self) {
        let names: Vec<_> = self.running.iter().map(|(name, _)| name.clone()).collect();
        for name in names {
            self.end(&name, CLOSE);
            self.start();
        }
    }

    /// Stops a process for a while, as a suspended machine or container does.
    fn stop(&self, name: &str, duration: Duration) {
        let (_, child) = self.running.iter().find(|(running, _)| running == name).unwrap();
        let id = Pid::from_child(child);
        kill_process(id, Signal::STOP).unwrap();
        self.log(format!("{name} is stopped"));
        thread::sleep(duration);
        kill_process(id, Signal::CONT).unwrap();
        self.log(format!("{name} continues"));
    }

    /// Kills a process, and checks that it was still running.
    fn kill(&mut self, name: &str) {
        self.log(format!("{name} is killed"));
        let mut child = self.take(name);
        self.killed.insert(name.to_owned(), Instant::now());
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// The tokens in the store.
    fn tokens(&self) -> TokenSet {
        // The lease is a record of its own.
        let is_tokens = |path: &Path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            name.ends_with(".json") && !name.starts_with("lease")
        };
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let path = files.into_iter().find(|path| is_tokens(path)).unwrap();
        let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        serde_json::from_value(file["tokens"].clone()).unwrap()
    }

    /// Waits until the store has tokens of another generation than this; returns whether it has within `longest`.
    fn is_stored_after(&self, generation: u64, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        while self.tokens().generation() == generation {
            if Instant::now() > until {
                return false;
            }
            thread::sleep(Duration::from_millis(1));
        }
        true
    }

    /// Waits until the store has tokens of another generation than this.
    fn wait_until_stored_after(&mut self, generation: u64) {
        if !self.is_stored_after(generation, MAX_WAIT) {
            self.fail("no process stores new tokens");
        }
    }

    fn fail(&mut self, reason: &str) -> ! {
        let outputs = self.running.drain(..).map(|(name, mut child)| {
            let _ = child.kill();
            let output = child.wait_with_output().unwrap();
            format!("{name}: {} {}", output.status, String::from_utf8_lossy(&output.stderr))
        });
        panic!("{reason}\n{}", outputs.collect::<Vec<_>>().join("\n"));
    }

    /// Checks that no process made a token request while another's was in flight, which takes at most `longest`.
    fn assert_one_at_a_time(&mut self, longest: Duration) {
        self.record_arrivals();
        let is_killed = |name: &str, by: Instant| self.killed.get(name).is_some_and(|killed| *killed <= by);
        // A request that arrived after its process was killed does not count.
        let requests: Vec<_> =
            self.recorded.iter().filter(|arrival| !is_killed(&arrival.process, arrival.at)).collect();
        for pair in requests.windows(2) {
            let [one, next] = pair else { unreachable!("windows of two") };
            let is_over = one.at + longest <= next.at || is_killed(&one.process, next.at);
            assert!(is_over, "{one:?} was in flight when {next:?} arrived");
        }
    }

    /// Checks that a refresh token was presented again only if its presenter ended without knowing the outcome. If the vendor
    /// had replaced it, it refuses it then, once to each process. Returns how many tokens were presented again.
    fn assert_presented_once(&mut self) -> usize {
        self.record_arrivals();
        let mut presented: BTreeMap<&str, Vec<&Arrival>> = BTreeMap::new();
        for arrival in &self.recorded {
            presented.entry(&arrival.refresh_token).or_default().push(arrival);
        }
        presented.retain(|_, arrivals| arrivals.len() > 1);
        for arrivals in presented.values() {
            let processes: BTreeSet<_> = arrivals.iter().map(|arrival| &arrival.process).collect();
            let is_unknowable = self.killed.get(&arrivals[0].process).is_some_and(|killed| *killed <= arrivals[1].at);
            let actions = self.actions.lock().unwrap();
            let actions: Vec<_> =
                actions.iter().filter(|(at, _)| *at + MAX_WAIT / 60 > arrivals[0].at).take(20).collect();
            assert!(
                is_unknowable && processes.len() == arrivals.len(),
                "{arrivals:?}, with these actions: {actions:?}"
            );
        }
        presented.len()
    }

    /// Kills the running processes, and checks that a new one can refresh and call with the tokens in the file.
    async fn finish(mut self) {
        while let Some((name, _)) = self.running.first() {
            let name = name.clone();
            self.kill(&name);
        }
        self.server.clear_faults();
        self.server.end_access_tokens();
        let before = self.tokens().generation();
        let store = FileStore::new(self.folder.path()).unwrap();
        let client = client(self.server.base_url(), store, "last-process", stored());
        client.get_work_order().id("wo-10001").send().await.unwrap();
        assert!(self.tokens().generation() > before);
        let counters = self.server.counters();
        assert_eq!((counters.logins(), counters.refused_refreshes()), (0, 0), "{counters:?}");
    }
}

/// The server does not rotate refresh tokens. With rotation, a process that is killed between the vendor's response and
/// writing to disk loses the only refresh token, which no client can prevent; the next test covers what a client can.
#[tokio::test]
async fn a_process_killed_during_a_refresh_leaves_working_tokens_a_hundred_times() {
    let mut shared =
        SharedFolder::new(MockServer::builder().with_refresh_tokens(RefreshTokens::Repeated), 2, Shared::Files).await;
    shared.server.fault(Fault::delay(TOKEN_LATENCY).on("POST", "/oauth/token").always());
    let mut random = fastrand::Rng::with_seed(3);
    let mut killed_early = 0;
    for round in 0..100 {
        shared.server.end_access_tokens();
        let request = shared.next_token_request();
        // Half of them before the response, and half while it is read and stored.
        let delay = if round % 2 == 0 {
            TOKEN_LATENCY.mul_f64(random.f64())
        } else {
            TOKEN_LATENCY + STORE_TIME.mul_f64(random.f64())
        };
        thread::sleep((request.at + delay).saturating_duration_since(Instant::now()));
        shared.kill(&request.process);
        killed_early += u32::from(shared.killed[&request.process] < request.at + TOKEN_LATENCY);
        // The file is complete, whenever the process was killed.
        assert!(shared.tokens().refresh_token().is_some());
        shared.start();
    }
    assert!(killed_early >= 10, "only {killed_early} were killed before they had a response");
    assert!(shared.tokens().generation() > 1, "none was killed after its tokens were stored");
    shared.assert_one_at_a_time(TOKEN_LATENCY);
    shared.finish().await;
}

/// The server rotates refresh tokens, and revokes the login if one is used twice. Processes are killed only before their
/// request is handled or after their tokens are stored, so that no tokens may be lost and none used twice.
#[tokio::test]
async fn a_process_killed_before_its_refresh_is_handled_or_after_its_tokens_are_stored_loses_no_tokens() {
    let delay = TOKEN_LATENCY * 2;
    let mut shared =
        SharedFolder::new(MockServer::builder().with_refresh_tokens(RefreshTokens::Rotated), 2, Shared::Files).await;
    let mut random = fastrand::Rng::with_seed(4);
    for round in 0..40 {
        shared.record_arrivals();
        let before = shared.tokens().generation();
        let is_before_handling = round % 2 == 0;
        if is_before_handling {
            shared.server.fault(Fault::status(503).delayed(delay).on("POST", "/oauth/token").always());
        }
        shared.server.end_access_tokens();
        let request = shared.next_token_request();
        let victim = if is_before_handling {
            thread::sleep(delay.mul_f64(random.f64()));
            shared.kill(&request.process);
            shared.server.clear_faults();
            shared.start();
            // A process that had a token refused backs off. Kill it next, so that another one refreshes.
            shared.running[0].0.clone()
        } else {
            request.process
        };
        shared.wait_until_stored_after(before);
        thread::sleep(STORE_TIME.mul_f64(random.f64()));
        shared.kill(&victim);
        shared.start();
    }
    let counters = shared.server.counters();
    assert_eq!((counters.repeated_refreshes(), counters.refused_refreshes()), (0, 0), "{counters:?}");
    shared.assert_presented_once();
    shared.finish().await;
}

/// A process that closes its client before it ends loses nothing, whenever that is.
#[tokio::test]
async fn a_process_that_closes_its_client_at_any_moment_loses_no_tokens() {
    let mut shared =
        SharedFolder::new(MockServer::builder().with_refresh_tokens(RefreshTokens::Rotated), 2, Shared::Files).await;
    shared.server.fault(Fault::delay(TOKEN_LATENCY).on("POST", "/oauth/token").always());
    let mut random = fastrand::Rng::with_seed(5);
    let mut ended_during_refresh = 0;
    for _ in 0..30 {
        let before = shared.tokens().generation();
        shared.server.end_access_tokens();
        let request = shared.next_token_request();
        thread::sleep((TOKEN_LATENCY + STORE_TIME).mul_f64(random.f64()));
        ended_during_refresh += usize::from(shared.tokens().generation() == before);
        let process = if random.bool() { request.process } else { shared.random_process(&mut random) };
        shared.end(&process, CLOSE);
        shared.start();
        shared.wait_until_stored_after(before);
    }
    assert!(ended_during_refresh >= 5, "only {ended_during_refresh} processes ended during a refresh");
    assert_eq!(shared.assert_presented_once(), 0);
    shared.finish().await;
}

/// A process that is stopped during a refresh keeps the others waiting, and continues where it was.
#[tokio::test]
async fn a_process_that_is_stopped_during_its_refresh_loses_no_tokens() {
    let mut shared =
        SharedFolder::new(MockServer::builder().with_refresh_tokens(RefreshTokens::Rotated), 2, Shared::Files).await;
    shared.server.fault(Fault::delay(TOKEN_LATENCY).on("POST", "/oauth/token").always());
    let mut random = fastrand::Rng::with_seed(6);
    for _ in 0..12 {
        let before = shared.tokens().generation();
        shared.server.end_access_tokens();
        let request = shared.next_token_request();
        thread::sleep((TOKEN_LATENCY + STORE_TIME).mul_f64(random.f64()));
        shared.stop(&request.process, Duration::from_millis(random.u64(100..400)));
        shared.wait_until_stored_after(before);
        shared.replace_processes();
    }
    assert_eq!(shared.assert_presented_once(), 0);
    shared.finish().await;
}

/// The lease expires while its holder is stopped, and another process takes it. Whichever of them refreshes, no refresh
/// token is presented twice.
#[tokio::test]
async fn a_process_that_is_stopped_beyond_its_lease_does_not_present_what_another_has_presented() {
    let mut shared =
        SharedFolder::new(MockServer::builder().with_refresh_tokens(RefreshTokens::Rotated), 2, Shared::ExpiringLeases)
            .await;
    shared.server.fault(Fault::delay(TOKEN_LATENCY).on("POST", "/oauth/token").always());
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..12 {
        shared.record_arrivals();
        let before = shared.tokens().generation();
        shared.server.end_access_tokens();
        let process = match round % 2 {
            // While it acquires the lease, notes that it presents the token, or presents it.
            0 => {
                thread::sleep(Duration::from_micros(random.u64(..30_000)));
                shared.random_process(&mut random)
            }
            // While it waits for the response, or stores the new tokens.
            _ => {
                let request = shared.next_token_request();
                thread::sleep((TOKEN_LATENCY + STORE_TIME).mul_f64(random.f64()));
                request.process
            }
        };
        shared.stop(&process, SHORT_LEASE.mul_f64(1.0 + random.f64()));
        shared.wait_until_stored_after(before);
        shared.replace_processes();
    }
    assert_eq!(shared.assert_presented_once(), 0);
    shared.finish().await;
}

/// Everything at once. A process that is killed between the vendor's response and the disk takes the only refresh token with
/// it; then a person logs in again, and the running processes go on with the new tokens.
#[tokio::test]
async fn of_four_processes_that_are_killed_stopped_and_ended_none_presents_a_token_twice_if_its_outcome_can_be_known() {
    let mut shared =
        SharedFolder::new(MockServer::builder().with_refresh_tokens(RefreshTokens::Rotated), 4, Shared::Files).await;
    shared.server.fault(Fault::delay(TOKEN_LATENCY).on("POST", "/oauth/token").always());
    let mut random = fastrand::Rng::with_seed(8);
    let mut logins = 0;
    for _ in 0..24 {
        shared.record_arrivals();
        let before = shared.tokens().generation();
        shared.server.end_access_tokens();
        let request = shared.next_token_request();
        thread::sleep((TOKEN_LATENCY + STORE_TIME).mul_f64(random.f64()));
        let process = if random.u8(..4) > 0 { request.process } else { shared.random_process(&mut random) };
        let refused = shared.server.counters().refused_refreshes();
        match random.u8(..4) {
            0 => shared.kill(&process),
            1 => shared.end(&process, RETURN),
            2 => shared.end(&process, CLOSE),
            _ => shared.stop(&process, Duration::from_millis(random.u64(50..200))),
        }
        // Until new tokens are stored, or the login turns out to be lost with the process.
        let until = Instant::now() + MAX_WAIT;
        while !shared.is_stored_after(before, Duration::from_millis(20)) {
            let is_lost =
                shared.killed.contains_key(&process) && shared.server.counters().refused_refreshes() > refused;
            if is_lost {
                logins += 1;
                log_in(&shared.server, &shared.folder).await;
            }
            if Instant::now() > until {
                shared.fail("no process stores new tokens");
            }
        }
        shared.replace_processes();
        if shared.running.len() < 4 {
            shared.start();
        }
    }
    let repeated = shared.assert_presented_once();
    assert!(logins <= repeated, "{logins} logins were lost, but only {repeated} tokens were presented again");
    while let Some((name, _)) = shared.running.first() {
        let name = name.clone();
        shared.end(&name, CLOSE);
    }
    let store = FileStore::new(shared.folder.path()).unwrap();
    let last = client(shared.server.base_url(), store, "last-process", stored());
    last.get_work_order().id("wo-10001").send().await.unwrap();
}
