//! The error of a request that the vendor found invalid.

use std::fmt;

use super::call_error::{CallError, is_call_error};

/// A request that the vendor found invalid, and which of its fields.
#[derive(Debug)]
pub struct ValidationError {
    pub(crate) call: CallError,
    pub(crate) fields: Vec<(String, String)>,
}

impl ValidationError {
    /// Pairs of a field and the vendor's message about it, as far as the vendor names fields. What it writes about the request
    /// as a whole is in [`message`](CallError::message) and [`code`](CallError::code).
    pub fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(field, message)| (field.as_str(), message.as_str()))
    }
}

is_call_error!(ValidationError);

impl fmt::Display for ValidationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.call.fmt(f)?;
        for (field, message) in self.fields() {
            write!(f, "; {field}: {message}")?;
        }
        Ok(())
    }
}
