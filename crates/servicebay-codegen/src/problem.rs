//! Why the generator stopped, and where in the spec.

use std::fmt;

/// A place in the spec and what is wrong with it, on one line: cargo shows no more of a build script's error.
#[derive(Debug)]
pub struct Problem {
    place: String,
    what: String,
}

impl Problem {
    pub(crate) fn new(place: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self { place: place.to_string(), what: what.to_string() }
    }

    /// The same problem, seen from a place further out.
    pub(crate) fn within(self, outer: impl fmt::Display) -> Self {
        Self { place: format!("{outer}: {}", self.place), ..self }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}: {}", self.place, self.what);
        f.write_str(&text.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}
