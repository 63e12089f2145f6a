//! Requests to endpoints that this crate does not model.

use std::path::Path;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, IF_NONE_MATCH};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::client_inner::ClientInner;
use crate::decode;
use crate::download::Download;
use crate::error::{Error, Postponed};
use crate::idempotency_key::IdempotencyKey;
use crate::multipart::{Multipart, unreadable};
use crate::operation::Operation;
use crate::operation_builder::{blocking_sends, call_options};
use crate::prepared_request::PreparedRequest;
use crate::raw_list::{RawList, RawPage};
use crate::request::Request;
use crate::response::Response;
use crate::transport::{Body, FilePiece, RequestBody};

/// A request to an endpoint that this crate does not model. It uses the client's credentials, rate limit, retries and errors
/// like any other call. Made by a client's `request`.
///
/// Its body is JSON ([`json`](Self::json)), form fields ([`form`](Self::form)), parts such as files
/// ([`multipart`](Self::multipart)), bytes ([`bytes`](Self::bytes)), a file ([`file`](Self::file)) or a stream
/// ([`body`](Self::body)). Its response is a type ([`send`](Self::send)), bytes ([`send_bytes`](Self::send_bytes)), a stream
/// ([`download`](Self::download)), or one of the first two only if it has changed ([`if_none_match`](Self::if_none_match)).
/// [`prepare`](Self::prepare) shows what would be sent.
///
/// # Example
///
/// ```
/// use http::Method;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
/// # let server = servicebay::testing::fixably::MockServer::start().await;
/// # let client = server.client()?;
/// let order = client.request(Method::GET, "orders/20000010").query("expand", "customer");
/// let order = order.send::<serde_json::Value>().await?;
/// assert_eq!(order["id"], 20000010);
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[must_use = "a request does nothing until `send` is called"]
pub struct RawRequest {
    request: Request,
    /// Whether the body that was set last came with its media type.
    has_body_type: bool,
}

impl RawRequest {
    pub(crate) fn new(client: &ClientInner, method: Method, path: &str) -> Self {
        let mut request = Request::new(client, operation(&method));
        request.set_method(method);
        match relative(path) {
            Ok(path) => request.append_path(path),
            Err(reason) => request.refuse("path", reason),
        }
        Self { request, has_body_type: false }
    }

    /// The request of a postponed call.
    pub(crate) fn resume(client: &ClientInner, vendor: &'static str, postponed: &Postponed) -> Self {
        let method = postponed.method().clone();
        let mut request = Request::new(client, operation(&method));
        request.set_method(method);
        request.set_idempotent(postponed.is_idempotent());
        request.set_keyed(postponed.is_keyed());
        match client.relative_path(postponed.url()).and_then(|path| relative(path).ok()) {
            Some(path) if postponed.vendor() == vendor => {
                request.append_path(path);
                request.append_query(postponed.url().query());
                request.set_body(postponed.body().map(Into::into));
                if postponed.is_body_lost() {
                    request.refuse(
                        "postponed",
                        "had a file or a stream as its body, which is not stored: make the call anew",
                    );
                }
                for (name, value) in postponed.headers() {
                    request.client.options_mut().set_header(name, value);
                }
            }
            _ => {
                request.refuse("postponed", "belongs to another vendor or tenant: resume it with a client of that one")
            }
        }
        Self { request, has_body_type: false }
    }

    /// Adds a parameter to the query. Errors and spans show the path and the query: do not put secrets into either.
    pub fn query(mut self, name: &str, value: impl ToString) -> Self {
        self.request.query(name, Some(&value.to_string()));
        self
    }

    /// Sets a JSON body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        self.request.json(Some(body));
        if std::mem::take(&mut self.has_body_type) {
            self.request.client.options_mut().remove_header(&CONTENT_TYPE);
        }
        self
    }

    /// Sets a body of form fields (`application/x-www-form-urlencoded`).
    ///
    /// ```
    /// # use http::Method;
    /// # use servicebay::testing::{Script, Step};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// # let script = Script::new([Step::json(200, serde_json::json!({}))]);
    /// # let credentials = servicebay::fixably::Credentials::bearer("test");
    /// # let builder = servicebay::fixably::Client::builder(credentials).with_tenant("acme");
    /// # let client = builder.with_transport(script.clone()).build()?;
    /// let form = [("channel", "sms"), ("text", "Ready & waiting")];
    /// client.request(Method::POST, "orders/1/messages").form(form).send::<serde_json::Value>().await?;
    /// # assert_eq!(script.requests()[0].body, "channel=sms&text=Ready+%26+waiting");
    /// # Ok(()) }
    /// ```
    pub fn form<K: AsRef<str>, V: AsRef<str>>(self, fields: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.extend_pairs(fields);
        self.bytes(form.finish(), "application/x-www-form-urlencoded")
    }

    /// Sets a body of several parts, such as fields and files (`multipart/form-data`).
    ///
    /// ```
    /// # use http::Method;
    /// # use servicebay::testing::{Script, Step};
    /// use servicebay::Multipart;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// # let script = Script::new([Step::json(201, serde_json::json!({"id": 7}))]);
    /// # let credentials = servicebay::fixably::Credentials::bearer("test");
    /// # let builder = servicebay::fixably::Client::builder(credentials).with_tenant("acme");
    /// # let client = builder.with_transport(script.clone()).build()?;
    /// # let photo = vec![0xff, 0xd8];
    /// let form = Multipart::new().text("title", "Before").file("file", "front.jpg", "image/jpeg", photo);
    /// client.request(Method::POST, "orders/1/attachments").multipart(form).send::<serde_json::Value>().await?;
    /// # assert!(script.requests()[0].headers["content-type"].to_str().unwrap().starts_with("multipart/form-data; boundary="));
    /// # Ok(()) }
    /// ```
    pub fn multipart(mut self, form: Multipart) -> Self {
        match form.into_body() {
            Ok((content_type, body)) => self.with_body(body, content_type),
            Err(reason) => {
                self.request.refuse("multipart", reason);
                self
            }
        }
    }

    /// Sets a body as it is, with its media type, such as `image/jpeg`. It is kept in memory until the call ends, so that it can
    /// be sent again.
    pub fn bytes(self, body: impl Into<Bytes>, content_type: impl AsRef<str>) -> Self {
        self.with_body(RequestBody::Bytes(body.into()), content_type)
    }

    /// Sets a file of this machine as the body, with its media type. It is read chunk by chunk while it is sent, by each attempt
    /// anew, so that it need not fit into memory. Its length is looked up now; if it changes until it is sent, sending fails.
    ///
    /// ```no_run
    /// # use http::Method;
    /// # async fn upload(client: servicebay::fixably::Client) -> Result<(), servicebay::Error> {
    /// let request = client.request(Method::PUT, "orders/1/photos/front").file("front.jpg", "image/jpeg");
    /// request.send::<serde_json::Value>().await?;
    /// # Ok(()) }
    /// ```
    pub fn file(mut self, path: impl AsRef<Path>, content_type: impl AsRef<str>) -> Self {
        let path = path.as_ref();
        match FilePiece::find(path) {
            Ok(file) => self.with_body(RequestBody::file(file), content_type),
            Err(error) => {
                self.request.refuse("file", unreadable(path, &error));
                self
            }
        }
    }

    /// Sets a body that may be a stream, with its media type. A stream can be sent once: after a connection has begun to read it,
    /// the call is not repeated, whatever happens. Prefer [`file`](Self::file) and [`bytes`](Self::bytes), which can be repeated.
    ///
    /// ```
    /// # use http::Method;
    /// # use servicebay::testing::{Script, Step};
    /// use bytes::Bytes;
    /// use futures_util::stream;
    /// use servicebay::Body;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// # let script = Script::new([Step::json(201, serde_json::json!({"id": 7}))]);
    /// # let credentials = servicebay::fixably::Credentials::bearer("test");
    /// # let client = servicebay::fixably::Client::builder(credentials).with_tenant("acme").with_transport(script.clone()).build()?;
    /// let rows = ["a;b\n", "1;2\n"].map(|row| Ok::<_, std::io::Error>(Bytes::from(row)));
    /// let body = Body::from_stream(stream::iter(rows), Some(8));
    /// client.request(Method::POST, "imports").body(body, "text/csv").send::<serde_json::Value>().await?;
    /// # assert_eq!(script.requests()[0].body, "a;b\n1;2\n");
    /// # Ok(()) }
    /// ```
    pub fn body(self, body: impl Into<Body>, content_type: impl AsRef<str>) -> Self {
        let body = body.into();
        match body.as_bytes() {
            Some(bytes) => self.bytes(bytes.clone(), content_type),
            None => self.with_body(RequestBody::stream(body), content_type),
        }
    }

    fn with_body(mut self, body: RequestBody, content_type: impl AsRef<str>) -> Self {
        self.request.set_body(Some(body));
        self.has_body_type = true;
        self.header(CONTENT_TYPE, content_type)
    }

    /// Sets the name of the operation in errors, events and spans, such as `list_attachments`. Default: `request`.
    pub fn named(mut self, name: &'static str) -> Self {
        self.request.set_name(name);
        self
    }

    /// Sets whether sending the request twice has the effect of sending it once. Only then does the client repeat it after its
    /// response was lost. Default: true for GET, HEAD, OPTIONS, PUT and DELETE, false for other methods.
    pub fn idempotent(mut self, idempotent: bool) -> Self {
        self.request.set_idempotent(idempotent);
        self
    }

    /// Sends this `Idempotency-Key` with every attempt, and repeats the request after its response was lost: for an endpoint at
    /// which the vendor recognizes a repeated request by the key, and does not apply it twice. None of the four vendors
    /// documents one.
    ///
    /// If the outcome stays unknown, the call fails with [`Error::OutcomeUnknown`]. The same request with the
    /// [same key](crate::CallError::idempotency_key) is safe to send later, and a [postponed](Postponed) call keeps its key. A key
    /// that is empty, or that no header can contain, is [`Error::InvalidRequest`].
    ///
    /// ```
    /// # use http::Method;
    /// # use serde_json::{Value, json};
    /// # use servicebay::testing::{Script, Step};
    /// use servicebay::IdempotencyKey;
    ///
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() -> Result<(), servicebay::Error> {
    /// # let script = Script::new([Step::dropped(), Step::json(201, json!({"id": 7}))]);
    /// # let credentials = servicebay::fixably::Credentials::bearer("test");
    /// # let builder = servicebay::fixably::Client::builder(credentials).with_tenant("acme");
    /// # let client = builder.with_transport(script.clone()).build()?;
    /// let payment = client.request(Method::POST, "orders/1/payments").json(&json!({"amount": 20}));
    /// // Store the key beside the job, so that a later run of it sends the same one.
    /// let key = IdempotencyKey::random();
    /// payment.idempotency_key(key).send::<Value>().await?;
    /// # let keys: Vec<_> = script.requests().iter().map(|request| request.headers["idempotency-key"].clone()).collect();
    /// # assert!(keys.len() == 2 && keys[0] == keys[1]);
    /// # Ok(()) }
    /// ```
    pub fn idempotency_key(mut self, key: impl Into<IdempotencyKey>) -> Self {
        self.request.set_keyed(true);
        self.request.client.options_mut().set_idempotency_key(&key.into());
        self
    }

    call_options! { request.client }

    /// Asks for a response only if it is not the version with this `ETag`, which an earlier response had
    /// ([`Response::etag`]). A server without support for this responds as if nothing had been asked.
    ///
    /// ```
    /// # use http::Method;
    /// # use serde_json::{Value, json};
    /// # use servicebay::testing::{Script, Step};
    /// use servicebay::Conditional;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), servicebay::Error> {
    /// # let script = Script::new([Step::json(200, json!([])).header("etag", "\"v1\""), Step::body(304, "text/plain", "")]);
    /// # let credentials = servicebay::fixably::Credentials::bearer("test");
    /// # let client = servicebay::fixably::Client::builder(credentials).with_tenant("acme").with_transport(script).build()?;
    /// let request = || client.request(Method::GET, "orders/1/attachments");
    /// let attachments = request().send::<Value>().await?;
    /// let etag = attachments.etag().expect("this server sends one").to_owned();
    /// // Later:
    /// match request().if_none_match(etag).send::<Value>().await? {
    ///     Conditional::Modified(attachments) => println!("{}", *attachments),
    ///     Conditional::NotModified(_) => println!("as before"),
    /// }
    /// # Ok(()) }
    /// ```
    pub fn if_none_match(self, etag: impl AsRef<str>) -> ConditionalRequest {
        let mut request = self.header(IF_NONE_MATCH, etag).request;
        request.set_conditional();
        ConditionalRequest { request }
    }

    /// Returns the request as it would be sent now, without sending it and without a secret: to look at, or to run with curl.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the path, the query, the body or a header is invalid.
    pub fn prepare(self) -> Result<PreparedRequest, Error> {
        self.request.into_prepared()
    }

    /// Sends the request and decodes the response as `T`. [`serde_json::Value`] fits every response.
    ///
    /// # Errors
    ///
    /// Returns an [`Error`] like every call; [`Error::InvalidRequest`] if the path or the query is invalid.
    pub async fn send<T: DeserializeOwned>(self) -> Result<Response<T>, Error> {
        self.request.send(decode::document).await
    }

    /// Sends the request and returns the body of the response as it is, decompressed: a PDF, an image, a CSV file. The response
    /// may have any media type, unless you set the header `Accept`. At most [`with_max_body`](Self::with_max_body) bytes are read.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_bytes(mut self) -> Result<Response<Bytes>, Error> {
        self.request.accept_any_type();
        self.request.send(decode::bytes).await
    }

    /// Reads the request as a list in pages of this type: the vendor's own with items of yours, such as
    /// `fixably::Page<Attachment>`, where `Attachment` implements `Deserialize` and `Default`: an item that cannot be read becomes the
    /// default one, so that positions stay correct. See [`RawList`]. For Fisikal, `Attachment` must implement
    /// `fisikal::ListItem`.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidRequest`] if the path, the query or a header is invalid, or if the query selects a page.
    pub fn list<P: RawPage>(self) -> Result<RawList<P>, Error> {
        RawList::new(self.request)
    }

    /// Sends the request, and returns the body of the response as a stream: a file of any size, to read chunk by chunk or to
    /// [save](Download::save). A download that breaks off is resumed where it stopped if the server can do that.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn download(mut self) -> Result<Download, Error> {
        self.request.accept_any_type();
        Download::start(self.request).await
    }

    /// Does what [`download`](Self::download) does, and blocks this thread until the head of the response is there. Not in async code:
    /// see [`blocking`](crate::blocking).
    ///
    /// # Errors
    ///
    /// As [`download`](Self::download); [`Error::InvalidRequest`] in an async task of tokio.
    #[cfg(feature = "blocking")]
    #[cfg_attr(docsrs, doc(cfg(feature = "blocking")))]
    pub fn download_blocking(self) -> Result<Download, Error> {
        crate::blocking::block_on(self.request.operation().id(), "download", self.download())
    }

    blocking_sends! { Response }
}

/// A request that names the version that the caller has. Made by [`RawRequest::if_none_match`].
#[derive(Debug)]
#[must_use = "a request does nothing until `send` is called"]
pub struct ConditionalRequest {
    request: Request,
}

impl ConditionalRequest {
    /// Sends the request, and decodes the response as `T` if there is a newer version.
    ///
    /// # Errors
    ///
    /// As [`RawRequest::send`].
    pub async fn send<T: DeserializeOwned>(self) -> Result<Conditional<T>, Error> {
        let response = self.request.send(decode::if_modified(decode::document)).await?;
        Ok(Conditional::of(response))
    }

    /// Sends the request, and returns the body of the response as it is if there is a newer version.
    ///
    /// # Errors
    ///
    /// As [`RawRequest::send`].
    pub async fn send_bytes(mut self) -> Result<Conditional<Bytes>, Error> {
        self.request.accept_any_type();
        let response = self.request.send(decode::if_modified(decode::bytes)).await?;
        Ok(Conditional::of(response))
    }

    blocking_sends! { Conditional }
}

/// The response to a [`ConditionalRequest`].
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "there is no third outcome")]
pub enum Conditional<T> {
    /// There is another version than the caller's.
    Modified(Response<T>),
    /// The caller has the current version.
    NotModified(Response<()>),
}

impl<T> Conditional<T> {
    fn of(response: Response<Option<T>>) -> Self {
        let (value, metadata) = response.into_parts();
        match value {
            Some(value) => Self::Modified(Response::from_parts(value, metadata)),
            None => Self::NotModified(Response::from_parts((), metadata)),
        }
    }

    /// The response with another version; `None` if the caller has the current one.
    pub fn modified(self) -> Option<Response<T>> {
        match self {
            Self::Modified(response) => Some(response),
            Self::NotModified(_) => None,
        }
    }
}

/// Checks that a path stays below the base URL, and strips its leading slash.
fn relative(path: &str) -> Result<&str, &'static str> {
    let path = path.strip_prefix('/').unwrap_or(path);
    if path.is_empty() || path.starts_with('/') || path.contains("://") {
        return Err("must be relative to the base URL, such as orders/1");
    }
    if path.contains(['?', '#', '\\']) || path.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err("must not contain a query, a fragment, a backslash or white space: set parameters with .query(..)");
    }
    let is_dots = |segment: &str| matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..");
    if path.split('/').any(is_dots) {
        return Err("must not contain the segments . and ..");
    }
    Ok(path)
}

fn operation(method: &Method) -> &'static Operation {
    static READ: Operation = Operation::new("request", Method::GET, "/").idempotent(true);
    static PUT: Operation = Operation::new("request", Method::PUT, "/").idempotent(true);
    static DELETE: Operation = Operation::new("request", Method::DELETE, "/").idempotent(true);
    static PATCH: Operation = Operation::new("request", Method::PATCH, "/");
    static OTHER: Operation = Operation::new("request", Method::POST, "/");
    match *method {
        Method::GET | Method::HEAD | Method::OPTIONS => &READ,
        Method::PUT => &PUT,
        Method::DELETE => &DELETE,
        Method::PATCH => &PATCH,
        _ => &OTHER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_below_the_base_url() {
        assert_eq!(relative("orders/1/anything"), Ok("orders/1/anything"));
        assert_eq!(relative("/orders"), Ok("orders"));
        for path in [
            "",
            "/",
            "//evil.com/x",
            "https://evil.com/x",
            "a/../../b",
            "a/%2E%2e/b",
            "./a",
            "a?b=c",
            "a#b",
            "a b",
            "a\\b",
        ] {
            assert!(relative(path).is_err(), "{path}");
        }
    }
}
