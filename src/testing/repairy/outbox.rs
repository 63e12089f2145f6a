//! The messages that the vendor would have sent.

#[cfg(feature = "webhooks")]
use std::collections::VecDeque;

use jiff::Timestamp;
#[cfg(feature = "webhooks")]
use serde_json::Value;

/// What the calls so far have caused.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    pub(super) messages: Vec<SentMessage>,
    /// The webhooks that were not delivered yet, oldest first.
    #[cfg(feature = "webhooks")]
    pub(super) pending: VecDeque<PendingWebhook>,
    /// How many webhooks there were, and so the number of the last one.
    #[cfg(feature = "webhooks")]
    pub(super) webhooks: u32,
}

/// What a webhook says.
#[cfg(feature = "webhooks")]
#[derive(Clone, Debug)]
pub(super) struct PendingWebhook {
    pub(super) number: u32,
    pub(super) action: String,
    /// The booking as it was then.
    pub(super) booking: Value,
}

impl Outbox {
    /// Records a webhook that a call caused, to be delivered.
    #[cfg(feature = "webhooks")]
    pub(super) fn queue(&mut self, action: &str, booking: Value) {
        let webhook = self.number(action, booking);
        self.pending.push_back(webhook);
    }

    /// A webhook with the next number.
    #[cfg(feature = "webhooks")]
    pub(super) fn number(&mut self, action: &str, booking: Value) -> PendingWebhook {
        self.webhooks += 1;
        PendingWebhook { number: self.webhooks, action: action.to_owned(), booking }
    }
}

/// A message that a call caused. The mock server only records it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SentMessage {
    /// When, on the server's own clock.
    pub at: Timestamp,
    /// The message.
    pub message: Message,
    /// The id of the booking or reminder that caused it.
    pub cause: String,
}

/// A message that the vendor sends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message {
    /// The notification of a new booking, which `skipNotification` suppresses. Its recipient is unknown.
    Notification,
    /// An SMS to a customer with the code of a service reminder.
    Sms {
        /// The customer's phone number.
        to: String,
        /// The code, of 8 characters.
        code: String,
    },
    /// A webhook with this action: `bookingCreate`, `bookingUpdated`, `bookingCancelled` or `bookingCompleted`, as the
    /// vendor spells them.
    Webhook(&'static str),
}
