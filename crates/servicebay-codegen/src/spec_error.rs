//! `SpecError`: what is wrong with a spec, and where.

use std::fmt;

/// A place in the spec and what is wrong there, in one line: cargo shows only the first line of a build script's error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    place: String,
    problem: String,
}

impl SpecError {
    pub(crate) fn new(place: impl fmt::Display, problem: impl fmt::Display) -> Self {
        Self { place: place.to_string(), problem: problem.to_string() }
    }

    /// The same error, seen from a place further out.
    pub(crate) fn within(self, outer: impl fmt::Display) -> Self {
        Self { place: format!("{outer}: {}", self.place), ..self }
    }
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}: {}", self.place, self.problem);
        f.write_str(&text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

impl std::error::Error for SpecError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_place_from_the_outside_in() {
        let error = SpecError::new("list_orders", "has no summary").within("paths./orders.get");
        assert_eq!(error.to_string(), "paths./orders.get: list_orders: has no summary");
    }

    #[test]
    fn an_error_is_one_line() {
        let error = SpecError::new("not JSON", "expected value\n  at line 3");
        assert_eq!(error.to_string(), "not JSON: expected value at line 3");
    }
}
