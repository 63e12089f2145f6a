//! What the schedule's objects tell only between the lines.

use jiff::SignedDuration;

use super::types::{Occurrence, Service};

impl Occurrence {
    /// How long it takes.
    ///
    /// The vendor splits the length into hours and minutes, and in some answers repeats the hours in the minutes; both
    /// forms are understood. Nothing where it sends neither, or nonsense.
    pub fn duration(&self) -> Option<SignedDuration> {
        duration(self.duration_in_hours, self.duration_in_minutes)
    }

    /// How many places are free; nothing where the vendor does not tell.
    pub fn free_places(&self) -> Option<u64> {
        let free = self.service_group_size?.checked_sub(self.attended_clients_count?)?;
        Some(free.max(0).unsigned_abs())
    }
}

impl Service {
    /// How long it takes. See [`Occurrence::duration`].
    pub fn duration(&self) -> Option<SignedDuration> {
        duration(self.duration_in_hours, self.duration_in_minutes)
    }
}

/// Minutes from an hour upwards are all of the length, and below it what is beyond the hours.
fn duration(hours: Option<i64>, minutes: Option<i64>) -> Option<SignedDuration> {
    if hours.is_none() && minutes.is_none() {
        return None;
    }
    let (hours, minutes) = (hours.unwrap_or(0), minutes.unwrap_or(0));
    let whole = if minutes >= 60 { minutes } else { hours.checked_mul(60)?.checked_add(minutes)? };
    let plausible = hours >= 0 && minutes >= 0 && whole <= 366 * 24 * 60;
    plausible.then(|| SignedDuration::from_mins(whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_an_hour_in_every_form_that_was_seen() {
        for (hours, minutes) in
            [(Some(1), Some(0)), (Some(0), Some(60)), (None, Some(60)), (Some(1), Some(60)), (Some(1), None)]
        {
            assert_eq!(duration(hours, minutes), Some(SignedDuration::from_mins(60)), "{hours:?} {minutes:?}");
        }
    }

    #[test]
    fn minutes_beyond_the_hours_are_added() {
        assert_eq!(duration(Some(1), Some(30)), Some(SignedDuration::from_mins(90)));
        assert_eq!(duration(Some(0), Some(45)), Some(SignedDuration::from_mins(45)));
    }

    #[test]
    fn what_is_no_length_is_none() {
        for (hours, minutes) in [(None, None), (Some(-1), Some(0)), (Some(0), Some(-5)), (Some(i64::MAX), Some(1))] {
            assert_eq!(duration(hours, minutes), None, "{hours:?} {minutes:?}");
        }
    }

    #[test]
    fn free_places_never_go_below_none() {
        let occurrence = |json: &str| serde_json::from_str::<Occurrence>(json).unwrap();
        let full = occurrence(r#"{"service_group_size": 10, "attended_clients_count": 12}"#);
        assert_eq!(full.free_places(), Some(0));
        let open = occurrence(r#"{"service_group_size": 10, "attended_clients_count": 4}"#);
        assert_eq!(open.free_places(), Some(6));
        assert_eq!(occurrence(r#"{"service_group_size": 10}"#).free_places(), None);
    }
}
