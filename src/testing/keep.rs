//! The list of what a recording keeps as it is.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::HeaderName;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Members and parameters of which a list needs the numbers to be read on, at the vendors of this crate.
const PAGING: [&str; 10] = [
    "count",
    "current_page",
    "limit",
    "offset",
    "page",
    "page_size",
    "per_page",
    "totalItems",
    "total_count",
    "total_pages",
];
/// No page, offset or count has more digits; a phone number has.
const MAX_PAGING_DIGITS: usize = 6;
/// What the name of a value contains that is never kept, in lower case and without separators.
const SECRET_NAMES: [&str; 9] =
    ["apikey", "auth", "cookie", "credential", "passphrase", "passwd", "password", "secret", "token"];

/// What a [recording](super::Recording) keeps as it is: the values of JSON members, of query parameters and of headers that are
/// named here. Everything else is replaced.
///
/// Names are compared exactly, those of headers in either case. A member is kept wherever it stands, if it is text, a number,
/// or a list of them; an object in it is treated member by member. The values of names such as `password`, `access_token` or
/// `Authorization` are replaced even if they are named here, and so is every value that contains a credential of the client.
///
/// The default keeps no text: only the numbers that paging needs, such as `limit`, `page` and `totalItems`, up to six digits.
///
/// ```
/// use servicebay::testing::Keep;
///
/// let keep = Keep::default().with_members(["status", "currency"]).with_query(["expand"]).with_headers(["x-api-version"]);
/// # let _ = keep;
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    paging: bool,
    members: BTreeSet<String>,
    query: BTreeSet<String>,
    headers: BTreeSet<String>,
    path_segments: BTreeSet<String>,
}

impl Keep {
    /// Keeps nothing. Lists of several pages cannot be replayed from such a recording.
    pub fn nothing() -> Self {
        Self { paging: false, ..Self::default() }
    }

    /// Keeps the values of these JSON members, in the bodies of requests and responses.
    #[must_use]
    pub fn with_members<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.members.extend(names.into_iter().map(Into::into));
        self
    }

    /// Keeps the values of these query parameters. A replayed request must have the same ones.
    #[must_use]
    pub fn with_query<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.query.extend(names.into_iter().map(Into::into));
        self
    }

    /// Keeps these headers of responses, besides those that the client reads.
    #[must_use]
    pub fn with_headers<T: Into<String>>(mut self, names: impl IntoIterator<Item = T>) -> Self {
        self.headers.extend(names.into_iter().map(|name| name.into().to_ascii_lowercase()));
        self
    }

    /// Keeps these words in paths, besides those of the operations of this crate: for endpoints that are not modeled, and for the
    /// path of a gateway.
    #[must_use]
    pub fn with_path_segments<T: Into<String>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.path_segments.extend(words.into_iter().map(Into::into));
        self
    }

    /// Whether the value of a JSON member is kept; of a list, each of its items is asked for.
    pub(crate) fn keeps_member(&self, name: &str, value: &Value) -> bool {
        let digits = || matches!(value, Value::Number(number) if is_paging_number(&number.to_string()));
        (self.members.contains(name) && !is_secret_name(name)) || (self.paging && PAGING.contains(&name) && digits())
    }

    /// Whether the value of a query parameter is kept.
    pub(crate) fn keeps_parameter(&self, name: &str, value: &str) -> bool {
        (self.query.contains(name) && !is_secret_name(name))
            || (self.paging && PAGING.contains(&name) && is_paging_number(value))
    }

    pub(crate) fn keeps_header(&self, name: &HeaderName) -> bool {
        self.headers.contains(name.as_str()) && !is_secret_name(name.as_str())
    }

    /// Whether a part of a path is a word of an API, and not an id.
    pub(crate) fn keeps_path_segment(&self, segment: &str) -> bool {
        PATH_WORDS.contains(segment) || self.path_segments.contains(segment)
    }
}

impl Default for Keep {
    fn default() -> Self {
        let none = BTreeSet::new;
        Self { paging: true, members: none(), query: none(), headers: none(), path_segments: none() }
    }
}

/// The fixed parts of the paths of all operations and of the base URLs.
static PATH_WORDS: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let operations: [&[&crate::Operation]; 4] = [
        #[cfg(feature = "fentu")]
        crate::fentu::operations::ALL,
        #[cfg(not(feature = "fentu"))]
        &[],
        #[cfg(feature = "fisikal")]
        crate::fisikal::operations::ALL,
        #[cfg(not(feature = "fisikal"))]
        &[],
        #[cfg(feature = "fixably")]
        crate::fixably::operations::ALL,
        #[cfg(not(feature = "fixably"))]
        &[],
        #[cfg(feature = "repairy")]
        crate::repairy::operations::ALL,
        #[cfg(not(feature = "repairy"))]
        &[],
    ];
    let paths = operations.into_iter().flatten().map(|operation| operation.path());
    // The last are those of the base URLs and of token requests.
    let others = ["/api/v1", "/v2/v3", "/oauth/token", "/oauth/revoke", "/auth/refresh", "/api/unified/sessions/auth"];
    paths.chain(others).flat_map(|path| path.split('/')).filter(|word| !word.contains('{')).collect()
});

fn is_paging_number(text: &str) -> bool {
    (1..=MAX_PAGING_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a name says that its value is a credential.
pub(crate) fn is_secret_name(name: &str) -> bool {
    let letters: String = name.chars().filter(|c| c.is_ascii_alphanumeric()).collect();
    let letters = letters.to_ascii_lowercase();
    SECRET_NAMES.iter().any(|secret| letters.contains(secret))
}

/// The names that stand for themselves: identifiers. A name that looks like data is the key of a map, such as an address.
pub(crate) fn is_identifier(name: &str) -> bool {
    /// More digits than a name such as `address_line_2` has look like an id or a token.
    const MAX_DIGITS: usize = 3;
    const MAX_LENGTH: usize = 48;
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts_well
        && name.len() <= MAX_LENGTH
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && name.bytes().filter(u8::is_ascii_digit).count() <= MAX_DIGITS
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_default_keeps_the_numbers_of_paging_and_no_text() {
        let keep = Keep::default();
        assert!(keep.keeps_member("totalItems", &json!(140)) && keep.keeps_parameter("offset", "25"));
        assert!(!keep.keeps_member("count", &json!(412_345_678)) && !keep.keeps_parameter("page", "Jane"));
        assert!(!keep.keeps_member("limit", &json!("25")) && !keep.keeps_member("status", &json!(1)));
        assert!(!Keep::nothing().keeps_member("totalItems", &json!(140)));
    }

    #[test]
    fn names_of_credentials_are_never_kept() {
        let names = ["password", "access_token", "clientSecret", "API-Key", "Set-Cookie", "authorization"];
        let keep = Keep::default().with_members(names).with_query(names).with_headers(names);
        for name in names {
            assert!(!keep.keeps_member(name, &json!("x")) && !keep.keeps_parameter(name, "x"), "{name}");
            assert!(!keep.keeps_header(&name.parse().unwrap()), "{name}");
        }
        let keep = keep.with_headers(["X-Version"]);
        assert!(keep.keeps_header(&HeaderName::from_static("x-version")));
    }

    #[test]
    fn words_of_the_apis_are_kept_in_paths_and_ids_are_not() {
        let keep = Keep::default().with_path_segments(["reports"]);
        for word in ["api", "v3", "orders", "work-orders", "reports"] {
            assert!(keep.keeps_path_segment(word), "{word}");
        }
        for id in ["20000010", "jane", "{id}", "Orders"] {
            assert!(!keep.keeps_path_segment(id), "{id}");
        }
    }

    #[test]
    fn names_that_look_like_data_are_no_identifiers() {
        for name in ["id", "address_line_2", "totalItems", "_id"] {
            assert!(is_identifier(name), "{name}");
        }
        for name in ["", "jane@mail.example", "0412345678", "k8f7a6e5d4", "Jane Doe", "a-b", &"x".repeat(49)] {
            assert!(!is_identifier(name), "{name}");
        }
    }
}
