//! Lists in which an element that does not fit costs neither the list nor the other elements.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::visitor::{ScalarVisitor, ValueVisitor};
use super::{Scalar, or_report};

/// The elements that fit.
pub(crate) struct FittingList<T>(pub(crate) Vec<T>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for FittingList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_seq(ListVisitor { in_place_of_others: |_: &mut Vec<T>| {}, kind: PhantomData })
            .map(Self)
    }
}

/// The elements that are such scalars.
pub(crate) struct ScalarList<T>(pub(crate) Vec<T>);

impl<'de, T: Scalar> Deserialize<'de> for ScalarList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ScalarListVisitor(PhantomData)).map(Self)
    }
}

struct ScalarListVisitor<T>(PhantomData<T>);

impl<'de, T: Scalar> Visitor<'de> for ScalarListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = seq.next_element_seed(ScalarVisitor::new())? {
            list.extend(or_report(element, None));
        }
        Ok(list)
    }
}

/// A list whose positions count, such as a page: an element that does not fit becomes an empty one.
pub(crate) struct PositionalList<T>(pub(crate) Vec<T>);

impl<T> Default for PositionalList<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for PositionalList<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let in_place_of_others = |list: &mut Vec<T>| list.push(T::default());
        deserializer.deserialize_seq(ListVisitor { in_place_of_others, kind: PhantomData }).map(Self)
    }
}

struct ListVisitor<T, F> {
    in_place_of_others: F,
    kind: PhantomData<T>,
}

impl<'de, T: Deserialize<'de>, F: Fn(&mut Vec<T>)> Visitor<'de> for ListVisitor<T, F> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        loop {
            let length = list.len();
            if seq.next_element_seed(ValueVisitor::new(None, |element| list.push(element)))?.is_none() {
                return Ok(list);
            }
            if list.len() == length {
                (self.in_place_of_others)(&mut list);
            }
        }
    }
}
