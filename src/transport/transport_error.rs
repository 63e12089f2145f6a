//! Why a transport has no response: above all, whether the request was sent.

use std::fmt;

use super::http_error::HttpError;
use crate::error::BoxError;

/// Why a [`Transport`](crate::Transport) has no response to a request.
///
/// Everything depends on whether the request may have reached the vendor. One that was certainly not sent is repeated, whatever
/// its method. One that may have arrived is repeated only if it is idempotent; another write fails with
/// [`OutcomeUnknown`](crate::Error::OutcomeUnknown). If you cannot tell, say [`broken`](Self::broken).
///
/// ```
/// use servicebay::TransportError;
///
/// assert!(!TransportError::not_sent("the gateway is being restarted").may_have_arrived());
/// assert!(TransportError::broken("connection reset").may_have_arrived());
/// assert!(TransportError::timed_out().may_have_arrived());
/// ```
pub struct TransportError(HttpError);

impl TransportError {
    /// The request was certainly not sent: there was no connection, or it was refused before anything was processed.
    pub fn not_sent(cause: impl Into<BoxError>) -> Self {
        Self(HttpError::NotSent(cause.into()))
    }

    /// The request may have arrived, and there is no response: the connection broke.
    pub fn broken(cause: impl Into<BoxError>) -> Self {
        Self(HttpError::Broken(None, cause.into()))
    }

    /// The request may have arrived, and no response came in time.
    pub fn timed_out() -> Self {
        Self(HttpError::TimedOut)
    }

    /// Whether the request may have reached the vendor.
    pub fn may_have_arrived(&self) -> bool {
        !matches!(self.0, HttpError::NotSent(_))
    }

    /// Whether the transport waited for a response until the time was over.
    #[cfg(feature = "testing")]
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self.0, HttpError::TimedOut)
    }

    pub(super) fn of(error: HttpError) -> Self {
        Self(error)
    }

    pub(super) fn into_http_error(self) -> HttpError {
        self.0
    }
}

impl fmt::Debug for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            HttpError::NotSent(cause) | HttpError::Broken(_, cause) => cause.fmt(f),
            HttpError::TimedOut => f.write_str("no response in time"),
            HttpError::TooLarge(_) => f.write_str("the response exceeds a limit"),
        }
    }
}

impl std::error::Error for TransportError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0 {
            HttpError::NotSent(cause) | HttpError::Broken(_, cause) => cause.source(),
            HttpError::TimedOut | HttpError::TooLarge(_) => None,
        }
    }
}
