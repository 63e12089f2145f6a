//! All data that calls change.

use jiff::Timestamp;

use super::people::People;
use super::purchases::Purchases;
use super::schedule::Schedule;

#[derive(Debug)]
pub(super) struct Store {
    pub(super) people: People,
    pub(super) purchases: Purchases,
    pub(super) schedule: Schedule,
}

impl Store {
    pub(super) fn seeded(now: Timestamp) -> Self {
        Self { people: People::seeded(), purchases: Purchases::seeded(now), schedule: Schedule::new(now) }
    }
}
