//! Values of path and query parameters, and how they are escaped.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS};

use crate::open::{Open, OpenEnum};

/// What is escaped in a path segment: everything that would end it or change its meaning.
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
/// What is escaped in a query value, beyond that.
pub(super) const QUERY: &AsciiSet = &SEGMENT.add(b'&').add(b'+').add(b'=').add(b'\'');

/// A value that can stand in a path or a query.
pub(crate) trait Param {
    /// The value as text, not yet escaped; or why there is none.
    fn encode(&self) -> Result<Cow<'_, str>, String>;
}

impl<E: OpenEnum> Param for E {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        Ok(Cow::Borrowed(self.as_text()))
    }
}

impl Param for String {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        Ok(Cow::Borrowed(self))
    }
}

/// In a request, a value is known: what the vendor would make of another text, nobody can say.
impl<T: fmt::Display> Param for Open<T> {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        match self {
            Self::Known(value) => Ok(Cow::Owned(value.to_string())),
            Self::Other(text) => Err(format!("{text:?} is no date or time as ISO 8601 writes it")),
        }
    }
}

impl Param for &str {
    fn encode(&self) -> Result<Cow<'_, str>, String> {
        Ok(Cow::Borrowed(self))
    }
}

macro_rules! displayed {
    ($($kind:ty),*) => {$(
        impl Param for $kind {
            fn encode(&self) -> Result<Cow<'_, str>, String> {
                Ok(Cow::Owned(self.to_string()))
            }
        }
    )*};
}

displayed!(bool, i32, i64, u32, u64, f64);

#[cfg(test)]
mod tests {
    use percent_encoding::utf8_percent_encode;
    use url::Url;

    use super::*;

    fn escaped(text: &str, set: &'static AsciiSet) -> String {
        utf8_percent_encode(text, set).to_string()
    }

    #[test]
    fn a_path_segment_cannot_leave_its_place() {
        assert_eq!(escaped("../a b/ü?x#y%", SEGMENT), "..%2Fa%20b%2F%C3%BC%3Fx%23y%25");
    }

    #[test]
    fn a_query_value_cannot_become_a_second_parameter() {
        assert_eq!(escaped("a&b=c+d e", QUERY), "a%26b%3Dc%2Bd%20e");
    }

    #[test]
    fn escaped_text_survives_the_url_parser_unchanged() {
        let hostile = "ü &=+%?#/\\[]{}|^`'\"<>:;,()!*@$~";
        let url = format!("https://a.example/x?q={}", escaped(hostile, QUERY));
        let parsed = Url::parse(&url).unwrap();
        assert_eq!(parsed.query_pairs().next().unwrap().1, hostile);
        assert_eq!(parsed.query_pairs().count(), 1);
    }
}
