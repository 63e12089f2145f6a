//! The conditions of a month: how many processes there are, and what goes wrong.

use std::time::Duration;

use fastrand::Rng;

use super::run::Event;
use super::vendor::Vendor;

/// The conditions of the whole month.
#[derive(Clone, Debug)]
pub(super) struct Conditions {
    pub(super) processes: usize,
    pub(super) uses_keep_alive: bool,
    pub(super) outages: u32,
    pub(super) jumps: u32,
    /// How many times the vendor revokes all access tokens.
    pub(super) revocations: u32,
    pub(super) login_revocations: u32,
    /// How many times a process is killed.
    pub(super) kills: u32,
    /// The share of callers that give up early.
    pub(super) give_up_share: f64,
    /// Whether events may happen that lose a login which only the user can repeat.
    pub(super) may_lose_logins: bool,
    /// What makes the month unkind.
    pub(super) unkind: Vec<Unkind>,
}

/// What makes a month unkind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unkind {
    StoreFails,
    StoreHangs,
    StoreConflicts,
    StoreLosesWrites,
    ClearsStore,
    /// Processes return from `main` with a refresh under way.
    Exits,
    RuntimesEnd,
    DropsClients,
    Sleeps,
    SleepsAtNight,
    /// The vendor carries a request out and responds with an error, or not at all.
    CommitsAndFails,
    /// The vendor sends tokens with a wrong label or a byte order mark.
    Mislabels,
    RefusesInPassing,
    Throttles,
    CannotConnect,
    LogsInBeside,
}

impl Unkind {
    const ALL: [Self; 16] = [
        Self::StoreFails,
        Self::StoreHangs,
        Self::StoreConflicts,
        Self::StoreLosesWrites,
        Self::ClearsStore,
        Self::Exits,
        Self::RuntimesEnd,
        Self::DropsClients,
        Self::Sleeps,
        Self::SleepsAtNight,
        Self::CommitsAndFails,
        Self::Mislabels,
        Self::RefusesInPassing,
        Self::Throttles,
        Self::CannotConnect,
        Self::LogsInBeside,
    ];

    /// How often it happens in a month, and as which event.
    fn event(self) -> Option<(u32, Event)> {
        Some(match self {
            Self::StoreFails | Self::StoreHangs | Self::StoreConflicts | Self::StoreLosesWrites => {
                (4, Event::StorePhase)
            }
            Self::ClearsStore => (2, Event::ClearStore),
            Self::Exits => (4, Event::Exit),
            Self::RuntimesEnd => (4, Event::RuntimeEnd),
            Self::DropsClients => (4, Event::DropClient),
            Self::Sleeps => (6, Event::Sleep(Duration::ZERO)),
            Self::CommitsAndFails
            | Self::Mislabels
            | Self::RefusesInPassing
            | Self::Throttles
            | Self::CannotConnect => (4, Event::Outage),
            Self::LogsInBeside => (3, Event::LogInBeside),
            Self::SleepsAtNight => return None,
        })
    }
}

impl Conditions {
    /// One process, and nothing that goes wrong but what a test does.
    pub(super) fn directed(processes: usize, unkind: &[Unkind]) -> Self {
        Self {
            processes,
            uses_keep_alive: false,
            outages: 0,
            jumps: 0,
            revocations: 0,
            login_revocations: 0,
            kills: 0,
            give_up_share: 0.0,
            may_lose_logins: true,
            unkind: unkind.to_vec(),
        }
    }

    /// The conditions of a seed.
    pub(super) fn of(vendor: Vendor, rng: &mut Rng) -> Self {
        let rules = vendor.rules();
        let may_lose_logins = rules.logs_in || rng.u32(..4) == 0;
        let mut often = |upto: u32| if rng.bool() { rng.u32(1..=upto) } else { 0 };
        let mut conditions = Self {
            outages: often(3),
            jumps: often(4),
            revocations: often(2),
            login_revocations: if may_lose_logins { often(1) } else { 0 },
            kills: often(4),
            processes: 1 + often(2) as usize,
            uses_keep_alive: often(1) > 0,
            give_up_share: f64::from(often(4)) / 8.0,
            may_lose_logins,
            unkind: Vec::new(),
        };
        match rng.u32(..4) {
            // With one fault alone, a failure is readable.
            0 => {
                conditions.unkind = rng.choose_multiple(Unkind::ALL, 1);
                let Self { processes, uses_keep_alive, give_up_share, unkind, .. } = conditions;
                conditions = Self { processes, uses_keep_alive, give_up_share, ..Self::directed(1, &unkind) };
            }
            1 => {
                let count = rng.usize(2..5);
                conditions.unkind = rng.choose_multiple(Unkind::ALL, count);
            }
            _ => {}
        }
        // Whoever is kept alive must outlive the nights.
        conditions.uses_keep_alive |= conditions.has(Unkind::SleepsAtNight);
        if conditions.has(Unkind::LogsInBeside) && rules.logs_in {
            // No user logs in at this vendor.
            conditions.unkind.retain(|unkind| *unkind != Unkind::LogsInBeside);
        }
        conditions
    }

    pub(super) fn is_mild(&self) -> bool {
        self.unkind.is_empty()
    }

    pub(super) fn has(&self, unkind: Unkind) -> bool {
        self.unkind.contains(&unkind)
    }

    /// What happens in an unkind month, and how often.
    pub(super) fn unkind_events(&self) -> Vec<(u32, Event)> {
        self.unkind.iter().filter_map(|unkind| unkind.event()).collect()
    }
}
