//! A program that brings its own crypto provider for rustls.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use rustls::crypto::ring;
use servicebay::{Error, RetryPolicy, fixably};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

/// The first byte of a TLS handshake.
const HANDSHAKE: u8 = 0x16;

fn build(base_url: &str) -> Result<fixably::Client, Error> {
    fixably::Client::builder(fixably::Credentials::bearer("token"))
        .with_base_url(base_url)
        .with_retry(RetryPolicy::never())
        .build()
}

/// One test, because a provider is installed for the whole process.
#[tokio::test]
async fn a_client_is_built_only_after_the_program_installed_a_crypto_provider() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let url = format!("https://{address}/api/v3");
    for url in [&url, "http://127.0.0.1:1/api/v3"] {
        match build(url).unwrap_err() {
            Error::Config(error) => {
                assert_eq!(error.field(), "http_config");
                let reason = error.reason();
                assert!(reason.contains("rustls has no crypto provider: install one"), "{reason}");
                assert!(reason.contains("`rustls::crypto::ring::default_provider().install_default()`"), "{reason}");
            }
            error => panic!("{url}: {error:?}"),
        }
    }

    ring::default_provider().install_default().unwrap();
    let client = build(&url).unwrap();
    let call = tokio::spawn(async move { client.get_order().id(1).send().await });
    let (mut stream, _) = listener.accept().await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), HANDSHAKE);
    drop(stream);
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
}
