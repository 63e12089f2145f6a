//! Emits `pub mod types`: the vendor's objects and enums.

use indexmap::IndexMap;
use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::visit_mut::{self, VisitMut};
use syn::{Ident, Path, Type, parse_quote};

use crate::docs;
use crate::imports::Imports;
use crate::layout::{self, Verbatim};
use crate::model::{Field, Model, argument, last_name};
use crate::open_enum;
use crate::schema::Schema;
use crate::setter;
use crate::spec::Spec;
use crate::spec_error::SpecError;

pub(crate) fn module(
    spec: &Spec,
    model: &Model,
    vendor: &Ident,
    verbatim: &mut Verbatim,
) -> Result<TokenStream, SpecError> {
    let (sent, received) = (spec.sent(), spec.received());
    let role = |name: &str| match (sent.contains(name), received.contains(name)) {
        (true, true) => Role::Both,
        (true, false) => Role::Sent,
        (false, _) => Role::Response,
    };
    let mut imports = Imports::new(spec.schemas().keys().cloned());
    let mut items = TokenStream::new();
    for (name, schema) in spec.schemas().iter().filter(|(_, schema)| schema.rust.is_none() && schema.root.is_none()) {
        if let Some(variants) = model.enums.get(name) {
            items.extend(open_enum::item(name, schema, variants, &mut imports, verbatim)?);
        } else if let Some(fields) = model.structs.get(name) {
            let object = Object::new(name, schema, fields, role(name), vendor, &mut imports)?;
            items.extend(object.item(&mut imports, verbatim)?);
        } else {
            let problem = "progenitor made no type of this name; it must be an object or an enum, in PascalCase";
            return Err(SpecError::new(format!("components.schemas.{name}"), problem));
        }
    }
    let mut items = syn::parse2(items).map_err(|error| SpecError::new("the generated types", error))?;
    imports.visit_file_mut(&mut items);
    let uses = imports.lines();
    Ok(quote! {
        /// The vendor's objects, as responses and requests contain them.
        pub mod types {
            #uses
            #items
        }
    })
}

/// Where values of a type occur.
#[derive(Clone, Copy, PartialEq)]
enum Role {
    Both,
    Response,
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
    /// Without the outer `Option` of a clearable field.
    ty: Type,
    property: &'a Schema,
    required: bool,
    /// Whether it is only sent, and the vendor takes `null` for it.
    clearable: bool,
}

impl<'a> Object<'a> {
    fn new(
        name: &'a str,
        schema: &'a Schema,
        read: &IndexMap<String, Field>,
        role: Role,
        vendor: &'a Ident,
        imports: &mut Imports,
    ) -> Result<Self, SpecError> {
        let mut fields = Vec::new();
        for (wire, property) in &schema.properties {
            let place = || format!("components.schemas.{name}.properties.{wire}");
            let field = read.get(wire).ok_or_else(|| SpecError::new(place(), "progenitor made no field of it"))?;
            let ident = match &property.rust_name {
                Some(renamed) => syn::parse_str(renamed).map_err(|error| SpecError::new(place(), error))?,
                None => field.ident.clone(),
            };
            let mut ty = imports.shortened(&field.ty);
            Neighbors.visit_type_mut(&mut ty);
            let clearable = role == Role::Sent && property.nullable;
            fields.push(Member { wire, ident, ty, property, required: schema.required.contains(wire), clearable });
        }
        Ok(Self { name, role, ident: format_ident!("{name}"), schema, fields, vendor })
    }

    fn item(&self, imports: &mut Imports, verbatim: &mut Verbatim) -> Result<TokenStream, SpecError> {
        let linked = self.member("href").is_some();
        if self.role != Role::Response {
            self.check_setters(linked)?;
        }
        let ident = &self.ident;
        let docs = docs::of_component(self.schema);
        let default = (!self.has_required()).then(|| quote!(Default,));
        let fields = self.fields.iter().map(|field| {
            let (docs, ident, ty) = (field.docs(), &field.ident, field.stored_type());
            quote!(#docs pub #ident: #ty,)
        });
        let extra = self.has_extra().then(|| quote!(extra: serde_json::Map<String, serde_json::Value>,));
        imports.add(&parse_quote!(crate::lenient::serde_object));
        let serde = verbatim.item(self.serde_lines()?);
        let construction = (self.role != Role::Response || self.has_required()).then(|| self.construction());
        let resource = if linked { Some(self.resource(imports, verbatim)?) } else { None };
        Ok(quote! {
            #docs
            #[derive(Clone, Debug, #default PartialEq)]
            #[non_exhaustive]
            pub struct #ident {
                #(#fields)*
                #extra
            }
            #serde
            #construction
            #resource
        })
    }

    fn has_required(&self) -> bool {
        self.fields.iter().any(|field| field.required)
    }

    /// Whether it holds members that the spec does not name.
    fn has_extra(&self) -> bool {
        self.role == Role::Sent || self.schema.extra
    }

    fn member(&self, wire: &str) -> Option<&Member<'_>> {
        self.fields.iter().find(|field| field.wire == wire)
    }

    /// The call of `serde_object!`, which reads and writes it as JSON.
    fn serde_lines(&self) -> Result<Vec<String>, SpecError> {
        let mode = match (self.role, self.has_required()) {
            (Role::Sent, _) => "write ",
            (_, false) => "",
            (_, true) if self.has_extra() => {
                let problem = "is received, with `required` properties and `x-extra`; it can have only one of the two";
                return Err(SpecError::new(format!("components.schemas.{}", self.name), problem));
            }
            (_, true) => "required ",
        };
        let extra = if self.has_extra() { " extra" } else { "" };
        let (opening, closing) = (format!("{mode}{} {{", self.name), format!("}}{extra}"));
        let fields: Vec<String> = self.fields.iter().map(Member::serde_entry).collect();
        let line = format!("serde_object! {{ {opening} {} {closing} }}", fields.join(", "));
        if line.len() + 4 <= layout::WIDTH {
            return Ok(vec![line]);
        }
        let mut lines = vec!["serde_object! {".to_owned(), format!("    {opening}")];
        lines.extend(layout::filled_lines(fields, "        ", 4));
        lines.extend([format!("    {closing}"), "}".to_owned()]);
        Ok(lines)
    }

    fn check_setters(&self, linked: bool) -> Result<(), SpecError> {
        let taken = |field: &&Member<'_>| {
            ["extra", "new", "with_extra"].iter().any(|name| field.ident == name)
                || (linked && field.ident == "id")
                || self.fields.iter().any(|other| other.clearable && other.clear_method() == field.ident)
        };
        match self.fields.iter().find(taken) {
            Some(field) => {
                let place = format!("components.schemas.{}.properties.{}", self.name, field.wire);
                Err(SpecError::new(place, "its setter has the name of another method; set `x-rust-name`"))
            }
            None => Ok(()),
        }
    }

    fn construction(&self) -> TokenStream {
        let ident = &self.ident;
        let (required, optional): (Vec<_>, Vec<_>) = self.fields.iter().partition(|field| field.required);
        // A received object is only made by tests and lookups, which set its public fields.
        let settable = optional.iter().filter(|_| self.role != Role::Response);
        let setters = settable.map(|field| {
            let ty = argument(&field.ty, "Option").unwrap_or(&field.ty);
            let docs = docs::of_property(field.property);
            if !field.clearable {
                return setter::method(&docs, &field.ident, ty);
            }
            let set = setter::nullable(&docs, &field.ident, ty);
            let clear = setter::clear(&docs::of_clear(field.wire, field.property), &field.clear_method(), &field.ident);
            quote!(#set #clear)
        });
        let new = if required.is_empty() {
            quote! {
                /// An object without fields. Fields that are not set are not sent.
                pub fn new() -> Self {
                    Self::default()
                }
            }
        } else {
            let (accepted, given): (Vec<_>, Vec<_>) = required
                .iter()
                .map(|field| {
                    let name = &field.ident;
                    let (accepted, converted) = setter::parameter(name, &field.ty);
                    let given = if *name == converted.to_string() { quote!(#name) } else { quote!(#name: #converted) };
                    (quote!(#name: #accepted), given)
                })
                .unzip();
            let absent = optional.iter().map(|field| {
                let name = &field.ident;
                let is_list = argument(&field.ty, "Vec").is_some() && !field.clearable;
                if is_list { quote!(#name: Vec::new()) } else { quote!(#name: None) }
            });
            let extra = self.has_extra().then(|| quote!(extra: serde_json::Map::new(),));
            let docs = match self.role {
                Role::Response => {
                    "An object with its required fields, for tests and lookups. The other fields are public"
                }
                Role::Both | Role::Sent => {
                    "An object with its required fields. Other fields that are not set are not sent"
                }
            };
            let docs = docs::Docs::new(docs);
            quote! {
                #docs
                pub fn new(#(#accepted),*) -> Self {
                    Self { #(#given,)* #(#absent,)* #extra }
                }
            }
        };
        let with_extra = self.has_extra().then(|| {
            quote! {
                /// Adds a field that this crate does not model, or sends an explicit `null` for one that is not set.
                pub fn with_extra(mut self, name: impl Into<String>, value: impl Into<serde_json::Value>) -> Self {
                    self.extra.insert(name.into(), value.into());
                    self
                }
            }
        });
        quote! {
            impl #ident {
                #new
                #(#setters)*
                #with_extra
            }
        }
    }

    /// The call of the vendor's `resource!`, for an object that has an address.
    fn resource(&self, imports: &mut Imports, verbatim: &mut Verbatim) -> Result<TokenStream, SpecError> {
        for wire in ["href", "id"] {
            if self.member(wire).is_some_and(|field| field.required) {
                let place = format!("components.schemas.{}.properties.{wire}", self.name);
                return Err(SpecError::new(
                    place,
                    "must be optional, as a link has no `id` and an object may lack both",
                ));
            }
        }
        let vendor = self.vendor;
        imports.add(&parse_quote!(crate::#vendor::relation::resource));
        let id = if self.member("id").is_some() { ", id" } else { "" };
        Ok(verbatim.item(vec![format!("resource! {{ {}: href{id} }}", self.name)]))
    }
}

impl Member<'_> {
    /// The type of the field: for a clearable one `None` if it is not sent, and `Some(None)` if it is sent as `null`.
    fn stored_type(&self) -> Type {
        let ty = &self.ty;
        match argument(ty, "Option") {
            _ if !self.clearable => ty.clone(),
            Some(_) => parse_quote!(Option<#ty>),
            None => parse_quote!(Option<Option<#ty>>),
        }
    }

    fn docs(&self) -> docs::Docs {
        if self.clearable { docs::of_clearable(self.property) } else { docs::of_property(self.property) }
    }

    /// The method that sends `null`, such as `clear_phone`.
    fn clear_method(&self) -> Ident {
        format_ident!("clear_{}", self.ident)
    }

    /// The field in `serde_object!`: its reader, and its name on the wire if that is another.
    fn serde_entry(&self) -> String {
        let (ident, wire) = (&self.ident, self.wire);
        let reader = match (self.required, argument(&self.ty, "Option"), argument(&self.ty, "Vec")) {
            (true, ..) => "required",
            (false, Some(inner), _) => reader(inner),
            (false, None, Some(element)) => list_reader(element),
            (false, None, None) => "value",
        };
        if ident == wire { format!("{ident}: {reader}") } else { format!("{ident}: {reader} = {wire:?}") }
    }
}

/// The reader that takes what vendors send in place of a value of this type.
fn reader(ty: &Type) -> &'static str {
    match last_name(ty).as_deref() {
        Some("String") => "text",
        Some("bool") => "flag",
        Some("f32" | "f64" | "i32" | "i64" | "u32" | "u64") => "number",
        Some("Amount" | "Id" | "Open") => "scalar",
        _ => "value",
    }
}

/// The reader that takes what vendors send in place of a list of such elements.
fn list_reader(element: &Type) -> &'static str {
    match reader(element) {
        "text" | "scalar" => "scalars",
        _ => "list",
    }
}

/// Drops the `types::` in front of generated types, which are neighbors here.
struct Neighbors;

impl VisitMut for Neighbors {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        if path.segments.first().is_some_and(|first| first.ident == "types")
            && let Some(last) = path.segments.last().cloned()
        {
            *path = last.into();
        }
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

    #[test]
    fn an_object_is_a_plain_struct_and_one_call_of_serde_object() {
        let text = emitted(&sample::spec()).unwrap();
        assert!(text.contains(
            "    #[derive(Clone, Debug, Default, PartialEq)]\n    #[non_exhaustive]\n    pub struct Order {\n        \
             /// Its number. Documented.\n        pub id: Option<Id<Order>>,\n        \
             /// When it was created. Observed.\n        pub created_at: Option<Open<Timestamp>>,\n"
        ), "{text}");
        assert!(
            text.contains(
                "    serde_object! {\n        Order {\n            id: scalar, created_at: scalar = \"createdAt\", \
             status: value, tags: scalars, kind: text = \"type\",\n            parent: value,\n        }\n    }\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn an_object_that_is_only_sent_is_only_written_and_takes_other_fields() {
        let text = emitted(&sample::spec()).unwrap();
        assert!(
            text.contains("    serde_object! { write OrderCreate { reference: required, status: value } extra }\n"),
            "{text}"
        );
        assert!(text.contains("pub fn new(reference: impl Into<String>) -> Self {"), "{text}");
        assert!(text.contains("pub fn with_extra("), "{text}");
    }

    #[test]
    fn a_received_object_with_required_fields_is_read_with_them() {
        let spec = sample::changed(|document| document["components"]["schemas"]["Order"]["required"] = json!(["id"]));
        let text = emitted(&spec).unwrap();
        assert!(text.contains("        required Order {\n            id: required,"), "{text}");
        assert!(
            text.contains("#[derive(Clone, Debug, PartialEq)]\n    #[non_exhaustive]\n    pub struct Order {"),
            "{text}"
        );
        // Without `Default`, tests need another way to make one.
        assert!(text.contains("pub fn new(id: impl Into<Id<Order>>) -> Self {"), "{text}");
        assert!(text.contains("id: id.into(),"), "{text}");
        assert!(!text.contains("pub fn kind("), "{text}");
    }

    #[test]
    fn a_received_object_with_required_fields_cannot_keep_others() {
        let spec = sample::changed(|document| {
            document["components"]["schemas"]["Order"]["required"] = json!(["id"]);
            document["components"]["schemas"]["Order"]["x-extra"] = true.into();
        });
        let problem = "is received, with `required` properties and `x-extra`; it can have only one of the two";
        assert_eq!(emitted(&spec).unwrap_err(), format!("components.schemas.Order: {problem}"));
    }

    #[test]
    fn a_setter_with_the_name_of_another_method_is_refused() {
        let spec = sample::changed(|document| {
            document["components"]["schemas"]["OrderCreate"]["properties"]["new"] =
                json!({ "type": "boolean", "description": "Whether it is new.", "x-confidence": "assumed" });
        });
        let problem = "its setter has the name of another method; set `x-rust-name`";
        assert_eq!(emitted(&spec).unwrap_err(), format!("components.schemas.OrderCreate.properties.new: {problem}"));
    }

    /// The sample with a nullable note, and nullable tags, of a new order.
    fn nullable() -> Spec {
        let property = |kind: serde_json::Value| {
            let mut property = json!({ "nullable": true, "description": "It.", "x-confidence": "observed" });
            property.as_object_mut().unwrap().extend(kind.as_object().unwrap().clone());
            property
        };
        sample::changed(|document| {
            let properties = &mut document["components"]["schemas"]["OrderCreate"]["properties"];
            properties["phone"] = property(json!({ "type": "string", "x-nullable-confidence": "assumed" }));
            properties["labels"] = property(json!({ "type": "array", "items": { "type": "string" } }));
        })
    }

    #[test]
    fn a_nullable_field_that_is_sent_has_three_states() {
        let text = emitted(&nullable()).unwrap();
        for part in [
            "        /// It. `Some(None)` is sent as `null`. Observed.\n        pub phone: Option<Option<String>>,\n",
            "self.phone = Some(Some(value.into()));",
            "        /// Sends `phone` as `null`, which clears it. Assumed.\n        pub fn clear_phone(mut self) -> Self {\n            \
             self.phone = Some(None);\n            self\n        }\n",
            "pub labels: Option<Option<Vec<String>>>,\n",
            "self.labels = Some(Some(value.into_iter().map(Into::into).collect()));",
            "        /// Sends `labels` as `null`, which clears it. Observed.\n        pub fn clear_labels(mut self) -> Self {",
        ] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
    }

    #[test]
    fn a_nullable_field_that_is_received_has_two_states() {
        let spec = sample::changed(|document| {
            document["components"]["schemas"]["Order"]["properties"]["type"]["nullable"] = true.into();
        });
        let text = emitted(&spec).unwrap();
        assert!(text.contains("pub kind: Option<String>,"), "{text}");
        assert!(!text.contains("clear_"), "{text}");
    }

    #[test]
    fn a_setter_with_the_name_of_a_method_that_clears_is_refused() {
        let mut document = sample::document();
        document["components"]["schemas"]["OrderCreate"]["properties"]["clear_phone"] =
            json!({ "type": "boolean", "description": "Whether to clear it.", "x-confidence": "assumed" });
        document["components"]["schemas"]["OrderCreate"]["properties"]["phone"] =
            json!({ "type": "string", "nullable": true, "description": "It.", "x-confidence": "assumed" });
        let spec = Spec::parse(&document.to_string()).unwrap();
        let problem = "its setter has the name of another method; set `x-rust-name`";
        assert_eq!(
            emitted(&spec).unwrap_err(),
            format!("components.schemas.OrderCreate.properties.clear_phone: {problem}")
        );
    }

    #[test]
    fn a_component_that_becomes_no_type_is_refused() {
        let spec = sample::changed(|document| {
            document["components"]["schemas"]["order_note"] = json!({
                "type": "object", "description": "A note.",
                "properties": { "text": { "type": "string", "description": "It.", "x-confidence": "assumed" } },
            });
        });
        let problem = "progenitor made no type of this name; it must be an object or an enum, in PascalCase";
        assert_eq!(emitted(&spec).unwrap_err(), format!("components.schemas.order_note: {problem}"));
    }

    #[test]
    fn an_object_with_an_address_is_a_resource() {
        let href = json!({ "type": "string", "description": "Its address.", "x-confidence": "observed" });
        let spec =
            sample::changed(|document| document["components"]["schemas"]["Order"]["properties"]["href"] = href.clone());
        assert!(emitted(&spec).unwrap().contains("    resource! { Order: href, id }\n"));

        let spec = sample::changed(|document| {
            document["components"]["schemas"]["Order"]["properties"]["href"] = href;
            document["components"]["schemas"]["Order"]["required"] = json!(["href"]);
        });
        let problem = "must be optional, as a link has no `id` and an object may lack both";
        assert_eq!(emitted(&spec).unwrap_err(), format!("components.schemas.Order.properties.href: {problem}"));
    }
}
