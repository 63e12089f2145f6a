//! A chained setter: one method of a builder or of a type that is sent.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Ident, Type};

use crate::docs::Docs;
use crate::model::{argument, last_name};

/// The method that stores a value in the `Option` or `Vec` field of the same name.
pub(crate) fn method(docs: &Docs, ident: &Ident, ty: &Type) -> TokenStream {
    match argument(ty, "Vec") {
        Some(_) => storing(docs, ident, ty, |converted| converted),
        None => optional(docs, ident, ty),
    }
}

/// The method that stores a value of any type in the `Option` of the same name.
pub(crate) fn optional(docs: &Docs, ident: &Ident, ty: &Type) -> TokenStream {
    storing(docs, ident, ty, |converted| quote!(Some(#converted)))
}

/// The method that stores a value in the `Option<Option<_>>` of the same name.
pub(crate) fn nullable(docs: &Docs, ident: &Ident, ty: &Type) -> TokenStream {
    storing(docs, ident, ty, |converted| quote!(Some(Some(#converted))))
}

/// The method that stores `null` in the `Option<Option<_>>` `field`.
pub(crate) fn clear(docs: &Docs, method: &Ident, field: &Ident) -> TokenStream {
    quote! {
        #docs
        pub fn #method(mut self) -> Self {
            self.#field = Some(None);
            self
        }
    }
}

fn storing(docs: &Docs, ident: &Ident, ty: &Type, stored: impl Fn(TokenStream) -> TokenStream) -> TokenStream {
    let value = Ident::new("value", Span::call_site());
    let (accepted, converted) = parameter(&value, ty);
    let stored = stored(converted);
    quote! {
        #docs
        pub fn #ident(mut self, #value: #accepted) -> Self {
            self.#ident = #stored;
            self
        }
    }
}

/// What a caller may pass as this parameter, and how it becomes the type.
///
/// Numbers are taken as they are: `impl Into<u32>` would refuse a bare `10`, which is an `i32` then.
pub(crate) fn parameter(name: &Ident, ty: &Type) -> (TokenStream, TokenStream) {
    if let Some(item) = argument(ty, "Vec") {
        return (
            quote!(impl IntoIterator<Item = impl Into<#item>>),
            quote!(#name.into_iter().map(Into::into).collect()),
        );
    }
    match last_name(ty).as_deref() {
        Some("bool" | "f32" | "f64" | "i32" | "i64" | "u32" | "u64") => (quote!(#ty), quote!(#name)),
        _ => (quote!(impl Into<#ty>), quote!(#name.into())),
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn a_setter_takes_what_converts_and_a_number_as_it_is() {
        let accepted = |ty: Type| parameter(&parse_quote!(value), &ty).0.to_string().replace(' ', "");
        assert_eq!(accepted(parse_quote!(String)), "implInto<String>");
        assert_eq!(accepted(parse_quote!(u32)), "u32");
        assert_eq!(accepted(parse_quote!(Vec<Id<Order>>)), "implIntoIterator<Item=implInto<Id<Order>>>");
    }

    #[test]
    fn a_list_is_stored_as_it_is_and_any_other_value_as_some() {
        let setter = |ty: Type| method(&Docs::new("It"), &parse_quote!(tags), &ty).to_string().replace(' ', "");
        assert!(setter(parse_quote!(Vec<String>)).contains("self.tags=value.into_iter()"));
        assert!(setter(parse_quote!(String)).contains("self.tags=Some(value.into())"));
    }
}
