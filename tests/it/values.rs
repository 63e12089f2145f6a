//! Values arrive as they were sent: digits, dates, enums, and bodies that are almost JSON.

use servicebay::fixably::types::{Order, OrderLine};
use servicebay::testing::Step;
use servicebay::{Open, Response, fentu};

use crate::support::client;

async fn order(body: &str) -> Response<Order> {
    let (client, _script) = client([Step::body(200, "application/json", body.to_owned())]);
    client.get_order().id(1).send().await.unwrap_or_else(|error| panic!("{body}: {error}"))
}

#[tokio::test(start_paused = true)]
async fn a_number_in_a_text_field_keeps_its_digits() {
    for digits in ["12345678901234567890123", "1.10", "1.0", "-0", "1e5", "0.1000000000000000055511151231257827", "7"] {
        let order = order(&format!(r#"{{"id": 1, "reference": {digits}, "isClosed": true}}"#)).await;
        assert_eq!((order.reference.as_deref(), order.is_closed), (Some(digits), Some(true)));
    }
}

#[tokio::test(start_paused = true)]
async fn an_amount_keeps_its_digits_and_is_written_as_the_same_number() {
    for digits in ["19.99", "20", "1.10", "0.00", "-3.50", "12345678901234567890", "1e2"] {
        let order = order(&format!(r#"{{"id": 1, "total": {digits}, "totalRemaining": "{digits}"}}"#)).await;
        let (number, text) = (order.total.as_ref().unwrap(), order.total_remaining.as_ref().unwrap());
        assert_eq!((number.as_str(), text.as_str()), (digits, digits));
        let written = serde_json::to_value(&*order).unwrap();
        assert_eq!(written["total"].as_f64(), digits.parse().ok(), "{digits}");
        assert_eq!(written["totalRemaining"], digits);
    }
}

#[tokio::test(start_paused = true)]
async fn a_number_in_place_of_a_date_keeps_its_digits() {
    let order = order(r#"{"id": 1, "createdAt": 1772366400.10}"#).await;
    assert_eq!(order.created_at.as_ref().unwrap().to_string(), "1772366400.10");
}

#[tokio::test(start_paused = true)]
async fn a_number_is_no_object_and_no_list() {
    for number in ["7", "1.5", "1e5", "12345678901234567890123"] {
        let order = order(&format!(
            r#"{{"id": 1, "customer": {number}, "contact": {number}, "lines": [{number}], "internalLocation": {number}}}"#
        ))
        .await;
        assert_eq!((order.customer.as_ref(), order.contact.as_ref()), (None, None), "{number}");
        assert_eq!((order.internal_location.as_ref(), order.skipped_count()), (None, 4), "{number}");
        assert!(order.skipped_values().iter().all(|value| value.field().is_some()), "{number}");
    }
}

#[test]
fn digits_are_kept_without_a_client_too() {
    let line = r#"{"id": 1, "price": 1.10}"#;
    let line: OrderLine = serde_json::from_str(line).unwrap();
    assert_eq!(line.price.as_ref().unwrap().as_str(), "1.10");
    let order: Order = serde_json::from_slice(br#"{"reference": 1.10}"#).unwrap();
    assert_eq!(order.reference.as_deref(), Some("1.10"));
    let order: Order = serde_json::from_reader(&br#"{"reference": 1.10, "total": 1.10}"#[..]).unwrap();
    assert_eq!((order.reference.as_deref(), order.total.unwrap().as_str()), (Some("1.10"), "1.10"));
}

#[test]
fn an_id_that_is_text_keeps_the_digits_of_a_number() {
    let record = r#"{"id": 12345678901234567890123}"#;
    let record: fentu::types::CustomerSummary = serde_json::from_str(record).unwrap();
    assert_eq!(record.id.unwrap().as_str(), "12345678901234567890123");
}

#[tokio::test(start_paused = true)]
async fn control_characters_in_a_text_are_kept() {
    let order =
        order("{\"id\": 1, \"reference\": \"two\nlines,\ta tab, a NUL \0 and \u{1b}\", \"total\": 1.10}\0").await;
    assert_eq!(order.reference.as_deref(), Some("two\nlines,\ta tab, a NUL \0 and \u{1b}"));
    assert_eq!(order.total.as_ref().unwrap().as_str(), "1.10");
}

#[tokio::test(start_paused = true)]
async fn numbers_that_json_does_not_have_are_null() {
    for number in ["NaN", "-NaN", "nan", "Infinity", "-Infinity", "+Infinity", "inf", "-inf"] {
        let order = order(&format!(r#"{{"id": 1, "total": {number}, "reference": "NaN", "isClosed": true}}"#)).await;
        assert_eq!((order.total.as_ref(), order.reference.as_deref()), (None, Some("NaN")), "{number}");
        assert_eq!(order.is_closed, Some(true), "{number}");
    }
}

#[test]
fn a_date_or_time_with_an_offset_is_never_read_as_a_civil_one() {
    use jiff::civil::{Date, DateTime};
    for text in [
        "2026-02-28T22:00:00+00:00",
        "2026-02-28T22:00:00-05:00",
        "2026-02-28T22:00:00Z",
        "2026-02-28 22:00:00+0000",
        "2026-02-28t22:00:00z",
        "2026-02-28T22:00:00[Europe/Berlin]",
        "2026-02-28T22:00:00+00:00[UTC]",
    ] {
        let (date, time) = (Open::<Date>::from(text), Open::<DateTime>::from(text.to_owned()));
        assert_eq!((date.known(), time.known()), (None, None), "{text}");
        assert_eq!((date.to_string(), time.to_string()), (text.to_owned(), text.to_owned()));
    }
    for text in ["2026-02-28", "2026-02-28T22:00:00", "2026-02-28 22:00:00.5"] {
        assert!(Open::<Date>::from(text).known().is_some(), "{text}");
        assert!(Open::<DateTime>::from(text).known().is_some(), "{text}");
    }
}
