//! Checks the invariants against everything that happens in a simulation.
//!
//! The checker records what the server did, which responses arrived at which process, and what is stored. Of the clients it
//! uses only their status. It keeps the first violation, with the history that led to it.
//!
//! The [laws](Laws) hold in every month. All other checks describe a mild month exactly, and are not made in an unkind one.

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

use super::host::{API_TRAVEL, ProcessId};
use super::laws::Laws;
use super::vendor::TokenRules;
use crate::support::print;

/// Stands for the user, who logs in at vendors where only a person can.
pub(super) const USER: ProcessId = 0;
/// How long a client waits for the response to a token request.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// Callers wait for new tokens in the last half minute of the old ones.
const HARD_BUFFER: Duration = Duration::from_secs(31);
/// A token is refreshed in the last fifth of its lifetime, but no earlier than this before it expires.
const MAX_EARLY_REFRESH: Duration = Duration::from_secs(5 * 3600);
/// A client that gets several 401s within this time backs off from token requests.
const REJECTION_WINDOW: Duration = Duration::from_secs(600);
/// The longest wait for one or two token requests that succeed.
const MAX_TOKEN_WAIT: Duration = Duration::from_secs(20);
/// More token requests than any month needs.
const MAX_REQUESTS: usize = 5_000;
/// How many lines of the history are kept.
const HISTORY_LINES: usize = 60;
/// How much longer than its max wait a call may take, for its travel.
const GRACE: Duration = Duration::from_secs(1);

/// A token request: its kind, and the tokens that it contains.
#[derive(Clone, Debug)]
pub(super) struct TokenCall {
    pub(super) kind: GrantKind,
    pub(super) refresh: Option<String>,
    pub(super) access: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GrantKind {
    Login,
    Refresh,
}

/// How a token request ended for the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TokenOutcome {
    /// The vendor failed and changed nothing.
    Failed,
    Granted {
        access: String,
        refresh: Option<String>,
    },
    /// There was no connection.
    NotSent,
    Refused,
    /// The vendor refused the request for its frequency alone.
    Throttled,
    /// There was no response, or none that says whether the request was carried out.
    Unknown,
}

/// A call that has completed.
#[derive(Debug)]
pub(super) struct CompletedCall {
    pub(super) process: ProcessId,
    pub(super) started: Instant,
    pub(super) max_wait: Duration,
    /// The number of revocations when it started, if its process had a token that was certainly valid.
    pub(super) valid_token_at: Option<u32>,
    /// Whether that token may have seemed to be due, so that the call waited for a refresh.
    pub(super) had_doubtful_token: bool,
    /// Whether the token endpoint failed during the call, or just before.
    pub(super) had_outage: bool,
    /// Whether the token endpoint and the store have worked for so long that the call must succeed.
    pub(super) was_healthy: bool,
    pub(super) result: Result<(), Error>,
}

#[derive(Debug)]
pub(super) struct InvariantChecker {
    rules: TokenRules,
    /// Whether more than the laws is checked.
    is_mild: bool,
    laws: Laws,
    /// The calls that have not completed.
    open_calls: BTreeMap<u64, OpenCall>,
    started_calls: u64,
    started: Instant,
    history: VecDeque<String>,
    violation: Option<String>,
    violation_notify: Arc<Notify>,
    requests: Vec<Request>,
    /// The requests of clients that may be in flight.
    open: Vec<usize>,
    /// The request that was granted the successor of a stored generation.
    granted: BTreeMap<u64, usize>,
    /// The request in which a process sent a refresh token that was refused.
    refused: BTreeMap<(ProcessId, String), usize>,
    /// The request in which a process sent a refresh token, and whose outcome it does not know.
    uncertain: BTreeMap<(ProcessId, String), usize>,
    /// The tokens that arrived, except those lost with a killed process.
    tokens: Vec<GrantedTokens>,
    access: BTreeMap<String, AccessRecord>,
    refresh_expires_at: BTreeMap<String, Instant>,
    /// The refresh tokens that the server received, and those that it replaced.
    received: BTreeSet<String>,
    replaced: BTreeSet<String>,
    /// The families that were revoked, by the simulation or because a replaced token was sent again.
    revoked_families: BTreeSet<String>,
    killed: BTreeSet<ProcessId>,
    /// The processes that require a login by the user, and since when.
    login_required: BTreeMap<ProcessId, Instant>,
    /// The newest token that each process has sent or stored.
    current: BTreeMap<ProcessId, String>,
    rejected_tokens: BTreeSet<(ProcessId, String)>,
    rejections: BTreeMap<ProcessId, Vec<Instant>>,
    /// Tokens that a process may send again after a 401: another token got a 401 just before, and the client does not
    /// refresh for every 401.
    may_retry_after_401: BTreeSet<(ProcessId, String)>,
    jumps: u32,
    revocations: u32,
    /// How many refresh tokens were sent twice with good reason.
    repeats: u64,
    counts: EventCounts,
}

/// How often each kind of event happened. A simulation without events proves nothing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct EventCounts {
    pub(super) calls: u64,
    pub(super) canceled_calls: u64,
    pub(super) waited_calls: u64,
    pub(super) granted: u64,
    pub(super) logins: u64,
    pub(super) failed_requests: u64,
    pub(super) login_required: u64,
    pub(super) audits: u64,
    pub(super) kills: u64,
    pub(super) kills_during_refresh: u64,
}

impl EventCounts {
    pub(super) fn add(&mut self, other: Self) {
        self.calls += other.calls;
        self.canceled_calls += other.canceled_calls;
        self.waited_calls += other.waited_calls;
        self.granted += other.granted;
        self.logins += other.logins;
        self.failed_requests += other.failed_requests;
        self.login_required += other.login_required;
        self.audits += other.audits;
        self.kills += other.kills;
        self.kills_during_refresh += other.kills_during_refresh;
    }

    /// Whether there were enough events to prove anything.
    pub(super) fn are_sufficient(&self) -> bool {
        let counts =
            [self.calls, self.canceled_calls, self.waited_calls, self.granted, self.failed_requests, self.kills];
        counts.iter().all(|count| *count > 0) && self.audits > 100
    }
}

/// A call that has not completed.
#[derive(Debug)]
struct OpenCall {
    process: ProcessId,
    started: Instant,
    max_wait: Duration,
}

/// A request to the token endpoint.
#[derive(Debug)]
struct Request {
    process: ProcessId,
    token_call: TokenCall,
    /// The stored generation when it started.
    generation: u64,
    started: Instant,
    outcome: Option<TokenOutcome>,
    /// Whether its tokens are lost, because its process was killed before it stored them.
    is_lost: bool,
}

#[derive(Clone, Debug)]
struct GrantedTokens {
    access: String,
    refresh: Option<String>,
    to: ProcessId,
    arrived: Instant,
    is_stored: bool,
}

#[derive(Debug)]
struct AccessRecord {
    /// The order in which tokens were granted.
    order: usize,
    family: String,
    to: ProcessId,
    expires_at: Instant,
    /// How many times the wall clock had jumped when it was granted.
    jumps: u32,
    is_revoked: bool,
}

impl InvariantChecker {
    pub(super) fn new(rules: TokenRules, is_mild: bool) -> Self {
        Self {
            rules,
            is_mild,
            laws: Laws::new(rules),
            open_calls: BTreeMap::new(),
            started_calls: 0,
            started: Instant::now(),
            history: VecDeque::new(),
            violation: None,
            violation_notify: Arc::default(),
            requests: Vec::new(),
            open: Vec::new(),
            granted: BTreeMap::new(),
            refused: BTreeMap::new(),
            uncertain: BTreeMap::new(),
            tokens: Vec::new(),
            access: BTreeMap::new(),
            refresh_expires_at: BTreeMap::new(),
            received: BTreeSet::new(),
            replaced: BTreeSet::new(),
            revoked_families: BTreeSet::new(),
            killed: BTreeSet::new(),
            login_required: BTreeMap::new(),
            current: BTreeMap::new(),
            rejected_tokens: BTreeSet::new(),
            rejections: BTreeMap::new(),
            may_retry_after_401: BTreeSet::new(),
            jumps: 0,
            revocations: 0,
            repeats: 0,
            counts: EventCounts::default(),
        }
    }

    /// Adds a line to the history.
    pub(super) fn note(&mut self, line: impl fmt::Display) {
        if self.history.len() == HISTORY_LINES {
            self.history.pop_front();
        }
        let line = format!("{} {line}", self.time());
        self.history.push_back(line);
    }

    /// Keeps the first violation of what describes a mild month.
    fn report_violation(&mut self, what: impl fmt::Display) {
        if self.is_mild {
            self.report_broken_law(what);
        }
    }

    /// Keeps the first violation.
    fn report_broken_law(&mut self, what: impl fmt::Display) {
        if self.violation.is_none() {
            self.violation = Some(format!("{}: {what}", self.time()));
            self.violation_notify.notify_one();
        }
    }

    /// The first violation, and the history before it.
    pub(super) fn violation(&self) -> Option<String> {
        let violation = self.violation.as_ref()?;
        Some(format!("{violation}\nhistory:\n{}", Vec::from(self.history.clone()).join("\n")))
    }

    /// Notified at the first violation.
    pub(super) fn violation_notify(&self) -> Arc<Notify> {
        Arc::clone(&self.violation_notify)
    }

    pub(super) fn counts(&self) -> EventCounts {
        self.counts
    }

    fn time(&self) -> String {
        let passed = self.started.elapsed();
        let seconds = passed.as_secs();
        let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
        format!("day {days}, {hours:02}:{minutes:02}:{:02}.{:03}", seconds % 60, passed.subsec_millis())
    }
}

/// What the simulation does.
impl InvariantChecker {
    pub(super) fn is_killed(&self, process: ProcessId) -> bool {
        self.killed.contains(&process)
    }

    /// A process is killed: its responses never arrive, and the tokens that it had not stored are lost.
    pub(super) fn kill(&mut self, process: ProcessId) {
        let mut count = 0;
        for number in &self.open {
            let request = &mut self.requests[*number];
            if request.process == process && request.outcome.is_none() {
                request.outcome = Some(TokenOutcome::Unknown);
                count += 1;
            }
        }
        while self.tokens.last().is_some_and(|tokens| tokens.to == process && !tokens.is_stored) {
            let lost = self.tokens.pop().expect("there is a last one");
            for request in &mut self.requests {
                request.is_lost |=
                    matches!(&request.outcome, Some(TokenOutcome::Granted { access, .. }) if *access == lost.access);
            }
            count += 1;
        }
        self.counts.kills += 1;
        self.counts.kills_during_refresh += u64::from(count > 0);
        self.killed.insert(process);
        self.laws.end_tasks(process, true);
        self.note(format_args!("process {process} is killed, with {count} refreshes in progress"));
    }

    /// The runtime of a process ends, and its client lives on: no task of it makes progress any more.
    pub(super) fn record_runtime_end(&mut self, process: ProcessId) {
        for number in &self.open {
            let request = &mut self.requests[*number];
            if request.process == process && request.outcome.is_none() {
                request.outcome = Some(TokenOutcome::Unknown);
            }
        }
        self.laws.end_tasks(process, false);
        self.note(format_args!("the runtime of process {process} ends"));
    }

    /// The machine sleeps, and the time of all other clocks passes.
    pub(super) fn record_sleep(&mut self, time: Duration) {
        self.laws.sleep(time);
        // Tokens may have expired: what was known of them before holds no more.
        self.revocations += 1;
        self.note(format_args!("the machine sleeps for {time:?}"));
    }

    pub(super) fn record_clock_jump(&mut self, by: impl fmt::Display) {
        self.jumps += 1;
        self.laws.set_clock();
        self.note(format_args!("the wall clock jumps by {by}"));
    }

    /// The vendor revokes all access tokens.
    pub(super) fn record_access_tokens_revoked(&mut self) {
        self.note("the vendor revokes all access tokens");
        self.laws.revoke_access(None);
        self.revoke(|_| true);
    }

    /// The vendor revokes all logins.
    pub(super) fn record_logins_revoked(&mut self) {
        self.note("the vendor revokes all logins");
        self.laws.revoke_all();
        self.revoked_families.extend(self.access.keys().map(|access| family(access).to_owned()));
        self.revoke(|_| true);
    }

    fn revoke(&mut self, which: impl Fn(&AccessRecord) -> bool) {
        self.revocations += 1;
        self.access.values_mut().filter(|access| which(access)).for_each(|access| access.is_revoked = true);
    }

    /// Whether a process has nothing in progress, so that killing it loses nothing.
    pub(super) fn is_idle(&self, process: ProcessId) -> bool {
        let has_open_request =
            self.requests.iter().any(|request| request.process == process && request.outcome.is_none());
        let has_unstored_tokens = self.tokens.iter().any(|tokens| tokens.to == process && !tokens.is_stored);
        !has_open_request && !has_unstored_tokens
    }

    /// When the newest access token expires.
    pub(super) fn newest_expires_at(&self) -> Option<Instant> {
        Some(self.access.get(&self.tokens.last()?.access)?.expires_at)
    }

    /// Since when a process requires a login by the user.
    pub(super) fn login_required_since(&self) -> Option<Instant> {
        self.login_required.iter().find(|(process, _)| !self.killed.contains(process)).map(|(_, since)| *since)
    }

    /// The number of revocations so far, if the process has a token that is certainly valid.
    pub(super) fn valid_token_at(&self, process: ProcessId) -> Option<u32> {
        let current = self.current.get(&process)?;
        let access = self.access.get(current)?;
        let is_unexpired = !access.is_revoked && access.expires_at > Instant::now() + HARD_BUFFER;
        // The expiry of a token from the store depends on the wall clock.
        let is_known = access.to == process || access.jumps == self.jumps;
        let is_refused = self.rejected_tokens.contains(&(process, current.clone()));
        let is_alive = self.is_mild || self.laws.is_alive(current);
        (is_unexpired && is_known && !is_refused && is_alive).then_some(self.revocations)
    }
}

impl InvariantChecker {
    /// Whether the token of a process may seem to be due before it is.
    pub(super) fn has_doubtful_token(&self, process: ProcessId) -> bool {
        let current = self.current.get(&process).and_then(|current| self.access.get(current));
        current.is_some_and(|access| self.may_seem_due(access))
    }
}

/// What happens at the token endpoint and in the store.
impl InvariantChecker {
    /// A process sends a token request.
    pub(super) fn record_token_request(
        &mut self,
        process: ProcessId,
        token_call: TokenCall,
        stored: Option<&TokenSet>,
    ) -> usize {
        let generation = stored.map_or(0, TokenSet::generation);
        self.note(format_args!(
            "process {process} requests tokens: {token_call:?}, with generation {generation} stored"
        ));
        if process != USER {
            self.check_token_request(process, &token_call, stored);
            self.open.retain(|number| self.requests[*number].outcome.is_none());
            self.open.push(self.requests.len());
        }
        if let Some(broken) = self.laws.present(self.requests.len(), process, &token_call) {
            self.report_broken_law(broken);
        }
        let (started, outcome, is_lost) = (Instant::now(), None, false);
        self.requests.push(Request { process, token_call, generation, started, outcome, is_lost });
        self.requests.len() - 1
    }

    fn check_token_request(&mut self, process: ProcessId, token_call: &TokenCall, stored: Option<&TokenSet>) {
        let generation = stored.map_or(0, TokenSet::generation);
        let mut violations = Vec::new();
        if self.requests.len() > MAX_REQUESTS {
            self.report_broken_law(format_args!("process {process} makes token requests without end"));
        }
        let open = |number: &&usize| {
            let earlier = &self.requests[**number];
            earlier.outcome.is_none() && earlier.started.elapsed() < TOKEN_TIMEOUT
        };
        // A login spends nothing: who has waited for the lease for too long logs in without it.
        let both_log_in = |number: &&usize| {
            let earlier = &self.requests[**number].token_call;
            earlier.kind == GrantKind::Login && token_call.kind == GrantKind::Login
        };
        if let Some(number) = self.open.iter().find(|number| open(number) && !both_log_in(number)) {
            violations.push(format!("process {process} requests tokens while request {number} is in flight"));
        }
        let granted = self.granted.get(&generation).filter(|number| !self.requests[**number].is_lost);
        if let Some(number) = granted {
            violations.push(format!("request {number} for generation {generation} was granted, and another is sent"));
        }
        if let Some(newest) = self.fresh_token(process) {
            violations.push(format!("process {process} requests tokens although {newest} is not stale"));
        }
        let uncertain = self.uncertain.get(&(process, token_call.refresh.clone().unwrap_or_default()));
        if let Some(number) = uncertain.filter(|_| self.rules.logs_in) {
            violations.push(format!(
                "process {process} could log in, but repeats request {number}, whose outcome is unknown"
            ));
        }
        let sent = token_call.refresh.clone().map(|refresh| (process, refresh));
        if let Some(number) = sent.and_then(|sent| self.refused.get(&sent)) {
            violations
                .push(format!("process {process} sends again the refresh token that was refused in request {number}"));
        }
        if let Some(refresh) = &token_call.refresh {
            let newest = self.tokens.last();
            let is_newest = newest.is_some_and(|tokens| tokens.refresh.as_ref() == Some(refresh));
            // Tokens of another login may be tried when the newest ones are refused.
            let was_refused = self.refused.keys().any(|(earlier, _)| *earlier == process);
            // So may a process that has not heard of the newest ones.
            let newest_was_refused = self
                .refused
                .keys()
                .any(|(_, refused)| newest.is_some_and(|tokens| tokens.refresh.as_ref() == Some(refused)));
            let may_try_others = was_refused || newest_was_refused;
            // Until the tokens of a login by the user are stored, the stored ones may seem to be newer.
            let user_logged_in = newest.is_some_and(|tokens| tokens.to == USER && !tokens.is_stored);
            let is_stored = stored
                .and_then(|tokens| tokens.refresh_token())
                .is_some_and(|stored| stored.expose_secret() == refresh);
            let may_be_tried = may_try_others || (user_logged_in && is_stored);
            if !is_newest && !may_be_tried {
                violations.push(format!("process {process} sends {refresh}, but {newest:?} is the newest"));
            }
        }
        if let Some(first) = violations.into_iter().next() {
            self.report_violation(first);
        }
    }

    /// The newest access token, if it is not stale as far as the process knows.
    fn fresh_token(&self, process: ProcessId) -> Option<&str> {
        let newest = self.tokens.last().filter(|tokens| tokens.is_stored)?;
        let access = self.access.get(&newest.access)?;
        let early_refresh = (self.rules.access / 5).min(MAX_EARLY_REFRESH);
        let is_refused = self.rejected_tokens.contains(&(process, newest.access.clone()));
        let is_fresh = access.expires_at > Instant::now() + early_refresh && !access.is_revoked;
        (is_fresh && !is_refused && !self.may_seem_due(access)).then_some(newest.access.as_str())
    }

    /// The server has handled a token request.
    pub(super) fn record_decision(
        &mut self,
        number: usize,
        accepted: bool,
        granted: Option<&(String, Option<String>)>,
    ) {
        let now = Instant::now();
        let (process, token_call) = (self.requests[number].process, self.requests[number].token_call.clone());
        self.laws.decide(&token_call, accepted, granted);
        self.note(format_args!("the server decides on request {number}: accepted {accepted}, {granted:?}"));
        if let Some(refresh) = &token_call.refresh {
            let is_valid_family = !self.revoked_families.contains(family(refresh));
            if self.rules.rotates && is_valid_family && !self.received.insert(refresh.clone()) {
                self.repeats += 1;
            }
            if !accepted {
                self.explain_refusal(number, &token_call);
            } else if self.rules.rotates {
                self.replaced.insert(refresh.clone());
            }
            if accepted && self.rules.revokes_old_access {
                let newest = granted.map(|(access, _)| access.clone());
                self.laws.revoke_older_access(refresh, newest.as_deref());
                self.revoke(|access| access.family == family(refresh));
            }
        }
        let Some((access, refresh)) = granted else { return };
        let order = self.access.len();
        let (expires_at, jumps) = (now + self.rules.access, self.jumps);
        self.access.insert(
            access.clone(),
            AccessRecord {
                order,
                family: family(access).to_owned(),
                to: process,
                expires_at,
                jumps,
                is_revoked: false,
            },
        );
        if let (Some(refresh), Some(lifetime)) = (refresh, self.rules.refresh) {
            self.refresh_expires_at.entry(refresh.clone()).or_insert(now + lifetime);
        }
    }

    /// A refresh may be refused because of what happened to its tokens, but never because of what the client did.
    fn explain_refusal(&mut self, number: usize, token_call: &TokenCall) {
        let Some(refresh) = &token_call.refresh else { return };
        let now = Instant::now();
        let process = self.requests[number].process;
        let family_name = family(refresh).to_owned();
        let is_expired = self.refresh_expires_at.get(refresh).is_some_and(|expires_at| *expires_at <= now);
        let is_revoked = self.revoked_families.contains(&family_name);
        let access = token_call.access.as_ref().and_then(|access| self.access.get(access));
        let lacks_access = self.rules.needs_valid_access
            && access.is_some_and(|access| {
                access.is_revoked || (access.expires_at <= now && self.may_misjudge(process, access))
            });
        let was_uncertain = self.requests[..number].iter().any(|earlier| {
            let same = earlier.token_call.refresh.as_ref() == Some(refresh);
            same && (earlier.outcome == Some(TokenOutcome::Unknown) || earlier.is_lost)
        });
        let is_repeated = self.replaced.contains(refresh);
        if is_repeated && !is_revoked && !lacks_access {
            self.revoked_families.insert(family_name.clone());
            self.laws.revoke_family(family_name.parse().unwrap_or_default());
            self.revoke(|access| access.family == family_name);
        }
        let is_explained = is_expired || is_revoked || lacks_access || (is_repeated && was_uncertain);
        if !is_explained {
            self.report_violation(format_args!(
                "request {number} of process {process} is refused: {token_call:?}, replaced before: {is_repeated}"
            ));
        }
    }

    /// Whether a process may be wrong about when a token expires: it loaded the token from the store, and the wall clock has
    /// jumped since it was granted.
    fn may_misjudge(&self, process: ProcessId, access: &AccessRecord) -> bool {
        access.to != process && access.jumps != self.jumps
    }

    /// Whether a token may seem to be due before it is: the wall clock was set since it was granted, and what either clock
    /// says first counts.
    fn may_seem_due(&self, access: &AccessRecord) -> bool {
        access.jumps != self.jumps
    }

    /// A process is asked to stay away from the token endpoint.
    pub(super) fn record_throttled(&mut self, process: ProcessId, until: Instant) {
        self.laws.throttle(process, until);
    }

    /// The response to a token request arrives.
    pub(super) fn record_outcome(&mut self, number: usize, outcome: TokenOutcome) {
        let request = &mut self.requests[number];
        let (process, kind) = (request.process, request.token_call.kind);
        if self.killed.contains(&process) {
            return;
        }
        request.outcome = Some(outcome.clone());
        let (sent, generation) = (request.token_call.refresh.clone(), request.generation);
        self.laws.learn(number, process, &request.token_call, &outcome);
        self.note(format_args!("process {process} gets the outcome of request {number}: {outcome:?}"));
        match outcome {
            TokenOutcome::Granted { access, refresh } => {
                let (arrived, is_stored) = (Instant::now(), false);
                if process != USER {
                    self.granted.insert(generation, number);
                }
                self.tokens.push(GrantedTokens { access, refresh: refresh.or(sent), to: process, arrived, is_stored });
                self.counts.granted += 1;
                self.counts.logins += u64::from(kind == GrantKind::Login);
            }
            TokenOutcome::Refused => {
                self.refused.extend(sent.map(|refresh| ((process, refresh), number)));
                if kind == GrantKind::Login {
                    self.report_violation(format_args!("a login of process {process} is refused"));
                } else if !self.rules.logs_in {
                    self.login_required.insert(process, Instant::now());
                    self.counts.login_required += 1;
                }
            }
            TokenOutcome::Failed | TokenOutcome::NotSent | TokenOutcome::Throttled => self.counts.failed_requests += 1,
            TokenOutcome::Unknown => {
                self.counts.failed_requests += 1;
                self.uncertain.extend(sent.map(|refresh| ((process, refresh), number)));
            }
        }
    }

    /// A client drops a token request.
    pub(super) fn record_dropped_request(&mut self, number: usize) {
        let request = &mut self.requests[number];
        let waited = request.started.elapsed();
        if request.outcome.is_some() {
            return;
        }
        request.outcome = Some(TokenOutcome::Unknown);
        self.laws.learn(number, request.process, &request.token_call, &TokenOutcome::Unknown);
        self.counts.failed_requests += 1;
        self.uncertain.extend(request.token_call.refresh.clone().map(|refresh| ((request.process, refresh), number)));
        self.note(format_args!("request {number} is dropped after {waited:?}"));
        if waited < TOKEN_TIMEOUT {
            self.report_violation(format_args!("request {number} was canceled with its callers, after {waited:?}"));
        }
    }

    /// A process has stored tokens.
    pub(super) fn record_stored(&mut self, process: ProcessId, tokens: &TokenSet, swap: &CompareAndSwap) {
        let access = tokens.access_token().expose_secret();
        let refresh = tokens.refresh_token().map(|refresh| refresh.expose_secret());
        let generation = tokens.generation();
        let result = if matches!(swap, CompareAndSwap::Stored) { "stores" } else { "conflicts with" };
        self.note(format_args!("process {process} {result} generation {generation}: {access} {refresh:?}"));
        if !matches!(swap, CompareAndSwap::Stored) {
            return self.report_violation(format_args!("process {process} conflicts with another refresh: {swap:?}"));
        }
        if let Some(broken) = self.laws.store(process, access, refresh) {
            self.report_broken_law(broken);
        }
        let tokens_of_note = tokens.presented_at();
        let user_logged_in = self.tokens.last().is_some_and(|tokens| tokens.to == USER && !tokens.is_stored);
        let newest = self.tokens.last().and_then(|tokens| tokens.refresh.clone());
        let newest_was_refused = self.refused.keys().any(|(_, refused)| Some(refused) == newest.as_ref());
        let newest = self.tokens.last_mut();
        match newest.filter(|tokens| tokens.access == access && tokens.refresh.as_deref() == refresh) {
            Some(tokens) => {
                tokens.is_stored = true;
                // A store that goes wrong may not have told the process yet, and a note puts nothing in use.
                if self.is_mild && tokens_of_note.is_none() {
                    self.current.insert(process, access.to_owned());
                }
            }
            // After a refusal, the client falls back to tokens of another login. Until the tokens of a login by the user are
            // stored, the stored ones may seem to be newer.
            None if self.refused.keys().any(|(refused, _)| *refused == process) => {}
            None if user_logged_in => {}
            // A process that has not heard of the newest tokens may try its own after these were refused.
            None if newest_was_refused => {}
            None => {
                let newest = format!("{:?}", self.tokens.last());
                self.report_violation(format_args!(
                    "process {process} stores {access} {refresh:?}, but {newest} is the newest"
                ));
            }
        }
    }
}

/// What happens to the store and to clients.
impl InvariantChecker {
    /// A process has loaded tokens.
    pub(super) fn record_loaded(&mut self, process: ProcessId, loaded: Option<&TokenSet>) {
        self.record_held(process, loaded);
    }

    /// A process has these tokens.
    pub(super) fn record_held(&mut self, process: ProcessId, tokens: Option<&TokenSet>) {
        if let Some((access, refresh)) = tokens.map(texts) {
            self.laws.hold(process, &access, refresh.as_deref());
        }
    }

    /// The store has lost an acknowledged write.
    pub(super) fn record_lost_write(&mut self, left: Option<&TokenSet>) {
        let left = left.map(texts);
        self.note(format_args!("the store loses a write and has {left:?}"));
        self.laws.lose_stored(left);
    }

    /// The stored tokens have been removed.
    pub(super) fn record_cleared_store(&mut self) {
        self.note("the store is cleared");
        self.laws.lose_stored(None);
    }

    /// A client is dropped. Its tasks go on.
    pub(super) fn record_dropped_client(&mut self, process: ProcessId) {
        self.note(format_args!("process {process} drops its client"));
    }

    /// Checks the laws that hold at any time.
    pub(super) fn check_laws(&mut self, was_healthy: impl Fn(Instant) -> bool) {
        if let Some(broken) = self.laws.unstored_pair(was_healthy) {
            self.report_broken_law(broken);
        }
        let late = self.open_calls.values().find(|call| call.started.elapsed() > call.max_wait + GRACE);
        if let Some(OpenCall { process, started, max_wait }) = late {
            let (process, elapsed, max_wait) = (*process, started.elapsed(), *max_wait);
            self.report_broken_law(format_args!(
                "a call of process {process} has not ended after {elapsed:?}, and its max wait is {max_wait:?}"
            ));
        }
    }

    /// Checks that no secret is in a text.
    pub(super) fn check_secrecy(&mut self, printed: &str) {
        const SECRETS: [&str; 5] =
            ["test-access-", "test-refresh-", "application-secret", "app-secret", "manager-password"];
        if let Some(secret) = SECRETS.iter().find(|secret| printed.contains(**secret)) {
            self.report_broken_law(format_args!("{secret:?} is in an output: {printed}"));
        }
    }
}

/// What happens to calls.
impl InvariantChecker {
    /// A call starts. Returns its number.
    pub(super) fn record_started_call(&mut self, process: ProcessId, max_wait: Duration) -> u64 {
        self.started_calls += 1;
        self.open_calls.insert(self.started_calls, OpenCall { process, started: Instant::now(), max_wait });
        self.started_calls
    }

    /// A call has ended, or its caller has given up.
    pub(super) fn record_ended_call(&mut self, number: u64) {
        self.open_calls.remove(&number);
    }

    /// A process sends a call.
    pub(super) fn record_sent_call(&mut self, process: ProcessId, access: &str) {
        let Some(sent) = self.access.get(access) else {
            return self.report_violation(format_args!("process {process} sends {access:?}, which was never granted"));
        };
        let order = sent.order;
        if self.tokens.last().is_some_and(|tokens| tokens.access == access && !tokens.is_stored) {
            self.report_violation(format_args!("process {process} sends {access}, which is not stored"));
        }
        let current = self.current.get(&process).and_then(|current| self.access.get(current));
        if let Some(current) = current.filter(|current| current.order > order) {
            let newer = current.order - order;
            self.report_violation(format_args!(
                "process {process} sends {access}, which is {newer} generations older than its newest"
            ));
        }
        let sent = (process, access.to_owned());
        if self.rejected_tokens.contains(&sent) && !self.may_retry_after_401.contains(&sent) {
            self.report_violation(format_args!("process {process} sends {access} again after its 401"));
        }
        self.current.insert(process, access.to_owned());
    }

    /// A call arrives at the server, which responds with this status.
    pub(super) fn record_response(&mut self, process: ProcessId, access: &str, status: StatusCode) {
        let now = Instant::now();
        let Some(sent) = self.access.get(access) else { return };
        let is_expired = sent.expires_at <= now;
        match status.as_u16() {
            200 if is_expired || sent.is_revoked => {
                self.report_violation(format_args!("{access} is accepted after it became invalid"))
            }
            200 => {}
            401 if sent.is_revoked || (is_expired && self.may_misjudge(process, sent)) => {}
            401 => {
                let by = now - sent.expires_at;
                self.report_violation(format_args!("process {process} calls with {access}, which expired {by:?} ago"));
            }
            other => self.report_violation(format_args!("a call of process {process} gets the status {other}")),
        }
    }

    /// A process gets a 401 for a token.
    pub(super) fn record_401(&mut self, process: ProcessId, access: &str) {
        self.laws.reject(process, access);
        if self.rejected_tokens.insert((process, access.to_owned())) {
            self.note(format_args!("process {process} gets a 401 for {access}"));
            if self.recent_rejections(process) > 0 {
                self.may_retry_after_401.insert((process, access.to_owned()));
            }
            self.rejections.entry(process).or_default().push(Instant::now());
        }
    }

    fn recent_rejections(&self, process: ProcessId) -> usize {
        let all = self.rejections.get(&process).into_iter().flatten();
        all.filter(|time| time.elapsed() < REJECTION_WINDOW).count()
    }

    pub(super) fn record_canceled_call(&mut self) {
        self.counts.calls += 1;
        self.counts.canceled_calls += 1;
    }

    /// A call has completed.
    pub(super) fn record_completed_call(&mut self, call: CompletedCall) {
        let CompletedCall {
            process,
            started,
            max_wait,
            valid_token_at,
            had_doubtful_token,
            had_outage,
            was_healthy,
            result,
        } = call;
        let elapsed = started.elapsed();
        let may_be_lost = !self.rules.logs_in && self.laws.login_that_works(process).is_none();
        let attempt = 2 * API_TRAVEL + Duration::from_millis(5);
        self.counts.calls += 1;
        self.counts.waited_calls += u64::from(elapsed > 2 * attempt);
        if elapsed > max_wait + GRACE {
            self.report_broken_law(format_args!(
                "a call of process {process} took {elapsed:?}, and its max wait is {max_wait:?}"
            ));
        }
        let had_valid_token = valid_token_at == Some(self.revocations);
        let Err(error) = result else {
            if had_valid_token && !had_doubtful_token && elapsed > attempt {
                self.report_broken_law(format_args!(
                    "a call of process {process} waited {elapsed:?} although its token was valid"
                ));
            }
            return;
        };
        let mut printed = String::new();
        print(&mut printed, &error);
        self.check_secrecy(&printed);
        self.check_required_login(process, &error);
        if had_valid_token {
            self.report_broken_law(format_args!(
                "a call of process {process} failed after {elapsed:?} although its token lives: {error:?}"
            ));
        }
        let is_rejected = matches!(error, Error::Unauthorized(_)) && self.recent_rejections(process) > 1;
        if was_healthy && !may_be_lost && !is_rejected && max_wait >= MAX_TOKEN_WAIT {
            self.report_broken_law(format_args!(
                "a call of process {process} failed after {elapsed:?} although everything has worked for minutes: \
                 {error:?}"
            ));
        }
        let login_required = self.login_required.contains_key(&process);
        let is_explained = match &error {
            _ if had_valid_token => false,
            Error::Api(_) | Error::Connect(_) | Error::Decode(_) | Error::RateLimited(_) | Error::Server(_) => {
                had_outage
            }
            Error::Timeout(_) => elapsed >= max_wait && (had_outage || max_wait < MAX_TOKEN_WAIT),
            Error::ReauthRequired(_) => login_required,
            Error::Unauthorized(_) => login_required || self.recent_rejections(process) > 1,
            _ => false,
        };
        if !is_explained {
            self.report_violation(format_args!(
                "a call of process {process} failed after {elapsed:?} of {max_wait:?}: {error:?}"
            ));
        }
    }

    /// A login that works must not be given up.
    fn check_required_login(&mut self, process: ProcessId, error: &Error) {
        if !matches!(error, Error::ReauthRequired(_)) {
            return;
        }
        if self.rules.logs_in {
            return self.report_broken_law(format_args!(
                "process {process} requires a login of a user although it can log in itself: {error}"
            ));
        }
        match self.laws.login_that_works(process) {
            Some(refresh) => self.report_broken_law(format_args!(
                "process {process} requires a login of a user although {refresh} works: {error}"
            )),
            // Noticed here too: the refusal may have been another process's.
            None => drop(self.login_required.entry(process).or_insert_with(Instant::now)),
        }
    }

    pub(super) fn record_keep_alive_end(&mut self, process: ProcessId, error: &Error) {
        self.check_required_login(process, error);
        if !self.login_required.contains_key(&process) {
            self.report_violation(format_args!("keep_alive of process {process} ended: {error}"));
        }
    }
}

/// What holds whenever no token request is in flight.
impl InvariantChecker {
    pub(super) fn audit(
        &mut self,
        stored: Option<&TokenSet>,
        statuses: &[(ProcessId, AuthStatus)],
        counters: &Counters,
    ) {
        let unstored = self.tokens.last().filter(|tokens| !tokens.is_stored && tokens.to != USER).cloned();
        if let Some(tokens) = unstored {
            if tokens.arrived.elapsed() > MAX_TOKEN_WAIT {
                self.report_violation(format_args!("tokens are not stored: {tokens:?}"));
            }
            return;
        }
        let open = |request: &Request| request.outcome.is_none() && request.started.elapsed() < TOKEN_TIMEOUT;
        if self.open.iter().any(|number| open(&self.requests[*number])) {
            return;
        }
        self.counts.audits += 1;
        let repeated = counters.repeated_refreshes();
        if self.rules.rotates && repeated != self.repeats {
            let repeats = self.repeats;
            self.report_violation(format_args!(
                "the server received {repeated} refresh tokens twice, and {repeats} with good reason"
            ));
        }
        let Some(newest) = self.tokens.iter().rfind(|tokens| tokens.is_stored).cloned() else { return };
        let texts = stored.map(texts);
        // After a refusal, the client falls back to tokens of another login.
        let is_newest = texts.as_ref() == Some(&(newest.access.clone(), newest.refresh.clone()));
        if !is_newest && self.refused.is_empty() {
            self.report_violation(format_args!("the store has {texts:?}, but {newest:?} is the newest"));
        }
        let generation = stored.map_or(0, TokenSet::generation);
        for (process, status) in statuses {
            let (own, failure) = (status.generation(), status.store_failure());
            if own > generation || (newest.to == *process && own != generation) || failure.is_some() {
                self.report_violation(format_args!(
                    "process {process} has generation {own}, and {generation} is stored: {status:?}"
                ));
            }
        }
    }
}

/// The texts of a pair.
fn texts(tokens: &TokenSet) -> (String, Option<String>) {
    let refresh = tokens.refresh_token().map(|refresh| refresh.expose_secret().to_owned());
    (tokens.access_token().expose_secret().to_owned(), refresh)
}

/// The family of a token, by its name: `test-access-3-17` is of family 3.
pub(super) fn family(token: &str) -> &str {
    token.split('-').nth(2).unwrap_or_default()
}
