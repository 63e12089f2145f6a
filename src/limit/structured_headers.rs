//! Splits structured headers (RFC 9651) into members, names and parameters, as far as limits are written with them.

use std::{iter, mem};

/// A member of a list or of a dictionary, with its parameters, as it was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StructuredMember<'a> {
    pub(super) text: &'a str,
}

/// The members of a list or of a dictionary. Empty ones are left out, as HTTP has it.
pub(super) fn members(text: &str) -> impl Iterator<Item = StructuredMember<'_>> {
    split(text, b',').filter(|text| !text.is_empty()).map(|text| StructuredMember { text })
}

impl<'a> StructuredMember<'a> {
    /// What stands before the parameters.
    pub(super) fn value(self) -> &'a str {
        split(self.text, b';').next().unwrap_or_default()
    }

    /// The value as the name of a policy: the inside of a string, or a token.
    pub(super) fn name(self) -> Option<&'a str> {
        let value = self.value();
        match value.strip_prefix('"') {
            Some(rest) => rest.strip_suffix('"').filter(|inside| is_inside_of_string(inside)),
            None => Some(value).filter(|value| is_token(value)),
        }
    }

    /// Whether the value is in quotes.
    pub(super) fn is_string(self) -> bool {
        self.text.starts_with('"')
    }

    /// The key and the value, if it is a member of a dictionary.
    pub(super) fn entry(self) -> Option<(&'a str, &'a str)> {
        pair(self.value())
    }

    /// The values of the parameters with this key, which occurs once in a header that follows the rules.
    pub(super) fn parameter(self, key: &str) -> impl Iterator<Item = &'a str> {
        split(self.text, b';').skip(1).filter_map(move |parameter| {
            let (other, value) = pair(parameter).unwrap_or((parameter, ""));
            other.eq_ignore_ascii_case(key).then_some(value)
        })
    }
}

fn pair(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let key = key.trim_ascii_end();
    is_token(key).then(|| (key, value.trim_ascii_start()))
}

/// Splits a text at separators outside of strings.
fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    iter::from_fn(move || {
        let text = rest?;
        let (mut is_in_string, mut is_escaped) = (false, false);
        let end = text.bytes().position(|byte| {
            match (mem::take(&mut is_escaped), byte) {
                (false, b'"') => is_in_string = !is_in_string,
                (false, b'\\') => is_escaped = is_in_string,
                _ => {}
            }
            byte == separator && !is_in_string
        });
        rest = end.map(|end| &text[end + 1..]);
        Some(text[..end.unwrap_or(text.len())].trim_ascii())
    })
}

fn is_token(text: &str) -> bool {
    let is_token_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte);
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn is_inside_of_string(text: &str) -> bool {
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let is_valid = match byte {
            b'\\' => matches!(bytes.next(), Some(b'"' | b'\\')),
            b'"' => false,
            _ => matches!(byte, b' '..=b'~'),
        };
        if !is_valid {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Vec<&str> {
        members(text).map(|member| member.text).collect()
    }

    fn member(text: &str) -> StructuredMember<'_> {
        StructuredMember { text }
    }

    #[test]
    fn members_end_at_commas_outside_of_strings() {
        assert_eq!(texts("a, b;c=1 ,d"), ["a", "b;c=1", "d"]);
        assert_eq!(texts(r#""a, b";c=", ",d"#), [r#""a, b";c=", ""#, "d"]);
        assert_eq!(texts(r#""a\", b", c"#), [r#""a\", b""#, "c"]);
        assert_eq!(texts(r#""a\\", b"#), [r#""a\\""#, "b"]);
        assert_eq!(texts(r#"a\", b", c"#), [r#"a\", b""#, "c"], "a backslash escapes in strings only");
        assert_eq!(texts(r#""a, b"#), [r#""a, b"#], "a string that does not end");
    }

    #[test]
    fn empty_members_are_left_out() {
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts(" ,a,, \t,"), ["a"]);
    }

    #[test]
    fn names_are_strings_or_tokens() {
        for (text, name) in [
            ("default;r=1", Some("default")),
            ("*a/b:c;r=1", Some("*a/b:c")),
            (r#""default" ;r=1"#, Some("default")),
            (r#""a;b, c""#, Some("a;b, c")),
            (r#""""#, Some("")),
            (r#"" ~""#, Some(" ~")),
            (r#""a\"\\""#, Some(r#"a\"\\"#)),
            (r#""a\b""#, None),
            (r#""a\""#, None),
            (r#""a"b""#, None),
            (r#""a"b"#, None),
            (r#"""#, None),
            (r#"a"b""#, None),
            ("\"\u{7f}\"", None),
            ("\"\u{1f}\"", None),
            ("\"\u{e9}\"", None),
            ("a b", None),
            ("a=b", None),
            ("", None),
            (";r=1", None),
        ] {
            assert_eq!(member(text).name(), name, "{text:?}");
        }
    }

    #[test]
    fn a_dictionary_has_keys_and_values() {
        for (text, entry) in [
            ("limit=100", Some(("limit", "100"))),
            ("limit = 100;w=1", Some(("limit", "100"))),
            ("limit=", Some(("limit", ""))),
            ("limit=a=b", Some(("limit", "a=b"))),
            ("limit=\"a;b\";c", Some(("limit", "\"a;b\""))),
            ("limit", None),
            ("=100", None),
            ("\"limit=100\"", None),
            ("a;limit=100", None),
        ] {
            assert_eq!(member(text).entry(), entry, "{text:?}");
        }
    }

    #[test]
    fn parameters_are_found_by_their_keys() {
        let values = |text, key| member(text).parameter(key).collect::<Vec<_>>();
        assert_eq!(values("r=1;t=2; r=3 ;R = 4;r", "r"), ["3", "4", ""]);
        assert_eq!(values(r#""a;r=1";note=";r=2";r=3"#, "r"), ["3"]);
        assert_eq!(values("a;pk=:cHsd/Q==:;r=3", "pk"), [":cHsd/Q==:"]);
        assert_eq!(values("a;rr=1;=2", "r"), [""; 0]);
    }
}
