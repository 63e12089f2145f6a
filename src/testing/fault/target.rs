//! The requests that a fault applies to.

use http::Method;

use crate::testing::path_template;

/// A method and a path template.
#[derive(Clone, Debug)]
pub(super) struct Target {
    method: String,
    path: String,
}

impl Target {
    pub(super) fn new(method: String, path: &str) -> Self {
        Self { method, path: path.trim_matches('/').to_owned() }
    }

    /// Whether a request matches. `{...}` matches one segment; slashes at both ends do not count.
    pub(super) fn matches(&self, method: &Method, path: &str) -> bool {
        let is_path = path_template::captures(&self.path, path.trim_matches('/')).is_some();
        is_path && self.method.eq_ignore_ascii_case(method.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_matches_only_its_method_and_path() {
        let target = Target::new("get".to_owned(), "/orders/{id}/notes");
        for (method, path, matches) in [
            (Method::GET, "/orders/1/notes", true),
            (Method::GET, "/orders/2/notes/", true),
            (Method::POST, "/orders/1/notes", false),
            (Method::GET, "/orders/1", false),
            (Method::GET, "/orders/1/notes/1", false),
        ] {
            assert_eq!(target.matches(&method, path), matches, "{method} {path}");
        }
    }
}
