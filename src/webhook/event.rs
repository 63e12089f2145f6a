//! The events of a vendor, as a receiver reads them.

use serde_json::error::Category;

pub(crate) use self::sealed::ReadEvent;
use super::error::WebhookError;
use crate::{json_repair, lenient};

/// What a webhook of a vendor says: the type parameter of a [`WebhookReceiver`](super::WebhookReceiver).
///
/// The vendors' event types implement it, such as [`repairy::BookingEvent`](crate::repairy::BookingEvent); the trait is sealed.
pub trait WebhookEvent: ReadEvent {}

impl<E: ReadEvent> WebhookEvent for E {}

mod sealed {
    use crate::webhook::format::WebhookFormat;

    /// What a vendor's module implements.
    #[expect(unnameable_types, reason = "being unnameable is what seals a trait")]
    pub trait ReadEvent: Sized + Send + Sync + 'static {
        /// The facts about the vendor's webhooks.
        const FORMAT: WebhookFormat;

        /// Reads a body that is JSON as it should be.
        fn parse(body: &[u8]) -> Result<Self, serde_json::Error>;
    }
}

/// Reads a body, after a repair if it is not quite JSON.
pub(crate) fn read<E: ReadEvent>(body: &[u8]) -> Result<E, WebhookError> {
    let error = match E::parse(body) {
        Ok(event) => return Ok(event),
        Err(error) => error,
    };
    if error.classify() == Category::Data {
        return Err(WebhookError::NotAnEvent);
    }
    let repaired = json_repair::repair(body);
    lenient::report_repaired();
    E::parse(repaired.as_bytes()).map_err(|again| match again.classify() {
        Category::Data => WebhookError::NotAnEvent,
        // The positions of what was received, and no text of it.
        _ => WebhookError::NotJson { line: error.line(), column: error.column() },
    })
}
