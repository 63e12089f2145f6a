//! Bodies that are compressed, cut, damaged or without an end.

use std::fs;
use std::io::Write as _;

use flate2::write::GzEncoder;
use flate2::{Compress, Compression, Crc, FlushCompress};
use http::Method;
use servicebay::Error;
use tokio::io::AsyncWriteExt as _;

use crate::http1::{listen, object, read_request, response, serve_each};
use crate::{assert_outcome_unknown, call, client};

const MEBIBYTE: usize = 1024 * 1024;
const CHUNKED_GZIP: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n";

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn chunk(content: &[u8]) -> Vec<u8> {
    [format!("{:x}\r\n", content.len()).as_bytes(), content, b"\r\n"].concat()
}

/// The parts of a gzip stream of zeros: its head, a mebibyte of zeros, and its end after this number of them.
struct Zeros {
    head: &'static [u8],
    mebibyte: Vec<u8>,
}

impl Zeros {
    fn new() -> Self {
        let mut mebibyte = Vec::with_capacity(MEBIBYTE);
        // A full flush ends a block at a byte, and no later block refers to an earlier one.
        Compress::new(Compression::best(), false)
            .compress_vec(&[0; MEBIBYTE], &mut mebibyte, FlushCompress::Full)
            .unwrap();
        Self { head: b"\x1f\x8b\x08\0\0\0\0\0\0\xff", mebibyte }
    }

    fn end(&self, mebibytes: u32) -> Vec<u8> {
        let (mut one, mut all) = (Crc::new(), Crc::new());
        one.update(&[0; MEBIBYTE]);
        for _ in 0..mebibytes {
            all.combine(&one);
        }
        let length = mebibytes.wrapping_mul(MEBIBYTE as u32);
        // An empty last block, and what the stream holds.
        [&[3, 0][..], &all.sum().to_le_bytes(), &length.to_le_bytes()].concat()
    }
}

/// The most memory that this process has used so far, in bytes.
#[cfg(target_os = "linux")]
fn peak_memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let kibibytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.strip_suffix("kB")).unwrap();
    kibibytes.trim().parse::<usize>().unwrap() * 1024
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_gibibyte_of_zeros_that_arrives_as_a_mebibyte_is_too_large_and_takes_little_memory() {
    let (listener, url) = listen().await;
    let zeros = Zeros::new();
    assert!(zeros.mebibyte.len() < 2048, "{}", zeros.mebibyte.len());
    let before = peak_memory();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(CHUNKED_GZIP.as_bytes()).await.unwrap();
        stream.write_all(&chunk(zeros.head)).await.unwrap();
        let part = chunk(&zeros.mebibyte);
        for _ in 0..1024 {
            stream.write_all(&part).await.unwrap();
        }
        stream.write_all(&chunk(&zeros.end(1024))).await.unwrap();
        stream.write_all(b"0\r\n\r\n").await.unwrap();
    });
    let error = call(&client(&url), Method::GET, "bomb").await.unwrap_err();
    server.await.unwrap();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("larger than 16777216 bytes (it arrived as"), "{error}");
    assert!(error.to_string().contains("with_max_body"), "{error}");
    let taken = peak_memory() - before;
    assert!(taken < 128 * MEBIBYTE, "{taken}");
}

#[tokio::test]
async fn a_compressed_body_without_an_end_is_read_up_to_the_bound_and_no_further() {
    let (listener, url) = listen().await;
    let zeros = Zeros::new();
    let server = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        read_request(&mut stream).await.unwrap();
        stream.write_all(CHUNKED_GZIP.as_bytes()).await.unwrap();
        stream.write_all(&chunk(zeros.head)).await.unwrap();
        let part = chunk(&zeros.mebibyte.repeat(64));
        let mut written = 0;
        while stream.write_all(&part).await.is_ok() {
            written += part.len();
        }
        written
    });
    let error = call(&client(&url), Method::GET, "endless").await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("larger than 16777216 bytes (it does not say how large it is)"), "{error}");
    // What the sockets hold comes on top.
    let written = server.await.unwrap();
    assert!(written < 64 * MEBIBYTE, "{written}");
}

#[tokio::test]
async fn a_compressed_body_that_is_cut_is_an_error_that_says_so_and_is_not_asked_for_again() {
    let mut cut = gzip(br#"{"id": 20000010, "reference": "R-1"}"#);
    cut.truncate(cut.len() / 2);
    let whole = response("200 OK\r\ncontent-type: application/json\r\ncontent-encoding: gzip", &cut);
    let (url, requests) = serve_each(vec![whole.clone()]).await;
    let error = call(&client(&url), Method::GET, "cut").await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)), "{error:?}");
    assert!(error.to_string().contains("encoded as gzip, which cannot be read"), "{error}");
    assert_eq!(requests.await, 1);

    let (url, requests) = serve_each(vec![whole]).await;
    let error = call(&client(&url), Method::POST, "cut").await.unwrap_err();
    assert!(matches!(error, Error::Decode(_)) && error.maybe_applied(), "{error:?}");
    assert_eq!(requests.await, 1);
}

#[tokio::test]
async fn a_compressed_body_whose_connection_breaks_is_asked_for_again_if_the_call_is_a_get() {
    let content = gzip(br#"{"id": 1}"#);
    let broken = [CHUNKED_GZIP.as_bytes(), &chunk(&content[..content.len() / 2])].concat();
    let whole = [CHUNKED_GZIP.as_bytes(), &chunk(&content), b"0\r\n\r\n"].concat();
    let (url, requests) = serve_each(vec![broken.clone(), whole]).await;
    assert_eq!(call(&client(&url), Method::GET, "broken").await.unwrap(), Some(1));
    assert_eq!(requests.await, 2);

    let (url, requests) = serve_each(vec![broken]).await;
    let error = assert_outcome_unknown(call(&client(&url), Method::POST, "broken").await, "broken");
    assert_eq!(error.call_error().unwrap().status().map(|status| status.as_u16()), Some(200));
    assert_eq!(requests.await, 1);
}

#[tokio::test]
async fn a_body_that_is_said_to_be_compressed_and_is_not_is_read_as_it_is() {
    let content = br#"{"id": 1, "developerMessage": "No such order"}"#;
    let said = |status: &str| response(&format!("{status}\r\ncontent-encoding: gzip"), content);
    let (url, _requests) = serve_each(vec![said("200 OK")]).await;
    assert_eq!(call(&client(&url), Method::GET, "not compressed").await.unwrap(), Some(1));

    let (url, _requests) = serve_each(vec![said("404 Not Found")]).await;
    let error = call(&client(&url), Method::GET, "not compressed").await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
    assert_eq!(error.call_error().unwrap().message(), Some("No such order"), "{error:?}");
}

#[tokio::test]
async fn chunks_without_a_length_break_the_response() {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    for damaged in ["9\r\n{\"id\": 1}\r\nzz\r\n", "9\r\n{\"id\": 1}garbage\r\n0\r\n\r\n", "-1\r\n", ""] {
        let damaged = format!("{head}{damaged}").into_bytes();
        let (url, requests) = serve_each(vec![damaged.clone(), object(2)]).await;
        assert_eq!(call(&client(&url), Method::GET, "damaged").await.unwrap(), Some(2));
        assert_eq!(requests.await, 2);

        let (url, requests) = serve_each(vec![damaged]).await;
        assert_outcome_unknown(call(&client(&url), Method::POST, "damaged").await, "damaged");
        assert_eq!(requests.await, 1);
    }
}
