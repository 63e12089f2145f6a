//! A map whose first entries were read already, for types that must look at them before they know what to read.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, Visitor};

/// The name of a field, borrowed from the JSON if it holds no escapes.
pub(crate) struct FieldName<'de>(Cow<'de, str>);

impl FieldName<'_> {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for FieldName<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FieldNameVisitor;

        impl<'de> Visitor<'de> for FieldNameVisitor {
            type Value = FieldName<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the name of a field")
            }

            fn visit_borrowed_str<E>(self, name: &'de str) -> Result<FieldName<'de>, E> {
                Ok(FieldName(Cow::Borrowed(name)))
            }

            fn visit_str<E>(self, name: &str) -> Result<FieldName<'de>, E> {
                Ok(FieldName(Cow::Owned(name.to_owned())))
            }
        }

        deserializer.deserialize_str(FieldNameVisitor)
    }
}

/// The entries of a map from the beginning: those that were read already, then the rest.
pub(crate) struct ResumedMap<'de, A> {
    /// The entry that was read, until its key is handed out.
    entry: Option<(&'static str, Option<String>)>,
    /// The value of that entry, between its key and the next one.
    value: Option<Option<String>>,
    /// The key that was read last, if its value is still to come.
    key: Option<FieldName<'de>>,
    rest: A,
}

impl<'de, A> ResumedMap<'de, A> {
    /// A map of which an entry with a text or null was read, then a key.
    pub(crate) fn new(entry: Option<(&'static str, Option<String>)>, key: Option<FieldName<'de>>, rest: A) -> Self {
        Self { entry, value: None, key, rest }
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for ResumedMap<'de, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        if let Some((name, value)) = self.entry.take() {
            self.value = Some(value);
            return seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some);
        }
        match self.key.take() {
            None => self.rest.next_key_seed(seed),
            Some(FieldName(Cow::Borrowed(name))) => seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some),
            Some(FieldName(Cow::Owned(name))) => seed.deserialize(StrDeserializer::new(&name)).map(Some),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        match self.value.take() {
            None => self.rest.next_value_seed(seed),
            Some(None) => seed.deserialize(().into_deserializer()),
            Some(Some(text)) => seed.deserialize(text.into_deserializer()),
        }
    }
}
