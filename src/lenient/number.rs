//! Numbers that are read from their digits.
//!
//! serde_json makes a float of a number and drops its digits, unless they are asked for. There are two ways to them, and both
//! arrive as a map of one member that has a name of serde_json's own: the raw text of any value, which a reader asks for, and
//! the digits of a number, which every reader gets if some crate of the program turns on `serde_json/arbitrary_precision`.

use std::fmt;
use std::sync::LazyLock;

use serde::de::value::{BorrowedStrDeserializer, Error as ValueError, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::FieldName;

/// The name under which serde_json hands out the raw text of a value.
pub(super) const RAW_VALUE: &str = "$serde_json::private::RawValue";
/// The name under which serde_json hands out the digits of a number.
pub(super) const NUMBER: &str = "$serde_json::private::Number";

/// Whether serde_json hands out numbers as [`NUMBER`], which depends on the features that other crates turn on.
pub(super) fn are_numbers_maps() -> bool {
    static ARE_MAPS: LazyLock<bool> =
        LazyLock::new(|| serde_json::from_str::<IsMap>("0.5").is_ok_and(|IsMap(is_map)| is_map));
    *ARE_MAPS
}

struct IsMap(bool);

impl<'de> serde::Deserialize<'de> for IsMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct IsMapVisitor;

        impl<'de> Visitor<'de> for IsMapVisitor {
            type Value = bool;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number")
            }

            fn visit_f64<E: Error>(self, _: f64) -> Result<bool, E> {
                Ok(false)
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
                Ok(map.next_entry::<FieldName<'de>, String>()?.is_some())
            }
        }

        deserializer.deserialize_any(IsMapVisitor).map(Self)
    }
}

/// The digits of a number. Readers that keep digits get them; all others get the number.
pub(super) struct NumberDeserializer<'a>(pub(super) &'a str);

macro_rules! forward_to_number {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            self.visit_number(visitor)
        }
    )*};
}

impl NumberDeserializer<'_> {
    fn visit_number<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        if let Ok(number) = self.0.parse::<u64>() {
            return visitor.visit_u64(number);
        }
        if let Ok(number) = self.0.parse::<i64>() {
            return visitor.visit_i64(number);
        }
        match self.0.parse::<f64>() {
            Ok(number) if number.is_finite() => visitor.visit_f64(number),
            _ => Err(ValueError::custom("a number that is out of range")),
        }
    }
}

impl<'de> Deserializer<'de> for NumberDeserializer<'_> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_map(DigitsMap(Some(self.0)))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.visit_number(visitor)
    }

    forward_to_number! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier
    }

    forward_to_deserialize_any! { enum ignored_any tuple tuple_struct unit_struct }
}

/// The map in which serde_json hands out digits.
struct DigitsMap<'a>(Option<&'a str>);

impl<'de> MapAccess<'de> for DigitsMap<'_> {
    type Error = ValueError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, ValueError> {
        match self.0 {
            None => Ok(None),
            Some(_) => seed.deserialize(BorrowedStrDeserializer::new(NUMBER)).map(Some),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ValueError> {
        seed.deserialize(StrDeserializer::new(self.0.take().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;

    /// Keeps the name of the newtype that is read.
    struct NameOf<'a>(&'a mut &'static str);

    impl<'de> Deserializer<'de> for NameOf<'_> {
        type Error = ValueError;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ValueError> {
            Err(ValueError::custom("only the name counts"))
        }

        fn deserialize_newtype_struct<V: Visitor<'de>>(
            self,
            name: &'static str,
            visitor: V,
        ) -> Result<V::Value, ValueError> {
            *self.0 = name;
            self.deserialize_any(visitor)
        }

        forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
            seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }

    #[test]
    fn serde_json_hands_out_raw_text_under_the_name_that_readers_ask_for() {
        let mut name = "";
        <&RawValue>::deserialize(NameOf(&mut name)).unwrap_err();
        assert_eq!(name, RAW_VALUE);
    }

    #[test]
    fn digits_are_a_number_to_a_reader_that_wants_one() {
        assert_eq!(u64::deserialize(NumberDeserializer("18446744073709551615")), Ok(u64::MAX));
        assert_eq!(i64::deserialize(NumberDeserializer("-5")), Ok(-5));
        assert_eq!(Option::<f64>::deserialize(NumberDeserializer("1.50")), Ok(Some(1.5)));
        assert!(u32::deserialize(NumberDeserializer("1.5")).is_err());
        assert!(f64::deserialize(NumberDeserializer("1e999")).is_err());
        assert!(String::deserialize(NumberDeserializer("1")).is_err());
        assert!(Vec::<u8>::deserialize(NumberDeserializer("1")).is_err());
    }

    #[test]
    fn digits_are_a_number_of_serde_json_exactly_if_it_keeps_digits_itself() {
        let read = Value::deserialize(NumberDeserializer("1.10")).unwrap();
        assert_eq!(read.is_number(), are_numbers_maps(), "{read}");
    }
}
