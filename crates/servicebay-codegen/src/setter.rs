//! A chained setter: one method of a builder or of a type that is sent.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Ident, Type};

use crate::model::{argument, last_name};
use crate::prose::Prose;

/// The method that stores a value in the `Option` or `Vec` field of the same name.
pub(crate) fn method(docs: &Prose, ident: &Ident, ty: &Type) -> TokenStream {
    match argument(ty, "Vec") {
        Some(_) => storing(docs, ident, ty, |converted| converted),
        None => optional(docs, ident, ty),
    }
}

/// The method that stores a value of any type in the `Option` of the same name.
pub(crate) fn optional(docs: &Prose, ident: &Ident, ty: &Type) -> TokenStream {
    storing(docs, ident, ty, |converted| quote!(Some(#converted)))
}

fn storing(docs: &Prose, ident: &Ident, ty: &Type, stored: impl Fn(TokenStream) -> TokenStream) -> TokenStream {
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
