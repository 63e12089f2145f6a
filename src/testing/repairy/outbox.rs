//! The messages that the vendor would have sent.

use jiff::Timestamp;

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
