//! servicebay against unkind servers on real sockets of this machine.
//!
//! No test waits for time to pass. A test that needs a timeout to end stops the clock once the request is where it should
//! be, and advances it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
#![allow(clippy::disallowed_methods, reason = "a test spawns what it awaits")]

mod bodies;
mod certificates;
mod http1;
mod http2;
mod http2_server;
mod http_config;
mod idle_connections;
mod tls;

use std::future::Future;
use std::time::Duration;

use http::Method;
use serde_json::{Value, json};
use servicebay::{CallOptions, Error, HttpConfig, RetryPolicy, fixably};
use tokio::task::JoinHandle;

const TOKEN: &str = "t0ken-of-the-tests";

/// A client that retries without a delay.
fn client(base_url: &str) -> fixably::Client {
    client_with(base_url, CallOptions::new(), HttpConfig::new())
}

fn client_with(base_url: &str, options: CallOptions, http: HttpConfig) -> fixably::Client {
    let no_delay = RetryPolicy::new().with_min_delay(Duration::ZERO).with_max_delay(Duration::ZERO);
    fixably::Client::builder(fixably::Credentials::bearer(TOKEN))
        .with_base_url(base_url)
        .with_http_config(http)
        .with_retry(no_delay)
        .build()
        .unwrap()
        .with_options(options)
}

/// A call with this note in its body, and the id in its response.
async fn call(client: &fixably::Client, method: Method, note: &str) -> Result<Option<u64>, Error> {
    let request = client.request(method, "orders/1/anything").json(&json!({"note": note}));
    let response = request.send::<Value>().await?;
    Ok(response["id"].as_u64())
}

/// The same in a task of its own.
fn start(client: &fixably::Client, method: Method, note: &'static str) -> JoinHandle<Result<Option<u64>, Error>> {
    let client = client.clone();
    tokio::spawn(async move { call(&client, method, note).await })
}

/// How the call of a task ended.
async fn end<T>(call: JoinHandle<T>) -> T {
    soon(call).await.unwrap()
}

/// What happens within moments, unless a fault lets the test wait for ever.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it happens within moments")
}

/// Lets this much time pass, and every task do what is then due.
async fn pass(duration: Duration) {
    settle().await;
    tokio::time::pause();
    tokio::time::advance(duration).await;
    tokio::time::resume();
    settle().await;
}

/// Lets every task get as far as it can without waiting for time. Each turn looks at the sockets too.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

/// The texts of an error and of its sources.
fn whole_text(error: &Error) -> String {
    let sources = std::iter::successors(Some(error as &dyn std::error::Error), |&error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[track_caller]
fn assert_not_sent(result: Result<Option<u64>, Error>, shown: &str) -> Error {
    let error = result.expect_err(shown);
    assert!(matches!(error, Error::Connect(_)), "{shown}: {error:?}");
    assert!(error.is_retryable() && !error.maybe_applied(), "{shown}: {error:?}");
    error
}

#[track_caller]
fn assert_outcome_unknown(result: Result<Option<u64>, Error>, shown: &str) -> Error {
    let error = result.expect_err(shown);
    assert!(matches!(error, Error::OutcomeUnknown(_)), "{shown}: {error:?}");
    assert!(error.maybe_applied() && !error.is_retryable(), "{shown}: {error:?}");
    error
}
