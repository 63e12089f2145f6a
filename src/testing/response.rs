//! The response of a mock server to one request, with its delay and how much of it arrives.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::Value;

use super::body;
use crate::transport::{Body, TransportError};

/// The outcome of one request, before it is sent over a socket or handed over in memory.
#[derive(Clone, Debug)]
pub(crate) struct MockResponse {
    pub(crate) response: Response<Bytes>,
    /// How long the response is held back. The request was handled when it arrived.
    pub(crate) delay: Duration,
    pub(crate) delivery: Delivery,
}

/// How much of a response reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    Complete,
    /// The connection closes before the first byte.
    Dropped,
    /// The headers announce more bytes than follow.
    Truncated,
}

impl MockResponse {
    pub(crate) fn new(response: Response<Bytes>) -> Self {
        Self { response, delay: Duration::ZERO, delivery: Delivery::Complete }
    }

    /// Hands the response over in memory, after its delay.
    pub(crate) async fn deliver(self) -> Result<Response<Body>, TransportError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        match self.delivery {
            Delivery::Complete => Ok(self.response.map(Body::from)),
            Delivery::Dropped => Err(TransportError::broken("connection dropped")),
            Delivery::Truncated => Ok(self.response.map(body::truncated)),
        }
    }
}

/// A response with a JSON body.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    raw(status, "application/json", body.to_string())
}

/// A response with a body of any type. An empty content type leaves the header out.
pub(crate) fn raw(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    if let Ok(value) = HeaderValue::from_str(content_type)
        && !value.is_empty()
    {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

/// The status code for a number that stands in a test.
///
/// # Panics
///
/// If the number is not between 100 and 999. The test is wrong then, so the panic points at its line.
#[track_caller]
pub(crate) fn status_code(code: u16) -> StatusCode {
    match StatusCode::from_u16(code) {
        Ok(status) => status,
        Err(_) => panic!("{code} is not an HTTP status code: it must be between 100 and 999"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_delay_passes_on_the_paused_clock() {
        let start = tokio::time::Instant::now();
        let mut response = MockResponse::new(Response::new(Bytes::new()));
        response.delay = Duration::from_secs(3600);

        response.deliver().await.expect("a complete response");

        assert_eq!(start.elapsed(), Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn an_incomplete_response_is_a_transport_error() {
        let mut response = MockResponse::new(Response::new(Bytes::new()));
        response.delivery = Delivery::Dropped;
        assert!(response.clone().deliver().await.expect_err("no response").may_have_arrived());
        response.delivery = Delivery::Truncated;
        let response = response.deliver().await.expect("a response");
        let error = response.into_body().collect(1).await.expect_err("incomplete");
        assert_eq!(error.to_string(), "body truncated");
    }

    #[test]
    fn an_empty_content_type_sends_no_header() {
        let response = raw(StatusCode::OK, "", "x");
        assert!(response.headers().is_empty(), "{response:?}");
    }

    #[test]
    #[should_panic(expected = "1000 is not an HTTP status code")]
    fn an_invalid_status_code_is_named_in_the_panic() {
        status_code(1000);
    }
}
