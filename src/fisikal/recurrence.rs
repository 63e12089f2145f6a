//! The time of an appointment.

use jiff::Timestamp;
use serde::Serialize;

use crate::open::Open;

/// The time of an appointment. Only appointments that take place once have been observed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recurrence {
    starts_at: Open<Timestamp>,
    ends_at: Open<Timestamp>,
    template: &'static str,
}

impl Recurrence {
    /// Once, between two points in time, such as those of a [free slot](super::types::TimeSlot).
    pub fn single(starts_at: impl Into<Open<Timestamp>>, ends_at: impl Into<Open<Timestamp>>) -> Self {
        Self { starts_at: starts_at.into(), ends_at: ends_at.into(), template: "single" }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::generated::types::AppointmentCreate;
    use super::*;

    #[test]
    fn an_appointment_is_sent_under_the_vendors_names() {
        let start: Timestamp = "2026-03-02T10:00:00+01:00".parse().unwrap();
        let body = AppointmentCreate::new([2001], 1, 7, Recurrence::single(start, "2026-03-02T10:00:00Z"));
        assert_eq!(
            serde_json::to_value(body).unwrap(),
            json!({
                "client_ids": [2001],
                "location_id": 1,
                "trainer_activity_id": 7,
                "reccurrence_attributes": {
                    "starts_at": "2026-03-02T09:00:00Z", "ends_at": "2026-03-02T10:00:00Z", "template": "single",
                },
            })
        );
    }
}
