//! Reads fields so that one odd value never fails a page.
//!
//! A vendor that sends a number as text, text as a number, or a shape that nobody has seen before, costs its reader that
//! one field, not the hundred objects around it. What fits by a plain conversion is converted; what does not is left
//! out, with an event that says so, and stays readable in the response's raw body.

mod scalar;
mod shape;

use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserializer, Error, IgnoredAny, IntoDeserializer, MapAccess, SeqAccess, Visitor};

pub(crate) use self::scalar::{Numeric, Scalar};
use self::shape::Sequence;
pub(crate) use self::shape::body;

/// Text; a number or a truth value is kept as its text.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    deserializer.deserialize_any(Scalars::<String>(PhantomData))
}

/// A number; text that holds one is read.
pub(crate) fn number<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    Numeric<T>: Scalar,
{
    let number = deserializer.deserialize_any(Scalars::<Numeric<T>>(PhantomData))?;
    Ok(number.map(|Numeric(number)| number))
}

/// A truth value; `0`, `1` and the words are read. None means "unknown", as the vendors have it.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    deserializer.deserialize_any(Scalars::<bool>(PhantomData))
}

/// A scalar that has to be there: for the types that hold whatever a vendor sends.
pub(crate) fn required<'de, D: Deserializer<'de>, T: Scalar>(deserializer: D) -> Result<T, D::Error> {
    let scalar = deserializer.deserialize_any(Scalars::<T>(PhantomData))?;
    scalar.ok_or_else(|| D::Error::custom("no value that fits"))
}

/// Any other type, from whatever fits it.
pub(crate) fn value<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_any(Whole(PhantomData))
}

/// A list, without what does not fit its element; empty where there is none.
pub(crate) fn list<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    let list = value::<D, Vec<Element<T>>>(deserializer)?;
    Ok(list.into_iter().flatten().filter_map(|Element(element)| element).collect())
}

/// A list in which every place counts, such as a page: an element that does not fit leaves its place empty.
pub(crate) struct Places<T>(pub(crate) Vec<T>);

impl<T> Default for Places<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for Places<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let places = Vec::<Element<T>>::deserialize(deserializer)?;
        Ok(Self(places.into_iter().map(|Element(element)| element.unwrap_or_default()).collect()))
    }
}

/// Says that a vendor sent something other than was expected.
#[cold]
pub(crate) fn drift<T>(found: &str) {
    tracing::debug!(
        name: "servicebay.skipped_value",
        expected = type_name::<T>(),
        found,
        "a field has another shape than expected and is left out"
    );
}

/// Reads one scalar, and swallows anything else.
struct Scalars<T>(PhantomData<T>);

impl<T: Scalar> Scalars<T> {
    fn kept<E>(value: Option<T>, found: &str) -> Result<Option<T>, E> {
        if value.is_none() {
            drift::<T>(found);
        }
        Ok(value)
    }
}

impl<'de, T: Scalar> Visitor<'de> for Scalars<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Self::kept(T::from_text(text), "text")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Self::kept(T::from_integer(number.into()), "number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Self::kept(T::from_integer(number.into()), "number")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Self::kept(T::from_float(number), "number")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Self::kept(T::from_flag(flag), "truth value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        drain_map(map)?;
        Self::kept(None, "object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
        drain_seq(seq)?;
        Self::kept(None, "list")
    }
}

/// Reads a `T` from whatever it accepts, and swallows the rest.
struct Whole<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Whole<T> {
    fn scalar<E: Error>(value: impl IntoDeserializer<'de, E>, found: &str) -> Result<Option<T>, E> {
        let read = T::deserialize(value.into_deserializer()).ok();
        if read.is_none() {
            drift::<T>(found);
        }
        Ok(read)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Whole<T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        // An owned text: the deserializer made of a borrowed one lives no longer than the call.
        Self::scalar(text.to_owned(), "text")
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Self::Value, E> {
        Self::scalar(text, "text")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Self::scalar(number, "number")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Self::scalar(number, "number")
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Self::Value, E> {
        Self::scalar(number, "number")
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Self::Value, E> {
        Self::scalar(flag, "truth value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let read = T::deserialize(MapAccessDeserializer::new(&mut map));
        // Where the JSON itself is broken this fails in turn, and so does the page.
        drain_map(map)?;
        if read.is_err() {
            drift::<T>("object");
        }
        Ok(read.ok())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let read = T::deserialize(Sequence(&mut seq));
        drain_seq(seq)?;
        if read.is_err() {
            drift::<T>("list");
        }
        Ok(read.ok())
    }
}

/// An element of a list, if it fits.
struct Element<T>(Option<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Element<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        value(deserializer).map(Self)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(default)]
    struct Object {
        #[serde(deserialize_with = "text")]
        text: Option<String>,
        #[serde(deserialize_with = "number")]
        integer: Option<i64>,
        #[serde(deserialize_with = "number")]
        float: Option<f64>,
        #[serde(deserialize_with = "flag")]
        flag: Option<bool>,
        #[serde(deserialize_with = "value")]
        inner: Option<Box<Self>>,
        #[serde(deserialize_with = "list")]
        list: Vec<Self>,
    }

    fn read(json: serde_json::Value) -> Object {
        serde_json::from_str(&json.to_string()).unwrap()
    }

    #[test]
    fn what_fits_is_read() {
        let object =
            read(json!({"text": "a", "integer": 5, "float": 1.5, "flag": true, "inner": {"integer": 1}, "list": [{}]}));
        assert_eq!(object.text.as_deref(), Some("a"));
        assert_eq!((object.integer, object.float, object.flag), (Some(5), Some(1.5), Some(true)));
        assert_eq!(object.inner.unwrap().integer, Some(1));
        assert_eq!(object.list.len(), 1);
    }

    #[test]
    fn numbers_as_text_and_text_as_numbers_are_read() {
        let object = read(json!({"text": 12345, "integer": " 5 ", "float": "1.5", "flag": "true"}));
        assert_eq!(object.text.as_deref(), Some("12345"));
        assert_eq!((object.integer, object.float, object.flag), (Some(5), Some(1.5), Some(true)));
        assert_eq!(read(json!({"integer": 5.0, "flag": 0})).integer, Some(5));
    }

    #[test]
    fn null_is_no_value_everywhere() {
        let nulls = json!({"text": null, "integer": null, "float": null, "flag": null, "inner": null, "list": null});
        assert_eq!(read(nulls), Object::default());
    }

    #[test]
    fn what_does_not_fit_costs_its_field_alone() {
        for odd in [json!({"a": [1]}), json!([1, {"b": 2}]), json!([])] {
            let object =
                read(json!({"text": odd, "integer": odd, "float": odd, "flag": odd, "inner": [1, 2], "list": 7}));
            assert_eq!(object, Object::default(), "{odd}");
        }
        assert_eq!(read(json!({"integer": "many", "float": "NaN", "flag": "maybe", "inner": "x"})), Object::default());
    }

    #[test]
    fn an_odd_element_does_not_cost_its_list() {
        let object = read(json!({"list": [{"integer": 1}, "odd", null, {"integer": 2}]}));
        let integers: Vec<_> = object.list.iter().filter_map(|object| object.integer).collect();
        assert_eq!(integers, [1, 2]);
    }

    #[test]
    fn numbers_beyond_their_type_are_left_out_and_not_bent() {
        assert_eq!(read(json!({"integer": u64::MAX})).integer, None);
        assert_eq!(read(json!({"integer": 1e300})).integer, None);
        assert_eq!(read(json!({"integer": 1.5})).integer, None);
    }

    #[test]
    fn broken_json_fails() {
        for broken in [r#"{"inner": {"integer": 1"#, r#"{"list": [{"#, r#"{"text": }"#, r#"{"inner": {"x" 1}}"#] {
            assert!(serde_json::from_str::<Object>(broken).is_err(), "{broken}");
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            let name = prop_oneof!["text", "integer", "float", "flag", "inner", "list", "x"].prop_map(String::from);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::hash_map(name, inner, 0..6).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn no_object_fails_whatever_its_fields_hold(fields in prop::collection::hash_map("text|integer|float|flag|inner|list", any_json(), 0..6)) {
            let json: serde_json::Value = fields.into_iter().collect::<serde_json::Map<_, _>>().into();
            let read = serde_json::from_str::<Object>(&json.to_string());
            prop_assert!(read.is_ok(), "{:?} {}", read, json);
        }
    }
}
