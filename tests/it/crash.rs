//! Two real processes on one folder of tokens, one of which is killed again and again in the middle of a refresh.
//!
//! The processes are this test binary, started again for [one test of it](a_process_that_calls_until_it_is_killed). They
//! are told apart by their `User-Agent`, and killed by what the tenant sees, at moments that are random and seeded.

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

/// What a process is told when it is started: the tenant's address, the folder, and its name, a line each.
const ROLE: &str = "SERVICEBAY_TEST_CRASH_ROLE";
/// How long a token request takes.
const ANSWER: Duration = Duration::from_millis(40);
/// Within this after an answer it is read, and the pair is stored.
const STORING: Duration = Duration::from_millis(12);
/// How long anything may take that is waited for; nothing takes a part of it.
const PATIENCE: Duration = Duration::from_secs(60);

fn client(base_url: &str, folder: &str, name: &str) -> Client {
    Client::builder(Credentials::oauth_stored("test-application", "test-application-secret"))
        .with_base_url(base_url)
        .with_tenant("acme")
        .with_token_store(FileStore::new(folder).unwrap())
        .with_user_agent(name)
        .build()
        .unwrap()
}

/// What each of the two processes is. Without being told its role, as when all tests run, it is nothing.
#[tokio::test]
async fn a_process_that_calls_until_it_is_killed() {
    let Ok(role) = env::var(ROLE) else { return };
    let [base_url, folder, name] = role.lines().collect::<Vec<_>>().try_into().unwrap();
    // Whatever ends the test that started this process closes its input, and ends this too.
    thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    let client = client(base_url, folder, name);
    loop {
        match client.get_work_order().id("wo-10001").send().await {
            Ok(_) => {}
            // The tests end tokens faster than any vendor, and a client asks for only so many in a row; and they let
            // token requests fail.
            Err(Error::Server(_) | Error::Unauthorized(_)) => {}
            Err(error) => panic!("{error} {error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(4)).await;
    }
}

/// A token request that arrived.
#[derive(Clone, Debug)]
struct Arrival {
    from: String,
    at: Instant,
}

/// Sees token requests arrive, and leaves them to the tenant.
struct Watch(Sender<Arrival>);

impl Match for Watch {
    fn matches(&self, request: &Request) -> bool {
        if request.url.path() == "/oauth/token" {
            let agent = request.headers["user-agent"].to_str().unwrap();
            let from = agent.split(' ').next().unwrap().to_owned();
            // Nobody listens any more once a test is over.
            let _ = self.0.send(Arrival { from, at: Instant::now() });
        }
        false
    }
}

/// A tenant, a folder with tokens, and the processes that live on them.
struct Household {
    tenant: MockServer,
    folder: Folder,
    arrivals: Receiver<Arrival>,
    seen: Vec<Arrival>,
    running: Vec<(String, Child)>,
    killed: BTreeMap<String, Instant>,
}

impl Household {
    async fn new(tenant: MockServerBuilder) -> Self {
        let tenant = tenant.with_tier(Tier::Enterprise).start().await;
        let (sender, arrivals) = channel();
        let watch = Mock::given(Watch(sender)).respond_with(ResponseTemplate::new(500)).with_priority(1);
        tenant.server().unwrap().register(watch).await;

        let folder = Folder::new();
        let pair = tenant.sign_in(["read:work-orders"]);
        let tokens = TokenSet::new(pair.access_token).with_refresh_token(pair.refresh_token);
        let login = tenant
            .client_builder_with(Credentials::oauth("test-application", "test-application-secret", tokens))
            .with_tenant("acme")
            .with_token_store(FileStore::new(folder.path()).unwrap());
        login.build().unwrap().get_work_order().id("wo-10001").send().await.unwrap();

        let (seen, running, killed) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut household = Self { tenant, folder, arrivals, seen, running, killed };
        household.start();
        household.start();
        household
    }

    fn start(&mut self) {
        let name = format!("process-{}", self.running.len() + self.killed.len() + 1);
        let test = concat!(module_path!(), "::a_process_that_calls_until_it_is_killed");
        let (_, test) = test.split_once("::").unwrap();
        let folder = self.folder.path().to_str().unwrap();
        let child = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ROLE, format!("{}\n{folder}\n{name}", self.tenant.base_url()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        self.running.push((name, child));
    }

    /// Waits until a process asks for tokens that is still running, and tells the latest of them.
    fn asking(&mut self) -> Arrival {
        loop {
            let first = self.seen.len();
            match self.arrivals.recv_timeout(PATIENCE) {
                Ok(arrival) => self.seen.push(arrival),
                Err(error) => self.give_up(&format!("nobody asks for tokens: {error}")),
            }
            self.note_arrivals();
            let asking = self.seen[first..].iter().rev().find(|arrival| self.is_running(&arrival.from));
            if let Some(asking) = asking {
                return asking.clone();
            }
        }
    }

    fn note_arrivals(&mut self) {
        self.seen.extend(self.arrivals.try_iter());
    }

    fn is_running(&self, name: &str) -> bool {
        self.running.iter().any(|(running, _)| running == name)
    }

    /// Kills a process, and sees to it that it was this that ended it.
    fn kill(&mut self, name: &str) {
        let index = self.running.iter().position(|(running, _)| running == name).unwrap();
        let (name, mut child) = self.running.remove(index);
        self.killed.insert(name, Instant::now());
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), None, "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Waits until another pair than this generation is in the file.
    fn stored_after(&mut self, generation: u64) {
        let until = Instant::now() + PATIENCE;
        while self.folder.pair().generation() == generation {
            if Instant::now() > until {
                self.give_up("nobody stores a new pair");
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn give_up(&mut self, why: &str) -> ! {
        let ends = self.running.drain(..).map(|(name, mut child)| {
            let _ = child.kill();
            let output = child.wait_with_output().unwrap();
            format!("{name}: {} {}", output.status, String::from_utf8_lossy(&output.stderr))
        });
        panic!("{why}\n{}", ends.collect::<Vec<_>>().join("\n"));
    }

    /// That nobody asked for tokens while somebody else's request was under way, which takes `longest`.
    fn never_two_at_once(&mut self, longest: Duration) {
        self.note_arrivals();
        let is_killed = |name: &str, by: Instant| self.killed.get(name).is_some_and(|killed| *killed <= by);
        // What was still on its way when its process was killed counts for nobody.
        let lived: Vec<_> = self.seen.iter().filter(|arrival| !is_killed(&arrival.from, arrival.at)).collect();
        for pair in lived.windows(2) {
            let [one, next] = pair else { unreachable!("windows of two") };
            let is_over = one.at + longest <= next.at || is_killed(&one.from, next.at);
            assert!(is_over, "{one:?} was under way when {next:?} came");
        }
    }

    /// Kills who is left. Then whoever comes next can call and renew with what is in the file.
    async fn end(mut self) {
        while let Some((name, _)) = self.running.first() {
            let name = name.clone();
            self.kill(&name);
        }
        self.tenant.clear_faults();
        self.tenant.end_access_tokens();
        let before = self.folder.pair().generation();
        let client = client(self.tenant.base_url(), self.folder.path().to_str().unwrap(), "the-last");
        client.get_work_order().id("wo-10001").send().await.unwrap();
        assert!(self.folder.pair().generation() > before);
        let seen = self.tenant.counters();
        assert_eq!((seen.logins(), seen.refused_refreshes()), (0, 0), "{seen:?}");
    }
}

/// The tenant keeps refresh tokens as they are. Where a vendor replaces them, a process that dies between the vendor's
/// answer and its own disk takes the only refresh token with it, and no client can help that: see the next test for what
/// it can.
#[tokio::test]
async fn a_process_that_is_killed_in_the_middle_of_a_refresh_a_hundred_times_leaves_a_working_pair_each_time() {
    let mut household = Household::new(MockServer::builder().with_refresh_tokens(RefreshTokens::Repeated)).await;
    household.tenant.fault(Fault::delay(ANSWER).on("POST", "/oauth/token").always());
    let mut random = fastrand::Rng::with_seed(3);
    let mut unanswered = 0;
    for round in 0..100 {
        household.tenant.end_access_tokens();
        let asking = household.asking();
        // Half of them while the vendor has not answered, and half while the answer is read and stored.
        let moment = if round % 2 == 0 { ANSWER.mul_f64(random.f64()) } else { ANSWER + STORING.mul_f64(random.f64()) };
        thread::sleep((asking.at + moment).saturating_duration_since(Instant::now()));
        household.kill(&asking.from);
        unanswered += u32::from(household.killed[&asking.from] < asking.at + ANSWER);
        // Parsed, whole: whatever the moment was.
        assert!(household.folder.pair().refresh_token().is_some());
        household.start();
    }
    assert!(unanswered >= 10, "only {unanswered} were killed before they had their answer");
    assert!(household.folder.pair().generation() > 1, "none was killed after its pair was stored");
    household.never_two_at_once(ANSWER);
    household.end().await;
}

/// The tenant replaces every refresh token, and ends the login of one that is used twice. A process dies only while its
/// request is not handled, or when its pair is stored: then no pair may be lost, and none used twice.
#[tokio::test]
async fn a_process_that_is_killed_before_its_request_is_handled_or_after_its_pair_is_stored_loses_no_rotation() {
    let held = ANSWER * 2;
    let mut household = Household::new(MockServer::builder().with_refresh_tokens(RefreshTokens::Rotated)).await;
    let mut random = fastrand::Rng::with_seed(4);
    for round in 0..40 {
        household.note_arrivals();
        let before = household.folder.pair().generation();
        let is_held = round % 2 == 0;
        if is_held {
            household.tenant.fault(Fault::status(503).delayed(held).on("POST", "/oauth/token").always());
        }
        household.tenant.end_access_tokens();
        let asking = household.asking();
        let dies = if is_held {
            thread::sleep(held.mul_f64(random.f64()));
            household.kill(&asking.from);
            household.tenant.clear_faults();
            household.start();
            // One that has seen a token refused asks for no other so soon: make room for one that will.
            household.running[0].0.clone()
        } else {
            asking.from
        };
        household.stored_after(before);
        thread::sleep(STORING.mul_f64(random.f64()));
        household.kill(&dies);
        household.start();
    }
    let seen = household.tenant.counters();
    assert_eq!((seen.repeated_refreshes(), seen.refused_refreshes()), (0, 0), "{seen:?}");
    household.end().await;
}
