//! Worlds for the limiter's state: vendors of every kind, slow and failing calls, and callers that come and go, on a clock of
//! events. Nothing in them is kind.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use fastrand::Rng;
use tokio::time::Instant;

use super::acquire_request::AcquireRequest;
use super::headers::RateLimitHeaders;
use super::response_kind::ResponseKind;
use super::state::{Completion, LimiterState, Reservation, WaitDecision};
use crate::priority::Priority;
use crate::vendor::LimitHeaders;

/// How a vendor counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Counting {
    /// Windows that follow each other.
    Calendar,
    /// Windows that begin with a call.
    FirstCall,
    /// The calls of the last window's length.
    Sliding,
    /// A bucket that holds the limit and is refilled in the length of a window.
    Bucket,
    /// Nothing is refused.
    Unlimited,
}

/// What a vendor reports.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Reports {
    /// Limit, remaining and reset.
    All,
    /// Remaining and reset.
    NoLimit,
    /// Remaining and no reset.
    RemainingOnly,
    /// All three, with refusals alone.
    RefusalsOnly,
    /// How long to wait after a refusal, in whole seconds.
    RetryAfter,
    Nothing,
}

#[derive(Clone, Debug)]
pub(super) struct Scenario {
    pub(super) limit: u64,
    pub(super) window: Duration,
    pub(super) counting: Counting,
    pub(super) reports: Reports,
    /// Resets are rounded up to this.
    pub(super) resolution: Duration,
    /// When the first of the windows that follow each other begins, after a whole second.
    pub(super) offset: Duration,
    /// How long a call takes, of which up to `jitter` is random.
    pub(super) latency: Duration,
    pub(super) jitter: f64,
    pub(super) workers: usize,
    /// What each worker does between two calls.
    pub(super) think: Duration,
    pub(super) max_wait: Duration,
    /// The share of calls that end without a response, of responses without headers, and of callers that go away.
    pub(super) broken: f64,
    pub(super) silent: f64,
    pub(super) canceled: f64,
    /// The calls per window of another program.
    pub(super) external: u64,
    /// From when to when the vendor cannot be reached, or responds with 503.
    pub(super) outage: Option<(Duration, Duration, Outage)>,
    pub(super) known_to_report: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outage {
    NotSent,
    Broken,
    Unavailable,
}

impl Default for Scenario {
    fn default() -> Self {
        Self {
            limit: 100,
            window: Duration::from_secs(60),
            counting: Counting::Calendar,
            reports: Reports::All,
            resolution: Duration::from_millis(1),
            offset: Duration::ZERO,
            latency: Duration::from_millis(50),
            jitter: 0.0,
            workers: 16,
            think: Duration::ZERO,
            max_wait: Duration::from_secs(1_000_000),
            broken: 0.0,
            silent: 0.0,
            canceled: 0.0,
            external: 0,
            outage: None,
            known_to_report: true,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum WorldEvent {
    /// A worker begins a call.
    Begin(usize),
    /// A waiter's time is up, or it was woken.
    Look(usize),
    /// A request arrives at the vendor; a response arrives.
    Arrive(usize),
    Return(usize),
    /// A caller goes away.
    Cancel(usize, u64),
    /// The driver's timer.
    Driver,
    External,
}

#[derive(Debug)]
enum WorkerState {
    Idle,
    Waiting { request: AcquireRequest, ticket: u64, wake: std::sync::Arc<tokio::sync::Notify> },
    Sent { reservation: Reservation, sent_at: Instant, request: AcquireRequest },
}

/// What happened.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub(super) accepted: u64,
    pub(super) refused: u64,
    pub(super) failed: u64,
    pub(super) gave_up: u64,
    /// When calls were accepted.
    pub(super) accepted_at: Vec<Duration>,
    pub(super) refused_at: Vec<Duration>,
    /// The most that one window was asked for by this program.
    pub(super) most: u64,
    pub(super) driver_wakes: u64,
}

impl Record {
    /// The accepted and refused calls between two moments.
    pub(super) fn between(&self, from: Duration, to: Duration) -> (u64, u64) {
        let count = |at: &[Duration]| at.iter().filter(|at| (from..to).contains(at)).count() as u64;
        (count(&self.accepted_at), count(&self.refused_at))
    }
}

pub(super) struct World {
    scenario: Scenario,
    random: Rng,
    pub(super) state: LimiterState,
    start: Instant,
    now: Instant,
    events: BinaryHeap<Reverse<(Instant, u64, WorldEvent)>>,
    order: u64,
    workers: Vec<WorkerState>,
    calls: Vec<u64>,
    responses: HashMap<usize, Completion>,
    driver_at: Option<Instant>,
    /// The vendor's count: when the window ends and how much of it is used, or when calls were counted.
    window: Option<(Instant, u64, u64)>,
    counted: std::collections::VecDeque<Instant>,
    bucket: (f64, Instant),
    was_silent: bool,
    pub(super) record: Record,
}

impl World {
    pub(super) fn new(scenario: Scenario, seed: u64) -> Self {
        let start = Instant::now();
        let headers = if scenario.known_to_report { LimitHeaders::Sent } else { LimitHeaders::Unsure };
        let mut world = Self {
            random: Rng::with_seed(seed),
            state: LimiterState::new(headers),
            start,
            now: start,
            events: BinaryHeap::new(),
            order: 0,
            workers: (0..scenario.workers).map(|_| WorkerState::Idle).collect(),
            calls: vec![0; scenario.workers],
            responses: HashMap::new(),
            driver_at: None,
            window: None,
            counted: std::collections::VecDeque::new(),
            bucket: (scenario.limit as f64, start),
            was_silent: true,
            record: Record::default(),
            scenario,
        };
        for worker in 0..world.workers.len() {
            world.at(start, WorldEvent::Begin(worker));
        }
        if world.scenario.external > 0 {
            world.at(start, WorldEvent::External);
        }
        world
    }

    fn at(&mut self, moment: Instant, event: WorldEvent) {
        self.order += 1;
        self.events.push(Reverse((moment, self.order, event)));
    }

    /// Runs for so long.
    pub(super) fn run(&mut self, time: Duration) -> &Record {
        let end = self.start + time;
        while let Some(Reverse((moment, _, event))) = self.events.pop() {
            if moment > end {
                self.at(moment, event);
                break;
            }
            self.now = moment;
            self.handle(event);
            self.look_around();
            self.drive();
        }
        self.now = end;
        &self.record
    }

    fn handle(&mut self, event: WorldEvent) {
        match event {
            WorldEvent::Begin(worker) => self.begin(worker, None),
            WorldEvent::Look(worker) => self.look(worker),
            WorldEvent::Arrive(worker) => self.arrive(worker),
            WorldEvent::Return(worker) => self.finish(worker),
            WorldEvent::Cancel(worker, call) => self.cancel(worker, call),
            WorldEvent::Driver => {
                if self.driver_at.is_some_and(|at| at <= self.now) {
                    self.driver_at = None;
                    self.record.driver_wakes += 1;
                    self.state.dispatch(self.now);
                }
            }
            WorldEvent::External => {
                self.count(false);
                let pause =
                    self.scenario.window.div_f64(self.scenario.external as f64).mul_f64(self.random.f64() * 2.0);
                self.at(self.now + pause, WorldEvent::External);
            }
        }
    }

    fn begin(&mut self, worker: usize, place: Option<u64>) {
        self.calls[worker] += 1;
        let end = self.now + self.scenario.max_wait;
        let far = self.now + Duration::from_secs(100_000_000);
        let request =
            AcquireRequest { priority: Priority::Normal, reserve: 0, wait_until: end, send_before: far, place };
        if self.random.f64() < self.scenario.canceled {
            let patience = self.scenario.window.mul_f64(self.random.f64().powi(4));
            self.at(self.now + patience, WorldEvent::Cancel(worker, self.calls[worker]));
        }
        match self
            .state
            .try_acquire(request)
            .map(|reservation| Ok(Ok(reservation)))
            .unwrap_or_else(|| self.state.enqueue(request, self.now))
        {
            Ok(Ok(reservation)) => self.send(worker, request, reservation),
            Ok(Err(position)) => {
                self.workers[worker] = WorkerState::Waiting { request, ticket: position.ticket, wake: position.wake };
                self.at(end, WorldEvent::Look(worker));
            }
            Err(resume_at) => self.give_up(worker, resume_at),
        }
    }

    fn look(&mut self, worker: usize) {
        let WorkerState::Waiting { request, ticket, .. } = &self.workers[worker] else { return };
        let (request, ticket) = (*request, *ticket);
        match self.state.claim(request, ticket, self.now) {
            WaitDecision::Send(reservation) => self.send(worker, request, reservation),
            WaitDecision::GiveUp(resume_at) => self.give_up(worker, resume_at),
            WaitDecision::Wait(until) => assert!(until > self.now, "told to look again at once"),
        }
    }

    fn give_up(&mut self, worker: usize, resume_at: Instant) {
        assert!(resume_at > self.now, "told to come back in the past");
        self.record.gave_up += 1;
        self.workers[worker] = WorkerState::Idle;
        self.at(resume_at, WorldEvent::Begin(worker));
    }

    fn send(&mut self, worker: usize, request: AcquireRequest, reservation: Reservation) {
        self.workers[worker] = WorkerState::Sent { reservation, sent_at: self.now, request };
        let travel = self.travel();
        self.at(self.now + travel, WorldEvent::Arrive(worker));
    }

    fn travel(&mut self) -> Duration {
        let part = 1.0 - self.scenario.jitter * self.random.f64();
        self.scenario.latency.mul_f64(part / 2.0)
    }

    fn outage(&self) -> Option<Outage> {
        let (from, to, outage) = self.scenario.outage?;
        (from..to).contains(&(self.now - self.start)).then_some(outage)
    }

    fn arrive(&mut self, worker: usize) {
        let WorkerState::Sent { sent_at, .. } = self.workers[worker] else { return };
        let completion = match self.outage() {
            Some(Outage::NotSent) => Completion::NotSent,
            Some(Outage::Broken) => Completion::Failed,
            Some(Outage::Unavailable) => {
                let headers = RateLimitHeaders::default();
                Completion::Responded { sent_at, headers, kind: ResponseKind::Unavailable }
            }
            None => {
                let (is_accepted, headers) = self.count(true);
                let kind = if is_accepted { ResponseKind::Accepted } else { ResponseKind::Refused };
                // If the first three calls fail, no call waits for the vendor's word any more.
                let may_fail = self.record.accepted > 0 || self.record.failed < 2;
                if self.random.f64() < self.scenario.broken && may_fail {
                    Completion::Failed
                } else {
                    Completion::Responded { sent_at, headers, kind }
                }
            }
        };
        self.responses.insert(worker, completion);
        let travel = self.travel();
        self.at(self.now + travel, WorldEvent::Return(worker));
    }

    fn finish(&mut self, worker: usize) {
        let Some(mut completion) = self.responses.remove(&worker) else { return };
        let state = std::mem::replace(&mut self.workers[worker], WorkerState::Idle);
        let WorkerState::Sent { reservation, request, .. } = state else { return };
        if let Completion::Responded { headers, .. } = &mut completion {
            // The first response without headers, or several in a row, mean that there is no limit.
            self.was_silent = !self.was_silent && self.random.f64() < self.scenario.silent;
            if self.was_silent {
                *headers = RateLimitHeaders::default();
            }
            // On the way here the reset was a moment since the start.
            let reset_at = headers.reset.map(|reset| self.start + reset);
            headers.late = reset_at.map_or(Duration::ZERO, |reset_at| self.now.saturating_duration_since(reset_at));
            headers.reset = reset_at.map(|reset_at| reset_at.saturating_duration_since(self.now));
        }
        self.state.complete(reservation, completion, self.now);
        let elapsed = self.now - self.start;
        let mut place = None;
        let mut pause = self.scenario.think;
        match completion {
            Completion::Responded { kind: ResponseKind::Accepted, .. } => {
                self.record.accepted += 1;
                self.record.accepted_at.push(elapsed);
            }
            Completion::Responded { kind: ResponseKind::Refused, .. } => {
                self.record.refused += 1;
                self.record.refused_at.push(elapsed);
                (place, pause) = (Some(reservation.place), Duration::ZERO);
            }
            _ => {
                self.record.failed += 1;
                (place, pause) = (request.place, Duration::from_millis(self.random.u64(0..500)));
            }
        }
        match pause.is_zero() {
            true => self.begin(worker, place),
            false => self.at(self.now + pause, WorldEvent::Begin(worker)),
        }
    }

    fn cancel(&mut self, worker: usize, call: u64) {
        if self.calls[worker] != call {
            return;
        }
        match std::mem::replace(&mut self.workers[worker], WorkerState::Idle) {
            WorkerState::Waiting { request, ticket, .. } => self.state.leave(request, ticket, self.now),
            WorkerState::Sent { reservation, .. } => {
                // It may be on its way still, and arrive all the same.
                if !self.responses.contains_key(&worker) && self.random.bool() {
                    self.count(true);
                }
                self.responses.remove(&worker);
                self.events.retain(|Reverse((_, _, event))| {
                    *event != WorldEvent::Arrive(worker) && *event != WorldEvent::Return(worker)
                });
                self.state.complete(reservation, Completion::Canceled, self.now);
            }
            WorkerState::Idle => {}
        }
        self.at(self.now + Duration::from_millis(1), WorldEvent::Begin(worker));
    }

    /// Every waiter that was woken looks.
    fn look_around(&mut self) {
        use futures_util::FutureExt as _;
        loop {
            let woken = (0..self.workers.len()).find(|worker| match &self.workers[*worker] {
                WorkerState::Waiting { wake, .. } => wake.notified().now_or_never().is_some(),
                _ => false,
            });
            match woken {
                Some(worker) => self.look(worker),
                None => return,
            }
        }
    }

    fn drive(&mut self) {
        if self.state.is_queue_empty() {
            self.driver_at = None;
            return;
        }
        let next = self.state.next_event(self.now);
        if let Some(next) = next
            && self.driver_at.is_none_or(|at| next < at)
        {
            assert!(next > self.now, "the driver looks again at once");
            self.driver_at = Some(next);
            self.at(next, WorldEvent::Driver);
        }
    }

    /// A call arrives at the vendor. Its reset is a moment since the start, here.
    fn count(&mut self, is_ours: bool) -> (bool, RateLimitHeaders) {
        let Scenario { limit, window, .. } = self.scenario;
        let (is_accepted, remaining, reset_at) = match self.scenario.counting {
            Counting::Unlimited => (true, limit, self.now + window),
            Counting::Calendar | Counting::FirstCall => {
                let (ends, used, ours) = match self.window {
                    Some((ends, used, ours)) if self.now < ends => (ends, used, ours),
                    _ if self.scenario.counting == Counting::FirstCall => (self.now + window, 0, 0),
                    _ => {
                        let since = self.now - self.start + window - self.scenario.offset;
                        let passed = since.as_nanos() % window.as_nanos();
                        (self.now + window - Duration::from_nanos(u64::try_from(passed).unwrap()), 0, 0)
                    }
                };
                let is_accepted = used < limit;
                let used = used + u64::from(is_accepted);
                let ours = ours + u64::from(is_ours);
                self.window = Some((ends, used, ours));
                self.record.most = self.record.most.max(ours);
                (is_accepted, limit - used, ends)
            }
            Counting::Sliding => {
                while self.counted.front().is_some_and(|at| *at + window <= self.now) {
                    self.counted.pop_front();
                }
                let is_accepted = (self.counted.len() as u64) < limit;
                if is_accepted {
                    self.counted.push_back(self.now);
                }
                let oldest = self.counted.front().map_or(self.now, |at| *at + window);
                (is_accepted, limit - self.counted.len() as u64, oldest)
            }
            Counting::Bucket => {
                let rate = limit as f64 / window.as_secs_f64();
                let (level, at) = self.bucket;
                let level = (level + (self.now - at).as_secs_f64() * rate).min(limit as f64);
                let is_accepted = level >= 1.0;
                let level = if is_accepted { level - 1.0 } else { level };
                self.bucket = (level, self.now);
                (is_accepted, level as u64, self.now + Duration::from_secs_f64((limit as f64 - level) / rate))
            }
        };
        let rounded = |moment: Instant| {
            let resolution = self.scenario.resolution.as_nanos();
            let nanos = (moment - self.start).as_nanos().div_ceil(resolution) * resolution;
            Duration::from_nanos(u64::try_from(nanos).unwrap())
        };
        let reset = Some(rounded(reset_at));
        let nothing = RateLimitHeaders::default();
        let headers = match self.scenario.reports {
            Reports::All => RateLimitHeaders { limit: Some(limit), remaining: Some(remaining), reset, ..nothing },
            Reports::NoLimit => RateLimitHeaders { remaining: Some(remaining), reset, ..nothing },
            Reports::RemainingOnly => RateLimitHeaders { remaining: Some(remaining), ..nothing },
            Reports::RefusalsOnly if !is_accepted => {
                RateLimitHeaders { limit: Some(limit), remaining: Some(0), reset, ..nothing }
            }
            Reports::RetryAfter if !is_accepted => {
                let left = reset_at.saturating_duration_since(self.now).as_secs_f64().ceil();
                RateLimitHeaders { retry_after: Some(Duration::from_secs_f64(left)), ..nothing }
            }
            Reports::RefusalsOnly | Reports::RetryAfter | Reports::Nothing => nothing,
        };
        (is_accepted, headers)
    }
}

mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// The share of the limit that was used, and the share of the calls that was refused, from a moment on.
    fn shares(scenario: Scenario, from: Duration, time: Duration) -> (f64, f64) {
        let calls = scenario.limit as f64 * time.as_secs_f64() / scenario.window.as_secs_f64();
        let mut world = World::new(scenario, 7);
        world.run(from + time);
        let (accepted, refused) = world.record.between(from, from + time);
        (accepted as f64 / calls, refused as f64 / (accepted + refused).max(1) as f64)
    }

    fn seeds() -> std::ops::Range<u64> {
        0..std::env::var("SERVICEBAY_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(100)
    }

    #[tokio::test(start_paused = true)]
    async fn never_more_than_the_limit_is_sent_in_a_window() {
        for seed in seeds() {
            let mut random = Rng::with_seed(seed);
            let window = Duration::from_secs(random.u64(2..60));
            let mut part = |share: f64| if random.u32(0..3) == 0 { share } else { 0.0 };
            let (broken, silent, canceled) = (part(0.05), part(0.2), part(0.2));
            let scenario = Scenario {
                limit: random.u64(5..200),
                window,
                counting: *random.choice(&[Counting::Calendar, Counting::FirstCall]).unwrap(),
                reports: *random.choice(&[Reports::All, Reports::All, Reports::NoLimit]).unwrap(),
                resolution: *random.choice(&[MS, SECOND]).unwrap(),
                latency: (MS * random.u32(1..100)).min(window / 20) * 2,
                jitter: 1.0,
                workers: random.usize(1..300),
                think: MS * random.u32(0..3000),
                broken,
                silent,
                canceled,
                ..Scenario::default()
            };
            // One call at a time finds out what became of calls that ended without a word.
            let tolerance = if broken + silent + canceled > 0.0 { 3 } else { 0 };
            let limit = scenario.limit;
            let mut world = World::new(scenario.clone(), seed);
            world.run(window * 12);
            assert!(world.record.most <= limit + tolerance, "seed {seed}: {} in {scenario:?}", world.record.most);
            assert!(
                tolerance > 0 || world.record.refused == 0,
                "seed {seed}: {} refused in {scenario:?}",
                world.record.refused
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_outage_calls_flow_within_seconds_whatever_failed_and_whenever() {
        for outage in [Outage::NotSent, Outage::Broken, Outage::Unavailable] {
            for (limit, window, from, lasts) in [
                (1000, 3600, 10.0, 1.1),
                (50, 60, 59.0, 2.0),
                (50, 60, 59.0, 40.0),
                (10, 1, 5.0, 3.3),
                (1000, 3600, 3590.0, 60.0),
            ] {
                let (from, to) = (Duration::from_secs_f64(from), Duration::from_secs_f64(from + lasts));
                let scenario = Scenario {
                    limit,
                    window: Duration::from_secs(window),
                    workers: 100,
                    think: if limit == 1000 { 30 * SECOND } else { SECOND / 10 },
                    outage: Some((from, to, outage)),
                    ..Scenario::default()
                };
                // The pause of the workers is no fault of the limiter.
                let soon = to + 8 * SECOND + scenario.think.min(30 * SECOND);
                let mut world = World::new(scenario, 3);
                world.run(soon);
                let (accepted, _) = world.record.between(to, soon);
                assert!(accepted >= 10, "{accepted} accepted after {outage:?} of {lasts} s in a window of {window} s");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn latency_costs_no_throughput() {
        for (counting, latency) in
            [0.05, 0.2, 0.5, 0.8, 1.2, 2.0, 5.0, 10.0].map(|latency| (Counting::Calendar, latency))
        {
            for (limit, window) in [(10, SECOND), (40, 10 * SECOND)] {
                if window.mul_f64(latency) > 30 * SECOND {
                    // An attempt takes no longer by default.
                    continue;
                }
                let scenario = Scenario {
                    limit,
                    window,
                    counting,
                    latency: window.mul_f64(latency),
                    workers: 64.max((limit as f64 * latency * 2.0) as usize),
                    ..Scenario::default()
                };
                let warm_up = window.mul_f64(3.0 * latency + 4.0) + 60 * SECOND;
                let (used, refused) = shares(scenario, warm_up, window * 50);
                assert!(
                    used >= 0.95 && refused <= 0.01,
                    "{used:.3} used, {refused:.3} refused at {latency} of {window:?}"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_that_reports_nothing_is_called_at_the_rate_that_it_accepts() {
        for reports in [Reports::Nothing, Reports::RetryAfter, Reports::RefusalsOnly, Reports::RemainingOnly] {
            for (workers, limit, window) in
                [(8, 10, SECOND), (64, 10, SECOND), (500, 10, SECOND), (8, 100, 10 * SECOND), (64, 100, 10 * SECOND)]
            {
                let scenario =
                    Scenario { limit, window, reports, workers, known_to_report: false, ..Scenario::default() };
                let (used, refused) = shares(scenario, 90 * SECOND, 120 * SECOND);
                assert!(
                    used >= 0.9 && refused <= 0.05,
                    "{used:.3} used, {refused:.3} refused of {limit} in {window:?} by {workers} with {reports:?}"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_and_latencies_do_not_hide_the_rate_of_a_vendor_that_reports_nothing() {
        for counting in [Counting::Calendar, Counting::FirstCall] {
            for reports in [Reports::Nothing, Reports::RetryAfter] {
                for (latency, least) in [(20, 0.92), (100, 0.92), (400, 0.92), (1000, 0.82)] {
                    let (window, latency, workers) = (2 * SECOND, latency * MS, 64);
                    let scenario = Scenario {
                        counting,
                        window,
                        reports,
                        workers,
                        latency,
                        known_to_report: false,
                        ..Scenario::default()
                    };
                    let (used, refused) = shares(scenario, 60 * SECOND, 90 * SECOND);
                    assert!(
                        used >= least && refused <= 0.01,
                        "{used:.3} used, {refused:.3} refused with {counting:?}, {reports:?}, {latency:?}"
                    );
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_vendor_that_never_refuses_is_not_slowed() {
        let scenario = Scenario {
            counting: Counting::Unlimited,
            reports: Reports::Nothing,
            known_to_report: false,
            workers: 64,
            ..Scenario::default()
        };
        let mut world = World::new(scenario, 1);
        world.run(10 * SECOND);
        // 64 workers, with 50 ms for a call.
        assert!(world.record.accepted >= 64 * 199, "{}", world.record.accepted);
        assert_eq!(world.record.driver_wakes, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn vendors_that_count_otherwise_are_used_well_and_lock_no_caller_out() {
        for counting in [Counting::FirstCall, Counting::Sliding, Counting::Bucket] {
            for (window, latency, jitter) in
                [(10, 50, 0.0), (10, 50, 0.8), (10, 1000, 0.8), (60, 50, 0.0), (60, 1000, 0.8)]
            {
                let (window, latency) = (window * SECOND, latency * MS);
                let scenario = Scenario { counting, window, latency, jitter, workers: 64, ..Scenario::default() };
                let (used, refused) = shares(scenario, 20 * window, 30 * window);
                assert!(
                    used >= 0.9 && refused <= 0.05,
                    "{used:.3} used, {refused:.3} refused with {counting:?} in {window:?}, {latency:?}"
                );
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn resets_in_whole_seconds_and_uneven_latencies_lead_to_few_refusals() {
        for counting in [Counting::Calendar, Counting::FirstCall, Counting::Sliding, Counting::Bucket] {
            for (limit, window) in
                [(10, SECOND), (100, SECOND), (20, 2 * SECOND), (100, 10 * SECOND), (100, 60 * SECOND)]
            {
                for (offset, latency, jitter) in
                    [(0, 50, 0.0), (400, 50, 0.8), (0, 300, 0.8), (400, 300, 0.0), (400, 1000, 0.8)]
                {
                    let (offset, latency, resolution, workers) = (offset * MS, latency * MS, SECOND, 64);
                    let scenario = Scenario {
                        counting,
                        limit,
                        window,
                        offset: if counting == Counting::Calendar { offset } else { Duration::ZERO },
                        latency,
                        jitter,
                        resolution,
                        workers,
                        ..Scenario::default()
                    };
                    let name = format!("{scenario:?}");
                    let (used, refused) = shares(scenario, window * 20 + 60 * SECOND, window * 30 + 60 * SECOND);
                    // What is lost is the time by which resets are rounded.
                    let lost = 1.0 / (1.0 + window.as_secs_f64());
                    assert!(used >= 0.92 - lost && refused <= 0.02, "{used:.3} used, {refused:.3} refused: {name}");
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_driver_sleeps_while_only_a_response_helps() {
        // The reset is always now, and every call takes half a minute.
        let scenario =
            Scenario { limit: 5, window: MS, resolution: MS, latency: 30 * SECOND, workers: 50, ..Scenario::default() };
        let mut world = World::new(scenario, 1);
        world.run(300 * SECOND);
        assert!(
            world.record.driver_wakes < 3000,
            "{} wakes for {} calls",
            world.record.driver_wakes,
            world.record.accepted
        );
        assert!(world.record.accepted > 50);
    }

    #[tokio::test(start_paused = true)]
    async fn every_call_ends_and_gives_its_place_back() {
        for seed in 0..20 {
            let scenario = Scenario {
                workers: 60,
                canceled: 0.3,
                broken: 0.1,
                silent: 0.3,
                max_wait: 90 * SECOND,
                window: 20 * SECOND,
                external: 30,
                outage: Some((30 * SECOND, 47 * SECOND, Outage::Broken)),
                ..Scenario::default()
            };
            let mut world = World::new(scenario, seed);
            world.run(400 * SECOND);
            let in_flight =
                world.workers.iter().filter(|worker| matches!(worker, WorkerState::Sent { .. })).count() as u64;
            assert_eq!(world.state.window().in_flight(), in_flight, "seed {seed}");
            let (accepted, _) = world.record.between(60 * SECOND, 400 * SECOND);
            assert!(accepted > 100 * 17 / 4, "seed {seed}: {accepted}");
        }
    }
}
