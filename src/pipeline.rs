//! Read first: the one loop that every call goes through.
//!
//! Each policy is called from here and knows nothing of the others: the budget says when to send, the credentials say
//! as whom, the transport sends, the budget learns, and the retry rules say what the outcome means.

mod failures;
mod journey;
mod telling;

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use url::Url;

pub(crate) use self::journey::Journey;
use crate::auth::Auth;
use crate::base::Base;
use crate::clock::Clock;
use crate::error::Error;
use crate::limit::{Budget, RateLimitPolicy, Signals};
use crate::operation::Operation;
use crate::options::Settings;
use crate::retry::{self, Ending, RetryBudget, Verdict};
use crate::trace::{Attempt as Told, Teller};
use crate::transport::{Answer, HttpClient, Lost, Outgoing};
use crate::vendor::Vendor;

/// What the clients of one tenant share.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) vendor: &'static Vendor,
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) base: Arc<Base>,
    /// Name and version of the program, as the vendor sees it.
    pub(crate) user_agent: Arc<str>,
    /// What every request carries.
    pub(crate) headers: Arc<[(HeaderName, HeaderValue)]>,
    pub(crate) auth: Auth,
    pub(crate) budget: Arc<Budget>,
    pub(crate) rate_limit: RateLimitPolicy,
    pub(crate) retries: RetryBudget,
    pub(crate) transport: HttpClient,
    pub(crate) clock: Clock,
    pub(crate) teller: Teller,
}

/// A call: what is to be sent, and what is known about it beforehand.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) operation: &'static Operation,
    pub(crate) idempotent: bool,
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) body: Option<Bytes>,
}

impl Call {
    /// Whether the call changes anything at the vendor's.
    pub(crate) fn writes(&self) -> bool {
        !matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }
}

impl Pipeline {
    /// Sends a call until its outcome stands. A success comes with what its headers say about the limit.
    pub(crate) async fn run(&self, journey: &mut Journey<'_>, settings: &Settings) -> Result<(Answer, Signals), Error> {
        loop {
            // The token first: who waits for one must not hold a place at the vendor's meanwhile.
            let pass = self.auth.pass(self.clock, journey.latest(), journey.caller()).await;
            let mut pass = pass.map_err(|why| journey.without_token(why))?;
            let ask = self.rate_limit.ask(settings.priority);
            let acquired = self.budget.acquire(ask, self.clock, journey.latest(), journey.caller()).await;
            let mut permit = acquired.map_err(|resume_at| journey.rate_limited(resume_at))?;
            if !self.auth.is_good(&pass, self.clock) {
                // It died in the queue.
                continue;
            }
            permit.leaves(journey.sets_out());

            let attempt = self.authorised(journey, pass.header.take());
            let told = journey.attempts();
            let span = told.as_deref().map(Told::span);
            let outcome = self.transport.execute(attempt, journey.until(), settings.max_body, span).await;
            let signals = permit.observe(outcome.as_ref().ok(), &self.rate_limit, &|odd| journey.notices(odd));
            journey.returns(&outcome, told);

            match retry::decide(&settings.retry, journey.attempt(), (&outcome).into()) {
                Verdict::Done if journey.turns_elsewhere(&outcome) => {}
                Verdict::Done => return journey.arrives(outcome, signals),
                Verdict::Reauthorise if self.auth.renews_after(&pass) => journey.reauthorises(),
                Verdict::Reauthorise => return Err(journey.fails(outcome, &signals)),
                Verdict::AwaitLimit => journey.was_refused(outcome, signals),
                Verdict::Retry { cost } => {
                    let delay = journey.backoff(fastrand::f64(), &signals);
                    if !journey.can_wait(delay) || !self.retries.pay(cost) {
                        return Err(journey.fails(outcome, &signals));
                    }
                    journey.pauses(delay, &outcome).await;
                }
                Verdict::Fail => return Err(journey.fails(outcome, &signals)),
            }
        }
    }

    /// The request of one attempt, with the token as it is now.
    fn authorised(&self, journey: &Journey<'_>, token: Option<(HeaderName, HeaderValue)>) -> Outgoing {
        let call = journey.call();
        // Made anew with room for all: a copy of a map has none to spare, and grows with the first header put in.
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 2);
        if let Some((name, value)) = token {
            headers.insert(name, value);
        }
        for (name, value) in &*self.headers {
            headers.insert(name, value.clone());
        }
        if call.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        Outgoing { method: call.method.clone(), url: journey.url().clone(), headers, body: call.body.clone() }
    }
}

impl From<&Result<Answer, Lost>> for Ending {
    fn from(outcome: &Result<Answer, Lost>) -> Self {
        match outcome {
            Ok(answer) => Self::Answered(answer.status),
            Err(Lost::NotSent(_)) => Self::NotSent,
            Err(Lost::Broken(..)) => Self::Broken,
            Err(Lost::TimedOut) => Self::TimedOut,
            Err(Lost::TooLarge(_)) => Self::TooLarge,
        }
    }
}
