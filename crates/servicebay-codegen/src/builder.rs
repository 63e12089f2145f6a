//! Emits `pub mod builder`: a builder for each operation, which sends it.

use proc_macro2::TokenStream;
use quote::{ToTokens, format_ident, quote};
use syn::visit_mut::VisitMut;
use syn::{Ident, Type, parse_quote};

use crate::docs;
use crate::field::Field;
use crate::imports::Imports;
use crate::layout::Verbatim;
use crate::list::List;
use crate::model::{self, Model};
use crate::operation::Endpoint;
use crate::parameter::{DateSpan, Location};
use crate::setter;
use crate::spec::Spec;
use crate::spec_error::SpecError;

pub(crate) fn module(
    spec: &Spec,
    model: &Model,
    vendor: &Ident,
    verbatim: &mut Verbatim,
) -> Result<TokenStream, SpecError> {
    let mut imports = Imports::new(spec.endpoints().map(|endpoint| endpoint.builder()));
    let mut items = TokenStream::new();
    for endpoint in spec.endpoints() {
        let place = || format!("operation {}", endpoint.operation.id);
        let read = model.builders.get(&endpoint.builder());
        let read = read.ok_or_else(|| SpecError::new(place(), "progenitor made no builder of it"))?;
        let builder = Builder::new(spec, endpoint, read).map_err(|error| error.within(place()))?;
        items.extend(builder.item(model, vendor, &mut imports, verbatim).map_err(|error| error.within(place()))?);
    }
    let mut items = syn::parse2(items).map_err(|error| SpecError::new("the generated builders", error))?;
    imports.visit_file_mut(&mut items);
    let uses = imports.lines();
    Ok(quote! {
        /// The calls before they are sent: one builder for each operation.
        pub mod builder {
            use super::{operations, types};
            #uses
            #items
        }
    })
}

/// A builder to emit.
struct Builder<'a> {
    spec: &'a Spec,
    endpoint: Endpoint<'a>,
    ident: Ident,
    fields: Vec<Field<'a>>,
    success: &'a Type,
}

impl<'a> Builder<'a> {
    fn new(spec: &'a Spec, endpoint: Endpoint<'a>, read: &'a model::Builder) -> Result<Self, SpecError> {
        let field = |name: &str, parameter| Field::new(name, parameter, endpoint.operation, read);
        let parameters = endpoint.operation.parameters.iter();
        let parameters = parameters.map(|parameter| field(&parameter.rust_name(), Some(parameter)));
        let body = endpoint.operation.body().map(|_| field("body", None));
        let fields = parameters.chain(body).collect::<Result<_, _>>()?;
        let ident = format_ident!("{}", endpoint.builder());
        Ok(Self { spec, endpoint, ident, fields, success: &read.success })
    }

    fn item(
        &self,
        model: &Model,
        vendor: &Ident,
        imports: &mut Imports,
        verbatim: &mut Verbatim,
    ) -> Result<TokenStream, SpecError> {
        let Self { endpoint, ident, success, .. } = self;
        let operation = endpoint.operation;
        let docs = docs::of_builder(operation, &vendor.to_string());
        let (idents, types): (Vec<_>, Vec<_>) = self.fields.iter().map(|field| (&field.ident, field.ty)).unzip();
        let setters = self.fields.iter().map(|field| {
            let docs = match field.parameter {
                Some(parameter) => docs::of_parameter(parameter),
                None => docs::of_body(operation),
            };
            setter::optional(&docs, &field.ident, field.ty)
        });
        let send = self.send()?;
        let list = match &operation.page {
            Some(paging) => {
                let list = List::new(paging, &self.fields, success, model)?;
                Some(list.item(*endpoint, ident, imports, verbatim))
            }
            None => None,
        };
        let output = imports.shortened(success).into_token_stream().to_string().replace(' ', "");
        imports.add(&parse_quote!(crate::operation_builder::call_builder));
        let constant = endpoint.constant();
        let call = verbatim.item(vec![format!("call_builder! {{ {ident}(operations::{constant}) => {output} }}")]);
        let write = (!endpoint.is_idempotent()).then(|| {
            imports.add(&parse_quote!(crate::operation_builder::write_operation));
            let keyed = if operation.idempotency_key { ", keyed" } else { "" };
            verbatim.item(vec![format!("write_operation! {{ {ident} => {output}{keyed} }}")])
        });
        Ok(quote! {
            #docs
            #[derive(Clone, Debug)]
            #[must_use = "a request is sent by `send`"]
            pub struct #ident {
                client: crate::client_inner::ClientInner,
                #(#idents: Option<#types>,)*
            }
            impl #ident {
                pub(crate) fn new(client: &crate::client_inner::ClientInner) -> Self {
                    Self { client: client.clone(), #(#idents: None,)* }
                }
                #(#setters)*
                #send
            }
            #call
            #list
            #write
        })
    }

    /// The method `send`. A list is known by its request before it is sent, too, so its request is a method of its own.
    fn send(&self) -> Result<TokenStream, SpecError> {
        let docs = docs::of_send(self.endpoint);
        let (success, constant) = (self.success, format_ident!("{}", self.endpoint.constant()));
        let read = match success {
            Type::Tuple(tuple) if tuple.elems.is_empty() => quote!(nothing),
            _ => quote!(content),
        };
        let statements = self.statements()?;
        let mutable = (!statements.is_empty()).then(|| quote!(mut));
        let request = quote! {
            let #mutable request = crate::request::Request::new(&self.client, &operations::#constant);
            #statements
        };
        let signature = quote!(pub async fn send(self) -> Result<crate::Response<#success>, crate::Error>);
        Ok(match self.endpoint.operation.page {
            None => quote! {
                #docs
                #signature {
                    #request
                    request.send(crate::decode::#read).await
                }
            },
            Some(_) => quote! {
                #docs
                #signature {
                    self.request().send(crate::decode::#read).await
                }
                fn request(self) -> crate::request::Request {
                    #request
                    request
                }
            },
        })
    }

    /// The statements that fill in the request. The path comes first, in its own order.
    fn statements(&self) -> Result<TokenStream, SpecError> {
        let (path, operation) = (self.endpoint.path, self.endpoint.operation);
        let position = |field: &&Field<'_>| match field.parameter {
            Some(parameter) if parameter.location == Location::Path => path.find(&format!("{{{}}}", parameter.name)),
            _ => Some(usize::MAX),
        };
        let mut ordered: Vec<_> = self.fields.iter().collect();
        ordered.sort_by_key(position);
        let mut statements = TokenStream::new();
        for field in ordered {
            statements.extend(field.statements(self.spec, operation)?);
        }
        if let Some(object) = &operation.query_object
            && operation.parameters.iter().any(|parameter| parameter.location == Location::Query)
        {
            statements = quote! {
                let mut members = crate::request::JsonObject::default();
                #statements
                request.members(#object, members);
            };
        }
        for names in &operation.exclusive {
            let flags = self.fields.iter().filter_map(|field| {
                let name = &field.parameter.filter(|parameter| names.contains(&parameter.name))?.name;
                let ident = &field.ident;
                Some(quote!((#name, self.#ident.is_some())))
            });
            statements.extend(quote!(request.exclusive(&[#(#flags),*]);));
        }
        if let Some(DateSpan { from, to, days }) = &operation.span {
            let value = |name: &String| {
                let named = |field: &&Field<'_>| field.parameter.is_some_and(|parameter| parameter.name == *name);
                let ident = self.fields.iter().find(named).map(|field| &field.ident);
                quote!((#name, self.#ident.as_ref()))
            };
            let (from, to) = (value(from), value(to));
            statements.extend(quote!(request.span(#from, #to, #days);));
        }
        Ok(statements)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sample;

    fn emitted(spec: &Spec) -> Result<String, String> {
        sample::emitted(spec, module)
    }

    #[track_caller]
    fn contains(text: &str, part: &str) {
        // Where prettyplease breaks lines is rustfmt's business.
        let squeezed = |text: &str| {
            let text: String = text.split_whitespace().collect();
            text.replace(",)", ")").replace(",]", "]").replace(",}", "}")
        };
        assert!(squeezed(text).contains(&squeezed(part)), "{part} is not in {text}");
    }

    #[test]
    fn a_builder_fills_in_the_path_and_sends() {
        let text = emitted(&sample::spec()).unwrap();
        contains(&text, "pub struct GetOrder { client: ClientInner, id: Option<Id<types::Order>>, }");
        contains(
            &text,
            "pub async fn send(self) -> Result<Response<types::Order>, Error> {
                let mut request = Request::new(&self.client, &operations::GET_ORDER);
                request.path(\"id\", self.id.as_ref());
                request.send(crate::decode::content).await
            }",
        );
    }

    #[test]
    fn bounds_are_checked_before_the_request_is_sent() {
        contains(
            &emitted(&sample::spec()).unwrap(),
            "request.range(\"page\", self.page, 1, i64::MAX); request.query(\"page\", self.page.as_ref());
             request.range(\"perPage\", self.per_page, 1, 100); request.query(\"perPage\", self.per_page.as_ref());",
        );
    }

    #[test]
    fn a_list_and_a_write_get_their_traits_from_a_macro() {
        let text = emitted(&sample::spec()).unwrap();
        contains(&text, "call_builder! { GetOrder(operations::GET_ORDER) => types::Order }");
        contains(&text, "list_operation! { ListOrders {");
        contains(&text, "write_operation! { CreateOrder => types::Order }");
        assert_eq!(text.matches("write_operation! {").count(), 1, "{text}");
    }

    #[test]
    fn a_write_that_takes_a_key_has_a_setter_for_it() {
        let spec = sample::changed(|document| document["paths"]["/orders"]["post"]["x-idempotency-key"] = true.into());
        contains(&emitted(&spec).unwrap(), "write_operation! { CreateOrder => types::Order, keyed }");
    }

    #[test]
    fn exclusive_parameters_spans_and_query_objects_are_put_into_the_request() {
        let date = |name: &str| {
            json!({ "name": name, "in": "query", "description": "A day.", "required": true,
                    "schema": { "type": "string", "format": "date" }, "x-confidence": "assumed" })
        };
        let text = emitted(&sample::changed(|document| {
            let list = &mut document["paths"]["/orders"]["get"];
            list["parameters"].as_array_mut().unwrap().extend([date("from"), date("to")]);
            list["x-exclusive"] = json!([["page", "from"]]);
            list["x-span"] = json!({ "from": "from", "to": "to", "days": 7 });
        }));
        let text = text.unwrap();
        contains(&text, "request.required_query(\"from\", \"from\", self.from.as_ref());");
        contains(&text, "request.exclusive(&[(\"page\", self.page.is_some()), (\"from\", self.from.is_some())]);");
        contains(&text, "request.span((\"from\", self.from.as_ref()), (\"to\", self.to.as_ref()), 7i32);");

        let text = emitted(&sample::changed(|document| {
            let list = &mut document["paths"]["/orders"]["get"];
            list["x-query-object"] = "json".into();
            list["parameters"][1]["name"] = "filter[perPage]".into();
            list["parameters"][1]["x-rust-name"] = "per_page".into();
        }));
        let text = text.unwrap();
        contains(&text, "members.put(&[\"filter\", \"perPage\"], self.per_page.as_ref());");
        contains(&text, "request.members(\"json\", members);");
    }

    #[test]
    fn bounds_on_a_type_that_has_none_are_refused() {
        let spec = sample::changed(|document| {
            document["paths"]["/orders"]["get"]["parameters"][1]["schema"] = json!({ "type": "string", "minimum": 1 });
        });
        let error = emitted(&spec).unwrap_err();
        assert_eq!(error, "operation list_orders: perPage: has bounds, but its type is String and not i32, i64 or u32");
    }
}
