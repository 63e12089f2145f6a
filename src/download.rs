//! A response body that is read chunk by chunk, and resumed after it broke off.

mod file_name;
mod part_file;
mod resumption;

use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use futures_util::stream;
use http::header::{CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, RANGE};
use http::{Method, StatusCode};
use tokio::time::{Instant, timeout_at};

use self::file_name::file_name;
use self::part_file::PartFile;
use self::resumption::Resumption;
use crate::clock::FOREVER;
use crate::decode;
use crate::error::{BoxError, Error};
use crate::request::Request;
use crate::response::Response;
use crate::transport::{Body, HttpError};

/// The body of a response, which arrives chunk by chunk. Made by [`RawRequest::download`](crate::RawRequest::download).
///
/// Each chunk must arrive within the attempt timeout, and all of them within the operation timeout, if there is one. The bound of
/// `with_max_body` does not apply. The request asks for an uncompressed response, so that its length is known and a part can be
/// requested.
///
/// # Resuming
///
/// If the connection breaks, the download goes on where it stopped: with a new request for the rest, which waits for the rate
/// limit and is retried like any other. That takes a GET and a server that names the version of the file (a strong `ETag`, or
/// `Last-Modified`) and sends it again: all of it, or the part that is asked for. If the file has changed meanwhile, the download
/// fails, so that the parts of two versions are never joined. It is given up when nothing arrives as often in a row as the retry
/// policy allows attempts, or when the client's budget of retries is used up.
///
/// # Example
///
/// ```
/// use http::Method;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # use servicebay::testing::{Script, Step};
/// # let script = Script::new([Step::body(200, "application/pdf", "%PDF-1.7").header("content-length", "8")]);
/// # let credentials = servicebay::fixably::Credentials::bearer("test");
/// # let client = servicebay::fixably::Client::builder(credentials).with_tenant("acme").with_transport(script).build()?;
/// let mut invoice = client.request(Method::GET, "orders/1/invoice.pdf").download().await?;
/// println!("{:?} bytes of {:?}", invoice.length(), invoice.content_type());
/// let mut received = Vec::new();
/// while let Some(chunk) = invoice.chunk().await? {
///     received.extend_from_slice(&chunk);
/// }
/// # assert_eq!((received.as_slice(), invoice.length()), (&b"%PDF-1.7"[..], Some(8)));
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a download is read by `chunk`, `save` or `into_stream`"]
pub struct Download {
    request: Request,
    response: Response<()>,
    started_at: Instant,
    body: Body,
    /// Whether `body` broke off, and nothing continues it yet.
    is_broken: bool,
    length: Option<u64>,
    received: u64,
    /// How much of the body has been received before, and arrives once more.
    repeated: u64,
    resumption: Option<Resumption>,
    resumed: u32,
    /// How often in a row nothing arrived.
    failures: u32,
}

impl Download {
    pub(crate) async fn start(mut request: Request) -> Result<Self, Error> {
        request.check()?;
        request.set_download();
        let mut response = request.again().send(decode::nothing).await?;
        if let Some(encoding) = encoding(response.headers()) {
            let reason = format!("the response is encoded as {encoding}, although it was asked for as it is");
            return Err(request.unexpected_response(response.metadata(), reason));
        }
        if response.status() == StatusCode::PARTIAL_CONTENT && !request.has_header(&RANGE) {
            let reason = "the server sent a part of the file, although all of it was asked for".to_owned();
            return Err(request.unexpected_response(response.metadata(), reason));
        }
        let clock = request.client.pipeline.clock;
        let started_at = response.metadata().record.map_or_else(|| clock.now(), |record| record.started_at());
        let body = response.take_rest();
        // The response to HEAD announces the length of a body that it does not have.
        let is_head = *request.method() == Method::HEAD;
        let length = if is_head { Some(0) } else { announced(response.headers()).or_else(|| body.length()) };
        let resumption = Resumption::of(&request, &response);
        Ok(Self {
            request,
            response,
            started_at,
            body,
            is_broken: false,
            length,
            received: 0,
            repeated: 0,
            resumption,
            resumed: 0,
            failures: 0,
        })
    }

    /// The response whose body this is, with its status and headers.
    pub fn response(&self) -> &Response<()> {
        &self.response
    }

    /// The length of the whole body in bytes, if the server says it.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The media type of the body, such as `application/pdf`, if the server says it.
    pub fn content_type(&self) -> Option<&str> {
        self.response.headers().get(CONTENT_TYPE)?.to_str().ok()
    }

    /// The name of the file, if the server says it (`Content-Disposition`): its last part alone, so that it cannot lead out of a
    /// folder; `None` if that is empty, begins with a period, or is a device of Windows.
    pub fn file_name(&self) -> Option<String> {
        file_name(self.response.headers().get(CONTENT_DISPOSITION)?.to_str().ok()?)
    }

    /// How many bytes have been received.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// How often the download was resumed.
    pub fn resumed(&self) -> u32 {
        self.resumed
    }

    /// The next chunk of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// [`Error::Connect`] or [`Error::Timeout`] if the body broke off and could not be resumed, [`Error::OutcomeUnknown`] in their
    /// place if the request was a write; [`Error::Decode`] if the file changed meanwhile; or the error of the request for the rest.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            if self.is_broken {
                // The last call gave up, or was dropped, before anything continued the body. That the caller goes on is no failure.
                self.failures = self.failures.saturating_sub(1);
                self.resume(self.broken("the download was interrupted".into())).await?;
            }
            let error = match timeout_at(self.deadline(), self.body.chunk()).await {
                Ok(Some(Ok(chunk))) => {
                    let new = self.accept(chunk);
                    if self.length.is_some_and(|length| self.received > length) {
                        let reason = "the body is longer than the length that the server announced".to_owned();
                        return Err(self.request.again().unexpected_response(self.response.metadata(), reason));
                    }
                    if new.is_some() {
                        return Ok(new);
                    }
                    continue;
                }
                Ok(None) if self.length.is_none_or(|length| self.received >= length) => return Ok(None),
                Ok(None) => self.broken("the body ended before its length was reached".into()),
                Ok(Some(Err(error))) => self.broken(error),
                Err(_) => HttpError::TimedOut,
            };
            self.is_broken = true;
            self.resume(error).await?;
        }
    }

    /// Writes the body to a file, and returns its length in bytes.
    ///
    /// The file appears when it is complete: until then its content is in another file of the same folder, which is removed if
    /// the download fails or is dropped. A file that is there already is replaced; a link is followed. What is no regular file, such
    /// as a device, is refused.
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk), and [`Error::File`] if the file cannot be written.
    pub async fn save(self, path: impl AsRef<Path>) -> Result<u64, Error> {
        self.save_with(path, |_, _| {}).await
    }

    /// As [`save`](Self::save). After each chunk `progress` is told how many bytes have been received, and of how many.
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save).
    ///
    /// # Example
    ///
    /// ```no_run
    /// # async fn save(invoice: servicebay::Download) -> Result<(), servicebay::Error> {
    /// invoice.save_with("invoice.pdf", |received, length| println!("{received} of {length:?} bytes")).await?;
    /// # Ok(()) }
    /// ```
    pub async fn save_with(
        mut self,
        path: impl AsRef<Path>,
        mut progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<u64, Error> {
        let path = path.as_ref();
        let mut file = PartFile::create(path).await.map_err(|error| self.failed_file(path, error))?;
        while let Some(chunk) = self.chunk().await? {
            file.write(&chunk).await.map_err(|error| self.failed_file(path, error))?;
            progress(self.received, self.length);
        }
        file.finish().await.map_err(|error| self.failed_file(path, error))?;
        Ok(self.received)
    }

    fn failed_file(&self, path: &Path, error: io::Error) -> Error {
        self.request.again().failed_file(self.response.metadata(), path, error)
    }

    /// Does what [`chunk`](Self::chunk) does, and blocks this thread meanwhile. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`chunk`](Self::chunk); [`Error::InvalidRequest`] in an async task of tokio.
    ///
    /// # Example
    ///
    /// ```no_run
    /// # use http::Method;
    /// # fn read(client: servicebay::fixably::Client) -> Result<(), servicebay::Error> {
    /// let mut invoice = client.request(Method::GET, "orders/1/invoice.pdf").download_blocking()?;
    /// while let Some(chunk) = invoice.chunk_blocking()? {
    ///     println!("{} bytes", chunk.len());
    /// }
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn chunk_blocking(&mut self) -> Result<Option<Bytes>, Error> {
        crate::blocking::block_on(self.request.operation().id(), "chunk", self.chunk())
    }

    /// Does what [`save`](Self::save) does, and blocks this thread meanwhile. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn save_blocking(self, path: impl AsRef<Path>) -> Result<u64, Error> {
        crate::blocking::block_on(self.request.operation().id(), "save", self.save(path))
    }

    /// Does what [`save_with`](Self::save_with) does, and blocks this thread meanwhile. Not in async code: see
    /// [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`save`](Self::save); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn save_with_blocking(
        self,
        path: impl AsRef<Path>,
        progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<u64, Error> {
        crate::blocking::block_on(self.request.operation().id(), "save_with", self.save_with(path, progress))
    }

    /// The chunks as a stream, which ends after an error.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send {
        stream::unfold(Some(self), async |download| {
            let mut download = download?;
            match download.chunk().await {
                Ok(Some(chunk)) => Some((Ok(chunk), Some(download))),
                Ok(None) => None,
                Err(error) => Some((Err(error), None)),
            }
        })
    }

    /// Until when the next chunk must arrive.
    fn deadline(&self) -> Instant {
        let options = &self.request.client.options;
        let next = self.now() + options.attempt_timeout.min(FOREVER);
        next.min(options.operation_deadline(self.started_at))
    }

    fn now(&self) -> Instant {
        self.request.client.pipeline.clock.now()
    }

    /// Counts a chunk. `None` if nothing of it is new.
    fn accept(&mut self, mut chunk: Bytes) -> Option<Bytes> {
        let repeated = chunk.len().min(usize::try_from(self.repeated).unwrap_or(usize::MAX));
        self.repeated -= repeated as u64;
        let new = chunk.split_off(repeated);
        self.received += new.len() as u64;
        if new.is_empty() {
            return None;
        }
        self.failures = 0;
        Some(new)
    }

    fn broken(&self, error: BoxError) -> HttpError {
        HttpError::Broken(Some(self.response.status()), error)
    }

    /// Asks for the rest of the body after this error, or returns the error if that is not possible.
    async fn resume(&mut self, error: HttpError) -> Result<(), Error> {
        let options = &self.request.client.options;
        let pipeline = Arc::clone(&self.request.client.pipeline);
        let retry = &options.retry;
        let delay = retry.delay(self.failures, fastrand::f64());
        let resume_at = self.now() + delay;
        let ends_at = options.operation_deadline(self.started_at);
        let is_allowed = self.failures + 1 < retry.max_attempts() && resume_at < ends_at;
        let Some(resumption) =
            self.resumption.as_ref().filter(|_| is_allowed && pipeline.retry_budget.withdraw_failure())
        else {
            return Err(self.request.again().broken_body(self.response.metadata(), error));
        };
        self.failures += 1;
        self.resumed += 1;
        let (operation, status) = (self.request.operation(), Some(self.response.status()));
        pipeline.telemetry.retrying(operation, self.resumed, status, Some(error.kind()), delay);
        pipeline.clock.sleep_until(resume_at).await;
        let mut request = resumption.request(&self.request, self.received);
        if let Some(timeout) = options.operation_timeout {
            let left = timeout.saturating_sub(self.now().saturating_duration_since(self.started_at));
            request.client.options_mut().operation_timeout = Some(left);
        }
        let mut response = request.again().send(decode::nothing).await?;
        match resumption.accept(&response, self.received, self.length) {
            Ok(repeated) => self.repeated = repeated,
            Err(reason) => return Err(request.unexpected_response(response.metadata(), reason.to_owned())),
        }
        self.body = response.take_rest();
        self.is_broken = false;
        Ok(())
    }
}

/// The encoding of a body that is not sent as it is.
fn encoding(headers: &HeaderMap) -> Option<String> {
    let encoding = headers.get(CONTENT_ENCODING)?.to_str().unwrap_or("something unreadable");
    (!encoding.eq_ignore_ascii_case("identity")).then(|| encoding.chars().take(40).collect())
}

/// The length that the head announces.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
