//! The opening hours of a workshop, and its slots for dropping off cars.

use jiff::civil::{Date, DateTime, Time, Weekday, time};
use serde_json::{Value, json};

/// The opening hours and slots of one day.
#[derive(Debug, PartialEq, Eq)]
struct Hours {
    open: Time,
    close: Time,
    slots: &'static [Time],
    pickups: &'static [Time],
}

const WEEKDAY: Hours = Hours {
    open: time(8, 0, 0, 0),
    close: time(17, 0, 0, 0),
    slots: &[time(8, 0, 0, 0), time(9, 0, 0, 0), time(10, 0, 0, 0), time(11, 0, 0, 0), time(13, 30, 0, 0)],
    pickups: &[time(15, 0, 0, 0), time(16, 0, 0, 0), time(17, 0, 0, 0)],
};

const SATURDAY: Hours = Hours {
    open: time(8, 0, 0, 0),
    close: time(12, 0, 0, 0),
    slots: &[time(8, 0, 0, 0), time(9, 0, 0, 0)],
    pickups: &[time(12, 0, 0, 0)],
};

/// The hours of a day; `None` on Sundays.
fn hours(day: Date) -> Option<&'static Hours> {
    match day.weekday() {
        Weekday::Sunday => None,
        Weekday::Saturday => Some(&SATURDAY),
        _ => Some(&WEEKDAY),
    }
}

/// Whether a car can be dropped off at this time if no booking holds the slot.
pub(super) fn is_slot(at: DateTime) -> bool {
    hours(at.date()).is_some_and(|hours| hours.slots.contains(&at.time()))
}

/// A day as the vendor shows it, with its free slots.
pub(super) fn to_json(day: Date, is_free: impl Fn(DateTime) -> bool) -> Value {
    let text = |time: &Time| time.strftime("%H:%M").to_string();
    let Some(hours) = hours(day) else {
        return json!({"date": day.to_string(), "slots": [], "pickupTimes": []});
    };
    let slots = hours.slots.iter().filter(|slot| is_free(day.to_datetime(**slot)));
    json!({
        "date": day.to_string(),
        "openTime": text(&hours.open),
        "closeTime": text(&hours.close),
        "slots": slots.map(text).collect::<Vec<_>>(),
        "pickupTimes": hours.pickups.iter().map(text).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn a_closed_day_has_no_slots_and_no_hours() {
        let sunday = to_json(date(2026, 6, 7), |_| true);
        assert_eq!(sunday, json!({"date": "2026-06-07", "slots": [], "pickupTimes": []}));
    }

    #[test]
    fn a_day_shows_its_free_slots() {
        let nine = date(2026, 6, 6).at(9, 0, 0, 0);
        let saturday = to_json(nine.date(), |slot| slot != nine);
        assert_eq!((&saturday["slots"], &saturday["closeTime"]), (&json!(["08:00"]), &json!("12:00")));
        assert!(
            is_slot(nine) && !is_slot(date(2026, 6, 6).at(9, 5, 0, 0)) && !is_slot(date(2026, 6, 7).at(9, 0, 0, 0))
        );
    }
}
