//! The base URL of a vendor's API, and the switch between two where the vendor documents both.

use std::sync::atomic::{AtomicU8, Ordering};

use url::Url;

/// The base URL of a client's requests.
///
/// Some vendors document two base paths without saying which one is right. The client then starts with the URL that it
/// was configured with, tries the alternative once after a 404, and stays with the first of the two that succeeds.
#[derive(Debug)]
pub(crate) struct BaseUrl {
    configured: Url,
    /// Which of the vendor's base paths the configured URL ends with.
    base_path: Option<&'static str>,
    alternative: Option<Box<Url>>,
    confirmed: AtomicU8,
}

// Which of the two URLs has been confirmed by a success.
const NEITHER: u8 = 0;
const CONFIGURED: u8 = 1;
const ALTERNATIVE: u8 = 2;

impl BaseUrl {
    /// A base URL without a trailing slash, and the vendor's base paths: at most two.
    pub(crate) fn new(configured: Url, base_paths: &[&'static str]) -> Self {
        let base_path = base_path(&configured, base_paths);
        let alternative = base_path.and_then(|path| alternative(&configured, path, base_paths)).map(Box::new);
        let confirmed = if alternative.is_some() { NEITHER } else { CONFIGURED };
        Self { configured, base_path, alternative, confirmed: AtomicU8::new(confirmed) }
    }

    /// The URL that requests go to now.
    pub(crate) fn current(&self) -> &Url {
        match &self.alternative {
            Some(alternative) if self.confirmed.load(Ordering::Relaxed) == ALTERNATIVE => alternative,
            _ => &self.configured,
        }
    }

    /// The URL that the client was configured with. It never changes, so keys and fingerprints are made of it.
    pub(crate) fn configured(&self) -> &Url {
        &self.configured
    }

    /// The URL without the vendor's base path, for what lies outside of it, such as token endpoints.
    pub(crate) fn root(&self) -> Url {
        let mut root = self.configured.clone();
        if let Some(base_path) = self.base_path {
            root.set_path(self.configured.path().strip_suffix(base_path).unwrap_or_default());
        }
        root
    }

    /// A path relative to the base URL; `None` if it is below neither of the two.
    pub(crate) fn relative_path<'a>(&self, path: &'a str) -> Option<&'a str> {
        let below = |base: &Url| path.strip_prefix(base.path().trim_end_matches('/'))?.strip_prefix('/');
        below(&self.configured).or_else(|| below(self.alternative.as_ref()?))
    }

    /// The same URL below the alternative base URL, unless the configured one is confirmed. Requests that were built before
    /// the alternative was confirmed still switch.
    pub(crate) fn alternative_of(&self, url: &Url) -> Option<Url> {
        if self.confirmed.load(Ordering::Relaxed) == CONFIGURED {
            return None;
        }
        let rest = url.as_str().strip_prefix(self.configured.as_str())?;
        Url::parse(&format!("{}{rest}", self.alternative.as_ref()?)).ok()
    }

    /// Records that a request to this URL succeeded: from now on all requests use its base URL.
    pub(crate) fn confirm(&self, url: &Url) {
        if self.confirmed.load(Ordering::Relaxed) == NEITHER {
            let confirmed = if is_below(url, &self.configured) { CONFIGURED } else { ALTERNATIVE };
            self.confirmed.store(confirmed, Ordering::Relaxed);
        }
    }
}

fn is_below(url: &Url, base: &Url) -> bool {
    url.as_str().strip_prefix(base.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// The vendor's base path that a URL ends with. The longest match, because one path may end with the other.
fn base_path(url: &Url, base_paths: &[&'static str]) -> Option<&'static str> {
    base_paths.iter().copied().filter(|path| url.path().ends_with(path)).max_by_key(|path| path.len())
}

/// The URL with the vendor's other base path.
fn alternative(url: &Url, base_path: &str, base_paths: &[&'static str]) -> Option<Url> {
    let replacement = base_paths.iter().find(|path| **path != base_path)?;
    let prefix = url.path().strip_suffix(base_path)?;
    let mut alternative = url.clone();
    alternative.set_path(&format!("{prefix}{replacement}"));
    Some(alternative)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE_PATHS: [&str; 2] = ["/v1", "/api/v1"];

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn base_url(text: &str) -> BaseUrl {
        BaseUrl::new(url(text), &BASE_PATHS)
    }

    #[test]
    fn the_alternative_has_the_other_base_path() {
        for (configured, alternative) in [
            ("https://a.example/v1", Some("https://a.example/api/v1/x?y=1")),
            ("https://a.example/api/v1", Some("https://a.example/v1/x?y=1")),
            ("https://a.example/gateway/v1", Some("https://a.example/gateway/api/v1/x?y=1")),
            ("https://a.example/v2", None),
            ("https://a.example", None),
        ] {
            let requested = url(&format!("{configured}/x?y=1"));
            let found = base_url(configured).alternative_of(&requested);
            assert_eq!(found.as_ref().map(Url::as_str), alternative, "{configured}");
        }
    }

    #[test]
    fn a_vendor_with_one_base_path_has_no_alternative() {
        let base_url = BaseUrl::new(url("https://a.example/api/v3"), &[]);
        assert_eq!(base_url.alternative_of(&url("https://a.example/api/v3/x")), None);
    }

    #[test]
    fn the_base_url_that_succeeds_first_stays() {
        let base_url = base_url("https://a.example/v1");
        base_url.confirm(&url("https://a.example/api/v1/x"));
        assert_eq!(base_url.current().path(), "/api/v1");
        assert_eq!(base_url.alternative_of(&url("https://a.example/api/v1/x")), None);
        base_url.confirm(&url("https://a.example/v1/x"));
        assert_eq!(base_url.current().path(), "/api/v1");
    }

    #[test]
    fn a_request_built_before_the_alternative_was_confirmed_still_switches() {
        let base_url = base_url("https://a.example/v1");
        base_url.confirm(&url("https://a.example/api/v1/x"));
        let alternative = base_url.alternative_of(&url("https://a.example/v1/y"));
        assert_eq!(alternative.as_ref().map(Url::as_str), Some("https://a.example/api/v1/y"));
    }

    #[test]
    fn a_relative_path_is_the_same_below_either_base_url() {
        let two = base_url("https://a.example/gateway/v1");
        for path in ["/gateway/v1/x/1", "/gateway/api/v1/x/1"] {
            assert_eq!(two.relative_path(path), Some("x/1"), "{path}");
        }
        for path in ["/v1/x/1", "/gateway/v1evil/x", "/gateway/v1", "/"] {
            assert_eq!(two.relative_path(path), None, "{path}");
        }
        assert_eq!(base_url("https://a.example").relative_path("/x/1"), Some("x/1"));
    }

    #[test]
    fn a_configured_base_url_that_succeeds_stays_the_only_one() {
        let base_url = base_url("https://a.example/v1");
        base_url.confirm(&url("https://a.example/v1/x"));
        assert_eq!((base_url.current().path(), base_url.alternative_of(&url("https://a.example/v1/y"))), ("/v1", None));
    }
}
