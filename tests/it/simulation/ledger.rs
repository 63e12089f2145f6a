//! What must hold, held against everything that happens.
//!
//! The ledger knows what the tenant did, what arrived at whom, and what is stored. It asks no client what it thinks of
//! itself but for its status. The first thing that does not hold is kept, with the history that led there.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use secrecy::ExposeSecret as _;
use servicebay::testing::Counters;
use servicebay::{AuthStatus, CompareAndSwap, Error, TokenSet};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::site::{API_TRAVEL, Who};
use super::vendor::Rules;

/// The person who logs in where only a person can.
pub(super) const PERSON: Who = 0;
/// How long a client waits for the answer to a token request.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// A client waits for new tokens in the last half minute of the old ones.
const HARD: Duration = Duration::from_secs(31);
/// A token is renewed in the last fifth of its life, and no earlier than this before its end.
const RIPE: Duration = Duration::from_secs(5 * 3600);
/// A vendor that refuses token after token gets a new request only now and then for this long.
const REJECTIONS: Duration = Duration::from_secs(600);
/// A wait that a token request, or two, can take though nothing is wrong.
const PATIENCE: Duration = Duration::from_secs(20);
/// More token requests than any month needs.
const MOST_REQUESTS: usize = 5_000;
/// How much of the history is kept.
const KEPT: usize = 60;

/// What a token request asks for, and what it presents.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) kind: Kind,
    pub(super) refresh: Option<String>,
    pub(super) access: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Login,
    Refresh,
}

/// What the client hears of a token request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The vendor failed, and did nothing.
    Failed,
    Granted {
        access: String,
        refresh: Option<String>,
    },
    Refused,
    /// Nothing, or nothing certain: what became of it nobody knows.
    Unknown,
}

/// A call that has come to its end.
#[derive(Debug)]
pub(super) struct Returned {
    pub(super) who: Who,
    pub(super) begun: Instant,
    pub(super) max_wait: Duration,
    /// Where a token lived when it began: how many revocations there had been.
    pub(super) assured: Option<u32>,
    /// Whether the identity server failed meanwhile, or just before.
    pub(super) was_out: bool,
    pub(super) result: Result<(), Error>,
}

#[derive(Debug)]
pub(super) struct Ledger {
    rules: Rules,
    begun: Instant,
    history: VecDeque<String>,
    violation: Option<String>,
    alarm: Arc<Notify>,
    requests: Vec<Request>,
    /// Those of clients that may be under way.
    open: Vec<usize>,
    /// Which request was granted the successor of a generation in the store.
    granted: BTreeMap<u64, usize>,
    /// Which request a process was refused for what it presented.
    refused: BTreeMap<(Who, String), usize>,
    /// Of which request for what it presented a process does not know what became.
    uncertain: BTreeMap<(Who, String), usize>,
    /// The pairs that arrived, and were not lost with the process that got them.
    pairs: Vec<Pair>,
    access: BTreeMap<String, Access>,
    refresh_ends: BTreeMap<String, Instant>,
    /// What persons brought.
    handed_in: BTreeSet<String>,
    /// Refresh tokens that were presented to the tenant, and those that it replaced.
    presented: BTreeSet<String>,
    spent: BTreeSet<String>,
    /// The families that ended, by order or because a spent token came again.
    ended: BTreeSet<String>,
    killed: BTreeSet<Who>,
    /// Processes that only a person can help.
    stranded: BTreeMap<Who, Instant>,
    /// The newest token that a process has sent or stored.
    current: BTreeMap<Who, String>,
    heard_401: BTreeSet<(Who, String)>,
    rejections: BTreeMap<Who, Vec<Instant>>,
    /// Tokens that a process may send again though it heard a 401: another was refused just before, and the client
    /// does not let every 401 cost a token.
    doubtful: BTreeSet<(Who, String)>,
    jumps: u32,
    revocations: u32,
    /// Refreshes that the tenant saw twice for a reason.
    repeats: u64,
    tally: CountingObserver,
}

/// What happened how often: a simulation in which nothing happens proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CountingObserver {
    pub(super) calls: u64,
    pub(super) cancelled_calls: u64,
    pub(super) waited_calls: u64,
    pub(super) granted: u64,
    pub(super) logins: u64,
    pub(super) troubled: u64,
    pub(super) stranded: u64,
    pub(super) audits: u64,
    pub(super) kills: u64,
    pub(super) kills_under_way: u64,
}

impl CountingObserver {
    pub(super) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.cancelled_calls += other.cancelled_calls;
        self.waited_calls += other.waited_calls;
        self.granted += other.granted;
        self.logins += other.logins;
        self.troubled += other.troubled;
        self.stranded += other.stranded;
        self.audits += other.audits;
        self.kills += other.kills;
        self.kills_under_way += other.kills_under_way;
    }

    /// Whether enough happened to prove anything.
    pub(super) fn is_eventful(&self) -> bool {
        let counts = [self.calls, self.cancelled_calls, self.waited_calls, self.granted, self.troubled, self.kills];
        counts.iter().all(|count| *count > 0) && self.audits > 100
    }
}

/// A request to the token endpoint.
#[derive(Debug)]
struct Request {
    who: Who,
    asked: Asked,
    /// The generation in the store when it began.
    generation: u64,
    begun: Instant,
    ending: Option<Ending>,
    /// Whether what it was granted is gone: its process was killed before it stored it.
    is_lost: bool,
}

#[derive(Clone, Debug)]
struct Pair {
    access: String,
    refresh: Option<String>,
    to: Who,
    arrived: Instant,
    is_stored: bool,
}

#[derive(Debug)]
struct Access {
    /// Which token came before which.
    order: usize,
    family: String,
    to: Who,
    ends: Instant,
    /// How often the wall clock had jumped when it was granted.
    jumps: u32,
    is_revoked: bool,
}

impl Ledger {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            rules,
            begun: Instant::now(),
            history: VecDeque::new(),
            violation: None,
            alarm: Arc::default(),
            requests: Vec::new(),
            open: Vec::new(),
            granted: BTreeMap::new(),
            refused: BTreeMap::new(),
            uncertain: BTreeMap::new(),
            pairs: Vec::new(),
            access: BTreeMap::new(),
            refresh_ends: BTreeMap::new(),
            handed_in: BTreeSet::new(),
            presented: BTreeSet::new(),
            spent: BTreeSet::new(),
            ended: BTreeSet::new(),
            killed: BTreeSet::new(),
            stranded: BTreeMap::new(),
            current: BTreeMap::new(),
            heard_401: BTreeSet::new(),
            rejections: BTreeMap::new(),
            doubtful: BTreeSet::new(),
            jumps: 0,
            revocations: 0,
            repeats: 0,
            tally: CountingObserver::default(),
        }
    }

    /// Adds a line to the history.
    pub(super) fn note(&mut self, line: impl fmt::Display) {
        if self.history.len() == KEPT {
            self.history.pop_front();
        }
        let line = format!("{} {line}", self.moment());
        self.history.push_back(line);
    }

    /// Keeps the first thing that does not hold.
    pub(super) fn violated(&mut self, what: impl fmt::Display) {
        if self.violation.is_none() {
            self.violation = Some(format!("{}: {what}", self.moment()));
            self.alarm.notify_one();
        }
    }

    /// The first thing that did not hold, and what led there.
    pub(super) fn violation(&self) -> Option<String> {
        let violation = self.violation.as_ref()?;
        Some(format!("{violation}\nwhat came before:\n{}", Vec::from(self.history.clone()).join("\n")))
    }

    /// Rings when something does not hold.
    pub(super) fn alarm(&self) -> Arc<Notify> {
        Arc::clone(&self.alarm)
    }

    pub(super) fn tally(&self) -> CountingObserver {
        self.tally
    }

    fn moment(&self) -> String {
        let passed = self.begun.elapsed();
        let seconds = passed.as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        format!("day {days}, {hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, passed.subsec_millis())
    }
}

/// What the simulation does to its world.
impl Ledger {
    pub(super) fn is_killed(&self, who: Who) -> bool {
        self.killed.contains(&who)
    }

    /// A process is killed: what it asked for nobody hears, and what it had not stored is gone.
    pub(super) fn kill(&mut self, who: Who) {
        let mut count = 0;
        for number in &self.open {
            let request = &mut self.requests[*number];
            if request.who == who && request.ending.is_none() {
                request.ending = Some(Ending::Unknown);
                count += 1;
            }
        }
        while self.pairs.last().is_some_and(|pair| pair.to == who && !pair.is_stored) {
            let lost = self.pairs.pop().expect("there is a last one");
            for request in &mut self.requests {
                request.is_lost |=
                    matches!(&request.ending, Some(Ending::Granted { access, .. }) if *access == lost.access);
            }
            count += 1;
        }
        self.tally.kills += 1;
        self.tally.kills_under_way += u64::from(count > 0);
        self.killed.insert(who);
        self.note(format_args!("process {who} is killed, {count} renewals under way"));
    }

    pub(super) fn jumps(&mut self, by: impl fmt::Display) {
        self.jumps += 1;
        self.note(format_args!("the wall clock jumps by {by}"));
    }

    /// The tenant takes back all access tokens.
    pub(super) fn access_ends(&mut self) {
        self.note("the vendor ends all access tokens");
        self.revoke(|_| true);
    }

    /// The tenant takes back everything.
    pub(super) fn logins_end(&mut self) {
        self.note("the vendor ends all logins");
        self.ended.extend(self.access.keys().map(|access| family(access).to_owned()));
        self.revoke(|_| true);
    }

    fn revoke(&mut self, which: impl Fn(&Access) -> bool) {
        self.revocations += 1;
        self.access.values_mut().filter(|access| which(access)).for_each(|access| access.is_revoked = true);
    }

    /// Whether a process waits for nothing, so that it can be stopped without a loss.
    pub(super) fn is_idle(&self, who: Who) -> bool {
        let asks = self.requests.iter().any(|request| request.who == who && request.ending.is_none());
        let stores = self.pairs.iter().any(|pair| pair.to == who && !pair.is_stored);
        !asks && !stores
    }

    /// When the newest access token ends.
    pub(super) fn newest_ends(&self) -> Option<Instant> {
        Some(self.access.get(&self.pairs.last()?.access)?.ends)
    }

    /// The processes that only a person can help, and since when.
    pub(super) fn stranded_since(&self) -> Option<Instant> {
        self.stranded.iter().find(|(who, _)| !self.killed.contains(who)).map(|(_, since)| *since)
    }

    /// Whether the process has a token that lives beyond doubt; then how many revocations there have been.
    pub(super) fn assured(&self, who: Who) -> Option<u32> {
        let current = self.current.get(&who)?;
        let access = self.access.get(current)?;
        let is_in_force = !access.is_revoked && access.ends > Instant::now() + HARD;
        // One from the store is judged by the wall clock.
        let is_known = access.to == who || access.jumps == self.jumps;
        let is_refused = self.heard_401.contains(&(who, current.clone()));
        (is_in_force && is_known && !is_refused).then_some(self.revocations)
    }
}

/// What happens at the token endpoint and at the store.
impl Ledger {
    /// A token request leaves.
    pub(super) fn asks(&mut self, who: Who, asked: Asked, stored: Option<&TokenSet>) -> usize {
        let generation = stored.map_or(0, TokenSet::generation);
        self.note(format_args!("process {who} asks for tokens: {asked:?}, with generation {generation} stored"));
        if who != PERSON {
            self.may_ask(who, &asked, stored);
            self.open.retain(|number| self.requests[*number].ending.is_none());
            self.open.push(self.requests.len());
        }
        let (begun, ending, is_lost) = (Instant::now(), None, false);
        self.requests.push(Request { who, asked, generation, begun, ending, is_lost });
        self.requests.len() - 1
    }

    fn may_ask(&mut self, who: Who, asked: &Asked, stored: Option<&TokenSet>) {
        let generation = stored.map_or(0, TokenSet::generation);
        let mut wrong = Vec::new();
        if self.requests.len() > MOST_REQUESTS {
            wrong.push(format!("process {who} asks for tokens without end"));
        }
        let open = |number: &&usize| {
            let earlier = &self.requests[**number];
            earlier.ending.is_none() && earlier.begun.elapsed() < TOKEN_TIMEOUT
        };
        if let Some(number) = self.open.iter().find(open) {
            wrong.push(format!("process {who} asks for tokens while request {number} is under way"));
        }
        let granted = self.granted.get(&generation).filter(|number| !self.requests[**number].is_lost);
        if let Some(number) = granted {
            wrong.push(format!("request {number} for generation {generation} was granted, and another is sent"));
        }
        if let Some(newest) = self.needless(who) {
            wrong.push(format!("process {who} asks for tokens although {newest} is in its prime"));
        }
        let uncertain = self.uncertain.get(&(who, asked.refresh.clone().unwrap_or_default()));
        if let Some(number) = uncertain.filter(|_| self.rules.logs_in) {
            wrong.push(format!("process {who} could log in, and repeats request {number}, of which nobody knows"));
        }
        let presented = asked.refresh.clone().map(|refresh| (who, refresh));
        if let Some(number) = presented.and_then(|presented| self.refused.get(&presented)) {
            wrong.push(format!("process {who} presents again what request {number} was refused for"));
        }
        if let Some(refresh) = &asked.refresh {
            let newest = self.pairs.last();
            let is_newest = newest.is_some_and(|pair| pair.refresh.as_ref() == Some(refresh));
            // What was handed in may be tried when the stored is refused, and is by a process that cannot know better.
            let was_refused = self.refused.keys().any(|(earlier, _)| *earlier == who);
            let was_handed_in = self.handed_in.contains(refresh) && !self.spent.contains(refresh) && was_refused;
            // Until what a person brings is stored, the store's own may count as the newer by its date.
            let is_handed_in = newest.is_some_and(|pair| pair.to == PERSON && !pair.is_stored);
            let is_stored =
                stored.and_then(|tokens| tokens.refresh_token()).is_some_and(|it| it.expose_secret() == refresh);
            let may_be_tried = was_handed_in || (is_handed_in && is_stored);
            if !is_newest && !may_be_tried {
                wrong.push(format!("process {who} presents {refresh}, and {newest:?} is the newest"));
            }
        }
        if let Some(first) = wrong.into_iter().next() {
            self.violated(first);
        }
    }

    /// The newest access token, where nothing that the process knows speaks against it.
    fn needless(&self, who: Who) -> Option<&str> {
        let newest = self.pairs.last().filter(|pair| pair.is_stored)?;
        let access = self.access.get(&newest.access)?;
        let ripe = (self.rules.access / 5).min(RIPE);
        let is_refused = self.heard_401.contains(&(who, newest.access.clone()));
        let in_its_prime = access.ends > Instant::now() + ripe && !access.is_revoked;
        (in_its_prime && !is_refused && !self.may_misjudge(who, access)).then_some(newest.access.as_str())
    }

    /// The tenant has handled a token request, whoever hears of it.
    pub(super) fn tenant_decides(&mut self, number: usize, accepted: bool, given: Option<&(String, Option<String>)>) {
        let now = Instant::now();
        let (who, asked) = (self.requests[number].who, self.requests[number].asked.clone());
        self.note(format_args!("the tenant decides on request {number}: accepted {accepted}, {given:?}"));
        if let Some(refresh) = &asked.refresh {
            let known = !self.ended.contains(family(refresh));
            if self.rules.rotates && known && !self.presented.insert(refresh.clone()) {
                self.repeats += 1;
            }
            if !accepted {
                self.explain_refusal(number, &asked);
            } else if self.rules.rotates {
                self.spent.insert(refresh.clone());
            }
            if accepted && self.rules.old_access_dies {
                self.revoke(|access| access.family == family(refresh));
            }
        }
        let Some((access, refresh)) = given else { return };
        let order = self.access.len();
        let (ends, jumps) = (now + self.rules.access, self.jumps);
        self.access.insert(
            access.clone(),
            Access { order, family: family(access).to_owned(), to: who, ends, jumps, is_revoked: false },
        );
        if let (Some(refresh), Some(life)) = (refresh, self.rules.refresh) {
            self.refresh_ends.entry(refresh.clone()).or_insert(now + life);
        }
    }

    /// A refresh is refused only for what happened to its tokens, never for what the client did with them.
    fn explain_refusal(&mut self, number: usize, asked: &Asked) {
        let Some(refresh) = &asked.refresh else { return };
        let now = Instant::now();
        let who = self.requests[number].who;
        let family_of_it = family(refresh).to_owned();
        let is_over = self.refresh_ends.get(refresh).is_some_and(|ends| *ends <= now);
        let is_ended = self.ended.contains(&family_of_it);
        let access = asked.access.as_ref().and_then(|access| self.access.get(access));
        let lacks_access = self.rules.needs_living_access
            && access.is_some_and(|access| access.is_revoked || (access.ends <= now && self.may_misjudge(who, access)));
        let was_uncertain = self.requests[..number].iter().any(|earlier| {
            let same = earlier.asked.refresh.as_ref() == Some(refresh);
            same && (earlier.ending == Some(Ending::Unknown) || earlier.is_lost)
        });
        let is_repeated = self.spent.contains(refresh);
        if is_repeated && !is_ended && !lacks_access {
            self.ended.insert(family_of_it.clone());
            self.revoke(|access| access.family == family_of_it);
        }
        let is_explained = is_over || is_ended || lacks_access || (is_repeated && was_uncertain);
        if !is_explained {
            self.violated(format_args!(
                "request {number} of process {who} is refused: {asked:?}, spent: {is_repeated}"
            ));
        }
    }

    /// Whether a process can be wrong about how long a token lives: it found it in the store, and the wall clock jumped
    /// since it was granted.
    fn may_misjudge(&self, who: Who, access: &Access) -> bool {
        access.to != who && access.jumps != self.jumps
    }

    /// The answer to a token request arrives.
    pub(super) fn hears(&mut self, number: usize, ending: Ending) {
        let request = &mut self.requests[number];
        let (who, kind) = (request.who, request.asked.kind);
        if self.killed.contains(&who) {
            return;
        }
        request.ending = Some(ending.clone());
        let (presented, generation) = (request.asked.refresh.clone(), request.generation);
        self.note(format_args!("process {who} hears of request {number}: {ending:?}"));
        match ending {
            Ending::Granted { access, refresh } => {
                let (arrived, is_stored) = (Instant::now(), false);
                match who {
                    PERSON => self.handed_in.extend(refresh.clone()),
                    _ => drop(self.granted.insert(generation, number)),
                }
                self.pairs.push(Pair { access, refresh: refresh.or(presented), to: who, arrived, is_stored });
                self.tally.granted += 1;
                self.tally.logins += u64::from(kind == Kind::Login);
            }
            Ending::Refused => {
                self.refused.extend(presented.map(|refresh| ((who, refresh), number)));
                if kind == Kind::Login {
                    self.violated(format_args!("a login of process {who} is refused"));
                } else if !self.rules.logs_in {
                    self.stranded.insert(who, Instant::now());
                    self.tally.stranded += 1;
                }
            }
            Ending::Failed => self.tally.troubled += 1,
            Ending::Unknown => {
                self.tally.troubled += 1;
                self.uncertain.extend(presented.map(|refresh| ((who, refresh), number)));
            }
        }
    }

    /// A client stops waiting for a token request.
    pub(super) fn abandons(&mut self, number: usize) {
        let request = &mut self.requests[number];
        let waited = request.begun.elapsed();
        if request.ending.is_some() {
            return;
        }
        request.ending = Some(Ending::Unknown);
        self.tally.troubled += 1;
        self.uncertain.extend(request.asked.refresh.clone().map(|refresh| ((request.who, refresh), number)));
        self.note(format_args!("request {number} is given up after {waited:?}"));
        if waited < TOKEN_TIMEOUT {
            self.violated(format_args!("request {number} went with its callers, after {waited:?}"));
        }
    }

    /// A process has stored a pair.
    pub(super) fn stores(&mut self, who: Who, tokens: &TokenSet, swap: &CompareAndSwap) {
        let access = tokens.access_token().expose_secret();
        let refresh = tokens.refresh_token().map(|refresh| refresh.expose_secret());
        self.note(format_args!("process {who} stores generation {}: {access} {refresh:?}", tokens.generation()));
        if !matches!(swap, CompareAndSwap::Stored) {
            self.violated(format_args!("process {who} finds that another renewed beside it: {swap:?}"));
        }
        let newest = self.pairs.last_mut();
        match newest.filter(|pair| pair.access == access && pair.refresh.as_deref() == refresh) {
            Some(pair) => {
                pair.is_stored = true;
                self.current.insert(who, access.to_owned());
            }
            None => {
                let newest = format!("{:?}", self.pairs.last());
                self.violated(format_args!("process {who} stores {access} {refresh:?}, and {newest} is the newest"));
            }
        }
    }
}

/// What happens to calls.
impl Ledger {
    /// A call leaves.
    pub(super) fn sends(&mut self, who: Who, access: &str) {
        let Some(sent) = self.access.get(access) else {
            return self.violated(format_args!("process {who} sends {access:?}, which nobody gave out"));
        };
        let order = sent.order;
        if self.pairs.last().is_some_and(|pair| pair.access == access && !pair.is_stored) {
            self.violated(format_args!("process {who} sends {access}, which is not stored"));
        }
        let current = self.current.get(&who).and_then(|current| self.access.get(current));
        if let Some(current) = current.filter(|current| current.order > order) {
            let newer = current.order - order;
            self.violated(format_args!("process {who} sends {access}, {newer} older than what it had"));
        }
        let sent = (who, access.to_owned());
        if self.heard_401.contains(&sent) && !self.doubtful.contains(&sent) {
            self.violated(format_args!("process {who} sends {access} again after its 401"));
        }
        self.current.insert(who, access.to_owned());
    }

    /// A call arrives at the tenant, which answers with this status.
    pub(super) fn arrives(&mut self, who: Who, access: &str, status: StatusCode) {
        let now = Instant::now();
        let Some(sent) = self.access.get(access) else { return };
        let is_over = sent.ends <= now;
        match status.as_u16() {
            200 if is_over || sent.is_revoked => self.violated(format_args!("{access} still opens the door")),
            200 => {}
            401 if sent.is_revoked || (is_over && self.may_misjudge(who, sent)) => {}
            401 => {
                let by = now - sent.ends;
                self.violated(format_args!("process {who} calls with {access}, dead for {by:?}"));
            }
            other => self.violated(format_args!("a call of process {who} is answered with {other}")),
        }
    }

    /// A process hears that a token is not good.
    pub(super) fn hears_401(&mut self, who: Who, access: &str) {
        if self.heard_401.insert((who, access.to_owned())) {
            self.note(format_args!("process {who} hears a 401 for {access}"));
            if self.recent_rejections(who) > 0 {
                self.doubtful.insert((who, access.to_owned()));
            }
            self.rejections.entry(who).or_default().push(Instant::now());
        }
    }

    fn recent_rejections(&self, who: Who) -> usize {
        let all = self.rejections.get(&who).into_iter().flatten();
        all.filter(|moment| moment.elapsed() < REJECTIONS).count()
    }

    pub(super) fn cancels(&mut self) {
        self.tally.calls += 1;
        self.tally.cancelled_calls += 1;
    }

    /// A call has come to its end.
    pub(super) fn returns(&mut self, call: Returned) {
        let Returned { who, begun, max_wait, assured, was_out, result } = call;
        let took = begun.elapsed();
        let attempt = 2 * API_TRAVEL + Duration::from_millis(5);
        self.tally.calls += 1;
        self.tally.waited_calls += u64::from(took > 2 * attempt);
        if took > max_wait + 2 * attempt {
            self.violated(format_args!("a call of process {who} took {took:?}, and may wait {max_wait:?}"));
        }
        let had_a_token = assured == Some(self.revocations);
        let Err(error) = result else {
            if had_a_token && took > attempt {
                self.violated(format_args!("a call of process {who} waited {took:?} although its token lived"));
            }
            return;
        };
        let stranded = self.stranded.contains_key(&who);
        let is_explained = match &error {
            _ if had_a_token => false,
            Error::Connect(_) | Error::Decode(_) | Error::Server(_) => was_out,
            Error::Timeout(_) => took >= max_wait && (was_out || max_wait < PATIENCE),
            Error::ReauthRequired(_) => stranded,
            Error::Unauthorized(_) => stranded || self.recent_rejections(who) > 1,
            _ => false,
        };
        if !is_explained {
            self.violated(format_args!("a call of process {who} failed after {took:?} of {max_wait:?}: {error:?}"));
        }
    }

    pub(super) fn keep_alive_ends(&mut self, who: Who, error: &Error) {
        if !self.stranded.contains_key(&who) {
            self.violated(format_args!("process {who} is kept alive no longer: {error}"));
        }
    }
}

/// What is true whenever nothing is under way.
impl Ledger {
    pub(super) fn audit(&mut self, stored: Option<&TokenSet>, statuses: &[(Who, AuthStatus)], counters: &Counters) {
        let unstored = self.pairs.last().filter(|pair| !pair.is_stored && pair.to != PERSON).cloned();
        if let Some(pair) = unstored {
            if pair.arrived.elapsed() > PATIENCE {
                self.violated(format_args!("a pair is not stored: {pair:?}"));
            }
            return;
        }
        let open = |request: &Request| request.ending.is_none() && request.begun.elapsed() < TOKEN_TIMEOUT;
        if self.open.iter().any(|number| open(&self.requests[*number])) {
            return;
        }
        self.tally.audits += 1;
        let repeated = counters.repeated_refreshes();
        if self.rules.rotates && repeated != self.repeats {
            let repeats = self.repeats;
            self.violated(format_args!("the tenant saw {repeated} refreshes twice, {repeats} had a reason"));
        }
        let Some(newest) = self.pairs.iter().rfind(|pair| pair.is_stored).cloned() else { return };
        let texts = stored.map(|tokens| {
            let refresh = tokens.refresh_token().map(|refresh| refresh.expose_secret().to_owned());
            (tokens.access_token().expose_secret().to_owned(), refresh)
        });
        if texts.as_ref() != Some(&(newest.access.clone(), newest.refresh.clone())) {
            self.violated(format_args!("the store holds {texts:?}, and {newest:?} is the newest pair"));
        }
        let generation = stored.map_or(0, TokenSet::generation);
        for (who, status) in statuses {
            let (own, failure) = (status.generation(), status.store_failure());
            if own > generation || (newest.to == *who && own != generation) || failure.is_some() {
                self.violated(format_args!("process {who} has generation {own}, stored is {generation}: {status:?}"));
            }
        }
    }
}

/// The family of a token, by its name: `test-access-3-17` is of family 3.
fn family(token: &str) -> &str {
    token.split('-').nth(2).unwrap_or_default()
}
