//! What a caller may set for a client, and in the same words for a single call.

use std::time::Duration;

use crate::priority::Priority;
use crate::retry::RetryPolicy;

/// Options of single calls, laid over those of the client.
///
/// The words are those of the [builder](crate::ClientBuilder); what is not set stays as the client has it.
///
/// # Example
///
/// ```
/// use std::time::Duration;
/// use servicebay::CallOptions;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let tenant = servicebay::testing::fixably::MockServer::start().await;
/// # let client = tenant.client()?;
/// let quick = client.with_options(CallOptions::new().with_operation_timeout(Duration::from_secs(5)));
/// let order = quick.get_order().id(20000010).send().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "options count for a client that is made with `with_options`"]
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
    /// Nothing set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The time one attempt may take, answer included. Default 30 s.
    pub fn with_attempt_timeout(self, timeout: Duration) -> Self {
        Self { attempt_timeout: Some(timeout), ..self }
    }

    /// The time the whole call may take: waits, attempts and all. Default none.
    pub fn with_operation_timeout(self, timeout: Duration) -> Self {
        Self { operation_timeout: Some(timeout), ..self }
    }

    /// The time a call may spend waiting, for the tenant's limit and between attempts together. Default 120 s; raise
    /// it to hours for a batch job, set it to zero to be told at once.
    pub fn with_max_wait(self, wait: Duration) -> Self {
        Self { max_wait: Some(wait), ..self }
    }

    /// When a call is repeated. Default [`RetryPolicy::new`].
    pub fn with_retry(self, policy: RetryPolicy) -> Self {
        Self { retry: Some(policy), ..self }
    }

    /// The largest answer that is read, in bytes. Default 16 MiB; a larger one is [`Error::Decode`](crate::Error).
    pub fn with_max_body(self, bytes: usize) -> Self {
        Self { max_body: Some(bytes), ..self }
    }

    /// How much the call hurries where it waits for the tenant's limit. Default [`Priority::Normal`].
    pub fn with_priority(self, priority: Priority) -> Self {
        Self { priority: Some(priority), ..self }
    }
}

/// Options with every question answered.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) attempt_timeout: Duration,
    pub(crate) operation_timeout: Option<Duration>,
    pub(crate) max_wait: Duration,
    pub(crate) retry: RetryPolicy,
    pub(crate) max_body: usize,
    pub(crate) priority: Priority,
}

impl Settings {
    /// These settings with what `options` says laid over them.
    pub(crate) fn overlaid(&self, options: CallOptions) -> Self {
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

impl Default for Settings {
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
