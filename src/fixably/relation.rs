//! Relations: links to other objects, or the objects themselves if the request expanded them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeStruct, Serializer};

use super::{Id, Page};
use crate::lenient::{FieldName, ResumedMap};
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

/// Implements [`Resource`] for an object with an address, and the method `id`.
macro_rules! resource {
    ($name:ident: $href:ident $(, $id:ident)?) => {
        impl $name {
            /// The id: from `id`, or else from the end of `href`, which is all that a link has.
            pub fn id(&self) -> Option<$crate::fixably::Id<Self>> {
                $crate::fixably::Resource::resolved_id(self)
            }
        }

        impl $crate::page::Sealed for $name {}
        impl $crate::fixably::Resource for $name {
            fn href(&self) -> Option<&str> {
                self.$href.as_deref()
            }

            fn own_id(&self) -> Option<$crate::fixably::Id<Self>> {
                // Without an `id` of its own, none.
                None$(.or(self.$id))?
            }
        }
    };
}
pub(crate) use resource;

/// The id at the end of an address such as `https://acme.fixably.com/api/v3/queues/1`.
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

impl<T> Ref<T> {
    /// A link to the object at this URL, for your own tests.
    pub fn link(href: impl Into<String>) -> Self {
        Self(Link::Address(Some(href.into())))
    }
}

/// The object itself, as if the request had expanded it.
impl<T: Resource> From<T> for Ref<T> {
    fn from(object: T) -> Self {
        Self(Link::Whole(Box::new(object)))
    }
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

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ref<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(RefVisitor(PhantomData)).map(Self)
    }
}

struct RefVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for RefVisitor<T> {
    type Value = Link<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a link or an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Link<T>, A::Error> {
        match LinkOrObject::read(map)? {
            LinkOrObject::Link(href) => Ok(Link::Address(href)),
            LinkOrObject::Object(map) => {
                T::deserialize(MapAccessDeserializer::new(map)).map(|object| Link::Whole(Box::new(object)))
            }
        }
    }
}

/// What a relation contains, as far as its first fields show.
enum LinkOrObject<'de, A> {
    Link(Option<String>),
    Object(ResumedMap<'de, A>),
}

impl<'de, A: MapAccess<'de>> LinkOrObject<'de, A> {
    /// A link is an object that has an address and nothing else. Most relations are links, so an object is only read
    /// once a second field shows that there is one.
    ///
    /// Not inlined: one function for all types of objects stays in the processor's cache.
    #[inline(never)]
    fn read(mut map: A) -> Result<Self, A::Error> {
        let Some(first) = map.next_key::<FieldName<'de>>()? else { return Ok(Self::Link(None)) };
        if first.as_str() != "href" {
            return Ok(Self::Object(ResumedMap::new(None, Some(first), map)));
        }
        let href = map.next_value::<Href>()?.0;
        Ok(match map.next_key::<FieldName<'de>>()? {
            None if href.is_some() => Self::Link(href),
            second => Self::Object(ResumedMap::new(Some(("href", href)), second, map)),
        })
    }
}

/// An address; none if it is no text.
struct Href(Option<String>);

impl<'de> Deserialize<'de> for Href {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::text(deserializer).map(Self)
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
    page: Option<Box<Page<T>>>,
}

/// The first page of the list, as if the request had expanded it.
impl<T> From<Page<T>> for Many<T> {
    fn from(page: Page<T>) -> Self {
        Self { href: None, page: Some(Box::new(page)) }
    }
}

impl<T> Many<T> {
    /// A link to the list at this URL, for your own tests.
    pub fn link(href: impl Into<String>) -> Self {
        Self { href: Some(href.into()), page: None }
    }

    /// The URL of the list.
    pub fn href(&self) -> Option<&str> {
        self.href.as_deref()
    }

    /// The first page of the list, if it was expanded.
    pub fn expanded(&self) -> Option<&Page<T>> {
        self.page.as_deref()
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
        deserializer.deserialize_map(ManyVisitor(PhantomData))
    }
}

struct ManyVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ManyVisitor<T> {
    type Value = Many<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a link or a list in an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Many<T>, A::Error> {
        let map = match LinkOrObject::read(map)? {
            LinkOrObject::Link(href) => return Ok(Many { href, page: None }),
            LinkOrObject::Object(map) => map,
        };
        let LinkedPage { href, limit, offset, total_items, items } =
            LinkedPage::deserialize(MapAccessDeserializer::new(map))?;
        let page = items.map(|items| Box::new(Page { limit, offset, total_items, items }));
        Ok(Many { href, page })
    }
}

/// A page with the URL of its list. Without `items` it is still a link.
#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase", bound = "T: Deserialize<'de>")]
struct LinkedPage<T> {
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

impl<T: Serialize> Serialize for Many<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.page {
            Some(page) => WrittenPage { href: self.href.as_deref(), page }.serialize(serializer),
            None => link(self.href.as_deref(), serializer),
        }
    }
}

/// A page as it is written, with the URL of its list if there is one.
#[derive(serde::Serialize)]
struct WrittenPage<'a, T> {
    #[serde(skip_serializing_if = "Option::is_none")]
    href: Option<&'a str>,
    #[serde(flatten)]
    page: &'a Page<T>,
}

fn link<S: Serializer>(href: Option<&str>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut link = serializer.serialize_struct("Link", 1)?;
    link.serialize_field("href", &href)?;
    link.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    use super::super::types::{Customer, OrderLine};

    fn customer(json: &str) -> Ref<Customer> {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_address_alone_is_a_link_and_anything_more_is_an_object() {
        for json in [r#"{"href": "/customers/7"}"#, r#"{"href": "\/customers\/7"}"#, r#"{"hr\u0065f": "/customers/7"}"#]
        {
            let link = customer(json);
            assert_eq!((link.href(), link.id()), (Some("/customers/7"), Some(7.into())), "{json}");
            assert!(link.expanded().is_none(), "{json}");
        }
        for json in [
            r#"{"href": "/customers/7", "id": 7, "company": "Acme"}"#,
            r#"{"id": 7, "href": "/customers/7", "company": "Acme"}"#,
            r#"{"company": "Acme", "href": "/customers/7"}"#,
            r#"{"href": "/customers/7", "comp\u0061ny": "Acme"}"#,
            r#"{"comp\u0061ny": "Acme", "href": "/customers/7"}"#,
        ] {
            let object = customer(json);
            assert_eq!((object.href(), object.id()), (Some("/customers/7"), Some(7.into())), "{json}");
            assert_eq!(object.expanded().and_then(|it| it.company.as_deref()), Some("Acme"), "{json}");
        }
    }

    #[test]
    fn a_link_with_an_odd_address_keeps_what_it_has() {
        assert_eq!(customer(r#"{"href": 7}"#).href(), Some("7"));
        assert_eq!(customer("{}").href(), None);
        for odd in ["null", "[]", "{}", r#"["/customers/7"]"#] {
            let json = format!(r#"{{"href": {odd}, "company": "Acme"}}"#);
            let object = customer(&json);
            assert_eq!(object.href(), None, "{json}");
            assert_eq!(object.expanded().and_then(|it| it.company.as_deref()), Some("Acme"), "{json}");
            assert_eq!(customer(&format!(r#"{{"href": {odd}}}"#)).href(), None, "{odd}");
        }
    }

    #[test]
    fn a_relation_is_read_the_same_from_a_tree_as_from_text() {
        for json in
            [json!({"href": "/customers/7"}), json!({"href": "/customers/7", "id": 7}), json!({"id": 7}), json!({})]
        {
            assert_eq!(serde_json::from_value::<Ref<Customer>>(json.clone()).unwrap(), customer(&json.to_string()));
        }
    }

    #[test]
    fn what_is_no_object_is_no_relation() {
        for json in ["[]", "null", "7", "\"/customers/7\"", r#"{"href": "/customers/7""#, r#"{"href": "a" "b"}"#] {
            assert!(serde_json::from_str::<Ref<Customer>>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn an_expanded_list_keeps_the_items_that_fit() {
        let many: Many<OrderLine> =
            serde_json::from_value(json!({"items": [{"id": 1}, 2, null, {"id": "3"}]})).unwrap();
        assert_eq!(many.items().iter().filter_map(|line| line.id()).collect::<Vec<_>>(), [1.into(), 3.into()]);
        let link: Many<OrderLine> = serde_json::from_value(json!({"href": "/orders/1/lines"})).unwrap();
        assert_eq!((link.href(), link.expanded()), (Some("/orders/1/lines"), None));
    }

    #[test]
    fn an_expanded_list_keeps_its_url_when_it_is_written() {
        for href in [json!({"href": "/orders/1/lines"}), json!({})] {
            let mut json = json!({"limit": 25, "offset": 0, "totalItems": 1, "items": [{"id": 1}]});
            json.as_object_mut().unwrap().extend(href.as_object().unwrap().clone());
            let many: Many<OrderLine> = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(&many).unwrap(), json);
        }
    }

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
