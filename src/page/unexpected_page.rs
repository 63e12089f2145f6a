//! A page that does not follow the pages before it.

use std::fmt;

/// A page other than the one that was requested. A stream that read on could skip items or never end, so it ends with
/// [`Error::Decode`](crate::Error::Decode), which shows the response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnexpectedPage {
    problem: String,
    consequence: &'static str,
}

impl UnexpectedPage {
    /// A page after which reading on would lose items. `problem` says what was received, and what was expected.
    pub(crate) fn skips_items(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), consequence: "would skip items" }
    }

    /// A page after which reading on might not end. `problem` says what was received, and what was expected.
    pub(crate) fn never_ends(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), consequence: "might never end" }
    }
}

impl fmt::Display for UnexpectedPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { problem, consequence } = self;
        write!(f, "{problem}; reading on {consequence}: start again, and report it to the vendor if it happens again")
    }
}

impl std::error::Error for UnexpectedPage {}
