//! What is wrapped around what an answer is about, and the way through it.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::lenient;
use crate::vendor::Content;

/// What a vendor wraps around an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Envelope {
    /// An object that is about its member of this name, and nothing else.
    Named(&'static str),
    /// Nothing: the whole body counts.
    None,
    /// A form that no client has seen. The vendor's function looks for what is inside.
    Unnamed(Content),
}

impl Envelope {
    /// The part of a body that is read, where an envelope without a name may be around it.
    pub(crate) fn inside(self, body: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Named(_) | Self::None => Some(body),
            Self::Unnamed(content) => content(body),
        }
    }

    /// Reads that part.
    #[inline]
    pub(crate) fn read<'de, D: Deserializer<'de>, T: Deserialize<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        match self {
            Self::Named(name) => member(deserializer, name),
            Self::None | Self::Unnamed(_) => lenient::body(deserializer),
        }
    }
}

/// The member `name` of an object. An object without it fails: something in its place would be made up.
fn member<'de, D, T>(deserializer: D, name: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_map(Member { name, kind: PhantomData })
}

/// What is inside, as long as it has the shape that is due: an empty list is no record.
struct Inside<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Inside<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        lenient::body(deserializer).map(Self)
    }
}

struct Member<T> {
    name: &'static str,
    kind: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Member<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with `{}`", self.name)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == self.name && found.is_none() {
                found = Some(map.next_value::<Inside<T>>()?.0);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        found.ok_or_else(|| A::Error::missing_field(self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Result<i64, String> {
        let mut deserializer = serde_json::Deserializer::from_str(body);
        member(&mut deserializer, "count").map_err(|error| error.to_string())
    }

    #[test]
    fn the_member_is_read_wherever_it_stands() {
        for body in [r#"{"count": 7}"#, r#"{"a": {"count": 1}, "count": 7, "b": []}"#] {
            assert_eq!(read(body), Ok(7), "{body}");
        }
    }

    #[test]
    fn a_list_in_place_of_a_record_is_another_shape() {
        #[derive(Debug, Default, serde::Deserialize)]
        #[serde(default)]
        struct Record {
            _id: i64,
        }
        for body in [r#"{"data": []}"#, r#"{"data": null}"#, r#"{"data": "x"}"#] {
            let mut deserializer = serde_json::Deserializer::from_str(body);
            assert!(member::<_, Record>(&mut deserializer, "data").is_err(), "{body}");
        }
    }

    #[test]
    fn an_object_without_the_member_is_another() {
        for (body, complaint) in [
            ("{}", "missing field `count`"),
            ("[7]", "an object with `count`"),
            ("7", "an object with `count`"),
            ("null", "an object with `count`"),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.contains(complaint), "{body}: {error}");
        }
    }
}
