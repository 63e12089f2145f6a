//! The actions that Repairy sends webhooks for.

use crate::open::open_enum;

open_enum! {
    /// What happened to a booking, as the vendor spells it.
    ///
    /// Documented by the vendor. Source: <https://docs.partners.repairy.au/webhook-1114051m0>.
    pub enum BookingAction {
        /// It was created. Unlike the others, the vendor's word is not in the past tense.
        Create = "bookingCreate",
        /// It was changed.
        Updated = "bookingUpdated",
        /// It was canceled.
        Cancelled = "bookingCancelled",
        /// The work is done.
        Completed = "bookingCompleted",
    }
}
