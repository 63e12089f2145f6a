//! Two real processes share a folder of tokens, and one of them is killed again and again during a refresh.
//!
//! The processes run this test binary with [one of its tests](a_process_that_calls_until_it_is_killed). The mock server
//! distinguishes them by their `User-Agent`. They are killed at random, seeded times after a token request arrives.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};
use std::{env, io, process, thread};

use servicebay::fentu::{Client, Credentials};
use servicebay::testing::Fault;
use servicebay::testing::fentu::{MockServer, MockServerBuilder, RefreshTokens, Tier};
use servicebay::{Error, FileStore, TokenSet};
use wiremock::{Match, Mock, Request, ResponseTemplate};

use crate::folder::Folder;

/// The environment variable with the arguments of a process, one per line: the server's address, the folder and its name.
const ARGUMENTS: &str = "SERVICEBAY_TEST_CRASH_PROCESS";
/// How long a token request takes.
const TOKEN_LATENCY: Duration = Duration::from_millis(40);
/// The longest time between a token response and the stored tokens.
const STORE_TIME: Duration = Duration::from_millis(12);
/// The longest wait for anything. Nothing takes close to this.
const MAX_WAIT: Duration = Duration::from_secs(60);

fn client(base_url: &str, folder: &str, name: &str) -> Client {
    Client::builder(Credentials::oauth_stored("test-application", "test-application-secret"))
        .with_base_url(base_url)
        .with_tenant("acme")
        .with_token_store(FileStore::new(folder).unwrap())
        .with_user_agent(name)
        .build()
        .unwrap()
}

/// The test that each of the two processes runs. In a normal test run, without arguments, it does nothing.
#[tokio::test]
async fn a_process_that_calls_until_it_is_killed() {
    let Ok(arguments) = env::var(ARGUMENTS) else { return };
    let [base_url, folder, name] = arguments.lines().collect::<Vec<_>>().try_into().unwrap();
    // When the test that started this process ends, in whatever way, its input is closed, and this process ends too.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    let client = client(base_url, folder, name);
    loop {
        match client.get_work_order().id("wo-10001").send().await {
            Ok(_) => {}
            // The tests expire tokens faster than any vendor, so that the client backs off, and they make token requests
            // fail.
            Err(Error::Server(_) | Error::Unauthorized(_)) => {}
            Err(error) => panic!("{error} {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
}

/// A token request that arrived.
#[derive(Clone, Debug)]
struct Arrival {
    process: String,
    at: Instant,
}

/// Records token requests, and leaves the response to the mock server.
struct TokenRequestRecorder(Sender<Arrival>);

impl Match for TokenRequestRecorder {
    fn matches(&self, request: &Request) -> bool {
        if request.url.path() == "/oauth/token" {
            let agent = request.headers["user-agent"].to_str().unwrap();
            let process = agent.split(' ').next().unwrap().to_owned();
            // The receiver is gone after the test.
            let _ = self.0.send(Arrival { process, at: Instant::now() });
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
    killed: BTreeMap<String, Instant>,
}

impl SharedFolder {
    async fn new(server: MockServerBuilder) -> Self {
        let server = server.with_tier(Tier::Enterprise).start().await;
        let (sender, arrivals) = channel();
        let recorder =
            Mock::given(TokenRequestRecorder(sender)).respond_with(ResponseTemplate::new(500)).with_priority(1);
        server.server().unwrap().register(recorder).await;

        let folder = Folder::new();
        let pair = server.sign_in(["read:work-orders"]);
        let tokens = TokenSet::new(pair.access_token).with_refresh_token(pair.refresh_token);
        let login = server
            .client_builder_with(Credentials::oauth("test-application", "test-application-secret", tokens))
            .with_tenant("acme")
            .with_token_store(FileStore::new(folder.path()).unwrap());
        login.build().unwrap().get_work_order().id("wo-10001").send().await.unwrap();

        let (recorded, running, killed) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut shared = Self { server, folder, arrivals, recorded, running, killed };
        shared.start();
        shared.start();
        shared
    }

    fn start(&mut self) {
        let name = format!("process-{}", self.running.len() + self.killed.len() + 1);
        let test = concat!(module_path!(), "::a_process_that_calls_until_it_is_killed");
        let (_, test) = test.split_once("::").unwrap();
        let folder = self.folder.path().to_str().unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ARGUMENTS, format!("{}\n{folder}\n{name}", self.server.base_url()))
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

    /// Kills a process, and checks that it was still running.
    fn kill(&mut self, name: &str) {
        let index = self.running.iter().position(|(running, _)| running == name).unwrap();
        let (name, mut child) = self.running.remove(index);
        self.killed.insert(name, Instant::now());
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Waits until the file has tokens of another generation than this.
    fn wait_until_stored_after(&mut self, generation: u64) {
        let until = Instant::now() + MAX_WAIT;
        while self.folder.tokens().generation() == generation {
            if Instant::now() > until {
                self.fail("no process stores new tokens");
            }
            thread::sleep(Duration::from_millis(1));
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

    /// Kills the running processes, and checks that a new one can refresh and call with the tokens in the file.
    async fn finish(mut self) {
        while let Some((name, _)) = self.running.first() {
            let name = name.clone();
            self.kill(&name);
        }
        self.server.clear_faults();
        self.server.end_access_tokens();
        let before = self.folder.tokens().generation();
        let client = client(self.server.base_url(), self.folder.path().to_str().unwrap(), "last-process");
        client.get_work_order().id("wo-10001").send().await.unwrap();
        assert!(self.folder.tokens().generation() > before);
        let counters = self.server.counters();
        assert_eq!((counters.logins(), counters.refused_refreshes()), (0, 0), "{counters:?}");
    }
}

/// The server does not rotate refresh tokens. With rotation, a process that is killed between the vendor's response and
/// writing to disk loses the only refresh token, which no client can prevent; the next test covers what a client can.
#[tokio::test]
async fn a_process_killed_during_a_refresh_leaves_working_tokens_a_hundred_times() {
    let mut shared = SharedFolder::new(MockServer::builder().with_refresh_tokens(RefreshTokens::Repeated)).await;
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
        assert!(shared.folder.tokens().refresh_token().is_some());
        shared.start();
    }
    assert!(killed_early >= 10, "only {killed_early} were killed before they had a response");
    assert!(shared.folder.tokens().generation() > 1, "none was killed after its tokens were stored");
    shared.assert_one_at_a_time(TOKEN_LATENCY);
    shared.finish().await;
}

/// The server rotates refresh tokens, and revokes the login if one is used twice. Processes are killed only before their
/// request is handled or after their tokens are stored, so that no tokens may be lost and none used twice.
#[tokio::test]
async fn a_process_killed_before_its_refresh_is_handled_or_after_its_tokens_are_stored_loses_no_tokens() {
    let delay = TOKEN_LATENCY * 2;
    let mut shared = SharedFolder::new(MockServer::builder().with_refresh_tokens(RefreshTokens::Rotated)).await;
    let mut random = fastrand::Rng::with_seed(4);
    for round in 0..40 {
        shared.record_arrivals();
        let before = shared.folder.tokens().generation();
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
    shared.finish().await;
}
