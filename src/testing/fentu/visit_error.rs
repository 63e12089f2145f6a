//! Why a visit to the authorization page did not lead back to the application.

use std::error::Error;
use std::fmt;

use http::StatusCode;

/// Why a visit to the authorization page led to no redirect.
///
/// A refusal of the user or an invalid scope is no such error: the browser goes back to the application with `error=..` in the
/// URL, as OAuth wants it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum VisitError {
    /// The URL cannot be parsed. The text says why.
    InvalidUrl(String),
    /// The server responded, and not with a redirect: the application or the redirect URI is not registered, the URL is not
    /// that of the authorization page, or a fault applied.
    #[non_exhaustive]
    NoRedirect {
        /// The status of the response.
        status: StatusCode,
        /// The text of the page, or the body of the error.
        message: String,
    },
}

impl fmt::Display for VisitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidUrl(reason) => write!(f, "the authorization URL is invalid: {reason}"),
            Self::NoRedirect { status, message } => {
                write!(f, "the authorization page responded with {status} instead of a redirect: {message}")
            }
        }
    }
}

impl Error for VisitError {}
