//! TLS: certificates that must not be accepted, handshakes that do not end, and connections that are cut.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::Method;
use servicebay::{CallOptions, HttpConfig, TlsBackend, fixably};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::certificates::{self, Authority, Claims, HOST};
use crate::http1::{accept, object, read_request};
use crate::{assert_not_sent, assert_outcome_unknown, call, client_with, end, pass, start, whole_text};

const TIMEOUT: Duration = Duration::from_secs(5);

/// The TLS libraries that the crate is built with.
pub(crate) const LIBRARIES: &[TlsBackend] = &[
    TlsBackend::Rustls,
    #[cfg(feature = "native-tls")]
    TlsBackend::Native,
];

pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A client that trusts this authority and no other.
pub(crate) fn client(
    address: SocketAddr,
    authority: &Authority,
    options: CallOptions,
    http: HttpConfig,
) -> fixably::Client {
    let base_url = format!("https://{HOST}:{}/api/v3", address.port());
    client_with(&base_url, options, authority.trusted_by(http))
}

/// A server that responds to one request per connection. Returns its address, and the counts of connections and of requests.
pub(crate) async fn serve(acceptor: TlsAcceptor) -> (SocketAddr, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (listener, address) = listen().await;
    let (connections, requests) = (Arc::new(AtomicUsize::default()), Arc::new(AtomicUsize::default()));
    let counts = (Arc::clone(&connections), Arc::clone(&requests));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            counts.0.fetch_add(1, Ordering::Relaxed);
            // A client that does not accept the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let Some(_) = read_request(&mut stream).await else { continue };
            counts.1.fetch_add(1, Ordering::Relaxed);
            stream.write_all(&object(1)).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    (address, connections, requests)
}

/// A case: what is wrong with the certificate, the TLS of the server, and the word of rustls for it.
fn bad_certificates(authority: &Authority) -> Vec<(&'static str, TlsAcceptor, &'static str)> {
    let with = |claims| authority.acceptor(claims, &[]);
    vec![
        ("signed by itself", certificates::self_signed(Claims::VALID), "UnknownIssuer"),
        // It has the name of the trusted one.
        ("of another authority", Authority::new().acceptor(Claims::VALID, &[]), "BadSignature"),
        ("for another host", with(Claims { host: "other.example", ..Claims::VALID }), "not valid for name"),
        ("expired", with(Claims { years_from_now: -10, ..Claims::VALID }), "expired"),
        ("of the future", with(Claims { years_from_now: 10, ..Claims::VALID }), "not valid yet"),
    ]
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_an_error_that_says_so_and_nothing_was_sent() {
    for &library in LIBRARIES {
        let http = HttpConfig::new().with_tls_backend(library);
        let authority = Authority::new();
        for (fault, acceptor, cause) in bad_certificates(&authority) {
            let (address, connections, requests) = serve(acceptor).await;
            let client = client(address, &authority, CallOptions::new(), http.clone());
            for (method, expected) in [(Method::POST, 3), (Method::GET, 6)] {
                let shown = format!("{library:?}, a certificate {fault}, {method}");
                let error = assert_not_sent(call(&client, method, "secret").await, &shown);
                assert!(error.to_string().contains("the server's certificate is not trusted"), "{shown}: {error}");
                let text = whole_text(&error);
                assert!(library != TlsBackend::Rustls || text.contains(cause), "{shown}: {text}");
                assert_eq!(error.call_error().unwrap().attempts(), 3, "{shown}");
                assert_eq!(connections.load(Ordering::Relaxed), expected, "{shown}");
            }
            assert_eq!(requests.load(Ordering::Relaxed), 0, "{library:?}, a certificate {fault}");
        }
    }
}

#[tokio::test]
async fn a_certificate_of_an_authority_that_the_configuration_adds_is_trusted() {
    for &library in LIBRARIES {
        let http = HttpConfig::new().with_tls_backend(library);
        let authority = Authority::new();
        let (address, ..) = serve(authority.acceptor(Claims::VALID, &[])).await;
        let only = client(address, &authority, CallOptions::new(), http.clone());
        let base_url = format!("https://{HOST}:{}/api/v3", address.port());
        // Beside the authorities of this machine, if it has any.
        let both = http.with_root_certificates(authority.pem()).with_host_addresses(HOST, [Ipv4Addr::LOCALHOST]);
        let too = client_with(&base_url, CallOptions::new(), both);
        for client in [only, too] {
            assert_eq!(call(&client, Method::POST, "trusted").await.unwrap(), Some(1), "{library:?}");
        }
    }
}

#[tokio::test]
async fn a_post_whose_handshake_stalls_is_sent_over_the_next_connection_and_once() {
    let authority = Authority::new();
    let acceptor = authority.acceptor(Claims::VALID, &[]);
    let (listener, address) = listen().await;
    let options = CallOptions::new().with_attempt_timeout(TIMEOUT);
    let client = client(address, &authority, options, HttpConfig::new());
    let post = start(&client, Method::POST, "once");
    let mut stalled = accept(&listener).await;
    // The server reads the client's greeting, and never responds to it.
    stalled.read_u8().await.unwrap();
    pass(TIMEOUT).await;
    let stream = accept(&listener).await;
    let mut stream = acceptor.accept(stream).await.unwrap();
    assert!(read_request(&mut stream).await.unwrap().contains("once"));
    stream.write_all(&object(1)).await.unwrap();
    assert_eq!(end(post).await.unwrap(), Some(1));
}

#[tokio::test]
async fn a_handshake_that_always_stalls_is_given_up_and_nothing_was_sent() {
    let authority = Authority::new();
    let (listener, address) = listen().await;
    let client = client(address, &authority, CallOptions::new().with_attempt_timeout(TIMEOUT), HttpConfig::new());
    let post = start(&client, Method::POST, "never");
    let mut stalled = Vec::new();
    for _ in 0..3 {
        let mut stream = accept(&listener).await;
        stream.read_u8().await.unwrap();
        stalled.push(stream);
        pass(TIMEOUT).await;
    }
    let error = assert_not_sent(end(post).await, "a stalled handshake");
    assert_eq!(error.call_error().unwrap().attempts(), 3);
}

#[tokio::test]
async fn a_server_without_tls_gets_no_request() {
    for &library in LIBRARIES {
        let http = HttpConfig::new().with_tls_backend(library);
        let authority = Authority::new();
        let (listener, address) = listen().await;
        let serving = tokio::spawn(async move {
            let mut greetings = Vec::new();
            for _ in 0..3 {
                let mut stream = accept(&listener).await;
                let mut greeting = [0; 1024];
                let length = stream.read(&mut greeting).await.unwrap();
                greetings.push(greeting[..length].to_vec());
                stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await.unwrap();
            }
            greetings
        });
        let client = client(address, &authority, CallOptions::new(), http.clone());
        let error = assert_not_sent(call(&client, Method::POST, "secret").await, &format!("{library:?}"));
        assert!(!error.to_string().contains("certificate"), "{library:?}: {error}");
        for greeting in serving.await.unwrap() {
            // The first byte of a TLS handshake.
            assert_eq!(greeting[0], 0x16, "{library:?}: {greeting:?}");
        }
    }
}

/// Without a length in the head, only the end of TLS tells a whole body from one that was cut. `native-tls` with
/// OpenSSL reports both as the end of the body, so this holds for rustls only.
#[tokio::test]
async fn a_connection_that_is_cut_without_the_end_of_tls_brings_no_whole_response() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n";
    for (method, connections) in [(Method::GET, 2), (Method::POST, 1)] {
        let authority = Authority::new();
        let acceptor = authority.acceptor(Claims::VALID, &[]);
        let (listener, address) = listen().await;
        let serving = tokio::spawn(async move {
            for number in 1..=connections {
                let stream = accept(&listener).await;
                let mut stream = acceptor.accept(stream).await.unwrap();
                read_request(&mut stream).await.unwrap();
                // A whole object each time, which may still be part of a larger text.
                stream.write_all(format!("{head}{{\"id\": {number}}}").as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
                if number == 2 {
                    stream.shutdown().await.unwrap();
                }
            }
        });
        let client = client(address, &authority, CallOptions::new(), HttpConfig::new());
        let result = call(&client, method.clone(), "cut").await;
        if method == Method::GET {
            assert_eq!(result.unwrap(), Some(2));
        } else {
            assert_outcome_unknown(result, "a connection that is cut");
        }
        serving.await.unwrap();
    }
}
