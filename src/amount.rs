//! An amount of money, with the digits that the vendor sent.

mod decimal;
mod digits;

use std::cmp::Ordering;
use std::error::Error as StdError;
use std::fmt;
use std::str::FromStr;

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

use self::decimal::{Decimal, Unfit};
use self::digits::Digits;
use crate::lenient::{KeepsDigits, Scalar};

/// An amount of money in the tenant's currency.
///
/// It is often unclear whether a vendor sends `12.50` or `"12.50"`, so both are read, and both are kept to the letter. Two amounts
/// are equal if their digits are: `12.5` is not equal to `12.50`; [`compare`](Self::compare) compares their values.
///
/// Sums and products are exact, or `None`: no float takes part. For rounding and more, convert an amount to and from the
/// `Decimal` of the crate `rust_decimal` with the feature of that name, or parse [`as_str`](Self::as_str) with a type of your
/// choice.
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
///
/// let shipping: Amount = "4.90".parse().unwrap();
/// assert_eq!(Amount::sum([&number, &text, &shipping]).unwrap().as_str(), "29.90");
/// assert_eq!(number.checked_mul(&3.into()).unwrap().as_str(), "37.50");
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

    /// The exact sum of the two, with the decimal places of the longer one. `None` if one is no number, or if the sum has more
    /// than 38 digits.
    pub fn checked_add(&self, other: &Self) -> Option<Self> {
        Some(self.with(self.decimal().ok()?.checked_add(other.decimal().ok()?)?))
    }

    /// The exact difference of the two. `None` as for [`checked_add`](Self::checked_add).
    pub fn checked_sub(&self, other: &Self) -> Option<Self> {
        Some(self.with(self.decimal().ok()?.checked_add(other.decimal().ok()?.checked_neg()?)?))
    }

    /// The exact product of the two, for example of a price and a quantity, with the decimal places that it needs, and no fewer
    /// than the longer one has. `None` as for [`checked_add`](Self::checked_add).
    pub fn checked_mul(&self, other: &Self) -> Option<Self> {
        Some(self.with(self.decimal().ok()?.checked_mul(other.decimal().ok()?)?))
    }

    /// The exact sum of all; 0 if there are none. `None` as for [`checked_add`](Self::checked_add).
    pub fn sum<'a>(amounts: impl IntoIterator<Item = &'a Self>) -> Option<Self> {
        let mut amounts = amounts.into_iter();
        let Some(first) = amounts.next() else { return Some(0.into()) };
        let sum = amounts.try_fold(first.decimal().ok()?, |sum, amount| sum.checked_add(amount.decimal().ok()?))?;
        Some(first.with(sum))
    }

    /// Compares the values of the two: `12.5` is equal to `12.50`. `None` if one is no number.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        Some(self.decimal().ok()?.compare(other.decimal().ok()?))
    }

    fn decimal(&self) -> Result<Decimal, Unfit> {
        Decimal::parse(self.as_str())
    }

    /// A number in the form in which the vendor sent this one.
    fn with(&self, number: Decimal) -> Self {
        Self { digits: number.to_text().as_str().into(), quoted: self.quoted }
    }
}

impl FromStr for Amount {
    type Err = ParseAmountError;

    /// An amount to send, with these digits: `12.50` stays `12.50`.
    ///
    /// # Errors
    ///
    /// If the text is no decimal number, such as `12.50`, `-3` or `1e2`, or has more than 38 digits.
    fn from_str(text: &str) -> Result<Self, ParseAmountError> {
        match Decimal::parse(text) {
            Ok(_) => Ok(Self { digits: text.trim().into(), quoted: false }),
            Err(problem) => Err(ParseAmountError::new(text, problem)),
        }
    }
}

/// A text that is no amount, or one that has too many digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseAmountError {
    text: String,
    problem: Unfit,
}

impl ParseAmountError {
    #[cold]
    fn new(text: &str, problem: Unfit) -> Self {
        Self { text: text.chars().take(60).collect(), problem }
    }
}

impl fmt::Display for ParseAmountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = match self.problem {
            Unfit::NotANumber => "is no decimal number such as 12.50",
            Unfit::TooLong => "has more digits than can be computed with",
        };
        write!(f, "{:?} {problem}", self.text)
    }
}

impl StdError for ParseAmountError {}

#[cfg(feature = "rust_decimal")]
#[cfg_attr(docsrs, doc(cfg(feature = "rust_decimal")))]
impl From<rust_decimal::Decimal> for Amount {
    /// An amount to send, with the digits of the number.
    fn from(number: rust_decimal::Decimal) -> Self {
        Self { digits: number.to_string().as_str().into(), quoted: false }
    }
}

#[cfg(feature = "rust_decimal")]
#[cfg_attr(docsrs, doc(cfg(feature = "rust_decimal")))]
impl TryFrom<&Amount> for rust_decimal::Decimal {
    type Error = ParseAmountError;

    /// The number with all its decimal places.
    ///
    /// # Errors
    ///
    /// If the vendor's text is no number, or has more digits than the type holds: 28 digits always fit. Nothing is rounded.
    fn try_from(amount: &Amount) -> Result<Self, ParseAmountError> {
        let refuse = |problem| ParseAmountError::new(amount.as_str(), problem);
        let number = amount.decimal().map_err(refuse)?;
        let number = number.shortened(Self::MAX_SCALE);
        Self::try_from_i128_with_scale(number.coefficient, number.scale).map_err(|_| refuse(Unfit::TooLong))
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
    fn sums_are_exact_where_floats_are_not() {
        let amount = |text: &str| text.parse::<Amount>().unwrap();
        let sum = Amount::sum(&[amount("0.1"), amount("0.2"), amount("-0.30")]).unwrap();
        assert_eq!((sum.as_str(), 0.1 + 0.2 - 0.3 == 0.0), ("0.00", false));
        assert_eq!(amount("1.10").checked_sub(&amount("0.2")).unwrap().as_str(), "0.90");
        assert_eq!(amount("19.99").checked_mul(&amount("0.85")).unwrap().as_str(), "16.9915");
        assert_eq!(amount("12.50").checked_mul(&2.into()).unwrap().as_str(), "25.00");
        assert_eq!(Amount::sum([]).unwrap(), 0.into());
        assert_eq!(amount("12.5").compare(&amount("12.50")), Some(Ordering::Equal));
        assert_eq!(amount("-12.5").compare(&amount("1e2")), Some(Ordering::Less));
    }

    #[test]
    fn a_result_is_written_in_the_form_of_its_first_amount() {
        let text: Amount = serde_json::from_str("\"12.50\"").unwrap();
        let number: Amount = serde_json::from_str("12.50").unwrap();
        let written = |amount: Option<Amount>| serde_json::to_string(&amount.unwrap()).unwrap();
        assert_eq!(written(text.checked_add(&number)), "\"25.00\"");
        assert_eq!(written(number.checked_add(&text)), "25.0");
        assert_eq!(written(Amount::sum([&text, &number])), "\"25.00\"");
    }

    #[test]
    fn what_is_no_number_has_no_sum() {
        let (odd, one): (Amount, Amount) = (serde_json::from_str("\"n/a\"").unwrap(), 1.into());
        assert_eq!((odd.checked_add(&one), one.checked_sub(&odd), one.checked_mul(&odd)), (None, None, None));
        assert_eq!((one.compare(&odd), Amount::sum([&one, &odd]), Amount::sum([&odd])), (None, None, None));
    }

    #[test]
    fn a_text_that_is_no_amount_is_refused_with_what_was_expected() {
        let error = |text: &str| text.parse::<Amount>().unwrap_err().to_string();
        assert_eq!(error("12,50"), "\"12,50\" is no decimal number such as 12.50");
        assert_eq!(error("1e99"), "\"1e99\" has more digits than can be computed with");
        assert!(error(&"9".repeat(10_000)).len() < 120);
        assert_eq!(" 12.50 ".parse::<Amount>().unwrap().as_str(), "12.50");
    }

    #[cfg(feature = "rust_decimal")]
    mod with_rust_decimal {
        use proptest::prelude::*;
        use rust_decimal::Decimal;

        use super::*;

        #[test]
        fn an_amount_that_does_not_fit_is_refused_and_never_rounded() {
            for (json, problem) in [
                ("\"n/a\"", "is no decimal number"),
                ("12345678901234567890123456789.12", "has more digits"),
                ("1e-29", "has more digits"),
            ] {
                let amount: Amount = serde_json::from_str(json).unwrap();
                let error = Decimal::try_from(&amount).unwrap_err().to_string();
                assert!(error.contains(problem), "{error}");
            }
            let long: Amount = "1.50000000000000000000000000000000000".parse().unwrap();
            assert_eq!(Decimal::try_from(&long).unwrap(), Decimal::new(15, 1));
        }

        proptest! {
            #[test]
            fn any_decimal_is_an_amount_and_back(mantissa in -(1_i128 << 96) + 1..1_i128 << 96, scale in 0_u32..=28) {
                let number = Decimal::from_i128_with_scale(mantissa, scale);
                let amount = Amount::from(number);
                let back = Decimal::try_from(&amount).unwrap();
                prop_assert_eq!((back.mantissa(), back.scale()), (number.mantissa(), number.scale()));
            }

            #[test]
            fn sums_and_products_agree_with_those_of_rust_decimal(
                a in -1_000_000_000_i64..1_000_000_000, b in -1_000_000_000_i64..1_000_000_000, scale in 0_u32..=6,
            ) {
                let (a, b) = (Decimal::new(a, scale), Decimal::new(b, 2));
                let (own_a, own_b) = (Amount::from(a), Amount::from(b));
                let number = |amount: Option<Amount>| Decimal::try_from(&amount.unwrap()).unwrap();
                prop_assert_eq!(number(own_a.checked_add(&own_b)), a + b);
                prop_assert_eq!(number(own_a.checked_sub(&own_b)), a - b);
                prop_assert_eq!(number(own_a.checked_mul(&own_b)), a * b);
                prop_assert_eq!(own_a.compare(&own_b), Some(a.cmp(&b)));
            }
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
