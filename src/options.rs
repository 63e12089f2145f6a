//! The options of calls: set for a client or for a single call, in the same words.

use std::time::Duration;

use crate::priority::Priority;
use crate::retry::RetryPolicy;

/// Options that override those of a client, for one call or for many.
///
/// They have the names of the [builder](crate::ClientBuilder)'s options. An option that is not set keeps the client's value.
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
}

impl CallOptions {
    /// Options that override nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how long one attempt may take, from sending the request to the end of the response. Default 30 s.
    pub fn with_attempt_timeout(self, timeout: Duration) -> Self {
        Self { attempt_timeout: Some(timeout), ..self }
    }

    /// Sets how long the whole call may take, including all waits and attempts. Default: no limit.
    pub fn with_operation_timeout(self, timeout: Duration) -> Self {
        Self { operation_timeout: Some(timeout), ..self }
    }

    /// Sets how long a call may wait in total: for a token, for the tenant's rate limit, and between attempts. Default
    /// 120 s. Raise it to hours for a batch job; set it to zero to fail at once instead of waiting.
    pub fn with_max_wait(self, wait: Duration) -> Self {
        Self { max_wait: Some(wait), ..self }
    }

    /// Sets which failed attempts are repeated. Default [`RetryPolicy::new`].
    pub fn with_retry(self, policy: RetryPolicy) -> Self {
        Self { retry: Some(policy), ..self }
    }

    /// Sets the largest response body that is read, in bytes. Default 16 MiB. A larger one fails the call with
    /// [`Error::Decode`](crate::Error::Decode).
    pub fn with_max_body(self, bytes: usize) -> Self {
        Self { max_body: Some(bytes), ..self }
    }

    /// Sets the priority of calls that wait for the tenant's rate limit. Default [`Priority::Normal`].
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
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
}

impl ResolvedOptions {
    /// These options, overridden by what is set in `options`.
    pub(crate) fn overridden_by(&self, options: CallOptions) -> Self {
        Self {
            attempt_timeout: options.attempt_timeout.unwrap_or(self.attempt_timeout),
            operation_timeout: options.operation_timeout.or(self.operation_timeout),
            max_wait: options.max_wait.unwrap_or(self.max_wait),
            retry: options.retry.unwrap_or_else(|| self.retry.clone()),
            max_body: options.max_body.unwrap_or(self.max_body),
            priority: options.priority.unwrap_or(self.priority),
        }
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
        }
    }
}
