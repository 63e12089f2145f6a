//! The options of calls: set for a client or for a single call, in the same words.

use std::time::Duration;

use http::HeaderName;
use tokio::time::Instant;

use crate::call_headers::CallHeaders;
use crate::clock::FOREVER;
use crate::idempotency_key::{IDEMPOTENCY_KEY, IdempotencyKey};
use crate::priority::Priority;
use crate::retry::RetryPolicy;

/// The documentation of each option: one text for the setters of [`CallOptions`] and of the builder.
macro_rules! option_docs {
    (attempt_timeout) => {
        "The longest time that one attempt may take, from sending the request to the end of its response. Default 30 s. Any \
         duration is valid; one of more than 100 years counts as 100 years.\n\n\
         Opening the connection is part of it, and may take 10 s, or nine tenths of the attempt timeout that the client was \
         built with if that is less.\n\n\
         An attempt that takes longer is repeated if the [retry policy](crate::RetryPolicy) allows. If not, the call fails with \
         [`Error::Timeout`](crate::Error::Timeout), or with [`Error::OutcomeUnknown`](crate::Error::OutcomeUnknown) if it is a \
         write that must not be repeated."
    };
    (operation_timeout) => {
        "The longest time that a whole call may take, including waits and retries. Default: no limit. Any duration is valid; one \
         of more than 100 years counts as 100 years. Each page of a list is a call.\n\n\
         A wait that cannot end in time is not started. An attempt that is cut off fails the call as the attempt timeout does."
    };
    (max_wait) => {
        "The longest time that a call may wait in total: for a token, for the tenant's rate limit and between attempts. Default \
         120 s. Any duration is valid; use hours for a batch job.\n\n\
         A call that would have to wait longer fails: with [`Error::RateLimited`](crate::Error::RateLimited) as soon as the limit \
         is known not to have room in time, with [`Error::Timeout`](crate::Error::Timeout) if there is no token in time, and \
         with the error of the last attempt if a retry would come too late.\n\n\
         With zero, a call that would have to wait fails immediately, even if it needs a login first. The login completes in \
         the background, and a later call uses its token."
    };
    (retry) => {
        "Which failed attempts are repeated, how often and after which delay. Default \
         [`RetryPolicy::new`](crate::RetryPolicy::new)."
    };
    (max_body) => {
        "The largest response body that is read, in bytes. Default 16 MiB. Any number is valid. A call with a larger response \
         fails with [`Error::Decode`](crate::Error::Decode). Of an error response, at most 1 MiB is kept."
    };
    (header) => {
        "Sets a header of the request, in place of the value that was set before: for a proxy on the way, for a trace, or for what \
         the vendor adds one day. `name` is a header's name and `value` visible ASCII, without white space around it. `Accept` \
         and `User-Agent` replace the client's own.\n\n\
         A header that is invalid, that belongs to the credentials or that frames the message, such as `Authorization` or \
         `Content-Length`, is refused before anything is sent: with [`Error::InvalidRequest`](crate::Error::InvalidRequest), or \
         with [`Error::Config`](crate::Error::Config) when a client is built. Values are shown in no error and no `Debug`."
    };
    (priority) => {
        "The priority of calls that wait for the tenant's rate limit. Default \
         [`Priority::Normal`](crate::Priority::Normal)."
    };
}
pub(crate) use option_docs;

/// Options that override those of a client, for one call or for many.
///
/// They have the names and the meaning of the [builder](crate::ClientBuilder)'s options. An option that is not set keeps the
/// client's value; the defaults are those of a client.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use servicebay::CallOptions;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = servicebay::testing::fixably::MockServer::start().await;
/// # let client = server.client()?;
/// let quick = client.with_options(CallOptions::new().with_operation_timeout(Duration::from_secs(5)));
/// let order = quick.get_order().id(20000010).send().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options have no effect until they are passed to `with_options`"]
#[non_exhaustive]
pub struct CallOptions {
    attempt_timeout: Option<Duration>,
    operation_timeout: Option<Duration>,
    max_wait: Option<Duration>,
    retry: Option<RetryPolicy>,
    max_body: Option<usize>,
    priority: Option<Priority>,
    headers: CallHeaders,
}

impl CallOptions {
    /// Options that override nothing.
    pub fn new() -> Self {
        Self::default()
    }

    #[doc = option_docs!(attempt_timeout)]
    pub fn with_attempt_timeout(self, timeout: Duration) -> Self {
        Self { attempt_timeout: Some(timeout), ..self }
    }

    #[doc = option_docs!(operation_timeout)]
    pub fn with_operation_timeout(self, timeout: Duration) -> Self {
        Self { operation_timeout: Some(timeout), ..self }
    }

    #[doc = option_docs!(max_wait)]
    pub fn with_max_wait(self, wait: Duration) -> Self {
        Self { max_wait: Some(wait), ..self }
    }

    #[doc = option_docs!(retry)]
    pub fn with_retry(self, policy: RetryPolicy) -> Self {
        Self { retry: Some(policy), ..self }
    }

    #[doc = option_docs!(max_body)]
    pub fn with_max_body(self, bytes: usize) -> Self {
        Self { max_body: Some(bytes), ..self }
    }

    #[doc = option_docs!(priority)]
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }

    #[doc = option_docs!(header)]
    pub fn with_header(mut self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        if name.as_ref().eq_ignore_ascii_case(IDEMPOTENCY_KEY) {
            self.headers.refuse(name.as_ref(), "would make all writes one: set it for one call");
        } else {
            self.headers.set(name.as_ref(), value.as_ref());
        }
        self
    }
}

/// The options of a client, with a value for each.
#[derive(Clone, Debug)]
pub(crate) struct ResolvedOptions {
    pub(crate) attempt_timeout: Duration,
    pub(crate) operation_timeout: Option<Duration>,
    pub(crate) max_wait: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_body: usize,
    pub(crate) priority: Priority,
    /// The headers that the caller adds; `None` if there are none, as usual.
    pub(crate) headers: Option<Box<CallHeaders>>,
    /// Whether calls take no part in the cache. No caller sets it.
    pub(crate) bypasses_cache: bool,
}

impl ResolvedOptions {
    /// These options, overridden by what is set in `options`.
    pub(crate) fn overridden_by(&self, options: CallOptions) -> Self {
        let mut headers = self.headers.clone();
        if options.headers != CallHeaders::default() {
            headers.get_or_insert_default().extend(options.headers);
        }
        Self {
            attempt_timeout: options.attempt_timeout.unwrap_or(self.attempt_timeout),
            operation_timeout: options.operation_timeout.or(self.operation_timeout),
            max_wait: options.max_wait.unwrap_or(self.max_wait),
            retry: options.retry.unwrap_or_else(|| self.retry.clone()),
            max_body: options.max_body.unwrap_or(self.max_body),
            priority: options.priority.unwrap_or(self.priority),
            headers,
            bypasses_cache: self.bypasses_cache,
        }
    }

    /// Sets the `Idempotency-Key`, which must be that of one call.
    pub(crate) fn set_idempotency_key(&mut self, key: &IdempotencyKey) {
        self.set_header(IDEMPOTENCY_KEY, key.as_str());
    }

    /// Until when a call may take that started then.
    pub(crate) fn operation_deadline(&self, started_at: Instant) -> Instant {
        started_at + self.operation_timeout.unwrap_or(FOREVER).min(FOREVER)
    }

    /// Sets a random `Idempotency-Key`, unless there is one.
    pub(crate) fn add_idempotency_key(&mut self) {
        let is_set = |headers: &CallHeaders| headers.contains(&HeaderName::from_static(IDEMPOTENCY_KEY));
        if !self.headers.as_deref().is_some_and(is_set) {
            self.set_idempotency_key(&IdempotencyKey::random());
        }
    }

    /// Removes a header that the caller added.
    pub(crate) fn remove_header(&mut self, name: &HeaderName) {
        if let Some(headers) = &mut self.headers {
            headers.remove(name);
        }
    }

    /// Sets a header that the caller adds.
    pub(crate) fn set_header(&mut self, name: &str, value: &str) {
        self.headers.get_or_insert_default().set(name, value);
    }
}

impl Default for ResolvedOptions {
    fn default() -> Self {
        Self {
            attempt_timeout: Duration::from_secs(30),
            operation_timeout: None,
            max_wait: Duration::from_secs(120),
            retry: RetryPolicy::new(),
            max_body: 16 * 1024 * 1024,
            priority: Priority::Normal,
            headers: None,
            bypasses_cache: false,
        }
    }
}
