//! Free times: asking for days, and reading the times in them.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time};

use super::builder::ListAvailabilities;
use super::types::Availability;

impl ListAvailabilities {
    /// This day alone.
    pub fn day(self, day: Date) -> Self {
        self.start_date(day).end_date(day)
    }

    /// Seven days, this one the first: as much as the vendor answers at once, however it counts.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// # let tenant = servicebay::testing::repairy::MockServer::start().await;
    /// # let client = tenant.client()?;
    /// use jiff::civil::date;
    ///
    /// let days = client.list_availabilities().workshop_id("640000000000000000000001").week(date(2026, 6, 1));
    /// assert_eq!(days.send().await?.len(), 7);
    /// # Ok(()) }
    /// ```
    pub fn week(self, first: Date) -> Self {
        self.start_date(first).end_date(first.saturating_add(6.days()))
    }
}

impl Availability {
    /// When a car can be brought on this day: its free slots as moments in the workshop's own time, which is what
    /// [`BookingCreate::drop_off_time`](super::types::BookingCreate::drop_off_time) takes. A slot that is no time of day is left out.
    pub fn drop_off_times(&self) -> impl Iterator<Item = DateTime> + '_ {
        self.moments(&self.slots)
    }

    /// When a car can be picked up on this day, in the same way.
    pub fn pickup_moments(&self) -> impl Iterator<Item = DateTime> + '_ {
        self.moments(&self.pickup_times)
    }

    fn moments<'a>(&self, times: &'a [String]) -> impl Iterator<Item = DateTime> + use<'a> {
        let day = self.date.as_ref().and_then(|date| date.known()).copied();
        times.iter().filter_map(move |time| Some(day?.to_datetime(time.parse::<Time>().ok()?)))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use serde_json::json;

    use super::*;

    fn times(day: serde_json::Value) -> Vec<DateTime> {
        serde_json::from_value::<Availability>(day).unwrap().drop_off_times().collect()
    }

    #[test]
    fn slots_are_moments_of_their_day() {
        let day = json!({"date": "2026-06-01", "slots": ["08:00", "soon", "09:30:00"]});
        assert_eq!(times(day), [date(2026, 6, 1).at(8, 0, 0, 0), date(2026, 6, 1).at(9, 30, 0, 0)]);
    }

    #[test]
    fn a_day_that_is_no_date_has_no_moments() {
        assert!(times(json!({"date": "Monday", "slots": ["08:00"]})).is_empty());
        assert!(times(json!({"slots": ["08:00"]})).is_empty());
    }

    #[test]
    fn pickup_times_are_read_likewise() {
        let day: Availability =
            serde_json::from_value(json!({"date": "2026-06-01", "pickupTimes": ["16:00"]})).unwrap();
        assert_eq!(day.pickup_moments().collect::<Vec<_>>(), [date(2026, 6, 1).at(16, 0, 0, 0)]);
    }
}
