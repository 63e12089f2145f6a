//! The simulation of one month: its processes, and the events that a seed schedules.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use servicebay::TokenSet;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::conditions::{Conditions, Unkind};
use super::flaky_transport::FlakyTransport;
use super::host::{Host, Outage, OutageKind, PassingRefusal, ProcessId};
use super::invariants::{CompletedCall, EventCounts, USER};
use super::test_store::{StoreFault, StoreOperation, StorePhase, TestStore};
use super::vendor::{AnyClient, Vendor};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Just short of the 30 days after which a refresh token that is not rotated expires.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600 - 2 * 3600);
/// How long a process that is kept alive is idle afterwards: longer than the lifetime of any refresh token.
const AFTERMATH: Duration = Duration::from_secs(40 * 24 * 3600);

/// Within this time after everything works again, calls succeed.
const RECOVERY: Duration = Duration::from_secs(360);
/// A machine that sleeps at night is awake for this long, and then sleeps.
const DAYTIME: Duration = Duration::from_secs(8 * 3600);
const NIGHT: Duration = Duration::from_secs(16 * 3600);
/// The most processes at one time.
const MAX_PROCESSES: usize = 4;

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    Burst(u32),
    /// All callers give up at the same time.
    CancelAll,
    RevokeAccessTokens,
    RevokeLogins,
    Jump,
    Kill,
    LogIn,
    Outage,
    /// The store goes wrong for minutes or hours.
    StorePhase,
    /// The stored tokens are removed.
    ClearStore,
    /// A process returns from `main`, whatever is under way.
    Exit,
    /// A process ends its runtime, and uses the client again in the next one.
    RuntimeEnd,
    /// A process drops its client and makes another, while its runtime goes on.
    DropClient,
    /// The machine sleeps.
    Sleep(Duration),
    /// A user logs in through a new process, beside those that run.
    LogInBeside,
}

/// A program that uses the client.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) id: ProcessId,
    pub(super) client: AnyClient,
    transport: FlakyTransport,
    store: TestStore,
    callers: Vec<JoinHandle<()>>,
    keep_alive_task: Option<JoinHandle<()>>,
}

#[derive(Debug)]
pub(super) struct Simulation {
    vendor: Vendor,
    seed: u64,
    rng: Rng,
    conditions: Conditions,
    started: Instant,
    /// The day on which a week without calls begins.
    idle_week: u32,
    pub(super) host: Arc<Host>,
    pub(super) processes: Vec<Process>,
    last_process: ProcessId,
    passed_in: Option<TokenSet>,
    schedule: BTreeMap<(Duration, usize), Event>,
    scheduled: usize,
    next_login: Option<Duration>,
}

/// Simulates the month of a seed, and returns how many events of each kind happened.
///
/// # Panics
///
/// At the first violation of an invariant, with the seed, the time and the history.
pub(super) fn simulate(vendor: Vendor, seed: u64) -> EventCounts {
    // The client's own jitter comes from here.
    fastrand::seed(seed);
    run_paused(async {
        let mut rng = Rng::with_seed(seed);
        let conditions = Conditions::of(vendor, &mut rng);
        let mut simulation = Box::pin(Simulation::new(vendor, seed, conditions, rng)).await;
        simulation.schedule_all();
        Box::pin(simulation.run()).await;
        simulation.host.invariants().counts()
    })
}

/// Runs a future on a paused clock.
pub(super) fn run_paused<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(future)
}

impl Simulation {
    /// A simulation without events.
    pub(super) async fn new(vendor: Vendor, seed: u64, conditions: Conditions, mut rng: Rng) -> Self {
        let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let host = Host::new(vendor, start, rng.fork(), conditions.is_mild());
        let processes = conditions.processes;
        let mut simulation = Self {
            vendor,
            seed,
            conditions,
            started: Instant::now(),
            idle_week: rng.u32(2..21),
            host,
            processes: Vec::new(),
            last_process: USER,
            passed_in: None,
            schedule: BTreeMap::new(),
            scheduled: 0,
            next_login: None,
            rng,
        };
        simulation.passed_in = simulation.host.server.log_in(FlakyTransport::new(USER, &simulation.host)).await;
        for _ in 0..processes {
            simulation.start_process();
        }
        simulation
    }

    /// Schedules every event that does not depend on another one.
    fn schedule_all(&mut self) {
        for day in 0..30 {
            let is_idle = (self.idle_week..self.idle_week + 7).contains(&day);
            let bursts = match day % 7 {
                _ if is_idle => 0,
                5 | 6 => self.rng.u32(..2),
                _ => self.rng.u32(2..7),
            };
            for _ in 0..bursts {
                let at = DAY * day + HOUR.mul_f64(7.0 + 12.0 * self.rng.f64());
                let callers = self.rng.u32(1..13);
                self.schedule_event(at, Event::Burst(callers));
            }
            if !is_idle && self.rng.u32(..4) == 0 {
                let at = DAY * day + HOUR.mul_f64(5.0 * self.rng.f64());
                self.schedule_event(at, Event::Burst(1));
            }
        }
        let Conditions { outages, jumps, revocations, login_revocations, kills, .. } = self.conditions;
        for (count, event) in self.conditions.unkind_events() {
            for _ in 0..count {
                let at = (MONTH - DAY).mul_f64(self.rng.f64());
                let event = if matches!(event, Event::Sleep(_)) { self.any_sleep() } else { event };
                self.schedule_event(at, event);
            }
        }
        if self.conditions.has(Unkind::SleepsAtNight) {
            for night in 1..MONTH.div_duration_f64(DAYTIME) as u32 {
                self.schedule_event(DAYTIME * night, Event::Sleep(NIGHT));
            }
        }
        let sudden = [
            (outages, Event::Outage),
            (jumps, Event::Jump),
            (revocations, Event::RevokeAccessTokens),
            (login_revocations, Event::RevokeLogins),
            (kills, Event::Kill),
        ];
        for (count, event) in sudden {
            for _ in 0..count {
                let at = (MONTH - DAY).mul_f64(self.rng.f64());
                self.schedule_event(at, event);
            }
        }
    }

    fn schedule_event(&mut self, at: Duration, event: Event) {
        self.scheduled += 1;
        self.schedule.insert((at, self.scheduled), event);
    }

    async fn run(&mut self) {
        while let Some(((at, _), event)) = self.schedule.pop_first() {
            if at >= MONTH {
                break;
            }
            self.sleep_until(self.started + at).await;
            self.check();
            self.apply(at, event).await;
            self.check();
        }
        self.check_end_of_month().await;
    }

    /// A sleep of minutes to days.
    fn any_sleep(&mut self) -> Event {
        Event::Sleep((60 * SECOND).mul_f64(4320_f64.powf(self.rng.f64())))
    }

    /// Lets time pass, or stops at a violation.
    pub(super) async fn sleep_until(&self, time: Instant) {
        let violation_notify = self.host.invariants().violation_notify();
        if timeout_at(time, violation_notify.notified()).await.is_ok() {
            self.check();
        }
    }

    pub(super) async fn apply(&mut self, at: Duration, event: Event) {
        if !matches!(event, Event::Burst(_)) {
            self.host.invariants().note(format_args!("event: {event:?}"));
        }
        match event {
            Event::Burst(callers) => self.burst(at, callers),
            Event::CancelAll => {
                for process in &mut self.processes {
                    process.callers.drain(..).for_each(|caller| caller.abort());
                }
            }
            Event::RevokeAccessTokens => {
                self.host.server.end_access_tokens();
                self.host.invariants().record_access_tokens_revoked();
            }
            Event::RevokeLogins => {
                self.host.server.revoke_all();
                self.host.invariants().record_logins_revoked();
            }
            Event::Jump => self.set_clock(),
            Event::Kill => self.kill(at),
            Event::LogIn if self.conditions.has(Unkind::LogsInBeside) => self.log_in_beside().await,
            Event::LogIn => self.log_in().await,
            Event::Outage => self.outage(at),
            Event::StorePhase => self.store_phase(at),
            Event::ClearStore => self.host.clear_store(),
            Event::Exit => {
                let index = self.rng.usize(..self.processes.len());
                self.exit_process(index);
                self.start_process();
            }
            Event::RuntimeEnd => {
                let index = self.rng.usize(..self.processes.len());
                self.end_runtime(index);
            }
            Event::DropClient => {
                let index = self.rng.usize(..self.processes.len());
                self.drop_client(index);
                self.start_process();
            }
            Event::Sleep(time) => self.host.sleep_machine(time),
            Event::LogInBeside => self.log_in_beside().await,
        }
        let login_required = self.host.invariants().login_required_since();
        if let Some(since) = login_required.filter(|_| self.next_login.is_none()) {
            let time = (since - self.started).max(at) + HOUR.mul_f64(0.2 + 8.0 * self.rng.f64());
            self.next_login = Some(time);
            self.schedule_event(time, Event::LogIn);
        }
    }

    /// Callers that start at about the same time.
    fn burst(&mut self, at: Duration, callers: u32) {
        let spread = self.rng.choice([Duration::ZERO, SECOND, 20 * SECOND]).unwrap_or_default();
        for _ in 0..callers {
            let after = spread.mul_f64(self.rng.f64());
            let max_wait = self.rng.choice([0, 1, 10, 60, 120, 120]).unwrap_or_default() * SECOND;
            let gives_up = self.rng.f64() < self.conditions.give_up_share;
            let gives_up_after = gives_up.then(|| (3 * SECOND).mul_f64(self.rng.f64()));
            let index = self.rng.usize(..self.processes.len());
            let process = &mut self.processes[index];
            let (host, client, id) = (Arc::clone(&self.host), process.client.clone(), process.id);
            process.callers.retain(|caller| !caller.is_finished());
            process.callers.push(tokio::spawn(async move {
                tokio::time::sleep(after).await;
                call(&host, id, &client, max_wait, gives_up_after).await;
            }));
        }
        if self.rng.u32(..5) < 2 {
            self.schedule_around_expiry(at);
        }
    }

    /// Schedules a burst for about when the token becomes stale or expires, perhaps with another event.
    fn schedule_around_expiry(&mut self, at: Duration) {
        let Some(expires_at) = self.host.invariants().newest_expires_at() else { return };
        let lifetime = self.host.rules.access;
        let before = match self.rng.u32(..4) {
            0 => (lifetime / 5).min(5 * HOUR).mul_f64(self.rng.f64()),
            1 => SECOND.mul_f64(29.5 + self.rng.f64()),
            _ => (35 * SECOND).mul_f64(self.rng.f64()),
        };
        let time = expires_at.saturating_duration_since(self.started).saturating_sub(before);
        let idle_week = DAY * self.idle_week..DAY * (self.idle_week + 7);
        if time <= at || idle_week.contains(&time) {
            return;
        }
        let callers = self.rng.u32(1..13);
        self.schedule_event(time, Event::Burst(callers));
        if self.rng.bool()
            && let Some(event) = self.rng.choice(self.conditions.unkind_events()).map(|(_, event)| event)
        {
            let event = if matches!(event, Event::Sleep(_)) { self.any_sleep() } else { event };
            let after = (4 * SECOND).mul_f64(self.rng.f64());
            match event {
                Event::Outage | Event::StorePhase => self.schedule_event(time.saturating_sub(SECOND), event),
                Event::DropClient => {
                    let from = self.started + time - SECOND;
                    self.host.store.add_phase(StorePhase {
                        from,
                        until: from + 60 * SECOND,
                        operation: StoreOperation::Write,
                        fault: StoreFault::Fails,
                        share: 1.0,
                    });
                    self.schedule_event(time + after * 2, event);
                }
                _ => self.schedule_event(time + after, event),
            }
            return;
        }
        let event = match self.rng.u32(..12) {
            0..=3 => Event::CancelAll,
            4 if self.conditions.kills > 0 => Event::Kill,
            5 if self.conditions.jumps > 0 => Event::Jump,
            6 if self.conditions.outages > 0 => {
                return self.schedule_event(time.saturating_sub(HOUR / 2), Event::Outage);
            }
            _ => return,
        };
        let after = (4 * SECOND).mul_f64(self.rng.f64());
        self.schedule_event(time + after, event);
    }

    fn outage(&mut self, at: Duration) {
        let mut kinds =
            vec![OutageKind::Mixed, OutageKind::Mixed, OutageKind::Dropped, OutageKind::Html, OutageKind::Status];
        kinds.extend([OutageKind::NoResponse, OutageKind::RetryAfter]);
        // If refresh tokens rotate and only the user can log in, a lost response is a lost login.
        if self.conditions.may_lose_logins || !self.host.rules.rotates {
            kinds.push(OutageKind::LostResponse);
        }
        let mut length = HOUR;
        if !self.conditions.is_mild() {
            let unkind = self.unkind_outages();
            if !unkind.is_empty() {
                kinds = unkind;
            }
            length = self.minutes_to_hours();
        }
        let kind = self.rng.choice(kinds).unwrap_or(OutageKind::Mixed);
        let from = self.started + at;
        // The last day has no outage.
        if at < MONTH - DAY {
            self.host.add_outage(Outage { from, until: from + length, kind });
        }
    }

    fn minutes_to_hours(&mut self) -> Duration {
        (120 * SECOND).mul_f64(180_f64.powf(self.rng.f64()))
    }

    /// How the vendor of an unkind month fails.
    fn unkind_outages(&self) -> Vec<OutageKind> {
        let mut kinds = Vec::new();
        if self.conditions.has(Unkind::CommitsAndFails) {
            kinds.extend([500, 502, 503].map(OutageKind::StatusAfter));
            kinds.extend([OutageKind::SilentAfter, OutageKind::LostResponse]);
        }
        if self.conditions.has(Unkind::Mislabels) {
            kinds.extend([OutageKind::HtmlLabel, OutageKind::ByteOrderMark]);
        }
        if self.conditions.has(Unkind::RefusesInPassing) {
            use PassingRefusal::{Empty, Firewall, PlainText, TemporarilyUnavailable};
            kinds.extend([PlainText, Empty, TemporarilyUnavailable, Firewall].map(OutageKind::Passing));
        }
        if self.conditions.has(Unkind::Throttles) {
            kinds.extend([false, true].map(|as_date| OutageKind::Throttled { as_date }));
        }
        if self.conditions.has(Unkind::CannotConnect) {
            kinds.push(OutageKind::NotSent);
        }
        kinds
    }

    /// The store goes wrong for minutes or hours.
    fn store_phase(&mut self, at: Duration) {
        use StoreOperation::{Lease, Load, Write};
        let mut faults = Vec::new();
        if self.conditions.has(Unkind::StoreFails) {
            faults.extend([Load, Write, Lease].map(|operation| (operation, StoreFault::Fails)));
            faults.push((Write, StoreFault::FailsAfterWrite));
        }
        if self.conditions.has(Unkind::StoreHangs) {
            faults.extend([Load, Write, Lease].map(|operation| (operation, StoreFault::Hangs)));
            faults.push((Write, StoreFault::HangsAfterWrite));
        }
        if self.conditions.has(Unkind::StoreConflicts) {
            faults.extend([(Write, StoreFault::ConflictsWithItself), (Lease, StoreFault::LosesLease)]);
        }
        if self.conditions.has(Unkind::StoreLosesWrites) {
            faults.push((Write, StoreFault::LosesWrite));
        }
        let Some((operation, fault)) = self.rng.choice(faults) else { return };
        let from = self.started + at;
        let until = from + self.minutes_to_hours();
        let share = if self.rng.bool() { 1.0 } else { 0.5 };
        // The last day has no such phase.
        if at < MONTH - DAY {
            self.host.store.add_phase(StorePhase { from, until, operation, fault, share });
        }
    }

    /// Sets the machine's clock forward or back, by an hour to three months.
    fn set_clock(&mut self) {
        let hours = 2160_f64.powf(self.rng.f64()) as i64;
        let by = SignedDuration::from_hours(if self.rng.bool() { hours } else { -hours });
        self.host.clock.jump(by);
        self.host.invariants().record_clock_jump(by);
    }

    fn kill(&mut self, at: Duration) {
        let index = self.rng.usize(..self.processes.len());
        let process = self.processes[index].id;
        let is_idle = self.host.invariants().is_idle(process);
        // The refresh in progress is lost, and with it a login that only the user can repeat.
        if !self.conditions.may_lose_logins && self.host.rules.rotates && !is_idle {
            return self.schedule_event(at + 40 * SECOND, Event::Kill);
        }
        self.end_process(index);
        self.start_process();
    }

    /// A user logs in, and a new process gets the tokens. The others go on with what they have, and with the store.
    pub(super) async fn log_in_beside(&mut self) {
        self.passed_in = self.host.server.log_in(FlakyTransport::new(USER, &self.host)).await;
        self.next_login = None;
        if self.processes.len() == MAX_PROCESSES {
            self.exit_process(0);
        }
        self.start_process();
    }

    async fn log_in(&mut self) {
        self.passed_in = self.host.server.log_in(FlakyTransport::new(USER, &self.host)).await;
        self.next_login = None;
        for _ in 0..self.processes.len() {
            self.end_process(0);
            self.start_process();
        }
    }

    /// A process is killed: it stops, and drops nothing.
    pub(super) fn end_process(&mut self, index: usize) {
        let process = self.processes.remove(index);
        self.host.invariants().kill(process.id);
        process.store.release();
        process.callers.iter().for_each(JoinHandle::abort);
        process.keep_alive_task.iter().for_each(JoinHandle::abort);
    }

    /// A process returns from `main`: it drops its client and all tasks, whatever is under way.
    pub(super) fn exit_process(&mut self, index: usize) {
        let process = self.processes.remove(index);
        self.host.invariants().kill(process.id);
        process.callers.iter().for_each(JoinHandle::abort);
        process.keep_alive_task.iter().for_each(JoinHandle::abort);
        process.transport.end_runtime();
        process.store.release();
    }

    /// A process ends its runtime with all tasks, and keeps its client for the next one.
    pub(super) fn end_runtime(&mut self, index: usize) {
        let process = &mut self.processes[index];
        self.host.invariants().record_runtime_end(process.id);
        process.callers.drain(..).for_each(|caller| caller.abort());
        process.transport.end_runtime();
        if let Some(task) = process.keep_alive_task.take() {
            task.abort();
            process.keep_alive_task = Some(keep_alive(&self.host, process.id, &process.client));
        }
    }

    /// A process drops its client, and its runtime goes on.
    pub(super) fn drop_client(&mut self, index: usize) {
        let process = self.processes.remove(index);
        self.host.invariants().record_dropped_client(process.id);
        process.callers.iter().for_each(JoinHandle::abort);
        process.keep_alive_task.iter().for_each(JoinHandle::abort);
    }

    pub(super) fn start_process(&mut self) {
        self.last_process += 1;
        let id = self.last_process;
        let (transport, store) = (FlakyTransport::new(id, &self.host), TestStore::new(id, &self.host));
        let client = self.host.server.client(transport.clone(), store.clone(), self.passed_in.clone());
        self.host.invariants().record_held(id, self.passed_in.as_ref());
        let keep_alive_task = self.conditions.uses_keep_alive.then(|| keep_alive(&self.host, id, &client));
        self.processes.push(Process { id, client, transport, store, callers: Vec::new(), keep_alive_task });
    }

    /// Checks that every process works at the end, and that logins lasted as they should.
    async fn check_end_of_month(&mut self) {
        self.sleep_until(self.started + MONTH).await;
        if self.host.invariants().login_required_since().is_some() {
            self.log_in().await;
        }
        self.check_that_all_processes_work().await;
        let counts = self.host.invariants().counts();
        let rules = self.host.rules;
        if self.conditions.is_mild() {
            if !rules.logs_in && !self.conditions.may_lose_logins && counts.login_required > 0 {
                self.fail("a login that only the user can repeat was lost");
            }
            self.check_server_log();
        }
        let Conditions { uses_keep_alive, jumps, revocations, login_revocations, outages, .. } = self.conditions;
        let is_mild = self.conditions.is_mild();
        let was_calm =
            is_mild && jumps + revocations + login_revocations + outages == 0 && counts.kills_during_refresh == 0;
        if uses_keep_alive && was_calm && self.vendor == Vendor::RepairyRotated && counts.logins != 1 {
            self.fail(&format!("a client that was kept alive logged in again: {counts:?}"));
        }
        if uses_keep_alive && rules.rotates && rules.refresh.is_some() {
            let login_required = self.host.invariants().counts().login_required;
            self.idle(AFTERMATH).await;
            self.check_that_all_processes_work().await;
            if self.host.invariants().counts().login_required > login_required {
                self.fail("a refresh token expired although the client was kept alive");
            }
        }
    }

    /// Lets time pass without calls, and with the nights that the machine sleeps through.
    pub(super) async fn idle(&self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.sleep_until((Instant::now() + DAYTIME).min(end)).await;
            self.check();
            if self.conditions.has(Unkind::SleepsAtNight) {
                self.host.sleep_machine(NIGHT);
            }
        }
    }

    pub(super) async fn check_that_all_processes_work(&self) {
        for index in 0..self.processes.len() {
            let (process, client) = (self.processes[index].id, self.processes[index].client.clone());
            call(&self.host, process, &client, 120 * SECOND, None).await;
            self.sleep_until(Instant::now() + 60 * SECOND).await;
            self.check();
        }
    }

    /// Checks the invariants against the store and the clients.
    pub(super) fn check(&self) {
        let stored = self.host.stored();
        let statuses: Vec<_> =
            self.processes.iter().map(|process| (process.id, process.client.auth_status())).collect();
        let counters = self.host.server.counters();
        let printed = format!("{statuses:?} {:?}", self.processes);
        let now = Instant::now();
        let mut invariants = self.host.invariants();
        invariants.check_secrecy(&printed);
        invariants.check_laws(|from| !self.host.store.had_fault(from, now));
        drop(invariants);
        self.host.invariants().audit(stored.as_ref(), &statuses, &counters);
        let violation = self.host.invariants().violation();
        if let Some(violation) = violation {
            self.fail(&violation);
        }
    }

    /// Checks the server's log: no generation of a login's tokens was refreshed twice.
    fn check_server_log(&self) {
        let mut refreshed = BTreeSet::new();
        for request in self.host.server.token_requests() {
            let is_first = refreshed.insert((request.family, request.generation, request.kind));
            if request.accepted && !is_first {
                self.fail(&format!("the server refreshed one generation twice: {request:?}"));
            }
        }
    }

    pub(super) fn fail(&self, what: &str) -> ! {
        let Self { vendor, seed, conditions, .. } = self;
        panic!("seed {seed}, {vendor:?}: {what}\n{conditions:?}\nrun it again with SERVICEBAY_SEED={seed}");
    }
}

fn keep_alive(host: &Arc<Host>, process: ProcessId, client: &AnyClient) -> JoinHandle<()> {
    let (host, client) = (Arc::clone(host), client.clone());
    tokio::spawn(async move {
        let error = client.keep_alive().await;
        host.invariants().record_keep_alive_end(process, &error);
    })
}

/// A call that has not ended. Its caller may be canceled.
struct OpenCall<'a> {
    host: &'a Host,
    number: u64,
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        self.host.invariants().record_ended_call(self.number);
    }
}

/// One caller: waits for the response, or gives up earlier. Returns whether the call succeeded.
pub(super) async fn call(
    host: &Host,
    process: ProcessId,
    client: &AnyClient,
    max_wait: Duration,
    gives_up_after: Option<Duration>,
) -> bool {
    let started = Instant::now();
    let valid_token_at = host.invariants().valid_token_at(process);
    let had_doubtful_token = host.invariants().has_doubtful_token(process);
    let open = OpenCall { host, number: host.invariants().record_started_call(process, max_wait) };
    let result = match gives_up_after {
        None => client.call(max_wait).await,
        Some(gives_up_after) => match timeout(gives_up_after, client.call(max_wait)).await {
            Ok(result) => result,
            Err(_) => {
                host.invariants().record_canceled_call();
                return false;
            }
        },
    };
    drop(open);
    let recovering = started.checked_sub(RECOVERY).unwrap_or(started);
    let was_healthy = host.was_healthy(recovering, Instant::now());
    let had_outage = host.had_outage(started, Instant::now());
    let succeeded = result.is_ok();
    host.invariants().record_completed_call(CompletedCall {
        process,
        started,
        max_wait,
        valid_token_at,
        had_doubtful_token,
        had_outage,
        was_healthy,
        result,
    });
    succeeded
}
