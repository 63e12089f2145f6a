//! An amount of money, as near to what the vendor sent as JSON lets it come.

use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use crate::lenient::Scalar;

/// An amount of money in the tenant's currency.
///
/// Whether a vendor sends `12.5` or `"12.50"` is often not settled; both are read. Text is kept to the letter. A JSON
/// number passes through a float, which is exact for up to 15 significant digits and drops zeros at the end; beyond
/// that, the response's raw body has every digit. For sums, parse [`as_str`](Self::as_str) with the decimal type of
/// your choice.
///
/// # Example
///
/// ```
/// use servicebay::Amount;
///
/// let number: Amount = serde_json::from_str("12.5").unwrap();
/// let text: Amount = serde_json::from_str("\"12.50\"").unwrap();
/// assert_eq!((number.as_str(), text.as_str()), ("12.5", "12.50"));
/// assert_eq!(number.to_f64(), text.to_f64());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Amount {
    digits: String,
    quoted: bool,
}

impl Amount {
    /// The amount in digits. Not checked to be a number where the vendor sent text.
    pub fn as_str(&self) -> &str {
        &self.digits
    }

    /// The amount as a float, which is good for showing and bad for adding; `None` when the text is no number.
    pub fn to_f64(&self) -> Option<f64> {
        self.digits.trim().parse().ok().filter(|amount: &f64| amount.is_finite())
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for Amount {
            /// An amount to send, which is written as a number.
            fn from(number: $number) -> Self {
                Self { digits: number.to_string(), quoted: false }
            }
        }
    )*};
}

numbers!(i32, i64, u32, f64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.digits)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::required(deserializer)
    }
}

impl Scalar for Amount {
    fn from_text(text: &str) -> Option<Self> {
        Some(Self { digits: text.to_owned(), quoted: true })
    }

    fn from_float(number: f64) -> Option<Self> {
        Some(Self { digits: number.to_string(), quoted: false })
    }

    fn from_integer(number: i128) -> Option<Self> {
        Some(Self { digits: number.to_string(), quoted: false })
    }

    fn from_flag(_: bool) -> Option<Self> {
        None
    }
}

impl Serialize for Amount {
    /// Writes a number where the vendor sent one, and text where it sent text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.quoted {
            return serializer.serialize_str(&self.digits);
        }
        if let Ok(integer) = self.digits.parse::<i128>() {
            return serializer.serialize_i128(integer);
        }
        match self.to_f64() {
            Some(number) => serializer.serialize_f64(number),
            None => serializer.serialize_str(&self.digits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_as_it_was_read() {
        for text in ["12.5", "\"12.50\"", "0", "-3", "\"n/a\"", "1299.99", "18446744073709551615"] {
            let amount: Amount = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&amount).unwrap(), text);
        }
    }

    #[test]
    fn an_amount_of_ones_own_is_written_as_a_number() {
        for (amount, text) in [(Amount::from(150), "150"), (149.95.into(), "149.95"), ((-3_i64).into(), "-3")] {
            assert_eq!(serde_json::to_string(&amount).unwrap(), text);
        }
    }

    #[test]
    fn text_that_is_no_number_has_no_float() {
        for text in ["\"n/a\"", "\"\"", "\"NaN\"", "\"inf\""] {
            let amount: Amount = serde_json::from_str(text).unwrap();
            assert_eq!(amount.to_f64(), None, "{text}");
        }
    }
}
