//! Emits `pub mod types`: the vendor's objects and enums.

use indexmap::IndexMap;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{Ident, Path, Type};

use crate::model::{Field, Model, argument, last_name};
use crate::open_enum;
use crate::problem::Problem;
use crate::prose::{self, Prose};
use crate::schema::Schema;
use crate::setter;
use crate::spec::Spec;

pub(crate) fn module(spec: &Spec, model: &Model, vendor: &Ident) -> Result<TokenStream, Problem> {
    let (sent, received, parameters) = (spec.sent(), spec.received(), spec.parameters());
    let role = |name: &str| match (sent.contains(name), received.contains(name)) {
        (true, true) => Role::Both,
        (true, false) => Role::Sent,
        (false, _) => Role::RecordedRequest,
    };
    let mut items = TokenStream::new();
    for (name, schema) in spec.schemas().iter().filter(|(_, schema)| schema.rust.is_none() && schema.root.is_none()) {
        if let Some(variants) = model.enums.get(name) {
            items.extend(open_enum::item(name, schema, variants, &parameters)?);
        } else if let Some(fields) = model.structs.get(name) {
            items.extend(Object::new(name, schema, fields, role(name), vendor)?.item()?);
        } else {
            let what = "progenitor made no type of this name: is it an object or enum, and in PascalCase?";
            return Err(Problem::new(format!("components.schemas.{name}"), what));
        }
    }
    Ok(quote! {
        /// The vendor's objects, as its answers and requests hold them.
        pub mod types {
            #items
        }
    })
}

/// Where values of a type occur.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Both,
    RecordedRequest,
    Sent,
}

/// A struct to emit.
struct Object<'a> {
    name: &'a str,
    role: Role,
    ident: Ident,
    schema: &'a Schema,
    fields: Vec<Member<'a>>,
    vendor: &'a Ident,
}

/// A field to emit.
struct Member<'a> {
    wire: &'a str,
    ident: Ident,
    ty: Type,
    property: &'a Schema,
    required: bool,
}

impl<'a> Object<'a> {
    fn new(
        name: &'a str,
        schema: &'a Schema,
        read: &IndexMap<String, Field>,
        role: Role,
        vendor: &'a Ident,
    ) -> Result<Self, Problem> {
        let mut fields = Vec::new();
        for (wire, property) in &schema.properties {
            let place = || format!("components.schemas.{name}.properties.{wire}");
            let field = read.get(wire).ok_or_else(|| Problem::new(place(), "progenitor made no field of it"))?;
            let ident = match &property.rust_name {
                Some(renamed) => syn::parse_str(renamed).map_err(|error| Problem::new(place(), error))?,
                None => field.ident.clone(),
            };
            let mut ty = field.ty.clone();
            Nearby.visit_type_mut(&mut ty);
            fields.push(Member { wire, ident, ty, property, required: schema.required.contains(wire) });
        }
        Ok(Self { name, role, ident: format_ident!("{name}"), schema, fields, vendor })
    }

    fn item(&self) -> Result<TokenStream, Problem> {
        let linked = self.member("href").is_some();
        if self.role != Role::RecordedRequest {
            self.check_setters(linked)?;
        }

        let ident = &self.ident;
        let docs = prose::of_component(self.schema);
        let default = self.fields.iter().all(|field| !field.required).then(|| quote!(Default,));
        let read = (self.role != Role::Sent).then(|| quote!(::serde::Deserialize,));
        let fields = self.fields.iter().map(|field| field.declaration(self.role));
        let extra = self.has_extra().then(|| {
            quote! {
                #[serde(flatten)]
                extra: ::serde_json::Map<String, ::serde_json::Value>,
            }
        });
        let construction = (self.role != Role::RecordedRequest).then(|| self.construction());
        let resource = linked.then(|| self.resource());
        Ok(quote! {
            #docs
            #[derive(Clone, Debug, #default PartialEq, #read ::serde::Serialize)]
            #[non_exhaustive]
            pub struct #ident {
                #(#fields)*
                #extra
            }
            #construction
            #resource
        })
    }

    /// Whether it holds members that the spec does not name.
    fn has_extra(&self) -> bool {
        self.role == Role::Sent || self.schema.extra
    }

    fn member(&self, wire: &str) -> Option<&Member<'_>> {
        self.fields.iter().find(|field| field.wire == wire)
    }

    fn check_setters(&self, linked: bool) -> Result<(), Problem> {
        let taken = |field: &&Member<'_>| {
            ["extra", "new", "with_extra"].iter().any(|name| field.ident == name) || (linked && field.ident == "id")
        };
        match self.fields.iter().find(taken) {
            Some(field) => {
                let place = format!("components.schemas.{}.properties.{}", self.name, field.wire);
                Err(Problem::new(place, "its setter has the name of another method: set `x-rust-name`"))
            }
            None => Ok(()),
        }
    }

    fn construction(&self) -> TokenStream {
        let ident = &self.ident;
        let (required, optional): (Vec<_>, Vec<_>) = self.fields.iter().partition(|field| field.required);
        let docs = if required.is_empty() {
            Prose::new("Nothing set yet. What stays so is not sent.")
        } else {
            Prose::new("What is required. The rest is not sent unless it is set.")
        };
        let (accepted, given): (Vec<_>, Vec<_>) = required
            .iter()
            .map(|field| {
                let name = &field.ident;
                let (accepted, converted) = setter::parameter(name, &field.ty);
                (quote!(#name: #accepted), quote!(#name: #converted))
            })
            .unzip();
        let left = optional.iter().map(|field| &field.ident);
        let extra = self.has_extra().then(|| quote!(extra: ::serde_json::Map::new(),));
        let setters = optional.iter().map(|field| {
            let ty = argument(&field.ty, "Option").unwrap_or(&field.ty);
            setter::method(&prose::of_property(field.property), &field.ident, ty)
        });
        let with_extra = self.has_extra().then(|| {
            quote! {
                /// Sends one more field: one that this crate does not model, or an explicit `null` for one that is not set
                /// otherwise.
                pub fn with_extra(
                    mut self,
                    name: impl Into<String>,
                    value: impl Into<::serde_json::Value>,
                ) -> Self {
                    self.extra.insert(name.into(), value.into());
                    self
                }
            }
        });
        quote! {
            impl #ident {
                #docs
                pub fn new(#(#accepted),*) -> Self {
                    Self { #(#given,)* #(#left: Default::default(),)* #extra }
                }
                #(#setters)*
                #with_extra
            }
        }
    }

    fn resource(&self) -> TokenStream {
        let (ident, vendor) = (&self.ident, self.vendor);
        let own_id = match self.member("id").map(|field| (&field.ident, field.required)) {
            Some((id, false)) => quote!(self.#id),
            Some((id, true)) => quote!(Some(self.#id)),
            None => quote!(None),
        };
        let href = match self.member("href").map(|field| field.required) {
            Some(true) => quote!(Some(&self.href)),
            _ => quote!(self.href.as_deref()),
        };
        quote! {
            impl #ident {
                /// Its number: from `id`, or else the last part of `href`, which is all that a link holds.
                pub fn id(&self) -> Option<crate::#vendor::Id<Self>> {
                    crate::#vendor::Resource::resolved_id(self)
                }
            }
            impl crate::page::Sealed for #ident {}
            impl crate::#vendor::Resource for #ident {
                fn href(&self) -> Option<&str> {
                    #href
                }
                fn own_id(&self) -> Option<crate::#vendor::Id<Self>> {
                    #own_id
                }
            }
        }
    }
}

impl Member<'_> {
    fn declaration(&self, role: Role) -> TokenStream {
        let (ident, ty) = (&self.ident, &self.ty);
        let docs = prose::of_property(self.property);
        let mut settings = Vec::new();
        if ident != self.wire {
            let wire = self.wire;
            settings.push(quote!(rename = #wire));
        }
        if !self.required {
            let (lenient, skip) = match (argument(ty, "Option"), argument(ty, "Vec")) {
                (Some(inner), _) => (lenient(inner), "Option::is_none"),
                (None, Some(_)) => ("list", "Vec::is_empty"),
                (None, None) => ("value", "Option::is_none"),
            };
            if role != Role::Sent {
                let path = format!("crate::lenient::{lenient}");
                settings.push(quote!(default));
                settings.push(quote!(deserialize_with = #path));
            }
            settings.push(quote!(skip_serializing_if = #skip));
        }
        let serde = (!settings.is_empty()).then(|| quote!(#[serde(#(#settings),*)]));
        quote! {
            #docs
            #serde
            pub #ident: #ty,
        }
    }
}

/// The reader that takes what vendors send in place of a value of this type.
fn lenient(ty: &Type) -> &'static str {
    match last_name(ty).as_deref() {
        Some("String") => "text",
        Some("bool") => "flag",
        Some("f32" | "f64" | "i32" | "i64" | "u32" | "u64") => "number",
        _ => "value",
    }
}

/// Drops the `types::` of generated types, which are neighbours here.
struct Nearby;

impl VisitMut for Nearby {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        if path.segments.first().is_some_and(|first| first.ident == "types")
            && let Some(last) = path.segments.last().cloned()
        {
            *path = last.into();
        }
    }
}
