//! Values derived from the fields of occurrences and services.

use jiff::SignedDuration;

use super::generated::types::{Occurrence, Service};

impl Occurrence {
    /// The duration.
    ///
    /// The vendor splits it into hours and minutes, and some responses count the hours in the minutes too; both forms are
    /// read. `None` if neither is sent, or if the numbers make no sense.
    pub fn duration(&self) -> Option<SignedDuration> {
        duration(self.duration_in_hours, self.duration_in_minutes)
    }

    /// The number of free places; `None` if the vendor does not send the numbers.
    pub fn free_places(&self) -> Option<u64> {
        let free = self.service_group_size?.checked_sub(self.attended_clients_count?)?;
        Some(free.max(0).unsigned_abs())
    }
}

impl Service {
    /// The duration. See [`Occurrence::duration`].
    pub fn duration(&self) -> Option<SignedDuration> {
        duration(self.duration_in_hours, self.duration_in_minutes)
    }
}

/// 60 minutes or more are the whole duration; fewer are added to the hours.
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
    fn one_hour_is_read_from_every_observed_form() {
        for (hours, minutes) in
            [(Some(1), Some(0)), (Some(0), Some(60)), (None, Some(60)), (Some(1), Some(60)), (Some(1), None)]
        {
            assert_eq!(duration(hours, minutes), Some(SignedDuration::from_mins(60)), "{hours:?} {minutes:?}");
        }
    }

    #[test]
    fn fewer_than_60_minutes_are_added_to_the_hours() {
        assert_eq!(duration(Some(1), Some(30)), Some(SignedDuration::from_mins(90)));
        assert_eq!(duration(Some(0), Some(45)), Some(SignedDuration::from_mins(45)));
    }

    #[test]
    fn implausible_durations_are_none() {
        for (hours, minutes) in [(None, None), (Some(-1), Some(0)), (Some(0), Some(-5)), (Some(i64::MAX), Some(1))] {
            assert_eq!(duration(hours, minutes), None, "{hours:?} {minutes:?}");
        }
    }

    #[test]
    fn an_overbooked_class_has_no_free_places() {
        let occurrence = |json: &str| serde_json::from_str::<Occurrence>(json).unwrap();
        let full = occurrence(r#"{"service_group_size": 10, "attended_clients_count": 12}"#);
        assert_eq!(full.free_places(), Some(0));
        let open = occurrence(r#"{"service_group_size": 10, "attended_clients_count": 4}"#);
        assert_eq!(open.free_places(), Some(6));
        assert_eq!(occurrence(r#"{"service_group_size": 10}"#).free_places(), None);
    }
}
