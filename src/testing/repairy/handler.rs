//! The operations, which read and change the store: what they share. The modules below have them by resource.

mod availabilities;
mod bookings;
mod quotes;
mod reminders;

use bytes::Bytes;
use http::{Request, StatusCode};
use jiff::Timestamp;
use serde_json::{Map, Value};

use super::catalog::Catalog;
use super::error_response::{forbidden, not_found};
use super::options::Options;
use super::outbox::{Message, Outbox, SentMessage};
use super::partner::Partner;
use super::schema::Field;
use super::store::{Kind, Record, Store};
use super::validator::{CheckedBody, body};
use crate::testing::error_response::ErrorResponse;
use crate::testing::query::Query;

/// Carries out one request whose partner has a valid token.
#[derive(Debug)]
pub(super) struct Handler<'a> {
    pub(super) options: &'a Options,
    pub(super) store: &'a mut Store,
    pub(super) outbox: &'a mut Outbox,
    pub(super) partner: Partner,
    /// The time that the server shows.
    pub(super) now: Timestamp,
    /// The ids in the path.
    pub(super) ids: Vec<&'a str>,
    pub(super) query: Query,
    pub(super) request: &'a Request<Bytes>,
}

/// The status and the content of a successful response, or an error.
pub(super) type HandlerResult = Result<(StatusCode, Value), ErrorResponse>;

impl<'a> Handler<'a> {
    /// The first id in the path; empty if there is none.
    fn id(&self) -> &'a str {
        self.ids.first().copied().unwrap_or_default()
    }

    fn body(&self) -> Result<Map<String, Value>, ErrorResponse> {
        body(self.request)
    }

    fn check<'b>(&self, fields: &'b Map<String, Value>, schema: &[Field]) -> CheckedBody<'b> {
        CheckedBody::new(fields, schema, self.options.ignores_unknown_fields)
    }

    fn workshop(&self, id: &str) -> Result<&Catalog, ErrorResponse> {
        self.store.catalogs.get(id).ok_or_else(not_found)
    }

    /// A record that exists and belongs to the partner.
    fn own_record(&self, kind: Kind, id: &str) -> Result<&Record, ErrorResponse> {
        let record = self.store.get(kind, id).ok_or_else(not_found)?;
        if record.partner == self.partner { Ok(record) } else { Err(forbidden("This belongs to another partner.")) }
    }

    /// The response with the partner's record that the path names.
    fn read(&self, kind: Kind) -> HandlerResult {
        self.own_record(kind, self.id())?;
        Ok((StatusCode::OK, self.store.to_json(kind, self.id())))
    }

    /// The response to a change. Whether the vendor's contains the record is unknown.
    fn changed(&self, status: StatusCode, kind: Kind, id: &str) -> HandlerResult {
        let content = if self.options.empty_change_responses { Value::Null } else { self.store.to_json(kind, id) };
        Ok((status, content))
    }

    /// Checks the workshop of a body and completes the services.
    fn checked_services(&self, body: &mut CheckedBody<'_>) -> Vec<Value> {
        let workshop = body.text("workshopId").unwrap_or_default();
        if !workshop.is_empty() && self.workshop(workshop).is_err() {
            body.add_error("workshopId", "is not the id of a workshop");
        }
        self.completed_services(workshop, body)
    }

    /// The services of a body, completed from the catalog of a workshop.
    fn completed_services(&self, workshop: &str, body: &mut CheckedBody<'_>) -> Vec<Value> {
        let empty = Catalog::default();
        let catalog = self.store.catalogs.get(workshop).unwrap_or(&empty);
        catalog.complete(body.services(), &mut body.errors)
    }

    /// The fields of a booking or quote without the workshop, the customer and the car.
    fn details(&self, body: &CheckedBody<'_>, services: Vec<Value>) -> Map<String, Value> {
        let mut values = body.fields.clone();
        values.retain(|name, _| {
            ["dropOffTime", "pickupTime", "serviceCategory", "servicePackageType", "externalId"]
                .contains(&name.as_str())
        });
        let category = services.first().and_then(|service| service.get("category")).cloned();
        if let (None, Some(category)) = (body.text("serviceCategory"), category) {
            values.insert("serviceCategory".to_owned(), category);
        }
        if body.fields.contains_key("services") {
            values.insert("services".to_owned(), services.into());
        }
        values
    }

    /// Records a message that a booking or reminder causes.
    fn send(&mut self, message: Message, cause: &str) {
        #[cfg(feature = "webhooks")]
        if let Message::Webhook(action) = message {
            self.outbox.queue(action, self.store.to_json(Kind::Booking, cause));
        }
        self.outbox.messages.push(SentMessage { at: self.now, message, cause: cause.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{MockServer, Partner};

    #[test]
    fn a_body_must_be_a_json_object_with_its_content_type() {
        let server = MockServer::builder().in_memory();
        let bearer = format!("Bearer {}", server.issue_tokens(Partner::Main).access_token);
        let headers =
            [("x-partner-id", "test-partner"), ("authorization", bearer.as_str()), ("content-type", "text/plain")];
        assert_eq!(server.request_with(&headers, "POST", "/quotes", Some(json!({}))).0, 415);
        assert_eq!(server.request("POST", "/quotes", Some(json!([]))).0, 400);
        assert_eq!(server.request("POST", "/quotes", None).0, 400);
    }
}
