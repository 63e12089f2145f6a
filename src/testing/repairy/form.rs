//! The bodies of writes: which fields they may have, and what is in them.

use jiff::civil::DateTime;
use serde_json::{Map, Value};

use super::catalog::CATEGORIES;
use super::refusal::Complaint;

/// A field of a body.
#[derive(Debug)]
pub(super) struct Field(pub(super) &'static str, Kind);

/// What a field holds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Category,
    Email,
    Flag,
    Number,
    Object(&'static [Field]),
    Phone,
    Services,
    Text,
    Time,
    Whole,
}

const CUSTOMER: Field = Field(
    "customer",
    Kind::Object(&[
        Field("firstName", Kind::Text),
        Field("lastName", Kind::Text),
        Field("email", Kind::Email),
        Field("phone", Kind::Phone),
        Field("address", Kind::Text),
    ]),
);
const CAR: Field = Field(
    "car",
    Kind::Object(&[
        Field("rego", Kind::Text),
        Field("year", Kind::Whole),
        Field("make", Kind::Text),
        Field("model", Kind::Text),
        Field("badge", Kind::Text),
        Field("vin", Kind::Text),
    ]),
);
const EXTERNAL_ID: Field = Field("externalId", Kind::Text);
const CATEGORY: Field = Field("serviceCategory", Kind::Category);
const SERVICES: Field = Field("services", Kind::Services);
const WORKSHOP: Field = Field("workshopId", Kind::Text);

/// A new booking; an update has the same fields, as far as the tenant lets them be edited.
pub(super) const BOOKING: &[Field] = &[
    WORKSHOP,
    CUSTOMER,
    CAR,
    Field("dropOffTime", Kind::Time),
    Field("pickupTime", Kind::Time),
    SERVICES,
    CATEGORY,
    Field("servicePackageType", Kind::Text),
    EXTERNAL_ID,
    Field("skipNotification", Kind::Flag),
];
pub(super) const QUOTE: &[Field] = &[WORKSHOP, CUSTOMER, CAR, SERVICES, CATEGORY, EXTERNAL_ID];
pub(super) const REMINDER: &[Field] = &[WORKSHOP, Field("customerId", Kind::Text), Field("customerPhone", Kind::Phone)];

/// A service as it is sent; `source` is the vendor's to set.
const SERVICE: &[Field] = &[
    Field("catalogId", Kind::Text),
    Field("catalogCode", Kind::Text),
    Field("title", Kind::Text),
    CATEGORY_OF_SERVICE,
    Field("cost", Kind::Number),
    Field("maxCost", Kind::Number),
    Field("icon", Kind::Text),
    Field("color", Kind::Text),
];
const CATEGORY_OF_SERVICE: Field = Field("category", Kind::Category);

/// A body that is looked through, and everything that is wrong with it.
#[derive(Debug)]
pub(super) struct Form<'a> {
    pub(super) body: &'a Map<String, Value>,
    pub(super) complaints: Vec<Complaint>,
}

impl<'a> Form<'a> {
    /// Looks through a body. Fields that nobody knows are wrong unless they are to be ignored.
    pub(super) fn read(body: &'a Map<String, Value>, fields: &[Field], ignores_unknown: bool) -> Self {
        let mut form = Self { body, complaints: Vec::new() };
        form.check("", body, fields, ignores_unknown);
        form
    }

    /// The object in a field; empty where there is none.
    pub(super) fn object(&self, name: &str) -> Map<String, Value> {
        let mut object = self.body.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        object.retain(|_, value| !value.is_null());
        object
    }

    /// The text at a place such as `workshopId` or `customer.email`.
    pub(super) fn text(&self, place: &str) -> Option<&'a str> {
        let mut parts = place.split('.');
        let first = self.body.get(parts.next()?)?;
        let text = parts.try_fold(first, |value, part| value.get(part))?.as_str()?;
        (!text.trim().is_empty()).then_some(text)
    }

    pub(super) fn services(&self) -> &'a [Value] {
        self.body.get("services").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    /// Asks for one of several texts.
    pub(super) fn require(&mut self, places: &[&str]) {
        if !places.iter().any(|place| self.text(place).is_some()) {
            self.complain(&places.join(" or "), "is required");
        }
    }

    pub(super) fn complain(&mut self, field: &str, message: impl Into<String>) {
        self.complaints.push(Complaint { field: field.to_owned(), message: message.into() });
    }

    fn check(&mut self, prefix: &str, object: &Map<String, Value>, fields: &[Field], ignores_unknown: bool) {
        for (name, value) in object {
            let place = format!("{prefix}{name}");
            match fields.iter().find(|field| field.0 == name) {
                Some(_) if value.is_null() => {}
                Some(field) => self.check_value(&place, value, field.1, ignores_unknown),
                None if ignores_unknown => {}
                None => self.complain(&place, "is not known"),
            }
        }
    }

    fn check_value(&mut self, place: &str, value: &Value, kind: Kind, ignores_unknown: bool) {
        let text = value.as_str();
        let (fits, wanted) = match (kind, value) {
            (Kind::Object(fields), Value::Object(object)) => {
                return self.check(&format!("{place}."), object, fields, ignores_unknown);
            }
            (Kind::Services, Value::Array(services)) => {
                for (index, service) in services.iter().enumerate() {
                    self.check_value(&format!("{place}[{index}]"), service, Kind::Object(SERVICE), ignores_unknown);
                }
                return;
            }
            (Kind::Category, _) => {
                (text.is_some_and(|text| CATEGORIES.contains(&text)), "has to be service, tyres, repair or others")
            }
            (Kind::Email, _) => (text.is_some_and(is_email), "has to be an email address"),
            (Kind::Flag, _) => (value.is_boolean(), "has to be true or false"),
            (Kind::Number, _) => (value.is_number(), "has to be a number"),
            (Kind::Object(_), _) => (false, "has to be an object"),
            (Kind::Phone, _) => (text.is_some_and(is_phone), "has to be ten digits that begin with 0"),
            (Kind::Services, _) => (false, "has to be a list"),
            (Kind::Text, _) => (text.is_some(), "has to be text"),
            (Kind::Time, _) => (text.is_some_and(is_time), "has to be a time such as 2026-06-01T09:00"),
            (Kind::Whole, _) => (value.is_i64(), "has to be a whole number"),
        };
        if !fits {
            self.complain(place, wanted);
        }
    }
}

fn is_email(text: &str) -> bool {
    let clean = !text.contains(char::is_whitespace);
    text.split_once('@').is_some_and(|(name, host)| {
        clean
            && !name.is_empty()
            && !host.contains('@')
            && host.split('.').count() > 1
            && host.split('.').all(|label| !label.is_empty())
    })
}

/// The local form is known from the reminders; elsewhere it is taken to be the same.
fn is_phone(text: &str) -> bool {
    text.len() == 10 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Times are the workshop's own, so one with an offset is none.
fn is_time(text: &str) -> bool {
    let offset = text.ends_with(['Z', 'z']) || text.rsplit_once('T').is_some_and(|(_, time)| time.contains(['+', '-']));
    !offset && text.contains('T') && text.parse::<DateTime>().is_ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complaints(body: &Value, fields: &[Field]) -> Vec<String> {
        let form = Form::read(body.as_object().expect("an object"), fields, false);
        form.complaints.iter().map(|complaint| format!("{} {}", complaint.field, complaint.message)).collect()
    }

    #[test]
    fn a_value_that_does_not_fit_is_named_with_what_would() {
        for (body, complaint) in [
            (json!({"customer": {"email": "ada@example"}}), "customer.email has to be an email address"),
            (json!({"customer": {"phone": "+61400000001"}}), "customer.phone has to be ten digits that begin with 0"),
            (json!({"customer": "Ada"}), "customer has to be an object"),
            (json!({"car": {"year": "2019"}}), "car.year has to be a whole number"),
            (json!({"car": {"colour": "red"}}), "car.colour is not known"),
            (json!({"dropOffTime": "2026-06-01T09:00Z"}), "dropOffTime has to be a time such as 2026-06-01T09:00"),
            (json!({"dropOffTime": "2026-06-01"}), "dropOffTime has to be a time such as 2026-06-01T09:00"),
            (json!({"serviceCategory": "maintenance"}), "serviceCategory has to be service, tyres, repair or others"),
            (json!({"services": {}}), "services has to be a list"),
            (json!({"services": [{}, 7]}), "services[1] has to be an object"),
            (json!({"services": [{"source": "catalog"}]}), "services[0].source is not known"),
            (json!({"services": [{"cost": "150"}]}), "services[0].cost has to be a number"),
            (json!({"skipNotification": 1}), "skipNotification has to be true or false"),
            (json!({"status": "completed"}), "status is not known"),
            (json!({"externalId": 7}), "externalId has to be text"),
        ] {
            assert_eq!(complaints(&body, BOOKING), [complaint], "{body}");
        }
    }

    #[test]
    fn what_fits_and_what_is_null_is_taken() {
        let body = json!({
            "workshopId": "1", "customer": {"email": "ada@mail.example.com", "phone": "0400000001", "address": null},
            "car": null, "dropOffTime": "2026-06-01T09:00:00", "services": [{"title": "Brakes", "cost": 99.5}],
        });
        assert!(complaints(&body, BOOKING).is_empty(), "{:?}", complaints(&body, BOOKING));
    }

    #[test]
    fn a_text_is_found_at_its_place_and_blank_is_none() {
        let body = json!({"customer": {"email": "a@b.c", "phone": " "}});
        let mut form = Form::read(body.as_object().expect("an object"), &[], true);
        assert_eq!((form.text("customer.email"), form.text("customer.phone")), (Some("a@b.c"), None));
        form.require(&["customer.phone", "customer.email"]);
        form.require(&["customer.phone", "workshopId"]);
        assert_eq!(form.complaints.len(), 1);
        assert_eq!(form.complaints[0].field, "customer.phone or workshopId");
    }
}
