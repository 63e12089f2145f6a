//! Calls without async code (feature `blocking`): what all methods whose names end in `_blocking` have in common.
//!
//! ```
//! use servicebay::fixably::{Client, Credentials};
//! # use servicebay::testing::fixably::MockServer;
//!
//! fn main() -> Result<(), servicebay::Error> {
//! #   let runtime = tokio::runtime::Runtime::new().unwrap();
//! #   let server = runtime.block_on(MockServer::start());
//! #   let (token, base_url) = (server.token(servicebay::testing::fixably::TokenKind::AdminAll), server.base_url());
//!     let client = Client::builder(Credentials::bearer(token)).with_base_url(base_url).build()?;
//!     let order = client.get_order().id(20000010).send_blocking()?;
//!     println!("{:?}", order.reference);
//!     for order in client.list_orders().limit(50).items_blocking() {
//!         println!("{:?}", order?.id());
//!     }
//!     client.close_blocking()
//! }
//! ```
//!
//! A client is built as always: [`build`](crate::ClientBuilder::build) sends nothing, so it blocks no thread. Webhooks and token
//! stores of your own have no blocking methods.
//!
//! # Threads
//!
//! A call runs on the thread that makes it, which also decodes the response. Its connection and its timers are driven by one
//! thread of this crate, `servicebay-blocking`, with a current-thread runtime of tokio: it is started by the first blocking call
//! of the process, serves all of them, and never ends, so that later calls find the connections open. One thread suffices, because
//! it only moves bytes: a tenant's rate limit is reached long before. A process may end while calls are in flight: it does not
//! wait for them. A thread that panics during a call gives back what the call held, and other calls go on. A child process after
//! `fork` does not have the thread, so make the first call after the fork.
//!
//! # Beside async code
//!
//! In an async task of tokio a blocking method sends nothing and fails with
//! [`Error::InvalidRequest`], because it would hold up all tasks of the thread. It works where tokio
//! allows a thread to block: in `tokio::task::spawn_blocking` and `block_in_place`. It is not refused, and does block, inside
//! `tokio::task::unconstrained` and on other executors.
//!
//! A client can make both kinds of calls. Connections of blocking calls serve async calls too. A connection that an async call has
//! opened serves a blocking one for as long as its runtime is driven.

use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use tokio::runtime::Handle;

use crate::error::Error;
use crate::transport::blocking_runtime;

/// Runs a future to its end on this thread. Names in the error of an async task `operation`, and as the alternative the async
/// `method`.
pub(crate) fn block_on<T>(
    operation: &'static str,
    method: &str,
    future: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    let instead = format_args!("`.{method}().await`");
    BlockingRuntime::get(operation, method, instead)?.block_on(future)
}

/// The runtime of blocking calls, for a thread that may block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockingRuntime(&'static Handle);

impl BlockingRuntime {
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] in an async task, or without a thread for the runtime.
    pub(crate) fn get(operation: &'static str, method: &str, instead: fmt::Arguments<'_>) -> Result<Self, Error> {
        let refused = |reason| Error::invalid_request(operation, format!("{method}_blocking"), reason);
        if is_in_task() {
            return Err(refused(format!(
                "would block the thread of an async task: use {instead}, or move it into `tokio::task::spawn_blocking`"
            )));
        }
        let reason =
            "needs a thread of its own, which the system does not grant: raise the limit of threads, and restart";
        blocking_runtime().map(Self).ok_or_else(|| refused(reason.to_owned()))
    }

    /// Runs a future to its end on this thread.
    ///
    /// Does not use tokio's `block_on`, which panics where [`is_in_task`] does not see the task.
    pub(crate) fn block_on<T>(self, future: impl Future<Output = T>) -> T {
        let _entered = self.0.enter();
        park_until_ready(pin!(future))
    }

    /// Drops what the runtime has polled, which may use it once more.
    pub(crate) fn drop<T>(self, value: T) {
        let _entered = self.0.enter();
        drop(value);
    }
}

/// Whether this thread is polling a task of tokio, so that no other task on it makes progress meanwhile.
///
/// `Handle::try_current` does not tell: it succeeds in `spawn_blocking` as well. But tokio bounds what a task may do until it
/// yields, and a thread that may block has no such bound.
fn is_in_task() -> bool {
    let mut context = Context::from_waker(Waker::noop());
    let mut is_bound_reached = || pin!(tokio::task::consume_budget()).poll(&mut context).is_pending();
    // The bound is a number of 8 bits. That it is used up costs the refused task one turn.
    Handle::try_current().is_ok() && (0..=u8::MAX).any(|_| is_bound_reached())
}

fn park_until_ready<T>(mut future: Pin<&mut impl Future<Output = T>>) -> T {
    let parker = Arc::new(ParkedThread { thread: thread::current(), is_woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parker));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        // What the future runs may park the thread too, and use up what unparks it.
        while !parker.is_woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

/// A thread that waits for its future.
struct ParkedThread {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Wake for ParkedThread {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
