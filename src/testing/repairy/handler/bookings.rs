//! Bookings: creation, updates and changes of status.

use http::StatusCode;
use jiff::civil::DateTime;
use serde_json::{Map, Value, json};

use super::{Handler, HandlerResult};
use crate::testing::error_response::ErrorResponse;
use crate::testing::repairy::calendar;
use crate::testing::repairy::error_response::{FieldError, bad_request, conflict, invalid, not_found};
use crate::testing::repairy::outbox::Message;
use crate::testing::repairy::schema::BOOKING;
use crate::testing::repairy::store::Kind;
use crate::testing::repairy::validator::CheckedBody;

impl Handler<'_> {
    pub(crate) fn create_booking(&mut self) -> HandlerResult {
        let fields = self.body()?;
        let mut body = self.check(&fields, BOOKING);
        body.require_one_of(&["workshopId"]);
        body.require_one_of(&["customer.email"]);
        body.require_one_of(&["customer.phone"]);
        if body.services().is_empty() {
            body.require_one_of(&["servicePackageType", "serviceCategory"]);
        }
        let services = self.checked_services(&mut body);
        let body = body.validated()?;
        let workshop = body.text("workshopId").unwrap_or_default();
        let slot = self.slot(workshop, &body)?;
        let mut values = self.details(&body, services);
        values.insert("workshopId".to_owned(), workshop.into());
        values.insert("status".to_owned(), self.options.transitions.initial().into());
        self.check_daily_limits(workshop, slot, &values)?;

        values.extend(self.save_customer_and_car(&body));
        let number = self.store.count(Kind::Booking) + 1;
        values.insert("code".to_owned(), format!("BK{number:06}").into());
        let id = self.store.add(Kind::Booking, self.partner, values);
        if fields.get("skipNotification") != Some(&Value::Bool(true)) {
            self.send(Message::Notification, &id);
        }
        self.send(Message::Webhook("bookingCreate"), &id);
        let booking = self.store.to_json(Kind::Booking, &id);
        let mut content = json!({"bookingId": id});
        for name in ["serviceCategory", "services"] {
            if let Some(value) = booking.get(name) {
                content[name] = value.clone();
            }
        }
        Ok((self.options.post_status, content))
    }

    pub(crate) fn get_booking(&self) -> HandlerResult {
        self.read(Kind::Booking)
    }

    pub(crate) fn update_booking(&mut self) -> HandlerResult {
        let id = self.id();
        let fields = self.body()?;
        let workshop = self.own_record(Kind::Booking, id)?.text("workshopId").unwrap_or_default().to_owned();
        let mut body = self.check(&fields, BOOKING);
        for name in fields.keys().filter(|name| !self.options.editable_fields.contains(name)) {
            // Unknown fields already are errors.
            if BOOKING.iter().any(|field| field.0 == name) {
                body.add_error(name, "cannot be changed");
            }
        }
        let services = self.completed_services(&workshop, &mut body);
        let body = body.validated()?;
        if fields.is_empty() {
            return Err(bad_request("The body contains no field to change."));
        }
        if body.text("dropOffTime") != self.own_record(Kind::Booking, id)?.text("dropOffTime") {
            self.slot(&workshop, &body)?;
        }
        let mut values = self.details(&body, services);
        // The vendor does not document what happens to fields that are left out; here they keep their values.
        values.retain(|name, _| fields.contains_key(name));
        values.extend(self.save_customer_and_car(&body));
        let booking = self.store.get_mut(Kind::Booking, id).ok_or_else(not_found)?;
        booking.values.extend(values);
        self.send(Message::Webhook("bookingUpdated"), id);
        self.changed(StatusCode::OK, Kind::Booking, id)
    }

    pub(crate) fn update_booking_status(&mut self) -> HandlerResult {
        let (id, status) = (self.id(), self.ids.get(1).copied().unwrap_or_default());
        // The options of the body are not documented, so any are accepted.
        if !self.request.body().is_empty() {
            self.body()?;
        }
        let current = self.own_record(Kind::Booking, id)?.text("status").unwrap_or_default().to_owned();
        if !self.options.transitions.has_status(status) {
            return Err(bad_request(format!("There is no status `{status}`.")));
        }
        if !self.options.transitions.permit(&current, status) {
            return Err(conflict(format!("A booking cannot change from {current} to {status}.")));
        }
        let booking = self.store.get_mut(Kind::Booking, id).ok_or_else(not_found)?;
        booking.values.insert("status".to_owned(), status.into());
        let action = match status {
            "cancelled" => "bookingCancelled",
            "completed" => "bookingCompleted",
            _ => "bookingUpdated",
        };
        self.send(Message::Webhook(action), id);
        self.changed(StatusCode::OK, Kind::Booking, id)
    }

    /// Adds or updates the customer and the car of a body, and returns their ids.
    fn save_customer_and_car(&mut self, body: &CheckedBody<'_>) -> Map<String, Value> {
        let mut ids = Map::new();
        let (customer, mut car) = (body.object("customer"), body.object("car"));
        let has_car = !car.is_empty();
        if !customer.is_empty() {
            let id = self.store.merge(Kind::Customer, self.partner, "phone", customer);
            car.entry("customerId").or_insert_with(|| id.clone().into());
            ids.insert("customerId".to_owned(), id.into());
        }
        if has_car {
            ids.insert("carId".to_owned(), self.store.merge(Kind::Car, self.partner, "rego", car).into());
        }
        ids
    }

    /// The slot of a body, or an error if it is no slot or is taken; `None` if the body has none.
    fn slot(&self, workshop: &str, body: &CheckedBody<'_>) -> Result<Option<DateTime>, ErrorResponse> {
        let Some(slot) = body.text("dropOffTime").and_then(|text| text.parse().ok()) else { return Ok(None) };
        if !calendar::is_slot(slot) {
            return Err(invalid(vec![FieldError::new("dropOffTime", "is not a slot of the workshop")]));
        }
        if !self.is_free(workshop, slot) {
            return Err(conflict("The slot is taken."));
        }
        Ok(Some(slot))
    }

    /// Checks that a booking's services are below the daily limits of the workshop.
    fn check_daily_limits(
        &self,
        workshop: &str,
        slot: Option<DateTime>,
        values: &Map<String, Value>,
    ) -> Result<(), ErrorResponse> {
        let Some(slot) = slot else { return Ok(()) };
        let is_below =
            |category: Option<&str>, item: Option<&str>| self.is_below_limits(workshop, slot.date(), category, item);
        let services = values.get("services").and_then(Value::as_array).filter(|services| !services.is_empty());
        let accepted = match services {
            Some(services) => services.iter().all(|service| {
                is_below(
                    service.get("category").and_then(Value::as_str),
                    service.get("catalogId").and_then(Value::as_str),
                )
            }),
            None => is_below(values.get("serviceCategory").and_then(Value::as_str), None),
        };
        if accepted { Ok(()) } else { Err(conflict("The daily limit of the workshop is reached.")) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::repairy::seed::{LEGACY_WORKSHOP, LOGBOOK, WORKSHOP};
    use crate::testing::repairy::{Message, MockServer};

    const BOOKING: &str = "670000000000000000000001";
    const CUSTOMER: &str = "650000000000000000000001";

    fn server() -> MockServer {
        MockServer::builder().in_memory()
    }

    fn booking() -> Value {
        json!({
            "workshopId": WORKSHOP, "dropOffTime": "2026-06-02T09:00:00",
            "customer": {"firstName": "Ada", "email": "ada@mail.example", "phone": "0400000009"},
            "car": {"rego": "XYZ987", "make": "Mazda"},
            "services": [
                {"catalogId": LOGBOOK, "catalogCode": "logbook", "title": "Logbook Service", "cost": 150},
                {"title": "Custom Brake Service", "category": "repair", "cost": 150},
            ],
        })
    }

    /// A new booking with these fields replaced.
    fn with(changes: &Value) -> Value {
        let mut body = booking();
        for (name, value) in changes.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body
    }

    fn book(server: &MockServer, body: Value) -> (u16, Value) {
        server.request("POST", "/bookings", Some(body))
    }

    fn free_slots(server: &MockServer, query: &str) -> Vec<usize> {
        let (status, days) = server.request("GET", &format!("/workshops/{WORKSHOP}/availabilities?{query}"), None);
        assert_eq!(status, 200, "{days}");
        days.as_array().expect("days").iter().map(|day| day["slots"].as_array().expect("slots").len()).collect()
    }

    #[test]
    fn a_booking_holds_its_slot_until_it_is_canceled() {
        let server = server();
        let tuesday = "startDate=2026-06-02&endDate=2026-06-02";
        let (status, created) = book(&server, booking());
        assert_eq!((status, free_slots(&server, tuesday)), (201, vec![4]));
        let (status, body) = book(&server, with(&json!({"car": {"rego": "OTHER1"}})));
        assert_eq!((status, &body["message"]), (409, &json!("The slot is taken.")));

        let id = created["bookingId"].as_str().expect("an id");
        assert_eq!(server.request("POST", &format!("/bookings/{id}/cancelled"), None).0, 200);
        assert_eq!(free_slots(&server, tuesday), [5]);
    }

    #[test]
    fn a_created_booking_is_returned_with_its_id_and_completed_services() {
        let server = server();
        let (_, created) = book(&server, booking());
        assert_eq!(created["serviceCategory"], "service", "the category of the first service");
        assert_eq!(
            (&created["services"][0]["source"], &created["services"][0]["maxCost"]),
            (&json!("catalog"), &json!(200))
        );
        assert_eq!(created["services"][1]["source"], "custom");
        let stored = server.booking(created["bookingId"].as_str().expect("an id"));
        assert_eq!((&stored["status"], &stored["code"]), (&json!("pending"), &json!("BK000003")));
        assert_eq!((&stored["car"]["rego"], &stored["customer"]["firstName"]), (&json!("XYZ987"), &json!("Ada")));
        assert_eq!(stored["car"]["customerId"], stored["customerId"]);
    }

    #[test]
    fn the_older_form_is_accepted() {
        let body = json!({
            "workshopId": LEGACY_WORKSHOP, "servicePackageType": "logbook", "dropOffTime": "2026-06-02T09:00",
            "customer": {"email": "ada@mail.example", "phone": "0400000009"},
        });
        let (status, created) = book(&server(), body);
        assert_eq!((status, created.get("services")), (201, None));
    }

    #[test]
    fn a_missing_or_invalid_field_is_named_in_the_error() {
        for (changes, field) in [
            (json!({"workshopId": null}), "workshopId"),
            (json!({"workshopId": "none"}), "workshopId"),
            (json!({"customer": {"phone": "0400000009"}}), "customer.email"),
            (json!({"customer": {"email": "ada@mail.example"}}), "customer.phone"),
            (json!({"services": []}), "servicePackageType or serviceCategory"),
            (json!({"services": [{"catalogId": "none"}]}), "services[0].catalogId"),
            (json!({"dropOffTime": "2026-06-02T09:15:00"}), "dropOffTime"),
            (json!({"id": "670000000000000000000009"}), "id"),
        ] {
            let (status, body) = book(&server(), with(&changes));
            assert_eq!((status, &body["errors"][0]["field"]), (400, &json!(field)), "{changes}: {body}");
        }
    }

    #[test]
    fn unknown_fields_can_be_ignored() {
        let server = MockServer::builder().with_unknown_fields_ignored().in_memory();
        assert_eq!(book(&server, with(&json!({"color": "red"}))).0, 201);
    }

    #[test]
    fn the_same_phone_number_is_the_same_customer() {
        let server = server();
        let customer = json!({"firstName": "Noor", "email": "new@mail.example", "phone": "0400000001"});
        let (_, created) = book(&server, with(&json!({"customer": customer, "car": {"rego": "1AB2CD"}})));
        let stored = server.booking(created["bookingId"].as_str().expect("an id"));
        assert_eq!(
            (&stored["customerId"], &stored["customer"]["email"]),
            (&json!(CUSTOMER), &json!("new@mail.example"))
        );
        assert_eq!(stored["carId"], "660000000000000000000001");
    }

    #[test]
    fn a_full_day_accepts_no_more_of_a_category_and_the_limit_of_a_service_takes_precedence() {
        let monday = |filter: &str| format!("startDate=2026-06-01&endDate=2026-06-01{filter}");
        let server = MockServer::builder().with_daily_limit("service", 1).in_memory();
        assert_eq!(free_slots(&server, &monday("&serviceCategory=service")), [0]);
        assert_eq!(free_slots(&server, &monday(&format!("&catalogId={LOGBOOK}"))), [0]);
        assert_eq!(
            (free_slots(&server, &monday("&serviceCategory=repair")), free_slots(&server, &monday(""))),
            (vec![4], vec![4])
        );
        let (status, _) = book(&server, with(&json!({"dropOffTime": "2026-06-01T10:00:00"})));
        assert_eq!(status, 409);

        let builder = MockServer::builder().with_daily_limit("service", 1);
        let server = builder.with_daily_limit_of_service(LOGBOOK, 2).in_memory();
        assert_eq!(free_slots(&server, &monday(&format!("&catalogId={LOGBOOK}"))), [4]);
        assert_eq!(book(&server, with(&json!({"dropOffTime": "2026-06-01T10:00:00"}))).0, 201);
        assert_eq!(book(&server, with(&json!({"dropOffTime": "2026-06-01T11:00:00"}))).0, 409);
    }

    #[test]
    fn an_update_changes_only_the_fields_that_it_contains() {
        let server = server();
        let path = format!("/bookings/{BOOKING}");
        let (status, body) = server.request("PUT", &path, Some(json!({"externalId": "PO-7"})));
        assert_eq!((status, &body["externalId"], &body["code"]), (200, &json!("PO-7"), &json!("BK000001")));
        assert_eq!(server.booking(BOOKING)["services"].as_array().map(Vec::len), Some(1));
        let (status, _) = server.request("PUT", &path, Some(json!({"dropOffTime": "2026-06-01T09:00:00"})));
        assert_eq!(status, 200, "the booking keeps its own slot");
    }

    #[test]
    fn a_field_that_cannot_be_changed_is_named_in_the_error() {
        let server = MockServer::builder().with_editable_fields(["externalId"]).in_memory();
        for (field, message) in [
            ("workshopId", "cannot be changed"),
            ("car", "cannot be changed"),
            ("status", "is unknown"),
            ("id", "is unknown"),
        ] {
            let (status, body) = server.request("PUT", &format!("/bookings/{BOOKING}"), Some(json!({field: null})));
            assert_eq!((status, &body["errors"]), (400, &json!([{"field": field, "message": message}])));
        }
        assert_eq!(server.request("PUT", &format!("/bookings/{BOOKING}"), Some(json!({}))).0, 400);
    }

    #[test]
    fn a_status_changes_only_by_a_permitted_transition() {
        let server = server();
        let status = |status: &str| server.request("POST", &format!("/bookings/{BOOKING}/{status}"), None).0;
        assert_eq!((status("completed"), status("lost"), status("confirmed%2F..")), (409, 400, 400));
        assert_eq!(server.booking(BOOKING)["status"], "pending");
        assert_eq!((status("confirmed"), status("completed"), status("cancelled")), (200, 200, 409));
        assert_eq!(server.booking(BOOKING)["status"], "completed");
        assert_eq!(server.request("POST", "/bookings/none/cancelled", None).0, 404);
    }

    #[test]
    fn the_transitions_are_configurable() {
        let server = MockServer::builder().with_transitions([("new", "in_progress"), ("pending", "new")]).in_memory();
        assert_eq!(server.request("POST", &format!("/bookings/{BOOKING}/new"), Some(json!({"note": "x"}))).0, 200);
        assert_eq!(server.request("POST", &format!("/bookings/{BOOKING}/in_progress"), None).0, 200);
        let (_, created) = book(&server, booking());
        assert_eq!(server.booking(created["bookingId"].as_str().expect("an id"))["status"], "new");
    }

    #[test]
    fn messages_are_recorded_in_order() {
        let server = server();
        let (_, silent) = book(&server, with(&json!({"skipNotification": true})));
        let (_, notified) = book(&server, with(&json!({"dropOffTime": "2026-06-02T10:00:00"})));
        server.request("PUT", &format!("/bookings/{BOOKING}"), Some(json!({"externalId": "x"})));
        for status in ["confirmed", "completed"] {
            server.request("POST", &format!("/bookings/{BOOKING}/{status}"), None);
        }
        let sent = server.sent_messages();
        let sent: Vec<_> = sent.iter().map(|sent| (sent.message.clone(), sent.cause.as_str())).collect();
        let webhook = |action, cause| (Message::Webhook(action), cause);
        let (silent, notified) =
            (silent["bookingId"].as_str().expect("an id"), notified["bookingId"].as_str().expect("an id"));
        assert_eq!(
            sent,
            [
                webhook("bookingCreate", silent),
                (Message::Notification, notified),
                webhook("bookingCreate", notified),
                webhook("bookingUpdated", BOOKING),
                webhook("bookingUpdated", BOOKING),
                webhook("bookingCompleted", BOOKING),
            ]
        );
    }

    #[test]
    fn the_responses_to_changes_can_be_empty() {
        let server = MockServer::builder().with_empty_change_responses().with_post_status(200).in_memory();
        let (status, body) = server.request("POST", &format!("/bookings/{BOOKING}/confirmed"), None);
        assert_eq!((status, body), (200, Value::Null));
        assert_eq!(book(&server, booking()).0, 200);
        assert_eq!(server.booking(BOOKING)["status"], "confirmed");
    }
}
