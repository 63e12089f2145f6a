//! The requests that a fault applies to.

use http::Method;

use crate::testing::path_template;
use crate::testing::similar_names::similar;

/// A method and a path template, or an operation.
#[derive(Clone, Debug)]
pub(super) enum Target {
    Operation(String),
    Path { method: String, path: String },
}

impl Target {
    pub(super) fn path(method: String, path: &str) -> Self {
        Self::Path { method, path: path.trim_matches('/').to_owned() }
    }

    /// Whether a request matches. `{...}` matches one segment; slashes at both ends do not count.
    pub(super) fn matches(&self, method: &Method, path: &str, operation: Option<&str>) -> bool {
        match self {
            Self::Operation(name) => operation == Some(name),
            Self::Path { method: expected, path: template } => {
                let is_path = path_template::captures(template, path.trim_matches('/')).is_some();
                is_path && expected.eq_ignore_ascii_case(method.as_str())
            }
        }
    }

    /// Checks the name of an operation against those that a server has. The error is a sentence with similar names, or with
    /// all of them if none is similar.
    pub(super) fn check(&self, operations: &[&'static str]) -> Result<(), String> {
        let Self::Operation(name) = self else { return Ok(()) };
        if operations.contains(&name.as_str()) {
            return Ok(());
        }
        let similar = similar(name, operations.iter().copied());
        let (label, names) = if similar.is_empty() { ("It has", operations.to_vec()) } else { ("Similar", similar) };
        let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let separator = if label == "Similar" { ":" } else { "" };
        Err(format!(
            "The server has no operation `{name}`, so the fault would never apply. {label}{separator} {names}."
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_matches_only_its_method_and_path() {
        let target = Target::path("get".to_owned(), "/orders/{id}/notes");
        for (method, path, matches) in [
            (Method::GET, "/orders/1/notes", true),
            (Method::GET, "/orders/2/notes/", true),
            (Method::POST, "/orders/1/notes", false),
            (Method::GET, "/orders/1", false),
            (Method::GET, "/orders/1/notes/1", false),
        ] {
            assert_eq!(target.matches(&method, path, None), matches, "{method} {path}");
        }
    }

    #[test]
    fn a_fault_matches_only_its_operation() {
        let target = Target::Operation("get_order".to_owned());
        for (operation, matches) in [(Some("get_order"), true), (Some("get_order_line"), false), (None, false)] {
            assert_eq!(target.matches(&Method::GET, "/orders/1", operation), matches, "{operation:?}");
        }
    }

    #[test]
    fn an_unknown_operation_is_refused_with_similar_names_or_with_all() {
        let check = |name: &str| Target::Operation(name.to_owned()).check(&["create_booking", "get_booking", "log_in"]);
        assert_eq!(check("get_booking"), Ok(()));
        let begin = |name: &str| format!("The server has no operation `{name}`, so the fault would never apply.");
        let near = format!("{} Similar: `create_booking`, `get_booking`.", begin("create_bookings"));
        assert_eq!(check("create_bookings"), Err(near));
        let all = format!("{} It has `create_booking`, `get_booking`, `log_in`.", begin("x"));
        assert_eq!(check("x"), Err(all));
        assert_eq!(Target::path("GET".to_owned(), "/nowhere").check(&[]), Ok(()));
    }
}
