//! Runs token requests and saves on a runtime that no caller can end.
//!
//! A connection is driven by the runtime on which it was opened, so token requests have HTTP clients of their own
//! ([`HttpClientFactory`]). [`TokenTransport`] alone uses these, and always on this runtime.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::oneshot;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use crate::error::BoxError;
use crate::transport::{HttpClient, HttpClientFactory, HttpError, HttpRequest, HttpResponse, Spawner, Transport};

/// Sends token requests.
#[derive(Clone, Debug)]
pub(crate) enum TokenTransport {
    /// Over HTTP, on this crate's runtime.
    Http(Arc<HttpClientFactory>),
    Custom(Arc<dyn Transport>),
}

impl TokenTransport {
    /// What sends the token requests of a client that sends its calls with `client`.
    pub(crate) fn of(client: &HttpClient) -> Self {
        match client {
            HttpClient::Reqwest { factory, .. } => Self::Http(Arc::clone(factory)),
            HttpClient::Custom(transport) => Self::Custom(Arc::clone(transport)),
        }
    }

    /// Runs a future to its end in the background, even if the caller stops waiting for its output. `None` if its runtime ended
    /// first, or if it panicked.
    pub(crate) async fn run<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (sender, receiver) = oneshot::channel();
        let running = async move {
            // The caller may be gone.
            let _ = sender.send(future.await);
        };
        spawn(self, running.instrument(Span::current()));
        receiver.await.ok()
    }

    /// Sends a request and reads its response, as [`HttpClient::execute`] does. Except in a simulation, the request runs
    /// to its end even if this future is dropped.
    pub(super) async fn execute(
        &self,
        request: HttpRequest,
        deadline: Instant,
        max_body: usize,
        span: Option<&Span>,
    ) -> Result<HttpResponse, HttpError> {
        // In a simulation, time belongs to the test's runtime, and so do its tasks.
        if let Self::Custom(transport) = self
            && Spawner::of(transport).is_some()
        {
            return HttpClient::Custom(Arc::clone(transport)).execute(request, deadline, max_body, span).await;
        }
        let (transport, span) = (self.clone(), span.cloned());
        let sent = self.run(async move {
            let client = match transport {
                Self::Custom(transport) => HttpClient::Custom(transport),
                Self::Http(factory) => {
                    let is_plain_http = request.url.scheme() == "http";
                    match factory.token_client(is_plain_http).cloned() {
                        Ok(client) => HttpClient::Reqwest { client, factory },
                        Err(error) => return Err(HttpError::NotSent(Box::new(error))),
                    }
                }
            };
            client.execute(request, deadline, max_body, span.as_ref()).await
        });
        let ended = || BoxError::from("the runtime of the token request was shut down");
        sent.await.unwrap_or_else(|| Err(HttpError::Broken(None, ended())))
    }
}

/// Runs a future to its end, whatever happens to the caller.
pub(super) fn spawn(transport: &TokenTransport, future: impl Future<Output = ()> + Send + 'static) {
    match transport {
        TokenTransport::Http(_) => Spawner::Tokens.spawn(future),
        TokenTransport::Custom(transport) => Spawner::of(transport).unwrap_or(Spawner::Tokens).spawn(future),
    }
}

/// The output of a future; `None` if it panicked.
pub(super) async fn catch_panic<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    // The future is not polled again after a panic.
    let output = poll_fn(|context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
        Ok(output) => output.map(Some),
        Err(_) => Poll::Ready(None),
    });
    output.await
}
