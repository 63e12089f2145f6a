//! The catalog and the free slots of a workshop.

use http::StatusCode;
use jiff::civil::{Date, DateTime};
use serde_json::Value;

use super::{Handler, HandlerResult};
use crate::testing::query;
use crate::testing::repairy::calendar;
use crate::testing::repairy::catalog::{CATEGORIES, Item};
use crate::testing::repairy::error_response::{FieldError, invalid};
use crate::testing::repairy::store::{Kind, Record};

/// The most days of one request, both ends included.
const MAX_DAYS: usize = 7;

impl Handler<'_> {
    pub(crate) fn list_workshop_services(&self) -> HandlerResult {
        let services = self.workshop(self.id())?.items.iter().map(Item::to_json);
        Ok((StatusCode::OK, services.collect()))
    }

    pub(crate) fn list_availabilities(&self) -> HandlerResult {
        let (workshop, query) = (self.id(), &self.query);
        let catalog = self.workshop(workshop)?;
        let mut errors = Vec::new();
        let mut date = |name: &str| {
            let date = query.get(name).and_then(query::date);
            if date.is_none() {
                errors.push(FieldError::new(name, "must be a date such as 2026-06-01"));
            }
            date
        };
        let (first, last) = (date("startDate"), date("endDate"));
        if let (Some(first), Some(last)) = (first, last) {
            if last < first {
                errors.push(FieldError::new("endDate", "is before startDate"));
            } else if days(first, last).count() > MAX_DAYS {
                errors.push(FieldError::new("endDate", "is more than 7 days from startDate, both included"));
            }
        }
        let category = query.get("serviceCategory");
        if category.is_some_and(|category| !CATEGORIES.contains(&category)) {
            errors.push(FieldError::new("serviceCategory", "must be service, tyres, repair or others"));
        }
        let item = query.get("catalogId");
        if item.is_some_and(|id| catalog.item(id).is_none()) {
            errors.push(FieldError::new("catalogId", "is not in the catalog of the workshop"));
        }
        let (Some(first), Some(last), true) = (first, last, errors.is_empty()) else {
            return Err(invalid(errors));
        };
        let category = category.or_else(|| Some(catalog.item(item?)?.category));
        let days = days(first, last).map(|day| {
            let open = self.is_below_limits(workshop, day, category, item);
            calendar::to_json(day, |slot| open && self.is_free(workshop, slot))
        });
        Ok((StatusCode::OK, days.collect()))
    }

    pub(super) fn is_free(&self, workshop: &str, slot: DateTime) -> bool {
        !self.held_slots(workshop).any(|(held, _)| held == slot)
    }

    /// Whether a workshop accepts one more booking of a category on a day. The limit of a service overrides the limit
    /// of its category.
    pub(super) fn is_below_limits(
        &self,
        workshop: &str,
        day: Date,
        category: Option<&str>,
        item: Option<&str>,
    ) -> bool {
        let booked = |matches: &dyn Fn(&Value) -> bool| {
            let on_day = self.held_slots(workshop).filter(|(slot, _)| slot.date() == day);
            let services = on_day.filter_map(|(_, booking)| booking.values.get("services")?.as_array());
            services.filter(|services| services.iter().any(matches)).count()
        };
        let limits = &self.options.daily_limits;
        if let Some(item) = item
            && let Some(limit) = limits.of_item(item)
        {
            return booked(&|service| service["catalogId"] == item) < limit as usize;
        }
        match category.and_then(|category| Some((category, limits.of_category(category)?))) {
            Some((category, limit)) => booked(&|service| service["category"] == category) < limit as usize,
            None => true,
        }
    }

    /// The slots that bookings of any partner hold at a workshop. Canceled bookings hold none.
    fn held_slots(&self, workshop: &str) -> impl Iterator<Item = (DateTime, &Record)> {
        let bookings = self.store.all(Kind::Booking).filter(move |booking| {
            booking.text("workshopId") == Some(workshop) && booking.text("status") != Some("cancelled")
        });
        bookings.filter_map(|booking| Some((booking.text("dropOffTime")?.parse().ok()?, booking)))
    }
}

/// The days of a range, at most one more than allowed.
fn days(first: Date, last: Date) -> impl Iterator<Item = Date> {
    first.series(jiff::Span::new().days(1)).take_while(move |day| *day <= last).take(MAX_DAYS + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::repairy::MockServer;
    use crate::testing::repairy::seed::{LEGACY_WORKSHOP, WORKSHOP};

    fn availabilities(query: &str) -> (u16, Value) {
        let server = MockServer::builder().in_memory();
        server.request("GET", &format!("/workshops/{WORKSHOP}/availabilities?{query}"), None)
    }

    #[test]
    fn a_week_has_seven_days_and_is_closed_on_sunday() {
        let (status, days) = availabilities("startDate=2026-06-01&endDate=2026-06-07");
        let slots = days.as_array().expect("days").iter().map(|day| day["slots"].as_array().expect("slots").len());
        // The seeded booking holds a slot on Monday.
        assert_eq!((status, slots.collect::<Vec<_>>()), (200, vec![4, 5, 5, 5, 5, 2, 0]));
    }

    #[test]
    fn an_invalid_range_is_refused_with_its_reason() {
        let invalid_date = "must be a date such as 2026-06-01";
        let too_long = "is more than 7 days from startDate, both included";
        for (query, field, message) in [
            ("startDate=2026-06-01&endDate=2026-06-08", "endDate", too_long),
            ("startDate=2026-06-01&endDate=9999-12-31", "endDate", too_long),
            ("startDate=2026-06-02&endDate=2026-06-01", "endDate", "is before startDate"),
            ("startDate=1%20June&endDate=2026-06-01", "startDate", invalid_date),
            ("startDate=20260601&endDate=2026-06-01", "startDate", invalid_date),
            ("startDate=2026-06-01", "endDate", invalid_date),
            (
                "startDate=2026-06-01&endDate=2026-06-01&serviceCategory=wash",
                "serviceCategory",
                "must be service, tyres, repair or others",
            ),
            (
                "startDate=2026-06-01&endDate=2026-06-01&catalogId=1",
                "catalogId",
                "is not in the catalog of the workshop",
            ),
        ] {
            let (status, body) = availabilities(query);
            assert_eq!((status, &body["errors"]), (400, &json!([{"field": field, "message": message}])), "{query}");
        }
    }

    #[test]
    fn an_unknown_parameter_or_workshop_is_refused() {
        let server = MockServer::builder().in_memory();
        assert_eq!(server.request("GET", &format!("/workshops/{WORKSHOP}/services?limit=5"), None).0, 400);
        for path in ["/workshops/1/services", "/workshops/1/availabilities?startDate=2026-06-01&endDate=2026-06-01"] {
            assert_eq!(server.request("GET", path, None).0, 404, "{path}");
        }
        let empty = server.request("GET", &format!("/workshops/{LEGACY_WORKSHOP}/services"), None);
        assert_eq!(empty, (200, json!([])));
    }
}
