//! The laws of tokens: what holds in every world, however unkind.
//!
//! They compare what a client does with what it could know. Of a vendor they know the truth: which requests it carried out,
//! which tokens live, and until when on its own clock, which goes on while the machine of the clients sleeps.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

use super::host::ProcessId;
use super::invariants::{TokenCall, TokenOutcome, USER, family};
use super::vendor::TokenRules;

/// How long a client waits for the response to a token request.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(30);
/// A token with less than this left may count as expired.
const HARD_BUFFER: Duration = Duration::from_secs(45);
/// Within this time a client notices that the store has the tokens of another login.
const NOTICE: Duration = Duration::from_secs(60);
/// Of two pairs that were granted within this time, either may seem to be the later one.
const TRAVEL: Duration = Duration::from_secs(5);
/// Within this time after the store works again, a pair in memory is stored.
const STORE_WITHIN: Duration = Duration::from_secs(180);

/// What has happened, as far as the laws need it. Spans since the start are on the vendor's clock.
#[derive(Debug)]
pub(super) struct Laws {
    rules: TokenRules,
    started: Instant,
    slept: Duration,
    /// How many times the wall clock has been set.
    jumps: u32,
    /// The presentations of each refresh token.
    presentations: BTreeMap<String, Vec<Presentation>>,
    access: BTreeMap<String, AccessTruth>,
    families: BTreeMap<u64, Family>,
    /// The families of which the vendor has refused a refresh token.
    refused_families: BTreeSet<u64>,
    /// The refresh tokens that each process has seen, and the access tokens.
    held: BTreeMap<ProcessId, BTreeSet<String>>,
    held_access: BTreeSet<(ProcessId, String)>,
    /// The access tokens for which each process got a 401.
    rejected: BTreeSet<(ProcessId, String)>,
    stored: Option<StoredPair>,
    /// When the store last lost what was written, or was cleared.
    store_lost_at: Option<Instant>,
    /// The pairs that were granted and have not been stored.
    unstored: Vec<Unstored>,
    /// Until when each process was asked to stay away from the token endpoint.
    throttled: BTreeMap<ProcessId, Instant>,
    /// The processes that have ended.
    ended: BTreeSet<ProcessId>,
}

#[derive(Debug)]
struct Presentation {
    number: usize,
    process: ProcessId,
    at: Instant,
    outcome: Known,
}

/// What the process knows of the outcome of a presentation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Known {
    Open,
    /// The request was not sent, or it was refused for its frequency alone.
    NoEffect,
    /// With the refresh token that holds from now on.
    Granted(String),
    Refused,
    Unknown,
}

#[derive(Debug)]
struct AccessTruth {
    refresh: Option<String>,
    granted_at: Duration,
    expires_at: Duration,
    jumps: u32,
    is_revoked: bool,
}

/// All tokens of one login, at the vendor.
#[derive(Debug, Default)]
struct Family {
    /// The refresh token that works; `None` if no process has seen it.
    latest: Option<String>,
    expires_at: Option<Duration>,
    is_revoked: bool,
}

#[derive(Clone, Debug)]
struct StoredPair {
    refresh: Option<String>,
    access: String,
    since: Instant,
}

#[derive(Debug)]
struct Unstored {
    process: ProcessId,
    access: String,
    refresh: Option<String>,
    arrived: Instant,
}

impl Laws {
    pub(super) fn new(rules: TokenRules) -> Self {
        Self {
            rules,
            started: Instant::now(),
            slept: Duration::ZERO,
            jumps: 0,
            presentations: BTreeMap::new(),
            access: BTreeMap::new(),
            families: BTreeMap::new(),
            refused_families: BTreeSet::new(),
            held: BTreeMap::new(),
            held_access: BTreeSet::new(),
            rejected: BTreeSet::new(),
            stored: None,
            store_lost_at: None,
            unstored: Vec::new(),
            throttled: BTreeMap::new(),
            ended: BTreeSet::new(),
        }
    }

    /// The time since the start on the vendor's clock.
    fn now(&self) -> Duration {
        self.started.elapsed() + self.slept
    }
}

/// What happens.
impl Laws {
    pub(super) fn sleep(&mut self, time: Duration) {
        self.slept += time;
    }

    pub(super) fn set_clock(&mut self) {
        self.jumps += 1;
    }

    /// A process sends a token request. Returns the violation, if it is one.
    pub(super) fn present(&mut self, number: usize, process: ProcessId, call: &TokenCall) -> Option<String> {
        let throttled = self.throttled.get(&process).map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(left) = throttled.filter(|left| !left.is_zero() && self.jumps == 0) {
            return Some(format!(
                "process {process} requests tokens {left:?} before the time that it was asked to wait"
            ));
        }
        let refresh = call.refresh.as_ref()?;
        let violation = self.may_present(process, refresh).err();
        let presentation = Presentation { number, process, at: Instant::now(), outcome: Known::Open };
        self.presentations.entry(refresh.clone()).or_default().push(presentation);
        violation.map(|violation| format!("process {process} presents {refresh} again, {violation}"))
    }

    /// Whether a process may present a refresh token.
    fn may_present(&self, process: ProcessId, refresh: &str) -> Result<(), String> {
        let all = self.presentations.get(refresh).into_iter().flatten();
        let Some(earlier) = all.rev().find(|earlier| earlier.outcome != Known::NoEffect) else { return Ok(()) };
        let number = earlier.number;
        let is_own = earlier.process == process;
        match &earlier.outcome {
            Known::Open if !self.ended.contains(&earlier.process) && earlier.at.elapsed() < TOKEN_TIMEOUT => {
                return Err(format!("although request {number} of process {} is in flight", earlier.process));
            }
            Known::Granted(next) if next == refresh => return Ok(()),
            Known::Granted(next) if is_own || self.is_newer_stored(refresh) => {
                return Err(format!("although request {number} of process {} was granted {next}", earlier.process));
            }
            Known::Refused if is_own => return Err(format!("although request {number} was refused")),
            Known::Refused => return Ok(()),
            Known::NoEffect | Known::Granted(_) | Known::Open | Known::Unknown => {}
        }
        // What another process noted in the store may have been lost.
        if !is_own && self.store_lost_at.is_some_and(|lost_at| lost_at >= earlier.at) {
            return Ok(());
        }
        if self.rules.logs_in {
            return Err(format!(
                "although the outcome of request {number} of process {} is unknown, and it can log in",
                earlier.process
            ));
        }
        match self.living_access(process, refresh) {
            Some(access) => Err(format!(
                "although the outcome of request {number} of process {} is unknown, and {access} lives",
                earlier.process
            )),
            None => Ok(()),
        }
    }

    /// Whether the store has the successor of a refresh token.
    fn is_newer_stored(&self, refresh: &str) -> bool {
        let stored = self.stored.as_ref().and_then(|stored| stored.refresh.as_deref());
        stored.is_some_and(|stored| family(stored) == family(refresh) && generation(stored) > generation(refresh))
    }

    /// An access token of the same pair that lives, as far as the process can know.
    fn living_access(&self, process: ProcessId, refresh: &str) -> Option<&str> {
        let mut pairs = self.access.iter().filter(|(_, truth)| truth.refresh.as_deref() == Some(refresh));
        let stored = self.stored.as_ref().map(|stored| &stored.access);
        let living = pairs.find(|(access, _)| {
            let entry = (process, (*access).clone());
            let is_known = self.held_access.contains(&entry) || stored == Some(access);
            is_known && !self.rejected.contains(&entry) && self.is_alive(access)
        });
        living.map(|(access, _)| access.as_str())
    }

    /// Whether an access token lives at the vendor, and no clock says otherwise.
    pub(super) fn is_alive(&self, access: &str) -> bool {
        let truth = self.access.get(access);
        truth.is_some_and(|truth| {
            !truth.is_revoked && truth.jumps == self.jumps && truth.expires_at > self.now() + HARD_BUFFER
        })
    }

    /// The vendor has handled a token request.
    pub(super) fn decide(&mut self, call: &TokenCall, accepted: bool, granted: Option<&(String, Option<String>)>) {
        if !accepted {
            self.refused_families.extend(call.refresh.as_deref().map(family_number));
            return;
        }
        let now = self.now();
        if let Some(refresh) = call.refresh.as_ref().filter(|_| self.rules.rotates) {
            let next = granted.and_then(|(_, refresh)| refresh.clone());
            let family = self.families.entry(family_number(refresh)).or_default();
            family.latest = next;
        }
        let Some((access, refresh)) = granted else { return };
        let family = self.families.entry(family_number(access)).or_default();
        // One that stays keeps its end.
        if self.rules.rotates || family.expires_at.is_none() {
            family.expires_at = self.rules.refresh.map(|lifetime| now + lifetime);
        }
        if let Some(refresh) = refresh {
            family.latest = Some(refresh.clone());
        }
        let refresh = refresh.clone().or_else(|| call.refresh.clone());
        let (expires_at, jumps) = (now + self.rules.access, self.jumps);
        self.access
            .insert(access.clone(), AccessTruth { refresh, granted_at: now, expires_at, jumps, is_revoked: false });
    }

    /// A process learns the outcome of its token request.
    pub(super) fn learn(&mut self, number: usize, process: ProcessId, call: &TokenCall, outcome: &TokenOutcome) {
        let known = match outcome {
            TokenOutcome::Granted { refresh, .. } => {
                let next = refresh.clone().or_else(|| call.refresh.clone());
                Known::Granted(next.unwrap_or_default())
            }
            TokenOutcome::NotSent | TokenOutcome::Throttled => Known::NoEffect,
            TokenOutcome::Refused => Known::Refused,
            TokenOutcome::Failed | TokenOutcome::Unknown => Known::Unknown,
        };
        if let Some(refresh) = &call.refresh {
            let all = self.presentations.get_mut(refresh).into_iter().flatten();
            all.filter(|one| one.number == number).for_each(|one| one.outcome = known.clone());
        }
        if let TokenOutcome::Granted { access, refresh } = outcome {
            self.hold(process, access, refresh.as_deref().or(call.refresh.as_deref()));
            if process != USER {
                let refresh = refresh.clone().or_else(|| call.refresh.clone());
                self.unstored.push(Unstored { process, access: access.clone(), refresh, arrived: Instant::now() });
            }
        }
    }

    /// A process sees a pair: granted, handed in, or loaded.
    pub(super) fn hold(&mut self, process: ProcessId, access: &str, refresh: Option<&str>) {
        self.held_access.insert((process, access.to_owned()));
        self.held.entry(process).or_default().extend(refresh.map(str::to_owned));
    }

    /// The runtime of a process ends, or the whole process.
    pub(super) fn end_tasks(&mut self, process: ProcessId, is_over: bool) {
        let all = self.presentations.values_mut().flatten();
        all.filter(|one| one.process == process && one.outcome == Known::Open)
            .for_each(|one| one.outcome = Known::Unknown);
        self.unstored.retain(|unstored| unstored.process != process);
        if is_over {
            self.ended.insert(process);
            // What it knew is lost, unless it is stored.
            let all = self.presentations.values_mut().flatten();
            all.filter(|one| one.process == process && matches!(one.outcome, Known::Granted(_) | Known::Refused))
                .for_each(|one| {
                    if one.outcome == Known::Refused {
                        one.outcome = Known::Unknown;
                    }
                });
        }
    }

    pub(super) fn throttle(&mut self, process: ProcessId, until: Instant) {
        self.throttled.insert(process, until);
    }

    pub(super) fn reject(&mut self, process: ProcessId, access: &str) {
        self.rejected.insert((process, access.to_owned()));
    }

    /// A pair is stored. Returns the violation, if it is one.
    pub(super) fn store(&mut self, process: ProcessId, access: &str, refresh: Option<&str>) -> Option<String> {
        let before = self.stored.replace(StoredPair {
            refresh: refresh.map(str::to_owned),
            access: access.to_owned(),
            since: Instant::now(),
        });
        self.unstored.retain(|unstored| unstored.access != access);
        let before = before?;
        let (old, new) = (family_number(&before.access), family_number(access));
        let is_revoked = self.families.get(&old).is_none_or(|family| family.is_revoked);
        // After a refusal, the client falls back to the login before.
        let is_alive = !is_revoked && !self.refused_families.contains(&old);
        // The user may have logged in during a refresh.
        let is_known = self.held_access.contains(&(process, before.access.clone())) || before.since.elapsed() > NOTICE;
        // Logins by the credentials are as good as each other.
        let is_login_by_a_person = !self.rules.logs_in;
        (old > new && is_alive && is_known && is_login_by_a_person && self.jumps == 0).then(|| {
            let before = before.access;
            format!("process {process} stores {access} in place of {before}, which is of a newer login that lives")
        })
    }

    /// The store lost what was written, or was cleared.
    pub(super) fn lose_stored(&mut self, left: Option<(String, Option<String>)>) {
        self.store_lost_at = Some(Instant::now());
        self.unstored.clear();
        self.stored = left.map(|(access, refresh)| StoredPair { refresh, access, since: Instant::now() });
    }

    pub(super) fn revoke_family(&mut self, number: u64) {
        self.families.entry(number).or_default().is_revoked = true;
        let access = self.access.iter_mut().filter(|(access, _)| family_number(access) == number);
        access.for_each(|(_, truth)| truth.is_revoked = true);
    }

    /// The access tokens of a family end, or of all.
    pub(super) fn revoke_access(&mut self, number: Option<u64>) {
        let access = self.access.iter_mut();
        access
            .filter(|(access, _)| number.is_none_or(|number| family_number(access) == number))
            .for_each(|(_, truth)| truth.is_revoked = true);
    }

    /// A refresh revokes the access tokens before it.
    pub(super) fn revoke_older_access(&mut self, refresh: &str, newest: Option<&str>) {
        let number = family_number(refresh);
        let access = self.access.iter_mut();
        access
            .filter(|(access, _)| family_number(access) == number && Some(access.as_str()) != newest)
            .for_each(|(_, truth)| truth.is_revoked = true);
    }

    pub(super) fn revoke_all(&mut self) {
        self.families.values_mut().for_each(|family| family.is_revoked = true);
        self.revoke_access(None);
    }
}

/// What holds.
impl Laws {
    /// The newest login that a process can go on with, if it knows of a newer one that is lost: why a process that requires
    /// a login of a user is wrong.
    pub(super) fn login_that_works(&self, process: ProcessId) -> Option<String> {
        let held = self.held.get(&process);
        let stored = self.stored.as_ref().filter(|stored| stored.since.elapsed() > NOTICE);
        let stored = stored.and_then(|stored| stored.refresh.as_ref());
        let known = held.into_iter().flatten().chain(stored);
        let newest = known.map(|refresh| family_number(refresh)).max()?;
        let family = self.families.get(&newest)?;
        let latest = family.latest.as_ref()?;
        let is_at_hand = held.is_some_and(|held| held.contains(latest)) || stored == Some(latest);
        let lives = !family.is_revoked && family.expires_at.is_none_or(|end| end > self.now() + NOTICE);
        let was_refused = self.presentations.get(latest).is_some_and(|all| {
            // The vendor refused it for good although it lives: never happens.
            all.iter().any(|one| one.process == process && one.outcome == Known::Refused)
        });
        (is_at_hand && lives && !was_refused).then(|| latest.clone())
    }

    /// A pair that is in memory alone although the store has worked for some time.
    pub(super) fn unstored_pair(&mut self, was_healthy: impl Fn(Instant) -> bool) -> Option<String> {
        let logs_in = self.rules.logs_in;
        let (stored, families, jumps, now) = (self.stored.as_ref(), &self.families, self.jumps, self.now());
        let granted_at = |access: &str| self.access.get(access).map_or(Duration::ZERO, |truth| truth.granted_at);
        self.unstored.retain(|unstored| {
            let own = (family_number(&unstored.access), generation(&unstored.access));
            let is_revoked = families.get(&own.0).is_some_and(|family| family.is_revoked);
            // A pair with the same refresh token is as good, and a newer one is better.
            let is_superseded = stored.is_some_and(|stored| {
                let other = (family_number(&stored.access), generation(&stored.access));
                let is_same = unstored.refresh.is_some() && stored.refresh == unstored.refresh;
                let was_granted_later = granted_at(&stored.access) + TRAVEL > granted_at(&unstored.access);
                is_same || other > own || other.0 != own.0 && (was_granted_later || jumps > 0 || logs_in)
            });
            let is_valid = self.access.get(&unstored.access).is_some_and(|truth| truth.expires_at > now);
            let is_worthless = unstored.refresh.is_none() && !is_valid;
            !is_revoked && !is_superseded && !is_worthless
        });
        let now = Instant::now();
        let lost = self.unstored.iter().find(|unstored| {
            now.saturating_duration_since(unstored.arrived) > STORE_WITHIN && was_healthy(now - STORE_WITHIN)
        })?;
        Some(format!(
            "{} was granted to process {} {:?} ago, and is not stored although the store works",
            lost.access,
            lost.process,
            lost.arrived.elapsed()
        ))
    }
}

/// The number of the family of a token.
fn family_number(token: &str) -> u64 {
    family(token).parse().unwrap_or_default()
}

/// The generation of a token, by its name: `test-access-3-17` is the 17th.
fn generation(token: &str) -> u64 {
    token.rsplit('-').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}
