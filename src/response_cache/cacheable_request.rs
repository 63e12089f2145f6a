//! Which requests the cache may serve, and under which key: pure.

use std::fmt::Write as _;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, HeaderValue, PRAGMA};
use url::Url;

use super::directives::Directives;
use crate::call_headers::CallHeaders;

/// Headers with which a caller asks for something that the cache has no part in.
const BYPASSING: [&str; 6] =
    ["if-match", "if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "range"];

/// Headers that differ from call to call and select no other response. A response that depends on one of them is not stored.
const IGNORED: [&str; 14] = [
    "b3",
    "baggage",
    "cache-control",
    "pragma",
    "sentry-trace",
    "traceparent",
    "tracestate",
    "uber-trace-id",
    "x-amzn-trace-id",
    "x-b3-sampled",
    "x-b3-spanid",
    "x-b3-traceid",
    "x-correlation-id",
    "x-request-id",
];

/// A request that a stored response may serve.
pub(super) struct CacheableRequest {
    /// Identifies the response: the URL and every header of the caller's that may select another one. May hold secrets of the
    /// caller's.
    pub(super) key: Arc<str>,
    /// Whether a stored response may be used. If not, the response is stored all the same.
    pub(super) reads: bool,
    pub(super) wishes: Directives,
}

impl CacheableRequest {
    /// A GET with these headers of the caller's; `None` if the cache has no part in it. `owner` is the beginning of the key.
    pub(super) fn new(owner: &str, url: &Url, headers: Option<&CallHeaders>) -> Option<Self> {
        let mut key = String::with_capacity(owner.len() + url.as_str().len());
        key.push_str(owner);
        key.push_str(url.as_str());
        let Some(headers) = headers else {
            return Some(Self { key: key.into(), reads: true, wishes: Directives::default() });
        };
        let mut selecting: Vec<_> = headers.iter().filter(|(name, _)| !IGNORED.contains(name)).collect();
        if selecting.iter().any(|(name, _)| BYPASSING.contains(name)) {
            return None;
        }
        selecting.sort_unstable();
        for (name, value) in selecting {
            // A header has no line breaks, so different headers make different keys.
            let _ = write!(key, "\n{name}:{value}");
        }
        let value = |wanted: &str| headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        let control = value(CACHE_CONTROL.as_str()).and_then(|value| HeaderValue::from_str(value).ok());
        let wishes = Directives::read(&control);
        if wishes.no_store {
            return None;
        }
        let refuses = value(PRAGMA.as_str()).is_some_and(|pragma| pragma.to_ascii_lowercase().contains("no-cache"));
        Some(Self { key: key.into(), reads: !wishes.no_cache && !refuses, wishes })
    }
}

/// Whether the key of a request distinguishes everything that the response depends on, according to its header `Vary`. The
/// token does: a client has the responses of one login.
pub(super) fn distinguishes(vary: &str) -> bool {
    vary.split(',')
        .map(str::trim)
        .all(|name| name != "*" && IGNORED.iter().all(|ignored| !name.eq_ignore_ascii_case(ignored)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(path: &str, headers: &[(&str, &str)]) -> Option<CacheableRequest> {
        let mut set = CallHeaders::default();
        headers.iter().for_each(|(name, value)| set.set(name, value));
        let url = format!("https://acme.example/{path}").parse().unwrap();
        CacheableRequest::new("1.0 ", &url, Some(&set))
    }

    fn key(path: &str, headers: &[(&str, &str)]) -> String {
        request(path, headers).unwrap().key.to_string()
    }

    #[test]
    fn the_key_has_the_url_and_the_headers_in_any_order() {
        assert_eq!(key("a?b=c", &[]), "1.0 https://acme.example/a?b=c");
        let (one, other) = (("x-a", "1"), ("Accept", "text/csv"));
        assert_eq!(key("a", &[one, other]), key("a", &[other, one]));
        let keys =
            [key("a", &[]), key("a", &[one]), key("a", &[("x-a", "2")]), key("a", &[other]), key("a?x-a:1", &[])];
        for (index, found) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(found), "{found}");
        }
        let url = "https://acme.example/a".parse().unwrap();
        let bare = CacheableRequest::new("1.0 ", &url, None).unwrap();
        assert_eq!(*bare.key, key("a", &[]));
    }

    #[test]
    fn headers_that_trace_a_call_make_no_other_key() {
        for name in IGNORED {
            assert_eq!(key("a", &[(name, "1")]), key("a", &[]), "{name}");
            assert!(!distinguishes(&format!("accept, {}", name.to_uppercase())), "{name}");
        }
        assert!(distinguishes("Accept, Authorization,, x-anything"));
        assert!(!distinguishes("accept, *"));
    }

    #[test]
    fn a_caller_that_asks_for_a_fresh_response_gets_one_and_has_it_stored() {
        for (name, value) in [("cache-control", "No-Cache"), ("cache-control", "x, no-cache"), ("pragma", "no-cache")] {
            assert!(!request("a", &[(name, value)]).unwrap().reads, "{name}: {value}");
        }
        assert!(request("a", &[("cache-control", "max-age=5")]).unwrap().reads);
    }

    #[test]
    fn the_cache_has_no_part_in_conditions_parts_and_what_must_not_be_stored() {
        for name in BYPASSING {
            assert!(request("a", &[(name, "x")]).is_none(), "{name}");
        }
        assert!(request("a", &[("cache-control", "no-store")]).is_none());
    }
}
