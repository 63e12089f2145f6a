//! Values that are known, or kept as the vendor wrote them: [`Open`], and the generated open enums.

mod text_enum;

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

pub(crate) use self::text_enum::{OpenEnum, open_enum};
use crate::lenient::Scalar;

/// A known value, or the vendor's text if it is not one.
///
/// Vendors write dates in more ways than they document. A date that does not parse keeps its text, so that the object
/// around it is not lost.
///
/// # Example
///
/// ```
/// use jiff::Timestamp;
/// use servicebay::Open;
///
/// let known: Open<Timestamp> = "2026-03-01T12:00:00Z".into();
/// assert_eq!(known.known().map(|t| t.as_second()), Some(1772366400));
///
/// let odd: Open<Timestamp> = "1 March, noon".into();
/// assert_eq!(odd.known(), None);
/// assert_eq!(odd.to_string(), "1 March, noon");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a value is known or it is not")]
pub enum Open<T> {
    /// The value.
    Known(T),
    /// The vendor's text, which is not a `T`.
    Other(String),
}

impl<T> Open<T> {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Other(_) => None,
        }
    }

    /// The value, or the vendor's text.
    ///
    /// # Errors
    ///
    /// The text, if it is not a `T`.
    pub fn into_known(self) -> Result<T, String> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Other(text) => Err(text),
        }
    }
}

impl<T: fmt::Display> fmt::Display for Open<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::Other(text) => f.write_str(text),
        }
    }
}

impl<T: FromStr> From<&str> for Open<T> {
    fn from(text: &str) -> Self {
        text.parse().map_or_else(|_| Self::Other(text.to_owned()), Self::Known)
    }
}

impl<T: FromStr> From<String> for Open<T> {
    fn from(text: String) -> Self {
        text.parse().map_or(Self::Other(text), Self::Known)
    }
}

impl From<Date> for Open<Date> {
    fn from(date: Date) -> Self {
        Self::Known(date)
    }
}

impl From<DateTime> for Open<DateTime> {
    fn from(time: DateTime) -> Self {
        Self::Known(time)
    }
}

impl From<Timestamp> for Open<Timestamp> {
    fn from(timestamp: Timestamp) -> Self {
        Self::Known(timestamp)
    }
}

impl<'de, T: FromStr> Deserialize<'de> for Open<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::required(deserializer)
    }
}

impl<T: FromStr> Scalar for Open<T> {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }

    fn from_float(number: f64) -> Option<Self> {
        Some(Self::Other(number.to_string()))
    }

    fn from_integer(number: i128) -> Option<Self> {
        Some(Self::Other(number.to_string()))
    }

    fn from_flag(flag: bool) -> Option<Self> {
        Some(Self::Other(flag.to_string()))
    }
}

impl<T: fmt::Display> Serialize for Open<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_in_another_format_keeps_its_text() {
        for text in ["\"01.03.2026\"", "\"2026-03-01 12:00:00\"", "\"\"", "\"soon\""] {
            let read: Open<Timestamp> = serde_json::from_str(text).unwrap();
            assert_eq!(read.known(), None, "{text}");
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }

    #[test]
    fn a_number_in_place_of_a_date_keeps_its_digits() {
        let read: Open<Timestamp> = serde_json::from_str("1772366400").unwrap();
        assert_eq!(read, Open::Other("1772366400".to_owned()));
    }

    #[test]
    fn a_known_date_is_written_as_it_was_read() {
        for text in ["\"2026-03-01T12:00:00Z\"", "\"1970-01-01T00:00:00Z\""] {
            let read: Open<Timestamp> = serde_json::from_str(text).unwrap();
            assert!(read.known().is_some());
            assert_eq!(serde_json::to_string(&read).unwrap(), text);
        }
    }
}
