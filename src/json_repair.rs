//! Repairs a body that is almost JSON, after a strict parser has refused it.
//!
//! Some systems cut a text in the middle of an emoji, send bytes of another encoding, forget to escape a line break, or compute a
//! number that no number type can hold. A strict parser then refuses the whole body. Only the unreadable parts are replaced;
//! the rest is kept.

use std::iter::Peekable;
use std::str::Chars;

use serde_json::Value;

/// Reads a body as JSON, after a repair if it needs one.
pub(crate) fn parse(body: &[u8]) -> Option<Value> {
    serde_json::from_slice(body).ok().or_else(|| serde_json::from_str(&repair(body)).ok())
}

/// Replaces what no JSON parser accepts. In texts: invalid UTF-8 and lone surrogates by U+FFFD, control characters by their
/// escapes, and a backslash that escapes nothing by an escaped one. Outside of them: numbers beyond the range of `f64`, `NaN`
/// and infinities by null. Removes a byte order mark, and control characters outside of texts.
pub(crate) fn repair(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(&c) = rest.peek() {
        match c {
            '"' => string(&mut rest, &mut repaired),
            '-' | '+' | '0'..='9' => number(&mut rest, &mut repaired),
            'A'..='Z' | 'a'..='z' => word(&mut rest, &mut repaired),
            _ if c.is_ascii_control() && !matches!(c, '\t' | '\n' | '\r') => {
                rest.next();
            }
            _ => {
                repaired.push(c);
                rest.next();
            }
        }
    }
    repaired
}

fn number(rest: &mut Peekable<Chars<'_>>, repaired: &mut String) {
    let mut digits = String::new();
    while let Some(c) = rest.next_if(|c| matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')) {
        digits.push(c);
    }
    let is_sign = matches!(digits.as_str(), "-" | "+");
    if is_sign && rest.peek().is_some_and(char::is_ascii_alphabetic) {
        return word(rest, repaired);
    }
    let is_infinite = digits.parse().is_ok_and(f64::is_infinite);
    repaired.push_str(if is_infinite { "null" } else { &digits });
}

/// Copies a word, or null in place of a number that JSON does not have.
fn word(rest: &mut Peekable<Chars<'_>>, repaired: &mut String) {
    let mut word = String::new();
    while let Some(c) = rest.next_if(char::is_ascii_alphabetic) {
        word.push(c);
    }
    let is_number = ["nan", "inf", "infinity"].iter().any(|number| word.eq_ignore_ascii_case(number));
    repaired.push_str(if is_number { "null" } else { &word });
}

fn string(rest: &mut Peekable<Chars<'_>>, repaired: &mut String) {
    repaired.extend(rest.next());
    while let Some(c) = rest.next() {
        match c {
            '"' => return repaired.push(c),
            '\\' => escape(rest, repaired),
            // DEL is a control character that JSON allows.
            '\0'..='\x1f' => repaired.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => repaired.push(c),
        }
    }
}

/// Copies an escape sequence, whose backslash has been read. Characters beyond U+FFFF are escaped as a pair of
/// surrogates; one without the other is replaced.
fn escape(rest: &mut Peekable<Chars<'_>>, repaired: &mut String) {
    const HIGH_SURROGATE: std::ops::Range<u32> = 0xd800..0xdc00;
    const LOW_SURROGATE: std::ops::Range<u32> = 0xdc00..0xe000;
    if rest.peek() != Some(&'u') {
        return match rest.next_if(|c| matches!(c, '"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) {
            Some(c) => repaired.extend(['\\', c]),
            // It escapes nothing, as in the path of a file: the backslash itself is meant.
            None => repaired.push_str("\\\\"),
        };
    }
    let mut ahead = rest.clone();
    let Some(unit) = code_unit(&mut ahead) else { return repaired.push_str("\\\\") };
    *rest = ahead;
    if HIGH_SURROGATE.contains(&unit) {
        let mut ahead = rest.clone();
        let low = ahead.next_if_eq(&'\\').and_then(|_| code_unit(&mut ahead));
        if let Some(low) = low.filter(|low| LOW_SURROGATE.contains(low)) {
            *rest = ahead;
            return repaired.push_str(&format!("\\u{unit:04x}\\u{low:04x}"));
        }
    }
    if HIGH_SURROGATE.contains(&unit) || LOW_SURROGATE.contains(&unit) {
        return repaired.push(char::REPLACEMENT_CHARACTER);
    }
    repaired.push_str(&format!("\\u{unit:04x}"));
}

/// Reads `u` and its four hexadecimal digits.
fn code_unit(rest: &mut Peekable<Chars<'_>>) -> Option<u32> {
    rest.next_if_eq(&'u')?;
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit * 16 + rest.next_if(char::is_ascii_hexdigit)?.to_digit(16)?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(body: &[u8]) -> Value {
        serde_json::from_str(&repair(body)).unwrap()
    }

    #[test]
    fn a_lone_surrogate_is_replaced_and_the_text_around_it_kept() {
        assert_eq!(
            read(br#"["cut \ud83d", "\ude00 x", "\ud83d\ud83d\ude00"]"#),
            json!(["cut \u{fffd}", "\u{fffd} x", "\u{fffd}\u{1f600}"])
        );
    }

    #[test]
    fn surrogate_pairs_and_other_escapes_stay() {
        let valid = br#"{"a": "\ud83d\ude00 \u00fc \" \\ \n", "b\\": "\\\\u"}"#;
        assert_eq!(read(valid), serde_json::from_slice::<Value>(valid).unwrap());
    }

    #[test]
    fn bytes_of_another_encoding_are_replaced() {
        assert_eq!(read(b"{\"city\": \"K\xf6ln\"}"), json!({"city": "K\u{fffd}ln"}));
    }

    #[test]
    fn numbers_out_of_range_become_null() {
        let body = format!("[1e999, -1e999, {}, 1e30, -0.5, \"1e999\"]", "9".repeat(400));
        assert_eq!(read(body.as_bytes()), json!([null, null, null, 1e30, -0.5, "1e999"]));
    }

    #[test]
    fn control_characters_in_a_text_are_escaped_and_others_removed() {
        let all: String = (0_u8..=0x7f).map(char::from).filter(|c| !matches!(c, '"' | '\\')).collect();
        assert_eq!(read(format!("{{\"a\n\": \"{all}\"}}").as_bytes()), json!({"a\n": all}));
        assert_eq!(read(b"\0\x01[1,\0 2\x0c,\n\"\\u0000\"\r\n]\0\0"), json!([1, 2, "\0"]));
    }

    #[test]
    fn numbers_that_json_does_not_have_become_null() {
        let body = "[NaN, -NaN, nan, Infinity,-Infinity, +Infinity, inf, -inf, INF, true, \"NaN, -Infinity\", null]";
        let nulls = [(); 9].map(|()| Value::Null);
        let mut expected = nulls.to_vec();
        expected.extend([json!(true), json!("NaN, -Infinity"), Value::Null]);
        assert_eq!(read(body.as_bytes()), Value::Array(expected));
    }

    #[test]
    fn a_backslash_that_escapes_nothing_is_kept() {
        assert_eq!(
            read(br#"["C:\dir", "C:\Dir\unit", "it\'s", "\x41"]"#),
            json!(["C:\\dir", "C:\\Dir\\unit", "it\\'s", "\\x41"])
        );
    }

    #[test]
    fn a_body_is_parsed_with_and_without_a_repair() {
        for body in ["{\"a\": 1}", "\u{feff}{\"a\": 1}"] {
            assert_eq!(parse(body.as_bytes()), Some(json!({"a": 1})), "{body}");
        }
        assert_eq!(parse(b"<html>"), None);
    }

    #[test]
    fn a_byte_order_mark_is_removed() {
        assert_eq!(read(b"\xef\xbb\xbf{}"), json!({}));
    }

    #[test]
    fn a_truncated_body_stays_invalid() {
        for cut in
            ["{\"a\": \"", "{\"a\": \"\\", "{\"a\": \"\\u12", "[1, 2", "[-", "[+", "[-I", "[nul", "[NaNny]", "[truth]"]
        {
            assert!(serde_json::from_str::<Value>(&repair(cut.as_bytes())).is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn valid_json_means_the_same_after_a_repair(text in ".{0,60}", number in any::<f64>()) {
            let body = json!({"text": text, "numbers": [number, 1, -2]}).to_string();
            prop_assert_eq!(read(body.as_bytes()), serde_json::from_str::<Value>(&body).unwrap());
        }

        #[test]
        fn no_input_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            repair(&bytes);
        }
    }
}
