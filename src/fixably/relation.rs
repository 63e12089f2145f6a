//! Relations: links to other objects, or the objects themselves if the request expanded them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Collection, Id};
use crate::page::Sealed;

/// An object with a URL of its own.
pub trait Resource: Sealed + Sized {
    /// The URL, as the vendor sent it.
    fn href(&self) -> Option<&str>;

    /// The `id` field of the object.
    fn own_id(&self) -> Option<Id<Self>>;

    /// The `id` field of the object, or else the id at the end of its URL, which is all that a link has.
    fn resolved_id(&self) -> Option<Id<Self>> {
        self.own_id().or_else(|| id_in(self.href()?))
    }
}

/// The id at the end of a URL such as `https://acme.fixably.com/api/v3/queues/1`.
fn id_in<T>(href: &str) -> Option<Id<T>> {
    let path = href.split(['?', '#']).next()?.trim_end_matches('/');
    path.rsplit('/').next()?.parse().ok()
}

/// A relation to one object: a link, or the object if the request expanded it.
///
/// # Example
///
/// ```
/// use servicebay::fixably::{Ref, types::Customer};
///
/// let link: Ref<Customer> = serde_json::from_str(r#"{"href": "https://acme.fixably.com/api/v3/customers/7"}"#)?;
/// assert_eq!(link.id(), Some(7.into()));
/// assert!(link.expanded().is_none());
///
/// let whole: Ref<Customer> = serde_json::from_str(r#"{"id": 7, "company": "Acme"}"#)?;
/// assert_eq!(whole.expanded().and_then(|customer| customer.company.as_deref()), Some("Acme"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Ref<T>(Link<T>);

#[derive(Clone, Debug, PartialEq)]
enum Link<T> {
    Address(Option<String>),
    Whole(Box<T>),
}

impl<T: Resource> Ref<T> {
    /// The id of the object, whether it was expanded or not.
    pub fn id(&self) -> Option<Id<T>> {
        match &self.0 {
            Link::Address(href) => id_in(href.as_deref()?),
            Link::Whole(object) => object.resolved_id(),
        }
    }

    /// The URL of the object.
    pub fn href(&self) -> Option<&str> {
        match &self.0 {
            Link::Address(href) => href.as_deref(),
            Link::Whole(object) => object.href(),
        }
    }

    /// The object, if it was expanded.
    pub fn expanded(&self) -> Option<&T> {
        match &self.0 {
            Link::Address(_) => None,
            Link::Whole(object) => Some(object),
        }
    }

    /// The object, if it was expanded.
    pub fn into_expanded(self) -> Option<T> {
        match self.0 {
            Link::Address(_) => None,
            Link::Whole(object) => Some(*object),
        }
    }
}

impl<'de, T: Resource + Deserialize<'de>> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (object, fields): (T, usize) = counted(deserializer)?;
        // A link is an object that has an address and nothing else.
        Ok(Self(match object.href() {
            Some(href) if fields == 1 => Link::Address(Some(href.to_owned())),
            None if fields == 0 => Link::Address(None),
            _ => Link::Whole(Box::new(object)),
        }))
    }
}

impl<T: Serialize> Serialize for Ref<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Link::Address(href) => link(href.as_deref(), serializer),
            Link::Whole(object) => object.serialize(serializer),
        }
    }
}

/// A relation to many objects: a link to their list, or the first page of it if the request expanded it.
///
/// # Example
///
/// ```
/// use servicebay::fixably::{Many, types::OrderNote};
///
/// let notes: Many<OrderNote> = serde_json::from_str(r#"{"totalItems": 40, "items": [{"id": 1, "text": "Cracked"}]}"#)?;
/// assert_eq!(notes.items().len(), 1);
/// assert!(!notes.is_complete(), "list_order_notes returns the other 39");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Many<T> {
    href: Option<String>,
    page: Option<Collection<T>>,
}

impl<T> Many<T> {
    /// The URL of the list.
    pub fn href(&self) -> Option<&str> {
        self.href.as_deref()
    }

    /// The first page of the list, if it was expanded.
    pub fn expanded(&self) -> Option<&Collection<T>> {
        self.page.as_ref()
    }

    /// The objects on the first page; none if the relation was not expanded.
    pub fn items(&self) -> &[T] {
        self.page.as_ref().map_or(&[], |page| &page.items)
    }

    /// Whether [`items`](Self::items) are all objects of the relation. An expanded relation contains one page; the list
    /// operation returns the rest.
    pub fn is_complete(&self) -> bool {
        self.page.as_ref().is_some_and(|page| page.total_items.is_none_or(|total| total <= page.items.len() as u64))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        /// Both shapes at once.
        #[derive(serde::Deserialize)]
        #[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
        struct Either<T> {
            #[serde(default, deserialize_with = "crate::lenient::text")]
            href: Option<String>,
            #[serde(default, deserialize_with = "crate::lenient::number")]
            limit: Option<u32>,
            #[serde(default, deserialize_with = "crate::lenient::number")]
            offset: Option<u32>,
            #[serde(default, deserialize_with = "crate::lenient::number")]
            total_items: Option<u64>,
            #[serde(default, deserialize_with = "some_list")]
            items: Option<Vec<T>>,
        }

        fn some_list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(d: D) -> Result<Option<Vec<T>>, D::Error> {
            crate::lenient::list(d).map(Some)
        }

        let Either { href, limit, offset, total_items, items } = Either::deserialize(deserializer)?;
        let page = items.map(|items| Collection { limit, offset, total_items, items });
        Ok(Self { href, page })
    }
}

impl<T: Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.page {
            Some(page) => page.serialize(serializer),
            None => link(self.href.as_deref(), serializer),
        }
    }
}

fn link<S: Serializer>(href: Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut link = serializer.serialize_struct("Link", 1)?;
    link.serialize_field("href", &href)?;
    link.end()
}

/// Reads an object and counts its fields.
fn counted<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<(T, usize), D::Error> {
    struct Counted<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Counted<T> {
        type Value = (T, usize);

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a link or an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
            let mut fields = 0;
            let object = T::deserialize(MapAccessDeserializer::new(Counting { map, fields: &mut fields }))?;
            Ok((object, fields))
        }
    }

    deserializer.deserialize_map(Counted(PhantomData))
}

struct Counting<'a, A> {
    map: A,
    fields: &'a mut usize,
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Counting<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let key = self.map.next_key_seed(seed)?;
        *self.fields += usize::from(key.is_some());
        Ok(key)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, A::Error> {
        self.map.next_value_seed(seed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_read_from_the_end_of_a_url() {
        for href in ["https://a.fixably.com/api/v3/queues/12", "/queues/12/", "queues/12?expand=x", "12"] {
            assert_eq!(id_in::<()>(href), Some(12.into()), "{href}");
        }
        for href in ["", "/", "https://a.fixably.com/api/v3/queues", "queues/twelve"] {
            assert_eq!(id_in::<()>(href), None, "{href}");
        }
    }
}
