//! A decimal number with all its digits, for exact arithmetic.

use std::cmp::Ordering;
use std::fmt::Write as _;

/// The most decimal places that are computed with. More have no use for money, and would make zeros of any length.
const MAX_SCALE: u32 = 38;

/// `coefficient` / 10 ^ `scale`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    pub(super) coefficient: i128,
    pub(super) scale: u32,
}

/// Why a text is no [`Decimal`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unfit {
    NotANumber,
    TooLong,
}

impl Decimal {
    /// Reads a number as JSON writes it. A plus sign, and zeros that JSON does not allow, are read as well.
    pub(super) fn parse(text: &str) -> Result<Self, Unfit> {
        let text = text.trim();
        let (number, exponent) = match text.split_once(['e', 'E']) {
            Some((number, exponent)) => (number, read_exponent(exponent)?),
            None => (text, 0),
        };
        let (is_negative, number) = match number.strip_prefix(['-', '+']) {
            Some(digits) => (number.starts_with('-'), digits),
            None => (false, number),
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let is_empty = whole.is_empty() || (number.contains('.') && fraction.is_empty());
        if is_empty || !whole.bytes().chain(fraction.bytes()).all(|byte| byte.is_ascii_digit()) {
            return Err(Unfit::NotANumber);
        }
        let mut coefficient: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()).map(|byte| i128::from(byte - b'0')) {
            let digit = if is_negative { -digit } else { digit };
            let next = coefficient.checked_mul(10).and_then(|shifted| shifted.checked_add(digit));
            coefficient = next.ok_or(Unfit::TooLong)?;
        }
        let places = i64::try_from(fraction.len()).map_err(|_| Unfit::TooLong)? - exponent;
        Self::with_places(coefficient, places).ok_or(Unfit::TooLong)
    }

    /// `coefficient` / 10 ^ `places`, which may be below zero.
    fn with_places(mut coefficient: i128, mut places: i64) -> Option<Self> {
        if coefficient == 0 {
            // Zero with any exponent is zero.
            return Some(Self { coefficient, scale: u32::try_from(places.clamp(0, MAX_SCALE.into())).ok()? });
        }
        while places > MAX_SCALE.into() && coefficient % 10 == 0 {
            (coefficient, places) = (coefficient / 10, places - 1);
        }
        if places >= 0 {
            let scale = u32::try_from(places).ok().filter(|scale| *scale <= MAX_SCALE)?;
            return Some(Self { coefficient, scale });
        }
        let coefficient = coefficient.checked_mul(power(u32::try_from(-places).ok()?)?)?;
        Some(Self { coefficient, scale: 0 })
    }

    pub(super) fn checked_add(self, other: Self) -> Option<Self> {
        let scale = self.scale.max(other.scale);
        let coefficient = self.at(scale)?.checked_add(other.at(scale)?)?;
        Some(Self { coefficient, scale })
    }

    pub(super) fn checked_neg(self) -> Option<Self> {
        Some(Self { coefficient: self.coefficient.checked_neg()?, ..self })
    }

    /// The exact product. It has no more decimal places than it needs, or than one of the two has.
    pub(super) fn checked_mul(self, other: Self) -> Option<Self> {
        let coefficient = self.coefficient.checked_mul(other.coefficient)?;
        let places = self.scale + other.scale;
        Some(Self { coefficient, scale: places }.shortened(self.scale.max(other.scale)))
            .filter(|product| product.scale <= MAX_SCALE)
    }

    /// The same number without zeros at its end, as far as `scale` decimal places stay.
    pub(super) fn shortened(mut self, scale: u32) -> Self {
        while self.scale > scale && self.coefficient % 10 == 0 {
            (self.coefficient, self.scale) = (self.coefficient / 10, self.scale - 1);
        }
        self
    }

    /// Compares the values: 1.5 is 1.50.
    pub(super) fn compare(self, other: Self) -> Ordering {
        let (own, others) = (self.shortened(0), other.shortened(0));
        let scale = own.scale.max(others.scale);
        match (own.at(scale), others.at(scale)) {
            (Some(own), Some(others)) => own.cmp(&others),
            // The one that cannot have so many decimal places is the larger, whatever its sign.
            (None, _) => own.coefficient.cmp(&0),
            (_, None) => 0.cmp(&others.coefficient),
        }
    }

    /// The coefficient at a larger scale.
    fn at(self, scale: u32) -> Option<i128> {
        self.coefficient.checked_mul(power(scale - self.scale)?)
    }

    /// The digits, with all decimal places.
    pub(super) fn to_text(self) -> String {
        let digits = self.coefficient.unsigned_abs().to_string();
        let scale = self.scale as usize;
        let mut text = String::with_capacity(digits.len().max(scale) + 3);
        if self.coefficient < 0 {
            text.push('-');
        }
        let (whole, fraction) = digits.split_at(digits.len().saturating_sub(scale));
        text.push_str(if whole.is_empty() { "0" } else { whole });
        if scale > 0 {
            // Writing to a String cannot fail.
            let _ = write!(text, ".{fraction:0>scale$}");
        }
        text
    }
}

fn power(exponent: u32) -> Option<i128> {
    10_i128.checked_pow(exponent)
}

fn read_exponent(text: &str) -> Result<i64, Unfit> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Unfit::NotANumber);
    }
    // One with more digits makes any number too long, or zero.
    let extreme = if text.starts_with('-') { i32::MIN } else { i32::MAX };
    Ok(text.parse().unwrap_or(extreme).into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text).unwrap_or_else(|problem| panic!("{text}: {problem:?}"))
    }

    #[test]
    fn a_number_is_read_in_every_form_that_json_has() {
        for (text, coefficient, scale) in [
            ("0", 0, 0),
            ("-0.00", 0, 2),
            ("12.50", 1250, 2),
            (" 12.5 ", 125, 1),
            ("+7", 7, 0),
            ("1e2", 100, 0),
            ("1.25E+1", 125, 1),
            ("5e-3", 5, 3),
            ("-0.05", -5, 2),
            ("0e99999999999", 0, 0),
            ("0e-99999999999", 0, 38),
            ("170141183460469231731687303715884105727", i128::MAX, 0),
            ("-170141183460469231731687303715884105728", i128::MIN, 0),
        ] {
            assert_eq!(decimal(text), Decimal { coefficient, scale }, "{text}");
        }
    }

    #[test]
    fn what_is_no_number_or_too_long_is_refused() {
        for text in
            ["", " ", "n/a", ".5", "5.", "1,5", "--1", "1e", "1e+", "1.2.3", "NaN", "inf", "0x10", "1e1.5", "\u{661}"]
        {
            assert_eq!(Decimal::parse(text), Err(Unfit::NotANumber), "{text}");
        }
        for text in ["1e99", "1e99999999999", "1e-39", "1e-99999999999", "170141183460469231731687303715884105728"] {
            assert_eq!(Decimal::parse(text), Err(Unfit::TooLong), "{text}");
        }
    }

    #[test]
    fn a_result_that_does_not_fit_is_none() {
        let largest = Decimal { coefficient: i128::MAX, scale: 0 };
        assert_eq!(largest.checked_add(decimal("1")), None);
        assert_eq!(largest.checked_add(decimal("0.1")), None);
        assert_eq!(largest.checked_mul(decimal("2")), None);
        assert_eq!(Decimal { coefficient: i128::MIN, scale: 0 }.checked_neg(), None);
        assert_eq!(decimal("1e-30").checked_mul(decimal("3e-30")), None);
    }

    #[test]
    fn numbers_that_no_scale_has_in_common_are_compared() {
        let (large, small) = (Decimal { coefficient: i128::MAX, scale: 0 }, decimal("1e-38"));
        assert_eq!((large.compare(small), small.compare(large)), (Ordering::Greater, Ordering::Less));
        let low = Decimal { coefficient: i128::MIN, scale: 0 };
        assert_eq!((low.compare(small), small.compare(low)), (Ordering::Less, Ordering::Greater));
    }

    /// A number of up to 17 digits, whose products and sums always fit.
    fn numbers() -> impl Strategy<Value = Decimal> {
        (-100_000_000_000_000_000_i128..100_000_000_000_000_000, 0_u32..=12)
            .prop_map(|(coefficient, scale)| Decimal { coefficient, scale })
    }

    proptest! {
        #[test]
        fn the_text_of_any_number_is_read_as_that_number(number in numbers()) {
            let text = number.to_text();
            prop_assert_eq!(Decimal::parse(&text), Ok(number));
            prop_assert!(serde_json::from_str::<serde_json::Number>(&text).is_ok(), "{}", text);
        }

        #[test]
        fn no_text_panics(text: String, number in "[-+]?[0-9]{0,45}\\.?[0-9]{0,45}([eE][-+]?[0-9]{0,12})?") {
            for text in [text, number] {
                if let Ok(number) = Decimal::parse(&text) {
                    prop_assert_eq!(Decimal::parse(&number.to_text()), Ok(number));
                }
            }
        }

        #[test]
        fn sums_and_products_are_those_of_integers(a in numbers(), b in numbers()) {
            let at = |number: Decimal, scale: u32| number.coefficient * 10_i128.pow(scale - number.scale);
            let sum = a.checked_add(b).unwrap();
            prop_assert_eq!(at(sum, 12), at(a, 12) + at(b, 12));
            prop_assert_eq!(b.checked_add(a), Some(sum));
            prop_assert_eq!(sum.checked_add(b.checked_neg().unwrap()).unwrap().compare(a), Ordering::Equal);
            let product = a.checked_mul(b).unwrap();
            prop_assert_eq!(b.checked_mul(a), Some(product));
            prop_assert_eq!(at(product, a.scale + b.scale), a.coefficient * b.coefficient);
            prop_assert!(product.scale >= a.scale.max(b.scale));
            prop_assert_eq!(a.compare(b), at(a, 12).cmp(&at(b, 12)));
        }
    }
}
