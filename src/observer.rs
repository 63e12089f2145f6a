//! The observer: a callback for metrics.

mod counting;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use url::Url;

pub use self::counting::CountingObserver;
use crate::error::Error;
use crate::lenient::SkippedValue;
use crate::list_changes::ListChanges;
use crate::operation::Operation;

/// Receives what a client does as it happens: for metrics, without `tracing`.
///
/// Set it with [`with_observer`](crate::ClientBuilder::with_observer). [`CountingObserver`] is an implementation that
/// counts. An `Arc` of an observer is an observer too, so many clients can share one. See
/// [`observability`](crate::observability) for the same events in `tracing`.
///
/// The client calls it on the task of the call, so it must return quickly and must not block. The client holds no lock
/// meanwhile, so the observer may call the client's methods, such as `rate_limit()`. If it panics, the call goes on, `tracing`
/// gets an event, and the observer keeps receiving events.
///
/// # Example
///
/// ```
/// use servicebay::{CallOutcome, Event, EventKind, Observer, fixably};
///
/// struct SlowAndFailed;
///
/// impl Observer for SlowAndFailed {
///     fn observe(&self, event: &Event<'_>) {
///         let name = event.operation.map_or("none", |operation| operation.id());
///         match event.kind {
///             EventKind::Call { outcome: CallOutcome::Failed(error), attempts, .. } => {
///                 println!("{} {name}: {} after {attempts} attempts", event.vendor, error.kind());
///             }
///             EventKind::Wait { reason, waited, .. } if waited.as_secs() > 10 => {
///                 println!("{} {name}: waited {waited:?} for {reason}", event.vendor);
///             }
///             _ => {}
///         }
///     }
/// }
///
/// let client = fixably::Client::builder(fixably::Credentials::bearer("token-from-the-settings-page"))
///     .with_tenant("acme")
///     .with_observer(SlowAndFailed)
///     .build()?;
/// # Ok::<(), servicebay::Error>(())
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Receives one event.
    fn observe(&self, event: &Event<'_>);
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(&self, event: &Event<'_>) {
        (**self).observe(event);
    }
}

/// Something that a client did, or that happened to it.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The vendor, by the name of its module, such as `fixably`.
    pub vendor: &'static str,
    /// The tenant, if the client was built with one.
    pub tenant: Option<&'a str>,
    /// The operation of the call or of the token request; `None` for a token refresh, which belongs to no call.
    pub operation: Option<&'static Operation>,
    /// What happened.
    pub kind: EventKind<'a>,
}

/// What happened. Durations are measured on the monotonic clock.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// A request ended: an attempt of a call, or a token request, whose operation is the token endpoint's.
    #[non_exhaustive]
    Attempt {
        /// The number of the attempt, counted from 1.
        attempt: u32,
        /// The HTTP method.
        method: &'a Method,
        /// The URL with its query, which may name customers.
        url: &'a Url,
        /// The status of the response; `None` if there was none, or if the caller was dropped.
        status: Option<StatusCode>,
        /// Why the attempt failed, as `error.type` of its [span](crate::observability); `None` if it did not.
        error_type: Option<&'a str>,
        /// From sending the request to the end of the response.
        elapsed: Duration,
    },
    /// A call returned a stored response.
    #[non_exhaustive]
    CachedResponse {
        /// How it served the call.
        cache_use: CacheUse,
    },
    /// A call ended. A call that fails before it starts, because of an invalid parameter, is not reported.
    #[non_exhaustive]
    Call {
        /// How it ended.
        outcome: CallOutcome<'a>,
        /// How often it was sent. 0 if it returned a fresh response from the cache.
        attempts: u32,
        /// From its start to its end, including waits.
        elapsed: Duration,
    },
    /// A stream of pages or items noticed that its list changed, or that the vendor sent fewer items than it counts.
    #[non_exhaustive]
    ListChanged {
        /// What was noticed on one page.
        changes: ListChanges,
    },
    /// The vendor's rate limit rejected an attempt (429).
    #[non_exhaustive]
    RateLimited {
        /// How long the vendor asks to wait, if it does.
        retry_after: Option<Duration>,
    },
    /// A token refresh ended, whether calls waited for it or not.
    #[non_exhaustive]
    Refresh {
        /// Why there is no new token; `None` if there is one, from the vendor or from the token store.
        failure: Option<&'a str>,
        /// The kind of that failure, as `error.type` of its [event](crate::observability).
        error_type: Option<&'static str>,
        /// From its start to its end.
        elapsed: Duration,
    },
    /// The body of a successful response was not valid JSON and was repaired. See
    /// [`Response::is_repaired`](crate::Response::is_repaired).
    #[non_exhaustive]
    RepairedBody {
        /// The length of the body.
        bytes: usize,
    },
    /// An attempt of a call or a token request failed, and will be repeated after a delay.
    #[non_exhaustive]
    Retry {
        /// The number of the attempt that failed, counted from 1.
        attempt: u32,
        /// The status of the response; `None` if there was none.
        status: Option<StatusCode>,
        /// Why it failed, as `error.type` of its [event](crate::observability).
        error_type: &'a str,
        /// The delay before the next attempt.
        delay: Duration,
    },
    /// Values of a response had another shape than expected and were left out: fields, and elements of lists. Reported once for
    /// each response.
    #[non_exhaustive]
    SkippedValues {
        /// How many.
        count: u64,
        /// The first 16 of them.
        values: &'a [SkippedValue],
    },
    /// A wait ended, successfully or not, or its caller was dropped.
    #[non_exhaustive]
    Wait {
        /// What the call waited for.
        reason: Wait,
        /// How long it waited.
        waited: Duration,
    },
}

/// How a stored response served a call, in a [cache](crate::ResponseCache).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CacheUse {
    /// The vendor was asked, and said that the response still holds (304). It cost a request, and no body was sent.
    Confirmed,
    /// It was fresh, so nothing was sent.
    Fresh,
    /// The vendor failed, and had allowed the response in place of an error (`stale-if-error`).
    StaleIfError,
}

impl CacheUse {
    /// The name that events use: `confirmed`, `fresh` or `stale_if_error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Fresh => "fresh",
            Self::StaleIfError => "stale_if_error",
        }
    }
}

impl fmt::Display for CacheUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum CallOutcome<'a> {
    /// Its future was dropped before it ended.
    Canceled,
    /// It returned this error.
    Failed(&'a Error),
    /// It returned a response.
    Succeeded,
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// The delay before a failed attempt is repeated.
    Backoff,
    /// Room in the tenant's rate limit.
    Limit,
    /// A token, because there is no valid one.
    Token,
}

impl Wait {
    /// The name that events use: `backoff`, `limit` or `token`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Backoff => "backoff",
            Self::Limit => "limit",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
