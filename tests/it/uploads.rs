//! Uploads: files and streams as request bodies, and what can be sent again.

use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::Method;
use serde_json::{Value, json};
use servicebay::testing::{Script, Step};
use servicebay::{Body, Error, Multipart, Postponed, RawRequest, fixably};

use crate::folder::Folder;
use crate::support::builder;

fn client(script: &Script) -> fixably::Client {
    builder(script).build().unwrap()
}

fn put(script: &Script) -> RawRequest {
    client(script).request(Method::PUT, "orders/1/photo")
}

fn rows() -> Body {
    let rows = ["a;b\n", "1;2\n"].map(|row| Ok::<_, std::io::Error>(Bytes::from(row)));
    Body::from_stream(stream::iter(rows), Some(8))
}

fn created() -> Step {
    Step::json(201, json!({}))
}

#[tokio::test]
async fn a_file_is_read_anew_by_each_attempt() {
    let folder = Folder::new();
    let path = folder.path().join("front.jpg");
    let content: Vec<u8> = (0..200_000_u32).map(|byte| byte as u8).collect();
    std::fs::write(&path, &content).unwrap();
    let script = Script::new([Step::status(503), Step::dropped(), created()]);
    put(&script).file(&path, "image/jpeg").send::<Value>().await.unwrap();
    let requests = script.requests();
    assert_eq!(requests.len(), 3);
    for request in requests {
        assert!(request.body == content && request.headers["content-type"] == "image/jpeg", "{:?}", request.headers);
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_read_is_refused_before_anything_is_sent() {
    let folder = Folder::new();
    let script = Script::new([]);
    for path in [folder.path().join("missing.jpg"), folder.path().to_owned()] {
        for request in [
            put(&script).file(&path, "image/jpeg"),
            put(&script).multipart(Multipart::new().file_at("file", &path, "image/jpeg")),
        ] {
            let error = request.send::<Value>().await.unwrap_err();
            assert!(matches!(error, Error::InvalidRequest(_)), "{error:?}");
            assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        }
    }
}

#[tokio::test]
async fn a_file_that_changes_before_it_is_sent_is_not_sent() {
    let folder = Folder::new();
    let path = folder.path().join("front.jpg");
    std::fs::write(&path, "ten bytes!").unwrap();
    let script = Script::new([]);
    let request = put(&script).file(&path, "image/jpeg");
    std::fs::write(&path, "more than ten bytes").unwrap();
    let error = request.send::<Value>().await.unwrap_err();
    assert!(matches!(error, Error::InvalidRequest(_)) && script.requests().is_empty(), "{error:?}");
    assert!(error.to_string().contains("has another length than when it was chosen"), "{error}");
    let request = put(&script).file(&path, "image/jpeg");
    std::fs::remove_file(&path).unwrap();
    let error = request.send::<Value>().await.unwrap_err();
    assert!(matches!(error, Error::InvalidRequest(_)) && script.requests().is_empty(), "{error:?}");
}

#[tokio::test]
async fn a_form_holds_files_between_its_fields() {
    let folder = Folder::new();
    let path = folder.path().join("front.jpg");
    std::fs::write(&path, "JPEG").unwrap();
    let script = Script::new([created()]);
    let form = Multipart::new().text("title", "Before").file_at("file", &path, "image/jpeg").text("note", "x");
    assert_eq!(format!("{form:?}"), "[6 bytes, file of 4 bytes, 1 bytes]");
    put(&script).multipart(form).send::<Value>().await.unwrap();
    let request = &script.requests()[0];
    let boundary = request.headers["content-type"].to_str().unwrap().split_once("boundary=").unwrap().1;
    let expected = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"title\"\r\n\r\nBefore\r\n--{boundary}\r\n\
         Content-Disposition: form-data; name=\"file\"; filename=\"front.jpg\"\r\nContent-Type: image/jpeg\r\n\r\nJPEG\r\n\
         --{boundary}\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nx\r\n--{boundary}--\r\n"
    );
    assert_eq!(request.body, expected);
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_sent_once() {
    let script = Script::new([created()]);
    put(&script).body(rows(), "text/csv").send::<Value>().await.unwrap();
    assert_eq!(script.requests()[0].body, "a;b\n1;2\n");

    // Whatever happens after it was read, even to an idempotent call.
    for (step, kind) in [
        (Step::status(503), "server"),
        (Step::dropped(), "connect"),
        (Step::status(429), "rate_limited"),
        (Step::status(401), "unauthorized"),
    ] {
        let script = Script::new([step]);
        let error = put(&script).body(rows(), "text/csv").send::<Value>().await.unwrap_err();
        assert_eq!((error.kind(), script.requests().len()), (kind, 1), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_in_memory_is_no_stream() {
    let script = Script::new([Step::status(503), created()]);
    put(&script).body("a;b\n", "text/csv").send::<Value>().await.unwrap();
    assert_eq!(script.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_postponed_call_says_that_its_file_is_not_stored() {
    let script = Script::new([Step::status(429).header("retry-after", "3600")]);
    let client = client(&script);
    let request = client.request(Method::PUT, "imports").body(rows(), "text/csv").with_max_wait(Duration::ZERO);
    let Error::RateLimited(limited) = request.send::<Value>().await.unwrap_err() else { panic!("not limited") };
    let stored = serde_json::to_string(&limited.postpone()).unwrap();
    let postponed: Postponed = serde_json::from_str(&stored).unwrap();
    let error = client.resume(&postponed).send::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("had a file or a stream as its body"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_body_that_is_set_last_counts_with_its_media_type() {
    let script = Script::new([created(), created()]);
    put(&script).bytes("x", "image/png").json(&json!({"a": 1})).send::<Value>().await.unwrap();
    put(&script).json(&json!({"a": 1})).bytes("x", "image/png").send::<Value>().await.unwrap();
    let types: Vec<_> = script.requests().iter().map(|request| request.headers["content-type"].clone()).collect();
    assert_eq!(types, ["application/json", "image/png"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_stream_says_that_it_cannot_be_sent_again() {
    let script = Script::new([Step::status(429).header("retry-after", "1")]);
    let error = put(&script).body(rows(), "text/csv").send::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("its stream cannot be sent again: make the call anew"), "{error}");
}

#[tokio::test]
async fn a_prepared_upload_names_its_file() {
    let folder = Folder::new();
    let path = folder.path().join("it's.jpg");
    std::fs::write(&path, "JPEG").unwrap();
    let prepared = put(&Script::default()).file(&path, "image/jpeg").prepare().unwrap();
    let quoted = path.display().to_string().replace('\'', r"'\''");
    assert!(prepared.to_string().ends_with(&format!("--data-binary '@{quoted}'")), "{prepared}");
    assert!(prepared.body().is_empty());
    let prepared = put(&Script::default()).body(rows(), "text/csv").prepare().unwrap();
    assert!(prepared.to_string().ends_with("--data-binary @body"), "{prepared}");
}
