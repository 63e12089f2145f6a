//! `open_enum!`, which defines an enum of known texts that keeps any other text as it is.

use crate::lenient::Scalar;

/// Defines an enum of the texts that a vendor is known to send, each with its text.
///
/// A variant `Other` keeps any other text, so that a value that the vendor adds later survives. Only this crate makes it, and only
/// of a text that it does not know. So the variants are compared, ordered and hashed by their texts, and a text stays what it
/// was when a later version knows it.
///
/// ```text
/// open_enum! {
///     /// The status of an order.
///     pub enum OrderStatus {
///         /// Still being worked on.
///         Open = "OPEN",
///     }
/// }
/// ```
macro_rules! open_enum {
    ($(#[$docs:meta])* $vis:vis enum $name:ident { $($(#[$meaning:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$docs])*
        #[derive(Clone, Debug, Eq)]
        #[non_exhaustive]
        $vis enum $name {
            $(
                $(#[$meaning])*
                #[doc = concat!("`", $text, "` on the wire.")]
                $variant,
            )*
            /// A value that this version does not know. To look for one, compare its text: `value == "text"`.
            Other($crate::UnknownValue),
        }

        impl $name {
            /// The value on the wire.
            $vis fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(value) => value.as_str(),
                }
            }

            fn known(value: &str) -> Option<Self> {
                match value {
                    $($text => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        impl $crate::open::OpenEnum for $name {
            fn as_text(&self) -> &str {
                self.as_str()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.as_str() == other.as_str()
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.as_str() == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.as_str() == *other
            }
        }

        /// By the text on the wire, in every version.
        impl Ord for $name {
            fn cmp(&self, other: &Self) -> ::std::cmp::Ordering {
                self.as_str().cmp(other.as_str())
            }
        }

        impl PartialOrd for $name {
            fn partial_cmp(&self, other: &Self) -> Option<::std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl ::std::hash::Hash for $name {
            fn hash<H: ::std::hash::Hasher>(&self, state: &mut H) {
                self.as_str().hash(state);
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                Self::known(value).unwrap_or_else(|| Self::Other($crate::UnknownValue::new(value)))
            }
        }

        impl From<String> for $name {
            fn from(value: String) -> Self {
                Self::known(&value).unwrap_or_else(|| Self::Other($crate::UnknownValue::new(value)))
            }
        }

        impl ::std::str::FromStr for $name {
            type Err = ::std::convert::Infallible;

            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Ok(value.into())
            }
        }

        impl ::serde::Serialize for $name {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> ::serde::Deserialize<'de> for $name {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::lenient::required(deserializer)
            }
        }
    };
}
pub(crate) use open_enum;

/// An enum that [`open_enum!`](open_enum) defines.
pub(crate) trait OpenEnum: for<'a> From<&'a str> {
    fn as_text(&self) -> &str;
}

impl<E: OpenEnum> Scalar for E {
    fn from_text(text: &str) -> Option<Self> {
        Some(text.into())
    }

    fn from_float(_: f64) -> Option<Self> {
        None
    }

    fn from_integer(_: i128) -> Option<Self> {
        None
    }

    fn from_flag(_: bool) -> Option<Self> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    open_enum! {
        /// The status of an order.
        enum Status {
            /// Still being worked on.
            Open = "OPEN",
            Closed = "CLOSED",
        }
    }

    #[test]
    fn a_known_text_is_its_variant_and_is_written_as_it_came() {
        for (text, status) in [("OPEN", Status::Open), ("CLOSED", Status::Closed)] {
            assert_eq!(Status::from(text), status);
            assert_eq!(Status::from(text.to_owned()), status);
            assert_eq!(text.parse(), Ok(status.clone()));
            assert_eq!(serde_json::from_value::<Status>(text.into()).unwrap(), status);
            assert_eq!(serde_json::to_value(&status).unwrap(), text);
            assert_eq!((status.as_str(), format!("{status:>6}")), (text, format!("{text:>6}")));
        }
    }

    #[test]
    fn an_unknown_text_survives() {
        for text in ["ARCHIVED", "open", "", "Öffen \"x\""] {
            let status: Status = serde_json::from_value(text.into()).unwrap();
            assert!(matches!(status, Status::Other(_)) && status == text, "{status:?}");
            assert_eq!(serde_json::to_value(&status).unwrap(), text);
        }
    }

    #[test]
    fn values_are_compared_ordered_and_hashed_by_their_texts() {
        let texts = ["OPEN", "open", "CLOSED", "ARCHIVED", ""];
        for (one, other) in texts.iter().flat_map(|one| texts.map(|other| (*one, other))) {
            let (left, right) = (Status::from(one), Status::from(other.to_owned()));
            assert_eq!((left == right, left.cmp(&right)), (one == other, one.cmp(other)), "{one} {other}");
            assert_eq!((left == other, left == *other), (one == other, one == other), "{one} {other}");
        }
        let states: HashSet<Status> = texts.iter().chain(&texts).map(|text| Status::from(*text)).collect();
        assert_eq!(states.len(), texts.len());
    }

    #[test]
    fn what_is_no_text_is_no_value() {
        for json in ["1", "1.5", "true", "null", "[]", "{}", r#"["OPEN"]"#, r#"{"OPEN": null}"#] {
            assert!(serde_json::from_str::<Status>(json).is_err(), "{json}");
        }
    }
}
