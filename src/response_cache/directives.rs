//! Reads `Cache-Control`: pure, and never more generous than what was sent.

use std::time::Duration;

use http::header::HeaderValue;

/// The most seconds that are believed, as RFC 9111 (section 1.2.2) recommends.
const MAX_SECONDS: u64 = 1 << 31;

/// The directives that a private cache obeys. Those for shared caches, such as `private`, `public` and `s-maxage`, do not apply.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    pub(super) no_store: bool,
    pub(super) no_cache: bool,
    pub(super) must_revalidate: bool,
    /// The least of them if there are several. Zero if it cannot be read.
    pub(super) max_age: Option<Duration>,
    /// The longest of them if there are several. Endless if it cannot be read.
    pub(super) min_fresh: Option<Duration>,
    /// The least of them if there are several. Zero if it cannot be read.
    pub(super) stale_if_error: Option<Duration>,
}

impl Directives {
    /// The directives of all headers `Cache-Control` of a message.
    pub(super) fn read<'a>(headers: impl IntoIterator<Item = &'a HeaderValue>) -> Self {
        let mut directives = Self::default();
        for header in headers {
            // What comes behind a quotation mark that is never closed cannot be read. It may be anything.
            directives.no_store |= header.as_bytes().iter().filter(|byte| **byte == b'"').count() % 2 == 1;
            split(header.as_bytes()).for_each(|directive| directives.add(directive));
        }
        directives
    }

    fn add(&mut self, directive: &[u8]) {
        let (name, argument) = match directive.iter().position(|byte| *byte == b'=') {
            Some(equals) => (&directive[..equals], &directive[equals + 1..]),
            None => (directive, &[][..]),
        };
        let least = |before: Option<Duration>| {
            let found = seconds(argument).unwrap_or_default();
            Some(before.map_or(found, |before| before.min(found)))
        };
        match name.trim_ascii().to_ascii_lowercase().as_slice() {
            b"no-store" => self.no_store = true,
            // With the names of fields it would hold for these alone. For the whole response it is stricter.
            b"no-cache" => self.no_cache = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"max-age" => self.max_age = least(self.max_age),
            b"stale-if-error" => self.stale_if_error = least(self.stale_if_error),
            b"min-fresh" => {
                self.min_fresh =
                    Some(seconds(argument).unwrap_or(Duration::MAX).max(self.min_fresh.unwrap_or_default()));
            }
            _ => {}
        }
    }
}

/// The elements of a list, without commas in quotes.
fn split(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_quoted = false;
    list.split(move |byte| {
        is_quoted ^= *byte == b'"';
        *byte == b',' && !is_quoted
    })
}

/// A number of seconds, in quotes or not; `None` if it is something else.
pub(super) fn seconds(text: &[u8]) -> Option<Duration> {
    let text = text.trim_ascii();
    let text = text.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")).unwrap_or(text);
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digit = |sum: u64, digit: &u8| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    Some(Duration::from_secs(text.iter().fold(0, digit).min(MAX_SECONDS)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn read(values: &[&str]) -> Directives {
        let values: Vec<_> = values.iter().map(|value| HeaderValue::from_bytes(value.as_bytes()).unwrap()).collect();
        Directives::read(&values)
    }

    #[test]
    fn directives_are_read_in_any_case_and_from_several_headers() {
        let mixed = read(&["Max-Age=60 , MUST-Revalidate", "private, No-Cache=\"a, b\", stale-if-error = \"60\""]);
        let expected = Directives {
            max_age: Some(MINUTE),
            must_revalidate: true,
            no_cache: true,
            stale_if_error: Some(MINUTE),
            ..Directives::default()
        };
        assert_eq!(mixed, expected);
        assert!(read(&["NO-STORE"]).no_store);
    }

    #[test]
    fn a_directive_in_quotes_is_none() {
        assert_eq!(read(&["x=\"max-age=60, no-store\""]), Directives::default());
    }

    #[test]
    fn a_quotation_mark_that_is_never_closed_hides_nothing() {
        assert!(read(&["x=\"a, no-store"]).no_store);
        assert!(read(&["max-age=60\", x"]).no_store);
    }

    #[test]
    fn of_several_values_the_strictest_counts() {
        assert_eq!(read(&["max-age=600, max-age=60", "max-age=3600"]).max_age, Some(MINUTE));
        assert_eq!(read(&["min-fresh=1, min-fresh=60, min-fresh=2"]).min_fresh, Some(MINUTE));
        assert_eq!(read(&["max-age=60, max-age=x"]).max_age, Some(Duration::ZERO));
    }

    #[test]
    fn a_number_that_cannot_be_read_makes_nothing_fresh() {
        for number in ["", "-1", "1.5", "x", "60s", "6 0", "\"\"", "\u{661}"] {
            let read = read(&[&format!("max-age={number}, min-fresh={number}")]);
            assert_eq!((read.max_age, read.min_fresh), (Some(Duration::ZERO), Some(Duration::MAX)), "{number}");
        }
        assert_eq!(read(&["max-age"]).max_age, Some(Duration::ZERO));
    }

    #[test]
    fn a_number_without_an_end_is_a_long_time() {
        let long = "9".repeat(400);
        assert_eq!(read(&[&format!("max-age={long}")]).max_age, Some(Duration::from_secs(MAX_SECONDS)));
    }

    proptest! {
        #[test]
        fn no_header_breaks_the_reader(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let read = Directives::read([&value]);
                prop_assert!(read.max_age.is_none_or(|age| age.as_secs() <= MAX_SECONDS));
            }
        }
    }
}
