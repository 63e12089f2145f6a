//! Processes that share a login through a store, and a mock server that sees what each of them presents.
//!
//! The processes run the test binary with one of its tests, `a_process_that_calls_until_it_ends`, which calls
//! [`call_until_told_to_end`]. The mock server distinguishes them by their `User-Agent`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, Write as _};
use std::marker::PhantomData;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};

use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process};
use secrecy::ExposeSecret as _;
use servicebay::fentu::{Client, Credentials};
use servicebay::testing::Fault;
use servicebay::testing::fentu::{MockServer, RefreshTokens, Tier};
use servicebay::{CompareAndSwap, Error, Lease, StoreError, TokenKey, TokenSet, TokenStore};
use tokio::runtime::Handle;
use tokio::time::sleep;
use wiremock::{Match, Mock, Request, ResponseTemplate};

use crate::folder::Folder;
use crate::forward_to_store::forward_to_store;

/// The environment variable with the arguments of a process, one per line: the server's address, the folder, whether leases
/// expire, and the name of the process.
const ARGUMENTS: &str = "SERVICEBAY_TEST_CRASH_PROCESS";
/// What a process reads from its input to close its client and to return.
pub(crate) const CLOSE: &str = "close\n";
/// What a process reads from its input to return without closing its client.
pub(crate) const RETURN: &str = "return\n";
/// What a process writes before the number of its calls that timed out.
const TIMEOUTS: &str = "calls that timed out: ";
/// How long a call of a process may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_millis(250);
/// How long a process waits between two calls, so that the processes leave time to each other.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a lease lasts that expires.
pub(crate) const SHORT_LEASE: Duration = Duration::from_millis(500);
/// How long a token request takes.
pub(crate) const TOKEN_LATENCY: Duration = Duration::from_millis(40);
/// The longest time between a token response and the stored tokens.
pub(crate) const STORE_TIME: Duration = Duration::from_millis(12);
/// The longest wait for anything. Nothing takes close to this.
pub(crate) const MAX_WAIT: Duration = Duration::from_secs(60);

/// A store that processes can share through a folder.
pub(crate) trait SharedStore: TokenStore + Clone {
    /// Whether a lease ends before it is dropped.
    const LEASES_EXPIRE: bool = false;

    /// Opens the store in a folder, as each process does.
    fn open(folder: &Path) -> Self;

    /// Reads the tokens without the store; `None` if a process that writes them locks it. Fails the test if what is on the disk
    /// is damaged.
    fn tokens(folder: &Path) -> Option<TokenSet>;
}

fn client(base_url: &str, store: impl TokenStore, name: &str, credentials: Credentials, timeout: Duration) -> Client {
    Client::builder(credentials)
        .with_base_url(base_url)
        .with_tenant("acme")
        .with_token_store(store)
        .with_user_agent(name)
        .with_operation_timeout(timeout)
        .build()
        .unwrap()
}

fn stored() -> Credentials {
    Credentials::oauth_stored("test-application", "test-application-secret")
}

/// Runs one of the processes. In a normal test run, without arguments, it does nothing.
#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the test that starts this process reads its output")]
pub(crate) async fn call_until_told_to_end<S: SharedStore>() {
    let Ok(arguments) = env::var(ARGUMENTS) else { return };
    let [base_url, folder, leases_expire, name] = arguments.lines().collect::<Vec<_>>().try_into().unwrap();
    let store = S::open(Path::new(folder));
    let client = match leases_expire {
        "true" => client(base_url, ExpiringLeases(store), name, stored(), CALL_TIMEOUT),
        _ => client(base_url, store, name, stored(), CALL_TIMEOUT),
    };
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
    let (mut timeouts, mut last_error) = (0, String::new());
    while !is_over.load(Ordering::SeqCst) {
        let started = Instant::now();
        let result = client.get_work_order().id("wo-10001").send().await;
        // For a test that fails.
        let error = result.as_ref().err().map(Error::to_string).unwrap_or_default();
        if error != last_error {
            eprintln!("{:?} {error}", Instant::now());
            last_error = error;
        }
        match result {
            Ok(_) => {}
            // Another process is stopped and keeps this one waiting, or the machine is too busy to connect in time.
            Err(Error::Timeout(_) | Error::Connect(_)) => timeouts += 1,
            // The tests expire tokens faster than any vendor, so that the client backs off, and they make token requests
            // fail.
            Err(Error::Server(_) | Error::Unauthorized(_)) => {}
            // A process that was killed between the vendor's response and the disk took the login with it.
            Err(Error::ReauthRequired(_) | Error::Store(_)) => {}
            Err(error) => panic!("{error} {error:?}"),
        }
        // This process may have been stopped meanwhile.
        assert!(started.elapsed() < MAX_WAIT / 2, "a call took {:?}", started.elapsed());
        sleep(PAUSE).await;
    }
    if closes.load(Ordering::SeqCst) {
        client.close().await.unwrap();
    }
    println!("{TIMEOUTS}{timeouts}");
}

/// A store whose leases expire, as those of a database do that has no locks: a lease is a record beside the tokens.
#[derive(Clone, Debug)]
pub(crate) struct ExpiringLeases<S>(S);

impl<S: SharedStore> SharedStore for ExpiringLeases<S> {
    const LEASES_EXPIRE: bool = true;

    fn open(folder: &Path) -> Self {
        Self(S::open(folder))
    }

    fn tokens(folder: &Path) -> Option<TokenSet> {
        S::tokens(folder)
    }
}

impl<S: SharedStore> TokenStore for ExpiringLeases<S> {
    forward_to_store!(0: load, compare_and_swap, remove);

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

struct HeldLease<S: SharedStore> {
    store: S,
    key: TokenKey,
    revision: u64,
}

impl<S: SharedStore> Drop for HeldLease<S> {
    fn drop(&mut self) {
        let (store, key, revision) = (self.store.clone(), self.key.clone(), self.revision);
        if let Ok(runtime) = Handle::try_current() {
            // A conflict means that it has expired and another process holds it. An error means that it will expire.
            runtime.spawn(async move { drop(store.compare_and_swap(&key, revision, &lease_record(None)).await) });
        }
    }
}

/// A token request that arrived.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) process: String,
    pub(crate) at: Instant,
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

/// The end of a process that did not close its client.
#[derive(Debug)]
struct Death {
    /// No later than its last moment.
    at: Instant,
    /// The refresh token in the store after it.
    left: Option<String>,
}

/// A mock server, a folder with tokens, and the processes that share them.
pub(crate) struct SharedLogin<S> {
    pub(crate) server: MockServer,
    folder: Folder,
    arrivals: Mutex<Receiver<Arrival>>,
    recorded: Vec<Arrival>,
    running: Vec<(String, Child)>,
    processes: usize,
    started: usize,
    /// The processes that ended without closing their client.
    deaths: BTreeMap<String, Death>,
    /// What was done to which process, and when.
    actions: Mutex<Vec<(Instant, String)>>,
    /// How many calls of the processes that ended by themselves timed out.
    pub(crate) timeouts: u64,
    store: PhantomData<S>,
}

impl<S: SharedStore> SharedLogin<S> {
    /// A login at a new server, and this many processes that share it. Token requests take [`TOKEN_LATENCY`].
    pub(crate) async fn new(tokens: RefreshTokens, processes: usize) -> Self {
        let server = MockServer::builder().with_refresh_tokens(tokens).with_tier(Tier::Enterprise).start().await;
        let (sender, arrivals) = channel();
        let recorder =
            Mock::given(TokenRequestRecorder(sender)).respond_with(ResponseTemplate::new(500)).with_priority(1);
        server.server().unwrap().register(recorder).await;
        server.fault(Fault::delay(TOKEN_LATENCY).on("POST", "/oauth/token").always());

        let mut shared = Self {
            server,
            folder: Folder::new(),
            arrivals: Mutex::new(arrivals),
            recorded: Vec::new(),
            running: Vec::new(),
            processes,
            started: 0,
            deaths: BTreeMap::new(),
            actions: Mutex::default(),
            timeouts: 0,
            store: PhantomData,
        };
        shared.log_in().await;
        shared.start_missing();
        shared
    }

    /// Logs in, as a person does, and stores the tokens.
    pub(crate) async fn log_in(&self) {
        let pair = self.server.sign_in(["read:work-orders"]);
        let tokens =
            TokenSet::new(pair.access_token).with_refresh_token(pair.refresh_token).with_obtained_at(Timestamp::now());
        let credentials = Credentials::oauth("test-application", "test-application-secret", tokens);
        let store = S::open(self.folder.path());
        let login = client(self.server.base_url(), store, "login", credentials, MAX_WAIT);
        login.get_work_order().id("wo-10001").send().await.unwrap();
        login.close().await.unwrap();
        self.log("a person has logged in".to_owned());
    }

    /// Starts a process in place of each one that has ended.
    pub(crate) fn start_missing(&mut self) {
        while self.running.len() < self.processes {
            self.start();
        }
    }

    fn start(&mut self) {
        self.started += 1;
        let name = format!("process-{}", self.started);
        // The test is in the parent of this module, and libtest leaves out the name of the crate.
        let modules: Vec<_> = module_path!().split("::").collect();
        let test = [&modules[1..modules.len() - 1], &["a_process_that_calls_until_it_ends"]].concat().join("::");
        let folder = self.folder.path().to_str().unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args([&*test, "--exact", "--nocapture"])
            .env(ARGUMENTS, format!("{}\n{folder}\n{}\n{name}", self.server.base_url(), S::LEASES_EXPIRE))
            // To read all certificates of the machine takes most of the start, and the server has none.
            .env("SSL_CERT_FILE", "/dev/null")
            .env("SSL_CERT_DIR", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.running.push((name, child));
    }

    /// Waits until a running process makes a token request, and returns the latest one.
    pub(crate) fn next_token_request(&mut self) -> Arrival {
        loop {
            let first = self.recorded.len();
            match self.arrivals.get_mut().unwrap().recv_timeout(MAX_WAIT) {
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

    pub(crate) fn record_arrivals(&mut self) {
        self.recorded.extend(self.arrivals.get_mut().unwrap().try_iter());
    }

    fn is_running(&self, name: &str) -> bool {
        self.running.iter().any(|(running, _)| running == name)
    }

    /// Whether a process ended without closing its client.
    pub(crate) fn is_dead(&self, name: &str) -> bool {
        self.deaths.contains_key(name)
    }

    /// When a process ended without closing its client.
    pub(crate) fn died_at(&self, name: &str) -> Instant {
        self.deaths[name].at
    }

    /// Takes a process out of the running ones.
    fn take(&mut self, name: &str) -> Child {
        let index = self.running.iter().position(|(running, _)| running == name).unwrap();
        self.running.remove(index).1
    }

    fn log(&self, action: String) {
        self.actions.lock().unwrap().push((Instant::now(), action));
    }

    pub(crate) fn random_process(&self, random: &mut fastrand::Rng) -> String {
        self.running[random.usize(..self.running.len())].0.clone()
    }

    /// The process that has run for the longest time.
    pub(crate) fn oldest_process(&self) -> String {
        self.running[0].0.clone()
    }

    /// Lets a process end by itself, and waits until it has.
    pub(crate) fn end(&mut self, name: &str, how: &str) {
        self.log(format!("{name} is told to {}", how.trim()));
        let at = Instant::now();
        let child = self.take(name);
        self.end_all(vec![(name.to_owned(), child)], how);
        if how == RETURN {
            self.record_death(name, at);
        }
    }

    /// Lets the running processes end by themselves at the same time, and waits until they have.
    pub(crate) fn close_all(&mut self) {
        self.log("all are told to close".to_owned());
        let running = std::mem::take(&mut self.running);
        self.end_all(running, CLOSE);
    }

    /// Replaces the running processes by new ones. A process whose tokens are refused again and again, as in these tests,
    /// makes its next token request later each time.
    pub(crate) fn replace_all(&mut self) {
        self.close_all();
        self.start_missing();
    }

    fn end_all(&mut self, mut processes: Vec<(String, Child)>, how: &str) {
        for (_, child) in &mut processes {
            // A process that has failed reads nothing any more. Its output says why.
            let _ = child.stdin.as_mut().unwrap().write_all(how.as_bytes());
        }
        for (name, child) in processes {
            let output = self.wait(&name, child);
            self.log(format!("{name} has ended"));
            assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
            let output = String::from_utf8_lossy(&output.stdout);
            let timeouts = output.lines().find_map(|line| Some(line.split_once(TIMEOUTS)?.1));
            self.timeouts += timeouts.unwrap().parse::<u64>().unwrap();
        }
    }

    /// Waits until a process ends, for a limited time.
    fn wait(&mut self, name: &str, mut child: Child) -> Output {
        let until = Instant::now() + MAX_WAIT;
        while child.try_wait().unwrap().is_none() {
            if Instant::now() > until {
                self.running.push((name.to_owned(), child));
                self.fail(&format!("{name} does not end"));
            }
            thread::sleep(Duration::from_millis(1));
        }
        child.wait_with_output().unwrap()
    }

    /// Stops a process, as a suspended machine or container does.
    pub(crate) fn stop(&self, name: &str) {
        let (_, child) = self.running.iter().find(|(running, _)| running == name).unwrap();
        kill_process(Pid::from_child(child), Signal::STOP).unwrap();
        self.log(format!("{name} is stopped"));
    }

    /// Lets a process go on that was stopped.
    pub(crate) fn resume(&self, name: &str) {
        let (_, child) = self.running.iter().find(|(running, _)| running == name).unwrap();
        kill_process(Pid::from_child(child), Signal::CONT).unwrap();
        self.log(format!("{name} continues"));
    }

    pub(crate) fn stop_for(&self, name: &str, duration: Duration) {
        self.stop(name);
        thread::sleep(duration);
        self.resume(name);
    }

    /// Kills a process, and checks that it was still running and that it left a store that can be read.
    pub(crate) fn kill(&mut self, name: &str) {
        self.log(format!("{name} is killed"));
        let at = Instant::now();
        let mut child = self.take(name);
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
        self.record_death(name, at);
    }

    fn record_death(&mut self, name: &str, at: Instant) {
        let left = self.tokens().refresh_token().map(|token| token.expose_secret().to_owned());
        self.deaths.insert(name.to_owned(), Death { at, left });
    }

    /// The tokens in the store.
    pub(crate) fn tokens(&self) -> TokenSet {
        self.tokens_if_readable().expect("no process keeps the store locked")
    }

    /// The tokens in the store, unless a process was stopped while it wrote them.
    pub(crate) fn tokens_if_readable(&self) -> Option<TokenSet> {
        S::tokens(self.folder.path())
    }

    /// Waits until the store has tokens of another generation than this; returns whether it has within `longest`.
    pub(crate) fn is_stored_after(&self, generation: u64, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        while self.tokens().generation() == generation {
            if Instant::now() > until {
                return false;
            }
            thread::sleep(Duration::from_millis(2));
        }
        true
    }

    /// Waits until the store has tokens of another generation than this.
    pub(crate) fn wait_until_stored_after(&mut self, generation: u64) {
        if !self.is_stored_after(generation, MAX_WAIT) {
            self.fail("no process stores new tokens");
        }
    }

    pub(crate) fn fail(&mut self, reason: &str) -> ! {
        let running = std::mem::take(&mut self.running);
        let outputs = running.into_iter().map(|(name, mut child)| {
            let _ = child.kill();
            let output = child.wait_with_output().unwrap();
            format!("{name}: {} {}", output.status, String::from_utf8_lossy(&output.stderr))
        });
        let outputs = outputs.collect::<Vec<_>>().join("\n");
        self.record_arrivals();
        let actions = self.actions.lock().unwrap();
        let latest = &actions[actions.len().saturating_sub(10)..];
        let arrivals = &self.recorded[self.recorded.len().saturating_sub(5)..];
        let (tokens, now) = (self.tokens(), Instant::now());
        panic!("{reason}\n{outputs}\nat {now:?}, with {tokens:?}, after {latest:?} and {arrivals:?}");
    }

    /// Checks that no process made a token request while another's was in flight, which takes at least [`TOKEN_LATENCY`].
    pub(crate) fn assert_one_at_a_time(&mut self) {
        self.record_arrivals();
        let is_dead = |name: &str, by: Instant| self.deaths.get(name).is_some_and(|death| death.at <= by);
        // A request that arrived after its process was killed does not count.
        let requests: Vec<_> = self.recorded.iter().filter(|arrival| !is_dead(&arrival.process, arrival.at)).collect();
        for pair in requests.windows(2) {
            let [one, next] = pair else { unreachable!("windows of two") };
            let is_over = one.at + TOKEN_LATENCY <= next.at || is_dead(&one.process, next.at);
            assert!(is_over, "{one:?} was in flight when {next:?} arrived");
        }
    }

    /// Checks that a refresh token was presented again only if its presenter ended without storing what replaced it. If the
    /// vendor had replaced it, it refuses it then, once to each process. Returns how many tokens were presented again.
    pub(crate) fn assert_presented_once(&mut self) -> usize {
        self.record_arrivals();
        let mut presented: BTreeMap<&str, Vec<&Arrival>> = BTreeMap::new();
        for arrival in &self.recorded {
            presented.entry(&arrival.refresh_token).or_default().push(arrival);
        }
        presented.retain(|_, arrivals| arrivals.len() > 1);
        for (token, arrivals) in &presented {
            let processes: BTreeSet<_> = arrivals.iter().map(|arrival| &arrival.process).collect();
            let is_unknowable = self
                .deaths
                .get(&arrivals[0].process)
                .is_some_and(|death| death.at <= arrivals[1].at && death.left.as_deref() == Some(*token));
            let actions = self.actions.lock().unwrap();
            let actions: Vec<_> =
                actions.iter().filter(|(at, _)| *at + MAX_WAIT / 60 > arrivals[0].at).take(20).collect();
            assert!(
                is_unknowable && processes.len() == arrivals.len(),
                "{arrivals:?}, with these actions: {actions:?}, and these deaths: {:?}",
                self.deaths
            );
        }
        presented.len()
    }

    /// Kills the running processes, and checks that a new one can refresh and call with the tokens that they left, and that no
    /// refresh token was ever refused.
    pub(crate) async fn finish(mut self) {
        while let Some((name, _)) = self.running.first() {
            let name = name.clone();
            self.kill(&name);
        }
        self.server.clear_faults();
        self.server.end_access_tokens();
        let before = self.tokens().generation();
        self.call_once().await;
        assert!(self.tokens().generation() > before);
        let counters = self.server.counters();
        assert_eq!((counters.logins(), counters.refused_refreshes()), (0, 0), "{counters:?}");
    }

    /// Checks that a new process can call with the tokens in the store.
    pub(crate) async fn call_once(&self) {
        let store = S::open(self.folder.path());
        let client = client(self.server.base_url(), store, "last-process", stored(), MAX_WAIT);
        client.get_work_order().id("wo-10001").send().await.unwrap();
        client.close().await.unwrap();
    }
}

impl<S> Drop for SharedLogin<S> {
    fn drop(&mut self) {
        // A process that is stopped does not notice that its input has ended.
        for (_, child) in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
