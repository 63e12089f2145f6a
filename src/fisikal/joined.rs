//! Lists that the vendor wants as one text.

use std::fmt;

use serde::ser::{Error, Serialize, Serializer};

use super::Id;

/// Ids that the vendor wants as one text with commas in it.
///
/// # Example
///
/// ```
/// use servicebay::fisikal::{Joined, types::Service};
///
/// let services: Joined<Service> = [1, 2, 3].into();
/// assert_eq!(services.to_string(), "1,2,3");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Joined<T>(Vec<Id<T>>);

impl<T> Joined<T> {
    /// The ids.
    pub fn ids(&self) -> &[Id<T>] {
        &self.0
    }
}

impl<T, I: Into<Id<T>>, const N: usize> From<[I; N]> for Joined<T> {
    fn from(ids: [I; N]) -> Self {
        ids.into_iter().collect()
    }
}

impl<T, I: Into<Id<T>>> From<Vec<I>> for Joined<T> {
    fn from(ids: Vec<I>) -> Self {
        ids.into_iter().collect()
    }
}

impl<T> From<Id<T>> for Joined<T> {
    fn from(id: Id<T>) -> Self {
        Self(vec![id])
    }
}

impl<T, I: Into<Id<T>>> FromIterator<I> for Joined<T> {
    fn from_iter<L: IntoIterator<Item = I>>(ids: L) -> Self {
        Self(ids.into_iter().map(Into::into).collect())
    }
}

impl<T> fmt::Display for Joined<T> {
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

impl<T> Serialize for Joined<T> {
    /// Fails without an id: whether an empty text means none or all is not known.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0.is_empty() {
            return Err(S::Error::custom("holds no id; leave the parameter out to send all"));
        }
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::super::types::Service;
    use super::*;

    #[test]
    fn ids_are_joined_by_commas() {
        for (joined, text) in [
            (Joined::<Service>::from([7]), "7"),
            (vec![1_i64, 2].into(), "1,2"),
            (Id::new(3).into(), "3"),
            ((4..7_i64).collect(), "4,5,6"),
        ] {
            assert_eq!(serde_json::to_value(&joined).unwrap(), text);
        }
    }

    #[test]
    fn no_id_at_all_is_refused() {
        let none = Joined::<Service>::from(Vec::<i64>::new());
        assert!(serde_json::to_value(&none).is_err());
    }
}
