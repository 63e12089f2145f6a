//! The error of a call: everything that helps to find the call and to decide what to do.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use url::Url;

use super::BoxError;
use crate::call_headers::CallHeaders;
use crate::idempotency_key::IDEMPOTENCY_KEY;
use crate::operation::Operation;

/// The longest vendor message that is displayed, in characters.
const MAX_DISPLAYED_MESSAGE: usize = 300;
/// The largest part of a body that a support report shows, in bytes.
const MAX_REPORTED_BODY: usize = 4096;

/// The details of a call that failed: enough to find it in the vendor's logs.
pub struct CallError {
    pub(crate) vendor: &'static str,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) operation: &'static Operation,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) request_body: Bytes,
    /// Whether there was a body that is not kept: a file or a stream.
    pub(crate) is_body_lost: bool,
    /// The headers that the caller added, with the idempotency key. Values may be secrets, so only a postponed call has them.
    pub(crate) request_headers: Option<Box<CallHeaders>>,
    pub(crate) user_agent: Arc<str>,
    pub(crate) client_name: Option<Arc<str>>,
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
    pub(crate) idempotent: bool,
    /// Whether the vendor recognizes a repeated request by the `Idempotency-Key` among its headers.
    pub(crate) is_keyed: bool,
    /// Whether a token request failed in passing, so that the same call may succeed later.
    pub(crate) is_transient: bool,
    /// Whether no host has the name in the URL.
    pub(crate) is_unknown_host: bool,
    pub(crate) source: Option<BoxError>,
}

impl CallError {
    /// The vendor that was called, by the name of its module, such as `fixably`.
    pub fn vendor(&self) -> &'static str {
        self.vendor
    }

    /// The tenant, if the client was built with one.
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The operation that was called.
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// The HTTP method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The URL with its query. It holds no credentials, unless you put some into a raw request.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The request body, whether it was sent or not; empty if the call has none, or if it is a file or a stream. It may name
    /// customers.
    pub fn request_body(&self) -> &Bytes {
        &self.request_body
    }

    /// When the call started.
    pub fn started_at(&self) -> Timestamp {
        let elapsed = SignedDuration::try_from(self.elapsed).unwrap_or(SignedDuration::MAX);
        self.failed_at.checked_sub(elapsed).unwrap_or(Timestamp::MIN)
    }

    /// The status of the vendor's last response; `None` if there was none.
    pub fn status(&self) -> Option<StatusCode> {
        self.status
    }

    /// The vendor's id of the request, if the response had one.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// How often the client tried to send the request. 0 if the rate limit prevented that. If a call was not sent because a token
    /// request failed, the operation, the URL and the attempts are those of the token request.
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// The time from the start of the call to its failure, including waits.
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// When the call failed.
    pub fn failed_at(&self) -> Timestamp {
        self.failed_at
    }

    /// What went wrong and what to do, in the words of this crate.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What went wrong, in the words of the vendor.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// The vendor's error code, if the response had one.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// How long the vendor asked to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    /// The body of the vendor's last response. If it repeats the client's token, the token is redacted.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the vendor may have applied the write. Always false for reads.
    pub fn maybe_applied(&self) -> bool {
        self.maybe_applied
    }

    /// Whether the vendor may have refused the call because an earlier attempt of it was applied: a DELETE that got no
    /// response and then found nothing to delete (404, 410), or a repeated write that conflicts with the state of its object
    /// (409, 412). [`reason`](Self::reason) then says so.
    ///
    /// False if no earlier attempt may have been applied: the object was gone, or had changed, before the call.
    pub fn may_be_own_effect(&self) -> bool {
        self.maybe_applied
            && match self.status.map(|status| status.as_u16()) {
                Some(404 | 410) => self.method == Method::DELETE,
                Some(409 | 412) => true,
                _ => false,
            }
    }

    /// Whether the call failed because no host has the name in its URL, as with a wrong tenant at a vendor whose tenants have hosts
    /// of their own. [`reason`](Self::reason) then says what to check.
    ///
    /// The system's resolver decides. Windows says the same without a network; other systems say that they cannot tell, which
    /// returns false.
    pub fn is_unknown_host(&self) -> bool {
        self.is_unknown_host
    }

    /// The `Idempotency-Key` that every attempt was sent with; `None` if the call has none. The same request with the same key
    /// does not apply the write twice.
    pub fn idempotency_key(&self) -> Option<&str> {
        let headers = self.request_headers.as_ref().filter(|_| self.is_keyed)?;
        headers.iter().find(|(name, _)| *name == IDEMPOTENCY_KEY).map(|(_, key)| key)
    }

    pub(crate) fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    pub(crate) fn is_repeatable(&self) -> bool {
        self.idempotent || !self.maybe_applied
    }

    /// Adds that looking up the outcome of the write failed, too.
    pub(crate) fn with_lookup_error(mut self, error: impl StdError + Send + Sync + 'static) -> Self {
        self.reason = format!("{}; looking up its outcome failed too", self.reason).into();
        self.source = Some(Box::new(error));
        self
    }

    pub(crate) fn support_report(&self) -> String {
        let mut report = String::new();
        let mut line = |name: &str, value: &dyn fmt::Display| {
            // Writing to a String cannot fail.
            let _ = writeln!(report, "{name:<11}{value}");
        };
        line("time", &self.failed_at);
        line("vendor", &self.vendor);
        line("tenant", &self.tenant.as_deref().unwrap_or_else(|| self.url.host_str().unwrap_or("none")));
        line("client", &self.user_agent);
        if let Some(name) = &self.client_name {
            line("API client", &one_line(name));
        }
        line("operation", &self.operation.id());
        line("endpoint", &format_args!("{} {}", self.method, self.url));
        match self.status {
            Some(status) => line("status", &status),
            None => line("status", &"none: no response"),
        }
        line("request id", &self.request_id.as_deref().unwrap_or("none"));
        line("attempts", &format_args!("{} in {:.1} s", self.attempts, self.elapsed.as_secs_f64()));
        line("problem", &self);
        let shown = &self.body[..self.body.len().min(MAX_REPORTED_BODY)];
        if shown.is_empty() {
            line("body", &"empty");
        } else {
            line("body", &format_args!("{} bytes\n{}", self.body.len(), String::from_utf8_lossy(shown)));
        }
        report
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: ", self.vendor, self.operation.id())?;
        if let Some(status) = self.status {
            write!(f, "{}, ", status.as_u16())?;
        }
        f.write_str(&self.reason)?;
        if let Some(message) = &self.message {
            write!(f, ": \"{}\"", one_line(message))?;
        }
        write!(f, " ({} {}", self.method, self.url.path())?;
        if let Some(tenant) = &self.tenant {
            write!(f, " of {tenant}")?;
        }
        if self.attempts > 1 {
            write!(f, ", {} attempts in {:.1} s", self.attempts, self.elapsed.as_secs_f64())?;
        }
        if let Some(id) = &self.request_id {
            write!(f, ", request id {}", one_line(id))?;
        }
        f.write_str(")")
    }
}

impl fmt::Debug for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallError")
            .field("vendor", &self.vendor)
            .field("tenant", &self.tenant)
            .field("operation", &self.operation.id())
            .field("method", &self.method)
            .field("url", &self.url.as_str())
            .field("status", &self.status)
            .field("request_id", &self.request_id)
            .field("attempts", &self.attempts)
            .field("elapsed", &self.elapsed)
            .field("failed_at", &format_args!("{}", self.failed_at))
            .field("reason", &self.reason)
            .field("message", &self.message)
            .field("code", &self.code)
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("maybe_applied", &self.maybe_applied)
            .field("source", &self.source)
            .finish()
    }
}

impl StdError for CallError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// Makes a kind of error that holds more than a [`CallError`] dereference to its field `call`, and take its source from there.
macro_rules! is_call_error {
    ($kind:ty) => {
        impl std::ops::Deref for $kind {
            type Target = CallError;

            fn deref(&self) -> &CallError {
                &self.call
            }
        }

        impl std::error::Error for $kind {
            fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
                self.call.source()
            }
        }
    };
}
pub(super) use is_call_error;

/// A vendor's text, fit for a line of output: cut to a bounded length, without control characters.
pub(crate) fn one_line(text: &str) -> String {
    let mut line: String =
        text.chars().take(MAX_DISPLAYED_MESSAGE).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.len() < text.len() {
        line.push('…');
    }
    line
}
