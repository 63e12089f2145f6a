//! The fields of request bodies and what they may contain.

use jiff::civil::DateTime;
use serde_json::Value;

use super::catalog::CATEGORIES;

/// A field of a request body: its name and its type.
#[derive(Debug)]
pub(super) struct Field(pub(super) &'static str, pub(super) FieldType);

#[derive(Clone, Copy, Debug)]
pub(super) enum FieldType {
    Boolean,
    Category,
    Email,
    Integer,
    Number,
    Object(&'static [Field]),
    Phone,
    Services,
    Text,
    Time,
}

const CUSTOMER: Field = Field(
    "customer",
    FieldType::Object(&[
        Field("firstName", FieldType::Text),
        Field("lastName", FieldType::Text),
        Field("email", FieldType::Email),
        Field("phone", FieldType::Phone),
        Field("address", FieldType::Text),
    ]),
);
const CAR: Field = Field(
    "car",
    FieldType::Object(&[
        Field("rego", FieldType::Text),
        Field("year", FieldType::Integer),
        Field("make", FieldType::Text),
        Field("model", FieldType::Text),
        Field("badge", FieldType::Text),
        Field("vin", FieldType::Text),
    ]),
);
const EXTERNAL_ID: Field = Field("externalId", FieldType::Text);
const CATEGORY: Field = Field("serviceCategory", FieldType::Category);
const SERVICES: Field = Field("services", FieldType::Services);
const WORKSHOP: Field = Field("workshopId", FieldType::Text);

/// A new booking. An update has the same fields, as far as they are editable.
pub(super) const BOOKING: &[Field] = &[
    WORKSHOP,
    CUSTOMER,
    CAR,
    Field("dropOffTime", FieldType::Time),
    Field("pickupTime", FieldType::Time),
    SERVICES,
    CATEGORY,
    Field("servicePackageType", FieldType::Text),
    EXTERNAL_ID,
    Field("skipNotification", FieldType::Boolean),
];
pub(super) const QUOTE: &[Field] = &[WORKSHOP, CUSTOMER, CAR, SERVICES, CATEGORY, EXTERNAL_ID];
pub(super) const REMINDER: &[Field] =
    &[WORKSHOP, Field("customerId", FieldType::Text), Field("customerPhone", FieldType::Phone)];

/// A service. Its `source` is set by the vendor.
pub(super) const SERVICE: &[Field] = &[
    Field("catalogId", FieldType::Text),
    Field("catalogCode", FieldType::Text),
    Field("title", FieldType::Text),
    Field("category", FieldType::Category),
    Field("cost", FieldType::Number),
    Field("maxCost", FieldType::Number),
    Field("icon", FieldType::Text),
    Field("color", FieldType::Text),
];

impl FieldType {
    /// Whether a value other than an object or a list of services is valid, and what the value must be.
    pub(super) fn check(self, value: &Value) -> (bool, &'static str) {
        let text = value.as_str();
        match self {
            Self::Boolean => (value.is_boolean(), "must be true or false"),
            Self::Category => {
                (text.is_some_and(|text| CATEGORIES.contains(&text)), "must be service, tyres, repair or others")
            }
            Self::Email => (text.is_some_and(is_email), "must be an email address"),
            Self::Integer => (value.is_i64(), "must be an integer"),
            Self::Number => (value.is_number(), "must be a number"),
            Self::Object(_) => (false, "must be an object"),
            Self::Phone => (text.is_some_and(is_phone), "must be ten digits that begin with 0"),
            Self::Services => (false, "must be a list"),
            Self::Text => (text.is_some(), "must be text"),
            Self::Time => (text.is_some_and(is_time), "must be a time such as 2026-06-01T09:00"),
        }
    }
}

fn is_email(text: &str) -> bool {
    let has_space = text.contains(char::is_whitespace);
    text.split_once('@').is_some_and(|(name, host)| {
        !has_space
            && !name.is_empty()
            && !host.contains('@')
            && host.split('.').count() > 1
            && host.split('.').all(|label| !label.is_empty())
    })
}

/// The vendor documents the local form for reminders; the other bodies are assumed to use it too.
fn is_phone(text: &str) -> bool {
    text.len() == 10 && text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Times are local to the workshop, so a time with an offset is invalid.
fn is_time(text: &str) -> bool {
    let offset = text.ends_with(['Z', 'z']) || text.rsplit_once('T').is_some_and(|(_, time)| time.contains(['+', '-']));
    !offset && text.contains('T') && text.parse::<DateTime>().is_ok()
}
