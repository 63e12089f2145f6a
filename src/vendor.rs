//! What differs from vendor to vendor, as data: the runtime reads it and names no vendor.

use http::HeaderMap;
use serde_json::Value;

/// The facts of a vendor that the runtime needs.
#[derive(Debug)]
pub(crate) struct Vendor {
    /// The module's name, as errors and events say it.
    pub(crate) name: &'static str,
    /// Where a tenant lives, with `{tenant}` in place of its name; empty where the vendor does not publish it.
    pub(crate) base_url: &'static str,
    /// The paths that may end the base URL, where the vendor names two and not which one holds.
    pub(crate) base_paths: &'static [&'static str],
    /// Headers that name a request in the vendor's logs, most specific first.
    pub(crate) request_id_headers: &'static [&'static str],
    /// Whether answers tell of the limit.
    pub(crate) limit_headers: LimitHeaders,
    /// Reads what the vendor says in the body of a refusal.
    pub(crate) explain: fn(&Value) -> Explanation,
    /// Finds what a successful answer is about inside what the vendor may wrap around it, where it may.
    pub(crate) content: Option<Content>,
}

impl Vendor {
    /// Whether each tenant has a host of its own.
    pub(crate) fn has_tenant_hosts(&self) -> bool {
        self.base_url.contains("{tenant}")
    }

    /// The vendor's id of a request, where its answer names one.
    pub(crate) fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        self.request_id_headers.iter().find_map(|name| headers.get(*name)?.to_str().ok())
    }
}

/// Whether a vendor's answers tell of its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitHeaders {
    /// Documented, and enough to go by: what remains, and until when. The first call is worth waiting for.
    Sent,
    /// Not documented, or not enough. What is sent all the same is learnt from.
    Unsure,
}

/// The part of a body that a call was about; nothing where the body is no JSON.
pub(crate) type Content = fn(&[u8]) -> Option<&[u8]>;

/// What a vendor says in the body of a refusal.
#[derive(Debug, Default)]
pub(crate) struct Explanation {
    pub(crate) message: Option<String>,
    pub(crate) code: Option<String>,
    /// Field and complaint.
    pub(crate) fields: Vec<(String, String)>,
}
