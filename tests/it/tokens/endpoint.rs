//! Rows A14 and A17: what a token request is sent for, how often, and what its outcome means.

use std::error::Error as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{Method, Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use servicebay::fentu::{Application, Scope};
use servicebay::testing::{Script, Step};
use tokio::time::{Instant, sleep};

use super::*;

const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// Responds to token requests with each of `tokens` in turn, the last one for ever, and to all others with an empty object.
fn server(tokens: impl IntoIterator<Item = Step>) -> Script {
    let tokens: Vec<Step> = tokens.into_iter().collect();
    let count = Arc::new(AtomicUsize::new(0));
    Script::new([Step::with(move |request: &Request<Bytes>| {
        if !is_token_request(request.uri().path()) {
            return Step::json(200, json!({}));
        }
        let number = count.fetch_add(1, Ordering::Relaxed);
        tokens[number.min(tokens.len() - 1)].clone()
    })
    .repeat()])
}

fn is_token_request(path: &str) -> bool {
    path.contains("/auth/") || path.contains("/oauth/") || path.contains("/sessions/")
}

/// How many token requests were sent.
fn token_requests(script: &Script) -> usize {
    script.requests().iter().filter(|request| is_token_request(request.uri.path())).count()
}

/// A client with an expired access token and a refresh token.
fn fentu_client(script: &Script) -> fentu::Client {
    let tokens =
        TokenSet::new("old-access").with_refresh_token("old-refresh").with_access_expires_at(LONG_AGO.parse().unwrap());
    let credentials = fentu::Credentials::oauth("application", "app-secret", tokens);
    fentu::Client::builder(credentials).with_tenant("acme").with_transport(script.clone()).build().unwrap()
}

fn fisikal_client(script: &Script) -> fisikal::Client {
    let credentials = fisikal::Credentials::password("application", "app-secret", "user", "password");
    fisikal::Client::builder(credentials).with_tenant("club").with_transport(script.clone()).build().unwrap()
}

fn session_client(script: &Script) -> fisikal::Client {
    let credentials = fisikal::Credentials::session("user@club.example", "password", ["manager"]);
    fisikal::Client::builder(credentials).with_tenant("club").with_transport(script.clone()).build().unwrap()
}

fn repairy_client(script: &Script) -> repairy::Client {
    let credentials = repairy::Credentials::app("app-key", "app-secret", "partner");
    let builder = repairy::Client::builder(credentials).with_base_url("https://partner.example");
    builder.with_transport(script.clone()).build().unwrap()
}

fn oauth_tokens() -> Value {
    json!({"access_token": "new-access", "refresh_token": "new-refresh", "expires_in": 3600})
}

/// The tokens of every vendor in one body.
fn granted() -> Step {
    let mut body = oauth_tokens();
    body["accessToken"] = "new-access".into();
    body["refreshToken"] = "new-refresh".into();
    body["identity"] = json!({"fisikal_token": "new-access"});
    Step::json(200, body)
}

/// A call whose response may be anything.
async fn call_fentu(client: &fentu::Client) -> Result<(), Error> {
    client.request(Method::GET, "things/1").send::<Value>().await.map(drop)
}

async fn call_fisikal(client: &fisikal::Client) -> Result<(), Error> {
    client.request(Method::GET, "things/1").send::<Value>().await.map(drop)
}

async fn call_repairy(client: &repairy::Client) -> Result<(), Error> {
    client.request(Method::GET, "things/1").send::<Value>().await.map(drop)
}

/// The first call of a client of each kind, over the same script.
async fn first_calls(script: impl Fn() -> Script) -> Vec<(&'static str, Result<(), Error>, Script)> {
    let mut outcomes = Vec::new();
    let (one, two, three, four) = (script(), script(), script(), script());
    outcomes.push(("fentu", call_fentu(&fentu_client(&one)).await, one));
    outcomes.push(("fisikal password", call_fisikal(&fisikal_client(&two)).await, two));
    outcomes.push(("fisikal session", call_fisikal(&session_client(&three)).await, three));
    outcomes.push(("repairy", call_repairy(&repairy_client(&four)).await, four));
    outcomes
}

// How often a request is sent.

fn outcomes_that_may_have_spent() -> Vec<Step> {
    vec![
        Step::dropped(),
        Step::truncated(),
        Step::status(408),
        Step::status(500),
        Step::status(502),
        Step::json(503, json!({"error": "temporarily_unavailable"})),
        Step::status(504),
        Step::json(400, json!({"error": "server_error"})),
        Step::body(403, "text/html", "<p>blocked</p>"),
        Step::body(200, "text/html", "<p>log in</p>"),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_refresh_token_is_presented_once_whatever_the_response() {
    for step in outcomes_that_may_have_spent() {
        let script = server([step.clone()]);
        call_fentu(&fentu_client(&script)).await.unwrap_err();
        assert_eq!(token_requests(&script), 1, "{step:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_was_not_sent_is_sent_again() {
    let script = server([Step::connect_error(), Step::connect_error(), granted()]);
    call_fentu(&fentu_client(&script)).await.unwrap();
    assert_eq!(token_requests(&script), 3);
}

#[tokio::test(start_paused = true)]
async fn a_code_is_presented_once_whatever_the_response() {
    for step in outcomes_that_may_have_spent() {
        let script = server([step.clone()]);
        exchange(&script, "").await.unwrap_err();
        assert_eq!(token_requests(&script), 1, "{step:?}");
    }
    let script = server([Step::connect_error(), granted()]);
    exchange(&script, "").await.unwrap();
    assert_eq!(token_requests(&script), 2);
}

/// Exchanges a code; `more` are further parameters of the redirect.
async fn exchange(script: &Script, more: &str) -> Result<TokenSet, Error> {
    let application = Application::builder("application", "app-secret").with_transport(script.clone()).build().unwrap();
    let login = application.authorize("http://127.0.0.1:4000/callback", [Scope::ReadAssets]).unwrap();
    let (_, state) = login.url().query_pairs().find(|(name, _)| name == "state").unwrap();
    application.exchange(&login, &format!("/callback?code=c0de-to-spend&state={state}{more}")).await
}

#[tokio::test(start_paused = true)]
async fn a_login_is_repeated_after_a_failure_and_not_after_a_refusal() {
    for (step, requests) in [
        (Step::status(500), 3),
        (Step::status(500).header("x-ratelimit-reset", "120"), 3),
        (Step::status(504), 3),
        (Step::dropped(), 3),
        (Step::status(503).header("retry-after", "5"), 1),
        (Step::body(403, "text/html", "<p>blocked</p>"), 1),
        (Step::json(400, json!({"error": "temporarily_unavailable"})), 1),
        (Step::status(429), 1),
    ] {
        let (script, started) = (server([step.clone()]), Instant::now());
        call_repairy(&repairy_client(&script)).await.unwrap_err();
        assert_eq!(token_requests(&script), requests, "{step:?}");
        assert_eq!(started.elapsed() > Duration::ZERO, requests > 1, "{step:?}: a pause precedes each repetition");
    }
}

// What passes, and what does not.

#[tokio::test(start_paused = true)]
async fn a_refusal_that_does_not_speak_of_the_credentials_passes() {
    for step in [
        Step::body(400, "text/plain", "Bad Request"),
        Step::status(401),
        Step::status(403),
        Step::json(403, json!({"message": "Forbidden"})),
        Step::json(401, json!({"message": "Unauthorized"})),
        Step::json(400, json!({"error": "temporarily_unavailable"})),
        Step::json(400, json!({"error": "server_error"})),
        Step::json(400, json!({"error": "slow_down"})),
        Step::json(404, json!({"error": "not_found"})),
        Step::body(403, "text/html", "<p>blocked</p>"),
        Step::body(410, "text/plain", "error code: 1020"),
        Step::body(403, "application/json", "\"Forbidden\""),
        Step::body(403, "application/json", "{\"error\": "),
        Step::status(307).header("location", "https://elsewhere.example/"),
    ] {
        let outcomes = first_calls(|| server([step.clone()])).await;
        for (client, outcome, _) in outcomes {
            let error = outcome.unwrap_err();
            assert!(matches!(error, Error::Api(_)), "{client}, {step:?}: {error:?}");
            assert!(error.is_retryable() && !error.is_auth(), "{client}, {step:?}: {error:?}");
        }
        let recovering = || server([step.clone(), granted()]);
        let (fisikal, session) = (fisikal_client(&recovering()), session_client(&recovering()));
        let repairy = repairy_client(&recovering());
        assert!(
            call_fisikal(&fisikal).await.is_err()
                && call_fisikal(&session).await.is_err()
                && call_repairy(&repairy).await.is_err()
        );
        sleep(31 * SECOND).await;
        call_fisikal(&fisikal).await.unwrap();
        call_fisikal(&session).await.unwrap();
        call_repairy(&repairy).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_code_of_rfc_6749_that_speaks_of_the_credentials_is_permanent() {
    for code in ["invalid_grant", "invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"] {
        for status in [400, 401, 403] {
            let step = Step::json(status, json!({"error": code, "error_description": "because", "message": "because"}));
            let script = server([step]);
            let (fentu, fisikal) = (fentu_client(&script), fisikal_client(&script));
            let (session, repairy) = (session_client(&script), repairy_client(&script));
            for error in [
                call_fentu(&fentu).await,
                call_fisikal(&fisikal).await,
                call_fisikal(&session).await,
                call_repairy(&repairy).await,
            ] {
                let error = error.unwrap_err();
                assert!(matches!(error, Error::ReauthRequired(_)), "{status} {code}: {error:?}");
                let call = error.call_error().unwrap();
                assert_eq!((call.code(), call.message()), (Some(code), Some("because")));
                assert!(!error.is_retryable());
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_vendors_own_shape_is_permanent_where_the_vendor_has_no_codes() {
    for status in [401, 403] {
        let script = server([Step::json(status, json!({"message": "The app key or the app secret is wrong."}))]);
        let error = call_repairy(&repairy_client(&script)).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{status}: {error:?}");
        assert_eq!(error.call_error().unwrap().message(), Some("The app key or the app secret is wrong."));
        let script = server([Step::json(status, json!({"errors": [{"on": null, "type": "invalid"}]}))]);
        let error = call_fisikal(&session_client(&script)).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{status}: {error:?}");
        let own = json!({"error": {"code": "unauthorized", "message": "The token is not valid."}});
        let error = call_fentu(&fentu_client(&server([Step::json(401, own)]))).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_success_that_reports_an_error_counts_as_400_and_keeps_its_words() {
    let body = json!({"error": "bad_refresh_token", "error_description": "The refresh token is incorrect or expired."});
    let script = server([Step::json(200, body)]);
    let client = fentu_client(&script);
    for _ in 0..3 {
        let error = call_fentu(&client).await.unwrap_err();
        assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
        let call = error.call_error().unwrap();
        assert_eq!(call.code(), Some("bad_refresh_token"));
        assert_eq!(call.message(), Some("The refresh token is incorrect or expired."));
        assert_eq!(call.status().unwrap().as_u16(), 200);
        sleep(60 * SECOND).await;
    }
    assert_eq!(token_requests(&script), 1);

    let passing = Step::json(200, json!({"error": "temporarily_unavailable"}));
    let error = call_fentu(&fentu_client(&server([passing]))).await.unwrap_err();
    assert!(matches!(error, Error::Api(_)), "{error:?}");
    // A token counts, whatever else is there.
    let mut body = oauth_tokens();
    body["error"] = "".into();
    body["errors"] = json!([]);
    call_fentu(&fentu_client(&server([Step::json(200, body.clone())]))).await.unwrap();
    body["error"] = "odd".into();
    call_fentu(&fentu_client(&server([Step::json(200, body)]))).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_failure_at_the_login_page_is_no_refusal() {
    let script = server([granted()]);
    let error = exchange(&script, "&error=access_denied").await.unwrap_err();
    assert!(matches!(error, Error::ReauthRequired(_)), "{error:?}");
    let error = exchange(&script, "&error=temporarily_unavailable&error_description=later").await.unwrap_err();
    assert!(matches!(error, Error::Api(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().message(), Some("later"));
    assert_eq!(token_requests(&script), 0);
}

// How successes are read.

#[tokio::test(start_paused = true)]
async fn tokens_are_read_by_the_shape_of_the_body_and_not_by_its_label() {
    let json = oauth_tokens().to_string();
    let bodies = [
        format!("\u{feff}{json}").into_bytes(),
        json.clone().into_bytes(),
        json.replace('}', r#", "name": "cut \ud83d"}"#).into_bytes(),
        [json.replace('}', r#", "name": ""#).as_bytes(), b"K\xf6ln\"}"].concat(),
        json.replace('}', ", \"n\": 1e999}").into_bytes(),
    ];
    for body in bodies {
        for content_type in ["application/json", "text/html; charset=utf-8", "text/plain", ""] {
            let script = server([Step::body(200, content_type, body.clone())]);
            call_fentu(&fentu_client(&script))
                .await
                .unwrap_or_else(|error| panic!("{content_type}: {body:?}: {error:?}"));
            let sent = script.requests().pop().unwrap();
            assert_eq!(sent.headers["authorization"], "Bearer new-access");
        }
    }
}

// What errors say.

#[tokio::test(start_paused = true)]
async fn an_error_names_the_token_request_and_not_the_call_that_waited_for_it() {
    for (client, outcome, _) in first_calls(|| server([Step::connect_error()])).await {
        let error = outcome.unwrap_err();
        let Error::Connect(call) = &error else { panic!("{client}: {error:?}") };
        assert!(is_token_request(call.url().path()), "{client}: {}", call.url());
        assert_eq!((call.attempts(), call.method().as_str()), (3, "POST"), "{client}");
        assert!(["refresh_token", "access_token", "log_in"].contains(&call.operation().id()), "{client}: {error}");
        assert!(call.request_body().is_empty(), "{client}");
        assert_eq!(error.source().unwrap().to_string(), "connection refused", "{client}");
        assert!(error.is_retryable() && !error.maybe_applied(), "{client}");
    }
}

#[tokio::test]
async fn the_causes_of_a_connection_that_does_not_open_can_be_told_apart() {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refused = unused.local_addr().unwrap();
    drop(unused);
    // It speaks no TLS.
    let plain = repairy_testing::MockServer::start().await;
    let plain = plain.base_url().replace("http:", "https:");
    let mut chains = Vec::new();
    for base_url in [format!("http://{refused}"), plain, "https://vendor.invalid".to_owned()] {
        let credentials = repairy::Credentials::app("app-key", "app-secret", "partner");
        let client = repairy::Client::builder(credentials).with_base_url(&base_url).build().unwrap();
        let error = call_repairy(&client).await.unwrap_err();
        let expected = match error.call_error().unwrap().is_unknown_host() {
            // Unless the machine has no network.
            true => "there is no host vendor.invalid: check the base URL".to_owned(),
            false => format!("no connection to the token endpoint {base_url}/auth/token"),
        };
        assert!(error.to_string().contains(&expected), "{error}");
        let mut chain = String::new();
        let mut next = error.source();
        while let Some(cause) = next {
            chain.push_str(&format!("{cause}; "));
            next = cause.source();
        }
        chains.push(chain);
    }
    assert!(chains[0].contains("refused"), "{chains:?}");
    assert!(!chains[1].is_empty() && chains[2].contains("dns"), "{chains:?}");
    assert!(chains[1..].iter().all(|chain| !chain.contains("refused")) && !chains[1].contains("dns"), "{chains:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wrong_base_url_is_said_with_the_url_that_was_tried() {
    for step in [Step::json(404, json!({"error": "not_found"})), Step::status(404), Step::body(404, "text/html", "<p>")]
    {
        for (client, outcome, _) in first_calls(|| server([step.clone()])).await {
            let error = outcome.unwrap_err();
            let Error::Api(call) = &error else { panic!("{client}: {error:?}") };
            let expected = format!("there is no token endpoint at {}; check the tenant and the base URL", call.url());
            assert!(error.to_string().contains(&expected), "{client}: {error}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_refuses_before_the_token_endpoint_is_said() {
    let blocked = || server([Step::body(403, "text/html", "<p>blocked</p>")]);
    for (client, outcome, _) in first_calls(blocked).await {
        let error = outcome.unwrap_err();
        let Error::Api(call) = &error else { panic!("{client}: {error:?}") };
        assert_eq!(call.status().unwrap().as_u16(), 403);
        assert!(error.to_string().contains("something before the token endpoint refused the request"), "{error}");
    }
}

// The limit of the token endpoint.

#[tokio::test(start_paused = true)]
async fn a_throttled_login_says_when_to_try_again() {
    let script = server([Step::status(429).header("retry-after", "120"), granted()]);
    let client = repairy_client(&script);
    let started = Timestamp::now();
    let error = call_repairy(&client).await.unwrap_err();
    let Error::RateLimited(limited) = &error else { panic!("{error:?}") };
    let wait = limited.resume_at().duration_since(started);
    assert!((120..=132).contains(&wait.as_secs()), "{wait:?}");
    assert!(error.is_retryable() && error.to_string().contains("/auth/token is asked too often"), "{error}");
    // It is the call that can be postponed, and not the token request.
    assert_eq!(limited.postpone().url().path(), "/things/1");
    sleep(60 * SECOND).await;
    let error = call_repairy(&client).await.unwrap_err();
    assert!(error.retry_after().unwrap() <= 72 * SECOND, "{error:?}");
    assert_eq!(token_requests(&script), 1);
    sleep(73 * SECOND).await;
    call_repairy(&client).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn two_hundred_tenants_share_the_pause_of_one_token_endpoint() {
    let script = server([Step::status(429).header("retry-after", "60"), granted()]);
    let clients: Vec<_> = (0..200).map(|_| repairy_client(&script)).collect();
    call_repairy(&clients[0]).await.unwrap_err();
    let errors = join_all(clients.iter().map(call_repairy)).await;
    let resumes: Vec<_> = errors
        .into_iter()
        .map(|error| match error.unwrap_err() {
            Error::RateLimited(limited) => limited.resume_at(),
            error => panic!("{error:?}"),
        })
        .collect();
    assert_eq!(token_requests(&script), 1);
    let (first, last) = (resumes.iter().min().unwrap(), resumes.iter().max().unwrap());
    let spread = last.duration_since(*first);
    assert!(spread > SignedDuration::from_secs(3) && spread <= SignedDuration::from_secs(6), "{spread:?}");
    sleep(67 * SECOND).await;
    for outcome in join_all(clients.iter().map(call_repairy)).await {
        outcome.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn every_form_of_retry_after_is_read_and_bounded() {
    let date = |seconds: i64| Timestamp::now().checked_add(SignedDuration::from_secs(seconds)).unwrap();
    let http_date = |at: Timestamp| at.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    for (header, value, expected) in [
        ("retry-after", "120".to_owned(), 119..=132),
        ("retry-after", http_date(date(120)), 117..=132),
        ("retry-after", date(120).to_string(), 117..=132),
        ("retry-after", date(120).as_second().to_string(), 117..=132),
        ("retry-after", "864000".to_owned(), 3599..=3630),
        ("retry-after", "0".to_owned(), 1..=1),
        ("retry-after", "soon".to_owned(), 29..=33),
        ("x-ratelimit-reset", "120".to_owned(), 119..=132),
        ("x-other", "1".to_owned(), 29..=33),
    ] {
        let script = server([Step::status(429).header(header, &value)]);
        let error = call_repairy(&repairy_client(&script)).await.unwrap_err();
        let wait = error.retry_after().unwrap().as_secs();
        assert!(expected.contains(&wait), "{header}: {value}: {wait}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_endpoint_puts_the_next_login_off_by_an_hour_at_most() {
    let script = server([Step::status(503).header("retry-after", "864000")]);
    let error = call_repairy(&repairy_client(&script)).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(HOUR));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_a_challenge_is_permanent() {
    for (challenge, is_permanent) in [(r#"Bearer error="invalid_grant""#, true), ("Bearer", false)] {
        let script = server([Step::status(401).header("www-authenticate", challenge)]);
        let error = call_fentu(&fentu_client(&script)).await.unwrap_err();
        assert_eq!(matches!(error, Error::ReauthRequired(_)), is_permanent, "{challenge}: {error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_id_that_repeats_a_secret_is_redacted() {
    let script = server([Step::status(400).header("x-request-id", "of-old-refresh")]);
    let error = call_fentu(&fentu_client(&script)).await.unwrap_err();
    assert_eq!(error.call_error().unwrap().request_id(), Some("of-[redacted]"));
}
