//! Whatever is sent: no panic, nothing forged is accepted, and nothing that the vendor signed is lost.

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::HeaderMap;
use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::{Map, Value};
use servicebay::repairy::BookingEvent;
use servicebay::webhook::{AcceptUnverified, Delivery, HmacSha256, SignatureEncoding, WebhookError};

use super::{BOOKING, Receiver, headers, mock};

const NOW: i64 = 1_772_366_400;
const HEADERS: [&str; 5] =
    ["x-request-id", "x-webhook-id", "x-webhook-signature", "x-webhook-timestamp", "x-webhook-version"];

fn at_now(receiver: Receiver) -> Receiver {
    receiver.with_clock(|| Timestamp::from_second(NOW).unwrap())
}

/// With the store in memory, nothing waits.
fn receive(
    receiver: &Receiver,
    headers: &HeaderMap,
    body: impl Into<Bytes>,
) -> Result<Delivery<BookingEvent>, WebhookError> {
    receiver.receive(headers, body.into()).now_or_never().expect("nothing to wait for")
}

/// The headers of a delivery that was sent now.
fn signed(hmac: &HmacSha256, body: &[u8]) -> HeaderMap {
    let (timestamp, signature) = (NOW.to_string(), hmac.sign(&NOW.to_string(), body));
    headers(&[
        ("x-request-id", b"1"),
        ("x-webhook-signature", signature.as_bytes()),
        ("x-webhook-timestamp", timestamp.as_bytes()),
        ("x-webhook-version", b"3"),
    ])
}

#[test]
fn a_change_of_any_bit_of_the_body_the_timestamp_or_the_signature_is_refused() {
    for encoding in [SignatureEncoding::Hex, SignatureEncoding::UpperHex, SignatureEncoding::Base64] {
        let hmac = HmacSha256::new(["secret"]).unwrap().with_encoding(encoding).with_prefix("v1=");
        let receiver = at_now(Receiver::new(hmac.clone()));
        let (server, _) = mock();
        let body = server.webhook("bookingUpdated", BOOKING).request("/").into_body();
        let headers = signed(&hmac, &body);
        drop(receive(&receiver, &headers, body.clone()).unwrap());

        for (index, bit) in (0..body.len()).flat_map(|index| (0..8).map(move |bit| (index, bit))) {
            let mut changed = body.to_vec();
            changed[index] ^= 1 << bit;
            let error = receive(&receiver, &headers, changed).unwrap_err();
            assert!(matches!(error, WebhookError::BadSignature), "bit {bit} of byte {index} of the body: {error:?}");
        }
        for changed in [&body[1..], &body[..body.len() - 1], &[&body[..], b" "].concat(), &[b" ", &body[..]].concat()] {
            assert!(matches!(receive(&receiver, &headers, changed.to_vec()), Err(WebhookError::BadSignature)));
        }
        let mut refused = 0;
        for name in ["x-webhook-signature", "x-webhook-timestamp"] {
            let value = headers[name].as_bytes().to_vec();
            let bits = (0..value.len()).flat_map(|index| (0..8).map(move |bit| (index, bit)));
            let flipped = bits.map(|(index, bit)| {
                let mut changed = value.clone();
                changed[index] ^= 1 << bit;
                changed
            });
            let lengths = [
                value[1..].to_vec(),
                value[..value.len() - 1].to_vec(),
                [&value[..], b"0"].concat(),
                [b"0", &value[..]].concat(),
            ];
            for changed in flipped.chain(lengths) {
                // Control characters cannot arrive in a header.
                let Ok(changed) = http::HeaderValue::from_bytes(&changed) else { continue };
                let mut headers = headers.clone();
                headers.insert(name, changed.clone());
                let error = receive(&receiver, &headers, body.clone()).unwrap_err();
                let is_refused = matches!(error, WebhookError::BadSignature | WebhookError::UnreadableHeader { .. });
                assert!(is_refused, "{name} {changed:?}: {error:?}");
                refused += 1;
            }
        }
        assert!(refused > 300, "{refused}");
    }
}

fn header_value() -> impl Strategy<Value = Vec<u8>> {
    let text = prop_oneof![
        Just(NOW.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        (NOW - 400..NOW + 400).prop_map(|number| number.to_string()),
        "[ -~]{0,40}",
    ];
    let bytes = prop::collection::vec(prop_oneof![0x20u8..0x7f, 0x80u8..=0xff], 0..20);
    prop_oneof![3 => text.prop_map(String::into_bytes), 1 => bytes]
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        ".{0,8}".prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        let name =
            prop_oneof!["id", "bookingId", "data", "car", "customer", "services", "status", "dropOffTime", ".{0,4}"];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
            prop::collection::hash_map(name, inner, 0..6).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        any_json().prop_map(|json| json.to_string().into_bytes()),
        ("bookingCreate|bookingUpdated|[a-z]{0,6}", any_json(), any::<u8>(), any::<prop::sample::Index>()).prop_map(
            |(action, content, byte, index)| {
                let mut body = serde_json::json!({"action": action, "data": content}).to_string().into_bytes();
                let index = index.index(body.len());
                body[index] = byte;
                body
            }
        ),
    ]
}

proptest! {
    #[test]
    fn no_headers_and_no_body_cause_a_panic_and_without_a_signature_nothing_is_accepted(
        values in prop::collection::hash_map(prop::sample::select(&HEADERS[..]), header_value(), 0..6),
        body in any_body(),
    ) {
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, value.as_slice())).collect();
        let headers = headers(&values);
        if let Ok(delivery) = receive(&at_now(Receiver::new(AcceptUnverified)), &headers, body.clone()) {
            prop_assert_eq!(delivery.body(), &body);
        }
        let verified = at_now(Receiver::new(HmacSha256::new(["secret"]).unwrap()));
        prop_assert!(receive(&verified, &headers, body).is_err());
    }

    #[test]
    fn what_the_vendor_signs_arrives_as_it_was_sent(
        action in "bookingCreate|bookingUpdated|bookingCancelled|bookingCompleted|\\PC{1,12}",
        fields in prop::collection::hash_map("[a-z]{1,6}", any_json(), 0..5),
        secret in "\\PC{0,20}[!-~]",
        encoding in prop::sample::select(vec![SignatureEncoding::Hex, SignatureEncoding::UpperHex, SignatureEncoding::Base64]),
        prefix in "([a-z0-9]{1,8}=)?",
        separator in "[.:]?",
    ) {
        let mut fields: Map<String, Value> = fields.into_iter().collect();
        fields.insert("action".to_owned(), action.clone().into());
        let json = Value::Object(fields.clone());
        let body = json.to_string().into_bytes();
        let hmac = HmacSha256::new([secret]).unwrap();
        let hmac = hmac.with_encoding(encoding).with_prefix(prefix).with_separator(separator);
        let receiver = at_now(Receiver::new(hmac.clone()));
        let headers = signed(&hmac, &body);

        let delivery = receive(&receiver, &headers, body.clone());
        let delivery = delivery.map_err(|error| TestCaseError::fail(format!("{json}: {error:?}")))?;
        prop_assert_eq!(delivery.action.as_str(), &action);
        prop_assert_eq!(delivery.body(), &body);
        prop_assert_eq!(delivery.payload::<Value>().unwrap(), json);
        if let Some(content) = delivery.content_as::<Value>().unwrap() {
            prop_assert!(fields.values().any(|value| *value == content));
        }
        let event = delivery.complete().now_or_never().unwrap().unwrap();
        prop_assert_eq!(BookingEvent::from_body(&body).unwrap(), event);
        prop_assert!(matches!(receive(&receiver, &headers, body), Err(WebhookError::Duplicate)));
    }

    #[test]
    fn signed_bytes_of_any_kind_are_read_or_refused_for_what_they_are(body in any_body()) {
        let hmac = HmacSha256::new(["secret"]).unwrap();
        let receiver = at_now(Receiver::new(hmac.clone()));
        match receive(&receiver, &signed(&hmac, &body), body.clone()) {
            Ok(delivery) => prop_assert_eq!(delivery.body(), &body),
            Err(error) => {
                let is_about_the_body = matches!(error, WebhookError::NotJson { .. } | WebhookError::NotAnEvent);
                prop_assert!(is_about_the_body, "{:?}", error);
            }
        }
    }
}
