//! The visitors that take any JSON value and keep what fits.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

use super::number::{NUMBER, NumberDeserializer, RAW_VALUE, are_numbers_maps};
use super::pass::{is_fast, report_lost_digits};
use super::scalar::{KeepsDigits, Scalar};
use super::shape::Sequence;
use super::{FieldLabel, FieldName, ResumedMap, TextSeed, report_mismatch};

/// A value that is no scalar of the expected type: what it is instead.
pub(super) struct Mismatch(pub(super) &'static str);

/// Reads one scalar. Null is none.
pub(super) struct ScalarVisitor<T>(PhantomData<T>);

impl<T> ScalarVisitor<T> {
    #[inline]
    pub(super) fn new() -> Self {
        Self(PhantomData)
    }

    #[inline]
    fn fitting<E>(value: Option<T>, found: &'static str) -> Result<Result<Option<T>, Mismatch>, E> {
        Ok(value.map(Some).ok_or(Mismatch(found)))
    }
}

impl<'de, T: Scalar> DeserializeSeed<'de> for ScalarVisitor<T> {
    type Value = Result<Option<T>, Mismatch>;

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let needs_raw_text = match T::KEEPS_DIGITS {
            KeepsDigits::Never => false,
            KeepsDigits::Always => true,
            KeepsDigits::UnlessFast => !is_fast(),
        };
        if needs_raw_text {
            // A deserializer that has no raw text visits the value as a newtype.
            deserializer.deserialize_newtype_struct(RAW_VALUE, self)
        } else {
            deserializer.deserialize_any(self)
        }
    }
}

/// Reads a scalar from the digits of a number. serde_json has written the exponent anew, if there is one.
fn read_digits<T: Scalar>(digits: &str) -> Option<T> {
    if digits.contains(['e', 'E']) && !matches!(T::KEEPS_DIGITS, KeepsDigits::Never) {
        report_lost_digits();
    }
    T::from_digits(digits)
}

/// Reads a scalar from its raw text; an error if that is not JSON.
#[inline]
fn read_raw<T: Scalar>(raw: &str) -> Result<Result<Option<T>, Mismatch>, serde_json::Error> {
    let (value, found) = match raw.as_bytes().first() {
        Some(b'"') => match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
            Some(text) if !text.contains('\\') => (T::from_text(text), "text"),
            _ => (T::from_text(&serde_json::from_str::<String>(raw)?), "text"),
        },
        Some(b'-' | b'0'..=b'9') => (T::from_digits(raw), "number"),
        Some(b't') => (T::from_flag(true), "boolean"),
        Some(b'f') => (T::from_flag(false), "boolean"),
        Some(b'n') => return Ok(Ok(None)),
        Some(b'[') => (None, "list"),
        _ => (None, "object"),
    };
    Ok(value.map(Some).ok_or(Mismatch(found)))
}

impl<'de, T: Scalar> Visitor<'de> for ScalarVisitor<T> {
    type Value = Result<Option<T>, Mismatch>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    #[inline]
    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Self::fitting(T::from_text(text), "text")
    }

    #[inline]
    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Self::fitting(T::from_integer(number.into()), "number")
    }

    #[inline]
    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Self::fitting(T::from_integer(number.into()), "number")
    }

    #[inline]
    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Self::fitting(T::from_float(number), "number")
    }

    #[inline]
    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Self::fitting(T::from_flag(flag), "boolean")
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Ok(None))
    }

    #[inline]
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let kind = map.next_key_seed(TextSeed(|name: &str| match name {
            RAW_VALUE => MapKind::RawText,
            NUMBER => MapKind::Digits,
            _ => MapKind::Object,
        }))?;
        match kind {
            Some(MapKind::RawText) => map.next_value_seed(TextSeed(read_raw))?.map_err(A::Error::custom),
            Some(MapKind::Digits) => Self::fitting(map.next_value_seed(TextSeed(read_digits))?, "number"),
            Some(MapKind::Object) => {
                map.next_value::<IgnoredAny>()?;
                drain_map(map)?;
                Self::fitting(None, "object")
            }
            None => Self::fitting(None, "object"),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        drain_seq(seq)?;
        Self::fitting(None, "list")
    }
}

/// What a map is to a scalar, as its first key shows.
enum MapKind {
    Digits,
    Object,
    RawText,
}

/// Reads a `T` from whatever value it accepts and hands it to `keep`. Null, and any value that `T` refuses, is skipped.
///
/// The value is handed over and not returned, because every return on the way out of the deserializer would copy it.
pub(super) struct ValueVisitor<T, F> {
    keep: F,
    field: FieldLabel,
    kind: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnOnce(T)> ValueVisitor<T, F> {
    #[inline]
    pub(super) fn new(field: FieldLabel, keep: F) -> Self {
        Self { keep, field, kind: PhantomData }
    }

    #[inline]
    fn scalar<E: Error>(self, value: impl IntoDeserializer<'de, E>, found: &'static str) -> Result<(), E> {
        match T::deserialize(value.into_deserializer()) {
            Ok(value) => (self.keep)(value),
            Err(_) => report_mismatch::<T>(self.field, found),
        }
        Ok(())
    }

    /// Reads a map that may be the digits of a number.
    #[cold]
    fn visit_digits_or_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let first = map.next_key::<FieldName<'de>>()?;
        if first.as_ref().is_some_and(|name| name.as_str() == NUMBER) {
            let Self { keep, field, .. } = self;
            return map.next_value_seed(TextSeed(|digits: &str| match T::deserialize(NumberDeserializer(digits)) {
                Ok(value) => keep(value),
                Err(_) => report_mismatch::<T>(field, "number"),
            }));
        }
        self.visit_object(ResumedMap::new(None, first, map))
    }

    #[inline]
    fn visit_object<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match T::deserialize(MapAccessDeserializer::new(&mut map)) {
            // It has read the map to its end, or the deserializer fails as it would without us.
            Ok(value) => {
                (self.keep)(value);
                Ok(())
            }
            Err(_) => {
                report_mismatch::<T>(self.field, "object");
                // If the JSON itself is broken, this fails too, and so does the page.
                drain_map(map)
            }
        }
    }
}

impl<'de, T: Deserialize<'de>, F: FnOnce(T)> DeserializeSeed<'de> for ValueVisitor<T, F> {
    type Value = ();

    #[inline]
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnOnce(T)> Visitor<'de> for ValueVisitor<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    #[inline]
    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.scalar(text, "text")
    }

    #[inline]
    fn visit_string<E: Error>(self, text: String) -> Result<(), E> {
        self.scalar(text, "text")
    }

    #[inline]
    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.scalar(number, "number")
    }

    #[inline]
    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.scalar(number, "number")
    }

    #[inline]
    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.scalar(number, "number")
    }

    #[inline]
    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.scalar(flag, "boolean")
    }

    #[inline]
    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        if are_numbers_maps() { self.visit_digits_or_map(map) } else { self.visit_object(map) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        match T::deserialize(Sequence(&mut seq)) {
            Ok(value) => (self.keep)(value),
            Err(_) => report_mismatch::<T>(self.field, "list"),
        }
        drain_seq(seq)
    }
}

fn drain_map<'de, A: MapAccess<'de>>(mut map: A) -> Result<(), A::Error> {
    while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
    Ok(())
}

fn drain_seq<'de, A: SeqAccess<'de>>(mut seq: A) -> Result<(), A::Error> {
    while seq.next_element::<IgnoredAny>()?.is_some() {}
    Ok(())
}
