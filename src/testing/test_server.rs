//! READ FIRST: how a mock server handles a request, whatever its vendor.
//!
//! A [`TestServer`] has what all vendors share: clock, faults and log. What a request means is up to the
//! [`VendorServer`] inside it. It knows no network: [`sockets`](super::sockets) serves it over TCP, and the vendor's
//! `MockServer` hands it requests in memory.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{DATE, HeaderValue};
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};

use super::authorization::TokenSeen;
use super::clock::{Clock, ServerTime, http_date};
use super::fault::Fault;
use super::fault::queue::FaultQueue;
use super::request_log::{RecordedRequest, RequestLog};
use super::response::MockResponse;
use super::sockets::Handler;

/// The part of a mock server that is the vendor's: its data, its rules, and its responses.
pub(crate) trait VendorServer: fmt::Debug + Send + Sized + 'static {
    /// What a test can choose before the server starts.
    type Options;

    /// The origin of a server in memory, such as `https://demo.fixably.com`.
    const ORIGIN_IN_MEMORY: &'static str;

    /// A server at an origin (scheme and authority, without a path) that starts at a time.
    fn new(origin: &str, options: Self::Options, now: Timestamp) -> Self;

    /// Where the API begins, without a slash at the end.
    fn base_url(&self) -> String;

    /// The names of all operations, those of the token endpoints included.
    fn operations() -> Vec<&'static str>;

    /// What a request asks for, before anything is done about it.
    fn request_info<'a>(&self, request: &'a Request<Bytes>) -> RequestInfo<'a>;

    /// Handles a request. Token requests also go into the log.
    fn handle(&mut self, request: &Request<Bytes>, time: ServerTime, log: &mut RequestLog) -> Response<Bytes>;
}

/// What a request asks for.
#[derive(Debug)]
pub(crate) struct RequestInfo<'a> {
    /// The path relative to the base URL, as faults name it.
    pub(crate) path: &'a str,
    /// The name of the operation, or why there is none.
    pub(crate) operation: Result<&'static str, String>,
    pub(crate) token: TokenSeen,
}

/// A mock server without a network. Its responses depend on the requests so far and on its clock, on nothing else.
#[derive(Debug)]
pub(crate) struct TestServer<V> {
    clock: Clock,
    state: Mutex<State<V>>,
}

/// The state of a [`TestServer`].
#[derive(Debug)]
pub(crate) struct State<V> {
    pub(crate) faults: FaultQueue,
    pub(crate) log: RequestLog,
    pub(crate) skew: SignedDuration,
    pub(crate) vendor: V,
}

impl<V: VendorServer> TestServer<V> {
    pub(crate) fn new(clock: Clock, origin: &str, options: V::Options) -> Self {
        let vendor = V::new(origin, options, clock.now());
        let state =
            State { faults: FaultQueue::default(), log: RequestLog::default(), skew: SignedDuration::ZERO, vendor };
        Self { clock, state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a fault, unless it names an operation that the vendor does not have. The error is a sentence.
    pub(crate) fn add_fault(&self, fault: Fault) -> Result<(), String> {
        fault.check(&V::operations())?;
        self.state().faults.add(fault);
        Ok(())
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Runs a function on the vendor's part, at the time that a request would be handled at.
    pub(crate) fn with_vendor<T>(&self, function: impl FnOnce(&mut V, ServerTime) -> T) -> T {
        let mut state = self.state();
        let time = ServerTime { now: self.now(), skew: state.skew };
        function(&mut state.vendor, time)
    }
}

impl<V: VendorServer> Handler for TestServer<V> {
    fn handle(&self, request: &Request<Bytes>) -> MockResponse {
        let mut state = self.state();
        let state = &mut *state;
        let time = ServerTime { now: self.now(), skew: state.skew };
        let RequestInfo { path, operation, token } = state.vendor.request_info(request);
        let fault = state.faults.take(request.method(), path, operation.as_ref().ok().copied());

        let mut response = match fault.as_ref().and_then(|fault| fault.replacement()) {
            Some(response) => response,
            None => MockResponse::new(state.vendor.handle(request, time, &mut state.log)),
        };
        if let Ok(date) = HeaderValue::from_str(&http_date(time.shown())) {
            response.response.headers_mut().insert(DATE, date);
        }
        if let Some(fault) = fault {
            fault.apply(&mut response);
            state.log.add_fault();
        }
        state.log.add(RecordedRequest {
            at: time.now,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            operation: operation.as_ref().ok().copied(),
            problem: operation.err(),
            token,
            status: response.response.status(),
        });
        response
    }
}
