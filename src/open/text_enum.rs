//! `open_enum!`, which defines an enum of known texts that keeps any other text as it is.

use crate::lenient::Scalar;

/// Defines an enum of the texts that a vendor is known to send, each with its text.
///
/// A variant `Other(String)` keeps any other text, so that a value that the vendor adds later survives.
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
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        $vis enum $name {
            $(
                $(#[$meaning])*
                #[doc = concat!("`", $text, "` on the wire.")]
                $variant,
            )*
            /// A value that this version does not know, as it was received.
            Other(String),
        }

        impl $name {
            /// The value on the wire.
            $vis fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $text,)*
                    Self::Other(value) => value,
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

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl From<&str> for $name {
            fn from(value: &str) -> Self {
                Self::known(value).unwrap_or_else(|| Self::Other(value.to_owned()))
            }
        }

        impl From<String> for $name {
            fn from(value: String) -> Self {
                Self::known(&value).unwrap_or(Self::Other(value))
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
            assert_eq!(status, Status::Other(text.to_owned()));
            assert_eq!(serde_json::to_value(&status).unwrap(), text);
        }
    }

    #[test]
    fn what_is_no_text_is_no_value() {
        for json in ["1", "1.5", "true", "null", "[]", "{}", r#"["OPEN"]"#, r#"{"OPEN": null}"#] {
            assert!(serde_json::from_str::<Status>(json).is_err(), "{json}");
        }
    }
}
