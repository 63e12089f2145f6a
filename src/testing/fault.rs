//! Faults to order: what a tenant does wrong, for which requests, and how often.

mod effect;
mod queue;

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderName, HeaderValue, LOCATION};
use serde_json::{Value, json};

use self::effect::Effect;
pub(crate) use self::queue::Faults;
use self::queue::Target;
use super::reply::{self, Reply};

/// Something that goes wrong with the next request, or with the next few of one kind.
///
/// A fault strikes once unless [`times`](Self::times) or [`always`](Self::always) says otherwise, and strikes every
/// request unless [`on`](Self::on) narrows it. Of several that fit a request, the one ordered first strikes, alone.
///
/// Some faults answer *instead of* the tenant: the request arrives and nothing comes of it. Others spoil the answer
/// *after* the tenant has handled the request, so that its state has changed. Each constructor says which it is.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), servicebay::Error> {
/// use servicebay::Error;
/// use servicebay::fixably::types::OrderCreate;
/// use servicebay::testing::Fault;
/// use servicebay::testing::fixably::MockServer;
///
/// let tenant = MockServer::start().await;
///
/// // The order is created, and the answer never arrives: the client must not try again, or there would be two.
/// tenant.fault(Fault::lost_response().on("POST", "/orders"));
/// let created = tenant.client()?.create_order().body(OrderCreate::new().reference("WEB-7")).send().await;
///
/// assert!(matches!(created, Err(Error::OutcomeUnknown(_))));
/// assert_eq!(tenant.counters().operation("create_order"), 1);
/// assert_eq!(tenant.snapshot("orders?q=reference:WEB-7")["totalItems"], 1);
/// # Ok(())
/// # }
/// ```
///
/// What a vendor might send one day, and what has to survive it:
///
/// ```
/// use std::time::Duration;
///
/// use serde_json::json;
/// use servicebay::testing::Fault;
/// use servicebay::testing::fixably::MockServer;
///
/// let tenant = MockServer::builder().in_memory();
/// tenant.fault(Fault::field("internalLocation", json!("ORBIT")));       // an unknown enum value
/// tenant.fault(Fault::field("reference", json!(null)));                 // a null
/// tenant.fault(Fault::field("createdAt", json!("02.03.2026")));         // a date in another format
/// tenant.fault(Fault::field("total", json!("329.00")));                 // a number as a string
/// tenant.fault(Fault::extra_field("colour", json!("blue")));            // a field nobody has seen
/// tenant.fault(Fault::header("x-ratelimit-reset", "banana"));
/// tenant.fault(Fault::header("x-note", b"caf\xe9"));                    // bytes outside ASCII
/// tenant.fault(Fault::oversized(20 * 1024 * 1024).on("GET", "/products"));
/// tenant.fault(Fault::delay(Duration::from_secs(31)).always());
/// assert_eq!(tenant.pending_faults(), 9);
/// ```
#[derive(Clone, Debug)]
#[must_use = "a fault does nothing until it is ordered: `tenant.fault(...)`"]
pub struct Fault {
    effect: Effect,
    target: Option<Target>,
    skip: u32,
    /// `None` for ever.
    times: Option<u32>,
    delay: Duration,
    headers: Vec<(HeaderName, HeaderValue)>,
    removed: Vec<HeaderName>,
}

impl Fault {
    /// Answers with this status and an error body, instead of handling the request.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn status(code: u16) -> Self {
        let body = json!({"status": code, "developerMessage": "A fault was ordered for this request."});
        Self::instead(code, "application/json", body.to_string())
    }

    /// Answers 200 with a web page, instead of handling the request: a login form or a maintenance notice, as proxies
    /// like to show them.
    pub fn html() -> Self {
        let page = "<!doctype html><html><head><title>Maintenance</title></head><body>Back soon</body></html>";
        Self::instead(200, "text/html; charset=utf-8", page)
    }

    /// Answers with 307 and this `Location`, instead of handling the request. A client must not carry its token to
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

    /// Answers with this status and these very bytes as JSON, instead of handling the request.
    ///
    /// # Panics
    ///
    /// If the number is not a status code (100 to 999).
    #[track_caller]
    pub fn body(code: u16, body: impl Into<Bytes>) -> Self {
        Self::instead(code, "application/json", body)
    }

    /// Closes the connection instead of handling the request: it arrived, and nothing came of it.
    pub fn dropped() -> Self {
        Self::new(Effect::Drop)
    }

    /// Closes the connection after handling the request: the state has changed, and the caller cannot know.
    pub fn lost_response() -> Self {
        Self::new(Effect::Lose)
    }

    /// Handles the request, announces the whole body and closes the connection halfway through it.
    pub fn truncated() -> Self {
        Self::new(Effect::Truncate)
    }

    /// Handles the request and answers with the right status and an empty body.
    pub fn empty() -> Self {
        Self::new(Effect::Empty)
    }

    /// Handles the request and fills its body up with spaces to this many bytes. It stays valid JSON.
    pub fn oversized(bytes: usize) -> Self {
        Self::new(Effect::Pad(bytes))
    }

    /// Handles the request and holds the answer back. Over sockets this is real time; in memory it is tokio's, so a
    /// paused clock makes it free.
    pub fn delay(delay: Duration) -> Self {
        Self::new(Effect::Nothing).delayed(delay)
    }

    /// Handles the request and overwrites the field of this name wherever it occurs in the answer, with any value: one
    /// of another type, an enum value that does not exist, a date in another format, null.
    pub fn field(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(Effect::SetField(name.into(), value.into()))
    }

    /// Handles the request and adds a field to every object of the answer that has an `id`.
    pub fn extra_field(name: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::new(Effect::AddField(name.into(), value.into()))
    }

    /// Handles the request and puts this header into the answer in place of what it had. The value may hold any bytes
    /// that a header can carry, text or not.
    ///
    /// # Panics
    ///
    /// If the name is not a header name, or the value has a line break or another control character.
    #[track_caller]
    pub fn header(name: &str, value: impl AsRef<[u8]>) -> Self {
        Self::new(Effect::Nothing).with_header(name, value)
    }

    /// Handles the request and takes this header out of the answer.
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

    /// Puts a header into the answer of any other fault.
    ///
    /// # Panics
    ///
    /// If the name is not a header name, or the value has a line break or another control character.
    #[track_caller]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((header_name(name), header_value(value.as_ref())));
        self
    }

    /// Holds the answer of any other fault back. A dropped connection drops at once all the same over sockets.
    pub fn delayed(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Strikes only requests with this method whose path, relative to the base URL, is this one. A segment in braces
    /// stands for any: `/orders/{id}/notes`. The query string does not count.
    pub fn on(mut self, method: impl Into<String>, path: impl AsRef<str>) -> Self {
        self.target = Some(Target::new(method.into(), path.as_ref()));
        self
    }

    /// Lets this many of the requests that it fits pass before it strikes. Default 0.
    pub fn after(mut self, requests: u32) -> Self {
        self.skip = requests;
        self
    }

    /// Strikes this many requests. Default 1.
    pub fn times(mut self, requests: u32) -> Self {
        self.times = Some(requests);
        self
    }

    /// Strikes every request, until [`clear_faults`](crate::testing::fixably::MockServer::clear_faults).
    pub fn always(mut self) -> Self {
        self.times = None;
        self
    }

    /// The reply that stands in for handling the request, if this fault has one.
    pub(crate) fn replacement(&self) -> Option<Reply> {
        self.effect.replacement()
    }

    /// Spoils a reply; the last thing that happens to it.
    pub(crate) fn spoil(&self, reply: &mut Reply) {
        self.effect.spoil(reply);
        let headers = reply.response.headers_mut();
        for name in &self.removed {
            headers.remove(name);
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        // The server computes the length; one that contradicts the body would break the connection instead.
        headers.remove(CONTENT_LENGTH);
        reply.delay = self.delay;
    }

    #[track_caller]
    fn instead(code: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self::new(Effect::Answer { status: reply::status(code), content_type, body: body.into() })
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

    fn spoiled(fault: &Fault) -> Reply {
        let handled = || Reply::new(reply::json(http::StatusCode::OK, &json!({})));
        let mut reply = fault.replacement().unwrap_or_else(handled);
        fault.spoil(&mut reply);
        reply
    }

    #[test]
    fn a_header_may_carry_bytes_outside_ascii() {
        let reply = spoiled(&Fault::header("x-note", b"caf\xe9"));
        assert_eq!(reply.response.headers()["x-note"].as_bytes(), b"caf\xe9");
    }

    #[test]
    fn a_header_can_be_taken_out() {
        let reply = spoiled(&Fault::without_header("content-type"));
        assert!(reply.response.headers().is_empty(), "{reply:?}");
    }

    #[test]
    fn a_redirect_names_its_target() {
        let reply = spoiled(&Fault::redirect("https://elsewhere.invalid/"));
        assert_eq!(reply.response.status(), 307);
        assert_eq!(reply.response.headers()[LOCATION], "https://elsewhere.invalid/");
    }

    #[test]
    fn a_page_is_not_json_though_its_status_is_fine() {
        let reply = spoiled(&Fault::html().delayed(Duration::from_secs(2)));
        assert_eq!(reply.response.status(), 200);
        assert_eq!(reply.response.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(reply.delay, Duration::from_secs(2));
    }

    #[test]
    #[should_panic(expected = "\"two words\" is not a header name")]
    fn a_name_that_is_no_header_is_named() {
        let _ = Fault::header("two words", "1");
    }
}
