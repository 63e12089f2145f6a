//! The sex of a person.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// The sex of a person, which the vendor writes as a truth value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the vendor has a truth value for it")]
pub enum Sex {
    /// `false` on the wire.
    Female,
    /// `true` on the wire.
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
    fn a_truth_value_stands_for_it_however_it_is_written() {
        for (text, sex) in [("true", Sex::Male), ("false", Sex::Female), ("1", Sex::Male), ("\"false\"", Sex::Female)] {
            assert_eq!(serde_json::from_str::<Sex>(text).unwrap(), sex, "{text}");
        }
        assert_eq!(serde_json::to_string(&[Sex::Male, Sex::Female]).unwrap(), "[true,false]");
    }
}
