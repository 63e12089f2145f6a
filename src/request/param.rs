//! The values of path and query parameters, and their escaping.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS};

use crate::open::Open;

/// What is escaped in a path segment: everything that could end it or change its meaning.
pub(super) const SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'/')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');
/// What is escaped in a query: that, and everything that could end the value.
pub(super) const QUERY: &AsciiSet = &SEGMENT.add(b'&').add(b'+').add(b'=').add(b'\'');

/// A value of a path or query parameter.
pub(crate) trait Param {
    /// The value as text that is not escaped yet, or why the parameter is invalid.
    fn encode(&self) -> Result<Cow<'_, str>, String>;
}

impl Param for String {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        Ok(Cow::Borrowed(self))
    }
}

/// Only a known value is sent: how the vendor would read any other text is not known.
impl<T: fmt::Display> Param for Open<T> {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        match self {
            Self::Known(value) => Ok(Cow::Owned(value.to_string())),
            Self::Other(text) => Err(format!("is {text:?}, which is not an ISO 8601 date or time")),
        }
    }
}

impl Param for &str {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        Ok(Cow::Borrowed(self))
    }
}

macro_rules! param_by_display {
    ($($kind:ty),*) => {$(
        impl Param for $kind {
            fn encode(&self) -> Result<Cow<'_, str>, String> {
                Ok(Cow::Owned(self.to_string()))
            }
        }
    )*};
}

param_by_display!(bool, i32, i64, u32, u64, f64);

#[cfg(test)]
mod tests {
    use percent_encoding::utf8_percent_encode;
    use url::Url;

    use super::*;

    fn escaped(text: &str, set: &'static AsciiSet) -> String {
        utf8_percent_encode(text, set).to_string()
    }

    #[test]
    fn a_path_segment_cannot_escape_from_its_path() {
        assert_eq!(escaped("../a b/ü?x#y%", SEGMENT), "..%2Fa%20b%2F%C3%BC%3Fx%23y%25");
    }

    #[test]
    fn a_query_value_cannot_become_a_second_parameter() {
        assert_eq!(escaped("a&b=c+d e", QUERY), "a%26b%3Dc%2Bd%20e");
    }

    #[test]
    fn escaped_text_survives_the_url_parser_unchanged() {
        let special = "ü &=+%?#/\\[]{}|^`'\"<>:;,()!*@$~";
        let url = format!("https://a.example/x?q={}", escaped(special, QUERY));
        let parsed = Url::parse(&url).unwrap();
        assert_eq!(parsed.query_pairs().next().unwrap().1, special);
        assert_eq!(parsed.query_pairs().count(), 1);
    }
}
