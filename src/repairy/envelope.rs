//! Unwraps the content of a response, if the vendor wraps it.
//!
//! The vendor promises one format for all successful responses, but it could not be read. There may be a wrapper, under a
//! name that is unknown. Every object of this vendor has an id, so an object without an id that contains exactly one object
//! or list is taken for a wrapper around it. All of this is assumed.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

/// The names of an object's own id.
const IDS: [&str; 3] = ["_id", "bookingId", "id"];
/// The member to unwrap if there are several candidates.
const PREFERRED: &str = "data";

/// The content of a response: the part inside the wrapper, or the complete body if there is none. `None` if the body is not
/// valid JSON, because the broken part may be inside a wrapper.
pub(super) fn content(body: &[u8]) -> Option<&[u8]> {
    match serde_json::from_slice::<BTreeMap<String, &RawValue>>(body) {
        Ok(fields) => Some(unwrap(&fields).unwrap_or(body)),
        Err(error) => error.is_data().then_some(body),
    }
}

fn unwrap<'a>(fields: &BTreeMap<String, &'a RawValue>) -> Option<&'a [u8]> {
    if IDS.iter().any(|id| fields.contains_key(*id)) {
        return None;
    }
    let is_content = |value: &&&RawValue| value.get().starts_with(['{', '[']);
    let mut contents = fields.values().filter(is_content);
    let content = match (contents.next(), contents.next()) {
        (only, None) => only,
        _ => fields.get(PREFERRED).filter(is_content),
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
    fn content_is_unwrapped_under_any_name() {
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
    fn a_body_without_a_wrapper_is_returned_as_it_is() {
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
    fn invalid_json_has_no_content() {
        for body in [&b""[..], b"{\"data\":{\"id\":", b"{\"data\":{\"id\":\"\xff\"}}", b"{\"data\":{}} x", b"<html>"] {
            assert_eq!(content(body), None);
        }
    }

    #[test]
    fn only_one_wrapper_is_removed() {
        assert_eq!(read(r#"{"data":{"booking":{"id":"1"}}}"#), r#"{"booking":{"id":"1"}}"#);
    }
}
