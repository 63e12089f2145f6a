//! Hand-written types that stand for schemas: those that `x-rust` names, and the crate's own for some formats.

use std::collections::BTreeMap;

use quote::ToTokens;
use syn::visit_mut::{self, VisitMut};
use syn::{Path, Type, parse_quote};

use crate::problem::Problem;
use crate::schema::Schema;
use crate::spec::Spec;

/// JSON types whose format says more than a primitive can: the name of a schema for each, and what stands for it.
const FORMATS: [(&str, &str, &str, &str); 4] = [
    ("string", "date", "FormatDate", "crate::Open<jiff::civil::Date>"),
    ("string", "date-time", "FormatDateTime", "crate::Open<jiff::Timestamp>"),
    ("string", "local-date-time", "FormatLocalDateTime", "crate::Open<jiff::civil::DateTime>"),
    ("number", "decimal", "FormatDecimal", "crate::Amount"),
];

/// The Rust type of every schema that progenitor shall not write a type for, by the schema's name.
///
/// Generated types inside are written `types::Order`, wherever they are used.
pub(crate) fn all(spec: &Spec, vendor: &str) -> Result<BTreeMap<String, String>, Problem> {
    let mut found = BTreeMap::new();
    for (name, schema) in spec.schemas() {
        let Some(rust) = &schema.rust else { continue };
        let resolved = resolve(rust, spec, vendor)
            .map_err(|problem| problem.within(format!("components.schemas.{name}.x-rust")))?;
        found.insert(name.clone(), resolved);
    }
    for (_, _, name, rust) in FORMATS {
        if found.insert(name.to_owned(), rust.to_owned()).is_some() || spec.schemas().contains_key(name) {
            return Err(Problem::new(format!("components.schemas.{name}"), "a name that the generator needs"));
        }
    }
    Ok(found)
}

/// The name of the schema that stands for the format of this one.
pub(crate) fn of_format(schema: &Schema) -> Option<&'static str> {
    let (kind, format) = (schema.kind.as_deref()?, schema.format.as_deref()?);
    FORMATS.iter().find(|known| (known.0, known.1) == (kind, format)).map(|known| known.2)
}

fn resolve(rust: &str, spec: &Spec, vendor: &str) -> Result<String, Problem> {
    let mut written: Type = syn::parse_str(rust).map_err(|error| Problem::new(rust, error))?;
    let mut resolver =
        Resolver { spec, module: syn::parse_str(vendor).map_err(|error| Problem::new(vendor, error))?, unknown: None };
    resolver.visit_type_mut(&mut written);
    match resolver.unknown {
        Some(name) => Err(Problem::new(rust, format!("`{name}` is neither in `x-rust-types` nor a generated type"))),
        None => Ok(written.into_token_stream().to_string()),
    }
}

/// Gives each bare name in an `x-rust` the path of what it means.
struct Resolver<'a> {
    spec: &'a Spec,
    module: Path,
    unknown: Option<String>,
}

impl VisitMut for Resolver<'_> {
    fn visit_path_mut(&mut self, path: &mut Path) {
        visit_mut::visit_path_mut(self, path);
        let Some(segment) = path.segments.last() else { return };
        let name = segment.ident.to_string();
        let module = &self.module;
        if path.segments.len() == 1 && name == "Vec" {
            return;
        }
        if path.segments.len() == 1 && self.spec.rust_types.contains(&name) {
            *path = parse_quote!(crate::#module::#segment);
        } else if path.segments.len() == 1 && self.spec.schemas().get(&name).is_some_and(|schema| schema.rust.is_none())
        {
            *path = parse_quote!(types::#segment);
        } else {
            self.unknown.get_or_insert(name);
        }
    }
}
