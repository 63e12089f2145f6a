//! Why a webhook was not accepted.

use std::time::Duration;

use http::StatusCode;

use super::store_error::DeliveryStoreError;

/// Why a webhook was not accepted. [`status`](Self::status) is what to respond with.
///
/// No message contains a secret, a header's value or a part of the body.
///
/// # Example
///
/// ```
/// use servicebay::webhook::WebhookError;
///
/// let error = WebhookError::BadSignature;
/// assert_eq!((error.status().as_u16(), error.kind()), (401, "bad_signature"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WebhookError {
    /// The signature does not belong to the timestamp and the body. A [`Verifier`](super::Verifier) of your own returns it
    /// too. Status 401.
    ///
    /// If every delivery fails with it, the secret or the recipe is not the vendor's, or something between the vendor and the
    /// receiver changes the body: it has to be the bytes as they were received.
    #[error(
        "the webhook's signature does not fit: check the secret and the recipe, and verify the body before anything changes it"
    )]
    BadSignature,
    /// The body is larger than [`with_max_body`](super::WebhookReceiver::with_max_body) allows. Status 413.
    #[error("the webhook's body is larger than {limit} bytes: if the vendor sends such bodies, raise `with_max_body`")]
    BodyTooLarge {
        /// The largest body that is accepted, in bytes.
        limit: usize,
    },
    /// The delivery was handled before. Status 200: the vendor needs to send it no more. There is nothing to do.
    #[error("the webhook was delivered and handled before: respond with a success, and do nothing else")]
    Duplicate,
    /// The delivery is being handled, here or by another process. Status 503, so that the vendor may try again: the handler
    /// that holds it may still fail.
    #[error("the webhook is being handled already: respond with 503, and accept it again if that handler fails")]
    InProgress,
    /// A header that is needed is missing or empty. Status 400.
    #[error(
        "the webhook has no header `{name}`: the request is not from the vendor, or a proxy has removed the header"
    )]
    MissingHeader {
        /// The header.
        name: &'static str,
    },
    /// The body is JSON, but no event. Status 422.
    #[error("the webhook's body is JSON, but no object with an action: compare it with the vendor's documentation")]
    NotAnEvent,
    /// The body is not JSON, and cannot be repaired. Status 400.
    #[error("the webhook's body is not JSON, at line {line}, column {column}: pass the body as it was received")]
    NotJson {
        /// The line, counted from 1.
        line: usize,
        /// The column, counted from 1; 0 at the end of an empty body.
        column: usize,
    },
    /// The store of deliveries failed, so it is not known whether the delivery was handled before. Status 503.
    #[error("the webhook cannot be checked for duplicates: repair the store of deliveries")]
    Store(#[source] DeliveryStoreError),
    /// The timestamp is further in the future than the
    /// [replay window](super::WebhookReceiver::with_replay_window) allows. Status 400.
    #[error(
        "the webhook's timestamp is {} s in the future, and {} s are allowed: set this machine's clock",
        .by.as_secs(),
        .window.as_secs()
    )]
    TooNew {
        /// How far in the future it is.
        by: Duration,
        /// How far it may be.
        window: Duration,
    },
    /// The timestamp is older than the [replay window](super::WebhookReceiver::with_replay_window) allows. Status 400.
    ///
    /// Someone may be sending again what the vendor once sent. If the vendor's own deliveries fail with it, this machine's
    /// clock is wrong, or something holds deliveries back for longer than the window.
    #[error(
        "the webhook's timestamp is {} s old, and {} s are allowed: it is a replay, or this machine's clock is wrong",
        .age.as_secs(),
        .window.as_secs()
    )]
    TooOld {
        /// How old it is.
        age: Duration,
        /// How old it may be.
        window: Duration,
    },
    /// The body could not be received, because the connection broke. Status 400. Only the extractor for axum returns it.
    #[error("the webhook's body could not be received: the connection broke")]
    UnreadableBody,
    /// A header has characters other than visible ASCII. Status 400.
    #[error("the webhook's header `{name}` is not plain ASCII: the request is not from the vendor")]
    UnreadableHeader {
        /// The header.
        name: &'static str,
    },
    /// The timestamp is not a number of seconds since 1970. Status 400.
    #[error("the webhook's header `{name}` is not a time in Unix seconds: the request is not from the vendor")]
    UnreadableTimestamp {
        /// The header.
        name: &'static str,
    },
}

impl WebhookError {
    /// The status to respond with.
    ///
    /// That a vendor takes any 2xx for a success, and a 5xx for a reason to try again, is assumed: Repairy documents neither.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::BadSignature => StatusCode::UNAUTHORIZED,
            Self::BodyTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Duplicate => StatusCode::OK,
            Self::InProgress | Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotAnEvent => StatusCode::UNPROCESSABLE_ENTITY,
            Self::MissingHeader { .. }
            | Self::NotJson { .. }
            | Self::TooNew { .. }
            | Self::TooOld { .. }
            | Self::UnreadableBody
            | Self::UnreadableHeader { .. }
            | Self::UnreadableTimestamp { .. } => StatusCode::BAD_REQUEST,
        }
    }

    /// The variant as a short text, for metrics: `bad_signature`, `too_old`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadSignature => "bad_signature",
            Self::BodyTooLarge { .. } => "body_too_large",
            Self::Duplicate => "duplicate",
            Self::InProgress => "in_progress",
            Self::MissingHeader { .. } => "missing_header",
            Self::NotAnEvent => "not_an_event",
            Self::NotJson { .. } => "not_json",
            Self::Store(_) => "store",
            Self::TooNew { .. } => "too_new",
            Self::TooOld { .. } => "too_old",
            Self::UnreadableBody => "unreadable_body",
            Self::UnreadableHeader { .. } => "unreadable_header",
            Self::UnreadableTimestamp { .. } => "unreadable_timestamp",
        }
    }
}
