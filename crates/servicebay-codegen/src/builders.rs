//! Emits `pub mod builder`: a builder for each operation, which sends it, and paging where the spec says how.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::{Ident, Type};

use crate::client;
use crate::model::{Builder, Model, first_argument, last_name};
use crate::operation::{Body, Call, Operation, Paging, Parameter, Place, Span};
use crate::problem::Problem;
use crate::prose::{self, Prose};
use crate::setter;
use crate::spec::Spec;

pub(crate) fn module(spec: &Spec, model: &Model, vendor: &Ident) -> Result<TokenStream, Problem> {
    let mut items = TokenStream::new();
    for call in spec.calls() {
        let read = model.builders.get(&call.builder());
        let place = || format!("operation {}", call.operation.id);
        let read = read.ok_or_else(|| Problem::new(place(), "progenitor made no builder of it"))?;
        items.extend(item(spec, model, call, read, vendor).map_err(|problem| problem.within(place()))?);
    }
    Ok(quote! {
        /// The calls before they are sent: one builder for each operation.
        pub mod builder {
            use super::types;

            #items
        }
    })
}

fn item(spec: &Spec, model: &Model, call: Call<'_>, read: &Builder, vendor: &Ident) -> Result<TokenStream, Problem> {
    let operation = call.operation;
    let name = format_ident!("{}", call.builder());
    let fields = fields(call, read)?;

    let docs = Prose::new(format!("Builder of [`Client::{0}`](crate::{vendor}::Client::{0})", operation.id));
    let (idents, types): (Vec<_>, Vec<_>) = fields.iter().map(|field| (&field.ident, field.ty)).unzip();
    let setters = fields.iter().map(|field| {
        let docs = match field.parameter {
            Some(parameter) => prose::of_parameter(parameter),
            None => prose::of_body(operation),
        };
        setter::optional(&docs, &field.ident, field.ty)
    });
    let steps = steps(spec, call, &fields)?;
    let mutable = (!steps.is_empty()).then(|| quote!(mut));
    let success = &read.success;
    let sent = match success {
        Type::Tuple(tuple) if tuple.elems.is_empty() => quote!(request.send(crate::decode::nothing).await),
        _ => quote!(request.send(crate::decode::content).await),
    };
    let statics = client::constant(call);
    let paging = operation.page.as_ref().map(|page| Paged::new(page, &fields, success, model)).transpose()?;
    let walk = paging.as_ref().map(Paged::methods);
    let list = paging.as_ref().map(|paging| paging.list(&name, &statics));
    let (reconcile, write) = match call.is_idempotent() {
        true => (None, None),
        false => (Some(reconcile()), Some(write(&name, success))),
    };
    let begun = quote! {
        let #mutable request = crate::request::Request::new(&self.client, &super::operations::#statics);
        #steps
    };
    // A list is known by its request before it is sent, too.
    let (begun, request) = match &paging {
        None => (begun, None),
        Some(_) => {
            let made = quote! {
                fn request(self) -> crate::request::Request {
                    #begun
                    request
                }
            };
            (quote!(let request = self.request();), Some(made))
        }
    };
    Ok(quote! {
        #docs
        #[derive(Clone, Debug)]
        #[must_use = "a request is sent by `send`"]
        pub struct #name {
            client: crate::client_inner::ClientInner,
            #(#idents: Option<#types>,)*
        }
        impl #name {
            pub(crate) fn new(client: &crate::client_inner::ClientInner) -> Self {
                Self { client: client.clone(), #(#idents: None,)* }
            }
            #(#setters)*
            /// Sends the request and reads the answer.
            ///
            /// # Errors
            ///
            /// An [`Error`](crate::Error) that tells what went wrong, and whether the call may have had its effect.
            pub async fn send(self) -> Result<crate::Response<#success>, crate::Error> {
                #begun
                #sent
            }
            #request
            #walk
            #reconcile
        }
        #list
        #write
    })
}

/// The method of a write that must not be repeated, which looks what became of it where that is not known.
fn reconcile() -> TokenStream {
    quote! {
        /// Looks what became of the call where its answer is lost, before it fails or is sent again: see
        /// [`Reconcile`](crate::Reconcile).
        pub fn reconcile<F, L>(self, look: F) -> crate::Reconcile<Self, F>
        where
            F: FnMut(crate::UnknownOutcome) -> L,
            L: Future<Output = Result<crate::WriteStatus<<Self as crate::Write>::Output>, crate::Error>>,
        {
            crate::Reconcile::new(self, look)
        }
    }
}

fn write(builder: &Ident, answer: &Type) -> TokenStream {
    quote! {
        impl crate::page::Sealed for #builder {}
        impl crate::Write for #builder {
            type Output = #answer;
            fn write(self) -> impl Future<Output = Result<crate::Response<Self::Output>, crate::Error>> + Send {
                self.send()
            }
        }
    }
}

/// A field of a builder.
struct Field<'a> {
    ident: Ident,
    ty: &'a Type,
    /// `None` is the body.
    parameter: Option<&'a Parameter>,
    /// Whether the type has a form of its own for the items of a list, which is then what is sent.
    of_items: bool,
}

impl Field<'_> {
    /// The statements in `send` that put the field into the request.
    fn steps(&self, spec: &Spec, operation: &Operation) -> Result<TokenStream, Problem> {
        let ident = &self.ident;
        let Some(parameter) = self.parameter else {
            let root = operation.body().and_then(Body::schema).and_then(|schema| spec.unwrapped(schema).0);
            return Ok(match root {
                Some(root) => quote!(request.json_under(#root, self.#ident.as_ref());),
                None => quote!(request.json(self.#ident.as_ref());),
            });
        };
        let name = &parameter.name;
        if parameter.place == Place::Path {
            return Ok(quote!(request.path(#name, self.#ident.as_ref());));
        }
        if operation.query_object.is_some() {
            let place = name.split('[').map(|part| part.trim_end_matches(']'));
            return Ok(quote!(members.put(&[#(#place),*], self.#ident.as_ref());));
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
            return Err(Problem::new(name, format!("bounds on `{kind}`, which does not fit into an i64")));
        }
        let minimum = minimum.map_or_else(|| quote!(i64::MIN), bound);
        let maximum = maximum.map_or_else(|| quote!(i64::MAX), bound);
        Ok(quote!(request.range(#name, self.#ident, #minimum, #maximum); #send))
    }
}

/// The statements in `send` between the start of a request and its end. The path comes first, in its own order.
fn steps(spec: &Spec, call: Call<'_>, fields: &[Field<'_>]) -> Result<TokenStream, Problem> {
    let position = |field: &&Field<'_>| match field.parameter {
        Some(parameter) if parameter.place == Place::Path => call.path.find(&format!("{{{}}}", parameter.name)),
        _ => Some(usize::MAX),
    };
    let mut ordered: Vec<_> = fields.iter().collect();
    ordered.sort_by_key(position);
    let operation = call.operation;
    let mut steps =
        ordered.into_iter().map(|field| field.steps(spec, operation)).collect::<Result<TokenStream, _>>()?;
    if let Some(object) = &operation.query_object
        && operation.parameters.iter().any(|parameter| parameter.place == Place::Query)
    {
        steps = quote! {
            let mut members = crate::request::JsonObject::default();
            #steps
            request.members(#object, members);
        };
    }
    for names in &call.operation.exclusive {
        let flags = fields.iter().filter_map(|field| {
            let name = &field.parameter.filter(|parameter| names.contains(&parameter.name))?.name;
            let ident = &field.ident;
            Some(quote!((#name, self.#ident.is_some())))
        });
        steps.extend(quote!(request.exclusive(&[#(#flags),*]);));
    }
    if let Some(Span { from, to, days }) = &call.operation.span {
        let value = |name: &String| {
            let named = |field: &&Field<'_>| field.parameter.is_some_and(|parameter| parameter.name == *name);
            let ident = fields.iter().find(named).map(|field| &field.ident);
            quote!((#name, self.#ident.as_ref()))
        };
        let (from, to) = (value(from), value(to));
        steps.extend(quote!(request.span(#from, #to, #days);));
    }
    Ok(steps)
}

fn fields<'a>(call: Call<'a>, read: &'a Builder) -> Result<Vec<Field<'a>>, Problem> {
    let expansion = call.operation.page.as_ref().and_then(|page| page.expand.as_ref());
    let find = |name: &str, parameter: Option<&'a Parameter>| match read.fields.get(name) {
        Some(ty) => {
            let expands = expansion.is_some_and(|expansion| expansion.param == name);
            let of_items = expands && last_name(ty).as_deref() != Some("String");
            Ok(Field { ident: format_ident!("{name}"), ty, parameter, of_items })
        }
        None => Err(Problem::new(name, "progenitor made no field of this name: set `x-rust-name`")),
    };
    let body = call.operation.body().map(|_| find("body", None));
    let parameters = call.operation.parameters.iter();
    parameters.map(|parameter| find(&parameter.rust_name(), Some(parameter))).chain(body).collect()
}

fn bound(value: i64) -> TokenStream {
    proc_macro2::Literal::i64_unsuffixed(value).into_token_stream()
}

/// A list operation: how to walk it.
struct Paged<'a> {
    /// The fields that lead to the next page.
    by: Vec<&'a Ident>,
    /// The field, and its value, that asks for whole items.
    expand: Option<(&'a Ident, &'a str)>,
    page: &'a Type,
    item: &'a Type,
    /// The id of an `item`; nothing where items have none.
    id: Option<TokenStream>,
}

impl<'a> Paged<'a> {
    fn new(paging: &'a Paging, fields: &'a [Field<'_>], page: &'a Type, model: &Model) -> Result<Self, Problem> {
        let ident = |name: &str| {
            let named = fields.iter().find(|field| field.parameter.is_some_and(|parameter| parameter.name == name));
            named.map(|field| &field.ident).ok_or_else(|| Problem::new(name, "x-page names it, the parameters do not"))
        };
        let by = paging.by.iter().map(|name| ident(name)).collect::<Result<_, _>>()?;
        let expand = match &paging.expand {
            Some(expansion) => Some((ident(&expansion.param)?, expansion.items.as_str())),
            None => None,
        };
        let Some(item) = first_argument(page) else {
            return Err(Problem::new("x-page", "the answer is no page: its `x-rust` has no type argument"));
        };
        let members = last_name(item).and_then(|name| model.structs.get(&name));
        let has = |name| members.is_some_and(|members| members.contains_key(name));
        let id = match (has("href"), has("id")) {
            // A link says its id in its address.
            (true, _) => Some(quote!(item.id())),
            (false, true) => Some(quote!(item.id.as_ref())),
            (false, false) => None,
        };
        Ok(Self { by, expand, page, item, id })
    }

    fn methods(&self) -> TokenStream {
        let mut docs = Prose::new("Every item of the list, as a stream that fetches pages as it goes");
        let items = match self.expand {
            Some((field, value)) => {
                docs =
                    docs.paragraph(format!("Sends `{field}={value}` unless `{field}` is set, so that items are whole"));
                quote! {
                    #docs
                    pub fn items(mut self) -> crate::Items<Self> {
                        self.#field.get_or_insert_with(|| #value.into());
                        crate::Items::new(self)
                    }
                }
            }
            None => quote! {
                #docs
                pub fn items(self) -> crate::Items<Self> {
                    crate::Items::new(self)
                }
            },
        };
        quote! {
            /// Every page of the list, as a stream that fetches them as it goes.
            pub fn pages(self) -> crate::Pages<Self> {
                crate::Pages::new(self)
            }
            #items
        }
    }

    fn list(&self, builder: &Ident, statics: &Ident) -> TokenStream {
        let Self { by, page, item, id, .. } = self;
        let key = match id {
            Some(id) => quote!(|item| #id),
            None => quote!(|_item| None::<u64>),
        };
        quote! {
            crate::page::impl_list!(#builder, super::operations::#statics, #page, #item, [#(#by),*], #key);
        }
    }
}
