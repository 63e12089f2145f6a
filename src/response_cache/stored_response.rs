//! A response as it is kept in memory, and what becomes of it when the vendor confirms it: RFC 9111, sections 3 and 4.3. Pure.

use std::fmt;

use bytes::Bytes;
use http::header::{
    AGE, CONNECTION, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED,
    RETRY_AFTER, VARY,
};

use super::cacheable_request::distinguishes;
use super::directives::Directives;
use super::freshness::{Freshness, Moment, http_date};

/// Headers of one connection, which say nothing about the response.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authentication-info",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// The beginnings of the names of headers that describe the rate limit, which is another one when the response is used again.
const RATE_LIMIT: [&str; 3] = ["ratelimit", "x-rate-limit", "x-ratelimit"];
/// What the bookkeeping of one response takes, about.
const OVERHEAD: usize = 512;

/// A response with status 200. Its parts share no memory with the buffers of a connection.
pub(crate) struct StoredResponse {
    headers: Box<[(HeaderName, HeaderValue)]>,
    body: Bytes,
    freshness: Freshness,
}

impl StoredResponse {
    /// The response to a request that was sent then; `None` if it must not be stored, or if nothing would be gained.
    pub(super) fn new(headers: &HeaderMap, body: &[u8], requested: Moment) -> Option<Self> {
        let freshness = Freshness::of(headers, requested)?;
        Self::keep(headers, freshness, || Bytes::copy_from_slice(body))
    }

    /// This response after the vendor has confirmed it, with the headers that it has now; `None` if it must not be stored any
    /// more.
    pub(super) fn confirmed(&self, updated: &HeaderMap, confirmation: &HeaderMap, requested: Moment) -> Option<Self> {
        let freshness = self.freshness.confirmed(updated, confirmation, requested)?;
        Self::keep(updated, freshness, || self.body.clone())
    }

    fn keep(headers: &HeaderMap, freshness: Freshness, body: impl FnOnce() -> Bytes) -> Option<Self> {
        let varies = headers.get_all(VARY).iter();
        let is_distinguished = varies.map(HeaderValue::to_str).all(|vary| vary.is_ok_and(distinguishes));
        let is_useful = freshness.is_ever_fresh() || etag(headers).is_some() || last_modified(headers).is_some();
        if !is_distinguished || !is_useful {
            return None;
        }
        let named: Vec<_> = headers.get_all(CONNECTION).iter().filter_map(|names| names.to_str().ok()).collect();
        let of_connection = |name: &str| {
            named.iter().flat_map(|names| names.split(',')).any(|other| other.trim().eq_ignore_ascii_case(name))
        };
        let kept = headers.iter().filter(|(name, _)| is_kept(name) && !of_connection(name.as_str()));
        Some(Self { headers: kept.map(|(name, value)| copied(name, value)).collect(), body: body(), freshness })
    }

    /// The headers, as a caller gets them now.
    pub(super) fn headers(&self, now: Moment) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(self.headers.len() + 1);
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        headers.insert(AGE, self.freshness.age(now).as_secs().into());
        headers
    }

    pub(crate) fn body(&self) -> &Bytes {
        &self.body
    }

    /// Whether a caller with these wishes may get it without the vendor being asked.
    pub(super) fn is_fresh(&self, now: Moment, wishes: &Directives) -> bool {
        self.freshness.is_fresh(now, wishes)
    }

    /// Whether a caller may get it in place of an error.
    pub(super) fn may_replace_error(&self, now: Moment) -> bool {
        self.freshness.may_replace_error(now)
    }

    /// Whether the vendor can be asked if it still holds.
    pub(super) fn is_confirmable(&self) -> bool {
        self.value(&ETAG).and_then(entity_tag).is_some() || self.value(&LAST_MODIFIED).and_then(http_date).is_some()
    }

    /// Adds the headers that ask the vendor whether it still holds.
    pub(crate) fn add_validators(&self, headers: &mut HeaderMap) {
        if let Some(etag) = self.value(&ETAG).filter(|etag| entity_tag(etag).is_some()) {
            headers.insert(IF_NONE_MATCH, etag.clone());
        }
        if let Some(modified) = self.value(&LAST_MODIFIED).filter(|modified| http_date(modified).is_some()) {
            headers.insert(IF_MODIFIED_SINCE, modified.clone());
        }
    }

    /// Whether a 304 with these headers is about this response. One that names another version is not.
    pub(crate) fn is_confirmed_by(&self, confirmation: &HeaderMap) -> bool {
        let sent = |name: &HeaderName| confirmation.get(name).and_then(|value| value.to_str().ok());
        let own = |name: &HeaderName| self.value(name).and_then(|value| value.to_str().ok());
        match (own(&ETAG), sent(&ETAG)) {
            (Some(own), Some(sent)) => own.trim_start_matches("W/") == sent.trim_start_matches("W/"),
            _ => own(&LAST_MODIFIED).zip(sent(&LAST_MODIFIED)).is_none_or(|(own, sent)| own == sent),
        }
    }

    /// The headers after a confirmation, which replaces those that are not about the body. The age is the confirmation's.
    pub(super) fn updated_headers(&self, confirmation: &HeaderMap, now: Moment) -> HeaderMap {
        let mut headers = self.headers(now);
        headers.remove(AGE);
        for name in confirmation.keys().filter(|name| !is_about_body(name)) {
            headers.remove(name);
            for value in confirmation.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        headers
    }

    /// How much memory it takes under this key, about, in bytes.
    pub(super) fn size(&self, key: &str) -> usize {
        let header = |(name, value): &(HeaderName, HeaderValue)| {
            name.as_str().len() + value.len() + size_of::<(HeaderName, HeaderValue)>()
        };
        self.headers.iter().map(header).sum::<usize>() + self.body.len() + key.len() + OVERHEAD
    }

    fn value(&self, name: &HeaderName) -> Option<&HeaderValue> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value)
    }
}

/// No header and no body: both may name customers.
impl fmt::Debug for StoredResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredResponse")
            .field("body", &format_args!("{} bytes", self.body.len()))
            .field("freshness", &self.freshness)
            .finish_non_exhaustive()
    }
}

/// Whether a header is worth keeping. The age is counted on.
fn is_kept(name: &HeaderName) -> bool {
    let text = name.as_str();
    !HOP_BY_HOP.contains(&text)
        && !RATE_LIMIT.iter().any(|prefix| text.starts_with(prefix))
        && *name != AGE
        && *name != RETRY_AFTER
}

/// Whether a header describes the body, and not the response. A 304 has no body, but servers describe it nevertheless.
fn is_about_body(name: &HeaderName) -> bool {
    let name = name.as_str();
    (name.starts_with("content-") && name != "content-location") || HOP_BY_HOP.contains(&name)
}

/// A copy that does not keep the buffer alive that the header was read from.
fn copied(name: &HeaderName, value: &HeaderValue) -> (HeaderName, HeaderValue) {
    let name_copy = HeaderName::from_bytes(name.as_str().as_bytes()).unwrap_or_else(|_| name.clone());
    (name_copy, HeaderValue::from_bytes(value.as_bytes()).unwrap_or_else(|_| value.clone()))
}

fn etag(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(ETAG).and_then(entity_tag)
}

fn last_modified(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(LAST_MODIFIED).filter(|modified| http_date(modified).is_some())
}

/// An `ETag` that can be sent back: in quotes, so that it is neither a list nor `*`, which every version matches.
fn entity_tag(value: &HeaderValue) -> Option<&HeaderValue> {
    let text = value.to_str().ok()?;
    let inner = text.strip_prefix("W/").unwrap_or(text).strip_prefix('"')?.strip_suffix('"')?;
    (!inner.contains(['"', ' '])).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn now() -> Moment {
        Moment::now(Clock::System)
    }

    fn headers(headers: &[(&str, &str)]) -> HeaderMap {
        let header = |(name, value): &(&str, &str)| {
            (name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        headers.iter().map(header).collect()
    }

    fn stored(fields: &[(&str, &str)]) -> Option<StoredResponse> {
        StoredResponse::new(&headers(fields), b"body", now())
    }

    const MODIFIED: &str = "Sun, 06 Nov 1994 12:00:00 GMT";

    #[test]
    fn what_is_neither_fresh_nor_confirmable_is_not_stored() {
        for (fields, is_stored) in [
            (&[][..], false),
            (&[("cache-control", "max-age=1")], true),
            (&[("cache-control", "max-age=0")], false),
            (&[("cache-control", "max-age=60"), ("age", "60")], false),
            (&[("cache-control", "no-cache, max-age=60")], false),
            (&[("cache-control", "no-cache"), ("etag", "\"1\"")], true),
            (&[("cache-control", "no-store"), ("etag", "\"1\"")], false),
            (&[("etag", "W/\"1\"")], true),
            (&[("etag", "\"\"")], true),
            // None of these can be sent back as one version.
            (&[("etag", "*")], false),
            (&[("etag", "1")], false),
            (&[("etag", "\"1\", \"2\"")], false),
            (&[("etag", "\"1")], false),
            (&[("etag", "\"\u{e9}\"")], false),
            (&[("last-modified", MODIFIED)], true),
            (&[("last-modified", "yesterday")], false),
            (&[("etag", "\"1\""), ("vary", "accept, authorization")], true),
            (&[("etag", "\"1\""), ("vary", "*")], false),
            (&[("etag", "\"1\""), ("vary", "accept"), ("vary", "x-request-id")], false),
            (&[("etag", "\"1\""), ("vary", "\u{e9}")], false),
        ] {
            assert_eq!(stored(fields).is_some(), is_stored, "{fields:?}");
        }
    }

    #[test]
    fn headers_of_the_connection_and_of_the_rate_limit_are_not_kept() {
        let fields = [
            ("cache-control", "max-age=60"),
            ("age", "7"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("keep-alive", "1"),
            ("x-ratelimit-remaining", "0"),
            ("ratelimit", "x"),
            ("retry-after", "9"),
            ("link", "a"),
            ("link", "b"),
            ("x-request-id", "r"),
        ];
        let kept = stored(&fields).unwrap().headers(now());
        let expected =
            [("cache-control", "max-age=60"), ("link", "a"), ("link", "b"), ("x-request-id", "r"), ("age", "7")];
        assert_eq!(kept, headers(&expected));
    }

    #[test]
    fn the_validators_are_sent_back_as_they_came() {
        let mut sent = HeaderMap::new();
        stored(&[("etag", "W/\"1\""), ("last-modified", MODIFIED)]).unwrap().add_validators(&mut sent);
        assert_eq!(sent, headers(&[("if-none-match", "W/\"1\""), ("if-modified-since", MODIFIED)]));
        let mut sent = HeaderMap::new();
        stored(&[("cache-control", "max-age=1"), ("etag", "*")]).unwrap().add_validators(&mut sent);
        assert!(sent.is_empty());
    }

    #[test]
    fn a_confirmation_of_another_version_is_none() {
        let both = [("etag", "W/\"1\""), ("last-modified", MODIFIED)];
        for (fields, confirmation, is_confirmed) in [
            (&both[..], &[][..], true),
            (&both, &[("etag", "W/\"1\"")], true),
            (&both, &[("etag", "\"1\""), ("last-modified", "another")], true),
            (&both, &[("etag", "\"2\"")], false),
            (&both, &[("last-modified", "Mon, 07 Nov 1994 12:00:00 GMT")], false),
            (&both[1..], &[("etag", "\"2\"")], true),
            (&both[1..], &[("last-modified", MODIFIED)], true),
        ] {
            assert_eq!(
                stored(fields).unwrap().is_confirmed_by(&headers(confirmation)),
                is_confirmed,
                "{confirmation:?}"
            );
        }
    }

    #[test]
    fn a_confirmation_updates_the_headers_that_are_not_about_the_body() {
        let fields =
            [("etag", "\"1\""), ("content-type", "application/json"), ("link", "a"), ("link", "b"), ("x-old", "1")];
        let response = stored(&fields).unwrap();
        let confirmation = headers(&[
            ("content-type", "text/html"),
            ("content-length", "0"),
            ("content-location", "/1"),
            ("cache-control", "max-age=60"),
            ("link", "c"),
            ("age", "20"),
            ("x-ratelimit-remaining", "3"),
        ]);
        let updated = response.updated_headers(&confirmation, now());
        let expected = [
            ("etag", "\"1\""),
            ("content-type", "application/json"),
            ("x-old", "1"),
            ("content-location", "/1"),
            ("cache-control", "max-age=60"),
            ("link", "c"),
            ("age", "20"),
            ("x-ratelimit-remaining", "3"),
        ];
        assert_eq!(updated, headers(&expected));
        let confirmed = response.confirmed(&updated, &confirmation, now()).unwrap();
        assert_eq!(confirmed.body(), "body");
        assert!(confirmed.is_fresh(now(), &Directives::default()));
        assert_eq!(confirmed.headers(now()).get("x-ratelimit-remaining"), None);
        assert_eq!(confirmed.headers(now())[AGE], "20");
    }

    #[test]
    fn the_size_counts_all_that_is_kept() {
        let response = stored(&[("cache-control", "max-age=60")]).unwrap();
        let fixed = response.size("");
        assert!(fixed >= OVERHEAD + "cache-control".len() + "max-age=60".len() + "body".len());
        assert_eq!(response.size("key"), fixed + 3);
    }
}
