//! The facts in which vendors differ, as data. The runtime reads them and contains no code for a single vendor.

use http::HeaderMap;
use serde_json::Value;
use url::Url;

/// The facts about a vendor that the runtime needs.
#[derive(Debug)]
pub(crate) struct Vendor {
    /// The name of the vendor's module, as errors and events show it.
    pub(crate) name: &'static str,
    /// The base URL, with `{tenant}` in place of the tenant's name if each tenant has a host of its own; empty if the vendor
    /// does not publish it.
    pub(crate) base_url: &'static str,
    /// The base paths, if the vendor documents two without saying which one is right.
    pub(crate) base_paths: &'static [&'static str],
    /// The response headers that may hold the vendor's id of a request, the most specific first.
    pub(crate) request_id_headers: &'static [&'static str],
    /// Whether responses report the state of the rate limit.
    pub(crate) limit_headers: LimitHeaders,
    /// Reads the vendor's message from the body of an error response.
    pub(crate) read_error: fn(&Value) -> VendorError,
    /// Finds the content of a successful body if the vendor may wrap it in an envelope.
    pub(crate) content: Option<Content>,
    /// The first segments of paths whose objects only a write to the same segment changes.
    pub(crate) reference_data: &'static [&'static str],
}

impl Vendor {
    /// Whether each tenant has a host of its own.
    pub(crate) fn has_tenant_hosts(&self) -> bool {
        self.base_url.contains("{tenant}")
    }

    /// What follows the tenant's name in its host name, such as `.fixably.com`, if each tenant has a host.
    pub(crate) fn tenant_domain(&self) -> Option<&'static str> {
        let (_, after) = self.base_url.split_once("{tenant}")?;
        after.split('/').next()
    }

    /// What to check if there is no host of this name.
    pub(crate) fn unknown_host(&self, url: &Url) -> String {
        let host = url.host_str().unwrap_or_default();
        match self.tenant_domain().filter(|domain| host.ends_with(domain)) {
            Some(domain) => {
                format!("there is no host {host}: check the tenant, which is the name before `{domain}`, and DNS")
            }
            None => format!("there is no host {host}: check the base URL and DNS"),
        }
    }

    /// The vendor's id of a request, if the response has one.
    pub(crate) fn request_id<'a>(&self, headers: &'a HeaderMap) -> Option<&'a str> {
        self.request_id_headers.iter().find_map(|name| headers.get(*name)?.to_str().ok())
    }
}

/// Whether a vendor's responses report the state of its rate limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LimitHeaders {
    /// Documented and sufficient: they report what remains and until when, so the first call is worth waiting for.
    Sent,
    /// Not documented, or not sufficient. The client still uses the headers that it gets.
    Unsure,
}

/// Returns the content inside a body; `None` if the body is not JSON.
pub(crate) type Content = fn(&[u8]) -> Option<&[u8]>;

/// What a vendor writes in the body of an error response.
#[derive(Debug, Default)]
pub(crate) struct VendorError {
    pub(crate) message: Option<String>,
    pub(crate) code: Option<String>,
    /// Pairs of a field and the vendor's message about it.
    pub(crate) fields: Vec<(String, String)>,
}
