//! The model: the names and Rust types that progenitor gives the spec, read out of the code that it writes.

use std::collections::BTreeMap;
use std::panic::{self, AssertUnwindSafe};

use indexmap::IndexMap;
use progenitor::{GenerationSettings, Generator, HooksMode, InterfaceStyle, TagStyle};
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Fields, File, GenericArgument, Ident, Item, ItemMod, LitStr, Path, PathArguments, ReturnType, Type,
    parse_quote,
};

use crate::cycle;
use crate::preprocess;
use crate::spec::Spec;
use crate::spec_error::SpecError;

/// Types are written in one way: std's by their last name, generated ones as `types::Order`.
#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) structs: IndexMap<String, IndexMap<String, Field>>,
    /// Variants by the value on the wire.
    pub(crate) enums: IndexMap<String, IndexMap<String, Ident>>,
    /// Builders by their name, such as `GetOrder`.
    pub(crate) builders: IndexMap<String, Builder>,
}

/// A field of a struct; its key is the name on the wire.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) ty: Type,
}

#[derive(Debug)]
pub(crate) struct Builder {
    /// Parameters and `body`, without the `Option` and `Result` around them.
    pub(crate) fields: IndexMap<String, Type>,
    pub(crate) success: Type,
}

impl Model {
    /// The model of a spec, with a hand-written Rust type for each schema that has an override.
    pub(crate) fn infer(spec: &Spec, overrides: &BTreeMap<String, String>) -> Result<Self, SpecError> {
        Self::read(&run_progenitor(spec, overrides)?)
    }

    fn read(file: &File) -> Result<Self, SpecError> {
        let mut model = Self::default();
        for item in content(file, "types")? {
            model.read_type(item)?;
        }
        for item in content(file, "builder")? {
            model.read_builder(item)?;
        }
        model.normalize();
        model.check_sizes()?;
        Ok(model)
    }

    /// Refuses a struct that contains itself without a box or a list between.
    fn check_sizes(&self) -> Result<(), SpecError> {
        let contained = |name: &str| {
            let fields = self.structs.get_key_value(name).into_iter().flat_map(|(name, fields)| {
                fields.values().filter_map(move |field| Some((format!("{name}.{}", field.ident), in_place(&field.ty)?)))
            });
            fields.filter_map(|(step, target)| Some((step, self.structs.get_key_value(&target)?.0.as_str()))).collect()
        };
        match cycle::find(self.structs.keys().map(String::as_str), contained) {
            Some(cycle) => {
                let problem = format!("{cycle}: the struct would contain itself; make one of the fields a list");
                Err(SpecError::new("components.schemas", problem))
            }
            None => Ok(()),
        }
    }

    fn read_type(&mut self, item: &Item) -> Result<(), SpecError> {
        match item {
            Item::Struct(item) => {
                let mut fields = IndexMap::new();
                let Fields::Named(named) = &item.fields else {
                    return Err(unexpected(&item.ident, "is a newtype; make it a property or give it an `x-rust`"));
                };
                for field in &named.named {
                    let Some(ident) = &field.ident else { continue };
                    fields
                        .insert(wire_name(ident, &field.attrs)?, Field { ident: ident.clone(), ty: field.ty.clone() });
                }
                self.structs.insert(item.ident.to_string(), fields);
            }
            Item::Enum(item) => {
                let mut variants = IndexMap::new();
                for variant in &item.variants {
                    variants.insert(wire_name(&variant.ident, &variant.attrs)?, variant.ident.clone());
                }
                self.enums.insert(item.ident.to_string(), variants);
            }
            Item::Type(item) => return Err(unexpected(&item.ident, "is an alias; refer to what it stands for")),
            _ => {}
        }
        Ok(())
    }

    /// Reads a builder's struct, which comes first, or its `send`, which has the type that the operation returns.
    fn read_builder(&mut self, item: &Item) -> Result<(), SpecError> {
        match item {
            Item::Struct(item) => {
                let mut fields = IndexMap::new();
                for field in &item.fields {
                    let Some(ident) = field.ident.as_ref().filter(|ident| *ident != "client") else { continue };
                    let Some(value) = argument(&field.ty, "Result") else {
                        return Err(unexpected(ident, "is a field of a builder and no `Result`"));
                    };
                    let value = argument(value, "Option").unwrap_or(value);
                    fields.insert(ident.to_string(), value.clone());
                }
                let success = Type::Verbatim(Default::default());
                self.builders.insert(item.ident.to_string(), Builder { fields, success });
            }
            Item::Impl(item) => {
                let send = item.items.iter().find_map(|item| match item {
                    syn::ImplItem::Fn(method) if method.sig.ident == "send" => Some(method),
                    _ => None,
                });
                let Some(send) = send else { return Ok(()) };
                let name = last_name(&item.self_ty).unwrap_or_default();
                let success = match &send.sig.output {
                    ReturnType::Type(_, ty) => argument(ty, "Result").and_then(|ty| argument(ty, "ResponseValue")),
                    ReturnType::Default => None,
                };
                match (self.builders.get_mut(&name), success) {
                    (Some(builder), Some(success)) => builder.success = success.clone(),
                    _ => return Err(unexpected(&send.sig.ident, format!("`{name}` returns no `ResponseValue`"))),
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn normalize(&mut self) {
        let names: Vec<String> = self.structs.keys().chain(self.enums.keys()).cloned().collect();
        let mut normalizer = Normalizer { generated: names };
        for field in self.structs.values_mut().flat_map(IndexMap::values_mut) {
            // Progenitor boxes the `Option` of a type that contains itself; setters expect the `Option` outside.
            if let Some(inner) = argument(&field.ty, "Box").and_then(|boxed| argument(boxed, "Option")) {
                field.ty = parse_quote!(Option<Box<#inner>>);
            }
            normalizer.visit_type_mut(&mut field.ty);
        }
        for builder in self.builders.values_mut() {
            builder.fields.values_mut().for_each(|ty| normalizer.visit_type_mut(ty));
            normalizer.visit_type_mut(&mut builder.success);
        }
    }
}

/// Progenitor's own code for the spec.
fn run_progenitor(spec: &Spec, overrides: &BTreeMap<String, String>) -> Result<File, SpecError> {
    let mut settings = GenerationSettings::new();
    settings.with_interface(InterfaceStyle::Builder).with_tag(TagStyle::Merged).with_hooks(HooksMode::Expected);
    for (name, rust) in overrides {
        settings.with_replacement(name, rust, [].into_iter());
    }
    let failed = |what: String| SpecError::new("progenitor", what);
    let document = preprocess::document(spec, overrides.keys());
    let document = serde_json::from_value(document).map_err(|error| failed(error.to_string()))?;
    // It panics on much of what it does not support, and the panic's message names no spec.
    let tokens = panic::catch_unwind(AssertUnwindSafe(|| Generator::new(&settings).generate_tokens(&document)))
        .map_err(|panic| {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            failed(format!("panicked: {}", text.unwrap_or("without a message")))
        })?
        .map_err(|error| failed(error.to_string()))?;
    syn::parse2(tokens).map_err(|error| failed(error.to_string()))
}

/// The generated type that a field of this type holds in place.
fn in_place(ty: &Type) -> Option<String> {
    let ty = argument(ty, "Option").unwrap_or(ty);
    let Type::Path(path) = ty else { return None };
    let mut segments = path.path.segments.iter();
    let (first, last) = (segments.next()?, segments.next()?);
    (first.ident == "types" && segments.next().is_none()).then(|| last.ident.to_string())
}

/// What is inside `Option<..>`, `Vec<..>` or another type with arguments.
pub(crate) fn argument<'a>(ty: &'a Type, outer: &str) -> Option<&'a Type> {
    (last_name(ty)? == outer).then(|| first_argument(ty))?
}

/// The first argument of a generic type.
pub(crate) fn first_argument(ty: &Type) -> Option<&Type> {
    let Type::Path(path) = ty else { return None };
    let PathArguments::AngleBracketed(arguments) = &path.path.segments.last()?.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    })
}

/// The name of a type without its path and arguments.
pub(crate) fn last_name(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) => Some(path.path.segments.last()?.ident.to_string()),
        _ => None,
    }
}

struct Normalizer {
    generated: Vec<String>,
}

impl VisitMut for Normalizer {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        let (Some(first), Some(last)) = (path.segments.first(), path.segments.last()) else { return };
        let (root, segment) = (first.ident.to_string(), last.clone());
        if path.leading_colon.take().is_some() && root == "std" {
            *path = segment.into();
        } else if (path.segments.len() == 1 && self.generated.contains(&root)) || root == "types" {
            *path = parse_quote!(types::#segment);
        }
    }
}

fn content<'a>(file: &'a File, module: &str) -> Result<&'a [Item], SpecError> {
    file.items
        .iter()
        .find_map(|item| match item {
            Item::Mod(ItemMod { ident, content: Some((_, items)), .. }) if ident == module => Some(items.as_slice()),
            _ => None,
        })
        .ok_or_else(|| unexpected(&module, "is missing"))
}

/// The name that serde uses: `rename`, or the identifier itself.
fn wire_name(ident: &Ident, attributes: &[Attribute]) -> Result<String, SpecError> {
    let mut name = ident.to_string();
    for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident("serde")) {
        attribute
            .parse_nested_meta(|meta| {
                let renames = meta.path.is_ident("rename");
                if let Ok(value) = meta.value() {
                    let value: LitStr = value.parse()?;
                    if renames {
                        name = value.value();
                    }
                }
                Ok(())
            })
            .map_err(|error| unexpected(ident, error))?;
    }
    Ok(name)
}

fn unexpected(place: &impl ToTokens, what: impl std::fmt::Display) -> SpecError {
    SpecError::new(format!("progenitor's `{}`", place.to_token_stream()), what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{sample, type_override};

    fn model(spec: &Spec) -> Model {
        Model::infer(spec, &type_override::all(spec, "acme").unwrap()).unwrap()
    }

    fn text(ty: &Type) -> String {
        ty.to_token_stream().to_string().replace(' ', "")
    }

    #[test]
    fn fields_have_their_wire_names_and_normalized_types() {
        let model = model(&sample::spec());
        let types: Vec<_> =
            model.structs["Order"].iter().map(|(wire, field)| (wire.as_str(), text(&field.ty))).collect();
        let expected = [
            ("id", "Option<crate::acme::Id<types::Order>>"),
            ("createdAt", "Option<crate::Open<jiff::Timestamp>>"),
            ("status", "Option<types::OrderStatus>"),
            ("tags", "Vec<String>"),
            ("type", "Option<String>"),
            ("parent", "Option<Box<types::Order>>"),
        ];
        assert_eq!(types.len(), expected.len());
        for (wire, ty) in expected {
            assert!(types.contains(&(wire, ty.to_owned())), "{wire}: {ty} is not among {types:?}");
        }
    }

    #[test]
    fn enums_have_their_values() {
        let model = model(&sample::spec());
        let variants: Vec<_> =
            model.enums["OrderStatus"].iter().map(|(value, variant)| (value.as_str(), variant.to_string())).collect();
        assert_eq!(variants, [("open", "Open".to_owned()), ("closed", "Closed".to_owned())]);
    }

    #[test]
    fn builders_have_their_parameters_and_what_they_return() {
        let model = model(&sample::spec());
        let list = &model.builders["ListOrders"];
        assert_eq!(list.fields.keys().collect::<Vec<_>>(), ["page", "per_page"]);
        assert_eq!(text(&list.fields["per_page"]), "u32");
        assert_eq!(text(&list.success), "crate::acme::Page<types::Order>");
        assert_eq!(text(&model.builders["CreateOrder"].fields["body"]), "types::OrderCreate");
        assert_eq!(text(&model.builders["GetOrder"].success), "types::Order");
    }

    #[test]
    fn structs_that_contain_each_other_are_boxed() {
        let spec = sample::changed(|document| {
            let customer = serde_json::json!({
                "type": "object", "description": "A customer.",
                "properties": { "last": {
                    "allOf": [{ "$ref": "#/components/schemas/Order" }],
                    "description": "The last order.", "x-confidence": "assumed",
                } },
            });
            let schemas = &mut document["components"]["schemas"];
            schemas["Customer"] = customer;
            schemas["Order"]["properties"]["parent"]["allOf"][0]["$ref"] = "#/components/schemas/Customer".into();
        });
        let model = model(&spec);
        let (parent, last) = (&model.structs["Order"]["parent"].ty, &model.structs["Customer"]["last"].ty);
        assert!(text(parent).contains("Box") || text(last).contains("Box"), "{} {}", text(parent), text(last));
    }

    #[test]
    fn a_struct_that_contains_itself_is_refused_with_the_cycle() {
        let file = syn::parse_quote! {
            pub mod types {
                pub struct A { b: ::std::option::Option<B> }
                pub struct B { list: ::std::vec::Vec<A>, a: ::std::option::Option<A> }
            }
            pub mod builder {}
        };
        let error = Model::read(&file).unwrap_err().to_string();
        let problem = "the struct would contain itself; make one of the fields a list";
        assert_eq!(error, format!("components.schemas: A.b -> B.a -> A: {problem}"));
    }

    #[test]
    fn a_panic_of_progenitor_becomes_an_error() {
        let spec = sample::changed(|document| {
            document["components"]["schemas"]["Twice"] = serde_json::json!({ "type": "string", "description": "Two values with one name.", "enum": ["a-b", "a_b"] });
        });
        let error = Model::infer(&spec, &type_override::all(&spec, "acme").unwrap()).unwrap_err().to_string();
        assert!(error.starts_with("progenitor"), "{error}");
    }
}
