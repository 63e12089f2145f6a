//! Why a client has no new token.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::error::one_line;
use crate::operation::Operation;

/// Why there is no new token. Shared by all who waited for it, and free of secrets: bodies of token endpoints are not
/// kept.
#[derive(Clone, Debug)]
pub(crate) struct TokenError {
    pub(crate) why: TokenErrorKind,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) operation: Option<&'static Operation>,
    pub(crate) status: Option<StatusCode>,
    /// The vendor's own words and code.
    pub(crate) message: Option<String>,
    pub(crate) code: Option<String>,
    /// How long the vendor asks to be left alone.
    pub(crate) rest: Option<Duration>,
    /// Until when it answers everybody who asks for a token.
    pub(super) holds_until: Instant,
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)?;
        if let Some(status) = self.status {
            write!(f, " ({})", status.as_u16())?;
        }
        if let Some(message) = self.message.as_ref().or(self.code.as_ref()) {
            write!(f, ": {}", one_line(message))?;
        }
        Ok(())
    }
}

/// The kinds of trouble, by what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenErrorKind {
    /// The vendor failed, and granted nothing.
    Failed,
    /// The vendor refused: asking again cannot help.
    Refused,
    /// The store failed, and without it there is nothing to renew.
    Store,
    /// The request may have arrived; what became of it nobody knows.
    Unknown,
    /// The request never left.
    Unreached,
    /// The vendor granted something that cannot be read.
    Unreadable,
}

impl TokenErrorKind {
    /// Its name, as events have it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Store => "store",
            Self::Unknown => "unknown",
            Self::Unreached => "unreached",
            Self::Unreadable => "unreadable",
        }
    }
}

impl TokenError {
    pub(crate) fn new(why: TokenErrorKind, reason: impl Into<Cow<'static, str>>, clock: Clock) -> Self {
        Self {
            why,
            reason: reason.into(),
            operation: None,
            status: None,
            message: None,
            code: None,
            rest: None,
            holds_until: clock.now(),
        }
    }

    /// Whether a login may still help.
    pub(super) fn leaves_login(&self) -> bool {
        matches!(self.why, TokenErrorKind::Refused | TokenErrorKind::Unknown | TokenErrorKind::Unreadable)
    }

    pub(super) fn of(self, operation: &'static Operation) -> Self {
        Self { operation: Some(operation), ..self }
    }

    pub(super) fn with_status(self, status: StatusCode) -> Self {
        Self { status: Some(status), ..self }
    }
}
