//! Reads the `Authorization` header of a request.

use http::header::{AUTHORIZATION, HeaderMap};

/// How the client of a request identified itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenSeen {
    /// `Authorization: Bearer ...`
    Bearer,
    /// A raw value in `Authorization`.
    Legacy,
    /// A session token in a header of the vendor.
    Session,
    /// No token in any header.
    None,
}

/// The content of `Authorization`, valid or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Authorization<'a> {
    pub(crate) seen: TokenSeen,
    /// The token without its scheme. Empty if the header is missing, occurs twice, or is not text.
    pub(crate) value: &'a str,
}

impl<'a> Authorization<'a> {
    pub(crate) fn of(headers: &'a HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let Some(first) = values.next() else { return Self { seen: TokenSeen::None, value: "" } };
        let Ok(text) = first.to_str() else { return Self { seen: TokenSeen::Legacy, value: "" } };
        let (seen, value) = match text.split_once(' ') {
            Some((scheme, value)) if scheme.eq_ignore_ascii_case("bearer") => (TokenSeen::Bearer, value),
            _ => (TokenSeen::Legacy, text),
        };
        Self { seen, value: if values.next().is_none() { value } else { "" } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[&str]) -> (TokenSeen, String) {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().expect("a header"));
        }
        let Authorization { seen, value } = Authorization::of(&headers);
        (seen, value.to_owned())
    }

    #[test]
    fn a_token_is_separated_from_its_scheme() {
        for (values, seen, value) in [
            ([].as_slice(), TokenSeen::None, ""),
            (&["Bearer abc"], TokenSeen::Bearer, "abc"),
            (&["bEARER abc"], TokenSeen::Bearer, "abc"),
            (&["Bearer"], TokenSeen::Legacy, "Bearer"),
            (&["abc"], TokenSeen::Legacy, "abc"),
            (&["Bearer abc", "Bearer def"], TokenSeen::Bearer, ""),
        ] {
            assert_eq!(of(values), (seen, value.to_owned()), "{values:?}");
        }
    }
}
