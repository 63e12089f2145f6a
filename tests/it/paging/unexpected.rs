//! Pages that were not requested: the error shows the response, whatever the vendor and however it was noticed.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};
use servicebay::testing::{Script, Step};
use servicebay::{DecodeError, Error, Pages, fixably};

use super::lists::{Fentu, Fisikal, FixablyByOffset, FixablyByPage, ListVendor};

const ADVICE: &str = "start again, and report it to the vendor if it happens again";

/// A page of Fixably with these ids, which says that it starts at `offset`.
fn orders(offset: Value, ids: std::ops::Range<u32>) -> Value {
    let items: Vec<_> = ids.map(|id| json!({"id": id})).collect();
    json!({"limit": items.len(), "offset": offset, "items": items})
}

fn with_id(body: &Value, id: &str) -> Step {
    Step::json(200, body.clone()).header("x-request-id", id)
}

/// Reads a list to its error, which must be the last thing in the stream.
async fn unexpected<V: ListVendor>(pages: Pages<V::List>) -> Box<DecodeError> {
    let mut results: Vec<_> = pages.collect().await;
    match results.pop() {
        Some(Err(Error::Decode(error))) => error,
        other => panic!("no decode error: {:?}", other.map(|result| result.map(drop))),
    }
}

/// Checks what every such error shows: the response to the request numbered `wrong`, and what to do.
fn shows_the_response(error: &DecodeError, script: &Script, wrong: usize, body: &Value, problem: &str) {
    let request = &script.requests()[wrong];
    assert_eq!(script.requests().len(), wrong + 1, "the stream read on");
    assert_eq!(error.status().map(|status| status.as_u16()), Some(200));
    assert_eq!(error.request_id(), Some("the-wrong-one"));
    assert_eq!(error.url().as_str(), request.uri.to_string());
    assert_eq!(error.method(), request.method);
    assert_eq!(serde_json::from_slice::<Value>(error.body()).unwrap(), *body);
    assert_eq!((error.attempts(), error.maybe_applied(), error.path()), (1, false, None));
    assert!(error.reason().starts_with(problem) && error.reason().ends_with(ADVICE), "{}", error.reason());
    let shown = error.to_string();
    assert!(shown.contains(error.operation().id()) && shown.contains("the-wrong-one"), "{shown}");
    assert!(!shown.contains("not sent"), "{shown}");
}

#[tokio::test]
async fn a_page_at_another_offset_is_a_decode_error_with_its_response() {
    let (first, wrong) = (orders(json!(0), 0..2), orders(json!(0), 2..4));
    let script = Script::new([Step::json(200, first), with_id(&wrong, "the-wrong-one")]);
    let error =
        unexpected::<FixablyByOffset>(FixablyByOffset::pages(FixablyByOffset::operation(script.clone()).0)).await;
    shows_the_response(&error, &script, 1, &wrong, "the vendor sent the page at offset 0 instead of 2;");
}

#[tokio::test]
async fn a_page_with_another_number_is_a_decode_error_with_its_response() {
    let page =
        |number: u32, id: &str| json!({"data": [{"id": id}], "meta": {"current_page": number, "total_pages": 3}});
    let wrong = page(3, "cust-3");
    let script = Script::new([Step::json(200, page(1, "cust-1")), with_id(&wrong, "the-wrong-one")]);
    let error = unexpected::<Fentu>(Fentu::pages(Fentu::operation(script.clone()).0)).await;
    shows_the_response(&error, &script, 1, &wrong, "the vendor sent page 3 instead of 2;");
}

#[tokio::test]
async fn more_items_than_the_requested_range_are_a_decode_error_with_their_response() {
    let page = |ids: std::ops::Range<u32>| json!({"locations": ids.map(|id| json!({"id": id})).collect::<Vec<_>>()});
    let wrong = page(10..21);
    let script = Script::new([Step::json(200, page(0..10)), with_id(&wrong, "the-wrong-one")]);
    let error = unexpected::<Fisikal>(Fisikal::pages(Fisikal::operation(script.clone()).0)).await;
    let problem = "the vendor sent 11 items, but at most 10 can follow the first 10;";
    shows_the_response(&error, &script, 1, &wrong, problem);
}

#[tokio::test]
async fn the_previous_page_again_is_a_decode_error_with_its_response() {
    let page = orders(Value::Null, 0..2);
    let script = Script::new([Step::json(200, page.clone()), with_id(&page, "the-wrong-one")]);
    let error = unexpected::<FixablyByPage>(FixablyByPage::pages(FixablyByPage::operation(script.clone()).0)).await;
    let problem = "the vendor sent the previous page again instead of the next one;";
    shows_the_response(&error, &script, 1, &page, problem);
}

#[tokio::test]
async fn items_that_keep_coming_again_are_a_decode_error_with_the_last_response() {
    // Two pages in turn: the items of the third and of all that follow are known.
    let pages = [orders(Value::Null, 0..100), orders(Value::Null, 100..200)];
    let steps = (0..13).map(|nth| with_id(&pages[nth % 2], if nth == 12 { "the-wrong-one" } else { "another" }));
    let script = Script::new(steps);
    let error = unexpected::<FixablyByPage>(FixablyByPage::pages(FixablyByPage::operation(script.clone()).0)).await;
    let problem = "the vendor keeps sending items that it has already sent, instead of new ones;";
    shows_the_response(&error, &script, 12, &pages[0], problem);
}

#[tokio::test(start_paused = true)]
async fn the_error_counts_the_attempts_of_its_call_and_ends_with_its_response() {
    let (first, wrong) = (orders(json!(0), 0..2), orders(json!(0), 2..4));
    let late = Step::json(200, wrong).delay(Duration::from_millis(500));
    let script = Script::new([Step::json(200, first), Step::status(503), late]);
    let client = fixably::Client::builder(fixably::Credentials::bearer("test")).with_tenant("acme");
    let client = client.with_transport(script).build().unwrap();
    let started = tokio::time::Instant::now();
    let pages: Result<Vec<_>, _> = client.list_orders().pages().try_collect().await;
    let Err(Error::Decode(error)) = pages else { panic!("{pages:?}") };
    assert_eq!(error.attempts(), 2);
    assert!(error.elapsed() >= Duration::from_millis(500), "{:?}", error.elapsed());
    assert!(error.elapsed() <= started.elapsed(), "{:?} of {:?}", error.elapsed(), started.elapsed());
    assert_eq!(error.failed_at().duration_since(error.started_at()).unsigned_abs(), error.elapsed());
}

#[tokio::test(start_paused = true)]
async fn the_time_until_a_prefetched_page_is_read_does_not_count() {
    let page = |offset: u32, ids| {
        let mut page = orders(json!(offset), ids);
        page["totalItems"] = json!(6);
        page
    };
    let wrong = Step::json(200, page(0, 2..4)).delay(Duration::from_millis(500)).repeat();
    let script = Script::new([Step::json(200, page(0, 0..2)), wrong]);
    let client = fixably::Client::builder(fixably::Credentials::bearer("test")).with_tenant("acme");
    let client = client.with_transport(script.clone()).build().unwrap();
    let mut items = client.list_orders().items().prefetch(2);
    assert!(items.try_next().await.unwrap().is_some());
    assert!(script.requests().len() > 1, "the second page was not prefetched");
    tokio::time::sleep(Duration::from_secs(1)).await;
    // Polled once more, so that the response arrives.
    assert!(items.try_next().await.unwrap().is_some());
    tokio::time::sleep(Duration::from_secs(600)).await;
    let Err(Error::Decode(error)) = items.try_next().await else { panic!("the stream read on") };
    assert!(error.elapsed() < Duration::from_secs(2), "{:?}", error.elapsed());
}

#[tokio::test]
async fn the_error_of_a_page_that_was_not_requested_shows_no_token() {
    let mut wrong = orders(json!(0), 2..4);
    wrong["items"][0]["description"] = json!("quoted: hush-hush-token");
    let script = Script::new([Step::json(200, orders(json!(0), 0..2)), Step::json(200, wrong)]);
    let client = fixably::Client::builder(fixably::Credentials::bearer("hush-hush-token")).with_tenant("acme");
    let client = client.with_transport(script).build().unwrap();
    let pages: Result<Vec<_>, _> = client.list_orders().pages().try_collect().await;
    let error = pages.unwrap_err();
    let printed = format!("{error} {error:?} {}", error.support_report());
    assert!(printed.contains("quoted: [redacted]"), "{printed}");
    assert!(!printed.contains("hush"), "{printed}");
}
