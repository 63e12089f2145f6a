//! The body of a request, which tells whether a connection began to write the request.
//!
//! An HTTP client queues a request: for a connection, for its turn on it, for an HTTP/2 stream. A request whose attempt
//! ends in a queue was not sent. The client says nothing about queues, but it asks the body only when the request leaves
//! the last of them: for its data, or, if it is empty, whether it has any.
//!
//! Both sides settle the matter in one atomic step. Either the connection starts first, and the request may have been
//! sent. Or the attempt is canceled first, and the body yields an error instead of data, so that the request never
//! becomes complete.
//!
//! HTTP/2 writes the head of a request with a body shortly before it asks the body. A server that ends such a stream or its
//! connection may have acted on the head alone: see `HttpError::of_request`.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::body::Body;
use crate::error::BoxError;

const QUEUED: u8 = 0;
const STARTED: u8 = 1;
const CANCELED: u8 = 2;

/// How far a request has got.
#[derive(Debug, Default)]
pub(super) struct SendProgress(AtomicU8);

impl SendProgress {
    /// Cancels a request that no connection has begun to write. Returns whether one has: then the request may have been
    /// sent.
    pub(super) fn cancel(&self) -> bool {
        self.advance(CANCELED) == STARTED
    }

    /// Begins to write the request, unless it was canceled. Returns whether it may be written.
    fn start(&self) -> bool {
        self.advance(STARTED) == STARTED
    }

    fn is_canceled(&self) -> bool {
        self.0.load(Ordering::Acquire) == CANCELED
    }

    /// Moves a queued request to another state, and returns the state that it is in.
    fn advance(&self, to: u8) -> u8 {
        match self.0.compare_exchange(QUEUED, to, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => to,
            Err(state) => state,
        }
    }
}

/// The body of one attempt.
pub(super) struct OutgoingBody {
    left: Body,
    progress: Arc<SendProgress>,
}

impl OutgoingBody {
    pub(super) fn new(body: Body, progress: Arc<SendProgress>) -> Self {
        Self { left: body, progress }
    }
}

impl HttpBody for OutgoingBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.progress.start() {
            return Poll::Ready(Some(Err(Box::new(Canceled))));
        }
        Pin::new(&mut self.left).poll_frame(context)
    }

    /// Of an empty body this is all that a connection asks, right before it writes the request. A stream without content is one too.
    fn is_end_stream(&self) -> bool {
        let is_empty = self.left.is_end_stream() || self.left.length() == Some(0);
        is_empty && self.progress.start()
    }

    fn size_hint(&self) -> SizeHint {
        // The length of a canceled request is unknown, so that the connection has to ask for data.
        if self.progress.is_canceled() { SizeHint::new() } else { self.left.size_hint() }
    }
}

/// The attempt ended before a connection began to write its request.
#[derive(Debug)]
pub(super) struct Canceled;

impl fmt::Display for Canceled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the attempt ended before its request was sent")
    }
}

impl std::error::Error for Canceled {}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &'static str) -> (OutgoingBody, Arc<SendProgress>) {
        let progress = Arc::new(SendProgress::default());
        (OutgoingBody::new(Body::from(body), Arc::clone(&progress)), progress)
    }

    fn poll(body: &mut OutgoingBody) -> Option<Result<Bytes, BoxError>> {
        let frame = match Pin::new(body).poll_frame(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(frame) => frame?,
            Poll::Pending => panic!("the body is in memory"),
        };
        Some(frame.map(|frame| frame.into_data().unwrap()))
    }

    #[test]
    fn a_queued_request_was_not_sent_and_never_will_be() {
        for content in ["", "{}"] {
            let (mut body, progress) = request(content);
            assert!(!progress.cancel(), "{content:?}");
            assert!(!body.is_end_stream(), "{content:?}");
            assert_eq!(body.size_hint().exact(), None, "{content:?}");
            assert!(poll(&mut body).is_some_and(|frame| frame.is_err()), "{content:?}");
            assert!(!progress.cancel(), "{content:?}");
        }
    }

    #[test]
    fn a_request_whose_body_was_asked_for_may_have_been_sent() {
        let (mut body, progress) = request("{}");
        assert!(!body.is_end_stream());
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_eq!(poll(&mut body).unwrap().unwrap(), "{}");
        assert!(progress.cancel());
        assert!(body.is_end_stream());
        assert!(poll(&mut body).is_none());
    }

    #[test]
    fn a_request_without_a_body_may_have_been_sent_once_a_connection_asked_for_its_end() {
        let (body, progress) = request("");
        assert_eq!(body.size_hint().exact(), Some(0));
        assert!(body.is_end_stream());
        assert!(progress.cancel());
    }
}
