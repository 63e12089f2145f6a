//! Properties of calls: errors, limits, writes, lists, and values that the vendor may add later.

use std::time::Duration;

use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use jiff::fmt::rfc2822::DateTimePrinter;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use servicebay::Error;
use servicebay::testing::Fault;
use tokio::time::Instant;

use super::{AuthCase, Client, Paged, Scoped, Vendor, read};

pub(super) async fn a_403_is_forbidden_with_the_scopes_and_not_retried<C: AuthCase>() {
    let case = C::new();
    let client = case.client();
    case.server().fault(Fault::status(403).on("GET", C::Vendor::READ));
    match read::<C>(&client).await {
        Err(error @ Error::Forbidden(_)) => {
            assert!(error.is_auth() && !error.is_retryable());
            let failure = error.call_error().unwrap();
            assert_eq!((failure.operation().required_scopes(), failure.attempts()), (C::Vendor::SCOPES, 1));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(case.server().token_requests(), C::LOGINS, "another token would have the same rights");
}

pub(super) async fn the_error_names_a_missing_scope<C: Scoped>() {
    let client = C::new().unprivileged().build().unwrap();
    let error = read::<C>(&client).await.unwrap_err();
    assert!(matches!(error, Error::Forbidden(_)), "{error:?}");
    assert!(error.to_string().contains(C::Vendor::SCOPES[0]), "{error}");
}

pub(super) async fn a_429_is_waited_out_in_every_format_of_the_reset<C: AuthCase>() {
    for ResetForm { header, write } in RESET_FORMS {
        let case = C::new();
        let client = case.client();
        read::<C>(&client).await.unwrap();
        let reset = case.server().now().checked_add(AHEAD).unwrap();
        case.server().fault(Fault::status(429).with_header(header, write(reset)).on("GET", C::Vendor::READ));
        let started = Instant::now();
        read::<C>(&client).await.unwrap();
        let waited = started.elapsed().as_secs_f64();
        assert!((39.0..42.0).contains(&waited), "{header}: {}: {waited}", write(reset));
        assert_eq!(case.server().counters().refused(), 1);
    }
}

const AHEAD: SignedDuration = SignedDuration::from_secs(40);

/// A format for the time of a reset.
struct ResetForm {
    header: &'static str,
    write: fn(Timestamp) -> String,
}

/// Every format that a vendor may use.
const RESET_FORMS: [ResetForm; 7] = [
    ResetForm { header: "x-ratelimit-reset", write: |reset| reset.as_second().to_string() },
    ResetForm { header: "x-ratelimit-reset", write: |reset| reset.as_millisecond().to_string() },
    ResetForm { header: "x-ratelimit-reset", write: |_| AHEAD.as_secs().to_string() },
    ResetForm { header: "x-ratelimit-reset", write: http_date },
    ResetForm { header: "x-ratelimit-reset", write: |reset| reset.to_string() },
    ResetForm { header: "retry-after", write: |_| AHEAD.as_secs().to_string() },
    ResetForm { header: "retry-after", write: http_date },
];

fn http_date(moment: Timestamp) -> String {
    DateTimePrinter::new().timestamp_to_rfc9110_string(&moment).unwrap()
}

pub(super) async fn a_write_with_a_lost_response_is_not_repeated<C: AuthCase>() {
    let (operation, path) = C::Vendor::WRITE;
    for fault in [Fault::lost_response(), Fault::truncated(), Fault::delay(Duration::from_secs(31))] {
        let case = C::new();
        let client = case.client();
        case.server().fault(fault.clone().on("POST", path));
        match C::Vendor::write(&client).await {
            Err(error @ Error::OutcomeUnknown(_)) => assert!(error.maybe_applied() && !error.is_retryable()),
            other => panic!("{fault:?}: {other:?}"),
        }
        assert_eq!(case.server().counters().operation(operation), 1, "{fault:?}");
    }
}

pub(super) async fn a_walk_returns_every_item_once<C: AuthCase<Vendor: Paged>>() {
    let case = C::new();
    let client = case.client();
    for size in [7, 50, 100] {
        let mut ids: Vec<_> = walk::<C>(&client, size).try_collect().await.unwrap();
        assert_eq!(ids.len(), C::Vendor::ITEMS, "pages of {size}");
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), C::Vendor::ITEMS, "pages of {size} have an item twice");
    }
}

pub(super) async fn a_walk_continues_after_its_token_expires<C: AuthCase<Vendor: Paged>>() {
    let case = C::new();
    let client = case.client();
    let mut walk = walk::<C>(&client, 7);
    let mut ids = Vec::new();
    while let Some(id) = walk.try_next().await.unwrap() {
        ids.push(id);
        if ids.len() == 10 {
            case.server().end_access_tokens();
        }
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), C::Vendor::ITEMS);
    assert_eq!(case.server().counters().unauthorized(), 1);
}

fn walk<C: AuthCase<Vendor: Paged>>(client: &Client<C>, size: u32) -> BoxStream<'static, Result<String, Error>> {
    <C::Vendor as Paged>::walk(client, size)
}

pub(super) async fn an_unknown_field_is_kept<C: AuthCase>() {
    let case = C::new();
    case.server().fault(Fault::extra_field("color", "blue").on("GET", C::Vendor::READ));
    let record = read::<C>(&case.client()).await.unwrap();
    let body = record.payload::<Value>().unwrap();
    assert!(body.to_string().contains(r#""color":"blue""#), "{body}");
}

pub(super) async fn an_unknown_enum_value_is_kept<C: AuthCase>() {
    let case = C::new();
    case.server().fault(C::Vendor::unknown_value().on("GET", C::Vendor::READ));
    let record = read::<C>(&case.client()).await.unwrap();
    assert_eq!(C::Vendor::value_of(&record).as_deref(), Some("ORBIT"), "{record:?}");
}
