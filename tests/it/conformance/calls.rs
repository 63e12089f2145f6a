//! Refusals, limits, writes, lists, and what the vendor may send one day.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use servicebay::Error;
use servicebay::testing::Fault;
use tokio::time::Instant;

use super::{Client, Paged, Scoped, Vendor, WayIn, read};

pub(super) async fn a_403_is_forbidden_with_the_scopes_and_not_repeated<W: WayIn>() {
    let way = W::new();
    let client = way.client();
    way.tenant().fault(Fault::status(403).on("GET", W::Vendor::READ));
    match read::<W>(&client).await {
        Err(error @ Error::Forbidden(_)) => {
            assert!(error.is_auth() && !error.is_retryable());
            let failure = error.call_error().unwrap();
            assert_eq!((failure.operation().required_scopes(), failure.attempts()), (W::Vendor::SCOPES, 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(way.tenant().token_requests(), W::LOGINS, "another token would have no other rights");
}

pub(super) async fn a_scope_that_is_missing_is_named<W: Scoped>() {
    let client = W::new().unprivileged().build().unwrap();
    let error = read::<W>(&client).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error:?}");
    assert!(error.to_string().contains(W::Vendor::SCOPES[0]), "{error}");
}

pub(super) async fn a_429_is_waited_out_whatever_form_its_reset_has<W: WayIn>() {
    for Form { header, write } in FORMS {
        let way = W::new();
        let client = way.client();
        read::<W>(&client).await.unwrap();
        let reset = way.tenant().now().checked_add(AHEAD).unwrap();
        way.tenant().fault(Fault::status(429).with_header(header, write(reset)).on("GET", W::Vendor::READ));
        let begun = Instant::now();
        read::<W>(&client).await.unwrap();
        let waited = begun.elapsed().as_secs_f64();
        assert!((39.0..42.0).contains(&waited), "{header}: {}: {waited}", write(reset));
        assert_eq!(way.tenant().counters().refused(), 1);
    }
}

const AHEAD: SignedDuration = SignedDuration::from_secs(40);

/// A way to say when a limit is reset.
struct Form {
    header: &'static str,
    write: fn(Timestamp) -> String,
}

/// Every form in which a vendor may say it.
const FORMS: [Form; 7] = [
    Form { header: "x-ratelimit-reset", write: |reset| reset.as_second().to_string() },
    Form { header: "x-ratelimit-reset", write: |reset| reset.as_millisecond().to_string() },
    Form { header: "x-ratelimit-reset", write: |_| AHEAD.as_secs().to_string() },
    Form { header: "x-ratelimit-reset", write: http_date },
    Form { header: "x-ratelimit-reset", write: |reset| reset.to_string() },
    Form { header: "retry-after", write: |_| AHEAD.as_secs().to_string() },
    Form { header: "retry-after", write: http_date },
];

fn http_date(moment: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap()
}

pub(super) async fn a_write_whose_answer_is_lost_is_not_repeated<W: WayIn>() {
    let (operation, path) = W::Vendor::WRITE;
    for fault in [Fault::lost_response(), Fault::truncated(), Fault::delay(Duration::from_secs(31))] {
        let way = W::new();
        let client = way.client();
        way.tenant().fault(fault.clone().on("POST", path));
        match W::Vendor::write(&client).await {
            Err(error @ Error::OutcomeUnknown(_)) => assert!(error.maybe_applied() && !error.is_retryable()),
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(way.tenant().counters().operation(operation), 1, "{fault:?}");
    }
}

pub(super) async fn a_walk_ends_with_every_item_once<W: WayIn<Vendor: Paged>>() {
    let way = W::new();
    let client = way.client();
    for size in [7, 50, 100] {
        let mut ids: Vec<_> = walk::<W>(&client, size).try_collect().await.unwrap();
        assert_eq!(ids.len(), W::Vendor::ITEMS, "pages of {size}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), W::Vendor::ITEMS, "pages of {size} have an item twice");
    }
}

pub(super) async fn a_walk_goes_on_over_the_end_of_its_token<W: WayIn<Vendor: Paged>>() {
    let way = W::new();
    let client = way.client();
    let mut walk = walk::<W>(&client, 7);
    let mut ids = Vec::new();
    while let Some(id) = walk.try_next().await.unwrap() {
        ids.push(id);
        if ids.len() == 10 {
            way.tenant().end_access_tokens();
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), W::Vendor::ITEMS);
    assert_eq!(way.tenant().counters().unauthorized(), 1);
}

fn walk<W: WayIn<Vendor: Paged>>(client: &Client<W>, size: u32) -> BoxStream<'static, Result<String, Error>> {
    <W::Vendor as Paged>::walk(client, size)
}

pub(super) async fn a_field_that_nobody_knows_survives<W: WayIn>() {
    let way = W::new();
    way.tenant().fault(Fault::extra_field("colour", "blue").on("GET", W::Vendor::READ));
    let record = read::<W>(&way.client()).await.unwrap();
    let body = record.payload::<Value>().unwrap();
    assert!(body.to_string().contains(r#""colour":"blue""#), "{body}");
}

pub(super) async fn a_value_that_nobody_knows_survives<W: WayIn>() {
    let way = W::new();
    way.tenant().fault(W::Vendor::odd_value().on("GET", W::Vendor::READ));
    let record = read::<W>(&way.client()).await.unwrap();
    assert_eq!(W::Vendor::value_of(&record).as_deref(), Some("ORBIT"), "{record:?}");
}
