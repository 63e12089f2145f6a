//! A text that this version does not know.

use std::fmt;

/// A text that this version of the crate does not know, as the vendor sent it: what `Other` holds, in [`Open`](crate::Open)
/// and in every enum of `types`.
///
/// It cannot be made or taken apart outside this crate. A later version may know the text, and then reads it as a variant of
/// its own; code that looked for it in `Other` would go on compiling and never find it again. Compare texts instead, which
/// holds in every version:
///
/// ```
/// use servicebay::fentu::types::WorkOrderStatus;
///
/// let status = WorkOrderStatus::from("paused");
/// assert!(matches!(status, WorkOrderStatus::Other(_)));
/// assert!(status == "paused" && status.as_str() == "paused");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct UnknownValue(String);

impl UnknownValue {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for UnknownValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
