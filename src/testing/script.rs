//! A transport with scripted responses.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, Uri};
use serde_json::Value;
use tokio::time::Instant;

use super::{body, response};
use crate::transport::{Body, Environment, Transport, TransportError};

/// A transport that returns a list of responses, one for each request, and records the requests.
///
/// Use it for tests of the client alone: two failures, then a success, and how long the client waited between them. It
/// has no state behind its responses; for that use a [mock server](super::fixably::MockServer). It uses no socket, and
/// its delays follow tokio's paused clock. Clones share the list and the record.
///
/// ```
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), servicebay::Error> {
/// use std::time::Duration;
///
/// use serde_json::json;
/// use servicebay::fixably::{Client, Credentials};
/// use servicebay::testing::{Script, Step};
///
/// let script = Script::new([
///     Step::status(503),
///     Step::dropped().delay(Duration::from_secs(5)),
///     Step::json(200, json!({"id": 20000010})).header("x-ratelimit-remaining", "42"),
/// ]);
/// let client = Client::builder(Credentials::bearer("test-token"))
///     .with_tenant("acme")
///     .with_transport(script.clone())
///     .build()?;
///
/// let order = client.get_order().id(20000010).send().await?;
/// assert_eq!(order.rate_limit().remaining(), Some(42));
/// let requests = script.requests();
/// assert_eq!(requests.len(), 3);
/// assert!(requests[2].at - requests[1].at >= Duration::from_secs(5));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Script {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    steps: VecDeque<Step>,
    requests: Vec<ScriptRequest>,
}

impl Script {
    /// A script of these steps.
    pub fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        let script = Self::default();
        script.state().steps.extend(steps);
        script
    }

    /// Adds a JSON response at the end.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[must_use]
    #[track_caller]
    pub fn then(self, status: u16, body: impl Into<Value>) -> Self {
        self.then_step(Step::json(status, body))
    }

    /// Adds a step at the end.
    #[must_use]
    pub fn then_step(self, step: Step) -> Self {
        self.state().steps.push_back(step);
        self
    }

    /// The requests so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ScriptRequest> {
        self.state().requests.clone()
    }

    /// How many steps are left. A step that repeats is never used up, and counts as one.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.state().steps.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request, and takes the step for it.
    fn next(&self, request: &Request<Bytes>) -> Step {
        let mut state = self.state();
        state.requests.push(ScriptRequest {
            at: Instant::now(),
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: request.headers().clone(),
            body: request.body().clone(),
        });
        let repeats = state.steps.front().is_some_and(|step| step.repeats);
        let step = if repeats { state.steps.front().cloned() } else { state.steps.pop_front() };
        drop(state);
        match step {
            Some(step) => step,
            None => panic!("the script has no step left for {} {}", request.method(), request.uri()),
        }
    }
}

impl Transport for Script {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        Box::pin(async move {
            let request = body::received(request).await?;
            let mut step = self.next(&request);
            while let Act::Compute(compute) = &step.act {
                let mut computed = compute(&request);
                computed.headers.extend(step.headers);
                computed.delay += step.delay;
                step = computed;
            }
            if !step.delay.is_zero() {
                tokio::time::sleep(step.delay).await;
            }
            match step.act {
                Act::Respond(mut response) => {
                    response.headers_mut().extend(step.headers);
                    Ok(response.map(|content| match step.cut_after {
                        Some(length) => body::truncated(content.slice(..length.min(content.len()))),
                        None => content.into(),
                    }))
                }
                Act::Drop => Err(TransportError::broken("connection dropped")),
                Act::FailToConnect => Err(TransportError::not_sent("connection refused")),
                Act::Compute(_) => unreachable!("the loop above ends with a step that is not computed"),
            }
        })
    }

    fn environment(&self) -> Option<&dyn Environment> {
        Some(self)
    }
}

impl Environment for Script {
    fn identity(&self) -> usize {
        Arc::as_ptr(&self.state).addr()
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Script").field("steps", &state.steps).field("requests", &state.requests.len()).finish()
    }
}

/// One response or failure of a [`Script`].
///
/// ```
/// use serde_json::json;
/// use servicebay::testing::{Script, Step};
///
/// // Responds to every request with its own path.
/// let echo = Step::with(|request| Step::json(200, json!({"path": request.uri().path()}))).repeat();
/// assert_eq!(Script::new([echo]).remaining(), 1);
/// ```
#[derive(Clone)]
#[must_use = "a step is used by `Script::new`"]
pub struct Step {
    act: Act,
    delay: Duration,
    headers: HeaderMap,
    /// How much of the body arrives; `None` if all of it does.
    cut_after: Option<usize>,
    repeats: bool,
}

#[derive(Clone)]
enum Act {
    Respond(Response<Bytes>),
    #[expect(clippy::type_complexity, reason = "a name for it would be used once")]
    Compute(Arc<dyn Fn(&Request<Bytes>) -> Step + Send + Sync>),
    Drop,
    FailToConnect,
}

impl Step {
    /// Responds with a status and a JSON body.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn json(status: u16, body: impl Into<Value>) -> Self {
        Self::new(Act::Respond(response::json(response::status_code(status), &body.into())))
    }

    /// Responds with a status and an empty body.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn status(status: u16) -> Self {
        Self::body(status, "", "")
    }

    /// Responds with a status and a body of any type.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn body(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(Act::Respond(response::raw(response::status_code(status), content_type, body)))
    }

    /// The connection breaks after the request was sent. It may have arrived.
    pub fn dropped() -> Self {
        Self::new(Act::Drop)
    }

    /// The connection fails before the request is sent.
    pub fn connect_error() -> Self {
        Self::new(Act::FailToConnect)
    }

    /// The response starts and its body ends early. The request has arrived.
    pub fn truncated() -> Self {
        Self::status(200).cut_after(0)
    }

    /// Responds with the step that a function computes from the request. Headers and delays of both steps apply.
    pub fn with(compute: impl Fn(&Request<Bytes>) -> Self + Send + Sync + 'static) -> Self {
        Self::new(Act::Compute(Arc::new(compute)))
    }

    /// Adds a header. The value can be any bytes that a header can carry.
    ///
    /// # Panics
    ///
    /// If the name is not a header name, or the value has a line break or another control character.
    #[track_caller]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let name: HeaderName = name.parse().expect("the name of a step's header is a header name");
        let value = HeaderValue::from_bytes(value.as_ref()).expect("the value of a step's header can be sent");
        self.headers.append(name, value);
        self
    }

    /// Breaks the connection after this many bytes of the body.
    pub fn cut_after(mut self, bytes: usize) -> Self {
        self.cut_after = Some(bytes);
        self
    }

    /// Delays the response or the failure.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Uses this step for every request from here on. Later steps are never used.
    pub fn repeat(mut self) -> Self {
        self.repeats = true;
        self
    }

    fn new(act: Act) -> Self {
        Self { act, delay: Duration::ZERO, headers: HeaderMap::new(), cut_after: None, repeats: false }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut step = f.debug_struct("Step");
        match &self.act {
            Act::Respond(response) => step.field("status", &response.status()),
            Act::Compute(_) => step.field("status", &"computed"),
            Act::Drop => step.field("error", &"connection dropped"),
            Act::FailToConnect => step.field("error", &"connection refused"),
        };
        step.field("delay", &self.delay).field("repeats", &self.repeats).finish()
    }
}

/// One request as a [`Script`] received it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScriptRequest {
    /// When it arrived, on tokio's clock.
    pub at: Instant,
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub uri: Uri,
    /// All headers, including the token.
    pub headers: HeaderMap,
    /// The body; empty if there was none.
    pub body: Bytes,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn get(script: &Script, path: &str) -> Result<Response<Bytes>, TransportError> {
        let request = Request::get(path).header("x-mark", "1").body(Body::empty()).expect("a request");
        let (head, body) = script.send(request).await?.into_parts();
        Ok(Response::from_parts(head, body.collect(1024).await?))
    }

    #[tokio::test]
    async fn steps_are_used_in_order() {
        let script = Script::new([Step::status(503), Step::dropped(), Step::connect_error(), Step::truncated()])
            .then(200, json!({"id": 1}));
        assert_eq!(get(&script, "/").await.expect("a response").status(), 503);
        for (text, may_have_arrived) in
            [("connection dropped", true), ("connection refused", false), ("body truncated", true)]
        {
            let error = get(&script, "/").await.expect_err("an error");
            assert_eq!((error.to_string().as_str(), error.may_have_arrived()), (text, may_have_arrived));
        }
        assert_eq!(get(&script, "/").await.expect("a response").body(), r#"{"id":1}"#);
        assert_eq!(script.remaining(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_recorded_with_their_headers_and_times() {
        let script = Script::new([Step::status(200).delay(Duration::from_secs(60)), Step::status(200)]);
        let start = Instant::now();
        get(&script, "/a").await.expect("a response");
        get(&script, "/b").await.expect("a response");

        let seen = script.requests();
        let times: Vec<_> = seen.iter().map(|request| request.at - start).collect();
        assert_eq!(times, [Duration::ZERO, Duration::from_secs(60)]);
        assert_eq!(seen[1].uri, "/b");
        assert_eq!(seen[1].headers["x-mark"], "1");
    }

    #[tokio::test]
    async fn a_computed_step_sees_the_request_and_keeps_its_own_headers() {
        let echo = Step::with(|request| Step::json(200, request.uri().path()).header("x-inner", "1"));
        let script = Script::new([echo.header("x-outer", "1").repeat()]);
        for path in ["/a", "/b"] {
            let response = get(&script, path).await.expect("a response");
            assert_eq!(response.body(), &format!("\"{path}\""));
            assert!(response.headers().contains_key("x-inner") && response.headers().contains_key("x-outer"));
        }
    }

    #[tokio::test]
    async fn a_future_that_is_never_polled_uses_no_step() {
        let script = Script::new([Step::status(200)]);
        drop(script.send(Request::new(Body::empty())));
        assert_eq!(script.remaining(), 1);
    }

    #[tokio::test]
    #[should_panic(expected = "the script has no step left for GET /late")]
    async fn a_request_without_a_step_is_named_in_the_panic() {
        let _ = get(&Script::default(), "/late").await;
    }
}
