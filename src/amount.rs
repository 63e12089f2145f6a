//! An amount of money, as close to what the vendor sent as JSON allows.

mod digits;

use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use self::digits::Digits;
use crate::lenient::Scalar;

/// An amount of money in the tenant's currency.
///
/// It is often unclear whether a vendor sends `12.5` or `"12.50"`, so both are read. Text is kept to the letter. A JSON
/// number passes through a float, which is exact for up to 15 significant digits and drops zeros at the end; if a vendor
/// sends more, the response's raw body has every digit. For sums, parse [`as_str`](Self::as_str) with a decimal type of
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
    digits: Digits,
    quoted: bool,
}

impl Amount {
    /// The amount in digits. If the vendor sent text, nothing checks that it is a number.
    pub fn as_str(&self) -> &str {
        self.digits.as_str()
    }

    /// The amount as a float, which is good for display and bad for sums; `None` if the text is no number.
    pub fn to_f64(&self) -> Option<f64> {
        self.as_str().trim().parse().ok().filter(|amount: &f64| amount.is_finite())
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl From<$number> for Amount {
            /// An amount to send, which is written as a number.
            fn from(number: $number) -> Self {
                Self { digits: number.into(), quoted: false }
            }
        }
    )*};
}

numbers!(i32, i64, u32, f64);

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::required(deserializer)
    }
}

impl Scalar for Amount {
    fn from_text(text: &str) -> Option<Self> {
        Some(Self { digits: text.into(), quoted: true })
    }

    fn from_float(number: f64) -> Option<Self> {
        Some(number.into())
    }

    fn from_integer(number: i128) -> Option<Self> {
        Some(Self { digits: number.into(), quoted: false })
    }

    fn from_flag(_: bool) -> Option<Self> {
        None
    }
}

impl Serialize for Amount {
    /// Writes a number if the vendor sent one, and text if it sent text.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.quoted {
            return serializer.serialize_str(self.as_str());
        }
        if let Ok(integer) = self.as_str().parse::<i128>() {
            return serializer.serialize_i128(integer);
        }
        match self.to_f64() {
            Some(number) => serializer.serialize_f64(number),
            None => serializer.serialize_str(self.as_str()),
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
    fn an_amount_made_from_a_number_is_written_as_a_number() {
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
