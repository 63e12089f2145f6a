//! A month from its seed: what happens when, and the processes that it happens to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use servicebay::TokenSet;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use super::ledger::{CountingObserver, PERSON, Returned};
use super::line::Line;
use super::shelf::Shelf;
use super::site::{Outage, Site, Trouble, Who};
use super::vendor::{Client, Vendor};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);
/// Just short of the 30 days that a refresh token lives which nobody replaces.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600 - 2 * 3600);
/// How long a process that is kept alive can be left alone afterwards: longer than any refresh token lives.
const AFTERMATH: Duration = Duration::from_secs(40 * 24 * 3600);

/// What a seed has chosen for the whole month.
#[derive(Clone, Copy, Debug)]
struct Climate {
    processes: usize,
    keeps_alive: bool,
    outages: u32,
    jumps: u32,
    /// How often the vendor takes all access tokens back, and all logins.
    revocations: u32,
    ended_logins: u32,
    /// How often a process is killed.
    kills: u32,
    /// How many callers give up early.
    impatience: f64,
    /// Whether things may happen that cost a login which only a person can repeat.
    is_harsh: bool,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Burst(u32),
    /// All callers give up at once.
    CancelAll,
    EndAccess,
    EndLogins,
    Jump,
    Kill,
    LogIn,
    Outage,
}

/// A program that uses the client.
#[derive(Debug)]
struct Process {
    who: Who,
    client: Client,
    shelf: Shelf,
    callers: Vec<JoinHandle<()>>,
    keeper: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Month {
    vendor: Vendor,
    seed: u64,
    luck: Rng,
    climate: Climate,
    begun: Instant,
    /// The day on which the week of silence begins.
    silence: u32,
    site: Arc<Site>,
    processes: Vec<Process>,
    started: Who,
    handed_in: Option<TokenSet>,
    agenda: BTreeMap<(Duration, usize), Event>,
    planned: usize,
    logs_in_at: Option<Duration>,
}

/// Lives through the month of a seed, and tells how much happened.
///
/// # Panics
///
/// With the seed, the moment and the history, when something did not hold.
pub(super) fn live_through(vendor: Vendor, seed: u64) -> CountingObserver {
    // The client's own jitter comes from here.
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut month = Box::pin(Month::begin(vendor, seed)).await;
        Box::pin(month.pass()).await;
        month.site.ledger().tally()
    })
}

impl Climate {
    fn of(vendor: Vendor, luck: &mut Rng) -> Self {
        let rules = vendor.rules();
        let is_harsh = rules.logs_in || luck.u32(..4) == 0;
        let mut often = |upto: u32| if luck.bool() { luck.u32(1..=upto) } else { 0 };
        Self {
            outages: often(3),
            jumps: often(4),
            revocations: often(2),
            ended_logins: if is_harsh { often(1) } else { 0 },
            kills: often(4),
            processes: 1 + often(1) as usize,
            keeps_alive: often(1) > 0,
            impatience: f64::from(often(4)) / 8.0,
            is_harsh,
        }
    }
}

impl Month {
    async fn begin(vendor: Vendor, seed: u64) -> Self {
        let mut luck = Rng::with_seed(seed);
        let climate = Climate::of(vendor, &mut luck);
        let start: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
        let site = Site::new(vendor, start, luck.fork());
        let mut month = Self {
            vendor,
            seed,
            climate,
            begun: Instant::now(),
            silence: luck.u32(2..21),
            site,
            processes: Vec::new(),
            started: PERSON,
            handed_in: None,
            agenda: BTreeMap::new(),
            planned: 0,
            logs_in_at: None,
            luck,
        };
        month.plan_all();
        month.handed_in = month.site.tenant.log_in(Line::new(PERSON, &month.site)).await;
        for _ in 0..climate.processes {
            month.start_process();
        }
        month
    }

    /// Everything that does not follow from something else.
    fn plan_all(&mut self) {
        for day in 0..30 {
            let is_silent = (self.silence..self.silence + 7).contains(&day);
            let bursts = match day % 7 {
                _ if is_silent => 0,
                5 | 6 => self.luck.u32(..2),
                _ => self.luck.u32(2..7),
            };
            for _ in 0..bursts {
                let at = DAY * day + HOUR.mul_f64(7.0 + 12.0 * self.luck.f64());
                let callers = self.luck.u32(1..13);
                self.plan(at, Event::Burst(callers));
            }
            if !is_silent && self.luck.u32(..4) == 0 {
                let at = DAY * day + HOUR.mul_f64(5.0 * self.luck.f64());
                self.plan(at, Event::Burst(1));
            }
        }
        let Climate { outages, jumps, revocations, ended_logins, kills, .. } = self.climate;
        let sudden = [
            (outages, Event::Outage),
            (jumps, Event::Jump),
            (revocations, Event::EndAccess),
            (ended_logins, Event::EndLogins),
            (kills, Event::Kill),
        ];
        for (count, event) in sudden {
            for _ in 0..count {
                let at = (MONTH - DAY).mul_f64(self.luck.f64());
                self.plan(at, event);
            }
        }
    }

    fn plan(&mut self, at: Duration, event: Event) {
        self.planned += 1;
        self.agenda.insert((at, self.planned), event);
    }

    async fn pass(&mut self) {
        while let Some(((at, _), event)) = self.agenda.pop_first() {
            if at >= MONTH {
                break;
            }
            self.rest_until(self.begun + at).await;
            self.check();
            self.happens(at, event).await;
            self.check();
        }
        self.end().await;
    }

    /// Lets time pass, unless something does not hold meanwhile.
    async fn rest_until(&self, moment: Instant) {
        let alarm = self.site.ledger().alarm();
        if timeout_at(moment, alarm.notified()).await.is_ok() {
            self.check();
        }
    }

    async fn happens(&mut self, at: Duration, event: Event) {
        if !matches!(event, Event::Burst(_)) {
            self.site.ledger().note(format_args!("now: {event:?}"));
        }
        match event {
            Event::Burst(callers) => self.burst(at, callers),
            Event::CancelAll => {
                for process in &mut self.processes {
                    process.callers.drain(..).for_each(|caller| caller.abort());
                }
            }
            Event::EndAccess => {
                self.site.tenant.end_access_tokens();
                self.site.ledger().access_ends();
            }
            Event::EndLogins => {
                self.site.tenant.revoke_all();
                self.site.ledger().logins_end();
            }
            Event::Jump => self.jump(),
            Event::Kill => self.kill(at),
            Event::LogIn => self.log_in().await,
            Event::Outage => self.outage(at),
        }
        let stranded = self.site.ledger().stranded_since();
        if let Some(since) = stranded.filter(|_| self.logs_in_at.is_none()) {
            let moment = (since - self.begun).max(at) + HOUR.mul_f64(0.2 + 8.0 * self.luck.f64());
            self.logs_in_at = Some(moment);
            self.plan(moment, Event::LogIn);
        }
    }

    /// Callers that come at once, or nearly so.
    fn burst(&mut self, at: Duration, callers: u32) {
        let spread = self.luck.choice([Duration::ZERO, SECOND, 20 * SECOND]).unwrap_or_default();
        for _ in 0..callers {
            let after = spread.mul_f64(self.luck.f64());
            let max_wait = self.luck.choice([0, 1, 10, 60, 120, 120]).unwrap_or_default() * SECOND;
            let gives_up = self.luck.f64() < self.climate.impatience;
            let patience = gives_up.then(|| (3 * SECOND).mul_f64(self.luck.f64()));
            let index = self.luck.usize(..self.processes.len());
            let process = &mut self.processes[index];
            let (site, client, who) = (Arc::clone(&self.site), process.client.clone(), process.who);
            process.callers.retain(|caller| !caller.is_finished());
            process.callers.push(tokio::spawn(async move {
                tokio::time::sleep(after).await;
                call(&site, who, &client, max_wait, patience).await;
            }));
        }
        if self.luck.u32(..5) < 2 {
            self.aim(at);
        }
    }

    /// Plans a burst around the moment at which the token ripens or ends, and perhaps something else with it.
    fn aim(&mut self, at: Duration) {
        let Some(ends) = self.site.ledger().newest_ends() else { return };
        let life = self.site.rules.access;
        let before = match self.luck.u32(..4) {
            0 => (life / 5).min(5 * HOUR).mul_f64(self.luck.f64()),
            1 => SECOND.mul_f64(29.5 + self.luck.f64()),
            _ => (35 * SECOND).mul_f64(self.luck.f64()),
        };
        let moment = ends.saturating_duration_since(self.begun).saturating_sub(before);
        let silence = DAY * self.silence..DAY * (self.silence + 7);
        if moment <= at || silence.contains(&moment) {
            return;
        }
        let callers = self.luck.u32(1..13);
        self.plan(moment, Event::Burst(callers));
        let upset = match self.luck.u32(..12) {
            0..=3 => Event::CancelAll,
            4 if self.climate.kills > 0 => Event::Kill,
            5 if self.climate.jumps > 0 => Event::Jump,
            6 if self.climate.outages > 0 => return self.plan(moment.saturating_sub(HOUR / 2), Event::Outage),
            _ => return,
        };
        let after = (4 * SECOND).mul_f64(self.luck.f64());
        self.plan(moment + after, upset);
    }

    fn outage(&mut self, at: Duration) {
        let mut troubles = vec![Trouble::Mixed, Trouble::Mixed, Trouble::Dropped, Trouble::Html, Trouble::Status];
        troubles.extend([Trouble::Silence, Trouble::StayAway]);
        // Where the vendor rotates and only a person can log in, a lost answer is a lost login.
        if self.climate.is_harsh || !self.site.rules.rotates {
            troubles.push(Trouble::Lost);
        }
        let trouble = self.luck.choice(troubles).unwrap_or(Trouble::Mixed);
        let from = self.begun + at;
        // Every month ends in good weather.
        if at < MONTH - DAY {
            self.site.set_out(Outage { from, until: from + HOUR, trouble });
        }
    }

    /// Sets the machine's clock by an hour to three months, either way.
    fn jump(&mut self) {
        let hours = 2160_f64.powf(self.luck.f64()) as i64;
        let by = SignedDuration::from_hours(if self.luck.bool() { hours } else { -hours });
        self.site.clock.jump(by);
        self.site.ledger().jumps(by);
    }

    fn kill(&mut self, at: Duration) {
        let index = self.luck.usize(..self.processes.len());
        let who = self.processes[index].who;
        let is_idle = self.site.ledger().is_idle(who);
        // What was on its way is lost, and with it a login that only a person can repeat.
        if !self.climate.is_harsh && self.site.rules.rotates && !is_idle {
            return self.plan(at + 40 * SECOND, Event::Kill);
        }
        self.end_process(index);
        self.start_process();
    }

    async fn log_in(&mut self) {
        self.handed_in = self.site.tenant.log_in(Line::new(PERSON, &self.site)).await;
        self.logs_in_at = None;
        for _ in 0..self.processes.len() {
            self.end_process(0);
            self.start_process();
        }
    }

    fn end_process(&mut self, index: usize) {
        let process = self.processes.remove(index);
        self.site.ledger().kill(process.who);
        process.shelf.release();
        process.callers.iter().for_each(JoinHandle::abort);
        process.keeper.iter().for_each(JoinHandle::abort);
    }

    fn start_process(&mut self) {
        self.started += 1;
        let who = self.started;
        let shelf = Shelf::new(who, &self.site);
        let client = self.site.tenant.client(Line::new(who, &self.site), shelf.clone(), self.handed_in.clone());
        let keeper = self.climate.keeps_alive.then(|| {
            let (site, client) = (Arc::clone(&self.site), client.clone());
            tokio::spawn(async move {
                let error = client.keep_alive().await;
                site.ledger().keep_alive_ends(who, &error);
            })
        });
        self.processes.push(Process { who, client, shelf, callers: Vec::new(), keeper });
    }

    /// Everybody is served at the end, and what had to last has lasted.
    async fn end(&mut self) {
        self.rest_until(self.begun + MONTH).await;
        if self.site.ledger().stranded_since().is_some() {
            self.log_in().await;
        }
        self.all_are_served().await;
        let tally = self.site.ledger().tally();
        let rules = self.site.rules;
        if !rules.logs_in && !self.climate.is_harsh && tally.stranded > 0 {
            self.fails("a login that only a person can repeat was lost");
        }
        self.check_log();
        let Climate { keeps_alive, jumps, revocations, ended_logins, outages, .. } = self.climate;
        let calm = jumps + revocations + ended_logins + outages == 0 && tally.kills_under_way == 0;
        if keeps_alive && calm && self.vendor == Vendor::RepairyRotated && tally.logins != 1 {
            self.fails(&format!("a client that was kept alive logged in anew: {tally:?}"));
        }
        if keeps_alive && rules.rotates && rules.refresh.is_some() {
            let stranded = tally.stranded;
            self.rest_until(self.begun + MONTH + AFTERMATH).await;
            self.all_are_served().await;
            if self.site.ledger().tally().stranded > stranded {
                self.fails("a refresh token lapsed although the client was kept alive");
            }
        }
    }

    async fn all_are_served(&self) {
        for index in 0..self.processes.len() {
            let (who, client) = (self.processes[index].who, self.processes[index].client.clone());
            call(&self.site, who, &client, 120 * SECOND, None).await;
            self.rest_until(Instant::now() + 60 * SECOND).await;
            self.check();
        }
    }

    /// Holds the ledger against the store and the clients, and ends here when something does not hold.
    fn check(&self) {
        let stored = self.site.stored();
        let statuses: Vec<_> =
            self.processes.iter().map(|process| (process.who, process.client.auth_status())).collect();
        let counters = self.site.tenant.counters();
        self.site.ledger().audit(stored.as_ref(), &statuses, &counters);
        let violation = self.site.ledger().violation();
        if let Some(violation) = violation {
            self.fails(&violation);
        }
    }

    /// The tenant's own account: no generation of a login's tokens gave two successors.
    fn check_log(&self) {
        let mut renewed = BTreeSet::new();
        for request in self.site.tenant.token_requests() {
            let fresh = renewed.insert((request.family, request.generation, request.kind));
            if request.accepted && !fresh {
                self.fails(&format!("the tenant renewed one generation twice: {request:?}"));
            }
        }
    }

    fn fails(&self, what: &str) -> ! {
        let Self { vendor, seed, climate, .. } = self;
        panic!("seed {seed}, {vendor:?}: {what}\n{climate:?}\nlive through it again with SERVICEBAY_SEED={seed}");
    }
}

/// One caller: waits for its answer, or gives up before.
async fn call(site: &Site, who: Who, client: &Client, max_wait: Duration, patience: Option<Duration>) {
    let begun = Instant::now();
    let assured = site.ledger().assured(who);
    let result = match patience {
        None => client.call(max_wait).await,
        Some(patience) => match timeout(patience, client.call(max_wait)).await {
            Ok(result) => result,
            Err(_) => return site.ledger().cancels(),
        },
    };
    let was_out = site.was_out(begun, Instant::now());
    site.ledger().returns(Returned { who, begun, max_wait, assured, was_out, result });
}
