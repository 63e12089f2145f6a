//! The schedule: classes that are joined, and appointments that are booked.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::catalogue::{self, STEP};
use crate::testing::clock::{shifted, whole_second};

const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;
/// How far back and ahead the weekly classes reach, in days.
const REACH: i64 = 14;
/// The id of the first of them; smaller ones are the special classes.
const FIRST: i64 = 100;

/// A class.
#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) id: i64,
    at: Timestamp,
    pub(super) service: i64,
    trainer: i64,
    room: i64,
    size: i64,
    /// How many hours before its beginning it can be booked at the earliest.
    opens: i64,
    readonly: bool,
    visible: bool,
    /// Places that people took whom this tenant does not know.
    others: i64,
    joined: BTreeSet<i64>,
    lock: i64,
}

/// What keeps a client from a class.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Obstacle {
    /// The vendor gives no reason for this one.
    Full,
    Named(Value),
}

impl Obstacle {
    fn named(on: Option<&str>, kind: &str) -> Option<Self> {
        Some(Self::Named(json!({"on": on, "type": kind})))
    }
}

#[derive(Clone, Debug)]
struct Appointment {
    trainer: i64,
    from: Timestamp,
    till: Timestamp,
    clients: Vec<i64>,
}

/// All classes and appointments.
#[derive(Debug)]
pub(super) struct Schedule {
    /// A whole hour, from which every other time is counted.
    opened: Timestamp,
    classes: BTreeMap<i64, Class>,
    /// The day up to which weekly classes exist.
    filled: i64,
    appointments: BTreeMap<i64, Appointment>,
}

impl Schedule {
    pub(super) fn new(now: Timestamp) -> Self {
        let now = whole_second(now);
        let opened = shifted(now, SignedDuration::from_secs((-now.as_second()).rem_euclid(HOUR)));
        let mut schedule = Self { opened, classes: BTreeMap::new(), filled: -REACH - 1, appointments: BTreeMap::new() };
        // Hours from the opening, service, size, others, hours of the booking window; 0 for no window.
        for (id, hours, service, size, others, opens) in [
            (1, -48, 1, 12, 7, 0),
            (2, 240, 1, 12, 0, 48),
            (3, 30, 1, 5, 5, 48),
            (4, 1, 1, 12, 0, 0),
            (5, 30, 1, 12, 0, 48),
            (6, 30, 2, 20, 3, 167),
            (7, 31, 1, 12, 0, 0),
            (8, 32, 2, 20, 0, 0),
        ] {
            let mut class = schedule.class(id, hours * HOUR, service, opens);
            (class.size, class.others) = (size, others);
            class.readonly = id == 7;
            class.visible = id != 8;
            schedule.classes.insert(id, class);
        }
        schedule.fill(now);
        schedule
    }

    /// Two classes a day, from two weeks ago to two weeks ahead of `now`: the schedule rolls on with the clock.
    pub(super) fn fill(&mut self, now: Timestamp) {
        let today = now.duration_since(self.opened).as_secs().div_euclid(DAY);
        while self.filled < today + REACH {
            self.filled += 1;
            for (slot, service) in [(0, 1), (1, 2)] {
                let id = FIRST + (self.filled + REACH) * 2 + slot;
                let class = self.class(id, self.filled * DAY + (6 + 3 * slot) * HOUR, service, 48 + 119 * slot);
                self.classes.insert(id, class);
            }
        }
    }

    fn class(&self, id: i64, seconds: i64, service: i64, opens: i64) -> Class {
        Class {
            id,
            at: shifted(self.opened, SignedDuration::from_secs(seconds)),
            service,
            trainer: if service == 1 { 3001 } else { 3002 },
            room: if service == 1 { 11 } else { 21 },
            size: 12,
            opens,
            readonly: false,
            visible: true,
            others: id % 4,
            joined: BTreeSet::new(),
            lock: 0,
        }
    }

    pub(super) fn get(&self, id: i64) -> Option<&Class> {
        self.classes.get(&id)
    }

    /// Every class as a viewer sees it, in the order of their times.
    pub(super) fn shown(&self, viewer: Option<i64>, now: Timestamp) -> Vec<Value> {
        let mut classes: Vec<_> = self.classes.values().collect();
        classes.sort_by_key(|class| (class.at, class.id));
        classes.into_iter().map(|class| class.shown(viewer, now)).collect()
    }

    /// What keeps a client with so many credits from a class. The order in which the vendor looks is not known.
    pub(super) fn obstacle(&self, class: &Class, client: i64, credits: i64, now: Timestamp) -> Option<Obstacle> {
        if class.at <= now || class.readonly {
            return Obstacle::named(Some("time_frame"), "invalid");
        }
        if class.seconds_until_open(now) > 0 {
            return Obstacle::named(Some("occurrences"), "advance_time_restriction");
        }
        if class.joined.contains(&client) {
            return Obstacle::named(None, "taken");
        }
        if class.taken() >= class.size {
            return Some(Obstacle::Full);
        }
        if credits < 1 {
            return Obstacle::named(None, "not_enough_credits");
        }
        let span = class.span();
        let clash = |other: &Class| other.joined.contains(&client) && overlap(other.span(), span);
        let booked = |other: &Appointment| other.clients.contains(&client) && overlap((other.from, other.till), span);
        if self.classes.values().any(clash) || self.appointments.values().any(booked) {
            return Obstacle::named(None, "spare_schedule_violation");
        }
        None
    }

    pub(super) fn join(&mut self, id: i64, client: i64) {
        if let Some(class) = self.classes.get_mut(&id) {
            class.joined.insert(client);
            class.lock += 1;
        }
    }

    /// Takes a client out of a class; false for one who is not in it.
    pub(super) fn leave(&mut self, id: i64, client: i64) -> bool {
        let Some(class) = self.classes.get_mut(&id) else { return false };
        let left = class.joined.remove(&client);
        class.lock += i64::from(left);
        left
    }

    /// The free slots of an offer between two times, in steps of the grid from 9:00 to 17:00 UTC.
    pub(super) fn slots(&self, offer: i64, since: Timestamp, till: Timestamp, now: Timestamp) -> Vec<Value> {
        let mut found = Vec::new();
        let step = STEP * 60;
        let since = since.max(now).as_second();
        let mut at = since + (step - since.rem_euclid(step)) % step;
        while let Ok(from) = Timestamp::from_second(at) {
            if from >= till || found.len() == 200 {
                break;
            }
            if let Some(end) = self.free(offer, from, now) {
                found.push(json!({
                    "since": from.to_string(), "till": end.to_string(), "trainer_activity": catalogue::shown_offer(offer),
                }));
            }
            at += step;
        }
        found
    }

    /// When a slot of an offer ends that begins then; nothing where it is not free.
    pub(super) fn free(&self, offer: i64, from: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let (trainer, service, _) = catalogue::offer(offer)?;
        let (.., minutes) = catalogue::service(service)?;
        let till = shifted(from, SignedDuration::from_mins(minutes));
        let second = from.as_second().rem_euclid(DAY);
        let open = from > now && second >= 9 * HOUR && second + minutes * 60 <= 17 * HOUR && second % (STEP * 60) == 0;
        let busy = |other: &Appointment| other.trainer == trainer && overlap((other.from, other.till), (from, till));
        let taught = |class: &Class| class.trainer == trainer && overlap(class.span(), (from, till));
        let taken = self.appointments.values().any(busy) || self.classes.values().any(taught);
        (open && !taken).then_some(till)
    }

    pub(super) fn book(&mut self, offer: i64, from: Timestamp, till: Timestamp, clients: Vec<i64>) -> i64 {
        let id = self.appointments.keys().max().copied().unwrap_or(4000) + 1;
        let trainer = catalogue::offer(offer).map_or(0, |offer| offer.0);
        self.appointments.insert(id, Appointment { trainer, from, till, clients });
        id
    }
}

impl Class {
    /// Whether it is so close that a booking cannot be cancelled any more.
    pub(super) fn is_late(&self, window: SignedDuration, now: Timestamp) -> bool {
        self.at.duration_since(now) < window
    }

    pub(super) fn shown(&self, viewer: Option<i64>, now: Timestamp) -> Value {
        let (title, activity, (hours, minutes), _) = catalogue::service(self.service).unwrap_or_default();
        json!({
            "id": self.id, "occurs_at": self.at.to_string(), "duration_in_hours": hours, "duration_in_minutes": minutes,
            "service_id": self.service, "service_title": title, "service_description": null,
            "activity_category_id": activity, "service_group_size": self.size, "attended_clients_count": self.taken(),
            "show_free_spaces": true, "trainer_id": self.trainer, "trainer_name": catalogue::trainer_name(self.trainer),
            "location_name": catalogue::location_name(self.room / 10), "sub_location_name": catalogue::location_name(self.room),
            "is_joined": viewer.is_some_and(|viewer| self.joined.contains(&viewer)), "is_waiting": false,
            "is_requested": false, "is_readonly": self.readonly, "is_online": false, "position_on_waiting_list": null,
            "restrict_to_book_in_advance_time_in_days": 0, "restrict_to_book_in_advance_time_in_hours": self.opens,
            "seconds_until_booking_open": self.seconds_until_open(now), "lock_version": self.lock, "actions": [],
            "can_be_prompted": false, "can_be_rated": false, "visible_on_schedule": self.visible,
            "client_ids": self.joined,
        })
    }

    fn taken(&self) -> i64 {
        self.others + i64::try_from(self.joined.len()).unwrap_or(i64::MAX)
    }

    fn span(&self) -> (Timestamp, Timestamp) {
        let minutes = catalogue::service(self.service).map_or(60, |service| service.3);
        (self.at, shifted(self.at, SignedDuration::from_mins(minutes)))
    }

    fn seconds_until_open(&self, now: Timestamp) -> i64 {
        if self.opens == 0 {
            return 0;
        }
        (self.at.duration_since(now).as_secs() - self.opens * HOUR).max(0)
    }
}

fn overlap(one: (Timestamp, Timestamp), other: (Timestamp, Timestamp)) -> bool {
    one.0 < other.1 && other.0 < one.1
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
            Obstacle::Named(error) => error["type"].as_str().map(str::to_owned),
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
    fn the_schedule_reaches_two_weeks_both_ways_and_rolls_on() {
        let mut schedule = Schedule::new(now());
        let days = |schedule: &Schedule| schedule.classes.keys().filter(|id| **id >= FIRST).count();
        assert!((56..=60).contains(&days(&schedule)), "{}", days(&schedule));
        let before = days(&schedule);
        schedule.fill(shifted(now(), SignedDuration::from_hours(24 * 30)));
        assert_eq!(days(&schedule), before + 60);
    }

    #[test]
    fn a_slot_that_is_booked_is_free_no_more() {
        let mut schedule = Schedule::new(now());
        let till = shifted(now(), SignedDuration::from_hours(72));
        let slots = schedule.slots(1, now(), till, now());
        let from: Timestamp = slots[0]["since"].as_str().unwrap().parse().unwrap();
        let end = schedule.free(1, from, now()).expect("it is free");
        schedule.book(1, from, end, vec![2001]);
        assert_eq!(schedule.free(1, from, now()), None);
        assert!(schedule.slots(1, now(), till, now()).len() < slots.len());
    }
}
