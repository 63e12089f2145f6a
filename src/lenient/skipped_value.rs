//! The description of a value that was left out.

use std::fmt;

/// A value that a vendor sent in another shape than expected, so that it was left out. The raw body still has it.
///
/// See [`Response::skipped_values`](crate::Response::skipped_values).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SkippedValue {
    pub(crate) field: Option<&'static str>,
    pub(crate) expected: &'static str,
    pub(crate) found: &'static str,
}

impl SkippedValue {
    /// The field, with the type that it belongs to, such as `Order.createdAt`; `None` for the element of a list.
    pub fn field(&self) -> Option<&'static str> {
        self.field
    }

    /// The type that was expected, by its name in Rust. What the name looks like is not stable.
    pub fn expected(&self) -> &'static str {
        self.expected
    }

    /// What the vendor sent: `text`, `number`, `boolean`, `object` or `list`.
    pub fn found(&self) -> &'static str {
        self.found
    }
}

impl fmt::Display for SkippedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, expected, found } = self;
        write!(f, "{}: {found} in place of {expected}", field.unwrap_or("element of a list"))
    }
}
