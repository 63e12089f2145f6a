//! Faults: what a mock server does wrong, for which requests, and how often.

mod effect;
pub(crate) mod queue;
mod target;

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, LOCATION};
use serde_json::{Value, json};

use self::effect::Effect;
use self::target::Target;
use super::response::{self, MockResponse};

/// A failure that a mock server applies to the next request, or to the next few requests of one kind.
///
/// By default a fault applies once, to the next request. [`times`](Self::times) and [`always`](Self::always) change how
/// often, and [`on_operation`](Self::on_operation) limits it to one operation, [`on`](Self::on) to one method and path. If
/// several faults match a request, only the one that was added first applies.
///
/// Some faults *replace* the handling of the request: it arrives, and the server's state does not change. Others change
/// the response *after* the server has handled the request and changed its state. Each constructor says which it is.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), servicebay::Error> {
/// use servicebay::Error;
/// use servicebay::fixably::types::OrderCreate;
/// use servicebay::testing::Fault;
/// use servicebay::testing::fixably::MockServer;
///
/// let server = MockServer::start().await;
///
/// // The order is created, but the response is lost: the client must not retry, or there would be two orders.
/// server.fault(Fault::lost_response().on_operation("create_order"));
/// let created = server.client()?.create_order().body(OrderCreate::new().reference("WEB-7")).send().await;
///
/// assert!(matches!(created, Err(Error::OutcomeUnknown(_))));
/// assert_eq!(server.counters().operation("create_order"), 1);
/// assert_eq!(server.snapshot("orders?q=reference:WEB-7")["totalItems"], 1);
/// # Ok(())
/// # }
/// ```
///
/// Responses that a vendor might send one day, and that your integration should survive:
///
/// ```
/// use std::time::Duration;
///
/// use serde_json::json;
/// use servicebay::testing::Fault;
/// use servicebay::testing::fixably::MockServer;
///
/// let server = MockServer::builder().in_memory();
/// server.fault(Fault::field("internalLocation", json!("ORBIT")));       // an unknown enum value
/// server.fault(Fault::field("reference", json!(null)));                 // a null
/// server.fault(Fault::field("createdAt", json!("02.03.2026")));         // a date in another format
/// server.fault(Fault::field("total", json!("329.00")));                 // a number as a string
/// server.fault(Fault::extra_field("color", json!("blue")));            // an unknown field
/// server.fault(Fault::header("x-ratelimit-reset", "banana"));
/// server.fault(Fault::header("x-note", b"caf\xe9"));                    // bytes outside ASCII
/// server.fault(Fault::oversized(20 * 1024 * 1024).on("GET", "/products"));
/// server.fault(Fault::delay(Duration::from_secs(31)).always());
/// assert_eq!(server.pending_faults(), 9);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a fault applies only after `server.fault(...)`"]
pub struct Fault {
    effect: Effect,
    target: Option<Target>,
    skip: u32,
    /// `None` for no end.
    times: Option<u32>,
    delay: Duration,
    headers: Vec<(HeaderName, HeaderValue)>,
    removed: Vec<HeaderName>,
}

impl Fault {
    /// Responds with this status and an error body, instead of handling the request.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn status(code: u16) -> Self {
        Self::instead(code, "application/json", error_body(code))
    }

    /// Responds with 200 and a web page, instead of handling the request: a login form or a maintenance notice, as a
    /// proxy might send.
    pub fn html() -> Self {
        let page = "<!doctype html><html><head><title>Maintenance</title></head><body>Back soon</body></html>";
        Self::instead(200, "text/html; charset=utf-8", page)
    }

    /// Responds with 307 and this `Location`, instead of handling the request. A client must not send its token to
    /// another host.
    ///
    /// # Panics
    ///
    /// If the location has a line break or another control character.
    #[track_caller]
    pub fn redirect(location: impl AsRef<str>) -> Self {
        let mut fault = Self::instead(307, "", "");
        fault.headers.push((LOCATION, header_value(location.as_ref().as_bytes())));
        fault
    }

    /// Responds with this status and exactly these bytes as JSON, instead of handling the request.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn body(code: u16, body: impl Into<Bytes>) -> Self {
        Self::instead(code, "application/json", body)
    }

    /// Closes the connection instead of handling the request. The server's state does not change.
    pub fn dropped() -> Self {
        Self::new(Effect::Drop)
    }

    /// Handles the request and closes the connection. The server's state has changed, and the client cannot know it.
    pub fn lost_response() -> Self {
        Self::new(Effect::Lose)
    }

    /// Handles the request, and responds with this status and an error body. The server's state has changed, although
    /// the response says that the server failed.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), servicebay::Error> {
    /// use servicebay::Error;
    /// use servicebay::fixably::types::OrderCreate;
    /// use servicebay::testing::Fault;
    /// use servicebay::testing::fixably::MockServer;
    ///
    /// let server = MockServer::start().await;
    /// server.fault(Fault::status_after(500).on("POST", "/orders"));
    /// let created = server.client()?.create_order().body(OrderCreate::new().reference("WEB-8")).send().await;
    ///
    /// assert!(created.is_err_and(|error| error.maybe_applied()));
    /// assert_eq!(server.snapshot("orders?q=reference:WEB-8")["totalItems"], 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn status_after(code: u16) -> Self {
        Self::new(Effect::Replace(response::status_code(code), error_body(code).into()))
    }

    /// Handles the request, and sends these bytes before the body: a byte order mark, or the output of a proxy.
    ///
    /// ```
    /// use servicebay::testing::Fault;
    /// use servicebay::testing::fixably::MockServer;
    ///
    /// let server = MockServer::builder().in_memory();
    /// server.fault(Fault::body_prefix("\u{feff}").on("GET", "/orders"));
    /// server.fault(Fault::header("content-type", "text/html")); // the right body under a wrong label
    /// assert_eq!(server.pending_faults(), 2);
    /// ```
    pub fn body_prefix(prefix: impl Into<Bytes>) -> Self {
        Self::new(Effect::Prefix(prefix.into()))
    }

    /// Handles the request, and closes the connection halfway through the body.
    pub fn truncated() -> Self {
        Self::new(Effect::Truncate)
    }

    /// Handles the request, and responds with the right status and an empty body.
    pub fn empty() -> Self {
        Self::new(Effect::Empty)
    }

    /// Handles the request, and pads the body with spaces to this many bytes. It stays valid JSON.
    pub fn oversized(bytes: usize) -> Self {
        Self::new(Effect::Pad(bytes))
    }

    /// Handles the request, and delays the response. Over sockets this is real time; in memory it is tokio's time, so
    /// that a paused clock skips it.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Effect::Nothing).delayed(delay)
    }

    /// Handles the request, and overwrites every field of this name in the response: with a value of another type, an
    /// unknown enum value, a date in another format, or null.
    pub fn field(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(Effect::SetField(name.into(), value.into()))
    }

    /// Handles the request, and adds a field to every object in the response that has an `id`.
    pub fn extra_field(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(Effect::AddField(name.into(), value.into()))
    }

    /// Handles the request, and sets this header of the response. The value can be any bytes that a header can carry,
    /// text or not.
    ///
    /// # Panics
    ///
    /// If the name is not a header name, or the value has a line break or another control character.
    #[track_caller]
    pub fn header(name: &str, value: impl AsRef<[u8]>) -> Self {
        Self::new(Effect::Nothing).with_header(name, value)
    }

    /// Handles the request, and removes this header from the response.
    ///
    /// # Panics
    ///
    /// If the name is not a header name.
    #[track_caller]
    pub fn without_header(name: &str) -> Self {
        let mut fault = Self::new(Effect::Nothing);
        fault.removed.push(header_name(name));
        fault
    }

    /// Sets a header of the response of any other fault.
    ///
    /// # Panics
    ///
    /// If the name is not a header name, or the value has a line break or another control character.
    #[track_caller]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((header_name(name), header_value(value.as_ref())));
        self
    }

    /// Delays the response of any other fault. Over sockets, a dropped connection drops immediately all the same.
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Applies only to requests with this method and path, relative to the base URL. A segment in braces matches any
    /// segment: `/orders/{id}/notes`. The query string does not count.
    pub fn on(mut self, method: impl Into<String>, path: impl AsRef<str>) -> Self {
        self.target = Some(Target::path(method.into(), path.as_ref()));
        self
    }

    /// Applies only to requests for this operation, such as `create_booking`: the name of the client's method, which
    /// [counters](crate::testing::Counters) and [requests](crate::testing::RecordedRequest) use too. Requests for tokens
    /// are the operations `log_in` and `refresh` at Repairy, `token`, `revoke` and `authorize` at Fentu, and `token`,
    /// `revoke` and `log_in` (sessions) at Fisikal. Takes the place of [`on`](Self::on).
    ///
    /// [`fault`](crate::testing::repairy::MockServer::fault) panics if the server has no operation with this name, and lists
    /// similar ones:
    ///
    /// ```
    /// use servicebay::testing::Fault;
    /// use servicebay::testing::repairy::MockServer;
    ///
    /// let server = MockServer::builder().in_memory();
    /// server.fault(Fault::lost_response().on_operation("create_booking"));
    ///
    /// let misspelled = || server.fault(Fault::lost_response().on_operation("create_bookings"));
    /// assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(misspelled)).is_err());
    /// ```
    pub fn on_operation(mut self, operation: impl Into<String>) -> Self {
        self.target = Some(Target::Operation(operation.into()));
        self
    }

    /// Skips this many matching requests before it applies. Default 0.
    pub fn after(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Applies to this many requests. Default 1.
    pub fn times(mut self, requests: u32) -> Self {
        self.times = Some(requests);
        self
    }

    /// Applies to every request, until [`clear_faults`](crate::testing::fixably::MockServer::clear_faults).
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// Checks that the operations of a server include the one that this fault is limited to. The error is a sentence.
    pub(crate) fn check(&self, operations: &[&'static str]) -> Result<(), String> {
        self.target.as_ref().map_or(Ok(()), |target| target.check(operations))
    }

    /// Whether there is anything to apply.
    pub(crate) fn is_empty(&self) -> bool {
        self.times == Some(0)
    }

    /// Claims a request that matches: counts it as skipped, or returns true if the fault applies to it.
    pub(crate) fn claim(&mut self, method: &Method, path: &str, operation: Option<&str>) -> bool {
        if self.target.as_ref().is_some_and(|target| !target.matches(method, path, operation)) {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        true
    }

    /// Counts one application, and returns whether it was the last.
    pub(crate) fn use_once(&mut self) -> bool {
        match &mut self.times {
            Some(times) => {
                *times -= 1;
                *times == 0
            }
            None => false,
        }
    }

    /// The response that replaces the handling of the request, if this fault has one.
    pub(crate) fn replacement(&self) -> Option<MockResponse> {
        self.effect.replacement()
    }

    /// Changes a response, as the last step before it is sent.
    pub(crate) fn apply(&self, response: &mut MockResponse) {
        self.effect.apply(response);
        let headers = response.response.headers_mut();
        for name in &self.removed {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        // The HTTP server computes the length. One that contradicts the body would break the connection.
        headers.remove(CONTENT_LENGTH);
        response.delay = self.delay;
    }

    #[track_caller]
    fn instead(code: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(Effect::Respond { status: response::status_code(code), content_type, body: body.into() })
    }

    fn new(effect: Effect) -> Self {
        Self {
            effect,
            target: None,
            skip: 0,
            times: Some(1),
            delay: Duration::ZERO,
            headers: Vec::new(),
            removed: Vec::new(),
        }
    }
}

/// The body of an error response.
fn error_body(code: u16) -> String {
    json!({"status": code, "developerMessage": "A fault was injected into this request."}).to_string()
}

#[track_caller]
fn header_name(name: &str) -> HeaderName {
    match name.parse() {
        Ok(name) => name,
        Err(_) => panic!("{name:?} is not a header name"),
    }
}

#[track_caller]
fn header_value(value: &[u8]) -> HeaderValue {
    match HeaderValue::from_bytes(value) {
        Ok(value) => value,
        Err(_) => panic!("a header cannot carry {:?}", String::from_utf8_lossy(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(fault: &Fault) -> MockResponse {
        let handled = || MockResponse::new(response::json(http::StatusCode::OK, &json!({})));
        let mut response = fault.replacement().unwrap_or_else(handled);
        fault.apply(&mut response);
        response
    }

    #[test]
    fn a_header_may_carry_bytes_outside_ascii() {
        let response = applied(&Fault::header("x-note", b"caf\xe9"));
        assert_eq!(response.response.headers()["x-note"].as_bytes(), b"caf\xe9");
    }

    #[test]
    fn a_header_can_be_removed() {
        let response = applied(&Fault::without_header("content-type"));
        assert!(response.response.headers().is_empty(), "{response:?}");
    }

    #[test]
    fn a_redirect_has_its_location() {
        let response = applied(&Fault::redirect("https://elsewhere.invalid/"));
        assert_eq!(response.response.status(), 307);
        assert_eq!(response.response.headers()[LOCATION], "https://elsewhere.invalid/");
    }

    #[test]
    fn a_status_after_handling_has_no_replacement_and_an_error_body() {
        let fault = Fault::status_after(503);
        assert!(fault.replacement().is_none());
        let response = applied(&fault);
        assert_eq!(response.response.status(), 503);
        let body: Value = serde_json::from_slice(response.response.body()).expect("JSON");
        assert_eq!(body["status"], 503);
    }

    #[test]
    fn a_prefix_comes_before_the_body() {
        assert_eq!(applied(&Fault::body_prefix("\u{feff}")).response.body(), "\u{feff}{}");
    }

    #[test]
    fn a_web_page_has_status_200_and_is_not_json() {
        let response = applied(&Fault::html().delayed(Duration::from_secs(2)));
        assert_eq!(response.response.status(), 200);
        assert_eq!(response.response.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(response.delay, Duration::from_secs(2));
    }

    #[test]
    #[should_panic(expected = "\"two words\" is not a header name")]
    fn an_invalid_header_name_is_named_in_the_panic() {
        let _ = Fault::header("two words", "1");
    }
}
