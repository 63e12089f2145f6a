//! Records the requests that a mock server receives: all of them in the counters, the latest one by one.

use std::collections::VecDeque;

use http::{Method, StatusCode};
use jiff::Timestamp;

use super::authorization::TokenSeen;
use super::counters::Counters;
use super::token_log::{TokenLog, TokenRequest};

/// How many requests are kept one by one. A simulation sends millions; the counters cover them all.
const CAPACITY: usize = 10_000;

/// One request as a mock server received it. It holds no header and no body, and so no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordedRequest {
    /// When it arrived, in the server's own time.
    pub at: Timestamp,
    /// The method.
    pub method: Method,
    /// The whole path, including the prefix of the vendor's API, such as `/api/v3`.
    pub path: String,
    /// The query string as it was sent, percent-encoded; empty if there was none.
    pub query: String,
    /// The operation of the method and path, or `None` if there is none.
    pub operation: Option<&'static str>,
    /// Why there is no operation: a sentence that names the method and the path, and similar operations. `None` if there
    /// is one.
    pub problem: Option<String>,
    /// How the client identified itself.
    pub token: TokenSeen,
    /// The status of the response, even if a fault kept it from the client.
    pub status: StatusCode,
}

/// The counters and the latest requests of a mock server.
#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    counters: Counters,
    latest: VecDeque<RecordedRequest>,
    tokens: TokenLog,
}

impl RequestLog {
    pub(crate) fn add(&mut self, request: RecordedRequest) {
        self.counters.add_request(request.operation, request.token, request.status);
        if self.latest.len() == CAPACITY {
            self.latest.pop_front();
        }
        self.latest.push_back(request);
    }

    pub(crate) fn add_fault(&mut self) {
        self.counters.add_fault();
    }

    pub(crate) fn add_token_request(&mut self, request: TokenRequest) {
        let repeated = self.tokens.add(request.clone());
        self.counters.add_token_request(&request, repeated);
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn latest(&self) -> impl Iterator<Item = &RecordedRequest> {
        self.latest.iter()
    }

    pub(crate) fn token_requests(&self) -> impl Iterator<Item = &TokenRequest> {
        self.tokens.latest()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_requests_is_bounded_and_the_counters_are_not() {
        let mut log = RequestLog::default();
        for _ in 0..=CAPACITY {
            log.add(RecordedRequest {
                at: Timestamp::UNIX_EPOCH,
                method: Method::GET,
                path: "/api/v3/orders".into(),
                query: String::new(),
                operation: Some("list_orders"),
                problem: None,
                token: TokenSeen::Bearer,
                status: StatusCode::OK,
            });
        }
        assert_eq!(log.latest().count(), CAPACITY);
        assert_eq!(log.counters().requests(), CAPACITY as u64 + 1);
    }
}
