//! Free times: setters for the range of days, and the times of a day as timestamps.

use jiff::ToSpan;
use jiff::civil::{Date, DateTime, Time};

use super::generated::builder::ListAvailabilities;
use super::generated::types::Availability;

impl ListAvailabilities {
    /// Requests one day.
    pub fn day(self, day: Date) -> Self {
        self.start_date(day).end_date(day)
    }

    /// Requests seven days, starting with `first`: the longest range that the vendor accepts however it counts the days.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// # let server = servicebay::testing::repairy::MockServer::start().await;
    /// # let client = server.client()?;
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
    /// The times when a car can be dropped off on this day, in the workshop's local time.
    /// [`BookingCreate::drop_off_time`](super::types::BookingCreate::drop_off_time) takes them. A slot that is not a time of
    /// day is left out.
    pub fn drop_off_times(&self) -> impl Iterator<Item = DateTime> + '_ {
        self.date_times(&self.slots)
    }

    /// The times when a car can be picked up on this day, in the workshop's local time. A value that is not a time of day is
    /// left out.
    pub fn pickup_date_times(&self) -> impl Iterator<Item = DateTime> + '_ {
        self.date_times(&self.pickup_times)
    }

    fn date_times<'a>(&self, times: &'a [String]) -> impl Iterator<Item = DateTime> + use<'a> {
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
    fn slots_become_date_times_of_their_day() {
        let day = json!({"date": "2026-06-01", "slots": ["08:00", "soon", "09:30:00"]});
        assert_eq!(times(day), [date(2026, 6, 1).at(8, 0, 0, 0), date(2026, 6, 1).at(9, 30, 0, 0)]);
    }

    #[test]
    fn an_availability_without_a_valid_date_has_no_times() {
        assert!(times(json!({"date": "Monday", "slots": ["08:00"]})).is_empty());
        assert!(times(json!({"slots": ["08:00"]})).is_empty());
    }

    #[test]
    fn pickup_times_become_date_times_too() {
        let day: Availability =
            serde_json::from_value(json!({"date": "2026-06-01", "pickupTimes": ["16:00"]})).unwrap();
        assert_eq!(day.pickup_date_times().collect::<Vec<_>>(), [date(2026, 6, 1).at(16, 0, 0, 0)]);
    }
}
