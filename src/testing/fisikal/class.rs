//! A class, which clients join until it is full.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::catalog;
use crate::testing::clock::shifted;

const HOUR: i64 = 3600;

#[derive(Clone, Debug)]
pub(super) struct Class {
    pub(super) id: i64,
    pub(super) starts_at: Timestamp,
    pub(super) service: i64,
    pub(super) trainer: i64,
    pub(super) room: i64,
    pub(super) size: i64,
    /// How many hours before its start booking opens; 0 if it is always open.
    pub(super) opens_hours_before: i64,
    pub(super) readonly: bool,
    pub(super) visible: bool,
    /// Participants who are not among this server's clients.
    pub(super) other_participants: i64,
    pub(super) joined: BTreeSet<i64>,
    pub(super) lock_version: i64,
}

/// A half-open range of time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: Timestamp,
    pub(super) till: Timestamp,
}

impl Span {
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.from < other.till && other.from < self.till
    }
}

impl Class {
    /// Whether it starts too soon to be canceled without a late cancellation.
    pub(super) fn is_late(&self, window: SignedDuration, now: Timestamp) -> bool {
        self.starts_at.duration_since(now) < window
    }

    pub(super) fn is_full(&self) -> bool {
        self.participants() >= self.size
    }

    pub(super) fn span(&self) -> Span {
        let minutes = catalog::service(self.service).map_or(60, |service| service.minutes);
        Span { from: self.starts_at, till: shifted(self.starts_at, SignedDuration::from_mins(minutes)) }
    }

    pub(super) fn seconds_until_open(&self, now: Timestamp) -> i64 {
        if self.opens_hours_before == 0 {
            return 0;
        }
        (self.starts_at.duration_since(now).as_secs() - self.opens_hours_before * HOUR).max(0)
    }

    /// The class as a viewer sees it, with the `client_ids` and `visible_on_schedule` that lists filter by.
    pub(super) fn to_json(&self, viewer: Option<i64>, now: Timestamp) -> Value {
        let service = catalog::service(self.service);
        let (hours, minutes) = service.map(|service| service.duration).unwrap_or_default();
        json!({
            "id": self.id, "occurs_at": self.starts_at.to_string(), "duration_in_hours": hours,
            "duration_in_minutes": minutes, "service_id": self.service,
            "service_title": service.map_or("", |service| service.title), "service_description": null,
            "activity_category_id": service.map_or(0, |service| service.activity_category),
            "service_group_size": self.size, "attended_clients_count": self.participants(),
            "show_free_spaces": true, "trainer_id": self.trainer, "trainer_name": catalog::trainer_name(self.trainer),
            "location_name": catalog::location_name(self.room / 10), "sub_location_name": catalog::location_name(self.room),
            "is_joined": viewer.is_some_and(|viewer| self.joined.contains(&viewer)), "is_waiting": false,
            "is_requested": false, "is_readonly": self.readonly, "is_online": false, "position_on_waiting_list": null,
            "restrict_to_book_in_advance_time_in_days": 0,
            "restrict_to_book_in_advance_time_in_hours": self.opens_hours_before,
            "seconds_until_booking_open": self.seconds_until_open(now), "lock_version": self.lock_version, "actions": [],
            "can_be_prompted": false, "can_be_rated": false, "visible_on_schedule": self.visible,
            "client_ids": self.joined,
        })
    }

    fn participants(&self) -> i64 {
        self.other_participants + i64::try_from(self.joined.len()).unwrap_or(i64::MAX)
    }
}
