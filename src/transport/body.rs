//! The body of a request or of a response: in memory, or a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::http_error::BodySize;
use crate::error::BoxError;

/// The body of a request or of a response that a [`Transport`](crate::Transport) handles: in memory, or a stream of chunks.
///
/// `Debug` shows the length alone, because a body may hold passwords and names customers.
///
/// # Example
///
/// ```
/// use servicebay::Body;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::TransportError> {
/// let body = Body::from(r#"{"id": 1}"#);
/// assert_eq!((body.length(), body.as_bytes().unwrap().len()), (Some(9), 9));
/// assert_eq!(body.collect(1024).await?, r#"{"id": 1}"#);
/// # Ok(()) }
/// ```
pub struct Body(BodyContent);

enum BodyContent {
    Bytes(Bytes),
    // In a mutex, so that a body is `Sync` although its stream may not be. No code locks it to poll the stream.
    Stream(Mutex<BoxBody>),
}

/// A stream of chunks that may end with an error.
type BoxBody = Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>;

impl Body {
    /// A body without content.
    pub const fn empty() -> Self {
        Self(BodyContent::Bytes(Bytes::new()))
    }

    /// A body whose content arrives chunk by chunk. Its `length` in bytes, if it is known, becomes the header `Content-Length`, and a
    /// stream that is longer fails.
    pub fn from_stream<S, E>(stream: S, length: Option<u64>) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self::wrap(StreamBody { stream: Box::pin(stream), length })
    }

    /// A body of another library.
    pub fn wrap<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(BodyContent::Stream(Mutex::new(Box::pin(BoxedError(Box::pin(body))))))
    }

    /// The content, if all of it is in memory.
    pub fn as_bytes(&self) -> Option<&Bytes> {
        match &self.0 {
            BodyContent::Bytes(bytes) => Some(bytes),
            BodyContent::Stream(_) => None,
        }
    }

    /// The length in bytes, if it is known.
    pub fn length(&self) -> Option<u64> {
        HttpBody::size_hint(self).exact()
    }

    /// Reads the whole content: at most `max` bytes.
    ///
    /// # Errors
    ///
    /// If the content is longer, or if the stream fails.
    pub async fn collect(mut self, max: usize) -> Result<Bytes, super::TransportError> {
        let mut collected = BytesMut::new();
        match self.read_into(&mut collected, max).await {
            Ok(bytes) => Ok(bytes),
            Err(ReadError::TooLarge(_)) => {
                Err(super::TransportError::broken(format!("the body is longer than {max} bytes")))
            }
            Err(ReadError::Broken(error)) => Err(super::TransportError::broken(error)),
        }
    }

    /// The next chunk of the content; `None` at its end.
    pub(crate) async fn chunk(&mut self) -> Option<Result<Bytes, BoxError>> {
        loop {
            match poll_fn(|context| Pin::new(&mut *self).poll_frame(context)).await? {
                Ok(frame) => match frame.into_data() {
                    Ok(data) if data.is_empty() => {}
                    Ok(data) => return Some(Ok(data)),
                    // Trailers.
                    Err(_) => {}
                },
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Reads the whole content. What was read before an error stays in `read`.
    pub(super) async fn read_into(&mut self, read: &mut BytesMut, max: usize) -> Result<Bytes, ReadError> {
        let size = self.length().map_or(BodySize::Unannounced, BodySize::Announced);
        if let BodyContent::Bytes(bytes) = &mut self.0 {
            if bytes.len() > max {
                read.extend_from_slice(&bytes[..max]);
                return Err(ReadError::TooLarge(size));
            }
            return Ok(std::mem::take(bytes));
        }
        while let Some(chunk) = self.chunk().await {
            let chunk = chunk.map_err(ReadError::Broken)?;
            let room = max - read.len();
            if chunk.len() > room {
                read.extend_from_slice(&chunk[..room]);
                return Err(ReadError::TooLarge(size));
            }
            read.extend_from_slice(&chunk);
        }
        Ok(read.split().freeze())
    }
}

/// Why a body could not be read to its end.
#[derive(Debug)]
pub(super) enum ReadError {
    TooLarge(BodySize),
    Broken(BoxError),
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            BodyContent::Bytes(bytes) => {
                let data = std::mem::take(bytes);
                Poll::Ready((!data.is_empty()).then(|| Ok(Frame::data(data))))
            }
            BodyContent::Stream(stream) => {
                stream.get_mut().unwrap_or_else(PoisonError::into_inner).as_mut().poll_frame(context)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            BodyContent::Bytes(bytes) => bytes.is_empty(),
            BodyContent::Stream(stream) => stream.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            BodyContent::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            BodyContent::Stream(stream) => stream.lock().unwrap_or_else(PoisonError::into_inner).size_hint(),
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self(BodyContent::Bytes(bytes))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.length() {
            Some(length) => write!(f, "Body({length} bytes)"),
            None => f.write_str("Body(stream)"),
        }
    }
}

/// A stream with the length that its chunks have together.
struct StreamBody<S> {
    stream: Pin<Box<S>>,
    length: Option<u64>,
}

impl<S, E> HttpBody for StreamBody<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let next = ready!(self.stream.as_mut().poll_next(context));
        Poll::Ready(next.map(|chunk| {
            let chunk = chunk.map_err(Into::into)?;
            if let Some(length) = &mut self.length {
                let left = length.checked_sub(chunk.len() as u64);
                *length = left.ok_or("the stream is longer than the length that it was given")?;
            }
            Ok(Frame::data(chunk))
        }))
    }

    fn size_hint(&self) -> SizeHint {
        self.length.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

/// A body whose errors have become [`BoxError`]s.
struct BoxedError<B>(Pin<Box<B>>);

impl<B> HttpBody for BoxedError<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.as_mut().poll_frame(context).map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    fn pieces(pieces: [&'static str; 3]) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
        stream::iter(pieces.map(|piece| Ok(Bytes::from_static(piece.as_bytes()))))
    }

    #[tokio::test]
    async fn a_stream_is_read_piece_by_piece_and_tells_what_is_left() {
        let mut body = Body::from_stream(pieces(["ab", "", "c"]), Some(3));
        assert_eq!((body.length(), format!("{body:?}")), (Some(3), "Body(3 bytes)".to_owned()));
        assert_eq!(body.chunk().await.unwrap().unwrap(), "ab");
        assert_eq!(body.length(), Some(1));
        assert_eq!(body.chunk().await.unwrap().unwrap(), "c");
        assert!(body.chunk().await.is_none());
    }

    #[tokio::test]
    async fn what_is_collected_is_bounded() {
        for max in [3, 4] {
            assert_eq!(Body::from_stream(pieces(["a", "b", "c"]), None).collect(max).await.unwrap(), "abc");
            assert_eq!(Body::from("abc").collect(max).await.unwrap(), "abc");
        }
        for body in [Body::from_stream(pieces(["a", "b", "c"]), None), Body::from("abc")] {
            let error = body.collect(2).await.unwrap_err();
            assert_eq!(error.to_string(), "the body is longer than 2 bytes");
        }
    }

    #[tokio::test]
    async fn what_was_read_before_an_error_is_kept() {
        let failing = stream::iter([Ok(Bytes::from_static(b"ab")), Err("broken")]);
        let mut body = Body::from_stream(failing, None);
        assert_eq!(format!("{body:?}"), "Body(stream)");
        let mut read = BytesMut::new();
        assert!(matches!(body.read_into(&mut read, 9).await, Err(ReadError::Broken(_))));
        assert_eq!(read, "ab");
    }

    #[tokio::test]
    async fn a_stream_that_is_longer_than_its_length_fails_instead_of_being_cut() {
        let error = Body::from_stream(pieces(["ab", "c", ""]), Some(2)).collect(9).await.unwrap_err();
        assert_eq!(error.to_string(), "the stream is longer than the length that it was given");
    }

    #[test]
    fn a_body_can_be_shared_between_threads() {
        fn is_sync<T: Sync + Send>(_: &T) {}
        is_sync(&Body::empty());
    }
}
