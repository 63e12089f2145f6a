//! What a tenant saw: for assertions on the server's side of a test.

use std::collections::{BTreeMap, VecDeque};

use http::{Method, StatusCode};
use jiff::Timestamp;

use super::token_log::{TokenLog, TokenRequest, TokenRequestKind};

/// How many of the latest requests are kept one by one; a simulation sends millions, and the counters have them all.
const KEPT: usize = 10_000;

/// The sums of what a tenant has seen since it started.
///
/// A client can look well behaved from its own side and still be a bad guest; these numbers are the host's.
/// Requests that your own wiremock mocks answered are not among them.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), servicebay::Error> {
/// use servicebay::testing::fixably::MockServer;
///
/// let tenant = MockServer::start().await;
/// tenant.client()?.list_orders().send().await?;
///
/// let counters = tenant.counters();
/// assert_eq!(counters.requests(), 1);
/// assert_eq!(counters.bearer(), 1);
/// assert_eq!(counters.operation("list_orders"), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    requests: u64,
    refused: u64,
    unauthorized: u64,
    forbidden: u64,
    faults: u64,
    bearer: u64,
    legacy: u64,
    session: u64,
    anonymous: u64,
    logins: u64,
    refused_logins: u64,
    refreshes: u64,
    refused_refreshes: u64,
    repeated_refreshes: u64,
    revocations: u64,
    operations: BTreeMap<&'static str, u64>,
}

impl Counters {
    /// All requests that arrived.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Answers with status 429, from the limit or from a fault.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Answers with status 401.
    #[must_use]
    pub fn unauthorized(&self) -> u64 {
        self.unauthorized
    }

    /// Answers with status 403.
    #[must_use]
    pub fn forbidden(&self) -> u64 {
        self.forbidden
    }

    /// Requests on which an ordered fault struck.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// Requests with an `Authorization: Bearer` header.
    #[must_use]
    pub fn bearer(&self) -> u64 {
        self.bearer
    }

    /// Requests with a raw value in `Authorization`, the way of the legacy user tokens.
    #[must_use]
    pub fn legacy(&self) -> u64 {
        self.legacy
    }

    /// Requests with a session token in a header of the vendor's own.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Requests without a token in any header.
    #[must_use]
    pub fn anonymous(&self) -> u64 {
        self.anonymous
    }

    /// Logins that were given tokens, by whatever grant.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.logins
    }

    /// Logins that were refused.
    #[must_use]
    pub fn refused_logins(&self) -> u64 {
        self.refused_logins
    }

    /// Refreshes that were given new tokens, even if a fault kept the answer from reaching the caller.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// Refreshes that were refused.
    #[must_use]
    pub fn refused_refreshes(&self) -> u64 {
        self.refused_refreshes
    }

    /// Refreshes, accepted or not, for a generation of tokens that another refresh was sent for before. Zero for a client
    /// that never asks twice.
    #[must_use]
    pub fn repeated_refreshes(&self) -> u64 {
        self.repeated_refreshes
    }

    /// Revocations that ended something.
    #[must_use]
    pub fn revocations(&self) -> u64 {
        self.revocations
    }

    /// How often an operation was asked for, whatever the answer; named by its id, such as `list_orders`.
    #[must_use]
    pub fn operation(&self, id: &str) -> u64 {
        self.operations.get(id).copied().unwrap_or(0)
    }

    /// Every operation that was asked for at least once, with how often, in alphabetical order.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.operations.iter().map(|(id, count)| (*id, *count))
    }
}

/// One request as a tenant saw it. It holds no header and no body, so no secret either.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// When it arrived, in the tenant's own time.
    pub at: Timestamp,
    /// The method.
    pub method: Method,
    /// The whole path, with what every path of the vendor begins with, such as `/api/v3`.
    pub path: String,
    /// The query string as it was sent, percent-encoded; empty if there was none.
    pub query: String,
    /// The operation that the method and the path mean, or `None` where nothing lives there.
    pub operation: Option<&'static str>,
    /// How the caller identified itself.
    pub token: TokenSeen,
    /// The status of the answer, even if a fault kept it from reaching the caller.
    pub status: StatusCode,
}

/// How the caller of a request identified itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSeen {
    /// `Authorization: Bearer ...`
    Bearer,
    /// A raw value in `Authorization`.
    Legacy,
    /// A session token in a header of the vendor's own.
    Session,
    /// No token in any header.
    None,
}

/// Counts requests and keeps the latest.
#[derive(Debug, Default)]
pub(crate) struct Log {
    counters: Counters,
    latest: VecDeque<RecordedRequest>,
    tokens: TokenLog,
}

impl Log {
    pub(crate) fn add(&mut self, received: RecordedRequest) {
        let counters = &mut self.counters;
        counters.requests += 1;
        match received.status {
            StatusCode::TOO_MANY_REQUESTS => counters.refused += 1,
            StatusCode::UNAUTHORIZED => counters.unauthorized += 1,
            StatusCode::FORBIDDEN => counters.forbidden += 1,
            _ => {}
        }
        match received.token {
            TokenSeen::Bearer => counters.bearer += 1,
            TokenSeen::Legacy => counters.legacy += 1,
            TokenSeen::Session => counters.session += 1,
            TokenSeen::None => counters.anonymous += 1,
        }
        if let Some(operation) = received.operation {
            *counters.operations.entry(operation).or_default() += 1;
        }
        if self.latest.len() == KEPT {
            self.latest.pop_front();
        }
        self.latest.push_back(received);
    }

    pub(crate) fn add_fault(&mut self) {
        self.counters.faults += 1;
    }

    pub(crate) fn add_token_request(&mut self, request: TokenRequest) {
        let counters = &mut self.counters;
        match (request.kind, request.accepted) {
            (TokenRequestKind::Login, true) => counters.logins += 1,
            (TokenRequestKind::Login, false) => counters.refused_logins += 1,
            (TokenRequestKind::Refresh, true) => counters.refreshes += 1,
            (TokenRequestKind::Refresh, false) => counters.refused_refreshes += 1,
            (TokenRequestKind::Revocation, true) => counters.revocations += 1,
            (TokenRequestKind::Revocation, false) => {}
        }
        counters.repeated_refreshes += u64::from(self.tokens.add(request));
    }

    pub(crate) fn token_requests(&self) -> impl Iterator<Item = &TokenRequest> {
        self.tokens.latest()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn latest(&self) -> impl Iterator<Item = &RecordedRequest> {
        self.latest.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(status: u16, token: TokenSeen) -> RecordedRequest {
        RecordedRequest {
            at: Timestamp::UNIX_EPOCH,
            method: Method::GET,
            path: "/api/v3/orders".into(),
            query: String::new(),
            operation: Some("list_orders"),
            token,
            status: StatusCode::from_u16(status).expect("a status"),
        }
    }

    #[test]
    fn every_kind_of_answer_and_token_is_counted_once() {
        let mut log = Log::default();
        log.add(received(200, TokenSeen::Bearer));
        log.add(received(401, TokenSeen::None));
        log.add(received(403, TokenSeen::Legacy));
        log.add(received(429, TokenSeen::Bearer));

        let seen = log.counters();
        assert_eq!((seen.requests, seen.refused, seen.unauthorized, seen.forbidden), (4, 1, 1, 1), "{seen:?}");
        assert_eq!((seen.bearer, seen.legacy, seen.anonymous), (2, 1, 1), "{seen:?}");
        assert_eq!(seen.operations().collect::<Vec<_>>(), [("list_orders", 4)]);
        assert_eq!(seen.operation("get_order"), 0);
    }

    #[test]
    fn the_list_of_requests_is_bounded_and_the_sums_are_not() {
        let mut log = Log::default();
        for _ in 0..=KEPT {
            log.add(received(200, TokenSeen::Bearer));
        }
        assert_eq!(log.latest().count(), KEPT);
        assert_eq!(log.counters().requests, KEPT as u64 + 1);
    }
}
