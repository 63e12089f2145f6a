//! What is known of a call that failed.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use crate::operation::Operation;

/// The longest piece of a vendor's message that a display shows, in characters.
const SHOWN_MESSAGE: usize = 300;
/// The longest piece of a body that a support report shows, in bytes.
const REPORTED_BODY: usize = 4096;

/// What is known of a call that failed: enough to find it in the vendor's logs.
pub struct CallError {
    parts: CallErrorParts,
}

/// The parts of a [`CallError`], as the pipeline gathers them.
pub(crate) struct CallErrorParts {
    pub(crate) vendor: &'static str,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) operation: &'static Operation,
    pub(crate) method: Method,
    pub(crate) url: Url,
    /// The body of the request.
    pub(crate) request_body: Bytes,
    pub(crate) client: Arc<str>,
    pub(crate) status: Option<StatusCode>,
    pub(crate) request_id: Option<String>,
    pub(crate) attempts: u32,
    pub(crate) elapsed: Duration,
    pub(crate) failed_at: Timestamp,
    pub(crate) reason: Cow<'static, str>,
    pub(crate) message: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
    pub(crate) maybe_applied: bool,
    /// Whether repeating the call is harmless.
    pub(crate) idempotent: bool,
    pub(crate) source: Option<Box<dyn StdError + Send + Sync>>,
}

impl CallError {
    pub(crate) fn new(parts: CallErrorParts) -> Self {
        Self { parts }
    }

    /// The same failure of a write, after looking what became of it has failed too.
    pub(crate) fn after_looking(mut self, look: impl StdError + Send + Sync + 'static) -> Self {
        self.parts.reason = format!("{}; looking what became of it failed too", self.parts.reason).into();
        self.parts.source = Some(Box::new(look));
        self
    }

    /// The vendor that was called: the name of its module, such as `fixably`.
    pub fn vendor(&self) -> &'static str {
        self.parts.vendor
    }

    /// The tenant, where the client was built with one.
    pub fn tenant(&self) -> Option<&str> {
        self.parts.tenant.as_deref()
    }

    /// The operation that was called, and what it needs.
    pub fn operation(&self) -> &'static Operation {
        self.parts.operation
    }

    /// The HTTP method.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The URL with its query. The client's credentials are never part of it, unless a raw request holds them.
    pub fn url(&self) -> &Url {
        &self.parts.url
    }

    /// The body of the request, as it was sent or would have been; empty where the call has none. It may name customers.
    pub fn request_body(&self) -> &Bytes {
        &self.parts.request_body
    }

    /// When the call began.
    pub fn started_at(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.parts.elapsed).unwrap_or(SignedDuration::MAX);
        self.parts.failed_at.checked_sub(elapsed).unwrap_or(Timestamp::MIN)
    }

    /// The status of the vendor's last answer; `None` when there was none.
    pub fn status(&self) -> Option<StatusCode> {
        self.parts.status
    }

    /// The vendor's id of the request, where it sends one.
    pub fn request_id(&self) -> Option<&str> {
        self.parts.request_id.as_deref()
    }

    /// How often sending was tried. 0 when nothing was tried: the limit or the token stood against it.
    pub fn attempts(&self) -> u32 {
        self.parts.attempts
    }

    /// Time from the call to its failure, waits included.
    pub fn elapsed(&self) -> Duration {
        self.parts.elapsed
    }

    /// When the call failed.
    pub fn failed_at(&self) -> Timestamp {
        self.parts.failed_at
    }

    /// What went wrong, in the words of this crate.
    pub fn reason(&self) -> &str {
        &self.parts.reason
    }

    /// What went wrong, in the vendor's words.
    pub fn message(&self) -> Option<&str> {
        self.parts.message.as_deref()
    }

    /// The vendor's code of the error, where it has one.
    pub fn code(&self) -> Option<&str> {
        self.parts.code.as_deref()
    }

    /// How long the vendor asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.parts.retry_after
    }

    /// The body of the vendor's last answer, with the client's own token struck out should the vendor repeat it.
    pub fn body(&self) -> &Bytes {
        &self.parts.body
    }

    /// Whether the vendor may have carried out the write. Always false for reads.
    pub fn maybe_applied(&self) -> bool {
        self.parts.maybe_applied
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        self.parts.idempotent
    }

    pub(crate) fn is_repeatable(&self) -> bool {
        self.parts.idempotent || !self.parts.maybe_applied
    }

    pub(crate) fn support_report(&self) -> String {
        let parts = &self.parts;
        let mut report = String::new();
        let mut line = |name: &str, value: &dyn fmt::Display| {
            // Writing to a String cannot fail.
            let _ = writeln!(report, "{name:<11}{value}");
        };
        line("time", &parts.failed_at);
        line("vendor", &parts.vendor);
        line("tenant", &parts.tenant.as_deref().unwrap_or_else(|| parts.url.host_str().unwrap_or("none")));
        line("client", &parts.client);
        line("operation", &parts.operation.id());
        line("endpoint", &format_args!("{} {}", parts.method, parts.url));
        match parts.status {
            Some(status) => line("status", &status),
            None => line("status", &"none: no answer"),
        }
        line("request id", &parts.request_id.as_deref().unwrap_or("none sent"));
        line("attempts", &format_args!("{} in {:.1} s", parts.attempts, parts.elapsed.as_secs_f64()));
        line("problem", &self);
        let shown = &parts.body[..parts.body.len().min(REPORTED_BODY)];
        if shown.is_empty() {
            line("body", &"empty");
        } else {
            line("body", &format_args!("{} bytes\n{}", parts.body.len(), String::from_utf8_lossy(shown)));
        }
        report
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.parts;
        write!(f, "{} {}: ", parts.vendor, parts.operation.id())?;
        if let Some(status) = parts.status {
            write!(f, "{}, ", status.as_u16())?;
        }
        f.write_str(&parts.reason)?;
        if let Some(message) = &parts.message {
            write!(f, ": \"{}\"", one_line(message))?;
        }
        write!(f, " ({} {}", parts.method, parts.url.path())?;
        if let Some(tenant) = &parts.tenant {
            write!(f, " of {tenant}")?;
        }
        if parts.attempts > 1 {
            write!(f, ", {} attempts in {:.1} s", parts.attempts, parts.elapsed.as_secs_f64())?;
        }
        if let Some(id) = &parts.request_id {
            write!(f, ", request id {}", one_line(id))?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = &self.parts;
        f.debug_struct("CallError")
            .field("vendor", &parts.vendor)
            .field("tenant", &parts.tenant)
            .field("operation", &parts.operation.id())
            .field("method", &parts.method)
            .field("url", &parts.url.as_str())
            .field("status", &parts.status)
            .field("request_id", &parts.request_id)
            .field("attempts", &parts.attempts)
            .field("elapsed", &parts.elapsed)
            .field("at", &format_args!("{}", parts.failed_at))
            .field("reason", &parts.reason)
            .field("message", &parts.message)
            .field("code", &parts.code)
            .field("body", &format_args!("{} bytes", parts.body.len()))
            .field("maybe_applied", &parts.maybe_applied)
            .field("source", &parts.source)
            .finish()
    }
}

impl StdError for CallError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.parts.source.as_deref().map(|source| source as _)
    }
}

/// A vendor's text as part of one line: bounded, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut line: String = text.chars().take(SHOWN_MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    line
}
