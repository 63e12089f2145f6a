//! Classes, which the vendor calls occurrences, and appointments.

use http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{Handler, HandlerResult, time};
use crate::testing::clock::shifted;
use crate::testing::error_response::ErrorResponse;
use crate::testing::fisikal::catalog;
use crate::testing::fisikal::error_response::{full_class, invalid, not_found};
use crate::testing::fisikal::list::{Predicate, by_boolean, list, unfiltered};
use crate::testing::fisikal::params::{number, numbers};
use crate::testing::fisikal::schedule::Obstacle;

/// How far ahead free slots are listed if the query has no `till`.
const SLOT_WINDOW: SignedDuration = SignedDuration::from_hours(72);

impl Handler<'_> {
    pub(crate) fn list_occurrences(&self) -> HandlerResult {
        let occurrences = self.store.schedule.to_json(self.user(), self.now);
        let starts_at = |item: &Value| item.get("occurs_at").and_then(time);
        let filter = move |name: &str, wanted: &Value| -> Option<Predicate> {
            match name {
                "since" => {
                    let since = time(wanted)?;
                    Some(Box::new(move |item| starts_at(item) >= Some(since)))
                }
                "till" => {
                    let till = time(wanted)?;
                    Some(Box::new(move |item| starts_at(item) < Some(till)))
                }
                "visible_on_schedule" => by_boolean("visible_on_schedule", wanted),
                "client_id" => {
                    let client = number(wanted)?;
                    let joined = move |item: &Value| {
                        item["client_ids"].as_array().is_some_and(|ids| ids.iter().any(|id| *id == client))
                    };
                    Some(Box::new(joined))
                }
                _ => None,
            }
        };
        if let Some(client) = self.params.get("unified_filters").and_then(|filters| number(filters.get("client_id")?)) {
            self.may_act_for(client)?;
        }
        let mut response = list("occurrences", occurrences, &self.params, filter, &[])?;
        for occurrence in response["occurrences"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut)
        {
            remove_filter_fields(occurrence);
        }
        Ok(response)
    }

    pub(crate) fn precheck_occurrence(&self) -> HandlerResult {
        let client = self.client_in_body()?;
        self.check_class(client)?;
        self.occurrence(client, Vec::new())
    }

    pub(crate) fn join_occurrence(&mut self) -> HandlerResult {
        let client = self.client_in_body()?;
        let service = self.check_class(client)?;
        self.store.schedule.join(self.id, client);
        self.store.purchases.use_credit(client, service, self.now);
        self.occurrence(client, Vec::new())
    }

    pub(crate) fn cancel_occurrence(&mut self) -> HandlerResult {
        let client = self.client_in_body()?;
        let class = self.store.schedule.get(self.id).ok_or_else(not_found)?;
        let (service, late) = (class.service, class.is_late(self.options.late_window, self.now));
        if late {
            let text = "The booking can no longer be canceled without a late cancellation.";
            return Err(ErrorResponse::json(StatusCode::BAD_REQUEST, json!({"exception": text})));
        }
        if !self.store.schedule.leave(self.id, client) {
            return Err(not_found());
        }
        self.store.purchases.return_credit(client, service, self.now);
        self.occurrence(client, Vec::new())
    }

    /// The service of the class, or an error if the client cannot join it.
    fn check_class(&self, client: i64) -> Result<i64, ErrorResponse> {
        let class = self.store.schedule.get(self.id).ok_or_else(not_found)?;
        let credits = self.store.purchases.credits_for(client, class.service);
        match self.store.schedule.obstacle(class, client, credits, self.now) {
            None => Ok(class.service),
            Some(Obstacle::Full) => Err(full_class()),
            Some(Obstacle::Error(error)) => {
                let body = self.occurrence(client, vec![error])?;
                Err(ErrorResponse::json(self.options.booking_error_status, body))
            }
        }
    }

    fn occurrence(&self, client: i64, errors: Vec<Value>) -> HandlerResult {
        let class = self.store.schedule.get(self.id).ok_or_else(not_found)?;
        let mut occurrence = class.to_json(Some(client), self.now);
        if let Some(members) = occurrence.as_object_mut() {
            remove_filter_fields(members);
            members.insert("errors".to_owned(), json!(errors));
        }
        Ok(json!({"occurrence": occurrence}))
    }

    pub(crate) fn list_time_slots(&self) -> HandlerResult {
        let param = |name: &str| self.params.get(name);
        let moment = |name: &str, default: Timestamp| match param(name) {
            Some(given) => time(given).ok_or_else(|| invalid(name)),
            None => Ok(default),
        };
        let since = moment("since", self.now)?;
        let till = moment("till", shifted(since, SLOT_WINDOW))?;
        let required = |name: &str| param(name).and_then(number).ok_or_else(|| invalid(name));
        let (service, location) = (required("service_id")?, required("location_id")?);
        self.may_act_for(required("client_id")?)?;
        let only = param("trainer_activity_id").and_then(number);
        let activities = catalog::activities_of(service, location).filter(|id| only.is_none_or(|only| only == *id));
        let slots = activities.flat_map(|id| self.store.schedule.slots(id, since, till, self.now)).collect();
        unfiltered("time_slots", slots, &Map::new())
    }

    pub(crate) fn create_appointment(&mut self) -> HandlerResult {
        let body = self.body_object("appointment")?;
        let clients = body.get("client_ids").and_then(numbers).filter(|clients| !clients.is_empty());
        let clients = clients.ok_or_else(|| invalid("client_ids"))?;
        for client in &clients {
            self.may_act_for(*client)?;
        }
        let id = body.get("trainer_activity_id").and_then(number);
        let found = id.and_then(|id| Some((id, catalog::trainer_activity(id)?)));
        let (id, activity) = found.ok_or_else(|| invalid("trainer_activity_id"))?;
        if body.get("location_id").and_then(number) != Some(activity.location) {
            return Err(invalid("location_id"));
        }
        let recurrence = body.get("reccurrence_attributes").cloned().unwrap_or_default();
        let from = recurrence.get("starts_at").and_then(time);
        let till = recurrence.get("ends_at").and_then(time);
        let slot = from.and_then(|from| Some((from, self.store.schedule.slot_end(id, from, self.now)?)));
        let slot = slot.filter(|(_, end)| Some(*end) == till && recurrence["template"] == "single");
        let Some((from, till)) = slot else {
            return Err(self.appointment_error(json!({"on": "time_frame", "type": "invalid"})));
        };
        let purchases = &mut self.store.purchases;
        if clients.iter().any(|client| purchases.credits_for(*client, activity.service) < 1) {
            return Err(self.appointment_error(json!({"on": null, "type": "not_enough_credits"})));
        }
        for client in &clients {
            purchases.use_credit(*client, activity.service, self.now);
        }
        let id = self.store.schedule.book(id, from, till, clients);
        Ok(json!({"appointment": {"id": id, "errors": []}}))
    }

    fn appointment_error(&self, error: Value) -> ErrorResponse {
        let body = json!({"appointment": {"id": null, "errors": [error]}});
        ErrorResponse::json(self.options.booking_error_status, body)
    }
}

/// Removes the fields that only filters need.
fn remove_filter_fields(occurrence: &mut Map<String, Value>) {
    occurrence.remove("client_ids");
    occurrence.remove("visible_on_schedule");
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::testing::fisikal::{MockServer, Role};

    #[test]
    fn a_booking_takes_a_place_and_a_credit_and_a_cancellation_returns_both() {
        let server = MockServer::builder().in_memory();
        let used_credits = || {
            let (_, body) = server.request_as(Role::Client, "GET", "/services/client_service_packages", None);
            body["client_service_packages"][0]["used_credits"].as_i64()
        };
        let change = |method: &str, operation: &str| {
            server.request_as(Role::Client, method, &format!("/schedule/occurrences/5/{operation}"), Some(json!({})))
        };
        let before = used_credits();
        let (_, joined) = change("PUT", "join");
        assert_eq!(
            (&joined["occurrence"]["attended_clients_count"], &joined["occurrence"]["is_joined"]),
            (&json!(1), &json!(true))
        );
        assert_eq!(used_credits(), before.map(|used| used + 1));
        let (status, _) = change("DELETE", "cancel");
        assert_eq!((status, used_credits()), (200, before));
        let (status, _) = change("DELETE", "cancel");
        assert_eq!(status, 404, "the client is no longer in the class");
    }

    #[test]
    fn a_rejected_booking_has_status_200_unless_configured_otherwise() {
        let default = MockServer::builder().in_memory();
        let other = MockServer::builder().with_booking_error_status(422).in_memory();
        let path = "/schedule/occurrences/5/join";
        for (server, expected) in [(&default, 200), (&other, 422)] {
            let (status, body) = server.request_as(Role::Manager, "PUT", path, Some(json!({"client_id": 2003})));
            assert_eq!((status, &body["occurrence"]["errors"][0]["type"]), (expected, &json!("not_enough_credits")));
        }
        let (status, body) = default.request_as(Role::Client, "PUT", "/schedule/occurrences/3/join", Some(json!({})));
        assert_eq!((status, body), (422, json!({"errors": []})), "a full class gives no reason");
    }

    #[test]
    fn a_late_cancellation_is_rejected_with_a_message() {
        let server = MockServer::builder().in_memory();
        server.request_as(Role::Client, "PUT", "/schedule/occurrences/4/join", Some(json!({})));
        let (status, body) =
            server.request_as(Role::Client, "DELETE", "/schedule/occurrences/4/cancel", Some(json!({})));
        assert_eq!(status, 400);
        assert!(body["exception"].is_string(), "{body}");
    }
}
