//! What Repairy's webhooks say.
//!
//! Documented are the headers, the actions and the fields `id`, `action` and `timestamp`
//! ([source](https://docs.partners.repairy.au/webhook-1114051m0)). The name of the field with the event's content could not be
//! read, so the content is looked for.

mod action;

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeOwned, Error as _};
use serde_json::value::RawValue;

pub use self::action::BookingAction;
use super::envelope;
use super::generated::types::Booking;
use super::id::Id;
use crate::webhook::{ReadEvent, WebhookError, WebhookFormat};
use crate::{lenient, webhook};

/// The field of the content, if several fields could be. Assumed.
const CONTENT: &str = "data";
/// The fields beside the content. Documented.
const FIELDS: [&str; 3] = ["id", "action", "timestamp"];

/// What a webhook of Repairy says: what happened to a booking. The type parameter of a
/// [`WebhookReceiver`](crate::webhook::WebhookReceiver).
///
/// The fields `id`, `action` and `timestamp` are documented. That the content is the booking is **assumed**, because all four
/// actions are about bookings; so is where it is: in `data`, or else in the only field with an object. So take the event for a
/// hint that a booking changed, and [read the booking](super::Client::get_booking) by its id.
///
/// Nothing is lost: an action that is not known keeps its name in [`BookingAction::Other`] and its content in
/// [`content`](Self::content), and the [body](crate::webhook::Delivery::body) of the delivery has the rest. `Debug` prints no
/// content, which may name a customer.
///
/// # Example
///
/// ```
/// use servicebay::repairy::{BookingAction, BookingEvent};
///
/// let body = r#"{"id": "e1", "action": "bookingCompleted", "data": {"id": "67a1", "code": "B-1"}}"#;
/// let event = BookingEvent::from_body(body.as_bytes())?;
/// assert_eq!(event.action, BookingAction::Completed);
/// assert_eq!(event.booking_id, Some("67a1".into()));
///
/// let body = r#"{"id": "e2", "action": "quoteAccepted", "data": {"id": "68a1", "total": 150}}"#;
/// let event = BookingEvent::from_body(body.as_bytes())?;
/// assert!(event.action == "quoteAccepted" && event.booking.is_none());
/// let quote: serde_json::Value = event.content_as()?.ok_or("no content")?;
/// assert_eq!(quote["total"], 150);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct BookingEvent {
    /// Id of the event. Documented.
    pub id: Option<String>,
    /// What happened. Documented.
    pub action: BookingAction,
    /// The time as it was sent. That it takes part in the signature is documented, its format is not;
    /// [`Delivery::sent_at`](crate::webhook::Delivery::sent_at) has the time of the header, which is.
    pub timestamp: Option<String>,
    /// Id of the booking: the `id` of the content or, in the content or beside it, `bookingId`. `None` for an action that is not
    /// known. Assumed.
    pub booking_id: Option<Id<Booking>>,
    /// The booking, if the content is one. `None` for an action that is not known. Assumed.
    pub booking: Option<Booking>,
    content: Option<String>,
}

impl BookingEvent {
    /// Reads the body of a delivery that was verified before, such as one from a queue of yours. It checks nothing else: for a
    /// request, use a [`WebhookReceiver`](crate::webhook::WebhookReceiver).
    ///
    /// # Errors
    ///
    /// [`WebhookError::NotJson`] or [`WebhookError::NotAnEvent`].
    pub fn from_body(body: &[u8]) -> Result<Self, WebhookError> {
        webhook::read(body)
    }

    /// The content of the event as JSON, if it has one: the booking, or that of an action that is not known.
    pub fn content(&self) -> Option<&str> {
        self.content.as_deref()
    }

    /// The content as another type. `None` if there is none.
    ///
    /// # Errors
    ///
    /// Returns the error of `serde_json` if the content is not a `T`.
    pub fn content_as<T: DeserializeOwned>(&self) -> Result<Option<T>, serde_json::Error> {
        self.content().map(serde_json::from_str).transpose()
    }
}

impl ReadEvent for BookingEvent {
    // All documented.
    const FORMAT: WebhookFormat = WebhookFormat {
        vendor: "repairy",
        request_id: "x-request-id",
        webhook_id: "x-webhook-id",
        signature: "x-webhook-signature",
        timestamp: "x-webhook-timestamp",
        version_header: "x-webhook-version",
        version: "3",
    };

    fn parse(body: &[u8]) -> Result<Self, serde_json::Error> {
        let fields: BTreeMap<String, &RawValue> = serde_json::from_slice(body)?;
        let action = text(&fields, "action")?.filter(|action| !action.is_empty());
        let action = BookingAction::from(action.ok_or_else(|| serde_json::Error::missing_field("action"))?);
        let content = content(&fields);
        let (mut booking, mut booking_id) = (None, None);
        if !matches!(action, BookingAction::Other(_)) {
            // There may be a wrapper around the booking, as around responses.
            let inside = content.map(|content| envelope::content(content.get().as_bytes()).unwrap_or_default());
            let object: Option<BTreeMap<String, &RawValue>> =
                inside.and_then(|object| serde_json::from_slice(object).ok());
            let object = object.unwrap_or_default();
            if !object.is_empty() {
                booking = inside.map(read_booking).transpose()?;
            }
            booking_id = booking.as_ref().and_then(|booking: &Booking| booking.id.clone());
            if booking_id.is_none() {
                let named = [&object, &fields].into_iter().find_map(|fields| text(fields, "bookingId").ok().flatten());
                booking_id = named.map(Into::into);
            }
        }
        Ok(Self {
            id: text(&fields, "id")?,
            action,
            timestamp: text(&fields, "timestamp")?,
            booking_id,
            booking,
            content: content.map(|content| content.get().to_owned()),
        })
    }
}

impl fmt::Debug for BookingEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BookingEvent")
            .field("id", &self.id)
            .field("action", &self.action)
            .field("timestamp", &self.timestamp)
            .field("booking_id", &self.booking_id)
            .field("content", &format_args!("{} bytes", self.content.as_ref().map_or(0, String::len)))
            .finish()
    }
}

/// A field of text; a number is kept as its digits.
fn text(fields: &BTreeMap<String, &RawValue>, name: &str) -> Result<Option<String>, serde_json::Error> {
    let value = fields.get(name).map(|value| lenient::text(&mut serde_json::Deserializer::from_str(value.get())));
    value.transpose().map(Option::flatten)
}

/// The content of an event.
fn content<'a>(fields: &BTreeMap<String, &'a RawValue>) -> Option<&'a RawValue> {
    let is_content = |value: &&&RawValue| value.get().starts_with(['{', '[']);
    let others = fields.iter().filter(|(name, _)| !FIELDS.contains(&name.as_str())).map(|(_, value)| value);
    let mut candidates = others.filter(is_content);
    let content = match (candidates.next(), candidates.next()) {
        (only, None) => only,
        _ => fields.get(CONTENT).filter(is_content),
    };
    content.copied()
}

fn read_booking(object: &[u8]) -> Result<Booking, serde_json::Error> {
    lenient::body(&mut serde_json::Deserializer::from_slice(object))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: serde_json::Value) -> BookingEvent {
        BookingEvent::from_body(body.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_booking_is_found_under_any_name() {
        let booking = json!({"id": "67a1", "code": "B-1", "externalId": "PO-7", "car": {"id": "66a1"}});
        for body in [
            json!({"id": "e1", "action": "bookingCreate", "timestamp": 1, "data": booking}),
            json!({"id": "e1", "action": "bookingCreate", "timestamp": 1, "booking": booking}),
            json!({"id": "e1", "action": "bookingCreate", "timestamp": 1, "data": {"booking": booking}}),
            json!({"id": "e1", "action": "bookingCreate", "timestamp": "1", "data": booking, "previous": {"id": "x"}}),
        ] {
            let event = read(body.clone());
            assert_eq!((event.id.as_deref(), event.timestamp.as_deref()), (Some("e1"), Some("1")), "{body}");
            assert_eq!(event.booking_id, Some("67a1".into()), "{body}");
            assert_eq!(event.booking.unwrap().external_id.as_deref(), Some("PO-7"), "{body}");
        }
    }

    #[test]
    fn an_event_that_only_names_the_booking_has_its_id() {
        for body in [
            json!({"action": "bookingUpdated", "data": {"bookingId": "67a1", "status": "confirmed"}}),
            json!({"action": "bookingUpdated", "bookingId": "67a1"}),
            json!({"action": "bookingUpdated", "bookingId": "67a1", "data": []}),
        ] {
            assert_eq!(read(body.clone()).booking_id, Some("67a1".into()), "{body}");
        }
        let event = read(json!({"action": "bookingUpdated", "data": {}}));
        assert_eq!((event.booking_id, event.booking, event.id), (None, None, None));
    }

    #[test]
    fn an_unknown_action_keeps_its_name_and_content_and_is_not_taken_for_a_booking() {
        let event = read(json!({"id": 7, "action": "quoteAccepted", "quote": {"id": "68a1", "total": 1.10}}));
        assert!(event.action == "quoteAccepted" && event.booking.is_none() && event.booking_id.is_none());
        assert_eq!((event.content(), event.id.as_deref()), (Some(r#"{"id":"68a1","total":1.1}"#), Some("7")));
    }

    #[test]
    fn a_value_of_another_shape_costs_its_field_alone() {
        let event = read(json!({
            "id": ["odd"], "action": "bookingCancelled", "timestamp": {"odd": true},
            "data": {"id": "67a1", "car": "odd", "customer": [1], "status": "archived", "services": "odd"},
        }));
        assert_eq!((event.id, event.timestamp), (None, None));
        let booking = event.booking.unwrap();
        assert_eq!((booking.car, booking.customer, booking.services.len()), (None, None, 0));
        assert_eq!(booking.status.unwrap().as_str(), "archived");
    }

    #[test]
    fn a_body_that_is_almost_json_is_repaired_and_one_that_is_no_event_is_refused() {
        let event =
            BookingEvent::from_body(b"{\"action\": \"bookingUpdated\", \"data\": {\"id\": \"67\xff\", \"cost\": NaN}}");
        assert_eq!(event.unwrap().booking_id, Some("67\u{fffd}".into()));
        for body in [
            "[]",
            "7",
            "null",
            "\"bookingCreate\"",
            "{}",
            r#"{"action": null}"#,
            r#"{"action": ""}"#,
            r#"{"action": {}}"#,
        ] {
            let error = BookingEvent::from_body(body.as_bytes()).unwrap_err();
            assert!(matches!(error, WebhookError::NotAnEvent), "{body}: {error:?}");
        }
        for (body, at) in
            [("", (1, 0)), ("{\"action\":\n!", (2, 1)), ("<html>", (1, 1)), ("action=bookingCreate", (1, 1))]
        {
            let error = BookingEvent::from_body(body.as_bytes()).unwrap_err();
            assert!(
                matches!(error, WebhookError::NotJson { line, column } if (line, column) == at),
                "{body}: {error:?}"
            );
        }
    }

    #[test]
    fn debug_prints_nothing_of_the_content() {
        let event = read(json!({"action": "bookingCreate", "data": {"id": "67a1", "customer": {"firstName": "Ada"}}}));
        let debug = format!("{event:?} {event:#?}");
        assert!(debug.contains("67a1") && !debug.contains("Ada"), "{debug}");
    }
}
