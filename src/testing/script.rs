//! A wire that says what it was told to say.

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

use super::{Transport, TransportError, reply};

/// A sequence of answers, given out one a request in the order they were written down, and a record of the requests.
///
/// It is for scenarios that are about the client alone: two failures, then a success, and how long it waited between
/// them. Nothing behind it has a state; for that there is a [tenant](super::fixably::MockServer). It uses no socket, and its
/// delays follow tokio's paused clock. Clones share one sequence and one record.
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

    /// Adds one more answer at the end.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[must_use]
    #[track_caller]
    pub fn then(self, status: u16, body: impl Into<Value>) -> Self {
        self.then_step(Step::json(status, body))
    }

    /// Adds one more step at the end.
    #[must_use]
    pub fn then_step(self, step: Step) -> Self {
        self.state().steps.push_back(step);
        self
    }

    /// The requests that arrived so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<ScriptRequest> {
        self.state().requests.clone()
    }

    /// How many steps have not been used; one that repeats stays and counts as one.
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.state().steps.len()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request and takes the step that answers it.
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
    fn send(&self, request: Request<Bytes>) -> BoxFuture<'static, Result<Response<Bytes>, TransportError>> {
        let script = self.clone();
        Box::pin(async move {
            let mut step = script.next(&request);
            while let Act::Ask(ask) = &step.act {
                let mut answer = ask(&request);
                answer.headers.extend(step.headers);
                answer.delay += step.delay;
                step = answer;
            }
            if !step.delay.is_zero() {
                tokio::time::sleep(step.delay).await;
            }
            match step.act {
                Act::Answer(mut response) => {
                    response.headers_mut().extend(step.headers);
                    Ok(response)
                }
                Act::Fail(failure) => Err(failure),
                Act::Ask(_) => unreachable!("the loop above ends with a step that asks nothing"),
            }
        })
    }

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

/// One answer of a [`Script`].
///
/// ```
/// use serde_json::json;
/// use servicebay::testing::{Script, Step};
///
/// // Answers each request with its own path, for ever.
/// let echo = Step::with(|request| Step::json(200, json!({"path": request.uri().path()}))).repeat();
/// assert_eq!(Script::new([echo]).remaining(), 1);
/// ```
#[derive(Clone)]
#[must_use = "a step is used by `Script::new`"]
pub struct Step {
    act: Act,
    delay: Duration,
    headers: HeaderMap,
    repeats: bool,
}

#[derive(Clone)]
enum Act {
    Answer(Response<Bytes>),
    #[expect(clippy::type_complexity, reason = "a name for it would be used once")]
    Ask(Arc<dyn Fn(&Request<Bytes>) -> Step + Send + Sync>),
    Fail(TransportError),
}

impl Step {
    /// Answers with a status and a JSON body.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn json(status: u16, body: impl Into<Value>) -> Self {
        Self::new(Act::Answer(reply::json(reply::status(status), &body.into())))
    }

    /// Answers with a status and an empty body.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn status(status: u16) -> Self {
        Self::body(status, "", "")
    }

    /// Answers with a status and a body of any type.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn body(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::new(Act::Answer(reply::raw(reply::status(status), content_type, body)))
    }

    /// The connection breaks after the request was sent: it may have arrived.
    pub fn dropped() -> Self {
        Self::new(Act::Fail(TransportError::Dropped))
    }

    /// The connection cannot be made: the request did not leave.
    pub fn connect_error() -> Self {
        Self::new(Act::Fail(TransportError::NotSent))
    }

    /// The answer begins and its body ends early: the request did arrive.
    pub fn truncated() -> Self {
        Self::new(Act::Fail(TransportError::Truncated))
    }

    /// Answers with what a function makes of the request. Headers and delay of both steps count.
    pub fn with(answer: impl Fn(&Request<Bytes>) -> Self + Send + Sync + 'static) -> Self {
        Self::new(Act::Ask(Arc::new(answer)))
    }

    /// Adds a header; the value may hold any bytes that a header can carry.
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

    /// Holds the answer, or the failure, back.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Uses this step for every request from here on. Steps behind it are never reached.
    pub fn repeat(mut self) -> Self {
        self.repeats = true;
        self
    }

    fn new(act: Act) -> Self {
        Self { act, delay: Duration::ZERO, headers: HeaderMap::new(), repeats: false }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut step = f.debug_struct("Step");
        match &self.act {
            Act::Answer(response) => step.field("status", &response.status()),
            Act::Ask(_) => step.field("status", &"computed"),
            Act::Fail(failure) => step.field("failure", failure),
        };
        step.field("delay", &self.delay).field("repeats", &self.repeats).finish()
    }
}

/// One request as a [`Script`] saw it, whole.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ScriptRequest {
    /// When it arrived, on tokio's clock.
    pub at: Instant,
    /// The method.
    pub method: Method,
    /// The whole URL.
    pub uri: Uri,
    /// All headers, the token's too.
    pub headers: HeaderMap,
    /// The body; empty if there was none.
    pub body: Bytes,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn get(script: &Script, path: &str) -> Result<Response<Bytes>, TransportError> {
        let request = Request::get(path).header("x-mark", "1").body(Bytes::new()).expect("a request");
        script.send(request).await
    }

    #[tokio::test]
    async fn steps_are_given_out_in_order() {
        let script = Script::new([Step::status(503), Step::dropped(), Step::connect_error(), Step::truncated()])
            .then(200, json!({"id": 1}));
        assert_eq!(get(&script, "/").await.expect("an answer").status(), 503);
        for failure in [TransportError::Dropped, TransportError::NotSent, TransportError::Truncated] {
            assert_eq!(get(&script, "/").await.expect_err("a failure"), failure);
        }
        assert_eq!(get(&script, "/").await.expect("an answer").body(), r#"{"id":1}"#);
        assert_eq!(script.remaining(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_are_recorded_with_their_headers_and_arrival() {
        let script = Script::new([Step::status(200).delay(Duration::from_secs(60)), Step::status(200)]);
        let start = Instant::now();
        get(&script, "/a").await.expect("an answer");
        get(&script, "/b").await.expect("an answer");

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
            let response = get(&script, path).await.expect("an answer");
            assert_eq!(response.body(), &format!("\"{path}\""));
            assert!(response.headers().contains_key("x-inner") && response.headers().contains_key("x-outer"));
        }
    }

    #[tokio::test]
    async fn a_future_that_is_never_polled_uses_no_step() {
        let script = Script::new([Step::status(200)]);
        drop(script.send(Request::new(Bytes::new())));
        assert_eq!(script.remaining(), 1);
    }

    #[tokio::test]
    #[should_panic(expected = "the script has no step left for GET /late")]
    async fn a_request_too_many_is_named() {
        let _ = get(&Script::default(), "/late").await;
    }
}
