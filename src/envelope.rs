//! Envelopes: objects that a vendor wraps around the content of a response.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use crate::lenient;
use crate::vendor::Content;

/// What a vendor wraps around the content of a response.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Envelope {
    /// An object whose member of this name is the content.
    Named(&'static str),
    /// Nothing: the whole body is the content.
    None,
    /// An envelope that is not documented. The vendor's function finds the content in it.
    Unnamed(Content),
}

impl Envelope {
    /// The part of a body that [`read`](Self::read) takes; `None` if the vendor's function finds no content.
    pub(crate) fn inside(self, body: &[u8]) -> Option<&[u8]> {
        match self {
            Self::Named(_) | Self::None => Some(body),
            Self::Unnamed(content) => content(body),
        }
    }

    /// Reads the content.
    #[inline]
    pub(crate) fn read<'de, D: Deserializer<'de>, T: Deserialize<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        match self {
            Self::Named(name) => member(deserializer, name),
            Self::None | Self::Unnamed(_) => lenient::body(deserializer),
        }
    }
}

/// The member `name` of an object. An object without it is an error: there is nothing to read in its place.
fn member<'de, D, T>(deserializer: D, name: &'static str) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    deserializer.deserialize_map(Member { name, kind: PhantomData })
}

/// The content, if it has the right shape: an empty list is no object.
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
    fn the_member_is_read_at_any_position() {
        for body in [r#"{"count": 7}"#, r#"{"a": {"count": 1}, "count": 7, "b": []}"#] {
            assert_eq!(read(body), Ok(7), "{body}");
        }
    }

    #[test]
    fn a_list_in_place_of_an_object_is_refused() {
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
    fn an_object_without_the_member_is_refused() {
        for (body, problem) in [
            ("{}", "missing field `count`"),
            ("[7]", "an object with `count`"),
            ("7", "an object with `count`"),
            ("null", "an object with `count`"),
        ] {
            let error = read(body).expect_err(body);
            assert!(error.contains(problem), "{body}: {error}");
        }
    }
}
