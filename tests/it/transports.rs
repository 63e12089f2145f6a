//! Transports of the user's own: middleware, gateways, and what their failures mean.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use futures_util::stream;
use http::{HeaderValue, Request, Response};
use serde_json::json;
use servicebay::testing::{Script, Step, fisikal as at_fisikal};
use servicebay::{Body, Error, HttpConfig, HttpTransport, RequestInfo, Transport, TransportError, fisikal, fixably};
use tokio::time::{Duration, Instant, sleep};

use crate::support::SECRET;

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Response<Body>, TransportError>> + Send + 'a>>;

/// Middleware that adds a header and records what it sees.
#[derive(Clone, Debug)]
struct Audit<T> {
    next: T,
    seen: Arc<Mutex<Vec<(String, bool)>>>,
}

impl<T> Audit<T> {
    fn before(next: T) -> Self {
        Self { next, seen: Arc::default() }
    }
}

impl<T: Transport> Transport for Audit<T> {
    fn send(&self, mut request: Request<Body>) -> Sending<'_> {
        let info = request.extensions().get::<RequestInfo>().unwrap();
        self.seen.lock().unwrap().push((info.operation().id().to_owned(), info.is_token_request()));
        request.headers_mut().insert("x-acting-user", HeaderValue::from_static("jane"));
        self.next.send(request)
    }

    fn next(&self) -> Option<&dyn Transport> {
        Some(&self.next)
    }
}

fn builder() -> servicebay::ClientBuilder<fixably::Client> {
    fixably::Client::builder(fixably::Credentials::bearer(SECRET)).with_tenant("acme")
}

#[tokio::test(start_paused = true)]
async fn middleware_sees_every_request_with_its_operation() {
    let server = at_fisikal::MockServer::builder().in_memory();
    let (user, password) = server.login(at_fisikal::Role::Manager);
    let (id, secret) = (at_fisikal::MockServer::CLIENT_ID, at_fisikal::MockServer::CLIENT_SECRET);
    let audit = Audit::before(server.clone());
    let client = fisikal::Client::builder(fisikal::Credentials::password(id, secret, user, password))
        .with_base_url(server.base_url())
        .with_transport(audit.clone())
        .build()
        .unwrap();
    client.get_location().id(1).send().await.unwrap();
    let seen = audit.seen.lock().unwrap().clone();
    let operations: Vec<_> = seen.iter().map(|(operation, is_token)| (operation.as_str(), *is_token)).collect();
    assert!(matches!(operations[..], [(_, true), ("get_location", false)]), "{operations:?}");
}

#[tokio::test(start_paused = true)]
async fn middleware_can_add_headers() {
    let script = Script::new([Step::json(200, json!({"id": 1}))]);
    let client = builder().with_transport(Audit::before(script.clone())).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    assert_eq!(script.requests()[0].headers["x-acting-user"], "jane");
}

#[tokio::test]
async fn middleware_before_http_works_on_real_sockets() {
    let server = at_fisikal::MockServer::start().await;
    let (user, password) = server.login(at_fisikal::Role::Manager);
    let (id, secret) = (at_fisikal::MockServer::CLIENT_ID, at_fisikal::MockServer::CLIENT_SECRET);
    let audit = Audit::before(HttpTransport::with_config(HttpConfig::new().with_http1_only()).unwrap());
    let client = fisikal::Client::builder(fisikal::Credentials::password(id, secret, user, password))
        .with_base_url(server.base_url())
        .with_transport(audit.clone())
        .build()
        .unwrap();
    for _ in 0..2 {
        client.get_location().id(1).send().await.unwrap();
    }
    assert_eq!(audit.seen.lock().unwrap().len(), 3);
}

/// A gateway that does what a function says.
struct Gateway<F>(F);

impl<F> std::fmt::Debug for Gateway<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Gateway")
    }
}

impl<F: Fn(u32) -> Sending<'static> + Send + Sync + 'static> Transport for Gateway<(F, std::sync::atomic::AtomicU32)> {
    fn send(&self, _: Request<Body>) -> Sending<'_> {
        let (respond, count) = &self.0;
        respond(count.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
    }
}

fn gateway(respond: impl Fn(u32) -> Sending<'static> + Send + Sync + 'static) -> impl Transport {
    Gateway((respond, std::sync::atomic::AtomicU32::new(0)))
}

fn order() -> Response<Body> {
    Response::builder().header("content-type", "application/json").body(r#"{"id": 1}"#.into()).unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_not_sent_is_repeated_and_one_that_may_have_arrived_is_not() {
    let create = |client: fixably::Client| async move {
        client.create_order().body(fixably::types::OrderCreate::new()).send().await.map(drop)
    };
    let fails_once = |error: fn() -> TransportError| {
        gateway(move |sent| Box::pin(async move { if sent == 0 { Err(error()) } else { Ok(order()) } }))
    };
    let client = |transport| builder().with_transport(transport).build().unwrap();
    create(client(fails_once(|| TransportError::not_sent("closed")))).await.unwrap();
    for error in [|| TransportError::broken("reset"), TransportError::timed_out] {
        let error = create(client(fails_once(error))).await.unwrap_err();
        assert!(matches!(error, Error::OutcomeUnknown(_)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_never_responds_is_left_when_the_time_is_over() {
    let client = builder()
        .with_attempt_timeout(Duration::from_secs(3))
        .with_retry(servicebay::RetryPolicy::never())
        .with_transport(gateway(|_| Box::pin(std::future::pending())))
        .build()
        .unwrap();
    let start = Instant::now();
    assert!(matches!(client.get_order().id(1).send().await.unwrap_err(), Error::Timeout(_)));
    assert_eq!(start.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_a_gateway_streams_is_bounded_in_size_and_time() {
    let endless = || {
        let pieces = stream::unfold((), |()| async {
            sleep(Duration::from_secs(1)).await;
            Some((Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 1000])), ()))
        });
        Response::builder().header("content-type", "application/json").body(Body::from_stream(pieces, None)).unwrap()
    };
    let client = |max_body| {
        builder()
            .with_max_body(max_body)
            .with_attempt_timeout(Duration::from_secs(20))
            .with_retry(servicebay::RetryPolicy::never())
            .with_transport(gateway(move |_| Box::pin(async move { Ok(endless()) })))
            .build()
            .unwrap()
    };
    let error = client(5000).get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    let error = client(1_000_000).get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn a_transport_of_ones_own_and_an_http_configuration_exclude_each_other() {
    let script = Script::new([Step::json(200, json!({}))]);
    let error = builder().with_http_config(HttpConfig::new()).with_transport(script).build().unwrap_err();
    assert!(error.to_string().contains("does not concern a transport of your own"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn middleware_learns_how_much_time_is_left() {
    #[derive(Debug)]
    struct TimeLeft(Arc<Mutex<Vec<Duration>>>);
    impl Transport for TimeLeft {
        fn send(&self, request: Request<Body>) -> Sending<'_> {
            self.0.lock().unwrap().push(request.extensions().get::<RequestInfo>().unwrap().time_left());
            Box::pin(async { Ok(order()) })
        }
    }
    let times = Arc::new(Mutex::new(Vec::new()));
    let builder = builder().with_attempt_timeout(Duration::from_secs(7));
    let client = builder.with_transport(TimeLeft(Arc::clone(&times))).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    assert_eq!(*times.lock().unwrap(), [Duration::from_secs(7)]);
}

#[test]
fn an_invalid_configuration_of_http_is_refused_at_once() {
    let error = HttpTransport::with_config(HttpConfig::new().with_proxy("not a URL")).unwrap_err();
    assert!(matches!(error, Error::Config(_)), "{error:?}");
}
