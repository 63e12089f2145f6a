//! Mends JSON that is almost JSON: the second look at a body that failed the first.
//!
//! Systems cut texts in the middle of an emoji, write bytes of another encoding, or compute a number that no number type
//! holds. A strict parser then refuses the whole body. What cannot be read is replaced, and everything around it kept.

use std::iter::Peekable;
use std::str::Chars;

/// The body with what no parser accepts replaced: bytes that are no UTF-8 and halves of characters by U+FFFD, numbers
/// beyond all bounds by null; without the mark that some editors put first.
pub(crate) fn mended(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let mut mended = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(&c) = rest.peek() {
        match c {
            '"' => string(&mut rest, &mut mended),
            '-' | '0'..='9' => number(&mut rest, &mut mended),
            _ => {
                mended.push(c);
                rest.next();
            }
        }
    }
    mended
}

fn number(rest: &mut Peekable<Chars<'_>>, mended: &mut String) {
    let mut digits = String::new();
    while let Some(c) = rest.next_if(|c| matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')) {
        digits.push(c);
    }
    let endless = digits.parse().is_ok_and(f64::is_infinite);
    mended.push_str(if endless { "null" } else { &digits });
}

fn string(rest: &mut Peekable<Chars<'_>>, mended: &mut String) {
    mended.extend(rest.next());
    while let Some(c) = rest.next() {
        match c {
            '"' => return mended.push(c),
            '\\' => escape(rest, mended),
            _ => mended.push(c),
        }
    }
}

/// What follows a backslash. Characters beyond U+FFFF are escaped as two halves, which are nothing without each other.
fn escape(rest: &mut Peekable<Chars<'_>>, mended: &mut String) {
    const FIRST_HALF: std::ops::Range<u32> = 0xd800..0xdc00;
    const SECOND_HALF: std::ops::Range<u32> = 0xdc00..0xe000;
    if rest.peek() != Some(&'u') {
        mended.push('\\');
        return mended.extend(rest.next());
    }
    let Some(unit) = unit(rest) else { return mended.push_str("\\u") };
    if FIRST_HALF.contains(&unit) {
        let mut ahead = rest.clone();
        let second = ahead.next_if_eq(&'\\').and_then(|_| self::unit(&mut ahead));
        if let Some(second) = second.filter(|second| SECOND_HALF.contains(second)) {
            *rest = ahead;
            return mended.push_str(&format!("\\u{unit:04x}\\u{second:04x}"));
        }
    }
    if FIRST_HALF.contains(&unit) || SECOND_HALF.contains(&unit) {
        return mended.push(char::REPLACEMENT_CHARACTER);
    }
    mended.push_str(&format!("\\u{unit:04x}"));
}

/// The four hexadecimal digits after a `u`, which is taken too.
fn unit(rest: &mut Peekable<Chars<'_>>) -> Option<u32> {
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
    use serde_json::{Value, json};

    use super::*;

    fn read(body: &[u8]) -> Value {
        serde_json::from_str(&mended(body)).unwrap()
    }

    #[test]
    fn half_a_character_is_replaced_and_the_text_around_it_kept() {
        assert_eq!(
            read(br#"["cut \ud83d", "\ude00 x", "\ud83d\ud83d\ude00"]"#),
            json!(["cut \u{fffd}", "\u{fffd} x", "\u{fffd}\u{1f600}"])
        );
    }

    #[test]
    fn whole_characters_and_other_escapes_stay() {
        let whole = br#"{"a": "\ud83d\ude00 \u00fc \" \\ \n", "b\\": "\\\\u"}"#;
        assert_eq!(read(whole), serde_json::from_slice::<Value>(whole).unwrap());
    }

    #[test]
    fn bytes_of_another_encoding_are_replaced() {
        assert_eq!(read(b"{\"city\": \"K\xf6ln\"}"), json!({"city": "K\u{fffd}ln"}));
    }

    #[test]
    fn numbers_beyond_all_bounds_become_null() {
        let body = format!("[1e999, -1e999, {}, 1e30, -0.5, \"1e999\"]", "9".repeat(400));
        assert_eq!(read(body.as_bytes()), json!([null, null, null, 1e30, -0.5, "1e999"]));
    }

    #[test]
    fn a_mark_before_the_json_is_dropped() {
        assert_eq!(read(b"\xef\xbb\xbf{}"), json!({}));
    }

    #[test]
    fn what_is_cut_off_stays_so() {
        for cut in ["{\"a\": \"", "{\"a\": \"\\", "{\"a\": \"\\u12", "[1, 2", "[-"] {
            assert!(serde_json::from_str::<Value>(&mended(cut.as_bytes())).is_err(), "{cut}");
        }
    }

    proptest! {
        #[test]
        fn good_json_means_the_same_after_mending(text in ".{0,60}", number in any::<f64>()) {
            let body = json!({"text": text, "numbers": [number, 1, -2]}).to_string();
            prop_assert_eq!(read(body.as_bytes()), serde_json::from_str::<Value>(&body).unwrap());
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            mended(&bytes);
        }
    }
}
