//! Serves a mock server over sockets, through wiremock.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue};
use wiremock::{Match, Mock, MockServer, Respond, ResponseTemplate};

use super::response::{Delivery, MockResponse};

/// The lowest priority of wiremock, so that a user's own mocks come first.
const PRIORITY: u8 = u8::MAX;

/// A mock server without a network: one request in, one response out.
pub(crate) trait Handler: Send + Sync + 'static {
    fn handle(&self, request: &Request<Bytes>) -> MockResponse;
}

/// Binds a server to a port of its own. wiremock's `MockServer::start` reuses servers from a pool, so two mock servers
/// of one process could get the same port one after the other, and a client that keeps a rate limit per address would
/// mix them up.
pub(super) async fn listen() -> MockServer {
    MockServer::builder().start().await
}

/// Lets a handler respond to all requests that no other mock of the server matches.
pub(super) async fn mount(server: &MockServer, handler: Arc<dyn Handler>) {
    let exchange = Arc::new(Exchange { handler, response: Mutex::new(None) });
    let reset = |_: &wiremock::Request| io::Error::from(io::ErrorKind::ConnectionReset);
    // The order matters: of two mocks with one priority, wiremock tries the one that was mounted first.
    Mock::given(IsDropped(Arc::clone(&exchange))).respond_with_err(reset).with_priority(PRIORITY).mount(server).await;
    Mock::given(wiremock::matchers::any())
        .respond_with(Responder(exchange))
        .with_priority(PRIORITY)
        .mount(server)
        .await;
}

/// The response between the two mocks of one handler.
///
/// wiremock chooses between a response and a broken connection by the mock that matches. So the matcher of the first
/// mock handles the request, and leaves the response for the responder of the second. wiremock handles one request at a
/// time, so no other request comes between the two.
struct Exchange {
    handler: Arc<dyn Handler>,
    response: Mutex<Option<MockResponse>>,
}

struct IsDropped(Arc<Exchange>);

impl Match for IsDropped {
    fn matches(&self, request: &wiremock::Request) -> bool {
        let response = self.0.handler.handle(&converted(request));
        let is_dropped = response.delivery == Delivery::Dropped;
        *self.0.response.lock().unwrap_or_else(PoisonError::into_inner) = (!is_dropped).then_some(response);
        is_dropped
    }
}

struct Responder(Arc<Exchange>);

impl Respond for Responder {
    fn respond(&self, _: &wiremock::Request) -> ResponseTemplate {
        let response = self.0.response.lock().unwrap_or_else(PoisonError::into_inner).take();
        template(&response.expect("the mock before this one has left a response"))
    }
}

fn converted(request: &wiremock::Request) -> Request<Bytes> {
    let mut converted = Request::new(Bytes::copy_from_slice(&request.body));
    *converted.method_mut() = request.method.clone();
    *converted.headers_mut() = request.headers.clone();
    let target = &request.url[url::Position::BeforePath..url::Position::AfterQuery];
    *converted.uri_mut() = target.parse().expect("a URL that wiremock accepted has a valid path and query");
    converted
}

fn template(response: &MockResponse) -> ResponseTemplate {
    let (delay, delivery, response) = (response.delay, response.delivery, &response.response);
    let mut headers = response.headers().clone();
    let mut body = response.body().to_vec();
    if delivery == Delivery::Truncated {
        // The space is intended. The server copies the header as it is, but its debug builds panic on a length that
        // contradicts the body if it parses as a number. The client trims the space and waits for the rest.
        let announced = format!("{} ", body.len());
        headers.insert(CONTENT_LENGTH, HeaderValue::from_str(&announced).expect("digits and a space"));
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
        body.truncate(body.len() / 2);
    }
    let mut template = ResponseTemplate::new(response.status()).set_body_bytes(body).set_delay(delay);
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

    /// Responds with a fixed text, delivered as the path asks.
    struct Fixed;

    impl Handler for Fixed {
        fn handle(&self, request: &Request<Bytes>) -> MockResponse {
            let mut response = MockResponse::new(Response::new(Bytes::from_static(b"a dozen bytes")));
            match request.uri().path() {
                "/dropped" => response.delivery = Delivery::Dropped,
                "/truncated" => response.delivery = Delivery::Truncated,
                "/late" => response.delay = Duration::from_millis(5),
                _ => {}
            }
            response
        }
    }

    async fn get(path: &str) -> reqwest::Result<String> {
        let server = listen().await;
        mount(&server, Arc::new(Fixed)).await;
        reqwest::get(format!("{}{path}", server.uri())).await?.text().await
    }

    #[tokio::test]
    async fn a_complete_response_arrives_with_and_without_a_delay() {
        for path in ["/", "/late"] {
            assert_eq!(get(path).await.expect("a response"), "a dozen bytes");
        }
    }

    #[tokio::test]
    async fn a_dropped_response_breaks_the_connection() {
        let error = get("/dropped").await.expect_err("no response");
        assert!(error.is_request(), "{error:?}");
    }

    #[tokio::test]
    async fn a_truncated_response_ends_inside_its_body() {
        let error = get("/truncated").await.expect_err("half a response");
        assert!(error.is_body() || error.is_decode(), "{error:?}");
    }

    #[tokio::test]
    async fn a_mock_of_the_user_comes_before_the_handler() {
        let server = listen().await;
        mount(&server, Arc::new(Fixed)).await;
        let own = ResponseTemplate::new(200).set_body_string("mine");
        Mock::given(wiremock::matchers::path("/mine")).respond_with(own).mount(&server).await;

        for (path, text) in [("/mine", "mine"), ("/other", "a dozen bytes")] {
            let response = reqwest::get(format!("{}{path}", server.uri())).await.expect("a response");
            assert_eq!(response.text().await.expect("a text"), text);
        }
    }
}
