//! The options of the HTTP clients that need a server with TLS to be seen.

use http::Method;
use servicebay::{CallOptions, Error, HttpConfig, TlsBackend, fixably};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;

use crate::certificates::{Authority, Claims, HOST};
use crate::http1::{accept, read_request};
use crate::tls::{LIBRARIES, client, listen, serve};
use crate::{TOKEN, assert_not_sent, call, client_with, end, start, whole_text};

#[tokio::test]
async fn a_call_through_a_proxy_is_encrypted_from_end_to_end() {
    for &library in LIBRARIES {
        let authority = Authority::new();
        let (server, ..) = serve(authority.acceptor(Claims::VALID, &[])).await;
        let (listener, address) = listen().await;
        let proxying = tokio::spawn(async move {
            let mut inbound = accept(&listener).await;
            let head = read_request(&mut inbound).await.unwrap();
            let mut outbound = TcpStream::connect(server).await.unwrap();
            inbound.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            // Either end may close the connection without reading the end of TLS.
            let _ = copy_bidirectional(&mut inbound, &mut outbound).await;
            head
        });
        let http = HttpConfig::new()
            .with_tls_backend(library)
            .with_only_root_certificates(authority.pem())
            .with_proxy(format!("http://user:password@{address}"));
        // No DNS knows the host: the proxy has to.
        let client = client_with(&format!("https://{HOST}/api/v3"), CallOptions::new(), http);
        assert_eq!(call(&client, Method::POST, "through a proxy").await.unwrap(), Some(1), "{library:?}");
        drop(client);
        let head = proxying.await.unwrap();
        assert!(head.starts_with(&format!("CONNECT {HOST}:443 ")), "{library:?}: {head}");
        assert!(head.contains("Basic dXNlcjpwYXNzd29yZA=="), "{library:?}: {head}");
        assert!(!head.contains(TOKEN), "{library:?}: {head}");
    }
}

#[tokio::test]
async fn a_proxy_that_refuses_the_tunnel_gets_no_request() {
    for &library in LIBRARIES {
        let (listener, address) = listen().await;
        let http = HttpConfig::new().with_tls_backend(library).with_proxy(format!("http://{address}"));
        let client = client(address, &Authority::new(), CallOptions::new(), http);
        let post = start(&client, Method::POST, "secret");
        for _ in 0..3 {
            let mut stream = accept(&listener).await;
            let head = read_request(&mut stream).await.unwrap();
            assert!(head.starts_with("CONNECT ") && !head.contains(TOKEN), "{library:?}: {head}");
            assert!(!head.to_ascii_lowercase().contains("proxy-authorization"), "{library:?}: {head}");
            stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        }
        assert_not_sent(end(post).await, &format!("{library:?}"));
    }
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_that_of_the_client() {
    for &library in LIBRARIES {
        let authority = Authority::new();
        let (chain, key) = authority.client_certificate();
        let (address, _, requests) = serve(authority.acceptor_for_clients()).await;
        let http = HttpConfig::new().with_tls_backend(library);
        let with = |http: HttpConfig| client(address, &authority, CallOptions::new(), http);
        let known = with(http.clone().with_client_certificate(&chain, &key));
        assert_eq!(call(&known, Method::POST, "known").await.unwrap(), Some(1), "{library:?}");
        // One file may have both, in any order.
        let one_file = [key.as_str(), &chain].concat();
        let known = with(http.clone().with_client_certificate(&one_file, &one_file));
        assert_eq!(call(&known, Method::POST, "known").await.unwrap(), Some(1), "{library:?}");

        let (foreign_chain, foreign_key) = Authority::new().client_certificate();
        for stranger in [http.clone(), http.with_client_certificate(foreign_chain, foreign_key)] {
            let result = call(&with(stranger), Method::GET, "a stranger").await;
            assert!(result.is_err(), "{library:?}: {result:?}");
        }
        assert_eq!(requests.load(std::sync::atomic::Ordering::Relaxed), 2, "{library:?}");
    }
}

/// A client for the vendor's address, which is built and sends nothing.
fn build(http: HttpConfig) -> Result<fixably::Client, Error> {
    fixably::Client::builder(fixably::Credentials::bearer(TOKEN)).with_tenant("acme").with_http_config(http).build()
}

#[tokio::test]
async fn a_client_certificate_that_cannot_be_used_is_rejected_when_the_client_is_built() {
    let authority = Authority::new();
    let (chain, key) = authority.client_certificate();
    let (_, other_key) = authority.client_certificate();
    let garbage = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
    for &library in LIBRARIES {
        let http = || HttpConfig::new().with_tls_backend(library).with_only_root_certificates(authority.pem());
        build(http().with_client_certificate(&chain, &key)).unwrap();
        for (key, fault) in [(other_key.as_str(), "of another certificate"), (garbage, "that is none")] {
            let error = build(http().with_client_certificate(&chain, key)).unwrap_err();
            let shown = whole_text(&error);
            assert!(matches!(error, Error::Config(_)), "{library:?}, a key {fault}: {shown}");
            assert!(shown.contains("with_client_certificate: "), "{library:?}, a key {fault}: {shown}");
            let secret = key.lines().nth(1).unwrap();
            assert!(!shown.contains(secret), "{library:?}, a key {fault}: {shown}");
        }
        let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        let error = build(http().with_root_certificates(broken)).unwrap_err();
        assert!(
            whole_text(&error).contains("with_root_certificates: a certificate cannot be "),
            "{library:?}: {error}"
        );
    }
}

/// The two libraries read certificates as values of their own, and refuse those of the other.
#[tokio::test]
async fn rustls_is_used_if_both_libraries_are_there_unless_the_configuration_chooses() {
    let authority = Authority::new();
    let (chain, key) = authority.client_certificate();
    let http = HttpConfig::new().with_only_root_certificates(authority.pem());
    for rustls in [http.clone(), http.clone().with_tls_backend(TlsBackend::Rustls)] {
        build(rustls.with_client_certificate(&chain, &key)).unwrap();
    }
    let native = http.with_tls_backend(TlsBackend::Native);
    // rustls reads keys in this format.
    let older = key.replace("PRIVATE KEY", "EC PRIVATE KEY");
    let error = build(native.clone().with_client_certificate(&chain, older)).unwrap_err();
    if cfg!(feature = "native-tls") {
        build(native.with_client_certificate(&chain, &key)).unwrap();
        assert!(error.to_string().contains("`openssl pkcs8 -topk8 -nocrypt"), "{error}");
    } else {
        assert!(error.to_string().contains("turn on the feature `native-tls`"), "{error}");
    }
}

#[tokio::test]
async fn the_server_chooses_the_version_of_http_unless_the_configuration_does() {
    for &library in LIBRARIES {
        for (http, expected) in [
            (HttpConfig::new(), "h2"),
            (HttpConfig::new().with_http1_only(), "http/1.1"),
            (HttpConfig::new().with_http1_only().with_http2_prior_knowledge(), "h2"),
        ] {
            let authority = Authority::new();
            let acceptor = authority.acceptor(Claims::VALID, &["h2", "http/1.1"]);
            let (listener, address) = listen().await;
            let serving = tokio::spawn(async move {
                let mut stream = acceptor.accept(accept(&listener).await).await.unwrap();
                let chosen = stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned());
                let mut first = [0; 3];
                stream.read_exact(&mut first).await.unwrap();
                (chosen, first)
            });
            let shown = format!("{library:?}, {http:?}");
            let client = client(address, &authority, CallOptions::new(), http.with_tls_backend(library));
            let request = client.with_options(CallOptions::new().with_retry(servicebay::RetryPolicy::never()));
            // The server closes the connection instead of responding.
            let result = call(&request, Method::POST, "a version").await;
            assert!(result.is_err(), "{shown}: {result:?}");
            let (chosen, first) = serving.await.unwrap();
            assert_eq!(chosen.as_deref(), Some(expected), "{shown}");
            // The preface of HTTP/2 begins with `PRI`.
            assert_eq!(&first, if expected == "h2" { b"PRI" } else { b"POS" }, "{shown}");
        }
    }
}
