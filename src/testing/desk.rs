//! READ FIRST: what every tenant does with a request, whoever its vendor is.
//!
//! A desk keeps the clock, orders faults, counts, and dates the answers; what a request means is its [`House`]'s business.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{DATE, HeaderValue};
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};

use super::clock::{Clock, shifted};
use super::counters::{Log, RecordedRequest, TokenSeen};
use super::fault::Faults;
use super::limit::http_date;
use super::reply::Reply;
use super::serve::Answer;

/// A vendor behind a desk: all that a tenant knows, and how it answers.
pub(crate) trait House: fmt::Debug + Send + 'static {
    /// Where its API begins, without a slash at the end.
    fn base_url(&self) -> String;

    /// What a request is for, before anything is done about it.
    fn place<'a>(&self, request: &'a Request<Bytes>) -> Place<'a>;

    /// Does what a request asks for, or refuses it. What it did is noted in the log beyond what a desk can see.
    fn handle(&mut self, request: &Request<Bytes>, time: Time, log: &mut Log) -> Response<Bytes>;
}

/// What a request is for.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    /// Its path as faults name it: without what every path of the vendor begins with.
    pub(crate) path: &'a str,
    pub(crate) operation: Option<&'static str>,
    pub(crate) token: TokenSeen,
}

/// The time of a request: as it is, and by how much the tenant shows another.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Time {
    pub(crate) now: Timestamp,
    pub(crate) skew: SignedDuration,
}

impl Time {
    /// The time that the tenant shows.
    pub(crate) fn shown(self) -> Timestamp {
        shifted(self.now, self.skew)
    }
}

/// A tenant without a wire. What it answers depends on the request, on what came before, and on the clock it was given.
#[derive(Debug)]
pub(crate) struct Desk<H> {
    clock: Clock,
    state: Mutex<State<H>>,
}

/// All that changes.
#[derive(Debug)]
pub(crate) struct State<H> {
    pub(crate) faults: Faults,
    pub(crate) house: H,
    pub(crate) log: Log,
    pub(crate) skew: SignedDuration,
}

impl<H> Desk<H> {
    pub(crate) fn new(clock: Clock, house: H) -> Self {
        let state = State { faults: Faults::default(), house, log: Log::default(), skew: SignedDuration::ZERO };
        Self { clock, state: Mutex::new(state) }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State<H>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

impl<H: House> Answer for Desk<H> {
    fn answer(&self, request: &Request<Bytes>) -> Reply {
        let mut state = self.state();
        let state = &mut *state;
        let time = Time { now: self.now(), skew: state.skew };
        let Place { path, operation, token } = state.house.place(request);
        let fault = state.faults.strike(request.method(), path);

        let mut reply = match fault.as_ref().and_then(|fault| fault.replacement()) {
            Some(reply) => reply,
            None => Reply::new(state.house.handle(request, time, &mut state.log)),
        };
        if let Ok(date) = HeaderValue::from_str(&http_date(time.shown())) {
            reply.response.headers_mut().insert(DATE, date);
        }
        if let Some(fault) = fault {
            fault.spoil(&mut reply);
            state.log.add_fault();
        }
        state.log.add(RecordedRequest {
            at: time.now,
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            query: request.uri().query().unwrap_or_default().to_owned(),
            operation,
            token,
            status: reply.response.status(),
        });
        reply
    }
}
