//! Scalars: types that are read from a single JSON value, whichever way a vendor writes it.

use std::str::FromStr;

use super::report_lost_digits;

/// A type that is read from a single JSON value. Each function returns `None` if its value does not fit.
pub(crate) trait Scalar: Sized {
    /// Whether it keeps the digits of a number as they were sent.
    const KEEPS_DIGITS: KeepsDigits = KeepsDigits::Never;

    fn from_text(text: &str) -> Option<Self>;

    /// A number, by its digits as they were sent.
    fn from_digits(digits: &str) -> Option<Self> {
        match digits.parse() {
            Ok(number) => Self::from_integer(number),
            Err(_) => digits.parse().ok().filter(|number: &f64| number.is_finite()).and_then(Self::from_float),
        }
    }

    fn from_float(number: f64) -> Option<Self>;
    fn from_integer(number: i128) -> Option<Self>;
    fn from_flag(flag: bool) -> Option<Self>;
}

/// Whether a type keeps the digits of a number as they were sent. They cost a little in every value, whatever it is.
pub(crate) enum KeepsDigits {
    /// For a type that is usually a number.
    Always,
    /// For a type that is no number, or has no other digits than those that count.
    Never,
    /// For a type that is usually text: not in a [`FastPass`](super::FastPass).
    UnlessFast,
}

impl Scalar for String {
    const KEEPS_DIGITS: KeepsDigits = KeepsDigits::UnlessFast;

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn from_digits(digits: &str) -> Option<Self> {
        Some(digits.to_owned())
    }

    fn from_float(number: f64) -> Option<Self> {
        report_lost_digits();
        Some(number.to_string())
    }

    fn from_integer(number: i128) -> Option<Self> {
        Some(number.to_string())
    }

    fn from_flag(flag: bool) -> Option<Self> {
        Some(flag.to_string())
    }
}

impl Scalar for bool {
    fn from_text(text: &str) -> Option<Self> {
        match text.trim() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    fn from_float(_: f64) -> Option<Self> {
        None
    }

    fn from_integer(number: i128) -> Option<Self> {
        match number {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    fn from_flag(flag: bool) -> Option<Self> {
        Some(flag)
    }
}

/// A number, so that it does not conflict with the other scalars.
pub(crate) struct Numeric<T>(pub(crate) T);

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Scalar for Numeric<$integer> {
            fn from_text(text: &str) -> Option<Self> {
                <$integer>::from_str(text.trim()).ok().map(Self)
            }

            fn from_float(number: f64) -> Option<Self> {
                // Beyond 2⁵³, different integers are the same float.
                let whole = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
                if whole { Self::from_integer(number as i128) } else { None }
            }

            fn from_integer(number: i128) -> Option<Self> {
                <$integer>::try_from(number).ok().map(Self)
            }

            fn from_flag(_: bool) -> Option<Self> {
                None
            }
        }
    )*};
}

integers!(i32, i64, u32, u64);

impl Scalar for Numeric<f64> {
    fn from_text(text: &str) -> Option<Self> {
        f64::from_str(text.trim()).ok().filter(|number| number.is_finite()).map(Self)
    }

    fn from_float(number: f64) -> Option<Self> {
        Some(Self(number))
    }

    fn from_integer(number: i128) -> Option<Self> {
        Some(Self(number as f64))
    }

    fn from_flag(_: bool) -> Option<Self> {
        None
    }
}
