//! Redacts the client's secrets in everything foreign that enters an error: texts and bodies of vendors, errors of other crates.
//!
//! A vendor may quote a secret as it is, or escaped: as JSON, as HTML, in a URL, and more than once. So a text is searched as it
//! is and with its escapes decoded, and what is found is replaced in the original.

use std::error::Error as StdError;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::error::one_line;
use crate::json_repair;

const REDACTED: &str = "[redacted]";
/// A secret with fewer characters than this is part of ordinary words. It is redacted only where it stands alone.
const MIN_LENGTH: usize = 4;
/// How often a text may be escaped.
const MAX_ESCAPES: usize = 4;
/// How many sources of an error are kept.
const MAX_SOURCES: usize = 8;

/// Redacts a set of secrets. The only way for a foreign text, body or error into an error of this crate.
#[derive(Clone)]
pub(crate) struct Redaction(Vec<Needle>);

/// A secret in one form.
#[derive(Clone)]
struct Needle {
    bytes: Vec<u8>,
    is_short: bool,
}

impl Redaction {
    pub(crate) fn of<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let mut redaction = Self(Vec::new());
        for secret in secrets {
            redaction.add(secret.expose_secret());
        }
        redaction
    }

    /// Redacts this text too, in what follows.
    pub(super) fn add(&mut self, secret: &str) {
        let is_short = secret.chars().count() < MIN_LENGTH;
        let verbatim = secret.as_bytes().to_vec();
        let decoded = levels(secret).pop().map_or_else(|| verbatim.clone(), |level| level.bytes);
        for bytes in [verbatim, decoded] {
            if !bytes.is_empty() && !self.0.iter().any(|needle| needle.bytes == bytes) {
                self.0.push(Needle { bytes, is_short });
            }
        }
    }

    /// The text without the secrets; `None` if it contains none.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        let mut found: Vec<Range<usize>> = Vec::new();
        for level in levels(text) {
            for needle in &self.0 {
                found.extend(needle.find(&level.bytes).map(|found| level.range(&found, text)));
            }
        }
        if found.is_empty() {
            return None;
        }
        found.sort_unstable_by_key(|range| (range.start, range.end));
        let (mut clean, mut end) = (String::with_capacity(text.len()), 0);
        for range in found {
            if range.start >= end {
                clean.push_str(&text[end..range.start]);
                clean.push_str(REDACTED);
            }
            end = end.max(range.end);
        }
        clean.push_str(&text[end..]);
        Some(clean)
    }

    /// The text without the secrets.
    pub(crate) fn clean(&self, text: &str) -> String {
        self.text(text).unwrap_or_else(|| text.to_owned())
    }

    /// A body without the secrets, and what it says if it is JSON.
    pub(super) fn body(&self, body: &Bytes) -> (Bytes, Option<Value>) {
        if let Ok(mut value) = serde_json::from_slice::<Value>(body) {
            let body = if self.value(&mut value) { value.to_string().into() } else { body.clone() };
            return (body, Some(value));
        }
        let clean = self.text(&String::from_utf8_lossy(body)).map_or_else(|| body.clone(), Bytes::from);
        let value = json_repair::parse(body).map(|mut value| {
            self.value(&mut value);
            value
        });
        (clean, value)
    }

    /// Redacts the secrets in every text of a value, names too. Returns whether there was any.
    pub(super) fn value(&self, value: &mut Value) -> bool {
        match value {
            Value::String(text) => match self.text(text) {
                Some(clean) => {
                    *text = clean;
                    true
                }
                None => false,
            },
            // A password of digits may come back as a number.
            Value::Number(number) => match self.text(&number.to_string()) {
                Some(clean) => {
                    *value = clean.into();
                    true
                }
                None => false,
            },
            Value::Array(items) => items.iter_mut().fold(false, |found, item| self.value(item) | found),
            Value::Object(fields) => {
                let mut found = fields.values_mut().fold(false, |found, field| self.value(field) | found);
                if fields.keys().any(|name| self.text(name).is_some()) {
                    found = true;
                    let renamed = std::mem::take(fields).into_iter();
                    fields.extend(renamed.map(|(name, field)| (self.clean(&name), field)));
                }
                found
            }
            Value::Null | Value::Bool(_) => false,
        }
    }

    /// An error of another crate as a source of ours: its texts, without the secrets.
    pub(crate) fn error(&self, error: &(dyn StdError + 'static)) -> RedactedError {
        let mut texts = Vec::new();
        let mut next = Some(error);
        while let Some(error) = next.filter(|_| texts.len() < MAX_SOURCES) {
            texts.push(match error.downcast_ref::<serde_json::Error>() {
                Some(error) => json_error(error),
                None => one_line(&self.clean(&error.to_string())),
            });
            next = error.source();
        }
        let chain = |source, text| Some(RedactedError(Arc::new(ErrorText { text, source })));
        texts.into_iter().rev().fold(None, chain).expect("the error itself has a text")
    }
}

/// What is wrong with JSON, without the part of the input that `serde_json` quotes.
fn json_error(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let is_typed = ["invalid type: ", "invalid value: ", "invalid length "].iter().any(|start| text.starts_with(start));
    if error.is_data() {
        // What was expected comes last, and is a text of the program.
        let expected = text.rfind(", expected ").filter(|_| is_typed).map(|at| &text[at + 2..]);
        return match expected {
            Some(expected) => format!("unexpected value: {expected}"),
            None => format!("unexpected value at line {} column {}", error.line(), error.column()),
        };
    }
    // Errors of syntax quote nothing.
    text
}

/// The text of an error of another crate, and of its sources. It holds no secret, and nothing of the error itself.
#[derive(Clone)]
pub(crate) struct RedactedError(Arc<ErrorText>);

struct ErrorText {
    text: String,
    source: Option<RedactedError>,
}

impl fmt::Display for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

impl fmt::Debug for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut texts = f.debug_list();
        let mut next = Some(self);
        while let Some(Self(error)) = next {
            texts.entry(&error.text);
            next = error.source.as_ref();
        }
        texts.finish()
    }
}

impl StdError for RedactedError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_ref().map(|source| source as _)
    }
}

impl Needle {
    /// Where the secret stands in `text`.
    fn find<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = Range<usize>> {
        let (first, length) = (self.bytes[0], self.bytes.len());
        let starts = 0..(text.len() + 1).saturating_sub(length);
        starts
            .filter(move |&at| text[at] == first && text[at..at + length] == self.bytes[..])
            .map(move |at| at..at + length)
            .filter(move |found| !self.is_short || stands_alone(text, found))
    }
}

/// Whether neither neighbor belongs to the same word.
fn stands_alone(text: &[u8], found: &Range<usize>) -> bool {
    let in_word = |byte: &u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"_-'".contains(byte);
    let before = found.start.checked_sub(1).and_then(|at| text.get(at));
    !before.is_some_and(in_word) && !text.get(found.end).is_some_and(in_word)
}

/// A text with some of its escapes decoded.
struct Level {
    bytes: Vec<u8>,
    /// Where in the original each byte begins; empty if the bytes are the original.
    starts: Vec<usize>,
}

impl Level {
    /// The part of the original that a range comes from.
    fn range(&self, found: &Range<usize>, original: &str) -> Range<usize> {
        let start_of = |at: usize| match self.starts.is_empty() {
            true => at,
            false => self.starts.get(at).copied().unwrap_or(original.len()),
        };
        let (mut start, mut end) = (start_of(found.start), start_of(found.end));
        // A secret that ends within a character, as one with stray percent signs may, takes the whole of it.
        while !original.is_char_boundary(start) {
            start -= 1;
        }
        while !original.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }
}

/// The text as it is, and with its escapes decoded once, twice, and so on while there are any.
fn levels(text: &str) -> Vec<Level> {
    let mut levels = vec![Level { bytes: text.as_bytes().to_vec(), starts: Vec::new() }];
    while levels.len() <= MAX_ESCAPES {
        let last = &levels[levels.len() - 1];
        if !last.bytes.iter().any(|byte| b"\\%&+".contains(byte)) {
            break;
        }
        let next = decode(last);
        if next.bytes == last.bytes {
            break;
        }
        levels.push(next);
    }
    levels
}

fn decode(level: &Level) -> Level {
    let text = &level.bytes;
    let mut decoded = Level { bytes: Vec::with_capacity(text.len()), starts: Vec::with_capacity(text.len()) };
    let mut at = 0;
    while at < text.len() {
        let start = level.starts.get(at).copied().unwrap_or(at);
        let (length, bytes) = match escape(&text[at..]) {
            Some((length, Unescaped::Byte(byte))) => (length, vec![byte]),
            Some((length, Unescaped::Char(c))) => (length, c.to_string().into_bytes()),
            None => (1, vec![text[at]]),
        };
        decoded.starts.extend(bytes.iter().map(|_| start));
        decoded.bytes.extend(bytes);
        at += length;
    }
    decoded
}

enum Unescaped {
    Byte(u8),
    Char(char),
}

/// The escape that a text starts with: how long it is, and what it stands for.
fn escape(text: &[u8]) -> Option<(usize, Unescaped)> {
    match text {
        [b'+', ..] => Some((1, Unescaped::Byte(b' '))),
        [b'%', high, low, ..] => Some((3, Unescaped::Byte(byte(*high, *low)?))),
        [b'\\', b'x', high, low, ..] => Some((4, Unescaped::Char(char::from(byte(*high, *low)?)))),
        [b'\\', b'u', b'{', rest @ ..] => {
            let digits = rest.iter().position(|byte| *byte == b'}').filter(|digits| *digits <= 6)?;
            Some((digits + 4, Unescaped::Char(hex_char(&rest[..digits])?)))
        }
        [b'\\', b'u', rest @ ..] => {
            let unit = code_unit(rest)?;
            if let Some(c) = char::from_u32(unit) {
                return Some((6, Unescaped::Char(c)));
            }
            // A pair of surrogates.
            let low = rest[4..].strip_prefix(b"\\u").and_then(code_unit)?;
            let pair = char::decode_utf16([u16::try_from(unit).ok()?, u16::try_from(low).ok()?]).next()?;
            Some((12, Unescaped::Char(pair.ok()?)))
        }
        [b'\\', c, ..] => {
            let plain = match c {
                b'n' => b'\n',
                b't' => b'\t',
                b'r' => b'\r',
                b'b' => 8,
                b'f' => 12,
                b'/' | b'"' | b'\\' | b'\'' => *c,
                _ => return None,
            };
            Some((2, Unescaped::Byte(plain)))
        }
        [b'&', rest @ ..] => {
            let length = rest.iter().take(10).position(|byte| *byte == b';')?;
            let c = match &rest[..length] {
                b"amp" => '&',
                b"lt" => '<',
                b"gt" => '>',
                b"quot" => '"',
                b"apos" => '\'',
                [b'#', b'x' | b'X', digits @ ..] => hex_char(digits)?,
                [b'#', digits @ ..] => char::from_u32(str::from_utf8(digits).ok()?.parse().ok()?)?,
                _ => return None,
            };
            Some((length + 2, Unescaped::Char(c)))
        }
        _ => None,
    }
}

fn byte(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(high)? * 16 + digit(low)?).ok()
}

fn hex_char(digits: &[u8]) -> Option<char> {
    char::from_u32(u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?)
}

/// The four hexadecimal digits of a `\u` escape.
fn code_unit(digits: &[u8]) -> Option<u32> {
    let [a, b, c, d, ..] = digits else { return None };
    Some(u32::from(byte(*a, *b)?) << 8 | u32::from(byte(*c, *d)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const SECRET: &str = "Hush/Hush+token==";

    fn redaction() -> Redaction {
        Redaction::of([&SECRET.into()])
    }

    fn cleaned(body: &str) -> String {
        String::from_utf8(redaction().body(&Bytes::from(body.to_owned())).0.to_vec()).unwrap()
    }

    #[test]
    fn a_token_is_redacted_however_often_it_is_repeated() {
        let clean = redaction().text(&format!("bad {SECRET}, really {SECRET}!")).unwrap();
        assert_eq!(clean, "bad [redacted], really [redacted]!");
        assert_eq!(redaction().text("bad token"), None);
        assert_eq!(redaction().text(&format!("{SECRET}{SECRET}")).unwrap(), "[redacted][redacted]");
    }

    #[test]
    fn a_token_is_redacted_in_json_however_it_is_escaped() {
        let slashes = SECRET.replace('/', "\\/");
        let unicode = SECRET.replace('=', "\\u003d").replace('H', "\\u0048");
        for token in [SECRET, &slashes, &unicode] {
            let clean = cleaned(&format!(r#"{{"a": ["{token}"], "{token}": {{"b": "x {token}"}}}}"#));
            // In whatever order: that depends on a feature of serde_json.
            let clean: Value = serde_json::from_str(&clean).unwrap();
            assert_eq!(clean, serde_json::json!({"[redacted]": {"b": "x [redacted]"}, "a": ["[redacted]"]}));
        }
    }

    #[test]
    fn a_token_is_redacted_in_json_that_is_cut_off() {
        for token in [
            SECRET.to_owned(),
            SECRET.replace('/', "\\/"),
            SECRET.replace('=', "\\u003D"),
            SECRET.replace('/', "\\\\\\/"),
            SECRET.replace('/', "\\u{2f}"),
            SECRET.replace('+', "\\x2b"),
        ] {
            let clean = cleaned(&format!(r#"{{"a": "{token}", "b": "#));
            assert_eq!(clean, r#"{"a": "[redacted]", "b": "#, "{token}");
        }
    }

    #[test]
    fn a_token_is_redacted_in_urls_and_web_pages() {
        for form in [
            "Hush%2FHush%2Btoken%3D%3D",
            "Hush%2fHush%2btoken%3d%3d",
            "Hush%2FHush+token==",
            "Hush%252FHush%252Btoken==",
            "Hush&#x2F;Hush&#43;token&#61;=",
        ] {
            assert_eq!(redaction().text(&format!("/login/{form}?x")).as_deref(), Some("/login/[redacted]?x"), "{form}");
        }
        let password = Redaction::of([&"p&ss <wörd>".into()]);
        for form in ["p&amp;ss &lt;w&#246;rd&gt;", "p%26ss+%3Cw%C3%B6rd%3E", "p&ss <w\\u00f6rd>"] {
            assert_eq!(password.text(&format!("<p>{form}</p>")).as_deref(), Some("<p>[redacted]</p>"), "{form}");
        }
    }

    #[test]
    fn a_secret_that_looks_escaped_itself_is_redacted() {
        for secret in ["a\\nb%41c&amp;", "50%25off", "\\\\server\\u0041", "100%", "tr%FFail%C3"] {
            let redaction = Redaction::of([&secret.into()]);
            let json = json!({"a": secret}).to_string();
            for text in
                [secret.to_owned(), json[..json.len() - 1].to_owned(), format!("é{secret}é"), format!("\\{secret}")]
            {
                let clean = redaction.text(&text).unwrap_or_else(|| panic!("{text}"));
                assert!(clean.contains(REDACTED) && !clean.contains(secret), "{text}: {clean}");
            }
        }
    }

    #[test]
    fn a_secret_that_is_part_of_another_leaves_no_rest_of_it() {
        let redaction = Redaction::of([&"hush".into(), &"hush-hush".into()]);
        assert_eq!(redaction.text("hush-hush, hush").as_deref(), Some("[redacted], [redacted]"));
        let redaction = Redaction::of([&"silent".into(), &"so-silent-here".into()]);
        assert_eq!(redaction.text("so-silent-here, silent").as_deref(), Some("[redacted], [redacted]"));
    }

    #[test]
    fn of_an_error_with_many_sources_the_first_texts_are_kept() {
        #[derive(Debug)]
        struct Nested(Option<Box<Self>>);

        impl fmt::Display for Nested {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(SECRET)
            }
        }

        impl StdError for Nested {
            fn source(&self) -> Option<&(dyn StdError + 'static)> {
                self.0.as_deref().map(|source| source as _)
            }
        }

        let error = (0..2 * MAX_SOURCES).fold(Nested(None), |source, _| Nested(Some(Box::new(source))));
        assert_eq!(format!("{:?}", redaction().error(&error)), format!("{:?}", [REDACTED; MAX_SOURCES]));
    }

    #[test]
    fn a_secret_of_few_letters_is_redacted_only_where_it_stands_alone() {
        let redaction = Redaction::of([&"t".into(), &"pin".into()]);
        assert_eq!(redaction.text("that spinning thing isn't pinned"), None);
        assert_eq!(redaction.text("bad token 't'").as_deref(), None, "an apostrophe is part of a word");
        assert_eq!(redaction.text("bad token \"t\"").as_deref(), Some("bad token \"[redacted]\""));
        assert_eq!(redaction.text("Bearer t, pin=pin").as_deref(), Some("Bearer [redacted], [redacted]=[redacted]"));
        assert_eq!(redaction.text("t").as_deref(), Some("[redacted]"));
        assert_eq!(redaction.text("\\u0074").as_deref(), Some("[redacted]"));
    }

    #[test]
    fn a_password_of_digits_is_redacted_in_a_number() {
        let (body, _) = Redaction::of([&"12345678".into()]).body(&Bytes::from_static(br#"{"a": 12345678, "b": 1}"#));
        assert_eq!(body, r#"{"a":"[redacted]","b":1}"#);
    }

    #[test]
    fn a_body_without_the_token_stays_as_it_came() {
        for body in [r#"{"b": 1.50,   "a": "x"}"#, "<html>", "\u{fffd}"] {
            assert_eq!(cleaned(body), body);
        }
        let binary = Bytes::from_static(b"\xff\xfe");
        assert_eq!(redaction().body(&binary).0, binary);
    }

    #[test]
    fn a_body_with_a_byte_order_mark_is_read_without_the_token() {
        let (body, value) = redaction().body(&Bytes::from(format!("\u{feff}{{\"error\": \"bad {SECRET}\"}}")));
        assert_eq!(body, "\u{feff}{\"error\": \"bad [redacted]\"}");
        assert_eq!(value, Some(json!({"error": "bad [redacted]"})));
    }

    #[test]
    fn no_error_of_serde_quotes_its_input() {
        let quoting: [serde_json::Error; 4] = [
            serde_json::from_str::<u8>("\"hush-hush\"").unwrap_err(),
            serde_json::from_str::<Vec<u8>>("[\"hush-hush, expected \"]").unwrap_err(),
            serde_json::from_str::<std::net::Ipv4Addr>("\"hush-hush\"").unwrap_err(),
            serde::de::Error::custom("odd hush-hush, expected hush-hush"),
        ];
        for error in quoting {
            let cleaned = Redaction::of([]).error(&error);
            assert!(!format!("{cleaned} {cleaned:?}").contains("hush"), "{cleaned}");
        }
        let error = serde_json::from_str::<u8>("\"x\"").unwrap_err();
        assert_eq!(redaction().error(&error).to_string(), "unexpected value: expected u8 at line 1 column 3");
        let error = serde_json::from_str::<Value>("{\"a\"").unwrap_err();
        assert_eq!(redaction().error(&error).to_string(), error.to_string());
    }

    #[test]
    fn the_chain_of_a_foreign_error_is_kept_as_text() {
        let inner = std::io::Error::other(format!("refused\n{SECRET}"));
        let outer = std::io::Error::other(WithSource(inner));
        let error = redaction().error(&outer);
        assert_eq!(error.to_string(), "outer");
        assert_eq!(error.source().unwrap().to_string(), "refused [redacted]");
        assert!(!format!("{error:?} {error:#?}").contains("Hush"), "{error:?}");
    }

    #[derive(Debug)]
    struct WithSource(std::io::Error);

    impl fmt::Display for WithSource {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl StdError for WithSource {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_no_secret_stays(before in ".{0,12}", secret in ".{4,12}", after in ".{0,12}") {
            let redaction = Redaction::of([&secret.clone().into()]);
            let clean = redaction.clean(&format!("{before}{secret}{after}"));
            // A secret that is part of the replacement is no secret.
            prop_assume!(!REDACTED.contains(&secret));
            prop_assert!(clean.contains(REDACTED));
            let escaped = serde_json::to_string(&secret).unwrap();
            let clean = redaction.clean(&format!("{{\"a\": {escaped}"));
            prop_assert_eq!(clean, "{\"a\": \"[redacted]\"");
        }

        #[test]
        fn a_percent_encoded_secret_is_found(secret in "[a-z+/=%&ü ]{4,12}") {
            let encoded = percent_encoding::utf8_percent_encode(&secret, percent_encoding::NON_ALPHANUMERIC).to_string();
            // In letters that no secret has: a part of the URL could be one, too.
            let clean = Redaction::of([&secret.into()]).clean(&format!("HTTPS://A.EXAMPLE/Q{encoded}"));
            prop_assert_eq!(clean, "HTTPS://A.EXAMPLE/Q[redacted]");
        }
    }
}
