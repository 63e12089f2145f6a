//! Runs tasks that no caller can end.
//!
//! A task on a caller's runtime would stop when that runtime ends or is not driven: a token refresh after the vendor has
//! replaced the refresh token and before the new one is stored, or the timers of all who wait for a tenant's rate limit. So
//! this crate has two runtimes of its own: one thread each, started when it is first needed. Blocking calls have a third.

use std::future::{Future, pending};
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread;

use tokio::runtime::{Builder, Handle};

use super::Transport;

/// Where the background tasks of a client run.
#[derive(Clone, Debug)]
pub(crate) enum Spawner {
    /// On this crate's runtime for tokens.
    Tokens,
    /// On this crate's runtime for rate limits: a token store that blocks its thread must not hold up all calls.
    Limits,
    /// In the world of a simulation: time belongs to the test's runtime, and so do its tasks.
    #[cfg(feature = "testing")]
    Simulated(Arc<dyn Transport>),
}

impl Spawner {
    /// Where tasks run for the clients of this transport, if it decides that: in a simulation.
    #[cfg(feature = "testing")]
    pub(crate) fn of(transport: &Arc<dyn Transport>) -> Option<Self> {
        transport.environment().map(|_| Self::Simulated(Arc::clone(transport)))
    }

    /// Without simulations, no transport decides that.
    #[cfg(not(feature = "testing"))]
    pub(crate) fn of(_: &Arc<dyn Transport>) -> Option<Self> {
        None
    }

    /// Runs a future to its end, whatever happens to the caller.
    pub(crate) fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        match self {
            Self::Tokens => spawn_on(runtime(&TOKENS, "servicebay-tokens"), future),
            Self::Limits => spawn_on(runtime(&LIMITS, "servicebay-limits"), future),
            #[cfg(feature = "testing")]
            Self::Simulated(transport) => match transport.environment() {
                Some(environment) => environment.spawn(Box::pin(future)),
                None => spawn_on(runtime(&TOKENS, "servicebay-tokens"), future),
            },
        }
    }
}

/// The runtime that drives the connections and timers of blocking calls; `None` if it cannot be made.
///
/// A runtime for each caller would end with the call, and its connections with it.
#[cfg(feature = "blocking")]
pub(crate) fn blocking_runtime() -> Option<&'static Handle> {
    static BLOCKING: OnceLock<Option<Handle>> = OnceLock::new();
    runtime(&BLOCKING, "servicebay-blocking")
}

static TOKENS: OnceLock<Option<Handle>> = OnceLock::new();
static LIMITS: OnceLock<Option<Handle>> = OnceLock::new();

#[expect(clippy::disallowed_methods, reason = "these tasks must go on even if no caller is left")]
fn spawn_on(runtime: Option<&Handle>, future: impl Future<Output = ()> + Send + 'static) {
    match runtime {
        Some(runtime) => drop(runtime.spawn(future)),
        // Without threads for one more runtime, the caller's has to do.
        None => drop(tokio::spawn(future)),
    }
}

/// The runtime; `None` if it cannot be made.
fn runtime(cell: &'static OnceLock<Option<Handle>>, name: &str) -> Option<&'static Handle> {
    cell.get_or_init(|| start(name).ok()).as_ref()
}

fn start(name: &str) -> io::Result<Handle> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let handle = runtime.handle().clone();
    thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(pending::<()>()))?;
    Ok(handle)
}
