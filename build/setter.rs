//! A chained setter: one method of a builder or of a type that is sent.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::{Ident, Type};

use super::model::{argument, last_name};
use super::prose::Prose;

/// The method that stores a value in the `Option` or `Vec` field of the same name.
pub(crate) fn method(docs: &Prose, ident: &Ident, ty: &Type) -> TokenStream {
    let value = Ident::new("value", Span::call_site());
    let (accepted, converted) = parameter(&value, ty);
    let stored = match argument(ty, "Vec") {
        Some(_) => converted,
        None => quote!(Some(#converted)),
    };
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
