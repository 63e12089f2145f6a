//! Why a client has no new token.

use std::borrow::Cow;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;
use url::Url;

use super::redaction::RedactedError;
use crate::clock::Clock;
use crate::error::one_line;
use crate::operation::Operation;

/// Why there is no new token. All callers that waited for it share it, and it holds no secret: the bodies of token endpoints
/// are not kept. It dereferences to its details.
#[derive(Clone, Debug)]
pub(crate) struct TokenError(Box<TokenErrorDetails>);

#[derive(Clone, Debug)]
pub(crate) struct TokenErrorDetails {
    pub(crate) kind: TokenErrorKind,
    pub(crate) reason: Cow<'static, str>,
    /// The token request that failed; `None` if there was none.
    pub(crate) request: Option<SentRequest>,
    pub(crate) status: Option<StatusCode>,
    /// The vendor's id of the request.
    pub(crate) request_id: Option<String>,
    /// The vendor's own words and code.
    pub(crate) message: Option<String>,
    pub(crate) code: Option<String>,
    /// How long to leave the token endpoint alone, counted from the failure.
    pub(crate) retry_after: Option<Duration>,
    /// The same as a moment.
    pub(crate) resume_at: Option<Instant>,
    pub(crate) source: Option<RedactedError>,
    /// Until when callers that ask for a token get this error.
    pub(super) holds_until: Instant,
}

impl Deref for TokenError {
    type Target = TokenErrorDetails;

    fn deref(&self) -> &TokenErrorDetails {
        &self.0
    }
}

impl DerefMut for TokenError {
    fn deref_mut(&mut self) -> &mut TokenErrorDetails {
        &mut self.0
    }
}

/// A token request, as errors name it. Its URL holds no secret.
#[derive(Clone, Debug)]
pub(crate) struct SentRequest {
    pub(crate) operation: &'static Operation,
    pub(crate) url: Url,
    /// How often it was sent. 0 if the endpoint was paused.
    pub(crate) attempts: u32,
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

/// What a failed token request means, and so what can be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenErrorKind {
    /// The vendor, or something before it, failed or refused in passing.
    Failed,
    /// No connection could be opened: the request was not sent.
    NotSent,
    /// The vendor refused the credentials: asking again cannot help.
    Refused,
    /// The token store failed, and without it there is nothing to refresh.
    Store,
    /// The endpoint is asked too often, and did not process the request.
    Throttled,
    /// The request may have been processed: the connection broke, or the response did not come.
    Unknown,
    /// The request succeeded, and its response cannot be read.
    Unreadable,
    /// Nothing was presented while the access token is valid, because presenting it could end the login.
    Postponed,
}

impl TokenErrorKind {
    /// Its name, as events have it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::NotSent => "not_sent",
            Self::Refused => "refused",
            Self::Store => "store",
            Self::Throttled => "throttled",
            Self::Unknown => "unknown",
            Self::Unreadable => "unreadable",
            Self::Postponed => "postponed",
        }
    }

    /// Whether only other credentials, or a login by a person, can help.
    pub(crate) fn is_permanent(self) -> bool {
        self == Self::Refused
    }

    /// Whether the request certainly spent nothing: a refresh token or a code is as good as before.
    pub(crate) fn had_no_effect(self) -> bool {
        matches!(self, Self::NotSent | Self::Throttled)
    }
}

impl TokenError {
    pub(crate) fn new(kind: TokenErrorKind, reason: impl Into<Cow<'static, str>>, clock: Clock) -> Self {
        Self(Box::new(TokenErrorDetails {
            kind,
            reason: reason.into(),
            request: None,
            status: None,
            request_id: None,
            message: None,
            code: None,
            retry_after: None,
            resume_at: None,
            source: None,
            holds_until: clock.now(),
        }))
    }

    pub(super) fn of(mut self, request: SentRequest) -> Self {
        self.request = Some(request);
        self
    }

    /// Sets when to try again.
    pub(super) fn resuming_at(mut self, resume_at: Instant, now: Instant) -> Self {
        self.resume_at = Some(resume_at);
        self.retry_after = Some(resume_at.saturating_duration_since(now));
        self
    }

    pub(super) fn with_status(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_is_permanent_and_only_what_was_not_processed_had_no_effect() {
        use TokenErrorKind::{Failed, NotSent, Refused, Store, Throttled, Unknown, Unreadable};
        for (kind, is_permanent, had_no_effect) in [
            (Failed, false, false),
            (NotSent, false, true),
            (Refused, true, false),
            (Store, false, false),
            (Throttled, false, true),
            (Unknown, false, false),
            (Unreadable, false, false),
        ] {
            assert_eq!((kind.is_permanent(), kind.had_no_effect()), (is_permanent, had_no_effect), "{kind:?}");
        }
    }
}
