//! Ids that the vendor expects as one comma-separated text.

use std::fmt;

use serde::ser::{Error, Serialize, Serializer};

use super::id::Id;

/// Ids that are sent as one comma-separated text.
///
/// # Example
///
/// ```
/// use servicebay::fisikal::{IdList, types::Service};
///
/// let services: IdList<Service> = [1, 2, 3].into();
/// assert_eq!(services.to_string(), "1,2,3");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdList<T>(Vec<Id<T>>);

impl<T> IdList<T> {
    /// The ids.
    pub fn ids(&self) -> &[Id<T>] {
        &self.0
    }
}

impl<T, I: Into<Id<T>>, const N: usize> From<[I; N]> for IdList<T> {
    fn from(ids: [I; N]) -> Self {
        ids.into_iter().collect()
    }
}

impl<T, I: Into<Id<T>>> From<Vec<I>> for IdList<T> {
    fn from(ids: Vec<I>) -> Self {
        ids.into_iter().collect()
    }
}

impl<T> From<Id<T>> for IdList<T> {
    fn from(id: Id<T>) -> Self {
        Self(vec![id])
    }
}

impl<T, I: Into<Id<T>>> FromIterator<I> for IdList<T> {
    fn from_iter<L: IntoIterator<Item = I>>(ids: L) -> Self {
        Self(ids.into_iter().map(Into::into).collect())
    }
}

impl<T> fmt::Display for IdList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, id) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            id.fmt(f)?;
        }
        Ok(())
    }
}

impl<T> Serialize for IdList<T> {
    /// Fails on an empty list: whether the vendor reads an empty text as none or as all is unknown.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return Err(S::Error::custom("contains no id; to get all items, do not set the parameter"));
        }
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::generated::types::Service;
    use super::*;

    #[test]
    fn ids_are_separated_by_commas() {
        for (ids, text) in [
            (IdList::<Service>::from([7]), "7"),
            (vec![1_i64, 2].into(), "1,2"),
            (Id::new(3).into(), "3"),
            ((4..7_i64).collect(), "4,5,6"),
        ] {
            assert_eq!(serde_json::to_value(&ids).unwrap(), text);
        }
    }

    #[test]
    fn an_empty_list_is_refused() {
        let none = IdList::<Service>::from(Vec::<i64>::new());
        assert!(serde_json::to_value(&none).is_err());
    }
}
