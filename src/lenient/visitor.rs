//! The visitors that take any JSON value and keep what fits.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor,
};

use super::report_mismatch;
use super::scalar::Scalar;
use super::shape::Sequence;

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
        deserializer.deserialize_any(self)
    }
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

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        drain_map(map)?;
        Self::fitting(None, "object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        drain_seq(seq)?;
        Self::fitting(None, "list")
    }
}

/// Reads a `T` from whatever value it accepts and hands it to `keep`. Null, and any value that `T` refuses, is skipped.
///
/// The value is handed over and not returned, because every return on the way out of the deserializer would copy it.
pub(super) struct ValueVisitor<T, F> {
    keep: F,
    kind: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: FnOnce(T)> ValueVisitor<T, F> {
    #[inline]
    pub(super) fn new(keep: F) -> Self {
        Self { keep, kind: PhantomData }
    }

    #[inline]
    fn scalar<E: Error>(self, value: impl IntoDeserializer<'de, E>, found: &str) -> Result<(), E> {
        match T::deserialize(value.into_deserializer()) {
            Ok(value) => (self.keep)(value),
            Err(_) => report_mismatch::<T>(found),
        }
        Ok(())
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

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        match T::deserialize(MapAccessDeserializer::new(&mut map)) {
            // It has read the map to its end, or the deserializer fails as it would without us.
            Ok(value) => {
                (self.keep)(value);
                Ok(())
            }
            Err(_) => {
                report_mismatch::<T>("object");
                // If the JSON itself is broken, this fails too, and so does the page.
                drain_map(map)
            }
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        match T::deserialize(Sequence(&mut seq)) {
            Ok(value) => (self.keep)(value),
            Err(_) => report_mismatch::<T>("list"),
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
