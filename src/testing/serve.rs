//! Puts a tenant on real sockets, through wiremock.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use wiremock::{Match, Mock, MockServer, Respond, ResponseTemplate};

use super::reply::{Ending, Reply};

/// wiremock asks the mocks with the smallest number first, so a user's own, of any priority but this one, come before the tenant.
const LAST: u8 = u8::MAX;

/// A tenant without a wire: one request in, one reply out.
pub(crate) trait Answer: Send + Sync + 'static {
    fn answer(&self, request: &Request<Bytes>) -> Reply;
}

/// A server of its own. wiremock's `MockServer::start` would take one from a pool, and two tenants of one process could
/// get the same port one after the other; a client that remembers a tenant's limit by its address would mix them up.
pub(super) async fn listen() -> MockServer {
    MockServer::builder().start().await
}

/// Lets a tenant answer whatever no other mock of the server answers.
pub(super) async fn mount(server: &MockServer, tenant: Arc<dyn Answer>) {
    let desk = Arc::new(Desk { tenant, reply: Mutex::new(None) });
    let reset = |_: &wiremock::Request| io::Error::from(io::ErrorKind::ConnectionReset);
    // The order matters: of two mocks of one priority, wiremock asks the one that was mounted first.
    Mock::given(BreaksOff(Arc::clone(&desk))).respond_with_err(reset).with_priority(LAST).mount(server).await;
    Mock::given(wiremock::matchers::any()).respond_with(Speaks(desk)).with_priority(LAST).mount(server).await;
}

/// wiremock decides between a response and a broken connection by the mock that matches. So the first mock's matcher
/// gets the reply and leaves it for the second's responder. Nobody comes between them: wiremock handles one request at a
/// time.
struct Desk {
    tenant: Arc<dyn Answer>,
    reply: Mutex<Option<Reply>>,
}

struct BreaksOff(Arc<Desk>);

impl Match for BreaksOff {
    fn matches(&self, request: &wiremock::Request) -> bool {
        let reply = self.0.tenant.answer(&translated(request));
        let breaks = reply.ending == Ending::Dropped;
        *self.0.reply.lock().unwrap_or_else(PoisonError::into_inner) = (!breaks).then_some(reply);
        breaks
    }
}

struct Speaks(Arc<Desk>);

impl Respond for Speaks {
    fn respond(&self, _: &wiremock::Request) -> ResponseTemplate {
        let reply = self.0.reply.lock().unwrap_or_else(PoisonError::into_inner).take();
        template(&reply.expect("the mock mounted before this one has left a reply"))
    }
}

fn translated(request: &wiremock::Request) -> Request<Bytes> {
    let mut translated = Request::new(Bytes::copy_from_slice(&request.body));
    *translated.method_mut() = request.method.clone();
    *translated.headers_mut() = request.headers.clone();
    let target = &request.url[url::Position::BeforePath..url::Position::AfterQuery];
    *translated.uri_mut() = target.parse().expect("what the server took as a URL has a valid path and query");
    translated
}

fn template(reply: &Reply) -> ResponseTemplate {
    let (response, mut headers) = (&reply.response, reply.response.headers().clone());
    let mut body = response.body().to_vec();
    if reply.ending == Ending::Truncated {
        // The space is on purpose. The server copies the header as it is, and its debug builds panic on a length that
        // contradicts the body, but only on one that reads as a number; the client trims the space and waits for the rest.
        let promised = format!("{} ", body.len());
        headers.insert(CONTENT_LENGTH, HeaderValue::from_str(&promised).expect("digits and a space"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        body.truncate(body.len() / 2);
    }
    let mut template = ResponseTemplate::new(response.status()).set_body_bytes(body).set_delay(reply.delay);
    for (name, value) in &headers {
        template = template.append_header(name, value);
    }
    template
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Response;

    use super::*;

    /// Answers with its own text, in the way that the path asks for.
    struct Parrot;

    impl Answer for Parrot {
        fn answer(&self, request: &Request<Bytes>) -> Reply {
            let mut reply = Reply::new(Response::new(Bytes::from_static(b"a dozen bytes")));
            match request.uri().path() {
                "/dropped" => reply.ending = Ending::Dropped,
                "/truncated" => reply.ending = Ending::Truncated,
                "/late" => reply.delay = Duration::from_millis(5),
                _ => {}
            }
            reply
        }
    }

    async fn get(path: &str) -> reqwest::Result<String> {
        let server = listen().await;
        mount(&server, Arc::new(Parrot)).await;
        reqwest::get(format!("{}{path}", server.uri())).await?.text().await
    }

    #[tokio::test]
    async fn a_whole_reply_arrives_whole_late_or_not() {
        for path in ["/", "/late"] {
            assert_eq!(get(path).await.expect("an answer"), "a dozen bytes");
        }
    }

    #[tokio::test]
    async fn a_dropped_reply_breaks_the_connection() {
        let error = get("/dropped").await.expect_err("no answer");
        assert!(error.is_request(), "{error:?}");
    }

    #[tokio::test]
    async fn a_truncated_reply_begins_and_breaks_off_inside_its_body() {
        let error = get("/truncated").await.expect_err("half an answer");
        assert!(error.is_body() || error.is_decode(), "{error:?}");
    }

    #[tokio::test]
    async fn a_mock_of_the_user_is_asked_before_the_tenant() {
        let server = listen().await;
        mount(&server, Arc::new(Parrot)).await;
        let own = ResponseTemplate::new(200).set_body_string("mine");
        Mock::given(wiremock::matchers::path("/mine")).respond_with(own).mount(&server).await;

        for (path, text) in [("/mine", "mine"), ("/other", "a dozen bytes")] {
            let response = reqwest::get(format!("{}{path}", server.uri())).await.expect("an answer");
            assert_eq!(response.text().await.expect("a text"), text);
        }
    }
}
