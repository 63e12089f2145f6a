//! Values that are known, or kept as the vendor wrote them: [`Open`], and the generated open enums.

mod text_enum;
mod unknown_value;

use std::fmt;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use self::sealed::OpenValue;
pub(crate) use self::text_enum::{OpenEnum, open_enum};
pub use self::unknown_value::UnknownValue;
use crate::lenient::{KeepsDigits, Scalar, report_lost_digits};

/// A known value, or the vendor's text if it is not one.
///
/// Vendors write dates in more ways than they document. A date that does not parse keeps its text, so that the object
/// around it is not lost. A civil date or time (`Open<Date>`, `Open<DateTime>`) that the vendor sends with an offset or a time zone keeps its
/// text as well: which day that is depends on where the reader is.
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
/// assert_eq!(odd.unknown(), Some("1 March, noon"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "a value is known or it is not")]
pub enum Open<T> {
    /// The value.
    Known(T),
    /// The vendor's text, which is not a `T`. [`unknown`](Self::unknown) returns it.
    Other(UnknownValue),
}

impl<T> Open<T> {
    /// The value, if it is known.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Other(_) => None,
        }
    }

    /// The vendor's text, if it is not a `T`.
    pub fn unknown(&self) -> Option<&str> {
        match self {
            Self::Known(_) => None,
            Self::Other(text) => Some(text.as_str()),
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
            Self::Other(text) => Err(text.into_string()),
        }
    }

    fn other(text: impl Into<String>) -> Self {
        Self::Other(UnknownValue::new(text))
    }
}

impl<T: fmt::Display> fmt::Display for Open<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(value) => value.fmt(f),
            Self::Other(text) => f.write_str(text.as_str()),
        }
    }
}

mod sealed {
    /// A value that is written as text: what [`Open`](super::Open) can know.
    #[expect(unnameable_types, reason = "being unnameable is what seals a trait")]
    pub trait OpenValue: Sized {
        /// The value, if the text means it wherever it is read.
        fn from_text(text: &str) -> Option<Self>;
    }
}

impl OpenValue for Timestamp {
    fn from_text(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

macro_rules! civil {
    ($($civil:ty),*) => {$(
        impl OpenValue for $civil {
            fn from_text(text: &str) -> Option<Self> {
                text.parse().ok().filter(|_| !has_offset(text))
            }
        }
    )*};
}

civil!(Date, DateTime);

/// Whether a text that is a date has an offset or a time zone, which the parser of civil dates ignores.
fn has_offset(text: &str) -> bool {
    let time = text.split_once([' ', 'T', 't']).map(|(_, time)| time);
    text.contains('[') || time.is_some_and(|time| time.contains(['+', '-', 'Z', 'z']))
}

impl<T: OpenValue> From<&str> for Open<T> {
    fn from(text: &str) -> Self {
        T::from_text(text).map_or_else(|| Self::other(text), Self::Known)
    }
}

impl<T: OpenValue> From<String> for Open<T> {
    fn from(text: String) -> Self {
        match T::from_text(&text) {
            Some(value) => Self::Known(value),
            None => Self::other(text),
        }
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

impl<'de, T: OpenValue> Deserialize<'de> for Open<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::required(deserializer)
    }
}

impl<T: OpenValue> Scalar for Open<T> {
    const KEEPS_DIGITS: KeepsDigits = KeepsDigits::UnlessFast;

    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }

    fn from_digits(digits: &str) -> Option<Self> {
        Some(Self::other(digits))
    }

    fn from_float(number: f64) -> Option<Self> {
        report_lost_digits();
        Some(Self::other(number.to_string()))
    }

    fn from_integer(number: i128) -> Option<Self> {
        Some(Self::other(number.to_string()))
    }

    fn from_flag(flag: bool) -> Option<Self> {
        Some(Self::other(flag.to_string()))
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
        assert_eq!((read.known(), read.unknown()), (None, Some("1772366400")));
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
