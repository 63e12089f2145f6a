//! What the errors of all stores have in common.

/// Defines the error of a store: what failed and what to do, with its cause. `$store` names the store in front of the message.
macro_rules! store_failure {
    ($(#[$docs:meta])* $Error:ident, $store:literal) => {
        $(#[$docs])*
        #[derive(Debug)]
        pub struct $Error {
            reason: ::std::borrow::Cow<'static, str>,
            source: Option<$crate::error::BoxError>,
        }

        impl $Error {
            /// An error with a message that says what failed and what to do. It must not contain secrets.
            pub fn new(reason: impl Into<::std::borrow::Cow<'static, str>>) -> Self {
                Self { reason: reason.into(), source: None }
            }

            /// Sets the underlying error.
            pub fn with_source(self, source: impl Into<Box<dyn ::std::error::Error + Send + Sync>>) -> Self {
                Self { source: Some(source.into()), ..self }
            }

            /// What failed, and what to do about it.
            pub fn reason(&self) -> &str {
                &self.reason
            }
        }

        impl ::std::fmt::Display for $Error {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                write!(f, concat!($store, ": {}"), self.reason)
            }
        }

        impl ::std::error::Error for $Error {
            fn source(&self) -> Option<&(dyn ::std::error::Error + 'static)> {
                self.source.as_deref().map(|source| source as _)
            }
        }
    };
}
pub(crate) use store_failure;
