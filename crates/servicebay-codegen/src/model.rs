//! What progenitor made of the spec: the names and Rust types, read out of the code that it wrote.

use indexmap::IndexMap;
use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{
    Attribute, Fields, File, GenericArgument, Ident, Item, ItemMod, LitStr, Path, PathArguments, ReturnType, Type,
    parse_quote,
};

use crate::problem::Problem;

/// Types are normal: std's by their last name, generated ones as `types::Order`.
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
    pub(crate) fn read(file: &File) -> Result<Self, Problem> {
        let mut model = Self::default();
        for item in content(file, "types")? {
            model.read_type(item)?;
        }
        for item in content(file, "builder")? {
            model.read_builder(item)?;
        }
        model.normalise();
        Ok(model)
    }

    fn read_type(&mut self, item: &Item) -> Result<(), Problem> {
        match item {
            Item::Struct(item) => {
                let mut fields = IndexMap::new();
                let Fields::Named(named) = &item.fields else {
                    return Err(unexpected(&item.ident, "a newtype: make it a property or an `x-rust`"));
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
            Item::Type(item) => return Err(unexpected(&item.ident, "an alias: refer to what it stands for")),
            _ => {}
        }
        Ok(())
    }

    /// Reads a builder's struct, which comes first, or its `send`, which says what the operation returns.
    fn read_builder(&mut self, item: &Item) -> Result<(), Problem> {
        match item {
            Item::Struct(item) => {
                let mut fields = IndexMap::new();
                for field in &item.fields {
                    let Some(ident) = field.ident.as_ref().filter(|ident| *ident != "client") else { continue };
                    let Some(value) = argument(&field.ty, "Result") else {
                        return Err(unexpected(ident, "a builder's field that is no `Result`"));
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

    fn normalise(&mut self) {
        let names: Vec<String> = self.structs.keys().chain(self.enums.keys()).cloned().collect();
        let mut normaliser = Normaliser { generated: names };
        for field in self.structs.values_mut().flat_map(IndexMap::values_mut) {
            // A type that contains itself is boxed around the `Option`, where a setter expects to find that.
            if let Some(inner) = argument(&field.ty, "Box").and_then(|boxed| argument(boxed, "Option")) {
                field.ty = parse_quote!(Option<Box<#inner>>);
            }
            normaliser.visit_type_mut(&mut field.ty);
        }
        for builder in self.builders.values_mut() {
            builder.fields.values_mut().for_each(|ty| normaliser.visit_type_mut(ty));
            normaliser.visit_type_mut(&mut builder.success);
        }
    }
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

struct Normaliser {
    generated: Vec<String>,
}

impl VisitMut for Normaliser {
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

fn content<'a>(file: &'a File, module: &str) -> Result<&'a [Item], Problem> {
    file.items
        .iter()
        .find_map(|item| match item {
            Item::Mod(ItemMod { ident, content: Some((_, items)), .. }) if ident == module => Some(items.as_slice()),
            _ => None,
        })
        .ok_or_else(|| unexpected(&module, "no such module"))
}

/// The name that serde uses: `rename`, or the identifier itself.
fn wire_name(ident: &Ident, attributes: &[Attribute]) -> Result<String, Problem> {
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

fn unexpected(place: &impl ToTokens, what: impl std::fmt::Display) -> Problem {
    Problem::new(format!("progenitor's `{}`", place.to_token_stream()), what)
}
