//! The digits of an amount, which are nearly always few and then need no allocation.

use std::fmt;
use std::hash::{Hash, Hasher};

/// The longest text that is kept in place. The whole then takes no more room than a `String`.
const SHORT: usize = 22;

/// Below this, a multiple of a hundredth has at most 15 significant digits, and no other such number is the same float.
const MAX_CENTS: f64 = 1e15;

/// A short text in place, or a longer one on the heap.
#[derive(Clone)]
pub(super) enum Digits {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Box<str>),
}

impl Digits {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Short { length, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).expect("the bytes are those of a whole text")
            }
            Self::Long(text) => text,
        }
    }
}

impl From<&str> for Digits {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Self::Short { length: text.len() as u8, bytes }
            }
            None => Self::Long(text.into()),
        }
    }
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Digits {
            fn from(number: $integer) -> Self {
                match i64::try_from(number) {
                    Ok(number) => {
                        let mut digits = Reversed::default();
                        digits.push_integer(number.unsigned_abs());
                        digits.finish(number < 0)
                    }
                    Err(_) => number.to_string().as_str().into(),
                }
            }
        }
    )*};
}

integers!(i32, i64, i128, u32);

impl From<f64> for Digits {
    /// The shortest digits that mean this float, as `to_string` writes them.
    ///
    /// Money has two decimals, and their digits follow from an integer, which costs a tenth of the general way.
    fn from(number: f64) -> Self {
        let cents = (number * 100.0).round();
        let is_exact = cents / 100.0 == number && cents.abs() < MAX_CENTS && cents != 0.0;
        if !is_exact {
            return number.to_string().as_str().into();
        }
        let cents = cents as i64;
        let (whole, hundredths) = (cents.unsigned_abs() / 100, cents.unsigned_abs() % 100);
        let mut digits = Reversed::default();
        if hundredths > 0 {
            if hundredths % 10 > 0 {
                digits.push_digit(hundredths % 10);
            }
            digits.push_digit(hundredths / 10);
            digits.push(b'.');
        }
        digits.push_integer(whole);
        digits.finish(cents < 0)
    }
}

/// Digits that are collected from the last to the first.
#[derive(Default)]
struct Reversed {
    bytes: [u8; SHORT],
    length: usize,
}

impl Reversed {
    fn push(&mut self, byte: u8) {
        self.length += 1;
        self.bytes[SHORT - self.length] = byte;
    }

    fn push_digit(&mut self, digit: u64) {
        self.push(b'0' + digit as u8);
    }

    /// An integer has at most 20 digits, which leaves room for a sign.
    fn push_integer(&mut self, mut integer: u64) {
        loop {
            self.push_digit(integer % 10);
            integer /= 10;
            if integer == 0 {
                return;
            }
        }
    }

    fn finish(mut self, is_negative: bool) -> Digits {
        if is_negative {
            self.push(b'-');
        }
        let mut bytes = [0; SHORT];
        bytes[..self.length].copy_from_slice(&self.bytes[SHORT - self.length..]);
        Digits::Short { length: self.length as u8, bytes }
    }
}

impl PartialEq for Digits {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Digits {}

impl Hash for Digits {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_take_no_more_room_than_a_string() {
        assert_eq!(size_of::<Digits>(), size_of::<String>());
    }

    #[test]
    fn a_text_of_any_length_is_kept() {
        for length in [0, 1, SHORT - 1, SHORT, SHORT + 1, 300] {
            let text = "1".repeat(length);
            assert_eq!(Digits::from(text.as_str()).as_str(), text);
        }
        assert_eq!(Digits::from("12,50 €").as_str(), "12,50 €");
    }

    #[test]
    fn numbers_at_the_edges_have_the_digits_that_they_are_written_with() {
        for integer in [0, 7, -7, i64::MAX.into(), i64::MIN.into(), i128::from(u64::MAX), i128::MIN] {
            assert_eq!(Digits::from(integer).as_str(), integer.to_string());
        }
        for float in [
            0.0,
            -0.0,
            0.01,
            -0.01,
            0.1,
            0.07,
            1.005,
            249.5,
            1299.99,
            -3.0,
            1e12,
            9_999_999_999_999.99,
            1e13,
            1e15,
            1e22,
            0.1 + 0.2,
            f64::MAX,
            f64::MIN_POSITIVE,
            f64::NAN,
            f64::INFINITY,
        ] {
            assert_eq!(Digits::from(float).as_str(), float.to_string());
        }
    }

    proptest! {
        #[test]
        fn any_number_has_the_digits_that_it_is_written_with(integer: i64, float: f64, cents in -2e15..2e15) {
            let money = f64::trunc(cents) / 100.0;
            for (digits, text) in [
                (Digits::from(integer), integer.to_string()),
                (Digits::from(float), float.to_string()),
                (Digits::from(money), money.to_string()),
            ] {
                prop_assert_eq!(digits.as_str(), text);
            }
        }
    }
}
