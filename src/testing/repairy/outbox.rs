//! What a tenant would have sent to others.

use jiff::Timestamp;

/// Something that the vendor would have sent because of a call. The tenant sends nothing; it remembers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// When, in the tenant's own time.
    pub at: Timestamp,
    /// What it was.
    pub what: Dispatch,
    /// The id of the booking or reminder that it is about.
    pub about: String,
}

/// What the vendor sends.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Dispatch {
    /// The notification of a new booking, which `skipNotification` leaves out. To whom it goes is unknown.
    Notification,
    /// An SMS to a customer, with the code of a service reminder.
    Sms {
        /// The customer's phone number.
        to: String,
        /// The 8 characters.
        code: String,
    },
    /// A webhook with this action: `bookingCreate`, `bookingUpdated`, `bookingCancelled` or `bookingCompleted`, spelt as the
    /// vendor spells them.
    Webhook(&'static str),
}
