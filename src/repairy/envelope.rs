//! What an answer is about, whether or not the vendor wraps it.
//!
//! The vendor promises one form for all successful answers, which could not be read: there may be an envelope around
//! them, with a name that nobody knows. So an envelope is known by what it lacks. Every object of this vendor has an id;
//! an object without one that holds a single object or list is what is wrapped around that. All of this is assumed.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The names under which an object has its own id.
const IDS: [&str; 3] = ["_id", "bookingId", "id"];
/// Which of several contents is meant.
const USUAL: &str = "data";

/// The part of an answer that the call was about; the whole of it where nothing is wrapped around. Nothing where it is no
/// JSON: what is broken may be inside of something.
pub(super) fn content(body: &[u8]) -> Option<&[u8]> {
    match serde_json::from_slice::<BTreeMap<String, &RawValue>>(body) {
        Ok(fields) => Some(wrapped(&fields).unwrap_or(body)),
        Err(error) => error.is_data().then_some(body),
    }
}

fn wrapped<'a>(fields: &BTreeMap<String, &'a RawValue>) -> Option<&'a [u8]> {
    if IDS.iter().any(|id| fields.contains_key(*id)) {
        return None;
    }
    let is_content = |value: &&&RawValue| value.get().starts_with(['{', '[']);
    let mut contents = fields.values().filter(is_content);
    let content = match (contents.next(), contents.next()) {
        (only, None) => only,
        _ => fields.get(USUAL).filter(is_content),
    };
    content.map(|content| content.get().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> &str {
        std::str::from_utf8(content(body.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn what_is_wrapped_is_found_whatever_its_name() {
        for (body, inside) in [
            (r#"{"success":true,"data":{"id":"1"}}"#, r#"{"id":"1"}"#),
            (r#"{"booking": {"id":"1","car":{"id":"2"}}, "message": "ok"}"#, r#"{"id":"1","car":{"id":"2"}}"#),
            (r#"{ "services": [ {"_id":"1"} ] }"#, r#"[ {"_id":"1"} ]"#),
            (r#"{"data":[],"meta":{"took":3}}"#, "[]"),
            (r#"{"b\u006foking":{"id":"1"}}"#, r#"{"id":"1"}"#),
        ] {
            assert_eq!(read(body), inside);
        }
    }

    #[test]
    fn what_is_not_wrapped_is_left_as_it_is() {
        for body in [
            r#"{"id":"1","car":{"id":"2"}}"#,
            r#"{"bookingId":"1","services":[]}"#,
            r#"{"_id":"1","price":{"from":1}}"#,
            r#"[{"date":"2026-06-01","slots":["09:00"]}]"#,
            r#"{"first":{},"second":{}}"#,
            r#"{"success":true}"#,
            r#"{"data":null,"a":{},"b":{}}"#,
            "{}",
            "null",
            "7",
        ] {
            assert_eq!(read(body), body);
        }
    }

    #[test]
    fn nothing_is_found_in_what_is_no_json() {
        for body in [&b""[..], b"{\"data\":{\"id\":", b"{\"data\":{\"id\":\"\xff\"}}", b"{\"data\":{}} x", b"<html>"] {
            assert_eq!(content(body), None);
        }
    }

    #[test]
    fn only_one_layer_is_taken_off() {
        assert_eq!(read(r#"{"data":{"booking":{"id":"1"}}}"#), r#"{"booking":{"id":"1"}}"#);
    }
}
