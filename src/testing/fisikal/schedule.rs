//! The schedule: classes that clients join, and appointments that they book.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::catalog::{self, SLOT_MINUTES};
use super::class::{Class, Span};
use crate::testing::clock::{shifted, whole_second};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// How far back and ahead the recurring classes reach, in days.
const REACH: i64 = 14;
/// The id of the first recurring class; smaller ids belong to the special classes.
const FIRST_RECURRING: i64 = 100;
/// The most free slots in one response.
const MAX_SLOTS: usize = 200;

/// Why a client cannot join a class.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Obstacle {
    /// The class is full, for which the vendor gives no reason.
    Full,
    /// An entry of `errors`.
    Error(Value),
}

impl Obstacle {
    fn error(on: Option<&str>, kind: &str) -> Option<Self> {
        Some(Self::Error(json!({"on": on, "type": kind})))
    }
}

#[derive(Clone, Debug)]
struct Appointment {
    trainer: i64,
    span: Span,
    clients: Vec<i64>,
}

/// All classes and appointments.
#[derive(Debug)]
pub(super) struct Schedule {
    /// The first full hour of the server; every class is a number of hours from it.
    epoch: Timestamp,
    classes: BTreeMap<i64, Class>,
    /// The last day, counted from the epoch, that has its recurring classes.
    last_day: i64,
    appointments: BTreeMap<i64, Appointment>,
}

impl Schedule {
    pub(super) fn new(now: Timestamp) -> Self {
        let now = whole_second(now);
        let epoch = shifted(now, SignedDuration::from_secs((-now.as_second()).rem_euclid(HOUR)));
        let mut schedule =
            Self { epoch, classes: BTreeMap::new(), last_day: -REACH - 1, appointments: BTreeMap::new() };
        // Id, hours from the epoch, service, size, other participants, and how many hours before its start booking
        // opens.
        for (id, hours, service, size, other_participants, opens_hours_before) in [
            (1, -48, 1, 12, 7, 0),
            (2, 240, 1, 12, 0, 48),
            (3, 30, 1, 5, 5, 48),
            (4, 1, 1, 12, 0, 0),
            (5, 30, 1, 12, 0, 48),
            (6, 30, 2, 20, 3, 167),
            (7, 31, 1, 12, 0, 0),
            (8, 32, 2, 20, 0, 0),
        ] {
            let class = Class {
                size,
                other_participants,
                readonly: id == 7,
                visible: id != 8,
                ..schedule.class(id, hours * HOUR, service, opens_hours_before)
            };
            schedule.classes.insert(id, class);
        }
        schedule.roll_forward(now);
        schedule
    }

    /// Adds the recurring classes, two a day, up to two weeks after `now`.
    pub(super) fn roll_forward(&mut self, now: Timestamp) {
        let today = now.duration_since(self.epoch).as_secs().div_euclid(DAY);
        while self.last_day < today + REACH {
            self.last_day += 1;
            for (slot, service) in [(0, 1), (1, 2)] {
                let id = FIRST_RECURRING + (self.last_day + REACH) * 2 + slot;
                let class = self.class(id, self.last_day * DAY + (6 + 3 * slot) * HOUR, service, 48 + 119 * slot);
                self.classes.insert(id, class);
            }
        }
    }

    fn class(&self, id: i64, seconds: i64, service: i64, opens_hours_before: i64) -> Class {
        Class {
            id,
            starts_at: shifted(self.epoch, SignedDuration::from_secs(seconds)),
            service,
            trainer: if service == 1 { 3001 } else { 3002 },
            room: if service == 1 { 11 } else { 21 },
            size: 12,
            opens_hours_before,
            readonly: false,
            visible: true,
            other_participants: id % 4,
            joined: BTreeSet::new(),
            lock_version: 0,
        }
    }

    pub(super) fn get(&self, id: i64) -> Option<&Class> {
        self.classes.get(&id)
    }

    /// Every class as a viewer sees it, in order of time.
    pub(super) fn to_json(&self, viewer: Option<i64>, now: Timestamp) -> Vec<Value> {
        let mut classes: Vec<_> = self.classes.values().collect();
        classes.sort_by_key(|class| (class.starts_at, class.id));
        classes.into_iter().map(|class| class.to_json(viewer, now)).collect()
    }

    /// The clients in all classes, by class and client.
    pub(super) fn bookings(&self) -> Vec<Value> {
        let of_class = |class: &Class| {
            let (id, occurs_at) = (class.id, class.starts_at.to_string());
            let booking = move |client: &i64| json!({"occurrence_id": id, "client_id": client, "occurs_at": occurs_at});
            class.joined.iter().map(booking).collect::<Vec<_>>()
        };
        self.classes.values().flat_map(of_class).collect()
    }

    /// All appointments, oldest first.
    pub(super) fn appointments(&self) -> Vec<Value> {
        let shown = |(id, appointment): (&i64, &Appointment)| {
            json!({
                "id": id, "trainer_id": appointment.trainer, "client_ids": appointment.clients,
                "starts_at": appointment.span.from.to_string(), "ends_at": appointment.span.till.to_string(),
            })
        };
        self.appointments.iter().map(shown).collect()
    }

    /// Why a client with this many credits cannot join a class. The order of the checks at the vendor is unknown.
    pub(super) fn obstacle(&self, class: &Class, client: i64, credits: i64, now: Timestamp) -> Option<Obstacle> {
        if class.starts_at <= now || class.readonly {
            return Obstacle::error(Some("time_frame"), "invalid");
        }
        if class.seconds_until_open(now) > 0 {
            return Obstacle::error(Some("occurrences"), "advance_time_restriction");
        }
        if class.joined.contains(&client) {
            return Obstacle::error(None, "taken");
        }
        if class.is_full() {
            return Some(Obstacle::Full);
        }
        if credits < 1 {
            return Obstacle::error(None, "not_enough_credits");
        }
        let span = class.span();
        let joined = |other: &Class| other.joined.contains(&client) && other.span().overlaps(span);
        let booked = |other: &Appointment| other.clients.contains(&client) && other.span.overlaps(span);
        if self.classes.values().any(joined) || self.appointments.values().any(booked) {
            return Obstacle::error(None, "spare_schedule_violation");
        }
        None
    }

    pub(super) fn join(&mut self, id: i64, client: i64) {
        if let Some(class) = self.classes.get_mut(&id) {
            class.joined.insert(client);
            class.lock_version += 1;
        }
    }

    /// Takes a client out of a class and returns whether the client was in it.
    pub(super) fn leave(&mut self, id: i64, client: i64) -> bool {
        let Some(class) = self.classes.get_mut(&id) else { return false };
        let left = class.joined.remove(&client);
        class.lock_version += i64::from(left);
        left
    }

    /// The free slots of a trainer activity between two times, from 9:00 to 17:00 UTC.
    pub(super) fn slots(&self, activity: i64, since: Timestamp, till: Timestamp, now: Timestamp) -> Vec<Value> {
        let mut slots = Vec::new();
        let step = SLOT_MINUTES * 60;
        let since = since.max(now).as_second();
        let mut second = since + (step - since.rem_euclid(step)) % step;
        while let Ok(from) = Timestamp::from_second(second) {
            if from >= till || slots.len() == MAX_SLOTS {
                break;
            }
            if let Some(end) = self.slot_end(activity, from, now) {
                let activity = catalog::trainer_activity(activity).map(catalog::TrainerActivity::to_json);
                slots.push(json!({
                    "since": from.to_string(), "till": end.to_string(), "trainer_activity": activity,
                }));
            }
            second += step;
        }
        slots
    }

    /// The end of the free slot that begins at `from`; `None` if there is no slot or it is taken.
    pub(super) fn slot_end(&self, activity: i64, from: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let activity = catalog::trainer_activity(activity)?;
        let minutes = catalog::service(activity.service)?.minutes;
        let span = Span { from, till: shifted(from, SignedDuration::from_mins(minutes)) };
        let second = from.as_second().rem_euclid(DAY);
        let in_hours = second >= 9 * HOUR && second + minutes * 60 <= 17 * HOUR && second % (SLOT_MINUTES * 60) == 0;
        let booked = |other: &Appointment| other.trainer == activity.trainer && other.span.overlaps(span);
        let teaches = |class: &Class| class.trainer == activity.trainer && class.span().overlaps(span);
        let taken = self.appointments.values().any(booked) || self.classes.values().any(teaches);
        (from > now && in_hours && !taken).then_some(span.till)
    }

    pub(super) fn book(&mut self, activity: i64, from: Timestamp, till: Timestamp, clients: Vec<i64>) -> i64 {
        let id = self.appointments.keys().max().copied().unwrap_or(4000) + 1;
        let trainer = catalog::trainer_activity(activity).map_or(0, |activity| activity.trainer);
        self.appointments.insert(id, Appointment { trainer, span: Span { from, till }, clients });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        // 2026-06-01T12:34:56Z
        Timestamp::from_second(1_780_317_296).expect("in range")
    }

    fn obstacle(schedule: &Schedule, id: i64, credits: i64) -> Option<String> {
        match schedule.obstacle(schedule.get(id).expect("a class"), 2001, credits, now())? {
            Obstacle::Full => Some("full".to_owned()),
            Obstacle::Error(error) => error["type"].as_str().map(str::to_owned),
        }
    }

    #[test]
    fn every_special_class_has_its_obstacle() {
        let mut schedule = Schedule::new(now());
        for (id, expected) in [
            (1, Some("invalid")),
            (2, Some("advance_time_restriction")),
            (3, Some("full")),
            (4, None),
            (5, None),
            (6, None),
            (7, Some("invalid")),
        ] {
            assert_eq!(obstacle(&schedule, id, 1).as_deref(), expected, "class {id}");
        }
        assert_eq!(obstacle(&schedule, 5, 0).as_deref(), Some("not_enough_credits"));
        schedule.join(5, 2001);
        assert_eq!(obstacle(&schedule, 5, 1).as_deref(), Some("taken"));
        assert_eq!(obstacle(&schedule, 6, 1).as_deref(), Some("spare_schedule_violation"));
        assert!(schedule.leave(5, 2001) && !schedule.leave(5, 2001));
        assert_eq!(obstacle(&schedule, 6, 1), None);
    }

    #[test]
    fn the_schedule_reaches_two_weeks_both_ways_and_rolls_forward() {
        let mut schedule = Schedule::new(now());
        let recurring = |schedule: &Schedule| schedule.classes.keys().filter(|id| **id >= FIRST_RECURRING).count();
        assert!((56..=60).contains(&recurring(&schedule)), "{}", recurring(&schedule));
        let before = recurring(&schedule);
        schedule.roll_forward(shifted(now(), SignedDuration::from_hours(24 * 30)));
        assert_eq!(recurring(&schedule), before + 60);
    }

    #[test]
    fn a_booked_slot_is_no_longer_free() {
        let mut schedule = Schedule::new(now());
        let till = shifted(now(), SignedDuration::from_hours(72));
        let slots = schedule.slots(1, now(), till, now());
        let from: Timestamp = slots[0]["since"].as_str().unwrap().parse().unwrap();
        let end = schedule.slot_end(1, from, now()).expect("a free slot");
        schedule.book(1, from, end, vec![2001]);
        assert_eq!(schedule.slot_end(1, from, now()), None);
        assert!(schedule.slots(1, now(), till, now()).len() < slots.len());
    }
}
