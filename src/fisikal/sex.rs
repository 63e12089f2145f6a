//! The sex of a person.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// The sex of a person, which the vendor represents as a boolean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the vendor uses a boolean")]
pub enum Sex {
    /// Sent as `false`.
    Female,
    /// Sent as `true`.
    Male,
}

impl Serialize for Sex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bool(*self == Self::Male)
    }
}

impl<'de> Deserialize<'de> for Sex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::lenient::required(deserializer).map(|male: bool| if male { Self::Male } else { Self::Female })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn booleans_are_read_in_every_notation() {
        for (text, sex) in [("true", Sex::Male), ("false", Sex::Female), ("1", Sex::Male), ("\"false\"", Sex::Female)] {
            assert_eq!(serde_json::from_str::<Sex>(text).unwrap(), sex, "{text}");
        }
        assert_eq!(serde_json::to_string(&[Sex::Male, Sex::Female]).unwrap(), "[true,false]");
    }
}
