//! What a client does, told to whoever wants to count it.

mod counting;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;

pub use self::counting::CountingObserver;
use crate::error::Error;
use crate::operation::Operation;

/// Takes note of what a client does: for metrics, without `tracing`.
///
/// Set with [`with_observer`](crate::ClientBuilder::with_observer). [`CountingObserver`] is one that counts; an `Arc` of an observer is
/// one too, so that many clients can share it. What is told through `tracing` stands in
/// [`observability`](crate::observability).
///
/// It is called where things happen, on the task of the call: so it has to be quick, and must not block. It holds nobody's
/// lock, and may ask the client how it is. One that panics does no harm: the call goes on, the panic becomes an event of
/// `tracing`, and the observer is told what happens next as before.
///
/// # Example
///
/// ```
/// use servicebay::{Event, EventKind, Observer, Outcome, fixably};
///
/// struct Slow;
///
/// impl Observer for Slow {
///     fn observe(&self, event: &Event<'_>) {
///         let name = event.operation.map_or("none", |operation| operation.id());
///         match event.kind {
///             EventKind::Call { outcome: Outcome::Failed(error), attempts, .. } => {
///                 println!("{} {name}: {} after {attempts} attempts", event.vendor, error.kind());
///             }
///             EventKind::Wait { why, waited, .. } if waited.as_secs() > 10 => {
///                 println!("{} {name}: waited {waited:?} for {why}", event.vendor);
///             }
///             _ => {}
///         }
///     }
/// }
///
/// let client = fixably::Client::builder(fixably::Credentials::bearer("token-from-the-settings-page"))
///     .with_tenant("acme")
///     .with_observer(Slow)
///     .build()?;
/// # Ok::<(), servicebay::Error>(())
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Takes note of one event.
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
    /// The vendor that is called: the name of its module, such as `fixably`.
    pub vendor: &'static str,
    /// The tenant, where the client was built with one.
    pub tenant: Option<&'a str>,
    /// The operation of the call or of the token request; `None` for a refresh, which is nobody's call.
    pub operation: Option<&'static Operation>,
    /// What happened.
    pub kind: EventKind<'a>,
}

/// What happened. Durations are measured on the monotonic clock.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum EventKind<'a> {
    /// A request ended: an attempt of a call, or a request for tokens, whose operation is the token endpoint's.
    #[non_exhaustive]
    Attempt {
        /// Which attempt it was, counted from 1.
        attempt: u32,
        /// The status of the answer; `None` where none came, or its caller went away.
        status: Option<StatusCode>,
        /// From sending the request to the end of its answer.
        elapsed: Duration,
    },
    /// A call ended. Calls that were refused before they began, for a parameter out of its bounds, are none.
    #[non_exhaustive]
    Call {
        /// How it ended.
        outcome: Outcome<'a>,
        /// How often it was sent.
        attempts: u32,
        /// From its beginning to its end, waits included.
        elapsed: Duration,
    },
    /// A renewal of the tokens ended, in the background or because calls waited for it.
    #[non_exhaustive]
    Refresh {
        /// TokenErrorKind there is no new token; `None` where there is one, from the vendor or from the store.
        failure: Option<&'a str>,
        /// From its beginning to its end.
        elapsed: Duration,
    },
    /// The vendor refused an attempt for the tenant's limit (429).
    #[non_exhaustive]
    Refused {
        /// How long the vendor asks to wait, where it does.
        retry_after: Option<Duration>,
    },
    /// An attempt failed, and is repeated after a pause: one of a call, or a request for tokens.
    #[non_exhaustive]
    Retry {
        /// Which attempt failed, counted from 1.
        attempt: u32,
        /// The status that it failed with; `None` where no answer came.
        status: Option<StatusCode>,
        /// The pause before the next.
        delay: Duration,
    },
    /// A wait ended, whether what was waited for came or not, or its caller went away.
    #[non_exhaustive]
    Wait {
        /// What for.
        why: Wait,
        /// How long it was.
        waited: Duration,
    },
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Outcome<'a> {
    /// Its future was dropped before it ended.
    Cancelled,
    /// With this error.
    Failed(&'a Error),
    /// With an answer.
    Succeeded,
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wait {
    /// The pause before an attempt that failed is repeated.
    Backoff,
    /// Room in the tenant's limit.
    Limit,
    /// A token, because there is none that lives.
    Token,
}

impl Wait {
    /// Its name, as events have it.
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
