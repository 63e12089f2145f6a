//! What a transport learns about a request besides the request itself.

use std::time::Duration;

use tokio::time::Instant;

use crate::operation::Operation;

/// What a request belongs to. A [`Transport`](crate::Transport) finds it among the extensions of each request.
///
/// ```
/// # use servicebay::{Body, RequestInfo};
/// fn operation(request: &http::Request<Body>) -> &str {
///     request.extensions().get::<RequestInfo>().map_or("unknown", |info| info.operation().id())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct RequestInfo {
    operation: &'static Operation,
    deadline: Instant,
    is_token_request: bool,
}

impl RequestInfo {
    pub(super) fn new(operation: &'static Operation, deadline: Instant, is_token_request: bool) -> Self {
        Self { operation, deadline, is_token_request }
    }

    /// The operation, such as `get_order`; of a request for a token, one such as `refresh_token`.
    pub fn operation(&self) -> &'static Operation {
        self.operation
    }

    /// Whether the request is for a token. It carries credentials in its body or in its headers.
    pub fn is_token_request(&self) -> bool {
        self.is_token_request
    }

    /// How much of the attempt's time is left. When it is over, the client drops the future of the request.
    pub fn time_left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }
}
