//! An amount of money, with the digits that the vendor sent.

mod digits;

use std::fmt;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use self::digits::Digits;
use crate::lenient::{KeepsDigits, Scalar};

/// An amount of money in the tenant's currency.
///
/// It is often unclear whether a vendor sends `12.50` or `"12.50"`, so both are read, and both are kept to the letter. Two amounts
/// are equal if their digits are: `12.5` is not equal to `12.50`. For sums, parse [`as_str`](Self::as_str) with a decimal type
/// of your choice.
///
/// # Example
///
/// ```
/// use servicebay::Amount;
///
/// let number: Amount = serde_json::from_str("12.50").unwrap();
/// let text: Amount = serde_json::from_str("\"12.5\"").unwrap();
/// assert_eq!((number.as_str(), text.as_str()), ("12.50", "12.5"));
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
    const KEEPS_DIGITS: KeepsDigits = KeepsDigits::Always;

    fn from_text(text: &str) -> Option<Self> {
        Some(Self { digits: text.into(), quoted: true })
    }

    fn from_digits(digits: &str) -> Option<Self> {
        Some(Self { digits: digits.into(), quoted: false })
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
    /// Writes a number of the same value if the vendor sent a number, and text if it sent text. A number that no integer and no
    /// float has exactly is written as text: what is sent back must not be another amount.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let digits = self.as_str();
        if self.quoted {
            return serializer.serialize_str(digits);
        }
        if let Ok(integer) = digits.parse::<i64>() {
            return serializer.serialize_i64(integer);
        }
        if let Ok(integer) = digits.parse::<u64>() {
            return serializer.serialize_u64(integer);
        }
        match self.to_f64().filter(|number| is_exact(digits, *number)) {
            Some(number) => serializer.serialize_f64(number),
            None => serializer.serialize_str(digits),
        }
    }
}

/// Whether a float stands for these digits and no others.
fn is_exact(digits: &str, number: f64) -> bool {
    let mantissa = digits.split(['e', 'E']).next().unwrap_or_default();
    let significant = mantissa.bytes().filter(u8::is_ascii_digit).skip_while(|digit| *digit == b'0').count();
    // Any number of 15 significant digits is the only one of its float.
    significant <= f64::DIGITS as usize || Digits::from(number).as_str() == digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_is_written_as_it_was_read() {
        for text in
            ["12.5", "\"12.50\"", "0", "-3", "\"n/a\"", "1299.99", "18446744073709551615", "0.30000000000000004"]
        {
            let amount: Amount = serde_json::from_str(text).unwrap();
            assert_eq!(serde_json::to_string(&amount).unwrap(), text);
        }
    }

    #[test]
    fn the_digits_of_a_number_are_kept_and_its_value_is_written() {
        for (digits, written) in [
            ("1.10", "1.1"),
            ("0.00", "0.0"),
            ("1e2", "100.0"),
            ("-0", "0"),
            ("123456789012345.00", "\"123456789012345.00\""),
            ("12345678901234567890123", "\"12345678901234567890123\""),
            ("0.1000000000000000055511151231257827", "\"0.1000000000000000055511151231257827\""),
        ] {
            let amount: Amount = serde_json::from_str(digits).unwrap();
            assert_eq!((amount.as_str(), serde_json::to_string(&amount).unwrap().as_str()), (digits, written));
            assert_eq!(serde_json::to_value(&amount).unwrap().is_string(), written.starts_with('"'));
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
