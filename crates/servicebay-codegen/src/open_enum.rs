//! Emits an open enum: the values that are known, and the raw text of any other.

use std::collections::BTreeSet;

use indexmap::IndexMap;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Ident;

use crate::problem::Problem;
use crate::prose::{self, Prose};
use crate::schema::Schema;

pub(crate) fn item(
    name: &str,
    schema: &Schema,
    variants: &IndexMap<String, Ident>,
    parameters: &BTreeSet<&str>,
) -> Result<TokenStream, Problem> {
    if variants.values().any(|variant| variant == "Other") {
        return Err(Problem::new(format!("components.schemas.{name}"), "a value would be called `Other`"));
    }
    let ident = format_ident!("{name}");
    let docs = prose::of_component(schema);
    let idents: Vec<_> = variants.values().collect();
    let values: Vec<_> = variants.keys().collect();
    let meanings = values.iter().map(|value| match schema.value_descriptions.get(*value) {
        Some(meaning) => Prose::new(format!("{meaning} `{value}` on the wire")),
        None => Prose::new(format!("`{value}` on the wire")),
    });
    let parameter = parameters.contains(name).then(|| {
        quote! {
            impl crate::request::Param for #ident {
                fn encode(&self) -> Result<::std::borrow::Cow<'_, str>, String> {
                    Ok(::std::borrow::Cow::Borrowed(self.as_str()))
                }
            }
        }
    });
    Ok(quote! {
        #docs
        #[derive(Clone, Debug, Eq, Hash, PartialEq)]
        #[non_exhaustive]
        pub enum #ident {
            #(#meanings #idents,)*
            /// A value that this version does not know, as it was received.
            Other(String),
        }
        impl #ident {
            /// The value on the wire.
            pub fn as_str(&self) -> &str {
                match self {
                    #(Self::#idents => #values,)*
                    Self::Other(value) => value,
                }
            }
        }
        impl ::std::fmt::Display for #ident {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                f.pad(self.as_str())
            }
        }
        impl From<&str> for #ident {
            fn from(value: &str) -> Self {
                match value {
                    #(#values => Self::#idents,)*
                    other => Self::Other(other.to_owned()),
                }
            }
        }
        impl From<String> for #ident {
            fn from(value: String) -> Self {
                match value.as_str() {
                    #(#values => Self::#idents,)*
                    _ => Self::Other(value),
                }
            }
        }
        impl ::std::str::FromStr for #ident {
            type Err = ::std::convert::Infallible;
            fn from_str(value: &str) -> Result<Self, Self::Err> {
                Ok(value.into())
            }
        }
        impl ::serde::Serialize for #ident {
            fn serialize<S: ::serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
        impl<'de> ::serde::Deserialize<'de> for #ident {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <String as ::serde::Deserialize>::deserialize(deserializer).map(Self::from)
            }
        }
        #parameter
    })
}
