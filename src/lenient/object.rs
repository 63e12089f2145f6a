//! `serde_object!`, which implements serde's traits for a struct that is a JSON object.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, IgnoredAny, MapAccess, Visitor};

use super::visitor::{ScalarVisitor, ValueVisitor};
use super::{FittingList, Numeric, Scalar, ScalarList, or_report};

/// Implements `Deserialize` and `Serialize` for a struct that stands for a JSON object; after `write`, only `Serialize`.
///
/// Each field is listed with the reader for its type, which is a function of [`read`], and with its name in JSON if that differs:
///
/// ```text
/// serde_object! { Order { id: scalar, href: text, created_at: value = "createdAt" } }
/// serde_object! { write OrderCreate { customer: required, reference: text } extra }
/// ```
///
/// * A field that is `None` or an empty list is not written. A `required` one is always written, and a JSON object
///   without it is refused.
/// * If a field is repeated, its last value counts. A field that is not listed is skipped, or kept in the map named at
///   the end (`extra`) and written again.
/// * Only a JSON object is read. Serde's derived code would also fill the struct from a list, by position.
macro_rules! serde_object {
    (write $name:ident { $($fields:tt)* } $($extra:ident)?) => {
        $crate::lenient::serde_object! { @write $name { $($fields)* } $($extra)? }
    };
    (required $name:ident { $($fields:tt)* }) => {
        $crate::lenient::serde_object! { @read_required $name { $($fields)* } }
        $crate::lenient::serde_object! { @write $name { $($fields)* } }
    };
    ($name:ident { $($fields:tt)* } $($extra:ident)?) => {
        $crate::lenient::serde_object! { @read $name { $($fields)* } $($extra)? }
        $crate::lenient::serde_object! { @write $name { $($fields)* } $($extra)? }
    };

    (@read $name:ident { $($field:ident: $kind:ident $(= $wire:literal)?),* $(,)? } $($extra:ident)?) => {
        $crate::lenient::serde_object! { @read $name, |map| {
            let mut object = Self::default();
            $crate::lenient::serde_object!(@fields $name map { $([$field $($wire)?] $kind (object.$field)),* } $((object.$extra))?);
            Ok(object)
        } }
    };
    (@read_required $name:ident { $($field:ident: $kind:ident $(= $wire:literal)?),* $(,)? }) => {
        $crate::lenient::serde_object! { @read $name, |map| {
            $(let mut $field = $crate::lenient::serde_object!(@start $kind);)*
            $crate::lenient::serde_object!(@fields $name map { $([$field $($wire)?] $kind ($field)),* });
            Ok(Self { $($field: $crate::lenient::serde_object!(@finish $kind [$field $($wire)?]),)* })
        } }
    };
    (@read $name:ident, |$map:ident| $read:block) => {
        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map($crate::lenient::object::ObjectVisitor::new())
            }
        }

        impl $crate::lenient::object::ReadObject for $name {
            fn read_object<'de, A: ::serde::de::MapAccess<'de>>(mut $map: A) -> Result<Self, A::Error> {
                $read
            }
        }
    };
    (@fields $name:ident $map:ident { $([$field:ident $($wire:literal)?] $kind:ident ($($place:tt)*)),* } $(($($extra:tt)*))?) => {
        #[allow(non_camel_case_types)]
        enum Key {
            $($field,)*
            Unlisted($crate::lenient::serde_object!(@unlisted $(($($extra)*))?)),
        }
        while let Some(read_key) = $map.next_key_seed($crate::lenient::TextSeed(|name: &str| match name {
            $($crate::lenient::serde_object!(@wire $field $($wire)?) => Key::$field,)*
            name => Key::Unlisted(name.into()),
        }))? {
            match read_key {
                $(Key::$field => $crate::lenient::object::read::$kind(
                    &mut $map,
                    &mut $($place)*,
                    &concat!(stringify!($name), ".", $crate::lenient::serde_object!(@wire $field $($wire)?)),
                )?,)*
                Key::Unlisted(name) => $crate::lenient::serde_object!(@keep $map name $(($($extra)*))?),
            }
        }
    };

    (@write $name:ident { $($field:ident: $kind:ident $(= $wire:literal)?),* $(,)? }) => {
        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use ::serde::ser::SerializeStruct as _;

                let present = 0 $(+ usize::from(!$crate::lenient::serde_object!(@is_absent $kind, self.$field)))*;
                let mut object = serializer.serialize_struct(stringify!($name), present)?;
                $(
                    if $crate::lenient::serde_object!(@is_absent $kind, self.$field) {
                        object.skip_field($crate::lenient::serde_object!(@wire $field $($wire)?))?;
                    } else {
                        object.serialize_field($crate::lenient::serde_object!(@wire $field $($wire)?), &self.$field)?;
                    }
                )*
                object.end()
            }
        }
    };
    (@write $name:ident { $($field:ident: $kind:ident $(= $wire:literal)?),* $(,)? } $extra:ident) => {
        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                use ::serde::ser::SerializeMap as _;

                let mut object = serializer.serialize_map(None)?;
                $(
                    if !$crate::lenient::serde_object!(@is_absent $kind, self.$field) {
                        object.serialize_entry($crate::lenient::serde_object!(@wire $field $($wire)?), &self.$field)?;
                    }
                )*
                for (name, value) in &self.$extra {
                    object.serialize_entry(name, value)?;
                }
                object.end()
            }
        }
    };

    (@wire $field:ident) => { stringify!($field) };
    (@wire $field:ident $wire:literal) => { $wire };

    (@start required) => { None };
    (@start $kind:ident) => { Default::default() };

    (@finish required [$field:ident $($wire:literal)?]) => {
        $field.ok_or_else(|| ::serde::de::Error::missing_field($crate::lenient::serde_object!(@wire $field $($wire)?)))?
    };
    (@finish $kind:ident [$field:ident $($wire:literal)?]) => { $field };

    (@is_absent required, $value:expr) => { false };
    (@is_absent $kind:ident, $value:expr) => { $crate::lenient::object::Optional::is_absent(&$value) };

    (@unlisted) => { $crate::lenient::object::Skipped };
    (@unlisted ($($extra:tt)*)) => { String };

    (@keep $map:ident $name:ident) => { $name.skip_value(&mut $map)? };
    (@keep $map:ident $name:ident ($($extra:tt)*)) => { _ = $($extra)*.insert($name, $map.next_value()?) };
}
pub(crate) use serde_object;

/// A struct that is read from the entries of a JSON object.
pub(crate) trait ReadObject: Sized {
    fn read_object<'de, A: MapAccess<'de>>(map: A) -> Result<Self, A::Error>;
}

/// Reads a [`ReadObject`] from a JSON object and from nothing else.
pub(crate) struct ObjectVisitor<T>(PhantomData<T>);

impl<T> ObjectVisitor<T> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<'de, T: ReadObject> Visitor<'de> for ObjectVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::read_object(map)
    }
}

/// A field that is not listed and whose value is skipped.
pub(crate) struct Skipped;

impl From<&str> for Skipped {
    fn from(_: &str) -> Self {
        Self
    }
}

impl Skipped {
    pub(crate) fn skip_value<'de, A: MapAccess<'de>>(self, map: &mut A) -> Result<(), A::Error> {
        map.next_value::<IgnoredAny>().map(|_| ())
    }
}

/// A value that an object may do without.
pub(crate) trait Optional {
    fn is_absent(&self) -> bool;
}

impl<T> Optional for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T> Optional for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// The readers of fields: each stores the next value of a map, or nothing if the value does not fit.
///
/// They write into place, because a struct is large and each step that returns it would copy it.
pub(crate) mod read {
    use super::*;

    #[inline]
    pub(crate) fn text<'de, A: MapAccess<'de>>(
        map: &mut A,
        field: &mut Option<String>,
        name: &'static &'static str,
    ) -> Result<(), A::Error> {
        scalar(map, field, name)
    }

    #[inline]
    pub(crate) fn flag<'de, A: MapAccess<'de>>(
        map: &mut A,
        field: &mut Option<bool>,
        name: &'static &'static str,
    ) -> Result<(), A::Error> {
        scalar(map, field, name)
    }

    #[inline]
    pub(crate) fn number<'de, A, T>(
        map: &mut A,
        field: &mut Option<T>,
        name: &'static &'static str,
    ) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
        Numeric<T>: Scalar,
    {
        *field = or_report(map.next_value_seed(ScalarVisitor::new())?, Some(name)).map(|Numeric(number)| number);
        Ok(())
    }

    /// A scalar that is no plain type: an amount, an id, a date.
    #[inline]
    pub(crate) fn scalar<'de, A: MapAccess<'de>, T: Scalar>(
        map: &mut A,
        field: &mut Option<T>,
        name: &'static &'static str,
    ) -> Result<(), A::Error> {
        *field = or_report(map.next_value_seed(ScalarVisitor::new())?, Some(name));
        Ok(())
    }

    #[inline]
    pub(crate) fn value<'de, A, T>(
        map: &mut A,
        field: &mut Option<T>,
        name: &'static &'static str,
    ) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
        T: Deserialize<'de>,
    {
        *field = None;
        map.next_value_seed(ValueVisitor::new(Some(name), |value| *field = Some(value)))
    }

    #[inline]
    pub(crate) fn list<'de, A, T>(map: &mut A, field: &mut Vec<T>, name: &'static &'static str) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
        T: Deserialize<'de>,
    {
        field.clear();
        map.next_value_seed(ValueVisitor::new(Some(name), |FittingList(list)| *field = list))
    }

    /// A list of texts or of other scalars.
    #[inline]
    pub(crate) fn scalars<'de, A: MapAccess<'de>, T: Scalar>(
        map: &mut A,
        field: &mut Vec<T>,
        name: &'static &'static str,
    ) -> Result<(), A::Error> {
        field.clear();
        map.next_value_seed(ValueVisitor::new(Some(name), |ScalarList(list)| *field = list))
    }

    #[inline]
    pub(crate) fn required<'de, A, T>(
        map: &mut A,
        field: &mut Option<T>,
        _: &'static &'static str,
    ) -> Result<(), A::Error>
    where
        A: MapAccess<'de>,
        T: Deserialize<'de>,
    {
        *field = Some(map.next_value()?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Contact {
        full_name: Option<String>,
        age: Option<u32>,
        phones: Vec<String>,
    }

    serde_object! { Contact { full_name: text = "fullName", age: number, phones: list } }

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Profile {
        name: Option<String>,
        extra: Map<String, Value>,
    }

    serde_object! { Profile { name: text } extra }

    #[derive(Debug, PartialEq)]
    struct Created {
        id: u64,
        note: Option<String>,
    }

    serde_object! { required Created { id: required = "_id", note: text } }

    #[derive(Debug)]
    struct Draft {
        reference: String,
        note: Option<String>,
        extra: Map<String, Value>,
    }

    serde_object! { write Draft { reference: required, note: text } extra }

    #[test]
    fn fields_have_their_names_in_json_and_absent_ones_are_not_written() {
        let contact: Contact = serde_json::from_str(r#"{"fullName": "Ada", "phones": ["1"], "other": [{}]}"#).unwrap();
        assert_eq!((contact.full_name.as_deref(), contact.phones.len()), (Some("Ada"), 1));
        assert_eq!(serde_json::to_string(&contact).unwrap(), r#"{"fullName":"Ada","phones":["1"]}"#);
        assert_eq!(serde_json::to_string(&Contact::default()).unwrap(), "{}");
    }

    #[test]
    fn a_name_with_escapes_is_the_same_name() {
        let contact: Contact = serde_json::from_str(r#"{"full\u004eame": "Ada"}"#).unwrap();
        assert_eq!(contact.full_name.as_deref(), Some("Ada"));
    }

    #[test]
    fn only_an_object_is_an_object() {
        for json in ["[]", r#"["Ada", 1, []]"#, "null", "\"Ada\"", "1", "true"] {
            assert!(serde_json::from_str::<Contact>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn members_that_are_not_listed_are_kept_for_writing_if_asked_for() {
        let json = json!({"name": "Ada", "club": {"id": 1}, "tags": [null]});
        let profile: Profile = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(profile.extra.len(), 2);
        assert_eq!(serde_json::to_value(&profile).unwrap(), json);
    }

    #[test]
    fn an_object_without_a_required_field_is_refused() {
        let created: Created = serde_json::from_str(r#"{"note": 5, "_id": 7}"#).unwrap();
        assert_eq!(created, Created { id: 7, note: Some("5".to_owned()) });
        for (json, problem) in [
            (r#"{"note": "x"}"#, "missing field `_id`"),
            (r#"{"_id": null}"#, "invalid type: null"),
            (r#"{"_id": "x"}"#, "invalid type: string"),
        ] {
            let error = serde_json::from_str::<Created>(json).unwrap_err().to_string();
            assert!(error.starts_with(problem), "{error}");
        }
    }

    #[test]
    fn what_is_only_written_writes_required_fields_and_the_rest_if_set() {
        let mut draft = Draft { reference: String::new(), note: None, extra: Map::new() };
        assert_eq!(serde_json::to_string(&draft).unwrap(), r#"{"reference":""}"#);
        draft.note = Some("x".to_owned());
        draft.extra.insert("color".to_owned(), Value::Null);
        assert_eq!(serde_json::to_string(&draft).unwrap(), r#"{"reference":"","note":"x","color":null}"#);
    }
}
