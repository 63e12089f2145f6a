//! Where a vendor's API begins.

use std::sync::atomic::{AtomicU8, Ordering};

use url::Url;

/// The address below which a client calls.
///
/// Some vendors name two in their own pages, and nowhere which one holds. The client then begins at the one that it was
/// given, asks once at the other where that says 404, and stays where it was first understood.
#[derive(Debug)]
pub(crate) struct Base {
    given: Url,
    /// Which of the vendor's paths the given address ends with.
    ending: Option<&'static str>,
    other: Option<Box<Url>>,
    holds: AtomicU8,
}

/// Which of the two addresses holds.
const UNKNOWN: u8 = 0;
const GIVEN: u8 = 1;
const OTHER: u8 = 2;

impl Base {
    /// A base URL without a slash at its end, and the paths that may end it, at most two of which one is.
    pub(crate) fn new(given: Url, paths: &[&'static str]) -> Self {
        let ending = ending(&given, paths);
        let other = ending.and_then(|ending| other(&given, ending, paths)).map(Box::new);
        let holds = if other.is_some() { UNKNOWN } else { GIVEN };
        Self { given, ending, other, holds: AtomicU8::new(holds) }
    }

    /// Where requests go now.
    pub(crate) fn url(&self) -> &Url {
        match &self.other {
            Some(other) if self.holds.load(Ordering::Relaxed) == OTHER => other,
            _ => &self.given,
        }
    }

    /// The address that was given: what stands for the base has to stay the same.
    pub(crate) fn given(&self) -> &Url {
        &self.given
    }

    /// Where what is not below the vendor's base stands, such as its token endpoints.
    pub(crate) fn root(&self) -> Url {
        let mut root = self.given.clone();
        if let Some(ending) = self.ending {
            root.set_path(self.given.path().strip_suffix(ending).unwrap_or_default());
        }
        root
    }

    /// What stands below the base in a path, whichever of the two that begins with.
    pub(crate) fn rest<'a>(&self, path: &'a str) -> Option<&'a str> {
        let below = |base: &Url| path.strip_prefix(base.path().trim_end_matches('/'))?.strip_prefix('/');
        below(&self.given).or_else(|| below(self.other.as_ref()?))
    }

    /// The same address below the vendor's other base, unless the one that was given is known to hold. A request that was
    /// made before the other was understood still goes there.
    pub(crate) fn elsewhere(&self, url: &Url) -> Option<Url> {
        if self.holds.load(Ordering::Relaxed) == GIVEN {
            return None;
        }
        let rest = url.as_str().strip_prefix(self.given.as_str())?;
        Url::parse(&format!("{}{rest}", self.other.as_ref()?)).ok()
    }

    /// A request to this address was understood: from now on all go where it went.
    pub(crate) fn understood(&self, url: &Url) {
        if self.holds.load(Ordering::Relaxed) == UNKNOWN {
            let holds = if is_below(url, &self.given) { GIVEN } else { OTHER };
            self.holds.store(holds, Ordering::Relaxed);
        }
    }
}

fn is_below(url: &Url, base: &Url) -> bool {
    url.as_str().strip_prefix(base.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

/// Which of the paths ends a base URL. The longest one that fits: one may end with the other.
fn ending(given: &Url, paths: &[&'static str]) -> Option<&'static str> {
    paths.iter().copied().filter(|path| given.path().ends_with(path)).max_by_key(|path| path.len())
}

/// The base URL with its vendor's other path at its end.
fn other(given: &Url, ending: &str, paths: &[&'static str]) -> Option<Url> {
    let replacement = paths.iter().find(|path| **path != ending)?;
    let start = given.path().strip_suffix(ending)?;
    let mut other = given.clone();
    other.set_path(&format!("{start}{replacement}"));
    Some(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATHS: [&str; 2] = ["/v1", "/api/v1"];

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    fn base(text: &str) -> Base {
        Base::new(url(text), &PATHS)
    }

    #[test]
    fn the_other_base_has_the_other_path() {
        for (given, other) in [
            ("https://a.example/v1", Some("https://a.example/api/v1/x?y=1")),
            ("https://a.example/api/v1", Some("https://a.example/v1/x?y=1")),
            ("https://a.example/gateway/v1", Some("https://a.example/gateway/api/v1/x?y=1")),
            ("https://a.example/v2", None),
            ("https://a.example", None),
        ] {
            let asked = url(&format!("{given}/x?y=1"));
            assert_eq!(base(given).elsewhere(&asked).as_ref().map(Url::as_str), other, "{given}");
        }
    }

    #[test]
    fn a_vendor_with_one_path_has_no_other_base() {
        let base = Base::new(url("https://a.example/api/v3"), &[]);
        assert_eq!(base.elsewhere(&url("https://a.example/api/v3/x")), None);
    }

    #[test]
    fn what_was_understood_first_stays() {
        let base = base("https://a.example/v1");
        base.understood(&url("https://a.example/api/v1/x"));
        assert_eq!(base.url().path(), "/api/v1");
        assert_eq!(base.elsewhere(&url("https://a.example/api/v1/x")), None);
        base.understood(&url("https://a.example/v1/x"));
        assert_eq!(base.url().path(), "/api/v1");
    }

    #[test]
    fn a_request_from_before_the_other_base_was_understood_still_goes_there() {
        let base = base("https://a.example/v1");
        base.understood(&url("https://a.example/api/v1/x"));
        let other = base.elsewhere(&url("https://a.example/v1/y"));
        assert_eq!(other.as_ref().map(Url::as_str), Some("https://a.example/api/v1/y"));
    }

    #[test]
    fn what_stands_below_the_base_is_the_same_below_either() {
        let two = base("https://a.example/gateway/v1");
        for path in ["/gateway/v1/x/1", "/gateway/api/v1/x/1"] {
            assert_eq!(two.rest(path), Some("x/1"), "{path}");
        }
        for path in ["/v1/x/1", "/gateway/v1evil/x", "/gateway/v1", "/"] {
            assert_eq!(two.rest(path), None, "{path}");
        }
        assert_eq!(base("https://a.example").rest("/x/1"), Some("x/1"));
    }

    #[test]
    fn where_the_given_base_is_understood_it_stays_the_only_one() {
        let base = base("https://a.example/v1");
        base.understood(&url("https://a.example/v1/x"));
        assert_eq!((base.url().path(), base.elsewhere(&url("https://a.example/v1/y"))), ("/v1", None));
    }
}
