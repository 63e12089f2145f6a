//! A field of an operation's builder: a parameter or the body, and the statements that put it into the request.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{Ident, Type};

use crate::model::{self, last_name};
use crate::operation::{Body, Operation};
use crate::parameter::{Location, Parameter};
use crate::spec::Spec;
use crate::spec_error::SpecError;

/// A field of a builder.
pub(crate) struct Field<'a> {
    pub(crate) ident: Ident,
    pub(crate) ty: &'a Type,
    /// `None` is the body.
    pub(crate) parameter: Option<&'a Parameter>,
    /// Whether the type has a form of its own for the items of a list, which is sent instead.
    of_items: bool,
}

impl<'a> Field<'a> {
    /// The field of this name, with the type that the model `read` gives it.
    pub(crate) fn new(
        name: &str,
        parameter: Option<&'a Parameter>,
        operation: &Operation,
        read: &'a model::Builder,
    ) -> Result<Self, SpecError> {
        let Some(ty) = read.fields.get(name) else {
            return Err(SpecError::new(name, "progenitor made no field of this name; set `x-rust-name`"));
        };
        let expansion = operation.page.as_ref().and_then(|page| page.expand.as_ref());
        let expands = expansion.is_some_and(|expansion| expansion.param == name);
        let of_items = expands && last_name(ty).as_deref() != Some("String");
        Ok(Self { ident: format_ident!("{name}"), ty, parameter, of_items })
    }

    /// The statements that put the field into the request.
    pub(crate) fn statements(&self, spec: &Spec, operation: &Operation) -> Result<TokenStream, SpecError> {
        let ident = &self.ident;
        let Some(parameter) = self.parameter else {
            let root = operation.body().and_then(Body::schema).and_then(|schema| spec.unwrapped(schema).0);
            return Ok(match root {
                Some(root) => quote!(request.json_under(#root, self.#ident.as_ref());),
                None => quote!(request.json(self.#ident.as_ref());),
            });
        };
        let name = &parameter.name;
        if parameter.location == Location::Path {
            return Ok(quote!(request.path(#name, self.#ident.as_ref());));
        }
        if operation.query_object.is_some() {
            let nesting = name.split('[').map(|part| part.trim_end_matches(']'));
            return Ok(quote!(members.put(&[#(#nesting),*], self.#ident.as_ref());));
        }
        let send = if parameter.required {
            let setter = ident.to_string();
            quote!(request.required_query(#name, #setter, self.#ident.as_ref());)
        } else if self.of_items {
            let ty = self.ty;
            quote!(request.query(#name, self.#ident.map(#ty::of_items).as_ref());)
        } else {
            quote!(request.query(#name, self.#ident.as_ref());)
        };
        let kind = last_name(self.ty).unwrap_or_default();
        let (minimum, maximum) = match (parameter.schema.minimum, parameter.schema.maximum) {
            (None, None) => return Ok(send),
            (Some(0), None) if kind == "u32" => return Ok(send),
            (minimum, maximum) => (minimum, maximum),
        };
        if !["i32", "i64", "u32"].contains(&kind.as_str()) {
            return Err(SpecError::new(name, format!("has bounds, but its type is {kind} and not i32, i64 or u32")));
        }
        let bound = |value: i64| proc_macro2::Literal::i64_unsuffixed(value).into_token_stream();
        let minimum = minimum.map_or_else(|| quote!(i64::MIN), bound);
        let maximum = maximum.map_or_else(|| quote!(i64::MAX), bound);
        Ok(quote!(request.range(#name, self.#ident, #minimum, #maximum); #send))
    }
}
