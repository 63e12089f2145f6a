//! The options of the HTTP clients, as a server or a proxy on a real socket sees them.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use http::Method;
use servicebay::{ClientBuilder, Error, HttpConfig, RetryPolicy, fixably};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::connecting::{pass, start};
use super::{json, response, server};
use crate::support::SECRET;

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

fn builder(base_url: &str, config: HttpConfig) -> ClientBuilder<fixably::Client> {
    fixably::Client::builder(fixably::Credentials::bearer(SECRET))
        .with_base_url(base_url)
        .with_retry(RetryPolicy::never())
        .with_http_config(config)
}

/// A call to a proxy or a server that speaks no TLS, which therefore fails before the request is sent.
async fn failing_call(base_url: &str, config: HttpConfig) -> Error {
    let error = builder(base_url, config).build().unwrap().get_order().id(1).send().await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    error
}

/// A server that reads the first byte of one connection and closes it. Returns its address, and the byte.
async fn first_byte() -> (SocketAddr, impl Future<Output = u8>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let reading = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap()
    });
    (address, async { reading.await.unwrap() })
}

/// A listener to which no connection may be opened.
fn unused() -> std::net::TcpListener {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    listener
}

#[track_caller]
fn assert_unused(listener: &std::net::TcpListener) {
    let connection = listener.accept();
    assert!(connection.is_err(), "{connection:?}");
}

fn refusal() -> Vec<u8> {
    response("502 Bad Gateway", "")
}

#[cfg(all(feature = "repairy", feature = "rustls"))]
#[tokio::test]
async fn calls_and_token_requests_ask_the_proxy_for_a_tunnel_with_the_name_and_the_password() {
    use servicebay::repairy;

    let (url, seen) = server(vec![refusal(), refusal()]).await;
    let proxy = url.replace("http://", "http://user:p%40ss%2Fword@").replace("/api/v3", "");
    let http = HttpConfig::new().with_proxy(proxy);
    let error = failing_call("https://vendor.example/api/v3", http.clone()).await;
    let client = repairy::Client::builder(repairy::Credentials::app("key", SECRET, "partner"))
        .with_base_url("https://partner.example:8443")
        .with_retry(RetryPolicy::never())
        .with_http_config(http)
        .build()
        .unwrap();
    let token_error = client.get_booking().id("1").send().await.unwrap_err();
    for (request, target) in seen.await.iter().zip(["vendor.example:443", "partner.example:8443"]) {
        assert!(request.starts_with(&format!("CONNECT {target} HTTP/1.1\r\n")), "{request}");
        let name_and_password =
            request.lines().find_map(|line| line.to_ascii_lowercase().find("proxy-authorization: "));
        assert_eq!(name_and_password, Some(0), "{request}");
        // user:p@ss/word
        assert!(request.contains("Basic dXNlcjpwQHNzL3dvcmQ=\r\n"), "{request}");
        assert!(!request.contains(SECRET), "{request}");
    }
    let printed = format!("{error} {error:?} {token_error} {token_error:?} {client:?}");
    assert!(!printed.contains("ss/word") && !printed.contains("ss%2Fword") && !printed.contains("dXNlcj"), "{printed}");
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_host_that_bypasses_the_proxy_is_reached_directly() {
    for (host, bypass) in [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.0/8"),
        ("api.vendor.example", "Vendor.Example"),
        ("vendor.example", ".vendor.example"),
    ] {
        let proxy = unused();
        let (address, byte) = first_byte().await;
        let http = HttpConfig::new()
            .with_proxy(format!("http://{}", proxy.local_addr().unwrap()))
            .with_proxy_bypass(["other.example", bypass])
            .with_host_addresses("vendor.example", [Ipv4Addr::LOCALHOST])
            .with_host_addresses("api.vendor.example", [Ipv4Addr::LOCALHOST]);
        failing_call(&format!("https://{host}:{}/api/v3", address.port()), http).await;
        assert_eq!(byte.await, HANDSHAKE, "{bypass}");
        assert_unused(&proxy);
    }
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_host_that_only_looks_like_one_that_bypasses_the_proxy_goes_through_it() {
    for (host, bypass) in [("notvendor.example", "vendor.example"), ("vendor.example", "api.vendor.example")] {
        let (url, seen) = server(vec![refusal()]).await;
        let http = HttpConfig::new().with_proxy(url.replace("/api/v3", "")).with_proxy_bypass([bypass]);
        failing_call(&format!("https://{host}/api/v3"), http).await;
        assert!(seen.await[0].starts_with(&format!("CONNECT {host}:443 ")), "{bypass}");
    }
}

#[tokio::test]
async fn plain_http_to_this_machine_goes_through_no_proxy() {
    let proxy = unused();
    let (url, seen) = server(vec![json(r#"{"id": 1}"#)]).await;
    let http = HttpConfig::new().with_proxy(format!("http://{}", proxy.local_addr().unwrap()));
    builder(&url, http).build().unwrap().get_order().id(1).send().await.unwrap();
    assert_eq!(seen.await.len(), 1);
    assert_unused(&proxy);
}

#[tokio::test]
async fn plain_http_to_this_machine_goes_to_no_other_address() {
    // No connection is possible to it from this machine, so the call would fail.
    let other = Ipv4Addr::new(192, 0, 2, 1);
    let (url, seen) = server(vec![json(r#"{"id": 1}"#)]).await;
    let http = HttpConfig::new().with_host_addresses("localhost", [other]);
    let client = builder(&url.replace("127.0.0.1", "localhost"), http).build().unwrap();
    client.get_order().id(1).send().await.unwrap();
    assert_eq!(seen.await.len(), 1);
}

/// Runs itself in a process whose environment names a proxy.
#[cfg(feature = "rustls")]
#[tokio::test]
async fn the_proxy_of_the_environment_counts_unless_the_configuration_says_otherwise() {
    use std::env;
    use std::process::Command;

    const MARKER: &str = "SERVICEBAY_TEST_WITH_A_PROXY";
    if env::var_os(MARKER).is_none() {
        // One call asks it for a tunnel, and no other: the server closes after its first response.
        let (url, seen) = server(vec![refusal()]).await;
        let test =
            format!("{}::the_proxy_of_the_environment_counts_unless_the_configuration_says_otherwise", module_path!());
        let test = test.split_once("::").unwrap().1.to_owned();
        let process = tokio::task::spawn_blocking(move || {
            Command::new(env::current_exe().unwrap())
                .args([&test, "--exact", "--nocapture"])
                .env(MARKER, "1")
                .env("HTTPS_PROXY", url.replace("/api/v3", ""))
                .env_remove("NO_PROXY")
                .env_remove("no_proxy")
                .output()
                .unwrap()
        });
        let process = process.await.unwrap();
        let output =
            format!("{}{}", String::from_utf8_lossy(&process.stdout), String::from_utf8_lossy(&process.stderr));
        assert!(process.status.success() && output.contains("1 passed"), "{output}");
        assert!(seen.await[0].starts_with("CONNECT vendor.example:443 "));
        return;
    }
    failing_call("https://vendor.example/api/v3", HttpConfig::new().without_proxy().with_system_proxy()).await;

    let (address, byte) = first_byte().await;
    failing_call(&format!("https://{address}/api/v3"), HttpConfig::new().without_proxy()).await;
    assert_eq!(byte.await, HANDSHAKE, "no proxy");

    let (url, seen) = server(vec![refusal()]).await;
    let own = HttpConfig::new().with_proxy(url.replace("/api/v3", ""));
    failing_call("https://vendor.example/api/v3", own).await;
    assert!(seen.await[0].starts_with("CONNECT "), "a proxy of its own");
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_host_with_addresses_of_its_own_is_not_resolved() {
    let (address, byte) = first_byte().await;
    // Of two addresses for one host, the later call counts; the other one would refuse the connection.
    let http = HttpConfig::new()
        .with_host_addresses("vendor.example", [Ipv4Addr::new(127, 0, 0, 9)])
        .with_host_addresses("Vendor.Example", [Ipv4Addr::LOCALHOST]);
    failing_call(&format!("https://vendor.example:{}/api/v3", address.port()), http).await;
    assert_eq!(byte.await, HANDSHAKE);
}

#[cfg(feature = "rustls")]
#[tokio::test]
async fn a_connection_that_does_not_open_is_given_up_after_the_connect_timeout_and_at_most_10_seconds() {
    const MOMENT: Duration = Duration::from_millis(500);
    for (timeout, expected) in [(2, 2), (60, 10)] {
        let (timeout, expected) = (Duration::from_secs(timeout), Duration::from_secs(expected));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/api/v3", listener.local_addr().unwrap());
        let client = builder(&url, HttpConfig::new().with_connect_timeout(timeout)).build().unwrap();
        let call = start(&client, &Method::POST, true);
        let (_stalled, _) = listener.accept().await.unwrap();
        pass(expected - MOMENT).await;
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert!(!call.is_finished(), "{timeout:?}");
        pass(MOMENT).await;
        let error = call.await.unwrap();
        assert!(matches!(error, Error::Connect(_)) && !error.maybe_applied(), "{timeout:?}: {error:?}");
    }
}

/// Responds to one request for each of these connections. Returns the base URL, and the addresses of the clients.
#[cfg(target_os = "linux")]
async fn record_clients(responses: Vec<Vec<u8>>) -> (String, impl Future<Output = Vec<SocketAddr>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/v3", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut clients = Vec::new();
        for response in responses {
            let (mut stream, client) = listener.accept().await.unwrap();
            super::request(&mut stream).await;
            stream.write_all(&response).await.unwrap();
            stream.shutdown().await.unwrap();
            clients.push(client);
        }
        clients
    });
    (url, async { serving.await.unwrap() })
}

/// Other systems have one loopback address only.
#[cfg(all(target_os = "linux", feature = "repairy"))]
#[tokio::test]
async fn connections_for_calls_and_for_tokens_are_opened_from_the_local_address() {
    use servicebay::repairy;

    let local = Ipv4Addr::new(127, 0, 0, 2);
    let tokens = r#"{"accessToken": "new", "refreshToken": "new", "expiresIn": 3600}"#;
    let (url, clients) = record_clients(vec![json(tokens), json("{}")]).await;
    let client = repairy::Client::builder(repairy::Credentials::app("key", SECRET, "partner"))
        .with_base_url(url)
        .with_http_config(HttpConfig::new().with_local_address(local))
        .build()
        .unwrap();
    // What the call returns does not matter.
    let _ = client.get_booking().id("1").send().await;
    let addresses: Vec<_> = clients.await.iter().map(SocketAddr::ip).collect();
    assert_eq!(addresses, [local, local]);
}

/// The seconds until the operating system asks the other end of a connection for a sign of life, as Linux reports them for
/// the end at this address.
#[cfg(target_os = "linux")]
fn keep_alive_timer(address: SocketAddr) -> Option<u64> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let local = format!(":{:04X}", address.port());
    let mut fields = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let established = fields.find(|fields| fields[1].ends_with(&local) && fields[3] == "01")?;
    let (kind, hundredths) = established[5].split_once(':')?;
    (kind == "02").then(|| u64::from_str_radix(hundredths, 16).unwrap() / 100)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn tcp_keep_alive_starts_after_the_idle_time_that_was_set() {
    for (http, expected) in
        [(HttpConfig::new(), 10..=15), (HttpConfig::new().with_tcp_keep_alive(Duration::from_secs(7200)), 7190..=7200)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = builder(&format!("http://{}/api/v3", listener.local_addr().unwrap()), http).build().unwrap();
        let call = start(&client, &Method::POST, true);
        let (mut stream, address) = listener.accept().await.unwrap();
        super::request(&mut stream).await;
        // Until the request is acknowledged, the timer of the connection is that of repeating it.
        let mut seconds = None;
        for _ in 0..1000 {
            seconds = keep_alive_timer(address);
            if seconds.is_some() {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert!(seconds.is_some_and(|seconds| expected.contains(&seconds)), "{expected:?}: {seconds:?}");
        drop(stream);
        call.await.unwrap();
    }
}

/// Reads a request, responds to it and keeps the connection open.
async fn serve_one(stream: &mut TcpStream) {
    super::request(stream).await;
    let body = r#"{"id": 1}"#;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
}

#[tokio::test]
async fn no_idle_connection_is_kept_if_the_pool_may_have_none() {
    let second = Duration::from_secs(1);
    for (http, is_reused) in [
        (HttpConfig::new().with_pool_max_idle(1), true),
        (HttpConfig::new().with_pool_max_idle(0), false),
        (HttpConfig::new().with_pool_idle_timeout(second * 60), true),
        (HttpConfig::new().with_pool_idle_timeout(second * 5), false),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let shown = format!("{http:?}");
        let client = builder(&format!("http://{}/api/v3", listener.local_addr().unwrap()), http).build().unwrap();
        let call = || {
            let client = client.clone();
            tokio::spawn(async move { client.get_order().id(1).send().await.map(|_| ()) })
        };
        let first = call();
        let (mut stream, _) = listener.accept().await.unwrap();
        serve_one(&mut stream).await;
        first.await.unwrap().unwrap();
        // The connection goes back to the pool.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        pass(second * 6).await;
        let again = call();
        if is_reused {
            serve_one(&mut stream).await;
        } else {
            let (mut other, _) = listener.accept().await.unwrap();
            serve_one(&mut other).await;
        }
        let again = tokio::time::timeout(second * 20, again).await.unwrap_or_else(|_| panic!("{shown}"));
        again.unwrap().unwrap();
    }
}
