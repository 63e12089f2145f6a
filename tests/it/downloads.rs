//! Downloads: pieces, files, and going on after a connection broke.

use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use futures_util::TryStreamExt as _;
use http::Method;
use servicebay::testing::{Script, Step};
use servicebay::{Body, Download, Error, RetryPolicy, Transport, TransportError, fixably};
use tokio::time::Instant;

use crate::folder::Folder;
use crate::support::{SECRET, builder};

const FILE: &str = "0123456789";

fn client(script: &Script) -> fixably::Client {
    builder(script).build().unwrap()
}

async fn download(script: &Script) -> Result<Download, Error> {
    client(script).request(Method::GET, "orders/1/invoice.pdf").named("get_invoice").download().await
}

/// The whole file, with its length.
fn whole() -> Step {
    Step::body(200, "application/pdf", FILE).header("content-length", "10")
}

fn version(step: Step) -> Step {
    step.header("etag", "\"v1\"")
}

/// The rest of the file from this byte on.
fn rest(from: usize) -> Step {
    let range = format!("bytes {from}-9/10");
    version(Step::body(206, "application/pdf", Bytes::copy_from_slice(&FILE.as_bytes()[from..])))
        .header("content-range", range)
}

async fn read(mut download: Download) -> Result<(String, Download), Error> {
    let mut text = String::new();
    while let Some(chunk) = download.chunk().await? {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
    }
    Ok((text, download))
}

#[tokio::test(start_paused = true)]
async fn a_download_tells_what_it_is_and_is_asked_for_as_it_is() {
    let script = Script::new([whole().header("content-disposition", "attachment; filename=\"../invoice 1.pdf\"")]);
    let invoice = download(&script).await.unwrap();
    assert_eq!((invoice.length(), invoice.content_type()), (Some(10), Some("application/pdf")));
    assert_eq!(invoice.file_name().as_deref(), Some("invoice 1.pdf"));
    assert_eq!(invoice.response().status(), 200);
    let (text, invoice) = read(invoice).await.unwrap();
    assert_eq!((text.as_str(), invoice.received(), invoice.resumed()), (FILE, 10, 0));
    let request = &script.requests()[0];
    assert!(request.headers["accept"] == "*/*" && request.headers["accept-encoding"] == "identity", "{request:?}");
}

#[tokio::test(start_paused = true)]
async fn the_bound_on_bodies_in_memory_does_not_concern_a_download() {
    let script = Script::new([whole()]);
    let request = client(&script).request(Method::GET, "a").with_max_body(1).download();
    assert_eq!(read(request.await.unwrap()).await.unwrap().0, FILE);
}

#[tokio::test(start_paused = true)]
async fn a_download_goes_on_where_it_broke_off() {
    let script = Script::new([version(whole()).cut_after(4), rest(4).cut_after(2), Step::dropped(), rest(6)]);
    let (text, invoice) = read(download(&script).await.unwrap()).await.unwrap();
    assert_eq!((text.as_str(), invoice.resumed()), (FILE, 2));
    let requests = script.requests();
    let ranges: Vec<_> = requests[1..].iter().map(|request| request.headers["range"].to_str().unwrap()).collect();
    assert_eq!(ranges, ["bytes=4-", "bytes=6-", "bytes=6-"]);
    assert!(requests[1..].iter().all(|request| request.headers["if-range"] == "\"v1\""));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_sends_the_whole_file_again_costs_time_alone() {
    let script = Script::new([version(whole()).cut_after(4), version(whole()).cut_after(3), version(whole())]);
    let (text, invoice) = read(download(&script).await.unwrap()).await.unwrap();
    assert_eq!((text.as_str(), invoice.received(), invoice.resumed()), (FILE, 10, 2));
}

#[tokio::test(start_paused = true)]
async fn nothing_is_asked_for_in_part_before_anything_arrived() {
    let script = Script::new([version(whole()).cut_after(0), version(whole())]);
    let (text, _) = read(download(&script).await.unwrap()).await.unwrap();
    assert_eq!(text, FILE);
    assert!(!script.requests()[1].headers.contains_key("range"));
}

#[tokio::test(start_paused = true)]
async fn the_parts_of_two_versions_are_never_joined() {
    for second in [
        whole().header("etag", "\"v2\""),
        whole(),
        version(Step::body(206, "application/pdf", "56789")).header("content-range", "bytes 5-9/10"),
        version(Step::body(206, "application/pdf", "456789!")).header("content-range", "bytes 4-10/11"),
        Step::body(206, "application/pdf", "456789").header("content-range", "bytes 4-9/10"),
        Step::body(206, "application/pdf", "456789").header("content-range", "bytes 4-9/10").header("etag", "\"v2\""),
        version(Step::body(200, "application/pdf", "01234567")).header("content-length", "8"),
        version(Step::body(206, "application/pdf", "456789")),
        rest(4).header("content-encoding", "gzip"),
        version(Step::status(204)),
    ] {
        let script = Script::new([version(whole()).cut_after(4), second]);
        let error = read(download(&script).await.unwrap()).await.unwrap_err();
        let Error::Decode(decode) = &error else { panic!("{error:?}") };
        assert_eq!(decode.operation().id(), "get_invoice");
        assert!(error.to_string().contains("start again"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_shorter_than_asked_for_is_continued_and_one_that_is_longer_than_the_file_is_refused() {
    let short = version(Step::body(206, "application/pdf", "45")).header("content-range", "bytes 4-5/10");
    let script = Script::new([version(whole()).cut_after(4), short, rest(6)]);
    assert_eq!(read(download(&script).await.unwrap()).await.unwrap().0, FILE);
    let long = version(Step::body(206, "application/pdf", "456789!!!")).header("content-range", "bytes 4-9/10");
    let script = Script::new([version(whole()).cut_after(4), long]);
    let error = read(download(&script).await.unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("longer than the length that the server announced"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn a_part_that_was_not_asked_for_is_no_file() {
    for part in [rest(4), version(Step::body(206, "application/pdf", FILE))] {
        let error = download(&Script::new([part])).await.unwrap_err();
        assert!(matches!(error, Error::Decode(_)) && error.to_string().contains("sent a part of the file"), "{error}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_is_saved_through_a_link_and_never_in_place_of_a_device() {
    let folder = Folder::new();
    let (link, file, socket) = (folder.path().join("link"), folder.path().join("file"), folder.path().join("socket"));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    download(&Script::new([whole()])).await.unwrap().save(&link).await.unwrap();
    assert!(link.is_symlink());
    assert_eq!(std::fs::read_to_string(&file).unwrap(), FILE);
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let error = download(&Script::new([whole()])).await.unwrap().save(&socket).await.unwrap_err();
    assert!(matches!(error, Error::File(_)), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn what_names_no_version_is_not_resumed() {
    for first in [whole(), whole().header("etag", "W/\"v1\"")] {
        let script = Script::new([first.cut_after(4)]);
        let error = read(download(&script).await.unwrap()).await.unwrap_err();
        assert!(matches!(error, Error::Connect(_)), "{error:?}");
        assert!(error.to_string().contains("broke before the whole response arrived"), "{error}");
    }
    let script = Script::new([whole().header("last-modified", "Mon, 02 Mar 2026 10:00:00 GMT").cut_after(4)]);
    let script = script.then_step(rest(4).header("last-modified", "Mon, 02 Mar 2026 10:00:00 GMT"));
    assert_eq!(read(download(&script).await.unwrap()).await.unwrap().0, FILE);
    assert_eq!(script.requests()[1].headers["if-range"], "Mon, 02 Mar 2026 10:00:00 GMT");
}

#[tokio::test(start_paused = true)]
async fn other_methods_and_parts_that_the_caller_asked_for_are_not_resumed() {
    let script = Script::new([version(whole()).cut_after(4)]);
    let report = client(&script).request(Method::POST, "reports").download().await.unwrap();
    let error = read(report).await.unwrap_err();
    assert!(matches!(error, Error::OutcomeUnknown(_)) && error.maybe_applied(), "{error:?}");
    let script = Script::new([rest(5).cut_after(2)]);
    let part = client(&script).request(Method::GET, "a").header("range", "bytes=5-").download().await.unwrap();
    assert!(matches!(read(part).await.unwrap_err(), Error::Connect(_)));
}

#[tokio::test(start_paused = true)]
async fn a_download_without_progress_is_given_up() {
    let script = Script::new([version(whole()).cut_after(4), rest(4).cut_after(0).repeat()]);
    let start = Instant::now();
    let error = read(download(&script).await.unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    assert_eq!(script.requests().len(), 3);
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());

    let script = Script::new([version(whole()).cut_after(4)]);
    let once = client(&script).request(Method::GET, "a").with_retry(RetryPolicy::never()).download().await.unwrap();
    assert!(matches!(read(once).await.unwrap_err(), Error::Connect(_)));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_ends_early_is_no_whole_file() {
    let script = Script::new([Step::body(200, "text/plain", "0123").header("content-length", "10")]);
    assert!(matches!(read(download(&script).await.unwrap()).await.unwrap_err(), Error::Connect(_)));
}

#[tokio::test(start_paused = true)]
async fn an_error_response_is_the_error_of_the_call() {
    let script = Script::new([Step::status(404)]);
    assert!(matches!(download(&script).await.unwrap_err(), Error::NotFound(_)));
    let script = Script::new([version(whole()).cut_after(4), Step::status(404)]);
    assert!(matches!(read(download(&script).await.unwrap()).await.unwrap_err(), Error::NotFound(_)));
    let script = Script::new([whole().header("content-encoding", "br")]);
    let error = download(&script).await.unwrap_err();
    assert!(error.to_string().contains("is encoded as br, although it was asked for as it is"), "{error}");
}

#[tokio::test]
async fn a_saved_file_appears_when_it_is_complete() {
    let folder = Folder::new();
    let path = folder.path().join("invoice.pdf");
    std::fs::write(&path, "an older one").unwrap();
    let script = Script::new([whole().cut_after(4)]);
    let error = download(&script).await.unwrap().save(&path).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "an older one");

    let script = Script::new([whole()]);
    let mut seen = Vec::new();
    let saving = download(&script).await.unwrap().save_with(&path, |received, length| seen.push((received, length)));
    assert_eq!(saving.await.unwrap(), 10);
    assert_eq!(seen.last(), Some(&(10, Some(10))));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), FILE);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["invoice.pdf"], "nothing else is left");
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named() {
    let folder = Folder::new();
    for path in [folder.path().join("missing/invoice.pdf"), folder.path().to_owned(), "/".into()] {
        let script = Script::new([whole()]);
        let error = download(&script).await.unwrap().save(&path).await.unwrap_err();
        let Error::File(call) = &error else { panic!("{error:?}") };
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert_eq!((error.kind(), call.operation().id()), ("file", "get_invoice"));
        assert!(std::error::Error::source(&error).is_some());
    }
}

/// A file of unknown length.
fn unmeasured() -> Step {
    version(Step::body(200, "application/pdf", FILE))
}

#[tokio::test(start_paused = true)]
async fn a_download_that_broke_off_never_seems_complete() {
    let script = Script::new([unmeasured().cut_after(4), Step::status(404).repeat()]);
    let mut invoice = download(&script).await.unwrap();
    invoice.chunk().await.unwrap().unwrap();
    for _ in 0..9 {
        assert!(matches!(invoice.chunk().await, Err(Error::NotFound(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_stops_waiting_can_go_on() {
    let script = Script::new([unmeasured().cut_after(4), rest(4).delay(Duration::from_secs(20)), rest(4)]);
    let mut invoice = download(&script).await.unwrap();
    invoice.chunk().await.unwrap().unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(5), invoice.chunk()).await.is_err());
    assert_eq!(read(invoice).await.unwrap().0, "456789");
}

#[tokio::test(start_paused = true)]
async fn the_operation_timeout_bounds_a_download_with_all_that_resumes_it() {
    let script = Script::new([version(whole()).cut_after(4), rest(4).delay(Duration::from_secs(3600)).repeat()]);
    let start = Instant::now();
    let request = client(&script).request(Method::GET, "a").with_operation_timeout(Duration::from_secs(10));
    let error = read(request.download().await.unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert_eq!(start.elapsed().as_secs(), 10);
}

/// Sends the head of a response and nothing of its body.
#[derive(Debug)]
struct Stalled;

impl Transport for Stalled {
    fn send(&self, _: http::Request<Body>) -> BoxFuture<'_, Result<http::Response<Body>, TransportError>> {
        let never = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        Box::pin(async { Ok(http::Response::new(Body::from_stream(never, None))) })
    }
}

#[tokio::test(start_paused = true)]
async fn each_chunk_must_arrive_within_the_attempt_timeout() {
    let client =
        fixably::Client::builder(fixably::Credentials::bearer(SECRET)).with_tenant("acme").with_transport(Stalled);
    let client = client.with_attempt_timeout(Duration::from_secs(7)).build().unwrap();
    let start = Instant::now();
    let error = read(client.request(Method::GET, "a").download().await.unwrap()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout(_)), "{error:?}");
    assert_eq!(start.elapsed().as_secs(), 7);
}

#[tokio::test]
async fn a_download_that_is_dropped_while_it_is_saved_leaves_no_file() {
    let folder = Folder::new();
    let client =
        fixably::Client::builder(fixably::Credentials::bearer(SECRET)).with_tenant("acme").with_transport(Stalled);
    let stalled = client.build().unwrap().request(Method::GET, "a").download().await.unwrap();
    let mut saving = Box::pin(stalled.save(folder.path().join("a")));
    let files = || std::fs::read_dir(folder.path()).unwrap().count();
    while files() == 0 {
        assert!(futures_util::poll!(&mut saving).is_pending());
        tokio::task::yield_now().await;
    }
    drop(saving);
    assert_eq!(files(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_head_has_no_body_whatever_length_it_announces() {
    let script = Script::new([Step::body(200, "application/pdf", "").header("content-length", "10")]);
    let head = client(&script).request(Method::HEAD, "a").download().await.unwrap();
    assert_eq!(read(head).await.unwrap().0, "");
}

#[tokio::test(start_paused = true)]
async fn a_stream_ends_after_its_error() {
    let script = Script::new([whole()]);
    let chunks: Vec<Bytes> = Box::pin(download(&script).await.unwrap().into_stream()).try_collect().await.unwrap();
    assert_eq!(chunks.concat(), FILE.as_bytes());
    let script = Script::new([whole().cut_after(4)]);
    let mut stream = Box::pin(download(&script).await.unwrap().into_stream());
    assert_eq!(stream.try_next().await.unwrap().unwrap(), "0123");
    assert!(stream.try_next().await.is_err());
    assert!(stream.try_next().await.unwrap().is_none());
}

#[cfg(feature = "blocking")]
#[test]
fn a_download_needs_no_async_code() {
    let folder = Folder::new();
    let path = folder.path().join("invoice.pdf");
    let script = Script::new([version(whole()).cut_after(4), rest(4), whole(), whole()]);
    let request = || client(&script).request(Method::GET, "orders/1/invoice.pdf");
    let mut invoice = request().download_blocking().unwrap();
    let mut received = Vec::new();
    while let Some(chunk) = invoice.chunk_blocking().unwrap() {
        received.extend_from_slice(&chunk);
    }
    assert_eq!(received, FILE.as_bytes());
    assert_eq!(request().download_blocking().unwrap().save_blocking(&path).unwrap(), 10);
    let mut progress = 0;
    request().download_blocking().unwrap().save_with_blocking(&path, |received, _| progress = received).unwrap();
    assert_eq!((progress, std::fs::read_to_string(&path).unwrap().as_str()), (10, FILE));
}
