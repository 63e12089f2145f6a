//! What a tenant does with one request: an answer, perhaps late, perhaps cut short.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use serde_json::Value;

use super::TransportError;

/// The outcome of one request, before anything is put on a wire.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) response: Response<Bytes>,
    /// How long the answer is held back; the request was handled when it arrived.
    pub(crate) delay: Duration,
    pub(crate) ending: Ending,
}

impl Reply {
    pub(crate) fn new(response: Response<Bytes>) -> Self {
        Self { response, delay: Duration::ZERO, ending: Ending::Whole }
    }

    /// Carries the reply over no wire at all: waits as long as it says, then hands over what would have arrived.
    pub(crate) async fn deliver(self) -> Result<Response<Bytes>, TransportError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        match self.ending {
            Ending::Dropped => Err(TransportError::Dropped),
            Ending::Truncated => Err(TransportError::Truncated),
            Ending::Whole => Ok(self.response),
        }
    }
}

/// How much of the answer reaches the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The connection ends before the first byte of the answer.
    Dropped,
    /// The headers promise more bytes than follow.
    Truncated,
    Whole,
}

/// An answer with a JSON body.
pub(crate) fn json(status: StatusCode, body: &Value) -> Response<Bytes> {
    raw(status, "application/json", body.to_string())
}

/// An answer with a body of any type; without a content type where that is empty.
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

/// The status code for a number that a test wrote down.
///
/// # Panics
///
/// On a number outside 100 to 999: the test itself is wrong then, and should hear so where it says it.
#[track_caller]
pub(crate) fn status(code: u16) -> StatusCode {
    match StatusCode::from_u16(code) {
        Ok(status) => status,
        Err(_) => panic!("{code} is not an HTTP status code: it has to be between 100 and 999"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_delay_passes_on_the_paused_clock() {
        let start = tokio::time::Instant::now();
        let mut reply = Reply::new(Response::new(Bytes::new()));
        reply.delay = Duration::from_secs(3600);

        reply.deliver().await.expect("a whole reply");

        assert_eq!(start.elapsed(), Duration::from_secs(3600));
    }

    #[tokio::test]
    async fn a_reply_that_is_cut_short_is_a_failure_of_the_wire() {
        for (ending, failure) in
            [(Ending::Dropped, TransportError::Dropped), (Ending::Truncated, TransportError::Truncated)]
        {
            let mut reply = Reply::new(Response::new(Bytes::new()));
            reply.ending = ending;
            assert_eq!(reply.deliver().await.expect_err("cut short"), failure);
        }
    }

    #[test]
    fn a_raw_answer_without_a_content_type_carries_no_such_header() {
        let response = raw(StatusCode::OK, "", "x");
        assert!(response.headers().is_empty(), "{response:?}");
    }

    #[test]
    #[should_panic(expected = "1000 is not an HTTP status code")]
    fn a_number_that_is_no_status_code_is_named() {
        status(1000);
    }
}
