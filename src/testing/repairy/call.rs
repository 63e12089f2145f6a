//! One request that may do what it asks for: reads and changes the store.

use bytes::Bytes;
use http::{Request, StatusCode};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use serde_json::{Map, Value, json};

use super::Partner;
use super::builder::{Options, UnknownPhone};
use super::calendar;
use super::catalog::{CATEGORIES, Catalog};
use super::form::{BOOKING, Form, QUOTE, REMINDER};
use super::outbox::{Dispatch, Sent};
use super::partners::body;
use super::refusal::{Complaint, Refusal};
use super::routes::Action;
use super::store::{Kind, Record, Store};
use crate::testing::query::Query;

/// The most days that free times are told for at once, both ends counted.
const DAYS: i32 = 7;

/// What a request needs to be carried out.
pub(super) struct Call<'a> {
    pub(super) options: &'a Options,
    pub(super) store: &'a mut Store,
    pub(super) outbox: &'a mut Vec<Sent>,
    pub(super) partner: Partner,
    pub(super) now: Timestamp,
}

/// A success: its status and what it is about.
pub(super) type Answer = (StatusCode, Value);

impl Call<'_> {
    pub(super) fn carry_out(&mut self, action: Action<'_>, request: &Request<Bytes>) -> Result<Answer, Refusal> {
        let known: &[&str] = match action {
            Action::ListAvailabilities(_) => &["startDate", "endDate", "serviceCategory", "catalogId"],
            _ => &[],
        };
        let query = Query::parse_strict(request.uri().query(), known);
        let query = query.map_err(|message| Refusal::new(StatusCode::BAD_REQUEST, message))?;
        match action {
            Action::Book => self.book(&body(request)?),
            Action::ListAvailabilities(workshop) => self.availabilities(workshop, &query),
            Action::ListServices(workshop) => {
                let items = self.workshop(workshop)?.items.iter().map(|item| item.shown());
                Ok((StatusCode::OK, items.collect()))
            }
            Action::MoveBooking(id, status) => {
                // What its options may be is unknown, so any are taken.
                if !request.body().is_empty() {
                    body(request)?;
                }
                self.move_on(id, status)
            }
            Action::Quote => self.quote(&body(request)?),
            Action::ReadBooking(id) => self.own(Kind::Booking, id).map(|_| self.shown(Kind::Booking, id)),
            Action::ReadReminder(id) => self.own(Kind::Reminder, id).map(|_| self.shown(Kind::Reminder, id)),
            Action::Remind => self.remind(&body(request)?),
            Action::UpdateBooking(id) => self.update(id, &body(request)?),
            Action::LogIn | Action::Refresh => Err(Refusal::not_found()),
        }
    }

    fn availabilities(&self, workshop: &str, query: &Query) -> Result<Answer, Refusal> {
        let catalog = self.workshop(workshop)?;
        let mut complaints = Vec::new();
        let mut complain = |field: &str, message: &str| {
            complaints.push(Complaint { field: field.to_owned(), message: message.to_owned() });
        };
        let mut day = |name: &str| {
            let date = query.get(name).filter(|text| text.len() == 10).and_then(|text| text.parse::<Date>().ok());
            if date.is_none() {
                complain(name, "has to be a date such as 2026-06-01");
            }
            date
        };
        let (first, last) = (day("startDate"), day("endDate"));
        if let (Some(first), Some(last)) = (first, last) {
            if last < first {
                complain("endDate", "is before startDate");
            } else if days(first, last).count() > DAYS as usize {
                complain("endDate", "is more than 7 days from startDate, both counted");
            }
        }
        let category = query.get("serviceCategory");
        if category.is_some_and(|category| !CATEGORIES.contains(&category)) {
            complain("serviceCategory", "has to be service, tyres, repair or others");
        }
        let item = query.get("catalogId");
        if item.is_some_and(|id| catalog.item(id).is_none()) {
            complain("catalogId", "is not in the catalog of the workshop");
        }
        let (Some(first), Some(last), true) = (first, last, complaints.is_empty()) else {
            return Err(Refusal::invalid(complaints));
        };
        let open = |day: Date| {
            let category = category.or_else(|| Some(catalog.item(item?)?.category));
            self.is_below_limits(workshop, day, category, item)
        };
        let shown = days(first, last).map(|day| {
            let open = open(day);
            calendar::shown(day, |slot| open && self.is_free(workshop, slot))
        });
        Ok((StatusCode::OK, shown.collect()))
    }

    fn book(&mut self, body: &Map<String, Value>) -> Result<Answer, Refusal> {
        let mut form = Form::read(body, BOOKING, self.options.ignores_unknown_fields);
        form.require(&["workshopId"]);
        form.require(&["customer.email"]);
        form.require(&["customer.phone"]);
        if form.services().is_empty() {
            form.require(&["servicePackageType", "serviceCategory"]);
        }
        let services = self.services(&mut form);
        let form = finished(form)?;
        let workshop = form.text("workshopId").unwrap_or_default();
        let slot = self.slot(workshop, &form)?;
        let mut values = self.described(&form, services);
        values.insert("workshopId".to_owned(), workshop.into());
        values.insert("status".to_owned(), self.options.transitions.first().into());
        self.keep_limits(workshop, slot, &values)?;

        values.extend(self.people(&form));
        let number = self.store.count(Kind::Booking) + 1;
        values.insert("code".to_owned(), format!("BK{number:06}").into());
        let id = self.store.add(Kind::Booking, self.partner, values);
        if body.get("skipNotification") != Some(&Value::Bool(true)) {
            self.send(Dispatch::Notification, &id);
        }
        self.send(Dispatch::Webhook("bookingCreate"), &id);
        let booking = self.store.shown(Kind::Booking, &id);
        let mut answer = json!({"bookingId": id});
        for name in ["serviceCategory", "services"] {
            if let Some(value) = booking.get(name) {
                answer[name] = value.clone();
            }
        }
        Ok((self.options.post_status, answer))
    }

    fn update(&mut self, id: &str, body: &Map<String, Value>) -> Result<Answer, Refusal> {
        let workshop = self.own(Kind::Booking, id)?.text("workshopId").unwrap_or_default().to_owned();
        let mut form = Form::read(body, BOOKING, self.options.ignores_unknown_fields);
        for name in body.keys().filter(|name| !self.options.editable.contains(name)) {
            // What nobody knows has been complained about already.
            if BOOKING.iter().any(|field| field.0 == name) {
                form.complain(name, "cannot be changed");
            }
        }
        let services = self.services_of(&workshop, &mut form);
        let form = finished(form)?;
        if body.is_empty() {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "The body has to say what to change."));
        }
        if form.text("dropOffTime") != self.own(Kind::Booking, id)?.text("dropOffTime") {
            self.slot(&workshop, &form)?;
        }
        let mut values = self.described(&form, services);
        // The vendor does not say what becomes of a field that is left out; here it keeps its value.
        values.retain(|name, _| body.contains_key(name));
        values.extend(self.people(&form));
        let booking = self.store.get_mut(Kind::Booking, id).ok_or_else(Refusal::not_found)?;
        booking.values.extend(values);
        self.send(Dispatch::Webhook("bookingUpdated"), id);
        Ok(self.echo(Kind::Booking, id, StatusCode::OK))
    }

    fn move_on(&mut self, id: &str, status: &str) -> Result<Answer, Refusal> {
        let now = self.own(Kind::Booking, id)?.text("status").unwrap_or_default().to_owned();
        if !self.options.transitions.knows(status) {
            let message = format!("There is no status `{status}`.");
            return Err(Refusal::new(StatusCode::BAD_REQUEST, message));
        }
        if !self.options.transitions.allow(&now, status) {
            let message = format!("A booking that is {now} cannot become {status}.");
            return Err(Refusal::new(StatusCode::CONFLICT, message));
        }
        let booking = self.store.get_mut(Kind::Booking, id).ok_or_else(Refusal::not_found)?;
        booking.values.insert("status".to_owned(), status.into());
        let action = match status {
            "cancelled" => "bookingCancelled",
            "completed" => "bookingCompleted",
            _ => "bookingUpdated",
        };
        self.send(Dispatch::Webhook(action), id);
        Ok(self.echo(Kind::Booking, id, StatusCode::OK))
    }

    fn quote(&mut self, body: &Map<String, Value>) -> Result<Answer, Refusal> {
        let mut form = Form::read(body, QUOTE, self.options.ignores_unknown_fields);
        form.require(&["workshopId"]);
        form.require(&["customer.firstName", "customer.lastName"]);
        form.require(&["customer.email", "customer.phone"]);
        form.require(&["customer.address"]);
        form.require(&["car.rego", "car.make", "car.model", "car.vin"]);
        let services = self.services(&mut form);
        let form = finished(form)?;
        let mut values = self.described(&form, services);
        values.insert("workshopId".to_owned(), form.text("workshopId").into());
        let id = self.store.add(Kind::Quote, self.partner, values);
        Ok(self.echo(Kind::Quote, &id, self.options.post_status))
    }

    fn remind(&mut self, body: &Map<String, Value>) -> Result<Answer, Refusal> {
        let mut form = Form::read(body, REMINDER, self.options.ignores_unknown_fields);
        form.require(&["workshopId"]);
        form.require(&["customerId", "customerPhone"]);
        self.services(&mut form);
        let customer = match form.text("customerId") {
            // It wins over a phone number.
            Some(id) => Some(id.to_owned()).filter(|id| self.own(Kind::Customer, id).is_ok()),
            None => form.text("customerPhone").and_then(|phone| self.customer_by_phone(phone)),
        };
        let is_new = customer.is_none() && form.text("customerId").is_none();
        if customer.is_none() && !(is_new && self.options.unknown_phone == UnknownPhone::MakesACustomer) {
            let field = if is_new { "customerPhone" } else { "customerId" };
            form.complain(field, "is no customer's");
        }
        let form = finished(form)?;
        let workshop = form.text("workshopId").unwrap_or_default();
        let customer = customer.unwrap_or_else(|| {
            let values = Map::from_iter([("phone".to_owned(), form.text("customerPhone").into())]);
            self.store.add(Kind::Customer, self.partner, values)
        });

        let phone = self.store.get(Kind::Customer, &customer).and_then(|customer| customer.text("phone"));
        let phone = phone.unwrap_or_default().to_owned();
        let code = format!("RM{:06}", self.store.count(Kind::Reminder) + 1);
        let of_customer = |record: &&Record| {
            record.text("customerId") == Some(customer.as_str()) && record.text("workshopId") == Some(workshop)
        };
        let last = self.store.all(Kind::Booking).filter(of_customer).last();
        let (booking, car) = (last.and_then(|last| last.text("id")), last.and_then(|last| last.text("carId")));
        let values = json!({
            "code": code, "carId": car, "customerId": customer, "workshopId": workshop, "lastServiceId": null,
            "lastBookingId": booking, "newBookingId": null, "externalId": null,
        });
        let values = values.as_object().cloned().unwrap_or_default();
        let id = self.store.add(Kind::Reminder, self.partner, values);
        self.send(Dispatch::Sms { to: phone, code }, &id);
        Ok(self.echo(Kind::Reminder, &id, self.options.post_status))
    }

    /// The completed services of a body, for the workshop that it names.
    fn services(&self, form: &mut Form<'_>) -> Vec<Value> {
        let workshop = form.text("workshopId").unwrap_or_default();
        if !workshop.is_empty() && self.workshop(workshop).is_err() {
            form.complain("workshopId", "is no workshop's");
        }
        self.services_of(workshop, form)
    }

    fn services_of(&self, workshop: &str, form: &mut Form<'_>) -> Vec<Value> {
        let none = Catalog::default();
        let catalog = self.store.catalogs.get(workshop).unwrap_or(&none);
        catalog.complete(form.services(), &mut form.complaints)
    }

    /// What a body says of a booking or quote, without whom and where.
    fn described(&self, form: &Form<'_>, services: Vec<Value>) -> Map<String, Value> {
        let mut values = form.body.clone();
        values.retain(|name, _| {
            ["dropOffTime", "pickupTime", "serviceCategory", "servicePackageType", "externalId"]
                .contains(&name.as_str())
        });
        let derived = services.first().and_then(|service| service.get("category")).cloned();
        if let (None, Some(category)) = (form.text("serviceCategory"), derived) {
            values.insert("serviceCategory".to_owned(), category);
        }
        if form.body.contains_key("services") {
            values.insert("services".to_owned(), services.into());
        }
        values
    }

    /// The ids of the customer and the car that a body describes, who are there then.
    fn people(&mut self, form: &Form<'_>) -> Map<String, Value> {
        let mut ids = Map::new();
        let (customer, mut car) = (form.object("customer"), form.object("car"));
        if !customer.is_empty() {
            let id = self.store.merge(Kind::Customer, self.partner, "phone", customer);
            car.entry("customerId").or_insert_with(|| id.clone().into());
            ids.insert("customerId".to_owned(), id.into());
        }
        if !form.object("car").is_empty() {
            ids.insert("carId".to_owned(), self.store.merge(Kind::Car, self.partner, "rego", car).into());
        }
        ids
    }

    /// The slot that a body asks for, if it is one and free.
    fn slot(&self, workshop: &str, form: &Form<'_>) -> Result<Option<DateTime>, Refusal> {
        let Some(slot) = form.text("dropOffTime").and_then(|text| text.parse().ok()) else { return Ok(None) };
        if !calendar::is_slot(slot) {
            let message = "is no time at which the workshop takes cars".to_owned();
            return Err(Refusal::invalid(vec![Complaint { field: "dropOffTime".to_owned(), message }]));
        }
        if !self.is_free(workshop, slot) {
            return Err(Refusal::new(StatusCode::CONFLICT, "The slot is taken."));
        }
        Ok(Some(slot))
    }

    fn is_free(&self, workshop: &str, slot: DateTime) -> bool {
        !self.held(workshop).any(|(held, _)| held == slot)
    }

    /// The slots that bookings of a workshop hold, whoever made them. A booking that is cancelled holds none.
    fn held(&self, workshop: &str) -> impl Iterator<Item = (DateTime, &Record)> {
        let bookings = self.store.all(Kind::Booking).filter(move |booking| {
            booking.text("workshopId") == Some(workshop) && booking.text("status") != Some("cancelled")
        });
        bookings.filter_map(|booking| Some((booking.text("dropOffTime")?.parse().ok()?, booking)))
    }

    fn keep_limits(&self, workshop: &str, slot: Option<DateTime>, values: &Map<String, Value>) -> Result<(), Refusal> {
        let Some(slot) = slot else { return Ok(()) };
        let services = values.get("services").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let mut wanted: Vec<_> =
            services.iter().map(|service| (text(service, "category"), text(service, "catalogId"))).collect();
        if wanted.is_empty() {
            wanted.push((values.get("serviceCategory").and_then(Value::as_str).map(str::to_owned), None));
        }
        let fits = |(category, item): &(Option<String>, Option<String>)| {
            self.is_below_limits(workshop, slot.date(), category.as_deref(), item.as_deref())
        };
        if wanted.iter().all(fits) {
            Ok(())
        } else {
            Err(Refusal::new(StatusCode::CONFLICT, "The workshop takes no more of these on this day."))
        }
    }

    /// Whether a workshop takes one more booking of a category on a day; a service's own limit overrides its category's.
    fn is_below_limits(&self, workshop: &str, day: Date, category: Option<&str>, item: Option<&str>) -> bool {
        let booked = |matches: &dyn Fn(&Value) -> bool| {
            let on_day = self.held(workshop).filter(|(slot, _)| slot.date() == day);
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

    fn workshop(&self, id: &str) -> Result<&Catalog, Refusal> {
        self.store.catalogs.get(id).ok_or_else(Refusal::not_found)
    }

    fn customer_by_phone(&self, phone: &str) -> Option<String> {
        let own = |customer: &&Record| customer.partner == self.partner && customer.text("phone") == Some(phone);
        self.store.all(Kind::Customer).find(own)?.text("id").map(str::to_owned)
    }

    /// An object that exists and is the partner's own.
    fn own(&self, kind: Kind, id: &str) -> Result<&Record, Refusal> {
        let record = self.store.get(kind, id).ok_or_else(Refusal::not_found)?;
        if record.partner == self.partner {
            Ok(record)
        } else {
            Err(Refusal::new(StatusCode::FORBIDDEN, "This is another partner's."))
        }
    }

    fn shown(&self, kind: Kind, id: &str) -> Answer {
        (StatusCode::OK, self.store.shown(kind, id))
    }

    /// The answer to a change, of which it is not known whether it shows the object.
    fn echo(&self, kind: Kind, id: &str, status: StatusCode) -> Answer {
        (status, if self.options.silent_changes { Value::Null } else { self.store.shown(kind, id) })
    }

    fn send(&mut self, what: Dispatch, about: &str) {
        self.outbox.push(Sent { at: self.now, what, about: about.to_owned() });
    }
}

fn finished(form: Form<'_>) -> Result<Form<'_>, Refusal> {
    if form.complaints.is_empty() { Ok(form) } else { Err(Refusal::invalid(form.complaints)) }
}

fn days(first: Date, last: Date) -> impl Iterator<Item = Date> {
    // One more than is allowed tells that there are too many.
    first.series(jiff::Span::new().days(1)).take_while(move |day| *day <= last).take(DAYS as usize + 1)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::seed::{LEGACY_WORKSHOP, LOGBOOK, WORKSHOP};
    use super::super::{Dispatch, MockServer, MockServerBuilder, Partner, UnknownPhone};

    const BOOKING: &str = "670000000000000000000001";
    const CUSTOMER: &str = "650000000000000000000001";

    fn tenant() -> MockServer {
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

    /// A new booking with some fields in place of others.
    fn with(changes: &Value) -> Value {
        let mut body = booking();
        for (name, value) in changes.as_object().expect("an object") {
            body[name] = value.clone();
        }
        body
    }

    fn book(tenant: &MockServer, body: Value) -> (u16, Value) {
        tenant.ask("POST", "/bookings", Some(body))
    }

    fn free(tenant: &MockServer, query: &str) -> Vec<usize> {
        let (status, days) = tenant.ask("GET", &format!("/workshops/{WORKSHOP}/availabilities?{query}"), None);
        assert_eq!(status, 200, "{days}");
        days.as_array().expect("days").iter().map(|day| day["slots"].as_array().expect("slots").len()).collect()
    }

    #[test]
    fn a_week_has_seven_days_of_which_one_is_closed() {
        // The seeded booking holds a slot on Monday.
        assert_eq!(free(&tenant(), "startDate=2026-06-01&endDate=2026-06-07"), [4, 5, 5, 5, 5, 2, 0]);
    }

    #[test]
    fn a_range_that_is_no_week_is_refused_with_its_reason() {
        for (query, field, message) in [
            ("startDate=2026-06-01&endDate=2026-06-08", "endDate", "is more than 7 days from startDate, both counted"),
            ("startDate=2026-06-01&endDate=9999-12-31", "endDate", "is more than 7 days from startDate, both counted"),
            ("startDate=2026-06-02&endDate=2026-06-01", "endDate", "is before startDate"),
            ("startDate=1%20June&endDate=2026-06-01", "startDate", "has to be a date such as 2026-06-01"),
            ("startDate=20260601&endDate=2026-06-01", "startDate", "has to be a date such as 2026-06-01"),
            ("startDate=2026-06-01", "endDate", "has to be a date such as 2026-06-01"),
            (
                "startDate=2026-06-01&endDate=2026-06-01&serviceCategory=wash",
                "serviceCategory",
                "has to be service, tyres, repair or others",
            ),
            (
                "startDate=2026-06-01&endDate=2026-06-01&catalogId=1",
                "catalogId",
                "is not in the catalog of the workshop",
            ),
        ] {
            let (status, answer) = tenant().ask("GET", &format!("/workshops/{WORKSHOP}/availabilities?{query}"), None);
            assert_eq!((status, &answer["errors"]), (400, &json!([{"field": field, "message": message}])), "{query}");
        }
    }

    #[test]
    fn a_parameter_or_workshop_that_nobody_knows_is_refused() {
        assert_eq!(tenant().ask("GET", &format!("/workshops/{WORKSHOP}/services?limit=5"), None).0, 400);
        for path in ["/workshops/1/services", "/workshops/1/availabilities?startDate=2026-06-01&endDate=2026-06-01"] {
            assert_eq!(tenant().ask("GET", path, None).0, 404, "{path}");
        }
        assert_eq!(tenant().ask("GET", &format!("/workshops/{LEGACY_WORKSHOP}/services"), None), (200, json!([])));
    }

    #[test]
    fn a_booking_holds_its_slot_until_it_is_cancelled() {
        let tenant = tenant();
        let tuesday = "startDate=2026-06-02&endDate=2026-06-02";
        let (status, created) = book(&tenant, booking());
        assert_eq!((status, free(&tenant, tuesday)), (201, vec![4]));
        let (status, answer) = book(&tenant, with(&json!({"car": {"rego": "OTHER1"}})));
        assert_eq!((status, &answer["message"]), (409, &json!("The slot is taken.")));

        let id = created["bookingId"].as_str().expect("an id");
        assert_eq!(tenant.ask("POST", &format!("/bookings/{id}/cancelled"), None).0, 200);
        assert_eq!(free(&tenant, tuesday), [5]);
    }

    #[test]
    fn a_booking_is_answered_with_its_id_and_completed_services() {
        let tenant = tenant();
        let (_, created) = book(&tenant, booking());
        assert_eq!(created["serviceCategory"], "service", "of the first service");
        assert_eq!(
            (&created["services"][0]["source"], &created["services"][0]["maxCost"]),
            (&json!("catalog"), &json!(200))
        );
        assert_eq!(created["services"][1]["source"], "custom");
        let stored = tenant.booking(created["bookingId"].as_str().expect("an id"));
        assert_eq!((&stored["status"], &stored["code"]), (&json!("pending"), &json!("BK000003")));
        assert_eq!((&stored["car"]["rego"], &stored["customer"]["firstName"]), (&json!("XYZ987"), &json!("Ada")));
        assert_eq!(stored["car"]["customerId"], stored["customerId"]);
    }

    #[test]
    fn the_older_form_is_taken_too() {
        let body = json!({
            "workshopId": LEGACY_WORKSHOP, "servicePackageType": "logbook", "dropOffTime": "2026-06-02T09:00",
            "customer": {"email": "ada@mail.example", "phone": "0400000009"},
        });
        let (status, created) = book(&tenant(), body);
        assert_eq!((status, created.get("services")), (201, None));
    }

    #[test]
    fn a_booking_that_lacks_something_is_refused_by_name() {
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
            let (status, answer) = book(&tenant(), with(&changes));
            assert_eq!((status, &answer["errors"][0]["field"]), (400, &json!(field)), "{changes}: {answer}");
        }
    }

    #[test]
    fn unknown_fields_can_be_let_through() {
        let tenant = MockServer::builder().with_unknown_fields_ignored().in_memory();
        assert_eq!(book(&tenant, with(&json!({"colour": "red"}))).0, 201);
    }

    #[test]
    fn the_same_phone_number_is_the_same_customer() {
        let tenant = tenant();
        let customer = json!({"firstName": "Noor", "email": "new@mail.example", "phone": "0400000001"});
        let (_, created) = book(&tenant, with(&json!({"customer": customer, "car": {"rego": "1AB2CD"}})));
        let stored = tenant.booking(created["bookingId"].as_str().expect("an id"));
        assert_eq!(
            (&stored["customerId"], &stored["customer"]["email"]),
            (&json!(CUSTOMER), &json!("new@mail.example"))
        );
        assert_eq!(stored["carId"], "660000000000000000000001");
    }

    #[test]
    fn a_full_day_takes_no_more_of_a_category_and_a_services_own_limit_goes_before() {
        let monday = |filter: &str| format!("startDate=2026-06-01&endDate=2026-06-01{filter}");
        let limited = |builder: MockServerBuilder| builder.in_memory();
        let tenant = limited(MockServer::builder().with_daily_limit("service", 1));
        assert_eq!(free(&tenant, &monday("&serviceCategory=service")), [0]);
        assert_eq!(free(&tenant, &monday(&format!("&catalogId={LOGBOOK}"))), [0]);
        assert_eq!((free(&tenant, &monday("&serviceCategory=repair")), free(&tenant, &monday(""))), (vec![4], vec![4]));
        let (status, _) = book(&tenant, with(&json!({"dropOffTime": "2026-06-01T10:00:00"})));
        assert_eq!(status, 409);

        let tenant =
            limited(MockServer::builder().with_daily_limit("service", 1).with_daily_limit_of_service(LOGBOOK, 2));
        assert_eq!(free(&tenant, &monday(&format!("&catalogId={LOGBOOK}"))), [4]);
        assert_eq!(book(&tenant, with(&json!({"dropOffTime": "2026-06-01T10:00:00"}))).0, 201);
        assert_eq!(book(&tenant, with(&json!({"dropOffTime": "2026-06-01T11:00:00"}))).0, 409);
    }

    #[test]
    fn an_update_changes_what_it_names_and_nothing_else() {
        let tenant = tenant();
        let path = format!("/bookings/{BOOKING}");
        let (status, answer) = tenant.ask("PUT", &path, Some(json!({"externalId": "PO-7"})));
        assert_eq!((status, &answer["externalId"], &answer["code"]), (200, &json!("PO-7"), &json!("BK000001")));
        assert_eq!(tenant.booking(BOOKING)["services"].as_array().map(Vec::len), Some(1));
        let (status, _) = tenant.ask("PUT", &path, Some(json!({"dropOffTime": "2026-06-01T09:00:00"})));
        assert_eq!(status, 200, "its own slot is not taken");
    }

    #[test]
    fn what_may_not_be_changed_is_refused_by_name() {
        let tenant = MockServer::builder().with_editable_fields(["externalId"]).in_memory();
        for (field, message) in [
            ("workshopId", "cannot be changed"),
            ("car", "cannot be changed"),
            ("status", "is not known"),
            ("id", "is not known"),
        ] {
            let (status, answer) = tenant.ask("PUT", &format!("/bookings/{BOOKING}"), Some(json!({field: null})));
            assert_eq!((status, &answer["errors"]), (400, &json!([{"field": field, "message": message}])));
        }
        assert_eq!(tenant.ask("PUT", &format!("/bookings/{BOOKING}"), Some(json!({}))).0, 400);
    }

    #[test]
    fn a_status_moves_by_the_table_and_no_other_way() {
        let tenant = tenant();
        let status = |status: &str| tenant.ask("POST", &format!("/bookings/{BOOKING}/{status}"), None).0;
        assert_eq!((status("completed"), status("lost"), status("confirmed%2F..")), (409, 400, 400));
        assert_eq!(tenant.booking(BOOKING)["status"], "pending");
        assert_eq!((status("confirmed"), status("completed"), status("cancelled")), (200, 200, 409));
        assert_eq!(tenant.booking(BOOKING)["status"], "completed");
        assert_eq!(tenant.ask("POST", "/bookings/none/cancelled", None).0, 404);
    }

    #[test]
    fn the_table_of_moves_can_be_another() {
        let tenant = MockServer::builder().with_transitions([("new", "in_progress"), ("pending", "new")]).in_memory();
        assert_eq!(tenant.ask("POST", &format!("/bookings/{BOOKING}/new"), Some(json!({"note": "x"}))).0, 200);
        assert_eq!(tenant.ask("POST", &format!("/bookings/{BOOKING}/in_progress"), None).0, 200);
        let (_, created) = book(&tenant, booking());
        assert_eq!(tenant.booking(created["bookingId"].as_str().expect("an id"))["status"], "new");
    }

    #[test]
    fn a_quote_needs_whom_and_what_it_is_for() {
        let customer = json!({"firstName": "Ada", "email": "ada@mail.example", "address": "1 Example St"});
        let body = json!({"workshopId": WORKSHOP, "customer": customer, "car": {"rego": "XYZ987"}});
        let (status, quote) = tenant().ask("POST", "/quotes", Some(body.clone()));
        assert_eq!((status, &quote["id"]), (201, &json!("680000000000000000000001")));
        for (field, missing) in [("workshopId", "workshopId"), ("car", "car.rego or car.make or car.model or car.vin")]
        {
            let mut body = body.clone();
            body[field] = Value::Null;
            let (status, answer) = tenant().ask("POST", "/quotes", Some(body));
            assert_eq!((status, &answer["errors"][0]["field"]), (400, &json!(missing)));
        }
    }

    fn remind(tenant: &MockServer, mut body: Value) -> (u16, Value) {
        body["workshopId"] = WORKSHOP.into();
        tenant.ask("POST", "/reminders/services", Some(body))
    }

    #[test]
    fn a_reminder_sends_a_code_of_eight_characters() {
        let tenant = tenant();
        let (status, reminder) = remind(&tenant, json!({"customerPhone": "0400000001"}));
        assert_eq!(
            (status, &reminder["customerId"], &reminder["lastBookingId"]),
            (201, &json!(CUSTOMER), &json!(BOOKING))
        );
        let code = reminder["code"].as_str().expect("a code").to_owned();
        assert_eq!(code.len(), 8);
        assert_eq!(tenant.sent()[0].what, Dispatch::Sms { to: "0400000001".to_owned(), code });

        let id = reminder["id"].as_str().expect("an id");
        tenant.rebook(id, BOOKING);
        assert_eq!(tenant.ask("GET", &format!("/reminders/services/{id}"), None).1["newBookingId"], BOOKING);
    }

    #[test]
    fn an_id_wins_over_a_phone_number() {
        let tenant = tenant();
        let (status, reminder) = remind(&tenant, json!({"customerId": CUSTOMER, "customerPhone": "0499999999"}));
        assert_eq!((status, &reminder["customerId"]), (201, &json!(CUSTOMER)));
        assert_eq!(remind(&tenant, json!({"customerId": "none", "customerPhone": "0400000001"})).0, 400);
    }

    #[test]
    fn a_phone_number_has_to_be_local_and_may_have_to_be_known() {
        for phone in ["400000001", "+61400000001", "0400 000 001"] {
            assert_eq!(remind(&tenant(), json!({"customerPhone": phone})).0, 400, "{phone}");
        }
        assert_eq!(remind(&tenant(), json!({})).0, 400);
        let (status, reminder) = remind(&tenant(), json!({"customerPhone": "0499999999"}));
        assert_eq!((status, &reminder["customerId"]), (201, &json!("650000000000000000000002")));
        let tenant = MockServer::builder().with_unknown_phone(UnknownPhone::Refused).in_memory();
        assert_eq!(remind(&tenant, json!({"customerPhone": "0499999999"})).0, 400);
    }

    #[test]
    fn what_would_have_been_sent_is_remembered_in_order() {
        let tenant = tenant();
        let (_, quiet) = book(&tenant, with(&json!({"skipNotification": true})));
        let (_, loud) = book(&tenant, with(&json!({"dropOffTime": "2026-06-02T10:00:00"})));
        tenant.ask("PUT", &format!("/bookings/{BOOKING}"), Some(json!({"externalId": "x"})));
        for status in ["confirmed", "completed"] {
            tenant.ask("POST", &format!("/bookings/{BOOKING}/{status}"), None);
        }
        let sent = tenant.sent();
        let sent: Vec<_> = sent.iter().map(|sent| (sent.what.clone(), sent.about.as_str())).collect();
        let webhook = |action, about| (Dispatch::Webhook(action), about);
        let (quiet, loud) = (quiet["bookingId"].as_str().expect("an id"), loud["bookingId"].as_str().expect("an id"));
        assert_eq!(
            sent,
            [
                webhook("bookingCreate", quiet),
                (Dispatch::Notification, loud),
                webhook("bookingCreate", loud),
                webhook("bookingUpdated", BOOKING),
                webhook("bookingUpdated", BOOKING),
                webhook("bookingCompleted", BOOKING),
            ]
        );
    }

    #[test]
    fn changes_can_be_answered_with_nothing() {
        let tenant = MockServer::builder().with_silent_changes().with_post_status(200).in_memory();
        let (status, answer) = tenant.ask("POST", &format!("/bookings/{BOOKING}/confirmed"), None);
        assert_eq!((status, answer), (200, Value::Null));
        assert_eq!(book(&tenant, booking()).0, 200);
        assert_eq!(tenant.booking(BOOKING)["status"], "confirmed");
    }

    #[test]
    fn a_body_has_to_be_json_and_to_say_so() {
        let tenant = tenant();
        let bearer = format!("Bearer {}", tenant.issue_tokens(Partner::Main).access_token);
        let headers =
            [("x-partner-id", "test-partner"), ("authorization", bearer.as_str()), ("content-type", "text/plain")];
        assert_eq!(tenant.request_with(&headers, "POST", "/quotes", Some(json!({}))).0, 415);
        assert_eq!(tenant.ask("POST", "/quotes", Some(json!([]))).0, 400);
        assert_eq!(tenant.ask("POST", "/quotes", None).0, 400);
    }
}
