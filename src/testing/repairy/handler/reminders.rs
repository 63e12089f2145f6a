//! Service reminders.

use serde_json::{Map, json};

use super::{Handler, HandlerResult};
use crate::testing::repairy::options::UnknownPhone;
use crate::testing::repairy::outbox::Message;
use crate::testing::repairy::schema::REMINDER;
use crate::testing::repairy::store::{Kind, Record};

impl Handler<'_> {
    pub(crate) fn create_service_reminder(&mut self) -> HandlerResult {
        let fields = self.body()?;
        let mut body = self.check(&fields, REMINDER);
        body.require_one_of(&["workshopId"]);
        body.require_one_of(&["customerId", "customerPhone"]);
        self.checked_services(&mut body);
        // An id takes precedence over a phone number.
        let given_id = body.text("customerId");
        let customer = match given_id {
            Some(id) => Some(id.to_owned()).filter(|id| self.own_record(Kind::Customer, id).is_ok()),
            None => body.text("customerPhone").and_then(|phone| self.customer_by_phone(phone)),
        };
        let creates_customer = given_id.is_none() && self.options.unknown_phone == UnknownPhone::CreatesCustomer;
        if customer.is_none() && !creates_customer {
            let field = if given_id.is_some() { "customerId" } else { "customerPhone" };
            body.add_error(field, "does not belong to a customer");
        }
        let body = body.validated()?;
        let workshop = body.text("workshopId").unwrap_or_default();
        let customer = customer.unwrap_or_else(|| {
            let values = Map::from_iter([("phone".to_owned(), body.text("customerPhone").into())]);
            self.store.add(Kind::Customer, self.partner, values)
        });

        let phone = self.store.get(Kind::Customer, &customer).and_then(|customer| customer.text("phone"));
        let phone = phone.unwrap_or_default().to_owned();
        let code = format!("RM{:06}", self.store.count(Kind::Reminder) + 1);
        let of_customer = |record: &&Record| {
            record.text("customerId") == Some(customer.as_str()) && record.text("workshopId") == Some(workshop)
        };
        let last_booking = self.store.all(Kind::Booking).filter(of_customer).last();
        let values = json!({
            "code": code, "carId": last_booking.and_then(|booking| booking.text("carId")), "customerId": customer,
            "workshopId": workshop, "lastServiceId": null,
            "lastBookingId": last_booking.and_then(|booking| booking.text("id")), "newBookingId": null,
            "externalId": null,
        });
        let values = values.as_object().cloned().unwrap_or_default();
        let id = self.store.add(Kind::Reminder, self.partner, values);
        self.send(Message::Sms { to: phone, code }, &id);
        self.changed(self.options.post_status, Kind::Reminder, &id)
    }

    pub(crate) fn get_service_reminder(&self) -> HandlerResult {
        self.read(Kind::Reminder)
    }

    fn customer_by_phone(&self, phone: &str) -> Option<String> {
        let matches = |customer: &&Record| customer.partner == self.partner && customer.text("phone") == Some(phone);
        self.store.all(Kind::Customer).find(matches)?.text("id").map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::testing::repairy::seed::WORKSHOP;
    use crate::testing::repairy::{Message, MockServer, UnknownPhone};

    const BOOKING: &str = "670000000000000000000001";
    const CUSTOMER: &str = "650000000000000000000001";

    fn server() -> MockServer {
        MockServer::builder().in_memory()
    }

    fn remind(server: &MockServer, mut body: Value) -> (u16, Value) {
        body["workshopId"] = WORKSHOP.into();
        server.request("POST", "/reminders/services", Some(body))
    }

    #[test]
    fn a_reminder_sends_a_code_of_8_characters() {
        let server = server();
        let (status, reminder) = remind(&server, json!({"customerPhone": "0400000001"}));
        assert_eq!(
            (status, &reminder["customerId"], &reminder["lastBookingId"]),
            (201, &json!(CUSTOMER), &json!(BOOKING))
        );
        let code = reminder["code"].as_str().expect("a code").to_owned();
        assert_eq!(code.len(), 8);
        assert_eq!(server.sent_messages()[0].message, Message::Sms { to: "0400000001".to_owned(), code });

        let id = reminder["id"].as_str().expect("an id");
        server.rebook(id, BOOKING);
        assert_eq!(server.request("GET", &format!("/reminders/services/{id}"), None).1["newBookingId"], BOOKING);
    }

    #[test]
    fn an_id_takes_precedence_over_a_phone_number() {
        let server = server();
        let (status, reminder) = remind(&server, json!({"customerId": CUSTOMER, "customerPhone": "0499999999"}));
        assert_eq!((status, &reminder["customerId"]), (201, &json!(CUSTOMER)));
        assert_eq!(remind(&server, json!({"customerId": "none", "customerPhone": "0400000001"})).0, 400);
    }

    #[test]
    fn a_phone_number_must_be_local_and_an_unknown_one_creates_a_customer_or_is_refused() {
        for phone in ["400000001", "+61400000001", "0400 000 001"] {
            assert_eq!(remind(&server(), json!({"customerPhone": phone})).0, 400, "{phone}");
        }
        assert_eq!(remind(&server(), json!({})).0, 400);
        let (status, reminder) = remind(&server(), json!({"customerPhone": "0499999999"}));
        assert_eq!((status, &reminder["customerId"]), (201, &json!("650000000000000000000002")));
        let server = MockServer::builder().with_unknown_phone(UnknownPhone::Refused).in_memory();
        assert_eq!(remind(&server, json!({"customerPhone": "0499999999"})).0, 400);
    }
}
