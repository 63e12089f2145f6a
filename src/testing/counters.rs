//! The totals of the requests that a mock server has received.

use std::collections::BTreeMap;

use http::StatusCode;

use super::authorization::TokenSeen;
use super::token_log::{TokenRequest, TokenRequestKind};

/// The totals of the requests that a mock server has received since it started.
///
/// They are the server's view: use them to check how a client behaves, not only what it returns. Requests that your own
/// wiremock mocks serve are not counted.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), servicebay::Error> {
/// use servicebay::testing::fixably::MockServer;
///
/// let server = MockServer::start().await;
/// server.client()?.list_orders().send().await?;
///
/// let counters = server.counters();
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
    unknown: u64,
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
    /// All requests.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Responses with status 429, from the rate limit or from a fault.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Requests whose method and path match no operation. Each is in
    /// [`requests`](crate::testing::fixably::MockServer::requests), with its [`problem`](super::RecordedRequest::problem).
    #[must_use]
    pub fn unknown(&self) -> u64 {
        self.unknown
    }

    /// Responses with status 401.
    #[must_use]
    pub fn unauthorized(&self) -> u64 {
        self.unauthorized
    }

    /// Responses with status 403.
    #[must_use]
    pub fn forbidden(&self) -> u64 {
        self.forbidden
    }

    /// Requests that a fault was applied to.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.faults
    }

    /// Requests with an `Authorization: Bearer` header.
    #[must_use]
    pub fn bearer(&self) -> u64 {
        self.bearer
    }

    /// Requests with a raw value in `Authorization`, as legacy user tokens are sent.
    #[must_use]
    pub fn legacy(&self) -> u64 {
        self.legacy
    }

    /// Requests with a session token in a header of the vendor.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.session
    }

    /// Requests without a token in any header.
    #[must_use]
    pub fn anonymous(&self) -> u64 {
        self.anonymous
    }

    /// Logins that got tokens, by any grant type.
    #[must_use]
    pub fn logins(&self) -> u64 {
        self.logins
    }

    /// Logins that were refused.
    #[must_use]
    pub fn refused_logins(&self) -> u64 {
        self.refused_logins
    }

    /// Refreshes that got new tokens, even if a fault kept the response from the client.
    #[must_use]
    pub fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// Refreshes that were refused.
    #[must_use]
    pub fn refused_refreshes(&self) -> u64 {
        self.refused_refreshes
    }

    /// Refreshes, accepted or not, with a generation of tokens that an earlier refresh had already sent. Zero for a
    /// client that sends each refresh token once.
    #[must_use]
    pub fn repeated_refreshes(&self) -> u64 {
        self.repeated_refreshes
    }

    /// Revocations that ended a token.
    #[must_use]
    pub fn revocations(&self) -> u64 {
        self.revocations
    }

    /// The requests for one operation, whatever the response. `id` is the operation's name, such as `list_orders`.
    #[must_use]
    pub fn operation(&self, id: &str) -> u64 {
        self.operations.get(id).copied().unwrap_or(0)
    }

    /// The operations that were requested at least once, in alphabetical order, with the number of requests.
    pub fn operations(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.operations.iter().map(|(id, count)| (*id, *count))
    }

    pub(crate) fn add_request(&mut self, operation: Option<&'static str>, token: TokenSeen, status: StatusCode) {
        self.requests += 1;
        match status {
            StatusCode::TOO_MANY_REQUESTS => self.refused += 1,
            StatusCode::UNAUTHORIZED => self.unauthorized += 1,
            StatusCode::FORBIDDEN => self.forbidden += 1,
            _ => {}
        }
        match token {
            TokenSeen::Bearer => self.bearer += 1,
            TokenSeen::Legacy => self.legacy += 1,
            TokenSeen::Session => self.session += 1,
            TokenSeen::None => self.anonymous += 1,
        }
        match operation {
            Some(operation) => *self.operations.entry(operation).or_default() += 1,
            None => self.unknown += 1,
        }
    }

    pub(crate) fn add_fault(&mut self) {
        self.faults += 1;
    }

    pub(crate) fn add_token_request(&mut self, request: &TokenRequest, repeated: bool) {
        match (request.kind, request.accepted) {
            (TokenRequestKind::Login, true) => self.logins += 1,
            (TokenRequestKind::Login, false) => self.refused_logins += 1,
            (TokenRequestKind::Refresh, true) => self.refreshes += 1,
            (TokenRequestKind::Refresh, false) => self.refused_refreshes += 1,
            (TokenRequestKind::Revocation, true) => self.revocations += 1,
            (TokenRequestKind::Revocation, false) => {}
        }
        self.repeated_refreshes += u64::from(repeated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_response_and_token_is_counted_once() {
        let mut counters = Counters::default();
        for (status, token) in [
            (StatusCode::OK, TokenSeen::Bearer),
            (StatusCode::UNAUTHORIZED, TokenSeen::None),
            (StatusCode::FORBIDDEN, TokenSeen::Legacy),
            (StatusCode::TOO_MANY_REQUESTS, TokenSeen::Bearer),
        ] {
            counters.add_request(Some("list_orders"), token, status);
        }
        let seen = &counters;
        assert_eq!((seen.requests, seen.refused, seen.unauthorized, seen.forbidden), (4, 1, 1, 1), "{seen:?}");
        assert_eq!((seen.bearer, seen.legacy, seen.anonymous), (2, 1, 1), "{seen:?}");
        assert_eq!(seen.operations().collect::<Vec<_>>(), [("list_orders", 4)]);
        assert_eq!((seen.operation("get_order"), seen.unknown()), (0, 0));
        counters.add_request(None, TokenSeen::Bearer, StatusCode::NOT_FOUND);
        assert_eq!((counters.unknown(), counters.requests()), (1, 5));
    }
}
